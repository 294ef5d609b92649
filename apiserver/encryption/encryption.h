/* Encryption at rest by an EncryptionConfiguration of apiserver.config.k8s.io/v1 (--encryption-provider-config).
 *
 *   file -> providers for each named resource, in order: the first one writes, all of them read
 *   store: put in front of the plain one; values of other resources pass as they are */
#pragma once

#include "storage/transform.h"
#include "json/json.h"

/* A configuration's transforms. etcd_prefix: "/registry". Errors name the place in the file; secrets are never in them.
 */
int kc_encryption_load(const char *path, const char *etcd_prefix, struct kc_transforms **ret, struct kc_error *err);
/* The same of a tree. */
int kc_encryption_new(
    const struct json_object *config, const char *etcd_prefix, struct kc_transforms **ret, struct kc_error *err);
/* Are all KMS plugins well? Blocks. */
int kc_encryption_check(struct kc_transforms *t, struct kc_error *err);

/* Follows the file: when its content changes, the store's transforms do. A content that cannot be used is logged, and
 * the former one stays; so it does until the KMS plugins of a new one are well. On the loop. */
struct kc_encryption_reload;
int kc_encryption_reload_new(struct kc_loop *loop, const char *path, const char *etcd_prefix, struct kc_store *store,
    struct kc_encryption_reload **ret, struct kc_error *err);
void kc_encryption_reload_free(struct kc_encryption_reload *r);

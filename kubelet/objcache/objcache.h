/* ConfigMaps and Secrets that the node's pods refer to. The kubelet may only get single ones of them (Node authorizer),
 * so they are fetched by name and kept for a while, as upstream's TTL-based manager does:
 *
 *   "configmaps/ns/name" --> { object or its NotFound, fetched_at, references }
 *
 * Any thread; kc_objcache_get blocks (worker threads). Entries that no registered pod refers to are dropped. */
#pragma once

#include "client/rest.h"

struct kc_objcache;

enum kc_objcache_kind { KC_OBJCACHE_CONFIGMAP, KC_OBJCACHE_SECRET };

/* rest NULL (standalone): every get is NotFound. ttl_usec: 0: one minute. clock NULL: the real one. */
struct kc_objcache *kc_objcache_new(struct kc_rest *rest, int64_t ttl_usec, const struct kc_clock *clock);
void kc_objcache_free(struct kc_objcache *c);
KC_DEFINE_CLEANUP(struct kc_objcache *, kc_objcache_free)
/* Counts the references of the pod (env, envFrom, volumes, projected sources, imagePullSecrets); again for the same
 * uid: replaces what it had. What a new or changed pod refers to is fetched anew at its next get, so that a pod created
 * after a change sees the change. */
void kc_objcache_register_pod(struct kc_objcache *c, const struct json_object *pod);
void kc_objcache_unregister_pod(struct kc_objcache *c, const char *uid);
/* *ret with a reference. NotFound: message `configmap "x" not found`, `secret "x" not found`. While the API server is
 * away, an entry past its time is still served. Immutable objects (immutable: true) are never fetched again. */
int kc_objcache_get(struct kc_objcache *c, enum kc_objcache_kind kind, const char *ns, const char *name,
    struct kc_object **ret, struct kc_error *err);

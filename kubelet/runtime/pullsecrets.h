/* Credentials for an image from the pod's imagePullSecrets (docker config files in Secrets), and names of images. */
#pragma once

#include "kubelet/objcache/objcache.h"

struct kc_pull_credential {
        char *server, *username, *password, *identity_token; /* never NULL */
};
struct kc_pull_credentials {
        struct kc_pull_credential *v;
        size_t n;
};
/* Those whose registry fits the image, most specific path first. Secrets that are missing or broken are logged and left
 * out. objects NULL: none. Blocks. */
void kc_pull_credentials_find(
    struct kc_objcache *objects, const struct json_object *pod, const char *image, struct kc_pull_credentials *ret);
/* The same from one docker config ({"auths":{...}} or the bare map of the legacy kind). */
void kc_pull_credentials_add(const struct json_object *config, const char *image, struct kc_pull_credentials *ret);
void kc_pull_credentials_done(struct kc_pull_credentials *c);

/* Bootstrap tokens as the Secrets bootstrap-token-<id> in kube-system hold them, and signatures by them. Pure
 * functions, any thread. */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "json/json.h"

#define KC_BOOTSTRAP_TOKEN_TYPE "bootstrap.kubernetes.io/token"

/* A value of data, decoded; NULL: absent or not base64. Heap, a secret may be in it. */
char *kc_bootstrap_token_data(const struct json_object *secret, const char *key);
/* When it expires: INT64_MAX: never; 0: at once, because the time cannot be read. */
kc_time kc_bootstrap_token_expiry(const struct json_object *secret);
/* Its id and secret (heap) when it may sign cluster-info at that time; false: it may not. */
bool kc_bootstrap_token_signs(const struct json_object *secret, kc_time now, char **ret_id, char **ret_secret);
/* The JWS (HS256, compact) of the content by a token, with the payload left out: "<header>..<signature>". Heap. */
char *kc_jws_detached(const char *content, const char *token_id, const char *token_secret);

/* Bootstrap tokens: reading their Secrets, signing by them. Pure functions, any thread. */
#include "controller-manager/bootstrap_tokens.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/encode.h"
#include "base/str.h"

#define NAME_PREFIX "bootstrap-token-"
enum { ID_LEN = 6 };

char *kc_bootstrap_token_data(const struct json_object *secret, const char *key)
{
        struct kc_buf b = KC_BUF_INIT;
        const char *text = kc_json_str(kc_json_get(secret, "data"), key);
        if (!text || kc_base64_decode(text, strlen(text), &b) < 0 || memchr(b.data ? b.data : "", 0, b.len)) {
                kc_buf_done(&b);
                return NULL;
        }
        return kc_buf_take_str(&b);
}

kc_time kc_bootstrap_token_expiry(const struct json_object *secret)
{
        KC_CLEANUP(kc_freep) char *text = kc_bootstrap_token_data(secret, "expiration");
        kc_time t;
        if (kc_str_empty(text))
                return INT64_MAX;
        return kc_time_parse(text, &t) == 0 ? t : 0;
}

static bool is_id(const char *s)
{
        return strlen(s) == ID_LEN && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ID_LEN;
}

bool kc_bootstrap_token_signs(const struct json_object *secret, kc_time now, char **ret_id, char **ret_secret)
{
        const char *name = kc_json_str_at(secret, "metadata.name");
        if (!kc_streq(kc_json_str(secret, "type"), KC_BOOTSTRAP_TOKEN_TYPE) || !kc_str_has_prefix(name, NAME_PREFIX) ||
            !is_id(name + strlen(NAME_PREFIX)) || kc_bootstrap_token_expiry(secret) <= now)
                return false;
        KC_CLEANUP(kc_freep) char *id = kc_bootstrap_token_data(secret, "token-id");
        KC_CLEANUP(kc_freep) char *usage = kc_bootstrap_token_data(secret, "usage-bootstrap-signing");
        if (!kc_streq(id, name + strlen(NAME_PREFIX)) || !kc_streq(usage, "true"))
                return false;
        char *key = kc_bootstrap_token_data(secret, "token-secret");
        if (kc_str_empty(key)) {
                kc_free(key);
                return false;
        }
        *ret_id = KC_TAKE(id);
        *ret_secret = key;
        return true;
}

char *kc_jws_detached(const char *content, const char *token_id, const char *token_secret)
{
        unsigned char mac[EVP_MAX_MD_SIZE];
        unsigned mac_len = 0;
        KC_CLEANUP(kc_freep) char *head = kc_asprintf("{\"alg\":\"HS256\",\"kid\":\"%s\"}", token_id);
        KC_CLEANUP(kc_freep) char *head64 = kc_base64url_encode(head, strlen(head));
        KC_CLEANUP(kc_freep) char *content64 = kc_base64url_encode(content, strlen(content));
        KC_CLEANUP(kc_freep) char *input = kc_asprintf("%s.%s", head64, content64);
        if (!HMAC(EVP_sha256(), token_secret, (int)strlen(token_secret), (const unsigned char *)input, strlen(input),
                mac, &mac_len))
                return NULL;
        KC_CLEANUP(kc_freep) char *mac64 = kc_base64url_encode(mac, mac_len);
        return kc_asprintf("%s..%s", head64, mac64);
}

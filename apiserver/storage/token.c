/* Continue tokens. No state, any thread. */
#include "storage/token.h"

#include <string.h>

#include "api/status.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"

#define TOKEN_VERSION "meta.k8s.io/v1"

char *list_token_encode(const char *last_key, const char *prefix, int64_t revision)
{
        const char *start = last_key + strlen(prefix);
        size_t len = strlen(start);
        if (len > 0 && start[len - 1] == '\x01')
                len--; /* what decoding has put there */
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_buf_addf(&b, "{\"v\":\"" TOKEN_VERSION "\",\"rv\":%lld,\"start\":", (long long)revision);
        kc_json_write_string(&b, start, len);
        /* The key after it: a NUL, inside of the closing quote. */
        b.data[--b.len] = '\0';
        kc_buf_adds(&b, "\\u0000\"}");
        return kc_base64url_encode(b.data, b.len);
}

static int bad(struct kc_error *err, const char *why)
{
        return kc_err_bad_request(err, "invalid continue token: %s", why);
}

/* Would path.Clean leave it as it is? A start above the list's prefix would be one of another resource. */
static bool is_clean_key(const char *key)
{
        for (const char *part = *key == '/' ? key + 1 : key;; part++) {
                size_t len = strcspn(part, "/");
                if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.'))
                        return false;
                part += len;
                if (!*part)
                        return true;
        }
}

int list_token_decode(const char *token, const char *prefix, struct list_token *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (kc_base64url_decode(token, strlen(token), &b) < 0)
                return bad(err, "continue key is not valid: illegal base64 data");
        /* A key cannot hold a NUL (nor can our JSON): what comes after "x\0" comes after "x\1". */
        char *nul = strstr(kc_buf_str(&b), "\\u0000\"");
        if (nul) {
                size_t tail = b.len - (size_t)(nul - b.data) - strlen("\\u0000");
                memmove(nul, nul + strlen("\\u0000"), tail + 1);
                b.len -= strlen("\\u0000");
        }
        KC_CLEANUP(kc_json_freep) struct json_object *o = NULL;
        if (kc_json_parse(kc_buf_str(&b), b.len, NULL, &o, NULL) < 0)
                return bad(err, "continue key is not valid: invalid character");
        if (!kc_streq(kc_json_str(o, "v"), TOKEN_VERSION))
                return bad(err, "continue key is not valid: server does not recognize this encoded version");
        int64_t revision = kc_json_int(o, "rv", 0);
        if (revision == 0 || revision < -1)
                return bad(
                    err, "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
        const char *key = kc_json_str(o, "start");
        if (kc_str_empty(key))
                return bad(err, "continue key is not valid: encoded start key empty (version meta.k8s.io/v1)");
        if (!is_clean_key(key)) {
                KC_CLEANUP(kc_freep) char *why = kc_asprintf("continue key is not valid: %s", key);
                return bad(err, why);
        }
        ret->from_key = kc_asprintf("%s%s%s", prefix, *key == '/' ? key + 1 : key, nul ? "\x01" : "");
        ret->revision = revision;
        return 0;
}

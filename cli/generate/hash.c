/* Hashes of content for names, the same as kubectl's and kustomize's. Any thread. */
#include <string.h>

#include "base/encode.h"
#include "base/str.h"
#include "cli/generate/generate.h"
#include "cli/generate/generate_internal.h"
#include "tls/tls.h"

enum { HASH_LEN = 10 };

/* Ten digits of the SHA-256 without those that might make words: vowels, and what looks like them. */
static char *short_hash(const struct json_object *unsorted)
{
        static const char from[] = "013ae", to[] = "ghkmt";
        KC_CLEANUP(kc_buf_done) struct kc_buf sorted = KC_BUF_INIT;
        kc_json_write_sorted(&sorted, unsorted);
        KC_CLEANUP(kc_freep) char *text = kc_generate_go_escape(kc_buf_str(&sorted));
        unsigned char digest[32];
        kc_sha256(text, strlen(text), digest);
        KC_CLEANUP(kc_freep) char *hex = kc_hex_encode(digest, sizeof(digest));
        hex[HASH_LEN] = '\0';
        for (char *p = hex; *p; p++)
                if (strchr(from, *p))
                        *p = to[strchr(from, *p) - from];
        return kc_strdup(hex);
}

static struct json_object *hashed(const struct json_object *obj, const char *kind, const char *name)
{
        const struct json_object *immutable = kc_json_get(obj, "immutable");
        const struct json_object *data = kc_json_get(obj, "data");
        struct json_object *o = kc_json_build("{'kind':%s,'name':%s}", kind, name ? name : "");
        kc_json_set(o, "data", data ? kc_json_copy(data) : json_object_new_string(""));
        if (immutable)
                kc_json_set(o, "immutable", kc_json_copy(immutable));
        return o;
}

char *kc_generate_config_map_hash(const struct json_object *config_map)
{
        const struct json_object *binary = kc_json_get(config_map, "binaryData");
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = hashed(config_map, "ConfigMap", kc_json_str_at(config_map, "metadata.name"));
        if (kc_json_n_keys(binary) > 0)
                kc_json_set(o, "binaryData", kc_json_copy(binary));
        return short_hash(o);
}

char *kc_generate_secret_hash(const struct json_object *secret)
{
        const struct json_object *plain = kc_json_get(secret, "stringData");
        const char *type = kc_json_str(secret, "type");
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = hashed(secret, "Secret", kc_json_str_at(secret, "metadata.name"));
        kc_json_set_str(o, "type", type ? type : "");
        if (kc_json_n_keys(plain) > 0)
                kc_json_set(o, "stringData", kc_json_copy(plain));
        return short_hash(o);
}

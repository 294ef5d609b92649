/* Any bytes as YAML: within the limits, and what is read survives being written as YAML and read again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_number(const struct json_object *o)
{
        return json_object_is_type(o, json_type_int) || json_object_is_type(o, json_type_double);
}

/* Equal, but for 1.0 being the same as 1. */
static bool same(const struct json_object *a, const struct json_object *b)
{
        if (is_number(a) && is_number(b))
                return json_object_get_double(a) == json_object_get_double(b);
        if (kc_json_is_arr(a) && kc_json_len(a) == kc_json_len(b)) {
                for (size_t i = 0; i < kc_json_len(a); i++)
                        if (!same(kc_json_idx(a, i), kc_json_idx(b, i)))
                                return false;
                return kc_json_is_arr(b);
        }
        if (kc_json_is_obj(a) && kc_json_n_keys(a) == kc_json_n_keys(b)) {
                KC_JSON_FOREACH(a, key, val)
                {
                        if (!same(val, kc_json_get(b, key)))
                                return false;
                }
                return kc_json_is_obj(b);
        }
        return kc_json_equal(a, b);
}

static void check_round_trip(const struct json_object *o)
{
        static const struct kc_json_limits wide = {.max_bytes = 1 << 24, .max_depth = 100, .max_nodes = 100000};
        struct kc_buf text = KC_BUF_INIT;
        struct kc_error err = KC_ERROR_INIT;
        struct json_object *again = NULL;
        kc_yaml_write(&text, o);
        if (kc_yaml_parse(kc_buf_str(&text), text.len, &wide, &again, &err) < 0 || !same(o, again)) {
                KC_CLEANUP(kc_freep) char *before = kc_json_to_str(o), *after = kc_json_to_str(again);
                fprintf(stderr, "%s\n%s\n%s\n%s\n", before, text.data, after, kc_error_message(&err));
                abort();
        }
        kc_json_free(again);
        kc_buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct kc_error err = KC_ERROR_INIT;
        struct json_object **docs = NULL;
        struct kc_json_limits limits = {.max_bytes = 1 << 14, .max_depth = 30, .max_nodes = 2000};
        if (kc_yaml_parse_all((const char *)data, size, &limits, &docs, &err) < 0) {
                if (!err.errnum || !err.message)
                        abort();
                kc_error_done(&err);
                return 0;
        }
        for (size_t i = 0; docs[i]; i++)
                check_round_trip(docs[i]);
        kc_yaml_free_all(docs);
        return 0;
}

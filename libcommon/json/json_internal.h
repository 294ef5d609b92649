/* Shared by the sources of this layer. */
#pragma once

#include "json/json.h"

/* Aborts with a log line: a value of our own making could not be built. */
_Noreturn void kc_json_die(const char *why);

enum { KC_JSON_DOUBLE_LEN = 40 };
/* The shortest digits that read back as v; laid out as Go's encoding/json does ('j') or as strconv's 'g'. */
const char *kc_json_format_double(double v, char layout, char buf[static KC_JSON_DOUBLE_LEN]);
/* An integer literal that fits int64 becomes an integer, any other finite number a double; NULL if it is infinite (with
 * -ERANGE in ret_error) or memory is exhausted (-ENOMEM). */
struct json_object *kc_json_new_number(const char *literal, int *ret_error);

/* A child that is added to parent, an object (under key) or an array. 0 or -ENOMEM; take_v is consumed. */
int kc_json_attach(struct json_object *parent, const char *key, struct json_object *take_v);

struct kc_json_entry {
        const char *key;
        const struct json_object *value;
};
/* The entries of an object on the heap; in the given order of keys (NULL: insertion). */
struct kc_json_entry *kc_json_entries(const struct json_object *o, int (*compare)(const char *a, const char *b));

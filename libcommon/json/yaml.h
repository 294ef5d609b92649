/* YAML 1.1 as sigs.k8s.io/yaml reads and writes it, to and from JSON trees. */
#pragma once

#include "json/json.h"

/* All documents of a stream ("---"); empty documents are left out. *ret is an array of trees ended by NULL, on the
 * heap, each tree the caller's. A JSON document is accepted as well. Limits hold after alias expansion. Repeated keys
 * are an error. Scalars resolve as in Go (yes/no/on/off are booleans as YAML 1.1 says, 0777 octal, .inf rejected). */
int kc_yaml_parse_all(
    const char *data, size_t len, const struct kc_json_limits *limits, struct json_object ***ret, struct kc_error *err);
/* Exactly one document; an empty one gives a NULL tree. */
int kc_yaml_parse(
    const char *data, size_t len, const struct kc_json_limits *limits, struct json_object **ret, struct kc_error *err);
/* The same, but of a repeated key the last one wins. *ret_repeats: what was repeated, at most KC_JSON_MAX_DUPLICATES,
 * each as 'line 3: key "a" already set in map'; NULL: nothing. Heap. */
int kc_yaml_parse_lax(const char *data, size_t len, const struct kc_json_limits *limits, struct json_object **ret,
    char ***ret_repeats, struct kc_error *err);
/* Block style, keys sorted, 2 spaces, strings quoted only where they must be, "|" for multi-line: kubectl's -o yaml. */
void kc_yaml_write(struct kc_buf *b, const struct json_object *o);
void kc_yaml_free_all(struct json_object **take_docs);
KC_DEFINE_CLEANUP(struct json_object **, kc_yaml_free_all)

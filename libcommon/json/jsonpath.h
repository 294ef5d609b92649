/* JSONPath templates as kubectl and CRD columns use them (k8s.io/client-go/util/jsonpath):
 *
 *   {.items[*].metadata.name}   {range .items[*]}{.kind}{"\n"}{end}   {..uid}   {.a['b.c'][0,2][-1:]}
 *   {.status.conditions[?(@.type=="Ready")].status}   plain text stands for itself
 *
 * Several results of one action are joined by spaces. Strings come raw, objects and arrays as compact JSON with sorted
 * keys. Pure; a parsed template is immutable: any thread. */
#pragma once

#include "json/json.h"

struct kc_jsonpath;

/* -EINVAL with client-go's message ("unclosed action", ...); -ENOEXEC when client-go finds the fault only on use.
 * Templates of over 64 KiB are refused. */
int kc_jsonpath_parse(const char *text, struct kc_jsonpath **ret, struct kc_error *err);
void kc_jsonpath_free(struct kc_jsonpath *p);
KC_DEFINE_CLEANUP(struct kc_jsonpath *, kc_jsonpath_free)
/* "x.y", ".x.y", "{x.y}" and "{.x.y}" are all "{.x.y}", as --sort-by and custom-columns accept it; "" is "". Heap. */
int kc_jsonpath_relax(const char *text, char **ret, struct kc_error *err);

/* Appends the text. allow_missing: keys that are not there are no error and give nothing. */
int kc_jsonpath_print(const struct kc_jsonpath *p, const struct json_object *o, bool allow_missing, struct kc_buf *out,
    struct kc_error *err);

struct kc_jsonpath_values {
        const struct json_object **v; /* borrowed from the tree, or from the path's literals */
        size_t n, cap;
};
/* All results of a template that is one action. */
int kc_jsonpath_find(const struct kc_jsonpath *p, const struct json_object *o, bool allow_missing,
    struct kc_jsonpath_values *ret, struct kc_error *err);
void kc_jsonpath_values_done(struct kc_jsonpath_values *v);
/* One value as it is printed. */
void kc_jsonpath_value_text(const struct json_object *value, struct kc_buf *out);

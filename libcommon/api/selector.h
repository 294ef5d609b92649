/* Label and field selectors (apimachinery labels.Parse, fields.ParseSelector, metav1.LabelSelector). Immutable: any
 * thread. */
#pragma once

#include "json/json.h"

struct kc_selector;

/* "a=b,c!=d,e in (f,g),!h,i notin (j),k>5"; "" selects everything. Messages as upstream's parser. */
int kc_selector_parse(const char *s, struct kc_selector **ret, struct kc_error *err);
/* metav1.LabelSelector: NULL selects nothing, {} everything. */
int kc_selector_from_label_selector(const struct json_object *sel, struct kc_selector **ret, struct kc_error *err);
/* A plain map {"a":"b"} (Service, ReplicationController); NULL or {} selects everything. */
struct kc_selector *kc_selector_from_map(const struct json_object *map);
/* labels: an object of strings, or NULL. */
bool kc_selector_matches(const struct kc_selector *s, const struct json_object *labels);
bool kc_selector_is_everything(const struct kc_selector *s);
/* Canonical text, as upstream prints status.selector of scale: sorted by key, "a=b,c in (d,e)". */
char *kc_selector_format(const struct kc_selector *s);
/* [{"key":..,"operator":"In"|"NotIn"|"Exists"|"DoesNotExist","values":[..]}], as metav1.LabelSelectorRequirement; what
 * has no such form (>, <) is left out. The caller's. */
struct json_object *kc_selector_requirements(const struct kc_selector *s);
void kc_selector_free(struct kc_selector *s);
KC_DEFINE_CLEANUP(struct kc_selector *, kc_selector_free)

struct kc_field_selector;
/* "metadata.name=a,status.phase!=Running" with \\ \, \= escapes. */
int kc_field_selector_parse(const char *s, struct kc_field_selector **ret, struct kc_error *err);
/* get returns the value of a field, NULL for an unset one (compares as ""). */
bool kc_field_selector_matches(
    const struct kc_field_selector *s, const char *(*get)(const char *field, void *arg), void *arg);
size_t kc_field_selector_len(const struct kc_field_selector *s);
void kc_field_selector_at(
    const struct kc_field_selector *s, size_t i, const char **ret_field, bool *ret_negated, const char **ret_value);
/* The value that an "=" term requires of the field, or NULL. */
const char *kc_field_selector_requires(const struct kc_field_selector *s, const char *field);
void kc_field_selector_free(struct kc_field_selector *s);
KC_DEFINE_CLEANUP(struct kc_field_selector *, kc_field_selector_free)

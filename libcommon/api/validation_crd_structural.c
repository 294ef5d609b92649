/* Structural schemas: what a schema must be for pruning and defaulting to work. Any thread. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "api/validation_crd.h"
#include "base/mem.h"
#include "base/str.h"

enum level { LEVEL_ROOT, LEVEL_ITEM, LEVEL_FIELD };

static bool flag(const struct json_object *schema, const char *key)
{
        return kc_json_bool(schema, key, false);
}

/* The one schema of items; NULL for an array of them. */
static const struct json_object *items_of(const struct json_object *schema)
{
        const struct json_object *items = kc_json_get(schema, "items");
        return kc_json_is_obj(items) ? items : NULL;
}

/* --- Values under anyOf, allOf, oneOf and not */

static const char *const junctors[] = {"anyOf", "allOf", "oneOf"};

/* anyOf: [{type: integer}, {type: string}] */
static bool is_int_or_string(const struct json_object *any_of)
{
        static const char *const types[] = {"integer", "string"};
        if (kc_json_len(any_of) != 2)
                return false;
        for (size_t i = 0; i < 2; i++)
                if (kc_json_n_keys(kc_json_idx(any_of, i)) != 1 ||
                    !kc_streq(kc_json_str(kc_json_idx(any_of, i), "type"), types[i]))
                        return false;
        return true;
}

static void pattern(struct kc_v *v, const struct kc_vpath *p, const char *text)
{
        int code;
        PCRE2_SIZE at;
        PCRE2_UCHAR why[256];
        if (!text || !*text)
                return;
        pcre2_code *re = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &at, NULL);
        if (!re) {
                pcre2_get_error_message(code, why, sizeof(why));
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf(
                    "must be a valid regular expression, but isn't: error parsing regexp: %s", (const char *)why);
                kc_v_invalid_str(v, V_CHILD(p, "pattern"), text, detail);
        }
        pcre2_code_free(re);
}

static void nested(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema, bool skip_any_of);

/* int_or_string: anyOf (or that of the first of allOf) may say the types. */
static void values(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema, bool int_or_string)
{
        for (size_t j = 0; j < KC_ARRAY_LEN(junctors); j++) {
                const struct json_object *list = kc_json_get(schema, junctors[j]);
                if (int_or_string && j == 0 && is_int_or_string(list))
                        continue;
                for (size_t i = 0; i < kc_json_len(list); i++)
                        nested(v, V_INDEX(V_CHILD(p, junctors[j]), i), kc_json_idx(list, i),
                            int_or_string && j == 1 && i == 0);
        }
        if (kc_json_get(schema, "not"))
                nested(v, V_CHILD(p, "not"), kc_json_get(schema, "not"), false);
        pattern(v, p, kc_json_str(schema, "pattern"));
}

static void nested(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema, bool skip_any_of)
{
        static const struct {
                const char *key, *must_be;
        } forbidden[] = {
            {"type", "empty"},
            {"additionalProperties", "undefined"},
            {"default", "undefined"},
            {"title", "empty"},
            {"description", "empty"},
            {"nullable", "false"},
            {"externalDocs", "undefined"},
            {"x-kubernetes-preserve-unknown-fields", "false"},
            {"x-kubernetes-embedded-resource", "false"},
            {"x-kubernetes-int-or-string", "false"},
            {"x-kubernetes-list-map-keys", "empty"},
            {"x-kubernetes-list-type", "undefined"},
            {"x-kubernetes-map-type", "undefined"},
            {"x-kubernetes-validations", "empty"},
        };
        values(v, p, schema, skip_any_of);
        if (items_of(schema))
                nested(v, V_CHILD(p, "items"), items_of(schema), false);
        KC_JSON_FOREACH(kc_json_get(schema, "properties"), key, property)
        nested(v, V_KEY(V_CHILD(p, "properties"), key), property, false);
        for (size_t i = 0; i < KC_ARRAY_LEN(forbidden); i++) {
                const struct json_object *o = kc_json_get(schema, forbidden[i].key);
                KC_CLEANUP(kc_freep) char *detail = kc_asprintf("must be %s to be structural", forbidden[i].must_be);
                bool off = json_object_is_type(o, json_type_boolean) && !json_object_get_boolean(o) &&
                           kc_streq(forbidden[i].must_be, "false");
                if (o && !off)
                        kc_v_forbidden(v, V_CHILD(p, forbidden[i].key), detail);
        }
        if (kc_json_get(kc_json_get(schema, "properties"), "metadata"))
                kc_v_forbidden(
                    v, V_KEY(V_CHILD(p, "properties"), "metadata"), "must not be specified in a nested context");
}

/* --- Fields */

static void type(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema, enum level level)
{
        static const char *const where[] = {"must not be empty at the root",
            "must not be empty for specified array items", "must not be empty for specified object fields"};
        static const char embedded[] = "must be object if x-kubernetes-embedded-resource is true";
        const char *t = kc_v_str(schema, "type");
        const struct kc_vpath *at = V_CHILD(p, "type");
        if (flag(schema, "x-kubernetes-embedded-resource") && !kc_streq(t, "object")) {
                if (*t)
                        kc_v_invalid_str(v, at, t, embedded);
                else
                        kc_v_required(v, at, embedded);
        } else if (!*t && !flag(schema, "x-kubernetes-int-or-string") &&
                   !flag(schema, "x-kubernetes-preserve-unknown-fields")) {
                kc_v_required(v, at, where[level]);
        }
        if (flag(schema, "x-kubernetes-embedded-resource") && kc_json_get(schema, "additionalProperties"))
                kc_v_forbidden(
                    v, V_CHILD(p, "additionalProperties"), "must not be used if x-kubernetes-embedded-resource is set");
        if (level == LEVEL_ROOT && *t && !kc_streq(t, "object"))
                kc_v_invalid_str(v, at, t, "must be object at the root");
}

/* At the root, metadata may say something of name and generateName only. */
static void metadata(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema, enum level level)
{
        static const char *const strings[] = {"kind", "apiVersion"};
        const struct json_object *properties = kc_json_get(schema, "properties");
        const struct json_object *meta = kc_json_get(properties, "metadata");
        const struct kc_vpath *at = V_CHILD(p, "properties");
        bool check = level == LEVEL_ROOT || flag(schema, "x-kubernetes-embedded-resource");
        for (size_t i = 0; check && i < KC_ARRAY_LEN(strings); i++) {
                const struct json_object *o = kc_json_get(properties, strings[i]);
                if (o && !kc_streq(kc_v_str(o, "type"), "string"))
                        kc_v_invalid_str(
                            v, V_CHILD(V_KEY(at, strings[i]), "type"), kc_v_str(o, "type"), "must be string");
        }
        if (!meta)
                return;
        if (check && !kc_streq(kc_v_str(meta, "type"), "object"))
                kc_v_invalid_str(v, V_CHILD(V_KEY(at, "metadata"), "type"), kc_v_str(meta, "type"), "must be object");
        bool extra = false;
        KC_JSON_FOREACH(meta, key, value)
        {
                (void)value; /* looked at below */
                if (!kc_streq(key, "type") && !kc_streq(key, "properties") && !kc_streq(key, "default"))
                        extra = true;
        }
        KC_JSON_FOREACH(kc_json_get(meta, "properties"), key, value)
        {
                (void)value; /* whatever it restricts */
                if (!kc_streq(key, "name") && !kc_streq(key, "generateName"))
                        extra = true;
        }
        if (level == LEVEL_ROOT && extra)
                kc_v_forbidden(v, V_KEY(at, "metadata"),
                    "must not specify anything other than name and generateName, but metadata is implicitly specified");
}

static void extensions(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema)
{
        static const char *const keys[] = {"x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"};
        for (size_t i = 0; flag(schema, "x-kubernetes-int-or-string") && i < KC_ARRAY_LEN(keys); i++)
                if (flag(schema, keys[i]))
                        kc_v_invalid(v, V_CHILD(p, keys[i]), kc_json_get(schema, keys[i]),
                            "must be false if x-kubernetes-int-or-string is true");
}

static void invariants(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema, enum level level)
{
        const struct json_object *additional = kc_json_get(schema, "additionalProperties");
        const struct json_object *first = kc_json_idx(kc_json_get(schema, "allOf"), 0);
        if (kc_streq(kc_v_str(schema, "type"), "array") && !kc_json_get(schema, "items"))
                kc_v_required(v, V_CHILD(p, "items"), "must be specified");
        if (items_of(schema))
                invariants(v, V_CHILD(p, "items"), items_of(schema), LEVEL_ITEM);
        KC_JSON_FOREACH(kc_json_get(schema, "properties"), key, property)
        invariants(v, V_KEY(V_CHILD(p, "properties"), key), property, LEVEL_FIELD);
        if (additional && level == LEVEL_ROOT)
                kc_v_forbidden(v, V_CHILD(p, "additionalProperties"), "must not be used at the root");
        if (kc_json_is_obj(additional))
                invariants(v, V_CHILD(p, "additionalProperties"), additional, LEVEL_FIELD);
        extensions(v, p, schema);
        values(v, p, schema,
            is_int_or_string(kc_json_get(schema, "anyOf")) || is_int_or_string(kc_json_get(first, "anyOf")));
        type(v, p, schema, level);
        metadata(v, p, schema, level);
        if (flag(schema, "x-kubernetes-embedded-resource") && !flag(schema, "x-kubernetes-preserve-unknown-fields") &&
            kc_json_n_keys(kc_json_get(schema, "properties")) == 0)
                kc_v_required(v, V_CHILD(p, "properties"),
                    "must not be empty if x-kubernetes-embedded-resource is true without "
                    "x-kubernetes-preserve-unknown-fields");
}

/* --- Completeness: what is said of values is said of fields that are there */

static void missing(struct kc_v *v, const struct kc_vpath *p, const struct kc_vpath *because)
{
        KC_CLEANUP(kc_freep) char *text = kc_v_path(because);
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("because it is defined in %s", text);
        kc_v_required(v, p, detail);
}

static void complete(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema,
    const struct kc_vpath *value_path, const struct json_object *value);

static void complete_junctors(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema,
    const struct kc_vpath *value_path, const struct json_object *value)
{
        for (size_t j = 0; j < KC_ARRAY_LEN(junctors); j++) {
                const struct json_object *list = kc_json_get(value, junctors[j]);
                for (size_t i = 0; i < kc_json_len(list); i++)
                        complete(v, p, schema, V_INDEX(V_CHILD(value_path, junctors[j]), i), kc_json_idx(list, i));
        }
        if (kc_json_get(value, "not"))
                complete(v, p, schema, V_CHILD(value_path, "not"), kc_json_get(value, "not"));
}

static void complete(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema,
    const struct kc_vpath *value_path, const struct json_object *value)
{
        const struct json_object *properties = kc_json_get(schema, "properties");
        complete_junctors(v, p, schema, value_path, value);
        if (items_of(value) && !items_of(schema))
                missing(v, V_CHILD(p, "items"), V_CHILD(value_path, "items"));
        else if (items_of(value))
                complete(v, V_CHILD(p, "items"), items_of(schema), V_CHILD(value_path, "items"), items_of(value));
        KC_JSON_FOREACH(kc_json_get(value, "properties"), key, property)
        {
                const struct kc_vpath *at = V_KEY(V_CHILD(p, "properties"), key);
                const struct kc_vpath *value_at = V_KEY(V_CHILD(value_path, "properties"), key);
                if (kc_json_get(properties, key))
                        complete(v, at, kc_json_get(properties, key), value_at, property);
                else
                        missing(v, at, value_at);
        }
}

static void completeness(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema)
{
        const struct json_object *additional = kc_json_get(schema, "additionalProperties");
        complete_junctors(v, p, schema, p, schema);
        if (items_of(schema))
                completeness(v, V_CHILD(p, "items"), items_of(schema));
        KC_JSON_FOREACH(kc_json_get(schema, "properties"), key, property)
        completeness(v, V_KEY(V_CHILD(p, "properties"), key), property);
        if (kc_json_is_obj(additional))
                completeness(v, V_CHILD(p, "additionalProperties"), additional);
}

static int compare(const void *a, const void *b)
{
        const struct kc_error_cause *x = a, *y = b;
        KC_CLEANUP(kc_freep) char *s = kc_asprintf("%s: %s", x->field, x->message);
        KC_CLEANUP(kc_freep) char *t = kc_asprintf("%s: %s", y->field, y->message);
        return strcmp(s, t);
}

void kc_v_crd_structural(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema)
{
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors found = {0};
        struct kc_v own = {.errors = &found};
        invariants(&own, p, schema, LEVEL_ROOT);
        completeness(&own, p, schema);
        if (found.n > 0)
                qsort(found.v, found.n, sizeof(*found.v), compare);
        for (size_t i = 0; i < found.n; i++)
                kc_field_add(v->errors, found.v[i].reason, found.v[i].field, found.v[i].message);
}

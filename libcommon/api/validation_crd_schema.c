/* OpenAPI v3 schemas of CustomResourceDefinitions; the expressions in them are compiled elsewhere. Any thread. */
#include <string.h>

#include "api/validation_crd.h"
#include "base/mem.h"
#include "base/str.h"

#define LIST_TYPE "x-kubernetes-list-type"
#define MAP_TYPE "x-kubernetes-map-type"
#define MAP_KEYS "x-kubernetes-list-map-keys"

/* Where a schema stands. */
struct place {
        const char *no_defaults; /* why there may be none; NULL: there may */
        bool in_meta;            /* of an object's metadata, kind or apiVersion */
};

static void unsupported(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema, const struct place *at)
{
        static const char *const types[] = {"array", "boolean", "integer", "number", "object", "string", NULL};
        static const char *const keys[] = {
            "id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"};
        static const char *const not_in_meta[] = {
            "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string"};
        const char *type = kc_v_str(schema, "type");
        KC_CLEANUP(kc_freep)
        char *no_default = kc_asprintf("must not be set %s", at->no_defaults ? at->no_defaults : "");
        if (at->no_defaults && kc_json_get(schema, "default"))
                kc_v_forbidden(v, V_CHILD(p, "default"), no_default);
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++) {
                KC_CLEANUP(kc_freep) char *detail = kc_asprintf("%s is not supported", keys[i]);
                if (kc_json_get(schema, keys[i]))
                        kc_v_forbidden(v, V_CHILD(p, keys[i]), detail);
        }
        if (kc_streq(type, "null"))
                kc_v_forbidden(v, V_CHILD(p, "type"), "type cannot be set to null, use nullable as an alternative");
        if (kc_json_is_arr(kc_json_get(schema, "items")))
                kc_v_forbidden(v, V_CHILD(p, "items"), "items must be a schema object and not an array");
        if (*type && !kc_v_in(type, types))
                kc_v_not_supported(v, V_CHILD(p, "type"), type, types);
        for (size_t i = 0; at->in_meta && i < KC_ARRAY_LEN(not_in_meta); i++)
                if (kc_json_bool(schema, not_in_meta[i], false))
                        kc_v_forbidden(v, V_CHILD(p, not_in_meta[i]), "must not be used inside of resource meta");
        if (kc_json_bool(schema, "uniqueItems", false))
                kc_v_forbidden(v, V_CHILD(p, "uniqueItems"),
                    "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
}

/* type must be wanted where key is given. */
static void type_for(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema, const char *key, const char *wanted)
{
        const char *type = kc_v_str(schema, "type");
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("must be %s if %s is specified", wanted, key);
        if (!kc_json_get(schema, key) || kc_streq(type, wanted))
                return;
        if (*type)
                kc_v_invalid_str(v, V_CHILD(p, "type"), type, detail);
        else
                kc_v_required(v, V_CHILD(p, "type"), detail);
}

static void set_items(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema)
{
        static const char atomic[] = "must be atomic as item of a list with x-kubernetes-list-type=set";
        const struct json_object *items = kc_json_get(schema, "items");
        const char *type = kc_v_str(items, "type"), *list = kc_json_str(items, LIST_TYPE);
        if (!kc_streq(kc_json_str(schema, LIST_TYPE), "set") || !kc_streq(kc_v_str(schema, "type"), "array"))
                return;
        if (kc_streq(type, "array") && list && !kc_streq(list, "atomic"))
                kc_v_invalid_str(v, V_CHILD2(p, "items", LIST_TYPE), list, atomic);
        if (kc_streq(type, "object") && !kc_streq(kc_json_str(items, MAP_TYPE), "atomic"))
                kc_v_invalid(v, V_CHILD2(p, "items", MAP_TYPE), kc_json_get(items, LIST_TYPE), atomic);
}

static void map_keys(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema)
{
        const struct json_object *keys = kc_json_get(schema, MAP_KEYS), *items = kc_json_get(schema, "items");
        const struct kc_vpath *at = V_CHILD(p, MAP_KEYS);
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(keys); i++) {
                const char *key = kc_json_as_str(kc_json_idx(keys, i));
                const struct json_object *property = kc_json_get(kc_json_get(items, "properties"), key ? key : "");
                const char *type = kc_v_str(property, "type");
                if (!property)
                        kc_v_invalid(v, at, keys, "entries must all be names of item properties");
                else if (kc_streq(type, "array") || kc_streq(type, "object"))
                        kc_v_invalid_str(v, V_CHILD(V_KEY(V_CHILD2(p, "items", "properties"), key), "type"),
                            kc_v_str(items, "type"), "must be a scalar type if parent array's " LIST_TYPE " is map");
                if (!kc_v_first(seen, key ? key : ""))
                        kc_v_invalid(v, at, keys, "must not contain duplicate entries");
        }
}

static void list_map(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema)
{
        const struct json_object *keys = kc_json_get(schema, MAP_KEYS), *items = kc_json_get(schema, "items");
        const char *list = kc_json_str(schema, LIST_TYPE), *type = kc_v_str(items, "type");
        static const char needs_map[] = "must be map if " MAP_KEYS " is non-empty";
        if (kc_json_len(keys) > 0 && !list)
                kc_v_required(v, V_CHILD(p, LIST_TYPE), needs_map);
        else if (kc_json_len(keys) > 0 && !kc_streq(list, "map"))
                kc_v_invalid_str(v, V_CHILD(p, LIST_TYPE), list, needs_map);
        if (!kc_streq(list, "map"))
                return;
        if (kc_json_len(keys) == 0)
                kc_v_required(v, V_CHILD(p, MAP_KEYS), "must not be empty if " LIST_TYPE " is map");
        if (!items)
                kc_v_required(v, V_CHILD(p, "items"), "must have a schema if " LIST_TYPE " is map");
        else if (kc_json_is_arr(items))
                kc_v_invalid(v, V_CHILD(p, "items"), items, "must only have a single schema if " LIST_TYPE " is map");
        else if (!kc_streq(type, "object"))
                kc_v_invalid_str(
                    v, V_CHILD2(p, "items", "type"), type, "must be object if parent array's " LIST_TYPE " is map");
        else
                map_keys(v, p, schema);
}

static bool in_list(const struct json_object *list, const char *s)
{
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(list, i)), s))
                        return true;
        return false;
}

/* Keys of maps have a value in every item. */
static void keys_present(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema)
{
        const struct json_object *items = kc_json_get(schema, "items"), *keys = kc_json_get(schema, MAP_KEYS);
        const char *list = kc_json_str(schema, LIST_TYPE);
        if (!kc_json_is_obj(items) || (!kc_streq(list, "map") && !kc_streq(list, "set")))
                return;
        if (kc_json_bool(items, "nullable", false))
                kc_v_forbidden(
                    v, V_CHILD2(p, "items", "nullable"), "cannot be nullable when " LIST_TYPE " is map or set");
        for (size_t i = 0; kc_streq(list, "map") && i < kc_json_len(keys); i++) {
                const char *key = kc_json_as_str(kc_json_idx(keys, i));
                const struct json_object *property = kc_json_get(kc_json_get(items, "properties"), key ? key : "");
                const struct kc_vpath *at = V_KEY(V_CHILD2(p, "items", "properties"), key);
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf(
                    "this property is in %s, so it must have a default or be a required property", MAP_KEYS);
                if (!property)
                        continue;
                if (!kc_json_get(property, "default") && !in_list(kc_json_get(items, "required"), key))
                        kc_v_required(v, V_CHILD(at, "default"), detail);
                if (kc_json_bool(property, "nullable", false))
                        kc_v_forbidden(
                            v, V_CHILD(at, "nullable"), "this property is in " MAP_KEYS ", so it cannot be nullable");
        }
}

static void list_and_map_types(struct kc_v *v, const struct kc_vpath *p, const struct json_object *schema)
{
        static const char *const map_types[] = {"atomic", "granular", NULL};
        static const char *const list_types[] = {"atomic", "set", "map", NULL};
        const struct json_object *keep = kc_json_get(schema, "x-kubernetes-preserve-unknown-fields");
        const char *map = kc_json_str(schema, MAP_TYPE), *list = kc_json_str(schema, LIST_TYPE);
        if (keep && !json_object_get_boolean(keep))
                kc_v_invalid(v, V_CHILD(p, "x-kubernetes-preserve-unknown-fields"), keep, "must be true or undefined");
        type_for(v, p, schema, MAP_TYPE, "object");
        if (map && !kc_v_in(map, map_types))
                kc_v_not_supported(v, V_CHILD(p, MAP_TYPE), map, map_types);
        type_for(v, p, schema, LIST_TYPE, "array");
        set_items(v, p, schema);
        if (list && !kc_v_in(list, list_types))
                kc_v_not_supported(v, V_CHILD(p, LIST_TYPE), list, list_types);
        list_map(v, p, schema);
        keys_present(v, p, schema);
}

static void rule(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        static const char *const reasons[] = {
            "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired", NULL};
        const char *text = kc_v_str(o, "rule"), *message = kc_v_str(o, "message");
        const char *expression = kc_v_str(o, "messageExpression"), *reason = kc_json_str(o, "reason");
        const char *field = kc_v_str(o, "fieldPath");
        KC_CLEANUP(kc_freep) char *trimmed_rule = kc_str_trim(text);
        KC_CLEANUP(kc_freep) char *trimmed = kc_str_trim(message);
        if (!*trimmed_rule)
                kc_v_required(v, V_CHILD(p, "rule"), "rule is not specified");
        else if (*message && !*trimmed)
                kc_v_invalid_str(v, V_CHILD(p, "message"), message, "must be non-empty if specified");
        else if (strpbrk(trimmed, "\r\n"))
                kc_v_invalid_str(v, V_CHILD(p, "message"), message, "must not contain line breaks");
        else if (strpbrk(trimmed_rule, "\r\n") && !*trimmed)
                kc_v_required(v, V_CHILD(p, "message"), "message must be specified if rule contains line breaks");
        if (*expression && kc_v_is_blank(expression))
                kc_v_required(v, V_CHILD(p, "messageExpression"), "messageExpression must be non-empty if specified");
        if (reason && !kc_v_in(reason, reasons))
                kc_v_not_supported(v, V_CHILD(p, "reason"), reason, reasons);
        if (*field && kc_v_is_blank(field))
                kc_v_invalid_str(v, V_CHILD(p, "fieldPath"), field, "must be non-empty if specified");
        if (strpbrk(field, "\r\n"))
                kc_v_invalid_str(v, V_CHILD(p, "fieldPath"), field, "must not contain line breaks");
}

static void schema(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, bool root, struct place at);

static void properties(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, bool root, struct place at)
{
        static const char *const meta[] = {"metadata", "kind", "apiVersion", NULL};
        bool resource = root || kc_json_bool(o, "x-kubernetes-embedded-resource", false);
        KC_JSON_FOREACH(kc_json_get(o, "properties"), key, property)
        {
                struct place below = at;
                KC_CLEANUP(kc_freep) char *why = kc_asprintf("in top-level %s", key);
                below.in_meta = at.in_meta || (resource && kc_v_in(key, meta));
                if (root && kc_v_in(key, meta))
                        below.no_defaults = why;
                schema(v, V_KEY(V_CHILD(p, "properties"), key), property, false, below);
        }
}

static void schema(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, bool root, struct place at)
{
        static const char *const junctors[] = {"allOf", "oneOf", "anyOf"};
        const struct json_object *additional = kc_json_get(o, "additionalProperties");
        const struct json_object *rules = kc_json_get(o, "x-kubernetes-validations");
        struct place below = at;
        unsupported(v, p, o, &at);
        if (additional && kc_json_n_keys(kc_json_get(o, "properties")) > 0 &&
            (kc_json_is_obj(additional) || !json_object_get_boolean(additional)))
                kc_v_forbidden(
                    v, V_CHILD(p, "additionalProperties"), "additionalProperties and properties are mutual exclusive");
        if (at.in_meta)
                below.no_defaults = "inside additionalProperties applying to object metadata";
        if (kc_json_is_obj(additional))
                schema(v, V_CHILD(p, "additionalProperties"), additional, false, below);
        properties(v, p, o, root, at);
        if (kc_json_get(o, "not"))
                schema(v, V_CHILD(p, "not"), kc_json_get(o, "not"), false, at);
        for (size_t j = 0; j < KC_ARRAY_LEN(junctors); j++) {
                const struct json_object *list = kc_json_get(o, junctors[j]);
                for (size_t i = 0; i < kc_json_len(list); i++)
                        schema(v, V_INDEX(V_CHILD(p, junctors[j]), i), kc_json_idx(list, i), false, at);
        }
        if (kc_json_is_obj(kc_json_get(o, "items")))
                schema(v, V_CHILD(p, "items"), kc_json_get(o, "items"), false, at);
        list_and_map_types(v, p, o);
        for (size_t i = 0; i < kc_json_len(rules); i++)
                rule(v, V_INDEX(V_CHILD(p, "x-kubernetes-validations"), i), kc_json_idx(rules, i));
}

/* With the status subresource, the schema of status is taken out of the root's: nothing may span both. */
static void root_with_status(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        static const char *const allowed[] = {"description", "type", "format", "title", "maximum", "exclusiveMaximum",
            "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems",
            "multipleOf", "required", "items", "properties", "externalDocs", "example",
            "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations", NULL};
        KC_JSON_FOREACH(o, key, value)
        {
                if (kc_streq(key, "type") && !kc_streq(kc_json_as_str(value), "object")) {
                        kc_v_invalid_str(v, V_CHILD(p, "openAPIV3Schema.type"), kc_v_str(o, "type"),
                            "only \"object\" is allowed as the type at the root of the schema if the status "
                            "subresource "
                            "is enabled");
                        return;
                }
                if (kc_v_in(key, allowed))
                        continue;
                kc_v_invalid(v, V_CHILD(p, "openAPIV3Schema"), o,
                    "only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength "
                    "MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs "
                    "Example XPreserveUnknownFields XValidations] fields are allowed at the root of the schema if the "
                    "status subresource is enabled");
                return;
        }
}

void kc_v_crd_validation(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *validation, bool with_status)
{
        const struct json_object *o = kc_json_get(validation, "openAPIV3Schema");
        const struct kc_vpath *at = V_CHILD(p, "openAPIV3Schema");
        if (!o)
                return;
        if (with_status)
                root_with_status(v, p, o);
        if (kc_json_bool(o, "nullable", false))
                kc_v_forbidden(v, V_CHILD(p, "openAPIV3Schema.nullable"), "nullable cannot be true at the root");
        kc_v_crd_structural(v, at, o);
        schema(v, at, o, true, (struct place){0});
}

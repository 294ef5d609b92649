/* Checks configuration files against the fields that their reader knows. Pure: any thread. */
#include "api/shape.h"

#include <string.h>

#include "base/str.h"
#include "json/json.h"

struct check {
        struct kc_field_errors *errors;
        enum kc_shape_unknown unknown;
};

static void check_object(
    const struct check *c, const struct json_object *o, const char *path, const struct kc_shape *fields);

static const struct kc_shape *find(const struct kc_shape *fields, const char *name)
{
        for (; fields->name; fields++)
                if (strcmp(fields->name, name) == 0)
                        return fields;
        return NULL;
}

static void check_list(
    const struct check *c, const struct json_object *list, const char *path, const struct kc_shape *field)
{
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *v = kc_json_idx(list, i);
                KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s[%zu]", path, i);
                if (field->type == KC_SHAPE_OBJECTS)
                        check_object(c, v, at, field->fields);
                else if (!kc_json_as_str(v))
                        kc_field_invalid(c->errors, at, v, "must be a string");
        }
}

static void check_value(
    const struct check *c, const struct json_object *v, const char *path, const struct kc_shape *field)
{
        switch (field->type) {
        case KC_SHAPE_STRING:
                if (!kc_json_as_str(v))
                        kc_field_invalid(c->errors, path, v, "must be a string");
                return;
        case KC_SHAPE_BOOL:
                if (json_object_get_type(v) != json_type_boolean)
                        kc_field_invalid(c->errors, path, v, "must be true or false");
                return;
        case KC_SHAPE_OBJECT:
                check_object(c, v, path, field->fields);
                return;
        case KC_SHAPE_STRINGS:
        case KC_SHAPE_OBJECTS:
                if (kc_json_is_arr(v))
                        check_list(c, v, path, field);
                else
                        kc_field_invalid(c->errors, path, v, "must be a list");
                return;
        }
}

static void check_object(
    const struct check *c, const struct json_object *o, const char *path, const struct kc_shape *fields)
{
        if (!kc_json_is_obj(o)) {
                kc_field_invalid(c->errors, path, o, "must be an object");
                return;
        }
        if (!fields)
                return;
        KC_JSON_FOREACH(o, key, v)
        {
                KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s%s%s", path, *path ? "." : "", key);
                const struct kc_shape *field = find(fields, key);
                if (field && v)
                        check_value(c, v, at, field);
                else if (!field && c->unknown == KC_SHAPE_REFUSE_UNKNOWN)
                        kc_field_forbidden(c->errors, at, "unknown field");
        }
}

void kc_shape_check(struct kc_field_errors *errors, const struct json_object *o, const char *path,
    const struct kc_shape *fields, enum kc_shape_unknown unknown)
{
        const struct check c = {.errors = errors, .unknown = unknown};
        check_object(&c, o, path, fields);
}

/* The shape of configuration files: which fields an object has, and of which types. A file of another shape is refused
 * before it is read: a list that is left out for being no list may have been what narrowed a right. */
#pragma once

#include "api/status.h"

enum kc_shape_type {
        KC_SHAPE_STRING,
        KC_SHAPE_BOOL,
        KC_SHAPE_OBJECT,
        KC_SHAPE_STRINGS, /* list of strings */
        KC_SHAPE_OBJECTS, /* list of objects */
};

/* One field. Lists of fields end with one without a name. */
struct kc_shape {
        const char *name;
        enum kc_shape_type type;
        const struct kc_shape *fields; /* of the object or objects; NULL: any */
};

enum kc_shape_unknown { KC_SHAPE_REFUSE_UNKNOWN, KC_SHAPE_IGNORE_UNKNOWN };

/* Adds what is wrong with o, at all depths: unknown fields ("Forbidden: unknown field") unless they are ignored, and
 * values of other types. path: o's own, "" for the file's top. null stands for absence, as in Go. Any thread. */
void kc_shape_check(struct kc_field_errors *errors, const struct json_object *o, const char *path,
    const struct kc_shape *fields, enum kc_shape_unknown unknown);

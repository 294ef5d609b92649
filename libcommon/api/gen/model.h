/* What kc-schema-gen knows after reading the YAML files: group-versions, their resources and types, with every
 * reference between types still by name. Everything lives until the program ends. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct field {
        const char *name;
        const char *type; /* as written: "*int32", "[]Container", "map[string]string", "meta.v1.ObjectMeta" */
        int wire;         /* as in api/schema.h */
        bool required, keep, wrapped, map_atomic, map_granular, patch_merge, patch_replace, patch_retain_keys;
        const char *default_json, *list, *patch_key, *doc;
        char **keys, **enums;
};

struct type {
        char *name, *doc;
        bool map_atomic, type_meta, any, any_object, variant;
        char **union_fields;
        struct field *fields; /* in encoding order */
        size_t n_fields;
};

struct column {
        char *name, *type, *format, *doc;
        int priority;
};

struct subresource {
        char *name, *kind, *group, *version;
        bool served;
        unsigned verbs;
};

struct resource {
        char *name, *kind, *singular, *stored_group, *stored_version;
        bool namespaced, served, returns_deleted;
        unsigned verbs;
        char **short_names, **categories, **selectable;
        struct column *columns;
        size_t n_columns;
        struct subresource *subresources;
        size_t n_subresources;
};

struct group_version {
        char *file, *group, *version, *package;
        char *symbol; /* "core_v1": the part of C names that tells packages apart */
        int priority; /* higher ones come first in discovery */
        struct resource *resources;
        size_t n_resources;
        struct type *types;
        size_t n_types;
};

struct model {
        struct group_version *v;
        size_t n;
};

/* Ends the program with a message that names the file. */
_Noreturn void die(const char *file, size_t line, const char *fmt, ...) KC_PRINTF(3, 4);

/* Reads one file and appends it. */
void model_load(struct model *m, const char *path);
/* Adds the XList types of all resources that can be listed. */
void model_add_lists(struct model *m);
/* Writes zz_generated_*.c and zz_generated_types.h to the directory. */
void model_emit(const struct model *m, const char *dir);

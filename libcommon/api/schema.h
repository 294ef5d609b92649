/* The schema of the API: group-versions, resources, kinds and types as constant tables, generated from
 * schema/<group>/<version>.yaml by kc-schema-gen. Everything the API serves is derived from them.
 *
 *   kc_group_version --> kc_resource[] --> kc_type (an object type) --> kc_field[] --> kc_type ...
 *
 * Tables are constant; later, CustomResourceDefinitions compile into the same structs at run time, so walk them through
 * pointers only and never compare with static addresses. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "json/json.h"

enum kc_type_kind {
        KC_TYPE_OBJECT,  /* struct with fields */
        KC_TYPE_MAP,     /* string keys, values of elem */
        KC_TYPE_ARRAY,   /* elements of elem */
        KC_TYPE_VARIANT, /* one of several, told apart in JSON by their kind: fields are named object, array, boolean */
        KC_TYPE_STRING,
        KC_TYPE_INT32,
        KC_TYPE_INT64,
        KC_TYPE_DOUBLE,
        KC_TYPE_BOOL,
        KC_TYPE_BYTES,         /* base64 string */
        KC_TYPE_QUANTITY,      /* string or number on the wire */
        KC_TYPE_INT_OR_STRING, /* integer or string */
        KC_TYPE_TIME,          /* metav1.Time */
        KC_TYPE_MICRO_TIME,
        KC_TYPE_DURATION,
        KC_TYPE_RAW, /* any JSON, kept as it is (RawExtension, FieldsV1, JSON of CustomResourceDefinitions) */
};

enum { KC_WIRE_BITS = 10 };

enum kc_list_type { KC_LIST_ATOMIC, KC_LIST_SET, KC_LIST_MAP };

enum {
        KC_FIELD_REQUIRED = 1 << 0,
        KC_FIELD_PATCH_MERGE = 1 << 1,       /* x-kubernetes-patch-strategy has merge */
        KC_FIELD_PATCH_RETAIN_KEYS = 1 << 2, /* ... retainKeys */
        KC_FIELD_MAP_ATOMIC = 1 << 3,        /* x-kubernetes-map-type: atomic, on the field */
        KC_FIELD_OMIT_EMPTY = 1 << 4,        /* encoders leave out the zero value */
        KC_FIELD_POINTER = 1 << 5,           /* absent (null) and zero differ; zero is kept */
        KC_FIELD_MAP_GRANULAR = 1 << 7,      /* x-kubernetes-map-type: granular, on the field */
        KC_FIELD_WRAPPED = 1 << 8,           /* a list that protobuf has as a message, { items = 1 } */
        KC_FIELD_PATCH_REPLACE = 1 << 6,     /* x-kubernetes-patch-strategy is replace: objects are not merged */
};

struct kc_type;

struct kc_field {
        const char *name;
        const struct kc_type *type;
        uint32_t flags;
        /* Protobuf field number; 0: none. A field of an embedded message has the numbers that lead to it, at most
         * three, KC_WIRE_BITS each, the outermost highest: outer << 10 | inner. */
        int wire;
        const char *merge_key;    /* x-kubernetes-patch-merge-key */
        const char *default_json; /* JSON text of the static default, or NULL */
        const char *doc;
};

struct kc_type {
        const char *name; /* "io.k8s.api.core.v1.PodSpec"; NULL for anonymous types */
        enum kc_type_kind kind;
        const struct kc_type *elem;    /* MAP, ARRAY */
        const struct kc_field *fields; /* OBJECT, VARIANT; sorted by name */
        size_t n_fields;
        const uint16_t *order;    /* OBJECT: indexes of fields in the order in which they are encoded; NULL: by name */
        const char *const *enums; /* STRING; NULL-terminated; NULL: any */
        enum kc_list_type list_type; /* ARRAY */
        const char *const *list_map_keys;
        bool list_type_unset; /* ARRAY: atomic for want of a word */
        const char *const
            *union_fields;     /* OBJECT: the discriminator or "", and the fields of which one is set; or NULL */
        bool map_atomic;       /* OBJECT: x-kubernetes-map-type atomic */
        bool preserve_unknown; /* OBJECT: unknown fields are kept; RAW: not only objects are meant */
        const char *doc;
};

enum {
        KC_VERB_CREATE = 1 << 0,
        KC_VERB_DELETE = 1 << 1,
        KC_VERB_DELETECOLLECTION = 1 << 2,
        KC_VERB_GET = 1 << 3,
        KC_VERB_LIST = 1 << 4,
        KC_VERB_PATCH = 1 << 5,
        KC_VERB_UPDATE = 1 << 6,
        KC_VERB_WATCH = 1 << 7,
};

struct kc_column {
        const char *name, *type, *format, *json_path, *description;
        int priority;
};

struct kc_subresource {
        const char *name; /* "status" */
        uint32_t verbs;
        const char *group, *version, *kind; /* of request and response */
        const struct kc_type *type;         /* NULL: no body of its own (log, proxy) */
};

struct kc_resource {
        const char *group, *version, *resource, *singular, *kind, *list_kind;
        bool namespaced;
        const char *const *short_names; /* NULL-terminated, or NULL */
        const char *const *categories;
        uint32_t verbs;
        const char *storage_prefix;                  /* "pods", "deployments": the path below /registry/ */
        const char *storage_group, *storage_version; /* group-version in which it is stored (Events: core v1) */
        const char *storage_version_hash; /* what clients compare to see that storage changed; NULL: not stored */
        const struct kc_type *type;
        const struct kc_subresource *subresources;
        size_t n_subresources;
        const struct kc_column *columns;
        size_t n_columns;
        const char *const
            *selectable_fields; /* besides metadata.name and metadata.namespace; NULL-terminated, or NULL */
        bool returns_deleted;   /* DELETE answers with the object, not with a Status */
        const struct kc_type *list_object_type; /* of list_kind; NULL: cannot be listed */
};

struct kc_group_version {
        const char *group, *version;
        const struct kc_resource *resources;
        size_t n_resources;
};

/* The built-in group-versions that are served (served.h), in discovery order. */
const struct kc_group_version *const *kc_schema_group_versions(size_t *ret_n);
/* NULL: none. version NULL: the preferred one. */
const struct kc_resource *kc_schema_resource(const char *group, const char *version, const char *resource);
const struct kc_resource *kc_schema_kind(const char *group, const char *version, const char *kind);
const struct kc_type *kc_schema_type(const char *name);
/* All named types, sorted by name. */
const struct kc_type *const *kc_schema_types(size_t *ret_n);
/* The type of a kind without fields and elements: KC_TYPE_STRING, KC_TYPE_TIME, ... */
const struct kc_type *kc_schema_scalar(enum kc_type_kind kind);
const struct kc_field *kc_type_field(const struct kc_type *t, const char *name);
/* The field of a VARIANT that a JSON value belongs to; NULL: none, or no value. */
const struct kc_field *kc_type_variant(const struct kc_type *t, const struct json_object *v);
const struct kc_subresource *kc_resource_subresource(const struct kc_resource *r, const char *name);
/* "v1" or "apps/v1" apart; *ret_group "" for core. Heap. */
void kc_api_version_split(const char *api_version, char **ret_group, char **ret_version);
/* "v1" or "apps/v1". Heap. */
char *kc_api_version_join(const char *group, const char *version);

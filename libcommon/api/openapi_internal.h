/* Shared by the sources that write OpenAPI: a JSON writer that appends text, and the parts of a document. */
#pragma once

#include <stdbool.h>

#include "api/schema_internal.h"
#include "base/buf.h"
#include "base/map.h"

/* Writes {"a":1,...} in order; commas are its business. */
struct kc_jw {
        struct kc_buf *b;
        bool started; /* something stands before at this level: a comma is due */
};

/* key NULL: an element of an array. */
void kc_jw_open(struct kc_jw *w, const char *key, char bracket);
void kc_jw_close(struct kc_jw *w, char bracket);
void kc_jw_str(struct kc_jw *w, const char *key, const char *value);
void kc_jw_strf(struct kc_jw *w, const char *key, const char *fmt, ...) KC_PRINTF(3, 4);
void kc_jw_bool(struct kc_jw *w, const char *key, bool value);
void kc_jw_raw(struct kc_jw *w, const char *key, const char *json);
void kc_jw_strs(struct kc_jw *w, const char *key, const char *const *values);

#define KC_OPENAPI_PATCH "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
#define KC_OPENAPI_META "io.k8s.apimachinery.pkg.apis.meta.v1."

struct kc_openapi {
        struct kc_jw w;
        bool v3;              /* else Swagger 2.0 */
        struct kc_map *types; /* name -> const struct kc_type *: what the document refers to */
};

/* {"$ref": ...} as the next value; remembers the type. */
void kc_openapi_ref(struct kc_openapi *d, const char *key, const char *type_name);
void kc_openapi_gvk(struct kc_jw *w, const char *key, const char *group, const char *version, const char *kind);
/* The path items of a group-version. */
void kc_openapi_paths(struct kc_openapi *d, const struct kc_group_version *gv);
/* What is no resource, by GET: discovery (/api/, /apis/apps/, /apis/apps/v1/) and the like. type NULL: text. consumes
 * and produces are JSON arrays; consumes NULL: none. */
struct kc_openapi_plain {
        const char *path, *tag, *id, *type, *consumes, *produces;
};
void kc_openapi_plain_path(struct kc_openapi *d, const struct kc_openapi_plain *p);
/* Members "name": {schema} of everything that the document refers to, directly or not. */
void kc_openapi_schemas(struct kc_openapi *d);
/* "core", "apps", "rbacAuthorization": the group in tags and operation ids. Heap. */
char *kc_openapi_group_word(const char *group);

/* --- Operations (openapi_operations.c) */

enum {
        ON_GET = 1 << 0,
        ON_LIST = 1 << 1,
        ON_POST = 1 << 2,
        ON_PUT = 1 << 3,
        ON_PATCH = 1 << 4,
        ON_DELETE = 1 << 5,
        ON_DELETECOLLECTION = 1 << 6,
        ON_LOG = 1 << 7,
        ON_WATCH = 1 << 8, /* by a path of its own */
        ON_ATTACH = 1 << 9,
        ON_EXEC = 1 << 10,
        ON_PORT_FORWARD = 1 << 11,
        ON_PROXY = 1 << 12,
        ON_CONNECT = ON_ATTACH | ON_EXEC | ON_PORT_FORWARD | ON_PROXY,
        ON_STREAM = ON_LIST | ON_WATCH,
        ON_WRITE = ON_POST | ON_PUT | ON_PATCH,
        ON_SELECT = ON_STREAM | ON_DELETECOLLECTION,
        ON_REMOVE = ON_DELETE | ON_DELETECOLLECTION,
};

/* One method of a path. */
struct kc_openapi_operation {
        const char *method, *action;
        unsigned on; /* the parameters that it takes, and what it answers */
        char *id;    /* taken */
        const char *group, *version, *kind;
        const char *body, *response; /* type names; NULL: none, text */
};

/* The path item that is being written. */
struct kc_openapi_item {
        struct kc_openapi *d;
        const struct kc_group_version *gv;
        bool has_name, has_namespace, has_path, no_pretty;
};

void kc_openapi_open_item(struct kc_openapi_item *it, const char *path);
void kc_openapi_close_item(const struct kc_openapi_item *it);
void kc_openapi_write_operation(const struct kc_openapi_item *it, const struct kc_openapi_operation *op);
/* "createCoreV1NamespacedPodBinding": verb, "CoreV1", middle, kind, suffix (a subresource, in lower case). Heap. */
char *kc_openapi_operation_id(
    const struct kc_openapi_item *it, const char *verb, const char *middle, const char *kind, const char *suffix);

/* --- Protobuf (openapi_proto.c): a v2 document as gnostic's message, appended. What has no place in it is left out. */
struct json_object;
void openapi_write_proto(const struct json_object *doc, struct kc_buf *out);

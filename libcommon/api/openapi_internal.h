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
/* Discovery's own: GET of /api/, /apis/apps/, /apis/apps/v1/ that returns a type of meta/v1. */
void kc_openapi_meta_path(
    struct kc_openapi *d, const char *path, const char *tag, const char *operation, const char *type);
/* Members "name": {schema} of everything that the document refers to, directly or not. */
void kc_openapi_schemas(struct kc_openapi *d);
/* "core", "apps", "rbacAuthorization": the group in tags and operation ids. Heap. */
char *kc_openapi_group_word(const char *group);

/* Client-side apply: what is sent, without the sending. */
#pragma once

#include "client/resource_map.h"

#define KC_LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

/* The object with its last-applied annotation, as kubectl computes it. The caller's. */
struct json_object *kc_apply_modified(const struct json_object *obj);
/* The same as it is for kinds of Go structs: fields in their order, no empty annotations. */
struct json_object *kc_apply_modified_typed(const struct json_object *obj);
/* An object as the annotation holds it, with a newline at its end. Heap. */
char *kc_apply_encode(const struct json_object *obj);
/* The patch (RFC 6902) that gives what client-side apply owns of the object to the manager of server-side apply; NULL:
 * nothing. The caller's. */
struct json_object *kc_apply_migration(const struct json_object *live, const char *manager);
/* The patch from the live object to modified (of kc_apply_modified); *ret_patch NULL: nothing to do. *ret_content_type
 * says which kind of patch. */
int kc_apply_patch(const struct kc_api_resource *res, const struct json_object *live,
    const struct json_object *modified, struct json_object **ret_patch, const char **ret_content_type,
    struct kc_error *err);

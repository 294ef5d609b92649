/* Patches on JSON trees. Each function works on a tree of the caller's own; on error the tree must be thrown away. */
#pragma once

#include "json/json.h"

struct kc_type; /* api/schema.h */

/* RFC 6902. At most 10,000 operations; paths and values limited as the document. -EINVAL with reason Invalid (422) for
 * a test that fails or a path that does not exist, BadRequest for a malformed patch: upstream's messages. */
int kc_patch_json(struct json_object **doc, const struct json_object *ops, struct kc_error *err);
/* RFC 7386. */
int kc_patch_merge(struct json_object **doc, const struct json_object *patch, struct kc_error *err);
/* Strategic merge: patch strategies and merge keys from the schema type; $patch (replace, merge, delete), $retainKeys,
 * $setElementOrder/<list>, $deleteFromPrimitiveList/<list>. */
int kc_patch_strategic(
    struct json_object **doc, const struct json_object *patch, const struct kc_type *type, struct kc_error *err);
/* The merge patch (RFC 7386) that turns a into b; NULL if none is needed. */
struct json_object *kc_patch_merge_diff(const struct json_object *a, const struct json_object *b);
/* Client-side apply's three-way strategic patch (kubectl apply): original (last applied, may be NULL), modified (what
 * the user wants), current (live). {} when nothing changes. */
int kc_patch_three_way_strategic(const struct json_object *original, const struct json_object *modified,
    const struct json_object *current, const struct kc_type *type, struct json_object **ret_patch,
    struct kc_error *err);
/* The same for kinds without a schema, as a merge patch. */
int kc_patch_three_way_merge(const struct json_object *original, const struct json_object *modified,
    const struct json_object *current, struct json_object **ret_patch, struct kc_error *err);

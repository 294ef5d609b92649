/* Answers in other forms than the object itself: Table and PartialObjectMetadata of meta.k8s.io/v1. Pure: any thread.
 */
#include "api/table.h"

#include "api/object.h"
#include "base/str.h"
#include "server/server_internal.h"

#define META_V1 "meta.k8s.io/v1"

struct json_object *partial_of(const struct json_object *obj)
{
        struct json_object *p = kc_json_build("{'kind':'PartialObjectMetadata','apiVersion':'" META_V1 "'}");
        const struct json_object *meta = kc_json_get(obj, "metadata");
        kc_json_set(p, "metadata", meta ? kc_json_copy(meta) : json_object_new_object());
        return p;
}

struct json_object *table_row(
    const struct kc_resource *row, const struct json_object *obj, const char *include, kc_time now)
{
        struct json_object *r = json_object_new_object();
        kc_json_set(r, "cells", kc_table_cells(row, obj, now));
        if (kc_streq(include, "Object"))
                kc_json_set(r, "object", kc_json_copy(obj));
        else if (!kc_streq(include, "None"))
                kc_json_set(r, "object", partial_of(obj));
        return r;
}

static struct json_object *table_of(struct api_req *q, const struct json_object *obj)
{
        KC_CLEANUP(kc_freep) char *include = api_req_param(q, "includeObject");
        struct json_object *t = kc_table_new(q->row);
        kc_json_set_str(kc_json_ensure_obj(t, "metadata"), "resourceVersion", kc_meta_resource_version(obj));
        kc_json_push(kc_json_ensure_arr(t, "rows"), table_row(q->row, obj, include, kc_clock_now(NULL)));
        return t;
}

struct json_object *transform_object(struct api_req *q, struct json_object *take_tree)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = take_tree;
        bool own_kind = q->row && (!q->sub || kc_streq(q->sub->kind, q->row->kind));
        if (own_kind)
                convert_from_storage(q->row, tree);
        if (own_kind && q->media.as == AS_TABLE)
                return table_of(q, tree);
        if (own_kind && q->media.as == AS_PARTIAL)
                return partial_of(tree);
        return KC_TAKE(tree);
}

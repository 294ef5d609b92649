/* Answers in other forms than the object itself: Table and PartialObjectMetadata of meta.k8s.io. Pure: any thread. */
#include "api/table.h"

#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "server/server_internal.h"

static const char *version_of(const struct media *m)
{
        return m->beta ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1";
}

struct json_object *partial_of(const struct media *m, const struct json_object *obj)
{
        struct json_object *p = kc_json_build("{'kind':'PartialObjectMetadata','apiVersion':%s}", version_of(m));
        const struct json_object *meta = kc_json_get(obj, "metadata");
        kc_json_set(p, "metadata", meta ? kc_json_copy(meta) : json_object_new_object());
        return p;
}

struct json_object *partial_list_new(const struct media *m)
{
        return kc_json_build("{'kind':'PartialObjectMetadataList','apiVersion':%s,'metadata':{}}", version_of(m));
}

/* metav1/validation.ValidateTableOptions */
int table_include(const struct api_req *q, char **ret, struct kc_error *err)
{
        *ret = NULL;
        if (q->media.as != AS_TABLE)
                return 0;
        static const char *const known[] = {"", "Metadata", "None", "Object"};
        KC_CLEANUP(kc_freep) char *include = api_req_param(q, "includeObject");
        for (size_t i = 0; i < KC_ARRAY_LEN(known); i++)
                if (!include || strcmp(known[i], include) == 0) {
                        *ret = KC_TAKE(include);
                        return 0;
                }
        KC_CLEANUP(kc_buf_done) struct kc_buf quoted = KC_BUF_INIT;
        kc_quote_add(&quoted, include);
        return kc_err_bad_request(err,
            "Unable to convert to Table as requested: includeObject: Invalid value: %s: must be 'Metadata', "
            "'Object', 'None', or empty",
            kc_buf_str(&quoted));
}

struct json_object *table_new(const struct api_req *q)
{
        struct json_object *t = kc_table_new(q->row);
        kc_json_set_str(t, "apiVersion", version_of(&q->media));
        return t;
}

struct json_object *table_row(const struct api_req *q, const struct json_object *obj, const char *include, kc_time now)
{
        struct json_object *r = json_object_new_object();
        kc_json_set(r, "cells", kc_table_cells(q->row, obj, now));
        if (kc_streq(include, "Object"))
                kc_json_set(r, "object", kc_json_copy(obj));
        else if (!kc_streq(include, "None"))
                kc_json_set(r, "object", partial_of(&q->media, obj));
        return r;
}

static int table_of(
    const struct api_req *q, const struct json_object *obj, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *include = NULL;
        int r = table_include(q, &include, err);
        if (r < 0)
                return r;
        *ret = table_new(q);
        kc_json_set_str(kc_json_ensure_obj(*ret, "metadata"), "resourceVersion", kc_meta_resource_version(obj));
        kc_json_push(kc_json_ensure_arr(*ret, "rows"), table_row(q, obj, include, kc_clock_now(NULL)));
        return 0;
}

/* The name of the kind as upstream's messages have it, "core.Pod": with the package of its Go type. Heap. */
static char *go_type(const struct kc_resource *row, const char *kind)
{
        KC_CLEANUP(kc_strv_freep) char **labels = kc_strv_split(row->storage_group, '.');
        return kc_asprintf("%s.%s", labels[0] ? labels[0] : "core", kind);
}

int transform_check_list(const struct api_req *q, struct kc_error *err)
{
        if (q->media.as != AS_PARTIAL)
                return 0;
        KC_CLEANUP(kc_freep) char *type = go_type(q->row, q->row->list_kind);
        return kc_error_set_api(err, 406, KC_REASON_NOT_ACCEPTABLE,
            "you requested PartialObjectMetadata, but the requested object is a list (*%s)", type);
}

int transform_object(struct api_req *q, struct json_object *take_tree, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = take_tree;
        bool own_kind = q->row && (!q->sub || kc_streq(q->sub->kind, q->row->kind));
        if (own_kind)
                convert_from_storage(q->row, tree);
        if (own_kind && q->media.as == AS_TABLE)
                return table_of(q, tree, ret, err);
        if (own_kind && q->media.as == AS_PARTIAL_LIST) {
                KC_CLEANUP(kc_freep) char *type = go_type(q->row, q->row->kind);
                return kc_error_set_api(err, 406, KC_REASON_NOT_ACCEPTABLE,
                    "you requested PartialObjectMetadataList, but the requested object is not a list (*%s)", type);
        }
        *ret = own_kind && q->media.as == AS_PARTIAL ? partial_of(&q->media, tree) : KC_TAKE(tree);
        return 0;
}

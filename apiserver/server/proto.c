/* Answers in protobuf: which type a tree has, and the messages that the schema does not know. Pure: any thread. */
#include <errno.h>
#include <string.h>

#include "api/protobuf.h"
#include "base/str.h"
#include "server/server_internal.h"

#define META_TYPES "io.k8s.apimachinery.pkg.apis.meta.v1."

enum {
        PARTIAL_METADATA = 1,
        PARTIAL_LIST_METADATA = 1,
        PARTIAL_LIST_ITEMS = 2,
        EVENT_TYPE = 1,
        EVENT_OBJECT = 2,
        RAW = 1
};

bool proto_has(const struct kc_type *type)
{
        /* Kinds that were defined at run time have fields without numbers. */
        for (size_t i = 0; type && i < type->n_fields; i++)
                if (type->fields[i].wire != 0)
                        return true;
        return false;
}

static const struct kc_type *type_of(const struct api_req *q, const char *kind)
{
        if (q->row && kc_streq(kind, q->row->kind))
                return q->row->type;
        if (q->row && kc_streq(kind, q->row->list_kind))
                return q->row->list_object_type;
        if (q->sub && kc_streq(kind, q->sub->kind))
                return q->sub->type;
        KC_CLEANUP(kc_freep) char *meta = kc_asprintf(META_TYPES "%s", kind ? kind : "");
        return kc_schema_type(meta);
}

/* A message in a field of its own. */
static int add_message(
    uint32_t number, const struct json_object *tree, const char *type, struct kc_buf *out, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf message = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *none = tree ? NULL : json_object_new_object();
        int r = kc_protobuf_encode(tree ? tree : none, kc_schema_type(type), &message, err);
        if (r == 0)
                kc_protobuf_add_bytes(out, number, message.data, message.len);
        return r;
}

static int add_partial(const struct json_object *tree, struct kc_buf *out, struct kc_error *err)
{
        return add_message(PARTIAL_METADATA, kc_json_get(tree, "metadata"), META_TYPES "ObjectMeta", out, err);
}

static int add_partial_list(const struct json_object *tree, struct kc_buf *out, struct kc_error *err)
{
        const struct json_object *items = kc_json_get(tree, "items");
        int r = add_message(PARTIAL_LIST_METADATA, kc_json_get(tree, "metadata"), META_TYPES "ListMeta", out, err);
        for (size_t i = 0; i < kc_json_len(items) && r == 0; i++) {
                KC_CLEANUP(kc_buf_done) struct kc_buf item = KC_BUF_INIT;
                r = add_partial(kc_json_idx(items, i), &item, err);
                kc_protobuf_add_bytes(out, PARTIAL_LIST_ITEMS, item.data, item.len);
        }
        return r;
}

int proto_message(const struct api_req *q, const struct json_object *tree, struct kc_buf *out, struct kc_error *err)
{
        const char *kind = kc_json_str(tree, "kind");
        if (kc_streq(kind, "PartialObjectMetadata"))
                return add_partial(tree, out, err);
        if (kc_streq(kind, "PartialObjectMetadataList"))
                return add_partial_list(tree, out, err);
        const struct kc_type *type = type_of(q, kind);
        if (!type)
                return kc_error_set(err, EINVAL, "object %s has no protobuf encoding", kind ? kind : "");
        return kc_protobuf_encode(tree, type, out, err);
}

int proto_write(const struct api_req *q, const struct json_object *tree, struct kc_buf *out, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf message = KC_BUF_INIT;
        int r = proto_message(q, tree, &message, err);
        if (r < 0)
                return r;
        kc_protobuf_add_head(out, kc_json_str(tree, "apiVersion"), kc_json_str(tree, "kind"), message.len);
        kc_buf_add(out, kc_buf_str(&message), message.len);
        kc_protobuf_add_tail(out);
        return 0;
}

int proto_watch_frame(const struct api_req *q, const char *type, const struct json_object *tree, struct kc_bytes **ret,
    struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf object = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf raw = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf frame = KC_BUF_INIT;
        int r = proto_write(q, tree, &object, err);
        if (r < 0)
                return r;
        kc_protobuf_add_bytes(&raw, RAW, object.data, object.len);
        kc_buf_add(&frame, "\0\0\0\0", PROTO_FRAME_HEAD);
        kc_protobuf_add_bytes(&frame, EVENT_TYPE, type, strlen(type));
        kc_protobuf_add_bytes(&frame, EVENT_OBJECT, raw.data, raw.len);
        uint32_t len = (uint32_t)(frame.len - PROTO_FRAME_HEAD);
        for (int i = 0; i < PROTO_FRAME_HEAD; i++)
                frame.data[i] = (char)(len >> (24 - 8 * i));
        *ret = kc_bytes_from_buf(&frame);
        return 0;
}

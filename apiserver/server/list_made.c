/* Lists that are not stored bytes: YAML, protobuf, other versions, Tables and PartialObjectMetadataLists. Each object
 * is encoded by itself and its tree dropped, so a list costs the memory of its answer. Worker threads. */
#include "server/list_made.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/protobuf.h"
#include "base/str.h"

enum { CHUNK = 64 << 10 };

/* An answer in pieces. */
struct pieces {
        struct kc_bytes **v;
        size_t n, cap, next;
        struct kc_buf last; /* not yet a piece */
        size_t total;       /* bytes of v */
};

static void cut(struct pieces *p)
{
        if (p->n == p->cap) {
                p->cap = p->cap ? 2 * p->cap : 16;
                p->v = kc_reallocarray(p->v, p->cap, sizeof(*p->v));
        }
        p->total += p->last.len;
        p->v[p->n++] = kc_bytes_from_buf(&p->last);
}

static void pieces_free(void *arg)
{
        struct pieces *p = arg;
        for (size_t i = p->next; i < p->n; i++)
                kc_bytes_unref(p->v[i]);
        kc_free(p->v);
        kc_buf_done(&p->last);
        kc_free(p);
}

static bool pieces_next(void *arg, struct kc_buf *out)
{
        struct pieces *p = arg;
        struct kc_bytes *piece = p->v[p->next++];
        kc_buf_add(out, kc_bytes_data(piece), kc_bytes_len(piece));
        kc_bytes_unref(piece); /* memory goes as the peer reads */
        return p->next == p->n;
}

static void reply_pieces(struct api_req *q, struct pieces *take_p)
{
        if (take_p->total >= API_GZIP_MIN) {
                stream_reply(q, (struct piece_source){.next = pieces_next, .free = pieces_free, .arg = take_p});
                return;
        }
        struct kc_buf all = KC_BUF_INIT;
        while (!pieces_next(take_p, &all)) {
        }
        pieces_free(take_p);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = kc_bytes_from_buf(&all);
        api_reply_bytes(q, 200, media_content_type(&q->media), body);
}

/* --- the list without its items */

static struct json_object *list_head(const struct api_req *q, const struct kc_cache_list *l)
{
        struct json_object *list;
        if (q->media.as == AS_TABLE) {
                list = table_new(q);
        } else if (q->media.as == AS_PARTIAL_LIST) {
                list = partial_list_new(&q->media);
        } else {
                KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(q->row->group, q->row->version);
                list = kc_json_build("{'kind':%s,'apiVersion':%s,'metadata':{}}", q->row->list_kind, api_version);
        }
        struct json_object *meta = kc_json_ensure_obj(list, "metadata");
        KC_CLEANUP(kc_freep) char *revision = kc_asprintf("%lld", (long long)l->revision);
        kc_json_set_str(meta, "resourceVersion", revision);
        kc_json_set_str(meta, "continue", l->continue_token);
        if (l->remaining > 0)
                kc_json_set_int(meta, "remainingItemCount", l->remaining);
        return list;
}

static struct json_object *item_of(const struct api_req *q, struct kc_cache_entry *e, const char *include, kc_time now)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_resources_object(e);
        KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_object_copy_json(obj);
        convert_from_storage(q->row, tree);
        if (q->media.as == AS_TABLE)
                return table_row(q, tree, include, now);
        if (q->media.as == AS_PARTIAL_LIST)
                return partial_of(&q->media, tree);
        if (q->media.type != MEDIA_PROTOBUF) {
                kc_json_del(tree, "kind");
                kc_json_del(tree, "apiVersion");
        }
        return KC_TAKE(tree);
}

/* --- JSON and protobuf, item by item */

/* The list's head is complete but for the items: cut the closing brace off. */
static void begin_json(const struct api_req *q, const struct json_object *head, struct pieces *p)
{
        kc_json_write(&p->last, head);
        p->last.data[--p->last.len] = '\0';
        kc_buf_adds(&p->last, q->media.as == AS_TABLE ? ",\"rows\":[" : ",\"items\":[");
}

static int add_item(
    const struct api_req *q, const struct json_object *item, bool first, struct pieces *p, struct kc_error *err)
{
        enum { ITEMS = 2 }; /* of every list type */
        int r = 0;
        if (q->media.type == MEDIA_PROTOBUF) {
                KC_CLEANUP(kc_buf_done) struct kc_buf message = KC_BUF_INIT;
                r = proto_message(q, item, &message, err);
                kc_protobuf_add_bytes(&p->last, ITEMS, message.data, message.len);
        } else {
                if (!first)
                        kc_buf_addc(&p->last, ',');
                kc_json_write(&p->last, item);
        }
        if (p->last.len >= CHUNK)
                cut(p);
        return r;
}

/* The envelope needs the length of what is in it, so its head is made last. */
static int end_proto(const struct api_req *q, const struct json_object *head, struct pieces *p, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf empty = KC_BUF_INIT;
        struct kc_buf first = KC_BUF_INIT;
        int r = proto_message(q, head, &empty, err); /* only its metadata */
        if (r < 0)
                return r;
        kc_protobuf_add_head(
            &first, kc_json_str(head, "apiVersion"), kc_json_str(head, "kind"), empty.len + p->total + p->last.len);
        kc_buf_add(&first, kc_buf_str(&empty), empty.len);
        kc_protobuf_add_tail(&p->last);
        cut(p);
        p->total += first.len;
        kc_bytes_unref(p->v[0]); /* kept free for this */
        p->v[0] = kc_bytes_from_buf(&first);
        return 0;
}

static int make(const struct api_req *q, const struct json_object *head, const struct kc_cache_list *l,
    const char *include, struct pieces *p, struct kc_error *err)
{
        bool proto = q->media.type == MEDIA_PROTOBUF;
        kc_time now = kc_clock_now(NULL);
        int r = 0;
        if (proto)
                cut(p);
        else
                begin_json(q, head, p);
        for (size_t i = 0; i < l->n && r == 0; i++) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *item = item_of(q, l->v[i], include, now);
                r = add_item(q, item, i == 0, p, err);
        }
        if (r < 0 || proto)
                return r < 0 ? r : end_proto(q, head, p, err);
        kc_buf_adds(&p->last, "]}\n");
        cut(p);
        return 0;
}

/* --- YAML, JSON for people, and what the audit records: as one tree */

static void reply_tree(struct api_req *q, struct json_object *list, const struct kc_cache_list *l, const char *include)
{
        struct json_object *array = kc_json_ensure_arr(list, q->media.as == AS_TABLE ? "rows" : "items");
        kc_time now = kc_clock_now(NULL);
        for (size_t i = 0; i < l->n; i++)
                kc_json_push(array, item_of(q, l->v[i], include, now));
        api_reply_json(q, 200, list);
}

void list_made_reply(struct api_req *q, const struct kc_cache_list *l)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *include = NULL;
        if (transform_check_list(q, &err) < 0 || table_include(q, &include, &err) < 0) {
                api_reply_error(q, &err);
                return;
        }
        KC_CLEANUP(kc_json_freep) struct json_object *head = list_head(q, l);
        if (q->media.type == MEDIA_YAML || (q->media.type == MEDIA_JSON && q->media.pretty) ||
            kc_audit_record_wants_response(q->audit)) {
                reply_tree(q, head, l, include);
                return;
        }
        struct pieces *p = KC_NEW(struct pieces);
        if (make(q, head, l, include, p, &err) == 0) {
                reply_pieces(q, p);
                return;
        }
        pieces_free(p);
        api_reply_error(q, &err);
}

/* LIST: the stored bytes of the objects, one after another; large lists are streamed piece by piece as the peer reads,
 * compressed if it likes that. Tables and other forms are made on a worker. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/table.h"
#include "base/str.h"
#include "server/list_options.h"

enum {
        LIST_CHUNK = 64 << 10,       /* bytes of objects in one piece */
        LIST_QUEUED_MAX = 512 << 10, /* unread by the peer, before the list pauses */
};

/* A list on its way out. Belongs to the request's loop. */
struct list_stream {
        struct api_req *q; /* with a reference to its exchange */
        struct kc_cache_list list;
        size_t next;
        struct kc_buf piece;
        struct compressor *gzip; /* NULL: plain */
        bool waiting;            /* for the peer to read */
        bool posted;             /* stream_step will be called */
};

static int list_now(struct api_req *q, const struct list_options *o, const struct kc_cache_read *read,
    struct kc_cache_list *ret, struct kc_error *err)
{
        const struct kc_cache_list_opts lo = {
            .ns = o->ns,
            .name = o->name,
            .read = *read,
            .limit = (size_t)o->limit,
            .continue_token = o->continue_token,
            .match = list_options_matcher(o),
            .match_arg = (void *)(uintptr_t)o,
        };
        return kc_cache_list(q->stored->cache, &lo, ret, err);
}

/* --- the text around the items */

static void add_list_meta(struct kc_buf *b, const struct kc_cache_list *l)
{
        kc_buf_addf(b, "\"metadata\":{\"resourceVersion\":\"%lld\"", (long long)l->revision);
        if (l->continue_token) {
                kc_buf_adds(b, ",\"continue\":");
                kc_json_write_string(b, l->continue_token, strlen(l->continue_token));
        }
        if (l->remaining > 0)
                kc_buf_addf(b, ",\"remainingItemCount\":%lld", (long long)l->remaining);
        kc_buf_addc(b, '}');
}

static void add_head(struct kc_buf *b, const struct kc_resource *row, const struct kc_cache_list *l)
{
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(row->group, row->version);
        kc_buf_addf(b, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",", row->list_kind, api_version);
        add_list_meta(b, l);
        kc_buf_adds(b, ",\"items\":[");
}

/* Items of typed lists carry no kind and apiVersion; in stored bytes these come first. */
static void add_item(struct kc_buf *b, const char *prefix, size_t prefix_len, struct kc_cache_entry *e)
{
        const struct kc_bytes *bytes = kc_cache_entry_bytes(e);
        const char *data = kc_bytes_data(bytes);
        size_t len = kc_bytes_len(bytes);
        if (len > prefix_len && memcmp(data, prefix, prefix_len) == 0) {
                kc_buf_addc(b, '{');
                data += prefix_len;
                len -= prefix_len;
        }
        kc_buf_add(b, data, len);
}

static char *item_prefix(const struct kc_resource *row)
{
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(row->group, row->version);
        return kc_asprintf("{\"kind\":\"%s\",\"apiVersion\":\"%s\",", row->kind, api_version);
}

/* Items from i on, until the buffer has at least that many bytes; returns the next one. */
static size_t add_items(
    struct kc_buf *b, const struct kc_resource *row, const struct kc_cache_list *l, size_t i, size_t bytes)
{
        KC_CLEANUP(kc_freep) char *prefix = item_prefix(row);
        size_t prefix_len = strlen(prefix);
        for (; i < l->n && b->len < bytes; i++) {
                if (i > 0)
                        kc_buf_addc(b, ',');
                add_item(b, prefix, prefix_len, l->v[i]);
        }
        return i;
}

/* --- streaming */

static void stream_step(void *arg);

static void stream_free(struct list_stream *s)
{
        struct kc_http_req *http = s->q->http;
        kc_http_on_drain(http, NULL, NULL);
        s->q->on_closed = NULL;
        kc_cache_list_done(&s->list);
        kc_buf_done(&s->piece);
        compressor_free(s->gzip);
        kc_free(s);
        kc_http_req_unref(http);
}

static void stream_post(struct list_stream *s)
{
        s->posted = true;
        kc_loop_post(kc_http_req_loop(s->q->http), stream_step, s);
}

static void on_drain(struct kc_http_req *http, void *arg)
{
        (void)http; /* the stream's own */
        struct list_stream *s = arg;
        if (!s->waiting || s->posted)
                return;
        s->waiting = false;
        stream_post(s);
}

/* The next piece, compressed if so wished. */
static struct kc_bytes *next_piece(struct list_stream *s, bool *ret_last)
{
        s->next = add_items(&s->piece, s->q->stored->row, &s->list, s->next, LIST_CHUNK);
        *ret_last = s->next >= s->list.n;
        if (*ret_last)
                kc_buf_adds(&s->piece, "]}\n");
        if (!s->gzip)
                return kc_bytes_from_buf(&s->piece);
        struct kc_buf out = KC_BUF_INIT;
        compressor_add(s->gzip, s->piece.data, s->piece.len, *ret_last, &out);
        kc_buf_reset(&s->piece);
        return kc_bytes_from_buf(&out);
}

static void stream_step(void *arg)
{
        struct list_stream *s = arg;
        struct kc_http_req *http = s->q->http;
        s->posted = false;
        bool last = false;
        if (!kc_http_req_closed(http)) {
                KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *piece = next_piece(s, &last);
                size_t len = kc_bytes_len(piece);
                if (len > 0 && kc_http_write(http, piece) < 0) {
                        kc_http_abort(http);
                        last = true;
                } else if (last) {
                        kc_http_finish(http);
                }
                atomic_fetch_add(&s->q->response_size, len);
        } else {
                last = true;
        }
        if (last) {
                stream_free(s);
                return;
        }
        /* Others have their turn between two pieces. */
        if (kc_http_queued(http) < LIST_QUEUED_MAX)
                stream_post(s);
        else
                s->waiting = true;
}

/* The peer has gone while the list waited for it. */
static void on_closed(void *arg)
{
        struct list_stream *s = arg;
        if (!s->posted)
                stream_free(s);
}

static void stream_start(struct api_req *q, struct kc_cache_list *take_list)
{
        struct list_stream *s = KC_NEW(struct list_stream);
        s->q = q;
        s->list = *take_list;
        *take_list = (struct kc_cache_list){0};
        (void)kc_http_req_ref(q->http); /* stream_free gives it back */
        KC_CLEANUP(kc_strv_freep) char **headers = api_reply_headers(q, "application/json");
        if (compress_wanted(q) && (s->gzip = compressor_new())) {
                static const char *const extra[] = {"Content-Encoding", "gzip", "Vary", "Accept-Encoding"};
                for (size_t i = 0; i < KC_ARRAY_LEN(extra); i++)
                        kc_strv_push(&headers, extra[i]);
        }
        api_req_unlimit_time(q);
        atomic_store(&q->code, 200);
        kc_http_start(q->http, 200, headers);
        kc_http_on_drain(q->http, on_drain, s);
        q->on_closed = on_closed;
        q->on_closed_arg = s;
        add_head(&s->piece, q->row, &s->list);
        stream_step(s);
}

static bool is_large(const struct kc_cache_list *l)
{
        size_t total = 0;
        for (size_t i = 0; i < l->n; i++) {
                total += kc_bytes_len(kc_cache_entry_bytes(l->v[i]));
                if (total >= API_GZIP_MIN)
                        return true;
        }
        return false;
}

static void reply_whole(struct api_req *q, const struct kc_cache_list *l)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        add_head(&b, q->row, l);
        (void)add_items(&b, q->stored->row, l, 0, SIZE_MAX);
        kc_buf_adds(&b, "]}\n");
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = kc_bytes_from_buf(&b);
        api_reply_bytes(q, 200, "application/json", body);
}

/* --- trees: Tables, PartialObjectMetadataLists, YAML, other versions. Worker threads. */

static void set_list_meta(struct json_object *list, const struct kc_cache_list *l)
{
        struct json_object *meta = kc_json_ensure_obj(list, "metadata");
        KC_CLEANUP(kc_freep) char *revision = kc_asprintf("%lld", (long long)l->revision);
        kc_json_set_str(meta, "resourceVersion", revision);
        kc_json_set_str(meta, "continue", l->continue_token);
        if (l->remaining > 0)
                kc_json_set_int(meta, "remainingItemCount", l->remaining);
}

static struct json_object *empty_list(const struct api_req *q, const char **ret_items)
{
        *ret_items = "items";
        if (q->media.as == AS_TABLE) {
                *ret_items = "rows";
                return kc_table_new(q->row);
        }
        if (q->media.as == AS_PARTIAL_LIST)
                return kc_json_build(
                    "{'kind':'PartialObjectMetadataList','apiVersion':'meta.k8s.io/v1','metadata':{}}");
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(q->row->group, q->row->version);
        return kc_json_build("{'kind':%s,'apiVersion':%s,'metadata':{}}", q->row->list_kind, api_version);
}

static struct json_object *item_of(const struct api_req *q, struct kc_cache_entry *e, const char *include, kc_time now)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_resources_object(e);
        KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_object_copy_json(obj);
        convert_from_storage(q->row, tree);
        if (q->media.as == AS_TABLE)
                return table_row(q->row, tree, include, now);
        if (q->media.as == AS_PARTIAL_LIST)
                return partial_of(tree);
        kc_json_del(tree, "kind");
        kc_json_del(tree, "apiVersion");
        return KC_TAKE(tree);
}

static void reply_tree(struct api_req *q, const struct kc_cache_list *l)
{
        const char *items;
        KC_CLEANUP(kc_freep) char *include = api_req_param(q, "includeObject");
        KC_CLEANUP(kc_json_freep) struct json_object *list = empty_list(q, &items);
        set_list_meta(list, l);
        struct json_object *array = kc_json_ensure_arr(list, items);
        kc_time now = kc_clock_now(NULL);
        for (size_t i = 0; i < l->n; i++)
                kc_json_push(array, item_of(q, l->v[i], include, now));
        api_reply_json(q, 200, list);
}

/* --- the handler */

static bool as_bytes(const struct api_req *q)
{
        return q->media.type == MEDIA_JSON && q->media.as == AS_ITSELF && !q->media.pretty && !convert_needed(q->row);
}

/* 410 Expired of a continued list tells how to go on. */
static void reply_list_error(struct api_req *q, const struct kc_error *err, const char *continue_token)
{
        if (kc_str_empty(continue_token)) {
                api_reply_error(q, err);
                return;
        }
        KC_CLEANUP(kc_json_freep) struct json_object *status = kc_status_from_error(err);
        kc_json_set_str(kc_json_ensure_obj(status, "metadata"), "continue", continue_token);
        api_reply_json(q, err->code, status);
}

/* What a job that blocks hands over to the loop for streaming. */
struct handover {
        struct api_req *q;
        struct kc_cache_list list;
};

static void start_handed_over(void *arg)
{
        struct handover *h = arg;
        struct kc_http_req *http = h->q->http;
        if (kc_http_req_closed(http) || atomic_load(&h->q->code))
                kc_cache_list_done(&h->list);
        else
                stream_start(h->q, &h->list);
        kc_free(h);
        kc_http_req_unref(http);
}

static void list_blocking(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(list_options_done) struct list_options o;
        KC_CLEANUP(kc_cache_list_done) struct kc_cache_list l = {0};
        if (list_options_parse(q, false, &o, &err) < 0) {
                api_reply_error(q, &err);
        } else if (list_now(q, &o, &o.read, &l, &err) < 0) {
                reply_list_error(q, &err, l.continue_token);
        } else if (!as_bytes(q)) {
                reply_tree(q, &l);
        } else if (!is_large(&l)) {
                reply_whole(q, &l);
        } else {
                struct handover *h = KC_NEW(struct handover);
                h->q = q;
                h->list = l;
                l = (struct kc_cache_list){0};
                (void)kc_http_req_ref(q->http); /* start_handed_over gives it back */
                kc_loop_post(kc_http_req_loop(q->http), start_handed_over, h);
        }
}

/* The cache has what is needed: nothing blocks now. */
static void list_on_loop(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(list_options_done) struct list_options o;
        KC_CLEANUP(kc_cache_list_done) struct kc_cache_list l = {0};
        if (list_options_parse(q, false, &o, &err) < 0) {
                api_reply_error(q, &err);
                return;
        }
        struct kc_cache_read read = o.read;
        if (read.match == KC_CACHE_CONSISTENT)
                read = (struct kc_cache_read){
                    .match = KC_CACHE_NOT_OLDER, .revision = kc_cache_revision(q->server->cache)};
        if (list_now(q, &o, &read, &l, &err) < 0)
                reply_list_error(q, &err, l.continue_token);
        else if (is_large(&l))
                stream_start(q, &l);
        else
                reply_whole(q, &l);
}

static void on_ready(const struct kc_error *err, void *arg)
{
        struct api_req *q = arg;
        struct kc_http_req *http = q->http;
        if (err)
                api_reply_error(q, err);
        else if (atomic_load(&q->code) == 0) /* not given up yet */
                list_on_loop(q);
        kc_http_req_unref(http);
}

void handle_list(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(list_options_done) struct list_options o;
        if (list_options_parse(q, false, &o, &err) < 0) {
                api_reply_error(q, &err);
                return;
        }
        if (!as_bytes(q) || o.read.match == KC_CACHE_EXACT || !kc_str_empty(o.continue_token)) {
                api_req_run_blocking(q, list_blocking);
                return;
        }
        if (o.read.match == KC_CACHE_CONSISTENT)
                api_req_limit_time(q);  /* that is for etcd to answer */
        (void)kc_http_req_ref(q->http); /* on_ready gives it back */
        kc_cache_wait_async(q->stored->cache, &o.read, kc_http_req_loop(q->http), on_ready, q);
}

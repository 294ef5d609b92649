/* LIST: the stored bytes of the objects, one after another; large lists are streamed piece by piece as the peer reads.
 * Other encodings and forms - protobuf, Tables, PartialObjectMetadataLists - are made on a worker, object by object. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "server/list_made.h"
#include "server/list_options.h"

enum { LIST_CHUNK = 64 << 10 }; /* bytes of objects in one piece */

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

/* --- stored bytes */

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

/* A list on its way out. */
struct stored_source {
        const struct kc_resource *served, *stored;
        struct kc_cache_list list;
        size_t next;
        bool begun;
};

static bool stored_next(void *arg, struct kc_buf *out)
{
        struct stored_source *s = arg;
        if (!s->begun)
                add_head(out, s->served, &s->list);
        s->begun = true;
        s->next = add_items(out, s->stored, &s->list, s->next, LIST_CHUNK);
        if (s->next < s->list.n)
                return false;
        kc_buf_adds(out, "]}\n");
        return true;
}

static void stored_free(void *arg)
{
        struct stored_source *s = arg;
        kc_cache_list_done(&s->list);
        kc_free(s);
}

static void stream_stored(struct api_req *q, struct kc_cache_list *take_list)
{
        struct stored_source *s = KC_NEW(struct stored_source);
        s->served = q->row;
        s->stored = q->stored->row;
        s->list = *take_list;
        *take_list = (struct kc_cache_list){0};
        stream_reply(q, (struct piece_source){.next = stored_next, .free = stored_free, .arg = s});
}

/* --- the handler */

static bool as_bytes(const struct api_req *q)
{
        return q->media.type == MEDIA_JSON && q->media.as == AS_ITSELF && !q->media.pretty && !convert_needed(q->row);
}

static void list_blocking(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(list_options_done) struct list_options o;
        KC_CLEANUP(kc_cache_list_done) struct kc_cache_list l = {0};
        if (list_options_parse(q, false, &o, &err) < 0)
                api_reply_error(q, &err);
        else if (list_now(q, &o, &o.read, &l, &err) < 0)
                api_reply_error_continue(q, &err, l.continue_token);
        else if (!as_bytes(q) || kc_audit_record_wants_response(q->audit))
                list_made_reply(q, &l);
        else if (!is_large(&l))
                reply_whole(q, &l);
        else
                stream_stored(q, &l);
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
                api_reply_error_continue(q, &err, l.continue_token);
        else if (is_large(&l))
                stream_stored(q, &l);
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
        if (!as_bytes(q) || kc_audit_record_wants_response(q->audit) || o.read.match == KC_CACHE_EXACT ||
            !kc_str_empty(o.continue_token)) {
                api_req_run_blocking(q, list_blocking);
                return;
        }
        if (o.read.match == KC_CACHE_CONSISTENT)
                api_req_limit_time(q);  /* that is for etcd to answer */
        (void)kc_http_req_ref(q->http); /* on_ready gives it back */
        kc_cache_wait_async(q->stored->cache, &o.read, kc_http_req_loop(q->http), on_ready, q);
}

/* A watch of etcd: one stream, one watcher on it. On the loop. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "storage/etcd_internal.h"

struct etcd_watch {
        struct kc_store_watch watch;
        struct kc_grpc_stream *stream; /* NULL: ended */
        const struct kc_store_watch_cbs *cbs;
        void *arg;
        bool cancelled, over;
        struct kc_error error; /* for on_end; empty: what the stream says */
        int64_t compact_revision;
};

static void copy_key(struct kc_buf *keys, const ProtobufCBinaryData *key)
{
        kc_buf_add(keys, key->data, key->len);
        kc_buf_addc(keys, '\0');
}

static void deliver(struct etcd_watch *w, const Etcdserverpb__WatchResponse *resp)
{
        size_t n = resp->n_events;
        KC_CLEANUP(kc_freep) struct kc_store_event *events = kc_calloc(n, sizeof(*events));
        KC_CLEANUP(kc_buf_done) struct kc_buf keys = KC_BUF_INIT;
        for (size_t i = 0; i < n; i++)
                copy_key(&keys, &resp->events[i]->kv->key);
        const char *key = keys.data;
        int64_t revision = 0;
        for (size_t i = 0; i < n; i++) {
                const Etcdserverpb__Event *e = resp->events[i];
                struct kc_store_event *out = &events[i];
                out->key = key;
                key += e->kv->key.len + 1;
                out->mod_revision = e->kv->mod_revision;
                if (e->type == ETCDSERVERPB__EVENT__EVENT_TYPE__PUT) {
                        /* An empty value has no data: NULL would be a deletion. */
                        out->value = e->kv->value.data ? (const void *)e->kv->value.data : "";
                        out->len = e->kv->value.len;
                        out->create_revision = e->kv->create_revision;
                }
                if (e->prev_kv) {
                        out->prev_value = e->prev_kv->value.data ? (const void *)e->prev_kv->value.data : "";
                        out->prev_len = e->prev_kv->value.len;
                        out->prev_revision = e->prev_kv->mod_revision;
                }
                revision = KC_MAX(revision, out->mod_revision);
        }
        w->cbs->on_events(events, n, revision, w->arg);
}

/* The server ends the watch, not the stream. */
static void ended_by_server(struct etcd_watch *w, const Etcdserverpb__WatchResponse *resp)
{
        w->compact_revision = resp->compact_revision;
        if (resp->compact_revision)
                (void)store_err_compacted(&w->error);
        else
                (void)etcd_error(
                    &w->error, KC_GRPC_UNAVAILABLE, *resp->cancel_reason ? resp->cancel_reason : "watch canceled");
        w->over = true;
        kc_grpc_stream_cancel(w->stream);
}

static bool whole(const Etcdserverpb__WatchResponse *resp)
{
        for (size_t i = 0; i < resp->n_events; i++) {
                if (!resp->events[i]->kv)
                        return false;
        }
        return true;
}

static void on_message(struct kc_grpc_stream *stream, const void *data, size_t len, void *arg)
{
        struct etcd_watch *w = arg;
        (void)stream;
        if (w->cancelled || w->over)
                return;
        Etcdserverpb__WatchResponse *resp = etcdserverpb__watch_response__unpack(NULL, len, data);
        if (!resp || !whole(resp)) {
                (void)store_err_other(&w->error, "etcd sent a broken watch response");
                w->over = true;
                kc_grpc_stream_cancel(w->stream);
        } else if (resp->canceled) {
                ended_by_server(w, resp);
        } else {
                if (resp->created && w->cbs->on_created)
                        w->cbs->on_created(w->arg);
                if (resp->n_events > 0 && !w->cancelled)
                        deliver(w, resp);
        }
        etcdserverpb__watch_response__free_unpacked(resp, NULL);
}

static void on_end(struct kc_grpc_stream *stream, enum kc_grpc_code code, const char *message, void *arg)
{
        struct etcd_watch *w = arg;
        (void)stream;
        if (!w->cancelled) {
                if (!w->error.errnum)
                        (void)etcd_error(&w->error, code == KC_GRPC_OK ? KC_GRPC_UNAVAILABLE : code,
                            code == KC_GRPC_OK ? "etcd ended the watch" : message);
                w->cbs->on_end(&w->error, w->compact_revision, w->arg);
        }
        kc_error_done(&w->error);
        kc_free(w);
}

static const struct kc_grpc_stream_cbs stream_cbs = {.on_message = on_message, .on_end = on_end};

static void etcd_watch_cancel(struct kc_store_watch *watch)
{
        struct etcd_watch *w = KC_CONTAINER_OF(watch, struct etcd_watch, watch);
        w->cancelled = true;
        kc_grpc_stream_cancel(w->stream);
}

struct kc_store_watch *etcd_watch(struct kc_store *store, const char *prefix, int64_t start_revision, bool want_prev,
    const struct kc_store_watch_cbs *cbs, void *arg)
{
        struct etcd_store *s = KC_CONTAINER_OF(store, struct etcd_store, store);
        struct etcd_watch *w = KC_NEW(struct etcd_watch);
        w->watch.cancel = etcd_watch_cancel;
        w->cbs = cbs;
        w->arg = arg;
        w->stream = kc_grpc_stream_open(s->channel, "/etcdserverpb.Watch/Watch", &stream_cbs, w);
        KC_CLEANUP(kc_freep) char *end = etcd_prefix_end(prefix);
        Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
        create.key = etcd_bytes(prefix);
        create.range_end = etcd_end_bytes(end);
        create.start_revision = start_revision;
        create.prev_kv = want_prev;
        Etcdserverpb__WatchRequest req = ETCDSERVERPB__WATCH_REQUEST__INIT;
        req.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
        req.create_request = &create;
        (void)kc_grpc_stream_send(w->stream, &req.base); /* small and the stream is new: it is queued */
        return &w->watch;
}

/* WATCH: frames of the watch cache, encoded once for all watchers, written to a response without end, or to a
 * WebSocket. On the request's loop. A peer that does not read pauses its watch; the cache cuts it off when it has
 * fallen behind too far. */
#include <assert.h>
#include <string.h>

#include "api/object.h"
#include "api/protobuf.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "server/list_options.h"
#include "server/watch_socket.h"

enum { WATCH_QUEUED_MAX = 256 << 10 }; /* unread by the peer, before the watch pauses */

struct watcher {
        struct api_req *q; /* with a reference to its exchange */
        struct list_options options;
        struct kc_cache_watch *watch; /* NULL: not yet, or ended */
        struct watch_socket *socket;  /* NULL: plain HTTP */
        struct kc_timer *timeout;
        char *api_version;
        char *include; /* includeObject of a Table */
        bool sent_columns;
        bool started;
};

static void watcher_free(struct watcher *w)
{
        struct kc_http_req *http = w->q->http;
        if (w->socket)
                watch_socket_end(w->socket);
        else
                kc_http_on_drain(http, NULL, NULL);
        w->q->on_closed = NULL;
        if (w->watch)
                kc_cache_watch_cancel(w->watch);
        kc_timer_free(w->timeout);
        list_options_done(&w->options);
        kc_free(w->api_version);
        kc_free(w->include);
        if (w->started)
                metrics_long_running(w->q, -1);
        kc_free(w);
        kc_http_req_unref(http);
}

/* --- encoding */

/* NULL, logged: it has no encoding. */
static struct kc_bytes *frame_of(const struct api_req *q, const char *type, const struct json_object *obj)
{
        if (q->media.type == MEDIA_PROTOBUF) {
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                struct kc_bytes *frame = NULL;
                if (proto_watch_frame(q, type, obj, &frame, &err) < 0)
                        kc_log_error(&err, "Cannot encode an event, ending the watch", "path", q->info.path);
                return frame;
        }
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addf(&b, "{\"type\":\"%s\",\"object\":", type);
        kc_json_write(&b, obj);
        kc_buf_adds(&b, "}\n");
        return kc_bytes_from_buf(&b);
}

static bool plain(const struct api_req *q)
{
        return q->media.as == AS_ITSELF && q->media.type == MEDIA_JSON && !convert_needed(q->row);
}

/* The object in the form that was asked for. Takes the tree. */
static struct json_object *transform(const struct watcher *w, struct json_object *take_tree, bool columns)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = take_tree;
        const struct api_req *q = w->q;
        convert_from_storage(q->row, tree);
        if (q->media.as == AS_PARTIAL)
                return partial_of(&q->media, tree);
        if (q->media.as != AS_TABLE)
                return KC_TAKE(tree);
        struct json_object *t = table_new(q);
        if (!columns)
                kc_json_set(t, "columnDefinitions", NULL);
        kc_json_set_str(kc_json_ensure_obj(t, "metadata"), "resourceVersion", kc_meta_resource_version(tree));
        kc_json_push(kc_json_ensure_arr(t, "rows"), table_row(q, tree, w->include, kc_clock_now(NULL)));
        return t;
}

static struct kc_bytes *make_variant(const struct kc_cache_watch_event *ev, void *arg)
{
        const struct watcher *w = arg;
        const char *type = kc_watch_type_names[ev->type];
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_resources_object(ev->object);
        if (w->q->media.as == AS_ITSELF && !convert_needed(w->q->row))
                return frame_of(w->q, type, kc_object_json(obj));
        KC_CLEANUP(kc_json_freep)
        struct json_object *tree = transform(w, kc_object_copy_json(obj), !w->sent_columns);
        return frame_of(w->q, type, tree);
}

/* An address that stands for the form: within the row of the resource, which no other form uses. */
static const void *variant_of(const struct watcher *w)
{
        enum { AS = 4, INCLUDE = 3, BETA = 2, TYPES = 3 };
        static_assert(sizeof(struct kc_resource) >= (size_t)AS * INCLUDE * BETA * TYPES, "an address for each form");
        const struct media *m = &w->q->media;
        size_t n = kc_streq(w->include, "Object") ? 1 : kc_streq(w->include, "None") ? 2 : 0;
        n = n * AS + (size_t)m->as;
        n = n * BETA + m->beta;
        return (const char *)w->q->row + n * TYPES + (size_t)m->type;
}

static struct kc_bytes *encode_bookmark(const struct watcher *w, const struct kc_cache_watch_event *ev)
{
        const struct api_req *q = w->q;
        if (q->media.as == AS_ITSELF && q->media.type == MEDIA_JSON)
                return kc_cache_bookmark_frame(w->api_version, q->row->kind, ev->revision, ev->initial_end);
        KC_CLEANUP(kc_freep) char *revision = kc_asprintf("%lld", (long long)ev->revision);
        KC_CLEANUP(kc_json_freep)
        struct json_object *tree =
            kc_json_build("{'kind':%s,'apiVersion':%s,'metadata':{'resourceVersion':%s,'creationTimestamp':null}}",
                q->row->kind, w->api_version, revision);
        if (ev->initial_end)
                kc_meta_set_annotation(tree, "k8s.io/initial-events-end", "true");
        /* A bookmark has no fields to convert. */
        if (q->media.as != AS_ITSELF)
                tree = transform(w, KC_TAKE(tree), !w->sent_columns);
        return frame_of(q, "BOOKMARK", tree);
}

static struct kc_bytes *encode(struct watcher *w, const struct kc_cache_watch_event *ev)
{
        if (!ev->object)
                return encode_bookmark(w, ev);
        if (plain(w->q))
                return kc_cache_watch_event_frame(ev);
        /* The first Table of a watch has the columns, and only this watch has it. */
        if (w->q->media.as == AS_TABLE && !w->sent_columns)
                return make_variant(ev, w);
        return kc_cache_watch_event_variant(ev, variant_of(w), make_variant, w);
}

/* --- the life of a watch */

static void finish(struct watcher *w)
{
        if (!w->socket)
                kc_http_finish(w->q->http);
        watcher_free(w);
}

static int put(struct watcher *w, struct kc_bytes *frame)
{
        if (!w->socket)
                return kc_http_write(w->q->http, frame);
        /* A message has a length by itself. */
        size_t skip = w->q->media.type == MEDIA_PROTOBUF ? PROTO_FRAME_HEAD : 0;
        return watch_socket_write(w->socket, kc_bytes_data(frame) + skip, kc_bytes_len(frame) - skip);
}

static size_t queued(const struct watcher *w)
{
        return w->socket ? watch_socket_queued(w->socket) : kc_http_queued(w->q->http);
}

static void on_event(struct kc_cache_watch *cw, const struct kc_cache_watch_event *ev, void *arg)
{
        struct watcher *w = arg;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *frame = encode(w, ev);
        w->sent_columns = true;
        metrics_watch_event(w->q->row, frame ? kc_bytes_len(frame) : 0);
        if (!frame || put(w, frame) < 0) {
                /* The peer is gone, or has let megabytes pile up, or cannot be told. */
                if (!w->socket)
                        kc_http_abort(w->q->http);
                watcher_free(w);
                return;
        }
        if (queued(w) > WATCH_QUEUED_MAX)
                kc_cache_watch_pause(cw, true);
}

static void on_live(struct kc_cache_watch *cw, void *arg)
{
        (void)cw; /* the watcher's */
        const struct watcher *w = arg;
        fairness_watch_started(w->q);
}

static void on_end(struct kc_cache_watch *cw, const struct kc_error *err, void *arg)
{
        (void)cw; /* freed by the cache */
        struct watcher *w = arg;
        w->watch = NULL;
        if (err) {
                KC_CLEANUP(kc_json_freep) struct json_object *status = kc_status_from_error(err);
                KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *frame = frame_of(w->q, "ERROR", status);
                if (frame)
                        (void)put(w, frame); /* it ends here in any case */
        }
        finish(w);
}

static void resume(void *arg)
{
        struct watcher *w = arg;
        if (w->watch)
                kc_cache_watch_pause(w->watch, false);
}

static void on_drain(struct kc_http_req *http, void *arg)
{
        (void)http; /* the watch's own */
        resume(arg);
}

static void on_closed(void *arg)
{
        watcher_free(arg);
}

/* A watch does not last for ever: clients come back, to another apiserver maybe. */
static void on_timeout(void *arg)
{
        struct watcher *w = arg;
        struct api_req *q = w->q;
        if (w->options.bookmarks)
                kc_cache_watch_bookmark(w->watch);
        /* The bookmark may have met a dead peer and freed the watcher. */
        if (q->on_closed_arg == w && q->on_closed)
                finish(w);
}

static int64_t timeout_of(const struct watcher *w)
{
        if (w->options.timeout_seconds > 0)
                return w->options.timeout_seconds * KC_SEC;
        int64_t min = w->q->server->o->min_request_timeout * KC_SEC;
        return kc_jitter(min, 1.0);
}

/* The head of the answer; false: it has been refused. */
static bool open_response(struct watcher *w)
{
        struct api_req *q = w->q;
        bool proto = q->media.type == MEDIA_PROTOBUF;
        int code = 200;
        if (watch_socket_wanted(q)) {
                if (!watch_socket_open(q, proto, resume, w, &w->socket))
                        return false;
                code = 101;
        } else {
                KC_CLEANUP(kc_strv_freep)
                char **headers =
                    api_reply_headers(q, proto ? KC_PROTOBUF_MEDIA_TYPE ";stream=watch" : "application/json");
                kc_http_start(q->http, code, headers);
                kc_http_on_drain(q->http, on_drain, w);
        }
        atomic_store(&q->code, code);
        audit_response_started(q, code);
        return true;
}

static void respond(struct watcher *w)
{
        struct api_req *q = w->q;
        if (!open_response(w)) {
                watcher_free(w);
                return;
        }
        q->on_closed = on_closed;
        q->on_closed_arg = w;
        w->timeout = kc_timer_new(kc_http_req_loop(q->http), on_timeout, w);
        kc_timer_arm(w->timeout, timeout_of(w));
        w->started = true;
        metrics_long_running(q, 1);
}

/* match gets the argument of the callbacks. */
static bool match(const struct kc_cache_entry *e, void *arg)
{
        struct watcher *w = arg;
        return list_options_match(e, &w->options);
}

static int start(struct watcher *w, struct kc_error *err)
{
        struct api_req *q = w->q;
        const struct list_options *o = &w->options;
        const char *trigger = NULL;
        if (o->fields && strcmp(q->stored->row->resource, "pods") == 0)
                trigger = kc_field_selector_requires(o->fields, "spec.nodeName");
        const struct kc_cache_watch_opts wo = {
            .loop = kc_http_req_loop(q->http),
            .ns = o->ns,
            .name = o->name,
            .revision = o->watch_revision,
            .initial_events = o->initial_events,
            .bookmarks = o->bookmarks,
            .match = list_options_matcher(o) ? match : NULL,
            .trigger = trigger,
        };
        static const struct kc_cache_watch_cbs cbs = {.on_event = on_event, .on_end = on_end, .on_live = on_live};
        return kc_cache_watch(q->stored->cache, &wo, &cbs, w, &w->watch, err);
}

void handle_watch(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct watcher *w = KC_NEW(struct watcher);
        w->q = q;
        (void)kc_http_req_ref(q->http); /* watcher_free gives it back */
        w->api_version = kc_api_version_join(q->row->group, q->row->version);
        int r = list_options_parse(q, true, &w->options, &err);
        if (r == 0)
                r = table_include(q, &w->include, &err);
        if (r == 0)
                r = media_check_stream(q, &err);
        if (r == 0)
                r = start(w, &err);
        if (r < 0) {
                api_reply_error(q, &err);
                watcher_free(w);
                return;
        }
        respond(w);
}

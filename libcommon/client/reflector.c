/* The reflector. See reflector.h. On the loop. */
#include "client/reflector.h"

#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "client/ratelimit.h"
#include "client/store.h"

enum {
        PAGE_SIZE = 500,
        MAX_EVENT = 16 << 20,      /* one line of a watch */
        MAX_LIST_PAGE = 256 << 20, /* servers that ignore limit send everything at once */
};

struct kc_reflector_times kc_reflector_times = {
    .backoff_min = 800 * KC_MSEC,
    .backoff_max = 30 * KC_SEC,
    .short_watch = KC_SEC,
    .list_silence = 60 * KC_SEC,
    .stream_silence = 10 * KC_SEC,
    .watch_overtime = 30 * KC_SEC,
    .watch_seconds = 300,
};

#define AS_METADATA(kind) "application/json;as=" kind ";g=meta.k8s.io;v=v1,application/json"

static const struct kc_json_limits limits = {.max_bytes = MAX_LIST_PAGE, .max_depth = 128, .max_nodes = 64 << 20};

enum state { IDLE, STREAM_LIST, PAGE_LIST, WATCH, WAIT };

/* One HTTP exchange. It outlives a reflector that has given it up. */
struct exchange {
        struct kc_reflector *owner; /* NULL: given up */
        struct kc_http_call *call;
        struct kc_buf buf; /* a page, or an incomplete line */
        size_t scanned;    /* of buf: holds no newline */
        bool events;       /* something came */
        bool ended;        /* nothing to cancel any more */
        kc_mono opened;    /* 0: no 200 yet */
        struct kc_error failure;
};

struct kc_reflector {
        struct kc_rest *rest;
        struct kc_gvr gvr;
        char *path, *api_version, *selectors; /* selectors: "&labelSelector=..." or "" */
        void (*transform)(struct json_object *tree);
        bool metadata_only;
        struct kc_reflector_cbs cbs;
        void *arg;

        enum state state;
        enum state next; /* after WAIT: STREAM_LIST (or PAGE_LIST) or WATCH */
        struct exchange *exchange;
        struct kc_timer *timer;
        struct kc_store *incoming; /* of a list under way */
        char *continue_token;      /* of the next page */
        char *resource_version;    /* where the next watch starts; NULL: a list is needed */
        bool no_streams;           /* the server has refused or ignored sendInitialEvents */
        bool no_pages;             /* a page's token has expired: the whole list at once */
        bool fresh_list;           /* the cache of the server was too old: read through it */
        int failures;              /* in a row */
};

static void run(struct kc_reflector *r, enum state next);

static char *selectors_query(const struct kc_reflector_opts *o)
{
        struct kc_buf b = KC_BUF_INIT;
        if (!kc_str_empty(o->label_selector)) {
                KC_CLEANUP(kc_freep) char *escaped = kc_url_escape(o->label_selector, false);
                kc_buf_addf(&b, "&labelSelector=%s", escaped);
        }
        if (!kc_str_empty(o->field_selector)) {
                KC_CLEANUP(kc_freep) char *escaped = kc_url_escape(o->field_selector, false);
                kc_buf_addf(&b, "&fieldSelector=%s", escaped);
        }
        return kc_buf_take_str(&b);
}

static void exchange_free(struct exchange *x)
{
        kc_buf_done(&x->buf);
        kc_error_done(&x->failure);
        kc_free(x);
}

/* Gives the exchange up; it frees itself when its end comes. */
static void abandon(struct kc_reflector *r)
{
        struct exchange *x = KC_TAKE(r->exchange);
        if (!x)
                return;
        x->owner = NULL;
        if (!x->ended)
                kc_http_call_cancel(x->call);
}

/* --- failures */

static void wait_then(struct kc_reflector *r, enum state next)
{
        int64_t delay =
            kc_backoff_exponential(kc_reflector_times.backoff_min, kc_reflector_times.backoff_max, r->failures);
        r->failures++;
        r->state = WAIT;
        r->next = next;
        kc_timer_arm(r->timer, KC_MIN(kc_jitter(delay, 1.0), kc_reflector_times.backoff_max));
}

/* One line for a series of failures; all of them with --v=2. */
static void complain(const struct kc_reflector *r, const struct kc_error *err, const char *what)
{
        if (r->failures == 0)
                kc_log_error(err, "Reflector failed, retrying", "what", what, "path", r->path);
        else
                kc_log_v(
                    2, "Reflector failed again, retrying", "what", what, "path", r->path, "err", kc_error_message(err));
}

static enum state list_state(const struct kc_reflector *r)
{
        return r->no_streams ? PAGE_LIST : STREAM_LIST;
}

/* --- objects and events */

static struct kc_object *make_object(struct kc_reflector *r, struct json_object *take_tree)
{
        struct json_object *metadata = kc_json_get_mut(take_tree, "metadata");
        if (kc_str_empty(kc_json_str(metadata, "name"))) {
                kc_json_free(take_tree);
                return NULL;
        }
        kc_json_del(metadata, "managedFields");
        /* Items of lists lack them. */
        if (!kc_json_get(take_tree, "kind"))
                kc_json_set_str(take_tree, "kind", r->gvr.kind);
        if (!kc_json_get(take_tree, "apiVersion"))
                kc_json_set_str(take_tree, "apiVersion", r->api_version);
        if (r->transform)
                r->transform(take_tree);
        return kc_object_new(take_tree);
}

/* Hands the list over; the next step is to watch from its version. */
static void finish_list(struct kc_reflector *r, const char *resource_version)
{
        struct kc_objects objs = {0};
        struct kc_store *incoming = KC_TAKE(r->incoming);
        kc_store_list(incoming, NULL, NULL, &objs);
        kc_store_free(incoming);
        kc_str_set(&r->resource_version, resource_version);
        kc_str_set(&r->continue_token, NULL);
        r->no_pages = false;
        r->fresh_list = false;
        kc_log_v(3, "Listed", "path", r->path, "objects", kc_log_i64((long long)objs.n), "resourceVersion",
            resource_version);
        r->cbs.replace(&objs, r->arg);
        kc_objects_done(&objs);
}

static void on_object(struct kc_reflector *r, const char *type, struct json_object *take_tree)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = make_object(r, take_tree);
        if (!obj)
                return;
        bool deleted = kc_streq(type, "DELETED");
        if (r->state == STREAM_LIST) {
                struct kc_object *old =
                    deleted ? kc_store_remove(r->incoming, kc_object_namespace(obj), kc_object_name(obj))
                            : kc_store_set(r->incoming, obj);
                kc_object_unref(old);
                return;
        }
        kc_str_set(&r->resource_version, kc_object_resource_version(obj));
        if (deleted)
                r->cbs.remove(obj, r->arg);
        else
                r->cbs.set(obj, r->arg);
}

static void arm_watch_timer(struct kc_reflector *r)
{
        kc_timer_arm(
            r->timer, 2 * (int64_t)kc_reflector_times.watch_seconds * KC_SEC + kc_reflector_times.watch_overtime);
}

static void on_bookmark(struct kc_reflector *r, const struct json_object *obj)
{
        const char *version = kc_meta_resource_version(obj);
        if (!version)
                return;
        if (r->state != STREAM_LIST) {
                kc_str_set(&r->resource_version, version);
                return;
        }
        if (!kc_streq(kc_meta_annotation(obj, "k8s.io/initial-events-end"), "true"))
                return;
        r->state = WATCH;
        arm_watch_timer(r);
        finish_list(r, version);
}

/* One line of a watch. Negative: the stream is of no use any more. */
static int on_line(struct exchange *x, const char *line, size_t len)
{
        struct kc_reflector *r = x->owner;
        KC_CLEANUP(kc_json_freep) struct json_object *event = NULL;
        int e = kc_json_parse(line, len, &limits, &event, &x->failure);
        if (e < 0)
                return kc_error_wrap(&x->failure, "unable to decode an event from the watch stream");
        const char *type = kc_json_str(event, "type");
        struct json_object *obj = kc_json_get_mut(event, "object");
        if (!type || !kc_json_is_obj(obj))
                return kc_error_set(&x->failure, EPROTO, "unable to understand watch event");
        if (kc_streq(type, "ADDED") || kc_streq(type, "MODIFIED") || kc_streq(type, "DELETED")) {
                x->events = true;
                on_object(r, type, json_object_get(obj));
                return 0;
        }
        if (kc_streq(type, "BOOKMARK")) {
                x->events = true;
                on_bookmark(r, obj);
                return 0;
        }
        if (!kc_streq(type, "ERROR"))
                return kc_error_set(&x->failure, EPROTO, "unable to understand watch event \"%s\"", type);
        const char *reason = kc_json_str(obj, "reason"), *message = kc_json_str(obj, "message");
        return kc_error_set_api(&x->failure, (int)kc_json_int(obj, "code", 500),
            reason ? reason : KC_REASON_INTERNAL_ERROR, "%s", message ? message : "");
}

/* --- the stream's bytes */

/* Lines of data; ret_rest: the bytes behind the last of them. */
static int take_lines(struct exchange *x, const char *data, size_t len, size_t scanned, size_t *ret_rest)
{
        size_t start = 0;
        while (x->owner) {
                const char *newline = memchr(data + KC_MAX(start, scanned), '\n', len - KC_MAX(start, scanned));
                if (!newline)
                        break;
                size_t end = (size_t)(newline - data);
                /* An event is taken off the exchange's hands before the callbacks may abandon it. */
                int e = end > start ? on_line(x, data + start, end - start) : 0;
                if (e < 0)
                        return e;
                start = end + 1;
        }
        *ret_rest = len - start;
        return 0;
}

static int feed(struct exchange *x, const char *data, size_t len)
{
        size_t rest = 0;
        int e;
        if (x->buf.len == 0) {
                e = take_lines(x, data, len, 0, &rest);
                if (e == 0)
                        e = kc_buf_add_limited(&x->buf, data + len - rest, rest, MAX_EVENT);
        } else {
                e = kc_buf_add_limited(&x->buf, data, len, MAX_EVENT);
                if (e == 0)
                        e = take_lines(x, x->buf.data, x->buf.len, x->scanned, &rest);
                if (e == 0)
                        kc_buf_consume(&x->buf, x->buf.len - rest);
        }
        if (x->buf.len == 0)
                kc_buf_done(&x->buf); /* a large event leaves no large buffer behind */
        x->scanned = x->buf.len;
        if (e < 0 && x->failure.errnum == 0)
                (void)kc_error_set(&x->failure, -e, "watch event too large");
        return e;
}

static void on_open(int code, void *arg)
{
        struct exchange *x = arg;
        if (code == 200)
                x->opened = kc_clock_mono(NULL);
}

static void on_data(const char *data, size_t len, void *arg)
{
        struct exchange *x = arg;
        struct kc_reflector *r = x->owner;
        if (!r || x->failure.errnum)
                return;
        if (r->state == STREAM_LIST)
                kc_timer_arm(r->timer, kc_reflector_times.stream_silence);
        if (r->state == PAGE_LIST) {
                kc_timer_arm(r->timer, kc_reflector_times.list_silence);
                int e = kc_buf_add_limited(&x->buf, data, len, MAX_LIST_PAGE);
                if (e < 0)
                        (void)kc_error_set(&x->failure, -e, "list too large");
        } else {
                (void)feed(x, data, len); /* the failure is kept in x */
        }
        if (x->failure.errnum && x->owner)
                kc_http_call_cancel(x->call); /* on_end comes and looks at the failure */
}

/* --- the end of an exchange, by state */

/* The versions after the last one we have are gone. At once the first time; a server that says so again and again makes
 * us wait. */
static void relist(struct kc_reflector *r, const struct kc_error *err)
{
        kc_log_v(2, "Watch expired, listing again", "path", r->path, "err", kc_error_message(err));
        kc_str_set(&r->resource_version, NULL);
        r->fresh_list = true;
        if (r->failures > 0) {
                wait_then(r, list_state(r));
                return;
        }
        r->failures = 1;
        run(r, list_state(r));
}

static void after_watch(struct kc_reflector *r, const struct exchange *x, const struct kc_error *err)
{
        bool lasted = x->events || (x->opened && kc_clock_mono(NULL) - x->opened >= kc_reflector_times.short_watch);
        if (lasted)
                r->failures = 0;
        if (err->code == 410 || kc_error_is(err, KC_REASON_EXPIRED) || kc_error_is(err, KC_REASON_GONE)) {
                relist(r, err);
                return;
        }
        if (lasted && err->code == 0) {
                /* Ended by the server, or broken after it had worked. */
                kc_log_v(4, "Watch ended", "path", r->path, "err", err->errnum ? kc_error_message(err) : "");
                run(r, WATCH);
                return;
        }
        if (err->errnum)
                complain(r, err, "watch");
        else
                kc_log_v(2, "Very short watch, retrying", "path", r->path);
        bool refused = err->code >= 400 && err->code < 500 && err->code != 429;
        wait_then(r, refused ? list_state(r) : WATCH);
}

static void after_stream_list(struct kc_reflector *r, const struct exchange *x, const struct kc_error *err)
{
        bool refused = err->code == 400 || err->code == 422, cut_short = err->errnum == 0 && x->opened;
        if (refused || cut_short) {
                kc_log_v(2, "The server does not stream the list, falling back to pages", "path", r->path, "err",
                    err->errnum ? kc_error_message(err) : "");
                r->no_streams = refused;
                run(r, PAGE_LIST);
                return;
        }
        complain(r, err, "list");
        wait_then(r, STREAM_LIST);
}

static int take_page(struct kc_reflector *r, const struct exchange *x, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        int e = kc_json_parse(kc_buf_str(&x->buf), x->buf.len, &limits, &list, err);
        if (e < 0)
                return e;
        const char *version = kc_json_str_at(list, "metadata.resourceVersion");
        if (!version)
                return kc_error_set(err, EPROTO, "the list has no resourceVersion");
        struct json_object *items = kc_json_get_mut(list, "items");
        for (size_t i = 0; i < kc_json_len(items); i++) {
                struct kc_object *obj = make_object(r, json_object_get(kc_json_idx_mut(items, i)));
                if (obj)
                        kc_object_unref(kc_store_set(r->incoming, obj));
                kc_object_unref(obj);
        }
        const char *token = kc_json_str_at(list, "metadata.continue");
        if (!kc_str_empty(token)) {
                kc_str_set(&r->continue_token, token);
                run(r, PAGE_LIST);
                return 0;
        }
        r->state = IDLE;
        finish_list(r, version);
        return 1;
}

static void after_page(struct kc_reflector *r, const struct exchange *x, const struct kc_error *err)
{
        struct kc_error why = KC_ERROR_INIT;
        kc_error_copy(&why, err);
        int e = err->errnum ? -err->errnum : take_page(r, x, &why);
        if (e < 0 && (why.code == 410 || kc_error_is(&why, KC_REASON_EXPIRED)) && r->continue_token) {
                kc_str_set(&r->continue_token, NULL);
                r->no_pages = true;
                run(r, PAGE_LIST);
        } else if (e < 0) {
                complain(r, &why, "list");
                kc_str_set(&r->continue_token, NULL);
                wait_then(r, list_state(r));
        } else if (e > 0 && x->owner) {
                run(r, WATCH);
        }
        kc_error_done(&why);
}

static void on_end(const struct kc_error *err, void *arg)
{
        struct exchange *x = arg;
        struct kc_reflector *r = x->owner;
        x->ended = true;
        if (r) {
                kc_timer_disarm(r->timer);
                const struct kc_error *why = x->failure.errnum ? &x->failure : err;
                if (why->errnum == ECANCELED) /* the client is closed */
                        r->state = IDLE;
                else if (r->state == WATCH)
                        after_watch(r, x, why);
                else if (r->state == STREAM_LIST)
                        after_stream_list(r, x, why);
                else
                        after_page(r, x, why);
        }
        if (x->owner && x->owner->exchange == x)
                x->owner->exchange = NULL;
        exchange_free(x);
}

/* --- starting */

static char *make_url(struct kc_reflector *r)
{
        unsigned seconds = (unsigned)kc_reflector_times.watch_seconds +
                           (unsigned)kc_rand_below((uint64_t)kc_reflector_times.watch_seconds);
        if (r->state == WATCH)
                return kc_asprintf("%s?allowWatchBookmarks=true&resourceVersion=%s&timeoutSeconds=%u&watch=true%s",
                    r->path, r->resource_version, seconds, r->selectors);
        if (r->state == STREAM_LIST)
                return kc_asprintf(
                    "%s?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&"
                    "timeoutSeconds=%u&watch=true%s",
                    r->path, seconds, r->selectors);
        if (r->continue_token) {
                KC_CLEANUP(kc_freep) char *token = kc_url_escape(r->continue_token, false);
                return kc_asprintf("%s?continue=%s&limit=%d%s", r->path, token, PAGE_SIZE, r->selectors);
        }
        if (r->no_pages)
                return kc_asprintf("%s?resourceVersion=%s", r->path, r->selectors);
        /* From the server's cache the first time; nothing older than we had seen afterwards. */
        bool cached = !r->resource_version && !r->fresh_list;
        return kc_asprintf("%s?limit=%d%s%s", r->path, PAGE_SIZE, cached ? "&resourceVersion=0" : "", r->selectors);
}

static const char *accepted(const struct kc_reflector *r)
{
        if (!r->metadata_only)
                return NULL;
        return r->state == PAGE_LIST ? AS_METADATA("PartialObjectMetadataList") : AS_METADATA("PartialObjectMetadata");
}

static void run(struct kc_reflector *r, enum state next)
{
        static const struct kc_rest_stream_cbs cbs = {.on_open = on_open, .on_data = on_data, .on_end = on_end};
        r->state = next;
        if (next != WATCH && !r->continue_token) {
                kc_store_free(r->incoming);
                r->incoming = kc_store_new();
        }
        KC_CLEANUP(kc_freep) char *url = make_url(r);
        struct exchange *x = KC_NEW(struct exchange);
        x->owner = r;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_rest_stream(r->rest, url, accepted(r), &cbs, x, &x->call, &err) < 0) {
                exchange_free(x);
                if (err.errnum == ECANCELED) {
                        r->state = IDLE;
                } else {
                        complain(r, &err, "start");
                        wait_then(r, next);
                }
                kc_error_done(&err);
                return;
        }
        r->exchange = x;
        if (next == WATCH)
                arm_watch_timer(r);
        else
                kc_timer_arm(r->timer,
                    next == STREAM_LIST ? kc_reflector_times.stream_silence : kc_reflector_times.list_silence);
}

static void on_timer(void *arg)
{
        struct kc_reflector *r = arg;
        enum state was = r->state;
        if (was == WAIT) {
                run(r, r->next == WATCH && !r->resource_version ? list_state(r) : r->next);
                return;
        }
        bool answered = r->exchange && r->exchange->opened;
        abandon(r);
        kc_log_v(2, "No bytes from the server, giving the exchange up", "path", r->path);
        if (was == STREAM_LIST && answered) {
                r->no_streams = true;
                run(r, PAGE_LIST);
        } else if (was == WATCH) {
                run(r, WATCH);
        } else {
                kc_str_set(&r->continue_token, NULL);
                wait_then(r, list_state(r));
        }
}

struct kc_reflector *kc_reflector_new(struct kc_rest *rest, const struct kc_reflector_opts *o)
{
        struct kc_reflector *r = KC_NEW(struct kc_reflector);
        r->rest = rest;
        r->gvr = *o->gvr;
        r->path = kc_gvr_path(o->gvr, o->ns, NULL, NULL);
        r->api_version = kc_gvr_api_version(o->gvr);
        r->selectors = selectors_query(o);
        r->transform = o->transform;
        r->metadata_only = o->metadata_only;
        r->cbs = o->cbs;
        r->arg = o->arg;
        r->timer = kc_timer_new(kc_rest_loop(rest), on_timer, r);
        return r;
}

void kc_reflector_start(struct kc_reflector *r)
{
        if (r->state == IDLE)
                run(r, list_state(r));
}

void kc_reflector_free(struct kc_reflector *r)
{
        if (!r)
                return;
        abandon(r);
        kc_timer_free(r->timer);
        kc_store_free(r->incoming);
        kc_free(r->path);
        kc_free(r->api_version);
        kc_free(r->selectors);
        kc_free(r->continue_token);
        kc_free(r->resource_version);
        kc_free(r);
}

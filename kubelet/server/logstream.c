/* /containerLogs: a reader of the file on the pool, its output to the peer on the loop.
 *
 *   pump --> pool: read a piece --> loop: kc_http_write --> (more: pump | peer slow: on_drain --> pump
 *                                        | end of file: inotify, or a look every second while the container runs)
 *
 * One piece at a time; the reader belongs to whoever has the turn. */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/logs/logs.h"
#include "kubelet/server/server_internal.h"

enum { PIECE = 64 * 1024, QUEUED_MAX = 256 * 1024 };
#define CHECK_USEC (1 * KC_SEC) /* as upstream's logForceCheckPeriod */

struct log_stream {
        struct kc_ks_stream base;
        atomic_uint refs; /* the loop, a read */
        struct kc_kubelet_server *s;
        struct kc_http_req *req;
        struct kc_log_reader *reader;
        char *path, *container_id;
        bool follow;
        /* on the loop */
        int inotify; /* -1: none */
        struct kc_io *io;
        struct kc_timer *timer;
        bool reading, dead, changed;
        /* of the read */
        struct kc_buf piece;
        int result;
        bool limit_hit, alive;
        struct kc_error err;
};

static void stream_unref(struct log_stream *l)
{
        if (atomic_fetch_sub(&l->refs, 1) != 1)
                return;
        kc_log_reader_free(l->reader);
        kc_http_req_unref(l->req);
        kc_ks_unref(l->s);
        kc_buf_done(&l->piece);
        kc_error_done(&l->err);
        kc_free(l->path);
        kc_free(l->container_id);
        kc_free(l);
}

/* Nothing on the loop any more; the answer is finished or given up by the caller. */
static void detach(struct log_stream *l)
{
        if (l->dead)
                return;
        l->dead = true;
        kc_http_on_drain(l->req, NULL, NULL);
        kc_http_on_close(l->req, NULL, NULL);
        kc_io_free(l->io);
        kc_timer_free(l->timer);
        if (l->inotify >= 0)
                close(l->inotify);
        kc_list_remove(&l->base.node);
        stream_unref(l);
}

static void on_server_end(struct kc_ks_stream *base)
{
        detach(KC_CONTAINER_OF(base, struct log_stream, base));
}

static void on_peer_gone(struct kc_http_req *req, void *arg)
{
        (void)req;
        detach(arg);
}

static void read_done(void *arg);

static void read_piece(void *arg)
{
        struct log_stream *l = arg;
        /* Asked before reading: what was written until then is read now. */
        l->alive =
            l->follow && !atomic_load(&l->s->closed) && l->s->o.ops.container_running(l->s->o.ops.arg, l->container_id);
        l->result = kc_log_reader_read(l->reader, &l->piece, PIECE, &l->limit_hit, &l->err);
        kc_loop_post(kc_http_req_loop(l->req), read_done, l);
}

static void pump(struct log_stream *l)
{
        if (l->reading) {
                l->changed = true;
                return;
        }
        l->reading = true;
        l->changed = false;
        kc_timer_disarm(l->timer);
        atomic_fetch_add(&l->refs, 1);
        if (kc_pool_submit(l->s->o.pool, read_piece, l) < 0) {
                l->reading = false;
                stream_unref(l);
                kc_timer_arm(l->timer, CHECK_USEC);
        }
}

static void on_drain(struct kc_http_req *req, void *arg)
{
        (void)req;
        pump(arg);
}

static void on_timer(void *arg)
{
        pump(arg);
}

static void on_inotify(int fd, int events, void *arg)
{
        (void)events;
        char buf[4096];
        while (read(fd, buf, sizeof(buf)) > 0)
                continue;
        pump(arg);
}

static void finish(struct log_stream *l, bool whole)
{
        struct kc_http_req *req = kc_http_req_ref(l->req);
        detach(l);
        if (whole)
                kc_http_finish(req);
        else
                kc_http_abort(req);
        kc_http_req_unref(req);
}

static void go_on(struct log_stream *l)
{
        if (l->piece.len > 0) {
                struct kc_bytes *b = kc_bytes_from_buf(&l->piece);
                int r = kc_http_write(l->req, b);
                kc_bytes_unref(b);
                if (r < 0) {
                        finish(l, false);
                        return;
                }
        }
        if (l->result < 0) {
                kc_log_error(&l->err, "Failed to read the log of a container", "path", l->path);
                finish(l, false);
        } else if (l->limit_hit || (l->result == 0 && !l->alive)) {
                finish(l, true);
        } else if (kc_http_queued(l->req) > QUEUED_MAX) {
                kc_http_on_drain(l->req, on_drain, l);
        } else if (l->result > 0 || l->changed) {
                pump(l);
        } else {
                kc_timer_arm(l->timer, CHECK_USEC);
        }
}

/* Takes the read's reference. */
static void read_done(void *arg)
{
        struct log_stream *l = arg;
        l->reading = false;
        if (!l->dead)
                go_on(l);
        stream_unref(l);
}

/* The directory, so that a new file of the same name is seen as well. */
static void watch(struct log_stream *l)
{
        KC_CLEANUP(kc_freep) char *dir = kc_strdup(l->path);
        char *slash = strrchr(dir, '/');
        if (slash)
                *slash = '\0';
        l->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (l->inotify >= 0 && inotify_add_watch(l->inotify, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) >= 0) {
                l->io = kc_io_new(l->s->o.loop, l->inotify, KC_IO_READ, on_inotify, l);
                return;
        }
        kc_log_warn("Could not watch a log directory, looking every second", "dir", dir, "err", strerror(errno));
}

/* On the loop. */
static void begin(void *arg)
{
        struct log_stream *l = arg;
        if (atomic_load(&l->s->closed) || kc_http_req_closed(l->req)) {
                stream_unref(l);
                return;
        }
        kc_list_push_back(&l->s->streams, &l->base.node);
        l->timer = kc_timer_new(l->s->o.loop, on_timer, l);
        if (l->follow)
                watch(l);
        char *const headers[] = {(char *)"Content-Type", (char *)"text/plain", NULL};
        kc_http_on_close(l->req, on_peer_gone, l);
        kc_http_start(l->req, 200, headers);
        pump(l);
}

/* --- The query */

static int bad(struct kc_error *err)
{
        return kc_error_set_api(err, 400, KC_REASON_BAD_REQUEST, "{\"message\": \"Unable to decode query.\"}");
}

static int invalid(struct kc_error *err)
{
        return kc_error_set_api(err, 422, KC_REASON_INVALID, "{\"message\": \"Invalid request.\"}");
}

static int get_int(const char *query, const char *name, int64_t min, int64_t *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *s = kc_query_get(query, name);
        if (kc_str_empty(s))
                return 0;
        if (kc_str_to_i64(s, ret) < 0)
                return bad(err);
        return *ret < min ? invalid(err) : 0;
}

struct query {
        struct kc_log_opts o;
        char *stream;
        bool previous;
};

static int parse_query(const char *q, struct query *ret, struct kc_error *err)
{
        int64_t since_seconds = -1;
        KC_CLEANUP(kc_freep) char *since = kc_query_get(q, "sinceTime");
        ret->o = (struct kc_log_opts){.follow = kc_query_bool(q, "follow", false),
            .timestamps = kc_query_bool(q, "timestamps", false),
            .tail_lines = -1,
            .limit_bytes = -1};
        ret->previous = kc_query_bool(q, "previous", false);
        int r = get_int(q, "tailLines", 0, &ret->o.tail_lines, err);
        if (r == 0)
                r = get_int(q, "limitBytes", 1, &ret->o.limit_bytes, err);
        if (r == 0)
                r = get_int(q, "sinceSeconds", 1, &since_seconds, err);
        if (r == 0 && !kc_str_empty(since)) {
                if (since_seconds >= 0)
                        return invalid(err);
                if (kc_time_parse(since, &ret->o.since) < 0)
                        return bad(err);
        }
        if (since_seconds >= 0)
                ret->o.since = kc_clock_now(NULL) - since_seconds * KC_SEC;
        ret->stream = kc_query_get(q, "stream");
        static const char *const streams[] = {"All", "Stdout", "Stderr"};
        bool known = kc_str_empty(ret->stream);
        for (size_t i = 0; i < KC_ARRAY_LEN(streams); i++)
                known |= kc_streq(ret->stream, streams[i]);
        ret->o.stream = ret->stream;
        return r == 0 && !known ? invalid(err) : r;
}

static int open_log(struct kc_ks_request *r, struct query *q, struct log_stream **ret, struct kc_error *err)
{
        struct kc_kubelet_server *s = r->s;
        KC_CLEANUP(kc_freep) char *path = NULL;
        KC_CLEANUP(kc_freep) char *id = NULL;
        struct kc_log_reader *reader = NULL;
        int e = parse_query(kc_http_req_query(r->req), q, err);
        if (e == 0)
                e = s->o.ops.log_path(
                    s->o.ops.arg, r->parts[1], r->parts[2], r->parts[3], q->previous, &path, &id, err);
        if (e == 0)
                e = kc_log_reader_open(path, &q->o, &reader, err);
        if (e < 0)
                return e;
        struct log_stream *l = KC_NEW(struct log_stream);
        atomic_init(&l->refs, 1);
        l->base.end = on_server_end;
        l->s = kc_ks_ref(s);
        l->req = kc_http_req_ref(r->req);
        l->reader = reader;
        l->path = KC_TAKE(path);
        l->container_id = KC_TAKE(id);
        l->follow = q->o.follow;
        l->inotify = -1;
        *ret = l;
        return 0;
}

void kc_ks_container_logs(struct kc_ks_request *r)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct query q = {0};
        struct log_stream *l = NULL;
        if (open_log(r, &q, &l, &err) < 0)
                kc_ks_reply_error(r->req, &err);
        else
                kc_loop_post(kc_http_req_loop(r->req), begin, l);
        kc_free(q.stream);
}

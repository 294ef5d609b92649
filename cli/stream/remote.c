/* exec and attach: channels of a v5 WebSocket or streams of SPDY, to and from file descriptors. See remote.h for the
 * threads. */
#include "cli/stream/remote.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/stream/wire.h"
#include "stream/spdy.h"

enum channel { IN, OUT, ERR, STATUS, RESIZE, N_CHANNELS };
enum { CLOSE_CHANNEL = 255, FEED = 32 << 10, MAX_QUEUED = 256 << 10, MAX_STATUS = 1 << 20 };

static const char *const stream_types[N_CHANNELS] = {"stdin", "stdout", "stderr", "error", "resize"};

struct kc_remote {
        struct kc_rest *rest;
        struct kc_loop *loop;
        struct kc_remote_opts o;
        char *path;
        struct kc_wire *wire;
        struct kc_spdy *spdy;
        uint32_t ids[N_CHANNELS];
        bool ended[N_CHANNELS];
        bool open, concluded;
        int channel; /* of the WebSocket message that is being read; -1: its first byte comes */
        struct kc_buf status;
        int width, height; /* to be sent when open; 0: none */
        pthread_t feeder;
        bool feeding;
        int wake; /* eventfd: the feeder ends */
        pthread_mutex_t lock;
        pthread_cond_t cond;   /* finished, or drained */
        bool finished, cancel; /* guarded by lock */
        bool full;             /* guarded by lock: the feeder waits */
        int code;
        struct kc_error why; /* set with finished */
};

static void finish(struct kc_remote *r, const struct kc_error *err)
{
        pthread_mutex_lock(&r->lock);
        if (!r->finished && err)
                kc_error_copy(&r->why, err);
        r->finished = true;
        r->full = false;
        pthread_cond_broadcast(&r->cond);
        pthread_mutex_unlock(&r->lock);
}

static void finish_with(struct kc_remote *r, int errnum, const char *message)
{
        struct kc_error err = KC_ERROR_INIT;
        (void)kc_error_set(&err, errnum, "%s", message);
        finish(r, &err);
        kc_error_done(&err);
}

/* --- to the server; on the loop */

static void flush_spdy(struct kc_remote *r)
{
        struct kc_buf *out = kc_spdy_out(r->spdy);
        kc_wire_send(r->wire, NULL, 0, out->data, out->len);
        kc_buf_reset(out);
}

static void send_data(struct kc_remote *r, enum channel ch, const void *data, size_t len, bool fin)
{
        if (!r->open || r->ended[ch])
                return;
        if (r->spdy) {
                (void)kc_spdy_data(r->spdy, r->ids[ch], data, len, fin); /* a stream that is gone has no reader */
                flush_spdy(r);
                return;
        }
        unsigned char head[2] = {(unsigned char)ch, (unsigned char)ch};
        if (len > 0)
                kc_wire_send(r->wire, head, 1, data, len);
        head[0] = CLOSE_CHANNEL;
        if (fin)
                kc_wire_send(r->wire, head, 2, NULL, 0);
}

static void send_size(struct kc_remote *r)
{
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("{\"Width\":%d,\"Height\":%d}\n", r->width, r->height);
        if (r->open && r->width > 0 && r->o.tty)
                send_data(r, RESIZE, text, strlen(text), false);
}

struct feed {
        struct kc_remote *r;
        const char *data;
        size_t len;
};

static void feed_on_loop(void *arg)
{
        struct feed *f = arg;
        struct kc_remote *r = f->r;
        pthread_mutex_lock(&r->lock);
        bool finished = r->finished;
        pthread_mutex_unlock(&r->lock);
        if (finished)
                return;
        send_data(r, IN, f->data, f->len, f->len == 0);
        pthread_mutex_lock(&r->lock);
        r->full = !r->finished && kc_wire_queued(r->wire) > MAX_QUEUED;
        pthread_mutex_unlock(&r->lock);
}

/* False: there is no more to do. */
static bool may_feed(struct kc_remote *r)
{
        pthread_mutex_lock(&r->lock);
        while (r->full && !r->finished && !r->cancel)
                pthread_cond_wait(&r->cond, &r->lock);
        bool go = !r->finished && !r->cancel;
        pthread_mutex_unlock(&r->lock);
        return go;
}

/* The feeder thread. The terminal or pipe stays blocking: it may be shared with others. */
static void *feed(void *arg)
{
        struct kc_remote *r = arg;
        KC_CLEANUP(kc_freep) char *data = kc_malloc(FEED);
        while (may_feed(r)) {
                struct pollfd fds[] = {{.fd = r->o.in, .events = POLLIN}, {.fd = r->wake, .events = POLLIN}};
                if (poll(fds, KC_ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
                        break;
                if (fds[1].revents)
                        break;
                if (!fds[0].revents)
                        continue;
                ssize_t n = read(r->o.in, data, FEED);
                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                struct feed f = {.r = r, .data = data, .len = n > 0 ? (size_t)n : 0};
                kc_loop_call(r->loop, feed_on_loop, &f);
                if (n <= 0)
                        break;
        }
        return NULL;
}

/* --- from the server; on the loop */

static int write_all(int fd, const char *data, size_t len)
{
        while (len > 0) {
                ssize_t n = write(fd, data, len);
                if (n < 0 && errno == EAGAIN) {
                        struct pollfd p = {.fd = fd, .events = POLLOUT};
                        (void)poll(&p, 1, -1); /* the write says what is wrong */
                        continue;
                }
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                len -= (size_t)n;
        }
        return 0;
}

static void take_output(struct kc_remote *r, int channel, const char *data, size_t len)
{
        int fd = channel == OUT ? r->o.out : channel == ERR ? r->o.err : -1;
        if (channel == STATUS) {
                if (kc_buf_add_limited(&r->status, data, len, MAX_STATUS) < 0)
                        finish_with(r, EREMOTEIO, "the error stream is longer than 1 MiB");
                return;
        }
        int e = fd >= 0 ? write_all(fd, data, len) : 0;
        if (e < 0)
                finish_with(r, -e, strerror(-e));
}

/* The server has said all. */
static void conclude(struct kc_remote *r)
{
        struct kc_error why = KC_ERROR_INIT;
        if (r->concluded)
                return;
        r->concluded = true;
        int e = kc_remote_decode_status(kc_buf_str(&r->status), r->status.len, &r->code, &why);
        finish(r, e < 0 ? &why : NULL);
        kc_error_done(&why);
}

static bool has_stream(const struct kc_remote *r, enum channel ch)
{
        return ch == STATUS || (ch == IN && r->o.in >= 0) || (ch == OUT && r->o.out >= 0) ||
               (ch == ERR && r->o.err >= 0 && !r->o.tty) || (ch == RESIZE && r->o.tty);
}

static void ended(struct kc_remote *r, int channel)
{
        r->ended[channel] = true;
        for (int ch = OUT; ch <= STATUS; ch++)
                if (has_stream(r, (enum channel)ch) && !r->ended[ch])
                        return;
        conclude(r);
}

static void on_message(struct kc_remote *r, const char *data, size_t len, bool first)
{
        if (first)
                r->channel = -1;
        if (r->channel < 0 && len > 0) {
                r->channel = (unsigned char)data[0];
                data++;
                len--;
        }
        if (len == 0)
                return;
        if (r->channel == CLOSE_CHANNEL && (unsigned char)data[0] < N_CHANNELS)
                r->ended[(unsigned char)data[0]] = true;
        else
                take_output(r, r->channel, data, len);
}

static int channel_of(const struct kc_remote *r, uint32_t id)
{
        for (int ch = 0; ch < N_CHANNELS; ch++)
                if (r->ids[ch] == id)
                        return ch;
        return -1;
}

static int on_spdy_data(uint32_t id, const char *data, size_t len, bool fin, void *arg)
{
        struct kc_remote *r = arg;
        int ch = channel_of(r, id);
        if (ch < 0)
                return 0;
        take_output(r, ch, data, len);
        if (fin && !r->ended[ch])
                ended(r, ch);
        return 0;
}

static int on_spdy_reset(uint32_t id, uint32_t status, void *arg)
{
        (void)status;
        return on_spdy_data(id, NULL, 0, true, arg);
}

static const struct kc_spdy_cbs spdy_cbs = {.on_data = on_spdy_data, .on_reset = on_spdy_reset};

static void open_streams(struct kc_remote *r)
{
        static const enum channel order[] = {STATUS, IN, OUT, ERR, RESIZE};
        r->spdy = kc_spdy_new(false, false, &spdy_cbs, r);
        for (size_t i = 0; i < KC_ARRAY_LEN(order); i++) {
                char name[] = "streamtype", type[16];
                if (!has_stream(r, order[i]))
                        continue;
                (void)snprintf(type, sizeof(type), "%s", stream_types[order[i]]);
                char *headers[] = {name, type, NULL};
                r->ids[order[i]] = kc_spdy_open(r->spdy, headers, false);
        }
        flush_spdy(r);
}

static void on_open(struct kc_wire *w, bool websocket, const char *protocol, void *arg)
{
        (void)protocol;
        struct kc_remote *r = arg;
        r->wire = w;
        if (!websocket)
                open_streams(r);
        r->open = true;
        send_size(r);
        if (r->o.in >= 0 && may_feed(r)) {
                r->feeding = pthread_create(&r->feeder, NULL, feed, r) == 0;
                if (!r->feeding)
                        finish_with(r, EAGAIN, "no thread for the input");
        }
}

static void on_data(struct kc_wire *w, const char *data, size_t len, bool first, void *arg)
{
        (void)w;
        struct kc_remote *r = arg;
        if (!r->spdy) {
                on_message(r, data, len, first);
                return;
        }
        int e = kc_spdy_feed(r->spdy, data, len);
        flush_spdy(r);
        if (e < 0)
                finish_with(r, EREMOTEIO, "the server broke the SPDY protocol");
}

static void on_drain(struct kc_wire *w, void *arg)
{
        (void)w;
        struct kc_remote *r = arg;
        pthread_mutex_lock(&r->lock);
        r->full = false;
        pthread_cond_broadcast(&r->cond);
        pthread_mutex_unlock(&r->lock);
}

static void on_close(struct kc_wire *w, const struct kc_error *err, void *arg)
{
        (void)w;
        struct kc_remote *r = arg;
        if (r->status.len > 0)
                conclude(r);
        else if (!err)
                finish_with(r, EREMOTEIO, "error reading from error stream: unexpected EOF");
        else if (!r->open)
                finish(r, err);
        else {
                KC_CLEANUP(kc_freep) char *text = kc_asprintf("next reader: %s", kc_error_message(err));
                finish_with(r, EREMOTEIO, text);
        }
}

/* --- from any thread */

struct starting {
        struct kc_remote *r;
        struct kc_error *err;
        int result;
};

static void start_on_loop(void *arg)
{
        static const struct kc_wire_cbs cbs = {
            .on_open = on_open, .on_data = on_data, .on_drain = on_drain, .on_close = on_close};
        struct starting *s = arg;
        struct kc_remote *r = s->r;
        KC_CLEANUP(kc_strv_freep) char **spdy = NULL;
        for (int v = 5; v >= 4; v--)
                kc_strv_pushf(&spdy, "v%d.channel.k8s.io", v);
        s->result = kc_wire_new(&(struct kc_wire_opts){.rest = r->rest,
                                    .path = r->path,
                                    .websocket = "v5.channel.k8s.io",
                                    .spdy = r->o.only_websocket ? NULL : spdy,
                                    .timeout_ms = r->o.timeout_ms,
                                    .cbs = &cbs,
                                    .arg = r},
            &r->wire, s->err);
}

int kc_remote_start(const struct kc_remote_opts *o, struct kc_remote **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_remote_freep) struct kc_remote *r = KC_NEW(struct kc_remote);
        *r = (struct kc_remote){.rest = o->rest,
            .loop = kc_rest_loop(o->rest),
            .o = *o,
            .path = kc_strdup(o->path),
            .channel = -1,
            .wake = eventfd(0, EFD_CLOEXEC)};
        pthread_mutex_init(&r->lock, NULL);
        pthread_cond_init(&r->cond, NULL);
        if (r->wake < 0)
                return kc_error_set(err, errno, "eventfd: %s", strerror(errno));
        struct starting s = {.r = r, .err = err};
        kc_loop_call(r->loop, start_on_loop, &s);
        if (s.result == 0)
                *ret = KC_TAKE(r);
        return s.result;
}

struct resizing {
        struct kc_remote *r;
        int width, height;
};

static void resize_on_loop(void *arg)
{
        struct resizing *z = arg;
        z->r->width = z->width;
        z->r->height = z->height;
        send_size(z->r);
}

void kc_remote_resize(struct kc_remote *r, int width, int height)
{
        struct resizing z = {.r = r, .width = width, .height = height};
        kc_loop_call(r->loop, resize_on_loop, &z);
}

int kc_remote_wait(struct kc_remote *r, int *ret_code, struct kc_error *err)
{
        pthread_mutex_lock(&r->lock);
        while (!r->finished)
                pthread_cond_wait(&r->cond, &r->lock);
        pthread_mutex_unlock(&r->lock);
        if (r->why.errnum) {
                kc_error_copy(err, &r->why);
                return -r->why.errnum;
        }
        *ret_code = r->code;
        return 0;
}

static void end_wire(void *arg)
{
        struct kc_remote *r = arg;
        kc_wire_free(r->wire);
        r->wire = NULL;
        r->open = false;
}

void kc_remote_free(struct kc_remote *r)
{
        if (!r)
                return;
        pthread_mutex_lock(&r->lock);
        r->cancel = true;
        pthread_cond_broadcast(&r->cond);
        pthread_mutex_unlock(&r->lock);
        uint64_t one = 1;
        if (r->wake >= 0)
                (void)!write(r->wake, &one, sizeof(one)); /* it has room for many */
        kc_loop_call(r->loop, end_wire, r);               /* after on_open, which may have made the feeder */
        if (r->feeding)
                pthread_join(r->feeder, NULL);
        if (r->wake >= 0)
                (void)close(r->wake);
        kc_spdy_free(r->spdy);
        kc_buf_done(&r->status);
        kc_error_done(&r->why);
        pthread_cond_destroy(&r->cond);
        pthread_mutex_destroy(&r->lock);
        kc_free(r->path);
        kc_free(r);
}

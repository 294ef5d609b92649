/* Streams as lines.
 *
 *   loop thread: on_data -> chunks --lock--> main thread: kc_lines_next
 *
 * The main thread takes whole lines out; each stream has a buffer of its own. */
#include "cli/lines.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

/* Of one stream; then the loop waits for the reader. */
enum { MAX_PENDING = 8 << 20 };

struct source {
        struct kc_lines *owner;
        char *tag;
        struct kc_http_call *call; /* NULL when it has ended. guarded by lock */
        struct kc_buf data;        /* guarded by lock */
        size_t at, scanned;        /* what has been taken out, and looked through for a newline. guarded by lock */
        bool ended;                /* guarded by lock */
        struct kc_error why;       /* guarded by lock; set with ended */
};

struct kc_lines {
        struct kc_rest *rest;
        pthread_mutex_t lock;
        pthread_cond_t cond;
        struct source **v;
        size_t n, turn;
        bool closing; /* guarded by lock */
        pthread_cond_t drained;
        struct kc_buf line; /* what was returned last */
};

struct kc_lines *kc_lines_new(struct kc_rest *r)
{
        struct kc_lines *l = KC_NEW(struct kc_lines);
        l->rest = r;
        pthread_mutex_init(&l->lock, NULL);
        pthread_cond_init(&l->drained, NULL);
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&l->cond, &attr);
        pthread_condattr_destroy(&attr);
        return l;
}

static void on_data(const char *data, size_t len, void *arg)
{
        struct source *s = arg;
        pthread_mutex_lock(&s->owner->lock);
        /* The main thread makes no calls while it reads, so that nobody misses the loop. */
        while (s->data.len - s->at > MAX_PENDING && !s->owner->closing)
                pthread_cond_wait(&s->owner->drained, &s->owner->lock);
        kc_buf_add(&s->data, data, len);
        pthread_cond_signal(&s->owner->cond);
        pthread_mutex_unlock(&s->owner->lock);
}

static void on_end(const struct kc_error *err, void *arg)
{
        struct source *s = arg;
        pthread_mutex_lock(&s->owner->lock);
        s->ended = true;
        s->call = NULL;
        if (err->errnum)
                kc_error_copy(&s->why, err);
        pthread_cond_signal(&s->owner->cond);
        pthread_mutex_unlock(&s->owner->lock);
}

/* On the loop: a call cannot end between the look at it and its cancellation. */
static void cancel_all(void *arg)
{
        struct kc_lines *l = arg;
        for (size_t i = 0; i < l->n; i++) {
                pthread_mutex_lock(&l->lock);
                struct kc_http_call *call = l->v[i]->call;
                pthread_mutex_unlock(&l->lock);
                if (call)
                        kc_http_call_cancel(call);
        }
}

void kc_lines_free(struct kc_lines *l)
{
        if (!l)
                return;
        pthread_mutex_lock(&l->lock);
        l->closing = true;
        pthread_cond_broadcast(&l->drained);
        pthread_mutex_unlock(&l->lock);
        kc_loop_call(kc_rest_loop(l->rest), cancel_all, l);
        for (size_t i = 0; i < l->n; i++) {
                struct source *s = l->v[i];
                pthread_mutex_lock(&l->lock);
                while (!s->ended)
                        pthread_cond_wait(&l->cond, &l->lock);
                pthread_mutex_unlock(&l->lock);
                kc_free(s->tag);
                kc_buf_done(&s->data);
                kc_error_done(&s->why);
                kc_free(s);
        }
        kc_free(l->v);
        kc_buf_done(&l->line);
        pthread_cond_destroy(&l->cond);
        pthread_cond_destroy(&l->drained);
        pthread_mutex_destroy(&l->lock);
        kc_free(l);
}

struct opening {
        struct source *source;
        const char *path, *accept;
        struct kc_error *err;
        int result;
};

/* On the loop, so that the call cannot have ended before it is noted. */
static void open_on_loop(void *arg)
{
        struct opening *o = arg;
        struct source *s = o->source;
        static const struct kc_rest_stream_cbs cbs = {.on_data = on_data, .on_end = on_end};
        struct kc_http_call *call = NULL;
        o->result = kc_rest_stream(s->owner->rest, o->path, o->accept, &cbs, s, &call, o->err);
        pthread_mutex_lock(&s->owner->lock);
        if (o->result == 0 && !s->ended)
                s->call = call;
        pthread_mutex_unlock(&s->owner->lock);
}

int kc_lines_open(struct kc_lines *l, const char *path, const char *accept, const char *tag, struct kc_error *err)
{
        struct source *s = KC_NEW(struct source);
        s->owner = l;
        s->tag = kc_strdup(tag);
        struct opening o = {.source = s, .path = path, .accept = accept, .err = err};
        kc_loop_call(kc_rest_loop(l->rest), open_on_loop, &o);
        if (o.result < 0) {
                kc_free(s->tag);
                kc_free(s);
                return o.result;
        }
        pthread_mutex_lock(&l->lock);
        l->v = kc_reallocarray(l->v, l->n + 1, sizeof(struct source *));
        l->v[l->n++] = s;
        pthread_mutex_unlock(&l->lock);
        return 0;
}

/* The length of the next line of the source, with its newline; 0: it is not there yet. A longer line than is kept comes
 * in parts. Under the lock. */
static size_t line_of(struct source *s, bool *ret_newline)
{
        size_t from = KC_MAX(s->at, s->scanned), pending = s->data.len - s->at;
        const char *nl = s->data.len > from ? memchr(s->data.data + from, '\n', s->data.len - from) : NULL;
        *ret_newline = nl != NULL;
        if (nl)
                return (size_t)(nl - s->data.data) + 1 - s->at;
        s->scanned = s->data.len;
        return s->ended || pending > MAX_PENDING ? pending : 0;
}

/* Moves on; the storage is tidied up now and then, not for each line. Under the lock. */
static void taken(struct source *s, size_t len)
{
        enum { TIDY = 1 << 16 };
        s->at += len;
        if (s->at == s->data.len || (s->at > TIDY && s->at > s->data.len / 2)) {
                kc_buf_consume(&s->data, s->at);
                s->scanned = s->scanned > s->at ? s->scanned - s->at : 0;
                s->at = 0;
        }
        pthread_cond_signal(&s->owner->drained);
}

/* 1: a line is in l->line; 0: all have ended; -EAGAIN: nothing yet. Under the lock. */
static int take(struct kc_lines *l, bool *ret_newline, const char **ret_tag, struct kc_error *err)
{
        bool open = false;
        for (size_t i = 0; i < l->n; i++) {
                struct source *s = l->v[(l->turn + i) % l->n];
                size_t len = line_of(s, ret_newline);
                if (len > 0) {
                        kc_buf_reset(&l->line);
                        kc_buf_add(&l->line, s->data.data + s->at, len - (*ret_newline ? 1 : 0));
                        taken(s, len);
                        *ret_tag = s->tag;
                        l->turn = (l->turn + i) % l->n;
                        return 1;
                }
                if (s->ended && s->why.errnum) {
                        int e = -s->why.errnum;
                        if (err)
                                kc_error_copy(err, &s->why);
                        return e == -EAGAIN ? -EIO : e;
                }
                open = open || !s->ended;
        }
        return open ? -EAGAIN : 0;
}

int kc_lines_next(struct kc_lines *l, kc_mono deadline, const char **ret_line, size_t *ret_len, bool *ret_newline,
    const char **ret_tag, struct kc_error *err)
{
        const char *tag = NULL;
        bool newline = false;
        int e = 0;
        struct timespec until = {.tv_sec = deadline / KC_SEC, .tv_nsec = deadline % KC_SEC * 1000};
        pthread_mutex_lock(&l->lock);
        while ((e = take(l, &newline, &tag, err)) == -EAGAIN) {
                int w = deadline > 0 ? pthread_cond_timedwait(&l->cond, &l->lock, &until)
                                     : pthread_cond_wait(&l->cond, &l->lock);
                if (w == ETIMEDOUT) {
                        e = kc_error_set(err, ETIME, "timed out waiting for the condition");
                        break;
                }
        }
        pthread_mutex_unlock(&l->lock);
        if (e != 1)
                return e;
        *ret_line = kc_buf_str(&l->line);
        *ret_len = l->line.len;
        if (ret_newline)
                *ret_newline = newline;
        if (ret_tag)
                *ret_tag = tag;
        return 1;
}

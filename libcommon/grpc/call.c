/* Unary calls, from any thread, and the status codes. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "grpc/channel_internal.h"

static const struct {
        const char *name;
        int errnum;
} codes[] = {
    [KC_GRPC_OK] = {"OK", 0},
    [KC_GRPC_CANCELLED] = {"Canceled", ECANCELED},
    [KC_GRPC_UNKNOWN] = {"Unknown", EIO},
    [KC_GRPC_INVALID_ARGUMENT] = {"InvalidArgument", EINVAL},
    [KC_GRPC_DEADLINE_EXCEEDED] = {"DeadlineExceeded", ETIMEDOUT},
    [KC_GRPC_NOT_FOUND] = {"NotFound", ENOENT},
    [KC_GRPC_ALREADY_EXISTS] = {"AlreadyExists", EEXIST},
    [KC_GRPC_PERMISSION_DENIED] = {"PermissionDenied", EACCES},
    [KC_GRPC_RESOURCE_EXHAUSTED] = {"ResourceExhausted", ENOBUFS},
    [KC_GRPC_FAILED_PRECONDITION] = {"FailedPrecondition", EBUSY},
    [KC_GRPC_ABORTED] = {"Aborted", EAGAIN},
    [KC_GRPC_OUT_OF_RANGE] = {"OutOfRange", ERANGE},
    [KC_GRPC_UNIMPLEMENTED] = {"Unimplemented", ENOSYS},
    [KC_GRPC_INTERNAL] = {"Internal", EIO},
    [KC_GRPC_UNAVAILABLE] = {"Unavailable", EHOSTUNREACH},
    [KC_GRPC_DATA_LOSS] = {"DataLoss", EBADMSG},
    [KC_GRPC_UNAUTHENTICATED] = {"Unauthenticated", EPERM},
};

int kc_grpc_errno(enum kc_grpc_code code)
{
        return (size_t)code < KC_ARRAY_LEN(codes) ? codes[code].errnum : EIO;
}

const char *kc_grpc_code_name(enum kc_grpc_code code)
{
        return (size_t)code < KC_ARRAY_LEN(codes) ? codes[code].name : "Unknown";
}

/* The answer's bytes are body.data + GRPC_PREFIX when code is OK. */
typedef void (*raw_done_fn)(enum kc_grpc_code code, struct kc_buf *body, const char *message, void *arg);

struct unary {
        raw_done_fn done;
        void *arg;
};

static void unary_message(struct kc_grpc_stream *s, const void *data, size_t len, void *arg)
{
        (void)s;
        (void)data;
        (void)len;
        (void)arg; /* unary streams keep their message in s->in */
}

static void unary_end(struct kc_grpc_stream *s, enum kc_grpc_code code, const char *message, void *arg)
{
        struct unary *u = arg;
        u->done(code, &s->in, message, u->arg);
        kc_free(u);
}

static const struct kc_grpc_stream_cbs unary_cbs = {.on_message = unary_message, .on_end = unary_end};

static void on_deadline(void *arg)
{
        struct kc_grpc_stream *s = arg;
        KC_CLEANUP(kc_freep) char *message = NULL;
        if (!s->conn && s->ch->last_error.errnum)
                message = kc_asprintf("context deadline exceeded: %s", kc_error_message(&s->ch->last_error));
        grpc_h2_cancel(s);
        grpc_stream_end(s, KC_GRPC_DEADLINE_EXCEEDED, message ? message : "context deadline exceeded");
}

static void start(void *arg)
{
        struct kc_grpc_stream *s = arg;
        if (s->deadline && !s->ch->closed) {
                s->timer = kc_timer_new(s->ch->loop, on_deadline, s);
                kc_timer_arm(s->timer, KC_MAX(s->deadline - kc_clock_mono(NULL), 0));
        }
        grpc_channel_submit(s->ch, s);
}

static void call_raw(struct kc_grpc_channel *ch, const char *method, const ProtobufCMessage *req, int timeout_ms,
    bool fail_fast, raw_done_fn done, void *arg)
{
        struct unary *u = KC_NEW(struct unary);
        struct kc_grpc_stream *s = grpc_stream_new(ch, method, &unary_cbs, u);
        u->done = done;
        u->arg = arg;
        size_t len = protobuf_c_message_get_packed_size(req);
        kc_buf_reserve(&s->out, GRPC_PREFIX + len);
        unsigned char prefix[GRPC_PREFIX] = {
            0, (unsigned char)(len >> 24), (unsigned char)(len >> 16), (unsigned char)(len >> 8), (unsigned char)len};
        kc_buf_add(&s->out, prefix, sizeof(prefix));
        protobuf_c_message_pack(req, (uint8_t *)s->out.data + GRPC_PREFIX);
        s->out.len += len;
        s->unary = true;
        s->close_send = true;
        s->fail_fast = fail_fast;
        s->deadline = timeout_ms > 0 ? kc_clock_mono(NULL) + timeout_ms * KC_MSEC : 0;
        kc_loop_post(ch->loop, start, s);
}

static int unpack(enum kc_grpc_code *code, const struct kc_buf *body, const char *message,
    const ProtobufCMessageDescriptor *desc, ProtobufCMessage **ret, struct kc_error *err)
{
        if (*code == KC_GRPC_OK) {
                *ret = protobuf_c_message_unpack(
                    desc, NULL, body->len - GRPC_PREFIX, (const uint8_t *)body->data + GRPC_PREFIX);
                if (*ret)
                        return 0;
                *code = KC_GRPC_INTERNAL;
                message = "grpc: failed to unmarshal the received message";
        }
        return kc_error_set(err, kc_grpc_errno(*code), "%s", message);
}

/* --- Blocking */

struct waiter {
        pthread_mutex_t lock;
        pthread_cond_t cond;
        bool done;
        enum kc_grpc_code code;
        struct kc_buf body;
        char *message;
};

static void wake_waiter(enum kc_grpc_code code, struct kc_buf *body, const char *message, void *arg)
{
        struct waiter *w = arg;
        pthread_mutex_lock(&w->lock);
        w->code = code;
        w->body = *body;
        *body = KC_BUF_INIT;
        w->message = kc_strdup(message);
        w->done = true;
        pthread_cond_signal(&w->cond);
        pthread_mutex_unlock(&w->lock);
}

int kc_grpc_call(struct kc_grpc_channel *ch, const char *method, const ProtobufCMessage *req,
    const ProtobufCMessageDescriptor *resp_desc, int timeout_ms, bool fail_fast, ProtobufCMessage **ret_resp,
    enum kc_grpc_code *ret_code, struct kc_error *err)
{
        struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
        call_raw(ch, method, req, timeout_ms, fail_fast, wake_waiter, &w);
        pthread_mutex_lock(&w.lock);
        while (!w.done)
                pthread_cond_wait(&w.cond, &w.lock);
        pthread_mutex_unlock(&w.lock);
        pthread_mutex_destroy(&w.lock);
        pthread_cond_destroy(&w.cond);
        int r = unpack(&w.code, &w.body, w.message, resp_desc, ret_resp, err);
        if (ret_code)
                *ret_code = w.code;
        kc_buf_done(&w.body);
        kc_free(w.message);
        return r;
}

/* --- Asynchronous */

struct async {
        const ProtobufCMessageDescriptor *desc;
        kc_grpc_done_fn done;
        void *arg;
};

static void async_done(enum kc_grpc_code code, struct kc_buf *body, const char *message, void *arg)
{
        struct async *a = arg;
        struct kc_error err = KC_ERROR_INIT;
        ProtobufCMessage *resp = NULL;
        (void)unpack(&code, body, message, a->desc, &resp, &err); /* code and err go on */
        a->done(code, resp, &err, a->arg);
        kc_error_done(&err);
        kc_free(a);
}

void kc_grpc_call_async(struct kc_grpc_channel *ch, const char *method, const ProtobufCMessage *req,
    const ProtobufCMessageDescriptor *resp_desc, int timeout_ms, bool fail_fast, kc_grpc_done_fn done, void *arg)
{
        struct async *a = KC_NEW(struct async);
        a->desc = resp_desc;
        a->done = done;
        a->arg = arg;
        call_raw(ch, method, req, timeout_ms, fail_fast, async_done, a);
}

/* One call: framing of messages, the response's headers and status, and the public functions of streams. The HTTP/2
 * side is h2.c, waiting for connections channel.c. On the channel's loop. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "grpc/channel_internal.h"

struct kc_grpc_stream *grpc_stream_new(
    struct kc_grpc_channel *ch, const char *method, const struct kc_grpc_stream_cbs *cbs, void *arg)
{
        struct kc_grpc_stream *s = KC_NEW(struct kc_grpc_stream);
        s->ch = grpc_channel_ref(ch);
        kc_list_init(&s->node);
        kc_list_init(&s->h2.node);
        s->method = kc_strdup(method);
        s->cbs = cbs;
        s->arg = arg;
        return s;
}

static void free_stream(struct kc_grpc_stream *s)
{
        kc_timer_free(s->timer);
        kc_buf_done(&s->out);
        kc_buf_done(&s->in);
        kc_free(s->method);
        kc_free(s->message);
        grpc_channel_unref(s->ch);
        kc_free(s);
}

void grpc_stream_add(struct kc_grpc_stream *s, const void *msg, size_t len)
{
        unsigned char prefix[GRPC_PREFIX] = {
            0, (unsigned char)(len >> 24), (unsigned char)(len >> 16), (unsigned char)(len >> 8), (unsigned char)len};
        kc_buf_add(&s->out, prefix, sizeof(prefix));
        kc_buf_add(&s->out, msg, len);
}

void grpc_stream_end(struct kc_grpc_stream *s, enum kc_grpc_code code, const char *message)
{
        kc_list_remove(&s->node);
        s->ended = true;
        s->conn = NULL;
        s->cbs->on_end(s, code, message ? message : "", s->arg);
        free_stream(s);
}

/* --- The response's headers */

static bool name_is(const char *name, size_t len, const char *want)
{
        return len == strlen(want) && memcmp(name, want, len) == 0;
}

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

static char *percent_decode(const char *v, size_t len)
{
        char *out = kc_malloc(len + 1);
        size_t n = 0;
        for (size_t i = 0; i < len; i++) {
                if (v[i] == '%' && len - i > 2 && hex_value(v[i + 1]) >= 0 && hex_value(v[i + 2]) >= 0) {
                        out[n++] = (char)(hex_value(v[i + 1]) << 4 | hex_value(v[i + 2]));
                        i += 2;
                } else {
                        out[n++] = v[i];
                }
        }
        out[n] = '\0';
        return out;
}

static int parse_number(const char *v, size_t len, int max)
{
        int n = 0;
        if (len == 0 || len > 6)
                return -1;
        for (size_t i = 0; i < len; i++) {
                if (v[i] < '0' || v[i] > '9')
                        return -1;
                n = n * 10 + (v[i] - '0');
        }
        return n <= max ? n : -1;
}

void grpc_stream_on_header(
    struct kc_grpc_stream *s, const char *name, size_t name_len, const char *value, size_t value_len)
{
        s->headers_seen = true;
        if (name_is(name, name_len, ":status")) {
                s->http_status = parse_number(value, value_len, 999);
        } else if (name_is(name, name_len, "content-type")) {
                static const char type[] = "application/grpc";
                s->not_grpc = value_len < strlen(type) || strncasecmp(value, type, strlen(type)) != 0;
        } else if (name_is(name, name_len, "grpc-status")) {
                int code = parse_number(value, value_len, KC_GRPC_UNAUTHENTICATED);
                s->status_seen = true;
                s->code = code < 0 ? KC_GRPC_UNKNOWN : (enum kc_grpc_code)code;
        } else if (name_is(name, name_len, "grpc-message")) {
                kc_free(s->message);
                s->message = percent_decode(value, KC_MIN(value_len, (size_t)GRPC_MAX_STATUS_MESSAGE));
        }
}

/* --- Messages */

static size_t message_len(const char *prefix)
{
        const unsigned char *p = (const unsigned char *)prefix;
        return (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
}

static bool break_off(struct kc_grpc_stream *s, enum kc_grpc_code code, char *take_message)
{
        KC_CLEANUP(kc_freep) char *message = take_message;
        grpc_h2_cancel(s);
        grpc_stream_end(s, code, message);
        return false;
}

/* Checks the prefix at the front of s->in. */
static bool check_prefix(struct kc_grpc_stream *s, const char *prefix)
{
        if (prefix[0])
                return break_off(s, KC_GRPC_INTERNAL, kc_strdup("grpc: compressed message without grpc-encoding"));
        size_t len = message_len(prefix);
        if (len > s->ch->max_message)
                return break_off(s, KC_GRPC_RESOURCE_EXHAUSTED,
                    kc_asprintf("grpc: received message larger than max (%zu vs. %zu)", len, s->ch->max_message));
        return true;
}

bool grpc_stream_on_data(struct kc_grpc_stream *s, const void *data, size_t len)
{
        if (s->http_status != 200 || s->not_grpc)
                return true; /* the body of an error page; the status tells it all */
        kc_buf_add(&s->in, data, len);
        if (s->unary) {
                if (s->in.len < GRPC_PREFIX)
                        return true;
                if (!check_prefix(s, s->in.data))
                        return false;
                if (s->in.len > GRPC_PREFIX + message_len(s->in.data))
                        return break_off(
                            s, KC_GRPC_INTERNAL, kc_strdup("grpc: more than one message in answer to a unary call"));
                return true;
        }
        size_t at = 0;
        while (s->in.len - at >= GRPC_PREFIX) {
                if (!check_prefix(s, s->in.data + at))
                        return false;
                size_t n = message_len(s->in.data + at);
                if (s->in.len - at - GRPC_PREFIX < n)
                        break;
                s->cbs->on_message(s, s->in.data + at + GRPC_PREFIX, n, s->arg);
                if (s->ended)
                        return false; /* cancelled by its callback */
                at += GRPC_PREFIX + n;
        }
        kc_buf_consume(&s->in, at);
        return true;
}

/* --- The end */

static enum kc_grpc_code code_of_http(int status)
{
        switch (status) {
        case 400:
                return KC_GRPC_INTERNAL;
        case 401:
                return KC_GRPC_UNAUTHENTICATED;
        case 403:
                return KC_GRPC_PERMISSION_DENIED;
        case 404:
                return KC_GRPC_UNIMPLEMENTED;
        case 429:
        case 502:
        case 503:
        case 504:
                return KC_GRPC_UNAVAILABLE;
        default:
                return KC_GRPC_UNKNOWN;
        }
}

static enum kc_grpc_code code_of_h2(uint32_t error)
{
        switch (error) {
        case NGHTTP2_REFUSED_STREAM:
                return KC_GRPC_UNAVAILABLE;
        case NGHTTP2_CANCEL:
                return KC_GRPC_CANCELLED;
        case NGHTTP2_ENHANCE_YOUR_CALM:
                return KC_GRPC_RESOURCE_EXHAUSTED;
        case NGHTTP2_INADEQUATE_SECURITY:
                return KC_GRPC_PERMISSION_DENIED;
        default:
                return KC_GRPC_INTERNAL;
        }
}

void grpc_stream_on_close(struct kc_grpc_stream *s, uint32_t h2_error)
{
        if (h2_error == NGHTTP2_REFUSED_STREAM && s->unary && !s->headers_seen && ++s->refused <= GRPC_MAX_REFUSED) {
                /* The server has not looked at it: it may be sent again as if nothing had happened. */
                s->out_off = 0;
                grpc_channel_submit(s->ch, s);
                return;
        }
        enum kc_grpc_code code = s->code;
        KC_CLEANUP(kc_freep) char *made = NULL;
        const char *message = s->message;
        if (!s->status_seen) {
                if (s->http_status && (s->http_status != 200 || s->not_grpc)) {
                        code = code_of_http(s->http_status);
                        made = kc_asprintf(
                            "unexpected HTTP status code or content type received from server: %d", s->http_status);
                } else {
                        code = code_of_h2(h2_error);
                        made = h2_error == NGHTTP2_NO_ERROR
                                   ? kc_strdup("server closed the stream without sending trailers")
                                   : kc_asprintf("stream terminated by RST_STREAM with error code: %s",
                                         nghttp2_http2_strerror(h2_error));
                }
                message = made;
        } else if (code == KC_GRPC_OK && s->unary &&
                   (s->in.len < GRPC_PREFIX || s->in.len != GRPC_PREFIX + message_len(s->in.data))) {
                code = KC_GRPC_INTERNAL;
                message = "grpc: the answer to a unary call is missing or cut short";
        }
        grpc_stream_end(s, code, message);
}

/* --- Public */

struct kc_grpc_stream *kc_grpc_stream_open(
    struct kc_grpc_channel *ch, const char *method, const struct kc_grpc_stream_cbs *cbs, void *arg)
{
        struct kc_grpc_stream *s = grpc_stream_new(ch, method, cbs, arg);
        grpc_channel_submit(ch, s);
        return s;
}

int kc_grpc_stream_send(struct kc_grpc_stream *s, const ProtobufCMessage *msg)
{
        if (s->ended || s->close_send)
                return -EPIPE;
        size_t len = protobuf_c_message_get_packed_size(msg);
        if (len > INT_MAX)
                return -EMSGSIZE;
        if (s->out_off > 0) {
                kc_buf_consume(&s->out, s->out_off);
                s->out_off = 0;
        }
        uint8_t *packed = kc_malloc(len ? len : 1);
        protobuf_c_message_pack(msg, packed);
        grpc_stream_add(s, packed, len);
        kc_free(packed);
        grpc_h2_resume(s);
        return 0;
}

void kc_grpc_stream_close_send(struct kc_grpc_stream *s)
{
        if (s->ended || s->close_send)
                return;
        s->close_send = true;
        grpc_h2_resume(s);
}

void kc_grpc_stream_cancel(struct kc_grpc_stream *s)
{
        if (s->ended)
                return;
        grpc_h2_cancel(s);
        s->ended = true;
        grpc_channel_end_later(s->ch, s);
}

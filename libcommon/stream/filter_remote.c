/* Remote commands: channels of a WebSocket to streams of SPDY and back. Pure: any thread, one at a time. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "stream/filter_internal.h"
#include "stream/spdy.h"

enum channel { STDIN, STDOUT, STDERR, ERROR, RESIZE, N_CHANNELS, CLOSE = 255, NO_CHANNEL = -1 };
enum { STATUS_MAX = 256 * 1024 };

struct remote {
        struct kc_filter base;
        struct kc_remote_streams streams;
        struct kc_spdy *spdy;
        uint32_t ids[N_CHANNELS]; /* 0: no such stream */
        bool ended[N_CHANNELS];   /* by the backend */
        struct kc_buf status;     /* the error stream's bytes */
        bool status_reset;
        int channel; /* of the client's message that is being read */
};

/* What upstream's NewInternalError would say of an exchange that broke off. */
static const char broken_off[] =
    "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Internal error occurred: the connection to the container "
    "runtime was closed before the command has ended\",\"reason\":\"InternalError\",\"details\":{\"causes\":[{"
    "\"message\":\"the connection to the container runtime was closed before the command has ended\"}]},\"code\":500}";
static const char success[] = "{\"metadata\":{},\"status\":\"Success\"}";

static struct remote *remote_of(struct kc_filter *f)
{
        return KC_CONTAINER_OF(f, struct remote, base);
}

static void take_spdy_out(struct remote *r)
{
        struct kc_buf *out = kc_spdy_out(r->spdy);
        kc_buf_add(&r->base.to_backend, kc_buf_str(out), out->len);
        kc_buf_reset(out);
}

static void send_channel(struct remote *r, enum channel channel, const void *data, size_t len)
{
        const char number = (char)channel;
        kc_ws_send(r->base.ws, KC_WS_BINARY, &number, 1, data, len, &r->base.to_client);
}

static void finish(struct remote *r, const char *status, size_t len)
{
        send_channel(r, ERROR, status, len);
        kc_ws_close(r->base.ws, KC_WS_CLOSE_NORMAL, NULL, &r->base.to_client);
}

/* --- From the client */

static void from_client(struct remote *r, const char *data, size_t len, bool last)
{
        switch (r->channel) {
        case STDIN:
                if (r->ids[STDIN] && len > 0)
                        (void)kc_spdy_data(r->spdy, r->ids[STDIN], data, len, false); /* nobody reads it any more */
                break;
        case RESIZE:
                if (r->ids[RESIZE] && len > 0)
                        (void)kc_spdy_data(r->spdy, r->ids[RESIZE], data, len, false);
                if (r->ids[RESIZE] && last)
                        (void)kc_spdy_data(r->spdy, r->ids[RESIZE], "\n", 1, false);
                break;
        case CLOSE:
                if (r->ids[STDIN] && len > 0 && data[0] == STDIN)
                        (void)kc_spdy_data(r->spdy, r->ids[STDIN], NULL, 0, true);
                break;
        default: /* channels that are not the client's to write to are ignored, as upstream does */
                break;
        }
}

static int on_message(enum kc_ws_opcode op, const char *data, size_t len, bool first, bool last, void *arg)
{
        struct remote *r = arg;
        (void)op; /* text and binary are the same here */
        if (first)
                r->channel = NO_CHANNEL;
        if (r->channel == NO_CHANNEL && len > 0) {
                r->channel = (unsigned char)data[0];
                data++;
                len--;
        }
        from_client(r, data, len, last);
        take_spdy_out(r);
        return 0;
}

static const struct kc_ws_cbs ws_cbs = {.on_data = on_message};

/* --- From the backend */

static int channel_of(const struct remote *r, uint32_t id)
{
        for (int i = 0; i < N_CHANNELS; i++)
                if (r->ids[i] == id)
                        return i;
        return NO_CHANNEL;
}

/* The output and the status are complete: 1, the client has them. */
static int finish_if_complete(struct remote *r)
{
        for (int i = STDOUT; i <= ERROR; i++)
                if (r->ids[i] && !r->ended[i])
                        return 0;
        if (r->status.len > 0)
                finish(r, r->status.data, r->status.len);
        else if (r->status_reset)
                finish(r, broken_off, strlen(broken_off));
        else
                finish(r, success, strlen(success));
        return 1;
}

static int end_of(struct remote *r, int channel)
{
        r->ended[channel] = true;
        return finish_if_complete(r);
}

static int on_spdy_data(uint32_t id, const char *data, size_t len, bool fin, void *arg)
{
        struct remote *r = arg;
        int channel = channel_of(r, id);
        if ((channel == STDOUT || channel == STDERR) && len > 0)
                send_channel(r, channel, data, len);
        if (channel == ERROR && kc_buf_add_limited(&r->status, data, len, STATUS_MAX) < 0) {
                finish(r, broken_off, strlen(broken_off));
                return 1;
        }
        return fin && channel != NO_CHANNEL ? end_of(r, channel) : 0;
}

static int on_spdy_reply(uint32_t id, char *const *headers, bool fin, void *arg)
{
        struct remote *r = arg;
        (void)headers;
        int channel = channel_of(r, id);
        return fin && channel != NO_CHANNEL ? end_of(r, channel) : 0;
}

/* Servers of this protocol end a session by resetting its streams. */
static int on_spdy_reset(uint32_t id, uint32_t status, void *arg)
{
        struct remote *r = arg;
        (void)status;
        int channel = channel_of(r, id);
        if (channel == ERROR)
                r->status_reset = true;
        return channel != NO_CHANNEL ? end_of(r, channel) : 0;
}

static const struct kc_spdy_cbs spdy_cbs = {
    .on_data = on_spdy_data, .on_reply = on_spdy_reply, .on_headers = on_spdy_reply, .on_reset = on_spdy_reset};

static int remote_backend(struct kc_filter *f, const char *data, size_t len)
{
        struct remote *r = remote_of(f);
        int result = kc_spdy_feed(r->spdy, data, len);
        take_spdy_out(r);
        if (result < 0)
                finish(r, broken_off, strlen(broken_off));
        return result;
}

static void remote_backend_gone(struct kc_filter *f, const struct kc_error *err)
{
        struct remote *r = remote_of(f);
        (void)err;
        if (r->status.len > 0)
                finish(r, r->status.data, r->status.len);
        else
                finish(r, broken_off, strlen(broken_off));
}

/* --- Life */

static void open_stream(struct remote *r, enum channel channel, const char *type)
{
        char *const headers[] = {(char *)"streamtype", (char *)type, NULL};
        r->ids[channel] = kc_spdy_open(r->spdy, headers, false);
}

static void remote_open(struct kc_filter *f)
{
        struct remote *r = remote_of(f);
        open_stream(r, ERROR, "error");
        if (r->streams.in)
                open_stream(r, STDIN, "stdin");
        if (r->streams.out)
                open_stream(r, STDOUT, "stdout");
        if (r->streams.err && !r->streams.tty)
                open_stream(r, STDERR, "stderr");
        if (r->streams.tty)
                open_stream(r, RESIZE, "resize");
        take_spdy_out(r);
}

static void remote_refuse(struct kc_filter *f, const char *status)
{
        finish(remote_of(f), status, strlen(status));
}

static void remote_free(struct kc_filter *f)
{
        struct remote *r = remote_of(f);
        kc_spdy_free(r->spdy);
        kc_buf_done(&r->status);
        kc_free(r);
}

static const struct filter_ops remote_ops = {.open = remote_open,
    .backend = remote_backend,
    .backend_gone = remote_backend_gone,
    .refuse = remote_refuse,
    .free = remote_free};

struct kc_filter *kc_filter_remote_command(const struct kc_remote_streams *streams)
{
        struct remote *r = KC_NEW(struct remote);
        r->base.ops = &remote_ops;
        r->base.ws = kc_ws_new(false, &ws_cbs, r);
        r->streams = *streams;
        r->spdy = kc_spdy_new(false, false, &spdy_cbs, r);
        return &r->base;
}

/* Filters: what they share, and the tunnel. Pure: any thread, one at a time. */
#include "stream/filter.h"

#include "base/mem.h"
#include "stream/filter_internal.h"

void kc_filter_free(struct kc_filter *f)
{
        if (!f)
                return;
        kc_ws_free(f->ws);
        kc_buf_done(&f->to_client);
        kc_buf_done(&f->to_backend);
        f->ops->free(f);
}

struct kc_buf *kc_filter_to_client(struct kc_filter *f)
{
        return &f->to_client;
}

struct kc_buf *kc_filter_to_backend(struct kc_filter *f)
{
        return &f->to_backend;
}

void kc_filter_open(struct kc_filter *f)
{
        if (f->ops->open)
                f->ops->open(f);
}

int kc_filter_client(struct kc_filter *f, const char *data, size_t len)
{
        if (!f->over && kc_ws_feed(f->ws, data, len, &f->to_client) != 0)
                f->over = true;
        return f->over;
}

int kc_filter_backend(struct kc_filter *f, const char *data, size_t len)
{
        if (!f->over && f->ops->backend(f, data, len) != 0)
                f->over = true;
        return f->over;
}

void kc_filter_backend_gone(struct kc_filter *f, const struct kc_error *err)
{
        if (!f->over)
                f->ops->backend_gone(f, err);
        f->over = true;
}

void kc_filter_refuse(struct kc_filter *f, const char *status)
{
        if (!f->over && f->ops->refuse)
                f->ops->refuse(f, status);
        f->over = true;
}

/* --- The tunnel */

static int tunnel_message(enum kc_ws_opcode op, const char *data, size_t len, bool first, bool last, void *arg)
{
        struct kc_filter *f = arg;
        (void)first; /* messages are of no meaning, only their bytes */
        (void)last;
        if (op != KC_WS_BINARY) {
                kc_ws_close(f->ws, KC_WS_CLOSE_UNSUPPORTED, "only binary messages are supported", &f->to_client);
                return 1;
        }
        kc_buf_add(&f->to_backend, data, len);
        return 0;
}

static const struct kc_ws_cbs tunnel_cbs = {.on_data = tunnel_message};

static int tunnel_backend(struct kc_filter *f, const char *data, size_t len)
{
        kc_ws_send(f->ws, KC_WS_BINARY, NULL, 0, data, len, &f->to_client);
        return 0;
}

static void tunnel_backend_gone(struct kc_filter *f, const struct kc_error *err)
{
        (void)err; /* what had to be said is in SPDY's streams */
        kc_ws_close(f->ws, KC_WS_CLOSE_NORMAL, NULL, &f->to_client);
}

static void tunnel_free(struct kc_filter *f)
{
        kc_free(f);
}

static const struct filter_ops tunnel_ops = {
    .backend = tunnel_backend, .backend_gone = tunnel_backend_gone, .free = tunnel_free};

struct kc_filter *kc_filter_tunnel(void)
{
        struct kc_filter *f = KC_NEW(struct kc_filter);
        f->ops = &tunnel_ops;
        f->ws = kc_ws_new(false, &tunnel_cbs, f);
        return f;
}

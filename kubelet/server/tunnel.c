/* exec, attach and port-forward: the runtime has a streaming server, whose URL CRI gives; the request is passed on to
 * it (stream/tunnel.h). Clients that speak the newer WebSocket protocols get them translated to the SPDY that every
 * runtime has.
 *
 *   client == kc_tunnel == runtime's streaming server
 *
 * Thread: the URL is asked for on the pool, the rest is on the loop. */
#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/server/server_internal.h"
#include "stream/tunnel.h"
#include "stream/websocket.h"

enum { PORTS_MAX = 128 };

struct session {
        bool remote_command; /* exec or attach; else port-forward */
        bool in, out, err, tty;
        char *id, *sandbox;
};

static void session_done(struct session *x)
{
        kc_free(x->id);
        kc_free(x->sandbox);
}

struct tunnel {
        struct kc_ks_stream base;
        struct kc_kubelet_server *s;
        struct kc_http_req *req;
        char *address, *host, *path; /* "127.0.0.1:4711", "127.0.0.1", "/exec/abc" */
        int port;
        enum kc_tunnel_mode mode;
        struct kc_remote_streams streams;
        struct kc_tunnel *t;
};

static void tunnel_free(struct tunnel *t)
{
        kc_http_req_unref(t->req);
        kc_ks_unref(t->s);
        kc_free(t->address);
        kc_free(t->host);
        kc_free(t->path);
        kc_free(t);
}

static void on_server_end(struct kc_ks_stream *base)
{
        struct tunnel *t = KC_CONTAINER_OF(base, struct tunnel, base);
        kc_list_remove(&base->node);
        kc_tunnel_cancel(t->t);
}

static void on_peer_gone(struct kc_http_req *req, void *arg)
{
        (void)req; /* t's */
        struct tunnel *t = arg;
        kc_tunnel_cancel(t->t);
}

/* --- The tunnel's callbacks */

static void on_open(struct kc_tunnel *tunnel, void *arg)
{
        struct tunnel *t = arg;
        (void)tunnel;
        kc_http_on_close(t->req, NULL, NULL); /* from here on the tunnel watches */
}

static void on_end(struct kc_tunnel *tunnel, void *arg)
{
        struct tunnel *t = arg;
        (void)tunnel;
        kc_http_on_close(t->req, NULL, NULL);
        kc_list_remove(&t->base.node);
        tunnel_free(t);
}

static void refuse(struct tunnel *t, int code, const char *text)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        (void)kc_err_internal(&err, "%s", text);
        KC_CLEANUP(kc_json_freep) struct json_object *status = kc_status_from_error(&err);
        kc_json_write(&b, status);
        if (!kc_tunnel_refuse(t->t, kc_buf_str(&b)))
                kc_ks_reply_text(t->req, code, text);
}

/* The runtime refused: its words are ours. */
static void on_answer(struct kc_tunnel *tunnel, int code, char *const *headers, struct kc_bytes *body, void *arg)
{
        struct tunnel *t = arg;
        (void)tunnel;
        (void)headers;
        refuse(t, code, kc_bytes_data(body));
}

static void on_error(struct kc_tunnel *tunnel, const struct kc_error *err, void *arg)
{
        struct tunnel *t = arg;
        (void)tunnel;
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("error dialing backend: %s", kc_error_message(err));
        refuse(t, err->code ?: 500, err->code ? kc_error_message(err) : text);
}

static const struct kc_tunnel_cbs cbs = {on_answer, on_error, on_open, on_end};

/* On the loop. */
static void begin(void *arg)
{
        struct tunnel *t = arg;
        if (atomic_load(&t->s->closed) || kc_http_req_closed(t->req)) {
                tunnel_free(t);
                return;
        }
        KC_CLEANUP(kc_strv_freep) char **headers = kc_tunnel_headers(t->req, t->mode);
        const struct kc_tunnel_opts o = {
            .req = t->req,
            .mode = t->mode,
            .streams = t->streams,
            .backend = {.loop = t->s->o.loop,
                .dial = t->host,
                .port = t->port,
                .method = t->mode == KC_TUNNEL_RAW ? kc_http_req_method(t->req) : "POST",
                .target = t->path,
                .host = t->address,
                .headers = headers},
            .idle_timeout = t->s->o.streaming_idle_timeout,
            .cbs = &cbs,
            .arg = t,
        };
        t->t = kc_tunnel_new(&o);
        kc_list_push_back(&t->s->streams, &t->base.node);
        kc_http_on_close(t->req, on_peer_gone, t);
}

/* --- On the pool */

/* "http://127.0.0.1:4711/exec/abc": the runtime gives a numeric address of this host. */
static bool split_url(const char *url, struct tunnel *t)
{
        const char *at = kc_str_has_prefix(url, "http://") ? url + strlen("http://") : NULL;
        const char *slash = at ? strchr(at, '/') : NULL;
        const char *colon = slash ? memrchr(at, ':', (size_t)(slash - at)) : NULL;
        int64_t port;
        if (!colon)
                return false;
        bool bracket = *at == '[' && colon[-1] == ']';
        t->host = kc_strndup(at + bracket, (size_t)(colon - at) - 2 * bracket);
        KC_CLEANUP(kc_freep) char *number = kc_strndup(colon + 1, (size_t)(slash - colon) - 1);
        t->address = kc_strndup(at, (size_t)(slash - at));
        t->path = kc_strdup(slash);
        if (kc_str_to_i64(number, &port) < 0 || port < 1 || port > 65535)
                return false;
        t->port = (int)port;
        return true;
}

static void start(struct kc_ks_request *r, const struct session *x, const char *url)
{
        struct tunnel *t = KC_NEW(struct tunnel);
        t->base.end = on_server_end;
        t->s = kc_ks_ref(r->s);
        t->req = kc_http_req_ref(r->req);
        t->mode = kc_tunnel_mode_of(r->req, x->remote_command);
        t->streams = (struct kc_remote_streams){.in = x->in, .out = x->out, .err = x->err, .tty = x->tty};
        kc_list_init(&t->base.node);
        if (!split_url(url, t)) {
                kc_ks_reply_text(r->req, 500, "the runtime's streaming URL cannot be used");
                tunnel_free(t);
                return;
        }
        kc_loop_post(kc_http_req_loop(r->req), begin, t);
}

static bool is_upgrade(struct kc_ks_request *r, bool remote_command)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (!kc_tunnel_is_upgrade(r->req)) {
                kc_ks_reply_text(r->req, 400, "Upgrade request required");
                return false;
        }
        if (kc_tunnel_mode_of(r->req, remote_command) == KC_TUNNEL_RAW ||
            kc_ws_check_request(kc_http_req_method(r->req), kc_http_req_header(r->req, "Sec-WebSocket-Version"),
                kc_http_req_header(r->req, "Sec-WebSocket-Key"), &err) == 0)
                return true;
        kc_ks_reply_error(r->req, &err);
        return false;
}

static bool is_set(const char *query, const char *name, const char *other_name)
{
        KC_CLEANUP(kc_freep) char *s = kc_query_get(query, name);
        KC_CLEANUP(kc_freep) char *o = s ? NULL : kc_query_get(query, other_name);
        const char *v = s ?: o;
        return kc_streq(v, "1") || kc_streq(v, "true");
}

/* False: answered. */
static bool open_session(struct kc_ks_request *r, struct session *x)
{
        const char *q = kc_http_req_query(r->req);
        *x = (struct session){.remote_command = true,
            .in = is_set(q, "input", "stdin"),
            .out = is_set(q, "output", "stdout"),
            .err = is_set(q, "error", "stderr"),
            .tty = is_set(q, "tty", "tty")};
        if (!is_upgrade(r, true))
                return false;
        if (!x->in && !x->out && !x->err) {
                kc_ks_reply_text(r->req, 400, "you must specify at least 1 of stdin, stdout, stderr");
                return false;
        }
        x->err &= !x->tty; /* a terminal has one output */
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        const char *container = r->parts[kc_strv_len(r->parts) - 1];
        if (r->s->o.ops.running(r->s->o.ops.arg, r->parts[1], r->parts[2], container, &x->id, &x->sandbox, &err) == 0)
                return true;
        kc_ks_reply_error(r->req, &err);
        return false;
}

void kc_ks_exec(struct kc_ks_request *r)
{
        KC_CLEANUP(session_done) struct session x = {0};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *url = NULL;
        KC_CLEANUP(kc_strv_freep) char **cmd = kc_query_get_all(kc_http_req_query(r->req), "command");
        if (!open_session(r, &x))
                return;
        if (kc_cri_exec_url(r->s->o.cri, x.id, cmd, x.tty, x.in, x.out, x.err, &url, &err) < 0)
                kc_ks_reply_error(r->req, &err);
        else
                start(r, &x, url);
}

void kc_ks_attach(struct kc_ks_request *r)
{
        KC_CLEANUP(session_done) struct session x = {0};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *url = NULL;
        if (!open_session(r, &x))
                return;
        if (kc_cri_attach_url(r->s->o.cri, x.id, x.tty, x.in, x.out, x.err, &url, &err) < 0)
                kc_ks_reply_error(r->req, &err);
        else
                start(r, &x, url);
}

/* The command is one string here, cut at spaces. */
void kc_ks_run(struct kc_ks_request *r)
{
        KC_CLEANUP(session_done) struct session x = {0};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *text = kc_query_get(kc_http_req_query(r->req), "cmd");
        KC_CLEANUP(kc_strv_freep) char **cmd = kc_strv_split(text ? text : "", ' ');
        const char *container = r->parts[kc_strv_len(r->parts) - 1];
        int exit_code = 0;
        if (r->s->o.ops.running(r->s->o.ops.arg, r->parts[1], r->parts[2], container, &x.id, &x.sandbox, &err) < 0 ||
            kc_cri_exec_sync(r->s->o.cri, x.id, cmd, 0, &exit_code, &out, &err) < 0) {
                kc_ks_reply_error(r->req, &err);
        } else if (exit_code != 0) {
                KC_CLEANUP(kc_freep)
                char *why =
                    kc_asprintf("command '%s' exited with %d: %s", text ? text : "", exit_code, kc_buf_str(&out));
                kc_ks_reply_text(r->req, 500, why);
        } else {
                kc_ks_reply_buf(r->req, "application/json", &out);
        }
}

/* Ports may come in the query (WebSocket) or later in the streams (SPDY). */
void kc_ks_port_forward(struct kc_ks_request *r)
{
        KC_CLEANUP(session_done) struct session x = {0};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *url = NULL;
        /* Several values, each of which may be a list. */
        KC_CLEANUP(kc_strv_freep) char **values = kc_query_get_all(kc_http_req_query(r->req), "port");
        KC_CLEANUP(kc_freep) char *all = values ? kc_strv_join(values, ",") : NULL;
        KC_CLEANUP(kc_strv_freep) char **given = kc_str_empty(all) ? NULL : kc_strv_split(all, ',');
        int32_t ports[PORTS_MAX];
        size_t n = 0;
        if (!is_upgrade(r, false))
                return;
        for (size_t i = 0; given && given[i]; i++) {
                int64_t p;
                if (n == PORTS_MAX || kc_str_to_i64(given[i], &p) < 0 || p < 1 || p > 65535) {
                        KC_CLEANUP(kc_freep) char *text = kc_asprintf("unable to parse \"%s\" as a port", given[i]);
                        kc_ks_reply_text(r->req, 400, text);
                        return;
                }
                ports[n++] = (int32_t)p;
        }
        if (r->s->o.ops.running(r->s->o.ops.arg, r->parts[1], r->parts[2], NULL, &x.id, &x.sandbox, &err) < 0 ||
            kc_cri_port_forward_url(r->s->o.cri, x.sandbox, ports, n, &url, &err) < 0)
                kc_ks_reply_error(r->req, &err);
        else
                start(r, &x, url);
}

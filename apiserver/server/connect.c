/* GET and POST .../pods/x/{exec,attach,portforward}: upgraded connections to the kubelet of the pod's node. The pod and
 * the node are looked up on a worker; the rest is on the request's loop.
 *
 *   SPDY/3.1 and the older WebSocket protocols go through as they are; v5.channel.k8s.io and the port-forward tunnel
 *   are translated to SPDY, which every kubelet speaks (stream/filter.h) */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/encode.h"
#include "base/str.h"
#include "server/backend.h"
#include "server/server_internal.h"
#include "stream/tunnel.h"
#include "stream/websocket.h"

/* A connection on its way. Belongs to the request's loop. */
struct connection {
        struct kc_list node; /* of the server's tunnels on this loop */
        struct api_req *q;   /* with a reference to its exchange */
        struct kc_tunnel *tunnel;
        struct backend backend;
        char *target;
        const char *method;
        enum kc_tunnel_mode mode;
        struct kc_remote_streams streams;
        char **headers;
};

static void connection_free(struct connection *c)
{
        if (!c)
                return;
        backend_done(&c->backend);
        kc_free(c->target);
        kc_strv_free(c->headers);
        kc_free(c);
}
KC_DEFINE_CLEANUP(struct connection *, connection_free)

/* --- The request, on a worker */

static void add_param(struct kc_buf *out, const char *name, const char *value)
{
        KC_CLEANUP(kc_freep) char *escaped = kc_url_escape(value, false);
        kc_buf_addf(out, "%c%s=%s", out->len == 0 ? '?' : '&', name, escaped);
}

static void remote_command_query(const struct api_req *q, struct kc_remote_streams *ret, struct kc_buf *out)
{
        KC_CLEANUP(kc_strv_freep)
        char **command =
            strcmp(q->sub->name, "exec") == 0 ? kc_query_get_all(kc_http_req_query(q->http), "command") : NULL;
        *ret = (struct kc_remote_streams){.in = api_req_param_bool(q, "stdin", false),
            .out = api_req_param_bool(q, "stdout", false),
            .err = api_req_param_bool(q, "stderr", false),
            .tty = api_req_param_bool(q, "tty", false)};
        for (size_t i = 0; command && command[i]; i++)
                add_param(out, "command", command[i]);
        if (ret->err)
                add_param(out, "error", "1");
        if (ret->in)
                add_param(out, "input", "1");
        if (ret->out)
                add_param(out, "output", "1");
        if (ret->tty)
                add_param(out, "tty", "1");
}

static int port_forward_query(const struct api_req *q, struct kc_buf *out, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **ports = kc_query_get_all(kc_http_req_query(q->http), "ports");
        int64_t port;
        for (size_t i = 0; ports && ports[i]; i++)
                if (kc_str_to_i64(ports[i], &port) < 0 || port > INT32_MAX || port < INT32_MIN)
                        return kc_err_bad_request(err, "strconv.ParseInt: parsing \"%s\": invalid syntax", ports[i]);
        if (kc_strv_len(ports) > 0) {
                KC_CLEANUP(kc_freep) char *all = kc_strv_join(ports, ",");
                add_param(out, "port", all);
        }
        return 0;
}

/* The kubelet's path and query. */
static int make_target(
    const struct api_req *q, const struct json_object *pod, struct connection *c, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf query = KC_BUF_INIT;
        if (strcmp(q->sub->name, "portforward") == 0) {
                int r = port_forward_query(q, &query, err);
                if (r == 0)
                        c->target = kc_asprintf(
                            "/portForward/%s/%s%s", kc_meta_namespace(pod), kc_meta_name(pod), kc_buf_str(&query));
                return r;
        }
        KC_CLEANUP(kc_freep) char *wanted = api_req_param(q, "container");
        const char *container = NULL;
        int r = pod_choose_container(pod, wanted, &container, err);
        if (r < 0)
                return r;
        remote_command_query(q, &c->streams, &query);
        c->target = kc_asprintf(
            "/%s/%s/%s/%s%s", q->sub->name, kc_meta_namespace(pod), kc_meta_name(pod), container, kc_buf_str(&query));
        return 0;
}

/* A GET upgrades, too: to be allowed to read is not enough (AuthorizePodWebsocketUpgradeCreatePermission). */
static int authorize_create(const struct api_req *q, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *reason = NULL;
        struct kc_authz_attrs attrs = request_attrs(q);
        attrs.verb = "create";
        return kc_authz_authorize(q->server->authz, &attrs, &reason) == KC_ALLOW
                   ? 0
                   : kc_authz_forbidden(err, &attrs, reason);
}

static int prepare(struct api_req *q, struct connection *c, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = NULL;
        int r = authorize_create(q, err);
        if (r == 0)
                r = kc_resources_get_live(q->server->resources, "", "pods", q->info.ns, q->info.name, &pod, err);
        if (r == 0)
                r = make_target(q, kc_object_json(pod), c, err);
        if (r < 0)
                return r;
        const char *node = kc_json_str_at(kc_object_json(pod), "spec.nodeName");
        if (kc_str_empty(node))
                return kc_err_bad_request(err, "pod %s does not have a host assigned", q->info.name);
        r = backend_of_kubelet(q, node, &c->backend, err);
        if (r < 0)
                return r;
        if (!kc_tunnel_is_upgrade(q->http))
                return kc_err_bad_request(err, "Upgrade request required");
        c->mode = kc_tunnel_mode_of(q->http, strcmp(q->sub->name, "portforward") != 0);
        if (c->mode == KC_TUNNEL_RAW)
                return 0;
        return kc_ws_check_request(kc_http_req_method(q->http), kc_http_req_header(q->http, "Sec-WebSocket-Version"),
            kc_http_req_header(q->http, "Sec-WebSocket-Key"), err);
}

/* --- The tunnel, on the request's loop */

static void refuse(struct connection *c, const struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *status = kc_status_from_error(err);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_json_write(&b, status);
        if (!kc_tunnel_refuse(c->tunnel, kc_buf_str(&b)))
                api_reply_error(c->q, err);
}

/* The kubelet said no: what it said goes to the client as it is; only where the client has been promised a WebSocket
 * with a Status at its end, it becomes one. */
static void on_answer(struct kc_tunnel *t, int code, char *const *headers, struct kc_bytes *body, void *arg)
{
        struct connection *c = arg;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)t;
        if (c->mode == KC_TUNNEL_REMOTE_COMMAND) {
                (void)kc_err_internal(&err, "unable to upgrade connection: %s", kc_bytes_data(body));
                refuse(c, &err);
        } else if (code < 400) {
                (void)kc_error_set_api(&err, 500, "", "invalid upgrade response: status code %d", code);
                api_reply_error(c->q, &err);
        } else {
                api_reply_relayed(c->q, code, headers, body);
        }
}

static void on_error(struct kc_tunnel *t, const struct kc_error *cause, void *arg)
{
        struct connection *c = arg;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)t;
        if (cause->code)
                kc_error_copy(&err, cause);
        else if (c->mode == KC_TUNNEL_REMOTE_COMMAND)
                (void)kc_err_internal(&err, "error dialing backend: %s", kc_error_message(cause));
        else
                (void)kc_error_set_api(&err, 500, "", "error dialing backend: %s", kc_error_message(cause));
        refuse(c, &err);
}

static void on_open(struct kc_tunnel *t, void *arg)
{
        struct connection *c = arg;
        (void)t;
        atomic_store(&c->q->code, 101);
        audit_response_started(c->q, 101);
        api_req_unlimit_time(c->q);
        c->q->on_closed = NULL; /* from here on the tunnel watches */
}

static void on_end(struct kc_tunnel *t, void *arg)
{
        struct connection *c = arg;
        struct kc_http_req *http = c->q->http;
        (void)t;
        c->q->on_closed = NULL;
        kc_list_remove(&c->node);
        connection_free(c);
        kc_http_req_unref(http);
}

static const struct kc_tunnel_cbs cbs = {on_answer, on_error, on_open, on_end};

static void on_closed(void *arg)
{
        struct connection *c = arg;
        kc_tunnel_cancel(c->tunnel);
}

static void begin(void *arg)
{
        struct connection *c = arg;
        struct api_req *q = c->q;
        if (kc_http_req_closed(q->http)) {
                connection_free(c);
                kc_http_req_unref(q->http);
                return;
        }
        c->headers = kc_tunnel_headers(q->http, c->mode);
        struct kc_tunnel_opts o = {
            .req = q->http,
            .mode = c->mode,
            .streams = c->streams,
            .backend = {.method = c->mode == KC_TUNNEL_REMOTE_COMMAND ? "POST" : kc_http_req_method(q->http),
                .target = c->target,
                .headers = c->headers},
            .cbs = &cbs,
            .arg = c,
        };
        backend_fill(&c->backend, q, &o.backend);
        c->tunnel = kc_tunnel_new(&o);
        kc_list_push_back(server_tunnels(q), &c->node);
        q->on_closed = on_closed;
        q->on_closed_arg = c;
}

static void start(struct api_req *q, struct connection *take_c)
{
        take_c->q = q;
        (void)kc_http_req_ref(q->http); /* on_end gives it back */
        kc_loop_post(kc_http_req_loop(q->http), begin, take_c);
}

void connect_cancel(struct kc_list *node)
{
        struct connection *c = KC_CONTAINER_OF(node, struct connection, node);
        kc_tunnel_cancel(c->tunnel);
}

void connect_proxied(struct api_req *q, struct backend *take_backend, const char *target)
{
        struct connection *c = KC_NEW(struct connection);
        c->backend = *take_backend;
        *take_backend = (struct backend){0};
        c->target = kc_strdup(target);
        c->mode = KC_TUNNEL_RAW;
        start(q, c);
}

static void connect_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(connection_freep) struct connection *c = KC_NEW(struct connection);
        if (prepare(q, c, &err) < 0)
                api_reply_error(q, &err);
        else
                start(q, KC_TAKE(c));
}

void handle_connect(struct api_req *q)
{
        api_req_run_blocking(q, connect_job);
}

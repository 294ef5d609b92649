/* .../proxy of pods, services and nodes: any request passed on to a port of theirs (relay.h), upgrades too (connect.c).
 * Looked up on a worker; what is dialed is what was looked at then. */
#include <string.h>

#include "api/object.h"
#include "api/selector.h"
#include "base/rand.h"
#include "base/str.h"
#include "server/proxy.h"
#include "server/relay.h"
#include "server/server_internal.h"
#include "stream/tunnel.h"

enum {
        PROXY_PAGE_MAX = 8 << 20, /* an HTML page over that keeps its links as they are */
        PARTS_NAMESPACED = 7,     /* api v1 namespaces x pods y proxy */
        PARTS_CLUSTER = 5,        /* api v1 nodes x proxy */
};

/* --- Who is meant */

struct target_name {
        char *scheme, *name, *port;
};

static void target_name_done(struct target_name *t)
{
        kc_free(t->scheme);
        kc_free(t->name);
        kc_free(t->port);
}

static int port_number(const char *port)
{
        int64_t n;
        return kc_str_to_i64(port, &n) == 0 && n > 0 && n <= 65535 ? (int)n : 0;
}

/* The first port of the first container that has some. */
static int default_port(const struct json_object *pod)
{
        const struct json_object *containers = kc_json_at(pod, "spec.containers");
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                const struct json_object *ports = kc_json_get(kc_json_idx(containers, i), "ports");
                if (kc_json_len(ports) > 0)
                        return (int)kc_json_int(kc_json_idx(ports, 0), "containerPort", 0);
        }
        return 0;
}

static int unknown_port(const char *port, struct kc_error *err)
{
        return kc_error_set_api(err, 503, KC_REASON_SERVICE_UNAVAILABLE,
            "error trying to reach service: dial tcp: lookup tcp/%s: unknown port", port);
}

static int find_pod(struct api_req *q, const struct target_name *t, struct backend *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *object = NULL;
        int r = kc_resources_get_live(q->server->resources, "", "pods", q->info.ns, t->name, &object, err);
        if (r < 0)
                return r;
        const struct json_object *pod = kc_object_json(object);
        const char *ip = kc_json_str(kc_json_idx(kc_json_at(pod, "status.podIPs"), 0), "ip");
        if (*t->port && !port_number(t->port))
                return unknown_port(t->port, err);
        if (kc_str_empty(ip))
                return kc_err_bad_request(err, "address not allowed");
        backend_of_host(q, t->scheme, ip, *t->port ? port_number(t->port) : default_port(pod), ret);
        return backend_check_proxyable(ret, err);
}

static int find_node(struct api_req *q, const struct target_name *t, struct backend *ret, struct kc_error *err)
{
        KC_CLEANUP(backend_done) struct backend kubelet = {0};
        int r = backend_of_kubelet(q, t->name, &kubelet, err);
        if (r == 0)
                r = backend_check_proxyable(&kubelet, err);
        if (r < 0)
                return r;
        if (!*t->port || port_number(t->port) == kubelet.port) {
                *ret = kubelet;
                kubelet = (struct backend){0};
                return 0;
        }
        if (!port_number(t->port))
                return unknown_port(t->port, err);
        backend_of_host(q, t->scheme, kubelet.host, port_number(t->port), ret);
        ret->checked = KC_TAKE(kubelet.checked);
        return 0;
}

/* --- Services: a ready endpoint that is a pod and still has that address */

struct endpoint {
        const char *ip;
        int port;
};

static bool is_pods_own(struct api_req *q, const struct json_object *endpoint, const char *ip)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = NULL;
        const struct json_object *ref = kc_json_get(endpoint, "targetRef");
        const char *ns = kc_json_str(ref, "namespace"), *name = kc_json_str(ref, "name");
        if (kc_str_empty(name) || !kc_streq(ns, q->info.ns) ||
            kc_resources_get(q->server->resources, "", "pods", ns, name, &pod, NULL) < 0)
                return false;
        return kc_json_find(kc_json_at(kc_object_json(pod), "status.podIPs"), "ip", ip) != NULL;
}

static void add_endpoints(
    struct api_req *q, const struct json_object *slice, const char *port_name, struct endpoint **list, size_t *n)
{
        const struct json_object *ports = kc_json_get(slice, "ports"), *endpoints = kc_json_get(slice, "endpoints");
        int64_t port = 0;
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const char *name = kc_json_str(kc_json_idx(ports, i), "name");
                if (kc_streq(name ? name : "", port_name))
                        port = kc_json_int(kc_json_idx(ports, i), "port", 0);
        }
        for (size_t i = 0; port > 0 && i < kc_json_len(endpoints); i++) {
                const struct json_object *e = kc_json_idx(endpoints, i);
                const char *ip = kc_json_as_str(kc_json_idx(kc_json_get(e, "addresses"), 0));
                if (!kc_json_bool_at(e, "conditions.ready", true) || kc_str_empty(ip) || !is_pods_own(q, e, ip))
                        continue;
                *list = kc_reallocarray(*list, *n + 1, sizeof(**list));
                (*list)[(*n)++] = (struct endpoint){ip, (int)port};
        }
}

/* A port that is given by its number goes by its name from here on. */
static int service_port_name(
    const struct json_object *service, const char *name, const char *port, const char **ret, struct kc_error *err)
{
        const struct json_object *ports = kc_json_at(service, "spec.ports");
        int64_t number;
        *ret = port;
        if (kc_str_to_i64(port, &number) < 0)
                return 0;
        for (size_t i = 0; i < kc_json_len(ports); i++)
                if (kc_json_int(kc_json_idx(ports, i), "port", 0) == number) {
                        const char *port_name = kc_json_str(kc_json_idx(ports, i), "name");
                        *ret = port_name ? port_name : "";
                        return 0;
                }
        return kc_error_set_api(err, 503, KC_REASON_SERVICE_UNAVAILABLE,
            "no service port %lld found for service \"%s\"", (long long)number, name);
}

static int find_service(struct api_req *q, const struct target_name *t, struct backend *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *service = NULL;
        KC_CLEANUP(kc_selector_freep) struct kc_selector *selector = NULL;
        KC_CLEANUP(kc_objects_done) struct kc_objects slices = {0};
        KC_CLEANUP(kc_freep) struct endpoint *list = NULL;
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("kubernetes.io/service-name=%s", t->name);
        const char *port_name = NULL;
        size_t n = 0;
        int r = kc_resources_get_live(q->server->resources, "", "services", q->info.ns, t->name, &service, err);
        if (r == 0)
                r = service_port_name(kc_object_json(service), t->name, t->port, &port_name, err);
        if (r == 0)
                r = kc_selector_parse(text, &selector, err);
        if (r == 0)
                r = kc_resources_list(
                    q->server->resources, "discovery.k8s.io", "endpointslices", q->info.ns, selector, &slices, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < slices.n; i++)
                add_endpoints(q, kc_object_json(slices.v[i]), port_name, &list, &n);
        if (n == 0)
                return kc_error_set_api(
                    err, 503, KC_REASON_SERVICE_UNAVAILABLE, "no endpoints available for service \"%s\"", q->info.name);
        const struct endpoint *e = &list[kc_rand_below(n)];
        backend_of_host(q, t->scheme, e->ip, e->port, ret);
        return backend_check_proxyable(ret, err);
}

static const struct {
        const char *resource, *what;
        int (*find)(struct api_req *q, const struct target_name *t, struct backend *ret, struct kc_error *err);
} kinds[] = {{"pods", "pod", find_pod}, {"services", "service", find_service}, {"nodes", "node", find_node}};

static int find_backend(struct api_req *q, struct backend *ret, struct kc_error *err)
{
        KC_CLEANUP(target_name_done) struct target_name t = {0};
        size_t i = 0;
        while (i + 1 < KC_ARRAY_LEN(kinds) && strcmp(kinds[i].resource, q->row->resource) != 0)
                i++;
        if (!proxy_split_name(q->info.name, &t.scheme, &t.name, &t.port))
                return kc_err_bad_request(err, "invalid %s request \"%s\"", kinds[i].what, q->info.name);
        return kinds[i].find(q, &t, ret, err);
}

/* --- The request */

static void forwarded_for(struct api_req *q, char ***headers)
{
        const char *remote = kc_http_req_remote(q->http), *before = kc_http_req_header(q->http, "X-Forwarded-For");
        const char *colon = strrchr(remote, ':');
        size_t bracket = *remote == '[';
        KC_CLEANUP(kc_freep)
        char *ip = kc_strndup(remote + bracket, (colon ? (size_t)(colon - remote) : strlen(remote)) - 2 * bracket);
        kc_strv_push(headers, "X-Forwarded-For");
        kc_strv_pushf(headers, "%s%s%s", before ? before : "", before ? ", " : "", ip);
}

/* The client's headers without what is of its connection only. */
static char **request_headers(struct api_req *q)
{
        KC_CLEANUP(kc_strv_freep) char **all = kc_tunnel_headers(q->http, KC_TUNNEL_RAW);
        char **v = NULL;
        const char *connection = kc_http_req_header(q->http, "Connection");
        for (size_t i = 0; all && all[i] && all[i + 1]; i += 2) {
                if (strcmp(all[i], "connection") == 0 || strcmp(all[i], "upgrade") == 0 ||
                    kc_str_has_prefix(all[i], "x-forwarded-") || kc_http_list_has(connection, all[i]))
                        continue;
                kc_strv_push(&v, all[i]);
                kc_strv_push(&v, all[i + 1]);
        }
        kc_strv_push(&v, "X-Forwarded-Uri");
        kc_strv_push(&v, kc_http_req_path(q->http));
        forwarded_for(q, &v);
        return v;
}

/* --- The answer */

struct proxied {
        struct proxy_page page;
        char *prefix, *host, *request_host;
        char **headers; /* of the answer, as the client gets them */
};

static void proxied_free(void *arg)
{
        struct proxied *p = arg;
        kc_free(p->prefix);
        kc_free(p->host);
        kc_free(p->request_host);
        kc_strv_free(p->headers);
        kc_free(p);
}

static const char *header_of(char *const *headers, const char *name)
{
        for (size_t i = 0; headers && headers[i] && headers[i + 1]; i += 2)
                if (kc_strcaseeq(headers[i], name))
                        return headers[i + 1];
        return NULL;
}

static char **answer_headers(struct api_req *q, const struct proxied *p, char *const *headers)
{
        static const char *const hop[] = {"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te",
            "Trailer", "Transfer-Encoding", "Upgrade", "Audit-Id"};
        const char *connection = header_of(headers, "Connection");
        char **v = NULL;
        for (size_t i = 0; headers && headers[i] && headers[i + 1]; i += 2) {
                bool drop = kc_http_list_has(connection, headers[i]);
                for (size_t k = 0; k < KC_ARRAY_LEN(hop); k++)
                        drop |= kc_strcaseeq(headers[i], hop[k]);
                if (drop)
                        continue;
                kc_strv_push(&v, headers[i]);
                if (kc_strcaseeq(headers[i], "Location"))
                        kc_strv_push_take(&v, proxy_rewrite_url(&p->page, headers[i + 1]));
                else
                        kc_strv_push(&v, headers[i + 1]);
        }
        kc_strv_push(&v, "Audit-Id");
        kc_strv_push(&v, q->audit_id);
        if (!header_of(headers, "Cache-Control")) {
                kc_strv_push(&v, "Cache-Control");
                kc_strv_push(&v, "no-cache, private");
        }
        return v;
}

static bool is_html(const char *content_type)
{
        KC_CLEANUP(kc_freep)
        char *type = content_type ? kc_strndup(content_type, strcspn(content_type, ";")) : NULL;
        KC_CLEANUP(kc_freep) char *trimmed = type ? kc_str_trim(type) : NULL;
        return kc_streq(trimmed, "text/html");
}

static enum relay_do on_head(
    struct api_req *q, int code, char *const *headers, int *ret_code, char ***ret_headers, void *arg)
{
        struct proxied *p = arg;
        p->headers = answer_headers(q, p, headers);
        *ret_code = code;
        *ret_headers = kc_strv_copy(p->headers);
        bool page = is_html(header_of(headers, "Content-Type")) && !header_of(headers, "Location") &&
                    strcmp(kc_http_req_method(q->http), "HEAD") != 0;
        return page ? RELAY_COLLECT : RELAY_STREAM;
}

static void on_page(struct api_req *q, int code, char *const *headers, struct kc_buf *body, void *arg)
{
        struct proxied *p = arg;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        bool ok = proxy_rewrite_body(&p->page, header_of(headers, "Content-Encoding"), body, 4 * PROXY_PAGE_MAX, &out);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *bytes = kc_bytes_from_buf(ok ? &out : body);
        api_reply_relayed(q, code, p->headers, bytes);
}

static void on_error(struct api_req *q, const struct kc_error *cause, void *arg)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)arg;
        (void)kc_error_set_api(
            &err, 503, KC_REASON_SERVICE_UNAVAILABLE, "error trying to reach service: %s", kc_error_message(cause));
        api_reply_error(q, &err);
}

static const struct relay_cbs relay_cbs = {on_head, on_page, on_error, proxied_free};

/* --- */

/* The first n parts of a path: "/a/b". */
static char *path_head(const char *path, size_t n)
{
        const char *p = path;
        for (size_t i = 0; i < n; i++) {
                p += strspn(p, "/");
                p += strcspn(p, "/");
        }
        return kc_strndup(path, (size_t)(p - path));
}

/* A page without a slash at its end would have relative links that miss. */
static bool redirect_root(struct api_req *q, const char *path)
{
        const char *method = kc_http_req_method(q->http), *query = kc_http_req_query(q->http);
        if (*path || (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0))
                return false;
        KC_CLEANUP(kc_strv_freep) char **headers = NULL;
        kc_strv_push(&headers, "Location");
        kc_strv_pushf(&headers, "%s/%s%s", kc_http_req_path(q->http), *query ? "?" : "", query);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *none = kc_bytes_new("", 0);
        api_reply_relayed(q, 301, headers, none);
        return true;
}

static void pass_on(struct api_req *q, struct backend *b, const char *path, size_t n_parts)
{
        const char *query = kc_http_req_query(q->http);
        KC_CLEANUP(kc_freep)
        char *target = kc_asprintf("%s%s%s%s", *path == '/' ? "" : "/", path, *query ? "?" : "", query);
        if (kc_tunnel_is_upgrade(q->http)) {
                connect_proxied(q, b, target);
                return;
        }
        struct proxied *p = KC_NEW(struct proxied);
        p->prefix = path_head(kc_http_req_path(q->http), n_parts);
        p->host = kc_strdup(b->address);
        p->request_host = kc_strdup(kc_http_req_host(q->http));
        p->page = (struct proxy_page){p->prefix, p->host, p->request_host};
        size_t len = 0;
        const char *body = kc_http_req_body(q->http, &len);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *bytes = len > 0 ? kc_bytes_new(body, len) : NULL;
        const struct relay_opts o = {.take_backend = b,
            .method = kc_http_req_method(q->http),
            .target = target,
            .take_headers = request_headers(q),
            .body = bytes,
            .collect_max = PROXY_PAGE_MAX,
            .stream_if_longer = true,
            .cbs = &relay_cbs,
            .take_arg = p};
        relay_start(q, &o);
}

static void proxy_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(backend_done) struct backend b = {0};
        size_t n_parts = q->row->namespaced ? PARTS_NAMESPACED : PARTS_CLUSTER;
        KC_CLEANUP(kc_freep) char *path = proxy_path(kc_http_req_path(q->http), n_parts);
        if (find_backend(q, &b, &err) < 0)
                api_reply_error(q, &err);
        else if (kc_tunnel_is_upgrade(q->http) || !redirect_root(q, path))
                pass_on(q, &b, path, n_parts);
}

void handle_proxy(struct api_req *q)
{
        api_req_run_blocking(q, proxy_job);
}

/* One small HTTP server for each health check node port. Servers live on the loop; updates are posted to it. */
#include "proxy/healthcheck.h"

#include <stdatomic.h>

#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "http/server.h"

struct health_port {
        struct kc_health_ports *owner;
        char *key;
        int port;
        atomic_size_t local;
        struct kc_http_server *server; /* NULL when the port could not be opened */
};

struct kc_health_ports {
        struct kc_loop *loop;
        bool (*healthy)(void *arg);
        void *arg;
        struct kc_map *ports; /* loop thread: Service key -> struct health_port * */
        struct kc_map *known; /* setter's thread: Service keys that have one */
};

static void port_free(void *p)
{
        struct health_port *h = p;
        kc_http_server_freep(&h->server);
        kc_free(h->key);
        kc_free(h);
}

struct kc_health_ports *kc_health_ports_new(struct kc_loop *loop, bool (*healthy)(void *arg), void *arg)
{
        struct kc_health_ports *h = KC_NEW(struct kc_health_ports);
        h->loop = loop;
        h->healthy = healthy;
        h->arg = arg;
        h->ports = kc_map_new(port_free);
        h->known = kc_map_new(NULL);
        return h;
}

void kc_health_ports_free(struct kc_health_ports *h)
{
        kc_map_free(h->ports);
        kc_map_free(h->known);
        kc_free(h);
}

static void on_request(struct kc_http_req *req, void *arg)
{
        struct health_port *h = arg;
        size_t n = atomic_load(&h->local);
        bool healthy = h->owner->healthy(h->owner->arg);
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(h->key, '/');
        KC_CLEANUP(kc_strv_freep) char **headers = NULL;
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf("{\n\t\"service\": {\n\t\t\"namespace\": \"%s\",\n\t\t\"name\": \"%s\"\n\t},\n"
                                 "\t\"localEndpoints\": %zu,\n\t\"serviceProxyHealthy\": %s\n}",
            parts[0], parts[1] ? parts[1] : "", n, healthy ? "true" : "false");
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = kc_bytes_new(text, strlen(text));

        kc_strv_push(&headers, "Content-Type");
        kc_strv_push(&headers, "application/json");
        kc_strv_push(&headers, "X-Content-Type-Options");
        kc_strv_push(&headers, "nosniff");
        kc_strv_push(&headers, "X-Load-Balancing-Endpoint-Weight");
        kc_strv_pushf(&headers, "%zu", n);
        kc_http_reply(req, n && healthy ? 200 : 503, headers, body);
}

struct update {
        struct kc_health_ports *owner;
        char *key;
        int port;
        size_t local;
};

static void open_port(struct kc_health_ports *owner, const struct update *u)
{
        struct kc_error err = KC_ERROR_INIT;
        struct health_port *h = KC_NEW(struct health_port);

        h->owner = owner;
        h->key = kc_strdup(u->key);
        h->port = u->port;
        struct kc_http_server_opts o = {
            .loops = &owner->loop, .n_loops = 1, .address = "::", .port = u->port, .on_request = on_request, .arg = h};
        if (kc_http_server_new(&o, &h->server, &err) < 0)
                kc_log_error(&err, "Cannot open a health check node port, ignoring", "service", u->key, "port",
                    kc_log_i64(u->port));
        kc_error_done(&err);
        kc_map_set(owner->ports, u->key, h);
}

static void apply(void *arg)
{
        struct update *u = arg;
        struct health_port *h = kc_map_get(u->owner->ports, u->key);

        if (h && h->port != u->port) {
                kc_map_remove(u->owner->ports, u->key);
                h = NULL;
        }
        if (!h && u->port > 0)
                open_port(u->owner, u);
        h = kc_map_get(u->owner->ports, u->key);
        if (h)
                atomic_store(&h->local, u->local);
        kc_free(u->key);
        kc_free(u);
}

void kc_health_ports_set(struct kc_health_ports *h, const char *service_key, int port, size_t local_endpoints)
{
        struct update *u;

        if (port <= 0 && !kc_map_has(h->known, service_key))
                return;
        if (port > 0)
                kc_map_set(h->known, service_key, h);
        else
                (void)kc_map_remove(h->known, service_key); /* it is there, as just seen */
        u = KC_NEW(struct update);
        *u = (struct update){.owner = h, .key = kc_strdup(service_key), .port = port, .local = local_endpoints};
        kc_loop_post(h->loop, apply, u);
}

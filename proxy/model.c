/* Computes a Service's rules. Upstream behaviour: pkg/proxy topology.go (which endpoints are usable) and the nftables
 * proxier (masquerading, policies). Pure functions. */
#include "proxy/model.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/ip.h"
#include "base/map.h"
#include "base/str.h"

enum { MAX_ENDPOINTS = 1000 }; /* of one Service port, as an EndpointSlice's mirror Endpoints holds */

struct endpoint {
        const char *ip;
        int port;
        bool ready, serving, terminating, local;
};

struct endpoints {
        struct endpoint *v;
        size_t n;
};

/* One port of a Service with what is usable for it. */
struct port_ctx {
        const struct kc_proxy_env *env;
        const struct json_object *service;
        const char *proto; /* "tcp", "udp", "sctp" */
        int port, node_port;
        bool any;                 /* there are endpoints at all, usable or not by policy */
        struct endpoints all;     /* whatever their conditions */
        struct endpoints cluster; /* usable under policy Cluster */
        struct endpoints local;   /* usable under policy Local */
        bool internal_local, external_local;
        bool affinity;
        int64_t affinity_timeout_s;
        uint32_t hash; /* names the chains of this port */
        struct kc_proxy_rules *rules;
};

static bool family_matches(const char *ip, int family)
{
        struct kc_ip parsed;
        return ip && kc_ip_parse(ip, &parsed) == 0 && parsed.family == family;
}

/* A nil condition counts as true, a nil "serving" as "ready". */
static bool condition(const struct json_object *ep, const char *name, bool def)
{
        return kc_json_bool(kc_json_get(ep, "conditions"), name, def);
}

static const struct json_object *slice_port(const struct json_object *slice, const char *name, const char *proto)
{
        const struct json_object *ports = kc_json_get(slice, "ports");
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *p = kc_json_idx(ports, i);
                const char *n = kc_json_str(p, "name"), *pr = kc_json_str(p, "protocol");
                if (strcmp(n ? n : "", name) == 0 && strcasecmp(pr ? pr : "TCP", proto) == 0)
                        return p;
        }
        return NULL;
}

static void collect_slice(
    struct port_ctx *c, const struct json_object *slice, const char *port_name, struct endpoints *all)
{
        const struct json_object *port = slice_port(slice, port_name, c->proto), *eps = kc_json_get(slice, "endpoints");
        int number = (int)kc_json_int(port, "port", 0);

        if (number <= 0)
                return;
        for (size_t i = 0; i < kc_json_len(eps) && all->n < MAX_ENDPOINTS; i++) {
                const struct json_object *ep = kc_json_idx(eps, i);
                const char *ip = kc_json_as_str(kc_json_idx(kc_json_get(ep, "addresses"), 0));
                if (!family_matches(ip, c->env->family))
                        continue;
                bool ready = condition(ep, "ready", true);
                all->v = kc_reallocarray(all->v, all->n + 1, sizeof(*all->v));
                all->v[all->n++] = (struct endpoint){
                    .ip = ip,
                    .port = number,
                    .ready = ready,
                    .serving = condition(ep, "serving", ready),
                    .terminating = condition(ep, "terminating", false),
                    .local = kc_streq(kc_json_str(ep, "nodeName"), c->env->node_name),
                };
        }
}

static int endpoint_cmp(const void *a, const void *b)
{
        const struct endpoint *x = a, *y = b;
        int r = strcmp(x->ip, y->ip);
        return r ? r : x->port - y->port;
}

/* Ready endpoints; if there are none, those that still serve while they terminate (KEP-1669). An address that stands in
 * two slices while it moves counts once. */
static void usable(const struct endpoints *all, bool local_only, struct endpoints *ret)
{
        for (int pass = 0; pass < 2 && ret->n == 0; pass++)
                for (size_t i = 0; i < all->n; i++) {
                        const struct endpoint *e = &all->v[i];
                        if ((local_only && !e->local) || (pass == 0 ? !e->ready : !(e->serving && e->terminating)) ||
                            (ret->n && endpoint_cmp(&ret->v[ret->n - 1], e) == 0))
                                continue;
                        ret->v = kc_reallocarray(ret->v, ret->n + 1, sizeof(*ret->v));
                        ret->v[ret->n++] = *e;
                }
}

static void element(struct port_ctx *c, const char *container, const char *key, const char *value)
{
        kc_strv_pushf(&c->rules->elements, "%s\t%s\t%s", container, key, value);
}

/* ip NULL: a node port. */
static void endpoint_elements(struct port_ctx *c, const char *ip, const char *which, const struct endpoints *eps)
{
        KC_CLEANUP(kc_freep) char *container = kc_asprintf("%s%s-%s", ip ? "" : "nodeport-", which, c->proto);
        KC_CLEANUP(kc_freep)
        char *key_prefix = ip ? kc_asprintf("%s . %d", ip, c->port) : kc_asprintf("%d", c->node_port);
        for (size_t i = 0; i < eps->n; i++) {
                KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s . %zu", key_prefix, i);
                KC_CLEANUP(kc_freep) char *value = kc_asprintf("%s . %d", eps->v[i].ip, eps->v[i].port);
                element(c, container, key, value);
        }
}

static void push_chain(struct port_ctx *c, struct kc_proxy_chain take_chain)
{
        c->rules->chains = kc_reallocarray(c->rules->chains, c->rules->n_chains + 1, sizeof(*c->rules->chains));
        c->rules->chains[c->rules->n_chains++] = take_chain;
}

static bool has_chain(const struct port_ctx *c, const char *name)
{
        for (size_t i = 0; i < c->rules->n_chains; i++)
                if (strcmp(c->rules->chains[i].name, name) == 0)
                        return true;
        return false;
}

/* The chain of session affinity over these endpoints ("all" or "local"), made once; returns its name (heap). */
static char *affinity_chain(struct port_ctx *c, const char *which, const struct endpoints *eps)
{
        const char *ip = c->env->family == AF_INET ? "ip" : "ip6";
        char *name = kc_asprintf("affinity-%s-%08x", which, c->hash);
        char **first = NULL, **then = NULL, **sets = NULL;

        if (has_chain(c, name))
                return name;
        for (size_t i = 0; i < eps->n; i++) {
                /* The kernel does not change the timeout of a set that is there: another one has another name. */
                KC_CLEANUP(kc_freep)
                char *ep = kc_asprintf("%s %d %lld", eps->v[i].ip, eps->v[i].port, (long long)c->affinity_timeout_s);
                KC_CLEANUP(kc_freep)
                char *set = kc_asprintf("clients-%08x-%08x", c->hash, kc_fnv32a(ep, strlen(ep)));
                KC_CLEANUP(kc_freep)
                char *dnat = kc_asprintf("update @%s { %s saddr } meta l4proto %s dnat to %s%s%s:%d", set, ip, c->proto,
                    c->env->family == AF_INET6 ? "[" : "", eps->v[i].ip, c->env->family == AF_INET6 ? "]" : "",
                    eps->v[i].port);
                kc_strv_push(&sets, set);
                kc_strv_pushf(&first, "%s saddr @%s %s", ip, set, dnat);
                /* The i-th rule takes 1 of the n - i that are left: every endpoint is as likely. */
                if (i + 1 < eps->n)
                        kc_strv_pushf(&then, "numgen random mod %zu == 0 %s", eps->n - i, dnat);
                else
                        kc_strv_push(&then, dnat);
        }
        for (size_t i = 0; then && then[i]; i++)
                kc_strv_push(&first, then[i]);
        kc_strv_free(then);
        push_chain(
            c, (struct kc_proxy_chain){
                   .name = kc_strdup(name), .rules = first, .set_names = sets, .timeout_s = c->affinity_timeout_s});
        return name;
}

/* Affinity under externalTrafficPolicy Local: what comes from pods or from the node itself may go to any endpoint. */
static char *affinity_local_chain(struct port_ctx *c)
{
        const char *ip = c->env->family == AF_INET ? "ip" : "ip6";
        char *name = kc_asprintf("affinity-external-%08x", c->hash), **rules = NULL;
        KC_CLEANUP(kc_freep) char *all = NULL;
        KC_CLEANUP(kc_freep) char *of_node = NULL;

        if (has_chain(c, name))
                return name;
        all = affinity_chain(c, "all", &c->cluster);
        if (c->env->cluster_cidr)
                kc_strv_pushf(&rules, "%s saddr %s goto %s", ip, c->env->cluster_cidr, all);
        kc_strv_push(&rules, "fib saddr type local jump mark-for-masquerade");
        kc_strv_pushf(&rules, "fib saddr type local goto %s", all);
        if (c->local.n) {
                of_node = affinity_chain(c, "local", &c->local);
                kc_strv_pushf(&rules, "goto %s", of_node);
        } else {
                kc_strv_push(&rules, "drop");
        }
        push_chain(c, (struct kc_proxy_chain){.name = kc_strdup(name), .rules = rules});
        return name;
}

static char *affinity_destination(struct port_ctx *c, bool external)
{
        KC_CLEANUP(kc_freep) char *chain = NULL;

        if (external && c->external_local)
                chain = affinity_local_chain(c);
        else if (!external && c->internal_local)
                chain = affinity_chain(c, "local", &c->local);
        else
                chain = affinity_chain(c, "all", &c->cluster);
        return kc_asprintf("goto %s%s", external && !c->external_local ? "masquerade-" : "", chain);
}

/* Where traffic to an address of the Service goes, and its endpoints' elements. ip NULL: the node port. */
static char *destination(struct port_ctx *c, const char *ip, bool external)
{
        const char *prefix = ip ? "" : "nodeport-";

        if (c->affinity)
                return affinity_destination(c, external);
        if (!external) {
                const struct endpoints *eps = c->internal_local ? &c->local : &c->cluster;
                endpoint_elements(c, ip, "endpoints", eps);
                return kc_asprintf("goto lb-%zu", eps->n);
        }
        endpoint_elements(c, ip, "endpoints", &c->cluster);
        if (!c->external_local)
                return kc_asprintf("goto %smasquerade-lb-%zu", prefix, c->cluster.n);
        endpoint_elements(c, ip, "local-endpoints", &c->local);
        return kc_asprintf("goto %slocal-lb-%zu-%zu", prefix, c->local.n, c->cluster.n);
}

/* Nothing usable: refused when the Service has no endpoints at all, dropped when the policy excludes those it has. */
static const char *refusal(const struct port_ctx *c)
{
        return c->any ? "drop" : "goto reject-chain";
}

static void udp_entries(struct port_ctx *c, const char *ip, int port)
{
        if (strcmp(c->proto, "udp") != 0)
                return;
        kc_strv_pushf(&c->rules->udp, "%s %d", ip, port);
        for (size_t i = 0; i < c->all.n; i++)
                if (c->all.v[i].serving)
                        kc_strv_pushf(&c->rules->udp, "%s %d %s %d", ip, port, c->all.v[i].ip, c->all.v[i].port);
}

static void address_rules(struct port_ctx *c, const char *ip, bool external)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s . %s . %d", ip, c->proto, c->port);
        bool local = external ? c->external_local : c->internal_local;

        udp_entries(c, ip, c->port);
        if ((local ? c->local.n : c->cluster.n) == 0 && !(external && c->cluster.n)) {
                element(c, "no-endpoint-services", key, refusal(c));
                return;
        }
        KC_CLEANUP(kc_freep) char *to = destination(c, ip, external);
        element(c, "service-ips", key, to);
}

static void nodeport_rules(struct port_ctx *c)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s . %d", c->proto, c->node_port);

        udp_entries(c, "*", c->node_port);
        if (c->cluster.n == 0) {
                element(c, "no-endpoint-nodeports", key, refusal(c));
                return;
        }
        KC_CLEANUP(kc_freep) char *to = destination(c, NULL, true);
        element(c, "nodeports", key, to);
}

/* A load balancer's source ranges: what comes from elsewhere is dropped. */
static void firewall_rules(struct port_ctx *c, const char *ip, const struct json_object *ranges)
{
        const char *f = c->env->family == AF_INET ? "ip" : "ip6";
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s . %s . %d", ip, c->proto, c->port);
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("firewall-%08x", c->hash);
        KC_CLEANUP(kc_freep) char *to = kc_asprintf("goto %s", name);
        char **rules = NULL;

        for (size_t i = 0; i < kc_json_len(ranges); i++) {
                struct kc_cidr cidr;
                char text[KC_IP_LEN];
                KC_CLEANUP(kc_freep) char *range = kc_str_trim(kc_json_as_str(kc_json_idx(ranges, i)));
                if (kc_cidr_parse(range, &cidr, NULL) == 0 && cidr.ip.family == c->env->family)
                        kc_strv_pushf(&rules, "%s saddr %s return", f, kc_cidr_format(&cidr, text));
        }
        kc_strv_push(&rules, "drop");
        element(c, "firewall-ips", key, to);
        if (has_chain(c, name)) {
                kc_strv_free(rules);
                return;
        }
        push_chain(c, (struct kc_proxy_chain){.name = KC_TAKE(name), .rules = rules});
}

static void external_rules(struct port_ctx *c)
{
        const struct json_object *spec = kc_json_get(c->service, "spec");
        const struct json_object *external = kc_json_get(spec, "externalIPs");
        const struct json_object *ingress = kc_json_at(c->service, "status.loadBalancer.ingress");
        const struct json_object *ranges = kc_json_get(spec, "loadBalancerSourceRanges");

        for (size_t i = 0; i < kc_json_len(external); i++) {
                const char *ip = kc_json_as_str(kc_json_idx(external, i));
                if (family_matches(ip, c->env->family))
                        address_rules(c, ip, true);
        }
        if (!kc_streq(kc_json_str(spec, "type"), "LoadBalancer"))
                return;
        for (size_t i = 0; i < kc_json_len(ingress); i++) {
                const char *ip = kc_json_str(kc_json_idx(ingress, i), "ip");
                const char *mode = kc_json_str(kc_json_idx(ingress, i), "ipMode");
                if (!family_matches(ip, c->env->family) || kc_streq(mode, "Proxy"))
                        continue;
                address_rules(c, ip, true);
                if (kc_json_len(ranges))
                        firewall_rules(c, ip, ranges);
        }
}

static void port_rules(
    struct port_ctx *c, const struct json_object *port, const char *cluster_ip, const struct kc_objects *slices)
{
        const char *name = kc_json_str(port, "name"), *proto = kc_json_str(port, "protocol");
        KC_CLEANUP(kc_freep) char *id = NULL;

        c->proto = kc_streq(proto, "UDP") ? "udp" : kc_streq(proto, "SCTP") ? "sctp" : "tcp";
        c->port = (int)kc_json_int(port, "port", 0);
        c->node_port = (int)kc_json_int(port, "nodePort", 0);
        id = kc_asprintf("%s/%s:%s", kc_meta_namespace(c->service), kc_meta_name(c->service), name ? name : "");
        c->hash = kc_fnv32a(id, strlen(id));
        for (size_t i = 0; i < slices->n; i++)
                collect_slice(c, kc_object_json(slices->v[i]), name ? name : "", &c->all);
        if (c->all.n)
                qsort(c->all.v, c->all.n, sizeof(*c->all.v), endpoint_cmp);
        usable(&c->all, false, &c->cluster);
        usable(&c->all, true, &c->local);
        c->any = c->cluster.n > 0;

        address_rules(c, cluster_ip, false);
        element(c, "cluster-ips", cluster_ip, "");
        external_rules(c);
        if (c->node_port > 0)
                nodeport_rules(c);
        /* A pod that reaches itself through the Service must see another source address than its own. */
        for (size_t i = 0; i < c->cluster.n; i++)
                if (c->cluster.v[i].local) {
                        KC_CLEANUP(kc_freep)
                        char *pair = kc_asprintf("%s . %s", c->cluster.v[i].ip, c->cluster.v[i].ip);
                        element(c, "hairpin", pair, "");
                }
        kc_free(c->all.v);
        kc_free(c->cluster.v);
        kc_free(c->local.v);
        c->all = c->cluster = c->local = (struct endpoints){0};
}

static bool is_proxied(const struct json_object *service)
{
        const struct json_object *spec = kc_json_get(service, "spec");
        const char *ip = kc_json_str(spec, "clusterIP");

        return !kc_str_empty(ip) && strcmp(ip, "None") != 0 && !kc_streq(kc_json_str(spec, "type"), "ExternalName") &&
               !kc_meta_label(service, "service.kubernetes.io/service-proxy-name");
}

static const char *cluster_ip_of_family(const struct json_object *spec, int family)
{
        const struct json_object *ips = kc_json_get(spec, "clusterIPs");
        for (size_t i = 0; i < kc_json_len(ips); i++) {
                const char *ip = kc_json_as_str(kc_json_idx(ips, i));
                if (family_matches(ip, family))
                        return ip;
        }
        return family_matches(kc_json_str(spec, "clusterIP"), family) ? kc_json_str(spec, "clusterIP") : NULL;
}

void kc_proxy_service_rules(const struct kc_proxy_env *env, const struct json_object *service,
    const struct kc_objects *slices, struct kc_proxy_rules *ret)
{
        const struct json_object *spec = kc_json_get(service, "spec"), *ports = kc_json_get(spec, "ports");
        const char *ip = cluster_ip_of_family(spec, env->family);

        *ret = (struct kc_proxy_rules){0};
        if (!is_proxied(service) || !ip)
                return;
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                struct port_ctx c = {
                    .env = env,
                    .service = service,
                    .internal_local = kc_streq(kc_json_str(spec, "internalTrafficPolicy"), "Local"),
                    .external_local = kc_streq(kc_json_str(spec, "externalTrafficPolicy"), "Local"),
                    .affinity = kc_streq(kc_json_str(spec, "sessionAffinity"), "ClientIP"),
                    .affinity_timeout_s = kc_json_int_at(spec, "sessionAffinityConfig.clientIP.timeoutSeconds", 10800),
                    .rules = ret,
                };
                port_rules(&c, kc_json_idx(ports, i), ip, slices);
        }
        kc_strv_sort_uniq(ret->elements);
        kc_strv_sort_uniq(ret->udp);
}

void kc_proxy_rules_done(struct kc_proxy_rules *r)
{
        kc_strv_free(r->elements);
        kc_strv_free(r->udp);
        for (size_t i = 0; i < r->n_chains; i++) {
                kc_free(r->chains[i].name);
                kc_strv_free(r->chains[i].rules);
                kc_strv_free(r->chains[i].set_names);
        }
        kc_free(r->chains);
        *r = (struct kc_proxy_rules){0};
}

size_t kc_proxy_local_endpoints(const struct kc_proxy_env *env, const struct kc_objects *slices)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < slices->n; i++) {
                const struct json_object *eps = kc_json_get(kc_object_json(slices->v[i]), "endpoints");
                for (size_t j = 0; j < kc_json_len(eps); j++) {
                        const struct json_object *ep = kc_json_idx(eps, j);
                        const char *ip = kc_json_as_str(kc_json_idx(kc_json_get(ep, "addresses"), 0));
                        if (ip && condition(ep, "ready", true) && kc_streq(kc_json_str(ep, "nodeName"), env->node_name))
                                kc_map_set(seen, ip, seen);
                }
        }
        return kc_map_len(seen);
}

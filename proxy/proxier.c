/* The sync loop of kube-proxy. Loop thread: informer handlers, timers, the nftables watch. Pool: one sync at a time;
 * what it owns (rulesets, nft) is touched by nobody else while `running` is set. */
#include "proxy/proxier.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "daemon/metrics.h"
#include "proxy/healthcheck.h"
#include "proxy/nft.h"

enum { RETRY_SECONDS = 30, UNHEALTHY_SECONDS = 120 };

static const int families[2] = {AF_INET, AF_INET6};
static const char *const family_names[2] = {"IPv4", "IPv6"};

struct kc_proxier {
        struct kc_proxier_opts opts;
        char *node_name, *cidr[2], **nodeport_addresses;
        struct kc_informer *services, *slices, *node;
        struct kc_nft *nft;
        struct kc_nft_watch *watch;
        struct kc_timer *timer, *periodic;
        struct kc_health_ports *health_ports;
        struct kc_metric *duration, *elements, *last, *failures;

        /* Loop thread. */
        bool synced, running, again;
        kc_mono last_start;

        /* The running sync. */
        struct kc_ruleset *rulesets[2];
        bool full; /* write the whole tables */
        char **node_ips;

        pthread_mutex_t lock;
        struct kc_map *dirty;  /* guarded by lock: Service keys */
        bool want_full;        /* guarded by lock */
        bool ever;             /* guarded by lock: a sync has succeeded */
        kc_mono failing_since; /* guarded by lock; 0: not failing */
};

static void schedule(struct kc_proxier *p);

static void mark(struct kc_proxier *p, const char *key)
{
        pthread_mutex_lock(&p->lock);
        kc_map_set(p->dirty, key, p);
        pthread_mutex_unlock(&p->lock);
        schedule(p);
}

static void mark_full(struct kc_proxier *p)
{
        pthread_mutex_lock(&p->lock);
        p->want_full = true;
        pthread_mutex_unlock(&p->lock);
        schedule(p);
}

static void mark_service(struct kc_proxier *p, const struct kc_object *o)
{
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(o));
        mark(p, key);
}

static void on_service_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        mark_service(arg, o);
}

static void on_service_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        mark_service(arg, o);
}

static void on_service_delete(struct kc_object *o, void *arg)
{
        mark_service(arg, o);
}

static void mark_slice(struct kc_proxier *p, const struct kc_object *o)
{
        const char *service = kc_meta_label(kc_object_json(o), "kubernetes.io/service-name");
        if (kc_str_empty(service))
                return;
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", kc_object_namespace(o), service);
        mark(p, key);
}

static void on_slice_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        mark_slice(arg, o);
}

static void on_slice_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        mark_slice(arg, old);
        mark_slice(arg, o);
}

static void on_slice_delete(struct kc_object *o, void *arg)
{
        mark_slice(arg, o);
}

static void on_node(struct kc_proxier *p, const struct kc_object *o)
{
        const struct json_object *addresses = kc_json_at(kc_object_json(o), "status.addresses");
        KC_CLEANUP(kc_strv_freep) char **ips = NULL;

        for (size_t i = 0; i < kc_json_len(addresses); i++) {
                const struct json_object *a = kc_json_idx(addresses, i);
                if (kc_streq(kc_json_str(a, "type"), "InternalIP") && kc_json_str(a, "address"))
                        kc_strv_push(&ips, kc_json_str(a, "address"));
        }
        pthread_mutex_lock(&p->lock);
        KC_CLEANUP(kc_freep) char *before = kc_strv_join(p->node_ips, ",");
        KC_CLEANUP(kc_freep) char *now = kc_strv_join(ips, ",");
        bool changed = !kc_streq(before, now);
        if (changed) {
                kc_strv_free(p->node_ips);
                p->node_ips = KC_TAKE(ips);
        }
        pthread_mutex_unlock(&p->lock);
        if (changed)
                mark_full(p);
}

static void on_node_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        on_node(arg, o);
}

static void on_node_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_node(arg, o);
}

static void index_by_service(const struct kc_object *o, char ***values)
{
        const char *service = kc_meta_label(kc_object_json(o), "kubernetes.io/service-name");
        if (!kc_str_empty(service))
                kc_strv_pushf(values, "%s/%s", kc_object_namespace(o), service);
}

/* --- The sync, on the pool. */

/* CIDRs in which node ports are served: --nodeport-addresses, by default the node's own addresses. */
static char **nodeport_cidrs(struct kc_proxier *p, int family)
{
        bool primary = kc_strv_len(p->nodeport_addresses) == 0 || kc_strv_has(p->nodeport_addresses, "primary");
        char **ret = NULL;

        pthread_mutex_lock(&p->lock);
        char *const *from = primary ? p->node_ips : p->nodeport_addresses;
        for (size_t i = 0; from && from[i]; i++) {
                struct kc_cidr c;
                struct kc_ip ip;
                if ((kc_ip_parse(from[i], &ip) == 0 && ip.family == family) ||
                    (kc_cidr_parse(from[i], &c, NULL) == 0 && c.ip.family == family))
                        kc_strv_push(&ret, from[i]);
        }
        pthread_mutex_unlock(&p->lock);
        return ret;
}

/* The UDP flows of one family that a sync looks at: to these addresses, from other than these endpoints. */
struct udp_flows {
        struct kc_map *addresses, *endpoints;
};

static void look_at_flows(struct udp_flows *f, char *const *udp, bool now)
{
        for (size_t i = 0; udp && udp[i]; i++) {
                bool endpoint = strchr(strchr(udp[i], ' ') + 1, ' ');
                if (!endpoint)
                        kc_map_set(f->addresses, udp[i], f);
                else if (now)
                        kc_map_set(f->endpoints, udp[i], f);
        }
}

static void compute_service(struct kc_proxier *p, const char *key, struct udp_flows flows[2])
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *service = kc_informer_lookup_key(p->services, key);
        struct kc_objects slices = {0};

        if (service)
                kc_informer_by_index(p->slices, "service", key, &slices);
        for (int f = 0; f < 2; f++) {
                struct kc_proxy_env env = {
                    .family = families[f], .node_name = p->node_name, .cluster_cidr = p->cidr[f]};
                struct kc_proxy_rules rules = {0};
                if (!p->rulesets[f])
                        continue;
                if (service)
                        kc_proxy_service_rules(&env, kc_object_json(service), &slices, &rules);
                look_at_flows(&flows[f], kc_ruleset_udp(p->rulesets[f], key), false);
                look_at_flows(&flows[f], rules.udp, true);
                kc_ruleset_set(p->rulesets[f], key, service ? &rules : NULL);
        }
        struct kc_proxy_env env = {.family = AF_INET, .node_name = p->node_name};
        int port = service ? (int)kc_json_int_at(kc_object_json(service), "spec.healthCheckNodePort", 0) : 0;
        kc_health_ports_set(p->health_ports, key, port, kc_proxy_local_endpoints(&env, &slices));
        kc_objects_done(&slices);
}

static int write_family(struct kc_proxier *p, int f, bool full, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf commands = KC_BUF_INIT;

        if (full) {
                KC_CLEANUP(kc_strv_freep) char **affinity = NULL;
                kc_nft_affinity(p->nft, families[f], &affinity);
                kc_ruleset_full(p->rulesets[f], affinity, &commands);
        } else {
                kc_ruleset_changes(p->rulesets[f], &commands);
        }
        if (commands.len == 0) {
                kc_ruleset_commit(p->rulesets[f]);
                return 0;
        }
        if (kc_log_verbosity() >= 5)
                kc_log_v(5, "Writing nftables", "family", family_names[f], "commands", kc_buf_str(&commands));
        int rc = kc_nft_run(p->nft, kc_buf_str(&commands), err);
        if (rc < 0)
                return kc_error_wrap(err, "%s rules", family_names[f]);
        kc_ruleset_commit(p->rulesets[f]);
        return 0;
}

/* New tables know nothing of what was set: all Services are computed again. */
static void make_rulesets(struct kc_proxier *p)
{
        for (int f = 0; f < 2; f++) {
                if (!p->opts.families[f])
                        continue;
                KC_CLEANUP(kc_strv_freep) char **cidrs = nodeport_cidrs(p, families[f]);
                if (p->rulesets[f]) {
                        kc_ruleset_set_nodeport_cidrs(p->rulesets[f], cidrs);
                        continue;
                }
                p->rulesets[f] = kc_ruleset_new(&(struct kc_ruleset_opts){.family = families[f],
                    .cluster_cidr = p->cidr[f],
                    .masquerade_all = p->opts.masquerade_all,
                    .masquerade_bit = p->opts.masquerade_bit,
                    .nodeport_cidrs = cidrs});
        }
}

/* Flows began without rules, or endpoints went without us: all Services are looked at. */
static void look_at_all(struct kc_proxier *p, struct udp_flows flows[2])
{
        for (int f = 0; f < 2; f++) {
                KC_CLEANUP(kc_strv_freep) char **keys = p->rulesets[f] ? kc_ruleset_services(p->rulesets[f]) : NULL;
                for (size_t i = 0; keys && keys[i]; i++)
                        look_at_flows(&flows[f], kc_ruleset_udp(p->rulesets[f], keys[i]), true);
        }
}

static void forget_stale(const struct udp_flows flows[2])
{
        for (int f = 0; f < 2; f++) {
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                if (kc_conntrack_forget_udp(families[f], flows[f].addresses, flows[f].endpoints, &err) < 0)
                        kc_log_error(&err, "Cannot forget stale UDP flows, ignoring");
        }
}

static int sync_once(struct kc_proxier *p, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **keys = NULL;
        struct udp_flows flows[2];
        int rc = 0;

        pthread_mutex_lock(&p->lock);
        keys = kc_map_sorted_keys(p->dirty);
        kc_map_clear(p->dirty);
        p->full |= p->want_full;
        p->want_full = false;
        pthread_mutex_unlock(&p->lock);

        for (int f = 0; f < 2; f++)
                flows[f] = (struct udp_flows){kc_map_new(NULL), kc_map_new(NULL)};
        if (p->full)
                make_rulesets(p);
        for (size_t i = 0; keys && keys[i]; i++)
                compute_service(p, keys[i], flows);
        if (p->full)
                look_at_all(p, flows);
        for (int f = 0; f < 2 && rc == 0; f++)
                if (p->rulesets[f])
                        rc = write_family(p, f, p->full, err);
        /* After a failure nobody knows what the kernel has: the next attempt writes everything. */
        p->full = rc < 0;
        if (rc == 0)
                forget_stale(flows);
        for (int f = 0; f < 2; f++) {
                kc_map_free(flows[f].addresses);
                kc_map_free(flows[f].endpoints);
        }
        return rc;
}

struct result {
        struct kc_proxier *p;
        int rc;
};

static void on_timer(void *arg)
{
        schedule(arg);
}

static void sync_finished(void *arg)
{
        struct result *r = arg;
        struct kc_proxier *p = r->p;

        p->running = false;
        if (r->rc < 0)
                kc_timer_arm(p->timer, RETRY_SECONDS * KC_SEC);
        else if (p->again)
                schedule(p);
        kc_free(r);
}

static void run_sync(void *arg)
{
        struct kc_proxier *p = arg;
        struct kc_error err = KC_ERROR_INIT;
        kc_mono start = kc_clock_mono(NULL);
        struct result *r = KC_NEW(struct result);

        *r = (struct result){.p = p, .rc = sync_once(p, &err)};
        kc_mono end = kc_clock_mono(NULL);
        pthread_mutex_lock(&p->lock);
        if (r->rc == 0) {
                p->ever = true;
                p->failing_since = 0;
        } else if (!p->failing_since) {
                p->failing_since = end;
        }
        pthread_mutex_unlock(&p->lock);
        for (int f = 0; f < 2; f++) {
                const char *const *labels = KC_LABELS(family_names[f]);
                if (!p->rulesets[f])
                        continue;
                kc_metric_observe(p->duration, (double)(end - start) / (double)KC_SEC, labels);
                kc_metric_set(p->elements, (double)kc_ruleset_elements(p->rulesets[f]), labels);
                if (r->rc == 0)
                        kc_metric_set(p->last, (double)kc_clock_now(NULL) / (double)KC_SEC, labels);
                else
                        kc_metric_add(p->failures, 1, labels);
        }
        if (r->rc < 0)
                kc_log_error(
                    &err, "Failed to write the rules, retrying", "retryAfter", kc_log_fmt("%ds", RETRY_SECONDS));
        kc_error_done(&err);
        kc_loop_post(p->opts.loop, sync_finished, r);
}

/* On the loop: starts a sync unless one runs (then again afterwards) or the last one was too short ago. */
static void schedule(struct kc_proxier *p)
{
        kc_mono now = kc_clock_mono(NULL);
        int64_t wait = p->last_start ? p->last_start + p->opts.min_sync_period - now : 0;

        if (!p->synced)
                return;
        if (p->running) {
                p->again = true;
                return;
        }
        if (wait > 0) {
                if (!kc_timer_armed(p->timer))
                        kc_timer_arm(p->timer, wait);
                return;
        }
        p->again = false;
        p->running = true;
        p->last_start = now;
        kc_timer_disarm(p->timer);
        if (kc_pool_submit(p->opts.pool, run_sync, p) < 0) {
                p->running = false;
                kc_timer_arm(p->timer, KC_SEC);
        }
}

static void on_synced(void *arg)
{
        struct kc_proxier *p = arg;
        p->synced = true;
        mark_full(p);
}

static void on_nft_hurt(void *arg)
{
        kc_log_warn("Another program has removed rules of kube-proxy, writing them again");
        mark_full(arg);
}

static void on_periodic(void *arg)
{
        struct kc_proxier *p = arg;
        mark_full(p);
        kc_timer_arm(p->periodic, p->opts.sync_period);
}

static void make_metrics(struct kc_proxier *p)
{
        static const char *const labels[] = {"ip_family", NULL};
        static const double buckets[] = {
            0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384};

        p->duration = kc_metric_histogram("kubeproxy_sync_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds", labels, buckets, KC_ARRAY_LEN(buckets));
        p->last = kc_metric_gauge("kubeproxy_sync_proxy_rules_last_timestamp_seconds",
            "The last time proxy rules were successfully synced", labels);
        p->failures = kc_metric_counter("kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
            "Cumulative proxy nftables sync failures", labels);
        p->elements = kc_metric_gauge("kubec_proxy_nftables_elements", "Elements of maps and sets in nftables", labels);
}

static bool is_healthy(void *arg)
{
        return kc_proxier_health(arg, NULL) == 0;
}

int kc_proxier_new(const struct kc_proxier_opts *o, struct kc_proxier **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_proxier_freep) struct kc_proxier *p = KC_NEW(struct kc_proxier);
        KC_CLEANUP(kc_freep) char *me = kc_asprintf("metadata.name=%s", o->node_name);

        p->opts = *o;
        p->node_name = kc_strdup(o->node_name);
        p->cidr[0] = kc_strdup(o->cluster_cidr_v4);
        p->cidr[1] = kc_strdup(o->cluster_cidr_v6);
        p->nodeport_addresses = kc_strv_copy(o->nodeport_addresses);
        pthread_mutex_init(&p->lock, NULL);
        p->dirty = kc_map_new(NULL);
        p->timer = kc_timer_new(o->loop, on_timer, p);
        p->periodic = kc_timer_new(o->loop, on_periodic, p);
        p->health_ports = kc_health_ports_new(o->loop, is_healthy, p);
        make_metrics(p);
        int rc = kc_nft_new(&p->nft, err);
        if (rc == 0)
                rc = kc_nft_watch_new(o->loop, on_nft_hurt, p, &p->watch, err);
        if (rc < 0)
                return rc;
        p->services = kc_informers_get(o->informers, &KC_SERVICES);
        p->slices = kc_informers_get(o->informers, &KC_ENDPOINTSLICES);
        p->node = kc_informers_get_filtered(o->informers, &KC_NODES, NULL, NULL, me);
        kc_informer_add_index(p->slices, "service", index_by_service);
        kc_informer_add_handler(
            p->services, &(struct kc_informer_handler){on_service_add, on_service_update, on_service_delete}, p);
        kc_informer_add_handler(
            p->slices, &(struct kc_informer_handler){on_slice_add, on_slice_update, on_slice_delete}, p);
        kc_informer_add_handler(p->node, &(struct kc_informer_handler){on_node_add, on_node_update, NULL}, p);
        *ret = KC_TAKE(p);
        return 0;
}

void kc_proxier_start(struct kc_proxier *p)
{
        kc_informers_start(p->opts.informers);
        kc_informers_on_synced(p->opts.informers, on_synced, p);
        if (p->opts.sync_period > 0)
                kc_timer_arm(p->periodic, p->opts.sync_period);
}

void kc_proxier_free(struct kc_proxier *p)
{
        kc_nft_watch_freep(&p->watch);
        kc_nft_freep(&p->nft);
        kc_health_ports_freep(&p->health_ports);
        kc_timer_freep(&p->timer);
        kc_timer_freep(&p->periodic);
        for (int f = 0; f < 2; f++) {
                kc_ruleset_freep(&p->rulesets[f]);
                kc_free(p->cidr[f]);
        }
        kc_map_free(p->dirty);
        pthread_mutex_destroy(&p->lock);
        kc_strv_free(p->node_ips);
        kc_strv_free(p->nodeport_addresses);
        kc_free(p->node_name);
        kc_free(p);
}

int kc_proxier_health(void *proxier, struct kc_error *err)
{
        struct kc_proxier *p = proxier;

        pthread_mutex_lock(&p->lock);
        bool ever = p->ever;
        kc_mono since = p->failing_since;
        pthread_mutex_unlock(&p->lock);
        if (!ever)
                return kc_error_set(err, EAGAIN, "rules have not been written yet");
        if (since && kc_clock_mono(NULL) - since > UNHEALTHY_SECONDS * KC_SEC)
                return kc_error_set(err, EIO, "rules could not be written for %d s", UNHEALTHY_SECONDS);
        return 0;
}

int kc_proxier_cleanup(struct kc_error *err)
{
        KC_CLEANUP(kc_nft_freep) struct kc_nft *nft = NULL;
        int rc = kc_nft_new(&nft, err);
        if (rc < 0)
                return rc;
        return kc_nft_run(nft,
            "add table ip kube-proxy\ndelete table ip kube-proxy\nadd table ip6 kube-proxy\ndelete table ip6 "
            "kube-proxy\n",
            err);
}

/* kube-proxy: programs the node's packet filter for Services. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/component.h"
#include "proxy/nft.h"
#include "proxy/options.h"
#include "proxy/proxier.h"

enum { WORKERS = 2, MAX_WAITING = 64 };

struct app {
        struct kc_proxy_options options;
        struct kc_component component;
        struct kc_proxier *proxier;
        struct kc_daemon_server *healthz, *metrics;
};

static void write_sysctl(const char *path, int64_t value)
{
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("%lld\n", (long long)value);
        FILE *f = fopen(path, "we");
        bool ok = f && fputs(text, f) >= 0;

        if (f && fclose(f) != 0)
                ok = false;
        if (!ok)
                kc_log_warn("Cannot set a kernel parameter, ignoring", "path", path);
}

/* As upstream: never lowers the flow limit. */
static void tune_conntrack(const struct kc_proxy_options *o)
{
        static const char max_path[] = "/proc/sys/net/netfilter/nf_conntrack_max";
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        int64_t want = KC_MAX((int64_t)o->conntrack_max_per_core * sysconf(_SC_NPROCESSORS_ONLN), o->conntrack_min);
        int64_t have = 0;

        if (kc_file_read(max_path, 64, &text, NULL) == 0) {
                KC_CLEANUP(kc_freep) char *trimmed = kc_str_trim(kc_buf_str(&text));
                if (kc_str_to_i64(trimmed, &have) == 0 && have < want)
                        write_sysctl(max_path, want);
        }
        write_sysctl("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established", o->conntrack_established / KC_SEC);
        write_sysctl("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait", o->conntrack_close_wait / KC_SEC);
}

static int start_proxier(struct app *a, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep)
        char **cidrs = kc_strv_split(a->options.cluster_cidr ? a->options.cluster_cidr : "", ',');
        const char *v4 = NULL, *v6 = NULL;

        for (size_t i = 0; cidrs && cidrs[i]; i++)
                *(strchr(cidrs[i], ':') ? &v6 : &v4) = cidrs[i];
        return kc_proxier_new(&(struct kc_proxier_opts){.loop = a->component.loop,
                                  .pool = a->component.pool,
                                  .informers = a->component.informers,
                                  .node_name = a->options.hostname_override,
                                  .cluster_cidr_v4 = v4,
                                  .cluster_cidr_v6 = v6,
                                  .nodeport_addresses = a->options.nodeport_addresses,
                                  .masquerade_all = a->options.masquerade_all,
                                  .masquerade_bit = a->options.masquerade_bit,
                                  .min_sync_period = a->options.min_sync_period,
                                  .sync_period = a->options.sync_period,
                                  .families = {true, kc_path_exists("/proc/sys/net/ipv6")}},
            &a->proxier, err);
}

static int serve(struct app *a, const char *address, struct kc_daemon_server **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *host = NULL;
        int port, rc;

        if (kc_str_empty(address))
                return 0;
        rc = kc_proxy_split_address(address, &host, &port, err);
        if (rc < 0)
                return rc;
        return kc_daemon_server_new(a->component.loop,
            &(struct kc_daemon_server_opts){
                .bind_address = host, .port = port, .plain_http = true, .health = a->component.health},
            ret, err);
}

static int start(struct app *a, struct kc_error *err)
{
        struct kc_component *c = &a->component;
        int rc = kc_component_init(c, KC_NFT_THREAD_NAME, a->options.kubeconfig, WORKERS, MAX_WAITING, err);

        if (rc == 0)
                rc = start_proxier(a, err);
        if (rc == 0) {
                kc_health_add(c->health, "rules", KC_HEALTH_ALL, kc_proxier_health, a->proxier);
                rc = serve(a, a->options.healthz_bind_address, &a->healthz, err);
        }
        if (rc == 0)
                rc = serve(a, a->options.metrics_bind_address, &a->metrics, err);
        if (rc == 0)
                rc = kc_daemon_handle_signals(c->loop, NULL, NULL, err);
        if (rc == 0) {
                tune_conntrack(&a->options);
                kc_proxier_start(a->proxier);
                kc_daemon_ready(c->loop);
                kc_log_info("Started kube-proxy", "version", KC_KUBE_VERSION, "node", a->options.hostname_override);
        }
        return rc;
}

int main(int argc, char **argv)
{
        struct app a = {0};
        struct kc_error err = KC_ERROR_INIT;
        int rc = kc_proxy_options_parse(&a.options, argc, argv, &err);

        if (rc == 0 && a.options.cleanup) {
                rc = kc_proxier_cleanup(&err);
        } else if (rc == 0) {
                rc = start(&a, &err);
                if (rc == 0)
                        rc = kc_component_run(&a.component, &err);
        }
        if (rc < 0)
                kc_log_error(&err, "kube-proxy failed");
        kc_daemon_server_freep(&a.healthz);
        kc_daemon_server_freep(&a.metrics);
        kc_component_drain(&a.component);
        kc_proxier_freep(&a.proxier);
        kc_component_done(&a.component);
        kc_proxy_options_done(&a.options);
        kc_error_done(&err);
        return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

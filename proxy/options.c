/* Options of kube-proxy. Flags given on the command line win over the file, as daemons of upstream that mix them do. */
#include "proxy/options.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ip.h"
#include "base/str.h"
#include "daemon/component.h"
#include "json/json.h"

static void set_defaults(struct kc_proxy_options *o)
{
        *o = (struct kc_proxy_options){
            .bind_address = kc_strdup("0.0.0.0"),
            .proxy_mode = kc_strdup("nftables"),
            .healthz_bind_address = kc_strdup("0.0.0.0:10256"),
            .metrics_bind_address = kc_strdup("127.0.0.1:10249"),
            .masquerade_bit = 14,
            /* Upstream writes at most once a second and everything each 30 s. Here a write costs what the change costs,
             * and the kernel tells when somebody else touches the tables. */
            .min_sync_period = 0,
            .sync_period = 0,
            .conntrack_max_per_core = 32768,
            .conntrack_min = 131072,
            .conntrack_established = 24L * 3600 * KC_SEC,
            .conntrack_close_wait = 3600 * KC_SEC,
        };
}

static int load_config(struct kc_proxy_options *o, const struct kc_flag *flags, struct kc_error *err)
{
        static const char *const versions[] = {"kubeproxy.config.k8s.io/v1alpha1", NULL};
        KC_CLEANUP(kc_json_freep) struct json_object *c = NULL;
        int rc;

        if (kc_str_empty(o->config))
                return 0;
        rc = kc_component_config_load(o->config, versions, "KubeProxyConfiguration", &c, err);
        if (rc < 0)
                return rc;
        kc_config_take_str(flags, "kubeconfig", c, "clientConnection.kubeconfig", &o->kubeconfig);
        kc_config_take_str(flags, "hostname-override", c, "hostnameOverride", &o->hostname_override);
        kc_config_take_str(flags, "bind-address", c, "bindAddress", &o->bind_address);
        kc_config_take_str(flags, "proxy-mode", c, "mode", &o->proxy_mode);
        kc_config_take_str(flags, "cluster-cidr", c, "clusterCIDR", &o->cluster_cidr);
        kc_config_take_str(flags, "healthz-bind-address", c, "healthzBindAddress", &o->healthz_bind_address);
        kc_config_take_str(flags, "metrics-bind-address", c, "metricsBindAddress", &o->metrics_bind_address);
        if (!kc_flags_given(flags, "masquerade-all"))
                o->masquerade_all = kc_json_bool_at(c, "nftables.masqueradeAll", o->masquerade_all);
        if (!kc_flags_given(flags, "iptables-masquerade-bit"))
                o->masquerade_bit = (int)kc_json_int_at(c, "nftables.masqueradeBit", o->masquerade_bit);
        const struct json_object *a = kc_json_get(c, "nodePortAddresses");
        for (size_t i = 0; !kc_flags_given(flags, "nodeport-addresses") && i < kc_json_len(a); i++)
                kc_strv_push(&o->nodeport_addresses, kc_json_as_str(kc_json_idx(a, i)));
        rc = kc_config_take_duration(
            flags, "iptables-min-sync-period", c, "nftables.minSyncPeriod", &o->min_sync_period, err);
        if (rc == 0)
                rc = kc_config_take_duration(
                    flags, "iptables-sync-period", c, "nftables.syncPeriod", &o->sync_period, err);
        if (rc == 0)
                rc = kc_daemon_take_features(&o->common, kc_json_get(c, "featureGates"), err);
        return rc;
}

static int validate(const struct kc_proxy_options *o, struct kc_error *err)
{
        struct kc_cidr c;
        KC_CLEANUP(kc_strv_freep) char **cidrs = kc_strv_split(o->cluster_cidr ? o->cluster_cidr : "", ',');

        if (strcmp(o->proxy_mode, "nftables") != 0)
                return kc_error_set(err, EINVAL, "--proxy-mode: \"%s\" is not supported, use nftables", o->proxy_mode);
        if (o->masquerade_bit < 0 || o->masquerade_bit > 31)
                return kc_error_set(
                    err, EINVAL, "--iptables-masquerade-bit: %d must be within 0..31", o->masquerade_bit);
        for (size_t i = 0; cidrs && cidrs[i]; i++)
                if (kc_cidr_parse(cidrs[i], &c, NULL) < 0)
                        return kc_error_set(err, EINVAL, "--cluster-cidr: \"%s\" is not a CIDR", cidrs[i]);
        for (size_t i = 0; o->nodeport_addresses && o->nodeport_addresses[i]; i++)
                if (strcmp(o->nodeport_addresses[i], "primary") != 0 &&
                    kc_cidr_parse(o->nodeport_addresses[i], &c, NULL) < 0)
                        return kc_error_set(
                            err, EINVAL, "--nodeport-addresses: \"%s\" is not a CIDR", o->nodeport_addresses[i]);
        return 0;
}

/* Upstream's node name: the override or the host's name, trimmed and in lower case. */
static int resolve_hostname(struct kc_proxy_options *o, struct kc_error *err)
{
        char host[256] = "";
        if (kc_str_empty(o->hostname_override)) {
                if (gethostname(host, sizeof(host) - 1) < 0)
                        return kc_error_set(err, errno, "cannot tell this host's name: %s", strerror(errno));
                kc_str_set(&o->hostname_override, host);
        }
        for (char *p = o->hostname_override; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        return 0;
}

int kc_proxy_options_parse(struct kc_proxy_options *o, int argc, char **argv, struct kc_error *err)
{
        set_defaults(o);
        const struct kc_flag flags[] = {
            {"config", 0, KC_FLAG_STRING, &o->config, "the configuration file", "Misc"},
            {"kubeconfig", 0, KC_FLAG_STRING, &o->kubeconfig, "path to a kubeconfig file", "Misc"},
            {"hostname-override", 0, KC_FLAG_STRING, &o->hostname_override, "name of this node", "Misc"},
            {"bind-address", 0, KC_FLAG_STRING, &o->bind_address, "the node's primary address", "Misc"},
            {"proxy-mode", 0, KC_FLAG_STRING, &o->proxy_mode, "nftables", "Misc"},
            {"cluster-cidr", 0, KC_FLAG_STRING, &o->cluster_cidr, "the pods' addresses, one prefix a family", "Misc"},
            {"healthz-bind-address", 0, KC_FLAG_STRING, &o->healthz_bind_address, "address of /healthz", "Misc"},
            {"metrics-bind-address", 0, KC_FLAG_STRING, &o->metrics_bind_address, "address of /metrics", "Misc"},
            {"nodeport-addresses", 0, KC_FLAG_STRV, &o->nodeport_addresses,
                "prefixes whose addresses on this node serve node ports; or primary", "Misc"},
            {"masquerade-all", 0, KC_FLAG_BOOL, &o->masquerade_all, "masquerade all traffic to Services", "Misc"},
            {"iptables-masquerade-bit", 0, KC_FLAG_INT, &o->masquerade_bit, "bit of the packet mark", "Misc"},
            {"iptables-min-sync-period", 0, KC_FLAG_DURATION, &o->min_sync_period, "least time between writes", "Misc"},
            {"iptables-sync-period", 0, KC_FLAG_DURATION, &o->sync_period, "time between full writes", "Misc"},
            {"conntrack-max-per-core", 0, KC_FLAG_INT, &o->conntrack_max_per_core, "flows tracked per core", "Misc"},
            {"conntrack-min", 0, KC_FLAG_INT, &o->conntrack_min, "least number of flows tracked", "Misc"},
            {"conntrack-tcp-timeout-established", 0, KC_FLAG_DURATION, &o->conntrack_established,
                "idle time of established connections", "Misc"},
            {"conntrack-tcp-timeout-close-wait", 0, KC_FLAG_DURATION, &o->conntrack_close_wait, "time in CLOSE_WAIT",
                "Misc"},
            {"cleanup", 0, KC_FLAG_BOOL, &o->cleanup, "remove the rules and quit", "Misc"},
            KC_DAEMON_FLAGS(&o->common),
        };
        int rc = kc_daemon_parse("kube-proxy", "Programs the node's packet filter for Services.", flags,
            KC_ARRAY_LEN(flags), argc, argv, &o->common, err);
        if (rc != 0)
                return rc;
        rc = load_config(o, flags, err);
        if (rc == 0)
                rc = validate(o, err);
        return rc == 0 ? resolve_hostname(o, err) : rc;
}

void kc_proxy_options_done(struct kc_proxy_options *o)
{
        kc_free(o->config);
        kc_free(o->kubeconfig);
        kc_free(o->hostname_override);
        kc_free(o->bind_address);
        kc_free(o->proxy_mode);
        kc_free(o->cluster_cidr);
        kc_free(o->healthz_bind_address);
        kc_free(o->metrics_bind_address);
        kc_strv_free(o->nodeport_addresses);
        kc_daemon_flags_done(&o->common);
}

int kc_proxy_split_address(const char *address, char **ret_host, int *ret_port, struct kc_error *err)
{
        const char *colon = strrchr(address, ':');
        int64_t port;

        if (!colon || kc_str_to_i64(colon + 1, &port) < 0 || port < 0 || port > 65535)
                return kc_error_set(err, EINVAL, "\"%s\" is not an address and port", address);
        bool bracket = *address == '[' && colon > address && colon[-1] == ']';
        *ret_host = kc_strndup(address + bracket, (size_t)(colon - address) - 2 * (size_t)bracket);
        *ret_port = (int)port;
        return 0;
}

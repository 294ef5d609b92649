/* Options of kube-controller-manager. */
#include "controller-manager/options.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/ip.h"
#include "base/str.h"

#define YEAR (365 * 24 * 3600 * KC_SEC)

static void set_defaults(struct kc_cm_options *o)
{
        *o = (struct kc_cm_options){
            .node_monitor_period = 5 * KC_SEC,
            .node_monitor_grace_period = 50 * KC_SEC,
            .node_startup_grace_period = 60 * KC_SEC,
            .node_eviction_rate = 0.1,
            .secondary_node_eviction_rate = 0.01,
            .unhealthy_zone_threshold = 0.55,
            .large_cluster_size_threshold = 50,
            .terminated_pod_gc_threshold = 12500,
            .concurrent_deployment_syncs = 5,
            .concurrent_replicaset_syncs = 5,
            .concurrent_rc_syncs = 5,
            .concurrent_daemonset_syncs = 2,
            .concurrent_endpoint_syncs = 5,
            .concurrent_service_endpoint_syncs = 5,
            .concurrent_namespace_syncs = 10,
            .concurrent_serviceaccount_syncs = 5,
            .concurrent_gc_syncs = 20,
            .concurrent_resource_quota_syncs = 5,
            .resource_quota_sync_period = 5 * 60 * KC_SEC,
            .max_endpoints_per_slice = 100,
            .signing_duration = YEAR,
            .legacy_token_clean_up_period = YEAR,
        };
        kc_component_defaults(&o->component, 10257, "kube-controller-manager");
}

static int validate_cidrs(const char *flag, const char *list, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **v = kc_strv_split(list ? list : "", ',');
        struct kc_cidr c;

        for (size_t i = 0; v && v[i]; i++)
                if (kc_cidr_parse(v[i], &c, NULL) < 0)
                        return kc_error_set(err, EINVAL, "--%s: \"%s\" is not a CIDR", flag, v[i]);
        if (kc_strv_len(v) > 2)
                return kc_error_set(err, EINVAL, "--%s: at most one CIDR for each address family", flag);
        return 0;
}

static bool in_pair(const struct kc_cm_signing *s)
{
        return kc_str_empty(s->cert_file) == kc_str_empty(s->key_file);
}

static int validate_signing(const struct kc_cm_options *o, struct kc_error *err)
{
        static const char *const names[KC_N_SIGNERS] = {
            "kubelet-serving", "kubelet-client", "kube-apiserver-client", "legacy-unknown"};
        for (size_t i = 0; i < KC_N_SIGNERS; i++) {
                const struct kc_cm_signing *s = &o->signing[i];
                if (!in_pair(s))
                        return kc_error_set(err, EINVAL,
                            "cannot specify only one of --cluster-signing-%s-cert-file and "
                            "--cluster-signing-%s-key-file",
                            names[i], names[i]);
                if (s->cert_file && (o->signing_default.cert_file || o->signing_default.key_file))
                        return kc_error_set(err, EINVAL,
                            "cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags "
                            "at the same time");
        }
        if (!in_pair(&o->signing_default))
                return kc_error_set(err, EINVAL,
                    "cannot specify only one of --cluster-signing-cert-file and --cluster-signing-key-file");
        return 0;
}

static int validate(const struct kc_cm_options *o, struct kc_error *err)
{
        int rc = validate_cidrs("cluster-cidr", o->cluster_cidr, err);
        if (rc == 0)
                rc = validate_cidrs("service-cluster-ip-range", o->service_cluster_ip_range, err);
        if (rc < 0)
                return rc;
        rc = validate_signing(o, err);
        if (rc < 0)
                return rc;
        if (o->allocate_node_cidrs && kc_str_empty(o->cluster_cidr))
                return kc_error_set(err, EINVAL, "--allocate-node-cidrs needs --cluster-cidr");
        if (o->max_endpoints_per_slice < 1 || o->max_endpoints_per_slice > 1000)
                return kc_error_set(
                    err, EINVAL, "--max-endpoints-per-slice: %d must be within 1..1000", o->max_endpoints_per_slice);
        return kc_component_validate(&o->component, err);
}

/* --- flags: a table for each part, and all of them in one */

struct flag_table {
        struct kc_flag rows[96];
        size_t n;
};

static void add_rows(struct flag_table *t, const struct kc_flag *rows, size_t n)
{
        memcpy(&t->rows[t->n], rows, n * sizeof(*rows));
        t->n += n;
}

static void add_generic_flags(struct kc_cm_options *o, struct flag_table *t)
{
        const struct kc_flag rows[] = {
            {"controllers", 0, KC_FLAG_STRV, &o->controllers, "controllers to run: '*', 'name', '-name'", "Generic"},
            {"cluster-name", 0, KC_FLAG_IGNORED, NULL, "accepted for compatibility", "Generic"},
            {"terminated-pod-gc-threshold", 0, KC_FLAG_INT, &o->terminated_pod_gc_threshold, "ended pods that are kept",
                "Pods"},
            {"resource-quota-sync-period", 0, KC_FLAG_DURATION, &o->resource_quota_sync_period,
                "time after which a quota is counted anew", "Quotas"},
            {"max-endpoints-per-slice", 0, KC_FLAG_INT, &o->max_endpoints_per_slice, "endpoints in one slice",
                "Endpoints"},
            KC_COMPONENT_FLAGS(&o->component),
        };
        add_rows(t, rows, KC_ARRAY_LEN(rows));
}

static void add_node_flags(struct kc_cm_options *o, struct flag_table *t)
{
        const struct kc_flag rows[] = {
            {"allocate-node-cidrs", 0, KC_FLAG_BOOL, &o->allocate_node_cidrs, "give each node a pod CIDR", "Nodes"},
            {"cluster-cidr", 0, KC_FLAG_STRING, &o->cluster_cidr, "pods' addresses, one prefix a family", "Nodes"},
            {"service-cluster-ip-range", 0, KC_FLAG_STRING, &o->service_cluster_ip_range, "Services' addresses",
                "Nodes"},
            {"node-cidr-mask-size", 0, KC_FLAG_INT, &o->node_cidr_mask_size, "size of a node's pod CIDR", "Nodes"},
            {"node-cidr-mask-size-ipv4", 0, KC_FLAG_INT, &o->node_cidr_mask_size_v4, "the same for IPv4", "Nodes"},
            {"node-cidr-mask-size-ipv6", 0, KC_FLAG_INT, &o->node_cidr_mask_size_v6, "the same for IPv6", "Nodes"},
            {"node-monitor-period", 0, KC_FLAG_DURATION, &o->node_monitor_period, "time between looks at nodes",
                "Nodes"},
            {"node-monitor-grace-period", 0, KC_FLAG_DURATION, &o->node_monitor_grace_period,
                "silence after which a node is unknown", "Nodes"},
            {"node-startup-grace-period", 0, KC_FLAG_DURATION, &o->node_startup_grace_period,
                "the same for a node that has just come", "Nodes"},
            {"node-eviction-rate", 0, KC_FLAG_DOUBLE, &o->node_eviction_rate, "nodes a second", "Nodes"},
            {"secondary-node-eviction-rate", 0, KC_FLAG_DOUBLE, &o->secondary_node_eviction_rate,
                "the same in an unhealthy zone", "Nodes"},
            {"unhealthy-zone-threshold", 0, KC_FLAG_DOUBLE, &o->unhealthy_zone_threshold,
                "share of not ready nodes that makes a zone unhealthy", "Nodes"},
            {"large-cluster-size-threshold", 0, KC_FLAG_INT, &o->large_cluster_size_threshold,
                "up to that size an unhealthy zone evicts nothing", "Nodes"},
        };
        add_rows(t, rows, KC_ARRAY_LEN(rows));
}

static void add_account_flags(struct kc_cm_options *o, struct flag_table *t)
{
        const struct kc_flag rows[] = {
            {"root-ca-file", 0, KC_FLAG_STRING, &o->root_ca_file, "CA published to namespaces", "Service accounts"},
            {"service-account-private-key-file", 0, KC_FLAG_STRING, &o->sa_private_key_file, "signs legacy tokens",
                "Service accounts"},
            {"use-service-account-credentials", 0, KC_FLAG_BOOL, &o->use_service_account_credentials,
                "each controller works as a service account of its own", "Service accounts"},
            {"legacy-service-account-token-clean-up-period", 0, KC_FLAG_DURATION, &o->legacy_token_clean_up_period,
                "how long a token secret that nobody uses is kept", "Service accounts"},
        };
        add_rows(t, rows, KC_ARRAY_LEN(rows));
}

static void add_certificate_flags(struct kc_cm_options *o, struct flag_table *t)
{
        const struct kc_flag rows[] = {
            {"cluster-signing-cert-file", 0, KC_FLAG_STRING, &o->signing_default.cert_file,
                "CA of signers without a CA of their own", "Certificates"},
            {"cluster-signing-key-file", 0, KC_FLAG_STRING, &o->signing_default.key_file, "its key", "Certificates"},
            {"cluster-signing-kubelet-serving-cert-file", 0, KC_FLAG_STRING,
                &o->signing[KC_SIGNING_KUBELET_SERVING].cert_file, "CA of kubernetes.io/kubelet-serving",
                "Certificates"},
            {"cluster-signing-kubelet-serving-key-file", 0, KC_FLAG_STRING,
                &o->signing[KC_SIGNING_KUBELET_SERVING].key_file, "its key", "Certificates"},
            {"cluster-signing-kubelet-client-cert-file", 0, KC_FLAG_STRING,
                &o->signing[KC_SIGNING_KUBELET_CLIENT].cert_file, "CA of kubernetes.io/kube-apiserver-client-kubelet",
                "Certificates"},
            {"cluster-signing-kubelet-client-key-file", 0, KC_FLAG_STRING,
                &o->signing[KC_SIGNING_KUBELET_CLIENT].key_file, "its key", "Certificates"},
            {"cluster-signing-kube-apiserver-client-cert-file", 0, KC_FLAG_STRING,
                &o->signing[KC_SIGNING_API_CLIENT].cert_file, "CA of kubernetes.io/kube-apiserver-client",
                "Certificates"},
            {"cluster-signing-kube-apiserver-client-key-file", 0, KC_FLAG_STRING,
                &o->signing[KC_SIGNING_API_CLIENT].key_file, "its key", "Certificates"},
            {"cluster-signing-legacy-unknown-cert-file", 0, KC_FLAG_STRING, &o->signing[KC_SIGNING_LEGACY].cert_file,
                "CA of kubernetes.io/legacy-unknown", "Certificates"},
            {"cluster-signing-legacy-unknown-key-file", 0, KC_FLAG_STRING, &o->signing[KC_SIGNING_LEGACY].key_file,
                "its key", "Certificates"},
            {"cluster-signing-duration", 0, KC_FLAG_DURATION, &o->signing_duration,
                "how long a certificate lives at most", "Certificates"},
        };
        add_rows(t, rows, KC_ARRAY_LEN(rows));
}

static void add_worker_flags(struct kc_cm_options *o, struct flag_table *t)
{
        const struct kc_flag rows[] = {
            {"concurrent-deployment-syncs", 0, KC_FLAG_INT, &o->concurrent_deployment_syncs, "workers", "Workers"},
            {"concurrent-replicaset-syncs", 0, KC_FLAG_INT, &o->concurrent_replicaset_syncs, "workers", "Workers"},
            {"concurrent-rc-syncs", 0, KC_FLAG_INT, &o->concurrent_rc_syncs, "workers", "Workers"},
            {"concurrent-daemonset-syncs", 0, KC_FLAG_INT, &o->concurrent_daemonset_syncs, "workers", "Workers"},
            {"concurrent-endpoint-syncs", 0, KC_FLAG_INT, &o->concurrent_endpoint_syncs, "workers", "Workers"},
            {"concurrent-service-endpoint-syncs", 0, KC_FLAG_INT, &o->concurrent_service_endpoint_syncs, "workers",
                "Workers"},
            {"concurrent-namespace-syncs", 0, KC_FLAG_INT, &o->concurrent_namespace_syncs, "workers", "Workers"},
            {"concurrent-serviceaccount-token-syncs", 0, KC_FLAG_INT, &o->concurrent_serviceaccount_syncs, "workers",
                "Workers"},
            {"concurrent-gc-syncs", 0, KC_FLAG_INT, &o->concurrent_gc_syncs, "workers", "Workers"},
            {"concurrent-resource-quota-syncs", 0, KC_FLAG_INT, &o->concurrent_resource_quota_syncs, "workers",
                "Workers"},
        };
        add_rows(t, rows, KC_ARRAY_LEN(rows));
}

int kc_cm_options_parse(struct kc_cm_options *o, int argc, char **argv, struct kc_error *err)
{
        static void (*const parts[])(struct kc_cm_options * o, struct flag_table * t) = {
            add_generic_flags, add_node_flags, add_account_flags, add_certificate_flags, add_worker_flags};
        struct flag_table t = {.n = 0};
        set_defaults(o);
        for (size_t i = 0; i < KC_ARRAY_LEN(parts); i++)
                parts[i](o, &t);
        int rc =
            kc_daemon_parse("kube-controller-manager", "Runs the control loops that bring the cluster to its specs.",
                t.rows, t.n, argc, argv, &o->component.common, err);
        return rc != 0 ? rc : validate(o, err);
}

void kc_cm_options_done(struct kc_cm_options *o)
{
        kc_component_options_done(&o->component);
        kc_free(o->cluster_cidr);
        kc_free(o->service_cluster_ip_range);
        kc_free(o->root_ca_file);
        kc_free(o->sa_private_key_file);
        kc_free(o->signing_default.cert_file);
        kc_free(o->signing_default.key_file);
        for (size_t i = 0; i < KC_N_SIGNERS; i++) {
                kc_free(o->signing[i].cert_file);
                kc_free(o->signing[i].key_file);
        }
        kc_strv_free(o->controllers);
}

static bool listed(char *const *controllers, const char *sign, const char *name)
{
        KC_CLEANUP(kc_freep) char *entry = kc_asprintf("%s%s", sign, name ? name : "");
        return name && kc_strv_has(controllers, entry);
}

bool kc_cm_enabled(const struct kc_cm_options *o, const char *name, const char *alias, bool disabled_by_default)
{
        bool star = kc_strv_len(o->controllers) == 0 || kc_strv_has(o->controllers, "*");

        if (listed(o->controllers, "-", name) || listed(o->controllers, "-", alias))
                return false;
        return listed(o->controllers, "", name) || listed(o->controllers, "", alias) || (star && !disabled_by_default);
}

/* Flags and the KubeletConfiguration file, from one table. Used before threads start. */
#include "kubelet/config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

/* One setting: its flag, where it is in the file, and in the struct. */
struct setting {
        const char *flag; /* NULL: only in the file */
        const char *path; /* NULL: only a flag */
        enum kc_flag_kind kind;
        size_t offset;
        const char *help, *section;
};

#define F(member) offsetof(struct kc_kubelet_config, member)
static const struct setting settings[] = {
    {"kubeconfig", NULL, KC_FLAG_STRING, F(kubeconfig), "kubeconfig of the API server; none: standalone", "Files"},
    {"config", NULL, KC_FLAG_STRING, F(config_file), "KubeletConfiguration file", "Files"},
    {"bootstrap-kubeconfig", NULL, KC_FLAG_STRING, F(bootstrap_kubeconfig), "used while --kubeconfig does not exist",
        "Files"},
    {"root-dir", NULL, KC_FLAG_STRING, F(root_dir), "directory of volumes and other state", "Files"},
    {"cert-dir", NULL, KC_FLAG_STRING, F(cert_dir), "directory of serving certificates made when none is given",
        "Files"},
    {"pod-manifest-path", "staticPodPath", KC_FLAG_STRING, F(pod_manifest_path), "static pods: a directory or file",
        "Files"},
    {"container-log-dir", NULL, KC_FLAG_STRING, F(container_logs_dir), "links to container logs, for collectors",
        "Files"},
    {"pod-logs-dir", "podLogsDir", KC_FLAG_STRING, F(pod_logs_dir), "directory of pod logs", "Files"},
    {"container-runtime-endpoint", "containerRuntimeEndpoint", KC_FLAG_STRING, F(container_runtime_endpoint),
        "CRI socket of the runtime", "Runtime"},
    {"image-service-endpoint", "imageServiceEndpoint", KC_FLAG_STRING, F(image_service_endpoint),
        "CRI socket of the image service; as the runtime's", "Runtime"},
    {"runtime-request-timeout", "runtimeRequestTimeout", KC_FLAG_DURATION, F(runtime_request_timeout),
        "time limit of CRI calls", "Runtime"},
    {"cni-conf-dir", NULL, KC_FLAG_STRING, F(cni_conf_dir),
        "where the CNI configuration for the node's pod CIDR is written", "Network"},
    {"resolv-conf", "resolvConf", KC_FLAG_STRING, F(resolv_conf), "base of containers' DNS configuration", "Network"},
    {"cluster-dns", "clusterDNS", KC_FLAG_STRV, F(cluster_dns), "addresses of the cluster's DNS", "Network"},
    {"cluster-domain", "clusterDomain", KC_FLAG_STRING, F(cluster_domain), "DNS domain of the cluster", "Network"},
    {"hostname-override", NULL, KC_FLAG_STRING, F(hostname_override), "name of the node instead of the hostname",
        "Node"},
    {"node-ip", NULL, KC_FLAG_STRING, F(node_ip), "address(es) of the node", "Node"},
    {"node-labels", NULL, KC_FLAG_MAP, F(node_labels), "labels of the node when it registers", "Node"},
    {"register-with-taints", NULL, KC_FLAG_STRV, F(register_with_taints), "key=value:effect taints at registration",
        "Node"},
    {"register-node", "registerNode", KC_FLAG_BOOL, F(register_node), "register the node", "Node"},
    {"register-schedulable", NULL, KC_FLAG_BOOL, F(register_schedulable), "register the node as schedulable", "Node"},
    {"node-status-update-frequency", "nodeStatusUpdateFrequency", KC_FLAG_DURATION, F(node_status_update_frequency),
        "how often the node's state is computed", "Node"},
    {NULL, "nodeStatusReportFrequency", KC_FLAG_DURATION, F(node_status_report_frequency), NULL, "Node"},
    {NULL, "nodeLeaseDurationSeconds", KC_FLAG_INT, F(node_lease_duration_seconds), NULL, "Node"},
    {"max-pods", "maxPods", KC_FLAG_INT, F(max_pods), "pods that can run on the node", "Node"},
    {"pods-per-core", "podsPerCore", KC_FLAG_INT, F(pods_per_core), "pods for each core; 0: no limit", "Node"},
    {"kube-reserved", "kubeReserved", KC_FLAG_MAP, F(kube_reserved), "cpu=..,memory=.. kept for daemons", "Node"},
    {"system-reserved", "systemReserved", KC_FLAG_MAP, F(system_reserved), "cpu=..,memory=.. kept for the system",
        "Node"},
    {"eviction-hard", "evictionHard", KC_FLAG_MAP, F(eviction_hard), "signal<quantity thresholds", "Node"},
    {"address", "address", KC_FLAG_STRING, F(address), "address to serve on", "Server"},
    {"port", "port", KC_FLAG_INT, F(port), "HTTPS port", "Server"},
    {"healthz-bind-address", "healthzBindAddress", KC_FLAG_STRING, F(healthz_bind_address), "address of healthz",
        "Server"},
    {"healthz-port", "healthzPort", KC_FLAG_INT, F(healthz_port), "port of healthz; 0: off", "Server"},
    {"tls-cert-file", "tlsCertFile", KC_FLAG_STRING, F(tls_cert_file), "serving certificate", "Server"},
    {"tls-private-key-file", "tlsPrivateKeyFile", KC_FLAG_STRING, F(tls_private_key_file), "its key", "Server"},
    {"tls-min-version", "tlsMinVersion", KC_FLAG_STRING, F(tls_min_version), "VersionTLS12 or VersionTLS13", "Server"},
    {"tls-cipher-suites", "tlsCipherSuites", KC_FLAG_STRV, F(tls_cipher_suites), "TLS 1.2 suites", "Server"},
    {"client-ca-file", "authentication.x509.clientCAFile", KC_FLAG_STRING, F(client_ca_file), "CA of clients",
        "Server"},
    {"anonymous-auth", "authentication.anonymous.enabled", KC_FLAG_BOOL, F(anonymous_auth),
        "let requests without credentials in", "Server"},
    {"authentication-token-webhook", "authentication.webhook.enabled", KC_FLAG_BOOL, F(authentication_token_webhook),
        "check bearer tokens by TokenReview", "Server"},
    {"authentication-token-webhook-cache-ttl", "authentication.webhook.cacheTTL", KC_FLAG_DURATION, F(token_cache_ttl),
        "how long the answers to TokenReviews are kept", "Server"},
    {"authorization-webhook-cache-authorized-ttl", "authorization.webhook.cacheAuthorizedTTL", KC_FLAG_DURATION,
        F(authorized_cache_ttl), "how long a yes to a SubjectAccessReview is kept", "Server"},
    {"authorization-webhook-cache-unauthorized-ttl", "authorization.webhook.cacheUnauthorizedTTL", KC_FLAG_DURATION,
        F(unauthorized_cache_ttl), "how long a no is kept", "Server"},
    {"enable-debugging-handlers", "enableDebuggingHandlers", KC_FLAG_BOOL, F(enable_debugging_handlers),
        "serve logs, exec, attach, run and port-forward", "Server"},
    {"rotate-certificates", "rotateCertificates", KC_FLAG_BOOL, F(rotate_certificates),
        "renew the client certificate before it expires", "Server"},
    {"rotate-server-certificates", "serverTLSBootstrap", KC_FLAG_BOOL, F(server_tls_bootstrap),
        "ask the API server for the serving certificate, and renew it", "Server"},
    {"authorization-mode", "authorization.mode", KC_FLAG_STRING, F(authorization_mode), "Webhook or AlwaysAllow",
        "Server"},
    {"cgroup-driver", "cgroupDriver", KC_FLAG_STRING, F(cgroup_driver), "cgroupfs or systemd", "Pods"},
    {"cgroup-root", "cgroupRoot", KC_FLAG_STRING, F(cgroup_root), "cgroup above kubepods", "Pods"},
    {"cgroups-per-qos", "cgroupsPerQOS", KC_FLAG_BOOL, F(cgroups_per_qos), "a cgroup for each QoS class and pod",
        "Pods"},
    {"cpu-cfs-quota", "cpuCFSQuota", KC_FLAG_BOOL, F(cpu_cfs_quota), "enforce CPU limits", "Pods"},
    {"cpu-cfs-quota-period", "cpuCFSQuotaPeriod", KC_FLAG_DURATION, F(cpu_cfs_quota_period), "their period", "Pods"},
    {"seccomp-default", "seccompDefault", KC_FLAG_BOOL, F(seccomp_default), "RuntimeDefault where no profile is given",
        "Pods"},
    {"fail-swap-on", "failSwapOn", KC_FLAG_BOOL, F(fail_swap_on), "refuse to start with swap on", "Pods"},
    {"serialize-image-pulls", "serializeImagePulls", KC_FLAG_BOOL, F(serialize_image_pulls), "pull one image at a time",
        "Pods"},
    {NULL, "maxParallelImagePulls", KC_FLAG_INT, F(max_parallel_image_pulls), NULL, "Pods"},
    {"registry-qps", "registryPullQPS", KC_FLAG_DOUBLE, F(registry_qps), "pulls per second", "Pods"},
    {"registry-burst", "registryBurst", KC_FLAG_INT, F(registry_burst), "burst of pulls", "Pods"},
    {NULL, "crashLoopBackOff.maxContainerRestartPeriod", KC_FLAG_DURATION, F(max_container_restart_period), NULL,
        "Pods"},
    {"sync-frequency", "syncFrequency", KC_FLAG_DURATION, F(sync_frequency), "longest time between looks at a pod",
        "Pods"},
    {"streaming-connection-idle-timeout", "streamingConnectionIdleTimeout", KC_FLAG_DURATION,
        F(streaming_connection_idle_timeout), "exec, attach and port-forward without a byte for so long are ended",
        "Serving"},
    {"file-check-frequency", "fileCheckFrequency", KC_FLAG_DURATION, F(file_check_frequency), "static pods", "Pods"},
    {"maximum-dead-containers-per-container", NULL, KC_FLAG_INT, F(max_dead_containers_per_container),
        "ended instances kept of each container", "Garbage"},
    {"minimum-container-ttl-duration", NULL, KC_FLAG_DURATION, F(minimum_container_ttl), "age of ended containers",
        "Garbage"},
    {"image-gc-high-threshold", "imageGCHighThresholdPercent", KC_FLAG_INT, F(image_gc_high), "percent of disk",
        "Garbage"},
    {"image-gc-low-threshold", "imageGCLowThresholdPercent", KC_FLAG_INT, F(image_gc_low), "percent of disk",
        "Garbage"},
    {"minimum-image-ttl-duration", "imageMinimumGCAge", KC_FLAG_DURATION, F(minimum_image_ttl), "age of images",
        "Garbage"},
    {NULL, "imageMaximumGCAge", KC_FLAG_DURATION, F(image_maximum_gc_age), NULL, "Garbage"},
    {"container-log-max-size", "containerLogMaxSize", KC_FLAG_STRING, F(container_log_max_size), "before rotation",
        "Garbage"},
    {"container-log-max-files", "containerLogMaxFiles", KC_FLAG_INT, F(container_log_max_files), "kept files",
        "Garbage"},
    {NULL, "containerLogMonitorInterval", KC_FLAG_DURATION, F(container_log_monitor_interval), NULL, "Garbage"},
    {"kube-api-qps", "kubeAPIQPS", KC_FLAG_DOUBLE, F(kube_api_qps), "requests per second to the API server", "API"},
    {"kube-api-burst", "kubeAPIBurst", KC_FLAG_INT, F(kube_api_burst), "burst of them", "API"},
};
#undef F

/* Accepted for compatibility: set by common installers, of no effect here. */
static const char *const ignored[] = {"container-runtime", "pod-infra-container-image", "network-plugin",
    "cloud-provider", "protect-kernel-defaults", "v-module", "make-iptables-util-chains", "kernel-memcg-notification",
    "enable-server", "event-qps", "event-burst", "enforce-node-allocatable", "topology-manager-policy",
    "cpu-manager-policy", "provider-id", "hairpin-mode", "pod-cidr", "runtime-cgroups", "kubelet-cgroups",
    "system-cgroups"};

static void *at(struct kc_kubelet_config *c, const struct setting *s)
{
        return (char *)c + s->offset;
}

void kc_kubelet_config_defaults(struct kc_kubelet_config *c)
{
        *c = (struct kc_kubelet_config){.register_node = true,
            .register_schedulable = true,
            .port = 10250,
            .healthz_port = 10248,
            .authentication_token_webhook = true,
            .enable_debugging_handlers = true,
            .token_cache_ttl = 120 * KC_SEC,
            .authorized_cache_ttl = 300 * KC_SEC,
            .unauthorized_cache_ttl = 30 * KC_SEC,
            .cgroups_per_qos = true,
            .cpu_cfs_quota = true,
            .serialize_image_pulls = true,
            .cpu_cfs_quota_period = 100 * KC_MSEC,
            .max_pods = 110,
            .registry_qps = 5,
            .registry_burst = 10,
            .max_container_restart_period = 300 * KC_SEC,
            .runtime_request_timeout = 120 * KC_SEC,
            .streaming_connection_idle_timeout = 4 * 3600 * KC_SEC,
            .sync_frequency = 60 * KC_SEC,
            .file_check_frequency = 20 * KC_SEC,
            .node_status_update_frequency = 10 * KC_SEC,
            .node_status_report_frequency = 300 * KC_SEC,
            .node_lease_duration_seconds = 40,
            .max_dead_containers_per_container = 1,
            .image_gc_high = 85,
            .image_gc_low = 80,
            .minimum_image_ttl = 120 * KC_SEC,
            .container_log_max_files = 5,
            .container_log_monitor_interval = 10 * KC_SEC,
            .kube_api_qps = 50,
            .kube_api_burst = 100,
            .fail_swap_on = true,
            .pod_workers = 32};
        static const struct {
                size_t offset;
                const char *value;
        } strings[] = {
            {offsetof(struct kc_kubelet_config, root_dir), "/var/lib/kubelet"},
            {offsetof(struct kc_kubelet_config, cert_dir), "/var/lib/kubelet/pki"},
            {offsetof(struct kc_kubelet_config, pod_logs_dir), "/var/log/pods"},
            {offsetof(struct kc_kubelet_config, container_logs_dir), "/var/log/containers"},
            {offsetof(struct kc_kubelet_config, container_runtime_endpoint), "unix:///run/containerd/containerd.sock"},
            {offsetof(struct kc_kubelet_config, cni_conf_dir), "/etc/cni/net.d"},
            {offsetof(struct kc_kubelet_config, resolv_conf), "/etc/resolv.conf"},
            {offsetof(struct kc_kubelet_config, address), "0.0.0.0"},
            {offsetof(struct kc_kubelet_config, healthz_bind_address), "127.0.0.1"},
            {offsetof(struct kc_kubelet_config, authorization_mode), "Webhook"},
            {offsetof(struct kc_kubelet_config, cluster_domain), "cluster.local"},
            {offsetof(struct kc_kubelet_config, cgroup_driver), "cgroupfs"},
            {offsetof(struct kc_kubelet_config, cgroup_root), "/"},
            {offsetof(struct kc_kubelet_config, container_log_max_size), "10Mi"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(strings); i++)
                *(char **)((char *)c + strings[i].offset) = kc_strdup(strings[i].value);
        static const char *const eviction[] = {"memory.available=100Mi", "nodefs.available=10%", "nodefs.inodesFree=5%",
            "imagefs.available=15%", "imagefs.inodesFree=5%"};
        for (size_t i = 0; i < KC_ARRAY_LEN(eviction); i++)
                kc_strv_push(&c->eviction_hard, eviction[i]);
}

void kc_kubelet_config_done(struct kc_kubelet_config *c)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(settings); i++) {
                if (settings[i].kind == KC_FLAG_STRING)
                        kc_free(*(char **)at(c, &settings[i]));
                else if (settings[i].kind == KC_FLAG_STRV || settings[i].kind == KC_FLAG_MAP)
                        kc_strv_free(*(char ***)at(c, &settings[i]));
        }
        kc_daemon_flags_done(&c->common);
        *c = (struct kc_kubelet_config){0};
}

static int wrong_type(const struct setting *s, const char *want, struct kc_error *err)
{
        return kc_error_set(err, EINVAL, "KubeletConfiguration field %s: want %s", s->path, want);
}

static int take_list(char ***v, const struct json_object *value, bool map)
{
        char **list = NULL;
        if (map) {
                KC_JSON_FOREACH(value, key, item)
                kc_strv_pushf(&list, "%s=%s", key, kc_json_as_str(item) ?: "");
        } else {
                for (size_t i = 0; i < kc_json_len(value); i++)
                        kc_strv_push(&list, kc_json_as_str(kc_json_idx(value, i)) ?: "");
        }
        kc_strv_free(*v);
        *v = list;
        return 0;
}

static int apply_one(void *p, const struct setting *s, const struct json_object *value, struct kc_error *err)
{
        json_type t = json_object_get_type((struct json_object *)value);
        const char *str = kc_json_as_str(value);
        switch (s->kind) {
        case KC_FLAG_STRING:
                if (!str)
                        return wrong_type(s, "a string", err);
                kc_str_set(p, str);
                return 0;
        case KC_FLAG_BOOL:
                if (t != json_type_boolean)
                        return wrong_type(s, "a boolean", err);
                *(bool *)p = json_object_get_boolean((struct json_object *)value);
                return 0;
        case KC_FLAG_INT:
                if (t != json_type_int)
                        return wrong_type(s, "an integer", err);
                *(int *)p = json_object_get_int((struct json_object *)value);
                return 0;
        case KC_FLAG_DOUBLE:
                if (t != json_type_int && t != json_type_double)
                        return wrong_type(s, "a number", err);
                *(double *)p = json_object_get_double((struct json_object *)value);
                return 0;
        case KC_FLAG_DURATION:
                return str && kc_duration_parse(str, p) == 0 ? 0 : wrong_type(s, "a duration such as \"10s\"", err);
        case KC_FLAG_STRV:
                return t == json_type_array ? take_list(p, value, false) : wrong_type(s, "a list of strings", err);
        case KC_FLAG_MAP:
                return t == json_type_object ? take_list(p, value, true) : wrong_type(s, "a map of strings", err);
        default:
                return 0;
        }
}

int kc_kubelet_config_apply(struct kc_kubelet_config *c, const struct json_object *file,
    bool (*given)(void *arg, const char *flag), void *arg, struct kc_error *err)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(settings); i++) {
                const struct setting *s = &settings[i];
                const struct json_object *value = s->path ? kc_json_at(file, s->path) : NULL;
                if (!value || (s->flag && given && given(arg, s->flag)))
                        continue;
                int r = apply_one(at(c, s), s, value, err);
                if (r < 0)
                        return r;
        }
        /* The file sets registration taints as objects. */
        const struct json_object *taints = kc_json_get(file, "registerWithTaints");
        for (size_t i = 0; i < kc_json_len(taints); i++) {
                const struct json_object *t = kc_json_idx(taints, i);
                kc_strv_pushf(&c->register_with_taints, "%s=%s:%s", kc_json_str(t, "key") ?: "",
                    kc_json_str(t, "value") ?: "", kc_json_str(t, "effect") ?: "");
        }
        return 0;
}

static bool flag_given(void *arg, const char *flag)
{
        return kc_flags_given(arg, flag);
}

static int check(const struct kc_kubelet_config *c, struct kc_error *err)
{
        if (!kc_streq(c->cgroup_driver, "cgroupfs") && !kc_streq(c->cgroup_driver, "systemd"))
                return kc_error_set(err, EINVAL,
                    "invalid configuration: cgroupDriver \"%s\" is not cgroupfs or systemd", c->cgroup_driver);
        if (c->max_pods < 0)
                return kc_error_set(err, EINVAL,
                    "invalid configuration: maxPods (--max-pods) %d must not be a negative number", c->max_pods);
        if (c->image_gc_low >= c->image_gc_high)
                return kc_error_set(err, EINVAL,
                    "invalid configuration: imageGCLowThresholdPercent (--image-gc-low-threshold) %d must be less than "
                    "imageGCHighThresholdPercent (--image-gc-high-threshold) %d",
                    c->image_gc_low, c->image_gc_high);
        if (c->container_log_max_files <= 1)
                return kc_error_set(err, EINVAL,
                    "invalid configuration: containerLogMaxFiles (--container-log-max-files) must be greater than 1");
        if (!kc_streq(c->authorization_mode, "Webhook") && !kc_streq(c->authorization_mode, "AlwaysAllow"))
                return kc_error_set(err, EINVAL, "unknown authorization mode %s", c->authorization_mode);
        return 0;
}

int kc_kubelet_config_parse(int argc, char **argv, struct kc_kubelet_config *ret, struct kc_error *err)
{
        static const char *const versions[] = {"kubelet.config.k8s.io/v1beta1", NULL};
        struct kc_kubelet_config *c = ret;
        kc_kubelet_config_defaults(c);
        static struct kc_flag flags[KC_ARRAY_LEN(settings) + KC_ARRAY_LEN(ignored) + 8];
        size_t n = 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(settings); i++) {
                const struct setting *s = &settings[i];
                if (s->flag)
                        flags[n++] = (struct kc_flag){s->flag, 0, s->kind, at(c, s), s->help, s->section};
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(ignored); i++)
                flags[n++] =
                    (struct kc_flag){ignored[i], 0, KC_FLAG_IGNORED, NULL, "accepted, of no effect", "Compatibility"};
        const struct kc_flag common[] = {KC_DAEMON_FLAGS(&c->common)};
        for (size_t i = 0; i < KC_ARRAY_LEN(common); i++)
                flags[n++] = common[i];
        int r = kc_daemon_parse("kubelet", "The node agent: runs the pods of one node through a CRI runtime.", flags, n,
            argc, argv, &c->common, err);
        if (r != 0)
                return r;
        if (!kc_str_empty(c->config_file)) {
                KC_CLEANUP(kc_json_freep) struct json_object *file = NULL;
                r = kc_component_config_load(c->config_file, versions, "KubeletConfiguration", &file, err);
                if (r == 0)
                        r = kc_kubelet_config_apply(c, file, flag_given, flags, err);
                if (r == 0)
                        r = kc_daemon_take_features(&c->common, kc_json_get(file, "featureGates"), err);
                if (r < 0)
                        return r;
        }
        return check(c, err);
}

/* "k=v" (eviction thresholds: "k<v") as an object. */
static void set_map(struct json_object *o, char *const *v)
{
        for (; v && *v; v++) {
                size_t len = strcspn(*v, "=<");
                KC_CLEANUP(kc_freep) char *key = kc_strndup(*v, len);
                kc_json_set_str(o, key, (*v)[len] ? *v + len + 1 : "");
        }
}

struct json_object *kc_kubelet_config_json(const struct kc_kubelet_config *c)
{
        struct json_object *o =
            kc_json_build("{'kind':'KubeletConfiguration','apiVersion':'kubelet.config.k8s.io/v1beta1'}");
        for (size_t i = 0; i < KC_ARRAY_LEN(settings); i++) {
                const struct setting *s = &settings[i];
                if (!s->path)
                        continue;
                const void *p = (const char *)c + s->offset;
                const char *dot = strrchr(s->path, '.');
                KC_CLEANUP(kc_freep) char *parent_path = dot ? kc_strndup(s->path, (size_t)(dot - s->path)) : NULL;
                struct json_object *parent = dot ? kc_json_ensure_obj(o, parent_path) : o;
                const char *key = dot ? dot + 1 : s->path;
                char buf[KC_TIME_LEN];
                if (s->kind == KC_FLAG_STRING)
                        kc_json_set_str(parent, key, *(char *const *)p);
                else if (s->kind == KC_FLAG_BOOL)
                        kc_json_set_bool(parent, key, *(const bool *)p);
                else if (s->kind == KC_FLAG_INT)
                        kc_json_set_int(parent, key, *(const int *)p);
                else if (s->kind == KC_FLAG_DOUBLE)
                        kc_json_set_int(parent, key, (int64_t) * (const double *)p);
                else if (s->kind == KC_FLAG_DURATION)
                        kc_json_set_str(parent, key, kc_duration_format(*(const int64_t *)p, buf));
                else if (s->kind == KC_FLAG_MAP)
                        set_map(kc_json_ensure_obj(parent, key), *(char **const *)p);
                else
                        for (char **v = *(char **const *)p; v && *v; v++)
                                kc_json_push_str(kc_json_ensure_arr(parent, key), *v);
        }
        return o;
}

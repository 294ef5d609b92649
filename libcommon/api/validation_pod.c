/* Pods and pod templates: the spec as a whole, and what holds when a pod is created. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath metadata = {.kind = KC_VPATH_CHILD, .key = "metadata"};
static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};

void kc_v_dns_config(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        enum { MAX_SERVERS = 3, MAX_SEARCHES = 32, MAX_SEARCH_CHARS = 2048 };
        const struct json_object *config = kc_json_get(spec, "dnsConfig");
        const struct json_object *servers = kc_json_get(config, "nameservers"),
                                 *searches = kc_json_get(config, "searches");
        if (kc_streq(kc_v_str(spec, "dnsPolicy"), "None")) {
                if (!config)
                        kc_v_required(v, p, "must provide `dnsConfig` when `dnsPolicy` is None");
                else if (kc_json_len(servers) == 0)
                        kc_v_required(v, V_CHILD(p, "nameservers"),
                            "must provide at least one DNS nameserver when `dnsPolicy` is None");
                if (!config || kc_json_len(servers) == 0)
                        return;
        }
        if (kc_json_len(servers) > MAX_SERVERS)
                kc_v_invalid(v, V_CHILD(p, "nameservers"), servers, "must not have more than 3 nameservers");
        for (size_t i = 0; i < kc_json_len(servers); i++) {
                const char *s = kc_json_as_str(kc_json_idx(servers, i));
                (void)kc_v_ip(v, V_INDEX(V_CHILD(p, "nameservers"), i), s ? s : ""); /* noted if invalid */
        }
        size_t chars = kc_json_len(searches) ? kc_json_len(searches) - 1 : 0;
        for (size_t i = 0; i < kc_json_len(searches); i++) {
                const char *s = kc_json_as_str(kc_json_idx(searches, i));
                chars += s ? strlen(s) : 0;
        }
        if (kc_json_len(searches) > MAX_SEARCHES)
                kc_v_invalid(v, V_CHILD(p, "searches"), searches, "must not have more than 32 search paths");
        if (chars > MAX_SEARCH_CHARS)
                kc_v_invalid(v, V_CHILD(p, "searches"), searches,
                    "must not have more than 2048 characters (including spaces) in the search list");
        for (size_t i = 0; i < kc_json_len(searches); i++) {
                const char *s = kc_json_as_str(kc_json_idx(searches, i));
                if (!s || kc_streq(s, "."))
                        continue;
                size_t n = strlen(s);
                KC_CLEANUP(kc_freep) char *name = kc_strndup(s, n && s[n - 1] == '.' ? n - 1 : n);
                kc_v_name(v, V_INDEX(V_CHILD(p, "searches"), i), name, kc_name_dns1123_subdomain_with_underscore);
        }
        const struct json_object *options = kc_json_get(config, "options");
        for (size_t i = 0; i < kc_json_len(options); i++) {
                if (!*kc_v_str(kc_json_idx(options, i), "name"))
                        kc_v_required(v, V_INDEX(V_CHILD(p, "options"), i), "must not be empty");
        }
}

static void host_network_ports(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const struct json_object *containers = kc_json_get(spec, "containers");
        if (!kc_json_bool(spec, "hostNetwork", false))
                return;
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                const struct json_object *ports = kc_json_get(kc_json_idx(containers, i), "ports");
                const struct kc_vpath *at = V_CHILD(V_INDEX(V_CHILD(p, "containers"), i), "ports");
                for (size_t j = 0; j < kc_json_len(ports); j++) {
                        int64_t host = kc_json_int(kc_json_idx(ports, j), "hostPort", 0);
                        int64_t port = kc_json_int(kc_json_idx(ports, j), "containerPort", 0);
                        if ((v->is_pod || host != 0) && host != port)
                                kc_v_invalid_int(v, V_CHILD(V_INDEX(at, j), "hostPort"), host,
                                    "must match `containerPort` when `hostNetwork` is true");
                }
        }
}

static void resource_claims(struct kc_v *v, const struct kc_vpath *p, const struct json_object *claims)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(claims); i++) {
                const struct json_object *c = kc_json_idx(claims, i);
                const struct kc_vpath *at = V_INDEX(p, i);
                const char *name = kc_v_str(c, "name"), *claim = kc_json_str(c, "resourceClaimName");
                const char *template = kc_json_str(c, "resourceClaimTemplateName");
                if (!*name)
                        kc_v_required(v, V_CHILD(at, "name"), "");
                else if (!kc_map_set(names, name, names))
                        kc_v_duplicate(v, V_CHILD(at, "name"), name);
                else
                        kc_v_name(v, V_CHILD(at, "name"), name, kc_name_dns1123_label);
                if (claim && template)
                        kc_v_invalid(v, at, c,
                            "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
                if (!claim && !template)
                        kc_v_invalid(v, at, c, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
                if (claim)
                        kc_v_name(v, V_CHILD(at, "resourceClaimName"), claim, kc_name_dns1123_subdomain);
                if (template)
                        kc_v_name(v, V_CHILD(at, "resourceClaimTemplateName"), template, kc_name_dns1123_subdomain);
        }
}

static void gates(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const struct json_object *readiness = kc_json_get(spec, "readinessGates");
        const struct json_object *scheduling = kc_json_get(spec, "schedulingGates");
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(readiness); i++)
                kc_v_name(v, V_CHILD(V_INDEX(V_CHILD(p, "readinessGates"), i), "conditionType"),
                    kc_v_str(kc_json_idx(readiness, i), "conditionType"), kc_name_label_key);
        for (size_t i = 0; i < kc_json_len(scheduling); i++) {
                const char *name = kc_v_str(kc_json_idx(scheduling, i), "name");
                const struct kc_vpath *at = V_INDEX(V_CHILD(p, "schedulingGates"), i);
                kc_v_name(v, at, name, kc_name_label_key);
                if (!kc_map_set(names, name, names))
                        kc_v_duplicate(v, at, name);
        }
}

static void host_users(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const char *const keys[][2] = {
            {"hostNetwork", "hostNetwork"}, {"hostPID", "HostPID"}, {"hostIPC", "HostIPC"}};
        if (kc_json_bool(spec, "hostUsers", true))
                return;
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++) {
                if (kc_json_bool(spec, keys[i][0], false))
                        kc_v_forbidden(v, V_CHILD(p, keys[i][1]), "when `pod.Spec.HostUsers` is false");
        }
}

static void host_aliases(struct kc_v *v, const struct kc_vpath *p, const struct json_object *aliases)
{
        for (size_t i = 0; i < kc_json_len(aliases); i++) {
                const struct json_object *names = kc_json_get(kc_json_idx(aliases, i), "hostnames");
                const struct kc_vpath *at = V_INDEX(p, i);
                (void)kc_v_ip(v, V_CHILD(at, "ip"), kc_v_str(kc_json_idx(aliases, i), "ip")); /* noted if invalid */
                for (size_t j = 0; j < kc_json_len(names); j++) {
                        const char *s = kc_json_as_str(kc_json_idx(names, j));
                        kc_v_name(v, V_INDEX(V_CHILD(at, "hostnames"), j), s ? s : "", kc_name_dns1123_subdomain);
                }
        }
}

void kc_v_preemption_policy(struct kc_v *v, const struct kc_vpath *p, const char *policy)
{
        static const char *const policies[] = {"PreemptLowerPriority", "Never", NULL};
        kc_v_enum(v, p, policy, policies);
}

/* Strings that are checked only where they are given, in upstream's order. */
static void names_of_spec(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const struct {
                const char *key;
                kc_name_fn check;
        } names[] = {{"serviceAccountName", kc_name_dns1123_subdomain}, {"nodeName", kc_name_dns1123_subdomain}};
        static const struct {
                const char *key;
                kc_name_fn check;
        } labels[] = {{"hostname", kc_name_dns1123_label}, {"subdomain", kc_name_dns1123_label}};
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++) {
                if (*kc_v_str(spec, names[i].key))
                        kc_v_name(v, V_CHILD(p, names[i].key), kc_v_str(spec, names[i].key), names[i].check);
        }
        int64_t deadline = kc_json_int(spec, "activeDeadlineSeconds", 1);
        if (deadline < 1 || deadline > INT32_MAX)
                kc_v_invalid_int(
                    v, V_CHILD(p, "activeDeadlineSeconds"), deadline, "must be between 1 and 2147483647, inclusive");
        for (size_t i = 0; i < KC_ARRAY_LEN(labels); i++) {
                if (*kc_v_str(spec, labels[i].key))
                        kc_v_name(v, V_CHILD(p, labels[i].key), kc_v_str(spec, labels[i].key), labels[i].check);
        }
}

static void overhead(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list)
{
        KC_CLEANUP(kc_json_freep) struct json_object *as_limits = NULL;
        if (!list)
                return;
        as_limits = json_object_new_object();
        kc_json_set(as_limits, "limits", kc_json_copy(list));
        kc_v_resources(v, p, as_limits, false, NULL);
}

static void spec_rest(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        const char *priority = kc_v_str(spec, "priorityClassName"), *runtime = kc_json_str(spec, "runtimeClassName");
        names_of_spec(v, p, spec);
        kc_v_tolerations(v, V_CHILD(p, "tolerations"), kc_json_get(spec, "tolerations"));
        host_aliases(v, V_CHILD(p, "hostAliases"), kc_json_get(spec, "hostAliases"));
        if (*priority)
                kc_v_name(v, V_CHILD(p, "priorityClassName"), priority, kc_name_dns1123_subdomain);
        if (runtime)
                kc_v_name(v, V_CHILD(p, "runtimeClassName"), runtime, kc_name_dns1123_subdomain);
        if (kc_json_get(spec, "preemptionPolicy"))
                kc_v_preemption_policy(v, V_CHILD(p, "preemptionPolicy"), kc_v_str(spec, "preemptionPolicy"));
        overhead(v, V_CHILD(p, "overhead"), kc_json_get(spec, "overhead"));
        kc_v_pod_os(v, p, spec);
}

void kc_v_pod_spec(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec)
{
        static const char *const restart_policies[] = {"Always", "OnFailure", "Never", NULL};
        static const char *const dns_policies[] = {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None", NULL};
        KC_CLEANUP(kc_map_freep) struct kc_map *volumes = kc_map_new(NULL);
        v->volumes = volumes;
        if (!kc_json_get(spec, "terminationGracePeriodSeconds"))
                kc_v_required(v, V_CHILD(p, "terminationGracePeriodSeconds"), "");
        kc_v_volumes(v, V_CHILD(p, "volumes"), kc_json_get(spec, "volumes"));
        resource_claims(v, V_CHILD(p, "resourceClaims"), kc_json_get(spec, "resourceClaims"));
        kc_v_containers(v, V_CHILD(p, "containers"), spec);
        kc_v_init_containers(v, V_CHILD(p, "initContainers"), spec);
        kc_v_ephemeral_containers(v, V_CHILD(p, "ephemeralContainers"), spec);
        kc_v_pod_resources(v, p, spec);
        host_network_ports(v, p, spec);
        kc_v_enum(v, V_CHILD(p, "restartPolicy"), kc_v_str(spec, "restartPolicy"), restart_policies);
        kc_v_enum(v, V_CHILD(p, "dnsPolicy"), kc_v_str(spec, "dnsPolicy"), dns_policies);
        kc_v_labels(v, V_CHILD(p, "nodeSelector"), kc_json_get(spec, "nodeSelector"));
        kc_v_pod_security_context(v, p, spec);
        kc_v_affinity(v, V_CHILD(p, "affinity"), kc_json_get(spec, "affinity"));
        kc_v_dns_config(v, V_CHILD(p, "dnsConfig"), spec);
        gates(v, p, spec);
        kc_v_topology_spread(
            v, V_CHILD(p, "topologySpreadConstraints"), kc_json_get(spec, "topologySpreadConstraints"));
        kc_v_windows_host_process(v, p, spec);
        host_users(v, p, spec);
        spec_rest(v, p, spec);
        v->volumes = NULL;
}

void kc_v_pod_template(struct kc_v *v, const struct kc_vpath *p, const struct json_object *template)
{
        const struct json_object *meta = kc_json_get(template, "metadata"), *spec = kc_json_get(template, "spec");
        const struct json_object *annotations = kc_json_get(meta, "annotations");
        kc_v_labels(v, V_CHILD(p, "labels"), kc_json_get(meta, "labels"));
        kc_v_annotations(v, V_CHILD(p, "annotations"), annotations);
        kc_v_pod_annotations(v, V_CHILD(p, "annotations"), annotations, spec);
        kc_v_pod_spec(v, V_CHILD(p, "spec"), spec);
        kc_v_profile_annotations(v, meta, V_CHILD(p, "spec"), spec);
        if (kc_json_len(kc_json_get(spec, "ephemeralContainers")) > 0)
                kc_v_forbidden(
                    v, V_CHILD2(p, "spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template");
}

/* A token is somebody's. */
static void tokens_without_account(struct kc_v *v, const struct json_object *spec)
{
        const struct json_object *volumes = kc_json_get(spec, "volumes");
        if (*kc_v_str(spec, "serviceAccountName"))
                return;
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *sources = kc_json_at(kc_json_idx(volumes, i), "projected.sources");
                const struct kc_vpath *at =
                    V_CHILD2(V_INDEX(V_CHILD(&spec_path, "volumes"), i), "projected", "sources");
                for (size_t j = 0; j < kc_json_len(sources); j++) {
                        if (kc_json_get(kc_json_idx(sources, j), "serviceAccountToken"))
                                kc_v_forbidden(v, V_CHILD(V_INDEX(at, j), "serviceAccountToken"),
                                    "must not be specified when serviceAccountName is not set");
                }
        }
}

void kc_v_pod_meta_and_spec(struct kc_v *v, const struct json_object *o)
{
        static const char *const lists[] = {"containers", "initContainers"};
        const struct json_object *spec = kc_json_get(o, "spec");
        v->is_pod = true;
        v->pod = o;
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        kc_v_pod_annotations(v, V_CHILD(&metadata, "annotations"), kc_json_at(o, "metadata.annotations"), spec);
        kc_v_pod_spec(v, &spec_path, spec);
        tokens_without_account(v, spec);
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++) {
                const struct json_object *list = kc_json_get(spec, lists[i]);
                for (size_t j = 0; j < kc_json_len(list); j++)
                        kc_v_container_image_for_pod(
                            v, V_INDEX(V_CHILD(&spec_path, lists[i]), j), kc_json_idx(list, j));
        }
}

void kc_v_create_pod(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *spec = kc_json_get(o, "spec");
        kc_v_pod_meta_and_spec(v, o);
        if (kc_json_len(kc_json_get(spec, "ephemeralContainers")) > 0)
                kc_v_forbidden(v, V_CHILD(&spec_path, "ephemeralContainers"), "cannot be set on create");
        if (*kc_v_str(spec, "nodeName") && kc_json_len(kc_json_get(spec, "schedulingGates")) > 0)
                kc_v_forbidden(
                    v, V_CHILD(&spec_path, "nodeName"), "cannot be set until all schedulingGates have been cleared");
        kc_v_profile_annotations(v, kc_json_get(o, "metadata"), &spec_path, spec);
}

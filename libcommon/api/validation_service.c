/* Services. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};
static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};

static const struct json_object *spec_of(const struct json_object *service)
{
        return kc_json_get(service, "spec");
}

static bool is_type(const struct json_object *service, const char *type)
{
        return strcmp(kc_v_str(spec_of(service), "type"), type) == 0;
}

static bool is_headless(const struct json_object *service)
{
        const struct json_object *ips = kc_json_get(spec_of(service), "clusterIPs");
        return kc_json_len(ips) == 1 && kc_streq(kc_json_as_str(kc_json_idx(ips, 0)), "None");
}

static bool externally_accessible(const struct json_object *service)
{
        return is_type(service, "LoadBalancer") || is_type(service, "NodePort") ||
               (is_type(service, "ClusterIP") && kc_json_len(kc_json_get(spec_of(service), "externalIPs")) > 0);
}

static bool needs_health_check(const struct json_object *service)
{
        return is_type(service, "LoadBalancer") &&
               strcmp(kc_v_str(spec_of(service), "externalTrafficPolicy"), "Local") == 0;
}

static const char *str_at(const struct json_object *list, size_t i)
{
        const char *s = kc_json_as_str(kc_json_idx(list, i));
        return s ? s : "";
}

static void external_name(struct kc_v *v, const struct json_object *spec)
{
        static const char *const unset[] = {"clusterIPs", "ipFamilies", "ipFamilyPolicy"};
        for (size_t i = 0; i < KC_ARRAY_LEN(unset); i++) {
                const struct json_object *value = kc_json_get(spec, unset[i]);
                if (kc_json_len(value) > 0 || kc_json_as_str(value))
                        kc_v_forbidden(v, V_CHILD(&spec_path, unset[i]), "may not be set for ExternalName services");
        }
        const char *name = kc_v_str(spec, "externalName");
        size_t n = strlen(name);
        KC_CLEANUP(kc_freep) char *cname = kc_strndup(name, n && name[n - 1] == '.' ? n - 1 : n);
        if (*cname)
                kc_v_name(v, V_CHILD(&spec_path, "externalName"), cname, kc_name_dns1123_subdomain);
        else
                kc_v_required(v, V_CHILD(&spec_path, "externalName"), "");
}

static void by_type(struct kc_v *v, const struct json_object *service)
{
        const struct json_object *spec = spec_of(service);
        const struct kc_vpath *first = V_INDEX(V_CHILD(&spec_path, "clusterIPs"), 0);
        if (is_type(service, "LoadBalancer") && is_headless(service))
                kc_v_invalid_str(v, first, "None", "may not be set to 'None' for LoadBalancer services");
        else if (is_type(service, "NodePort") && is_headless(service))
                kc_v_invalid_str(v, first, "None", "may not be set to 'None' for NodePort services");
        else if (is_type(service, "ExternalName"))
                external_name(v, spec);
}

static void port(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, bool require_name, struct kc_map *names)
{
        const char *name = kc_v_str(o, "name"), *app = kc_json_str(o, "appProtocol");
        if (require_name && !*name) {
                kc_v_required(v, V_CHILD(p, "name"), "");
        } else if (*name) {
                kc_v_name(v, V_CHILD(p, "name"), name, kc_name_dns1123_label);
                if (!kc_map_set(names, name, names))
                        kc_v_duplicate(v, V_CHILD(p, "name"), name);
        }
        kc_v_port_number(v, V_CHILD(p, "port"), kc_json_int(o, "port", 0));
        kc_v_enum(v, V_CHILD(p, "protocol"), kc_v_str(o, "protocol"), protocols);
        kc_v_port_number_or_name(v, V_CHILD(p, "targetPort"), kc_json_get(o, "targetPort"));
        if (app)
                kc_v_name(v, V_CHILD(p, "appProtocol"), app, kc_name_label_key);
}

static void ports(struct kc_v *v, const struct json_object *list)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++)
                port(v, V_INDEX(V_CHILD(&spec_path, "ports"), i), kc_json_idx(list, i), kc_json_len(list) > 1, names);
}

static void session_affinity(struct kc_v *v, const struct json_object *spec)
{
        static const char *const kinds[] = {"ClientIP", "None", NULL};
        enum { MAX_SECONDS = 86400 };
        static const char *const missing = "when session affinity type is ClientIP";
        const char *affinity = kc_v_str(spec, "sessionAffinity");
        const struct json_object *config = kc_json_get(spec, "sessionAffinityConfig");
        const struct kc_vpath *p = V_CHILD(&spec_path, "sessionAffinityConfig");
        const struct kc_vpath *seconds_path = V_CHILD2(p, "clientIP", "timeoutSeconds");
        kc_v_enum(v, V_CHILD(&spec_path, "sessionAffinity"), affinity, kinds);
        if (kc_streq(affinity, "None") && config)
                kc_v_forbidden(v, p, "must not be set when session affinity is None");
        if (!kc_streq(affinity, "ClientIP"))
                return;
        if (!config) {
                kc_v_required(v, p, missing);
        } else if (!kc_json_get(config, "clientIP")) {
                kc_v_required(v, V_CHILD(p, "clientIP"), missing);
        } else if (!kc_json_at(config, "clientIP.timeoutSeconds")) {
                kc_v_required(v, seconds_path, missing);
        } else {
                int64_t n = kc_json_int_at(config, "clientIP.timeoutSeconds", 0);
                if (n <= 0 || n > MAX_SECONDS)
                        kc_v_invalid_int(v, seconds_path, n, "must be greater than 0 and less than 86400");
        }
}

static void ip_families(struct kc_v *v, const struct json_object *spec)
{
        static const char *const families[] = {"IPv4", "IPv6", NULL};
        static const char *const policies[] = {"PreferDualStack", "RequireDualStack", "SingleStack", NULL};
        const struct json_object *list = kc_json_get(spec, "ipFamilies");
        const char *policy = kc_json_str(spec, "ipFamilyPolicy");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct kc_vpath *p = V_INDEX(V_CHILD(&spec_path, "ipFamilies"), i);
                const char *family = str_at(list, i);
                if (!kc_v_in(family, families))
                        kc_v_not_supported(v, p, family, families);
                if (!kc_v_first(seen, family))
                        kc_v_duplicate(v, p, family);
        }
        if (policy && !kc_v_in(policy, policies))
                kc_v_not_supported(v, V_CHILD(&spec_path, "ipFamilyPolicy"), policy, policies);
}

/* False if the list makes no sense to look at further. */
static bool cluster_ip_values(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ips)
{
        bool ok = true;
        for (size_t i = 0; i < kc_json_len(ips); i++) {
                if (i > 0 || !kc_streq(str_at(ips, i), "None")) {
                        ok &= kc_v_ip(v, V_INDEX(p, i), str_at(ips, i));
                } else if (kc_json_len(ips) > 1) {
                        kc_v_invalid(v, p, ips, "'None' must be the first and only value");
                        ok = false;
                }
        }
        if (kc_json_len(ips) > 2)
                kc_v_invalid(v, p, ips, "may only hold up to 2 values");
        return ok;
}

static void cluster_ips(struct kc_v *v, const struct json_object *service)
{
        const struct json_object *spec = spec_of(service);
        const struct json_object *ips = kc_json_get(spec, "clusterIPs"), *families = kc_json_get(spec, "ipFamilies");
        const struct kc_vpath *p = V_CHILD(&spec_path, "clusterIPs");
        const char *ip = kc_v_str(spec, "clusterIP");
        if (is_type(service, "ExternalName"))
                return;
        if (*ip && kc_json_len(ips) == 0)
                kc_v_required(v, p, "");
        else if (*ip && strcmp(str_at(ips, 0), ip) != 0)
                kc_v_invalid(v, p, ips, "first value must match `clusterIP`");
        else if (!*ip && kc_json_len(ips) > 0)
                kc_v_invalid(v, p, ips, "must be empty when `clusterIP` is not specified");
        ip_families(v, spec);
        if (!cluster_ip_values(v, p, ips))
                return;
        if (kc_json_len(ips) > 1 && !kc_v_dual_stack(ips, NULL))
                kc_v_invalid(v, p, ips, "may specify no more than one IP for each IP family");
        for (size_t i = 0; !is_headless(service) && i < kc_json_len(ips) && i < kc_json_len(families); i++) {
                bool v6 = strchr(str_at(ips, i), ':') != NULL, want6 = strcmp(str_at(families, i), "IPv6") == 0;
                if (v6 == want6)
                        continue;
                KC_CLEANUP(kc_freep)
                char *detail =
                    kc_asprintf("expected an %s value as indicated by `ipFamilies[%zu]`", want6 ? "IPv6" : "IPv4", i);
                kc_v_invalid_str(v, V_INDEX(p, i), str_at(ips, i), detail);
        }
}

void kc_validate_service_cluster_ips(const struct json_object *service, struct kc_field_errors *errors)
{
        struct kc_v v = {.errors = errors};
        cluster_ips(&v, service);
}

/* True if another port before had the same protocol and number. */
static bool is_repeated(struct kc_map *seen, const struct json_object *port, int64_t number)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%lld", kc_v_str(port, "protocol"), (long long)number);
        return !kc_v_first(seen, key);
}

static void repeated_ports(struct kc_v *v, const struct json_object *list)
{
        const struct kc_vpath *p = V_CHILD(&spec_path, "ports");
        KC_CLEANUP(kc_map_freep) struct kc_map *node_ports = kc_map_new(NULL), *numbers = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *o = kc_json_idx(list, i);
                int64_t number = kc_json_int(o, "nodePort", 0);
                if (number != 0 && is_repeated(node_ports, o, number))
                        kc_v_duplicate_json(v, V_CHILD(V_INDEX(p, i), "nodePort"), kc_json_get(o, "nodePort"));
        }
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *o = kc_json_idx(list, i);
                int64_t number = kc_json_int(o, "port", 0);
                if (!is_repeated(numbers, o, number))
                        continue;
                /* The Go struct that upstream shows. */
                KC_CLEANUP(kc_json_freep)
                struct json_object *key =
                    kc_json_build("{'Name':'','Protocol':%s,'AppProtocol':null,'Port':%ld,'TargetPort':0,'NodePort':0}",
                        kc_v_str(o, "protocol"), (long)number);
                kc_v_duplicate_json(v, V_INDEX(p, i), key);
        }
}

static void source_ranges(struct kc_v *v, const struct json_object *service)
{
        static const char key[] = "service.beta.kubernetes.io/load-balancer-source-ranges";
        static const char *const only = "may only be used when `type` is 'LoadBalancer'";
        const struct json_object *list = kc_json_get(spec_of(service), "loadBalancerSourceRanges");
        const char *annotation = kc_json_str(kc_json_at(service, "metadata.annotations"), key);
        bool balanced = is_type(service, "LoadBalancer");
        if (kc_json_len(list) > 0) {
                const struct kc_vpath *p = V_CHILD(&spec_path, "LoadBalancerSourceRanges");
                if (!balanced)
                        kc_v_forbidden(v, p, only);
                for (size_t i = 0; i < kc_json_len(list); i++) {
                        KC_CLEANUP(kc_freep) char *cidr = kc_str_trim(str_at(list, i));
                        (void)kc_v_cidr(v, V_INDEX(p, i), cidr); /* noted if invalid */
                }
        } else if (annotation) {
                const struct kc_vpath *p = V_KEY(V_CHILD2(NULL, "metadata", "annotations"), key);
                KC_CLEANUP(kc_freep) char *text = kc_str_trim(annotation);
                KC_CLEANUP(kc_strv_freep) char **cidrs = *text ? kc_strv_split(text, ',') : NULL;
                if (!balanced)
                        kc_v_forbidden(v, p, only);
                for (size_t i = 0; cidrs && cidrs[i]; i++) {
                        KC_CLEANUP(kc_freep) char *cidr = kc_str_trim(cidrs[i]);
                        (void)kc_v_cidr(v, p, cidr); /* noted if invalid */
                }
        }
}

static void load_balancer(struct kc_v *v, const struct json_object *service)
{
        static const char *const only = "may only be used when `type` is 'LoadBalancer'";
        const struct json_object *spec = spec_of(service);
        const char *class = kc_json_str(spec, "loadBalancerClass");
        bool balanced = is_type(service, "LoadBalancer");
        bool allocate = kc_json_get(spec, "allocateLoadBalancerNodePorts") != NULL;
        if (allocate && !balanced)
                kc_v_forbidden(v, V_CHILD(&spec_path, "allocateLoadBalancerNodePorts"), only);
        if (!allocate && balanced)
                kc_v_required(v, V_CHILD(NULL, "allocateLoadBalancerNodePorts"), "");
        if (class && balanced)
                kc_v_name(v, V_CHILD(&spec_path, "loadBalancerClass"), class, kc_name_label_key);
        else if (class)
                kc_v_forbidden(v, V_CHILD(&spec_path, "loadBalancerClass"), only);
}

static void traffic(struct kc_v *v, const struct json_object *service)
{
        static const char *const policies[] = {"Cluster", "Local", NULL};
        static const char *const distributions[] = {"PreferClose", "PreferSameNode", "PreferSameZone", NULL};
        const struct json_object *spec = spec_of(service);
        const char *external = kc_v_str(spec, "externalTrafficPolicy");
        const char *internal = kc_json_str(spec, "internalTrafficPolicy");
        const char *distribution = kc_json_str(spec, "trafficDistribution");
        const struct kc_vpath *health_path = V_CHILD(&spec_path, "healthCheckNodePort");
        int64_t health = kc_json_int(spec, "healthCheckNodePort", 0);
        if (externally_accessible(service))
                kc_v_enum(v, V_CHILD(&spec_path, "externalTrafficPolicy"), external, policies);
        else if (*external)
                kc_v_invalid_str(v, V_CHILD(&spec_path, "externalTrafficPolicy"), external,
                    "may only be set for externally-accessible services");
        if (!needs_health_check(service) && health != 0)
                kc_v_invalid_int(v, health_path, health,
                    "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
        else if (needs_health_check(service) && health == 0)
                kc_v_required(v, health_path, "");
        else if (health != 0)
                kc_v_port_number(v, health_path, health);
        if (!internal && !is_type(service, "ExternalName"))
                kc_v_required(v, V_CHILD(&spec_path, "internalTrafficPolicy"), "");
        if (internal && !kc_v_in(internal, policies))
                kc_v_not_supported(v, V_CHILD(&spec_path, "internalTrafficPolicy"), internal, policies);
        if (distribution && !kc_v_in(distribution, distributions))
                kc_v_not_supported(v, V_CHILD(&spec_path, "trafficDistribution"), distribution, distributions);
}

static void external_ips(struct kc_v *v, const struct json_object *list)
{
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct kc_vpath *p = V_INDEX(V_CHILD(&spec_path, "externalIPs"), i);
                if (kc_v_ip(v, p, str_at(list, i)))
                        kc_v_ip_not_special(v, p, str_at(list, i));
        }
}

static void topology_annotations(struct kc_v *v, const struct json_object *service)
{
        static const char hints_key[] = "service.kubernetes.io/topology-aware-hints";
        static const char mode_key[] = "service.kubernetes.io/topology-mode";
        const struct json_object *annotations = kc_json_at(service, "metadata.annotations");
        const char *hints = kc_json_str(annotations, hints_key), *mode = kc_json_str(annotations, mode_key);
        if (hints && mode && strcmp(hints, mode) != 0)
                kc_v_invalid_str(v, V_KEY(V_CHILD2(NULL, "metadata", "annotations"), mode_key), mode,
                    "must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified");
}

void kc_v_create_service(struct kc_v *v, const struct json_object *o)
{
        static const char *const types[] = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort", NULL};
        const struct json_object *spec = spec_of(o), *list = kc_json_get(spec, "ports");
        kc_v_meta(v, o, true, kc_name_dns1035_label);
        topology_annotations(v, o);
        if (kc_json_len(list) == 0 && !is_headless(o) && !is_type(o, "ExternalName"))
                kc_v_required(v, V_CHILD(&spec_path, "ports"), "");
        by_type(v, o);
        ports(v, list);
        kc_v_labels(v, V_CHILD(&spec_path, "selector"), kc_json_get(spec, "selector"));
        session_affinity(v, spec);
        cluster_ips(v, o);
        external_ips(v, kc_json_get(spec, "externalIPs"));
        kc_v_enum(v, V_CHILD(&spec_path, "type"), kc_v_str(spec, "type"), types);
        for (size_t i = 0; is_type(o, "ClusterIP") && i < kc_json_len(list); i++) {
                if (kc_json_int(kc_json_idx(list, i), "nodePort", 0) != 0)
                        kc_v_forbidden(v, V_CHILD(V_INDEX(V_CHILD(&spec_path, "ports"), i), "nodePort"),
                            "may not be used when `type` is 'ClusterIP'");
        }
        repeated_ports(v, list);
        source_ranges(v, o);
        load_balancer(v, o);
        traffic(v, o);
}

/* --- Update */

/* Addresses and families are released and added at the end of the list only; the first one stays. */
static void list_update(struct kc_v *v, const char *key, const char *secondary, const struct json_object *spec,
    const struct json_object *old_spec)
{
        const struct json_object *list = kc_json_get(spec, key), *old = kc_json_get(old_spec, key);
        const struct kc_vpath *p = V_CHILD(&spec_path, key);
        size_t n = kc_json_len(list), was = kc_json_len(old);
        bool ips = kc_streq(key, "clusterIPs");
        for (size_t i = 0; n == was && i < n; i++) {
                if (strcmp(str_at(list, i), str_at(old, i)) != 0)
                        kc_v_invalid(v, V_INDEX(p, ips ? i : 0), list, "may not change once set");
        }
        if (n == was)
                return;
        if (was > n && n == 0)
                kc_v_invalid(v, V_INDEX(p, 0), list,
                    ips ? "primary clusterIP can not be unset" : "primary ipFamily can not be unset");
        if (n > 0 && was > 0 && strcmp(str_at(list, 0), str_at(old, 0)) != 0)
                kc_v_invalid(v, V_INDEX(p, 0), kc_json_get(spec, "clusterIPs"), "may not change once set");
        if (was > n && n == 1 && !kc_streq(kc_json_str(spec, "ipFamilyPolicy"), "SingleStack")) {
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf("must be set to 'SingleStack' when releasing the secondary %s", secondary);
                kc_v_invalid(v, V_CHILD(&spec_path, "ipFamilyPolicy"), kc_json_get(spec, "ipFamilyPolicy"), detail);
        }
}

static void update_spec(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *spec = spec_of(o), *old_spec = spec_of(old);
        kc_v_meta_update(v, o, old);
        if (!is_type(o, "ExternalName") && !is_type(old, "ExternalName")) {
                if (!(is_headless(o) && is_headless(old)))
                        list_update(v, "clusterIPs", "clusterIP", spec, old_spec);
                if (!is_headless(o) && !is_headless(old))
                        list_update(v, "ipFamilies", "ipFamily", spec, old_spec);
        }
        if (is_type(o, "LoadBalancer") && is_type(old, "LoadBalancer") &&
            !kc_streq(kc_json_str(spec, "loadBalancerClass"), kc_json_str(old_spec, "loadBalancerClass")))
                kc_v_invalid(v, V_CHILD(&spec_path, "loadBalancerClass"), kc_json_get(spec, "loadBalancerClass"),
                    "may not change once set");
        if (needs_health_check(o) && needs_health_check(old) &&
            kc_json_int(spec, "healthCheckNodePort", 0) != kc_json_int(old_spec, "healthCheckNodePort", 0))
                kc_v_forbidden(v, V_CHILD(&spec_path, "healthCheckNodePort"), "field is immutable");
        kc_v_create_service(v, o);
}

static void ingress(struct kc_v *v, const struct kc_vpath *p, const struct json_object *in)
{
        static const char *const modes[] = {"Proxy", "VIP", NULL};
        const char *ip = kc_v_str(in, "ip"), *mode = kc_json_str(in, "ipMode"), *host = kc_v_str(in, "hostname");
        struct kc_ip parsed;
        if (*ip)
                (void)kc_v_ip(v, V_CHILD(p, "ip"), ip); /* noted if invalid */
        if (!mode && *ip)
                kc_v_required(v, V_CHILD(p, "ipMode"), "must be specified when `ip` is set");
        else if (mode && !*ip)
                kc_v_forbidden(v, V_CHILD(p, "ipMode"), "may not be specified when `ip` is not set");
        else if (mode && !kc_v_in(mode, modes))
                kc_v_not_supported(v, V_CHILD(p, "ipMode"), mode, modes);
        if (!*host)
                return;
        kc_v_name(v, V_CHILD(p, "hostname"), host, kc_name_dns1123_subdomain);
        if (kc_ip_parse(host, &parsed) == 0)
                kc_v_invalid_str(v, V_CHILD(p, "hostname"), host, "must be a DNS name, not an IP address");
}

static void update_status(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *list = kc_json_at(o, "status.loadBalancer.ingress");
        const struct kc_vpath *p = V_CHILD3(NULL, "status", "loadBalancer", "ingress");
        kc_v_meta_update(v, o, old);
        if (!is_type(o, "LoadBalancer") && kc_json_len(list) > 0) {
                kc_v_forbidden(v, p, "may only be used when `spec.type` is 'LoadBalancer'");
                return;
        }
        for (size_t i = 0; i < kc_json_len(list); i++)
                ingress(v, V_INDEX(p, i), kc_json_idx(list, i));
}

void kc_v_update_service(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        if (kc_streq(subresource, "status"))
                update_status(v, o, old);
        else
                update_spec(v, o, old);
}

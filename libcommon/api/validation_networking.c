/* NetworkPolicies, IngressClasses, ServiceCIDRs and IPAddresses. Ingresses: validation_ingress.c. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};

/* --- NetworkPolicies */

static void policy_port(struct kc_v *v, const struct kc_vpath *p, const struct json_object *port)
{
        static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};
        const char *protocol = kc_json_str(port, "protocol");
        const struct json_object *number = kc_json_get(port, "port"), *end = kc_json_get(port, "endPort");
        int64_t first = json_object_get_int64(number), last = json_object_get_int64(end);
        const struct kc_vpath *at = V_CHILD(p, "endPort");
        if (protocol && !kc_v_in(protocol, protocols))
                kc_v_not_supported(v, V_CHILD(p, "protocol"), protocol, protocols);
        if (!number) {
                if (end)
                        kc_v_invalid_int(v, at, last, "may not be specified when `port` is not specified");
        } else if (kc_json_as_str(number)) {
                if (end)
                        kc_v_invalid_int(v, at, last, "may not be specified when `port` is non-numeric");
                kc_v_name(v, V_CHILD(p, "port"), kc_json_as_str(number), kc_name_port);
        } else {
                kc_v_port_number(v, V_CHILD(p, "port"), first);
                if (end && last < first)
                        kc_v_invalid_int(v, at, first, "must be greater than or equal to `port`");
                if (end)
                        kc_v_port_number(v, at, last);
        }
}

static void ip_block(struct kc_v *v, const struct kc_vpath *p, const struct json_object *block)
{
        const char *text = kc_v_str(block, "cidr");
        const struct json_object *excepts = kc_json_get(block, "except");
        struct kc_cidr cidr;
        if (!*text) {
                kc_v_required(v, V_CHILD(p, "cidr"), "");
                return;
        }
        if (!kc_v_cidr(v, V_CHILD(p, "cidr"), text) || kc_cidr_parse(text, &cidr, NULL) < 0)
                return;
        for (size_t i = 0; i < kc_json_len(excepts); i++) {
                const char *s = kc_json_as_str(kc_json_idx(excepts, i));
                const struct kc_vpath *at = V_INDEX(V_CHILD(p, "except"), i);
                struct kc_cidr except;
                if (!kc_v_cidr(v, at, s ? s : "") || kc_cidr_parse(s, &except, NULL) < 0)
                        return;
                if (!kc_cidr_contains(&cidr, &except.ip) || cidr.bits >= except.bits)
                        kc_v_invalid_str(v, at, s, "must be a strict subset of `cidr`");
        }
}

static void peer(struct kc_v *v, const struct kc_vpath *p, const struct json_object *peer)
{
        const struct json_object *pods = kc_json_get(peer, "podSelector"), *block = kc_json_get(peer, "ipBlock");
        const struct json_object *namespaces = kc_json_get(peer, "namespaceSelector");
        kc_v_label_selector(v, V_CHILD(p, "podSelector"), pods);
        kc_v_label_selector(v, V_CHILD(p, "namespaceSelector"), namespaces);
        if (block)
                ip_block(v, V_CHILD(p, "ipBlock"), block);
        if (!pods && !namespaces && !block)
                kc_v_required(v, p, "must specify a peer");
        else if (block && (pods || namespaces))
                kc_v_forbidden(v, p, "may not specify both ipBlock and another peer");
}

static void policy_rules(struct kc_v *v, const struct json_object *spec, const char *direction, const char *peers_key)
{
        const struct json_object *rules = kc_json_get(spec, direction);
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct kc_vpath *p = V_INDEX(V_CHILD(&spec_path, direction), i);
                const struct json_object *ports = kc_json_get(kc_json_idx(rules, i), "ports");
                const struct json_object *peers = kc_json_get(kc_json_idx(rules, i), peers_key);
                for (size_t j = 0; j < kc_json_len(ports); j++)
                        policy_port(v, V_INDEX(V_CHILD(p, "ports"), j), kc_json_idx(ports, j));
                for (size_t j = 0; j < kc_json_len(peers); j++)
                        peer(v, V_INDEX(V_CHILD(p, peers_key), j), kc_json_idx(peers, j));
        }
}

static void network_policy_spec(struct kc_v *v, const struct json_object *spec)
{
        static const char *const types[] = {"Egress", "Ingress", NULL};
        const struct json_object *given = kc_json_get(spec, "policyTypes");
        const struct kc_vpath *p = V_CHILD(&spec_path, "policyTypes");
        kc_v_label_selector(v, V_CHILD(&spec_path, "podSelector"), kc_json_get(spec, "podSelector"));
        policy_rules(v, spec, "ingress", "from");
        policy_rules(v, spec, "egress", "to");
        if (kc_json_len(given) > 2) {
                kc_v_invalid(v, p, given, "may not specify more than two policyTypes");
                return;
        }
        for (size_t i = 0; i < kc_json_len(given); i++) {
                const char *type = kc_json_as_str(kc_json_idx(given, i));
                if (!type || !kc_v_in(type, types))
                        kc_v_not_supported(v, V_INDEX(p, i), type ? type : "", types);
        }
}

void kc_v_create_network_policy(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        network_policy_spec(v, kc_json_get(o, "spec"));
}

void kc_v_update_network_policy(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        network_policy_spec(v, kc_json_get(o, "spec"));
}

/* --- IngressClasses */

static void class_parameters(struct kc_v *v, const struct kc_vpath *p, const struct json_object *parameters)
{
        static const char *const scopes[] = {"Cluster", "Namespace", NULL};
        const char *scope = kc_json_str(parameters, "scope"), *ns = kc_json_str(parameters, "namespace");
        kc_v_typed_local_reference(v, p, parameters);
        if (!scope) {
                kc_v_required(v, V_CHILD(p, "scope"), "");
                return;
        }
        if (!kc_v_in(scope, scopes))
                kc_v_not_supported(v, V_CHILD(p, "scope"), scope, scopes);
        if (kc_streq(scope, "Namespace") && !ns)
                kc_v_required(v, V_CHILD(p, "namespace"), "`parameters.scope` is set to 'Namespace'");
        else if (kc_streq(scope, "Namespace"))
                kc_v_name(v, V_CHILD(p, "namespace"), ns, kc_name_dns1123_label);
        if (kc_streq(scope, "Cluster") && ns)
                kc_v_forbidden(v, V_CHILD(p, "namespace"), "`parameters.scope` is set to 'Cluster'");
}

void kc_v_create_ingress_class(struct kc_v *v, const struct json_object *o)
{
        enum { MAX_CONTROLLER = 250 };
        const struct json_object *spec = kc_json_get(o, "spec");
        const char *controller = kc_v_str(spec, "controller");
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        if (strlen(controller) > MAX_CONTROLLER)
                kc_v_too_long(v, V_CHILD(&spec_path, "controller"), MAX_CONTROLLER);
        kc_v_domain_prefixed_path(v, V_CHILD(&spec_path, "controller"), controller);
        if (kc_json_get(spec, "parameters"))
                class_parameters(v, V_CHILD(&spec_path, "parameters"), kc_json_get(spec, "parameters"));
}

void kc_v_update_ingress_class(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        kc_v_immutable(
            v, V_CHILD(&spec_path, "controller"), kc_json_at(o, "spec.controller"), kc_json_at(old, "spec.controller"));
        kc_v_create_ingress_class(v, o);
}

/* --- IPAddresses */

static void address_name(const char *name, struct kc_why *why)
{
        struct kc_ip ip;
        char buf[KC_IP_LEN];
        if (kc_ip_parse(name, &ip) < 0)
                why->v[why->n++] = "must be a valid IP address";
        else if (!kc_streq(kc_ip_format(&ip, buf), name))
                why->v[why->n++] = "must be a canonical format IP address";
}

static void parent_part(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ref, const char *key)
{
        const char *s = kc_v_str(ref, key);
        if (*s)
                kc_v_name(v, V_CHILD(p, key), s, kc_name_path_segment);
        else
                kc_v_required(v, V_CHILD(p, key), "");
}

void kc_v_create_ip_address(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *ref = kc_json_at(o, "spec.parentRef");
        const struct kc_vpath *p = V_CHILD(&spec_path, "parentRef");
        const char *group = kc_v_str(ref, "group"), *ns = kc_v_str(ref, "namespace");
        kc_v_meta(v, o, false, address_name);
        if (!ref) {
                kc_v_required(v, p, "");
                return;
        }
        if (*group)
                kc_v_name(v, V_CHILD(p, "group"), group, kc_name_dns1123_subdomain);
        parent_part(v, p, ref, "resource");
        parent_part(v, p, ref, "name");
        if (*ns)
                kc_v_name(v, V_CHILD(p, "namespace"), ns, kc_name_path_segment);
}

void kc_v_update_ip_address(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        kc_v_immutable(
            v, V_CHILD(&spec_path, "parentRef"), kc_json_at(o, "spec.parentRef"), kc_json_at(old, "spec.parentRef"));
}

/* --- ServiceCIDRs */

static void canonical_cidr(struct kc_v *v, const struct kc_vpath *p, const char *text)
{
        struct kc_cidr cidr;
        bool exact;
        char buf[KC_IP_LEN];
        if (!kc_v_cidr(v, p, text) || kc_cidr_parse(text, &cidr, &exact) < 0)
                return;
        if (!exact) {
                kc_v_invalid_str(v, p, text, "must not have bits set beyond the prefix length");
                return;
        }
        KC_CLEANUP(kc_freep)
        char *detail = kc_asprintf("must be in canonical form (\"%s\")", kc_cidr_format(&cidr, buf));
        if (!kc_streq(buf, text))
                kc_v_invalid_str(v, p, text, detail);
}

void kc_v_create_service_cidr(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *list = kc_json_at(o, "spec.cidrs");
        const struct kc_vpath *p = V_CHILD(&spec_path, "cidrs");
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        if (kc_json_len(list) == 0) {
                kc_v_required(v, p, "at least one CIDR required");
                return;
        }
        if (kc_json_len(list) > 2) {
                kc_v_invalid(v, &spec_path, list, "may only hold up to 2 values");
                return;
        }
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *s = kc_json_as_str(kc_json_idx(list, i));
                canonical_cidr(v, V_INDEX(p, i), s ? s : "");
        }
        if (kc_json_len(list) == 2 && !kc_v_dual_stack(list, NULL))
                kc_v_invalid(v, &spec_path, list,
                    "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96");
}

void kc_v_update_service_cidr(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const struct json_object *now = kc_json_at(o, "spec.cidrs"), *before = kc_json_at(old, "spec.cidrs");
        const struct kc_vpath *p = V_CHILD(&spec_path, "cidrs");
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "status"))
                return;
        /* The second family may be added. */
        if (kc_json_len(before) == 1 && kc_json_len(now) == 2) {
                if (!kc_v_equal(kc_json_idx(now, 0), kc_json_idx(before, 0)))
                        kc_v_invalid(v, V_INDEX(p, 0), kc_json_idx(now, 0), "field is immutable");
                kc_v_create_service_cidr(v, o);
        } else {
                kc_v_immutable(v, p, now, before);
        }
}

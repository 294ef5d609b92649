/* Endpoints and EndpointSlices. Any thread. */
#include <string.h>
#include <sys/socket.h>

#include "api/validation_internal.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"

static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};

static void endpoint_address(struct kc_v *v, const struct kc_vpath *p, const struct json_object *a)
{
        const char *host = kc_v_str(a, "hostname"), *node = kc_json_str(a, "nodeName"), *ip = kc_v_str(a, "ip");
        (void)kc_v_ip(v, V_CHILD(p, "ip"), ip); /* noted if invalid */
        if (*host)
                kc_v_name(v, V_CHILD(p, "hostname"), host, kc_name_dns1123_label);
        if (node)
                kc_v_name(v, V_CHILD(p, "nodeName"), node, kc_name_dns1123_subdomain);
        kc_v_ip_not_special(v, V_CHILD(p, "ip"), ip);
}

static void endpoint_port(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, bool require_name)
{
        const char *name = kc_v_str(o, "name"), *app = kc_json_str(o, "appProtocol");
        if (require_name && !*name)
                kc_v_required(v, V_CHILD(p, "name"), "");
        else if (*name)
                kc_v_name(v, V_CHILD(p, "name"), name, kc_name_dns1123_label);
        kc_v_port_number(v, V_CHILD(p, "port"), kc_json_int(o, "port", 0));
        kc_v_enum(v, V_CHILD(p, "protocol"), kc_v_str(o, "protocol"), protocols);
        if (app)
                kc_v_name(v, V_CHILD(p, "appProtocol"), app, kc_name_label_key);
}

static void subset(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        static const char *const lists[] = {"addresses", "notReadyAddresses"};
        const struct json_object *ports = kc_json_get(s, "ports");
        if (kc_json_len(kc_json_get(s, lists[0])) + kc_json_len(kc_json_get(s, lists[1])) == 0)
                kc_v_required(v, p, "must specify `addresses` or `notReadyAddresses`");
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++) {
                const struct json_object *list = kc_json_get(s, lists[i]);
                for (size_t j = 0; j < kc_json_len(list); j++)
                        endpoint_address(v, V_INDEX(V_CHILD(p, lists[i]), j), kc_json_idx(list, j));
        }
        for (size_t i = 0; i < kc_json_len(ports); i++)
                endpoint_port(v, V_INDEX(V_CHILD(p, "ports"), i), kc_json_idx(ports, i), kc_json_len(ports) > 1);
}

void kc_v_create_endpoints(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *subsets = kc_json_get(o, "subsets");
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        for (size_t i = 0; i < kc_json_len(subsets); i++)
                subset(v, V_INDEX(V_CHILD(NULL, "subsets"), i), kc_json_idx(subsets, i));
}

void kc_v_update_endpoints(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        kc_v_create_endpoints(v, o);
}

/* --- EndpointSlice */

enum { MAX_ENDPOINTS = 1000, MAX_ADDRESSES = 100, MAX_PORTS = 20000, MAX_TOPOLOGY = 16, MAX_HINTS = 8 };

static void ip_of_family(struct kc_v *v, const struct kc_vpath *p, const char *address, int family)
{
        struct kc_ip ip;
        if (kc_ip_parse(address, &ip) < 0 || ip.family != family)
                kc_v_invalid_str(
                    v, p, address, family == AF_INET ? "must be a valid IPv4 address" : "must be a valid IPv6 address");
        kc_v_ip_not_special(v, p, address);
}

static void fqdn(struct kc_v *v, const struct kc_vpath *p, const char *name)
{
        size_t n = strlen(name);
        KC_CLEANUP(kc_freep) char *trimmed = kc_strndup(name, n && name[n - 1] == '.' ? n - 1 : n);
        struct kc_why why = {0};
        if (!n) {
                kc_v_required(v, p, "");
                return;
        }
        kc_name_dns1123_subdomain(trimmed, &why);
        KC_CLEANUP(kc_freep) char *detail = kc_why_join(&why, ",");
        if (why.n)
                kc_v_invalid_str(v, p, trimmed, detail);
        else if (!strchr(trimmed, '.'))
                kc_v_invalid_str(v, p, trimmed, "should be a domain with at least two segments separated by dots");
}

static void slice_hints(struct kc_v *v, const struct kc_vpath *p, const struct json_object *hints)
{
        static const char *const lists[] = {"forZones", "forNodes"};
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++) {
                const struct json_object *list = kc_json_get(hints, lists[i]);
                const struct kc_vpath *at = V_CHILD(p, lists[i]);
                if (kc_json_len(list) > MAX_HINTS) {
                        kc_v_too_many(v, at, kc_json_len(list), MAX_HINTS);
                        continue;
                }
                for (size_t j = 0; j < kc_json_len(list); j++) {
                        const char *name = kc_v_str(kc_json_idx(list, j), "name");
                        const struct kc_vpath *name_path = V_CHILD(V_INDEX(at, j), "name");
                        for (size_t k = 0; k < j; k++) {
                                if (strcmp(kc_v_str(kc_json_idx(list, k), "name"), name) == 0) {
                                        kc_v_duplicate(v, name_path, name);
                                        break;
                                }
                        }
                        kc_v_name(v, name_path, name, i ? kc_name_dns1123_subdomain : kc_name_label_value);
                }
        }
}

static void slice_endpoint(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *e, const char *address_type)
{
        const struct json_object *addresses = kc_json_get(e, "addresses"), *hints = kc_json_get(e, "hints");
        const struct json_object *topology = kc_json_get(e, "deprecatedTopology");
        const struct kc_vpath *list = V_CHILD(p, "addresses");
        const char *host = kc_json_str(e, "hostname"), *node = kc_json_str(e, "nodeName");
        if (kc_json_len(addresses) == 0)
                kc_v_required(v, list, "must contain at least 1 address");
        else if (kc_json_len(addresses) > MAX_ADDRESSES)
                kc_v_too_many(v, list, kc_json_len(addresses), MAX_ADDRESSES);
        for (size_t i = 0; i < kc_json_len(addresses); i++) {
                const char *s = kc_json_as_str(kc_json_idx(addresses, i));
                if (kc_streq(address_type, "IPv4"))
                        ip_of_family(v, V_INDEX(list, i), s ? s : "", AF_INET);
                else if (kc_streq(address_type, "IPv6"))
                        ip_of_family(v, V_INDEX(list, i), s ? s : "", AF_INET6);
                else if (kc_streq(address_type, "FQDN"))
                        fqdn(v, V_INDEX(list, i), s ? s : "");
        }
        if (node)
                kc_v_name(v, V_CHILD(p, "nodeName"), node, kc_name_dns1123_subdomain);
        if (kc_json_n_keys(topology) > MAX_TOPOLOGY)
                kc_v_too_many(v, V_CHILD(p, "deprecatedTopology"), kc_json_n_keys(topology), MAX_TOPOLOGY);
        kc_v_labels(v, V_CHILD(p, "deprecatedTopology"), topology);
        if (host)
                kc_v_name(v, V_CHILD(p, "hostname"), host, kc_name_dns1123_label);
        slice_hints(v, V_CHILD(p, "hints"), hints);
}

static void slice_ports(struct kc_v *v, const struct json_object *ports)
{
        const struct kc_vpath *p = V_CHILD(NULL, "ports");
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        if (kc_json_len(ports) > MAX_PORTS) {
                kc_v_too_many(v, p, kc_json_len(ports), MAX_PORTS);
                return;
        }
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *o = kc_json_idx(ports, i);
                const char *name = kc_v_str(o, "name"), *app = kc_json_str(o, "appProtocol");
                const struct kc_vpath *at = V_INDEX(p, i);
                if (*name)
                        kc_v_name(v, V_CHILD(at, "name"), name, kc_name_dns1123_label);
                if (!kc_map_set(names, name, names))
                        kc_v_duplicate(v, V_CHILD(at, "name"), name);
                kc_v_enum(v, V_CHILD(at, "protocol"), kc_v_str(o, "protocol"), protocols);
                if (app)
                        kc_v_name(v, V_CHILD(at, "appProtocol"), app, kc_name_label_key);
        }
}

void kc_v_create_endpoint_slice(struct kc_v *v, const struct json_object *o)
{
        static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
        const struct json_object *endpoints = kc_json_get(o, "endpoints");
        const char *type = kc_v_str(o, "addressType");
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        kc_v_enum(v, V_CHILD(NULL, "addressType"), type, types);
        if (kc_json_len(endpoints) > MAX_ENDPOINTS)
                kc_v_too_many(v, V_CHILD(NULL, "endpoints"), kc_json_len(endpoints), MAX_ENDPOINTS);
        for (size_t i = 0; kc_json_len(endpoints) <= MAX_ENDPOINTS && i < kc_json_len(endpoints); i++)
                slice_endpoint(v, V_INDEX(V_CHILD(NULL, "endpoints"), i), kc_json_idx(endpoints, i), type);
        slice_ports(v, kc_json_get(o, "ports"));
}

void kc_v_update_endpoint_slice(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const char *type = kc_v_str(o, "addressType");
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        kc_v_create_endpoint_slice(v, o);
        if (!kc_streq(type, kc_v_str(old, "addressType")))
                kc_v_invalid_str(v, V_CHILD(NULL, "addressType"), type, "field is immutable");
}

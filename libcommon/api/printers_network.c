/* Rows of services and their endpoints. */
#include <string.h>

#include "api/table_internal.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_SHOWN = 3 }; /* endpoints and ports; the rest is counted */

/* Up to MAX_SHOWN texts, and how many there are. */
struct shown {
        char **v;
        size_t count;
};

static void show(struct shown *s, char *take_text)
{
        if (s->count++ < MAX_SHOWN)
                kc_strv_push_take(&s->v, take_text);
        else
                kc_free(take_text);
}

/* "a,b,c + 2 more..."; none: for no texts. Frees the list. */
static char *shown_take(struct shown *s, const char *none)
{
        char *list = s->v ? kc_strv_join(s->v, ",") : kc_strdup(none);
        kc_strv_free(s->v);
        if (s->count <= MAX_SHOWN)
                return list;
        char *more = kc_asprintf("%s + %zu more...", list, s->count - MAX_SHOWN);
        kc_free(list);
        return more;
}

static void push_strings(char ***v, const struct json_object *array)
{
        for (size_t i = 0; i < kc_json_len(array); i++) {
                const char *s = kc_json_as_str(kc_json_idx(array, i));
                kc_strv_push(v, s ? s : "");
        }
}

static char *external_ip(const struct json_object *service)
{
        const char *type = kc_json_str_at(service, "spec.type");
        if (kc_streq(type, "ExternalName")) {
                const char *name = kc_json_str_at(service, "spec.externalName");
                return kc_strdup(name ? name : "");
        }
        bool balanced = kc_streq(type, "LoadBalancer");
        if (!balanced && !kc_streq(type, "ClusterIP") && !kc_streq(type, "NodePort"))
                return kc_strdup("<unknown>");
        KC_CLEANUP(kc_strv_freep) char **v = NULL;
        const struct json_object *ingress = balanced ? kc_json_at(service, "status.loadBalancer.ingress") : NULL;
        for (size_t i = 0; i < kc_json_len(ingress); i++) {
                const struct json_object *entry = kc_json_idx(ingress, i);
                const char *ip = kc_json_str(entry, "ip"), *host = kc_json_str(entry, "hostname");
                if (!kc_str_empty(ip))
                        kc_strv_push(&v, ip);
                else if (!kc_str_empty(host))
                        kc_strv_push(&v, host);
        }
        if (v)
                kc_strv_sort_uniq(v);
        push_strings(&v, kc_json_at(service, "spec.externalIPs"));
        if (v)
                return kc_strv_join(v, ",");
        return kc_strdup(balanced ? "<pending>" : "<none>");
}

static char *service_ports(const struct json_object *ports)
{
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *p = kc_json_idx(ports, i);
                const char *protocol = kc_json_str(p, "protocol");
                int64_t node_port = kc_json_int(p, "nodePort", 0);
                kc_buf_addf(&b, "%s%lld", i ? "," : "", (long long)kc_json_int(p, "port", 0));
                if (node_port > 0)
                        kc_buf_addf(&b, ":%lld", (long long)node_port);
                kc_buf_addf(&b, "/%s", protocol ? protocol : "");
        }
        if (b.len == 0)
                kc_buf_adds(&b, "<none>");
        return kc_buf_take_str(&b);
}

void kc_print_service(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const struct json_object *spec = kc_json_get(obj, "spec");
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str(spec, "type"));
        kc_cell_str_or_none(cells, kc_json_as_str(kc_json_idx(kc_json_get(spec, "clusterIPs"), 0)));
        kc_cell_str_take(cells, external_ip(obj));
        kc_cell_str_take(cells, service_ports(kc_json_get(spec, "ports")));
        kc_cell_age(cells, obj, now);
        kc_cell_str_take(cells, kc_labels_format(kc_json_get(spec, "selector")));
}

/* "10.0.0.1:80", "[fd00::1]:80"; port NULL: the address alone. */
static char *host_port(const char *ip, const struct json_object *port)
{
        if (!ip)
                ip = "";
        if (!port)
                return kc_strdup(ip);
        return kc_asprintf(strchr(ip, ':') ? "[%s]:%lld" : "%s:%lld", ip, (long long)kc_json_int(port, "port", 0));
}

static void show_addresses(struct shown *s, const struct json_object *addresses, const struct json_object *port)
{
        for (size_t i = 0; i < kc_json_len(addresses); i++)
                show(s, host_port(kc_json_str(kc_json_idx(addresses, i), "ip"), port));
}

void kc_print_endpoints(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const struct json_object *subsets = kc_json_get(obj, "subsets");
        struct shown s = {0};
        for (size_t i = 0; i < kc_json_len(subsets); i++) {
                const struct json_object *subset = kc_json_idx(subsets, i);
                const struct json_object *addresses = kc_json_get(subset, "addresses");
                const struct json_object *ports = kc_json_get(subset, "ports");
                if (kc_json_len(ports) == 0)
                        show_addresses(&s, addresses, NULL);
                for (size_t k = 0; k < kc_json_len(ports); k++)
                        show_addresses(&s, addresses, kc_json_idx(ports, k));
        }
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, shown_take(&s, kc_json_len(subsets) == 0 ? "<none>" : ""));
        kc_cell_age(cells, obj, now);
}

static char *slice_ports(const struct json_object *ports)
{
        struct shown s = {0};
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *p = kc_json_idx(ports, i);
                const char *name = kc_json_str(p, "name");
                if (kc_json_get(p, "port"))
                        show(&s, kc_asprintf("%lld", (long long)kc_json_int(p, "port", 0)));
                else
                        show(&s, kc_strdup(name ? name : "*"));
        }
        return shown_take(&s, "<unset>");
}

static char *slice_endpoints(const struct json_object *endpoints)
{
        struct shown s = {0};
        for (size_t i = 0; i < kc_json_len(endpoints); i++) {
                const struct json_object *addresses = kc_json_get(kc_json_idx(endpoints, i), "addresses");
                for (size_t k = 0; k < kc_json_len(addresses); k++) {
                        const char *ip = kc_json_as_str(kc_json_idx(addresses, k));
                        show(&s, kc_strdup(ip ? ip : ""));
                }
        }
        return shown_take(&s, "<unset>");
}

void kc_print_endpoint_slice(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str(obj, "addressType"));
        kc_cell_str_take(cells, slice_ports(kc_json_get(obj, "ports")));
        kc_cell_str_take(cells, slice_endpoints(kc_json_get(obj, "endpoints")));
        kc_cell_age(cells, obj, now);
}

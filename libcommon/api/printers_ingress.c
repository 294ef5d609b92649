/* Rows of ingresses, network policies and addresses. */
#include <ctype.h>

#include "api/table_internal.h"
#include "base/mem.h"
#include "base/str.h"

/* "a.example.com,b.example.com + 2 more...". */
static char *rule_hosts(const struct json_object *rules)
{
        enum { MAX = 3 };
        KC_CLEANUP(kc_strv_freep) char **hosts = NULL;
        bool more = false;
        for (size_t i = 0; i < kc_json_len(rules) && !more; i++) {
                const char *host = kc_json_str(kc_json_idx(rules, i), "host");
                more = kc_strv_len(hosts) == MAX;
                if (!more && !kc_str_empty(host))
                        kc_strv_push(&hosts, host);
        }
        if (!hosts)
                return kc_strdup("*");
        char *joined = kc_strv_join(hosts, ",");
        if (!more)
                return joined;
        char *text = kc_asprintf("%s + %zu more...", joined, kc_json_len(rules) - MAX);
        kc_free(joined);
        return text;
}

/* Sorted, each once. */
static char *addresses(const struct json_object *ingress)
{
        KC_CLEANUP(kc_strv_freep) char **all = NULL;
        for (size_t i = 0; i < kc_json_len(ingress); i++) {
                const struct json_object *in = kc_json_idx(ingress, i);
                const char *ip = kc_json_str(in, "ip"), *host = kc_json_str(in, "hostname");
                const char *address = kc_str_empty(ip) ? host : ip;
                if (!kc_str_empty(address) && !kc_strv_has(all, address))
                        kc_strv_push(&all, address);
        }
        if (!all)
                return kc_strdup("");
        kc_strv_sort(all);
        return kc_strv_join(all, ",");
}

void kc_print_ingress(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const char *class = kc_json_str_at(obj, "spec.ingressClassName");
        kc_cell_name(cells, obj);
        kc_cell_str(cells, class ? class : "<none>");
        kc_cell_str_take(cells, rule_hosts(kc_json_at(obj, "spec.rules")));
        kc_cell_str_take(cells, addresses(kc_json_at(obj, "status.loadBalancer.ingress")));
        kc_cell_str(cells, kc_json_len(kc_json_at(obj, "spec.tls")) > 0 ? "80, 443" : "80");
        kc_cell_age(cells, obj, now);
}

void kc_print_ingress_class(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const struct json_object *parameters = kc_json_at(obj, "spec.parameters");
        const char *kind = kc_json_str(parameters, "kind"), *group = kc_json_str(parameters, "apiGroup");
        const char *name = kc_json_str(parameters, "name");
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str_at(obj, "spec.controller"));
        if (parameters)
                kc_cell_str_take(cells,
                    kc_asprintf("%s%s%s/%s", kind ? kind : "", group ? "." : "", group ? group : "", name ? name : ""));
        else
                kc_cell_str(cells, "<none>");
        kc_cell_age(cells, obj, now);
}

void kc_print_network_policy(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, kc_label_selector_format(kc_json_at(obj, "spec.podSelector")));
        kc_cell_age(cells, obj, now);
}

/* "services/default/kubernetes". */
static char *parent(const struct json_object *ref)
{
        const char *resource = kc_json_str(ref, "resource"), *group = kc_json_str(ref, "group");
        const char *ns = kc_json_str(ref, "namespace"), *name = kc_json_str(ref, "name");
        if (!ref)
                return kc_strdup("<none>");
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, resource ? resource : "");
        if (!kc_str_empty(group))
                kc_buf_addf(&b, ".%s", group);
        for (size_t i = 0; i < b.len; i++)
                b.data[i] = (char)tolower((unsigned char)b.data[i]);
        if (!kc_str_empty(ns))
                kc_buf_addf(&b, "/%s", ns);
        kc_buf_addf(&b, "/%s", name ? name : "");
        return kc_buf_take_str(&b);
}

void kc_print_ip_address(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        (void)now; /* no age */
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, parent(kc_json_at(obj, "spec.parentRef")));
}

void kc_print_service_cidr(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_words(cells, kc_json_at(obj, "spec.cidrs"), "");
        kc_cell_age(cells, obj, now);
}

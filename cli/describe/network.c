/* Service, Endpoints, EndpointSlice, Ingress, IngressClass, IPAddress, ServiceCIDR. */
#include <string.h>

#include "cli/describe/internal.h"

/* --- endpoints as a list */

struct words {
        struct kc_buf b;
        size_t n, more;
};
enum { SHOWN = 3 };

static void add_endpoint(struct words *w, const char *ip, int64_t port)
{
        if (w->n >= SHOWN) {
                w->more++;
                return;
        }
        kc_buf_addf(&w->b, strchr(ip, ':') ? "%s[%s]:%lld" : "%s%s:%lld", w->n ? "," : "", ip, (long long)port);
        w->n++;
}

static char *endpoints_words(const struct json_object *slices, const char *port_name)
{
        struct words w = {.b = KC_BUF_INIT};
        if (kc_json_len(slices) == 0)
                return kc_strdup("<none>");
        for (size_t s = 0; s < kc_json_len(slices); s++) {
                const struct json_object *slice = kc_json_idx(slices, s), *ports = kc_json_get(slice, "ports"),
                                         *endpoints = kc_json_get(slice, "endpoints");
                for (size_t i = 0; i < kc_json_len(ports); i++) {
                        const struct json_object *port = kc_json_idx(ports, i);
                        if (!kc_json_get(port, "port") || !kc_streq(kc_text(port, "name"), port_name))
                                continue;
                        for (size_t e = 0; e < kc_json_len(endpoints); e++) {
                                const struct json_object *x = kc_json_idx(endpoints, e);
                                const struct json_object *addresses = kc_json_get(x, "addresses");
                                for (size_t a = 0;
                                     kc_json_bool_at(x, "conditions.ready", true) && a < kc_json_len(addresses); a++)
                                        add_endpoint(&w, kc_json_as_str(kc_json_idx(addresses, a)),
                                            kc_json_int(port, "port", 0));
                        }
                }
        }
        if (w.more > 0)
                kc_buf_addf(&w.b, " + %zu more...", w.more);
        return kc_buf_take_str(&w.b);
}

static const struct kc_gvr slices_gvr = {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true};

static int slices_of(struct kc_describing *d, const char *service, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *selector = kc_asprintf("kubernetes.io/service-name=%s", service);
        return kc_describe_list(d, &slices_gvr, kc_text(d->obj, "metadata.namespace"), selector, NULL, ret, err);
}

/* --- Service */

static void describe_port(struct kc_describing *d, const struct json_object *p, const struct json_object *slices)
{
        const char *name = kc_text(p, "name"), *protocol = kc_text(p, "protocol");
        const struct json_object *target = kc_json_get(p, "targetPort");
        KC_CLEANUP(kc_freep) char *target_text = kc_scalar(target);
        KC_CLEANUP(kc_freep) char *endpoints = endpoints_words(slices, name);
        const char *shown = name[0] ? name : "<unset>";
        kc_line(d, 0, "Port:\t%s\t%lld/%s\n", shown, (long long)kc_json_int(p, "port", 0), protocol);
        kc_line(d, 0, "TargetPort:\t%s/%s\n", target ? target_text : "0", protocol);
        if (kc_json_int(p, "nodePort", 0) != 0)
                kc_line(d, 0, "NodePort:\t%s\t%lld/%s\n", shown, (long long)kc_json_int(p, "nodePort", 0), protocol);
        kc_line(d, 0, "Endpoints:\t%s\n", endpoints);
}

static void describe_list(struct kc_describing *d, const char *label, const struct json_object *list, bool always)
{
        KC_CLEANUP(kc_freep) char *text = kc_joined(list, ",");
        if (kc_json_len(list) > 0 || always)
                kc_line(d, 0, "%s:\t%s\n", label, kc_json_len(list) ? text : "<none>");
}

static char *ingress_words(const struct json_object *status)
{
        const struct json_object *list = kc_json_at(status, "loadBalancer.ingress");
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *x = kc_json_idx(list, i);
                const char *ip = kc_text(x, "ip");
                kc_buf_addf(&b, "%s%s", b.len ? "," : "", ip[0] ? ip : kc_text(x, "hostname"));
        }
        return kc_buf_take_str(&b);
}

static void describe_balancer(struct kc_describing *d)
{
        const struct json_object *list = kc_json_at(d->obj, "status.loadBalancer.ingress");
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *x = kc_json_idx(list, i);
                const char *ip = kc_text(x, "ip"), *mode = kc_json_str(x, "ipMode");
                kc_buf_addf(&b, "%s%s", b.len ? ", " : "", ip[0] ? ip : kc_text(x, "hostname"));
                if (mode && ip[0])
                        kc_buf_addf(&b, " (%s)", mode);
        }
        if (b.len)
                kc_line(d, 0, "LoadBalancer Ingress:\t%s\n", kc_buf_str(&b));
}

int kc_describe_service(struct kc_describing *d, struct kc_error *err)
{
        const struct json_object *spec = kc_json_get(d->obj, "spec"), *ports = kc_json_get(spec, "ports");
        KC_CLEANUP(kc_json_freep) struct json_object *slices = NULL;
        KC_CLEANUP(kc_freep) char *selector = kc_labels_words(kc_json_get(spec, "selector"));
        int e = slices_of(d, kc_meta_name(d->obj), &slices, err);
        if (e < 0)
                return e;
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_describe_meta(d);
        kc_line(d, 0, "Selector:\t%s\n", selector);
        kc_line(d, 0, "Type:\t%s\n", kc_text(spec, "type"));
        if (kc_json_get(spec, "ipFamilyPolicy"))
                kc_line(d, 0, "IP Family Policy:\t%s\n", kc_text(spec, "ipFamilyPolicy"));
        describe_list(d, "IP Families", kc_json_get(spec, "ipFamilies"), true);
        kc_line(d, 0, "IP:\t%s\n", kc_text(spec, "clusterIP"));
        describe_list(d, "IPs", kc_json_get(spec, "clusterIPs"), true);
        describe_list(d, "External IPs", kc_json_get(spec, "externalIPs"), false);
        if (kc_text(spec, "loadBalancerIP")[0])
                kc_line(d, 0, "Desired LoadBalancer IP:\t%s\n", kc_text(spec, "loadBalancerIP"));
        if (kc_text(spec, "externalName")[0])
                kc_line(d, 0, "External Name:\t%s\n", kc_text(spec, "externalName"));
        describe_balancer(d);
        for (size_t i = 0; i < kc_json_len(ports); i++)
                describe_port(d, kc_json_idx(ports, i), slices);
        kc_line(d, 0, "Session Affinity:\t%s\n", kc_text(spec, "sessionAffinity"));
        if (kc_text(spec, "externalTrafficPolicy")[0])
                kc_line(d, 0, "External Traffic Policy:\t%s\n", kc_text(spec, "externalTrafficPolicy"));
        if (kc_json_get(spec, "internalTrafficPolicy"))
                kc_line(d, 0, "Internal Traffic Policy:\t%s\n", kc_text(spec, "internalTrafficPolicy"));
        if (kc_json_int(spec, "healthCheckNodePort", 0) != 0)
                kc_line(d, 0, "HealthCheck NodePort:\t%lld\n", (long long)kc_json_int(spec, "healthCheckNodePort", 0));
        describe_list(d, "LoadBalancer Source Ranges", kc_json_get(spec, "loadBalancerSourceRanges"), false);
        kc_describe_events(d);
        return 0;
}

/* --- Endpoints, EndpointSlice */

static void describe_addresses(struct kc_describing *d, const char *label, const struct json_object *addresses)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < kc_json_len(addresses); i++)
                kc_buf_addf(&b, "%s%s", i ? "," : "", kc_text(kc_json_idx(addresses, i), "ip"));
        kc_line(d, 1, "%s:\t%s\n", label, b.len ? kc_buf_str(&b) : "<none>");
}

static void describe_ports(struct kc_describing *d, int level, const struct json_object *ports)
{
        kc_line(d, level, "Name\tPort\tProtocol\n");
        kc_line(d, level, "----\t----\t--------\n");
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *p = kc_json_idx(ports, i);
                KC_CLEANUP(kc_freep) char *port = kc_scalar(kc_json_get(p, "port"));
                const char *name = kc_text(p, "name");
                kc_line(d, level, "%s\t%s\t%s\n", name[0] ? name : "<unset>", port[0] ? port : "<unset>",
                    kc_text(p, "protocol"));
        }
}

int kc_describe_endpoints(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *subsets = kc_json_get(d->obj, "subsets");
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_describe_meta(d);
        kc_line(d, 0, "Subsets:\n");
        for (size_t i = 0; i < kc_json_len(subsets); i++) {
                const struct json_object *s = kc_json_idx(subsets, i);
                describe_addresses(d, "Addresses", kc_json_get(s, "addresses"));
                describe_addresses(d, "NotReadyAddresses", kc_json_get(s, "notReadyAddresses"));
                if (kc_json_len(kc_json_get(s, "ports")) > 0) {
                        kc_line(d, 1, "Ports:\n");
                        describe_ports(d, 2, kc_json_get(s, "ports"));
                }
                kc_line(d, 0, "\n");
        }
        kc_describe_events(d);
        return 0;
}

static void describe_endpoint(struct kc_describing *d, const struct json_object *e)
{
        static const char *const fields[][2] = {{"NodeName", "nodeName"}, {"Zone", "zone"}};
        const struct json_object *ready = kc_json_at(e, "conditions.ready"), *target = kc_json_get(e, "targetRef");
        KC_CLEANUP(kc_freep) char *addresses = kc_joined(kc_json_get(e, "addresses"), ", ");
        const char *hostname = kc_json_str(e, "hostname");
        kc_line(d, 1, "- Addresses:\t%s\n", addresses[0] ? addresses : "<none>");
        kc_line(d, 2, "Conditions:\n");
        kc_line(d, 3, "Ready:\t%s\n", ready ? kc_bool_word(kc_json_bool_at(e, "conditions.ready", false)) : "<unset>");
        kc_line(d, 2, "Hostname:\t%s\n", hostname ? hostname : "<unset>");
        if (target)
                kc_line(d, 2, "TargetRef:\t%s/%s\n", kc_text(target, "kind"), kc_text(target, "name"));
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++) {
                const char *v = kc_json_str(e, fields[i][1]);
                kc_line(d, 2, "%s:\t%s\n", fields[i][0], v ? v : "<unset>");
        }
        const struct json_object *topology = kc_json_get(e, "deprecatedTopology");
        KC_CLEANUP(kc_strv_freep) char **keys = kc_sorted_keys(topology);
        if (keys)
                kc_line(d, 2, "Topology:\t");
        for (char **k = keys; k && *k; k++)
                kc_line(d, 0, "%s%s=%s\n", k == keys ? "" : "\t", *k, kc_json_str(topology, *k));
}

int kc_describe_endpoint_slice(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *ports = kc_json_get(d->obj, "ports"), *list = kc_json_get(d->obj, "endpoints");
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_describe_meta(d);
        kc_line(d, 0, "AddressType:\t%s\n", kc_text(d->obj, "addressType"));
        if (kc_json_len(ports) == 0) {
                kc_line(d, 0, "Ports: <unset>\n");
        } else {
                kc_line(d, 0, "Ports:\n");
                describe_ports(d, 1, ports);
        }
        kc_line(d, 0, "Endpoints:%s\n", kc_json_len(list) ? "" : " <none>");
        for (size_t i = 0; i < kc_json_len(list); i++)
                describe_endpoint(d, kc_json_idx(list, i));
        kc_describe_events(d);
        return 0;
}

/* --- Ingress, IngressClass */

/* Endpoints of a backend in brackets behind it. Heap. */
static char *backend_endpoints(struct kc_describing *d, const struct json_object *service)
{
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *found = NULL, *slices = NULL;
        const char *name = kc_text(service, "name"), *port_name = kc_text(service, "port.name");
        int e = kc_rest_get(d->rest, &KC_SERVICES, kc_text(d->obj, "metadata.namespace"), name, &found, &why);
        if (e == 0)
                e = slices_of(d, name, &slices, &why);
        if (e < 0)
                return kc_asprintf("<error: %s>", kc_error_message(&why));
        const struct json_object *ports = kc_json_at(found, "spec.ports");
        const char *of = "";
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *p = kc_json_idx(ports, i);
                if (port_name[0] ? kc_streq(kc_text(p, "name"), port_name)
                                 : kc_json_int(p, "port", 0) == kc_json_int_at(service, "port.number", 0))
                        of = kc_text(p, "name");
        }
        return endpoints_words(slices, of);
}

static char *backend_words(const struct json_object *backend)
{
        const struct json_object *service = kc_json_get(backend, "service"),
                                 *resource = kc_json_get(backend, "resource");
        if (service) {
                const char *name = kc_text(service, "port.name");
                KC_CLEANUP(kc_freep) char *number = kc_scalar(kc_json_at(service, "port.number"));
                return kc_asprintf("%s:%s", kc_text(service, "name"), name[0] ? name : number);
        }
        if (resource) {
                const char *group = kc_json_str(resource, "apiGroup");
                return kc_asprintf("APIGroup: %s, Kind: %s, Name: %s", group ? group : "<none>",
                    kc_text(resource, "kind"), kc_text(resource, "name"));
        }
        return kc_strdup("");
}

/* "svc:80 (10.0.0.1:80)", or the resource. Heap. */
static char *backend_full(struct kc_describing *d, const struct json_object *backend)
{
        KC_CLEANUP(kc_freep) char *words = backend_words(backend);
        if (!kc_json_get(backend, "service"))
                return KC_TAKE(words);
        KC_CLEANUP(kc_freep) char *endpoints = backend_endpoints(d, kc_json_get(backend, "service"));
        return kc_asprintf("%s (%s)", words, endpoints);
}

static void describe_tls(struct kc_describing *d, const struct json_object *tls)
{
        if (kc_json_len(tls) > 0)
                kc_line(d, 0, "TLS:\n");
        for (size_t i = 0; i < kc_json_len(tls); i++) {
                const struct json_object *t = kc_json_idx(tls, i);
                KC_CLEANUP(kc_freep) char *hosts = kc_joined(kc_json_get(t, "hosts"), ",");
                if (kc_text(t, "secretName")[0])
                        kc_line(d, 1, "%s terminates %s\n", kc_text(t, "secretName"), hosts);
                else
                        kc_line(d, 1, "SNI routes %s\n", hosts);
        }
}

static void describe_rules(struct kc_describing *d, const struct json_object *backend)
{
        const struct json_object *rules = kc_json_at(d->obj, "spec.rules");
        size_t shown = 0;
        kc_line(d, 0, "Rules:\n  Host\tPath\tBackends\n");
        kc_line(d, 1, "----\t----\t--------\n");
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct json_object *r = kc_json_idx(rules, i), *paths = kc_json_at(r, "http.paths");
                const char *host = kc_text(r, "host");
                if (!kc_json_get(r, "http"))
                        continue;
                shown++;
                kc_line(d, 1, "%s\t\n", host[0] ? host : "*");
                for (size_t p = 0; p < kc_json_len(paths); p++) {
                        const struct json_object *path = kc_json_idx(paths, p);
                        KC_CLEANUP(kc_freep) char *full = backend_full(d, kc_json_get(path, "backend"));
                        kc_line(d, 2, "\t%s \t%s\n", kc_text(path, "path"), full);
                }
        }
        if (shown == 0) {
                KC_CLEANUP(kc_freep) char *full = backend_full(d, backend);
                kc_line(d, 1, "*\t*\t%s\n", full);
        }
}

int kc_describe_ingress(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *spec = kc_json_get(d->obj, "spec"), *backend = kc_json_get(spec, "defaultBackend");
        KC_CLEANUP(kc_freep) char *address = ingress_words(kc_json_get(d->obj, "status"));
        const char *class = kc_json_str(spec, "ingressClassName");
        kc_describe_name(d);
        kc_describe_labels(d, "Labels", kc_json_at(d->obj, "metadata.labels"));
        kc_describe_namespace(d);
        kc_line(d, 0, "Address:\t%s\n", address);
        kc_line(d, 0, "Ingress Class:\t%s\n", class ? class : "<none>");
        if (backend) {
                KC_CLEANUP(kc_freep) char *full = backend_full(d, backend);
                kc_line(d, 0, "Default backend:\t%s\n", full);
        } else {
                kc_line(d, 0, "Default backend:\t<default>\n");
        }
        describe_tls(d, kc_json_get(spec, "tls"));
        describe_rules(d, backend);
        kc_describe_annotations(d, "Annotations", kc_json_at(d->obj, "metadata.annotations"));
        kc_describe_events(d);
        return 0;
}

int kc_describe_ingress_class(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *p = kc_json_at(d->obj, "spec.parameters");
        kc_describe_name(d);
        kc_describe_meta(d);
        kc_line(d, 0, "Controller:\t%s\n", kc_text(d->obj, "spec.controller"));
        if (p) {
                kc_line(d, 0, "Parameters:\n");
                if (kc_json_get(p, "apiGroup"))
                        kc_line(d, 1, "APIGroup:\t%s\n", kc_text(p, "apiGroup"));
                kc_line(d, 1, "Kind:\t%s\n", kc_text(p, "kind"));
                kc_line(d, 1, "Name:\t%s\n", kc_text(p, "name"));
        }
        kc_describe_events(d);
        return 0;
}

/* --- IPAddress, ServiceCIDR */

int kc_describe_ip_address(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        static const char *const fields[][2] = {
            {"Group", "group"}, {"Resource", "resource"}, {"Namespace", "namespace"}, {"Name", "name"}};
        const struct json_object *parent = kc_json_at(d->obj, "spec.parentRef");
        kc_describe_name(d);
        kc_describe_meta(d);
        if (parent)
                kc_line(d, 0, "Parent Reference:\n");
        for (size_t i = 0; parent && i < KC_ARRAY_LEN(fields); i++)
                kc_line(d, 1, "%s:\t%s\n", fields[i][0], kc_text(parent, fields[i][1]));
        kc_describe_events(d);
        return 0;
}

int kc_describe_service_cidr(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *conditions = kc_json_at(d->obj, "status.conditions");
        KC_CLEANUP(kc_freep) char *cidrs = kc_joined(kc_json_at(d->obj, "spec.cidrs"), ", ");
        kc_describe_name(d);
        kc_describe_meta(d);
        kc_line(d, 0, "CIDRs:\t%s\n", cidrs);
        if (kc_json_len(conditions) > 0)
                kc_line(d, 0,
                    "Status:\nConditions:\n  Type\tStatus\tLastTransitionTime\tReason\tMessage\n"
                    "  ----\t------\t------------------\t------\t-------\n");
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const struct json_object *c = kc_json_idx(conditions, i);
                KC_CLEANUP(kc_freep) char *changed = kc_time_words(kc_json_str(c, "lastTransitionTime"));
                kc_line(d, 1, "%s \t%s \t%s \t%s \t%s\n", kc_text(c, "type"), kc_text(c, "status"), changed,
                    kc_text(c, "reason"), kc_text(c, "message"));
        }
        kc_describe_events(d);
        return 0;
}

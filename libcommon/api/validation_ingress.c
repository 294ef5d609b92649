/* Ingresses. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};

void kc_v_typed_local_reference(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ref)
{
        const char *group = kc_json_str(ref, "apiGroup"), *kind = kc_v_str(ref, "kind"), *name = kc_v_str(ref, "name");
        if (group)
                kc_v_name(v, V_CHILD(p, "apiGroup"), group, kc_name_dns1123_subdomain);
        if (*kind)
                kc_v_name(v, V_CHILD(p, "kind"), kind, kc_name_path_segment);
        else
                kc_v_required(v, V_CHILD(p, "kind"), "kind is required");
        if (*name)
                kc_v_name(v, V_CHILD(p, "name"), name, kc_name_path_segment);
        else
                kc_v_required(v, V_CHILD(p, "name"), "name is required");
}

/* --- Backends */

static void service_backend(struct kc_v *v, const struct kc_vpath *p, const struct json_object *service)
{
        const struct json_object *port = kc_json_get(service, "port");
        const char *name = kc_v_str(service, "name"), *port_name = kc_v_str(port, "name");
        int64_t number = kc_json_int(port, "number", 0);
        const struct kc_vpath *at = V_CHILD(p, "service");
        if (*name)
                kc_v_name(v, V_CHILD(at, "name"), name, kc_name_dns1123_label);
        else
                kc_v_required(v, V_CHILD(at, "name"), "");
        if (*port_name && number != 0)
                kc_v_invalid_str(v, p, "", "cannot set both port name & port number");
        else if (*port_name)
                kc_v_name(v, V_CHILD2(at, "port", "name"), port_name, kc_name_port);
        else if (number != 0)
                kc_v_port_number(v, V_CHILD2(at, "port", "number"), number);
        else
                kc_v_required(v, p, "port name or number is required");
}

static void backend(struct kc_v *v, const struct kc_vpath *p, const struct json_object *backend)
{
        const struct json_object *service = kc_json_get(backend, "service");
        const struct json_object *resource = kc_json_get(backend, "resource");
        if (service && resource)
                kc_v_invalid_str(v, p, "", "cannot set both resource and service backends");
        else if (resource)
                kc_v_typed_local_reference(v, V_CHILD(p, "resource"), resource);
        else if (service)
                service_backend(v, p, service);
        else
                kc_v_invalid_str(v, p, "", "resource or service backend is required");
}

/* --- Rules */

static void absolute_path(struct kc_v *v, const struct kc_vpath *p, const char *path)
{
        static const char *const sequences[] = {"//", "/./", "/../", "%2f", "%2F"}, *const ends[] = {"/..", "/."};
        if (*path != '/')
                kc_v_invalid_str(v, p, path, "must be an absolute path");
        for (size_t i = 0; i < KC_ARRAY_LEN(sequences); i++) {
                KC_CLEANUP(kc_freep) char *detail = kc_asprintf("must not contain '%s'", sequences[i]);
                if (strstr(path, sequences[i]))
                        kc_v_invalid_str(v, p, path, detail);
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(ends); i++) {
                KC_CLEANUP(kc_freep) char *detail = kc_asprintf("cannot end with '%s'", ends[i]);
                if (kc_str_has_suffix(path, ends[i]))
                        kc_v_invalid_str(v, p, path, detail);
        }
}

static void http_path(struct kc_v *v, const struct kc_vpath *p, const struct json_object *path)
{
        static const char *const types[] = {"Exact", "ImplementationSpecific", "Prefix", NULL};
        const char *type = kc_json_str(path, "pathType"), *text = kc_v_str(path, "path");
        if (!type) {
                kc_v_required(v, V_CHILD(p, "pathType"), "pathType must be specified");
                return;
        }
        if (kc_streq(type, "Exact") || kc_streq(type, "Prefix"))
                absolute_path(v, V_CHILD(p, "path"), text);
        else if (!kc_streq(type, "ImplementationSpecific"))
                kc_v_not_supported(v, V_CHILD(p, "pathType"), type, types);
        else if (*text && *text != '/')
                kc_v_invalid_str(v, V_CHILD(p, "path"), text, "must be an absolute path");
        backend(v, V_CHILD(p, "backend"), kc_json_get(path, "backend"));
}

static void host_name(struct kc_v *v, const struct kc_vpath *p, const char *host)
{
        if (strchr(host, '*'))
                kc_v_name(v, p, host, kc_name_wildcard_dns1123_subdomain);
        else
                kc_v_name(v, p, host, kc_name_dns1123_subdomain);
}

static void rule(struct kc_v *v, const struct kc_vpath *p, size_t i, const struct json_object *rule)
{
        const char *host = kc_v_str(rule, "host");
        const struct json_object *http = kc_json_get(rule, "http"), *paths = kc_json_get(http, "paths");
        /* Upstream gives the index 0 to the paths of every rule. */
        const struct kc_vpath *at = V_CHILD2(V_INDEX(p, 0), "http", "paths");
        struct kc_ip ip;
        if (*host && kc_ip_parse(host, &ip) == 0)
                kc_v_invalid_str(v, V_CHILD(V_INDEX(p, i), "host"), host, "must be a DNS name, not an IP address");
        if (*host)
                host_name(v, V_CHILD(V_INDEX(p, i), "host"), host);
        if (!http)
                return;
        if (kc_json_len(paths) == 0)
                kc_v_required(v, at, "");
        for (size_t j = 0; j < kc_json_len(paths); j++)
                http_path(v, V_INDEX(at, j), kc_json_idx(paths, j));
}

static void tls(struct kc_v *v, const struct kc_vpath *p, const struct json_object *tls)
{
        const struct json_object *hosts = kc_json_get(tls, "hosts");
        const char *secret = kc_v_str(tls, "secretName");
        for (size_t i = 0; i < kc_json_len(hosts); i++) {
                const char *host = kc_json_as_str(kc_json_idx(hosts, i));
                host_name(v, V_INDEX(V_CHILD(p, "hosts"), i), host ? host : "");
        }
        if (*secret)
                kc_v_name(v, V_CHILD(p, "secretName"), secret, kc_name_dns1123_subdomain);
}

static void ingress_spec(struct kc_v *v, const struct json_object *spec)
{
        const struct json_object *rules = kc_json_get(spec, "rules"), *list = kc_json_get(spec, "tls");
        const struct json_object *default_backend = kc_json_get(spec, "defaultBackend");
        const char *class = kc_json_str(spec, "ingressClassName");
        if (kc_json_len(rules) == 0 && !default_backend)
                kc_v_invalid(v, &spec_path, rules, "either `defaultBackend` or `rules` must be specified");
        if (default_backend)
                backend(v, V_CHILD(&spec_path, "defaultBackend"), default_backend);
        for (size_t i = 0; i < kc_json_len(rules); i++)
                rule(v, V_CHILD(&spec_path, "rules"), i, kc_json_idx(rules, i));
        for (size_t i = 0; i < kc_json_len(list); i++)
                tls(v, V_INDEX(V_CHILD(&spec_path, "tls"), i), kc_json_idx(list, i));
        if (class)
                kc_v_name(v, V_CHILD(&spec_path, "ingressClassName"), class, kc_name_dns1123_subdomain);
}

void kc_v_create_ingress(struct kc_v *v, const struct json_object *o)
{
        static const char annotation[] = "kubernetes.io/ingress.class";
        const char *old_way = kc_json_str(kc_json_at(o, "metadata.annotations"), annotation);
        const char *class = kc_json_str_at(o, "spec.ingressClassName");
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        ingress_spec(v, kc_json_get(o, "spec"));
        if (old_way && class && !kc_streq(old_way, class))
                kc_v_invalid_str(v, V_CHILD2(NULL, "annotations", annotation), old_way,
                    "must match `ingressClassName` when both are specified");
}

static void load_balancer(struct kc_v *v, const struct json_object *status)
{
        const struct json_object *list = kc_json_at(status, "loadBalancer.ingress");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct kc_vpath *p = V_INDEX(V_CHILD3(NULL, "status", "loadBalancer", "ingress"), i);
                const char *ip = kc_v_str(kc_json_idx(list, i), "ip");
                const char *host = kc_v_str(kc_json_idx(list, i), "hostname");
                struct kc_ip parsed;
                if (*ip)
                        (void)kc_v_ip(v, V_CHILD(p, "ip"), ip); /* noted if invalid */
                if (*host)
                        kc_v_name(v, V_CHILD(p, "hostname"), host, kc_name_dns1123_subdomain);
                if (*host && kc_ip_parse(host, &parsed) == 0)
                        kc_v_invalid_str(v, V_CHILD(p, "hostname"), host, "must be a DNS name, not an IP address");
        }
}

void kc_v_update_ingress(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "status")) {
                load_balancer(v, kc_json_get(o, "status"));
                return;
        }
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        ingress_spec(v, kc_json_get(o, "spec"));
}

/* Services and Ingresses. Any thread. */
#include <errno.h>
#include <string.h>

#include "api/names.h"
#include "base/str.h"
#include "cli/generate/generate.h"

enum { MAX_PORT = 65535 };

/* --- services */

static int parse_uint(const char *text, uint64_t max, uint64_t *ret, struct kc_error *err)
{
        int e = text[0] >= '0' && text[0] <= '9' ? kc_str_to_u64(text, ret) : -EINVAL;
        if (e < 0 || *ret > max)
                return kc_error_set(err, EINVAL, "strconv.ParseUint: parsing \"%s\": %s", text,
                    e == -EINVAL ? "invalid syntax" : "value out of range");
        return 0;
}

static int bad_target(const char *text, struct kc_error *err)
{
        struct kc_why why = {0};
        kc_name_port(text, &why);
        if (why.n == 0)
                return 0;
        KC_CLEANUP(kc_freep) char *all = kc_why_join(&why, ",");
        return kc_error_set(err, EINVAL, "%s", all);
}

static int add_port(struct json_object *ports, const char *arg, int64_t node_port, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(arg, ':');
        uint64_t port = 0;
        int64_t number;
        const char *first = parts[0] ? parts[0] : "";
        int e = parse_uint(first, MAX_PORT, &port, err);
        if (e < 0)
                return e;
        const char *target = parts[0] && parts[1] ? parts[1] : first;
        bool is_number = kc_str_to_i64(target, &number) == 0;
        if (is_number && (number < 0 || number > MAX_PORT))
                return kc_error_set(err, EINVAL, "must be between 1 and 65535, inclusive");
        if (!is_number && (e = bad_target(target, err)) < 0)
                return e;
        KC_CLEANUP(kc_freep) char *name = kc_str_replace_all(arg, ":", "-");
        struct json_object *p = kc_json_build("{'name':%s,'port':%lld,'protocol':'TCP'}", name, (long long)port);
        if (is_number)
                kc_json_set_int(p, "targetPort", number);
        else
                kc_json_set_str(p, "targetPort", target);
        if (node_port != 0)
                kc_json_set_int(p, "nodePort", node_port);
        kc_json_push(ports, p);
        return 0;
}

static int check_service(const struct kc_generate_service *s, struct kc_error *err)
{
        if (kc_streq(s->cluster_ip, "None") && kc_strv_len(s->tcp) > 0)
                return kc_error_set(err, EINVAL, "can not map ports with clusterip=None");
        if (!kc_streq(s->cluster_ip, "None") && kc_strv_len(s->tcp) == 0 && !kc_streq(s->type, "ExternalName"))
                return kc_error_set(err, EINVAL, "at least one tcp port specifier must be provided");
        if (kc_streq(s->type, "ExternalName")) {
                struct kc_why why = {0};
                kc_name_dns1123_subdomain(s->external_name ? s->external_name : "", &why);
                if (why.n > 0)
                        return kc_error_set(err, EINVAL, "invalid service external name %s", s->external_name);
        }
        return 0;
}

int kc_generate_service(const struct kc_generate_service *s, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj = kc_json_build("{'apiVersion':'v1','kind':'Service','metadata':{'labels':{'app':%s},"
                                                "'name':%s},'spec':{'selector':{'app':%s},'type':%s}}",
            s->name, s->name, s->name, s->type);
        struct json_object *spec = kc_json_get_mut(obj, "spec");
        int e = check_service(s, err);
        for (char *const *t = s->tcp; e == 0 && t && *t; t++)
                e = add_port(kc_json_ensure_arr(spec, "ports"), *t, s->node_port, err);
        if (e < 0)
                return e;
        if (!kc_str_empty(s->cluster_ip))
                kc_json_set_str(spec, "clusterIP", s->cluster_ip);
        if (!kc_str_empty(s->external_name))
                kc_json_set_str(spec, "externalName", s->external_name);
        *ret = KC_TAKE(obj);
        return 0;
}

/* --- ingresses: host/path=service:port[,tls[=secret]] */

struct rule {
        char *host, *path, *service, *port;
        bool prefix;
        char *secret; /* NULL: no TLS; "": the controller's own certificate */
};

static void rule_done(struct rule *r)
{
        kc_free(r->host);
        kc_free(r->path);
        kc_free(r->service);
        kc_free(r->port);
        kc_free(r->secret);
}

static int bad_rule(const char *text, struct kc_error *err)
{
        return kc_error_set(
            err, EINVAL, "rule %s is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]", text);
}

static bool is_service_word(const char *s)
{
        return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

static int parse_tls(struct rule *r, const char *text)
{
        if (kc_streq(text, "tls"))
                r->secret = kc_strdup("");
        else if (kc_str_has_prefix(text, "tls=") &&
                 strspn(text + 4, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") ==
                     strlen(text + 4))
                r->secret = kc_strdup(text + 4);
        else
                return -EINVAL;
        return 0;
}

static int parse_rule(const char *text, struct rule *r, struct kc_error *err)
{
        const char *slash = strchr(text, '/'), *eq = slash ? strchr(slash, '=') : NULL;
        if (!eq)
                return bad_rule(text, err);
        r->host = kc_strndup(text, (size_t)(slash - text));
        size_t len = (size_t)(eq - slash);
        r->prefix = slash[len - 1] == '*';
        r->path = kc_strndup(slash, r->prefix ? len - 1 : len);
        const char *comma = strchr(eq, ','), *colon = strchr(eq, ':');
        if (!colon || (comma && colon > comma))
                return bad_rule(text, err);
        r->service = kc_strndup(eq + 1, (size_t)(colon - eq - 1));
        r->port = comma ? kc_strndup(colon + 1, (size_t)(comma - colon - 1)) : kc_strdup(colon + 1);
        if (!is_service_word(r->service) || !is_service_word(r->port) || (comma && parse_tls(r, comma + 1) < 0))
                return bad_rule(text, err);
        return 0;
}

static struct json_object *backend(const char *service, const char *port)
{
        int64_t number;
        struct json_object *p = json_object_new_object();
        if (kc_str_to_i64(port, &number) == 0)
                kc_json_set_int(p, "number", number);
        else
                kc_json_set_str(p, "name", port);
        return kc_json_build("{'service':{'name':%s,'port':%o}}", service, p);
}

static void add_rule(struct json_object *spec, const struct rule *r)
{
        struct json_object *rules = kc_json_ensure_arr(spec, "rules"), *at = NULL;
        for (size_t i = 0; i < kc_json_len(rules) && !at; i++) {
                const char *host = kc_json_str(kc_json_idx(rules, i), "host");
                if (kc_streq(host ? host : "", r->host))
                        at = kc_json_idx_mut(rules, i);
        }
        if (!at) {
                at = json_object_new_object();
                if (r->host[0])
                        kc_json_set_str(at, "host", r->host);
                kc_json_push(rules, at);
        }
        kc_json_push(kc_json_ensure_arr(kc_json_ensure_obj(at, "http"), "paths"),
            kc_json_build("{'path':%s,'pathType':%s,'backend':%o}", r->path, r->prefix ? "Prefix" : "Exact",
                backend(r->service, r->port)));
}

/* One entry for each secret, with the hosts that use it. */
static void add_tls(struct json_object *spec, const struct rule *r)
{
        struct json_object *tls = kc_json_ensure_arr(spec, "tls"), *at = NULL;
        for (size_t i = 0; i < kc_json_len(tls) && !at; i++) {
                const char *secret = kc_json_str(kc_json_idx(tls, i), "secretName");
                if (kc_streq(secret ? secret : "", r->secret))
                        at = kc_json_idx_mut(tls, i);
        }
        if (!at) {
                at = json_object_new_object();
                if (r->secret[0])
                        kc_json_set_str(at, "secretName", r->secret);
                kc_json_push(tls, at);
        }
        if (!r->host[0])
                return;
        struct json_object *hosts = kc_json_ensure_arr(at, "hosts");
        for (size_t i = 0; i < kc_json_len(hosts); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(hosts, i)), r->host))
                        return;
        kc_json_push_str(hosts, r->host);
}

static int add_annotations(struct json_object *obj, char *const *annotations, struct kc_error *err)
{
        for (char *const *a = annotations; a && *a; a++) {
                const char *eq = strchr(*a, '=');
                if (!eq || eq == *a)
                        return kc_error_set(
                            err, EINVAL, "annotation %s is invalid and should be in format key=[value]", *a);
                KC_CLEANUP(kc_freep) char *key = kc_strndup(*a, (size_t)(eq - *a));
                kc_json_set_str(kc_json_ensure_obj(kc_json_get_mut(obj, "metadata"), "annotations"), key, eq + 1);
        }
        return 0;
}

static int set_default_backend(struct json_object *spec, const char *text, struct kc_error *err)
{
        if (kc_str_empty(text))
                return 0;
        const char *colon = strchr(text, ':');
        if (!colon || colon == text || !colon[1] || strchr(colon + 1, ':'))
                return kc_error_set(err, EINVAL, "default-backend should be in format servicename:serviceport");
        KC_CLEANUP(kc_freep) char *service = kc_strndup(text, (size_t)(colon - text));
        kc_json_set(spec, "defaultBackend", backend(service, colon + 1));
        return 0;
}

int kc_generate_ingress(const struct kc_generate_ingress *i, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj = kc_json_build(
            "{'apiVersion':'networking.k8s.io/v1','kind':'Ingress','metadata':{'name':%s},'spec':{}}", i->name);
        struct json_object *spec = kc_json_get_mut(obj, "spec");
        if (kc_strv_len(i->rules) == 0 && kc_str_empty(i->default_backend))
                return kc_error_set(err, EINVAL,
                    "not enough information provided: every ingress has to either specify a default-backend (which "
                    "catches all traffic) or a list of rules (which catch specific paths)");
        for (char *const *text = i->rules; text && *text; text++) {
                KC_CLEANUP(rule_done) struct rule r = {0};
                int e = parse_rule(*text, &r, err);
                if (e < 0)
                        return e;
                add_rule(spec, &r);
                if (r.secret)
                        add_tls(spec, &r);
        }
        int e = add_annotations(obj, i->annotations, err);
        if (e == 0)
                e = set_default_backend(spec, i->default_backend, err);
        if (e < 0)
                return e;
        if (!kc_str_empty(i->class_name))
                kc_json_set_str(spec, "ingressClassName", i->class_name);
        *ret = KC_TAKE(obj);
        return 0;
}

/* <NAME>_SERVICE_HOST and the other variables of services (upstream: pkg/kubelet/envvars). Any thread. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kubelet/env/env_internal.h"

static char *variable_name(const char *s)
{
        char *v = kc_strdup(s);
        for (char *c = v; *c; c++)
                *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        return v;
}

static void KC_PRINTF(3, 4) setf(struct kc_env *e, char *take_name, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *value = kc_vasprintf(fmt, ap);
        va_end(ap);
        kc_env_set(e, take_name, value);
        kc_free(take_name);
}

/* What Docker's links had. */
static void add_links(struct kc_env *e, const char *prefix, const char *ip, const struct json_object *ports)
{
        bool v6 = strchr(ip, ':') != NULL;
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *p = kc_json_idx(ports, i);
                long long port = kc_json_int(p, "port", 0);
                KC_CLEANUP(kc_freep) char *upper = variable_name(kc_json_str(p, "protocol") ?: "TCP");
                KC_CLEANUP(kc_freep) char *lower = kc_strdup(upper);
                for (char *c = lower; *c; c++)
                        *c = (char)tolower((unsigned char)*c);
                KC_CLEANUP(kc_freep)
                char *url = kc_asprintf(v6 ? "%s://[%s]:%lld" : "%s://%s:%lld", lower, ip, port);
                if (i == 0)
                        setf(e, kc_asprintf("%s_PORT", prefix), "%s", url);
                KC_CLEANUP(kc_freep) char *port_prefix = kc_asprintf("%s_PORT_%lld_%s", prefix, port, upper);
                setf(e, kc_strdup(port_prefix), "%s", url);
                setf(e, kc_asprintf("%s_PROTO", port_prefix), "%s", lower);
                setf(e, kc_asprintf("%s_PORT", port_prefix), "%lld", port);
                setf(e, kc_asprintf("%s_ADDR", port_prefix), "%s", ip);
        }
}

static void add_service(struct kc_env *e, const struct json_object *service)
{
        const char *ip = kc_json_str_at(service, "spec.clusterIP");
        const struct json_object *ports = kc_json_at(service, "spec.ports");
        if (kc_str_empty(ip) || kc_streq(ip, "None") || kc_json_len(ports) == 0)
                return;
        KC_CLEANUP(kc_freep) char *prefix = variable_name(kc_meta_name(service) ?: "");
        setf(e, kc_asprintf("%s_SERVICE_HOST", prefix), "%s", ip);
        setf(e, kc_asprintf("%s_SERVICE_PORT", prefix), "%lld",
            (long long)kc_json_int(kc_json_idx(ports, 0), "port", 0));
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *p = kc_json_idx(ports, i);
                const char *name = kc_json_str(p, "name");
                if (kc_str_empty(name))
                        continue;
                KC_CLEANUP(kc_freep) char *upper = variable_name(name);
                setf(e, kc_asprintf("%s_SERVICE_PORT_%s", prefix, upper), "%lld", (long long)kc_json_int(p, "port", 0));
        }
        add_links(e, prefix, ip, ports);
}

void kc_env_services(struct kc_informer *services, const char *ns, bool links, struct kc_env *ret)
{
        struct kc_objects in_ns = {0};
        bool own_master = links && kc_streq(ns, "default");
        if (links)
                kc_informer_list(services, ns, NULL, &in_ns);
        bool has_name = false;
        for (size_t i = 0; i < in_ns.n; i++) {
                has_name |= kc_streq(kc_object_name(in_ns.v[i]), "kubernetes");
                add_service(ret, kc_object_json(in_ns.v[i]));
        }
        kc_objects_done(&in_ns);
        /* A service of that name in the pod's own namespace wins. */
        if (own_master || has_name)
                return;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *master = kc_informer_lookup(services, "default", "kubernetes");
        if (master)
                add_service(ret, kc_object_json(master));
}

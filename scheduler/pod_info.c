/* Parses a pod into numbers. Loop thread; the table of resource names is the process's. */
#include "scheduler/pod_info.h"

#include <stdio.h>
#include <string.h>

#include "api/quantity.h"
#include "base/str.h"

enum { DEFAULT_MILLI_CPU = 100, DEFAULT_MEMORY = 200 * 1024 * 1024 };

static const char *names[KC_RES_MAX] = {"cpu", "memory", "ephemeral-storage", "pods"};
static int n_names = KC_RES_FIRST_EXTENDED;

int kc_resource_id(const char *name)
{
        for (int i = 0; i < n_names; i++)
                if (strcmp(names[i], name) == 0)
                        return i;
        if (n_names == KC_RES_MAX)
                return -1;
        names[n_names] = kc_strdup(name);
        return n_names++;
}

const char *kc_resource_name(int id)
{
        return names[id];
}

int kc_resource_count(void)
{
        return n_names;
}

static void collect_names(const struct json_object *containers)
{
        for (size_t i = 0; i < kc_json_len(containers); i++)
                KC_JSON_FOREACH(kc_json_at(kc_json_idx(containers, i), "resources.requests"), name, value)
                {
                        (void)value;
                        (void)kc_resource_id(name); /* one too many is not counted, as kc_pod_info says */
                }
}

static void collect_ports(struct kc_pod_info *p, const struct json_object *containers)
{
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                const struct json_object *ports = kc_json_get(kc_json_idx(containers, i), "ports");
                for (size_t j = 0; j < kc_json_len(ports); j++) {
                        const struct json_object *port = kc_json_idx(ports, j);
                        int number = (int)kc_json_int(port, "hostPort", 0);
                        const char *ip = kc_json_str(port, "hostIP"), *proto = kc_json_str(port, "protocol");
                        if (number <= 0)
                                continue;
                        p->ports = kc_reallocarray(p->ports, p->n_ports + 1, sizeof(*p->ports));
                        struct kc_host_port *hp = &p->ports[p->n_ports++];
                        hp->port = number;
                        (void)snprintf(hp->ip, sizeof(hp->ip), "%s", kc_str_empty(ip) ? "0.0.0.0" : ip);
                        (void)snprintf(hp->proto, sizeof(hp->proto), "%s", kc_str_empty(proto) ? "TCP" : proto);
                }
        }
}

static int64_t request_or(const struct json_object *container, const char *name, int64_t def, bool milli)
{
        const char *text = kc_json_str(kc_json_at(container, "resources.requests"), name);
        struct kc_quantity q;

        if (!text || kc_quantity_parse(text, &q) < 0)
                return def;
        return milli ? kc_quantity_milli(&q) : kc_quantity_value(&q);
}

/* Requests with defaults for containers that have none; like kc_pod_request, init containers count by their maximum,
 * sidecars (restartPolicy Always) for the whole life of the pod. */
static int64_t nonzero(const struct json_object *spec, const char *name, int64_t def, bool milli)
{
        const struct json_object *containers = kc_json_get(spec, "containers"),
                                 *inits = kc_json_get(spec, "initContainers");
        int64_t sum = 0, sidecars = 0, init_max = 0;

        for (size_t i = 0; i < kc_json_len(containers); i++)
                sum += request_or(kc_json_idx(containers, i), name, def, milli);
        for (size_t i = 0; i < kc_json_len(inits); i++) {
                const struct json_object *c = kc_json_idx(inits, i);
                int64_t r = request_or(c, name, def, milli);
                if (kc_streq(kc_json_str(c, "restartPolicy"), "Always")) {
                        sidecars += r;
                        r = 0;
                }
                init_max = KC_MAX(init_max, sidecars + r);
        }
        return KC_MAX(sum + sidecars, init_max);
}

struct kc_pod_info *kc_pod_info_new(struct kc_object *pod)
{
        const struct json_object *tree = kc_object_json(pod), *spec = kc_json_get(tree, "spec");
        struct kc_pod_info *p = KC_NEW(struct kc_pod_info);

        p->obj = kc_object_ref(pod);
        p->key = kc_meta_key(tree);
        p->uid = kc_strdup(kc_meta_uid(tree));
        p->priority = (int32_t)kc_json_int(spec, "priority", 0);
        collect_names(kc_json_get(spec, "containers"));
        collect_names(kc_json_get(spec, "initContainers"));
        for (int i = 0; i < n_names; i++)
                p->req[i] = i == KC_RES_PODS ? 1 : kc_pod_request(tree, names[i]);
        p->nonzero_cpu = nonzero(spec, "cpu", DEFAULT_MILLI_CPU, true);
        p->nonzero_memory = nonzero(spec, "memory", DEFAULT_MEMORY, false);
        collect_ports(p, kc_json_get(spec, "containers"));
        collect_ports(p, kc_json_get(spec, "initContainers"));
        return p;
}

void kc_pod_info_free(struct kc_pod_info *p)
{
        kc_object_unref(p->obj);
        kc_free(p->key);
        kc_free(p->uid);
        kc_free(p->ports);
        kc_free(p);
}

bool kc_host_port_conflicts(const struct kc_host_port *a, const struct kc_host_port *b)
{
        return a->port == b->port && strcmp(a->proto, b->proto) == 0 &&
               (strcmp(a->ip, b->ip) == 0 || strcmp(a->ip, "0.0.0.0") == 0 || strcmp(b->ip, "0.0.0.0") == 0);
}

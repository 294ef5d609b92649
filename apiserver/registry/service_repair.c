/* Makes IPAddress objects agree with the Services that exist, and says what it could not put right. One worker at a
 * time. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/status.h"
#include "base/log.h"
#include "base/str.h"
#include "registry/service_alloc_internal.h"
#include "registry/strategy.h"

/* What was taken less than so long ago may belong to a Service that is not stored yet. */
#define LEAK_AGE (60 * KC_SEC)

enum { MAX_SAID = 10000 };

struct repair {
        struct kc_service_alloc *a;
        struct svc_range *ranges;
        size_t n_ranges;
        struct kc_map *owners; /* address -> Service (struct kc_object *) that has it */
};

/* --- events, each once while this apiserver runs */

static void say(struct kc_service_alloc *a, const struct kc_object *about, const char *api_version, const char *kind,
    const char *reason, char *take_message)
{
        KC_CLEANUP(kc_freep) char *message = take_message;
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s/%s", kc_object_uid(about), reason, message);
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        const char *ns = kc_object_namespace(about)[0] ? kc_object_namespace(about) : "default";
        struct kc_registry_ctx c;
        char now[KC_TIME_LEN];

        if (kc_map_len(a->said) >= MAX_SAID)
                kc_map_clear(a->said);
        if (!kc_map_set(a->said, key, a))
                return;
        kc_log_warn("Address of a Service", "reason", reason, "message", message);
        kc_time_format(kc_clock_now(a->clock), now);
        kc_registry_ctx_init(&c, a->registry, "", "events", ns, "", NULL, false, NULL);
        struct json_object *event = kc_json_build(
            "{'apiVersion':'v1','kind':'Event','metadata':{'generateName':%s,'namespace':%s},'involvedObject':"
            "{'apiVersion':%s,'kind':%s,'namespace':%s,'name':%s,'uid':%s},'type':'Warning','reason':%s,'message':%s,"
            "'source':{'component':'ipallocator-repair-controller'},'firstTimestamp':%s,'lastTimestamp':%s,'count':1}",
            "service-ip-", ns, api_version, kind, kc_object_namespace(about), kc_object_name(about),
            kc_object_uid(about), reason, message, now, now);
        if (kc_registry_create(&c, event, NULL, NULL, &err) < 0)
                kc_log_error(&err, "Cannot record an event about an address, ignoring");
}

static void say_service(struct repair *p, const struct kc_object *svc, const char *reason, char *take_message)
{
        say(p->a, svc, "v1", "Service", reason, take_message);
}

static void say_address(struct repair *p, const struct kc_object *address, const char *reason, char *take_message)
{
        say(p->a, address, "networking.k8s.io/v1", "IPAddress", reason, take_message);
}

/* --- Services: what they have must be theirs */

/* The store decides: the list of Services may be older than the address. */
static bool service_has(struct repair *p, const struct json_object *ref, const char *ip)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *svc = NULL;
        const struct json_object *ips;
        int r = kc_resources_get_live(p->a->resources, "", "services", kc_json_str(ref, "namespace") ?: "",
            kc_json_str(ref, "name") ?: "", &svc, NULL);

        if (r < 0)
                return r != -ENOENT; /* nobody knows: the next round */
        ips = kc_json_at(kc_object_json(svc), "spec.clusterIPs");
        for (size_t i = 0; i < kc_json_len(ips); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(ips, i)), ip))
                        return true;
        return false;
}

static bool refers_to(const struct json_object *address, const struct kc_object *svc)
{
        const struct json_object *ref = kc_json_at(address, "spec.parentRef");
        return kc_streq(kc_json_str(ref, "resource"), "services") &&
               kc_streq(kc_json_str(ref, "namespace"), kc_object_namespace(svc)) &&
               kc_streq(kc_json_str(ref, "name"), kc_object_name(svc));
}

static const char *family_of(const struct kc_ip *ip)
{
        return ip->family == AF_INET6 ? "IPv6" : "IPv4";
}

static int recreate(struct repair *p, const struct kc_object *svc, const char *ip, struct kc_error *err)
{
        const struct kc_service_owner o = {
            .ns = kc_object_namespace(svc), .name = kc_object_name(svc), .uid = kc_object_uid(svc)};
        int r = svc_create_address(p->a, &o, ip, false, err);

        return r == -EEXIST ? 0 : r; /* it has come meanwhile: the next round looks at it */
}

static int repair_address(struct repair *p, const struct kc_object *svc, const char *text, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *address = NULL;
        struct kc_ip ip;
        char name[KC_IP_LEN];
        bool inside = false;

        if (kc_ip_parse(text, &ip) < 0) {
                say_service(p, svc, "ClusterIPNotValid",
                    kc_asprintf("Cluster IP %s is not a valid IP; please recreate service", text));
                return 0;
        }
        for (size_t i = 0; i < p->n_ranges; i++)
                inside |= svc_range_has(&p->ranges[i], &ip);
        (void)kc_ip_format(&ip, name);
        if (kc_map_has(p->owners, name)) {
                say_service(p, svc, "ClusterIPAlreadyAllocated",
                    kc_asprintf("Cluster IP [%s]: %s was assigned to multiple services; please recreate service",
                        family_of(&ip), name));
                return 0;
        }
        (void)kc_map_set(p->owners, name, (void *)svc); /* it is new */
        int r = kc_resources_get(p->a->resources, SVC_GROUP, SVC_ADDRESSES, "", name, &address, NULL);
        if (r == 0 && refers_to(kc_object_json(address), svc))
                return 0;
        if (!inside) {
                say_service(p, svc, "ClusterIPOutOfRange",
                    kc_asprintf(
                        "Cluster IP [%s]: %s is not within any configured Service CIDR; please recreate service",
                        family_of(&ip), name));
                return 0;
        }
        if (r < 0) {
                say_service(p, svc, "ClusterIPNotAllocated",
                    kc_asprintf("Cluster IP [%s]: %s is not allocated; repairing", family_of(&ip), name));
                return recreate(p, svc, name, err);
        }
        /* The list of Services may be older than the address, which may be another one's by now. */
        if (service_has(p, kc_json_at(kc_object_json(address), "spec.parentRef"), name)) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *self =
                    kc_json_build("{'namespace':%s,'name':%s}", kc_object_namespace(svc), kc_object_name(svc));
                if (service_has(p, self, name))
                        say_service(p, svc, "ClusterIPAlreadyAllocated",
                            kc_asprintf(
                                "Cluster IP [%s]: %s was assigned to multiple services; please recreate service",
                                family_of(&ip), name));
                return 0;
        }
        say_address(p, address, "IPAddressWrongReference",
            kc_asprintf("IPAddress: %s for Service %s/%s has a wrong reference; cleaning up", name,
                kc_object_namespace(svc), kc_object_name(svc)));
        r = svc_delete_address(p->a, address, err);
        return r < 0 ? r : recreate(p, svc, name, err);
}

static int repair_service(struct repair *p, const struct kc_object *svc, struct kc_error *err)
{
        const struct json_object *tree = kc_object_json(svc), *ips = kc_json_at(tree, "spec.clusterIPs");
        int r = 0;

        if (kc_streq(kc_json_str_at(tree, "spec.type"), "ExternalName"))
                return 0;
        for (size_t i = 0; r == 0 && i < kc_json_len(ips); i++) {
                const char *ip = kc_json_as_str(kc_json_idx(ips, i));
                if (!kc_str_empty(ip) && strcmp(ip, "None") != 0)
                        r = repair_address(p, svc, ip, err);
        }
        return r;
}

/* --- addresses that no Service has */

static int free_leaked(struct repair *p, const struct kc_object *address, struct kc_error *err)
{
        const struct json_object *tree = kc_object_json(address), *ref = kc_json_at(tree, "spec.parentRef");
        const char *ip = kc_object_name(address);

        if (!kc_streq(kc_meta_label(tree, SVC_MANAGED_BY), SVC_ALLOCATOR) || kc_map_has(p->owners, ip) ||
            kc_meta_deleting(tree))
                return 0;
        if (!kc_streq(kc_json_str(ref, "resource"), "services") || !kc_str_empty(kc_json_str(ref, "group"))) {
                say_address(p, address, "IPAddressNotAllocated",
                    kc_asprintf(
                        "IPAddress %s appears to have been modified, not referencing a Service %s/%s: cleaning up", ip,
                        kc_json_str(ref, "namespace") ?: "", kc_json_str(ref, "name") ?: ""));
                return svc_delete_address(p->a, address, err);
        }
        if (kc_meta_creation_time(tree) + LEAK_AGE > kc_clock_now(p->a->clock) || service_has(p, ref, ip))
                return 0;
        say_address(p, address, "IPAddressNotAllocated",
            kc_asprintf("IPAddress: %s for Service %s/%s appears to have leaked: cleaning up", ip,
                kc_json_str(ref, "namespace") ?: "", kc_json_str(ref, "name") ?: ""));
        return svc_delete_address(p->a, address, err);
}

int svc_repair_addresses(struct kc_service_alloc *a, const struct kc_objects *services, struct kc_error *err)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *owners = kc_map_new(NULL);
        struct repair p = {.a = a, .owners = owners};
        struct kc_objects addresses = {0};
        int r = svc_migrate(a, err);

        if (r == 0)
                r = svc_ranges(a, 0, &p.ranges, &p.n_ranges, err);
        for (size_t i = 0; r == 0 && i < services->n; i++)
                r = repair_service(&p, services->v[i], err);
        if (r == 0)
                r = kc_resources_list(a->resources, SVC_GROUP, SVC_ADDRESSES, NULL, NULL, &addresses, err);
        for (size_t i = 0; r == 0 && i < addresses.n; i++)
                r = free_leaked(&p, addresses.v[i], err);
        kc_objects_done(&addresses);
        kc_free(p.ranges);
        return r;
}

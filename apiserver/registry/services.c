/* Services: ClusterIPs and node ports are given before a Service is stored and taken back when it does not need them
 * any more. Worker threads. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/status.h"
#include "api/warnings.h"
#include "base/log.h"
#include "base/str.h"
#include "registry/service_alloc.h"
#include "registry/strategies.h"

#define NONE "None"

/* --- what a Service needs */

static const char *type_of(const struct json_object *svc)
{
        const char *t = kc_json_str_at(svc, "spec.type");
        return kc_str_empty(t) ? "ClusterIP" : t;
}

static bool needs_cluster_ip(const struct json_object *svc)
{
        return strcmp(type_of(svc), "ExternalName") != 0;
}

static bool is_headless(const struct json_object *svc)
{
        return kc_streq(kc_json_str_at(svc, "spec.clusterIP"), NONE);
}

static bool needs_node_port(const struct json_object *svc)
{
        return strcmp(type_of(svc), "NodePort") == 0 ||
               (strcmp(type_of(svc), "LoadBalancer") == 0 &&
                   kc_json_bool_at(svc, "spec.allocateLoadBalancerNodePorts", true));
}

static bool needs_health_port(const struct json_object *svc)
{
        return strcmp(type_of(svc), "LoadBalancer") == 0 &&
               kc_streq(kc_json_str_at(svc, "spec.externalTrafficPolicy"), "Local");
}

static bool external_traffic(const struct json_object *svc)
{
        return strcmp(type_of(svc), "NodePort") == 0 || strcmp(type_of(svc), "LoadBalancer") == 0 ||
               (strcmp(type_of(svc), "ClusterIP") == 0 && kc_json_len(kc_json_at(svc, "spec.externalIPs")) > 0);
}

static struct json_object *spec_of(struct json_object *svc)
{
        return kc_json_ensure_obj(svc, "spec");
}

static bool same(const struct json_object *a, const struct json_object *b, const char *path)
{
        return kc_json_equal(kc_json_at(a, path), kc_json_at(b, path));
}

/* --- IP families */

static const char *family_name(int family)
{
        return family == AF_INET6 ? "IPv6" : "IPv4";
}

static int family_of(const char *name)
{
        return kc_streq(name, "IPv6") ? AF_INET6 : AF_INET;
}

/* Both families on purpose, whatever the cluster has: somebody else writes the endpoints. */
static bool is_open(const struct json_object *svc)
{
        return is_headless(svc) && kc_json_n_keys(kc_json_at(svc, "spec.selector")) == 0;
}

/* Families and policy that are not said (initIPFamilyFields). */
static void default_families(const struct kc_registry_ctx *c, struct json_object *svc)
{
        struct json_object *spec = spec_of(svc);
        if (!needs_cluster_ip(svc))
                return;
        const struct kc_cidr *first = kc_service_alloc_cidr(kc_registry_service_alloc(c->registry), 0);
        int family = first ? first->ip.family : AF_INET;
        const struct json_object *ips = kc_json_get(spec, "clusterIPs");
        const char *ip = kc_json_as_str(kc_json_idx(ips, 0));
        if (ip && strcmp(ip, NONE) != 0)
                family = strchr(ip, ':') ? AF_INET6 : AF_INET;
        /* Whoever writes the endpoints of a headless Service without selector decides on families. */
        bool open = is_open(svc);
        struct json_object *families = kc_json_ensure_arr(spec, "ipFamilies");
        if (!kc_json_str(spec, "ipFamilyPolicy"))
                kc_json_set_str(spec, "ipFamilyPolicy",
                    open || kc_json_len(families) == 2 || kc_json_len(ips) == 2 ? "RequireDualStack" : "SingleStack");
        if (kc_json_len(families) == 0)
                kc_json_push_str(families, family_name(family));
        const char *policy = kc_json_str(spec, "ipFamilyPolicy");
        int other = family_of(kc_json_as_str(kc_json_idx(families, 0))) == AF_INET ? AF_INET6 : AF_INET;
        bool both = !kc_streq(policy, "SingleStack") &&
                    (open || kc_service_alloc_cidr(kc_registry_service_alloc(c->registry), other) != NULL);
        if (both && kc_json_len(families) == 1)
                kc_json_push_str(families, family_name(other));
}

/* What is asked for must be configured. */
static void check_families(
    const struct kc_registry_ctx *c, const struct json_object *svc, struct kc_field_errors *errors)
{
        const struct kc_service_alloc *alloc = kc_registry_service_alloc(c->registry);
        const struct json_object *families = kc_json_at(svc, "spec.ipFamilies");
        const char *policy = kc_json_str_at(svc, "spec.ipFamilyPolicy");

        if (!needs_cluster_ip(svc) || is_open(svc))
                return;
        for (size_t i = 0; i < kc_json_len(families); i++) {
                const char *name = kc_json_as_str(kc_json_idx(families, i));
                KC_CLEANUP(kc_freep) char *path = kc_asprintf("spec.ipFamilies[%zu]", i);
                if (!kc_service_alloc_cidr(alloc, family_of(name)))
                        kc_field_invalid_str(errors, path, name, "not configured on this cluster");
        }
        if (kc_streq(policy, "RequireDualStack") &&
            (!kc_service_alloc_cidr(alloc, AF_INET) || !kc_service_alloc_cidr(alloc, AF_INET6)))
                kc_field_invalid_str(
                    errors, "spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services");
}

/* From two families to one: the second goes without being mentioned (trimFieldsForDualStackDowngrade). */
static void downgrade(struct json_object *svc, const struct json_object *old)
{
        static const char *const fields[] = {"clusterIPs", "ipFamilies"};
        const char *was = kc_json_str_at(old, "spec.ipFamilyPolicy");

        if (!kc_streq(kc_json_str_at(svc, "spec.ipFamilyPolicy"), "SingleStack") || !was ||
            kc_streq(was, "SingleStack"))
                return;
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++) {
                struct json_object *list = kc_json_get_mut(spec_of(svc), fields[i]);
                if (kc_json_len(list) > 1)
                        json_object_array_del_idx(list, 1, kc_json_len(list) - 1);
        }
}

/* clusterIP and clusterIPs[0] are one and the same. */
static void normalize_cluster_ips(struct json_object *svc, const struct json_object *old)
{
        struct json_object *spec = spec_of(svc);
        const char *ip = kc_json_str(spec, "clusterIP");
        if (old && kc_str_empty(ip) && !kc_str_empty(kc_json_str_at(old, "spec.clusterIP")) &&
            same(svc, old, "spec.clusterIPs"))
                kc_json_del(spec, "clusterIPs");
        if (kc_json_len(kc_json_get(spec, "clusterIPs")) == 0 && !kc_str_empty(ip))
                kc_json_push_str(kc_json_ensure_arr(spec, "clusterIPs"), ip);
        else if (old && !kc_str_empty(ip) && !same(svc, old, "spec.clusterIP") && same(svc, old, "spec.clusterIPs")) {
                kc_json_del(spec, "clusterIPs");
                kc_json_push_str(kc_json_ensure_arr(spec, "clusterIPs"), ip);
        }
}

/* --- what one change gives and takes back */

struct txn {
        struct kc_service_alloc *alloc;
        char *ns, *name, *uid;
        char **taken, **obsolete; /* strv: IP addresses, and ports as numbers */
};

static struct kc_service_owner owner_of(const struct txn *t)
{
        return (struct kc_service_owner){.ns = t->ns, .name = t->name, .uid = t->uid};
}

static void txn_free(struct txn *t)
{
        if (!t)
                return;
        kc_free(t->ns);
        kc_free(t->name);
        kc_free(t->uid);
        kc_strv_free(t->taken);
        kc_strv_free(t->obsolete);
        kc_free(t);
}
KC_DEFINE_CLEANUP(struct txn *, txn_free)

static bool is_address(const char *s)
{
        return strpbrk(s, ".:") != NULL;
}

static void release(const struct txn *t, const char *what)
{
        const struct kc_service_owner o = owner_of(t);
        int64_t port;
        if (is_address(what))
                kc_service_alloc_release_ip(t->alloc, &o, what);
        else if (kc_str_to_i64(what, &port) == 0)
                kc_service_alloc_release_port(t->alloc, &o, (int)port);
}

/* ClusterIPs (not "None") and node ports of a Service. */
static char **resources_of(const struct json_object *svc)
{
        char **v = NULL;
        const struct json_object *ips = kc_json_at(svc, "spec.clusterIPs"), *ports = kc_json_at(svc, "spec.ports");
        for (size_t i = 0; needs_cluster_ip(svc) && i < kc_json_len(ips); i++) {
                const char *ip = kc_json_as_str(kc_json_idx(ips, i));
                if (ip && is_address(ip))
                        kc_strv_push(&v, ip);
        }
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                int64_t port = kc_json_int(kc_json_idx(ports, i), "nodePort", 0);
                if (port > 0)
                        kc_strv_pushf(&v, "%lld", (long long)port);
        }
        int64_t health = kc_json_int_at(svc, "spec.healthCheckNodePort", 0);
        if (health > 0)
                kc_strv_pushf(&v, "%lld", (long long)health);
        return v;
}

static bool has(char *const *v, const char *s)
{
        return v && kc_strv_has(v, s);
}

/* When the write failed, what was taken goes back - but not what the Service has after all: a write that timed out may
 * have happened. */
static void roll_back(const struct kc_registry_ctx *c, const struct txn *t)
{
        if (!t->taken)
                return;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *now = NULL;
        KC_CLEANUP(kc_strv_freep) char **in_use = NULL;
        int r = kc_resources_get_live(kc_registry_resources(c->registry), "", "services", t->ns, t->name, &now, NULL);
        if (r < 0 && r != -ENOENT)
                return; /* nobody knows: repair will find what is left over */
        if (now && kc_streq(kc_object_uid(now), t->uid))
                in_use = resources_of(kc_object_json(now));
        for (char **x = t->taken; *x; x++)
                if (!has(in_use, *x))
                        release(t, *x);
}

static void end(const struct kc_registry_ctx *c, bool committed, void *arg)
{
        struct txn *t = arg;
        if (committed)
                for (char **x = t->obsolete; x && *x; x++)
                        release(t, *x);
        else if (!c->dry_run)
                roll_back(c, t);
        txn_free(t);
}

static struct txn *txn_new(const struct kc_registry_ctx *c, const struct json_object *svc)
{
        struct txn *t = KC_NEW(struct txn);
        t->alloc = kc_registry_service_alloc(c->registry);
        t->ns = kc_strdup(c->ns);
        t->name = kc_strdup(kc_meta_name(svc));
        t->uid = kc_strdup(kc_meta_uid(svc) ? kc_meta_uid(svc) : "");
        return t;
}

/* --- ClusterIPs */

static int ip_failed(int r, const struct json_object *svc, const char *ip, struct kc_error *err)
{
        if (r != -EEXIST && r != -ERANGE)
                return r;
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        KC_CLEANUP(kc_freep) char *why = kc_asprintf("failed to allocate IP %s: %s", ip, kc_error_message(err));
        kc_field_invalid(&errors, "spec.clusterIPs", kc_json_at(svc, "spec.clusterIPs"), why);
        return kc_err_invalid(err, "", "Service", kc_meta_name(svc), &errors);
}

static int allocate_ips(
    const struct kc_registry_ctx *c, struct json_object *svc, char *const *owned, struct txn *t, struct kc_error *err)
{
        struct json_object *spec = spec_of(svc);
        if (!needs_cluster_ip(svc) || is_headless(svc))
                return 0;
        const struct kc_service_owner o = owner_of(t);
        const struct json_object *families = kc_json_get(spec, "ipFamilies");
        struct json_object *ips = kc_json_ensure_arr(spec, "clusterIPs");
        for (size_t i = 0; i < kc_json_len(families); i++) {
                const char *ip = kc_json_as_str(kc_json_idx(ips, i));
                KC_CLEANUP(kc_freep) char *given = NULL;
                int r = 0;
                if (kc_str_empty(ip)) {
                        int family = family_of(kc_json_as_str(kc_json_idx(families, i)));
                        r = kc_service_alloc_next_ip(t->alloc, &o, family, c->dry_run, &given, err);
                        if (r == -ENOSPC || r == -ERANGE)
                                r = kc_err_internal(err, "failed to allocate a serviceIP: %s", kc_error_message(err));
                } else if (!has(owned, ip)) {
                        r = ip_failed(kc_service_alloc_ip(t->alloc, &o, ip, c->dry_run, err), svc, ip, err);
                        if (r == 0)
                                kc_strv_push(&t->taken, ip);
                }
                if (r < 0)
                        return r;
                if (given) {
                        kc_strv_push(&t->taken, given);
                        kc_json_push_str(ips, given);
                }
        }
        kc_json_set_str(spec, "clusterIP", kc_json_as_str(kc_json_idx(ips, 0)));
        return 0;
}

/* --- node ports */

static int port_failed(int r, const struct json_object *svc, const char *path, int port, struct kc_error *err)
{
        if (r != -EEXIST && r != -ERANGE)
                return r;
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        KC_CLEANUP(kc_freep) char *why = kc_strdup(kc_error_message(err));
        kc_field_invalid_int(&errors, path, port, why);
        return kc_err_invalid(err, "", "Service", kc_meta_name(svc), &errors);
}

/* A port that the client chose. One that the Service has already, for this change or before, is no news. */
static int take_port(const struct kc_registry_ctx *c, const struct json_object *svc, const char *path, int port,
    char *const *owned, struct txn *t, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("%d", port);
        const struct kc_service_owner o = owner_of(t);
        if (has(owned, text) || has(t->taken, text))
                return 0;
        int r = port_failed(kc_service_alloc_port(t->alloc, &o, port, c->dry_run, err), svc, path, port, err);
        if (r == 0)
                kc_strv_push(&t->taken, text);
        return r;
}

static int any_port(const struct kc_registry_ctx *c, struct txn *t, const char *what, int *ret, struct kc_error *err)
{
        const struct kc_service_owner o = owner_of(t);
        int r = kc_service_alloc_next_port(t->alloc, &o, c->dry_run, ret, err);
        if (r == -ENOSPC)
                return kc_err_internal(err, "failed to allocate a %s: %s", what, kc_error_message(err));
        if (r == 0)
                kc_strv_pushf(&t->taken, "%d", *ret);
        return r;
}

/* The node port of another protocol on the same port: they go together. 0: none. */
static int sibling_port(const struct json_object *ports, size_t self)
{
        int64_t port = kc_json_int(kc_json_idx(ports, self), "port", 0);
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *p = kc_json_idx(ports, i);
                if (i != self && kc_json_int(p, "port", 0) == port && kc_json_int(p, "nodePort", 0) > 0)
                        return (int)kc_json_int(p, "nodePort", 0);
        }
        return 0;
}

static int allocate_ports(
    const struct kc_registry_ctx *c, struct json_object *svc, char *const *owned, struct txn *t, struct kc_error *err)
{
        struct json_object *ports = kc_json_get_mut(spec_of(svc), "ports");
        /* The chosen ones first: none of them may be given to another port by chance. */
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                int port = (int)kc_json_int(kc_json_idx(ports, i), "nodePort", 0);
                KC_CLEANUP(kc_freep) char *path = kc_asprintf("spec.ports[%zu].nodePort", i);
                int r = port > 0 ? take_port(c, svc, path, port, owned, t, err) : 0;
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; needs_node_port(svc) && i < kc_json_len(ports); i++) {
                if (kc_json_int(kc_json_idx(ports, i), "nodePort", 0) > 0)
                        continue;
                int port = sibling_port(ports, i);
                int r = port > 0 ? 0 : any_port(c, t, "nodePort", &port, err);
                if (r < 0)
                        return r;
                kc_json_set_int(kc_json_idx_mut(ports, i), "nodePort", port);
        }
        if (!needs_health_port(svc))
                return 0;
        int health = (int)kc_json_int_at(svc, "spec.healthCheckNodePort", 0);
        if (health > 0)
                return take_port(c, svc, "spec.healthCheckNodePort", health, owned, t, err);
        int r = any_port(c, t, "HealthCheck NodePort", &health, err);
        if (r == 0)
                kc_json_set_int(spec_of(svc), "healthCheckNodePort", health);
        return r;
}

/* --- hooks */

static void prepare_create(const struct kc_registry_ctx *c, struct json_object *svc)
{
        kc_json_del(svc, "status");
        normalize_cluster_ips(svc, NULL);
        default_families(c, svc);
}

static int allocate(const struct kc_registry_ctx *c, struct json_object *svc, const struct json_object *old,
    struct kc_registry_txn *ret, struct kc_error *err)
{
        /* Nothing is given for what makes no sense (initIPFamilyFields). */
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        check_families(c, svc, &errors);
        kc_validate_service_cluster_ips(svc, &errors);
        if (errors.n > 0)
                return kc_err_invalid(err, "", "Service", kc_meta_name(svc), &errors);
        KC_CLEANUP(txn_freep) struct txn *t = txn_new(c, svc);
        KC_CLEANUP(kc_strv_freep) char **owned = old ? resources_of(old) : NULL;
        int r = allocate_ips(c, svc, owned, t, err);
        if (r == 0)
                r = allocate_ports(c, svc, owned, t, err);
        if (r < 0) {
                if (!c->dry_run)
                        roll_back(c, t);
                return r;
        }
        KC_CLEANUP(kc_strv_freep) char **needed = resources_of(svc);
        for (char **x = owned; x && *x; x++)
                if (!has(needed, *x))
                        kc_strv_push(&t->obsolete, *x);
        ret->end = end;
        ret->arg = KC_TAKE(t);
        return 0;
}

static int begin_create(
    const struct kc_registry_ctx *c, struct json_object *svc, struct kc_registry_txn *txn, struct kc_error *err)
{
        return allocate(c, svc, NULL, txn, err);
}

static int begin_update(const struct kc_registry_ctx *c, struct json_object *svc, const struct json_object *old,
    struct kc_registry_txn *txn, struct kc_error *err)
{
        return allocate(c, svc, old, txn, err);
}

/* What was given before and is not mentioned now stays (patchAllocatedValues). */
static void patch_node_ports(struct json_object *svc, const struct json_object *old)
{
        struct json_object *ports = kc_json_get_mut(spec_of(svc), "ports");
        const struct json_object *before = kc_json_at(old, "spec.ports");
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                struct json_object *p = kc_json_idx_mut(ports, i);
                const char *name = kc_json_str(p, "name");
                if (kc_json_int(p, "nodePort", 0) > 0)
                        continue;
                for (size_t j = 0; j < kc_json_len(before); j++) {
                        const struct json_object *b = kc_json_idx(before, j);
                        const char *old_name = kc_json_str(b, "name");
                        int64_t port = kc_json_int(b, "nodePort", 0);
                        bool used = false;
                        for (size_t k = 0; k < kc_json_len(ports) && !used; k++)
                                used = kc_json_int(kc_json_idx(ports, k), "nodePort", 0) == port;
                        if (port > 0 && !used && strcmp(name ? name : "", old_name ? old_name : "") == 0) {
                                kc_json_set_int(p, "nodePort", port);
                                break;
                        }
                }
        }
}

static void patch_allocated(struct json_object *svc, const struct json_object *old)
{
        struct json_object *spec = spec_of(svc);
        const struct json_object *before = kc_json_get(old, "spec");
        if (needs_cluster_ip(old) && needs_cluster_ip(svc)) {
                if (kc_str_empty(kc_json_str(spec, "clusterIP")))
                        kc_strategy_keep(spec, before, "clusterIP");
                if (kc_json_len(kc_json_get(spec, "clusterIPs")) == 0 && same(svc, old, "spec.clusterIP"))
                        kc_strategy_keep(spec, before, "clusterIPs");
                if (!kc_json_str(spec, "ipFamilyPolicy"))
                        kc_strategy_keep(spec, before, "ipFamilyPolicy");
                if (kc_json_len(kc_json_get(spec, "ipFamilies")) == 0)
                        kc_strategy_keep(spec, before, "ipFamilies");
        }
        if (needs_node_port(old) && needs_node_port(svc))
                patch_node_ports(svc, old);
        if (needs_health_port(old) && needs_health_port(svc) && kc_json_int(spec, "healthCheckNodePort", 0) == 0)
                kc_strategy_keep(spec, before, "healthCheckNodePort");
}

/* What only the old type had, and the client has merely sent back (dropTypeDependentFields). */
static void drop_by_type(struct json_object *svc, const struct json_object *old)
{
        struct json_object *spec = spec_of(svc);
        static const char *const family_fields[] = {"ipFamilies", "ipFamilyPolicy"};
        if (needs_cluster_ip(old) && !needs_cluster_ip(svc)) {
                if (same(svc, old, "spec.clusterIPs")) {
                        kc_json_del(spec, "clusterIP");
                        kc_json_del(spec, "clusterIPs");
                }
                for (size_t i = 0; i < KC_ARRAY_LEN(family_fields); i++)
                        if (kc_json_equal(kc_json_get(spec, family_fields[i]),
                                kc_json_get(kc_json_get(old, "spec"), family_fields[i])))
                                kc_json_del(spec, family_fields[i]);
        }
        if (needs_node_port(old) && !needs_node_port(svc)) {
                const struct json_object *before = kc_json_at(old, "spec.ports");
                struct json_object *ports = kc_json_get_mut(spec, "ports");
                for (size_t i = 0; i < kc_json_len(ports); i++) {
                        struct json_object *p = kc_json_idx_mut(ports, i);
                        for (size_t j = 0; j < kc_json_len(before); j++)
                                if (kc_json_int(p, "nodePort", 0) ==
                                    kc_json_int(kc_json_idx(before, j), "nodePort", -1))
                                        kc_json_del(p, "nodePort");
                }
        }
        if (needs_health_port(old) && !needs_health_port(svc) && same(svc, old, "spec.healthCheckNodePort"))
                kc_json_del(spec, "healthCheckNodePort");
        if (external_traffic(old) && !external_traffic(svc) && same(svc, old, "spec.externalTrafficPolicy"))
                kc_json_del(spec, "externalTrafficPolicy");
        static const char *const lb_fields[] = {"allocateLoadBalancerNodePorts", "loadBalancerClass"};
        bool was_lb = strcmp(type_of(old), "LoadBalancer") == 0, is_lb = strcmp(type_of(svc), "LoadBalancer") == 0;
        for (size_t i = 0; was_lb && !is_lb && i < KC_ARRAY_LEN(lb_fields); i++)
                if (kc_json_equal(kc_json_get(spec, lb_fields[i]), kc_json_get(kc_json_get(old, "spec"), lb_fields[i])))
                        kc_json_del(spec, lb_fields[i]);
}

static void prepare_update(const struct kc_registry_ctx *c, struct json_object *svc, const struct json_object *old)
{
        kc_strategy_keep(svc, old, "status");
        normalize_cluster_ips(svc, old);
        patch_allocated(svc, old);
        drop_by_type(svc, old);
        downgrade(svc, old);
        default_families(c, svc);
}

static void after_delete(const struct kc_registry_ctx *c, const struct json_object *svc)
{
        KC_CLEANUP(txn_freep) struct txn *t = txn_new(c, svc);
        KC_CLEANUP(kc_strv_freep) char **had = resources_of(svc);
        for (char **x = had; x && *x; x++)
                release(t, *x);
}

static void warn_of_new(const struct kc_registry_ctx *c, const struct json_object *service)
{
        kc_warn_service(c->warnings, service);
}

static void warn_of_update(
    const struct kc_registry_ctx *c, const struct json_object *service, const struct json_object *old)
{
        (void)old; /* what was wrong before still is */
        kc_warn_service(c->warnings, service);
}

const struct kc_strategy kc_strategy_services = {
    .group = "",
    .resource = "services",
    .prepare_for_create = prepare_create,
    .begin_create = begin_create,
    .warnings_create = warn_of_new,
    .warnings_update = warn_of_update,
    .prepare_for_update = prepare_update,
    .begin_update = begin_update,
    .after_delete = after_delete,
};

/* The Service "kubernetes" in the namespace "default", by which pods reach the API, and its endpoints: every apiserver
 * keeps a key with a time to live, and the endpoints are the addresses of those that are there (upstream's lease
 * endpoint reconciler). Worker thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "bootstrap/bootstrap_internal.h"
#include "registry/strategy.h"

#define NS "default"
#define NAME "kubernetes"

enum { LEASE_SECONDS = 15 }; /* renewed every 10 */

/* --- the Service */

static struct json_object *service_port(const struct kc_bootstrap_opts *o)
{
        struct json_object *p = kc_json_build(
            "{'name':'https','protocol':'TCP','port':%d,'targetPort':%d}", o->service_port, o->secure_port);
        if (o->service_node_port > 0)
                kc_json_set_int(p, "nodePort", o->service_node_port);
        return p;
}

static const char *service_type(const struct kc_bootstrap_opts *o)
{
        return o->service_node_port > 0 ? "NodePort" : "ClusterIP";
}

static bool fix_service(struct json_object *svc, void *arg)
{
        const struct kc_bootstrap_opts *o = arg;
        const struct json_object *p = kc_json_idx(kc_json_at(svc, "spec.ports"), 0);
        bool ok = kc_json_len(kc_json_at(svc, "spec.ports")) == 1 && kc_streq(kc_json_str(p, "name"), "https") &&
                  kc_json_int(p, "port", 0) == o->service_port && kc_json_int(p, "targetPort", 0) == o->secure_port &&
                  kc_json_int(p, "nodePort", 0) == o->service_node_port &&
                  kc_streq(kc_json_str_at(svc, "spec.type"), service_type(o));
        if (ok)
                return false;
        struct json_object *spec = kc_json_ensure_obj(svc, "spec");
        kc_json_set(spec, "ports", kc_json_build("[%o]", service_port(o)));
        kc_json_set_str(spec, "type", service_type(o));
        return true;
}

static int ensure_service(const struct kc_bootstrap_opts *o, struct kc_error *err)
{
        if (boot_exists(o->registry, "", "services", NS, NAME)) {
                int r = boot_update(o->registry, "", "services", NS, NAME, fix_service, (void *)o, err);
                if (r != -ENOENT)
                        return r;
                kc_error_done(err);
        }
        struct json_object *svc =
            kc_json_build("{'metadata':{'name':'kubernetes','namespace':'default',"
                          "'labels':{'provider':'kubernetes','component':'apiserver'}},"
                          "'spec':{'ports':[%o],'clusterIP':%s,'clusterIPs':[%s],'sessionAffinity':'None','type':%s}}",
                service_port(o), o->service_ip, o->service_ip, service_type(o));
        return boot_create(o->registry, "", "services", NS, svc, err);
}

/* --- who is there */

static struct kc_store *store_of(const struct kc_bootstrap_opts *o)
{
        return kc_resources_store(kc_registry_resources(o->registry));
}

/* "/registry/masterleases/" */
static char *lease_prefix(const struct kc_bootstrap_opts *o)
{
        const struct kc_stored *s = kc_resources_find(kc_registry_resources(o->registry), "", "services");
        KC_CLEANUP(kc_freep) char *key = kc_cache_resource_key(s->cache, "a", "b");
        KC_CLEANUP(kc_freep) char *tail = kc_asprintf("%s/a/b", s->row->storage_prefix);
        if (kc_str_has_suffix(key, tail))
                key[strlen(key) - strlen(tail)] = '\0';
        return kc_asprintf("%smasterleases/", key);
}

static int renew_lease(const struct kc_bootstrap_opts *o, const char *prefix, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s%s", prefix, o->advertise_address);
        KC_CLEANUP(kc_json_freep)
        struct json_object *v = kc_json_build(
            "{'kind':'Endpoints','apiVersion':'v1','subsets':[{'addresses':[{'ip':%s}]}]}", o->advertise_address);
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(v);
        const struct kc_store_write_opts ttl = {.ttl_seconds = LEASE_SECONDS};
        KC_CLEANUP(kc_store_kv_done) struct kc_store_kv there = {0};
        int r = kc_store_create(store_of(o), key, text, strlen(text), &ttl, NULL, &there, err);
        if (r != -EEXIST)
                return r;
        kc_error_done(err);
        r = kc_store_update(store_of(o), key, there.mod_revision, text, strlen(text), &ttl, NULL, NULL, err);
        if (r == -EAGAIN) /* it ran out this moment: the next round makes it anew */
                return kc_error_set(err, EAGAIN, "lease of %s changed meanwhile", o->advertise_address);
        return r;
}

/* Addresses of all that are there, sorted. */
static int list_addresses(const struct kc_bootstrap_opts *o, const char *prefix, char ***ret, struct kc_error *err)
{
        const struct kc_store_list_opts lo = {.prefix = prefix, .keys_only = true};
        struct kc_store_list l = {0};
        int r = kc_store_list(store_of(o), &lo, &l, err);
        char **v = NULL;
        for (size_t i = 0; r == 0 && i < l.n; i++)
                kc_strv_push(&v, l.kvs[i].key + strlen(prefix));
        kc_store_list_done(&l);
        if (v)
                kc_strv_sort_uniq(v);
        *ret = v;
        return r;
}

/* --- Endpoints and EndpointSlice */

struct wanted {
        struct json_object *subsets;           /* of the Endpoints */
        struct json_object *endpoints, *ports; /* of the EndpointSlice */
};

static bool fix_endpoints(struct json_object *obj, void *arg)
{
        const struct wanted *w = arg;
        const struct json_object *have = kc_json_get(obj, "subsets");
        if (kc_json_equal(have, w->subsets) || (kc_json_len(have) == 0 && kc_json_len(w->subsets) == 0))
                return false;
        kc_json_set(obj, "subsets", kc_json_copy(w->subsets));
        return true;
}

static bool fix_slice(struct json_object *obj, void *arg)
{
        const struct wanted *w = arg;
        const struct json_object *have = kc_json_get(obj, "endpoints");
        bool same =
            kc_json_len(have) == kc_json_len(w->endpoints) && kc_json_equal(kc_json_get(obj, "ports"), w->ports);
        for (size_t i = 0; same && i < kc_json_len(have); i++)
                same = kc_json_equal(kc_json_idx(have, i), kc_json_idx(w->endpoints, i));
        if (same)
                return false;
        kc_json_set(obj, "endpoints", kc_json_copy(w->endpoints));
        kc_json_set(obj, "ports", kc_json_copy(w->ports));
        return true;
}

static int apply_endpoints(const struct kc_bootstrap_opts *o, struct wanted *w, struct kc_error *err)
{
        int r = boot_update(o->registry, "", "endpoints", NS, NAME, fix_endpoints, w, err);
        if (r != -ENOENT)
                return r;
        kc_error_done(err);
        struct json_object *obj =
            kc_json_build("{'metadata':{'name':'kubernetes','namespace':'default',"
                          "'labels':{'endpointslice.kubernetes.io/skip-mirror':'true'}},'subsets':%o}",
                kc_json_copy(w->subsets));
        return boot_create(o->registry, "", "endpoints", NS, obj, err);
}

static int apply_slice(const struct kc_bootstrap_opts *o, struct wanted *w, struct kc_error *err)
{
        const char *group = "discovery.k8s.io", *resource = "endpointslices";
        int r = boot_update(o->registry, group, resource, NS, NAME, fix_slice, w, err);
        if (r != -ENOENT)
                return r;
        kc_error_done(err);
        struct json_object *obj = kc_json_build(
            "{'metadata':{'name':'kubernetes','namespace':'default',"
            "'labels':{'kubernetes.io/service-name':'kubernetes'}},'addressType':%s,'endpoints':%o,'ports':%o}",
            strchr(o->advertise_address, ':') ? "IPv6" : "IPv4", kc_json_copy(w->endpoints), kc_json_copy(w->ports));
        return boot_create(o->registry, group, resource, NS, obj, err);
}

static int apply(const struct kc_bootstrap_opts *o, char *const *addresses, struct kc_error *err)
{
        struct json_object *list = json_object_new_array();
        struct wanted w = {.endpoints = json_object_new_array()};
        for (char *const *a = addresses; a && *a; a++) {
                kc_json_push(list, kc_json_build("{'ip':%s}", *a));
                kc_json_push(w.endpoints, kc_json_build("{'addresses':[%s],'conditions':{'ready':true}}", *a));
        }
        w.ports = kc_json_build("[{'name':'https','protocol':'TCP','port':%d}]", o->secure_port);
        w.subsets = json_object_new_array();
        if (kc_json_len(list) > 0)
                kc_json_push(
                    w.subsets, kc_json_build("{'addresses':%o,'ports':[{'name':'https','port':%d,'protocol':'TCP'}]}",
                                   list, o->secure_port));
        else
                kc_json_free(list);
        int r = apply_endpoints(o, &w, err);
        if (r == 0)
                r = apply_slice(o, &w, err);
        kc_json_free(w.subsets);
        kc_json_free(w.endpoints);
        kc_json_free(w.ports);
        return r;
}

int boot_kubernetes_service(const struct kc_bootstrap_opts *o, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *prefix = lease_prefix(o);
        KC_CLEANUP(kc_strv_freep) char **addresses = NULL;
        int r = ensure_service(o, err);
        if (r == 0)
                r = renew_lease(o, prefix, err);
        if (r == 0)
                r = list_addresses(o, prefix, &addresses, err);
        if (r == 0)
                r = apply(o, addresses, err);
        return r;
}

int boot_kubernetes_service_leave(const struct kc_bootstrap_opts *o, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *prefix = lease_prefix(o);
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s%s", prefix, o->advertise_address);
        KC_CLEANUP(kc_store_kv_done) struct kc_store_kv kv = {0};
        KC_CLEANUP(kc_strv_freep) char **addresses = NULL;
        int r = kc_store_get(store_of(o), key, 0, &kv, NULL, err);
        if (r == 0)
                r = kc_store_delete(store_of(o), key, kv.mod_revision, NULL, NULL, err);
        if (r == -ENOENT || r == -EAGAIN) {
                kc_error_done(err);
                r = 0;
        }
        if (r == 0)
                r = list_addresses(o, prefix, &addresses, err);
        if (r < 0)
                return r;
        if (addresses)
                (void)kc_strv_remove(addresses, o->advertise_address);
        return apply(o, addresses, err);
}

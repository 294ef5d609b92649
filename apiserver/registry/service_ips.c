/* ClusterIPs as IPAddress objects, from the prefixes of the ServiceCIDRs. Who creates the object has the address: the
 * store keeps names unique. Any thread; calls block. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/status.h"
#include "base/log.h"
#include "base/str.h"
#include "registry/service_alloc_internal.h"
#include "registry/strategy.h"

/* --- prefixes */

static struct svc_range range_of(const struct kc_cidr *c)
{
        uint64_t size = kc_cidr_size(c);
        struct svc_range r = {.cidr = *c, .first = 1};

        /* Upstream's limit: no more than 2^16 of an IPv6 prefix are given. */
        if (c->ip.family == AF_INET6)
                r.size = KC_MIN(size, (uint64_t)1 << 16) - 1;
        else
                r.size = size > 2 ? size - 2 : 0; /* neither the network's address nor the broadcast one */
        r.reserved = size < 64 ? 0 : svc_clamp(size / 16, 16, 256);
        return r;
}

bool svc_range_has(const struct svc_range *r, const struct kc_ip *ip)
{
        uint64_t index = kc_cidr_index(&r->cidr, ip);
        return index != UINT64_MAX && index >= r->first && index - r->first < r->size;
}

static void add_range(struct svc_range **v, size_t *n, const struct kc_cidr *c, int family)
{
        if (family != 0 && c->ip.family != family)
                return;
        *v = kc_reallocarray(*v, *n + 1, sizeof(struct svc_range));
        (*v)[(*n)++] = range_of(c);
}

/* Not being deleted, and nobody has said that it is not ready. */
static bool usable(const struct json_object *cidr)
{
        const struct json_object *ready = kc_condition_get(kc_json_get(cidr, "status"), "Ready");
        return !kc_meta_deleting(cidr) && (!ready || kc_streq(kc_json_str(ready, "status"), "True"));
}

static void add_object(struct svc_range **v, size_t *n, const struct json_object *cidr, int family, bool is_default)
{
        const struct json_object *list = kc_json_at(cidr, "spec.cidrs");

        if (kc_streq(kc_meta_name(cidr), SVC_DEFAULT_CIDR) != is_default || !usable(cidr))
                return;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                struct kc_cidr c;
                const char *text = kc_json_as_str(kc_json_idx(list, i));
                if (text && kc_cidr_parse(text, &c, NULL) == 0)
                        add_range(v, n, &c, family);
        }
}

int svc_ranges(struct kc_service_alloc *a, int family, struct svc_range **ret, size_t *ret_n, struct kc_error *err)
{
        struct kc_objects all = {0};
        struct svc_range *v = NULL;
        size_t n = 0;
        int r = kc_resources_list(a->resources, SVC_GROUP, SVC_CIDRS, NULL, NULL, &all, err);

        for (int pass = 0; r == 0 && pass < 2; pass++)
                for (size_t i = 0; i < all.n; i++)
                        add_object(&v, &n, kc_object_json(all.v[i]), family, pass == 0);
        /* The default one is about to be made. */
        for (size_t i = 0; r == 0 && all.n == 0 && i < a->n_cidrs; i++)
                add_range(&v, &n, &a->cidrs[i], family);
        kc_objects_done(&all);
        if (r < 0)
                return r;
        *ret = v;
        *ret_n = n;
        return 0;
}

/* --- objects */

static bool is_taken(const struct kc_service_alloc *a, const char *ip)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        return kc_resources_get(a->resources, SVC_GROUP, SVC_ADDRESSES, "", ip, &o, NULL) == 0;
}

int svc_create_address(
    struct kc_service_alloc *a, const struct kc_service_owner *o, const char *ip, bool dry_run, struct kc_error *err)
{
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *there = NULL;
        struct kc_registry_ctx c;
        int r;

        if (dry_run) {
                r = kc_resources_get_live(a->resources, SVC_GROUP, SVC_ADDRESSES, "", ip, &there, &why);
                if (r == 0 || r == -ENOENT)
                        return r == 0 ? -EEXIST : 0;
        } else {
                kc_registry_ctx_init(&c, a->registry, SVC_GROUP, SVC_ADDRESSES, "", ip, NULL, false, NULL);
                r = kc_registry_create(&c,
                    kc_json_build("{'apiVersion':'networking.k8s.io/v1','kind':'IPAddress','metadata':{'name':%s,"
                                  "'labels':{%s:%s,%s:%s}},'spec':{'parentRef':{'group':'','resource':'services',"
                                  "'namespace':%s,'name':%s}}}",
                        ip, SVC_IP_FAMILY, strchr(ip, ':') ? "IPv6" : "IPv4", SVC_MANAGED_BY, SVC_ALLOCATOR, o->ns,
                        o->name),
                    NULL, NULL, &why);
                if (r == 0 || kc_error_is(&why, KC_REASON_ALREADY_EXISTS))
                        return r == 0 ? 0 : -EEXIST;
        }
        if (err)
                kc_error_move(err, &why);
        return r;
}

int svc_delete_address(struct kc_service_alloc *a, const struct kc_object *address, struct kc_error *err)
{
        struct kc_registry_ctx c;
        struct kc_delete_request d = {.grace_period_seconds = -1,
            .uid = kc_object_uid(address),
            .resource_version = kc_object_resource_version(address)};
        int r;

        kc_registry_ctx_init(&c, a->registry, SVC_GROUP, SVC_ADDRESSES, "", kc_object_name(address), NULL, false, NULL);
        r = kc_registry_delete(&c, &d, NULL, NULL, err);
        if (r < 0 && err && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err);
                r = 0;
        }
        return r;
}

/* --- keys of older versions, which had {"namespace","name","uid","time"} at <root>/serviceips/<address> */

static int migrate_key(struct kc_service_alloc *a, const struct kc_store_kv *kv, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *v = NULL;
        const char *ip = strrchr(kv->key, '/') + 1;
        int r = 0;

        if (kc_json_parse(kc_bytes_data(kv->value), kc_bytes_len(kv->value), NULL, &v, NULL) == 0 &&
            kc_json_str(v, "namespace") && kc_json_str(v, "name")) {
                const struct kc_service_owner o = {.ns = kc_json_str(v, "namespace"), .name = kc_json_str(v, "name")};
                r = svc_create_address(a, &o, ip, false, err);
        }
        if (r < 0 && r != -EEXIST)
                return r;
        r = kc_store_delete(svc_store(a), kv->key, kv->mod_revision, NULL, NULL, err);
        if (r == -EAGAIN || r == -ENOENT) { /* another apiserver has done it */
                kc_error_done(err);
                r = 0;
        }
        return r;
}

int svc_migrate(struct kc_service_alloc *a, struct kc_error *err)
{
        struct kc_store_list l = {0};
        bool done;
        int r;

        pthread_mutex_lock(&a->lock);
        done = a->migrated;
        pthread_mutex_unlock(&a->lock);
        if (done)
                return 0;
        r = svc_list_keys(a, SVC_IPS_DIR, true, &l, err);
        for (size_t i = 0; r == 0 && i < l.n; i++)
                r = migrate_key(a, &l.kvs[i], err);
        if (r == 0 && l.n > 0)
                kc_log_info("Addresses of Services are objects now", "count", kc_log_i64((long long)l.n));
        kc_store_list_done(&l);
        if (r < 0)
                return r;
        pthread_mutex_lock(&a->lock);
        a->migrated = true;
        pthread_mutex_unlock(&a->lock);
        return 0;
}

/* --- any free one */

struct search {
        struct kc_service_alloc *a;
        const struct svc_range *range;
        const struct kc_service_owner *owner;
        bool dry_run;
        char *found;
};

static int try_address(void *arg, uint64_t offset, struct kc_error *err)
{
        struct search *s = arg;
        struct kc_ip ip;
        char text[KC_IP_LEN];
        int r;

        if (!kc_cidr_at(&s->range->cidr, s->range->first + offset, &ip))
                return -EEXIST;
        (void)kc_ip_format(&ip, text);
        if (is_taken(s->a, text))
                return -EEXIST;
        r = svc_create_address(s->a, s->owner, text, s->dry_run, err);
        if (r == 0)
                s->found = kc_strdup(text);
        return r;
}

static int search_range(struct search *s, struct kc_error *err)
{
        int r = svc_take_between(s->range->reserved, s->range->size, try_address, s, err);
        return r == -EEXIST ? svc_take_between(0, s->range->reserved, try_address, s, err) : r;
}

/* The cache may still show what has been given back. */
static int wait_for_cache(const struct kc_service_alloc *a, struct kc_error *err)
{
        const struct kc_stored *s = kc_resources_find(a->resources, SVC_GROUP, SVC_ADDRESSES);
        const struct kc_cache_read consistent = {.match = KC_CACHE_CONSISTENT};
        return kc_cache_wait(s->cache, &consistent, err);
}

int kc_service_alloc_next_ip(struct kc_service_alloc *a, const struct kc_service_owner *o, int family, bool dry_run,
    char **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) struct svc_range *ranges = NULL;
        size_t n = 0;
        int r = svc_migrate(a, err);

        if (r == 0)
                r = svc_ranges(a, family, &ranges, &n, err);
        if (r < 0)
                return r;
        if (n == 0)
                return kc_error_set(err, ERANGE, "no service range of that IP family is configured");
        for (int round = 0; round < 2; round++) {
                for (size_t i = 0; i < n; i++) {
                        struct search s = {.a = a, .range = &ranges[i], .owner = o, .dry_run = dry_run};
                        r = search_range(&s, err);
                        if (r == 0)
                                *ret = s.found;
                        if (r != -EEXIST)
                                return r;
                }
                r = round == 0 ? wait_for_cache(a, err) : 0;
                if (r < 0)
                        return r;
        }
        return kc_error_set(err, ENOSPC, "range is full");
}

/* --- a given one */

static int out_of_range(const struct kc_service_alloc *a, const char *ip, struct kc_error *err)
{
        const struct kc_cidr *c = kc_service_alloc_cidr(a, strchr(ip, ':') ? AF_INET6 : AF_INET);
        char cidr[KC_IP_LEN];

        return kc_error_set(err, ERANGE, "the provided IP (%s) is not in the valid range. The range of valid IPs is %s",
            ip, c ? kc_cidr_format(c, cidr) : "");
}

int kc_service_alloc_ip(
    struct kc_service_alloc *a, const struct kc_service_owner *o, const char *ip, bool dry_run, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) struct svc_range *ranges = NULL;
        struct kc_ip parsed;
        char text[KC_IP_LEN];
        size_t n = 0;
        bool inside = false;
        int r = kc_ip_parse(ip, &parsed) < 0 ? out_of_range(a, ip, err) : svc_migrate(a, err);

        if (r == 0)
                r = svc_ranges(a, parsed.family, &ranges, &n, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                inside |= svc_range_has(&ranges[i], &parsed);
        if (!inside)
                return out_of_range(a, ip, err);
        r = svc_create_address(a, o, kc_ip_format(&parsed, text), dry_run, err);
        return r == -EEXIST ? kc_error_set(err, EEXIST, "provided IP is already allocated") : r;
}

void kc_service_alloc_release_ip(struct kc_service_alloc *a, const struct kc_service_owner *o, const char *ip)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *address = NULL;
        struct kc_ip parsed;
        char text[KC_IP_LEN];
        int r;

        if (kc_ip_parse(ip, &parsed) < 0)
                return;
        r = kc_resources_get_live(
            a->resources, SVC_GROUP, SVC_ADDRESSES, "", kc_ip_format(&parsed, text), &address, &err);
        if (r == -ENOENT)
                return;
        if (r == 0) {
                const struct json_object *ref = kc_json_at(kc_object_json(address), "spec.parentRef");
                if (!kc_streq(kc_json_str(ref, "namespace"), o->ns) || !kc_streq(kc_json_str(ref, "name"), o->name))
                        return; /* somebody else's */
                r = svc_delete_address(a, address, &err);
        }
        if (r < 0)
                kc_log_error(&err, "Cannot release an address of a Service, repair will", "address", text, "service",
                    kc_log_fmt("%s/%s", o->ns, o->name));
}

/* --- the default ServiceCIDR */

static int mark_ready(struct kc_registry_ctx *c, const struct kc_object *current, struct json_object **ret, void *arg,
    struct kc_error *err)
{
        struct json_object *cidr;

        (void)arg;
        (void)err; /* cannot fail */
        if (kc_condition_get(kc_json_get(kc_object_json(current), "status"), "Ready"))
                return -EALREADY;
        cidr = kc_object_copy_json(current);
        (void)kc_condition_set(kc_json_ensure_obj(cidr, "status"), "Ready", "True", "",
            "Kubernetes default Service CIDR is ready", c->now); /* there was none */
        *ret = cidr;
        return 0;
}

int kc_service_alloc_ensure_default(struct kc_service_alloc *a, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        struct kc_registry_ctx c;
        int r = 0;

        if (a->n_cidrs == 0)
                return 0;
        kc_registry_ctx_init(&c, a->registry, SVC_GROUP, SVC_CIDRS, "", SVC_DEFAULT_CIDR, NULL, false, NULL);
        if (kc_resources_get(a->resources, SVC_GROUP, SVC_CIDRS, "", SVC_DEFAULT_CIDR, &o, NULL) < 0) {
                struct json_object *cidrs = json_object_new_array();
                char text[KC_IP_LEN];
                for (size_t i = 0; i < a->n_cidrs; i++)
                        kc_json_push_str(cidrs, kc_cidr_format(&a->cidrs[i], text));
                r = kc_registry_create(&c,
                    kc_json_build("{'apiVersion':'networking.k8s.io/v1','kind':'ServiceCIDR','metadata':{'name':%s},"
                                  "'spec':{'cidrs':%o}}",
                        SVC_DEFAULT_CIDR, cidrs),
                    NULL, NULL, err);
                if (r == -EEXIST) {
                        kc_error_done(err);
                        r = 0;
                }
        } else if (kc_meta_deleting(kc_object_json(o)) ||
                   kc_condition_get(kc_json_get(kc_object_json(o), "status"), "Ready")) {
                return 0;
        }
        if (r < 0)
                return r;
        c.subresource = "status";
        const struct kc_registry_update_opts uo = {.transform = mark_ready, .no_admission = true};
        return kc_registry_update(&c, &uo, NULL, NULL, err);
}

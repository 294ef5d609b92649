/* ClusterIPs and node ports: a key of the store for each that is in use. Any thread. */
#include "registry/service_alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "api/object.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"
#include "base/str.h"

/* What was taken less than so long ago may belong to a Service that is not stored yet. */
#define LEAK_AGE (9 * 60 * KC_SEC)

enum { RANDOM_TRIES = 32 };

/* One range of numbers: offsets 0 <= i < size, those below `reserved` are given by chance only when the rest is full.
 */
struct range {
        const char *dir; /* "serviceips" */
        struct kc_cidr cidr;
        uint64_t first; /* of the cidr's addresses, or the lowest port */
        uint64_t size, reserved;
        bool ports;
};

struct kc_service_alloc {
        const struct kc_resources *resources;
        const struct kc_clock *clock;
        char *root; /* "/registry/ranges" */
        struct range ips[2];
        size_t n_ips;
        struct range ports;
        pthread_mutex_t lock;
        struct kc_map *used; /* guarded by lock: keys that are (or were) taken */
        bool loaded;         /* guarded by lock */
};

static uint64_t clamp(uint64_t v, uint64_t lo, uint64_t hi)
{
        return v < lo ? lo : v > hi ? hi : v;
}

static struct range ip_range(const struct kc_cidr *c)
{
        uint64_t size = kc_cidr_size(c);
        struct range r = {.dir = "serviceips", .cidr = *c, .first = 1};
        /* Upstream's limit: no more than 2^16 of an IPv6 prefix are given. */
        if (c->ip.family == AF_INET6)
                r.size = KC_MIN(size, (uint64_t)1 << 16) - 1;
        else
                r.size = size > 2 ? size - 2 : 0; /* neither the network's address nor the broadcast one */
        r.reserved = size < 64 ? 0 : clamp(size / 16, 16, 256);
        return r;
}

struct kc_service_alloc *kc_service_alloc_new(const struct kc_service_alloc_opts *o)
{
        struct kc_service_alloc *a = KC_NEW(struct kc_service_alloc);
        a->resources = o->resources;
        a->clock = o->clock;
        a->n_ips = KC_MIN(o->n_cidrs, KC_ARRAY_LEN(a->ips));
        for (size_t i = 0; i < a->n_ips; i++)
                a->ips[i] = ip_range(&o->cidrs[i]);
        uint64_t n = o->node_port_max >= o->node_port_min && o->node_port_min > 0
                         ? (uint64_t)(o->node_port_max - o->node_port_min + 1)
                         : 0;
        a->ports = (struct range){.dir = "servicenodeports",
            .first = (uint64_t)o->node_port_min,
            .size = n,
            .reserved = n < 32 ? 0 : clamp(n / 32, 16, 128),
            .ports = true};
        const struct kc_stored *s = kc_resources_find(o->resources, "", "services");
        KC_CLEANUP(kc_freep) char *key = s ? kc_cache_resource_key(s->cache, "a", "b") : kc_strdup("/registry");
        KC_CLEANUP(kc_freep) char *tail = s ? kc_asprintf("/%s/a/b", s->row->storage_prefix) : kc_strdup("");
        if (kc_str_has_suffix(key, tail))
                key[strlen(key) - strlen(tail)] = '\0';
        a->root = kc_asprintf("%s/ranges", key);
        a->used = kc_map_new(NULL);
        pthread_mutex_init(&a->lock, NULL);
        return a;
}

void kc_service_alloc_free(struct kc_service_alloc *a)
{
        if (!a)
                return;
        kc_map_free(a->used);
        kc_free(a->root);
        pthread_mutex_destroy(&a->lock);
        kc_free(a);
}

const struct kc_cidr *kc_service_alloc_cidr(const struct kc_service_alloc *a, int family)
{
        for (size_t i = 0; i < a->n_ips; i++)
                if (family == 0 || a->ips[i].cidr.ip.family == family)
                        return &a->ips[i].cidr;
        return NULL;
}

static struct kc_store *store_of(const struct kc_service_alloc *a)
{
        return kc_resources_store(a->resources);
}

/* --- what is known to be in use */

static void remember(struct kc_service_alloc *a, const char *key, bool used)
{
        pthread_mutex_lock(&a->lock);
        if (used)
                (void)kc_map_set(a->used, key, a);
        else
                (void)kc_map_remove(a->used, key);
        pthread_mutex_unlock(&a->lock);
}

static bool is_used(struct kc_service_alloc *a, const char *key)
{
        pthread_mutex_lock(&a->lock);
        bool used = kc_map_has(a->used, key);
        pthread_mutex_unlock(&a->lock);
        return used;
}

static int list_keys(
    struct kc_service_alloc *a, const char *dir, bool values, struct kc_store_list *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s/%s/", a->root, dir);
        const struct kc_store_list_opts o = {.prefix = prefix, .keys_only = !values};
        return kc_store_list(store_of(a), &o, ret, err);
}

/* Takes over what the store has. */
static int load(struct kc_service_alloc *a, struct kc_error *err)
{
        const char *const dirs[] = {"serviceips", "servicenodeports"};
        struct kc_store_list lists[2] = {{0}, {0}};
        int r = list_keys(a, dirs[0], false, &lists[0], err);
        if (r == 0)
                r = list_keys(a, dirs[1], false, &lists[1], err);
        if (r == 0) {
                pthread_mutex_lock(&a->lock);
                kc_map_clear(a->used);
                for (size_t d = 0; d < KC_ARRAY_LEN(lists); d++)
                        for (size_t i = 0; i < lists[d].n; i++)
                                (void)kc_map_set(a->used, lists[d].kvs[i].key, a);
                a->loaded = true;
                pthread_mutex_unlock(&a->lock);
        }
        for (size_t d = 0; d < KC_ARRAY_LEN(lists); d++)
                kc_store_list_done(&lists[d]);
        return r;
}

static int ensure_loaded(struct kc_service_alloc *a, struct kc_error *err)
{
        pthread_mutex_lock(&a->lock);
        bool loaded = a->loaded;
        pthread_mutex_unlock(&a->lock);
        return loaded ? 0 : load(a, err);
}

/* --- keys */

static char *name_at(const struct range *r, uint64_t offset)
{
        if (r->ports)
                return kc_asprintf("%llu", (unsigned long long)(r->first + offset));
        struct kc_ip ip;
        char text[KC_IP_LEN];
        if (!kc_cidr_at(&r->cidr, r->first + offset, &ip))
                return NULL;
        return kc_strdup(kc_ip_format(&ip, text));
}

static char *key_of(const struct kc_service_alloc *a, const struct range *r, const char *name)
{
        return kc_asprintf("%s/%s/%s", a->root, r->dir, name);
}

/* 0, -EEXIST without a message, or the store's error. */
static int take(
    struct kc_service_alloc *a, const char *key, const struct kc_service_owner *o, bool dry_run, struct kc_error *err)
{
        int r;
        if (dry_run) {
                KC_CLEANUP(kc_store_kv_done) struct kc_store_kv kv = {0};
                r = kc_store_get(store_of(a), key, 0, &kv, NULL, err);
                if (r == -ENOENT)
                        kc_error_done(err);
                return r == 0 ? -EEXIST : r == -ENOENT ? 0 : r;
        }
        char now[KC_TIME_LEN];
        KC_CLEANUP(kc_json_freep)
        struct json_object *v = kc_json_build("{'namespace':%s,'name':%s,'uid':%s,'time':%s}", o->ns, o->name, o->uid,
            kc_time_format(kc_clock_now(a->clock), now));
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(v);
        r = kc_store_create(store_of(a), key, text, strlen(text), NULL, NULL, NULL, err);
        if (r == 0 || r == -EEXIST)
                remember(a, key, true);
        return r;
}

/* --- any free one */

static int try_offset(struct kc_service_alloc *a, const struct range *r, uint64_t offset,
    const struct kc_service_owner *o, bool dry_run, char **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *name = name_at(r, offset);
        if (!name)
                return -EEXIST;
        KC_CLEANUP(kc_freep) char *key = key_of(a, r, name);
        if (is_used(a, key))
                return -EEXIST;
        int e = take(a, key, o, dry_run, err);
        if (e == 0)
                *ret = KC_TAKE(name);
        if (e == -EEXIST)
                kc_error_done(err);
        return e;
}

/* Among lo <= offset < hi: some by chance, then one after another from a random start. */
static int take_between(struct kc_service_alloc *a, const struct range *r, uint64_t lo, uint64_t hi,
    const struct kc_service_owner *o, bool dry_run, char **ret, struct kc_error *err)
{
        if (lo >= hi)
                return -EEXIST;
        uint64_t n = hi - lo;
        int e = -EEXIST;
        for (int i = 0; i < RANDOM_TRIES && e == -EEXIST; i++)
                e = try_offset(a, r, lo + kc_rand_below(n), o, dry_run, ret, err);
        uint64_t start = kc_rand_below(n);
        for (uint64_t i = 0; i < n && e == -EEXIST; i++)
                e = try_offset(a, r, lo + (start + i) % n, o, dry_run, ret, err);
        return e;
}

static int take_next(struct kc_service_alloc *a, const struct range *r, const struct kc_service_owner *o, bool dry_run,
    char **ret, struct kc_error *err)
{
        int e = ensure_loaded(a, err);
        if (e < 0)
                return e;
        /* The second time with what the store has now: others may have given some back. */
        for (int round = 0; round < 2; round++) {
                e = take_between(a, r, r->reserved, r->size, o, dry_run, ret, err);
                if (e == -EEXIST)
                        e = take_between(a, r, 0, r->reserved, o, dry_run, ret, err);
                if (e != -EEXIST)
                        return e;
                if (round == 0) {
                        e = load(a, err);
                        if (e < 0)
                                return e;
                }
        }
        return kc_error_set(err, ENOSPC, "range is full");
}

int kc_service_alloc_next_ip(struct kc_service_alloc *a, const struct kc_service_owner *o, int family, bool dry_run,
    char **ret, struct kc_error *err)
{
        for (size_t i = 0; i < a->n_ips; i++)
                if (a->ips[i].cidr.ip.family == family)
                        return take_next(a, &a->ips[i], o, dry_run, ret, err);
        return kc_error_set(err, ERANGE, "no service range of that IP family is configured");
}

int kc_service_alloc_next_port(
    struct kc_service_alloc *a, const struct kc_service_owner *o, bool dry_run, int *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *name = NULL;
        int64_t port = 0;
        int r = take_next(a, &a->ports, o, dry_run, &name, err);
        if (r == 0 && kc_str_to_i64(name, &port) == 0)
                *ret = (int)port;
        return r;
}

/* --- a given one */

static const struct range *range_of_ip(const struct kc_service_alloc *a, const struct kc_ip *ip)
{
        for (size_t i = 0; i < a->n_ips; i++) {
                uint64_t index = kc_cidr_index(&a->ips[i].cidr, ip);
                if (index != UINT64_MAX && index >= a->ips[i].first && index - a->ips[i].first < a->ips[i].size)
                        return &a->ips[i];
        }
        return NULL;
}

int kc_service_alloc_ip(
    struct kc_service_alloc *a, const struct kc_service_owner *o, const char *ip, bool dry_run, struct kc_error *err)
{
        struct kc_ip parsed;
        char text[KC_IP_LEN], cidr[KC_IP_LEN];
        const struct range *r = kc_ip_parse(ip, &parsed) == 0 ? range_of_ip(a, &parsed) : NULL;
        if (!r) {
                const struct kc_cidr *c = kc_service_alloc_cidr(a, strchr(ip, ':') ? AF_INET6 : AF_INET);
                return kc_error_set(err, ERANGE,
                    "the provided IP (%s) is not in the valid range. The range of valid IPs is %s", ip,
                    c ? kc_cidr_format(c, cidr) : "");
        }
        KC_CLEANUP(kc_freep) char *key = key_of(a, r, kc_ip_format(&parsed, text));
        int e = take(a, key, o, dry_run, err);
        return e == -EEXIST ? kc_error_set(err, EEXIST, "provided IP is already allocated") : e;
}

int kc_service_alloc_port(
    struct kc_service_alloc *a, const struct kc_service_owner *o, int port, bool dry_run, struct kc_error *err)
{
        const struct range *r = &a->ports;
        if (port < 0 || (uint64_t)port < r->first || (uint64_t)port - r->first >= r->size)
                return kc_error_set(err, ERANGE,
                    "provided port is not in the valid range. The range of valid ports is %llu-%llu",
                    (unsigned long long)r->first, (unsigned long long)(r->first + r->size - 1));
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%d", port);
        KC_CLEANUP(kc_freep) char *key = key_of(a, r, name);
        int e = take(a, key, o, dry_run, err);
        return e == -EEXIST ? kc_error_set(err, EEXIST, "provided port is already allocated") : e;
}

/* --- giving back */

static bool owned_by(const struct kc_store_kv *kv, const char *uid)
{
        KC_CLEANUP(kc_json_freep) struct json_object *v = NULL;
        if (kc_json_parse(kc_bytes_data(kv->value), kc_bytes_len(kv->value), NULL, &v, NULL) < 0)
                return true; /* nobody's */
        const char *owner = kc_json_str(v, "uid");
        return kc_str_empty(owner) || kc_streq(owner, uid);
}

static void release(struct kc_service_alloc *a, const char *key, const struct kc_service_owner *o)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_store_kv_done) struct kc_store_kv kv = {0};
        int r = kc_store_get(store_of(a), key, 0, &kv, NULL, &err);
        if (r == 0) {
                if (!owned_by(&kv, o->uid))
                        return;
                r = kc_store_delete(store_of(a), key, kv.mod_revision, NULL, NULL, &err);
        }
        if (r == 0 || r == -ENOENT)
                remember(a, key, false);
        else
                kc_log_error(&err, "Cannot release an address of a Service, repair will", "key", key, "service",
                    kc_log_fmt("%s/%s", o->ns, o->name));
}

void kc_service_alloc_release_ip(struct kc_service_alloc *a, const struct kc_service_owner *o, const char *ip)
{
        struct kc_ip parsed;
        char text[KC_IP_LEN];
        const struct range *r = kc_ip_parse(ip, &parsed) == 0 ? range_of_ip(a, &parsed) : NULL;
        if (!r)
                return;
        KC_CLEANUP(kc_freep) char *key = key_of(a, r, kc_ip_format(&parsed, text));
        release(a, key, o);
}

void kc_service_alloc_release_port(struct kc_service_alloc *a, const struct kc_service_owner *o, int port)
{
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%d", port);
        KC_CLEANUP(kc_freep) char *key = key_of(a, &a->ports, name);
        release(a, key, o);
}

/* --- repair */

struct repair {
        struct kc_service_alloc *a;
        struct kc_map *wanted; /* keys that Services have */
};

static int record(
    struct repair *p, const struct json_object *svc, const struct range *r, const char *name, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *key = key_of(p->a, r, name);
        (void)kc_map_set(p->wanted, key, p);
        if (is_used(p->a, key))
                return 0;
        const struct kc_service_owner o = {
            .ns = kc_meta_namespace(svc), .name = kc_meta_name(svc), .uid = kc_meta_uid(svc)};
        int e = take(p->a, key, &o, false, err);
        if (e == -EEXIST) {
                kc_error_done(err);
                return 0;
        }
        if (e == 0)
                kc_log_warn("Address of a Service was not allocated, repaired", "key", key, "service",
                    kc_log_fmt("%s/%s", o.ns, o.name));
        return e;
}

static int record_service(struct repair *p, const struct json_object *svc, struct kc_error *err)
{
        const struct json_object *ips = kc_json_at(svc, "spec.clusterIPs"), *ports = kc_json_at(svc, "spec.ports");
        int r = 0;
        for (size_t i = 0; r == 0 && i < kc_json_len(ips); i++) {
                const char *ip = kc_json_as_str(kc_json_idx(ips, i));
                struct kc_ip parsed;
                char text[KC_IP_LEN];
                const struct range *range = ip && kc_ip_parse(ip, &parsed) == 0 ? range_of_ip(p->a, &parsed) : NULL;
                if (range)
                        r = record(p, svc, range, kc_ip_format(&parsed, text), err);
        }
        int64_t health = kc_json_int_at(svc, "spec.healthCheckNodePort", 0);
        for (size_t i = 0; r == 0 && i <= kc_json_len(ports); i++) {
                int64_t port = i < kc_json_len(ports) ? kc_json_int(kc_json_idx(ports, i), "nodePort", 0) : health;
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("%lld", (long long)port);
                if (port > 0)
                        r = record(p, svc, &p->a->ports, name, err);
        }
        return r;
}

static bool taken_long_ago(const struct kc_service_alloc *a, const struct kc_store_kv *kv)
{
        KC_CLEANUP(kc_json_freep) struct json_object *v = NULL;
        kc_time t;
        if (kc_json_parse(kc_bytes_data(kv->value), kc_bytes_len(kv->value), NULL, &v, NULL) < 0 ||
            !kc_json_str(v, "time") || kc_time_parse(kc_json_str(v, "time"), &t) < 0)
                return true;
        return t + LEAK_AGE <= kc_clock_now(a->clock);
}

static int free_leaked(struct repair *p, const char *dir, struct kc_error *err)
{
        struct kc_store_list l = {0};
        int r = list_keys(p->a, dir, true, &l, err);
        for (size_t i = 0; r == 0 && i < l.n; i++) {
                const struct kc_store_kv *kv = &l.kvs[i];
                if (kc_map_has(p->wanted, kv->key) || !taken_long_ago(p->a, kv))
                        continue;
                kc_log_warn("Address that no Service has, released", "key", kv->key);
                r = kc_store_delete(store_of(p->a), kv->key, kv->mod_revision, NULL, NULL, err);
                if (r == 0 || r == -EAGAIN)
                        remember(p->a, kv->key, r != 0);
                if (r == -EAGAIN) { /* somebody else was here */
                        kc_error_done(err);
                        r = 0;
                }
        }
        kc_store_list_done(&l);
        return r;
}

int kc_service_alloc_repair(struct kc_service_alloc *a, struct kc_error *err)
{
        int r = load(a, err);
        if (r < 0)
                return r;
        struct kc_objects services = {0};
        KC_CLEANUP(kc_map_freep) struct kc_map *wanted = kc_map_new(NULL);
        struct repair p = {.a = a, .wanted = wanted};
        /* Not older than the keys: what they are for would look like a leak. */
        const struct kc_stored *s = kc_resources_find(a->resources, "", "services");
        const struct kc_cache_read consistent = {.match = KC_CACHE_CONSISTENT};
        r = kc_cache_wait(s->cache, &consistent, err);
        if (r == 0)
                r = kc_resources_list(a->resources, "", "services", NULL, NULL, &services, err);
        for (size_t i = 0; r == 0 && i < services.n; i++)
                r = record_service(&p, kc_object_json(services.v[i]), err);
        if (r == 0)
                r = free_leaked(&p, "serviceips", err);
        if (r == 0)
                r = free_leaked(&p, "servicenodeports", err);
        kc_objects_done(&services);
        return r;
}

int kc_service_alloc_count(struct kc_service_alloc *a, bool ports, int64_t *ret, struct kc_error *err)
{
        struct kc_store_list l = {0};
        int r = list_keys(a, ports ? "servicenodeports" : "serviceips", false, &l, err);
        if (r == 0)
                *ret = (int64_t)l.n;
        kc_store_list_done(&l);
        return r;
}

/* Node ports: a key of the store for each that is in use; what addresses and ports share. Any thread. */
#include "registry/service_alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "registry/service_alloc_internal.h"

/* What was taken less than so long ago may belong to a Service that is not stored yet. */
#define LEAK_AGE (9 * 60 * KC_SEC)

enum { RANDOM_TRIES = 32 };

uint64_t svc_clamp(uint64_t v, uint64_t lo, uint64_t hi)
{
        return v < lo ? lo : v > hi ? hi : v;
}

struct kc_service_alloc *kc_service_alloc_new(const struct kc_service_alloc_opts *o)
{
        struct kc_service_alloc *a = KC_NEW(struct kc_service_alloc);
        a->resources = o->resources;
        a->registry = o->registry;
        a->clock = o->clock;
        a->n_cidrs = KC_MIN(o->n_cidrs, KC_ARRAY_LEN(a->cidrs));
        for (size_t i = 0; i < a->n_cidrs; i++)
                a->cidrs[i] = o->cidrs[i];
        a->n_ports = o->node_port_max >= o->node_port_min && o->node_port_min > 0
                         ? (uint64_t)(o->node_port_max - o->node_port_min + 1)
                         : 0;
        a->first_port = (uint64_t)o->node_port_min;
        a->reserved_ports = a->n_ports < 32 ? 0 : svc_clamp(a->n_ports / 32, 16, 128);
        const struct kc_stored *s = kc_resources_find(o->resources, "", "services");
        KC_CLEANUP(kc_freep) char *key = s ? kc_cache_resource_key(s->cache, "a", "b") : kc_strdup("/registry");
        KC_CLEANUP(kc_freep) char *tail = s ? kc_asprintf("/%s/a/b", s->row->storage_prefix) : kc_strdup("");
        if (kc_str_has_suffix(key, tail))
                key[strlen(key) - strlen(tail)] = '\0';
        a->root = kc_asprintf("%s/ranges", key);
        a->used = kc_map_new(NULL);
        a->said = kc_map_new(NULL);
        pthread_mutex_init(&a->lock, NULL);
        return a;
}

void kc_service_alloc_free(struct kc_service_alloc *a)
{
        if (!a)
                return;
        kc_map_free(a->used);
        kc_map_free(a->said);
        kc_free(a->root);
        pthread_mutex_destroy(&a->lock);
        kc_free(a);
}

const struct kc_cidr *kc_service_alloc_cidr(const struct kc_service_alloc *a, int family)
{
        for (size_t i = 0; i < a->n_cidrs; i++)
                if (family == 0 || a->cidrs[i].ip.family == family)
                        return &a->cidrs[i];
        return NULL;
}

struct kc_store *svc_store(const struct kc_service_alloc *a)
{
        return kc_resources_store(a->resources);
}

int svc_take_between(uint64_t lo, uint64_t hi, svc_try_fn try_one, void *arg, struct kc_error *err)
{
        if (lo >= hi)
                return -EEXIST;
        uint64_t n = hi - lo;
        int e = -EEXIST;
        for (int i = 0; i < RANDOM_TRIES && e == -EEXIST; i++)
                e = try_one(arg, lo + kc_rand_below(n), err);
        uint64_t start = kc_rand_below(n);
        for (uint64_t i = 0; i < n && e == -EEXIST; i++)
                e = try_one(arg, lo + (start + i) % n, err);
        return e;
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

int svc_list_keys(
    struct kc_service_alloc *a, const char *dir, bool values, struct kc_store_list *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s/%s/", a->root, dir);
        const struct kc_store_list_opts o = {.prefix = prefix, .keys_only = !values};
        return kc_store_list(svc_store(a), &o, ret, err);
}

/* Takes over what the store has. */
static int load(struct kc_service_alloc *a, struct kc_error *err)
{
        struct kc_store_list l = {0};
        int r = svc_list_keys(a, SVC_PORTS_DIR, false, &l, err);
        if (r == 0) {
                pthread_mutex_lock(&a->lock);
                kc_map_clear(a->used);
                for (size_t i = 0; i < l.n; i++)
                        (void)kc_map_set(a->used, l.kvs[i].key, a);
                a->loaded = true;
                pthread_mutex_unlock(&a->lock);
        }
        kc_store_list_done(&l);
        return r;
}

static int ensure_loaded(struct kc_service_alloc *a, struct kc_error *err)
{
        pthread_mutex_lock(&a->lock);
        bool loaded = a->loaded;
        pthread_mutex_unlock(&a->lock);
        return loaded ? 0 : load(a, err);
}

static char *key_of(const struct kc_service_alloc *a, int64_t port)
{
        return kc_asprintf("%s/" SVC_PORTS_DIR "/%lld", a->root, (long long)port);
}

/* 0, -EEXIST without a message, or the store's error. */
static int take(
    struct kc_service_alloc *a, const char *key, const struct kc_service_owner *o, bool dry_run, struct kc_error *err)
{
        int r;
        if (dry_run) {
                KC_CLEANUP(kc_store_kv_done) struct kc_store_kv kv = {0};
                r = kc_store_get(svc_store(a), key, 0, &kv, NULL, err);
                if (r == -ENOENT)
                        kc_error_done(err);
                return r == 0 ? -EEXIST : r == -ENOENT ? 0 : r;
        }
        char now[KC_TIME_LEN];
        KC_CLEANUP(kc_json_freep)
        struct json_object *v = kc_json_build("{'namespace':%s,'name':%s,'uid':%s,'time':%s}", o->ns, o->name, o->uid,
            kc_time_format(kc_clock_now(a->clock), now));
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(v);
        r = kc_store_create(svc_store(a), key, text, strlen(text), NULL, NULL, NULL, err);
        if (r == 0 || r == -EEXIST)
                remember(a, key, true);
        return r;
}

/* --- any free one */

struct search {
        struct kc_service_alloc *a;
        const struct kc_service_owner *owner;
        bool dry_run;
        int found;
};

static int try_port(void *arg, uint64_t offset, struct kc_error *err)
{
        struct search *s = arg;
        KC_CLEANUP(kc_freep) char *key = key_of(s->a, (int64_t)(s->a->first_port + offset));
        if (is_used(s->a, key))
                return -EEXIST;
        int e = take(s->a, key, s->owner, s->dry_run, err);
        if (e == 0)
                s->found = (int)(s->a->first_port + offset);
        if (e == -EEXIST)
                kc_error_done(err);
        return e;
}

int kc_service_alloc_next_port(
    struct kc_service_alloc *a, const struct kc_service_owner *o, bool dry_run, int *ret, struct kc_error *err)
{
        struct search s = {.a = a, .owner = o, .dry_run = dry_run};
        int e = ensure_loaded(a, err);
        if (e < 0)
                return e;
        /* The second time with what the store has now: others may have given some back. */
        for (int round = 0; round < 2; round++) {
                e = svc_take_between(a->reserved_ports, a->n_ports, try_port, &s, err);
                if (e == -EEXIST)
                        e = svc_take_between(0, a->reserved_ports, try_port, &s, err);
                if (e == 0)
                        *ret = s.found;
                if (e != -EEXIST)
                        return e;
                e = round == 0 ? load(a, err) : 0;
                if (e < 0)
                        return e;
        }
        return kc_error_set(err, ENOSPC, "range is full");
}

/* --- a given one */

int kc_service_alloc_port(
    struct kc_service_alloc *a, const struct kc_service_owner *o, int port, bool dry_run, struct kc_error *err)
{
        if (port < 0 || (uint64_t)port < a->first_port || (uint64_t)port - a->first_port >= a->n_ports)
                return kc_error_set(err, ERANGE,
                    "provided port is not in the valid range. The range of valid ports is %llu-%llu",
                    (unsigned long long)a->first_port, (unsigned long long)(a->first_port + a->n_ports - 1));
        KC_CLEANUP(kc_freep) char *key = key_of(a, port);
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
        int r = kc_store_get(svc_store(a), key, 0, &kv, NULL, &err);
        if (r == 0) {
                if (!owned_by(&kv, o->uid))
                        return;
                r = kc_store_delete(svc_store(a), key, kv.mod_revision, NULL, NULL, &err);
        }
        if (r == 0 || r == -ENOENT)
                remember(a, key, false);
        else
                kc_log_error(&err, "Cannot release a port of a Service, repair will", "key", key, "service",
                    kc_log_fmt("%s/%s", o->ns, o->name));
}

void kc_service_alloc_release_port(struct kc_service_alloc *a, const struct kc_service_owner *o, int port)
{
        KC_CLEANUP(kc_freep) char *key = key_of(a, port);
        release(a, key, o);
}

/* --- repair */

struct repair {
        struct kc_service_alloc *a;
        struct kc_map *wanted; /* keys that Services have */
};

static int record(struct repair *p, const struct json_object *svc, int64_t port, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *key = key_of(p->a, port);
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
                kc_log_warn("Port of a Service was not allocated, repaired", "key", key, "service",
                    kc_log_fmt("%s/%s", o.ns, o.name));
        return e;
}

static int record_service(struct repair *p, const struct json_object *svc, struct kc_error *err)
{
        const struct json_object *ports = kc_json_at(svc, "spec.ports");
        int64_t health = kc_json_int_at(svc, "spec.healthCheckNodePort", 0);
        int r = 0;
        for (size_t i = 0; r == 0 && i <= kc_json_len(ports); i++) {
                int64_t port = i < kc_json_len(ports) ? kc_json_int(kc_json_idx(ports, i), "nodePort", 0) : health;
                if (port > 0)
                        r = record(p, svc, port, err);
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

static int free_leaked(struct repair *p, struct kc_error *err)
{
        struct kc_store_list l = {0};
        int r = svc_list_keys(p->a, SVC_PORTS_DIR, true, &l, err);
        for (size_t i = 0; r == 0 && i < l.n; i++) {
                const struct kc_store_kv *kv = &l.kvs[i];
                if (kc_map_has(p->wanted, kv->key) || !taken_long_ago(p->a, kv))
                        continue;
                kc_log_warn("Port that no Service has, released", "key", kv->key);
                r = kc_store_delete(svc_store(p->a), kv->key, kv->mod_revision, NULL, NULL, err);
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

static int repair_ports(struct kc_service_alloc *a, const struct kc_objects *services, struct kc_error *err)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *wanted = kc_map_new(NULL);
        struct repair p = {.a = a, .wanted = wanted};
        int r = 0;
        for (size_t i = 0; r == 0 && i < services->n; i++)
                r = record_service(&p, kc_object_json(services->v[i]), err);
        return r < 0 ? r : free_leaked(&p, err);
}

/* Services, not older than what is looked at next. */
static int list_services(struct kc_service_alloc *a, struct kc_objects *ret, struct kc_error *err)
{
        const struct kc_stored *s = kc_resources_find(a->resources, "", "services");
        const struct kc_cache_read consistent = {.match = KC_CACHE_CONSISTENT};
        int r = kc_cache_wait(s->cache, &consistent, err);
        return r < 0 ? r : kc_resources_list(a->resources, "", "services", NULL, NULL, ret, err);
}

int kc_service_alloc_repair(struct kc_service_alloc *a, bool ports, struct kc_error *err)
{
        struct kc_objects services = {0};
        int r = ports ? load(a, err) : 0;
        if (r == 0)
                r = list_services(a, &services, err);
        if (r == 0)
                r = svc_repair_addresses(a, &services, err);
        if (r == 0 && ports)
                r = repair_ports(a, &services, err);
        kc_objects_done(&services);
        return r;
}

int kc_service_alloc_count(struct kc_service_alloc *a, bool ports, int64_t *ret, struct kc_error *err)
{
        struct kc_store_list l = {0};
        KC_CLEANUP(kc_freep) char *addresses = kc_strndup(a->root, strlen(a->root) - strlen("ranges"));
        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s" SVC_ADDRESSES "/", addresses);
        const struct kc_store_list_opts o = {.prefix = prefix, .keys_only = true};
        int r = ports ? svc_list_keys(a, SVC_PORTS_DIR, false, &l, err) : kc_store_list(svc_store(a), &o, &l, err);
        if (r == 0)
                *ret = (int64_t)l.n;
        kc_store_list_done(&l);
        return r;
}

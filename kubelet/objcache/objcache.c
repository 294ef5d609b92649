/* ConfigMaps and Secrets by name, kept while pods of this node refer to them. One mutex; fetching is done without it,
 * and a reference counted anew meanwhile makes the result stale. Any thread. */
#include "kubelet/objcache/objcache.h"

#include <errno.h>
#include <pthread.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

#define DEFAULT_TTL (60 * KC_SEC)

struct entry {
        struct kc_object *object; /* NULL: not fetched yet, or not there */
        kc_mono fetched_at;
        size_t refs;      /* pods */
        uint64_t version; /* counts what makes the entry stale */
        bool fresh, immutable;
};

struct pod_refs {
        char **keys; /* strv, sorted */
        int64_t generation;
};

struct kc_objcache {
        struct kc_rest *rest;
        int64_t ttl;
        const struct kc_clock *clock;
        pthread_mutex_t mutex;
        struct kc_map *entries; /* by "configmaps/ns/name"; guarded by mutex */
        struct kc_map *pods;    /* pod_refs by uid; guarded by mutex */
};

static const struct {
        const char *resource, *word;
        const struct kc_gvr *gvr;
} kinds[] = {
    [KC_OBJCACHE_CONFIGMAP] = {"configmaps", "configmap", &KC_CONFIGMAPS},
    [KC_OBJCACHE_SECRET] = {"secrets", "secret", &KC_SECRETS},
};

static void entry_free(void *p)
{
        struct entry *e = p;
        kc_object_unref(e->object);
        kc_free(e);
}

static void pod_refs_free(void *p)
{
        struct pod_refs *r = p;
        kc_strv_free(r->keys);
        kc_free(r);
}

struct kc_objcache *kc_objcache_new(struct kc_rest *rest, int64_t ttl_usec, const struct kc_clock *clock)
{
        struct kc_objcache *c = KC_NEW(struct kc_objcache);
        c->rest = rest;
        c->ttl = ttl_usec > 0 ? ttl_usec : DEFAULT_TTL;
        c->clock = clock;
        pthread_mutex_init(&c->mutex, NULL);
        c->entries = kc_map_new(entry_free);
        c->pods = kc_map_new(pod_refs_free);
        return c;
}

void kc_objcache_free(struct kc_objcache *c)
{
        if (!c)
                return;
        kc_map_free(c->entries);
        kc_map_free(c->pods);
        pthread_mutex_destroy(&c->mutex);
        kc_free(c);
}

/* --- What a pod refers to */

static void add_key(char ***keys, enum kc_objcache_kind kind, const char *ns, const char *name)
{
        if (!kc_str_empty(name))
                kc_strv_pushf(keys, "%s/%s/%s", kinds[kind].resource, ns, name);
}

static void add_container_keys(char ***keys, const char *ns, const struct json_object *container)
{
        const struct json_object *from = kc_json_get(container, "envFrom");
        for (size_t i = 0; i < kc_json_len(from); i++) {
                const struct json_object *f = kc_json_idx(from, i);
                add_key(keys, KC_OBJCACHE_CONFIGMAP, ns, kc_json_str_at(f, "configMapRef.name"));
                add_key(keys, KC_OBJCACHE_SECRET, ns, kc_json_str_at(f, "secretRef.name"));
        }
        const struct json_object *env = kc_json_get(container, "env");
        for (size_t i = 0; i < kc_json_len(env); i++) {
                const struct json_object *from_value = kc_json_get(kc_json_idx(env, i), "valueFrom");
                add_key(keys, KC_OBJCACHE_CONFIGMAP, ns, kc_json_str_at(from_value, "configMapKeyRef.name"));
                add_key(keys, KC_OBJCACHE_SECRET, ns, kc_json_str_at(from_value, "secretKeyRef.name"));
        }
}

static void add_volume_keys(char ***keys, const char *ns, const struct json_object *volume)
{
        add_key(keys, KC_OBJCACHE_CONFIGMAP, ns, kc_json_str_at(volume, "configMap.name"));
        add_key(keys, KC_OBJCACHE_SECRET, ns, kc_json_str_at(volume, "secret.secretName"));
        const struct json_object *sources = kc_json_at(volume, "projected.sources");
        for (size_t i = 0; i < kc_json_len(sources); i++) {
                const struct json_object *s = kc_json_idx(sources, i);
                add_key(keys, KC_OBJCACHE_CONFIGMAP, ns, kc_json_str_at(s, "configMap.name"));
                add_key(keys, KC_OBJCACHE_SECRET, ns, kc_json_str_at(s, "secret.name"));
        }
}

static char **keys_of(const struct json_object *pod)
{
        static const char *const lists[] = {"spec.initContainers", "spec.containers", "spec.ephemeralContainers"};
        const char *ns = kc_meta_namespace(pod) ?: "default";
        char **keys = NULL;
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *list = kc_json_at(pod, lists[l]);
                for (size_t i = 0; i < kc_json_len(list); i++)
                        add_container_keys(&keys, ns, kc_json_idx(list, i));
        }
        const struct json_object *volumes = kc_json_at(pod, "spec.volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++)
                add_volume_keys(&keys, ns, kc_json_idx(volumes, i));
        const struct json_object *pulls = kc_json_at(pod, "spec.imagePullSecrets");
        for (size_t i = 0; i < kc_json_len(pulls); i++)
                add_key(&keys, KC_OBJCACHE_SECRET, ns, kc_json_str(kc_json_idx(pulls, i), "name"));
        if (keys)
                kc_strv_sort_uniq(keys);
        return keys;
}

static bool same_keys(char *const *a, char *const *b)
{
        size_t n = kc_strv_len(a);
        if (n != kc_strv_len(b))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!kc_streq(a[i], b[i]))
                        return false;
        return true;
}

static void drop_refs(struct kc_objcache *c, char *const *keys)
{
        for (size_t i = 0; keys && keys[i]; i++) {
                struct entry *e = kc_map_get(c->entries, keys[i]);
                if (e && --e->refs == 0)
                        (void)kc_map_remove(c->entries, keys[i]);
        }
}

void kc_objcache_register_pod(struct kc_objcache *c, const struct json_object *pod)
{
        struct pod_refs *now = KC_NEW(struct pod_refs);
        now->keys = keys_of(pod);
        now->generation = kc_meta_generation(pod);
        const char *uid = kc_meta_uid(pod) ?: "";
        pthread_mutex_lock(&c->mutex);
        struct pod_refs *old = kc_map_get(c->pods, uid);
        if (old && old->generation == now->generation && same_keys(old->keys, now->keys)) {
                /* Only the status is new. */
                pod_refs_free(now);
                pthread_mutex_unlock(&c->mutex);
                return;
        }
        for (size_t i = 0; now->keys && now->keys[i]; i++) {
                struct entry *e = kc_map_get(c->entries, now->keys[i]);
                if (!e) {
                        e = KC_NEW(struct entry);
                        (void)kc_map_set(c->entries, now->keys[i], e);
                }
                e->refs++;
                e->version++;
                e->fresh = false;
        }
        if (old)
                drop_refs(c, old->keys);
        (void)kc_map_set(c->pods, uid, now);
        pthread_mutex_unlock(&c->mutex);
}

void kc_objcache_unregister_pod(struct kc_objcache *c, const char *uid)
{
        pthread_mutex_lock(&c->mutex);
        struct pod_refs *old = kc_map_get(c->pods, uid);
        if (old) {
                drop_refs(c, old->keys);
                (void)kc_map_remove(c->pods, uid);
        }
        pthread_mutex_unlock(&c->mutex);
}

/* --- Getting */

/* With a reference when the entry can be served as it is; NULL: has to be fetched. *ret_version: of what is fetched. */
static struct kc_object *recall(struct kc_objcache *c, const char *key, uint64_t *ret_version)
{
        struct kc_object *found = NULL;
        pthread_mutex_lock(&c->mutex);
        struct entry *e = kc_map_get(c->entries, key);
        if (e) {
                *ret_version = e->version;
                bool young = e->fresh && kc_clock_mono(c->clock) - e->fetched_at < c->ttl;
                if (e->object && (young || e->immutable))
                        found = kc_object_ref(e->object);
        }
        pthread_mutex_unlock(&c->mutex);
        return found;
}

/* Keeps the result of a fetch (NULL: not there) unless nobody refers to it any more. */
static void remember(struct kc_objcache *c, const char *key, uint64_t version, struct kc_object *object)
{
        pthread_mutex_lock(&c->mutex);
        struct entry *e = kc_map_get(c->entries, key);
        if (e) {
                kc_object_unref(e->object);
                e->object = object ? kc_object_ref(object) : NULL;
                e->fetched_at = kc_clock_mono(c->clock);
                e->fresh = e->version == version;
                e->immutable = object && kc_json_bool(kc_object_json(object), "immutable", false);
        }
        pthread_mutex_unlock(&c->mutex);
}

static struct kc_object *recall_old(struct kc_objcache *c, const char *key)
{
        pthread_mutex_lock(&c->mutex);
        struct entry *e = kc_map_get(c->entries, key);
        struct kc_object *o = e && e->object ? kc_object_ref(e->object) : NULL;
        pthread_mutex_unlock(&c->mutex);
        return o;
}

int kc_objcache_get(struct kc_objcache *c, enum kc_objcache_kind kind, const char *ns, const char *name,
    struct kc_object **ret, struct kc_error *err)
{
        if (!c->rest)
                return kc_error_set_api(err, 404, KC_REASON_NOT_FOUND, "%s \"%s\" not found", kinds[kind].word, name);
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s/%s", kinds[kind].resource, ns, name);
        uint64_t version = 0;
        struct kc_object *o = recall(c, key, &version);
        if (o) {
                *ret = o;
                return 0;
        }
        struct json_object *tree = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        int r = kc_rest_get(c->rest, kinds[kind].gvr, ns, name, &tree, &why);
        if (r == 0) {
                o = kc_object_new(tree);
                remember(c, key, version, o);
                *ret = o;
                return 0;
        }
        if (kc_error_is(&why, KC_REASON_NOT_FOUND)) {
                remember(c, key, version, NULL);
                return kc_error_set_api(err, 404, KC_REASON_NOT_FOUND, "%s \"%s\" not found", kinds[kind].word, name);
        }
        /* The server is away or overloaded: better what was true a while ago than no container. */
        o = why.code == 0 || why.code >= 500 || why.code == 429 ? recall_old(c, key) : NULL;
        if (o) {
                kc_log_error(&why, "Could not refresh an object, using the last one known", "key", key);
                *ret = o;
                return 0;
        }
        if (err)
                kc_error_move(err, &why);
        return r;
}

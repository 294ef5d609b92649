/* What the quota controller watches: the kinds that quotas name, from the first quota on that does. Most are counted by
 * their metadata. Handlers on the loop, discovery on the pool. */
#include <string.h>

#include "api/quota.h"
#include "base/str.h"
#include "client/resource_map.h"
#include "controller-manager/resourcequota_internal.h"

#define SETTLE (5 * KC_SEC) /* what is new has been charged already: only errors of that are put right */

/* Kinds with resources of their own names; what they use stands in their specs, or at least their number in no more
 * than metadata. */
static const struct special {
        const char *group, *resource;
        bool whole; /* metadata does not do */
} specials[] = {
    {"", "pods", true},
    {"", "services", true},
    {"", "persistentvolumeclaims", true},
    {"resource.k8s.io", "resourceclaims", true},
    {"", "replicationcontrollers", false},
    {"", "resourcequotas", false},
    {"", "secrets", false},
    {"", "configmaps", false},
};

/* --- What happens to objects */

static bool is_counted(const struct rq_monitor *m, const struct json_object *quota)
{
        KC_JSON_FOREACH(kc_json_at(quota, "spec.hard"), name, value)
        {
                (void)value; /* only the names */
                if (kc_quota_counts(m->gvr.group, m->gvr.resource, name))
                        return true;
        }
        return false;
}

/* Quotas of the object's namespace that count its kind. False: there are none. */
static bool enqueue_quotas(const struct rq_monitor *m, const struct kc_object *o, int64_t after)
{
        struct kc_objects all = {0};
        bool any = false;
        kc_informer_list(m->rq->quotas, kc_object_namespace(o), NULL, &all);
        for (size_t i = 0; i < all.n; i++) {
                const struct json_object *quota = kc_object_json(all.v[i]);
                if (!is_counted(m, quota))
                        continue;
                KC_CLEANUP(kc_freep) char *key = kc_meta_key(quota);
                any = true;
                if (after >= 0)
                        kc_workqueue_add_after(kc_controller_queue(m->rq->controller), key, after);
        }
        kc_objects_done(&all);
        return any;
}

static void on_add(struct kc_object *o, bool initial, void *arg)
{
        if (!initial)
                enqueue_quotas(arg, o, SETTLE);
}

static void on_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        const struct rq_monitor *m = arg;
        const struct json_object *a = kc_object_json(old), *b = kc_object_json(o);
        kc_time now = kc_clock_now(NULL), end;
        if (!enqueue_quotas(m, o, -1))
                return;
        KC_CLEANUP(kc_json_freep) struct json_object *before = kc_quota_usage(m->gvr.group, m->gvr.resource, a, now);
        KC_CLEANUP(kc_json_freep) struct json_object *after = kc_quota_usage(m->gvr.group, m->gvr.resource, b, now);
        if (!kc_amounts_equal(before, after))
                enqueue_quotas(m, o, 0);
        /* A pod that nobody ends stops counting some time after it should have been. */
        if (kc_meta_deleting(b) && !kc_meta_deleting(a) &&
            kc_time_parse(kc_json_str_at(b, "metadata.deletionTimestamp"), &end) == 0) {
                end += (kc_json_int_at(b, "metadata.deletionGracePeriodSeconds", 0) + 1) * KC_SEC;
                enqueue_quotas(m, o, KC_MAX(end - now, (int64_t)0));
        }
}

static void on_delete(struct kc_object *o, void *arg)
{
        enqueue_quotas(arg, o, 0);
}

/* --- Kinds */

static struct rq_monitor *find_monitor(struct rq *rq, const char *group, const char *resource)
{
        struct rq_monitor *found = NULL;
        pthread_mutex_lock(&rq->lock);
        for (size_t i = 0; i < rq->monitors.n && !found; i++) {
                struct rq_monitor *m = rq->monitors.v[i];
                if (strcmp(m->gvr.group, group) == 0 && strcmp(m->gvr.resource, resource) == 0)
                        found = m;
        }
        pthread_mutex_unlock(&rq->lock);
        return found;
}

/* "count/deployments.apps", "requests.cpu": of which kind; NULL: of none. Heap. */
static char *kind_of(const char *name)
{
        if (kc_str_has_prefix(name, "count/"))
                return kc_strdup(name + strlen("count/"));
        for (size_t i = 0; i < KC_ARRAY_LEN(specials); i++)
                if (kc_quota_counts(specials[i].group, specials[i].resource, name))
                        return kc_asprintf(
                            "%s%s%s", specials[i].resource, specials[i].group[0] ? "." : "", specials[i].group);
        return NULL;
}

static bool is_whole(const struct kc_api_resource *r)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(specials); i++)
                if (strcmp(specials[i].group, r->group) == 0 && strcmp(specials[i].resource, r->resource) == 0)
                        return specials[i].whole;
        return false;
}

static void add_monitor(struct rq *rq, const struct kc_api_resource *r)
{
        struct rq_monitor *m = KC_NEW(struct rq_monitor);
        m->rq = rq;
        m->gvr = (struct kc_gvr){.group = kc_strdup(r->group),
            .version = kc_strdup(r->version),
            .resource = kc_strdup(r->resource),
            .kind = kc_strdup(r->kind),
            .namespaced = r->namespaced};
        m->informer =
            is_whole(r) ? kc_informers_get(rq->informers, &m->gvr) : kc_informers_get_metadata(rq->informers, &m->gvr);
        pthread_mutex_lock(&rq->lock);
        rq->monitors.v = kc_reallocarray(rq->monitors.v, rq->monitors.n + 1, sizeof(*rq->monitors.v));
        rq->monitors.v[rq->monitors.n++] = m;
        pthread_mutex_unlock(&rq->lock);
        kc_informer_add_handler(m->informer, &(struct kc_informer_handler){on_add, on_update, on_delete}, m);
}

/* --- Kinds that are new */

struct found {
        struct rq *rq;
        struct kc_resource_map *map;
        char **kinds; /* strv */
};

static void count_all(void *arg)
{
        struct rq *rq = arg;
        struct kc_objects all = {0};
        kc_informer_list(rq->quotas, NULL, NULL, &all);
        for (size_t i = 0; i < all.n; i++) {
                KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(all.v[i]));
                kc_workqueue_add(kc_controller_queue(rq->controller), key);
        }
        kc_objects_done(&all);
}

static bool is_kind(const struct kc_api_resource *r, const char *kind)
{
        size_t n = strlen(r->resource);
        if (!r->preferred || !r->namespaced || strncmp(kind, r->resource, n) != 0)
                return false;
        return r->group[0] ? kind[n] == '.' && strcmp(kind + n + 1, r->group) == 0 : kind[n] == '\0';
}

static const struct kc_api_resource *find_kind(const struct kc_resource_map *map, const char *kind)
{
        for (size_t i = 0; i < map->n; i++)
                if (is_kind(&map->v[i], kind) && kc_api_resource_has_verb(&map->v[i], "list") &&
                    kc_api_resource_has_verb(&map->v[i], "watch"))
                        return &map->v[i];
        return NULL;
}

static void on_found(void *arg)
{
        struct found *f = arg;
        for (size_t i = 0; f->kinds[i]; i++) {
                const struct kc_api_resource *r = find_kind(f->map, f->kinds[i]);
                if (!find_monitor(f->rq, r->group, r->resource))
                        add_monitor(f->rq, r);
        }
        kc_informers_start(f->rq->informers);
        kc_informers_on_synced(f->rq->informers, count_all, f->rq);
        kc_resource_map_free(f->map);
        kc_strv_free(f->kinds);
        kc_free(f);
}

/* Has some of the kinds watched that are not yet. *ret_any: there are such, and discovery knows them. */
static int watch_kinds(struct rq *rq, char *const *kinds, bool *ret_any, struct kc_error *err)
{
        KC_CLEANUP(kc_resource_map_freep) struct kc_resource_map *map = NULL;
        char **known = NULL;
        int r = kc_resource_map_fetch(rq->rest, &map, err);
        *ret_any = false;
        if (r < 0)
                return r;
        for (size_t i = 0; kinds[i]; i++)
                if (find_kind(map, kinds[i]))
                        kc_strv_push(&known, kinds[i]);
        if (!known)
                return 0;
        struct found *f = KC_NEW(struct found);
        *f = (struct found){.rq = rq, .map = KC_TAKE(map), .kinds = known};
        kc_loop_post(rq->loop, on_found, f);
        *ret_any = true;
        return 0;
}

static struct rq_monitor *monitor_of(struct rq *rq, const char *kind)
{
        const char *dot = strchr(kind, '.');
        KC_CLEANUP(kc_freep) char *resource = kc_strndup(kind, dot ? (size_t)(dot - kind) : strlen(kind));
        return find_monitor(rq, dot ? dot + 1 : "", resource);
}

int rq_monitors_of(
    struct rq *rq, const struct json_object *hard, struct rq_monitors *ret, bool *ret_ready, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **seen = NULL;
        KC_CLEANUP(kc_strv_freep) char **missing = NULL;
        bool ready = true, coming = false;
        KC_JSON_FOREACH(hard, name, value)
        {
                KC_CLEANUP(kc_freep) char *kind = kind_of(name);
                (void)value; /* only the names */
                if (!kind || (seen && kc_strv_has(seen, kind)))
                        continue;
                kc_strv_push(&seen, kind);
                struct rq_monitor *m = monitor_of(rq, kind);
                if (!m) {
                        kc_strv_push(&missing, kind);
                        continue;
                }
                ready = ready && kc_informer_synced(m->informer);
                ret->v = kc_reallocarray(ret->v, ret->n + 1, sizeof(*ret->v));
                ret->v[ret->n++] = m;
        }
        int r = missing ? watch_kinds(rq, missing, &coming, err) : 0;
        *ret_ready = ready && !coming;
        return r;
}

void rq_monitors_free(struct rq *rq)
{
        for (size_t i = 0; i < rq->monitors.n; i++) {
                struct rq_monitor *m = rq->monitors.v[i];
                kc_free((char *)m->gvr.group);
                kc_free((char *)m->gvr.version);
                kc_free((char *)m->gvr.resource);
                kc_free((char *)m->gvr.kind);
                kc_free(m);
        }
        kc_free(rq->monitors.v);
}

/* What the garbage collector watches: the metadata of every kind that discovery says can be listed, watched and
 * deleted. The graph is not kept: an index by owner uid in each informer says all that is needed. Handlers on the loop,
 * discovery on the pool. */
#include <string.h>

#include "base/str.h"
#include "controller-manager/garbagecollector_internal.h"

enum { DISCOVERY_PERIOD_S = 30, SYNC_PATIENCE_S = 30 };

struct gc_monitor *kc_gc_monitor(struct gc *gc, size_t number)
{
        pthread_mutex_lock(&gc->lock);
        struct gc_monitor *m = number < gc->n_monitors ? gc->monitors[number] : NULL;
        pthread_mutex_unlock(&gc->lock);
        return m;
}

static struct gc_monitor *find_monitor(struct gc *gc, const char *group, const char *resource)
{
        struct gc_monitor *m;
        for (size_t k = 0; (m = kc_gc_monitor(gc, k)); k++)
                if (kc_streq(m->gvr.group, group) && kc_streq(m->gvr.resource, resource))
                        return m;
        return NULL;
}

struct gc_monitor *kc_gc_monitor_of_ref(struct gc *gc, const struct json_object *ref)
{
        const char *api_version = kc_json_str(ref, "apiVersion"),
                   *slash = api_version ? strchr(api_version, '/') : NULL;
        KC_CLEANUP(kc_freep)
        char *group = slash ? kc_strndup(api_version, (size_t)(slash - api_version)) : kc_strdup("");
        struct gc_monitor *m;
        for (size_t k = 0; (m = kc_gc_monitor(gc, k)); k++)
                if (kc_streq(m->gvr.kind, kc_json_str(ref, "kind")) && kc_streq(m->gvr.group, group))
                        return m;
        return NULL;
}

void kc_gc_enqueue(struct gc_monitor *m, const struct kc_object *o)
{
        KC_CLEANUP(kc_freep) char *meta = kc_meta_key(kc_object_json(o));
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%zu %s", m->number, meta);
        kc_workqueue_add(kc_controller_queue(m->gc->controller), key);
}

void kc_gc_dependents(struct gc_monitor *m, const char *uid, struct kc_objects *ret)
{
        kc_informer_by_index(m->informer, "owners", uid, ret);
}

static void enqueue_dependents(struct gc *gc, const char *uid)
{
        struct gc_monitor *m;
        for (size_t k = 0; (m = kc_gc_monitor(gc, k)); k++) {
                struct kc_objects list = {0};
                kc_gc_dependents(m, uid, &list);
                for (size_t i = 0; i < list.n; i++)
                        kc_gc_enqueue(m, list.v[i]);
                kc_objects_done(&list);
        }
}

/* --- handlers */

/* Where the reference says it is: an owner of that uid elsewhere, or of another kind or name, is none. A new reference;
 * NULL: not there. */
static struct kc_object *cached_owner(const struct gc_monitor *m, const struct json_object *o, const char *name)
{
        const char *ns = m->gvr.namespaced ? kc_meta_namespace(o) : NULL;
        return name && (ns || !m->gvr.namespaced) ? kc_informer_lookup(m->informer, ns, name) : NULL;
}

/* An object with owners is looked at when one of them is not there (any more) or waits for it. */
static bool owners_need_look(struct gc *gc, const struct json_object *o)
{
        const struct json_object *refs = kc_json_at(o, "metadata.ownerReferences");
        for (size_t i = 0; i < kc_json_len(refs); i++) {
                const struct json_object *ref = kc_json_idx(refs, i);
                const struct gc_monitor *m = kc_gc_monitor_of_ref(gc, ref);
                KC_CLEANUP(kc_object_unrefp)
                struct kc_object *owner = m ? cached_owner(m, o, kc_json_str(ref, "name")) : NULL;
                if (!owner || !kc_streq(kc_object_uid(owner), kc_json_str(ref, "uid")))
                        return true;
        }
        return false;
}

bool kc_gc_waits_for_us(const struct json_object *o)
{
        return kc_meta_deleting(o) &&
               (kc_meta_has_finalizer(o, KC_GC_FOREGROUND) || kc_meta_has_finalizer(o, KC_GC_ORPHAN));
}

static void on_add(struct kc_object *o, bool initial, void *arg)
{
        struct gc_monitor *m = arg;
        const struct json_object *tree = kc_object_json(o);

        (void)initial;
        if (kc_gc_waits_for_us(tree) || owners_need_look(m->gc, tree))
                kc_gc_enqueue(m, o);
}

/* Owners may have waited for the object: it is gone, or no longer theirs, or lets them go. */
static void enqueue_owners(struct gc *gc, const struct json_object *o)
{
        const struct json_object *refs = kc_json_at(o, "metadata.ownerReferences");
        for (size_t i = 0; i < kc_json_len(refs); i++) {
                const struct json_object *ref = kc_json_idx(refs, i);
                struct gc_monitor *m = kc_gc_monitor_of_ref(gc, ref);
                if (!m)
                        continue;
                KC_CLEANUP(kc_object_unrefp) struct kc_object *owner = cached_owner(m, o, kc_json_str(ref, "name"));
                if (owner && kc_gc_waits_for_us(kc_object_json(owner)))
                        kc_gc_enqueue(m, owner);
        }
}

static void on_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        struct gc_monitor *m = arg;
        const struct json_object *a = kc_object_json(old), *b = kc_object_json(o);
        bool same_owners =
            kc_json_equal(kc_json_at(a, "metadata.ownerReferences"), kc_json_at(b, "metadata.ownerReferences"));

        if (!kc_streq(kc_object_uid(old), kc_object_uid(o)))
                enqueue_dependents(m->gc, kc_object_uid(old));
        if (!same_owners)
                enqueue_owners(m->gc, a);
        if (kc_gc_waits_for_us(b)) {
                kc_gc_enqueue(m, o);
                if (!kc_gc_waits_for_us(a))
                        enqueue_dependents(m->gc, kc_object_uid(o));
        } else if (!same_owners && owners_need_look(m->gc, b)) {
                kc_gc_enqueue(m, o);
        }
}

static void on_delete(struct kc_object *o, void *arg)
{
        struct gc_monitor *m = arg;
        enqueue_dependents(m->gc, kc_object_uid(o));
        enqueue_owners(m->gc, kc_object_json(o));
}

static void index_owners(const struct kc_object *o, char ***values)
{
        const struct json_object *refs = kc_json_at(kc_object_json(o), "metadata.ownerReferences");
        for (size_t i = 0; i < kc_json_len(refs); i++) {
                const char *uid = kc_json_str(kc_json_idx(refs, i), "uid");
                if (uid)
                        kc_strv_push(values, uid);
        }
}

/* --- what there is to watch */

/* Events are many, own nothing and pass by themselves. */
static bool is_collected(const struct kc_api_resource *r)
{
        return r->preferred && kc_api_resource_has_verb(r, "list") && kc_api_resource_has_verb(r, "watch") &&
               kc_api_resource_has_verb(r, "delete") && !kc_streq(r->resource, "events");
}

static void add_monitor(struct gc *gc, const struct kc_api_resource *r)
{
        struct gc_monitor *m = KC_NEW(struct gc_monitor);
        m->gc = gc;
        m->gvr = (struct kc_gvr){.group = kc_strdup(r->group),
            .version = kc_strdup(r->version),
            .resource = kc_strdup(r->resource),
            .kind = kc_strdup(r->kind),
            .namespaced = r->namespaced};
        m->informer = kc_informers_get_metadata(gc->informers, &m->gvr);
        pthread_mutex_lock(&gc->lock);
        m->number = gc->n_monitors;
        gc->monitors = kc_reallocarray(gc->monitors, gc->n_monitors + 1, sizeof(struct gc_monitor *));
        gc->monitors[gc->n_monitors++] = m;
        pthread_mutex_unlock(&gc->lock);
        kc_informer_add_index(m->informer, "owners", index_owners);
        kc_informer_add_handler(m->informer, &(struct kc_informer_handler){on_add, on_update, on_delete}, m);
}

static void collect(void *arg)
{
        struct gc *gc = arg;
        if (gc->started)
                return;
        gc->started = true;
        kc_timer_disarm(gc->patience);
        kc_controller_start(gc->controller);
}

struct found {
        struct gc *gc;
        struct kc_resource_map *map;
};

static void on_found(void *arg)
{
        struct found *f = arg;
        struct gc *gc = f->gc;
        size_t had = gc->n_monitors;

        for (size_t i = 0; i < f->map->n; i++)
                if (is_collected(&f->map->v[i]) && !find_monitor(gc, f->map->v[i].group, f->map->v[i].resource))
                        add_monitor(gc, &f->map->v[i]);
        kc_resource_map_free(f->map);
        kc_free(f);
        if (gc->n_monitors == had)
                return;
        kc_informers_start(gc->informers);
        if (!gc->started)
                kc_informers_on_synced(gc->informers, collect, gc);
}

static int discover(void *arg, const char *key, struct kc_error *err)
{
        struct gc *gc = arg;
        struct kc_resource_map *map;
        int rc = kc_resource_map_fetch(gc->rest, &map, err);

        if (rc < 0)
                return rc;
        struct found *f = KC_NEW(struct found);
        *f = (struct found){.gc = gc, .map = map};
        kc_loop_post(gc->loop, on_found, f);
        kc_workqueue_add_after(kc_controller_queue(gc->discovery), key, DISCOVERY_PERIOD_S * KC_SEC);
        return 0;
}

void kc_gc_monitors_init(struct gc *gc, const struct kc_cm_context *cm)
{
        gc->rest = cm->rest;
        gc->loop = cm->loop;
        gc->informers = cm->informers;
        pthread_mutex_init(&gc->lock, NULL);
        gc->patience = kc_timer_new(cm->loop, collect, gc);
        gc->discovery = kc_controller_new(cm->loop, cm->pool, "garbage-collector-discovery", 1, discover, gc);
}

void kc_gc_monitors_start(struct gc *gc)
{
        kc_workqueue_add(kc_controller_queue(gc->discovery), "resources");
        kc_controller_start(gc->discovery);
        kc_timer_arm(gc->patience, SYNC_PATIENCE_S * KC_SEC);
}

void kc_gc_monitors_done(struct gc *gc)
{
        kc_controller_free(gc->discovery);
        kc_timer_free(gc->patience);
        for (size_t k = 0; k < gc->n_monitors; k++) {
                struct gc_monitor *m = gc->monitors[k];
                kc_free((char *)m->gvr.group);
                kc_free((char *)m->gvr.version);
                kc_free((char *)m->gvr.resource);
                kc_free((char *)m->gvr.kind);
                kc_free(m);
        }
        kc_free(gc->monitors);
        pthread_mutex_destroy(&gc->lock);
}

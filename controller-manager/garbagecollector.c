/* The garbage collector: deletes objects whose owners are gone, lets owners go that wait for their dependents, and
 * orphans dependents. Sync on the pool. Mirrors upstream's pkg/controller/garbagecollector. */
#include <string.h>

#include "base/str.h"
#include "controller-manager/garbagecollector_internal.h"
#include "controller-manager/options.h"

enum owner_state { SOLID, DANGLING, WAITING };

/* The cache may be late in both directions: the server decides whether an owner is gone. */
static int classify(struct gc *gc, const struct json_object *o, const struct json_object *ref, enum owner_state *ret,
    struct kc_error *err)
{
        const struct gc_monitor *m = kc_gc_monitor_of_ref(gc, ref);
        KC_CLEANUP(kc_json_freep) struct json_object *owner = NULL;
        int rc;

        *ret = SOLID;
        /* A kind that we do not watch: leave its dependents alone. */
        if (!m)
                return 0;
        const struct kc_gvr *g = &m->gvr;
        /* A cluster-scoped object cannot be owned from within a namespace. */
        if (g->namespaced && !kc_meta_namespace(o))
                return 0;
        rc = kc_rest_get(
            gc->rest, g, g->namespaced ? kc_meta_namespace(o) : NULL, kc_json_str(ref, "name"), &owner, err);
        if (rc < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND))
                return rc;
        if (rc < 0 || !kc_streq(kc_meta_uid(owner), kc_json_str(ref, "uid"))) {
                kc_error_done(err);
                *ret = DANGLING;
        } else if (kc_meta_deleting(owner) && kc_meta_has_finalizer(owner, KC_GC_FOREGROUND)) {
                *ret = WAITING;
        }
        return 0;
}

static int patch_object(
    struct gc_monitor *m, const struct json_object *o, const struct json_object *patch, struct kc_error *err)
{
        int rc = kc_rest_patch(
            m->gc->rest, &m->gvr, kc_meta_namespace(o), kc_meta_name(o), NULL, KC_PATCH_MERGE, patch, NULL, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        return rc;
}

/* Takes ownerReferences away: those with an uid of the list. */
static int drop_owners(struct gc_monitor *m, const struct json_object *o, char *const *uids, struct kc_error *err)
{
        const struct json_object *refs = kc_json_at(o, "metadata.ownerReferences");
        struct json_object *kept = json_object_new_array();

        for (size_t i = 0; i < kc_json_len(refs); i++)
                if (!kc_strv_has(uids, kc_json_str(kc_json_idx(refs, i), "uid")))
                        kc_json_push(kept, kc_json_copy(kc_json_idx(refs, i)));
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build("{'metadata':{'uid':%s,'resourceVersion':%s,'ownerReferences':%o}}",
            kc_meta_uid(o), kc_meta_resource_version(o), kept);
        return patch_object(m, o, patch, err);
}

static int drop_finalizer(struct gc_monitor *m, const struct json_object *o, const char *name, struct kc_error *err)
{
        const struct json_object *have = kc_json_at(o, "metadata.finalizers");
        struct json_object *kept = json_object_new_array();

        for (size_t i = 0; i < kc_json_len(have); i++)
                if (!kc_streq(kc_json_as_str(kc_json_idx(have, i)), name))
                        kc_json_push_str(kept, kc_json_as_str(kc_json_idx(have, i)));
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch =
            kc_json_build("{'metadata':{'resourceVersion':%s,'finalizers':%o}}", kc_meta_resource_version(o), kept);
        return patch_object(m, o, patch, err);
}

static bool blocks(const struct json_object *dependent, const char *owner_uid)
{
        const struct json_object *refs = kc_json_at(dependent, "metadata.ownerReferences");
        for (size_t i = 0; i < kc_json_len(refs); i++)
                if (kc_streq(kc_json_str(kc_json_idx(refs, i), "uid"), owner_uid) &&
                    kc_json_bool(kc_json_idx(refs, i), "blockOwnerDeletion", false))
                        return true;
        return false;
}

/* A foreground deletion: dependents first, then the owner's finalizer. */
static int finish_foreground(struct gc_monitor *m, const struct json_object *o, struct kc_error *err)
{
        struct gc_monitor *dm;
        bool blocked = false;

        for (size_t k = 0; (dm = kc_gc_monitor(m->gc, k)); k++) {
                struct kc_objects list = {0};
                kc_gc_dependents(dm, kc_meta_uid(o), &list);
                for (size_t i = 0; i < list.n; i++) {
                        blocked |= blocks(kc_object_json(list.v[i]), kc_meta_uid(o));
                        if (!kc_meta_deleting(kc_object_json(list.v[i])))
                                kc_gc_enqueue(dm, list.v[i]);
                }
                kc_objects_done(&list);
        }
        return blocked ? 0 : drop_finalizer(m, o, KC_GC_FOREGROUND, err);
}

static int finish_orphan(struct gc_monitor *m, const struct json_object *o, struct kc_error *err)
{
        char *uids[] = {(char *)kc_meta_uid(o), NULL};
        struct gc_monitor *dm;
        int rc = 0;

        for (size_t k = 0; rc == 0 && (dm = kc_gc_monitor(m->gc, k)); k++) {
                struct kc_objects list = {0};
                kc_gc_dependents(dm, kc_meta_uid(o), &list);
                for (size_t i = 0; i < list.n && rc == 0; i++)
                        rc = drop_owners(dm, kc_object_json(list.v[i]), uids, err);
                kc_objects_done(&list);
        }
        return rc == 0 ? drop_finalizer(m, o, KC_GC_ORPHAN, err) : rc;
}

/* Whether it has dependents; *ret_waiting: one of those waits for its own (that may be us: a circle). */
static bool has_dependents(struct gc *gc, const char *uid, bool *ret_waiting)
{
        struct gc_monitor *m;
        bool any = false;

        *ret_waiting = false;
        for (size_t k = 0; (m = kc_gc_monitor(gc, k)); k++) {
                struct kc_objects list = {0};
                kc_gc_dependents(m, uid, &list);
                any |= list.n > 0;
                for (size_t i = 0; i < list.n; i++)
                        *ret_waiting |= kc_meta_deleting(kc_object_json(list.v[i])) &&
                                        kc_meta_has_finalizer(kc_object_json(list.v[i]), KC_GC_FOREGROUND);
                kc_objects_done(&list);
        }
        return any;
}

/* No owner waits for it any longer. */
static int unblock_owners(struct gc_monitor *m, const struct json_object *o, struct kc_error *err)
{
        const struct json_object *refs = kc_json_at(o, "metadata.ownerReferences");
        struct json_object *freed = json_object_new_array();

        for (size_t i = 0; i < kc_json_len(refs); i++) {
                struct json_object *ref = kc_json_copy(kc_json_idx(refs, i));
                kc_json_set_bool(ref, "blockOwnerDeletion", false);
                kc_json_push(freed, ref);
        }
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build("{'metadata':{'uid':%s,'resourceVersion':%s,'ownerReferences':%o}}",
            kc_meta_uid(o), kc_meta_resource_version(o), freed);
        return patch_object(m, o, patch, err);
}

static int delete_object(struct gc_monitor *m, const struct json_object *o, bool in_foreground, struct kc_error *err)
{
        struct kc_delete_opts opts = {.grace_period_seconds = -1,
            .precondition_uid = kc_meta_uid(o),
            .propagation = in_foreground || kc_meta_has_finalizer(o, KC_GC_FOREGROUND) ? "Foreground"
                           : kc_meta_has_finalizer(o, KC_GC_ORPHAN)                    ? "Orphan"
                                                                                       : "Background"};
        int rc = kc_rest_delete(m->gc->rest, &m->gvr, kc_meta_namespace(o), kc_meta_name(o), &opts, NULL, err);
        if (rc < 0 && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err);
                return 0;
        }
        return rc;
}

static int judge_owners(struct gc_monitor *m, const struct json_object *o, struct kc_error *err)
{
        const struct json_object *refs = kc_json_at(o, "metadata.ownerReferences");
        KC_CLEANUP(kc_strv_freep) char **gone = NULL;
        size_t solid = 0, waiting = 0;

        for (size_t i = 0; i < kc_json_len(refs); i++) {
                enum owner_state state;
                int rc = classify(m->gc, o, kc_json_idx(refs, i), &state, err);
                if (rc < 0)
                        return rc;
                solid += state == SOLID;
                waiting += state == WAITING;
                if (state != SOLID)
                        kc_strv_push(&gone, kc_json_str(kc_json_idx(refs, i), "uid"));
        }
        if (kc_json_len(refs) == 0 || !gone)
                return 0;
        if (solid)
                return drop_owners(m, o, gone, err);
        bool circle = false, in_foreground = waiting && has_dependents(m->gc, kc_meta_uid(o), &circle);
        int rc = in_foreground && circle ? unblock_owners(m, o, err) : 0;
        return rc < 0 ? rc : delete_object(m, o, in_foreground, err);
}

static int sync_object(void *arg, const char *key, struct kc_error *err)
{
        struct gc *gc = arg;
        const char *space = strchr(key, ' ');
        KC_CLEANUP(kc_freep) char *number = kc_strndup(key, (size_t)(space - key));
        int64_t n = 0;

        (void)kc_str_to_i64(number, &n); /* written by kc_gc_enqueue */
        struct gc_monitor *m = kc_gc_monitor(gc, (size_t)n);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(m->informer, space + 1);
        if (!obj)
                return 0;
        const struct json_object *o = kc_object_json(obj);
        if (kc_meta_deleting(o)) {
                if (kc_meta_has_finalizer(o, KC_GC_ORPHAN))
                        return finish_orphan(m, o, err);
                return kc_meta_has_finalizer(o, KC_GC_FOREGROUND) ? finish_foreground(m, o, err) : 0;
        }
        return judge_owners(m, o, err);
}

/* --- Life */

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct gc *gc = KC_NEW(struct gc);

        (void)err;
        kc_gc_monitors_init(gc, cm);
        gc->controller = kc_controller_new(
            cm->loop, cm->pool, "garbage-collector-controller", cm->options->concurrent_gc_syncs, sync_object, gc);
        *ret = gc;
        return 0;
}

static void start(void *state)
{
        kc_gc_monitors_start(state);
}

static void free_state(void *state)
{
        struct gc *gc = state;
        kc_controller_free(gc->controller);
        kc_gc_monitors_done(gc);
        kc_free(gc);
}

const struct kc_controller_def kc_garbagecollector_controller = {
    .name = "garbage-collector-controller", .init = init, .start = start, .free = free_state};

/* The garbage collector: deletes objects whose owners are gone, lets owners go that wait for their dependents, and
 * orphans dependents. The graph is not kept: an index by owner uid in each informer and a table of known uids say all
 * that is needed.
 *
 *   key of the queue: "<kind's number> <ns/name>"
 *
 * Handlers on the loop; sync on the pool. Mirrors upstream's pkg/controller/garbagecollector. */
#include <pthread.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"

static const struct kc_gvr *const kinds[] = {&KC_PODS, &KC_REPLICASETS, &KC_DEPLOYMENTS, &KC_DAEMONSETS,
    &KC_REPLICATIONCONTROLLERS, &KC_CONTROLLERREVISIONS, &KC_SERVICES, &KC_ENDPOINTS, &KC_ENDPOINTSLICES,
    &KC_CONFIGMAPS, &KC_SECRETS, &KC_SERVICEACCOUNTS, &KC_LEASES, &KC_ROLES, &KC_ROLEBINDINGS, &KC_NODES,
    &KC_NAMESPACES, &KC_CLUSTERROLES, &KC_CLUSTERROLEBINDINGS};
enum { N_KINDS = KC_ARRAY_LEN(kinds) };

static const char foreground[] = "foregroundDeletion", orphan[] = "orphan";

struct gc;

struct monitor {
        struct gc *gc;
        int kind;
        struct kc_informer *informer;
};

struct gc {
        struct kc_rest *rest;
        struct kc_controller *controller;
        struct monitor monitors[N_KINDS];
        pthread_mutex_t lock;
        struct kc_map *uids; /* guarded by lock: uid of everything that is there */
};

static void index_owners(const struct kc_object *o, char ***values)
{
        const struct json_object *refs = kc_json_at(kc_object_json(o), "metadata.ownerReferences");
        for (size_t i = 0; i < kc_json_len(refs); i++) {
                const char *uid = kc_json_str(kc_json_idx(refs, i), "uid");
                if (uid)
                        kc_strv_push(values, uid);
        }
}

static void enqueue(struct gc *gc, int kind, const struct kc_object *o)
{
        KC_CLEANUP(kc_freep) char *meta = kc_meta_key(kc_object_json(o)), *key = kc_asprintf("%d %s", kind, meta);
        kc_workqueue_add(kc_controller_queue(gc->controller), key);
}

static void enqueue_dependents(struct gc *gc, const char *uid)
{
        for (int k = 0; k < N_KINDS; k++) {
                struct kc_objects list = {0};
                kc_informer_by_index(gc->monitors[k].informer, "owners", uid, &list);
                for (size_t i = 0; i < list.n; i++)
                        enqueue(gc, k, list.v[i]);
                kc_objects_done(&list);
        }
}

static void know(struct gc *gc, const char *uid, bool there)
{
        pthread_mutex_lock(&gc->lock);
        if (there)
                kc_map_set(gc->uids, uid, gc);
        else
                (void)kc_map_remove(gc->uids, uid); /* may be unknown */
        pthread_mutex_unlock(&gc->lock);
}

static bool is_known(struct gc *gc, const char *uid)
{
        pthread_mutex_lock(&gc->lock);
        bool r = kc_map_has(gc->uids, uid);
        pthread_mutex_unlock(&gc->lock);
        return r;
}

/* An object with owners is looked at when one of them is not there (any more) or waits for it. */
static bool owners_need_look(struct gc *gc, const struct json_object *o)
{
        const struct json_object *refs = kc_json_at(o, "metadata.ownerReferences");
        for (size_t i = 0; i < kc_json_len(refs); i++) {
                const char *uid = kc_json_str(kc_json_idx(refs, i), "uid");
                if (uid && !is_known(gc, uid))
                        return true;
        }
        return false;
}

static bool waits_for_us(const struct json_object *o)
{
        return kc_meta_deleting(o) && (kc_meta_has_finalizer(o, foreground) || kc_meta_has_finalizer(o, orphan));
}

static void on_add(struct kc_object *o, bool initial, void *arg)
{
        struct monitor *m = arg;
        const struct json_object *tree = kc_object_json(o);

        (void)initial;
        know(m->gc, kc_object_uid(o), true);
        if (waits_for_us(tree) || owners_need_look(m->gc, tree))
                enqueue(m->gc, m->kind, o);
}

static void on_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        struct monitor *m = arg;
        const struct json_object *a = kc_object_json(old), *b = kc_object_json(o);

        if (!kc_streq(kc_object_uid(old), kc_object_uid(o))) {
                know(m->gc, kc_object_uid(old), false);
                enqueue_dependents(m->gc, kc_object_uid(old));
        }
        know(m->gc, kc_object_uid(o), true);
        if (waits_for_us(b)) {
                enqueue(m->gc, m->kind, o);
                if (!waits_for_us(a))
                        enqueue_dependents(m->gc, kc_object_uid(o));
        } else if (!kc_json_equal(
                       kc_json_at(a, "metadata.ownerReferences"), kc_json_at(b, "metadata.ownerReferences")) &&
                   owners_need_look(m->gc, b)) {
                enqueue(m->gc, m->kind, o);
        }
}

/* Owners of the object may have waited for it. */
static void enqueue_owners(struct gc *gc, const struct json_object *o)
{
        const struct json_object *refs = kc_json_at(o, "metadata.ownerReferences");
        for (size_t i = 0; i < kc_json_len(refs); i++) {
                const struct json_object *ref = kc_json_idx(refs, i);
                for (int k = 0; k < N_KINDS; k++) {
                        if (!kc_streq(kinds[k]->kind, kc_json_str(ref, "kind")))
                                continue;
                        KC_CLEANUP(kc_object_unrefp)
                        struct kc_object *owner = kc_informer_lookup(gc->monitors[k].informer,
                            kinds[k]->namespaced ? kc_meta_namespace(o) : NULL, kc_json_str(ref, "name"));
                        if (owner && waits_for_us(kc_object_json(owner)))
                                enqueue(gc, k, owner);
                }
        }
}

static void on_delete(struct kc_object *o, void *arg)
{
        struct monitor *m = arg;
        know(m->gc, kc_object_uid(o), false);
        enqueue_dependents(m->gc, kc_object_uid(o));
        enqueue_owners(m->gc, kc_object_json(o));
}

/* --- Sync */

static const struct kc_gvr *gvr_of_ref(const struct json_object *ref)
{
        const char *api_version = kc_json_str(ref, "apiVersion");
        for (int k = 0; k < N_KINDS; k++) {
                KC_CLEANUP(kc_freep) char *v = kc_gvr_api_version(kinds[k]);
                if (kc_streq(kinds[k]->kind, kc_json_str(ref, "kind")) && kc_streq(v, api_version))
                        return kinds[k];
        }
        return NULL;
}

enum owner_state { SOLID, DANGLING, WAITING };

/* The cache may be late in both directions: the server decides whether an owner is gone. */
static int classify(struct gc *gc, const struct json_object *o, const struct json_object *ref, enum owner_state *ret,
    struct kc_error *err)
{
        const struct kc_gvr *g = gvr_of_ref(ref);
        KC_CLEANUP(kc_json_freep) struct json_object *owner = NULL;
        int rc;

        *ret = SOLID;
        /* A kind that we do not watch: leave its dependents alone. */
        if (!g)
                return 0;
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
        } else if (kc_meta_deleting(owner) && kc_meta_has_finalizer(owner, foreground)) {
                *ret = WAITING;
        }
        return 0;
}

static int patch_object(
    struct gc *gc, int kind, const struct json_object *o, const struct json_object *patch, struct kc_error *err)
{
        int rc = kc_rest_patch(
            gc->rest, kinds[kind], kc_meta_namespace(o), kc_meta_name(o), NULL, KC_PATCH_MERGE, patch, NULL, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        return rc;
}

/* Takes ownerReferences away: those with an uid of the list. */
static int drop_owners(struct gc *gc, int kind, const struct json_object *o, char *const *uids, struct kc_error *err)
{
        const struct json_object *refs = kc_json_at(o, "metadata.ownerReferences");
        struct json_object *kept = json_object_new_array();

        for (size_t i = 0; i < kc_json_len(refs); i++)
                if (!kc_strv_has(uids, kc_json_str(kc_json_idx(refs, i), "uid")))
                        kc_json_push(kept, kc_json_copy(kc_json_idx(refs, i)));
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build("{'metadata':{'uid':%s,'resourceVersion':%s,'ownerReferences':%o}}",
            kc_meta_uid(o), kc_meta_resource_version(o), kept);
        return patch_object(gc, kind, o, patch, err);
}

static int drop_finalizer(struct gc *gc, int kind, const struct json_object *o, const char *name, struct kc_error *err)
{
        const struct json_object *have = kc_json_at(o, "metadata.finalizers");
        struct json_object *kept = json_object_new_array();

        for (size_t i = 0; i < kc_json_len(have); i++)
                if (!kc_streq(kc_json_as_str(kc_json_idx(have, i)), name))
                        kc_json_push_str(kept, kc_json_as_str(kc_json_idx(have, i)));
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch =
            kc_json_build("{'metadata':{'resourceVersion':%s,'finalizers':%o}}", kc_meta_resource_version(o), kept);
        return patch_object(gc, kind, o, patch, err);
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
static int finish_foreground(struct gc *gc, int kind, const struct json_object *o, struct kc_error *err)
{
        bool blocked = false;

        for (int k = 0; k < N_KINDS; k++) {
                struct kc_objects list = {0};
                kc_informer_by_index(gc->monitors[k].informer, "owners", kc_meta_uid(o), &list);
                for (size_t i = 0; i < list.n; i++) {
                        blocked |= blocks(kc_object_json(list.v[i]), kc_meta_uid(o));
                        if (!kc_meta_deleting(kc_object_json(list.v[i])))
                                enqueue(gc, k, list.v[i]);
                }
                kc_objects_done(&list);
        }
        return blocked ? 0 : drop_finalizer(gc, kind, o, foreground, err);
}

static int finish_orphan(struct gc *gc, int kind, const struct json_object *o, struct kc_error *err)
{
        char *uids[] = {(char *)kc_meta_uid(o), NULL};
        int rc = 0;

        for (int k = 0; k < N_KINDS && rc == 0; k++) {
                struct kc_objects list = {0};
                kc_informer_by_index(gc->monitors[k].informer, "owners", kc_meta_uid(o), &list);
                for (size_t i = 0; i < list.n && rc == 0; i++)
                        rc = drop_owners(gc, k, kc_object_json(list.v[i]), uids, err);
                kc_objects_done(&list);
        }
        return rc == 0 ? drop_finalizer(gc, kind, o, orphan, err) : rc;
}

static bool has_dependents(struct gc *gc, const char *uid)
{
        for (int k = 0; k < N_KINDS; k++) {
                struct kc_objects list = {0};
                kc_informer_by_index(gc->monitors[k].informer, "owners", uid, &list);
                size_t n = list.n;
                kc_objects_done(&list);
                if (n)
                        return true;
        }
        return false;
}

static int delete_object(struct gc *gc, int kind, const struct json_object *o, bool in_foreground, struct kc_error *err)
{
        struct kc_delete_opts opts = {.grace_period_seconds = -1,
            .precondition_uid = kc_meta_uid(o),
            .propagation = in_foreground || kc_meta_has_finalizer(o, foreground) ? "Foreground"
                           : kc_meta_has_finalizer(o, orphan)                    ? "Orphan"
                                                                                 : "Background"};
        int rc = kc_rest_delete(gc->rest, kinds[kind], kc_meta_namespace(o), kc_meta_name(o), &opts, NULL, err);
        if (rc < 0 && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err);
                return 0;
        }
        return rc;
}

static int judge_owners(struct gc *gc, int kind, const struct json_object *o, struct kc_error *err)
{
        const struct json_object *refs = kc_json_at(o, "metadata.ownerReferences");
        KC_CLEANUP(kc_strv_freep) char **gone = NULL;
        size_t solid = 0, waiting = 0;

        for (size_t i = 0; i < kc_json_len(refs); i++) {
                enum owner_state state;
                int rc = classify(gc, o, kc_json_idx(refs, i), &state, err);
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
                return drop_owners(gc, kind, o, gone, err);
        return delete_object(gc, kind, o, waiting && has_dependents(gc, kc_meta_uid(o)), err);
}

static int sync_object(void *arg, const char *key, struct kc_error *err)
{
        struct gc *gc = arg;
        const char *space = strchr(key, ' ');
        KC_CLEANUP(kc_freep) char *number = kc_strndup(key, (size_t)(space - key));
        int64_t kind;

        if (kc_str_to_i64(number, &kind) < 0 || kind < 0 || kind >= N_KINDS)
                return 0;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *obj = kc_informer_lookup_key(gc->monitors[kind].informer, space + 1);
        if (!obj)
                return 0;
        const struct json_object *o = kc_object_json(obj);
        if (kc_meta_deleting(o)) {
                if (kc_meta_has_finalizer(o, orphan))
                        return finish_orphan(gc, (int)kind, o, err);
                return kc_meta_has_finalizer(o, foreground) ? finish_foreground(gc, (int)kind, o, err) : 0;
        }
        return judge_owners(gc, (int)kind, o, err);
}

/* --- Life */

/* Secrets, ConfigMaps and the like are watched for their metadata alone. */
static void keep_metadata(struct json_object *tree)
{
        kc_json_del(tree, "data");
        kc_json_del(tree, "binaryData");
        kc_json_del(tree, "stringData");
        kc_json_del(tree, "rules");
}

static bool only_ours(const struct kc_gvr *g)
{
        static const struct kc_gvr *const list[] = {
            &KC_CONFIGMAPS, &KC_SECRETS, &KC_ROLES, &KC_CLUSTERROLES, &KC_ROLEBINDINGS, &KC_CLUSTERROLEBINDINGS};
        for (size_t i = 0; i < KC_ARRAY_LEN(list); i++)
                if (list[i] == g)
                        return true;
        return false;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct gc *gc = KC_NEW(struct gc);

        (void)err;
        pthread_mutex_init(&gc->lock, NULL);
        gc->uids = kc_map_new(NULL);
        gc->rest = cm->rest;
        gc->controller = kc_controller_new(
            cm->loop, cm->pool, "garbage-collector-controller", cm->options->concurrent_gc_syncs, sync_object, gc);
        for (int k = 0; k < N_KINDS; k++) {
                struct monitor *m = &gc->monitors[k];
                *m = (struct monitor){.gc = gc, .kind = k, .informer = kc_informers_get(cm->informers, kinds[k])};
                if (only_ours(kinds[k]))
                        kc_informer_set_transform(m->informer, keep_metadata);
                kc_informer_add_index(m->informer, "owners", index_owners);
                kc_informer_add_handler(m->informer, &(struct kc_informer_handler){on_add, on_update, on_delete}, m);
        }
        *ret = gc;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct gc *)state)->controller);
}

static void free_state(void *state)
{
        struct gc *gc = state;
        kc_controller_free(gc->controller);
        kc_map_free(gc->uids);
        pthread_mutex_destroy(&gc->lock);
        kc_free(gc);
}

const struct kc_controller_def kc_garbagecollector_controller = {
    .name = "garbage-collector-controller", .init = init, .start = start, .free = free_state};

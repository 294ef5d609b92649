/* Writes pod statuses to the API. Threads: set from workers, writes on the pool; one mutex. */
#include "kubelet/status/manager.h"

#include <pthread.h>

#include "api/patch.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/status/generate.h"

struct entry {
        struct kc_object *pod;
        struct json_object *status; /* immutable once here: replaced, never changed */
        bool finished;
};

struct kc_status_manager {
        struct kc_status_manager_opts o;
        struct kc_controller *controller; /* NULL: standalone */
        pthread_mutex_t mutex;
        struct kc_map *entries; /* by uid; guarded by mutex */
};

static void entry_free(void *p)
{
        struct entry *e = p;
        kc_object_unref(e->pod);
        kc_json_free(e->status);
        kc_free(e);
}

/* --- The patch */

/* Conditions of ours that differ, each complete: what a condition has lost is set to null; and those that are over. */
static struct json_object *conditions_patch(const struct json_object *api, const struct json_object *ours)
{
        static const char *const keys[] = {"reason", "message", "observedGeneration", "lastProbeTime"};
        struct json_object *list = NULL;
        for (size_t i = 0; i < kc_json_len(ours); i++) {
                const struct json_object *c = kc_json_idx(ours, i);
                const struct json_object *was = kc_json_find(api, "type", kc_json_str(c, "type"));
                struct json_object *e = kc_json_copy(c);
                bool same = was != NULL;
                KC_JSON_FOREACH(c, key, value)
                same = same && kc_json_equal(kc_json_get(was, key), value);
                for (size_t k = 0; k < KC_ARRAY_LEN(keys); k++) {
                        if (kc_json_get(was, keys[k]) && !kc_json_get(c, keys[k])) {
                                same = false;
                                kc_json_set(e, keys[k], NULL);
                        }
                }
                if (same) {
                        kc_json_free(e);
                        continue;
                }
                if (!list)
                        list = json_object_new_array();
                kc_json_push(list, e);
        }
        static const char *const passing[] = {"PodResizePending", "PodResizeInProgress"};
        for (size_t i = 0; i < KC_ARRAY_LEN(passing); i++) {
                if (!kc_json_find(api, "type", passing[i]) || kc_json_find(ours, "type", passing[i]))
                        continue;
                if (!list)
                        list = json_object_new_array();
                kc_json_push(list, kc_json_build("{'$patch':'delete','type':%s}", passing[i]));
        }
        return list;
}

struct json_object *kc_status_patch(const struct json_object *api, const struct json_object *ours)
{
        KC_CLEANUP(kc_json_freep) struct json_object *from = api ? kc_json_copy(api) : json_object_new_object();
        KC_CLEANUP(kc_json_freep) struct json_object *to = kc_json_copy(ours);
        /* Not the kubelet's own. */
        static const char *const foreign[] = {
            "conditions", "nominatedNodeName", "resize", "resourceClaimStatuses", "extendedResourceClaimStatus"};
        for (size_t i = 0; i < KC_ARRAY_LEN(foreign); i++) {
                kc_json_del(from, foreign[i]);
                kc_json_del(to, foreign[i]);
        }
        struct json_object *patch = kc_status_equal(from, to) ? NULL : kc_patch_merge_diff(from, to);
        struct json_object *conditions =
            conditions_patch(kc_json_get(api, "conditions"), kc_json_get(ours, "conditions"));
        if (!patch && !conditions)
                return NULL;
        if (!patch)
                patch = json_object_new_object();
        /* Lists of addresses merge by key: what is gone must not stay. */
        static const char *const replaced[] = {"podIPs", "hostIPs"};
        for (size_t i = 0; i < KC_ARRAY_LEN(replaced); i++) {
                struct json_object *list = kc_json_get_mut(patch, replaced[i]);
                if (list && kc_json_is_arr(list))
                        kc_json_push(list, kc_json_build("{'$patch':'replace'}"));
        }
        if (conditions)
                kc_json_set(patch, "conditions", conditions);
        return patch;
}

/* --- Writing */

/* The API's object for a pod: itself, or the mirror of a static one. NULL: none, or another one of that name. */
static struct kc_object *api_pod(struct kc_status_manager *m, const struct json_object *pod)
{
        struct kc_object *o = kc_informer_lookup(m->o.pods, kc_meta_namespace(pod) ?: "default", kc_meta_name(pod));
        if (!o)
                return NULL;
        bool fits = kc_pod_is_static(pod)
                        ? kc_streq(kc_meta_annotation(kc_object_json(o), KC_ANNOTATION_CONFIG_MIRROR), kc_meta_uid(pod))
                        : kc_streq(kc_object_uid(o), kc_meta_uid(pod));
        if (fits)
                return o;
        kc_object_unref(o);
        return NULL;
}

static int write_status(
    struct kc_status_manager *m, const struct json_object *api, const struct json_object *status, struct kc_error *err)
{
        struct json_object *patch = kc_status_patch(kc_json_get(api, "status"), status);
        if (!patch)
                return 0;
        KC_CLEANUP(kc_json_freep)
        struct json_object *body = kc_json_build("{'metadata':{'uid':%s},'status':%o}", kc_meta_uid(api), patch);
        int r = kc_rest_patch(m->o.rest, &KC_PODS, kc_meta_namespace(api), kc_meta_name(api), "status",
            KC_PATCH_STRATEGIC, body, NULL, err);
        /* Gone, or replaced by another pod of the same name. */
        if (r < 0 && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err);
                return 1;
        }
        return r < 0 ? kc_error_wrap(
                           err, "failed to update status for pod %s/%s", kc_meta_namespace(api), kc_meta_name(api))
                     : 0;
}

static int delete_pod(struct kc_status_manager *m, const struct json_object *api, struct kc_error *err)
{
        struct kc_delete_opts o = {.grace_period_seconds = 0, .precondition_uid = kc_meta_uid(api)};
        int r = kc_rest_delete(m->o.rest, &KC_PODS, kc_meta_namespace(api), kc_meta_name(api), &o, NULL, err);
        if (r < 0 && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err);
                return 0;
        }
        if (r == 0)
                kc_log_v(3, "Pod fully terminated and removed from etcd", "pod",
                    kc_log_fmt("%s/%s", kc_meta_namespace(api), kc_meta_name(api)));
        return r;
}

static int sync_status(void *arg, const char *uid, struct kc_error *err)
{
        struct kc_status_manager *m = arg;
        pthread_mutex_lock(&m->mutex);
        const struct entry *e = kc_map_get(m->entries, uid);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = e ? kc_object_ref(e->pod) : NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *status = e ? kc_json_copy(e->status) : NULL;
        bool finished = e && e->finished;
        pthread_mutex_unlock(&m->mutex);
        if (!pod)
                return 0;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *api = api_pod(m, kc_object_json(pod));
        if (!api)
                return 0;
        int r = write_status(m, kc_object_json(api), status, err);
        if (r != 0)
                return r < 0 ? r : 0;
        if (finished && kc_meta_deleting(kc_object_json(api)) && !kc_pod_is_mirror(kc_object_json(api)))
                return delete_pod(m, kc_object_json(api), err);
        return 0;
}

/* --- Life */

struct kc_status_manager *kc_status_manager_new(const struct kc_status_manager_opts *o)
{
        struct kc_status_manager *m = KC_NEW(struct kc_status_manager);
        m->o = *o;
        pthread_mutex_init(&m->mutex, NULL);
        m->entries = kc_map_new(entry_free);
        if (o->rest)
                m->controller = kc_controller_new(o->loop, o->pool, "pod-status", o->workers, sync_status, m);
        return m;
}

void kc_status_manager_free(struct kc_status_manager *m)
{
        if (!m)
                return;
        kc_controller_free(m->controller);
        kc_map_free(m->entries);
        pthread_mutex_destroy(&m->mutex);
        kc_free(m);
}

void kc_status_manager_start(struct kc_status_manager *m)
{
        if (m->controller)
                kc_controller_start(m->controller);
}

void kc_status_manager_stop(struct kc_status_manager *m)
{
        if (m->controller)
                kc_controller_stop(m->controller);
}

void kc_status_manager_poke(struct kc_status_manager *m, const char *uid)
{
        if (m->controller)
                kc_workqueue_add(kc_controller_queue(m->controller), uid);
}

static void put(struct kc_status_manager *m, struct kc_object *pod, struct json_object *take_status, bool finished)
{
        const char *uid = kc_meta_uid(kc_object_json(pod));
        pthread_mutex_lock(&m->mutex);
        struct entry *e = kc_map_get(m->entries, uid);
        if (!e) {
                e = KC_NEW(struct entry);
                kc_map_set(m->entries, uid, e);
        }
        bool changed =
            !e->status || (finished && !e->finished) || !kc_json_equal(e->status, take_status) || e->pod != pod;
        kc_object_unref(e->pod);
        e->pod = kc_object_ref(pod);
        kc_json_free(e->status);
        e->status = take_status;
        e->finished |= finished;
        pthread_mutex_unlock(&m->mutex);
        if (changed)
                kc_status_manager_poke(m, uid);
}

void kc_status_manager_set(struct kc_status_manager *m, struct kc_object *pod, struct json_object *take_status)
{
        put(m, pod, take_status, false);
}

void kc_status_manager_finish(struct kc_status_manager *m, struct kc_object *pod, struct json_object *take_status)
{
        put(m, pod, take_status, true);
}

struct json_object *kc_status_manager_get(struct kc_status_manager *m, const char *uid)
{
        pthread_mutex_lock(&m->mutex);
        const struct entry *e = kc_map_get(m->entries, uid);
        struct json_object *copy = e ? kc_json_copy(e->status) : NULL;
        pthread_mutex_unlock(&m->mutex);
        return copy;
}

void kc_status_manager_forget(struct kc_status_manager *m, const char *uid)
{
        pthread_mutex_lock(&m->mutex);
        kc_map_remove(m->entries, uid);
        pthread_mutex_unlock(&m->mutex);
}

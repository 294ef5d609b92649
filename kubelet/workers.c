/* The table of pods: what sources want of each, and the queue through which their syncs run one at a time. Any thread.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/kubelet_internal.h"
#include "kubelet/pod/pod.h"
#include "kubelet/pod/resize.h"

void kc_workers_free(void *p)
{
        struct kc_worker *w = p;
        kc_object_unref(w->pod);
        kc_pod_runtime_unref(w->rt);
        kc_pod_sync_done(&w->sync);
        kc_free(w->uid);
        kc_free(w->fail_reason);
        kc_free(w->fail_message);
        kc_json_free(w->allocated);
        kc_free(w->resize_pending);
        kc_free(w->resize_message);
        kc_free(w);
}

void kc_workers_poke(struct kc_kubelet *k, const char *uid)
{
        kc_workqueue_add(kc_controller_queue(k->sync_controller), uid);
}

void kc_workers_poke_after(struct kc_kubelet *k, const char *uid, int64_t usec)
{
        kc_workqueue_add_after(kc_controller_queue(k->sync_controller), uid, usec);
}

static struct kc_worker *get_or_new(struct kc_kubelet *k, const char *uid)
{
        struct kc_worker *w = kc_map_get(k->workers, uid);
        if (!w) {
                w = KC_NEW(struct kc_worker);
                w->uid = kc_strdup(uid);
                kc_map_set(k->workers, uid, w);
        }
        return w;
}

void kc_workers_update(struct kc_kubelet *k, struct kc_object *pod)
{
        const char *uid = kc_object_uid(pod);
        if (kc_str_empty(uid))
                return;
        pthread_mutex_lock(&k->mutex);
        struct kc_worker *w = get_or_new(k, uid);
        kc_object_unref(w->pod);
        w->pod = kc_object_ref(pod);
        w->is_static = kc_pod_is_static(kc_object_json(pod));
        w->gone = false;
        pthread_mutex_unlock(&k->mutex);
        kc_objcache_register_pod(k->objects, kc_object_json(pod));
        kc_workers_poke(k, uid);
}

void kc_workers_remove(struct kc_kubelet *k, const char *uid)
{
        pthread_mutex_lock(&k->mutex);
        struct kc_worker *w = kc_map_get(k->workers, uid);
        if (w)
                w->gone = true;
        pthread_mutex_unlock(&k->mutex);
        if (w)
                kc_workers_poke(k, uid);
}

void kc_workers_orphan(struct kc_kubelet *k, const char *uid)
{
        pthread_mutex_lock(&k->mutex);
        bool known = kc_map_has(k->workers, uid);
        if (!known)
                get_or_new(k, uid)->gone = true;
        pthread_mutex_unlock(&k->mutex);
        if (!known)
                kc_log_info("Ending a pod that is not wanted any more", "podUID", uid);
        kc_workers_poke(k, uid);
}

bool kc_workers_fail(
    struct kc_kubelet *k, const char *uid, const char *reason, const char *message, int64_t grace_seconds)
{
        pthread_mutex_lock(&k->mutex);
        struct kc_worker *w = kc_map_get(k->workers, uid);
        bool first = w && !w->fail_reason;
        if (first) {
                w->fail_reason = kc_strdup(reason);
                w->fail_message = kc_strdup(message);
                w->fail_grace = grace_seconds;
        }
        pthread_mutex_unlock(&k->mutex);
        if (first)
                kc_workers_poke(k, uid);
        return first;
}

struct kc_pod_runtime *kc_workers_runtime(struct kc_kubelet *k, const char *uid)
{
        pthread_mutex_lock(&k->mutex);
        const struct kc_worker *w = kc_map_get(k->workers, uid);
        struct kc_pod_runtime *rt = w ? kc_pod_runtime_ref(w->rt) : NULL;
        pthread_mutex_unlock(&k->mutex);
        return rt;
}

enum which { ADMITTED, NOT_ENDED, ALL };

static void collect(struct kc_kubelet *k, enum which which, struct kc_objects *ret)
{
        pthread_mutex_lock(&k->mutex);
        KC_CLEANUP(kc_strv_freep) char **uids = kc_map_sorted_keys(k->workers);
        for (char **uid = uids; uid && *uid; uid++) {
                const struct kc_worker *w = kc_map_get(k->workers, *uid);
                if (!w->pod || (which != ALL && w->state >= KC_WORKER_TERMINATED) ||
                    (which == ADMITTED && !w->admitted))
                        continue;
                /* What a pod would like to have does not count, but what it was given. */
                kc_objects_push_take(ret, kc_resize_apply(w->pod, w->allocated));
        }
        pthread_mutex_unlock(&k->mutex);
}

void kc_workers_active_pods(struct kc_kubelet *k, struct kc_objects *ret)
{
        collect(k, ADMITTED, ret);
}

void kc_workers_possible_pods(struct kc_kubelet *k, struct kc_objects *ret)
{
        collect(k, NOT_ENDED, ret);
}

void kc_workers_all_pods(struct kc_kubelet *k, struct kc_objects *ret)
{
        collect(k, ALL, ret);
}

struct kc_object *kc_workers_find(struct kc_kubelet *k, const char *ns, const char *name)
{
        struct kc_object *found = NULL;
        size_t it = 0;
        const char *uid;
        void *value;
        pthread_mutex_lock(&k->mutex);
        while (!found && kc_map_next(k->workers, &it, &uid, &value)) {
                const struct kc_worker *w = value;
                if (w->pod && kc_streq(kc_object_name(w->pod), name) && kc_streq(kc_object_namespace(w->pod), ns) &&
                    !w->gone)
                        found = kc_object_ref(w->pod);
        }
        pthread_mutex_unlock(&k->mutex);
        return found;
}

struct kc_worker *kc_workers_begin(struct kc_kubelet *k, const char *uid, struct kc_object **ret_pod)
{
        pthread_mutex_lock(&k->mutex);
        struct kc_worker *w = kc_map_get(k->workers, uid);
        *ret_pod = w && w->pod ? kc_object_ref(w->pod) : NULL;
        pthread_mutex_unlock(&k->mutex);
        return w;
}

void kc_workers_set_state(struct kc_kubelet *k, struct kc_worker *w, enum kc_worker_state state)
{
        pthread_mutex_lock(&k->mutex);
        w->state = state;
        pthread_mutex_unlock(&k->mutex);
        if (state >= KC_WORKER_TERMINATED)
                kc_workers_poke_deferred(k);
}

void kc_workers_poke_deferred(struct kc_kubelet *k)
{
        size_t it = 0;
        const char *uid;
        void *value;
        pthread_mutex_lock(&k->mutex);
        while (kc_map_next(k->workers, &it, &uid, &value)) {
                const struct kc_worker *w = value;
                if (kc_streq(w->resize_pending, "Deferred"))
                        kc_workers_poke(k, uid);
        }
        pthread_mutex_unlock(&k->mutex);
}

void kc_workers_set_runtime(struct kc_kubelet *k, struct kc_worker *w, struct kc_pod_runtime *take_rt)
{
        pthread_mutex_lock(&k->mutex);
        struct kc_pod_runtime *old = w->rt;
        w->rt = take_rt;
        pthread_mutex_unlock(&k->mutex);
        kc_pod_runtime_unref(old);
}

void kc_workers_drop(struct kc_kubelet *k, struct kc_worker *w)
{
        KC_CLEANUP(kc_freep) char *uid = kc_strdup(w->uid);
        kc_objcache_unregister_pod(k->objects, uid);
        kc_status_manager_forget(k->statuses, uid);
        pthread_mutex_lock(&k->mutex);
        /* It may have come back while its end was worked on. */
        if (w->gone)
                kc_map_remove(k->workers, uid);
        pthread_mutex_unlock(&k->mutex);
}

bool kc_workers_known(struct kc_kubelet *k, const char *uid)
{
        pthread_mutex_lock(&k->mutex);
        bool known = kc_map_has(k->workers, uid);
        pthread_mutex_unlock(&k->mutex);
        return known;
}

bool kc_workers_sources_ready(struct kc_kubelet *k)
{
        pthread_mutex_lock(&k->mutex);
        bool ready = k->api_synced && k->files_synced;
        pthread_mutex_unlock(&k->mutex);
        return ready;
}

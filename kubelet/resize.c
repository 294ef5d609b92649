/* What each pod has been given of the node, and resizing it: wanted -> allocated -> actuated (pod/resize.h).
 *
 *   <root>/pods/<uid>/resources.json    {"allocated": {...}, "actuated": {...}}: a restart of the kubelet forgets
 * neither
 *
 * Thread: the pod's worker. */
#include "kubelet/pod/resize.h"
#include "api/quantity.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/kubelet_internal.h"
#include "kubelet/pod/pod.h"

enum { MAX_STATE = 1 << 20 };
#define SOURCES_POLL_USEC (100 * KC_MSEC)

static char *state_path(const struct kc_kubelet *k, const struct kc_worker *w)
{
        KC_CLEANUP(kc_freep) char *dir = kc_pod_dir(k->config->root_dir, w->uid);
        return kc_path_join(dir, "resources.json");
}

static void save(const struct kc_kubelet *k, const struct kc_worker *w)
{
        KC_CLEANUP(kc_freep) char *path = state_path(k, w);
        KC_CLEANUP(kc_freep) char *dir = kc_pod_dir(k->config->root_dir, w->uid);
        KC_CLEANUP(kc_json_freep)
        struct json_object *state = kc_json_build("{'allocated':%o}", kc_json_copy(w->allocated));
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        struct kc_error err = KC_ERROR_INIT;

        if (w->sync.actuated)
                kc_json_set(state, "actuated", kc_json_copy(w->sync.actuated));
        kc_json_write(&b, state);
        if (kc_mkdir_p(dir, 0750, &err) < 0 || kc_file_write_atomic(path, b.data, b.len, 0600, &err) < 0)
                kc_log_error(&err, "Could not record the resources of a pod, ignoring", "podUID", w->uid);
        kc_error_done(&err);
}

static void set_allocated(struct kc_kubelet *k, struct kc_worker *w, struct json_object *take_resources)
{
        struct json_object *old;

        pthread_mutex_lock(&k->mutex);
        old = w->allocated;
        w->allocated = take_resources;
        pthread_mutex_unlock(&k->mutex);
        kc_json_free(old);
}

void kc_resize_load(struct kc_kubelet *k, struct kc_worker *w, const struct kc_object *pod)
{
        KC_CLEANUP(kc_freep) char *path = state_path(k, w);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *state = NULL;

        /* A pod that is new here has none. */
        if (kc_file_read(path, MAX_STATE, &b, NULL) == 0 && kc_json_parse(b.data, b.len, NULL, &state, NULL) == 0 &&
            kc_json_is_obj(kc_json_get(state, "allocated"))) {
                set_allocated(k, w, kc_json_copy(kc_json_get(state, "allocated")));
                if (kc_json_is_obj(kc_json_get(state, "actuated"))) {
                        kc_json_free(w->sync.actuated);
                        w->sync.actuated = kc_json_copy(kc_json_get(state, "actuated"));
                        w->resizing = kc_resize_pending(kc_object_json(pod), w->sync.actuated);
                }
                return;
        }
        set_allocated(k, w, kc_resize_resources(kc_object_json(pod)));
        save(k, w);
}

static int64_t capacity_of(const struct json_object *node, const char *resource)
{
        const char *text = kc_json_str(kc_json_at(node, "status.allocatable"), resource);
        struct kc_quantity q;

        if (!text || kc_quantity_parse(text, &q) < 0)
                return INT64_MAX;
        return kc_streq(resource, "cpu") ? kc_quantity_milli(&q) : kc_quantity_value(&q);
}

/* More than the node has at all; heap, NULL: no. */
static char *why_infeasible(struct kc_kubelet *k, const struct json_object *pod)
{
        static const char *const resources[] = {"memory", "cpu"};
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = kc_node_object(k->node);

        for (size_t i = 0; node && i < KC_ARRAY_LEN(resources); i++) {
                int64_t requested = kc_pod_request(pod, resources[i]);
                int64_t capacity = capacity_of(kc_object_json(node), resources[i]);
                if (requested > capacity)
                        return kc_asprintf("Node didn't have enough capacity: %s, requested: %lld, capacity: %lld",
                            resources[i], (long long)requested, (long long)capacity);
        }
        return NULL;
}

/* What the condition says from now on, and an event when that is news. */
static void set_pending(
    struct kc_kubelet *k, struct kc_worker *w, const struct json_object *pod, const char *reason, char *take_message)
{
        bool news = reason && (!kc_streq(reason, w->resize_pending) || w->resize_generation != kc_meta_generation(pod));

        pthread_mutex_lock(&k->mutex);
        kc_str_set(&w->resize_pending, reason);
        pthread_mutex_unlock(&k->mutex);
        kc_free(w->resize_message);
        w->resize_message = take_message;
        w->resize_generation = kc_meta_generation(pod);
        if (!news)
                return;
        KC_CLEANUP(kc_freep) char *summary = kc_resize_summary(pod, w->resize_message);
        bool deferred = kc_streq(reason, "Deferred");
        kc_kubelet_event_pod(k->events, pod, NULL, KC_EVENT_WARNING, deferred ? "ResizeDeferred" : "ResizeInfeasible",
            "Pod resize %s: %s", deferred ? "deferred" : "infeasible", summary);
}

/* Other pods must not take what is being looked at. */
static bool try_allocate(struct kc_kubelet *k, struct kc_worker *w, const struct json_object *pod, char **ret_message)
{
        KC_CLEANUP(kc_freep) char *reason = NULL;
        struct kc_objects others = {0};
        bool ok;

        pthread_mutex_lock(&k->admission);
        kc_workers_possible_pods(k, &others); /* after a restart the others may not have been looked at yet */
        ok = kc_node_admit(k->node, pod, &others, &reason, ret_message);
        if (ok)
                set_allocated(k, w, kc_resize_resources(pod));
        pthread_mutex_unlock(&k->admission);
        kc_objects_done(&others);
        return ok;
}

/* Right after the start neither the other pods nor the node may have come from the API server; without the node
 * everything would fit. */
static bool knows_enough(struct kc_kubelet *k)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = kc_node_object(k->node);

        return kc_workers_sources_ready(k) && (node || !k->rest);
}

void kc_resize_allocate(struct kc_kubelet *k, struct kc_worker *w, const struct kc_object *object)
{
        const struct json_object *pod = kc_object_json(object);
        char *why;

        if (!kc_resize_pending(pod, w->allocated)) {
                set_pending(k, w, pod, NULL, NULL);
                return;
        }
        if (!knows_enough(k)) {
                kc_workers_poke_after(k, w->uid, SOURCES_POLL_USEC);
                return;
        }
        /* What the status says of an earlier wish is no part of this one. */
        KC_CLEANUP(kc_json_freep) struct json_object *wish = kc_object_copy_json(object);
        kc_json_del(wish, "status");
        why = why_infeasible(k, wish);
        if (why) {
                set_pending(k, w, pod, "Infeasible", why);
                return;
        }
        if (!try_allocate(k, w, wish, &why)) {
                set_pending(k, w, pod, "Deferred", why);
                return;
        }
        set_pending(k, w, pod, NULL, NULL);
        w->resizing = true;
        save(k, w);
        kc_workers_poke_deferred(k); /* it may have given something back */
        KC_CLEANUP(kc_freep) char *summary = kc_resize_summary(pod, NULL);
        kc_kubelet_event_pod(k->events, pod, NULL, KC_EVENT_NORMAL, "ResizeStarted", "Pod resize started: %s", summary);
}

void kc_resize_observe(struct kc_kubelet *k, struct kc_worker *w, const struct kc_object *object)
{
        const struct json_object *pod = kc_object_json(object);

        if (w->sync.resized)
                save(k, w);
        if (!w->resizing || kc_resize_pending(pod, w->sync.actuated))
                return;
        w->resizing = false;
        KC_CLEANUP(kc_freep) char *summary = kc_resize_summary(pod, NULL);
        kc_kubelet_event_pod(
            k->events, pod, NULL, KC_EVENT_NORMAL, "ResizeCompleted", "Pod resize completed: %s", summary);
}

/* What other parts ask the core for: the server's operations, targets of probes, facts for env and volumes. Any thread.
 */
#include "api/status.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon/metrics.h"
#include "kubelet/kubelet_internal.h"
#include "kubelet/pod/pod.h"

void kc_kubelet_facts(struct kc_kubelet *k, const struct json_object *pod, const struct kc_pod_runtime *rt,
    struct kc_pod_facts *ret, struct kc_object **ret_node)
{
        const struct kc_rt_sandbox *s = kc_pod_runtime_ready_sandbox(rt);
        *ret_node = kc_node_object(k->node);
        *ret = (struct kc_pod_facts){.pod_ips = kc_pod_is_host_network(pod) ? k->node_ips
                                                : s                         ? s->ips
                                                                            : NULL,
            .host_ips = k->node_ips,
            .node_name = k->node_name,
            .allocatable = *ret_node ? kc_json_at(kc_object_json(*ret_node), "status.allocatable") : NULL};
}

bool kc_kubelet_probe_target(void *arg, const char *uid, const char *container, struct kc_probe_target *ret)
{
        struct kc_kubelet *k = arg;
        *ret = (struct kc_probe_target){0};
        bool found = false;
        pthread_mutex_lock(&k->mutex);
        const struct kc_worker *w = kc_map_get(k->workers, uid);
        if (w && w->pod && w->state < KC_WORKER_TERMINATED) {
                found = true;
                const struct json_object *pod = kc_object_json(w->pod);
                const struct kc_rt_container *c = kc_pod_runtime_container(w->rt, container);
                const struct kc_rt_sandbox *s = kc_pod_runtime_ready_sandbox(w->rt);
                if (kc_pod_is_host_network(pod))
                        ret->pod_ip = kc_strdup(k->node_ips ? k->node_ips[0] : NULL);
                else if (s && s->ips)
                        ret->pod_ip = kc_strdup(s->ips[0]);
                if (c) {
                        ret->container_id = kc_strdup(c->id);
                        ret->running = c->state == KC_STATE_RUNNING;
                        ret->terminated = c->state == KC_STATE_EXITED;
                        ret->started_at = c->started_at;
                        const char *policy = kc_json_str_at(pod, "spec.restartPolicy");
                        ret->will_not_restart =
                            ret->terminated &&
                            (kc_streq(policy, "Never") || (kc_streq(policy, "OnFailure") && c->exit_code == 0));
                }
        }
        pthread_mutex_unlock(&k->mutex);
        return found;
}

static struct json_object *pods(void *arg)
{
        struct kc_kubelet *k = arg;
        struct kc_objects all = {0};
        kc_workers_all_pods(k, &all);
        struct json_object *items = json_object_new_array();
        for (size_t i = 0; i < all.n; i++) {
                struct json_object *pod = kc_object_copy_json(all.v[i]);
                struct json_object *status = kc_status_manager_get(k->statuses, kc_object_uid(all.v[i]));
                if (status)
                        kc_json_set(pod, "status", status);
                kc_json_push(items, pod);
        }
        kc_objects_done(&all);
        return kc_json_build("{'kind':'PodList','apiVersion':'v1','metadata':{},'items':%o}", items);
}

/* The container to read the log of: the newest, or with previous the newest one that has ended before it. */
static const struct kc_rt_container *log_container(const struct kc_pod_runtime *rt, const char *name, bool previous)
{
        const struct kc_rt_container *newest = kc_pod_runtime_container(rt, name);
        for (size_t i = 0; newest && previous && i < rt->n_containers; i++) {
                const struct kc_rt_container *c = &rt->containers[i];
                if (c != newest && kc_streq(c->name, name) && c->state == KC_STATE_EXITED)
                        return c;
        }
        return previous ? NULL : newest;
}

static int log_path(void *arg, const char *ns, const char *pod_name, const char *container, bool previous,
    char **ret_path, char **ret_container_id, struct kc_error *err)
{
        struct kc_kubelet *k = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = kc_workers_find(k, ns, pod_name);
        if (!pod)
                return kc_error_set_api(err, 404, KC_REASON_NOT_FOUND, "pod \"%s\" does not exist", pod_name);
        if (!kc_pod_container(kc_object_json(pod), container, NULL))
                return kc_error_set_api(
                    err, 404, KC_REASON_NOT_FOUND, "container \"%s\" not found in pod \"%s\"", container, pod_name);
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = kc_workers_runtime(k, kc_object_uid(pod));
        KC_CLEANUP(kc_json_freep) struct json_object *status = kc_status_manager_get(k->statuses, kc_object_uid(pod));
        static const char *const lists[] = {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"};
        const struct json_object *s = NULL;
        for (size_t i = 0; !s && i < KC_ARRAY_LEN(lists); i++)
                s = kc_json_find(kc_json_get(status, lists[i]), "name", container);
        const struct kc_rt_container *c = log_container(rt, container, previous);
        /* A container in back-off shows the log of the instance that has ended. */
        if (!c && previous && kc_json_at(s, "state.waiting") && kc_json_at(s, "lastState.terminated"))
                c = kc_pod_runtime_container(rt, container);
        if (previous && !c)
                return kc_error_set_api(err, 400, KC_REASON_BAD_REQUEST,
                    "previous terminated container \"%s\" in pod \"%s\" not found", container, pod_name);
        if (!c || c->state == KC_STATE_CREATED || kc_str_empty(c->log_path)) {
                const char *why = kc_json_str_at(s, "state.waiting.reason");
                if (why)
                        return kc_error_set_api(err, 400, KC_REASON_BAD_REQUEST,
                            "container \"%s\" in pod \"%s\" is waiting to start: %s", container, pod_name, why);
                return kc_error_set_api(err, 400, KC_REASON_BAD_REQUEST,
                    "container \"%s\" in pod \"%s\" is not available", container, pod_name);
        }
        *ret_path = kc_strdup(c->log_path);
        *ret_container_id = kc_strdup(c->id);
        return 0;
}

static bool container_running(void *arg, const char *container_id)
{
        struct kc_kubelet *k = arg;
        bool running = false;
        size_t it = 0;
        const char *uid;
        void *value;
        pthread_mutex_lock(&k->mutex);
        while (!running && kc_map_next(k->workers, &it, &uid, &value)) {
                const struct kc_rt_container *c =
                    kc_pod_runtime_container_by_id(((struct kc_worker *)value)->rt, container_id);
                running = c && c->state == KC_STATE_RUNNING;
        }
        pthread_mutex_unlock(&k->mutex);
        return running;
}

static int running(void *arg, const char *ns, const char *pod_name, const char *container, char **ret_container_id,
    char **ret_sandbox_id, struct kc_error *err)
{
        struct kc_kubelet *k = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = kc_workers_find(k, ns, pod_name);
        if (!pod)
                return kc_error_set_api(err, 404, KC_REASON_NOT_FOUND, "pod does not exist");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = kc_workers_runtime(k, kc_object_uid(pod));
        const struct kc_rt_sandbox *sandbox = kc_pod_runtime_ready_sandbox(rt);
        const struct kc_rt_container *c = container ? kc_pod_runtime_container(rt, container) : NULL;
        if (!sandbox)
                return kc_error_set_api(
                    err, 500, KC_REASON_INTERNAL_ERROR, "cannot find sandbox of pod \"%s_%s\"", pod_name, ns);
        if (container && (!c || c->state != KC_STATE_RUNNING))
                return kc_error_set_api(err, 404, KC_REASON_NOT_FOUND, "container not found (\"%s\")", container);
        *ret_container_id = c ? kc_strdup(c->id) : NULL;
        *ret_sandbox_id = kc_strdup(sandbox->id);
        return 0;
}

static struct kc_object *node(void *arg)
{
        struct kc_kubelet *k = arg;
        return kc_node_object(k->node);
}

/* --- Metrics, computed when they are asked for. */

static double count_containers(struct kc_kubelet *k, enum kc_container_state state, bool pods)
{
        size_t n = 0, it = 0;
        const char *uid;
        void *value;
        pthread_mutex_lock(&k->mutex);
        while (kc_map_next(k->workers, &it, &uid, &value)) {
                const struct kc_pod_runtime *rt = ((const struct kc_worker *)value)->rt;
                n += pods && kc_pod_runtime_ready_sandbox(rt);
                for (size_t i = 0; !pods && rt && i < rt->n_containers; i++)
                        n += rt->containers[i].state == state;
        }
        pthread_mutex_unlock(&k->mutex);
        return (double)n;
}

static double running_pods(void *arg)
{
        return count_containers(arg, KC_STATE_RUNNING, true);
}

void kc_kubelet_metrics(struct kc_kubelet *k)
{
        static const char *const node_labels[] = {"node", NULL};
        static const char *const state_labels[] = {"container_state", NULL};
        kc_metric_set(kc_metric_gauge("kubelet_node_name", "The node's name. The count is always 1.", node_labels), 1,
            KC_LABELS(k->node_name));
        struct kc_metric *m =
            kc_metric_gauge("kubelet_running_containers", "Number of containers currently running", state_labels);
        static const char *const names[] = {"created", "running", "exited", "unknown"};
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++)
                kc_metric_set(m, count_containers(k, (enum kc_container_state)i, false), KC_LABELS(names[i]));
}

void kc_kubelet_metrics_register(struct kc_kubelet *k)
{
        kc_metric_callback(
            "kubelet_running_pods", "Number of pods that have a running pod sandbox", "gauge", running_pods, k);
}

void kc_kubelet_server_ops_fill(struct kc_kubelet *k, struct kc_kubelet_server_ops *ops)
{
        *ops = (struct kc_kubelet_server_ops){.pods = pods,
            .log_path = log_path,
            .container_running = container_running,
            .running = running,
            .node = node,
            .arg = k};
}

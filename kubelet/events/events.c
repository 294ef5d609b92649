/* Events about pods and the node, through the client's recorder. Any thread. */
#include "kubelet/events/events.h"

#include "base/log.h"
#include "base/mem.h"
#include "kubelet/pod/pod.h"

struct kc_kubelet_events {
        struct kc_recorder *recorder; /* NULL: standalone */
        struct json_object *node;     /* reference to ourselves, as upstream's: the uid is the node's name */
};

struct kc_kubelet_events *kc_kubelet_events_new(struct kc_rest *rest, struct kc_pool *pool, const char *node_name)
{
        struct kc_kubelet_events *e = KC_NEW(struct kc_kubelet_events);
        if (rest)
                e->recorder = kc_recorder_new(rest, pool, "kubelet", node_name);
        e->node = kc_json_build("{'metadata':{'name':%s,'uid':%s}}", node_name, node_name);
        return e;
}

void kc_kubelet_events_free(struct kc_kubelet_events *e)
{
        if (!e)
                return;
        kc_recorder_free(e->recorder);
        kc_json_free(e->node);
        kc_free(e);
}

void kc_kubelet_event_pod(struct kc_kubelet_events *e, const struct json_object *pod, const char *container,
    const char *type, const char *reason, const char *fmt, ...)
{
        if (!e)
                return;
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *message = kc_vasprintf(fmt, ap);
        va_end(ap);
        KC_CLEANUP(kc_freep) char *path = container ? kc_pod_container_field_path(pod, container) : NULL;
        if (!e->recorder) {
                kc_log_v(2, "Event occurred", "pod",
                    kc_log_fmt("%s/%s", kc_meta_namespace(pod) ?: "", kc_meta_name(pod)), "fieldPath", path, "type",
                    type, "reason", reason, "message", message);
                return;
        }
        if (path)
                kc_recorder_event_at(e->recorder, &KC_PODS, pod, path, type, reason, "%s", message);
        else
                kc_recorder_event(e->recorder, &KC_PODS, pod, type, reason, "%s", message);
}

void kc_kubelet_event_node(struct kc_kubelet_events *e, const char *type, const char *reason, const char *fmt, ...)
{
        if (!e)
                return;
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *message = kc_vasprintf(fmt, ap);
        va_end(ap);
        if (e->recorder)
                kc_recorder_event(e->recorder, &KC_NODES, e->node, type, reason, "%s", message);
        else
                kc_log_v(2, "Event occurred", "node", kc_meta_name(e->node), "type", type, "reason", reason, "message",
                    message);
}

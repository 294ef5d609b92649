/* The kubelet's events: the recorder, or nothing but the log when there is no API server (standalone). */
#pragma once

#include "api/object.h"
#include "client/recorder.h"

#define KC_EVENT_NORMAL "Normal"
#define KC_EVENT_WARNING "Warning"

struct kc_kubelet_events;

/* rest NULL: standalone. */
struct kc_kubelet_events *kc_kubelet_events_new(struct kc_rest *rest, struct kc_pool *pool, const char *node_name);
void kc_kubelet_events_free(struct kc_kubelet_events *e);
KC_DEFINE_CLEANUP(struct kc_kubelet_events *, kc_kubelet_events_free)

/* Any thread. container: its name, for involvedObject.fieldPath; NULL: the pod as a whole. Reasons as upstream's
 * pkg/kubelet/events: "Pulled", "Created", "Unhealthy", "FailedMount", ... e NULL: nothing happens (tests). */
void kc_kubelet_event_pod(struct kc_kubelet_events *e, const struct json_object *pod, const char *container,
    const char *type, const char *reason, const char *fmt, ...) KC_PRINTF(6, 7);
/* About our Node object ("Starting", "NodeReady", ...). */
void kc_kubelet_event_node(struct kc_kubelet_events *e, const char *type, const char *reason, const char *fmt, ...)
    KC_PRINTF(4, 5);

/* What the Endpoints and the EndpointSlice controller share: which Services a pod's change concerns, which pods stand
 * behind a Service, which port a Service's port is in a pod. */
#pragma once

#include "client/informer.h"
#include "client/workqueue.h"

struct kc_service_watch {
        struct kc_informer *services, *pods;
        struct kc_controller *controller;
};

/* Adds handlers on Services and pods that enqueue the keys of the Services concerned. Call once, in init. */
void kc_service_watch_init(struct kc_service_watch *w);
/* Pods of the Service's namespace that its selector selects; none without a selector. */
void kc_service_pods(const struct kc_service_watch *w, const struct json_object *service, struct kc_objects *ret);
/* Has an address, has not ended; with terminating pods only when asked for. */
bool kc_service_pod_counts(const struct json_object *pod, bool terminating);
/* The number of the Service's port in the pod (targetPort by number or by name); 0: the pod has none of that name. */
int kc_service_target_port(const struct json_object *service_port, const struct json_object *pod);
/* The pod's address of the family, or NULL. */
const char *kc_pod_ip(const struct json_object *pod, int family);
bool kc_service_is_headless(const struct json_object *service);
/* endpoints.kubernetes.io/last-change-trigger-time: the latest of the Service's and the pods' changes. Heap; NULL:
 * unknown. */
char *kc_service_trigger_time(const struct json_object *service, const struct kc_objects *pods);

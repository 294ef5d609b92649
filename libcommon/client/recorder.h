/* Event recorder with client-go's aggregation: the same event again raises its count by a patch; more than 10 similar
 * ones in 10 minutes are combined; 25 burst then one each 5 minutes per object (spam filter). Never blocks: a bounded
 * queue, sent from the pool; events that find it full are dropped and counted. */
#pragma once

#include "client/rest.h"
#include "event/worker.h"

struct kc_recorder;

/* component: "default-scheduler", "kubelet", "deployment-controller"; host may be NULL. */
struct kc_recorder *kc_recorder_new(
    struct kc_rest *rest, struct kc_pool *pool, const char *component, const char *host);
void kc_recorder_free(struct kc_recorder *r);
KC_DEFINE_CLEANUP(struct kc_recorder *, kc_recorder_free)
/* Any thread. obj: the regarding object, whose apiVersion and kind are given by gvr. type: "Normal" or "Warning". */
void kc_recorder_event(struct kc_recorder *r, const struct kc_gvr *g, const struct json_object *obj, const char *type,
    const char *reason, const char *fmt, ...) KC_PRINTF(6, 7);
/* The same with involvedObject.fieldPath ("spec.containers{web}"). */
void kc_recorder_event_at(struct kc_recorder *r, const struct kc_gvr *g, const struct json_object *obj,
    const char *field_path, const char *type, const char *reason, const char *fmt, ...) KC_PRINTF(7, 8);

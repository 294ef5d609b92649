/* Carries a preemption out: marks and deletes the victims, ends the nominations that give way. Pool thread; blocks. */
#pragma once

#include "client/recorder.h"
#include "scheduler/preempt.h"

/* pod: who preempts. What fails is logged: the pod's next attempt looks again. */
void kc_preempt_apply(
    struct kc_rest *rest, struct kc_recorder *recorder, const struct json_object *pod, const struct kc_preemption *p);

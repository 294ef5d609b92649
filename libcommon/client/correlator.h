/* What becomes of an event before it is sent: combined with similar ones, counted on top of the same one, or dropped as
 * spam. client-go's EventCorrelator. No I/O, no locks, no clock of its own. */
#pragma once

#include "base/clock.h"
#include "json/json.h"

struct kc_correlator;

struct kc_correlator *kc_correlator_new(void);
void kc_correlator_free(struct kc_correlator *c);
KC_DEFINE_CLEANUP(struct kc_correlator *, kc_correlator_free)

/* event: a core v1 Event; its name, message, count and firstTimestamp may be changed. Returns false when it is spam.
 * Else *ret_patch is the strategic merge patch to send to the event of that name, or NULL: create it. now and mono: the
 * time. */
bool kc_correlator_observe(
    struct kc_correlator *c, struct json_object *event, kc_time now, kc_mono mono, struct json_object **ret_patch);

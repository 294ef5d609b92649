/* When a schedule comes due, in a time zone. Pure but for reading the time zone database: any thread. */
#pragma once

#include "api/cron.h"
#include "base/clock.h"
#include "base/error.h"

struct kc_zone;

/* name: "Europe/Berlin"; NULL or "": the system's own. -ENOENT: there is none of that name. */
int kc_zone_load(const char *name, struct kc_zone **ret, struct kc_error *err);
void kc_zone_free(struct kc_zone *z);
KC_DEFINE_CLEANUP(struct kc_zone *, kc_zone_free)
/* Seconds east of UTC at a time (seconds since 1970). */
int64_t kc_zone_offset(const struct kc_zone *z, int64_t t);

/* The first time after t, in seconds; 0: none within five years. Local times that a change of the clock leaves out are
 * skipped. */
int64_t kc_cron_next(const struct kc_cron *c, const struct kc_zone *z, int64_t t);
/* The last time that is later than `earliest` and not later than now; 0: none. *ret_missed: how many there were, at
 * most the given limit + 1. */
int64_t kc_cron_latest(
    const struct kc_cron *c, const struct kc_zone *z, int64_t earliest, int64_t now, int limit, int *ret_missed);

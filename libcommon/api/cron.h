/* Schedules of CronJobs, as robfig/cron's standard parser reads them. Pure functions: any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Bit n is set: the schedule has the value n. A schedule "@every 5m" has no fields, but every_seconds. */
struct kc_cron {
        uint64_t minutes, hours, days, months, weekdays; /* weekdays: 0 is Sunday */
        bool any_day, any_weekday;                       /* written as * or ?: the other of the two decides alone */
        int64_t every_seconds;                           /* 0: fields */
        char *time_zone;                                 /* of a prefix TZ= or CRON_TZ=; heap or NULL */
};

/* Five fields (minute hour day-of-month month day-of-week), or a descriptor: @yearly, @annually, @monthly, @weekly,
 * @daily, @midnight, @hourly, @every <duration>. 0, or -EINVAL with upstream's words in *ret_why (heap). */
int kc_cron_parse(const char *spec, struct kc_cron *ret, char **ret_why);
void kc_cron_done(struct kc_cron *c);

/* A name of the time zone database that is installed here. */
bool kc_time_zone_exists(const char *name);

/* What the sources of the validation of Jobs and CronJobs share. Any thread. */
#pragma once

#include "api/object.h"
#include "api/validation_internal.h"

/* A JobSpec but for its selector, at p: of a Job, or in the template of a CronJob. */
void kc_v_job_template_spec(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec);
bool kc_v_job_is_indexed(const struct json_object *spec);
/* Compressed indexes, "1,3-5,7", all below completions: their number. -EINVAL with upstream's words in *ret_why (heap).
 */
int kc_v_job_indexes(const char *text, int64_t completions, int64_t *ret_total, char **ret_why);
void kc_v_job_status_update(struct kc_v *v, const struct json_object *o, const struct json_object *old);

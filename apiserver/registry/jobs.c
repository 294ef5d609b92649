/* Jobs and CronJobs: selectors of their own, and what becomes of the pods of a deleted Job. Worker threads. */
#include <string.h>

#include "api/object.h"
#include "api/warnings.h"
#include "base/str.h"
#include "registry/strategies.h"

static void label_unless_set(struct json_object *labels, const char *key, const char *value)
{
        if (!kc_json_get(labels, key))
                kc_json_set_str(labels, key, value);
}

/* Labels that are in the way are for validation to refuse. */
static void generate_selector(struct json_object *job)
{
        const char *name = kc_meta_name(job), *uid = kc_meta_uid(job);
        struct json_object *labels = kc_json_ensure_obj(job, "spec.template.metadata.labels");
        label_unless_set(labels, "job-name", name);
        label_unless_set(labels, "batch.kubernetes.io/job-name", name);
        label_unless_set(labels, "controller-uid", uid);
        label_unless_set(labels, "batch.kubernetes.io/controller-uid", uid);
        label_unless_set(
            kc_json_ensure_obj(job, "spec.selector.matchLabels"), "batch.kubernetes.io/controller-uid", uid);
}

static void create_job(const struct kc_registry_ctx *c, struct json_object *job)
{
        if (!kc_json_bool_at(job, "spec.manualSelector", false))
                generate_selector(job);
        kc_strategy_default_create(c, job);
}

static void warn_of_spec(const struct kc_registry_ctx *c, const char *path, const struct json_object *spec)
{
        enum { MANY_COMPLETIONS = 100000, MANY_PODS = 10000 };
        if (kc_streq(kc_json_str(spec, "completionMode"), "Indexed") &&
            kc_json_int(spec, "completions", 0) > MANY_COMPLETIONS && kc_json_int(spec, "parallelism", 0) > MANY_PODS)
                kc_strv_pushf(c->warnings,
                    "%s: In Indexed Jobs with a number of completions higher than 100000 and a parallelism higher than "
                    "10000, Kubernetes might not be able to track completedIndexes when a big number of indexes fail",
                    path);
        KC_CLEANUP(kc_freep) char *template_path = kc_asprintf("%s.template", path);
        kc_warn_pod_template(c->warnings, template_path, kc_json_get(spec, "template"));
}

static void warn_of_new_job(const struct kc_registry_ctx *c, const struct json_object *job)
{
        kc_strategy_warn_of_name(c, job);
        warn_of_spec(c, "spec", kc_json_get(job, "spec"));
}

static void warn_of_job_update(
    const struct kc_registry_ctx *c, const struct json_object *job, const struct json_object *old)
{
        if (kc_meta_generation(job) != kc_meta_generation(old))
                warn_of_spec(c, "spec", kc_json_get(job, "spec"));
}

static int warn_of_orphans(
    const struct kc_registry_ctx *c, struct json_object *job, struct kc_delete_request *d, struct kc_error *err)
{
        static const char text[] =
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
            "them or set propagationPolicy=Orphan to suppress this warning";
        (void)job;
        (void)err;
        if (!d->propagation && !d->orphan_dependents_set && c->warnings &&
            !(*c->warnings && kc_strv_has(*c->warnings, text)))
                kc_strv_push(c->warnings, text);
        return 0;
}

const struct kc_strategy kc_strategy_jobs = {
    .group = "batch",
    .resource = "jobs",
    .prepare_for_create = create_job,
    .warnings_create = warn_of_new_job,
    .warnings_update = warn_of_job_update,
    .before_delete = warn_of_orphans,
    .orphan_by_default = true,
};

/* --- CronJobs */

static void warn_of_schedule(const struct kc_registry_ctx *c, const struct json_object *cron_job)
{
        const char *schedule = kc_json_str_at(cron_job, "spec.schedule");
        if (schedule && strstr(schedule, "TZ"))
                kc_strv_push(c->warnings,
                    "CRON_TZ or TZ used in spec.schedule is not officially supported, see "
                    "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details");
}

static void warn_of_new_cron_job(const struct kc_registry_ctx *c, const struct json_object *cron_job)
{
        kc_strategy_warn_of_name(c, cron_job);
        warn_of_spec(c, "spec.jobTemplate.spec", kc_json_at(cron_job, "spec.jobTemplate.spec"));
        warn_of_schedule(c, cron_job);
}

static void warn_of_cron_job_update(
    const struct kc_registry_ctx *c, const struct json_object *cron_job, const struct json_object *old)
{
        if (kc_meta_generation(cron_job) != kc_meta_generation(old))
                warn_of_spec(c, "spec.jobTemplate.spec", kc_json_at(cron_job, "spec.jobTemplate.spec"));
        warn_of_schedule(c, cron_job);
}

const struct kc_strategy kc_strategy_cronjobs = {
    .group = "batch",
    .resource = "cronjobs",
    .warnings_create = warn_of_new_cron_job,
    .warnings_update = warn_of_cron_job_update,
};

/* CronJobs. Any thread. */
#include <string.h>

#include "api/cron.h"
#include "api/validation_batch.h"
#include "base/mem.h"
#include "base/str.h"

/* The controller appends 11 characters to make the name of a Job, which has at most 63. */
enum { MAX_NAME = 63 - 11 };

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};

static void schedule(struct kc_v *v, const struct json_object *spec, bool zone_allowed)
{
        const char *text = kc_v_str(spec, "schedule");
        const struct kc_vpath *p = V_CHILD(&spec_path, "schedule");
        struct kc_cron cron;
        KC_CLEANUP(kc_freep) char *why = NULL;
        if (!*text) {
                kc_v_required(v, p, "");
                return;
        }
        if (kc_cron_parse(text, &cron, &why) < 0)
                kc_v_invalid_str(v, p, text, why);
        kc_cron_done(&cron);
        if (!strstr(text, "TZ"))
                return;
        if (!zone_allowed)
                kc_v_invalid_str(v, p, text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
        else if (kc_json_get(spec, "timeZone"))
                kc_v_invalid_str(v, p, text, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
}

/* A part of a name of the time zone database. */
static bool is_zone_part(const char *s)
{
        static const char valid[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-_0123456789+";
        size_t n = strlen(s);
        return n >= 1 && n <= 14 && s[0] != '-' && strspn(s, valid) == n && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static void time_zone(struct kc_v *v, const char *zone)
{
        const struct kc_vpath *p = V_CHILD(&spec_path, "timeZone");
        KC_CLEANUP(kc_freep) char *unknown = kc_asprintf("unknown time zone %s", zone);
        if (!*zone) {
                kc_v_invalid_str(v, p, zone, "timeZone must be nil or non-empty string");
                return;
        }
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(zone, '/');
        for (size_t i = 0; parts[i]; i++) {
                if (!is_zone_part(parts[i])) {
                        kc_v_invalid_str(v, p, zone, unknown);
                        return;
                }
        }
        if (kc_strcaseeq(zone, "Local"))
                kc_v_invalid_str(
                    v, p, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
        if (!kc_time_zone_exists(zone))
                kc_v_invalid_str(v, p, zone, unknown);
}

static void job_template(struct kc_v *v, const struct json_object *template)
{
        const struct json_object *spec = kc_json_get(template, "spec");
        const struct kc_vpath *p = V_CHILD2(&spec_path, "jobTemplate", "spec");
        kc_v_job_template_spec(v, p, spec);
        if (kc_json_get(spec, "selector"))
                kc_v_invalid(
                    v, V_CHILD(p, "selector"), kc_json_get(spec, "selector"), "`selector` will be auto-generated");
        if (kc_json_bool(spec, "manualSelector", false))
                kc_v_add(v, "FieldValueNotSupported", V_CHILD(p, "manualSelector"),
                    "Unsupported value: true: supported values: \"nil\", \"false\"");
}

static void cron_job_spec(struct kc_v *v, const struct json_object *spec, const struct json_object *old)
{
        static const char *const policies[] = {"Allow", "Forbid", "Replace", NULL};
        const char *zone = kc_json_str(spec, "timeZone");
        schedule(v, spec, strstr(kc_v_str(old, "schedule"), "TZ") != NULL);
        kc_v_nonnegative(v, &spec_path, spec, "startingDeadlineSeconds");
        if (zone && !(old && kc_streq(zone, kc_json_str(old, "timeZone"))))
                time_zone(v, zone);
        kc_v_enum(v, V_CHILD(&spec_path, "concurrencyPolicy"), kc_v_str(spec, "concurrencyPolicy"), policies);
        job_template(v, kc_json_get(spec, "jobTemplate"));
        kc_v_nonnegative(v, &spec_path, spec, "successfulJobsHistoryLimit");
        kc_v_nonnegative(v, &spec_path, spec, "failedJobsHistoryLimit");
}

void kc_v_create_cron_job(struct kc_v *v, const struct json_object *o)
{
        const char *name = kc_v_str(kc_json_get(o, "metadata"), "name");
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        cron_job_spec(v, kc_json_get(o, "spec"), NULL);
        if (strlen(name) > MAX_NAME)
                kc_v_invalid_str(v, V_CHILD2(NULL, "metadata", "name"), name, "must be no more than 52 bytes");
}

void kc_v_update_cron_job(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        kc_v_meta_update(v, o, old);
        if (!kc_streq(subresource, "status"))
                cron_job_spec(v, kc_json_get(o, "spec"), kc_json_get(old, "spec"));
}

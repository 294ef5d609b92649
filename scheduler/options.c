/* Options of kube-scheduler: defaults, then the file, then flags. */
#include "scheduler/options.h"

#include <errno.h>

#include "base/str.h"
#include "json/json.h"

static int load_config(struct kc_scheduler_options *o, const struct kc_flag *flags, struct kc_error *err)
{
        static const char *const versions[] = {"kubescheduler.config.k8s.io/v1", NULL};
        KC_CLEANUP(kc_json_freep) struct json_object *c = NULL;
        int rc;

        if (kc_str_empty(o->config))
                return 0;
        rc = kc_component_config_load(o->config, versions, "KubeSchedulerConfiguration", &c, err);
        if (rc < 0)
                return rc;
        o->percentage_of_nodes_to_score = (int)kc_json_int(c, "percentageOfNodesToScore", 0);
        const struct json_object *profiles = kc_json_get(c, "profiles");
        if (kc_json_len(profiles) > 1)
                return kc_error_set(err, EINVAL, "%s: profiles: more than one profile is not supported", o->config);
        const char *name = kc_json_str(kc_json_idx(profiles, 0), "schedulerName");
        if (name)
                kc_str_set(&o->profile, name);
        return kc_component_config_take(&o->component, flags, c, err);
}

static int validate(const struct kc_scheduler_options *o, struct kc_error *err)
{
        if (o->percentage_of_nodes_to_score < 0 || o->percentage_of_nodes_to_score > 100)
                return kc_error_set(
                    err, EINVAL, "percentageOfNodesToScore: %d must be within 0..100", o->percentage_of_nodes_to_score);
        return kc_component_validate(&o->component, err);
}

int kc_scheduler_options_parse(struct kc_scheduler_options *o, int argc, char **argv, struct kc_error *err)
{
        *o = (struct kc_scheduler_options){0};
        kc_component_defaults(&o->component, 10259, "kube-scheduler");
        const struct kc_flag flags[] = {
            {"config", 0, KC_FLAG_STRING, &o->config, "the configuration file", "Misc"},
            KC_COMPONENT_FLAGS(&o->component),
        };
        int rc = kc_daemon_parse("kube-scheduler", "Assigns pods to nodes.", flags, KC_ARRAY_LEN(flags), argc, argv,
            &o->component.common, err);
        if (rc == 0)
                rc = load_config(o, flags, err);
        return rc == 0 ? validate(o, err) : rc;
}

void kc_scheduler_options_done(struct kc_scheduler_options *o)
{
        kc_component_options_done(&o->component);
        kc_free(o->config);
        kc_free(o->profile);
}

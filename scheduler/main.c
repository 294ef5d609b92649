/* kube-scheduler: assigns pods to nodes. */
#include <stdlib.h>

#include "base/log.h"
#include "scheduler/options.h"
#include "scheduler/scheduler.h"

enum { WORKERS = 16, MAX_WAITING = 10000 };

static void on_leading(void *arg)
{
        kc_log_info("Started scheduling");
        kc_scheduler_start(arg);
}

static int start(
    struct kc_component *c, const struct kc_scheduler_options *o, struct kc_scheduler **ret, struct kc_error *err)
{
        int rc = kc_component_init(c, "kube-scheduler", o->component.kubeconfig, WORKERS, MAX_WAITING, err);

        if (rc < 0)
                return rc;
        *ret = kc_scheduler_new(&(struct kc_scheduler_opts){.loop = c->loop,
            .pool = c->pool,
            .rest = c->rest,
            .informers = c->informers,
            .profile = o->profile,
            .percentage_of_nodes_to_score = o->percentage_of_nodes_to_score});
        c->on_leading = on_leading;
        c->arg = *ret;
        /* Before leading, too: a standby takes over with warm caches. */
        kc_informers_start(c->informers);
        return kc_component_start(c, &o->component, err);
}

int main(int argc, char **argv)
{
        struct kc_scheduler_options options;
        struct kc_component component = {0};
        struct kc_scheduler *scheduler = NULL;
        struct kc_error err = KC_ERROR_INIT;
        int rc = kc_scheduler_options_parse(&options, argc, argv, &err);

        if (rc == 0) {
                rc = start(&component, &options, &scheduler, &err);
                if (rc == 0)
                        rc = kc_component_run(&component, &err);
        }
        if (rc < 0)
                kc_log_error(&err, "kube-scheduler failed");
        kc_component_drain(&component);
        kc_scheduler_freep(&scheduler);
        kc_component_done(&component);
        kc_scheduler_options_done(&options);
        kc_error_done(&err);
        return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* kube-controller-manager: runs the controllers of table.c. */
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "controller-manager/clients.h"
#include "controller-manager/context.h"
#include "controller-manager/options.h"

enum { WORKERS = 32, MAX_WAITING = 10000 };

struct app {
        struct kc_cm_options options;
        struct kc_component component;
        struct kc_cm_clients *clients; /* NULL: all controllers are the controller manager */
        void **states;                 /* one for each controller of the table; NULL: not running */
};

static void start_controllers(void *arg)
{
        struct app *a = arg;
        for (size_t i = 0; i < kc_n_controllers; i++)
                if (a->states[i])
                        kc_controllers[i]->start(a->states[i]);
        kc_log_info("Started the controllers");
}

static int init_controllers(struct app *a, struct kc_error *err)
{
        struct kc_cm_context c = {.loop = a->component.loop,
            .pool = a->component.pool,
            .root = a->component.rest,
            .informers = a->component.informers,
            .options = &a->options};

        for (size_t i = 0; i < kc_n_controllers; i++) {
                const struct kc_controller_def *d = kc_controllers[i];
                if (!kc_cm_enabled(&a->options, d->name, d->alias, d->disabled_by_default))
                        continue;
                c.rest = a->clients ? kc_cm_clients_get(a->clients, d->name) : a->component.rest;
                int rc = d->init(&c, &a->states[i], err);
                if (rc < 0)
                        return kc_error_wrap(err, "%s", d->name);
        }
        return 0;
}

static void on_leading(void *arg)
{
        struct app *a = arg;
        struct kc_error err = KC_ERROR_INIT;

        if (init_controllers(a, &err) < 0) {
                kc_component_fail(&a->component, &err);
                return;
        }
        kc_informers_start(a->component.informers);
        kc_informers_on_synced(a->component.informers, start_controllers, a);
}

static int run(struct app *a, struct kc_error *err)
{
        struct kc_component *c = &a->component;
        int rc =
            kc_component_init(c, "kube-controller-manager", a->options.component.kubeconfig, WORKERS, MAX_WAITING, err);

        if (rc == 0 && a->options.use_service_account_credentials)
                rc = kc_cm_clients_new(c->rest, a->options.component.kubeconfig, &a->clients, err);
        if (rc < 0)
                return rc;
        c->on_leading = on_leading;
        c->arg = a;
        rc = kc_component_start(c, &a->options.component, err);
        return rc == 0 ? kc_component_run(c, err) : rc;
}

int main(int argc, char **argv)
{
        struct app a = {.states = kc_calloc(kc_n_controllers, sizeof(void *))};
        struct kc_error err = KC_ERROR_INIT;
        int rc = kc_cm_options_parse(&a.options, argc, argv, &err);

        if (rc == 0)
                rc = run(&a, &err);
        if (rc < 0)
                kc_log_error(&err, "kube-controller-manager failed");
        kc_cm_clients_close(a.clients);
        kc_component_drain(&a.component);
        for (size_t i = 0; i < kc_n_controllers; i++)
                if (a.states[i])
                        kc_controllers[i]->free(a.states[i]);
        kc_cm_clients_free(a.clients);
        kc_component_done(&a.component);
        kc_free(a.states);
        kc_cm_options_done(&a.options);
        kc_error_done(&err);
        return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

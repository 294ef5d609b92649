/* kube-scheduler: assigns pods to nodes. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "client/leader.h"
#include "scheduler/options.h"
#include "scheduler/scheduler.h"

enum { WORKERS = 16, MAX_WAITING = 10000 };

struct app {
        struct kc_scheduler_options options;
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_rest *rest;
        struct kc_informers *informers;
        struct kc_scheduler *scheduler;
        struct kc_leader *leader;
        struct kc_health *health;
        struct kc_daemon_server *server;
        bool lost;
};

static int connect_api(struct app *a, struct kc_error *err)
{
        struct kc_client_config config = {0};
        int rc = kc_client_config_for_daemon(a->options.kubeconfig, &config, err);
        if (rc < 0)
                return rc;
        rc = kc_rest_new(
            a->loop, &config, &(struct kc_rest_opts){.user_agent = "kube-scheduler/" KC_KUBE_VERSION}, &a->rest, err);
        kc_client_config_done(&config);
        return rc;
}

static void on_leading(void *arg)
{
        struct app *a = arg;
        kc_log_info("Started scheduling");
        kc_scheduler_start(a->scheduler);
}

static void on_lost(void *arg)
{
        struct app *a = arg;
        a->lost = true;
        kc_loop_stop(a->loop);
}

static int start_leading(struct app *a, struct kc_error *err)
{
        if (!a->options.leader_elect) {
                on_leading(a);
                return 0;
        }
        int rc = kc_leader_new(a->rest, a->pool,
            &(struct kc_leader_opts){.lease_namespace = a->options.lease_namespace,
                .lease_name = a->options.lease_name,
                .lease_duration_ms = (int)(a->options.lease_duration / KC_MSEC),
                .renew_deadline_ms = (int)(a->options.renew_deadline / KC_MSEC),
                .retry_period_ms = (int)(a->options.retry_period / KC_MSEC),
                .on_started_leading = on_leading,
                .on_stopped_leading = on_lost,
                .arg = a},
            &a->leader, err);
        if (rc == 0)
                kc_leader_start(a->leader);
        return rc;
}

static int start(struct app *a, struct kc_error *err)
{
        int rc = kc_loop_new("kube-scheduler", &a->loop, err);
        if (rc < 0)
                return rc;
        a->pool = kc_pool_new("worker", WORKERS, MAX_WAITING);
        a->health = kc_health_new();
        rc = connect_api(a, err);
        if (rc < 0)
                return rc;
        a->informers = kc_informers_new(a->rest);
        a->scheduler = kc_scheduler_new(&(struct kc_scheduler_opts){.loop = a->loop,
            .pool = a->pool,
            .rest = a->rest,
            .informers = a->informers,
            .profile = a->options.profile,
            .percentage_of_nodes_to_score = a->options.percentage_of_nodes_to_score});
        rc = kc_daemon_server_new(a->loop,
            &(struct kc_daemon_server_opts){.bind_address = a->options.bind_address,
                .port = a->options.secure_port,
                .cert_file = a->options.cert_file,
                .key_file = a->options.key_file,
                .cert_dir = a->options.cert_dir,
                .client_ca_file = a->options.client_ca_file,
                .rest = a->rest,
                .pool = a->pool,
                .health = a->health},
            &a->server, err);
        if (rc == 0)
                rc = kc_daemon_handle_signals(a->loop, NULL, NULL, err);
        if (rc == 0) {
                /* Before leading, too: a standby takes over with warm caches. */
                kc_informers_start(a->informers);
                rc = start_leading(a, err);
        }
        if (rc == 0)
                kc_daemon_notify("READY=1");
        return rc;
}

static void stop(struct app *a)
{
        kc_daemon_server_freep(&a->server);
        /* First the workers, which read the informers and wait for the loop's answers. */
        kc_daemon_drain(a->loop, a->leader, a->rest, KC_TAKE(a->pool));
        kc_informers_freep(&a->informers);
        kc_leader_freep(&a->leader);
        kc_scheduler_freep(&a->scheduler);
        kc_rest_freep(&a->rest);
        kc_health_freep(&a->health);
        kc_loop_freep(&a->loop);
        kc_scheduler_options_done(&a->options);
}

int main(int argc, char **argv)
{
        struct app a = {0};
        struct kc_error err = KC_ERROR_INIT;
        int rc = kc_scheduler_options_parse(&a.options, argc, argv, &err);

        if (rc == 0)
                rc = kc_daemon_init("kube-scheduler", &err);
        if (rc == 0)
                rc = start(&a, &err);
        if (rc == 0)
                rc = kc_loop_run(a.loop, &err);
        if (rc == 0 && a.lost)
                rc = kc_error_set(&err, ECANCELED, "leader election lost");
        if (rc < 0)
                kc_log_error(&err, "kube-scheduler failed");
        stop(&a);
        kc_error_done(&err);
        return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

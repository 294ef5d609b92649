/* The common skeleton of the loops-and-workers daemons. Main thread, but for the callbacks on the loop (the same
 * thread). */
#include "daemon/component.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "json/json.h"

void kc_component_defaults(struct kc_component_options *o, int secure_port, const char *lease_name)
{
        *o = (struct kc_component_options){
            .bind_address = kc_strdup("0.0.0.0"),
            .secure_port = secure_port,
            .leader_elect = lease_name != NULL,
            .lease_duration = 15 * KC_SEC,
            .renew_deadline = 10 * KC_SEC,
            .retry_period = 2 * KC_SEC,
            .lease_name = kc_strdup(lease_name),
            .lease_namespace = kc_strdup("kube-system"),
        };
}

void kc_component_options_done(struct kc_component_options *o)
{
        char *const strings[] = {o->kubeconfig, o->bind_address, o->cert_file, o->key_file, o->cert_dir,
            o->client_ca_file, o->authentication_kubeconfig, o->authorization_kubeconfig, o->lease_name,
            o->lease_namespace};

        for (size_t i = 0; i < KC_ARRAY_LEN(strings); i++)
                kc_free(strings[i]);
        kc_strv_free(o->always_allow_paths);
        kc_tls_flags_done(&o->tls);
        kc_daemon_flags_done(&o->common);
        *o = (struct kc_component_options){0};
}

void kc_config_take_str(
    const struct kc_flag *flags, const char *flag, const struct json_object *config, const char *path, char **v)
{
        const char *s = kc_json_str_at(config, path);
        if (!kc_str_empty(s) && !kc_flags_given(flags, flag))
                kc_str_set(v, s);
}

int kc_config_take_duration(const struct kc_flag *flags, const char *flag, const struct json_object *config,
    const char *path, int64_t *v, struct kc_error *err)
{
        const char *s = kc_json_str_at(config, path);
        int64_t usec;

        if (kc_str_empty(s) || kc_flags_given(flags, flag))
                return 0;
        if (kc_duration_parse(s, &usec) < 0)
                return kc_error_set(err, EINVAL, "%s: \"%s\" is not a duration", path, s);
        if (usec > 0)
                *v = usec;
        return 0;
}

int kc_component_config_take(
    struct kc_component_options *o, const struct kc_flag *flags, const struct json_object *config, struct kc_error *err)
{
        int rc;

        kc_config_take_str(flags, "kubeconfig", config, "clientConnection.kubeconfig", &o->kubeconfig);
        kc_config_take_str(flags, "leader-elect-resource-name", config, "leaderElection.resourceName", &o->lease_name);
        kc_config_take_str(
            flags, "leader-elect-resource-namespace", config, "leaderElection.resourceNamespace", &o->lease_namespace);
        if (!kc_flags_given(flags, "leader-elect"))
                o->leader_elect = kc_json_bool_at(config, "leaderElection.leaderElect", o->leader_elect);
        rc = kc_config_take_duration(
            flags, "leader-elect-lease-duration", config, "leaderElection.leaseDuration", &o->lease_duration, err);
        if (rc == 0)
                rc = kc_config_take_duration(flags, "leader-elect-renew-deadline", config,
                    "leaderElection.renewDeadline", &o->renew_deadline, err);
        if (rc == 0)
                rc = kc_config_take_duration(
                    flags, "leader-elect-retry-period", config, "leaderElection.retryPeriod", &o->retry_period, err);
        return rc;
}

int kc_component_validate(const struct kc_component_options *o, struct kc_error *err)
{
        if (o->secure_port < 0 || o->secure_port > 65535)
                return kc_error_set(err, EINVAL, "--secure-port: %d must be within 0..65535", o->secure_port);
        if (o->lease_duration <= o->renew_deadline || o->renew_deadline <= o->retry_period || o->retry_period <= 0)
                return kc_error_set(err, EINVAL,
                    "leader election: the lease duration must be longer than the renew deadline, and that longer than "
                    "the "
                    "retry period");
        return 0;
}

int kc_component_init(struct kc_component *c, const char *name, const char *kubeconfig, int workers, size_t max_waiting,
    struct kc_error *err)
{
        struct kc_client_config config = {0};
        KC_CLEANUP(kc_freep) char *agent = kc_asprintf("%s/%s", name, KC_KUBE_VERSION);
        int rc = kc_daemon_init(name, err);

        if (rc == 0)
                rc = kc_loop_new(name, &c->loop, err);
        if (rc < 0)
                return rc;
        c->pool = kc_pool_new(name, workers, max_waiting);
        c->health = kc_health_new();
        rc = kc_client_config_for_daemon(kubeconfig, &config, err);
        if (rc == 0)
                rc = kc_rest_new(c->loop, &config, &(struct kc_rest_opts){.user_agent = agent}, &c->rest, err);
        kc_client_config_done(&config);
        if (rc == 0)
                c->informers = kc_informers_new(c->rest);
        return rc;
}

void kc_component_fail(struct kc_component *c, struct kc_error *take_err)
{
        kc_error_move(&c->failure, take_err);
        kc_loop_stop(c->loop);
}

static void on_lost(void *arg)
{
        struct kc_error err = KC_ERROR_INIT;
        (void)kc_error_set(&err, ECANCELED, "leader election lost"); /* it is the return value of kc_component_run */
        kc_component_fail(arg, &err);
}

static void on_leading(void *arg)
{
        struct kc_component *c = arg;
        c->on_leading(c->arg);
}

static int start_leading(struct kc_component *c, const struct kc_component_options *o, struct kc_error *err)
{
        if (!o->leader_elect) {
                c->on_leading(c->arg);
                return 0;
        }
        int rc = kc_leader_new(c->rest, c->pool,
            &(struct kc_leader_opts){.lease_namespace = o->lease_namespace,
                .lease_name = o->lease_name,
                .lease_duration_ms = (int)(o->lease_duration / KC_MSEC),
                .renew_deadline_ms = (int)(o->renew_deadline / KC_MSEC),
                .retry_period_ms = (int)(o->retry_period / KC_MSEC),
                .on_started_leading = on_leading,
                .on_stopped_leading = on_lost,
                .arg = c},
            &c->leader, err);
        if (rc == 0)
                kc_leader_start(c->leader);
        return rc;
}

/* A client of its own for reviews, where the flags want one. */
static int delegate(struct kc_component *c, const char *kubeconfig, struct kc_rest **ret, struct kc_error *err)
{
        struct kc_client_config config = {0};
        if (kc_str_empty(kubeconfig))
                return 0;
        int rc = kc_client_config_for_daemon(kubeconfig, &config, err);
        if (rc == 0)
                rc = kc_rest_new(c->loop, &config, &(struct kc_rest_opts){.user_agent = "delegated-auth"}, ret, err);
        kc_client_config_done(&config);
        return rc;
}

int kc_component_start(struct kc_component *c, const struct kc_component_options *o, struct kc_error *err)
{
        int rc = delegate(c, o->authentication_kubeconfig, &c->authentication, err);
        if (rc == 0)
                rc = delegate(c, o->authorization_kubeconfig, &c->authorization, err);
        if (rc < 0)
                return rc;
        rc = kc_daemon_server_new(c->loop,
            &(struct kc_daemon_server_opts){.bind_address = o->bind_address,
                .port = o->secure_port,
                .cert_file = o->cert_file,
                .key_file = o->key_file,
                .cert_dir = o->cert_dir,
                .client_ca_file = o->client_ca_file,
                .tls = &o->tls,
                .always_allow_paths = o->always_allow_paths,
                .authentication = c->authentication ? c->authentication : c->rest,
                .authorization = c->authorization ? c->authorization : c->rest,
                .pool = c->pool,
                .health = c->health},
            &c->server, err);
        if (rc == 0)
                rc = kc_daemon_handle_signals(c->loop, NULL, NULL, err);
        if (rc == 0)
                rc = start_leading(c, o, err);
        if (rc == 0)
                kc_daemon_ready(c->loop);
        return rc;
}

int kc_component_run(struct kc_component *c, struct kc_error *err)
{
        int rc = kc_loop_run(c->loop, err);
        if (rc == 0 && c->failure.errnum) {
                rc = -c->failure.errnum;
                kc_error_move(err, &c->failure);
        }
        return rc;
}

void kc_component_drain(struct kc_component *c)
{
        kc_daemon_server_freep(&c->server);
        c->server = NULL;
        /* The workers read the informers and wait for the loop's answers. */
        if (c->authentication)
                kc_rest_close(c->authentication);
        if (c->authorization)
                kc_rest_close(c->authorization);
        if (c->loop)
                kc_daemon_drain(c->loop, c->leader, c->rest, KC_TAKE(c->pool));
        kc_informers_freep(&c->informers);
        c->informers = NULL;
}

void kc_component_done(struct kc_component *c)
{
        kc_leader_freep(&c->leader);
        kc_rest_freep(&c->authentication);
        kc_rest_freep(&c->authorization);
        kc_rest_freep(&c->rest);
        kc_health_freep(&c->health);
        kc_loop_freep(&c->loop);
        kc_error_done(&c->failure);
}

/* Options of kube-scheduler: defaults, then the file, then flags. */
#include "scheduler/options.h"

#include <errno.h>

#include "base/clock.h"
#include "base/str.h"
#include "json/json.h"

static void take_str(
    const struct kc_flag *flags, const char *flag, const struct json_object *c, const char *path, char **v)
{
        const char *s = kc_json_str_at(c, path);
        if (!kc_str_empty(s) && !kc_flags_given(flags, flag))
                kc_str_set(v, s);
}

static int take_duration(const struct kc_flag *flags, const char *flag, const struct json_object *c, const char *path,
    int64_t *v, struct kc_error *err)
{
        const char *s = kc_json_str_at(c, path);
        if (kc_str_empty(s) || kc_flags_given(flags, flag))
                return 0;
        if (kc_duration_parse(s, v) < 0)
                return kc_error_set(err, EINVAL, "%s: \"%s\" is not a duration", path, s);
        return 0;
}

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
        take_str(flags, "kubeconfig", c, "clientConnection.kubeconfig", &o->kubeconfig);
        take_str(flags, "leader-elect-resource-name", c, "leaderElection.resourceName", &o->lease_name);
        take_str(flags, "leader-elect-resource-namespace", c, "leaderElection.resourceNamespace", &o->lease_namespace);
        if (!kc_flags_given(flags, "leader-elect"))
                o->leader_elect = kc_json_bool_at(c, "leaderElection.leaderElect", o->leader_elect);
        o->percentage_of_nodes_to_score = (int)kc_json_int(c, "percentageOfNodesToScore", 0);
        const struct json_object *profiles = kc_json_get(c, "profiles");
        if (kc_json_len(profiles) > 1)
                return kc_error_set(err, EINVAL, "%s: profiles: more than one profile is not supported", o->config);
        const char *name = kc_json_str(kc_json_idx(profiles, 0), "schedulerName");
        if (name)
                kc_str_set(&o->profile, name);
        rc = take_duration(
            flags, "leader-elect-lease-duration", c, "leaderElection.leaseDuration", &o->lease_duration, err);
        if (rc == 0)
                rc = take_duration(
                    flags, "leader-elect-renew-deadline", c, "leaderElection.renewDeadline", &o->renew_deadline, err);
        if (rc == 0)
                rc = take_duration(
                    flags, "leader-elect-retry-period", c, "leaderElection.retryPeriod", &o->retry_period, err);
        return rc;
}

static int validate(const struct kc_scheduler_options *o, struct kc_error *err)
{
        if (o->secure_port < 0 || o->secure_port > 65535)
                return kc_error_set(err, EINVAL, "--secure-port: %d must be within 0..65535", o->secure_port);
        if (o->percentage_of_nodes_to_score < 0 || o->percentage_of_nodes_to_score > 100)
                return kc_error_set(
                    err, EINVAL, "percentageOfNodesToScore: %d must be within 0..100", o->percentage_of_nodes_to_score);
        if (o->lease_duration <= o->renew_deadline || o->renew_deadline <= o->retry_period || o->retry_period <= 0)
                return kc_error_set(err, EINVAL,
                    "leader election: the lease duration must be longer than the renew deadline, and that longer than "
                    "the "
                    "retry period");
        return 0;
}

int kc_scheduler_options_parse(struct kc_scheduler_options *o, int argc, char **argv, struct kc_error *err)
{
        *o = (struct kc_scheduler_options){
            .bind_address = kc_strdup("0.0.0.0"),
            .secure_port = 10259,
            .leader_elect = true,
            .lease_duration = 15 * KC_SEC,
            .renew_deadline = 10 * KC_SEC,
            .retry_period = 2 * KC_SEC,
            .lease_name = kc_strdup("kube-scheduler"),
            .lease_namespace = kc_strdup("kube-system"),
        };
        const struct kc_flag flags[] = {
            {"config", 0, KC_FLAG_STRING, &o->config, "the configuration file", "Misc"},
            {"kubeconfig", 0, KC_FLAG_STRING, &o->kubeconfig, "path to a kubeconfig file", "Misc"},
            {"bind-address", 0, KC_FLAG_STRING, &o->bind_address, "address of --secure-port", "Secure serving"},
            {"secure-port", 0, KC_FLAG_INT, &o->secure_port, "HTTPS port of health and metrics; 0: none",
                "Secure serving"},
            {"tls-cert-file", 0, KC_FLAG_STRING, &o->cert_file, "serving certificate", "Secure serving"},
            {"tls-private-key-file", 0, KC_FLAG_STRING, &o->key_file, "its key", "Secure serving"},
            {"cert-dir", 0, KC_FLAG_STRING, &o->cert_dir, "where a self-signed certificate is kept", "Secure serving"},
            {"client-ca-file", 0, KC_FLAG_STRING, &o->client_ca_file, "CA of client certificates", "Authentication"},
            {"authentication-kubeconfig", 0, KC_FLAG_STRING, &o->authentication_kubeconfig,
                "kubeconfig for TokenReviews (default: --kubeconfig)", "Authentication"},
            {"authorization-kubeconfig", 0, KC_FLAG_STRING, &o->authorization_kubeconfig,
                "kubeconfig for SubjectAccessReviews (default: --kubeconfig)", "Authentication"},
            {"leader-elect", 0, KC_FLAG_BOOL, &o->leader_elect, "elect a leader before working", "Leader election"},
            {"leader-elect-lease-duration", 0, KC_FLAG_DURATION, &o->lease_duration,
                "how long others wait after the last renewal", "Leader election"},
            {"leader-elect-renew-deadline", 0, KC_FLAG_DURATION, &o->renew_deadline,
                "how long the leader tries to renew before it stops", "Leader election"},
            {"leader-elect-retry-period", 0, KC_FLAG_DURATION, &o->retry_period, "time between attempts",
                "Leader election"},
            {"leader-elect-resource-name", 0, KC_FLAG_STRING, &o->lease_name, "name of the Lease", "Leader election"},
            {"leader-elect-resource-namespace", 0, KC_FLAG_STRING, &o->lease_namespace, "its namespace",
                "Leader election"},
            KC_DAEMON_FLAGS(&o->common),
        };
        int rc = kc_daemon_parse(
            "kube-scheduler", "Assigns pods to nodes.", flags, KC_ARRAY_LEN(flags), argc, argv, &o->common, err);
        if (rc != 0)
                return rc;
        rc = load_config(o, flags, err);
        return rc == 0 ? validate(o, err) : rc;
}

void kc_scheduler_options_done(struct kc_scheduler_options *o)
{
        kc_free(o->config);
        kc_free(o->kubeconfig);
        kc_free(o->bind_address);
        kc_free(o->cert_file);
        kc_free(o->key_file);
        kc_free(o->cert_dir);
        kc_free(o->client_ca_file);
        kc_free(o->authentication_kubeconfig);
        kc_free(o->authorization_kubeconfig);
        kc_free(o->lease_name);
        kc_free(o->lease_namespace);
        kc_free(o->profile);
        kc_free(o->common.logging_format);
}

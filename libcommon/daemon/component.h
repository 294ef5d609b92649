/* What kube-scheduler and kube-controller-manager have in common: a client, informers, a pool of workers, the secure
 * server and leader election; and their flags. kube-proxy uses it without the last two. */
#pragma once

#include "client/informer.h"
#include "client/leader.h"
#include "daemon/daemon.h"
#include "daemon/tls_flags.h"

struct kc_component_options {
        struct kc_daemon_flags common;
        char *kubeconfig, *bind_address, *cert_file, *key_file, *cert_dir, *client_ca_file;
        struct kc_tls_flags tls;
        char *authentication_kubeconfig, *authorization_kubeconfig;
        char **always_allow_paths; /* strv; a * at the end stands for everything below */
        int secure_port;
        bool leader_elect;
        int64_t lease_duration, renew_deadline, retry_period;
        char *lease_name, *lease_namespace;
};

/* Upstream's defaults. lease_name NULL: no leader election. */
void kc_component_defaults(struct kc_component_options *o, int secure_port, const char *lease_name);
void kc_component_options_done(struct kc_component_options *o);
/* clientConnection and leaderElection of a component config; flags of the table that were given win. */
int kc_component_config_take(struct kc_component_options *o, const struct kc_flag *flags,
    const struct json_object *config, struct kc_error *err);
int kc_component_validate(const struct kc_component_options *o, struct kc_error *err);

/* Rows for a daemon's table of flags. */
#define KC_COMPONENT_FLAGS(o)                                                                                          \
        {"kubeconfig", 0, KC_FLAG_STRING, &(o)->kubeconfig, "path to a kubeconfig file", "Generic"},                   \
            {"bind-address", 0, KC_FLAG_STRING, &(o)->bind_address, "address of --secure-port", "Secure serving"},     \
            {"secure-port", 0, KC_FLAG_INT, &(o)->secure_port, "HTTPS port of health and metrics; 0: none",            \
                "Secure serving"},                                                                                     \
            {"tls-cert-file", 0, KC_FLAG_STRING, &(o)->cert_file, "serving certificate", "Secure serving"},            \
            {"tls-private-key-file", 0, KC_FLAG_STRING, &(o)->key_file, "its key", "Secure serving"},                  \
            {"cert-dir", 0, KC_FLAG_STRING, &(o)->cert_dir, "where a self-signed certificate is kept",                 \
                "Secure serving"},                                                                                     \
            {"client-ca-file", 0, KC_FLAG_STRING, &(o)->client_ca_file, "CA of client certificates",                   \
                "Authentication"},                                                                                     \
            {"authentication-kubeconfig", 0, KC_FLAG_STRING, &(o)->authentication_kubeconfig,                          \
                "kubeconfig for TokenReviews (default: --kubeconfig)", "Authentication"},                              \
            {"authorization-kubeconfig", 0, KC_FLAG_STRING, &(o)->authorization_kubeconfig,                            \
                "kubeconfig for SubjectAccessReviews (default: --kubeconfig)", "Authentication"},                      \
            {"authorization-always-allow-paths", 0, KC_FLAG_STRV, &(o)->always_allow_paths,                            \
                "HTTPS paths that need no authorization (default /healthz,/readyz,/livez)", "Authorization"},          \
            KC_TLS_FLAGS(&(o)->tls),                                                                                   \
            {"leader-elect", 0, KC_FLAG_BOOL, &(o)->leader_elect, "elect a leader before working", "Leader election"}, \
            {"leader-elect-lease-duration", 0, KC_FLAG_DURATION, &(o)->lease_duration,                                 \
                "how long others wait after the last renewal", "Leader election"},                                     \
            {"leader-elect-renew-deadline", 0, KC_FLAG_DURATION, &(o)->renew_deadline,                                 \
                "how long the leader tries to renew before it stops", "Leader election"},                              \
            {"leader-elect-retry-period", 0, KC_FLAG_DURATION, &(o)->retry_period, "time between attempts",            \
                "Leader election"},                                                                                    \
            {"leader-elect-resource-name", 0, KC_FLAG_STRING, &(o)->lease_name, "name of the Lease",                   \
                "Leader election"},                                                                                    \
            {"leader-elect-resource-namespace", 0, KC_FLAG_STRING, &(o)->lease_namespace, "its namespace",             \
                "Leader election"},                                                                                    \
            KC_DAEMON_FLAGS(&(o)->common)

struct kc_component {
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_rest *rest;
        struct kc_rest *authentication, *authorization; /* of delegated reviews; NULL: rest */
        struct kc_informers *informers;
        struct kc_health *health;
        struct kc_daemon_server *server;
        struct kc_leader *leader;
        /* on_leading is called once, on the loop: at once without election. */
        void (*on_leading)(void *arg);
        void *arg;
        struct kc_error failure; /* set with kc_component_fail: why the loop ended */
};

/* Makes loop, pool (its threads bear the daemon's name), health and client. What was made is freed by
 * kc_component_stop. */
int kc_component_init(struct kc_component *c, const char *name, const char *kubeconfig, int workers, size_t max_waiting,
    struct kc_error *err);
/* The secure server, signals, leader election; tells systemd. */
int kc_component_start(struct kc_component *c, const struct kc_component_options *o, struct kc_error *err);
/* On the loop: ends it; kc_component_run returns the error, which is taken. */
void kc_component_fail(struct kc_component *c, struct kc_error *take_err);
/* Until a signal or a failure. */
int kc_component_run(struct kc_component *c, struct kc_error *err);
/* Ends the workers: after that nothing of the caller's is in use, and it can be freed. Harmless on what was never made.
 */
void kc_component_drain(struct kc_component *c);
/* Frees the rest. */
void kc_component_done(struct kc_component *c);

/* A string of the config at path replaces *v, unless the flag was given. */
void kc_config_take_str(
    const struct kc_flag *flags, const char *flag, const struct json_object *config, const char *path, char **v);
/* The same for a duration ("10s"); zero keeps the default. */
int kc_config_take_duration(const struct kc_flag *flags, const char *flag, const struct json_object *config,
    const char *path, int64_t *v, struct kc_error *err);

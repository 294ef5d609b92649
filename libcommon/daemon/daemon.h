/* What the main functions of the daemons share: the loop with its signals, the secure health/metrics server, the
 * client. */
#pragma once

#include "client/leader.h"
#include "client/rest.h"
#include "daemon/flags.h"
#include "daemon/health.h"
#include "daemon/tls_flags.h"
#include "event/loop.h"
#include "event/worker.h"

/* Flags that every daemon has: --v, --logging-format, --feature-gates, --version, --help; --kubeconfig is each daemon's
 * own. */
struct kc_daemon_flags {
        int verbosity;
        char *logging_format;
        char **feature_gates; /* strv of "Name=true" */
        bool version, help;
};
/* The rows to be put into a daemon's table: KC_DAEMON_FLAGS(&flags.common) */
#define KC_DAEMON_FLAGS(f)                                                                                             \
        {"v", 'v', KC_FLAG_INT, &(f)->verbosity, "number for the log level verbosity", "Logs"},                        \
            {"logging-format", 0, KC_FLAG_STRING, &(f)->logging_format, "text or json", "Logs"},                       \
            {"feature-gates", 0, KC_FLAG_MAP, &(f)->feature_gates,                                                     \
                "feature gates to be changed: Name=true or Name=false", "Global"},                                     \
            {"version", 0, KC_FLAG_BOOL, &(f)->version, "print the version and quit", "Global"},                       \
        {                                                                                                              \
                "help", 'h', KC_FLAG_BOOL, &(f)->help, "print this help", "Global"                                     \
        }

void kc_daemon_flags_done(struct kc_daemon_flags *f);
/* Parses, handles --help and --version, sets up logging and feature gates. Returns 0: go on; 1: done, exit 0; negative:
 * print and exit 1.
 */
int kc_daemon_parse(const char *name, const char *summary, const struct kc_flag *flags, size_t n, int argc, char **argv,
    struct kc_daemon_flags *common, struct kc_error *err);

/* The feature gates of a component's configuration ({"Name":true}; NULL: none), behind those of the flags. After
 * kc_daemon_parse. */
int kc_daemon_take_features(const struct kc_daemon_flags *f, const struct json_object *gates, struct kc_error *err);

/* Process set-up: SIGPIPE ignored, OpenSSL, malloc, file limits raised, core dumps off; umask 077 stays the unit's. */
int kc_daemon_init(const char *name, struct kc_error *err);

/* Stops the loop at SIGTERM and SIGINT; a second signal ends the process at once. on_stop (may be NULL) runs first. */
int kc_daemon_handle_signals(struct kc_loop *loop, void (*on_stop)(void *arg), void *arg, struct kc_error *err);

/* The end of a daemon, on the main thread once kc_loop_run has returned: gives the Lease up (leader NULL: none), fails
 * the REST calls under way, and frees the pool when its workers are done. Controllers must have been stopped.
 * Afterwards free, in any order: controllers, informers, recorder, leader; then rest, then the loop. */
void kc_daemon_drain(struct kc_loop *loop, struct kc_leader *leader, struct kc_rest *rest, struct kc_pool *take_pool);

/* Tells systemd (sd_notify protocol over $NOTIFY_SOCKET) "READY=1" and the like; does nothing without it. */
void kc_daemon_notify(const char *state);
/* The daemon is up ("READY=1"), and in 30 s gives back what only its start has needed: free heap, and pages of code and
 * constants, which come back from the page cache one by one where they are used. On the main loop, once. */
void kc_daemon_ready(struct kc_loop *loop);
/* The main loop is about to end ("STOPPING=1"). On the loop. */
void kc_daemon_stopping(void);

/* The secure serving of scheduler, controller-manager and proxy: health, metrics, version on --secure-port. Without a
 * certificate file a self-signed one is made in cert_dir (in memory directories: pass NULL for a temporary one).
 * /metrics needs authorization by SubjectAccessReview through rest; health does not. port 0: disabled (*ret NULL); -1:
 * any free one. */
struct kc_daemon_server;
struct kc_daemon_server_opts {
        const char *bind_address;
        int port;
        const char *cert_file, *key_file, *cert_dir, *client_ca_file;
        bool plain_http;                /* kube-proxy's healthz and metrics ports: nothing is authorized */
        const struct kc_tls_flags *tls; /* NULL: defaults */
        /* TokenReviews and SubjectAccessReviews; NULL: nothing is authorized (loopback ports). */
        struct kc_rest *authentication, *authorization;
        char *const *always_allow_paths; /* strv, borrowed; NULL: /healthz, /readyz, /livez */
        struct kc_pool *pool;
        struct kc_health *health;
};
int kc_daemon_server_new(
    struct kc_loop *loop, const struct kc_daemon_server_opts *o, struct kc_daemon_server **ret, struct kc_error *err);
int kc_daemon_server_port(const struct kc_daemon_server *s);
/* On the loop, or after it has stopped. */
void kc_daemon_server_free(struct kc_daemon_server *s);
KC_DEFINE_CLEANUP(struct kc_daemon_server *, kc_daemon_server_free)

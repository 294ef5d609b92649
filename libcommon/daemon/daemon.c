/* What the daemons' main functions share: flags, process set-up, signals, sd_notify. Main thread, then the loop. */
#include "daemon/daemon.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/features.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/metrics.h"

enum { MALLOC_ARENAS = 2 };

static int print(const char *text)
{
        /* A closed standard output loses the text, no more. */
        (void)fputs(text, stdout);
        (void)fflush(stdout);
        return 1;
}

int kc_daemon_parse(const char *name, const char *summary, const struct kc_flag *flags, size_t n, int argc, char **argv,
    struct kc_daemon_flags *common, struct kc_error *err)
{
        /* Before parsing: the variables hold the defaults only until then. */
        KC_CLEANUP(kc_buf_done) struct kc_buf help = KC_BUF_INIT;
        for (int i = 1; i < argc && help.len == 0; i++)
                if (kc_streq(argv[i], "--help") || kc_streq(argv[i], "-h"))
                        kc_flags_help(&help, name, summary, flags, n);
        int r = kc_flags_parse(flags, n, argc, argv, NULL, err);
        if (r < 0)
                return r;
        if (common->help) {
                if (help.len == 0)
                        kc_flags_help(&help, name, summary, flags, n);
                return print(kc_buf_str(&help));
        }
        if (common->version)
                return print("Kubernetes " KC_KUBE_VERSION "\n");
        r = kc_features_set(common->feature_gates, err);
        if (r < 0)
                return r;
        kc_log_set_verbosity(common->verbosity);
        const char *format = kc_str_empty(common->logging_format) ? "text" : common->logging_format;
        if (kc_log_set_format(format) < 0)
                return kc_error_set(err, EINVAL, "format: Invalid value: \"%s\": Unsupported log format", format);
        return 0;
}

void kc_daemon_flags_done(struct kc_daemon_flags *f)
{
        kc_free(f->logging_format);
        kc_strv_free(f->feature_gates);
        *f = (struct kc_daemon_flags){0};
}

int kc_daemon_take_features(const struct kc_daemon_flags *f, const struct json_object *gates, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **pairs = NULL;
        if (gates && !kc_json_is_obj(gates))
                return kc_error_set(err, EINVAL, "featureGates: want a map of booleans");
        KC_JSON_FOREACH(gates, name, value)
        {
                if (!json_object_is_type(value, json_type_boolean))
                        return kc_error_set(err, EINVAL, "featureGates[%s]: want a boolean", name);
                kc_strv_pushf(&pairs, "%s=%s", name, json_object_get_boolean(value) ? "true" : "false");
        }
        KC_CLEANUP(kc_strv_freep) char **merged = kc_features_merge(f->feature_gates, pairs);
        return kc_features_set(merged, err);
}

int kc_daemon_init(const char *name, struct kc_error *err)
{
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        if (sigaction(SIGPIPE, &ignore, NULL) < 0)
                return kc_error_set(err, errno, "cannot ignore SIGPIPE: %s", strerror(errno));
        /* Memory holds keys and tokens. */
        struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core); /* lowering is always allowed */
        (void)prctl(PR_SET_DUMPABLE, 0);        /* nor may others of the same user read it; cannot fail with 0 */
        struct rlimit files;
        if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
                files.rlim_cur = files.rlim_max;
                if (setrlimit(RLIMIT_NOFILE, &files) < 0)
                        kc_log_warn("Cannot raise the limit of open files, ignoring", "err", strerror(errno));
        }
        /* Not an arena for each worker: what they free would not come back to the others. */
        (void)mallopt(M_ARENA_MAX, MALLOC_ARENAS); /* cannot fail for this parameter */
        if (OPENSSL_init_ssl(0, NULL) != 1)
                return kc_error_set(err, EIO, "cannot initialize OpenSSL");
        kc_metrics_init_client();
        kc_metrics_init_features();
        kc_features_warn();
        kc_log_v(2, "Process initialized", "component", name, "version", KC_KUBE_VERSION);
        return 0;
}

/* --- signals; the first stops the loop, the second ends the process */

static struct {
        struct kc_loop *loop;
        void (*on_stop)(void *arg);
        void *arg;
        bool stopping;
} stopper;

static void on_signal(void *arg)
{
        (void)arg;
        if (stopper.stopping)
                _exit(1);
        stopper.stopping = true;
        kc_log_info("Received termination signal, shutting down");
        kc_daemon_stopping();
        if (stopper.on_stop)
                stopper.on_stop(stopper.arg);
        kc_loop_stop(stopper.loop);
}

int kc_daemon_handle_signals(struct kc_loop *loop, void (*on_stop)(void *arg), void *arg, struct kc_error *err)
{
        stopper.loop = loop;
        stopper.on_stop = on_stop;
        stopper.arg = arg;
        stopper.stopping = false;
        int r = kc_loop_on_signal(loop, SIGTERM, on_signal, NULL, err);
        return r < 0 ? r : kc_loop_on_signal(loop, SIGINT, on_signal, NULL, err);
}

void kc_daemon_drain(struct kc_loop *loop, struct kc_leader *leader, struct kc_rest *rest, struct kc_pool *take_pool)
{
        struct kc_error err = KC_ERROR_INIT;
        /* The release needs a running loop, and blocks: so the loop goes on beside us for that long. */
        if (leader && kc_leader_is_leader(leader)) {
                if (kc_loop_start_thread(loop, &err) < 0) {
                        kc_log_error(&err, "Cannot release the lease, ignoring");
                } else {
                        kc_leader_release(leader);
                        kc_loop_stop(loop);
                        kc_loop_join(loop);
                }
        }
        kc_error_done(&err);
        if (rest)
                kc_rest_close(rest);
        if (take_pool)
                kc_pool_close(take_pool);
        /* What the workers have posted uses objects that the caller frees next. */
        kc_loop_flush(loop);
        kc_pool_free(take_pool);
}

void kc_daemon_notify(const char *state)
{
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(to.sun_path))
                return;
        size_t len = strlen(path);
        memcpy(to.sun_path, path, len);
        if (path[0] == '@')
                to.sun_path[0] = '\0'; /* abstract */
        KC_CLEANUP(kc_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
                kc_log_warn("Cannot notify the service manager, ignoring", "state", state, "err", strerror(errno));
}

/* kube-apiserver: parse flags, make the parts, run the loop, drain, end. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "api/validation.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "server/server.h"

static struct kc_apiserver *server;
static bool stopping;

static void on_signal(void *arg)
{
        (void)arg;
        if (stopping)
                _exit(1); /* the second signal means it */
        stopping = true;
        kc_log_info("Received termination signal, shutting down");
        kc_daemon_stopping();
        kc_apiserver_shutdown(server);
}

enum { MALLOC_ARENAS = 4 }; /* it has more threads than the other daemons */

static int run(const struct kc_apiserver_options *o, struct kc_error *err)
{
        int r = kc_daemon_init("kube-apiserver", err);
        (void)mallopt(M_ARENA_MAX, MALLOC_ARENAS); /* cannot fail for this parameter */
        kc_validation_set_allow_privileged(o->allow_privileged);
        if (r == 0)
                r = kc_apiserver_new(o, &server, err);
        if (r == 0)
                r = kc_loop_on_signal(kc_apiserver_loop(server), SIGTERM, on_signal, NULL, err);
        if (r == 0)
                r = kc_loop_on_signal(kc_apiserver_loop(server), SIGINT, on_signal, NULL, err);
        if (r == 0) {
                kc_apiserver_start(server);
                r = kc_loop_run(kc_apiserver_loop(server), err);
        }
        kc_apiserver_free(server);
        return r;
}

int main(int argc, char **argv)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_apiserver_options o;
        int r = kc_apiserver_options_parse(&o, argc, argv, &err);
        if (r == 0)
                r = run(&o, &err);
        if (r < 0)
                (void)fprintf(stderr, "Error: %s\n", kc_error_message(&err));
        kc_apiserver_options_done(&o);
        return r < 0 ? 1 : 0;
}

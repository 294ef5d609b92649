/* kubelet: parse flags, check, make the parts, run the loop, end. Containers outlive it. */
#include <errno.h>
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/daemon.h"
#include "kubelet/certificates/certificates.h"
#include "kubelet/kubelet.h"

struct run {
        struct kc_kubelet *kubelet;
};

static void on_stop(void *arg)
{
        struct run *r = arg;
        kc_log_info("Stopping, containers go on running");
        kc_kubelet_stop(r->kubelet);
}

/* Swap would make memory limits and eviction meaningless. */
static int check_swap(const struct kc_kubelet_config *c, struct kc_error *err)
{
        struct kc_buf b = KC_BUF_INIT;
        int lines = 0;
        if (c->fail_swap_on && kc_file_read("/proc/swaps", 1 << 20, &b, NULL) == 0)
                for (size_t i = 0; i < b.len; i++)
                        lines += b.data[i] == '\n';
        kc_buf_done(&b);
        if (lines > 1)
                return kc_error_set(err, EINVAL,
                    "running with swap on is not supported, please disable swap or set --fail-swap-on flag to false");
        return 0;
}

/* A kubelet without credentials gets them first. */
static int bootstrap(const struct kc_kubelet_config *c, struct kc_error *err)
{
        if (kc_str_empty(c->bootstrap_kubeconfig) || kc_str_empty(c->kubeconfig))
                return 0;
        KC_CLEANUP(kc_freep) char *node_name = kc_kubelet_node_name(c);
        return kc_kubelet_bootstrap(c->kubeconfig, c->bootstrap_kubeconfig, c->cert_dir, node_name, err);
}

static int run(struct kc_kubelet_config *config, struct kc_error *err)
{
        KC_CLEANUP(kc_loop_freep) struct kc_loop *loop = NULL;
        struct run state = {0};
        int r = kc_daemon_init("kubelet", err);
        if (r == 0)
                r = check_swap(config, err);
        if (r == 0)
                r = bootstrap(config, err);
        if (r == 0)
                r = kc_loop_new("kubelet", &loop, err);
        if (r == 0)
                r = kc_kubelet_new(loop, config, &state.kubelet, err);
        if (r == 0)
                r = kc_daemon_handle_signals(loop, on_stop, &state, err);
        if (r == 0)
                r = kc_kubelet_start(state.kubelet, err);
        if (r == 0) {
                kc_log_info("Started kubelet", "version", KC_KUBE_VERSION);
                kc_daemon_ready(loop);
                r = kc_loop_run(loop, err);
        }
        /* Whoever supervises it starts it again, and it gets credentials as at first. */
        if (r == 0 && kc_kubelet_credentials_expired(state.kubelet))
                r = kc_error_set(err, EACCES,
                    "The currently active client certificate has expired and the server is responsive, exiting.");
        kc_kubelet_free(state.kubelet);
        return r;
}

int main(int argc, char **argv)
{
        struct kc_kubelet_config config;
        struct kc_error err = KC_ERROR_INIT;
        int r = kc_kubelet_config_parse(argc, argv, &config, &err);
        if (r == 0)
                r = run(&config, &err);
        if (r < 0)
                fprintf(stderr, "E kubelet: %s\n", kc_error_message(&err));
        kc_error_done(&err);
        kc_kubelet_config_done(&config);
        return r < 0 ? 1 : 0;
}

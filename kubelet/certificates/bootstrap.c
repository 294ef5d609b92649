/* TLS bootstrap: the first client certificate of a node, and the kubeconfig that points to it. Before the kubelet's
 * parts are there, with a loop and a worker of its own. */
#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "daemon/daemon.h"
#include "kubelet/certificates/certificates.h"
#include "tls/csr.h"
#include "json/yaml.h"

enum { MAX_PEM = 1 << 20, MAX_QUEUE = 4 };

#define SIGNER "kubernetes.io/kube-apiserver-client-kubelet"

/* --- Certificates of client configurations */

/* What is in the file or the text itself, appended. */
static int read_pem(const char *file, const char *pem, struct kc_buf *ret, struct kc_error *err)
{
        if (pem) {
                kc_buf_adds(ret, pem);
                return 0;
        }
        if (kc_str_empty(file))
                return kc_error_set(err, EINVAL, "there is no client certificate");
        return kc_file_read(file, MAX_PEM, ret, err);
}

/* When the current certificate ends; 0: there is none of use. */
static kc_time end_of_current(const char *dir, const char *pair)
{
        KC_CLEANUP(kc_freep) char *path = kc_kubelet_cert_path(dir, pair);
        struct kc_buf pem = KC_BUF_INIT;
        struct kc_cert_info info;
        kc_time end = 0;
        if (kc_file_read(path, MAX_PEM, &pem, NULL) == 0 && kc_cert_has_key(kc_buf_str(&pem), pem.len) &&
            kc_cert_info(kc_buf_str(&pem), pem.len, &info, NULL) == 0) {
                end = info.not_after;
                kc_cert_info_done(&info);
        }
        kc_buf_wipe(&pem);
        return end;
}

int kc_kubelet_cert_seed(const char *dir, const char *pair, const struct kc_client_config *config, struct kc_error *err)
{
        struct kc_buf cert = KC_BUF_INIT, key = KC_BUF_INIT;
        struct kc_cert_info info = {0};
        int r = read_pem(config->cert_file, config->cert_pem, &cert, err);
        if (r >= 0)
                r = read_pem(config->key_file, config->key_pem, &key, err);
        if (r >= 0)
                r = kc_cert_info(kc_buf_str(&cert), cert.len, &info, err);
        if (r >= 0 && info.not_after > end_of_current(dir, pair))
                r = kc_kubelet_cert_store(dir, pair, kc_buf_str(&cert), kc_buf_str(&key), kc_clock_now(NULL), err);
        kc_cert_info_done(&info);
        kc_buf_done(&cert);
        kc_buf_wipe(&key);
        return KC_MIN(r, 0);
}

/* As isClientConfigStillValid: there, with a client certificate that has not expired. */
static bool still_valid(const char *kubeconfig)
{
        struct kc_client_config config = {0};
        struct kc_buf cert = KC_BUF_INIT;
        struct kc_cert_info info = {0};
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (!kc_path_exists(kubeconfig))
                return false;
        int r = kc_client_config_for_daemon(kubeconfig, &config, &err);
        if (r >= 0)
                r = read_pem(config.cert_file, config.cert_pem, &cert, &err);
        if (r >= 0)
                r = kc_cert_info(kc_buf_str(&cert), cert.len, &info, &err);
        if (r >= 0 && info.not_after <= kc_clock_now(NULL))
                r = kc_error_set(&err, EINVAL, "the client certificate is expired");
        if (r < 0)
                kc_log_error(&err, "The existing kubeconfig is of no use, bootstrapping", "file", kubeconfig);
        kc_cert_info_done(&info);
        kc_buf_done(&cert);
        kc_client_config_done(&config);
        return r >= 0;
}

/* --- The kubeconfig */

static int write_kubeconfig(
    const char *path, const struct kc_client_config *from, const char *pem, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *cluster = kc_json_build("{'server':%s}", from->server);
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        if (from->ca_pem) {
                KC_CLEANUP(kc_freep) char *base64 = kc_base64_encode(from->ca_pem, strlen(from->ca_pem));
                kc_json_set_str(cluster, "certificate-authority-data", base64);
        } else {
                kc_json_set_str(cluster, "certificate-authority", from->ca_file);
        }
        kc_json_set_str(cluster, "tls-server-name", from->tls_server_name);
        kc_json_set_str(cluster, "proxy-url", from->proxy_url);
        if (from->insecure_skip_verify)
                kc_json_set_bool(cluster, "insecure-skip-tls-verify", true);
        KC_CLEANUP(kc_json_freep)
        struct json_object *config = kc_json_build(
            "{'apiVersion':'v1','kind':'Config','clusters':[{'name':'default-cluster','cluster':%o}],"
            "'contexts':[{'name':'default-context','context':{'cluster':'default-cluster','namespace':'default',"
            "'user':'default-auth'}}],'current-context':'default-context',"
            "'users':[{'name':'default-auth','user':{'client-certificate':%s,'client-key':%s}}]}",
            kc_json_copy(cluster), pem, pem);
        kc_yaml_write(&text, config);
        return kc_file_write_atomic(path, text.data, text.len, 0600, err);
}

/* --- The request */

struct bootstrap {
        struct kc_loop *loop;
        bool done;
};

static void on_new(void *arg)
{
        struct bootstrap *b = arg;
        b->done = true;
        kc_loop_stop(b->loop);
}

/* Runs the loop until there is a certificate or a signal comes. */
static int request(
    struct bootstrap *b, struct kc_rest *rest, const char *cert_dir, const char *node_name, struct kc_error *err)
{
        struct kc_pool *pool = kc_pool_new("bootstrap", 1, MAX_QUEUE);
        const struct kc_kubelet_cert_opts o = {.loop = b->loop,
            .pool = pool,
            .rest = rest,
            .dir = cert_dir,
            .pair = "kubelet-client",
            .signer = SIGNER,
            .node_name = node_name,
            .on_new = on_new,
            .arg = b};
        struct kc_kubelet_certs *certs = kc_kubelet_certs_new(&o);
        int r = 0;
        if (kc_kubelet_certs_valid(certs)) {
                b->done = true; /* a kubelet before us was ended before it wrote the kubeconfig */
        } else {
                kc_kubelet_certs_start(certs);
                r = kc_loop_run(b->loop, err);
        }
        kc_kubelet_certs_stop(certs);
        kc_rest_close(rest);
        kc_pool_free(pool);
        kc_loop_flush(b->loop);
        kc_kubelet_certs_free(certs);
        return r;
}

static int run(const struct kc_client_config *config, const char *kubeconfig, const char *cert_dir,
    const char *node_name, struct kc_error *err)
{
        KC_CLEANUP(kc_loop_freep) struct kc_loop *loop = NULL;
        KC_CLEANUP(kc_rest_freep) struct kc_rest *rest = NULL;
        const struct kc_rest_opts o = {.user_agent = "kubelet/" KC_KUBE_VERSION " (linux)"};
        int r = kc_loop_new("bootstrap", &loop, err);
        if (r == 0)
                r = kc_daemon_handle_signals(loop, NULL, NULL, err);
        if (r == 0)
                r = kc_rest_new(loop, config, &o, &rest, err);
        if (r < 0)
                return r;
        struct bootstrap b = {.loop = loop};
        r = request(&b, rest, cert_dir, node_name, err);
        if (r < 0 || !b.done)
                return r < 0 ? r : 1;
        KC_CLEANUP(kc_freep) char *pem = kc_kubelet_cert_path(cert_dir, "kubelet-client");
        return write_kubeconfig(kubeconfig, config, pem, err);
}

int kc_kubelet_bootstrap(const char *kubeconfig, const char *bootstrap_kubeconfig, const char *cert_dir,
    const char *node_name, struct kc_error *err)
{
        struct kc_client_config config = {0};
        if (still_valid(kubeconfig)) {
                kc_log_info("Current kubeconfig file contents are still valid, no bootstrap necessary");
                return 0;
        }
        kc_log_info("Using bootstrap kubeconfig to generate TLS client cert, key and kubeconfig file", "file",
            bootstrap_kubeconfig);
        if (!kc_path_exists(bootstrap_kubeconfig))
                return kc_error_set(err, ENOENT,
                    "unable to load bootstrap kubeconfig: stat %s: no such file or directory", bootstrap_kubeconfig);
        int r = kc_client_config_for_daemon(bootstrap_kubeconfig, &config, err);
        if (r < 0)
                return kc_error_wrap(err, "unable to load bootstrap kubeconfig");
        r = run(&config, kubeconfig, cert_dir, node_name, err);
        kc_client_config_done(&config);
        return r < 0 ? kc_error_wrap(err, "failed to run Kubelet: TLS bootstrap") : r;
}

/* Which certificates the kubelet shows to whom, and who renews them. Thread: the loop. */
#include <math.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "kubelet/kubelet_internal.h"

#define CLIENT_PAIR "kubelet-client"
#define SERVER_PAIR "kubelet-server"

static void on_client_cert(void *arg)
{
        struct kc_kubelet *k = arg;
        kc_log_info("Certificate rotation detected, shutting down client connections to start using new credentials");
        kc_rest_reconnect(k->rest);
}

static void on_client_expired(void *arg)
{
        struct kc_kubelet *k = arg;
        k->credentials_expired = true;
        kc_kubelet_stop(k);
        kc_loop_stop(k->loop);
}

bool kc_kubelet_credentials_expired(const struct kc_kubelet *k)
{
        return k->credentials_expired;
}

static void on_server_cert(void *arg)
{
        struct kc_kubelet *k = arg;
        kc_kubelet_server_reload(k->server);
}

int kc_kubelet_take_over_client_cert(struct kc_kubelet *k, struct kc_error *err)
{
        struct kc_client_config *c = &k->client_config;
        int r = kc_kubelet_cert_seed(k->config->cert_dir, CLIENT_PAIR, c, err);
        if (r < 0)
                return kc_error_wrap(err, "--rotate-certificates");
        kc_free_secret_str(KC_TAKE(c->key_pem));
        kc_str_set(&c->cert_pem, NULL);
        kc_free(c->cert_file);
        kc_free(c->key_file);
        c->cert_file = kc_kubelet_cert_path(k->config->cert_dir, CLIENT_PAIR);
        c->key_file = kc_strdup(c->cert_file);
        return 0;
}

static double ttl_of(const struct kc_kubelet_certs *c)
{
        kc_time expiry = c ? kc_kubelet_certs_expiry(c) : 0;
        return expiry ? (double)(expiry - kc_clock_now(NULL)) / (double)KC_SEC : INFINITY;
}

static double client_ttl(void *arg)
{
        return ttl_of(((const struct kc_kubelet *)arg)->client_cert);
}

static double server_ttl(void *arg)
{
        return ttl_of(((const struct kc_kubelet *)arg)->server_cert);
}

void kc_kubelet_make_cert_managers(struct kc_kubelet *k)
{
        const struct kc_kubelet_config *c = k->config;
        KC_CLEANUP(kc_strv_freep) char **names = kc_strv_copy(k->node_ips);
        kc_strv_push(&names, k->node_name);
        struct kc_kubelet_cert_opts o = {.loop = k->loop,
            .pool = k->pool,
            .rest = k->rest,
            .dir = c->cert_dir,
            .pair = CLIENT_PAIR,
            .signer = "kubernetes.io/kube-apiserver-client-kubelet",
            .node_name = k->node_name,
            .on_new = on_client_cert,
            .arg = k};
        if (k->rest && c->rotate_certificates) {
                o.errors = kc_metric_counter("kubelet_certificate_manager_client_expiration_renew_errors",
                    "Renewals of the client certificate that failed", NULL);
                o.on_expired = on_client_expired;
                k->client_cert = kc_kubelet_certs_new(&o);
                o.on_expired = NULL;
                kc_metric_callback("kubelet_certificate_manager_client_ttl_seconds",
                    "Seconds until the client certificate expires, negative when it has; +Inf: there is none", "gauge",
                    client_ttl, k);
        }
        if (!k->rest || !c->server_tls_bootstrap)
                return;
        o.pair = SERVER_PAIR;
        o.signer = "kubernetes.io/kubelet-serving";
        o.server = true;
        o.names = names;
        o.on_new = on_server_cert;
        o.errors = kc_metric_counter(
            "kubelet_server_expiration_renew_errors", "Renewals of the serving certificate that failed", NULL);
        k->server_cert = kc_kubelet_certs_new(&o);
        kc_metric_callback("kubelet_certificate_manager_server_ttl_seconds",
            "Seconds until the serving certificate expires, negative when it has; +Inf: there is none", "gauge",
            server_ttl, k);
}

int kc_kubelet_serving_cert(struct kc_kubelet *k, char **ret_cert, char **ret_key, struct kc_error *err)
{
        const struct kc_kubelet_config *c = k->config;
        /* Until it is issued there is none, as upstream: nobody could verify one of our own. */
        if (k->server_cert) {
                *ret_cert = kc_kubelet_cert_path(c->cert_dir, SERVER_PAIR);
                *ret_key = kc_strdup(*ret_cert);
                return 0;
        }
        if (!kc_str_empty(c->tls_cert_file)) {
                *ret_cert = kc_strdup(c->tls_cert_file);
                *ret_key = kc_strdup(c->tls_private_key_file);
                return 0;
        }
        *ret_cert = kc_path_join(c->cert_dir, "kubelet.crt");
        *ret_key = kc_path_join(c->cert_dir, "kubelet.key");
        if (kc_path_exists(*ret_cert) && kc_path_exists(*ret_key))
                return 0;
        int r = kc_mkdir_p(c->cert_dir, 0700, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_strv_freep) char **names = kc_strv_copy(k->node_ips);
        kc_strv_push(&names, k->node_name);
        return kc_tls_self_signed(k->node_name, names, *ret_cert, *ret_key, err);
}

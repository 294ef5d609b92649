/* The kubelet's certificates: asked for by CertificateSigningRequest, kept in files, renewed in time.
 *
 *   deadline (70 to 90 % of the lifetime), or it is for other names
 *     --> a new key and request (pool) --> wait for approval and certificate (watch, 15 min at most)
 *     --> <dir>/<pair>-<time>.pem and the link <pair>-current.pem --> on_new
 *     failed: again after 2 s, 4 s, ... 32 s
 *
 * The files hold certificate and key, as upstream's certificate store has them. */
#pragma once

#include "base/clock.h"
#include "client/rest.h"
#include "daemon/metrics.h"
#include "event/worker.h"

/* <dir>/<pair>-current.pem: "kubelet-client" or "kubelet-server". Heap. */
char *kc_kubelet_cert_path(const char *dir, const char *pair);
/* Puts certificate and key below dir (made with mode 0700 when missing) and makes them current. */
int kc_kubelet_cert_store(
    const char *dir, const char *pair, const char *cert_pem, const char *key_pem, kc_time now, struct kc_error *err);
/* Makes the kubeconfig's own client certificate the current one, unless that is good for longer already. -EINVAL: the
 * configuration has no client certificate. */
int kc_kubelet_cert_seed(
    const char *dir, const char *pair, const struct kc_client_config *config, struct kc_error *err);
/* When a certificate is to be renewed: 70 to 90 % of the way from not_before to not_after, by random, a number from 0
 * to
 * 1. Pure. */
kc_time kc_kubelet_cert_deadline(kc_time not_before, kc_time not_after, double random);

struct kc_kubelet_cert_opts {
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_rest *rest; /* outlives the manager */
        const char *dir, *pair;
        const char *signer;
        const char *node_name;
        bool server;              /* server auth, else client auth */
        char *const *names;       /* DNS names and addresses of a server; strv, NULL for clients */
        struct kc_metric *errors; /* counts requests that failed; NULL: not counted */
        /* On the loop: there is a new current certificate. */
        void (*on_new)(void *arg);
        /* On the loop, again and again (10 s): the current certificate has expired, and the server answers. NULL:
         * nobody needs to know. */
        void (*on_expired)(void *arg);
        void *arg;
};
struct kc_kubelet_certs;
/* All on the loop, or before it runs. */
struct kc_kubelet_certs *kc_kubelet_certs_new(const struct kc_kubelet_cert_opts *o);
/* Begins: at once when there is nothing valid, else when the time has come. */
void kc_kubelet_certs_start(struct kc_kubelet_certs *c);
/* There is a current certificate, which has not expired. */
bool kc_kubelet_certs_valid(const struct kc_kubelet_certs *c);
/* When the current certificate expires; 0: there is none. Any thread. */
kc_time kc_kubelet_certs_expiry(const struct kc_kubelet_certs *c);
/* Nothing is called any more; before the pool is drained. */
void kc_kubelet_certs_stop(struct kc_kubelet_certs *c);
/* After it has been stopped and the pool has been drained. NULL is fine. */
void kc_kubelet_certs_free(struct kc_kubelet_certs *c);

/* TLS bootstrap, before anything else runs; blocks until there is a client certificate or a signal to stop. When
 * kubeconfig has valid credentials nothing is done; else the identity in bootstrap_kubeconfig asks for one and
 * kubeconfig is written, which points to it in cert_dir. 1: stopped by a signal. */
int kc_kubelet_bootstrap(const char *kubeconfig, const char *bootstrap_kubeconfig, const char *cert_dir,
    const char *node_name, struct kc_error *err);

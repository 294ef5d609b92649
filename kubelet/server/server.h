/* The kubelet's HTTPS server (10250) and its plain health server (10248).
 *
 *   /healthz /healthz/{ping,log,syncloop}  /pods /runningpods  /containerLogs/<ns>/<pod>/<container>  /metrics
 *   /metrics/{cadvisor,resource,probes}  /stats/summary  /configz
 *   /run (one command, its output as the answer)
 *   /exec /attach /portForward (passed on to the runtime's streaming server)
 *
 * Authentication: client certificate of client_ca_file, or bearer token by TokenReview (cached; failures 10 s);
 * authorization: SubjectAccessReview of nodes/{proxy,stats,log,metrics,healthz,pods,configz} with upstream's mapping
 * and the node's name (cached), verb from the method. Without credentials: 401 "Unauthorized"; refused:
 * 403 "Forbidden (user=..., verb=..., resource=nodes, subresource(s)=[proxy])". Requests that block run on the pool. */
#pragma once

#include "daemon/health.h"
#include "event/loop.h"
#include "event/worker.h"
#include "kubelet/cri/client.h"

struct kc_kubelet_server;

/* What a request asks the kubelet for; any thread, must not block long. */
struct kc_kubelet_server_ops {
        /* A v1.PodList of all pods with their latest status; the caller's. */
        struct json_object *(*pods)(void *arg);
        /* The log file of a container (previous: of its last ended instance), and whether it may still grow. Heap.
         * Errors are API errors with upstream's messages: NotFound `pod "x" not found`; BadRequest `container "c" in
         * pod "p" is waiting to start: ContainerCreating`, `previous terminated container "c" in pod "p" not found`,
         * `container c is not valid for pod p`. */
        int (*log_path)(void *arg, const char *ns, const char *pod, const char *container, bool previous,
            char **ret_path, char **ret_container_id, struct kc_error *err);
        /* Is that container still running? Asked by follow when it reaches the end of the file. */
        bool (*container_running)(void *arg, const char *container_id);
        /* The running container's ID and its pod's sandbox ID, for exec, attach and port-forward (container NULL: only
         * the sandbox). Heap. */
        int (*running)(void *arg, const char *ns, const char *pod, const char *container, char **ret_container_id,
            char **ret_sandbox_id, struct kc_error *err);
        /* The Node object, or NULL; with a reference. For /stats/summary. */
        struct kc_object *(*node)(void *arg);
        void *arg;
};

struct kc_kubelet_server_opts {
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_cri *cri;
        struct kc_rest *rest; /* NULL: standalone; then only the client certificate counts and everything authenticated
                                 is allowed */
        struct kc_health *health;
        const char *node_name;
        const char *address; /* --address */
        int port;            /* 0: no server */
        const char *cert_file, *key_file, *client_ca_file;
        bool cert_may_come_later; /* handshakes fail until the files are there */
        char *const *tls_cipher_suites;
        const char *tls_min_version;
        bool anonymous_auth;     /* default false */
        bool debugging_handlers; /* else what runs in or reads from containers answers 405 "Debug endpoints are
                                    disabled." */
        int64_t token_cache_ttl, authorized_cache_ttl, unauthorized_cache_ttl; /* usec */
        bool authentication_webhook, authorization_always_allow;
        const char *healthz_address;    /* "127.0.0.1" */
        int healthz_port;               /* 0: none */
        int64_t streaming_idle_timeout; /* usec; 0: none */
        const char *root_dir;
        const struct json_object *configz; /* effective KubeletConfiguration */
        struct kc_kubelet_server_ops ops;
};
int kc_kubelet_server_new(const struct kc_kubelet_server_opts *o, struct kc_kubelet_server **ret, struct kc_error *err);
/* The serving certificate is another: new connections get it. Any thread; NULL is fine. */
void kc_kubelet_server_reload(struct kc_kubelet_server *s);
/* Ports in use; 0: none. */
int kc_kubelet_server_port(const struct kc_kubelet_server *s);
int kc_kubelet_server_healthz_port(const struct kc_kubelet_server *s);
void kc_kubelet_server_free(struct kc_kubelet_server *s);
KC_DEFINE_CLEANUP(struct kc_kubelet_server *, kc_kubelet_server_free)

/* Shared by the files of the prober. */
#pragma once

#include "kubelet/prober/prober.h"

enum {
        KC_PROBE_OUTPUT_MAX = 10 * 1024, /* of a body or a command's output */
        KC_PROBE_RETRIES = 3,            /* when a probe could not be made at all */
};

#define KC_PROBE_USER_AGENT "kube-probe/1.36"
#define KC_LIFECYCLE_USER_AGENT "kube-lifecycle/1.36"

/* As kc_probe_run. *ret_warning: a success that deserves a word (a redirect to another host). */
enum kc_probe_result kc_probe_run_full(
    const struct kc_probe_env *e, const struct json_object *probe, bool *ret_warning, char **ret_output);

/* A number or the name of one of the container's ports: 1..65535, else -EINVAL. */
int kc_probe_port(const struct json_object *container, const struct json_object *port, struct kc_error *err);
/* Host and port for a URL or an error: "10.0.0.1:80", "[fd00::1]:80". Heap. */
char *kc_probe_host_port(const char *host, int port);
/* Connects and closes. On failure err has Go's words: "dial tcp 10.0.0.1:80: connect: connection refused". */
int kc_probe_dial(const char *host, int port, int timeout_ms, struct kc_error *err);

/* --- http.c */
struct kc_probe_http_request {
        struct kc_loop *loop;             /* does the I/O */
        const char *host;                 /* default for the action's */
        const struct json_object *action; /* v1.HTTPGetAction */
        const struct json_object *container;
        const char *user_agent;
        int timeout_ms; /* 0: none */
        bool plain;     /* http whatever the action's scheme is */
};
struct kc_probe_http_answer {
        int code;
        struct kc_buf body;    /* cut at KC_PROBE_OUTPUT_MAX */
        bool redirect_refused; /* the answer is a redirect to another host */
        bool not_tls;          /* failed because the server does not speak TLS */
};
/* err: what Go's client says: `Get "http://10.0.0.1:80/": dial tcp ...`. */
int kc_probe_http_get(const struct kc_probe_http_request *r, struct kc_probe_http_answer *ret, struct kc_error *err);
void kc_probe_http_answer_done(struct kc_probe_http_answer *a);

/* --- grpc.c */
enum kc_probe_result kc_probe_grpc(
    const struct kc_probe_env *e, const struct json_object *action, int timeout_ms, char **ret_output);

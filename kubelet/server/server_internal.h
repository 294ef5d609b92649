/* Shared by the files of the kubelet's server.
 *
 *   request (loop) --> pool: authenticate, authorize, route's handler --> kc_http_reply
 *                                                  `--> post: log stream or tunnel, on the loop */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "client/rest.h"
#include "http/server.h"
#include "kubelet/server/server.h"

struct kc_kubelet_server {
        atomic_uint refs; /* the owner, requests, streams */
        struct kc_kubelet_server_opts o;
        char *node_name, *root_dir;
        struct json_object *configz;
        struct kc_http_server *https, *http;
        struct kc_tls_server *tls;
        atomic_bool closed;
        struct kc_list streams; /* kc_ks_stream; on the loop */
        pthread_mutex_t mutex;
        struct kc_map *tokens;    /* who by SHA-256 of the token; guarded by mutex */
        struct kc_map *decisions; /* by who and what; guarded by mutex */
};
struct kc_kubelet_server *kc_ks_ref(struct kc_kubelet_server *s);
void kc_ks_unref(struct kc_kubelet_server *s);

/* One request, on the pool. */
struct kc_ks_request {
        struct kc_kubelet_server *s;
        struct kc_http_req *req;
        char **parts;            /* of the path, decoded: "containerLogs", "ns", ... */
        struct json_object *who; /* {"user", "uid", "groups", "extra"} as SubjectAccessReview's spec has them */
};

/* What lives on the loop longer than its request's handler; ended when the server is freed. */
struct kc_ks_stream {
        struct kc_list node;
        void (*end)(struct kc_ks_stream *s); /* on the loop; takes it off the list */
};

/* Plain text and a line end, as go-restful's WriteErrorString. Any thread. */
void kc_ks_reply_text(struct kc_http_req *req, int code, const char *text);
/* An error's message with its code (500 if it has none). Any thread. */
void kc_ks_reply_error(struct kc_http_req *req, const struct kc_error *err);
void kc_ks_reply_json(struct kc_http_req *req, const struct json_object *tree);
void kc_ks_reply_buf(struct kc_http_req *req, const char *content_type, struct kc_buf *b);

/* --- auth.c: 0, or answered with 401, 403 or 500. Blocks. */
int kc_ks_authenticate(struct kc_ks_request *r);
int kc_ks_authorize(struct kc_ks_request *r);
void kc_ks_auth_init(struct kc_kubelet_server *s);
void kc_ks_auth_done(struct kc_kubelet_server *s);
/* The subresources of nodes/ that allow this path, most specific first: strv of literals. */
const char *const *kc_ks_subresources(const char *path);

/* --- handlers, on the pool */
void kc_ks_container_logs(struct kc_ks_request *r);
void kc_ks_running_pods(struct kc_ks_request *r);
void kc_ks_stats_summary(struct kc_ks_request *r);
void kc_ks_metrics_resource(struct kc_ks_request *r);
void kc_ks_metrics_cadvisor(struct kc_ks_request *r);
void kc_ks_exec(struct kc_ks_request *r);
void kc_ks_run(struct kc_ks_request *r);
void kc_ks_attach(struct kc_ks_request *r);
void kc_ks_port_forward(struct kc_ks_request *r);

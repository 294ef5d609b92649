/* Typed-by-path REST client of the API server: builds paths, sends JSON, turns Status answers into kc_error. */
#pragma once

#include "api/object.h"
#include "api/status.h"
#include "client/kubeconfig.h"
#include "event/loop.h"
#include "http/client.h"

struct kc_rest;

struct kc_gvr {
        const char *group, *version, *resource;
        const char *kind;
        bool namespaced;
};

/* Every built-in resource that daemons use. Defined in gvr.c. */
extern const struct kc_gvr KC_PODS, KC_NODES, KC_NAMESPACES, KC_SERVICES, KC_ENDPOINTS, KC_CONFIGMAPS, KC_SECRETS,
    KC_SERVICEACCOUNTS, KC_EVENTS, KC_REPLICATIONCONTROLLERS, KC_REPLICASETS, KC_DEPLOYMENTS, KC_DAEMONSETS,
    KC_CONTROLLERREVISIONS, KC_ENDPOINTSLICES, KC_LEASES, KC_EVENTS_V1, KC_ROLES, KC_ROLEBINDINGS, KC_CLUSTERROLES,
    KC_CLUSTERROLEBINDINGS, KC_PRIORITYCLASSES, KC_TOKENREVIEWS, KC_SUBJECTACCESSREVIEWS, KC_PODDISRUPTIONBUDGETS,
    KC_STATEFULSETS, KC_JOBS, KC_CRONJOBS, KC_PERSISTENTVOLUMECLAIMS, KC_PERSISTENTVOLUMES, KC_VOLUMEATTRIBUTESCLASSES,
    KC_RESOURCEQUOTAS, KC_SERVICECIDRS, KC_IPADDRESSES, KC_CERTIFICATESIGNINGREQUESTS, KC_CLUSTERTRUSTBUNDLES;

struct kc_rest_opts {
        const char *user_agent; /* "kubelet/v1.36.2 (linux/amd64) kubec" */
        double qps;             /* client-side limit; <= 0: none */
        int burst;
        int timeout_ms; /* per call except watches; 0: 30000 */
        /* The text of each Warning header of an answer, in order; on the loop. NULL: they are dropped. */
        void (*on_warning)(const char *text, void *arg);
        void *warning_arg;
};

/* The loop drives all I/O and must outlive the client. */
int kc_rest_new(struct kc_loop *loop, const struct kc_client_config *config, const struct kc_rest_opts *o,
    struct kc_rest **ret, struct kc_error *err);

/* Where a client's bearer tokens come from. */
struct kc_token_source {
        /* On a worker thread, one at a time: a new token (heap) and how long it may be used (usec; 0: for ever). It is
         * asked for before the first request, when that time is over, and after a 401. */
        int (*fetch)(void *arg, char **ret_token, int64_t *ret_lifetime, struct kc_error *err);
        void (*free)(void *arg); /* NULL: nothing to free */
        void *arg;
};
/* A client that shares base's connections and ends with it, but has these tokens in place of base's credentials. base
 * must have no client certificate, which would be who it is to the server. For blocking calls, not for streams. */
struct kc_rest *kc_rest_new_with_tokens(struct kc_rest *base, const struct kc_token_source *take_source);

/* On the loop, or after it has stopped. Calls under way fail with -ECANCELED. */
void kc_rest_free(struct kc_rest *r);
KC_DEFINE_CLEANUP(struct kc_rest *, kc_rest_free)
/* On the loop, or after it has stopped: calls under way fail with -ECANCELED, and so does every later one; streams end.
 * The client stays valid until kc_rest_free. A daemon ends in this order: loop stops, kc_rest_close, kc_pool_free
 * (whose workers would wait for the loop for ever otherwise), controllers and informers, kc_rest_free, kc_loop_free. */
void kc_rest_close(struct kc_rest *r);
/* A client certificate in files was renewed: new calls go over new connections, which show it. On the loop. */
void kc_rest_reconnect(struct kc_rest *r);
struct kc_loop *kc_rest_loop(struct kc_rest *r);

/* --- Blocking calls: worker threads only, never the loop's. ns NULL or "" for cluster scope (or all namespaces in
 * lists). ret may be NULL. Trees returned are the caller's. Errors are the server's Status (kc_error_is(err,
 * KC_REASON_...)), or transport errors with code 0. 429 and 503 with Retry-After are retried as client-go does, at most
 * 10 times. */
int kc_rest_get(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const char *name, struct json_object **ret,
    struct kc_error *err);
/* query: "labelSelector=...&limit=500", already escaped, or NULL. */
int kc_rest_list(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const char *query, struct json_object **ret,
    struct kc_error *err);
int kc_rest_create(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const struct json_object *obj,
    struct json_object **ret, struct kc_error *err);
/* subresource NULL or "status", "scale", ... ; the name is obj's. */
int kc_rest_update(struct kc_rest *r, const struct kc_gvr *g, const char *subresource, const struct json_object *obj,
    struct json_object **ret, struct kc_error *err);
#define KC_PATCH_JSON "application/json-patch+json"
#define KC_PATCH_MERGE "application/merge-patch+json"
#define KC_PATCH_STRATEGIC "application/strategic-merge-patch+json"
#define KC_PATCH_APPLY "application/apply-patch+yaml"
int kc_rest_patch(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const char *name, const char *subresource,
    const char *content_type, const struct json_object *patch, struct json_object **ret, struct kc_error *err);
struct kc_delete_opts {
        int64_t grace_period_seconds; /* -1: the object's default */
        const char *propagation;      /* "Foreground", "Background", "Orphan" or NULL */
        const char *precondition_uid, *precondition_resource_version;
        bool dry_run;
};
/* opts NULL: server defaults. */
int kc_rest_delete(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const char *name,
    const struct kc_delete_opts *opts, struct json_object **ret, struct kc_error *err);
/* POST to a subresource: binding, eviction, token. */
int kc_rest_create_sub(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const char *name,
    const char *subresource, const struct json_object *obj, struct json_object **ret, struct kc_error *err);
/* Any request: path with query below the server's URL; body and content_type may be NULL. *ret gets the response's
 * bytes; non-2xx is an error. */
int kc_rest_raw(struct kc_rest *r, const char *method, const char *path, const char *content_type, const char *accept,
    struct kc_bytes *body, struct kc_bytes **ret, struct kc_error *err);

/* Any request with JSON both ways: path may have a query. body may be NULL; content_type is the body's. */
int kc_rest_call(struct kc_rest *r, const char *method, const char *path, const char *content_type,
    const struct json_object *body, struct json_object **ret, struct kc_error *err);

/* "/api/v1/namespaces/x/pods/y/status"; ns, name, sub NULL as needed. Heap. */
char *kc_gvr_path(const struct kc_gvr *g, const char *ns, const char *name, const char *subresource);
/* "v1", "apps/v1": the apiVersion of its objects. Heap. */
char *kc_gvr_api_version(const struct kc_gvr *g);

/* --- Streams, for informers and kubectl -w: lines of the response, on the loop. Any thread may start. */
struct kc_rest_stream_cbs {
        void (*on_open)(int code, void *arg);
        void (*on_data)(const char *data, size_t len, void *arg);
        void (*on_end)(const struct kc_error *err, void *arg); /* last; err without errnum: a clean end */
};
struct kc_http_call;
int kc_rest_stream(struct kc_rest *r, const char *path, const char *accept, const struct kc_rest_stream_cbs *cbs,
    void *arg, struct kc_http_call **ret_call, struct kc_error *err);

/* --- Upgraded requests: exec, attach, port-forward. */
struct kc_rest_upgrade_cbs {
        /* 101: the stream has to be taken here (kc_http_call_take_stream). */
        void (*on_open)(struct kc_http_call *call, void *arg);
        /* Another answer (code, and the error it means: a Status, or "unable to upgrade connection: ...") or none (code
         * 0). The last call. */
        void (*on_fail)(int code, const struct kc_error *err, void *arg);
};
/* headers: strv of alternating name, value, beside those of the client. Exactly one of the callbacks comes, on the
 * loop. Any thread. *ret_call (may be NULL) is valid until it has returned. timeout_ms: until the answer; 0: none. */
int kc_rest_upgrade(struct kc_rest *r, const char *method, const char *path, char *const *headers,
    const struct kc_rest_upgrade_cbs *cbs, void *arg, int timeout_ms, struct kc_http_call **ret_call,
    struct kc_error *err);
/* What identifies the client, for requests that are made past it: strv of alternating name, value (Authorization,
 * Impersonate-*). Heap, may be NULL. On the loop. */
char **kc_rest_identity(struct kc_rest *r);

/* The apiserver's inside, shared by the sources of this part. */
#pragma once

#include <stdatomic.h>

#include "admission/admission.h"
#include "audit/record.h"
#include "auth/authn.h"
#include "auth/authz.h"
#include "auth/satoken.h"
#include "base/list.h"
#include "bootstrap/bootstrap.h"
#include "daemon/health.h"
#include "encryption/encryption.h"
#include "event/worker.h"
#include "flowcontrol/flowcontrol.h"
#include "http/server.h"
#include "registry/registry.h"
#include "registry/strategy.h"
#include "resources/resources.h"
#include "server/documents.h"
#include "server/request.h"
#include "server/server.h"
#include "server/swagger_ui.h"
#include "storage/cache.h"
#include "storage/compactor.h"
#include "storage/store.h"

enum {
        API_MAX_BODY = 3 << 20,          /* upstream's MaxRequestBodyBytes */
        API_MAX_PROXIED_BODY = 64 << 20, /* of requests that are passed on: they are kept until they are whole */
        API_GZIP_MIN = 128 << 10,        /* smaller answers are not compressed */
        API_WORKERS_PER_CORE = 16,       /* they wait for etcd most of the time */
        API_WORKERS_MIN = 32,
        API_QUEUE = 4096, /* requests waiting for a worker */
        API_SIDE_WORKERS = 4,
        API_STAGE_WORKERS = 64, /* they wait for webhooks */
        API_MAX_LOOPS = 64,
};

/* How long results of tokens are remembered. */
#define API_TOKEN_TTL (10 * KC_SEC)

struct kc_apiserver {
        const struct kc_apiserver_options *o;
        struct kc_loop *loops[API_MAX_LOOPS]; /* 0: the main one */
        size_t n_loops, n_started;
        struct kc_loop *store_loop;
        bool store_loop_started;
        struct kc_store *store;
        struct kc_encryption_reload *encryption_reload; /* NULL: none */
        struct kc_cache *cache;
        struct kc_compactor *compactor;
        struct kc_resources *resources;
        struct kc_authn_front_proxy front_proxy; /* borrows from the options */
        struct kc_authn *authn;
        struct kc_authz *authz;
        struct kc_satoken *satoken;
        struct kc_audit *audit; /* NULL: nothing is recorded */
        struct kc_admission *admission;
        struct kc_registry *registry;
        struct kc_bootstrap *bootstrap;
        struct kc_flow *flow; /* NULL: --enable-priority-and-fairness=false */
        struct flow_config *flow_config;
        struct kc_pool *pool;       /* what reads and writes the store */
        struct kc_pool *side_pool;  /* health and discovery */
        struct kc_pool *authn_pool; /* authentication that has to wait for others */
        struct kc_pool *authz_pool; /* authorization and impersonation that have to */
        struct kc_tls_server *tls;
        struct kc_http_server *http;
        struct kc_tls_client *kubelet_tls;            /* verifies kubelets, with our client certificate */
        struct kc_tls_client *kubelet_unverified_tls; /* for logs whose reader does not mind */
        struct kc_tls_client *proxy_tls;              /* pods and Services by https: not verified, as upstream */
        struct kc_list tunnels[API_MAX_LOOPS];        /* connections of connect.c; each on its loop */
        struct kc_health *health;
        struct documents *documents;
        struct swagger_ui *swagger_ui; /* NULL: not served */
        struct hook_check *hook_checks;
        struct kc_timer *shutdown_timer;
        bool draining, leaving; /* steps of the shutdown; on the first loop */
        atomic_bool cache_stopped;
        atomic_int inflight_readonly, inflight_mutating;
        atomic_int health_store_errnum; /* of the last look at etcd; 0: well */
        atomic_int health_kms_errnum;   /* of the last look at the KMS plugins; 0: well */
        atomic_bool stopping;
};

/* --- server.c. On the request's loop: a request has ended, which a shutdown may wait for. */
void server_request_ended(struct kc_apiserver *s);

/* --- pipeline.c: the stages, and what runs them */

enum stage_result {
        STAGE_NEXT,
        STAGE_ANSWERED,
        STAGE_WAITING, /* pipeline_resume goes on */
};
void pipeline_on_headers(struct kc_http_req *http, void *server);
void pipeline_on_request(struct kc_http_req *http, void *server);
void pipeline_on_too_large(struct kc_http_req *http, void *server);
enum stage_result stage_request_info(struct api_req *q);
enum stage_result stage_authenticate(struct api_req *q);
enum stage_result stage_impersonate(struct api_req *q);
enum stage_result stage_limit(struct api_req *q);
enum stage_result stage_authorize(struct api_req *q);
enum stage_result stage_audit(struct api_req *q);
/* --- aside.c: what a stage does on another thread. */
struct stage_work {
        void (*work)(void *arg); /* on the pool, unless the request is over; must not touch q */
        enum stage_result (*done)(struct api_req *q, void *arg); /* on the loop, unless the request is over */
        void (*free)(void *arg);                                 /* on the loop, in any case */
        void *arg;
};
/* The stage's result is that of done; pool is authn_pool or authz_pool. Takes arg, also on failure (answered with 429).
 */
enum stage_result stage_aside(struct api_req *q, struct kc_pool *pool, const struct stage_work *work);
/* What is asked for, as authorizers and the audit policy look at it. Borrows from q. */
struct kc_authz_attrs request_attrs(const struct api_req *q);

/* --- audit_stage.c */
void audit_unauthenticated(struct api_req *q);
/* The headers of an answer that streams are out. */
void audit_response_started(struct api_req *q, int code);
/* The last event; the request is about to be freed. */
void audit_done(struct api_req *q);
/* Gives back what stage_limit took. On the request's loop. */
void stage_limit_release(struct api_req *q);
/* On the request's loop: what a stage waited for is there. */
void pipeline_resume(struct api_req *q);
/* The handler, when the body is in. */
void dispatch(struct api_req *q);

/* --- legacy_token.c. For kc_authn_opts. */
void legacy_token_used(const char *ns, const char *secret, const char *uid, const char *today, void *server);

/* --- fairness.c: seats of priority and fairness, which a request has while somebody holds them. Any thread. */
void fairness_hold(struct api_req *q);
void fairness_drop(struct api_req *q);
/* On the request's loop: a watch has told what there was; what comes now costs no seats. */
void fairness_watch_started(struct api_req *q);
void fairness_add_headers(const struct api_req *q, char ***headers);

/* --- flow_config.c: the FlowSchemas and priority levels of the API, followed. On the first loop. */
struct flow_config;
extern const char *const flow_hooks[]; /* names for /readyz; NULL-terminated */
struct flow_config *flow_config_new(struct kc_apiserver *s);
void flow_config_start(struct flow_config *c);
/* They have been read once. Any thread. */
bool flow_config_synced(const struct flow_config *c);
/* Before the loop is freed, and after it. */
void flow_config_stop(struct flow_config *c);
void flow_config_free(struct flow_config *c);

/* --- Handlers: on the request's loop, answer now or later. */
bool nonresource_handle(struct api_req *q); /* false: no such path */
void handle_get(struct api_req *q);
void handle_list(struct api_req *q);
void handle_watch(struct api_req *q);
void handle_create(struct api_req *q);
void handle_update(struct api_req *q);
void handle_patch(struct api_req *q);
void handle_delete(struct api_req *q);
void handle_delete_collection(struct api_req *q);
void handle_subresource(struct api_req *q); /* of other kinds than the resource's: scale, binding, eviction, token */
void handle_log(struct api_req *q);
void handle_connect(struct api_req *q); /* exec, attach, portforward */
void handle_proxy(struct api_req *q);   /* .../proxy of pods, services and nodes */
void handle_review(struct api_req *q);
void handle_components(struct api_req *q); /* componentstatuses */
void handle_bindings(struct api_req *q);   /* POST .../bindings */

/* --- connect.c */
struct backend;
/* An upgrade that .../proxy asks for: goes through to the backend as it is. Worker threads. */
void connect_proxied(struct api_req *q, struct backend *take_backend, const char *target);
/* The server's list for the loop of a request; on that loop. */
struct kc_list *server_tunnels(struct api_req *q);
/* Ends the connection of that node of the list. */
void connect_cancel(struct kc_list *node);

/* --- write_options.c, write.c: what handlers of writes share. Worker threads. */

/* The options of a write: query parameters, checked. */
struct write_options {
        enum { VALIDATE_WARN, VALIDATE_IGNORE, VALIDATE_STRICT } field_validation;
        struct json_object *options; /* CreateOptions, UpdateOptions, PatchOptions */
        char *manager;               /* fieldManager, or what the User-Agent begins with */
        bool force;                  /* of an apply */
};
int write_options_parse(struct api_req *q, const char *kind, struct write_options *ret, struct kc_error *err);
void write_options_done(struct write_options *w);
/* w NULL: what is done is not the client's in managedFields. */
void write_ctx_init(struct api_req *q, const struct write_options *w, struct kc_registry_ctx *ret);
/* rest.EnsureObjectNamespaceMatchesRequestNamespace, and checkName of upstream's handlers: 400. */
int write_settle_namespace(const char *ns, struct json_object *obj, struct kc_error *err);
int write_check_name(const struct kc_registry_ctx *c, const struct json_object *obj, struct kc_error *err);
/* May the request's user create what it wants to update? 403. For kc_registry_update_opts, with the request. */
int write_may_create(const struct kc_registry_ctx *c, void *request, struct kc_error *err);

/* --- decode.c. Worker threads. */

/* What a body is to be. */
struct decode_target {
        const struct kc_type *type;
        const char *group, *version, *kind;
        const struct kc_resource *row; /* for defaults that need more than the schema; NULL: none */
};
void decode_target_of(const struct api_req *q, struct decode_target *ret);
/* The request's body, checked, defaulted; not yet in the storage version. Adds warnings. */
int decode_body(struct api_req *q, const struct decode_target *t, int field_validation, struct json_object **ret,
    struct kc_error *err);
/* The same for a tree that we made (a patched object); label of duplicates is not asked for. */
int decode_tree(struct api_req *q, const struct decode_target *t, int field_validation, struct json_object *tree,
    struct kc_error *err);

/* The body as a tree, neither checked nor defaulted; t is for messages. */
int decode_untyped(struct api_req *q, const struct decode_target *t, struct json_object **ret, struct kc_error *err);

/* --- convert.c: versions of one resource. Pure. */

/* The tree in row's version becomes one in the storage version, and back. In place. */
void convert_to_storage(const struct kc_resource *row, struct json_object *tree);
void convert_from_storage(const struct kc_resource *row, struct json_object *tree);
bool convert_needed(const struct kc_resource *row);
/* The storage version's name of a selectable field; the name itself where they are the same. */
const char *convert_field(const struct kc_resource *row, const char *field);

/* --- table.c: Tables and PartialObjectMetadata, in the version that was negotiated. Pure. */

/* includeObject of a Table: "Metadata" (default), "None" or "Object"; 400 for another. *ret (heap) may be NULL. */
int table_include(const struct api_req *q, char **ret, struct kc_error *err);
struct json_object *table_new(const struct api_req *q);
struct json_object *table_row(const struct api_req *q, const struct json_object *obj, const char *include, kc_time now);
struct json_object *partial_of(const struct media *m, const struct json_object *obj);
struct json_object *partial_list_new(const struct media *m);
/* The tree in the version and form that is asked for. Takes the tree. 406: a form that is not one of single objects. */
int transform_object(struct api_req *q, struct json_object *take_tree, struct json_object **ret, struct kc_error *err);
/* 406: the form is not one of lists. */
int transform_check_list(const struct api_req *q, struct kc_error *err);

/* --- proto.c: answers in protobuf. Pure. */

/* The type has an encoding. */
bool proto_has(const struct kc_type *type);
/* Appends the message, without envelope, of a tree that this request answers with: an object or list of its resource or
 * subresource, a PartialObjectMetadata(List), a Status or another kind of meta/v1. */
int proto_message(const struct api_req *q, const struct json_object *tree, struct kc_buf *out, struct kc_error *err);
/* The same, in its envelope. */
int proto_write(const struct api_req *q, const struct json_object *tree, struct kc_buf *out, struct kc_error *err);
/* A frame of a watch: length, WatchEvent. */
enum { PROTO_FRAME_HEAD = 4 };
int proto_watch_frame(const struct api_req *q, const char *type, const struct json_object *tree, struct kc_bytes **ret,
    struct kc_error *err);

/* --- stream.c: answers without a known length, piece by piece as the peer reads. */

struct piece_source {
        /* Appends some 64 KiB to out; true: that was the last. On the request's loop. */
        bool (*next)(void *arg, struct kc_buf *out);
        void (*free)(void *arg);
        void *arg;
};
/* Starts the answer, compressed if the peer likes that. Any thread; takes the source, also when the request has been
 * answered meanwhile. */
void stream_reply(struct api_req *q, struct piece_source take_source);

/* --- warnings.c. Appends a Warning header (name, value) for each text, as upstream limits them: each once; when they
 * are more than 4,096 characters in all, each is cut at 256. */
void warnings_add_headers(char *const *texts, char ***headers);

/* --- compress.c */
bool compress_wanted(const struct api_req *q);
struct kc_bytes *compress_bytes(const void *data, size_t len);
struct compressor;
struct compressor *compressor_new(void);
/* Appends what has become of data to out; last: the end. */
void compressor_add(struct compressor *c, const void *data, size_t len, bool last, struct kc_buf *out);
void compressor_free(struct compressor *c);

/* --- metrics.c */
void metrics_init(struct kc_apiserver *s);
/* Upper case, as the API speaks of it: "GET", "LIST", "WATCH", ... */
const char *metrics_verb(const struct api_req *q);
void metrics_request_done(struct api_req *q);
void metrics_deprecated(const struct api_req *q);
void metrics_long_running(struct api_req *q, int delta);
void metrics_watch_event(const struct kc_resource *row, size_t bytes);

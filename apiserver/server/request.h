/* One request on its way through the pipeline, and what stages and handlers do with it.
 *
 *   kc_http_req --owns--> api_req { info (what the path says), row and stored (which resource), user, media, warnings }
 *
 * A request belongs to its HTTP exchange and lives as long. Stages run on the exchange's loop; a handler may go on on a
 * worker (api_req_run_blocking) and answers from there. Only one thread works on a request at a time, but for the
 * timeout, which only answers. */
#pragma once

#include <stdatomic.h>

#include "api/schema.h"
#include "api/status.h"
#include "auth/user.h"
#include "base/clock.h"
#include "base/rand.h"
#include "http/server.h"
#include "resources/resources.h"

struct kc_apiserver;
struct kc_object;
struct kc_audit_record;

/* request.RequestInfo of upstream. "" instead of absent. */
struct req_info {
        bool is_resource;
        char *path;       /* decoded */
        const char *verb; /* static: "get", "list", "watch", "create", ... or the lower-case method */
        char *group, *version, *ns, *resource, *subresource, *name;
        char **parts;          /* from the resource on (or the special verb's rest) */
        bool is_own_namespace; /* the path is the namespace's own: ns is what it is about, and no scope */
};
/* 0, or -EINVAL for an undecodable path. */
int req_info_parse(const char *method, const char *path, const char *query, struct req_info *ret);
void req_info_done(struct req_info *i);

enum media_type { MEDIA_JSON, MEDIA_YAML, MEDIA_PROTOBUF }; /* in the order in which a wildcard takes them */
enum media_as { AS_ITSELF, AS_TABLE, AS_PARTIAL, AS_PARTIAL_LIST };

/* How the answer is to be encoded. */
struct media {
        enum media_type type;
        enum media_as as;
        bool beta; /* as: of meta.k8s.io/v1beta1 */
        bool pretty;
};

struct api_req {
        struct kc_apiserver *server;
        struct kc_http_req *http; /* owner */
        struct req_info info;
        const struct kc_resource *row;    /* NULL: not a resource that is served */
        const struct kc_subresource *sub; /* NULL: none */
        const struct kc_stored *stored;   /* NULL: virtual */
        struct kc_user *user;
        struct media media;
        char **warnings;
        char **annotations; /* of authentication, for the audit: alternating key, value */
        char audit_id[KC_UUID_LEN];
        struct kc_audit_record *audit; /* NULL: nothing is recorded of it */
        kc_mono started;
        kc_time received;
        bool mutating, long_running, inflight, dry_run;
        atomic_int code;
        atomic_size_t response_size;
        struct kc_timer *timeout;
        size_t stage;           /* of the pipeline, the next one */
        bool waiting, complete; /* for a turn; the body is in */
        struct kc_flow_ticket *ticket;
        struct kc_timer *turn_timer;
        atomic_int seat_holders;
        bool seats_returned; /* by the exchange */
        void (*job)(struct api_req *q);
        /* A streamed answer's: called on the loop when the exchange is over. */
        void (*on_closed)(void *arg);
        void *on_closed_arg;
};

struct api_req *api_req_of(struct kc_http_req *http);

/* A request that takes longer, from its first byte on, than --request-timeout (or its own ?timeout=, if shorter) is
 * answered with 504. On the request's loop. */
void api_req_limit_time(struct api_req *q);
int64_t api_req_time_limit(const struct api_req *q); /* usec */
/* The answer has begun to stream: it may take its time. */
void api_req_unlimit_time(struct api_req *q);
/* fn(q) on a worker thread, within the time limit; 429 when there are too many waiting. The request is kept until fn
 * has returned. */
void api_req_run_blocking(struct api_req *q, void (*fn)(struct api_req *q));
/* The same on threads that no write occupies: for health and discovery, which answer while etcd does not. */
void api_req_run_aside(struct api_req *q, void (*fn)(struct api_req *q));

/* Decoded query parameter; NULL when absent. Heap. */
char *api_req_param(const struct api_req *q, const char *name);
/* kc_query_bool of the request's query. */
bool api_req_param_bool(const struct api_req *q, const char *name, bool def);

/* --- Answers; any thread. */
void api_reply_bytes(struct api_req *q, int code, const char *content_type, struct kc_bytes *body);
void api_reply_raw(struct api_req *q, int code, char *const *headers, struct kc_bytes *body);
void api_reply_text(struct api_req *q, int code, const char *text);
/* Encodes as negotiated. */
void api_reply_json(struct api_req *q, int code, const struct json_object *tree);
void api_reply_error(struct api_req *q, const struct kc_error *err);
/* The same with a metadata.continue: 410 Expired of a continued list tells how to go on. NULL: none. */
void api_reply_error_continue(struct api_req *q, const struct kc_error *err, const char *continue_token);
/* In the version that was asked for, as negotiated (Table, PartialObjectMetadata ...). */
void api_reply_object(struct api_req *q, int code, const struct kc_object *obj);
/* A backend's answer as it came, but for the headers that are the connection's own. */
void api_reply_relayed(struct api_req *q, int code, char *const *headers, struct kc_bytes *body);
void api_reply_not_found_page(struct api_req *q); /* "404 page not found" */
/* Headers that every answer has (strv of name, value), for streamed ones. Heap. */
char **api_reply_headers(struct api_req *q, const char *content_type);
const char *media_content_type(const struct media *m);
/* --- Negotiation. 406 if nothing fits. media_default: for answers before it. Resources (q->row) have forms (as=Table),
 * other endpoints have not. */
void media_default(struct api_req *q);
int media_negotiate(struct api_req *q, struct kc_error *err);
/* 406 if what was negotiated cannot be streamed. */
int media_check_stream(const struct api_req *q, struct kc_error *err);
/* How a Status is to be encoded, also before or without negotiation. */
struct media media_of_status(const struct api_req *q);
/* Accept header names that group, version and kind: "application/json;g=..;v=..;as=..". */
bool media_accepts_as(const char *accept, const char *group, const char *version, const char *as);

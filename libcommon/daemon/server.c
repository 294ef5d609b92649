/* The secure health and metrics server of the daemons. Requests are answered on the loop; whether somebody may see
 * /metrics is asked of the API server on the pool. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/status.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "daemon/daemon.h"
#include "http/server.h"
#include "tls/tls.h"

enum { MAX_DECISIONS = 1000 };
/* Upstream's cache TTLs of delegated authentication and authorization. */
#define DECISION_TTL (10 * KC_SEC)

struct decision {
        bool allowed;
        char *user;
        kc_mono until;
};

struct kc_daemon_server {
        atomic_int refs; /* the owner's, one for each authorization under way */
        struct kc_http_server *http;
        struct kc_tls_server *tls;
        char *temporary_dir; /* of a certificate of our own; NULL: none */
        struct kc_rest *authentication, *authorization;
        char **always_allow_paths;
        struct kc_pool *pool;
        struct kc_health *health;
        bool plain;
        bool closed; /* freed by its owner; on the loop */
        pthread_mutex_t lock;
        struct kc_map *decisions; /* guarded by lock: credential -> struct decision */
};

/* One request that waits for its authorization. */
struct job {
        struct kc_daemon_server *server;
        struct kc_http_req *req;
        char *user; /* for the refusal */
        bool allowed;
        struct kc_error err;
};

static void decision_free(void *p)
{
        struct decision *d = p;
        kc_free(d->user);
        kc_free(d);
}

static void unref(struct kc_daemon_server *s)
{
        if (atomic_fetch_sub(&s->refs, 1) != 1)
                return;
        kc_map_free(s->decisions);
        kc_strv_free(s->always_allow_paths);
        pthread_mutex_destroy(&s->lock);
        kc_free(s);
}

/* --- answers */

static void reply_error(struct kc_http_req *req, const struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *status = kc_status_from_error(err);
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write(&b, status);
        kc_buf_addc(&b, '\n');
        struct kc_bytes *body = kc_bytes_from_buf(&b);
        char *const headers[] = {(char *)"Content-Type", (char *)"application/json", NULL};
        kc_http_reply(req, err->code ? err->code : 500, headers, body);
        kc_bytes_unref(body);
}

static void reply_not_found(struct kc_http_req *req)
{
        static const char text[] = "404 page not found\n";
        struct kc_bytes *body = kc_bytes_new(text, sizeof(text) - 1);
        char *const headers[] = {(char *)"Content-Type", (char *)"text/plain; charset=utf-8",
            (char *)"X-Content-Type-Options", (char *)"nosniff", NULL};
        kc_http_reply(req, 404, headers, body);
        kc_bytes_unref(body);
}

static void serve(struct kc_daemon_server *s, struct kc_http_req *req)
{
        if (!kc_health_handle(s->health, req))
                reply_not_found(req);
}

/* --- authorization, on the pool */

static const char *bearer_token(const struct kc_http_req *req)
{
        const char *header = kc_http_req_header(req, "Authorization");
        if (!header || strncasecmp(header, "Bearer ", strlen("Bearer ")) != 0)
                return NULL;
        return header + strlen("Bearer ");
}

/* The connection may be older than its certificate's end. */
static const struct kc_tls_peer *valid_peer(const struct kc_http_req *req)
{
        const struct kc_tls_peer *peer = kc_http_req_peer(req);
        return peer && peer->not_after > kc_clock_now(NULL) ? peer : NULL;
}

/* What the decision is remembered under: no token is kept as it is. */
static char *credential_key(const struct kc_http_req *req)
{
        const struct kc_tls_peer *peer = valid_peer(req);
        const char *token = bearer_token(req);
        if (peer)
                return kc_asprintf("cert %s %s", peer->fingerprint, kc_http_req_path(req));
        if (token) {
                unsigned char digest[32];
                kc_sha256(token, strlen(token), digest);
                KC_CLEANUP(kc_freep) char *hex = kc_hex_encode(digest, sizeof(digest));
                return kc_asprintf("token %s %s", hex, kc_http_req_path(req));
        }
        return kc_asprintf("anonymous %s", kc_http_req_path(req));
}

static bool recall(struct kc_daemon_server *s, struct job *j, const char *key)
{
        pthread_mutex_lock(&s->lock);
        const struct decision *d = kc_map_get(s->decisions, key);
        bool known = d && d->until > kc_clock_mono(NULL);
        if (known) {
                j->allowed = d->allowed;
                kc_str_set(&j->user, d->user);
        }
        pthread_mutex_unlock(&s->lock);
        return known;
}

static void remember(struct kc_daemon_server *s, const struct job *j, const char *key)
{
        struct decision *d = KC_NEW(struct decision);
        d->allowed = j->allowed;
        d->user = kc_strdup(j->user);
        d->until = kc_clock_mono(NULL) + DECISION_TTL;
        pthread_mutex_lock(&s->lock);
        if (kc_map_len(s->decisions) >= MAX_DECISIONS)
                kc_map_clear(s->decisions);
        (void)kc_map_set(s->decisions, key, d);
        pthread_mutex_unlock(&s->lock);
}

/* *ret: {"user":...,"groups":[...]} of the request; -EPERM when its token is not good. */
static int identify(
    struct kc_daemon_server *s, const struct kc_http_req *req, struct json_object **ret, struct kc_error *err)
{
        const struct kc_tls_peer *peer = valid_peer(req);
        const char *token = bearer_token(req);
        struct json_object *who = json_object_new_object();
        struct json_object *groups = kc_json_ensure_arr(who, "groups");
        if (peer) {
                kc_json_set_str(who, "user", peer->common_name);
                for (char **g = peer->organizations; g && *g; g++)
                        kc_json_push_str(groups, *g);
                kc_json_push_str(groups, "system:authenticated");
        } else if (token) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *review = kc_json_build(
                    "{'kind':'TokenReview','apiVersion':'authentication.k8s.io/v1','spec':{'token':%s}}", token);
                KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
                int e = kc_rest_create(s->authentication, &KC_TOKENREVIEWS, NULL, review, &answer, err);
                if (e >= 0 && !kc_json_bool_at(answer, "status.authenticated", false))
                        e = kc_err_unauthorized(err);
                if (e < 0) {
                        kc_json_free(who);
                        return e;
                }
                const struct json_object *user = kc_json_at(answer, "status.user");
                kc_json_set_str(who, "user", kc_json_str(user, "username"));
                kc_json_set_str(who, "uid", kc_json_str(user, "uid"));
                kc_json_set(who, "groups", kc_json_copy(kc_json_get(user, "groups")));
        } else {
                kc_json_set_str(who, "user", "system:anonymous");
                kc_json_push_str(groups, "system:unauthenticated");
        }
        *ret = who;
        return 0;
}

static bool has_group(const struct json_object *who, const char *group)
{
        const struct json_object *groups = kc_json_get(who, "groups");
        for (size_t i = 0; i < kc_json_len(groups); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(groups, i)), group))
                        return true;
        return false;
}

static int authorize(struct kc_daemon_server *s, struct job *j, struct kc_error *err)
{
        struct json_object *who = NULL;
        int e = identify(s, j->req, &who, err);
        if (e < 0)
                return e;
        kc_str_set(&j->user, kc_json_str(who, "user"));
        if (has_group(who, "system:masters")) {
                j->allowed = true;
                kc_json_free(who);
                return 0;
        }
        kc_json_set(who, "nonResourceAttributes", kc_json_build("{'path':%s,'verb':'get'}", kc_http_req_path(j->req)));
        KC_CLEANUP(kc_json_freep)
        struct json_object *review =
            kc_json_build("{'kind':'SubjectAccessReview','apiVersion':'authorization.k8s.io/v1','spec':%o}", who);
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        e = kc_rest_create(s->authorization, &KC_SUBJECTACCESSREVIEWS, NULL, review, &answer, err);
        if (e >= 0)
                j->allowed = kc_json_bool_at(answer, "status.allowed", false);
        return e;
}

/* On the request's loop. */
static void conclude(void *arg)
{
        struct job *j = arg;
        if (j->server->closed) {
                /* The request went with the HTTP server. */
        } else if (j->err.errnum == 0 && j->allowed) {
                serve(j->server, j->req);
        } else {
                if (j->err.errnum == 0)
                        (void)kc_error_set_api(&j->err, 403, KC_REASON_FORBIDDEN,
                            "forbidden: User \"%s\" cannot get path \"%s\"", j->user ? j->user : "",
                            kc_http_req_path(j->req));
                else if (j->err.code != 401)
                        kc_log_error(&j->err, "Cannot authorize a request", "path", kc_http_req_path(j->req));
                reply_error(j->req, &j->err);
        }
        kc_error_done(&j->err);
        kc_http_req_unref(j->req);
        unref(j->server);
        kc_free(j->user);
        kc_free(j);
}

static void authorize_task(void *arg)
{
        struct job *j = arg;
        KC_CLEANUP(kc_freep) char *key = credential_key(j->req);
        if (!recall(j->server, j, key) && authorize(j->server, j, &j->err) >= 0)
                remember(j->server, j, key);
        kc_loop_post(kc_http_req_loop(j->req), conclude, j);
}

static bool always_allowed(const struct kc_daemon_server *s, const char *path)
{
        for (char *const *p = s->always_allow_paths; *p; p++) {
                size_t len = strlen(*p);
                bool below = len && (*p)[len - 1] == '*';
                if (below ? strncmp(path, *p, len - 1) == 0 : kc_streq(path, *p))
                        return true;
        }
        return false;
}

static void on_request(struct kc_http_req *req, void *arg)
{
        struct kc_daemon_server *s = arg;
        if (!s->authorization || s->plain || always_allowed(s, kc_http_req_path(req))) {
                serve(s, req);
                return;
        }
        struct job *j = KC_NEW(struct job);
        j->server = s;
        j->req = kc_http_req_ref(req);
        atomic_fetch_add(&s->refs, 1);
        if (kc_pool_submit(s->pool, authorize_task, j) < 0) {
                (void)kc_err_too_many_requests(&j->err, "too many requests, please try again later", 1);
                conclude(j);
        }
}

/* --- life */

/* A certificate of our own: found in cert_dir, or made. */
static int make_certificate(
    struct kc_daemon_server *s, const char *cert_dir, char **ret_cert, char **ret_key, struct kc_error *err)
{
        char temporary[] = "/tmp/kubec-serving-XXXXXX";
        const char *dir = cert_dir;
        int r = 0;
        if (kc_str_empty(cert_dir)) {
                if (!mkdtemp(temporary))
                        return kc_error_set(err, errno, "cannot make a directory in /tmp: %s", strerror(errno));
                s->temporary_dir = kc_strdup(temporary);
                dir = temporary;
        } else {
                r = kc_mkdir_p(cert_dir, 0700, err);
        }
        if (r < 0)
                return r;
        KC_CLEANUP(kc_freep) char *cert = kc_asprintf("%s/%s.crt", dir, program_invocation_short_name);
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s.key", dir, program_invocation_short_name);
        if (!kc_path_exists(cert) || !kc_path_exists(key)) {
                char host[256] = "localhost";
                (void)gethostname(host, sizeof(host) - 1); /* else "localhost" it is */
                char *const names[] = {(char *)"localhost", (char *)"127.0.0.1", host, NULL};
                r = kc_tls_self_signed(host, names, cert, key, err);
        }
        if (r < 0)
                return r;
        *ret_cert = KC_TAKE(cert);
        *ret_key = KC_TAKE(key);
        return 0;
}

static int open_tls(struct kc_daemon_server *s, const struct kc_daemon_server_opts *o, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *cert = kc_strdup(o->cert_file);
        KC_CLEANUP(kc_freep) char *key = kc_strdup(o->key_file);
        int r = 0;
        if (kc_str_empty(cert)) {
                kc_free(KC_TAKE(cert));
                kc_free(KC_TAKE(key));
                r = make_certificate(s, o->cert_dir, &cert, &key, err);
        }
        struct kc_tls_server_opts tls = {.cert_file = cert,
            .key_file = key,
            .client_ca_file = kc_str_empty(o->client_ca_file) ? NULL : o->client_ca_file,
            .alpn_h2 = true};
        if (o->tls)
                kc_tls_flags_apply(o->tls, &tls);
        return r < 0 ? r : kc_tls_server_new(&tls, &s->tls, err);
}

static char *const default_paths[] = {
    (char *)(uintptr_t) "/healthz", (char *)(uintptr_t) "/readyz", (char *)(uintptr_t) "/livez", NULL};

int kc_daemon_server_new(
    struct kc_loop *loop, const struct kc_daemon_server_opts *o, struct kc_daemon_server **ret, struct kc_error *err)
{
        if (o->port == 0) {
                *ret = NULL;
                return 0;
        }
        KC_CLEANUP(kc_daemon_server_freep) struct kc_daemon_server *s = KC_NEW(struct kc_daemon_server);
        atomic_init(&s->refs, 1);
        pthread_mutex_init(&s->lock, NULL);
        s->decisions = kc_map_new(decision_free);
        s->authentication = o->authentication;
        s->authorization = o->authorization;
        s->always_allow_paths =
            kc_strv_copy(kc_strv_len(o->always_allow_paths) ? o->always_allow_paths : default_paths);
        s->pool = o->pool;
        s->health = o->health;
        s->plain = o->plain_http;
        int r = o->plain_http ? 0 : open_tls(s, o, err);
        if (r < 0)
                return kc_error_wrap(err, "secure serving");
        struct kc_loop *const loops[] = {loop};
        struct kc_http_server_opts http = {.loops = loops,
            .n_loops = 1,
            .address = kc_str_empty(o->bind_address) ? "0.0.0.0" : o->bind_address,
            .port = o->port < 0 ? 0 : o->port,
            .tls = s->tls,
            .on_request = on_request,
            .arg = s};
        r = kc_http_server_new(&http, &s->http, err);
        if (r < 0)
                return r;
        kc_log_info(o->plain_http ? "Serving insecurely" : "Serving securely", "address",
            kc_log_fmt("%s:%d", http.address, kc_http_server_port(s->http)));
        *ret = KC_TAKE(s);
        return 0;
}

int kc_daemon_server_port(const struct kc_daemon_server *s)
{
        return kc_http_server_port(s->http);
}

void kc_daemon_server_free(struct kc_daemon_server *s)
{
        if (!s)
                return;
        s->closed = true;
        struct kc_http_server *http = KC_TAKE(s->http);
        kc_http_server_free(http);
        kc_tls_server_free(s->tls);
        s->tls = NULL;
        if (s->temporary_dir)
                (void)kc_rm_rf(s->temporary_dir, NULL); /* of /tmp */
        kc_free(KC_TAKE(s->temporary_dir));
        unref(s);
}

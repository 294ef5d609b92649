/* Who asks, and may they? Client certificate or TokenReview, then SubjectAccessReview of nodes/<subresource>; both
 * remembered for a while. On the pool. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/server/server_internal.h"

#define TOKEN_FAILED_TTL (10 * KC_SEC)

enum { CACHE_MAX = 4096 };

struct known_token {
        struct json_object *who; /* NULL: not good */
        kc_mono until;
};

struct decision {
        bool allowed;
        kc_mono until;
};

static void known_token_free(void *p)
{
        struct known_token *t = p;
        kc_json_free(t->who);
        kc_free(t);
}

void kc_ks_auth_init(struct kc_kubelet_server *s)
{
        s->tokens = kc_map_new(known_token_free);
        s->decisions = kc_map_new(kc_free);
}

void kc_ks_auth_done(struct kc_kubelet_server *s)
{
        kc_map_free(s->tokens);
        kc_map_free(s->decisions);
}

static void make_room(struct kc_map *m)
{
        if (kc_map_len(m) >= CACHE_MAX)
                kc_map_clear(m);
}

/* --- Authentication */

static struct json_object *who_is_peer(const struct kc_tls_peer *peer)
{
        struct json_object *who = json_object_new_object();
        kc_json_set_str(who, "user", peer->common_name ?: "");
        struct json_object *groups = kc_json_ensure_arr(who, "groups");
        for (char **g = peer->organizations; g && *g; g++)
                kc_json_push_str(groups, *g);
        kc_json_push_str(groups, "system:authenticated");
        return who;
}

static const char *bearer_of(const struct kc_http_req *req)
{
        const char *h = kc_http_req_header(req, "Authorization");
        if (!h || strncasecmp(h, "Bearer ", strlen("Bearer ")) != 0)
                return NULL;
        h += strlen("Bearer ");
        h += strspn(h, " ");
        return *h ? h : NULL;
}

/* Returns 1 and *ret (NULL: not good) when known. */
static int recall_token(struct kc_kubelet_server *s, const char *key, struct json_object **ret)
{
        int known = 0;
        pthread_mutex_lock(&s->mutex);
        const struct known_token *t = kc_map_get(s->tokens, key);
        if (t && t->until > kc_clock_mono(NULL)) {
                *ret = t->who ? kc_json_copy(t->who) : NULL;
                known = 1;
        }
        pthread_mutex_unlock(&s->mutex);
        return known;
}

static void remember_token(struct kc_kubelet_server *s, const char *key, const struct json_object *who)
{
        struct known_token *t = KC_NEW(struct known_token);
        t->who = who ? kc_json_copy(who) : NULL;
        t->until = kc_clock_mono(NULL) + (who ? s->o.token_cache_ttl : TOKEN_FAILED_TTL);
        pthread_mutex_lock(&s->mutex);
        make_room(s->tokens);
        (void)kc_map_set(s->tokens, key, t);
        pthread_mutex_unlock(&s->mutex);
}

static struct json_object *who_of_review(const struct json_object *answer)
{
        if (!kc_json_bool_at(answer, "status.authenticated", false))
                return NULL;
        const struct json_object *user = kc_json_at(answer, "status.user");
        struct json_object *who = json_object_new_object();
        kc_json_set_str(who, "user", kc_json_str(user, "username") ?: "");
        kc_json_set_str(who, "uid", kc_json_str(user, "uid"));
        struct json_object *groups =
            kc_json_get(user, "groups") ? kc_json_copy(kc_json_get(user, "groups")) : json_object_new_array();
        bool has = false;
        for (size_t i = 0; i < kc_json_len(groups); i++)
                has |= kc_streq(kc_json_as_str(kc_json_idx(groups, i)), "system:authenticated");
        if (!has)
                kc_json_push_str(groups, "system:authenticated");
        kc_json_set(who, "groups", groups);
        if (kc_json_get(user, "extra"))
                kc_json_set(who, "extra", kc_json_copy(kc_json_get(user, "extra")));
        return who;
}

/* NULL: not good. */
static struct json_object *who_has_token(struct kc_kubelet_server *s, const char *token)
{
        unsigned char digest[32];
        kc_sha256(token, strlen(token), digest);
        KC_CLEANUP(kc_freep) char *key = kc_hex_encode(digest, sizeof(digest));
        struct json_object *who = NULL;
        if (recall_token(s, key, &who))
                return who;
        KC_CLEANUP(kc_json_freep)
        struct json_object *review =
            kc_json_build("{'kind':'TokenReview','apiVersion':'authentication.k8s.io/v1','spec':{'token':%s}}", token);
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (kc_rest_create(s->o.rest, &KC_TOKENREVIEWS, NULL, review, &answer, &err) < 0) {
                kc_log_error(&err, "Unable to authenticate the request due to an error");
                return NULL;
        }
        who = who_of_review(answer);
        remember_token(s, key, who);
        return who;
}

int kc_ks_authenticate(struct kc_ks_request *r)
{
        struct kc_kubelet_server *s = r->s;
        const struct kc_tls_peer *peer = kc_http_req_peer(r->req);
        const char *token = bearer_of(r->req);
        bool failed = kc_http_req_peer_invalid(r->req);
        if (peer) {
                r->who = who_is_peer(peer);
        } else if (token) {
                if (s->o.rest && s->o.authentication_webhook)
                        r->who = who_has_token(s, token);
                failed = !r->who;
        }
        if (!r->who && !failed && s->o.anonymous_auth)
                r->who = kc_json_build("{'user':'system:anonymous','groups':['system:unauthenticated']}");
        if (r->who)
                return 0;
        kc_ks_reply_text(r->req, 401, "Unauthorized");
        return -EPERM;
}

/* --- Authorization */

/* path is base itself or below it. */
static bool is_below(const char *path, const char *base)
{
        size_t n = strlen(base);
        return strncmp(path, base, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

const char *const *kc_ks_subresources(const char *path)
{
        static const struct {
                const char *path;
                const char *const names[3];
        } table[] = {
            {"/stats", {"stats"}},
            {"/metrics", {"metrics"}},
            {"/logs", {"log"}},
            {"/checkpoint", {"checkpoint"}},
            {"/pods", {"pods", "proxy"}},
            {"/runningPods", {"pods", "proxy"}},
            {"/runningpods", {"pods", "proxy"}},
            {"/healthz", {"healthz", "proxy"}},
            {"/configz", {"configz", "proxy"}},
        };
        static const char *const other[] = {"proxy", NULL};
        for (size_t i = 0; i < KC_ARRAY_LEN(table); i++)
                if (is_below(path, table[i].path))
                        return table[i].names;
        return other;
}

static const char *verb_of(const char *method)
{
        static const char *const verbs[][2] = {{"POST", "create"}, {"GET", "get"}, {"HEAD", "get"}, {"PUT", "update"},
            {"PATCH", "patch"}, {"DELETE", "delete"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(verbs); i++)
                if (kc_streq(method, verbs[i][0]))
                        return verbs[i][1];
        return "";
}

static bool is_master(const struct json_object *who)
{
        const struct json_object *groups = kc_json_get(who, "groups");
        for (size_t i = 0; i < kc_json_len(groups); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(groups, i)), "system:masters"))
                        return true;
        return false;
}

static int recall_decision(struct kc_kubelet_server *s, const char *key, bool *ret_allowed)
{
        pthread_mutex_lock(&s->mutex);
        const struct decision *d = kc_map_get(s->decisions, key);
        int known = d && d->until > kc_clock_mono(NULL);
        if (known)
                *ret_allowed = d->allowed;
        pthread_mutex_unlock(&s->mutex);
        return known;
}

static void remember_decision(struct kc_kubelet_server *s, const char *key, bool allowed)
{
        struct decision *d = KC_NEW(struct decision);
        d->allowed = allowed;
        d->until = kc_clock_mono(NULL) + (allowed ? s->o.authorized_cache_ttl : s->o.unauthorized_cache_ttl);
        pthread_mutex_lock(&s->mutex);
        make_room(s->decisions);
        (void)kc_map_set(s->decisions, key, d);
        pthread_mutex_unlock(&s->mutex);
}

static int review(
    struct kc_ks_request *r, const char *verb, const char *subresource, bool *ret_allowed, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *who = kc_json_to_str(r->who);
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s %s %s", verb, subresource, who);
        if (recall_decision(r->s, key, ret_allowed))
                return 0;
        struct json_object *spec = kc_json_copy(r->who);
        kc_json_set(spec, "resourceAttributes",
            kc_json_build("{'verb':%s,'version':'v1','resource':'nodes','subresource':%s,'name':%s}", verb, subresource,
                r->s->node_name));
        KC_CLEANUP(kc_json_freep)
        struct json_object *body =
            kc_json_build("{'kind':'SubjectAccessReview','apiVersion':'authorization.k8s.io/v1','spec':%o}", spec);
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        int e = kc_rest_create(r->s->o.rest, &KC_SUBJECTACCESSREVIEWS, NULL, body, &answer, err);
        if (e < 0)
                return e;
        *ret_allowed = kc_json_bool_at(answer, "status.allowed", false);
        remember_decision(r->s, key, *ret_allowed);
        return 0;
}

int kc_ks_authorize(struct kc_ks_request *r)
{
        if (r->s->o.authorization_always_allow || !r->s->o.rest || is_master(r->who))
                return 0;
        const char *user = kc_json_str(r->who, "user"), *verb = verb_of(kc_http_req_method(r->req));
        const char *const *names = kc_ks_subresources(kc_http_req_path(r->req));
        for (size_t i = 0; names[i]; i++) {
                bool allowed = false;
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                if (review(r, verb, names[i], &allowed, &err) < 0) {
                        KC_CLEANUP(kc_freep)
                        char *text =
                            kc_asprintf("Authorization error (user=%s, verb=%s, resource=nodes, subresource=%s)", user,
                                verb, names[i]);
                        kc_log_error(&err, "Authorization error", "user", user, "verb", verb, "resource", "nodes",
                            "subresource", names[i]);
                        kc_ks_reply_text(r->req, 500, text);
                        return -EIO;
                }
                if (allowed)
                        return 0;
        }
        KC_CLEANUP(kc_freep) char *list = kc_strv_join((char *const *)names, " ");
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf("Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=[%s])", user, verb, list);
        kc_ks_reply_text(r->req, 403, text);
        return -EACCES;
}

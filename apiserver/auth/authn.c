/* Who makes a request: front proxy, client certificate, token, anonymous - in upstream's order, the first that says
 * yes. Any thread. */
#include "auth/authn.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "api/status.h"
#include "auth/authn_internal.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"

#define WEBSOCKET_TOKEN_PREFIX "base64url.bearer.authorization.k8s.io."

enum { METHODS_MAX = 8 };

struct kc_authn {
        struct authn_certificates certificates;
        struct kc_loop *loop; /* of I/O with others; NULL: there is none */
        struct authn_issuers *issuers;
        struct authn_webhook *webhook; /* NULL: none */
        char **audiences;              /* the server's own */
        struct authn_method methods[METHODS_MAX];
        size_t n_methods;
        struct authn_method tokens; /* all of them, remembered */
        struct kc_user *anonymous_user;
        const struct kc_clock *clock;
};

void kc_authn_result_done(struct kc_authn_result *r)
{
        kc_user_unref(r->user);
        kc_strv_free(r->warnings);
        kc_strv_free(r->annotations);
        *r = (struct kc_authn_result){0};
}

void authn_found_done(struct authn_found *f)
{
        kc_user_unref(f->user);
        kc_strv_free(f->audiences);
        kc_strv_free(f->warnings);
        kc_strv_free(f->annotations);
        *f = (struct authn_found){0};
}

char **authn_intersect(char *const *a, char *const *b)
{
        char **out = NULL;
        for (size_t i = 0; a && a[i]; i++)
                if (b && kc_strv_has(b, a[i]) && !(out && kc_strv_has(out, a[i])))
                        kc_strv_push(&out, a[i]);
        return out;
}

static void nothing_to_free(void *self)
{
        (void)self; /* the authenticator itself */
}

/* Tokens of issuers are good for the server's audiences. */
static int issuers_token(void *self, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        const struct kc_authn *a = self;
        KC_CLEANUP(kc_strv_freep) char **both = authn_intersect(a->audiences, t->audiences);
        if (kc_strv_len(t->audiences) > 0 && kc_strv_len(both) == 0)
                return 0;
        int r = authn_issuers_token(a->issuers, t, ret, err);
        if (r == 1)
                ret->audiences = KC_TAKE(both);
        return r;
}

/* The methods for tokens, in upstream's order. */
static int add_methods(struct kc_authn *a, const struct kc_authn_opts *o, struct kc_error *err)
{
        if (!kc_str_empty(o->token_auth_file)) {
                int r = authn_token_file_new(o->token_auth_file, a->audiences, &a->methods[a->n_methods], err);
                if (r < 0)
                        return kc_error_wrap(err, "cannot load --token-auth-file");
                a->n_methods++;
        }
        if (kc_strv_len(o->service_account_key_files) > 0) {
                int r = authn_sa_new(o, a->audiences, &a->methods[a->n_methods], err);
                if (r < 0)
                        return r;
                a->n_methods++;
        }
        if (o->bootstrap_tokens)
                authn_bootstrap_new(o, a->audiences, &a->methods[a->n_methods++]);
        int r = authn_issuers_new(o, a->loop, &a->issuers, err);
        if (r < 0)
                return r;
        a->methods[a->n_methods++] =
            (struct authn_method){.authenticate = issuers_token, .free = nothing_to_free, .self = a};
        if (kc_str_empty(o->webhook_config))
                return 0;
        r = authn_webhook_new(o, a->loop, &a->webhook, &a->methods[a->n_methods], err);
        if (r == 0)
                a->n_methods++;
        return r;
}

/* As a method: the first one that says yes; else all that the others have complained of. */
static int look_at_token(void *self, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        const struct kc_authn *a = self;
        int result = 0;
        for (size_t i = 0; i < a->n_methods; i++) {
                KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
                int r = a->methods[i].authenticate(a->methods[i].self, t, ret, &why);
                if (r == 1 || r == -EWOULDBLOCK)
                        return r;
                if (r == 0)
                        continue;
                if (result == 0)
                        kc_error_move(err, &why);
                else
                        (void)kc_error_wrap(err, "%s", kc_error_message(&why));
                result = r;
        }
        return result;
}

static int start_loop(struct kc_authn *a, const struct kc_authn_opts *o, struct kc_error *err)
{
        bool needed = !kc_str_empty(o->config_file) || !kc_str_empty(o->webhook_config) ||
                      (o->oidc && kc_oidc_flags_given(o->oidc));
        struct kc_loop *loop;
        int r = needed ? kc_loop_new("authn", &loop, err) : 0;
        if (r < 0 || !needed)
                return r;
        r = kc_loop_start_thread(loop, err);
        if (r < 0)
                kc_loop_free(loop);
        else
                a->loop = loop;
        return r;
}

int kc_authn_new(const struct kc_authn_opts *o, struct kc_authn **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_authn_freep) struct kc_authn *a = KC_NEW(struct kc_authn);
        a->clock = o->clock;
        a->anonymous_user = kc_user_new(KC_USER_ANONYMOUS, NULL, NULL);
        kc_user_add_group(a->anonymous_user, KC_GROUP_UNAUTHENTICATED);
        a->audiences = kc_strv_copy(o->api_audiences);
        if (kc_strv_len(a->audiences) == 0 && o->service_account_issuers && o->service_account_issuers[0])
                kc_strv_push(&a->audiences, o->service_account_issuers[0]);
        authn_metrics_init();
        const struct authn_cache_opts co = {
            .inner = {.authenticate = look_at_token, .free = nothing_to_free, .self = a},
            .clock = o->clock,
            .success_ttl = o->token_success_ttl,
            .failure_ttl = o->token_failure_ttl,
            .errors = true,
        };
        authn_cached_new(&co, &a->tokens);
        int r = start_loop(a, o, err);
        if (r == 0)
                r = authn_certificates_init(&a->certificates, o, err);
        if (r == 0)
                r = add_methods(a, o, err);
        if (r < 0)
                return r;
        *ret = KC_TAKE(a);
        return 0;
}

void kc_authn_free(struct kc_authn *a)
{
        if (!a)
                return;
        if (a->tokens.free)
                a->tokens.free(a->tokens.self);
        for (size_t i = 0; i < a->n_methods; i++)
                a->methods[i].free(a->methods[i].self);
        authn_certificates_done(&a->certificates);
        kc_strv_free(a->audiences);
        authn_issuers_free(a->issuers);
        if (a->loop) {
                kc_loop_stop(a->loop);
                kc_loop_join(a->loop);
                kc_loop_free(a->loop);
        }
        kc_user_unref(a->anonymous_user);
        kc_free(a);
}

void kc_authn_stop(struct kc_authn *a)
{
        if (a->webhook)
                authn_webhook_stop(a->webhook);
}

/* A copy of u that is also in system:authenticated, or u itself when that is so already. */
static struct kc_user *authenticated(struct kc_user *take_u)
{
        if (strcmp(take_u->name, KC_USER_ANONYMOUS) == 0 || kc_user_in_group(take_u, KC_GROUP_AUTHENTICATED) ||
            kc_user_in_group(take_u, KC_GROUP_UNAUTHENTICATED))
                return take_u;
        if (__atomic_load_n(&take_u->refs, __ATOMIC_ACQUIRE) == 1) {
                kc_user_add_group(take_u, KC_GROUP_AUTHENTICATED);
                return take_u;
        }
        struct kc_user *copy = kc_user_new(take_u->name, take_u->uid, take_u->groups);
        for (size_t i = 0; i < take_u->n_extra; i++)
                for (char **v = take_u->extra[i].values; v && *v; v++)
                        kc_user_add_extra(copy, take_u->extra[i].key, *v);
        kc_user_add_group(copy, KC_GROUP_AUTHENTICATED);
        kc_user_unref(take_u);
        return copy;
}

/* The token of "Bearer <token>"; NULL: another scheme, or nothing behind it. */
static char *bearer_of_header(const char *authorization)
{
        KC_CLEANUP(kc_free_secret_strp) char *h = authorization ? kc_str_trim(authorization) : NULL;
        if (!h || strncasecmp(h, "bearer ", strlen("bearer ")) != 0)
                return NULL;
        const char *token = h + strlen("bearer ");
        size_t len = strcspn(token, " ");
        return len == 0 ? NULL : kc_strndup(token, len);
}

/* The token that a browser passes among the WebSocket subprotocols. */
static char *bearer_of_websocket(const char *protocols)
{
        KC_CLEANUP(kc_strv_freep) char **list = protocols ? kc_strv_split(protocols, ',') : NULL;
        for (size_t i = 0; list && list[i]; i++) {
                KC_CLEANUP(kc_freep) char *p = kc_str_trim(list[i]);
                if (!kc_str_has_prefix(p, WEBSOCKET_TOKEN_PREFIX))
                        continue;
                const char *encoded = p + strlen(WEBSOCKET_TOKEN_PREFIX);
                KC_CLEANUP(kc_buf_done) struct kc_buf token = KC_BUF_INIT;
                if (encoded[0] == '\0' || kc_base64url_decode(encoded, strlen(encoded), &token) < 0 ||
                    memchr(kc_buf_str(&token), '\0', token.len))
                        return kc_strdup(""); /* there is one, and it is not good */
                return kc_buf_take_str(&token);
        }
        return NULL;
}

/* Of a request's token. As a method. */
static int by_token(
    struct kc_authn *a, const struct kc_authn_request *req, struct kc_authn_result *ret, struct kc_error *err)
{
        char *token = bearer_of_header(req->authorization);
        if (!token)
                token = bearer_of_websocket(req->websocket_protocol);
        if (!token)
                return 0;
        const struct authn_token t = {.text = token, .audiences = a->audiences, .may_block = req->may_block};
        KC_CLEANUP(authn_found_done) struct authn_found found = {0};
        int r = a->tokens.authenticate(a->tokens.self, &t, &found, err);
        kc_free_secret_str(token);
        ret->user = KC_TAKE(found.user);
        ret->warnings = KC_TAKE(found.warnings);
        ret->annotations = KC_TAKE(found.annotations);
        return r == 0 ? kc_error_set(err, EACCES, "invalid bearer token") : r;
}

/* 1: *ret has the user; 0: there are no credentials; -EWOULDBLOCK; other negatives: none of them is good. */
static int by_credentials(
    struct kc_authn *a, const struct kc_authn_request *req, struct kc_authn_result *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_error_done) struct kc_error proxy_why = KC_ERROR_INIT, cert_why = KC_ERROR_INIT;
        int proxy = authn_front_proxy(&a->certificates, req, &ret->user, &proxy_why);
        if (proxy == 1)
                return 1;
        int cert = authn_certificate(&a->certificates, req->peer, &ret->user, &cert_why);
        if (cert == 1)
                return 1;
        int token = by_token(a, req, ret, err);
        if (token != 0)
                return token;
        if (cert < 0)
                kc_error_move(err, &cert_why);
        else if (proxy < 0)
                kc_error_move(err, &proxy_why);
        return cert < 0 ? cert : proxy;
}

int kc_authn_authenticate(
    struct kc_authn *a, const struct kc_authn_request *req, struct kc_authn_result *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        kc_mono started = kc_clock_mono(NULL);
        *ret = (struct kc_authn_result){0};
        int r = by_credentials(a, req, ret, &why);
        if (r == -EWOULDBLOCK && !req->may_block)
                return r;
        if (r == 1) {
                ret->user = authenticated(ret->user);
        } else if (r == 0 && authn_issuers_anonymous(a->issuers, req->path)) {
                ret->user = kc_user_ref(a->anonymous_user);
                r = 1;
        }
        authn_count_attempt(r == 1   ? AUTHN_SUCCESS
                            : r == 0 ? AUTHN_FAILURE
                                     : AUTHN_ERROR,
            kc_clock_mono(NULL) - started, ret->user);
        if (r == 1)
                return 0;
        if (r < 0)
                kc_log_v(2, "Unable to authenticate the request", "err", kc_error_message(&why));
        return kc_err_unauthorized(err);
}

int kc_authn_token(struct kc_authn *a, const char *token, char *const *audiences, struct kc_user **ret_user,
    char ***ret_audiences, char **ret_error, struct kc_error *err)
{
        (void)err; /* nothing here can fail but the token itself */
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(authn_found_done) struct authn_found found = {0};
        const struct authn_token t = {
            .text = token, .audiences = kc_strv_len(audiences) > 0 ? audiences : a->audiences, .may_block = true};
        *ret_user = NULL;
        int r = a->tokens.authenticate(a->tokens.self, &t, &found, &why);
        if (r == 1) {
                *ret_user = authenticated(KC_TAKE(found.user));
                *ret_audiences = KC_TAKE(found.audiences);
                return 0;
        }
        /* The way upstream's union of authenticators puts it. */
        *ret_error = r < 0 ? kc_asprintf("[invalid bearer token, %s]", kc_error_message(&why))
                           : kc_strdup("invalid bearer token");
        return 0;
}

char *kc_authn_client_ca(struct kc_authn *a)
{
        return a->certificates.client_ca ? kc_tls_verifier_pem(a->certificates.client_ca) : NULL;
}

char *kc_authn_front_proxy_ca(struct kc_authn *a)
{
        return a->certificates.front_proxy_ca ? kc_tls_verifier_pem(a->certificates.front_proxy_ca) : NULL;
}

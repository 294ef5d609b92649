/* Who makes a request: client certificate, static token, service-account token, anonymous - in upstream's order, the
 * first that says yes. Immutable once made: any thread. */
#include "auth/authn.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "api/status.h"
#include "auth/authn_internal.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/str.h"

#define CREDENTIAL_ID "authentication.kubernetes.io/credential-id"
#define WEBSOCKET_TOKEN_PREFIX "base64url.bearer.authorization.k8s.io."

enum { METHODS_MAX = 8 };

struct kc_authn {
        bool client_certs, anonymous;
        char **audiences; /* the server's own */
        struct authn_method methods[METHODS_MAX];
        size_t n_methods;
        struct kc_user *anonymous_user;
};

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
                int r = authn_sa_new(o, &a->methods[a->n_methods], err);
                if (r < 0)
                        return r;
                a->n_methods++;
        }
        if (o->bootstrap_tokens)
                authn_bootstrap_new(o, a->audiences, &a->methods[a->n_methods++]);
        return 0;
}

int kc_authn_new(const struct kc_authn_opts *o, struct kc_authn **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_authn_freep) struct kc_authn *a = KC_NEW(struct kc_authn);
        a->client_certs = o->client_certs;
        a->anonymous = o->anonymous;
        a->anonymous_user = kc_user_new(KC_USER_ANONYMOUS, NULL, NULL);
        kc_user_add_group(a->anonymous_user, KC_GROUP_UNAUTHENTICATED);
        a->audiences = kc_strv_copy(o->api_audiences);
        if (kc_strv_len(a->audiences) == 0 && o->service_account_issuers && o->service_account_issuers[0])
                kc_strv_push(&a->audiences, o->service_account_issuers[0]);
        int r = add_methods(a, o, err);
        if (r < 0)
                return r;
        *ret = KC_TAKE(a);
        return 0;
}

void kc_authn_free(struct kc_authn *a)
{
        if (!a)
                return;
        for (size_t i = 0; i < a->n_methods; i++)
                a->methods[i].free(a->methods[i].self);
        kc_strv_free(a->audiences);
        kc_user_unref(a->anonymous_user);
        kc_free(a);
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

static struct kc_user *user_of_peer(const struct kc_tls_peer *p)
{
        if (kc_str_empty(p->common_name))
                return NULL;
        struct kc_user *u = kc_user_new(p->common_name, NULL, p->organizations);
        KC_CLEANUP(kc_freep) char *id = kc_asprintf("X509SHA256=%s", p->fingerprint ? p->fingerprint : "");
        kc_user_add_extra(u, CREDENTIAL_ID, id);
        return u;
}

/* The token of "Bearer <token>"; NULL: another scheme, or nothing behind it. */
static char *bearer_of_header(const char *authorization)
{
        KC_CLEANUP(kc_freep) char *h = authorization ? kc_str_trim(authorization) : NULL;
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

/* As a method. The first one that says yes; else what the others have complained of. */
static int look_at_token(
    const struct kc_authn *a, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        int result = 0;
        for (size_t i = 0; i < a->n_methods; i++) {
                KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
                int r = a->methods[i].authenticate(a->methods[i].self, t, ret, &why);
                if (r == 1 || r == -EWOULDBLOCK)
                        return r;
                if (r < 0 && result == 0) {
                        kc_error_move(err, &why);
                        result = r;
                }
        }
        return result;
}

int kc_authn_authenticate(
    struct kc_authn *a, const struct kc_authn_request *req, struct kc_user **ret, struct kc_error *err)
{
        if (a->client_certs && req->peer) {
                struct kc_user *u = user_of_peer(req->peer);
                if (u) {
                        *ret = authenticated(u);
                        return 0;
                }
        }
        KC_CLEANUP(kc_freep) char *token = bearer_of_header(req->authorization);
        if (!token)
                token = bearer_of_websocket(req->websocket_protocol);
        if (token) {
                const struct authn_token t = {.text = token, .audiences = a->audiences, .may_block = true};
                KC_CLEANUP(authn_found_done) struct authn_found found = {0};
                KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
                if (look_at_token(a, &t, &found, &why) == 1) {
                        *ret = authenticated(KC_TAKE(found.user));
                        return 0;
                }
                kc_log_v(2, "Unable to authenticate the request", "err",
                    why.errnum ? kc_error_message(&why) : "invalid bearer token");
                return kc_err_unauthorized(err);
        }
        if (!a->anonymous)
                return kc_err_unauthorized(err);
        *ret = kc_user_ref(a->anonymous_user);
        return 0;
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
        int r = look_at_token(a, &t, &found, &why);
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

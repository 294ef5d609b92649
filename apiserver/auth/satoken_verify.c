/* Service-account tokens: signature, issuer, audience, time, and that the service account and the object that the token
 * is bound to are still the ones that it was made for (upstream's serviceaccount.JWTTokenAuthenticator). Immutable
 * after init: any thread. */
#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "auth/authn_internal.h"
#include "base/encode.h"
#include "base/str.h"

/* Clocks may differ by so much. */
#define LEEWAY (60 * KC_SEC)
enum { TOKEN_MAX = 32 << 10 };
#define TIME_END 253402300800.0 /* the year 10000, in seconds */
#define LEGACY_ISSUER "kubernetes/serviceaccount"

static int load_keys(struct authn_sa *sa, const struct kc_authn_opts *o, struct kc_error *err)
{
        for (size_t i = 0; o->service_account_key_files && o->service_account_key_files[i]; i++) {
                struct kc_jwt_key **keys = NULL;
                size_t n = 0;
                int r = kc_jwt_keys_load(o->service_account_key_files[i], &keys, &n, err);
                if (r < 0)
                        return kc_error_wrap(err, "cannot load service account keys");
                sa->keys = kc_reallocarray(sa->keys, sa->n_keys + n + 1, sizeof(struct kc_jwt_key *));
                memcpy(sa->keys + sa->n_keys, keys, n * sizeof(struct kc_jwt_key *));
                sa->n_keys += n;
                kc_free(keys); /* the array only */
        }
        return 0;
}

static void sa_free(void *self)
{
        struct authn_sa *sa = self;
        kc_jwt_keys_free(sa->keys, sa->n_keys);
        kc_strv_free(sa->issuers);
        kc_free(sa);
}

/* The issuer that a token claims, before anything is verified: tells whose token it is. Heap; NULL: none. */
char *authn_claimed_issuer(const char *token)
{
        const char *dot = strchr(token, '.');
        const char *end = dot ? strchr(dot + 1, '.') : NULL;
        if (!end || strchr(end + 1, '.') || strlen(token) > TOKEN_MAX)
                return NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf payload = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *claims = NULL;
        if (kc_base64url_decode(dot + 1, (size_t)(end - dot - 1), &payload) < 0 ||
            kc_json_parse(kc_buf_str(&payload), payload.len, NULL, &claims, NULL) < 0)
                return NULL;
        return kc_strdup(kc_json_str(claims, "iss"));
}

/* aud is a string or an array of strings. */
static char **token_audiences(const struct json_object *claims)
{
        const struct json_object *aud = kc_json_get(claims, "aud");
        char **v = NULL;
        if (kc_json_as_str(aud))
                kc_strv_push(&v, kc_json_as_str(aud));
        for (size_t i = 0; i < kc_json_len(aud); i++)
                if (kc_json_as_str(kc_json_idx(aud, i)))
                        kc_strv_push(&v, kc_json_as_str(kc_json_idx(aud, i)));
        return v;
}

static char *quoted_list(char *const *v)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addc(&b, '[');
        for (size_t i = 0; v && v[i]; i++) {
                if (i > 0)
                        kc_buf_addc(&b, ' ');
                kc_quote_add(&b, v[i]);
        }
        kc_buf_addc(&b, ']');
        return kc_buf_take_str(&b);
}

/* implicit: the audiences of a token that names none. */
static int check_audiences(
    const struct json_object *claims, char *const *implicit, char *const *wanted, char ***ret, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **have = token_audiences(claims);
        KC_CLEANUP(kc_strv_freep) char **both = authn_intersect(have ? have : implicit, wanted);
        if (kc_strv_len(both) == 0) {
                KC_CLEANUP(kc_freep) char *a = quoted_list(have ? have : implicit);
                KC_CLEANUP(kc_freep) char *b = quoted_list(wanted);
                return kc_error_set(err, EACCES, "token audiences %s is invalid for the target audiences %s", a, b);
        }
        *ret = KC_TAKE(both);
        return 0;
}

kc_time authn_claim_time(const struct json_object *claims, const char *name)
{
        const struct json_object *v = kc_json_get(claims, name);
        if (v && json_object_get_type(v) == json_type_double) {
                double at = json_object_get_double(v);
                if (!(at < TIME_END)) /* no number is no time either */
                        return INT64_MAX;
                return at < 0 ? 0 : (kc_time)(at * (double)KC_SEC);
        }
        int64_t s = kc_json_int(claims, name, 0);
        return s > INT64_MAX / KC_SEC ? INT64_MAX : s < 0 ? 0 : s * KC_SEC;
}

static int check_times(const struct json_object *claims, kc_time now, struct kc_error *err)
{
        kc_time exp = authn_claim_time(claims, "exp");
        if (exp == 0 || exp < now - LEEWAY)
                return kc_error_set(err, EACCES, "service account token has expired");
        if (authn_claim_time(claims, "nbf") > now + LEEWAY || authn_claim_time(claims, "iat") > now + LEEWAY)
                return kc_error_set(err, EACCES, "service account token is not valid yet");
        return 0;
}

/* True when the object began its deletion more than the leeway ago. */
static bool deleted_before(const struct json_object *obj, kc_time now)
{
        const char *at = kc_json_str_at(obj, "metadata.deletionTimestamp");
        kc_time t;
        return at && kc_time_parse(at, &t) == 0 && t < now - LEEWAY;
}

/* The object of a claim {"name","uid"} exists, lives and is the same one. what: for messages; NULL hides why. */
static int check_object(const struct authn_sa *sa, const char *resource, const char *ns, const struct json_object *ref,
    const char *what, struct kc_error *err)
{
        const char *name = kc_json_str(ref, "name"), *uid = kc_json_str(ref, "uid");
        if (!name)
                return kc_error_set(err, EACCES, "%s name claim missing", resource);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = NULL;
        if (kc_resources_get(sa->resources, "", resource, ns, name, &obj, NULL) < 0) {
                if (what)
                        return kc_error_set(err, EACCES, "%s \"%s\" not found", resource, name);
                return kc_error_set(err, EACCES, "service account token has been invalidated");
        }
        const struct json_object *o = kc_object_json(obj);
        if (deleted_before(o, kc_clock_now(sa->clock))) {
                if (what)
                        return kc_error_set(err, EACCES, "%s %s/%s has been deleted", what, ns, name);
                return kc_error_set(err, EACCES, "service account token has been invalidated");
        }
        if (!kc_streq(kc_object_uid(obj), uid ? uid : ""))
                return kc_error_set(err, EACCES, "%s UID (%s) does not match claim (%s)", what ? what : resource,
                    kc_object_uid(obj), uid ? uid : "");
        return 0;
}

/* The private claims against what exists. */
static int check_bound(const struct authn_sa *sa, const char *ns, const struct json_object *k8s, struct kc_error *err)
{
        int r = check_object(sa, "serviceaccounts", ns, kc_json_get(k8s, "serviceaccount"), "service account", err);
        const struct json_object *pod = kc_json_get(k8s, "pod");
        const struct json_object *secret = kc_json_get(k8s, "secret");
        const struct json_object *node = kc_json_get(k8s, "node");
        if (r == 0 && secret)
                r = check_object(sa, "secrets", ns, secret, NULL, err);
        if (r == 0 && pod)
                r = check_object(sa, "pods", ns, pod, NULL, err);
        /* Beside a pod, the node is information only. */
        if (r == 0 && node && !pod)
                r = check_object(sa, "nodes", "", node, NULL, err);
        return r;
}

static void add_ref_extra(struct kc_user *u, const struct json_object *ref, const char *kind)
{
        static const char *const parts[] = {"name", "uid"};
        for (size_t i = 0; i < KC_ARRAY_LEN(parts); i++) {
                const char *v = kc_json_str(ref, parts[i]);
                if (kc_str_empty(v))
                        continue;
                KC_CLEANUP(kc_freep) char *key = kc_asprintf("authentication.kubernetes.io/%s-%s", kind, parts[i]);
                kc_user_add_extra(u, key, v);
        }
}

struct kc_user *authn_sa_user(const char *ns, const char *name, const char *uid)
{
        KC_CLEANUP(kc_freep) char *username = kc_serviceaccount_username(ns, name);
        KC_CLEANUP(kc_freep) char *group = kc_asprintf("system:serviceaccounts:%s", ns);
        struct kc_user *u = kc_user_new(username, uid, NULL);
        kc_user_add_group(u, KC_GROUP_SERVICEACCOUNTS);
        kc_user_add_group(u, group);
        return u;
}

static struct kc_user *user_of(const char *ns, const struct json_object *claims, const struct json_object *k8s)
{
        struct kc_user *u =
            authn_sa_user(ns, kc_json_str_at(k8s, "serviceaccount.name"), kc_json_str_at(k8s, "serviceaccount.uid"));
        const char *jti = kc_json_str(claims, "jti");
        if (!kc_str_empty(jti)) {
                KC_CLEANUP(kc_freep) char *id = kc_asprintf("JTI=%s", jti);
                kc_user_add_extra(u, "authentication.kubernetes.io/credential-id", id);
        }
        add_ref_extra(u, kc_json_get(k8s, "node"), "node");
        add_ref_extra(u, kc_json_get(k8s, "pod"), "pod");
        return u;
}

/* Tokens of pods that are good for longer than they were asked for: clients that use them so do not read them again. */
static void note_stale(
    const struct authn_sa *sa, const struct json_object *claims, const struct json_object *k8s, struct authn_found *ret)
{
        int64_t warn_after = kc_json_int(k8s, "warnafter", 0), now = kc_clock_now(sa->clock) / KC_SEC;
        if (warn_after <= 0)
                return;
        authn_count_sa_token(now > warn_after ? AUTHN_SA_STALE : AUTHN_SA_VALID);
        if (now <= warn_after)
                return;
        kc_strv_push(&ret->annotations, "authentication.k8s.io/stale-token");
        kc_strv_pushf(&ret->annotations, "subject: %s, seconds after warning threshold: %lld",
            kc_json_str(claims, "sub"), (long long)(now - warn_after));
}

static int verify(
    const struct authn_sa *sa, const char *token, const char *issuer, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *text = NULL;
        if (kc_jwt_verify(sa->keys, sa->n_keys, token, &text, err) < 0)
                return kc_error_set(err, EACCES, "invalid signature, none of the keys verifies the token");
        KC_CLEANUP(kc_json_freep) struct json_object *claims = NULL;
        int r = kc_json_parse(text, strlen(text), NULL, &claims, err);
        if (r < 0)
                return r;
        if (!kc_streq(kc_json_str(claims, "iss"), issuer)) /* a parser disagrees with itself */
                return kc_error_set(err, EACCES, "unknown issuer");
        *ret = KC_TAKE(claims);
        return 0;
}

/* A token of TokenRequest, whose signature and audience are good. */
static int bound_token(
    const struct authn_sa *sa, const struct json_object *claims, struct authn_found *ret, struct kc_error *err)
{
        int r = check_times(claims, kc_clock_now(sa->clock), err);
        if (r < 0)
                return r;
        const struct json_object *k8s = kc_json_get(claims, "kubernetes.io");
        const char *ns = kc_json_str(k8s, "namespace");
        const char *name = kc_json_str_at(k8s, "serviceaccount.name");
        if (kc_str_empty(ns) || kc_str_empty(name))
                return kc_error_set(err, EACCES, "service account token lacks its namespace or name");
        KC_CLEANUP(kc_freep) char *subject = kc_serviceaccount_username(ns, name);
        if (!kc_streq(kc_json_str(claims, "sub"), subject))
                return kc_error_set(err, EACCES, "service account token has another subject");
        if (sa->lookup) {
                r = check_bound(sa, ns, k8s, err);
                if (r < 0)
                        return r;
        }
        note_stale(sa, claims, k8s, ret);
        ret->user = user_of(ns, claims, k8s);
        return 1;
}

static int sa_authenticate(void *self, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        const struct authn_sa *sa = self;
        KC_CLEANUP(kc_freep) char *issuer = sa->n_keys ? authn_claimed_issuer(t->text) : NULL;
        if (!issuer)
                return 0;
        bool legacy = strcmp(issuer, LEGACY_ISSUER) == 0;
        if (!legacy && !(sa->issuers && kc_strv_has(sa->issuers, issuer)))
                return 0;
        KC_CLEANUP(kc_json_freep) struct json_object *claims = NULL;
        KC_CLEANUP(kc_strv_freep) char **matching = NULL;
        int r = verify(sa, t->text, issuer, &claims, err);
        if (r == 0)
                r = check_audiences(claims, legacy ? sa->audiences : NULL, t->audiences, &matching, err);
        if (r < 0)
                return r;
        r = legacy ? authn_legacy_token(sa, t, claims, ret, err) : bound_token(sa, claims, ret, err);
        if (r == 1)
                ret->audiences = KC_TAKE(matching);
        return r;
}

int authn_sa_new(const struct kc_authn_opts *o, char *const *audiences, struct authn_method *ret, struct kc_error *err)
{
        struct authn_sa *sa = KC_NEW(struct authn_sa);
        sa->resources = o->resources;
        sa->clock = o->clock;
        sa->lookup = o->service_account_lookup;
        sa->issuers = kc_strv_copy(o->service_account_issuers);
        sa->audiences = audiences;
        sa->on_legacy_token = o->on_legacy_token;
        sa->arg = o->arg;
        int r = load_keys(sa, o, err);
        if (r < 0) {
                sa_free(sa);
                return r;
        }
        *ret = (struct authn_method){.authenticate = sa_authenticate, .free = sa_free, .self = sa};
        return 0;
}

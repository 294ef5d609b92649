/* Issues service-account tokens (upstream's TokenREST and serviceaccount.JWTTokenGenerator). Immutable once made: any
 * thread. */
#include "auth/satoken.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/schema.h"
#include "api/status.h"
#include "base/rand.h"
#include "base/str.h"
#include "tls/jwt.h"

enum {
        EXPIRATION_MIN = 600,
        WARN_ONLY_EXPIRATION = 3607,              /* what projected volumes of pods ask for */
        EXTENDED_EXPIRATION = 365 * 24 * 60 * 60, /* what they get with --service-account-extend-token-expiration */
};
#define EXPIRATION_MAX ((int64_t)1 << 32)
#define GROUP "authentication.k8s.io"
#define KIND "TokenRequest"

struct kc_satoken {
        struct kc_jwt_key **keys; /* of the signing key's file; the first private one signs */
        size_t n_keys;
        const struct kc_jwt_key *signer;
        struct kc_jwt_key **public_keys;
        size_t n_public_keys;
        char *issuer, *jwks_uri;
        char **audiences;
        int64_t max_expiration;
        bool extend_expiration;
        const struct kc_clock *clock;
};

static int load_public_keys(struct kc_satoken *s, char *const *files, struct kc_error *err)
{
        for (size_t i = 0; files && files[i]; i++) {
                struct kc_jwt_key **keys = NULL;
                size_t n = 0;
                int r = kc_jwt_keys_load(files[i], &keys, &n, err);
                if (r < 0)
                        return r;
                s->public_keys = kc_reallocarray(s->public_keys, s->n_public_keys + n + 1, sizeof(struct kc_jwt_key *));
                memcpy(s->public_keys + s->n_public_keys, keys, n * sizeof(struct kc_jwt_key *));
                s->n_public_keys += n;
                kc_free(keys); /* the array only */
        }
        return 0;
}

int kc_satoken_new(const struct kc_satoken_opts *o, struct kc_satoken **ret, struct kc_error *err)
{
        if (!o->issuers || kc_str_empty(o->issuers[0]))
                return kc_error_set(err, EINVAL, "--service-account-issuer is required");
        KC_CLEANUP(kc_satoken_freep) struct kc_satoken *s = KC_NEW(struct kc_satoken);
        int r = kc_jwt_keys_load(o->signing_key_file, &s->keys, &s->n_keys, err);
        if (r < 0)
                return kc_error_wrap(err, "cannot load --service-account-signing-key-file");
        for (size_t i = 0; i < s->n_keys && !s->signer; i++)
                if (kc_jwt_key_is_private(s->keys[i]))
                        s->signer = s->keys[i];
        if (!s->signer)
                return kc_error_set(err, EINVAL, "%s holds no private key", o->signing_key_file);
        r = load_public_keys(s, o->key_files, err);
        if (r < 0)
                return kc_error_wrap(err, "cannot load --service-account-key-file");
        s->issuer = kc_strdup(o->issuers[0]);
        s->jwks_uri = kc_strdup(o->jwks_uri);
        s->audiences = kc_strv_copy(o->api_audiences);
        if (kc_strv_len(s->audiences) == 0)
                kc_strv_push(&s->audiences, s->issuer);
        s->max_expiration = o->max_expiration;
        s->extend_expiration = o->extend_expiration;
        s->clock = o->clock;
        *ret = KC_TAKE(s);
        return 0;
}

void kc_satoken_free(struct kc_satoken *s)
{
        if (!s)
                return;
        kc_jwt_keys_free(s->keys, s->n_keys);
        kc_jwt_keys_free(s->public_keys, s->n_public_keys);
        kc_free(s->issuer);
        kc_free(s->jwks_uri);
        kc_strv_free(s->audiences);
        kc_free(s);
}

/* --- checks */

/* metadata.name and namespace, where given, must be those of the path. */
static int check_meta(const struct json_object *sa, const struct json_object *req, struct kc_error *err)
{
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        const char *name = kc_meta_name(req), *ns = kc_meta_namespace(req);
        if (!kc_str_empty(name) && !kc_streq(name, kc_meta_name(sa)))
                kc_field_invalid_str(
                    &errors, "metadata.name", name, "must match the service account name if specified");
        else if (!kc_str_empty(ns) && !kc_streq(ns, kc_meta_namespace(sa)))
                kc_field_invalid_str(
                    &errors, "metadata.namespace", ns, "must match the service account namespace if specified");
        return errors.n == 0 ? 0 : kc_err_invalid(err, GROUP, KIND, kc_meta_name(sa), &errors);
}

static int check_expiration(int64_t seconds, struct kc_error *err)
{
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        if (seconds < EXPIRATION_MIN)
                kc_field_invalid_int(
                    &errors, "spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes");
        if (seconds > EXPIRATION_MAX)
                kc_field_invalid_int(
                    &errors, "spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds");
        return errors.n == 0 ? 0 : kc_err_invalid(err, GROUP, KIND, "", &errors);
}

struct bindable {
        const char *kind, *resource;
};
static const struct bindable bindables[] = {{"Pod", "pods"}, {"Secret", "secrets"}, {"Node", "nodes"}};

static const struct bindable *bindable_of(const struct json_object *ref, char **ret_group, char **ret_version)
{
        const char *api_version = kc_json_str(ref, "apiVersion"), *kind = kc_json_str(ref, "kind");
        kc_api_version_split(api_version ? api_version : "", ret_group, ret_version);
        if ((*ret_group)[0] != '\0')
                return NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(bindables); i++)
                if (kc_streq(bindables[i].kind, kind))
                        return &bindables[i];
        return NULL;
}

/* spec.boundObjectRef fits the object. *ret_kind NULL: the token is bound to none. */
static int check_bound(const struct json_object *sa, const struct json_object *bound, const struct json_object *ref,
    const char **ret_kind, struct kc_error *err)
{
        *ret_kind = NULL;
        if (!ref)
                return 0;
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        const char *name = kc_json_str(ref, "name"), *kind = kc_json_str(ref, "kind"), *uid = kc_json_str(ref, "uid");
        const struct bindable *b = bindable_of(ref, &group, &version);
        if (!b)
                return kc_err_bad_request(
                    err, "cannot bind token to object of type %s/%s, Kind=%s", group, version, kind ? kind : "");
        if (!bound)
                return kc_err_not_found(err, "", b->resource, name ? name : "");
        if (strcmp(b->kind, "Pod") == 0) {
                const char *pod_sa = kc_json_str_at(bound, "spec.serviceAccountName");
                if (!kc_streq(pod_sa ? pod_sa : "", kc_meta_name(sa)))
                        return kc_err_bad_request(err,
                            "cannot bind token for serviceaccount \"%s\" to pod running with different serviceaccount "
                            "name.",
                            kc_meta_name(sa));
        }
        if (!kc_str_empty(uid) && !kc_streq(uid, kc_meta_uid(bound))) {
                KC_CLEANUP(kc_freep)
                char *why = kc_asprintf("the UID in the bound object reference (%s) does not match "
                                        "the UID in record. The object might have been deleted and "
                                        "then recreated",
                    uid);
                return kc_err_conflict(err, "", b->kind, name ? name : "", why);
        }
        *ret_kind = b->kind;
        return 0;
}

/* --- claims */

static struct json_object *reference(const struct json_object *obj)
{
        struct json_object *o = json_object_new_object();
        kc_json_set_str(o, "name", kc_meta_name(obj));
        const char *uid = kc_meta_uid(obj);
        if (!kc_str_empty(uid))
                kc_json_set_str(o, "uid", uid);
        return o;
}

static struct json_object *private_claims(const struct json_object *sa, const char *kind,
    const struct json_object *bound, const struct json_object *node, int64_t warn_after)
{
        struct json_object *k = json_object_new_object();
        kc_json_set_str(k, "namespace", kc_meta_namespace(sa));
        if (kc_streq(kind, "Node"))
                kc_json_set(k, "node", reference(bound));
        else if (kc_streq(kind, "Pod")) {
                const char *node_name = kc_json_str_at(bound, "spec.nodeName");
                if (node)
                        kc_json_set(k, "node", reference(node));
                else if (!kc_str_empty(node_name))
                        kc_json_set(k, "node", kc_json_build("{'name':%s}", node_name));
                kc_json_set(k, "pod", reference(bound));
        } else if (kc_streq(kind, "Secret"))
                kc_json_set(k, "secret", reference(bound));
        kc_json_set(k, "serviceaccount", reference(sa));
        if (warn_after > 0)
                kc_json_set_int(k, "warnafter", warn_after);
        return k;
}

static bool for_this_server(const struct kc_satoken *s, const struct json_object *audiences)
{
        if (kc_json_len(audiences) != kc_strv_len(s->audiences))
                return false;
        for (size_t i = 0; i < kc_json_len(audiences); i++)
                if (!kc_strv_has(s->audiences, kc_json_as_str(kc_json_idx(audiences, i))))
                        return false;
        return true;
}

static int sign(const struct kc_satoken *s, const struct json_object *sa, const struct json_object *audiences,
    int64_t now, int64_t expiration, struct json_object *take_private, char **ret, struct kc_error *err)
{
        char jti[KC_UUID_LEN];
        KC_CLEANUP(kc_freep) char *subject = kc_serviceaccount_username(kc_meta_namespace(sa), kc_meta_name(sa));
        KC_CLEANUP(kc_json_freep)
        struct json_object *claims =
            kc_json_build("{'aud':%o,'exp':%lld,'iat':%lld,'iss':%s,'jti':%s,'kubernetes.io':%o,'nbf':%lld,'sub':%s}",
                kc_json_copy(audiences), (long long)(now + expiration), (long long)now, s->issuer, kc_uuid4(jti),
                take_private, (long long)now, subject);
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(claims);
        int r = kc_jwt_sign(s->signer, text, ret, err);
        if (r < 0)
                return kc_err_internal(err, "failed to generate token: %s", kc_error_message(err));
        return 0;
}

int kc_satoken_issue(struct kc_satoken *s, const struct json_object *sa, const struct json_object *bound,
    const struct json_object *node, struct json_object *token_request, char ***warnings, struct kc_error *err)
{
        int r = check_meta(sa, token_request, err);
        if (r < 0)
                return r;
        struct json_object *spec = kc_json_ensure_obj(token_request, "spec");
        if (kc_json_len(kc_json_get(spec, "audiences")) == 0) {
                struct json_object *audiences = kc_json_ensure_arr(spec, "audiences");
                for (char **a = s->audiences; *a; a++)
                        kc_json_push_str(audiences, *a);
        }
        int64_t seconds = kc_json_int(spec, "expirationSeconds", 3600);
        r = check_expiration(seconds, err);
        const char *kind = NULL;
        if (r == 0)
                r = check_bound(sa, bound, kc_json_get(spec, "boundObjectRef"), &kind, err);
        if (r < 0)
                return r;
        if (s->max_expiration > 0 && seconds > s->max_expiration) {
                if (warnings)
                        kc_strv_pushf(warnings, "requested expiration of %lld seconds shortened to %lld seconds",
                            (long long)seconds, (long long)s->max_expiration);
                seconds = s->max_expiration;
        }
        kc_json_set_int(spec, "expirationSeconds", seconds);
        const struct json_object *audiences = kc_json_get(spec, "audiences");
        kc_time now = kc_clock_now(s->clock);
        int64_t life = seconds, warn_after = 0;
        if (s->extend_expiration && kc_streq(kind, "Pod") && seconds == WARN_ONLY_EXPIRATION &&
            for_this_server(s, audiences)) {
                warn_after = now / KC_SEC + seconds;
                life = EXTENDED_EXPIRATION;
        }
        KC_CLEANUP(kc_freep) char *token = NULL;
        r = sign(s, sa, audiences, now / KC_SEC, life, private_claims(sa, kind, bound, node, warn_after), &token, err);
        if (r < 0)
                return r;
        char text[KC_TIME_LEN];
        struct json_object *meta = kc_json_ensure_obj(token_request, "metadata");
        kc_json_set_str(meta, "name", kc_meta_name(sa));
        kc_json_set_str(meta, "namespace", kc_meta_namespace(sa));
        kc_json_set_str(meta, "creationTimestamp", kc_time_format(now, text));
        kc_json_set(token_request, "status",
            kc_json_build(
                "{'token':%s,'expirationTimestamp':%s}", token, kc_time_format(now + seconds * KC_SEC, text)));
        return 0;
}

/* --- what others need to verify tokens */

static struct json_object *jwks(const struct kc_satoken *s)
{
        struct kc_jwt_key *const *keys = s->n_public_keys > 0 ? s->public_keys : s->keys;
        size_t n = s->n_public_keys > 0 ? s->n_public_keys : s->n_keys;
        struct json_object *list = json_object_new_array();
        for (size_t i = 0; i < n; i++) {
                KC_CLEANUP(kc_freep) char *text = kc_jwt_key_jwk(keys[i]);
                struct json_object *jwk = NULL;
                if (text && kc_json_parse(text, strlen(text), NULL, &jwk, NULL) == 0)
                        kc_json_push(list, jwk);
        }
        return kc_json_build("{'keys':%o}", list);
}

char *kc_satoken_jwks(const struct kc_satoken *s)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = jwks(s);
        return kc_json_to_str(o);
}

char *kc_satoken_openid_configuration(const struct kc_satoken *s)
{
        KC_CLEANUP(kc_json_freep) struct json_object *set = jwks(s);
        const struct json_object *keys = kc_json_get(set, "keys");
        KC_CLEANUP(kc_strv_freep) char **algs = NULL;
        for (size_t i = 0; i < kc_json_len(keys); i++) {
                const char *alg = kc_json_str(kc_json_idx(keys, i), "alg");
                if (alg)
                        kc_strv_push(&algs, alg);
        }
        if (algs)
                kc_strv_sort_uniq(algs);
        struct json_object *list = json_object_new_array();
        for (char **a = algs; a && *a; a++)
                kc_json_push_str(list, *a);
        KC_CLEANUP(kc_json_freep)
        struct json_object *o =
            kc_json_build("{'issuer':%s,'jwks_uri':%s,'response_types_supported':['id_token'],"
                          "'subject_types_supported':['public'],'id_token_signing_alg_values_supported':%o}",
                s->issuer, s->jwks_uri ? s->jwks_uri : "", list);
        return kc_json_to_str(o);
}

/* AuthorizationConfiguration (apiserver.config.k8s.io/v1, v1beta1, v1alpha1) and the flags in its place, with
 * upstream's checks and messages. matchConditions need CEL, which is not there: a configuration that has some is
 * refused, because leaving them out would ask a webhook about requests that are not its own. */
#include "auth/authz_config.h"

#include <errno.h>
#include <string.h>

#include "api/names.h"
#include "api/shape.h"
#include "base/file.h"
#include "base/str.h"
#include "json/yaml.h"

#define MAX_TIMEOUT (30 * KC_SEC)
#define DEFAULT_AUTHORIZED_TTL (300 * KC_SEC)
#define DEFAULT_UNAUTHORIZED_TTL (30 * KC_SEC)
#define CONFIG_GROUP "apiserver.config.k8s.io/"

const char *const authz_mode_names[] = {"AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "ABAC", "Webhook", NULL};

static int mode_of(const char *name)
{
        for (int i = 0; i < AUTHZ_N_MODES; i++)
                if (kc_streq(authz_mode_names[i], name))
                        return i;
        return -1;
}

void authz_specs_done(struct authz_specs *s)
{
        for (size_t i = 0; i < s->n; i++) {
                kc_free(s->v[i].name);
                kc_free(s->v[i].webhook.kubeconfig);
                kc_free(s->v[i].webhook.version);
        }
        kc_free(s->v);
        *s = (struct authz_specs){0};
}

static struct authz_spec *add(struct authz_specs *s, enum authz_mode mode, const char *name)
{
        s->v = kc_reallocarray(s->v, s->n + 1, sizeof(*s->v));
        s->v[s->n] = (struct authz_spec){.mode = mode, .name = kc_strdup(name)};
        return &s->v[s->n++];
}

/* --- flags */

static int check_flags(const struct kc_authz_opts *o, struct kc_error *err)
{
        bool abac = kc_strv_has(o->modes, "ABAC"), webhook = kc_strv_has(o->modes, "Webhook");
        if (abac && kc_str_empty(o->policy_file))
                return kc_error_set(err, EINVAL, "authorization-mode ABAC's authorization policy file not passed");
        if (webhook && kc_str_empty(o->webhook_config_file))
                return kc_error_set(err, EINVAL, "authorization-mode Webhook's authorization config file not passed");
        if (!abac && !kc_str_empty(o->policy_file))
                return kc_error_set(err, EINVAL, "cannot specify --authorization-policy-file without mode ABAC");
        if (!webhook && !kc_str_empty(o->webhook_config_file))
                return kc_error_set(
                    err, EINVAL, "cannot specify --authorization-webhook-config-file without mode Webhook");
        if (webhook && !kc_streq(o->webhook_version, "v1") && !kc_streq(o->webhook_version, "v1beta1"))
                return kc_error_set(err, EINVAL,
                    "unsupported webhook authorizer version \"%s\", supported versions are "
                    "\"v1\", \"v1beta1\"",
                    o->webhook_version ? o->webhook_version : "");
        return 0;
}

int authz_specs_from_flags(const struct kc_authz_opts *o, struct authz_specs *ret, struct kc_error *err)
{
        if (kc_strv_len(o->modes) == 0)
                return kc_error_set(err, EINVAL, "at least one authorization-mode must be passed");
        KC_CLEANUP(authz_specs_done) struct authz_specs s = {0};
        for (char *const *m = o->modes; *m; m++) {
                int mode = mode_of(*m);
                if (mode < 0)
                        return kc_error_set(err, EINVAL, "authorization-mode \"%s\" is not a valid mode", *m);
                for (size_t i = 0; i < s.n; i++)
                        if (s.v[i].mode == (enum authz_mode)mode)
                                return kc_error_set(
                                    err, EINVAL, "authorization-mode [%s] has mode specified more than once", *m);
                struct authz_spec *spec = add(&s, (enum authz_mode)mode, mode == AUTHZ_WEBHOOK ? "default" : *m);
                if (mode == AUTHZ_WEBHOOK)
                        spec->webhook = (struct authz_webhook_spec){.kubeconfig = kc_strdup(o->webhook_config_file),
                            .version = kc_strdup(o->webhook_version),
                            .authorized_ttl = o->webhook_authorized_ttl,
                            .unauthorized_ttl = o->webhook_unauthorized_ttl,
                            .cache_authorized = o->webhook_authorized_ttl > 0,
                            .cache_unauthorized = o->webhook_unauthorized_ttl > 0,
                            .timeout = MAX_TIMEOUT};
        }
        int r = check_flags(o, err);
        if (r < 0)
                return r;
        *ret = s;
        s = (struct authz_specs){0};
        return 0;
}

/* --- the file */

/* Strict, as upstream reads it: a misspelt field must not be one that does not count. */
static const struct kc_shape connection_shape[] = {
    {"type", KC_SHAPE_STRING, NULL},
    {"kubeConfigFile", KC_SHAPE_STRING, NULL},
    {0},
};
static const struct kc_shape condition_shape[] = {{"expression", KC_SHAPE_STRING, NULL}, {0}};
static const struct kc_shape webhook_shape[] = {
    {"timeout", KC_SHAPE_STRING, NULL},
    {"authorizedTTL", KC_SHAPE_STRING, NULL},
    {"unauthorizedTTL", KC_SHAPE_STRING, NULL},
    {"cacheAuthorizedRequests", KC_SHAPE_BOOL, NULL},
    {"cacheUnauthorizedRequests", KC_SHAPE_BOOL, NULL},
    {"subjectAccessReviewVersion", KC_SHAPE_STRING, NULL},
    {"matchConditionSubjectAccessReviewVersion", KC_SHAPE_STRING, NULL},
    {"failurePolicy", KC_SHAPE_STRING, NULL},
    {"connectionInfo", KC_SHAPE_OBJECT, connection_shape},
    {"matchConditions", KC_SHAPE_OBJECTS, condition_shape},
    {0},
};
static const struct kc_shape authorizer_shape[] = {
    {"type", KC_SHAPE_STRING, NULL},
    {"name", KC_SHAPE_STRING, NULL},
    {"webhook", KC_SHAPE_OBJECT, webhook_shape},
    {0},
};
static const struct kc_shape file_shape[] = {
    {"apiVersion", KC_SHAPE_STRING, NULL},
    {"kind", KC_SHAPE_STRING, NULL},
    {"authorizers", KC_SHAPE_OBJECTS, authorizer_shape},
    {0},
};

struct check {
        struct kc_field_errors errors;
        char *path; /* "authorizers[1]" */
};

static char *at(const struct check *c, const char *field)
{
        return kc_asprintf("%s.%s", c->path, field);
}

static void complain(struct check *c, const char *field, const struct json_object *value, const char *detail)
{
        KC_CLEANUP(kc_freep) char *where = at(c, field);
        if (detail[0] == '\0')
                kc_field_required(&c->errors, where, "");
        else
                kc_field_invalid(&c->errors, where, value, detail);
}

/* One of the values, or complaints. valid: as kc_field_not_supported. */
static const char *choice(
    struct check *c, const char *field, const struct json_object *o, const char *key, const char *const *valid)
{
        const char *v = kc_json_str(o, key);
        KC_CLEANUP(kc_freep) char *where = at(c, field);
        if (kc_str_empty(v))
                kc_field_required(&c->errors, where, "");
        else if (!kc_strv_has((char *const *)valid, v))
                kc_field_not_supported(&c->errors, where, v, valid);
        return v ? v : "";
}

/* A duration above zero; 0 with complaints. def 0: it must be given. */
static int64_t duration(
    struct check *c, const char *field, const struct json_object *o, const char *key, int64_t def, int64_t max)
{
        const char *text = kc_json_str(o, key);
        int64_t usec = 0;
        if (text && kc_duration_parse(text, &usec) < 0) {
                complain(c, field, kc_json_get(o, key), "is no duration");
                return 0;
        }
        if (usec == 0)
                usec = def;
        if (usec == 0)
                complain(c, field, NULL, "");
        else if (usec < 0 || (max && usec > max))
                complain(c, field, kc_json_get(o, key), max ? "must be > 0s and <= 30s" : "must be > 0s");
        return usec;
}

static void parse_connection(struct check *c, const struct json_object *webhook, struct authz_webhook_spec *ret)
{
        static const char *const types[] = {"InClusterConfig", "KubeConfigFile", NULL};
        const struct json_object *info = kc_json_get(webhook, "connectionInfo");
        const char *type = choice(c, "connectionInfo.type", info, "type", types),
                   *file = kc_json_str(info, "kubeConfigFile");
        if (strcmp(type, "InClusterConfig") == 0 && file)
                complain(c, "connectionInfo.kubeConfigFile", kc_json_get(info, "kubeConfigFile"),
                    "can only be set when type=KubeConfigFile");
        if (strcmp(type, "KubeConfigFile") != 0)
                return;
        if (kc_str_empty(file))
                complain(c, "connectionInfo.kubeConfigFile", NULL, "");
        else if (file[0] != '/')
                complain(c, "connectionInfo.kubeConfigFile", kc_json_get(info, "kubeConfigFile"),
                    "must be an absolute path");
        else if (!kc_path_exists(file))
                complain(
                    c, "connectionInfo.kubeConfigFile", kc_json_get(info, "kubeConfigFile"), "file does not exist");
        else
                ret->kubeconfig = kc_strdup(file);
}

static void parse_webhook(struct check *c, const struct json_object *o, struct authz_webhook_spec *ret)
{
        static const char *const versions[] = {"v1", "v1beta1", NULL}, *const policies[] = {"Deny", "NoOpinion", NULL},
                                 *const match_versions[] = {"v1", NULL};
        *ret = (struct authz_webhook_spec){
            .timeout = duration(c, "timeout", o, "timeout", 0, MAX_TIMEOUT),
            .authorized_ttl = duration(c, "authorizedTTL", o, "authorizedTTL", DEFAULT_AUTHORIZED_TTL, 0),
            .unauthorized_ttl = duration(c, "unauthorizedTTL", o, "unauthorizedTTL", DEFAULT_UNAUTHORIZED_TTL, 0),
            .cache_authorized = kc_json_bool(o, "cacheAuthorizedRequests", true),
            .cache_unauthorized = kc_json_bool(o, "cacheUnauthorizedRequests", true),
            .version = kc_strdup(choice(c, "subjectAccessReviewVersion", o, "subjectAccessReviewVersion", versions)),
        };
        const struct json_object *conditions = kc_json_get(o, "matchConditions");
        if (kc_json_len(conditions) > 0 || kc_json_get(o, "matchConditionSubjectAccessReviewVersion"))
                (void)choice(c, "matchConditionSubjectAccessReviewVersion", o,
                    "matchConditionSubjectAccessReviewVersion", match_versions);
        ret->deny_on_failure = strcmp(choice(c, "failurePolicy", o, "failurePolicy", policies), "Deny") == 0;
        parse_connection(c, o, ret);
        if (kc_json_len(conditions) > 0) {
                KC_CLEANUP(kc_freep) char *where = at(c, "matchConditions");
                kc_field_forbidden(&c->errors, where, "expressions (CEL) are not supported yet");
        }
}

static bool has_name(const struct authz_specs *s, const char *name)
{
        for (size_t i = 0; i < s->n; i++)
                if (kc_streq(s->v[i].name, name))
                        return true;
        return false;
}

static void check_name(struct check *c, const struct authz_specs *s, const char *name)
{
        KC_CLEANUP(kc_freep) char *where = at(c, "name");
        struct kc_why why = {0};
        if (kc_str_empty(name)) {
                kc_field_required(&c->errors, where, "");
                return;
        }
        if (has_name(s, name))
                kc_field_duplicate(&c->errors, where, name);
        kc_name_dns1123_subdomain(name, &why);
        for (size_t i = 0; i < why.n; i++) {
                KC_CLEANUP(kc_freep) char *detail = kc_asprintf("authorizer name is invalid: %s", why.v[i]);
                kc_field_invalid_str(&c->errors, where, name, detail);
        }
}

static void parse_authorizer(struct check *c, const struct json_object *o, struct authz_specs *ret)
{
        const char *type = choice(c, "type", o, "type", authz_mode_names), *name = kc_json_str(o, "name");
        const struct json_object *webhook = kc_json_get(o, "webhook");
        int mode = mode_of(type);
        KC_CLEANUP(kc_freep) char *where = at(c, "type");
        for (size_t i = 0; mode >= 0 && mode != AUTHZ_WEBHOOK && i < ret->n; i++)
                if (ret->v[i].mode == (enum authz_mode)mode)
                        kc_field_duplicate(&c->errors, where, type);
        check_name(c, ret, name);
        if (mode < 0)
                return;
        struct authz_spec *spec = add(ret, (enum authz_mode)mode, name ? name : "");
        KC_CLEANUP(kc_freep) char *below = at(c, "webhook");
        if (mode != AUTHZ_WEBHOOK && webhook)
                kc_field_invalid_str(&c->errors, below, "non-null", "may only be specified when type=Webhook");
        if (mode == AUTHZ_WEBHOOK && !webhook)
                kc_field_required(&c->errors, below, "required when type=Webhook");
        if (mode != AUTHZ_WEBHOOK || !webhook)
                return;
        struct check inner = {.errors = c->errors, .path = below};
        parse_webhook(&inner, webhook, &spec->webhook);
        c->errors = inner.errors;
}

static int check_kind(const struct json_object *o, struct kc_error *err)
{
        static const char *const versions[] = {"v1", "v1beta1", "v1alpha1", NULL};
        const char *api = kc_json_str(o, "apiVersion"), *kind = kc_json_str(o, "kind");
        if (api && kc_str_has_prefix(api, CONFIG_GROUP) &&
            kc_strv_has((char *const *)versions, api + strlen(CONFIG_GROUP)) &&
            kc_streq(kind, "AuthorizationConfiguration"))
                return 0;
        return kc_error_set(err, EINVAL,
            "no kind \"%s\" is registered for version \"%s\": expected AuthorizationConfiguration of " CONFIG_GROUP
            "v1",
            kind ? kind : "", api ? api : "");
}

int authz_specs_parse(const char *text, size_t len, struct authz_specs *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = NULL;
        int r = kc_yaml_parse(text, len, NULL, &o, err);
        if (r == 0)
                r = check_kind(o, err);
        if (r < 0)
                return r;
        struct check c = {0};
        KC_CLEANUP(authz_specs_done) struct authz_specs s = {0};
        const struct json_object *list = kc_json_get(o, "authorizers");
        kc_shape_check(&c.errors, o, "", file_shape, KC_SHAPE_REFUSE_UNKNOWN);
        if (c.errors.n == 0 && kc_json_len(list) == 0)
                kc_field_required(&c.errors, "authorizers", "at least one authorization mode must be defined");
        bool well_formed = c.errors.n == 0;
        for (size_t i = 0; well_formed && i < kc_json_len(list); i++) {
                c.path = kc_asprintf("authorizers[%zu]", i);
                parse_authorizer(&c, kc_json_idx(list, i), &s);
                kc_free(KC_TAKE(c.path));
        }
        if (c.errors.n > 0) {
                KC_CLEANUP(kc_freep) char *all = kc_field_errors_text(&c.errors);
                kc_field_errors_done(&c.errors);
                return kc_error_set(err, EINVAL, "%s", all);
        }
        *ret = s;
        s = (struct authz_specs){0};
        return 0;
}

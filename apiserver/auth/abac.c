/* The ABAC authorizer: a file of policies, one JSON object a line (abac.authorization.kubernetes.io/v1beta1). Immutable
 * once loaded: any thread. */
#include <errno.h>
#include <string.h>

#include "api/shape.h"
#include "auth/authz_internal.h"
#include "base/file.h"
#include "base/str.h"

#define API_VERSION "abac.authorization.kubernetes.io/v1beta1"

enum { MAX_POLICY_FILE = 16 << 20 };

struct policy {
        char *user, *group, *ns, *api_group, *resource, *path; /* "" when absent */
        bool readonly;
};

struct authz_abac {
        struct policy *v;
        size_t n;
};

void authz_abac_free(struct authz_abac *a)
{
        if (!a)
                return;
        for (size_t i = 0; i < a->n; i++) {
                char *const strings[] = {
                    a->v[i].user, a->v[i].group, a->v[i].ns, a->v[i].api_group, a->v[i].resource, a->v[i].path};
                for (size_t k = 0; k < KC_ARRAY_LEN(strings); k++)
                        kc_free(strings[k]);
        }
        kc_free(a->v);
        kc_free(a);
}

static char *string(const struct json_object *spec, const char *key)
{
        const char *s = kc_json_str(spec, key);
        return kc_strdup(s ? s : "");
}

/* A wrong type must not be a right that is wider than was meant. */
static int check_shape(const struct json_object *o, struct kc_error *err)
{
        static const struct kc_shape spec[] = {
            {"user", KC_SHAPE_STRING, NULL},
            {"group", KC_SHAPE_STRING, NULL},
            {"namespace", KC_SHAPE_STRING, NULL},
            {"apiGroup", KC_SHAPE_STRING, NULL},
            {"resource", KC_SHAPE_STRING, NULL},
            {"nonResourcePath", KC_SHAPE_STRING, NULL},
            {"readonly", KC_SHAPE_BOOL, NULL},
            {0},
        };
        static const struct kc_shape policy[] = {{"spec", KC_SHAPE_OBJECT, spec}, {0}};
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        kc_shape_check(&errors, o, "", policy, KC_SHAPE_IGNORE_UNKNOWN);
        if (errors.n == 0)
                return 0;
        KC_CLEANUP(kc_freep) char *why = kc_field_errors_text(&errors);
        return kc_error_set(err, EINVAL, "%s", why);
}

static int add_line(struct authz_abac *a, const char *line, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = NULL;
        int r = kc_json_parse(line, strlen(line), NULL, &o, err);
        if (r < 0)
                return r;
        const struct json_object *spec = kc_json_get(o, "spec");
        if (!kc_streq(kc_json_str(o, "apiVersion"), API_VERSION) || !kc_streq(kc_json_str(o, "kind"), "Policy"))
                return kc_error_set(err, EINVAL, "a Policy of " API_VERSION " is expected");
        r = check_shape(o, err);
        if (r < 0)
                return r;
        a->v = kc_reallocarray(a->v, a->n + 1, sizeof(*a->v));
        struct policy *p = &a->v[a->n++];
        *p = (struct policy){.user = string(spec, "user"),
            .group = string(spec, "group"),
            .ns = string(spec, "namespace"),
            .api_group = string(spec, "apiGroup"),
            .resource = string(spec, "resource"),
            .path = string(spec, "nonResourcePath"),
            .readonly = kc_json_bool(spec, "readonly", false)};
        /* "*" for a user or a group is everybody who has been authenticated. */
        if (strcmp(p->user, "*") == 0 || strcmp(p->group, "*") == 0)
                kc_str_set(&p->group, KC_GROUP_AUTHENTICATED);
        return 0;
}

int authz_abac_load(const char *file, struct authz_abac **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        int r = kc_file_read(file, MAX_POLICY_FILE, &text, err);
        if (r < 0)
                return kc_error_wrap(err, "--authorization-policy-file");
        struct authz_abac *a = KC_NEW(struct authz_abac);
        KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(kc_buf_str(&text), '\n');
        for (size_t i = 0; r == 0 && lines && lines[i]; i++) {
                KC_CLEANUP(kc_freep) char *line = kc_str_trim(lines[i]);
                if (line[0] == '\0' || line[0] == '#')
                        continue;
                r = add_line(a, line, err);
                if (r < 0)
                        r = kc_error_wrap(err, "error reading policy file %s, line %zu", file, i);
        }
        if (r < 0) {
                authz_abac_free(a);
                return r;
        }
        *ret = a;
        return 0;
}

/* --- asking */

static bool names(const char *policy, const char *value)
{
        return strcmp(policy, "*") == 0 || strcmp(policy, value) == 0;
}

/* A policy of nobody is one for nobody. */
static bool is_subject(const struct policy *p, const struct kc_user *u)
{
        if (p->user[0] && !names(p->user, u->name))
                return false;
        if (p->group[0] && !kc_user_in_group(u, p->group))
                return false;
        return p->user[0] || p->group[0];
}

static bool path_matches(const char *policy, const char *path)
{
        size_t n = strlen(policy);
        if (names(policy, path))
                return true;
        return n > 0 && policy[n - 1] == '*' && strncmp(policy, path, n - 1) == 0;
}

static bool policy_allows(const struct policy *p, const struct kc_authz_attrs *a)
{
        static const char *const reading[] = {"get", "list", "watch", NULL};
        if (!is_subject(p, a->user) || (p->readonly && !kc_strv_has((char *const *)reading, a->verb)))
                return false;
        if (!a->resource_request)
                return path_matches(p->path, a->path);
        return names(p->ns, a->ns) && names(p->resource, a->resource) && names(p->api_group, a->group);
}

bool authz_abac_allows(const struct authz_abac *b, const struct kc_authz_attrs *a, char **ret_reason)
{
        for (size_t i = 0; i < b->n; i++)
                if (policy_allows(&b->v[i], a))
                        return true;
        if (ret_reason)
                *ret_reason = kc_strdup("No policy matched.");
        return false;
}

void authz_abac_visit(const struct authz_abac *b, const struct kc_user *u, const char *ns,
    void (*fn)(const struct rbac_rule *rule, void *arg), void *arg)
{
        static const char *const reading[] = {"get", "list", "watch", NULL}, *const all[] = {"*", NULL};
        for (size_t i = 0; i < b->n; i++) {
                const struct policy *p = &b->v[i];
                if (!is_subject(p, u))
                        continue;
                char **verbs = (char **)(p->readonly ? reading : all);
                if (p->resource[0] && names(p->ns, ns)) {
                        char *groups[] = {p->api_group, NULL}, *resources[] = {p->resource, NULL};
                        fn(&(struct rbac_rule){.verbs = verbs, .groups = groups, .resources = resources}, arg);
                }
                if (p->path[0]) {
                        char *urls[] = {p->path, NULL};
                        fn(&(struct rbac_rule){.verbs = verbs, .urls = urls}, arg);
                }
        }
}

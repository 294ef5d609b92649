/* Parsing and evaluation of the audit policy. Any thread. */
#include "audit/policy.h"

#include <errno.h>
#include <string.h>

#include "api/shape.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "json/yaml.h"

enum { POLICY_MAX = 4 << 20 };

const char *const kc_audit_levels[] = {"None", "Metadata", "Request", "RequestResponse", NULL};
const char *const kc_audit_stages[] = {"RequestReceived", "ResponseStarted", "ResponseComplete", "Panic", NULL};

struct group_resources {
        char *group;
        char **resources, **names; /* strv */
};

struct rule {
        struct kc_audit_decision decision;
        char **users, **groups, **verbs, **namespaces, **urls; /* strv, NULL: any */
        struct group_resources *resources;
        size_t n_resources;
};

struct kc_audit_policy {
        struct rule *rules;
        size_t n;
        unsigned omitted_stages;
};

/* --- parsing */

static char **strings(const struct json_object *o, const char *key)
{
        const struct json_object *list = kc_json_get(o, key);
        char **v = NULL;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *s = kc_json_as_str(kc_json_idx(list, i));
                kc_strv_push(&v, s ? s : "");
        }
        return v;
}

static int index_of(const char *const *names, const char *name)
{
        for (int i = 0; names[i]; i++)
                if (kc_streq(names[i], name))
                        return i;
        return -1;
}

static unsigned parse_stages(const struct json_object *o, const char *path, struct kc_field_errors *errors)
{
        const struct json_object *list = kc_json_get(o, "omitStages");
        unsigned bits = 0;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *name = kc_json_as_str(kc_json_idx(list, i));
                int stage = index_of(kc_audit_stages, name);
                KC_CLEANUP(kc_freep) char *where = kc_asprintf("%somitStages[%zu]", path, i);
                if (stage < 0)
                        kc_field_invalid_str(errors, where, name,
                            "allowed stages are [RequestReceived,ResponseStarted,ResponseComplete,Panic]");
                else
                        bits |= 1U << (unsigned)stage;
        }
        return bits;
}

static void check_urls(char *const *urls, const char *path, struct kc_field_errors *errors)
{
        for (size_t i = 0; urls && urls[i]; i++) {
                const char *u = urls[i], *star = strchr(u, '*');
                KC_CLEANUP(kc_freep) char *where = kc_asprintf("%snonResourceURLs[%zu]", path, i);
                if (strcmp(u, "*") == 0)
                        continue;
                if (u[0] != '/')
                        kc_field_invalid_str(
                            errors, where, u, "non-resource URL rules must begin with a '/' character");
                if (star && star[1])
                        kc_field_invalid_str(
                            errors, where, u, "non-resource URL wildcards '*' must be the final character of the rule");
        }
}

static void parse_resources(
    const struct json_object *o, struct rule *r, const char *path, struct kc_field_errors *errors)
{
        const struct json_object *list = kc_json_get(o, "resources");
        r->n_resources = kc_json_len(list);
        r->resources = kc_calloc(r->n_resources, sizeof(*r->resources));
        for (size_t i = 0; i < r->n_resources; i++) {
                const struct json_object *g = kc_json_idx(list, i);
                const char *group = kc_json_str(g, "group");
                r->resources[i] = (struct group_resources){.group = kc_strdup(group ? group : ""),
                    .resources = strings(g, "resources"),
                    .names = strings(g, "resourceNames")};
                KC_CLEANUP(kc_freep) char *where = kc_asprintf("%sresources[%zu]", path, i);
                if (r->resources[i].names && !r->resources[i].resources) {
                        KC_CLEANUP(kc_freep) char *names = kc_asprintf("%s.resourceNames", where);
                        kc_field_invalid(errors, names, kc_json_get(g, "resourceNames"),
                            "using resourceNames requires at least one resource");
                }
                if (strchr(r->resources[i].group, '/')) {
                        KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s.group", where);
                        kc_field_invalid_str(errors, at, group, "must be a group without a version");
                }
        }
}

static void parse_rule(
    const struct json_object *o, size_t i, bool omit_managed_fields, struct rule *r, struct kc_field_errors *errors)
{
        KC_CLEANUP(kc_freep) char *path = kc_asprintf("rules[%zu].", i);
        KC_CLEANUP(kc_freep) char *level_path = kc_asprintf("%slevel", path);
        const char *level = kc_json_str(o, "level");
        int n = index_of(kc_audit_levels, level);
        if (kc_str_empty(level))
                kc_field_required(errors, level_path, "");
        else if (n < 0)
                kc_field_not_supported(errors, level_path, level, kc_audit_levels);
        r->decision = (struct kc_audit_decision){.level = n < 0 ? KC_AUDIT_NONE : (enum kc_audit_level)n,
            .omitted_stages = parse_stages(o, path, errors),
            .omit_managed_fields = kc_json_bool(o, "omitManagedFields", omit_managed_fields)};
        r->users = strings(o, "users");
        r->groups = strings(o, "userGroups");
        r->verbs = strings(o, "verbs");
        r->namespaces = strings(o, "namespaces");
        r->urls = strings(o, "nonResourceURLs");
        parse_resources(o, r, path, errors);
        check_urls(r->urls, path, errors);
        if (r->urls && (r->n_resources || r->namespaces)) {
                KC_CLEANUP(kc_freep) char *where = kc_asprintf("%snonResourceURLs", path);
                kc_field_invalid(errors, where, kc_json_get(o, "nonResourceURLs"),
                    "rules cannot apply to both regular resources and non-resource URLs");
        }
}

/* A list that is none would make a rule one for everybody. */
static const struct kc_shape resources_shape[] = {
    {"group", KC_SHAPE_STRING, NULL},
    {"resources", KC_SHAPE_STRINGS, NULL},
    {"resourceNames", KC_SHAPE_STRINGS, NULL},
    {0},
};
static const struct kc_shape rule_shape[] = {
    {"level", KC_SHAPE_STRING, NULL},
    {"users", KC_SHAPE_STRINGS, NULL},
    {"userGroups", KC_SHAPE_STRINGS, NULL},
    {"verbs", KC_SHAPE_STRINGS, NULL},
    {"resources", KC_SHAPE_OBJECTS, resources_shape},
    {"namespaces", KC_SHAPE_STRINGS, NULL},
    {"nonResourceURLs", KC_SHAPE_STRINGS, NULL},
    {"omitStages", KC_SHAPE_STRINGS, NULL},
    {"omitManagedFields", KC_SHAPE_BOOL, NULL},
    {0},
};
static const struct kc_shape policy_shape[] = {
    {"rules", KC_SHAPE_OBJECTS, rule_shape},
    {"omitStages", KC_SHAPE_STRINGS, NULL},
    {"omitManagedFields", KC_SHAPE_BOOL, NULL},
    {0},
};

static void warn_unknown(const struct json_object *o, const char *const *known, const char *what)
{
        KC_JSON_FOREACH(o, key, v)
        {
                (void)v; /* its name is what counts */
                if (index_of(known, key) < 0)
                        kc_log_warn("Audit policy has an unknown field, ignoring", "in", what, "field", key);
        }
}

int kc_audit_policy_new(const struct json_object *tree, struct kc_audit_policy **ret, struct kc_error *err)
{
        static const char *const top[] = {
            "apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields", NULL};
        static const char *const in_rule[] = {"level", "users", "userGroups", "verbs", "resources", "namespaces",
            "nonResourceURLs", "omitStages", "omitManagedFields", NULL};
        if (!kc_streq(kc_json_str(tree, "apiVersion"), "audit.k8s.io/v1") ||
            !kc_streq(kc_json_str(tree, "kind"), "Policy"))
                return kc_error_set(err, EINVAL,
                    "no kind \"Policy\" of audit.k8s.io/v1 in it, but apiVersion \"%s\" and kind \"%s\"",
                    kc_json_str(tree, "apiVersion") ? kc_json_str(tree, "apiVersion") : "",
                    kc_json_str(tree, "kind") ? kc_json_str(tree, "kind") : "");
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        kc_shape_check(&errors, tree, "", policy_shape, KC_SHAPE_IGNORE_UNKNOWN);
        if (errors.n > 0) {
                KC_CLEANUP(kc_freep) char *text = kc_field_errors_text(&errors);
                return kc_error_set(err, EINVAL, "%s", text);
        }
        const struct json_object *rules = kc_json_get(tree, "rules");
        if (kc_json_len(rules) == 0)
                return kc_error_set(err, EINVAL, "loaded illegal policy with 0 rules");
        warn_unknown(tree, top, "policy");
        KC_CLEANUP(kc_audit_policy_freep) struct kc_audit_policy *p = KC_NEW(struct kc_audit_policy);
        p->omitted_stages = parse_stages(tree, "", &errors);
        p->n = kc_json_len(rules);
        p->rules = kc_calloc(p->n, sizeof(*p->rules));
        for (size_t i = 0; i < p->n; i++) {
                const struct json_object *r = kc_json_idx(rules, i);
                warn_unknown(r, in_rule, "rule");
                parse_rule(r, i, kc_json_bool(tree, "omitManagedFields", false), &p->rules[i], &errors);
                p->rules[i].decision.omitted_stages |= p->omitted_stages;
        }
        if (errors.n > 0) {
                KC_CLEANUP(kc_freep) char *text = kc_field_errors_text(&errors);
                return kc_error_set(err, EINVAL, "%s", text);
        }
        *ret = KC_TAKE(p);
        return 0;
}

int kc_audit_policy_load(const char *path, struct kc_audit_policy **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        int r = kc_file_read(path, POLICY_MAX, &text, err);
        if (r == 0)
                r = kc_yaml_parse(kc_buf_str(&text), text.len, NULL, &tree, err);
        if (r == 0)
                r = kc_audit_policy_new(tree, ret, err);
        return r < 0 ? kc_error_wrap(err, "loading audit policy file %s", path) : 0;
}

void kc_audit_policy_free(struct kc_audit_policy *p)
{
        if (!p)
                return;
        for (size_t i = 0; i < p->n; i++) {
                struct rule *r = &p->rules[i];
                char **const lists[] = {r->users, r->groups, r->verbs, r->namespaces, r->urls};
                for (size_t k = 0; k < KC_ARRAY_LEN(lists); k++)
                        kc_strv_free(lists[k]);
                for (size_t k = 0; k < r->n_resources; k++) {
                        kc_free(r->resources[k].group);
                        kc_strv_free(r->resources[k].resources);
                        kc_strv_free(r->resources[k].names);
                }
                kc_free(r->resources);
        }
        kc_free(p->rules);
        kc_free(p);
}

/* --- evaluation */

static const char *text(const char *s)
{
        return s ? s : "";
}

static bool in_groups(const struct kc_user *u, char *const *groups)
{
        for (; u && *groups; groups++)
                if (kc_user_in_group(u, *groups))
                        return true;
        return false;
}

/* "pods", "pods/log", "pods/<all>", "<all>/log", "<all>": with a star for <all>. */
static bool names_resource(const char *pattern, const char *resource, const char *subresource)
{
        size_t len = strlen(resource);
        if (strcmp(pattern, "*") == 0)
                return true;
        if (!subresource[0])
                return strcmp(pattern, resource) == 0 ||
                       (strncmp(pattern, resource, len) == 0 && strcmp(pattern + len, "/*") == 0);
        if (strncmp(pattern, "*/", 2) == 0)
                return strcmp(pattern + 2, subresource) == 0;
        if (strncmp(pattern, resource, len) != 0 || pattern[len] != '/')
                return false;
        return strcmp(pattern + len + 1, "*") == 0 || strcmp(pattern + len + 1, subresource) == 0;
}

static bool matches_resource(const struct rule *r, const struct kc_authz_attrs *a)
{
        if (!a->resource_request || (r->namespaces && !kc_strv_has(r->namespaces, text(a->ns))))
                return false;
        for (size_t i = 0; i < r->n_resources; i++) {
                const struct group_resources *g = &r->resources[i];
                if (strcmp(g->group, text(a->group)) != 0)
                        continue;
                if (!g->resources)
                        return true;
                if (g->names && !kc_strv_has(g->names, text(a->name)))
                        continue;
                for (char **p = g->resources; *p; p++)
                        if (names_resource(*p, text(a->resource), text(a->subresource)))
                                return true;
        }
        return r->n_resources == 0;
}

static bool matches_url(const struct rule *r, const struct kc_authz_attrs *a)
{
        for (char **p = r->urls; !a->resource_request && *p; p++) {
                size_t len = strlen(*p);
                if (strcmp(*p, "*") == 0 || kc_streq(*p, a->path) ||
                    (len > 0 && (*p)[len - 1] == '*' && strncmp(*p, text(a->path), len - 1) == 0))
                        return true;
        }
        return false;
}

static bool matches(const struct rule *r, const struct kc_authz_attrs *a)
{
        if (r->users && !(a->user && kc_strv_has(r->users, a->user->name)))
                return false;
        if (r->groups && !in_groups(a->user, r->groups))
                return false;
        if (r->verbs && !kc_strv_has(r->verbs, text(a->verb)))
                return false;
        if (r->namespaces || r->n_resources)
                return matches_resource(r, a);
        return !r->urls || matches_url(r, a);
}

struct kc_audit_decision kc_audit_policy_decide(const struct kc_audit_policy *p, const struct kc_authz_attrs *a)
{
        for (size_t i = 0; i < p->n; i++)
                if (matches(&p->rules[i], a))
                        return p->rules[i].decision;
        return (struct kc_audit_decision){.level = KC_AUDIT_NONE, .omitted_stages = p->omitted_stages};
}

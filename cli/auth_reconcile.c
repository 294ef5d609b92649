/* kubec auth reconcile. Main thread. */
#include "cli/auth_reconcile.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/manifest_options.h"
#include "cli/write.h"

static struct {
        struct kc_manifest_options from;
        bool remove_permissions, remove_subjects;
} opt;
static struct kc_write w = {.allow_missing_keys = true, .typed = true};

const struct kc_flag kc_auth_reconcile_flags[KC_AUTH_RECONCILE_N_FLAGS] = {
    KC_MANIFEST_FLAGS(opt.from, "Auth"),
    {"remove-extra-permissions", 0, KC_FLAG_BOOL, &opt.remove_permissions, "roles have no rules but those", "Auth"},
    {"remove-extra-subjects", 0, KC_FLAG_BOOL, &opt.remove_subjects, "bindings have no subjects but those", "Auth"},
    KC_WRITE_PRINT_FLAGS(w, "Auth"),
    KC_WRITE_DRY_RUN_FLAG(w, "Auth"),
};

/* --- rules: one of a rule's verbs, groups, resources and names, or of its verbs and URLs */

static void push_part(struct json_object *parts, const struct json_object *verb, const char *field,
    const struct json_object *value, const struct json_object *group, const struct json_object *name)
{
        struct json_object *p = kc_json_build("{'verbs':[%o],%s:[%o]}", kc_json_copy(verb), field, kc_json_copy(value));
        if (group)
                kc_json_push(kc_json_ensure_arr(p, "apiGroups"), kc_json_copy(group));
        if (name)
                kc_json_push(kc_json_ensure_arr(p, "resourceNames"), kc_json_copy(name));
        kc_json_push(parts, p);
}

static void break_down(const struct json_object *rule, struct json_object *parts)
{
        const struct json_object *groups = kc_json_get(rule, "apiGroups"), *resources = kc_json_get(rule, "resources"),
                                 *verbs = kc_json_get(rule, "verbs"), *names = kc_json_get(rule, "resourceNames"),
                                 *urls = kc_json_get(rule, "nonResourceURLs");
        for (size_t g = 0; g < kc_json_len(groups); g++)
                for (size_t r = 0; r < kc_json_len(resources); r++)
                        for (size_t v = 0; v < kc_json_len(verbs); v++) {
                                for (size_t n = 0; n < kc_json_len(names); n++)
                                        push_part(parts, kc_json_idx(verbs, v), "resources", kc_json_idx(resources, r),
                                            kc_json_idx(groups, g), kc_json_idx(names, n));
                                if (kc_json_len(names) == 0)
                                        push_part(parts, kc_json_idx(verbs, v), "resources", kc_json_idx(resources, r),
                                            kc_json_idx(groups, g), NULL);
                        }
        for (size_t u = 0; u < kc_json_len(urls); u++)
                for (size_t v = 0; v < kc_json_len(verbs); v++)
                        push_part(parts, kc_json_idx(verbs, v), "nonResourceURLs", kc_json_idx(urls, u), NULL, NULL);
}

static const char *first(const struct json_object *part, const char *field)
{
        return kc_json_as_str(kc_json_idx(kc_json_get(part, field), 0));
}

static bool has(const struct json_object *list, const char *value)
{
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(list, i)), value))
                        return true;
        return false;
}

/* "*" is all, "*" + "/status" that subresource of all. */
static bool has_resource(const struct json_object *list, const char *resource)
{
        const char *slash = strchr(resource, '/');
        KC_CLEANUP(kc_freep) char *any = slash ? kc_asprintf("*%s", slash) : NULL;
        return has(list, "*") || has(list, resource) || (any && has(list, any));
}

static bool has_url(const struct json_object *list, const char *url)
{
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *one = kc_json_as_str(kc_json_idx(list, i));
                size_t len = one ? strlen(one) : 0;
                if (kc_streq(one, url) || (len > 0 && one[len - 1] == '*' && strncmp(one, url, len - 1) == 0))
                        return true;
        }
        return false;
}

static bool rule_covers(const struct json_object *rule, const struct json_object *part)
{
        const struct json_object *verbs = kc_json_get(rule, "verbs"), *names = kc_json_get(rule, "resourceNames");
        if (!has(verbs, "*") && !has(verbs, first(part, "verbs")))
                return false;
        if (first(part, "nonResourceURLs"))
                return has_url(kc_json_get(rule, "nonResourceURLs"), first(part, "nonResourceURLs"));
        const struct json_object *groups = kc_json_get(rule, "apiGroups");
        const char *name = first(part, "resourceNames");
        return (has(groups, "*") || has(groups, first(part, "apiGroups"))) &&
               has_resource(kc_json_get(rule, "resources"), first(part, "resources")) &&
               (kc_json_len(names) == 0 || (name && has(names, name)));
}

/* The parts of rules that owner does not have. An array. */
static struct json_object *uncovered(const struct json_object *owner, const struct json_object *rules)
{
        KC_CLEANUP(kc_json_freep) struct json_object *parts = json_object_new_array();
        struct json_object *missing = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(rules); i++)
                break_down(kc_json_idx(rules, i), parts);
        for (size_t i = 0; i < kc_json_len(parts); i++) {
                bool covered = false;
                for (size_t k = 0; k < kc_json_len(owner) && !covered; k++)
                        covered = rule_covers(kc_json_idx(owner, k), kc_json_idx(parts, i));
                if (!covered)
                        kc_json_push(missing, kc_json_copy(kc_json_idx(parts, i)));
        }
        return missing;
}

/* --- subjects */

static struct json_object *absent(const struct json_object *owner, const struct json_object *subjects)
{
        struct json_object *missing = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(subjects); i++) {
                const struct json_object *s = kc_json_idx(subjects, i);
                bool there = false;
                for (size_t k = 0; k < kc_json_len(owner) && !there; k++) {
                        const struct json_object *o = kc_json_idx(owner, k);
                        there = kc_streq(kc_json_str(o, "kind"), kc_json_str(s, "kind")) &&
                                kc_streq(kc_json_str(o, "name"), kc_json_str(s, "name")) &&
                                kc_streq(kc_json_str(o, "namespace"), kc_json_str(s, "namespace"));
                }
                if (!there)
                        kc_json_push(missing, kc_json_copy(s));
        }
        return missing;
}

/* --- what has to be done */

struct result {
        const char *operation; /* "create", "update", "recreate"; NULL: nothing */
        struct json_object *obj, *missing, *extra;
};

static void result_done(struct result *r)
{
        kc_json_free(r->obj);
        kc_json_free(r->missing);
        kc_json_free(r->extra);
}

/* Labels and annotations that are wanted and not there. */
static bool add_metadata(struct json_object *obj, const struct json_object *wanted)
{
        static const char *const fields[] = {"labels", "annotations"};
        bool changed = false;
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++) {
                KC_JSON_FOREACH(kc_json_get(kc_json_get(wanted, "metadata"), fields[i]), key, val)
                {
                        struct json_object *into = kc_json_ensure_obj(kc_json_ensure_obj(obj, "metadata"), fields[i]);
                        if (kc_json_get(into, key))
                                continue;
                        kc_json_set(into, key, kc_json_copy(val));
                        changed = true;
                }
        }
        return changed;
}

/* field: "rules" or "subjects". */
static void compute(const struct json_object *live, const struct json_object *wanted, const char *field, bool remove,
    struct json_object *(*difference)(const struct json_object *, const struct json_object *), struct result *ret)
{
        const struct json_object *there = kc_json_get(live, field), *list = kc_json_get(wanted, field);
        if (!live) {
                *ret =
                    (struct result){.operation = "create", .obj = kc_json_copy(wanted), .missing = kc_json_copy(list)};
                return;
        }
        if (!kc_json_equal(kc_json_get(live, "roleRef"), kc_json_get(wanted, "roleRef"))) {
                *ret = (struct result){.operation = "recreate", .obj = kc_json_copy(wanted)};
                return;
        }
        ret->obj = kc_json_copy(live);
        ret->missing = difference(there, list);
        ret->extra = difference(list, there);
        bool changed = add_metadata(ret->obj, wanted);
        if (remove && kc_json_len(ret->extra) > 0) {
                kc_json_set(ret->obj, field, kc_json_copy(list));
                changed = true;
        } else {
                for (size_t i = 0; i < kc_json_len(ret->missing); i++)
                        kc_json_push(kc_json_ensure_arr(ret->obj, field), kc_json_copy(kc_json_idx(ret->missing, i)));
                changed = changed || kc_json_len(ret->missing) > 0;
        }
        const struct json_object *aggregation = kc_json_get(wanted, "aggregationRule");
        if (aggregation && !kc_json_equal(aggregation, kc_json_get(live, "aggregationRule"))) {
                kc_json_set(ret->obj, "aggregationRule", kc_json_copy(aggregation));
                changed = true;
        }
        ret->operation = changed ? "update" : NULL;
}

static int act(struct kc_cli *c, const struct kc_manifest *m, const struct result *r, struct kc_error *err)
{
        struct kc_rest *rest;
        struct kc_gvr g = kc_api_resource_gvr(m->res);
        bool update = kc_streq(r->operation, "update");
        if (!r->operation || w.dry_run == KC_DRY_RUN_CLIENT)
                return 0;
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0 && kc_streq(r->operation, "recreate") && w.dry_run == KC_DRY_RUN_NONE)
                e = kc_rest_delete(rest, &g, m->ns, m->name, NULL, NULL, err);
        struct kc_write_request q = {.method = update ? "PUT" : "POST",
            .res = m->res,
            .ns = m->ns,
            .name = update ? m->name : NULL,
            .body = r->obj};
        return e < 0 ? e : kc_write_send(c, &w, &q, NULL, err);
}

/* --- telling */

static void print_strings(FILE *out, const char *name, const struct json_object *list)
{
        (void)fprintf(out, "%s:[", name);
        for (size_t i = 0; i < kc_json_len(list); i++)
                (void)fprintf(out, "%s%s", i ? " " : "", kc_json_as_str(kc_json_idx(list, i)));
        (void)fputc(']', out);
}

static void print_list(struct kc_cli *c, const char *what, const struct json_object *list)
{
        if (kc_json_len(list) == 0)
                return;
        (void)fprintf(c->err, "\t%s:\n", what);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *o = kc_json_idx(list, i);
                const char *kind = kc_json_str(o, "kind"), *group = kc_json_str(o, "apiGroup"),
                           *ns = kc_json_str(o, "namespace");
                if (kind) {
                        (void)fprintf(c->err, "\t\t{Kind:%s APIGroup:%s Name:%s Namespace:%s}\n", kind,
                            group ? group : "", kc_json_str(o, "name"), ns ? ns : "");
                        continue;
                }
                (void)fputs("\t\t{", c->err);
                print_strings(c->err, "Verbs", kc_json_get(o, "verbs"));
                print_strings(c->err, " APIGroups", kc_json_get(o, "apiGroups"));
                print_strings(c->err, " Resources", kc_json_get(o, "resources"));
                print_strings(c->err, " ResourceNames", kc_json_get(o, "resourceNames"));
                print_strings(c->err, " NonResourceURLs", kc_json_get(o, "nonResourceURLs"));
                (void)fputs("}\n", c->err);
        }
}

static int reconcile_one(struct kc_cli *c, const struct kc_manifest *m, bool role, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *live = NULL;
        KC_CLEANUP(result_done) struct result r = {0};
        bool remove = role ? opt.remove_permissions : opt.remove_subjects;
        int e = kc_cli_get(c, m->res, m->ns, m->name, &live, err);
        if (e < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND))
                return e;
        kc_error_done(err);
        compute(live, m->obj, role ? "rules" : "subjects", remove, role ? uncovered : absent, &r);
        e = act(c, m, &r, err);
        if (e == 0)
                e = kc_write_print(c, &w, m->res, r.obj, "reconciled", err);
        (void)fflush(c->out);
        if (e < 0)
                return e;
        if (r.operation)
                (void)fprintf(c->err, "\treconciliation required %s\n", r.operation);
        print_list(c, role ? "missing rules added" : "missing subjects added", r.missing);
        if (remove)
                print_list(c, role ? "extra rules removed" : "extra subjects removed", r.extra);
        return 0;
}

int kc_auth_reconcile(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_manifests_done) struct kc_manifests all = {0};
        if (args[0])
                return kc_error_set(err, EINVAL, "no arguments are allowed");
        int e = kc_manifest_options_check(&opt.from, err);
        if (e == 0)
                e = kc_write_check(&w, err);
        if (e == 0)
                e = kc_manifest_options_load(c, &opt.from, &all, err);
        for (size_t i = 0; e == 0 && i < all.n; i++) {
                const struct kc_manifest *m = &all.v[i];
                bool role = kc_streq(m->res->kind, "Role") || kc_streq(m->res->kind, "ClusterRole");
                bool binding = kc_streq(m->res->kind, "RoleBinding") || kc_streq(m->res->kind, "ClusterRoleBinding");
                if (kc_streq(m->res->group, "rbac.authorization.k8s.io") && (role || binding))
                        e = reconcile_one(c, m, role, err);
        }
        if (e < 0)
                return e;
        return kc_cli_errors_report(c, &all.errors) ? KC_CLI_FAILED : 0;
}

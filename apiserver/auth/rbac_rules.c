/* PolicyRules of RBAC (k8s.io/component-helpers/auth/rbac and pkg/apis/rbac). Pure functions: any thread. */
#include "auth/rbac_rules.h"

#include <string.h>

#include "api/status.h"
#include "auth/authz.h"
#include "base/map.h"
#include "base/str.h"

static char **strings(const struct json_object *rule, const char *key)
{
        const struct json_object *a = kc_json_get(rule, key);
        char **v = NULL;
        for (size_t i = 0; i < kc_json_len(a); i++) {
                const char *s = kc_json_as_str(kc_json_idx(a, i));
                if (s)
                        kc_strv_push(&v, s);
        }
        return v;
}

static struct rbac_rule *grow(struct rbac_rules *r)
{
        r->v = kc_reallocarray(r->v, r->n + 1, sizeof(*r->v));
        r->v[r->n] = (struct rbac_rule){0};
        return &r->v[r->n++];
}

void rbac_rules_compile(struct rbac_rules *r, const struct json_object *rules)
{
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct json_object *rule = kc_json_idx(rules, i);
                *grow(r) = (struct rbac_rule){
                    .verbs = strings(rule, "verbs"),
                    .groups = strings(rule, "apiGroups"),
                    .resources = strings(rule, "resources"),
                    .names = strings(rule, "resourceNames"),
                    .urls = strings(rule, "nonResourceURLs"),
                };
        }
}

void rbac_rules_add(struct rbac_rules *r, const struct rbac_rule *rule)
{
        *grow(r) = (struct rbac_rule){
            .verbs = kc_strv_copy(rule->verbs),
            .groups = kc_strv_copy(rule->groups),
            .resources = kc_strv_copy(rule->resources),
            .names = kc_strv_copy(rule->names),
            .urls = kc_strv_copy(rule->urls),
        };
}

void rbac_rules_done(struct rbac_rules *r)
{
        for (size_t i = 0; i < r->n; i++) {
                kc_strv_free(r->v[i].verbs);
                kc_strv_free(r->v[i].groups);
                kc_strv_free(r->v[i].resources);
                kc_strv_free(r->v[i].names);
                kc_strv_free(r->v[i].urls);
        }
        kc_free(r->v);
        *r = (struct rbac_rules){0};
}

/* --- matching a request */

static bool has_or_star(char *const *v, const char *s)
{
        return v && (kc_strv_has(v, "*") || kc_strv_has(v, s));
}

/* "pods", "pods/log", "*", and "*" "/scale" for a subresource of whatever. */
static bool resource_matches(char *const *resources, const char *resource, const char *subresource)
{
        for (; resources && *resources; resources++) {
                const char *r = *resources;
                if (strcmp(r, "*") == 0)
                        return true;
                const char *slash = strchr(r, '/');
                if (subresource[0] == '\0') {
                        if (strcmp(r, resource) == 0)
                                return true;
                        continue;
                }
                if (!slash || strcmp(slash + 1, subresource) != 0)
                        continue;
                size_t n = (size_t)(slash - r);
                if ((n == 1 && r[0] == '*') || (strlen(resource) == n && memcmp(r, resource, n) == 0))
                        return true;
        }
        return false;
}

static bool url_matches(char *const *urls, const char *path)
{
        for (; urls && *urls; urls++) {
                size_t n = strlen(*urls);
                if (strcmp(*urls, "*") == 0 || strcmp(*urls, path) == 0)
                        return true;
                if (n > 0 && (*urls)[n - 1] == '*') {
                        while (n > 0 && (*urls)[n - 1] == '*')
                                n--;
                        if (strncmp(*urls, path, n) == 0)
                                return true;
                }
        }
        return false;
}

bool rbac_rule_allows(const struct rbac_rule *r, const struct kc_authz_attrs *a)
{
        if (!has_or_star(r->verbs, a->verb))
                return false;
        if (!a->resource_request)
                return url_matches(r->urls, a->path);
        return has_or_star(r->groups, a->group) && resource_matches(r->resources, a->resource, a->subresource) &&
               (!r->names || !r->names[0] || kc_strv_has(r->names, a->name));
}

/* --- covering */

/* "*" "/scale" of owner covers "pods/scale" of the wanted rule. */
static bool covers_resource(char *const *owner, const char *wanted)
{
        if (has_or_star(owner, wanted))
                return true;
        const char *slash = strchr(wanted, '/');
        if (!slash)
                return false;
        KC_CLEANUP(kc_freep) char *any = kc_asprintf("*%s", slash);
        return owner && kc_strv_has(owner, any);
}

static bool covers_url(char *const *owner, const char *wanted)
{
        for (; owner && *owner; owner++) {
                size_t n = strlen(*owner);
                if (strcmp(*owner, wanted) == 0)
                        return true;
                if (n > 0 && (*owner)[n - 1] == '*' && strncmp(*owner, wanted, n - 1) == 0)
                        return true;
        }
        return false;
}

/* Does one rule cover a broken down one? */
static bool rule_covers(const struct rbac_rule *o, const struct rbac_rule *w)
{
        if (!has_or_star(o->verbs, w->verbs[0]))
                return false;
        if (w->urls)
                return covers_url(o->urls, w->urls[0]);
        if (!has_or_star(o->groups, w->groups[0]) || !covers_resource(o->resources, w->resources[0]))
                return false;
        if (!o->names || !o->names[0])
                return true;
        return w->names && kc_strv_has(o->names, w->names[0]);
}

static char **one(const char *s)
{
        char **v = NULL;
        if (s)
                kc_strv_push(&v, s);
        return v;
}

static void add_part(struct rbac_rules *parts, const char *verb, const char *group, const char *resource,
    const char *name, const char *url)
{
        *grow(parts) = (struct rbac_rule){
            .verbs = one(verb), .groups = one(group), .resources = one(resource), .names = one(name), .urls = one(url)};
}

/* Into rules of one verb, group, resource and name each, or one verb and URL. */
static void break_down(const struct rbac_rule *r, struct rbac_rules *parts)
{
        static char *const none[] = {NULL};
        char *const *names = r->names && r->names[0] ? r->names : none;
        for (char *const *verb = r->verbs; verb && *verb; verb++) {
                for (char *const *g = r->groups; g && *g; g++)
                        for (char *const *res = r->resources; res && *res; res++) {
                                char *const *n = names;
                                do {
                                        add_part(parts, *verb, *g, *res, *n, NULL);
                                } while (*n && *++n);
                        }
                for (char *const *u = r->urls; u && *u; u++)
                        add_part(parts, *verb, NULL, NULL, NULL, *u);
        }
}

bool rbac_rules_cover(const struct rbac_rules *owner, const struct rbac_rules *wanted, struct rbac_rules *ret_missing)
{
        KC_CLEANUP(rbac_rules_done) struct rbac_rules parts = {0};
        for (size_t i = 0; i < wanted->n; i++)
                break_down(&wanted->v[i], &parts);
        bool all = true;
        for (size_t i = 0; i < parts.n; i++) {
                bool covered = false;
                for (size_t j = 0; j < owner->n && !covered; j++)
                        covered = rule_covers(&owner->v[j], &parts.v[i]);
                if (covered)
                        continue;
                all = false;
                rbac_rules_add(ret_missing, &parts.v[i]);
        }
        return all;
}

/* --- text */

static void format_list(struct kc_buf *b, const char *what, char *const *v)
{
        if ((!v || !v[0]))
                return;
        kc_buf_addf(b, "%s%s:[", kc_buf_str(b)[b->len - 1] == '{' ? "" : ", ", what);
        for (size_t i = 0; v && v[i]; i++) {
                if (i > 0)
                        kc_buf_adds(b, ", ");
                kc_quote_add(b, v[i]);
        }
        kc_buf_addc(b, ']');
}

char *rbac_rule_format(const struct rbac_rule *r)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addc(&b, '{');
        format_list(&b, "APIGroups", r->groups);
        format_list(&b, "Resources", r->resources);
        format_list(&b, "NonResourceURLs", r->urls);
        format_list(&b, "ResourceNames", r->names);
        format_list(&b, "Verbs", r->verbs);
        kc_buf_addc(&b, '}');
        return kc_buf_take_str(&b);
}

static bool same_list(char *const *a, char *const *b)
{
        size_t n = kc_strv_len(a);
        if (n != kc_strv_len(b))
                return false;
        for (size_t i = 0; i < n; i++)
                if (strcmp(a[i], b[i]) != 0)
                        return false;
        return true;
}

static bool same_but_verbs(const struct rbac_rule *a, const struct rbac_rule *b)
{
        return same_list(a->groups, b->groups) && same_list(a->resources, b->resources) &&
               same_list(a->names, b->names) && same_list(a->urls, b->urls);
}

char *rbac_rules_format(const struct rbac_rules *r)
{
        KC_CLEANUP(rbac_rules_done) struct rbac_rules compact = {0};
        for (size_t i = 0; i < r->n; i++) {
                size_t j = 0;
                while (j < compact.n && !same_but_verbs(&compact.v[j], &r->v[i]))
                        j++;
                if (j == compact.n) {
                        rbac_rules_add(&compact, &r->v[i]);
                        continue;
                }
                for (char **v = r->v[i].verbs; v && *v; v++)
                        if (!kc_strv_has(compact.v[j].verbs, *v))
                                kc_strv_push(&compact.v[j].verbs, *v);
        }
        KC_CLEANUP(kc_strv_freep) char **lines = NULL;
        for (size_t i = 0; i < compact.n; i++)
                kc_strv_push_take(&lines, rbac_rule_format(&compact.v[i]));
        if (lines)
                kc_strv_sort_uniq(lines);
        return kc_strv_join(lines, "\n");
}

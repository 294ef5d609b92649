/* Rules of RBAC: taken apart, and those of one resource put together again. */
#include <stdlib.h>
#include <string.h>

#include "cli/describe/internal.h"

struct rule {
        char *group, *resource, *name, *url; /* NULL: not of this rule */
        char **verbs;
};
struct rules {
        struct rule *v;
        size_t n;
};

static void rules_done(struct rules *l)
{
        for (size_t i = 0; i < l->n; i++) {
                kc_free(l->v[i].group);
                kc_free(l->v[i].resource);
                kc_free(l->v[i].name);
                kc_free(l->v[i].url);
                kc_strv_free(l->v[i].verbs);
        }
        kc_free(l->v);
}

static void add_rule(
    struct rules *l, const char *group, const char *resource, const char *name, const char *url, const char *verb)
{
        for (size_t i = 0; !url && i < l->n; i++) {
                struct rule *r = &l->v[i];
                if (kc_streq(r->group, group) && kc_streq(r->resource, resource) && kc_streq(r->name, name)) {
                        kc_strv_push(&r->verbs, verb);
                        return;
                }
        }
        l->v = kc_reallocarray(l->v, l->n + 1, sizeof(*l->v));
        struct rule *r = &l->v[l->n++];
        *r = (struct rule){kc_strdup(group), kc_strdup(resource), kc_strdup(name), kc_strdup(url), NULL};
        kc_strv_push(&r->verbs, verb);
}

static const char *item(const struct json_object *list, size_t i)
{
        const char *s = kc_json_as_str(kc_json_idx(list, i));
        return s ? s : "";
}

static void break_down(struct rules *l, const struct json_object *rule)
{
        const struct json_object *groups = kc_json_get(rule, "apiGroups"), *resources = kc_json_get(rule, "resources"),
                                 *names = kc_json_get(rule, "resourceNames"),
                                 *urls = kc_json_get(rule, "nonResourceURLs"), *verbs = kc_json_get(rule, "verbs");
        for (size_t g = 0; g < kc_json_len(groups); g++)
                for (size_t r = 0; r < kc_json_len(resources); r++)
                        for (size_t v = 0; v < kc_json_len(verbs); v++) {
                                for (size_t n = 0; n < kc_json_len(names); n++)
                                        add_rule(l, item(groups, g), item(resources, r), item(names, n), NULL,
                                            item(verbs, v));
                                if (kc_json_len(names) == 0)
                                        add_rule(l, item(groups, g), item(resources, r), NULL, NULL, item(verbs, v));
                        }
        for (size_t u = 0; u < kc_json_len(urls); u++)
                for (size_t v = 0; v < kc_json_len(verbs); v++)
                        add_rule(l, NULL, NULL, NULL, item(urls, u), item(verbs, v));
}

/* As a PolicyRule prints itself, which is what kubectl sorts by. */
static char *sort_key(const struct rule *r)
{
        KC_CLEANUP(kc_freep) char *verbs = kc_strv_join(r->verbs, " ");
        return kc_asprintf("Verbs:[%s],APIGroups:[%s],Resources:[%s],ResourceNames:[%s],NonResourceURLs:[%s],", verbs,
            r->group ? r->group : "", r->resource ? r->resource : "", r->name ? r->name : "", r->url ? r->url : "");
}

static int compare_rules(const void *a, const void *b)
{
        KC_CLEANUP(kc_freep) char *x = sort_key(a);
        KC_CLEANUP(kc_freep) char *y = sort_key(b);
        return strcmp(x, y);
}

static void describe_rule(const struct rule *r, int level, struct kc_layout *out)
{
        KC_CLEANUP(kc_freep) char *verbs = kc_strv_join(r->verbs, " ");
        const char *resource = r->resource ? r->resource : "";
        size_t n = strcspn(resource, "/");
        kc_layout_add(out, level, "%.*s%s%s%s\t[%s]\t[%s]\t[%s]\n", (int)n, resource, kc_str_empty(r->group) ? "" : ".",
            r->group ? r->group : "", resource + n, r->url ? r->url : "", r->name ? r->name : "", verbs);
}

void kc_describe_rules(const struct json_object *list, int level, struct kc_layout *out)
{
        KC_CLEANUP(rules_done) struct rules rules = {0};
        for (size_t i = 0; i < kc_json_len(list); i++)
                break_down(&rules, kc_json_idx(list, i));
        if (rules.n > 0)
                qsort(rules.v, rules.n, sizeof(*rules.v), compare_rules);
        for (size_t i = 0; i < rules.n; i++)
                describe_rule(&rules.v[i], level, out);
}

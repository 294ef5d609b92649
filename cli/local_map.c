/* Resources without a server: those that are built in. Main thread. */
#include "api/served.h"
#include "base/str.h"
#include "cli/cli.h"

static char **words(const char *const *v)
{
        char **copy = NULL;
        for (; v && *v; v++)
                kc_strv_push(&copy, *v);
        return copy;
}

/* Versions come in discovery's order: the first of a group is preferred. */
static void add_version(struct kc_resource_map *m, const struct kc_group_version *gv, bool preferred)
{
        m->v = kc_reallocarray(m->v, m->n + gv->n_resources, sizeof(*m->v));
        m->cap = m->n + gv->n_resources;
        for (size_t i = 0; i < gv->n_resources; i++) {
                const struct kc_resource *r = &gv->resources[i];
                m->v[m->n++] = (struct kc_api_resource){.group = kc_strdup(r->group),
                    .version = kc_strdup(r->version),
                    .resource = kc_strdup(r->resource),
                    .singular = kc_strdup(r->singular),
                    .kind = kc_strdup(r->kind),
                    .namespaced = r->namespaced,
                    .short_names = words(r->short_names),
                    .categories = words(r->categories),
                    .preferred = preferred};
        }
}

void kc_cli_use_local_map(struct kc_cli *c)
{
        size_t n;
        const struct kc_group_version *const *all = kc_schema_all_group_versions(&n);
        c->local = true;
        if (c->map)
                return;
        c->map = KC_NEW(struct kc_resource_map);
        for (size_t i = 0; i < n; i++)
                add_version(c->map, all[i], i == 0 || !kc_streq(all[i]->group, all[i - 1]->group));
}

/* The names of resources, from aggregated discovery. Pure but for the fetching: worker threads, or a CLI's only one. */
#include "client/resource_map.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#define AGGREGATED "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

static char **strings(const struct json_object *array)
{
        char **v = NULL;
        for (size_t i = 0; i < kc_json_len(array); i++)
                if (kc_json_as_str(kc_json_idx(array, i)))
                        kc_strv_push(&v, kc_json_as_str(kc_json_idx(array, i)));
        return v;
}

static void resource_done(struct kc_api_resource *r)
{
        kc_free(r->group);
        kc_free(r->version);
        kc_free(r->resource);
        kc_free(r->singular);
        kc_free(r->kind);
        kc_strv_free(r->short_names);
        kc_strv_free(r->categories);
        kc_strv_free(r->verbs);
        kc_strv_free(r->subresources);
}

static void add_resource(
    struct kc_resource_map *m, const char *group, const char *version, bool preferred, const struct json_object *r)
{
        const char *resource = kc_json_str(r, "resource");
        const char *kind = kc_json_str_at(r, "responseKind.kind");
        if (!resource || !kind)
                return;
        if (m->n == m->cap) {
                m->cap = m->cap ? 2 * m->cap : 64;
                m->v = kc_reallocarray(m->v, m->cap, sizeof(*m->v));
        }
        struct kc_api_resource *a = &m->v[m->n++];
        *a = (struct kc_api_resource){.group = kc_strdup(group),
            .version = kc_strdup(version),
            .resource = kc_strdup(resource),
            .kind = kc_strdup(kind),
            .namespaced = kc_streq(kc_json_str(r, "scope"), "Namespaced"),
            .short_names = strings(kc_json_get(r, "shortNames")),
            .categories = strings(kc_json_get(r, "categories")),
            .verbs = strings(kc_json_get(r, "verbs")),
            .preferred = preferred};
        const char *singular = kc_json_str(r, "singularResource");
        a->singular = kc_strdup(singular ? singular : "");
        const struct json_object *subs = kc_json_get(r, "subresources");
        for (size_t i = 0; i < kc_json_len(subs); i++)
                kc_strv_push(&a->subresources, kc_json_str(kc_json_idx(subs, i), "subresource"));
}

int kc_resource_map_add(struct kc_resource_map *m, const struct json_object *discovery, struct kc_error *err)
{
        if (!kc_streq(kc_json_str(discovery, "kind"), "APIGroupDiscoveryList"))
                return kc_error_set(err, EPROTO, "the server does not serve aggregated discovery (Kubernetes 1.30+)");
        const struct json_object *groups = kc_json_get(discovery, "items");
        for (size_t i = 0; i < kc_json_len(groups); i++) {
                const char *group = kc_json_str_at(kc_json_idx(groups, i), "metadata.name");
                const struct json_object *versions = kc_json_get(kc_json_idx(groups, i), "versions");
                for (size_t j = 0; j < kc_json_len(versions); j++) {
                        const struct json_object *v = kc_json_idx(versions, j);
                        const char *version = kc_json_str(v, "version");
                        const struct json_object *resources = kc_json_get(v, "resources");
                        if (version && kc_streq(kc_json_str(v, "freshness"), "Stale"))
                                kc_strv_pushf(&m->stale, "%s/%s", group ? group : "", version);
                        for (size_t k = 0; version && k < kc_json_len(resources); k++)
                                add_resource(m, group ? group : "", version, j == 0, kc_json_idx(resources, k));
                }
        }
        return 0;
}

static int fetch(struct kc_rest *r, const char *path, struct kc_resource_map *m, struct kc_error *err)
{
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *bytes = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        int e = kc_rest_raw(r, "GET", path, NULL, AGGREGATED, NULL, &bytes, err);
        if (e == 0)
                e = kc_json_parse(kc_bytes_data(bytes), kc_bytes_len(bytes),
                    &(struct kc_json_limits){.max_bytes = 64 << 20, .max_depth = 64, .max_nodes = 4 << 20}, &tree, err);
        return e < 0 ? e : kc_resource_map_add(m, tree, err);
}

int kc_resource_map_fetch(struct kc_rest *r, struct kc_resource_map **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_resource_map_freep) struct kc_resource_map *m = KC_NEW(struct kc_resource_map);
        int e = fetch(r, "/api", m, err);
        if (e == 0)
                e = fetch(r, "/apis", m, err);
        if (e < 0)
                return e;
        *ret = KC_TAKE(m);
        return 0;
}

void kc_resource_map_free(struct kc_resource_map *m)
{
        if (!m)
                return;
        for (size_t i = 0; i < m->n; i++)
                resource_done(&m->v[i]);
        kc_free(m->v);
        kc_strv_free(m->stale);
        kc_free(m);
}

/* Names in order of weight: a plural anywhere wins over a kind, a kind over a short name. */
static int rank_of(const struct kc_api_resource *r, const char *name)
{
        if (strcasecmp(r->resource, name) == 0)
                return 4;
        if (r->singular[0] && strcasecmp(r->singular, name) == 0)
                return 3;
        if (strcasecmp(r->kind, name) == 0)
                return 2;
        for (char **s = r->short_names; s && *s; s++)
                if (strcasecmp(*s, name) == 0)
                        return 1;
        return 0;
}

/* Core first, as discovery lists it; then the first group that has the name. */
static const struct kc_api_resource *best(
    const struct kc_resource_map *m, const char *name, const char *version, const char *group)
{
        const struct kc_api_resource *found = NULL;
        int rank = 0;
        for (size_t i = 0; i < m->n; i++) {
                const struct kc_api_resource *r = &m->v[i];
                if (group && !kc_streq(r->group, group) &&
                    !(group[0] && kc_str_has_prefix(r->group, group) && r->group[strlen(group)] == '.'))
                        continue;
                if (version && !kc_streq(r->version, version))
                        continue;
                int k = rank_of(r, name);
                if (k > rank) {
                        rank = k;
                        found = r;
                }
        }
        return found;
}

int kc_resource_map_find(
    const struct kc_resource_map *m, const char *arg, const struct kc_api_resource **ret, struct kc_error *err)
{
        const char *dot = strchr(arg, '.');
        KC_CLEANUP(kc_freep) char *name = dot ? kc_strndup(arg, (size_t)(dot - arg)) : kc_strdup(arg);
        const struct kc_api_resource *found = NULL;
        if (dot) {
                const char *second = strchr(dot + 1, '.');
                KC_CLEANUP(kc_freep) char *version = second ? kc_strndup(dot + 1, (size_t)(second - dot - 1)) : NULL;
                if (second) /* resource.version.group */
                        found = best(m, name, version, second + 1);
                if (!found)
                        found = best(m, name, NULL, dot + 1);
        } else {
                found = best(m, name, NULL, NULL);
        }
        if (!found)
                return kc_error_set(
                    err, ENOENT, "the server doesn't have a resource type \"%.*s\"", (int)strcspn(arg, "."), arg);
        *ret = found;
        return 0;
}

int kc_resource_map_find_kind(const struct kc_resource_map *m, const char *api_version, const char *kind,
    const struct kc_api_resource **ret, struct kc_error *err)
{
        const char *slash = strchr(api_version, '/');
        KC_CLEANUP(kc_freep)
        char *group = slash ? kc_strndup(api_version, (size_t)(slash - api_version)) : kc_strdup("");
        const char *version = slash ? slash + 1 : api_version;
        for (size_t i = 0; i < m->n; i++) {
                const struct kc_api_resource *r = &m->v[i];
                if (kc_streq(r->group, group) && kc_streq(r->version, version) && kc_streq(r->kind, kind)) {
                        *ret = r;
                        return 0;
                }
        }
        return kc_error_set(err, ENOENT,
            "no matches for kind \"%s\" in version \"%s\"\nensure CRDs are installed first", kind, api_version);
}

bool kc_api_resource_has_verb(const struct kc_api_resource *r, const char *verb)
{
        return kc_strv_has(r->verbs, verb);
}

struct kc_gvr kc_api_resource_gvr(const struct kc_api_resource *r)
{
        return (struct kc_gvr){r->group, r->version, r->resource, r->kind, r->namespaced};
}

static char *with_group(const char *name, const char *group)
{
        return group[0] ? kc_asprintf("%s.%s", name, group) : kc_strdup(name);
}

char *kc_api_resource_name(const struct kc_api_resource *r)
{
        KC_CLEANUP(kc_freep) char *kind = kc_strdup(r->kind);
        for (char *p = kind; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p = (char)(*p - 'A' + 'a');
        return with_group(kind, r->group);
}

char *kc_api_resource_plural(const struct kc_api_resource *r)
{
        return with_group(r->resource, r->group);
}

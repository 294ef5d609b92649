/* Resource arguments: types, categories, names. Main thread. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cli/builder.h"

static void push(struct kc_targets *t, const struct kc_api_resource *res, const char *name)
{
        if (t->n == t->cap) {
                t->cap = t->cap ? 2 * t->cap : 8;
                t->v = kc_reallocarray(t->v, t->cap, sizeof(*t->v));
        }
        t->v[t->n++] = (struct kc_target){.res = res, .name = kc_strdup(name)};
}

void kc_targets_done(struct kc_targets *t)
{
        for (size_t i = 0; i < t->n; i++)
                kc_free(t->v[i].name);
        kc_free(t->v);
        *t = (struct kc_targets){0};
}

struct types {
        const struct kc_api_resource **v;
        size_t n;
};

static void add_type(struct types *t, const struct kc_api_resource *r)
{
        t->v = kc_reallocarray(t->v, t->n + 1, sizeof(*t->v)); /* short lists */
        t->v[t->n++] = r;
}

/* "all": every preferred resource of that category; false: there is no such category. */
static bool add_category(const struct kc_resource_map *map, const char *name, struct types *t)
{
        bool found = false;
        for (size_t i = 0; i < map->n; i++) {
                const struct kc_api_resource *r = &map->v[i];
                if (r->preferred && kc_strv_has(r->categories, name)) {
                        add_type(t, r);
                        found = true;
                }
        }
        return found;
}

static int parse_types(const struct kc_resource_map *map, const char *arg, struct types *t, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **names = kc_strv_split(arg, ',');
        for (char **n = names; n && *n; n++) {
                if ((*n)[0] == '\0')
                        return kc_error_set(
                            err, EINVAL, "arguments in resource/name form must have a single resource and name");
                if (add_category(map, *n, t))
                        continue;
                const struct kc_api_resource *r;
                int e = kc_resource_map_find(map, *n, &r, err);
                if (e < 0)
                        return e;
                add_type(t, r);
        }
        return 0;
}

static int parse_pair(const struct kc_resource_map *map, const char *arg, struct kc_targets *ret, struct kc_error *err)
{
        const char *slash = strchr(arg, '/');
        if (!slash)
                return kc_error_set(err, EINVAL,
                    "there is no need to specify a resource type as a separate argument when passing arguments in "
                    "resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource "
                    "resource/<resource_name>'");
        if (slash == arg || slash[1] == '\0' || strchr(slash + 1, '/') || memchr(arg, ',', (size_t)(slash - arg)))
                return kc_error_set(
                    err, EINVAL, "arguments in resource/name form must have a single resource and name");
        KC_CLEANUP(kc_freep) char *type = kc_strndup(arg, (size_t)(slash - arg));
        const struct kc_api_resource *r;
        int e = kc_resource_map_find(map, type, &r, err);
        if (e == 0)
                push(ret, r, slash + 1);
        return e;
}

int kc_targets_parse(const struct kc_resource_map *map, char *const *args, struct kc_targets *ret, struct kc_error *err)
{
        bool pairs = false;
        for (char *const *a = args; *a; a++)
                pairs = pairs || strchr(*a, '/');
        if (!args[0])
                return 0;
        if (pairs) {
                for (char *const *a = args; *a; a++) {
                        int e = parse_pair(map, *a, ret, err);
                        if (e < 0)
                                return e;
                }
                ret->named = true;
                return 0;
        }
        struct types types = {0};
        int e = parse_types(map, args[0], &types, err);
        KC_CLEANUP(kc_freep) void *storage = types.v; /* freed on every way out */
        if (e < 0)
                return e;
        ret->named = args[1] != NULL;
        for (size_t i = 0; i < types.n; i++) {
                if (!args[1])
                        push(ret, types.v[i], NULL);
                for (char *const *a = args + 1; *a; a++)
                        push(ret, types.v[i], *a);
        }
        return 0;
}

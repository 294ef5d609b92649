/* Managed fields of the scale subresource: its replicas are a field of the object that is scaled. Pure: any thread. */
#include <string.h>

#include "api/managed_internal.h"
#include "base/str.h"

#define SCALE_VERSION "autoscaling/v1"

static const char *const replicas[] = {"spec", "replicas", NULL};

static size_t path_of(const char *const *names, struct kc_path_element path[static KC_MANAGED_MAX_PATH])
{
        size_t n = 0;
        for (; names[n] && n < KC_MANAGED_MAX_PATH; n++)
                path[n] = kc_path_field(names[n]);
        return n;
}

static bool has_path(const struct kc_fieldset *set, const char *const *names)
{
        struct kc_path_element path[KC_MANAGED_MAX_PATH];
        size_t n = path_of(names, path);
        return kc_fieldset_has(set, path, n);
}

static const struct kc_fieldset *set_of(struct kc_managers *m, const char *const *names)
{
        struct kc_fieldset *set = kc_arena_alloc(&m->arena, sizeof(*set));
        kc_fieldset_insert_names(&m->arena, set, names);
        return set;
}

struct json_object *kc_managed_to_scale(const struct json_object *entries, const char *const *path)
{
        struct kc_managers all, of_scale = {0};
        if (kc_managers_decode(&all, entries, NULL) < 0)
                return NULL;
        for (size_t i = 0; i < all.n; i++) {
                if (!has_path(all.v[i].set, path))
                        continue;
                struct kc_manager x = all.v[i];
                x.api_version = SCALE_VERSION;
                x.set = set_of(&of_scale, replicas);
                x.source = NULL;
                (void)kc_managers_put(&of_scale, &x);
        }
        struct json_object *ret = kc_managers_encode(&of_scale);
        kc_managers_done(&of_scale);
        kc_managers_done(&all);
        return ret;
}

/* Versions apart: the entries of scale are all of one. */
static struct kc_manager *counterpart(struct kc_managers *of_scale, const struct kc_manager *x)
{
        struct kc_manager like = *x;
        like.api_version = SCALE_VERSION;
        return kc_managers_find(of_scale, &like);
}

struct json_object *kc_managed_from_scale(const struct json_object *entries, const struct json_object *scale_entries,
    const char *api_version, const char *const *path)
{
        struct kc_managers all, of_scale;
        if (kc_managers_decode(&all, entries, NULL) < 0)
                return NULL;
        if (kc_managers_decode(&of_scale, scale_entries, NULL) < 0) {
                kc_managers_done(&all);
                return NULL;
        }
        const struct kc_fieldset *own = set_of(&all, path);
        for (size_t i = 0; i < all.n;) {
                struct kc_manager *x = &all.v[i], *there = counterpart(&of_scale, x);
                if (has_path(x->set, path) && there && has_path(there->set, replicas)) {
                        kc_managers_remove(&of_scale, (size_t)(there - of_scale.v)); /* it stays as it is */
                } else if (has_path(x->set, path)) {
                        kc_manager_own(x, kc_fieldset_difference(&all.arena, x->set, own));
                        if (kc_fieldset_empty(x->set)) {
                                kc_managers_remove(&all, i);
                                continue;
                        }
                }
                i++;
        }
        for (size_t i = 0; i < of_scale.n; i++) {
                struct kc_manager x = of_scale.v[i];
                if (!has_path(x.set, replicas))
                        continue;
                x.api_version = api_version;
                x.source = NULL;
                const struct kc_manager *there = kc_managers_find(&all, &x);
                /* As upstream, which takes times from the parent's entries: a new one has none. */
                x.time = there ? there->time : NULL;
                x.set = there ? kc_fieldset_union(&all.arena, there->set, own) : own;
                (void)kc_managers_put(&all, &x);
        }
        struct json_object *ret = kc_managers_encode(&all);
        kc_managers_done(&of_scale);
        kc_managers_done(&all);
        return ret;
}

/* Removing what an applier has given up: fields and items that it applied last time, not this time, and that nobody
 * else owns. Pure: any thread. */
#include <string.h>

#include "api/managed_internal.h"

/* The merged and the pruned object in one version, and their fields. The sets borrow from the trees. */
struct pruning {
        struct kc_managers *m;
        const struct kc_managed_kind *k;
        const char *api_version; /* of both trees now */
        struct json_object *merged, *pruned;
        const struct kc_type *type;
        struct json_object *old[2]; /* let go when the sets are done with */
};

static void replace(struct json_object **tree, struct json_object *take_by)
{
        kc_json_free(*tree);
        *tree = take_by;
}

/* False: there is no such version; nothing has changed. */
static bool move(struct pruning *p, const char *api_version)
{
        struct json_object *merged, *pruned;
        const struct kc_type *type;
        if (!kc_managed_convert(p->merged, p->k, p->api_version, api_version, &merged, &type))
                return false;
        if (!kc_managed_convert(p->pruned, p->k, p->api_version, api_version, &pruned, &type)) {
                kc_json_free(merged);
                return false;
        }
        if (merged)
                replace(&p->merged, merged);
        if (pruned)
                replace(&p->pruned, pruned);
        p->type = type;
        p->api_version = api_version;
        return true;
}

static const struct kc_fieldset *fields_of(struct pruning *p, const struct json_object *tree)
{
        struct kc_arena *a = &p->m->arena;
        return kc_structured_name_fields(a, kc_structured_set(a, tree, p->type), p->type);
}

/* What managers of the version own comes back. */
static void add_back_owned(struct pruning *p, const char *api_version)
{
        struct kc_arena *a = &p->m->arena;
        const struct kc_fieldset *owned = NULL;
        if (!move(p, api_version))
                return;
        for (size_t i = 0; i < p->m->n; i++)
                if (strcmp(p->m->v[i].api_version, api_version) == 0)
                        owned = kc_fieldset_union(a, owned, p->m->v[i].set);
        const struct kc_fieldset *keep =
            kc_fieldset_union(a, fields_of(p, p->pruned), kc_structured_name_fields(a, owned, p->type));
        const struct kc_fieldset *gone = kc_fieldset_difference(a, fields_of(p, p->merged), keep);
        replace(&p->pruned, kc_structured_remove(p->merged, gone, p->type));
}

/* Each version once, that of the last apply first: the others may need what it brings back. */
static void add_back_all(struct pruning *p, const char *first)
{
        add_back_owned(p, first);
        for (size_t i = 0; i < p->m->n; i++) {
                const char *version = p->m->v[i].api_version;
                bool done = strcmp(version, first) == 0;
                for (size_t k = 0; k < i && !done; k++)
                        done = strcmp(version, p->m->v[k].api_version) == 0;
                if (!done)
                        add_back_owned(p, version);
        }
}

/* Only what the applier itself has owned goes; the result is the caller's. */
static struct json_object *prune(struct pruning *p, const struct kc_manager *last)
{
        struct kc_arena *a = &p->m->arena;
        const struct kc_fieldset *owned = kc_structured_name_fields(a, last->set, p->type);
        p->pruned = kc_structured_remove(p->merged, owned, p->type);
        /* Nearly always there is one version, and conversion has nothing to do. */
        KC_CLEANUP(kc_json_freep) struct json_object *all = kc_json_copy(p->merged);
        const struct kc_type *type = p->type;
        add_back_all(p, last->api_version);
        if (!move(p, last->api_version))
                return KC_TAKE(all);
        const struct kc_fieldset *gone = kc_fieldset_difference(
            a, kc_structured_name_fields(a, kc_structured_set(a, all, type), type), fields_of(p, p->pruned));
        gone = kc_fieldset_intersection(a, gone, owned);
        return kc_structured_remove(all, gone, type);
}

struct json_object *kc_managed_prune(struct kc_managers *m, const struct kc_managed_kind *k,
    struct json_object *take_merged, const struct kc_manager *self, const struct kc_manager *last)
{
        if (!last || kc_fieldset_empty(last->set))
                return take_merged;
        struct json_object *own, *back;
        struct pruning p = {.m = m, .k = k, .api_version = last->api_version};
        if (!kc_managed_convert(take_merged, k, k->api_version, last->api_version, &own, &p.type))
                return take_merged;
        p.merged = own ? own : kc_json_copy(take_merged);
        KC_CLEANUP(kc_json_freep) struct json_object *pruned = prune(&p, last);
        kc_json_free(p.merged);
        kc_json_free(p.pruned);
        const struct kc_type *type;
        if (!kc_managed_convert(pruned, k, last->api_version, self->api_version, &back, &type))
                return take_merged;
        kc_json_free(take_merged);
        return back ? back : KC_TAKE(pruned);
}

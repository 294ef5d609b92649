/* Updates of objects, and what server-side apply shares with them: who owns what after a change. Pure: any thread. */
#include <string.h>

#include "api/convert.h"
#include "api/managed_internal.h"
#include "base/log.h"
#include "base/str.h"

enum { MAX_VERSIONS = 8 }; /* of one kind */

const struct json_object *kc_managed_convert(const struct json_object *tree, const struct kc_managed_kind *k,
    const char *from, const char *api_version, struct json_object **ret_own, const struct kc_type **ret_type)
{
        *ret_own = NULL;
        *ret_type = k->type;
        if (strcmp(from, api_version) == 0 && strcmp(from, k->api_version) == 0)
                return tree;
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        kc_api_version_split(api_version, &group, &version);
        const struct kc_resource *row = kc_schema_kind(group, version, k->kind);
        if (!row)
                return NULL;
        *ret_type = row->type;
        if (strcmp(from, api_version) == 0)
                return tree;
        KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_json_copy(tree);
        kc_json_set_str(copy, "apiVersion", from);
        kc_json_set_str(copy, "kind", k->kind);
        if (kc_convert(copy, row, NULL) < 0)
                return NULL;
        *ret_own = KC_TAKE(copy);
        return *ret_own;
}

const struct kc_fieldset *kc_managed_filter(
    struct kc_arena *a, const struct kc_managed_kind *k, const struct kc_fieldset *set)
{
        if (k->only)
                set = kc_fieldset_filter(a, set, k->only);
        if (!k->reset || kc_fieldset_empty(set))
                return set;
        struct kc_fieldset reset = {0};
        for (size_t i = 0; k->reset[i]; i++) {
                enum { MAX_PARTS = 8 };
                struct kc_path_element path[MAX_PARTS];
                size_t n = 0;
                for (const char *p = k->reset[i]; *p && n < MAX_PARTS; p += strcspn(p, "."), p += *p == '.')
                        path[n++] = (struct kc_path_element){
                            .kind = KC_PATH_FIELD, .bytes = p, .len = (uint32_t)strcspn(p, ".")};
                kc_fieldset_insert(a, &reset, path, n);
        }
        return kc_fieldset_recursive_difference(a, set, &reset);
}

const struct kc_fieldset *kc_managed_strip(struct kc_arena *a, const struct kc_fieldset *set)
{
        static const char *const of_object[] = {"apiVersion", "kind", "metadata"};
        static const char *const of_meta[] = {"name", "namespace", "creationTimestamp", "selfLink", "uid",
            "clusterName", "generation", "managedFields", "resourceVersion"};
        struct kc_fieldset stripped = {0};
        for (size_t i = 0; i < KC_ARRAY_LEN(of_object); i++)
                kc_fieldset_insert_names(a, &stripped, (const char *const[]){of_object[i], NULL});
        for (size_t i = 0; i < KC_ARRAY_LEN(of_meta); i++)
                kc_fieldset_insert_names(a, &stripped, (const char *const[]){"metadata", of_meta[i], NULL});
        return kc_fieldset_difference(a, set, &stripped);
}

void kc_managed_reconcile(struct kc_managers *m, const struct kc_managed_kind *k, const struct json_object *live)
{
        for (size_t i = 0; i < m->n;) {
                struct kc_manager *x = &m->v[i];
                const struct kc_type *type;
                struct json_object *own;
                const struct json_object *v = kc_managed_convert(live, k, k->api_version, x->api_version, &own, &type);
                if (!v) {
                        kc_managers_remove(m, i);
                        continue;
                }
                /* What changes borrows from the tree, which must stay: only the request's own version can. */
                if (!own)
                        kc_manager_own(x, kc_structured_reconcile(&m->arena, x->set, v, type));
                kc_json_free(own);
                i++;
        }
}

/* --- changes, by version */

struct change {
        const char *api_version;
        bool missing;
        struct kc_structured_diff diff;
        struct json_object *own[2]; /* the sets borrow from them */
};

struct changes {
        struct change v[MAX_VERSIONS];
        size_t n;
};

static void changes_done(struct changes *c)
{
        for (size_t i = 0; i < c->n; i++) {
                kc_json_free(c->v[i].own[0]);
                kc_json_free(c->v[i].own[1]);
        }
}

static struct change *change_of(struct changes *c, struct kc_managers *m, const struct kc_managed_kind *k,
    const struct json_object *before, const struct json_object *after, const char *api_version)
{
        for (size_t i = 0; i < c->n; i++)
                if (strcmp(c->v[i].api_version, api_version) == 0)
                        return &c->v[i];
        if (c->n == MAX_VERSIONS)
                return NULL;
        struct change *x = &c->v[c->n++];
        const struct kc_type *type;
        *x = (struct change){.api_version = api_version};
        const struct json_object *l = kc_managed_convert(before, k, k->api_version, api_version, &x->own[0], &type);
        const struct json_object *r = kc_managed_convert(after, k, k->api_version, api_version, &x->own[1], &type);
        x->missing = !l || !r;
        if (x->missing)
                return x;
        kc_structured_compare(&m->arena, l, r, type, &x->diff);
        x->diff.removed = kc_managed_filter(&m->arena, k, x->diff.removed);
        x->diff.modified = kc_managed_filter(&m->arena, k, x->diff.modified);
        x->diff.added = kc_managed_filter(&m->arena, k, x->diff.added);
        return x;
}

/* What one manager loses; false: its version is no more. */
static bool take_from(
    struct kc_managers *m, struct kc_manager *x, const struct change *c, const struct kc_fieldset **ret_conflict)
{
        if (!c || c->missing)
                return false;
        struct kc_arena *a = &m->arena;
        const struct kc_fieldset *changed = kc_fieldset_union(a, c->diff.modified, c->diff.added);
        const struct kc_fieldset *conflict = kc_fieldset_intersection(a, x->set, changed);
        if (ret_conflict) {
                *ret_conflict = conflict;
                return true;
        }
        if (conflict)
                kc_manager_own(x, kc_fieldset_difference(a, x->set, conflict));
        if (c->diff.removed)
                kc_manager_own(x, kc_fieldset_difference(a, x->set, c->diff.removed));
        return true;
}

void kc_managed_take(struct kc_managers *m, const struct kc_managed_kind *k, const struct json_object *before,
    const struct json_object *after, const struct kc_manager *self, const struct kc_fieldset **ret_conflicts,
    struct kc_structured_diff *ret_own)
{
        KC_CLEANUP(changes_done) struct changes c = {0};
        struct change *own = change_of(&c, m, k, before, after, k->api_version);
        if (ret_own)
                *ret_own = own->diff;
        for (size_t i = 0; i < m->n;) {
                struct kc_manager *x = &m->v[i];
                const struct kc_fieldset *conflict = NULL;
                bool spared = x == self;
                bool known = spared || take_from(m, x, change_of(&c, m, k, before, after, x->api_version),
                                           ret_conflicts ? &conflict : NULL);
                if (ret_conflicts)
                        ret_conflicts[i] = conflict;
                if (!ret_conflicts && (!known || kc_fieldset_empty(x->set))) {
                        kc_managers_remove(m, i);
                        if (self && self > x)
                                self--;
                        continue;
                }
                i++;
        }
}

/* --- updates */

void kc_managed_update(struct kc_managers *m, const struct kc_managed_kind *k, const struct json_object *before,
    const struct json_object *after, const char *manager, kc_time now)
{
        struct kc_structured_diff diff;
        struct kc_arena *a = &m->arena;
        kc_managed_reconcile(m, k, before);
        kc_managed_take(m, k, before, after, NULL, NULL, &diff);
        const struct kc_fieldset *set = kc_fieldset_union(a, diff.modified, diff.added);
        set = kc_managed_strip(a, set);
        if (set) {
                struct kc_manager self = {
                    .name = kc_str_empty(manager) ? "unknown" : manager,
                    .api_version = k->api_version,
                    .subresource = k->subresource,
                    .time = kc_managers_time(m, now),
                    .set = set,
                };
                const struct kc_manager *previous = kc_managers_find(m, &self);
                if (previous)
                        self.set = kc_fieldset_union(a, set, previous->set);
                (void)kc_managers_put(m, &self);
        }
        kc_managers_cap(m);
}

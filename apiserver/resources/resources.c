/* The stored resources and their places in the watch cache. Constant once made; reads go to the cache. Any thread. */
#include "resources/resources.h"

#include <errno.h>
#include <string.h>

#include "api/selector.h"
#include "api/served.h"
#include "api/status.h"
#include "base/map.h"
#include "base/str.h"

struct kc_resources {
        struct kc_store *store;
        struct kc_cache *cache;
        struct kc_stored **all;
        size_t n;
        struct kc_map *by_name; /* "deployments.apps", "events.events.k8s.io" -> kc_stored (borrowed) */
};

/* Selectable fields whose value is not simply the string at the path of their name. */
static const struct {
        const char *group, *resource;
        struct kc_cache_field field;
} special_fields[] = {
    {"", "pods", {"spec.hostNetwork", NULL, NULL, "false"}},
    {"", "nodes", {"spec.unschedulable", NULL, NULL, "false"}},
    {"", "events", {"source", "source.component", "reportingComponent", NULL}},
    {"", "replicationcontrollers", {"status.replicas", NULL, NULL, "0"}},
    {"apps", "replicasets", {"status.replicas", NULL, NULL, "0"}},
    {"batch", "jobs", {"status.successful", "status.succeeded", NULL, "0"}},
};

/* Fields by which most watches select. */
static const struct {
        const char *group, *resource, *field;
} triggers[] = {
    {"", "pods", "spec.nodeName"},
};

/* The name under which the cache knows it: as upstream's GroupResource prints. */
static char *full_name(const char *group, const char *resource)
{
        return group[0] == '\0' ? kc_strdup(resource) : kc_asprintf("%s.%s", resource, group);
}

static struct kc_cache_field field_of(const struct kc_resource *row, const char *name)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(special_fields); i++)
                if (strcmp(special_fields[i].group, row->group) == 0 &&
                    strcmp(special_fields[i].resource, row->resource) == 0 &&
                    strcmp(special_fields[i].field.name, name) == 0)
                        return special_fields[i].field;
        return (struct kc_cache_field){.name = name};
}

static struct kc_cache_resource *register_row(struct kc_cache *cache, const struct kc_resource *row)
{
        KC_CLEANUP(kc_freep) char *name = full_name(row->group, row->resource);
        KC_CLEANUP(kc_freep) struct kc_cache_field *fields = NULL;
        size_t n = 0;
        for (const char *const *f = row->selectable_fields; f && *f; f++) {
                fields = kc_reallocarray(fields, n + 1, sizeof(*fields));
                fields[n++] = field_of(row, *f);
        }
        const char *trigger = NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(triggers); i++)
                if (strcmp(triggers[i].group, row->group) == 0 && strcmp(triggers[i].resource, row->resource) == 0)
                        trigger = triggers[i].field;
        const struct kc_cache_resource_opts o = {
            .name = name,
            .prefix = row->storage_prefix,
            .namespaced = row->namespaced,
            .fields = fields,
            .n_fields = n,
            .trigger = trigger,
        };
        return kc_cache_register(cache, &o);
}

static bool is_stored(const struct kc_resource *row)
{
        return row->storage_version_hash != NULL;
}

static bool in_storage_version(const struct kc_resource *row)
{
        return kc_streq(row->group, row->storage_group) && kc_streq(row->version, row->storage_version);
}

static void add_row(struct kc_resources *rs, const struct kc_resource *row)
{
        struct kc_stored *s = KC_NEW(struct kc_stored);
        s->row = row;
        s->store = rs->store;
        s->cache = register_row(rs->cache, row);
        rs->all = kc_reallocarray(rs->all, rs->n + 1, sizeof(struct kc_stored *));
        rs->all[rs->n++] = s;
        KC_CLEANUP(kc_freep) char *name = full_name(row->group, row->resource);
        (void)kc_map_set(rs->by_name, name, s);
}

static void each_row(struct kc_resources *rs, void (*fn)(struct kc_resources *rs, const struct kc_resource *row))
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_all_group_versions(&n);
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < gvs[i]->n_resources; j++)
                        if (is_stored(&gvs[i]->resources[j]))
                                fn(rs, &gvs[i]->resources[j]);
}

static void add_if_storage_version(struct kc_resources *rs, const struct kc_resource *row)
{
        if (in_storage_version(row))
                add_row(rs, row);
}

/* A row that is stored as another one's version. */
static void add_alias(struct kc_resources *rs, const struct kc_resource *row)
{
        KC_CLEANUP(kc_freep) char *name = full_name(row->group, row->resource);
        KC_CLEANUP(kc_freep) char *target = full_name(row->storage_group, row->resource);
        struct kc_stored *s = kc_map_get(rs->by_name, target);
        if (s && !kc_map_has(rs->by_name, name))
                (void)kc_map_set(rs->by_name, name, s);
}

struct kc_resources *kc_resources_new(struct kc_store *store, struct kc_cache *cache)
{
        struct kc_resources *rs = KC_NEW(struct kc_resources);
        rs->store = store;
        rs->cache = cache;
        rs->by_name = kc_map_new(NULL);
        each_row(rs, add_if_storage_version);
        each_row(rs, add_alias);
        return rs;
}

void kc_resources_free(struct kc_resources *rs)
{
        if (!rs)
                return;
        for (size_t i = 0; i < rs->n; i++)
                kc_free(rs->all[i]);
        kc_free(rs->all);
        kc_map_free(rs->by_name);
        kc_free(rs);
}

struct kc_cache *kc_resources_cache(const struct kc_resources *rs)
{
        return rs->cache;
}

struct kc_store *kc_resources_store(const struct kc_resources *rs)
{
        return rs->store;
}

const struct kc_stored *kc_resources_find(const struct kc_resources *rs, const char *group, const char *resource)
{
        if (group[0] == '\0')
                return kc_map_get(rs->by_name, resource);
        KC_CLEANUP(kc_freep) char *name = full_name(group, resource);
        return kc_map_get(rs->by_name, name);
}

const struct kc_stored *const *kc_resources_all(const struct kc_resources *rs, size_t *ret_n)
{
        *ret_n = rs->n;
        return (const struct kc_stored *const *)rs->all;
}

struct kc_object *kc_resources_object(struct kc_cache_entry *e)
{
        struct kc_object *o = NULL;
        /* What the cache holds is a JSON object: it has been stamped. */
        if (kc_object_from_bytes(kc_cache_entry_bytes(e), &o, NULL) < 0)
                return NULL;
        return o;
}

static int get(const struct kc_resources *rs, const char *group, const char *resource, const char *ns, const char *name,
    const struct kc_cache_read *read, struct kc_object **ret, struct kc_error *err)
{
        const struct kc_stored *s = kc_resources_find(rs, group, resource);
        if (!s)
                return kc_err_not_found(err, group, resource, name);
        KC_CLEANUP(kc_cache_entry_unrefp) struct kc_cache_entry *e = NULL;
        int r = kc_cache_get(s->cache, ns, name, read, &e, NULL, err);
        if (r == -ENOENT)
                return kc_err_not_found(err, group, resource, name);
        if (r < 0)
                return r;
        return kc_object_from_bytes(kc_cache_entry_bytes(e), ret, err);
}

int kc_resources_get(const struct kc_resources *rs, const char *group, const char *resource, const char *ns,
    const char *name, struct kc_object **ret, struct kc_error *err)
{
        return get(rs, group, resource, ns, name, &(struct kc_cache_read){.match = KC_CACHE_NOT_OLDER}, ret, err);
}

int kc_resources_get_live(const struct kc_resources *rs, const char *group, const char *resource, const char *ns,
    const char *name, struct kc_object **ret, struct kc_error *err)
{
        return get(rs, group, resource, ns, name, &(struct kc_cache_read){.match = KC_CACHE_CONSISTENT}, ret, err);
}

static bool match_labels(const struct kc_cache_entry *e, void *arg)
{
        return kc_selector_matches(arg, kc_cache_entry_labels(e));
}

int kc_resources_list(const struct kc_resources *rs, const char *group, const char *resource, const char *ns,
    const struct kc_selector *label_selector, struct kc_objects *ret, struct kc_error *err)
{
        const struct kc_stored *s = kc_resources_find(rs, group, resource);
        if (!s)
                return kc_err_not_found(err, group, resource, "");
        const struct kc_cache_list_opts o = {
            .ns = ns,
            .read = {.match = KC_CACHE_NOT_OLDER},
            .match = label_selector ? match_labels : NULL,
            .match_arg = (void *)label_selector, /* only read */
        };
        struct kc_cache_list l = {0};
        int r = kc_cache_list(s->cache, &o, &l, err);
        for (size_t i = 0; r == 0 && i < l.n; i++) {
                struct kc_object *obj = NULL;
                r = kc_object_from_bytes(kc_cache_entry_bytes(l.v[i]), &obj, err);
                if (r == 0)
                        kc_objects_push_take(ret, obj);
        }
        kc_cache_list_done(&l);
        return r;
}

/* The Namespace controller: empties a namespace that is being deleted and takes its finalizer away. What kinds there
 * are is asked of the server, so that nothing stays behind. Handlers on the loop; sync on the pool. */
#include <string.h>

#include "base/str.h"
#include "client/resource_map.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"

enum { FIRST_RETRY_S = 1, POD_RETRY_S = 2 };

struct namespaces {
        struct kc_rest *rest;
        struct kc_informer *namespaces;
        struct kc_controller *controller;
};

/* What emptying has found. */
struct emptying {
        char **remaining;  /* strv: "pods. has 3 resource instances" */
        char **finalizers; /* strv: "example.com/x in 2 resource instances" */
        char **failures;   /* strv: errors while deleting */
        char *discovery_failure;
};

static void on_add(struct kc_object *o, bool initial, void *arg)
{
        struct namespaces *c = arg;
        (void)initial;
        if (kc_meta_deleting(kc_object_json(o)))
                kc_workqueue_add(kc_controller_queue(c->controller), kc_object_name(o));
}

static void on_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_add(o, false, arg);
}

static int count_finalizers(const struct json_object *items, struct emptying *e)
{
        int64_t with = 0;
        const char *first = NULL;

        for (size_t i = 0; i < kc_json_len(items); i++) {
                const struct json_object *list = kc_json_at(kc_json_idx(items, i), "metadata.finalizers");
                with += kc_json_len(list) > 0;
                if (!first)
                        first = kc_json_as_str(kc_json_idx(list, 0));
        }
        if (with)
                kc_strv_pushf(&e->finalizers, "%s in %lld resource instances", first, (long long)with);
        return 0;
}

/* Deletes all objects of one kind and counts what is left. */
static int empty_kind(struct namespaces *c, const char *ns, const struct kc_gvr *g, bool collection, struct emptying *e,
    struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(g, ns, NULL, NULL);
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        int rc = 0;

        if (collection)
                rc = kc_rest_raw(c->rest, "DELETE", path, NULL, NULL, NULL, NULL, err);
        if (rc < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND) && !kc_error_is(err, KC_REASON_METHOD_NOT_ALLOWED))
                return rc;
        kc_error_done(err);
        rc = kc_rest_list(c->rest, g, ns, NULL, &list, err);
        if (rc < 0)
                return rc;
        const struct json_object *items = kc_json_get(list, "items");
        for (size_t i = 0; !collection && i < kc_json_len(items); i++) {
                rc = kc_rest_delete(c->rest, g, ns, kc_meta_name(kc_json_idx(items, i)), NULL, NULL, err);
                if (rc < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND))
                        return rc;
                kc_error_done(err);
        }
        if (kc_json_len(items) == 0)
                return 0;
        kc_strv_pushf(&e->remaining, "%s.%s has %zu resource instances", g->resource, g->group, kc_json_len(items));
        return count_finalizers(items, e);
}

/* Events of both groups are the same objects. */
static bool is_emptied(const struct kc_api_resource *r)
{
        return r->preferred && r->namespaced && kc_api_resource_has_verb(r, "list") &&
               kc_api_resource_has_verb(r, "delete") && !(*r->group && kc_streq(r->resource, "events"));
}

static int empty_namespace(struct namespaces *c, const char *ns, struct emptying *e, struct kc_error *err)
{
        KC_CLEANUP(kc_resource_map_freep) struct kc_resource_map *map = NULL;
        int rc = kc_resource_map_fetch(c->rest, &map, err);

        if (rc < 0)
                return rc;
        if (map->stale)
                e->discovery_failure =
                    kc_asprintf("Discovery failed for some groups, %zu failing: unable to retrieve "
                                "the complete list of server APIs: %s: stale GroupVersion discovery: %s",
                        kc_strv_len(map->stale), map->stale[0], map->stale[0]);
        for (size_t i = 0; i < map->n; i++) {
                const struct kc_api_resource *r = &map->v[i];
                struct kc_gvr g = kc_api_resource_gvr(r);
                struct kc_error failure = KC_ERROR_INIT;
                if (is_emptied(r) &&
                    empty_kind(c, ns, &g, kc_api_resource_has_verb(r, "deletecollection"), e, &failure) < 0)
                        kc_strv_pushf(&e->failures, "%s.%s: %s", r->resource, r->group, kc_error_message(&failure));
                kc_error_done(&failure);
        }
        return 0;
}

static void set_condition(struct json_object *status, const char *type, const char *bad_reason, const char *good_reason,
    const char *good_message, const char *trouble)
{
        (void)kc_condition_set(status, type, trouble ? "True" : "False", trouble ? bad_reason : good_reason,
            trouble ? trouble : good_message, kc_clock_now(NULL)); /* the whole status is compared later */
}

static char *joined(const char *prefix, char **list)
{
        KC_CLEANUP(kc_freep) char *text = NULL;
        if (kc_strv_len(list) == 0)
                return NULL;
        text = kc_strv_join(list, ", ");
        return kc_asprintf("%s%s", prefix, text);
}

static int write_conditions(
    struct namespaces *c, const struct json_object *ns, const struct emptying *e, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *next = kc_json_copy(ns);
        struct json_object *status = kc_json_ensure_obj(next, "status");
        KC_CLEANUP(kc_freep) char *failures = joined("Failed to delete all resource types: ", e->failures);
        KC_CLEANUP(kc_freep) char *remaining = joined("Some resources are remaining: ", e->remaining);
        KC_CLEANUP(kc_freep)
        char *finalizers = joined("Some content in the namespace has finalizers remaining: ", e->finalizers);

        set_condition(status, "NamespaceDeletionDiscoveryFailure", "DiscoveryFailed", "ResourcesDiscovered",
            "All resources successfully discovered", e->discovery_failure);
        set_condition(status, "NamespaceDeletionGroupVersionParsingFailure", "GroupVersionParsingFailed",
            "ParsedGroupVersions", "All legacy kube types successfully parsed", NULL);
        set_condition(status, "NamespaceDeletionContentFailure", "ContentDeletionFailed", "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization", failures);
        set_condition(status, "NamespaceContentRemaining", "SomeResourcesRemain", "ContentRemoved",
            "All content successfully removed", remaining);
        set_condition(status, "NamespaceFinalizersRemaining", "SomeFinalizersRemain", "ContentHasNoFinalizers",
            "All content-preserving finalizers finished", finalizers);
        if (kc_json_equal(kc_json_get(ns, "status"), status))
                return 0;
        return kc_rest_update(c->rest, &KC_NAMESPACES, "status", next, NULL, err);
}

static bool spec_has_kubernetes(const struct json_object *ns)
{
        const struct json_object *list = kc_json_at(ns, "spec.finalizers");
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(list, i)), "kubernetes"))
                        return true;
        return false;
}

/* Without our finalizer the server lets the namespace go. */
static int finalize(struct namespaces *c, struct json_object *ns, struct kc_error *err)
{
        const struct json_object *list = kc_json_at(ns, "spec.finalizers");
        struct json_object *kept = json_object_new_array();

        for (size_t i = 0; i < kc_json_len(list); i++)
                if (!kc_streq(kc_json_as_str(kc_json_idx(list, i)), "kubernetes"))
                        kc_json_push_str(kept, kc_json_as_str(kc_json_idx(list, i)));
        kc_json_set(kc_json_ensure_obj(ns, "spec"), "finalizers", kept);
        return kc_rest_update(c->rest, &KC_NAMESPACES, "finalize", ns, NULL, err);
}

static void emptying_done(struct emptying *e)
{
        kc_strv_free(e->remaining);
        kc_strv_free(e->finalizers);
        kc_strv_free(e->failures);
        kc_free(e->discovery_failure);
}

static int empty_and_finalize(struct namespaces *c, const char *name, struct emptying *e, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *ns = NULL;
        int rc = kc_rest_get(c->rest, &KC_NAMESPACES, NULL, name, &ns, err);

        /* The cache may show one that is gone while another of that name has content already. */
        if (rc < 0 || !kc_meta_deleting(ns) || !spec_has_kubernetes(ns))
                return rc;
        rc = empty_namespace(c, name, e, err);
        if (rc < 0)
                return rc;
        if (!e->remaining && !e->failures && !e->discovery_failure)
                return finalize(c, ns, err);
        rc = write_conditions(c, ns, e, err);
        /* Pods take their grace period; others have finalizers: looked at again soon. */
        if (rc == 0)
                kc_workqueue_add_after(
                    kc_controller_queue(c->controller), name, (e->failures ? FIRST_RETRY_S : POD_RETRY_S) * KC_SEC);
        return rc;
}

static int sync_namespace(void *arg, const char *name, struct kc_error *err)
{
        struct namespaces *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup(c->namespaces, NULL, name);
        struct emptying e = {0};
        int rc;

        if (!obj || !kc_meta_deleting(kc_object_json(obj)) || !spec_has_kubernetes(kc_object_json(obj)))
                return 0;
        rc = empty_and_finalize(c, name, &e, err);
        emptying_done(&e);
        if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                rc = 0;
        }
        return rc;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct namespaces *c = KC_NEW(struct namespaces);

        (void)err;
        c->rest = cm->rest;
        c->namespaces = kc_informers_get(cm->informers, &KC_NAMESPACES);
        c->controller = kc_controller_new(
            cm->loop, cm->pool, "namespace-controller", cm->options->concurrent_namespace_syncs, sync_namespace, c);
        kc_informer_add_handler(c->namespaces, &(struct kc_informer_handler){on_add, on_update, NULL}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct namespaces *)state)->controller);
}

static void free_state(void *state)
{
        struct namespaces *c = state;
        kc_controller_free(c->controller);
        kc_free(c);
}

const struct kc_controller_def kc_namespace_controller = {
    .name = "namespace-controller", .init = init, .start = start, .free = free_state};

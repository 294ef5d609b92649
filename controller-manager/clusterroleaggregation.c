/* Cluster role aggregation: the rules of a ClusterRole with an aggregationRule are those of the ClusterRoles that it
 * selects. Handlers on the loop; sync on the pool. */
#include "base/str.h"
#include "controller-manager/table.h"

enum { WORKERS = 5 };
#define MANAGER "clusterrole-aggregation-controller"

struct aggregation {
        struct kc_rest *rest;
        struct kc_informer *roles;
        struct kc_controller *controller;
};

static const struct json_object *selectors_of(const struct kc_object *role)
{
        return kc_json_at(kc_object_json(role), "aggregationRule.clusterRoleSelectors");
}

/* Any role may be, or have been, a part of any that aggregates. */
static void enqueue_all(struct aggregation *c)
{
        KC_CLEANUP(kc_objects_done) struct kc_objects all = {0};
        kc_informer_list(c->roles, NULL, NULL, &all);
        for (size_t i = 0; i < all.n; i++)
                if (kc_json_get(kc_object_json(all.v[i]), "aggregationRule"))
                        kc_workqueue_add(kc_controller_queue(c->controller), kc_object_name(all.v[i]));
}

static void on_add(struct kc_object *o, bool initial, void *arg)
{
        (void)o;
        (void)initial;
        enqueue_all(arg);
}

static void on_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        (void)o;
        enqueue_all(arg);
}

static void on_delete(struct kc_object *o, void *arg)
{
        (void)o;
        enqueue_all(arg);
}

static bool has_rule(const struct json_object *rules, const struct json_object *rule)
{
        for (size_t i = 0; i < kc_json_len(rules); i++)
                if (kc_json_equal(kc_json_idx(rules, i), rule))
                        return true;
        return false;
}

/* Appends what the roles that the selector selects allow, but for what is there. */
static void add_selected(
    struct aggregation *c, const struct kc_object *self, const struct kc_selector *selector, struct json_object *rules)
{
        KC_CLEANUP(kc_objects_done) struct kc_objects parts = {0};
        kc_informer_list(c->roles, NULL, selector, &parts);
        for (size_t i = 0; i < parts.n; i++) {
                if (kc_streq(kc_object_name(parts.v[i]), kc_object_name(self)))
                        continue;
                const struct json_object *from = kc_json_get(kc_object_json(parts.v[i]), "rules");
                for (size_t j = 0; j < kc_json_len(from); j++)
                        if (!has_rule(rules, kc_json_idx(from, j)))
                                kc_json_push(rules, kc_json_copy(kc_json_idx(from, j)));
        }
}

static bool same_rules(const struct json_object *a, const struct json_object *b)
{
        return (kc_json_len(a) == 0 && kc_json_len(b) == 0) || kc_json_equal(a, b);
}

static int apply(struct aggregation *c, const char *name, const struct json_object *rules, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(&KC_CLUSTERROLES, NULL, name, NULL);
        KC_CLEANUP(kc_freep) char *target = kc_asprintf("%s?fieldManager=" MANAGER "&force=true", path);
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build(
            "{'kind':'ClusterRole','apiVersion':'rbac.authorization.k8s.io/v1','metadata':{'name':%s}}", name);
        if (kc_json_len(rules) > 0)
                kc_json_set(patch, "rules", kc_json_copy(rules));
        return kc_rest_call(c->rest, "PATCH", target, KC_PATCH_APPLY, patch, NULL, err);
}

static int sync_role(void *arg, const char *key, struct kc_error *err)
{
        struct aggregation *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *role = kc_informer_lookup(c->roles, NULL, key);
        if (!role || !kc_json_get(kc_object_json(role), "aggregationRule"))
                return 0;
        KC_CLEANUP(kc_json_freep) struct json_object *rules = json_object_new_array();
        const struct json_object *selectors = selectors_of(role);
        for (size_t i = 0; i < kc_json_len(selectors); i++) {
                KC_CLEANUP(kc_selector_freep) struct kc_selector *selector = NULL;
                int r = kc_selector_from_label_selector(kc_json_idx(selectors, i), &selector, err);
                if (r < 0)
                        return r;
                add_selected(c, role, selector, rules);
        }
        if (same_rules(rules, kc_json_get(kc_object_json(role), "rules")))
                return 0;
        int r = apply(c, key, rules, err);
        if (r < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        return r;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct aggregation *c = KC_NEW(struct aggregation);

        (void)err;
        c->rest = cm->rest;
        c->roles = kc_informers_get(cm->informers, &KC_CLUSTERROLES);
        c->controller = kc_controller_new(cm->loop, cm->pool, "ClusterRoleAggregator", WORKERS, sync_role, c);
        kc_informer_add_handler(c->roles, &(struct kc_informer_handler){on_add, on_update, on_delete}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct aggregation *)state)->controller);
}

static void free_state(void *state)
{
        struct aggregation *c = state;
        kc_controller_free(c->controller);
        kc_free(c);
}

const struct kc_controller_def kc_clusterroleaggregation_controller = {
    .name = "clusterrole-aggregation-controller", .init = init, .start = start, .free = free_state};

/* The default roles and bindings: created, and reconciled with what upgrades and administrators have made of them -
 * permissions and subjects that are missing come back, additional ones stay, and objects whose autoupdate annotation is
 * "false" are left alone (pkg/registry/rbac/reconciliation). Worker thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "auth/rbac_rules.h"
#include "base/features.h"
#include "base/log.h"
#include "base/str.h"
#include "bootstrap/bootstrap_internal.h"
#include "registry/strategy.h"
#include "json/yaml.h"

#define GROUP "rbac.authorization.k8s.io"
#define AUTOUPDATE "rbac.authorization.kubernetes.io/autoupdate"
#define BOOTSTRAPPING "kubernetes.io/bootstrapping"

extern const char kc_bootstrap_rbac_yaml[];
extern const size_t kc_bootstrap_rbac_yaml_len;

/* --- from the short form of rbac.yaml */

static bool wanted(const struct json_object *row)
{
        const char *feature = kc_json_str(row, "feature");
        return !feature || kc_feature_enabled(kc_feature_named(feature));
}

static struct json_object *copy_wanted(const struct json_object *list)
{
        struct json_object *out = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(list); i++) {
                if (!wanted(kc_json_idx(list, i)))
                        continue;
                struct json_object *row = kc_json_copy(kc_json_idx(list, i));
                kc_json_del(row, "feature");
                kc_json_push(out, row);
        }
        return out;
}

static struct json_object *expand(const struct json_object *in)
{
        struct json_object *meta = kc_json_build("{'name':%s,'labels':{'" BOOTSTRAPPING
                                                 "':'rbac-defaults'},'annotations':{'" AUTOUPDATE "':'true'}}",
            kc_json_str(in, "name"));
        kc_json_set_str(meta, "namespace", kc_json_str(in, "namespace"));
        const struct json_object *labels = kc_json_get(in, "labels");
        KC_JSON_FOREACH(labels, key, val)
        {
                kc_json_set(kc_json_get_mut(meta, "labels"), key, kc_json_copy(val));
        }
        struct json_object *o = kc_json_build("{'metadata':%o}", meta);
        static const char *const copied[] = {"rules", "subjects"};
        for (size_t i = 0; i < KC_ARRAY_LEN(copied); i++)
                if (kc_json_get(in, copied[i]))
                        kc_json_set(o, copied[i], copy_wanted(kc_json_get(in, copied[i])));
        const struct json_object *aggregate = kc_json_get(in, "aggregate"), *role = kc_json_get(in, "role");
        if (aggregate)
                kc_json_set(o, "aggregationRule",
                    kc_json_build("{'clusterRoleSelectors':[{'matchLabels':%o}]}", kc_json_copy(aggregate)));
        if (role)
                kc_json_set(o, "roleRef",
                    kc_json_build("{'apiGroup':'" GROUP "','kind':%s,'name':%s}", kc_json_str(role, "kind"),
                        kc_json_str(role, "name")));
        return o;
}

static int parse(struct json_object **ret, struct kc_error *err)
{
        return kc_yaml_parse(kc_bootstrap_rbac_yaml, kc_bootstrap_rbac_yaml_len, NULL, ret, err);
}

static struct json_object *expand_all(const struct json_object *doc, const char *resource)
{
        const struct json_object *list = kc_json_get(doc, resource);
        struct json_object *out = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (wanted(kc_json_idx(list, i)))
                        kc_json_push(out, expand(kc_json_idx(list, i)));
        return out;
}

int boot_rbac_objects(const char *resource, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *doc = NULL;
        int r = parse(&doc, err);
        if (r == 0)
                *ret = expand_all(doc, resource);
        return r;
}

/* --- reconciling one */

static bool add_missing_meta(struct json_object *obj, const struct json_object *wanted, const char *what)
{
        bool changed = false;
        const struct json_object *from = kc_json_get(kc_json_get(wanted, "metadata"), what);
        KC_JSON_FOREACH(from, key, val)
        {
                const struct json_object *to = kc_json_get(kc_json_get(obj, "metadata"), what);
                if (kc_json_get(to, key))
                        continue; /* what is there was chosen */
                struct json_object *meta = kc_json_ensure_obj(obj, "metadata");
                kc_json_set(kc_json_ensure_obj(meta, what), key, kc_json_copy(val));
                changed = true;
        }
        return changed;
}

static bool add_missing_rules(struct json_object *obj, const struct json_object *wanted)
{
        /* The rules of an aggregated role are those of its parts. */
        if (kc_json_get(wanted, "aggregationRule") && kc_json_get(obj, "aggregationRule"))
                return false;
        KC_CLEANUP(rbac_rules_done) struct rbac_rules have = {0};
        rbac_rules_compile(&have, kc_json_get(obj, "rules"));
        const struct json_object *rules = kc_json_get(wanted, "rules");
        bool changed = false;
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                KC_CLEANUP(rbac_rules_done) struct rbac_rules rule = {0};
                KC_CLEANUP(rbac_rules_done) struct rbac_rules missing = {0};
                KC_CLEANUP(kc_json_freep)
                struct json_object *one = kc_json_build("[%o]", kc_json_copy(kc_json_idx(rules, i)));
                rbac_rules_compile(&rule, one);
                if (rbac_rules_cover(&have, &rule, &missing))
                        continue;
                kc_json_push(kc_json_ensure_arr(obj, "rules"), kc_json_copy(kc_json_idx(rules, i)));
                changed = true;
        }
        return changed;
}

static bool same_subject(const struct json_object *a, const struct json_object *b)
{
        static const char *const keys[] = {"kind", "name", "namespace"};
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++)
                if (!kc_json_equal(kc_json_get(a, keys[i]), kc_json_get(b, keys[i])))
                        return false;
        return true;
}

static bool add_missing_subjects(struct json_object *obj, const struct json_object *wanted)
{
        const struct json_object *subjects = kc_json_get(wanted, "subjects");
        bool changed = false;
        for (size_t i = 0; i < kc_json_len(subjects); i++) {
                const struct json_object *have = kc_json_get(obj, "subjects");
                bool found = false;
                for (size_t j = 0; j < kc_json_len(have) && !found; j++)
                        found = same_subject(kc_json_idx(have, j), kc_json_idx(subjects, i));
                if (found)
                        continue;
                kc_json_push(kc_json_ensure_arr(obj, "subjects"), kc_json_copy(kc_json_idx(subjects, i)));
                changed = true;
        }
        return changed;
}

static bool add_missing_selectors(struct json_object *obj, const struct json_object *wanted)
{
        const struct json_object *selectors = kc_json_at(wanted, "aggregationRule.clusterRoleSelectors");
        bool changed = false;
        for (size_t i = 0; i < kc_json_len(selectors); i++) {
                const struct json_object *have = kc_json_at(obj, "aggregationRule.clusterRoleSelectors");
                bool found = false;
                for (size_t j = 0; j < kc_json_len(have) && !found; j++)
                        found = kc_json_equal(kc_json_idx(have, j), kc_json_idx(selectors, i));
                if (found)
                        continue;
                kc_json_push(kc_json_ensure_arr(kc_json_ensure_obj(obj, "aggregationRule"), "clusterRoleSelectors"),
                    kc_json_copy(kc_json_idx(selectors, i)));
                changed = true;
        }
        return changed;
}

static bool reconcile(struct json_object *obj, void *arg)
{
        const struct json_object *wanted = arg;
        if (kc_streq(kc_meta_annotation(obj, AUTOUPDATE), "false"))
                return false;
        bool changed = add_missing_meta(obj, wanted, "labels");
        changed = add_missing_meta(obj, wanted, "annotations") || changed;
        if (kc_json_get(wanted, "roleRef"))
                return add_missing_subjects(obj, wanted) || changed;
        changed = add_missing_selectors(obj, wanted) || changed;
        return add_missing_rules(obj, wanted) || changed;
}

/* A binding to another role cannot be changed: it is made anew. */
static int drop_other_role(struct kc_registry *r, const char *resource, const char *ns, const char *name,
    const struct json_object *wanted, struct kc_error *err)
{
        const struct json_object *ref = kc_json_get(wanted, "roleRef");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *have = NULL;
        if (!ref || kc_resources_get(kc_registry_resources(r), GROUP, resource, ns, name, &have, NULL) < 0)
                return 0;
        const struct json_object *obj = kc_object_json(have);
        if (kc_json_equal(kc_json_get(obj, "roleRef"), ref) || kc_streq(kc_meta_annotation(obj, AUTOUPDATE), "false"))
                return 0;
        struct kc_registry_ctx c;
        kc_registry_ctx_init(&c, r, GROUP, resource, ns, name, NULL, false, NULL);
        struct kc_delete_request d = {.grace_period_seconds = -1, .uid = kc_object_uid(have)};
        int e = kc_registry_delete(&c, &d, NULL, NULL, err);
        if (e == -ENOENT) {
                kc_error_done(err);
                return 0;
        }
        if (e == 0)
                kc_log_warn("Binding refers to another role than the default one, made anew", "resource", resource,
                    "name", name);
        return e;
}

static int ensure(struct kc_registry *r, const char *resource, const struct json_object *wanted, struct kc_error *err)
{
        const char *name = kc_meta_name(wanted), *ns = kc_meta_namespace(wanted);
        ns = ns ? ns : "";
        int e = drop_other_role(r, resource, ns, name, wanted, err);
        if (e < 0)
                return e;
        if (boot_exists(r, GROUP, resource, ns, name)) {
                e = boot_update(r, GROUP, resource, ns, name, reconcile, (void *)wanted, err);
                if (e != -ENOENT)
                        return e;
                kc_error_done(err);
        }
        return boot_create(r, GROUP, resource, ns, kc_json_copy(wanted), err);
}

int boot_rbac(struct kc_registry *r, struct kc_error *err)
{
        static const char *const resources[] = {"clusterroles", "clusterrolebindings", "roles", "rolebindings"};
        KC_CLEANUP(kc_json_freep) struct json_object *doc = NULL;
        int e = parse(&doc, err);
        for (size_t i = 0; e == 0 && i < KC_ARRAY_LEN(resources); i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *all = expand_all(doc, resources[i]);
                for (size_t j = 0; e == 0 && j < kc_json_len(all); j++)
                        e = ensure(r, resources[i], kc_json_idx(all, j), err);
        }
        return e;
}

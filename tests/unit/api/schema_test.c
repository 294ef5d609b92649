/* Lookups in the generated tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/schema.h"
#include "base/mem.h"

static void finds_resources(void **state)
{
        (void)state;
        const struct kc_resource *pods = kc_schema_resource("", "v1", "pods");
        assert_non_null(pods);
        assert_string_equal(pods->kind, "Pod");
        assert_string_equal(pods->list_kind, "PodList");
        assert_string_equal(pods->singular, "pod");
        assert_true(pods->namespaced);
        assert_string_equal(pods->short_names[0], "po");
        assert_null(pods->short_names[1]);
        assert_string_equal(pods->categories[0], "all");
        assert_int_equal(pods->verbs, 0xff);
        assert_string_equal(pods->type->name, "io.k8s.api.core.v1.Pod");
        assert_string_equal(pods->list_object_type->name, "io.k8s.api.core.v1.PodList");
        assert_true(pods->returns_deleted);
        assert_false(kc_schema_resource("", "v1", "namespaces")->verbs & KC_VERB_DELETECOLLECTION);
        assert_false(kc_schema_resource("", "v1", "nodes")->namespaced);
        assert_ptr_equal(kc_schema_kind("", "v1", "Pod"), pods);
        assert_string_equal(pods->storage_version_hash, "xPOwRZ+Yhw8=");
        assert_null(kc_schema_resource("", "v1", "persistentvolume"));
        assert_null(kc_schema_resource("apps", "v2", "deployments"));
        assert_null(kc_schema_kind("", "v1", "Pods"));
}

static void takes_the_preferred_version(void **state)
{
        (void)state;
        assert_string_equal(kc_schema_resource("apps", NULL, "deployments")->version, "v1");
        assert_null(kc_schema_resource("extensions", NULL, "deployments"));
}

static void orders_groups_as_upstream(void **state)
{
        (void)state;
        static const char *const groups[] = {"apiregistration.k8s.io", "", "apps", "events.k8s.io",
            "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "autoscaling", "batch",
            "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io",
            "admissionregistration.k8s.io", "apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io",
            "node.k8s.io", "discovery.k8s.io", "resource.k8s.io", "flowcontrol.apiserver.k8s.io"};
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        assert_int_equal(n, sizeof(groups) / sizeof(groups[0]));
        for (size_t i = 0; i < n; i++)
                assert_string_equal(gvs[i]->group, groups[i]);
}

static void has_subresources(void **state)
{
        (void)state;
        const struct kc_resource *deployments = kc_schema_resource("apps", "v1", "deployments");
        const struct kc_subresource *scale = kc_resource_subresource(deployments, "scale");
        assert_string_equal(scale->group, "autoscaling");
        assert_string_equal(scale->kind, "Scale");
        assert_int_equal(scale->verbs, KC_VERB_GET | KC_VERB_PATCH | KC_VERB_UPDATE);
        assert_string_equal(scale->type->name, "io.k8s.api.autoscaling.v1.Scale");
        const struct kc_resource *pods = kc_schema_resource("", "v1", "pods");
        assert_string_equal(kc_resource_subresource(pods, "eviction")->type->name, "io.k8s.api.policy.v1.Eviction");
        assert_null(kc_resource_subresource(pods, "log")->type);
        assert_null(kc_resource_subresource(pods, "scale"));
}

static void describes_fields(void **state)
{
        (void)state;
        const struct kc_type *spec = kc_schema_type("io.k8s.api.core.v1.PodSpec");
        const struct kc_field *containers = kc_type_field(spec, "containers");
        assert_int_equal(containers->wire, 2);
        assert_int_equal(containers->flags, KC_FIELD_REQUIRED | KC_FIELD_PATCH_MERGE);
        assert_string_equal(containers->merge_key, "name");
        assert_int_equal(containers->type->kind, KC_TYPE_ARRAY);
        assert_int_equal(containers->type->list_type, KC_LIST_MAP);
        assert_string_equal(containers->type->list_map_keys[0], "name");
        const struct kc_field *restart = kc_type_field(spec, "restartPolicy");
        assert_string_equal(restart->default_json, "\"Always\"");
        assert_string_equal(restart->type->enums[0], "Always");
        const struct kc_field *grace = kc_type_field(spec, "terminationGracePeriodSeconds");
        assert_int_equal(grace->flags, KC_FIELD_OMIT_EMPTY | KC_FIELD_POINTER);
        assert_int_equal(grace->type->kind, KC_TYPE_INT64);
        assert_null(kc_type_field(spec, "container"));
        assert_null(kc_type_field(spec, "zz"));
        /* Field 8 of VolumeSource, which Volume embeds as its field 2. */
        const struct kc_type *volume = kc_schema_type("io.k8s.api.core.v1.Volume");
        assert_int_equal(kc_type_field(volume, "iscsi")->wire, 2 << KC_WIRE_BITS | 8);
        assert_int_equal(kc_type_field(kc_schema_type("io.k8s.api.core.v1.PodSpec"), "volumes")->flags,
            KC_FIELD_PATCH_MERGE | KC_FIELD_PATCH_RETAIN_KEYS | KC_FIELD_OMIT_EMPTY);
        assert_true(kc_schema_type("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector")->map_atomic);
}

/* A rule of an admission policy embeds an embedded one. */
static void embeds_twice(void **state)
{
        (void)state;
        const struct kc_type *rule = kc_schema_type("io.k8s.api.admissionregistration.v1.NamedRuleWithOperations");
        assert_int_equal(kc_type_field(rule, "resourceNames")->wire, 1);
        assert_int_equal(kc_type_field(rule, "operations")->wire, 2 << KC_WIRE_BITS | 1);
        assert_int_equal(kc_type_field(rule, "scope")->wire, 2 << (2 * KC_WIRE_BITS) | 2 << KC_WIRE_BITS | 4);
}

static void stores_events_once(void **state)
{
        (void)state;
        const struct kc_resource *events = kc_schema_resource("events.k8s.io", "v1", "events");
        assert_string_equal(events->storage_group, "");
        assert_string_equal(events->storage_version, "v1");
        assert_string_equal(events->storage_prefix, "events");
        assert_string_equal(events->storage_version_hash, "r2yiGXH7wu8=");
        assert_string_equal(kc_schema_resource("autoscaling", "v1", "horizontalpodautoscalers")->storage_version, "v2");
}

/* Binary search needs sorted tables; order must name every field once. */
static void tables_are_sound(void **state)
{
        (void)state;
        size_t n;
        const struct kc_type *const *types = kc_schema_types(&n);
        assert_true(n > 300);
        for (size_t i = 0; i < n; i++) {
                const struct kc_type *t = types[i];
                assert_true(i == 0 || strcmp(types[i - 1]->name, t->name) < 0);
                assert_ptr_equal(kc_schema_type(t->name), t);
                size_t sum = 0;
                for (size_t k = 0; k < t->n_fields; k++) {
                        assert_true(k == 0 || strcmp(t->fields[k - 1].name, t->fields[k].name) < 0);
                        assert_non_null(t->fields[k].type);
                        sum += t->order[k];
                }
                assert_int_equal(sum, t->n_fields ? t->n_fields * (t->n_fields - 1) / 2 : 0);
        }
}

static void splits_api_versions(void **state)
{
        (void)state;
        char *group, *version;
        kc_api_version_split("apps/v1", &group, &version);
        assert_string_equal(group, "apps");
        assert_string_equal(version, "v1");
        kc_free(group);
        kc_free(version);
        kc_api_version_split("v1", &group, &version);
        assert_string_equal(group, "");
        assert_string_equal(version, "v1");
        kc_free(group);
        kc_free(version);
        char *joined = kc_api_version_join("", "v1");
        assert_string_equal(joined, "v1");
        kc_free(joined);
        joined = kc_api_version_join("apps", "v1");
        assert_string_equal(joined, "apps/v1");
        kc_free(joined);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(finds_resources),
            cmocka_unit_test(takes_the_preferred_version),
            cmocka_unit_test(orders_groups_as_upstream),
            cmocka_unit_test(has_subresources),
            cmocka_unit_test(describes_fields),
            cmocka_unit_test(embeds_twice),
            cmocka_unit_test(stores_events_once),
            cmocka_unit_test(tables_are_sound),
            cmocka_unit_test(splits_api_versions),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

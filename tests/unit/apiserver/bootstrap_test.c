/* What the apiserver keeps in existence by itself. */
#include "bootstrap/bootstrap_internal.h"
#include "registry_fixture.h"

#define RBAC "rbac.authorization.k8s.io"

static size_t count(struct fixture *f, const char *group, const char *resource)
{
        const struct kc_stored *s = kc_resources_find(f->resources, group, resource);
        const struct kc_cache_read now = {.match = KC_CACHE_CONSISTENT};
        assert_int_equal(kc_cache_wait(s->cache, &now, NULL), 0);
        return kc_cache_resource_count(s->cache);
}

static void run(struct fixture *f, int (*hook)(struct kc_registry *r, struct kc_error *err))
{
        kc_error_done(&f->err);
        if (hook(f->registry, &f->err) < 0)
                fail_msg("%s", kc_error_message(&f->err));
}

static int64_t store_revision(struct fixture *f)
{
        int64_t r = 0;
        assert_int_equal(kc_store_revision(f->store, &r, NULL), 0);
        return r;
}

static void namespaces_and_priority_classes(void **state)
{
        struct fixture *f = *state;
        run(f, boot_namespaces);
        run(f, boot_priority_classes);
        assert_int_equal(count(f, "", "namespaces"), 4);
        static const char *const names[] = {"default", "kube-system", "kube-public", "kube-node-lease"};
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++) {
                KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "", "namespaces", "", names[i]);
                assert_string_equal(at(o, "status.phase"), "\"Active\"");
        }
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *pc = get(f, "scheduling.k8s.io", "priorityclasses", "", "system-node-critical");
        assert_string_equal(at(pc, "value"), "2000001000");
        int64_t before = store_revision(f);
        run(f, boot_namespaces);
        run(f, boot_priority_classes);
        assert_int_equal(store_revision(f), before); /* nothing to do: nothing written */
}

static void default_roles(void **state)
{
        struct fixture *f = *state;
        run(f, boot_namespaces);
        run(f, boot_rbac);
        assert_int_equal(count(f, RBAC, "clusterroles"), 70);
        assert_int_equal(count(f, RBAC, "clusterrolebindings"), 51);
        assert_int_equal(count(f, RBAC, "roles"), 7);
        assert_int_equal(count(f, RBAC, "rolebindings"), 7);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, RBAC, "clusterroles", "", "cluster-admin");
        assert_string_equal(at(o, "rules"),
            "[{\"verbs\":[\"*\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"]},{\"verbs\":[\"*\"],"
            "\"nonResourceURLs\":[\"*\"]}]");
        assert_string_equal(at(o, "metadata.labels"), "{\"kubernetes.io/bootstrapping\":\"rbac-defaults\"}");
        assert_string_equal(
            at(o, "metadata.annotations"), "{\"rbac.authorization.kubernetes.io/autoupdate\":\"true\"}");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *b = get(f, RBAC, "clusterrolebindings", "", "cluster-admin");
        assert_string_equal(at(b, "subjects"),
            "[{\"kind\":\"Group\",\"apiGroup\":\"rbac.authorization.k8s.io\",\"name\":\"system:masters\"}]");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *view = get(f, RBAC, "clusterroles", "", "view");
        assert_string_equal(at(view, "aggregationRule"), "{\"clusterRoleSelectors\":[{\"matchLabels\":{\"rbac."
                                                         "authorization.k8s.io/aggregate-to-view\":\"true\"}}]}");
        int64_t before = store_revision(f);
        run(f, boot_rbac);
        assert_int_equal(store_revision(f), before);
        /* The anonymous user may ask for health and version. */
        KC_CLEANUP(kc_user_unrefp) struct kc_user *u = kc_user_new(KC_USER_ANONYMOUS, NULL, NULL);
        kc_user_add_group(u, KC_GROUP_UNAUTHENTICATED);
        struct kc_authz_attrs a = {.user = u, .verb = "get", .path = "/readyz", .ns = "", .group = ""};
        EVENTUALLY(kc_authz_authorize(f->authz, &a, NULL) == KC_ALLOW);
        a.path = "/version";
        assert_int_equal(kc_authz_authorize(f->authz, &a, NULL), KC_ALLOW);
        a.path = "/metrics";
        assert_int_equal(kc_authz_authorize(f->authz, &a, NULL), KC_NO_OPINION);
}

static void what_is_missing_comes_back(void **state)
{
        struct fixture *f = *state;
        run(f, boot_namespaces);
        run(f, boot_rbac);
        const char *name = "system:basic-user";
        assert_int_equal(change_as(f, NULL, RBAC, "clusterrolebindings", "", "", name,
                             kc_json_build("{'metadata':{'labels':null}}"), NULL),
            0);
        assert_int_equal(remove_as(f, NULL, RBAC, "clusterroles", "", name, -1, NULL), 0);
        put(f, RBAC, "clusterroles", "",
            kc_json_build(
                "{'metadata':{'name':%s,'annotations':{'rbac.authorization.kubernetes.io/autoupdate':'true'}},"
                "'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['pods']}]}",
                name));
        kc_object_unref(get(f, RBAC, "clusterroles", "", name)); /* waits for the cache */
        run(f, boot_rbac);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, RBAC, "clusterroles", "", name);
        assert_string_equal(at(o, "rules"),
            "[{\"verbs\":[\"get\"],\"apiGroups\":[\"\"],\"resources\":[\"pods\"]},{\"verbs\":[\"create\"],"
            "\"apiGroups\":["
            "\"authorization.k8s.io\"],\"resources\":[\"selfsubjectaccessreviews\",\"selfsubjectrulesreviews\"]},{"
            "\"verbs\":[\"create\"],\"apiGroups\":[\"authentication.k8s.io\"],\"resources\":[\"selfsubjectreviews\"]}"
            "]");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *b = get(f, RBAC, "clusterrolebindings", "", name);
        assert_string_equal(at(b, "metadata.labels"), "{\"kubernetes.io/bootstrapping\":\"rbac-defaults\"}");
}

static void who_opts_out_is_left_alone(void **state)
{
        struct fixture *f = *state;
        run(f, boot_namespaces);
        put(f, RBAC, "clusterroles", "",
            kc_json_build("{'metadata':{'name':'view','annotations':{"
                          "'rbac.authorization.kubernetes.io/autoupdate':'false'}},'rules':[]}"));
        kc_object_unref(get(f, RBAC, "clusterroles", "", "view")); /* waits for the cache */
        run(f, boot_rbac);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, RBAC, "clusterroles", "", "view");
        assert_string_equal(at(o, "rules"), "[]");
        assert_string_equal(at(o, "metadata.labels"), "");
}

static void the_kubernetes_service(void **state)
{
        struct fixture *f = *state;
        run(f, boot_namespaces);
        struct kc_bootstrap_opts o = {
            .registry = f->registry,
            .advertise_address = "192.0.2.10",
            .secure_port = 6443,
            .service_ip = "10.96.0.1",
            .service_port = 443,
        };
        for (int i = 0; i < 2; i++)
                if (boot_kubernetes_service(&o, &f->err) < 0)
                        fail_msg("%s", kc_error_message(&f->err));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *svc = get(f, "", "services", "default", "kubernetes");
        assert_string_equal(at(svc, "spec.clusterIPs"), "[\"10.96.0.1\"]");
        assert_string_equal(
            at(svc, "spec.ports"), "[{\"name\":\"https\",\"protocol\":\"TCP\",\"port\":443,\"targetPort\":6443}]");
        assert_string_equal(kc_meta_label(kc_object_json(svc), "component"), "apiserver");
        assert_string_equal(kc_meta_label(kc_object_json(svc), "provider"), "kubernetes");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *ep = get(f, "", "endpoints", "default", "kubernetes");
        assert_string_equal(at(ep, "subsets"),
            "[{\"addresses\":[{\"ip\":\"192.0.2.10\"}],\"ports\":[{\"name\":\"https\","
            "\"port\":6443,\"protocol\":\"TCP\"}]}]");
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *slice = get(f, "discovery.k8s.io", "endpointslices", "default", "kubernetes");
        assert_string_equal(
            at(slice, "endpoints"), "[{\"addresses\":[\"192.0.2.10\"],\"conditions\":{\"ready\":true}}]");
        assert_string_equal(at(slice, "addressType"), "\"IPv4\"");
        /* A second server joins, and the first one leaves. */
        struct kc_bootstrap_opts other = o;
        other.advertise_address = "192.0.2.11";
        assert_int_equal(boot_kubernetes_service(&other, NULL), 0);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *both = get(f, "", "endpoints", "default", "kubernetes");
        assert_string_equal(at(both, "subsets"),
            "[{\"addresses\":[{\"ip\":\"192.0.2.10\"},{\"ip\":\"192.0.2.11\"}],"
            "\"ports\":[{\"name\":\"https\",\"port\":6443,\"protocol\":\"TCP\"}]}]");
        assert_int_equal(boot_kubernetes_service_leave(&o, NULL), 0);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *left = get(f, "discovery.k8s.io", "endpointslices", "default", "kubernetes");
        assert_string_equal(
            at(left, "endpoints"), "[{\"addresses\":[\"192.0.2.11\"],\"conditions\":{\"ready\":true}}]");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
            TEST(namespaces_and_priority_classes),
            TEST(default_roles),
            TEST(what_is_missing_comes_back),
            TEST(who_opts_out_is_left_alone),
            TEST(the_kubernetes_service),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Pods, namespaces, nodes and workloads through the registry: what is set for them, how they go. */
#include "registry_fixture.h"

static struct json_object *pod_with(const char *name, const char *resources)
{
        return kc_json_build(
            "{'metadata':{'name':%s},'spec':{'containers':[{'name':'c','image':'busybox','resources':%o}]}}", name,
            kc_json_build(resources));
}

static void qos_classes(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        static const struct {
                const char *resources, *want;
        } cases[] = {
            {"{}", "\"BestEffort\""},
            {"{'requests':{'cpu':'100m'}}", "\"Burstable\""},
            {"{'limits':{'cpu':'100m'}}", "\"Burstable\""},
            {"{'limits':{'cpu':'100m','memory':'1Gi'}}", "\"Guaranteed\""},
            {"{'limits':{'cpu':'1','memory':'1Gi'},'requests':{'cpu':'1000m','memory':'1024Mi'}}", "\"Guaranteed\""},
            {"{'limits':{'cpu':'1','memory':'1Gi'},'requests':{'cpu':'500m','memory':'1Gi'}}", "\"Burstable\""},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("p%zu", i);
                KC_CLEANUP(kc_object_unrefp)
                struct kc_object *o = must_create(f, "", "pods", "default", pod_with(name, cases[i].resources));
                assert_string_equal(at(o, "status.qosClass"), cases[i].want);
                assert_string_equal(at(o, "status.phase"), "\"Pending\"");
                assert_string_equal(at(o, "metadata.generation"), "1");
        }
}

static struct json_object *binding(const char *node)
{
        return kc_json_build(
            "{'metadata':{'name':'p','annotations':{'a':'b'}},'target':{'kind':'Node','name':%s}}", node);
}

static void binding_assigns_a_node_once(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "", "nodes", "",
            kc_json_build("{'metadata':{'name':'n1','labels':{'topology.kubernetes.io/zone':'z1'}}}"));
        put(f, "", "pods", "default", simple_pod("p"));
        KC_CLEANUP(kc_json_freep) struct json_object *b = binding("n1");
        struct json_object *answer = NULL;
        if (act(f, "pods", "binding", "default", "p", b, &answer) < 0)
                fail_msg("binding: %s", kc_error_message(&f->err));
        assert_null(answer);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "", "pods", "default", "p");
        assert_string_equal(at(o, "spec.nodeName"), "\"n1\"");
        assert_string_equal(at(o, "metadata.annotations"), "{\"a\":\"b\"}");
        assert_string_equal(at(o, "status.conditions"),
            "[{\"type\":\"PodScheduled\",\"status\":\"True\",\"lastProbeTime\":null,"
            "\"lastTransitionTime\":\"2026-11-21T12:00:00Z\"}]");
        assert_int_equal(act(f, "pods", "binding", "default", "p", b, &answer), -EAGAIN);
        assert_int_equal(f->err.code, 409);
        assert_string_equal(f->err.message, "Operation cannot be fulfilled on pods/binding \"p\": pod p is already "
                                            "assigned to node \"n1\"");
        assert_int_equal(act(f, "pods", "binding", "default", "none", b, &answer), -ENOENT);
        assert_string_equal(f->err.message, "pods \"none\" not found");
}

static void graceful_deletion(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        bool gone = false;
        put(f, "", "pods", "default", simple_pod("idle"));
        assert_int_equal(remove_as(f, NULL, "", "pods", "default", "idle", -1, &gone), 0);
        assert_true(gone); /* not on a node: at once */
        put(f, "", "pods", "default", simple_pod("p"));
        KC_CLEANUP(kc_json_freep) struct json_object *b = binding("n1");
        struct json_object *answer = NULL;
        assert_int_equal(act(f, "pods", "binding", "default", "p", b, &answer), 0);
        assert_int_equal(remove_as(f, NULL, "", "pods", "default", "p", -1, &gone), 0);
        assert_false(gone);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "", "pods", "default", "p");
        assert_string_equal(at(o, "metadata.deletionTimestamp"), "\"2026-11-21T12:00:30Z\"");
        assert_string_equal(at(o, "metadata.deletionGracePeriodSeconds"), "30");
        assert_int_equal(remove_as(f, NULL, "", "pods", "default", "p", 5, &gone), 0);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *sooner = get(f, "", "pods", "default", "p");
        assert_string_equal(at(sooner, "metadata.deletionTimestamp"), "\"2026-11-21T12:00:05Z\"");
        assert_int_equal(remove_as(f, NULL, "", "pods", "default", "p", 0, &gone), 0);
        assert_true(gone);
}

static void eviction_says_why(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "", "pods", "default", simple_pod("p"));
        KC_CLEANUP(kc_json_freep) struct json_object *b = binding("n1");
        struct json_object *answer = NULL;
        assert_int_equal(act(f, "pods", "binding", "default", "p", b, &answer), 0);
        KC_CLEANUP(kc_json_freep)
        struct json_object *e = kc_json_build("{'metadata':{'name':'p'},'deleteOptions':{'gracePeriodSeconds':7}}");
        if (act(f, "pods", "eviction", "default", "p", e, &answer) < 0)
                fail_msg("eviction: %s", kc_error_message(&f->err));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "", "pods", "default", "p");
        assert_string_equal(at(o, "metadata.deletionGracePeriodSeconds"), "7");
        const struct json_object *c = kc_condition_get(kc_json_get(kc_object_json(o), "status"), "DisruptionTarget");
        assert_string_equal(kc_json_str(c, "reason"), "EvictionByEvictionAPI");
        assert_string_equal(kc_json_str(c, "message"), "Eviction API: evicting");
}

static void namespaces_wait_for_their_content(void **state)
{
        struct fixture *f = *state;
        bool gone = false;
        put(f, "", "namespaces", "", kc_json_build("{'metadata':{'name':'x'}}"));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "", "namespaces", "", "x");
        assert_string_equal(at(o, "spec.finalizers"), "[\"kubernetes\"]");
        assert_string_equal(at(o, "status"), "{\"phase\":\"Active\"}");
        assert_string_equal(at(o, "metadata.generation"), "");
        assert_int_equal(remove_as(f, NULL, "", "namespaces", "", "x", -1, &gone), 0);
        assert_false(gone);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *dying = get(f, "", "namespaces", "", "x");
        assert_string_equal(at(dying, "status"), "{\"phase\":\"Terminating\"}");
        assert_string_equal(at(dying, "metadata.deletionTimestamp"), "\"2026-11-21T12:00:00Z\"");
        assert_string_equal(at(dying, "metadata.deletionGracePeriodSeconds"), "");
        assert_null(create_as(f, f->registry, NULL, "", "configmaps", "x", kc_json_build("{'metadata':{'name':'c'}}")));
        assert_string_equal(f->err.message,
            "configmaps \"c\" is forbidden: unable to create new content in namespace x "
            "because it is being terminated");
        assert_string_equal(f->err.details->causes[0].reason, "NamespaceTerminating");
        assert_int_equal(change_as(f, NULL, "", "namespaces", "finalize", "", "x",
                             kc_json_build("{'spec':{'finalizers':null}}"), NULL),
            0);
        assert_null(get(f, "", "namespaces", "", "x"));
}

static void system_namespaces_stay(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        assert_int_equal(remove_as(f, NULL, "", "namespaces", "", "default", -1, NULL), -EACCES);
        assert_string_equal(f->err.message, "namespaces \"default\" is forbidden: this namespace may not be deleted");
        assert_null(
            create_as(f, f->registry, NULL, "", "configmaps", "none", kc_json_build("{'metadata':{'name':'c'}}")));
        assert_string_equal(f->err.message, "namespaces \"none\" not found");
}

static struct json_object *deployment(void)
{
        return kc_json_build("{'metadata':{'name':'d'},'spec':{'replicas':3,'selector':{'matchLabels':{'a':'b'}},"
                             "'template':{'metadata':{'labels':{'a':'b'}},'spec':{'containers':["
                             "{'name':'c','image':'busybox'}]}}}}");
}

static int change(struct fixture *f, const char *sub, const char *changes, struct kc_object **ret)
{
        return change_as(f, NULL, "apps", "deployments", sub, "default", "d", kc_json_build(changes), ret);
}

static void generations_count_what_matters(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "apps", "deployments", "default", deployment());
        static const struct {
                const char *sub, *changes, *want;
        } steps[] = {
            {"", "{'metadata':{'labels':{'x':'y'}}}", "1"},
            {"status", "{'status':{'replicas':1},'spec':{'replicas':9}}", "1"},
            {"", "{'metadata':{'annotations':{'x':'y'}}}", "2"},
            {"", "{'spec':{'replicas':5},'status':{'replicas':7}}", "3"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(steps); i++) {
                KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
                if (change(f, steps[i].sub, steps[i].changes, &o) < 0)
                        fail_msg("%s: %s", steps[i].changes, kc_error_message(&f->err));
                assert_string_equal(at(o, "metadata.generation"), steps[i].want);
        }
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "apps", "deployments", "default", "d");
        assert_string_equal(at(o, "spec.replicas"), "5");
        assert_string_equal(at(o, "status.replicas"), "1");
}

static void scale_is_a_view(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *d = must_create(f, "apps", "deployments", "default", deployment());
        const struct kc_subresource_strategy *s =
            kc_strategy_subresource(kc_strategy_for("apps", "deployments"), "scale");
        struct kc_registry_ctx c;
        kc_registry_ctx_init(&c, f->registry, "apps", "deployments", "default", "d", NULL, false, NULL);
        KC_CLEANUP(kc_json_freep) struct json_object *scale = s->to(&c, kc_object_json(d));
        KC_CLEANUP(kc_freep) char *spec = kc_json_to_str(kc_json_get(scale, "spec"));
        KC_CLEANUP(kc_freep) char *status = kc_json_to_str(kc_json_get(scale, "status"));
        assert_string_equal(spec, "{\"replicas\":3}");
        assert_string_equal(status, "{\"replicas\":0,\"selector\":\"a=b\"}");
        KC_CLEANUP(kc_json_freep) struct json_object *obj = kc_object_copy_json(d);
        kc_json_set_int(kc_json_get_mut(scale, "spec"), "replicas", -1);
        assert_int_equal(s->from(&c, obj, scale, &f->err), -EINVAL);
        assert_string_equal(f->err.message,
            "Scale.autoscaling \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0");
        kc_json_set_int(kc_json_get_mut(scale, "spec"), "replicas", 7);
        assert_int_equal(s->from(&c, obj, scale, NULL), 0);
        assert_int_equal(kc_json_int_at(obj, "spec.replicas", 0), 7);
}

static void daemonsets_count_their_template(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        struct json_object *ds = deployment();
        kc_json_del(kc_json_get_mut(ds, "spec"), "replicas");
        put(f, "apps", "daemonsets", "default", ds);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        assert_int_equal(
            change_as(f, NULL, "apps", "daemonsets", "", "default", "d",
                kc_json_build("{'spec':{'template':{'metadata':{'labels':{'a':'b'}},'spec':{'containers':["
                              "{'name':'c','image':'other','imagePullPolicy':'Always','terminationMessagePath':'/x',"
                              "'terminationMessagePolicy':'File','resources':{}}],'restartPolicy':'Always',"
                              "'dnsPolicy':'ClusterFirst','schedulerName':'default-scheduler',"
                              "'terminationGracePeriodSeconds':30,'securityContext':{}}}}}"),
                &o),
            0);
        assert_string_equal(kc_meta_annotation(kc_object_json(o), "deprecated.daemonset.template.generation"), "2");
        assert_string_equal(at(o, "metadata.generation"), "2");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
            TEST(qos_classes),
            TEST(binding_assigns_a_node_once),
            TEST(graceful_deletion),
            TEST(eviction_says_why),
            TEST(namespaces_wait_for_their_content),
            TEST(system_namespaces_stay),
            TEST(generations_count_what_matters),
            TEST(scale_is_a_view),
            TEST(daemonsets_count_their_template),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

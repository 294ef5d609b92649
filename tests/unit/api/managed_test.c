/* Who owns what after updates and applies; conflicts; migration from client-side apply. */
#include "managed_testing.h"

#include "api/object.h"

#define DEPLOYMENT                                                                                                     \
        "{'metadata':{'name':'web','namespace':'default','labels':{'app':'web'}},'spec':{'replicas':1,"                \
        "'selector':{'matchLabels':{'app':'web'}},'template':{'metadata':{'labels':{'app':'web'}},'spec':{"            \
        "'containers':[{'name':'web','image':'nginx','ports':[{'containerPort':80}]}]}}}}"

static void test_create(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "apps", "v1", "Deployment");
        w_put(&w, "kubectl-create", DEPLOYMENT);
        assert_owns(&w, "kubectl-create", "Update",
            "{'f:metadata':{'f:labels':{'.':{},'f:app':{}}},'f:spec':{'f:progressDeadlineSeconds':{},'f:replicas':{},"
            "'f:revisionHistoryLimit':{},'f:selector':{},'f:strategy':{'f:type':{}},'f:template':{"
            "'f:metadata':{'f:labels':{'.':{},'f:app':{}}},'f:spec':{'f:containers':{"
            "'k:{\\\"name\\\":\\\"web\\\"}':{'.':{},'f:image':{},'f:name':{},'f:ports':{'.':{},"
            "'k:{\\\"containerPort\\\":80,\\\"protocol\\\":\\\"TCP\\\"}':{'.':{},'f:containerPort':{},'f:protocol':{}}}"
            ","
            "'f:resources':{},'f:terminationMessagePath':{},'f:terminationMessagePolicy':{}}},'f:dnsPolicy':{},"
            "'f:restartPolicy':{},'f:schedulerName':{},'f:securityContext':{},'f:terminationGracePeriodSeconds':{}}}}"
            "}");
        const struct json_object *e = kc_json_idx(w.entries, 0);
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(e);
        assert_ptr_equal(
            strstr(text, "{\"manager\":\"kubectl-create\",\"operation\":\"Update\",\"apiVersion\":\"apps/v1\","
                         "\"time\":\"2023-11-14T22:13:21Z\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{"),
            text);
}

static void test_update(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "", "v1", "ConfigMap");
        w_put(&w, "a", "{'metadata':{'name':'x'},'data':{'k':'1','l':'1'}}");
        assert_owns(&w, "a", "Update", "{'f:data':{'.':{},'f:k':{},'f:l':{}}}");
        /* what is changed changes hands; what is gone is nobody's */
        w_put(&w, "b", "{'metadata':{'name':'x'},'data':{'k':'2'}}");
        assert_owns(&w, "a", "Update", "{'f:data':{}}");
        assert_owns(&w, "b", "Update", "{'f:data':{'f:k':{}}}");
        /* as upstream: who owns a map but nothing in it is taken to own it as a whole, from when it was atomic */
        w_put(&w, "c", "{'metadata':{'name':'x'},'data':{'k':'2'}}");
        assert_owns(&w, "a", "Update", "{'f:data':{'.':{},'f:k':{}}}");
        assert_owns(&w, "b", "Update", "{'f:data':{'f:k':{}}}");
        assert_owns(&w, "c", "Update", NULL);
        /* nothing changes: nothing moves, times included */
        KC_CLEANUP(kc_json_freep) struct json_object *before = kc_json_copy(w.entries);
        w_put(&w, "c", "{'metadata':{'name':'x'},'data':{'k':'2'}}");
        assert_true(kc_json_equal(before, w.entries));
        w_put(&w, "b", "{'metadata':{'name':'x'},'data':{'k':'3','m':'1'}}");
        assert_owns(&w, "b", "Update", "{'f:data':{'f:k':{},'f:m':{}}}");
        w_put(&w, "b", "{'metadata':{'name':'x','resourceVersion':'7','uid':'u','generation':3}}");
        assert_null(w.entries);
}

static void test_atomic(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "", "v1", "Pod");
        w_put(&w, "a",
            "{'metadata':{'name':'x'},'spec':{'containers':[{'name':'c','args':['1','2']}],'nodeSelector':{'a':'b'},"
            "'tolerations':[{'key':'k'}]}}");
        w_put(&w, "b",
            "{'metadata':{'name':'x','finalizers':['a/b']},'spec':{'containers':[{'name':'c','args':['2','1']}],"
            "'nodeSelector':{'a':'c'},'tolerations':[{'key':'k'},{'key':'l'}]}}");
        assert_owns(&w, "b", "Update",
            "{'f:metadata':{'f:finalizers':{'.':{},'v:\\\"a/b\\\"':{}}},'f:spec':{'f:containers':{"
            "'k:{\\\"name\\\":\\\"c\\\"}':{'f:args':{}}},'f:nodeSelector':{},'f:tolerations':{}}}");
}

/* Twice the same key, as client-side apply let through. */
static void test_duplicates(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "", "v1", "Pod");
        w_put(&w, "a",
            "{'metadata':{'name':'x'},'spec':{'containers':[{'name':'c','env':[{'name':'A','value':'1'},"
            "{'name':'A','value':'2'},{'name':'B','value':'1'}]}]}}");
        w_put(&w, "b",
            "{'metadata':{'name':'x'},'spec':{'containers':[{'name':'c','env':[{'name':'A','value':'1'},"
            "{'name':'A','value':'3'},{'name':'B','value':'1'}]}]}}");
        assert_owns(&w, "b", "Update",
            "{'f:spec':{'f:containers':{'k:{\\\"name\\\":\\\"c\\\"}':{'f:env':{'k:{\\\"name\\\":\\\"A\\\"}':{}}}}}}");
        w_put(&w, "c",
            "{'metadata':{'name':'x'},'spec':{'containers':[{'name':'c','env':[{'name':'A','value':'1'},"
            "{'name':'B','value':'1'}]}]}}");
        assert_owns(&w, "b", "Update", NULL);
        assert_owns(&w, "c", "Update",
            "{'f:spec':{'f:containers':{'k:{\\\"name\\\":\\\"c\\\"}':{'f:env':{'k:{\\\"name\\\":\\\"A\\\"}':{'.':{},"
            "'f:name':{},'f:value':{}}}}}}}");
        assert_int_equal(
            w_apply(&w, "s", false,
                "{'metadata':{'name':'x'},'spec':{'containers':[{'name':'c','env':[{'name':'A'},{'name':'A'}]}]}}"),
            -22);
        assert_string_equal(
            kc_error_message(&w.err), ".spec.containers[name=\"c\"].env: duplicate entries for key [name=\"A\"]");
}

static void test_limit(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "", "v1", "ConfigMap");
        KC_CLEANUP(kc_json_freep) struct json_object *o = w_parse("{'metadata':{'name':'x'},'data':{}}");
        for (int i = 0; i < 13; i++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("m%02d", i);
                kc_json_set_str(kc_json_get_mut(o, "data"), name, "1");
                w_put_tree(&w, name, kc_json_copy(o));
        }
        assert_int_equal(kc_json_len(w.entries), 10);
        assert_owns(&w, "ancient-changes", "Update", "{'f:data':{'.':{},'f:m00':{},'f:m01':{},'f:m02':{},'f:m03':{}}}");
        assert_owns(&w, "m04", "Update", "{'f:data':{'f:m04':{}}}");
        assert_string_equal(kc_json_str(kc_json_idx(w.entries, 0), "manager"), "ancient-changes");
        assert_string_equal(kc_json_str(kc_json_idx(w.entries, 0), "time"), "2023-11-14T22:13:24Z");
        assert_string_equal(kc_json_str(kc_json_idx(w.entries, 9), "manager"), "m12");
}

static void test_apply(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "apps", "v1", "Deployment");
        assert_int_equal(w_apply(&w, "one", false, DEPLOYMENT), 0);
        assert_true(w.changed);
        assert_at(&w, "spec.replicas", "1");
        assert_owns(&w, "one", "Apply",
            "{'f:metadata':{'f:labels':{'f:app':{}}},'f:spec':{'f:replicas':{},'f:selector':{},'f:template':{"
            "'f:metadata':{'f:labels':{'f:app':{}}},'f:spec':{'f:containers':{"
            "'k:{\\\"name\\\":\\\"web\\\"}':{'.':{},'f:image':{},'f:name':{},'f:ports':{"
            "'k:{\\\"containerPort\\\":80,\\\"protocol\\\":\\\"TCP\\\"}':{'.':{},'f:containerPort':{}}}}}}}}}");
        /* again: nothing changes */
        assert_int_equal(w_apply(&w, "one", false, DEPLOYMENT), 0);
        assert_false(w.changed);
        /* shared, as it is the same */
        assert_int_equal(w_apply(&w, "two", false, "{'metadata':{'name':'web'},'spec':{'replicas':1}}"), 0);
        assert_owns(&w, "two", "Apply", "{'f:spec':{'f:replicas':{}}}");
        /* conflicts with everybody who has it */
        assert_int_equal(
            w_apply(&w, "three", false, "{'metadata':{'name':'web'},'spec':{'replicas':3,'paused':true}}"), -11);
        assert_string_equal(kc_error_message(&w.err), "Apply failed with 2 conflicts: conflicts with \"one\":\n"
                                                      "- .spec.replicas\nconflicts with \"two\":\n- .spec.replicas");
        assert_int_equal(w.err.code, 409);
        assert_int_equal(w.err.details->n_causes, 2);
        assert_string_equal(w.err.details->causes[0].reason, "FieldManagerConflict");
        assert_string_equal(w.err.details->causes[0].message, "conflict with \"one\"");
        assert_string_equal(w.err.details->causes[0].field, ".spec.replicas");
        assert_at(&w, "spec.replicas", "1");
        assert_int_equal(w_apply(&w, "three", true, "{'metadata':{'name':'web'},'spec':{'replicas':3}}"), 0);
        assert_at(&w, "spec.replicas", "3");
        assert_owns(&w, "two", "Apply", NULL);
        /* given up: nobody else has it, so it goes (and the schema's default comes) */
        assert_int_equal(w_apply(&w, "three", false, "{'metadata':{'name':'web','labels':{'x':'y'}}}"), 0);
        assert_at(&w, "spec.replicas", "1");
        assert_at(&w, "metadata.labels", "{'app':'web','x':'y'}");
        assert_int_equal(w_apply(&w, "three", false, "{'metadata':{'name':'web'}}"), 0);
        assert_owns(&w, "three", "Apply", NULL);
        assert_at(&w, "metadata.labels", "{'app':'web'}");
}

static void test_conflict_with_update(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "apps", "v1", "Deployment");
        w_put(&w, "kubectl-client-side-apply", DEPLOYMENT);
        assert_int_equal(w_apply(&w, "me", false, "{'metadata':{'name':'web'},'spec':{'replicas':2}}"), -11);
        assert_string_equal(kc_error_message(&w.err),
            "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas");
        w.subresource = "status";
        KC_CLEANUP(kc_json_freep) struct json_object *o = kc_json_copy(w.obj);
        kc_json_set_int(kc_json_ensure_obj(o, "status"), "replicas", 1);
        w_put_tree(&w, "kube-controller-manager", KC_TAKE(o));
        assert_int_equal(w_apply(&w, "me", false, "{'metadata':{'name':'web'},'status':{'replicas':2}}"), -11);
        assert_string_equal(kc_error_message(&w.err),
            "Apply failed with 1 conflict: conflict with \"kube-controller-manager\" with subresource \"status\" using "
            "apps/v1: .status.replicas");
}

static void test_lists(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "", "v1", "Service");
        assert_int_equal(w_apply(&w, "a", false,
                             "{'metadata':{'name':'x','finalizers':['a/"
                             "1']},'spec':{'ports':[{'name':'http','port':80},{'name':'https','port':443}]}}"),
            0);
        /* others' elements stay where they were */
        assert_int_equal(w_apply(&w, "b", false,
                             "{'metadata':{'name':'x','finalizers':['b/"
                             "1']},'spec':{'ports':[{'name':'dns','port':53,'protocol':'UDP'}]}}"),
            0);
        assert_at(&w, "spec.ports",
            "[{'name':'http','protocol':'TCP','port':80,'targetPort':0},{'name':'https','protocol':'TCP','port':443,'"
            "targetPort':0},"
            "{'name':'dns','protocol':'UDP','port':53,'targetPort':0}]");
        assert_at(&w, "metadata.finalizers", "['a/1','b/1']");
        /* the applied order wins */
        assert_int_equal(w_apply(&w, "a", false,
                             "{'metadata':{'name':'x','finalizers':['a/"
                             "1']},'spec':{'ports':[{'name':'https','port':443},{'name':'http','port':80}]}}"),
            0);
        assert_string_equal(kc_json_str(kc_json_idx(kc_json_at(w.obj, "spec.ports"), 0), "name"), "https");
        /* an element that is given up goes, with what defaults have added to it */
        assert_int_equal(
            w_apply(&w, "a", false, "{'metadata':{'name':'x'},'spec':{'ports':[{'name':'http','port':80}]}}"), 0);
        assert_at(&w, "spec.ports",
            "[{'name':'dns','protocol':'UDP','port':53,'targetPort':0},{'name':'http','protocol':'TCP','port':80,'"
            "targetPort':0}]");
        assert_at(&w, "metadata.finalizers", "['b/1']");
        /* the key of an element by its default */
        assert_owns(&w, "a", "Apply",
            "{'f:spec':{'f:ports':{'k:{\\\"port\\\":80,\\\"protocol\\\":\\\"TCP\\\"}':{'.':{},'f:name':{},'f:port':{}}}"
            "}}");
}

/* An element in which somebody else owns a field stays when it is given up. */
static void test_shared_element(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "", "v1", "Pod");
        assert_int_equal(
            w_apply(&w, "a", false,
                "{'metadata':{'name':'x'},'spec':{'containers':[{'name':'c','image':'i'},{'name':'d','image':'i'}]}}"),
            0);
        assert_int_equal(
            w_apply(&w, "b", false, "{'metadata':{'name':'x'},'spec':{'containers':[{'name':'d','stdin':true}]}}"), 0);
        assert_int_equal(
            w_apply(&w, "a", false, "{'metadata':{'name':'x'},'spec':{'containers':[{'name':'c','image':'i'}]}}"), 0);
        assert_at(&w, "spec.containers",
            "[{'name':'c','image':'i','resources':{},'terminationMessagePath':'/dev/"
            "termination-log','terminationMessagePolicy':'File'},"
            "{'name':'d','resources':{},'terminationMessagePath':'/dev/termination-log',"
            "'terminationMessagePolicy':'File','stdin':true}]");
}

static void test_migration(void **state)
{
        static const char plain[] =
            "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x'},'data':{'k':'1','l':'1'}}";
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "", "v1", "ConfigMap");
        KC_CLEANUP(kc_json_freep) struct json_object *o = w_parse(plain);
        kc_meta_set_annotation(o, "kubectl.kubernetes.io/last-applied-configuration",
            "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"x\"},\"data\":{\"k\":\"1\",\"l\":"
            "\"1\"}}");
        w_put_tree(&w, "kubectl-client-side-apply", kc_json_copy(o));
        /* kubectl takes over what it has applied itself; others do not */
        static const char wanted[] = "{'metadata':{'name':'x'},'data':{'k':'2','l':'1'}}";
        assert_int_equal(w_apply(&w, "other", false, wanted), -11);
        assert_int_equal(w_apply(&w, "kubectl", false, wanted), 0);
        assert_at(&w, "data", "{'k':'2','l':'1'}");
        KC_CLEANUP(kc_json_freep) struct json_object *config = w_parse(wanted);
        kc_managed_sync_last_applied(w.obj, config);
        assert_string_equal(kc_meta_annotation(w.obj, "kubectl.kubernetes.io/last-applied-configuration"),
            "{\"data\":{\"k\":\"2\",\"l\":\"1\"},\"metadata\":{\"name\":\"x\"}}\n");
        /* what has been changed since is not kubectl's */
        kc_json_set_str(kc_json_get_mut(o, "data"), "k", "5");
        w_put_tree(&w, "editor", kc_json_copy(o));
        assert_int_equal(w_apply(&w, "kubectl", false, wanted), -11);
        assert_string_equal(
            kc_error_message(&w.err), "Apply failed with 1 conflict: conflict with \"editor\" using v1: .data.k");
}

/* An object from before its fields were tracked. */
static void test_before_first_apply(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "", "v1", "ConfigMap");
        w.obj = w_complete(&w, w_parse("{'metadata':{'name':'x'},'data':{'k':'1','l':'1'}}"));
        assert_int_equal(w_apply(&w, "a", false, "{'metadata':{'name':'x'},'data':{'k':'1','m':'1'}}"), 0);
        assert_owns(&w, "before-first-apply", "Update", "{'f:data':{'.':{},'f:k':{},'f:l':{}}}");
        assert_owns(&w, "a", "Apply", "{'f:data':{'f:k':{},'f:m':{}}}");
        assert_int_equal(w_apply(&w, "a", false, "{'metadata':{'name':'x'},'data':{'k':'2'}}"), -11);
        assert_string_equal(kc_error_message(&w.err),
            "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.k");
}

static void test_reset_fields(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "", "v1", "ReplicationController");
        w_put(&w, "a", "{'metadata':{'name':'x'}}");
        w.reset = (const char *const[]){"status", "metadata.labels", NULL};
        w_put(&w, "b", "{'metadata':{'name':'x','labels':{'a':'b'},'annotations':{'a':'b'}},'status':{'replicas':3}}");
        assert_owns(&w, "b", "Update", "{'f:metadata':{'f:annotations':{'.':{},'f:a':{}}}}");
        assert_int_equal(
            w_apply(&w, "c", true, "{'metadata':{'name':'x'},'spec':{'replicas':3},'status':{'replicas':4}}"), 0);
        assert_owns(&w, "c", "Apply", "{'f:spec':{'f:replicas':{}}}");
}

static void test_check(void **state)
{
        static const struct {
                const char *config, *want;
        } cases[] = {
            {"{'spec':{'foo':1}}", ".spec.foo: field not declared in schema"},
            {"{'spec':{'replicas':'x'}}", ".spec.replicas: expected numeric (int or float), got string"},
            {"{'spec':{'paused':1}}", ".spec.paused: expected boolean, got &{1}"},
            {"{'spec':[]}", ".spec: expected map, got &{[]}"},
            {"{'spec':{'template':{'spec':{'containers':{}}}}}",
                ".spec.template.spec.containers: expected list, got &{map[]}"},
            {"{'spec':{'template':{'spec':{'containers':[{'image':'x'}]}}}}",
                ".spec.template.spec.containers: element 0: associative list with keys has an element that omits key "
                "field \"name\" (and doesn't have default value)"},
            {"{'spec':{'template':{'spec':{'containers':[{'name':'c','env':[{'name':'A','value':true}]}]}}}}",
                ".spec.template.spec.containers[name=\"c\"].env[name=\"A\"].value: expected string, got "
                "&value.valueUnstructured{Value:true}"},
            {"{'spec':{'template':{'spec':{'tolerations':[{'a':1}]}}},'x':1}",
                "errors:\n  .spec.template.spec.tolerations[0].a: field not declared in schema\n"
                "  .x: field not declared in schema"},
            {"{'metadata':{'labels':{'a':1}}}",
                ".metadata.labels.a: expected string, got &value.valueUnstructured{Value:1}"},
            {"{'metadata':{'labels':null},'spec':{'replicas':null}}", NULL},
        };
        (void)state;
        const struct kc_type *type = kc_schema_kind("apps", "v1", "Deployment")->type;
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *o = w_parse(cases[i].config);
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                int r = kc_structured_check(o, type, &err);
                assert_int_equal(r, cases[i].want ? -22 : 0);
                if (cases[i].want)
                        assert_string_equal(kc_error_message(&err), cases[i].want);
        }
}

/* Two served versions of one kind. */
static void test_versions(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "", "v1", "Event");
        w_put(&w, "old",
            "{'metadata':{'name':'x','namespace':'d'},'involvedObject':{'name':'p'},'message':'m','reason':'r'}");
        assert_owns(&w, "old", "Update", "{'f:involvedObject':{},'f:message':{},'f:reason':{}}");
        KC_CLEANUP(kc_json_freep) struct json_object *entries = kc_json_copy(w.entries);
        struct json_object *e = (struct json_object *)kc_json_idx(entries, 0);
        kc_json_set_str(e, "apiVersion", "events.k8s.io/v1");
        kc_json_set(e, "fieldsV1", w_parse("{'f:note':{},'f:reason':{}}"));
        kc_json_free(w.entries);
        w.entries = KC_TAKE(entries);
        w_put(&w, "new",
            "{'metadata':{'name':'x','namespace':'d'},'involvedObject':{'name':'p'},'message':'n','reason':'r'}");
        assert_owns(&w, "old", "Update", "{'f:reason':{}}");
        assert_owns(&w, "new", "Update", "{'f:message':{}}");
        /* a version that is no more takes its entry with it */
        e = kc_json_idx_mut(w.entries, 0);
        kc_json_set_str(e, "apiVersion", "events.k8s.io/v1beta1");
        w_put(&w, "new",
            "{'metadata':{'name':'x','namespace':'d'},'involvedObject':{'name':'p'},'message':'o','reason':'r'}");
        assert_int_equal(kc_json_len(w.entries), 1);
}

static void test_decode(void **state)
{
        static const struct {
                const char *entries, *want;
        } cases[] = {
            {"[{'manager':'a','operation':'Delete','apiVersion':'v1','fieldsType':'FieldsV1'}]",
                "operation must be `Apply` or `Update`"},
            {"[{'manager':'a','operation':'Update','fieldsType':'FieldsV1'}]", "apiVersion must not be empty"},
            {"[{'manager':'a','operation':'Update','apiVersion':'v1'}]",
                "missing fieldsType in managed fields entry 0"},
            {"[{'manager':'a','operation':'Update','apiVersion':'v1','fieldsType':'X'}]",
                "invalid fieldsType \"X\" in managed fields entry 0"},
        };
        (void)state;
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *o = w_parse(cases[i].entries);
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                struct kc_managers m;
                assert_int_equal(kc_managers_decode(&m, o, &err), -22);
                assert_string_equal(kc_error_message(&err), cases[i].want);
        }
        KC_CLEANUP(kc_json_freep)
        struct json_object *none = w_parse("[]"), *empty = w_parse("[{}]"), *two = w_parse("[{},{}]");
        assert_true(kc_managed_is_reset(none));
        assert_true(kc_managed_is_reset(empty));
        assert_false(kc_managed_is_reset(two));
        assert_false(kc_managed_is_reset(NULL));
}

/* A schema that has changed since the entry was written. */
static void test_reconcile(void **state)
{
        (void)state;
        KC_CLEANUP(w_done) struct world w;
        w_init(&w, "apps", "v1", "Deployment");
        w_put(&w, "a", DEPLOYMENT);
        struct json_object *e = kc_json_idx_mut(w.entries, 0);
        kc_json_set(e, "fieldsV1",
            w_parse("{'f:spec':{'f:selector':{'f:matchLabels':{'f:app':{}}},'f:template':{'f:metadata':{'f:labels':{}}}"
                    "}}"));
        KC_CLEANUP(kc_json_freep) struct json_object *o = kc_json_copy(w.obj);
        kc_json_set_int(kc_json_get_mut(o, "spec"), "replicas", 5);
        w_put_tree(&w, "b", KC_TAKE(o));
        assert_owns(&w, "a", "Update",
            "{'f:spec':{'f:selector':{},'f:template':{'f:metadata':{'f:labels':{'.':{},'f:app':{}}}}}}");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_create),
            cmocka_unit_test(test_update),
            cmocka_unit_test(test_atomic),
            cmocka_unit_test(test_duplicates),
            cmocka_unit_test(test_limit),
            cmocka_unit_test(test_apply),
            cmocka_unit_test(test_conflict_with_update),
            cmocka_unit_test(test_lists),
            cmocka_unit_test(test_shared_element),
            cmocka_unit_test(test_migration),
            cmocka_unit_test(test_before_first_apply),
            cmocka_unit_test(test_reset_fields),
            cmocka_unit_test(test_check),
            cmocka_unit_test(test_versions),
            cmocka_unit_test(test_decode),
            cmocka_unit_test(test_reconcile),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

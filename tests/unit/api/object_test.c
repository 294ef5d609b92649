/* Shared objects, metadata, conditions, pod facts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "api/object.h"
#include "base/mem.h"
#include "base/str.h"

static struct json_object *pod(void)
{
        return kc_json_build("{'metadata':{'name':'a','namespace':'ns','uid':'u','resourceVersion':'7',"
                             "'labels':{'app':'web'},'finalizers':['x/y']},'spec':{}}");
}

static void test_object(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_object_new(pod());
        assert_string_equal(kc_object_namespace(o), "ns");
        assert_string_equal(kc_object_name(o), "a");
        assert_string_equal(kc_object_uid(o), "u");
        assert_string_equal(kc_object_resource_version(o), "7");
        struct kc_bytes *bytes = kc_object_bytes(o);
        assert_true(kc_str_has_prefix(kc_bytes_data(bytes), "{\"metadata\":{\"name\":\"a\""));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *p = NULL;
        assert_int_equal(kc_object_from_bytes(bytes, &p, NULL), 0);
        kc_object_trim(p);
        assert_true(kc_json_equal(kc_object_json(p), kc_object_json(o)));
        KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_object_copy_json(o);
        kc_json_set_str(copy, "kind", "Pod");
        assert_null(kc_json_get(kc_object_json(o), "kind"));
}

static void test_not_an_object(void **state)
{
        (void)state;
        static const char *const cases[] = {"[]", "null", "{", ""};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *b = kc_bytes_new(cases[i], strlen(cases[i]));
                struct kc_object *o = NULL;
                assert_int_equal(kc_object_from_bytes(b, &o, NULL), -EINVAL);
        }
}

static void *read_all(void *arg)
{
        for (int i = 0; i < 1000; i++) {
                struct kc_object *o = kc_object_ref(arg);
                assert_non_null(kc_object_json(o));
                assert_non_null(kc_object_bytes(o));
                kc_object_unref(o);
        }
        return NULL;
}

static void test_threads(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_object_new(pod());
        kc_object_trim(o);
        pthread_t t[4];
        for (size_t i = 0; i < KC_ARRAY_LEN(t); i++)
                assert_int_equal(pthread_create(&t[i], NULL, read_all, o), 0);
        for (size_t i = 0; i < KC_ARRAY_LEN(t); i++)
                pthread_join(t[i], NULL);
}

static void test_meta(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *o = pod();
        KC_CLEANUP(kc_json_freep) struct json_object *owner = kc_json_build("{'metadata':{'name':'rs','uid':'r1'}}");
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(o);
        assert_string_equal(key, "ns/a");
        assert_string_equal(kc_meta_label(o, "app"), "web");
        assert_true(kc_meta_has_finalizer(o, "x/y"));
        assert_false(kc_meta_deleting(o));
        assert_int_equal(kc_meta_creation_time(o), 0);
        assert_null(kc_meta_controller_ref(o));
        kc_json_push(kc_json_ensure_arr(o, "metadata.ownerReferences"),
            kc_meta_new_controller_ref(owner, "apps/v1", "ReplicaSet"));
        assert_true(kc_meta_is_controlled_by(o, owner));
        assert_string_equal(kc_json_str(kc_meta_controller_ref(o), "kind"), "ReplicaSet");
        kc_meta_set_label(o, "a.b/c", "1");
        assert_string_equal(kc_meta_label(o, "a.b/c"), "1");
        kc_meta_set_annotation(o, "n", "v");
        kc_meta_set_annotation(o, "n", NULL);
        assert_null(kc_meta_annotation(o, "n"));
        char *ns, *name;
        kc_key_split("ns/a", &ns, &name);
        assert_string_equal(ns, "ns");
        assert_string_equal(name, "a");
        kc_free(ns);
        kc_free(name);
        kc_key_split("node", &ns, &name);
        assert_string_equal(ns, "");
        assert_string_equal(name, "node");
        kc_free(ns);
        kc_free(name);
}

static void test_conditions(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *status = json_object_new_object();
        assert_true(kc_condition_set(status, "Ready", "False", "Starting", NULL, 0));
        assert_false(kc_condition_set(status, "Ready", "False", "Starting", NULL, KC_SEC));
        assert_true(kc_condition_set(status, "Ready", "False", "Slow", "wait", KC_SEC));
        assert_string_equal(
            kc_json_str(kc_condition_get(status, "Ready"), "lastTransitionTime"), "1970-01-01T00:00:00Z");
        assert_true(kc_condition_set(status, "Ready", "True", NULL, NULL, KC_SEC));
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(status);
        assert_string_equal(text, "{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":"
                                  "\"1970-01-01T00:00:01Z\"}]}");
        assert_true(kc_condition_is_true(status, "Ready"));
        assert_false(kc_condition_is_true(status, "Other"));
}

static void test_pod_available(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *p = kc_json_build("{'status':{'phase':'Running','conditions':"
                                              "[{'type':'Ready','status':'True',"
                                              "'lastTransitionTime':'1970-01-01T00:01:00Z'}]}}");
        assert_true(kc_pod_is_ready(p));
        assert_false(kc_pod_is_terminal(p));
        assert_true(kc_pod_is_available(p, 0, 0));
        assert_false(kc_pod_is_available(p, 10, 69 * KC_SEC));
        assert_true(kc_pod_is_available(p, 10, 70 * KC_SEC));
}

static void test_pod_requests(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *p = kc_json_build(
            "{'spec':{'containers':[{'name':'a','resources':{'requests':{'cpu':'100m','memory':'1Gi'}}},{'name':'b',"
            "'resources':{'requests':{'cpu':'0.2','example.com/gpu':'2'}}}],'initContainers':[{'name':'i','resources':"
            "{'requests':{'cpu':'1'}}},{'name':'s','restartPolicy':'Always','resources':{'requests':{'cpu':'50m',"
            "'memory':'64Mi'}}},{'name':'j','resources':{'requests':{'cpu':'980m'}}}],'overhead':{'cpu':'5m'}}}");
        assert_int_equal(kc_pod_request(p, "cpu"), 1035); /* s + j is the peak, plus overhead */
        assert_int_equal(kc_pod_request(p, "memory"), (1024 + 64) << 20);
        assert_int_equal(kc_pod_request(p, "example.com/gpu"), 2);
        assert_int_equal(kc_pod_request(p, "pods"), 1);
        assert_int_equal(kc_pod_request(p, "ephemeral-storage"), 0);
        kc_json_set(kc_json_ensure_obj(p, "spec"), "resources", kc_json_build("{'requests':{'cpu':'2'}}"));
        assert_int_equal(kc_pod_request(p, "cpu"), 2005);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_object),
            cmocka_unit_test(test_not_an_object),
            cmocka_unit_test(test_threads),
            cmocka_unit_test(test_meta),
            cmocka_unit_test(test_conditions),
            cmocka_unit_test(test_pod_available),
            cmocka_unit_test(test_pod_requests),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

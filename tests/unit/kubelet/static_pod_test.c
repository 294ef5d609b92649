/* Manifests as static pods, and the kubelet's configuration file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka needs the headers above first. */
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "kubelet/config.h"
#include "kubelet/pod/pod.h"
#include "kubelet/sources/files.h"
#include "json/yaml.h"

static int decode(const char *text, struct json_object **ret, struct kc_error *err)
{
        return kc_static_pod_decode(text, strlen(text), "/etc/kubernetes/manifests/a.yaml", "Node-1", 0, ret, err);
}

static void test_static_pod(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL;
        assert_int_equal(decode("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n"
                                "  - {name: c, image: busybox}\n",
                             &pod, NULL),
            0);
        assert_string_equal(kc_meta_name(pod), "web-node-1");
        assert_string_equal(kc_meta_namespace(pod), "default");
        assert_int_equal(strlen(kc_meta_uid(pod)), 32);
        assert_true(kc_pod_is_static(pod));
        assert_false(kc_pod_is_mirror(pod));
        assert_string_equal(kc_meta_annotation(pod, "kubernetes.io/config.source"), "file");
        assert_string_equal(kc_meta_annotation(pod, "kubernetes.io/config.hash"), kc_meta_uid(pod));
        assert_string_equal(kc_json_str_at(pod, "spec.nodeName"), "Node-1");
        assert_string_equal(kc_json_str_at(pod, "spec.restartPolicy"), "Always");
        const struct json_object *c = kc_json_idx(kc_json_at(pod, "spec.containers"), 0);
        assert_string_equal(kc_json_str(c, "imagePullPolicy"), "Always");
        assert_string_equal(kc_json_str(c, "terminationMessagePath"), "/dev/termination-log");
        assert_string_equal(kc_json_str(kc_json_idx(kc_json_at(pod, "spec.tolerations"), 0), "effect"), "NoExecute");
}

static void test_broken_manifests(void **state)
{
        (void)state;
        static const char *const texts[] = {"", "a: [", "apiVersion: v1\nkind: Service\n",
            "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: b}]}\n",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: 1\n",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: b}], volumes: "
            "[{name: v, "
            "secret: {secretName: s}}]}\n"};
        for (size_t i = 0; i < KC_ARRAY_LEN(texts); i++) {
                struct json_object *pod = NULL;
                struct kc_error err = KC_ERROR_INIT;
                assert_true(decode(texts[i], &pod, &err) < 0);
                assert_null(pod);
                kc_error_done(&err);
        }
}

static bool only_max_pods(void *arg, const char *flag)
{
        (void)arg;
        return kc_streq(flag, "max-pods");
}

static void test_configuration_file(void **state)
{
        (void)state;
        static const char text[] = "maxPods: 20\nclusterDNS: [10.96.0.10]\ncgroupDriver: systemd\nsyncFrequency: 30s\n"
                                   "authentication: {anonymous: {enabled: true}, x509: {clientCAFile: /ca.crt}}\n"
                                   "evictionHard: {memory.available: 200Mi}\n";
        KC_CLEANUP(kc_json_freep) struct json_object *file = NULL;
        assert_int_equal(kc_yaml_parse(text, strlen(text), NULL, &file, NULL), 0);
        struct kc_kubelet_config c;
        kc_kubelet_config_defaults(&c);
        assert_int_equal(kc_kubelet_config_apply(&c, file, only_max_pods, NULL, NULL), 0);
        assert_int_equal(c.max_pods, 110); /* the flag wins */
        assert_string_equal(c.cluster_dns[0], "10.96.0.10");
        assert_string_equal(c.cgroup_driver, "systemd");
        assert_int_equal(c.sync_frequency, 30 * KC_SEC);
        assert_true(c.anonymous_auth);
        assert_string_equal(c.client_ca_file, "/ca.crt");
        assert_string_equal(c.eviction_hard[0], "memory.available=200Mi");
        assert_null(c.eviction_hard[1]);
        assert_int_equal(c.port, 10250);
        kc_kubelet_config_done(&c);
}

static void test_configuration_of_wrong_type(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *file = kc_json_build("{'maxPods':'many'}");
        struct kc_kubelet_config c;
        struct kc_error err = KC_ERROR_INIT;
        kc_kubelet_config_defaults(&c);
        assert_true(kc_kubelet_config_apply(&c, file, NULL, NULL, &err) < 0);
        assert_string_equal(kc_error_message(&err), "KubeletConfiguration field maxPods: want an integer");
        kc_error_done(&err);
        kc_kubelet_config_done(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_static_pod),
            cmocka_unit_test(test_broken_manifests),
            cmocka_unit_test(test_configuration_file),
            cmocka_unit_test(test_configuration_of_wrong_type),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

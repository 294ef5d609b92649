/* Kubeconfig files: merging, resolving, messages. */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "client/kubeconfig.h"
#include "client_test_util.h"

static char dir[] = "/tmp/kubec-kubeconfig-XXXXXX";

static int set_up(void **state)
{
        (void)state;
        return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
        (void)state;
        return kc_rm_rf(dir, NULL);
}

static char *write_file(const char *name, const char *text)
{
        char *path = kc_path_join(dir, name);
        assert_int_equal(kc_file_write_atomic(path, text, strlen(text), 0600, NULL), 0);
        return path;
}

static const char first[] = "apiVersion: v1\n"
                            "kind: Config\n"
                            "current-context: dev\n"
                            "clusters:\n"
                            "- name: one\n"
                            "  cluster:\n"
                            "    server: https://10.0.0.1:6443\n"
                            "    certificate-authority: pki/ca.crt\n"
                            "    tls-server-name: api\n"
                            "contexts:\n"
                            "- name: dev\n"
                            "  context: {cluster: one, user: alice, namespace: team-a}\n"
                            "- name: broken\n"
                            "  context: {cluster: nowhere, user: alice}\n"
                            "users:\n"
                            "- name: alice\n"
                            "  user:\n"
                            "    client-certificate-data: SGVsbG8=\n"
                            "    client-key: /abs/key\n"
                            "    tokenFile: token\n"
                            "    as: bob\n"
                            "    as-groups: [red, blue]\n"
                            "- name: plugin\n"
                            "  user:\n"
                            "    exec: {command: bin/get-token, apiVersion: client.authentication.k8s.io/v1}\n";
static const char second[] = "apiVersion: v1\n"
                             "kind: Config\n"
                             "current-context: prod\n"
                             "clusters:\n"
                             "- name: one\n"
                             "  cluster: {server: 'https://other'}\n"
                             "- name: two\n"
                             "  cluster: {server: 'https://two', insecure-skip-tls-verify: true}\n"
                             "contexts:\n"
                             "- name: prod\n"
                             "  context: {cluster: two, user: carol}\n"
                             "users:\n"
                             "- name: carol\n"
                             "  user: {username: carol, password: secret, token: tok}\n";

static struct json_object *load(const char *a, const char *b)
{
        KC_CLEANUP(kc_strv_freep) char **paths = NULL;
        kc_strv_push(&paths, a);
        if (b)
                kc_strv_push(&paths, b);
        struct json_object *config = NULL;
        assert_int_equal(kc_kubeconfig_load(paths, &config, NULL), 0);
        return config;
}

static void test_resolves_the_current_context(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *path = write_file("first", first);
        KC_CLEANUP(kc_json_freep) struct json_object *config = load(path, NULL);
        KC_CLEANUP(kc_client_config_done) struct kc_client_config c = {0};
        assert_int_equal(kc_kubeconfig_resolve(config, NULL, &c, NULL), 0);
        KC_CLEANUP(kc_freep) char *ca = kc_path_join(dir, "pki/ca.crt");
        KC_CLEANUP(kc_freep) char *token_file = kc_path_join(dir, "token");
        assert_string_equal(c.server, "https://10.0.0.1:6443");
        assert_string_equal(c.ca_file, ca);
        assert_string_equal(c.tls_server_name, "api");
        assert_string_equal(c.cert_pem, "Hello");
        assert_string_equal(c.key_file, "/abs/key");
        assert_string_equal(c.token_file, token_file);
        assert_string_equal(c.ns, "team-a");
        assert_string_equal(c.as_user, "bob");
        assert_int_equal(kc_strv_len(c.as_groups), 2);
        assert_string_equal(c.as_groups[1], "blue");
        assert_string_equal(c.context, "dev");
        assert_false(c.insecure_skip_verify);
}

static void test_the_first_file_wins(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *a = write_file("first", first);
        KC_CLEANUP(kc_freep) char *b = write_file("second", second);
        KC_CLEANUP(kc_json_freep) struct json_object *config = load(a, b);
        assert_string_equal(kc_json_str(config, "current-context"), "dev");
        const struct json_object *one = kc_json_find(kc_json_get(config, "clusters"), "name", "one");
        assert_string_equal(kc_json_str_at(one, "cluster.server"), "https://10.0.0.1:6443");
        struct kc_kubeconfig_overrides o = {.context = "prod", .ns = "blue", .token = "other"};
        KC_CLEANUP(kc_client_config_done) struct kc_client_config c = {0};
        assert_int_equal(kc_kubeconfig_resolve(config, &o, &c, NULL), 0);
        assert_string_equal(c.server, "https://two");
        assert_string_equal(c.username, "carol");
        assert_string_equal(c.password, "secret");
        assert_string_equal(c.token, "other");
        assert_string_equal(c.ns, "blue");
        assert_true(c.insecure_skip_verify);
}

static void test_a_plugin_with_a_slash_is_relative_to_the_file(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *path = write_file("first", first);
        KC_CLEANUP(kc_json_freep) struct json_object *config = load(path, NULL);
        struct kc_kubeconfig_overrides o = {.user = "plugin"};
        KC_CLEANUP(kc_client_config_done) struct kc_client_config c = {0};
        assert_int_equal(kc_kubeconfig_resolve(config, &o, &c, NULL), 0);
        KC_CLEANUP(kc_freep) char *command = kc_path_join(dir, "bin/get-token");
        assert_string_equal(kc_json_str(c.exec, "command"), command);
}

static void assert_refused(const struct json_object *config, struct kc_kubeconfig_overrides o, const char *message)
{
        struct kc_error err = KC_ERROR_INIT;
        struct kc_client_config c = {0};
        assert_true(kc_kubeconfig_resolve(config, &o, &c, &err) < 0);
        assert_error(&err, message);
        kc_error_done(&err);
}

static void test_messages(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *path = write_file("first", first);
        KC_CLEANUP(kc_json_freep) struct json_object *config = load(path, NULL);
        assert_refused(config, (struct kc_kubeconfig_overrides){.context = "x"}, "context \"x\" does not exist");
        assert_refused(
            config, (struct kc_kubeconfig_overrides){.context = "broken"}, "cluster \"nowhere\" does not exist");
        assert_refused(config, (struct kc_kubeconfig_overrides){.user = "eve"}, "auth info \"eve\" does not exist");
        KC_CLEANUP(kc_freep) char *empty_path = write_file("empty", "");
        KC_CLEANUP(kc_json_freep) struct json_object *empty = load(empty_path, NULL);
        assert_refused(empty, (struct kc_kubeconfig_overrides){0},
            "invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment "
            "variable");
}

static void test_missing_files(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *path = write_file("first", first);
        KC_CLEANUP(kc_json_freep) struct json_object *config = load("/nonexistent/config", path);
        assert_string_equal(kc_json_str(config, "current-context"), "dev");
        char *alone[] = {(char *)"/nonexistent/config", NULL};
        struct json_object *none = NULL;
        assert_int_equal(kc_kubeconfig_load(alone, &none, NULL), -ENOENT);
        assert_null(none);
}

static void test_broken_files(void **state)
{
        (void)state;
        const char *const texts[] = {"clusters: [", "[1, 2]", "apiVersion: v1\nkind: Pod\n", "\"x\""};
        for (size_t i = 0; i < KC_ARRAY_LEN(texts); i++) {
                KC_CLEANUP(kc_freep) char *path = write_file("broken", texts[i]);
                char *paths[] = {path, NULL};
                struct json_object *config = NULL;
                assert_true(kc_kubeconfig_load(paths, &config, NULL) < 0);
        }
        static const char bad_data[] =
            "clusters: [{name: a, cluster: {server: x, certificate-authority-data: '%%%'}}]\n"
            "contexts: [{name: a, context: {cluster: a}}]\ncurrent-context: a\n";
        KC_CLEANUP(kc_freep) char *path = write_file("broken", bad_data);
        KC_CLEANUP(kc_json_freep) struct json_object *config = load(path, NULL);
        assert_refused(config, (struct kc_kubeconfig_overrides){0},
            "cluster \"a\": illegal base64 data in certificate-authority-data");
}

static void test_paths(void **state)
{
        (void)state;
        setenv("HOME", "/home/x", 1);
        unsetenv("KUBECONFIG");
        KC_CLEANUP(kc_strv_freep) char **standard = kc_kubeconfig_paths(NULL);
        assert_string_equal(standard[0], "/home/x/.kube/config");
        setenv("KUBECONFIG", "/a:/b", 1);
        KC_CLEANUP(kc_strv_freep) char **env = kc_kubeconfig_paths(NULL);
        assert_int_equal(kc_strv_len(env), 2);
        assert_string_equal(env[1], "/b");
        KC_CLEANUP(kc_strv_freep) char **explicit_path = kc_kubeconfig_paths("/c");
        assert_int_equal(kc_strv_len(explicit_path), 1);
        assert_string_equal(explicit_path[0], "/c");
}

static void test_daemons(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *path = write_file("first", first);
        KC_CLEANUP(kc_client_config_done) struct kc_client_config c = {0};
        assert_int_equal(kc_client_config_for_daemon(path, &c, NULL), 0);
        assert_string_equal(c.server, "https://10.0.0.1:6443");
        unsetenv("KUBERNETES_SERVICE_HOST");
        struct kc_error err = KC_ERROR_INIT;
        struct kc_client_config none = {0};
        assert_true(kc_client_config_for_daemon("", &none, &err) < 0);
        assert_error(&err,
            "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT "
            "must be defined");
        kc_error_done(&err);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_resolves_the_current_context),
            cmocka_unit_test(test_the_first_file_wins),
            cmocka_unit_test(test_a_plugin_with_a_slash_is_relative_to_the_file),
            cmocka_unit_test(test_messages),
            cmocka_unit_test(test_missing_files),
            cmocka_unit_test(test_broken_files),
            cmocka_unit_test(test_paths),
            cmocka_unit_test(test_daemons),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}

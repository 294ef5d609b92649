/* What command lines and files mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/discovery.h"
#include "base/str.h"
#include "cli/builder.h"

static struct kc_resource_map map;

static int load_map(void **state)
{
        (void)state;
        for (int core = 1; core >= 0; core--) {
                KC_CLEANUP(kc_json_freep) struct json_object *d = kc_discovery_aggregated(core);
                if (kc_resource_map_add(&map, d, NULL) < 0)
                        return -1;
        }
        return 0;
}

static int free_map(void **state)
{
        (void)state;
        struct kc_resource_map *m = kc_malloc(sizeof(*m));
        *m = map;
        kc_resource_map_free(m);
        return 0;
}

/* --- names */

static void expect_resource(const char *arg, const char *resource)
{
        const struct kc_api_resource *r = NULL;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_resource_map_find(&map, arg, &r, &err), 0);
        KC_CLEANUP(kc_freep) char *plural = kc_api_resource_plural(r);
        assert_string_equal(plural, resource);
}

static void test_resources_have_many_names(void **state)
{
        (void)state;
        expect_resource("pods", "pods");
        expect_resource("pod", "pods");
        expect_resource("po", "pods");
        expect_resource("Pod", "pods");
        expect_resource("deploy", "deployments.apps");
        expect_resource("deployments.apps", "deployments.apps");
        expect_resource("deployments.v1.apps", "deployments.apps");
        expect_resource("events", "events"); /* core before events.k8s.io */
        expect_resource("events.events.k8s.io", "events.events.k8s.io");
        expect_resource("svc", "services");
}

static void test_an_unknown_resource(void **state)
{
        (void)state;
        const struct kc_api_resource *r = NULL;
        struct kc_error err = KC_ERROR_INIT;
        assert_true(kc_resource_map_find(&map, "foo", &r, &err) < 0);
        assert_string_equal(err.message, "the server doesn't have a resource type \"foo\"");
        kc_error_done(&err);
}

/* --- targets */

static char *targets_text(const char *a, const char *b, const char *c)
{
        struct kc_targets t = {0};
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_strv_freep) char **args = NULL;
        const char *given[] = {a, b, c};
        for (size_t i = 0; i < 3; i++)
                if (given[i])
                        kc_strv_push(&args, given[i]);
        char *text;
        if (kc_targets_parse(&map, args, &t, &err) < 0) {
                text = kc_strdup(kc_error_message(&err));
        } else {
                KC_CLEANUP(kc_buf_done) struct kc_buf b2 = KC_BUF_INIT;
                for (size_t i = 0; i < t.n; i++)
                        kc_buf_addf(
                            &b2, "%s%s:%s", i ? " " : "", t.v[i].res->resource, t.v[i].name ? t.v[i].name : "*");
                text = kc_buf_take_str(&b2);
        }
        kc_error_done(&err);
        kc_targets_done(&t);
        return text;
}

static void expect_targets(const char *a, const char *b, const char *c, const char *expected)
{
        KC_CLEANUP(kc_freep) char *text = targets_text(a, b, c);
        assert_string_equal(text, expected);
}

static void test_targets(void **state)
{
        (void)state;
        expect_targets("pods", NULL, NULL, "pods:*");
        expect_targets("pods,svc", NULL, NULL, "pods:* services:*");
        expect_targets("pods", "a", "b", "pods:a pods:b");
        expect_targets("po,svc", "a", NULL, "pods:a services:a");
        expect_targets("pod/a", "deploy/b", NULL, "pods:a deployments:b");
        expect_targets("pod/a", "b", NULL,
            "there is no need to specify a resource type as a separate argument when passing arguments in "
            "resource/name "
            "form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource "
            "resource/<resource_name>'");
        expect_targets("pod/", NULL, NULL, "arguments in resource/name form must have a single resource and name");
        expect_targets("nope", "a", NULL, "the server doesn't have a resource type \"nope\"");
}

/* --- manifests */

static void parse(const char *text, bool enforce, struct kc_manifests *m)
{
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_manifests_parse(&map, "dev", enforce, "f.yaml", text, strlen(text), m, &err), 0);
}

static void test_documents_and_lists(void **state)
{
        (void)state;
        KC_CLEANUP(kc_manifests_done) struct kc_manifests m = {0};
        parse("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n---\n"
              "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":["
              "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"n\"}},"
              "{\"apiVersion\":\"apps/"
              "v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\",\"namespace\":\"x\"}}]}\n",
            false, &m);
        assert_int_equal(m.n, 3);
        assert_int_equal(m.errors.n, 0);
        assert_string_equal(m.v[0].name, "a");
        assert_string_equal(m.v[0].ns, "dev");
        assert_string_equal(kc_json_str_at(m.v[0].obj, "metadata.namespace"), "dev");
        assert_string_equal(m.v[1].res->resource, "namespaces");
        assert_null(m.v[1].ns);
        assert_null(kc_json_at(m.v[1].obj, "metadata.namespace"));
        assert_string_equal(m.v[2].ns, "x");
}

static void test_an_unknown_kind_spares_the_others(void **state)
{
        (void)state;
        KC_CLEANUP(kc_manifests_done) struct kc_manifests m = {0};
        parse(
            "apiVersion: foo/v1\nkind: Foo\nmetadata: {name: f}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n",
            false, &m);
        assert_int_equal(m.n, 1);
        assert_int_equal(m.errors.n, 1);
        assert_string_equal(m.errors.v[0].message, "resource mapping not found for name: \"f\" namespace: \"\" from "
                                                   "\"f.yaml\": no matches for kind \"Foo\" in "
                                                   "version \"foo/v1\"\nensure CRDs are installed first");
}

static void test_what_is_no_object_ends_the_file(void **state)
{
        (void)state;
        KC_CLEANUP(kc_manifests_done) struct kc_manifests m = {0};
        parse("a: b\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", false, &m);
        assert_int_equal(m.n, 0);
        assert_int_equal(m.errors.n, 1);
        assert_string_equal(m.errors.v[0].message,
            "error validating \"f.yaml\": error validating data: [apiVersion not set, kind not set]; if you choose to "
            "ignore these errors, turn validation off with --validate=false");
}

static void test_the_namespace_of_the_command_line_is_enforced(void **state)
{
        (void)state;
        KC_CLEANUP(kc_manifests_done) struct kc_manifests m = {0};
        parse("apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: other}\n", true, &m);
        assert_int_equal(m.n, 0);
        assert_string_equal(m.errors.v[0].message,
            "the namespace from the provided object \"other\" does not match the namespace \"dev\". You must pass "
            "'--namespace=other' to perform this operation.");
}

static void test_broken_yaml(void **state)
{
        (void)state;
        KC_CLEANUP(kc_manifests_done) struct kc_manifests m = {0};
        struct kc_error err = KC_ERROR_INIT;
        assert_true(kc_manifests_parse(&map, "dev", false, "f.yaml", "a: [1\n", 6, &m, &err) < 0);
        assert_int_equal(strncmp(err.message, "error parsing f.yaml: ", 22), 0);
        kc_error_done(&err);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_resources_have_many_names),
            cmocka_unit_test(test_an_unknown_resource),
            cmocka_unit_test(test_targets),
            cmocka_unit_test(test_documents_and_lists),
            cmocka_unit_test(test_an_unknown_kind_spares_the_others),
            cmocka_unit_test(test_what_is_no_object_ends_the_file),
            cmocka_unit_test(test_the_namespace_of_the_command_line_is_enforced),
            cmocka_unit_test(test_broken_yaml),
        };
        return cmocka_run_group_tests(tests, load_map, free_map);
}

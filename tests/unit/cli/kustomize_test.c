/* Kustomizations: merging, and builds of directories that the tests write. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/kustomize/kustomize_internal.h"
#include "json/yaml.h"

static struct json_object *yaml(const char *text)
{
        struct json_object *o = NULL;
        assert_int_equal(kc_yaml_parse(text, strlen(text), NULL, &o, NULL), 0);
        return o;
}

static void expect_merge(const char *old, const char *patch, const char *want)
{
        struct json_object *doc = yaml(old);
        KC_CLEANUP(kc_json_freep) struct json_object *p = yaml(patch), *w = want ? yaml(want) : NULL;
        assert_int_equal(kustomize_merge(&doc, p, NULL), 0);
        KC_CLEANUP(kc_freep) char *got = kc_json_to_str(doc);
        KC_CLEANUP(kc_freep) char *expected = kc_json_to_str(w);
        if (!kc_json_equal(doc, w))
                assert_string_equal(got, expected);
        kc_json_free(doc);
}

#define POD(containers) "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: " containers "}}"

static void test_merge(void **state)
{
        (void)state;
        /* What the patch brings comes first. */
        expect_merge(POD("[{name: a, image: i}, {name: b, image: j}]"),
            POD("[{name: b, image: k}, {name: c, image: l}]"),
            POD("[{name: b, image: k}, {name: c, image: l}, {name: a, image: i}]"));
        expect_merge(POD("[{name: a, image: i}, {name: b, image: j}]"), POD("[{name: a, $patch: delete}]"),
            POD("[{name: b, image: j}]"));
        expect_merge(POD("[{name: a, image: i}]"), POD("[{$patch: replace}, {name: z, image: y}]"),
            POD("[{name: z, image: y}]"));
        expect_merge(POD("[{name: a, image: i}]"), POD("[{name: a, image: null}]"), POD("[{name: a}]"));
        /* Lists of kinds that nobody knows are replaced. */
        expect_merge("{apiVersion: x/v1, kind: X, spec: {l: [{name: a}, 2], m: {a: 1}}}",
            "{apiVersion: x/v1, kind: X, spec: {l: [{name: b}], m: {b: 2}}}",
            "{apiVersion: x/v1, kind: X, spec: {l: [{name: b}], m: {a: 1, b: 2}}}");
        expect_merge(POD("[]"), "{$patch: delete, apiVersion: v1, kind: Pod}", NULL);
}

/* --- builds */

static int setup(void **state)
{
        char path[] = "/tmp/kubec-kustomize.XXXXXX";
        *state = kc_strdup(mkdtemp(path));
        return *state ? 0 : -1;
}

static int teardown(void **state)
{
        int e = kc_rm_rf(*state, NULL);
        kc_free(*state);
        return e;
}

static void write_file(const char *root, const char *name, const char *text)
{
        KC_CLEANUP(kc_freep) char *path = kc_path_join(root, name);
        KC_CLEANUP(kc_freep) char *dir = kc_strndup(path, (size_t)(strrchr(path, '/') - path));
        assert_int_equal(kc_mkdir_p(dir, 0755, NULL), 0);
        assert_int_equal(kc_file_write_atomic(path, text, strlen(text), 0644, NULL), 0);
}

static void expect_build(const char *root, const char *name, const char *want)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *dir = kc_path_join(root, name);
        struct kc_error err = KC_ERROR_INIT;
        if (kc_kustomize_build(dir, NULL, &b, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        assert_string_equal(kc_buf_str(&b), want);
}

static void expect_failure(const char *root, const char *name, const char *part)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *dir = kc_path_join(root, name);
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        assert_true(kc_kustomize_build(dir, NULL, &b, &err) < 0);
        if (!strstr(kc_error_message(&err), part))
                assert_string_equal(kc_error_message(&err), part);
}

static void test_overlay(void **state)
{
        const char *root = *state;
        write_file(root, "base/kustomization.yaml",
            "resources: [pod.yaml]\nconfigMapGenerator: [{name: c, literals: [a=b]}]\n");
        write_file(root, "base/pod.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: n, image: i, envFrom: "
            "[{configMapRef: {name: c}}]}]}\n");
        write_file(root, "over/kustomization.yaml",
            "namePrefix: x-\nnamespace: ns\nresources: [../base]\nimages: [{name: i, newTag: \"2\"}]\n");
        expect_build(root, "over",
            "apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap\nmetadata:\n  name: x-c-4h2mbtbbt6\n  namespace: ns\n---\n"
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x-p\n  namespace: ns\nspec:\n  containers:\n  - envFrom:\n"
            "    - configMapRef:\n        name: x-c-4h2mbtbbt6\n    image: i:2\n    name: \"n\"\n");
}

static void test_refusals(void **state)
{
        const char *root = *state;
        write_file(root, "f.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n");
        write_file(root, "outside/kustomization.yaml", "resources: [../f.yaml]\n");
        write_file(root, "a/kustomization.yaml", "resources: [../b]\n");
        write_file(root, "b/kustomization.yaml", "resources: [../a]\n");
        write_file(root, "remote/kustomization.yaml", "resources: [\"https://example.com/x.yaml\"]\n");
        write_file(root, "helm/kustomization.yaml", "helmCharts: [{name: x}]\n");
        write_file(root, "unknown/kustomization.yaml", "what: 1\n");
        expect_failure(root, "outside", "security; file '");
        expect_failure(root, "a", "cycle detected");
        expect_failure(root, "remote", "only local files and directories are read");
        expect_failure(root, "helm", "must specify --enable-helm");
        expect_failure(root, "unknown", "invalid Kustomization: json: unknown field \"what\"");
        expect_failure(root, "none", "no such file or directory");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_merge),
            cmocka_unit_test_setup_teardown(test_overlay, setup, teardown),
            cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

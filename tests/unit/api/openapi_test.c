/* OpenAPI documents: what kubectl explain, apply and field validation look for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/discovery.h"
#include "base/mem.h"
#include "base/str.h"

static void expect_json(const struct json_object *o, const char *expected)
{
        char *want = kc_str_replace_all(expected, "'", "\""), *got = kc_json_to_str(o);
        assert_string_equal(got, want);
        kc_free(want);
        kc_free(got);
}

static const struct json_object *get2(const struct json_object *o, const char *a, const char *b)
{
        return kc_json_get(kc_json_get(o, a), b);
}

static const struct json_object *schema(const struct json_object *doc, const char *name)
{
        return kc_json_get(kc_json_at(doc, "components.schemas"), name);
}

static void operations(void **state)
{
        (void)state;
        struct json_object *doc = kc_openapi_v3("apis/apps/v1");
        assert_string_equal(kc_json_str(doc, "openapi"), "3.0.0");
        const struct json_object *item = get2(doc, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        const struct json_object *patch = kc_json_get(item, "patch");
        assert_string_equal(kc_json_str(patch, "operationId"), "patchAppsV1NamespacedDeployment");
        assert_string_equal(kc_json_str(patch, "x-kubernetes-action"), "patch");
        expect_json(kc_json_get(patch, "x-kubernetes-group-version-kind"),
            "{'group':'apps','kind':'Deployment','version':'v1'}");
        const struct json_object *parameter = kc_json_find(kc_json_get(patch, "parameters"), "name", "fieldValidation");
        assert_string_equal(kc_json_str(parameter, "in"), "query");
        assert_non_null(kc_json_find(kc_json_get(patch, "parameters"), "name", "dryRun"));
        assert_non_null(kc_json_find(kc_json_get(item, "parameters"), "name", "namespace"));
        assert_non_null(
            get2(get2(patch, "requestBody", "content"), "application/strategic-merge-patch+json", "schema"));
        item = get2(doc, "paths", "/apis/apps/v1/deployments");
        assert_string_equal(kc_json_str_at(item, "get.operationId"), "listAppsV1DeploymentForAllNamespaces");
        item = get2(doc, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale");
        expect_json(kc_json_at(item, "put.x-kubernetes-group-version-kind"),
            "{'group':'autoscaling','kind':'Scale','version':'v1'}");
        kc_json_free(doc);
}

static void ids_of_long_groups(void **state)
{
        (void)state;
        struct json_object *doc = kc_openapi_v3("apis/rbac.authorization.k8s.io/v1");
        assert_string_equal(
            kc_json_str_at(get2(doc, "paths", "/apis/rbac.authorization.k8s.io/v1/clusterroles"), "delete.operationId"),
            "deleteRbacAuthorizationV1CollectionClusterRole");
        kc_json_free(doc);
}

static void schemas(void **state)
{
        (void)state;
        struct json_object *doc = kc_openapi_v3("api/v1");
        const struct json_object *pod_spec = schema(doc, "io.k8s.api.core.v1.PodSpec");
        expect_json(get2(pod_spec, "properties", "containers"),
            "{'description':'Containers of the pod; at least one, and not changed later.','type':'array',"
            "'items':{'$ref':'#/components/schemas/io.k8s.api.core.v1.Container'},"
            "'x-kubernetes-list-map-keys':['name'],'x-kubernetes-list-type':'map',"
            "'x-kubernetes-patch-merge-key':'name','x-kubernetes-patch-strategy':'merge'}");
        expect_json(kc_json_get(pod_spec, "required"), "['containers']");
        expect_json(get2(schema(doc, "io.k8s.api.core.v1.Pod"), "properties", "spec"),
            "{'description':'The desired "
            "state.','allOf':[{'$ref':'#/components/schemas/io.k8s.api.core.v1.PodSpec'}]}");
        expect_json(kc_json_get(schema(doc, "io.k8s.api.core.v1.Pod"), "x-kubernetes-group-version-kind"),
            "[{'group':'','kind':'Pod','version':'v1'}]");
        expect_json(kc_json_get(schema(doc, "io.k8s.api.core.v1.PodList"), "x-kubernetes-group-version-kind"),
            "[{'group':'','kind':'PodList','version':'v1'}]");
        expect_json(kc_json_get(schema(doc, "io.k8s.api.policy.v1.Eviction"), "x-kubernetes-group-version-kind"),
            "[{'group':'policy','kind':'Eviction','version':'v1'}]");
        expect_json(kc_json_get(schema(doc, "io.k8s.apimachinery.pkg.util.intstr.IntOrString"), "oneOf"),
            "[{'type':'integer'},{'type':'string'}]");
        expect_json(get2(schema(doc, "io.k8s.api.core.v1.Secret"), "properties", "data"),
            "{'description':'Secret values as bytes, in base64.','type':'object',"
            "'additionalProperties':{'type':'string','format':'byte'}}");
        kc_json_free(doc);
}

static bool resolves(const struct json_object *o, const struct json_object *schemas_of_doc, const char *prefix)
{
        const char *ref = kc_json_str(o, "$ref");
        if (ref && (!kc_str_has_prefix(ref, prefix) || !kc_json_get(schemas_of_doc, ref + strlen(prefix))))
                return false;
        KC_JSON_FOREACH(o, key, val)
        {
                if (!resolves(val, schemas_of_doc, prefix))
                        return false;
        }
        for (size_t i = 0; i < kc_json_len(o); i++)
                if (!resolves(kc_json_idx(o, i), schemas_of_doc, prefix))
                        return false;
        return true;
}

static void index_and_references(void **state)
{
        (void)state;
        struct json_object *index = kc_openapi_v3_index();
        const struct json_object *paths = kc_json_get(index, "paths");
        assert_non_null(kc_json_get(paths, "api/v1"));
        assert_non_null(kc_json_get(paths, "apis/apps"));
        assert_non_null(kc_json_get(paths, "version"));
        KC_JSON_FOREACH(paths, path, entry)
        {
                struct kc_buf b = KC_BUF_INIT;
                assert_int_equal(kc_openapi_v3_write(path, &b), 0);
                char hash[KC_OPENAPI_HASH_LEN];
                char *url = kc_asprintf("/openapi/v3/%s?hash=%s", path, kc_openapi_hash(kc_buf_str(&b), b.len, hash));
                assert_string_equal(kc_json_str(entry, "serverRelativeURL"), url);
                kc_free(url);
                kc_buf_done(&b);
                struct json_object *doc = kc_openapi_v3(path);
                assert_true(resolves(doc, kc_json_at(doc, "components.schemas"), "#/components/schemas/"));
                kc_json_free(doc);
        }
        kc_json_free(index);
        assert_null(kc_openapi_v3("apis/nosuch/v1"));
        assert_null(kc_openapi_v3("apis/"));
        assert_null(kc_openapi_v3(""));
        struct kc_buf b = KC_BUF_INIT;
        assert_int_equal(kc_openapi_v3_write("api/v2", &b), -ENOENT);
        assert_int_equal(b.len, 0);
}

static void swagger(void **state)
{
        (void)state;
        struct json_object *doc = kc_openapi_v2();
        assert_string_equal(kc_json_str(doc, "swagger"), "2.0");
        assert_true(resolves(doc, kc_json_get(doc, "definitions"), "#/definitions/"));
        expect_json(kc_json_get(get2(doc, "definitions", "io.k8s.apimachinery.pkg.util.intstr.IntOrString"), "format"),
            "'int-or-string'");
        const struct json_object *post =
            get2(get2(doc, "paths", "/api/v1/namespaces/{namespace}/pods"), "post", "parameters");
        assert_string_equal(kc_json_str(kc_json_find(post, "name", "body"), "in"), "body");
        kc_json_free(doc);
}

static void swagger_as_protobuf(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT;
        kc_openapi_v2_write_proto(&b);
        /* Field 1, a string: the version; field 2, a message: title and version of the API. */
        static const char start[] = "\n\0032.0\022\025\n\nKubernetes\022\007v1.36.2";
        assert_true(b.len > 100000);
        assert_memory_equal(b.data, start, sizeof(start) - 1);
        kc_buf_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(operations),
            cmocka_unit_test(ids_of_long_groups),
            cmocka_unit_test(schemas),
            cmocka_unit_test(index_and_references),
            cmocka_unit_test(swagger),
            cmocka_unit_test(swagger_as_protobuf),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

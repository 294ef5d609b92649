/* Discovery documents as clients read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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

static void core_versions(void **state)
{
        (void)state;
        struct json_object *o = kc_discovery_api_versions("10.0.0.1:6443");
        expect_json(o, "{'kind':'APIVersions','versions':['v1'],'serverAddressByClientCIDRs':"
                       "[{'clientCIDR':'0.0.0.0/0','serverAddress':'10.0.0.1:6443'}]}");
        kc_json_free(o);
}

static void groups(void **state)
{
        (void)state;
        struct json_object *o = kc_discovery_group("apps");
        expect_json(o, "{'kind':'APIGroup','apiVersion':'v1','name':'apps','versions':[{'groupVersion':'apps/v1',"
                       "'version':'v1'}],'preferredVersion':{'groupVersion':'apps/v1','version':'v1'}}");
        kc_json_free(o);
        assert_null(kc_discovery_group(""));
        assert_null(kc_discovery_group("extensions"));
        o = kc_discovery_group_list();
        assert_string_equal(kc_json_str(o, "kind"), "APIGroupList");
        assert_int_equal(kc_json_len(kc_json_get(o, "groups")), 20);
        assert_string_equal(kc_json_str(kc_json_idx(kc_json_get(o, "groups"), 0), "name"), "apiregistration.k8s.io");
        assert_string_equal(kc_json_str(kc_json_idx(kc_json_get(o, "groups"), 1), "name"), "apps");
        kc_json_free(o);
}

static void resource_list(void **state)
{
        (void)state;
        struct json_object *o = kc_discovery_resources("apps", "v1");
        assert_string_equal(kc_json_str(o, "groupVersion"), "apps/v1");
        const struct json_object *list = kc_json_get(o, "resources");
        expect_json(kc_json_find(list, "name", "deployments"),
            "{'name':'deployments','singularName':'deployment','namespaced':true,'kind':'Deployment','verbs':['create',"
            "'delete','deletecollection','get','list','patch','update','watch'],'shortNames':['deploy'],"
            "'categories':['all'],'storageVersionHash':'8aSe+NMegvE='}");
        expect_json(kc_json_find(list, "name", "deployments/scale"),
            "{'name':'deployments/scale','singularName':'','namespaced':true,'group':'autoscaling','version':'v1',"
            "'kind':'Scale','verbs':['get','patch','update']}");
        expect_json(kc_json_find(list, "name", "deployments/status"),
            "{'name':'deployments/status','singularName':'','namespaced':true,'kind':'Deployment',"
            "'verbs':['get','patch','update']}");
        kc_json_free(o);
        assert_null(kc_discovery_resources("apps", "v2"));
        assert_null(kc_discovery_resources("autoscaling", "v3"));
}

static void aggregated(void **state)
{
        (void)state;
        struct json_object *o = kc_discovery_aggregated(true);
        assert_string_equal(kc_json_str(o, "kind"), "APIGroupDiscoveryList");
        assert_string_equal(kc_json_str(o, "apiVersion"), "apidiscovery.k8s.io/v2");
        assert_int_equal(kc_json_len(kc_json_get(o, "items")), 1);
        const struct json_object *item = kc_json_idx(kc_json_get(o, "items"), 0);
        expect_json(kc_json_get(item, "metadata"), "{}");
        const struct json_object *version = kc_json_idx(kc_json_get(item, "versions"), 0);
        assert_string_equal(kc_json_str(version, "freshness"), "Current");
        expect_json(kc_json_find(kc_json_get(version, "resources"), "resource", "serviceaccounts"),
            "{'resource':'serviceaccounts','responseKind':{'group':'','version':'','kind':'ServiceAccount'},"
            "'scope':'Namespaced','singularResource':'serviceaccount','verbs':['create','delete','deletecollection',"
            "'get','list','patch','update','watch'],'shortNames':['sa'],'subresources':[{'subresource':'token',"
            "'responseKind':{'group':'authentication.k8s.io','version':'v1','kind':'TokenRequest'},"
            "'verbs':['create']}]}");
        kc_json_free(o);
        o = kc_discovery_aggregated(false);
        assert_int_equal(kc_json_len(kc_json_get(o, "items")), 20);
        expect_json(kc_json_get(kc_json_idx(kc_json_get(o, "items"), 1), "metadata"), "{'name':'apps'}");
        kc_json_free(o);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(core_versions),
            cmocka_unit_test(groups),
            cmocka_unit_test(resource_list),
            cmocka_unit_test(aggregated),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

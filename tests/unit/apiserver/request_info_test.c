/* What a request's path and method mean, as upstream's TestGetAPIRequestInfo has it; and hostile paths. */
#include "server/request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

struct want {
        const char *method, *path, *query;
        bool resource;
        const char *verb, *group, *version, *ns, *res, *sub, *name;
};

static void check(const struct want *w)
{
        struct req_info i;
        assert_int_equal(req_info_parse(w->method, w->path, w->query, &i), 0);
        if (i.is_resource != w->resource)
                fail_msg("%s: resource request: %d", w->path, i.is_resource);
        const char *const pairs[][2] = {{w->verb, i.verb}, {w->group, i.group}, {w->version, i.version}, {w->ns, i.ns},
            {w->res, i.resource}, {w->sub, i.subresource}, {w->name, i.name}};
        for (size_t k = 0; k < KC_ARRAY_LEN(pairs); k++)
                if (!kc_streq(pairs[k][0], pairs[k][1]))
                        fail_msg("%s %s: want \"%s\", got \"%s\"", w->method, w->path, pairs[k][0], pairs[k][1]);
        req_info_done(&i);
}

static void resources(void **state)
{
        (void)state;
        static const struct want cases[] = {
            {"GET", "/api/v1/namespaces", "", true, "list", "", "v1", "", "namespaces", "", ""},
            {"GET", "/api/v1/namespaces/other", "", true, "get", "", "v1", "other", "namespaces", "", "other"},
            {"GET", "/api/v1/namespaces/other/pods", "", true, "list", "", "v1", "other", "pods", "", ""},
            {"GET", "/api/v1/namespaces/other/pods/foo", "", true, "get", "", "v1", "other", "pods", "", "foo"},
            {"HEAD", "/api/v1/namespaces/other/pods/foo", "", true, "get", "", "v1", "other", "pods", "", "foo"},
            {"GET", "/api/v1/pods", "", true, "list", "", "v1", "", "pods", "", ""},
            {"GET", "/api/v1/pods/", "", true, "list", "", "v1", "", "pods", "", ""},
            {"GET", "/api/v1/pods", "watch=true", true, "watch", "", "v1", "", "pods", "", ""},
            {"GET", "/api/v1/pods", "watch=false", true, "list", "", "v1", "", "pods", "", ""},
            {"GET", "/api/v1/pods", "watch=False", true, "list", "", "v1", "", "pods", "", ""},
            {"GET", "/api/v1/pods", "watch", true, "watch", "", "v1", "", "pods", "", ""},
            {"GET", "/api/v1/namespaces/other/pods/foo/log", "", true, "get", "", "v1", "other", "pods", "log", "foo"},
            {"PUT", "/api/v1/namespaces/other/finalize", "", true, "update", "", "v1", "other", "namespaces",
                "finalize", "other"},
            {"PUT", "/api/v1/namespaces/other/status", "", true, "update", "", "v1", "other", "namespaces", "status",
                "other"},
            {"GET", "/api/v1/watch/namespaces/other/pods", "", true, "watch", "", "v1", "other", "pods", "", ""},
            {"GET", "/api/v1/proxy/namespaces/other/pods/foo", "", true, "proxy", "", "v1", "other", "pods", "", "foo"},
            {"PUT", "/api/v1/namespaces/other/pods/foo", "", true, "update", "", "v1", "other", "pods", "", "foo"},
            {"PATCH", "/api/v1/namespaces/other/pods/foo", "", true, "patch", "", "v1", "other", "pods", "", "foo"},
            {"POST", "/api/v1/namespaces/other/pods", "", true, "create", "", "v1", "other", "pods", "", ""},
            {"DELETE", "/api/v1/nodes/n", "", true, "delete", "", "v1", "", "nodes", "", "n"},
            {"DELETE", "/api/v1/nodes", "", true, "deletecollection", "", "v1", "", "nodes", "", ""},
            {"DELETE", "/api/v1/namespaces/other/pods", "", true, "deletecollection", "", "v1", "other", "pods", "",
                ""},
            {"PATCH", "/apis/apps/v1/namespaces/d/deployments/x/scale", "", true, "patch", "apps", "v1", "d",
                "deployments", "scale", "x"},
            /* A list of one object is authorized by its name. */
            {"GET", "/api/v1/namespaces/other/pods", "fieldSelector=metadata.name%3Dfoo", true, "list", "", "v1",
                "other", "pods", "", "foo"},
            {"GET", "/api/v1/namespaces/other/pods", "fieldSelector=metadata.name%21%3Dfoo", true, "list", "", "v1",
                "other", "pods", "", ""},
            {"GET", "/api/v1/nodes", "fieldSelector=metadata.name%3Da%2Fb", true, "list", "", "v1", "", "nodes", "",
                ""},
            {"GET", "/api/v1/nodes/a%2Db", "", true, "get", "", "v1", "", "nodes", "", "a-b"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++)
                check(&cases[i]);
}

static void other_paths(void **state)
{
        (void)state;
        static const struct want cases[] = {
            {"GET", "/", "", false, "get", "", "", "", "", "", ""},
            {"GET", "/api", "", false, "get", "", "", "", "", "", ""},
            {"GET", "/api/v1", "", false, "get", "", "", "", "", "", ""},
            {"GET", "/apis/apps/v1", "", false, "get", "", "", "", "", "", ""},
            {"POST", "/healthz/etcd/x/y", "", false, "post", "", "", "", "", "", ""},
            {"DELETE", "/foo/bar/baz/qux", "", false, "delete", "", "", "", "", "", ""},
            {"GET", "////", "", false, "get", "", "", "", "", "", ""},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++)
                check(&cases[i]);
}

static void hostile_paths(void **state)
{
        (void)state;
        struct req_info i;
        assert_int_equal(req_info_parse("GET", "/api/v1/pods/%zz", "", &i), -EINVAL);
        assert_string_equal(i.path, "/api/v1/pods/%zz");
        assert_false(i.is_resource);
        req_info_done(&i);
        assert_int_equal(req_info_parse("GET", "/api/v1/pods/%00", "", &i), -EINVAL);
        req_info_done(&i);
        assert_int_equal(req_info_parse("DELETE", "/api/v1/pods", "labelSelector=a%00", &i), -EINVAL);
        req_info_done(&i);
        char deep[4096] = "/api/v1";
        for (size_t k = strlen(deep); k + 3 < sizeof(deep); k += 2)
                memcpy(deep + k, "/a", 3);
        assert_int_equal(req_info_parse("GET", deep, "", &i), 0);
        assert_false(i.is_resource);
        req_info_done(&i);
}

static void accepting(void **state)
{
        (void)state;
        static const char kind[] = "APIGroupDiscoveryList", group[] = "apidiscovery.k8s.io";
        static const struct {
                const char *accept;
                bool want;
        } cases[] = {
            {"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json", true},
            {"application/json; as=\"APIGroupDiscoveryList\"; v=v2; g=apidiscovery.k8s.io", true},
            {"application/json,application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", false},
            {"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList", false},
            {"application/xml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", false},
            {"", false},
            {NULL, false},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++)
                assert_int_equal(media_accepts_as(cases[i].accept, group, "v2", kind), cases[i].want);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(resources),
            cmocka_unit_test(other_paths),
            cmocka_unit_test(hostile_paths),
            cmocka_unit_test(accepting),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

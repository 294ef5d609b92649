/* What RBAC rules allow and cover. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/authz.h"
#include "auth/rbac_rules.h"
#include "base/str.h"

static bool allows(struct json_object *take_rules, const struct kc_authz_attrs *a)
{
        KC_CLEANUP(rbac_rules_done) struct rbac_rules r = {0};
        rbac_rules_compile(&r, take_rules);
        kc_json_free(take_rules);
        bool yes = false;
        for (size_t i = 0; i < r.n; i++)
                yes = yes || rbac_rule_allows(&r.v[i], a);
        return yes;
}

static struct kc_authz_attrs resource(
    const char *verb, const char *group, const char *name_of_resource, const char *sub, const char *name)
{
        return (struct kc_authz_attrs){.verb = verb,
            .resource_request = true,
            .ns = "default",
            .group = group,
            .version = "v1",
            .resource = name_of_resource,
            .subresource = sub,
            .name = name,
            .path = ""};
}

static void resources_match_as_upstream(void **state)
{
        (void)state;
        static const struct {
                const char *rule; /* of the group "apps" with verb get */
                const char *resource, *sub;
                bool want;
        } cases[] = {
            {"pods", "pods", "", true},
            {"pods", "pods", "log", false},
            {"pods/log", "pods", "log", true},
            {"pods/log", "pods", "", false},
            {"pods/log", "nodes", "log", false},
            {"*", "pods", "log", true},
            {"*/scale", "deployments", "scale", true},
            {"*/scale", "deployments", "", false},
            {"*/scale", "deployments", "status", false},
            {"pods/*", "pods", "log", false},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                const struct kc_authz_attrs a = resource("get", "apps", cases[i].resource, cases[i].sub, "x");
                bool got = allows(
                    kc_json_build("[{'verbs':['get'],'apiGroups':['apps'],'resources':[%s]}]", cases[i].rule), &a);
                if (got != cases[i].want)
                        fail_msg("%s against %s/%s", cases[i].rule, cases[i].resource, cases[i].sub);
        }
}

static void names_limit_a_rule(void **state)
{
        (void)state;
        const char *rule = "[{'verbs':['get'],'apiGroups':[''],'resources':['secrets'],'resourceNames':['a','b']}]";
        struct kc_authz_attrs a = resource("get", "", "secrets", "", "b");
        assert_true(allows(kc_json_build(rule), &a));
        a.name = "c";
        assert_false(allows(kc_json_build(rule), &a));
        a.name = "";
        assert_false(allows(kc_json_build(rule), &a));
        a.name = "a";
        a.verb = "list";
        assert_false(allows(kc_json_build(rule), &a));
}

static void paths_match_with_a_star_at_the_end(void **state)
{
        (void)state;
        struct kc_authz_attrs a = {.verb = "get", .path = "/healthz/etcd", .ns = "", .group = "", .resource = ""};
        assert_true(allows(kc_json_build("[{'verbs':['get'],'nonResourceURLs':['/healthz/*']}]"), &a));
        assert_true(allows(kc_json_build("[{'verbs':['*'],'nonResourceURLs':['*']}]"), &a));
        assert_false(allows(kc_json_build("[{'verbs':['get'],'nonResourceURLs':['/healthz']}]"), &a));
        assert_false(allows(kc_json_build("[{'verbs':['post'],'nonResourceURLs':['*']}]"), &a));
        /* Everything among resources is nothing among paths. */
        assert_false(allows(kc_json_build("[{'verbs':['*'],'apiGroups':['*'],'resources':['*']}]"), &a));
}

static char *missing(struct json_object *take_owner, struct json_object *take_wanted)
{
        KC_CLEANUP(rbac_rules_done) struct rbac_rules owner = {0}, wanted = {0}, lacks = {0};
        rbac_rules_compile(&owner, take_owner);
        rbac_rules_compile(&wanted, take_wanted);
        kc_json_free(take_owner);
        kc_json_free(take_wanted);
        if (rbac_rules_cover(&owner, &wanted, &lacks))
                return kc_strdup("");
        return rbac_rules_format(&lacks);
}

static void covering(void **state)
{
        (void)state;
        static const struct {
                const char *owner, *wanted, *lacks;
        } cases[] = {
            {"[{'verbs':['*'],'apiGroups':['*'],'resources':['*']}]",
                "[{'verbs':['get'],'apiGroups':['apps'],'resources':['deployments/scale'],'resourceNames':['a']}]", ""},
            {"[{'verbs':['get'],'apiGroups':[''],'resources':['pods']}]",
                "[{'verbs':['get','list'],'apiGroups':[''],'resources':['pods','secrets']}]",
                "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\"]}\n"
                "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\", \"list\"]}"},
            {"[{'verbs':['get'],'apiGroups':[''],'resources':['pods'],'resourceNames':['a']}]",
                "[{'verbs':['get'],'apiGroups':[''],'resources':['pods']}]",
                "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}"},
            {"[{'verbs':['get'],'apiGroups':[''],'resources':['pods'],'resourceNames':['a','b']}]",
                "[{'verbs':['get'],'apiGroups':[''],'resources':['pods'],'resourceNames':['b']}]", ""},
            {"[{'verbs':['get'],'apiGroups':['apps'],'resources':['*/scale']}]",
                "[{'verbs':['get'],'apiGroups':['apps'],'resources':['deployments/scale']}]", ""},
            {"[{'verbs':['get'],'nonResourceURLs':['/metrics*']}]",
                "[{'verbs':['get'],'nonResourceURLs':['/metrics/slis','/version']}]",
                "{NonResourceURLs:[\"/version\"], Verbs:[\"get\"]}"},
            {"[]", "[]", ""},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep)
                char *got = missing(kc_json_build(cases[i].owner), kc_json_build(cases[i].wanted));
                assert_string_equal(got, cases[i].lacks);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(resources_match_as_upstream),
            cmocka_unit_test(names_limit_a_rule),
            cmocka_unit_test(paths_match_with_a_star_at_the_end),
            cmocka_unit_test(covering),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

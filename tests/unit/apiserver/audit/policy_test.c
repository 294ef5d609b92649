/* The audit policy: which rule decides, and what a bad one is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "audit/policy.h"
#include "base/str.h"
#include "json/yaml.h"

static struct kc_audit_policy *policy(const char *yaml)
{
        struct kc_audit_policy *p = NULL;
        struct json_object *tree = NULL;
        assert_int_equal(kc_yaml_parse(yaml, strlen(yaml), NULL, &tree, NULL), 0);
        assert_int_equal(kc_audit_policy_new(tree, &p, NULL), 0);
        kc_json_free(tree);
        return p;
}

#define HEAD "apiVersion: audit.k8s.io/v1\nkind: Policy\n"

static void test_resources(void **state)
{
        (void)state;
        static const struct {
                const char *pattern, *resource, *subresource;
                bool fits;
        } rows[] = {
            {"pods", "pods", "", true},
            {"pods", "pods", "log", false},
            {"pods", "podtemplates", "", false},
            {"pods/log", "pods", "log", true},
            {"pods/log", "pods", "", false},
            {"pods/*", "pods", "log", true},
            {"pods/*", "pods", "", true},
            {"pods/*", "nodes", "log", false},
            {"*/status", "nodes", "status", true},
            {"*/status", "nodes", "", false},
            {"*/status", "nodes", "proxy", false},
            {"*", "nodes", "proxy", true},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_freep)
                char *yaml = kc_asprintf(
                    HEAD "rules:\n- {level: Request, resources: [{group: '', resources: ['%s']}]}\n", rows[i].pattern);
                KC_CLEANUP(kc_audit_policy_freep) struct kc_audit_policy *p = policy(yaml);
                const struct kc_authz_attrs a = {.verb = "get",
                    .resource_request = true,
                    .group = "",
                    .resource = rows[i].resource,
                    .subresource = rows[i].subresource};
                enum kc_audit_level want = rows[i].fits ? KC_AUDIT_REQUEST : KC_AUDIT_NONE;
                if (kc_audit_policy_decide(p, &a).level != want)
                        fail_msg("%s: %s/%s", rows[i].pattern, rows[i].resource, rows[i].subresource);
        }
}

static void test_first_rule_decides(void **state)
{
        (void)state;
        KC_CLEANUP(kc_audit_policy_freep)
        struct kc_audit_policy *p =
            policy(HEAD "omitStages: [RequestReceived]\n"
                        "omitManagedFields: true\n"
                        "rules:\n"
                        "- {level: None, users: [bot], verbs: [get, list]}\n"
                        "- {level: RequestResponse, userGroups: [admins], namespaces: [prod, ''],\n"
                        "   omitManagedFields: false, omitStages: [Panic]}\n"
                        "- {level: Request, resources: [{group: apps, resources: [deployments],\n"
                        "   resourceNames: [web]}]}\n"
                        "- {level: None, nonResourceURLs: ['/healthz*', /version]}\n"
                        "- {level: Metadata}\n");
        char *admins[] = {(char *)"admins", NULL};
        KC_CLEANUP(kc_user_unrefp) struct kc_user *bot = kc_user_new("bot", NULL, NULL);
        KC_CLEANUP(kc_user_unrefp) struct kc_user *admin = kc_user_new("root", NULL, admins);
        struct kc_authz_attrs a = {
            .user = bot, .verb = "get", .resource_request = true, .group = "", .resource = "pods"};
        assert_int_equal(kc_audit_policy_decide(p, &a).level, KC_AUDIT_NONE);
        a.verb = "create";
        assert_int_equal(kc_audit_policy_decide(p, &a).level, KC_AUDIT_METADATA);
        assert_true(kc_audit_policy_decide(p, &a).omit_managed_fields);
        assert_int_equal(kc_audit_policy_decide(p, &a).omitted_stages, 1U << KC_AUDIT_REQUEST_RECEIVED);
        a.user = admin;
        struct kc_audit_decision d = kc_audit_policy_decide(p, &a); /* no namespace: '' */
        assert_int_equal(d.level, KC_AUDIT_REQUEST_RESPONSE);
        assert_false(d.omit_managed_fields);
        assert_int_equal(d.omitted_stages, 1U << KC_AUDIT_REQUEST_RECEIVED | 1U << KC_AUDIT_PANIC);
        a.ns = "test";
        assert_int_equal(kc_audit_policy_decide(p, &a).level, KC_AUDIT_METADATA);
        a.group = "apps";
        a.resource = "deployments";
        a.name = "web";
        assert_int_equal(kc_audit_policy_decide(p, &a).level, KC_AUDIT_REQUEST);
        a.name = "other";
        assert_int_equal(kc_audit_policy_decide(p, &a).level, KC_AUDIT_METADATA);
        const struct kc_authz_attrs url = {.verb = "get", .path = "/healthz/etcd"}; /* nobody */
        assert_int_equal(kc_audit_policy_decide(p, &url).level, KC_AUDIT_NONE);
        const struct kc_authz_attrs other = {.verb = "get", .path = "/versions"};
        assert_int_equal(kc_audit_policy_decide(p, &other).level, KC_AUDIT_METADATA);
}

static void test_bad(void **state)
{
        (void)state;
        static const struct {
                const char *rules, *message;
        } rows[] = {
            {"[{}]", "rules[0].level: Required value"},
            {"[{level: None, users: bot, namespaces: {a: b}}]",
                "[rules[0].users: Invalid value: \"bot\": must be a list, rules[0].namespaces: Invalid value: "
                "{\"a\":\"b\"}: must be a list]"},
            {"[{level: Metadata}, {level: Metadata, omitStages: [Early]}]",
                "rules[1].omitStages[0]: Invalid value: \"Early\": allowed stages are "
                "[RequestReceived,ResponseStarted,ResponseComplete,Panic]"},
            {"[{level: Metadata, nonResourceURLs: [healthz]}]",
                "rules[0].nonResourceURLs[0]: Invalid value: \"healthz\": non-resource URL rules must begin with a '/' "
                "character"},
            {"[{level: Metadata, nonResourceURLs: ['/a*b']}]", "rules[0].nonResourceURLs[0]: Invalid value: \"/a*b\": "
                                                               "non-resource URL wildcards '*' must be the final "
                                                               "character of the rule"},
            {"[{level: Metadata, resources: [{group: apps/v1, resourceNames: [a]}]}]",
                "[rules[0].resources[0].resourceNames: Invalid value: [\"a\"]: using resourceNames requires at least "
                "one "
                "resource, rules[0].resources[0].group: Invalid value: \"apps/v1\": must be a group without a "
                "version]"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_freep) char *yaml = kc_asprintf(HEAD "rules: %s\n", rows[i].rules);
                KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                struct kc_audit_policy *p = NULL;
                assert_int_equal(kc_yaml_parse(yaml, strlen(yaml), NULL, &tree, NULL), 0);
                assert_true(kc_audit_policy_new(tree, &p, &err) < 0);
                assert_string_equal(kc_error_message(&err), rows[i].message);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_resources),
            cmocka_unit_test(test_first_rule_decides),
            cmocka_unit_test(test_bad),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

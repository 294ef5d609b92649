/* Any YAML as an audit policy; what can be used decides about some requests. */
#include <assert.h>
#include <stdint.h>

#include "audit/policy.h"
#include "json/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decide(const struct kc_audit_policy *p)
{
        struct kc_user *user = kc_user_new("alice", "1", NULL);
        kc_user_add_group(user, "system:authenticated");
        struct kc_authz_attrs all[] = {
            {.user = user,
                .verb = "get",
                .resource_request = true,
                .ns = "default",
                .group = "",
                .version = "v1",
                .resource = "pods",
                .subresource = "log",
                .name = "p",
                .path = "/api/v1/namespaces/default/pods/p/log"},
            {.user = user,
                .verb = "update",
                .resource_request = true,
                .ns = "",
                .group = "apps",
                .version = "v1",
                .resource = "deployments",
                .subresource = "",
                .name = "",
                .path = "/apis/apps/v1/deployments"},
            {.user = NULL,
                .verb = "get",
                .ns = "",
                .group = "",
                .version = "",
                .resource = "",
                .subresource = "",
                .name = "",
                .path = "/healthz/ping"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(all); i++) {
                struct kc_audit_decision d = kc_audit_policy_decide(p, &all[i]);
                assert(d.level <= KC_AUDIT_REQUEST_RESPONSE && d.omitted_stages < 1u << (KC_AUDIT_PANIC + 1));
        }
        kc_user_unref(user);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_audit_policy_freep) struct kc_audit_policy *policy = NULL;
        if (kc_yaml_parse((const char *)data, size, NULL, &tree, NULL) < 0)
                return 0;
        if (kc_audit_policy_new(tree, &policy, &err) < 0)
                assert(err.message);
        else
                decide(policy);
        return 0;
}

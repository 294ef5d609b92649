/* Validation of controllers of pods, RBAC kinds, Leases and PriorityClasses. */
#include "validation_testing.h"

#define TEMPLATE "'template':{'metadata':{'labels':{'a':'b'}},'spec':{'containers':[{'name':'c','image':'i'}]}}"

static const char deployment[] =
    "{'metadata':{'name':'d','namespace':'n'},'spec':{'selector':{'matchLabels':{'a':'b'}}," TEMPLATE "}}";

static void create(const char *patch, const char *want)
{
        expect_create(kind("apps", "Deployment"), deployment, patch, want);
}

static void test_deployment(void **state)
{
        (void)state;
        create("", "");
        create("{'spec':{'replicas':-1,'minReadySeconds':-1}}",
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0\n"
            "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0");
        create("{'spec':{'template':{'metadata':{'labels':{'a':'c','x':'y'}}}}}",
            "spec.template.metadata.labels: Invalid value: {\"a\":\"c\",\"x\":\"y\"}: `selector` does not match "
            "template `labels`");
        create("{'spec':{'selector':{'matchLabels':null}}}",
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment");
        create("{'spec':{'selector':{'matchLabels':null,'matchExpressions':[{'key':'a','operator':'x'}]}}}",
            "spec.selector.matchExpressions[0].operator: Invalid value: \"x\": not a valid selector operator\n"
            "spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"x\"}]}: invalid label "
            "selector");
        create("{'spec':{'template':{'spec':{'restartPolicy':'Never','activeDeadlineSeconds':1}}}}",
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"\n"
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not "
            "Supported");
        create("{'spec':{'template':{'spec':{'containers':[{'name':'c'}]}}}}",
            "spec.template.spec.containers[0].image: Required value");
        create("{'spec':{'minReadySeconds':10,'progressDeadlineSeconds':10}}",
            "spec.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds");
}

static void test_deployment_strategy(void **state)
{
        (void)state;
        create("{'spec':{'strategy':{'type':'Recreate','rollingUpdate':{'maxSurge':1}}}}",
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'");
        create("{'spec':{'strategy':{'rollingUpdate':{'maxSurge':0,'maxUnavailable':'0%'}}}}",
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0");
        create("{'spec':{'strategy':{'rollingUpdate':{'maxSurge':-1,'maxUnavailable':'101%'}}}}",
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0\n"
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%");
        create("{'spec':{'strategy':{'rollingUpdate':{'maxUnavailable':'x'}}}}",
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"x\": a valid percent string must be a "
            "numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')");
        create("{'spec':{'strategy':{'type':'x'}}}",
            "spec.strategy: Unsupported value: {\"type\":\"x\"}: supported values: \"Recreate\", \"RollingUpdate\"");
}

static void test_deployment_update(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("apps", "Deployment");
        expect_update(r, "", deployment, "", "{'spec':{'replicas':3}}", "");
        expect_update(r, "", deployment, "",
            "{'spec':{'selector':{'matchLabels':{'a':'b','x':'y'}},'template':{'metadata':{'labels':{'x':'y'}}}}}",
            "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"x\":\"y\"}}: field is immutable");
        expect_update(r, "status", deployment, "{'status':{'collisionCount':1}}",
            "{'status':{'replicas':1,'updatedReplicas':2,'availableReplicas':1}}",
            "status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas\n"
            "status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas\n"
            "status.collisionCount: Invalid value: 0: cannot be decremented");
}

static void test_replica_set(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("apps", "ReplicaSet");
        expect_create(r, deployment, "", "");
        expect_create(r, deployment, "{'spec':{'selector':{'matchLabels':{'a':'x'}}}}",
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`");
        expect_update(r, "status", deployment, "", "{'status':{'replicas':1,'readyReplicas':2}}",
            "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas");
}

static void test_replication_controller(void **state)
{
        (void)state;
        static const char base[] = "{'metadata':{'name':'d','namespace':'n'},'spec':{" TEMPLATE "}}";
        const struct kc_resource *r = kind("", "ReplicationController");
        expect_create(r, base, "", "");
        expect_create(
            r, base, "{'spec':{'template':null}}", "spec.selector: Required value\nspec.template: Required value");
        expect_create(r, base, "{'spec':{'selector':{'x':'y'}}}",
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`");
}

static void test_daemon_set(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("apps", "DaemonSet");
        expect_create(r, deployment, "", "");
        expect_create(r, deployment, "{'spec':{'updateStrategy':{'rollingUpdate':{'maxSurge':1,'maxUnavailable':1}}}}",
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is "
            "non-zero");
        expect_create(r, deployment, "{'spec':{'updateStrategy':{'rollingUpdate':{'maxUnavailable':0}}}}",
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0");
        expect_create(r, deployment, "{'spec':{'template':{'spec':{'restartPolicy':'OnFailure'}}}}",
            "spec.template.spec.restartPolicy: Unsupported value: \"OnFailure\": supported values: \"Always\"");
        expect_update(r, "status", deployment, "", "{'status':{'numberReady':-1}}",
            "status.numberReady: Invalid value: -1: must be greater than or equal to 0");
}

static void test_roles(void **state)
{
        (void)state;
        static const char base[] =
            "{'metadata':{'name':'system:x','namespace':'n'},'rules':[{'verbs':['get'],'apiGroups':"
            "[''],'resources':['pods']}]}";
        const struct kc_resource *r = kind("rbac.authorization.k8s.io", "Role");
        expect_create(r, base, "", "");
        expect_create(
            r, base, "{'metadata':{'name':'a/b'}}", "metadata.name: Invalid value: \"a/b\": may not contain '/'");
        expect_create(r, base, "{'rules':[{'verbs':[]},{'verbs':['get'],'nonResourceURLs':['/x'],'resources':['y']}]}",
            "rules[0].verbs: Required value: verbs must contain at least one value\n"
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group\n"
            "rules[0].resources: Required value: resource rules must supply at least one resource\n"
            "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs\n"
            "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and "
            "non-resource URLs");
}

static void test_bindings(void **state)
{
        (void)state;
        static const char base[] = "{'metadata':{'name':'b'},'roleRef':{'kind':'ClusterRole','name':'r'},'subjects':"
                                   "[{'kind':'User','name':'u'}]}";
        const struct kc_resource *r = kind("rbac.authorization.k8s.io", "ClusterRoleBinding");
        expect_create(r, base, "", "");
        expect_create(r, base,
            "{'roleRef':{'kind':'Role'},'subjects':[{'kind':'ServiceAccount','name':'s'},{'kind':'x',"
            "'name':'y'}]}",
            "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"\n"
            "subjects[0].namespace: Required value\n"
            "subjects[1].kind: Unsupported value: \"x\": supported values: \"ServiceAccount\", \"User\", \"Group\"");
        expect_update(r, "", base, "", "{'roleRef':{'name':'other'}}",
            "roleRef: Invalid value: "
            "{\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"ClusterRole\",\"Name\":\"other\"}: cannot change "
            "roleRef");
}

static void test_lease(void **state)
{
        (void)state;
        static const char base[] = "{'metadata':{'name':'l','namespace':'n'}}";
        const struct kc_resource *r = kind("coordination.k8s.io", "Lease");
        expect_create(r, base, "{'spec':{'leaseDurationSeconds':15}}", "");
        expect_create(r, base, "{'spec':{'leaseDurationSeconds':0,'leaseTransitions':-1,'preferredHolder':'x'}}",
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0\n"
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0\n"
            "spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined");
}

static void test_priority_class(void **state)
{
        (void)state;
        static const char base[] = "{'metadata':{'name':'p'},'value':1}";
        const struct kc_resource *r = kind("scheduling.k8s.io", "PriorityClass");
        expect_create(r, base, "", "");
        expect_create(r, base, "{'value':1000000001}",
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000");
        expect_create(r, base, "{'metadata':{'name':'system-x'}}",
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. "
            "error: system-x is not a known system priority class");
        expect_create(r, base, "{'metadata':{'name':'system-node-critical'},'value':2000001000}", "");
        expect_update(r, "", base, "", "{'value':2}", "value: Forbidden: may not be changed in an update.");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_deployment),
            cmocka_unit_test(test_deployment_strategy),
            cmocka_unit_test(test_deployment_update),
            cmocka_unit_test(test_replica_set),
            cmocka_unit_test(test_replication_controller),
            cmocka_unit_test(test_daemon_set),
            cmocka_unit_test(test_roles),
            cmocka_unit_test(test_bindings),
            cmocka_unit_test(test_lease),
            cmocka_unit_test(test_priority_class),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

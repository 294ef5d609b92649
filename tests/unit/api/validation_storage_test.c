/* Validation of storage.k8s.io and admissionregistration.k8s.io. */
#include "validation_testing.h"

static void test_storage_class(void **state)
{
        (void)state;
        static const char sc[] = "{'metadata':{'name':'fast'},'provisioner':'example.com/p'}";
        const struct kc_resource *r = kind("storage.k8s.io", "StorageClass");
        expect_create(r, sc, "", "");
        expect_create(r, sc,
            "{'provisioner':'','reclaimPolicy':'Recycle','volumeBindingMode':'x','allowedTopologies':[{"
            "'matchLabelExpressions':[{'key':'a','values':['b']}]},{'matchLabelExpressions':[{'key':'a','values':['b']}"
            ","
            "{'key':'a','values':[]}]},{'matchLabelExpressions':[{'key':'a','values':['b']}]}]}",
            "provisioner: Required value\n"
            "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"\n"
            "volumeBindingMode: Unsupported value: \"x\": supported values: \"Immediate\", \"WaitForFirstConsumer\"\n"
            "allowedTopologies[1].matchLabelExpressions[1].values: Required value\n"
            "allowedTopologies[1].matchLabelExpressions[1].key: Duplicate value: \"a\"\n"
            "allowedTopologies[2].matchLabelExpressions: Duplicate value: \"\"");
        expect_update(r, "", sc, "", "{'allowVolumeExpansion':true}", "");
        expect_update(r, "", sc, "", "{'provisioner':'p','reclaimPolicy':'Retain','parameters':{'a':'b'}}",
            "parameters: Forbidden: updates to parameters are forbidden.\n"
            "provisioner: Forbidden: updates to provisioner are forbidden.\n"
            "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.");
}

static void test_csi(void **state)
{
        (void)state;
        static const char driver[] = "{'metadata':{'name':'d'},'spec':{}}", node[] = "{'metadata':{'name':'n'},'spec':{"
                                                                                     "'drivers':[]}}";
        const struct kc_resource *drivers = kind("storage.k8s.io", "CSIDriver");
        const struct kc_resource *nodes = kind("storage.k8s.io", "CSINode");
        expect_create(drivers, driver, "", "");
        expect_create(drivers, driver,
            "{'spec':{'tokenRequests':[{'audience':'a','expirationSeconds':5},{'audience':'a'}],'fsGroupPolicy':'x',"
            "'volumeLifecycleModes':['y']}}",
            "spec.fsGroupPolicy: Unsupported value: \"x\": supported values: \"File\", \"None\", "
            "\"ReadWriteOnceWithFSType\"\n"
            "spec.tokenRequests[0].expirationSeconds: Invalid value: 5: may not specify a duration less than 10 "
            "minutes\n"
            "spec.tokenRequests[1].audience: Duplicate value: \"a\"\n"
            "spec.volumeLifecycleModes: Unsupported value: \"y\": supported values: \"Persistent\", \"Ephemeral\"");
        expect_update(drivers, "", driver, "", "{'spec':{'attachRequired':false}}",
            "spec.attachedRequired: Invalid value: false: field is immutable");
        expect_create(nodes, node,
            "{'spec':{'drivers':[{'name':'a','nodeID':'','topologyKeys':['x','x']},{'name':'a','nodeID':'i',"
            "'allocatable':{'count':-1}}]}}",
            "spec.drivers[0].nodeID: Required value\n"
            "spec.drivers[0]: Duplicate value: \"x\"\n"
            "spec.drivers[1].allocatable.count: Invalid value: -1: must be greater than or equal to 0\n"
            "spec.drivers[1].name: Duplicate value: \"a\"");
}

static void test_attachment(void **state)
{
        (void)state;
        static const char va[] = "{'metadata':{'name':'a'},'spec':{'attacher':'d','nodeName':'n','source':{"
                                 "'persistentVolumeName':'pv'}}}";
        const struct kc_resource *r = kind("storage.k8s.io", "VolumeAttachment");
        expect_create(r, va, "", "");
        expect_create(r, va, "{'spec':{'attacher':'A!','source':{'persistentVolumeName':null}}}",
            "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName\n"
            "spec.attacher: Invalid value: \"A!\": " SUBDOMAIN_1123);
        expect_update(r, "", va, "", "{'spec':{'nodeName':'m'}}",
            "spec: Invalid value: "
            "{\"attacher\":\"d\",\"source\":{\"persistentVolumeName\":\"pv\"},\"nodeName\":\"m\"}: field is immutable");
}

static const char hook[] =
    "{'metadata':{'name':'h'},'webhooks':[{'name':'a.example.com','sideEffects':'None','admissionReviewVersions':['v1'"
    "],'clientConfig':{'service':{'name':'s','namespace':'n','path':'/x'}},'rules':[{'operations':['CREATE'],"
    "'apiGroups':[''],'apiVersions':['v1'],'resources':['pods']}]}]}";

static void test_webhooks(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("admissionregistration.k8s.io", "ValidatingWebhookConfiguration");
        expect_create(r, hook, "", "");
        expect_create(r, hook,
            "{'webhooks':[{'name':'a','admissionReviewVersions':['v2'],'clientConfig':{'url':'http://u@h/x?q#f'},"
            "'timeoutSeconds':31,'rules':[{'operations':['*','GET'],'apiGroups':['*',''],'apiVersions':[''],"
            "'resources':['pods/*','pods/status','*','pods']}]}]}",
            "webhooks[0].name: Invalid value: \"a\": should be a domain with at least three segments separated by "
            "dots\n"
            "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"GET\"]: if '*' is present, must not specify "
            "other "
            "operations\n"
            "webhooks[0].rules[0].operations[1]: Unsupported value: \"GET\": supported values: \"*\", \"CONNECT\", "
            "\"CREATE\", \"DELETE\", \"UPDATE\"\n"
            "webhooks[0].rules[0].apiGroups: Invalid value: [\"*\",\"\"]: if '*' is present, must not specify other "
            "API "
            "groups\n"
            "webhooks[0].rules[0].apiVersions[0]: Required value\n"
            "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not "
            "specify pods/status\n"
            "webhooks[0].rules[0].resources: Invalid value: [\"pods/*\",\"pods/status\",\"*\",\"pods\"]: if '*' is "
            "present, must not specify other resources without subresources\n"
            "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun\n"
            "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds\n"
            "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired "
            "format: https://host[/path]\n"
            "webhooks[0].clientConfig.url: Invalid value: \"u\": user information is not permitted in the URL\n"
            "webhooks[0].clientConfig.url: Invalid value: \"f\": fragments are not permitted in the URL\n"
            "webhooks[0].clientConfig.url: Invalid value: \"q\": query parameters are not permitted in the URL\n"
            "webhooks[0].admissionReviewVersions: Invalid value: [\"v2\"]: must include at least one of v1, v1beta1");
}

static void test_policies(void **state)
{
        (void)state;
        static const char policy[] =
            "{'metadata':{'name':'p'},'spec':{'matchConstraints':{'resourceRules':[{'operations':['CREATE'],"
            "'apiGroups':[''],'apiVersions':['v1'],'resources':['pods']}]},'validations':[{'expression':'true'}]}}";
        static const char binding[] =
            "{'metadata':{'name':'b'},'spec':{'policyName':'p','validationActions':['Deny']}}";
        const struct kc_resource *r = kind("admissionregistration.k8s.io", "ValidatingAdmissionPolicy");
        const struct kc_resource *b = kind("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding");
        expect_create(r, policy, "", "");
        expect_create(r, policy,
            "{'spec':{'failurePolicy':'x','paramKind':{'apiVersion':'a/b/c','kind':''},'matchConstraints':null,"
            "'validations':null,'variables':[{'name':'if','expression':' '}]}}",
            "spec.failurePolicy: Unsupported value: \"x\": supported values: \"Fail\", \"Ignore\"\n"
            "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c\n"
            "spec.paramKind.kind: Required value\n"
            "spec.matchConstraints: Required value\n"
            "spec.variables[0].name: Invalid value: \"if\": must be a valid CEL identifier\n"
            "spec.variables[0].expression: Required value: expression is not specified\n"
            "spec.validations: Required value: validations or auditAnnotations must contain at least one item\n"
            "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item");
        expect_create(b, binding, "", "");
        expect_create(b, binding,
            "{'spec':{'policyName':'','paramRef':{'parameterNotFoundAction':'x'},'validationActions':['Deny','Warn',"
            "'Deny']}}",
            "spec.policyName: Required value\n"
            "spec.paramRef: Required value: one of name or selector must be specified\n"
            "spec.paramRef.parameterNotFoundAction: Unsupported value: \"x\": supported values: \"Deny\", \"Allow\"\n"
            "spec.validationActions[2]: Duplicate value: \"Deny\"\n"
            "spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Deny\"]: must not contain both Deny and Warn "
            "(repeating the same validation failure information in the API response and headers serves no purpose)");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_storage_class),
            cmocka_unit_test(test_csi),
            cmocka_unit_test(test_attachment),
            cmocka_unit_test(test_webhooks),
            cmocka_unit_test(test_policies),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

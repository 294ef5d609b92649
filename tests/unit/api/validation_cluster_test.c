/* Validation of quotas, limits, flow control, certificates and APIServices. */
#include "validation_testing.h"

static void test_resource_quota(void **state)
{
        (void)state;
        static const char quota[] = "{'metadata':{'name':'q','namespace':'n'},'spec':{'hard':{'pods':'1'}}}";
        const struct kc_resource *r = kind("", "ResourceQuota");
        expect_create(r, quota, "{'spec':{'hard':{'count/widgets.example.com':'1','requests.cpu':'1'}}}", "");
        expect_create(r, quota, "{'spec':{'hard':{'x':'1','pods':'0.5'},'scopes':['BestEffort','NotBestEffort']}}",
            "spec.hard[pods]: Invalid value: \"500m\": must be an integer\n"
            "spec.hard[x]: Invalid value: \"x\": must be a standard resource type or fully qualified\n"
            "spec.hard[x]: Invalid value: \"x\": must be a standard resource for quota\n"
            "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes");
        expect_create(r, quota,
            "{'spec':{'hard':{'pods':null,'services':'1'},'scopeSelector':{'matchExpressions':[{'scopeName':"
            "'Terminating','operator':'In','values':[]}]}}}",
            "spec.scopeSelector.matchExpressions: Invalid value: "
            "{\"matchExpressions\":[{\"scopeName\":\"Terminating\",\"operator\":\"In\"}]}: unsupported scope applied "
            "to "
            "resource\n"
            "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": must be 'Exist' when scope is any of "
            "ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
            "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity\n"
            "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is "
            "'In' or 'NotIn' for scope selector");
        expect_update(r, "", quota, "", "{'spec':{'hard':{'pods':'3'}}}", "");
        expect_update(r, "", quota, "", "{'spec':{'scopes':['BestEffort']}}",
            "spec.scopes: Invalid value: [\"BestEffort\"]: field is immutable");
}

static void test_limit_range(void **state)
{
        (void)state;
        static const char range[] = "{'metadata':{'name':'l','namespace':'n'},'spec':{'limits':[{'type':'Container',"
                                    "'max':{'cpu':'2'},'default':{'cpu':'1'}}]}}";
        const struct kc_resource *r = kind("", "LimitRange");
        expect_create(r, range, "", "");
        expect_create(r, range,
            "{'spec':{'limits':[{'type':'Container','min':{'cpu':'3'},'max':{'cpu':'2'},'maxLimitRequestRatio':"
            "{'cpu':'500m'}},{'type':'Pod','default':{'cpu':'1'}},{'type':'Pod'},{'type':'PersistentVolumeClaim'},"
            "{'type':'X'}]}}",
            "spec.limits[0].min[cpu]: Invalid value: \"3\": min value 3 is greater than max value 2\n"
            "spec.limits[0].defaultRequest[cpu]: Invalid value: \"2\": min value 3 is greater than default request "
            "value 2\n"
            "spec.limits[0].default[cpu]: Invalid value: \"3\": min value 3 is greater than default value 2\n"
            "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1\n"
            "spec.limits[1].default: Forbidden: may not be specified when `type` is 'Pod'\n"
            "spec.limits[2].type: Duplicate value: \"Pod\"\n"
            "spec.limits[3].limits: Required value: either minimum or maximum storage value is required, but neither "
            "was provided\n"
            "spec.limits[4].type: Invalid value: \"X\": must be a standard limit type or fully qualified");
}

static void test_runtime_class(void **state)
{
        (void)state;
        static const char rc[] = "{'metadata':{'name':'r'},'handler':'runc'}";
        const struct kc_resource *r = kind("node.k8s.io", "RuntimeClass");
        expect_create(r, rc, "", "");
        expect_create(r, rc,
            "{'handler':'A','overhead':{'podFixed':{'cpu':'-1'}},'scheduling':{'tolerations':[{'key':"
            "'a','operator':'Exists'},{'key':'a','operator':'Exists'}]}}",
            "handler: Invalid value: \"A\": " LABEL_1123 "\n"
            "overhead.podFixed.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0\n"
            "scheduling.tolerations[1]: Duplicate value: {\"key\":\"a\",\"operator\":\"Exists\"}");
        expect_update(r, "", rc, "", "{'handler':'kata'}", "handler: Invalid value: \"kata\": field is immutable");
}

static void test_pod_template(void **state)
{
        (void)state;
        static const char pt[] = "{'metadata':{'name':'t','namespace':'n'},'template':{'spec':{'containers':[{'name':"
                                 "'c','image':'i'}]}}}";
        const struct kc_resource *r = kind("", "PodTemplate");
        expect_create(r, pt, "", "");
        expect_create(r, pt, "{'template':{'spec':{'containers':[{'name':'c'}]}}}",
            "template.spec.containers[0].image: Required value");
}

static void test_flow_schema(void **state)
{
        (void)state;
        static const char fs[] =
            "{'metadata':{'name':'f'},'spec':{'priorityLevelConfiguration':{'name':'p'},'matchingPrecedence':100,"
            "'rules':[{'subjects':[{'kind':'User','user':{'name':'u'}}],'nonResourceRules':[{'verbs':['*'],"
            "'nonResourceURLs':['/x/*']}]}]}}";
        const struct kc_resource *r = kind("flowcontrol.apiserver.k8s.io", "FlowSchema");
        expect_create(r, fs, "", "");
        expect_create(r, fs,
            "{'spec':{'matchingPrecedence':10001,'priorityLevelConfiguration':{'name':''},'rules':[{'subjects':[{'kind'"
            ":"
            "'User','group':{'name':'g'}},{'kind':'X'}],'resourceRules':[{'verbs':['get','x'],'apiGroups':[],"
            "'resources':['*','a'],'namespaces':['A']}],'nonResourceRules':[{'verbs':[],'nonResourceURLs':['/"
            "*x']}]}]}}",
            "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000\n"
            "spec.priorityLevelConfiguration.name: Required value: must reference a priority level\n"
            "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'\n"
            "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'\n"
            "spec.rules[0].subjects[1].kind: Unsupported value: \"X\": supported values: \"Group\", "
            "\"ServiceAccount\", \"User\"\n"
            "spec.rules[0].resourceRules[0].verbs: Unsupported value: [\"get\",\"x\"]: supported values: \"create\", "
            "\"delete\", \"deletecollection\", \"get\", \"list\", \"patch\", \"proxy\", \"update\", \"watch\"\n"
            "spec.rules[0].resourceRules[0].apiGroups: Required value: resource rules must supply at least one api "
            "group\n"
            "spec.rules[0].resourceRules[0].resources: Invalid value: [\"*\",\"a\"]: if '*' is present, must not "
            "specify other resources\n"
            "spec.rules[0].resourceRules[0].namespaces[0]: Invalid value: \"A\": each member of this list must be '*' "
            "or a DNS-1123 label; " LABEL_1123 "\n"
            "spec.rules[0].nonResourceRules[0].verbs: Required value: verbs must contain at least one value\n"
            "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"/*x\": wildcard can only do suffix "
            "matching");
}

static void test_priority_level(void **state)
{
        (void)state;
        static const char pl[] =
            "{'metadata':{'name':'p'},'spec':{'type':'Limited','limited':{'nominalConcurrencyShares':5,"
            "'limitResponse':{'type':'Queue','queuing':{'queues':64,'handSize':6,'queueLengthLimit':50}}}}}";
        static const char exempt[] = "{'metadata':{'name':'exempt'},'spec':{'type':'Exempt'}}";
        const struct kc_resource *r = kind("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration");
        expect_create(r, pl, "", "");
        expect_create(r, exempt, "", "");
        expect_create(r, pl,
            "{'spec':{'limited':{'nominalConcurrencyShares':-1,'lendablePercent':101,'limitResponse':{'queuing':{"
            "'queues':1024,'handSize':7,'queueLengthLimit':-1}}}}}",
            "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer\n"
            "spec.limited.limitResponse.queuing.queueLengthLimit: Invalid value: -1: must be positive\n"
            "spec.limited.limitResponse.queuing.handSize: Invalid value: 7: required entropy bits of deckSize 1024 and "
            "handSize 7 should not be greater than 60\n"
            "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive");
        expect_create(r, pl, "{'metadata':{'name':'exempt'}}",
            "spec.type: Invalid value: \"Limited\": type must be 'Exempt' if and only if name is 'exempt'\n"
            "spec: Invalid value: "
            "{\"type\":\"Limited\",\"limited\":{\"nominalConcurrencyShares\":5,\"limitResponse\":{\"type\":\"Queue\","
            "\"queuing\":{\"queues\":64,\"handSize\":6,\"queueLengthLimit\":50}},\"lendablePercent\":0}}: spec of "
            "'exempt' except the 'spec.exempt' field must equal the fixed value");
}

/* "-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n" */
#define REQUEST "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KQUE9PQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K"

static void test_signing_request(void **state)
{
        (void)state;
        static const char csr[] = "{'metadata':{'name':'c'},'spec':{'request':'" REQUEST "','signerName':"
                                  "'example.com/s','usages':['client auth']}}";
        const struct kc_resource *r = kind("certificates.k8s.io", "CertificateSigningRequest");
        expect_create(r, csr, "", "");
        expect_create(r, csr,
            "{'spec':{'request':'eA==','signerName':'s','usages':['x','client auth','client auth'],"
            "'expirationSeconds':5}}",
            "spec.request: Invalid value: \"eA==\": PEM block type must be CERTIFICATE REQUEST\n"
            "spec.usages[0]: Unsupported value: \"x\": supported values: \"any\", \"cert sign\", \"client auth\", "
            "\"code "
            "signing\", \"content commitment\", \"crl sign\", \"data encipherment\", \"decipher only\", \"digital "
            "signature\", \"email protection\", \"encipher only\", \"ipsec end system\", \"ipsec tunnel\", \"ipsec "
            "user\", \"key agreement\", \"key encipherment\", \"microsoft sgc\", \"netscape sgc\", \"ocsp signing\", "
            "\"s/mime\", \"server auth\", \"signing\", \"timestamping\"\n"
            "spec.usages[2]: Duplicate value: \"client auth\"\n"
            "spec.signerName: Invalid value: \"s\": must be a fully qualified domain and path of the form "
            "'example.com/signer-name'\n"
            "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 600 seconds (10 minutes)");
        expect_update(r, "approval", csr, "", "{'status':{'conditions':[{'type':'Approved','status':'True'}]}}", "");
        expect_update(r, "approval", csr, "",
            "{'status':{'conditions':[{'type':'Approved','status':'False'},{'type':'Denied','status':'True'}]}}",
            "status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\"\n"
            "status.conditions[1].type: Invalid value: \"Denied\": Approved and Denied conditions are mutually "
            "exclusive");
        expect_update(r, "status", csr, "{'status':{'conditions':[{'type':'Denied','status':'True'}]}}",
            "{'status':{'conditions':[{'type':'Approved','status':'True'}],'certificate':'eA=='}}",
            "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM "
            "block\n"
            "status.conditions: Forbidden: updates may not remove a condition of type \"Denied\"\n"
            "status.conditions: Forbidden: updates may not add a condition of type \"Approved\"");
}

static void test_api_service(void **state)
{
        (void)state;
        static const char as[] =
            "{'metadata':{'name':'v1.example.com'},'spec':{'group':'example.com','version':'v1',"
            "'groupPriorityMinimum':100,'versionPriority':10,'service':{'name':'s','namespace':'n'}}}";
        const struct kc_resource *r = kind("apiregistration.k8s.io", "APIService");
        expect_create(r, as, "", "");
        expect_create(r, as,
            "{'metadata':{'name':'x'},'spec':{'groupPriorityMinimum':0,'versionPriority':1001,'service':null,"
            "'insecureSkipTLSVerify':true,'caBundle':'eHg='}}",
            "metadata.name: Invalid value: \"x\": must be `spec.version+\".\"+spec.group`: \"v1.example.com\"\n"
            "spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000\n"
            "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000\n"
            "spec.caBundle: Invalid value: \"2 bytes\": local APIServices may not have a caBundle\n"
            "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_resource_quota),
            cmocka_unit_test(test_limit_range),
            cmocka_unit_test(test_runtime_class),
            cmocka_unit_test(test_pod_template),
            cmocka_unit_test(test_flow_schema),
            cmocka_unit_test(test_priority_level),
            cmocka_unit_test(test_signing_request),
            cmocka_unit_test(test_api_service),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

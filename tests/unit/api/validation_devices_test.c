/* Validation of resource.k8s.io: claims, templates, classes and slices of devices. */
#include "validation_testing.h"

#define GROUP "resource.k8s.io"
#define LABEL                                                                                                          \
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end" \
        " with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "                \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"

static const char claim[] =
    "{'metadata':{'name':'c','namespace':'n'},'spec':{'devices':{'requests':[{'name':'gpu','exactly':{"
    "'deviceClassName':'gpu.example.com'}}]}}}";

static void create(const char *patch, const char *want)
{
        expect_create(kind(GROUP, "ResourceClaim"), claim, patch, want);
}

#define DEVICES(s) "{'spec':{'devices':" s "}}"

static void test_requests(void **state)
{
        (void)state;
        create("", "");
        create(DEVICES("{'requests':[{'name':'','exactly':{'deviceClassName':''}},{'name':'A','exactly':{"
                       "'deviceClassName':'c','allocationMode':'All','count':2}},{'name':'b'},{'name':'b','exactly':{"
                       "'deviceClassName':'c','allocationMode':'x'},'firstAvailable':[{'name':'x','deviceClassName':'c'"
                       "}]}]}"),
            "spec.devices.requests[0].name: Required value\n"
            "spec.devices.requests[0].exactly.deviceClassName: Required value\n"
            "spec.devices.requests[1].name: Invalid value: \"A\": " LABEL "\n"
            "spec.devices.requests[1].exactly.count: Invalid value: 2: must not be specified when allocationMode is "
            "'All'\n"
            "spec.devices.requests[2]: Required value: exactly one of `exactly` or `firstAvailable` is required\n"
            "spec.devices.requests[3]: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, "
            "but "
            "multiple fields are set\n"
            "spec.devices.requests[3]: Duplicate value: \"b\"");
        create(DEVICES("{'requests':[{'name':'a','exactly':{'deviceClassName':'c','allocationMode':'x','selectors':[{}"
                       "],'tolerations':[{'operator':'Exists','value':'v'},{'operator':'x','effect':'y'}]}},{'name':"
                       "'b','firstAvailable':[{'name':'x','deviceClassName':'c','count':-1},{'name':'x',"
                       "'deviceClassName':'c'}]}]}"),
            "spec.devices.requests[0].exactly.selectors[0].cel: Required value\n"
            "spec.devices.requests[0].exactly.allocationMode: Unsupported value: \"x\": supported values: \"All\", "
            "\"ExactCount\"\n"
            "spec.devices.requests[0].exactly.tolerations[0].value: Invalid value: \"v\": must be empty for operator "
            "`Exists`\n"
            "spec.devices.requests[0].exactly.tolerations[1].operator: Unsupported value: \"x\": supported values: "
            "\"Equal\", \"Exists\"\n"
            "spec.devices.requests[0].exactly.tolerations[1].effect: Unsupported value: \"y\": supported values: "
            "\"NoExecute\", \"NoSchedule\", \"None\"\n"
            "spec.devices.requests[1].firstAvailable[0].count: Invalid value: -1: must be greater than zero\n"
            "spec.devices.requests[1].firstAvailable[1]: Duplicate value: \"x\"");
}

static void test_constraints_and_config(void **state)
{
        (void)state;
        create(DEVICES("{'constraints':[{'requests':['gpu','other'],'matchAttribute':'dra.example.com/model'},{"
                       "'matchAttribute':'model'},{}],'config':[{'requests':['gpu/x']},{'opaque':{'driver':"
                       "'dra.example.com','parameters':{'a':1}}},{'opaque':{'driver':'','parameters':[]}}]}"),
            "spec.devices.constraints[0].requests[1]: Invalid value: \"other\": must be the name of a request in the "
            "claim or the name of a request and a subrequest separated by '/'\n"
            "spec.devices.constraints[1].matchAttribute: Invalid value: \"model\": a fully qualified name must be a "
            "domain and a name separated by a slash\n"
            "spec.devices.constraints[2]: Required value: exactly one of \"matchAttribute\" or \"distinctAttribute\" "
            "is "
            "required, but multiple fields are set\n"
            "spec.devices.config[0].requests[0]: Invalid value: \"gpu/x\": must be the name of a request in the claim "
            "or "
            "the name of a request and a subrequest separated by '/'\n"
            "spec.devices.config[0].opaque: Required value\n"
            "spec.devices.config[2].opaque.driver: Required value\n"
            "spec.devices.config[2].opaque.driver: Invalid value: \"\": " SUBDOMAIN_1123 "\n"
            "spec.devices.config[2].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON "
            "object");
}

#define ALLOCATION                                                                                                     \
        "'allocation':{'devices':{'results':[{'request':'gpu','driver':'dra.example.com','pool':'p','device':'d'}]}}"

static void test_claim_update(void **state)
{
        (void)state;
        const struct kc_resource *r = kind(GROUP, "ResourceClaim");
        expect_update(r, "", claim, "", "{'spec':{'devices':{'requests':null}}}",
            "spec: Invalid value: {\"devices\":{}}: field is immutable");
        expect_update(r, "status", claim, "", "{'status':{" ALLOCATION "}}", "");
        expect_update(r, "status", claim, "",
            "{'status':{'reservedFor':[{'resource':'pods','name':'p','uid':'u'},{}]}}",
            "status.reservedFor[1].resource: Required value\n"
            "status.reservedFor[1].name: Required value\n"
            "status.reservedFor[1].uid: Required value\n"
            "status.reservedFor: Forbidden: may not be specified when `allocated` is not set");
        expect_update(r, "status", claim, "",
            "{'status':{'allocation':{'devices':{'results':[{'request':'x','driver':'D!','pool':'','device':'',"
            "'bindingConditions':['a','a'],'bindingFailureConditions':['a']}]}}}}",
            "status.allocation.devices.results[0].request: Invalid value: \"x\": must be the name of a request in the "
            "claim or the name of a request and a subrequest separated by '/'\n"
            "status.allocation.devices.results[0].driver: Invalid value: \"D!\": " SUBDOMAIN_1123 "\n"
            "status.allocation.devices.results[0].pool: Required value\n"
            "status.allocation.devices.results[0].device: Required value\n"
            "status.allocation.devices.results[0].bindingConditions[1]: Duplicate value: \"a\"\n"
            "status.allocation.devices.results[0].bindingFailureConditions[0]: Invalid value: \"a\": "
            "bindingFailureConditions must not overlap with bindingConditions");
        expect_update(r, "status", claim, "{'status':{" ALLOCATION "}}",
            "{'status':{" ALLOCATION ",'devices':[{'driver':'dra.example.com','pool':'p','device':'d'},{'driver':"
            "'dra.example.com','pool':'p','device':'e'}]}}",
            "status.devices[1]: Invalid value: \"dra.example.com/p/e\": must be an allocated device in the claim");
}

static void test_templates_and_classes(void **state)
{
        (void)state;
        expect_create(kind(GROUP, "ResourceClaimTemplate"),
            "{'metadata':{'name':'c','namespace':'n'},'spec':{'metadata':{'labels':{'a':'b'},'name':'x'},'spec':{}}}",
            "{'spec':{'spec':{'devices':{'requests':[{'name':'a'}]}}}}",
            "spec.metadata.name: Forbidden: cannot be set\n"
            "spec.spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required");
        expect_create(kind(GROUP, "DeviceClass"), "{'metadata':{'name':'c'},'spec':{}}",
            "{'spec':{'selectors':[{'cel':{'expression':'true'}},{}],'config':[{}],'extendedResourceName':'cpu'}}",
            "spec.selectors[1].cel: Required value\n"
            "spec.config[0].opaque: Required value\n"
            "spec.extendedResourceName: Invalid value: \"cpu\": must be a valid extended resource name");
}

static const char slice[] =
    "{'metadata':{'name':'s'},'spec':{'driver':'dra.example.com','pool':{'name':'p','generation':1,"
    "'resourceSliceCount':1},'nodeName':'n','devices':[{'name':'d','attributes':{'model':{'string':'x'},"
    "'dra.example.com/v':{'version':'1.2.3-rc.1+b'}},'capacity':{'memory':{'value':'1Gi'}}}]}}";

static void slice_create(const char *patch, const char *want)
{
        expect_create(kind(GROUP, "ResourceSlice"), slice, patch, want);
}

#define DEVICE(s) "{'spec':{'devices':[" s "]}}"

static void test_slices(void **state)
{
        (void)state;
        slice_create("", "");
        slice_create("{'spec':{'driver':'','pool':{'name':'a//b','generation':-1,'resourceSliceCount':0},'nodeName':'',"
                     "'allNodes':false}}",
            "spec.driver: Required value\n"
            "spec.driver: Invalid value: \"\": " SUBDOMAIN_1123 "\n"
            "spec.pool.name: Invalid value: \"\": " SUBDOMAIN_1123 "\n"
            "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero\n"
            "spec.pool.generation: Invalid value: -1: must be greater than or equal to zero\n"
            "spec.nodeName: Invalid value: \"\": must be either unset or set to a non-empty string\n"
            "spec.allNodes: Invalid value: false: must be either unset or set to true\n"
            "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is "
            "required");
        slice_create("{'spec':{'allNodes':true,'sharedCounters':[{'name':'','counters':{}},{'name':'x','counters':{'A':"
                     "{'value':'1'}}}]}}",
            "spec: Invalid value: \"{`nodeName`, `allNodes`}\": exactly one of `nodeName`, `nodeSelector`, `allNodes`, "
            "`perDeviceNodeSelection` is required, but multiple fields are set\n"
            "spec: Invalid value: \"\": only one of `sharedCounters` or `devices` is allowed\n"
            "spec.sharedCounters[0].name: Required value\n"
            "spec.sharedCounters[0].counters: Required value\n"
            "spec.sharedCounters[1].counters: Invalid value: \"A\": " LABEL);
        expect_update(kind(GROUP, "ResourceSlice"), "", slice, "", "{'spec':{'driver':'x.com','nodeName':'m'}}",
            "spec.driver: Invalid value: \"x.com\": field is immutable\n"
            "spec.nodeName: Invalid value: \"m\": field is immutable");
}

static void test_devices(void **state)
{
        (void)state;
        slice_create(DEVICE("{'name':'d','attributes':{'a-b':{'int':1},'none':{},'two':{'int':1,'bool':true},'v':{"
                            "'version':'1.02.3'}},'allNodes':true,'taints':[{'key':'k','effect':'x'}]},{'name':'d'}"),
            "spec.devices[0].attributes: Invalid value: \"a-b\": a valid C identifier must start with alphabetic "
            "character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME', "
            " or "
            "'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')\n"
            "spec.devices[0].attributes[none]: Invalid value: \"\": exactly one value must be specified\n"
            "spec.devices[0].attributes[two]: Invalid value: {\"int\":1,\"bool\":true}: exactly one value must be "
            "specified\n"
            "spec.devices[0].attributes[v].version: Invalid value: \"1.02.3\": must be a string compatible with "
            "semver.org spec 2.0.0\n"
            "spec.devices[0].taints[0].effect: Unsupported value: \"x\": supported values: \"NoExecute\", "
            "\"NoSchedule\", \"None\"\n"
            "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if "
            "`perDeviceNodeSelection` is set to true in the ResourceSlice spec\n"
            "spec.devices[1]: Duplicate value: \"d\"");
        slice_create(
            "{'spec':{'nodeName':null,'perDeviceNodeSelection':true,'devices':[{'name':'a'},{'name':'b','nodeName':'n',"
            "'allNodes':true}]}}",
            "spec.devices[0]: Required value: exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required "
            "when "
            "`perDeviceNodeSelection` is set to true in the ResourceSlice spec\n"
            "spec.devices[1]: Invalid value: \"{`nodeName`, `allNodes`}\": exactly one of `nodeName`, `nodeSelector`, "
            "or "
            "`allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec");
}

static void test_capacity(void **state)
{
        (void)state;
        slice_create(DEVICE("{'name':'d','capacity':{'m':{'value':'4Gi','requestPolicy':{'default':'1Gi'}}}}"),
            "spec.devices[0].capacity[m].requestPolicy: Forbidden: allowMultipleAllocations must be true");
        slice_create(
            DEVICE("{'name':'d','allowMultipleAllocations':true,'capacity':{'ok':{'value':'4Gi','requestPolicy':{"
                   "'default':'1Gi','validRange':{'min':'1Gi','max':'4Gi','step':'1Gi'}}},'step':{'value':'10',"
                   "'requestPolicy':{'default':'2','validRange':{'min':'1','max':'12','step':'3'}}},'values':{'value':"
                   "'4','requestPolicy':{'default':'3','validValues':['2','1','5']}}}}"),
            "spec.devices[0].capacity[step].requestPolicy.validRange.max: Invalid value: \"12\": max is larger than "
            "capacity value: 10\n"
            "spec.devices[0].capacity[step].requestPolicy.validRange.step: Invalid value: \"2\": value is not a "
            "multiple "
            "of a given step (3) from (1)\n"
            "spec.devices[0].capacity[step].requestPolicy.validRange.step: Invalid value: \"12\": value is not a "
            "multiple "
            "of a given step (3) from (1)\n"
            "spec.devices[0].capacity[values].requestPolicy.validValues[1]: Invalid value: \"1\": values must be "
            "sorted "
            "in ascending order\n"
            "spec.devices[0].capacity[values].requestPolicy.validValues[2]: Invalid value: \"5\": option is larger "
            "than "
            "capacity value: 4\n"
            "spec.devices[0].capacity[values].requestPolicy.validValues: Invalid value: \"3\": default value is not "
            "valid according to the requestPolicy");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_requests),
            cmocka_unit_test(test_constraints_and_config),
            cmocka_unit_test(test_claim_update),
            cmocka_unit_test(test_templates_and_classes),
            cmocka_unit_test(test_slices),
            cmocka_unit_test(test_devices),
            cmocka_unit_test(test_capacity),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Validation of ConfigMaps, Secrets, Namespaces, Nodes and Events. */
#include "validation_testing.h"

static void test_config_map(void **state)
{
        (void)state;
        static const char base[] = "{'metadata':{'name':'c','namespace':'n'},'data':{'k':'v'}}";
        const struct kc_resource *r = kind("", "ConfigMap");
        expect_create(r, base, "", "");
        expect_create(r, base, "{'data':{'a/b':'x'}}",
            "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' "
            "or "
            "'.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')");
        expect_create(r, base, "{'binaryData':{'k':'AAAA'}}",
            "data[k]: Invalid value: \"k\": duplicate of key present in binaryData");
        expect_update(r, "", base, "{'immutable':true}", "{'data':{'k':'w'}}",
            "immutable: Forbidden: field is immutable when `immutable` is set\n"
            "data: Forbidden: field is immutable when `immutable` is set");
        expect_update(r, "", base, "", "{'immutable':true,'data':{'k':'w'}}", "");
}

static void test_size(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("", "ConfigMap");
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = object(r, "{'metadata':{'name':'c','namespace':'n'},'data':{'k':'v'}}", "");
        KC_CLEANUP(kc_freep) char *big = kc_malloc((1 << 20) + 2);
        struct kc_field_errors l = {0};
        memset(big, 'x', (1 << 20) + 1);
        big[(1 << 20) + 1] = '\0';
        kc_json_set_str(kc_json_ensure_obj(o, "data"), "k", big);
        kc_validate_create(o, r, &l);
        expect(&l, "too big", ": Too long: may not be more than 1048576 bytes");
        kc_json_set_str(kc_json_ensure_obj(o, "data"), "k", big + 1);
        kc_validate_create(o, r, &l);
        expect(&l, "at the limit", "");
}

static void test_secret(void **state)
{
        (void)state;
        static const char base[] = "{'metadata':{'name':'s','namespace':'n'},'data':{'k':'dg=='}}";
        const struct kc_resource *r = kind("", "Secret");
        expect_create(r, base, "", "");
        expect_create(
            r, base, "{'type':'kubernetes.io/tls'}", "data[tls.crt]: Required value\ndata[tls.key]: Required value");
        expect_create(r, base, "{'type':'kubernetes.io/basic-auth'}",
            "data[username]: Required value\ndata[password]: Required value");
        expect_create(r, base, "{'type':'kubernetes.io/ssh-auth'}", "data[ssh-privatekey]: Required value");
        expect_create(r, base, "{'type':'kubernetes.io/service-account-token'}",
            "metadata.annotations[kubernetes.io/service-account.name]: Required value");
        expect_create(r, base, "{'type':'kubernetes.io/dockerconfigjson'}", "data[.dockerconfigjson]: Required value");
        expect_create(r, base, "{'type':'kubernetes.io/dockerconfigjson','data':{'.dockerconfigjson':'e30='}}", "");
        expect_create(r, base, "{'type':'kubernetes.io/dockerconfigjson','data':{'.dockerconfigjson':'ew=='}}",
            "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": unexpected end of JSON input");
        expect_update(r, "", base, "", "{'type':'x/y'}", "type: Invalid value: \"x/y\": field is immutable");
}

static void test_namespace(void **state)
{
        (void)state;
        static const char base[] = "{'metadata':{'name':'n'},'spec':{'finalizers':['kubernetes']}}";
        const struct kc_resource *r = kind("", "Namespace");
        expect_create(r, base, "", "");
        expect_create(
            r, base, "{'metadata':{'name':'a.b'}}", "metadata.name: Invalid value: \"a.b\": must not contain dots");
        expect_create(
            r, base, "{'metadata':{'namespace':'x'}}", "metadata.namespace: Forbidden: not allowed on this type");
        expect_create(r, base, "{'spec':{'finalizers':['x']}}",
            "spec.finalizers: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully "
            "qualified");
        expect_update(r, "status", base, "", "{'status':{'phase':'Terminating'}}",
            "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty");
}

static void test_node(void **state)
{
        (void)state;
        static const char base[] = "{'metadata':{'name':'n'}}";
        const struct kc_resource *r = kind("", "Node");
        expect_create(r, base, "{'spec':{'podCIDR':'10.0.0.0/24','podCIDRs':['10.0.0.0/24']}}", "");
        expect_create(r, base, "{'spec':{'podCIDRs':['x','10.0.0.0/24']}}",
            "spec.podCIDRs[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)\n"
            "spec.podCIDRs: Invalid value: [\"x\",\"10.0.0.0/24\"]: may specify no more than one CIDR for each IP "
            "family");
        expect_create(r, base,
            "{'spec':{'taints':[{'key':'a','effect':'NoSchedule'},{'key':'a','effect':'NoSchedule'},{'key':'','effect':"
            "'x'}]}}",
            "metadata.taints[1]: Duplicate value: "
            "{\"Key\":\"a\",\"Value\":\"\",\"Effect\":\"NoSchedule\",\"TimeAdded\":null}: taints must be unique by key "
            "and effect pair\n"
            "metadata.taints[2].key: Invalid value: \"\": name part must be non-empty\n"
            "metadata.taints[2].key: Invalid value: \"\": " LABEL_NAME "\n"
            "metadata.taints[2].effect: Unsupported value: \"x\": supported values: \"NoSchedule\", "
            "\"PreferNoSchedule\", \"NoExecute\"");
        expect_update(r, "", base, "{'spec':{'podCIDRs':['10.0.0.0/24']}}", "{'spec':{'podCIDRs':['10.0.1.0/24']}}",
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid");
        expect_update(r, "", base, "{'spec':{'providerID':'a'}}", "{'spec':{'providerID':'b'}}",
            "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid");
        expect_update(r, "status", base, "",
            "{'status':{'capacity':{'cpu':'-1'},'addresses':[{'type':'InternalIP','address':'1.1.1.1'},{'type':"
            "'InternalIP','address':'1.1.1.1'}]}}",
            "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0\n"
            "status.allocatable.cpu: Invalid value: \"-1\": must be greater than or equal to 0\n"
            "status.addresses[1]: Duplicate value: {\"address\":\"1.1.1.1\",\"type\":\"InternalIP\"}");
}

static void test_event(void **state)
{
        (void)state;
        static const char base[] =
            "{'metadata':{'name':'e.1','namespace':'n'},'involvedObject':{'kind':'Pod','namespace':'n','name':'p'}}";
        const struct kc_resource *r = kind("", "Event");
        expect_create(r, base, "", "");
        expect_create(r, base, "{'involvedObject':{'namespace':'m'}}",
            "involvedObject.namespace: Invalid value: \"m\": does not match event.namespace");
        expect_create(r, base, "{'involvedObject':{'namespace':null}}",
            "involvedObject.namespace: Invalid value: \"\": does not match event.namespace");
        expect_create(r, base, "{'metadata':{'namespace':'default'},'involvedObject':{'namespace':null}}", "");
        expect_create(r, base, "{'eventTime':'2026-01-01T00:00:00.000000Z','reason':'r'}",
            "reportingComponent: Required value\n"
            "reportingComponent: Invalid value: \"\": name part must be non-empty\n"
            "reportingComponent: Invalid value: \"\": " LABEL_NAME "\n"
            "reportingInstance: Required value\n"
            "action: Required value");
        expect_create(r, base,
            "{'eventTime':'2026-01-01T00:00:00.000000Z','reason':'r','action':'a','reportingComponent':'x.y/z',"
            "'reportingInstance':'i'}",
            "");
}

/* What comes in as events.k8s.io/v1, in the stored form. */
static void test_new_event(void **state)
{
        (void)state;
        static const char base[] =
            "{'metadata':{'name':'e.1','namespace':'n','resourceVersion':'1'},'involvedObject':{'kind':'Pod','"
            "namespace':'n','name':'p'},"
            "'eventTime':'2026-01-01T00:00:00.000000Z','reason':'r','action':'a','reportingComponent':'x.y/z',"
            "'reportingInstance':'i','type':'Normal'}";
        const struct kc_resource *core = kind("", "Event"), *r = kind("events.k8s.io", "Event");
        static const struct {
                const char *old, *now, *want; /* old NULL: creation */
        } cases[] = {
            {NULL, "", ""},
            {NULL,
                "{'type':'x','count':1,'source':{'component':'c'},'firstTimestamp':'2026-01-01T00:00:00Z',"
                "'series':{'count':1}}",
                "series.count: Invalid value: \"\": should be at least 2\n"
                "series.lastObservedTime: Required value\n"
                "type: Invalid value: \"\": has invalid value: x\n"
                "firstTimestamp: Invalid value: \"\": needs to be unset\n"
                "count: Invalid value: \"\": needs to be unset\n"
                "source: Invalid value: \"\": needs to be unset"},
            {NULL, "{'eventTime':null}", "eventTime: Required value"},
            {"", "{'series':{'count':2,'lastObservedTime':'2026-01-01T00:00:00.000000Z'}}", ""},
            {"", "{'reportingComponent':'x','message':'m','series':{'count':0}}",
                "series.count: Invalid value: \"\": should be at least 2\n"
                "series.lastObservedTime: Required value\n"
                "message: Invalid value: \"m\": field is immutable\n"
                "reportingController: Invalid value: \"x\": field is immutable"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *o = object(core, base, cases[i].now);
                KC_CLEANUP(kc_json_freep) struct json_object *old = object(core, base, "");
                struct kc_field_errors l = {0};
                if (cases[i].old)
                        kc_validate_update(o, old, r, "", &l);
                else
                        kc_validate_create(o, r, &l);
                expect(&l, cases[i].now, cases[i].want);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_config_map),
            cmocka_unit_test(test_size),
            cmocka_unit_test(test_secret),
            cmocka_unit_test(test_namespace),
            cmocka_unit_test(test_node),
            cmocka_unit_test(test_event),
            cmocka_unit_test(test_new_event),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

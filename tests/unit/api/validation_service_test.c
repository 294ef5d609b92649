/* Validation of Services, Endpoints and EndpointSlices. */
#include "validation_testing.h"

static const char service[] = "{'metadata':{'name':'s','namespace':'n'},'spec':{'ports':[{'port':80}]}}";

static void create(const char *patch, const char *want)
{
        expect_create(kind("", "Service"), service, patch, want);
}

static void test_create(void **state)
{
        (void)state;
        create("", "");
        create("{'metadata':{'name':'1s'}}",
            "metadata.name: Invalid value: \"1s\": a DNS-1035 label must consist of lower case alphanumeric characters "
            "or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "
            "'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')");
        create("{'spec':{'ports':[]}}", "spec.ports: Required value");
        create("{'spec':{'ports':[],'clusterIP':'None','clusterIPs':['None']}}", "");
        create("{'spec':{'ports':[{'port':80},{'port':81}]}}",
            "spec.ports[0].name: Required value\nspec.ports[1].name: Required value");
        create("{'spec':{'ports':[{'name':'a','port':80},{'name':'a','port':80}]}}",
            "spec.ports[1].name: Duplicate value: \"a\"\n"
            "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,"
            "\"TargetPort\":0,\"NodePort\":0}");
        create("{'spec':{'ports':[{'port':0,'targetPort':'-','protocol':'x','nodePort':30000}]}}",
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\n"
            "spec.ports[0].protocol: Unsupported value: \"x\": supported values: \"SCTP\", \"TCP\", \"UDP\"\n"
            "spec.ports[0].targetPort: Invalid value: \"-\": must contain at least one letter (a-z)\n"
            "spec.ports[0].targetPort: Invalid value: \"-\": must not begin or end with a hyphen\n"
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'");
        create("{'spec':{'type':'x'}}",
            "spec.type: Unsupported value: \"x\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", "
            "\"NodePort\"\n"
            "spec.internalTrafficPolicy: Required value");
        create("{'spec':{'type':'ExternalName','ports':null}}", "spec.externalName: Required value");
        create("{'spec':{'type':'ExternalName','externalName':'a.b.','ports':null}}", "");
        create("{'spec':{'type':'NodePort','clusterIP':'None','clusterIPs':['None']}}",
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services");
        create("{'spec':{'selector':{'a b':'c'}}}", "spec.selector: Invalid value: \"a b\": " LABEL_NAME);
}

static void test_addresses(void **state)
{
        (void)state;
        create("{'spec':{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.2']}}",
            "spec.clusterIPs: Invalid value: [\"10.0.0.2\"]: first value must match `clusterIP`");
        create("{'spec':{'clusterIP':'x','clusterIPs':['x']}}",
            "spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        create("{'spec':{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1','10.0.0.2'],'ipFamilies':['IPv4','IPv4']}}",
            "spec.ipFamilies[1]: Duplicate value: \"IPv4\"\n"
            "spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"10.0.0.2\"]: may specify no more than one IP for each IP "
            "family");
        create("{'spec':{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1'],'ipFamilies':['IPv6'],'ipFamilyPolicy':'x'}}",
            "spec.ipFamilyPolicy: Unsupported value: \"x\": supported values: \"PreferDualStack\", "
            "\"RequireDualStack\", \"SingleStack\"\n"
            "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`");
        create("{'spec':{'externalIPs':['127.0.0.1','0.0.0.0','169.254.1.1','8.8.8.8']}}",
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, "
            "::1/128)\n"
            "spec.externalIPs[1]: Invalid value: \"0.0.0.0\": may not be unspecified (0.0.0.0)\n"
            "spec.externalIPs[2]: Invalid value: \"169.254.1.1\": may not be in the link-local range (169.254.0.0/16, "
            "fe80::/10)");
}

static void test_policies(void **state)
{
        (void)state;
        create("{'spec':{'sessionAffinity':'x'}}",
            "spec.sessionAffinity: Unsupported value: \"x\": supported values: \"ClientIP\", \"None\"");
        create("{'spec':{'sessionAffinity':'ClientIP','sessionAffinityConfig':{'clientIP':{'timeoutSeconds':86401}}}}",
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less "
            "than 86400");
        create("{'spec':{'externalTrafficPolicy':'Local'}}",
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services");
        create("{'spec':{'type':'NodePort','externalTrafficPolicy':'x','internalTrafficPolicy':'y'}}",
            "spec.externalTrafficPolicy: Unsupported value: \"x\": supported values: \"Cluster\", \"Local\"\n"
            "spec.internalTrafficPolicy: Unsupported value: \"y\": supported values: \"Cluster\", \"Local\"");
        create("{'spec':{'type':'LoadBalancer','externalTrafficPolicy':'Local'}}",
            "spec.healthCheckNodePort: Required value");
        create("{'spec':{'loadBalancerClass':'a/b','allocateLoadBalancerNodePorts':true,'loadBalancerSourceRanges':"
               "['x']}}",
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'\n"
            "spec.LoadBalancerSourceRanges[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or "
            "2001:db8::/64)\n"
            "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'\n"
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'");
        create("{'spec':{'type':'NodePort','ports':[{'name':'a','port':1,'nodePort':30000},{'name':'b','port':2,"
               "'nodePort':30000}]}}",
            "spec.ports[1].nodePort: Duplicate value: 30000");
}

static void update(const char *old_patch, const char *patch, const char *want)
{
        expect_update(kind("", "Service"), "", service, old_patch, patch, want);
}

static void test_update(void **state)
{
        (void)state;
        update("{'spec':{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1']}}",
            "{'spec':{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1'],'ports':[{'port':81}]}}", "");
        update("{'spec':{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1']}}",
            "{'spec':{'clusterIP':'10.0.0.2','clusterIPs':['10.0.0.2']}}",
            "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set");
        update("{'spec':{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1']}}", "",
            "spec.clusterIPs[0]: Invalid value: null: primary clusterIP can not be unset");
        update("{'spec':{'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1']}}",
            "{'spec':{'type':'ExternalName','externalName':'a.b','ports':null}}", "");
        update("{'spec':{'ipFamilies':['IPv4']}}", "{'spec':{'ipFamilies':['IPv6']}}",
            "spec.ipFamilies[0]: Invalid value: [\"IPv6\"]: may not change once set");
}

static void test_status(void **state)
{
        (void)state;
        expect_update(kind("", "Service"), "status", service, "",
            "{'status':{'loadBalancer':{'ingress':[{'ip':'1.2.3.4'}]}}}",
            "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'");
        expect_update(kind("", "Service"), "status", service, "{'spec':{'type':'LoadBalancer'}}",
            "{'spec':{'type':'LoadBalancer'},'status':{'loadBalancer':{'ingress':[{'hostname':'1.2.3.4'},{'ip':'x'}]}}"
            "}",
            "status.loadBalancer.ingress[0].hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP "
            "address\n"
            "status.loadBalancer.ingress[1].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or "
            "2001:db8::ffff)");
}

static void test_endpoints(void **state)
{
        (void)state;
        static const char base[] =
            "{'metadata':{'name':'e','namespace':'n'},'subsets':[{'addresses':[{'ip':'10.0.0.1'}],"
            "'ports':[{'port':80}]}]}";
        const struct kc_resource *r = kind("", "Endpoints");
        expect_create(r, base, "", "");
        expect_create(r, base, "{'subsets':[{'ports':[{'port':80}]}]}",
            "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`");
        expect_create(r, base, "{'subsets':[{'addresses':[{'ip':'127.0.0.1'}],'ports':[{'port':0},{'port':1}]}]}",
            "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, "
            "::1/128)\n"
            "subsets[0].ports[0].name: Required value\n"
            "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\n"
            "subsets[0].ports[1].name: Required value");
}

static void test_endpoint_slice(void **state)
{
        (void)state;
        static const char base[] = "{'metadata':{'name':'e','namespace':'n'},'addressType':'IPv4','endpoints':"
                                   "[{'addresses':['10.0.0.1']}],'ports':[{'name':'a','port':80}]}";
        const struct kc_resource *r = kind("discovery.k8s.io", "EndpointSlice");
        expect_create(r, base, "", "");
        expect_create(r, base, "{'addressType':'x'}",
            "addressType: Unsupported value: \"x\": supported values: \"FQDN\", \"IPv4\", \"IPv6\"");
        expect_create(r, base, "{'endpoints':[{'addresses':[]},{'addresses':['::1']}]}",
            "endpoints[0].addresses: Required value: must contain at least 1 address\n"
            "endpoints[1].addresses[0]: Invalid value: \"::1\": must be a valid IPv4 address\n"
            "endpoints[1].addresses[0]: Invalid value: \"::1\": may not be in the loopback range (127.0.0.0/8, "
            "::1/128)");
        expect_create(r, base, "{'ports':[{'name':'a'},{'name':'a','protocol':'x'}]}",
            "ports[1].name: Duplicate value: \"a\"\n"
            "ports[1].protocol: Unsupported value: \"x\": supported values: \"SCTP\", \"TCP\", \"UDP\"");
        expect_update(r, "", base, "", "{'addressType':'IPv6','endpoints':[]}",
            "addressType: Invalid value: \"IPv6\": field is immutable");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_create),
            cmocka_unit_test(test_addresses),
            cmocka_unit_test(test_policies),
            cmocka_unit_test(test_update),
            cmocka_unit_test(test_status),
            cmocka_unit_test(test_endpoints),
            cmocka_unit_test(test_endpoint_slice),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

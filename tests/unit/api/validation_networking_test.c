/* Validation of autoscaling, policy and networking kinds. */
#include "validation_testing.h"

static const char hpa[] = "{'metadata':{'name':'h','namespace':'n'},'spec':{'maxReplicas':3,'scaleTargetRef':{'kind':"
                          "'Deployment','name':'d','apiVersion':'apps/v1'}}}";

static const struct kc_resource *autoscaler(void)
{
        return kc_schema_kind("autoscaling", "v2", "HorizontalPodAutoscaler");
}

static void test_autoscaler(void **state)
{
        (void)state;
        const struct kc_resource *r = autoscaler();
        expect_create(r, hpa, "", "");
        expect_create(r, hpa, "{'spec':{'minReplicas':0,'maxReplicas':0,'scaleTargetRef':{'kind':'','name':'a/b'}}}",
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1\n"
            "spec.maxReplicas: Invalid value: 0: must be greater than 0\n"
            "spec.scaleTargetRef.kind: Required value\n"
            "spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'\n"
            "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero "
            "replicas");
        expect_create(r, hpa,
            "{'spec':{'metrics':[{'type':'Resource','resource':{'name':'','target':{'type':'x'}}},{'type':'Pods'},"
            "{'type':'X','pods':{'metric':{'name':'m'},'target':{'type':'Value','value':'1'}}}]}}",
            "spec.metrics[0].resource.name: Required value: must specify a resource name\n"
            "spec.metrics[0].resource.target.type: Invalid value: \"x\": must be either Utilization, Value, or "
            "AverageValue\n"
            "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or "
            "a target utilization\n"
            "spec.metrics[1].pods: Required value: must populate information for the given metric source\n"
            "spec.metrics[2].type: Unsupported value: \"X\": supported values: \"ContainerResource\", \"External\", "
            "\"Object\", \"Pods\", \"Resource\"\n"
            "spec.metrics[2].pods.target.averageValue: Required value: must specify a positive target averageValue\n"
            "spec.metrics[2].type: Unsupported value: \"X\": supported values: \"ContainerResource\", \"External\", "
            "\"Object\", \"Pods\", \"Resource\"");
        expect_create(r, hpa,
            "{'spec':{'behavior':{'scaleDown':{'stabilizationWindowSeconds':3601,'selectPolicy':'x','policies':"
            "[{'type':'Pods','value':0,'periodSeconds':1801}]}}}}",
            "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to "
            "3600\n"
            "spec.behavior.scaleDown.selectPolicy: Unsupported value: \"x\": supported values: \"Disabled\", \"Max\", "
            "\"Min\"\n"
            "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero\n"
            "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to "
            "1800");
        expect_update(r, "status", hpa, "", "{'status':{'currentReplicas':-1}}",
            "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0");
}

static void test_disruption_budget(void **state)
{
        (void)state;
        static const char pdb[] = "{'metadata':{'name':'b','namespace':'n'},'spec':{'selector':{'matchLabels':{'a':"
                                  "'b'}}}}";
        const struct kc_resource *r = kind("policy", "PodDisruptionBudget");
        expect_create(r, pdb, "{'spec':{'minAvailable':1}}", "");
        expect_create(r, pdb, "{'spec':{'minAvailable':'101%','unhealthyPodEvictionPolicy':'x'}}",
            "spec.minAvailable: Invalid value: \"101%\": must not be greater than 100%\n"
            "spec.unhealthyPodEvictionPolicy: Unsupported value: \"x\": supported values: \"AlwaysAllow\", "
            "\"IfHealthyBudget\"");
        expect_create(r, pdb, "{'spec':{'minAvailable':1,'maxUnavailable':1}}",
            "spec: Invalid value: "
            "{\"minAvailable\":1,\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"maxUnavailable\":1}: minAvailable and "
            "maxUnavailable cannot be both set");
        expect_update(r, "status", pdb, "",
            "{'status':{'disruptionsAllowed':-1,'currentHealthy':0,'desiredHealthy':0,'expectedPods':0,'conditions':["
            "{'type':'A','status':'x','reason':'1','message':'','lastTransitionTime':null}]}}",
            "status.conditions[0].status: Unsupported value: \"x\": supported values: \"False\", \"True\", "
            "\"Unknown\"\n"
            "status.conditions[0].lastTransitionTime: Required value: must be set\n"
            "status.conditions[0].reason: Invalid value: \"1\": a condition reason must start with alphabetic "
            "character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an "
            "alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or "
            "'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')\n"
            "status.disruptionsAllowed: Invalid value: -1: must be greater than or equal to 0");
}

static void test_network_policy(void **state)
{
        (void)state;
        static const char np[] = "{'metadata':{'name':'p','namespace':'n'},'spec':{'podSelector':{}}}";
        const struct kc_resource *r = kind("networking.k8s.io", "NetworkPolicy");
        expect_create(r, np, "", "");
        expect_create(r, np,
            "{'spec':{'ingress':[{'ports':[{'protocol':'X','port':70000},{'endPort':5},{'port':'http','endPort':5},"
            "{'port':10,'endPort':5}],'from':[{},{'ipBlock':{'cidr':'10.0.0.0/8','except':['11.0.0.0/24']},"
            "'podSelector':{}}]}],'policyTypes':['Both']}}",
            "spec.ingress[0].ports[0].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", "
            "\"UDP\"\n"
            "spec.ingress[0].ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive\n"
            "spec.ingress[0].ports[1].endPort: Invalid value: 5: may not be specified when `port` is not specified\n"
            "spec.ingress[0].ports[2].endPort: Invalid value: 5: may not be specified when `port` is non-numeric\n"
            "spec.ingress[0].ports[3].endPort: Invalid value: 10: must be greater than or equal to `port`\n"
            "spec.ingress[0].from[0]: Required value: must specify a peer\n"
            "spec.ingress[0].from[1].ipBlock.except[0]: Invalid value: \"11.0.0.0/24\": must be a strict subset of "
            "`cidr`\n"
            "spec.ingress[0].from[1]: Forbidden: may not specify both ipBlock and another peer\n"
            "spec.policyTypes[0]: Unsupported value: \"Both\": supported values: \"Egress\", \"Ingress\"");
}

static const char ingress[] =
    "{'metadata':{'name':'i','namespace':'n'},'spec':{'rules':[{'host':'a.example','http':{'paths':[{'path':'/',"
    "'pathType':'Prefix','backend':{'service':{'name':'s','port':{'number':80}}}}]}}]}}";

static void test_ingress(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("networking.k8s.io", "Ingress");
        expect_create(r, ingress, "", "");
        expect_create(r, ingress, "{'spec':{'rules':null}}",
            "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified");
        expect_create(r, ingress,
            "{'spec':{'rules':[{'host':'1.2.3.4','http':{'paths':[]}},{'host':'*x','http':{'paths':[{'path':'a//b/..',"
            "'pathType':'Exact','backend':{}},{'backend':{}},{'pathType':'x','backend':{'service':{'name':'s',"
            "'port':{'name':'p','number':1}}}}]}}],'tls':[{'hosts':['A'],'secretName':'_'}]}}",
            "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address\n"
            "spec.rules[0].http.paths: Required value\n"
            "spec.rules[1].host: Invalid value: \"*x\": a wildcard DNS-1123 subdomain must start with '*.', followed "
            "by "
            "a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with "
            "an alphanumeric character (e.g. '*.example.com', regex used for validation is "
            "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n"
            "spec.rules[0].http.paths[0].path: Invalid value: \"a//b/..\": must be an absolute path\n"
            "spec.rules[0].http.paths[0].path: Invalid value: \"a//b/..\": must not contain '//'\n"
            "spec.rules[0].http.paths[0].path: Invalid value: \"a//b/..\": cannot end with '/..'\n"
            "spec.rules[0].http.paths[0].backend: Invalid value: \"\": resource or service backend is required\n"
            "spec.rules[0].http.paths[1].pathType: Required value: pathType must be specified\n"
            "spec.rules[0].http.paths[2].pathType: Unsupported value: \"x\": supported values: \"Exact\", "
            "\"ImplementationSpecific\", \"Prefix\"\n"
            "spec.rules[0].http.paths[2].backend: Invalid value: \"\": cannot set both port name & port number\n"
            "spec.tls[0].hosts[0]: Invalid value: \"A\": " SUBDOMAIN_1123 "\n"
            "spec.tls[0].secretName: Invalid value: \"_\": " SUBDOMAIN_1123);
        expect_create(r, ingress,
            "{'metadata':{'annotations':{'kubernetes.io/ingress.class':'a'}},'spec':{'ingressClassName':'b'}}",
            "annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both "
            "are "
            "specified");
        expect_update(r, "status", ingress, "", "{'status':{'loadBalancer':{'ingress':[{'ip':'x'}]}}}",
            "status.loadBalancer.ingress[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or "
            "2001:db8::ffff)");
}

static void test_cluster_kinds(void **state)
{
        (void)state;
        static const char class[] = "{'metadata':{'name':'c'},'spec':{'controller':'example.com/c'}}";
        static const char cidr[] = "{'metadata':{'name':'c'},'spec':{'cidrs':['10.0.0.0/24']}}";
        static const char ip[] = "{'metadata':{'name':'10.0.0.1'},'spec':{'parentRef':{'resource':'services','name':"
                                 "'s','namespace':'n'}}}";
        const struct kc_resource *classes = kind("networking.k8s.io", "IngressClass");
        const struct kc_resource *cidrs = kind("networking.k8s.io", "ServiceCIDR");
        const struct kc_resource *ips = kind("networking.k8s.io", "IPAddress");
        expect_create(classes, class, "", "");
        expect_create(classes, class,
            "{'spec':{'controller':'x','parameters':{'kind':'K','name':'n','scope':'Namespace'}}}",
            "spec.controller: Invalid value: \"x\": must be a domain-prefixed path (such as \"acme.io/foo\")\n"
            "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'");
        expect_update(classes, "", class, "", "{'spec':{'controller':'example.com/d'}}",
            "spec.controller: Invalid value: \"example.com/d\": field is immutable");
        expect_create(cidrs, cidr, "", "");
        expect_create(cidrs, cidr, "{'spec':{'cidrs':['10.0.0.1/24','2001:DB8::/64']}}",
            "spec.cidrs[0]: Invalid value: \"10.0.0.1/24\": must not have bits set beyond the prefix length\n"
            "spec.cidrs[1]: Invalid value: \"2001:DB8::/64\": must be in canonical form (\"2001:db8::/64\")");
        expect_update(cidrs, "", cidr, "", "{'spec':{'cidrs':['10.0.0.0/24','fd00::/112']}}", "");
        expect_update(cidrs, "", cidr, "", "{'spec':{'cidrs':['10.0.1.0/24']}}",
            "spec.cidrs: Invalid value: [\"10.0.1.0/24\"]: field is immutable");
        expect_create(ips, ip, "", "");
        expect_create(ips, ip, "{'metadata':{'name':'FD00::1'},'spec':{'parentRef':{'resource':''}}}",
            "metadata.name: Invalid value: \"FD00::1\": must be a canonical format IP address\n"
            "spec.parentRef.resource: Required value");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_autoscaler),
            cmocka_unit_test(test_disruption_budget),
            cmocka_unit_test(test_network_policy),
            cmocka_unit_test(test_ingress),
            cmocka_unit_test(test_cluster_kinds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

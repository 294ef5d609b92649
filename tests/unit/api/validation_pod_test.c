/* Validation of pods that are created. */
#include "validation_testing.h"

static const char pod[] = "{'metadata':{'name':'p','namespace':'n'},'spec':{'containers':[{'name':'c','image':'i'}]}}";

static void create(const char *patch, const char *want)
{
        expect_create(kind("", "Pod"), pod, patch, want);
}

/* With fields of its only container. */
static void container(const char *fields, const char *want)
{
        KC_CLEANUP(kc_freep) char *patch = kc_asprintf("{'spec':{'containers':[{'name':'c','image':'i',%s}]}}", fields);
        create(patch, want);
}

/* With one volume v of that source. */
static void volume(const char *source, const char *want)
{
        KC_CLEANUP(kc_freep) char *patch = kc_asprintf("{'spec':{'volumes':[{'name':'v',%s}]}}", source);
        create(patch, want);
}

static void test_containers(void **state)
{
        (void)state;
        create("", "");
        create("{'spec':{'containers':[]}}", "spec.containers: Required value");
        create("{'spec':{'containers':[{'name':'','image':''}]}}",
            "spec.containers[0].name: Required value\nspec.containers[0].image: Required value");
        create("{'spec':{'containers':[{'name':'a','image':'i'},{'name':'a','image':'i'}]}}",
            "spec.containers[1].name: Duplicate value: \"a\"");
        create("{'spec':{'containers':[{'name':'A','image':'i'}]}}",
            "spec.containers[0].name: Invalid value: \"A\": " LABEL_1123);
        create("{'spec':{'containers':[{'name':'a','image':' i'}]}}",
            "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace");
        container("'imagePullPolicy':'Sometimes'",
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", "
            "\"IfNotPresent\", \"Never\"");
        container("'terminationMessagePolicy':'x'",
            "spec.containers[0].terminationMessagePolicy: Unsupported value: \"x\": supported values: \"File\", "
            "\"FallbackToLogsOnError\"");
}

static void test_ports(void **state)
{
        (void)state;
        container("'ports':[{'containerPort':80,'name':'web'},{'containerPort':81,'name':'web','protocol':'UDP'}]",
            "spec.containers[0].ports[1].name: Duplicate value: \"web\"");
        container("'ports':[{'containerPort':0}]", "spec.containers[0].ports[0].containerPort: Required value");
        container("'ports':[{'containerPort':65536,'hostPort':-1,'protocol':'tcp'}]",
            "spec.containers[0].ports[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive\n"
            "spec.containers[0].ports[0].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive\n"
            "spec.containers[0].ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", "
            "\"UDP\"");
        container("'ports':[{'containerPort':1,'hostPort':8080},{'containerPort':2,'hostPort':8080}]",
            "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//8080\"");
        create("{'spec':{'hostNetwork':true,'containers':[{'name':'c','image':'i','ports':[{'containerPort':80,"
               "'hostPort':81}]}]}}",
            "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is "
            "true");
}

static void test_env(void **state)
{
        (void)state;
        container("'env':[{'name':'A','value':'b'},{'name':'my.env name'}]", "");
        container("'env':[{'name':''},{'name':'a=b'}]",
            "spec.containers[0].env[0].name: Required value\n"
            "spec.containers[0].env[1].name: Invalid value: \"a=b\": a valid environment variable name must consist "
            "only of printable ASCII characters other than '='");
        container("'env':[{'name':'A','value':'x','valueFrom':{'fieldRef':{'fieldPath':'metadata.name'}}}]",
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty");
        container("'env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'metadata.whatever'}}}]",
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.whatever\": error "
            "converting fieldPath: field label not supported: metadata.whatever");
        container("'env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'metadata.labels'}}}]",
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"metadata.labels\": supported "
            "values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", "
            "\"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"");
        container("'env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'metadata.labels[`a/b`]'}}}]", "");
        container("'env':[{'name':'A','valueFrom':{'resourceFieldRef':{'resource':'limits.gpu'}}}]",
            "spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: \"limits.gpu\": "
            "supported values: \"limits.cpu\", \"limits.ephemeral-storage\", \"limits.memory\", \"requests.cpu\", "
            "\"requests.ephemeral-storage\", \"requests.memory\"");
        container("'env':[{'name':'A','valueFrom':{'resourceFieldRef':{'resource':'limits.cpu','divisor':'1Ki'}}}]",
            "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only "
            "divisor's values 1m and 1 are supported with the cpu resource");
        container("'env':[{'name':'A','valueFrom':{'configMapKeyRef':{'name':'c','key':''}}}]",
            "spec.containers[0].env[0].valueFrom.configMapKeyRef.key: Required value");
        container("'env':[{'name':'A','valueFrom':{}}]",
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, "
            "`resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
        container("'envFrom':[{'prefix':'A_'}]",
            "spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`");
        container(
            "'envFrom':[{'secretRef':{'name':''}}]", "spec.containers[0].envFrom[0].secretRef.name: Required value");
}

static void test_probes(void **state)
{
        (void)state;
        container("'livenessProbe':{'exec':{'command':['x']},'successThreshold':2}",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1");
        container("'readinessProbe':{'tcpSocket':{'port':0}}",
            "spec.containers[0].readinessProbe.tcpSocket.port: Invalid "
            "value: 0: must be between 1 and 65535, inclusive");
        container("'readinessProbe':{'httpGet':{'port':'web','scheme':'FTP'},'terminationGracePeriodSeconds':1}",
            "spec.containers[0].readinessProbe.httpGet.scheme: Unsupported value: \"FTP\": supported values: \"HTTP\", "
            "\"HTTPS\"\n"
            "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for "
            "readinessProbes");
        container("'startupProbe':{'periodSeconds':-1}",
            "spec.containers[0].startupProbe: Required value: must specify a handler type\n"
            "spec.containers[0].startupProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0");
        container("'livenessProbe':{'exec':{'command':['x']},'grpc':{'port':1}}",
            "spec.containers[0].livenessProbe.grpc: Forbidden: may not specify more than 1 handler type");
        container("'lifecycle':{'preStop':{'exec':{'command':[]}},'postStart':{'sleep':{'seconds':31}}}",
            "spec.containers[0].lifecycle.postStart.sleep: Invalid value: 31: must be non-negative and less than "
            "terminationGracePeriodSeconds (30)\n"
            "spec.containers[0].lifecycle.preStop.exec.command: Required value");
}

static void test_resources(void **state)
{
        (void)state;
        container("'resources':{'limits':{'cpu':'1','memory':'1Gi'},'requests':{'cpu':'2'}}",
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of "
            "1");
        container("'resources':{'requests':{'cpu':'-1'}}",
            "spec.containers[0].resources.requests[cpu]: Invalid value: \"-1\": must be greater than or equal to 0");
        container("'resources':{'limits':{'gpu':'1'}}",
            "spec.containers[0].resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource type or "
            "fully qualified\n"
            "spec.containers[0].resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for "
            "containers\n"
            "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource type or "
            "fully qualified\n"
            "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource for "
            "containers");
        container("'resources':{'limits':{'example.com/gpu':'500m'}}",
            "spec.containers[0].resources.limits[example.com/gpu]: Invalid value: \"500m\": must be an integer\n"
            "spec.containers[0].resources.requests[example.com/gpu]: Invalid value: \"500m\": must be an integer");
        container("'resources':{'requests':{'example.com/gpu':'1'}}",
            "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources");
        container("'resources':{'limits':{'hugepages-2Mi':'3Mi'}}",
            "spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer "
            "multiple of hugepages-2Mi\n"
            "spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer "
            "multiple of hugepages-2Mi\n"
            "spec.containers[0].resources: Forbidden: HugePages require cpu or memory");
        create("{'spec':{'resources':{'requests':{'cpu':'1'}},'containers':[{'name':'c','image':'i','resources':"
               "{'requests':{'cpu':'2'}}}]}}",
            "spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to aggregate container "
            "requests of 2");
        container("'resources':{'claims':[{'name':'x'}]}",
            "spec.containers[0].resources.claims[0]: Not found: \"x\": must be one of the names in "
            "pod.spec.resourceClaims which is empty");
}

static void test_volumes(void **state)
{
        (void)state;
        volume("'emptyDir':{}", "");
        volume("'emptyDir':{},'hostPath':{'path':'/x'}",
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type");
        volume("'hostPath':{'path':'/a/../b'}",
            "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'");
        volume("'hostPath':{'path':'/a','type':'x'}",
            "spec.volumes[0].hostPath.type: Unsupported value: \"x\": supported values: \"\", \"BlockDevice\", "
            "\"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"");
        volume("'secret':{'secretName':'','defaultMode':512,'items':[{'key':'','path':'../x'}]}",
            "spec.volumes[0].secret.secretName: Required value\n"
            "spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both "
            "inclusive\n"
            "spec.volumes[0].secret.items[0].key: Required value\n"
            "spec.volumes[0].secret.items[0].path: Invalid value: \"../x\": must not contain '..'");
        volume("'configMap':{'name':'c','items':[{'key':'k','path':'/abs'},{'key':'k','path':'..data'}]}",
            "spec.volumes[0].configMap.items[0].path: Invalid value: \"/abs\": must be a relative path\n"
            "spec.volumes[0].configMap.items[1].path: Invalid value: \"..data\": must not start with '..'");
        volume("'downwardAPI':{'items':[{'path':'l'}]}",
            "spec.volumes[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required");
        volume("'projected':{'sources':[{'configMap':{'name':'a','items':[{'key':'k','path':'p'}]}},{'secret':{'name':"
               "'b','items':[{'key':'k','path':'p'}]}}]}",
            "spec.volumes[0].projected: Invalid value: \"b\": conflicting duplicate paths");
        volume("'projected':{'sources':[{'serviceAccountToken':{'path':'t','expirationSeconds':60}}]}",
            "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not "
            "specify a duration less than 10 minutes\n"
            "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when "
            "serviceAccountName is not set");
        create(
            "{'spec':{'volumes':[{'name':'v','emptyDir':{}},{'name':'v','emptyDir':{}},{'name':'V','emptyDir':{}}]}}",
            "spec.volumes[1].name: Duplicate value: \"v\"\n"
            "spec.volumes[2].name: Invalid value: \"V\": " LABEL_1123);
        volume("'persistentVolumeClaim':{'claimName':''}",
            "spec.volumes[0].persistentVolumeClaim.claimName: Required value");
}

static void test_mounts(void **state)
{
        (void)state;
        container("'volumeMounts':[{'name':'x','mountPath':'/x'}]",
            "spec.containers[0].volumeMounts[0].name: Not found: \"x\"");
        create("{'spec':{'volumes':[{'name':'v','emptyDir':{}}],'containers':[{'name':'c','image':'i','volumeMounts':"
               "[{'name':'v','mountPath':'/x'},{'name':'v','mountPath':'/x','subPath':'/abs'},{'name':'v','mountPath':"
               "'','mountPropagation':'Bidirectional'}]}]}}",
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/x\": must be unique\n"
            "spec.containers[0].volumeMounts.subPath: Invalid value: \"/abs\": must be a relative path\n"
            "spec.containers[0].volumeMounts[2].mountPath: Required value\n"
            "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available "
            "only to privileged containers");
        create("{'spec':{'volumes':[{'name':'v','emptyDir':{}}],'containers':[{'name':'c','image':'i','volumeDevices':"
               "[{'name':'v','devicePath':'/dev/x'}]}]}}",
            "spec.containers[0].volumeDevices[0].name: Invalid value: \"v\": can only use volume source type of "
            "PersistentVolumeClaim or Ephemeral for block mode");
}

static void test_init_and_ephemeral(void **state)
{
        (void)state;
        create("{'spec':{'initContainers':[{'name':'i','image':'x','restartPolicy':'Always','readinessProbe':{'exec':"
               "{'command':['x']}}}]}}",
            "");
        create(
            "{'spec':{'initContainers':[{'name':'c','image':'x','lifecycle':{'preStop':{'exec':{'command':['x']}}}}]}}",
            "spec.initContainers[0].name: Duplicate value: \"c\"\n"
            "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without "
            "restartPolicy=Always");
        create("{'spec':{'ephemeralContainers':[{'name':'e','image':'x','targetContainerName':'nope','ports':"
               "[{'containerPort':1}]}]}}",
            "spec.ephemeralContainers[0].targetContainerName: Not found: \"nope\"\n"
            "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container\n"
            "spec.ephemeralContainers: Forbidden: cannot be set on create");
}

static void test_policies_and_names(void **state)
{
        (void)state;
        create("{'spec':{'restartPolicy':'x','dnsPolicy':'y'}}",
            "spec.restartPolicy: Unsupported value: \"x\": supported values: \"Always\", \"OnFailure\", \"Never\"\n"
            "spec.dnsPolicy: Unsupported value: \"y\": supported values: \"ClusterFirstWithHostNet\", "
            "\"ClusterFirst\", \"Default\", \"None\"");
        create("{'spec':{'nodeName':'A','hostname':'a.b','activeDeadlineSeconds':0}}",
            "spec.nodeName: Invalid value: \"A\": " SUBDOMAIN_1123 "\n"
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive\n"
            "spec.hostname: Invalid value: \"a.b\": must not contain dots");
        create("{'spec':{'dnsPolicy':'None'}}",
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None");
        create("{'spec':{'dnsConfig':{'nameservers':['1.1.1.1','2.2.2.2','3.3.3.3','x'],'searches':['a_b.c','.','A'],"
               "'options':[{'value':'1'}]}}}",
            "spec.dnsConfig.nameservers: Invalid value: [\"1.1.1.1\",\"2.2.2.2\",\"3.3.3.3\",\"x\"]: must not have "
            "more than 3 nameservers\n"
            "spec.dnsConfig.nameservers[3]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or "
            "2001:db8::ffff)\n"
            "spec.dnsConfig.searches[2]: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower "
            "case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character "
            "(e.g. 'example.com', regex used for validation is "
            "'_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')\n"
            "spec.dnsConfig.options[0]: Required value: must not be empty");
        create("{'spec':{'hostAliases':[{'ip':'x','hostnames':['ok','A']}]}}",
            "spec.hostAliases[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or "
            "2001:db8::ffff)\n"
            "spec.hostAliases[0].hostnames[1]: Invalid value: \"A\": " SUBDOMAIN_1123);
        create("{'spec':{'schedulingGates':[{'name':'a/b'},{'name':'a/b'}],'nodeName':'n'}}",
            "spec.schedulingGates[1]: Duplicate value: \"a/b\"\n"
            "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared");
}

static void test_security(void **state)
{
        (void)state;
        create("{'spec':{'securityContext':{'runAsUser':-1,'sysctls':[{'name':'A'},{'name':'net.x'}],"
               "'seccompProfile':{'type':'Localhost'}},'hostNetwork':true}}",
            "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 4294967295, inclusive\n"
            "spec.securityContext.sysctls[0].name: Invalid value: \"A\": must have at most 253 characters and match "
            "regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$\n"
            "spec.securityContext.sysctls[1].name: Invalid value: \"net.x\": may not be specified when 'hostNetwork' "
            "is true\n"
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is "
            "Localhost");
        container("'securityContext':{'allowPrivilegeEscalation':false,'privileged':true}",
            "spec.containers[0].securityContext: Invalid value: "
            "{\"privileged\":true,\"allowPrivilegeEscalation\":false}: cannot set `allowPrivilegeEscalation` to false "
            "and `privileged` to true");
        kc_validation_set_allow_privileged(false);
        container("'securityContext':{'privileged':true}",
            "spec.containers[0].securityContext.privileged: Forbidden: disallowed by cluster policy");
        kc_validation_set_allow_privileged(true);
        container("'securityContext':{'appArmorProfile':{'type':'x'},'procMount':'Unmasked'}",
            "spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to "
            "use `Unmasked`\n"
            "spec.containers[0].securityContext.appArmorProfile.type: Unsupported value: \"x\": supported values: "
            "\"Localhost\", \"RuntimeDefault\", \"Unconfined\"");
        create("{'spec':{'hostPID':true,'shareProcessNamespace':true}}",
            "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot "
            "both be enabled");
        create("{'spec':{'os':{'name':'windows'},'securityContext':{'fsGroup':1}}}",
            "spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod");
}

static void test_scheduling(void **state)
{
        (void)state;
        create("{'spec':{'tolerations':[{'operator':'Equal'},{'key':'k','operator':'Exists','value':'v'},{'key':'k',"
               "'effect':'NoSchedule','tolerationSeconds':1},{'key':'k','operator':'x','effect':'y'}]}}",
            "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, "
            "which means \"match all values and all keys\"\n"
            "spec.tolerations[1].operator: Invalid value: \"v\": value must be empty when `operator` is 'Exists'\n"
            "spec.tolerations[2].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when "
            "`tolerationSeconds` is set\n"
            "spec.tolerations[3].operator: Unsupported value: \"x\": supported values: \"Equal\", \"Exists\"\n"
            "spec.tolerations[3].effect: Unsupported value: \"y\": supported values: \"NoSchedule\", "
            "\"PreferNoSchedule\", \"NoExecute\"");
        create("{'spec':{'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':"
               "{'nodeSelectorTerms':[]}}}}}",
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required "
            "value: must have at least one node selector term");
        create("{'spec':{'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':"
               "{'nodeSelectorTerms':[{'matchExpressions':[{'key':'k','operator':'In'}],'matchFields':[{'key':'x',"
               "'operator':'In','values':['a']}]}]}}}}}",
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]."
            "matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'\n"
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]."
            "matchFields[0].key: Invalid value: \"x\": not a valid field selector key");
        create("{'spec':{'affinity':{'podAntiAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[{'weight':0,"
               "'podAffinityTerm':{'topologyKey':'a'}}]}}}}",
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: "
            "0: must be in the range 1-100");
        create(
            "{'spec':{'topologySpreadConstraints':[{'maxSkew':0,'topologyKey':'z','whenUnsatisfiable':'DoNotSchedule'"
            "},{'maxSkew':1,'topologyKey':'z','whenUnsatisfiable':'DoNotSchedule'}]}}",
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero\n"
            "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{z, "
            "DoNotSchedule}\"");
}

static void test_annotations(void **state)
{
        (void)state;
        create("{'metadata':{'annotations':{'kubernetes.io/config.mirror':'x'}}}",
            "metadata.annotations[kubernetes.io/config.mirror]: Invalid value: \"x\": must set spec.nodeName if mirror "
            "pod annotation is set");
        create("{'metadata':{'annotations':{'controller.kubernetes.io/pod-deletion-cost':'1.5'}}}",
            "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"1.5\": must be a 32bit "
            "integer");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_containers),
            cmocka_unit_test(test_ports),
            cmocka_unit_test(test_env),
            cmocka_unit_test(test_probes),
            cmocka_unit_test(test_resources),
            cmocka_unit_test(test_volumes),
            cmocka_unit_test(test_mounts),
            cmocka_unit_test(test_init_and_ephemeral),
            cmocka_unit_test(test_policies_and_names),
            cmocka_unit_test(test_security),
            cmocka_unit_test(test_scheduling),
            cmocka_unit_test(test_annotations),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

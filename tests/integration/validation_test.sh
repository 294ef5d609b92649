#!/bin/bash
# What kubectl shows of validation, warnings and strategies: an object or two of each group that are refused, and how.
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC

# says <what> <expected output> <kubectl arguments...>: the input is the test's.
says() {
    local what=$1 expected=$2
    shift 2
    is "$what" "$expected" "$(kubectl "$@" 2>&1)"
}

TEMPLATE='template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Always, containers: [{name: c, image: i}]}}'

batch() {
    says "a Job that always restarts" \
        'The Job "j" is invalid: spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"' \
        create -f - <<YAML
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec: {template: {spec: {containers: [{name: c, image: i}]}}}
YAML
    says "create job" "job.batch/j created" create job j --image=i
    says "its selector" '{"matchLabels":{"batch.kubernetes.io/controller-uid":"'"$(kubectl get job j -o 'jsonpath={.metadata.uid}')"'"}}' \
        get job j -o 'jsonpath={.spec.selector}'
    says "completions do not change" 'The Job "j" is invalid: spec.completions: Invalid value: 2: field is immutable' \
        patch job j -p '{"spec":{"completions":2}}'
    api DELETE /apis/batch/v1/namespaces/default/jobs/j >/dev/null
    has "deletion by default" \
        'warning: 299 - "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning"' \
        "$(sed 's/^Warning/warning/' "$WORK/headers")"
    says "a schedule" 'The CronJob "c" is invalid: spec.schedule: Invalid value: "x": expected exactly 5 fields, found 1: [x]' \
        create -f - <<YAML
apiVersion: batch/v1
kind: CronJob
metadata: {name: c}
spec: {schedule: x, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}
YAML
    says "a time zone" \
        'The CronJob "c" is invalid: spec.timeZone: Invalid value: "Nowhere/Land": unknown time zone Nowhere/Land' \
        create -f - <<YAML
apiVersion: batch/v1
kind: CronJob
metadata: {name: c}
spec: {schedule: "* * * * *", timeZone: Nowhere/Land,
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}
YAML
}

workloads() {
    says "create a StatefulSet" "statefulset.apps/s created" create -f - <<YAML
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: s}
spec: {serviceName: s, selector: {matchLabels: {a: b}}, $TEMPLATE}
YAML
    says "what of it may change" \
        'The StatefulSet "s" is invalid: spec: Forbidden: updates to statefulset spec for fields other than '\''replicas'\'', '\''ordinals'\'', '\''template'\'', '\''updateStrategy'\'', '\''revisionHistoryLimit'\'', '\''persistentVolumeClaimRetentionPolicy'\'' and '\''minReadySeconds'\'' are forbidden' \
        patch statefulset s -p '{"spec":{"serviceName":"t"}}'
    says "labels do not match" \
        'The StatefulSet "t" is invalid: spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`' \
        create -f - <<YAML
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: t}
spec: {selector: {matchLabels: {a: c}}, $TEMPLATE}
YAML
    says "scale" "statefulset.apps/s scaled" scale statefulset s --replicas=3
    says "generation" 2 get statefulset s -o 'jsonpath={.metadata.generation}'
    says "an autoscaler" \
        'The HorizontalPodAutoscaler "h" is invalid: spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`' \
        create -f - <<YAML
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: h}
spec: {minReplicas: 5, maxReplicas: 2, scaleTargetRef: {kind: StatefulSet, name: s}}
YAML
    says "a budget" \
        'The PodDisruptionBudget "p" is invalid: 
* spec: Invalid value: {"minAvailable":"101%","maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set
* spec.minAvailable: Invalid value: "101%": must not be greater than 100%' \
        create -f - <<YAML
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: p}
spec: {minAvailable: 101%, maxUnavailable: 1}
YAML
    says "a pod of odd shape" \
        'Warning: spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use "kubernetes.io/arch" instead
Warning: spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply
Warning: spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]
pod/p created' \
        create -f - <<YAML
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: c, image: i, env: [{name: A, value: a}, {name: A, value: b}],
  ports: [{containerPort: 80}, {containerPort: 80}]}], nodeSelector: {beta.kubernetes.io/arch: amd64}}
YAML
}

volumes() {
    says "a claim of nothing" \
        'The PersistentVolumeClaim "c" is invalid: 
* spec.accessModes: Required value: at least 1 access mode is required
* spec.resources[storage]: Required value' \
        create -f - <<YAML
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c}
spec: {}
YAML
    says "a volume that is recycled" \
        'Warning: spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.
persistentvolume/v created' \
        create -f - <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: v}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce],
  persistentVolumeReclaimPolicy: Recycle, hostPath: {path: /tmp}}
YAML
    says "its source does not change" \
        'The PersistentVolume "v" is invalid: spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation
- 	spec.hostPath.path: "/tmp"
+ 	spec.hostPath.path: "/x"' \
        patch pv v -p '{"spec":{"hostPath":{"path":"/x"}}}'
    says "a class" "storageclass.storage.k8s.io/c created" create -f - <<YAML
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: c}
provisioner: example.com/x
parameters: {a: b}
YAML
    says "its parameters" \
        'The StorageClass "c" is invalid: parameters: Forbidden: updates to parameters are forbidden.' \
        patch storageclass c -p '{"parameters":{"a":"c"}}'
    says "a driver" \
        'The CSIDriver "d" is invalid: 
* spec.fsGroupPolicy: Unsupported value: "odd": supported values: "File", "None", "ReadWriteOnceWithFSType"
* spec.volumeLifecycleModes: Unsupported value: "odd": supported values: "Persistent", "Ephemeral"' \
        create -f - <<YAML
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: d}
spec: {volumeLifecycleModes: [odd], fsGroupPolicy: odd}
YAML
}

networking() {
    says "an Ingress" \
        'The Ingress "i" is invalid: 
* spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address
* spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path
* spec.rules[0].http.paths[0].backend: Required value: port name or number is required' \
        create -f - <<YAML
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i}
spec: {rules: [{host: 1.2.3.4, http: {paths: [{path: x, pathType: Exact, backend: {service: {name: s}}}]}}]}
YAML
    says "a NetworkPolicy" \
        'The NetworkPolicy "net" is invalid: 
* spec.egress[0].to[0].ipBlock.cidr: Invalid value: "10.0.0.1": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)
* spec.policyTypes[0]: Unsupported value: "x": supported values: "Egress", "Ingress"' \
        create -f - <<YAML
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: net}
spec: {podSelector: {}, policyTypes: [x], egress: [{to: [{ipBlock: {cidr: 10.0.0.1}}]}]}
YAML
    says "a ServiceCIDR" \
        'The ServiceCIDR "net" is invalid: spec: Invalid value: ["10.0.0.0/8","10.1.0.0/16"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96' \
        create -f - <<YAML
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: net}
spec: {cidrs: [10.0.0.0/8, 10.1.0.0/16]}
YAML
    says "an IPAddress" \
        'The IPAddress "x" is invalid: 
* metadata.name: Invalid value: "x": must be a valid IP address
* spec.parentRef: Required value' \
        create --validate=false -f - <<YAML
apiVersion: networking.k8s.io/v1
kind: IPAddress
metadata: {name: x}
spec: {}
YAML
}

policies() {
    says "a quota" \
        'error: failed to create quota: ResourceQuota "q" is invalid: spec.hard[cpu]: Invalid value: "-1": must be greater than or equal to 0' \
        create quota q --hard=cpu=-1
    says "a range" \
        'The LimitRange "l" is invalid: 
* spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1
* spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1
* spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1' \
        create -f - <<YAML
apiVersion: v1
kind: LimitRange
metadata: {name: l}
spec: {limits: [{type: Container, max: {cpu: 1}, min: {cpu: 2}}]}
YAML
    says "a class of priority" "priorityclass.scheduling.k8s.io/p created" create priorityclass p --value=1
    says "its value" \
        'The PriorityClass "p" is invalid: value: Forbidden: may not be changed in an update.' \
        patch priorityclass p -p '{"value":2}'
    says "a class of runtimes" \
        'The RuntimeClass "r" is invalid: handler: Invalid value: "X": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '\''-'\'', and must start and end with an alphanumeric character (e.g. '\''my-name'\'',  or '\''123-abc'\'', regex used for validation is '\''[a-z0-9]([-a-z0-9]*[a-z0-9])?'\'')' \
        create -f - <<YAML
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: r}
handler: X
YAML
    says "a FlowSchema" \
        'The FlowSchema "f" is invalid: 
* spec.matchingPrecedence: Invalid value: 20000: must not be greater than 10000
* spec.priorityLevelConfiguration.name: Invalid value: "X": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '\''-'\'' or '\''.'\'', and must start and end with an alphanumeric character (e.g. '\''example.com'\'', regex used for validation is '\''[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'\'')' \
        create -f - <<YAML
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: f}
spec: {priorityLevelConfiguration: {name: X}, matchingPrecedence: 20000}
YAML
    says "a claim of devices" \
        'The ResourceClaim "c" is invalid: spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required' \
        create -f - <<YAML
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: c}
spec: {devices: {requests: [{name: a}]}}
YAML
}

extensions() {
    says "a webhook" \
        'The ValidatingWebhookConfiguration "w" is invalid: 
* webhooks[0].name: Invalid value: "a.b": should be a domain with at least three segments separated by dots
* webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"
* webhooks[0].clientConfig.url: Invalid value: "http": '\''https'\'' is the only allowed URL scheme; desired format: https://host[/path]' \
        create -f - <<YAML
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: w}
webhooks: [{name: a.b, clientConfig: {url: "http://x"}, admissionReviewVersions: [v1], sideEffects: Some}]
YAML
    says "an admission policy" \
        'The ValidatingAdmissionPolicy "p" is invalid: 
* spec.matchConstraints: Required value
* spec.validations: Required value: validations or auditAnnotations must contain at least one item
* spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item' \
        create -f - <<YAML
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: p}
spec: {}
YAML
    says "a kind of resources" \
        'The CustomResourceDefinition "a.b.c" is invalid: 
* metadata.name: Invalid value: "a.b.c": must be spec.names.plural+"."+spec.group
* spec.versions[0].schema.openAPIV3Schema: Required value
* spec.versions: Invalid value: [{"name":"v1","served":true,"storage":false}]: must have exactly one version marked as storage version
* status.storedVersions: Invalid value: null: must have at least one stored version' \
        create -f - <<YAML
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: a.b.c}
spec: {group: example.com, scope: Namespaced, names: {plural: things, kind: Thing}, versions: [{name: v1, served: true, storage: false}]}
YAML
    says "an APIService" \
        'The APIService "v1.x" is invalid: 
* metadata.name: Invalid value: "v1.x": must be `spec.version+"."+spec.group`: "v1.odd"
* spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000' \
        create -f - <<YAML
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.x}
spec: {group: odd, version: v1, groupPriorityMinimum: 0, versionPriority: 15}
YAML
}

certificates() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=alice -keyout "$WORK/alice.key" -out "$WORK/alice.csr" 2>/dev/null
    says "a request" "certificatesigningrequest.certificates.k8s.io/alice created" create -f - <<YAML
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: alice}
spec: {request: $(base64 -w0 "$WORK/alice.csr"), signerName: example.com/x, usages: [client auth]}
YAML
    says "whose" "admin" get csr alice -o 'jsonpath={.spec.username}'
    kubectl patch csr alice -p '{"spec":{"signerName":"example.com/y"}}' >/dev/null || fail "patch csr"
    says "does not change" "example.com/x" get csr alice -o 'jsonpath={.spec.signerName}'
    kubectl create clusterrole approver --verb=get,update --resource=certificatesigningrequests,certificatesigningrequests/approval >/dev/null
    kubectl create clusterrolebinding approver --clusterrole=approver --user=alice >/dev/null
    eventually 10 sh -c '[ "$(kubectl auth can-i get csr --as=alice 2>/dev/null)" = yes ]' || fail "alice has no role"
    has "not for everybody to approve" \
        'certificatesigningrequests.certificates.k8s.io "alice" is forbidden: user not permitted to approve requests with signerName "example.com/x"' \
        "$(kubectl --kubeconfig="$WORK/alice.kubeconfig" certificate approve alice 2>&1)"
    says "approved" "certificatesigningrequest.certificates.k8s.io/alice approved" certificate approve alice
    api PATCH /apis/certificates.k8s.io/v1/certificatesigningrequests/alice/approval -H 'Content-Type: application/merge-patch+json' \
        -d '{"status":{"conditions":[{"type":"Approved","status":"True"},{"type":"Denied","status":"True"}]}}' >/dev/null
    is "denied, too" \
        'CertificateSigningRequest.certificates.k8s.io "alice" is invalid: status.conditions[1].type: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive' \
        "$(field .message)"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=system:masters/CN=x -keyout "$WORK/x.key" -out "$WORK/x.csr" 2>/dev/null
    has "no new masters" \
        'certificatesigningrequests.certificates.k8s.io "x" is forbidden: use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed' \
        "$(kubectl create -f - 2>&1 <<YAML
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: x}
spec: {request: $(base64 -w0 "$WORK/x.csr"), signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}
YAML
    )"
    says "no request" \
        'The CertificateSigningRequest "bob" is invalid: 
* spec.request: Invalid value: "YQ==": PEM block type must be CERTIFICATE REQUEST
* spec.usages[0]: Unsupported value: "odd": supported values: "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping"
* spec.signerName: Invalid value: "x": must be a fully qualified domain and path of the form '\''example.com/signer-name'\''' \
        create -f - <<YAML
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: bob}
spec: {request: YQ==, signerName: x, usages: [odd]}
YAML
}

core() {
    says "a pair that is none" \
        'Warning: tls: failed to find any PEM data in certificate input
secret/tls created' \
        create -f - <<YAML
apiVersion: v1
kind: Secret
metadata: {name: tls}
type: kubernetes.io/tls
stringData: {tls.crt: a, tls.key: b}
YAML
    cert pair /CN=pair
    cert other /CN=other
    is "a pair" "" "$(secret pair pair 2>&1 >/dev/null)"
    is "two halves of pairs" "Warning: tls: private key does not match public key" "$(secret half pair other 2>&1 >/dev/null)"
    says "an account" \
        'Warning: metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets
serviceaccount/a created' \
        create -f - <<YAML
apiVersion: v1
kind: ServiceAccount
metadata: {name: a, annotations: {kubernetes.io/enforce-mountable-secrets: "true"}}
secrets: [{kind: Secret, name: s, namespace: x}]
YAML
    says "its secrets" '[{"name":"s"}]' get serviceaccount a -o 'jsonpath={.secrets}'
    says "names for endpoints" \
        'Warning: spec.addressType: FQDN endpoints are deprecated
endpointslice.discovery.k8s.io/e created' \
        create -f - <<YAML
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: e}
addressType: FQDN
endpoints: [{addresses: [example.com], deprecatedTopology: {a: b}}]
YAML
    says "no topology" "" get endpointslice e -o 'jsonpath={.endpoints[0].deprecatedTopology}'
    says "an event of the new kind" \
        'The Event "e" is invalid: 
* involvedObject.namespace: Invalid value: "": does not match event.namespace
* eventTime: Required value
* type: Invalid value: "": has invalid value: odd' \
        create --validate=false -f - -n kube-system <<YAML
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: e}
type: odd
YAML
}

# secret <name> <certificate> [key]
secret() {
    kubectl create -f - <<YAML
apiVersion: v1
kind: Secret
metadata: {name: $1}
type: kubernetes.io/tls
data: {tls.crt: $(base64 -w0 "$WORK/$2.crt"), tls.key: $(base64 -w0 "$WORK/${3-$2}.key")}
YAML
}

kubectl create serviceaccount default >/dev/null || fail "create serviceaccount"
for group in core batch workloads volumes networking policies extensions certificates; do
    echo "--- $group"
    $group
done

# Several at a time come in the order in which upstream looks at them: metadata, containers, the rest of the spec.
api POST /api/v1/namespaces/default/pods -H 'Content-Type: application/json' --data-binary '{"metadata":{"name":"A_b","labels":{"-":"x"}},
    "spec":{"restartPolicy":"Sometimes","dnsPolicy":"x","containers":[{"name":"C","image":"","ports":[{"containerPort":0}]}]}}' >/dev/null
is "several bad fields" 'metadata.name FieldValueInvalid
metadata.labels FieldValueInvalid
spec.containers[0].name FieldValueInvalid
spec.containers[0].image FieldValueRequired
spec.containers[0].ports[0].containerPort FieldValueRequired
spec.restartPolicy FieldValueNotSupported
spec.dnsPolicy FieldValueNotSupported' "$(field '.details.causes[] | .field + " " + .reason')"

#!/bin/bash
# Every kind of the API with the real kubectl: create, get in all forms, list, describe, label, patch, replace, status
# and scale, delete; conversion of what is served in two versions; field selectors; explain.
. "$(dirname "$0")/lib.sh"
start_control_plane

OLDEST=$(ls /usr/lib/google-cloud-sdk/bin/kubectl.1.* 2>/dev/null | sort -V | head -n 1)
OBJECTS=$WORK/objects.yaml
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=someone -keyout /dev/null \
    -out "$WORK/someone.csr" 2>/dev/null
sed "s|@CSR@|$(base64 -w0 "$WORK/someone.csr")|" "$TESTS_DIR/integration/kinds/objects.yaml" >"$OBJECTS"
WANTED=$(grep -c '^kind: ' "$OBJECTS")

# lines <what> <text>: one line for each object.
lines() {
    is "$1" "$WANTED" "$(printf '%s\n' "$2" | grep -c .)"
}

kubectl create serviceaccount default >/dev/null

out=$(kubectl create -f "$OBJECTS" 2>&1)
lines "create" "$(grep ' created$' <<<"$out")"
is "create: warnings" "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice" \
    "$(grep -v ' created$' <<<"$out")"

# Every resource that can be listed has its object, but those that are no objects of their own.
missing=$(comm -23 <(kubectl api-resources --verbs=create,get,list -o name | sort) \
    <(kubectl get -f "$OBJECTS" -o json 2>/dev/null | jq -r '.items[]|(.apiVersion|split("/")|reverse|.[1:]|.[0] // "") as $g |
        "\(.kind) \($g)"' | sort -u | while read -r kind group; do
        kubectl api-resources --no-headers | awk -v k="$kind" -v g="$group" '{v = $(NF-2); if (!sub("/.*", "", v)) v = "";
            if ($NF == k && v == g) print $1 (g == "" ? "" : "." g)}'
    done | sort))
is "kinds without a sample" "events.events.k8s.io" "$missing"

lines "get -o name" "$(kubectl get -f "$OBJECTS" -o name 2>/dev/null)"
is "get -o yaml" "$WANTED" "$(kubectl get -f "$OBJECTS" -o yaml 2>/dev/null | grep -c '^  kind: ')"
is "get -o json: all have a uid" "$WANTED" "$(kubectl get -f "$OBJECTS" -o json 2>/dev/null | jq '[.items[].metadata.uid]|unique|length')"
table=$(kubectl get -f "$OBJECTS" 2>/dev/null | sed -E 's/ +/ /g; s/ $//; s/ [0-9]+s( |$)/ AGE\1/')
for row in \
    'statefulset.apps/sample 0/1 AGE' \
    'horizontalpodautoscaler.autoscaling/sample Deployment/sample cpu: <unknown>/60% 1 5 0 AGE' \
    'cronjob.batch/sample */5 * * * * <none> False 0 <none> AGE' \
    'job.batch/sample Running 0/1 AGE' \
    'persistentvolume/sample 1Gi RWO Retain Pending slow <unset> AGE' \
    'persistentvolumeclaim/sample Pending slow <unset> AGE' \
    'ingress.networking.k8s.io/sample sample a.example.com 80, 443 AGE' \
    'ipaddress.networking.k8s.io/192.0.2.7 services/default/sample' \
    'networkpolicy.networking.k8s.io/sample app=sample AGE' \
    'servicecidr.networking.k8s.io/sample 198.51.100.0/24 AGE' \
    'poddisruptionbudget.policy/sample 1 N/A 0 AGE' \
    'resourceclaim.resource.k8s.io/sample pending AGE' \
    'resourceslice.resource.k8s.io/sample sample example.com pool AGE' \
    'storageclass.storage.k8s.io/sample sample.example.com Delete Immediate false AGE' \
    'csidriver.storage.k8s.io/sample.example.com true false false <unset> false Persistent AGE' \
    'volumeattachment.storage.k8s.io/sample sample.example.com sample sample false AGE' \
    'prioritylevelconfiguration.flowcontrol.apiserver.k8s.io/sample Limited 30 64 8 50 AGE' \
    'validatingadmissionpolicy.admissionregistration.k8s.io/sample.example.com 1 <unset> AGE' \
    'apiservice.apiregistration.k8s.io/v1.sample.example.com default/sample Unknown AGE'; do
    grep -qxF -- "$row" <<<"$table" || fail "get: $row"
done

# kubectl looks for some kinds in beta versions only.
! needs_kubectl 26 "describe: stable versions of all kinds" || is "describe" "$WANTED" "$(kubectl describe -f "$OBJECTS" 2>&1 |
    grep -cE '^Name: |the server could not find the requested resource \(get (ipaddresses|servicecidrs|volumeattributesclasses)')"
lines "label" "$(kubectl label -f "$OBJECTS" tried=yes 2>/dev/null | grep ' labeled$')"
lines "list by label" "$(kubectl api-resources --verbs=list,create -o name | grep -v '^events.events' | paste -sd, |
    xargs -I{} kubectl get {} -l tried=yes -o name --ignore-not-found)"
lines "patch" "$(kubectl patch -f "$OBJECTS" --type=merge -p '{"metadata":{"annotations":{"patched":"yes"}}}' 2>/dev/null |
    grep ' patched$')"
lines "replace" "$(kubectl get -f "$OBJECTS" -o yaml 2>/dev/null | sed 's/patched: "yes"/patched: "again"/' |
    kubectl replace -f - 2>/dev/null | grep ' replaced$')"

# --- status and scale, of every resource that has them

# object <path of the collection> <resource>: the path of the sample.
object() {
    case $2 in
    mutatingadmissionpolicies | validatingadmissionpolicies) echo "$1/sample.example.com" ;;
    customresourcedefinitions) echo "$1/gadgets.example.com" ;;
    apiservices) echo "$1/v1.sample.example.com" ;;
    *) echo "$1/sample" ;;
    esac
}

for gv in $({ echo /api/v1; kubectl get --raw /apis | jq -r '.groups[].versions[]|"/apis/"+.groupVersion'; }); do
    kubectl get --raw "$gv" >"$WORK/resources"
    for resource in $(jq -r '.resources[].name|select(endswith("/status"))|rtrimstr("/status")' "$WORK/resources"); do
        ns=$(jq -r --arg r "$resource" '.resources[]|select(.name==$r)|if .namespaced then "/namespaces/default" else "" end' \
            "$WORK/resources")
        path=$(object "$gv$ns/$resource" "$resource")/status
        api GET "$path" >"$WORK/object"
        is "GET $path" 200 "$(code)"
        api PUT "$path" -H 'Content-Type: application/json' -d @"$WORK/object" >/dev/null
        is "PUT $path" 200 "$(code)"
        api PATCH "$path" -H 'Content-Type: application/merge-patch+json' -d '{"metadata":{"labels":{"status":"yes"}}}' \
            >/dev/null
        is "PATCH $path" 200 "$(code)"
        echo "$resource" >>"$WORK/with-status"
    done
done
is "resources with a status" 26 "$(sort -u "$WORK/with-status" | wc -l)"
for resource in deployments.apps replicasets.apps statefulsets.apps replicationcontrollers; do
    is "scale $resource" "3" "$(kubectl scale "$resource" sample --replicas=3 >/dev/null &&
        kubectl get "$resource" sample -o 'jsonpath={.spec.replicas}')"
done

# --- two versions of one kind

is "an autoscaler as v1" "60" \
    "$(kubectl get horizontalpodautoscalers.v1.autoscaling sample -o 'jsonpath={.spec.targetCPUUtilizationPercentage}')"
is "an autoscaler by v1" "Utilization 75" "$(kubectl create -f - -o 'jsonpath={.apiVersion}' >/dev/null <<HPA &&
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: old}
spec: {scaleTargetRef: {kind: Deployment, name: sample}, maxReplicas: 3, targetCPUUtilizationPercentage: 75}
HPA
    kubectl get horizontalpodautoscalers.v2.autoscaling old -o 'jsonpath={.spec.metrics[0].resource.target.type} {.spec.metrics[0].resource.target.averageUtilization}')"
kubectl delete hpa old >/dev/null
is "an event as events.k8s.io" "something happened" \
    "$(kubectl get events.v1.events.k8s.io sample -o 'jsonpath={.note}')"

# --- field selectors

# selects <resource> <selector> <names>
selects() {
    is "$1 by $2" "$3" "$(kubectl get "$1" --field-selector "$2" -o 'jsonpath={.items[*].metadata.name}')"
}
selects jobs status.successful=0 sample
selects jobs status.successful=1 ""
selects certificatesigningrequests spec.signerName=kubernetes.io/kube-apiserver-client sample
selects certificatesigningrequests spec.signerName=other ""
selects resourceslices spec.nodeName=sample,spec.driver=example.com sample
selects resourceslices spec.driver!=example.com ""
selects secrets type=Opaque sample
selects persistentvolumes metadata.name=sample sample
has "a field that cannot select" \
    'field label not supported: spec.suspend' "$(kubectl get jobs --field-selector spec.suspend=true 2>&1)"

# --- component statuses, which are made when they are asked for

is "component statuses" "controller-manager etcd-0 scheduler" \
    "$(kubectl get componentstatuses -o 'jsonpath={.items[*].metadata.name}' 2>/dev/null)"
is "etcd is healthy" "etcd-0 Healthy ok" "$(kubectl get cs etcd-0 --no-headers 2>"$WORK/warning" | sed -E 's/ +/ /g; s/ $//')"
is "component statuses are deprecated" "Warning: v1 ComponentStatus is deprecated in v1.19+" "$(cat "$WORK/warning")"
is "component statuses by name" "componentstatus/etcd-0" \
    "$(kubectl get cs --field-selector metadata.name=etcd-0 -o name 2>/dev/null)"

# --- explain, with the oldest and the newest kubectl

kubectl api-resources --no-headers | awk '{print $NF, $(NF-2), $1}' | while read -r kind version resource; do
    "$KUBECTL" explain --recursive --api-version="$version" "$resource" >"$WORK/explained" 2>&1 &&
        grep -q "^KIND: *$kind\$" "$WORK/explained" && grep -q '^FIELDS:' "$WORK/explained" || echo "$version $kind"
done >"$WORK/unexplained"
is "kinds that explain knows nothing of" "" "$(cat "$WORK/unexplained")"
if [ -n "$OLDEST" ]; then
    for resource in jobs cronjobs.spec.jobTemplate ingresses.spec.rules hpa.spec.metrics crd.spec.versions pv.spec; do
        has "explain $resource with $OLDEST" "FIELDS:" "$("$OLDEST" explain --recursive "$resource" 2>&1)"
    done
fi

lines "delete" "$(kubectl delete -f "$OBJECTS" --wait=false --now 2>/dev/null | grep -E ' (force )?deleted')"

#!/bin/bash
# Real kubectl against the apiserver: create, apply, get, edit, patch, scale, delete; subresources; every kubectl found.
. "$(dirname "$0")/lib.sh"
start_control_plane

cat >"$WORK/pod.yaml" <<POD
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  containers:
  - {name: c, image: "busybox:1", ports: [{containerPort: 80}]}
POD
cat >"$WORK/deployment.yaml" <<DEPLOYMENT
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "busybox:1"}]}
DEPLOYMENT

# The controller that would make it is not running.
kubectl create serviceaccount default -n default >/dev/null || fail "create serviceaccount"

# --- create, get, watch, apply, edit, delete
is "create -f" "pod/web created" "$(kubectl create -f "$WORK/pod.yaml" --save-config 2>&1)"
is "create -f again" 'Error from server (AlreadyExists): error when creating "POD": pods "web" already exists' \
    "$(kubectl create -f "$WORK/pod.yaml" 2>&1 | sed "s|$WORK/pod.yaml|POD|")"
is "get" "NAME READY STATUS RESTARTS web 0/1 Pending 0" \
    "$(kubectl get pods | awk '{print $1,$2,$3,$4}' | paste -sd' ')"
has "get -o wide" "<none>" "$(kubectl get pods -o wide)"
is "get -o yaml: defaults" "Always ClusterFirst 30 Pending BestEffort" \
    "$(kubectl get pod web -o jsonpath='{.spec.restartPolicy} {.spec.dnsPolicy} {.spec.terminationGracePeriodSeconds} {.status.phase} {.status.qosClass}')"
is "get -o name" "pod/web" "$(kubectl get pods -o name)"
is "get what is not there" 'Error from server (NotFound): pods "none" not found' "$(kubectl get pod none 2>&1)"
is "apply, unchanged" "pod/web unchanged" "$(kubectl apply -f "$WORK/pod.yaml" 2>&1)"
sed -i 's/busybox:1/busybox:2/' "$WORK/pod.yaml"
is "apply, configured" "pod/web configured" "$(kubectl apply -f "$WORK/pod.yaml" 2>&1)"
is "apply: image" "busybox:2" "$(kubectl get pod web -o 'jsonpath={.spec.containers[0].image}')"
has "diff shows the change" "+  - image: busybox:3" \
    "$(sed 's/busybox:2/busybox:3/' "$WORK/pod.yaml" | kubectl diff -f - | sed 's/    image/  - image/' )"
is "edit" "pod/web edited" "$(EDITOR="sed -i s/app:.web/app:\ edited/" kubectl edit pod web 2>&1)"
is "edit: label" "edited" "$(kubectl get pod web -o 'jsonpath={.metadata.labels.app}')"
is "dry run" "configmap/dry created (server dry run)" "$(kubectl create configmap dry --dry-run=server 2>&1)"
has "dry run stores nothing" NotFound "$(kubectl get configmap dry 2>&1)"
has "describe" "Labels: app=edited" "$(kubectl describe pod web | tr -s ' ')"
has "an immutable field" 'Pod "web" is invalid: spec: Forbidden: pod updates may not change fields other than' \
    "$(kubectl patch pod web -p '{"spec":{"hostname":"x"}}' 2>&1)"
is "replace" "pod/web replaced" "$(kubectl get pod web -o yaml | kubectl replace -f - 2>&1)"
! needs_kubectl 23 "wait --for=jsonpath" || is "wait" "pod/web condition met" "$(kubectl wait pod/web --for=jsonpath='{.status.phase}'=Pending --timeout=5s 2>&1)"

# --- graceful deletion: an assigned pod waits for its kubelet
kubectl create -f - >/dev/null <<NODE
{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}
NODE
is "binding: code" 201 "$(api POST /api/v1/namespaces/default/pods/web/binding -H 'Content-Type: application/json' \
    --data-binary '{"apiVersion":"v1","kind":"Binding","metadata":{"name":"web"},"target":{"kind":"Node","name":"n1"}}' >/dev/null; code)"
is "binding: node" "n1 True" "$(kubectl get pod web -o \
    'jsonpath={.spec.nodeName} {.status.conditions[?(@.type=="PodScheduled")].status}')"
api POST /api/v1/namespaces/default/pods/web/binding -H 'Content-Type: application/json' \
    --data-binary '{"apiVersion":"v1","kind":"Binding","metadata":{"name":"web"},"target":{"kind":"Node","name":"n2"}}' >/dev/null
answers "binding again" 409 Conflict
kubectl delete pod web --wait=false >/dev/null
is "deletion is graceful" "30 true" "$(kubectl get pod web -o json |
    jq -r '(.metadata.deletionGracePeriodSeconds|tostring)+" "+(.metadata.deletionTimestamp!=null|tostring)')"
kubectl delete pod web --grace-period=0 --force >/dev/null 2>&1
has "and can be forced" NotFound "$(kubectl get pod web 2>&1)"

# --- finalizers
kubectl create configmap held >/dev/null
kubectl patch configmap held --type=merge -p '{"metadata":{"finalizers":["example.com/hold"]}}' >/dev/null
kubectl delete configmap held --wait=false >/dev/null
is "a finalizer holds it" true "$(kubectl get configmap held -o json | jq '.metadata.deletionTimestamp!=null')"
kubectl patch configmap held --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]' >/dev/null
has "and lets it go" NotFound "$(kubectl get configmap held 2>&1)"
kubectl create configmap orphan >/dev/null
kubectl delete configmap orphan --cascade=foreground --wait=false >/dev/null
is "foreground deletion" foregroundDeletion "$(kubectl get configmap orphan -o 'jsonpath={.metadata.finalizers[0]}')"

# --- workloads: generation, status, scale
is "apply deployment" "deployment.apps/web created" "$(kubectl apply -f "$WORK/deployment.yaml" 2>&1)"
generation() {
    kubectl get deployment web -o 'jsonpath={.metadata.generation}'
}
is "generation" 1 "$(generation)"
kubectl label deployment web a=b >/dev/null
is "metadata does not change the generation" 1 "$(generation)"
is "scale" "deployment.apps/web scaled" "$(kubectl scale deployment web --replicas=4 2>&1)"
is "scale: replicas and generation" "4 2" "$(kubectl get deployment web -o 'jsonpath={.spec.replicas} {.metadata.generation}')"
is "the scale subresource" "Scale autoscaling/v1 4 app=web" \
    "$(kubectl get --raw /apis/apps/v1/namespaces/default/deployments/web/scale |
        jq -r '.kind+" "+.apiVersion+" "+(.spec.replicas|tostring)+" "+.status.selector')"
api PATCH /apis/apps/v1/namespaces/default/deployments/web/status -H 'Content-Type: application/merge-patch+json' \
    --data-binary '{"status":{"replicas":3},"spec":{"replicas":9}}' >/dev/null
is "status is written alone" "4 3 2" \
    "$(kubectl get deployment web -o 'jsonpath={.spec.replicas} {.status.replicas} {.metadata.generation}')"
kubectl patch deployment web --type=merge -p '{"status":{"replicas":7}}' >/dev/null
is "and only by its subresource" 3 "$(kubectl get deployment web -o 'jsonpath={.status.replicas}')"
is "set image" "deployment.apps/web image updated" "$(kubectl set image deployment/web c=busybox:9 2>&1)"
is "delete" 'deployment.apps "web" deleted' "$(kubectl delete deployment web 2>&1 | sed 's/ from default namespace//')"

# --- typed clients send protobuf
is "create deployment" "deployment.apps/d created" "$(kubectl create deployment d --image=busybox 2>&1)"
is "create service" "service/d exposed" "$(kubectl expose deployment d --port=80 2>&1)"
has "service: address" "10.96." "$(kubectl get service d -o 'jsonpath={.spec.clusterIP}')"
is "create secret" "secret/s created" "$(kubectl create secret generic s --from-literal=a=b 2>&1)"
is "secret: value" "b" "$(kubectl get secret s -o 'jsonpath={.data.a}' | base64 -d)"
is "create namespace" "namespace/n created" "$(kubectl create namespace n 2>&1)"
if needs_kubectl 28 "create token, auth whoami"; then
    has "create token" "." "$(kubectl create token default)"
    is "who am I" "admin" "$(kubectl auth whoami -o 'jsonpath={.status.userInfo.username}')"
fi
is "can I" yes "$(kubectl auth can-i create pods)"
kubectl delete namespace n --wait=false >/dev/null
is "a namespace terminates" Terminating "$(kubectl get namespace n -o 'jsonpath={.status.phase}')"

# --- events in both groups
kubectl create -f - >/dev/null <<EVENT
{"apiVersion":"v1","kind":"Event","metadata":{"name":"e1","namespace":"default"},"involvedObject":{"kind":"Pod","namespace":"default","name":"web"},
 "reason":"Tested","message":"hello","type":"Normal","source":{"component":"test"},"firstTimestamp":"2026-01-01T00:00:00Z","lastTimestamp":"2026-01-01T00:00:00Z","count":2}
EVENT
is "an event in events.k8s.io/v1" "hello Pod 2 events.k8s.io/v1" \
    "$(kubectl get --raw /apis/events.k8s.io/v1/namespaces/default/events/e1 |
        jq -r '.note+" "+.regarding.kind+" "+(.deprecatedCount|tostring)+" "+.apiVersion')"
is "listed there, too" e1 "$(kubectl get events.events.k8s.io --field-selector=regarding.kind=Pod -o 'jsonpath={.items[*].metadata.name}')"
is "and in v1" e1 "$(kubectl get events --field-selector=involvedObject.kind=Pod -o 'jsonpath={.items[*].metadata.name}')"

# --- a kind on its way out
has "Endpoints are deprecated" "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice" \
    "$(kubectl get endpoints kubernetes 2>&1)"
is "EndpointSlices are not" "" "$(kubectl get endpointslices 2>&1 | grep Warning)"

# --- generateName, logs of a pod without a node, explain
is "generateName" 2 "$(for _ in 1 2; do
    kubectl create -o name -f - <<GENERATED
{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"gen-"}}
GENERATED
done | grep -cE '^configmap/gen-[bcdfghjklmnpqrstvwxz2456789]{5}$')"
kubectl create -f "$WORK/pod.yaml" >/dev/null
is "logs of a pod that waits" "" "$(kubectl logs web 2>&1)"
has "logs of an unknown container" "container x is not valid for pod web" "$(kubectl logs web -c x 2>&1)"
has "explain" "FIELD: replicas <integer>" "$(kubectl explain deployment.spec.replicas | tr -s ' ')"
has "api-resources" "deployments" "$(kubectl api-resources)"
has "api-versions" "events.k8s.io/v1" "$(kubectl api-versions)"
is "version" 1.36 "$(kubectl version -o json | jq -r '.serverVersion | .major + "." + .minor')"
# Older ones look at the schema themselves.
! needs_kubectl 25 "validation by the server" || has "unknown fields are refused" 'strict decoding error: unknown field "spec.nonsense"' \
    "$(sed 's/^spec:/spec:\n  nonsense: 1/; s/name: web/name: web2/' "$WORK/pod.yaml" | kubectl create -f - 2>&1)"
stop_apiserver

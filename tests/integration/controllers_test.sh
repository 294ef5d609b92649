#!/bin/bash
# kube-controller-manager and kube-scheduler against a real API server, watched with real kubectl. Nodes are made by the
# test; in place of kubelets a loop renews their Leases, makes bound pods ready and ends those that are being deleted.
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC
daemon_kubeconfig kcm
daemon_kubeconfig scheduler
mkdir "$WORK/alive"

start_kcm() {
    "$KUBEC_BIN/kube-controller-manager" --kubeconfig="$WORK/kcm.kubeconfig" --use-service-account-credentials --bind-address=127.0.0.1 --secure-port="$(free_port)" \
        --leader-elect=false --allocate-node-cidrs=true --cluster-cidr=10.244.0.0/16 --root-ca-file="$WORK/ca.crt" \
        --node-monitor-grace-period=8s --node-startup-grace-period=60s >>"$WORK/kcm.log" 2>&1 &
    KCM_PID=$!
    PIDS+=("$KCM_PID")
}
start_kcm
"$KUBEC_BIN/kube-scheduler" --kubeconfig="$WORK/scheduler.kubeconfig" --bind-address=127.0.0.1 --secure-port="$(free_port)" \
    --leader-elect=false >"$WORK/scheduler.log" 2>&1 &
SCHEDULER_PID=$!
PIDS+=("$SCHEDULER_PID")

# --- the kubelets' place

request() { # <method> <path> <content type> [body]
    curl -s --max-time 10 --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' -H "Content-Type: $3" -X "$1" \
        "https://127.0.0.1:$API_PORT$2" ${4:+-d "$4"}
}

STRATEGIC=application/strategic-merge-patch+json
PODS_JQ='.items[] | select(.spec.nodeName and .metadata.labels.kubelet != "hold") |
  .metadata as $m | ([.status.conditions[]? | select(.type == "Ready" and .status == "True")] | length > 0) as $ready |
  if $m.deletionTimestamp then "end \($m.namespace) \($m.name)"
  elif ($ready or .status.phase == "Failed" or (.spec.containers[0].image | startswith("broken"))) then empty
  else "ready \($m.namespace) \($m.name) \(.spec.nodeName)" end'

kubelets() {
    local what ns name node now n=0
    while :; do
        now=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
        for node in "$WORK"/alive/*; do
            [ -e "$node" ] && request PATCH "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${node##*/}" \
                "$STRATEGIC" '{"spec":{"renewTime":"'"$now"'"}}' >/dev/null
        done
        while read -r what ns name node; do
            if [ "$what" = end ]; then
                request DELETE "/api/v1/namespaces/$ns/pods/$name?gracePeriodSeconds=0" application/json >/dev/null
            elif [ -e "$WORK/alive/$node" ]; then
                n=$((n + 1))
                request PATCH "/api/v1/namespaces/$ns/pods/$name/status" "$STRATEGIC" \
                    '{"status":{"phase":"Running","podIP":"10.9.0.'$n'","podIPs":[{"ip":"10.9.0.'$n'"}],"conditions":[
                    {"type":"Ready","status":"True","lastTransitionTime":"'"${now%.*}Z"'"}]}}' >/dev/null
            fi
        done < <(request GET /api/v1/pods application/json | jq -r "$PODS_JQ" 2>/dev/null)
        sleep 0.2 # the loop's period, no wait for anything
    done
}
kubelets &
PIDS+=("$!")

# make_node <name> [labels, JSON] [taints, JSON]
make_node() {
    kubectl create -f - >/dev/null <<NODE || fail "create node $1"
{"apiVersion":"v1","kind":"Node","metadata":{"name":"$1","labels":${2:-{\}}},"spec":{"taints":${3:-[]}}}
NODE
    kubectl create -f - >/dev/null <<LEASE || fail "create the Lease of $1"
{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"$1","namespace":"kube-node-lease"},
 "spec":{"holderIdentity":"$1","leaseDurationSeconds":40}}
LEASE
    touch "$WORK/alive/$1"
    local now
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    patch_sub nodes "$1" status '{"status":{"allocatable":{"cpu":"4","memory":"8Gi","pods":"110"},
        "capacity":{"cpu":"4","memory":"8Gi","pods":"110"},"conditions":[{"type":"Ready","status":"True",
        "reason":"KubeletReady","message":"test","lastHeartbeatTime":"'"$now"'","lastTransitionTime":"'"$now"'"}]}}'
}

# --- questions

path() { # <kind> <name> <jsonpath>
    kubectl get "$1" "$2" -o "jsonpath=$3" 2>/dev/null
}
path_is() {
    [ "$(path "$1" "$2" "$3")" = "$4" ]
}
count() { # <kind> <selector>
    kubectl get "$1" -l "$2" -o name 2>/dev/null | wc -l
}
count_is() {
    [ "$(count "$1" "$2")" -eq "$3" ]
}
gone() {
    ! kubectl get "$@"
}
must() { # <what> <seconds> <command...>
    local what=$1
    shift
    eventually "$@" || fail "$what"
}
rolled_out() {
    kubectl rollout status "$1" --timeout=25s >/dev/null || fail "$1 does not roll out"
}
events() { # <object's name> <reason>: messages
    kubectl get events --field-selector "involvedObject.name=$1,reason=$2" -o 'jsonpath={range .items[*]}{.message}{"\n"}{end}'
}
has_event() { # <name> <reason> <part>
    events "$1" "$2" | grep -qF -- "$3"
}
condition() { # <deployment> <type> <field>
    path deployment "$1" "{.status.conditions[?(@.type==\"$2\")].$3}"
}
condition_is() {
    [ "$(condition "$1" "$2" "$3")" = "$4" ]
}
revision_is() {
    path_is "$1" "$2" '{.metadata.annotations.deployment\.kubernetes\.io/revision}' "$3"
}

deployment() { # <name> <replicas> [more of the spec]
    cat <<DEPLOYMENT
apiVersion: apps/v1
kind: Deployment
metadata: {name: $1}
spec:
  replicas: $2
  selector: {matchLabels: {app: $1}}
  ${3-}
  template:
    metadata: {labels: {app: $1}}
    spec: {containers: [{name: c, image: "app:1"}]}
DEPLOYMENT
}

echo "--- service accounts and the CA of a namespace"
must "default ServiceAccount" 15 kubectl get sa default
must "kube-root-ca.crt" 15 kubectl get cm kube-root-ca.crt
is "CA" "$(cat "$WORK/ca.crt")" "$(path cm kube-root-ca.crt '{.data.ca\.crt}')"
kubectl delete sa/default cm/kube-root-ca.crt >/dev/null
must "default ServiceAccount again" 10 kubectl get sa default
must "kube-root-ca.crt again" 10 kubectl get cm kube-root-ca.crt
kubectl patch cm kube-root-ca.crt -p '{"data":{"ca.crt":"changed"}}' >/dev/null
must "kube-root-ca.crt is put right" 10 path_is cm kube-root-ca.crt '{.data.ca\.crt}' "$(cat "$WORK/ca.crt")"

echo "--- no nodes, a node that does not do, a node"
deployment web 4 | kubectl apply -f - >/dev/null
must "pods of web" 10 count_is pods app=web 4
pod=$(kubectl get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
must "FailedScheduling without nodes" 10 has_event "$pod" FailedScheduling "no nodes available to schedule pods"
make_node n0 '{"disk":"ssd"}' '[{"key":"only","value":"x","effect":"NoSchedule"}]'
must "FailedScheduling with a taint" 15 has_event "$pod" FailedScheduling \
    "0/1 nodes are available: 1 node(s) had untolerated taint"
make_node n1 '{"disk":"ssd"}'
make_node n2 '{"disk":"hdd"}'
rolled_out deployment/web
must "Scheduled" 5 has_event "$pod" Scheduled "Successfully assigned default/$pod to n"
is "nothing on the tainted node" "" "$(kubectl get pods --field-selector spec.nodeName=n0 -o name)"
cidrs=$(kubectl get nodes -o 'jsonpath={range .items[*]}{.spec.podCIDR}{"\n"}{end}' | sort -u)
is "distinct pod CIDRs" 3 "$(grep -cE '^10\.244\.[0-9]+\.0/24$' <<<"$cidrs")"

echo "--- a node that goes: its pods are collected at the end"
kubectl create -f - >/dev/null <<POD
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"lost","labels":{"kubelet":"hold"}},
 "spec":{"nodeName":"nowhere","containers":[{"name":"c","image":"app:1"}]}}
POD

echo "--- Deployment: rollout, rollback, pause, resume"
is "complete" NewReplicaSetAvailable "$(condition web Progressing reason)"
is "available" "True MinimumReplicasAvailable" "$(condition web Available status) $(condition web Available reason)"
must "revision" 5 revision_is deployment web 1
must "ScalingReplicaSet" 5 has_event web ScalingReplicaSet "from 0 to 4"
kubectl set image deployment/web c=app:2 >/dev/null
rolled_out deployment/web
must "revision after an update" 5 revision_is deployment web 2
is "images" "app:2 app:2 app:2 app:2" "$(kubectl get pods -l app=web -o json |
    jq -r '[.items[] | select(.metadata.deletionTimestamp == null) | .spec.containers[0].image] | join(" ")')"
is "two ReplicaSets" 2 "$(count rs app=web)"
kubectl rollout undo deployment/web >/dev/null
rolled_out deployment/web
must "revision after a rollback" 5 revision_is deployment web 3
is "image after a rollback" app:1 "$(path deployment web '{.spec.template.spec.containers[0].image}')"
is "a rollback makes no ReplicaSet" 2 "$(count rs app=web)"
is "what the set was before" 1 "$(kubectl get rs -l app=web -o json |
    jq -r '.items[].metadata.annotations["deployment.kubernetes.io/revision-history"] // empty')"
kubectl rollout pause deployment/web >/dev/null
must "paused" 5 condition_is web Progressing reason DeploymentPaused
kubectl set image deployment/web c=app:4 >/dev/null
kubectl scale deployment/web --replicas=2 >/dev/null
must "a paused Deployment scales" 10 path_is deployment web '{.status.replicas}' 2
is "a paused Deployment does not roll out" 2 "$(count rs app=web)"
kubectl rollout resume deployment/web >/dev/null
rolled_out deployment/web
is "resumed" 3 "$(count rs app=web)"

echo "--- Deployment: Recreate, history, deadline"
deployment re 2 "strategy: {type: Recreate}
  revisionHistoryLimit: 1" | kubectl apply -f - >/dev/null
rolled_out deployment/re
for i in 2 3; do
    kubectl set image deployment/re c=app:$i >/dev/null
    rolled_out deployment/re
done
must "revisionHistoryLimit" 10 count_is rs app=re 2
is "the newest old one stays" "2 3" "$(kubectl get rs -l app=re -o json |
    jq -r '[.items[].metadata.annotations["deployment.kubernetes.io/revision"]] | sort | join(" ")')"
kubectl patch deployment re -p '{"spec":{"progressDeadlineSeconds":2}}' >/dev/null
kubectl set image deployment/re c=broken:1 >/dev/null
must "deadline" 15 condition_is re Progressing reason ProgressDeadlineExceeded
is "deadline: status" False "$(condition re Progressing status)"
has "deadline: message" "has timed out progressing." "$(condition re Progressing message)"
kubectl delete deployment re >/dev/null

echo "--- Deployment: proportional scaling in the middle of a rollout"
deployment prop 10 "strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 3, maxUnavailable: 2}}" |
    kubectl apply -f - >/dev/null
rolled_out deployment/prop
sets_are() { # <sizes>
    [ "$(kubectl get rs -l app=prop -o json | jq -r '[.items | sort_by(.metadata.annotations["deployment.kubernetes.io/revision"]) |
        .[].spec.replicas] | join(" ")')" = "$1" ]
}
kubectl set image deployment/prop c=broken:1 >/dev/null
must "a rollout that does not get on" 15 sets_are "8 5"
kubectl scale deployment/prop --replicas=15 >/dev/null
must "scaled in proportion" 15 sets_are "11 7"
kubectl delete deployment prop >/dev/null

echo "--- ReplicaSet: adoption and release"
kubectl create -f - >/dev/null <<RS
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"orphan","labels":{"app":"rs"}},
 "spec":{"containers":[{"name":"c","image":"app:1"}]}}
{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"rs"},"spec":{"replicas":2,
 "selector":{"matchLabels":{"app":"rs"}},"template":{"metadata":{"labels":{"app":"rs"}},
 "spec":{"containers":[{"name":"c","image":"app:1"}]}}}}
RS
must "ready" 15 path_is rs rs '{.status.readyReplicas}' 2
is "adopted" "ReplicaSet/rs" "$(path pod orphan '{.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}')"
is "two pods" 2 "$(count pods app=rs)"
kubectl label pod orphan app=free --overwrite >/dev/null
must "released" 10 path_is pod orphan '{.metadata.ownerReferences}' ""
must "replaced" 10 path_is rs rs '{.status.readyReplicas}' 2

echo "--- ReplicationController"
kubectl create -f - >/dev/null <<RC
{"apiVersion":"v1","kind":"ReplicationController","metadata":{"name":"rc"},"spec":{"replicas":2,
 "selector":{"app":"rc"},"template":{"metadata":{"labels":{"app":"rc"}},
 "spec":{"containers":[{"name":"c","image":"app:1"}]}}}}
RC
must "RC is ready" 15 path_is rc rc '{.status.readyReplicas}' 2
kubectl scale rc rc --replicas=1 >/dev/null
must "RC is scaled" 15 count_is pods app=rc 1

echo "--- DaemonSet"
kubectl create -f - >/dev/null <<DS
{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"ds"},"spec":{"selector":{"matchLabels":{"app":"ds"}},
 "template":{"metadata":{"labels":{"app":"ds"}},"spec":{"containers":[{"name":"c","image":"app:1"}]}}}}
DS
rolled_out ds/ds
ds_nodes() {
    kubectl get pods -l app=ds -o json |
        jq -r '[.items[] | select(.metadata.deletionTimestamp == null) | .spec.nodeName] | sort | join(" ")'
}
ds_nodes_are() {
    [ "$(ds_nodes)" = "$1" ]
}
is "not on the tainted node" "n1 n2" "$(ds_nodes)"
kubectl taint node n0 only- >/dev/null
must "on a node without the taint" 10 ds_nodes_are "n0 n1 n2"
kubectl taint node n0 only=x:NoExecute >/dev/null
must "off a node with NoExecute" 10 ds_nodes_are "n1 n2"
kubectl patch ds ds -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"hdd"}}}}}' >/dev/null
must "by nodeSelector" 15 ds_nodes_are "n2"
kubectl patch ds ds --type=json -p '[{"op":"remove","path":"/spec/template/spec/nodeSelector"},
    {"op":"replace","path":"/spec/template/spec/containers/0/image","value":"app:2"}]' >/dev/null
rolled_out ds/ds
is "updated" "n1:app:2 n2:app:2" "$(kubectl get pods -l app=ds -o json |
    jq -r '[.items[] | select(.metadata.deletionTimestamp == null) | .spec.nodeName + ":" + .spec.containers[0].image] | sort | join(" ")')"
is "three revisions" 3 "$(count controllerrevisions app=ds)"

echo "--- Endpoints and EndpointSlices"
pod_with_port() { # <name> <port> <ready: True or False> <address>
    kubectl create -f - >/dev/null <<POD
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"$1","labels":{"app":"ep","kubelet":"hold"},"finalizers":["test/hold"]},
 "spec":{"nodeName":"n1","containers":[{"name":"c","image":"app:1","ports":[{"name":"http","containerPort":$2}]}]}}
POD
    patch_sub pods "$1" status '{"status":{"phase":"Running","podIP":"'"$4"'",
        "podIPs":[{"ip":"'"$4"'"}],"conditions":[{"type":"Ready","status":"'"$3"'"}]}}'
}
kubectl create -f - >/dev/null <<SERVICE
{"apiVersion":"v1","kind":"Service","metadata":{"name":"ep"},
 "spec":{"selector":{"app":"ep"},"ports":[{"name":"web","port":80,"targetPort":"http"}]}}
SERVICE
slices() {
    kubectl get endpointslices -l kubernetes.io/service-name=ep -o json | jq -rc '[.items[] | (.ports[0].port // 0) as $p |
        .endpoints[]? | "\(.addresses[0]):\($p) \(.conditions.ready) \(.conditions.serving) \(.conditions.terminating)"] |
        sort | join(", ")'
}
slices_are() {
    [ "$(slices)" = "$1" ]
}
endpoints() {
    kubectl get endpoints ep -o json 2>/dev/null | jq -rc '[.subsets[]? | .ports[0].port as $p |
        (.addresses[]? | "\(.ip):\($p)"), (.notReadyAddresses[]? | "!\(.ip):\($p)")] | sort | join(" ")'
}
endpoints_are() {
    [ "$(endpoints)" = "$1" ]
}
must "an empty slice" 10 count_is endpointslices kubernetes.io/service-name=ep 1
pod_with_port e1 8080 True 10.8.0.1
pod_with_port e2 9090 True 10.8.0.2
pod_with_port e3 8080 False 10.8.0.3
must "slices" 10 slices_are \
    "10.8.0.1:8080 true true false, 10.8.0.2:9090 true true false, 10.8.0.3:8080 false false false"
must "one slice for each number of the port" 10 count_is endpointslices kubernetes.io/service-name=ep 2
must "endpoints" 10 endpoints_are "!10.8.0.3:8080 10.8.0.1:8080 10.8.0.2:9090"
kubectl delete pod e1 --wait=false >/dev/null
must "slices with a terminating pod" 10 slices_are \
    "10.8.0.1:8080 false true true, 10.8.0.2:9090 true true false, 10.8.0.3:8080 false false false"
must "endpoints without it" 10 endpoints_are "!10.8.0.3:8080 10.8.0.2:9090"
is "address's node and pod" "n1 e2" "$(kubectl get endpoints ep -o json |
    jq -r '.subsets[] | .addresses[]? | "\(.nodeName) \(.targetRef.name)"')"
kubectl delete service ep >/dev/null
must "slices go with the Service" 10 count_is endpointslices kubernetes.io/service-name=ep 0
must "endpoints go with the Service" 10 gone endpoints ep
for pod in e1 e2 e3; do
    kubectl patch pod $pod --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]' >/dev/null
done
kubectl delete pods -l app=ep --force --grace-period=0 >/dev/null 2>&1

echo "--- garbage collection"
kubectl delete rs rs >/dev/null
must "background: pods go after their owner" 15 count_is pods app=rs 0
kubectl delete rc rc --cascade=foreground --wait=false >/dev/null
must "foreground: the owner goes with its pods" 15 gone rc rc
is "foreground: pods" 0 "$(count pods app=rc)"
kubectl delete deployment web --cascade=orphan >/dev/null
must "orphans stay" 10 gone deployment web
owners_are() {
    [ "$(kubectl get rs -l app=web -o json | jq '[.items[].metadata.ownerReferences[]?] | length')" = "$1" ]
}
must "orphans have no owner" 10 owners_are 0
is "orphans" 3 "$(count rs app=web)"
deployment web 2 | sed 's/app:1/app:4/' | kubectl apply -f - >/dev/null
must "orphans are adopted" 10 owners_are 3
rolled_out deployment/web
is "nothing new" 3 "$(count rs app=web)"
# A new controller manager finds dependents that it did not see coming.
kill "$KCM_PID"
wait_gone "$KCM_PID" 15 || fail "kube-controller-manager does not end"
start_kcm
kubectl delete deployment web >/dev/null
must "a chain of owners" 15 count_is rs,pods app=web 0
# Kinds that no other controller reads: what there is to watch comes from discovery.
kubectl create role owner --verb=get --resource=pods >/dev/null
owner=$(path role owner '{.metadata.uid}')
for kind in v1/ConfigMap coordination.k8s.io/v1/Lease; do
    kubectl create -f - >/dev/null <<OWNED
{"apiVersion":"${kind%/*}","kind":"${kind##*/}","metadata":{"name":"owned","ownerReferences":[
 {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","name":"owner","uid":"$owner"}]}}
OWNED
done
kubectl delete role owner >/dev/null
must "a ConfigMap of a Role" 10 gone configmap owned
must "a Lease of a Role" 10 gone lease owned

echo "--- a namespace with content and a finalizer"
kubectl create namespace doomed >/dev/null
kubectl create -f - >/dev/null <<MAP
{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"held","namespace":"doomed","finalizers":["test/hold"]}}
MAP
kubectl create secret generic s -n doomed >/dev/null
kubectl delete namespace doomed --wait=false >/dev/null
must "content goes" 10 gone secret s -n doomed
namespace_says() {
    path ns doomed "{.status.conditions[?(@.type==\"$1\")].message}" | grep -qF "$2"
}
must "what remains is told" 10 namespace_says NamespaceFinalizersRemaining "test/hold in 1 resource instances"
is "terminating" Terminating "$(path ns doomed '{.status.phase}')"
kubectl patch cm held -n doomed --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]' >/dev/null
must "the namespace goes" 20 gone ns doomed

echo "--- a silent node"
kubectl create -f - >/dev/null <<POD
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"short","labels":{"app":"silent"}},"spec":{"nodeName":"n2",
 "tolerations":[{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":1}],
 "containers":[{"name":"c","image":"app:1"}]}}
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"long","labels":{"app":"silent"}},"spec":{"nodeName":"n2",
 "containers":[{"name":"c","image":"app:1"}]}}
POD
pod_ready_is() {
    path_is pod "$1" '{.status.conditions[?(@.type=="Ready")].status}' "$2"
}
must "ready before" 10 pod_ready_is long True
rm "$WORK/alive/n2"
must "Unknown" 20 path_is node n2 '{.status.conditions[?(@.type=="Ready")].status}' Unknown
is "reason" NodeStatusUnknown "$(path node n2 '{.status.conditions[?(@.type=="Ready")].reason}')"
is "message" "Kubelet stopped posting node status." "$(path node n2 '{.status.conditions[?(@.type=="Ready")].message}')"
must "taints" 10 path_is node n2 '{range .spec.taints[*]}{.key}:{.effect} {end}' \
    "node.kubernetes.io/unreachable:NoSchedule node.kubernetes.io/unreachable:NoExecute "
must "its pods are not ready" 10 pod_ready_is long False
must "evicted after tolerationSeconds" 10 gone pod short
must "TaintManagerEviction" 5 has_event short TaintManagerEviction "Marking for deletion Pod default/short"
kubectl get pod long >/dev/null || fail "a pod that tolerates for 300 s stays"
touch "$WORK/alive/n2"
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
patch_sub nodes n2 status '{"status":{"conditions":[{"type":"Ready","status":"True",
    "reason":"KubeletReady","lastHeartbeatTime":"'"$now"'","lastTransitionTime":"'"$now"'"}]}}'
must "the taints go with the silence" 10 path_is node n2 '{.spec.taints}' ""

echo "--- the pod of the node that went"
must "pod GC" 45 gone pod lost

echo "--- the end"
for daemon in "kube-scheduler:$SCHEDULER_PID" "kube-controller-manager:$KCM_PID"; do
    kill "${daemon#*:}"
    wait_gone "${daemon#*:}" 20 || fail "${daemon%:*} does not end"
    wait "${daemon#*:}"
    is "exit status of ${daemon%:*}" 0 $?
done
if grep -nE -A30 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$WORK/kcm.log" "$WORK/scheduler.log"; then
    fail "the sanitizers complain"
fi
[ $FAILURES -eq 0 ] || tail -n 40 "$WORK/kcm.log" "$WORK/scheduler.log" >&2

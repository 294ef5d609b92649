#!/bin/bash
# The kubelet with a real containerd, etcd and kube-apiserver, in a network namespace of its own: node, pods of the API and of
# manifests, restarts of everything, deletion.
if [ -z "${KUBELET_TEST_NS-}" ]; then
    KUBELET_TEST_NS=1 exec unshare --net bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

. "$(dirname "$0")/node.sh"

start_node --feature-gates=ClusterTrustBundle=true,ClusterTrustBundleProjection=true --runtime-config=certificates.k8s.io/v1beta1

echo "--- the node"
eventually 20 get node node1 || { tail -n 20 "$WORK/kubelet.log"; exit 1; }
node_ready() { [ "$(get node node1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = "$1" ]; }
eventually 10 node_ready False || fail "a node without a network is not ready"
has "reason" "NetworkPluginNotReady" "$(get node node1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].message}')"
"$KUBECTL" patch node node1 -p '{"spec":{"podCIDR":"10.244.7.0/24","podCIDRs":["10.244.7.0/24"]}}' >/dev/null
eventually 20 node_ready True || fail "the node gets ready with its pod CIDR"
is "reason" KubeletReady "$(get node node1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].reason}')"
is "addresses" "InternalIP=10.123.9.1 Hostname=node1 " \
    "$(get node node1 -o 'jsonpath={range .status.addresses[*]}{.type}={.address} {end}')"
eventually 15 get lease -n kube-node-lease node1 || fail "the node has a Lease"

echo "--- a pod"
pod_yaml web "$FOREVER" | "$KUBECTL" apply -f - >/dev/null
eventually 20 pod_ready web || fail "the pod gets ready"
has "address" 10.244.7. "$(pod web '{.status.podIP}')"
is "phase" Running "$(pod web '{.status.phase}')"
has "events" "Started:Container started" "$(events web)"
has "log" "stdout F started" "$(cat "$WORK"/logs/pods/default_web_*/c/0.log)"
is "kubectl logs" started "$("$KUBECTL" logs web)"

echo "--- its process ends: another one within a second"
first=$(container_id web)
kill -9 "$(container_pid web)"
eventually 5 pod_is web '{.status.containerStatuses[0].restartCount}' 1 || fail "the container is restarted"
is "exit code" 137 "$(pod web '{.status.containerStatuses[0].lastState.terminated.exitCode}')"
[ "$first" != "$(container_id web)" ] || fail "the container is a new one"

echo "--- the kubelet is killed: the container does not notice, and its end is seen afterwards"
eventually 5 pod_ready web
before=$(container_pid web)
kill -9 "$KUBELET_PID" && wait_gone "$KUBELET_PID" 5
start_kubelet
eventually 10 node_ready True
pod_yaml second "$FOREVER" | "$KUBECTL" apply -f - >/dev/null
eventually 20 pod_ready second || fail "a pod starts after a restart of the kubelet"
is "process" "$before" "$(container_pid web)"
is "restarts" 1 "$(pod web '{.status.containerStatuses[0].restartCount}')"

echo "--- containerd is killed: containers go on"
kill -9 "$CONTAINERD_PID" && wait_gone "$CONTAINERD_PID" 5
start_containerd || fail "containerd starts again"
eventually 20 node_ready True
is "process" "$before" "$(container_pid web)"
pod_yaml third "exit 3" "restartPolicy: Never" | "$KUBECTL" apply -f - >/dev/null
eventually 20 pod_is third '{.status.phase}' Failed || fail "a pod that fails is Failed"
is "exit code" 3 "$(pod third '{.status.containerStatuses[0].state.terminated.exitCode}')"
is "reason" Error "$(pod third '{.status.containerStatuses[0].state.terminated.reason}')"

echo "--- init containers in order, then Succeeded"
"$KUBECTL" apply -f - >/dev/null <<'POD'
apiVersion: v1
kind: Pod
metadata: {name: steps, namespace: default}
spec:
  nodeName: node1
  automountServiceAccountToken: false
  restartPolicy: OnFailure
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - {name: one, image: "docker.io/library/busybox:1.35", command: [sh, -c, "echo 1 >>/v/f"], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: two, image: "docker.io/library/busybox:1.35", command: [sh, -c, "echo 2 >>/v/f"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: c, image: "docker.io/library/busybox:1.35", command: [sh, -c, "cat /v/f >/dev/termination-log"], volumeMounts: [{name: v, mountPath: /v}]}
POD
eventually 20 pod_is steps '{.status.phase}' Succeeded || fail "the pod succeeds"
is "termination message" "1
2" "$(pod steps '{.status.containerStatuses[0].state.terminated.message}')"

echo "--- images that cannot be had"
pod_yaml never true | sed 's/busybox:1.35/nosuch:1\n    imagePullPolicy: Never/' | "$KUBECTL" apply -f - >/dev/null
eventually 10 pod_is never '{.status.containerStatuses[0].state.waiting.reason}' ErrImageNeverPull || fail "ErrImageNeverPull"
pod_yaml nopull true | sed 's,docker.io/library/busybox:1.35,127.0.0.1:1/nosuch:1,' | "$KUBECTL" apply -f - >/dev/null
eventually 20 pod_is nopull '{.status.containerStatuses[0].state.waiting.reason}' ErrImagePull || fail "ErrImagePull"

echo "--- deletion with grace"
pod_yaml slow "trap 'sleep 1; exit 0' TERM; while true; do sleep 0.1; done" | "$KUBECTL" apply -f - >/dev/null
eventually 20 pod_ready slow || fail "the pod gets ready"
id=$(container_id slow)
"$KUBECTL" delete pod slow --wait=false >/dev/null
is "grace" 5 "$(pod slow '{.metadata.deletionGracePeriodSeconds}')"
eventually 10 gone slow || fail "a deleted pod goes"
ctr_ containers ls -q | grep -q "$id" && sleep 1
ctr_ containers ls -q | grep -q "$id" && fail "its container is removed"
"$KUBECTL" delete pod web second third steps never nopull --wait=false >/dev/null
for p in web second third steps never nopull; do eventually 15 gone $p || fail "$p goes"; done

echo "--- a debugging container joins a running pod"
pod_yaml patient "$FOREVER" | "$KUBECTL" apply -f - >/dev/null
eventually 20 pod_ready patient || fail "the pod gets ready"
DEBUG='echo here; ls /proc | grep -qx 1 && exit 7'
if needs_kubectl 32 "kubectl debug, the API in its place"; then
    "$KUBECTL" debug patient --image=docker.io/library/busybox:1.35 -c dbg --target=c --attach=false -- sh -c "$DEBUG" \
        >/dev/null 2>&1 || fail "kubectl debug"
else
    patch_sub pods patient ephemeralcontainers '{"spec":{"ephemeralContainers":[{"name":"dbg","targetContainerName":"c",
        "image":"docker.io/library/busybox:1.35","imagePullPolicy":"IfNotPresent","command":["sh","-c","'"$DEBUG"'"]}]}}'
fi
eventually 20 pod_is patient '{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}' 7 || fail "it runs and ends"
is "its log" here "$("$KUBECTL" logs patient -c dbg)"
is "the pod is as it was" "Running 0" "$(pod patient '{.status.phase} {.status.containerStatuses[0].restartCount}')"
"$KUBECTL" delete pod patient --wait=false >/dev/null

echo "--- a pod is resized in place"
pod_yaml size "$FOREVER" | "$KUBECTL" apply --dry-run=client -o json -f - | jq '.spec.containers[0] += {"resources":{
    "requests":{"cpu":"100m","memory":"64Mi"},"limits":{"cpu":"200m","memory":"128Mi"}},
    "resizePolicy":[{"resourceName":"cpu","restartPolicy":"NotRequired"},{"resourceName":"memory","restartPolicy":"RestartContainer"}]}' |
    "$KUBECTL" create -f - >/dev/null
eventually 20 pod_ready size || fail "the pod gets ready"
resize() { patch_sub pods size resize '{"spec":{"containers":[{"name":"c","resources":'"$1"'}]}}'; }
resources_are() { pod_is size '{.status.containerStatuses[0].resources.requests.cpu} {.status.containerStatuses[0].resources.limits.memory} {.status.containerStatuses[0].allocatedResources.cpu}' "$1"; }
pending_is() { pod_is size '{.status.conditions[?(@.type=="PodResizePending")].reason}' "$1"; }
shares() { ctr_ containers info "$(container_id size)" | jq .Spec.linux.resources.cpu.shares; }
before=$(container_pid size)
resize '{"requests":{"cpu":"150m"}}'
eventually 10 resources_are "150m 128Mi 150m" || fail "CPU is resized"
is "the runtime knows" 153 "$(shares)"
is "the process goes on" "$before" "$(container_pid size)"
has "events" 'ResizeStarted:Pod resize started: {"containers":[{"name":"c"' "$(events size)"
completed() { events size | grep -q '^ResizeCompleted:Pod resize completed: '; }
eventually 5 completed || fail "ResizeCompleted"
resize '{"limits":{"memory":"160Mi"}}'
eventually 20 pod_is size '{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].resources.limits.memory}' "1 160Mi" ||
    fail "memory is resized by a restart"
capacity=$(get node node1 -o 'jsonpath={.status.allocatable.cpu}')
resize '{"requests":{"cpu":"500"},"limits":{"cpu":"500"}}'
eventually 10 pending_is Infeasible || fail "more than the node has"
has "message" "Node didn't have enough capacity: cpu, requested: 500000, capacity: " \
    "$(pod size '{.status.conditions[?(@.type=="PodResizePending")].message}')"
pod_yaml hog "$FOREVER" | "$KUBECTL" apply --dry-run=client -o json -f - |
    jq '.spec.containers[0].resources.requests.cpu = "'$((capacity * 1000 - 500))'m"' | "$KUBECTL" create -f - >/dev/null
eventually 20 pod_ready hog || fail "hog gets ready: what is only wanted does not count"
resize '{"requests":{"cpu":"450m"},"limits":{"cpu":"600m"}}'
eventually 10 resources_are "450m 160Mi 450m" || fail "there is room for that"
resize '{"requests":{"cpu":"600m"}}'
eventually 10 pending_is Deferred || fail "not at the moment"
kill -9 "$KUBELET_PID" && wait_gone "$KUBELET_PID" 5
start_kubelet --feature-gates=ClusterTrustBundle=true,ClusterTrustBundleProjection=true --sync-frequency=1s
eventually 10 node_ready True
pod_yaml later "$FOREVER" | "$KUBECTL" apply -f - >/dev/null
eventually 20 pod_ready later || fail "a pod starts after a restart of the kubelet"
pending_is Deferred || fail "a restart of the kubelet does not give what was refused"
resources_are "450m 160Mi 450m" || fail "nor does it forget what was given: $(pod size '{.status.containerStatuses[0]}')"
"$KUBECTL" delete pod hog --wait=false >/dev/null
eventually 20 resources_are "600m 160Mi 600m" || fail "it gets it when there is room"
eventually 5 pending_is "" || fail "and nothing is pending any more: $(pod size "{.status.conditions}")"
is "no other restart" 1 "$(pod size '{.status.containerStatuses[0].restartCount}')"
"$KUBECTL" delete pod size later --wait=false >/dev/null
for p in patient size hog later; do eventually 15 gone $p || fail "$p goes"; done

echo "--- certificates of ClusterTrustBundles: without repetitions, and what changes arrives"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout "$WORK/other.key" -out "$WORK/other.crt" 2>/dev/null
bundle() { # <name> <file>
    jq -n --arg name "$1" --rawfile pem "$2" '{apiVersion: "certificates.k8s.io/v1beta1", kind: "ClusterTrustBundle",
        metadata: {name: $name, labels: {use: "it"}}, spec: {signerName: "example.com/ca", trustBundle: $pem}}' | "$KUBECTL" apply -f - >/dev/null
}
bundle example.com:ca:one "$WORK/ca.crt" && bundle example.com:ca:two "$WORK/ca.crt" || fail "bundles"
pod_yaml trusting "$FOREVER" 'volumes: [{name: trust, projected: {sources: [
    {clusterTrustBundle: {signerName: example.com/ca, labelSelector: {matchLabels: {use: it}}, path: signer.pem}},
    {clusterTrustBundle: {name: "example.com:ca:one", path: one.pem}},
    {clusterTrustBundle: {name: none, optional: true, path: none.pem}}]}}]' >"$WORK/trusting.yaml"
cat >>"$WORK/trusting.yaml" <<<'    volumeMounts: [{name: trust, mountPath: /trust}]'
"$KUBECTL" apply -f "$WORK/trusting.yaml" >/dev/null || fail "the pod"
eventually 60 pod_ready trusting || { fail "the pod starts"; events trusting; }
trusted() { cat "$WORK/kubelet/pods/$(pod trusting '{.metadata.uid}')/volumes/kubernetes.io~projected/trust/$1"; }
is "by signer: each certificate once" "$(openssl x509 -in "$WORK/ca.crt")" "$(trusted signer.pem)"
is "by name" "$(openssl x509 -in "$WORK/ca.crt")" "$("$KUBECTL" exec trusting -- cat /trust/one.pem)"
is "none, but optional" "" "$(trusted none.pem)"
bundle example.com:ca:two "$WORK/other.crt"
both() { [ "$(trusted signer.pem | grep -c BEGIN)" = 2 ]; }
eventually 60 both || fail "the new certificate is there"
pod_yaml untrusting "$FOREVER" 'volumes: [{name: trust, projected: {sources: [{clusterTrustBundle: {name: none, path: x}}]}}]' >"$WORK/untrusting.yaml"
cat >>"$WORK/untrusting.yaml" <<<'    volumeMounts: [{name: trust, mountPath: /trust}]'
"$KUBECTL" apply -f "$WORK/untrusting.yaml" >/dev/null
waits() { events untrusting | grep -q 'FailedMount:MountVolume.SetUp failed for volume "trust" : while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "none" not found'; }
eventually 60 waits || fail "a bundle that is not there is waited for: $(events untrusting)"
"$KUBECTL" delete pod trusting untrusting --wait=false >/dev/null
for p in trusting untrusting; do eventually 60 gone $p || fail "$p goes"; done

echo "--- a static pod and its mirror"
pod_yaml fixed "$FOREVER" | sed '/nodeName/d; /automount/d' >"$WORK/manifests/fixed.yaml"
eventually 20 pod_ready fixed-node1 || fail "the mirror of a static pod is ready"
is "source" file "$(pod fixed-node1 '{.metadata.annotations.kubernetes\.io/config\.source}')"
"$KUBECTL" delete pod fixed-node1 --wait=false >/dev/null
eventually 15 pod_ready fixed-node1 || fail "a deleted mirror comes back"
rm "$WORK/manifests/fixed.yaml"
eventually 20 gone fixed-node1 || fail "the mirror goes with the manifest"
none_left() { [ -z "$(ctr_ containers ls -q)" ] && [ -z "$(ls "$WORK/kubelet/pods")" ] && [ -z "$(ls "$WORK/logs/pods")" ]; }
eventually 20 none_left || fail "nothing is left: $(ctr_ containers ls; ls "$WORK/kubelet/pods" "$WORK/logs/pods")"

kill "$KUBELET_PID"
wait_gone "$KUBELET_PID" 20 || fail "the kubelet ends"
wait "$KUBELET_PID"
is "exit status of the kubelet" 0 $?
if grep -nE 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$WORK/kubelet.log"; then fail "the sanitizers complain"; fi
[ $FAILURES -eq 0 ] || tail -n 40 "$WORK/kubelet.log" >&2

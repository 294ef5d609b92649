#!/bin/bash
# ClusterIPs as IPAddress and ServiceCIDR objects: two API servers, real kubectl, kube-controller-manager.
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC --service-cluster-ip-range=10.96.0.0/28
daemon_kubeconfig kcm
"$KUBEC_BIN/kube-controller-manager" --kubeconfig="$WORK/kcm.kubeconfig" --use-service-account-credentials --bind-address=127.0.0.1 --secure-port="$(free_port)" \
    --leader-elect=false --controllers=service-cidr-controller >"$WORK/kcm.log" 2>&1 &
KCM_PID=$!
PIDS+=("$KCM_PID")

must() { # <what> <seconds> <command...>
    local what=$1
    shift
    eventually "$@" || fail "$what"
}
cidr() { kubectl get servicecidr "$1" -o "jsonpath=$2" 2>/dev/null; }
cidr_is() { [ "$(cidr "$1" "$2")" = "$3" ]; }
ip_of() { kubectl get service "$1" -o 'jsonpath={.spec.clusterIP}'; }
parent_is() { [ "$(kubectl get ipaddress "$1" -o 'jsonpath={.spec.parentRef.resource} {.spec.parentRef.namespace}/{.spec.parentRef.name}' 2>/dev/null)" = "$2" ]; }
gone() { ! kubectl get "$@"; }
has_event() { kubectl get events -o 'jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}' | grep -qxF -- "$1"; }

echo "--- the default ServiceCIDR"
must "kubernetes" 10 cidr_is kubernetes '{.spec.cidrs[0]}' 10.96.0.0/28
must "ready" 10 cidr_is kubernetes '{.status.conditions[?(@.type=="Ready")].status}' True
must "protected" 10 cidr_is kubernetes '{.metadata.finalizers[0]}' networking.k8s.io/service-cidr-finalizer
must "the API's own address" 10 parent_is 10.96.0.1 "services default/kubernetes"

echo "--- a Service has an address while it exists"
kubectl create service clusterip a --tcp=80 >/dev/null || fail "create service"
a=$(ip_of a)
must "its address" 5 parent_is "$a" "services default/a"
is "labels" "IPv4 ipallocator.k8s.io" "$(kubectl get ipaddress "$a" -o \
    'jsonpath={.metadata.labels.ipaddress\.kubernetes\.io/ip-family} {.metadata.labels.ipaddress\.kubernetes\.io/managed-by}')"
has "it is given once" "failed to allocate IP $a: provided IP is already allocated" \
    "$(kubectl create service clusterip b --tcp=80 --clusterip="$a" 2>&1)"
kubectl delete service a >/dev/null
must "it goes with the Service" 5 gone ipaddress "$a"

echo "--- the range is full; another one helps"
for i in $(seq 13); do kubectl create service clusterip "s$i" --tcp=80 >/dev/null || fail "service $i"; done
has "full" "Internal error occurred: failed to allocate a serviceIP: range is full" \
    "$(kubectl create service clusterip more --tcp=80 2>&1)"
kubectl create -f - >/dev/null <<<'{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"name":"more"},"spec":{"cidrs":["10.97.0.0/24"]}}' ||
    fail "create servicecidr"
must "ready" 10 cidr_is more '{.status.conditions[?(@.type=="Ready")].message}' "Kubernetes Service CIDR is ready"
kubectl create service clusterip more --tcp=80 >/dev/null || fail "there is room"
has "from the new range" 10.97.0. "$(ip_of more)"

echo "--- a range with addresses in use stays"
kubectl delete servicecidr more --wait=false >/dev/null
must "Terminating" 10 cidr_is more '{.status.conditions[?(@.type=="Ready")].reason}' Terminating
has "nothing is given from it" "failed to allocate a serviceIP: range is full" \
    "$(kubectl create service clusterip late --tcp=80 2>&1)"
kubectl delete service more >/dev/null
must "gone" 25 gone servicecidr more

echo "--- repair"
s1=$(ip_of s1)
kubectl delete ipaddress "$s1" >/dev/null
must "an address in use comes back" 25 parent_is "$s1" "services default/s1"
must "event" 5 has_event "ClusterIPNotAllocated: Cluster IP [IPv4]: $s1 is not allocated; repairing"

echo "--- two API servers"
FIRST=$API_PORT
API_PORT=$(free_port)
start_apiserver --authorization-mode=RBAC --service-cluster-ip-range=10.96.0.0/28
wait_ready
SECOND=$API_PORT
kubectl create -f - >/dev/null <<<'{"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"name":"pool"},"spec":{"cidrs":["10.98.0.0/26"]}}'
seen() { for p in $FIRST $SECOND; do kubectl -s "https://127.0.0.1:$p" get servicecidr pool || return 1; done; }
must "both know the new range" 10 seen
for side in "$FIRST" "$SECOND"; do
    for i in $(seq 25); do
        printf '{"apiVersion":"v1","kind":"Service","metadata":{"name":"t%s-%s"},"spec":{"ports":[{"port":80}]}}\n' "$side" "$i"
    done >"$WORK/many.$side"
    kubectl -s "https://127.0.0.1:$side" create -f "$WORK/many.$side" >/dev/null 2>"$WORK/many.$side.err" &
    eval "JOB_$side=$!"
done
eval "wait \$JOB_$FIRST \$JOB_$SECOND"
is "all are made" "" "$(cat "$WORK"/many.*.err)"
is "64 Services" 64 "$(kubectl get services -A -o name | wc -l)"
is "64 addresses" 64 "$(kubectl get services -A -o 'jsonpath={range .items[*]}{.spec.clusterIP}{"\n"}{end}' | sort -u | wc -l)"
is "64 objects" 64 "$(kubectl get ipaddresses -o name | wc -l)"

echo "--- the end"
kill "$KCM_PID"
wait_gone "$KCM_PID" 20 || fail "kube-controller-manager does not end"
if grep -nE -A30 "$SANITIZER_SAYS" "$WORK/kcm.log"; then
    fail "the sanitizers complain"
fi
[ $FAILURES -eq 0 ] || tail -n 40 "$WORK/kcm.log" >&2

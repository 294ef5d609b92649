#!/bin/bash
# Owners that are not where a reference says, and foreground deletions that end when nothing stands in their way any more.
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC
daemon_kubeconfig kcm
"$KUBEC_BIN/kube-controller-manager" --kubeconfig="$WORK/kcm.kubeconfig" --use-service-account-credentials --bind-address=127.0.0.1 --secure-port="$(free_port)" \
    --leader-elect=false --controllers=garbage-collector-controller >"$WORK/kcm.log" 2>&1 &
KCM_PID=$!
PIDS+=("$KCM_PID")

must() { # <what> <seconds> <command...>
    local what=$1
    shift
    eventually "$@" || fail "$what"
}
gone() { ! kubectl get "$@" >/dev/null 2>&1; }
deleting() { [ -n "$(kubectl get configmap "$1" -o 'jsonpath={.metadata.deletionTimestamp}')" ]; }
uid() { kubectl get configmap "$1" -o 'jsonpath={.metadata.uid}'; }
# ref <owner> [uid]: blocks the owner's deletion
ref() {
    echo '{"apiVersion":"v1","kind":"ConfigMap","name":"'"$1"'","uid":"'"${2:-$(uid "$1")}"'","blockOwnerDeletion":true}'
}
owned() { # <name> <namespace> <references>
    kubectl create -f - >/dev/null <<OWNED || fail "create $1"
{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"$1","namespace":"$2","ownerReferences":[$3]}}
OWNED
}
owners() { kubectl create configmap "$1" >/dev/null && [ $# = 1 ] || owners "${@:2}"; }

owners far old one other-one ring post
kubectl create namespace elsewhere >/dev/null
owned early default "$(ref never 11111111-1111-1111-1111-111111111111)"
must "an owner that never was" 40 gone configmap early

owned lost elsewhere "$(ref far)"
must "an owner in another namespace is none" 10 gone configmap lost -n elsewhere
owned misnamed default "$(ref old "$(uid far)")"
must "an owner of another uid is none" 10 gone configmap misnamed

owned shared default "$(ref one),$(ref other-one)"
kubectl delete configmap one --cascade=foreground --wait=false >/dev/null
must "in foreground: what has another owner does not stand in the way" 10 gone configmap one
is "its owners" other-one "$(kubectl get configmap shared -o 'jsonpath={.metadata.ownerReferences[*].name}')"

owned back default "$(ref ring)"
kubectl patch configmap ring -p '{"metadata":{"ownerReferences":['"$(ref back)"']}}' >/dev/null
kubectl delete configmap ring --cascade=foreground --wait=false >/dev/null
must "in foreground: a circle" 10 gone configmap ring
must "in foreground: all of the circle" 10 gone configmap back

owned held default "$(ref post)"
kubectl patch configmap held --type=merge -p '{"metadata":{"finalizers":["test/hold"]}}' >/dev/null
kubectl delete configmap post --cascade=foreground --wait=false >/dev/null
must "in foreground: dependents first" 10 deleting held
is "the owner waits" foregroundDeletion "$(kubectl get configmap post -o 'jsonpath={.metadata.finalizers[0]}')"
kubectl patch configmap held --type=merge -p '{"metadata":{"ownerReferences":null}}' >/dev/null
must "in foreground: a dependent that was let go" 10 gone configmap post

kill "$KCM_PID"
wait_gone "$KCM_PID" 10 || fail "the controller manager does not end"
wait "$KCM_PID"
is "exit status of the controller manager" 0 $?

#!/bin/bash
# Disruption budgets with real kube-controller-manager and API server: the status of a budget, kubectl drain's evictions and
# what they are refused with. Pods have no kubelet: the test makes them ready, and they go as soon as they are deleted.
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC
daemon_kubeconfig kcm

"$KUBEC_BIN/kube-controller-manager" --kubeconfig="$WORK/kcm.kubeconfig" --use-service-account-credentials --bind-address=127.0.0.1 --secure-port="$(free_port)" \
    --leader-elect=false --controllers=replicaset-controller,deployment-controller,disruption-controller \
    >"$WORK/kcm.log" 2>&1 &
KCM_PID=$!
PIDS+=("$KCM_PID")
kubectl create serviceaccount default -n default >/dev/null || fail "create serviceaccount"

must() { # <what> <seconds> <command...>
    local what=$1
    shift
    eventually "$@" || fail "$what"
}
pods() { kubectl get pods -l "app=$1" --sort-by=.metadata.name -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}'; }
count_is() { [ "$(pods "$1" | wc -l)" = "$2" ]; }
ready() { # <pod> [status]
    patch_sub pods "$1" status '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"'"${2:-True}"'"}]}}'
}
# Not by kubectl create pdb: before 1.21 that knows policy/v1beta1 only.
budget() { # <name> <app> <limit, JSON>
    kubectl create -f - >/dev/null <<<'{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"'"$1"'"},
        "spec":{"selector":{"matchLabels":{"app":"'"$2"'"}},'"$3"'}}' || fail "create budget $1"
}
budget_is() { # <name> <allowed> <healthy> <desired> <expected>
    [ "$(kubectl get pdb "$1" -o 'jsonpath={.status.disruptionsAllowed} {.status.currentHealthy} {.status.desiredHealthy} {.status.expectedPods}')" = "$2 $3 $4 $5" ]
}
condition() { kubectl get pdb "$1" -o 'jsonpath={.status.conditions[0].type} {.status.conditions[0].status} {.status.conditions[0].reason}'; }
evict() { # <pod> [delete options, JSON] [version]
    api POST "/api/v1/namespaces/default/pods/$1/eviction" -H 'Content-Type: application/json' \
        -d '{"apiVersion":"policy/'"${3-v1}"'","kind":"Eviction","metadata":{"name":"'"$1"'"},"deleteOptions":'"${2:-null}"'}' >/dev/null
}

echo "--- the status of a budget"
kubectl create deployment web --image=app:1 --replicas=3 >/dev/null || fail "create deployment"
must "pods" 15 count_is web 3
budget web web '"minAvailable":2'
must "nothing is ready" 10 budget_is web 0 0 2 3
is "condition" "DisruptionAllowed False InsufficientPods" "$(condition web)"
evict "$(pods web | head -n 1)"
is "a pending pod may always go" "201 Success" "$(code) $(field .status)"
must "another one" 10 count_is web 3
for p in $(pods web); do ready "$p"; done
must "all are ready" 10 budget_is web 1 3 2 3
is "condition" "DisruptionAllowed True SufficientPods" "$(condition web)"

echo "--- evictions"
first=$(pods web | head -n 1)
evict "$first" '{"dryRun":["All"]}'
is "dry run" 201 "$(code)"
evict "$first" '{"dryRun":["All"]}' v1beta1
is "in the version of kubectl before 1.22" 201 "$(code)"
evict "$first" '{"dryRun":["All"]}' v1alpha1
answers "in a version that never was" 400 BadRequest
must "a dry run takes nothing" 5 budget_is web 1 3 2 3
evict "$first" '{"preconditions":{"uid":"other"}}'
answers "another uid" 409 Conflict
must "nor does a failed one for long" 10 kubectl get pod "$first"
kubectl delete pdb web >/dev/null
budget web web '"minAvailable":2'
must "a new budget" 10 budget_is web 1 3 2 3
evict "$first"
is "the first one goes" "201 Success" "$(code) $(field .status)"
second=$(kubectl get pods -l app=web -o json | jq -r '[.items[] | select(.status.phase == "Running")][0].metadata.name')
must "the budget knows" 10 budget_is web 0 2 2 3
evict "$second"
answers "the second one" 429 TooManyRequests
is "message" "Cannot evict pod as it would violate the pod's disruption budget." "$(field .message)"
is "cause" "DisruptionBudget The disruption budget web needs 2 healthy pods and has 2 currently" \
    "$(field '.details.causes[0] | "\(.reason) \(.message)"')"
has "kubectl drain says so" "Cannot evict pod as it would violate the pod's disruption budget." \
    "$(kubectl create -f - <<<'{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}' >/dev/null;
    kubectl create -f - >/dev/null <<<'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bound","labels":{"app":"web"}},
        "spec":{"nodeName":"n1","containers":[{"name":"c","image":"i"}]}}'; ready bound False >/dev/null;
    kubectl patch pdb web --type=merge -p '{"spec":{"minAvailable":9}}' >/dev/null; eventually 10 budget_is web 0 2 9 4;
    kubectl drain n1 --force --timeout=1s 2>&1)"
kubectl delete pod bound --grace-period=0 --force >/dev/null 2>&1

echo "--- pods that are not healthy"
kubectl patch pdb web --type=merge -p '{"spec":{"minAvailable":2}}' >/dev/null
sick=$(kubectl get pods -l app=web -o json | jq -r '[.items[] | select(.status.phase != "Running")][0].metadata.name')
ready "$sick" False
must "it counts for nothing" 10 budget_is web 0 2 2 3
evict "$sick"
is "enough others are healthy" 201 "$(code)"
must "another one" 10 count_is web 3
kubectl patch pdb web --type=merge -p '{"spec":{"minAvailable":3}}' >/dev/null
must "too few are healthy" 10 budget_is web 0 2 3 3
sick=$(kubectl get pods -l app=web -o json | jq -r '[.items[] | select(.status.phase != "Running")][0].metadata.name')
ready "$sick" False
evict "$sick"
answers "IfHealthyBudget" 429 TooManyRequests
kubectl patch pdb web --type=merge -p '{"spec":{"unhealthyPodEvictionPolicy":"AlwaysAllow"}}' >/dev/null
evict "$sick"
is "AlwaysAllow" 201 "$(code)"

echo "--- percentages, several budgets, pods without a controller"
kubectl patch pdb web --type=merge -p '{"spec":{"minAvailable":null,"maxUnavailable":"34%"}}' >/dev/null
must "maxUnavailable in percent, rounded up" 10 budget_is web 1 2 1 3
budget other web '"maxUnavailable":1'
must "the other budget" 10 budget_is other 0 2 2 3
evict "$(kubectl get pods -l app=web -o json | jq -r '[.items[] | select(.status.phase == "Running")][0].metadata.name')"
is "two budgets" "500 This pod has more than one PodDisruptionBudget, which the eviction subresource does not support." \
    "$(code) $(field .message)"
kubectl run lone --image=app:1 --labels=app=lone >/dev/null
ready lone
budget lone lone '"maxUnavailable":1'
unmanaged() { kubectl get events --field-selector involvedObject.name=lone,reason=UnmanagedPods -o name | grep -q .; }
must "UnmanagedPods" 10 unmanaged
must "its budget" 10 budget_is lone 0 1 0 0
evict none
answers "a pod that is not there" 404 NotFound

echo "--- the end"
kill "$KCM_PID"
wait_gone "$KCM_PID" 20 || fail "kube-controller-manager does not end"
wait "$KCM_PID"
is "exit status" 0 $?
if grep -nE -A30 "$SANITIZER_SAYS" "$WORK/kcm.log"; then
    fail "the sanitizers complain"
fi
[ $FAILURES -eq 0 ] || tail -n 40 "$WORK/kcm.log" >&2

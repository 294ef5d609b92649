#!/bin/bash
# Real kube-scheduler and API server, nodes without kubelets: pods that preempt others, pods that may not, and what the
# events and the status say meanwhile.
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC
daemon_kubeconfig scheduler

"$KUBEC_BIN/kube-scheduler" --kubeconfig="$WORK/scheduler.kubeconfig" --bind-address=127.0.0.1 --secure-port="$(free_port)" \
    --leader-elect=false >"$WORK/scheduler.log" 2>&1 &
SCHEDULER_PID=$!
PIDS+=("$SCHEDULER_PID")

kubectl create serviceaccount default -n default >/dev/null || fail "create serviceaccount"
kubectl create priorityclass high --value=1000 >/dev/null || fail "create priorityclass"
kubectl create priorityclass low --value=10 >/dev/null || fail "create priorityclass"
kubectl create priorityclass polite --value=1000 --preemption-policy=Never >/dev/null || fail "create priorityclass"

make_node() { # <name> [taints, JSON]
    kubectl create -f - >/dev/null <<<'{"apiVersion":"v1","kind":"Node","metadata":{"name":"'"$1"'","labels":{"name":"'"$1"'"}},
        "spec":{"taints":'"${2:-[]}"'}}' || fail "create node $1"
    # The taint that admission gives to a new node goes with its readiness, here by hand.
    kubectl patch node "$1" --type=merge -p '{"spec":{"taints":'"${2:-null}"'}}' >/dev/null
    patch_sub nodes "$1" status '{"status":{"allocatable":{"cpu":"2","memory":"4Gi","pods":"10"}}}'
}
pod() { # <name> <class> <cpu> [node]
    kubectl create -f - >/dev/null <<<'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"'"$1"'","labels":{"app":"'"$1"'"}},
        "spec":{"priorityClassName":"'"$2"'",'"${4:+\"nodeSelector\":{\"name\":\"$4\"\},}"'"terminationGracePeriodSeconds":30,
        "containers":[{"name":"c","image":"i:1","resources":{"requests":{"cpu":"'"$3"'"}}}]}}' || fail "create pod $1"
}
path() { kubectl get pod "$1" -o "jsonpath=$2" 2>/dev/null; }
path_is() { [ "$(path "$1" "$2")" = "$3" ]; }
on_node() { path_is "$1" '{.spec.nodeName}' "$2"; }
said() { # <pod> <reason> <message>
    kubectl get events --field-selector "involvedObject.name=$1,reason=$2" \
        -o 'jsonpath={range .items[*]}{.message}{"\n"}{end}' | grep -qxF -- "$3"
}
must() { # <what> <seconds> <command...>
    local what=$1
    shift
    eventually "$@" || fail "$what"
}

echo "--- no nodes, and nothing to gain"
pod first low 1500m
must "no nodes" 10 said first FailedScheduling "no nodes available to schedule pods"
make_node n1
must "first" 20 on_node first n1
pod equal low 1
must "no victims" 10 said equal FailedScheduling "0/1 nodes are available: 1 Insufficient cpu. no new claims to \
deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
kubectl delete pod equal >/dev/null
pod huge high 9
must "preemption does not help" 10 said huge FailedScheduling "0/1 nodes are available: 1 Insufficient cpu. no new \
claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
is "condition" "Unschedulable" "$(path huge '{.status.conditions[?(@.type=="PodScheduled")].reason}')"
kubectl delete pod huge >/dev/null
pod polite polite 1
must "preemptionPolicy Never" 10 said polite FailedScheduling "0/1 nodes are available: 1 Insufficient cpu. no new \
claims to deallocate, preemption: not eligible due to preemptionPolicy=Never."
kubectl delete pod polite >/dev/null

echo "--- a pod preempts; its room is kept until the victim has ended"
pod urgent high 1
must "nominatedNodeName" 10 path_is urgent '{.status.nominatedNodeName}' n1
must "FailedScheduling without a tail" 10 said urgent FailedScheduling "0/1 nodes are available: 1 Insufficient cpu."
must "Preempted" 10 said first Preempted "Preempted by pod $(path urgent '{.metadata.uid}') on node n1"
is "DisruptionTarget" "True PreemptionByScheduler default-scheduler: preempting to accommodate a higher priority pod" \
    "$(path first '{range .status.conditions[?(@.type=="DisruptionTarget")]}{.status} {.reason} {.message}{end}')"
is "the victim is being deleted" 30 "$(path first '{.metadata.deletionGracePeriodSeconds}')"
has "describe shows the nomination" "NominatedNodeName:    n1" "$(kubectl describe pod urgent)"
is "get -o wide shows it, too" n1 "$(kubectl get pod urgent -o wide --no-headers | awk '{print $8}')"
# Room for a small pod there is once the victim has gone, but it is not for a pod of lower priority.
pod thief low 1500m
must "the room is not given away" 10 said thief FailedScheduling "0/1 nodes are available: 1 Insufficient cpu. no new \
claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
kubectl delete pod first --grace-period=0 --force >/dev/null 2>&1
must "urgent is bound" 20 on_node urgent n1
is "the nomination ends with the binding" "" "$(path urgent '{.status.nominatedNodeName}')"
is "thief waits" "" "$(path thief '{.spec.nodeName}')"
kubectl delete pod thief >/dev/null

echo "--- the cheaper node, and a nomination that gives way"
make_node n2
make_node n3
pod b1 low 1 n2
pod b2 low 1 n2
pod c1 low 2 n3
for p in b1:n2 b2:n2 c1:n3; do must "$p" 20 on_node "${p%:*}" "${p#*:}"; done
kubectl create priorityclass middle --value=100 >/dev/null
pod mid middle 2
must "one victim rather than two" 10 path_is mid '{.status.nominatedNodeName}' n3
is "the others stay" " " "$(path b1 '{.metadata.deletionTimestamp}') $(path b2 '{.metadata.deletionTimestamp}')"
pod top high 2 n3
must "top takes the room over" 20 path_is top '{.status.nominatedNodeName}' n3
must "mid's nomination gives way" 20 path_is mid '{.status.nominatedNodeName}' ""
kubectl delete pod c1 --grace-period=0 --force >/dev/null 2>&1
must "top is bound" 20 on_node top n3
must "mid goes where it costs more" 20 path_is mid '{.status.nominatedNodeName}' n2
kubectl delete pod b1 b2 --grace-period=0 --force >/dev/null 2>&1
must "mid is bound" 20 on_node mid n2

echo "--- the end"
kill "$SCHEDULER_PID"
wait_gone "$SCHEDULER_PID" 20 || fail "kube-scheduler does not end"
wait "$SCHEDULER_PID"
is "exit status" 0 $?
if grep -nE -A30 "$SANITIZER_SAYS" "$WORK/scheduler.log"; then
    fail "the sanitizers complain"
fi
[ $FAILURES -eq 0 ] || tail -n 40 "$WORK/scheduler.log" >&2

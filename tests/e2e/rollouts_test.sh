#!/bin/bash
# Rollouts of DaemonSets and Deployments as kubectl and kubec show them: status, history, undo, Recreate, the progress deadline.
. "$(dirname "$0")/lib.sh"
trap finish EXIT

net_up || exit 1
cluster_up --no-demo || exit 1
ctr_k8s images tag "$BUSYBOX" "$BUSYBOX_NEXT" >/dev/null || exit 1

field() { kubectl get "$1" -o "jsonpath={$2}"; }

# workload <kind> <name> [more of the spec]
workload() {
    kubectl apply -f - <<EOF2 >/dev/null
apiVersion: apps/v1
kind: $1
metadata: {name: $2}
spec:
${3-}
  selector: {matchLabels: {app: $2}}
  template:
    metadata: {labels: {app: $2}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: c, image: $BUSYBOX, command: [sleep, '3600']}
EOF2
}

daemonset_rolls_out_and_back() {
    workload DaemonSet ds && kubectl rollout status daemonset/ds --timeout=60s || return 1
    kubectl set image daemonset/ds c="$BUSYBOX_NEXT" >/dev/null
    expect "rollout status" 'daemon set "ds" successfully rolled out' "$(kubectl rollout status daemonset/ds --timeout=60s | tail -n1)"
    expect "revisions" "1 2" "$(kubectl rollout history daemonset/ds | awk '$1 ~ /^[0-9]+$/ {print $1}' | xargs)"
    kubectl rollout history daemonset/ds --revision=2 | grep -q "$BUSYBOX_NEXT" || fail "rollout history --revision"
    expect "pods' image" "$BUSYBOX_NEXT" "$(kubectl get pods -l app=ds -o 'jsonpath={.items[*].spec.containers[0].image}')"
    expect "undo" 'daemonset.apps/ds rolled back' "$(kubectl rollout undo daemonset/ds)"
    kubec rollout status daemonset/ds --timeout=60s || fail "kubec rollout status"
    expect "image after undo" "$BUSYBOX" "$(field daemonset/ds '.spec.template.spec.containers[0].image')"
    expect "revisions" "2 3" "$(kubectl rollout history daemonset/ds | awk '$1 ~ /^[0-9]+$/ {print $1}' | xargs)"
    expect "undo by kubec" 'daemonset.apps/ds rolled back' "$(kubec rollout undo daemonset/ds)"
    until_ok 60 eval '[ "$(kubectl get pods -l app=ds -o "jsonpath={.items[*].spec.containers[0].image}")" = '"$BUSYBOX_NEXT"' ]' ||
        fail "the pod of the undo by kubec"
    kubectl delete daemonset ds >/dev/null
}

# The pods of the new template begin when those of the old one are gone.
recreate() {
    local old
    workload Deployment re '  replicas: 2
  strategy: {type: Recreate}' && kubectl rollout status deployment/re --timeout=60s || return 1
    old=$(field deployment/re .metadata.annotations.deployment\\.kubernetes\\.io/revision)
    expect "revision" 1 "$old"
    nsenter --net="/run/netns/$NS" -- "$KUBECTL" get pods -l app=re -w -o 'jsonpath={.metadata.labels.pod-template-hash} {.status.phase} {.metadata.deletionTimestamp}{"\n"}' \
        >"$DATA_DIR/watched" 2>/dev/null &
    until_ok 10 eval '[ "$(wc -l <"$DATA_DIR/watched")" -ge 2 ]'
    kubectl set image deployment/re c="$BUSYBOX_NEXT" >/dev/null
    kubectl rollout status deployment/re --timeout=60s || fail "rollout status"
    expect "pods" "$BUSYBOX_NEXT $BUSYBOX_NEXT" "$(kubectl get pods -l app=re -o 'jsonpath={.items[*].spec.containers[0].image}')"
    kill $!
    # The first line of a new template comes after the last of an old one.
    expect "order" "old new" "$(awk 'NR == 1 {first = $1} {k = $1 == first ? "old" : "new"} k != last {printf "%s%s", sep, k; sep = " "; last = k}' \
        "$DATA_DIR/watched")"
    kubectl delete deployment re >/dev/null
}

progress_deadline() {
    local out rc
    workload Deployment slow '  replicas: 1
  progressDeadlineSeconds: 3' && kubectl rollout status deployment/slow --timeout=60s || return 1
    kubectl set image deployment/slow c=localhost:1/none:1 >/dev/null
    out=$(kubectl rollout status deployment/slow --timeout=60s 2>&1)
    rc=$?
    expect "exit code of rollout status" 1 $rc
    grep -q 'error: deployment "slow" exceeded its progress deadline' <<<"$out" || { echo "$out"; fail "message of rollout status"; }
    kubec rollout status deployment/slow --timeout=60s >/dev/null 2>&1
    expect "exit code of kubec rollout status" 1 $?
    expect "condition" "False ProgressDeadlineExceeded" \
        "$(field deployment/slow '.status.conditions[?(@.type=="Progressing")].status} {.status.conditions[?(@.type=="Progressing")].reason')"
    expect "available" "True" "$(field deployment/slow '.status.conditions[?(@.type=="Available")].status')"
    kubectl describe deployment slow | grep -qE 'Progressing +False +ProgressDeadlineExceeded' || fail describe
    kubec rollout undo deployment/slow && kubectl rollout status deployment/slow --timeout=60s || fail "undo"
    expect "condition after undo" "True NewReplicaSetAvailable" \
        "$(field deployment/slow '.status.conditions[?(@.type=="Progressing")].status} {.status.conditions[?(@.type=="Progressing")].reason')"
    kubectl delete deployment slow >/dev/null
}

for t in ${TESTS:-daemonset_rolls_out_and_back recreate progress_deadline}; do
    run $t
done
echo "$FAILURES failures"
[ $FAILURES -eq 0 ]

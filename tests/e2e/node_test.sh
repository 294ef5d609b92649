#!/bin/bash
# A node under way: static pods, log rotation under `logs -f`, restarts of kubelet and containerd, a reboot, a hundred pods that
# come and go, and what is left of them.
. "$(dirname "$0")/lib.sh"
trap finish EXIT

net_up || exit 1
cluster_up --no-demo || exit 1

field() { kubectl get "$1" -o "jsonpath={$2}"; }
phase_is() { [ "$(field "pod/$1" .status.phase)" = "$2" ]; }
pid_of() { cat "$DATA_DIR/run/$1.pid"; }

# restart <daemon> [signal]: ended, and there again.
restart() {
    local pid
    pid=$(pid_of "$1")
    kill -"${2-TERM}" "$pid"
    until_ok 30 eval "p=\$(cat '$DATA_DIR/run/$1.pid') && [ \$p != $pid ]"
}

# pod <name> <command> [more of the spec]
pod() {
    cat <<EOF2
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: $BUSYBOX, command: [sh, -c, '$2']}
${3-}
EOF2
}

static_pods() {
    local mirror=static-$(hostname | tr '[:upper:]' '[:lower:]') file=$DATA_DIR/manifests/static.yaml uid
    pod static 'echo one; exec sleep 3600' >"$file.new" && mv "$file.new" "$file"
    until_ok 40 eval '[ "$(kubectl logs '"$mirror"' 2>/dev/null)" = one ]' || return 1
    uid=$(field "pod/$mirror" .metadata.uid)
    expect "owner" Node "$(field "pod/$mirror" '.metadata.ownerReferences[0].kind')"
    # Only the mirror goes, and comes again.
    kubectl delete pod "$mirror" --grace-period=0 --force 2>/dev/null
    until_ok 40 eval "u=\$(field pod/$mirror .metadata.uid 2>/dev/null) && [ -n \"\$u\" ] && [ \$u != $uid ]" || return 1
    expect "restarts of the static pod" 0 "$(field "pod/$mirror" '.status.containerStatuses[0].restartCount')"
    sed 's/one/two/' "$file" >"$file.new" && mv "$file.new" "$file"
    until_ok 40 eval '[ "$(kubectl logs '"$mirror"' 2>/dev/null)" = two ]' || fail "an edited manifest"
    rm "$file"
    until_ok 40 eval "! kubectl get pod $mirror" || fail "a removed manifest"
    until_ok 20 eval '[ -z "$(ctr_k8s tasks ls -q)" ]' || fail "containers of a removed static pod"
}

# No line lost or doubled while the log moves on below the reader.
log_rotation() {
    local dir n
    # Small logs, looked at each second.
    printf 'containerLogMaxSize: 16Ki\ncontainerLogMonitorInterval: 1s\n' >>"$DATA_DIR/config/kubelet.yaml"
    restart kubelet || return 1
    pod chatty 'i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo "$i xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"; [ $((i % 20)) != 0 ] || usleep 40000; done; echo end; sleep 3600' |
        kubectl apply -f - >/dev/null || return 1
    until_ok 30 phase_is chatty Running || return 1
    nsenter --net="/run/netns/$NS" -- timeout 90 "$KUBECTL" logs -f chatty >"$DATA_DIR/followed" 2>/dev/null &
    until_ok 60 grep -q '^end$' "$DATA_DIR/followed" || fail "logs -f stopped"
    kill $! 2>/dev/null
    dir=$(echo "$DATA_DIR"/log/pods/default_chatty_*/c)
    ls -l "$dir"
    n=$(find "$dir" -name '0.log.*' | wc -l)
    [ "$n" -ge 2 ] || fail "the log was not rotated"
    [ "$n" -le 4 ] || fail "$n rotated files, at most 4 are kept beside the current one"
    # What was rotated away before the reader came is not shown, as upstream does not.
    expect "in order" "" "$(grep -v end "$DATA_DIR/followed" | awk 'NR == 1 {first = $1} $1 != first + NR - 1 {print; exit}')"
    [ "$(wc -l <"$DATA_DIR/followed")" -gt 2000 ] || fail "only $(wc -l <"$DATA_DIR/followed") lines were followed"
    kubectl delete pod chatty >/dev/null
}

restarts_lose_nothing() {
    local before i
    pod keep 'exec sleep 3600' | kubectl apply -f - >/dev/null && until_ok 30 phase_is keep Running || return 1
    before=$(field pod/keep '.status.containerStatuses[0].containerID}{.metadata.uid}{.status.podIP')
    for i in kubelet containerd kubelet; do
        restart $i TERM || return 1
        until_ok 60 kubectl wait --for=condition=Ready node --all --timeout=1s || return 1
    done
    # Both at once, and a pod that is deleted meanwhile.
    pod lost 'exec sleep 3600' | kubectl apply -f - >/dev/null && until_ok 30 phase_is lost Running || return 1
    kill -KILL "$(pid_of containerd)" "$(pid_of kubelet)"
    kubectl delete pod lost --wait=false >/dev/null
    until_ok 60 eval '! kubectl get pod lost' || fail "a pod that was deleted while the node's daemons were away"
    expect "container, pod and address" "$before" \
        "$(field pod/keep '.status.containerStatuses[0].containerID}{.metadata.uid}{.status.podIP')"
    expect "restarts" 0 "$(field pod/keep '.status.containerStatuses[0].restartCount')"
}

# What a reboot leaves: the disk. Processes, mounts of network namespaces and /run are gone.
reboot_of_the_node() {
    local uid name id ns
    uid=$(field pod/keep .metadata.uid)
    mapfile -t namespaces < <(pod_netns)
    [ ${#namespaces[@]} -ge 1 ] || fail "no network namespace of a pod"
    for name in kubelet kube-proxy containerd; do kill -STOP "$(cat "$DATA_DIR/run/$name.supervisor.pid")"; done
    kill -KILL "$(pid_of kubelet)" "$(pid_of kube-proxy)" "$(pid_of containerd)"
    for id in "$DATA_DIR"/run/containerd/io.containerd.runtime.v2.task/k8s.io/*; do
        kill -KILL "$(cat "$id/init.pid")" 2>/dev/null
        in_shim "$(basename "$id")" kill -KILL
    done
    mounts_below "$DATA_DIR" | while read -r ns; do umount -l "$ns"; done
    rm -rf "$DATA_DIR/run/containerd"
    in_node ip link del cni0
    for ns in "${namespaces[@]}"; do umount "$ns" 2>/dev/null && rm -f "$ns"; done
    in_node nft flush ruleset
    for name in kubelet kube-proxy containerd; do kill -CONT "$(cat "$DATA_DIR/run/$name.supervisor.pid")"; done
    until_ok 60 kubectl wait --for=condition=Ready node --all --timeout=1s || return 1
    until_ok 60 eval '[ "$(field pod/keep ".status.containerStatuses[0].restartCount")" = 1 ] && phase_is keep Running' || return 1
    expect "the pod object" "$uid" "$(field pod/keep .metadata.uid)"
    until_ok 10 kubectl logs keep
    kubectl delete pod keep >/dev/null
}

# The network namespaces of this cluster's pods, from the specs of their containers: others may run on this machine.
pod_netns() {
    local id
    for id in $(ctr_k8s containers ls -q); do
        ctr_k8s containers info "$id" | sed -n 's|.*"path": "\(/[^"]*/netns/cni-[^"]*\)".*|\1|p'
    done | sort -u
}

mounts_below() { awk -v d="$1/" 'index($2, d) == 1 {print $2}' /proc/self/mounts | sort -r; }
# in_shim <id> <command>: with the pids of the shims that serve it.
in_shim() {
    local id=$1 pid
    shift
    for pid in $(pgrep -f "containerd-shim.* -id $id .*-address $DATA_DIR/run/containerd.sock"); do "$@" "$pid"; done
}

# What pods hold on a node.
held() {
    echo "tasks $(ctr_k8s tasks ls -q | wc -l)"
    echo "containers $(ctr_k8s containers ls -q | wc -l)"
    echo "veths $(in_node ip -o link show type veth | grep -c 'veth[0-9a-f]')"
    echo "mounts $(mounts_below "$DATA_DIR" | wc -l)"
    echo "network namespaces $(while read -r ns; do [ ! -e "$ns" ] || echo "$ns"; done <"$DATA_DIR/netns" | wc -l)"
    echo "pod directories $(find "$DATA_DIR/kubelet/pods" -mindepth 1 -maxdepth 1 | wc -l)"
    echo "log directories $(find "$DATA_DIR/log/pods" -mindepth 1 -maxdepth 1 | wc -l)"
    echo "addresses $(find "$DATA_DIR/kubelet/cni" -name '[0-9]*' | wc -l)"
    echo "shims $(pgrep -fc "containerd-shim.*-address $DATA_DIR/run/containerd.sock")"
}
nothing_held() { [ "$(held | awk '{s += $NF} END {print s}')" = 0 ]; }

many_pods() {
    local n=${PODS-60} round
    kubectl apply -f - <<EOF2 >/dev/null || return 1
apiVersion: apps/v1
kind: Deployment
metadata: {name: many}
spec:
  replicas: 0
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec:
      terminationGracePeriodSeconds: 0
      volumes: [{name: e, emptyDir: {medium: Memory}}]
      containers:
      - {name: c, image: $BUSYBOX, command: [sleep, '3600'], volumeMounts: [{name: e, mountPath: /e}]}
EOF2
    for round in 1 2; do
        kubectl scale deployment many --replicas="$n" >/dev/null
        until_ok 150 replicas_ready deployment/many "$n" || return 1
        kubectl get pods -l app=many -o 'jsonpath={range .items[*]}{.metadata.uid}{"\n"}{end}' >>"$DATA_DIR/uids"
        pod_netns >>"$DATA_DIR/netns"
        kubectl scale deployment many --replicas=0 >/dev/null
        until_ok 120 pods_gone app=many || return 1
    done
    # Deleted while they are made.
    kubectl scale deployment many --replicas=20 >/dev/null
    until_ok 30 eval '[ "$(ctr_k8s tasks ls -q | wc -l)" -ge 5 ]'
    kubectl delete deployment many --cascade=foreground --timeout=60s >/dev/null || fail "delete while creating"
    until_ok 90 nothing_held || { held; fail "pods left something behind"; }
    until_ok 90 eval '[ -z "$(pod_cgroups)" ]' || { pod_cgroups; fail "cgroups stay"; }
}

# Of this cluster's pods: others may run on this machine.
pod_cgroups() { find /sys/fs/cgroup -type d -name 'pod*' 2>/dev/null | grep -Ff "$DATA_DIR/uids"; }

# down --keep-data and up again (twice: the second has nothing to do): the same objects, and their pods run.
resumes() {
    local before started
    kubectl create deployment stay --image="$BUSYBOX" --replicas=2 -- sleep 3600 >/dev/null &&
        until_ok 60 replicas_ready deployment/stay 2 || return 1
    before=$(kubectl get pods -l app=stay --sort-by=metadata.uid -o 'jsonpath={.items[*].metadata.uid}')
    cluster_down --keep-data >/dev/null && cluster_up --no-demo >/dev/null || return 1
    started=$SECONDS
    until_ok 60 eval '[ "$(kubectl get pods -l app=stay -o "jsonpath={.items[*].status.containerStatuses[0].restartCount}")" = "1 1" ]' ||
        return 1
    until_ok 60 replicas_ready deployment/stay 2 || return 1
    echo "pods run again $((SECONDS - started)) s after up"
    expect "pods" "$before" "$(kubectl get pods -l app=stay --sort-by=metadata.uid -o 'jsonpath={.items[*].metadata.uid}')"
    before=$(cat "$DATA_DIR"/run/*.pid)
    cluster_up --no-demo >/dev/null || return 1
    expect "daemons after a second up" "$before" "$(cat "$DATA_DIR"/run/*.pid)"
}

for t in ${TESTS:-static_pods log_rotation restarts_lose_nothing reboot_of_the_node many_pods resumes}; do
    run $t
done
echo "$FAILURES failures"
[ $FAILURES -eq 0 ]

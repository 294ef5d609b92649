#!/bin/bash
# The cluster as a newcomer meets it, driven by real kubectl: workloads, Services, rolling updates, logs, daemons that are
# killed, an etcd that goes away.
. "$(dirname "$0")/lib.sh"
trap finish EXIT

net_up || exit 1
cluster_up || exit 1

demo_ip() { kubectl get service demo -o 'jsonpath={.spec.clusterIP}'; }
fetch() { in_node curl -sf --max-time 2 "http://$1/"; }

node_is_ready() {
    expect "node" "True" "$(kubectl get nodes -o 'jsonpath={.items[0].status.conditions[?(@.type=="Ready")].status}')"
    kubectl get nodes | grep -q ' Ready ' || fail "kubectl get nodes"
    kubectl describe node >/dev/null || fail "kubectl describe node"
}

bare_pod() {
    kubectl run one --image=docker.io/library/busybox:1.35 --restart=Never -- sh -c 'echo hello; exec sleep 1000' || return 1
    until_ok 30 kubectl wait --for=condition=Ready pod/one --timeout=1s || return 1
    expect "logs" hello "$(kubectl logs one)"
    kubectl describe pod one | grep -q 'Successfully assigned default/one' || fail "describe shows no Scheduled event"
    kubectl delete pod one --grace-period=1 || return 1
    ! kubectl get pod one 2>/dev/null
}

service_balances() {
    local ip names
    ip=$(demo_ip)
    names=$(for _ in $(seq 60); do fetch "$ip"; done | sort -u | wc -l)
    expect "pods that answered" 3 "$names"
}

scale() {
    kubectl scale deployment demo --replicas=5 && until_ok 60 replicas_ready deployment/demo 5 &&
        kubectl scale deployment demo --replicas=3 && until_ok 60 replicas_ready deployment/demo 3
}

# Requests all the time, while every pod is replaced: none may fail.
rolling_update() {
    local ip log=$DATA_DIR/requests rc
    ip=$(demo_ip)
    (
        n=0 bad=0
        while [ ! -e "$DATA_DIR/stop" ]; do
            n=$((n + 1))
            fetch "$ip" >/dev/null || bad=$((bad + 1))
        done
        echo "$n $bad" >"$log"
    ) &
    kubectl set env deployment/demo ROUND=2 && kubectl rollout status deployment/demo --timeout=120s
    rc=$?
    touch "$DATA_DIR/stop"
    wait $!
    rm -f "$DATA_DIR/stop"
    echo "requests and failures: $(cat "$log")"
    expect "failed requests" 0 "$(cut -d' ' -f2 "$log")"
    kubectl rollout undo deployment/demo && kubectl rollout status deployment/demo --timeout=120s || return 1
    return $rc
}

node_port() {
    kubectl expose deployment demo --name=np --type=NodePort --port=80 --target-port=8080 || return 1
    local port
    port=$(kubectl get service np -o 'jsonpath={.spec.ports[0].nodePort}')
    until_ok 10 outside curl -sf --max-time 2 "http://$NODE_IP:$port/" || return 1
    kubectl delete service np
    until_ok 10 eval "! outside curl -sf --max-time 1 http://$NODE_IP:$port/"
}

rules_come_back() {
    in_node nft flush ruleset
    until_ok 10 fetch "$(demo_ip)"
}

config_volumes() {
    kubectl create configmap conf --from-literal=key=value && kubectl create secret generic sec --from-literal=pw=secret || return 1
    kubectl apply -f - <<'EOF' || return 1
apiVersion: v1
kind: Pod
metadata: {name: vol}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: docker.io/library/busybox:1.35
    command: [sh, -c, 'cat /conf/key; echo; cat /sec/pw; echo; echo $FROM; ls /var/run/secrets/kubernetes.io/serviceaccount']
    env:
    - name: FROM
      valueFrom: {configMapKeyRef: {name: conf, key: key}}
    volumeMounts:
    - {name: conf, mountPath: /conf}
    - {name: sec, mountPath: /sec}
  volumes:
  - name: conf
    configMap: {name: conf}
  - name: sec
    secret: {secretName: sec}
EOF
    until_ok 30 eval '[ "$(kubectl get pod vol -o "jsonpath={.status.phase}")" = Succeeded ]' || return 1
    expect "what the pod saw" "value secret value ca.crt namespace token" "$(kubectl logs vol | xargs)"
    kubectl delete pod vol --grace-period=0 --force
}

daemonset() {
    kubectl apply -f - <<'EOF' || return 1
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ds}
spec:
  selector: {matchLabels: {app: ds}}
  template:
    metadata: {labels: {app: ds}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: c, image: 'docker.io/library/busybox:1.35', command: [sleep, '1000']}
EOF
    until_ok 30 eval '[ "$(kubectl get ds ds -o "jsonpath={.status.numberReady}")" = 1 ]' || return 1
    kubectl delete ds ds && until_ok 60 pods_gone app=ds
}

namespace_goes_with_its_content() {
    kubectl create namespace tmp && kubectl create configmap a --from-literal=x=y -n tmp || return 1
    timeout 60 "$KUBECTL" --kubeconfig "$KUBECONFIG" version >/dev/null 2>&1
    kubectl delete namespace tmp --timeout=60s && ! kubectl get namespace tmp 2>/dev/null
}

uids() { kubectl get pods -l app=demo --sort-by=metadata.uid -o 'jsonpath={.items[*].metadata.uid}'; }
restarts() { kubectl get pods -l app=demo -o 'jsonpath={.items[*].status.containerStatuses[*].restartCount}'; }

# kill -9 of each daemon in turn: it comes back, no pod is lost, doubled or restarted, traffic goes on.
killed_daemons() {
    local ip before name pid
    ip=$(demo_ip)
    before=$(uids)
    for name in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy containerd etcd; do
        pid=$(cat "$DATA_DIR/run/$name.pid")
        kill -9 "$pid"
        fetch "$ip" >/dev/null || fail "no answer while $name is down"
        until_ok 30 eval "[ \"\$(cat '$DATA_DIR/run/$name.pid')\" != $pid ]" || return 1
        until_ok 30 kubectl get --raw /readyz || return 1
    done
    until_ok 30 kubectl wait --for=condition=Ready node --all --timeout=1s || return 1
    expect "pods" "$before" "$(uids)"
    expect "restarts" "0 0 0" "$(restarts)"
    scale
}

# etcd is away for a while: clear errors, not ready, and recovery without a restart of the apiserver.
etcd_away() {
    local pid api err ip stopped=$SECONDS
    ip=$(demo_ip)
    api=$(cat "$DATA_DIR/run/kube-apiserver.pid")
    pid=$(cat "$DATA_DIR/run/etcd.pid")
    kill -STOP "$pid"
    until_ok 30 eval '! kubectl get --raw /readyz' || fail "readyz stays ok without etcd"
    err=$(kubectl create configmap lost --from-literal=a=b --request-timeout=40s 2>&1) && fail "a write succeeded without etcd"
    echo "$err"
    grep -qE 'InternalError|ServiceUnavailable|Timeout|timed out|unavailable|deadline exceeded' <<<"$err" || fail "not a clear error"
    while [ $((SECONDS - stopped)) -lt 30 ]; do
        fetch "$ip" >/dev/null || { fail "Service traffic depends on etcd"; break; }
    done
    kill -CONT "$pid"
    until_ok 30 kubectl get --raw /readyz || return 1
    until_ok 30 kubectl create configmap found --from-literal=a=b || return 1
    expect "apiserver" "$api" "$(cat "$DATA_DIR/run/kube-apiserver.pid")"
}

kubec_does_the_same() {
    kubec get nodes | grep -q ' Ready ' || fail "kubec get nodes"
    expect "pods" "$(kubectl get pods -l app=demo -o name | sort)" "$(kubec get pods -l app=demo -o name | sort)"
    kubec scale deployment demo --replicas=2 && until_ok 60 replicas_ready deployment/demo 2
    kubec rollout status deployment/demo || fail "kubec rollout status"
    # The third one may still be on its way out.
    until_ok 30 eval '[ "$(kubectl get pods -l app=demo -o name | wc -l)" = 2 ]' || return 1
    kubec logs "$(kubectl get pods -l app=demo -o name | head -n1)" >/dev/null || fail "kubec logs"
    kubec delete deployment demo && until_ok 60 pods_gone app=demo
}

resumes() {
    cluster_down --keep-data || return 1
    cluster_up --no-demo || return 1
    kubectl get service demo >/dev/null && kubectl get configmap found >/dev/null
}

for t in node_is_ready bare_pod service_balances scale rolling_update node_port rules_come_back config_volumes daemonset \
    namespace_goes_with_its_content killed_daemons etcd_away kubec_does_the_same resumes; do
    run $t
done
echo "$FAILURES failures"
[ $FAILURES -eq 0 ]

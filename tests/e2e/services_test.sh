#!/bin/bash
# Services under real traffic: UDP flows, health check node ports, endpoints that terminate, affinity, policies, and a
# kube-proxy that is killed or loses its rules.
. "$(dirname "$0")/lib.sh"
trap finish EXIT

net_up || exit 1
cluster_up --no-demo || exit 1
cc -O1 -static -o "$DATA_DIR/udp_echo" "$ROOT/tests/e2e/udp_echo.c" || exit 1

# web <pod> <app> [container command before the server] [more of the spec]: answers /cgi-bin/who with its name and its client.
web() {
    cat <<EOF2
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $2}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: $BUSYBOX
    env: [{name: NAME, value: $1}]
    command:
    - sh
    - -c
    - |
      ${3-}
      mkdir -p /tmp/www/cgi-bin
      printf '#!/bin/sh\necho\necho "\$NAME \$REMOTE_ADDR"\n' >/tmp/www/cgi-bin/who
      printf '#!/bin/sh\necho\nfor i in 1 2 3 4 5 6 7 8 9 10; do echo \$i; usleep 300000; done\n' >/tmp/www/cgi-bin/slow
      chmod +x /tmp/www/cgi-bin/*
      exec httpd -f -p 8080 -h /tmp/www
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
${4-}
EOF2
}

# service <name> <app> [more of the spec, in flow style]
service() {
    kubectl apply -f - <<EOF2 >/dev/null
apiVersion: v1
kind: Service
metadata: {name: $1}
spec: {selector: {app: $2}, ports: [{port: ${4-80, targetPort: 8080}}]${3:+, $3}}
EOF2
}

field() { kubectl get "$1" -o "jsonpath={$2}"; }
ready() { until_ok 30 kubectl wait --for=condition=Ready pod -l "app=$1" --timeout=1s; }
who() { in_node curl -sf --max-time 2 "http://$1/cgi-bin/who"; }
who_outside() { outside curl -sf --max-time 2 "http://$1/cgi-bin/who"; }
ruleset() { in_node nft list table ip kube-proxy; }

# --- UDP

udp_pod() {
    kubectl apply -f - <<EOF2 >/dev/null
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: udp}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: $BUSYBOX, command: [/udp_echo, "9000", "$1"], volumeMounts: [{name: b, mountPath: /udp_echo}]}
  volumes: [{name: b, hostPath: {path: $DATA_DIR/udp_echo}}]
EOF2
    until_ok 30 kubectl wait --for=condition=Ready "pod/$1" --timeout=1s
}

# One socket, so one source port, for as long as it runs: sends each 50 ms, keeps the last answer.
udp_client() {
    while :; do
        echo x >&5
        # Not bash's read: it takes a byte at a time, and so the first of each datagram.
        answer=$(timeout 0.1 dd bs=1500 count=1 <&5)
        [ -z "$answer" ] || echo "$answer" >"$1"
        sleep 0.05
    done 2>/dev/null 5<>"/dev/udp/$2"
}

udp_moves_to_the_new_endpoint() {
    local pid ip proxy
    service udp udp '' '900, targetPort: 9000, protocol: UDP' || return 1
    udp_pod u1 || return 1
    ip=$(field service/udp .spec.clusterIP)
    export -f udp_client
    # Not in_node: $! must be the client itself.
    nsenter --net="/run/netns/$NS" -- bash -c "udp_client $DATA_DIR/udp $ip/900" &
    pid=$!
    until_ok 10 grep -qx u1 "$DATA_DIR/udp" || fail "no answer by UDP"
    udp_pod u2 || return 1
    expect "a flow stays while its endpoint does" u1 "$(cat "$DATA_DIR/udp")"
    kubectl delete pod u1 --force --grace-period=0 2>/dev/null
    until_ok 10 grep -qx u2 "$DATA_DIR/udp" || fail "the flow stays with an endpoint that is gone"
    # What changed while kube-proxy was away counts, too.
    proxy=$(cat "$DATA_DIR/run/kube-proxy.pid")
    kill -STOP "$proxy"
    udp_pod u3
    kubectl delete pod u2 --force --grace-period=0 2>/dev/null
    kill -KILL "$proxy"
    until_ok 10 grep -qx u3 "$DATA_DIR/udp" || fail "the flow stays with an endpoint that went while kube-proxy was away"
    kubectl delete pod u3 --force --grace-period=0 2>/dev/null
    # Nobody there: refused; and the next one is found by the same socket.
    udp_pod u4
    until_ok 10 grep -qx u4 "$DATA_DIR/udp" || fail "the flow does not find an endpoint that comes after none"
    kill $pid
    wait $pid 2>/dev/null
    kubectl delete service/udp pod/u4 >/dev/null
}

# --- Addresses and policies

node_ports_and_sources() {
    local port
    web np np | kubectl apply -f - >/dev/null || return 1
    service np np 'type: NodePort' && ready np || return 1
    port=$(field service/np '.spec.ports[0].nodePort')
    until_ok 10 who_outside "$NODE_IP:$port" || return 1
    expect "the client as a pod sees it with policy Cluster" "np [::ffff:10.244.0.1]" "$(who_outside "$NODE_IP:$port")"
    kubectl patch service np -p '{"spec":{"externalTrafficPolicy":"Local"}}' >/dev/null
    until_ok 10 eval '[ "$(who_outside '"$NODE_IP:$port"')" = "np [::ffff:'$OUTSIDE_IP']" ]' || fail "policy Local hides the client"
    expect "from the node itself" np "$(who "$NODE_IP:$port" | cut -d' ' -f1)"
    # Local and without a local endpoint: dropped, neither refused nor sent elsewhere.
    kubectl delete pod np --force --grace-period=0 2>/dev/null
    remote_slice np "$(field service/np .spec.clusterIP)"
    until_ok 10 eval "ruleset | grep -q 'tcp . $port : goto nodeport-local-lb-0-1'"
    outside curl -s --max-time 1 "http://$NODE_IP:$port/"
    expect "curl's exit code (timeout)" 28 $?
    kubectl delete service np >/dev/null && kubectl delete endpointslice np-remote >/dev/null
    until_ok 10 eval "! outside curl -s --max-time 1 http://$NODE_IP:$port/" || fail "the node port of a deleted Service"
}

# An endpoint of another node, made by hand.
remote_slice() {
    kubectl apply -f - <<EOF2 >/dev/null
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $1-remote, labels: {kubernetes.io/service-name: $1, endpointslice.kubernetes.io/managed-by: test}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.253], nodeName: elsewhere, conditions: {ready: true}}]
ports: [{port: 8080, protocol: TCP, name: ""}]
EOF2
}

internal_policy_local() {
    local ip
    service int int 'internalTrafficPolicy: Local' && remote_slice int || return 1
    ip=$(field service/int .spec.clusterIP)
    until_ok 10 eval "ruleset | grep -q '$ip . tcp . 80 : drop'" || return 1
    in_node curl -s --max-time 1 "http://$ip/"
    expect "curl's exit code (timeout)" 28 $?
    web int int | kubectl apply -f - >/dev/null && ready int || return 1
    until_ok 10 who "$ip" || fail "the local endpoint is not used"
    expect "who answers" int "$(for _ in 1 2 3 4 5 6 7 8; do who "$ip" | cut -d' ' -f1; done | sort -u)"
    kubectl delete service/int pod/int endpointslice/int-remote >/dev/null
}

refused_without_endpoints() {
    local ip
    service none none || return 1
    ip=$(field service/none .spec.clusterIP)
    until_ok 10 eval "ruleset | grep -q '$ip . tcp . 80 : goto reject-chain'" || return 1
    in_node curl -s --max-time 2 "http://$ip/"
    expect "curl's exit code (refused)" 7 $?
    kubectl delete service none >/dev/null
}

headless() {
    web hl headless | kubectl apply -f - >/dev/null && service headless headless 'clusterIP: None' && ready headless || return 1
    local ip
    ip=$(field pod/hl .status.podIP)
    until_ok 10 eval '[ "$(kubectl get endpointslices -l kubernetes.io/service-name=headless \
        -o "jsonpath={.items[0].endpoints[0].addresses[0]}")" = '"$ip"' ]' || return 1
    expect "label of a headless Service's slice" "" "$(kubectl get endpointslices -l kubernetes.io/service-name=headless \
        -o 'jsonpath={.items[0].metadata.labels.service\.kubernetes\.io/headless}')"
    ! ruleset | grep -F "$ip" || fail "kube-proxy has rules for a headless Service"
    kubectl delete service/headless pod/hl >/dev/null
}

# A pod that reaches itself through its Service, and sees another address than its own.
hairpin() {
    service hairpin hairpin || return 1
    web hairpin hairpin '(sleep 1; while :; do printf "GET /cgi-bin/who HTTP/1.0\r\n\r\n" | nc -w 1 $HAIRPIN_SERVICE_HOST 80; usleep 200000; done) &' |
        kubectl apply -f - >/dev/null || return 1
    until_ok 30 eval 'kubectl logs hairpin | grep -q "^hairpin .::ffff:10.244.0.1.$"' || fail "no hairpin: $(kubectl logs hairpin | tail -n1)"
    kubectl delete service/hairpin pod/hairpin >/dev/null
}

# --- Endpoints that come and go

health_check_node_port() {
    local port url
    service hc hc 'type: LoadBalancer, externalTrafficPolicy: Local' || return 1
    port=$(field service/hc .spec.healthCheckNodePort)
    [ "${port:-0}" -ge 30000 ] || fail "no health check node port"
    url=http://$NODE_IP:$port/
    until_ok 10 eval '[ "$(outside curl -s -o /dev/null -w "%{http_code}" '"$url"')" = 503 ]' || fail "503 without endpoints"
    web hc1 hc | kubectl apply -f - >/dev/null && web hc2 hc | kubectl apply -f - >/dev/null && ready hc || return 1
    until_ok 10 eval '[ "$(outside curl -s '"$url"' | jq .localEndpoints)" = 2 ]' || fail "counts"
    expect "health" '200 {"service":{"namespace":"default","name":"hc"},"localEndpoints":2,"serviceProxyHealthy":true}' \
        "$(outside curl -s -o /dev/null -w '%{http_code}' "$url") $(outside curl -s "$url" | jq -c .)"
    kubectl delete pod hc1 hc2 --force --grace-period=0 2>/dev/null
    until_ok 10 eval '[ "$(outside curl -s -o /dev/null -w "%{http_code}" '"$url"')" = 503 ]' || fail "503 after the endpoints"
    kubectl delete service hc >/dev/null
    until_ok 10 eval "! outside curl -s --max-time 1 $url" || fail "the port stays open"
}

PRESTOP='    lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}'
# The last endpoint serves while it terminates; with a ready one beside it new connections go there, and what is under way
# ends in peace.
terminating() {
    local ip slow
    service term term || return 1
    web t1 term "" "$PRESTOP" | sed 's/PeriodSeconds: 0/PeriodSeconds: 8/' | kubectl apply -f - >/dev/null && ready term || return 1
    ip=$(field service/term .spec.clusterIP)
    until_ok 10 who "$ip" || return 1
    in_node curl -sf --max-time 10 "http://$ip/cgi-bin/slow" >"$DATA_DIR/slow" &
    slow=$!
    until_ok 5 grep -q 1 "$DATA_DIR/slow"
    kubectl delete pod t1 --wait=false >/dev/null
    until_ok 5 eval '[ "$(kubectl get endpointslices -l kubernetes.io/service-name=term \
        -o "jsonpath={.items[0].endpoints[0].conditions}")" = "{\"ready\":false,\"serving\":true,\"terminating\":true}" ]' || return 1
    expect "the only one, terminating" "t1" "$(who "$ip" | cut -d' ' -f1)"
    web t2 term | kubectl apply -f - >/dev/null
    until_ok 10 eval '[ "$(who '"$ip"' | cut -d" " -f1)" = t2 ]' || fail "the ready one is not preferred"
    expect "new connections" t2 "$(for _ in 1 2 3 4 5 6; do who "$ip" | cut -d' ' -f1; done | sort -u)"
    wait $slow || fail "a connection broke while its pod terminated"
    expect "lines of the slow answer" 10 "$(wc -l <"$DATA_DIR/slow")"
    kubectl delete service/term pod/t2 >/dev/null
}

affinity() {
    local ip first i
    for i in 1 2 3; do web aff$i aff | kubectl apply -f - >/dev/null; done
    service aff aff 'sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 600}}' && ready aff || return 1
    ip=$(field service/aff .spec.clusterIP)
    until_ok 10 eval '[ "$(kubectl get endpoints aff -o "jsonpath={.subsets[0].addresses[*].ip}" | wc -w)" = 3 ]'
    until_ok 10 who "$ip" || return 1
    first=$(who "$ip" | cut -d' ' -f1)
    expect "answers of one client" "$first" "$(for i in 1 2 3 4 5 6 7 8 9 10; do who "$ip" | cut -d' ' -f1; done | sort -u)"
    kill -9 "$(cat "$DATA_DIR/run/kube-proxy.pid")"
    until_ok 10 in_node curl -sf http://127.0.0.1:10256/healthz
    expect "after a restart of kube-proxy" "$first" "$(who "$ip" | cut -d' ' -f1)"
    # Idle for longer than the timeout, which was shortened: any of the three.
    kubectl patch service aff -p '{"spec":{"sessionAffinityConfig":{"clientIP":{"timeoutSeconds":1}}}}' >/dev/null
    until_ok 10 eval 'ruleset | grep -q "timeout 1s"' || fail "another timeout is not taken"
    until_ok 60 eval 'sleep 1.2; [ "$(who '"$ip"' | cut -d" " -f1)" != '"$first"' ]' || fail "affinity does not end"
    kubectl delete service/aff pod/aff1 pod/aff2 pod/aff3 >/dev/null
}

# --- kube-proxy itself

proxy_killed_and_flushed() {
    local ip n bad log=$DATA_DIR/requests loop pid
    web px1 px | kubectl apply -f - >/dev/null && web px2 px | kubectl apply -f - >/dev/null && service px px && ready px || return 1
    ip=$(field service/px .spec.clusterIP)
    until_ok 10 who "$ip" || return 1
    (
        n=0 bad=0
        while [ ! -e "$DATA_DIR/stop" ]; do
            n=$((n + 1))
            who "$ip" >/dev/null || bad=$((bad + 1))
        done
        echo "$n $bad" >"$log"
    ) &
    loop=$!
    for _ in 1 2 3; do
        pid=$(cat "$DATA_DIR/run/kube-proxy.pid")
        kill -9 "$pid"
        until_ok 30 eval "[ \"\$(cat '$DATA_DIR/run/kube-proxy.pid')\" != $pid ]" || fail "kube-proxy does not come back"
        until_ok 30 in_node curl -sf http://127.0.0.1:10256/healthz || fail "kube-proxy is not healthy again"
    done
    touch "$DATA_DIR/stop"
    wait $loop
    rm -f "$DATA_DIR/stop"
    read -r n bad <"$log"
    echo "$n requests, $bad failed"
    [ "$n" -gt 10 ] && expect "failed requests while kube-proxy is killed" 0 "$bad"
    in_node nft flush ruleset
    until_ok 2 who "$ip" || fail "rules do not come back"
    in_node nft delete chain ip kube-proxy nat-prerouting
    until_ok 2 eval "ruleset | grep -q 'chain nat-prerouting'" || fail "a chain does not come back"
    kubectl delete service/px pod/px1 pod/px2 >/dev/null
}

for t in ${TESTS:-udp_moves_to_the_new_endpoint node_ports_and_sources internal_policy_local refused_without_endpoints headless \
    hairpin health_check_node_port terminating affinity proxy_killed_and_flushed}; do
    run $t
done
echo "$FAILURES failures"
[ $FAILURES -eq 0 ]

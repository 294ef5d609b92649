#!/bin/bash
# Attacks by those who are in a container or beside a node: links that change while mounts are made, users, disks that are
# filled, ports of the node's loopback. Those on the control plane are in tests/integration/attacks_test.sh.
. "$(dirname "$0")/lib.sh"
trap finish EXIT

net_up || exit 1
cluster_up --no-demo || exit 1
WAIT=120

field() { kubectl get "$1" -o "jsonpath={$2}"; }
phase_is() { [ "$(field "pod/$1" .status.phase)" = "$2" ]; }
waits_for() { [ "$(field "pod/$1" '.status.containerStatuses[0].state.waiting.reason')" = "$2" ]; }
logs_are() { [ "$(kubectl logs "$1" 2>/dev/null)" = "$2" ]; }
pid_of() { cat "$DATA_DIR/run/$1.pid"; }

# pod <name> <command> [of the container, a line each] [of the spec, lines]
pod() {
    kubectl apply -f - >/dev/null <<EOF2
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec:
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
${4-}
  containers:
  - name: c
    image: $BUSYBOX
    command: [sh, -c, '$2']
${3-}
EOF2
}

# Looked at each second.
kubelet_looks_often() {
    local pid
    printf 'containerLogMonitorInterval: 1s\n' >>"$DATA_DIR/config/kubelet.yaml"
    pid=$(pid_of kubelet)
    kill "$pid"
    until_ok $WAIT eval "p=\$(cat '$DATA_DIR/run/kubelet.pid') && [ \$p != $pid ]" &&
        until_ok $WAIT kubectl wait --for=condition=Ready node --all --timeout=1s
}

# CVE-2017-1002101, CVE-2021-25741: what is mounted is looked up in the volume, however often it changes meanwhile.
subpath() {
    local i victims='' logs
    mkdir -p "$DATA_DIR/secret" && echo of-the-host >"$DATA_DIR/secret/marker"
    pod link 'cat /m/marker' '    volumeMounts: [{name: e, mountPath: /m, subPath: d}]' "  volumes: [{name: e, emptyDir: {}}]
  initContainers:
  - {name: i, image: $BUSYBOX, command: [ln, -s, $DATA_DIR/secret, /e/d], volumeMounts: [{name: e, mountPath: /e}]}"
    until_ok $WAIT waits_for link CreateContainerConfigError || return 1
    expect "a link out of the volume" 'failed to prepare subPath for volumeMount "e" of container "c"' \
        "$(field pod/link '.status.containerStatuses[0].state.waiting.message')"
    for i in 1 2 3 4 5 6 7 8 9 10; do
        victims+="
  - {name: v$i, image: $BUSYBOX, command: [sh, -c, 'ls /m; cat /m/marker /m/d/marker; exec sleep 3600'], volumeMounts: [{name: e, mountPath: /m, subPath: d/d}]}"
    done
    pod race "mkdir -p /e/d/d; while true; do mv /e/d /e/x; ln -s $DATA_DIR /e/d; rm /e/d; mv /e/x /e/d; mv /e/d/d /e/d/x; ln -s $DATA_DIR/secret /e/d/d; rm /e/d/d; mv /e/d/x /e/d/d; done" \
        "    volumeMounts: [{name: e, mountPath: /e}]$victims" '  volumes: [{name: e, emptyDir: {}}]'
    tried() {
        [ "$(kubectl get pod race -o json | jq '[.status.containerStatuses[] | select(.state.running or .state.terminated or
            (.state.waiting.reason | IN("CreateContainerConfigError", "CreateContainerError", "RunContainerError")))] | length')" = 11 ]
    }
    until_ok $WAIT tried || return 1
    for i in 1 2 3 4 5 6 7 8 9 10; do
        logs=$(kubectl logs race -c v$i 2>/dev/null)
        case $logs in
        *of-the-host* | *kubelet*) fail "container v$i sees the host: $logs" ;;
        esac
    done
    kubectl get pod race -o json | jq -r '.status.containerStatuses[].state | keys[0]' | sort | uniq -c
    kubectl delete pod link race >/dev/null
    until_ok $WAIT pods_gone app=race || return 1
    expect "the host's file" of-the-host "$(cat "$DATA_DIR/secret/marker")"
}

# CVE-2017-1002102: what the API wrote cannot be changed, nor be led elsewhere.
volumes_of_the_api() {
    kubectl create configmap cm --from-literal=a=b >/dev/null
    kubectl create secret generic sec --from-literal=a=b >/dev/null
    pod api 'for d in c s p d; do touch /$d/x 2>&1; rm /$d/a 2>&1; ln -s / /$d/l 2>&1; done; cat /c/a; echo; echo x >/sub 2>&1' \
        '    volumeMounts: [{name: c, mountPath: /c}, {name: s, mountPath: /s}, {name: p, mountPath: /p}, {name: d, mountPath: /d}, {name: c, mountPath: /sub, subPath: a}]' \
        '  restartPolicy: Never
  volumes:
  - {name: c, configMap: {name: cm}}
  - {name: s, secret: {secretName: sec}}
  - {name: p, projected: {sources: [{configMap: {name: cm}}]}}
  - {name: d, downwardAPI: {items: [{path: a, fieldRef: {fieldPath: metadata.name}}]}}'
    until_ok $WAIT phase_is api Failed || until_ok 1 phase_is api Succeeded || return 1
    expect "each attempt is refused" 13 "$(kubectl logs api | grep -c 'Read-only file system')"
    expect "what is in it" b "$(kubectl logs api | grep -x b)"
}

host_path_types() {
    local type
    mkdir -p "$DATA_DIR/hp" && touch "$DATA_DIR/hp/file"
    # <type> <path> <what it says>
    while read -r type path what; do
        pod "hp-${type,,}" true '    volumeMounts: [{name: h, mountPath: /h}]' "  volumes: [{name: h, hostPath: {path: $path, type: $type}}]"
        until_ok $WAIT eval "kubectl get events --field-selector involvedObject.name=hp-${type,,},reason=FailedMount -o 'jsonpath={.items[*].message}' | grep -qF 'hostPath type check failed: $path is not $what'" ||
            fail "hostPath of type $type"
        kubectl delete pod "hp-${type,,}" >/dev/null
    done <<TYPES
Directory $DATA_DIR/hp/file a directory
File $DATA_DIR/hp a file
Socket $DATA_DIR/hp/file a socket
TYPES
}

# A kubelet reads what a container leaves: no more than it should, and without waiting for it.
last_words() {
    pod words 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo "line $i"; done >/dev/termination-log' '' '  restartPolicy: Never'
    pod pipe 'exit 0' '    volumeMounts: [{name: e, mountPath: /dev/termination-log, subPath: f}]' "  restartPolicy: Never
  volumes: [{name: e, emptyDir: {}}]
  initContainers:
  - {name: i, image: $BUSYBOX, command: [mkfifo, /e/f], volumeMounts: [{name: e, mountPath: /e}]}"
    until_ok $WAIT phase_is words Succeeded || return 1
    local message
    message=$(field pod/words '.status.containerStatuses[0].state.terminated.message')
    expect "bytes" 4096 "$(printf '%s\n' "$message" | wc -c)"
    expect "the last of it" "line 2000" "$(tail -n 1 <<<"$message")"
    until_ok $WAIT phase_is pipe Succeeded || fail "a pipe for a message"
}

# CVE-2019-11245: the first start and those after it are the same.
users() {
    pod root 'id -u' '    securityContext: {runAsNonRoot: true}'
    pod zero 'id -u' '    securityContext: {runAsNonRoot: true, runAsUser: 1000}' '  securityContext: {runAsUser: 0}'
    kubectl apply --dry-run=server -f - >/dev/null 2>&1 <<<'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{"name":"c","image":"x","securityContext":{"runAsNonRoot":true,"runAsUser":-1}}]}}' &&
        fail "a negative user"
    until_ok $WAIT waits_for root CreateContainerConfigError || return 1
    expect "as root" "container has runAsNonRoot and image will run as root" \
        "$(field pod/root '.status.containerStatuses[0].state.waiting.message' | sed 's/ (pod:.*//')"
    again() { [ "$(field pod/zero '.status.containerStatuses[0].restartCount')" -ge 2 ]; }
    until_ok $WAIT again || return 1
    until_ok $WAIT logs_are zero 1000 || fail "after a restart: user $(kubectl logs zero)"
    kubectl delete pod root zero >/dev/null
}

# CVE-2020-8557 and what else fills the node's disk.
disks() {
    pod hosts 'dd if=/dev/zero of=/etc/hosts bs=1M count=20; exec sleep 3600' '    resources: {limits: {ephemeral-storage: 5Mi}}'
    pod layer 'dd if=/dev/zero of=/big bs=1M count=20; exec sleep 3600' '    resources: {limits: {ephemeral-storage: 5Mi}}'
    pod empty 'dd if=/dev/zero of=/e/big bs=1M count=20; exec sleep 3600' '    volumeMounts: [{name: e, mountPath: /e}]' \
        '  volumes: [{name: e, emptyDir: {sizeLimit: 2Mi}}]'
    pod memory 'dd if=/dev/zero of=/e/big bs=1M count=20 2>&1 | grep -o "No space left on device"; exec sleep 3600' \
        '    volumeMounts: [{name: e, mountPath: /e}]' '  volumes: [{name: e, emptyDir: {medium: Memory, sizeLimit: 2Mi}}]'
    pod modest 'dd if=/dev/zero of=/e/big bs=1M count=1; dd if=/dev/zero of=/big bs=1M count=1; exec sleep 3600' \
        '    resources: {limits: {ephemeral-storage: 5Mi}}
    volumeMounts: [{name: e, mountPath: /e}]' '  volumes: [{name: e, emptyDir: {sizeLimit: 2Mi}}]'
    local p
    for p in hosts layer empty; do until_ok $WAIT phase_is $p Failed || return 1; done
    expect "a sizeLimit" 'Evicted Usage of EmptyDir volume "e" exceeds the limit "2Mi". ' "$(field pod/empty '.status.reason} {.status.message')"
    for p in hosts layer; do
        expect "limits of $p" 'Evicted Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. ' "$(field pod/$p '.status.reason} {.status.message')"
    done
    expect "its condition" 'True TerminationByKubelet' \
        "$(field pod/empty '.status.conditions[?(@.type=="DisruptionTarget")].status} {.status.conditions[?(@.type=="DisruptionTarget")].reason')"
    expect "its event" 'Warning' "$(kubectl get events --field-selector involvedObject.name=empty,reason=Evicted -o 'jsonpath={.items[*].type}')"
    until_ok $WAIT logs_are memory "No space left on device" || fail "a disk in memory: $(kubectl logs memory)"
    phase_is modest Running || fail "what keeps to its limits stays: $(field pod/modest .status.phase)"
    kubectl delete pod hosts layer empty memory modest >/dev/null
}

# CVE-2020-8558: a neighbour asks for the node's loopback.
loopback() {
    pod web 'echo hello >/index.html; exec httpd -f -p 8080 -h /' '    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}'
    kubectl create -f - >/dev/null <<<'{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"type":"NodePort","selector":{"app":"web"},"ports":[{"port":80,"targetPort":8080,"nodePort":30080}]}}'
    until_ok $WAIT outside curl -sf --max-time 5 "http://$NODE_IP:30080/" || return 1
    expect "listens on the loopback" ok "$(in_node curl -s --max-time 5 http://127.0.0.1:10248/healthz)"
    outside sysctl -qw net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.eth0.route_localnet=1
    outside ip addr del 127.0.0.1/8 dev lo
    outside ip route add 127.0.0.1/32 via $NODE_IP src $OUTSIDE_IP
    for port in 10248 30080; do
        outside curl -s --max-time 3 "http://127.0.0.1:$port/" && fail "a neighbour reaches the loopback's port $port"
    done
    expect "the way there is real" "127.0.0.1 via $NODE_IP dev eth0" "$(outside ip route get 127.0.0.1 | grep -o "127.0.0.1 via $NODE_IP dev eth0")"
    outside ip route del 127.0.0.1/32
    outside ip addr add 127.0.0.1/8 dev lo
    kubectl delete pod/web service/web >/dev/null
}

# CVE-2018-1002100, CVE-2019-1002101, CVE-2019-11246: whose tar it is that a copy comes from, the container decides.
copies() {
    python3 - "$DATA_DIR" <<'PY'
import io, sys, tarfile
data = sys.argv[1]
with tarfile.open(data + "/evil.tar", "w") as tar:
    def add(name, kind=tarfile.REGTYPE, link=""):
        t = tarfile.TarInfo(name)
        t.type, t.linkname, body = kind, link, b"evil" if kind == tarfile.REGTYPE else b""
        t.size = len(body)
        tar.addfile(t, io.BytesIO(body))
    add("data/good")
    add("data/link", tarfile.SYMTYPE, data)
    add("data/link/escaped1")
    add("data/up", tarfile.SYMTYPE, "../")
    add("data/up/escaped2")
    add("data/hard", tarfile.LNKTYPE, data + "/admin.kubeconfig")
    add("data/fifo", tarfile.FIFOTYPE)
    add("data/../../escaped3")
PY
    kubectl create configmap evil --from-literal=tar="$(base64 "$DATA_DIR/evil.tar")" >/dev/null
    pod evil 'rm /bin/tar; printf "#!/bin/sh\nbase64 -d /evil/tar\n" >/bin/tar; chmod +x /bin/tar; exec sleep 3600' \
        '    volumeMounts: [{name: e, mountPath: /evil}]
    readinessProbe: {exec: {command: [tar]}, periodSeconds: 1}' '  volumes: [{name: e, configMap: {name: evil}}]'
    until_ok $WAIT kubectl wait --for=condition=Ready pod/evil --timeout=1s || return 1
    mkdir -p "$DATA_DIR/copies/in"
    kubec --kubeconfig "$KUBECONFIG" cp default/evil:/data "$DATA_DIR/copies/in/out" >"$DATA_DIR/log/copies" 2>&1
    expect "what came" evil "$(cat "$DATA_DIR/copies/in/out/good")" || cat "$DATA_DIR/log/copies"
    # Links are left out: what is below their names came as plain files.
    expect "what came elsewhere" "" "$(find "$DATA_DIR" -name 'escaped*' -not -path "$DATA_DIR/copies/in/out/*")"
    expect "links and pipes" "" "$(find "$DATA_DIR/copies" -type l -o -type p)"
    [ ! "$DATA_DIR/copies/in/out/hard" -ef "$DATA_DIR/admin.kubeconfig" ] || fail "a hard link"
    kubectl delete pod/evil configmap/evil >/dev/null
}

for t in ${TESTS:-kubelet_looks_often subpath volumes_of_the_api host_path_types last_words users disks loopback copies}; do
    run $t
done
echo "$FAILURES failures"
[ $FAILURES -eq 0 ]

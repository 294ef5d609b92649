#!/bin/bash
# exec, attach, port-forward, cp, logs and proxy with a real containerd, kubec and every kubectl that is installed: by SPDY/3.1 (to
# 1.30) and by WebSocket (from 1.31 on).
. "$(dirname "$0")/clients/clients.sh"
if [ -z "${EXEC_TEST_NS-}" ]; then
    # What is installed is installed from here, as there is no way out of the namespace.
    export EXEC_TEST_NS=1 NPM_DIR
    NPM_DIR=$(mktemp -d "${TMPDIR:-/tmp}/kubec-npm.XXXXXX")
    trap 'rm -rf "$NPM_DIR"' EXIT
    install_node_client && unshare --net bash "$0" "$@"
    exit
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node.sh"

start_node
eventually 20 get node node1 || { tail -n 20 "$WORK/kubelet.log"; exit 1; }
"$KUBECTL" patch node node1 -p '{"spec":{"podCIDR":"10.244.7.0/24","podCIDRs":["10.244.7.0/24"]}}' >/dev/null
node_ready() { [ "$(get node node1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]; }
eventually 20 node_ready || fail "the node gets ready"

pod_yaml web "mkdir /www; echo hello-web >/www/index.html; httpd -p 8080 -h /www; $FOREVER" |
    sed 's/^    command/    ports: [{containerPort: 8080}]\n    command/' | "$KUBECTL" apply -f - >/dev/null
pod_yaml host "mkdir /www; echo hello-host >/www/index.html; httpd -p 10.123.9.1:8081 -h /www; httpd -p 127.0.0.1:8081 -h /www; $FOREVER" 'hostNetwork: true' |
    "$KUBECTL" apply -f - >/dev/null
pod_yaml talk 'echo ready; while read line; do echo \"got $line\"; done; echo bye' | sed 's/^  - name: c/  - name: c\n    stdin: true\n    stdinOnce: true/' |
    sed 's/^spec:/spec:\n  restartPolicy: Never/' | "$KUBECTL" apply -f - >/dev/null
eventually 30 pod_ready web || fail "the pod gets ready"
eventually 30 pod_ready host || fail "the pod of the host's network gets ready"
eventually 30 pod_ready talk || fail "the pod with an input gets ready"

# Ours; the oldest and the newest that speak SPDY, and the same of WebSocket.
KUBEC=$KUBEC_BIN/kubec
CLIENTS=("$KUBEC" "$KUBECTL")
for v in 1.27 1.29 1.31; do
    for p in "kubectl.$v" "/usr/lib/google-cloud-sdk/bin/kubectl.$v"; do
        if command -v "$p" >/dev/null; then CLIENTS+=("$p"); break; fi
    done
done

# A terminal, for -t: runs the command in it, with that size; its output without carriage returns.
in_terminal() {
    python3 - "$@" <<'PY'
import fcntl, os, pty, struct, sys, termios
size, args = sys.argv[1].split("x"), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", int(size[1]), int(size[0]), 0, 0))
    os.execvp(args[0], args)
out = b""
while True:
    try:
        piece = os.read(fd, 65536)
    except OSError:
        break
    if not piece:
        break
    out += piece
sys.stdout.write(out.decode().replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
}

# forward <client> <target> <port>: sets FORWARD_PID and FORWARD_PORT.
forward() {
    : >"$WORK/forward.out"
    "$1" port-forward "$2" "0:$3" >"$WORK/forward.out" 2>&1 &
    FORWARD_PID=$!
    PIDS+=("$FORWARD_PID")
    eventually 15 grep -q '^Forwarding from 127' "$WORK/forward.out" || fail "$1 forwards a port: $(cat "$WORK/forward.out")"
    FORWARD_PORT=$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' "$WORK/forward.out" | head -n 1)
}

end_forward() {
    kill "$FORWARD_PID" 2>/dev/null
    wait "$FORWARD_PID" 2>/dev/null
}

for k in "${CLIENTS[@]}"; do
    echo "--- $k: exec"
    out=$(timeout 30 "$k" exec web -- sh -c 'echo out; echo err >&2; exit 3' 2>"$WORK/err")
    is "exit code" 3 $?
    is "stdout" out "$out"
    is "stderr" "err
command terminated with exit code 3" "$(cat "$WORK/err")"
    timeout 30 "$k" exec web -- nosuchcommand 2>"$WORK/err"
    is "exit code of a missing command" 1 $?
    has "missing command" 'exec: "nosuchcommand": executable file not found in $PATH' "$(cat "$WORK/err")"
    timeout 30 "$k" exec web -c other -- true 2>"$WORK/err"
    has "missing container" "container other is not valid for pod web" "$(cat "$WORK/err")"
    is "the end of the input" 6 "$(printf 'a b\nc\n' | timeout 30 "$k" exec -i web -- wc -c)"
    is "nothing goes missing" 104857600 "$(timeout 120 "$k" exec web -- dd if=/dev/zero bs=1M count=100 2>/dev/null | wc -c)"
    head -c 10000000 /dev/urandom >"$WORK/random"
    is "a large input" "$(md5sum <"$WORK/random")" "$(timeout 60 "$k" exec -i web -- md5sum <"$WORK/random")"
    is "a terminal has a size" "24 80" \
        "$(in_terminal 80x24 timeout 30 "$k" exec -it web -- sh -c 'until stty size 2>/dev/null | grep -q [1-9]; do :; done; stty size' | tail -n 1)"
    has "it is a terminal" /dev/pts/ "$(in_terminal 80x24 timeout 30 "$k" exec -it web -- tty)"

    echo "--- $k: cp"
    timeout 60 "$k" cp "$WORK/random" web:/tmp/random >/dev/null || fail "cp to the pod"
    timeout 60 "$k" cp web:/tmp/random "$WORK/back" >/dev/null 2>&1 || fail "cp from the pod"
    cmp "$WORK/random" "$WORK/back" || fail "what comes back is what went"

    echo "--- $k: port-forward"
    forward "$k" pod/web 8080
    CURLS=()
    for i in 1 2 3 4 5 6; do
        curl -s --max-time 10 "http://127.0.0.1:$FORWARD_PORT/" >"$WORK/curl$i" &
        CURLS+=($!)
    done
    wait "${CURLS[@]}"
    for i in 1 2 3 4 5 6; do is "parallel connection $i" hello-web "$(cat "$WORK/curl$i")"; done
    end_forward
    forward "$k" pod/host 8081
    is "a pod of the host's network" hello-host "$(curl -s --max-time 10 "http://127.0.0.1:$FORWARD_PORT/")"
    end_forward
    forward "$k" pod/web 9
    curl -s --max-time 10 "http://127.0.0.1:$FORWARD_PORT/"
    eventually 10 grep -q 'connection refused' "$WORK/forward.out" || fail "a port that nobody listens on: $(cat "$WORK/forward.out")"
    end_forward
done

# websocket <protocol> <path> [channel and text to send]: what comes on which channel, a line each.
websocket() {
    python3 - "$API_PORT" "$WORK/ca.crt" "$@" <<'PY'
import base64, socket, ssl, struct, sys
port, ca, protocol, path = sys.argv[1:5]
s = ssl.create_default_context(cafile=ca).wrap_socket(socket.create_connection(("127.0.0.1", int(port)), 20), server_hostname="127.0.0.1")
s.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin-token\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %s\r\n\r\n" % (path, protocol)).encode())
data = b""
def need(n):
    global data
    while len(data) < n:
        piece = s.recv(65536)
        if not piece:
            raise EOFError
        data += piece
while b"\r\n\r\n" not in data:
    need(len(data) + 1)
head, data = data.split(b"\r\n\r\n", 1)
if b" 101 " not in head:
    sys.exit(head.decode() + data.decode())
text = "base64" in protocol
for arg in sys.argv[5:]:
    payload = arg[0].encode() + base64.b64encode(arg[1:].encode()) if text else bytes([int(arg[0])]) + arg[1:].encode()
    s.sendall(bytes([0x81 if text else 0x82, 0x80 | len(payload)]) + bytes(4) + payload)
out = {}
try:
    while True:
        need(2)
        op, n, at = data[0] & 15, data[1] & 127, 2
        if n == 126:
            need(4)
            n, at = struct.unpack(">H", data[2:4])[0], 4
        need(at + n)
        payload, data = data[at:at + n], data[at + n:]
        if op == 8:
            break
        if op in (1, 2) and payload:
            channel = int(chr(payload[0])) if text else payload[0]
            out[channel] = out.get(channel, b"") + (base64.b64decode(payload[1:]) if text else payload[1:])
except EOFError:
    pass
for channel in sorted(out):
    print(channel, out[channel].decode(errors="replace").strip().replace("\n", " "))
PY
}

echo "--- WebSocket clients of other kinds"
EXEC="/api/v1/namespaces/default/pods/web/exec?stdout=true&stderr=true&command=sh&command=-c&command=echo%20out%3B%20echo%20err%20%3E%262%3B"
for protocol in v5.channel.k8s.io v4.channel.k8s.io v4.base64.channel.k8s.io; do
    out=$(websocket $protocol "$EXEC%20exit%203")
    is "$protocol: output" "1 out
2 err" "$(head -n 2 <<<"$out")"
    has "$protocol: status" '"reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}' "$out"
done
for protocol in channel.k8s.io base64.channel.k8s.io; do
    is "$protocol" "1 out
2 err" "$(websocket $protocol "$EXEC")"
done
for protocol in v5.channel.k8s.io v4.channel.k8s.io base64.channel.k8s.io; do
    is "$protocol: input" "1 got typed" "$(websocket $protocol \
        "/api/v1/namespaces/default/pods/web/exec?stdin=true&stdout=true&command=sh&command=-c&command=read%20x%3B%20echo%20got%20%24x" "0typed
" | head -n 1)"
done
has "ports by WebSocket" "hello-web" "$(websocket v4.channel.k8s.io '/api/v1/namespaces/default/pods/web/portforward?ports=8080' "0GET / HTTP/1.0

")"

for c in $(clients); do
    echo "--- the client of $c"
    client "$c" exec "$KUBECONFIG" web || fail "exec by the client of $c"
done

echo "--- a new pod with a terminal"
has "run -it --rm" "hi-2" "$(in_terminal 80x24 timeout 60 "$KUBECTL" run once -it --rm --restart=Never --image=docker.io/library/busybox:1.35 \
    --overrides='{"spec":{"nodeName":"node1","automountServiceAccountToken":false}}' -- sh -c 'sleep 1; echo hi-$((1+1))' 2>&1)"
! needs_kubectl 25 "debug" || has "debug" "hi-web" "$(in_terminal 80x24 timeout 60 "$KUBECTL" debug web -it --image=docker.io/library/busybox:1.35 -- sh -c 'sleep 1; echo hi-$(hostname)' 2>&1)"

echo "--- kubec: a user at a terminal"
user() { timeout 120 python3 "$TESTS_DIR/integration/terminal.py" "$@"; }
has "a terminal changes its size, and the exit code is the command's" "[exit 7, restored]" "$(user 80x24 \
    wait:'# ' size:100x30 'send:until [ "$(stty size)" = "30 100" ]; do :; done; echo re$((1+1))sized\n' wait:re2sized 'send:exit 7\n' \
    -- "$KUBEC" exec -it web -- sh)"
has "Ctrl-C goes to the command" "[exit 130, restored]" "$(user 80x24 wait:started 'send:\x03' -- "$KUBEC" exec -it web -- sh -c 'echo started; sleep 60')"
has "Ctrl-C without a terminal of its own" "[exit 1, restored]" "$(user 80x24 wait:started 'send:\x03' -- "$KUBEC" exec -i web -- sh -c 'echo started; sleep 5')"
has "the end by a signal" "[exit 1, restored]" "$(user 80x24 wait:started kill:15 -- "$KUBEC" exec -it web -- sh -c 'echo started; sleep 5')"
has "Ctrl-C at logs -f" "[exit 1, restored]" "$(user 80x24 wait:started 'send:\x03' -- "$KUBEC" logs -f web)"
# What a container prints at its very end may be lost to those who are attached: each hears its answer before it ends.
# typing <what> <command...>: attached by the command, it types a line and hears it; the exit code is the command's.
typing() {
    local what=$1
    shift
    : >"$WORK/out"
    mkfifo "$WORK/keys"
    timeout 120 "$@" <"$WORK/keys" >"$WORK/out" 2>"$WORK/err" &
    local pid=$!
    exec 9>"$WORK/keys"
    echo typed >&9
    eventually 60 grep -q '^got typed$' "$WORK/out" || fail "$what: an answer: $(cat "$WORK/out" "$WORK/err")"
    exec 9>&-
    rm "$WORK/keys"
    wait $pid
}
typing run "$KUBEC" run once2 -i --rm --restart=Never --image=docker.io/library/busybox:1.35 \
    --overrides='{"spec":{"nodeName":"node1","automountServiceAccountToken":false}}' --command -- \
    sh -c 'while read x; do echo "got $x"; done; exit 5'
is "run: exit code of the container" 5 $?
is "run: output" 'got typed
pod "once2" deleted from default namespace' "$(cat "$WORK/out")"
is "run: messages" "If you don't see a command prompt, try pressing enter.
pod default/once2 terminated (Error)" "$(cat "$WORK/err")"
typing debug "$KUBEC" debug web -i -c dbg --image=docker.io/library/busybox:1.35 -- sh -c 'while read x; do echo "got $x"; done' ||
    fail "debug ends well: $(cat "$WORK/err")"
"$KUBEC" exec -q web -- yes 2>"$WORK/err" | head -n 1 >"$WORK/out"
is "a closed pipe ends it" "141 0" "${PIPESTATUS[*]}"
is "a closed pipe is no message" "" "$(cat "$WORK/err")"
mkdir -p "$WORK/tree/sub/empty"; echo one >"$WORK/tree/one"; echo long >"$WORK/tree/$(printf 'n%.0s' {1..120})"; ln -s one "$WORK/tree/link"
"$KUBEC" cp "$WORK/tree" web:/tmp/tree || fail "cp of a directory"
"$KUBEC" cp --retries=1 web:/tmp/tree "$WORK/copy" >/dev/null 2>"$WORK/err" || fail "cp of a directory back"
is "files go both ways, links one" "$(cd "$WORK/tree" && find . ! -type l | sort)" "$(cd "$WORK/copy" && find . | sort)"
has "links are said" 'warning: skipping symlink: "' "$(cat "$WORK/err")"
"$KUBEC" exec -q web -- sh -c 'mkdir -p /tmp/l && cd /tmp/l && echo x >x' || fail "a file"
"$KUBEC" cp web:/tmp/l/../l "$WORK/refused" >/dev/null 2>"$WORK/err"
is "names that leave the directory are refused" "error: tar contents corrupted" "$(cat "$WORK/err")"

echo "--- attach"
mkfifo "$WORK/input"
"$KUBECTL" attach -i talk <"$WORK/input" >"$WORK/talk.out" 2>"$WORK/talk.err" &
ATTACH_PID=$!
exec 9>"$WORK/input"
echo one >&9
eventually 20 grep -q '^got one$' "$WORK/talk.out" || fail "what is typed arrives: $(cat "$WORK/talk.out" "$WORK/talk.err")"
exec 9>&-
wait "$ATTACH_PID" || fail "attach ends with the command"
has "the end of the input reaches the command" bye "$(cat "$WORK/talk.out")"
eventually 20 pod_is talk '{.status.phase}' Succeeded || fail "the command has ended"
"$KUBECTL" attach talk 2>"$WORK/err"
has "attach to what has ended" "cannot attach a container in a completed pod; current phase is Succeeded" "$(cat "$WORK/err")"

echo "--- what breaks off"
: >"$WORK/out" # by the shell that looks into it next
"$KUBECTL" exec -i web -- sh -c 'echo on; cat >/dev/null; echo eof >/tmp/eof' <"$WORK/input" >"$WORK/out" 2>/dev/null &
EXEC_PID=$!
exec 9>"$WORK/input"
eventually 20 grep -q on "$WORK/out" || fail "the command runs"
kill -9 "$EXEC_PID"
exec 9>&-
eventually 20 "$KUBECTL" exec web -- test -e /tmp/eof || fail "the command sees the end when its client is killed"

: >"$WORK/out"
"$KUBECTL" exec web -- sh -c 'echo on; exec sleep 1000' >"$WORK/out" 2>"$WORK/err" &
EXEC_PID=$!
eventually 20 grep -q on "$WORK/out" || fail "the command runs"
kill -9 "$(container_pid web)"
wait "$EXEC_PID"
is "exit code when the container is killed" 137 $?
has "its words" "command terminated with exit code 137" "$(cat "$WORK/err")"
eventually 30 pod_is web '{.status.containerStatuses[0].restartCount}' 1 || fail "the container is restarted"
eventually 30 pod_ready web || fail "the pod is ready again"

"$KUBECTL" exec web -- sh -c 'echo on; exec sleep 1000' >"$WORK/out" 2>"$WORK/err" &
EXEC_PID=$!
eventually 20 grep -q on "$WORK/out" || fail "the command runs"
stop_apiserver
wait "$EXEC_PID"
is "exit code when the apiserver goes" 1 $?
start_apiserver --kubelet-client-certificate="$WORK/admin.crt" --kubelet-client-key="$WORK/admin.key" \
    --kubelet-preferred-address-types=InternalIP
wait_ready
is "after a restart" back "$("$KUBECTL" exec web -- echo back)"

echo "--- a reader that is slow: bounded memory, nothing lost"
rss() { awk '/VmRSS/ {print $2}' "/proc/$1/status"; }
before=$(rss "$APISERVER_PID")
"$KUBECTL" exec web -- dd if=/dev/zero bs=1M count=200 2>/dev/null >"$WORK/input" &
EXEC_PID=$!
exec 8<"$WORK/input"
head -c 1000 <&8 >/dev/null
grown=$(($(rss "$APISERVER_PID") - before))
[ $grown -lt 65536 ] || fail "the apiserver has grown by $grown KiB"
rest=$(wc -c <&8)
exec 8<&-
wait "$EXEC_PID"
[ "$rest" -gt 209000000 ] || fail "lost: $rest bytes have come of 209715200"

echo "--- logs and proxy"
is "logs" started "$("$KUBECTL" logs web)"
"$KUBECTL" logs -f web >"$WORK/out" &
LOGS_PID=$!
eventually 10 grep -q started "$WORK/out" || fail "logs are followed"
kill "$LOGS_PID"
wait "$LOGS_PID" 2>/dev/null
raw() { "$KUBECTL" get --raw "$1" 2>&1; }
is "pods/proxy" hello-web "$(raw /api/v1/namespaces/default/pods/web/proxy/)"
is "pods/proxy with a port" hello-web "$(raw /api/v1/namespaces/default/pods/http:web:8080/proxy/index.html)"
is "nobody listens" "Error from server (ServiceUnavailable): error trying to reach service: dial tcp $(pod web '{.status.podIP}'):9: connect: connection refused" \
    "$(raw /api/v1/namespaces/default/pods/web:9/proxy/)"
is "nodes/proxy" ok "$(raw /api/v1/nodes/node1/proxy/healthz)"
is "nodes/proxy with the kubelet's port" ok "$(raw /api/v1/nodes/https:node1:10250/proxy/healthz)"
is "another port of the node" hello-host "$(raw /api/v1/nodes/node1:8081/proxy/)"
"$KUBECTL" apply -f - >/dev/null <<SVC
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: ["$(pod web '{.status.podIP}')"], conditions: {ready: true}, targetRef: {kind: Pod, name: web, namespace: default}}]
SVC
for name in web:80 web:http http:web:http; do
    is "services/proxy $name" hello-web "$(raw "/api/v1/namespaces/default/services/$name/proxy/")"
done
is "no port, where they have names" 'Error from server (ServiceUnavailable): no endpoints available for service "web"' \
    "$(raw /api/v1/namespaces/default/services/web/proxy/)"
is "a port that the Service has not" 'Error from server (ServiceUnavailable): no service port 81 found for service "web"' \
    "$(raw /api/v1/namespaces/default/services/web:81/proxy/)"
is "a port name that no endpoint has" 'Error from server (ServiceUnavailable): no endpoints available for service "web:x"' \
    "$(raw /api/v1/namespaces/default/services/web:x/proxy/)"
"$KUBECTL" proxy --port=0 >"$WORK/proxy.out" 2>&1 &
PIDS+=($!)
eventually 10 grep -q '^Starting to serve on' "$WORK/proxy.out" || fail "kubectl proxy starts"
PROXY=$(sed -n 's/^Starting to serve on //p' "$WORK/proxy.out")
is "kubectl proxy" hello-web "$(curl -sL --max-time 10 "http://$PROXY/api/v1/namespaces/default/services/web:http/proxy")"

"$KUBECTL" delete pod web host talk --wait=false >/dev/null
for p in web host talk; do eventually 20 gone $p || fail "$p goes"; done
none_left() { [ -z "$(ctr_ containers ls -q)" ] && [ -z "$(ls "$WORK/kubelet/pods")" ]; }
eventually 20 none_left || fail "nothing is left"
kill "$KUBELET_PID"
wait_gone "$KUBELET_PID" 20 || fail "the kubelet ends"
wait "$KUBELET_PID"
is "exit status of the kubelet" 0 $?
if grep -nE "$SANITIZER_SAYS" "$WORK/kubelet.log"; then fail "the sanitizers complain"; fi
[ $FAILURES -eq 0 ] || tail -n 40 "$WORK/kubelet.log" >&2

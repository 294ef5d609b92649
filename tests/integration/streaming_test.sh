#!/bin/bash
# exec, attach, portforward, log and proxy of the apiserver against a kubelet that is none: what it is asked, with which
# credentials, and what becomes of its answers. With a real node: exec_test.sh.
if [ -z "${STREAMING_TEST_NS-}" ]; then
    STREAMING_TEST_NS=1 exec unshare --net bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
ip link set lo up
ip link add node0 type veth peer name outside0 && ip addr add 10.123.9.1/24 dev node0 && ip link set node0 up && ip link set outside0 up

make_pki
cert kubelet /CN=kubelet "subjectAltName=IP:10.123.9.1
extendedKeyUsage=serverAuth"
cert other /CN=other "subjectAltName=DNS:other.example
extendedKeyUsage=serverAuth"
cert client /CN=apiserver-client
start_etcd
API_FLAGS=(--authorization-mode=RBAC --kubelet-client-certificate="$WORK/client.crt" --kubelet-client-key="$WORK/client.key"
    --kubelet-certificate-authority="$WORK/ca.crt" --kubelet-preferred-address-types=InternalIP)
start_apiserver "${API_FLAGS[@]}"
kubeconfig admin admin-token
export KUBECONFIG=$WORK/admin.kubeconfig
wait_ready

# fake <name> <certificate> [plain]: a server at 10.123.9.1; sets PORT.
fake() {
    : >"$WORK/$1.log"
    python3 "$TESTS_DIR/integration/fake_kubelet.py" 10.123.9.1 "$WORK/$2.crt" "$WORK/$2.key" "$WORK/ca.crt" \
        "$WORK/$1.log" ${3-} >"$WORK/$1.port" &
    PIDS+=($!)
    eventually 10 test -s "$WORK/$1.port" || fail "the server $1 starts"
    PORT=$(cat "$WORK/$1.port")
}

# node <name> <address> <port>
node() {
    "$KUBECTL" apply -f - >/dev/null <<<"{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"$1\"}}"
    patch_sub nodes "$1" status "{\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"$2\"}],
        \"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":$3}}}}"
}

# pod <name> <node or ""> [IP] [more containers]
pod() {
    "$KUBECTL" apply -f - >/dev/null <<<"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"$1\",\"namespace\":\"default\"},
        \"spec\":{\"nodeName\":\"$2\",\"automountServiceAccountToken\":false,\"containers\":[{\"name\":\"c\",\"image\":\"i\"}${4-}]}}"
    [ -z "${3-}" ] || patch_sub pods "$1" status \
        "{\"status\":{\"podIP\":\"$3\",\"podIPs\":[{\"ip\":\"$3\"}]}}"
}

"$KUBECTL" apply -f - >/dev/null <<<'{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":"default"}}'
fake kubelet kubelet
node good 10.123.9.1 "$PORT"
KUBELET_PORT=$PORT
fake other other
node unverified 10.123.9.1 "$PORT"
node nobody 10.123.9.1 9
node loopback 127.0.0.1 "$KUBELET_PORT"
pod one good
pod two good "" ',{"name":"d","image":"i"}'
pod nowhere ""
pod badcert unverified
pod dead nobody

# The last request that a server has seen: seen <name> <jq filter>
seen() { tail -n 1 "$WORK/$1.log" | jq -r "$2"; }

# upgrade <method> <path> [header ...]: the head of the answer, and what comes back for "hello", a line.
upgrade() {
    python3 - "$API_PORT" "$WORK/ca.crt" "${TOKEN-admin-token}" "$@" <<'PY'
import os, socket, ssl, sys
port, ca, token, method, path = sys.argv[1:6]
s = ssl.create_default_context(cafile=ca).wrap_socket(socket.create_connection(("127.0.0.1", int(port)), 20), server_hostname="127.0.0.1")
head = "%s %s HTTP/1.1\r\nHost: x\r\n" % (method, path) + "".join(h + "\r\n" for h in sys.argv[6:])
if token:
    head += "Authorization: Bearer %s\r\n" % token
s.sendall((head + "Content-Length: 0\r\n\r\n").encode())
data = b""
while b"\r\n\r\n" not in data:
    piece = s.recv(4096)
    if not piece:
        break
    data += piece
head, _, rest = data.partition(b"\r\n\r\n")
if b" 101 " in head.split(b"\r\n")[0]:
    s.sendall(b"hello")
    while len(rest) < 5:
        rest += s.recv(100)
else:
    length = [int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:")]
    while length and len(rest) < length[0]:
        rest += s.recv(4096)
print(head.decode(errors="replace").replace("\r", ""))
print()
print(rest.decode(errors="replace"), flush=True)
while os.environ.get("HOLD"):
    try:
        if not s.recv(100):
            break
    except OSError:
        break
PY
}
SPDY=("Connection: Upgrade" "Upgrade: SPDY/3.1" "X-Stream-Protocol-Version: v4.channel.k8s.io")
WS=("Connection: keep-alive, Upgrade" "Upgrade: websocket" "Sec-WebSocket-Version: 13" "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
PODS=/api/v1/namespaces/default/pods

echo "--- a connection goes through"
out=$(upgrade POST "$PODS/one/exec?command=ls&command=-l%20a&stdin=true&stdout=1&stderr=false&tty=true&container=c" "${SPDY[@]}" \
    "Cookie: a=b" "Impersonate-User: admin" "Impersonate-Group: system:masters" "X-Remote-User: root")
has "101" "HTTP/1.1 101 Switching Protocols" "$out"
has "the kubelet's protocol" "Upgrade: SPDY/3.1" "$out"
is "bytes come back" hello "$(tail -n 1 <<<"$out")"
is "what the kubelet is asked" "POST /exec/default/one/c?command=ls&command=-l%20a&input=1&output=1&tty=1" "$(seen kubelet '.method + " " + .path')"
is "as whom" apiserver-client "$(seen kubelet .user)"
is "no credentials of the client" "null null null null" \
    "$(seen kubelet '[.headers.authorization,.headers["impersonate-user"],.headers["impersonate-group"],.headers["x-remote-user"]] | map(tostring) | join(" ")')"
is "what it says else" "a=b" "$(seen kubelet .headers.cookie)"
is "the Host header" "10.123.9.1:$KUBELET_PORT" "$(seen kubelet .headers.host)"
out=$(upgrade POST "$PODS/one/portforward?ports=80&ports=90" "${SPDY[@]}")
is "port-forward" "/portForward/default/one?port=80%2C90 hello" "$(seen kubelet .path) $(tail -n 1 <<<"$out")"
out=$(upgrade POST "$PODS/one/attach?stdout=true" "${SPDY[@]}")
is "attach" "/attach/default/one/c?output=1 hello" "$(seen kubelet .path) $(tail -n 1 <<<"$out")"
bearer=base64url.bearer.authorization.k8s.io.$(printf admin-token | base64 | tr -d =)
out=$(TOKEN= upgrade GET "$PODS/one/exec?command=ls&stdout=true" "${WS[@]}" "Sec-WebSocket-Protocol: $bearer, v4.base64.channel.k8s.io, base64.channel.k8s.io")
has "an older WebSocket protocol" "Sec-WebSocket-Protocol: v4.base64.channel.k8s.io" "$out"
is "the token is not for the kubelet" "v4.base64.channel.k8s.io, base64.channel.k8s.io" "$(seen kubelet '.headers["sec-websocket-protocol"]')"
out=$(upgrade GET "$PODS/one/exec?command=ls&stdout=true" "${WS[@]}" "Sec-WebSocket-Protocol: v5.channel.k8s.io")
has "the new WebSocket protocol" "Sec-WebSocket-Protocol: v5.channel.k8s.io" "$out"
has "its key" "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" "$out"
is "is SPDY for the kubelet" "POST SPDY/3.1 v4.channel.k8s.io" "$(seen kubelet '.method + " " + .headers.upgrade + " " + .headers["x-stream-protocol-version"]')"
out=$(upgrade GET "$PODS/one/portforward" "${WS[@]}" "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io")
has "the tunnel" "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io" "$out"
is "is SPDY, too" "GET SPDY/3.1 portforward.k8s.io" "$(seen kubelet '.method + " " + .headers.upgrade + " " + .headers["x-stream-protocol-version"]')"

echo "--- what is refused"
# message <what> <code> <message> <answer of upgrade>
message() {
    is "$1" "HTTP/1.1 $2" "$(head -n 1 <<<"$4" | cut -d' ' -f1-2)"
    is "$1: message" "$3" "$(sed '1,/^$/d' <<<"$4" | jq -r .message)"
}
message "no upgrade" 400 "Upgrade request required" "$(upgrade POST "$PODS/one/exec?command=ls&stdout=true")"
message "no pod" 404 'pods "none" not found' "$(upgrade POST "$PODS/none/exec?command=ls" "${SPDY[@]}")"
message "no node yet" 400 "pod nowhere does not have a host assigned" "$(upgrade POST "$PODS/nowhere/exec?command=ls" "${SPDY[@]}")"
message "which container" 400 "a container name must be specified for pod two, choose one of: [c d]" "$(upgrade POST "$PODS/two/exec?command=ls" "${SPDY[@]}")"
message "no such container" 400 "container x is not valid for pod two" "$(upgrade POST "$PODS/two/attach?container=x" "${SPDY[@]}")"
message "another version of WebSocket" 426 "websocket: unsupported version: 13 not found in 'Sec-Websocket-Version' header" \
    "$(upgrade GET "$PODS/one/exec?command=ls" "Connection: Upgrade" "Upgrade: websocket" "Sec-WebSocket-Version: 8" "Sec-WebSocket-Protocol: v5.channel.k8s.io")"
message "a kubelet that is away" 500 "error dialing backend: dial tcp 10.123.9.1:9: connect: connection refused" \
    "$(upgrade POST "$PODS/dead/exec?command=ls" "${SPDY[@]}")"
out=$(upgrade POST "$PODS/badcert/exec?command=ls" "${SPDY[@]}")
has "a kubelet that is another" "error dialing backend: tls: failed to verify certificate: x509: " "$out"
is "it was not asked" 0 "$(wc -l <"$WORK/other.log")"
out=$(upgrade POST "$PODS/one/exec?command=refuse" "${SPDY[@]}")
is "the kubelet's refusal" "HTTP/1.1 403 Forbidden" "$(head -n 1 <<<"$out")"
has "its headers" "X-Kubelet: yes" "$out"
is "its words" "no, thanks" "$(tail -n 1 <<<"$out")"
message "a redirect is not followed" 500 "invalid upgrade response: status code 302" "$(upgrade POST "$PODS/one/exec?command=redirect" "${SPDY[@]}")"
out=$(upgrade GET "$PODS/one/exec?command=refuse" "${WS[@]}" "Sec-WebSocket-Protocol: v5.channel.k8s.io")
has "a WebSocket is told at its end" "HTTP/1.1 101" "$out"

echo "--- who may"
"$KUBECTL" apply -f - >/dev/null <<RBAC
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules: [{apiGroups: [""], resources: [pods, pods/exec, pods/attach, pods/portforward, pods/log], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}]
RBAC
denied() { TOKEN=alice-token upgrade GET "$PODS/one/$1" "${WS[@]}" "Sec-WebSocket-Protocol: v5.channel.k8s.io" | sed -n 1p; }
allowed_logs() {
    TOKEN=alice-token api GET "$PODS/one/log" >/dev/null
    [ "$(code)" = 200 ]
}
eventually 10 allowed_logs || fail "the role counts"
for sub in exec attach portforward; do is "a reader may not $sub" "HTTP/1.1 403 Forbidden" "$(denied $sub)"; done
message "its words" 403 'pods "one" is forbidden: User "alice" cannot create resource "pods/exec" in API group "" in the namespace "default"' \
    "$(TOKEN=alice-token upgrade GET "$PODS/one/exec" "${WS[@]}")"

echo "--- logs of a kubelet that cannot be verified"
api GET "$PODS/badcert/log" >/dev/null
has "not read" "tls: failed to verify certificate: x509: " "$(field .message)"
is "but for who does not mind" "GET /containerLogs/default/badcert/c 0" "$(api GET "$PODS/badcert/log?insecureSkipTLSVerifyBackend=true")"

echo "--- logs wait for a slow reader"
pod logs good "" ',{"name":"slow","image":"i"}'
rss() { awk '/VmRSS/ {print $2}' "/proc/$APISERVER_PID/status"; }
before=$(rss)
mkfifo "$WORK/log"
curl -s --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' "https://127.0.0.1:$API_PORT$PODS/logs/log?container=slow" >"$WORK/log" &
CURL_PID=$!
exec 8<"$WORK/log"
head -c 1000 <&8 >/dev/null
grown=$(($(rss) - before))
[ $grown -lt 32768 ] || fail "the apiserver has grown by $grown KiB"
rest=$(wc -c <&8)
exec 8<&-
wait "$CURL_PID" || fail "the log ends in order"
[ "$rest" -gt 104000000 ] || fail "lost: only $rest bytes of 104857600"

echo "--- proxy"
fake pod kubelet plain
POD_PORT=$PORT
pod app good 10.123.9.1
P=$PODS/app:$POD_PORT/proxy
api GET "$P/a/../b//c%2Fd?x=y&z" -H 'Cookie: k=v' -H 'X-Forwarded-For: 1.2.3.4' >/dev/null
is "path and query" "GET /b/c%2Fd?x=y&z" "$(seen pod '.method + " " + .path')"
is "no token for the pod" "null k=v" "$(seen pod '(.headers.authorization|tostring) + " " + .headers.cookie')"
is "for whom" "1.2.3.4, 127.0.0.1" "$(seen pod '.headers["x-forwarded-for"]')"
head -c 20000000 /dev/zero >"$WORK/big"
is "a large body" "POST /echo 20000000" "$(api POST "$P/echo" -H 'Content-Type: application/octet-stream' --data-binary "@$WORK/big")"
api GET "$P/teapot" >/dev/null
is "codes and bodies go through" "418 short and stout" "$(code) $(cat "$WORK/body")"
has "headers, too" "x-end: 2" "$(tr 'A-Z' 'a-z' <"$WORK/headers")"
grep -qi x-hop "$WORK/headers" && fail "headers of the connection stay behind"
is "links of pages" "<a href=\"$P/x\">/x</a><a href=\"http://example.com/y\">y</a>" "$(api GET "$P/page")"
api GET "$P/redirect" >/dev/null
is "redirects are the client's" 302 "$(code)"
has "and lead back" "location: $P/elsewhere?a=b" "$(tr -d '\r' <"$WORK/headers" | sed 's/^Location/location/')"

# Every method, to each thing that has a proxy, with a path and without.
"$KUBECTL" apply -f - >/dev/null <<SVC
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: $POD_PORT, protocol: TCP}]
endpoints: [{addresses: [10.123.9.1], conditions: {ready: true}, targetRef: {kind: Pod, name: app, namespace: default}}]
SVC
head_of() { curl -sI --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' "https://127.0.0.1:$API_PORT$1" | tr -d '\r'; }
for to in "$P pod" "/api/v1/nodes/good/proxy kubelet" "/api/v1/namespaces/default/services/web/proxy pod"; do
    read -r path server <<<"$to"
    for m in POST PUT PATCH DELETE OPTIONS; do
        is "$m $path/echo" "$m /echo 4" "$(api $m "$path/echo" -H 'Content-Type: text/plain' -d body)"
        is "$m $path" "$m / 4" "$(api $m "$path" -H 'Content-Type: text/plain' -d body)"
    done
    is "GET $path/echo" "GET /echo 0" "$(api GET "$path/echo")"
    has "HEAD $path/echo" " 200" "$(head_of "$path/echo" | head -n 1)"
    is "HEAD $path/echo at the other end" "HEAD /echo" "$(seen "$server" '.method + " " + .path')"
    # A page without a slash gets one.
    api GET "$path" >/dev/null
    is "GET $path" 301 "$(code)"
    has "GET $path: where" "location: $path/" "$(tr -d '\r' <"$WORK/headers" | tr L l)"
    head_of "$path" >"$WORK/head"
    has "HEAD $path" " 301" "$(head -n 1 "$WORK/head")"
    has "HEAD $path: where" "location: $path/" "$(tr L l <"$WORK/head")"
done
api GET "$P/hang" >/dev/null
is "no answer" "503 error trying to reach service: EOF" "$(code) $(field .message)"
out=$(upgrade GET "$P/ws" "${WS[@]}")
is "an upgrade" "HTTP/1.1 101 Switching Protocols hello" "$(head -n 1 <<<"$out") $(tail -n 1 <<<"$out")"
is "a kubelet by its node" "GET /healthz 0" "$(api GET "/api/v1/nodes/good/proxy/healthz")"
is "as whom" apiserver-client "$(seen kubelet .user)"
api GET "/api/v1/nodes/unverified/proxy/healthz" >/dev/null
has "which is verified" "error trying to reach service: tls: failed to verify certificate: x509: " "$(field .message)"
is "another port of a node" "GET / 0" "$(api GET "/api/v1/nodes/good:$POD_PORT/proxy/")"
pod local good 127.0.0.1
pod linklocal good 169.254.169.254
for path in "$PODS/local:$POD_PORT/proxy/" "$PODS/linklocal:80/proxy/" "$PODS/one/proxy/" /api/v1/nodes/loopback/proxy/healthz; do
    api GET "$path" >/dev/null
    is "$path" "400 address not allowed" "$(code) $(field .message)"
done
api GET "$PODS/ftp:app:21/proxy/" >/dev/null
is "a scheme that is none" '400 invalid pod request "ftp:app:21"' "$(code) $(field .message)"
api GET "$PODS/none:80/proxy/" >/dev/null
answers "no pod" 404 NotFound
api GET "/api/v1/namespaces/default/services/none/proxy/" >/dev/null
answers "no Service" 404 NotFound
TOKEN=alice-token api GET "$P/x" >/dev/null
answers "who may not" 403 Forbidden

echo "--- the apiserver goes while connections are open"
HOLD=1 upgrade POST "$PODS/one/exec?command=ls&stdout=true" "${SPDY[@]}" >"$WORK/held" &
HELD_PID=$!
eventually 10 grep -q hello "$WORK/held" || fail "the connection is open"
stop_apiserver
wait_gone "$HELD_PID" 10 || fail "the connection ends with the apiserver"

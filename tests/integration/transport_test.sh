#!/bin/bash
# HTTPS as upstream's flags set it: versions, suites, key exchanges, certificates by name; the secure ports of scheduler and
# controller manager with delegated authorization; and what a client gets that passes a limit of the apiserver.
. "$(dirname "$0")/lib.sh"
make_pki
for name in one two; do
    cert $name "/CN=$name.example" "subjectAltName=DNS:$name.example,DNS:*.$name.example
extendedKeyUsage=serverAuth"
done
start_etcd
start_apiserver --tls-sni-cert-key="$WORK/one.crt,$WORK/one.key" --tls-sni-cert-key="$WORK/two.crt,$WORK/two.key:*.wild.example,two.example" \
    --tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_RSA_WITH_AES_128_CBC_SHA --authorization-mode=RBAC
kubeconfig admin admin-token
kubeconfig alice alice-token
export KUBECONFIG=$WORK/admin.kubeconfig
wait_ready

# --- the apiserver's certificates by name
shown() { # <port> <s_client arguments...>
    local port=$1
    shift
    openssl s_client -connect "127.0.0.1:$port" "$@" </dev/null 2>/dev/null | sed -n 's/^subject=CN = //p'
}
is "no name" kube-apiserver "$(shown "$API_PORT" -noservername)"
is "another name" kube-apiserver "$(shown "$API_PORT" -servername other.example)"
is "a name of a certificate" one.example "$(shown "$API_PORT" -servername one.example)"
is "a name below it" one.example "$(shown "$API_PORT" -servername a.one.example)"
is "a name two below it" kube-apiserver "$(shown "$API_PORT" -servername b.a.one.example)"
is "a pattern" two.example "$(shown "$API_PORT" -servername A.Wild.example)"
is "a name that the patterns leave out" kube-apiserver "$(shown "$API_PORT" -servername a.two.example)"
has "a warning of an insecure suite" 'Use of insecure cipher detected." cipher="TLS_RSA_WITH_AES_128_CBC_SHA"' "$(cat "$WORK/apiserver.log")"
is "a suite that is not in the list" "" "$(shown "$API_PORT" -tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384)"
is "one that is" kube-apiserver "$(shown "$API_PORT" -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256)"
is "TLS 1.1" "" "$(shown "$API_PORT" -tls1_1)"

# --- the scheduler's port
SCHEDULER_PORT=$(free_port)
kubeconfig scheduler scheduler-token
# Another identity for reviews than for the work.
kubeconfig reviewer admin-token
"$KUBEC_BIN/kube-scheduler" --kubeconfig="$WORK/scheduler.kubeconfig" --authentication-kubeconfig="$WORK/reviewer.kubeconfig" \
    --authorization-kubeconfig="$WORK/reviewer.kubeconfig" --authorization-always-allow-paths='/livez,/readyz*' --leader-elect=false \
    --bind-address=127.0.0.1 --secure-port="$SCHEDULER_PORT" --tls-min-version=VersionTLS13 --tls-curve-preferences=24,4588 \
    --cert-dir="$WORK/scheduler-certs" >"$WORK/scheduler.log" 2>&1 &
PIDS+=($!)
scheduler() { # <path> [curl arguments]: code, body in $WORK/body
    local path=$1
    shift
    curl -sk --max-time 60 -o "$WORK/body" -w '%{http_code}' "$@" "https://127.0.0.1:$SCHEDULER_PORT$path"
}
alive() { [ "$(scheduler /livez)" = 200 ]; }
eventually 60 alive || fail "the scheduler answers"
is "the self-signed certificate" "kube-scheduler.crt kube-scheduler.key " "$(find "$WORK/scheduler-certs" -type f -printf '%f\n' | sort | tr '\n' ' ')"
is "a path that is always allowed" 200 "$(scheduler '/readyz/ping')"
is "one that is not: code" 403 "$(scheduler /configz)"
is "one that is not" 'forbidden: User "system:anonymous" cannot get path "/configz"' "$(field .message)"
is "metrics, a wrong token" 401 "$(scheduler /metrics -H 'Authorization: Bearer nonsense')"
is "metrics, no right" 403 "$(scheduler /metrics -H 'Authorization: Bearer alice-token')"
is "metrics, no right: who" 'forbidden: User "alice" cannot get path "/metrics"' "$(field .message)"
is "metrics" 200 "$(scheduler /metrics -H 'Authorization: Bearer admin-token')"
is "the scheduler with TLS 1.2" "" "$(shown "$SCHEDULER_PORT" -tls1_2)"
is "the scheduler with X25519" "" "$(shown "$SCHEDULER_PORT" -groups X25519)"
has "the scheduler with P-384" "Server Temp Key: ECDH, secp384r1" "$(openssl s_client -connect "127.0.0.1:$SCHEDULER_PORT" -groups P-384 </dev/null 2>/dev/null)"

# --- flags that are wrong
refused() { # <what> <message> <flags...>
    local what=$1 message=$2
    shift 2
    has "$what" "$message" "$(timeout 60 "$KUBEC_BIN/kube-scheduler" --kubeconfig="$WORK/scheduler.kubeconfig" --leader-elect=false \
        --bind-address=127.0.0.1 --secure-port="$(free_port)" "$@" 2>&1)"
}
refused "an unknown suite" "Cipher suite TLS_NONE not supported or doesn't exist" --tls-cipher-suites=TLS_NONE
refused "an unknown version" 'unknown tls version' --tls-min-version=TLS9
refused "suites that HTTP/2 cannot use" "missing an HTTP/2-required AES_128_GCM_SHA256 cipher" --tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
refused "an unknown key exchange" "TLS curve preference 1 not supported or doesn't exist" --tls-curve-preferences=1
refused "a certificate without its key" "expected comma separated certificate and key file paths" --tls-sni-cert-key="$WORK/one.crt"
refused "a certificate with another's key" "failed to load SNI cert and key" --tls-sni-cert-key="$WORK/one.crt,$WORK/two.key"

# --- limits
CONFIGMAPS=/api/v1/namespaces/default/configmaps
api POST $CONFIGMAPS -H 'Content-Type: application/json' --data-binary '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"b"}}' >/dev/null
python3 - "$WORK" <<'PY'
import json, sys
d = sys.argv[1]
op = {"op": "test", "path": "/data/a", "value": "b"}
json.dump([op] * 10000, open(d + "/patch-10000", "w"))
json.dump([op] * 10001, open(d + "/patch-10001", "w"))
open(d + "/many", "w").write("".join("X-%d: y\n" % i for i in range(600)))
# Each line has the one before nine times: 9^12 nodes, were they made.
lines = ["x0: &x0 [a,a,a,a,a,a,a,a,a]"] + ["x%d: &x%d [%s]" % (i, i, ",".join(["*x%d" % (i - 1)] * 9)) for i in range(1, 12)]
open(d + "/aliases.yaml", "w").write("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n" + "\n".join(lines) + "\n")
open(d + "/nodes.json", "w").write('{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"n"},"x":[' + "[]," * 400000 + "[]]}")
for n in 127, 128:
    open(d + "/depth-%d.json" % n, "w").write('{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j%d"},"x":' % n + "[" * n + "]" * n + "}")
    open(d + "/depth-%d.yaml" % n, "w").write("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y%d}\nx: " % n + "[" * n + "]" * n + "\n")
open(d + "/pod.json", "w").write(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "large"}, "spec": {
    "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "x" * 2000000}]}]}}))
patterns = {"a": "((a{9999}){9999}){9999}", "b": "(" * 300 + ")" * 300}
open(d + "/crd.json", "w").write(json.dumps({
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "as.x.io"}, "spec": {
        "group": "x.io", "scope": "Cluster", "names": {"plural": "as", "singular": "a", "kind": "A", "listKind": "AList"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {k: {"type": "string", "pattern": p} for k, p in patterns.items()}}}}]}}))
open(d + "/requirements", "w").write(",".join("k%d" % i for i in range(4097)))
PY
patch() { api PATCH $CONFIGMAPS/c -H 'Content-Type: application/json-patch+json' --data-binary "@$WORK/$1" >/dev/null; }
patch patch-10000
is "10,000 operations: code" 200 "$(code)"
patch patch-10001
answers "10,001 operations" 413 RequestEntityTooLarge
is "10,001 operations" "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001" "$(field .message)"
many() { curl -s "$1" --max-time 60 -o /dev/null -w '%{http_code}' --cacert "$WORK/ca.crt" -H "@$WORK/many" "https://127.0.0.1:$API_PORT/healthz"; }
is "600 headers" 431 "$(many --http1.1)"
is "600 headers, HTTP/2" 431 "$(many --http2)"
# curl itself sends no such heads.
is "a header over 1 MiB" "HTTP/1.1 431 Request Header Fields Too Large" "$(python3 - "$API_PORT" "$WORK/ca.crt" <<'PY'
import socket, ssl, sys
s = ssl.create_default_context(cafile=sys.argv[2]).wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="127.0.0.1")
s.settimeout(60)
s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 1100000 + b"\r\n\r\n")
print(s.recv(1000).decode().split("\r\n")[0])
PY
)"
api POST $CONFIGMAPS -H 'Content-Type: application/yaml' --data-binary "@$WORK/aliases.yaml" >/dev/null
answers "aliases of aliases" 400 BadRequest
has "aliases of aliases" "document contains excessive aliasing or too many values" "$(field .message)"
ignoring() { api POST "$CONFIGMAPS?fieldValidation=Ignore" -H "Content-Type: application/${1##*.}" --data-binary "@$WORK/$1" >/dev/null; }
ignoring nodes.json
answers "400,000 values and some" 400 BadRequest
has "400,000 values and some" "too many values" "$(field .message)"
for f in json yaml; do
    ignoring depth-127.$f
    is "128 levels of $f: code" 201 "$(code)"
    ignoring depth-128.$f
    answers "129 levels of $f" 400 BadRequest
    has "129 levels of $f" "exceeded max depth" "$(field .message)"
done
kubectl create serviceaccount default >/dev/null
api POST /api/v1/namespaces/default/pods -H 'Content-Type: application/json' --data-binary "@$WORK/pod.json" >/dev/null
answers "an object of 2 MB" 413 RequestEntityTooLarge
is "an object of 2 MB" "etcdserver: request is too large" "$(field .message)"
api POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions -H 'Content-Type: application/json' --data-binary "@$WORK/crd.json" >/dev/null
answers "patterns" 422 Invalid
has "a pattern that would be large" "regular expression is too large" "$(field .message)"
has "a pattern that is deep" "parentheses are too deeply nested" "$(field .message)"
api GET $CONFIGMAPS --http1.1 -G --data-urlencode "labelSelector@$WORK/requirements" >/dev/null
answers "a selector of 4,097 requirements" 400 BadRequest
is "a selector of 4,097 requirements" "more than 4096 requirements" "$(field .message)"
api GET "/api/v1/namespaces/default/$(head -c 100000 /dev/zero | tr '\0' a)" --http1.1 >/dev/null
is "a path of 100,000 bytes: code" 404 "$(code)"
is "still the same process" "$APISERVER_PID" "$(pgrep -P $$ -x kube-apiserver)"
is "and it works" b "$(kubectl get configmap c -o 'jsonpath={.data.a}')"

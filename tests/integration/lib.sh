# Sourced by the integration tests: a control plane of their own - etcd and kube-apiserver on free loopback ports, with a PKI
# made for the occasion - and checks. Everything ends with the test.
set -u

TESTS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
KUBEC_BIN=${KUBEC_BIN:-$TESTS_DIR/../build-asan/bin}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/kubec-it.XXXXXX")
KUBECTL=${KUBECTL:-kubectl}
PIDS=()
FAILURES=0
ETCD_PID= APISERVER_PID=
# Reports of every process that the test starts, also of those whose output it reads or throws away.
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=0:detect_leaks=1}:log_path=$WORK/sanitizer
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}:log_path=$WORK/sanitizer
export TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=$WORK/sanitizer

SANITIZER_SAYS='ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:'

cleanup() {
    local rc=$? pid i
    # Last started, first ended: the apiserver needs etcd to leave in order.
    for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do
        pid=${PIDS[i]}
        kill "$pid" 2>/dev/null
        wait_gone "$pid" 15 || kill -9 "$pid" 2>/dev/null
    done
    if grep -qsE "$SANITIZER_SAYS" "$WORK"/sanitizer.* "$WORK"/*.log; then
        echo "FAIL: the sanitizers complain" >&2
        grep -sE -A40 "$SANITIZER_SAYS" "$WORK"/sanitizer.* "$WORK"/*.log | head -120 >&2
        rc=1
    fi
    [ $FAILURES -eq 0 ] || rc=1
    # For tests/coverage: who asked what of the API.
    [ -z "${KUBEC_ACCESS_LOG-}" ] || grep -h '"HTTP" verb=' "$WORK/apiserver.log" >>"$KUBEC_ACCESS_LOG"
    if [ $rc -ne 0 ]; then
        echo "--- end of apiserver.log" >&2
        tail -n 20 "$WORK/apiserver.log" >&2 2>/dev/null
    fi
    if [ -n "${KEEP_WORK-}" ]; then echo "kept: $WORK"; else rm -rf "$WORK"; fi
    exit $rc
}
trap cleanup EXIT

# wait_gone <pid> <seconds>
wait_gone() {
    local end=$((SECONDS + $2))
    while kill -0 "$1" 2>/dev/null; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

# eventually <seconds> <command...>: until it succeeds.
eventually() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "timed out waiting for: $*" >&2; return 1; }
        sleep 0.05
    done
}

fail() {
    FAILURES=$((FAILURES + 1))
    echo "FAIL: $*" >&2
}

# is <what> <expected> <actual>
is() {
    [ "$2" = "$3" ] && return
    fail "$1"
    echo "  expected: $2" >&2
    echo "  actual:   $3" >&2
}

# has <what> <part> <text>
has() {
    case $3 in
    *"$2"*) return 0 ;;
    esac
    fail "$1"
    echo "  expected to contain: $2" >&2
    echo "  actual: $3" >&2
}

free_port() {
    python3 - <<'PY' 2>/dev/null || perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(LocalAddr=>"127.0.0.1",Listen=>1)->sockport'
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])
PY
}

# --- PKI

# cert <name> <subject> [extension lines]: $WORK/<name>.{crt,key}, signed by the CA.
cert() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$WORK/$1.key" \
        -out "$WORK/$1.csr" 2>/dev/null &&
        openssl x509 -req -in "$WORK/$1.csr" -CA "$WORK/ca.crt" -CAkey "$WORK/ca.key" -CAcreateserial -days 2 \
            -extfile <(printf '%s\n' "${3:-extendedKeyUsage=clientAuth}") -out "$WORK/$1.crt" 2>/dev/null
}

make_pki() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=kubec-test-ca \
        -keyout "$WORK/ca.key" -out "$WORK/ca.crt" 2>/dev/null
    cert apiserver /CN=kube-apiserver "subjectAltName=IP:127.0.0.1,DNS:localhost
extendedKeyUsage=serverAuth"
    cert admin /O=system:masters/CN=admin
    openssl genrsa -out "$WORK/sa.key" 2048 2>/dev/null
    openssl rsa -in "$WORK/sa.key" -pubout -out "$WORK/sa.pub" 2>/dev/null
    cat >"$WORK/tokens.csv" <<TOKENS
admin-token,admin,admin-uid,"system:masters"
alice-token,alice,alice-uid,"developers,testers"
kcm-token,system:kube-controller-manager,kcm-uid
scheduler-token,system:kube-scheduler,scheduler-uid
TOKENS
}

# kubeconfig <user> <token>: writes $WORK/<user>.kubeconfig
kubeconfig() {
    cat >"$WORK/$1.kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:$API_PORT", certificate-authority: "$WORK/ca.crt"}}]
users: [{name: $1, user: {token: "$2"}}]
contexts: [{name: test, context: {cluster: test, user: $1}}]
current-context: test
CONFIG
}

# daemon_kubeconfig <kcm|scheduler>: writes $WORK/<name>.kubeconfig for the daemon's own identity.
daemon_kubeconfig() {
    kubeconfig "$1" "$1-token"
}

# --- daemons

start_etcd() {
    [ -n "${ETCD_PORT-}" ] || ETCD_PORT=$(free_port) ETCD_PEER_PORT=$(free_port)
    etcd --data-dir "$WORK/etcd" --listen-client-urls "http://127.0.0.1:$ETCD_PORT" \
        --advertise-client-urls "http://127.0.0.1:$ETCD_PORT" --listen-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" \
        --initial-advertise-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" \
        --initial-cluster "default=http://127.0.0.1:$ETCD_PEER_PORT" --unsafe-no-fsync >>"$WORK/etcd.log" 2>&1 &
    ETCD_PID=$!
    PIDS+=("$ETCD_PID")
}

# start_apiserver [flags...]
start_apiserver() {
    [ -n "${API_PORT-}" ] || API_PORT=$(free_port)
    "$KUBEC_BIN/kube-apiserver" --etcd-servers="http://127.0.0.1:$ETCD_PORT" --bind-address=127.0.0.1 \
        --advertise-address=192.0.2.10 \
        --secure-port="$API_PORT" --tls-cert-file="$WORK/apiserver.crt" --tls-private-key-file="$WORK/apiserver.key" \
        --client-ca-file="$WORK/ca.crt" --token-auth-file="$WORK/tokens.csv" \
        --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$WORK/sa.pub" \
        --service-account-signing-key-file="$WORK/sa.key" --service-cluster-ip-range=10.96.0.0/16 \
        ${KUBEC_ACCESS_LOG:+--v=3} "$@" >>"$WORK/apiserver.log" 2>&1 &
    APISERVER_PID=$!
    PIDS+=("$APISERVER_PID")
}

ready() {
    [ "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' \
        "https://127.0.0.1:$API_PORT/readyz")" = 200 ]
}

wait_ready() {
    eventually 30 ready || { fail "the apiserver is not ready"; exit 1; }
}

# start_control_plane [apiserver flags...]
start_control_plane() {
    make_pki
    start_etcd
    start_apiserver "$@"
    kubeconfig admin admin-token
    kubeconfig alice alice-token
    export KUBECONFIG=$WORK/admin.kubeconfig
    wait_ready
}

# Stops a daemon in order; fails when it does not end well.
stop_apiserver() {
    kill "$APISERVER_PID"
    wait_gone "$APISERVER_PID" 20 || fail "the apiserver does not end"
    wait "$APISERVER_PID"
    is "exit status of the apiserver" 0 $?
}

# --- requests. api <method> <path> [curl arguments]: the body goes to stdout, the code to $WORK/code.
api() {
    local method=$1 path=$2
    shift 2
    : >"$WORK/body"
    curl -s --max-time 60 --cacert "$WORK/ca.crt" -H "Authorization: Bearer ${TOKEN:-admin-token}" -A kubec-test -X "$method" \
        -o "$WORK/body" -D "$WORK/headers" -w '%{http_code}' "$@" "https://127.0.0.1:$API_PORT$path" >"$WORK/code"
    cat "$WORK/body"
}

code() {
    cat "$WORK/code"
}

# A value of the last body: field .metadata.name
field() {
    jq -r "$1" "$WORK/body" 2>/dev/null
}

# kubectl_minor: of the kubectl under test. Debian 12's is 1.20.
kubectl_minor() {
    "$KUBECTL" version --client -o json | jq -r '.clientVersion.minor | sub("[^0-9].*"; "")'
}

# needs_kubectl <minor> <what>: says what an older one leaves out.
needs_kubectl() {
    local minor
    minor=$(kubectl_minor)
    [ "$minor" -ge "$1" ] && return
    echo "skipped, kubectl is 1.$minor and not 1.$1: $2"
    return 1
}

# patch_sub <nodes|pods> <name> <subresource> <patch>: as kubectl patch --subresource does, which is there since 1.24 only.
patch_sub() {
    local path=/api/v1/nodes
    [ "$1" = nodes ] || path=/api/v1/namespaces/default/$1
    curl -sf --max-time 60 --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' -A kubec-test -X PATCH -o /dev/null \
        -H 'Content-Type: application/strategic-merge-patch+json' --data-binary "$4" \
        "https://127.0.0.1:$API_PORT$path/$2/$3" || fail "the $3 of $2 is patched"
}

# answers <what> <code> <reason>: of the last request, which was an error.
answers() {
    is "$1: code" "$2" "$(code)"
    is "$1: reason" "$3" "$(field .reason)"
}

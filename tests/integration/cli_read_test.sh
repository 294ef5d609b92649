#!/bin/bash
# What kubec shows and tests/parity cannot make: events and owners, which need the uids of their objects, metrics, and lists that
# come in pages. What all kinds look like is in tests/parity/cases/describe.txt.
. "$(dirname "$0")/lib.sh"
PATH=$KUBEC_BIN:$PATH
start_control_plane
cd "$WORK" || exit 1

# Two runs may fall on either side of a second: an age and its padding are not compared.
without_ages() {
    sed -E 's/\b([0-9]+[smhd])+\b/<age>/g; s/ +/ /g' "$1"
}

# same <words...>: output, errors and exit code of both.
same() {
    local want got
    "$KUBECTL" "$@" >want.out 2>want.err
    want=$?
    kubec "$@" >got.out 2>got.err
    got=$?
    sed -E -i 's/kubec ([a-z])/kubectl \1/g' got.out got.err
    is "kubec $*: exit code" "$want" "$got"
    is "kubec $*: output" "$(without_ages want.out)" "$(without_ages got.out)"
    is "kubec $*: errors" "$(cat want.err)" "$(cat got.err)"
}

# --- events and owners

kubec create sa default >/dev/null
kubec create deployment web --image=x >/dev/null
kubec create -f - >/dev/null <<< '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p1"},"spec":{"nodeName":"node-a","containers":[{"name":"c","image":"i"}]}}'
kubec create -f - >/dev/null <<< '{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-a"},"status":{"capacity":{"cpu":"4","memory":"8Gi"}}}'
kubec create -f - >/dev/null <<< '{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"node-a","namespace":"kube-node-lease"},"spec":{"holderIdentity":"node-a","renewTime":"2026-01-02T03:04:05.000000Z"}}'
uid() {
    kubec get "$1" "$2" -o 'jsonpath={.metadata.uid}'
}
POD=$(uid pod p1) DEPLOYMENT=$(uid deployment web)
event() { # <name> <reason> <extra fields>
    kubec create -f - >/dev/null <<EVENT || fail "event $1"
{"apiVersion":"v1","kind":"Event","metadata":{"name":"$1"},"reason":"$2","type":"Normal","involvedObject":{"apiVersion":"v1","kind":"Pod","name":"p1","namespace":"default","uid":"$POD"},$3}
EVENT
}
event p1.1 Pulled '"message":"  the image is there\n","source":{"component":"kubelet"},"firstTimestamp":"2026-01-02T03:04:05Z","lastTimestamp":"2026-01-02T03:14:05Z","count":3'
event p1.2 Bound '"message":"to node-a","action":"Binding","reportingComponent":"scheduler","reportingInstance":"s-1","eventTime":"2026-01-02T03:04:06.000000Z"'
replica_set() { # <name> <image>
    kubec create -f - >/dev/null <<SET || fail "replica set $1"
{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"$1","labels":{"app":"web"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"web","uid":"$DEPLOYMENT","controller":true}]},
 "spec":{"replicas":1,"selector":{"matchLabels":{"app":"web","pod-template-hash":"$1"}},"template":{"metadata":{"labels":{"app":"web","pod-template-hash":"$1"}},"spec":{"containers":[{"name":"x","image":"$2"}]}}}}
SET
}
replica_set web-new x
replica_set web-old y

has "the events of a pod" 'Normal  Pulled' "$(kubec describe pod p1)"
has "the new replica set" 'NewReplicaSet:     web-new (0/1 replicas created)' "$(kubec describe deployment web)"
has "the old replica set" 'OldReplicaSets:    web-old (0/1 replicas created)' "$(kubec describe deployment web)"
has "the lease of a node" 'RenewTime:       Fri, 02 Jan 2026 03:04:05 +0000' "$(TZ=UTC kubec describe node node-a)"
if command -v "$KUBECTL" >/dev/null && needs_kubectl 33 "what kubec describes is compared with it"; then
    same describe pod p1
    same describe deployment web
    same describe replicaset web-old
    same describe node node-a
    same describe pod p
    same describe pod p1 --show-events=false
    same events --for pod/p1
    same get events -o wide
fi

# --- metrics, and pages

python3 "$TESTS_DIR/integration/fake_metrics.py" "$WORK/port" "$WORK/go" &
PIDS+=("$!")
eventually 60 test -s port || { fail "no metrics server"; exit 1; }
SERVER=http://127.0.0.1:$(cat port)
unset KUBECONFIG
export HOME=$WORK

is "top node" 'NAME     CPU(cores)   CPU(%)      MEMORY(bytes)   MEMORY(%)
node-b   1235m        31%         3072Mi          42%
node-a   250m         6%          4096Mi          50%
node-c   <unknown>    <unknown>   <unknown>       <unknown>' "$(kubec -s "$SERVER" top node --sort-by=cpu | sed 's/ *$//')"
is "top pod --containers" 'POD     NAME   CPU(cores)   MEMORY(bytes)
db      db     2000m        3072Mi
web-1   app    100m         64Mi
web-1   side   2m           1Mi' "$(kubec -s "$SERVER" top pod --containers | sed 's/ *$//')"
if command -v "$KUBECTL" >/dev/null && needs_kubectl 33 "what kubec says of metrics is compared with it"; then
    while read -r words; do
        # shellcheck disable=SC2086 # words of a command line
        same -s "$SERVER" $words
    done <<'COMMANDS'
top node
top node node-a
top node --sort-by=memory
top node --show-capacity
top node --no-headers
top node nope
top pod
top pod -A
top pod db
top pod nope
top pod --sum
top pod --containers --sum
top pod -A --sum --containers
top pod --sort-by=cpu
top pod -A --sort-by=memory
top pod -n none
top pod -n none -A --no-headers
COMMANDS
fi

kubec -s "$SERVER" get pods --chunk-size=1 >pages 2>&1 &
GET=$!
eventually 60 grep -q '^first' pages || fail "the first page is held back"
touch go
wait "$GET"
is "get in pages: exit code" 0 $?
is "get in pages" $'NAME\nfirst\nsecond' "$(cat pages)"
stop_apiserver

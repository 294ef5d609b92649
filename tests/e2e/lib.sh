# For end-to-end tests: a cluster of deploy/up in a network namespace of the test's own, with a second one beside it that stands
# for the world outside. Sourced by bash. Sets DATA_DIR, KUBECONFIG, NODE_IP.
set -u

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PRESET=${KUBEC_PRESET-asan}
NS=kubec-e2e-$$ OUT=kubec-ext-$$
NODE_IP=10.123.0.1 OUTSIDE_IP=10.123.0.2
DATA_DIR=$(mktemp -d /tmp/kubec-e2e.XXXXXX)
export KUBECONFIG=$DATA_DIR/admin.kubeconfig
KUBECTL=$(command -v kubectl)
FAILURES=0
# The image of deploy/images; and another name of it, for those who need a second one.
BUSYBOX=docker.io/library/busybox:1.35 BUSYBOX_NEXT=docker.io/library/busybox:next
# To standard error, which is the daemon's log: those without privileges cannot make files there.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}

# nsenter, not "ip netns exec": that hides /sys/fs/cgroup.
in_node() { nsenter --net="/run/netns/$NS" -- "$@"; }
outside() { nsenter --net="/run/netns/$OUT" -- "$@"; }
kubectl() { in_node "$KUBECTL" "$@"; }
ctr_k8s() { ctr --address "$DATA_DIR/run/containerd.sock" -n k8s.io "$@"; }
kubec() { in_node "$DATA_DIR/bin/kubec" "$@"; }

net_up() {
    ip netns add "$NS" && ip netns add "$OUT" &&
        ip -n "$NS" link add eth0 type veth peer name eth0 netns "$OUT" &&
        ip -n "$NS" addr add $NODE_IP/24 dev eth0 && ip -n "$OUT" addr add $OUTSIDE_IP/24 dev eth0 &&
        ip -n "$NS" link set eth0 up && ip -n "$OUT" link set eth0 up &&
        ip -n "$NS" link set lo up && ip -n "$OUT" link set lo up &&
        ip -n "$NS" route add default via $OUTSIDE_IP
}

cluster_up() { in_node "$ROOT/deploy/up" --data-dir "$DATA_DIR" --preset="$PRESET" "$@"; }
cluster_down() { in_node "$ROOT/deploy/down" --data-dir "$DATA_DIR" "$@"; }

finish() {
    local rc=$?
    if [ $rc -ne 0 ]; then
        kubectl get pods,nodes,events -A 2>&1 | tail -n 40
        tail -n 15 "$DATA_DIR"/log/*.log
    fi
    sanitizer_reports || rc=1
    cluster_down >/dev/null 2>&1 || { echo "deploy/down failed"; rc=1; }
    ip netns del "$NS"
    ip netns del "$OUT"
    [ $rc -ne 0 ] || rm -rf "$DATA_DIR"
    exit $rc
}

# Reports of the daemons' sanitizers fail the test.
sanitizer_reports() {
    local f found=0
    for f in "$DATA_DIR"/log/*; do
        grep -qE 'ERROR: (Address|Leak|Undefined)|WARNING: ThreadSanitizer|runtime error:' "$f" 2>/dev/null || continue
        echo "sanitizer report in $f:"
        grep -E -A 25 'ERROR: (Address|Leak)|WARNING: ThreadSanitizer|runtime error:' "$f" | head -n 60
        found=1
    done
    return $found
}

# until_ok <seconds> <command...>
until_ok() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $deadline ]; then
            echo "not within the time: $*"
            "$@"
            return 1
        fi
        sleep 0.1
    done
}

fail() {
    echo "FAIL: $*"
    FAILURES=$((FAILURES + 1))
    return 1
}

# expect <what> <want> <have>
expect() {
    [ "$2" = "$3" ] || fail "$1: want <$2>, have <$3>"
}

# run <function>: one named step; the next ones run even if it fails.
run() {
    local before=$FAILURES start=$SECONDS
    "$1" || [ $FAILURES -gt $before ] || FAILURES=$((FAILURES + 1))
    if [ $FAILURES -gt $before ]; then
        echo "--- FAIL $1 ($((SECONDS - start)) s)"
    else
        echo "--- ok $1 ($((SECONDS - start)) s)"
    fi
}

replicas_ready() { [ "$(kubectl get "$1" -o 'jsonpath={.status.readyReplicas}')" = "$2" ]; }
pods_gone() { [ -z "$(kubectl get pods -l "$1" -o name)" ]; }

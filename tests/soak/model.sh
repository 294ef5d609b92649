#!/bin/bash
# tests/soak/model.sh [seconds [seed]]: random writers, readers and watchers against etcd and kube-apiserver, which are
# restarted all the time, in order and by force; all that was seen must agree with etcd's history. See model.py.
. "$(dirname "$0")/../integration/lib.sh"
SECONDS_IN_ALL=${1:-600} SEED=${2:-$(date +%s%N)}
QUIET=${QUIET:-5} # seconds between two blows

make_pki
start_etcd
start() {
    start_apiserver --etcd-compaction-interval=0
}
start
kubeconfig admin admin-token
export KUBECONFIG=$WORK/admin.kubeconfig
wait_ready
kubectl create namespace soak >/dev/null || fail "create namespace"
python3 "$TESTS_DIR/soak/model.py" --port "$API_PORT" --etcd "$ETCD_PORT" --ca "$WORK/ca.crt" --token admin-token \
    --seconds "$SECONDS_IN_ALL" --seed "$SEED" >"$WORK/model" 2>&1 &
model=$!

kill_now() {
    kill -9 "$1"
    { wait "$1"; } 2>/dev/null
    ! kill -0 "$1" 2>/dev/null
}

# As long as it writes; what comes after that is for all to catch up.
blow() {
    case $1 in
    0) kill "$APISERVER_PID" && wait_gone "$APISERVER_PID" 20 && start ;;
    1) kill_now "$APISERVER_PID" && start ;;
    2) kill_now "$ETCD_PID" && start_etcd ;;
    3) kill "$ETCD_PID" && wait_gone "$ETCD_PID" 20 && start_etcd ;;
    esac
}
RANDOM=${SEED: -4}
end=$((SECONDS + SECONDS_IN_ALL)) blows=0
while [ $((SECONDS + QUIET)) -le $end ] && kill -0 $model 2>/dev/null; do
    sleep "$QUIET"
    # Each of them at least once, however short the run is.
    blow $((blows < 4 ? blows : RANDOM % 4)) || fail "blow $blows"
    blows=$((blows + 1))
done
wait $model || fail "the model disagrees"
cat "$WORK/model"
echo "$blows restarts"
wait_ready
stop_apiserver

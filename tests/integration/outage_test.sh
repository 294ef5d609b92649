#!/bin/bash
# etcd goes away and comes back; the apiserver is restarted and killed: clear errors meanwhile, nothing lost after it.
. "$(dirname "$0")/lib.sh"
start_control_plane --enable-priority-and-fairness=false --max-mutating-requests-inflight=2

CONFIGMAPS=/api/v1/namespaces/default/configmaps

code_of() { # <path>
    api GET "$1" >/dev/null
    code
}
is_code() { # <path> <code>
    [ "$(code_of "$1")" = "$2" ]
}

kubectl create configmap before --from-literal=a=1 >/dev/null || fail "create"
curl -sN --max-time 90 --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' \
    "https://127.0.0.1:$API_PORT$CONFIGMAPS?watch=1" >"$WORK/watch" &
watcher=$!
eventually 5 grep -q '"before"' "$WORK/watch" || fail "the watch does not begin"

# --- etcd does not answer
kill -STOP "$ETCD_PID"
start=$SECONDS
is "a read that has to wait, but not for long: code" 504 "$(code_of "$CONFIGMAPS/before?timeout=1s")"
is "a read that has to wait: reason" Timeout "$(field .reason)"
api POST "$CONFIGMAPS?timeout=1s" -H 'Content-Type: application/json' \
    --data-binary '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"late"}}' >/dev/null
is "a write that has to wait: code" 504 "$(code)"
[ $((SECONDS - start)) -le 6 ] || fail "requests wait longer than they may: $((SECONDS - start)) s"
# Two writes wait: for a third one there is no room, but for administrators there is.
write_as_alice() {
    curl -s -o /dev/null --max-time 10 --cacert "$WORK/ca.crt" -H 'Authorization: Bearer alice-token' \
        -H 'Content-Type: application/json' --data-binary '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"late-"}}' \
        "https://127.0.0.1:$API_PORT$CONFIGMAPS?timeout=3s"
}
two_wait() {
    api GET /metrics | grep -q 'apiserver_current_inflight_requests{request_kind="mutating"} 2'
}
write_as_alice &
first=$!
write_as_alice &
second=$!
eventually 5 two_wait || fail "the writes are not counted"
TOKEN=alice-token api DELETE $CONFIGMAPS/none >/dev/null
is "one write too many: code" 429 "$(code)"
is "one write too many: body" "Too many requests, please try again later." "$(cat "$WORK/body")"
has "one write too many" 1 "$(grep -i ^retry-after "$WORK/headers")"
api DELETE "$CONFIGMAPS/none?timeout=1s" >/dev/null
is "an administrator's: code" 504 "$(code)"
wait "$first" "$second"
kill -CONT "$ETCD_PID"
eventually 15 is_code "$CONFIGMAPS/before" 200 || fail "no recovery from a pause"
kubectl delete configmaps --all >/dev/null
kubectl create configmap before --from-literal=a=1 >/dev/null

# --- etcd stops
kill "$ETCD_PID"
wait_gone "$ETCD_PID" 10
eventually 15 is_code /readyz 500 || fail "readiness does not show that etcd is gone"
api POST $CONFIGMAPS -H 'Content-Type: application/json' \
    --data-binary '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"lost"}}' >/dev/null
case $(code) in
5??) ;;
*) fail "a write without etcd: $(code) $(cat "$WORK/body")" ;;
esac
is "a write without etcd is a Status" Status "$(field .kind)"
case $(code_of "$CONFIGMAPS/before") in
5??) ;;
*) fail "a consistent read without etcd: $(code)" ;;
esac
is "a read of what is there: code" 200 "$(code_of "$CONFIGMAPS/before?resourceVersion=0")"
is "the apiserver is alive" 200 "$(code_of /livez/ping)"

# --- and comes back, with the apiserver running on
start_etcd
eventually 30 is_code /readyz 200 || fail "the apiserver does not recover"
eventually 10 kubectl create configmap after || fail "no write after the recovery"
eventually 10 grep -q '"after"' "$WORK/watch" || fail "the watch has not gone on"
kill "$watcher"
wait "$watcher" 2>/dev/null

# --- a restart: ends in order, comes back with what was there
uid=$(kubectl get configmap before -o 'jsonpath={.metadata.uid}')
curl -sN --max-time 30 --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' \
    "https://127.0.0.1:$API_PORT$CONFIGMAPS?watch=1" >/dev/null &
watcher=$!
stop_apiserver
wait_gone "$watcher" 5 || fail "a watch outlives the apiserver"
start_apiserver
wait_ready
is "after a restart" "$uid" "$(kubectl get configmap before -o 'jsonpath={.metadata.uid}')"

# --- killed
kubectl create configmap late >/dev/null
kill -9 "$APISERVER_PID"
wait "$APISERVER_PID" 2>/dev/null
start_apiserver
wait_ready
is "after kill -9" "configmap/after configmap/before configmap/late" \
    "$(kubectl get configmaps -o name | grep -v 'kube-root\|late-' | paste -sd' ')"
stop_apiserver

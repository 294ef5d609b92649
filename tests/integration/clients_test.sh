#!/bin/bash
# Clients that others have written: Debian's python3-kubernetes, and @kubernetes/client-node as npm installs it. Typed CRUD,
# every patch, custom verbs; informers that outlive an apiserver and a compaction of etcd.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/clients/clients.sh"
etcdctl_() { ETCDCTL_API=3 etcdctl --endpoints="http://127.0.0.1:$ETCD_PORT" "$@"; }
NPM_DIR=$WORK/npm
mkdir "$NPM_DIR"
install_node_client || fail "npm"
mapfile -t CLIENTS < <(clients)

start_control_plane --authorization-mode=RBAC
kubectl create serviceaccount default >/dev/null || fail "create serviceaccount"

for client in "${CLIENTS[@]}"; do
    client "$client" use "$KUBECONFIG" || fail "$client"
done

# --- informers

map() { kubectl create configmap "$1" --dry-run=client -o json | jq '.metadata.labels.informed = "yes"' | kubectl create -f - >/dev/null; }
# learned <what> <text>: what all of them have learned, however often they had to list.
learned() {
    local c
    for c in "${CLIENTS[@]}"; do is "$c: $1" "$2" "$(grep '^add\|^update\|^delete' "$WORK/$c.out" | paste -sd,)"; done
}
# all_say <line>
all_say() {
    local c
    for c in "${CLIENTS[@]}"; do grep -qx "$1" "$WORK/$c.out" || return 1; done
}

map one
map two
for c in "${CLIENTS[@]}"; do
    become_client "$c" inform "$KUBECONFIG" >"$WORK/$c.out" 2>"$WORK/$c.err" &
    PIDS+=($!)
done
eventually 20 all_say "add two" || fail "the informers list"
map three
eventually 10 all_say "add three" || fail "the informers watch"
kubectl label configmap two more=yes >/dev/null
eventually 10 all_say "update two" || fail "an update"
kubectl label configmap two informed- >/dev/null
eventually 10 all_say "delete two" || fail "an object leaves the selection"
learned "all in order" "add one,add two,add three,update two,delete two"

# A restart: nothing is lost, and nothing comes twice.
stop_apiserver
start_apiserver --authorization-mode=RBAC
wait_ready
map four
eventually 20 all_say "add four" || fail "the informers outlive the apiserver"
learned "after a restart" "add one,add two,add three,update two,delete two,add four"

# Meanwhile etcd changes, and forgets how: only a list can tell, and 410 makes them list.
for c in "${CLIENTS[@]}"; do grep -c '^list' "$WORK/$c.out" >"$WORK/$c.lists"; done
stop_apiserver
etcdctl_ del /registry/configmaps/default/one >/dev/null
revision=$(etcdctl_ put /of-no-interest x -w json | jq .header.revision)
etcdctl_ compact "$revision" >/dev/null || fail "compact"
start_apiserver --authorization-mode=RBAC
wait_ready
eventually 20 all_say "delete one" || fail "the informers outlive a compaction"
map five
eventually 20 all_say "add five" || fail "and go on"
learned "after a compaction" "add one,add two,add three,update two,delete two,add four,delete one,add five"
for c in "${CLIENTS[@]}"; do
    is "$c lists again, once" "$(($(cat "$WORK/$c.lists") + 1))" "$(grep -c '^list' "$WORK/$c.out")"
done
is "410 is why" "expired 410" "$(grep '^expired' "$WORK/python.out" | tail -n 1)"
[ $FAILURES -eq 0 ] || tail -n 20 "$WORK"/*.out "$WORK"/*.err >&2

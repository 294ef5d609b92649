#!/bin/bash
# deploy/'s control plane with certificates that live for 40 seconds: users of their own, keys for each daemon alone, and
# everything goes on when the certificates of its start have expired, without a restart.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || { echo "skipped: not root"; exit 0; }
D=$WORK/cluster
chmod 711 "$WORK"
API_PORT=$(free_port) ETCD_PORT=$(free_port) ETCD_PEER_PORT=$(free_port) CM_PORT=$(free_port) SCHEDULER_PORT=$(free_port)

# deployed <command...>: with the functions of deploy/, under its supervisor even where systemd is.
deployed() {
    (
        api=$API_PORT etcd=$ETCD_PORT peer=$ETCD_PEER_PORT
        . "$TESTS_DIR/../deploy/lib.sh"
        . "$DEPLOY_DIR/pki.sh"
        . "$DEPLOY_DIR/daemons.sh"
        API_PORT=$api ETCD_PORT=$etcd ETCD_PEER_PORT=$peer
        DATA_DIR=$D NODE_NAME=node NODE_IP=127.0.0.1 CERT_SECONDS=40
        have_systemd() { false; }
        set_paths
        "$@"
    )
}

bring_up() {
    mkdir -p "$CONFIG_DIR" "$LOG_DIR" "$RUN_DIR" "$BIN_DIR" && chmod 711 "$DATA_DIR" && chmod 755 "$BIN_DIR" "$CONFIG_DIR" || return 1
    cp "$KUBEC_BIN"/kube-{apiserver,controller-manager,scheduler} "$BIN_DIR/" && chmod 755 "$BIN_DIR"/* || return 1
    # The advertised address cannot be a loopback one.
    make_users && make_pki && make_kubeconfigs && start_etcd && NODE_IP=192.0.2.10 start_kube-apiserver
}

take_down() {
    local name
    for name in renew kube-scheduler kube-controller-manager kube-apiserver etcd; do deployed stop_daemon "$name"; done
}
trap 'take_down; cp "$D"/log/kube-apiserver.log "$WORK/apiserver.log" 2>/dev/null; cleanup' EXIT

# The daemons' flags are deploy/'s, but for the ports that the machine's other tests may have.
start_others() {
    start_daemon kube-controller-manager "$BIN_DIR/kube-controller-manager" --secure-port="$CM_PORT" --bind-address=127.0.0.1 \
        --kubeconfig="$CONFIG_DIR/kube-controller-manager.kubeconfig" --leader-elect=true --use-service-account-credentials=true --root-ca-file="$PKI_DIR/ca.crt" \
        --service-account-private-key-file="$PKI_DIR/sa.key" &&
        start_daemon kube-scheduler "$BIN_DIR/kube-scheduler" --secure-port="$SCHEDULER_PORT" --bind-address=127.0.0.1 \
            --kubeconfig="$CONFIG_DIR/kube-scheduler.kubeconfig" --leader-elect=true &&
        start_renew
}

is_ready() {
    [ "$(curl -s --max-time 5 --cacert "$D/pki/ca.crt" "https://127.0.0.1:$API_PORT/readyz")" = ok ]
}
deployed bring_up >"$WORK/up.log" 2>&1 || { cat "$WORK/up.log"; fail "the control plane starts"; exit 1; }
export KUBECONFIG=$D/admin.kubeconfig
eventually 60 is_ready || { fail "the apiserver is ready"; tail "$D"/log/*; exit 1; }
cp "$KUBECONFIG" "$WORK/first.kubeconfig"
FIRST_END=$(date -d "$(openssl x509 -noout -enddate -in "$D/pki/kubelet-server.crt" | cut -d= -f2)" +%s) # the last that was made
deployed start_others >>"$WORK/up.log" 2>&1 || { fail "the controllers start"; exit 1; }

# --- users, privileges, files
pid_of() { cat "$D/run/$1.pid"; }
status_of() { sed -n "s/^$2:\t//p" "/proc/$(pid_of "$1")/status"; }
PIDS_AT_FIRST=
for daemon in etcd kube-apiserver kube-controller-manager kube-scheduler; do
    eventually 60 test -s "$D/run/$daemon.pid"
    user=$(deployed user_of "$daemon")
    runs_as() { [ "$(stat -c %U "/proc/$(pid_of $daemon)/status")" != "" ] && [ "$(ps -o user:32= -p "$(pid_of $daemon)")" = "$user" ]; }
    eventually 60 runs_as || fail "$daemon runs as $user"
    if [ "$user" != root ]; then
        is "$daemon: capabilities" 0000000000000000 "$(status_of $daemon CapEff)"
        is "$daemon: capabilities it could get" 0000000000000000 "$(status_of $daemon CapBnd)"
        is "$daemon: no new privileges" 1 "$(status_of $daemon NoNewPrivs)"
    fi
    [ $daemon = etcd ] || is "$daemon: core dumps" 0 "$(awk '/^Max core file size/ {print $5 + $6}' "/proc/$(pid_of $daemon)/limits")"
    PIDS_AT_FIRST="$PIDS_AT_FIRST $(pid_of $daemon)"
done
is "keys that others may read" "" "$(find "$D/pki" -name '*.key' -perm /037)"
is "keys of the apiserver" "apiserver-etcd-client.key apiserver-kubelet-client.key apiserver.key sa.key " \
    "$(find "$D/pki" -name '*.key' -user "$(deployed user_of kube-apiserver)" ! -user root -printf '%f\n' | sort | tr '\n' ' ')"

# --- etcd speaks TLS with those only who have a certificate of its CA
code_of() { curl -s -o /dev/null -w '%{http_code}' --max-time 10 --cacert "$D/pki/etcd-ca.crt" "$@"; }
is "etcd without a certificate" 000 "$(code_of "https://127.0.0.1:$ETCD_PORT/health")"
is "etcd with one" 200 "$(code_of --cert "$D/pki/apiserver-etcd-client.crt" --key "$D/pki/apiserver-etcd-client.key" "https://127.0.0.1:$ETCD_PORT/health")"
is "etcd's peers without a certificate" 000 "$(code_of "https://127.0.0.1:$ETCD_PEER_PORT/version")"

# --- the first certificates expire
renew_time() { kubectl get lease -n kube-system "$1" -o 'jsonpath={.spec.renewTime}'; }
later_than_the_first() { [ "$(date -d "$(renew_time "$1")" +%s)" -gt $((FIRST_END + 5)) ]; }
for lease in kube-controller-manager kube-scheduler; do
    eventually 150 later_than_the_first $lease || fail "$lease holds its lease after its first certificate has expired"
done
has "the first client certificate is refused" "Unauthorized" "$(kubectl --kubeconfig "$WORK/first.kubeconfig" get namespaces 2>&1)$(
    kubectl --kubeconfig "$WORK/first.kubeconfig" auth whoami 2>&1)"
is "the first client certificate has expired" 1 "$(sed -n 's/ *client-certificate-data: //p' "$WORK/first.kubeconfig" | base64 -d |
    openssl x509 -checkend 0 -noout >/dev/null; echo $?)"
valid() { # <port> <ca>: what is shown there is valid now
    openssl s_client -connect "127.0.0.1:$1" -CAfile "$2" -verify_return_error </dev/null 2>/dev/null | openssl x509 -checkend 0 -noout
}
valid "$API_PORT" "$D/pki/ca.crt" >/dev/null || fail "the apiserver shows a valid certificate"
kubectl create deployment after --image=i >/dev/null || fail "a write after the renewal"
replica_set() { kubectl get replicaset -l app=after -o name | grep -q replicaset; }
eventually 60 replica_set || fail "the controllers work after the renewal"
is "nobody was restarted" "$PIDS_AT_FIRST" "$(for d in etcd kube-apiserver kube-controller-manager kube-scheduler; do printf ' %s' "$(pid_of $d)"; done)"
is "secrets in the logs" "" "$(grep -lE 'BEGIN [A-Z ]*PRIVATE KEY|eyJhbGciOi' "$D"/log/*)"

# --- renew's unit may not change users: what it makes is owned as before
if deployed can_drop_privileges; then
    owners() { (cd "$D/pki" && stat -c '%U:%G %a %n' ./*.key); }
    before=$(owners)
    deployed stop_daemon renew >/dev/null
    sed -i 's/^CERT_SECONDS=.*/CERT_SECONDS=4000/' "$D/renew/settings"
    setpriv --bounding-set=-all,+chown,+dac_override,+fowner --inh-caps=-all --no-new-privs "$D/renew/renew" >"$WORK/renew.log" 2>&1 ||
        fail "renewing with the capabilities of the unit: $(tail -n 3 "$WORK/renew.log")"
    has "what the unit makes" "made certificate apiserver" "$(cat "$WORK/renew.log")"
    is "owners of the keys" "$before" "$(owners)"
fi

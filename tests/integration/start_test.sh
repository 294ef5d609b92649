#!/bin/bash
# What keeps the apiserver from starting is said in one line, and what was made before is taken apart in order.
. "$(dirname "$0")/lib.sh"
make_pki
start_etcd

# refuses <what> <part of the message> [flags...]: to start.
refuses() {
    local what=$1 message=$2
    shift 2
    : >"$WORK/apiserver.log"
    start_apiserver "$@"
    wait_gone "$APISERVER_PID" 20 || fail "$what: it does not end"
    wait "$APISERVER_PID"
    is "$what: exit status" 1 $?
    has "$what" "$message" "$(grep '^Error: ' "$WORK/apiserver.log")"
    is "$what: the sanitizers" "" "$(grep -E "$SANITIZER_SAYS" "$WORK/apiserver.log")"
}

# The port of etcd's peers is somebody else's.
eventually 20 curl -s "http://127.0.0.1:$ETCD_PORT/health"
API_PORT=$ETCD_PEER_PORT
refuses "a port in use" "Address already in use"
API_PORT=$(free_port)
refuses "a certificate that is not there" "$WORK/absent.crt" --tls-cert-file="$WORK/absent.crt"
refuses "a token file that is not there" "$WORK/absent.csv" --token-auth-file="$WORK/absent.csv"
refuses "a signing key that is none" "$WORK/ca.crt" --service-account-signing-key-file="$WORK/ca.crt"

start_apiserver
wait_ready
stop_apiserver

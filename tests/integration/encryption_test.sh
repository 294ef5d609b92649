#!/bin/bash
# Encryption at rest with a real etcd: what lies there, key rotation, a new configuration without a restart, a lost key.
. "$(dirname "$0")/lib.sh"

raw() { # raw <key>: the value as it lies in etcd
    ETCDCTL_API=3 etcdctl --endpoints="http://127.0.0.1:$ETCD_PORT" get --print-value-only "/registry/$1"
}

# config <resources...>: the file, replaced as editors and mounts do it
config() {
    printf 'apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [%s]\n' "$1" >"$WORK/enc.new"
    mv "$WORK/enc.new" "$WORK/enc.yaml"
}
key() { printf '{name: %s, secret: %s}' "$1" "$(printf '%s' "$2" | base64 -w0)"; }
A=$(key a 0123456789abcdef0123456789abcdef) B=$(key b fedcba9876543210fedcba9876543210)

make_pki
start_etcd
config '{resources: [secrets], providers: [{identity: {}}]}'
start_apiserver --encryption-provider-config="$WORK/enc.yaml" --encryption-provider-config-automatic-reload
kubeconfig admin admin-token
export KUBECONFIG=$WORK/admin.kubeconfig
wait_ready

kubectl create secret generic old --from-literal=password=hunter2 >/dev/null
has "without encryption" '"password":"aHVudGVyMg=="' "$(raw secrets/default/old)"

reloads() { [ "$(grep -c 'Reloaded the encryption configuration' "$WORK/apiserver.log")" = "$1" ]; }
config "{resources: [secrets, configmaps], providers: [{aescbc: {keys: [$A]}}, {identity: {}}]}"
eventually 10 reloads 1 || fail "the new configuration is not taken"
kubectl create secret generic new --from-literal=password=hunter2 >/dev/null
kubectl create configmap c --from-literal=a=b >/dev/null
has "a new secret" k8s:enc:aescbc:v1:a: "$(raw secrets/default/new | tr -d '\0')"
is "nothing of it can be read" 0 "$(raw secrets/default/new | grep -ac aHVudGVyMg)"
has "a config map" k8s:enc:aescbc:v1:a: "$(raw configmaps/default/c | tr -d '\0')"
has "what is old stays" '"password":"aHVudGVyMg=="' "$(raw secrets/default/old)"
is "all of it is read" "hunter2 hunter2" "$(kubectl get secrets -o json | jq -r '[.items[].data.password | @base64d] | join(" ")')"

# The way of the documentation: every object is replaced by itself.
version() { kubectl get secret "$1" -o jsonpath='{.metadata.resourceVersion}'; }
before=$(version old)
kubectl get secrets -o json | kubectl replace -f - >/dev/null
has "a secret that was replaced by itself" k8s:enc:aescbc:v1:a: "$(raw secrets/default/old | tr -d '\0')"
[ "$(version old)" != "$before" ] || fail "it was not written"
before=$(version old)
kubectl get secrets -o json | kubectl replace -f - >/dev/null
is "once is enough" "$before" "$(version old)"

config "{resources: [secrets, configmaps], providers: [{secretbox: {keys: [$B]}}, {aescbc: {keys: [$A]}}]}"
eventually 10 reloads 2 || fail "the new key is not taken"
kubectl get secrets -o json | kubectl replace -f - >/dev/null
has "a rotated key" k8s:enc:secretbox:v1:b: "$(raw secrets/default/old | tr -d '\0')"

# A file that is none changes nothing; neither is a secret told.
config "{resources: [secrets], providers: [{aescbc: {keys: [{name: a, secret: aHVudGVyMg==}]}}]}"
eventually 10 grep -q 'Cannot reload the encryption configuration' "$WORK/apiserver.log"
is "secrets in the log" 0 "$(grep -c aHVudGVyMg "$WORK/apiserver.log")"
is "the former configuration stays" hunter2 "$(kubectl get secret old -o jsonpath='{.data.password}' | base64 -d)"

# Neither does one whose KMS plugin is not there.
config "{resources: [secrets], providers: [{kms: {apiVersion: v2, name: k, endpoint: 'unix://$WORK/none', timeout: 1s}}]}"
eventually 10 grep -q 'keeping the former one.*KMS plugin k' "$WORK/apiserver.log" || fail "a plugin that is away is taken"
kubectl create secret generic still --from-literal=password=hunter2 >/dev/null || fail "the former configuration does not write"
is "reloads of what cannot be used" 2 "$(grep -c 'Reloaded the encryption configuration' "$WORK/apiserver.log")"

# Watches see through it, too.
kubectl get secrets -w -o jsonpath='{.metadata.name}={.data.password}{"\n"}' >"$WORK/watched" 2>&1 &
PIDS+=($!)
eventually 10 grep -q '^old=' "$WORK/watched"
kubectl create secret generic watched --from-literal=password=x >/dev/null
eventually 10 grep -q '^watched=eA==' "$WORK/watched" || fail "the watch misses a secret"

stop_apiserver
# The server's own ConfigMaps lie there as they were written before.
config "{resources: [secrets, configmaps], providers: [{secretbox: {keys: [$B]}}, {aescbc: {keys: [$A]}}, {identity: {}}]}"
start_apiserver --encryption-provider-config="$WORK/enc.yaml"
wait_ready
is "after a restart" hunter2 "$(kubectl get secret old -o jsonpath='{.data.password}' | base64 -d)"
stop_apiserver

# A lost key: the server says so and does not pretend that there are no secrets.
config "{resources: [secrets, configmaps], providers: [{secretbox: {keys: [$(key b 00000000000000000000000000000000)]}}]}"
start_apiserver --encryption-provider-config="$WORK/enc.yaml"
says() { grep -q 'unable to transform key' "$WORK/apiserver.log"; }
eventually 20 says || fail "a lost key is not told"
[ "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' \
    "https://127.0.0.1:$API_PORT/readyz")" != 200 ] || fail "ready without its secrets"
stop_apiserver

# A KMS plugin that hangs: who asks for the health has to wait for it, others do not.
perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Local => shift, Listen => 50) or die; sleep' "$WORK/hung" &
PIDS+=($!)
eventually 10 test -S "$WORK/hung"
config "{resources: [secrets], providers: [{identity: {}}, {kms: {apiVersion: v2, name: k, endpoint: 'unix://$WORK/hung', timeout: 5s}}]}"
start_apiserver --encryption-provider-config="$WORK/enc.yaml"
up() { api GET /version >/dev/null && [ "$(code)" = 200 ]; }
eventually 20 up || fail "the apiserver does not serve"
health() { curl -s -o /dev/null -w '%{http_code}' --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' "https://127.0.0.1:$API_PORT/healthz"; }
CHECKS=()
for i in 1 2 3 4 5 6 7 8; do
    health >"$WORK/health.$i" &
    CHECKS+=($!)
done
api GET /api/v1/namespaces/default >/dev/null
is "a request meanwhile" 200 "$(code)"
kill -0 "${CHECKS[@]}" || fail "the request waited for the plugin"
wait "${CHECKS[@]}"
is "health of a plugin that hangs" 500 "$(cat "$WORK/health.1")"
stop_apiserver

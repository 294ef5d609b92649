#!/bin/bash
# Nothing that is secret gets into the logs of the daemons at their most talkative, the audit log, their pages and their
# command lines; they leave no core dumps; and a line of a log stays short whatever a client sends.
if [ -z "${SECRETS_TEST_NS-}" ]; then
    SECRETS_TEST_NS=1 exec unshare --net bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/node.sh"

secret() { printf '%s-%s' "$1" "$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')"; }
VALUE=$(secret value) PASSWORD=$(secret password) BOOTSTRAP=$(secret b | tr -d - | head -c16) WRONG=$(secret wrong) REVIEWED=$(secret reviewed)
AES=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
cat >"$WORK/enc.yaml" <<CONFIG
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources: [{resources: [secrets], providers: [{aesgcm: {keys: [{name: k, secret: $(printf '%s' "$AES" | base64 -w0)}]}}]}]
CONFIG
printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n' >"$WORK/policy.yaml"
KUBELET_V=10
start_node --v=10 --enable-bootstrap-token-auth --encryption-provider-config="$WORK/enc.yaml" --audit-policy-file="$WORK/policy.yaml" \
    --audit-log-path="$WORK/audit.log"
kubeconfig daemon admin-token
KCM_PORT=$(free_port) SCHEDULER_PORT=$(free_port) PROXY_PORT=$(free_port)
"$KUBEC_BIN/kube-controller-manager" --v=10 --kubeconfig="$WORK/daemon.kubeconfig" --bind-address=127.0.0.1 --secure-port="$KCM_PORT" \
    --authentication-kubeconfig="$WORK/daemon.kubeconfig" --authorization-kubeconfig="$WORK/daemon.kubeconfig" --leader-elect=false \
    --root-ca-file="$WORK/ca.crt" --service-account-private-key-file="$WORK/sa.key" --allocate-node-cidrs --cluster-cidr=10.244.0.0/16 \
    --controllers='*,bootstrapsigner,tokencleaner' --cluster-signing-cert-file="$WORK/ca.crt" --cluster-signing-key-file="$WORK/ca.key" \
    >"$WORK/kcm.log" 2>&1 &
PIDS+=($!)
KCM_PID=$!
"$KUBEC_BIN/kube-scheduler" --v=10 --kubeconfig="$WORK/daemon.kubeconfig" --bind-address=127.0.0.1 --secure-port="$SCHEDULER_PORT" \
    --authentication-kubeconfig="$WORK/daemon.kubeconfig" --authorization-kubeconfig="$WORK/daemon.kubeconfig" --leader-elect=false \
    >"$WORK/scheduler.log" 2>&1 &
PIDS+=($!)
SCHEDULER_PID=$!
"$KUBEC_BIN/kube-proxy" --v=10 --kubeconfig="$WORK/daemon.kubeconfig" --hostname-override=node1 --proxy-mode=nftables \
    --healthz-bind-address=127.0.0.1:0 --metrics-bind-address="127.0.0.1:$PROXY_PORT" >"$WORK/proxy.log" 2>&1 &
PIDS+=($!)
PROXY_PID=$!

echo "--- secrets in use"
kubectl create secret generic s --from-literal=key="$VALUE" >/dev/null || fail "create a secret"
kubectl create secret docker-registry pull --docker-server=127.0.0.1:1 --docker-username=u --docker-password="$PASSWORD" >/dev/null
kubectl create secret generic -n kube-system bootstrap-token-abcdef --type=bootstrap.kubernetes.io/token --from-literal=token-id=abcdef \
    --from-literal=token-secret="$BOOTSTRAP" --from-literal=usage-bootstrap-authentication=true \
    --from-literal=usage-bootstrap-signing=true >/dev/null
kubectl create configmap -n kube-public cluster-info --from-literal=kubeconfig=x >/dev/null
kubectl apply -f - >/dev/null <<'TOKEN'
{"apiVersion":"v1","kind":"Secret","metadata":{"name":"legacy","annotations":{"kubernetes.io/service-account.name":"default"}},"type":"kubernetes.io/service-account-token"}
TOKEN
ISSUED=$(kubectl create token default)
pod_with_secrets() {
    cat <<'POD'
apiVersion: v1
kind: Pod
metadata: {name: user}
spec:
  terminationGracePeriodSeconds: 1
  imagePullSecrets: [{name: pull}]
  volumes: [{name: v, secret: {secretName: s}}]
  containers:
  - name: c
    image: docker.io/library/busybox:1.35
    command: [sh, -c, 'trap "exit 0" TERM; while true; do sleep 0.1; done']
    env: [{name: KEY, valueFrom: {secretKeyRef: {name: s, key: key}}}]
    volumeMounts: [{name: v, mountPath: /v}]
    livenessProbe: {exec: {command: [sh, -c, 'test -n "$KEY"']}}
POD
}
pod_with_secrets | kubectl apply -f - >/dev/null
pod_with_secrets | sed 's/name: user/name: puller/; s,docker.io/library/busybox,127.0.0.1:1/x,' | kubectl apply -f - >/dev/null
eventually 120 pod_ready user || { tail -n 20 "$WORK/kubelet.log"; fail "the pod gets ready"; }
is "the pod has it twice" "$VALUE $VALUE" "$(kubectl exec user -- sh -c 'echo "$KEY $(cat /v/key)"')"
MOUNTED=$(kubectl exec user -- cat /var/run/secrets/kubernetes.io/serviceaccount/token)
waits() { case $(pod puller '{.status.containerStatuses[0].state.waiting.reason}') in ErrImagePull | ImagePullBackOff) ;; *) false ;; esac }
eventually 120 waits || fail "the image cannot be pulled"
signed() { [ -n "$(kubectl get configmap -n kube-public cluster-info -o 'jsonpath={.data.jws-kubeconfig-abcdef}')" ]; }
eventually 120 signed || fail "the bootstrap token signs"
legacy() { LEGACY=$(kubectl get secret legacy -o 'jsonpath={.data.token}' | base64 -d) && [ -n "$LEGACY" ]; }
eventually 120 legacy || fail "the token Secret is filled in"

TOKEN=$ISSUED api GET /api/v1/pods >/dev/null
TOKEN=$LEGACY api GET /api/v1/pods >/dev/null
TOKEN=abcdef.$BOOTSTRAP api GET /api/v1/pods >/dev/null
TOKEN=$WRONG api GET /api/v1/pods >/dev/null
is "a wrong token: code" 401 "$(code)"
curl -sk --http1.1 --max-time 60 -o /dev/null -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
    -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' \
    -H "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.$(printf %s "$WRONG" | base64 -w0 | tr +/ -_ | tr -d =)" \
    "https://127.0.0.1:$API_PORT/api/v1/pods?watch=1"
api POST /apis/authentication.k8s.io/v1/tokenreviews -H 'Content-Type: application/json' \
    --data-binary '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"'"$REVIEWED"'"}}' >/dev/null
api POST /api/v1/namespaces/default/secrets -H 'Content-Type: application/json' \
    --data-binary '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"bad"},"data":{"a":"'"$VALUE"'!"}}' >"$WORK/page-error"
is "a Secret that is not base64: code" 400 "$(code)"
for t in "$ISSUED" "$WRONG"; do
    curl -sk --max-time 60 -o /dev/null -H "Authorization: Bearer $t" https://10.123.9.1:10250/pods
done
# curl itself sends no such heads.
is "a User-Agent of 900,000 bytes" "HTTP/1.1 200 OK" "$(python3 - "$API_PORT" "$WORK/ca.crt" <<'PY'
import socket, ssl, sys
s = ssl.create_default_context(cafile=sys.argv[2]).wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="127.0.0.1")
s.settimeout(60)
s.sendall(b"GET /api/v1/nodes HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer admin-token\r\nUser-Agent: " + b"a" * 900000 + b"\r\n\r\n")
print(s.recv(1000).decode().split("\r\n")[0])
PY
)"

echo "--- pages"
page() { # <name> <curl arguments...>
    curl -sk --max-time 60 -H 'Authorization: Bearer admin-token' "${@:2}" >"$WORK/page-$1"
}
for p in configz flagz statusz metrics healthz; do
    page "kcm-$p" "https://127.0.0.1:$KCM_PORT/$p"
    page "scheduler-$p" "https://127.0.0.1:$SCHEDULER_PORT/$p"
    page "proxy-$p" "http://127.0.0.1:$PROXY_PORT/$p"
    page "kubelet-$p" "https://10.123.9.1:10250/$p"
    page "apiserver-$p" "https://127.0.0.1:$API_PORT/$p"
done
has "the kubelet's configuration" '"kubeletconfig"' "$(cat "$WORK/page-kubelet-configz")"
kubectl get events -A -o json >"$WORK/page-events"

echo "--- what they tell"
{
    printf '%s\n' "$VALUE" "$PASSWORD" "$BOOTSTRAP" "$WRONG" "$REVIEWED" "$AES" admin-token alice-token
    for s in "$VALUE" "$PASSWORD" "$BOOTSTRAP" "$WRONG" "$AES" "$LEGACY" "u:$PASSWORD"; do printf '%s' "$s" | base64 -w0 | tr -d =; echo; done
    for t in "$ISSUED" "$MOUNTED" "$LEGACY"; do printf '%s\n' "${t##*.}"; done # the signature: the rest is known to all
    for f in "$WORK"/*.key; do sed -n 3p "$f"; done
} >"$WORK/known"
is "secrets to look for" 0 "$(grep -c '^.\{0,7\}$' "$WORK/known")"
for f in apiserver kcm scheduler proxy kubelet audit; do
    [ -s "$WORK/$f.log" ] || fail "$f has no log"
    is "secrets in the log of $f" "" "$(grep -naFf "$WORK/known" "$WORK/$f.log" | cut -c1-400 | head -n 3)"
done
is "lines of logs over 8 KiB" "" "$(awk 'length($0) >= 8192 {print FILENAME ": " length($0)}' "$WORK"/{apiserver,kcm,scheduler,proxy,kubelet}.log)"
has "the long line is there, cut" '...(truncated)' "$(grep -a aaaaaaaaaaaaaaaa "$WORK/apiserver.log" | tail -n 1 | tail -c 40)"
is "secrets in pages" "" "$(grep -laFf "$WORK/known" "$WORK"/page-*)"
for p in $APISERVER_PID $KCM_PID $SCHEDULER_PID $PROXY_PID $KUBELET_PID; do
    is "secrets in the command line of $p" 0 "$(tr '\0' '\n' <"/proc/$p/cmdline" | cat - "/proc/$p/comm" | grep -acFf "$WORK/known")"
    is "core dumps of $p" "0 0" "$(awk '/Max core file size/ {print $5, $6}' "/proc/$p/limits")"
done

kubectl delete pod user puller --wait=false >/dev/null
none_left() { [ -z "$(ctr_ containers ls -q)" ] && [ -z "$(ls "$WORK/kubelet/pods")" ]; }
eventually 120 none_left || fail "nothing is left"

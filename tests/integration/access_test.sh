#!/bin/bash
# Who gets in and what for: client certificates, tokens, service accounts, RBAC, impersonation, anonymous requests; limits;
# the way to the kubelet's logs.
. "$(dirname "$0")/lib.sh"

start_kubelet() { # a kubelet that knows one log: files that are whole HTTP responses
    KUBELET_PORT=$(free_port)
    mkdir -p "$WORK/kubelet/containerLogs/default/web"
    printf 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nline 1\nline 2\n' >"$WORK/kubelet/containerLogs/default/web/c?tailLines=2"
    printf 'HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\ncontainer "c" in pod "web" is waiting to start: ContainerCreating' \
        >"$WORK/kubelet/containerLogs/default/web/c"
    (cd "$WORK/kubelet" && exec openssl s_server -quiet -HTTP -accept "127.0.0.1:$KUBELET_PORT" -cert "$WORK/apiserver.crt" \
        -key "$WORK/apiserver.key" -CAfile "$WORK/ca.crt" -Verify 1 >"$WORK/kubelet.log" 2>&1) &
    PIDS+=($!)
}

# curl_as <curl arguments...> <path>: code of a request without a token
code_as() {
    curl -s -o "$WORK/body" -w '%{http_code}' --cacert "$WORK/ca.crt" "${@:1:$#-1}" "https://127.0.0.1:$API_PORT${*: -1}"
}

make_pki
cert apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
cert bob /O=developers/CN=bob
cert node /O=system:nodes/CN=system:node:n1
start_etcd
start_apiserver --v=3 --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --kubelet-client-certificate="$WORK/apiserver-kubelet-client.crt" --kubelet-client-key="$WORK/apiserver-kubelet-client.key" \
    --kubelet-certificate-authority="$WORK/ca.crt" --kubelet-preferred-address-types=InternalIP
kubeconfig admin admin-token
kubeconfig alice alice-token
export KUBECONFIG=$WORK/admin.kubeconfig
wait_ready

# --- who
is "anonymous: health" 200 "$(code_as /healthz)"
is "anonymous: version" 200 "$(code_as /version)"
is "anonymous: pods" 403 "$(code_as /api/v1/pods)"
is "anonymous: message" 'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope' \
    "$(field .message)"
is "anonymous: metrics" 'forbidden: User "system:anonymous" cannot get path "/metrics"' "$(code_as /metrics >/dev/null; field .message)"
is "a wrong token" 401 "$(code_as -H 'Authorization: Bearer nonsense' /healthz)"
is "a certificate" 200 "$(code_as --cert "$WORK/admin.crt" --key "$WORK/admin.key" /api/v1/pods)"
is "a certificate without rights" 403 "$(code_as --cert "$WORK/bob.crt" --key "$WORK/bob.key" /api/v1/pods)"
has "its name" 'User "bob"' "$(field .message)"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /O=system:masters/CN=evil \
    -keyout "$WORK/evil.key" -out "$WORK/evil.crt" 2>/dev/null
is "a certificate of somebody else's CA" 401 "$(code_as --cert "$WORK/evil.crt" --key "$WORK/evil.key" /api/v1/pods)"

# --- RBAC
alice() {
    kubectl --kubeconfig "$WORK/alice.kubeconfig" "$@" 2>&1
}
is "alice may not" 'Error from server (Forbidden): pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"' \
    "$(alice get pods)"
kubectl create role reader --verb=get,list,watch --resource=pods,pods/log >/dev/null
kubectl create rolebinding readers --role=reader --group=developers >/dev/null
eventually 5 alice get pods || fail "alice cannot read what she was given"
has "but not write" Forbidden "$(alice run x --image=x)"
has "nor elsewhere" Forbidden "$(alice get pods -n kube-system)"
is "can-i" yes "$(alice auth can-i list pods)"
is "can-i, not" no "$(alice auth can-i delete pods)"
has "nobody gives away what he has not" "attempting to grant RBAC permissions not currently held" "$(
    kubectl create clusterrole role-maker --verb=create,bind --resource=roles >/dev/null
    kubectl create rolebinding makers --clusterrole=role-maker --group=developers >/dev/null
    eventually 5 alice auth can-i create roles
    alice create role more --verb=delete --resource=secrets
)"

# --- impersonation
whoami() { # [kubectl options]
    kubectl "$@" create -o json --validate=false -f - <<<'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'
}
is "impersonation" "carol" "$(whoami --as=carol | jq -r .status.userInfo.username)"
has "impersonation of a group" "Username:carol Groups:developers,system:authenticated" \
    "Username:$(whoami --as=carol --as-group=developers |
        jq -r '.status.userInfo|.username+" Groups:"+(.groups|join(","))')"
has "impersonation needs a right" 'users "carol" is forbidden: User "alice" cannot impersonate resource "users"' "$(alice --as=carol get pods)"

# --- service accounts
kubectl create serviceaccount robot >/dev/null
token=$(kubectl create --raw /api/v1/namespaces/default/serviceaccounts/robot/token -f - \
    <<<'{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}' | jq -r .status.token)
is "a service account's token" "system:serviceaccount:default:robot" \
    "$(TOKEN=$token api POST /apis/authentication.k8s.io/v1/selfsubjectreviews -H 'Content-Type: application/json' \
        --data-binary '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}' | jq -r .status.userInfo.username)"
kubectl delete serviceaccount robot >/dev/null
gone() {
    [ "$(TOKEN=$token api GET /api/v1/pods >/dev/null; code)" = 401 ]
}
eventually 60 gone || fail "the token outlives its service account"

# --- logs, through the kubelet
kubectl create serviceaccount default >/dev/null 2>&1
start_kubelet
kubectl create -f - >/dev/null <<NODE
{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}
NODE
patch_sub nodes n1 status \
    '{"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":'"$KUBELET_PORT"'}}}}'
kubectl create -f - >/dev/null <<POD
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"x"}]}}
POD
eventually 5 openssl s_client -connect "127.0.0.1:$KUBELET_PORT" </dev/null
is "logs" $'line 1\nline 2' "$(kubectl logs web --tail=2 2>&1)"
is "logs that the kubelet refuses" \
    'Error from server (BadRequest): container "c" in pod "web" is waiting to start: ContainerCreating' "$(kubectl logs web 2>&1)"
patch_sub nodes n1 status \
    '{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":'"$(free_port)"'}}}}'
has "logs without a kubelet" "Error from server" "$(kubectl logs web --tail=2 2>&1)"

# --- a node may touch its own
as_node() {
    kubectl --kubeconfig /dev/null --server "https://127.0.0.1:$API_PORT" --certificate-authority "$WORK/ca.crt" \
        --client-certificate "$WORK/node.crt" --client-key "$WORK/node.key" "$@" 2>&1
}
has "a node reads itself" "n1" "$(as_node get node n1)"
has "but not all secrets" Forbidden "$(as_node get secrets -A)"
has "and not other nodes' labels" Forbidden "$(
    kubectl create -f - >/dev/null <<< '{"apiVersion":"v1","kind":"Node","metadata":{"name":"n2"}}'
    as_node label node n2 a=b)"
stop_apiserver
has "the access log" 'verb="LIST" method="GET" URI="/api/v1/secrets?limit=500"' "$(grep 'resp="403"' "$WORK/apiserver.log" | grep '"HTTP"')"

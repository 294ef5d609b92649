#!/bin/bash
# Certificates with real kube-controller-manager, kubelet and API server, real kubectl and openssl: signers, who gets what
# approved, bootstrap tokens and cluster-info, the kubelet's bootstrap and renewal, legacy tokens.
. "$(dirname "$0")/lib.sh"

# A cluster CA of its own that signs, so that what is issued differs from the test's certificates in lifetime only.
start_control_plane --feature-gates=ClusterTrustBundle=true,WatchList=false \
    --runtime-config=certificates.k8s.io/v1beta1=true --enable-bootstrap-token-auth=true --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction --kubelet-preferred-address-types=InternalIP \
    --kubelet-certificate-authority="$WORK/ca.crt" --kubelet-client-certificate="$WORK/admin.crt" \
    --kubelet-client-key="$WORK/admin.key"
daemon_kubeconfig kcm
start_kcm() {
    "$KUBEC_BIN/kube-controller-manager" --kubeconfig="$WORK/kcm.kubeconfig" --bind-address=127.0.0.1 \
        --secure-port="$(free_port)" --leader-elect=false --controllers='*,bootstrapsigner,tokencleaner' \
        --cluster-signing-cert-file="$WORK/ca.crt" --cluster-signing-key-file="$WORK/ca.key" \
        --v=4 --feature-gates=ClusterTrustBundle=true --use-service-account-credentials=true --cluster-signing-duration=12h --legacy-service-account-token-clean-up-period=1s --root-ca-file="$WORK/ca.crt" \
        --service-account-private-key-file="$WORK/sa.key" "$@" >>"$WORK/kcm.log" 2>&1 &
    KCM_PID=$!
    PIDS+=("$KCM_PID")
}
start_kcm

# request <name> <signer> <usages> <subject> <user> [subjectAltName] [spec lines]: as the user would ask.
request() {
    local name=$1 signer=$2 usages=$3 subject=$4 user=$5 san=${6-} more=${7-}
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" ${san:+-addext "subjectAltName=$san"} \
        -keyout "$WORK/$name.key" -out "$WORK/$name.csr" 2>/dev/null || fail "request $name"
    kubectl --kubeconfig "$WORK/$user.kubeconfig" create -f - >/dev/null <<CSR || fail "$user creates $name"
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: $name}
spec:
  request: $(base64 -w0 <"$WORK/$name.csr")
  signerName: $signer
  usages: $usages
  $more
CSR
}
csr() { kubectl get csr "$1" -o "jsonpath=$2"; }
issued() { [ -n "$(csr "$1" '{.status.certificate}')" ]; }
take() { csr "$1" '{.status.certificate}' | base64 -d >"$WORK/$1.crt"; }
conditions() { csr "$1" '{range .status.conditions[*]}{.type}:{.reason}:{.message};{end}'; }
names_of() { openssl x509 -in "$1" -noout -ext subjectAltName 2>/dev/null | sed -n '2s/^ *//p'; }
lifetime() {
    echo $(($(date -d "$(openssl x509 -in "$1" -noout -enddate | cut -d= -f2)" +%s) - \
        $(date -d "$(openssl x509 -in "$1" -noout -startdate | cut -d= -f2)" +%s)))
}

echo "--- a client certificate: asked for, approved by hand, signed, of use"
kubectl create clusterrole csr-creator --verb=create,get --resource=certificatesigningrequests.certificates.k8s.io >/dev/null
kubectl create clusterrolebinding csr-creator --clusterrole=csr-creator --group=developers --group=system:nodes >/dev/null
request bob kubernetes.io/kube-apiserver-client '["client auth"]' /O=testers/CN=bob alice "" "expirationSeconds: 3600"
has "a request waits" "Pending" "$(kubectl get csr bob --no-headers)"
is "columns" "kubernetes.io/kube-apiserver-client alice 60m Pending" \
    "$(kubectl get csr bob --no-headers | awk '{print $3, $4, $5, $6}')"
kubectl certificate approve bob >/dev/null || fail "kubectl certificate approve"
eventually 60 issued bob || fail "bob's certificate is issued"
is "condition" "Approved,Issued" "$(kubectl get csr bob --no-headers | awk '{print $6}')"
take bob
is "verified" "$WORK/bob.crt: OK" "$(openssl verify -CAfile "$WORK/ca.crt" -purpose sslclient "$WORK/bob.crt")"
is "subject" "subject=O = testers, CN = bob" "$(openssl x509 -in "$WORK/bob.crt" -noout -subject)"
is "usage" "TLS Web Client Authentication" "$(openssl x509 -in "$WORK/bob.crt" -noout -ext extendedKeyUsage | sed -n '2s/^ *//p')"
is "no CA" "CA:FALSE" "$(openssl x509 -in "$WORK/bob.crt" -noout -ext basicConstraints | sed -n '2s/^ *//p')"
is "lifetime: an hour, and five minutes before" 3900 "$(lifetime "$WORK/bob.crt")"
has "who bob is" bob "$(curl -s --cacert "$WORK/ca.crt" --cert "$WORK/bob.crt" --key "$WORK/bob.key" -X POST \
    -H 'Content-Type: application/json' -d '{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}' \
    "https://127.0.0.1:$API_PORT/apis/authentication.k8s.io/v1/selfsubjectreviews")"

echo "--- denied, and what no signer makes"
request denied kubernetes.io/kube-apiserver-client '["client auth"]' /CN=carol alice
kubectl certificate deny denied >/dev/null || fail "kubectl certificate deny"
is "condition" Denied "$(kubectl get csr denied --no-headers | awk '{print $6}')"
request server kubernetes.io/kube-apiserver-client '["server auth","client auth"]' /CN=carol alice
kubectl certificate approve server >/dev/null
failed() { [ "$(csr "$1" '{.status.conditions[?(@.type=="Failed")].status}')" = True ]; }
eventually 60 failed server || fail "wrong usages fail"
has "why" "Failed:SignerValidationFailure:invalid usage for client certificate: server auth;" "$(conditions server)"
request outsider kubernetes.io/kubelet-serving '["digital signature","server auth"]' /O=system:masters/CN=system:node:n1 alice DNS:n1
kubectl certificate approve outsider >/dev/null
eventually 60 failed outsider || fail "a serving certificate for other organizations fails"
has "why" "subject organization is not system:nodes" "$(conditions outsider)"
issued denied && fail "a denied request was signed"
has "masters are refused" "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed" \
    "$(request masters kubernetes.io/kube-apiserver-client '["client auth"]' /O=system:masters/CN=eve alice 2>&1)"


echo "--- bootstrap: a token makes a node"
# bootstrap_token <id> <secret> [data lines]
bootstrap_token() {
    kubectl apply -f - >/dev/null <<SECRET || fail "bootstrap token $1"
apiVersion: v1
kind: Secret
metadata: {name: bootstrap-token-$1, namespace: kube-system}
type: bootstrap.kubernetes.io/token
stringData:
  token-id: $1
  token-secret: $2
  usage-bootstrap-authentication: "true"
  usage-bootstrap-signing: "true"
  auth-extra-groups: system:bootstrappers:kubec:default-node-token
  ${3-}
SECRET
}
bootstrap_token abcdef 0123456789abcdef
kubectl apply -f "$TESTS_DIR/../deploy/rbac/bootstrap.yaml" >/dev/null || fail "the bindings of nodes"
kubeconfig bootstrap abcdef.0123456789abcdef
KUBELET_PORT=$(free_port)
start_kubelet() { # <name> [flags]
    local name=$1
    shift
    "$KUBEC_BIN/kubelet" --kubeconfig="$WORK/$name-kubelet.kubeconfig" --bootstrap-kubeconfig="$WORK/bootstrap.kubeconfig" \
        --cert-dir="$WORK/$name-pki" --root-dir="$WORK/$name-root" --hostname-override="$name" --node-ip=127.0.0.1 \
        --container-runtime-endpoint="unix://$WORK/no-runtime.sock" --pod-logs-dir="$WORK/$name-logs" \
        --container-log-dir="$WORK/$name-links" --cni-conf-dir= --address=127.0.0.1 --port="$KUBELET_PORT" --healthz-port=0 \
        --client-ca-file="$WORK/ca.crt" --fail-swap-on=false --rotate-certificates "$@" >>"$WORK/$name.log" 2>&1 &
    KUBELET_PID=$!
    PIDS+=("$KUBELET_PID")
}
start_kubelet node1 --rotate-server-certificates
# csr_of <user> <signer> [which]: the name of a request of that user.
csr_of() {
    kubectl get csr -o json --field-selector "spec.signerName=$2" |
        jq -r "[.items[] | select(.spec.username == \"$1\")] | sort_by(.metadata.creationTimestamp)[${3:-0}].metadata.name // empty"
}
asked() { [ -n "$(csr_of "$@")" ]; }
client_signer=kubernetes.io/kube-apiserver-client-kubelet serving_signer=kubernetes.io/kubelet-serving
eventually 60 asked system:bootstrap:abcdef $client_signer || { fail "the kubelet asks for a certificate"; cat "$WORK/node1.log"; }
eventually 60 test -s "$WORK/node1-kubelet.kubeconfig" || { fail "the kubelet has a kubeconfig"; tail -20 "$WORK/node1.log"; }
has "why it was approved" "Approved:AutoApproved:Auto approving kubelet client certificate after SubjectAccessReview.;" \
    "$(conditions "$(csr_of system:bootstrap:abcdef $client_signer)")"
current=$WORK/node1-pki/kubelet-client-current.pem
is "subject" "subject=O = system:nodes, CN = system:node:node1" "$(openssl x509 -in "$current" -noout -subject)"
is "the link" "kubelet-client-2" "$(basename "$(readlink "$current")" | cut -c1-16)"
is "nobody else reads the key" 600 "$(stat -L -c %a "$current")"
is "the kubeconfig" "$current $current" \
    "$(kubectl --kubeconfig "$WORK/node1-kubelet.kubeconfig" config view -o 'jsonpath={.users[0].user.client-certificate} {.users[0].user.client-key}')"
eventually 60 kubectl get node node1 || { fail "the node registers with its own certificate"; tail -20 "$WORK/node1.log"; }

echo "--- its serving certificate: asked for, approved by hand, used at once and by the API server"
eventually 60 asked system:node:node1 $serving_signer || fail "the kubelet asks for a serving certificate"
serving=$(csr_of system:node:node1 $serving_signer)
kubelet() { curl -s --max-time 30 --cacert "$WORK/ca.crt" "$@"; }
has "no certificate yet" "tlsv1 alert internal error" "$(kubelet -v "https://127.0.0.1:$KUBELET_PORT/healthz" 2>&1)"
kubectl create -f - >/dev/null <<<'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"nodeName":"node1","containers":[{"name":"c","image":"i"}]}}' || fail "a pod"
has "the API server cannot talk to it" "remote error: tls: internal error" "$(kubectl logs p 2>&1)"
has "it waits for somebody" Pending "$(kubectl get csr "$serving" --no-headers)"
kubectl certificate approve "$serving" >/dev/null
served() { kubelet -o /dev/null "https://127.0.0.1:$KUBELET_PORT/healthz"; }
eventually 60 served || { fail "the kubelet serves with it"; tail -20 "$WORK/node1.log"; }
is "names" "DNS:node1, IP Address:127.0.0.1" "$(names_of "$WORK/node1-pki/kubelet-server-current.pem")"
has "the API server verifies it" 'container "c" in pod "p" is ' "$(kubectl logs p 2>&1)"

echo "--- who may ask the kubelet for what"
kubectl create clusterrole kubelet-pods --verb=get --resource=nodes/pods >/dev/null
kubectl create clusterrolebinding kubelet-pods --clusterrole=kubelet-pods --user=bob >/dev/null
bob() { kubelet -w ' %{http_code}' -o "${2:-/dev/null}" --cert "$WORK/bob.crt" --key "$WORK/bob.key" "https://127.0.0.1:$KUBELET_PORT$1"; }
is "nobody" "Unauthorized 401" "$(kubelet -w ' %{http_code}' "https://127.0.0.1:$KUBELET_PORT/pods")"
is "bob may see pods: nodes/pods is enough" " 200" "$(bob /pods)"
is "and nothing else" "Forbidden (user=bob, verb=get, resource=nodes, subresource(s)=[configz proxy]) 403" "$(bob /configz /dev/stdout)"
is "nor run things" " 403" "$(bob /exec/default/p/c?command=id)"
has "a token is looked up" " 200" "$(kubelet -w ' %{http_code}' -H 'Authorization: Bearer admin-token' "https://127.0.0.1:$KUBELET_PORT/pods")"
is "a bad one is not" "Unauthorized 401" "$(kubelet -w ' %{http_code}' -H 'Authorization: Bearer admin-tokem' "https://127.0.0.1:$KUBELET_PORT/pods")"

echo "--- renewal: a certificate near its end is replaced without a restart, debugging off, TLS 1.3 only"
kill "$KUBELET_PID" && wait_gone "$KUBELET_PID" 20 || fail "the kubelet ends"
# A client certificate, two thirds of whose life are over, as the kubeconfig's own.
printf '[ca]\ndefault_ca=c\n[c]\nnew_certs_dir=%s\ndatabase=%s/db\nserial=%s/serial\ndefault_md=sha256\nunique_subject=no\npolicy=p\n[p]\n' "$WORK" "$WORK" "$WORK" >"$WORK/ca.cnf"
printf 'organizationName=supplied\ncommonName=supplied\n' >>"$WORK/ca.cnf"
: >"$WORK/db"
echo 1234 >"$WORK/serial"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=system:nodes/CN=system:node:node1 \
    -keyout "$WORK/old.key" -out "$WORK/old.csr" 2>/dev/null
openssl ca -batch -notext -config "$WORK/ca.cnf" -cert "$WORK/ca.crt" -keyfile "$WORK/ca.key" -in "$WORK/old.csr" \
    -out "$WORK/old.crt" -startdate "$(date -u -d '-20 hours' +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d '+2 hours' +%Y%m%d%H%M%SZ)" \
    -extfile <(echo extendedKeyUsage=clientAuth) >/dev/null 2>&1 || fail "the old certificate"
rm -r "$WORK/node1-pki"
cp "$WORK/ca.crt" "$WORK/node1-ca.crt"
cat >"$WORK/node1-kubelet.kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://127.0.0.1:$API_PORT", certificate-authority: "$WORK/ca.crt"}}]
users: [{name: node, user: {client-certificate: "$WORK/old.crt", client-key: "$WORK/old.key"}}]
contexts: [{name: test, context: {cluster: test, user: node}}]
current-context: test
CONFIG
start_kubelet node1 --enable-debugging-handlers=false --tls-min-version=VersionTLS13
eventually 60 asked system:node:node1 $client_signer || fail "the kubelet renews"
renewed=$(csr_of system:node:node1 $client_signer)
eventually 60 issued "$renewed" || fail "the renewal is issued"
is "why" "Approved:AutoApproved:Auto approving self kubelet client certificate after SubjectAccessReview.;" "$(conditions "$renewed")"
fresh() { openssl x509 -in "$current" -noout -checkend 36000 >/dev/null 2>&1; }
eventually 60 fresh || fail "the new certificate is current"
eventually 60 grep -q "Certificate rotation detected" "$WORK/node1.log" || fail "connections are made anew"
self_signed() { curl -sk -o /dev/null "https://127.0.0.1:$KUBELET_PORT/"; }
eventually 60 self_signed || fail "without serverTLSBootstrap a certificate of its own"
has "the API server does not trust it" "x509: certificate signed by unknown authority" "$(kubectl logs p 2>&1)"
is "TLS 1.2 is refused" "" "$(curl -sk --tls-max 1.2 "https://127.0.0.1:$KUBELET_PORT/healthz")"
admin() { curl -sk -w ' %{http_code}' --cert "$WORK/admin.crt" --key "$WORK/admin.key" "https://127.0.0.1:$KUBELET_PORT$1"; }
is "exec" "Debug endpoints are disabled.
 405" "$(admin /exec/default/p/c?command=id)"
is "logs" "Debug endpoints are disabled.
 405" "$(admin /containerLogs/default/p/c)"
is "configz" " 404" "$(admin /configz | grep -o ' 404')"
has "pods are not debugging" " 200" "$(admin /pods)"
ttl=$(admin /metrics | awk '$1 == "kubelet_certificate_manager_client_ttl_seconds" {printf "%d", $2}')
[ "${ttl:-0}" -gt 36000 ] || fail "the metric of the client certificate says $ttl"

echo "--- a node can have only its own name"
cp "$WORK/node1-kubelet.kubeconfig" "$WORK/node1.kubeconfig"
request othernode $client_signer '["digital signature","client auth"]' /O=system:nodes/CN=system:node:node2 node1
request extrasan $client_signer '["digital signature","client auth"]' /O=system:nodes/CN=system:node:node1 node1 DNS:kubernetes
request wrongusage $client_signer '["digital signature","client auth","server auth"]' /O=system:nodes/CN=system:node:node1 node1
request twogroups $client_signer '["digital signature","client auth"]' /O=system:nodes/O=system:masters/CN=system:node:node1 node1
request servingother $serving_signer '["digital signature","server auth"]' /O=system:nodes/CN=system:node:node2 node1 DNS:node2
request own $client_signer '["digital signature","client auth"]' /O=system:nodes/CN=system:node:node1 node1
eventually 60 issued own || fail "its own name is approved"
eventually 60 grep -q 'recognized csr \\"othernode\\" as \[nodeclient\]' "$WORK/kcm.log" || fail "the other's name is looked at"
for name in othernode extrasan wrongusage twogroups servingother; do
    is "$name is not approved" "" "$(conditions $name)"
    issued $name && fail "$name was signed"
done
for name in extrasan wrongusage twogroups; do
    kubectl certificate approve $name >/dev/null
    eventually 60 failed $name || fail "$name fails even when somebody approves it"
done
has "why" "DNS subjectAltNames are not allowed" "$(conditions extrasan)"
has "why" "usages did not match [client auth digital signature key encipherment]" "$(conditions wrongusage)"
has "why" "subject organization is not system:nodes" "$(conditions twogroups)"
kill "$KUBELET_PID" && wait_gone "$KUBELET_PID" 20 || fail "the kubelet ends"

echo "--- cluster-info: signed by each token that may, cleaned up with it"
printf 'apiVersion: v1\nkind: Config\nclusters: [{name: "", cluster: {server: "https://127.0.0.1:%s"}}]\n' "$API_PORT" >"$WORK/cluster-info"
kubectl -n kube-public create configmap cluster-info --from-file=kubeconfig="$WORK/cluster-info" >/dev/null
info() { kubectl -n kube-public get configmap cluster-info -o json | jq -r "$1"; }
expected=$(python3 - "$WORK/cluster-info" <<'PY'
import base64, hashlib, hmac, sys
enc = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
head = enc(b'{"alg":"HS256","kid":"abcdef"}')
mac = hmac.new(b"0123456789abcdef", (head + "." + enc(open(sys.argv[1], "rb").read())).encode(), hashlib.sha256).digest()
print(head + ".." + enc(mac))
PY
)
signed() { [ "$(info '.data["jws-kubeconfig-abcdef"]')" = "$expected" ]; }
eventually 60 signed || fail "cluster-info is signed: $(info .data)"
bootstrap_token short1 0123456789abcdef "expiration: \"$(date -u -d '+4 seconds' +%Y-%m-%dT%H:%M:%SZ)\""
bootstrap_token broken 0123456789abcdef 'expiration: tomorrow'
removed() { ! kubectl -n kube-system get secret "$1" >/dev/null 2>&1; }
eventually 60 removed bootstrap-token-broken || fail "a token whose expiry cannot be read goes"
eventually 60 removed bootstrap-token-short1 || fail "an expired token goes"
keys() { [ "$(info '.data | keys | join(" ")')" = "jws-kubeconfig-abcdef kubeconfig" ]; }
eventually 60 keys || fail "and its signature with it: $(info .data)"
kubectl -n kube-system get secret bootstrap-token-abcdef >/dev/null || fail "one that does not expire stays"
has "anyone may read it" '"kubeconfig"' "$(curl -s --cacert "$WORK/ca.crt" "https://127.0.0.1:$API_PORT/api/v1/namespaces/kube-public/configmaps/cluster-info")"

echo "--- legacy tokens: filled in, good for their account, gone with it"
kubectl create serviceaccount robot >/dev/null
token_secret() {
    kubectl apply -f - >/dev/null <<SECRET
apiVersion: v1
kind: Secret
metadata: {name: $1, annotations: {kubernetes.io/service-account.name: $2}}
type: kubernetes.io/service-account-token
SECRET
}
token_secret robot-token robot
secret() { kubectl get secret "$1" -o json 2>/dev/null | jq -r "$2"; }
filled() { [ "$(secret robot-token '.data.token // empty')" != "" ]; }
eventually 60 filled || fail "the secret gets a token: $(tail -5 "$WORK/kcm.log")"
is "namespace" default "$(secret robot-token .data.namespace | base64 -d)"
is "CA" "$(cat "$WORK/ca.crt")" "$(secret robot-token '.data["ca.crt"]' | base64 -d)"
is "whose" "$(kubectl get serviceaccount robot -o 'jsonpath={.metadata.uid}')" \
    "$(secret robot-token '.metadata.annotations["kubernetes.io/service-account.uid"]')"
token=$(secret robot-token .data.token | base64 -d)
is "claims" '{"iss":"kubernetes/serviceaccount","kubernetes.io/serviceaccount/namespace":"default","kubernetes.io/serviceaccount/secret.name":"robot-token","kubernetes.io/serviceaccount/service-account.name":"robot","sub":"system:serviceaccount:default:robot"}' \
    "$(cut -d. -f2 <<<"$token" | python3 -c 'import base64,sys; s=sys.stdin.read().strip(); print(base64.urlsafe_b64decode(s+"=="[:-len(s)%4]).decode())' | jq -cS 'del(.["kubernetes.io/serviceaccount/service-account.uid"])')"
is "who it is" "system:serviceaccount:default:robot" "$(kubectl create -o json -f - <<<"{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{\"token\":\"$token\"}}" | jq -r .status.user.username)"
token_secret orphan nobody
lost() { ! kubectl get secret "$1" >/dev/null 2>&1; }
eventually 60 lost orphan || fail "a secret of no account goes"
kubectl patch serviceaccount robot -p '{"secrets":[{"name":"robot-token"}]}' >/dev/null
kubectl delete secret robot-token >/dev/null
unreferenced() { [ -z "$(kubectl get serviceaccount robot -o 'jsonpath={.secrets}')" ]; }
eventually 60 unreferenced || fail "the account does not name a secret that is gone"
token_secret robot-token robot
eventually 60 filled || fail "another one is filled"
kubectl delete serviceaccount robot >/dev/null
eventually 60 lost robot-token || fail "the token goes with its account"

echo "--- a token that was made for an account and is not used: marked, then deleted; one that was asked for stays"
kubectl create serviceaccount old >/dev/null
token_secret old-token old
token_secret asked-for old
kubectl patch serviceaccount old -p '{"secrets":[{"name":"old-token"}]}' >/dev/null
old_filled() { [ -n "$(secret old-token '.data.token // empty')" ]; }
eventually 60 old_filled || fail "it is filled in"
kubectl -n kube-system patch configmap kube-apiserver-legacy-service-account-token-tracking -p '{"data":{"since":"2020-01-01"}}' >/dev/null
# A change makes it be looked at again; until the second has passed nothing comes of it.
marked() {
    kubectl annotate --overwrite secret old-token "look=$RANDOM" >/dev/null
    [ "$(secret old-token '.metadata.labels["kubernetes.io/legacy-token-invalid-since"]')" = "$(date -u +%Y-%m-%d)" ]
}
eventually 60 marked || fail "it is marked"
kubectl label --overwrite secret old-token kubernetes.io/legacy-token-invalid-since=2020-01-01 >/dev/null
eventually 60 lost old-token || fail "it is deleted"
kubectl annotate --overwrite secret asked-for look=1 >/dev/null
is "one that was asked for" null "$(secret asked-for '.metadata.labels["kubernetes.io/legacy-token-invalid-since"]')"

echo "--- ClusterTrustBundles: served because they were asked for, checked, attested, published"
has "a gate that nothing depends on is warned of" 'The feature gate cannot be changed here, ignoring" gate="WatchList" value="false"' "$(cat "$WORK/apiserver.log")"
is "the metric" 'kubernetes_feature_enabled{name="ClusterTrustBundle",stage="BETA"} 1' \
    "$(kubectl get --raw /metrics | grep '^kubernetes_feature_enabled{name="ClusterTrustBundle",')"
has "discovery" "clustertrustbundles certificates.k8s.io/v1beta1 false ClusterTrustBundle" \
    "$(kubectl api-resources --api-group=certificates.k8s.io --no-headers | awk '{print $1, $2, $3, $4}')"
is "the group prefers v1" certificates.k8s.io/v1 "$(kubectl get --raw /apis/certificates.k8s.io | jq -r .preferredVersion.groupVersion)"
published=kubernetes.io:kube-apiserver-serving:$(sha256sum <"$WORK/ca.crt" | cut -c1-24)
is_published() { [ "$(kubectl get clustertrustbundle "$published" -o 'jsonpath={.spec.trustBundle}')" = "$(cat "$WORK/ca.crt")" ]; }
eventually 60 is_published || fail "the API server's CA is published: $(tail -5 "$WORK/kcm.log")"
is "columns" "$published kubernetes.io/kube-apiserver-serving" "$(kubectl get clustertrustbundles --no-headers | awk '{print $1, $2}')"
bundle() { # <name> <signer or ""> <file> [kubectl's arguments]
    local name=$1 signer=$2 file=$3
    shift 3
    jq -n --arg name "$name" --arg signer "$signer" --rawfile pem "$file" '{apiVersion: "certificates.k8s.io/v1beta1",
        kind: "ClusterTrustBundle", metadata: {name: $name}, spec: ({trustBundle: $pem} + if $signer == "" then {} else
        {signerName: $signer} end)}' | kubectl create "$@" -f - 2>&1
}
: >"$WORK/empty"
cat "$WORK/ca.crt" "$WORK/ca.crt" >"$WORK/twice"
sed 's/^\(-----BEGIN CERTIFICATE-----\)$/\1\nName: x\n/' "$WORK/ca.crt" >"$WORK/headers"
sed 's/CERTIFICATE/PUBLIC KEY/' "$WORK/ca.crt" >"$WORK/other"
printf -- '-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n' >"$WORK/nothing"
has "created" "clustertrustbundle.certificates.k8s.io/mine created" "$(bundle mine "" "$WORK/ca.crt")"
has "created for a signer" created "$(bundle example.com:ca:one example.com/ca "$WORK/ca.crt")"
has "no certificate" 'spec.trustBundle: Invalid value: "<value omitted>": at least one trust anchor must be provided' "$(bundle b "" "$WORK/empty")"
has "repeated" 'duplicate trust anchor (indices [0 1])' "$(bundle b "" "$WORK/twice")"
has "headers" 'entry 0 has PEM block headers' "$(bundle b "" "$WORK/headers")"
has "no certificates" 'entry 0 has bad block type: PUBLIC KEY' "$(bundle b "" "$WORK/other")"
has "garbage" 'entry 0 does not parse as X.509' "$(bundle b "" "$WORK/nothing")"
has "a name that claims a signer" 'ClusterTrustBundle without signer name must not have ":" in its name' "$(bundle a:b "" "$WORK/ca.crt")"
has "a name without its signer" 'ClusterTrustBundle for signerName example.com/ca must be named with prefix example.com:ca:' \
    "$(bundle b example.com/ca "$WORK/ca.crt")"
has "the signer stays" "spec.signerName: Invalid value: \"\": field is immutable" \
    "$(kubectl patch clustertrustbundle example.com:ca:one --type=merge -p '{"spec":{"signerName":null}}' 2>&1)"
is "by signer" example.com:ca:one "$(kubectl get clustertrustbundles --field-selector spec.signerName=example.com/ca -o 'jsonpath={.items[*].metadata.name}')"
is "by name" mine "$(kubectl get clustertrustbundles --field-selector metadata.name=mine -o 'jsonpath={.items[*].metadata.name}')"
kubectl create clusterrole bundles --verb=create,get,list,update,patch --resource=clustertrustbundles.certificates.k8s.io >/dev/null
kubectl create clusterrolebinding bundles --clusterrole=bundles --user=alice >/dev/null
has "who may not attest" 'clustertrustbundles.certificates.k8s.io "example.com:ca:two" is forbidden: user not permitted to attest for signerName "example.com/ca"' \
    "$(bundle example.com:ca:two example.com/ca "$WORK/ca.crt" --kubeconfig "$WORK/alice.kubeconfig")"
kubectl apply -f - >/dev/null <<<'{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"attest"},"rules":[{"verbs":["attest"],"apiGroups":["certificates.k8s.io"],"resources":["signers"],"resourceNames":["example.com/*"]}]}'
kubectl create clusterrolebinding attest --clusterrole=attest --user=alice >/dev/null
has "who may" created "$(bundle example.com:ca:two example.com/ca "$WORK/ca.crt" --kubeconfig "$WORK/alice.kubeconfig")"
bundle kubernetes.io:kube-apiserver-serving:old kubernetes.io/kube-apiserver-serving "$WORK/ca.crt" >/dev/null
only_published() { [ "$(kubectl get clustertrustbundles --field-selector spec.signerName=kubernetes.io/kube-apiserver-serving -o name | wc -l)" = 1 ]; }
eventually 60 only_published || fail "what is not today's goes"
refused() { "$KUBEC_BIN/$1" "${@:2}" 2>&1 | tail -1; }
has "an unknown gate" "unrecognized feature gate: NoSuch" "$(refused kubelet --feature-gates=NoSuch=true)"
has "a locked one" "cannot set feature gate SidecarContainers to false, feature is locked to true" \
    "$(refused kube-scheduler --feature-gates=SidecarContainers=false)"
printf 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfeatureGates: {NoSuch: true}\n' >"$WORK/gates.yaml"
has "of a file" "unrecognized feature gate: NoSuch" "$(refused kubelet --config="$WORK/gates.yaml")"
has "an unknown API" "unknown api groups nosuch.io" "$(refused kube-apiserver --etcd-servers=http://127.0.0.1:1 \
    --service-account-signing-key-file="$WORK/sa.key" --service-account-issuer=x --runtime-config=nosuch.io/v1=true)"

echo "--- the end"
kill "$KCM_PID"
wait_gone "$KCM_PID" 20 || fail "kube-controller-manager does not end"
wait "$KCM_PID" 2>/dev/null
# Nobody signs its renewal any more: it ends, so that it is started again and asks as at first.
openssl ca -batch -notext -config "$WORK/ca.cnf" -cert "$WORK/ca.crt" -keyfile "$WORK/ca.key" -in "$WORK/old.csr" \
    -out "$WORK/short.crt" -startdate "$(date -u -d '-20 hours' +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d '+4 seconds' +%Y%m%d%H%M%SZ)" \
    -extfile <(echo extendedKeyUsage=clientAuth) >/dev/null 2>&1 || fail "a certificate about to expire"
rm -r "$WORK/node1-pki"
sed -i "s,old.crt,short.crt," "$WORK/node1-kubelet.kubeconfig"
start_kubelet node1 --bootstrap-kubeconfig=
wait_gone "$KUBELET_PID" 120 || fail "a kubelet whose certificate has expired does not end"
wait "$KUBELET_PID" 2>/dev/null
is "exit status" 1 $?
has "why" "The currently active client certificate has expired and the server is responsive, exiting." "$(tail -2 "$WORK/node1.log")"
! grep -lE "$SANITIZER_SAYS" "$WORK"/*.log || fail "the sanitizers complain"

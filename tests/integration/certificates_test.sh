#!/bin/bash
# Certificates with real kube-controller-manager, kubelet and API server, real kubectl and openssl: signers, who gets what
# approved, bootstrap tokens and cluster-info, the kubelet's bootstrap and renewal, legacy tokens.
. "$(dirname "$0")/lib.sh"

# A cluster CA of its own that signs, so that what is issued differs from the test's certificates in lifetime only.
start_control_plane --enable-bootstrap-token-auth=true --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction
daemon_kubeconfig kcm
start_kcm() {
    "$KUBEC_BIN/kube-controller-manager" --kubeconfig="$WORK/kcm.kubeconfig" --bind-address=127.0.0.1 \
        --secure-port="$(free_port)" --leader-elect=false --controllers='*,bootstrapsigner,tokencleaner' \
        --cluster-signing-cert-file="$WORK/ca.crt" --cluster-signing-key-file="$WORK/ca.key" \
        --use-service-account-credentials=true --cluster-signing-duration=12h --root-ca-file="$WORK/ca.crt" \
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


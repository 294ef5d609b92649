# shellcheck shell=bash
# Sourced by attacks_test.sh: what who may not see can still be learnt, and rights that are widened.

echo "--- what one may not see cannot be told apart from what is not there"
kubectl create role reader --verb=get,list,watch --resource=configmaps,pods >/dev/null
kubectl create rolebinding reader --role=reader --user=alice >/dev/null
kubectl create configmap here --from-literal=a=here >/dev/null
kubectl create configmap there -n other --from-literal=a=elsewhere >/dev/null
sees() { as alice get configmap here; }
eventually $WAIT sees || fail "alice reads"
said() { # <method> <path> [curl arguments]: code and message, with names taken out
    TOKEN=alice-token api "$@" >/dev/null
    echo "$(code) $(field .message | sed -E 's/"(s|none)"/NAME/g; s/"(other|nowhere)"/SPACE/g')"
}
O=/api/v1/namespaces/other
N=/api/v1/namespaces/nowhere
is "a Secret" 'secrets NAME is forbidden: User "alice" cannot get resource "secrets" in API group "" in the namespace SPACE' \
    "$(said GET $O/secrets/s | cut -c5-)"
for m in GET DELETE; do
    is "$m: of a name" "$(said $m $O/secrets/none)" "$(said $m $O/secrets/s)"
    is "$m: of a namespace" "$(said $m $N/secrets/s)" "$(said $m $O/secrets/s)"
done
for t in merge-patch+json json-patch+json apply-patch+yaml strategic-merge-patch+json nonsense; do
    for where in "$O/secrets/s" "$O/secrets/none" "$N/secrets/s"; do
        has "PATCH $t $where" '403 secrets NAME is forbidden: ' "$(said PATCH "$where?fieldManager=m" -H "Content-Type: application/$t" --data-binary '{"broken')"
    done
done
for where in $O/secrets $N/secrets $O/configmaps $N/configmaps; do
    has "POST $where" '403 ' "$(said POST $where -H "$JSON" --data-binary '{"metadata":{"name":"s"}}')"
    has "GET $where" '403 ' "$(said GET $where)"
    has "a watch of $where" '403 ' "$(said GET "$where?watch=1&fieldSelector=metadata.name%3Ds&resourceVersion=1")"
    has "another version of $where" '403 ' "$(said GET "$where?resourceVersion=99999999999")"
    has "a bad selector of $where" '403 ' "$(said GET "$where?labelSelector=%3D%3D%3D")"
    has "a table of $where" '403 ' "$(said GET $where -H 'Accept: application/json;as=Table;g=meta.k8s.io;v=v1')"
    has "metadata of $where" '403 ' "$(said GET $where -H 'Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1')"
done
for sub in status log exec proxy/ ephemeralcontainers resize binding eviction; do
    has "$sub" "403 " "$(said GET $O/pods/s/$sub)"
done
kubectl create clusterrole creator --verb=create --resource=secrets >/dev/null
kubectl create rolebinding creator --clusterrole=creator --user=alice -n other >/dev/null
creates() { as alice auth can-i -q create secrets -n other; }
eventually $WAIT creates || fail "alice creates Secrets"
is "who may create does not read" '409 secrets NAME already exists' "$(said POST $O/secrets -H "$JSON" --data-binary '{"metadata":{"name":"s"}}')"
grep -qF "$(printf %s $SECRET | base64 -w0)" "$WORK/body" && fail "the conflict tells the Secret"

echo "--- a list of a namespace stays in it"
for query in "" "resourceVersion=0" "limit=1" "limit=500&resourceVersion=0" "fieldSelector=metadata.namespace%3Dother" "fieldSelector=metadata.namespace%21%3Ddefault" \
    "fieldSelector=metadata.name%3Dthere" "fieldSelector=metadata.namespace%3Dother,metadata.name%3Dthere" \
    "resourceVersion=1&resourceVersionMatch=NotOlderThan" "labelSelector=%21none" "namespace=other" "resourceVersion=0&allNamespaces=true"; do
    TOKEN=alice-token api GET "$NS/configmaps?$query" >/dev/null
    is "?$query: code" 200 "$(code)"
    grep -q elsewhere "$WORK/body" && fail "?$query: objects of another namespace"
done
for query in "" "&resourceVersion=0" "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true" \
    "&fieldSelector=metadata.namespace%3Dother" "&fieldSelector=metadata.name%3Dthere"; do
    TOKEN=alice-token curl -sN --max-time 60 --cacert "$WORK/ca.crt" -H "Authorization: Bearer alice-token" \
        "https://127.0.0.1:$API_PORT$NS/configmaps?watch=1&timeoutSeconds=2$query" >"$WORK/watch" &
    WATCH_PID=$!
    kubectl patch configmap there -n other -p '{"data":{"b":"'"$RANDOM"'"}}' >/dev/null
    wait "$WATCH_PID"
    grep -q 'elsewhere\|"there"' "$WORK/watch" && fail "watch$query: objects of another namespace"
done
has "all namespaces" '403 ' "$(said GET /api/v1/configmaps?fieldSelector=metadata.namespace%3Ddefault)"

echo "--- certificates for those who are above all"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=system:masters/CN=eve -keyout "$WORK/eve.key" -out "$WORK/eve.csr" 2>/dev/null
csr() { # <name> <signer>
    kubectl create -f - 2>&1 <<<'{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"'"$1"'"},
        "spec":{"signerName":"'"$2"'","usages":["client auth"],"request":"'"$(base64 -w0 <"$WORK/eve.csr")"'"}}'
}
has "system:masters" 'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed' "$(csr eve kubernetes.io/kube-apiserver-client)"
has "another signer may" "created" "$(csr eve example.com/own)"
kubectl create clusterrole approver --verb=get,update,patch --resource=certificatesigningrequests,certificatesigningrequests/approval,certificatesigningrequests/status >/dev/null
kubectl create clusterrolebinding approver --clusterrole=approver --user=bob >/dev/null
approves() { as bob auth can-i -q update certificatesigningrequests --subresource=approval; }
eventually $WAIT approves || fail "bob approves"
has "approval needs the signer" 'user not permitted to approve requests with signerName "example.com/own"' "$(as bob certificate approve eve)"
has "and so does signing" 'user not permitted to sign requests with signerName "example.com/own"' "$(
    api PATCH /apis/certificates.k8s.io/v1/certificatesigningrequests/eve/status -H 'Content-Type: application/merge-patch+json' -H 'Impersonate-User: bob' \
        --data-binary '{"status":{"certificate":"'"$(base64 -w0 <"$WORK/client.crt")"'"}}' >/dev/null
    field .message)"

echo "--- tokens of others"
kubectl create role tokens --verb=create --resource=serviceaccounts/token >/dev/null
kubectl create rolebinding tokens --role=tokens --user=alice >/dev/null
makes_tokens() { as alice create token default; }
eventually $WAIT makes_tokens || fail "alice makes tokens in her namespace"
has "elsewhere" 'serviceaccounts "default" is forbidden: User "alice" cannot create resource "serviceaccounts/token" in API group "" in the namespace "other"' \
    "$(as alice create token default -n other)"
has "of a body that says so" "403" "$(said POST $O/serviceaccounts/default/token -H "$JSON" --data-binary '{"metadata":{"namespace":"default"},"spec":{}}')"
post $NS/serviceaccounts/default/token '{"metadata":{"namespace":"other","name":"default"},"spec":{}}'
is "for another namespace by this one" 400 "$(code)"
bound() { kubectl create --raw $NS/serviceaccounts/default/token -f - <<<'{"spec":{"audiences":'"$1"'}}' 2>&1 | jq -r .status.token; }
is "an audience that is not ours" 401 "$(TOKEN=$(bound '["vault"]') api GET /version >/dev/null; code)"

echo "--- a node may not widen its rights"
kubectl create -f - >/dev/null <<'OBJECTS'
{"apiVersion":"v1","kind":"List","items":[
 {"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}, {"apiVersion":"v1","kind":"Node","metadata":{"name":"n2"}},
 {"apiVersion":"v1","kind":"Pod","metadata":{"name":"here"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"x"}]}},
 {"apiVersion":"v1","kind":"Pod","metadata":{"name":"there"},"spec":{"nodeName":"n2","containers":[{"name":"c","image":"x"}],
  "volumes":[{"name":"s","secret":{"secretName":"s"}}]}}]}
OBJECTS
uid1=$(kubectl get node n1 -o 'jsonpath={.metadata.uid}')
uid2=$(kubectl get node n2 -o 'jsonpath={.metadata.uid}')
mirror() { # <spec more> [owner's name and uid] [node]
    local owner=${2-n1 $uid1}
    printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"mirror","annotations":{"kubernetes.io/config.mirror":"x"},"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"%s","uid":"%s","controller":true}]},"spec":{"nodeName":"%s","containers":[{"name":"c","image":"x"}]%s}}' \
        "${owner% *}" "${owner#* }" "${3-n1}" "$1"
}
node_posts() { # <path> <body> [curl arguments]: code
    curl -s --max-time $WAIT --cacert "$WORK/ca.crt" --cert "$WORK/n1.crt" --key "$WORK/n1.key" -o "$WORK/body" -w '%{http_code}' -H "$JSON" \
        --data-binary "$2" "https://127.0.0.1:$API_PORT$1"
}
is "a mirror pod of its own" 201 "$(node_posts $NS/pods "$(mirror '')")"
try() { # <what> <method> <path> [body]
    printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4-}"
}
LEASES=/apis/coordination.k8s.io/v1/namespaces
{
    for path in nodes/n2 nodes/n2/status; do
        try "another node" PATCH "/api/v1/$path" '{"metadata":{"annotations":{"a":"b"}}}'
        try "another node" PUT "/api/v1/$path" '{"apiVersion":"v1","kind":"Node","metadata":{"name":"n2"}}'
    done
    for path in nodes/n1 nodes/n1/status; do
        try "labels of the restricted kind" PATCH "/api/v1/$path" '{"metadata":{"labels":{"node-restriction.kubernetes.io/a":"b"}}}'
        try "labels of Kubernetes" PATCH "/api/v1/$path" '{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}'
        try "an owner" PATCH "/api/v1/$path" '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n2","uid":"'"$uid2"'"}]}}'
    done
    try "taints" PATCH /api/v1/nodes/n1 '{"spec":{"taints":[{"key":"a","effect":"NoSchedule"}]}}'
    try "the node itself goes" DELETE /api/v1/nodes/n1
    try "another goes" DELETE /api/v1/nodes/n2
    try "all go" DELETE /api/v1/nodes
    try "a new one" POST /api/v1/nodes '{"apiVersion":"v1","kind":"Node","metadata":{"name":"n3"}}'
    try "another's pod" GET "$NS/pods/there"
    try "another's pods" GET "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2"
    try "pods of no node" GET "/api/v1/pods?fieldSelector=spec.nodeName%3D"
    try "pods but one node's" GET "/api/v1/pods?fieldSelector=spec.nodeName%21%3Dn2"
    try "another's pod goes" DELETE "$NS/pods/there"
    try "its status" PATCH "$NS/pods/there/status" '{"status":{"phase":"Failed"}}'
    try "its eviction" POST "$NS/pods/there/eviction" '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"there"}}'
    try "eviction by another name" POST "$NS/pods/there/eviction" '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{}}'
    try "spec of its own pod" PATCH "$NS/pods/here" '{"spec":{"containers":[{"name":"c","image":"y"}]}}'
    try "labels by the status" PATCH "$NS/pods/here/status" '{"metadata":{"labels":{"app":"db"}}}'
    try "ephemeral containers" PATCH "$NS/pods/here/ephemeralcontainers" '{"spec":{"ephemeralContainers":[{"name":"e","image":"x"}]}}'
    try "exec" POST "$NS/pods/here/exec?command=id"
    try "proxy" GET "$NS/pods/here/proxy/"
    try "a kubelet" GET /api/v1/nodes/n2/proxy/pods
    try "its own kubelet" GET /api/v1/nodes/n1/proxy/pods
    try "a pod that is no mirror" POST "$NS/pods" '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"x"}]}}'
    try "of another node" POST "$NS/pods" "$(mirror '' "n1 $uid1" n2)"
    try "with another owner" POST "$NS/pods" "$(mirror '' "n2 $uid2")"
    try "with another uid" POST "$NS/pods" "$(mirror '' "n1 $uid2")"
    try "with an account" POST "$NS/pods" "$(mirror ',"serviceAccountName":"default"')"
    try "with a Secret" POST "$NS/pods" "$(mirror ',"volumes":[{"name":"v","secret":{"secretName":"s"}}]')"
    try "with a projected Secret" POST "$NS/pods" "$(mirror ',"volumes":[{"name":"v","projected":{"sources":[{"secret":{"name":"s"}}]}}]')"
    try "with a ConfigMap" POST "$NS/pods" "$(mirror ',"volumes":[{"name":"v","configMap":{"name":"here"}}]')"
    try "with a claim" POST "$NS/pods" "$(mirror ',"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c"}}]')"
    try "with an image's Secret" POST "$NS/pods" "$(mirror ',"imagePullSecrets":[{"name":"s"}]')"
    try "with a variable of a Secret" POST "$NS/pods" "$(mirror ',"initContainers":[{"name":"i","image":"x","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s","key":"password"}}}]}]')"
    try "with variables of a ConfigMap" POST "$NS/pods" "$(mirror ',"initContainers":[{"name":"i","image":"x","envFrom":[{"configMapRef":{"name":"here"}}]}]')"
    try "the Secret of a pod elsewhere" GET "$NS/secrets/s"
    try "by its name" GET "$NS/secrets?fieldSelector=metadata.name%3Ds"
    try "watched" GET "$NS/secrets?watch=1&fieldSelector=metadata.name%3Ds&timeoutSeconds=1"
    try "all Secrets" GET /api/v1/secrets
    try "a new Secret" POST "$NS/secrets" '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x","annotations":{"kubernetes.io/service-account.name":"default"}},"type":"kubernetes.io/service-account-token"}'
    try "a ConfigMap" PATCH "$NS/configmaps/here" '{"data":{"a":"b"}}'
    try "another's token" POST "$NS/serviceaccounts/default/token" '{"spec":{}}'
    try "of a pod elsewhere" POST "$NS/serviceaccounts/default/token" '{"spec":{"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"there","uid":"'"$(kubectl get pod there -o 'jsonpath={.metadata.uid}')"'"}}}'
    try "another's lease" PUT "$LEASES/kube-node-lease/leases/n2" '{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"n2"}}'
    try "a lease for another" POST "$LEASES/kube-node-lease/leases" '{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"n2"}}'
    try "a lease elsewhere" POST "$LEASES/kube-system/leases" '{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"n1"}}'
    try "approval" PATCH /apis/certificates.k8s.io/v1/certificatesigningrequests/eve/approval '{"status":{"conditions":[{"type":"Approved","status":"True"}]}}'
    try "a binding of roles" POST /apis/rbac.authorization.k8s.io/v1/clusterrolebindings '{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"x"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},"subjects":[{"kind":"User","name":"system:node:n1"}]}'
    try "a Service" POST "$NS/services" '{"apiVersion":"v1","kind":"Service","metadata":{"name":"x"},"spec":{"ports":[{"port":80}]}}'
    try "metrics" GET /metrics
} >"$WORK/node.tsv"
is "as a node" "" "$(python3 "$HERE/attacks.py" node "$API_PORT" "$WORK/ca.crt" "$WORK/n1.crt" "$WORK/n1.key" <"$WORK/node.tsv" 2>&1)"

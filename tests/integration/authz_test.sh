#!/bin/bash
# What one may do, and how one might try to do more: a chain of authorizers from a file that changes while the server runs,
# webhooks, ABAC, aggregated roles, escalation, impersonation, paths that are written in odd ways, nodes.
. "$(dirname "$0")/lib.sh"

WAIT=60

hook_config() { # <failure policy> [more authorizers]
    cat >"$WORK/authz.yaml.new" <<CONFIG
apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
- {type: Node, name: node}
- type: Webhook
  name: hook
  webhook:
    timeout: 3s
    authorizedTTL: 300s
    unauthorizedTTL: 300s
    subjectAccessReviewVersion: v1
    failurePolicy: $1
    connectionInfo: {type: KubeConfigFile, kubeConfigFile: $WORK/hook.kubeconfig}
- {type: RBAC, name: rbac}
${2-}
CONFIG
    mv "$WORK/authz.yaml.new" "$WORK/authz.yaml"
}

# refuses <what> <message> <flags...>: the apiserver does not start.
refuses() {
    local what=$1 message=$2
    shift 2
    has "$what" "$message" "$(ETCD_PORT=1 API_PORT=0 start_and_fail "$@")"
}

start_and_fail() {
    timeout $WAIT "$KUBEC_BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:1 --bind-address=127.0.0.1 --secure-port=0 \
        --tls-cert-file="$WORK/apiserver.crt" --tls-private-key-file="$WORK/apiserver.key" \
        --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$WORK/sa.pub" \
        --service-account-signing-key-file="$WORK/sa.key" "$@" 2>&1 && echo "it has started"
}

as() { # <user> <kubectl arguments...>
    local user=$1
    shift
    "$KUBECTL" --as="$user" "$@" 2>&1
}

# raw <token> <method> <path> [curl arguments]: the code; the path goes out as it is.
raw() {
    local token=$1 method=$2 path=$3
    shift 3
    curl -s --max-time $WAIT --path-as-is --cacert "$WORK/ca.crt" -H "Authorization: Bearer $token" -X "$method" -o "$WORK/body" \
        -w '%{http_code}' "$@" "https://127.0.0.1:$API_PORT$path"
}

make_pki
cert n1 /O=system:nodes/CN=system:node:n1
cat >>"$WORK/tokens.csv" <<TOKENS
hooked-token,hooked,u1
banned-token,banned,u2
broken-token,broken,u3
TOKENS

echo "--- configurations that are refused"
python3 "$(dirname "$0")/authz_webhook.py" "$WORK/hook.port" "$WORK/hook.log" &
PIDS+=($!)
eventually $WAIT test -s "$WORK/hook.port" || exit 1
cat >"$WORK/hook.kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: hook, cluster: {server: "http://127.0.0.1:$(cat "$WORK/hook.port")"}}]
contexts: [{name: hook, context: {cluster: hook, user: ""}}]
current-context: hook
CONFIG
refuses "two sources" "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined" \
    --authorization-mode=RBAC --authorization-config="$WORK/authz.yaml"
refuses "ABAC without its file" "authorization-mode ABAC's authorization policy file not passed" --authorization-mode=ABAC
refuses "a file without ABAC" "cannot specify --authorization-policy-file without mode ABAC" \
    --authorization-mode=RBAC --authorization-policy-file=/x
refuses "Webhook without its file" "authorization-mode Webhook's authorization config file not passed" --authorization-mode=Webhook
refuses "an unknown mode" 'authorization-mode "Magic" is not a valid mode' --authorization-mode=Magic
hook_config Maybe
refuses "a failure policy" 'authorizers[1].webhook.failurePolicy: Unsupported value: "Maybe": supported values: "Deny", "NoOpinion"' \
    --authorization-config="$WORK/authz.yaml"
hook_config Deny "- {type: RBAC, name: rbac}"
refuses "twice" 'authorizers[3].type: Duplicate value: "RBAC"' --authorization-config="$WORK/authz.yaml"
hook_config "Deny
    timeOut: 3s"
refuses "a misspelt field" 'authorizers[1].webhook.timeOut: Forbidden: unknown field' --authorization-config="$WORK/authz.yaml"
hook_config "Deny
    matchConditionSubjectAccessReviewVersion: v1
    matchConditions: [{expression: \"request.user != 'x'\"}]"
refuses "expressions" 'authorizers[1].webhook.matchConditions: Forbidden: expressions (CEL) are not supported yet' \
    --authorization-config="$WORK/authz.yaml"

hook_config "Deny
    matchConditions: {expression: \"request.user == 'x'\"}
    cacheAuthorizedRequests: 'false'"
refuses "a list that is none" 'authorizers[1].webhook.matchConditions: Invalid value: {"expression":"request.user == '"'x'"'"}: must be a list' \
    --authorization-config="$WORK/authz.yaml"
refuses "a boolean that is none" 'authorizers[1].webhook.cacheAuthorizedRequests: Invalid value: "false": must be true or false' \
    --authorization-config="$WORK/authz.yaml"
echo '{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"alice","resource":"*","readonly":"true"}}' \
    >"$WORK/policies.jsonl"
refuses "a policy that would let write" 'spec.readonly: Invalid value: "true": must be true or false' \
    --authorization-mode=ABAC --authorization-policy-file="$WORK/policies.jsonl"

echo "--- a chain with a webhook"
hook_config NoOpinion
start_etcd
start_apiserver --authorization-config="$WORK/authz.yaml" --enable-admission-plugins=NodeRestriction --client-ca-file="$WORK/ca.crt"
kubeconfig admin admin-token
kubeconfig alice alice-token
export KUBECONFIG=$WORK/admin.kubeconfig
wait_ready
is "the hook allows" 200 "$(raw hooked-token GET /api/v1/namespaces/default/pods?labelSelector=a%3Db)"
is "what it was asked" '{"namespace":"default","verb":"list","version":"v1","resource":"pods","labelSelector":{"requirements":[{"key":"a","operator":"In","values":["b"]}]}} hooked ["system:authenticated"]' \
    "$(tail -n 1 "$WORK/hook.log" | jq -rc '"\(.spec.resourceAttributes) \(.spec.user) \(.spec.groups)"')"
asked=$(wc -l <"$WORK/hook.log")
is "again" 200 "$(raw hooked-token GET /api/v1/namespaces/default/pods?labelSelector=a%3Db)"
is "an answer is remembered" "$asked" "$(wc -l <"$WORK/hook.log")"
is "the hook denies" 403 "$(raw banned-token GET /api)"
is "its reason" 'forbidden: User "banned" cannot get path "/api": the hook says no' "$(field .message)"
is "no opinion" 403 "$(raw hooked-token GET /api/v1/secrets)"
is "RBAC is asked after it" 200 "$(raw hooked-token GET /api)"
is "a failing hook has no opinion" 200 "$(raw broken-token GET /api)"
is "who may be denied" '{"allowed":false,"denied":true,"reason":"the hook says no"}' "$(kubectl create -o json --validate=false -f - <<<'
  {"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"user":"banned","resourceAttributes":{"verb":"get","resource":"pods"}}}' | jq -c .status)"
is "rules are not all" 'true webhook authorizer does not support user rule resolution' "$(kubectl create -o json --validate=false -f - <<<'
  {"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectRulesReview","spec":{"namespace":"default"}}' | jq -r '"\(.status.incomplete) \(.status.evaluationError)"')"
kubectl create clusterrole impersonator --verb=impersonate --resource=users >/dev/null
kubectl create clusterrolebinding impersonator --clusterrole=impersonator --user=hooked >/dev/null
impersonated() { [ "$(raw hooked-token GET /api -H 'Impersonate-User: carol')" = 200 ]; }
eventually $WAIT impersonated || fail "impersonation beside a webhook"

echo "--- another configuration while it runs"
hook_config Deny
denied() { [ "$(raw broken-token GET /api)" = 403 ]; }
eventually $WAIT denied || fail "the failure policy is reloaded"
hook_config Nonsense
reload_failed() { grep -q "Cannot reload the authorization configuration, keeping the former one" "$WORK/apiserver.log"; }
eventually $WAIT reload_failed || fail "a bad configuration is reported"
is "and the former one stays" 403 "$(raw broken-token GET /api)"
hook_config NoOpinion
passes() { [ "$(raw broken-token GET /api)" = 200 ]; }
eventually $WAIT passes || fail "the third configuration"

echo "--- paths that are written in odd ways"
# Nobody but alice may read one URL; each of these asks for something else, or for the same under another name.
kubectl create clusterrole one-pod --verb=get --resource=pods --resource-name=mine >/dev/null
kubectl create rolebinding alice-pod --clusterrole=one-pod --user=alice -n default >/dev/null
kubectl create clusterrole nobodys-url --verb=get --non-resource-url=/healthz/ping >/dev/null
kubectl create clusterrolebinding nobodys-url --clusterrole=nobodys-url --user=alice >/dev/null
mine() { [ "$(raw alice-token GET /api/v1/namespaces/default/pods/mine)" = 404 ]; }
eventually $WAIT mine || fail "what alice may read"
base=/api/v1/namespaces/default
while read -r path; do
    code=$(raw alice-token GET "$path")
    case $code in
    403 | 404 | 400 | 301) ;;
    *) fail "GET $path answers $code" ;;
    esac
done <<PATHS
$base/secrets
//api/v1/namespaces/default/secrets
/api//v1/namespaces/default/secrets
/api/v1//namespaces/default/secrets
$base//secrets
$base/secrets/
$base/./secrets
$base/pods/mine/../../secrets
$base/pods/mine/..%2f..%2fsecrets
$base/pods/%2e%2e/secrets
$base/pods/mine%2f..%2f..%2fsecrets%2fx
$base/%73ecrets
$base/SECRETS
/API/v1/namespaces/default/secrets
/Api/v1/secrets
$base/secrets;x=y
$base/pods;x/mine
$base/pods/mine;/log
$base/pods/other
$base/pods/mine%00x
$base/secrets?fieldSelector=metadata.name%3Dmine
$base/pods?fieldSelector=metadata.name%3Dother
/api/v1/watch/namespaces/default/secrets
/api/v1/proxy/namespaces/default/pods/mine
$base/pods/mine/proxy/
$base/pods/mine/log
/metrics
//metrics
/metrics/
/%6detrics
/healthz/../metrics
/healthz/..%2fmetrics
/healthz/%2e%2e/metrics
/livez/../api/v1/secrets
/livez%2f..%2fmetrics
PATHS
for method in HEAD OPTIONS; do
    code=$(raw alice-token $method $base/secrets/x --head)
    [ "$code" != 200 ] || fail "$method of a secret answers 200"
done

echo "--- impersonation"
is "without the right: a user" 'users "admin" is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope' \
    "$(raw alice-token GET /api -H 'Impersonate-User: admin' >/dev/null; field .message)"
is "groups without a user" 500 "$(raw alice-token GET /api -H 'Impersonate-Group: system:masters')"
is "an extra without a user" 500 "$(raw admin-token GET /api -H 'Impersonate-Extra-a: b')"
is "a user, but not the group" 'groups "system:masters" is forbidden: User "hooked" cannot impersonate resource "groups" in API group "" at the cluster scope' \
    "$(raw hooked-token GET /api -H 'Impersonate-User: carol' -H 'Impersonate-Group: system:masters' >/dev/null; field .message)"
is "nor its uid" 'uids.authentication.k8s.io "7" is forbidden: User "hooked" cannot impersonate resource "uids" in API group "authentication.k8s.io" at the cluster scope' \
    "$(raw hooked-token GET /api -H 'Impersonate-User: carol' -H 'Impersonate-Uid: 7' >/dev/null; field .message)"
is "nor an extra" 'userextras.authentication.k8s.io "b" is forbidden: User "hooked" cannot impersonate resource "userextras/scopes" in API group "authentication.k8s.io" at the cluster scope' \
    "$(raw hooked-token GET /api -H 'Impersonate-User: carol' -H 'Impersonate-Extra-Scopes: b' >/dev/null; field .message)"
is "a service account is another resource" 'serviceaccounts "robot" is forbidden: User "hooked" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "default"' \
    "$(raw hooked-token GET /api -H 'Impersonate-User: system:serviceaccount:default:robot' >/dev/null; field .message)"
is "who is not authenticated" '["system:masters","system:unauthenticated"]' "$(kubectl auth whoami --as=carol --as-group=system:masters --as-group=system:unauthenticated -o json | jq -c .status.userInfo.groups)"
is "with the right" '{"groups":["system:serviceaccounts","system:serviceaccounts:default","system:authenticated"],"username":"system:serviceaccount:default:robot"}' \
    "$(kubectl --as=system:serviceaccount:default:robot create -o json --validate=false -f - <<<'
  {"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}' | jq -cS .status.userInfo)"

echo "--- escalation"
kubectl create clusterrole editor-of-roles --verb=get,list,create,update,patch,delete --resource=roles,rolebindings,clusterroles,clusterrolebindings >/dev/null
kubectl create clusterrolebinding editor-of-roles --clusterrole=editor-of-roles --user=mallory >/dev/null
can_edit() { [ "$(as mallory auth can-i create roles)" = yes ]; }
eventually $WAIT can_edit || fail "mallory edits roles"
not_held='user "mallory" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:'
has "a new role" "roles.rbac.authorization.k8s.io \"r\" is forbidden: $not_held"$'\n'"{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}" \
    "$(as mallory create role r --verb=get --resource=secrets)"
has "only tried" "$not_held" "$(as mallory create role r --verb=get --resource=secrets --dry-run=server)"
has "an edit" "$not_held" "$(as mallory patch clusterrole editor-of-roles --type=json -p '[{"op":"add","path":"/rules/-","value":{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}}]')"
has "an apply" "$not_held" "$(as mallory apply --server-side --force-conflicts -f - <<<'
{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"editor-of-roles"},"rules":[{"verbs":["*"],"nonResourceURLs":["*"]}]}')"
has "a binding" "$not_held" "$(as mallory create clusterrolebinding me --clusterrole=cluster-admin --user=mallory)"
has "a binding to what is not there" 'clusterroles.rbac.authorization.k8s.io "later" not found' \
    "$(as mallory create clusterrolebinding me --clusterrole=later --user=mallory)"
has "an aggregated role" 'must have cluster-admin privileges to use the aggregationRule' "$(as mallory create -f - <<<'
{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"all"},"aggregationRule":{"clusterRoleSelectors":[{}]}}')"
has "a label that others aggregate" "$not_held" "$(as mallory label clusterrole cluster-admin rbac.authorization.k8s.io/aggregate-to-view=true)"
is "what one holds may be given" "role.rbac.authorization.k8s.io/r created" "$(as mallory create role r --verb=get --resource=roles)"
has "the reference stays" 'roleRef: Invalid value:' "$(kubectl patch clusterrolebinding editor-of-roles -p '{"roleRef":{"name":"view"}}' 2>&1)"
has "why" "cannot change roleRef" "$(kubectl patch clusterrolebinding editor-of-roles -p '{"roleRef":{"name":"view"}}' 2>&1)"

echo "--- aggregated roles, and a controller with an account of its own"
daemon_kubeconfig kcm
"$KUBEC_BIN/kube-controller-manager" --kubeconfig="$WORK/kcm.kubeconfig" --use-service-account-credentials --leader-elect=false \
    --bind-address=127.0.0.1 --secure-port="$(free_port)" --controllers=clusterrole-aggregation-controller >"$WORK/kcm.log" 2>&1 &
KCM_PID=$!
PIDS+=("$KCM_PID")
rules() { kubectl get clusterrole "$1" -o json | jq -c '.rules | length'; }
rules_are() { [ "$(rules "$1")" = "$2" ]; }
eventually $WAIT rules_are admin 29 || fail "admin has $(rules admin) rules"
eventually $WAIT rules_are edit 27 || fail "edit has $(rules edit) rules"
eventually $WAIT rules_are view 12 || fail "view has $(rules view) rules"
kubectl create clusterrolebinding viewers --clusterrole=view --user=vera >/dev/null
may() { [ "$(as vera auth can-i "$@")" = yes ]; }
may_not() { ! may "$@"; }
eventually $WAIT may list configmaps || fail "view allows nothing"
is "view has no secrets" no "$(as vera auth can-i get secrets)"
kubectl create clusterrole more --verb=get --resource=secrets >/dev/null
kubectl label clusterrole more rbac.authorization.k8s.io/aggregate-to-view=true >/dev/null
eventually $WAIT may get secrets || fail "a role that is labelled becomes a part"
kubectl delete clusterrole more >/dev/null
eventually $WAIT may_not get secrets || fail "a role that is gone is no part any more"
is "who writes" "clusterrole-aggregation-controller Apply" "$(kubectl get clusterrole view --show-managed-fields -o json |
    jq -r '.metadata.managedFields[] | select(.manager | startswith("clusterrole")) | "\(.manager) \(.operation)"')"
is "as whom" "serviceaccount/clusterrole-aggregation-controller" \
    "$(kubectl get serviceaccount -n kube-system clusterrole-aggregation-controller -o name)"
kill "$KCM_PID"
wait_gone "$KCM_PID" $WAIT || fail "the controller manager does not end"
wait "$KCM_PID"
is "exit status of the controller manager" 0 $?

echo "--- a node"
as_node() {
    "$KUBECTL" --kubeconfig /dev/null --server "https://127.0.0.1:$API_PORT" --certificate-authority "$WORK/ca.crt" \
        --client-certificate "$WORK/n1.crt" --client-key "$WORK/n1.key" "$@" 2>&1
}
kubectl create serviceaccount default -n default >/dev/null 2>&1
kubectl create -f - >/dev/null <<'OBJECTS'
{"apiVersion":"v1","kind":"List","items":[
 {"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}, {"apiVersion":"v1","kind":"Node","metadata":{"name":"n2"}},
 {"apiVersion":"v1","kind":"Secret","metadata":{"name":"used"}}, {"apiVersion":"v1","kind":"Secret","metadata":{"name":"unused"}},
 {"apiVersion":"v1","kind":"Secret","metadata":{"name":"of-volume"}},
 {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}},"volumeName":"v1","storageClassName":""}},
 {"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"v1"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],
  "claimRef":{"namespace":"default","name":"data"},"csi":{"driver":"d","volumeHandle":"h","nodeStageSecretRef":{"namespace":"default","name":"of-volume"}}}},
 {"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"v2"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"hostPath":{"path":"/x"}}},
 {"apiVersion":"storage.k8s.io/v1","kind":"VolumeAttachment","metadata":{"name":"mine"},"spec":{"attacher":"d","nodeName":"n1","source":{"persistentVolumeName":"v1"}}},
 {"apiVersion":"storage.k8s.io/v1","kind":"VolumeAttachment","metadata":{"name":"others"},"spec":{"attacher":"d","nodeName":"n2","source":{"persistentVolumeName":"v1"}}},
 {"apiVersion":"v1","kind":"Pod","metadata":{"name":"here"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"x"}],"volumes":[
  {"name":"s","secret":{"secretName":"used"}},{"name":"d","persistentVolumeClaim":{"claimName":"data"}},
  {"name":"t","projected":{"sources":[{"serviceAccountToken":{"path":"t"}},{"serviceAccountToken":{"path":"v","audience":"vault"}}]}}]}},
 {"apiVersion":"v1","kind":"Pod","metadata":{"name":"there"},"spec":{"nodeName":"n2","containers":[{"name":"c","image":"x"}]}}]}
OBJECTS
eventually $WAIT as_node get secret used || fail "a node reads the secret of its pod"
eventually $WAIT as_node get secret of-volume || fail "and that of a volume of its pod"
eventually $WAIT as_node get pv v1 || fail "and the volume"
eventually $WAIT as_node get volumeattachment mine || fail "and its attachment"
for what in "secret unused" "pv v2" "volumeattachment others" "pod there" "node n2" "csinode n2"; do
    # shellcheck disable=SC2086
    has "a node and $what" Forbidden "$(as_node get $what)"
done
has "why" "no relationship found between node 'n1' and this object" "$(as_node get secret unused)"
for what in secrets pods nodes persistentvolumes volumeattachments resourceslices; do
    has "a node lists $what" Forbidden "$(as_node get $what -A)"
done
is "its own pods" "pod/here" "$(as_node get pods -A --field-selector=spec.nodeName=n1 -o name)"
has "its owners" 'node "n1" is not allowed to modify ownerReferences' "$(as_node patch node n1 -p '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":"1"}]}}')"
has "its taints" 'node "n1" is not allowed to modify taints' "$(as_node patch node n1 -p '{"spec":{"taints":[{"key":"a","effect":"NoSchedule"}]}}')"
has "its labels" 'is not allowed to modify labels: node-restriction.kubernetes.io/a' "$(as_node label node n1 node-restriction.kubernetes.io/a=b)"
has "another node" 'is not allowed to modify node' "$(
    curl -s --cacert "$WORK/ca.crt" --cert "$WORK/n1.crt" --key "$WORK/n1.key" -X PATCH -H 'Content-Type: application/merge-patch+json' \
        -d '{"metadata":{"labels":{"a":"b"}}}' "https://127.0.0.1:$API_PORT/api/v1/nodes/n2")"
has "its end" Forbidden "$(as_node delete node n1)"
has "another CSINode" 'can only access CSINode with the same name as the requesting node' "$(as_node create -f - <<<'
{"apiVersion":"storage.k8s.io/v1","kind":"CSINode","metadata":{"name":"n2"},"spec":{"drivers":[]}}')"
has "another node's slices" 'can only create ResourceSlice with the same NodeName as the requesting node' "$(as_node create -f - <<<'
{"apiVersion":"resource.k8s.io/v1","kind":"ResourceSlice","metadata":{"name":"s"},"spec":{"driver":"d.example.com","nodeName":"n2","pool":{"name":"p","generation":1,"resourceSliceCount":1}}}')"
has "a pod that is no mirror" 'can only create mirror pods' "$(as_node run x --image=x)"
has "the claim itself" Forbidden "$(as_node annotate pvc data a=b)"
token_of() { # <audiences> [uid]
    local uid=${2-$(kubectl get pod here -o jsonpath='{.metadata.uid}')}
    as_node create --raw /api/v1/namespaces/default/serviceaccounts/default/token -f - <<<'{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest",
      "spec":{"audiences":'"$1"',"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"here","uid":"'"$uid"'"}}}'
}
has "a token for its pod" '"token"' "$(token_of '[]')"
has "for an audience of the pod" '"token"' "$(token_of '["vault"]')"
has "for another" 'audience "bank" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience' "$(token_of '["bank"]')"
has "for two" 'node may only request 0 or 1 audiences' "$(token_of '["vault","bank"]')"
has "of another pod" 'does not match the UID in record' "$(token_of '[]' 00000000-0000-0000-0000-000000000000)"

echo "--- ABAC"
stop_apiserver
cat >"$WORK/policies.jsonl" <<'POLICIES'
# who may what
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"system:masters","namespace":"*","resource":"*","apiGroup":"*","nonResourcePath":"*"}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"alice","namespace":"default","resource":"pods","readonly":true}}

{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"*","nonResourcePath":"/api*","readonly":true}}
POLICIES
start_apiserver --authorization-mode=ABAC --authorization-policy-file="$WORK/policies.jsonl"
wait_ready
is "a policy's user reads" 200 "$(raw alice-token GET /api/v1/namespaces/default/pods)"
is "and does not write" 403 "$(raw alice-token DELETE /api/v1/namespaces/default/pods/x)"
is "why" 'pods "x" is forbidden: User "alice" cannot delete resource "pods" in API group "" in the namespace "default": No policy matched.' "$(field .message)"
is "nor elsewhere" 403 "$(raw alice-token GET /api/v1/namespaces/kube-system/pods)"
is "everybody who is known" 200 "$(raw banned-token GET /apis/apps/v1)"
is "but nobody else" 403 "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$WORK/ca.crt" "https://127.0.0.1:$API_PORT/apis")"
stop_apiserver

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
    matchConditionSubjectAccessReviewVersion: v1
    matchConditions: [{expression: \"request.user != 'x'\"}]"
refuses "expressions" 'authorizers[1].webhook.matchConditions: Forbidden: expressions (CEL) are not supported yet' \
    --authorization-config="$WORK/authz.yaml"

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

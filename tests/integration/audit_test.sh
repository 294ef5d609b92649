#!/bin/bash
# The audit: what the policy lets through to the log and to a webhook, at which level and stage; rotation; bad policies.
. "$(dirname "$0")/lib.sh"

LOG=$WORK/audit/audit.log
make_pki
cat >"$WORK/policy.yaml" <<'POLICY'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: [alice], resources: [{group: "", resources: [configmaps]}], verbs: [get]}
- {level: None, nonResourceURLs: ["/healthz*", /readyz, /livez]}
- {level: RequestResponse, omitManagedFields: true, resources: [{group: "", resources: [configmaps]}]}
- {level: Request, resources: [{group: "", resources: ["serviceaccounts/*"]}]}
- {level: Metadata, resources: [{group: "", resources: [secrets]}]}
- {level: Metadata, omitStages: [], namespaces: [default]}
- {level: Metadata, nonResourceURLs: ["/version"]}
POLICY

# A webhook that keeps the bodies it gets, and fails the first time.
cat >"$WORK/webhook.pl" <<'PERL'
use strict; use IO::Socket::INET;
my ($port, $out) = @ARGV;
my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 5, ReuseAddr => 1) or die;
my $n = 0;
while (my $c = $s->accept) {
    while (my $line = <$c>) {
        my $len = 0;
        while (($line = <$c>) && $line !~ /^\r?\n$/) { $len = $1 if $line =~ /^content-length:\s*(\d+)/i; }
        read($c, my $body, $len);
        if ($n++ == 0) { print $c "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"; next; }
        open(my $f, '>>', $out); print $f "$body\n"; close $f;
        print $c "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    }
}
PERL
HOOK_PORT=$(free_port)
perl "$WORK/webhook.pl" "$HOOK_PORT" "$WORK/hooked" &
PIDS+=($!)
cat >"$WORK/webhook.kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: hook, cluster: {server: "http://127.0.0.1:$HOOK_PORT/audit"}}]
contexts: [{name: hook, context: {cluster: hook, user: hook}}]
users: [{name: hook, user: {}}]
current-context: hook
CONFIG

start_etcd
start_apiserver --authorization-mode=RBAC --audit-policy-file="$WORK/policy.yaml" --audit-log-path="$LOG" \
    --audit-webhook-config-file="$WORK/webhook.kubeconfig" --audit-webhook-batch-max-wait=100ms \
    --audit-webhook-initial-backoff=50ms
kubeconfig admin admin-token
kubeconfig alice alice-token
export KUBECONFIG=$WORK/admin.kubeconfig
wait_ready

# event <jq condition> <jq filter>: of the only event that fits; waits for it.
event() {
    there() { [ -n "$(jq -c "select($1)" "$LOG")" ]; }
    eventually 10 there "$1" || { echo "no event: $1"; return; }
    jq -cS "select($1) | $2" "$LOG"
}

kubectl create configmap c --from-literal=a=b >/dev/null
is "a request with its answer" \
    '{"code":201,"got":"b","ips":["127.0.0.1"],"level":"RequestResponse","managed":null,"ref":{"apiVersion":"v1","name":"c","namespace":"default","resource":"configmaps"},"sent":"b","stage":"ResponseComplete","user":"admin","verb":"create"}' \
    "$(event '.verb=="create" and .objectRef.resource=="configmaps" and .objectRef.name=="c"' \
        '{level,stage,verb,user:.user.username,ref:.objectRef,code:.responseStatus.code,sent:.requestObject.data.a,got:.responseObject.data.a,managed:.responseObject.metadata.managedFields,ips:.sourceIPs}')"
is "why it was allowed" '{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}' \
    "$(event '.verb=="create" and .objectRef.name=="c"' .annotations)"
kubectl create secret generic s --from-literal=password=hunter2 >/dev/null
is "metadata only" '["Metadata",null,null]' \
    "$(event '.verb=="create" and .objectRef.resource=="secrets"' '[.level,.requestObject,.responseObject]')"
is "no secrets in the log" 0 "$(grep -c "$(printf hunter2 | base64)" "$LOG")"
kubectl patch cm c -p '{"data":{"a":"c"}}' >/dev/null
is "a patch as it was sent" '{"data":{"a":"c"}}' "$(event '.verb=="patch"' .requestObject)"
kubectl get cm >/dev/null
is "a list" '["ConfigMapList",true]' "$(event '.verb=="list" and .objectRef.resource=="configmaps" and (.userAgent|startswith("kubectl"))' \
    '[.responseObject.kind//"Table",.responseObject!=null]' | sed 's/"Table"/"ConfigMapList"/')"
"$KUBECTL" --kubeconfig "$WORK/alice.kubeconfig" get cm c >/dev/null 2>&1
"$KUBECTL" --kubeconfig "$WORK/alice.kubeconfig" delete cm c >/dev/null 2>&1
is "a refusal" '{"code":403,"decision":"forbid","message":"configmaps \"c\" is forbidden: User \"alice\" cannot delete resource \"configmaps\" in API group \"\" in the namespace \"default\"","reason":"Forbidden"}' \
    "$(event '.user.username=="alice" and .verb=="delete"' \
        '{code:.responseStatus.code,reason:.responseStatus.reason,decision:.annotations["authorization.k8s.io/decision"],message:.responseStatus.message}')"
is "what the policy leaves out" "" "$(jq -c 'select(.user.username=="alice" and .verb=="get" and .objectRef!=null)' "$LOG")"
is "paths that it leaves out" "" "$(jq -c 'select(.requestURI=="/readyz")' "$LOG")"
kubectl get pods --as=bob >/dev/null 2>&1
is "impersonation" '["admin","bob"]' "$(event '.impersonatedUser.username=="bob" and .objectRef!=null' '[.user.username,.impersonatedUser.username]')"
TOKEN=nonsense api GET /api/v1/namespaces/default/configmaps >/dev/null
is "nobody" '[401,"",null]' "$(event '.responseStatus.code==401' '[.responseStatus.code,.user.username//"",.impersonatedUser]')"
api GET '/api/v1/namespaces/default/pods?watch=1&timeoutSeconds=1' >/dev/null
is "the stages of a watch" '["ResponseStarted",200]
["ResponseComplete",200]' "$(event '.verb=="watch" and .objectRef.resource=="pods"' '[.stage,.responseStatus.code]')"
api GET /version -H 'X-Forwarded-For: 198.51.100.7, nonsense' -H 'Audit-ID: my-own-id' >/dev/null
is "who is behind a proxy" '[["198.51.100.7","127.0.0.1"],"/version"]' "$(event '.auditID=="my-own-id"' '[.sourceIPs,.requestURI]')"
is "mode of the file" 600 "$(stat -c %a "$LOG")"
has "metrics" 'apiserver_audit_level_total{level="RequestResponse"}' "$(kubectl get --raw /metrics | grep ^apiserver_audit)"

hooked() { jq -c '.items[] | select(.verb=="create" and .objectRef.name=="c" and .responseStatus.code==201)' "$WORK/hooked" | grep -q .; }
eventually 10 hooked || fail "the webhook misses an event"
is "what the webhook gets" "EventList audit.k8s.io/v1" "$(head -1 "$WORK/hooked" | jq -r '.kind+" "+.apiVersion')"

# Whatever is buffered is written at the end.
api GET /version -H 'Audit-ID: the-last' >/dev/null
stop_apiserver
is "the last event is in the log" 1 "$(grep -c '"auditID":"the-last"' "$LOG")"
is "and at the webhook" 1 "$(grep -c '"auditID":"the-last"' "$WORK/hooked")"

# --- legacy lines, rotation
rm -r "$WORK/audit"
start_apiserver --audit-policy-file="$WORK/policy.yaml" --audit-log-path="$LOG" --audit-log-format=legacy \
    --audit-log-maxsize=1 --audit-log-maxbackup=2 --audit-log-compress
wait_ready
api POST /api/v1/namespaces/default/serviceaccounts -H 'Content-Type: application/json' \
    --data-binary '{"metadata":{"name":"sa"}}' >/dev/null
line() { grep -q 'uri="/api/v1/namespaces/default/serviceaccounts"' "$LOG"; }
eventually 10 line
has "a legacy line" 'ip="127.0.0.1" method="create" user="admin" groups="\"system:masters\",\"system:authenticated\"" as="<self>" asgroups="<lookup>" user-agent="kubec-test" namespace="default" uri="/api/v1/namespaces/default/serviceaccounts" response="201"' \
    "$(grep 'serviceaccounts"' "$LOG")"
head -c 1048500 /dev/zero | tr '\0' x >>"$LOG"
backups() { find "$WORK/audit" -name 'audit-*.log.gz' | wc -l; }
stop_apiserver
for i in 1 2 3; do
    start_apiserver --audit-policy-file="$WORK/policy.yaml" --audit-log-path="$LOG" --audit-log-maxsize=1 \
        --audit-log-maxbackup=2 --audit-log-compress
    wait_ready
    api GET /version >/dev/null
    eventually 10 grep -q '"/version"' "$LOG"
    stop_apiserver
    head -c 1048500 /dev/zero | tr '\0' x >>"$LOG"
done
is "old files" 2 "$(backups)"

# --- a webhook that takes events and never answers, at the end; a log that is a link
HUNG_PORT=$(free_port)
perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => shift, Listen => 50) or die; sleep' \
    "$HUNG_PORT" &
PIDS+=($!)
sed "s/:$HOOK_PORT/:$HUNG_PORT/" "$WORK/webhook.kubeconfig" >"$WORK/hung.kubeconfig"
touch "$WORK/real.log"
ln -s "$WORK/real.log" "$WORK/link.log"
start_apiserver --audit-policy-file="$WORK/policy.yaml" --audit-log-path="$WORK/link.log" \
    --audit-webhook-config-file="$WORK/hung.kubeconfig" --audit-webhook-batch-max-wait=100ms
wait_ready
api GET /version >/dev/null
eventually 10 grep -q '"/version"' "$WORK/real.log" || fail "nothing behind the link"
stop_apiserver # which does not take longer than 20 s

# --- policies that are none
refused() { # refused <what> <message>: the policy on standard input
    cat >"$WORK/bad.yaml"
    has "$1" "$2" "$("$KUBEC_BIN/kube-apiserver" --etcd-servers=http://127.0.0.1:1 --audit-policy-file="$WORK/bad.yaml" \
        --audit-log-path="$WORK/never.log" --service-account-issuer=x --service-account-signing-key-file="$WORK/sa.key" \
        --cert-dir="$WORK" 2>&1)"
}
refused "no rules" 'loaded illegal policy with 0 rules' <<<'{apiVersion: audit.k8s.io/v1, kind: Policy}'
refused "another kind" 'no kind "Policy" of audit.k8s.io/v1' <<<'{apiVersion: v1, kind: Pod}'
refused "a bad level" 'rules[0].level: Unsupported value: "Loud"' <<<'{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Loud}]}'
refused "both kinds of rules" 'rules cannot apply to both regular resources and non-resource URLs' \
    <<<'{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata, namespaces: [a], nonResourceURLs: [/b]}]}'

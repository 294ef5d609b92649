#!/bin/bash
# What has been done to clusters before, done to this one: each part is a lesson of upstream's history, and an attack that fails.
# Those that need containers are in tests/e2e/attacks_test.sh; paths, escalation and nodes' rights also in authz_test.sh, tokens
# in authn_test.sh, floods in limits' and HTTP's tests.
if [ -z "${ATTACKS_TEST_NS-}" ]; then
    ATTACKS_TEST_NS=1 exec unshare --net bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
ip link set lo up
ip link add node0 type veth peer name outside0 && ip addr add 10.123.9.1/24 dev node0 && ip link set node0 up && ip link set outside0 up

HERE=$(dirname "$0")
WAIT=60
JSON='Content-Type: application/json'
NS=/api/v1/namespaces/default
SECRET=s3cr3t-and-long-enough-to-be-found

attack() { # <command> [arguments]: as the administrator
    local what=$1
    shift
    python3 "$HERE/attacks.py" "$what" "$API_PORT" "$WORK/ca.crt" admin-token "$@" 2>&1
}

post() { # <path> <body> [curl arguments]
    local path=$1 body=$2
    shift 2
    api POST "$path" -H "$JSON" --data-binary "$body" "$@" >/dev/null
}

as() { # <user> <kubectl arguments>
    local user=$1
    shift
    "$KUBECTL" --as="$user" "$@" 2>&1
}

keys() {
    ETCDCTL_API=3 etcdctl --endpoints "http://127.0.0.1:$ETCD_PORT" get --prefix --keys-only / | grep -v '^$' | grep -v '/events/\|/leases/' | sort
}

fake() { # <name> [plain]: a server at 10.123.9.1; sets PORT
    : >"$WORK/$1.log"
    python3 "$HERE/fake_kubelet.py" 10.123.9.1 "$WORK/kubelet.crt" "$WORK/kubelet.key" "$WORK/ca.crt" "$WORK/$1.log" ${2-} >"$WORK/$1.port" &
    PIDS+=($!)
    eventually $WAIT test -s "$WORK/$1.port" || fail "the server $1 starts"
    # shellcheck disable=SC2034 # for attacks_proxy.sh
    PORT=$(cat "$WORK/$1.port")
}

make_pki
cert kubelet /CN=kubelet "subjectAltName=IP:10.123.9.1
extendedKeyUsage=serverAuth"
cert client /O=system:masters/CN=apiserver-client
cert n1 /O=system:nodes/CN=system:node:n1

# A webhook that sends elsewhere, where everything is allowed.
cat >"$WORK/hook.py" <<'PY'
import http.server, json, sys
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[1], "a") as f:
            f.write(self.path + "\n")
        if self.path.startswith("/redirect"):
            self.send_response(int(self.path[-3:]))
            self.send_header("Location", "/allow")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.answer()
    def do_GET(self):
        with open(sys.argv[1], "a") as f:
            f.write(self.path + "\n")
        self.answer()
    def answer(self):
        body = json.dumps({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "status": {"allowed": True}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
print(server.server_address[1], flush=True)
server.serve_forever()
PY
python3 "$WORK/hook.py" "$WORK/hook.log" >"$WORK/hook.port" &
PIDS+=($!)
eventually $WAIT test -s "$WORK/hook.port" || fail "the webhook starts"
cat >"$WORK/hook.kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: hook, cluster: {server: "http://127.0.0.1:$(cat "$WORK/hook.port")/redirect307"}}]
contexts: [{name: hook, context: {cluster: hook, user: ""}}]
current-context: hook
CONFIG
cat >"$WORK/audit.yaml" <<'POLICY'
{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}
POLICY
start_etcd
start_apiserver --v=10 --authorization-mode=Node,RBAC,Webhook --authorization-webhook-config-file="$WORK/hook.kubeconfig" \
    --authorization-webhook-version=v1 --enable-admission-plugins=NodeRestriction --audit-policy-file="$WORK/audit.yaml" \
    --audit-log-path="$WORK/audit.log" --kubelet-client-certificate="$WORK/client.crt" --kubelet-client-key="$WORK/client.key" \
    --kubelet-certificate-authority="$WORK/ca.crt" --kubelet-preferred-address-types=InternalIP,Hostname
kubeconfig admin admin-token
kubeconfig alice alice-token
export KUBECONFIG=$WORK/admin.kubeconfig
wait_ready
kubectl create namespace other >/dev/null
for ns in default other; do kubectl create serviceaccount default -n $ns >/dev/null 2>&1; done
kubectl create secret generic s --from-literal=password=$SECRET >/dev/null
kubectl create secret generic s -n other --from-literal=password=$SECRET >/dev/null

echo "--- redirects of webhooks are not followed"
TOKEN=alice-token api GET $NS/pods >/dev/null
answers "who is allowed at the end of a redirect" 403 Forbidden
is "only the webhook itself was asked" /redirect307 "$(sort -u "$WORK/hook.log")"

echo "--- names that are paths, in every route (one line for each that goes through)"
keys >"$WORK/keys"
new_keys() { keys | diff "$WORK/keys" -; }
is "names" "" "$(attack names)"
is "the keys in etcd" "" "$(new_keys)"
echo "--- resources of the cluster by routes of namespaces, and the other way round"
is "scopes" "" "$(attack scopes)"
is "the keys in etcd, still" "" "$(new_keys)"

echo "--- continue tokens of one's own make"
token() { printf %s "$1" | base64 -w0 | tr '+/' '-_' | tr -d =; }
for start in '../secrets/default/' '../../secrets/default/s' '..' '.' 'x/./y' 'x//y' 'x/../../secrets/' '/..' 'a/..'; do
    api GET "/api/v1/configmaps?limit=500&continue=$(token '{"v":"meta.k8s.io/v1","rv":1,"start":"'"$start"'"}')" >/dev/null
    is "start at $start" "400 invalid continue token: continue key is not valid: $start" "$(code) $(field .message)"
    grep -q c2Vjcm "$WORK/body" && fail "start at $start: secrets"
done
for start in 'zzz' 's\u0000' '~' 'default\u0000/x'; do
    kind=$(TOKEN=admin-token api GET "$NS/configmaps?limit=500&continue=$(token '{"v":"meta.k8s.io/v1","rv":-1,"start":"'"$start"'"}')" | jq -r '[.items[]?.metadata.namespace] | unique | join(",")')
    case $kind in
    default | '') ;;
    *) fail "a list of a namespace from $start has objects of $kind" ;;
    esac
done

echo "--- bombs"
python3 - "$WORK" <<'PY'
import sys
work = sys.argv[1]
head = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n'
laughs = 'a: &a ["lol","lol","lol","lol","lol","lol","lol","lol","lol"]\n'
for i, c in enumerate("bcdefghij"):
    laughs += '%s: &%s [%s]\n' % (c, c, ",".join(["*" + chr(ord(c) - 1)] * 9))
open(work + "/bomb.yaml", "w").write(head + laughs)
# One large scalar, many times.
open(work + "/wide.yaml", "w").write(head + 'data:\n  a: &a "' + "x" * 500000 + '"\n' + "".join("  k%d: *a\n" % i for i in range(20000)))
open(work + "/self.yaml", "w").write(head + "data: &a {b: *a}\n")
open(work + "/deep.yaml", "w").write(head + "data: " + "[" * 100000 + "]" * 100000 + "\n")
open(work + "/deep.json", "w").write('{"data":' + "[" * 100000 + "]" * 100000 + "}")
open(work + "/deepobj.json", "w").write('{"data":' + '{"a":' * 100000 + "1" + "}" * 100001)
open(work + "/deeppatch.json", "w").write('[{"op":"add","path":"/data","value":' + "[" * 100000 + "]" * 100000 + "}]")
# Each copy doubles what is there: upstream bounds the operations, and what comes out of them.
copies = ['{"op":"add","path":"/data","value":{"a":"%s"}}' % ("x" * 100000)]
copies += ['{"op":"copy","from":"/data","path":"/data/k%d"}' % i for i in range(40)]
open(work + "/copies.json", "w").write("[" + ",".join(copies) + "]")
open(work + "/many.json", "w").write("[" + ",".join(['{"op":"test","path":"/data/a","value":"b"}'] * 10001) + "]")
open(work + "/deepalias.yaml", "w").write(head + "".join("a%d: &a%d [%s]\n" % (i, i, "*a%d" % (i - 1) if i else "x") for i in range(20000)))
open(work + "/numbers.json", "w").write('{"data":{"a":' + "9" * 2000000 + "}}")
PY
kubectl create configmap target --from-literal=a=b >/dev/null
rss() { awk '/VmHWM/ {print $2}' "/proc/$APISERVER_PID/status"; }
hwm=$(rss)
bomb() { # <what> <method> <path> <content type> <file>
    api "$2" "$3" -H "Content-Type: $4" --data-binary "@$WORK/$5" >/dev/null
    case $(code) in
    400 | 413 | 422) ;;
    *) fail "$1: $(code) $(head -c 300 "$WORK/body")" ;;
    esac
    [ "$(wc -c <"$WORK/body")" -lt 100000 ] || fail "$1: an answer of $(wc -c <"$WORK/body") bytes"
}
for f in bomb wide self deep deepalias; do
    bomb "$f.yaml, created" POST $NS/configmaps application/yaml $f.yaml
    bomb "$f.yaml, put" PUT $NS/configmaps/bomb application/yaml $f.yaml
    bomb "$f.yaml, applied" PATCH "$NS/configmaps/bomb?fieldManager=m" application/apply-patch+yaml $f.yaml
    bomb "$f.yaml, options" DELETE $NS/configmaps/target application/yaml $f.yaml
done
for f in deep deepobj; do
    for t in json merge-patch+json strategic-merge-patch+json; do
        m=PATCH
        [ $t != json ] || m=PUT
        bomb "$f.json, $m $t" $m $NS/configmaps/target application/$t $f.json
    done
    bomb "$f.json, applied" PATCH "$NS/configmaps/target?fieldManager=m" application/apply-patch+yaml $f.json
done
bomb "deep values of a patch" PATCH $NS/configmaps/target application/json-patch+json deeppatch.json
bomb "copies of copies" PATCH $NS/configmaps/target application/json-patch+json copies.json
bomb "10,001 operations" PATCH $NS/configmaps/target application/json-patch+json many.json
is "10,001 operations: code" 413 "$(code)"
bomb "a long number" PATCH $NS/configmaps/target application/merge-patch+json numbers.json
is "the target is as it was" '{"a":"b"}' "$(kubectl get cm target -o json | jq -c .data)"
grown=$(($(rss) - hwm))
[ $grown -lt 1000000 ] || fail "the apiserver grew by $grown KiB"
for f in bomb wide self deep deepalias; do
    out=$(timeout $WAIT "$KUBEC_BIN/kubec" create -f "$WORK/$f.yaml" 2>&1)
    is "kubec -f $f.yaml: exit code" 1 $?
    [ ${#out} -lt 10000 ] || fail "kubec -f $f.yaml says ${#out} bytes"
done

echo "--- labels of metrics"
is "metrics" "" "$(attack metrics)"
. "$HERE/attacks_rights.sh"
. "$HERE/attacks_proxy.sh"

echo "--- what is secret stays so"
is "still the same process" 1 "$(pgrep -c -P $$ kube-apiserver)"
# The audit writes what the policy wants; nothing else may.
encoded=$(printf %s $SECRET | base64 -w0)
for where in "$WORK/apiserver.log" "$WORK/metrics"; do
    [ "$where" != "$WORK/metrics" ] || kubectl get --raw /metrics >"$WORK/metrics"
    for what in "$SECRET" "$encoded" admin-token alice-token "$(printf admin-token | base64 | tr -d =)"; do
        n=$(grep -cF -- "$what" "$where")
        is "$what in ${where##*/}" 0 "$n"
    done
done
for what in admin-token alice-token "$(printf admin-token | base64 | tr -d =)"; do
    is "$what in the audit" 0 "$(grep -cF -- "$what" "$WORK/audit.log")"
done
stop_apiserver

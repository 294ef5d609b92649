#!/bin/bash
# Authentication: certificates, front proxies, tokens of every kind, who is nobody - and what attackers try.
. "$(dirname "$0")/lib.sh"

AUTHN_PY=$(dirname "$0")/authn.py
URL=

# who [curl arguments]: the name of the request's user, or the code of the refusal.
who() {
    local c
    c=$(curl -s --max-time 60 --cacert "$WORK/ca.crt" -o "$WORK/who" -D "$WORK/who.headers" -w '%{http_code}' -X POST \
        -H 'Content-Type: application/json' -d '{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}' \
        "$@" "$URL/apis/authentication.k8s.io/v1/selfsubjectreviews")
    if [ "$c" = 201 ]; then jq -r .status.userInfo.username "$WORK/who"; else echo "$c"; fi
}

bearer() {
    who -H "Authorization: Bearer $1"
}

# user_field <filter>: of the last who.
user_field() {
    jq -c ".status.userInfo$1" "$WORK/who"
}

is_who() { # <expected> <token>
    [ "$(bearer "$2")" = "$1" ]
}

metric() {
    api GET /metrics | awk -v m="$1" '$1 == m { print $2 }'
}

make_pki
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=front-proxy-ca \
    -keyout "$WORK/proxy-ca.key" -out "$WORK/proxy-ca.crt" 2>/dev/null
proxy_cert() { # <name> <subject>
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$WORK/$1.key" \
        -out "$WORK/$1.csr" 2>/dev/null
    openssl x509 -req -in "$WORK/$1.csr" -CA "$WORK/proxy-ca.crt" -CAkey "$WORK/proxy-ca.key" -CAcreateserial -days 2 \
        -extfile <(echo extendedKeyUsage=clientAuth) -out "$WORK/$1.crt" 2>/dev/null
}
proxy_cert proxy /CN=front-proxy-client
proxy_cert misnamed /CN=somebody
printf 'oid_section=oids\n[oids]\nuserUID=1.3.6.1.4.1.57683.2\n[req]\ndistinguished_name=dn\n[dn]\n' >"$WORK/openssl.cnf"
OPENSSL_CONF=$WORK/openssl.cnf cert jane /O=dev/O=ops/CN=jane/userUID=jane-uid
openssl ecparam -name prime256v1 -genkey -noout -out "$WORK/old-sa.key" 2>/dev/null
openssl ec -in "$WORK/old-sa.key" -pubout -out "$WORK/old-sa.pub" 2>/dev/null
cat >"$WORK/audit.yaml" <<AUDIT
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
AUDIT
start_etcd
API_PORT=$(free_port)
URL=https://127.0.0.1:$API_PORT
apiserver() { # [flags]
    # Without what the sanitizer keeps of freed memory.
    ASAN_OPTIONS=$ASAN_OPTIONS:quarantine_size_mb=1 start_apiserver --authorization-mode=RBAC --enable-bootstrap-token-auth --service-account-key-file="$WORK/old-sa.pub" \
        --service-account-issuer=https://old.issuer --service-account-max-token-expiration=24h \
        --requestheader-client-ca-file="$WORK/proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-uid-headers=X-Remote-Uid \
        --audit-policy-file="$WORK/audit.yaml" --audit-log-path="$WORK/audit.log" "$@"
    wait_ready
}
apiserver
kubeconfig admin admin-token
export KUBECONFIG=$WORK/admin.kubeconfig

# --- certificates

is "a certificate's name" jane "$(who --cert "$WORK/jane.crt" --key "$WORK/jane.key")"
is "a certificate's groups" '["dev","ops","system:authenticated"]' "$(user_field .groups)"
is "a certificate's uid" '"jane-uid"' "$(user_field .uid)"
has "a certificate's fingerprint" '"authentication.kubernetes.io/credential-id":["X509SHA256=' "$(user_field .extra)"
is "a stranger's certificate" 401 "$(who --cert "$WORK/misnamed.crt" --key "$WORK/misnamed.key")"
is "a stranger's certificate, with a token" admin \
    "$(who --cert "$WORK/misnamed.crt" --key "$WORK/misnamed.key" -H 'Authorization: Bearer admin-token')"

# --- the front proxy

proxied=(-H 'X-Remote-User: bob' -H 'X-Remote-Group: a' -H 'X-Remote-Group: b' -H 'X-Remote-Extra-Acme%2fx: y' -H 'X-Remote-Uid: u')
is "by the front proxy" bob "$(who --cert "$WORK/proxy.crt" --key "$WORK/proxy.key" "${proxied[@]}")"
is "by the front proxy: the user" '{"uid":"u","groups":["a","b","system:authenticated"],"extra":{"acme/x":["y"]}}' \
    "$(user_field '| {uid, groups, extra}')"
is "headers, no certificate" 401 "$(who "${proxied[@]}" -H 'Authorization: Bearer x')"
is "headers, a certificate of that CA with another name" 401 \
    "$(who --cert "$WORK/misnamed.crt" --key "$WORK/misnamed.key" "${proxied[@]}")"
is "headers, a client's certificate" jane "$(who --cert "$WORK/jane.crt" --key "$WORK/jane.key" "${proxied[@]}")"

# What servers behind it need to know.
configured() {
    kubectl get configmap -n kube-system extension-apiserver-authentication
}
eventually 60 configured || fail "extension-apiserver-authentication"
kubectl get configmap -n kube-system extension-apiserver-authentication -o json >"$WORK/trust.json"
is "the CA of clients" "$(cat "$WORK/ca.crt")" "$(jq -r '.data["client-ca-file"]' "$WORK/trust.json")"
is "the CA of the front proxy" "$(cat "$WORK/proxy-ca.crt")" "$(jq -r '.data["requestheader-client-ca-file"]' "$WORK/trust.json")"
is "its names" '["front-proxy-client"]' "$(jq -r '.data["requestheader-allowed-names"]' "$WORK/trust.json")"
is "its headers" '["X-Remote-User"]["X-Remote-Group"]["X-Remote-Extra-"]["X-Remote-Uid"]' \
    "$(jq -j '.data | .["requestheader-username-headers"], .["requestheader-group-headers"], .["requestheader-extra-headers-prefix"], .["requestheader-uid-headers"]' "$WORK/trust.json")"

# --- bootstrap tokens

bootstrap_secret() { # <id> <key=value>...
    local id=$1
    shift
    kubectl create secret generic -n kube-system "bootstrap-token-$id" --type=bootstrap.kubernetes.io/token \
        --from-literal=token-id="$id" --from-literal=token-secret=0123456789abcdef "${@/#/--from-literal=}" >/dev/null ||
        fail "secret of $id"
}
bootstrap_secret aaaaaa usage-bootstrap-authentication=true auth-extra-groups=system:bootstrappers:kubeadm:default-node-token \
    expiration=2100-01-01T00:00:00Z
bootstrap_secret bbbbbb usage-bootstrap-authentication=true expiration=2020-01-01T00:00:00Z
bootstrap_secret cccccc usage-bootstrap-signing=true
bootstrap_secret dddddd usage-bootstrap-authentication=true auth-extra-groups=system:masters
is "a bootstrap token" system:bootstrap:aaaaaa "$(bearer aaaaaa.0123456789abcdef)"
is "a bootstrap token's groups" \
    '["system:bootstrappers","system:bootstrappers:kubeadm:default-node-token","system:authenticated"]' "$(user_field .groups)"
is "one that has expired" 401 "$(bearer bbbbbb.0123456789abcdef)"
is "one for signing" 401 "$(bearer cccccc.0123456789abcdef)"
is "one that wants to be an administrator" 401 "$(bearer dddddd.0123456789abcdef)"
is "another secret" 401 "$(bearer aaaaaa.0123456789abcdee)"
# --- service accounts

kubectl create serviceaccount robot >/dev/null
uid=$(kubectl get serviceaccount robot -o 'jsonpath={.metadata.uid}')
token=$(kubectl create token robot)
is "a service account" system:serviceaccount:default:robot "$(bearer "$token")"
has "its credential" '"authentication.kubernetes.io/credential-id":["JTI=' "$(user_field .extra)"
is "its token's time is cut" 86400 "$(kubectl create token robot --duration=1000h -o json |
    jq -r '(.status.expirationTimestamp | fromdate) as $e | (now | floor) as $n | if ($e - $n) <= 86400 and ($e - $n) > 86000 then 86400 else $e - $n end')"
is "for another audience" 401 "$(bearer "$(kubectl create token robot --audience=vault)")"
api GET /openid/v1/jwks >"$WORK/jwks.json"
is "keys" '["RSA RS256","EC ES256"]' "$(jq -c '[.keys[] | .kty + " " + .alg]' "$WORK/jwks.json")"
is "discovery" '["https://kubernetes.default.svc","ES256","RS256"]' \
    "$(api GET /.well-known/openid-configuration | jq -c '[.issuer] + .id_token_signing_alg_values_supported')"

sign() { # <key> <alg> <claims> [header]
    python3 "$AUTHN_PY" sign "$@"
}
now=$(date +%s)
claims() { # <jq filter on the usual claims>
    jq -nc --arg uid "$uid" --argjson now "$now" '{iss: "https://kubernetes.default.svc", sub: "system:serviceaccount:default:robot",
        aud: ["https://kubernetes.default.svc"], exp: ($now + 3600), iat: $now, nbf: $now,
        "kubernetes.io": {namespace: "default", serviceaccount: {name: "robot", uid: $uid}}} | '"$1"
}
robot=system:serviceaccount:default:robot
is "signed with our key" $robot "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims .)")")"
is "of the former key and issuer" $robot "$(bearer "$(sign "$WORK/old-sa.key" ES256 "$(claims '.iss = "https://old.issuer"')")")"
is "expired" 401 "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims '.exp = $now - 120')")")"
is "not yet valid" 401 "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims '.nbf = $now + 600')")")"
is "without an end" 401 "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims 'del(.exp)')")")"
is "of another issuer" 401 "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims '.iss = "https://evil"')")")"
is "of another subject" 401 "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims '.sub = "system:serviceaccount:kube-system:robot"')")")"
is "of an account that is gone" 401 "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims '.["kubernetes.io"].serviceaccount.uid = "x"')")")"
is "of a pod that is not there" 401 "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims '.["kubernetes.io"].pod = {name: "p", uid: "x"}')")")"
is "alg none" 401 "$(bearer "$(sign - none "$(claims .)")")"
is "HMAC with the public key" 401 "$(bearer "$(sign "$WORK/sa.pub" HS256 "$(claims .)")")"
kid=$(jq -r '.keys[0].kid' "$WORK/jwks.json")
is "a key of one's own with our kid" 401 "$(bearer "$(sign "$WORK/proxy.key" ES256 "$(claims .)" "{\"kid\":\"$kid\"}")")"
is "a key in the header" 401 "$(bearer "$(sign "$WORK/proxy.key" ES256 "$(claims .)" '{"jwk":{"kty":"EC"},"jku":"https://evil/","x5u":"https://evil"}')")"
is "a kid that is a path" 401 "$(bearer "$(sign "$WORK/proxy.key" ES256 "$(claims .)" '{"kid":"../../dev/null"}')")"
is "the other key's algorithm" 401 "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims .)" '{"alg":"ES256"}')")"
is "an extension that must be understood" 401 "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims .)" '{"crit":["b64"],"b64":false}')")"
is "a very long token" 401 "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims '.x = ("a" * 40000)')")")"

# --- legacy tokens

legacy() { # <secret>: its token
    sign "$WORK/sa.key" RS256 "$(jq -nc --arg uid "$uid" --arg secret "$1" '{iss: "kubernetes/serviceaccount",
        sub: "system:serviceaccount:default:robot", "kubernetes.io/serviceaccount/namespace": "default",
        "kubernetes.io/serviceaccount/secret.name": $secret, "kubernetes.io/serviceaccount/service-account.name": "robot",
        "kubernetes.io/serviceaccount/service-account.uid": $uid}')"
}
legacy_secret() { # <name> [token]
    kubectl apply -f - >/dev/null <<SECRET || fail "secret $1"
apiVersion: v1
kind: Secret
metadata: {name: $1, annotations: {kubernetes.io/service-account.name: robot}}
type: kubernetes.io/service-account-token
stringData: {token: "${2-$(legacy "$1")}"}
SECRET
}
legacy_secret manual
legacy_secret made
legacy_secret other "$(legacy manual)"
legacy_secret stale
kubectl label secret stale kubernetes.io/legacy-token-invalid-since=2024-01-01 >/dev/null
kubectl patch serviceaccount robot -p '{"secrets":[{"name":"made"},{"name":"stale"}]}' >/dev/null
is "a legacy token" $robot "$(bearer "$(legacy manual)")"
is "no warning of a manual one" "" "$(grep -i '^warning:' "$WORK/who.headers")"
is "a legacy token that was made by itself" $robot "$(bearer "$(legacy made)")"
has "its warning" '299 - "Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated secret-based tokens."' \
    "$(grep -i '^warning:' "$WORK/who.headers")"
is "without its secret" 401 "$(bearer "$(legacy none)")"
is "with another token in its secret" 401 "$(bearer "$(legacy other)")"
is "an invalidated one" 401 "$(bearer "$(legacy stale)")"
is "a legacy token for another audience" null "$(kubectl create -o json -f - <<REVIEW | jq -r .status.authenticated
{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"$(legacy manual)","audiences":["vault"]}}
REVIEW
)"
labelled() { # <secret>
    [ "$(kubectl get secret "$1" -o 'jsonpath={.metadata.labels.kubernetes\.io/legacy-token-last-used}')" = "$(date -u +%F)" ]
}
eventually 60 labelled manual || fail "the last use of a legacy token"
eventually 60 labelled stale || fail "the last use of an invalidated legacy token"
annotated() { # <key> <value>
    grep -qF "\"authentication.k8s.io/$1\":\"$2\"" "$WORK/audit.log"
}
eventually 60 annotated legacy-token $robot || fail "audit of a legacy token"
eventually 60 annotated legacy-token-manual-secret manual || fail "audit of a manual legacy token"
eventually 60 annotated legacy-token-autogenerated-secret made || fail "audit of an auto-generated legacy token"
eventually 60 annotated legacy-token-invalidated stale/default || fail "audit of an invalidated legacy token"
is "since when uses are recorded" "$(date -u +%F)" \
    "$(kubectl get configmap -n kube-system kube-apiserver-legacy-service-account-token-tracking -o 'jsonpath={.data.since}')"

# --- what is gone is forgotten

kubectl delete secret -n kube-system bootstrap-token-aaaaaa >/dev/null
kubectl delete serviceaccount robot >/dev/null
kubectl create serviceaccount robot >/dev/null
eventually 60 is_who 401 aaaaaa.0123456789abcdef || fail "a bootstrap token outlives its secret"
eventually 60 is_who 401 "$token" || fail "a token outlives its service account"

# --- a thousand wrong tokens leave nothing behind

rss() {
    awk '/VmRSS/ { print $2 }' "/proc/$APISERVER_PID/status"
}
is "a thousand wrong tokens" '1000 401' "$(python3 "$AUTHN_PY" flood "$URL" "$WORK/ca.crt" 1000 a)"
before=$(rss)
is "a thousand others" '1000 401' "$(python3 "$AUTHN_PY" flood "$URL" "$WORK/ca.crt" 1000 b)"
[ $(($(rss) - before)) -lt 8192 ] || fail "a thousand wrong tokens cost $(($(rss) - before)) KiB"

# --- metrics

for m in 'authentication_attempts{result="success"}' 'authentication_attempts{result="error"}' \
    'authenticated_user_requests{username="admin"}' 'authenticated_user_requests{username="other"}' \
    'authentication_token_cache_request_total{status="hit"}' 'authentication_token_cache_fetch_total{status="error"}' \
    serviceaccount_legacy_tokens_total serviceaccount_legacy_manual_token_uses_total \
    serviceaccount_invalid_legacy_auto_token_uses_total; do
    [ "$(metric "$m")" -gt 0 ] 2>/dev/null || fail "metric $m"
done

stop_apiserver

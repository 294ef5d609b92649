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
is "its token's time is cut" 86400 "$(kubectl create token robot --duration=1000h -o json 2>"$WORK/warning" |
    jq -r '(.status.expirationTimestamp | fromdate) as $e | (now | floor) as $n | if ($e - $n) <= 86400 and ($e - $n) > 86000 then 86400 else $e - $n end')"
has "its token's time is cut: the warning" 'Warning: requested expiration of 3600000 seconds shortened to 86400 seconds' \
    "$(cat "$WORK/warning")"
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
is "valid in times that no clock knows" 401 "$(bearer "$(sign "$WORK/sa.key" RS256 "$(claims '.nbf = 1e300')")")"
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

# --- OpenID Connect, by the configuration file; anonymous conditions

ISSUER_DIR=$WORK/issuer
mkdir "$ISSUER_DIR"
python3 "$AUTHN_PY" serve "$ISSUER_DIR" "$WORK/apiserver.crt" "$WORK/apiserver.key" 2>"$WORK/issuer.log" &
PIDS+=($!)
eventually 60 test -s "$ISSUER_DIR/port" || fail "the issuer does not start"
ISSUER=https://127.0.0.1:$(cat "$ISSUER_DIR/port")
openssl genrsa -out "$WORK/idp1.key" 2048 2>/dev/null
openssl genrsa -out "$WORK/idp2.key" 2048 2>/dev/null
openssl ecparam -name secp384r1 -genkey -noout -out "$WORK/idp3.key" 2>/dev/null
python3 "$AUTHN_PY" jwks "$WORK/idp1.key=one" "$WORK/idp3.key=three" >"$ISSUER_DIR/keys"
issuer_says() { # <issuer> <file>
    jq -nc --arg i "$1" --arg k "$ISSUER/keys" '{issuer: $i, jwks_uri: $k}' >"$ISSUER_DIR/$2"
}
issuer_says "$ISSUER" openid-configuration
authn_config() { # <audience> <username prefix>
    cat >"$WORK/authn.yaml.new" <<CONFIG
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous: {enabled: true, conditions: [{path: /livez}, {path: /readyz}]}
jwt:
- issuer:
    url: $ISSUER
    audiences: [$1, other]
    audienceMatchPolicy: MatchAny
    certificateAuthority: |
$(sed 's/^/      /' "$WORK/ca.crt")
  claimValidationRules: [{claim: hd, requiredValue: example.org}]
  claimMappings:
    username: {claim: email, prefix: "$2"}
    groups: {claim: groups, prefix: "oidc:"}
    uid: {claim: sub}
CONFIG
    mv "$WORK/authn.yaml.new" "$WORK/authn.yaml"
}
authn_config kubernetes ""
refused() { # <what> <message> <flags...>: of a start
    local what=$1 message=$2 out
    shift 2
    out=$(timeout -s KILL 120 "$KUBEC_BIN/kube-apiserver" --etcd-servers="http://127.0.0.1:$ETCD_PORT" --bind-address=127.0.0.1 --secure-port=0 \
        --service-account-issuer=https://kubernetes.default.svc --service-account-signing-key-file="$WORK/sa.key" \
        --cert-dir="$WORK/certs" "$@" 2>&1) && fail "$what: it starts"
    has "$what" "$message" "$out"
}
refused "flags and a file" "authentication-config file and oidc-* flags are mutually exclusive" \
    --authentication-config="$WORK/authn.yaml" --oidc-issuer-url="$ISSUER" --oidc-client-id=x
refused "--anonymous-auth and a file that speaks of it" "--anonymous-auth flag cannot be set when anonymous field is configured" \
    --authentication-config="$WORK/authn.yaml" --anonymous-auth=true --authorization-mode=RBAC
sed 's/{claim: sub}/{expression: "claims.sub"}/; s/, prefix: ""//; s/audienceMatchPolicy: MatchAny//' "$WORK/authn.yaml" >"$WORK/bad.yaml"
for why in 'jwt[0].claimMappings.uid.expression: Forbidden: expressions are not supported yet' \
    'jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing' \
    'jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences'; do
    refused "a bad file" "$why" --authentication-config="$WORK/bad.yaml"
done
sed 's/audienceMatchPolicy: MatchAny/colour: blue/' "$WORK/authn.yaml" >"$WORK/unknown.yaml"
refused "an unknown field" 'jwt[0].issuer.colour: Forbidden: unknown field' --authentication-config="$WORK/unknown.yaml"
refused "a front proxy's header without a name" 'empty value in "requestheader-username-headers"' \
    --requestheader-client-ca-file="$WORK/proxy-ca.crt" --requestheader-username-headers=' '
refused "tokens for a minute" "service-account-max-token-expiration must be between 1 hour and 2^32 seconds" \
    --service-account-max-token-expiration=1m
refused "an issuer without TLS" "URL must use https scheme" --oidc-issuer-url=http://x --oidc-client-id=y
refused "an issuer without audience" "oidc-issuer-url and oidc-client-id must be specified together" --oidc-issuer-url=https://x

# A webhook beside it.
cat >"$WORK/webhook.yaml" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: hook, cluster: {server: "$ISSUER/authenticate", certificate-authority: "$WORK/ca.crt"}}]
users: [{name: api, user: {}}]
contexts: [{name: hook, context: {cluster: hook, user: api}}]
current-context: hook
CONFIG
apiserver --authentication-config="$WORK/authn.yaml" --authentication-token-webhook-config-file="$WORK/webhook.yaml" \
    --authentication-token-webhook-version=v1

code_of() { # <path> [curl arguments]
    local path=$1
    shift
    curl -s --max-time 60 --cacert "$WORK/ca.crt" -o /dev/null -w '%{http_code}' "$@" "$URL$path"
}
is "nobody at /livez" 200 "$(code_of /livez)"
is "nobody at /healthz" 401 "$(code_of /healthz)"
is "nobody at /livez/etcd" 401 "$(code_of /livez/etcd)"
is "nobody at /version" 401 "$(code_of /version)"

id_token() { # <key> <alg> <kid> <filter on the usual claims>
    now=$(date +%s)
    sign "$1" "$2" "$(jq -nc --arg iss "$ISSUER" --argjson now "$now" '{iss: $iss, aud: "kubernetes", sub: "s-1", exp: ($now + 3600),
        email: "ann@example.org", email_verified: true, hd: "example.org", groups: ["a", "b"], jti: "j"} | '"$4")" "{\"kid\":\"$3\"}"
}
eventually 60 is_who ann@example.org "$(id_token "$WORK/idp1.key" RS256 one .)" || fail "an ID token"
is "an ID token's user" '{"uid":"s-1","groups":["oidc:a","oidc:b","system:authenticated"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=j"]}}' \
    "$(user_field '| {uid, groups, extra}')"
is "PS256" ann@example.org "$(bearer "$(id_token "$WORK/idp1.key" PS256 one .)")"
is "RS512" ann@example.org "$(bearer "$(id_token "$WORK/idp1.key" RS512 one .)")"
is "ES384" ann@example.org "$(bearer "$(id_token "$WORK/idp3.key" ES384 three .)")"
is "several audiences" ann@example.org "$(bearer "$(id_token "$WORK/idp1.key" RS256 one '.aud = ["x", "other"]')")"
while read -r what filter; do
    is "an ID token, $what" 401 "$(bearer "$(id_token "$WORK/idp1.key" RS256 one "$filter")")"
done <<'CASES'
other-audience .aud = "vault"
expired .exp = $now - 1
without-end del(.exp)
not-yet .nbf = $now + 3600
other-issuer .iss = $iss + "/"
unverified-address .email_verified = false
without-name del(.email)
missing-claim del(.hd)
wrong-claim .hd = "evil.org"
groups-are-numbers .groups = [1]
CASES
is "the key of another issuer" 401 "$(bearer "$(id_token "$WORK/sa.key" RS256 one .)")"
is "an ID token without signature" 401 "$(bearer "$(id_token - none one .)")"
openssl pkey -in "$WORK/idp1.key" -pubout -out "$WORK/idp1.pub" 2>/dev/null
is "HMAC with the issuer's public key" 401 "$(bearer "$(id_token "$WORK/idp1.pub" HS256 one .)")"

# A new key of the issuer is fetched when a token names it; unknown names do not make a flood of requests.
python3 "$AUTHN_PY" jwks "$WORK/idp2.key=two" >"$ISSUER_DIR/keys.new" && mv "$ISSUER_DIR/keys.new" "$ISSUER_DIR/keys"
rotated() {
    is_who ann@example.org "$(id_token "$WORK/idp2.key" RS256 two ".nonce = \"$RANDOM$RANDOM\"")"
}
eventually 60 rotated || fail "the issuer's new key"
fetched=$(grep -c 'GET /keys' "$ISSUER_DIR/log")
for i in 1 2 3 4 5; do
    is "an unknown key" 401 "$(bearer "$(id_token "$WORK/idp1.key" RS256 "unknown-$i" .)")"
done
[ $(($(grep -c 'GET /keys' "$ISSUER_DIR/log") - fetched)) -le 2 ] || fail "unknown keys make a flood of requests"

# The file is followed; a bad one changes nothing.
reloads() {
    metric "apiserver_authentication_config_controller_automatic_reloads_total{status=\"$1\"}"
}
cp "$WORK/bad.yaml" "$WORK/authn.yaml"
failed() {
    [ "$(reloads failure)" -ge 1 ]
}
eventually 60 failed || fail "a bad file is not noticed"
is "after a bad file" ann@example.org "$(bearer "$(id_token "$WORK/idp2.key" RS256 two '.x = 1')")"
authn_config kubernetes2 id:
reloaded() {
    [ "$(reloads success)" -ge 1 ] && is_who id:ann@example.org "$(id_token "$WORK/idp2.key" RS256 two ".aud = \"kubernetes2\" | .x = $RANDOM")"
}
eventually 60 reloaded || fail "a new file is not used"
is "the former audience" 401 "$(bearer "$(id_token "$WORK/idp2.key" RS256 two '.y = 1')")"

# --- the webhook

is "by the webhook" tim "$(bearer hook-tim)"
is "by the webhook: the user" '{"uid":"7","groups":["g","system:authenticated"],"extra":{"k":["v"]}}' "$(user_field '| {uid, groups, extra}')"
asked=$(grep -c POST "$ISSUER_DIR/log")
is "again" tim "$(bearer hook-tim)"
is "its answer is remembered" "$asked" "$(grep -c POST "$ISSUER_DIR/log")"
is "one that it refuses" 401 "$(bearer hook-refused)"
is "one for another audience" 401 "$(bearer hook-vault)"
is "one that nobody knows" 401 "$(bearer whatever)"
is "after a failure" broken "$(bearer hook-broken)"
review=$(kubectl create -o json -f - <<'REVIEW' | jq -c '[.status.authenticated, .status.audiences, .status.error]'
{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"hook-vault","audiences":["vault"]}}
REVIEW
)
is "a TokenReview" '[true,["vault"],null]' "$review"
is "static tokens are not shown to it" 0 "$(grep -c admin-token "$ISSUER_DIR/log")"
stop_apiserver

# --- --oidc-*; an issuer that sends us elsewhere

apiserver --oidc-issuer-url="$ISSUER" --oidc-client-id=kubernetes --oidc-ca-file="$WORK/ca.crt" --oidc-groups-claim=groups \
    --oidc-required-claim=hd=example.org
eventually 60 is_who "$ISSUER#s-1" "$(id_token "$WORK/idp2.key" RS256 two .)" || fail "an ID token, by flags"
is "its groups" '["a","b","system:authenticated"]' "$(user_field .groups)"
is "RS512 is not among the algorithms" 401 "$(bearer "$(id_token "$WORK/idp2.key" RS512 two .)")"
stop_apiserver
ISSUER=$ISSUER/redirect
apiserver --oidc-issuer-url="$ISSUER" --oidc-client-id=kubernetes --oidc-ca-file="$WORK/ca.crt"
redirected() {
    grep -q 'GET /redirect/.well-known/openid-configuration 302' "$ISSUER_DIR/log"
}
eventually 60 redirected || fail "the issuer is not asked"
is "an issuer that redirects" 401 "$(bearer "$(id_token "$WORK/idp2.key" RS256 two .)")"
is "other tokens do not wait for it" admin "$(bearer admin-token)"
stop_apiserver

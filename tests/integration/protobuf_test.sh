#!/bin/bash
# Bodies in Kubernetes' protobuf encoding: those of kubectl 1.33, damaged ones, and kubectl itself.
. "$(dirname "$0")/lib.sh"
start_control_plane

NAMESPACES=/api/v1/namespaces
CONFIGMAPS=/api/v1/namespaces/default/configmaps

# send <method> <path> <hex>
send() {
    printf '%b' "$(printf '%s' "$3" | tr -d ' \n' | sed 's/../\\x&/g')" >"$WORK/request"
    api "$1" "$2" -H 'Content-Type: application/vnd.kubernetes.protobuf' \
        -H 'Accept: application/json' --data-binary "@$WORK/request" >/dev/null
}

# --- what kubectl sends
send POST $NAMESPACES '6b387300 0a0f0a027631 12094e616d657370616365 121b 0a130a0377656212001a0022002a003200380042001200
    1a020a00 1a002200'
is "create namespace: code" 201 "$(code)"
is "create namespace" "Namespace web Active kubernetes" \
    "$(field '[.kind, .metadata.name, .status.phase, .spec.finalizers[0]] | join(" ")')"
send POST /apis/apps/v1/namespaces/default/deployments "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412a3010a1b
    0a016412001a0022002a003200380042005a080a0361707012016412760801120a0a080a036170701201641a5e0a1a0a0012001a0022002a0032
    00380042005a080a03617070120164124012220a056e67696e7812056e67696e782a0042006a007200800100880100900100a201001a00320042
    004a0052005800600068008201008a01009a0100c2010022020a00280038001a0c0800100018002000280038001a002200"
is "create deployment: code" 201 "$(code)"
is "create deployment" "1 RollingUpdate nginx Always d" "$(field \
    '[.spec.replicas, .spec.strategy.type, .spec.template.spec.containers[0].image, .spec.template.spec.containers[0].imagePullPolicy, .spec.selector.matchLabels.app] | join(" ")')"
send POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e69
    6f2f7631121753656c665375626a656374416363657373526576696577123c0a100a0012001a0022002a00320038004200121e0a1c0a07646566
    61756c7412036765741a0022002a04706f647332003a001a08080012001a0020001a002200"
is "auth can-i" true "$(field .status.allowed)"

# --- without kind and version they are the endpoint's
send POST $CONFIGMAPS '6b387300 1210 0a030a0163 1209 0a016b 120461616161'
is "no kind: code" 201 "$(code)"
is "no kind" "ConfigMap v1 aaaa" "$(field '[.kind, .apiVersion, .data.k] | join(" ")')"

# --- DeleteOptions { preconditions { uid: "x" } }, then { dryRun: "All" }, then none at all
send DELETE $CONFIGMAPS/c '6b387300 0a130a027631120d44656c6574654f7074696f6e73 1205 12030a0178'
answers "delete with another uid" 409 Conflict
send DELETE $CONFIGMAPS/c '6b387300 0a130a027631120d44656c6574654f7074696f6e73 1205 2a03416c6c'
is "delete, dry run: code" 200 "$(code)"
api GET $CONFIGMAPS/c >/dev/null
is "delete, dry run: still there" 200 "$(code)"
send DELETE $CONFIGMAPS/c '6b387300 0a130a027631120d44656c6574654f7074696f6e73 1200'
is "delete: code" 200 "$(code)"
api GET $CONFIGMAPS/c >/dev/null
is "delete: gone" 404 "$(code)"

# --- what is wrong with them
send POST $CONFIGMAPS '78797a'
answers "no magic" 400 BadRequest
is "no magic: message" "the object provided is unrecognized (must be of type ConfigMap): provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] (78797a)" "$(field .message)"
send POST $CONFIGMAPS '6b387300 0a0f0a027631 12094e616d657370616365 1200'
answers "another kind" 400 BadRequest
is "another kind: message" 'Namespace in version "v1" cannot be handled as a ConfigMap: converting (v1.Namespace) to (core.ConfigMap): unknown conversion' "$(field .message)"
send POST $CONFIGMAPS '6b387300 120b 0a030a0163 1204 0a016b 1200'
answers "a message longer than the body" 400 BadRequest
send POST $CONFIGMAPS '6b387300 0a0f0a027631 1209436f6e6669674d6170 1202 0a05'
answers "a short message" 400 BadRequest
is "a short message: message" 'ConfigMap in version "v1" cannot be handled as a ConfigMap: unexpected EOF' "$(field .message)"
api POST $CONFIGMAPS -H 'Content-Type: application/xml' --data-binary '<a/>' >/dev/null
is "XML: message" "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf" "$(field .message)"

# --- kubectl, as far as it is one that sends it
"$KUBECTL" create configmap made --from-literal=a=b >/dev/null || fail "kubectl create configmap"
is "kubectl create configmap" b "$("$KUBECTL" get configmap made -o 'jsonpath={.data.a}')"
"$KUBECTL" create secret generic made --from-literal=a=b >/dev/null || fail "kubectl create secret"
is "kubectl create secret" Yg== "$("$KUBECTL" get secret made -o 'jsonpath={.data.a}')"
"$KUBECTL" create role made --verb=get --resource=pods >/dev/null || fail "kubectl create role"
is "kubectl auth can-i" yes "$("$KUBECTL" auth can-i get pods)"
is "kubectl delete" 'secret "made" deleted' "$("$KUBECTL" delete secret made)"

# --- what its typed client makes of our protobuf is what its dynamic one gets as JSON
plain() {
    jq -S 'del(.metadata.resourceVersion,.metadata.managedFields,.status)
        | walk(if type == "object" then with_entries(select(.value != null)) else . end)'
}
roundtrip() { # <kind> <name> <create arguments...>
    local kind=$1 name=$2
    shift 2
    "$KUBECTL" create -o json -v=8 "$@" 2>"$WORK/talk" | plain >"$WORK/typed"
    "$KUBECTL" get "$kind" "$name" -o json | plain >"$WORK/dynamic"
    is "kubectl create $kind" "$(cat "$WORK/dynamic")" "$(cat "$WORK/typed")"
    [ -s "$WORK/typed" ] || fail "kubectl create $kind: nothing"
}
roundtrip deployment d2 deployment d2 --image=nginx --replicas=3 --port=80
if grep -qi 'accept: application/vnd.kubernetes.protobuf' "$WORK/talk"; then
    has "kubectl is answered in protobuf" 'Content-Type: application/vnd.kubernetes.protobuf' "$(cat "$WORK/talk")"
fi
roundtrip secret x secret generic x --from-literal=a=b
roundtrip serviceaccount sa serviceaccount sa
roundtrip namespace n namespace n
roundtrip role r role r --verb=get,list --resource=pods,deployments.apps
roundtrip rolebinding rb rolebinding rb --role=r --user=u --serviceaccount=default:sa
roundtrip clusterrole cr clusterrole cr --verb=get --non-resource-url=/healthz
roundtrip quota q quota q --hard=cpu=1500m,memory=2Gi
roundtrip ingress i ingress i --rule='a.example/x*=s:80,tls=t'
roundtrip priorityclass pc priorityclass pc --value=5 --description=d
if needs_kubectl 29 "all fields of Services, budgets, Jobs and CronJobs"; then
    roundtrip service s service nodeport s --tcp=80:8080
    roundtrip pdb p poddisruptionbudget p --selector=a=b --min-available=50%
    roundtrip job j job j --image=busybox -- sleep 1
    roundtrip cronjob cj cronjob cj --image=busybox --schedule='*/5 * * * *' -- date
fi
stop_apiserver

#!/bin/bash
# What answers are encoded in: protobuf, YAML, gzip, the forms of meta.k8s.io, negotiation and its errors.
. "$(dirname "$0")/lib.sh"
start_control_plane

CONFIGMAPS=/api/v1/namespaces/default/configmaps
PROTO=application/vnd.kubernetes.protobuf
JSON='Content-Type: application/json'
TYPES="application/json, application/yaml, $PROTO"

# pb <path>: values of the last body.
pb() {
    python3 "$TESTS_DIR/integration/pb.py" get "$1" <"$WORK/body" | paste -sd' '
}

content_type() {
    tr -d '\r' <"$WORK/headers" | sed -n 's/^[Cc]ontent-[Tt]ype: //p'
}

get() { # <path> <accept> [curl arguments]
    local path=$1 accept=$2
    shift 2
    api GET "$path" -H "Accept: $accept" "$@" >/dev/null
}

config_map() { # <name>
    echo '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"'"$1"'","labels":{"a":"b"}},"data":{"k":"v"}}'
}

# --- protobuf: every verb
for name in c1 c2; do
    api POST $CONFIGMAPS -H "$JSON" -H "Accept: $PROTO" --data-binary "$(config_map $name)" >/dev/null
    is "create: code" 201 "$(code)"
    is "create: type" $PROTO "$(content_type)"
    is "create" "v1 ConfigMap $name k v" "$(pb 1.1) $(pb 1.2) $(pb 2.1.1) $(pb 2.2.1) $(pb 2.2.2)"
done
get $CONFIGMAPS/c1 $PROTO
is "get: type" $PROTO "$(content_type)"
is "get" "ConfigMap c1 default" "$(pb 1.2) $(pb 2.1.1) $(pb 2.1.3)"
cp "$WORK/body" "$WORK/c1.pb"
api PUT $CONFIGMAPS/c1 -H "Content-Type: $PROTO" -H "Accept: $PROTO" --data-binary "@$WORK/c1.pb" >/dev/null
is "update with what was got: code" 200 "$(code)"
is "update with what was got changes nothing" "$(cksum <"$WORK/c1.pb")" "$(cksum <"$WORK/body")"
api PATCH $CONFIGMAPS/c1 -H 'Content-Type: application/merge-patch+json' -H "Accept: $PROTO" \
    --data-binary '{"data":{"k":"w"}}' >/dev/null
is "patch" "c1 w" "$(pb 2.1.1) $(pb 2.2.2)"
get $CONFIGMAPS $PROTO
is "list" "v1 ConfigMapList c1 c2 kube-root-ca.crt" "$(pb 1.1) $(pb 1.2) $(pb 2.2.1.1 | sed 's/c2$/c2 kube-root-ca.crt/;s/\(kube-root-ca.crt\) .*/\1/')"
get "$CONFIGMAPS?limit=1" $PROTO
is "page: one item, with a token" "c1 1" "$(pb 2.2.1.1) $(pb 2.1.3 | grep -c .)"
get "/apis/apps/v1/deployments" $PROTO
is "an empty list" "apps/v1 DeploymentList" "$(pb 1.1) $(pb 1.2)"
get "$CONFIGMAPS/none" $PROTO
is "a Status: code" 404 "$(code)"
is "a Status: type" $PROTO "$(content_type)"
is "a Status" 'v1 Status Failure configmaps "none" not found NotFound 404' \
    "$(pb 1.1) $(pb 1.2) $(pb 2.2) $(pb 2.3) $(pb 2.4) $(pb 2.6)"
api DELETE $CONFIGMAPS/c2 -H "Accept: $PROTO" >/dev/null
is "delete" "Status Success c2" "$(pb 1.2) $(pb 2.2) $(pb 2.5.1)"
get /api/v1/namespaces/default $PROTO
is "status of a namespace" "Active" "$(pb 2.3.1)"

# --- lists that are streamed: more than 128 KiB
head -c 60000 /dev/zero | tr '\0' x >"$WORK/large"
for i in 1 2 3 4; do
    kubectl create configmap "large$i" --from-file="x=$WORK/large" >/dev/null || fail "create large$i"
done
exactly="$CONFIGMAPS?resourceVersionMatch=Exact&resourceVersion=$(api GET $CONFIGMAPS | jq -r .metadata.resourceVersion)"
get "$exactly" $PROTO
is "large list" "large1 large2 large3 large4" "$(pb 2.2.1.1 | grep -o 'large.' | paste -sd' ')"
is "large list: nothing behind the envelope" " " "$(pb 3) $(pb 4)"
cp "$WORK/body" "$WORK/plain"
get "$exactly" $PROTO -H 'Accept-Encoding: gzip'
is "large list, gzip: encoding" gzip "$(tr -d '\r' <"$WORK/headers" | sed -n 's/^[Cc]ontent-[Ee]ncoding: //p')"
is "large list, gzip: the same" "$(cksum <"$WORK/plain")" "$(gzip -dc <"$WORK/body" | cksum)"
get "$CONFIGMAPS?includeObject=Object" 'application/json;as=Table;v=v1;g=meta.k8s.io'
is "large Table" "large1 large2 large3 large4" "$(field '[.rows[].cells[0]]|join(" ")' | grep -o 'large.' | paste -sd' ')"
is "large Table: objects" 60000 "$(field '[.rows[].object.data.x//""|length]|max')"
kubectl delete configmap large1 large2 large3 large4 >/dev/null

# --- the metadata alone
get $CONFIGMAPS "$PROTO;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
is "partial list" "meta.k8s.io/v1 PartialObjectMetadataList" "$(pb 1.1) $(pb 1.2)"
has "partial list: names" c1 "$(pb 2.2.1.1)"
get $CONFIGMAPS/c1 "$PROTO;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
is "partial" "meta.k8s.io/v1 PartialObjectMetadata c1" "$(pb 1.1) $(pb 1.2) $(pb 2.1.1)"
get $CONFIGMAPS 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1beta1'
is "partial list, v1beta1" "meta.k8s.io/v1beta1" "$(field .apiVersion)"
get $CONFIGMAPS 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'
answers "partial of a list" 406 NotAcceptable
is "partial of a list: message" "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)" "$(field .message)"
get $CONFIGMAPS/c1 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'
answers "partial list of an object" 406 NotAcceptable
is "partial list of an object: message" "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)" "$(field .message)"
get "$CONFIGMAPS?includeObject=All" 'application/json;as=Table;g=meta.k8s.io;v=v1'
is "includeObject: message" "Unable to convert to Table as requested: includeObject: Invalid value: \"All\": must be 'Metadata', 'Object', 'None', or empty" "$(field .message)"

# --- negotiation
get $CONFIGMAPS/c1 "application/yaml"
is "YAML" "application/yaml kind: ConfigMap" "$(content_type) $(grep '^kind' "$WORK/body")"
get $CONFIGMAPS/c1 "application/json;q=0.4, $PROTO;q=0.5, application/yaml;q=0.9"
is "by quality" application/yaml "$(content_type)"
get $CONFIGMAPS/c1 "*/*, $PROTO"
is "what is named before what is not" $PROTO "$(content_type)"
get $CONFIGMAPS/c1 'application/*'
is "a wildcard is JSON" application/json "$(content_type)"
get $CONFIGMAPS "$PROTO;as=Table;g=meta.k8s.io;v=v1,application/json"
is "Tables have no protobuf" "application/json ConfigMapList" "$(content_type) $(field .kind)"
get $CONFIGMAPS/c1 image/png
answers "not acceptable" 406 NotAcceptable
is "not acceptable: message" "only the following media types are accepted: $TYPES" "$(field .message)"
get $CONFIGMAPS/none 'application/json;as=Table;g=meta.k8s.io;v=v1'
is "an error for who wants a Table only" "404 Status" "$(code) $(field .kind)"
get "$CONFIGMAPS?watch=1" application/yaml
is "a watch in YAML: code" 406 "$(code)"
has "a watch in YAML: message" "only the following media types are accepted: application/json;stream=watch, $PROTO;stream=watch" "$(tr -s '\n ' ' ' <"$WORK/body")"
api POST $CONFIGMAPS -H 'Content-Type: text/csv' --data-binary 'a,b' >/dev/null
answers "unknown body" 415 UnsupportedMediaType
is "unknown body: message" "the body of the request was in an unknown format - accepted media types include: $TYPES" "$(field .message)"
api POST $CONFIGMAPS -H 'Content-Type: application/yaml' -H 'Accept: application/yaml' --data-binary \
    $'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y1\ndata:\n  k: "1"\n' >/dev/null
is "YAML in, YAML out" "201   name: y1" "$(code) $(grep 'name: y1' "$WORK/body")"

# --- watches in protobuf
watch() { # <seconds> <query> <accept>
    curl -sN --max-time "$1" --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' -H "Accept: $3" \
        -D "$WORK/headers" "https://127.0.0.1:$API_PORT$CONFIGMAPS?watch=1&timeoutSeconds=1&$2"
}
frames() {
    python3 "$TESTS_DIR/integration/pb.py" watch "$1"
}
since=$(api GET $CONFIGMAPS | jq -r .metadata.resourceVersion)
kubectl create configmap w1 --from-literal=k=v >/dev/null
kubectl delete configmap w1 >/dev/null
is "watch" "ADDED w1 DELETED w1" \
    "$(watch 10 "resourceVersion=$since" "$PROTO;stream=watch" | frames 2.1.1 | paste -sd' ')"
is "watch: type" "$PROTO;stream=watch" "$(content_type)"
is "watch: kind" "ADDED ConfigMap DELETED ConfigMap" \
    "$(watch 10 "resourceVersion=$since" $PROTO | frames 1.2 | paste -sd' ')"
is "watch, metadata only" "ADDED PartialObjectMetadata DELETED PartialObjectMetadata" "$(watch 10 "resourceVersion=$since" \
    "$PROTO;as=PartialObjectMetadata;g=meta.k8s.io;v=v1" | frames 1.2 | paste -sd' ')"
is "watch: bookmark" "BOOKMARK ConfigMap" \
    "$(watch 10 "resourceVersion=$since&allowWatchBookmarks=true" $PROTO | frames 1.2 | tail -1)"
is "watch: initial events end" "BOOKMARK k8s.io/initial-events-end" "$(watch 10 \
    "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dc1" \
    $PROTO | frames 2.1.12.1 | grep BOOKMARK | head -1)"

# --- watches over WebSocket
ws() {
    python3 "$TESTS_DIR/integration/ws.py" "$API_PORT" "$WORK/ca.crt" admin-token "$@"
}
socket="$CONFIGMAPS?watch=1&timeoutSeconds=1&resourceVersion=$since"
is "WebSocket" "HTTP/1.1 101 Switching Protocols
ADDED w1
DELETED w1
close: 1000" "$(ws "$socket" 'Origin: http://localhost' | sed -E 's/^text: (.*)/\1/' | while read -r line; do
    case $line in '{'*) jq -r '.type+" "+.object.metadata.name' <<<"$line" ;; *) echo "$line" ;; esac
done)"
is "WebSocket: the protocol asked for" "protocol: base64.binary.k8s.io" \
    "$(ws "$socket" 'Origin: http://localhost' --protocol=base64.binary.k8s.io | grep protocol)"
has "WebSocket: protobuf" "binary: 0a054144444544" "$(ws "$socket" 'Origin: http://localhost' "Accept: $PROTO")"
is "WebSocket: no origin" "HTTP/1.1 403 Forbidden" "$(ws "$socket")"
is "WebSocket: two protocols" "HTTP/1.1 400 Bad Request" \
    "$(ws "$socket" 'Origin: http://localhost' --protocol=a --protocol=b)"
is "WebSocket: an error before the upgrade" "HTTP/1.1 422 Unprocessable Entity" \
    "$(ws "$socket&sendInitialEvents=true" 'Origin: http://localhost')"

# --- DELETECOLLECTION in other forms
api DELETE "$CONFIGMAPS?labelSelector=a%3Db&dryRun=All" -H "Accept: application/json;as=Table;g=meta.k8s.io;v=v1" >/dev/null
is "deletecollection as Table" "Table c1" "$(field '.kind+" "+.rows[0].cells[0]')"
api DELETE "$CONFIGMAPS?labelSelector=a%3Db&dryRun=All" -H "Accept: $PROTO;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" >/dev/null
is "deletecollection as PartialObjectMetadataList" "PartialObjectMetadataList c1" "$(pb 1.2) $(pb 2.2.1.1)"
api DELETE "$CONFIGMAPS?labelSelector=a%3Db" -H "Accept: $PROTO" >/dev/null
is "deletecollection" "ConfigMapList c1" "$(pb 1.2) $(pb 2.2.1.1)"
stop_apiserver

#!/bin/bash
# LIST and WATCH: resourceVersion semantics, pages, selectors, other forms, bookmarks, compression.
. "$(dirname "$0")/lib.sh"
start_control_plane

CONFIGMAPS=/api/v1/namespaces/default/configmaps
JSON='Content-Type: application/json'

create() { # <name> <label value> [data]
    api POST $CONFIGMAPS -H "$JSON" --data-binary \
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"'"$1"'","labels":{"tier":"'"$2"'"}},"data":{"x":"'"${3-}"'"}}' >/dev/null
    is "create $1: code" 201 "$(code)"
}

# watch <seconds> <query> [curl arguments]: lines of the watch.
watch() {
    local seconds=$1 query=$2
    shift 2
    curl -sN --max-time "$seconds" --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' "$@" \
        "https://127.0.0.1:$API_PORT$CONFIGMAPS?watch=1&$query"
}

names() {
    field '[.items[].metadata.name]|join(" ")'
}

before=$(api GET $CONFIGMAPS | jq -r .metadata.resourceVersion)
for i in 1 2 3 4 5; do
    create "c$i" $([ $((i % 2)) = 0 ] && echo even || echo odd)
done

# --- lists
api GET $CONFIGMAPS >/dev/null
is "list: kind" ConfigMapList "$(field .kind)"
is "list: names" "c1 c2 c3 c4 c5" "$(names)"
is "list: items have no kind" null "$(field '.items[0].kind')"
now=$(field .metadata.resourceVersion)
api GET "$CONFIGMAPS?labelSelector=tier%3Deven" >/dev/null
is "by label" "c2 c4" "$(names)"
api GET "$CONFIGMAPS?labelSelector=tier%20notin%20(even)" >/dev/null
is "by label, notin" "c1 c3 c5" "$(names)"
api GET "$CONFIGMAPS?fieldSelector=metadata.name%3Dc3" >/dev/null
is "by name" "c3" "$(names)"
api GET "$CONFIGMAPS?fieldSelector=metadata.name%21%3Dc3" >/dev/null
is "by name, negated" "c1 c2 c4 c5" "$(names)"
api GET "/api/v1/configmaps?fieldSelector=metadata.namespace%3Ddefault" >/dev/null
is "over all namespaces" "c1 c2 c3 c4 c5" "$(names)"
api GET "$CONFIGMAPS?resourceVersion=0" >/dev/null
is "resourceVersion=0" "c1 c2 c3 c4 c5" "$(names)"

# --- pages: all of one revision, whatever happens between them
api GET "$CONFIGMAPS?limit=2" >/dev/null
is "first page" "c1 c2" "$(names)"
is "first page: remaining" 3 "$(field .metadata.remainingItemCount)"
revision=$(field .metadata.resourceVersion)
token=$(field .metadata.continue)
create c0 odd
kubectl delete configmap c3 >/dev/null
api GET "$CONFIGMAPS?limit=2&continue=$token" >/dev/null
is "second page" "c3 c4" "$(names)"
is "second page: revision" "$revision" "$(field .metadata.resourceVersion)"
token=$(field .metadata.continue)
api GET "$CONFIGMAPS?limit=2&continue=$token" >/dev/null
is "last page" "c5" "$(names)"
is "last page: continue" null "$(field .metadata.continue)"
api GET "$CONFIGMAPS?resourceVersion=$now&resourceVersionMatch=Exact" >/dev/null
is "exactly as it was" "c1 c2 c3 c4 c5" "$(names)"
is "exactly as it was: revision" "$now" "$(field .metadata.resourceVersion)"
api GET "$CONFIGMAPS?resourceVersion=$now&resourceVersionMatch=NotOlderThan" >/dev/null
is "not older" "c0 c1 c2 c4 c5" "$(names)"
api GET "$CONFIGMAPS?limit=2&continue=$token&resourceVersion=$now" >/dev/null
answers "continue with a version" 400 BadRequest
is "kubectl in pages" 5 "$(kubectl get configmaps --chunk-size=2 -o name | grep -c configmap/)"

# --- other forms
api GET "$CONFIGMAPS" -H 'Accept: application/json;as=Table;v=v1;g=meta.k8s.io' >/dev/null
is "Table: kind" "Table meta.k8s.io/v1" "$(field '.kind+" "+.apiVersion')"
is "Table: columns" "Name Data Age" "$(field '[.columnDefinitions[].name]|join(" ")')"
is "Table: first cells" 'c0 1' "$(field '.rows[0].cells[0:2]|map(tostring)|join(" ")')"
is "Table: object" PartialObjectMetadata "$(field '.rows[0].object.kind')"
api GET "$CONFIGMAPS?includeObject=None" -H 'Accept: application/json;as=Table;v=v1;g=meta.k8s.io' >/dev/null
is "Table without objects" null "$(field '.rows[0].object')"
api GET "$CONFIGMAPS" -H 'Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' >/dev/null
is "metadata only: kind" PartialObjectMetadataList "$(field .kind)"
is "metadata only: no data" null "$(field '.items[0].data')"
api GET "$CONFIGMAPS/c1" -H 'Accept: application/yaml' >/dev/null
has "YAML" $'kind: ConfigMap\n' "$(cat "$WORK/body")"
has "YAML: type" "application/yaml" "$(grep -i ^content-type "$WORK/headers")"
api GET "$CONFIGMAPS/c1?pretty=true" >/dev/null
has "pretty" $'{\n  "kind": "ConfigMap",\n  "apiVersion": "v1",' "$(cat "$WORK/body")"

# --- watches
is "a watch from a version replays what came after it" \
    "ADDED c1,ADDED c2,ADDED c3,ADDED c4,ADDED c5,ADDED c0,DELETED c3" \
    "$(watch 2 "resourceVersion=$before&timeoutSeconds=1" | jq -r '.type+" "+.object.metadata.name' | paste -sd,)"
is "a watch without a version begins with what there is" "ADDED c0,ADDED c1,ADDED c2,ADDED c4,ADDED c5" \
    "$(watch 2 "timeoutSeconds=1" | jq -r '.type+" "+.object.metadata.name' | paste -sd,)"
watch 4 "resourceVersion=$now&labelSelector=tier%3Deven&timeoutSeconds=3" >"$WORK/even" &
watcher=$!
watch 4 "fieldSelector=metadata.name%3Dc1&timeoutSeconds=3" >"$WORK/named" &
named=$!
eventually 3 grep -q c1 "$WORK/named"
kubectl label configmap c1 tier=even --overwrite >/dev/null
kubectl label configmap c2 tier=odd --overwrite >/dev/null
kubectl annotate configmap c4 a=b >/dev/null
wait "$watcher"
is "objects enter and leave a selector" "ADDED c1,DELETED c2,MODIFIED c4" \
    "$(jq -r '.type+" "+.object.metadata.name' "$WORK/even" | paste -sd,)"
wait "$named"
is "a watch of one object" "ADDED c1,MODIFIED c1" "$(jq -r '.type+" "+.object.metadata.name' "$WORK/named" | paste -sd,)"
watch 2 "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1" >"$WORK/initial"
is "initial events end with a bookmark" "ADDED ADDED ADDED ADDED ADDED BOOKMARK" \
    "$(jq -r .type "$WORK/initial" | head -6 | paste -sd' ')"
is "the bookmark says so" true \
    "$(jq -r 'select(.type=="BOOKMARK").object.metadata.annotations["k8s.io/initial-events-end"]' "$WORK/initial" | head -1)"
watch 2 "timeoutSeconds=1" -H 'Accept: application/json;as=Table;v=v1;g=meta.k8s.io' >"$WORK/table"
is "watch of Tables" "Table 3 Table 0" \
    "$(jq -r '.object.kind, (.object.columnDefinitions|length)' "$WORK/table" | head -4 | paste -sd' ')"
api GET "$CONFIGMAPS?watch=1&resourceVersion=abc" >/dev/null
is "watch from a bad version: code" 500 "$(code)"
api GET "$CONFIGMAPS?watch=1&sendInitialEvents=true" >/dev/null
answers "sendInitialEvents without a match" 422 Invalid
kubectl get configmaps -w --request-timeout=3s >"$WORK/kubectl" 2>/dev/null &
kubectl_pid=$!
eventually 3 grep -q c5 "$WORK/kubectl"
create c9 odd
wait "$kubectl_pid"
is "kubectl get -w" 1 "$(grep -c '^c9 ' "$WORK/kubectl")"

# --- a large list: streamed, compressed when asked for
filler=$(head -c 20000 /dev/zero | tr '\0' y)
for i in $(seq 10 29); do
    create "l$i" large "$filler"
done
api GET "$CONFIGMAPS?labelSelector=tier%3Dlarge" >/dev/null
is "a large list" 20 "$(field '.items|length')"
api GET "$CONFIGMAPS?labelSelector=tier%3Dlarge" --compressed >/dev/null
is "a large list, compressed" 20 "$(field '.items|length')"
has "a large list: encoding" gzip "$(grep -i ^content-encoding "$WORK/headers")"
api GET "$CONFIGMAPS?labelSelector=tier%3Deven" --compressed >/dev/null
is "a small list is not compressed" "" "$(grep -i ^content-encoding "$WORK/headers")"
api DELETE "$CONFIGMAPS?labelSelector=tier%3Dlarge" >/dev/null
is "deletecollection" "200 ConfigMapList 20" "$(code) $(field '.kind+" "+(.items|length|tostring)')"
api GET "$CONFIGMAPS?labelSelector=tier%3Dlarge" >/dev/null
is "all deleted" 0 "$(field '.items|length')"

# --- one object
api HEAD "$CONFIGMAPS/c1" -I >/dev/null
is "HEAD: code" 200 "$(code)"
api GET "$CONFIGMAPS/c1?resourceVersion=0" >/dev/null
is "GET at 0" c1 "$(field .metadata.name)"
api GET "/api/v1/watch/namespaces/default/configmaps?timeoutSeconds=1&resourceVersion=$before" >/dev/null
has "the old watch path" '{"type":"ADDED","object":{"kind":"ConfigMap"' "$(head -1 "$WORK/body")"
stop_apiserver

#!/bin/bash
# Reads, watches and writes by their options: each row is a request and what it answers.
. "$(dirname "$0")/lib.sh"
start_control_plane

CONFIGMAPS=/api/v1/namespaces/reads/configmaps
JSON='Content-Type: application/json'
kubectl create namespace reads >/dev/null

create() { # <name> [labels]
    api POST $CONFIGMAPS -H "$JSON" --data-binary \
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"'"$1"'","labels":{'"${2-}"'}}}' >/dev/null
    [ "$(code)" = 201 ] || fail "create $1"
}

NAMES='[.items[].metadata.name]|join(" ")'
# rows <method> <path>: lines of "query | code | expression of jq | value"; "names": of the items; # a comment.
rows() {
    local method=$1 path=$2 query want expression value
    while IFS='|' read -r query want expression value; do
        query=$(echo $query) want=$(echo $want) expression=${expression# } value=${value# }
        expression=${expression% }
        [ "$expression" != names ] || expression=$NAMES
        case $query in '' | '#'*) continue ;; esac
        [ "$query" = - ] && query=
        api "$method" "$path?$query" >/dev/null
        is "$method $path?$query: code" "$want" "$(code)"
        is "$method $path?$query: $expression" "$value" "$(field "$expression")"
    done
}

invalid='ListOptions.meta.k8s.io "" is invalid: '
for name in a b c; do create $name; done
first=$(api GET $CONFIGMAPS/a | jq -r .metadata.resourceVersion)
kubectl -n reads delete configmap kube-root-ca.crt >/dev/null 2>&1
now=$(api GET $CONFIGMAPS | jq -r .metadata.resourceVersion)
api GET "$CONFIGMAPS?limit=1" >/dev/null
token=$(field .metadata.continue)
create d '"x":"y"'
latest=$(field .metadata.resourceVersion)
future=$((latest + 1000))

# --- lists: resourceVersion, its match, limit and continue
rows GET $CONFIGMAPS <<ROWS
    -                                                          | 200 | names | a b c d
    resourceVersion=0                                          | 200 | names | a b c d
    resourceVersion=$now                                       | 200 | names | a b c d
    resourceVersion=$now&limit=2                               | 200 | names | a b
    resourceVersion=$now&limit=2                               | 200 | .metadata.resourceVersion | $now
    resourceVersion=$now&limit=2                               | 200 | .metadata.remainingItemCount | 1
    resourceVersion=$now&limit=3                               | 200 | .metadata.continue | null
    resourceVersion=0&limit=2                                  | 200 | names | a b c d
    limit=2                                                    | 200 | names | a b
    limit=2                                                    | 200 | .metadata.remainingItemCount | 2
    limit=2&labelSelector=x%21%3Dy                             | 200 | .metadata.remainingItemCount | null
    resourceVersionMatch=Exact&resourceVersion=$now            | 200 | names | a b c
    resourceVersionMatch=Exact&resourceVersion=$first          | 200 | .metadata.resourceVersion | $first
    resourceVersionMatch=Exact&resourceVersion=$now&limit=1    | 200 | names | a
    resourceVersionMatch=NotOlderThan&resourceVersion=$now     | 200 | names | a b c d
    resourceVersionMatch=NotOlderThan&resourceVersion=0        | 200 | names | a b c d
    resourceVersionMatch=NotOlderThan&resourceVersion=$now&limit=1 | 200 | names | a
    continue=$token                                            | 200 | names | b c
    continue=$token                                            | 200 | .metadata.resourceVersion | $now
    continue=$token&limit=1                                    | 200 | names | b
    continue=$token&resourceVersion=0                          | 200 | names | b c
    # what is wrong
    continue=$token&resourceVersion=$now | 400 | .message | specifying resource version is not allowed when using continue
    continue=%7B%7D                      | 400 | .reason | BadRequest
    continue=eyJ2IjoieCJ9                | 400 | .message | invalid continue token: continue key is not valid: server does not recognize this encoded version
    resourceVersion=abc                  | 500 | .message | resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax
    resourceVersion=abc                  | 500 | .reason | null
    limit=abc                            | 400 | .message | strconv.ParseInt: parsing "abc": invalid syntax
    resourceVersionMatch=Exact           | 422 | .message | ${invalid}resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided
    resourceVersionMatch=Exact&resourceVersion=0 | 422 | .message | ${invalid}resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"
    resourceVersionMatch=Best&resourceVersion=1 | 422 | .message | ${invalid}resourceVersionMatch: Unsupported value: "Best": supported values: "Exact", "NotOlderThan", ""
    resourceVersionMatch=NotOlderThan&resourceVersion=$now&continue=$token | 422 | .message | ${invalid}resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided
    sendInitialEvents=true               | 422 | .message | ${invalid}sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list
    fieldSelector=spec.x%3Dy             | 400 | .message | field label not supported: spec.x
    # a version that is not there yet
ROWS
api GET "$CONFIGMAPS?resourceVersion=$future&resourceVersionMatch=Exact" >/dev/null
is "too large: code" 504 "$(code)"
has "too large: message" "Timeout: Too large resource version: $future, current: " "$(field .message)"
is "too large: cause" 'Timeout ResourceVersionTooLarge Too large resource version' \
    "$(field '[.reason, .details.causes[0].reason, .details.causes[0].message]|join(" ")')"
has "too large: header" "retry-after: 1" "$(tr -d '\r' <"$WORK/headers" | tr A-Z a-z)"
rows GET $CONFIGMAPS/a <<ROWS
    resourceVersion=0       | 200 | .metadata.name | a
    resourceVersion=$latest | 200 | .metadata.name | a
    resourceVersion=x       | 500 | .message | resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax
ROWS

# --- watches: all at once; each ends by itself after two seconds, after a bookmark
WATCHES=()
watch() { # <what> <query> <events, sorted> [path]
    local out=$WORK/watch${#WATCHES[@]}
    curl -sN --max-time 20 --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' -A kubec-test -o "$out" \
        "https://127.0.0.1:$API_PORT${4:-$CONFIGMAPS}?watch=1&timeoutSeconds=2&allowWatchBookmarks=true&$2" &
    WATCHES+=("$!|$1|$3|$out")
}
check_watches() {
    local w pid what want out
    for w in "${WATCHES[@]}"; do
        IFS='|' read -r pid what want out <<<"$w"
        wait "$pid"
        is "$what" "$want" "$(jq -rn '[inputs|.type+" "+(.object.metadata.name // (.object.metadata.annotations // {})["k8s.io/initial-events-end"] // "-")]|unique|join(",")' <"$out")"
    done
}
match=resourceVersionMatch=NotOlderThan
watch "watch: no version" "" "ADDED a,ADDED b,ADDED c,ADDED d,BOOKMARK -"
watch "watch: version 0" "resourceVersion=0" "ADDED a,ADDED b,ADDED c,ADDED d,BOOKMARK -"
watch "watch: a version" "resourceVersion=$now" "ADDED d,BOOKMARK -"
watch "watch: initial events" "sendInitialEvents=true&$match" "ADDED a,ADDED b,ADDED c,ADDED d,BOOKMARK -,BOOKMARK true"
watch "watch: initial events at a version" "sendInitialEvents=true&$match&resourceVersion=$now" \
    "ADDED a,ADDED b,ADDED c,ADDED d,BOOKMARK -,BOOKMARK true"
watch "watch: no initial events" "sendInitialEvents=false&$match&resourceVersion=$now" "ADDED d,BOOKMARK -"
watch "watch: no initial events, no version" "sendInitialEvents=false&$match" "BOOKMARK -"
watch "watch: one object" "fieldSelector=metadata.name%3Db" "ADDED b,BOOKMARK -"
watch "watch: one object, by the old path" "" "ADDED b,BOOKMARK -" /api/v1/watch/namespaces/reads/configmaps/b
check_watches
rows GET $CONFIGMAPS <<ROWS
    watch=1&resourceVersion=abc | 500 | .message | resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax
    watch=1&sendInitialEvents=true | 422 | .message | ${invalid}resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan
    watch=1&resourceVersionMatch=NotOlderThan | 422 | .message | ${invalid}resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided
    watch=1&resourceVersionMatch=Exact&sendInitialEvents=true | 422 | .details.causes[1].message | Unsupported value: "Exact": supported values: "NotOlderThan"
    watch=1&sendInitialEvents=true&$match&resourceVersion=$future | 200 | .object.details.causes[0].reason | ResourceVersionTooLarge
ROWS
api GET "/api/v1/watch/namespaces/reads/configmaps/b?fieldSelector=metadata.name%3Dc" >/dev/null
is "the old path and another name" "fieldSelector metadata.name doesn't match requested name" "$(field .message)"

# --- objects that enter and leave a selector: the object is the last one that matched, at the version of the event
kubectl -n reads label configmap d x=z --overwrite >/dev/null
left=$(api GET $CONFIGMAPS/d | jq -r .metadata.resourceVersion)
kubectl -n reads label configmap d x=y --overwrite >/dev/null
api GET "$CONFIGMAPS?watch=1&timeoutSeconds=1&resourceVersion=$latest&labelSelector=x%3Dy" >/dev/null
is "leaving and entering" "DELETED y true,ADDED y false" \
    "$(jq -r '.type+" "+.object.metadata.labels.x+" "+(.object.metadata.resourceVersion=="'"$left"'"|tostring)' <"$WORK/body" | paste -sd,)"

# --- after a compaction
etcdctl() { ETCDCTL_API=3 command etcdctl --endpoints="http://127.0.0.1:$ETCD_PORT" "$@"; }
compact=$(api GET $CONFIGMAPS | jq -r .metadata.resourceVersion)
if etcdctl compact "$compact" >/dev/null 2>&1; then
    kill "$APISERVER_PID" && wait_gone "$APISERVER_PID" 20
    start_apiserver
    wait_ready
    api GET "$CONFIGMAPS?continue=$token" >/dev/null
    answers "continue after a compaction" 410 Expired
    has "continue after a compaction: message" "Continuing with the provided token results in an inconsistent list" "$(field .message)"
    fresh=$(field .metadata.continue)
    api GET "$CONFIGMAPS?continue=$fresh" >/dev/null
    is "the token for an inconsistent list" "b c d" "$(field "$NAMES")"
    rows GET $CONFIGMAPS <<ROWS
    resourceVersionMatch=Exact&resourceVersion=$first | 410 | .message | The resourceVersion for the provided list is too old.
    resourceVersion=$first&limit=1                    | 410 | .reason | Expired
    watch=1&resourceVersion=$first                    | 200 | .type+" "+.object.reason | ERROR Expired
ROWS
    has "watch after a compaction: message" "too old resource version: $first (" "$(field .object.message)"
fi

# --- DELETE and DELETECOLLECTION
options='DeleteOptions.meta.k8s.io "" is invalid: '
rows DELETE $CONFIGMAPS/a <<ROWS
    propagationPolicy=Foreground&orphanDependents=true | 422 | .message | ${options}propagationPolicy: Invalid value: "Foreground": orphanDependents and deletionPropagation cannot be both set
    propagationPolicy=Never | 422 | .message | ${options}propagationPolicy: Unsupported value: "Never": supported values: "Foreground", "Background", "Orphan", "nil"
    dryRun=Some             | 422 | .message | ${options}dryRun: Unsupported value: "Some": supported values: "All"
    dryRun=All              | 200 | .status | Success
ROWS
api DELETE $CONFIGMAPS/a -H "$JSON" --data-binary '{"preconditions":{"uid":"1"}}' >/dev/null
has "precondition: message" 'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (1) does not match the UID in record (' \
    "$(field .message)"
is "precondition" "409 Conflict ConfigMap a" "$(code) $(field '[.reason, .details.kind, .details.name]|join(" ")')"
rows DELETE $CONFIGMAPS <<ROWS
    dryRun=All                      | 200 | names | a b c d
    limit=1                         | 200 | names | a
    resourceVersionMatch=Best&resourceVersion=1 | 422 | .reason | Invalid
    labelSelector=x%3Dy             | 200 | names | d
ROWS
rows GET $CONFIGMAPS <<ROWS
    - | 200 | names | b c
ROWS

# --- what is answered when it is gone has the version of the deletion, as watches see it
kubectl -n reads create serviceaccount gone >/dev/null
made=$(api GET /api/v1/namespaces/reads/serviceaccounts/gone | jq -r .metadata.resourceVersion)
api DELETE /api/v1/namespaces/reads/serviceaccounts/gone >/dev/null
deleted=$(field .metadata.resourceVersion)
api GET "/api/v1/namespaces/reads/serviceaccounts?watch=1&timeoutSeconds=1&resourceVersion=$made" >/dev/null
is "version of a deletion" "DELETED gone $deleted" \
    "$(jq -r '[.type, .object.metadata.name, .object.metadata.resourceVersion]|join(" ")' <"$WORK/body")"

# --- names made by the server
api POST "$CONFIGMAPS?dryRun=All" -H "$JSON" --data-binary '{"metadata":{"generateName":"gen-"}}' >/dev/null
is "generateName" 201 "$(code)"
has "generateName: name" "gen-" "$(field .metadata.name)"
api POST $CONFIGMAPS -H "$JSON" --data-binary '{"metadata":{"name":"b","generateName":"gen-"}}' >/dev/null
is "a generated name that exists" 'AlreadyExists 1 configmaps "b" already exists, the server was not able to generate a unique name for the object' \
    "$(field '[.reason, .details.retryAfterSeconds, .message]|join(" ")')"

# --- fieldValidation
warnings() { tr -d '\r' <"$WORK/headers" | sed -n 's/^[Ww]arning: //p'; }
body='{"metadata":{"name":"v","name":"w","labels":{"a":"1","a":"2"}},"data":{"k":"1"},"dat":{},"immutabel":true}'
api POST "$CONFIGMAPS?dryRun=All" -H "$JSON" --data-binary "$body" >/dev/null
is "warnings of JSON" '299 - "duplicate field \"metadata.name\""
299 - "duplicate field \"metadata.labels.a\""
299 - "unknown field \"dat\""
299 - "unknown field \"immutabel\""' "$(warnings)"
is "the last one counts" "w 2" "$(field '.metadata.name+" "+.metadata.labels.a')"
api POST "$CONFIGMAPS?dryRun=All&fieldValidation=Strict" -H "$JSON" --data-binary "$body" >/dev/null
is "strict" 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "metadata.name", duplicate field "metadata.labels.a", unknown field "dat", unknown field "immutabel"' "$(field .message)"
api POST "$CONFIGMAPS?dryRun=All&fieldValidation=Strict" -H "$JSON" --data-binary \
    '{"foo":1,"metadata":{"zzz":1,"name":"a","name":"b"},"bar":2,"data":{"k":"1","k":"2"}}' >/dev/null
is "strict, as it is written" 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "foo", unknown field "metadata.zzz", duplicate field "metadata.name", unknown field "bar", duplicate field "data.k"' "$(field .message)"
api POST "$CONFIGMAPS?dryRun=All&fieldValidation=Ignore" -H "$JSON" --data-binary "$body" >/dev/null
is "ignored" "201 " "$(code) $(warnings)"
api POST "$CONFIGMAPS?fieldValidation=Maybe" -H "$JSON" --data-binary "$body" >/dev/null
is "unknown fieldValidation" 'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn"' "$(field .message)"
yaml=$'metadata:\n  name: v\n  name: w\ndata:\n  k: "1"\n  k: "2"\nfoo: 1\n'
api POST "$CONFIGMAPS?dryRun=All" -H 'Content-Type: application/yaml' --data-binary "$yaml" >/dev/null
is "warnings of YAML" '299 - "line 3: key \"name\" already set in map"
299 - "line 6: key \"k\" already set in map"
299 - "unknown field \"foo\""' "$(warnings)"
is "the last one counts in YAML" "201 w 2" "$(code) $(field '.metadata.name+" "+.data.k')"
api POST "$CONFIGMAPS?dryRun=All&fieldValidation=Strict" -H 'Content-Type: application/yaml' --data-binary "$yaml" >/dev/null
has "strict YAML" $'strict decoding error: yaml: unmarshal errors:\n  line 3: key "name" already set in map\n  line 6: key "k" already set in map, unknown field "foo"' \
    "$(field .message)"
api POST "$CONFIGMAPS?dryRun=All" -H "$JSON" --data-binary \
    "$(jq -cn '{metadata:{name:"w"}} + ([range(30)|{key:("f\(.)"+("x"*300)),value:1}]|from_entries)')" >/dev/null
is "many warnings are cut short" "16 $((256 + 8))" "$(warnings | wc -l | tr -d ' ') $(warnings | head -1 | sed 's/\\//g' | tr -d '\n' | wc -c)"
stop_apiserver

#!/bin/bash
# What is wrong with a request is answered with upstream's status code and reason, and leaves the apiserver unharmed.
. "$(dirname "$0")/lib.sh"
start_control_plane

JSON='Content-Type: application/json'
PODS=/api/v1/namespaces/default/pods
CONFIGMAPS=/api/v1/namespaces/default/configmaps

# post <path> <body> [curl arguments]
post() {
    local path=$1 body=$2
    shift 2
    api POST "$path" -H "$JSON" --data-binary "$body" "$@" >/dev/null
}

nested() { # <depth>
    printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"data":'
    head -c "$1" /dev/zero | tr '\0' '['
    head -c "$1" /dev/zero | tr '\0' ']'
    printf '}'
}

# --- syntax
post $PODS '{"apiVersion":"v1","kind":"Pod"'
answers "broken JSON" 400 BadRequest
has "broken JSON" "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: " "$(field .message)"
post $PODS ''
answers "empty body" 400 BadRequest
has "empty body" "(<empty>)" "$(field .message)"
post $PODS '[]'
answers "an array" 400 BadRequest
post $PODS '"x"'
answers "a string" 400 BadRequest
post $PODS 'null'
answers "null" 400 BadRequest
api POST $PODS -H 'Content-Type: application/yaml' --data-binary $'a: b\n c: [' >/dev/null
answers "broken YAML" 400 BadRequest
nested 10000 >"$WORK/deep.json"
post $CONFIGMAPS "@$WORK/deep.json"
answers "10,000 levels" 400 BadRequest
head -c 3300000 /dev/zero | tr '\0' x >"$WORK/big"
post $CONFIGMAPS "@$WORK/big"
answers "a body over 3 MiB" 413 RequestEntityTooLarge
is "a body over 3 MiB: message" "Request entity too large: limit is 3145728" "$(field .message)"
(
    printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"large"},"data":{"x":"'
    head -c 2500000 /dev/zero | tr '\0' x
    printf '"}}'
) >"$WORK/large.json"
post $CONFIGMAPS "@$WORK/large.json"
is "a ConfigMap over 1 MiB: code" 422 "$(code)"
api POST $PODS -H 'Content-Type: application/xml' --data-binary '<a/>' >/dev/null
answers "XML" 415 UnsupportedMediaType
has "XML" "the body of the request was in an unknown format - accepted media types include: " "$(field .message)"
api GET $PODS -H 'Accept: text/html' >/dev/null
answers "Accept: text/html" 406 NotAcceptable
has "Accept: text/html" "only the following media types are accepted: " "$(field .message)"
api POST $CONFIGMAPS -H 'Content-Type: application/vnd.kubernetes.protobuf' --data-binary 'xyz' >/dev/null
answers "no protobuf" 400 BadRequest

# --- kind and version
post $PODS '{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"}}'
answers "another kind" 400 BadRequest
is "another kind: message" 'Service in version "v1" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown conversion' "$(field .message)"
post $PODS '{"apiVersion":"v1","kind":"Pud","metadata":{"name":"a"}}'
answers "an unknown kind" 400 BadRequest
has "an unknown kind" 'no kind "Pud" is registered for version "v1"' "$(field .message)"
post $PODS '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"}}'
answers "another version" 400 BadRequest
is "another version: message" "the API version in the data (apps/v1) does not match the expected API version (v1)" "$(field .message)"

# --- fields
post $PODS '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":"x"}}'
answers "a wrong type" 400 BadRequest
is "a wrong type: message" 'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container' "$(field .message)"
UNKNOWN='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"u%s"},"data":{"a":"b"},"foo":1,"metadata2":{}}'
# shellcheck disable=SC2059 # the format is ours
post "$CONFIGMAPS?fieldValidation=Strict" "$(printf "$UNKNOWN" 1)"
answers "unknown fields, Strict" 400 BadRequest
is "unknown fields: message" 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "foo", unknown field "metadata2"' "$(field .message)"
# shellcheck disable=SC2059
post "$CONFIGMAPS?fieldValidation=Warn" "$(printf "$UNKNOWN" 2)"
is "unknown fields, Warn: code" 201 "$(code)"
has "unknown fields, Warn" '299 - "unknown field \"foo\""' "$(grep -i ^warning "$WORK/headers")"
# shellcheck disable=SC2059
post "$CONFIGMAPS?fieldValidation=Ignore" "$(printf "$UNKNOWN" 3)"
is "unknown fields, Ignore: code" 201 "$(code)"
is "unknown fields, Ignore: warnings" "" "$(grep -i ^warning "$WORK/headers")"
post "$CONFIGMAPS?fieldValidation=Strict" '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","name":"y"}}'
answers "a repeated key, Strict" 400 BadRequest
has "a repeated key" 'duplicate field "metadata.name"' "$(field .message)"
post "$CONFIGMAPS?fieldValidation=Maybe" '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}'
answers "an unknown fieldValidation" 422 Invalid
post "$CONFIGMAPS?dryRun=Some" '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}'
answers "an unknown dryRun" 422 Invalid
has "an unknown dryRun" 'dryRun: Unsupported value: "Some": supported values: "All"' "$(field .message)"

python3 -c 'print("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"x\"}," + ",".join("\"k%d\":0" % i for i in range(200000)) + "}")' >"$WORK/unknown.json"
post "$CONFIGMAPS?fieldValidation=Strict" "@$WORK/unknown.json"
answers "200,000 unknown fields" 400 BadRequest
is "200,000 unknown fields: the first 100 are named" 100 "$(field .message | grep -o 'unknown field' | wc -l)"

# --- names
post $CONFIGMAPS '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"No_Name"}}'
answers "an invalid name" 422 Invalid
has "an invalid name" 'ConfigMap "No_Name" is invalid: metadata.name: Invalid value: "No_Name": a lowercase RFC 1123 subdomain must consist of' "$(field .message)"
is "an invalid name: cause" "metadata.name" "$(field '.details.causes[0].field')"
post $CONFIGMAPS '{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}'
answers "no name" 422 Invalid
has "no name" 'name or generateName is required' "$(field .message)"
post $CONFIGMAPS '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"other"}}'
answers "another namespace" 400 BadRequest
is "another namespace: message" "the namespace of the provided object does not match the namespace sent on the request" "$(field .message)"
post /api/v1/namespaces/nowhere/configmaps '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}'
answers "a namespace that is not there" 404 NotFound
is "a namespace that is not there: message" 'namespaces "nowhere" not found' "$(field .message)"
post $CONFIGMAPS '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"rv","resourceVersion":"7"}}'
is "resourceVersion on create: code" 500 "$(code)"
is "resourceVersion on create: message" "resourceVersion should not be set on objects to be created" "$(field .message)"

api GET $CONFIGMAPS/%2e%2e >/dev/null
answers "a name that is a path" 400 BadRequest
is "a name that is a path: message" "Name parameter invalid: \"..\": may not be '..'" "$(field .message)"
api GET $CONFIGMAPS/a%2525b >/dev/null
is "a name with a percent sign: message" "Name parameter invalid: \"a%25b\": may not contain '%'" "$(field .message)"

# --- conflicts
post $CONFIGMAPS '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}'
is "create: code" 201 "$(code)"
post $CONFIGMAPS '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}'
answers "create again" 409 AlreadyExists
is "create again: message" 'configmaps "c" already exists' "$(field .message)"
put() { # <body>
    api PUT $CONFIGMAPS/c -H "$JSON" --data-binary "$1" >/dev/null
}
put '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","resourceVersion":"1"},"data":{"a":"2"}}'
answers "a stale resourceVersion" 409 Conflict
is "a stale resourceVersion: message" 'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to the latest version and try again' "$(field .message)"
put '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"},"data":{"a":"2"}}'
answers "PUT of another name" 400 BadRequest
is "PUT of another name: message" "the name of the object (d) does not match the name on the URL (c)" "$(field .message)"
put '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","uid":"not-this-one"},"data":{"a":"2"}}'
answers "PUT of another uid" 409 Conflict
has "PUT of another uid" "Precondition failed: UID in precondition: not-this-one, UID in object meta: " "$(field .message)"
put '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"2"}}'
is "unconditional PUT: code" 200 "$(code)"
api PUT $CONFIGMAPS/absent -H "$JSON" --data-binary '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"absent"}}' >/dev/null
answers "PUT of what is not there" 404 NotFound
api DELETE $CONFIGMAPS/c -H "$JSON" --data-binary '{"preconditions":{"uid":"nope"}}' >/dev/null
answers "DELETE with another uid" 409 Conflict
api DELETE $CONFIGMAPS/c -H "$JSON" --data-binary '{"propagationPolicy":"Sideways"}' >/dev/null
answers "DELETE with an unknown policy" 422 Invalid
api DELETE $CONFIGMAPS/absent >/dev/null
answers "DELETE of what is not there" 404 NotFound
is "not found: details" '{"name":"absent","kind":"configmaps"}' "$(field '.details|tojson')"

# --- patches
patch() { # <type> <body>
    api PATCH $CONFIGMAPS/c -H "Content-Type: application/$1" --data-binary "$2" >/dev/null
}
patch json-patch+json '[{"op":"test","path":"/data/a","value":"no"}]'
answers "a test that fails" 422 Invalid
patch json-patch+json '[{"op":"remove","path":"/data/none"}]'
answers "a path that is not there" 422 Invalid
patch json-patch+json '{"op":"remove"}'
answers "a JSON patch that is no list" 400 BadRequest
patch merge-patch+json '[1]'
answers "a merge patch that is no object" 400 BadRequest
patch merge-patch+json '{"data":'
answers "a broken merge patch" 400 BadRequest
patch merge-patch+json '{"metadata":{"resourceVersion":"1"},"data":{"a":"3"}}'
answers "a patch of another version" 409 Conflict
patch strategic-merge-patch+json '{"metadata":{"name":"other"}}'
is "a patch of the name: code" 400 "$(code)"
patch weird-patch+json '{}'
answers "an unknown patch type" 415 UnsupportedMediaType

# --- paths, methods, parameters
api GET /nowhere >/dev/null
is "an unknown path: code" 404 "$(code)"
is "an unknown path: body" "404 page not found" "$(cat "$WORK/body")"
api GET /apis/unknown.example/v1/things >/dev/null
is "an unknown group: code" 404 "$(code)"
is "an unknown group: body" "404 page not found" "$(cat "$WORK/body")"
api GET /api/v1/things >/dev/null
answers "an unknown resource" 404 NotFound
is "an unknown resource: message" "the server could not find the requested resource" "$(field .message)"
api GET $PODS/a/unknown >/dev/null
answers "an unknown subresource" 404 NotFound
api PUT $PODS -H "$JSON" --data-binary '{}' >/dev/null
answers "PUT of a collection" 405 MethodNotAllowed
api POST /api/v1/pods -H "$JSON" --data-binary '{}' >/dev/null
answers "POST without a namespace" 405 MethodNotAllowed
api GET "$PODS?labelSelector=a%20in%20" >/dev/null
answers "a bad label selector" 400 BadRequest
api DELETE "$CONFIGMAPS?labelSelector=a%00" >/dev/null
is "a selector with a NUL selects nothing: code" 400 "$(code)"
api GET "$PODS?fieldSelector=spec.nothing=1" >/dev/null
answers "a field that cannot be selected by" 400 BadRequest
api GET "$PODS?resourceVersion=abc" >/dev/null
is "a bad resourceVersion: code" 500 "$(code)"
api GET "$PODS?resourceVersion=999999999" >/dev/null
answers "a resourceVersion of the future" 504 Timeout
has "a resourceVersion of the future" "Too large resource version: 999999999" "$(field .message)"
api GET "$PODS?resourceVersionMatch=Exact" >/dev/null
answers "a match without a version" 422 Invalid
api GET "$PODS?limit=1&continue=garbage" >/dev/null
answers "a bad continue token" 400 BadRequest
api GET "/api/v1/namespaces/default/pods/%zz" >/dev/null
is "a bad escape: code" 400 "$(code)"
TOKEN=wrong api GET /api/v1/pods >/dev/null
answers "a wrong token" 401 Unauthorized
is "a wrong token: message" Unauthorized "$(field .message)"

# --- unharmed
is "still the same process" 1 "$(pgrep -c -P $$ kube-apiserver)"
is "kubectl still works" "c" "$(kubectl get configmap c -o 'jsonpath={.metadata.name}')"
stop_apiserver

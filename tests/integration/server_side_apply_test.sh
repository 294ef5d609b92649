#!/bin/bash
# Server-side apply and managedFields: what kubectl, oldest and newest, makes of them, and the rules of the API.
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC

# Since 1.21 kubectl hides them unless it is told.
SHOW=()
[ "$(kubectl_minor)" -lt 21 ] || SHOW=(--show-managed-fields)

# managers <type> <name>: a line for each entry.
managers() {
    kubectl get "$@" -o json "${SHOW[@]}" |
        jq -r '.metadata.managedFields // [] | .[] | [.manager, .operation, .apiVersion, .subresource // "-"] | join(" ")'
}

# owned <manager> <operation> <type> <name>
owned() {
    local who=$1 how=$2
    shift 2
    kubectl get "$@" -o json "${SHOW[@]}" |
        jq -c --arg m "$who" --arg o "$how" '.metadata.managedFields[] | select(.manager == $m and .operation == $o).fieldsV1'
}

version_of() {
    kubectl get "$@" -o jsonpath='{.metadata.resourceVersion}'
}

cat >"$WORK/web.yaml" <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "nginx:1", ports: [{containerPort: 80}]}
YAML
cat >"$WORK/replicas.yaml" <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 3}
YAML

printf '#!/bin/sh\nsed -i "s/revisionHistoryLimit: 10/revisionHistoryLimit: 7/" "$1"\n' >"$WORK/editor"
chmod +x "$WORK/editor"

# --- kubectl: apply, conflicts, ownership by command, migration
with_kubectl() {
    is "create: who" "kubectl-create Update apps/v1 -" \
        "$(kubectl create -f "$WORK/web.yaml" >/dev/null; managers deployment web)"
    is "create: what" '{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:progressDeadlineSeconds":{},"f:replicas":{},"f:revisionHistoryLimit":{},"f:selector":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"f:maxUnavailable":{}},"f:type":{}},"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:protocol":{}}},"f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}}}' \
        "$(owned kubectl-create Update deployment web)"
    is "a conflict" 'error: Apply failed with 1 conflict: conflict with "kubectl-create" using apps/v1: .spec.replicas' \
        "$(kubectl apply --server-side -f "$WORK/replicas.yaml" 2>&1 | head -1)"
    is "forced" "deployment.apps/web serverside-applied" \
        "$(kubectl apply --server-side --force-conflicts -f "$WORK/replicas.yaml" 2>&1)"
    is "forced: who" "kubectl Apply apps/v1 -
kubectl-create Update apps/v1 -" "$(managers deployment web)"
    is "forced: what" '{"f:spec":{"f:replicas":{}}}' "$(owned kubectl Apply deployment web)"
    local before
    before=$(version_of deployment web)
    kubectl apply --server-side -f "$WORK/replicas.yaml" >/dev/null
    is "applied again: nothing changes" "$before" "$(version_of deployment web)"
    kubectl scale deployment web --replicas=5 >/dev/null
    is "scale: who" "kubectl Update apps/v1 scale
kubectl-create Update apps/v1 -" "$(managers deployment web)"
    is "a conflict with a subresource" \
        'error: Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' \
        "$(kubectl apply --server-side -f "$WORK/replicas.yaml" 2>&1 | head -1)"
    has "diff" "-  replicas: 5
+  replicas: 3" "$(kubectl diff --server-side --force-conflicts -f "$WORK/replicas.yaml" 2>&1)"
    kubectl label deployment web a=b >/dev/null
    kubectl annotate deployment web c=d >/dev/null
    kubectl patch deployment web -p '{"spec":{"paused":true}}' >/dev/null
    kubectl set image deployment/web web=nginx:2 >/dev/null
    EDITOR="$WORK/editor" kubectl edit deployment web >/dev/null
    is "commands: who" "kubectl Update apps/v1 scale
kubectl-annotate Update apps/v1 -
kubectl-create Update apps/v1 -
kubectl-edit Update apps/v1 -
kubectl-label Update apps/v1 -
kubectl-patch Update apps/v1 -
kubectl-set Update apps/v1 -" "$(managers deployment web | sort)"
    is "label: what" '{"f:metadata":{"f:labels":{"f:a":{}}}}' "$(owned kubectl-label Update deployment web)"
    is "set image: what" '{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:image":{}}}}}}}' \
        "$(owned kubectl-set Update deployment web)"
    kubectl delete deployment web >/dev/null

    # from client-side to server-side apply, and what is given up goes
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: "1", b: "1"}\n' >"$WORK/m.yaml"
    kubectl apply -f "$WORK/m.yaml" >/dev/null
    is "client-side: who" "kubectl-client-side-apply Update v1 -" "$(managers configmap m)"
    printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: "2"}\n' >"$WORK/m.yaml"
    is "migration" "configmap/m serverside-applied" "$(kubectl apply --server-side -f "$WORK/m.yaml" 2>&1)"
    is "migration: data" '{"a":"2"}' "$(kubectl get configmap m -o json | jq -c .data)"
    is "migration: what" '{"f:data":{"f:a":{}}}' "$(owned kubectl Apply configmap m)"
    has "view-last-applied" 'a: "2"' "$(kubectl apply view-last-applied -f "$WORK/m.yaml" 2>&1)"
    kubectl delete configmap m >/dev/null
}
KUBECTLS=("$KUBECTL")
for found in /usr/lib/google-cloud-sdk/bin/kubectl.1.27 /usr/lib/google-cloud-sdk/bin/kubectl.1.33; do
    [ -x "$found" ] || continue
    # Its name is what it calls itself in the User-Agent.
    mkdir "$WORK/${found##*/}" && ln -s "$found" "$WORK/${found##*/}/kubectl"
    KUBECTLS+=("$WORK/${found##*/}/kubectl")
done
kubectl() { command "$KUBECTL" "$@"; }
for KUBECTL in "${KUBECTLS[@]}"; do
    ! needs_kubectl 27 "its own server-side apply" || with_kubectl
done
KUBECTL=${KUBECTLS[0]}

# --- the API
CONFIGMAPS=/api/v1/namespaces/default/configmaps
apply() { # <name> <query> <body> [curl arguments]
    local name=$1 query=$2 body=$3
    shift 3
    api PATCH "$CONFIGMAPS/$name?$query" -H 'Content-Type: application/apply-patch+yaml' --data-binary "$body" "$@" >/dev/null
}
config() { # <name> <data> [metadata]
    printf '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%s"%s},"data":%s}' "$1" "${3-}" "$2"
}

apply c '' "$(config c '{}')"
answers "apply without a manager" 422 Invalid
is "apply without a manager: message" \
    'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch' "$(field .message)"
apply c "fieldManager=$(printf 'x%.0s' {1..129})" "$(config c '{}')"
is "a long manager: message" \
    "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes" "$(field .message)"
apply c 'fieldManager=a%07b' "$(config c '{}')"
has "a manager that cannot be printed" 'invalid character U+0007 (at position 1)' "$(field .message)"
api PATCH "$CONFIGMAPS/c?force=true" -H 'Content-Type: application/merge-patch+json' --data-binary '{}' >/dev/null
is "force of another patch" \
    'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch' "$(field .message)"
apply c 'fieldManager=a&dryRun=All' "$(config c '{"k":"1"}')"
is "create on apply, dry run: code" 201 "$(code)"
api GET $CONFIGMAPS/c >/dev/null
is "create on apply, dry run: not there" 404 "$(code)"
apply c fieldManager=a "$(config c '{"k":"1","l":"1"}')"
is "create on apply: code" 201 "$(code)"
is "create on apply: entry" '["a","Apply","v1","FieldsV1",{"f:data":{"f:k":{},"f:l":{}}}]' \
    "$(field '.metadata.managedFields[0] | [.manager,.operation,.apiVersion,.fieldsType,.fieldsV1] | tojson')"
apply c fieldManager=b "$(config c '{"k":"1"}')"
is "shared: code" 200 "$(code)"
is "shared" '["a","b"]' "$(field '[.metadata.managedFields[].manager] | sort | tojson')"
apply c fieldManager=c "$(config c '{"k":"2","l":"2"}')"
answers "conflicts" 409 Conflict
is "conflicts: message" 'Apply failed with 3 conflicts: conflicts with "a":
- .data.k
- .data.l
conflicts with "b":
- .data.k' "$(field .message)"
is "conflicts: a cause" '{"reason":"FieldManagerConflict","message":"conflict with \"a\"","field":".data.k"}' \
    "$(field '.details.causes[0] | tojson')"
apply c fieldManager=a "$(config c '{}')"
is "given up: what others own stays" '{"k":"1"}' "$(field '.data | tojson')"
apply c fieldManager=a "$(config c '{"k":"1"}' ',"resourceVersion":"1"')"
answers "another version" 409 Conflict
apply c fieldManager=a "$(config other '{}')"
is "another name" 'the name of the object (other) does not match the name on the URL (c)' "$(field .message)"
apply c fieldManager=a "$(config c '{}' ',"namespace":"kube-system"')"
is "another namespace" 'the namespace of the provided object does not match the namespace sent on the request' "$(field .message)"
apply c fieldManager=a "$(config c '{}' ',"managedFields":[{"manager":"x"}]')"
is "managedFields in the configuration" "400 metadata.managedFields must be nil" "$(code) $(field .message)"
apply none fieldManager=a "$(config none '{}' ',"uid":"abc"')"
answers "a uid of what is not there" 409 Conflict
apply c fieldManager=a '{"apiVersion":"v2","kind":"ConfigMap","metadata":{"name":"c"}}'
is "another kind" "400 invalid object type: /v2, Kind=ConfigMap" "$(code) $(field .message)"
apply c fieldManager=a "$(config c '{"k":1}')"
is "a wrong type" '500 failed to create typed patch object (/c; /v1, Kind=ConfigMap): .data.k: expected string, got &value.valueUnstructured{Value:1}' \
    "$(code) $(field .message)"
apply c fieldManager=a '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"spec":{}}'
is "an unknown field" '500 failed to create typed patch object (/c; /v1, Kind=ConfigMap): .spec: field not declared in schema' \
    "$(code) $(field .message)"
apply c fieldManager=a 'a: [' 
answers "broken YAML" 400 BadRequest
TWICE=$'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  k: "0"\n  k: "1"\n'
apply c 'fieldManager=a&fieldValidation=Strict' "$TWICE"
is "a key twice, strict" '400 error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:
  line 6: key "k" already set in map' "$(code) $(field .message)"
apply c fieldManager=a "$TWICE"
has "a key twice" '299 - "line 6: key \"k\" already set in map"' "$(grep -i '^warning:' "$WORK/headers")"

# --- permissions: who may patch need not be allowed to create
kubectl create role patcher --verb=patch,update --resource=configmaps >/dev/null
kubectl create rolebinding patcher --role=patcher --user=alice >/dev/null
can_patch() { TOKEN=alice-token apply c fieldManager=alice "$(config c '{}')"; [ "$(code)" = 200 ]; }
eventually 10 can_patch || fail "alice cannot patch"
TOKEN=alice-token apply new fieldManager=alice "$(config new '{}')"
is "create on apply without permission" \
    '403 configmaps "new" is forbidden: User "alice" cannot create resource "configmaps" in API group "" in the namespace "default"' \
    "$(code) $(field .message)"

# --- updates
put() { # <user agent> <jq filter of the object> [query]
    api GET $CONFIGMAPS/c >/dev/null
    jq -c "$2" "$WORK/body" >"$WORK/put"
    api PUT "$CONFIGMAPS/c?${3-}" -A "$1" -H 'Content-Type: application/json' --data-binary @"$WORK/put" >/dev/null
}
put 'my-tool/v1.2 (linux/amd64)' '.data.z="1"'
is "a manager by its User-Agent" '["my-tool","Update",{"f:data":{"f:z":{}}}]' \
    "$(field '.metadata.managedFields[] | select(.manager == "my-tool") | [.manager,.operation,.fieldsV1] | tojson')"
RV=$(field .metadata.resourceVersion)
put other-tool '.'
is "an update without change" "$RV" "$(field .metadata.resourceVersion)"
put other-tool 'del(.metadata.managedFields) | .data.y="1"'
is "an update that leaves out managedFields keeps them" true \
    "$(field '[.metadata.managedFields[].manager] | contains(["my-tool","other-tool"])')"
put '' '.metadata.managedFields |= map(select(.manager != "my-tool"))'
is "an update that removes an entry" '["b","other-tool"]' "$(field '[.metadata.managedFields[].manager] | unique | tojson' | sed 's/"a",//;s/"alice",//')"
put '' '.metadata.managedFields=[{}]'
is "a reset" null "$(field '.metadata.managedFields')"
put other-tool '.data.x="1"'
is "after a reset nothing is tracked" null "$(field '.metadata.managedFields')"
apply c fieldManager=a "$(config c '{"k":"1"}')"
is "until the next apply" '["a","before-first-apply"]' "$(field '[.metadata.managedFields[].manager] | sort | tojson')"

# --- many managers
for i in 00 01 02 03 04 05 06 07 08 09 10 11; do
    api PATCH "$CONFIGMAPS/c?fieldManager=m$i" -H 'Content-Type: application/merge-patch+json' \
        --data-binary "{\"data\":{\"m$i\":\"1\"}}" >/dev/null
done
is "ten entries of updates" 10 "$(field '[.metadata.managedFields[] | select(.operation == "Update")] | length')"
is "the oldest are merged" true "$(field '[.metadata.managedFields[].manager] | contains(["ancient-changes"])')"

# --- status and other versions
kubectl create -f "$WORK/web.yaml" >/dev/null
api PATCH "/apis/apps/v1/namespaces/default/deployments/web/status?fieldManager=me" \
    -H 'Content-Type: application/apply-patch+yaml' --data-binary \
    '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":9},"status":{"replicas":4}}' >/dev/null
is "status: what" '["status",{"f:status":{"f:replicas":{}}},1,4]' \
    "$(field '[(.metadata.managedFields[] | select(.manager == "me") | .subresource,.fieldsV1),.spec.replicas,.status.replicas] | tojson')"
api PATCH "/apis/apps/v1/namespaces/default/deployments/web/scale?fieldManager=hpa" \
    -H 'Content-Type: application/apply-patch+yaml' --data-binary \
    '{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web"},"spec":{"replicas":7}}' >/dev/null
is "scale: a conflict" 'Apply failed with 1 conflict: conflict with "kubectl-create" using autoscaling/v1: .spec.replicas' \
    "$(field .message)"
api PATCH "/apis/apps/v1/namespaces/default/deployments/web/scale?fieldManager=hpa&force=true" \
    -H 'Content-Type: application/apply-patch+yaml' --data-binary \
    '{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web"},"spec":{"replicas":7}}' >/dev/null
is "scale: forced" "200 7" "$(code) $(field .spec.replicas)"
is "scale: who" "hpa Apply apps/v1 scale" "$(managers deployment web | grep hpa)"
is "scale: what" '{"f:spec":{"f:replicas":{}}}' "$(owned hpa Apply deployment web)"
is "apply to the status of what is not there" 404 "$(
    api PATCH "/apis/apps/v1/namespaces/default/deployments/none/status?fieldManager=me" \
        -H 'Content-Type: application/apply-patch+yaml' --data-binary \
        '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"none"}}' >/dev/null
    code
)"
EVENT='"metadata":{"name":"e","namespace":"default"},"reason":"r","type":"Normal","action":"a","reportingInstance":"i","eventTime":"2026-01-01T00:00:00.000000Z"'
api POST /apis/events.k8s.io/v1/namespaces/default/events -A new-tool -H 'Content-Type: application/json' --data-binary \
    "{\"apiVersion\":\"events.k8s.io/v1\",\"kind\":\"Event\",$EVENT,\"reportingController\":\"c\",\"note\":\"n\",\"regarding\":{\"kind\":\"Pod\",\"name\":\"p\",\"namespace\":\"default\"}}" >/dev/null
is "an event in the newer version: code" 201 "$(code)"
api PATCH "/api/v1/namespaces/default/events/e" -A old-tool -H 'Content-Type: application/merge-patch+json' \
    --data-binary '{"message":"m"}' >/dev/null
is "an event, changed in the older version" '[["new-tool","events.k8s.io/v1",false],["old-tool","v1",true]]' \
    "$(field '[.metadata.managedFields[] | [.manager, .apiVersion, (.fieldsV1 | has("f:message") or has("f:note"))]] | sort | tojson')"
# An autoscaler that was made in the older version: what is owned in it is found in the newer one.
HPA=namespaces/default/horizontalpodautoscalers
TARGET='"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"}'
api POST "/apis/autoscaling/v1/$HPA?fieldManager=one" -H 'Content-Type: application/json' --data-binary \
    '{"metadata":{"name":"h"},"spec":{"maxReplicas":3,"targetCPUUtilizationPercentage":50,'"$TARGET"'}}' >/dev/null
api PATCH "/apis/autoscaling/v2/$HPA/h?fieldManager=two" -H 'Content-Type: application/merge-patch+json' \
    --data-binary '{"spec":{"maxReplicas":4}}' >/dev/null
is "an autoscaler: who" '[["one","autoscaling/v1",["f:minReplicas","f:scaleTargetRef","f:targetCPUUtilizationPercentage"]],["two","autoscaling/v2",["f:maxReplicas"]]]' \
    "$(field '[.metadata.managedFields[] | [.manager, .apiVersion, (.fieldsV1["f:spec"] | keys)]] | sort | tojson')"
apply_hpa() { # apply_hpa [query]
    api PATCH "/apis/autoscaling/v2/$HPA/h?fieldManager=three${1-}" -H 'Content-Type: application/apply-patch+yaml' --data-binary \
        '{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"maxReplicas":5,'"$TARGET"',
        "metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}]}}' >/dev/null
}
apply_hpa
is "an autoscaler: conflicts" 'Apply failed with 2 conflicts: conflicts with "one" using autoscaling/v1:
- .spec.targetCPUUtilizationPercentage
conflicts with "two" using autoscaling/v2:
- .spec.maxReplicas' "$(field .message)"
apply_hpa '&force=true'
is "an autoscaler: forced" '[["one","autoscaling/v1",["f:minReplicas","f:scaleTargetRef"]],["three","autoscaling/v2",["f:maxReplicas","f:metrics","f:scaleTargetRef"]]]' \
    "$(field '[.metadata.managedFields[] | [.manager, .apiVersion, (.fieldsV1["f:spec"] | keys)]] | sort | tojson')"
api GET "/apis/autoscaling/v1/$HPA/h" >/dev/null
is "an autoscaler: in the older version" 60 "$(field .spec.targetCPUUtilizationPercentage)"
stop_apiserver

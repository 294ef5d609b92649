#!/bin/bash
# Subresources that change one part of a pod, with real kubectl: ephemeralcontainers and resize.
. "$(dirname "$0")/lib.sh"
needs_kubectl 32 "debug, patch --subresource=resize" || exit 0
start_control_plane
kubectl create serviceaccount default -n default >/dev/null || fail "create serviceaccount"

kubectl create -f - >/dev/null <<POD || fail "create pod"
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","labels":{"app":"web"}},"spec":{"containers":[
 {"name":"c","image":"app:1","resources":{"requests":{"cpu":"100m","memory":"64Mi"},"limits":{"cpu":"200m"}}},
 {"name":"d","image":"app:1"}]}}
POD
get() { kubectl get pod web -o "jsonpath=$1"; }
is "generation" 1 "$(get '{.metadata.generation}')"

echo "--- ephemeralcontainers"
has "debug" "Targeting container \"c\"" \
    "$(kubectl debug web --image=busybox -c dbg --target=c --attach=false -- sleep 100 2>&1)"
is "the ephemeral container" "dbg busybox c sleep" \
    "$(get '{range .spec.ephemeralContainers[*]}{.name} {.image} {.targetContainerName} {.command[0]}{.args[0]}{end}')"
is "defaults" "Always /dev/termination-log File" \
    "$(get '{range .spec.ephemeralContainers[*]}{.imagePullPolicy} {.terminationMessagePath} {.terminationMessagePolicy}{end}')"
is "generation" 2 "$(get '{.metadata.generation}')"
kubectl debug web --image=busybox -c second --attach=false -- true >/dev/null 2>&1 || fail "a second one"
is "both" "dbg second" "$(get '{.spec.ephemeralContainers[*].name}')"
api GET /api/v1/namespaces/default/pods/web/ephemeralcontainers >/dev/null
is "GET gives the pod" "200 Pod web" "$(code) $(field .kind) $(field .metadata.name)"
jq '.spec.ephemeralContainers |= [.[0]] | .metadata.labels.app="other" | .spec.containers[0].image="app:2"' \
    "$WORK/body" >"$WORK/put.json"
api PUT /api/v1/namespaces/default/pods/web/ephemeralcontainers -H 'Content-Type: application/json' \
    --data-binary "@$WORK/put.json" >/dev/null
answers "one cannot be removed" 422 Invalid
has "which" 'existing ephemeral containers \"second\" may not be removed' "$(cat "$WORK/body")"
kubectl get pod web -o json | jq '.spec.ephemeralContainers += [{"name":"third","image":"x"}] |
    .metadata.labels.app="other" | .spec.containers[0].image="app:2"' >"$WORK/put.json"
api PUT /api/v1/namespaces/default/pods/web/ephemeralcontainers -H 'Content-Type: application/json' \
    --data-binary "@$WORK/put.json" >/dev/null
is "PUT" 200 "$(code)"
is "PUT changes nothing else" "web app:1 dbg second third" \
    "$(get '{.metadata.labels.app} {.spec.containers[0].image} {.spec.ephemeralContainers[*].name}')"
has "a name that is taken" 'Duplicate value: "c"' "$(kubectl patch pod web --subresource=ephemeralcontainers \
    -p '{"spec":{"ephemeralContainers":[{"name":"c","image":"x"}]}}' 2>&1)"
has "not by an update of the pod" "pod updates may not change fields other than" "$(kubectl patch pod web \
    -p '{"spec":{"ephemeralContainers":[{"name":"fourth","image":"x"}]}}' 2>&1)"

echo "--- resize"
is "patch" "pod/web patched" "$(kubectl patch pod web --subresource=resize \
    -p '{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"150m"},"limits":{"cpu":"300m"}}}]}}' 2>&1)"
is "resources" "150m 64Mi 300m" "$(get \
    '{.spec.containers[0].resources.requests.cpu} {.spec.containers[0].resources.requests.memory} {.spec.containers[0].resources.limits.cpu}')"
is "generation" 5 "$(get '{.metadata.generation}')"
has "QoS" 'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing' \
    "$(kubectl patch pod web --subresource=resize -p '{"spec":{"containers":[
    {"name":"c","resources":{"requests":{"cpu":"1","memory":"64Mi"},"limits":{"cpu":"1","memory":"64Mi"}}},
    {"name":"d","resources":{"requests":{"cpu":"1","memory":"64Mi"},"limits":{"cpu":"1","memory":"64Mi"}}}]}}' 2>&1)"
has "limits stay" "resource limits cannot be removed" "$(kubectl patch pod web --subresource=resize \
    -p '{"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":null}}}]}}' 2>&1)"
has "cpu and memory only" "only cpu and memory resources are mutable" "$(kubectl patch pod web --subresource=resize \
    -p '{"spec":{"containers":[{"name":"c","resources":{"requests":{"ephemeral-storage":"1Gi"}}}]}}' 2>&1)"
is "an image is no matter of it" "app:1" "$(kubectl patch pod web --subresource=resize \
    -p '{"spec":{"containers":[{"name":"c","image":"app:9"}]}}' -o 'jsonpath={.spec.containers[0].image}')"
has "not by an update of the pod" "pod updates may not change fields other than" "$(kubectl patch pod web \
    -p '{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"1m"}}}]}}' 2>&1)"
kubectl patch pod web --subresource=resize --type=json \
    -p '[{"op":"replace","path":"/spec/containers/0/resources/requests/memory","value":"32Mi"}]' >/dev/null || fail "JSON patch"
is "JSON patch" 32Mi "$(get '{.spec.containers[0].resources.requests.memory}')"
is "discovery" "ephemeralcontainers:get,patch,update resize:get,patch,update" "$(kubectl get --raw /api/v1 | jq -r \
    '[.resources[] | select(.name == "pods/resize" or .name == "pods/ephemeralcontainers") |
      "\(.name[5:]):\(.verbs | join(","))"] | join(" ")')"

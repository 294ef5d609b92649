#!/bin/bash
# LimitRanges with real kubectl: defaults of containers, bounds of containers, pods and claims.
. "$(dirname "$0")/lib.sh"
start_control_plane
kubectl create serviceaccount default -n default >/dev/null || fail "create serviceaccount"
kubectl create -f - >/dev/null <<LIMITS || fail "create limitrange"
{"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"l"},"spec":{"limits":[
 {"type":"Container","default":{"cpu":"500m","memory":"256Mi"},"defaultRequest":{"cpu":"100m"},"max":{"cpu":"1"},"min":{"cpu":"50m"},
  "maxLimitRequestRatio":{"cpu":"8"}},
 {"type":"Pod","max":{"cpu":"1500m"}},
 {"type":"PersistentVolumeClaim","min":{"storage":"1Gi"},"max":{"storage":"5Gi"}}]}}
LIMITS
pod() { # <name> <resources of a> [containers more]
    kubectl create -f - 2>&1 <<<'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"'"$1"'"},"spec":{"containers":[
        {"name":"a","image":"i","resources":'"$2"'}'"${3-}"']}}'
}
claim() {
    kubectl create -f - 2>&1 <<<'{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"'"$1"'"},"spec":{"accessModes":["ReadWriteOnce"],
        "resources":{"requests":{"storage":"'"$2"'"}}}}'
}
known() { [ -n "$(pod probe '{}' | grep created)" ] && [ -n "$(kubectl get pod probe -o 'jsonpath={.spec.containers[0].resources.limits.cpu}')" ] || { kubectl delete pod probe; false; }; }
eventually 10 known || fail "the LimitRange is known"
is "defaults" '{"limits":{"cpu":"500m","memory":"256Mi"},"requests":{"cpu":"100m","memory":"256Mi"}}' \
    "$(kubectl get pod probe -o json | jq -cS '.spec.containers[0].resources')"
is "annotation" "LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for container a" \
    "$(kubectl get pod probe -o 'jsonpath={.metadata.annotations.kubernetes\.io/limit-ranger}')"
is "QoS with defaults" Burstable "$(kubectl get pod probe -o 'jsonpath={.status.qosClass}')"
has "what is given stays" "created" "$(pod given '{"requests":{"cpu":"200m"},"limits":{"cpu":"800m"}}')"
is "given" "200m 800m" "$(kubectl get pod given -o 'jsonpath={.spec.containers[0].resources.requests.cpu} {.spec.containers[0].resources.limits.cpu}')"
has "too much" 'pods "much" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, maximum cpu usage per Pod is 1500m, but limit is 2]' \
    "$(pod much '{"requests":{"cpu":"1"},"limits":{"cpu":"2"}}')"
has "too little" 'pods "little" is forbidden: [minimum cpu usage per Container is 50m, but request is 20m, cpu max limit to request ratio per Container is 8, but provided ratio is 25.000000]' \
    "$(pod little '{"requests":{"cpu":"20m"}}')"
has "ratio" 'pods "ratio" is forbidden: cpu max limit to request ratio per Container is 8, but provided ratio is 10.000000' \
    "$(pod ratio '{"requests":{"cpu":"100m"},"limits":{"cpu":"1"}}')"
has "a pod as a whole" 'pods "two" is forbidden: maximum cpu usage per Pod is 1500m, but limit is 2' \
    "$(pod two '{"requests":{"cpu":"500m"},"limits":{"cpu":"1"}}' ',{"name":"b","image":"i","resources":{"requests":{"cpu":"500m"},"limits":{"cpu":"1"}}}')"
api PATCH /api/v1/namespaces/default/pods/given/resize -H 'Content-Type: application/strategic-merge-patch+json' \
    --data-binary '{"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"1200m"}}}]}}' >/dev/null
has "resizing" 'pods "given" is forbidden: ' "$(field .message)"
has "a claim" "created" "$(claim fine 2Gi)"
has "too large" 'persistentvolumeclaims "large" is forbidden: maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi' "$(claim large 6Gi)"
has "too small" 'persistentvolumeclaims "small" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi' "$(claim small 1Mi)"

#!/bin/bash
# What keeps objects from going (claims, volumes and volume attributes classes in use) and from coming (quotas), with real
# kubectl and kube-controller-manager.
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC
daemon_kubeconfig kcm
"$KUBEC_BIN/kube-controller-manager" --kubeconfig="$WORK/kcm.kubeconfig" --use-service-account-credentials \
    --bind-address=127.0.0.1 --secure-port="$(free_port)" --leader-elect=false >"$WORK/kcm.log" 2>&1 &
PIDS+=("$!")

get() { # get <jsonpath> <what...>
    local path=$1
    shift
    kubectl get "$@" -o jsonpath="$path" 2>&1
}
value() { # value <expected> <jsonpath> <what...>
    local expected=$1
    shift
    [ "$(get "$@")" = "$expected" ]
}
gone() { # gone <what...>
    [[ $(kubectl get "$@" 2>&1) == *"(NotFound)"* ]]
}

# --- objects in use

kubectl create namespace using >/dev/null
eventually 60 kubectl -n using get serviceaccount default || fail "no service account"
kubectl create -f - >/dev/null <<'YAML' || fail "create"
apiVersion: v1
kind: List
items:
- apiVersion: storage.k8s.io/v1
  kind: VolumeAttributesClass
  metadata: {name: gold}
  driverName: csi.example.com
  parameters: {iops: "1000"}
- apiVersion: v1
  kind: PersistentVolume
  metadata: {name: disk}
  spec:
    capacity: {storage: 1Gi}
    accessModes: [ReadWriteOnce]
    volumeAttributesClassName: gold
    csi: {driver: csi.example.com, volumeHandle: one}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata: {name: data, namespace: using}
  spec:
    accessModes: [ReadWriteOnce]
    resources: {requests: {storage: 1Gi}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata: {name: unused, namespace: using}
  spec:
    accessModes: [ReadWriteOnce]
    resources: {requests: {storage: 1Gi}}
- apiVersion: v1
  kind: Pod
  metadata: {name: user, namespace: using}
  spec:
    nodeName: nowhere
    containers: [{name: c, image: image}]
    volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]
YAML
is "finalizer of a claim" '["kubernetes.io/pvc-protection"]' "$(get '{.metadata.finalizers}' -n using pvc data)"
is "finalizer of a volume" '["kubernetes.io/pv-protection"]' "$(get '{.metadata.finalizers}' pv disk)"
is "finalizer of a class" '["kubernetes.io/vac-protection"]' "$(get '{.metadata.finalizers}' volumeattributesclass gold)"

kubectl -n using patch pvc unused --type=merge -p '{"metadata":{"finalizers":null}}' >/dev/null
eventually 60 value '["kubernetes.io/pvc-protection"]' '{.metadata.finalizers}' -n using pvc unused || fail "the finalizer does not come back"
kubectl -n using delete pvc data --wait=false >/dev/null
kubectl -n using delete pvc unused --timeout=60s >/dev/null || fail "an unused claim stays"
is "a claim in use" Terminating "$(kubectl -n using get pvc data --no-headers | awk '{print $2}')"
kubectl -n using delete pod user --force 2>/dev/null >&2
eventually 60 gone -n using pvc data || fail "the claim stays"

status() { # status <path> <status>
    api PATCH "$1/status" -H 'Content-Type: application/merge-patch+json' -d '{"status":'"$2"'}' >/dev/null
}
status /api/v1/persistentvolumes/disk '{"phase":"Bound"}'
eventually 60 value Bound '{.status.phase}' pv disk
kubectl delete volumeattributesclass gold --wait=false >/dev/null
kubectl delete pv disk --wait=false >/dev/null
is "a volume in use" Terminating "$(kubectl get pv disk --no-headers | awk '{print $5}')"
is "a class in use" '["kubernetes.io/vac-protection"]' "$(get '{.metadata.finalizers}' volumeattributesclass gold)"
status /api/v1/persistentvolumes/disk '{"phase":"Released"}'
eventually 60 gone pv disk || fail "the volume stays"
eventually 60 gone volumeattributesclass gold || fail "the class stays"

# --- quotas

kubectl create namespace bound >/dev/null
eventually 60 kubectl -n bound get serviceaccount default || fail "no service account"
bound() { kubectl -n bound "$@" 2>&1; }
used() { get "{.status.used.$1}" -n bound quota "$2"; }

bound create quota things --hard=count/deployments.apps=1,configmaps=2,services.loadbalancers=0,services=2,pods=2 >/dev/null
eventually 60 value 0 '{.status.used.count/deployments\.apps}' -n bound quota things || fail "the quota is not counted"
bound create deployment one --image=image --replicas=0 >/dev/null
is "one deployment more" 'error: failed to create deployment: deployments.apps "two" is forbidden: exceeded quota: things, requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1' \
    "$(bound create deployment two --image=image)"
is "a load balancer" 'error: failed to create LoadBalancer service: services "lb" is forbidden: exceeded quota: things, requested: services.loadbalancers=1, used: services.loadbalancers=0, limited: services.loadbalancers=0' \
    "$(bound create service loadbalancer lb --tcp=80)"
bound create service clusterip svc --tcp=80 >/dev/null
is "a service that becomes one" 'Error from server (Forbidden): services "svc" is forbidden: exceeded quota: things, requested: services.loadbalancers=1, used: services.loadbalancers=0, limited: services.loadbalancers=0' \
    "$(bound patch service svc -p '{"spec":{"type":"LoadBalancer"}}')"
is "used at once" '{"configmaps":"0","count/deployments.apps":"1","pods":"0","services":"1","services.loadbalancers":"0"}' \
    "$(get '{.status.used}' -n bound quota things | jq -cS .)"
is "a dry run is not charged" "configmap/dry created (server dry run)" "$(bound create configmap dry --dry-run=server)"
is "used after a dry run" 0 "$(used configmaps things)"

# Many at the same time: not one too many.
for i in 1 2 3 4 5 6 7 8; do bound create configmap "c$i" >"$WORK/many.$i" & many[i]=$!; done
wait "${many[@]}"
is "configmaps of eight" 2 "$(cat "$WORK"/many.* | grep -c created)"
is "configmaps that were refused" 6 "$(cat "$WORK"/many.* | grep -c 'exceeded quota: things, requested: configmaps=1, used: configmaps=2, limited: configmaps=2')"

# What goes is free again.
bound delete deployment one >/dev/null
eventually 60 value 0 '{.status.used.count/deployments\.apps}' -n bound quota things || fail "a deployment that is gone counts"
bound create deployment two --image=image --replicas=0 >/dev/null || fail "create the second"
bound delete quota things >/dev/null

# CPU and memory; a pod that has ended costs nothing.
bound create quota compute --hard=requests.cpu=1,limits.memory=1Gi,requests.example.com/gpu=1,count/pods=3 >/dev/null
eventually 60 value 0 '{.status.used.requests\.cpu}' -n bound quota compute || fail "the quota is not counted"
pod() { # pod <name> <resources> [spec...]
    kubectl -n bound create -f - 2>&1 <<YAML
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"$1"},"spec":{"containers":[{"name":"c","image":"image","resources":$2}]${3-}}}
YAML
}
is "a pod that says nothing" 'Error from server (Forbidden): error when creating "STDIN": pods "mute" is forbidden: failed quota: compute: must specify limits.memory for: c; requests.cpu for: c' \
    "$(pod mute '{}')"
is "a pod that fits" "pod/a created" "$(pod a '{"requests":{"cpu":"600m","example.com/gpu":"1"},"limits":{"memory":"512Mi","example.com/gpu":"1"}}')"
is "used by it" '{"count/pods":"1","limits.memory":"512Mi","requests.cpu":"600m","requests.example.com/gpu":"1"}' \
    "$(get '{.status.used}' -n bound quota compute | jq -cS .)"
is "a pod that does not" 'Error from server (Forbidden): error when creating "STDIN": pods "b" is forbidden: exceeded quota: compute, requested: limits.memory=600Mi,requests.cpu=500m, used: limits.memory=512Mi,requests.cpu=600m, limited: limits.memory=1Gi,requests.cpu=1' \
    "$(pod b '{"requests":{"cpu":"500m"},"limits":{"memory":"600Mi"}}')"
status /api/v1/namespaces/bound/pods/a '{"phase":"Succeeded"}'
eventually 60 value 0 '{.status.used.requests\.cpu}' -n bound quota compute || fail "a pod that has ended costs"
is "a pod that has ended is one" 1 "$(used count/pods compute)"
is "a pod in its place" "pod/b created" "$(pod b '{"requests":{"cpu":"500m"},"limits":{"memory":"600Mi"}}')"
is "describe" "requests.cpu 500m 1" "$(bound describe quota compute | awk '$1 == "requests.cpu" {print $1, $2, $3}')"
bound delete quota compute >/dev/null

# Scopes.
kubectl create -f - >/dev/null <<'YAML' || fail "create the quotas"
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ResourceQuota, metadata: {name: besteffort, namespace: bound}, spec: {hard: {pods: "0"}, scopes: [BestEffort]}}
- {apiVersion: v1, kind: ResourceQuota, metadata: {name: terminating, namespace: bound}, spec: {hard: {pods: "0"}, scopes: [Terminating, NotBestEffort]}}
- apiVersion: v1
  kind: ResourceQuota
  metadata: {name: critical, namespace: bound}
  spec:
    hard: {pods: "0"}
    scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [system-cluster-critical]}]}
- {apiVersion: v1, kind: ResourceQuota, metadata: {name: storage, namespace: bound}, spec: {hard: {requests.storage: 1Gi, gold.storageclass.storage.k8s.io/persistentvolumeclaims: "0"}}}
YAML
for q in besteffort terminating critical; do
    eventually 60 value 0 '{.status.used.pods}' -n bound quota $q || fail "$q is not counted"
done
eventually 60 value 0 '{.status.used.requests\.storage}' -n bound quota storage || fail "storage is not counted"
some='{"requests":{"cpu":"1m"}}'
has "best effort" 'exceeded quota: besteffort, requested: pods=1, used: pods=0, limited: pods=0' "$(pod e '{}')"
has "terminating" 'exceeded quota: terminating,' "$(pod f "$some" ',"activeDeadlineSeconds":10')"
has "critical" 'exceeded quota: critical,' "$(pod g "$some" ',"priorityClassName":"system-cluster-critical"')"
is "none of them" "pod/h created" "$(pod h "$some")"
claim() { # claim <name> <size> <class>
    kubectl -n bound create -f - 2>&1 <<YAML
{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"$1"},"spec":{"accessModes":["ReadWriteOnce"],"storageClassName":"$3","resources":{"requests":{"storage":"$2"}}}}
YAML
}
has "too much" 'exceeded quota: storage, requested: requests.storage=2Gi, used: requests.storage=0, limited: requests.storage=1Gi' "$(claim a 2Gi silver)"
has "a class" 'exceeded quota: storage, requested: gold.storageclass.storage.k8s.io/persistentvolumeclaims=1, used: gold.storageclass.storage.k8s.io/persistentvolumeclaims=0, limited: gold.storageclass.storage.k8s.io/persistentvolumeclaims=0' "$(claim b 1Gi gold)"
is "a claim that fits" "persistentvolumeclaim/c created" "$(claim c 1Gi silver)"
is "its storage" 1Gi "$(get '{.status.used.requests\.storage}' -n bound quota storage)"
is "managed fields" "kube-apiserver status" "$(api GET /api/v1/namespaces/bound/resourcequotas/storage |
    jq -r '.metadata.managedFields[] | select(.manager == "kube-apiserver") | "\(.manager) \(.subresource)"')"

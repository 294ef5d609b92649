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

kubectl patch pv disk --subresource=status --type=merge -p '{"status":{"phase":"Bound"}}' >/dev/null
eventually 60 value Bound '{.status.phase}' pv disk
kubectl delete volumeattributesclass gold --wait=false >/dev/null
kubectl delete pv disk --wait=false >/dev/null
is "a volume in use" Terminating "$(kubectl get pv disk --no-headers | awk '{print $5}')"
is "a class in use" '["kubernetes.io/vac-protection"]' "$(get '{.metadata.finalizers}' volumeattributesclass gold)"
kubectl patch pv disk --subresource=status --type=merge -p '{"status":{"phase":"Released"}}' >/dev/null
eventually 60 gone pv disk || fail "the volume stays"
eventually 60 gone volumeattributesclass gold || fail "the class stays"

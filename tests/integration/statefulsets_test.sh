#!/bin/bash
# StatefulSets with real kube-controller-manager and API server. In place of kubelets the test makes pods ready as long as the
# file $WORK/go is there, unless their image is "broken".
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC
daemon_kubeconfig kcm
"$KUBEC_BIN/kube-controller-manager" --kubeconfig="$WORK/kcm.kubeconfig" --use-service-account-credentials --bind-address=127.0.0.1 --secure-port="$(free_port)" \
    --leader-elect=false --controllers=statefulset-controller,garbage-collector-controller,persistentvolumeclaim-protection-controller >"$WORK/kcm.log" 2>&1 &
KCM_PID=$!
PIDS+=("$KCM_PID")
kubectl create serviceaccount default -n default >/dev/null || fail "create serviceaccount"

request() { # <method> <path> <content type> [body]
    curl -s --max-time 10 --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' -H "Content-Type: $3" -X "$1" \
        "https://127.0.0.1:$API_PORT$2" ${4:+-d "$4"}
}
PODS_JQ='.items[] | select(.status.phase == "Pending" and (.spec.containers[0].image | startswith("broken") | not)) | .metadata.name'
kubelets() {
    local name
    while :; do
        [ ! -e "$WORK/go" ] || while read -r name; do
            request PATCH "/api/v1/namespaces/default/pods/$name/status" application/strategic-merge-patch+json \
                '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True","lastTransitionTime":"'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'"}]}}' >/dev/null
        done < <(request GET /api/v1/namespaces/default/pods application/json | jq -r "$PODS_JQ" 2>/dev/null)
        sleep 0.2 # the loop's period, no wait for anything
    done
}
touch "$WORK/go"
kubelets &
PIDS+=("$!")

must() { # <what> <seconds> <command...>
    local what=$1
    shift
    eventually "$@" || fail "$what: $(kubectl get sts -o json | jq -c '.items[].status')"
}
names() { kubectl get pods -l "app=$1" -o 'jsonpath={range .items[*]}{.metadata.name}:{.spec.containers[0].image}{"\n"}{end}' | sort | paste -sd' '; }
pods_are() { [ "$(names "$1")" = "$2" ]; }
status() { kubectl get sts "$1" -o "jsonpath=$2"; }
status_is() { [ "$(status "$1" "$2")" = "$3" ]; }
gone() { ! kubectl get "$@"; }
make_set() { # <name> <replicas> <image> [spec, JSON members with a trailing comma]
    kubectl create -f - >/dev/null <<<'{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"'"$1"'"},"spec":{'"${4-}"'
        "serviceName":"svc","replicas":'"$2"',"selector":{"matchLabels":{"app":"'"$1"'"}},"template":{"metadata":{"labels":{"app":"'"$1"'"}},
        "spec":{"containers":[{"name":"c","image":"'"$3"'"}]}}}}' || fail "create set $1"
}

echo "--- in order"
rm "$WORK/go"
make_set web 3 app:1 '"volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}],'
must "the first pod" 10 pods_are web "web-0:app:1"
must "observed" 5 status_is web '{.status.observedGeneration} {.status.replicas}' "1 1"
is "no other before it is ready" "web-0:app:1" "$(names web)"
touch "$WORK/go"
must "all" 20 status_is web '{.status.readyReplicas} {.status.availableReplicas}' "3 3"
kubectl rollout status sts/web --timeout=20s >/dev/null || fail "kubectl rollout status"
is "identity" "web-1 svc web-1 1" "$(kubectl get pod web-1 -o 'jsonpath={.spec.hostname} {.spec.subdomain} {.metadata.labels.statefulset\.kubernetes\.io/pod-name} {.metadata.labels.apps\.kubernetes\.io/pod-index}')"
is "claims" "data-web-0 data-web-1 data-web-2" "$(kubectl get pvc -o 'jsonpath={.items[*].metadata.name}')"
is "its volume" "data-web-1" "$(kubectl get pod web-1 -o 'jsonpath={.spec.volumes[?(@.name=="data")].persistentVolumeClaim.claimName}')"
rev=$(status web '{.status.currentRevision}')
is "revisions" "$rev $rev" "$(status web '{.status.updateRevision}') $(kubectl get pod web-2 -o 'jsonpath={.metadata.labels.controller-revision-hash}')"
said() { kubectl get events --field-selector "involvedObject.name=web,reason=$1" -o 'jsonpath={range .items[*]}{.message}{"\n"}{end}' | grep -qxF -- "$2"; }
must "event" 5 said SuccessfulCreate "create Pod web-0 in StatefulSet web successful"
must "event of a claim" 5 said SuccessfulCreate "create Claim data-web-0 Pod web-0 in StatefulSet web success"

echo "--- a pod that goes comes back under its name"
uid=$(kubectl get pod web-1 -o 'jsonpath={.metadata.uid}')
kubectl delete pod web-1 --wait=false >/dev/null
back() { [ "$(kubectl get pod web-1 -o 'jsonpath={.metadata.uid}' 2>/dev/null)" != "$uid" ] && status_is web '{.status.readyReplicas}' 3; }
must "web-1 again" 15 back

echo "--- a rolling update, from the highest ordinal, with a partition"
kubectl patch sts web -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}}}}' >/dev/null
kubectl set image sts/web c=app:2 >/dev/null
must "only above the partition" 20 pods_are web "web-0:app:1 web-1:app:1 web-2:app:2"
must "status" 10 status_is web '{.status.currentReplicas} {.status.updatedReplicas}' "2 1"
uid=$(kubectl get pod web-0 -o 'jsonpath={.metadata.uid}')
kubectl delete pod web-0 --wait=false >/dev/null
again() { [ "$(kubectl get pod web-0 -o 'jsonpath={.metadata.uid}' 2>/dev/null)" != "$uid" ] && pods_are web "web-0:app:1 web-1:app:1 web-2:app:2"; }
must "below it pods stay as they were" 15 again
kubectl patch sts web -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}' >/dev/null
must "all" 30 pods_are web "web-0:app:2 web-1:app:2 web-2:app:2"
same_revision() { [ "$(status web '{.status.currentRevision}')" = "$(status web '{.status.updateRevision}')" ]; }
must "the update is complete" 15 same_revision
kubectl set image sts/web c=broken:1 >/dev/null
must "one that does not get ready stops it" 15 pods_are web "web-0:app:2 web-1:app:2 web-2:broken:1"
kubectl rollout undo sts/web >/dev/null
kubectl delete pod web-2 --wait=false >/dev/null
must "undone" 20 pods_are web "web-0:app:2 web-1:app:2 web-2:app:2"
is "history" 3 "$(kubectl get controllerrevisions -l app=web -o name | wc -l)"

echo "--- fewer, none"
must "ready" 10 status_is web '{.status.readyReplicas}' 3
kubectl scale sts/web --replicas=1 >/dev/null
must "the highest go" 15 pods_are web "web-0:app:2"
is "claims stay" 3 "$(kubectl get pvc -o name | wc -l)"
kubectl delete sts web >/dev/null
must "pods go with the set" 15 pods_are web ""
is "claims stay" 3 "$(kubectl get pvc -o name | wc -l)"

echo "--- all at once, other numbers, claims that go"
rm "$WORK/go"
make_set par 3 app:1 '"podManagementPolicy":"Parallel","ordinals":{"start":5},"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete","whenScaled":"Delete"},
    "volumeClaimTemplates":[{"metadata":{"name":"d"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}],'
must "three at once" 10 pods_are par "par-5:app:1 par-6:app:1 par-7:app:1"
touch "$WORK/go"
must "ready" 15 status_is par '{.status.readyReplicas}' 3
kubectl scale sts/par --replicas=2 >/dev/null
must "the claim goes with the pod" 20 gone pvc d-par-7
kubectl delete sts par >/dev/null
must "the others with the set" 20 gone pvc d-par-5 d-par-6

echo "--- the end"
kill "$KCM_PID"
wait_gone "$KCM_PID" 20 || fail "kube-controller-manager does not end"
if grep -nE -A30 "$SANITIZER_SAYS" "$WORK/kcm.log"; then
    fail "the sanitizers complain"
fi
[ $FAILURES -eq 0 ] || tail -n 40 "$WORK/kcm.log" >&2

#!/bin/bash
# Jobs with real kube-controller-manager and API server. In place of kubelets the test ends pods by what their image says:
# "ok" succeeds, "fail" fails, "run" goes on; "odd" fails for odd indexes.
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC
daemon_kubeconfig kcm
"$KUBEC_BIN/kube-controller-manager" --kubeconfig="$WORK/kcm.kubeconfig" --use-service-account-credentials --bind-address=127.0.0.1 --secure-port="$(free_port)" \
    --leader-elect=false --controllers=job-controller,cronjob-controller,ttl-after-finished-controller,garbage-collector-controller \
    >"$WORK/kcm.log" 2>&1 &
KCM_PID=$!
PIDS+=("$KCM_PID")
kubectl create serviceaccount default -n default >/dev/null || fail "create serviceaccount"

request() { # <method> <path> <content type> [body]
    curl -s --max-time 10 --cacert "$WORK/ca.crt" -H 'Authorization: Bearer admin-token' -H "Content-Type: $3" -X "$1" \
        "https://127.0.0.1:$API_PORT$2" ${4:+-d "$4"}
}
PODS_JQ='.items[] | select((.status.phase == "Pending") and (.metadata.deletionTimestamp | not)) |
  "\(.metadata.name) \(.spec.containers[0].image) \(.metadata.annotations["batch.kubernetes.io/job-completion-index"] // 0)"'
kubelets() {
    local name image index code phase now
    while :; do
        while read -r name image index; do
            code=0 phase=Succeeded
            case $image in
            fail*) code=3 phase=Failed ;;
            odd*) [ $((index % 2)) = 0 ] || code=3 phase=Failed ;;
            run*) phase=Running ;;
            esac
            [ "$code" != 0 ] || [ "$phase" = Running ] || phase=Succeeded
            now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
            state='"terminated":{"exitCode":'$code',"finishedAt":"'$now'","startedAt":"'$now'"}'
            [ $phase != Running ] || state='"running":{"startedAt":"'$now'"}'
            request PATCH "/api/v1/namespaces/default/pods/$name/status" application/strategic-merge-patch+json \
                '{"status":{"phase":"'$phase'","conditions":[{"type":"Ready","status":"'$([ $phase = Running ] && echo True || echo False)'"}],
                "containerStatuses":[{"name":"c","image":"i","imageID":"","ready":false,"restartCount":0,"state":{'"$state"'}}]}}' >/dev/null
        done < <(request GET /api/v1/namespaces/default/pods application/json | jq -r "$PODS_JQ" 2>/dev/null)
        sleep 0.2 # the loop's period, no wait for anything
    done
}
kubelets &
PIDS+=("$!")

must() { # <what> <seconds> <command...>
    local what=$1
    shift
    eventually "$@" || fail "$what: $(kubectl get job -o json | jq -c '[.items[] | {n: .metadata.name, s: .status}]')"
}
job() { kubectl get job "$1" -o "jsonpath=$2" 2>/dev/null; }
job_is() { [ "$(job "$1" "$2")" = "$3" ]; }
ended() { job_is "$1" "{.status.conditions[?(@.type==\"$2\")].status} {.status.conditions[?(@.type==\"$2\")].reason}" "True $3"; }
pods() { kubectl get pods -l "job-name=$1" -o name | wc -l; }
pods_are() { [ "$(pods "$1")" = "$2" ]; }
make_job() { # <name> <image> [spec, JSON members with a trailing comma]
    kubectl create -f - >/dev/null <<<'{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"'"$1"'"},"spec":{'"${3-}"'
        "template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"'"$2"'"}]}}}}' || fail "create job $1"
}
said() { kubectl get events --field-selector "involvedObject.name=$1,reason=$2" -o 'jsonpath={.items[*].message}' | grep -q "$3"; }

echo "--- to the end"
kubectl create job one --image=ok >/dev/null || fail "create job"
must "one" 15 ended one Complete CompletionsReached
is "counts" "1   {}" "$(job one '{.status.succeeded} {.status.failed} {.status.active} {.status.uncountedTerminatedPods}')"
kubectl wait job/one --for=condition=complete --timeout=5s >/dev/null || fail "kubectl wait"
must "events" 5 said one SuccessfulCreate "Created pod: one-"
must "Completed" 5 said one Completed "Job completed"
is "its pod is let go" "" "$(kubectl get pods -l job-name=one -o 'jsonpath={.items[*].metadata.finalizers}')"
has "kubectl get jobs" "Complete   1/1" "$(kubectl get job one)"
make_job many ok '"completions":5,"parallelism":2,'
must "five" 25 ended many Complete CompletionsReached
is "succeeded" 5 "$(job many '{.status.succeeded}')"
is "pods" 5 "$(pods many)"

echo "--- indexed"
make_job idx ok '"completions":4,"parallelism":4,"completionMode":"Indexed",'
must "indexed" 20 ended idx Complete CompletionsReached
is "indexes" "0-3 4" "$(job idx '{.status.completedIndexes} {.status.succeeded}')"
is "names" "idx-0- idx-1- idx-2- idx-3-" "$(kubectl get pods -l job-name=idx -o 'jsonpath={range .items[*]}{.metadata.generateName}{"\n"}{end}' | sort | paste -sd' ')"
is "a pod of an index" "idx-2 metadata.labels['batch.kubernetes.io/job-completion-index']" \
    "$(kubectl get pods -l batch.kubernetes.io/job-completion-index=2,job-name=idx -o 'jsonpath={.items[0].spec.hostname} {.items[0].spec.containers[0].env[0].valueFrom.fieldRef.fieldPath}')"
make_job perindex odd '"completions":4,"parallelism":4,"completionMode":"Indexed","backoffLimitPerIndex":0,'
must "failed indexes" 20 ended perindex Failed FailedIndexes
is "which" "0,2 1,3 2 2" "$(job perindex '{.status.completedIndexes} {.status.failedIndexes} {.status.succeeded} {.status.failed}')"
make_job enough odd '"completions":4,"parallelism":4,"completionMode":"Indexed","backoffLimit":9,"successPolicy":{"rules":[{"succeededIndexes":"0,2"}]},'
must "success policy" 20 ended enough Complete SuccessPolicy
is "message" "Matched rules at index 0" "$(job enough '{.status.conditions[?(@.type=="Complete")].message}')"

echo "--- failures"
make_job bad fail '"backoffLimit":0,'
must "backoffLimit" 15 ended bad Failed BackoffLimitExceeded
is "failed" "1 " "$(job bad '{.status.failed} {.status.succeeded}')"
must "event" 5 said bad BackoffLimitExceeded "Job has reached the specified backoff limit"
make_job again fail '"backoffLimit":1,'
must "one failure" 15 job_is again '{.status.failed}' 1
is "the next one waits" 1 "$(pods again)"
must "the second one" 25 ended again Failed BackoffLimitExceeded
make_job policy fail '"backoffLimit":9,"podFailurePolicy":{"rules":[{"action":"FailJob","onExitCodes":{"operator":"In","values":[3]}}]},'
must "podFailurePolicy" 15 ended policy Failed PodFailurePolicy
has "message" "failed with exit code 3 matching FailJob rule at index 0" "$(job policy '{.status.conditions[?(@.type=="Failed")].message}')"
make_job late run '"activeDeadlineSeconds":2,'
must "runs" 10 job_is late '{.status.active} {.status.ready}' "1 1"
must "deadline" 15 ended late Failed DeadlineExceeded
is "nothing is left" "0" "$(kubectl get pods -l job-name=late -o name | wc -l)"

echo "--- suspended, resumed, scaled"
make_job paused run '"suspend":true,"parallelism":2,'
must "suspended" 10 job_is paused '{.status.conditions[?(@.type=="Suspended")].reason}' JobSuspended
is "no pods" 0 "$(pods paused)"
kubectl patch job paused -p '{"spec":{"suspend":false}}' >/dev/null
must "resumed" 10 pods_are paused 2
kubectl patch job paused -p '{"spec":{"parallelism":1}}' >/dev/null
must "fewer" 10 pods_are paused 1
must "what was removed is no failure" 5 job_is paused '{.status.active} {.status.failed}' "1 "
kubectl patch job paused -p '{"spec":{"suspend":true}}' >/dev/null
must "suspended again" 10 pods_are paused 0

echo "--- deletion"
make_job brief ok '"ttlSecondsAfterFinished":1,'
gone() { ! kubectl get "$@"; }
must "ttlSecondsAfterFinished" 20 gone job brief
must "with its pods" 20 pods_are brief 0
make_job doomed run '"parallelism":2,'
must "pods" 10 pods_are doomed 2
kubectl delete job doomed >/dev/null
must "pods go with the Job" 20 pods_are doomed 0

echo "--- CronJobs"
# A schedule of intervals comes due without waiting for the next minute.
kubectl create -f - >/dev/null <<<'{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"tick"},"spec":{"schedule":"@every 2s","successfulJobsHistoryLimit":1,
    "jobTemplate":{"metadata":{"labels":{"of":"tick"}},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"ok"}]}}}}}}' ||
    fail "create cronjob"
ran() { [ -n "$(kubectl get cronjob tick -o 'jsonpath={.status.lastSuccessfulTime}')" ]; }
must "a Job has run" 20 ran
cronjob_said() { kubectl get events --field-selector "involvedObject.name=$1,reason=$2" -o 'jsonpath={.items[*].message}' | grep -q -- "$3"; }
must "SuccessfulCreate" 5 cronjob_said tick SuccessfulCreate "Created job tick-"
must "SawCompletedJob" 5 cronjob_said tick SawCompletedJob "condition: Complete"
job=$(kubectl get jobs -l of=tick -o 'jsonpath={.items[0].metadata.name}')
is "its owner" "CronJob tick true" "$(kubectl get job "$job" -o 'jsonpath={.metadata.ownerReferences[0].kind} {.metadata.ownerReferences[0].name} {.metadata.ownerReferences[0].controller}')"
has "when it was due" "Z" "$(kubectl get job "$job" -o 'jsonpath={.metadata.annotations.batch\.kubernetes\.io/cronjob-scheduled-timestamp}')"
kubectl patch cronjob tick -p '{"spec":{"successfulJobsHistoryLimit":0}}' >/dev/null
must "old ones go" 20 cronjob_said tick SuccessfulDelete "Deleted job tick-"
kubectl delete cronjob tick >/dev/null
none() { [ -z "$(kubectl get jobs -l of=tick -o name)" ]; }
must "its Jobs go with it" 30 none
if needs_kubectl 21 "create cronjob, create job --from"; then
    kubectl create cronjob yearly --image=ok --schedule='0 0 1 1 *' >/dev/null || fail "create cronjob"
    kubectl create job now --from=cronjob/yearly >/dev/null || fail "create job --from"
    must "by hand" 15 ended now Complete CompletionsReached
fi

echo "--- the end"
kill "$KCM_PID"
wait_gone "$KCM_PID" 20 || fail "kube-controller-manager does not end"
if grep -nE -A30 "$SANITIZER_SAYS" "$WORK/kcm.log"; then
    fail "the sanitizers complain"
fi
[ $FAILURES -eq 0 ] || tail -n 40 "$WORK/kcm.log" >&2

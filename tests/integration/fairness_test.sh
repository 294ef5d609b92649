#!/bin/bash
# Priority and fairness: a flood does not starve others, seats come back when clients vanish, what is turned away and why.
. "$(dirname "$0")/lib.sh"
make_pki
echo 'flood-token,flood,flood-uid,"developers"' >>"$WORK/tokens.csv"
start_etcd
start_apiserver --max-requests-inflight=10 --max-mutating-requests-inflight=10
kubeconfig admin admin-token
export KUBECONFIG=$WORK/admin.kubeconfig
wait_ready

schema() { # <name> <level> <precedence> <user>...
    local name=$1 level=$2 precedence=$3 subjects=
    shift 3
    for user; do subjects+="${subjects:+,}{\"kind\":\"User\",\"user\":{\"name\":\"$user\"}}"; done
    kubectl apply -f - >/dev/null <<SCHEMA
{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"FlowSchema","metadata":{"name":"$name"},"spec":{
 "priorityLevelConfiguration":{"name":"$level"},"matchingPrecedence":$precedence,"distinguisherMethod":{"type":"ByUser"},
 "rules":[{"subjects":[$subjects],"resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],
 "clusterScope":true,"namespaces":["*"]}]}]}}
SCHEMA
}

# One seat each: 20 * shares / (the others' 245 + theirs), rounded up; nothing is lent or borrowed.
level() { # <name> <limitResponse>
    kubectl apply -f - >/dev/null <<LEVEL
{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"PriorityLevelConfiguration","metadata":{"name":"$1"},"spec":{
 "type":"Limited","limited":{"nominalConcurrencyShares":2,"lendablePercent":0,"borrowingLimitPercent":0,"limitResponse":$2}}}
LEVEL
}

dangling() { # <schema>
    kubectl get flowschema "$1" -o jsonpath='{.status.conditions[?(@.type=="Dangling")].status} {.status.conditions[?(@.type=="Dangling")].reason} {.status.conditions[?(@.type=="Dangling")].message}'
}
says() { [ "$(dangling "$1")" = "$2" ]; }

# --- the objects
is "suggested and mandatory levels" "catch-all exempt global-default leader-election node-high system workload-high workload-low" \
    "$(kubectl get prioritylevelconfigurations -o 'jsonpath={.items[*].metadata.name}')"
schema tiny tiny 50 flood alice
eventually 10 says tiny 'True NotFound This FlowSchema references the PriorityLevelConfiguration object named "tiny" but there is no such object' ||
    fail "Dangling: $(dangling tiny)"
level tiny '{"type":"Queue","queuing":{"queues":64,"handSize":4,"queueLengthLimit":50}}'
eventually 10 says tiny 'False Found This FlowSchema references the PriorityLevelConfiguration object named "tiny" and it exists' ||
    fail "Dangling: $(dangling tiny)"

# --- headers
uid() { kubectl get "$1" "$2" -o 'jsonpath={.metadata.uid}'; }
header() { tr -d '\r' <"$WORK/headers" | sed -n "s/^$1: //Ip"; }
TOKEN=alice-token api GET /api/v1/namespaces >/dev/null
is "schema of a request" "$(uid flowschema tiny)" "$(header x-kubernetes-pf-flowschema-uid)"
is "level of a request" "$(uid prioritylevelconfiguration tiny)" "$(header x-kubernetes-pf-prioritylevel-uid)"
api GET /api/v1/namespaces >/dev/null
is "administrators are exempt" "$(uid flowschema exempt)" "$(header x-kubernetes-pf-flowschema-uid)"

# --- the flood
is "a flood" "one at a time: 1
the quiet one: HTTP/1.1 200 OK
before the flood was over: yes
idle: true" "$(python3 "$TESTS_DIR/integration/fairness.py" "$API_PORT" "$WORK/ca.crt" 2>&1)"

# --- what is turned away
level one '{"type":"Reject"}'
schema one one 40 alice
eventually 10 says one 'False Found This FlowSchema references the PriorityLevelConfiguration object named "one" and it exists'
mkfifo "$WORK/body-never-ends"
curl -s --cacert "$WORK/ca.crt" -H 'Authorization: Bearer alice-token' -H 'Content-Type: application/json' -X PUT -T - \
    "https://127.0.0.1:$API_PORT/api/v1/namespaces/default/configmaps/x" <"$WORK/body-never-ends" >/dev/null 2>&1 &
holder=$!
exec 9>"$WORK/body-never-ends"
taken() { api GET /debug/api_priority_and_fairness/dump_priority_levels | grep -q '^one, .* false,  false,  *0,  *1, '; }
eventually 10 taken || fail "the seat is not taken: $(api GET /debug/api_priority_and_fairness/dump_priority_levels)"
TOKEN=alice-token api GET /api/v1/namespaces >/dev/null
is "no seat: code" 429 "$(code)"
is "no seat: body" "Too many requests, please try again later." "$(cat "$WORK/body")"
is "no seat: headers" "1 text/plain; charset=utf-8 $(uid flowschema one)" \
    "$(header retry-after) $(header content-type) $(header x-kubernetes-pf-flowschema-uid)"
is "no seat: metric" 1 "$(api GET /metrics | sed -n 's/^apiserver_flowcontrol_rejected_requests_total{flow_schema="one",priority_level="one",reason="concurrency-limit"} //p')"
kill $holder
wait $holder 2>/dev/null
exec 9>&-
allowed() { TOKEN=alice-token api GET /api/v1/namespaces >/dev/null; [ "$(code)" = 200 ]; }
eventually 10 allowed || fail "the seat does not come back"

# --- every metric that upstream has
api POST /api/v1/namespaces -H 'Content-Type: application/json' --data-binary '{"metadata":{"name":"m"}}' >/dev/null
api GET /metrics >/dev/null
for name in current_executing_requests current_executing_seats current_inqueue_requests current_inqueue_seats \
    current_limit_seats current_r demand_seats demand_seats_average demand_seats_high_watermark demand_seats_smoothed \
    demand_seats_stdev dispatch_r dispatched_requests_total latest_s lower_limit_seats next_discounted_s_bounds \
    next_s_bounds nominal_limit_seats priority_level_request_utilization priority_level_seat_utilization \
    read_vs_write_current_requests request_execution_seconds request_queue_length_after_enqueue \
    request_wait_duration_seconds seat_fair_frac target_seats upper_limit_seats watch_count_samples work_estimated_seats; do
    grep -qE "^apiserver_flowcontrol_$name(_count)?[{ ]" "$WORK/body" || fail "no metric apiserver_flowcontrol_$name"
done

# --- watches take seats only until they have begun
curl -sN --cacert "$WORK/ca.crt" -H 'Authorization: Bearer alice-token' -o "$WORK/watch" \
    "https://127.0.0.1:$API_PORT/api/v1/namespaces?watch=1" &
PIDS+=($!)
eventually 10 grep -q kube-system "$WORK/watch"
eventually 10 allowed || fail "a watch keeps its seat"

# --- without it: limits of requests in flight
stop_apiserver
start_apiserver --enable-priority-and-fairness=false --request-timeout=1s
wait_ready
api GET /api/v1/namespaces >/dev/null
is "switched off" "200 " "$(code) $(header x-kubernetes-pf-flowschema-uid)"

# --- a body that does not come has as much time as any request
has "a body that does not come: code" "504 " "$(python3 "$TESTS_DIR/integration/fairness.py" "$API_PORT" "$WORK/ca.crt" slow | tee "$WORK/slow")"
has "a body that does not come" '"message":"Timeout: request did not complete within the allotted timeout"' "$(cat "$WORK/slow")"
stop_apiserver

#!/bin/bash
# Webhooks that are slow, and users who make the most of it.
. "$(dirname "$0")/lib.sh"

PY=$(dirname "$0")/webhooks.py
WAIT=60
TOKENS=192 # three times as many as are looked at at once
HOOK_DIR=$WORK/hook
mkdir "$HOOK_DIR"
: >"$HOOK_DIR/answered"
python3 "$PY" serve "$HOOK_DIR" &
PIDS+=($!)
eventually $WAIT test -s "$HOOK_DIR/port" || fail "the webhook does not start"

make_pki
echo 'hooked-token,hooked,hooked-uid' >>"$WORK/tokens.csv"
cat >"$WORK/hook.kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: hook, cluster: {server: "http://127.0.0.1:$(cat "$HOOK_DIR/port")/hook"}}]
users: [{name: hook}]
contexts: [{name: hook, context: {cluster: hook, user: hook}}]
current-context: hook
CONFIG
start_etcd
# Without what the sanitizer keeps of freed memory.
ASAN_OPTIONS=$ASAN_OPTIONS:quarantine_size_mb=1 start_apiserver --authorization-mode=RBAC,Webhook \
    --authorization-webhook-config-file="$WORK/hook.kubeconfig" --authorization-webhook-version=v1 \
    --authentication-token-webhook-config-file="$WORK/hook.kubeconfig" --authentication-token-webhook-version=v1
wait_ready

echo "--- who is unknown keeps nobody waiting who is known"
python3 "$PY" flood "$API_PORT" "$WORK/ca.crt" $TOKENS "$HOOK_DIR" &
FLOOD=$!
eventually $WAIT test -e "$HOOK_DIR/sent" || fail "the tokens are not sent"
TOKEN=hooked-token api GET /api/v1/namespaces/default/pods >/dev/null
is "what only the webhook allows" 200 "$(code)"
answered=$(wc -l <"$HOOK_DIR/answered")
[ "$answered" -lt 64 ] || fail "it had to wait for $answered unknown tokens"
touch "$HOOK_DIR/release"
wait $FLOOD
is "the unknown tokens" "$TOKENS 401" "$(sort "$HOOK_DIR/answered" | uniq -c | xargs)"

echo "--- long questions are not kept"
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$APISERVER_PID/status"; }
is "long questions" '{201: 20}' "$(python3 "$PY" selectors "$API_PORT" "$WORK/ca.crt" alice-token 0 20)"
before=$(rss)
is "100 more" '{201: 100}' "$(python3 "$PY" selectors "$API_PORT" "$WORK/ca.crt" alice-token 20 100)"
[ $(($(rss) - before)) -lt 10240 ] || fail "100 questions of 200 kB cost $(($(rss) - before)) KiB"
stop_apiserver

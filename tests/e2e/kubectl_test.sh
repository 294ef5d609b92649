#!/bin/bash
# What a user types, with every kubectl on this machine: the one in the PATH, the versions beside it (kubectl.1.27 ...), and
# those that KUBEC_KUBECTLS names. Two of them run at a time, each in a namespace of its own.
. "$(dirname "$0")/lib.sh"
trap finish EXIT

net_up || exit 1
cluster_up --no-demo || exit 1
ctr_k8s images tag "$BUSYBOX" "$BUSYBOX_NEXT" >/dev/null || exit 1

kubectls() {
    local real
    real=$(readlink -f "$KUBECTL")
    # shellcheck disable=SC2086 # a list of words
    { printf '%s\n' "$KUBECTL" ${KUBEC_KUBECTLS-}; compgen -G "${real%.[0-9]*}.[0-9]*"; } | sort -u
}

# k ...: the kubectl under test, in its namespace. Its warning about the versions' distance is not looked at.
k() { in_node "$BIN" -n "$WHERE" "$@"; }

# says <what> <patterns, one a line> <command...>: for each, its output has a line that matches.
says() {
    local what=$1 patterns=$2 pattern out
    shift 2
    out=$("$@" 2>&1)
    while IFS= read -r pattern; do
        grep -qE -- "$pattern" <<<"$out" || { echo "$out" | head -n 40; fail "$what: no line matches <$pattern>"; }
    done <<<"$patterns"
}

# prints <text> <command...>: exactly that on standard output.
prints() {
    local want=$1
    shift
    expect "$*" "$want" "$("$@" 2>/dev/null)"
}

sorted() { "$@" | sort; }

creates_and_applies() {
    says create '^deployment.apps/web created$' k create deployment web --image="$BUSYBOX" --replicas=0 -- sleep 3600
    # Containers that are PID 1 ignore SIGTERM: no need to wait 30 s for each.
    says patch '^deployment.apps/web patched$' k patch deployment web \
        -p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":0}}}}'
    says scale '^deployment.apps/web scaled$' k scale deployment web --replicas=2
    says apply '^configmap/conf created$' k apply -f "$DATA_DIR/conf.yaml"
    says "apply again" '^configmap/conf unchanged$' k apply -f "$DATA_DIR/conf.yaml"
    says "apply a change" '^configmap/conf configured$' k apply -f "$DATA_DIR/conf2.yaml"
    prints "two" k get configmap conf -o 'jsonpath={.data.key}'
    says "create again" 'AlreadyExists.*configmaps "conf" already exists' k create -f "$DATA_DIR/conf.yaml"
    says diff '^\+  key: one$' k diff -f "$DATA_DIR/conf.yaml"
    k rollout status deployment/web --timeout=60s >/dev/null || fail "rollout status"
}

gets() {
    says "get" $'^NAME  *READY  *UP-TO-DATE  *AVAILABLE  *AGE$\n^web  *2/2  *2  *2  *[0-9]+s$' k get deployment web
    says "get -o wide" "^web .* busybox  *$BUSYBOX  *app=web$" k get deployment web -o wide
    says "get -o yaml" '^kind: Deployment$' k get deployment web -o yaml
    expect "get -o json" 2 "$(k get deployment web -o json | jq .status.readyReplicas)"
    says "get pods -o wide" '^web-.* 1/1  *Running  *0 .* 10\.244\.' k get pods -o wide
    says "get all" '^deployment.apps/web ' k get all
    says "get --show-labels" 'app=web$' k get deployment --show-labels
    says "custom columns" '^web  *2$' k get deployment -o custom-columns=N:.metadata.name,R:.spec.replicas
    says "not there" 'NotFound.*deployments.apps "none" not found' k get deployment none
}

describes() {
    local pod
    pod=$(k get pods -o name | head -n1)
    k expose deployment web --port=80 >/dev/null || fail expose
    until_ok 10 eval '[ "$(k get endpoints web -o "jsonpath={.subsets[0].addresses[1].ip}" 2>/dev/null)" != "" ]'
    says "describe deployment" '^Replicas: .*2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable
ScalingReplicaSet .*Scaled up replica set web-' k describe deployment web
    says "describe pod" "^Controlled By:  *ReplicaSet/web-
Successfully assigned $WHERE/web-" k describe "$pod"
    says "describe service" '^Endpoints: *10\.244\.[0-9.]*:80,10\.244\.[0-9.]*:80$' k describe service web
    says "describe node" "^  Ready  *True .*KubeletReady .*kubelet is posting ready status\$
^  $WHERE  *web-" k describe node
}

changes() {
    says label '^deployment.apps/web labeled$' k label deployment web tier=front
    says "label again" "already has a value" k label deployment web tier=middle
    says annotate '^deployment.apps/web annotated?$' k annotate deployment web note=hi
    says "json patch" '^deployment.apps/web patched$' k patch deployment web --type=json \
        -p '[{"op":"add","path":"/metadata/labels/x","value":"y"}]'
    says "merge patch" '^deployment.apps/web patched$' k patch deployment web --type=merge -p '{"metadata":{"labels":{"x":"z"}}}'
    EDITOR=$DATA_DIR/editor says edit '^deployment.apps/web edited$' k edit deployment web
    prints "back z" k get deployment web -o 'jsonpath={.metadata.labels.tier} {.metadata.labels.x}'
    says scale '^deployment.apps/web scaled$' k scale deployment web --replicas=1
    says "explain" 'strategy.*<DeploymentStrategy>|rollingUpdate' k explain deployment.spec.strategy
    says "explain" 'image +<string>|FIELD: +image +<string>' k explain pods.spec.containers.image
    says "explain" 'does not exist' k explain pods.spec.none
}

rolls_out() {
    local rc
    says "set image" '^deployment.apps/web image updated$' k set image deployment/web busybox="$BUSYBOX_NEXT"
    says "rollout status" '^deployment "web" successfully rolled out$' k rollout status deployment/web --timeout=60s
    says "rollout history" '^3 ' k rollout history deployment/web
    says "rollout history" "Image:[[:space:]]*$BUSYBOX_NEXT" k rollout history deployment/web --revision=3
    says "rollout pause" '^deployment.apps/web paused$' k rollout pause deployment/web
    k set env deployment/web A=1 >/dev/null
    says "a paused one" 'you cannot rollback a paused deployment' k rollout undo deployment/web
    says "rollout resume" '^deployment.apps/web resumed$' k rollout resume deployment/web
    k rollout status deployment/web --timeout=60s >/dev/null || fail "rollout status after resume"
    says "rollout undo" '^deployment.apps/web rolled back$' k rollout undo deployment/web --to-revision=2
    k rollout status deployment/web --timeout=60s >/dev/null || fail "rollout status after undo"
    prints "$BUSYBOX" k get deployment web -o 'jsonpath={.spec.template.spec.containers[0].image}'
    says "rollout restart" '^deployment.apps/web restarted$' k rollout restart deployment/web
    k rollout status deployment/web --timeout=60s >/dev/null || fail "rollout status after restart"
    # An image that is nowhere: the rollout stays, and `rollout status` gives up when it should.
    k set image deployment/web busybox=localhost:1/none:1 >/dev/null
    k rollout status deployment/web --timeout=1s >/dev/null 2>&1
    rc=$?
    expect "exit code of a rollout that does not end" 1 $rc
    k rollout undo deployment/web >/dev/null && k rollout status deployment/web --timeout=60s >/dev/null || fail "undo of it"
}

logs() {
    mkdir -p "$DATA_DIR/$WHERE" && sed "s/flow-N/$WHERE/" "$DATA_DIR/talk.yaml" >"$DATA_DIR/$WHERE.yaml"
    says apply '^pod/talk created$' k apply -f "$DATA_DIR/$WHERE.yaml"
    until_ok 60 eval '[ "$(k logs talk -c a 2>/dev/null | tail -n1)$(k logs talk -c b 2>/dev/null | tail -n1)" = a3b1 ]'
    prints $'a1\na2\na3' k logs talk -c a
    prints $'a2\na3' k logs talk -c a --tail=2
    prints "" k logs talk -c a --tail=0
    prints $'a1\na' k logs talk -c a --limit-bytes=4
    prints $'a1\na2\na3' k logs talk -c a --since=1h
    prints $'a1\na2\na3' k logs talk -c a --since-time=2020-01-01T00:00:00Z
    prints "" k logs talk -c a --since-time=2099-01-01T00:00:00Z
    prints $'p1' k logs talk -c a --previous
    says "no previous" 'previous terminated container "b" in pod "talk" not found' k logs talk -c b --previous
    says "logs --timestamps" '^20[0-9-]*T[0-9:.]*Z a1$' k logs talk -c a --timestamps
    prints $'b1' k logs talk -c b
    prints $'a3\nb1' sorted k logs talk --all-containers --tail=1
    prints $'[pod/talk/a] a3\n[pod/talk/b] b1' sorted k logs talk --all-containers --prefix --tail=1
    # In no order.
    prints $'[pod/talk/a] a3\n[pod/talk/b] b1' sorted k logs -l app=talk --all-containers --prefix --tail=1
    says "which container" 'container none is not valid for pod talk' k logs talk -c none
    # -f: what is written after it began comes, and its end with the container's.
    in_node timeout 30 "$BIN" -n "$WHERE" logs -f talk -c a --tail=1 >"$DATA_DIR/follow.$WHERE" 2>/dev/null &
    until_ok 20 grep -qx a3 "$DATA_DIR/follow.$WHERE"
    touch "$DATA_DIR/$WHERE/go"
    wait $!
    expect "logs -f" $'a3\na4' "$(cat "$DATA_DIR/follow.$WHERE")"
}

deletes() {
    says "delete --force" 'pod "talk" force(fully)? deleted' k delete pod talk --force --grace-period=0
    prints "" k get pod talk -o name
    says "orphan" 'deployment.apps "web" deleted' k delete deployment web --cascade=orphan
    [ -n "$(k get rs -o name)" ] || fail "replica sets went with an orphaning deployment"
    k delete rs --all --cascade=foreground --wait >/dev/null || fail "delete --cascade=foreground"
    prints "" k get pods -l app=web -o name
    k create deployment gone --image="$BUSYBOX" -- sleep 3600 >/dev/null
    until_ok 30 eval '[ -n "$(k get pods -l app=gone -o name)" ]'
    k delete deployment gone --cascade=background --wait >/dev/null || fail "delete --cascade=background"
    until_ok 30 eval '[ -z "$(k get rs -l app=gone -o name)" ]'
    k delete configmap conf --wait=false >/dev/null || fail "delete --wait=false"
    k delete pods --all --force --grace-period=0 >/dev/null 2>&1
    says "delete nothing" 'NotFound' k delete configmap conf
    says "ignore" '^$' k delete configmap conf --ignore-not-found
}

# Ends with the number of failures on the last line of its log.
flow() {
    local step
    BIN=$1 WHERE=$2 FAILURES=0
    in_node "$BIN" create namespace "$WHERE" || fail namespace
    until_ok 10 k get serviceaccount default
    for step in creates_and_applies gets describes changes rolls_out logs deletes; do
        run $step
    done
    echo $FAILURES
}

cat >"$DATA_DIR/conf.yaml" <<'EOF2'
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {key: one}
EOF2
sed 's/one/two/' "$DATA_DIR/conf.yaml" >"$DATA_DIR/conf2.yaml"
cat >"$DATA_DIR/editor" <<'EOF2'
#!/bin/sh
exec sed -i 's/tier: front/tier: back/' "$1"
EOF2
chmod +x "$DATA_DIR/editor"
# a ends once, and a second time when it is told to.
cat >"$DATA_DIR/talk.yaml" <<EOF2
apiVersion: v1
kind: Pod
metadata: {name: talk, labels: {app: talk}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: a
    image: $BUSYBOX
    command:
    - sh
    - -c
    - |
      [ -e /keep/second ] || { touch /keep/second; echo p1; exit 1; }
      echo a1; echo a2; echo a3
      until [ -e /keep/go ]; do usleep 50000; done
      echo a4
    volumeMounts: [{name: keep, mountPath: /keep}]
  - {name: b, image: $BUSYBOX, command: [sh, -c, 'echo b1 >&2; exec sleep 3600']}
  volumes: [{name: keep, hostPath: {path: $DATA_DIR/flow-N}}]
EOF2

mapfile -t bins < <(kubectls)
for i in "${!bins[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    flow "${bins[i]}" "flow-$i" >"$DATA_DIR/flow-$i.log" 2>&1 &
done
wait
for i in "${!bins[@]}"; do
    n=$(tail -n1 "$DATA_DIR/flow-$i.log")
    echo "=== ${bins[i]}: $n failures"
    [ "$n" = 0 ] || { cat "$DATA_DIR/flow-$i.log"; FAILURES=$((FAILURES + 1)); }
done
echo "$FAILURES failures with ${#bins[@]} kubectls"
[ $FAILURES -eq 0 ]

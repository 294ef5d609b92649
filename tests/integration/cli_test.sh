#!/bin/bash
# kubec against a real API server: what it prints and how it exits, compared to the byte with kubectl where that is here.
. "$(dirname "$0")/lib.sh"
PATH=$KUBEC_BIN:$PATH
start_control_plane
cd "$WORK" || exit 1

cat >demo.yaml <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: demo}
spec:
  selector: {app: demo}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: demo, labels: {app: demo}}
spec:
  replicas: 2
  selector: {matchLabels: {app: demo}}
  template:
    metadata: {labels: {app: demo}}
    spec: {containers: [{name: web, image: "x<y>&z:1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p1, labels: {app: p, tier: a}}
spec: {containers: [{name: c, image: busybox}, {name: d, image: busybox}]}
YAML
cat >bad.yaml <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: bad}
spec: {replicas: -1, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: unknown}
foo: bar
---
apiVersion: foo/v1
kind: Foo
metadata: {name: f}
---
kind: X
YAML

# --- what is written

is "create" 'serviceaccount/default created' "$(kubec create sa default)"
is "apply creates" 'service/demo created
deployment.apps/demo created
pod/p1 created' "$(kubec apply -f demo.yaml)"
is "apply again" 'service/demo unchanged
deployment.apps/demo unchanged
pod/p1 unchanged' "$(kubec apply -f - <demo.yaml)"
is "apply of a change" 'service/demo unchanged
deployment.apps/demo configured
pod/p1 unchanged' "$(sed 's/replicas: 2/replicas: 3/' demo.yaml | kubec apply -f -)"
is "the change" 3 "$(kubec get deploy demo -o json | jq .spec.replicas)"
is "scale" 'deployment.apps/demo scaled' "$(kubec scale deploy/demo --replicas=1 --current-replicas=3)"
is "scaled" 1 "$(kubec get deploy demo -o json | jq .spec.replicas)"
is "pause" 'deployment.apps/demo paused' "$(kubec rollout pause deploy/demo)"
is "resume" 'deployment.apps/demo resumed' "$(kubec rollout resume deploy/demo)"
is "restart" 'deployment.apps/demo restarted' "$(kubec rollout restart deploy demo)"
has "restarted" restartedAt "$(kubec get deploy demo -o json | jq -c .spec.template.metadata.annotations)"
is "names" 'pod/p1' "$(kubec get pods -l app=p -o name)"
is "config map" 'configmap/c1 created' "$(kubec create configmap c1 --from-literal=a=b --from-file=bad.yaml)"
is "its data" '["a","bad.yaml"]' "$(kubec get cm c1 -o json | jq -c '.data | keys')"
is "dry run" 'namespace/n1 created (server dry run)' "$(kubec create ns n1 --dry-run=server)"

# --- the same as kubectl

# Two runs may fall on either side of a second: an age and its padding are not compared.
without_ages() {
    sed -E 's/(^| )([0-9]+[smhd])+( +|$)/\1<age>/g' "$1"
}

# same <words...>: output, errors and exit code.
same() {
    local want got
    "$KUBECTL" "$@" >want.out 2>want.err
    want=$?
    kubec "$@" >got.out 2>got.err
    got=$?
    sed -E -i 's/kubec ([a-z])/kubectl \1/g; s/"kubec"/"kubectl"/g' got.out got.err
    is "kubec $*: exit code" "$want" "$got"
    is "kubec $*: output" "$(without_ages want.out)" "$(without_ages got.out)"
    is "kubec $*: errors" "$(cat want.err)" "$(cat got.err)"
}

if command -v "$KUBECTL" >/dev/null && needs_kubectl 32 "what kubec prints is compared with it"; then
    while read -r words; do
        # shellcheck disable=SC2086 # words of a command line; ~ is a space inside of one
        set -f && set -- $words && set +f
        same "${@//\~/ }"
    done <<'COMMANDS'
get pods
get pods -o json
get pods -o yaml
get pods,svc -o yaml
get pod p1 -o yaml
get deploy demo -o json
get deploy/demo svc/demo
get svc -o wide
get pods --show-labels --no-headers
get pods -L app,tier
get pods -l app=p
get pods --field-selector=metadata.name=p1
get cm,secret -A
get pods -o jsonpath={.items[*].metadata.name}
get pods -o jsonpath={range~.items[*]}{.metadata.name}{"\n"}{end}
get pod p1 -o jsonpath={.spec.containers[?(@.name=="d")].image}
get pod p1 -o jsonpath={.spec.containers[0]}
get pod p1 -o jsonpath={.none}
get pod p1 -o jsonpath={.spec
get pod p1 -o jsonpath=
get pods -o jsonpath-as-json={.items[*].metadata.name}
get pods -o custom-columns=NAME:.metadata.name,IMAGES:.spec.containers[*].image,NONE:.none
get pod p1 -o custom-columns=LABELS:.metadata.labels,LIST:.spec.containers[*].ports --no-headers
get pods -o custom-columns=NAME
get pods,svc -o custom-columns=KIND:kind,NAME:metadata.name
get pods --sort-by=.metadata.name
get pods --sort-by=.metadata.name -o name
get cm --sort-by={.metadata.name} -o jsonpath={.items[*].metadata.name}
get pods --sort-by=.nope
get pods --sort-by=.nope -o name
create deployment d9 --image=busybox --dry-run=client -o jsonpath={.spec.replicas}
api-versions
auth whoami
auth whoami -o jsonpath={.status.userInfo}
auth can-i get pods
auth can-i get pods --as=bob
auth can-i list deployments.apps -A -q
auth can-i get /healthz
auth can-i get
auth can-i fly pods
auth can-i get unicorns
auth can-i get nodes
get nodes
get cm -n none
get pods nope nope2
get pods p1 nope
get pods nope --ignore-not-found
get nosuch
get pods p1 -l a=b
get -f demo.yaml -o name
get --raw /version
api-resources
api-resources -o wide
apply
apply -f nope.yaml
apply -f bad.yaml
apply -f demo.yaml --dry-run=server
apply -f demo.yaml --dry-run=x
create -f bad.yaml
create -f demo.yaml
create ns default
create deployment demo --image=x
delete pod
delete pod nope
delete
scale --replicas=2 deploy/nope
scale --replicas=2 --current-replicas=9 deploy/demo
rollout history deploy/demo
rollout history pod/p1
rollout status deploy/demo --timeout=1s
rollout status pod/p1
rollout undo deploy/demo
logs
logs nope
logs p1 -c nope
config view
config view --minify
config current-context
config get-contexts
config get-contexts nope
wait --for=condition=Ready pod/p1 --timeout=1s
wait --for=delete pod/nope --timeout=1s
--token=bad get pods
-n none get pods
COMMANDS

    # Changes: each tool makes them to an object of its own, called OBJ here.
    for tool in want got; do
        "$KUBECTL" create cm "$tool" --from-literal=a=b >/dev/null
        "$KUBECTL" create -f - >/dev/null <<< '{"apiVersion":"v1","kind":"Node","metadata":{"name":"'$tool'"}}'
    done
    while read -r words; do
        "$KUBECTL" ${words//OBJ/want} >want.out 2>want.err
        want=$?
        kubec ${words//OBJ/got} >got.out 2>got.err
        got=$?
        sed -E -i 's/\bwant\b/OBJ/g' want.out want.err
        sed -E -i 's/\bgot\b/OBJ/g; s/kubec ([a-z])/kubectl \1/g' got.out got.err
        is "kubec $words: exit code" "$want" "$got"
        is "kubec $words: output" "$(cat want.out)" "$(cat got.out)"
        is "kubec $words: errors" "$(cat want.err)" "$(cat got.err)"
    done <<'CHANGES'
label cm OBJ app=web tier=a
label cm OBJ app=web
label cm OBJ app=db
label cm OBJ app=db --overwrite
label cm OBJ tier-
label cm OBJ tier-
label cm/OBJ x=y z- -o jsonpath={.metadata.labels}
label cm OBJ a=b cm/other
label cm OBJ a=b a-
label cm OBJ
label a=b
label cm OBJ =v
label cm OBJ x=y=z
label cm OBJ x=@@
label
label cm OBJ client=1 --dry-run=client
label cm OBJ server=1 --dry-run=server -o name
label cm none a=b
annotate cm OBJ note=hello
annotate cm OBJ note=bye
annotate cm OBJ note=bye --overwrite
annotate cm OBJ note-
annotate cm OBJ --list
patch cm OBJ -p {"data":{"a":"c"}}
patch cm OBJ -p {"data":{"a":"c"}}
patch cm OBJ --type=merge -p data:{a:d}
patch cm OBJ --type=json -p [{"op":"replace","path":"/data/a","value":"e"}]
patch cm OBJ --type=json -p [{"op":"test","path":"/data/a","value":"f"}]
patch cm OBJ
patch cm OBJ --type=none -p {}
patch cm none -p {}
cordon OBJ
cordon OBJ
uncordon OBJ --dry-run=server
uncordon OBJ
uncordon OBJ
cordon none
taint node OBJ k=v:NoSchedule
taint node OBJ k=v:NoSchedule
taint node OBJ k=w:NoSchedule --overwrite
taint node OBJ j:NoExecute k-
taint node OBJ j:NoExecute-
taint node OBJ j-
taint node OBJ k=v:Never
taint node OBJ k=v
CHANGES
    # kubectl's order is by chance.
    is "labels" $'app=db\nx=y' "$(kubec label cm got --list)"
    is "what kubec has made of the node" "$("$KUBECTL" get node want -o jsonpath='{.spec}')" "$("$KUBECTL" get node got -o jsonpath='{.spec}')"
    is "and of the map" "$("$KUBECTL" get cm want -o jsonpath='{.data}{.metadata.labels}{.metadata.annotations}')" \
        "$("$KUBECTL" get cm got -o jsonpath='{.data}{.metadata.labels}{.metadata.annotations}')"
fi

# --- watches and deletion

kubec get pods -w --no-headers >watched 2>&1 &
WATCH=$!
PIDS+=("$WATCH")
eventually 10 grep -q '^p1 ' watched || fail "the watch lists nothing"
kubec create -f - >/dev/null <<'YAML'
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p2"},"spec":{"containers":[{"name":"c","image":"i"}]}}
YAML
eventually 10 grep -q '^p2 ' watched || fail "the watch misses a pod"
kubec wait --for=delete pod/p2 --timeout=20s >waited 2>&1 &
WAIT=$!
is "delete" 'pod "p2" deleted from default namespace' "$(kubec delete pod p2)"
wait "$WAIT"
is "wait for the deletion" 0 $?
is "delete of files" 'service "demo" deleted from default namespace
deployment.apps "demo" deleted from default namespace
pod "p1" deleted from default namespace' "$(kubec delete -f demo.yaml)"
is "nothing left" 'No resources found in default namespace.' "$(kubec get pods 2>&1)"
kill "$WATCH"
stop_apiserver

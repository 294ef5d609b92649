#!/bin/bash
# kubec's commands that take their time, without a node: drain, edit, proxy, run, logs and debug as far as the API server goes.
# exec_test.sh has those that need containers.
. "$(dirname "$0")/lib.sh"
start_control_plane
kubec() { timeout 60 "$KUBEC_BIN/kubec" "$@"; }
kubec create serviceaccount default -n default >/dev/null
kubec create -f - >/dev/null <<<'{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}'

# pod <name> <more of the spec>: bound to n1, where nobody runs it.
pod() {
    kubec create -f - >/dev/null <<<"{apiVersion: v1, kind: Pod, metadata: {name: $1, labels: {app: $1}},
      spec: {nodeName: n1, terminationGracePeriodSeconds: 0, containers: [{name: c, image: x}], ${2-}}}"
}

echo "--- drain"
pod plain
pod local 'volumes: [{name: v, emptyDir: {}}]'
kubec drain n1 >"$WORK/out" 2>"$WORK/err"
is "what stops it: exit code" 1 $?
is "it is cordoned" "node/n1 cordoned" "$(cat "$WORK/out")"
is "what stops it" 'error: unable to drain node "n1" due to error: [cannot delete Pods with local storage (use --delete-emptydir-data to override): default/local, cannot delete cannot delete Pods that declare no controller (use --force to override): default/plain], continuing command...
There are pending nodes to be drained:
 n1
cannot delete Pods with local storage (use --delete-emptydir-data to override): default/local
cannot delete cannot delete Pods that declare no controller (use --force to override): default/plain' "$(cat "$WORK/err")"
is "a dry run" "node/n1 already cordoned (dry run)
evicting pod default/local (dry run)
evicting pod default/plain (dry run)
node/n1 drained (dry run)" "$(kubec drain n1 --force --delete-emptydir-data --dry-run=client 2>"$WORK/err")"
is "its warning" "Warning: deleting Pods that declare no controller: default/local, default/plain" "$(cat "$WORK/err")"
is "by deletion" "node/n1 already cordoned
pod/plain deleted
node/n1 drained" "$(kubec drain n1 --force --pod-selector=app=plain --disable-eviction --grace-period=0 2>/dev/null)"
is "by eviction" "node/n1 already cordoned
evicting pod default/local
pod/local evicted
node/n1 drained" "$(kubec drain n1 --force --delete-emptydir-data 2>/dev/null)"
pod stays
kubec patch pod stays -p '{"metadata":{"finalizers":["a.example/b"]}}' >/dev/null
kubec drain n1 --force --timeout=1s >"$WORK/out" 2>"$WORK/err"
is "out of time: exit code" 1 $?
is "out of time" 'Warning: deleting Pods that declare no controller: default/stays
There are pending pods in node "n1" when an error occurred: error when waiting for pod "stays" in namespace "default" to terminate: context deadline exceeded
pod/stays
error: unable to drain node "n1" due to error: error when waiting for pod "stays" in namespace "default" to terminate: context deadline exceeded, continuing command...
There are pending nodes to be drained:
 n1
error when waiting for pod "stays" in namespace "default" to terminate: context deadline exceeded' "$(cat "$WORK/err")"
is "it is not waited for again" "node/n1 already cordoned
node/n1 drained" "$(kubec drain n1 --force --skip-wait-for-delete-timeout=1 2>/dev/null)"
is "uncordon" "node/n1 uncordoned" "$(kubec uncordon n1)"

echo "--- edit"
kubec create configmap e --from-literal=a=b >/dev/null
# editor <script>: what the user does with $1.
editor() { printf '#!/bin/bash\n%s\n' "$1" >"$WORK/editor"; chmod +x "$WORK/editor"; export KUBE_EDITOR=$WORK/editor TMPDIR=$WORK; }
editor 'sed -i "s/a: b/a: c/" "$1"'
is "an edit" 'Patch: {"data":{"a":"c"}}
configmap/e edited' "$(kubec edit cm e --output-patch)"
is "its field manager" kubectl-edit "$(kubec get cm e -o json --show-managed-fields | jq -r '.metadata.managedFields[-1].manager')"
editor :
is "no change" "Edit cancelled, no changes made." "$(kubec edit cm e 2>&1)"
editor ': >"$1"'
is "an empty file" "Edit cancelled, saved file was empty." "$(kubec edit cm e 2>&1)"
editor "n=\$(cat $WORK/turns 2>/dev/null); echo x >>$WORK/turns; [ -n \"\$n\" ] && cp \"\$1\" $WORK/second || sed -i 's/a: c/a: [/' \"\$1\""
kubec edit cm e 2>"$WORK/err"
is "invalid twice: exit code" 1 $?
is "it is opened again with the reason" '# configmaps "e" was not valid:' "$(sed -n 5p "$WORK/second")"
has "the changes are kept" "A copy of your changes has been stored to \"$WORK/kubec-edit-" "$(cat "$WORK/err")"
has "it is given up" "error: Edit cancelled, no valid changes were saved." "$(cat "$WORK/err")"
editor 'sed -i "s/name: e$/name: f/" "$1"'
has "another name" "error: At least one of apiVersion, kind and name was changed" "$(kubec edit cm e 2>&1)"
editor 'exit 3'
is "an editor that fails" "error: there was a problem with the editor \"$WORK/editor\"" "$(kubec edit cm e 2>&1)"
rm -f "$WORK"/kubec-edit-*
unset KUBE_EDITOR

echo "--- proxy"
mkdir "$WORK/www" && echo file >"$WORK/www/a.txt"
"$KUBEC_BIN/kubec" proxy --port=0 --www="$WORK/www" >"$WORK/proxy.out" 2>"$WORK/proxy.err" &
PIDS+=($!)
eventually 60 grep -q '^Starting to serve on 127.0.0.1:' "$WORK/proxy.out" || fail "the proxy starts"
AT=http://$(sed 's/.* on //' "$WORK/proxy.out")
is "the API" "e" "$(curl -s "$AT/api/v1/namespaces/default/configmaps/e" | jq -r .metadata.name)"
is "a body" 201 "$(curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d '{"metadata":{"name":"p"}}' \
    "$AT/api/v1/namespaces/default/configmaps")"
is "a file" file "$(curl -s "$AT/static/a.txt")"
is "exec is refused" 403 "$(curl -s -o /dev/null -w '%{http_code}' "$AT/api/v1/namespaces/default/pods/x/exec")"
is "another host is refused" 403 "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: example.com' "$AT/version")"
is "out of the directory" 301 "$(curl -s -o /dev/null -w '%{http_code}' --path-as-is "$AT/static/../../etc/passwd")"
is "kubectl by the proxy" "configmap/p" "$(env -u KUBECONFIG HOME="$WORK" "$KUBECTL" -s "$AT" get cm p -o name)"
curl -sN --max-time 60 "$AT/api/v1/namespaces/default/configmaps?watch=true" >"$WORK/watch" &
PIDS+=($!)
eventually 60 grep -q '"name":"p"' "$WORK/watch" || fail "a watch by the proxy"

echo "--- run and debug"
is "run" "pod/r created" "$(kubec run r --image=x --restart=Never --env=A=b,c --overrides='{"spec":{"nodeName":"n1"}}' -- one two)"
is "what it has made" 'n1 Never A=b,c one,two r' "$(kubec get pod r -o json |
    jq -r '[.spec.nodeName, .spec.restartPolicy, (.spec.containers[0] | .env[0].name + "=" + .env[0].value, (.args | join(","))), .metadata.labels.run] | join(" ")')"
is "debug" "Defaulting debug container name to debugger-." "$(kubec debug r --image=y | sed 's/-[a-z0-9]*\.$/-./')"
is "its capability" "SYS_PTRACE" "$(kubec get pod r -o 'jsonpath={.spec.ephemeralContainers[0].securityContext.capabilities.add[0]}')"
kubec debug r -q --copy-to=r2 --set-image=c=z || fail "debug --copy-to"
is "nothing" "error: you must specify --image, --set-image or command arguments." "$(kubec debug r --copy-to=r3 2>&1)"

echo "--- a server that does not answer, a pipe that is closed"
python3 -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(5); print(s.getsockname()[1], flush=True); time.sleep(120)' >"$WORK/deaf" &
PIDS+=($!)
eventually 60 test -s "$WORK/deaf"
kubec -s "http://127.0.0.1:$(cat "$WORK/deaf")" --request-timeout=300ms logs x >/dev/null 2>&1
is "a server that does not answer" 1 $?
kubec get cm e -o yaml 2>"$WORK/err" | true
[ ! -s "$WORK/err" ] || fail "a closed pipe is no message: $(cat "$WORK/err")"
stop_apiserver

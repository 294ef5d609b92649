#!/bin/bash
# kubec changes things: generators, kustomizations, apply in its forms, set, expose, wait. tests/parity compares each flag with
# kubectl; this one needs none.
. "$(dirname "$0")/lib.sh"
PATH=$KUBEC_BIN:$PATH
cd "$WORK" || exit 1

# --- without a server

mkdir base
cat >base/kustomization.yaml <<'YAML'
resources: [web.yaml]
configMapGenerator: [{name: settings, literals: [a=b]}]
YAML
cat >base/web.yaml <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx:1, envFrom: [{configMapRef: {name: settings}}]}]}
YAML
is "a manifest without a server" '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c"},"data":{"a":"b,c"}}' \
    "$(KUBECONFIG=/dev/null kubec create cm c --from-literal=a=b,c --dry-run=client -o json | jq -c .)"
is "set --local" nginx:2 "$(KUBECONFIG=/dev/null kubec set image -f base/web.yaml web=nginx:2 --local -o json |
    jq -r '.spec.template.spec.containers[0].image')"
is "patch --local" 5 "$(KUBECONFIG=/dev/null kubec patch -f base/web.yaml -p '{"spec":{"replicas":5}}' --local -o jsonpath='{.spec.replicas}')"
is "a hash of a name" settings-4h2mbtbbt6 "$(kubec kustomize base | sed -n 's/^  name: \(settings.*\)/\1/p')"
is "the reference to it" settings-4h2mbtbbt6 "$(kubec kustomize base | sed -n 's/^ *name: \(settings.*\)/\1/p' | tail -n 1)"

start_control_plane

# --- apply

kubec create sa default >/dev/null
is "apply -k" 'configmap/settings-4h2mbtbbt6 created
deployment.apps/web created' "$(kubec apply -k base)"
is "and again" 'configmap/settings-4h2mbtbbt6 unchanged
deployment.apps/web unchanged' "$(kubec apply -k base)"
sed -i 's/a=b/a=c/' base/kustomization.yaml
is "what is not there any more" 'configmap/settings-4h2mbtbbt6 pruned' \
    "$(kubec apply -k base --prune --all --prune-allowlist=core/v1/ConfigMap | grep pruned)"
is "one map is left" 1 "$(kubec get cm -o name | wc -l)"
is "what was applied last" nginx:1 "$(kubec apply view-last-applied deploy/web -o json | jq -r '.spec.template.spec.containers[0].image')"

is "server-side" 'deployment.apps/web serverside-applied' "$(kubec apply --server-side -f base/web.yaml)"
is "who owns it then" 'kubectl Apply
kubectl-last-applied Apply' "$(kubec get deploy web -o json --show-managed-fields |
    jq -r '.metadata.managedFields[] | .manager + " " + .operation' | sort)"
sed 's/nginx:1/nginx:3/' base/web.yaml >other.yaml
has "a conflict" 'conflict with "kubectl": .spec.template.spec.containers[name="web"].image' \
    "$(kubec apply --server-side --field-manager=other -f other.yaml 2>&1)"
is "by force" 'deployment.apps/web serverside-applied' \
    "$(kubec apply --server-side --field-manager=other --force-conflicts -f other.yaml)"

# --- other changes

is "set image" 'deployment.apps/web image updated' "$(kubec set image deploy/web web=nginx:4)"
is "set env" 'deployment.apps/web env updated' "$(kubec set env deploy/web A=b)"
is "list env" '# Deployment web, container web
A=b' "$(kubec set env deploy/web --list)"
is "expose" 'service/web exposed' "$(kubec expose deploy web --port=80)"
is "what it selects" '{"app":"web"}' "$(kubec get svc web -o jsonpath='{.spec.selector}')"
is "autoscale" 'horizontalpodautoscaler.autoscaling/web autoscaled' "$(kubec autoscale deploy web --max=3 --cpu-percent=50)"
is "wait for a field" 'deployment.apps/web condition met' "$(kubec wait deploy/web --for=jsonpath='{.spec.replicas}'=1 --timeout=60s)"
kubec wait cm/late --for=create --timeout=60s >waited 2>&1 &
WAIT=$!
kubec create cm late >/dev/null
wait "$WAIT"
is "wait for a creation" 'configmap/late condition met' "$(cat waited)"
is "a refusal" 'deletion is cancelled' "$(kubec delete -i cm late <<<n | sed -n 's/.*: deletion/deletion/p')"
is "delete" 'configmap "late" deleted from default namespace' "$(kubec delete cm late)"
is "the warnings of the server" 'Warning: unknown field "foo"' \
    "$(kubec create --validate=warn -f - <<<'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"w"},"foo":1}' 2>&1 >/dev/null)"
stop_apiserver

"""What clients_test.sh does with Debian's python3-kubernetes.

python_client.py use <kubeconfig>         typed CRUD, patches and verbs; prints what is wrong
python_client.py inform <kubeconfig>      an informer of ConfigMaps labelled informed=yes: a line for each thing that it learns
python_client.py exec <kubeconfig> <pod>  exec by WebSocket
"""
import json, sys, time

import urllib3
from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.stream import stream

NS = "default"
MERGE = "application/merge-patch+json"
failures = 0


def is_(what, expected, actual):
    global failures
    if expected != actual:
        failures += 1
        print("FAIL: python: %s\n  expected: %r\n  actual:   %r" % (what, expected, actual))


def refused(what, status, reason, call, *args, **kwargs):
    """The call is answered with this code and reason; the message."""
    try:
        call(*args, **kwargs)
    except ApiException as e:
        body = client.ApiClient().deserialize(type("Answer", (), {"data": e.body}), "V1Status")
        is_(what, (status, reason), (e.status, body.reason))
        return body.message
    is_(what, (status, reason), "success")
    return ""


def meta(name, **kwargs):
    return client.V1ObjectMeta(name=name, namespace=NS, **kwargs)


def container(**kwargs):
    return client.V1Container(name="c", image="image:1", **kwargs)


def config_maps(core):
    made = core.create_namespaced_config_map(NS, client.V1ConfigMap(metadata=meta("py", labels={"by": "python"}), data={"a": "1"}))
    is_("create: data", {"a": "1"}, made.data)
    refused("create again", 409, "AlreadyExists", core.create_namespaced_config_map, NS, client.V1ConfigMap(metadata=meta("py")))
    refused("a bad name", 422, "Invalid", core.create_namespaced_config_map, NS, client.V1ConfigMap(metadata=meta("Py_")))
    is_("read", made.metadata.uid, core.read_namespaced_config_map("py", NS).metadata.uid)

    made.data["b"] = "2"
    replaced = core.replace_namespaced_config_map("py", NS, made)
    is_("replace", {"a": "1", "b": "2"}, replaced.data)
    refused("replace an old one", 409, "Conflict", core.replace_namespaced_config_map, "py", NS, made)

    patched = core.patch_namespaced_config_map("py", NS, [{"op": "replace", "path": "/data/a", "value": "json"}])
    is_("JSON patch", {"a": "json", "b": "2"}, patched.data)
    refused("a test of a JSON patch", 422, "Invalid", core.patch_namespaced_config_map, "py", NS,
            [{"op": "test", "path": "/data/a", "value": "other"}, {"op": "remove", "path": "/data/a"}])
    patched = core.patch_namespaced_config_map("py", NS, {"data": {"b": None, "c": "strategic"}})
    is_("strategic merge patch", {"a": "json", "c": "strategic"}, patched.data)
    dry = core.patch_namespaced_config_map("py", NS, {"data": {"d": "dry"}}, dry_run="All")
    is_("dry run", ("dry", False), (dry.data["d"], "d" in core.read_namespaced_config_map("py", NS).data))

    for i in range(4):
        core.create_namespaced_config_map(NS, client.V1ConfigMap(metadata=meta("py-%d" % i, labels={"by": "python"})))
    pages, token = [], None
    while True:
        page = core.list_namespaced_config_map(NS, label_selector="by=python", limit=2, _continue=token)
        pages.append([o.metadata.name for o in page.items])
        token = page.metadata._continue
        if not token:
            break
    is_("pages", [["py", "py-0"], ["py-1", "py-2"], ["py-3"]], pages)
    is_("by field", ["py-2"], [o.metadata.name for o in core.list_config_map_for_all_namespaces(field_selector="metadata.name=py-2").items])

    is_("delete", ("Success", "py"), (lambda s: (s.status, s.details.name))(core.delete_namespaced_config_map("py", NS)))
    is_("read what is gone", 'configmaps "py" not found', refused("read", 404, "NotFound", core.read_namespaced_config_map, "py", NS))
    core.delete_collection_namespaced_config_map(NS, label_selector="by=python")
    is_("delete a collection", [], core.list_namespaced_config_map(NS, label_selector="by=python").items)


def deployments(apps):
    made = apps.create_namespaced_deployment(NS, client.V1Deployment(
        metadata=meta("py"), spec=client.V1DeploymentSpec(
            selector=client.V1LabelSelector(match_labels={"app": "py"}), template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels={"app": "py"}), spec=client.V1PodSpec(containers=[container()])))))
    is_("defaults of a deployment", (1, "RollingUpdate", "25%", 10, 600, "Always"),
        (made.spec.replicas, made.spec.strategy.type, made.spec.strategy.rolling_update.max_surge, made.spec.revision_history_limit,
         made.spec.progress_deadline_seconds, made.spec.template.spec.restart_policy))
    is_("generation", 1, made.metadata.generation)
    scale = apps.read_namespaced_deployment_scale("py", NS)
    is_("scale", (1, "app=py"), (scale.spec.replicas, scale.status.selector))
    scale.spec.replicas = 2
    is_("replace the scale", 2, apps.replace_namespaced_deployment_scale("py", NS, scale).spec.replicas)
    is_("patch the scale", 3, apps.patch_namespaced_deployment_scale("py", NS, {"spec": {"replicas": 3}}).spec.replicas)
    patched = apps.patch_namespaced_deployment("py", NS, {"spec": {"template": {"spec": {"containers": [
        {"name": "sidecar", "image": "image:2"}, {"name": "c", "env": [{"name": "A", "value": "b"}]}]}}}})
    is_("containers are merged by name", {"c": "image:1", "sidecar": "image:2"},
        {c.name: c.image for c in patched.spec.template.spec.containers})
    is_("generation after the changes", (4, 3), (patched.metadata.generation, patched.spec.replicas))
    patched.status = client.V1DeploymentStatus(observed_generation=4, replicas=3, conditions=[client.V1DeploymentCondition(
        type="Available", status="True", reason="Python", message="said so")])
    answer = apps.replace_namespaced_deployment_status("py", NS, patched)
    is_("status", (4, "Python", 4), (answer.status.observed_generation, answer.status.conditions[0].reason, answer.metadata.generation))
    apps.delete_namespaced_deployment("py", NS, propagation_policy="Background")
    refused("a deployment that is gone", 404, "NotFound", apps.read_namespaced_deployment, "py", NS)


def pods(core, policy):
    made = core.create_namespaced_pod(NS, client.V1Pod(metadata=meta("py"), spec=client.V1PodSpec(containers=[container(
        ports=[client.V1ContainerPort(container_port=80)],
        resources=client.V1ResourceRequirements(requests={"cpu": "100m"}, limits={"memory": "64Mi"}))])))
    is_("a pod", ("Pending", "Burstable", "Always", "TCP", "default"),
        (made.status.phase, made.status.qos_class, made.spec.restart_policy, made.spec.containers[0].ports[0].protocol,
         made.spec.service_account_name))
    is_("requests follow limits", {"cpu": "100m", "memory": "64Mi"}, made.spec.containers[0].resources.requests)
    core.create_namespaced_pod_binding("py", NS, client.V1Binding(
        metadata=meta("py"), target=client.V1ObjectReference(kind="Node", name="nowhere")), _preload_content=False)
    is_("binding", "nowhere", core.read_namespaced_pod("py", NS).spec.node_name)
    with_debugger = core.patch_namespaced_pod_ephemeralcontainers("py", NS, {"spec": {"ephemeralContainers": [
        {"name": "debugger", "image": "debug", "targetContainerName": "c"}]}})
    is_("ephemeral containers", ["debugger"], [c.name for c in with_debugger.spec.ephemeral_containers])
    answer = core.patch_namespaced_pod_status("py", NS, {"status": {"phase": "Running", "conditions": [
        {"type": "Ready", "status": "True"}]}})
    is_("status of a pod", ("Running", ["Ready"]), (answer.status.phase, [c.type for c in answer.status.conditions if c.type == "Ready"]))
    is_("by the field of a status", ["py"], [p.metadata.name for p in core.list_namespaced_pod(NS, field_selector="status.phase=Running").items])
    is_("no log of no node", 'nodes "nowhere" not found', refused("log", 404, "NotFound", core.read_namespaced_pod_log, "py", NS))
    evict = client.V1Eviction(metadata=meta("py"), delete_options=client.V1DeleteOptions(grace_period_seconds=0))
    is_("eviction", "Status", core.create_namespaced_pod_eviction("py", NS, evict).kind)
    refused("a pod that is evicted", 404, "NotFound", core.read_namespaced_pod, "py", NS)


def reviews():
    token = client.CoreV1Api().create_namespaced_service_account_token("default", NS, client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=["https://kubernetes.default.svc"], expiration_seconds=600)))
    review = client.AuthenticationV1Api().create_token_review(client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token.status.token)))
    is_("token", (True, "system:serviceaccount:default:default"), (review.status.authenticated, review.status.user.username))
    allowed = client.AuthorizationV1Api().create_self_subject_access_review(client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=client.V1ResourceAttributes(verb="delete", resource="nodes"))))
    is_("access review", True, allowed.status.allowed)
    version = client.VersionApi().get_code()
    is_("version", ("1", "36"), (version.major, version.minor))
    is_("groups", True, "apps" in [g.name for g in client.ApisApi().get_api_versions().groups])


def dynamically():
    """The client that learns of resources from discovery."""
    found = dynamic.DynamicClient(client.ApiClient())
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    is_("discovery", (True, "configmaps"), (maps.namespaced, maps.name))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dynamic", "namespace": NS}, "data": {"a": "1"}}

    def apply(**kwargs):  # this client sends only text as such a patch
        return maps.server_side_apply(body=json.dumps(body), name="dynamic", namespace=NS, **kwargs)

    applied = apply(field_manager="first")
    is_("apply", (["Apply", "first"], "1"),
        ([applied.metadata.managedFields[0].operation, applied.metadata.managedFields[0].manager], applied.data.a))
    body["data"]["a"] = "2"
    try:
        apply(field_manager="second")
        is_("apply what another owns", "a conflict", "success")
    except dynamic.exceptions.ConflictError as e:
        is_("apply what another owns", True, 'conflict with \\"first\\": .data.a' in e.body.decode())
    is_("apply by force", "2", apply(field_manager="second", force_conflicts=True).data.a)
    patched = maps.patch(body={"metadata": {"name": "dynamic"}, "data": {"a": None, "b": "merge"}}, namespace=NS, content_type=MERGE)
    is_("merge patch", {"b": "merge"}, patched.to_dict()["data"])
    is_("watch", [("ADDED", "dynamic")],
        [(e["type"], e["object"].metadata.name) for e in maps.watch(namespace=NS, field_selector="metadata.name=dynamic", timeout=1)])
    maps.delete(name="dynamic", namespace=NS)


def inform(core):
    """List, then watch from there on; what breaks off goes on where it was, what is too old begins with a list."""
    known, version = {}, None
    query = {"label_selector": "informed=yes"}

    def learn(verb, name):
        print(verb, name, flush=True)

    while True:
        try:
            if version is None:
                listed = core.list_namespaced_config_map(NS, **query)
                now = {o.metadata.name: o.metadata.resource_version for o in listed.items}
                learn("list", len(now))
                for name in sorted(set(known) - set(now)):
                    learn("delete", name)
                for name in sorted(now):
                    if known.get(name) != now[name]:
                        learn("update" if name in known else "add", name)
                known, version = now, listed.metadata.resource_version
            for event in watch.Watch().stream(core.list_namespaced_config_map, NS, resource_version=version, timeout_seconds=300, **query):
                o = event["object"].metadata
                version = o.resource_version
                if event["type"] == "DELETED":
                    known.pop(o.name)
                    learn("delete", o.name)
                elif known.get(o.name) != version:
                    learn("update" if o.name in known else "add", o.name)
                    known[o.name] = version
        except ApiException as e:
            learn("expired" if e.status == 410 else "error", e.status)
            if e.status == 410:
                version = None
        except urllib3.exceptions.HTTPError:
            time.sleep(0.1)  # the server is away: not all the time


def execute(core, pod):
    run = stream(core.connect_get_namespaced_pod_exec, pod, NS, command=["sh", "-c", "read x; echo got $x; echo err >&2; exit 3"],
                 stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False)
    run.write_stdin("typed\n")
    run.run_forever(timeout=30)
    is_("exec", ("got typed\n", "err\n", 3), (run.read_stdout(), run.read_stderr(), run.returncode))


config.load_kube_config(sys.argv[2])
if sys.argv[1] == "inform":
    inform(client.CoreV1Api())
elif sys.argv[1] == "exec":
    execute(client.CoreV1Api(), sys.argv[3])
else:
    config_maps(client.CoreV1Api())
    deployments(client.AppsV1Api())
    pods(client.CoreV1Api(), client.PolicyV1Api())
    reviews()
    dynamically()
sys.exit(failures > 0)

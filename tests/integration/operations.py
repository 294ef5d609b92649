#!/usr/bin/env python3
"""Every operation of the server's own OpenAPI, but those that connect to a node (streaming_test.sh has these).

operations.py <port> <CA> <token> <samples.yaml>: takes the operations from /openapi/v3 and one sample of each kind, and goes
through the life of an object of every resource: created, read, listed, watched, changed, deleted - alone and in a collection -
with its subresources in between. Each answer is checked. Prints what is wrong, and every operation that nothing here has
exercised; ends with "<done> of <all> operations".
"""
import http.client, json, re, ssl, sys

PORT, CA, TOKEN, SAMPLES = sys.argv[1:5]
NAMESPACE = "default"
MERGE = "application/merge-patch+json"
LABEL = "operations"

# What the samples lack: a kind in another version or group, a pod that can be resized.
MORE_SAMPLES = {
    ("events.k8s.io/v1", "Event"): {
        "metadata": {"name": "sample-of-events"}, "reason": "Sampled", "action": "Sampling", "type": "Normal",
        "eventTime": "2026-01-02T03:04:05.000006Z", "reportingController": "example.com/sampler", "reportingInstance": "one",
        "regarding": {"kind": "Pod", "name": "sample", "namespace": NAMESPACE}},
    ("autoscaling/v1", "HorizontalPodAutoscaler"): {
        "metadata": {"name": "sample-of-v1"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "sample"}, "maxReplicas": 5}},
    ("v1", "Pod"): {
        "metadata": {"name": "sample-of-pods"},
        "spec": {"containers": [{"name": "main", "image": "image", "resources": {"requests": {"cpu": "10m"}}}]}},
}

# What keeps an object of these kinds from going at once when it is deleted, as no controller is there.
FINALIZERS = {
    "Job": ["orphan"],
    "Namespace": [],  # its own: in the spec
    "PersistentVolume": ["kubernetes.io/pv-protection"],
    "PersistentVolumeClaim": ["kubernetes.io/pvc-protection"],
    "ReplicationController": ["orphan"],
    "VolumeAttributesClass": ["kubernetes.io/vac-protection"],
}

# Objects that are answered to POST, but not kept.
REVIEWS = {
    "tokenreviews": ({"token": "alice-token"}, lambda o: o["status"]["user"]["username"], "alice"),
    "selfsubjectreviews": (None, lambda o: o["status"]["userInfo"]["username"], "admin"),
    "subjectaccessreviews": (
        {"user": "alice", "resourceAttributes": {"verb": "delete", "resource": "nodes"}}, lambda o: o["status"]["allowed"], False),
    "localsubjectaccessreviews": (
        {"user": "admin", "groups": ["system:masters"],
         "resourceAttributes": {"namespace": NAMESPACE, "verb": "get", "resource": "pods"}}, lambda o: o["status"]["allowed"], True),
    "selfsubjectaccessreviews": (
        {"resourceAttributes": {"verb": "get", "resource": "pods"}}, lambda o: o["status"]["allowed"], True),
    "selfsubjectrulesreviews": (
        {"namespace": NAMESPACE}, lambda o: {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} in o["status"]["resourceRules"], True),
}

failures = 0
done = set()
server = None


def fail(text):
    global failures
    failures += 1
    print("FAIL: " + text, flush=True)


def is_(what, expected, actual):
    if expected != actual:
        fail("%s\n  expected: %r\n  actual:   %r" % (what, expected, actual))


def connect():
    return http.client.HTTPSConnection("127.0.0.1", int(PORT), context=ssl.create_default_context(cafile=CA), timeout=60)


def send(connection, method, path, body=None, content="application/json"):
    headers = {"Authorization": "Bearer " + TOKEN, "User-Agent": "kubec-operations"}
    if body is not None:
        headers["Content-Type"] = content
        body = body if isinstance(body, str) else json.dumps(body)
    connection.request(method, path, body.encode() if body is not None else None, headers)
    return connection.getresponse()


def request(method, path, body=None, content="application/json"):
    """(code, decoded answer), over the one connection that lives on."""
    global server
    server = server or connect()
    answer = send(server, method, path, body, content)
    data = answer.read()
    return answer.status, json.loads(data)


def call(method, template, name=None, body=None, query="", content="application/json", want=200):
    """An operation: its answer, whose code has been checked."""
    path = template.replace("{namespace}", NAMESPACE).replace("{name}", name or "")
    code, answer = request(method, path + query, body, content)
    done.add((method, template))
    is_("%s %s: code (%s)" % (method, path, answer.get("message", "")), want, code)
    return answer


def patch(template, name, body, want=200):
    return call("PATCH", template, name, body, content=MERGE, want=want)


def watch(template, name, kind, object_name):
    """The first event of a watch of what there is, which is about the only object there is."""
    path = template.replace("{namespace}", NAMESPACE).replace("{name}", name or "")
    connection = connect()
    answer = send(connection, "GET", path + "?timeoutSeconds=30" + ("" if name else "&labelSelector=" + LABEL))
    is_("GET %s: code" % path, 200, answer.status)
    event = json.loads(answer.readline())
    is_("GET %s: first event" % path, ("ADDED", kind, object_name),
        (event["type"], event["object"].get("kind"), event["object"].get("metadata", {}).get("name")))
    connection.close()
    done.add(("GET", template))


def operations():
    """(method, template) -> action and kind, as OpenAPI tells."""
    found = {}
    for document in request("GET", "/openapi/v3")[1]["paths"].values():
        for template, methods in request("GET", document["serverRelativeURL"])[1]["paths"].items():
            for method, operation in methods.items():
                if method != "parameters":
                    gvk = operation.get("x-kubernetes-group-version-kind", {})
                    found[(method.upper(), template)] = (operation.get("x-kubernetes-action"), gvk.get("kind"))
    return found


def samples():
    """(apiVersion, kind) -> YAML or object."""
    found = dict(MORE_SAMPLES)
    for text in re.split(r"(?m)^---\n", open(SAMPLES).read()):
        version = re.search(r"(?m)^apiVersion: (.*)$", text).group(1)
        kind = re.search(r"(?m)^kind: (.*)$", text).group(1)
        found[(version, kind)] = text
    for (version, kind), sample in MORE_SAMPLES.items():
        found[(version, kind)] = dict(sample, apiVersion=version, kind=kind)
    return found


class Resource:
    """A resource of OpenAPI: the templates of its paths, and the object that goes through them."""

    def __init__(self, group_version, name):
        self.version = group_version
        self.name = name
        self.has = {}  # (watch, namespaced, named, subresource) -> {method: kind}

    def template(self, named=False, sub="", watched=False, namespaced=None):
        if namespaced is None:
            namespaced = self.namespaced
        return "%s%s%s/%s%s%s" % (
            "/api/v1" if self.version == "v1" else "/apis/" + self.version, "/watch" if watched else "",
            "/namespaces/{namespace}" if namespaced else "", self.name, "/{name}" if named else "", "/" + sub if sub else "")

    @property
    def namespaced(self):
        return any(namespaced for _, namespaced, _, _ in self.has)

    def methods(self, named=False, sub="", watched=False):
        return self.has.get((watched, self.namespaced, named, sub), {})

    def subresources(self):
        return sorted({sub for _, _, _, sub in self.has if sub})


def resources(ops):
    found = {}
    for (method, template), (_, kind) in ops.items():
        m = re.match(r"(/api/v1|/apis/([^/]+/[^/]+))(/watch)?(/namespaces/\{namespace\})?/([a-z]+)(/\{name\})?(?:/([a-z]+))?$", template)
        if m:
            version = m.group(2) or "v1"
            resource = found.setdefault((version, m.group(5)), Resource(version, m.group(5)))
            resource.has.setdefault((bool(m.group(3)), bool(m.group(4)), bool(m.group(6)), m.group(7) or ""), {})[method] = kind
    return found.values()


class Life:
    """The life of the one object of a resource."""

    def __init__(self, resource, sample):
        self.r = resource
        self.sample = sample
        self.kind = resource.methods()["POST"]
        self.object = None

    def create(self):
        content = "application/yaml" if isinstance(self.sample, str) else "application/json"
        created = call("POST", self.r.template(), body=self.sample, content=content, want=201)
        self.object = created
        self.id = created["metadata"]["name"]
        is_("%s is created" % self.kind, (self.r.version, self.kind, True),
            (created["apiVersion"], created["kind"], "uid" in created["metadata"]))
        labelled = patch(self.r.template(True), self.id, {"metadata": {"labels": {LABEL: "yes"}}})
        is_("%s has the label" % self.kind, "yes", labelled["metadata"].get("labels", {}).get(LABEL))

    def same(self, what, answer):
        is_("%s: the object" % what, (self.kind, self.id, self.object["metadata"]["uid"]),
            (answer.get("kind"), answer["metadata"]["name"], answer["metadata"].get("uid")))
        return answer

    def read(self):
        what = "%s: read" % self.kind
        self.same(what, call("GET", self.r.template(True), self.id))
        for namespaced in {self.r.namespaced, False}:
            template = self.r.template(namespaced=namespaced)
            if ("GET", template) not in ALL:
                continue
            answer = call("GET", template, query="?labelSelector=" + LABEL)
            is_("%s: list" % template, (self.kind + "List", self.r.version, [self.id]),
                (answer["kind"], answer["apiVersion"], [o["metadata"]["name"] for o in answer["items"]]))
            watched = self.r.template(watched=True, namespaced=namespaced)
            if ("GET", watched) in ALL:
                watch(watched, None, self.kind, self.id)
        if ("GET", self.r.template(True, watched=True)) in ALL:
            watch(self.r.template(True, watched=True), self.id, self.kind, self.id)

    def change(self):
        template = self.r.template(True)
        changed = call("GET", template, self.id)
        changed["metadata"].setdefault("annotations", {})["put"] = "yes"
        answer = self.same("PUT", call("PUT", template, self.id, changed))
        is_("PUT %s" % self.kind, "yes", answer["metadata"]["annotations"]["put"])
        stale = call("PUT", template, self.id, dict(changed, metadata=dict(changed["metadata"], annotations={"put": "no"})), want=409)
        is_("PUT of an old %s" % self.kind, "Conflict", stale.get("reason"))
        answer = self.same("PATCH", patch(template, self.id, {"metadata": {"annotations": {"put": None, "patch": "yes"}}}))
        is_("PATCH %s" % self.kind, ("yes", False),
            (answer["metadata"]["annotations"].get("patch"), "put" in answer["metadata"]["annotations"]))

    def status(self, sub):
        template = self.r.template(True, sub)
        before = self.same("GET " + sub, call("GET", template, self.id))
        answer = self.same("PUT " + sub, call("PUT", template, self.id, before))
        is_("PUT %s: of %s: the spec" % (sub, self.kind), before.get("spec"), answer.get("spec"))
        answer = self.same("PATCH " + sub, patch(template, self.id, {"metadata": {"annotations": {"patch": "yes"}}}))
        is_("PATCH %s of %s: the generation" % (sub, self.kind), before["metadata"].get("generation"), answer["metadata"].get("generation"))

    def scale(self):
        template = self.r.template(True, "scale")
        scale = call("GET", template, self.id)
        is_("GET %s" % template, ("Scale", "autoscaling/v1", 1), (scale["kind"], scale["apiVersion"], scale["spec"]["replicas"]))
        is_("PUT %s" % template, 2, call("PUT", template, self.id, dict(scale, spec={"replicas": 2}))["spec"]["replicas"])
        is_("PATCH %s" % template, 3, patch(template, self.id, {"spec": {"replicas": 3}})["spec"]["replicas"])
        is_("%s is scaled" % self.kind, 3, call("GET", self.r.template(True), self.id)["spec"]["replicas"])

    def delete(self, collection):
        if collection:
            answer = call("DELETE", self.r.template(), query="?labelSelector=" + LABEL)
            is_("DELETE of a collection of %s" % self.kind, self.kind + "List", answer["kind"])
        else:
            answer = call("DELETE", self.r.template(True), self.id, query="?gracePeriodSeconds=0")
            if answer["kind"] == "Status":
                is_("DELETE %s" % self.kind, ("Success", self.object["metadata"]["uid"]), (answer["status"], answer["details"]["uid"]))
            else:
                self.same("DELETE", answer)
        template = self.r.template(True)
        if self.kind in FINALIZERS:
            left = self.same("after DELETE", call("GET", template, self.id))
            is_("%s is being deleted" % self.kind, (True, FINALIZERS[self.kind]),
                ("deletionTimestamp" in left["metadata"], left["metadata"].get("finalizers", [])))
            if "finalize" in self.r.subresources():
                left["spec"]["finalizers"] = []
                self.same("PUT finalize", call("PUT", self.r.template(True, "finalize"), self.id, left))
            else:
                patch(template, self.id, {"metadata": {"finalizers": None}})
        is_("%s is gone" % self.kind, "NotFound", call("GET", template, self.id, want=404).get("reason"))


def csr_approval(life):
    template = life.r.template(True, "approval")
    csr = life.same("GET approval", call("GET", template, life.id))
    csr["status"] = {"conditions": [{"type": "Approved", "status": "True", "reason": "Sampled", "message": "it is a sample"}]}
    answer = life.same("PUT approval", call("PUT", template, life.id, csr))
    is_("PUT approval", ["Approved"], [c["type"] for c in answer["status"]["conditions"]])
    answer = life.same("PATCH approval", patch(template, life.id, {"metadata": {"annotations": {"approved": "yes"}}}))
    is_("PATCH approval", ["Approved"], [c["type"] for c in answer["status"]["conditions"]])


def service_account_token(life):
    answer = call("POST", life.r.template(True, "token"), life.id, want=201, body={
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["someone"], "expirationSeconds": 600}})
    is_("POST token", ("TokenRequest", 3, ["someone"]),
        (answer["kind"], len(answer["status"]["token"].split(".")), answer["spec"]["audiences"]))


def pod_ephemeral_containers(life):
    template = life.r.template(True, "ephemeralcontainers")
    pod = life.same("GET ephemeralcontainers", call("GET", template, life.id))
    pod["spec"]["ephemeralContainers"] = [{"name": "first", "image": "image"}]
    answer = life.same("PUT ephemeralcontainers", call("PUT", template, life.id, pod))
    is_("PUT ephemeralcontainers", ["first"], [c["name"] for c in answer["spec"]["ephemeralContainers"]])
    answer = call("PATCH", template, life.id, {"spec": {"ephemeralContainers": [{"name": "second", "image": "image"}]}},
                  content="application/strategic-merge-patch+json")
    is_("PATCH ephemeralcontainers", ["first", "second"], sorted(c["name"] for c in answer["spec"]["ephemeralContainers"]))


def pod_resize(life):
    template = life.r.template(True, "resize")
    pod = life.same("GET resize", call("GET", template, life.id))
    for method, cpu in (("PUT", "20m"), ("PATCH", "30m")):
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = cpu
        if method == "PUT":
            answer = call("PUT", template, life.id, pod)
        else:
            answer = call("PATCH", template, life.id, content="application/json-patch+json", body=[
                {"op": "replace", "path": "/spec/containers/0/resources/requests/cpu", "value": cpu}])
        is_("%s resize" % method, cpu, life.same(method + " resize", answer)["spec"]["containers"][0]["resources"]["requests"]["cpu"])


def pod_binding(life):
    """By its own subresource, and by the collection of bindings; the node needs not be there."""
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "bound"}, "target": {"kind": "Node", "name": "node-x"}}
    for template in (life.r.template(True, "binding"), "/api/v1/namespaces/{namespace}/bindings"):
        call("POST", life.r.template(), body={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bound"},
                                              "spec": {"containers": [{"name": "c", "image": "image"}]}}, want=201)
        answer = call("POST", template, "bound", binding, want=201)
        is_("POST %s" % template, ("Status", "Success"), (answer["kind"], answer["status"]))
        is_("the pod is bound", "node-x", call("GET", life.r.template(True), "bound")["spec"]["nodeName"])
        call("DELETE", life.r.template(True), "bound", query="?gracePeriodSeconds=0")


def pod_eviction(life):
    call("POST", life.r.template(), body={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "evicted"},
                                          "spec": {"containers": [{"name": "c", "image": "image"}]}}, want=201)
    answer = call("POST", life.r.template(True, "eviction"), "evicted", want=201,
                  body={"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "evicted"}})
    is_("POST eviction", ("Status", "Success"), (answer["kind"], answer["status"]))
    call("GET", life.r.template(True), "evicted", want=404)


# Subresources of their own, by resource and name; None: a test with a node, or a part of the life.
SUBRESOURCES = {
    ("certificatesigningrequests", "approval"): csr_approval,
    ("namespaces", "finalize"): None,
    ("pods", "binding"): pod_binding,
    ("pods", "ephemeralcontainers"): pod_ephemeral_containers,
    ("pods", "eviction"): pod_eviction,
    ("pods", "resize"): pod_resize,
    ("serviceaccounts", "token"): service_account_token,
}


def live(resource, sample):
    life = Life(resource, sample)
    life.create()
    life.read()
    life.change()
    for sub in resource.subresources():
        if sub == "status":
            life.status(sub)
        elif sub == "scale":
            life.scale()
        elif SUBRESOURCES.get((resource.name, sub)):
            SUBRESOURCES[(resource.name, sub)](life)
    life.delete(collection=False)
    if "DELETE" in resource.methods():
        life.create()
        life.delete(collection=True)


def review(resource):
    spec, value, expected = REVIEWS[resource.name]
    body = {"apiVersion": resource.version, "kind": resource.methods()["POST"]}
    if spec:
        body["spec"] = spec
    if resource.namespaced:
        body["metadata"] = {"namespace": NAMESPACE}
    answer = call("POST", resource.template(), body=body, want=201)
    is_("POST %s" % resource.name, (body["kind"], expected), (answer["kind"], value(answer)))


def component_statuses():
    names = [o["metadata"]["name"] for o in call("GET", "/api/v1/componentstatuses")["items"]]
    is_("componentstatuses", ["controller-manager", "etcd-0", "scheduler"], sorted(names))
    answer = call("GET", "/api/v1/componentstatuses/{name}", "etcd-0")
    is_("componentstatuses etcd-0", [{"type": "Healthy", "status": "True", "message": "ok"}], answer["conditions"])


def discovery():
    """The paths above the resources."""
    is_("/api/", ("APIVersions", ["v1"]), tuple(call("GET", "/api/")[k] for k in ("kind", "versions")))
    groups = call("GET", "/apis/")
    is_("/apis/", "APIGroupList", groups["kind"])
    is_("/version/", ("1", "36"), tuple(call("GET", "/version/")[k] for k in ("major", "minor")))
    is_("/openid/v1/jwks/", ["RSA"], [k["kty"] for k in call("GET", "/openid/v1/jwks/")["keys"]])
    is_("the issuer", "https://kubernetes.default.svc", call("GET", "/.well-known/openid-configuration/")["issuer"])
    for method, template in ALL:
        m = re.match(r"/apis/([^/{}]+)/$", template)
        if m:
            answer = call("GET", template)
            is_(template, ("APIGroup", m.group(1)), (answer["kind"], answer["name"]))
            is_("%s in /apis" % m.group(1), [answer["versions"]], [g["versions"] for g in groups["groups"] if g["name"] == m.group(1)])
        m = re.match(r"/(?:api/(v1)|apis/([^/{}]+/[^/{}]+))/$", template)
        if m:
            answer = call("GET", template)
            is_(template, ("APIResourceList", m.group(1) or m.group(2), True),
                (answer["kind"], answer["groupVersion"], len(answer["resources"]) > 0))


ALL = operations()
SAMPLE = samples()
discovery()
component_statuses()
for resource in resources(ALL):
    kind = resource.methods().get("POST")
    if resource.name in REVIEWS:
        review(resource)
    elif (resource.version, kind) in SAMPLE:
        live(resource, SAMPLE[(resource.version, kind)])

elsewhere = {op for op, (action, _) in ALL.items() if action == "connect" or op[1].endswith("/log")}
for method, template in sorted(set(ALL) - done - elsewhere):
    fail("not exercised: %s %s" % (method, template))
print("%d of %d operations" % (len(done & set(ALL)), len(ALL) - len(elsewhere)))
sys.exit(failures > 0)

"""The requests of tests/soak/leaks: by turns, over connections of several threads; answers are checked by their codes."""
import argparse
import collections
import http.client
import json
import ssl
import sys
import threading

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
JSON = "application/json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def configmap(name, text):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"a": "b"}}, "data": {"x": text}}


def pod(name):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i"}]}}


def steps(n):
    """method, path, body, content type, accept, expected codes"""
    c, p = f"c-{n}", f"p-{n}"
    apply = "?fieldManager=leaks&force=true"
    return [
        ("POST", CONFIGMAPS, configmap(c, "1"), JSON, JSON, {201}),
        ("POST", CONFIGMAPS, configmap(c, "1"), JSON, JSON, {409}),
        ("GET", f"{CONFIGMAPS}/{c}", None, None, JSON, {200}),
        ("GET", f"{CONFIGMAPS}/{c}", None, None, PROTOBUF, {200}),
        ("GET", f"{CONFIGMAPS}?labelSelector=a%3Db&limit=2", None, None, TABLE, {200}),
        ("PATCH", f"{CONFIGMAPS}/{c}", {"data": {"y": "2"}}, "application/merge-patch+json", JSON, {200}),
        ("PATCH", f"{CONFIGMAPS}/{c}", [{"op": "add", "path": "/data/z", "value": "3"}], "application/json-patch+json", JSON, {200}),
        ("PATCH", f"{CONFIGMAPS}/{c}", [{"op": "remove", "path": "/none"}], "application/json-patch+json", JSON, {422}),
        ("PATCH", f"{CONFIGMAPS}/{c}" + apply, configmap(c, "4"), "application/apply-patch+yaml", JSON, {200}),
        ("PUT", f"{CONFIGMAPS}/{c}", configmap(c, "5"), JSON, PROTOBUF, {200}),
        ("POST", PODS, pod(p), JSON, JSON, {201}),
        ("PATCH", f"{PODS}/{p}", {"metadata": {"labels": {"q": "r"}}}, "application/strategic-merge-patch+json", JSON, {200}),
        ("GET", f"{PODS}?fieldSelector=metadata.name%3D{p}", None, None, JSON, {200}),
        ("GET", f"{PODS}/{p}/log", None, None, "*/*", {200, 400, 404, 500}),
        ("DELETE", f"{PODS}/{p}?gracePeriodSeconds=0", None, None, JSON, {200}),
        ("POST", CONFIGMAPS, "{", JSON, JSON, {400}),
        ("POST", CONFIGMAPS, configmap("No_Name", "1"), JSON, JSON, {422}),
        ("POST", CONFIGMAPS + "?dryRun=All&fieldValidation=Strict", {**configmap("d" + c, "1"), "odd": 1}, JSON, JSON, {400}),
        ("POST", CONFIGMAPS + "?dryRun=All", configmap("d" + c, "1"), JSON, JSON, {201}),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
         {"spec": {"user": "u", "resourceAttributes": {"verb": "get", "resource": "pods"}}}, JSON, JSON, {201}),
        ("GET", "/api/v1/nowhere", None, None, JSON, {404}),
        ("GET", CONFIGMAPS, None, None, "text/html", {406}),
        ("GET", "/readyz?verbose", None, None, "*/*", {200}),
        ("GET", "/metrics" if n % 50 == 0 else "/version", None, None, "*/*", {200}),
        ("GET", "/openapi/v3" if n % 50 == 1 else "/apis", None, None, JSON, {200}),
        ("DELETE", f"{CONFIGMAPS}/{c}", None, None, JSON, {200}),
    ]


class Worker(threading.Thread):
    def __init__(self, args, number, counts):
        super().__init__()
        self.args, self.number, self.counts, self.wrong = args, number, counts, []
        self.context = ssl.create_default_context(cafile=args.ca)
        self.connect()

    def connect(self):
        self.h = http.client.HTTPSConnection("127.0.0.1", self.args.port, context=self.context, timeout=300)

    def ask(self, method, path, body, content_type, accept):
        headers = {"Authorization": "Bearer " + self.args.token, "Accept": accept}
        if content_type:
            headers["Content-Type"] = content_type
        data = body if body is None or isinstance(body, str) else json.dumps(body)
        self.h.request(method, path, data, headers)
        r = self.h.getresponse()
        r.read()
        self.counts[r.status] += 1
        return r.status

    def leave_a_watch(self):
        """The first bytes of a watch, or none, are read; then the connection is dropped."""
        self.h.request("GET", CONFIGMAPS + "?watch=true", None, {"Authorization": "Bearer " + self.args.token})
        self.h.getresponse().read(10)
        self.h.close()
        self.connect()

    def run(self):
        n, done = self.number, 0
        share = self.args.requests // self.args.threads
        while done < share:
            for method, path, body, content_type, accept, expected in steps(n):
                code = self.ask(method, path, body, content_type, accept)
                if code not in expected:
                    self.wrong.append(f"{method} {path}: {code}")
                done += 1
            if n % 10 == 0:
                self.leave_a_watch()
            n += self.args.threads


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--ca", required=True)
    p.add_argument("--token", required=True)
    p.add_argument("--requests", type=int, default=100000)
    p.add_argument("--threads", type=int, default=4)
    args = p.parse_args()
    counts = collections.Counter()
    workers = [Worker(args, i, counts) for i in range(args.threads)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    print("answers by code:", dict(sorted(counts.items())))
    wrong = [x for w in workers for x in w.wrong]
    for x in wrong[:20]:
        print("unexpected:", x)
    sys.exit(bool(wrong) or sum(counts.values()) < args.requests // 2)


if __name__ == "__main__":
    main()

"""fake_metrics.py <port file> <go file>: an API server that has nodes, pods and their metrics only.

The second page of the pods comes when the go file is there: what is printed before it was not held back."""
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

PORT_FILE, GO_FILE = sys.argv[1:]
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def resource(group, version, name, kind, namespaced):
    return {"resource": name, "responseKind": {"group": group, "version": version, "kind": kind}, "singularResource": kind.lower(),
            "scope": "Namespaced" if namespaced else "Cluster", "verbs": ["get", "list"]}


def groups(group, version, resources):
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": [
        {"metadata": {"name": group} if group else {},
         "versions": [{"version": version, "freshness": "Current", "resources": [resource(group, version, *r) for r in resources]}]}]}


def node(name, cpu, memory):
    return {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name},
            "status": {"capacity": {"cpu": "8", "memory": "16Gi"}, "allocatable": {"cpu": cpu, "memory": memory}}}


def usage(kind, name, cpu, memory):
    return {"kind": kind, "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {"name": name},
            "timestamp": "2026-01-02T03:04:05Z", "window": "10s", "usage": {"cpu": cpu, "memory": memory}}


def pod(namespace, name, *containers):
    return {"kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {"name": name, "namespace": namespace},
            "timestamp": "2026-01-02T03:04:05Z", "window": "10s",
            "containers": [{"name": n, "usage": {"cpu": c, "memory": m}} for n, c, m in containers]}


NODES = [node("node-a", "4", "8Gi"), node("node-b", "3900m", "7Gi"), node("node-c", "2", "2Gi")]
NODE_METRICS = [usage("NodeMetrics", "node-b", "1234567890n", "3Gi"), usage("NodeMetrics", "node-a", "250m", "4194304Ki")]
POD_METRICS = [pod("default", "web-1", ("app", "100m", "64Mi"), ("side", "1500000n", "1024Ki")),
               pod("default", "db", ("db", "2", "3Gi")), pod("other", "x", ("x", "0", "0"))]


def listed(kind, version, items):
    return {"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": "1"}, "items": items}


def table(name, further):
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": "1", "continue": further},
            "columnDefinitions": [{"name": "Name", "type": "string", "format": "name", "priority": 0}],
            "rows": [{"cells": [name], "object": {"metadata": {"name": name, "namespace": "default"}}}]}


def answer(path, query):
    parts = path.strip("/").split("/")
    if path == "/api":
        return groups("", "v1", [("nodes", "Node", False), ("pods", "Pod", True)])
    if path == "/apis":
        return groups("metrics.k8s.io", "v1beta1", [("nodes", "NodeMetrics", False), ("pods", "PodMetrics", True)])
    if path == "/api/v1/nodes":
        return listed("NodeList", "v1", NODES)
    if len(parts) == 4 and parts[:3] == ["api", "v1", "nodes"]:
        return next((n for n in NODES if n["metadata"]["name"] == parts[3]), None)
    if path == "/api/v1/namespaces/none/pods":
        return listed("PodList", "v1", [])
    if path == "/api/v1/namespaces/default/pods":
        if "continue" not in query:
            return table("first", "next")
        while not os.path.exists(GO_FILE):
            time.sleep(0.02)
        return table("second", "")
    if parts[:3] == ["apis", "metrics.k8s.io", "v1beta1"]:
        return metrics(parts[3:])
    return None


def metrics(parts):
    if parts[0] == "nodes":
        found = [m for m in NODE_METRICS if len(parts) == 1 or m["metadata"]["name"] == parts[1]]
        kind = "NodeMetricsList"
    else:
        namespace = parts[1] if parts[0] == "namespaces" else None
        name = parts[3] if len(parts) > 3 else None
        found = [m for m in POD_METRICS if namespace in (None, m["metadata"]["namespace"]) and name in (None, m["metadata"]["name"])]
        kind = "PodMetricsList"
        parts = parts[2:] if namespace else parts
    if len(parts) > 1:
        return found[0] if found else None
    return listed(kind, "metrics.k8s.io/v1beta1", found)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlparse(self.path)
        body = answer(url.path, parse_qs(url.query))
        code = 200
        if body is None:
            code = 404
            body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
                    "message": "the server could not find the requested resource"}
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", DISCOVERY if body["kind"] == "APIGroupDiscoveryList" else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(PORT_FILE + ".new", "w") as f:
    f.write(str(server.server_port))
os.rename(PORT_FILE + ".new", PORT_FILE)
server.serve_forever()

#!/usr/bin/env python3
"""Many requests of attackers over one connection, for attacks_test.sh. Each line that is printed is an attack that went through.

attacks.py names <port> <CA> <token>        names that are paths, for every resource, verb, subresource, body and namespace
attacks.py scopes <port> <CA> <token>       resources of the cluster by routes of namespaces, and the other way round
attacks.py upgrade <port> <CA> <token> <method> <path> <second path> [header ...]
                                            an upgrade that fails, and a request behind it on the same connection: both heads
attacks.py node <port> <CA> <cert> <key>    reads lines "what<TAB>method<TAB>path<TAB>body"; each must be refused with 403
attacks.py metrics <port> <CA> <token>      labels that a client may choose
"""
import http.client, json, socket, ssl, sys

NAMES = ["%2e%2e", "%2e", "..%2f..%2fsecrets%2fdefault%2fs", "a%2fb", "%2fs", "s%00", "a%25b", "..%2fs", "%252e%252e%2fs"]
BODY_NAMES = ["..", ".", "../../secrets/default/s", "a/b", "/s", "s/", "s\0", "a%b", "s\0/../x"]
PREFIXES = ["../x", "a/b", "a\0", "..", "%"]
METHODS = ["GET", "PUT", "PATCH", "DELETE"]


class Client:
    def __init__(self, port, ca, token=None, cert=None, key=None):
        self.context = ssl.create_default_context(cafile=ca)
        if cert:
            self.context.load_cert_chain(cert, key)
        self.port, self.token, self.connection = int(port), token, None

    def __call__(self, method, path, body=None, kind="application/json", headers=None):
        for attempt in (1, 2):
            if not self.connection:
                self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self.context)
            try:
                h = {"Content-Type": kind, **(headers or {})}
                if self.token:
                    h["Authorization"] = "Bearer " + self.token
                self.connection.request(method, path, body=json.dumps(body) if isinstance(body, (dict, list)) else body, headers=h)
                r = self.connection.getresponse()
                data = r.read().decode(errors="replace")
                if r.will_close:
                    self.connection.close()
                    self.connection = None
                return r.status, data
            except (http.client.HTTPException, OSError):
                # An idle connection may have been closed at the other end.
                self.connection = None
                if attempt == 2:
                    raise


def resources(call):
    """(base of group and version, resource of its discovery) for all that are served."""
    bases = ["/api/v1"]
    for g in json.loads(call("GET", "/apis")[1])["groups"]:
        bases += ["/apis/" + v["groupVersion"] for v in g["versions"]]
    for base in bases:
        for r in json.loads(call("GET", base)[1])["resources"]:
            yield base, r


def is_review(r):
    return r["verbs"] == ["create"]


def attack_body_names(call, base, r, collection):
    group_version = base.split("/", 2)[2]
    for name in BODY_NAMES:
        code, text = call("POST", collection, {"apiVersion": group_version, "kind": r["kind"], "metadata": {"name": name}})
        # What is refused first may be another field; what is there afterwards, the test looks at in etcd.
        if code < 400 or code >= 500:
            print("POST %s with the name %r: %d %s" % (collection, name, code, text[:200]))
    for prefix in PREFIXES:
        body = {"apiVersion": group_version, "kind": r["kind"], "metadata": {"generateName": prefix}}
        code, text = call("POST", collection, body)
        if code < 400 or code >= 500:
            print("POST %s with the prefix %r: %d %s" % (collection, prefix, code, text[:200]))


def names(call):
    seen, collections = 0, []
    for base, r in resources(call):
        name, _, sub = r["name"].partition("/")
        collection = base + ("/namespaces/default/" if r["namespaced"] else "/") + name
        for bad in NAMES:
            for method in METHODS:
                path = collection + "/" + bad + ("/" + sub if sub else "")
                kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
                code, text = call(method, path, {} if method in ("PUT", "PATCH") else None, kind)
                seen += 1
                if code not in (400, 404, 405) or "c2VjcmV0" in text:
                    print("%s %s: %d %s" % (method, path, code, text[:200]))
        if sub or "create" not in r["verbs"]:
            continue
        collections.append((r["namespaced"], base, collection))
        if not is_review(r):
            attack_body_names(call, base, r, collection)
    for namespaced, base, collection in collections:
        if not namespaced:
            continue
        for bad in NAMES:
            path = base + "/namespaces/" + bad + collection[collection.rindex("/"):]
            for method in ("GET", "POST", "DELETE"):
                code, text = call(method, path, {"metadata": {"name": "x"}} if method == "POST" else None)
                # A list of a namespace that cannot be is empty, as of one that is not there.
                empty = code == 200 and method != "POST" and not json.loads(text).get("items")
                if code not in (400, 404, 405, 422) and not empty or "c2VjcmV0" in text:
                    print("%s %s: %d %s" % (method, path, code, text[:200]))
    if seen < 1000:
        print("only %d requests: is this all that is served?" % seen)


def scopes(call):
    for base, r in resources(call):
        if "/" in r["name"]:
            continue
        if r["namespaced"]:
            wrong, methods = base + "/" + r["name"] + "/x", ["GET", "PUT", "PATCH", "DELETE"]
            code, text = call("POST", base + "/" + r["name"], {})
            if code not in (403, 404, 405):
                print("POST %s/%s: %d %s" % (base, r["name"], code, text[:200]))
            code, text = call("DELETE", base + "/" + r["name"])
            if code not in (404, 405):
                print("DELETE %s/%s: %d %s" % (base, r["name"], code, text[:200]))
            paths = [wrong]
        else:
            methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
            paths = [base + "/namespaces/default/" + r["name"], base + "/namespaces/default/" + r["name"] + "/x"]
        for path in paths:
            for method in methods:
                code, text = call(method, path, {} if method not in ("GET", "DELETE") else None,
                                  "application/merge-patch+json" if method == "PATCH" else "application/json")
                if code not in (404, 405):
                    print("%s %s: %d %s" % (method, path, code, text[:200]))


def read_head(s, data):
    while b"\r\n\r\n" not in data:
        piece = s.recv(4096)
        if not piece:
            return data.decode(errors="replace"), b""
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
            while len(rest) < length:
                piece = s.recv(4096)
                if not piece:
                    break
                rest += piece
            return head.decode(), rest[length:]
    return head.decode(), rest


def upgrade(port, ca, token, method, path, second, *headers):
    """Both requests are on their way before the first is answered, and the second comes again after it."""
    s = ssl.create_default_context(cafile=ca).wrap_socket(socket.create_connection(("127.0.0.1", int(port)), 60), server_hostname="127.0.0.1")
    first = "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" % (method, path, token) + "".join(h + "\r\n" for h in headers)
    next_one = "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" % second
    s.sendall((first + "Content-Length: 0\r\n\r\n" + next_one).encode())
    rest = b""
    for turn in range(3):
        try:
            head, rest = read_head(s, rest)
        except OSError:
            head = ""
        print(head.split("\r\n")[0])
        if not head:
            break
        if turn == 1:
            try:
                s.sendall(next_one.encode())
            except OSError:
                break


def node(call):
    for line in sys.stdin:
        what, method, path, body = line.rstrip("\n").split("\t")
        kind = "application/json"
        if method == "PATCH":
            kind = "application/strategic-merge-patch+json"
        code, text = call(method, path, body or None, kind)
        if code != 403:
            print("%s: %s %s: %d %s" % (what, method, path, code, text[:300]))


def metrics(call):
    def series():
        return {l.rsplit(" ", 1)[0] for l in call("GET", "/metrics")[1].splitlines() if l and l[0] != "#"}

    def flood(n):
        for i in range(n):
            x = "chosen%d" % i
            call("X" + x.upper(), "/api/v1/namespaces/%s/pods/%s" % (x, x))
            call("GET", "/%s" % x)
            call("GET", "/apis/%s/%s/%s" % (x, x, x))
            call("GET", "/apis/apps/v1/namespaces/%s/%s" % (x, x))
            call("GET", "/api/v1/namespaces/default/pods/x/%s" % x)
            call("GET", "/healthz/%s" % x, headers={"Host": x, "User-Agent": x, "Impersonate-User": x, "Origin": "http://" + x})
            call("GET", "/api/v1/pods?fieldManager=%s&dryRun=%s&fieldSelector=%s" % (x, x, x), headers={"X-Forwarded-For": x, "Accept": "x/" + x})
            call("PATCH", "/api/v1/namespaces/default/pods/x", "{}", "application/" + x)

    flood(2)
    before = series()
    flood(20)
    after = series()
    for s in sorted(after):
        if "chosen" in s.lower():
            print("a label that the client chose: " + s)
    families = {s.partition('le="')[0] for s in after} - {s.partition('le="')[0] for s in before}
    if len(families) > 20:
        print("%d series become %d: %s ..." % (len(before), len(after), " ".join(sorted(families)[:5])))


command, args = sys.argv[1], sys.argv[2:]
if command == "upgrade":
    upgrade(*args)
elif command == "node":
    node(Client(args[0], args[1], cert=args[2], key=args[3]))
else:
    {"names": names, "scopes": scopes, "metrics": metrics}[command](Client(*args))

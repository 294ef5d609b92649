#!/usr/bin/env python3
"""A model-based test of store and watch cache: random writers, readers and watchers against a running control plane.

model.py --port --ca --token --etcd <port> --seconds --seed

Everything that clients have seen is kept; afterwards etcd's own history of the keys is the sequential model, and each
observation must agree with it:

  write     what was acknowledged is in the history, once, with that content; a conditional update came right after the
            version that it named; nothing is in the history that nobody has written
  get, list what was there at the answer's revision; a consistent one is not older than what any client had been
            told before it was asked
  watch     exactly the events of the history after the start, in order, once each, as its selector sees them, across
            ended connections; what it starts from is what was there

The control plane may be restarted meanwhile: writes without an answer may or may not have happened. Exit status 1 and a
line for each disagreement."""
import argparse
import base64
import bisect
import http.client
import json
import random
import ssl
import subprocess
import sys
import threading
import time

NAMESPACE = "soak"
PATH = "/api/v1/namespaces/%s/configmaps" % NAMESPACE
PREFIX = "/registry/configmaps/%s/" % NAMESPACE
KEYS = ["k%d" % i for i in range(12)]
ENDS = {"a": "end-a", "b": "end-b"}  # written last: who watches knows by them that it has seen everything

args = None
deadline = 0
seen_lock = threading.Lock()
seen = 0  # the highest revision that any client has been told of
failures = []


def told(revision):
    global seen
    with seen_lock:
        seen = max(seen, int(revision))


def told_so_far():
    with seen_lock:
        return seen


class Gone(Exception):
    """The connection, or the server behind it."""


class Client:
    def __init__(self):
        self.context = ssl.create_default_context(cafile=args.ca)
        self.connection = None

    def request(self, method, path, body=None, content_type="application/json"):
        """(code, object); Gone when there was no answer."""
        try:
            if not self.connection:
                self.connection = http.client.HTTPSConnection("localhost", args.port, timeout=20, context=self.context)
            headers = {"Authorization": "Bearer " + args.token, "Content-Type": content_type}
            self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as e:
            self.connection = None
            raise Gone(str(e))

    def stream(self, path):
        """Lines of an answer without end. A connection of its own."""
        connection = http.client.HTTPSConnection("localhost", args.port, timeout=20, context=self.context)
        try:
            connection.request("GET", path, headers={"Authorization": "Bearer " + args.token})
            answer = connection.getresponse()
            if answer.status != 200:
                raise Gone("code %d" % answer.status)
            for line in answer:
                yield json.loads(line)
        except (OSError, http.client.HTTPException, ValueError) as e:
            raise Gone(str(e))
        finally:
            connection.close()


def brief(obj):
    """What counts of an object: (revision, id of its last write, label)."""
    meta = obj["metadata"]
    return int(meta["resourceVersion"]), obj.get("data", {}).get("id"), meta.get("labels", {}).get("l")


# --- writers


class Write:
    """One attempt. revision: when it was acknowledged; refused: it certainly did not happen."""

    def __init__(self, op, key, label, ident, expected=None):
        self.op, self.key, self.label, self.ident, self.expected = op, key, label, ident, expected
        self.revision, self.acknowledged, self.refused = None, False, False


class Writer(threading.Thread):
    def __init__(self, number):
        super().__init__()
        self.number = number
        self.random = random.Random("%s writer %d" % (args.seed, number))
        self.client = Client()
        self.writes = []

    def attempt(self, op, key, label, known=None):
        w = Write(op, key, label, "%d-%d" % (self.number, len(self.writes)), known)
        self.writes.append(w)
        obj = {"metadata": {"name": key, "labels": {"l": label}}, "data": {"id": w.ident}}
        try:
            if op == "create":
                code, answer = self.client.request("POST", PATH, obj)
            elif op == "update":
                if known:
                    obj["metadata"]["resourceVersion"] = str(known)
                code, answer = self.client.request("PUT", PATH + "/" + key, obj)
            elif op == "patch":
                code, answer = self.client.request(
                    "PATCH", PATH + "/" + key, obj, "application/merge-patch+json")
            else:
                options = {"preconditions": {"resourceVersion": str(known)}} if known else {}
                code, answer = self.client.request("DELETE", PATH + "/" + key, options)
        except Gone:
            return None
        w.acknowledged = code in (200, 201)
        # Of what the server has refused for certain: a time-out or an error of the store may hide a success.
        w.refused = 400 <= code < 500 and code != 408
        if w.acknowledged and op != "delete":
            w.revision = int(answer["metadata"]["resourceVersion"])
            told(w.revision)
        return w

    def run(self):
        versions = {}
        while time.monotonic() < deadline:
            key, label = self.random.choice(KEYS), self.random.choice("ab")
            op = self.random.choices(["create", "update", "patch", "delete"], [3, 5, 3, 2])[0]
            known = versions.get(key) if op in ("update", "delete") and self.random.random() < 0.5 else None
            w = self.attempt(op, key, label, known)
            if w is None:
                time.sleep(0.05)
            elif w.acknowledged and w.revision:
                versions[key] = w.revision
            else:
                versions.pop(key, None)


# --- readers


class Reader(threading.Thread):
    def __init__(self, number):
        super().__init__()
        self.random = random.Random("%s reader %d" % (args.seed, number))
        self.client = Client()
        self.reads = []  # (what, details..., told before it)

    def get(self):
        key, before = self.random.choice(KEYS), told_so_far()
        code, obj = self.client.request("GET", PATH + "/" + key)
        if code == 200:
            self.reads.append(("get", key, brief(obj), before))
            told(obj["metadata"]["resourceVersion"])
        elif code == 404:
            self.reads.append(("get", key, None, before))

    def list(self):
        before = told_so_far()
        kind = self.random.choice(["consistent", "pages", "any", "not older", "exact", "label"])
        query = {"consistent": "", "pages": "limit=3", "any": "resourceVersion=0",
                 "not older": "resourceVersion=%d&resourceVersionMatch=NotOlderThan" % before,
                 "exact": "resourceVersion=%d&resourceVersionMatch=Exact" % before, "label": "labelSelector=l%3Da"}[kind]
        if before == 0 and kind in ("not older", "exact"):
            return
        items, token = {}, None
        while True:
            code, answer = self.client.request("GET", PATH + "?" + query + ("&continue=" + token if token else ""))
            if code != 200:
                return
            for obj in answer["items"]:
                items[obj["metadata"]["name"]] = brief(obj)
            token = answer["metadata"].get("continue")
            if not token:
                break
        revision = int(answer["metadata"]["resourceVersion"])
        self.reads.append(("list", kind, revision, items, before))
        told(revision)

    def run(self):
        while time.monotonic() < deadline:
            try:
                self.random.choice([self.get, self.list])()
            except Gone:
                time.sleep(0.05)


# --- watchers


class Watcher(threading.Thread):
    """Lists and watches, and watches on, as an informer does. A segment is what it started from and what came then."""

    def __init__(self, number, label=None, key=None, watch_list=False):
        super().__init__()
        self.number, self.label, self.key, self.watch_list = number, label, key, watch_list
        self.client = Client()
        self.segments = []  # (revision, state, events)
        self.revision = None
        self.done = False
        self.connections = 0

    def selector(self):
        if self.label:
            return "labelSelector=l%3D" + self.label
        return "fieldSelector=metadata.name%3D" + self.key if self.key else ""

    def ends(self):
        """What is written last of what it can see."""
        if self.key:
            return {self.key}
        return {ENDS[self.label]} if self.label else set(ENDS.values())

    def begin(self, revision, state):
        self.segments.append((revision, state, []))
        self.revision = revision
        self.note(*state)

    def note(self, *names):
        self.waiting_for -= set(names)
        self.done = not self.waiting_for

    def list(self):
        code, answer = self.client.request("GET", PATH + "?" + self.selector())
        if code != 200:
            raise Gone("code %d" % code)
        self.begin(int(answer["metadata"]["resourceVersion"]),
                   {o["metadata"]["name"]: brief(o) for o in answer["items"]})

    def events(self, query):
        """Until the connection ends, or everything has been seen."""
        self.connections += 1
        for event in self.client.stream(PATH + "?watch=1&allowWatchBookmarks=true&" + query + "&" + self.selector()):
            if event["type"] == "ERROR":
                if event["object"].get("code") == 410:
                    self.revision = None
                return
            yield event["type"], event["object"]
            if self.done:
                return

    def initial(self):
        """A list by watching."""
        state = {}
        for kind, obj in self.events("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=15"):
            meta = obj["metadata"]
            if self.revision is not None:
                self.one(kind, obj)
            elif kind == "BOOKMARK" and meta.get("annotations", {}).get("k8s.io/initial-events-end") == "true":
                self.begin(int(meta["resourceVersion"]), state)
            elif kind == "ADDED":
                state[meta["name"]] = brief(obj)
            else:
                failures.append("watch %d: %s among the initial events" % (self.number, kind))

    def one(self, kind, obj):
        revision = int(obj["metadata"]["resourceVersion"])
        if kind == "BOOKMARK":
            self.segments[-1][2].append((kind, None, (revision, None, None)))
        else:
            self.segments[-1][2].append((kind, obj["metadata"]["name"], brief(obj)))
            self.note(obj["metadata"]["name"])
        self.revision = revision

    def run(self):
        self.waiting_for = self.ends()
        if self.key:
            self.waiting_for = {"never"}  # ended by time
        while not self.done and time.monotonic() < deadline + (60 if not self.key else 0):
            try:
                if self.revision is None and self.watch_list:
                    self.initial()
                elif self.revision is None:
                    self.list()
                else:
                    for kind, obj in self.events("timeoutSeconds=5&resourceVersion=%d" % self.revision):
                        self.one(kind, obj)
            except Gone:
                time.sleep(0.05)
        if not self.done and not self.key:
            failures.append("watch %d: has not seen the last writes" % self.number)


# --- the model: etcd's history


class History:
    def __init__(self, last):
        """Everything below the prefix, from the first revision to the last."""
        self.events = []  # (revision, key, None or (id, label))
        command = ["etcdctl", "--endpoints=http://127.0.0.1:%d" % args.etcd, "watch", "--prefix", PREFIX, "--rev=1",
                   "-w", "json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"})
        reached = 0
        while reached < last:
            answer = json.loads(process.stdout.readline())
            for e in answer.get("Events") or []:
                kv = e["kv"]
                key = base64.b64decode(kv["key"]).decode()[len(PREFIX):]
                reached = kv["mod_revision"]
                value = None
                if e.get("type") != 1:
                    obj = json.loads(base64.b64decode(kv["value"]))
                    value = (obj.get("data", {}).get("id"), obj["metadata"].get("labels", {}).get("l"))
                self.events.append((reached, key, value))
        process.kill()
        process.wait()
        self.of_key = {}
        for revision, key, value in self.events:
            self.of_key.setdefault(key, []).append((revision, value))

    def at(self, key, revision):
        """(revision, id, label) of the key as of then; None: it was not there."""
        versions = self.of_key.get(key, [])
        i = bisect.bisect_left(versions, (revision + 1,))
        if i == 0 or versions[i - 1][1] is None:
            return None
        return (versions[i - 1][0],) + versions[i - 1][1]

    def state(self, revision, wanted=lambda key, value: True):
        all_ = {k: self.at(k, revision) for k in self.of_key}
        return {k: v for k, v in all_.items() if v and wanted(k, v)}

    def absent_since(self, key, revision):
        """The key was not there at that revision, or at a later one."""
        return self.at(key, revision) is None or any(v is None and r > revision for r, v in self.of_key.get(key, []))


def check(ok, what, *details):
    if not ok:
        failures.append(what + ": " + ", ".join(str(d) for d in details))


def check_writes(history, writers):
    attempts = {w.ident: w for t in writers for w in t.writes}
    by_id = {}
    previous = {}
    for revision, key, value in history.events:
        if value is not None and value[0] is not None:
            by_id.setdefault(value[0], []).append((revision, key, value, previous.get(key)))
        previous[key] = None if value is None else revision
    for ident, places in by_id.items():
        w = attempts.get(ident)
        check(w is not None, "nobody wrote", ident, places)
        check(len(places) == 1, "written more than once", ident, places)
        if not w:
            continue
        revision, key, value, before = places[0]
        check((key, value[1]) == (w.key, w.label), "written with another content", ident, places[0])
        check(not w.refused, "refused, but written", ident, places[0])
        if w.op == "create":
            check(before is None, "created over", ident, before)
        if w.expected:
            check(before == w.expected, "a lost update", ident, "expected", w.expected, "was", before)
    for w in attempts.values():
        if w.acknowledged and w.op != "delete":
            check(w.ident in by_id, "acknowledged, but lost", w.op, w.key, w.ident, w.revision)
            check(any(p[0] == w.revision for p in by_id.get(w.ident, [])), "another revision than told", w.ident,
                  w.revision, by_id.get(w.ident))


def check_reads(history, readers):
    for r in (r for t in readers for r in t.reads):
        if r[0] == "get":
            _, key, got, before = r
            if got is None:
                check(history.absent_since(key, before), "a stale 404", key, before)
                continue
            check(history.at(key, got[0]) == got, "got what never was", key, got)
            now = history.at(key, before)
            check(now is None or now[0] <= got[0], "a stale get", key, got, "when told", before, now)
        else:
            _, kind, revision, items, before = r
            wanted = (lambda k, v: v[2] == "a") if kind == "label" else (lambda k, v: True)
            check(kind == "any" or revision >= before, "a stale list", kind, revision, before)
            check(kind != "exact" or revision == before, "not exactly that revision", revision, before)
            expected = history.state(revision, wanted)
            check(items == expected, "a list that never was", kind, revision,
                  sorted(set(items.items()) ^ set(expected.items())))


def expected_events(history, w, start, end):
    """What the watch must see of (start, end]."""
    def wanted(key, value):
        return value is not None and (not w.label or value[2] == w.label) and (not w.key or key == w.key)
    for revision, key, value in history.events:
        if not start < revision <= end:
            continue
        before = history.at(key, revision - 1)
        now = None if value is None else (revision,) + value
        if wanted(key, now):
            yield ("MODIFIED" if wanted(key, before) else "ADDED", key, now)
        elif wanted(key, before):
            # The last state that it had seen, at the revision of the change.
            yield "DELETED", key, (revision,) + before[1:]


def check_watches(history, watchers):
    for w in watchers:
        for start, state, events in w.segments:
            def wanted(key, value):
                return (not w.label or value[2] == w.label) and (not w.key or key == w.key)
            check(state == history.state(start, wanted), "watch %d began with what never was" % w.number, start,
                  sorted(set(state.items()) ^ set(history.state(start, wanted).items())))
            end = events[-1][2][0] if events else start
            expected = list(expected_events(history, w, start, end))
            got = [e for e in events if e[0] != "BOOKMARK"]
            if got != expected:
                i = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
                failures.append("watch %d (%s): event %d is %s, should be %s" % (
                    w.number, w.selector() or "all", i, got[i:i + 2], expected[i:i + 2]))
            # A bookmark promises that nothing up to it is still to come.
            last = start
            for kind, _, (revision, _, _) in events:
                check(revision >= last, "watch %d went back" % w.number, kind, revision, last)
                last = revision


def check_deletes(history, writers):
    """Of deletions only their number is known."""
    for key in KEYS:
        tried = [w for t in writers for w in t.writes if w.op == "delete" and w.key == key and not w.refused]
        done = sum(1 for w in tried if w.acknowledged)
        there = sum(1 for _, value in history.of_key.get(key, []) if value is None)
        check(done <= there <= len(tried), "deletions", key, "acknowledged", done, "in the history", there, "tried",
              len(tried))


def write_ends(writers):
    """The last writes, retried until they are there. Returns the revision of the last."""
    w = writers[0]
    last = 0
    for label, key in ENDS.items():
        while True:
            done = w.attempt("create", key, label)
            if done is not None and (done.acknowledged or done.refused):
                break
            time.sleep(0.05)
        while True:
            try:
                code, obj = w.client.request("GET", PATH + "/" + key)
                if code == 200:
                    last = max(last, int(obj["metadata"]["resourceVersion"]))
                    break
            except Gone:
                time.sleep(0.05)
    return last


def main():
    global args, deadline
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--etcd", type=int, required=True)
    p.add_argument("--ca", required=True)
    p.add_argument("--token", required=True)
    p.add_argument("--seconds", type=float, default=10)
    p.add_argument("--seed", default=str(time.time_ns()))
    args = p.parse_args()
    deadline = time.monotonic() + args.seconds
    writers = [Writer(i) for i in range(4)]
    readers = [Reader(i) for i in range(3)]
    watchers = [Watcher(0), Watcher(1, label="a"), Watcher(2, label="b"), Watcher(3, key="k3"),
                Watcher(4, watch_list=True), Watcher(5, label="a", watch_list=True), Watcher(6)]
    for t in writers + readers + watchers:
        t.start()
    for t in writers:
        t.join()
    last = write_ends(writers)
    for t in readers + watchers:
        t.join()
    history = History(last)
    check_writes(history, writers)
    check_deletes(history, writers)
    check_reads(history, readers)
    check_watches(history, watchers)
    print("seed %s: %d attempts, %d events, %d reads, %d watch events in %d segments over %d connections" % (
        args.seed, sum(len(t.writes) for t in writers), len(history.events), sum(len(t.reads) for t in readers),
        sum(len(s[2]) for t in watchers for s in t.segments), sum(len(t.segments) for t in watchers),
        sum(t.connections for t in watchers)))
    for f in failures[:20]:
        print("FAIL:", f)
    if len(failures) > 20:
        print("... and %d more" % (len(failures) - 20))
    return 1 if failures else 0


sys.exit(main())

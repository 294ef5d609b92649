"""The clients of tests/bench/slowloris: an attacker's process, ordinary clients' and a writer's with a watch nobody reads."""
import argparse
import http.client
import json
import multiprocessing
import selectors
import socket
import ssl
import sys
import time

PATH = "/api/v1/namespaces/default/configmaps"


def context(args):
    c = ssl.create_default_context(cafile=args.ca)
    c.set_alpn_protocols(["http/1.1"])
    return c


def connect(args):
    s = socket.create_connection(("127.0.0.1", args.port))
    return context(args).wrap_socket(s, server_hostname="127.0.0.1")


class Client:
    """An ordinary client: one connection that is kept."""

    def __init__(self, args):
        self.args = args
        self.h = http.client.HTTPSConnection("127.0.0.1", args.port, context=context(args))

    def ask(self, method, path, body=None, kind="application/json"):
        self.h.request(method, path, json.dumps(body) if body is not None else None,
                       {"Authorization": "Bearer " + self.args.token, "Content-Type": kind})
        r = self.h.getresponse()
        data = r.read()
        if r.status >= 300:
            raise RuntimeError(f"{method} {path}: {r.status} {data[:200]}")
        return data


def memory(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))]


def measure(args):
    """Ordinary requests, one after another; milliseconds."""
    client, took = Client(args), []
    for i in range(args.requests):
        start = time.perf_counter()
        if i % 10 == 0:
            client.ask("PATCH", PATH + "/ordinary", {"data": {"i": str(i)}}, "application/merge-patch+json")
        else:
            client.ask("GET", PATH + "/ordinary")
        took.append((time.perf_counter() - start) * 1000)
    return took


# --- The attacker

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"


class Attacker:
    """Keeps n connections open: a third says nothing, a third sends headers and a third a body, a byte at a time."""

    def __init__(self, args, n, pipe):
        self.args, self.n, self.pipe = args, n, pipe
        self.body = (f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {args.token}\r\n"
                     "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n").encode()
        self.selector = selectors.DefaultSelector()
        self.context = context(args)
        self.opened = self.ended = 0

    def open(self, kind):
        s = socket.create_connection(("127.0.0.1", self.args.port))
        s.setblocking(False)
        self.opened += 1
        if kind != 0:
            s = self.context.wrap_socket(s, server_hostname="127.0.0.1", do_handshake_on_connect=False)
        entry = {"kind": kind, "socket": s, "ready": False}
        self.selector.register(s, selectors.EVENT_WRITE if kind == 0 else selectors.EVENT_READ | selectors.EVENT_WRITE, entry)

    def begin(self, e):
        """The part that is sent in one piece; True: done."""
        if e["kind"] == 0:
            e["socket"].send(b"\x16\x03\x01\x02\x00\x01")  # the first bytes of a ClientHello
        else:
            e["socket"].do_handshake()
            e["socket"].send(HEAD if e["kind"] == 1 else self.body)
        e["ready"] = True
        self.selector.modify(e["socket"], selectors.EVENT_READ, e)

    def reopen(self, e):
        self.selector.unregister(e["socket"])
        e["socket"].close()
        self.ended += 1
        self.open(e["kind"])

    def on_event(self, e):
        try:
            if not e["ready"]:
                self.begin(e)
                return
            if not e["socket"].recv(4096):
                self.reopen(e)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return
        except OSError:
            self.reopen(e)

    def drip(self):
        for key in list(self.selector.get_map().values()):
            e = key.data
            if not e["ready"] or e["kind"] == 0:
                continue
            try:
                e["socket"].send(b"X: y\r\n" if e["kind"] == 1 else b" ")
            except OSError:
                pass  # its end is seen by on_event

    def run(self):
        for i in range(self.n):
            self.open(i % 3)
            if i % 50 == 0:
                for key, _ in self.selector.select(0):
                    self.on_event(key.data)
        told, last = False, time.monotonic()
        while not self.pipe.poll():
            for key, _ in self.selector.select(0.1):
                self.on_event(key.data)
            if not told and all(k.data["ready"] for k in self.selector.get_map().values()):
                self.pipe.send("all are there")
                told = True
            if time.monotonic() - last > 5:
                self.drip()
                last = time.monotonic()
        self.pipe.send((self.opened, self.ended))


def attack(args, n, pipe):
    Attacker(args, n, pipe).run()


# --- A watch that is never read, and something to see in it

def unread_watch(args, stop, sent):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", args.port))
    s = context(args).wrap_socket(s, server_hostname="127.0.0.1")
    s.send(f"GET {PATH}?watch=true HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {args.token}\r\n\r\n".encode())
    client = Client(args)
    while not stop.is_set():
        client.ask("PATCH", PATH + "/large", {"data": {"x": "%0100000d" % sent.value}}, "application/merge-patch+json")
        with sent.get_lock():
            sent.value += 1
        stop.wait(0.1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--ca", required=True)
    p.add_argument("--token", required=True)
    p.add_argument("--pid", type=int, required=True)
    p.add_argument("--connections", type=int, default=10000)
    p.add_argument("--requests", type=int, default=5000)
    args = p.parse_args()
    setup = Client(args)
    for name in "ordinary", "large":
        setup.ask("POST", PATH, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {}})
    measure(args)  # warm
    quiet, quiet_memory = measure(args), memory(args.pid)

    ours, theirs = multiprocessing.Pipe()
    attacker = multiprocessing.Process(target=attack, args=(args, args.connections * 99 // 100, theirs))
    attacker.start()
    while not ours.poll(1):
        if not attacker.is_alive():
            sys.exit("the attacker has failed")
    ours.recv()
    sent = multiprocessing.Value("i", 0)
    writer = multiprocessing.Event()
    watch = multiprocessing.Process(target=unread_watch, args=(args, writer, sent))
    watch.start()
    others = [Client(args) for _ in range(args.connections // 100 - 3)]
    for c in others:
        c.ask("GET", "/healthz")
    peak = memory(args.pid)
    loud = []
    # Longer than the slow are given, so that ends and new beginnings are in it.
    end = time.monotonic() + 100
    while time.monotonic() < end:
        loud += measure(args)
        peak = max(peak, memory(args.pid))
    ours.send("enough")
    opened, ended = ours.recv()
    attacker.join()
    writer.set()
    watch.join()

    a, b = percentile(quiet, 0.99), percentile(loud, 0.99)
    print(f"requests alone:   p50 {percentile(quiet, 0.5):.2f} ms, p99 {a:.2f} ms; {quiet_memory:.0f} MiB resident")
    print(f"under attack:     p50 {percentile(loud, 0.5):.2f} ms, p99 {b:.2f} ms; {peak:.0f} MiB resident at most")
    print(f"p99 ratio:        {b / a:.2f}")
    print(f"memory:           {(peak - quiet_memory) * 1024 / args.connections:.1f} KiB for each connection")
    print(f"attacker:         {opened} connections opened, {ended} ended by the server; "
          f"{sent.value} events of 100 kB for the watch that is not read")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A flood by one user against one request of another, for fairness_test.sh.

fairness.py <port> <ca file>: requests of which only the head has come hold their seats; the flood is PUTs of f0, f1, ...
that never send their bodies. Prints what happened, a line for each fact.
fairness.py <port> <ca file> slow: the answer to one such request of an administrator.
"""
import socket
import ssl
import sys
import threading
import time

PORT, CA = int(sys.argv[1]), sys.argv[2]
FLOOD = 24
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def connect(token, method, path, length=None):
    context = ssl.create_default_context(cafile=CA)
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", PORT)), server_hostname="localhost")
    head = "%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n" % (method, path, token)
    if length is not None:
        head += "Content-Type: application/json\r\nContent-Length: %d\r\n" % length
    s.sendall((head + "\r\n").encode())
    return s


def answer(s):
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(65536)
        if not more:
            break
        data += more
    return data.decode(errors="replace")


def get(path):
    s = connect("admin-token", "GET", path)
    s.settimeout(30)
    head, _, body = (answer(s) + "").partition("\r\n\r\n")
    length = next(int(l.split(":")[1]) for l in head.split("\r\n") if l.lower().startswith("content-length"))
    while len(body) < length:
        body += s.recv(65536).decode()
    s.close()
    return body


def table(what):
    rows = [[c.strip() for c in l.split(",")] for l in get("/debug/api_priority_and_fairness/" + what).splitlines()]
    return [dict(zip(rows[0], r)) for r in rows[1:]]


def level():
    return next(r for r in table("dump_priority_levels") if r["PriorityLevelName"] == "tiny")


def until(what, condition):
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            sys.exit("never: %s: %r" % (what, level()))
        time.sleep(0.02)


def executing():
    """The name of the object of the request that has the seat."""
    rows = table("dump_requests?includeRequestDetails=1")
    return [r["Name"] for r in rows if r["PriorityLevelName"] == "tiny" and r["QueueIndex"] == "-1"]


def main():
    begun = time.monotonic()
    flood = {}
    for i in range(FLOOD):
        flood["f%d" % i] = connect("flood-token", "PUT", "%s/f%d" % (CONFIGMAPS, i), 100)
    until("the flood waits", lambda: level()["WaitingRequests"] == str(FLOOD - 1))
    print("one at a time:", level()["ExecutingRequests"])
    done = []
    quiet = connect("alice-token", "GET", CONFIGMAPS)
    reader = threading.Thread(target=lambda: done.append(answer(quiet).split("\r\n")[0]))
    reader.start()
    until("the quiet one waits", lambda: level()["WaitingRequests"] == str(FLOOD))
    # What is shared is time: a queue has had its turn once it has had the seat for as long as all this took. The flood
    # has four queues, so that is five turns at most, the one that was first included.
    turn = time.monotonic() - begun
    gone = 0
    while not done:
        for name in [n for n in executing() if n in flood]:
            reader.join(turn)
            flood.pop(name).close()  # the client vanishes: its seat goes to the next
            gone += 1
            until("its seat is free", lambda: done or name not in executing())
    reader.join()
    print("the quiet one:", done[0])
    print("before the flood was over:", "yes" if gone <= 5 else "after %d turns" % gone)
    for s in flood.values():
        s.close()
    until("all seats are free", lambda: level()["ExecutingRequests"] == "0" and level()["WaitingRequests"] == "0")
    print("idle:", level()["IsIdle"])


def slow():
    s = connect("admin-token", "PUT", CONFIGMAPS + "/x", 100)
    s.settimeout(30)
    head, _, body = answer(s).partition("\r\n\r\n")
    while "}" not in body:
        more = s.recv(65536)
        if not more:
            break
        body += more.decode()
    print(head.split("\r\n")[0], body.strip())


slow() if len(sys.argv) > 3 else main()

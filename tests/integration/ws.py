#!/usr/bin/env python3
"""A WebSocket client for the tests: ws.py <port> <ca file> <token> <path> [header: value ...]

Prints the status line, the protocol agreed on, and each message as "text: ..." or "binary: <hex>"; "close: <code>" at the
end. The token goes as a subprotocol, as browsers have to send it, together with --protocol=<p> if given."""
import base64
import os
import socket
import ssl
import struct
import sys


def read(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            sys.exit("the connection ended")
        data += more
    return data


def main():
    port, ca, token, path = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    protocols = [a[len("--protocol="):] for a in sys.argv[5:] if a.startswith("--protocol=")]
    headers = [a for a in sys.argv[5:] if not a.startswith("--protocol=")]
    protocols.append("base64url.bearer.authorization.k8s.io." +
                     base64.urlsafe_b64encode(token.encode()).decode().rstrip("="))
    context = ssl.create_default_context(cafile=ca)
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
    s.settimeout(30)
    head = ["GET %s HTTP/1.1" % path, "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Protocol: " + ", ".join(protocols)] + headers
    s.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += read(s, 1)
    lines = answer.decode().split("\r\n")
    print(lines[0])
    if " 101 " not in lines[0]:
        return
    for line in lines[1:]:
        if line.lower().startswith("sec-websocket-protocol:"):
            print("protocol:", line.split(":", 1)[1].strip())
    while True:
        first, second = read(s, 2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", read(s, 2))
        elif size == 127:
            (size,) = struct.unpack(">Q", read(s, 8))
        data = read(s, size)
        op = first & 0x0F
        if op == 8:
            print("close:", struct.unpack(">H", data[:2])[0] if data else "")
            mask = os.urandom(4)
            s.sendall(bytes([0x88, 0x80 | len(data)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
            return
        print("text: " + data.decode().rstrip("\n") if op == 1 else "binary: " + data.hex(), flush=True)


main()

#!/usr/bin/env python3
"""A kubelet for the streaming test: TLS with a client certificate asked for, and answers that a test can look at.

fake_kubelet.py <address> <cert> <key> <client CA> <log>: prints the port. Each request is a line of JSON in the log. By path:
  /exec/...                          101, then every byte comes back (command=refuse: 403; command=redirect: 302)
  /containerLogs/.../<container>     "slow": a hundred MB
  /page /redirect /echo /ws /big     for .../proxy
"""
import base64, hashlib, http.server, json, socketserver, ssl, sys, urllib.parse

address, cert, key, ca, log_path = sys.argv[1:6]
plain = len(sys.argv) > 6


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self, body):
        peer = None if plain else self.connection.getpeercert()
        name = dict(x[0] for x in peer["subject"]).get("commonName") if peer else None
        with open(log_path, "a") as f:
            headers = {k.lower(): v for k, v in self.headers.items()}
            f.write(json.dumps({"method": self.command, "path": self.path, "headers": headers, "user": name, "body": len(body)}) + "\n")

    def answer(self, code, text, headers=()):
        data = text.encode()
        self.send_response(code)
        for k, v in headers:
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def echo_raw(self):
        self.wfile.flush()
        while True:
            data = self.connection.recv(65536)
            if not data:
                break
            self.connection.sendall(data)
        self.close_connection = True

    def upgrade(self):
        self.send_response(101)
        protocol = self.headers.get("Sec-WebSocket-Protocol")
        if self.headers["Upgrade"].lower() == "websocket":
            guid = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(guid.encode()).digest()).decode())
            if protocol:
                self.send_header("Sec-WebSocket-Protocol", protocol.split(",")[0].strip())
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.end_headers()
        self.echo_raw()

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while True:
                n = int(self.rfile.readline().split(b";")[0], 16)
                body += self.rfile.read(n)
                self.rfile.readline()
                if n == 0:
                    break
        self.note(body)
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if query.get("command") == ["refuse"]:
            self.answer(403, "no, thanks", [("X-Kubelet", "yes")])
        elif query.get("command") == ["redirect"]:
            self.answer(302, "", [("Location", "https://10.123.9.1:6443/")])
        elif self.headers.get("Upgrade"):
            self.upgrade()
        elif url.path.endswith("/slow"):
            self.send_response(200)
            self.send_header("Content-Length", str(100 << 20))
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x" * (1 << 20))
        elif url.path == "/page":
            self.answer(200, '<a href="/x">/x</a><a href="http://example.com/y">y</a>', [("Content-Type", "text/html; charset=utf-8")])
        elif url.path == "/redirect":
            self.answer(302, "", [("Location", "/elsewhere?a=b")])
        elif url.path == "/hang":
            self.close_connection = True
        elif url.path == "/teapot":
            self.answer(418, "short and stout", [("Connection", "X-Hop"), ("X-Hop", "1"), ("X-End", "2")])
        else:
            self.answer(200, "%s %s %d" % (self.command, self.path, len(body)))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = handle_any


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


server = Server((address, 0), Handler)
if not plain:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()

"""What authn_test.sh needs: signing tokens as an issuer or an attacker does, floods, an issuer and a webhook."""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import ssl
import subprocess
import sys


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def raw_signature(der, size):
    """The two numbers of an ECDSA signature side by side."""
    at = 2 if der[1] < 0x80 else 3
    out = b""
    for _ in range(2):
        length = der[at + 1]
        out += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(size, b"\0")
        at += 2 + length
    return out


def sign(key, alg, claims, header=None):
    head = {"alg": alg, "typ": "JWT"}
    head.update(json.loads(header or "{}"))
    text = b64(json.dumps(head).encode()) + b"." + b64(claims.encode())
    if alg == "none":
        signature = b""
    elif alg == "HS256":
        signature = hmac.new(open(key, "rb").read(), text, hashlib.sha256).digest()
    else:
        command = ["openssl", "dgst", "-sha" + alg[2:], "-sign", key]
        if alg.startswith("PS"):
            command += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
        signature = subprocess.run(command, input=text, capture_output=True, check=True).stdout
        if alg.startswith("ES"):
            signature = raw_signature(signature, {"ES256": 32, "ES384": 48, "ES512": 66}[alg])
    return (text + b"." + b64(signature)).decode()


def flood(url, ca, n, name):
    context = ssl.create_default_context(cafile=ca)
    connection = http.client.HTTPSConnection(url.split("//")[1], context=context)
    codes = {}
    for i in range(n):
        connection.request("GET", "/api", headers={"Authorization": "Bearer garbage-%s-%d-%s" % (name, i, "x" * 1000)})
        answer = connection.getresponse()
        answer.read()
        codes[answer.status] = codes.get(answer.status, 0) + 1
    for code, count in sorted(codes.items()):
        print(count, code)


def jwk(path, kid):
    """A public key as issuers publish it."""
    der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], capture_output=True, check=True).stdout
    key = {"kid": kid, "use": "sig"}
    for curve, size in ("P-256", 32), ("P-384", 48), ("P-521", 66):
        if der[-2 * size - 1:-2 * size] == b"\4" and len(der) < 2 * size + 32:
            return dict(key, kty="EC", crv=curve, x=b64(der[-2 * size:-size]).decode(), y=b64(der[-size:]).decode())
    text = subprocess.run(["openssl", "rsa", "-in", path, "-noout", "-modulus"], capture_output=True, check=True).stdout
    n = bytes.fromhex(text.decode().strip().split("=")[1])
    return dict(key, kty="RSA", n=b64(n).decode(), e="AQAB")


class Handler(http.server.BaseHTTPRequestHandler):
    """Files of a directory, as an issuer has them, and answers to TokenReviews. Says in a file what was asked."""

    protocol_version = "HTTP/1.1"

    def answer(self, code, body, headers=()):
        with open(self.server.directory + "/log", "a") as log:
            print(self.command, self.path, code, file=log)
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/redirect/"):
            self.answer(302, b"", [("Location", self.path[len("/redirect"):])])
            return
        try:
            with open(self.server.directory + self.path.replace("/.well-known", ""), "rb") as file:
                self.answer(200, file.read(), [("Content-Type", "application/json")])
        except OSError:
            self.answer(404, b"")

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        spec, name = review["spec"], review["spec"]["token"].partition("hook-")[2]
        status = {"authenticated": False}
        if spec["token"] == "hook-broken" and not self.server.broken:
            self.server.broken = True
            self.answer(500, b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","code":500}')
            return
        if name == "refused":
            status["error"] = "not today"
        elif name:
            status = {"authenticated": True, "audiences": ["vault"] if name == "vault" else spec["audiences"],
                      "user": {"username": name, "uid": "7", "groups": ["g"], "extra": {"k": ["v"]}}}
        body = {"apiVersion": review["apiVersion"], "kind": "TokenReview", "status": status}
        self.answer(200, json.dumps(body).encode(), [("Content-Type", "application/json")])

    def log_message(self, *_):
        pass


def serve(directory, certificate, key):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.directory, server.broken, server.daemon_threads = directory, False, True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with open(directory + "/port", "w") as file:
        print(server.server_address[1], file=file)
    server.serve_forever()


if __name__ == "__main__":
    command, args = sys.argv[1], sys.argv[2:]
    if command == "sign":
        print(sign(*args))
    elif command == "flood":
        flood(args[0], args[1], int(args[2]), args[3])
    elif command == "jwks":
        print(json.dumps({"keys": [jwk(*name.split("=")) for name in args]}))
    elif command == "serve":
        serve(*args)

"""What authn_test.sh needs: signing tokens as an issuer or an attacker does, floods, an issuer and a webhook."""
import base64
import hashlib
import hmac
import http.client
import json
import ssl
import subprocess
import sys
import threading


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


if __name__ == "__main__":
    command, args = sys.argv[1], sys.argv[2:]
    if command == "sign":
        print(sign(*args))
    elif command == "flood":
        flood(args[0], args[1], int(args[2]), args[3])

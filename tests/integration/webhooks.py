"""What webhooks_test.sh needs. serve <directory>: a webhook that allows the user "hooked" and keeps TokenReviews waiting until
<directory>/release is there; as flood <port> <CA> <n> <directory>: n tokens that nobody knows, each on a connection of its own.
The file <directory>/answered has a line for each that was answered."""
import http.client
import http.server
import json
import os
import ssl
import sys
import threading
import time


class Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = {"allowed": review["spec"].get("user") == "hooked"}
        if review["kind"] == "TokenReview":
            while not os.path.exists(self.server.directory + "/release"):
                time.sleep(0.05)
            status = {"authenticated": False}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "status": status}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 1024


def serve(directory):
    server = Server(("127.0.0.1", 0), Hook)
    server.directory = directory
    with open(directory + "/port.new", "w", encoding="utf-8") as file:
        print(server.server_address[1], file=file)
    os.rename(directory + "/port.new", directory + "/port")
    server.serve_forever()


def flood(port, ca, n, directory):
    context = ssl.create_default_context(cafile=ca)
    connections = [http.client.HTTPSConnection("127.0.0.1", int(port), context=context) for _ in range(int(n))]
    for i, connection in enumerate(connections):
        connection.request("GET", "/api", headers={"Authorization": "Bearer nobody-%d" % i})
    with open(directory + "/sent", "w", encoding="utf-8"):
        pass
    lock = threading.Lock()

    def wait(connection):
        code = connection.getresponse().status
        with lock, open(directory + "/answered", "a", encoding="utf-8") as file:
            print(code, file=file)

    threads = [threading.Thread(target=wait, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def selectors(port, ca, token, first, n):
    """May the user list pods, as narrowed by long selectors? Says how often which code was the answer."""
    connection = http.client.HTTPSConnection("127.0.0.1", int(port), context=ssl.create_default_context(cafile=ca))
    codes = {}
    for i in range(int(first), int(first) + int(n)):
        selector = {"requirements": [{"key": "a", "operator": "In", "values": ["%d" % i + "x" * 200000]}]}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                  "spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "labelSelector": selector}}}
        connection.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json.dumps(review),
                           {"Authorization": "Bearer " + token, "Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        codes[answer.status] = codes.get(answer.status, 0) + 1
    print(codes)


if __name__ == "__main__":
    {"serve": serve, "flood": flood, "selectors": selectors}[sys.argv[1]](*sys.argv[2:])

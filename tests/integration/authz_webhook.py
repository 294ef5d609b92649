"""An authorization webhook: allows the user "hooked" to get pods, denies "banned", fails for "broken", and has no opinion of
others. Each review goes to the log as a line. Usage: authz_webhook.py <port file> <log>"""
import http.server
import json
import os
import sys

port_file, log = sys.argv[1:]


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(log, "a", encoding="utf-8") as out:
            out.write(json.dumps(review) + "\n")
        spec = review["spec"]
        user, attrs = spec.get("user"), spec.get("resourceAttributes", {})
        if user == "broken":
            self.send_error(503)
            return
        status = {"allowed": False}
        if user == "hooked" and attrs.get("resource") == "pods":
            status = {"allowed": True, "reason": "the hook likes it"}
        elif user == "banned":
            status = {"allowed": False, "denied": True, "reason": "the hook says no"}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "status": status}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
with open(port_file + ".new", "w", encoding="utf-8") as f:
    f.write(str(server.server_address[1]))
os.rename(port_file + ".new", port_file)
server.serve_forever()

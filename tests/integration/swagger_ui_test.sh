#!/bin/bash
# /swagger-ui/ in headless Chromium: the page browses the API with a token, and loads nothing from elsewhere. Needs npm
# and chromium; KUBEC_SWAGGER_UI may name a directory that deploy/swagger-ui has filled, KUBEC_SCREENSHOT a file for a
# picture of the page.
. "$(dirname "$0")/lib.sh"
command -v chromium >/dev/null || { echo "skipped: no chromium"; exit 0; }
UI=${KUBEC_SWAGGER_UI:-$WORK/swagger-ui}
if [ ! -e "$UI/swagger-ui.css" ]; then
    "$TESTS_DIR/../deploy/swagger-ui" "$UI" || { echo "skipped: npm has no swagger-ui-dist"; exit 0; }
fi
start_control_plane --swagger-ui-dir="$UI" --authorization-mode=RBAC \
    --authorization-always-allow-paths=/healthz,/readyz,/livez,/swagger-ui,/swagger-ui/*

# anonymous <path>: the code of a GET without credentials.
anonymous() {
    curl -s -o "$WORK/body" -D "$WORK/headers" -w '%{http_code}' --cacert "$WORK/ca.crt" "https://127.0.0.1:$API_PORT$1"
}

is "the page, for anybody" 200 "$(anonymous /swagger-ui/)"
has "the page" '<script src="swagger-ui-bundle.js">' "$(cat "$WORK/body")"
is "without a slash" 301 "$(anonymous /swagger-ui)"
has "without a slash: location" "/swagger-ui/" "$(grep -i ^location "$WORK/headers")"
is "the program" 200 "$(anonymous /swagger-ui/swagger-ui-bundle.js)"
has "the program: type" "text/javascript" "$(grep -i ^content-type "$WORK/headers")"
is "the program as npm has it" "$(sha256sum <"$UI/swagger-ui-bundle.js")" "$(sha256sum <"$WORK/body")"
is "another file" 404 "$(anonymous /swagger-ui/LICENSE)"
is "outside of the directory" 404 "$(anonymous /swagger-ui/..%2f..%2fetc%2fpasswd)"
is "the API is not for anybody" 403 "$(anonymous /api/v1/namespaces)"

cat >"$WORK/browse.py" <<'PY'
import base64, json, os, re, socket, struct, subprocess, sys, time, urllib.request

# Chromium's debugging protocol by hand: one WebSocket, JSON messages.
url, profile, picture = sys.argv[1:4]
browser = subprocess.Popen(
    ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
     "--ignore-certificate-errors", "--remote-debugging-port=0", "--user-data-dir=" + profile, "--window-size=1280,1600",
     "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
try:
    for line in browser.stderr:
        found = re.search(r"ws://127\.0\.0\.1:(\d+)/", line)
        if found:
            break
    port = int(found.group(1))
    pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json"))
    path = next(p for p in pages if p["type"] == "page")["webSocketDebuggerUrl"].split(str(port), 1)[1]
    s = socket.create_connection(("127.0.0.1", port))
    s.settimeout(60)
    s.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
    f = s.makefile("rb")
    while f.readline().strip():
        pass

    def receive():
        message = b""
        while True:
            head = f.read(2)
            n = head[1] & 127
            if n == 126:
                n = struct.unpack("!H", f.read(2))[0]
            elif n == 127:
                n = struct.unpack("!Q", f.read(8))[0]
            message += f.read(n)
            if head[0] & 128:
                return json.loads(message)

    outside, number = [], 0

    def call(method, **params):
        global number
        number += 1
        data = json.dumps({"id": number, "method": method, "params": params}).encode()
        size = bytes([128 | len(data)]) if len(data) < 126 else (
            b"\xfe" + struct.pack("!H", len(data)) if len(data) < 65536 else b"\xff" + struct.pack("!Q", len(data)))
        s.sendall(b"\x81" + size + b"\0\0\0\0" + data)
        while True:
            answer = receive()
            if answer.get("method") == "Network.requestWillBeSent":
                wanted = answer["params"]["request"]["url"]
                if not wanted.startswith((url.split("/swagger-ui")[0] + "/", "data:", "blob:")):
                    outside.append(wanted)
            if answer.get("id") == number:
                return answer.get("result", answer)

    def evaluate(text):
        return call("Runtime.evaluate", expression=text, awaitPromise=True)["result"].get("value")

    def until(text, what):
        end = time.monotonic() + 60
        while not evaluate(f"!!({text})"):
            if time.monotonic() > end:
                sys.exit(f"timed out: {what}: {evaluate('document.body.innerText.slice(0, 400)')}")
            time.sleep(0.1)

    call("Network.enable")
    call("Page.enable")
    call("Page.navigate", url=url)
    until("document.getElementById('problem')?.textContent.includes('403')", "refused without a token")
    evaluate("token.value = 'admin-token'; document.querySelector('#login button').click()")
    until("document.querySelectorAll('.opblock-tag').length > 0", "the operations of api/v1")
    print("title:", evaluate("document.title"))
    print("documents:", evaluate("document.querySelectorAll('#select option').length"))
    evaluate("document.querySelector('.opblock-tag').click()")
    operation = "document.getElementById('operations-core_v1-getCoreV1APIResources')"
    until(operation, "the list of operations")
    evaluate(operation + ".querySelector('.opblock-summary-control').click()")
    until(operation + ".querySelector('.try-out__btn')", "an operation")
    evaluate(operation + ".querySelector('.try-out__btn').click()")
    until(operation + ".querySelector('.execute')", "the button")
    evaluate(operation + ".querySelector('.execute').click()")
    until(operation + ".querySelector('.live-responses-table tbody .response-col_status')", "an answer")
    print("status:", evaluate(operation + ".querySelector('.live-responses-table tbody .response-col_status').innerText.trim().slice(0, 3)"))
    print("kind:", evaluate(operation + ".querySelector('.live-responses-table').innerText.includes('APIResourceList')"))
    evaluate(operation + ".scrollIntoView()")
    with open(picture, "wb") as out:
        out.write(base64.b64decode(call("Page.captureScreenshot")["data"]))
    print("outside:", outside)
finally:
    browser.terminate()
    browser.wait()
PY
said=$(python3 "$WORK/browse.py" "https://127.0.0.1:$API_PORT/swagger-ui/" "$WORK/profile" \
    "${KUBEC_SCREENSHOT:-$WORK/screenshot.png}" 2>&1)
is "what the browser saw" "title: Kubernetes API
documents: 22
status: 200
kind: True
outside: []" "$said"
is "the screenshot is a PNG" "89504e47" "$(head -c 4 "${KUBEC_SCREENSHOT:-$WORK/screenshot.png}" | od -An -tx1 | tr -d ' \n')"

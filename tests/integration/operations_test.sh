#!/bin/bash
# Every operation of the server's own OpenAPI, with one object of every kind: operations.py.
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC

kubectl create serviceaccount default >/dev/null || fail "create serviceaccount"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=someone -keyout /dev/null \
    -out "$WORK/someone.csr" 2>/dev/null
sed -e '/^#/d' -e "s|@CSR@|$(base64 -w0 "$WORK/someone.csr")|" "$TESTS_DIR/integration/kinds/objects.yaml" >"$WORK/objects.yaml"

python3 "$TESTS_DIR/integration/operations.py" "$API_PORT" "$WORK/ca.crt" admin-token "$WORK/objects.yaml" ||
    fail "operations"

#!/bin/bash
# Clients that others have written: Debian's python3-kubernetes, and @kubernetes/client-node as npm installs it. Typed CRUD,
# every patch, custom verbs; informers that outlive an apiserver and a compaction of etcd.
. "$(dirname "$0")/lib.sh"
start_control_plane --authorization-mode=RBAC
kubectl create serviceaccount default >/dev/null || fail "create serviceaccount"

CLIENTS=$TESTS_DIR/integration/clients
PYTHON=(/usr/bin/python3 "$CLIENTS/python_client.py")

"${PYTHON[@]}" use "$KUBECONFIG" || fail "python3-kubernetes"

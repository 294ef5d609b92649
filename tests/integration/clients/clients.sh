# Sourced by tests that use clients of others: "client python|node <arguments>" runs one. The client of npm is installed, if npm
# is there, into $NPM_DIR, by what made that directory and removes it.

CLIENTS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

client() {
    (become_client "$@")
}

# The same in place of the shell that calls it: with "&", $! is the client. Debian's python3, whatever other one is in the PATH.
become_client() {
    local name=$1
    shift
    case $name in
    python) exec /usr/bin/python3 "$CLIENTS_DIR/python_client.py" "$@" ;;
    node) cd "$NPM_DIR" && exec node "$CLIENTS_DIR/node_client.mjs" "$@" ;;
    esac
}

# The clients that are there.
clients() {
    echo python
    [ ! -d "$NPM_DIR/node_modules" ] || echo node
}

install_node_client() {
    if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
        echo "skipped: @kubernetes/client-node, as npm is not installed"
        return
    fi
    cp "$CLIENTS_DIR"/package*.json "$NPM_DIR"
    (cd "$NPM_DIR" && npm ci --no-audit --no-fund --ignore-scripts --prefer-offline) >"$NPM_DIR/log" 2>&1 && return
    echo "FAIL: npm installs @kubernetes/client-node: $(tail -n 5 "$NPM_DIR/log")" >&2
    return 1
}

# Sourced by tests that need a real node, after lib.sh, in a network namespace of their own: a containerd and a kubelet named
# node1 at 10.123.9.1, and helpers to look at pods.

ip link set lo up
ip link add node0 type veth peer name outside0 && ip addr add 10.123.9.1/24 dev node0 && ip link set node0 up && ip link set outside0 up
ip route add default via 10.123.9.254

CONTAINERD_PID= KUBELET_PID=
SOCK=$WORK/containerd.sock

ctr_() { ctr -a "$SOCK" -n k8s.io "$@"; }

start_containerd() {
    mkdir -p "$WORK/cni"
    local limited=true
    (((16#$(sed -n 's/^CapEff:\t//p' /proc/self/status) >> 24) & 1)) && limited=false
    cat >"$WORK/containerd.toml" <<CONFIG
version = 2
root = "$WORK/containerd/root"
state = "$WORK/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "$SOCK"
[plugins."io.containerd.internal.v1.opt"]
  path = "$WORK/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = $limited
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$WORK/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
CONFIG
    containerd --config "$WORK/containerd.toml" >>"$WORK/containerd.log" 2>&1 &
    CONTAINERD_PID=$!
    PIDS+=("$CONTAINERD_PID")
    eventually 20 ctr_ version
}

start_kubelet() { # [flags]
    "$KUBEC_BIN/kubelet" --kubeconfig="$WORK/admin.kubeconfig" --hostname-override=node1 --node-ip=10.123.9.1 \
        --container-runtime-endpoint="unix://$SOCK" --root-dir="$WORK/kubelet" --cert-dir="$WORK/kubelet/pki" \
        --pod-manifest-path="$WORK/manifests" --pod-logs-dir="$WORK/logs/pods" --container-log-dir="$WORK/logs/containers" \
        --cni-conf-dir="$WORK/cni" --address=10.123.9.1 --authorization-mode=AlwaysAllow --client-ca-file="$WORK/ca.crt" --v="${KUBELET_V:-2}" "$@" \
        >>"$WORK/kubelet.log" 2>&1 &
    KUBELET_PID=$!
    PIDS+=("$KUBELET_PID")
}

get() { "$KUBECTL" get "$@"; }
pod() { get pod "$1" -o "jsonpath=$2" 2>/dev/null; }
pod_is() { [ "$(pod "$1" "$2")" = "$3" ]; }
pod_ready() { pod_is "$1" '{.status.conditions[?(@.type=="Ready")].status}' True; }
gone() { ! get pod "$1" >/dev/null 2>&1; }
container_id() { pod "$1" '{.status.containerStatuses[0].containerID}' | sed 's,.*://,,'; }
container_pid() { ctr_ tasks ls | awk -v id="$(container_id "$1")" '$1 == id {print $2}'; }
events() { get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.reason}:{.message}{"\n"}{end}'; }

# pod_yaml <name> <command> [more of the spec]
pod_yaml() {
    cat <<POD
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: default}
spec:
  nodeName: node1
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 5
  ${3-}
  containers:
  - name: c
    image: docker.io/library/busybox:1.35
    command: ["sh", "-c", "$2"]
POD
}

FOREVER="trap 'exit 0' TERM; echo started; while true; do sleep 0.1; done"

# start_node [apiserver flags...]: a control plane, a containerd that has the images pause and busybox, and the kubelet.
start_node() {
    mkdir -p "$WORK/manifests" "$WORK/images"
    start_control_plane --kubelet-client-certificate="$WORK/admin.crt" --kubelet-client-key="$WORK/admin.key" \
        --kubelet-preferred-address-types=InternalIP "$@"
    "$KUBECTL" apply -f - >/dev/null <<<'{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":"default"}}'
    start_containerd || { fail "containerd does not start"; exit 1; }
    "$TESTS_DIR/../deploy/images/build" "$WORK/images" >/dev/null
    ctr_ images import "$WORK/images/pause.tar" >/dev/null && ctr_ images import "$WORK/images/busybox.tar" >/dev/null
    start_kubelet
}

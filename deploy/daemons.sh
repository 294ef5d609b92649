# What each daemon of the cluster is started with. Sourced by up. start_<name> writes its configuration and starts it.
# shellcheck shell=bash

# Debian's packages do not agree with each other on where the CNI plugins are.
CNI_BIN_DIR=/usr/lib/cni

# write_config <file>, content on standard input. A file that is right already is not touched, a daemon is restarted when its own changed.
write_config() {
    cat >"$CONFIG_DIR/$1.new" || return 1
    if cmp -s "$CONFIG_DIR/$1.new" "$CONFIG_DIR/$1"; then
        rm -f "$CONFIG_DIR/$1.new"
    else
        mv "$CONFIG_DIR/$1.new" "$CONFIG_DIR/$1"
    fi
}

start_etcd() {
    mkdir -p "$DATA_DIR/etcd" && chmod 700 "$DATA_DIR/etcd" && chown -R "$(user_of etcd):" "$DATA_DIR/etcd" || return 1
    start_daemon etcd "$(command -v etcd)" \
        --name=default --data-dir="$DATA_DIR/etcd" --logger=zap \
        --listen-client-urls="https://127.0.0.1:$ETCD_PORT" --advertise-client-urls="https://127.0.0.1:$ETCD_PORT" \
        --listen-peer-urls="https://127.0.0.1:$ETCD_PEER_PORT" \
        --initial-advertise-peer-urls="https://127.0.0.1:$ETCD_PEER_PORT" \
        --initial-cluster="default=https://127.0.0.1:$ETCD_PEER_PORT" \
        --client-cert-auth --trusted-ca-file="$PKI_DIR/etcd-ca.crt" \
        --cert-file="$PKI_DIR/etcd-server.crt" --key-file="$PKI_DIR/etcd-server.key" \
        --peer-client-cert-auth --peer-trusted-ca-file="$PKI_DIR/etcd-ca.crt" \
        --peer-cert-file="$PKI_DIR/etcd-server.crt" --peer-key-file="$PKI_DIR/etcd-server.key" \
        --auto-compaction-retention=0 --quota-backend-bytes=2147483648
}

# Who has no credentials sees whether the API server is well, and nothing else but what was asked for: the pages of Swagger UI,
# and what kubeadm reads before it trusts a cluster.
write_authentication() {
    local paths=(/healthz /livez /readyz) file
    if [ -e "$DATA_DIR/swagger-ui/swagger-ui.css" ]; then
        paths+=(/swagger-ui /swagger-ui/ /swagger-ui/start.js)
        for file in "$DATA_DIR"/swagger-ui/*; do paths+=("/swagger-ui/${file##*/}"); done
    fi
    [ "${ANONYMOUS_CLUSTER_INFO:-no}" = no ] || paths+=(/api/v1/namespaces/kube-public/configmaps/cluster-info)
    {
        printf 'apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\nanonymous:\n  enabled: true\n  conditions:\n'
        printf '  - path: %s\n' "${paths[@]}"
    } | write_config authentication.yaml && own kube-apiserver "$CONFIG_DIR/authentication.yaml"
}

start_kube-apiserver() {
    local ui=() # what deploy/swagger-ui has fetched
    write_authentication || return 1
    [ ! -e "$DATA_DIR/swagger-ui/swagger-ui.css" ] || ui=("--swagger-ui-dir=$DATA_DIR/swagger-ui"
        "--authorization-always-allow-paths=/healthz,/readyz,/livez,/swagger-ui,/swagger-ui/*")
    start_daemon kube-apiserver "$BIN_DIR/kube-apiserver" \
        --etcd-servers="https://127.0.0.1:$ETCD_PORT" --etcd-cafile="$PKI_DIR/etcd-ca.crt" \
        --etcd-certfile="$PKI_DIR/apiserver-etcd-client.crt" --etcd-keyfile="$PKI_DIR/apiserver-etcd-client.key" \
        --bind-address=0.0.0.0 --secure-port="$API_PORT" --advertise-address="$NODE_IP" \
        --tls-cert-file="$PKI_DIR/apiserver.crt" --tls-private-key-file="$PKI_DIR/apiserver.key" \
        --client-ca-file="$PKI_DIR/ca.crt" --authentication-config="$CONFIG_DIR/authentication.yaml" \
        --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local \
        --service-account-key-file="$PKI_DIR/sa.pub" --service-account-signing-key-file="$PKI_DIR/sa.key" \
        --service-cluster-ip-range="$SERVICE_CIDR" --allow-privileged=true --enable-bootstrap-token-auth=true \
        --kubelet-client-certificate="$PKI_DIR/apiserver-kubelet-client.crt" \
        --kubelet-client-key="$PKI_DIR/apiserver-kubelet-client.key" \
        --kubelet-certificate-authority="$PKI_DIR/ca.crt" \
        --kubelet-preferred-address-types=InternalIP,Hostname "${ui[@]}"
}

start_kube-controller-manager() {
    start_daemon kube-controller-manager "$BIN_DIR/kube-controller-manager" \
        --kubeconfig="$CONFIG_DIR/kube-controller-manager.kubeconfig" --bind-address=127.0.0.1 --leader-elect=true \
        --use-service-account-credentials=true \
        --allocate-node-cidrs=true --cluster-cidr="$CLUSTER_CIDR" --service-cluster-ip-range="$SERVICE_CIDR" \
        --cluster-signing-cert-file="$PKI_DIR/ca.crt" --cluster-signing-key-file="$PKI_DIR/ca.key" \
        --controllers='*,bootstrap-signer-controller,token-cleaner-controller' \
        --root-ca-file="$PKI_DIR/ca.crt" --service-account-private-key-file="$PKI_DIR/sa.key"
}

start_kube-scheduler() {
    start_daemon kube-scheduler "$BIN_DIR/kube-scheduler" \
        --kubeconfig="$CONFIG_DIR/kube-scheduler.kubeconfig" --bind-address=127.0.0.1 --leader-elect=true
}

# Without CAP_SYS_RESOURCE (some containers and sandboxes) OOM scores can only be raised.
oom_score_limited() {
    local caps
    caps=$(sed -n 's/^CapEff:\t//p' /proc/self/status)
    if (((16#$caps >> 24) & 1)); then echo false; else echo true; fi
}

start_containerd() {
    mkdir -p "$DATA_DIR/containerd" "$DATA_DIR/cni/net.d" || return 1
    write_config containerd.toml <<EOF || return 1
version = 2
root = "$DATA_DIR/containerd/root"
state = "$RUN_DIR/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing"]
[grpc]
  address = "$CONTAINERD_SOCK"
[plugins."io.containerd.internal.v1.opt"]
  path = "$DATA_DIR/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = $(oom_score_limited)
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$CNI_BIN_DIR"
    conf_dir = "$DATA_DIR/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
EOF
    start_daemon containerd "$(command -v containerd)" --config "$CONFIG_DIR/containerd.toml"
}

start_kubelet() {
    mkdir -p "$DATA_DIR/kubelet" "$DATA_DIR/manifests" || return 1
    write_config kubelet.yaml <<EOF || return 1
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous:
    enabled: false
  webhook:
    enabled: true
  x509:
    clientCAFile: $PKI_DIR/ca.crt
authorization:
  mode: Webhook
tlsCertFile: $PKI_DIR/kubelet-server.crt
tlsPrivateKeyFile: $PKI_DIR/kubelet-server.key
cgroupDriver: cgroupfs
clusterDNS: [$CLUSTER_DNS]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://$CONTAINERD_SOCK
staticPodPath: $DATA_DIR/manifests
podLogsDir: $LOG_DIR/pods
EOF
    start_daemon kubelet "$BIN_DIR/kubelet" --config="$CONFIG_DIR/kubelet.yaml" \
        --kubeconfig="$CONFIG_DIR/kubelet.kubeconfig" --hostname-override="$NODE_NAME" --node-ip="$NODE_IP" \
        --root-dir="$DATA_DIR/kubelet" --cni-conf-dir="$DATA_DIR/cni/net.d"
}

start_kube-proxy() {
    start_daemon kube-proxy "$BIN_DIR/kube-proxy" --kubeconfig="$CONFIG_DIR/kube-proxy.kubeconfig" \
        --hostname-override="$NODE_NAME" --proxy-mode=nftables --cluster-cidr="$CLUSTER_CIDR"
}

# What renews the certificates: a timer where systemd is, else a daemon of its own. It has copies, as daemons have: the project
# may move. Their times are kept: a start looks at them for what has changed.
start_renew() {
    local every=$((CERT_SECONDS / 8)) f
    [ $every -le 86400 ] || every=86400
    # The unit may not change users, so it cannot find out who can: what it makes is to be owned as what was there.
    can_drop_privileges || CAN_DROP=no
    mkdir -p "$RENEW_DIR" && cp -p "$DEPLOY_DIR/renew" "$DEPLOY_DIR/lib.sh" "$DEPLOY_DIR/pki.sh" "$RENEW_DIR/" || return 1
    printf '%s=%q\n' DATA_DIR "$DATA_DIR" NODE_NAME "$NODE_NAME" NODE_IP "$NODE_IP" API_PORT "$API_PORT" CERT_SECONDS "$CERT_SECONDS" CAN_DROP "$CAN_DROP" >"$RENEW_DIR/settings"
    if ! have_systemd; then
        start_daemon renew "$RENEW_DIR/renew" --every "$every"
        return
    fi
    for f in service timer; do
        sed -e "s|@DATA_DIR@|$DATA_DIR|g" -e "s|@SECONDS@|$every|" "$DEPLOY_DIR/systemd/renew.$f" >"/etc/systemd/system/kubec-renew.$f" || return 1
    done
    systemctl daemon-reload && systemctl enable --quiet kubec-renew.timer && systemctl restart kubec-renew.timer
}

stop_renew() {
    if have_systemd; then
        ! unit_is_ours renew || systemctl disable --quiet --now kubec-renew.timer
    else
        stop_daemon renew
    fi
}

# The cluster's certificates, as kubeadm lays them out, with openssl(1). Sourced by up. Existing valid files are kept.
# shellcheck shell=bash

CERT_DAYS=365
CA_DAYS=3650

# make_ca <name> <common name>
make_ca() {
    [ -s "$PKI_DIR/$1.crt" ] && [ -s "$PKI_DIR/$1.key" ] && return 0
    openssl ecparam -name prime256v1 -genkey -noout -out "$PKI_DIR/$1.key" &&
        openssl req -x509 -new -key "$PKI_DIR/$1.key" -sha256 -days $CA_DAYS -subj "/CN=$2" \
            -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,digitalSignature,keyCertSign,cRLSign' \
            -out "$PKI_DIR/$1.crt"
}

# make_cert <name> <ca> <subject> <extended key usage> <subjectAltName or "">: made again when the names changed or less
# than 30 days are left.
make_cert() {
    local name=$1 ca=$2 subject=$3 usage=$4 san=$5 want
    want="$subject $usage $san"
    if [ -s "$PKI_DIR/$name.crt" ] && [ "$want" = "$(cat "$PKI_DIR/$name.want" 2>/dev/null)" ] &&
        openssl x509 -in "$PKI_DIR/$name.crt" -checkend $((30 * 86400)) -noout >/dev/null &&
        openssl verify -CAfile "$PKI_DIR/$ca.crt" "$PKI_DIR/$name.crt" >/dev/null 2>&1; then
        return 0
    fi
    {
        printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n'
        printf 'extendedKeyUsage=%s\n' "$usage"
        [ -z "$san" ] || printf 'subjectAltName=%s\n' "$san"
    } >"$PKI_DIR/$name.ext"
    openssl ecparam -name prime256v1 -genkey -noout -out "$PKI_DIR/$name.key" &&
        openssl req -new -key "$PKI_DIR/$name.key" -subj "$subject" -out "$PKI_DIR/$name.csr" &&
        openssl x509 -req -in "$PKI_DIR/$name.csr" -CA "$PKI_DIR/$ca.crt" -CAkey "$PKI_DIR/$ca.key" \
            -set_serial "0x$(openssl rand -hex 16)" -sha256 -days $CERT_DAYS -extfile "$PKI_DIR/$name.ext" \
            -out "$PKI_DIR/$name.crt" &&
        rm -f "$PKI_DIR/$name.ext" "$PKI_DIR/$name.csr" &&
        printf '%s\n' "$want" >"$PKI_DIR/$name.want"
}

make_sa_key() {
    [ -s "$PKI_DIR/sa.key" ] && return 0
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$PKI_DIR/sa.key" &&
        openssl pkey -in "$PKI_DIR/sa.key" -pubout -out "$PKI_DIR/sa.pub"
}

make_pki() {
    local first_ip=${SERVICE_CIDR%.*}.1 names
    umask 077
    mkdir -p "$PKI_DIR"
    names="DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
    names="$names,DNS:localhost,DNS:$NODE_NAME,IP:127.0.0.1,IP:$first_ip,IP:$NODE_IP"
    make_ca ca kubernetes &&
        make_ca etcd-ca etcd-ca &&
        make_cert etcd-server etcd-ca "/CN=etcd" serverAuth,clientAuth "DNS:localhost,IP:127.0.0.1" &&
        make_cert apiserver-etcd-client etcd-ca "/CN=kube-apiserver-etcd-client" clientAuth "" &&
        make_cert apiserver ca "/CN=kube-apiserver" serverAuth "$names" &&
        make_cert apiserver-kubelet-client ca "/O=system:masters/CN=kube-apiserver-kubelet-client" clientAuth "" &&
        make_cert admin ca "/O=system:masters/CN=kubernetes-admin" clientAuth "" &&
        make_cert controller-manager ca "/CN=system:kube-controller-manager" clientAuth "" &&
        make_cert scheduler ca "/CN=system:kube-scheduler" clientAuth "" &&
        make_cert proxy ca "/CN=system:kube-proxy" clientAuth "" &&
        make_cert kubelet-client ca "/O=system:nodes/CN=system:node:$NODE_NAME" clientAuth "" &&
        make_cert kubelet-server ca "/O=system:nodes/CN=system:node:$NODE_NAME" serverAuth "DNS:$NODE_NAME,IP:$NODE_IP" &&
        make_sa_key
}

# make_kubeconfig <file> <user> <certificate name>: with everything embedded, so that the file can be carried away.
make_kubeconfig() {
    local file=$1 user=$2 cert=$3
    (
        umask 077
        cat >"$file.new" <<EOF
apiVersion: v1
kind: Config
clusters:
- name: kubec
  cluster:
    server: https://$NODE_IP:$API_PORT
    certificate-authority-data: $(base64 -w0 <"$PKI_DIR/ca.crt")
users:
- name: $user
  user:
    client-certificate-data: $(base64 -w0 <"$PKI_DIR/$cert.crt")
    client-key-data: $(base64 -w0 <"$PKI_DIR/$cert.key")
contexts:
- name: $user@kubec
  context:
    cluster: kubec
    user: $user
current-context: $user@kubec
EOF
    ) || return 1
    if cmp -s "$file.new" "$file"; then rm -f "$file.new"; else mv "$file.new" "$file"; fi
}

make_kubeconfigs() {
    make_kubeconfig "$ADMIN_KUBECONFIG" kubernetes-admin admin &&
        make_kubeconfig "$CONFIG_DIR/kube-controller-manager.kubeconfig" system:kube-controller-manager controller-manager &&
        make_kubeconfig "$CONFIG_DIR/kube-scheduler.kubeconfig" system:kube-scheduler scheduler &&
        make_kubeconfig "$CONFIG_DIR/kubelet.kubeconfig" "system:node:$NODE_NAME" kubelet-client &&
        make_kubeconfig "$CONFIG_DIR/kube-proxy.kubeconfig" system:kube-proxy proxy
}

# The cluster's certificates, as kubeadm lays them out, with openssl(1). Sourced by up. Existing valid files are kept.
# shellcheck shell=bash

CA_DAYS=3650

# A file is there as a whole or not at all: daemons look at any time. put <mode> <file>, content on standard input.
put() {
    local new=$2.new.$$
    (umask 077 && cat >"$new") && chmod "$1" "$new" && mv "$new" "$2"
}

# make_ca <name> <common name>
make_ca() {
    [ -s "$PKI_DIR/$1.crt" ] && [ -s "$PKI_DIR/$1.key" ] && return 0
    openssl ecparam -name prime256v1 -genkey -noout -out "$PKI_DIR/$1.key" &&
        openssl req -x509 -new -key "$PKI_DIR/$1.key" -sha256 -days $CA_DAYS -subj "/CN=$2" \
            -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,digitalSignature,keyCertSign,cRLSign' \
            -out "$PKI_DIR/$1.crt"
}

# sign <ca> <request> <extensions> <directory> : the certificate on standard output. openssl-ca(1), because openssl-x509(1) knows
# no times but days.
sign() {
    local now
    now=$(date +%s)
    : >"$4/index" && openssl rand -hex 16 >"$4/serial" || return 1
    cat >"$4/ca.cnf" <<EOF
[ca]
default_ca = this
[this]
database = $4/index
serial = $4/serial
new_certs_dir = $4
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
organizationName = optional
EOF
    # A minute back, as client-go's signer: clocks differ.
    openssl ca -batch -notext -config "$4/ca.cnf" -cert "$PKI_DIR/$1.crt" -keyfile "$PKI_DIR/$1.key" -in "$2" -extfile "$3" \
        -preserveDN -startdate "$(date -u -d "@$((now - 60))" +%Y%m%d%H%M%SZ)" \
        -enddate "$(date -u -d "@$((now + CERT_SECONDS))" +%Y%m%d%H%M%SZ)" 2>"$4/log" || { cat "$4/log" >&2; return 1; }
}

# make_cert <name> <ca> <subject> <extended key usage> <subjectAltName or "">: made again when the names changed or less than
# half of its time is left. The key is a new one each time; its owner stays.
make_cert() {
    local name=$1 ca=$2 subject=$3 usage=$4 san=$5 want dir rc
    want="$subject $usage $san $CERT_SECONDS"
    if [ -s "$PKI_DIR/$name.crt" ] && [ "$want" = "$(cat "$PKI_DIR/$name.want" 2>/dev/null)" ] &&
        openssl x509 -in "$PKI_DIR/$name.crt" -checkend $((CERT_SECONDS / 2)) -noout >/dev/null &&
        openssl verify -CAfile "$PKI_DIR/$ca.crt" "$PKI_DIR/$name.crt" >/dev/null 2>&1; then
        return 0
    fi
    dir=$(mktemp -d "$PKI_DIR/.new.XXXXXX") || return 1
    {
        printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n'
        printf 'extendedKeyUsage=%s\n' "$usage"
        [ -z "$san" ] || printf 'subjectAltName=%s\n' "$san"
    } >"$dir/ext"
    openssl ecparam -name prime256v1 -genkey -noout -out "$dir/key" &&
        openssl req -new -key "$dir/key" -subj "$subject" -out "$dir/csr" &&
        sign "$ca" "$dir/csr" "$dir/ext" "$dir" >"$dir/crt" && chmod 644 "$dir/crt" &&
        { [ ! -e "$PKI_DIR/$name.key" ] || { chown --reference="$PKI_DIR/$name.key" "$dir/key" && chmod --reference="$PKI_DIR/$name.key" "$dir/key"; }; } &&
        mv "$dir/key" "$PKI_DIR/$name.key" && mv "$dir/crt" "$PKI_DIR/$name.crt" &&
        printf '%s\n' "$want" | put 600 "$PKI_DIR/$name.want"
    rc=$?
    rm -rf "$dir"
    [ $rc -eq 0 ] && echo "made certificate $name"
    return $rc
}

make_sa_key() {
    [ -s "$PKI_DIR/sa.key" ] && return 0
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$PKI_DIR/sa.key" &&
        openssl pkey -in "$PKI_DIR/sa.key" -pubout -out "$PKI_DIR/sa.pub"
}

# Keys are readable for the daemon alone that needs them (and for root); sa.key for the two that do.
own_keys() {
    local f
    chmod 711 "$PKI_DIR" && chmod 644 "$PKI_DIR"/*.crt "$PKI_DIR/sa.pub" && chmod 600 "$PKI_DIR"/*.key || return 1
    own etcd "$PKI_DIR/etcd-server.key" || return 1
    for f in apiserver apiserver-etcd-client apiserver-kubelet-client; do
        own kube-apiserver "$PKI_DIR/$f.key" || return 1
    done
    own kube-controller-manager "$PKI_DIR/controller-manager.key" "$PKI_DIR/ca.key" &&
        own kube-scheduler "$PKI_DIR/scheduler.key" &&
        chown "$(user_of kube-apiserver):$(user_of kube-controller-manager)" "$PKI_DIR/sa.key" && chmod 440 "$PKI_DIR/sa.key"
}

make_pki() {
    local first_ip=${SERVICE_CIDR%.*}.1 names
    umask 077
    mkdir -p "$PKI_DIR"
    rm -rf "$PKI_DIR"/.new.* # of one that was killed
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
        make_sa_key &&
        own_keys
}

# make_kubeconfig <file> <user> <certificate name> embedded|files: with everything embedded the file can be carried away; with
# the names of files a daemon sees that they are renewed.
make_kubeconfig() {
    local file=$1 user=$2 cert=$3 ca_entry cert_entry key_entry
    if [ "$4" = files ]; then
        ca_entry="certificate-authority: $PKI_DIR/ca.crt"
        cert_entry="client-certificate: $PKI_DIR/$cert.crt" key_entry="client-key: $PKI_DIR/$cert.key"
    else
        ca_entry="certificate-authority-data: $(base64 -w0 <"$PKI_DIR/ca.crt")"
        cert_entry="client-certificate-data: $(base64 -w0 <"$PKI_DIR/$cert.crt")"
        key_entry="client-key-data: $(base64 -w0 <"$PKI_DIR/$cert.key")"
    fi
    (
        umask 077
        cat >"$file.new" <<EOF
apiVersion: v1
kind: Config
clusters:
- name: kubec
  cluster:
    server: https://$NODE_IP:$API_PORT
    $ca_entry
users:
- name: $user
  user:
    $cert_entry
    $key_entry
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
    make_kubeconfig "$ADMIN_KUBECONFIG" kubernetes-admin admin embedded &&
        make_kubeconfig "$CONFIG_DIR/kube-controller-manager.kubeconfig" system:kube-controller-manager controller-manager files &&
        own kube-controller-manager "$CONFIG_DIR/kube-controller-manager.kubeconfig" &&
        make_kubeconfig "$CONFIG_DIR/kube-scheduler.kubeconfig" system:kube-scheduler scheduler files &&
        own kube-scheduler "$CONFIG_DIR/kube-scheduler.kubeconfig" &&
        make_kubeconfig "$CONFIG_DIR/kubelet.kubeconfig" "system:node:$NODE_NAME" kubelet-client files &&
        make_kubeconfig "$CONFIG_DIR/kube-proxy.kubeconfig" system:kube-proxy proxy files
}

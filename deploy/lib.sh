# Shared by up and down: settings, messages, and how daemons are started and stopped. Sourced by bash.
# shellcheck shell=bash disable=SC2034 # what is set here is read by those who source this

DEPLOY_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROJECT_DIR=$(dirname "$DEPLOY_DIR")

DATA_DIR=/var/lib/kubec
CLUSTER_CIDR=10.244.0.0/16
SERVICE_CIDR=10.96.0.0/16
CLUSTER_DNS=10.96.0.10
API_PORT=6443
# Not 2379: a user's own etcd may be there.
ETCD_PORT=12379
ETCD_PEER_PORT=12380
# How long the cluster's certificates are valid. They are renewed when half of that is over: see renew.
CERT_SECONDS=$((365 * 86400))

# What a build needs on Debian 12.
BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config libevent-dev libjson-c-dev libyaml-dev
    libssl-dev libnghttp2-dev libhttp-parser-dev libwslay-dev libprotobuf-c-dev protobuf-c-compiler zlib1g-dev libsodium-dev uthash-dev
    libpcre2-dev libnftables-dev libmnl-dev libcmocka-dev libncurses-dev"

CONTROL_PLANE="etcd kube-apiserver kube-controller-manager kube-scheduler"
# These run as users of their own; what is on the node needs root.
UNPRIVILEGED=$CONTROL_PLANE
NODE="containerd kubelet kube-proxy"
DRY_RUN=no

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
    BOLD='' RED='' GREEN='' PLAIN=''
fi

# Paths below the data directory, once it is known.
set_paths() {
    [ -n "$DATA_DIR" ] || die "--data-dir is empty"
    case $DATA_DIR in
    /*) ;;
    *) DATA_DIR=$PWD/$DATA_DIR ;;
    esac
    DATA_DIR=$(realpath -m -- "$DATA_DIR")
    # It is put into unit files and configuration as it is.
    case $DATA_DIR in
    / | *[!A-Za-z0-9._/-]*) die "--data-dir cannot be $DATA_DIR" "letters, digits and ._- in its names, and not the root" ;;
    esac
    BIN_DIR=$DATA_DIR/bin
    PKI_DIR=$DATA_DIR/pki
    CONFIG_DIR=$DATA_DIR/config
    LOG_DIR=$DATA_DIR/log
    RUN_DIR=$DATA_DIR/run
    RENEW_DIR=$DATA_DIR/renew
    CONTAINERD_SOCK=$RUN_DIR/containerd.sock
    # sun_path of a unix socket holds 107 characters.
    [ ${#CONTAINERD_SOCK} -le 90 ] || die "--data-dir is too long for unix sockets: $DATA_DIR" "choose a path under 70 characters"
    ADMIN_KUBECONFIG=$DATA_DIR/admin.kubeconfig
}

die() {
    printf '%serror:%s %s\n' "$RED" "$PLAIN" "$1" >&2
    [ -z "${2-}" ] || printf '       %s\n' "$2" >&2
    exit 1
}

now_ms() {
    local s=$EPOCHREALTIME
    printf '%s' $((${s%.*} * 1000 + 10#${s#*.} / 1000))
}

# step <what> <log or ""> <command...>: runs it, shows how long it took; a failure names the log to read.
step() {
    local what=$1 log=$2 start rc
    shift 2
    if [ "$DRY_RUN" = yes ]; then
        printf '  would: %s\n' "$what"
        return 0
    fi
    start=$(now_ms)
    printf '  %-58s ' "$what"
    if [ -n "$log" ]; then
        rc=0
        "$@" >>"$log" 2>&1 || rc=$?
    else
        rc=0
        "$@" || rc=$?
    fi
    if [ $rc -ne 0 ]; then
        printf '%sfailed%s\n' "$RED" "$PLAIN"
        [ -z "$log" ] || { [ -s "$log" ] && tail -n 15 "$log" | sed 's/^/    | /' >&2; }
        die "$what: failed (exit $rc)" "read ${log:-the lines above}; mend the cause and run the same command again: it goes on where it stopped"
    fi
    printf '%s%6s ms%s\n' "$GREEN" $(($(now_ms) - start)) "$PLAIN"
}

have_systemd() {
    [ -d /run/systemd/system ] && [ "$(cat /proc/1/comm)" = systemd ]
}

unit_of() {
    printf 'kubec-%s.service' "$1"
}

# Some containers let nobody change users: there everything runs as root.
can_drop_privileges() {
    [ -n "${CAN_DROP-}" ] || CAN_DROP=$(setpriv "${AS_OTHER[@]}" --reuid 65534 --regid 65534 true 2>/dev/null && echo yes || echo no)
    [ "$CAN_DROP" = yes ]
}
AS_OTHER=(--clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all)

# user_of <daemon>: whom it runs as.
user_of() {
    case " $UNPRIVILEGED " in
    *" $1 "*) if can_drop_privileges; then printf 'kubec-%s' "${1#kube-}"; else echo root; fi ;;
    *) echo root ;;
    esac
}

# own <daemon> <files...>: for the daemon alone.
own() {
    local user
    user=$(user_of "$1")
    shift
    chown "$user:$user" "$@" && chmod u=rwX,go= "$@"
}

make_users() {
    local name user
    for name in $UNPRIVILEGED; do
        user=$(user_of "$name")
        id "$user" >/dev/null 2>&1 ||
            useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
                --comment "$name of Kubec" "$user" || return 1
    done
}

# Users that have processes still are those of another cluster, too.
remove_users() {
    local name user
    for name in $UNPRIVILEGED; do
        user=kubec-${name#kube-}
        ! id "$user" >/dev/null 2>&1 || pgrep -u "$user" >/dev/null || userdel "$user" || return 1
    done
}

# unit_is_ours <name>: the unit is there and is of the cluster in this data directory.
unit_is_ours() {
    grep -qsF "$DATA_DIR/" "/etc/systemd/system/$(unit_of "$1")"
}

# up leaves this file first, down asks for it: neither may take someone's directory for a cluster's.
is_cluster_dir() {
    [ -f "$RUN_DIR/up.lock" ]
}

missing_packages() {
    local p have
    # One query for all: dpkg's database is slow to open. Names that it does not know are missing, too.
    # shellcheck disable=SC2016 # dpkg-query fills it in
    have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null)
    for p in "$@"; do
        grep -qx "$p installed" <<<"$have" || printf '%s ' "$p"
    done
}

# The packages' own services stay off: the cluster starts its own etcd and containerd.
install_packages() {
    local missing rc policy=/usr/sbin/policy-rc.d ours=no
    # shellcheck disable=SC2086 # lists of words
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if [ ! -e $policy ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
    fi
    rc=0
    apt-get update -q || rc=$?
    # shellcheck disable=SC2086
    [ $rc -ne 0 ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing || rc=$?
    [ $ours = no ] || rm -f $policy
    # Not at the next boot, either; a user's own, installed before, are left as they are.
    if [ $rc -eq 0 ] && command -v systemctl >/dev/null; then
        case " $missing" in *" etcd-server "*) systemctl disable --quiet etcd.service || rc=$? ;; esac
        case " $missing" in *" containerd "*) systemctl disable --quiet containerd.service || rc=$? ;; esac
    fi
    return $rc
}

# wait_for <seconds> <command...>: until it succeeds.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
}

pid_alive() {
    [ -n "${1-}" ] && [ -d "/proc/$1" ] && [ "$(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null)" != Z ]
}

read_pid() {
    cat "$RUN_DIR/$1.pid" 2>/dev/null
}

supervisor_running() {
    local pid
    pid=$(cat "$RUN_DIR/$1.supervisor.pid" 2>/dev/null) || return 1
    pid_alive "$pid" && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "supervise $1 $RUN_DIR "
}

# The daemon of a supervisor that was killed: nobody waits for it any more.
orphan_running() {
    local pid
    pid=$(read_pid "$1") && pid_alive "$pid" && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$DATA_DIR/"
}

end_orphan() {
    local pid
    orphan_running "$1" || return 0
    pid=$(read_pid "$1")
    kill -TERM "$pid" 2>/dev/null || true
    wait_for 30 process_gone "$pid" && return 0
    kill -KILL "$pid" 2>/dev/null || true
    wait_for 10 process_gone "$pid"
}

daemon_running() {
    if have_systemd; then
        unit_is_ours "$1" && systemctl --quiet is-active "$(unit_of "$1")"
    else
        supervisor_running "$1" || orphan_running "$1"
    fi
}

# start_daemon <name> <command...>: by systemd where it is, else under deploy/supervise. A running one is restarted when
# its command or its binary has changed.
start_daemon() {
    local name=$1 stamp verb user
    shift
    stamp=$(printf '%s\n' "$@"; stat -Lc '%Y %s' "$1" "$CONFIG_DIR/$name".* 2>/dev/null)
    if have_systemd; then
        write_unit "$name" "$@"
        verb=start
        [ "$stamp" = "$(cat "$RUN_DIR/$name.stamp" 2>/dev/null)" ] || verb=restart
        systemctl $verb "$(unit_of "$name")" || {
            journalctl --no-pager -n 10 -u "$(unit_of "$name")"
            return 1
        }
    else
        if supervisor_running "$name"; then
            [ "$stamp" != "$(cat "$RUN_DIR/$name.stamp" 2>/dev/null)" ] || return 0
            stop_daemon "$name" || return 1
        else
            end_orphan "$name" || return 1
        fi
        user=$(user_of "$name")
        [ "$user" = root ] || set -- setpriv "${AS_OTHER[@]}" --reuid "$user" --regid "$user" -- "$@"
        setsid "$DEPLOY_DIR/supervise" "$name" "$RUN_DIR" "$LOG_DIR/$name.log" -- "$@" </dev/null >/dev/null 2>&1 9>&- &
        disown
    fi
    printf '%s\n' "$stamp" >"$RUN_DIR/$name.stamp"
}

# The unit of deploy/systemd with its places filled in.
write_unit() {
    local name=$1 unit command user
    shift
    user=$(user_of "$name")
    unit=/etc/systemd/system/$(unit_of "$name")
    command=$(printf '%s ' "$@")
    sed -e "s|@COMMAND@|${command% }|" -e "s|@DATA_DIR@|$DATA_DIR|g" -e "s|@USER@|$user|" "$DEPLOY_DIR/systemd/$name.service" >"$unit.new"
    if ! cmp -s "$unit.new" "$unit"; then
        mv "$unit.new" "$unit"
        systemctl daemon-reload
    else
        rm -f "$unit.new"
    fi
    systemctl enable --quiet "$(unit_of "$name")"
}

stop_daemon() {
    local name=$1 pid
    rm -f "$RUN_DIR/$name.stamp"
    if have_systemd; then
        ! unit_is_ours "$name" || systemctl stop "$(unit_of "$name")"
        return
    fi
    if supervisor_running "$name"; then
        pid=$(cat "$RUN_DIR/$name.supervisor.pid")
        kill -TERM "$pid" 2>/dev/null || true
        wait_for 40 process_gone "$pid" || return 1
    else
        end_orphan "$name" || return 1
    fi
    rm -f "$RUN_DIR/$name.supervisor.pid" "$RUN_DIR/$name.pid"
}

process_gone() {
    ! pid_alive "$1"
}

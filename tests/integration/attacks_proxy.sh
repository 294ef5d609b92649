# shellcheck shell=bash
# Sourced by attacks_test.sh: the apiserver as a way into what it can reach and the client cannot.

fake kubelet
KUBELET_PORT=$PORT
fake pod plain
node() { # <name> <type of address> <address> [port]
    kubectl apply -f - >/dev/null <<<'{"apiVersion":"v1","kind":"Node","metadata":{"name":"'"$1"'"}}'
    patch_sub nodes "$1" status '{"status":{"addresses":[{"type":"'"$2"'","address":"'"$3"'"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":'"${4:-$KUBELET_PORT}"'}}}}'
}
status_of() { # <pod> <IP>
    api PATCH "$NS/pods/$1/status" -H 'Content-Type: application/merge-patch+json' \
        --data-binary '{"status":{"podIP":"'"$2"'","podIPs":[{"ip":"'"$2"'"}]}}' >/dev/null
}
pod() { # <name> [IP]
    kubectl apply -f - >/dev/null <<<'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"'"$1"'"},"spec":{"nodeName":"good","containers":[{"name":"c","image":"i"}]}}'
    [ -z "${2-}" ] || status_of "$1" "$2"
}
node good InternalIP 10.123.9.1
pod one 10.123.9.1

echo "--- behind an upgrade that failed there is no way to the kubelet (CVE-2018-1002105)"
SPDY=("Connection: Upgrade" "Upgrade: SPDY/3.1" "X-Stream-Protocol-Version: v4.channel.k8s.io")
WS=("Connection: Upgrade" "Upgrade: websocket" "Sec-WebSocket-Version: 13" "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
behind() { # <what> <code of the first> <method> <path> <header...>
    local what=$1 code=$2 out
    shift 2
    out=$(attack upgrade "$1" "$2" "/exec/default/one/c?command=evil" "${@:3}" | tr -d '\r')
    has "$what" "HTTP/1.1 $code" "$(sed -n 1p <<<"$out")"
    # What comes behind it is nobody's request to the apiserver, or nothing.
    case $(sed -n 2p <<<"$out") in
    '' | 'HTTP/1.1 401 '* | 'HTTP/1.1 403 '* | 'HTTP/1.1 400 '*) ;;
    *) fail "$what: behind it: $out" ;;
    esac
}
behind "exec by SPDY" 403 POST "$NS/pods/one/exec?command=refuse&stdout=true" "${SPDY[@]}"
behind "exec by an old WebSocket" 403 GET "$NS/pods/one/exec?command=refuse&stdout=true" "${WS[@]}" "Sec-WebSocket-Protocol: v4.channel.k8s.io"
behind "exec that is sent elsewhere" 500 POST "$NS/pods/one/exec?command=redirect&stdout=true" "${SPDY[@]}"
behind "exec without a version" 403 POST "$NS/pods/one/exec?command=refuse&stdout=true" "Connection: Upgrade" "Upgrade: nonsense"
behind "a node's proxy" 403 GET "/api/v1/nodes/good/proxy/exec/default/one/c?command=refuse" "${SPDY[@]}"
behind "a pod's proxy" 403 GET "$NS/pods/one:$PORT/proxy/?command=refuse" "${WS[@]}"
behind "an upgrade of a resource" 200 GET "$NS/pods/one" "${SPDY[@]}"
is "the kubelet was not asked" 0 "$(cat "$WORK/kubelet.log" "$WORK/pod.log" | grep -c evil)"

echo "--- what is put into a request stays one request"
api POST "$NS/pods/one/exec?command=refuse&command=a%0d%0aX-Evil:%201&stdout=true" -H 'Connection: Upgrade' -H 'Upgrade: SPDY/3.1' >/dev/null
api GET "$NS/pods/one:$PORT/proxy/x%0d%0aX-Evil:%201/y?z=%0d%0aX-Evil:%201" >/dev/null
is "lines of one's own" 0 "$(cat "$WORK/kubelet.log" "$WORK/pod.log" | jq -c 'select(.headers["x-evil"])' | wc -l)"
for container in '..' 'c/../../../pods' 'c%2f..%2f..%2frun' 'c%00' 'c?x'; do
    api GET "$NS/pods/one/log?container=$container" >/dev/null
    is "a container $container" 400 "$(code)"
done

echo "--- addresses that nobody may be sent to (CVE-2020-8562)"
i=0
for ip in 127.0.0.1 127.8.8.8 169.254.169.254 224.0.0.1 0.0.0.0 255.255.255.255 ::1 :: fe80::1 ff02::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254; do
    i=$((i + 1))
    node bad$i InternalIP "$ip"
    api GET "/api/v1/nodes/bad$i/proxy/healthz" >/dev/null
    is "a node at $ip" "400 address not allowed" "$(code) $(field .message)"
    api GET "/api/v1/nodes/bad$i:$ETCD_PORT/proxy/version" >/dev/null
    is "another port of a node at $ip" "400 address not allowed" "$(code) $(field .message)"
    pod bad$i
    status_of bad$i "$ip"
    [ "$(code)" = 200 ] || { is "a pod at $ip" 422 "$(code)"; continue; }
    api GET "$NS/pods/bad$i:$ETCD_PORT/proxy/version" >/dev/null
    is "a pod at $ip" "400 address not allowed" "$(code) $(field .message)"
done
node named Hostname localhost
api GET "/api/v1/nodes/named:$ETCD_PORT/proxy/version" >/dev/null
is "a name that leads to it" "400 address not allowed" "$(code) $(field .message)"
is "an address that changes after a request" "GET /a 0" "$(api GET "$NS/pods/one:$PORT/proxy/a")"
status_of one 127.0.0.1
api GET "$NS/pods/one:$PORT/proxy/a" >/dev/null
is "is looked at again" "400 address not allowed" "$(code) $(field .message)"

echo "--- endpoints that are none (CVE-2021-25737, CVE-2015-7528)"
kubectl create -f - >/dev/null <<<'{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}}'
endpoints() { # <type> <address>: the first cause
    post /apis/discovery.k8s.io/v1/namespaces/default/endpointslices '{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice",
        "metadata":{"name":"evil","labels":{"kubernetes.io/service-name":"web"}},"addressType":"'"$1"'","ports":[{"port":'"$ETCD_PORT"'}],"endpoints":[{"addresses":["'"$2"'"]}]}'
    field '.details.causes[0] | .field + ": " + .message'
    post $NS/endpoints '{"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"web"},"subsets":[{"addresses":[{"ip":"'"$2"'"}],"ports":[{"port":'"$ETCD_PORT"'}]}]}'
    field '.details.causes[0] | .field + ": " + .message'
}
refused() { # <type> <address> <why> [what is said]
    local text='Invalid value: "'"$2"'": '"$3"
    is "endpoints at $2" "endpoints[0].addresses[0]: $text"$'\n'"subsets[0].addresses[0].ip: $text" "$(endpoints "$1" "$2")"
}
refused IPv4 127.0.0.1 "may not be in the loopback range (127.0.0.0/8, ::1/128)"
refused IPv4 127.9.9.9 "may not be in the loopback range (127.0.0.0/8, ::1/128)"
refused IPv4 169.254.169.254 "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
refused IPv4 224.0.0.9 "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
refused IPv4 0.0.0.0 "may not be unspecified (0.0.0.0)"
refused IPv6 ::1 "may not be in the loopback range (127.0.0.0/8, ::1/128)"
refused IPv6 fe80::7 "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
refused IPv6 ff02::7 "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
refused IPv6 :: "may not be unspecified (::)"
endpoints IPv6 ::ffff:127.0.0.1 >/dev/null
is "a mapped address" "" "$(kubectl get endpointslices,endpoints -o name 2>/dev/null | grep 'evil\|endpoints/web')"
for body in '"externalIPs":["127.0.0.1"]' '"externalIPs":["169.254.169.254"]' '"externalIPs":["0.0.0.0"]'; do
    post $NS/services '{"apiVersion":"v1","kind":"Service","metadata":{"name":"ext"},"spec":{"ports":[{"port":80}],'"$body"'}}'
    answers "$body" 422 Invalid
    has "$body" "spec.externalIPs[0]: Invalid value:" "$(field .message)"
done

echo "--- the status of a balancer is not its user's (CVE-2020-8554)"
kubectl create rolebinding ed --clusterrole=edit --user=ed >/dev/null
edits() { as ed auth can-i -q update services; }
kubectl create role ed-services --verb=get,create,update,patch --resource=services >/dev/null
kubectl create rolebinding ed-services --role=ed-services --user=ed >/dev/null
eventually $WAIT edits || fail "ed edits Services"
api PATCH $NS/services/web/status -H 'Impersonate-User: ed' -H 'Content-Type: application/merge-patch+json' \
    --data-binary '{"status":{"loadBalancer":{"ingress":[{"ip":"10.0.0.1"}]}}}' >/dev/null
answers "its status" 403 Forbidden
api PATCH $NS/services/web -H 'Impersonate-User: ed' -H 'Content-Type: application/merge-patch+json' \
    --data-binary '{"status":{"loadBalancer":{"ingress":[{"ip":"10.0.0.1"}]}}}' >/dev/null
is "by the Service itself" '200 {"loadBalancer":{}}' "$(code) $(field '.status|tojson')"

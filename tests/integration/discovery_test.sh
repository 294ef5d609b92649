#!/bin/bash
# Discovery, OpenAPI and the other paths that are no resources; ETags; health, metrics, version.
. "$(dirname "$0")/lib.sh"
start_control_plane --event-ttl=3s

AGGREGATED='Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'

etag() {
    sed -n 's/^etag: *\(.*\)\r$/\1/Ip' "$WORK/headers"
}

api GET /api >/dev/null
is "/api" "APIVersions v1 127.0.0.1" "$(field '.kind+" "+.versions[0]') 127.0.0.1"
api GET /apis >/dev/null
is "/apis" "APIGroupList apps/v1" "$(field '.kind+" "+(.groups[]|select(.name=="apps").preferredVersion.groupVersion)')"
api GET /apis/apps >/dev/null
is "/apis/apps" "APIGroup apps" "$(field '.kind+" "+.name')"
api GET /api/v1 >/dev/null
is "/api/v1" "APIResourceList v1" "$(field '.kind+" "+.groupVersion')"
is "/api/v1: pods" '["create","delete","deletecollection","get","list","patch","update","watch"]' \
    "$(field '.resources[]|select(.name=="pods").verbs|tojson')"
api GET /apis/apps/v1/ >/dev/null
is "a slash at the end" "apps/v1" "$(field .groupVersion)"
api GET /apis/apps/v9 >/dev/null
is "an unknown version: code" 404 "$(code)"

for path in /api /apis; do
    api GET $path -H "$AGGREGATED" >/dev/null
    is "aggregated $path" "APIGroupDiscoveryList apidiscovery.k8s.io/v2" "$(field '.kind+" "+.apiVersion')"
    has "aggregated $path: type" "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList" \
        "$(grep -i ^content-type "$WORK/headers")"
    tag=$(etag)
    api GET $path -H "$AGGREGATED" -H "If-None-Match: $tag" >/dev/null
    is "aggregated $path, known: code" 304 "$(code)"
    is "aggregated $path, known: body" "" "$(cat "$WORK/body")"
done

api GET /openapi/v2 >/dev/null
is "OpenAPI v2" "2.0 object" "$(field '.swagger+" "+(.definitions["io.k8s.api.core.v1.Pod"].type)')"
tag=$(etag)
api GET /openapi/v2 -H "If-None-Match: $tag" >/dev/null
is "OpenAPI v2, known: code" 304 "$(code)"
api GET /openapi/v2 --compressed >/dev/null
has "OpenAPI v2, compressed" gzip "$(grep -i ^content-encoding "$WORK/headers")"
api GET /openapi/v3 >/dev/null
url=$(field '.paths["apis/apps/v1"].serverRelativeURL')
has "OpenAPI v3: index" "/openapi/v3/apis/apps/v1?hash=" "$url"
api GET "$url" >/dev/null
is "OpenAPI v3: a document" "3.0.0" "$(field .openapi)"
api GET "/openapi/v3/apis/apps/v1?hash=OLD" >/dev/null
is "OpenAPI v3, another hash: code" 301 "$(code)"
has "OpenAPI v3, another hash" "${url#*hash=}" "$(grep -i ^location "$WORK/headers")"

api GET / >/dev/null
has "/" "/apis/apps/v1" "$(field '.paths|join(" ")')"
has "/" "/readyz/informer-sync" "$(field '.paths|join(" ")')"
api GET /version >/dev/null
is "/version" "1 36" "$(field '.major+" "+.minor')"
for path in healthz livez readyz; do
    api GET /$path >/dev/null
    is "/$path" "200 ok" "$(code) $(cat "$WORK/body")"
done
api GET "/readyz?verbose" >/dev/null
has "/readyz?verbose" "[+]etcd ok" "$(cat "$WORK/body")"
has "/readyz?verbose" "readyz check passed" "$(cat "$WORK/body")"
api GET /livez/ping >/dev/null
is "/livez/ping" "200 ok" "$(code) $(cat "$WORK/body")"
api GET /.well-known/openid-configuration >/dev/null
is "the issuer" "https://kubernetes.default.svc" "$(field .issuer)"
api GET /openid/v1/jwks >/dev/null
is "the key set" RSA "$(field '.keys[0].kty')"

kubectl get configmaps >/dev/null
api GET /metrics >"$WORK/metrics"
has "metrics: requests" 'apiserver_request_total{verb="LIST",dry_run="",group="",version="v1",resource="configmaps",subresource="",scope="namespace",component="apiserver",code="200",system_client=""} 1' \
    "$(grep ^apiserver_request_total "$WORK/metrics")"
has "metrics: durations" 'apiserver_request_duration_seconds_count{verb="LIST"' "$(cat "$WORK/metrics")"
has "metrics: in flight" 'apiserver_current_inflight_requests{request_kind="mutating"} 0' "$(cat "$WORK/metrics")"
has "metrics: objects" 'apiserver_resource_objects{group="",resource="namespaces"} 4' "$(cat "$WORK/metrics")"
api GET /api/v1/nodes >/dev/null
has "an audit id" "-" "$(grep -i ^audit-id "$WORK/headers")"

# --- events go away by themselves; a lease can be made by PUT
kubectl create -f - >/dev/null <<EVENT
{"apiVersion":"v1","kind":"Event","metadata":{"name":"e","namespace":"default"},"involvedObject":{"kind":"Pod","namespace":"default","name":"web"},"type":"Normal"}
EVENT
is "an event" event/e "$(kubectl get events -o name)"
LEASE=/apis/coordination.k8s.io/v1/namespaces/default/leases/l
lease='{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"l"},"spec":{"holderIdentity":"me"}}'
api PUT $LEASE -H 'Content-Type: application/json' --data-binary "$lease" >/dev/null
is "PUT makes a lease: code" 201 "$(code)"
api PUT $LEASE -H 'Content-Type: application/json' --data-binary "$lease" >/dev/null
is "PUT again without a version: code" 422 "$(code)"
has "PUT again without a version" "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update" "$(field .message)"
no_events() {
    [ -z "$(kubectl get events -o name)" ]
}
eventually 15 no_events || fail "the event stays"

# --- every kubectl that is here
for kubectl in /usr/lib/google-cloud-sdk/bin/kubectl.1.*; do
    [ -x "$kubectl" ] || continue
    version=${kubectl##*kubectl.}
    is "$version: create" "configmap/v$version created" "$("$kubectl" create configmap "v$version" --from-literal=a=b 2>&1)"
    is "$version: get" "v$version 1" "$("$kubectl" get configmap "v$version" --no-headers | awk '{print $1,$2}')"
    has "$version: explain" "replicas" "$("$kubectl" explain deployment.spec 2>&1)"
    has "$version: api-resources" "deployments" "$("$kubectl" api-resources 2>&1)"
    is "$version: apply" "configmap/a$version created" "$("$kubectl" apply -f - 2>&1 <<CM
{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a$version"},"data":{"x":"y"}}
CM
)"
    is "$version: delete" "configmap \"v$version\" deleted" "$("$kubectl" delete configmap "v$version" 2>&1 | sed 's/ from default namespace//')"
done
stop_apiserver

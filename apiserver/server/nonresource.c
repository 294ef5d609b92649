/* Paths that are no resources: discovery, OpenAPI, health, version, metrics, the service-account issuer's documents. On
 * the request's loop; documents on a worker. */
#include <errno.h>
#include <string.h>

#include "api/discovery.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/str.h"
#include "server/server_internal.h"
#include "json/json.h"

#define DISCOVERY_GROUP "apidiscovery.k8s.io"
#define DISCOVERY_KIND "APIGroupDiscoveryList"
#define DISCOVERY_TYPE "application/json;g=" DISCOVERY_GROUP ";v=v2;as=" DISCOVERY_KIND
#define OPENAPI_PROTO "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
/* What clients' MIME parsers accept has a dot in the place of the @. */
#define OPENAPI_PROTO_TYPE "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

enum { HEALTH_TIMEOUT_MS = 2000 }; /* upstream's --etcd-healthcheck-timeout */

/* The path without a slash at its end. */
static char *trimmed_path(const struct api_req *q)
{
        size_t len = strlen(q->info.path);
        while (len > 1 && q->info.path[len - 1] == '/')
                len--;
        return kc_strndup(q->info.path, len);
}

/* --- documents */

static void reply_document(struct api_req *q, const struct document *d, const char *type)
{
        KC_CLEANUP(kc_freep) char *etag = kc_asprintf("\"%s\"", d->etag);
        const char *known = kc_http_req_header(q->http, "If-None-Match");
        KC_CLEANUP(kc_strv_freep) char **headers = api_reply_headers(q, type);
        const char *extra[] = {"ETag", etag, "Vary", "Accept"};
        for (size_t i = 0; i < KC_ARRAY_LEN(extra); i++)
                kc_strv_push(&headers, extra[i]);
        if (kc_streq(known, etag)) {
                atomic_store(&q->code, 304);
                kc_http_reply(q->http, 304, headers, NULL);
                return;
        }
        struct kc_bytes *body = d->bytes;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *gz = NULL;
        if (kc_bytes_len(body) >= API_GZIP_MIN && compress_wanted(q))
                gz = compress_bytes(kc_bytes_data(body), kc_bytes_len(body));
        if (gz) {
                kc_strv_push(&headers, "Content-Encoding");
                kc_strv_push(&headers, "gzip");
        }
        atomic_store(&q->code, 200);
        kc_http_reply(q->http, 200, headers, gz ? gz : body);
}

/* Small documents are pretty for curl, and YAML for who asks. */
static void reply_discovery(struct api_req *q, const struct document *d)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        if (media_negotiate(q, &err) < 0) {
                api_reply_error(q, &err);
        } else if ((q->media.type != MEDIA_JSON || q->media.pretty) &&
                   kc_json_parse(kc_bytes_data(d->bytes), kc_bytes_len(d->bytes), NULL, &tree, &err) == 0) {
                api_reply_json(q, 200, tree);
        } else {
                reply_document(q, d, "application/json");
        }
}

static void discovery_job(struct api_req *q)
{
        KC_CLEANUP(kc_freep) char *path = trimmed_path(q);
        const char *accept = kc_http_req_header(q->http, "Accept");
        bool root = strcmp(path, "/api") == 0 || strcmp(path, "/apis") == 0;
        bool aggregated = root && media_accepts_as(accept, DISCOVERY_GROUP, "v2", DISCOVERY_KIND);
        const struct document *d =
            documents_get(q->server->documents, path, aggregated ? DOCUMENT_AGGREGATED : DOCUMENT_PLAIN);
        if (!d)
                api_reply_not_found_page(q);
        else if (aggregated)
                reply_document(q, d, DISCOVERY_TYPE);
        else
                reply_discovery(q, d);
}

static void openapi_v2_job(struct api_req *q)
{
        const char *accept = kc_http_req_header(q->http, "Accept");
        bool proto = accept && strstr(accept, OPENAPI_PROTO);
        const struct document *d =
            documents_get(q->server->documents, "/openapi/v2", proto ? DOCUMENT_PROTO : DOCUMENT_PLAIN);
        reply_document(q, d, proto ? OPENAPI_PROTO_TYPE : "application/json");
}

/* With ?hash= a document may be cached for ever; another hash than the current one is sent on to it. */
static void openapi_v3_job(struct api_req *q)
{
        KC_CLEANUP(kc_freep) char *path = trimmed_path(q);
        KC_CLEANUP(kc_freep) char *hash = api_req_param(q, "hash");
        const struct document *d = documents_get(q->server->documents, path, DOCUMENT_PLAIN);
        if (!d) {
                api_reply_not_found_page(q);
                return;
        }
        if (kc_str_empty(hash) || kc_strcaseeq(hash, d->etag)) {
                reply_document(q, d, "application/json");
                return;
        }
        KC_CLEANUP(kc_strv_freep) char **headers = api_reply_headers(q, NULL);
        kc_strv_push(&headers, "Location");
        kc_strv_pushf(&headers, "%s?hash=%s", path, d->etag);
        atomic_store(&q->code, 301);
        kc_http_reply(q->http, 301, headers, NULL);
}

static void handle_discovery(struct api_req *q)
{
        api_req_run_aside(q, discovery_job);
}

static void handle_openapi_v2(struct api_req *q)
{
        api_req_run_aside(q, openapi_v2_job);
}

static void handle_openapi_v3(struct api_req *q)
{
        api_req_run_aside(q, openapi_v3_job);
}

/* --- the list of paths */

static void add_group_paths(char ***paths)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        for (size_t i = 0; i < n; i++) {
                if (gvs[i]->group[0] == '\0') {
                        kc_strv_pushf(paths, "/api/%s", gvs[i]->version);
                        continue;
                }
                kc_strv_pushf(paths, "/apis/%s", gvs[i]->group);
                kc_strv_pushf(paths, "/apis/%s/%s", gvs[i]->group, gvs[i]->version);
        }
}

static void add_hook_paths(char ***paths, const char *const *hooks)
{
        for (size_t i = 0; hooks[i]; i++) {
                kc_strv_pushf(paths, "/healthz/poststarthook/%s", hooks[i]);
                kc_strv_pushf(paths, "/livez/poststarthook/%s", hooks[i]);
                kc_strv_pushf(paths, "/readyz/poststarthook/%s", hooks[i]);
        }
}

static void handle_index(struct api_req *q)
{
        static const char *const fixed[] = {"/.well-known/openid-configuration", "/api", "/apis", "/apis/", "/healthz",
            "/healthz/etcd", "/healthz/ping", "/livez", "/livez/etcd", "/livez/ping", "/metrics", "/openapi/v2",
            "/openapi/v3", "/openapi/v3/", "/openid/v1/jwks", "/readyz", "/readyz/etcd", "/readyz/informer-sync",
            "/readyz/ping", "/readyz/shutdown", "/version"};
        KC_CLEANUP(kc_strv_freep) char **paths = NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(fixed); i++)
                kc_strv_push(&paths, fixed[i]);
        add_hook_paths(&paths, kc_bootstrap_hooks);
        if (q->server->flow)
                add_hook_paths(&paths, flow_hooks);
        add_group_paths(&paths);
        kc_strv_sort_uniq(paths);
        KC_CLEANUP(kc_json_freep) struct json_object *o = json_object_new_object();
        struct json_object *list = kc_json_ensure_arr(o, "paths");
        for (size_t i = 0; paths[i]; i++)
                kc_json_push_str(list, paths[i]);
        q->media = (struct media){.type = MEDIA_JSON, .pretty = true};
        api_reply_json(q, 200, o);
}

/* --- health: looks at etcd and the KMS plugins first, which takes round trips */

static void health_answer(void *arg)
{
        struct api_req *q = arg;
        struct kc_http_req *http = q->http;
        if (!kc_health_handle(q->server->health, http))
                api_reply_not_found_page(q);
        kc_http_req_unref(http);
}

static void look_at_kms(struct kc_apiserver *s)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int r = kc_store_with_transforms(s->store, kc_encryption_check, &err);
        if (r < 0 && atomic_load(&s->health_kms_errnum) == 0)
                kc_log_error(&err, "A KMS plugin is not well");
        atomic_store(&s->health_kms_errnum, -r);
}

static void health_job(struct api_req *q)
{
        struct kc_store_status status;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int r = kc_store_status(q->server->store, HEALTH_TIMEOUT_MS, &status, &err);
        atomic_store(&q->server->health_store_errnum, -r);
        look_at_kms(q->server);
        (void)kc_http_req_ref(q->http); /* health_answer gives it back */
        kc_loop_post(kc_http_req_loop(q->http), health_answer, q);
}

static void handle_health(struct api_req *q)
{
        api_req_run_aside(q, health_job);
}

/* --- the rest */

static void handle_version(struct api_req *q)
{
        if (!kc_health_handle(q->server->health, q->http))
                api_reply_not_found_page(q);
}

static void reply_owned(struct api_req *q, const char *type, char *take_text)
{
        KC_CLEANUP(kc_freep) char *text = take_text;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = kc_bytes_new(text, strlen(text));
        api_reply_bytes(q, 200, type, body);
}

static void handle_openid_configuration(struct api_req *q)
{
        if (q->server->satoken)
                reply_owned(q, "application/json", kc_satoken_openid_configuration(q->server->satoken));
        else
                api_reply_not_found_page(q);
}

static void handle_jwks(struct api_req *q)
{
        if (q->server->satoken)
                reply_owned(q, "application/jwk-set+json", kc_satoken_jwks(q->server->satoken));
        else
                api_reply_not_found_page(q);
}

#define FLOW_DEBUG "/debug/api_priority_and_fairness"

static void handle_flow_debug(struct api_req *q)
{
        KC_CLEANUP(kc_freep) char *path = trimmed_path(q);
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        const char *what = path + strlen(FLOW_DEBUG);
        bool details = api_req_param_bool(q, "includeRequestDetails", false);
        if (*what == '/' && q->server->flow && kc_flow_dump(q->server->flow, what + 1, details, &out))
                api_reply_text(q, 200, kc_buf_str(&out));
        else
                api_reply_not_found_page(q);
}

#define SWAGGER_UI "/swagger-ui"

static void handle_swagger_ui(struct api_req *q)
{
        const char *below = q->info.path + strlen(SWAGGER_UI), *type = NULL;
        if (*below == '\0' && q->server->swagger_ui) {
                char *const headers[] = {(char *)"Location", (char *)SWAGGER_UI "/", NULL};
                api_reply_raw(q, 301, headers, NULL);
                return;
        }
        const struct document *d = swagger_ui_get(q->server->swagger_ui, below + (*below == '/'), &type);
        if (d)
                reply_document(q, d, type);
        else
                api_reply_not_found_page(q);
}

static const struct {
        const char *path;
        bool below; /* everything below the path, too */
        void (*handle)(struct api_req *q);
} paths[] = {
    {"/", false, handle_index},
    {"/version", false, handle_version},
    {"/metrics", false, handle_version},
    {"/healthz", true, handle_health},
    {"/livez", true, handle_health},
    {"/readyz", true, handle_health},
    {"/api", true, handle_discovery},
    {"/apis", true, handle_discovery},
    {"/openapi/v2", false, handle_openapi_v2},
    {"/openapi/v3", true, handle_openapi_v3},
    {"/.well-known/openid-configuration", false, handle_openid_configuration},
    {"/openid/v1/jwks", false, handle_jwks},
    {FLOW_DEBUG, true, handle_flow_debug},
    {SWAGGER_UI, true, handle_swagger_ui},
};

bool nonresource_handle(struct api_req *q)
{
        const char *method = kc_http_req_method(q->http);
        KC_CLEANUP(kc_freep) char *path = trimmed_path(q);
        if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
                return false;
        for (size_t i = 0; i < KC_ARRAY_LEN(paths); i++) {
                size_t len = strlen(paths[i].path);
                bool below = paths[i].below && strncmp(path, paths[i].path, len) == 0 && path[len] == '/';
                if (below || strcmp(path, paths[i].path) == 0) {
                        paths[i].handle(q);
                        return true;
                }
        }
        return false;
}

/* The request pipeline: its stages in one table, and the life of a request. On the request's loop. */
#include <errno.h>
#include <string.h>

#include "api/served.h"
#include "base/log.h"
#include "base/str.h"
#include "server/server_internal.h"

/* In order. Each may answer, which ends the request. The handler comes after them, when the body is in. */
static const struct {
        const char *name;
        enum stage_result (*run)(struct api_req *q);
} stages[] = {
    {"request info", stage_request_info},
    {"authentication", stage_authenticate},
    {"audit", stage_audit},
    {"impersonation", stage_impersonate},
    {"priority and fairness", stage_limit},
    {"authorization", stage_authorize},
};

static void req_free(void *arg)
{
        struct api_req *q = arg;
        audit_done(q);
        req_info_done(&q->info);
        kc_user_unref(q->user);
        kc_strv_free(q->warnings);
        kc_strv_free(q->annotations);
        kc_free(q);
}

/* Upstream's access log, at --v=3. */
static void log_access(const struct api_req *q)
{
        if (kc_log_verbosity() < 3)
                return;
        const char *query = kc_http_req_query(q->http), *agent = kc_http_req_header(q->http, "User-Agent");
        KC_CLEANUP(kc_freep)
        char *uri =
            kc_asprintf("%s%s%s", kc_http_req_path(q->http), kc_str_empty(query) ? "" : "?", query ? query : "");
        int code = atomic_load(&q->code);
        kc_log_v(3, "HTTP", "verb", metrics_verb(q), "method", kc_http_req_method(q->http), "URI", uri, "latency",
            kc_log_fmt("%.3fms", (double)(kc_clock_mono(NULL) - q->started) / 1000), "userAgent", agent, "audit-ID",
            q->audit_id, "srcIP", kc_http_req_remote(q->http), "resp", kc_log_i64(code ? code : 200));
}

static void on_close(struct kc_http_req *http, void *arg)
{
        (void)http; /* q's own */
        struct api_req *q = arg;
        if (q->on_closed)
                q->on_closed(q->on_closed_arg);
        kc_timer_free(q->timeout);
        q->timeout = NULL;
        stage_limit_release(q);
        metrics_request_done(q);
        log_access(q);
}

static struct api_req *req_new(struct kc_apiserver *s, struct kc_http_req *http)
{
        struct api_req *q = KC_NEW(struct api_req);
        q->server = s;
        q->http = http;
        q->started = kc_clock_mono(NULL);
        q->received = kc_clock_now(NULL);
        atomic_init(&q->code, 0);
        atomic_init(&q->response_size, 0);
        kc_http_req_set_data(http, q, req_free);
        return q;
}

/* From the stage on that is next. */
static void run_stages(struct api_req *q)
{
        while (q->stage < KC_ARRAY_LEN(stages)) {
                size_t i = q->stage++;
                enum stage_result r = stages[i].run(q);
                if (r == STAGE_NEXT)
                        continue;
                if (r == STAGE_ANSWERED)
                        kc_log_v(
                            6, "Request answered early", "stage", stages[i].name, "path", kc_http_req_path(q->http));
                q->waiting = r == STAGE_WAITING;
                return;
        }
}

static bool is_proxied(const struct api_req *q)
{
        return q->sub && strcmp(q->sub->name, "proxy") == 0;
}

void pipeline_on_headers(struct kc_http_req *http, void *server)
{
        struct api_req *q = req_new(server, http);
        kc_http_on_close(http, on_close, q);
        run_stages(q);
        if (is_proxied(q))
                kc_http_req_set_max_body(http, API_MAX_PROXIED_BODY);
}

void pipeline_resume(struct api_req *q)
{
        q->waiting = false;
        if (atomic_load(&q->code) == 0)
                run_stages(q);
        if (q->complete)
                pipeline_on_request(q->http, q->server);
}

void pipeline_on_request(struct kc_http_req *http, void *server)
{
        (void)server; /* the request knows it */
        struct api_req *q = api_req_of(http);
        q->complete = true;
        if (!q->waiting && atomic_load(&q->code) == 0)
                dispatch(q);
}

void pipeline_on_too_large(struct kc_http_req *http, void *server)
{
        (void)server; /* the request knows it */
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)kc_error_set_api(&err, 413, KC_REASON_REQUEST_ENTITY_TOO_LARGE, "Request entity too large: limit is %d",
            is_proxied(api_req_of(http)) ? API_MAX_PROXIED_BODY : API_MAX_BODY);
        api_reply_error(api_req_of(http), &err);
}

/* --- request info: what is asked for */

static bool is_long_running(const struct req_info *i)
{
        if (!i->is_resource)
                return false;
        static const char *const subresources[] = {"attach", "exec", "proxy", "log", "portforward"};
        if (strcmp(i->verb, "watch") == 0 || strcmp(i->verb, "proxy") == 0)
                return true;
        for (size_t k = 0; k < KC_ARRAY_LEN(subresources); k++)
                if (strcmp(subresources[k], i->subresource) == 0)
                        return true;
        return false;
}

static bool is_mutating(const char *verb)
{
        static const char *const reading[] = {"get", "list", "watch", "head"};
        for (size_t i = 0; i < KC_ARRAY_LEN(reading); i++)
                if (strcmp(reading[i], verb) == 0)
                        return false;
        return true;
}

static void set_audit_id(struct api_req *q)
{
        const char *given = kc_http_req_header(q->http, "Audit-Id");
        if (kc_str_empty(given) || strlen(given) >= sizeof(q->audit_id))
                kc_uuid4(q->audit_id);
        else
                memcpy(q->audit_id, given, strlen(given) + 1);
}

enum stage_result stage_request_info(struct api_req *q)
{
        set_audit_id(q);
        media_default(q);
        int r = req_info_parse(
            kc_http_req_method(q->http), kc_http_req_path(q->http), kc_http_req_query(q->http), &q->info);
        q->long_running = is_long_running(&q->info);
        q->mutating = is_mutating(q->info.verb);
        if (r < 0) {
                api_reply_text(q, 400, "400 Bad Request\n");
                return STAGE_ANSWERED;
        }
        if (!q->info.is_resource)
                return STAGE_NEXT;
        q->row = kc_schema_served_resource(q->info.group, q->info.version, q->info.resource);
        if (q->row)
                q->stored = kc_resources_find(q->server->resources, q->row->group, q->row->resource);
        if (q->row && q->info.subresource[0])
                q->sub = kc_resource_subresource(q->row, q->info.subresource);
        return STAGE_NEXT;
}

/* --- authorization */

struct kc_authz_attrs request_attrs(const struct api_req *q)
{
        return (struct kc_authz_attrs){
            .user = q->user,
            .verb = q->info.verb,
            .resource_request = q->info.is_resource,
            .ns = q->info.ns,
            .group = q->info.group,
            .version = q->info.version,
            .resource = q->info.resource,
            .subresource = q->info.subresource,
            .name = q->info.name,
            .path = q->info.path,
        };
}

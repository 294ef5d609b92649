/* Where a request meets the audit. The record belongs to the request: its last event is sent when nobody works on the
 * request any more. */
#include <string.h>

#include "base/str.h"
#include "server/server_internal.h"

enum { MAX_SOURCE_IPS = 16 };

/* X-Forwarded-For, X-Real-Ip, then the peer: upstream's SourceIPs. They are what the peer says: bounded. */
static char **source_ips(const struct api_req *q)
{
        char **ips = NULL;
        const char *forwarded = kc_http_req_header(q->http, "X-Forwarded-For");
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(forwarded ? forwarded : "", ',');
        for (char **p = parts; *p && kc_strv_len(ips) < MAX_SOURCE_IPS; p++) {
                KC_CLEANUP(kc_freep) char *text = kc_str_trim(*p);
                struct kc_ip ip;
                if (kc_ip_parse(text, &ip) == 0 && !kc_strv_has(ips, text))
                        kc_strv_push(&ips, text);
        }
        const char *real = kc_http_req_header(q->http, "X-Real-Ip");
        struct kc_ip ip;
        if (real && kc_ip_parse(real, &ip) == 0 && !kc_strv_has(ips, real))
                kc_strv_push(&ips, real);
        const char *remote = kc_http_req_remote(q->http), *colon = remote ? strrchr(remote, ':') : NULL;
        if (colon) {
                bool bracketed = remote[0] == '[';
                KC_CLEANUP(kc_freep)
                char *host = kc_strndup(remote + bracketed, (size_t)(colon - remote) - (bracketed ? 2 : 0));
                if (!kc_strv_has(ips, host))
                        kc_strv_push(&ips, host);
        }
        return ips;
}

static struct kc_audit_record *new_record(struct api_req *q)
{
        const struct kc_authz_attrs attrs = request_attrs(q);
        KC_CLEANUP(kc_strv_freep) char **ips = source_ips(q);
        const char *query = kc_http_req_query(q->http);
        KC_CLEANUP(kc_freep)
        char *uri = kc_asprintf(
            "%s%s%s", kc_http_req_path(q->http), kc_str_empty(query) ? "" : "?", kc_str_empty(query) ? "" : query);
        const struct kc_audit_request r = {.id = q->audit_id,
            .uri = uri,
            .verb = q->info.verb,
            .user_agent = kc_http_req_header(q->http, "User-Agent"),
            .source_ips = ips,
            .attrs = &attrs,
            .received = q->received};
        struct kc_audit_record *record = kc_audit_record_new(q->server->audit, &r);
        for (char **a = q->annotations; a && a[0] && a[1]; a += 2)
                kc_audit_record_annotate(record, a[0], a[1]);
        return record;
}

enum stage_result stage_audit(struct api_req *q)
{
        if (!q->server->audit)
                return STAGE_NEXT;
        q->audit = new_record(q);
        if (kc_audit_record_stage(q->audit, KC_AUDIT_REQUEST_RECEIVED, 0))
                return STAGE_NEXT;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)kc_err_internal(&err, "failed to write the audit event");
        api_reply_error(q, &err);
        return STAGE_ANSWERED;
}

void audit_unauthenticated(struct api_req *q)
{
        if (q->server->audit)
                q->audit = new_record(q);
}

void audit_response_started(struct api_req *q, int code)
{
        if (q->long_running)
                (void)kc_audit_record_stage(q->audit, KC_AUDIT_RESPONSE_STARTED, code); /* it has begun: no way back */
}

void audit_done(struct api_req *q)
{
        int code = atomic_load(&q->code);
        (void)kc_audit_record_stage(q->audit, KC_AUDIT_RESPONSE_COMPLETE, code ? code : 200); /* it is over */
        kc_audit_record_free(q->audit);
        q->audit = NULL;
}

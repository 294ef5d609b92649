/* The stage of authentication: who makes the request. On the request's loop, but for tokens that somebody else has to
 * be asked about. */
#include <errno.h>

#include "base/str.h"
#include "server/server_internal.h"

static bool header_at(const void *arg, size_t i, const char **ret_name, const char **ret_value)
{
        return kc_http_req_header_at(arg, i, ret_name, ret_value);
}

static int ask(const struct api_req *q, bool may_block, struct kc_authn_result *ret, struct kc_error *err)
{
        const struct kc_authn_request req = {
            .peer = kc_http_req_peer(q->http),
            .authorization = kc_http_req_header(q->http, "Authorization"),
            .websocket_protocol = kc_http_req_header(q->http, "Sec-WebSocket-Protocol"),
            .path = q->info.path,
            .header_at = header_at,
            .arg = q->http,
            .may_block = may_block,
        };
        if (!kc_http_req_peer_invalid(q->http))
                return kc_authn_authenticate(q->server->authn, &req, ret, err);
        return kc_err_unauthorized(err); /* a certificate that cannot be read */
}

static enum stage_result settle(struct api_req *q, int r, struct kc_authn_result *found, const struct kc_error *err)
{
        q->user = KC_TAKE(found->user);
        q->annotations = KC_TAKE(found->annotations);
        for (char **w = found->warnings; w && *w; w++)
                kc_strv_push(&q->warnings, *w);
        if (r == 0)
                return STAGE_NEXT;
        audit_unauthenticated(q);
        api_reply_error(q, err);
        return STAGE_ANSWERED;
}

/* --- aside */

struct question {
        const struct api_req *q;
        int r;
        struct kc_authn_result found;
        struct kc_error err;
};

static void question_work(void *arg)
{
        struct question *n = arg;
        n->r = ask(n->q, true, &n->found, &n->err);
}

static enum stage_result question_done(struct api_req *q, void *arg)
{
        struct question *n = arg;
        return settle(q, n->r, &n->found, &n->err);
}

static void question_free(void *arg)
{
        struct question *n = arg;
        kc_authn_result_done(&n->found);
        kc_error_done(&n->err);
        kc_free(n);
}

enum stage_result stage_authenticate(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_authn_result_done) struct kc_authn_result found = {0};
        int r = ask(q, false, &found, &err);
        if (r != -EWOULDBLOCK)
                return settle(q, r, &found, &err);
        struct question *n = KC_NEW(struct question);
        n->q = q;
        return stage_aside(
            q, q->server->authn_pool, &(struct stage_work){question_work, question_done, question_free, n});
}

/* Stages of the pipeline that have to wait for others (a webhook, an issuer's keys): on threads of their own, so that
 * neither loops nor the workers of handlers wait. Who one is and what one may do do not share threads: anybody can send
 * tokens, and must not keep those waiting who have been authenticated. */
#include "base/mem.h"
#include "server/server_internal.h"

struct aside {
        struct api_req *q;
        struct stage_work work;
};

/* On the request's loop. */
static void finish(void *arg)
{
        struct aside *a = arg;
        struct api_req *q = a->q;
        struct kc_http_req *http = q->http;
        if (!kc_http_req_closed(http)) {
                q->waiting = false;
                if (a->work.done(q, a->work.arg) == STAGE_NEXT)
                        pipeline_resume(q);
        }
        a->work.free(a->work.arg);
        kc_free(a);
        kc_http_req_unref(http); /* q may go with it */
}

static void run(void *arg)
{
        struct aside *a = arg;
        if (!kc_http_req_closed(a->q->http)) /* else nobody waits for the answer any more */
                a->work.work(a->work.arg);
        kc_loop_post(kc_http_req_loop(a->q->http), finish, a);
}

enum stage_result stage_aside(struct api_req *q, struct kc_pool *pool, const struct stage_work *work)
{
        struct aside *a = KC_NEW(struct aside);
        *a = (struct aside){.q = q, .work = *work};
        (void)kc_http_req_ref(q->http); /* finish gives it back */
        if (kc_pool_submit(pool, run, a) == 0)
                return STAGE_WAITING;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)kc_err_too_many_requests(&err, "The apiserver is overloaded, please try again later.", 1);
        api_reply_error(q, &err);
        work->free(work->arg);
        kc_free(a);
        kc_http_req_unref(q->http);
        return STAGE_ANSWERED;
}

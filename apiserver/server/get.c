/* GET of one object: its bytes from the watch cache. On the request's loop; objects in another form on a worker. */
#include <errno.h>

#include "api/object.h"
#include "base/str.h"
#include "server/list_options.h"

static const char *scope_of(const struct api_req *q)
{
        return q->row->namespaced ? q->info.ns : "";
}

/* The cache has what is needed by now. */
static void answer(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_cache_entry_unrefp) struct kc_cache_entry *e = NULL;
        const struct kc_cache_read any = {.match = KC_CACHE_NOT_OLDER};
        int r = kc_cache_get(q->stored->cache, scope_of(q), q->info.name, &any, &e, NULL, &err);
        if (r == -ENOENT)
                r = kc_err_not_found(&err, q->row->group, q->row->resource, q->info.name);
        if (r < 0) {
                api_reply_error(q, &err);
                return;
        }
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_resources_object(e);
        api_reply_object(q, 200, obj);
}

static void on_ready(const struct kc_error *err, void *arg)
{
        struct api_req *q = arg;
        struct kc_http_req *http = q->http;
        if (err)
                api_reply_error(q, err);
        else
                answer(q);
        kc_http_req_unref(http);
}

void handle_get(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_freep) char *rv = api_req_param(q, "resourceVersion");
        struct kc_cache_read read;
        if (read_of_revision(rv, &read, &err) < 0) {
                api_reply_error(q, &err);
                return;
        }
        if (read.match == KC_CACHE_CONSISTENT)
                api_req_limit_time(q);  /* that is for etcd to answer */
        (void)kc_http_req_ref(q->http); /* on_ready gives it back */
        kc_cache_wait_async(q->stored->cache, &read, kc_http_req_loop(q->http), on_ready, q);
}

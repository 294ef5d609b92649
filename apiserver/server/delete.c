/* DELETE of an object and of a collection. Worker threads, but for the handlers themselves. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "server/delete_options.h"
#include "server/list_made.h"
#include "server/list_options.h"

/* Objects that are not gone yet are answered as they are; so are some kinds' when they are. */
static void reply_deleted(struct api_req *q, const struct kc_delete_request *d, const struct kc_object *obj, bool gone)
{
        if (gone && !q->row->returns_deleted) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *status =
                    kc_status_success(q->row->group, q->row->resource, kc_object_name(obj), kc_object_uid(obj));
                api_reply_json(q, 200, status);
                return;
        }
        bool waits = kc_streq(d->propagation, "Foreground") || (d->orphan_dependents_set && !d->orphan_dependents);
        api_reply_object(q, !gone && waits ? 202 : 200, obj);
}

static void delete_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(delete_options_done) struct delete_options o = {0};
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = NULL;
        struct kc_registry_ctx c;
        bool gone = false;
        int r = delete_options_parse(q, &o, &err);
        if (r == 0) {
                write_ctx_init(q, NULL, &c);
                r = kc_registry_delete(&c, &o.request, &obj, &gone, &err);
        }
        if (r < 0)
                api_reply_error(q, &err);
        else
                reply_deleted(q, &o.request, obj, gone);
}

void handle_delete(struct api_req *q)
{
        api_req_run_blocking(q, delete_job);
}

/* --- DELETECOLLECTION: the objects that match now, one after another */

static int delete_listed(
    struct api_req *q, const struct kc_cache_list *l, struct kc_delete_request *d, struct kc_error *err)
{
        for (size_t i = 0; i < l->n; i++) {
                struct kc_registry_ctx c;
                write_ctx_init(q, NULL, &c);
                c.ns = kc_cache_entry_namespace(l->v[i]);
                c.name = kc_cache_entry_name(l->v[i]);
                int r = kc_registry_delete(&c, d, NULL, NULL, err);
                if (r < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND))
                        return r;
                kc_error_done(err);
        }
        return 0;
}

/* *ret: the objects as they were. With a limit, only so many are deleted. */
static int delete_collection(struct api_req *q, struct kc_cache_list *ret, struct kc_error *err)
{
        KC_CLEANUP(delete_options_done) struct delete_options o = {0};
        KC_CLEANUP(list_options_done) struct list_options lo = {0};
        int r = list_options_parse(q, false, &lo, err);
        if (r == 0)
                r = delete_options_parse(q, &o, err);
        if (r < 0)
                return r;
        const struct kc_cache_list_opts clo = {
            .ns = lo.ns,
            .name = lo.name,
            .read = lo.read,
            .limit = (size_t)lo.limit,
            .continue_token = lo.continue_token,
            .match = list_options_matcher(&lo),
            .match_arg = &lo,
        };
        r = kc_cache_list(q->stored->cache, &clo, ret, err);
        return r < 0 ? r : delete_listed(q, ret, &o.request, err);
}

static void delete_collection_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_cache_list_done) struct kc_cache_list l = {0};
        if (delete_collection(q, &l, &err) < 0)
                api_reply_error(q, &err);
        else
                list_made_reply(q, &l);
}

void handle_delete_collection(struct api_req *q)
{
        api_req_run_blocking(q, delete_collection_job);
}

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
        const struct kc_strategy *s = kc_strategy_for(q->stored->row->group, q->stored->row->resource);
        if (gone && !s->return_deleted_object) {
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
                write_ctx_init(q, &c);
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

struct deleted {
        struct kc_objects objects;
        char *revision; /* of the list */
};

static void deleted_done(struct deleted *d)
{
        kc_objects_done(&d->objects);
        kc_free(d->revision);
}

static int delete_listed(struct api_req *q, const struct kc_cache_list *l, struct kc_delete_request *d,
    struct kc_objects *ret, struct kc_error *err)
{
        for (size_t i = 0; i < l->n; i++) {
                struct kc_registry_ctx c;
                struct kc_object *obj = NULL;
                write_ctx_init(q, &c);
                c.ns = kc_cache_entry_namespace(l->v[i]);
                c.name = kc_cache_entry_name(l->v[i]);
                int r = kc_registry_delete(&c, d, &obj, NULL, err);
                if (obj)
                        kc_objects_push_take(ret, obj);
                if (r < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND))
                        return r;
                kc_error_done(err);
        }
        return 0;
}

static int delete_collection(struct api_req *q, struct deleted *ret, struct kc_error *err)
{
        KC_CLEANUP(delete_options_done) struct delete_options o = {0};
        KC_CLEANUP(list_options_done) struct list_options lo = {0};
        KC_CLEANUP(kc_cache_list_done) struct kc_cache_list l = {0};
        int r = delete_options_parse(q, &o, err);
        if (r == 0)
                r = list_options_parse(q, false, &lo, err);
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
        r = kc_cache_list(q->stored->cache, &clo, &l, err);
        if (r < 0)
                return r;
        ret->revision = kc_asprintf("%lld", (long long)l.revision);
        return delete_listed(q, &l, &o.request, &ret->objects, err);
}

static struct json_object *tree_of(void *arg, size_t i)
{
        const struct kc_objects *l = arg;
        return kc_object_copy_json(l->v[i]);
}

static void delete_collection_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(deleted_done) struct deleted d = {0};
        if (delete_collection(q, &d, &err) < 0) {
                api_reply_error(q, &err);
                return;
        }
        const struct list_meta m = {.resource_version = d.revision};
        const struct list_items items = {.n = d.objects.n, .tree = tree_of, .arg = &d.objects};
        list_made_reply(q, &m, &items);
}

void handle_delete_collection(struct api_req *q)
{
        api_req_run_blocking(q, delete_collection_job);
}

/* CREATE and UPDATE, and what all writes share. Worker threads, but for the handlers themselves, which only send the
 * work there. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "server/server_internal.h"

void write_ctx_init(struct api_req *q, const struct write_options *w, struct kc_registry_ctx *ret)
{
        kc_registry_ctx_init(ret, q->server->registry, q->row->group, q->row->resource,
            q->row->namespaced ? q->info.ns : "", q->info.name, q->user, q->dry_run, &q->warnings);
        ret->row = q->row;
        ret->subresource = q->info.subresource;
        ret->manager = w ? w->manager : NULL;
}

int write_may_create(const struct kc_registry_ctx *c, void *request, struct kc_error *err)
{
        (void)c; /* of the request */
        struct api_req *q = request;
        struct kc_authz_attrs attrs = request_attrs(q);
        KC_CLEANUP(kc_freep) char *reason = NULL;
        attrs.verb = "create";
        if (kc_authz_authorize(q->server->authz, &attrs, &reason) == KC_ALLOW)
                return 0;
        return kc_authz_forbidden(err, &attrs, reason);
}

static void reply_result(struct api_req *q, int r, int code, const struct kc_object *obj, const struct kc_error *err)
{
        if (r < 0)
                api_reply_error(q, err);
        else
                api_reply_object(q, code, obj);
}

/* --- CREATE */

/* rest.EnsureObjectNamespaceMatchesRequestNamespace */
int write_settle_namespace(const char *ns, struct json_object *obj, struct kc_error *err)
{
        struct json_object *meta = kc_json_ensure_obj(obj, "metadata");
        const char *own = kc_json_str(meta, "namespace");
        if (ns[0] && !kc_str_empty(own) && strcmp(ns, own) != 0)
                return kc_err_bad_request(
                    err, "the namespace of the provided object does not match the namespace sent on the request");
        kc_json_set_str(meta, "namespace", ns[0] ? ns : NULL);
        return 0;
}

static int check_new(const struct json_object *obj, struct kc_error *err)
{
        const char *rv = kc_meta_resource_version(obj);
        if (!kc_str_empty(rv) && strcmp(rv, "0") != 0)
                return kc_error_set_api(err, 500, NULL, "resourceVersion should not be set on objects to be created");
        return 0;
}

static int create(struct api_req *q, struct kc_object **ret, struct kc_error *err)
{
        KC_CLEANUP(write_options_done) struct write_options w = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *obj = NULL;
        struct decode_target t;
        struct kc_registry_ctx c;
        int r = write_options_parse(q, "CreateOptions", &w, err);
        if (r < 0)
                return r;
        decode_target_of(q, &t);
        write_ctx_init(q, &w, &c);
        r = decode_body(q, &t, w.field_validation, &obj, err);
        if (r == 0)
                r = write_settle_namespace(c.ns, obj, err);
        if (r == 0)
                r = check_new(obj, err);
        if (r < 0)
                return r;
        convert_to_storage(q->row, obj);
        return kc_registry_create(&c, KC_TAKE(obj), w.options, ret, err);
}

static void create_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *made = NULL;
        int r = create(q, &made, &err);
        reply_result(q, r, 201, made, &err);
}

void handle_create(struct api_req *q)
{
        api_req_run_blocking(q, create_job);
}

/* --- UPDATE */

/* checkName of upstream's handlers. */
int write_check_name(const struct kc_registry_ctx *c, const struct json_object *obj, struct kc_error *err)
{
        const char *name = kc_meta_name(obj), *ns = kc_meta_namespace(obj);
        if (kc_str_empty(name))
                return kc_err_bad_request(
                    err, "the name of the object (%s based on URL) was undeterminable: name must be provided", c->name);
        if (strcmp(name, c->name) != 0)
                return kc_err_bad_request(
                    err, "the name of the object (%s) does not match the name on the URL (%s)", name, c->name);
        if (c->ns[0] && ns && strcmp(ns, c->ns) != 0)
                return kc_err_bad_request(err,
                    "the namespace of the object (%s) does not match the namespace on the request (%s)", ns, c->ns);
        return 0;
}

static int take_copy(struct kc_registry_ctx *c, const struct kc_object *current, struct json_object **ret_obj,
    void *arg, struct kc_error *err)
{
        (void)c;
        (void)current;
        (void)err;
        *ret_obj = kc_json_copy(arg);
        return 0;
}

static int update(struct api_req *q, struct kc_object **ret, bool *ret_created, struct kc_error *err)
{
        KC_CLEANUP(write_options_done) struct write_options w = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *obj = NULL;
        struct decode_target t;
        struct kc_registry_ctx c;
        int r = write_options_parse(q, "UpdateOptions", &w, err);
        if (r < 0)
                return r;
        decode_target_of(q, &t);
        write_ctx_init(q, &w, &c);
        r = decode_body(q, &t, w.field_validation, &obj, err);
        if (r == 0)
                r = write_check_name(&c, obj, err);
        if (r < 0)
                return r;
        convert_to_storage(q->row, obj);
        KC_CLEANUP(kc_freep) char *uid = kc_strdup(kc_meta_uid(obj));
        const struct kc_registry_update_opts uo = {
            .transform = take_copy,
            .arg = obj,
            .uid = uid,
            .options = w.options,
            .allow_create = true,
            .may_create = write_may_create,
            .may_create_arg = q,
        };
        return kc_registry_update(&c, &uo, ret, ret_created, err);
}

static void update_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *made = NULL;
        bool created = false;
        int r = update(q, &made, &created, &err);
        reply_result(q, r, created ? 201 : 200, made, &err);
}

void handle_update(struct api_req *q)
{
        api_req_run_blocking(q, update_job);
}

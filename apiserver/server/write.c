/* CREATE and UPDATE, and what all writes share. Worker threads, but for the handlers themselves, which only send the
 * work there. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "server/server_internal.h"

/* --- options */

static int parse_field_validation(const char *text, struct write_options *w, struct kc_field_errors *errors)
{
        static const char *const supported[] = {"", "Ignore", "Strict", "Warn", NULL};
        w->field_validation = VALIDATE_WARN;
        if (kc_str_empty(text) || strcmp(text, "Warn") == 0)
                return 0;
        if (strcmp(text, "Ignore") == 0)
                w->field_validation = VALIDATE_IGNORE;
        else if (strcmp(text, "Strict") == 0)
                w->field_validation = VALIDATE_STRICT;
        else
                kc_field_not_supported(errors, "fieldValidation", text, supported);
        return 0;
}

int write_options_parse(struct api_req *q, const char *kind, struct write_options *ret, struct kc_error *err)
{
        static const char *const all[] = {"All", NULL};
        *ret = (struct write_options){0};
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        KC_CLEANUP(kc_strv_freep) char **dry = kc_query_get_all(kc_http_req_query(q->http), "dryRun");
        KC_CLEANUP(kc_freep) char *validation = api_req_param(q, "fieldValidation");
        KC_CLEANUP(kc_freep) char *manager = api_req_param(q, "fieldManager");
        for (size_t i = 0; dry && dry[i]; i++) {
                if (strcmp(dry[i], "All") != 0)
                        kc_field_not_supported(&errors, "dryRun", dry[i], all);
                q->dry_run = true;
        }
        (void)parse_field_validation(validation, ret, &errors);
        if (errors.n > 0)
                return kc_err_invalid(err, "meta.k8s.io", kind, "", &errors);
        ret->options = kc_json_build("{'kind':%s,'apiVersion':'meta.k8s.io/v1'}", kind);
        if (q->dry_run)
                kc_json_push_str(kc_json_ensure_arr(ret->options, "dryRun"), "All");
        kc_json_set_str(ret->options, "fieldManager", kc_str_empty(manager) ? NULL : manager);
        kc_json_set_str(ret->options, "fieldValidation", kc_str_empty(validation) ? NULL : validation);
        return 0;
}

void write_options_done(struct write_options *w)
{
        kc_json_free(w->options);
        *w = (struct write_options){0};
}

void write_ctx_init(struct api_req *q, struct kc_registry_ctx *ret)
{
        kc_registry_ctx_init(ret, q->server->registry, q->row->group, q->row->resource,
            q->row->namespaced ? q->info.ns : "", q->info.name, q->user, q->dry_run, &q->warnings);
        ret->row = q->row;
        ret->subresource = q->info.subresource;
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
static int settle_namespace(const char *ns, struct json_object *obj, struct kc_error *err)
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
        write_ctx_init(q, &c);
        r = decode_body(q, &t, w.field_validation, &obj, err);
        if (r == 0)
                r = settle_namespace(c.ns, obj, err);
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
static int check_name(const struct kc_registry_ctx *c, const struct json_object *obj, struct kc_error *err)
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
        write_ctx_init(q, &c);
        r = decode_body(q, &t, w.field_validation, &obj, err);
        if (r == 0)
                r = check_name(&c, obj, err);
        if (r < 0)
                return r;
        convert_to_storage(q->row, obj);
        KC_CLEANUP(kc_freep) char *uid = kc_strdup(kc_meta_uid(obj));
        const struct kc_registry_update_opts uo = {
            .transform = take_copy, .arg = obj, .uid = uid, .options = w.options, .allow_create = true};
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

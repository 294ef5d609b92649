/* PATCH of an object or of its status. Worker threads. */
#include "api/patch.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "server/patch.h"

static const struct {
        const char *media;
        enum patch_kind kind;
} kinds[] = {
    {"application/json-patch+json", PATCH_JSON},
    {"application/merge-patch+json", PATCH_MERGE},
    {"application/strategic-merge-patch+json", PATCH_STRATEGIC},
    {"application/apply-patch+yaml", PATCH_APPLY},
};

static int kind_of(const struct api_req *q, enum patch_kind *ret, struct kc_error *err)
{
        const char *header = kc_http_req_header(q->http, "Content-Type");
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(header ? header : "", ';');
        KC_CLEANUP(kc_freep) char *type = kc_str_trim(parts[0] ? parts[0] : "");
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++)
                if (strcmp(kinds[i].media, type) == 0) {
                        *ret = kinds[i].kind;
                        return 0;
                }
        return kc_error_set_api(err, 415, KC_REASON_UNSUPPORTED_MEDIA_TYPE,
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, "
            "application/apply-patch+yaml");
}

bool patch_is_apply(const struct api_req *q)
{
        enum patch_kind kind;
        return kind_of(q, &kind, NULL) == 0 && kind == PATCH_APPLY;
}

int patch_read(struct api_req *q, struct patch *ret, struct kc_error *err)
{
        *ret = (struct patch){.q = q};
        int r = kind_of(q, &ret->kind, err);
        if (r < 0)
                return r;
        if (ret->kind == PATCH_APPLY)
                return apply_read(q, ret, err);
        size_t len;
        const char *body = kc_http_req_body(q->http, &len);
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        if (kc_json_parse(body, len, NULL, &ret->body, &why) < 0)
                return kc_err_bad_request(err, "error decoding patch: %s", kc_error_message(&why));
        kc_audit_record_request(q->audit, ret->body);
        bool array = ret->kind == PATCH_JSON;
        if (array ? kc_json_is_arr(ret->body) : kc_json_is_obj(ret->body))
                return 0;
        return kc_err_bad_request(err,
            array ? "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
                  : "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}");
}

void patch_done(struct patch *p)
{
        kc_json_free(p->body);
        kc_strv_free(p->repeats);
        *p = (struct patch){0};
}

/* Paths may lead into what is kept as text. */
static void expand_fields(struct json_object *tree)
{
        const struct json_object *entries = kc_json_at(tree, "metadata.managedFields");
        for (size_t i = 0; i < kc_json_len(entries); i++) {
                struct json_object *e = (struct json_object *)kc_json_idx(entries, i); /* of a tree of our own */
                const struct json_object *fields = kc_json_get(e, "fieldsV1");
                if (kc_json_raw(fields))
                        kc_json_set(e, "fieldsV1", kc_json_expand(fields));
        }
}

int patch_apply(const struct patch *p, const struct decode_target *t, int field_validation, struct json_object **tree,
    struct kc_error *err)
{
        int r = 0;
        switch (p->kind) {
        case PATCH_JSON:
                expand_fields(*tree);
                r = kc_patch_json(tree, p->body, err);
                break;
        case PATCH_MERGE:
                r = kc_patch_merge(tree, p->body, err);
                break;
        case PATCH_STRATEGIC:
                r = kc_patch_strategic(tree, p->body, t->type, err);
                break;
        case PATCH_APPLY:
                r = kc_err_internal(err, "an apply is no patch of a tree");
                break;
        }
        if (r < 0)
                return r;
        if (!kc_json_is_obj(*tree))
                return kc_err_bad_request(err, "the patched object is no object");
        /* A repeated attempt says its warnings anew. */
        return decode_tree(p->q, t, field_validation, *tree, err);
}

struct patch_job {
        struct patch patch;
        struct decode_target target;
        int field_validation;
};

/* The patched object, in the version of the request. */
static int patched(struct kc_registry_ctx *c, const struct patch_job *job, const struct kc_object *current,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = current ? kc_object_copy_json(current) : NULL;
        if (tree)
                convert_from_storage(c->row, tree);
        if (job->patch.kind == PATCH_APPLY) {
                struct kc_fields_target t;
                kc_fields_target_of(c, &t);
                return apply_to(c, &job->patch, &t, tree, job->field_validation, ret, err);
        }
        if (!tree)
                return kc_err_not_found(err, c->row->group, c->row->resource, c->name);
        int r = patch_apply(&job->patch, &job->target, job->field_validation, &tree, err);
        if (r == 0)
                *ret = KC_TAKE(tree);
        return r;
}

static int transform(struct kc_registry_ctx *c, const struct kc_object *current, struct json_object **ret_obj,
    void *arg, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        int r = patched(c, arg, current, &tree, err);
        if (r == 0)
                r = write_settle_namespace(c->ns, tree, err);
        if (r == 0)
                r = write_check_name(c, tree, err);
        if (r < 0)
                return r;
        convert_to_storage(c->row, tree);
        *ret_obj = KC_TAKE(tree);
        return 0;
}

static int patch(struct api_req *q, struct kc_object **ret, bool *ret_created, struct kc_error *err)
{
        KC_CLEANUP(write_options_done) struct write_options w = {0};
        struct kc_registry_ctx c;
        struct patch_job job = {0};
        int r = patch_read(q, &job.patch, err);
        if (r == 0)
                r = write_options_parse(q, "PatchOptions", &w, err);
        if (r == 0) {
                job.field_validation = w.field_validation;
                job.patch.force = w.force;
                decode_target_of(q, &job.target);
                write_ctx_init(q, &w, &c);
                const struct kc_registry_update_opts uo = {
                    .transform = transform,
                    .arg = &job,
                    .options = w.options,
                    .force_create = job.patch.kind == PATCH_APPLY,
                    .may_create = write_may_create,
                    .may_create_arg = q,
                };
                r = kc_registry_update(&c, &uo, ret, ret_created, err);
        }
        patch_done(&job.patch);
        return r;
}

static void patch_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *made = NULL;
        bool created = false;
        if (patch(q, &made, &created, &err) < 0)
                api_reply_error(q, &err);
        else
                api_reply_object(q, created ? 201 : 200, made);
}

void handle_patch(struct api_req *q)
{
        api_req_run_blocking(q, patch_job);
}

/* Subresources of other kinds than the resource's - scale, binding, eviction, token - and the virtual kinds that are
 * answered without being stored. Worker threads, but for the handlers themselves. */
#include <errno.h>
#include <string.h>

#include "api/managed.h"
#include "api/object.h"
#include "auth/review.h"
#include "base/str.h"
#include "server/delete_options.h"
#include "server/patch.h"

static const struct kc_subresource_strategy *strategy_of(const struct api_req *q, const char *resource, const char *sub)
{
        return kc_strategy_subresource(kc_strategy_for(q->row->group, resource), sub);
}

static int not_supported(const struct api_req *q, struct kc_error *err)
{
        return kc_err_method_not_supported(err, q->row->group, q->row->resource, q->info.verb);
}

/* --- projections (scale): a view of the parent that can be read and written */

struct projection {
        struct api_req *q;
        const struct kc_subresource_strategy *s;
        struct decode_target target;
        int field_validation;
        struct json_object *wanted; /* PUT; NULL: PATCH */
        struct patch patch;
};

static void projection_done(struct projection *p)
{
        kc_json_free(p->wanted);
        patch_done(&p->patch);
}

static struct json_object *metadata_of(struct json_object *obj)
{
        return kc_json_ensure_obj(obj, "metadata");
}

static void set_entries(struct json_object *obj, struct json_object *take_entries)
{
        kc_json_del(metadata_of(obj), "managedFields");
        if (take_entries)
                kc_json_set(metadata_of(obj), "managedFields", take_entries);
}

/* The view as it is wanted, with managedFields of its own. */
static int wanted_view(struct kc_registry_ctx *c, const struct projection *p, const struct json_object *live,
    struct json_object **ret, struct kc_error *err)
{
        const struct decode_target *d = &p->target;
        const struct kc_fields_target t = {
            .type = d->type, .group = d->group, .version = d->version, .kind = d->kind, .subresource = c->subresource};
        if (!p->wanted && p->patch.kind == PATCH_APPLY)
                return apply_to(c, &p->patch, &t, live, p->field_validation, ret, err);
        KC_CLEANUP(kc_json_freep) struct json_object *sub = kc_json_copy(p->wanted ? p->wanted : live);
        set_entries(sub, NULL);
        int r = p->wanted ? 0 : patch_apply(&p->patch, d, p->field_validation, &sub, err);
        if (r < 0)
                return r;
        kc_fields_update(c, &t, live, sub);
        *ret = KC_TAKE(sub);
        return 0;
}

static int projection_transform(struct kc_registry_ctx *c, const struct kc_object *current,
    struct json_object **ret_obj, void *arg, struct kc_error *err)
{
        struct projection *p = arg;
        if (!current)
                return kc_err_not_found(err, c->row->group, c->row->resource, c->name);
        const struct json_object *entries = kc_json_at(kc_object_json(current), "metadata.managedFields");
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(c->row->group, c->row->version);
        KC_CLEANUP(kc_json_freep) struct json_object *live = p->s->to(c, kc_object_json(current)), *sub = NULL;
        set_entries(live, kc_managed_to_scale(entries, p->s->replicas));
        int r = wanted_view(c, p, live, &sub, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_json_freep) struct json_object *obj = kc_object_copy_json(current);
        r = p->s->from(c, obj, sub, err);
        if (r < 0)
                return r;
        /* Optimistic locking is by the parent's version, which the view shows as its own. */
        kc_json_set_str(metadata_of(obj), "resourceVersion", kc_meta_resource_version(sub));
        set_entries(obj,
            kc_managed_from_scale(entries, kc_json_at(sub, "metadata.managedFields"), api_version, p->s->replicas));
        c->fields_managed = true;
        *ret_obj = KC_TAKE(obj);
        return 0;
}

static int check_projection_name(const struct api_req *q, const struct json_object *sub, struct kc_error *err)
{
        const char *name = kc_meta_name(sub);
        if (kc_streq(name, q->info.name))
                return 0;
        return kc_err_bad_request(
            err, "the name of the object (%s) does not match the name on the URL (%s)", name ? name : "", q->info.name);
}

static int projection_write(struct api_req *q, struct projection *p, struct kc_object **ret, struct kc_error *err)
{
        KC_CLEANUP(write_options_done) struct write_options w = {0};
        bool put = strcmp(q->info.verb, "update") == 0;
        int r = put ? 0 : patch_read(q, &p->patch, err);
        if (r == 0)
                r = write_options_parse(q, put ? "UpdateOptions" : "PatchOptions", &w, err);
        if (r < 0)
                return r;
        p->field_validation = w.field_validation;
        p->patch.force = w.force;
        decode_target_of(q, &p->target);
        if (put) {
                r = decode_body(q, &p->target, w.field_validation, &p->wanted, err);
                if (r == 0)
                        r = check_projection_name(q, p->wanted, err);
        }
        if (r < 0)
                return r;
        struct kc_registry_ctx c;
        write_ctx_init(q, &w, &c);
        KC_CLEANUP(kc_freep) char *uid = kc_strdup(p->wanted ? kc_meta_uid(p->wanted) : NULL);
        const struct kc_registry_update_opts uo = {
            .transform = projection_transform, .arg = p, .uid = uid, .options = w.options};
        return kc_registry_update(&c, &uo, ret, NULL, err);
}

static int projection(
    struct api_req *q, const struct kc_subresource_strategy *s, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *parent = NULL;
        KC_CLEANUP(projection_done) struct projection p = {.q = q, .s = s};
        struct kc_registry_ctx c;
        write_ctx_init(q, NULL, &c);
        int r = strcmp(q->info.verb, "get") == 0 ? kc_resources_get_live(q->server->resources, q->row->group,
                                                       q->row->resource, c.ns, c.name, &parent, err)
                                                 : projection_write(q, &p, &parent, err);
        if (r == 0)
                *ret = s->to(&c, kc_object_json(parent));
        return r;
}

/* --- actions (binding, eviction, token) */

/* What the body leaves out is as the path says. */
static int settle_action(const struct kc_registry_ctx *c, struct json_object *body, struct kc_error *err)
{
        struct json_object *meta = kc_json_ensure_obj(body, "metadata");
        const char *name = kc_json_str(meta, "name"), *ns = kc_json_str(meta, "namespace");
        if (!kc_str_empty(name) && strcmp(name, c->name) != 0)
                return kc_err_bad_request(
                    err, "name in URL does not match name in %s object", kc_json_str(body, "kind"));
        if (!kc_str_empty(ns) && strcmp(ns, c->ns) != 0)
                return kc_err_bad_request(
                    err, "the namespace of the provided object does not match the namespace sent on the request");
        kc_json_set_str(meta, "name", c->name);
        kc_json_set_str(meta, "namespace", c->ns[0] ? c->ns : NULL);
        return 0;
}

static int admit_action(struct api_req *q, const struct kc_registry_ctx *c, struct json_object *body,
    const struct json_object *options, struct kc_error *err)
{
        struct kc_admission_attrs a = {
            .op = KC_ADMIT_CREATE,
            .row = c->stored->row,
            .subresource = c->subresource,
            .ns = c->ns,
            .name = c->name,
            .user = c->user,
            .dry_run = c->dry_run,
            .now = c->now,
            .obj = body,
            .options = options,
            .warnings = c->warnings,
        };
        int r = kc_admission_admit(q->server->admission, &a, err);
        return r < 0 ? r : kc_admission_validate(q->server->admission, &a, err);
}

static int action(struct api_req *q, const struct kc_subresource_strategy *s, const struct decode_target *t,
    struct kc_registry_ctx *c, struct json_object **ret, int *ret_code, struct kc_error *err)
{
        KC_CLEANUP(write_options_done) struct write_options w = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *body = NULL;
        int r = write_options_parse(q, "CreateOptions", &w, err);
        if (r < 0)
                return r;
        c->dry_run = q->dry_run;
        r = decode_body(q, t, w.field_validation, &body, err);
        if (r < 0)
                return r;
        /* The legacy way to bind names the pod in the body. */
        KC_CLEANUP(kc_freep) char *name = kc_strdup(c->name[0] ? c->name : kc_meta_name(body));
        c->name = name ? name : "";
        r = settle_action(c, body, err);
        if (r == 0)
                r = admit_action(q, c, body, w.options, err);
        if (r == 0)
                r = s->create(c, body, ret, ret_code, err);
        c->name = "";
        return r;
}

static void reply_action(
    struct api_req *q, int r, int code, const struct json_object *answer, const struct kc_error *err)
{
        if (r < 0) {
                api_reply_error(q, err);
                return;
        }
        KC_CLEANUP(kc_json_freep) struct json_object *success = NULL;
        if (!answer) {
                success = kc_json_build(
                    "{'kind':'Status','apiVersion':'v1','metadata':{},'status':'Success','code':%d}", code);
                answer = success;
        }
        api_reply_json(q, code, answer);
}

static void subresource_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        const struct kc_subresource_strategy *s = strategy_of(q, q->row->resource, q->sub->name);
        bool post = strcmp(q->info.verb, "create") == 0;
        int r, code = post ? 201 : 200;
        if (!s || (post && !s->create) || (!post && !s->to)) {
                r = not_supported(q, &err);
        } else if (post) {
                struct decode_target t;
                struct kc_registry_ctx c;
                decode_target_of(q, &t);
                write_ctx_init(q, NULL, &c);
                r = action(q, s, &t, &c, &answer, &code, &err);
        } else {
                r = projection(q, s, &answer, &err);
        }
        reply_action(q, r, code, answer, &err);
}

void handle_subresource(struct api_req *q)
{
        api_req_run_blocking(q, subresource_job);
}

/* --- POST .../bindings: the binding subresource of pods by its old name */

static void bindings_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        const struct kc_subresource_strategy *s = strategy_of(q, "pods", "binding");
        int r, code = 201;
        if (!s || !s->create) {
                r = not_supported(q, &err);
        } else {
                struct decode_target t;
                struct kc_registry_ctx c;
                decode_target_of(q, &t);
                kc_registry_ctx_init(&c, q->server->registry, "", "pods", q->info.ns, "", q->user, false, &q->warnings);
                c.subresource = "binding";
                r = action(q, s, &t, &c, &answer, &code, &err);
        }
        reply_action(q, r, code, answer, &err);
}

void handle_bindings(struct api_req *q)
{
        api_req_run_blocking(q, bindings_job);
}

/* --- TokenReview, SubjectAccessReview and the like */

static int review(struct api_req *q, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(write_options_done) struct write_options w = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *obj = NULL;
        struct decode_target t;
        int r = write_options_parse(q, "CreateOptions", &w, err);
        if (r < 0)
                return r;
        decode_target_of(q, &t);
        r = decode_body(q, &t, w.field_validation, &obj, err);
        if (r < 0)
                return r;
        int result = 0;
        if (!kc_review_create(q->server->authn, q->server->authz, q->user, q->row, q->info.ns, obj, &result, err))
                return not_supported(q, err);
        if (result == 0)
                *ret = KC_TAKE(obj);
        return result;
}

static void review_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        int r = review(q, &answer, &err);
        reply_action(q, r, 201, answer, &err);
}

void handle_review(struct api_req *q)
{
        api_req_run_blocking(q, review_job);
}

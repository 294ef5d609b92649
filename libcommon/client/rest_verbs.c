/* The verbs of the REST client: paths and bodies. Worker threads. */
#include <errno.h>
#include <inttypes.h>

#include "base/str.h"
#include "client/rest.h"

#define JSON "application/json"

static int require_name(const struct kc_gvr *g, const char *name, struct kc_error *err)
{
        return kc_str_empty(name) ? kc_error_set(err, EINVAL, "%s: resource name may not be empty", g->resource) : 0;
}

int kc_rest_get(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const char *name, struct json_object **ret,
    struct kc_error *err)
{
        int e = require_name(g, name, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(g, ns, name, NULL);
        return kc_rest_call(r, "GET", path, NULL, NULL, ret, err);
}

int kc_rest_list(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const char *query, struct json_object **ret,
    struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(g, ns, NULL, NULL);
        KC_CLEANUP(kc_freep)
        char *full = kc_str_empty(query) ? kc_strdup(path) : kc_asprintf("%s?%s", path, query);
        return kc_rest_call(r, "GET", full, NULL, NULL, ret, err);
}

int kc_rest_create(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const struct json_object *obj,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(g, ns, NULL, NULL);
        return kc_rest_call(r, "POST", path, JSON, obj, ret, err);
}

int kc_rest_update(struct kc_rest *r, const struct kc_gvr *g, const char *subresource, const struct json_object *obj,
    struct json_object **ret, struct kc_error *err)
{
        int e = require_name(g, kc_meta_name(obj), err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(g, kc_meta_namespace(obj), kc_meta_name(obj), subresource);
        return kc_rest_call(r, "PUT", path, JSON, obj, ret, err);
}

int kc_rest_patch(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const char *name, const char *subresource,
    const char *content_type, const struct json_object *patch, struct json_object **ret, struct kc_error *err)
{
        int e = require_name(g, name, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(g, ns, name, subresource);
        return kc_rest_call(r, "PATCH", path, content_type, patch, ret, err);
}

static struct json_object *delete_options(const struct kc_delete_opts *o)
{
        struct json_object *body = kc_json_build("{'kind':'DeleteOptions','apiVersion':'v1'}");
        if (o->grace_period_seconds >= 0)
                kc_json_set_int(body, "gracePeriodSeconds", o->grace_period_seconds);
        if (o->propagation)
                kc_json_set_str(body, "propagationPolicy", o->propagation);
        if (o->precondition_uid)
                kc_json_set_str(kc_json_ensure_obj(body, "preconditions"), "uid", o->precondition_uid);
        if (o->precondition_resource_version)
                kc_json_set_str(
                    kc_json_ensure_obj(body, "preconditions"), "resourceVersion", o->precondition_resource_version);
        if (o->dry_run)
                kc_json_push_str(kc_json_ensure_arr(body, "dryRun"), "All");
        return body;
}

int kc_rest_delete(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const char *name,
    const struct kc_delete_opts *opts, struct json_object **ret, struct kc_error *err)
{
        int e = require_name(g, name, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(g, ns, name, NULL);
        KC_CLEANUP(kc_json_freep) struct json_object *body = opts ? delete_options(opts) : NULL;
        return kc_rest_call(r, "DELETE", path, JSON, body, ret, err);
}

int kc_rest_create_sub(struct kc_rest *r, const struct kc_gvr *g, const char *ns, const char *name,
    const char *subresource, const struct json_object *obj, struct json_object **ret, struct kc_error *err)
{
        int e = require_name(g, name, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(g, ns, name, subresource);
        return kc_rest_call(r, "POST", path, JSON, obj, ret, err);
}

/* From a request to its handler: which paths and methods exist. On the request's loop. */
#include <string.h>

#include "api/names.h"
#include "base/str.h"
#include "server/server_internal.h"

struct verb_row {
        const char *verb;
        uint32_t bit;
        void (*handle)(struct api_req *q);
};

static const struct verb_row resource_verbs[] = {
    {"get", KC_VERB_GET, handle_get},
    {"list", KC_VERB_LIST, handle_list},
    {"watch", KC_VERB_WATCH, handle_watch},
    {"create", KC_VERB_CREATE, handle_create},
    {"update", KC_VERB_UPDATE, handle_update},
    {"patch", KC_VERB_PATCH, handle_patch},
    {"delete", KC_VERB_DELETE, handle_delete},
    {"deletecollection", KC_VERB_DELETECOLLECTION, handle_delete_collection},
};

/* Subresources of the parent's own kind: status, finalize. */
static const struct verb_row status_verbs[] = {
    {"get", KC_VERB_GET, handle_get},
    {"update", KC_VERB_UPDATE, handle_update},
    {"patch", KC_VERB_PATCH, handle_patch},
};

static const struct verb_row projection_verbs[] = {
    {"get", KC_VERB_GET, handle_subresource},
    {"create", KC_VERB_CREATE, handle_subresource},
    {"update", KC_VERB_UPDATE, handle_subresource},
    {"patch", KC_VERB_PATCH, handle_subresource},
};

static const struct verb_row log_verbs[] = {
    {"get", KC_VERB_GET, handle_log},
};

static const struct verb_row connect_verbs[] = {
    {"get", KC_VERB_GET, handle_connect},
    {"create", KC_VERB_CREATE, handle_connect},
};

static const struct verb_row proxy_verbs[] = {
    {"get", KC_VERB_GET, handle_proxy}, {"create", KC_VERB_CREATE, handle_proxy},
    {"update", KC_VERB_UPDATE, handle_proxy}, {"patch", KC_VERB_PATCH, handle_proxy},
    {"delete", KC_VERB_DELETE, handle_proxy}, {"", KC_VERB_GET, handle_proxy}, /* OPTIONS */
};

static const struct verb_row review_verbs[] = {
    {"create", KC_VERB_CREATE, handle_review},
};

static const struct verb_row component_verbs[] = {
    {"get", KC_VERB_GET, handle_components},
    {"list", KC_VERB_LIST, handle_components},
};

static const struct verb_row bindings_verbs[] = {
    {"create", KC_VERB_CREATE, handle_bindings},
};

static void (*find_handler(const struct verb_row *rows, size_t n, uint32_t served, const char *verb))(struct api_req *)
{
        for (size_t i = 0; i < n; i++)
                if ((served & rows[i].bit) && strcmp(rows[i].verb, verb) == 0)
                        return rows[i].handle;
        return NULL;
}

static bool is_proxy(const struct api_req *q)
{
        return q->sub && strcmp(q->sub->name, "proxy") == 0;
}

/* Subresources that are a connection to somewhere else, where the answer comes from. */
static bool is_connect(const struct api_req *q)
{
        static const char *const names[] = {"attach", "exec", "portforward", "proxy"};
        for (size_t i = 0; q->sub && i < KC_ARRAY_LEN(names); i++)
                if (strcmp(q->sub->name, names[i]) == 0)
                        return true;
        return false;
}

#define FIND(rows, served, verb) find_handler(rows, KC_ARRAY_LEN(rows), served, verb)

static void (*handler_of(const struct api_req *q))(struct api_req *)
{
        const char *verb = q->info.verb;
        if (q->sub) {
                if (strcmp(q->sub->name, "log") == 0)
                        return FIND(log_verbs, q->sub->verbs, verb);
                if (is_connect(q))
                        return is_proxy(q) ? FIND(proxy_verbs, q->sub->verbs, verb)
                                           : FIND(connect_verbs, q->sub->verbs, verb);
                if (kc_streq(q->sub->kind, q->row->kind))
                        return FIND(status_verbs, q->sub->verbs, verb);
                return FIND(projection_verbs, q->sub->verbs, verb);
        }
        if (q->stored)
                return FIND(resource_verbs, q->row->verbs, verb);
        if (strcmp(q->row->kind, "Binding") == 0)
                return FIND(bindings_verbs, q->row->verbs, verb);
        if (strcmp(q->row->kind, "ComponentStatus") == 0)
                return FIND(component_verbs, q->row->verbs, verb);
        return FIND(review_verbs, q->row->verbs, verb);
}

/* What is served, but on its way out: every answer says so. */
static const struct {
        const char *group, *version, *resource, *warning;
} deprecated[] = {
    {"", "v1", "componentstatuses", "v1 ComponentStatus is deprecated in v1.19+"},
    {"", "v1", "endpoints", "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"},
};

static void warn_deprecated(struct api_req *q)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(deprecated); i++)
                if (kc_streq(q->row->group, deprecated[i].group) && kc_streq(q->row->version, deprecated[i].version) &&
                    kc_streq(q->row->resource, deprecated[i].resource)) {
                        kc_strv_push(&q->warnings, deprecated[i].warning);
                        metrics_deprecated(q);
                }
}

/* Names that no object can have (storage's NamespaceKeyFunc). */
static int check_name(const struct api_req *q, struct kc_error *err)
{
        struct kc_why why = {0};
        if (!q->info.name[0])
                return 0;
        kc_name_path_segment(q->info.name, &why);
        return why.n == 0 ? 0 : kc_err_bad_request(err, "Name parameter invalid: \"%s\": %s", q->info.name, why.v[0]);
}

/* errors.NewGenericServerResponse as the router of upstream uses it. */
static void reply_not_found(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)kc_error_set_api(&err, 404, KC_REASON_NOT_FOUND, "the server could not find the requested resource");
        (void)kc_error_details(&err);
        api_reply_error(q, &err);
}

static void reply_method_not_allowed(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)kc_error_set_api(
            &err, 405, KC_REASON_METHOD_NOT_ALLOWED, "the server does not allow this method on the requested resource");
        (void)kc_error_details(&err);
        api_reply_error(q, &err);
}

static bool group_version_exists(const struct req_info *i)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        for (size_t k = 0; k < n; k++)
                if (kc_streq(gvs[k]->group, i->group) && kc_streq(gvs[k]->version, i->version))
                        return true;
        return false;
}

/* Is the path one of the resource: its scope, and names where they belong? */
static bool path_exists(const struct api_req *q)
{
        const struct req_info *i = &q->info;
        if (i->subresource[0] && !q->sub)
                return false;
        if (kc_strv_len(i->parts) > 3 && !is_proxy(q))
                return false;
        if (!q->row->namespaced)
                return !i->ns[0] || i->is_own_namespace;
        /* Over all namespaces there are only collections. */
        return i->ns[0] || kc_strv_len(i->parts) == 1;
}

/* Methods of collections and of objects. A namespaced resource can only be created in a namespace. */
static bool method_exists(const struct api_req *q)
{
        const char *verb = q->info.verb;
        bool named = kc_strv_len(q->info.parts) >= 2;
        if (strcmp(verb, "create") == 0)
                return (named == (q->sub != NULL)) && (!q->row->namespaced || q->info.ns[0]);
        if (strcmp(verb, "update") == 0 || strcmp(verb, "patch") == 0)
                return named;
        if (strcmp(verb, "deletecollection") == 0)
                return !q->row->namespaced || q->info.ns[0];
        return true;
}

void dispatch(struct api_req *q)
{
        if (!q->info.is_resource) {
                if (!nonresource_handle(q))
                        api_reply_not_found_page(q);
                return;
        }
        if (!q->row && !group_version_exists(&q->info)) {
                api_reply_not_found_page(q);
                return;
        }
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (!is_connect(q) && media_negotiate(q, &err) < 0) {
                api_reply_error(q, &err);
                return;
        }
        if (!q->row || !path_exists(q)) {
                reply_not_found(q);
                return;
        }
        void (*handle)(struct api_req *) = method_exists(q) ? handler_of(q) : NULL;
        if (!handle) {
                reply_method_not_allowed(q);
                return;
        }
        if (check_name(q, &err) < 0) {
                api_reply_error(q, &err);
                return;
        }
        warn_deprecated(q);
        handle(q);
}

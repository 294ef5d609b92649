/* Operations of OpenAPI: what can be done with each resource, by path and method. */
#include <ctype.h>
#include <string.h>

#include "api/openapi_internal.h"
#include "base/mem.h"
#include "base/str.h"

enum {
        ON_GET = 1 << 0,
        ON_LIST = 1 << 1,
        ON_POST = 1 << 2,
        ON_PUT = 1 << 3,
        ON_PATCH = 1 << 4,
        ON_DELETE = 1 << 5,
        ON_DELETECOLLECTION = 1 << 6,
        ON_LOG = 1 << 7,
        ON_WRITE = ON_POST | ON_PUT | ON_PATCH,
        ON_SELECT = ON_LIST | ON_DELETECOLLECTION,
        ON_REMOVE = ON_DELETE | ON_DELETECOLLECTION,
};

static const struct {
        const char *name, *type;
        unsigned on;
        const char *doc;
} parameters[] = {
    {"allowWatchBookmarks", "boolean", ON_LIST, "Send BOOKMARK events while watching."},
    {"container", "string", ON_LOG, "Container to read; may be left out when the pod has only one."},
    {"continue", "string", ON_SELECT, "Token of the previous part of the list."},
    {"dryRun", "string", ON_WRITE | ON_REMOVE, "\"All\": go through every stage without storing anything."},
    {"fieldManager", "string", ON_WRITE, "Name of who makes the change."},
    {"fieldSelector", "string", ON_SELECT, "Only objects whose fields match."},
    {"fieldValidation", "string", ON_WRITE, "Ignore, Warn or Strict: what unknown and repeated fields do."},
    {"follow", "boolean", ON_LOG, "Go on with the log as it is written."},
    {"force", "boolean", ON_PATCH, "Take over fields of other managers; for apply only."},
    {"gracePeriodSeconds", "integer", ON_REMOVE, "Seconds to wait before the object is removed."},
    {"ignoreStoreReadErrorWithClusterBreakingPotential", "boolean", ON_REMOVE,
        "Delete even what cannot be read from the store."},
    {"insecureSkipTLSVerifyBackend", "boolean", ON_LOG, "Do not check the certificate of the kubelet."},
    {"labelSelector", "string", ON_SELECT, "Only objects whose labels match."},
    {"limit", "integer", ON_SELECT, "The most objects that one response may hold."},
    {"limitBytes", "integer", ON_LOG, "The most bytes to return."},
    {"orphanDependents", "boolean", ON_REMOVE, "Old form of propagationPolicy."},
    {"previous", "boolean", ON_LOG, "The log of the container that ran before."},
    {"propagationPolicy", "string", ON_REMOVE, "Orphan, Background or Foreground: what happens to dependents."},
    {"resourceVersion", "string", ON_SELECT, "What the data must at least, or exactly, reflect."},
    {"resourceVersionMatch", "string", ON_SELECT, "NotOlderThan or Exact: what resourceVersion means."},
    {"sendInitialEvents", "boolean", ON_SELECT, "Begin the watch with the objects that exist."},
    {"sinceSeconds", "integer", ON_LOG, "Only lines of the last so many seconds."},
    {"stream", "string", ON_LOG, "All, Stdout or Stderr."},
    {"tailLines", "integer", ON_LOG, "Only so many lines from the end."},
    {"timeoutSeconds", "integer", ON_SELECT, "End the call after so many seconds."},
    {"timestamps", "boolean", ON_LOG, "Begin each line with its time."},
    {"watch", "boolean", ON_LIST, "Stream changes instead of a list."},
};

struct operation {
        const char *method, *action;
        unsigned on;
        char *id;
        const char *group, *version, *kind;
        const char *body, *response; /* type names; NULL: none, text */
};

/* The path item that is being written. */
struct item {
        struct kc_openapi *d;
        const struct kc_group_version *gv;
        bool has_name, has_namespace;
};

char *kc_openapi_group_word(const char *group)
{
        if (!*group)
                return kc_strdup("core");
        KC_CLEANUP(kc_freep) char *copy = kc_strdup(group);
        char *end = strstr(copy, ".k8s.io");
        if (end)
                *end = '\0';
        struct kc_buf b = KC_BUF_INIT;
        for (const char *p = copy; *p; p++) {
                bool first = p > copy && p[-1] == '.';
                if (*p != '.')
                        kc_buf_addc(&b, first ? (char)toupper((unsigned char)*p) : *p);
        }
        return kc_buf_take_str(&b);
}

/* "createCoreV1NamespacedPodBinding": verb, "CoreV1", middle, kind, suffix. */
static char *operation_id(
    const struct item *it, const char *verb, const char *middle, const char *kind, const char *suffix)
{
        KC_CLEANUP(kc_freep) char *group = kc_openapi_group_word(it->gv->group);
        KC_CLEANUP(kc_freep) char *version = kc_strdup(it->gv->version);
        group[0] = (char)toupper((unsigned char)group[0]);
        version[0] = (char)toupper((unsigned char)version[0]);
        char *id = kc_asprintf("%s%s%s%s%s%s", verb, group, version, middle, kind, suffix);
        /* Subresources are lower case in paths: "status" is "Status" here. */
        size_t len = strlen(id), tail = strlen(suffix);
        if (tail > 0)
                id[len - tail] = (char)toupper((unsigned char)id[len - tail]);
        return id;
}

static void write_parameter(struct kc_openapi *d, const char *name, const char *in, const char *type, const char *doc)
{
        struct kc_jw *w = &d->w;
        kc_jw_open(w, NULL, '{');
        kc_jw_str(w, "name", name);
        kc_jw_str(w, "in", in);
        kc_jw_str(w, "description", doc);
        if (kc_streq(in, "path"))
                kc_jw_bool(w, "required", true);
        if (d->v3)
                kc_jw_open(w, "schema", '{');
        kc_jw_str(w, "type", type);
        kc_jw_bool(w, "uniqueItems", true);
        if (d->v3)
                kc_jw_close(w, '}');
        kc_jw_close(w, '}');
}

static void write_body(struct kc_openapi *d, const struct operation *op)
{
        static const char *const patch_types[] = {
            "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"};
        static const char *const any[] = {"*/*"};
        bool patch = op->on == ON_PATCH;
        const char *const *types = patch ? patch_types : any;
        kc_jw_open(&d->w, "requestBody", '{');
        kc_jw_open(&d->w, "content", '{');
        for (size_t i = 0; i < (patch ? KC_ARRAY_LEN(patch_types) : KC_ARRAY_LEN(any)); i++) {
                kc_jw_open(&d->w, types[i], '{');
                kc_openapi_ref(d, "schema", op->body);
                kc_jw_close(&d->w, '}');
        }
        kc_jw_close(&d->w, '}');
        if (!(op->on & ON_REMOVE))
                kc_jw_bool(&d->w, "required", true);
        kc_jw_close(&d->w, '}');
}

static void write_body_parameter(struct kc_openapi *d, const struct operation *op)
{
        kc_jw_open(&d->w, NULL, '{');
        kc_jw_str(&d->w, "name", "body");
        kc_jw_str(&d->w, "in", "body");
        if (!(op->on & ON_REMOVE))
                kc_jw_bool(&d->w, "required", true);
        kc_openapi_ref(d, "schema", op->body);
        kc_jw_close(&d->w, '}');
}

static void write_operation_parameters(struct kc_openapi *d, const struct operation *op)
{
        kc_jw_open(&d->w, "parameters", '[');
        if (!d->v3 && op->body)
                write_body_parameter(d, op);
        for (size_t i = 0; i < KC_ARRAY_LEN(parameters); i++)
                if (parameters[i].on & op->on)
                        write_parameter(d, parameters[i].name, "query", parameters[i].type, parameters[i].doc);
        kc_jw_close(&d->w, ']');
}

static void write_response(struct kc_openapi *d, const char *code, const char *doc, const struct operation *op)
{
        static const char *const types[] = {"application/json", "application/yaml"};
        struct kc_jw *w = &d->w;
        kc_jw_open(w, code, '{');
        kc_jw_str(w, "description", doc);
        if (d->v3) {
                kc_jw_open(w, "content", '{');
                for (size_t i = 0; op->response && i < KC_ARRAY_LEN(types); i++) {
                        kc_jw_open(w, types[i], '{');
                        kc_openapi_ref(d, "schema", op->response);
                        kc_jw_close(w, '}');
                }
                if (!op->response)
                        kc_jw_raw(w, "text/plain", "{\"schema\":{\"type\":\"string\"}}");
                kc_jw_close(w, '}');
        } else if (op->response) {
                kc_openapi_ref(d, "schema", op->response);
        } else {
                kc_jw_raw(w, "schema", "{\"type\":\"string\"}");
        }
        kc_jw_close(w, '}');
}

static void write_responses(struct kc_openapi *d, const struct operation *op)
{
        kc_jw_open(&d->w, "responses", '{');
        write_response(d, "200", "OK", op);
        if (op->on & ON_WRITE)
                write_response(d, "201", "Created", op);
        if (op->on & (ON_POST | ON_DELETE))
                write_response(d, "202", "Accepted", op);
        kc_jw_raw(&d->w, "401", "{\"description\":\"Unauthorized\"}");
        kc_jw_close(&d->w, '}');
}

static void write_operation(const struct item *it, const struct operation *op)
{
        struct kc_openapi *d = it->d;
        struct kc_jw *w = &d->w;
        KC_CLEANUP(kc_freep) char *group = kc_openapi_group_word(it->gv->group);
        kc_jw_open(w, op->method, '{');
        kc_jw_open(w, "tags", '[');
        kc_jw_strf(w, NULL, "%s_%s", group, it->gv->version);
        kc_jw_close(w, ']');
        kc_jw_strf(w, "description", "%s: %s.", op->action, op->kind);
        kc_jw_str(w, "operationId", op->id);
        if (!d->v3) {
                kc_jw_raw(w, "consumes",
                    op->on == ON_PATCH ? "[\"application/json-patch+json\",\"application/merge-patch+json\","
                                         "\"application/strategic-merge-patch+json\"]"
                                       : "[\"*/*\"]");
                kc_jw_raw(
                    w, "produces", op->response ? "[\"application/json\",\"application/yaml\"]" : "[\"text/plain\"]");
        }
        write_operation_parameters(d, op);
        if (d->v3 && op->body)
                write_body(d, op);
        write_responses(d, op);
        kc_jw_str(w, "x-kubernetes-action", op->action);
        kc_openapi_gvk(w, "x-kubernetes-group-version-kind", op->group, op->version, op->kind);
        kc_jw_close(w, '}');
        kc_free(op->id);
}

static void close_item(const struct item *it)
{
        struct kc_jw *w = &it->d->w;
        kc_jw_open(w, "parameters", '[');
        if (it->has_name)
                write_parameter(it->d, "name", "path", "string", "Name of the object.");
        if (it->has_namespace)
                write_parameter(it->d, "namespace", "path", "string", "Namespace of the object.");
        write_parameter(it->d, "pretty", "query", "string", "\"true\": indent the answer.");
        kc_jw_close(w, ']');
        kc_jw_close(w, '}');
}

static void write_collection(struct item *it, const char *path, const struct kc_resource *r)
{
        const char *middle = r->namespaced ? "Namespaced" : "";
        struct operation op = {.group = r->group, .version = r->version, .kind = r->kind};
        KC_CLEANUP(kc_freep) char *collection = kc_asprintf("Collection%s", middle);
        *it = (struct item){.d = it->d, .gv = it->gv, .has_namespace = r->namespaced};
        kc_jw_open(&it->d->w, path, '{');
        if (r->verbs & KC_VERB_LIST) {
                op.method = "get", op.action = "list", op.on = ON_LIST, op.response = r->list_object_type->name;
                op.id = operation_id(it, "list", middle, r->kind, "");
                write_operation(it, &op);
        }
        if (r->verbs & KC_VERB_CREATE) {
                op.method = "post", op.action = "post", op.on = ON_POST, op.body = op.response = r->type->name;
                op.id = operation_id(it, "create", middle, r->kind, "");
                write_operation(it, &op);
        }
        if (r->verbs & KC_VERB_DELETECOLLECTION) {
                op.method = "delete", op.action = "deletecollection", op.on = ON_DELETECOLLECTION;
                op.body = KC_OPENAPI_META "DeleteOptions", op.response = KC_OPENAPI_META "Status";
                op.id = operation_id(it, "delete", collection, r->kind, "");
                write_operation(it, &op);
        }
        close_item(it);
}

/* GET, PUT and PATCH, of objects and of subresources. */
static void write_object_operations(const struct item *it, uint32_t verbs, struct operation op, const char *middle,
    const char *kind, const char *suffix)
{
        const char *type = op.response;
        if (verbs & KC_VERB_GET) {
                op.method = "get", op.action = "get", op.on = type ? ON_GET : ON_LOG, op.body = NULL;
                op.id = operation_id(it, "read", middle, kind, suffix);
                write_operation(it, &op);
        }
        if (verbs & KC_VERB_UPDATE) {
                op.method = "put", op.action = "put", op.on = ON_PUT, op.body = type;
                op.id = operation_id(it, "replace", middle, kind, suffix);
                write_operation(it, &op);
        }
        if (verbs & KC_VERB_PATCH) {
                op.method = "patch", op.action = "patch", op.on = ON_PATCH, op.body = KC_OPENAPI_PATCH;
                op.id = operation_id(it, "patch", middle, kind, suffix);
                write_operation(it, &op);
        }
}

static void write_object(struct item *it, const char *path, const struct kc_resource *r)
{
        const char *middle = r->namespaced ? "Namespaced" : "";
        struct operation op = {.group = r->group, .version = r->version, .kind = r->kind, .response = r->type->name};
        *it = (struct item){.d = it->d, .gv = it->gv, .has_name = true, .has_namespace = r->namespaced};
        kc_jw_open(&it->d->w, path, '{');
        write_object_operations(it, r->verbs, op, middle, r->kind, "");
        if (r->verbs & KC_VERB_DELETE) {
                op.method = "delete", op.action = "delete", op.on = ON_DELETE;
                op.body = KC_OPENAPI_META "DeleteOptions",
                op.response = r->returns_deleted ? r->type->name : KC_OPENAPI_META "Status";
                op.id = operation_id(it, "delete", middle, r->kind, "");
                write_operation(it, &op);
        }
        close_item(it);
}

static void write_subresource(
    struct item *it, const char *object_path, const struct kc_resource *r, const struct kc_subresource *s)
{
        const char *middle = r->namespaced ? "Namespaced" : "";
        struct operation op = {.group = s->group, .version = s->version, .kind = s->kind};
        op.response = s->type ? s->type->name : NULL;
        KC_CLEANUP(kc_freep) char *path = kc_asprintf("%s/%s", object_path, s->name);
        *it = (struct item){.d = it->d, .gv = it->gv, .has_name = true, .has_namespace = r->namespaced};
        kc_jw_open(&it->d->w, path, '{');
        write_object_operations(it, s->verbs, op, middle, r->kind, s->name);
        if (s->verbs & KC_VERB_CREATE) {
                op.method = "post", op.action = "post", op.on = ON_POST, op.body = op.response;
                op.id = operation_id(it, "create", middle, r->kind, s->name);
                write_operation(it, &op);
        }
        close_item(it);
}

static void write_all_namespaces(struct item *it, const char *path, const struct kc_resource *r)
{
        struct operation op = {.method = "get", .action = "list", .on = ON_LIST};
        op.group = r->group, op.version = r->version, op.kind = r->kind, op.response = r->list_object_type->name;
        *it = (struct item){.d = it->d, .gv = it->gv};
        op.id = operation_id(it, "list", "", r->kind, "ForAllNamespaces");
        kc_jw_open(&it->d->w, path, '{');
        write_operation(it, &op);
        close_item(it);
}

void kc_openapi_paths(struct kc_openapi *d, const struct kc_group_version *gv)
{
        KC_CLEANUP(kc_freep)
        char *base =
            *gv->group ? kc_asprintf("/apis/%s/%s", gv->group, gv->version) : kc_asprintf("/api/%s", gv->version);
        struct item it = {.d = d, .gv = gv};
        for (size_t i = 0; i < gv->n_resources; i++) {
                const struct kc_resource *r = &gv->resources[i];
                KC_CLEANUP(kc_freep)
                char *collection =
                    kc_asprintf("%s/%s%s", base, r->namespaced ? "namespaces/{namespace}/" : "", r->resource);
                /* A namespace names itself: its own path has no {namespace}. */
                KC_CLEANUP(kc_freep) char *object = kc_asprintf("%s/{name}", collection);
                KC_CLEANUP(kc_freep) char *everywhere = kc_asprintf("%s/%s", base, r->resource);
                write_collection(&it, collection, r);
                if (r->verbs & (KC_VERB_GET | KC_VERB_DELETE | KC_VERB_UPDATE | KC_VERB_PATCH))
                        write_object(&it, object, r);
                for (size_t k = 0; k < r->n_subresources; k++)
                        write_subresource(&it, object, r, &r->subresources[k]);
                if (r->namespaced && r->verbs & KC_VERB_LIST)
                        write_all_namespaces(&it, everywhere, r);
        }
}

void kc_openapi_meta_path(
    struct kc_openapi *d, const char *path, const char *tag, const char *operation, const char *type)
{
        struct kc_jw *w = &d->w;
        const struct operation op = {.response = type};
        kc_jw_open(w, path, '{');
        kc_jw_open(w, "get", '{');
        kc_jw_open(w, "tags", '[');
        kc_jw_str(w, NULL, tag);
        kc_jw_close(w, ']');
        kc_jw_str(w, "description", "What is served here.");
        kc_jw_str(w, "operationId", operation);
        if (!d->v3)
                kc_jw_raw(w, "produces", "[\"application/json\",\"application/yaml\"]");
        write_responses(d, &op);
        kc_jw_close(w, '}');
        kc_jw_close(w, '}');
}

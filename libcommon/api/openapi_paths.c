/* Paths of OpenAPI: what can be done with each resource. */
#include <string.h>

#include "api/openapi_internal.h"
#include "base/mem.h"
#include "base/str.h"

static void write_collection(struct kc_openapi_item *it, const char *path, const struct kc_resource *r)
{
        const char *middle = r->namespaced ? "Namespaced" : "";
        struct kc_openapi_operation op = {.group = r->group, .version = r->version, .kind = r->kind};
        KC_CLEANUP(kc_freep) char *collection = kc_asprintf("Collection%s", middle);
        *it = (struct kc_openapi_item){.d = it->d, .gv = it->gv, .has_namespace = r->namespaced};
        kc_openapi_open_item(it, path);
        if (r->verbs & KC_VERB_LIST) {
                op.method = "get", op.action = "list", op.on = ON_LIST, op.response = r->list_object_type->name;
                op.id = kc_openapi_operation_id(it, "list", middle, r->kind, "");
                kc_openapi_write_operation(it, &op);
        }
        if (r->verbs & KC_VERB_CREATE) {
                op.method = "post", op.action = "post", op.on = ON_POST, op.body = op.response = r->type->name;
                op.id = kc_openapi_operation_id(it, "create", middle, r->kind, "");
                kc_openapi_write_operation(it, &op);
        }
        if (r->verbs & KC_VERB_DELETECOLLECTION) {
                op.method = "delete", op.action = "deletecollection", op.on = ON_DELETECOLLECTION;
                op.body = KC_OPENAPI_META "DeleteOptions", op.response = KC_OPENAPI_META "Status";
                op.id = kc_openapi_operation_id(it, "delete", collection, r->kind, "");
                kc_openapi_write_operation(it, &op);
        }
        kc_openapi_close_item(it);
}

/* GET, PUT and PATCH, of objects and of subresources. */
static void write_object_operations(const struct kc_openapi_item *it, uint32_t verbs, struct kc_openapi_operation op,
    const char *middle, const char *kind, const char *suffix)
{
        const char *type = op.response;
        if (verbs & KC_VERB_GET) {
                op.method = "get", op.action = "get", op.on = type ? ON_GET : ON_LOG, op.body = NULL;
                op.id = kc_openapi_operation_id(it, "read", middle, kind, suffix);
                kc_openapi_write_operation(it, &op);
        }
        if (verbs & KC_VERB_UPDATE) {
                op.method = "put", op.action = "put", op.on = ON_PUT, op.body = type;
                op.id = kc_openapi_operation_id(it, "replace", middle, kind, suffix);
                kc_openapi_write_operation(it, &op);
        }
        if (verbs & KC_VERB_PATCH) {
                op.method = "patch", op.action = "patch", op.on = ON_PATCH, op.body = KC_OPENAPI_PATCH;
                op.id = kc_openapi_operation_id(it, "patch", middle, kind, suffix);
                kc_openapi_write_operation(it, &op);
        }
}

static void write_object(struct kc_openapi_item *it, const char *path, const struct kc_resource *r)
{
        const char *middle = r->namespaced ? "Namespaced" : "";
        struct kc_openapi_operation op = {
            .group = r->group, .version = r->version, .kind = r->kind, .response = r->type->name};
        *it = (struct kc_openapi_item){.d = it->d, .gv = it->gv, .has_name = true, .has_namespace = r->namespaced};
        kc_openapi_open_item(it, path);
        write_object_operations(it, r->verbs, op, middle, r->kind, "");
        if (r->verbs & KC_VERB_DELETE) {
                op.method = "delete", op.action = "delete", op.on = ON_DELETE;
                op.body = KC_OPENAPI_META "DeleteOptions",
                op.response = r->returns_deleted ? r->type->name : KC_OPENAPI_META "Status";
                op.id = kc_openapi_operation_id(it, "delete", middle, r->kind, "");
                kc_openapi_write_operation(it, &op);
        }
        kc_openapi_close_item(it);
}

/* What connects a client with something else, by the kind of its options. */
static const struct {
        const char *kind;
        unsigned on;
} connects[] = {
    {"NodeProxyOptions", ON_PROXY},
    {"PodAttachOptions", ON_ATTACH},
    {"PodExecOptions", ON_EXEC},
    {"PodPortForwardOptions", ON_PORT_FORWARD},
    {"PodProxyOptions", ON_PROXY},
    {"ServiceProxyOptions", ON_PROXY},
};

/* 0: it is a subresource of another sort. */
static unsigned connect_options(const struct kc_subresource *s)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(connects); i++)
                if (kc_streq(connects[i].kind, s->kind))
                        return connects[i].on;
        return 0;
}

/* "connectCoreV1GetNamespacedPodExec"; a proxy takes every method. */
static void write_connect(struct kc_openapi_item *it, const char *path, const struct kc_resource *r,
    const struct kc_subresource *s, const char *suffix)
{
        static const char *const methods[][2] = {{"get", "Get"}, {"post", "Post"}, {"put", "Put"}, {"delete", "Delete"},
            {"options", "Options"}, {"head", "Head"}, {"patch", "Patch"}};
        struct kc_openapi_operation op = {.group = s->group, .version = s->version, .kind = s->kind};
        op.action = "connect", op.on = connect_options(s);
        size_t n = op.on == ON_PROXY ? KC_ARRAY_LEN(methods) : 2;
        kc_openapi_open_item(it, path);
        for (size_t i = 0; i < n; i++) {
                KC_CLEANUP(kc_freep)
                char *middle = kc_asprintf("%s%s", methods[i][1], r->namespaced ? "Namespaced" : "");
                op.method = methods[i][0], op.id = kc_openapi_operation_id(it, "connect", middle, r->kind, suffix);
                kc_openapi_write_operation(it, &op);
        }
        kc_openapi_close_item(it);
}

static void write_connects(
    struct kc_openapi_item *it, const char *path, const struct kc_resource *r, const struct kc_subresource *s)
{
        *it = (struct kc_openapi_item){
            .d = it->d, .gv = it->gv, .has_name = true, .has_namespace = r->namespaced, .no_pretty = true};
        write_connect(it, path, r, s, s->name);
        if (connect_options(s) != ON_PROXY)
                return;
        KC_CLEANUP(kc_freep) char *below = kc_asprintf("%s/{path}", path);
        KC_CLEANUP(kc_freep) char *suffix = kc_asprintf("%sWithPath", s->name);
        it->has_path = true;
        write_connect(it, below, r, s, suffix);
}

static void write_subresource(
    struct kc_openapi_item *it, const char *object_path, const struct kc_resource *r, const struct kc_subresource *s)
{
        const char *middle = r->namespaced ? "Namespaced" : "";
        struct kc_openapi_operation op = {.group = s->group, .version = s->version, .kind = s->kind};
        op.response = s->type ? s->type->name : NULL;
        KC_CLEANUP(kc_freep) char *path = kc_asprintf("%s/%s", object_path, s->name);
        if (connect_options(s)) {
                write_connects(it, path, r, s);
                return;
        }
        *it = (struct kc_openapi_item){.d = it->d, .gv = it->gv, .has_name = true, .has_namespace = r->namespaced};
        kc_openapi_open_item(it, path);
        write_object_operations(it, s->verbs, op, middle, r->kind, s->name);
        if (s->verbs & KC_VERB_CREATE) {
                op.method = "post", op.action = "post", op.on = ON_POST, op.body = op.response;
                op.id = kc_openapi_operation_id(it, "create", middle, r->kind, s->name);
                kc_openapi_write_operation(it, &op);
        }
        kc_openapi_close_item(it);
}

static void write_all_namespaces(struct kc_openapi_item *it, const char *path, const struct kc_resource *r)
{
        struct kc_openapi_operation op = {.method = "get", .action = "list", .on = ON_LIST};
        op.group = r->group, op.version = r->version, op.kind = r->kind, op.response = r->list_object_type->name;
        *it = (struct kc_openapi_item){.d = it->d, .gv = it->gv};
        op.id = kc_openapi_operation_id(it, "list", "", r->kind, "ForAllNamespaces");
        kc_openapi_open_item(it, path);
        kc_openapi_write_operation(it, &op);
        kc_openapi_close_item(it);
}

/* The old form of watches, in paths of their own: of one object (suffix ""), or of many. */
static void write_watch(
    struct kc_openapi_item *it, const char *path, const struct kc_resource *r, const char *middle, const char *suffix)
{
        struct kc_openapi_operation op = {.method = "get", .action = *suffix ? "watchlist" : "watch", .on = ON_WATCH};
        op.group = r->group, op.version = r->version, op.kind = r->kind, op.response = KC_OPENAPI_META "WatchEvent";
        op.id = kc_openapi_operation_id(it, "watch", middle, r->kind, suffix);
        kc_openapi_open_item(it, path);
        kc_openapi_write_operation(it, &op);
        kc_openapi_close_item(it);
}

static void write_watches(struct kc_openapi_item *it, const char *base, const struct kc_resource *r)
{
        const char *middle = r->namespaced ? "Namespaced" : "";
        KC_CLEANUP(kc_freep)
        char *many = kc_asprintf("%s/watch/%s%s", base, r->namespaced ? "namespaces/{namespace}/" : "", r->resource);
        KC_CLEANUP(kc_freep) char *one = kc_asprintf("%s/{name}", many);
        KC_CLEANUP(kc_freep) char *everywhere = kc_asprintf("%s/watch/%s", base, r->resource);
        *it = (struct kc_openapi_item){.d = it->d, .gv = it->gv, .has_namespace = r->namespaced};
        write_watch(it, many, r, middle, "List");
        it->has_name = true;
        write_watch(it, one, r, middle, "");
        *it = (struct kc_openapi_item){.d = it->d, .gv = it->gv};
        if (r->namespaced)
                write_watch(it, everywhere, r, "", "ListForAllNamespaces");
}

void kc_openapi_paths(struct kc_openapi *d, const struct kc_group_version *gv)
{
        KC_CLEANUP(kc_freep)
        char *base =
            *gv->group ? kc_asprintf("/apis/%s/%s", gv->group, gv->version) : kc_asprintf("/api/%s", gv->version);
        struct kc_openapi_item it = {.d = d, .gv = gv};
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
                if (r->verbs & KC_VERB_WATCH)
                        write_watches(&it, base, r);
        }
}

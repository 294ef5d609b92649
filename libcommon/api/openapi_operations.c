/* One operation of OpenAPI: its parameters, bodies, answers and media types. */
#include <ctype.h>
#include <string.h>

#include "api/openapi_internal.h"
#include "base/mem.h"
#include "base/str.h"

static const struct {
        const char *name, *type;
        unsigned on;
        const char *doc;
} parameters[] = {
    {"allowWatchBookmarks", "boolean", ON_STREAM, "Send BOOKMARK events while watching."},
    {"command", "string", ON_EXEC, "What to run, with its arguments."},
    {"container", "string", ON_LOG | ON_ATTACH | ON_EXEC,
        "Container that is meant; may be left out when the pod has only one."},
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
    {"path", "string", ON_PROXY, "Path of the request that is passed on."},
    {"ports", "integer", ON_PORT_FORWARD, "Ports to forward."},
    {"previous", "boolean", ON_LOG, "The log of the container that ran before."},
    {"propagationPolicy", "string", ON_REMOVE, "Orphan, Background or Foreground: what happens to dependents."},
    {"resourceVersion", "string", ON_SELECT, "What the data must at least, or exactly, reflect."},
    {"resourceVersionMatch", "string", ON_SELECT, "NotOlderThan or Exact: what resourceVersion means."},
    {"sendInitialEvents", "boolean", ON_SELECT, "Begin the watch with the objects that exist."},
    {"shardSelector", "string", ON_SELECT, "Only the objects of a shard."},
    {"sinceSeconds", "integer", ON_LOG, "Only lines of the last so many seconds."},
    {"stderr", "boolean", ON_ATTACH | ON_EXEC, "Send the standard error."},
    {"stdin", "boolean", ON_ATTACH | ON_EXEC, "Pass the standard input."},
    {"stdout", "boolean", ON_ATTACH | ON_EXEC, "Send the standard output."},
    {"stream", "string", ON_LOG, "All, Stdout or Stderr."},
    {"tailLines", "integer", ON_LOG, "Only so many lines from the end."},
    {"timeoutSeconds", "integer", ON_SELECT, "End the call after so many seconds."},
    {"timestamps", "boolean", ON_LOG, "Begin each line with its time."},
    {"tty", "boolean", ON_ATTACH | ON_EXEC, "Use a terminal."},
    {"watch", "boolean", ON_STREAM, "Stream changes instead of a list."},
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
char *kc_openapi_operation_id(
    const struct kc_openapi_item *it, const char *verb, const char *middle, const char *kind, const char *suffix)
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

static void write_body(struct kc_openapi *d, const struct kc_openapi_operation *op)
{
        static const char *const patch_types[] = {"application/json-patch+json", "application/merge-patch+json",
            "application/strategic-merge-patch+json", "application/apply-patch+yaml"};
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

static void write_body_parameter(struct kc_openapi *d, const struct kc_openapi_operation *op)
{
        kc_jw_open(&d->w, NULL, '{');
        kc_jw_str(&d->w, "name", "body");
        kc_jw_str(&d->w, "in", "body");
        if (!(op->on & ON_REMOVE))
                kc_jw_bool(&d->w, "required", true);
        kc_openapi_ref(d, "schema", op->body);
        kc_jw_close(&d->w, '}');
}

static void write_operation_parameters(struct kc_openapi *d, const struct kc_openapi_operation *op)
{
        kc_jw_open(&d->w, "parameters", '[');
        if (!d->v3 && op->body)
                write_body_parameter(d, op);
        for (size_t i = 0; i < KC_ARRAY_LEN(parameters); i++)
                if (parameters[i].on & op->on)
                        write_parameter(d, parameters[i].name, "query", parameters[i].type, parameters[i].doc);
        kc_jw_close(&d->w, ']');
}

/* What an operation answers in, by how many of them apply. */
static const char *const objects[] = {"application/json", "application/yaml", "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"};
enum { N_OBJECT = 3, N_STREAM = 5 };

static void write_content(struct kc_openapi *d, const struct kc_openapi_operation *op)
{
        struct kc_jw *w = &d->w;
        size_t n = op->on & ON_STREAM ? N_STREAM : N_OBJECT;
        kc_jw_open(w, "content", '{');
        for (size_t i = 0; op->response && i < n; i++) {
                kc_jw_open(w, objects[i], '{');
                kc_openapi_ref(d, "schema", op->response);
                kc_jw_close(w, '}');
        }
        if (!op->response)
                kc_jw_raw(w, op->on & ON_CONNECT ? "*/*" : "text/plain", "{\"schema\":{\"type\":\"string\"}}");
        kc_jw_close(w, '}');
}

static void write_response(
    struct kc_openapi *d, const char *code, const char *doc, const struct kc_openapi_operation *op)
{
        struct kc_jw *w = &d->w;
        kc_jw_open(w, code, '{');
        kc_jw_str(w, "description", doc);
        if (d->v3)
                write_content(d, op);
        else if (op->response)
                kc_openapi_ref(d, "schema", op->response);
        else
                kc_jw_raw(w, "schema", "{\"type\":\"string\"}");
        kc_jw_close(w, '}');
}

static void write_responses(struct kc_openapi *d, const struct kc_openapi_operation *op)
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

static void write_media(struct kc_jw *w, const struct kc_openapi_operation *op)
{
        kc_jw_raw(w, "consumes",
            op->on == ON_PATCH ? "[\"application/json-patch+json\",\"application/merge-patch+json\","
                                 "\"application/strategic-merge-patch+json\",\"application/apply-patch+yaml\"]"
                               : "[\"*/*\"]");
        kc_jw_open(w, "produces", '[');
        if (op->on == ON_LOG)
                kc_jw_str(w, NULL, "text/plain");
        if (op->on & ON_CONNECT)
                kc_jw_str(w, NULL, "*/*");
        else
                for (size_t i = 0; i < (size_t)(op->on & ON_STREAM ? N_STREAM : N_OBJECT); i++)
                        kc_jw_str(w, NULL, objects[i]);
        kc_jw_close(w, ']');
}

void kc_openapi_write_operation(const struct kc_openapi_item *it, const struct kc_openapi_operation *op)
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
        if (!d->v3)
                write_media(w, op);
        write_operation_parameters(d, op);
        if (d->v3 && op->body)
                write_body(d, op);
        write_responses(d, op);
        kc_jw_str(w, "x-kubernetes-action", op->action);
        kc_openapi_gvk(w, "x-kubernetes-group-version-kind", op->group, op->version, op->kind);
        kc_jw_close(w, '}');
        kc_free(op->id);
}

void kc_openapi_open_item(struct kc_openapi_item *it, const char *path)
{
        kc_jw_open(&it->d->w, path, '{');
}

void kc_openapi_close_item(const struct kc_openapi_item *it)
{
        struct kc_jw *w = &it->d->w;
        kc_jw_open(w, "parameters", '[');
        if (it->has_name)
                write_parameter(it->d, "name", "path", "string", "Name of the object.");
        if (it->has_namespace)
                write_parameter(it->d, "namespace", "path", "string", "Namespace of the object.");
        if (it->has_path)
                write_parameter(it->d, "path", "path", "string", "Path of the request that is passed on.");
        if (!it->no_pretty)
                write_parameter(it->d, "pretty", "query", "string", "\"true\": indent the answer.");
        kc_jw_close(w, ']');
        kc_jw_close(w, '}');
}

void kc_openapi_plain_path(struct kc_openapi *d, const struct kc_openapi_plain *p)
{
        struct kc_jw *w = &d->w;
        const struct kc_openapi_operation op = {.response = p->type};
        kc_jw_open(w, p->path, '{');
        kc_jw_open(w, "get", '{');
        kc_jw_open(w, "tags", '[');
        kc_jw_str(w, NULL, p->tag);
        kc_jw_close(w, ']');
        kc_jw_str(w, "description", "What is served here.");
        kc_jw_str(w, "operationId", p->id);
        if (!d->v3 && p->consumes)
                kc_jw_raw(w, "consumes", p->consumes);
        if (!d->v3)
                kc_jw_raw(w, "produces", p->produces);
        write_responses(d, &op);
        kc_jw_close(w, '}');
        kc_jw_close(w, '}');
}

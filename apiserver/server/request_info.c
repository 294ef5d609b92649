/* What a request's path and method mean: request.RequestInfoFactory of upstream. Pure: any thread. */
#include <errno.h>
#include <string.h>

#include "api/selector.h"
#include "base/encode.h"
#include "base/str.h"
#include "server/request.h"

enum { INFO_MAX_PARTS = 64 };

/* Parts between slashes, without slashes at the ends. */
static char **split_path(const char *path)
{
        while (*path == '/')
                path++;
        size_t len = strlen(path);
        while (len > 0 && path[len - 1] == '/')
                len--;
        KC_CLEANUP(kc_freep) char *trimmed = kc_strndup(path, len);
        return kc_strv_split(trimmed, '/');
}

static const char *verb_of(const char *method)
{
        static const struct {
                const char *method, *verb;
        } verbs[] = {{"POST", "create"}, {"GET", "get"}, {"HEAD", "get"}, {"PUT", "update"}, {"PATCH", "patch"},
            {"DELETE", "delete"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(verbs); i++)
                if (strcmp(verbs[i].method, method) == 0)
                        return verbs[i].verb;
        return "";
}

/* Non-resource requests are named by the method. */
static const char *method_verb(const char *method)
{
        static const struct {
                const char *method, *verb;
        } verbs[] = {{"GET", "get"}, {"POST", "post"}, {"PUT", "put"}, {"PATCH", "patch"}, {"DELETE", "delete"},
            {"HEAD", "head"}, {"OPTIONS", "options"}, {"CONNECT", "connect"}, {"TRACE", "trace"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(verbs); i++)
                if (strcmp(verbs[i].method, method) == 0)
                        return verbs[i].verb;
        return "";
}

/* A get without a name is a list or a watch; a delete without one is of the collection. */
static void refine_verb(const char *query, struct req_info *ret)
{
        if (ret->name[0])
                return;
        if (strcmp(ret->verb, "delete") == 0)
                ret->verb = "deletecollection";
        if (strcmp(ret->verb, "get") != 0 && strcmp(ret->verb, "watch") != 0)
                return;
        if (strcmp(ret->verb, "get") == 0)
                ret->verb = kc_query_bool(query, "watch", false) ? "watch" : "list";
        /* A list of one object is authorized by its name. */
        KC_CLEANUP(kc_freep) char *text = kc_query_get(query, "fieldSelector");
        KC_CLEANUP(kc_field_selector_freep) struct kc_field_selector *selector = NULL;
        if (!text || kc_field_selector_parse(text, &selector, NULL) < 0)
                return;
        const char *name = kc_field_selector_requires(selector, "metadata.name");
        if (name && name[0] && !strchr(name, '/'))
                kc_str_set(&ret->name, name);
}

/* p: the parts behind the version. */
static void parse_resource(char *const *p, const char *method, struct req_info *ret)
{
        ret->verb = verb_of(method);
        if (p[0] && (strcmp(p[0], "watch") == 0 || strcmp(p[0], "proxy") == 0) && p[1]) {
                ret->verb = strcmp(p[0], "watch") == 0 ? "watch" : "proxy";
                p++;
        }
        if (p[0] && strcmp(p[0], "namespaces") == 0 && p[1]) {
                kc_str_set(&ret->ns, p[1]);
                /* A subresource of the namespace itself, or something in it. */
                if (p[2] && strcmp(p[2], "status") != 0 && strcmp(p[2], "finalize") != 0)
                        p += 2;
                else
                        ret->is_own_namespace = true;
        }
        ret->parts = kc_strv_copy(p);
        size_t n = kc_strv_len(p);
        if (n >= 3 && strcmp(ret->verb, "proxy") != 0)
                kc_str_set(&ret->subresource, p[2]);
        if (n >= 2)
                kc_str_set(&ret->name, p[1]);
        if (n >= 1)
                kc_str_set(&ret->resource, p[0]);
}

int req_info_parse(const char *method, const char *path, const char *query, struct req_info *ret)
{
        *ret = (struct req_info){.verb = method_verb(method)};
        char **const strings[] = {&ret->group, &ret->version, &ret->ns, &ret->resource, &ret->subresource, &ret->name};
        for (size_t i = 0; i < KC_ARRAY_LEN(strings); i++)
                kc_str_set(strings[i], "");
        if (kc_url_unescape(path, strlen(path), false, &ret->path) < 0) {
                kc_str_set(&ret->path, path);
                return -EINVAL;
        }
        /* Left out of the query, a selector with a NUL would select everything. */
        if (query && strstr(query, "%00"))
                return -EINVAL;
        KC_CLEANUP(kc_strv_freep) char **parts = split_path(ret->path);
        size_t n = kc_strv_len(parts);
        if (n < 3 || n > INFO_MAX_PARTS)
                return 0;
        char **p = parts;
        if (strcmp(p[0], "apis") == 0) {
                if (n < 4)
                        return 0;
                kc_str_set(&ret->group, p[1]);
                p += 2;
        } else if (strcmp(p[0], "api") == 0) {
                p += 1;
        } else {
                return 0;
        }
        ret->is_resource = true;
        kc_str_set(&ret->version, p[0]);
        parse_resource(p + 1, method, ret);
        refine_verb(query, ret);
        return 0;
}

void req_info_done(struct req_info *i)
{
        char *const strings[] = {i->path, i->group, i->version, i->ns, i->resource, i->subresource, i->name};
        for (size_t k = 0; k < KC_ARRAY_LEN(strings); k++)
                kc_free(strings[k]);
        kc_strv_free(i->parts);
        *i = (struct req_info){0};
}

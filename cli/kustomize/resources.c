/* Resources of a build: who they are and were, which are meant, in which order they come. Any thread. */
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "api/schema.h"
#include "api/selector.h"
#include "base/str.h"
#include "cli/kustomize/kustomize_internal.h"

static void resource_free(struct kustomize_resource *r)
{
        kc_json_free(r->obj);
        for (size_t i = 0; i < r->n_ids; i++) {
                kc_free(r->ids[i].kind);
                kc_free(r->ids[i].ns);
                kc_free(r->ids[i].name);
        }
        kc_free(r->ids);
        kc_strv_free(r->prefixes);
        kc_strv_free(r->suffixes);
        kc_free(r);
}

void kustomize_resources_done(struct kustomize_resources *r)
{
        for (size_t i = 0; i < r->n; i++)
                resource_free(r->v[i]);
        kc_free(r->v);
        *r = (struct kustomize_resources){0};
}

void kustomize_resources_remove(struct kustomize_resources *r, size_t i)
{
        resource_free(r->v[i]);
        memmove(&r->v[i], &r->v[i + 1], (r->n - i - 1) * sizeof(struct kustomize_resource *));
        r->n--;
}

/* --- identities */

static const char *or_empty(const char *s)
{
        return s ? s : "";
}

const char *kustomize_resource_name(const struct kustomize_resource *r)
{
        return or_empty(kc_json_str_at(r->obj, "metadata.name"));
}

const char *kustomize_resource_namespace(const struct kustomize_resource *r)
{
        return or_empty(kc_json_str_at(r->obj, "metadata.namespace"));
}

const char *kustomize_resource_kind(const struct kustomize_resource *r)
{
        return or_empty(kc_json_str(r->obj, "kind"));
}

void kustomize_resource_remember(struct kustomize_resource *r)
{
        r->ids = kc_reallocarray(r->ids, r->n_ids + 1, sizeof(*r->ids));
        r->ids[r->n_ids++] = (struct kustomize_id){.kind = kc_strdup(kustomize_resource_kind(r)),
            .ns = kc_strdup(kustomize_resource_namespace(r)),
            .name = kc_strdup(kustomize_resource_name(r))};
}

static const struct kc_resource *known_kind(const struct json_object *obj)
{
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        kc_api_version_split(or_empty(kc_json_str(obj, "apiVersion")), &group, &version);
        return kc_schema_kind(group, version, or_empty(kc_json_str(obj, "kind")));
}

bool kustomize_resource_is_cluster_scoped(const struct kustomize_resource *r)
{
        const struct kc_resource *known = known_kind(r->obj);
        return known && !known->namespaced;
}

char *kustomize_resource_id_text(const struct json_object *obj)
{
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        kc_api_version_split(or_empty(kc_json_str(obj, "apiVersion")), &group, &version);
        const char *ns = kc_json_str_at(obj, "metadata.namespace");
        return kc_asprintf("%s.%s.%s/%s.%s", or_empty(kc_json_str(obj, "kind")), version[0] ? version : "[noVer]",
            group[0] ? group : "[noGrp]", or_empty(kc_json_str_at(obj, "metadata.name")),
            kc_str_empty(ns) ? "[noNs]" : ns);
}

static const char *effective(const char *ns)
{
        return kc_str_empty(ns) ? "default" : ns;
}

static bool id_is(const char *kind, const char *ns, const char *name, const char *want_kind, const char *want_ns,
    const char *want_name)
{
        return (!want_kind || kc_streq(kind, want_kind)) && kc_streq(name, want_name) &&
               (!want_ns || kc_streq(effective(ns), effective(want_ns)));
}

bool kustomize_resource_was(const struct kustomize_resource *r, const char *kind, const char *ns, const char *name)
{
        for (size_t i = 0; i < r->n_ids; i++)
                if (id_is(r->ids[i].kind, r->ids[i].ns, r->ids[i].name, kind, ns, name))
                        return true;
        return id_is(
            kustomize_resource_kind(r), kustomize_resource_namespace(r), kustomize_resource_name(r), kind, ns, name);
}

static bool same_now(const struct json_object *a, const struct json_object *b)
{
        KC_CLEANUP(kc_freep) char *a_text = kustomize_resource_id_text(a);
        KC_CLEANUP(kc_freep) char *b_text = kustomize_resource_id_text(b);
        return kc_streq(a_text, b_text);
}

static void push(struct kustomize_resources *r, struct kustomize_resource *x)
{
        if (r->n == r->cap) {
                r->cap = r->cap ? 2 * r->cap : 16;
                r->v = kc_reallocarray(r->v, r->cap, sizeof(struct kustomize_resource *));
        }
        r->v[r->n++] = x;
}

static int check_new(const struct kustomize_resources *r, const struct json_object *obj, struct kc_error *err)
{
        for (size_t i = 0; i < r->n; i++)
                if (same_now(r->v[i]->obj, obj)) {
                        KC_CLEANUP(kc_freep) char *text = kustomize_resource_id_text(obj);
                        return kc_error_set(
                            err, EEXIST, "may not add resource with an already registered id: %s", text);
                }
        return 0;
}

int kustomize_resources_add(
    struct kustomize_resources *r, struct json_object *take_obj, struct kustomize_resource **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *obj = take_obj;
        int e = check_new(r, obj, err);
        if (e < 0)
                return e;
        struct kustomize_resource *x = KC_NEW(struct kustomize_resource);
        x->obj = KC_TAKE(obj);
        push(r, x);
        if (ret)
                *ret = x;
        return 0;
}

int kustomize_resources_merge(struct kustomize_resources *into, struct kustomize_resources *from, struct kc_error *err)
{
        for (size_t i = 0; i < from->n; i++) {
                int e = check_new(into, from->v[i]->obj, err);
                if (e < 0)
                        return e;
        }
        for (size_t i = 0; i < from->n; i++)
                push(into, from->v[i]);
        from->n = 0;
        return 0;
}

/* --- selectors */

/* The whole text, as ^(?:pattern)$ of Go. */
static int matches(const char *pattern, const char *text, bool *ret, struct kc_error *err)
{
        regex_t re;
        *ret = true;
        if (kc_str_empty(pattern))
                return 0;
        KC_CLEANUP(kc_freep) char *anchored = kc_asprintf("^(%s)$", pattern);
        if (regcomp(&re, anchored, REG_EXTENDED | REG_NOSUB) != 0)
                return kc_error_set(err, EINVAL, "error parsing regexp: \"%s\"", pattern);
        *ret = regexec(&re, text, 0, NULL, 0) == 0;
        regfree(&re);
        return 0;
}

static int label_matches(const struct json_object *labels, const char *selector, bool *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = NULL;
        *ret = true;
        if (kc_str_empty(selector))
                return 0;
        int e = kc_selector_parse(selector, &s, err);
        if (e == 0)
                *ret = kc_selector_matches(s, labels);
        return e;
}

/* Some identity of it has that name and namespace. */
static int id_selected(
    const struct kustomize_resource *r, const struct json_object *selector, bool *ret, struct kc_error *err)
{
        const char *kind = kc_json_str(selector, "kind"), *ns = kc_json_str(selector, "namespace"),
                   *name = kc_json_str(selector, "name");
        *ret = false;
        for (size_t i = 0; i <= r->n_ids && !*ret; i++) {
                bool now = i == r->n_ids, kind_ok, ns_ok, name_ok;
                int e = matches(kind, now ? kustomize_resource_kind(r) : r->ids[i].kind, &kind_ok, err);
                if (e == 0)
                        e = matches(ns, now ? kustomize_resource_namespace(r) : r->ids[i].ns, &ns_ok, err);
                if (e == 0)
                        e = matches(name, now ? kustomize_resource_name(r) : r->ids[i].name, &name_ok, err);
                if (e < 0)
                        return e;
                *ret = kind_ok && ns_ok && name_ok;
        }
        return 0;
}

int kustomize_resource_selected(
    const struct kustomize_resource *r, const struct json_object *selector, bool *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        bool id, group_ok, version_ok, labels_ok, annotations_ok;
        kc_api_version_split(or_empty(kc_json_str(r->obj, "apiVersion")), &group, &version);
        *ret = true;
        if (!selector)
                return 0;
        int e = id_selected(r, selector, &id, err);
        if (e == 0)
                e = matches(kc_json_str(selector, "group"), group, &group_ok, err);
        if (e == 0)
                e = matches(kc_json_str(selector, "version"), version, &version_ok, err);
        if (e == 0)
                e = label_matches(
                    kc_json_at(r->obj, "metadata.labels"), kc_json_str(selector, "labelSelector"), &labels_ok, err);
        if (e == 0)
                e = label_matches(kc_json_at(r->obj, "metadata.annotations"),
                    kc_json_str(selector, "annotationSelector"), &annotations_ok, err);
        if (e == 0)
                *ret = id && group_ok && version_ok && labels_ok && annotations_ok;
        return e;
}

/* --- order */

static int rank(const char *kind)
{
        static const char *const first[] = {"Namespace", "ResourceQuota", "StorageClass", "CustomResourceDefinition",
            "ServiceAccount", "PodSecurityPolicy", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding",
            "ConfigMap", "Secret", "Endpoints", "Service", "LimitRange", "PriorityClass", "PersistentVolume",
            "PersistentVolumeClaim", "Deployment", "StatefulSet", "CronJob", "PodDisruptionBudget"};
        static const char *const last[] = {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"};
        for (size_t i = 0; i < KC_ARRAY_LEN(first); i++)
                if (strcmp(first[i], kind) == 0)
                        return (int)i - (int)KC_ARRAY_LEN(first);
        for (size_t i = 0; i < KC_ARRAY_LEN(last); i++)
                if (strcmp(last[i], kind) == 0)
                        return (int)i + 1;
        return 0;
}

/* Kinds of the same rank by group, version and kind, then by namespace and name. */
static char *sort_text(const struct json_object *obj)
{
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        kc_api_version_split(or_empty(kc_json_str(obj, "apiVersion")), &group, &version);
        const char *ns = kc_json_str_at(obj, "metadata.namespace");
        return kc_asprintf("%s~%s~%s|%s|%s", group[0] ? group : "~G", version[0] ? version : "~V",
            or_empty(kc_json_str(obj, "kind")), kc_str_empty(ns) ? "~X" : ns,
            or_empty(kc_json_str_at(obj, "metadata.name")));
}

static int compare(const void *a, const void *b)
{
        const struct json_object *x = (*(struct kustomize_resource *const *)a)->obj,
                                 *y = (*(struct kustomize_resource *const *)b)->obj;
        const char *x_kind = or_empty(kc_json_str(x, "kind")), *y_kind = or_empty(kc_json_str(y, "kind"));
        int by_rank = rank(x_kind) - rank(y_kind);
        if (by_rank != 0)
                return by_rank;
        KC_CLEANUP(kc_freep) char *x_text = sort_text(x);
        KC_CLEANUP(kc_freep) char *y_text = sort_text(y);
        return strcmp(x_text, y_text);
}

void kustomize_resources_sort(struct kustomize_resources *r)
{
        if (r->n > 1)
                qsort(r->v, r->n, sizeof(struct kustomize_resource *), compare);
}

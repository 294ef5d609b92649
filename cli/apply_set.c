/* kubec apply --applyset. Main thread. */
#include "cli/apply_set.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/encode.h"
#include "base/str.h"
#include "daemon/health.h"
#include "tls/tls.h"

#define LABEL_ID "applyset.kubernetes.io/id"
#define LABEL_PART "applyset.kubernetes.io/part-of"
#define ANNOTATION_TOOLING "applyset.kubernetes.io/tooling"
#define ANNOTATION_KINDS "applyset.kubernetes.io/contains-group-kinds"
#define ANNOTATION_NAMESPACES "applyset.kubernetes.io/additional-namespaces"
/* Sets are kubectl's and ours alike. */
#define TOOL "kubectl"

void kc_apply_set_done(struct kc_apply_set *s)
{
        kc_free(s->ns);
        kc_free(s->name);
        kc_free(s->id);
        kc_strv_free(s->kinds);
        kc_strv_free(s->namespaces);
        kc_strv_free(s->new_kinds);
        kc_strv_free(s->new_namespaces);
}

/* --- the parent */

static char *make_id(const struct kc_apply_set *s)
{
        KC_CLEANUP(kc_freep)
        char *text = kc_asprintf("%s.%s.%s.%s", s->name, s->ns ? s->ns : "", s->res->kind, s->res->group);
        unsigned char digest[32];
        kc_sha256(text, strlen(text), digest);
        KC_CLEANUP(kc_freep) char *encoded = kc_base64url_encode(digest, sizeof(digest));
        return kc_asprintf("applyset-%s-v1", encoded);
}

static int find_parent(struct kc_cli *c, const char *parent, struct kc_apply_set *s, struct kc_error *err)
{
        struct kc_resource_map *map;
        const char *slash = strchr(parent, '/');
        KC_CLEANUP(kc_freep) char *type = slash ? kc_strndup(parent, (size_t)(slash - parent)) : kc_strdup("secrets");
        s->name = kc_strdup(slash ? slash + 1 : parent);
        int e = kc_cli_map(c, &map, err);
        if (e < 0)
                return e;
        if (kc_resource_map_find(map, type, &s->res, NULL) < 0)
                return kc_error_set(
                    err, ENOENT, "invalid parent reference \"%s\": no matches for /, Resource=%s", parent, type);
        if (!s->name[0] || strchr(s->name, '/'))
                return kc_error_set(err, EINVAL, "invalid parent reference \"%s\": a name is needed", parent);
        if (s->res->namespaced && !kc_cli_namespace_given(c))
                return kc_error_set(err, EINVAL, "namespace is required to use namespace-scoped ApplySet");
        if (s->res->group[0] ||
            (strcmp(s->res->resource, "secrets") != 0 && strcmp(s->res->resource, "configmaps") != 0))
                return kc_error_set(err, EINVAL,
                    "resource \"%s/%s, Resource=%s\" is not permitted as an ApplySet parent", s->res->group,
                    s->res->version, s->res->resource);
        s->ns = kc_strdup(s->res->namespaced ? c->ns : NULL);
        s->id = make_id(s);
        return 0;
}

static void split_into(const char *text, char ***v)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(text ? text : "", ',');
        for (char **p = parts; *p; p++)
                if ((*p)[0] && !kc_strv_has(*v, *p))
                        kc_strv_push(v, *p);
}

static int check_parent(const struct kc_apply_set *s, const struct json_object *obj, struct kc_error *err)
{
        const char *tooling = kc_meta_annotation(obj, ANNOTATION_TOOLING);
        const char *id = kc_json_str(kc_json_at(obj, "metadata.labels"), LABEL_ID);
        KC_CLEANUP(kc_freep) char *who = kc_asprintf("%s.%s/%s", s->res->resource, s->res->group, s->name);
        if (!tooling)
                return kc_error_set(err, EINVAL,
                    "ApplySet parent object \"%s\" already exists and is missing required annotation \"%s\"", who,
                    ANNOTATION_TOOLING);
        if (!kc_str_has_prefix(tooling, TOOL "/"))
                return kc_error_set(err, EINVAL,
                    "ApplySet parent object \"%s\" already exists and is managed by tooling \"%s\" instead of \"%s\"",
                    who, tooling, TOOL);
        if (!id)
                return kc_error_set(err, EINVAL,
                    "ApplySet parent object \"%s\" exists and does not have required label %s", who, LABEL_ID);
        if (!kc_streq(id, s->id))
                return kc_error_set(err, EINVAL,
                    "ApplySet parent object \"%s\" exists and has incorrect value for label \"%s\" (got: %s, want: %s)",
                    who, LABEL_ID, id, s->id);
        return 0;
}

int kc_apply_set_open(struct kc_cli *c, const char *parent, struct kc_apply_set *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *obj = NULL;
        int e = find_parent(c, parent, ret, err);
        if (e < 0)
                return e;
        e = kc_cli_get(c, ret->res, ret->ns, ret->name, &obj, err);
        if (e < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        if (e == 0)
                e = check_parent(ret, obj, err);
        if (e < 0)
                return e;
        split_into(kc_meta_annotation(obj, ANNOTATION_KINDS), &ret->kinds);
        split_into(kc_meta_annotation(obj, ANNOTATION_NAMESPACES), &ret->namespaces);
        return 0;
}

static int write_parent(struct kc_cli *c, const struct kc_write *w, const struct kc_apply_set *s, char **kinds,
    char **namespaces, struct kc_error *err)
{
        if (w->dry_run == KC_DRY_RUN_CLIENT)
                return 0;
        kc_strv_sort(kinds);
        kc_strv_sort(namespaces);
        KC_CLEANUP(kc_freep) char *kind_list = kinds ? kc_strv_join(kinds, ",") : kc_strdup("");
        KC_CLEANUP(kc_freep) char *namespace_list = namespaces ? kc_strv_join(namespaces, ",") : kc_strdup("");
        KC_CLEANUP(kc_json_freep)
        struct json_object *body = kc_json_build("{'apiVersion':%s,'kind':%s,'metadata':{'name':%s,'namespace':%s,'"
                                                 "labels':{%s:%s},'annotations':{%s:%s,%s:%s,%s:%s}}}",
            s->res->version, s->res->kind, s->name, s->ns, LABEL_ID, s->id, ANNOTATION_TOOLING,
            TOOL "/" KC_KUBE_VERSION, ANNOTATION_KINDS, kind_list, ANNOTATION_NAMESPACES, namespace_list);
        /* A name of its own, whatever --field-manager says: what the set knows is not the user's. */
        struct kc_write own = {.dry_run = w->dry_run};
        struct kc_write_request r = {.method = "PATCH",
            .content_type = KC_PATCH_APPLY,
            .res = s->res,
            .ns = s->ns,
            .name = s->name,
            .default_manager = "kubectl-applyset",
            .validated = true,
            .body = body};
        return kc_write_send(c, &own, &r, NULL, err);
}

/* --- members */

static char *kind_text(const struct kc_api_resource *r)
{
        return r->group[0] ? kc_asprintf("%s.%s", r->kind, r->group) : kc_strdup(r->kind);
}

int kc_apply_set_begin(
    struct kc_cli *c, const struct kc_write *w, struct kc_apply_set *s, struct kc_manifests *all, struct kc_error *err)
{
        for (size_t i = 0; i < all->n; i++) {
                struct kc_manifest *m = &all->v[i];
                KC_CLEANUP(kc_freep) char *kind = kind_text(m->res);
                split_into(kind, &s->new_kinds);
                if (m->ns && !kc_streq(m->ns, s->ns))
                        split_into(m->ns, &s->new_namespaces);
                kc_json_set_str(
                    kc_json_ensure_obj(kc_json_ensure_obj(m->obj, "metadata"), "labels"), LABEL_PART, s->id);
        }
        for (char **k = s->new_kinds; k && *k; k++)
                split_into(*k, &s->kinds);
        for (char **n = s->new_namespaces; n && *n; n++)
                split_into(*n, &s->namespaces);
        return write_parent(c, w, s, s->kinds, s->namespaces, err);
}

static int prune_kind(struct kc_cli *c, struct kc_write *w, struct kc_apply_set *s, const char *kind,
    const struct kc_apply_prune_options *o, const struct kc_apply_visited *visited, struct kc_error *err)
{
        struct kc_resource_map *map;
        const char *dot = strchr(kind, '.');
        KC_CLEANUP(kc_freep) char *selector = kc_asprintf("%s=%s", LABEL_PART, s->id);
        KC_CLEANUP(kc_freep) char *name = dot ? kc_strndup(kind, (size_t)(dot - kind)) : kc_strdup(kind);
        int e = kc_cli_map(c, &map, err);
        if (e < 0)
                return e;
        const struct kc_api_resource *res = NULL;
        for (size_t i = 0; i < map->n && !res; i++)
                if (map->v[i].preferred && kc_streq(map->v[i].kind, name) &&
                    kc_streq(map->v[i].group, dot ? dot + 1 : ""))
                        res = &map->v[i];
        if (!res)
                return kc_error_set(err, ENOENT,
                    "could not find mapping for kind in \"%s\" annotation: no matches for "
                    "kind \"%s\" in group \"%s\"",
                    ANNOTATION_KINDS, name, dot ? dot + 1 : "");
        if (!res->namespaced)
                return kc_apply_prune_kind(c, w, o, res, NULL, selector, visited, err);
        e = s->ns ? kc_apply_prune_kind(c, w, o, res, s->ns, selector, visited, err) : 0;
        for (char **n = s->namespaces; e == 0 && n && *n; n++)
                e = kc_apply_prune_kind(c, w, o, res, *n, selector, visited, err);
        return e;
}

int kc_apply_set_end(struct kc_cli *c, struct kc_write *w, struct kc_apply_set *s,
    const struct kc_apply_prune_options *o, const struct kc_apply_visited *visited, struct kc_error *err)
{
        int e = 0;
        for (char **k = s->kinds; e == 0 && k && *k; k++)
                e = prune_kind(c, w, s, *k, o, visited, err);
        return e < 0 ? e : write_parent(c, w, s, s->new_kinds, s->new_namespaces, err);
}

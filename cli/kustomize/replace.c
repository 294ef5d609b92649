/* replacements, vars. Any thread. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cli/kustomize/kustomize_internal.h"
#include "json/yaml.h"

/* --- paths: "spec.containers.[name=web].env.0.value", "\." is a dot of a key, "*" each element */

static char **split_path(const char *path)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        char **segments = NULL;
        bool in_brackets = false;
        for (const char *p = path;; p++) {
                if (*p == '\\' && p[1] == '.') {
                        kc_buf_addc(&b, *++p);
                        continue;
                }
                /* Vars write ports[0] for ports.0. */
                if (*p == '[' && p[1] >= '0' && p[1] <= '9' && b.len > 0) {
                        kc_strv_push(&segments, kc_buf_str(&b));
                        kc_buf_reset(&b);
                        kc_buf_add(&b, p + 1, strspn(p + 1, "0123456789"));
                        p += strcspn(p, "]");
                        continue;
                }
                if (!*p || (*p == '.' && !in_brackets)) {
                        kc_strv_push(&segments, kc_buf_str(&b));
                        kc_buf_reset(&b);
                        if (!*p)
                                return segments;
                        continue;
                }
                in_brackets = *p == '[' || (in_brackets && *p != ']');
                kc_buf_addc(&b, *p);
        }
}

/* A place in a tree: of an object by key, of an array by index. */
struct place {
        struct json_object *parent;
        char *key; /* NULL: index */
        size_t index;
};
struct places {
        struct place *v;
        size_t n;
};

static void places_done(struct places *l)
{
        for (size_t i = 0; i < l->n; i++)
                kc_free(l->v[i].key);
        kc_free(l->v);
}

static void add_place(struct places *l, struct json_object *parent, const char *key, size_t index)
{
        l->v = kc_reallocarray(l->v, l->n + 1, sizeof(*l->v));
        l->v[l->n++] = (struct place){.parent = parent, .key = kc_strdup(key), .index = index};
}

static struct json_object *at_place(const struct place *p)
{
        return p->key ? kc_json_get_mut(p->parent, p->key) : kc_json_idx_mut(p->parent, p->index);
}

/* "[name=web]", "3", "*" */
static bool element_matches(const struct json_object *element, size_t i, const char *segment)
{
        int64_t number;
        if (strcmp(segment, "*") == 0)
                return true;
        if (kc_str_to_i64(segment, &number) == 0)
                return number >= 0 && (size_t)number == i;
        const char *eq = strchr(segment, '=');
        if (segment[0] != '[' || !eq)
                return false;
        KC_CLEANUP(kc_freep) char *key = kc_strndup(segment + 1, (size_t)(eq - segment - 1));
        KC_CLEANUP(kc_freep) char *value = kc_strndup(eq + 1, strcspn(eq + 1, "]"));
        const struct json_object *v = key[0] ? kc_json_get(element, key) : element;
        KC_CLEANUP(kc_freep) char *text = kc_json_as_str(v) ? kc_strdup(kc_json_as_str(v)) : kc_json_to_str(v);
        return kc_streq(text, value);
}

static void find_places(struct json_object *o, char *const *segments, bool create, struct places *ret)
{
        if (!segments[0])
                return;
        struct places here = {0};
        if (kc_json_is_arr(o)) {
                for (size_t i = 0; i < kc_json_len(o); i++)
                        if (element_matches(kc_json_idx(o, i), i, segments[0]))
                                add_place(&here, o, NULL, i);
        } else if (kc_json_is_obj(o) && strcmp(segments[0], "*") == 0) {
                KC_JSON_FOREACH(o, key, val)
                {
                        (void)val;
                        add_place(&here, o, key, 0);
                }
        } else if (kc_json_is_obj(o) && (create || kc_json_get(o, segments[0]))) {
                add_place(&here, o, segments[0], 0);
        }
        for (size_t i = 0; i < here.n; i++) {
                if (!segments[1]) {
                        add_place(ret, here.v[i].parent, here.v[i].key, here.v[i].index);
                        continue;
                }
                if (!at_place(&here.v[i]) && here.v[i].key)
                        kc_json_set(here.v[i].parent, here.v[i].key, json_object_new_object());
                find_places(at_place(&here.v[i]), segments + 1, create, ret);
        }
        places_done(&here);
}

/* --- values */

static char *text_of(const struct json_object *v)
{
        return kc_json_as_str(v) ? kc_strdup(kc_json_as_str(v)) : kc_json_to_str(v);
}

/* Scalars keep the type of what they replace. */
static struct json_object *converted(const struct json_object *value, const struct json_object *old, bool part)
{
        int64_t number;
        struct json_object *plain = NULL;
        /* A part of a text, where nothing was, is what it looks like. */
        if (!old && part && kc_json_as_str(value) &&
            kc_yaml_parse(kc_json_as_str(value), strlen(kc_json_as_str(value)), NULL, &plain, NULL) == 0 && plain)
                return plain;
        if (kc_json_as_str(old) && !kc_json_is_obj(value) && !kc_json_is_arr(value)) {
                KC_CLEANUP(kc_freep) char *text = text_of(value);
                return json_object_new_string(text);
        }
        if (old && json_object_get_type(old) == json_type_int && kc_json_as_str(value) &&
            kc_str_to_i64(kc_json_as_str(value), &number) == 0)
                return json_object_new_int64(number);
        return kc_json_copy(value);
}

/* The part of a text that options.delimiter and index mean. */
static int take_part(const struct json_object *options, const struct json_object **value, struct json_object **ret_own,
    struct kc_error *err)
{
        const char *delimiter = kc_json_str(options, "delimiter");
        int64_t index = kc_json_int(options, "index", 0);
        if (kc_str_empty(delimiter))
                return 0;
        KC_CLEANUP(kc_freep) char *text = text_of(*value);
        const char *at = text;
        for (int64_t i = 0; i < index; i++) {
                at = strstr(at, delimiter);
                if (!at)
                        return kc_error_set(
                            err, EINVAL, "options.index %lld is out of bounds for value %s", (long long)index, text);
                at += strlen(delimiter);
        }
        const char *end = strstr(at, delimiter);
        KC_CLEANUP(kc_freep) char *part = kc_strndup(at, end ? (size_t)(end - at) : strlen(at));
        *ret_own = json_object_new_string(part);
        *value = *ret_own;
        return 0;
}

/* That part of old replaced: one in front of all for a negative index, one behind all for a large one. */
static struct json_object *with_part(
    const struct json_object *options, const struct json_object *old, const struct json_object *value)
{
        const char *delimiter = kc_json_str(options, "delimiter");
        int64_t index = kc_json_int(options, "index", 0), i = 0;
        KC_CLEANUP(kc_freep) char *new_text = text_of(value);
        KC_CLEANUP(kc_freep) char *old_text = old ? text_of(old) : kc_strdup("");
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (index < 0)
                kc_buf_addf(&b, "%s%s", new_text, delimiter);
        for (const char *at = old_text;; i++) {
                const char *end = strstr(at, delimiter);
                kc_buf_adds(&b, i > 0 ? delimiter : "");
                if (i == index)
                        kc_buf_adds(&b, new_text);
                else
                        kc_buf_add(&b, at, end ? (size_t)(end - at) : strlen(at));
                if (!end)
                        break;
                at = end + strlen(delimiter);
        }
        if (index > i)
                kc_buf_addf(&b, "%s%s", delimiter, new_text);
        return json_object_new_string(kc_buf_str(&b));
}

void kustomize_annotations_to_text(struct json_object *obj)
{
        struct json_object *annotations = kc_json_at_mut(obj, "metadata.annotations");
        KC_JSON_FOREACH(annotations, key, val)
        {
                if (val && !kc_json_as_str(val) && !kc_json_is_obj(val) && !kc_json_is_arr(val)) {
                        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(val);
                        kc_json_set_str(annotations, key, text);
                }
        }
}

/* --- replacements */

static int find_source(const struct kustomize_resources *r, const struct json_object *source,
    const struct json_object **ret, struct json_object **ret_own, struct kc_error *err)
{
        const char *path = kc_json_str(source, "fieldPath");
        struct kustomize_resource *found = NULL;
        for (size_t i = 0; i < r->n; i++) {
                bool selected;
                int e = kustomize_resource_selected(r->v[i], source, &selected, err);
                if (e < 0)
                        return e;
                if (selected && found)
                        return kc_error_set(err, EINVAL, "multiple matches for selector %s.[noVer].[noGrp]/%s.[noNs]",
                            kc_json_str(source, "kind"), kc_json_str(source, "name"));
                found = selected ? r->v[i] : found;
        }
        const char *kind = kc_json_str(source, "kind"), *name = kc_json_str(source, "name");
        if (!found)
                return kc_error_set(err, ENOENT, "nothing selected by %s.[noVer].[noGrp]/%s.[noNs]",
                    kind ? kind : "[noKind]", name ? name : "[noName]");
        KC_CLEANUP(kc_strv_freep) char **segments = split_path(path ? path : "metadata.name");
        KC_CLEANUP(places_done) struct places places = {0};
        find_places(found->obj, segments, false, &places);
        if (places.n == 0)
                return kc_error_set(err, ENOENT,
                    "fieldPath `%s` is missing for replacement source %s.[noVer].[noGrp]/%s.[noNs]",
                    path ? path : "metadata.name", kind ? kind : "[noKind]", name ? name : "[noName]");
        *ret = at_place(&places.v[0]);
        return take_part(kc_json_get(source, "options"), ret, ret_own, err);
}

static int put_value(struct kustomize_resource *x, const char *path, const struct json_object *options,
    const struct json_object *value, bool part, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **segments = split_path(path);
        KC_CLEANUP(places_done) struct places places = {0};
        bool create = kc_json_bool(options, "create", false);
        find_places(x->obj, segments, create, &places);
        if (places.n == 0) {
                KC_CLEANUP(kc_freep) char *id = kustomize_resource_id_text(x->obj);
                return kc_error_set(err, ENOENT, "unable to find field \"%s\" in replacement target", path);
        }
        kustomize_resource_remember(x);
        for (size_t i = 0; i < places.n; i++) {
                const struct json_object *old = at_place(&places.v[i]);
                struct json_object *instead = kc_str_empty(kc_json_str(options, "delimiter"))
                                                  ? converted(value, old, part)
                                                  : with_part(options, old, value);
                if (places.v[i].key)
                        kc_json_set(places.v[i].parent, places.v[i].key, instead);
                else
                        json_object_array_put_idx(places.v[i].parent, places.v[i].index, instead);
        }
        return 0;
}

static int is_target(
    const struct kustomize_resource *x, const struct json_object *target, bool *ret, struct kc_error *err)
{
        const struct json_object *reject = kc_json_get(target, "reject");
        int e = kustomize_resource_selected(x, kc_json_get(target, "select"), ret, err);
        for (size_t i = 0; e == 0 && *ret && i < kc_json_len(reject); i++) {
                bool rejected;
                e = kustomize_resource_selected(x, kc_json_idx(reject, i), &rejected, err);
                *ret = !rejected;
        }
        return e;
}

static int put_all(struct kustomize_resources *r, const struct json_object *target, const struct json_object *value,
    bool part, struct kc_error *err)
{
        const struct json_object *paths = kc_json_get(target, "fieldPaths");
        if (!kc_json_get(target, "select"))
                return kc_error_set(err, EINVAL, "target must specify resources to select");
        for (size_t i = 0; i < r->n; i++) {
                bool selected;
                int e = is_target(r->v[i], target, &selected, err);
                for (size_t k = 0; e == 0 && selected && k < KC_MAX(kc_json_len(paths), (size_t)1); k++) {
                        const char *path = kc_json_as_str(kc_json_idx(paths, k));
                        e = put_value(
                            r->v[i], path ? path : "metadata.name", kc_json_get(target, "options"), value, part, err);
                }
                if (e < 0)
                        return e;
        }
        return 0;
}

static int replace_one(struct kustomize_resources *r, const struct json_object *replacement, struct kc_error *err)
{
        const struct json_object *value = NULL, *targets = kc_json_get(replacement, "targets");
        KC_CLEANUP(kc_json_freep) struct json_object *own = NULL;
        if (!kc_json_get(replacement, "source") || !targets)
                return kc_error_set(err, EINVAL, "replacements must specify a source and at least one target");
        int e = find_source(r, kc_json_get(replacement, "source"), &value, &own, err);
        KC_CLEANUP(kc_json_freep) struct json_object *copy = e == 0 ? kc_json_copy(value) : NULL;
        for (size_t i = 0; e == 0 && i < kc_json_len(targets); i++)
                e = put_all(r, kc_json_idx(targets, i), copy, own != NULL, err);
        return e;
}

int kustomize_replace(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        const struct json_object *list = kc_json_get(d->kustomization, "replacements");
        int e = 0;
        for (size_t i = 0; e == 0 && i < kc_json_len(list); i++) {
                const struct json_object *one = kc_json_idx(list, i);
                const char *path = kc_json_str(one, "path");
                KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
                KC_CLEANUP(kc_json_freep) struct json_object *from_file = NULL;
                if (!path) {
                        e = replace_one(r, one, err);
                        continue;
                }
                e = kustomize_dir_read(d, path, &text, err);
                if (e == 0)
                        e = kc_yaml_parse(kc_buf_str(&text), text.len, NULL, &from_file, err);
                if (e == 0 && kc_json_is_obj(from_file))
                        e = replace_one(r, from_file, err);
                for (size_t k = 0; e == 0 && k < kc_json_len(from_file); k++)
                        e = replace_one(r, kc_json_idx(from_file, k), err);
        }
        return e;
}

/* --- vars: $(NAME) in commands, arguments and variables */

struct vars {
        struct json_object *values; /* by name */
};

static char *expand(const char *text, const struct json_object *values)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (const char *p = text; *p; p++) {
                const char *end = p[0] == '$' && p[1] == '(' ? strchr(p, ')') : NULL;
                if (p[0] == '$' && p[1] == '$') {
                        kc_buf_addc(&b, *p++);
                        continue;
                }
                KC_CLEANUP(kc_freep) char *name = end ? kc_strndup(p + 2, (size_t)(end - p - 2)) : NULL;
                const char *value = name ? kc_json_str(values, name) : NULL;
                if (value) {
                        kc_buf_adds(&b, value);
                        p = end;
                } else {
                        kc_buf_addc(&b, *p);
                }
        }
        return kc_buf_take_str(&b);
}

static int expand_field(struct json_object *parent, const char *key, void *arg, struct kc_error *err)
{
        (void)err;
        const struct vars *v = arg;
        struct json_object *value = kc_json_get_mut(parent, key);
        if (kc_json_as_str(value)) {
                KC_CLEANUP(kc_freep) char *text = expand(kc_json_as_str(value), v->values);
                kc_json_set_str(parent, key, text);
        }
        for (size_t i = 0; i < kc_json_len(value); i++)
                if (kc_json_as_str(kc_json_idx(value, i))) {
                        KC_CLEANUP(kc_freep) char *text = expand(kc_json_as_str(kc_json_idx(value, i)), v->values);
                        json_object_array_put_idx(value, i, json_object_new_string(text));
                }
        return 0;
}

static int value_of_var(
    const struct kustomize_resources *r, const struct json_object *var, char **ret, struct kc_error *err)
{
        const char *name = kc_json_str(var, "name"), *path = kc_json_str_at(var, "fieldref.fieldpath");
        const struct json_object *ref = kc_json_get(var, "objref");
        for (size_t i = 0; i < r->n; i++) {
                if (!kustomize_resource_was(
                        r->v[i], kc_json_str(ref, "kind"), kc_json_str(ref, "namespace"), kc_json_str(ref, "name")))
                        continue;
                KC_CLEANUP(kc_strv_freep) char **segments = split_path(path ? path : "metadata.name");
                KC_CLEANUP(places_done) struct places places = {0};
                find_places(r->v[i]->obj, segments, false, &places);
                if (places.n == 0)
                        return kc_error_set(
                            err, ENOENT, "field specified in var '%s' not found in corresponding resource", name);
                *ret = text_of(at_place(&places.v[0]));
                return 0;
        }
        return kc_error_set(err, ENOENT, "var '%s' cannot be mapped to a field in the set of known resources", name);
}

int kustomize_resolve_vars(struct kustomize_resources *r, const struct json_object *list, struct kc_error *err)
{
        static const char *const prefixes[] = {"spec", "spec/template/spec", "spec/jobTemplate/spec/template/spec"};
        static const char *const paths[] = {"containers/command", "containers/args", "containers/env/value",
            "initContainers/command", "initContainers/args", "initContainers/env/value",
            "containers/volumeMounts/mountPath", "volumes/nfs/server", "rules/host", "tls/hosts"};
        if (kc_json_len(list) == 0)
                return 0;
        KC_CLEANUP(kc_json_freep) struct json_object *values = json_object_new_object();
        for (size_t i = 0; i < kc_json_len(list); i++) {
                KC_CLEANUP(kc_freep) char *value = NULL;
                int e = value_of_var(r, kc_json_idx(list, i), &value, err);
                if (e < 0)
                        return e;
                kc_json_set_str(values, kc_json_str(kc_json_idx(list, i), "name"), value);
        }
        struct vars v = {values};
        for (size_t i = 0; i < r->n; i++)
                for (size_t p = 0; p < KC_ARRAY_LEN(prefixes); p++)
                        for (size_t k = 0; k < KC_ARRAY_LEN(paths); k++) {
                                KC_CLEANUP(kc_freep) char *path = kc_asprintf("%s/%s", prefixes[p], paths[k]);
                                int e = kustomize_each_field(r->v[i]->obj, path, false, expand_field, &v, err);
                                if (e < 0)
                                        return e;
                        }
        return 0;
}

/* A build: what a kustomization refers to first, then its own steps, up to the root. Any thread. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/kustomize/kustomize_internal.h"
#include "json/yaml.h"

enum { MAX_DEPTH = 64 };

struct build {
        struct json_object *vars; /* an array: all that were declared */
        int depth;
};

static int accumulate(
    struct build *b, const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err);

/* --- resources */

static int add_file(
    const struct kustomize_dir *d, const char *path, struct kustomize_resources *r, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *all = NULL;
        int e = kustomize_dir_read(d, path, &text, err);
        if (e == 0)
                e = kustomize_parse(path, kc_buf_str(&text), text.len, &all, err);
        for (size_t i = 0; e == 0 && i < kc_json_len(all); i++)
                e = kustomize_resources_add(r, kc_json_copy(kc_json_idx(all, i)), NULL, err);
        return e;
}

static int add_directory(struct build *b, const struct kustomize_dir *d, const char *path, bool component,
    struct kustomize_resources *r, struct kc_error *err)
{
        KC_CLEANUP(kustomize_dir_done) struct kustomize_dir sub = {0};
        KC_CLEANUP(kustomize_resources_done) struct kustomize_resources own = {0};
        int e = kustomize_dir_open(path, d, d->options, &sub, err);
        if (e < 0)
                return e;
        bool is_component = kc_streq(kc_json_str(sub.kustomization, "kind"), "Component");
        if (is_component != component)
                return kc_error_set(err, EINVAL,
                    component ? "expected kind 'Component' for path '%s' but got 'Kustomization'"
                              : "expected kind != 'Component' for path '%s'",
                    path);
        /* A component changes what its user has. */
        e = accumulate(b, &sub, component ? r : &own, err);
        if (e < 0)
                (void)kc_error_wrap(err, "recursed accumulation of path '%s'", sub.path);
        if (e < 0)
                return e;
        return kustomize_resources_merge(r, &own, err);
}

static bool is_directory(const struct kustomize_dir *d, const char *path)
{
        struct stat st;
        KC_CLEANUP(kc_freep) char *full = path[0] == '/' ? kc_strdup(path) : kc_path_join(d->path, path);
        return stat(full, &st) == 0 && S_ISDIR(st.st_mode);
}

static int add_entry(struct build *b, const struct kustomize_dir *d, const char *path, struct kustomize_resources *r,
    struct kc_error *err)
{
        struct kc_error as_file = KC_ERROR_INIT;
        if (kustomize_is_remote(path))
                return kc_error_set(err, ENOTSUP, "'%s' is remote: only local files and directories are read", path);
        if (is_directory(d, path)) {
                char real[PATH_MAX];
                KC_CLEANUP(kc_freep) char *whole = path[0] == '/' ? kc_strdup(path) : kc_path_join(d->path, path);
                int e = add_directory(b, d, path, false, r, err);
                return e == 0 ? 0
                              : kc_error_wrap(err,
                                    "accumulation err='accumulating resources from '%s': '%s' must resolve to a file'",
                                    path, realpath(whole, real) ? real : whole);
        }
        if (add_file(d, path, r, &as_file) == 0)
                return 0;
        KC_CLEANUP(kustomize_dir_done) struct kustomize_dir sub = {0};
        KC_CLEANUP(kc_freep) char *full = kc_path_join(d->path, path);
        KC_CLEANUP(kc_error_done) struct kc_error as_dir = KC_ERROR_INIT;
        char real[PATH_MAX];
        const char *whole = path[0] == '/' ? path : full;
        (void)kustomize_dir_open(realpath(whole, real) ? real : whole, NULL, d->options, &sub, &as_dir);
        (void)kc_error_set(err, as_file.errnum, "accumulation err='accumulating resources from '%s': %s': %s", path,
            kc_error_message(&as_file), kc_error_message(&as_dir));
        kc_error_done(&as_file);
        return -err->errnum;
}

static int add_list(struct build *b, const struct kustomize_dir *d, const char *field, struct kustomize_resources *r,
    struct kc_error *err)
{
        const struct json_object *list = kc_json_get(d->kustomization, field);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *path = kc_json_as_str(kc_json_idx(list, i));
                bool component = strcmp(field, "components") == 0;
                if (!path)
                        return kc_error_set(err, EINVAL, "invalid Kustomization: %s: not a string", field);
                int e = component ? add_directory(b, d, path, true, r, err) : add_entry(b, d, path, r, err);
                if (e < 0)
                        return kc_error_wrap(err, "accumulating %s", component ? "components" : "resources");
        }
        return 0;
}

/* --- one kustomization */

/* In the order in which kustomize runs them. */
static const struct {
        int (*run)(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err);
} steps[] = {
    {kustomize_generate},
    {kustomize_patch_strategic_field},
    {kustomize_patch_field},
    {kustomize_transform_namespace},
    {kustomize_transform_names},
    {kustomize_transform_labels},
    {kustomize_transform_annotations},
    {kustomize_patch_json_field},
    {kustomize_transform_replicas},
    {kustomize_transform_images},
    {kustomize_replace},
};

static int accumulate(
    struct build *b, const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        static const char *const lists[] = {"resources", "bases", "components"};
        int e = 0;
        if (++b->depth > MAX_DEPTH)
                return kc_error_set(err, ELOOP, "kustomizations are nested more than %d deep", MAX_DEPTH);
        for (size_t i = 0; e == 0 && i < KC_ARRAY_LEN(lists); i++)
                e = add_list(b, d, lists[i], r, err);
        for (size_t i = 0; e == 0 && i < KC_ARRAY_LEN(steps); i++)
                e = steps[i].run(d, r, err);
        const struct json_object *vars = kc_json_get(d->kustomization, "vars");
        for (size_t i = 0; e == 0 && i < kc_json_len(vars); i++)
                kc_json_push(b->vars, kc_json_copy(kc_json_idx(vars, i)));
        b->depth--;
        return e;
}

/* --- all */

static int finish(struct build *b, const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        kustomize_add_hashes(r);
        int e = kustomize_fix_references(r, err);
        if (e == 0)
                e = kustomize_resolve_vars(r, b->vars, err);
        const char *order = kc_json_str_at(d->kustomization, "sortOptions.order");
        if (!order || strcmp(order, "legacy") == 0)
                kustomize_resources_sort(r);
        else if (strcmp(order, "fifo") != 0)
                return kc_error_set(err, EINVAL, "the field sortOptions.order must be one of [legacy fifo]");
        return e;
}

int kc_kustomize_build(const char *dir, const struct kc_kustomize_options *o, struct kc_buf *ret, struct kc_error *err)
{
        KC_CLEANUP(kustomize_dir_done) struct kustomize_dir d = {0};
        KC_CLEANUP(kustomize_resources_done) struct kustomize_resources r = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *vars = json_object_new_array();
        struct build b = {.vars = vars};
        if (kustomize_is_remote(dir))
                return kc_error_set(err, ENOTSUP, "'%s' is remote: only local directories are built", dir);
        int e = kustomize_dir_open(dir, NULL, o, &d, err);
        if (e == 0)
                e = accumulate(&b, &d, &r, err);
        if (e == 0)
                e = finish(&b, &d, &r, err);
        for (size_t i = 0; e == 0 && i < r.n; i++) {
                if (i > 0)
                        kc_buf_adds(ret, "---\n");
                kustomize_annotations_to_text(r.v[i]->obj);
                kc_yaml_write(ret, r.v[i]->obj);
                if (ret->data[ret->len - 1] != '\n')
                        kc_buf_addc(ret, '\n');
        }
        return e;
}

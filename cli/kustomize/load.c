/* Kustomizations and their files. Any thread. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/kustomize/kustomize_internal.h"
#include "json/yaml.h"

enum { MAX_FILE = 64 << 20 };
static const struct kc_json_limits limits = {.max_bytes = MAX_FILE, .max_depth = 256, .max_nodes = 8 << 20};
static const struct kc_json_limits object_limits = {
    .max_bytes = MAX_FILE, .max_depth = 256, .max_nodes = 8 << 20, .words_stay = true};
static const char *const names[] = {"kustomization.yaml", "kustomization.yml", "Kustomization"};

/* What a kustomization may hold; those with a reason are not supported. */
static const struct {
        const char *field, *why_not;
} fields[] = {
    {"apiVersion", NULL},
    {"kind", NULL},
    {"metadata", NULL},
    {"resources", NULL},
    {"bases", NULL},
    {"components", NULL},
    {"patches", NULL},
    {"patchesStrategicMerge", NULL},
    {"patchesJson6902", NULL},
    {"configMapGenerator", NULL},
    {"secretGenerator", NULL},
    {"generatorOptions", NULL},
    {"namespace", NULL},
    {"namePrefix", NULL},
    {"nameSuffix", NULL},
    {"commonLabels", NULL},
    {"labels", NULL},
    {"commonAnnotations", NULL},
    {"images", NULL},
    {"replicas", NULL},
    {"replacements", NULL},
    {"vars", NULL},
    {"sortOptions", NULL},
    {"buildMetadata", "buildMetadata is not supported"},
    {"crds", "crds are not supported: references of custom resources are not known"},
    {"configurations", "configurations are not supported"},
    {"openapi", "openapi is not supported"},
    {"generators", "generator plugins are not supported"},
    {"transformers", "transformer plugins are not supported"},
    {"validators", "validator plugins are not supported"},
    {"helmCharts", "must specify --enable-helm"},
    {"helmGlobals", "must specify --enable-helm"},
    {"helmChartInflationGenerator", "must specify --enable-helm"},
};

bool kustomize_is_remote(const char *path)
{
        static const char *const prefixes[] = {
            "http://", "https://", "git::", "git@", "ssh://", "git://", "github.com/", "github.com:", "gh:", "file://"};
        for (size_t i = 0; i < KC_ARRAY_LEN(prefixes); i++)
                if (kc_str_has_prefix(path, prefixes[i]))
                        return true;
        return strstr(path, "?ref=") != NULL || strstr(path, ".git/") != NULL;
}

/* Fields of earlier versions, in the order in which kustomize speaks of them. */
static const struct {
        const char *field, *instead, *note;
} deprecated[] = {
    {"bases", "resources", ""},
    {"commonLabels", "labels", ""},
    {"imageTags", "images", ""},
    {"patchesJson6902", "patches", ""},
    {"patchesStrategicMerge", "patches", ""},
    {"vars", "replacements", " [EXPERIMENTAL]"},
};

static void warn_deprecated(const struct kustomize_dir *d)
{
        for (size_t i = 0; d->options && d->options->warnings && i < KC_ARRAY_LEN(deprecated); i++)
                if (kc_json_get(d->kustomization, deprecated[i].field))
                        kc_buf_addf(d->options->warnings,
                            "# Warning: '%s' is deprecated. Please use '%s' instead.%s Run 'kustomize edit fix' to "
                            "update "
                            "your Kustomization automatically.\n",
                            deprecated[i].field, deprecated[i].instead, deprecated[i].note);
        struct json_object *tags = kc_json_get_mut(d->kustomization, "imageTags");
        for (size_t i = 0; i < kc_json_len(tags); i++)
                kc_json_push(kc_json_ensure_arr(d->kustomization, "images"), kc_json_copy(kc_json_idx(tags, i)));
        kc_json_del(d->kustomization, "imageTags");
}

static int check_fields(const struct json_object *k, struct kc_error *err)
{
        KC_JSON_FOREACH(k, key, val)
        {
                size_t i = 0;
                while (i < KC_ARRAY_LEN(fields) && strcmp(fields[i].field, key) != 0)
                        i++;
                if (i == KC_ARRAY_LEN(fields))
                        return kc_error_set(err, EINVAL, "invalid Kustomization: json: unknown field \"%s\"", key);
                if (fields[i].why_not && (kc_json_len(val) > 0 || kc_json_n_keys(val) > 0))
                        return kc_error_set(err, ENOTSUP, "%s", fields[i].why_not);
        }
        return 0;
}

static int check_head(const char *path, const struct json_object *k, struct kc_error *err)
{
        const char *kind = kc_json_str(k, "kind"), *version = kc_json_str(k, "apiVersion");
        bool component = kc_streq(kind, "Component");
        if (kind && !component && strcmp(kind, "Kustomization") != 0)
                return kc_error_set(
                    err, EINVAL, "invalid Kustomization: kind should be Kustomization or Component in '%s'", path);
        if (version &&
            strcmp(version, component ? "kustomize.config.k8s.io/v1alpha1" : "kustomize.config.k8s.io/v1beta1") != 0)
                return kc_error_set(err, EINVAL, "invalid Kustomization: apiVersion for %s should be %s",
                    component ? "Component" : "Kustomization",
                    component ? "kustomize.config.k8s.io/v1alpha1" : "kustomize.config.k8s.io/v1beta1");
        return 0;
}

static int find_file(const char *dir, char **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *found = NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++) {
                KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, names[i]);
                struct stat st;
                if (stat(path, &st) < 0 || S_ISDIR(st.st_mode))
                        continue;
                if (found)
                        return kc_error_set(err, EINVAL, "Found multiple kustomization files under: %s\n", dir);
                found = KC_TAKE(path);
        }
        if (!found)
                return kc_error_set(err, ENOENT,
                    "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory "
                    "'%s'",
                    dir);
        *ret = KC_TAKE(found);
        return 0;
}

static int load_kustomization(struct kustomize_dir *d, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *file = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        int e = find_file(d->path, &file, err);
        if (e == 0)
                e = kc_file_read(file, MAX_FILE, &text, err);
        if (e < 0)
                return e;
        if (kc_yaml_parse(kc_buf_str(&text), text.len, &limits, &d->kustomization, err) < 0)
                return kc_error_wrap(err, "invalid Kustomization");
        if (!d->kustomization)
                return kc_error_set(err, EINVAL, "kustomization.yaml is empty");
        if (!kc_json_is_obj(d->kustomization))
                return kc_error_set(err, EINVAL, "invalid Kustomization: '%s' does not hold an object", file);
        warn_deprecated(d);
        e = check_fields(d->kustomization, err);
        return e < 0 ? e : check_head(file, d->kustomization, err);
}

/* A directory that leads back to itself has no end. */
static int check_cycle(const struct kustomize_dir *d, struct kc_error *err)
{
        for (const struct kustomize_dir *p = d->parent; p; p = p->parent) {
                size_t len = strlen(d->path);
                if (strncmp(p->path, d->path, len) == 0 && (p->path[len] == '/' || !p->path[len]))
                        return kc_error_set(err, ELOOP,
                            "cycle detected: candidate root '%s' contains visited root '%s'", d->path, p->path);
        }
        return 0;
}

int kustomize_dir_open(const char *path, const struct kustomize_dir *parent, const struct kc_kustomize_options *o,
    struct kustomize_dir *ret, struct kc_error *err)
{
        char real[PATH_MAX];
        struct stat st;
        KC_CLEANUP(kustomize_dir_done) struct kustomize_dir d = {.parent = parent, .options = o};
        KC_CLEANUP(kc_freep)
        char *full = parent && path[0] != '/' ? kc_path_join(parent->path, path) : kc_strdup(path);
        if (!realpath(full, real)) {
                int errnum = errno;
                char here[PATH_MAX];
                bool relative = full[0] != '/' && getcwd(here, sizeof(here));
                return kc_error_set(err, errnum,
                    "must build at directory: not a valid directory: evalsymlink failure on '%s' : lstat %s%s%s: %s",
                    path, relative ? here : "", relative ? "/" : "", full, kc_errno_text(errnum));
        }
        if (stat(real, &st) < 0 || !S_ISDIR(st.st_mode))
                return kc_error_set(err, ENOTDIR, "must build at directory: '%s': file is not directory", path);
        d.path = kc_strdup(real);
        int e = check_cycle(&d, err);
        if (e == 0)
                e = load_kustomization(&d, err);
        if (e < 0)
                return e;
        *ret = d;
        d = (struct kustomize_dir){0};
        return 0;
}

void kustomize_dir_done(struct kustomize_dir *d)
{
        kc_free(d->path);
        kc_json_free(d->kustomization);
        *d = (struct kustomize_dir){0};
}

int kustomize_dir_read(const struct kustomize_dir *d, const char *path, struct kc_buf *ret, struct kc_error *err)
{
        char real[PATH_MAX];
        if (kustomize_is_remote(path))
                return kc_error_set(err, ENOTSUP, "'%s' is remote: only local files are read", path);
        KC_CLEANUP(kc_freep) char *full = path[0] == '/' ? kc_strdup(path) : kc_path_join(d->path, path);
        if (!realpath(full, real))
                return kc_error_set(
                    err, errno, "evalsymlink failure on '%s' : lstat %s: %s", full, full, kc_errno_text(errno));
        size_t len = strlen(d->path);
        bool below = strncmp(real, d->path, len) == 0 && (real[len] == '/' || kc_streq(d->path, "/"));
        if (!below && !(d->options && d->options->load_anywhere))
                return kc_error_set(err, EACCES, "security; file '%s' is not in or below '%s'", real, d->path);
        struct stat st;
        if (stat(real, &st) == 0 && S_ISDIR(st.st_mode))
                return kc_error_set(err, EISDIR, "'%s' must resolve to a file", path);
        return kc_file_read(real, MAX_FILE, ret, err);
}

/* Objects with kind, apiVersion and a name. */
static int check_object(const char *source, const struct json_object *obj, struct kc_error *err)
{
        if (!kc_json_is_obj(obj))
                return kc_error_set(err, EINVAL, "%s: a document is not an object", source);
        if (kc_str_empty(kc_json_str(obj, "kind")))
                return kc_error_set(err, EINVAL, "missing Resource metadata: kind is not set in %s", source);
        if (kc_str_empty(kc_json_str_at(obj, "metadata.name")) &&
            kc_str_empty(kc_json_str_at(obj, "metadata.generateName")))
                return kc_error_set(err, EINVAL, "missing metadata.name in object of %s", source);
        return 0;
}

int kustomize_parse(const char *source, const char *text, size_t len, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_yaml_free_allp) struct json_object **docs = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *all = json_object_new_array();
        if (kc_yaml_parse_all(text, len, &object_limits, &docs, err) < 0)
                return kc_error_wrap(err, "MalformedYAMLError: yaml: in File: %s", source);
        for (size_t i = 0; docs && docs[i]; i++) {
                const char *kind = kc_json_str(docs[i], "kind");
                const struct json_object *items = kc_json_get(docs[i], "items");
                bool list = kind && kc_str_has_suffix(kind, "List") && kc_json_is_arr(items);
                for (size_t k = 0; k < (list ? kc_json_len(items) : 1); k++) {
                        const struct json_object *obj = list ? kc_json_idx(items, k) : docs[i];
                        int e = check_object(source, obj, err);
                        if (e < 0)
                                return e;
                        kc_json_push(all, kc_json_copy(obj));
                }
        }
        *ret = KC_TAKE(all);
        return 0;
}

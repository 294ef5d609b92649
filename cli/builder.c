/* Files as objects: YAML streams, JSON, lists, directories, stdin. Main thread. */
#include "cli/builder.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "api/object.h"
#include "base/file.h"
#include "base/str.h"
#include "json/yaml.h"

enum { MAX_FILE = 64 << 20 };
static const struct kc_json_limits limits = {.max_bytes = MAX_FILE, .max_depth = 256, .max_nodes = 8 << 20};

static struct kc_manifest *push(struct kc_manifests *m)
{
        if (m->n == m->cap) {
                m->cap = m->cap ? 2 * m->cap : 8;
                m->v = kc_reallocarray(m->v, m->cap, sizeof(*m->v));
        }
        struct kc_manifest *x = &m->v[m->n++];
        *x = (struct kc_manifest){0};
        return x;
}

void kc_manifest_done(struct kc_manifest *m)
{
        kc_free(m->ns);
        kc_free(m->name);
        kc_free(m->source);
        kc_json_free(m->obj);
}

void kc_manifests_done(struct kc_manifests *m)
{
        for (size_t i = 0; i < m->n; i++)
                kc_manifest_done(&m->v[i]);
        kc_free(m->v);
        kc_cli_errors_done(&m->errors);
        *m = (struct kc_manifests){0};
}

void kc_manifests_errors(const struct kc_manifests *m, struct kc_cli_errors *into)
{
        struct kc_error err = KC_ERROR_INIT;
        if (m->errors.n == 0)
                return;
        KC_CLEANUP(kc_freep) char *all = kc_cli_errors_join(&m->errors);
        (void)kc_error_set(&err, m->errors.v[0].errnum, "%s", all);
        kc_cli_errors_take(into, &err);
}

struct reading {
        const struct kc_resource_map *map;
        const char *ns;
        bool enforce_ns;
        const char *source;
        struct kc_manifests *into;
};

static int check_head(const struct reading *r, const struct json_object *obj, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **missing = NULL;
        if (kc_str_empty(kc_json_str(obj, "apiVersion")))
                kc_strv_push(&missing, "apiVersion not set");
        if (kc_str_empty(kc_json_str(obj, "kind")))
                kc_strv_push(&missing, "kind not set");
        if (!missing)
                return 0;
        KC_CLEANUP(kc_freep) char *text = kc_strv_join(missing, ", ");
        bool several = kc_strv_len(missing) > 1;
        return kc_error_set(err, EINVAL,
            "error validating \"%s\": error validating data: %s%s%s; if you choose to ignore these errors, turn "
            "validation off with --validate=false",
            r->source, several ? "[" : "", text, several ? "]" : "");
}

static int resolve_namespace(
    const struct reading *r, const struct kc_api_resource *res, struct json_object *obj, struct kc_error *err)
{
        const char *ns = kc_meta_namespace(obj);
        if (!res->namespaced) {
                return 0;
        }
        if (!ns) {
                kc_json_set_str(kc_json_ensure_obj(obj, "metadata"), "namespace", r->ns);
                return 0;
        }
        if (r->enforce_ns && !kc_streq(ns, r->ns))
                return kc_error_set(err, EINVAL,
                    "the namespace from the provided object \"%s\" does not match the namespace \"%s\". You must pass "
                    "'--namespace=%s' to perform this operation.",
                    ns, r->ns, ns);
        return 0;
}

static int add_object(const struct reading *r, struct json_object *take_obj, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *obj = take_obj;
        const struct kc_api_resource *res = NULL;
        int e;
        const char *name = kc_meta_name(obj), *ns = kc_meta_namespace(obj);
        e = kc_resource_map_find_kind(r->map, kc_json_str(obj, "apiVersion"), kc_json_str(obj, "kind"), &res, err);
        if (e < 0)
                return kc_error_wrap(err, "resource mapping not found for name: \"%s\" namespace: \"%s\" from \"%s\"",
                    name ? name : "", ns ? ns : "", r->source);
        e = resolve_namespace(r, res, obj, err);
        if (e < 0)
                return e;
        struct kc_manifest *m = push(r->into);
        m->res = res;
        m->ns = res->namespaced ? kc_strdup(kc_meta_namespace(obj)) : NULL;
        m->name = kc_strdup(kc_meta_name(obj));
        m->source = kc_strdup(r->source);
        m->obj = KC_TAKE(obj);
        return 0;
}

/* Of a PodList, an item that does not say so is a Pod, too. */
static struct json_object *item_of(const struct json_object *list, const struct json_object *item)
{
        const char *kind = kc_json_str(list, "kind");
        size_t len = strlen(kind) - strlen("List");
        struct json_object *copy = kc_json_copy(item);
        if (len == 0 || !kc_json_is_obj(copy) || kc_json_get(copy, "kind") || kc_json_get(copy, "apiVersion"))
                return copy;
        KC_CLEANUP(kc_freep) char *of = kc_strndup(kind, len);
        kc_json_set_str(copy, "kind", of);
        kc_json_set_str(copy, "apiVersion", kc_json_str(list, "apiVersion"));
        return copy;
}

/* False: the document is not an object of the API, and what follows it in the file is not read, as by kubectl. */
static bool add_document(const struct reading *r, struct json_object *take_doc)
{
        KC_CLEANUP(kc_json_freep) struct json_object *doc = take_doc;
        struct kc_error err = KC_ERROR_INIT;
        const char *kind = kc_json_str(doc, "kind");
        const struct json_object *items = kc_json_get(doc, "items");
        if (check_head(r, doc, &err) < 0) {
                kc_cli_errors_take(&r->into->errors, &err);
                return false;
        }
        bool empty = !items && kc_json_is_obj(doc) && json_object_object_get_ex(doc, "items", NULL); /* null */
        bool list = kind && kc_str_has_suffix(kind, "List") && (kc_json_is_arr(items) || empty);
        for (size_t i = 0; list && i < kc_json_len(items); i++)
                if (!add_document(r, item_of(doc, kc_json_idx(items, i))))
                        return false;
        if (!list && add_object(r, KC_TAKE(doc), &err) < 0)
                kc_cli_errors_take(&r->into->errors, &err);
        return true;
}

int kc_manifests_parse(const struct kc_resource_map *map, const char *ns, bool enforce_ns, const char *source,
    const char *text, size_t len, struct kc_manifests *into, struct kc_error *err)
{
        KC_CLEANUP(kc_yaml_free_allp) struct json_object **docs = NULL;
        int e = kc_yaml_parse_all(text, len, &limits, &docs, err);
        if (e < 0)
                return kc_error_wrap(err, "error parsing %s", source);
        struct reading r = {map, ns, enforce_ns, source, into};
        bool more = true;
        for (size_t i = 0; more && docs && docs[i]; i++)
                more = add_document(&r, kc_json_copy(docs[i]));
        return 0;
}

int kc_cli_read_stdin(struct kc_cli *c, struct kc_buf *b, struct kc_error *err)
{
        char chunk[16384];
        size_t n;
        while ((n = fread(chunk, 1, sizeof(chunk), c->in)) > 0)
                if (kc_buf_add_limited(b, chunk, n, MAX_FILE) < 0)
                        return kc_error_set(err, EFBIG, "the input is larger than %d bytes", MAX_FILE);
        if (ferror(c->in))
                return kc_error_set(err, EIO, "read of the standard input failed");
        return 0;
}

static bool has_manifest_suffix(const char *path)
{
        return kc_str_has_suffix(path, ".json") || kc_str_has_suffix(path, ".yaml") || kc_str_has_suffix(path, ".yml");
}

/* Files of a directory by name; those of directories in it as well when recursive. */
static int expand_dir(const char *path, bool recursive, char ***files, struct kc_error *err)
{
        DIR *d = opendir(path);
        if (!d)
                return kc_error_set(err, errno, "open %s: %s", path, strerror(errno));
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        const struct dirent *entry;
        while ((entry = readdir(d)))
                if (!kc_streq(entry->d_name, ".") && !kc_streq(entry->d_name, ".."))
                        kc_strv_push(&names, entry->d_name);
        closedir(d);
        if (names)
                kc_strv_sort(names);
        for (char **n = names; n && *n; n++) {
                KC_CLEANUP(kc_freep) char *full = kc_path_join(path, *n);
                struct stat st;
                if (stat(full, &st) < 0)
                        return kc_error_set(err, errno, "stat %s: %s", full, strerror(errno));
                int e = 0;
                if (S_ISDIR(st.st_mode) && recursive)
                        e = expand_dir(full, recursive, files, err);
                else if (!S_ISDIR(st.st_mode) && has_manifest_suffix(*n))
                        kc_strv_push(files, full);
                if (e < 0)
                        return e;
        }
        return 0;
}

static int expand(const char *path, bool recursive, char ***files, struct kc_error *err)
{
        struct stat st;
        if (kc_str_has_prefix(path, "http://") || kc_str_has_prefix(path, "https://"))
                return kc_error_set(err, ENOTSUP, "manifests are read from files, not from %s: fetch it first", path);
        if (kc_streq(path, "-")) {
                kc_strv_push(files, path);
                return 0;
        }
        if (stat(path, &st) < 0 && errno == ENOENT)
                return kc_error_set(err, ENOENT, "the path \"%s\" does not exist", path);
        if (stat(path, &st) < 0)
                return kc_error_set(err, errno, "the path \"%s\" cannot be accessed: %s", path, strerror(errno));
        if (!S_ISDIR(st.st_mode)) {
                kc_strv_push(files, path);
                return 0;
        }
        size_t before = kc_strv_len(*files);
        int e = expand_dir(path, recursive, files, err);
        if (e == 0 && kc_strv_len(*files) == before)
                return kc_error_set(
                    err, ENOENT, "error reading [%s]: recognized file extensions are [.json .yaml .yml]", path);
        return e;
}

int kc_manifests_load(
    struct kc_cli *c, char *const *paths, bool recursive, struct kc_manifests *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **files = NULL;
        for (char *const *p = paths; p && *p; p++) {
                int e = expand(*p, recursive, &files, err);
                if (e < 0)
                        return e;
        }
        struct kc_resource_map *map;
        const char *ns;
        int e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_cli_files_namespace(c, &ns, err);
        for (char **f = files; e == 0 && f && *f; f++) {
                KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
                bool from_stdin = kc_streq(*f, "-");
                e = from_stdin ? kc_cli_read_stdin(c, &text, err) : kc_file_read(*f, MAX_FILE, &text, err);
                if (e == 0)
                        e = kc_manifests_parse(map, ns, kc_cli_namespace_given(c), from_stdin ? "STDIN" : *f,
                            kc_buf_str(&text), text.len, ret, err);
        }
        return e;
}

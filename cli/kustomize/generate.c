/* configMapGenerator, secretGenerator, and the hashes of names. Any thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/str.h"
#include "cli/generate/generate.h"
#include "cli/kustomize/kustomize_internal.h"

enum { BASE64_LINE = 70 };

struct generator {
        const struct kustomize_dir *d;
        struct json_object *obj;
        bool secret;
};

static bool is_text(const char *value, size_t len)
{
        bool text = memchr(value, '\0', len) == NULL;
        for (size_t at = 0; text && at < len;) {
                size_t k = kc_utf8_len(value + at, len - at);
                text = k > 0;
                at += k;
        }
        return text;
}

/* Long values in lines. */
static char *encode(const char *value, size_t len)
{
        KC_CLEANUP(kc_freep) char *whole = kc_base64_encode(value, len);
        size_t n = strlen(whole);
        if (n <= BASE64_LINE)
                return KC_TAKE(whole);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (size_t at = 0; at < n; at += BASE64_LINE) {
                kc_buf_add(&b, whole + at, KC_MIN(n - at, (size_t)BASE64_LINE));
                kc_buf_addc(&b, '\n');
        }
        return kc_buf_take_str(&b);
}

static int add(struct generator *g, const char *key, const char *value, size_t len, struct kc_error *err)
{
        bool text = is_text(value, len);
        const char *field = g->secret || text ? "data" : "binaryData";
        if (kc_json_get(kc_json_get(g->obj, "data"), key) || kc_json_get(kc_json_get(g->obj, "binaryData"), key))
                return kc_error_set(err, EEXIST, "configmap %s illegally repeats the key `%s`",
                    kc_json_str_at(g->obj, "metadata.name"), key);
        KC_CLEANUP(kc_freep) char *stored = g->secret || !text ? encode(value, len) : kc_strndup(value, len);
        kc_json_set_str(kc_json_ensure_obj(g->obj, field), key, stored);
        return 0;
}

static int add_literal(struct generator *g, const char *pair, struct kc_error *err)
{
        const char *eq = strchr(pair, '=');
        if (!eq || eq == pair)
                return kc_error_set(err, EINVAL, "literal values: invalid literal source %s, expected key=value", pair);
        KC_CLEANUP(kc_freep) char *key = kc_strndup(pair, (size_t)(eq - pair));
        const char *value = eq + 1;
        size_t len = strlen(value);
        /* One pair of quotes around all of it. */
        if (len > 1 && (value[0] == '"' || value[0] == '\'') && value[len - 1] == value[0]) {
                value++;
                len -= 2;
        }
        return add(g, key, value, len, err);
}

static int add_file(struct generator *g, const char *arg, struct kc_error *err)
{
        const char *eq = strchr(arg, '='), *path = eq ? eq + 1 : arg;
        const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        KC_CLEANUP(kc_freep) char *key = eq ? kc_strndup(arg, (size_t)(eq - arg)) : kc_strdup(base);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        int e = kustomize_dir_read(g->d, path, &b, err);
        return e < 0 ? e : add(g, key, kc_buf_str(&b), b.len, err);
}

static int add_env_line(struct generator *g, char *line, struct kc_error *err)
{
        line += strspn(line, " \t\v\f\r");
        size_t len = strlen(line);
        if (len > 0 && line[len - 1] == '\r')
                line[len - 1] = '\0';
        if (!*line || *line == '#')
                return 0;
        KC_CLEANUP(kc_freep) char *key = kc_strndup(line, strcspn(line, "="));
        const char *value = strchr(line, '=') ? strchr(line, '=') + 1 : getenv(key);
        return add(g, key, value ? value : "", strlen(value ? value : ""), err);
}

static int add_env_file(struct generator *g, const char *path, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        int e = kustomize_dir_read(g->d, path, &b, err);
        KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(kc_buf_str(&b), '\n');
        for (char **l = lines; e == 0 && l && *l; l++)
                e = add_env_line(g, *l, err);
        return e;
}

static int fill(struct generator *g, const struct json_object *args, struct kc_error *err)
{
        static const struct {
                const char *field;
                int (*add)(struct generator *g, const char *arg, struct kc_error *err);
        } sources[] = {{"envs", add_env_file}, {"files", add_file}, {"literals", add_literal}};
        const char *env = kc_json_str(args, "env");
        int e = env ? add_env_file(g, env, err) : 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(sources); i++) {
                const struct json_object *list = kc_json_get(args, sources[i].field);
                for (size_t k = 0; e == 0 && k < kc_json_len(list); k++) {
                        const char *arg = kc_json_as_str(kc_json_idx(list, k));
                        e = arg ? sources[i].add(g, arg, err)
                                : kc_error_set(err, EINVAL, "%s of a generator: not a string", sources[i].field);
                }
        }
        return e;
}

static void add_pairs(struct json_object *obj, const char *field, const struct json_object *pairs)
{
        KC_JSON_FOREACH(pairs, key, val)
        {
                kc_json_set(kc_json_ensure_obj(kc_json_ensure_obj(obj, "metadata"), field), key, kc_json_copy(val));
        }
}

/* Options of the generator win over those of all. *ret_hash: whether the name gets one. */
static void apply_options(
    const struct generator *g, const struct json_object *all, const struct json_object *own, bool *ret_hash)
{
        add_pairs(g->obj, "labels", kc_json_get(all, "labels"));
        add_pairs(g->obj, "labels", kc_json_get(own, "labels"));
        add_pairs(g->obj, "annotations", kc_json_get(all, "annotations"));
        add_pairs(g->obj, "annotations", kc_json_get(own, "annotations"));
        if (kc_json_bool(all, "immutable", false) || kc_json_bool(own, "immutable", false))
                kc_json_set_bool(g->obj, "immutable", true);
        *ret_hash =
            !kc_json_bool(all, "disableNameSuffixHash", false) && !kc_json_bool(own, "disableNameSuffixHash", false);
}

/* behavior: merge or replace of what is there. */
static int combine(
    struct kustomize_resources *r, struct json_object *take_obj, const char *behavior, bool hash, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *obj = take_obj;
        const char *kind = kc_json_str(obj, "kind"), *name = kc_json_str_at(obj, "metadata.name"),
                   *ns = kc_json_str_at(obj, "metadata.namespace");
        for (size_t i = 0; i < r->n; i++) {
                struct kustomize_resource *x = r->v[i];
                static const char *const fields[] = {"data", "binaryData"};
                if (!kustomize_resource_was(x, kind, ns, name))
                        continue;
                for (size_t k = 0; k < KC_ARRAY_LEN(fields); k++) {
                        if (strcmp(behavior, "replace") == 0)
                                kc_json_del(x->obj, fields[k]);
                        KC_JSON_FOREACH(kc_json_get(obj, fields[k]), key, val)
                        {
                                kc_json_set(kc_json_ensure_obj(x->obj, fields[k]), key, kc_json_copy(val));
                        }
                }
                if (kc_json_get(obj, "immutable"))
                        kc_json_set_bool(x->obj, "immutable", true);
                add_pairs(x->obj, "labels", kc_json_at(obj, "metadata.labels"));
                add_pairs(x->obj, "annotations", kc_json_at(obj, "metadata.annotations"));
                x->needs_hash = hash;
                return 0;
        }
        KC_CLEANUP(kc_freep) char *id = kustomize_resource_id_text(obj);
        return kc_error_set(err, ENOENT, "id %s does not exist; cannot merge or replace", id);
}

static int generate_one(const struct kustomize_dir *d, struct kustomize_resources *r, const struct json_object *args,
    bool secret, struct kc_error *err)
{
        const char *name = kc_json_str(args, "name"), *ns = kc_json_str(args, "namespace"),
                   *type = kc_json_str(args, "type"), *behavior = kc_json_str(args, "behavior");
        if (kc_str_empty(name))
                return kc_error_set(
                    err, EINVAL, "a name is required for a %s generator", secret ? "secret" : "configmap");
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj = kc_json_build(
            "{'apiVersion':'v1','kind':%s,'metadata':{'name':%s}}", secret ? "Secret" : "ConfigMap", name);
        kc_json_set_str(kc_json_get_mut(obj, "metadata"), "namespace", kc_str_empty(ns) ? NULL : ns);
        if (secret)
                kc_json_set_str(obj, "type", kc_str_empty(type) ? "Opaque" : type);
        struct generator g = {d, obj, secret};
        bool hash;
        int e = fill(&g, args, err);
        if (e < 0)
                return e;
        apply_options(&g, kc_json_get(d->kustomization, "generatorOptions"), kc_json_get(args, "options"), &hash);
        if (kc_streq(behavior, "merge") || kc_streq(behavior, "replace"))
                return combine(r, KC_TAKE(obj), behavior, hash, err);
        struct kustomize_resource *x;
        e = kustomize_resources_add(r, KC_TAKE(obj), &x, err);
        if (e == 0)
                x->needs_hash = hash;
        return e;
}

int kustomize_generate(const struct kustomize_dir *d, struct kustomize_resources *r, struct kc_error *err)
{
        static const char *const fields[] = {"configMapGenerator", "secretGenerator"};
        int e = 0;
        for (size_t f = 0; f < KC_ARRAY_LEN(fields); f++) {
                const struct json_object *list = kc_json_get(d->kustomization, fields[f]);
                for (size_t i = 0; e == 0 && i < kc_json_len(list); i++)
                        e = generate_one(d, r, kc_json_idx(list, i), f == 1, err);
        }
        return e;
}

void kustomize_add_hashes(struct kustomize_resources *r)
{
        for (size_t i = 0; i < r->n; i++) {
                struct kustomize_resource *x = r->v[i];
                if (!x->needs_hash)
                        continue;
                bool secret = strcmp(kustomize_resource_kind(x), "Secret") == 0;
                /* Kustomize's hash knows neither the name nor whether it may change. */
                KC_CLEANUP(kc_json_freep) struct json_object *content = kc_json_copy(x->obj);
                kc_json_del(kc_json_get_mut(content, "metadata"), "name");
                kc_json_del(content, "immutable");
                KC_CLEANUP(kc_freep)
                char *hash = secret ? kc_generate_secret_hash(content) : kc_generate_config_map_hash(content);
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s-%s", kustomize_resource_name(x), hash);
                kustomize_resource_remember(x);
                kc_json_set_str(kc_json_get_mut(x->obj, "metadata"), "name", name);
        }
}

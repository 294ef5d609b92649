/* ConfigMaps and Secrets from literals, files and env files. Any thread. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/names.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/generate/generate.h"
#include "cli/generate/generate_internal.h"
#include "tls/tls.h"

enum { MAX_DATA = 4 << 20 };

struct data {
        struct json_object *obj;
        const char *kind; /* "ConfigMap" or "Secret" */
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

static int check_key(const struct data *d, const char *key, struct kc_error *err)
{
        struct kc_why why = {0};
        kc_name_config_map_key(key, &why);
        if (why.n > 0) {
                KC_CLEANUP(kc_freep) char *text = kc_why_join(&why, ",");
                return kc_error_set(err, EINVAL, "\"%s\" is not a valid key name for a %s: %s", key, d->kind, text);
        }
        bool in_data = kc_json_get(kc_json_get(d->obj, "data"), key) != NULL;
        if (in_data || kc_json_get(kc_json_get(d->obj, "binaryData"), key)) {
                const char *name = kc_json_str_at(d->obj, "metadata.name");
                if (d->secret)
                        return kc_error_set(
                            err, EEXIST, "cannot add key %s, another key by that name already exists", key);
                return kc_error_set(err, EEXIST,
                    "cannot add key \"%s\", another key by that name already exists in %s for ConfigMap \"%s\"", key,
                    in_data ? "Data" : "BinaryData", name);
        }
        return 0;
}

static int add_value(struct data *d, const char *key, const char *value, size_t len, struct kc_error *err)
{
        int e = check_key(d, key, err);
        if (e < 0)
                return e;
        bool text = !d->secret && is_text(value, len);
        struct json_object *data = kc_json_ensure_obj(d->obj, d->secret || text ? "data" : "binaryData");
        KC_CLEANUP(kc_freep) char *stored = text ? kc_strndup(value, len) : kc_base64_encode(value, len);
        kc_json_set_str(data, key, stored);
        return 0;
}

static int add_literal(struct data *d, const char *pair, struct kc_error *err)
{
        const char *eq = strchr(pair, '=');
        if (!eq || eq == pair)
                return kc_error_set(err, EINVAL, "invalid literal source %s, expected key=value", pair);
        KC_CLEANUP(kc_freep) char *key = kc_strndup(pair, (size_t)(eq - pair));
        return add_value(d, key, eq + 1, strlen(eq + 1), err);
}

static int add_file(struct data *d, const char *key, const char *path, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        int e = kc_file_read(path, MAX_DATA, &b, err);
        return e < 0 ? e : add_value(d, key, kc_buf_str(&b), b.len, err);
}

static int add_directory(struct data *d, const char *path, struct kc_error *err)
{
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, alphasort), e = 0;
        if (n < 0)
                return kc_error_set(err, errno, "error listing files in %s: %s", path, kc_errno_text(errno));
        for (int i = 0; i < n; i++) {
                KC_CLEANUP(kc_freep) char *full = kc_path_join(path, entries[i]->d_name);
                struct stat st;
                if (e == 0 && stat(full, &st) == 0 && S_ISREG(st.st_mode))
                        e = add_file(d, entries[i]->d_name, full, err);
                free(entries[i]);
        }
        free(entries);
        return e;
}

static int add_path(struct data *d, const char *arg, struct kc_error *err)
{
        struct stat st;
        const char *eq = strchr(arg, '='), *path = eq ? eq + 1 : arg;
        if (eq && strchr(path, '='))
                return kc_error_set(err, EINVAL, "key names or file paths cannot contain '='");
        if (eq == arg)
                return kc_error_set(err, EINVAL, "key name for file path %s missing", path);
        if (eq && !*path)
                return kc_error_set(err, EINVAL, "file path for key name %.*s missing", (int)(eq - arg), arg);
        if (stat(path, &st) < 0)
                return kc_error_set(err, errno, "error reading %s: %s", path, kc_errno_text(errno));
        if (S_ISDIR(st.st_mode) && eq)
                return kc_error_set(err, EINVAL, "cannot give a key name for a directory path");
        if (S_ISDIR(st.st_mode))
                return add_directory(d, path, err);
        const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        KC_CLEANUP(kc_freep) char *key = eq ? kc_strndup(arg, (size_t)(eq - arg)) : kc_strdup(base);
        return add_file(d, key, path, err);
}

/* --- env files */

static int bad_bytes(const char *path, const char *line, size_t len, size_t number, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < len; i++)
                kc_buf_addf(&b, "%s%u", i ? " " : "", (unsigned char)line[i]);
        return kc_error_set(
            err, EINVAL, "env file %s contains invalid utf8 bytes at line %zu: [%s]", path, number, kc_buf_str(&b));
}

int kc_generate_check_env_name(const char *name, struct kc_error *err)
{
        static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
        if (name[0] && !(name[0] >= '0' && name[0] <= '9') && strspn(name, chars) == strlen(name) &&
            strcmp(name, ".") != 0 && strncmp(name, "..", 2) != 0)
                return 0;
        return kc_error_set(err, EINVAL,
            "\"%s\" is not a valid key name: a valid environment variable name must consist of alphabetic characters, "
            "digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or "
            "'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')",
            name);
}

static int parse_env_line(const char *line, char ***pairs, struct kc_error *err)
{
        static const char space[] = " \t\v\f\r";
        line += strspn(line, space);
        if (!*line || *line == '#')
                return 0;
        KC_CLEANUP(kc_freep) char *key = kc_strndup(line, strcspn(line, "="));
        const char *eq = strchr(line, '=');
        int e = kc_generate_check_env_name(key, err);
        if (e < 0)
                return e;
        const char *value = eq ? eq + 1 : getenv(key);
        kc_strv_pushf(pairs, "%s=%s", key, value ? value : "");
        return 0;
}

int kc_generate_read_env_file(const char *path, char ***ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_strv_freep) char **pairs = NULL;
        struct stat st;
        if (stat(path, &st) < 0)
                return kc_error_set(err, errno, "error reading %s: %s", path, kc_errno_text(errno));
        if (S_ISDIR(st.st_mode))
                return kc_error_set(err, EISDIR, "env config file %s cannot be a directory", path);
        int e = kc_file_read(path, MAX_DATA, &b, err);
        const char *text = kc_buf_str(&b), *end = text + b.len;
        for (size_t number = 1; e == 0 && text < end; number++) {
                const char *nl = memchr(text, '\n', (size_t)(end - text));
                size_t len = (size_t)((nl ? nl : end) - text);
                if (number == 1 && len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
                        text += 3;
                        len -= 3;
                }
                if (!is_text(text, len) && len > 0)
                        return bad_bytes(path, text, len, number, err);
                KC_CLEANUP(kc_freep) char *line = kc_strndup(text, len > 0 && text[len - 1] == '\r' ? len - 1 : len);
                e = parse_env_line(line, &pairs, err);
                text += len + 1;
        }
        if (e == 0)
                *ret = KC_TAKE(pairs);
        return e;
}

static int add_env_file(struct data *d, const char *path, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **pairs = NULL;
        int e = kc_generate_read_env_file(path, &pairs, err);
        for (char **p = pairs; e == 0 && p && *p; p++)
                e = add_literal(d, *p, err);
        return e;
}

/* --- the objects */

static int fill(struct data *d, const struct kc_generate_data *from, struct kc_error *err)
{
        int e = 0;
        if (kc_strv_len(from->env_files) > 0 && (kc_strv_len(from->files) > 0 || kc_strv_len(from->literals) > 0))
                return kc_error_set(err, EINVAL, "from-env-file cannot be combined with from-file or from-literal");
        for (char *const *f = from->files; e == 0 && f && *f; f++)
                e = add_path(d, *f, err);
        for (char *const *l = from->literals; e == 0 && l && *l; l++)
                e = add_literal(d, *l, err);
        for (char *const *f = from->env_files; e == 0 && f && *f; f++)
                e = add_env_file(d, *f, err);
        return e;
}

static void append_hash(const struct kc_generate_data *from, struct json_object *obj, bool secret)
{
        if (!from->append_hash)
                return;
        KC_CLEANUP(kc_json_freep) struct json_object *whole = kc_json_copy(obj);
        (void)kc_json_ensure_obj(whole, "data"); /* kubectl's is empty, not absent */
        KC_CLEANUP(kc_freep) char *hash = secret ? kc_generate_secret_hash(whole) : kc_generate_config_map_hash(whole);
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s-%s", from->name, hash);
        kc_json_set_str(kc_json_get_mut(obj, "metadata"), "name", name);
}

int kc_generate_config_map(const struct kc_generate_data *from, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj =
            kc_json_build("{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':%s}}", from->name);
        struct data d = {obj, "ConfigMap", false};
        int e = fill(&d, from, err);
        if (e < 0)
                return e;
        append_hash(from, obj, false);
        *ret = KC_TAKE(obj);
        return 0;
}

static struct json_object *new_secret(const char *name, const char *type)
{
        struct json_object *obj = kc_json_build("{'apiVersion':'v1','kind':'Secret','metadata':{'name':%s}}", name);
        if (!kc_str_empty(type))
                kc_json_set_str(obj, "type", type);
        return obj;
}

int kc_generate_secret(
    const struct kc_generate_data *from, const char *type, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *obj = new_secret(from->name, type);
        struct data d = {obj, "Secret", true};
        int e = fill(&d, from, err);
        if (e < 0)
                return e;
        append_hash(from, obj, true);
        *ret = KC_TAKE(obj);
        return 0;
}

int kc_generate_docker_secret(const struct kc_generate_data *from, const struct kc_generate_registry *r,
    struct json_object **ret, struct kc_error *err)
{
        static const char type[] = "kubernetes.io/dockerconfigjson", key[] = ".dockerconfigjson";
        KC_CLEANUP(kc_json_freep) struct json_object *obj = new_secret(from->name, type);
        struct data d = {obj, "Secret", true};
        int e = 0;
        if (kc_strv_len(from->files) == 0 &&
            (kc_str_empty(r->username) || kc_str_empty(r->password) || kc_str_empty(r->server)))
                return kc_error_set(err, EINVAL,
                    "either --from-file or the combination of --docker-username, --docker-password and "
                    "--docker-server is required");
        if (kc_strv_len(from->files) > 0) {
                e = fill(&d, from, err);
        } else {
                KC_CLEANUP(kc_freep) char *pair = kc_asprintf("%s:%s", r->username, r->password);
                KC_CLEANUP(kc_freep) char *auth = kc_base64_encode(pair, strlen(pair));
                KC_CLEANUP(kc_json_freep)
                struct json_object *config =
                    kc_json_build("{'auths':{%s:{'username':%s,'password':%s}}}", r->server, r->username, r->password);
                struct json_object *entry = kc_json_get_mut(kc_json_get_mut(config, "auths"), r->server);
                if (!kc_str_empty(r->email))
                        kc_json_set_str(entry, "email", r->email);
                kc_json_set_str(entry, "auth", auth);
                KC_CLEANUP(kc_freep) char *text = kc_generate_go_json(config);
                e = add_value(&d, key, text, strlen(text), err);
        }
        if (e < 0)
                return e;
        append_hash(from, obj, true);
        *ret = KC_TAKE(obj);
        return 0;
}

static int read_pem(const char *path, struct kc_buf *b, struct kc_error *err)
{
        struct kc_error why = KC_ERROR_INIT;
        int e = kc_file_read(path, MAX_DATA, b, &why);
        if (e < 0)
                (void)kc_error_set(err, why.errnum, "Cannot read file %s, %s", path, kc_error_message(&why));
        kc_error_done(&why);
        return e;
}

int kc_generate_tls_secret(const struct kc_generate_data *from, const char *cert_path, const char *key_path,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *obj = new_secret(from->name, "kubernetes.io/tls");
        KC_CLEANUP(kc_buf_done) struct kc_buf cert = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf key = KC_BUF_INIT;
        struct data d = {obj, "Secret", true};
        if (kc_str_empty(cert_path) || kc_str_empty(key_path))
                return kc_error_set(err, EINVAL, "key and cert must be specified");
        int e = read_pem(cert_path, &cert, err);
        if (e == 0)
                e = read_pem(key_path, &key, err);
        if (e == 0)
                e = kc_tls_check_pair(kc_buf_str(&cert), kc_buf_str(&key), err);
        if (e == 0)
                e = add_value(&d, "tls.crt", kc_buf_str(&cert), cert.len, err);
        if (e == 0)
                e = add_value(&d, "tls.key", kc_buf_str(&key), key.len, err);
        if (e < 0)
                return e;
        append_hash(from, obj, true);
        *ret = KC_TAKE(obj);
        return 0;
}

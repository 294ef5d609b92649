/* Objects from arguments. Any thread. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/create.h"

enum { MAX_DATA = 4 << 20, MAX_PORT = 65535 };

struct json_object *kc_generate_namespace(const char *name)
{
        return kc_json_build(
            "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':%s},'spec':{},'status':{}}", name);
}

struct json_object *kc_generate_service_account(const char *name)
{
        return kc_json_build("{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':%s}}", name);
}

/* "registry/a_b:1@sha256:..." -> "a-b", and a number behind it when there are several. */
static char *container_name(const char *image, size_t index, size_t n)
{
        const char *base = strrchr(image, '/') ? strrchr(image, '/') + 1 : image;
        KC_CLEANUP(kc_freep) char *name = kc_strndup(base, strcspn(base, ":@"));
        for (char *p = name; *p; p++)
                if (*p == '_')
                        *p = '-';
        return n > 1 ? kc_asprintf("%s-%zu", name, index) : KC_TAKE(name);
}

struct json_object *kc_generate_deployment(
    const char *name, char *const *images, int64_t replicas, int64_t port, char *const *command)
{
        struct json_object *containers = json_object_new_array();
        for (size_t i = 0; images && images[i]; i++) {
                KC_CLEANUP(kc_freep) char *container = container_name(images[i], i, kc_strv_len(images));
                struct json_object *c = kc_json_build("{'image':%s,'name':%s,'resources':{}}", images[i], container);
                for (char *const *arg = command; i == 0 && arg && *arg; arg++)
                        kc_json_push_str(kc_json_ensure_arr(c, "command"), *arg);
                if (i == 0 && port >= 0)
                        kc_json_set(c, "ports", kc_json_build("[{'containerPort':%lld}]", (long long)port));
                kc_json_push(containers, c);
        }
        return kc_json_build("{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'labels':{'app':%s},'name':%s},"
                             "'spec':{'replicas':%lld,'selector':{'matchLabels':{'app':%s}},'strategy':{},"
                             "'template':{'metadata':{'labels':{'app':%s}},'spec':{'containers':%o}}},'status':{}}",
            name, name, (long long)replicas, name, name, containers);
}

/* --- data */

struct data {
        struct json_object *obj;
        bool secret;
};

static int add_value(struct data *d, const char *key, const char *value, size_t len, struct kc_error *err)
{
        if (kc_str_empty(key) ||
            strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != strlen(key))
                return kc_error_set(err, EINVAL,
                    "\"%s\" is not a valid key name for a %s: a valid config key must consist of alphanumeric "
                    "characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for "
                    "validation is '[-._a-zA-Z0-9]+')",
                    key, d->secret ? "Secret" : "ConfigMap");
        bool text = memchr(value, '\0', len) == NULL;
        for (size_t at = 0; text && at < len;) {
                size_t k = kc_utf8_len(value + at, len - at);
                text = k > 0;
                at += k;
        }
        struct json_object *data = kc_json_ensure_obj(d->obj, d->secret || text ? "data" : "binaryData");
        if (kc_json_get(kc_json_get(d->obj, "data"), key) || kc_json_get(kc_json_get(d->obj, "binaryData"), key))
                return kc_error_set(err, EEXIST, "cannot add key \"%s\", another key by that name already exists", key);
        if (d->secret || !text) {
                KC_CLEANUP(kc_freep) char *encoded = kc_base64_encode(value, len);
                kc_json_set_str(data, key, encoded);
                return 0;
        }
        KC_CLEANUP(kc_freep) char *copy = kc_strndup(value, len);
        kc_json_set_str(data, key, copy);
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

static int add_path(struct data *d, const char *arg, struct kc_error *err)
{
        struct stat st;
        const char *eq = strchr(arg, '=');
        if (eq) {
                KC_CLEANUP(kc_freep) char *key = kc_strndup(arg, (size_t)(eq - arg));
                return add_file(d, key, eq + 1, err);
        }
        if (stat(arg, &st) < 0)
                return kc_error_set(err, errno, "error reading %s: %s", arg, strerror(errno));
        const char *base = strrchr(arg, '/') ? strrchr(arg, '/') + 1 : arg;
        if (!S_ISDIR(st.st_mode))
                return add_file(d, base, arg, err);
        struct dirent **entries;
        int n = scandir(arg, &entries, NULL, alphasort), e = 0;
        if (n < 0)
                return kc_error_set(err, errno, "error listing files in %s: %s", arg, strerror(errno));
        for (int i = 0; i < n; i++) {
                KC_CLEANUP(kc_freep) char *full = kc_path_join(arg, entries[i]->d_name);
                if (e == 0 && stat(full, &st) == 0 && S_ISREG(st.st_mode))
                        e = add_file(d, entries[i]->d_name, full, err);
                free(entries[i]);
        }
        free(entries);
        return e;
}

static int add_env_file(struct data *d, const char *path, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        int e = kc_file_read(path, MAX_DATA, &b, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(kc_buf_str(&b), '\n');
        for (char **l = lines; e == 0 && l && *l; l++) {
                const char *line = *l + strspn(*l, " \t");
                (*l)[strcspn(*l, "\r")] = '\0';
                if (*line != '\0' && *line != '#')
                        e = add_literal(d, line, err);
        }
        return e;
}

int kc_generate_data(const char *name, bool secret, const char *type, char *const *literals, char *const *files,
    char *const *env_files, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj = kc_json_build(
            "{'apiVersion':'v1','kind':%s,'metadata':{'name':%s}}", secret ? "Secret" : "ConfigMap", name);
        if (secret && !kc_str_empty(type))
                kc_json_set_str(obj, "type", type);
        struct data d = {obj, secret};
        int e = 0;
        for (char *const *f = files; e == 0 && f && *f; f++)
                e = add_path(&d, *f, err);
        for (char *const *l = literals; e == 0 && l && *l; l++)
                e = add_literal(&d, *l, err);
        for (char *const *f = env_files; e == 0 && f && *f; f++)
                e = add_env_file(&d, *f, err);
        if (e < 0)
                return e;
        *ret = KC_TAKE(obj);
        return 0;
}

/* --- services */

static int add_port(struct json_object *ports, const char *arg, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(arg, ':');
        int64_t port, target_number;
        if (kc_strv_len(parts) < 1 || kc_strv_len(parts) > 2 || kc_str_to_i64(parts[0], &port) < 0 || port < 0 ||
            port > MAX_PORT)
                return kc_error_set(err, EINVAL, "invalid port format: %s", arg);
        const char *target = parts[1] ? parts[1] : parts[0];
        KC_CLEANUP(kc_freep) char *name = kc_str_replace_all(arg, ":", "-");
        struct json_object *p = kc_json_build("{'name':%s,'port':%lld,'protocol':'TCP'}", name, (long long)port);
        if (kc_str_to_i64(target, &target_number) == 0)
                kc_json_set_int(p, "targetPort", target_number);
        else
                kc_json_set_str(p, "targetPort", target);
        kc_json_push(ports, p);
        return 0;
}

int kc_generate_service(const char *name, const char *type, const char *cluster_ip, char *const *tcp,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj =
            kc_json_build("{'apiVersion':'v1','kind':'Service','metadata':{'labels':{'app':%s},'name':%s},"
                          "'spec':{'ports':[],'selector':{'app':%s},'type':%s},'status':{'loadBalancer':{}}}",
                name, name, name, type);
        int e = 0;
        for (char *const *t = tcp; e == 0 && t && *t; t++)
                e = add_port(kc_json_at_mut(obj, "spec.ports"), *t, err);
        if (e < 0)
                return e;
        if (!kc_str_empty(cluster_ip))
                kc_json_set_str(kc_json_get_mut(obj, "spec"), "clusterIP", cluster_ip);
        else if (!tcp || !tcp[0])
                return kc_error_set(err, EINVAL, "at least one tcp port specifier must be provided");
        *ret = KC_TAKE(obj);
        return 0;
}

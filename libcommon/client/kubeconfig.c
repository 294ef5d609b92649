/* Kubeconfig files: loading, merging and resolving as clientcmd does, and in-cluster configuration. Any thread. */
#include "client/kubeconfig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/str.h"
#include "json/secret.h"
#include "json/yaml.h"

enum { KUBECONFIG_MAX = 16 << 20 };

static const char SERVICE_ACCOUNT_DIR[] = "/var/run/secrets/kubernetes.io/serviceaccount";
static const char NO_CONFIGURATION[] =
    "invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable";

/* The lists of a Config, and the key of each entry's body. */
static const struct {
        const char *list, *body;
} sections[] = {{"clusters", "cluster"}, {"users", "user"}, {"contexts", "context"}};

/* Makes a relative file name of an entry absolute: it is meant from the directory of its kubeconfig. */
static void resolve_path(struct json_object *body, const char *key, const char *dir)
{
        const char *path = kc_json_str(body, key);
        if (kc_str_empty(path) || path[0] == '/')
                return;
        KC_CLEANUP(kc_freep) char *joined = kc_path_join(dir, path);
        kc_json_set_str(body, key, joined);
}

static void resolve_paths(struct json_object *config, const char *dir)
{
        struct json_object *clusters = kc_json_get_mut(config, "clusters");
        for (size_t i = 0; i < kc_json_len(clusters); i++)
                resolve_path(kc_json_get_mut(kc_json_idx_mut(clusters, i), "cluster"), "certificate-authority", dir);
        struct json_object *users = kc_json_get_mut(config, "users");
        for (size_t i = 0; i < kc_json_len(users); i++) {
                struct json_object *user = kc_json_get_mut(kc_json_idx_mut(users, i), "user");
                resolve_path(user, "client-certificate", dir);
                resolve_path(user, "client-key", dir);
                resolve_path(user, "tokenFile", dir);
                /* A command without a slash is looked up in PATH. */
                struct json_object *exec = kc_json_get_mut(user, "exec");
                const char *command = kc_json_str(exec, "command");
                if (command && strchr(command, '/'))
                        resolve_path(exec, "command", dir);
        }
}

static char *absolute_dir(const char *path)
{
        const char *slash = strrchr(path, '/');
        KC_CLEANUP(kc_freep) char *dir = slash ? kc_strndup(path, (size_t)(slash - path) + 1) : kc_strdup(".");
        char *resolved = realpath(dir, NULL);
        return resolved ? resolved : KC_TAKE(dir);
}

static int load_one(const char *path, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_wipe) struct kc_buf text = KC_BUF_INIT;
        int r = kc_file_read(path, KUBECONFIG_MAX, &text, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_json_freep) struct json_object *config = NULL;
        r = kc_yaml_parse(kc_buf_str(&text), text.len, NULL, &config, err);
        if (r < 0)
                return kc_error_wrap(err, "error loading config file \"%s\"", path);
        if (!config)
                config = json_object_new_object();
        const char *kind = kc_json_str(config, "kind");
        if (!kc_json_is_obj(config) || (kind && !kc_streq(kind, "Config")))
                return kc_error_set(err, EINVAL, "error loading config file \"%s\": not a v1 Config", path);
        KC_CLEANUP(kc_freep) char *dir = absolute_dir(path);
        resolve_paths(config, dir);
        *ret = KC_TAKE(config);
        return 0;
}

/* What is in into already wins. */
static void merge(struct json_object *into, const struct json_object *from)
{
        for (size_t s = 0; s < KC_ARRAY_LEN(sections); s++) {
                struct json_object *list = kc_json_ensure_arr(into, sections[s].list);
                const struct json_object *more = kc_json_get(from, sections[s].list);
                for (size_t i = 0; i < kc_json_len(more); i++) {
                        const struct json_object *entry = kc_json_idx(more, i);
                        const char *name = kc_json_str(entry, "name");
                        if (name && !kc_json_find(list, "name", name))
                                kc_json_push(list, kc_json_copy(entry));
                }
        }
        if (kc_str_empty(kc_json_str(into, "current-context")))
                kc_json_set_str(into, "current-context", kc_json_str(from, "current-context"));
        const struct json_object *preferences = kc_json_get(from, "preferences");
        if (preferences && !kc_json_get(into, "preferences"))
                kc_json_set(into, "preferences", kc_json_copy(preferences));
}

int kc_kubeconfig_load(char *const *paths, struct json_object **ret_config, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *merged = kc_json_build("{'apiVersion':'v1','kind':'Config'}");
        size_t n = kc_strv_len(paths);
        merge(merged, NULL);
        for (size_t i = 0; i < n; i++) {
                if (kc_str_empty(paths[i]))
                        continue;
                KC_CLEANUP(kc_json_freep) struct json_object *one = NULL;
                struct kc_error why = KC_ERROR_INIT;
                int r = load_one(paths[i], &one, &why);
                if (r == -ENOENT && n > 1) {
                        kc_error_done(&why);
                        continue;
                }
                if (r < 0) {
                        if (err)
                                kc_error_move(err, &why);
                        else
                                kc_error_done(&why);
                        return r;
                }
                merge(merged, one);
        }
        *ret_config = KC_TAKE(merged);
        return 0;
}

char **kc_kubeconfig_paths(const char *explicit_path)
{
        char **paths = NULL;
        const char *env = getenv("KUBECONFIG");
        if (!kc_str_empty(explicit_path)) {
                kc_strv_push(&paths, explicit_path);
        } else if (!kc_str_empty(env)) {
                paths = kc_strv_split(env, ':');
        } else {
                const char *home = getenv("HOME");
                kc_strv_push_take(&paths, kc_path_join(home ? home : "/", ".kube/config"));
        }
        return paths;
}

/* *ret: the decoded data of a *-data field, or NULL. */
static int decode_pem(const struct json_object *body, const char *key, char **ret, struct kc_error *err)
{
        const char *data = kc_json_str(body, key);
        if (kc_str_empty(data))
                return 0;
        KC_CLEANUP(kc_buf_wipe) struct kc_buf pem = KC_BUF_INIT;
        if (kc_base64_decode(data, strlen(data), &pem) < 0)
                return kc_error_set(err, EINVAL, "illegal base64 data in %s", key);
        kc_free_secret_str(*ret);
        *ret = kc_buf_take_str(&pem);
        return 0;
}

static void take_str(char **dst, const struct json_object *body, const char *key)
{
        const char *v = kc_json_str(body, key);
        if (!kc_str_empty(v))
                kc_str_set(dst, v);
}

static int resolve_cluster(const struct json_object *cluster, struct kc_client_config *c, struct kc_error *err)
{
        take_str(&c->server, cluster, "server");
        take_str(&c->ca_file, cluster, "certificate-authority");
        take_str(&c->tls_server_name, cluster, "tls-server-name");
        take_str(&c->proxy_url, cluster, "proxy-url");
        c->insecure_skip_verify = kc_json_bool(cluster, "insecure-skip-tls-verify", false);
        return decode_pem(cluster, "certificate-authority-data", &c->ca_pem, err);
}

static int resolve_user(const struct json_object *user, struct kc_client_config *c, struct kc_error *err)
{
        take_str(&c->cert_file, user, "client-certificate");
        take_str(&c->key_file, user, "client-key");
        take_str(&c->token, user, "token");
        take_str(&c->token_file, user, "tokenFile");
        take_str(&c->username, user, "username");
        take_str(&c->password, user, "password");
        take_str(&c->as_user, user, "as");
        take_str(&c->as_uid, user, "as-uid");
        const struct json_object *groups = kc_json_get(user, "as-groups");
        for (size_t i = 0; i < kc_json_len(groups); i++)
                if (kc_json_as_str(kc_json_idx(groups, i)))
                        kc_strv_push(&c->as_groups, kc_json_as_str(kc_json_idx(groups, i)));
        const struct json_object *exec = kc_json_get(user, "exec");
        if (kc_json_is_obj(exec))
                c->exec = kc_json_copy(exec);
        int r = decode_pem(user, "client-certificate-data", &c->cert_pem, err);
        return r < 0 ? r : decode_pem(user, "client-key-data", &c->key_pem, err);
}

/* The body of the named entry; -ENOENT with kubectl's message. */
static int find_entry(const struct json_object *config, size_t section, const char *what, const char *name,
    const struct json_object **ret, struct kc_error *err)
{
        const struct json_object *e = kc_json_find(kc_json_get(config, sections[section].list), "name", name);
        if (!e)
                return kc_error_set(err, ENOENT, "%s \"%s\" does not exist", what, name);
        *ret = kc_json_get(e, sections[section].body);
        return 0;
}

static int resolve_into(const struct json_object *config, const struct kc_kubeconfig_overrides *o,
    struct kc_client_config *c, struct kc_error *err)
{
        const struct json_object *context = NULL, *cluster = NULL, *user = NULL;
        const char *name = o && !kc_str_empty(o->context) ? o->context : kc_json_str(config, "current-context");
        int r;
        if (!kc_str_empty(name)) {
                r = find_entry(config, 2, "context", name, &context, err);
                if (r < 0)
                        return r;
                kc_str_set(&c->context, name);
        }
        take_str(&c->cluster, context, "cluster");
        take_str(&c->user, context, "user");
        take_str(&c->ns, context, "namespace");
        if (o && !kc_str_empty(o->cluster))
                kc_str_set(&c->cluster, o->cluster);
        if (o && !kc_str_empty(o->user))
                kc_str_set(&c->user, o->user);
        if (o && !kc_str_empty(o->ns))
                kc_str_set(&c->ns, o->ns);
        if (c->cluster) {
                r = find_entry(config, 0, "cluster", c->cluster, &cluster, err);
                if (r < 0)
                        return r;
                r = resolve_cluster(cluster, c, err);
                if (r < 0)
                        return kc_error_wrap(err, "cluster \"%s\"", c->cluster);
        }
        if (c->user) {
                r = find_entry(config, 1, "auth info", c->user, &user, err);
                if (r < 0)
                        return r;
                r = resolve_user(user, c, err);
                if (r < 0)
                        return kc_error_wrap(err, "user \"%s\"", c->user);
        }
        if (o && !kc_str_empty(o->server))
                kc_str_set(&c->server, o->server);
        if (o && !kc_str_empty(o->token)) {
                kc_str_set(&c->token, o->token);
                kc_str_set(&c->token_file, NULL);
        }
        if (kc_str_empty(c->server))
                return kc_error_set(err, EINVAL, "%s", NO_CONFIGURATION);
        return 0;
}

int kc_kubeconfig_resolve(const struct json_object *config, const struct kc_kubeconfig_overrides *o,
    struct kc_client_config *ret, struct kc_error *err)
{
        struct kc_client_config c = {0};
        int r = resolve_into(config, o, &c, err);
        if (r < 0) {
                kc_client_config_done(&c);
                return r;
        }
        *ret = c;
        return 0;
}

static int in_cluster(struct kc_client_config *ret, struct kc_error *err)
{
        const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
        if (kc_str_empty(host) || kc_str_empty(port))
                return kc_error_set(err, ENOENT,
                    "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must "
                    "be "
                    "defined");
        KC_CLEANUP(kc_freep) char *token_file = kc_path_join(SERVICE_ACCOUNT_DIR, "token");
        KC_CLEANUP(kc_buf_wipe) struct kc_buf token = KC_BUF_INIT;
        int r = kc_file_read(token_file, KUBECONFIG_MAX, &token, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_freep) char *ca_file = kc_path_join(SERVICE_ACCOUNT_DIR, "ca.crt");
        *ret = (struct kc_client_config){0};
        ret->server = kc_asprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
        ret->token_file = KC_TAKE(token_file);
        if (kc_path_exists(ca_file))
                ret->ca_file = KC_TAKE(ca_file);
        KC_CLEANUP(kc_freep) char *ns_file = kc_path_join(SERVICE_ACCOUNT_DIR, "namespace");
        KC_CLEANUP(kc_buf_done) struct kc_buf ns = KC_BUF_INIT;
        /* The namespace file is optional. */
        if (kc_file_read(ns_file, KUBECONFIG_MAX, &ns, NULL) == 0)
                ret->ns = kc_str_trim(kc_buf_str(&ns));
        return 0;
}

int kc_client_config_for_daemon(const char *kubeconfig_path, struct kc_client_config *ret, struct kc_error *err)
{
        if (kc_str_empty(kubeconfig_path))
                return in_cluster(ret, err);
        KC_CLEANUP(kc_strv_freep) char **paths = NULL;
        kc_strv_push(&paths, kubeconfig_path);
        KC_CLEANUP(kc_json_free_secretp) struct json_object *config = NULL;
        int r = kc_kubeconfig_load(paths, &config, err);
        return r < 0 ? r : kc_kubeconfig_resolve(config, NULL, ret, err);
}

void kc_client_config_done(struct kc_client_config *c)
{
        kc_free(c->server);
        kc_free(c->ca_file);
        kc_free(c->ca_pem);
        kc_free(c->cert_file);
        kc_free(c->cert_pem);
        kc_free(c->key_file);
        kc_free_secret_str(c->key_pem);
        kc_free_secret_str(c->token);
        kc_free(c->token_file);
        kc_free(c->username);
        kc_free_secret_str(c->password);
        kc_free(c->tls_server_name);
        kc_free(c->proxy_url);
        kc_free(c->as_user);
        kc_strv_free(c->as_groups);
        kc_free(c->as_uid);
        kc_free(c->ns);
        kc_free(c->context);
        kc_free(c->cluster);
        kc_free(c->user);
        kc_json_free(c->exec);
        *c = (struct kc_client_config){0};
}

/* The context of a command: kubeconfig, connection, discovery, each made at first need. Main thread; the client's loop
 * has a thread of its own. */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/health.h"

#define DEFAULT_SERVER "http://localhost:8080"
/* client-go has no limit of its own for single calls: a slow list is no error. */
enum { NO_TIMEOUT_MS = 24 * 3600 * 1000 };

void kc_cli_init(struct kc_cli *c)
{
        *c = (struct kc_cli){.program = "kubec", .in = stdin, .out = stdout, .err = stderr};
}

static void disconnect(struct kc_cli *c)
{
        if (!c->loop)
                return;
        kc_loop_stop(c->loop);
        kc_loop_join(c->loop);
        kc_rest_close(c->rest);
        kc_rest_free(c->rest);
        kc_loop_free(c->loop);
        c->rest = NULL;
        c->loop = NULL;
}

void kc_cli_done(struct kc_cli *c)
{
        disconnect(c);
        kc_resource_map_free(c->map);
        kc_json_free(c->config_tree);
        if (c->configured)
                kc_client_config_done(&c->config);
        char *strings[] = {c->kubeconfig, c->context, c->cluster, c->user, c->ns, c->server, c->token, c->as, c->as_uid,
            c->ca_file, c->cert_file, c->key_file, c->tls_server_name, c->request_timeout};
        for (size_t i = 0; i < KC_ARRAY_LEN(strings); i++)
                kc_free(strings[i]);
        kc_strv_free(c->as_groups);
        kc_strv_free(c->warnings);
}

int kc_cli_config(struct kc_cli *c, const struct json_object **ret, struct kc_error *err)
{
        if (!c->config_tree) {
                struct stat st;
                if (c->kubeconfig && c->kubeconfig[0] && stat(c->kubeconfig, &st) < 0)
                        return kc_error_set(err, errno, "stat %s: no such file or directory", c->kubeconfig);
                KC_CLEANUP(kc_strv_freep) char **paths = kc_kubeconfig_paths(c->kubeconfig);
                /* One more path: a file that is missing is an empty one. */
                kc_strv_push(&paths, "");
                int e = kc_kubeconfig_load(paths, &c->config_tree, err);
                if (e < 0)
                        return e;
        }
        *ret = c->config_tree;
        return 0;
}

static void override(char **dst, const char *value)
{
        if (!kc_str_empty(value))
                kc_str_set(dst, value);
}

/* Flags win over the kubeconfig. */
static void override_config(struct kc_cli *c)
{
        struct kc_client_config *k = &c->config;
        override(&k->as_user, c->as);
        override(&k->as_uid, c->as_uid);
        override(&k->tls_server_name, c->tls_server_name);
        if (c->as_groups) {
                kc_strv_free(k->as_groups);
                k->as_groups = kc_strv_copy(c->as_groups);
        }
        if (!kc_str_empty(c->ca_file)) {
                kc_str_set(&k->ca_file, c->ca_file);
                kc_str_set(&k->ca_pem, NULL);
        }
        if (!kc_str_empty(c->cert_file)) {
                kc_str_set(&k->cert_file, c->cert_file);
                kc_str_set(&k->cert_pem, NULL);
        }
        if (!kc_str_empty(c->key_file)) {
                kc_str_set(&k->key_file, c->key_file);
                kc_str_set(&k->key_pem, NULL);
        }
        if (c->insecure)
                k->insecure_skip_verify = true;
}

/* Names given by flags that are not there, in kubectl's words. */
static int check_names(struct kc_cli *c, const struct json_object *tree, struct kc_error *err)
{
        if (!kc_str_empty(c->context) && !kc_json_find(kc_json_get(tree, "contexts"), "name", c->context)) {
                c->bad_config = true;
                return kc_error_set(err, ENOENT, "context was not found for specified context: %s", c->context);
        }
        if (!kc_str_empty(c->cluster) && !kc_json_find(kc_json_get(tree, "clusters"), "name", c->cluster))
                return kc_error_set(err, ENOENT, "no server found for cluster \"%s\"", c->cluster);
        return 0;
}

static int configure(struct kc_cli *c, struct kc_error *err)
{
        if (c->configured)
                return 0;
        const struct json_object *tree;
        int e = kc_cli_config(c, &tree, err);
        if (e < 0)
                return e;
        struct kc_kubeconfig_overrides o = {.context = c->context,
            .cluster = c->cluster,
            .user = c->user,
            .server = c->server,
            .token = c->token,
            .ns = c->ns};
        if (kc_json_len(kc_json_get(tree, "clusters")) == 0 && kc_str_empty(c->server))
                o.server = DEFAULT_SERVER;
        e = check_names(c, tree, err);
        if (e < 0)
                return e;
        e = kc_kubeconfig_resolve(tree, &o, &c->config, err);
        if (e < 0)
                return e;
        c->configured = true;
        override_config(c);
        return 0;
}

int kc_cli_namespace(struct kc_cli *c, const char **ret, struct kc_error *err)
{
        int e = configure(c, err);
        if (e == 0)
                *ret = kc_str_empty(c->config.ns) ? "default" : c->config.ns;
        return e;
}

int kc_cli_files_namespace(struct kc_cli *c, const char **ret, struct kc_error *err)
{
        *ret = kc_cli_namespace_given(c) ? c->ns : NULL;
        return c->local ? 0 : kc_cli_namespace(c, ret, err);
}

bool kc_cli_namespace_given(const struct kc_cli *c)
{
        return !kc_str_empty(c->ns);
}

int kc_cli_request_timeout_ms(const struct kc_cli *c, int *ret_ms, struct kc_error *err)
{
        int64_t usec = 0, seconds;
        if (!kc_str_empty(c->request_timeout)) {
                if (kc_str_to_i64(c->request_timeout, &seconds) == 0 && seconds >= 0 && seconds < INT32_MAX / 1000)
                        usec = seconds * KC_SEC;
                else if (kc_duration_parse(c->request_timeout, &usec) < 0)
                        return kc_error_set(err, EINVAL,
                            "Invalid timeout value. Timeout must be a single integer in seconds, or an integer "
                            "followed "
                            "by a corresponding time unit (e.g. 1s | 2m | 3h)");
        }
        *ret_ms = (int)(usec / KC_MSEC);
        return 0;
}

/* On the loop. Each of them once. */
static void on_warning(const char *text, void *arg)
{
        struct kc_cli *c = arg;
        if (kc_strv_has(c->warnings, text))
                return;
        kc_strv_push(&c->warnings, text);
        (void)fprintf(c->err, "Warning: %s\n", text);
}

int kc_cli_rest(struct kc_cli *c, struct kc_rest **ret, struct kc_error *err)
{
        if (!c->rest) {
                int timeout_ms;
                int e = kc_cli_request_timeout_ms(c, &timeout_ms, err);
                if (e == 0)
                        e = configure(c, err);
                if (e == 0)
                        e = kc_loop_new("kubec-io", &c->loop, err);
                if (e < 0)
                        return e;
                struct kc_rest_opts o = {.user_agent = "kubec/" KC_KUBE_VERSION,
                    .timeout_ms = timeout_ms > 0 ? timeout_ms : NO_TIMEOUT_MS,
                    .on_warning = on_warning,
                    .warning_arg = c};
                e = kc_rest_new(c->loop, &c->config, &o, &c->rest, err);
                if (e == 0)
                        e = kc_loop_start_thread(c->loop, err);
                if (e < 0) {
                        kc_rest_free(c->rest);
                        kc_loop_free(c->loop);
                        c->rest = NULL;
                        c->loop = NULL;
                        return e;
                }
        }
        *ret = c->rest;
        return 0;
}

int kc_cli_map(struct kc_cli *c, struct kc_resource_map **ret, struct kc_error *err)
{
        if (!c->map) {
                struct kc_rest *rest;
                int e = kc_cli_rest(c, &rest, err);
                if (e == 0)
                        e = kc_resource_map_fetch(rest, &c->map, err);
                if (e < 0)
                        return e;
        }
        *ret = c->map;
        return 0;
}

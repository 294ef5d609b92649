/* Kubeconfig files and in-cluster configuration: where the API server is and how to authenticate. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "json/json.h"

/* What one context resolves to. Heap strings, NULL when absent. */
struct kc_client_config {
        char *server; /* "https://10.0.0.1:6443/prefix" */
        char *ca_file, *ca_pem;
        char *cert_file, *cert_pem, *key_file, *key_pem;
        char *token, *token_file; /* the file is read again at most every 60 s */
        char *username, *password;
        char *tls_server_name, *proxy_url;
        bool insecure_skip_verify;
        char *as_user, **as_groups, *as_uid; /* impersonation */
        char *ns;                            /* the context's namespace */
        char *context, *cluster, *user;      /* names, for messages */
        struct json_object *exec;            /* users[].user.exec, for credential plugins */
};

struct kc_kubeconfig_overrides {
        const char *context, *cluster, *user, *server, *token, *ns;
};

/* The merged view of several files as kubectl makes it (first wins); paths a strv; missing files are skipped when
 * there is more than one. The tree is a v1 Config with absolute paths. */
int kc_kubeconfig_load(char *const *paths, struct json_object **ret_config, struct kc_error *err);
/* explicit_path, else $KUBECONFIG (colon list), else ~/.kube/config. */
char **kc_kubeconfig_paths(const char *explicit_path);
/* Resolves a context (current-context by default). Messages as kubectl's: context "x" does not exist. */
int kc_kubeconfig_resolve(const struct json_object *config, const struct kc_kubeconfig_overrides *o,
    struct kc_client_config *ret, struct kc_error *err);
/* For daemons: load one --kubeconfig file and resolve its current context; path NULL or "": in-cluster configuration.
 */
int kc_client_config_for_daemon(const char *kubeconfig_path, struct kc_client_config *ret, struct kc_error *err);
void kc_client_config_done(struct kc_client_config *c);

/* Objects made from command-line arguments, as kubectl create makes them. Trees are the caller's. */
#pragma once

#include "base/error.h"
#include "json/json.h"

struct json_object *kc_generate_namespace(const char *name);
struct json_object *kc_generate_service_account(const char *name);
/* images: a strv; command may be NULL; port < 0: none. */
struct json_object *kc_generate_deployment(
    const char *name, char *const *images, int64_t replicas, int64_t port, char *const *command);
/* literals "k=v", files "[key=]path" (directories: every regular file), env_files; strvs or NULL. secret: base64 data
 * of that type ("" for Opaque by default), else a ConfigMap. */
int kc_generate_data(const char *name, bool secret, const char *type, char *const *literals, char *const *files,
    char *const *env_files, struct json_object **ret, struct kc_error *err);
/* tcp: "port" or "port:targetPort"; type "ClusterIP", "NodePort" or "LoadBalancer"; cluster_ip NULL or "None". */
int kc_generate_service(const char *name, const char *type, const char *cluster_ip, char *const *tcp,
    struct json_object **ret, struct kc_error *err);

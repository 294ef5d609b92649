/* Objects made from command-line arguments, as kubectl create, expose and autoscale make them, with its messages. Pure
 * but for the reading of files that arguments name. Trees are the caller's; what a Go encoder would add to them
 * ("status":{}) is added by kc_generate_complete. Any thread. */
#pragma once

#include "base/error.h"
#include "json/json.h"

/* The object as a typed encoder writes it: keys in order, zero values of required fields. Kinds that are unknown stay
 * as they are. */
int kc_generate_complete(struct json_object *obj, struct kc_error *err);

/* --- data.c: literals "k=v", files "[key=]path" (directories: every regular file), env_files; strvs or NULL. */
struct kc_generate_data {
        const char *name;
        char *const *literals, *const *files, *const *env_files;
        bool append_hash;
};
int kc_generate_config_map(const struct kc_generate_data *d, struct json_object **ret, struct kc_error *err);
int kc_generate_secret(
    const struct kc_generate_data *d, const char *type, struct json_object **ret, struct kc_error *err);
struct kc_generate_registry {
        const char *server, *username, *password, *email;
};
/* From d->files, or what is in r. */
int kc_generate_docker_secret(const struct kc_generate_data *d, const struct kc_generate_registry *r,
    struct json_object **ret, struct kc_error *err);
int kc_generate_tls_secret(const struct kc_generate_data *d, const char *cert_path, const char *key_path,
    struct json_object **ret, struct kc_error *err);
/* Is it the name of a variable, as kubectl takes them? The server takes more. */
int kc_generate_check_env_name(const char *name, struct kc_error *err);
/* "KEY=value" lines of an env file, in order; a line without "=" takes the value from the environment. *ret: a strv of
 * "KEY=value". */
int kc_generate_read_env_file(const char *path, char ***ret, struct kc_error *err);

/* --- hash.c: the suffix of names that depends on content ("tdcm2892t9"). Heap. */
char *kc_generate_config_map_hash(const struct json_object *config_map);
char *kc_generate_secret_hash(const struct json_object *secret);

/* --- workloads.c */
struct json_object *kc_generate_namespace(const char *name);
struct json_object *kc_generate_service_account(const char *name);
/* images: a strv; command may be NULL; port < 0: none. */
struct json_object *kc_generate_deployment(
    const char *name, char *const *images, int64_t replicas, int64_t port, char *const *command);
struct json_object *kc_generate_job(const char *name, const char *image, char *const *command);
/* A run of the CronJob, out of schedule. */
struct json_object *kc_generate_job_from(const char *name, const struct json_object *cron_job);
struct json_object *kc_generate_cron_job(
    const char *name, const char *image, const char *schedule, const char *restart, char *const *command);

/* --- network.c */
struct kc_generate_service {
        const char *name, *type, *cluster_ip, *external_name;
        char *const *tcp; /* "port" or "port:targetPort" */
        int64_t node_port;
};
int kc_generate_service(const struct kc_generate_service *s, struct json_object **ret, struct kc_error *err);
struct kc_generate_ingress {
        const char *name, *class_name, *default_backend;
        char *const *rules, *const *annotations;
};
int kc_generate_ingress(const struct kc_generate_ingress *i, struct json_object **ret, struct kc_error *err);

/* --- policy.c */
int kc_generate_disruption_budget(const char *name, const char *selector, const char *min_available,
    const char *max_unavailable, struct json_object **ret, struct kc_error *err);
struct json_object *kc_generate_priority_class(
    const char *name, int64_t value, bool global_default, const char *description, const char *preemption_policy);
/* hard: "cpu=1,memory=1G"; scopes: "a,b". */
int kc_generate_quota(
    const char *name, const char *hard, const char *scopes, struct json_object **ret, struct kc_error *err);
/* --- rbac.c */
struct kc_generate_binding {
        const char *name, *role, *cluster_role;
        char *const *users, *const *groups, *const *service_accounts; /* "namespace:name" */
};
/* cluster: a ClusterRoleBinding. */
int kc_generate_binding(
    const struct kc_generate_binding *b, bool cluster, struct json_object **ret, struct kc_error *err);
/* Adds subjects to an array, each once. */
int kc_generate_subjects(const struct kc_generate_binding *b, struct json_object *subjects, struct kc_error *err);

/* A label selector ("a=b,c in (d)") as a metav1.LabelSelector. */
int kc_generate_label_selector(const char *selector, struct json_object **ret, struct kc_error *err);

/* kubec set: what its subcommands share. */
#pragma once

#include "cli/manifest_options.h"
#include "cli/objects.h"
#include "cli/write.h"

struct kc_set_options {
        struct kc_manifest_options from;
        bool all, local;
        struct kc_write w;
};
/* Rows of a table of flags; o is a static struct kc_set_options. */
#define KC_SET_FLAGS(o)                                                                                                \
        KC_MANIFEST_FLAGS((o).from, "Set"),                                                                            \
            {"selector", 'l', KC_FLAG_STRING, &(o).from.selector, "label query", "Set"},                               \
            {"all", 0, KC_FLAG_BOOL, &(o).all, "all objects of the resource in the namespace", "Set"},                 \
            {"local", 0, KC_FLAG_BOOL, &(o).local, "change what the file says, without a server", "Set"},              \
            KC_WRITE_PRINT_FLAGS((o).w, "Set"), KC_WRITE_DRY_RUN_FLAG((o).w, "Set"),                                   \
            KC_WRITE_MANAGER_FLAG((o).w, "Set")

/* Changes obj. Negative: not possible. notes: errors of the object that do not keep other changes of it from being
 * sent.
 */
typedef int (*kc_set_change_fn)(struct kc_cli *c, const struct kc_found *f, struct json_object *obj,
    struct kc_cli_errors *notes, struct kc_error *err);
struct kc_set_command {
        const char *operation; /* "image updated" */
        const char *failed;    /* "failed to patch image update to pod template": in front of the server's message */
        bool bare_errors;      /* errors of single objects without "deployments/x " in front */
        kc_set_change_fn change;
        bool always; /* sent and told when nothing changes, too */
};
/* Finds the objects, changes, patches and prints each. args: resources only. */
int kc_set_run(struct kc_cli *c, struct kc_set_options *o, const struct kc_set_command *command, char *const *args,
    struct kc_error *err);

/* The flags that all have. */
int kc_set_check(struct kc_set_options *o, struct kc_error *err);

/* The pod spec of a workload or pod; NULL: it has none. */
struct json_object *kc_pod_spec_of(struct json_object *obj);
/* "the object is not a pod or does not have a pod template: *v1.ConfigMap" */
int kc_no_pod_spec(const struct kc_api_resource *res, struct kc_error *err);
/* Containers, then init containers, whose name the pattern ("*", "we*", "web") matches: calls fn, the number of them.
 */
size_t kc_each_container(
    struct json_object *pod_spec, const char *pattern, void (*fn)(struct json_object *container, void *arg), void *arg);
/* Splits "TYPE/NAME a=b c-" at the first pair; *ret_resources and *ret_pairs are strvs. -EINVAL: a
 * resource behind a pair. */
int kc_set_split_args(char *const *args, char ***ret_resources, char ***ret_pairs);

/* --- One file each. */
int kc_set_image(struct kc_cli *c, char **args, struct kc_error *err);
int kc_set_env(struct kc_cli *c, char **args, struct kc_error *err);
int kc_set_resources(struct kc_cli *c, char **args, struct kc_error *err);
int kc_set_selector(struct kc_cli *c, char **args, struct kc_error *err);
int kc_set_service_account(struct kc_cli *c, char **args, struct kc_error *err);
int kc_set_subject(struct kc_cli *c, char **args, struct kc_error *err);
enum { KC_SET_N_ENV_FLAGS = 20 };
extern const struct kc_flag kc_set_env_flags[KC_SET_N_ENV_FLAGS];

/* kubec create and replace. Main thread. */
#include "cli/create.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/apply.h"
#include "cli/commands.h"
#include "cli/requests.h"

static struct {
        char **files, *output, *dry_run, *field_manager, *validate;
        bool recursive, save_config;
        char **images, **literals, **from_files, **env_files, *type, **tcp, *cluster_ip;
        int64_t replicas, port;
} opt = {.replicas = 1, .port = -1};
static enum kc_dry_run dry_run;

#define WRITE_FLAGS                                                                                                    \
        {"output", 'o', KC_FLAG_STRING, &opt.output, "json, yaml or name", "Create"},                                  \
            {"dry-run", 0, KC_FLAG_STRING, &opt.dry_run, "none, server or client", "Create"},                          \
            {"field-manager", 0, KC_FLAG_STRING, &opt.field_manager, "name of who owns the fields", "Create"},         \
            {"validate", 0, KC_FLAG_STRING, &opt.validate, "strict, warn or ignore", "Create"},                        \
        {                                                                                                              \
                "save-config", 0, KC_FLAG_BOOL, &opt.save_config, "note the configuration for a later apply", "Create" \
        }

static const struct kc_flag file_flags[] = {
    {"filename", 'f', KC_FLAG_STRV, &opt.files, "files, directories or - with the objects", "Create"},
    {"recursive", 'R', KC_FLAG_BOOL, &opt.recursive, "directories with theirs", "Create"},
    WRITE_FLAGS,
};
static const struct kc_flag plain_flags[] = {
    WRITE_FLAGS,
};
static const struct kc_flag deployment_flags[] = {
    {"image", 0, KC_FLAG_STRV, &opt.images, "images of the containers", "Deployment"},
    {"replicas", 'r', KC_FLAG_INT64, &opt.replicas, "number of replicas", "Deployment"},
    {"port", 0, KC_FLAG_INT64, &opt.port, "the port of the container", "Deployment"},
    WRITE_FLAGS,
};
static const struct kc_flag data_flags[] = {
    {"from-literal", 0, KC_FLAG_STRV, &opt.literals, "key=value, may be repeated", "Data"},
    {"from-file", 0, KC_FLAG_STRV, &opt.from_files, "[key=]path, may be repeated", "Data"},
    {"from-env-file", 0, KC_FLAG_STRV, &opt.env_files, "files of key=value lines", "Data"},
    {"type", 0, KC_FLAG_STRING, &opt.type, "the type of the secret", "Data"},
    WRITE_FLAGS,
};
static const struct kc_flag service_flags[] = {
    {"tcp", 0, KC_FLAG_STRV, &opt.tcp, "port or port:targetPort, may be repeated", "Service"},
    {"clusterip", 0, KC_FLAG_STRING, &opt.cluster_ip, "the ClusterIP, or None", "Service"},
    WRITE_FLAGS,
};

static char *write_query(const char *manager)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        bool ignore = kc_streq(opt.validate, "ignore") || kc_streq(opt.validate, "false");
        if (dry_run == KC_DRY_RUN_SERVER)
                kc_query_add(&q, "dryRun", "All");
        kc_query_add(&q, "fieldManager", kc_str_empty(opt.field_manager) ? manager : opt.field_manager);
        kc_query_add(&q, "fieldValidation", ignore ? "Ignore" : kc_streq(opt.validate, "warn") ? "Warn" : "Strict");
        return kc_buf_take_str(&q);
}

static int check(struct kc_error *err)
{
        int e = kc_dry_run_parse(opt.dry_run, &dry_run, err);
        return e < 0 ? e : kc_cli_check_output(opt.output, err);
}

static int post(struct kc_cli *c, const struct kc_api_resource *res, const char *ns, const struct json_object *obj,
    struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_freep) char *query = write_query("kubectl-create");
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(res, ns, NULL, NULL, query);
        KC_CLEANUP(kc_json_freep)
        struct json_object *sent = opt.save_config ? kc_apply_modified(obj) : kc_json_copy(obj);
        KC_CLEANUP(kc_json_freep) struct json_object *created = NULL;
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0 && dry_run != KC_DRY_RUN_CLIENT)
                e = kc_rest_call(rest, "POST", path, "application/json", sent, &created, err);
        return e < 0 ? e : kc_cli_print_result(c, res, created ? created : sent, opt.output, "created", dry_run, err);
}

static int put(struct kc_cli *c, const struct kc_manifest *m, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_freep) char *query = write_query("kubectl-replace");
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(m->res, m->ns, m->name, NULL, query);
        KC_CLEANUP(kc_json_freep)
        struct json_object *sent = opt.save_config ? kc_apply_modified(m->obj) : kc_json_copy(m->obj);
        KC_CLEANUP(kc_json_freep) struct json_object *replaced = NULL;
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0 && dry_run != KC_DRY_RUN_CLIENT)
                e = kc_rest_call(rest, "PUT", path, "application/json", sent, &replaced, err);
        return e < 0 ? e
                     : kc_cli_print_result(c, m->res, replaced ? replaced : sent, opt.output, "replaced", dry_run, err);
}

/* Every object of the files. */
static int run_files(struct kc_cli *c, const char *command, bool replace, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_manifests_done) struct kc_manifests all = {0};
        if (args[0])
                return kc_cli_usage_error(c, command, err, "unexpected args: [%s]", args[0]);
        if (!opt.files)
                return kc_error_set(err, EINVAL, "must specify one of -f and -k");
        int e = check(err);
        if (e == 0)
                e = kc_manifests_load(c, opt.files, opt.recursive, &all, err);
        if (e < 0)
                return e;
        if (all.n == 0 && all.errors.n == 0)
                return kc_error_set(err, EINVAL, "no objects passed to %s", command);
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = {0};
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                const struct kc_manifest *m = &all.v[i];
                if ((replace ? put(c, m, &why) : post(c, m->res, m->ns, m->obj, &why)) < 0) {
                        (void)kc_cli_add_source(&why, replace ? "replacing" : "creating", m->source);
                        kc_cli_errors_take(&errors, &why);
                }
        }
        kc_manifests_errors(&all, &errors);
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

static int run_create(struct kc_cli *c, char **args, struct kc_error *err)
{
        return run_files(c, "create", false, args, err);
}

static int run_replace(struct kc_cli *c, char **args, struct kc_error *err)
{
        return run_files(c, "replace", true, args, err);
}

/* --- from arguments */

/* failed: how kubectl begins its message ("failed to create configmap: "), NULL: the server's own words. */
static int send_generated(struct kc_cli *c, struct json_object *take_obj, const char *failed, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *obj = take_obj;
        struct kc_resource_map *map = NULL;
        const struct kc_api_resource *res = NULL;
        const char *ns = NULL;
        int e = check(err);
        if (e == 0)
                e = kc_cli_namespace(c, &ns, err);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find_kind(map, kc_json_str(obj, "apiVersion"), kc_json_str(obj, "kind"), &res, err);
        if (e != 0)
                return e;
        if (res->namespaced && kc_cli_namespace_given(c))
                kc_json_set_str(kc_json_get_mut(obj, "metadata"), "namespace", ns);
        e = post(c, res, ns, obj, err);
        if (e < 0 && failed && err->code > 0 && !kc_error_is(err, KC_REASON_INVALID)) {
                KC_CLEANUP(kc_freep) char *message = kc_strdup(kc_error_message(err));
                kc_error_done(err);
                return kc_error_set(err, EINVAL, "%s%s", failed, message);
        }
        return e;
}

/* args: exactly one name, which goes to *ret. */
static int one_name(struct kc_cli *c, const char *command, char **args, const char **ret, struct kc_error *err)
{
        size_t n = kc_strv_len(args);
        if (n != 1)
                return kc_cli_usage_error(c, command, err, "exactly one NAME is required, got %zu", n);
        *ret = args[0];
        return 0;
}

static int run_namespace(struct kc_cli *c, char **args, struct kc_error *err)
{
        const char *name = NULL;
        int e = one_name(c, "create namespace", args, &name, err);
        return e < 0 ? e : send_generated(c, kc_generate_namespace(name), NULL, err);
}

static int run_service_account(struct kc_cli *c, char **args, struct kc_error *err)
{
        const char *name = NULL;
        int e = one_name(c, "create serviceaccount", args, &name, err);
        return e < 0 ? e
                     : send_generated(c, kc_generate_service_account(name), "failed to create serviceaccount: ", err);
}

static int run_deployment(struct kc_cli *c, char **args, struct kc_error *err)
{
        if (!args[0])
                return kc_cli_usage_error(c, "create deployment", err, "exactly one NAME is required, got 0");
        if (!opt.images)
                return kc_error_set(err, EINVAL, "required flag(s) \"image\" not set");
        return send_generated(c,
            kc_generate_deployment(args[0], opt.images, opt.replicas, opt.port, args[1] ? args + 1 : NULL),
            "failed to create deployment: ", err);
}

static int make_data(struct kc_cli *c, const char *name, bool secret, struct kc_error *err)
{
        struct json_object *obj = NULL;
        int e = kc_generate_data(name, secret, opt.type, opt.literals, opt.from_files, opt.env_files, &obj, err);
        return e < 0
                   ? e
                   : send_generated(c, obj, secret ? "failed to create secret " : "failed to create configmap: ", err);
}

static int run_config_map(struct kc_cli *c, char **args, struct kc_error *err)
{
        const char *name = NULL;
        int e = one_name(c, "create configmap", args, &name, err);
        return e < 0 ? e : make_data(c, name, false, err);
}

static int run_secret(struct kc_cli *c, char **args, struct kc_error *err)
{
        const char *name = NULL;
        if (!kc_streq(args[0], "generic"))
                return kc_cli_usage_error(c, "create secret", err, "the type of secret must be generic");
        int e = one_name(c, "create secret generic", args + 1, &name, err);
        return e < 0 ? e : make_data(c, name, true, err);
}

static int run_service(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct {
                const char *arg, *type;
        } types[] = {{"clusterip", "ClusterIP"}, {"nodeport", "NodePort"}, {"loadbalancer", "LoadBalancer"}};
        struct json_object *obj = NULL;
        const char *name = NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++) {
                if (!kc_streq(args[0], types[i].arg))
                        continue;
                int e = one_name(c, "create service", args + 1, &name, err);
                if (e == 0)
                        e = kc_generate_service(name, types[i].type, opt.cluster_ip, opt.tcp, &obj, err);
                KC_CLEANUP(kc_freep) char *failed = kc_asprintf("failed to create %s service: ", types[i].type);
                return e < 0 ? e : send_generated(c, obj, failed, err);
        }
        return kc_cli_usage_error(
            c, "create service", err, "the type of service must be clusterip, nodeport or loadbalancer");
}

static const struct kc_command subs[] = {
    {"configmap", "create configmap NAME [--from-file=[key=]source] [--from-literal=key1=value1]",
        "Create a config map", data_flags, KC_ARRAY_LEN(data_flags), run_config_map, .alias = "cm"},
    {"deployment", "create deployment NAME --image=image -- [COMMAND] [args...]", "Create a deployment",
        deployment_flags, KC_ARRAY_LEN(deployment_flags), run_deployment, .alias = "deploy"},
    {"namespace", "create namespace NAME", "Create a namespace", plain_flags, KC_ARRAY_LEN(plain_flags), run_namespace,
        .alias = "ns"},
    {"secret", "create secret generic NAME [--from-file=[key=]source] [--from-literal=key1=value1]", "Create a secret",
        data_flags, KC_ARRAY_LEN(data_flags), run_secret},
    {"service", "create service (clusterip|nodeport|loadbalancer) NAME [--tcp=<port>:<targetPort>]", "Create a service",
        service_flags, KC_ARRAY_LEN(service_flags), run_service, .alias = "svc"},
    {"serviceaccount", "create serviceaccount NAME", "Create a service account", plain_flags, KC_ARRAY_LEN(plain_flags),
        run_service_account, .alias = "sa"},
};

const struct kc_command kc_cmd_create = {.name = "create",
    .usage = "create -f FILENAME [flags]",
    .summary = "Create a resource from a file or from stdin",
    .flags = file_flags,
    .n_flags = KC_ARRAY_LEN(file_flags),
    .run = run_create,
    .subs = subs,
    .n_subs = KC_ARRAY_LEN(subs)};

const struct kc_command kc_cmd_replace = {.name = "replace",
    .usage = "replace -f FILENAME [flags]",
    .summary = "Replace a resource by file name or stdin",
    .flags = file_flags,
    .n_flags = KC_ARRAY_LEN(file_flags),
    .run = run_replace};

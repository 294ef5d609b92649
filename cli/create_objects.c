/* The subcommands of kubec create: objects from arguments. What they look like is made in cli/generate. Main thread. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "api/object.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/create.h"
#include "cli/generate/generate.h"

/* One command runs in a process: flags of the same name share a variable. */
static struct {
        char **images, **literals, **from_files, **env_files, *type, **tcp, *cluster_ip, *external_name;
        char *image, *from, *schedule, *restart, *cert, *key;
        char *role, *cluster_role, **users, **groups, **accounts;
        char *class_name, *default_backend, **rules, **annotations;
        char *selector, *min_available, *max_unavailable, *hard, *scopes, *description, *preemption;
        char *docker_server, *docker_user, *docker_password, *docker_email;
        struct kc_create_role rbac;
        char **audiences, *bound_kind, *bound_name, *bound_uid;
        bool append_hash, global_default;
        int64_t replicas, port, node_port, value, duration;
} opt = {.replicas = 1, .port = -1};
static struct kc_write w = {.allow_missing_keys = true, .typed = true};

#define WRITE_FLAGS                                                                                                    \
        KC_WRITE_PRINT_FLAGS(w, "Create"), KC_WRITE_DRY_RUN_FLAG(w, "Create"), KC_WRITE_MANAGER_FLAG(w, "Create"),     \
            KC_WRITE_VALIDATE_FLAG(w, "Create"), KC_WRITE_SAVE_CONFIG_FLAG(w, "Create")
#define HASH_FLAG                                                                                                      \
        {                                                                                                              \
                "append-hash", 0, KC_FLAG_BOOL, &opt.append_hash, "add a hash of the content to the name", "Data"      \
        }

static const struct kc_flag plain_flags[] = {WRITE_FLAGS};

/* --- what all do */

struct generator {
        const char *command;     /* "create configmap" */
        const char *failed;      /* how kubectl begins the server's message; NULL: the server's own words */
        const char *required[2]; /* flags */
};

/* The arguments in front of "--" are one name. */
static int one_name(struct kc_cli *c, const struct generator *g, char **args, const char **ret, struct kc_error *err)
{
        size_t n = c->dash >= 0 ? (size_t)c->dash : kc_strv_len(args);
        if (n != 1)
                return kc_cli_usage_error(c, g->command, err, "exactly one NAME is required, got %zu", n);
        *ret = args[0];
        return 0;
}

static int require(const char *const names[2], const void *const values[2], struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **missing = NULL;
        for (size_t i = 0; i < 2; i++)
                if (names[i] && !values[i])
                        kc_strv_pushf(&missing, "\"%s\"", names[i]);
        if (!missing)
                return 0;
        KC_CLEANUP(kc_freep) char *all = kc_strv_join(missing, ", ");
        return kc_error_set(err, EINVAL, "required flag(s) %s not set", all);
}

/* kubectl's "failed to create configmap: <the server's message>". */
static int say_failed(const char *failed, struct kc_error *err)
{
        if (!failed || err->code == 0)
                return -err->errnum;
        KC_CLEANUP(kc_freep) char *message = kc_strdup(kc_error_message(err));
        kc_error_done(err);
        return kc_error_set(err, EINVAL, "%s%s", failed, message);
}

static int create(struct kc_cli *c, const struct generator *g, struct json_object *take_obj, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *obj = take_obj;
        struct kc_resource_map *map = NULL;
        const struct kc_api_resource *res = NULL;
        const char *ns = "default";
        int e = kc_generate_complete(obj, err);
        /* Whatever is made here is built in. */
        kc_cli_use_local_map(c);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find_kind(map, kc_json_str(obj, "apiVersion"), kc_json_str(obj, "kind"), &res, err);
        if (e == 0 && w.dry_run != KC_DRY_RUN_CLIENT)
                e = kc_cli_namespace(c, &ns, err);
        if (e != 0)
                return e;
        if (res->namespaced && kc_cli_namespace_given(c))
                kc_json_set_str(kc_json_get_mut(obj, "metadata"), "namespace", c->ns);
        e = kc_create_send(c, &w, res, ns, obj, err);
        return e < 0 ? say_failed(g->failed, err) : e;
}

/* The beginning of each command. */
static int begin(struct kc_cli *c, const struct generator *g, char **args, const char **ret_name, struct kc_error *err)
{
        int e = one_name(c, g, args, ret_name, err);
        return e < 0 ? e : kc_write_check(&w, err);
}

/* --- namespaces and service accounts */

static int run_namespace(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create namespace"};
        const char *name = NULL;
        int e = begin(c, &g, args, &name, err);
        return e < 0 ? e : create(c, &g, kc_generate_namespace(name), err);
}

static int run_service_account(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {
            .command = "create serviceaccount", .failed = "failed to create serviceaccount: "};
        const char *name = NULL;
        int e = begin(c, &g, args, &name, err);
        return e < 0 ? e : create(c, &g, kc_generate_service_account(name), err);
}

static const struct kc_flag token_flags[] = {
    {"audience", 0, KC_FLAG_ARRAY, &opt.audiences, "whom the token is for, may be repeated", "Token"},
    {"duration", 0, KC_FLAG_DURATION, &opt.duration, "how long it shall be valid; 0: as the server says", "Token"},
    {"bound-object-kind", 0, KC_FLAG_STRING, &opt.bound_kind, "Pod, Secret or Node: it is valid as long as that",
        "Token"},
    {"bound-object-name", 0, KC_FLAG_STRING, &opt.bound_name, "its name", "Token"},
    {"bound-object-uid", 0, KC_FLAG_STRING, &opt.bound_uid, "its UID", "Token"},
    KC_WRITE_PRINT_FLAGS(w, "Token"),
};

static int check_bound_object(struct kc_error *err)
{
        static const char *const kinds[] = {"Node", "Pod", "Secret"};
        if (opt.duration < 0)
                return kc_error_set(err, EINVAL, "--duration must be greater than or equal to 0");
        if (opt.duration % KC_SEC != 0)
                return kc_error_set(err, EINVAL, "--duration cannot be expressed in units less than seconds");
        if (kc_str_empty(opt.bound_kind)) {
                if (!kc_str_empty(opt.bound_name))
                        return kc_error_set(
                            err, EINVAL, "--bound-object-name can only be set if --bound-object-kind is provided");
                if (!kc_str_empty(opt.bound_uid))
                        return kc_error_set(
                            err, EINVAL, "--bound-object-uid can only be set if --bound-object-kind is provided");
                return 0;
        }
        bool known = false;
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++)
                known = known || kc_streq(kinds[i], opt.bound_kind);
        if (!known)
                return kc_error_set(err, EINVAL, "supported --bound-object-kind values are Node, Pod, Secret");
        if (kc_str_empty(opt.bound_name))
                return kc_error_set(err, EINVAL, "--bound-object-name is required if --bound-object-kind is provided");
        return 0;
}

static struct json_object *token_request(void)
{
        struct json_object *r =
            kc_json_build("{'kind':'TokenRequest','apiVersion':'authentication.k8s.io/v1','spec':{}}");
        struct json_object *spec = kc_json_get_mut(r, "spec");
        for (char **a = opt.audiences; a && *a; a++)
                kc_json_push_str(kc_json_ensure_arr(spec, "audiences"), *a);
        if (opt.duration > 0)
                kc_json_set_int(spec, "expirationSeconds", opt.duration / KC_SEC);
        if (!kc_str_empty(opt.bound_kind)) {
                kc_json_set(spec, "boundObjectRef",
                    kc_json_build("{'kind':%s,'apiVersion':'v1','name':%s}", opt.bound_kind, opt.bound_name));
                if (!kc_str_empty(opt.bound_uid))
                        kc_json_set_str(kc_json_get_mut(spec, "boundObjectRef"), "uid", opt.bound_uid);
        }
        return r;
}

static int run_token(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create token"};
        const char *name = NULL, *ns = NULL;
        struct kc_rest *rest;
        KC_CLEANUP(kc_json_freep) struct json_object *request = NULL, *answer = NULL;
        int e = begin(c, &g, args, &name, err);
        if (e == 0)
                e = check_bound_object(err);
        if (e == 0)
                e = kc_cli_namespace(c, &ns, err);
        if (e == 0)
                e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        request = token_request();
        e = kc_rest_create_sub(rest, &KC_SERVICEACCOUNTS, ns, name, "token", request, &answer, err);
        if (e < 0)
                return say_failed("failed to create token: ", err);
        const char *token = kc_json_str_at(answer, "status.token");
        if (kc_str_empty(token))
                return kc_error_set(err, EPROTO, "failed to create token: no token in server response");
        if (!kc_str_empty(w.output))
                return kc_write_print(c, &w, NULL, answer, "token created", err);
        /* For a person a line, for a program the token and nothing else. */
        (void)fprintf(c->out, "%s%s", token, isatty(fileno(c->out)) ? "\n" : "");
        return 0;
}

/* --- data */

static const struct kc_flag config_map_flags[] = {
    {"from-literal", 0, KC_FLAG_ARRAY, &opt.literals, "key=value, may be repeated", "Data"},
    {"from-file", 0, KC_FLAG_STRV, &opt.from_files, "[key=]path, may be repeated", "Data"},
    {"from-env-file", 0, KC_FLAG_STRV, &opt.env_files, "files of key=value lines", "Data"},
    HASH_FLAG,
    WRITE_FLAGS,
};
static const struct kc_flag secret_flags[] = {
    {"from-literal", 0, KC_FLAG_ARRAY, &opt.literals, "key=value, may be repeated", "Data"},
    {"from-file", 0, KC_FLAG_STRV, &opt.from_files, "[key=]path, may be repeated", "Data"},
    {"from-env-file", 0, KC_FLAG_STRV, &opt.env_files, "files of key=value lines", "Data"},
    {"type", 0, KC_FLAG_STRING, &opt.type, "the type of the secret", "Data"},
    HASH_FLAG,
    WRITE_FLAGS,
};
static const struct kc_flag docker_flags[] = {
    {"docker-server", 0, KC_FLAG_STRING, &opt.docker_server, "the registry", "Data"},
    {"docker-username", 0, KC_FLAG_STRING, &opt.docker_user, "the user there", "Data"},
    {"docker-password", 0, KC_FLAG_STRING, &opt.docker_password, "and the password", "Data"},
    {"docker-email", 0, KC_FLAG_STRING, &opt.docker_email, "and the address", "Data"},
    {"from-file", 0, KC_FLAG_STRV, &opt.from_files, "[key=]path of a .dockerconfigjson", "Data"},
    HASH_FLAG,
    WRITE_FLAGS,
};
static const struct kc_flag tls_flags[] = {
    {"cert", 0, KC_FLAG_STRING, &opt.cert, "file of the certificate, PEM", "Data"},
    {"key", 0, KC_FLAG_STRING, &opt.key, "file of its private key, PEM", "Data"},
    HASH_FLAG,
    WRITE_FLAGS,
};

static struct kc_generate_data data_of(const char *name)
{
        return (struct kc_generate_data){.name = name,
            .literals = opt.literals,
            .files = opt.from_files,
            .env_files = opt.env_files,
            .append_hash = opt.append_hash};
}

static int run_config_map(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create configmap", .failed = "failed to create configmap: "};
        struct json_object *obj = NULL;
        const char *name = NULL;
        int e = begin(c, &g, args, &name, err);
        struct kc_generate_data d = data_of(name);
        if (e == 0)
                e = kc_generate_config_map(&d, &obj, err);
        return e < 0 ? e : create(c, &g, obj, err);
}

static int run_secret(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create secret generic", .failed = "failed to create secret "};
        struct json_object *obj = NULL;
        const char *name = NULL;
        int e = begin(c, &g, args, &name, err);
        struct kc_generate_data d = data_of(name);
        if (e == 0)
                e = kc_generate_secret(&d, opt.type, &obj, err);
        return e < 0 ? e : create(c, &g, obj, err);
}

static int run_docker(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {
            .command = "create secret docker-registry", .failed = "failed to create secret "};
        struct json_object *obj = NULL;
        const char *name = NULL;
        int e = begin(c, &g, args, &name, err);
        struct kc_generate_data d = data_of(name);
        struct kc_generate_registry r = {
            .server = opt.docker_server ? opt.docker_server : "https://index.docker.io/v1/",
            .username = opt.docker_user,
            .password = opt.docker_password,
            .email = opt.docker_email};
        if (e == 0)
                e = kc_generate_docker_secret(&d, &r, &obj, err);
        return e < 0 ? e : create(c, &g, obj, err);
}

static int run_tls(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create secret tls", .failed = "failed to create secret "};
        struct json_object *obj = NULL;
        const char *name = NULL;
        int e = begin(c, &g, args, &name, err);
        struct kc_generate_data d = data_of(name);
        if (e == 0)
                e = kc_generate_tls_secret(&d, opt.cert, opt.key, &obj, err);
        return e < 0 ? e : create(c, &g, obj, err);
}

/* --- workloads */

static const struct kc_flag deployment_flags[] = {
    {"image", 0, KC_FLAG_STRV, &opt.images, "images of the containers", "Deployment"},
    {"replicas", 'r', KC_FLAG_INT64, &opt.replicas, "number of replicas", "Deployment"},
    {"port", 0, KC_FLAG_INT64, &opt.port, "the port of the container", "Deployment"},
    WRITE_FLAGS,
};
static const struct kc_flag job_flags[] = {
    {"image", 0, KC_FLAG_STRING, &opt.image, "image of the container", "Job"},
    {"from", 0, KC_FLAG_STRING, &opt.from, "the cron job it is a run of: cronjob/NAME", "Job"},
    WRITE_FLAGS,
};
static const struct kc_flag cron_job_flags[] = {
    {"image", 0, KC_FLAG_STRING, &opt.image, "image of the container", "Cron job"},
    {"schedule", 0, KC_FLAG_STRING, &opt.schedule, "when it runs, as in a crontab", "Cron job"},
    {"restart", 0, KC_FLAG_STRING, &opt.restart, "restart policy: OnFailure or Never", "Cron job"},
    WRITE_FLAGS,
};

static int run_deployment(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {
            .command = "create deployment", .failed = "failed to create deployment: ", .required = {"image"}};
        const char *name = NULL;
        int e = require(g.required, (const void *const[2]){opt.images}, err);
        if (e == 0)
                e = begin(c, &g, args, &name, err);
        if (e < 0)
                return e;
        if (opt.images[1] && args[1])
                return kc_error_set(err, EINVAL, "cannot specify multiple --image options and command");
        return create(
            c, &g, kc_generate_deployment(name, opt.images, opt.replicas, opt.port, args[1] ? args + 1 : NULL), err);
}

/* "cronjob/NAME" */
static int read_cron_job(struct kc_cli *c, struct json_object **ret, struct kc_error *err)
{
        struct kc_resource_map *map;
        const char *ns;
        KC_CLEANUP(kc_targets_done) struct kc_targets targets = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *obj = NULL;
        char *one[] = {opt.from, NULL};
        int e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_cli_namespace(c, &ns, err);
        if (e == 0)
                e = kc_targets_parse(map, one, &targets, err);
        if (e < 0)
                return e;
        if (targets.n != 1 || !targets.v[0].name)
                return kc_error_set(err, EINVAL, "from must be an existing cronjob");
        e = kc_cli_get(c, targets.v[0].res, ns, targets.v[0].name, &obj, err);
        if (e < 0)
                return e;
        if (!kc_streq(targets.v[0].res->kind, "CronJob"))
                return kc_error_set(
                    err, EINVAL, "unknown object type *%s.%s", targets.v[0].res->version, targets.v[0].res->kind);
        *ret = KC_TAKE(obj);
        return 0;
}

static int run_job(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create job", .failed = "failed to create job: "};
        const char *name = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *cron_job = NULL;
        int e = begin(c, &g, args, &name, err);
        if (e < 0)
                return e;
        if (kc_str_empty(opt.image) == kc_str_empty(opt.from))
                return kc_error_set(err, EINVAL, "either --image or --from must be specified");
        if (!kc_str_empty(opt.from) && args[1])
                return kc_error_set(err, EINVAL, "cannot specify --from and command");
        if (!kc_str_empty(opt.image))
                return create(c, &g, kc_generate_job(name, opt.image, args + 1), err);
        e = read_cron_job(c, &cron_job, err);
        return e < 0 ? e : create(c, &g, kc_generate_job_from(name, cron_job), err);
}

static int run_cron_job(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {
            .command = "create cronjob", .failed = "failed to create cronjob: ", .required = {"image", "schedule"}};
        const char *name = NULL;
        int e = require(g.required, (const void *const[2]){opt.image, opt.schedule}, err);
        if (e == 0)
                e = begin(c, &g, args, &name, err);
        return e < 0 ? e
                     : create(c, &g, kc_generate_cron_job(name, opt.image, opt.schedule, opt.restart, args + 1), err);
}

/* --- network */

static const struct kc_flag cluster_ip_flags[] = {
    {"tcp", 0, KC_FLAG_STRV, &opt.tcp, "port or port:targetPort, may be repeated", "Service"},
    {"clusterip", 0, KC_FLAG_STRING, &opt.cluster_ip, "the ClusterIP, or None", "Service"},
    WRITE_FLAGS,
};
static const struct kc_flag node_port_flags[] = {
    {"tcp", 0, KC_FLAG_STRV, &opt.tcp, "port or port:targetPort, may be repeated", "Service"},
    {"node-port", 0, KC_FLAG_INT64, &opt.node_port, "the port on the nodes", "Service"},
    WRITE_FLAGS,
};
static const struct kc_flag load_balancer_flags[] = {
    {"tcp", 0, KC_FLAG_STRV, &opt.tcp, "port or port:targetPort, may be repeated", "Service"},
    WRITE_FLAGS,
};
static const struct kc_flag external_name_flags[] = {
    {"external-name", 0, KC_FLAG_STRING, &opt.external_name, "the name it stands for", "Service"},
    {"tcp", 0, KC_FLAG_STRV, &opt.tcp, "port or port:targetPort, may be repeated", "Service"},
    WRITE_FLAGS,
};
static const struct kc_flag ingress_flags[] = {
    {"rule", 0, KC_FLAG_ARRAY, &opt.rules, "host/path=service:port[,tls[=secret]], may be repeated", "Ingress"},
    {"default-backend", 0, KC_FLAG_STRING, &opt.default_backend, "service:port of all other requests", "Ingress"},
    {"class", 0, KC_FLAG_STRING, &opt.class_name, "the ingress class", "Ingress"},
    {"annotation", 0, KC_FLAG_ARRAY, &opt.annotations, "key=value, may be repeated", "Ingress"},
    WRITE_FLAGS,
};

static int create_service(
    struct kc_cli *c, const struct generator *g, const char *type, char **args, struct kc_error *err)
{
        struct json_object *obj = NULL;
        const char *name = NULL;
        int e = begin(c, g, args, &name, err);
        struct kc_generate_service s = {.name = name,
            .type = type,
            .cluster_ip = opt.cluster_ip,
            .external_name = opt.external_name,
            .tcp = opt.tcp,
            .node_port = opt.node_port};
        if (e == 0)
                e = kc_generate_service(&s, &obj, err);
        return e < 0 ? e : create(c, g, obj, err);
}

static int run_cluster_ip(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {
            .command = "create service clusterip", .failed = "failed to create ClusterIP service: "};
        return create_service(c, &g, "ClusterIP", args, err);
}

static int run_node_port(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {
            .command = "create service nodeport", .failed = "failed to create NodePort service: "};
        return create_service(c, &g, "NodePort", args, err);
}

static int run_load_balancer(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {
            .command = "create service loadbalancer", .failed = "failed to create LoadBalancer service: "};
        return create_service(c, &g, "LoadBalancer", args, err);
}

static int run_external_name(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create service externalname",
            .failed = "failed to create ExternalName service: ",
            .required = {"external-name"}};
        int e = require(g.required, (const void *const[2]){opt.external_name}, err);
        return e < 0 ? e : create_service(c, &g, "ExternalName", args, err);
}

static int run_ingress(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create ingress", .failed = "failed to create ingress: "};
        struct json_object *obj = NULL;
        const char *name = NULL;
        int e = begin(c, &g, args, &name, err);
        struct kc_generate_ingress i = {.name = name,
            .class_name = opt.class_name,
            .default_backend = opt.default_backend,
            .rules = opt.rules,
            .annotations = opt.annotations};
        if (e == 0)
                e = kc_generate_ingress(&i, &obj, err);
        return e < 0 ? e : create(c, &g, obj, err);
}
/* --- access */

static const struct kc_flag role_flags[] = {
    {"verb", 0, KC_FLAG_STRV, &opt.rbac.verbs, "verbs of the rule", "Role"},
    {"resource", 0, KC_FLAG_STRV, &opt.rbac.resources, "resources of the rule: NAME[.GROUP][/SUBRESOURCE]", "Role"},
    {"resource-name", 0, KC_FLAG_ARRAY, &opt.rbac.resource_names, "only objects of this name, may be repeated", "Role"},
    WRITE_FLAGS,
};
static const struct kc_flag cluster_role_flags[] = {
    {"verb", 0, KC_FLAG_STRV, &opt.rbac.verbs, "verbs of the rule", "Role"},
    {"non-resource-url", 0, KC_FLAG_STRV, &opt.rbac.urls, "paths that are no resources", "Role"},
    {"resource", 0, KC_FLAG_STRV, &opt.rbac.resources, "resources of the rule: NAME[.GROUP][/SUBRESOURCE]", "Role"},
    {"resource-name", 0, KC_FLAG_ARRAY, &opt.rbac.resource_names, "only objects of this name, may be repeated", "Role"},
    {"aggregation-rule", 0, KC_FLAG_MAP, &opt.rbac.aggregation, "labels of the roles whose rules it has", "Role"},
    WRITE_FLAGS,
};
static const struct kc_flag role_binding_flags[] = {
    {"role", 0, KC_FLAG_STRING, &opt.role, "the Role", "Binding"},
    {"clusterrole", 0, KC_FLAG_STRING, &opt.cluster_role, "the ClusterRole", "Binding"},
    {"user", 0, KC_FLAG_ARRAY, &opt.users, "user, may be repeated", "Binding"},
    {"group", 0, KC_FLAG_ARRAY, &opt.groups, "group, may be repeated", "Binding"},
    {"serviceaccount", 0, KC_FLAG_ARRAY, &opt.accounts, "namespace:name, may be repeated", "Binding"},
    WRITE_FLAGS,
};
static const struct kc_flag cluster_role_binding_flags[] = {
    {"clusterrole", 0, KC_FLAG_STRING, &opt.cluster_role, "the ClusterRole", "Binding"},
    {"user", 0, KC_FLAG_ARRAY, &opt.users, "user, may be repeated", "Binding"},
    {"group", 0, KC_FLAG_ARRAY, &opt.groups, "group, may be repeated", "Binding"},
    {"serviceaccount", 0, KC_FLAG_ARRAY, &opt.accounts, "namespace:name, may be repeated", "Binding"},
    WRITE_FLAGS,
};

static int make_role(struct kc_cli *c, const struct generator *g, bool cluster, char **args, struct kc_error *err)
{
        struct json_object *obj = NULL;
        int e = begin(c, g, args, &opt.rbac.name, err);
        opt.rbac.cluster = cluster;
        if (e == 0)
                e = kc_create_role(c, &opt.rbac, &obj, err);
        return e != 0 ? e : create(c, g, obj, err);
}

static int run_role(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create role"};
        return make_role(c, &g, false, args, err);
}

static int run_cluster_role(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create clusterrole"};
        return make_role(c, &g, true, args, err);
}

static int make_binding(struct kc_cli *c, const struct generator *g, bool cluster, char **args, struct kc_error *err)
{
        struct json_object *obj = NULL;
        const char *name = NULL;
        int e = require(g->required, (const void *const[2]){opt.cluster_role}, err);
        if (e == 0)
                e = begin(c, g, args, &name, err);
        struct kc_generate_binding b = {.name = name,
            .role = opt.role,
            .cluster_role = opt.cluster_role,
            .users = opt.users,
            .groups = opt.groups,
            .service_accounts = opt.accounts};
        if (e == 0)
                e = kc_generate_binding(&b, cluster, &obj, err);
        return e < 0 ? e : create(c, g, obj, err);
}

static int run_role_binding(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create rolebinding", .failed = "failed to create rolebinding: "};
        return make_binding(c, &g, false, args, err);
}

static int run_cluster_role_binding(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create clusterrolebinding",
            .failed = "failed to create clusterrolebinding: ",
            .required = {"clusterrole"}};
        return make_binding(c, &g, true, args, err);
}

/* --- policy */

static const struct kc_flag budget_flags[] = {
    {"selector", 0, KC_FLAG_STRING, &opt.selector, "label query of the pods", "Budget"},
    {"min-available", 0, KC_FLAG_STRING, &opt.min_available, "pods that stay: a number or a percentage", "Budget"},
    {"max-unavailable", 0, KC_FLAG_STRING, &opt.max_unavailable, "pods that may go: a number or a percentage",
        "Budget"},
    WRITE_FLAGS,
};
static const struct kc_flag priority_flags[] = {
    {"value", 0, KC_FLAG_INT64, &opt.value, "the priority", "Priority"},
    {"global-default", 0, KC_FLAG_BOOL, &opt.global_default, "of all pods that name no class", "Priority"},
    {"description", 0, KC_FLAG_STRING, &opt.description, "what it is for", "Priority"},
    {"preemption-policy", 0, KC_FLAG_STRING, &opt.preemption, "PreemptLowerPriority or Never", "Priority"},
    WRITE_FLAGS,
};
static const struct kc_flag quota_flags[] = {
    {"hard", 0, KC_FLAG_STRING, &opt.hard, "resource=limit, separated by commas", "Quota"},
    {"scopes", 0, KC_FLAG_STRING, &opt.scopes, "what is counted, separated by commas", "Quota"},
    WRITE_FLAGS,
};

static int run_budget(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {
            .command = "create poddisruptionbudget", .failed = "failed to create poddisruptionbudgets: "};
        struct json_object *obj = NULL;
        const char *name = NULL;
        int e = begin(c, &g, args, &name, err);
        if (e == 0)
                e = kc_generate_disruption_budget(
                    name, opt.selector, opt.min_available, opt.max_unavailable, &obj, err);
        return e < 0 ? e : create(c, &g, obj, err);
}

static int run_priority(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {
            .command = "create priorityclass", .failed = "failed to create priorityclass: "};
        const char *name = NULL;
        int e = begin(c, &g, args, &name, err);
        return e < 0 ? e
                     : create(c, &g,
                           kc_generate_priority_class(name, opt.value, opt.global_default, opt.description,
                               opt.preemption ? opt.preemption : "PreemptLowerPriority"),
                           err);
}

static int run_quota(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct generator g = {.command = "create quota", .failed = "failed to create quota: "};
        struct json_object *obj = NULL;
        const char *name = NULL;
        int e = begin(c, &g, args, &name, err);
        if (e == 0)
                e = kc_generate_quota(name, opt.hard, opt.scopes, &obj, err);
        return e < 0 ? e : create(c, &g, obj, err);
}

/* --- the table */

#define ROW(row_name, row_alias, row_usage, row_summary, row_flags, row_run)                                           \
        {                                                                                                              \
                .name = row_name, .alias = row_alias, .usage = "create " row_usage, .summary = row_summary,            \
                .flags = row_flags, .n_flags = KC_ARRAY_LEN(row_flags), .run = row_run                                 \
        }

static const struct kc_command secret_subs[] = {
    ROW("docker-registry", NULL, "secret docker-registry NAME --docker-username=user --docker-password=password",
        "Create a secret for pulling images", docker_flags, run_docker),
    ROW("generic", NULL, "secret generic NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1]",
        "Create a secret from files and literals", secret_flags, run_secret),
    ROW("tls", NULL, "secret tls NAME --cert=path/to/cert/file --key=path/to/key/file",
        "Create a secret of a certificate and its key", tls_flags, run_tls),
};

static const struct kc_command service_subs[] = {
    ROW("clusterip", NULL, "service clusterip NAME [--tcp=<port>:<targetPort>]",
        "Create a service inside of the cluster", cluster_ip_flags, run_cluster_ip),
    ROW("externalname", NULL, "service externalname NAME --external-name external.name",
        "Create a service that stands for another name", external_name_flags, run_external_name),
    ROW("loadbalancer", NULL, "service loadbalancer NAME [--tcp=port:targetPort]",
        "Create a service with a load balancer", load_balancer_flags, run_load_balancer),
    ROW("nodeport", NULL, "service nodeport NAME [--tcp=port:targetPort]", "Create a service with a port of the nodes",
        node_port_flags, run_node_port),
};

const struct kc_command kc_create_subs[KC_CREATE_N_SUBS] = {
    ROW("clusterrole", NULL, "clusterrole NAME --verb=verb --resource=resource.group/subresource",
        "Create a cluster role", cluster_role_flags, run_cluster_role),
    ROW("clusterrolebinding", NULL, "clusterrolebinding NAME --clusterrole=NAME [--user=username] [--group=groupname]",
        "Create a binding of a cluster role for all namespaces", cluster_role_binding_flags, run_cluster_role_binding),
    ROW("configmap", "cm", "configmap NAME [--from-file=[key=]source] [--from-literal=key1=value1]",
        "Create a config map", config_map_flags, run_config_map),
    ROW("cronjob", "cj", "cronjob NAME --image=image --schedule='0/5 * * * ?' -- [COMMAND] [args...]",
        "Create a cron job", cron_job_flags, run_cron_job),
    ROW("deployment", "deploy", "deployment NAME --image=image -- [COMMAND] [args...]", "Create a deployment",
        deployment_flags, run_deployment),
    ROW("ingress", "ing", "ingress NAME --rule=host/path=service:port[,tls[=secret]]", "Create an ingress",
        ingress_flags, run_ingress),
    ROW("job", NULL, "job NAME --image=image [--from=cronjob/name] -- [COMMAND] [args...]", "Create a job", job_flags,
        run_job),
    ROW("namespace", "ns", "namespace NAME", "Create a namespace", plain_flags, run_namespace),
    ROW("poddisruptionbudget", "pdb", "poddisruptionbudget NAME --selector=SELECTOR --min-available=N",
        "Create a pod disruption budget", budget_flags, run_budget),
    ROW("priorityclass", "pc", "priorityclass NAME --value=VALUE --global-default=BOOL", "Create a priority class",
        priority_flags, run_priority),
    ROW("quota", "resourcequota", "quota NAME [--hard=key1=value1,key2=value2] [--scopes=Scope1,Scope2]",
        "Create a quota", quota_flags, run_quota),
    ROW("role", NULL, "role NAME --verb=verb --resource=resource.group/subresource", "Create a role", role_flags,
        run_role),
    ROW("rolebinding", NULL, "rolebinding NAME --clusterrole=NAME|--role=NAME [--user=username] [--group=groupname]",
        "Create a binding of a role for a namespace", role_binding_flags, run_role_binding),
    {.name = "secret",
        .usage = "create secret (docker-registry | generic | tls)",
        .summary = "Create a secret",
        .subs = secret_subs,
        .n_subs = KC_ARRAY_LEN(secret_subs)},
    {.name = "service",
        .alias = "svc",
        .usage = "create service (clusterip | externalname | loadbalancer | nodeport)",
        .summary = "Create a service",
        .subs = service_subs,
        .n_subs = KC_ARRAY_LEN(service_subs)},
    ROW("serviceaccount", "sa", "serviceaccount NAME", "Create a service account", plain_flags, run_service_account),
    ROW("token", NULL, "token SERVICE_ACCOUNT_NAME", "Request a token of a service account", token_flags, run_token),
};

/* kubec expose, autoscale: an object made for another one. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/patch.h"
#include "api/schema.h"
#include "base/str.h"
#include "cli/apply.h"
#include "cli/commands.h"
#include "cli/create.h"
#include "cli/generate/generate.h"
#include "cli/objects.h"
#include "cli/set.h"
#include "json/yaml.h"

enum { MAX_NAME = 63, UNSET = INT32_MIN };

static struct {
        struct kc_manifest_options from;
        char *protocol, *port, *type, *balancer_ip, *selector, *labels, *target_port, *external_ip, *name, *affinity,
            *cluster_ip, *overrides, *override_type;
        int64_t min, max, cpu;
} opt = {.min = -1, .max = UNSET, .cpu = -1};
static struct kc_write w = {.allow_missing_keys = true, .typed = true};

#define COMMON_FLAGS                                                                                                   \
        KC_MANIFEST_FLAGS(opt.from, "Expose"), KC_WRITE_PRINT_FLAGS(w, "Expose"), KC_WRITE_DRY_RUN_FLAG(w, "Expose"),  \
            KC_WRITE_MANAGER_FLAG(w, "Expose"), KC_WRITE_SAVE_CONFIG_FLAG(w, "Expose")

static const struct kc_flag expose_flags[] = {
    {"protocol", 0, KC_FLAG_STRING, &opt.protocol, "TCP (default), UDP or SCTP", "Expose"},
    {"port", 0, KC_FLAG_STRING, &opt.port, "the port of the service; by default those of the object", "Expose"},
    {"type", 0, KC_FLAG_STRING, &opt.type, "ClusterIP, NodePort, LoadBalancer or ExternalName", "Expose"},
    {"load-balancer-ip", 0, KC_FLAG_STRING, &opt.balancer_ip, "address for the load balancer", "Expose"},
    {"selector", 0, KC_FLAG_STRING, &opt.selector, "labels of the pods; by default the object's", "Expose"},
    {"labels", 'l', KC_FLAG_STRING, &opt.labels, "labels of the service", "Expose"},
    {"target-port", 0, KC_FLAG_STRING, &opt.target_port, "name or number of the port of the pods", "Expose"},
    {"external-ip", 0, KC_FLAG_STRING, &opt.external_ip, "another address of the service", "Expose"},
    {"name", 0, KC_FLAG_STRING, &opt.name, "the name of the service", "Expose"},
    {"session-affinity", 0, KC_FLAG_STRING, &opt.affinity, "None or ClientIP", "Expose"},
    {"cluster-ip", 0, KC_FLAG_STRING, &opt.cluster_ip, "the ClusterIP, or None", "Expose"},
    {"overrides", 0, KC_FLAG_STRING, &opt.overrides, "a patch of the service, JSON", "Expose"},
    {"override-type", 0, KC_FLAG_STRING, &opt.override_type, "of --overrides: merge, json or strategic", "Expose"},
    COMMON_FLAGS,
};
static const struct kc_flag autoscale_flags[] = {
    {"min", 0, KC_FLAG_INT64, &opt.min, "the least number of pods", "Autoscale"},
    {"max", 0, KC_FLAG_INT64, &opt.max, "the largest number of pods", "Autoscale"},
    {"cpu-percent", 0, KC_FLAG_INT64, &opt.cpu, "use of the CPU to aim at, in percent of what is requested",
        "Autoscale"},
    {"name", 0, KC_FLAG_STRING, &opt.name, "the name of the autoscaler", "Autoscale"},
    COMMON_FLAGS,
};

/* --- what the exposed object says */

static bool can_expose(const struct kc_api_resource *r)
{
        static const char *const kinds[] = {"ReplicationController", "Service", "Pod", "Deployment", "ReplicaSet"};
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++)
                if (kc_streq(kinds[i], r->kind))
                        return true;
        return false;
}

static int selector_of(const struct kc_found *f, const struct json_object **ret, struct kc_error *err)
{
        const struct json_object *selector = kc_json_at(f->obj, "spec.selector");
        if (kc_streq(f->res->kind, "Pod")) {
                *ret = kc_json_at(f->obj, "metadata.labels");
                return kc_json_n_keys(*ret) > 0
                           ? 0
                           : kc_error_set(err, EINVAL, "the pod has no labels and cannot be exposed");
        }
        if (kc_streq(f->res->kind, "Service") && kc_json_n_keys(selector) == 0)
                return kc_error_set(err, EINVAL, "the service has no pod selector set");
        if (kc_json_len(kc_json_get(selector, "matchExpressions")) > 0) {
                KC_CLEANUP(kc_freep) char *text = kc_json_to_str(kc_json_get(selector, "matchExpressions"));
                return kc_error_set(
                    err, EINVAL, "couldn't convert expressions - \"%s\" to map-based selector format", text);
        }
        const struct json_object *labels = kc_json_get(selector, "matchLabels");
        *ret = labels ? labels : selector;
        return 0;
}

/* Its ports: objects with "port" and "protocol". */
static struct json_object *ports_of(const struct kc_found *f)
{
        KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_json_copy(f->obj);
        struct json_object *all = json_object_new_array();
        bool service = kc_streq(f->res->kind, "Service");
        const struct json_object *containers = service ? NULL : kc_json_get(kc_pod_spec_of(copy), "containers");
        for (size_t i = 0; i < (service ? 1 : kc_json_len(containers)); i++) {
                const struct json_object *ports =
                    service ? kc_json_at(f->obj, "spec.ports") : kc_json_get(kc_json_idx(containers, i), "ports");
                for (size_t k = 0; k < kc_json_len(ports); k++) {
                        const struct json_object *p = kc_json_idx(ports, k);
                        const char *protocol = kc_json_str(p, "protocol");
                        kc_json_push(all, kc_json_build("{'port':%lld,'protocol':%s}",
                                              (long long)kc_json_int(p, service ? "port" : "containerPort", 0),
                                              protocol ? protocol : "TCP"));
                }
        }
        return all;
}

static const char *protocol_of(const struct json_object *ports, int64_t port)
{
        if (!kc_str_empty(opt.protocol))
                return opt.protocol;
        for (size_t i = 0; i < kc_json_len(ports); i++)
                if (kc_json_int(kc_json_idx(ports, i), "port", -1) == port)
                        return kc_json_str(kc_json_idx(ports, i), "protocol");
        return "TCP";
}

/* --- the service */

static int add_ports(const struct kc_found *f, struct json_object *spec, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *known = ports_of(f);
        KC_CLEANUP(kc_strv_freep) char **numbers = kc_str_empty(opt.port) ? NULL : kc_strv_split(opt.port, ',');
        for (size_t i = 0; kc_str_empty(opt.port) && i < kc_json_len(known); i++)
                kc_strv_pushf(&numbers, "%lld", (long long)kc_json_int(kc_json_idx(known, i), "port", 0));
        if (!numbers)
                return kc_error_set(err, EINVAL, "couldn't find port via --port flag or introspection");
        for (size_t i = 0; numbers[i]; i++) {
                int64_t port, target;
                if (kc_str_to_i64(numbers[i], &port) < 0)
                        return kc_error_set(err, EINVAL, "strconv.Atoi: parsing \"%s\": invalid syntax", numbers[i]);
                struct json_object *p =
                    kc_json_build("{'port':%lld,'protocol':%s}", (long long)port, protocol_of(known, port));
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("port-%zu", i + 1);
                if (numbers[1])
                        kc_json_set_str(p, "name", name);
                if (kc_str_empty(opt.target_port))
                        kc_json_set_int(p, "targetPort", port);
                else if (kc_str_to_i64(opt.target_port, &target) == 0)
                        kc_json_set_int(p, "targetPort", target);
                else
                        kc_json_set_str(p, "targetPort", opt.target_port);
                kc_json_push(kc_json_ensure_arr(spec, "ports"), p);
        }
        return 0;
}

/* "a=b,c=d" */
static int parse_labels(const char *text, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *labels = json_object_new_object();
        KC_CLEANUP(kc_strv_freep) char **pairs = kc_strv_split(text, ',');
        for (char **p = pairs; *p; p++) {
                const char *eq = strchr(*p, '=');
                if (!eq)
                        return kc_error_set(err, EINVAL, "unexpected label spec: %s", *p);
                KC_CLEANUP(kc_freep) char *key = kc_strndup(*p, (size_t)(eq - *p));
                kc_json_set_str(labels, key, eq + 1);
        }
        *ret = KC_TAKE(labels);
        return 0;
}

/* Labels of a flag, or those that are there. */
static int set_labels(struct json_object *o, const char *field, const char *flag, const struct json_object *otherwise,
    struct kc_error *err)
{
        struct json_object *labels = NULL;
        if (!kc_str_empty(flag)) {
                int e = parse_labels(flag, &labels, err);
                if (e < 0)
                        return e;
        } else if (kc_json_n_keys(otherwise) > 0) {
                labels = kc_json_copy(otherwise);
        }
        if (labels)
                kc_json_set(o, field, labels);
        return 0;
}

static int override(struct json_object **obj, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
        if (kc_str_empty(opt.overrides))
                return 0;
        int e = kc_yaml_parse(opt.overrides, strlen(opt.overrides), NULL, &patch, err);
        if (e < 0)
                return e;
        if (kc_str_empty(opt.override_type) || kc_streq(opt.override_type, "merge"))
                return kc_patch_merge(obj, patch, err);
        if (kc_streq(opt.override_type, "json"))
                return kc_patch_json(obj, patch, err);
        if (kc_streq(opt.override_type, "strategic"))
                return kc_patch_strategic(obj, patch, kc_schema_kind("", "v1", "Service")->type, err);
        return kc_error_set(err, EINVAL, "invalid override type: %s", opt.override_type);
}

static char *name_for(const struct kc_found *f)
{
        return kc_str_empty(opt.name) ? kc_strndup(f->name, MAX_NAME) : kc_strdup(opt.name);
}

static int make_service(struct kc_cli *c, const struct kc_found *f, struct json_object **ret, struct kc_error *err)
{
        (void)c;
        const struct json_object *selector = NULL;
        if (!can_expose(f->res))
                return kc_error_set(err, EINVAL, "cannot expose a %s", f->res->kind);
        int e = kc_str_empty(opt.selector) ? selector_of(f, &selector, err) : 0;
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *name = name_for(f);
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj =
            kc_json_build("{'apiVersion':'v1','kind':'Service','metadata':{'name':%s},'spec':{}}", name);
        struct json_object *spec = kc_json_get_mut(obj, "spec");
        e = add_ports(f, spec, err);
        if (e == 0)
                e = set_labels(spec, "selector", opt.selector, selector, err);
        if (e == 0)
                e = set_labels(
                    kc_json_get_mut(obj, "metadata"), "labels", opt.labels, kc_json_at(f->obj, "metadata.labels"), err);
        if (e < 0)
                return e;
        kc_json_set_str(spec, "type", kc_str_empty(opt.type) ? NULL : opt.type);
        if (!kc_str_empty(opt.external_ip))
                kc_json_push_str(kc_json_ensure_arr(spec, "externalIPs"), opt.external_ip);
        if (kc_streq(opt.type, "LoadBalancer") && !kc_str_empty(opt.balancer_ip))
                kc_json_set_str(spec, "loadBalancerIP", opt.balancer_ip);
        if (!kc_str_empty(opt.affinity) && !kc_streq(opt.affinity, "None") && !kc_streq(opt.affinity, "ClientIP"))
                return kc_error_set(err, EINVAL, "unknown session affinity: %s", opt.affinity);
        kc_json_set_str(spec, "sessionAffinity", kc_str_empty(opt.affinity) ? NULL : opt.affinity);
        kc_json_set_str(spec, "clusterIP", kc_str_empty(opt.cluster_ip) ? NULL : opt.cluster_ip);
        e = override(&obj, err);
        if (e == 0)
                *ret = KC_TAKE(obj);
        return e;
}

/* --- the autoscaler */

static int make_autoscaler(struct kc_cli *c, const struct kc_found *f, struct json_object **ret, struct kc_error *err)
{
        (void)c;
        if (!kc_strv_has(f->res->subresources, "scale"))
                return kc_error_set(err, EINVAL,
                    "cannot autoscale a %s: could not find scale subresource for %s/%s, Resource=%s in discovery "
                    "information",
                    f->res->kind, f->res->group, f->res->version, f->res->resource);
        KC_CLEANUP(kc_freep) char *name = name_for(f);
        struct json_object *obj =
            kc_json_build("{'apiVersion':'autoscaling/v2','kind':'HorizontalPodAutoscaler','metadata':{'name':%s},"
                          "'spec':{'scaleTargetRef':{'kind':%s,'name':%s,'apiVersion':%s},'maxReplicas':%lld}}",
                name, f->res->kind, f->name, kc_json_str(f->obj, "apiVersion"), (long long)opt.max);
        struct json_object *spec = kc_json_get_mut(obj, "spec");
        if (opt.min > 0)
                kc_json_set_int(spec, "minReplicas", opt.min);
        if (opt.cpu >= 0)
                kc_json_set(spec, "metrics",
                    kc_json_build("[{'type':'Resource','resource':{'name':'cpu','target':{'type':'Utilization',"
                                  "'averageUtilization':%lld}}}]",
                        (long long)opt.cpu));
        *ret = obj;
        return 0;
}

/* --- both */

typedef int (*make_fn)(struct kc_cli *c, const struct kc_found *f, struct json_object **ret, struct kc_error *err);

static int make_one(struct kc_cli *c, const struct kc_found *f, make_fn make, const char *operation,
    const char *manager, struct kc_error *err)
{
        struct kc_resource_map *map;
        const struct kc_api_resource *res;
        KC_CLEANUP(kc_json_freep) struct json_object *obj = NULL, *created = NULL;
        int e = make(c, f, &obj, err);
        if (e == 0)
                e = kc_generate_complete(obj, err);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find_kind(map, kc_json_str(obj, "apiVersion"), kc_json_str(obj, "kind"), &res, err);
        if (e < 0)
                return e;
        if (kc_cli_namespace_given(c))
                kc_json_set_str(kc_json_get_mut(obj, "metadata"), "namespace", c->ns);
        if (w.save_config) {
                struct json_object *noted = kc_apply_modified_typed(obj);
                kc_json_free(obj);
                obj = noted;
        }
        struct kc_write_request r = {
            .method = "POST", .res = res, .ns = f->ns, .default_manager = manager, .body = obj};
        if (w.dry_run != KC_DRY_RUN_CLIENT)
                e = kc_write_send(c, &w, &r, &created, err);
        return e < 0 ? e : kc_write_print(c, &w, res, created ? created : obj, operation, err);
}

static int run_each(
    struct kc_cli *c, char **args, make_fn make, const char *operation, const char *manager, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        int e = kc_write_check(&w, err);
        if (e == 0)
                e = kc_cli_find_objects(c,
                    &(struct kc_object_query){.args = args,
                        .files = opt.from.files,
                        .kustomize = opt.from.kustomize,
                        .recursive = opt.from.recursive},
                    &all, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = all.errors;
        all.errors = (struct kc_cli_errors){0};
        for (size_t i = 0; i < all.n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                if (make_one(c, &all.v[i], make, operation, manager, &why) < 0)
                        kc_cli_errors_take(&errors, &why);
        }
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

static int run_expose(struct kc_cli *c, char **args, struct kc_error *err)
{
        return run_each(c, args, make_service, "exposed", "kubectl-expose", err);
}

static int run_autoscale(struct kc_cli *c, char **args, struct kc_error *err)
{
        if (opt.max == UNSET)
                return kc_error_set(err, EINVAL, "required flag(s) \"max\" not set");
        if (opt.max < 1)
                return kc_error_set(
                    err, EINVAL, "--max=MAXPODS is required and must be at least 1, max: %lld", (long long)opt.max);
        if (opt.max < opt.min)
                return kc_error_set(err, EINVAL,
                    "--max=MAXPODS must be larger or equal to --min=MINPODS, max: %lld, min: %lld", (long long)opt.max,
                    (long long)opt.min);
        return run_each(c, args, make_autoscaler, "autoscaled", "kubectl-autoscale", err);
}

const struct kc_command kc_cmd_expose = {.name = "expose",
    .usage = "expose (-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP|SCTP] [--target-port=number-or-name] "
             "[--name=name] [--external-ip=external-ip-of-service] [--type=type]",
    .summary = "Make a service for a pod, deployment, replica set, replication controller or service",
    .examples = "# A service for the pods of a deployment\n"
                "kubec expose deployment web --port=80 --target-port=8080",
    .completes = KC_ARGS_RESOURCES,
    .flags = expose_flags,
    .n_flags = KC_ARRAY_LEN(expose_flags),
    .run = run_expose};
const struct kc_command kc_cmd_autoscale = {.name = "autoscale",
    .usage = "autoscale (-f FILENAME | TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu-percent=CPU]",
    .summary = "Make an autoscaler for a deployment, replica set, stateful set, or replication controller",
    .examples = "# Between 2 and 10 pods, at 80 % of the CPU that they request\n"
                "kubec autoscale deployment web --min=2 --max=10 --cpu-percent=80",
    .completes = KC_ARGS_RESOURCES,
    .flags = autoscale_flags,
    .n_flags = KC_ARRAY_LEN(autoscale_flags),
    .run = run_autoscale};

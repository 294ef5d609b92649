/* kubec cordon, uncordon, drain. Main thread. */
#include "cli/drain.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "api/selector.h"
#include "base/str.h"
#include "cli/commands.h"

static struct kc_drain_opts drain = {.grace = -1};
static struct {
        char *selector, *pod_selector, *dry_run;
        int64_t chunk;
} opt;

static const struct kc_flag cordon_flags[] = {
    {"selector", 'l', KC_FLAG_STRING, &opt.selector, "label query", "Nodes"},
    {"dry-run", 0, KC_FLAG_STRING, &opt.dry_run, "none, server or client", "Nodes"},
};
static const struct kc_flag drain_flags[] = {
    {"selector", 'l', KC_FLAG_STRING, &opt.selector, "label query", "Drain"},
    {"pod-selector", 0, KC_FLAG_STRING, &opt.pod_selector, "only pods with these labels", "Drain"},
    {"ignore-daemonsets", 0, KC_FLAG_BOOL, &drain.ignore_daemon_sets, "leave pods of DaemonSets where they are",
        "Drain"},
    {"delete-emptydir-data", 0, KC_FLAG_BOOL, &drain.delete_empty_dir, "also pods whose emptyDir volumes are lost",
        "Drain"},
    {"delete-local-data", 0, KC_FLAG_BOOL, &drain.delete_empty_dir, "the former name of it", "Drain"},
    {"force", 0, KC_FLAG_BOOL, &drain.force, "also pods that nothing makes anew", "Drain"},
    {"disable-eviction", 0, KC_FLAG_BOOL, &drain.disable_eviction, "delete, whatever disruption budgets say", "Drain"},
    {"grace-period", 0, KC_FLAG_INT64, &drain.grace, "seconds to end gracefully; negative: each pod's own", "Drain"},
    {"timeout", 0, KC_FLAG_DURATION, &drain.timeout, "how long to try; 0: for ever", "Drain"},
    {"skip-wait-for-delete-timeout", 0, KC_FLAG_INT64, &drain.skip_wait,
        "do not wait for pods whose deletion is so many seconds old", "Drain"},
    {"chunk-size", 0, KC_FLAG_INT64, &opt.chunk, "accepted for compatibility", "Drain"},
    {"dry-run", 0, KC_FLAG_STRING, &opt.dry_run, "none, server or client", "Drain"},
};

static int find_nodes(struct kc_cli *c, const char *name, char **args, struct kc_founds *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **nodes = NULL;
        if (!args[0] && kc_str_empty(opt.selector))
                return kc_cli_usage_error(c, name, err, "USAGE: %s NODE [flags]", name);
        if (args[0] && !kc_str_empty(opt.selector))
                return kc_cli_usage_error(
                    c, name, err, "error: cannot specify both a node name and a --selector option");
        if (!args[0])
                kc_strv_push(&nodes, "nodes");
        for (; *args; args++)
                kc_strv_push_take(&nodes, strchr(*args, '/') ? kc_strdup(*args) : kc_asprintf("nodes/%s", *args));
        int e = kc_dry_run_parse(opt.dry_run, &drain.dry_run, err);
        if (e == 0)
                e = kc_cli_find_objects(
                    c, &(struct kc_object_query){.args = nodes, .selector = opt.selector}, ret, err);
        if (e < 0)
                return e;
        if (ret->errors.n > 0) {
                kc_error_move(err, &ret->errors.v[0]);
                return -err->errnum;
        }
        for (size_t i = 0; i < ret->n; i++)
                if (!kc_streq(ret->v[i].res->kind, "Node"))
                        return kc_error_set(err, EINVAL, "expected resource of type node, got \"%s/%s, Resource=%s\"",
                            ret->v[i].res->group, ret->v[i].res->version, ret->v[i].res->resource);
        return 0;
}

static int send_cordon(struct kc_cli *c, const struct kc_found *f, bool wanted, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_freep)
        char *path = kc_cli_path(f->res, NULL, f->name, NULL, drain.dry_run == KC_DRY_RUN_SERVER ? "dryRun=All" : NULL);
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = wanted ? kc_json_build("{'spec':{'unschedulable':%b}}", true)
                                           : kc_json_build("{'spec':{'unschedulable':null}}");
        int e = kc_cli_rest(c, &rest, err);
        return e < 0 ? e : kc_rest_call(rest, "PATCH", path, KC_PATCH_STRATEGIC, patch, NULL, err);
}

/* A node that cannot be changed is said and left alone. */
static int cordon_all(struct kc_cli *c, const struct kc_founds *nodes, bool wanted, struct kc_error *err)
{
        int e = 0;
        for (size_t i = 0; e == 0 && i < nodes->n; i++) {
                const struct kc_found *f = &nodes->v[i];
                struct kc_error why = KC_ERROR_INIT;
                bool there = kc_json_bool_at(f->obj, "spec.unschedulable", false) == wanted;
                KC_CLEANUP(kc_freep)
                char *said = kc_asprintf("%s%scordoned", there ? "already " : "", wanted ? "" : "un");
                if (!there && drain.dry_run != KC_DRY_RUN_CLIENT && send_cordon(c, f, wanted, &why) < 0)
                        (void)fprintf(c->err, "error: unable to %scordon node \"%s\": %s\n", wanted ? "" : "un",
                            f->name, kc_error_message(&why));
                else
                        e = kc_cli_print_result(c, f->res, f->obj, NULL, said, drain.dry_run, err);
                kc_error_done(&why);
        }
        return e;
}

static int run_cordon(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds nodes = {0};
        int e = find_nodes(c, "cordon", args, &nodes, err);
        return e < 0 ? e : cordon_all(c, &nodes, true, err);
}

static int run_uncordon(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds nodes = {0};
        int e = find_nodes(c, "uncordon", args, &nodes, err);
        return e < 0 ? e : cordon_all(c, &nodes, false, err);
}

/* --- drain */

static void say_pending(struct kc_cli *c, const char *node, const struct kc_cli_errors *errors)
{
        struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_drain_pods_done) struct kc_drain_pods pending = {0};
        KC_CLEANUP(kc_freep) char *all = kc_cli_errors_join(errors);
        int e = kc_drain_list(c, &drain, node, &pending, &why);
        if (pending.n > 0)
                (void)fprintf(c->err, "There are pending pods in node \"%s\" when an error occurred: %s\n", node, all);
        for (size_t i = 0; i < pending.n; i++)
                (void)fprintf(c->err, "pod/%s\n", kc_meta_name(pending.v[i]));
        if (e < 0)
                kc_cli_errors_take(&pending.errors, &why);
        KC_CLEANUP(kc_freep) char *new_errors = kc_cli_errors_join(&pending.errors);
        if (pending.errors.n > 0)
                (void)fprintf(
                    c->err, "Following errors occurred while getting the list of pods to delete:\n%s", new_errors);
}

static int drain_one(struct kc_cli *c, const struct kc_found *f, struct kc_cli_errors *errors)
{
        struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_drain_pods_done) struct kc_drain_pods pods = {0};
        if (kc_drain_list(c, &drain, f->name, &pods, &why) < 0) {
                kc_cli_errors_take(errors, &why);
                return -1;
        }
        for (size_t i = 0; i < pods.errors.n; i++)
                kc_cli_errors_take(errors, &pods.errors.v[i]);
        if (errors->n > 0)
                return -1;
        if (pods.warnings)
                (void)fprintf(c->err, "Warning: %s\n", pods.warnings);
        if (drain.dry_run == KC_DRY_RUN_CLIENT) {
                for (size_t i = 0; i < pods.n; i++)
                        (void)fprintf(c->out, "evicting pod %s/%s (dry run)\n", kc_meta_namespace(pods.v[i]),
                            kc_meta_name(pods.v[i]));
                return 0;
        }
        if (kc_drain_remove(c, &drain, &pods, errors) == 0)
                return 0;
        say_pending(c, f->name, errors);
        return -1;
}

static int drain_all(struct kc_cli *c, const struct kc_founds *nodes, struct kc_error *err)
{
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors fatal = {0};
        KC_CLEANUP(kc_strv_freep) char **remaining = NULL;
        int e = 0;
        for (size_t i = 0; e == 0 && i < nodes->n; i++) {
                KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = {0};
                if (drain_one(c, &nodes->v[i], &errors) == 0) {
                        e = kc_cli_print_result(
                            c, nodes->v[i].res, nodes->v[i].obj, NULL, "drained", drain.dry_run, err);
                        continue;
                }
                KC_CLEANUP(kc_freep) char *all = kc_cli_errors_join(&errors);
                (void)fflush(c->out);
                (void)fprintf(c->err, "error: unable to drain node \"%s\" due to error: %s, continuing command...\n",
                    nodes->v[i].name, all);
                kc_strv_push(&remaining, nodes->v[i].name);
                for (size_t k = 0; k < errors.n; k++)
                        kc_cli_errors_take(&fatal, &errors.v[k]);
        }
        if (remaining)
                (void)fprintf(c->err, "There are pending nodes to be drained:\n");
        for (char **n = remaining; n && *n; n++)
                (void)fprintf(c->err, " %s\n", *n);
        /* kubectl does not say "error: " before lists of errors, even of one, such as those of evictions. */
        bool plain = !drain.disable_eviction || fatal.n > 1 ||
                     (fatal.n == 1 && kc_str_has_prefix(kc_error_message(&fatal.v[0]), "cannot delete "));
        for (size_t i = 0; i < fatal.n; i++)
                (void)fprintf(c->err, "%s%s\n", plain ? "" : "error: ", kc_error_message(&fatal.v[i]));
        return e < 0 ? e : fatal.n > 0 ? KC_CLI_FAILED : 0;
}

static int run_drain(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds nodes = {0};
        KC_CLEANUP(kc_selector_freep) struct kc_selector *selector = NULL;
        if (!kc_str_empty(opt.pod_selector) && kc_selector_parse(opt.pod_selector, &selector, NULL) < 0 &&
            (args[0] || !kc_str_empty(opt.selector)))
                return kc_error_set(err, EINVAL, "--pod-selector=<pod_selector> must be a valid label selector");
        drain.pod_selector = opt.pod_selector;
        int e = find_nodes(c, "drain", args, &nodes, err);
        if (e == 0)
                e = cordon_all(c, &nodes, true, err);
        return e < 0 ? e : drain_all(c, &nodes, err);
}

const struct kc_command kc_cmd_cordon = {.name = "cordon",
    .usage = "cordon NODE",
    .summary = "Mark node as unschedulable",
    .flags = cordon_flags,
    .n_flags = KC_ARRAY_LEN(cordon_flags),
    .run = run_cordon,
    .description = "No new pods are placed on the node. Those that are there stay.",
    .examples = "# close a node\nkubec cordon node1\n",
    .completes = KC_ARGS_NAMES,
    .completes_type = "nodes"};
const struct kc_command kc_cmd_uncordon = {.name = "uncordon",
    .usage = "uncordon NODE",
    .summary = "Mark node as schedulable",
    .flags = cordon_flags,
    .n_flags = KC_ARRAY_LEN(cordon_flags),
    .run = run_uncordon,
    .description = "Pods may be placed on the node again.",
    .examples = "# open a node again\nkubec uncordon node1\n",
    .completes = KC_ARGS_NAMES,
    .completes_type = "nodes"};
const struct kc_command kc_cmd_drain = {.name = "drain",
    .usage = "drain NODE",
    .summary = "Drain node in preparation for maintenance",
    .flags = drain_flags,
    .n_flags = KC_ARRAY_LEN(drain_flags),
    .run = run_drain,
    .description =
        "Closes the node for new pods and evicts those that are there, as their disruption budgets allow; it\n"
        "ends when they are gone. Pods of DaemonSets, with emptyDir volumes or without a controller stop it\n"
        "unless a flag says what to do about them.",
    .examples = "# empty a node\nkubec drain node1 --ignore-daemonsets\n\n"
                "# whatever is lost, within 15 minutes\n"
                "kubec drain node1 --ignore-daemonsets --force --delete-emptydir-data --timeout=15m\n",
    .completes = KC_ARGS_NAMES,
    .completes_type = "nodes"};

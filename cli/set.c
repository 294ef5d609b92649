/* kubec set: finding, changing and patching objects, and the subcommands of few words. Main thread. */
#include "cli/set.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <string.h>

#include "api/object.h"
#include "api/patch.h"
#include "api/quantity.h"
#include "api/schema.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/generate/generate.h"

static struct {
        struct kc_set_options set;
        char *containers, *limits, *requests, *resource_version;
        char **users, **groups, **accounts;
} opt = {.set = {.w = {.allow_missing_keys = true, .typed = true}}};

static const struct kc_flag image_flags[] = {KC_SET_FLAGS(opt.set)};
static const struct kc_flag resources_flags[] = {
    {"containers", 'c', KC_FLAG_STRING, &opt.containers, "names of containers; * matches any", "Set"},
    {"limits", 0, KC_FLAG_STRING, &opt.limits, "limits: cpu=200m,memory=512Mi", "Set"},
    {"requests", 0, KC_FLAG_STRING, &opt.requests, "requests: cpu=100m,memory=256Mi", "Set"},
    KC_SET_FLAGS(opt.set),
};
static const struct kc_flag selector_flags[] = {
    {"resource-version", 0, KC_FLAG_STRING, &opt.resource_version, "only if it has this version", "Set"},
    KC_SET_FLAGS(opt.set),
};
static const struct kc_flag subject_flags[] = {
    {"user", 0, KC_FLAG_ARRAY, &opt.users, "users to add, may be repeated", "Set"},
    {"group", 0, KC_FLAG_ARRAY, &opt.groups, "groups to add, may be repeated", "Set"},
    {"serviceaccount", 0, KC_FLAG_ARRAY, &opt.accounts, "namespace:name to add, may be repeated", "Set"},
    KC_SET_FLAGS(opt.set),
};

/* --- pods in objects */

struct json_object *kc_pod_spec_of(struct json_object *obj)
{
        static const char *const paths[] = {"spec.jobTemplate.spec.template.spec", "spec.template.spec"};
        if (kc_streq(kc_json_str(obj, "kind"), "Pod"))
                return kc_json_get_mut(obj, "spec");
        for (size_t i = 0; i < KC_ARRAY_LEN(paths); i++) {
                struct json_object *spec = kc_json_at_mut(obj, paths[i]);
                if (kc_json_is_obj(spec))
                        return spec;
        }
        return NULL;
}

int kc_no_pod_spec(const struct kc_api_resource *res, struct kc_error *err)
{
        return kc_error_set(
            err, EINVAL, "the object is not a pod or does not have a pod template: *%s.%s", res->version, res->kind);
}

size_t kc_each_container(
    struct json_object *pod_spec, const char *pattern, void (*fn)(struct json_object *container, void *arg), void *arg)
{
        static const char *const lists[] = {"containers", "initContainers"};
        size_t n = 0;
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                struct json_object *list = kc_json_get_mut(pod_spec, lists[l]);
                for (size_t i = 0; i < kc_json_len(list); i++) {
                        struct json_object *container = kc_json_idx_mut(list, i);
                        const char *name = kc_json_str(container, "name");
                        if (fnmatch(pattern, name ? name : "", 0) != 0)
                                continue;
                        n++;
                        if (fn)
                                fn(container, arg);
                }
        }
        return n;
}

int kc_set_split_args(char *const *args, char ***ret_resources, char ***ret_pairs)
{
        for (; *args; args++) {
                size_t len = strlen(*args);
                bool pair = strchr(*args, '=') || (len > 1 && (*args)[len - 1] == '-');
                if (!pair && *ret_pairs)
                        return -EINVAL;
                kc_strv_push(pair ? ret_pairs : ret_resources, *args);
        }
        return 0;
}

/* --- changing one object after the other */

static int make_patch(const struct kc_found *f, const struct json_object *changed, struct json_object **ret,
    const char **ret_type, struct kc_error *err)
{
        const struct kc_resource *known = kc_schema_kind(f->res->group, f->res->version, f->res->kind);
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
        int e = known && known->type ? kc_patch_three_way_strategic(f->obj, changed, f->obj, known->type, &patch, err)
                                     : kc_patch_three_way_merge(f->obj, changed, f->obj, &patch, err);
        if (e < 0)
                return e;
        *ret_type = known && known->type ? KC_PATCH_STRATEGIC : KC_PATCH_MERGE;
        *ret = kc_json_n_keys(patch) > 0 ? KC_TAKE(patch) : NULL;
        return 0;
}

static void add_name(const struct kc_set_options *o, const struct kc_set_command *command, const struct kc_found *f,
    struct kc_error *why)
{
        if (command->bare_errors)
                return;
        KC_CLEANUP(kc_freep) char *message = kc_strdup(kc_error_message(why));
        KC_CLEANUP(kc_freep) char *kind = kc_api_resource_name(f->res);
        (void)kc_error_set(why, why->errnum, "error: %s/%s %s\n", o->local ? kind : f->res->resource, f->name, message);
}

static int send(struct kc_cli *c, const struct kc_set_options *o, const struct kc_set_command *command,
    const struct kc_found *f, const struct json_object *patch, const char *type, struct json_object **ret,
    struct kc_error *err)
{
        struct kc_write_request r = {.method = "PATCH",
            .content_type = type,
            .res = f->res,
            .ns = f->ns,
            .name = f->name,
            .default_manager = "kubectl-set",
            .body = patch};
        int e = kc_write_send(c, &o->w, &r, ret, err);
        if (e < 0 && command->failed && err->code > 0) {
                KC_CLEANUP(kc_freep) char *message = kc_strdup(kc_error_message(err));
                kc_error_done(err);
                return kc_error_set(err, EINVAL, "%s %s", command->failed, message);
        }
        return e;
}

static int send_change(struct kc_cli *c, struct kc_set_options *o, const struct kc_set_command *command,
    const struct kc_found *f, const struct json_object *changed, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL, *answer = NULL;
        const char *type;
        int e = make_patch(f, changed, &patch, &type, err);
        if (e < 0 || (!patch && !command->always))
                return e;
        if (!patch)
                patch = json_object_new_object();
        if (o->local || o->w.dry_run == KC_DRY_RUN_CLIENT)
                return kc_write_print(c, &o->w, f->res, changed, command->operation, err);
        e = send(c, o, command, f, patch, type, &answer, err);
        return e < 0 ? e : kc_write_print(c, &o->w, f->res, answer, command->operation, err);
}

/* All changes are made before the first is sent: what is wrong with containers is told first. */
static void change_all(struct kc_cli *c, struct kc_set_options *o, const struct kc_set_command *command,
    const struct kc_founds *all, struct kc_cli_errors *errors)
{
        KC_CLEANUP(kc_freep) struct json_object **changed = kc_calloc(all->n, sizeof(struct json_object *));
        KC_CLEANUP(kc_freep) struct kc_error *why = kc_calloc(all->n, sizeof(struct kc_error));
        for (size_t i = 0; i < all->n; i++) {
                changed[i] = kc_json_copy(all->v[i].obj);
                if (command->change(c, &all->v[i], changed[i], errors, &why[i]) < 0)
                        add_name(o, command, &all->v[i], &why[i]);
        }
        for (size_t i = 0; i < all->n; i++) {
                if (!why[i].errnum)
                        (void)send_change(c, o, command, &all->v[i], changed[i], &why[i]);
                if (why[i].errnum)
                        kc_cli_errors_take(errors, &why[i]);
                kc_json_free(changed[i]);
        }
}

int kc_set_run(struct kc_cli *c, struct kc_set_options *o, const struct kc_set_command *command, char *const *args,
    struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        int e = kc_cli_find_objects(c,
            &(struct kc_object_query){.args = args,
                .files = o->from.files,
                .kustomize = o->from.kustomize,
                .recursive = o->from.recursive,
                .selector = o->from.selector,
                .all = o->all,
                .local = o->local},
            &all, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = all.errors;
        all.errors = (struct kc_cli_errors){0};
        change_all(c, o, command, &all, &errors);
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

int kc_set_check(struct kc_set_options *o, struct kc_error *err)
{
        int e = kc_write_check(&o->w, err);
        if (e < 0)
                return e;
        if (o->local && o->w.dry_run == KC_DRY_RUN_SERVER)
                return kc_error_set(
                    err, EINVAL, "cannot specify --local and --dry-run=server - did you mean --dry-run=client?");
        if (o->all && !kc_str_empty(o->from.selector))
                return kc_error_set(err, EINVAL, "cannot set --all and --selector at the same time");
        return 0;
}

static void KC_PRINTF(2, 3) add_note(struct kc_cli_errors *notes, const char *fmt, ...)
{
        struct kc_error why = KC_ERROR_INIT;
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *text = kc_vasprintf(fmt, ap);
        va_end(ap);
        (void)kc_error_set(&why, ENOENT, "%s", text);
        kc_cli_errors_take(notes, &why);
}

/* --- image */

static char **image_pairs; /* strv of "container=image" */

static void put_image(struct json_object *container, void *arg)
{
        kc_json_set_str(container, "image", arg);
}

static int change_image(struct kc_cli *c, const struct kc_found *f, struct json_object *obj,
    struct kc_cli_errors *notes, struct kc_error *err)
{
        struct json_object *spec = kc_pod_spec_of(obj);
        (void)c;
        if (!spec)
                return kc_no_pod_spec(f->res, err);
        for (char **p = image_pairs; p && *p; p++) {
                KC_CLEANUP(kc_freep) char *name = kc_strndup(*p, strcspn(*p, "="));
                if (kc_each_container(spec, name, put_image, strchr(*p, '=') + 1) == 0)
                        add_note(notes, "error: unable to find container named \"%s\"", name);
        }
        return 0;
}

int kc_set_image(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct kc_set_command command = {
            "image updated", "failed to patch image update to pod template:", false, change_image};
        KC_CLEANUP(kc_strv_freep) char **resources = NULL;
        char *none[] = {NULL};
        int e = kc_set_check(&opt.set, err);
        if (e < 0)
                return e;
        if (kc_set_split_args(args, &resources, &image_pairs) < 0)
                return kc_error_set(err, EINVAL, "all resources must be specified before image changes: %s", args[0]);
        if (!resources && !kc_manifest_options_given(&opt.set.from))
                return kc_error_set(err, EINVAL, "%s", KC_CLI_NO_RESOURCES);
        if (!image_pairs)
                return kc_error_set(err, EINVAL, "at least one image update is required");
        bool any = false;
        for (char **p = image_pairs; *p; p++)
                any = any || kc_str_has_prefix(*p, "*=");
        if (any && image_pairs[1])
                return kc_error_set(err, EINVAL,
                    "all containers are already specified by *, but saw more than one container_name=container_image "
                    "pairs");
        return kc_set_run(c, &opt.set, &command, resources ? resources : none, err);
}

/* --- resources */

static struct json_object *limits, *requests; /* what --limits and --requests say */

static void merge_into(struct json_object *container, const char *field, const struct json_object *wanted)
{
        if (!wanted)
                return;
        struct json_object *list = kc_json_ensure_obj(kc_json_ensure_obj(container, "resources"), field);
        KC_JSON_FOREACH(wanted, key, val)
        {
                kc_json_set(list, key, kc_json_copy(val));
        }
}

static void put_resources(struct json_object *container, void *arg)
{
        (void)arg;
        merge_into(container, "limits", limits);
        merge_into(container, "requests", requests);
}

static int change_resources(struct kc_cli *c, const struct kc_found *f, struct json_object *obj,
    struct kc_cli_errors *notes, struct kc_error *err)
{
        struct json_object *spec = kc_pod_spec_of(obj);
        const char *pattern = kc_str_empty(opt.containers) ? "*" : opt.containers;
        if (!spec)
                return kc_no_pod_spec(f->res, err);
        (void)c;
        if (kc_each_container(spec, pattern, put_resources, NULL) == 0)
                add_note(notes, "error: unable to find container named %s", pattern);
        return 0;
}

static int parse_list(const char *text, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *quota = NULL;
        if (kc_str_empty(text))
                return 0;
        int e = kc_generate_quota("x", text, NULL, &quota, err);
        if (e == 0)
                *ret = kc_json_copy(kc_json_at(quota, "spec.hard"));
        return e;
}

int kc_set_resources(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct kc_set_command command = {"resource requirements updated",
            "failed to patch resources update to pod template", false, change_resources};
        if (kc_str_empty(opt.limits) && kc_str_empty(opt.requests))
                return kc_error_set(err, EINVAL,
                    "you must specify an update to requests or limits (in the form of --requests/--limits)");
        int e = kc_set_check(&opt.set, err);
        if (e == 0)
                e = parse_list(opt.limits, &limits, err);
        if (e == 0)
                e = parse_list(opt.requests, &requests, err);
        if (e == 0)
                e = kc_set_run(c, &opt.set, &command, args, err);
        kc_json_free(limits);
        kc_json_free(requests);
        return e;
}

/* --- selector, serviceaccount, subject */

static struct json_object *wanted_labels;

static int change_selector(struct kc_cli *c, const struct kc_found *f, struct json_object *obj,
    struct kc_cli_errors *notes, struct kc_error *err)
{
        (void)c;
        (void)notes;
        if (!kc_streq(f->res->kind, "Service"))
                return kc_error_set(err, EINVAL, "setting a selector is only supported for Services");
        if (!kc_str_empty(opt.resource_version))
                kc_json_set_str(kc_json_ensure_obj(obj, "metadata"), "resourceVersion", opt.resource_version);
        kc_json_set(kc_json_ensure_obj(obj, "spec"), "selector", kc_json_copy(wanted_labels));
        return 0;
}

int kc_set_selector(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct kc_set_command command = {"selector updated", NULL, true, change_selector};
        KC_CLEANUP(kc_json_freep) struct json_object *selector = NULL;
        size_t n = kc_strv_len(args);
        KC_CLEANUP(kc_strv_freep) char **resources = NULL;
        char *none[] = {NULL};
        int e = kc_set_check(&opt.set, err);
        if (e < 0)
                return e;
        if (n < 1 || (n < 2 && !kc_manifest_options_given(&opt.set.from)))
                return kc_error_set(err, EINVAL, "%s", KC_CLI_NO_RESOURCES);
        e = kc_generate_label_selector(args[n - 1], &selector, err);
        if (e < 0)
                return e;
        if (kc_json_get(selector, "matchExpressions"))
                return kc_error_set(err, EINVAL, "match expression %s not supported on this object", args[n - 1]);
        for (size_t i = 0; i + 1 < n; i++)
                kc_strv_push(&resources, args[i]);
        struct json_object *labels = kc_json_get_mut(selector, "matchLabels");
        wanted_labels = labels ? kc_json_copy(labels) : json_object_new_object();
        e = kc_set_run(c, &opt.set, &command, resources ? resources : none, err);
        kc_json_free(wanted_labels);
        return e;
}

static const char *account;

static int change_account(struct kc_cli *c, const struct kc_found *f, struct json_object *obj,
    struct kc_cli_errors *notes, struct kc_error *err)
{
        (void)c;
        (void)notes;
        struct json_object *spec = kc_pod_spec_of(obj);
        if (!spec)
                return kc_no_pod_spec(f->res, err);
        kc_json_set_str(spec, "serviceAccountName", account);
        return 0;
}

int kc_set_service_account(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct kc_set_command command = {
            "serviceaccount updated", "failed to patch ServiceAccountName", false, change_account, .always = true};
        size_t n = kc_strv_len(args);
        KC_CLEANUP(kc_strv_freep) char **resources = NULL;
        char *none[] = {NULL};
        int e = kc_set_check(&opt.set, err);
        if (e < 0)
                return e;
        if (n == 0)
                return kc_error_set(err, EINVAL, "serviceaccount is required");
        account = args[n - 1];
        for (size_t i = 0; i + 1 < n; i++)
                kc_strv_push(&resources, args[i]);
        return kc_set_run(c, &opt.set, &command, resources ? resources : none, err);
}

static int change_subject(struct kc_cli *c, const struct kc_found *f, struct json_object *obj,
    struct kc_cli_errors *notes, struct kc_error *err)
{
        (void)c;
        (void)notes;
        struct kc_generate_binding b = {.users = opt.users, .groups = opt.groups, .service_accounts = opt.accounts};
        if (!kc_streq(f->res->kind, "RoleBinding") && !kc_streq(f->res->kind, "ClusterRoleBinding"))
                return kc_error_set(
                    err, EINVAL, "setting subjects is only supported for RoleBinding/ClusterRoleBinding");
        return kc_generate_subjects(&b, kc_json_ensure_arr(obj, "subjects"), err);
}

int kc_set_subject(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const struct kc_set_command command = {
            "subjects updated", "failed to patch subjects to rolebinding:", false, change_subject};
        int e = kc_set_check(&opt.set, err);
        if (e < 0)
                return e;
        if (!opt.users && !opt.groups && !opt.accounts)
                return kc_error_set(
                    err, EINVAL, "you must specify at least one value of user, group or serviceaccount");
        struct kc_generate_binding b = {.service_accounts = opt.accounts};
        KC_CLEANUP(kc_json_freep) struct json_object *probe = json_object_new_array();
        e = kc_generate_subjects(&b, probe, err);
        return e < 0 ? e : kc_set_run(c, &opt.set, &command, args, err);
}

/* --- the table */

static const struct kc_command subs[] = {
    {.name = "env",
        .usage = "set env RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N",
        .summary = "Update environment variables of pod templates",
        .examples = "# Set one variable and remove another\n"
                    "kubec set env deployment/web A=b C-\n"
                    "\n"
                    "# All keys of a config map\n"
                    "kubec set env deployment/web --from=configmap/settings",
        .completes = KC_ARGS_RESOURCES,
        .flags = kc_set_env_flags,
        .n_flags = KC_SET_N_ENV_FLAGS,
        .run = kc_set_env},
    {.name = "image",
        .usage = "set image (-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... [flags]",
        .summary = "Update images of pod templates",
        .examples = "# Another image for the container web\n"
                    "kubec set image deployment/web web=nginx:1.27",
        .completes = KC_ARGS_RESOURCES,
        .flags = image_flags,
        .n_flags = KC_ARRAY_LEN(image_flags),
        .run = kc_set_image},
    {.name = "resources",
        .usage = "set resources (-f FILENAME | TYPE NAME) ([--limits=LIMITS & --requests=REQUESTS]) [flags]",
        .summary = "Update resource requests and limits of pod templates",
        .completes = KC_ARGS_RESOURCES,
        .flags = resources_flags,
        .n_flags = KC_ARRAY_LEN(resources_flags),
        .run = kc_set_resources},
    {.name = "selector",
        .usage = "set selector (-f FILENAME | TYPE NAME) EXPRESSIONS [--resource-version=version]",
        .summary = "Set the selector of a service",
        .completes = KC_ARGS_RESOURCES,
        .flags = selector_flags,
        .n_flags = KC_ARRAY_LEN(selector_flags),
        .run = kc_set_selector},
    {.name = "serviceaccount",
        .alias = "sa",
        .usage = "set serviceaccount (-f FILENAME | TYPE NAME) SERVICE_ACCOUNT",
        .summary = "Update the service account of pod templates",
        .completes = KC_ARGS_RESOURCES,
        .flags = image_flags,
        .n_flags = KC_ARRAY_LEN(image_flags),
        .run = kc_set_service_account},
    {.name = "subject",
        .usage = "set subject (-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] "
                 "[--serviceaccount=namespace:serviceaccountname]",
        .summary = "Add subjects to a role binding or cluster role binding",
        .completes = KC_ARGS_RESOURCES,
        .flags = subject_flags,
        .n_flags = KC_ARRAY_LEN(subject_flags),
        .run = kc_set_subject},
};

const struct kc_command kc_cmd_set = {.name = "set",
    .usage = "set SUBCOMMAND",
    .summary = "Set specific features on objects",
    .description =
        "Changes one thing of objects that are there: images, variables, resources, selectors, accounts, subjects.",
    .subs = subs,
    .n_subs = KC_ARRAY_LEN(subs)};

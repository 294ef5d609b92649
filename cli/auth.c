/* kubec auth can-i, whoami. Main thread. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cli/auth_reconcile.h"
#include "cli/commands.h"
#include "cli/describe/describe.h"
#include "cli/describe/layout.h"
#include "cli/printer_object.h"
#include "cli/requests.h"

#define AUTHORIZATION "/apis/authorization.k8s.io/v1/"
#define AUTHENTICATION "/apis/authentication.k8s.io/v1/"

static struct {
        bool all_namespaces, quiet, list, no_headers;
        char *subresource, *output;
} opt;

static const struct kc_flag can_i_flags[] = {
    {"all-namespaces", 'A', KC_FLAG_BOOL, &opt.all_namespaces, "in all namespaces", "Auth"},
    {"list", 0, KC_FLAG_BOOL, &opt.list, "all that is allowed", "Auth"},
    {"no-headers", 0, KC_FLAG_BOOL, &opt.no_headers, "no headers", "Auth"},
    {"quiet", 'q', KC_FLAG_BOOL, &opt.quiet, "say it by the exit code only", "Auth"},
    {"subresource", 0, KC_FLAG_STRING, &opt.subresource, "log, status, ...", "Auth"},
};

static int post(
    struct kc_cli *c, const char *path, const struct json_object *body, struct json_object **ret, struct kc_error *err)
{
        struct kc_rest *rest;
        int e = kc_cli_rest(c, &rest, err);
        return e < 0 ? e : kc_rest_call(rest, "POST", path, "application/json", body, ret, err);
}

/* --- can-i */

static void warn_verb(const struct kc_cli *c, const char *verb)
{
        static const char *const known[] = {"*", "get", "list", "watch", "create", "update", "patch", "delete",
            "deletecollection", "use", "bind", "impersonate", "escalate", "approve", "sign", "attest", NULL};
        if (!kc_strv_has((char *const *)known, verb))
                (void)fprintf(c->err, "Warning: verb '%s' is not a known verb\n\n", verb);
}

static int resource_attributes(struct kc_cli *c, const char *verb, const char *arg, const char *name,
    struct json_object *spec, struct kc_error *err)
{
        struct json_object *attrs = kc_json_ensure_obj(spec, "resourceAttributes");
        const struct kc_api_resource *res = NULL;
        struct kc_resource_map *map = NULL;
        const char *ns = NULL, *slash = strchr(arg, '/');
        KC_CLEANUP(kc_freep) char *type = slash ? kc_strndup(arg, (size_t)(slash - arg)) : kc_strdup(arg);
        int e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_cli_namespace(c, &ns, err);
        if (e != 0)
                return e;
        if (strcmp(type, "*") != 0 && kc_resource_map_find(map, type, &res, NULL) < 0)
                (void)fprintf(c->err, "Warning: the server doesn't have a resource type '%s'\n\n", type);
        if (res && !res->namespaced && !opt.all_namespaces)
                (void)fprintf(c->err, "Warning: resource '%s' is not namespace scoped%s%s%s\n\n", res->resource,
                    res->group[0] ? " in group '" : "", res->group, res->group[0] ? "'" : "");
        if (!opt.all_namespaces)
                kc_json_set_str(attrs, "namespace", ns);
        kc_json_set_str(attrs, "verb", verb);
        kc_json_set_str(attrs, "resource", res ? res->resource : type);
        kc_json_set_str(attrs, "group",
            res                      ? (res->group[0] ? res->group : NULL)
            : strcmp(type, "*") == 0 ? "*"
                                     : NULL);
        kc_json_set_str(attrs, "name", slash ? slash + 1 : name);
        kc_json_set_str(attrs, "subresource", kc_str_empty(opt.subresource) ? NULL : opt.subresource);
        return 0;
}

/* Rules of both kinds, as rows. */
static void print_rules(struct kc_cli *c, const struct json_object *status)
{
        static const char *const lists[] = {"resourceRules", "nonResourceRules"};
        struct kc_layout out = {0};
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *all = json_object_new_array();
        struct kc_layout_columns columns = {.min_width = KC_TABWRITER_MIN_WIDTH, .padding = KC_TABWRITER_PADDING};
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *list = kc_json_get(status, lists[l]);
                for (size_t i = 0; i < kc_json_len(list); i++)
                        kc_json_push(all, kc_json_copy(kc_json_idx(list, i)));
        }
        if (!opt.no_headers)
                kc_layout_add(&out, 0, "Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
        kc_describe_rules(all, 0, &out);
        kc_layout_align(kc_buf_str(&out.text), out.text.len, &columns, &b);
        (void)fwrite(kc_buf_str(&b), 1, b.len, c->out);
        kc_layout_done(&out);
}

static int list_allowed(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *review = NULL, *answer = NULL;
        const char *ns = NULL;
        if (args[0])
                return kc_error_set(err, EINVAL, "list option must be specified with no arguments");
        int e = kc_cli_namespace(c, &ns, err);
        if (e < 0)
                return e;
        review = kc_json_build("{'kind':'SelfSubjectRulesReview','apiVersion':'authorization.k8s.io/v1',"
                               "'spec':{'namespace':%s}}",
            ns);
        e = post(c, AUTHORIZATION "selfsubjectrulesreviews", review, &answer, err);
        if (e < 0)
                return e;
        const struct json_object *status = kc_json_get(answer, "status");
        const char *trouble = kc_json_str(status, "evaluationError");
        if (kc_json_bool(status, "incomplete", false)) {
                (void)fprintf(c->err, "warning: the list may be incomplete");
                (void)fprintf(
                    c->err, "%s%s\n", kc_str_empty(trouble) ? "" : ": ", kc_str_empty(trouble) ? "" : trouble);
        }
        print_rules(c, status);
        return 0;
}

static int run_can_i(struct kc_cli *c, char **args, struct kc_error *err)
{
        size_t n = kc_strv_len(args);
        KC_CLEANUP(kc_json_freep)
        struct json_object *review = kc_json_build(
                               "{'kind':'SelfSubjectAccessReview','apiVersion':'authorization.k8s.io/v1'}"),
                           *answer = NULL;
        struct json_object *spec = kc_json_ensure_obj(review, "spec");
        if (opt.list)
                return list_allowed(c, args, err);
        if (n < 2 || n > 3)
                return kc_error_set(err, EINVAL,
                    "you must specify two arguments: verb resource or verb resource/resourceName.\nSee '%s auth can-i "
                    "-h' for "
                    "help and examples.",
                    c->program);
        int e = 0;
        warn_verb(c, args[0]);
        if (args[1][0] == '/') {
                struct json_object *attrs = kc_json_ensure_obj(spec, "nonResourceAttributes");
                kc_json_set_str(attrs, "path", args[1]);
                kc_json_set_str(attrs, "verb", args[0]);
        } else {
                e = resource_attributes(c, args[0], args[1], args[2], spec, err);
        }
        if (e == 0)
                e = post(c, AUTHORIZATION "selfsubjectaccessreviews", review, &answer, err);
        if (e < 0)
                return e;
        bool allowed = kc_json_bool_at(answer, "status.allowed", false);
        const char *reason = kc_json_str_at(answer, "status.reason"),
                   *trouble = kc_json_str_at(answer, "status.evaluationError");
        if (!opt.quiet && allowed)
                (void)fputs("yes\n", c->out);
        else if (!opt.quiet)
                (void)fprintf(c->out, "no%s%s%s%s\n", kc_str_empty(reason) ? "" : " - ",
                    kc_str_empty(reason) ? "" : reason, kc_str_empty(trouble) ? "" : " - ",
                    kc_str_empty(trouble) ? "" : trouble);
        return allowed ? 0 : KC_CLI_FAILED;
}

/* --- whoami */

static const struct kc_flag whoami_flags[] = {
    {"output", 'o', KC_FLAG_STRING, &opt.output, "as of get", "Auth"},
};

static void add_attribute(struct kc_tabwriter *w, const char *name, const char *value)
{
        kc_tabwriter_cell(w, name);
        kc_tabwriter_cell(w, value);
        kc_tabwriter_end_row(w);
}

/* As Go prints a slice of strings. */
static char *go_list(const struct json_object *list)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addc(&b, '[');
        for (size_t i = 0; i < kc_json_len(list); i++)
                kc_buf_addf(&b, "%s%s", i ? " " : "", kc_json_as_str(kc_json_idx(list, i)));
        kc_buf_addc(&b, ']');
        return kc_buf_take_str(&b);
}

static void print_user(struct kc_cli *c, const struct json_object *user)
{
        KC_CLEANUP(kc_tabwriter_done) struct kc_tabwriter w;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_strv_freep) char **extra = NULL;
        KC_CLEANUP(kc_freep) char *groups = go_list(kc_json_get(user, "groups"));
        kc_tabwriter_init(&w, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
        add_attribute(&w, "ATTRIBUTE", "VALUE");
        if (kc_json_str(user, "username"))
                add_attribute(&w, "Username", kc_json_str(user, "username"));
        if (kc_json_str(user, "uid"))
                add_attribute(&w, "UID", kc_json_str(user, "uid"));
        if (kc_json_len(kc_json_get(user, "groups")))
                add_attribute(&w, "Groups", groups);
        KC_JSON_FOREACH(kc_json_get(user, "extra"), key, val)
        {
                (void)val;
                kc_strv_push(&extra, key);
        }
        kc_strv_sort(extra);
        for (char **k = extra; k && *k; k++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("Extra: %s", *k);
                KC_CLEANUP(kc_freep) char *values = go_list(kc_json_get(kc_json_get(user, "extra"), *k));
                add_attribute(&w, name, values);
        }
        kc_tabwriter_flush(&w, &b);
        (void)fputs(kc_buf_str(&b), c->out);
}

static int run_whoami(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *review =
                               kc_json_build("{'kind':'SelfSubjectReview','apiVersion':'authentication.k8s.io/v1'}"),
                           *answer = NULL;
        KC_CLEANUP(kc_object_printer_freep) struct kc_object_printer *p = NULL;
        if (args[0])
                return kc_cli_usage_error(c, "auth whoami", err, "unexpected arguments: [%s]", args[0]);
        int e = kc_str_empty(opt.output) ? 0 : kc_object_printer_new(opt.output, false, &p, err);
        if (e == 0)
                e = post(c, AUTHENTICATION "selfsubjectreviews", review, &answer, err);
        if (e < 0)
                return e;
        if (p)
                return kc_object_printer_print(p, c, NULL, answer, err);
        print_user(c, kc_json_at(answer, "status.userInfo"));
        return 0;
}

static const struct kc_command subs[] = {
    {.name = "can-i",
        .usage = "auth can-i VERB [TYPE | TYPE/NAME | NONRESOURCEURL] [flags]",
        .summary = "Check whether an action is allowed",
        .flags = can_i_flags,
        .n_flags = KC_ARRAY_LEN(can_i_flags),
        .run = run_can_i},
    {.name = "reconcile",
        .usage = "auth reconcile -f FILENAME",
        .summary = "Give roles and role bindings what files say",
        .examples = "# Rules and subjects of the file are added; with the flags, others go\n"
                    "kubec auth reconcile -f rbac.yaml --remove-extra-permissions --remove-extra-subjects",
        .completes = KC_ARGS_FILE,
        .flags = kc_auth_reconcile_flags,
        .n_flags = KC_AUTH_RECONCILE_N_FLAGS,
        .run = kc_auth_reconcile},
    {.name = "whoami",
        .usage = "auth whoami [flags]",
        .summary = "Check self subject attributes",
        .flags = whoami_flags,
        .n_flags = KC_ARRAY_LEN(whoami_flags),
        .run = run_whoami},
};

const struct kc_command kc_cmd_auth = {.name = "auth",
    .usage = "auth SUBCOMMAND",
    .summary = "Inspect authorization",
    .subs = subs,
    .n_subs = KC_ARRAY_LEN(subs)};

/* kubec certificate approve, deny. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/manifest_options.h"
#include "cli/objects.h"
#include "cli/write.h"

enum { MAX_CONFLICTS = 10 };

static struct {
        struct kc_manifest_options from;
        bool force;
} opt;
static struct kc_write w = {.allow_missing_keys = true, .typed = true};

static const struct kc_flag flags[] = {
    KC_MANIFEST_FLAGS(opt.from, "Certificate"),
    {"force", 0, KC_FLAG_BOOL, &opt.force, "even if it is said already", "Certificate"},
    KC_WRITE_PRINT_FLAGS(w, "Certificate"),
};

/* What the commands say. */
struct verdict {
        const char *command, *type, *opposite, *reason, *message, *done;
};
static const struct verdict approve = {"approve", "Approved", "Denied", "KubectlApprove",
                                "This CSR was approved by kubectl certificate approve.", "approved"},
                            deny = {"deny", "Denied", "Approved", "KubectlDeny",
                                "This CSR was denied by kubectl certificate deny.", "denied"};

/* False: it has the condition already. */
static int add_condition(struct json_object *csr, const struct verdict *v, bool *ret_changed, struct kc_error *err)
{
        struct json_object *conditions = kc_json_ensure_arr(kc_json_ensure_obj(csr, "status"), "conditions");
        *ret_changed = false;
        if (kc_json_find(conditions, "type", v->opposite))
                return kc_error_set(
                    err, EINVAL, "certificate signing request \"%s\" is already %s", kc_meta_name(csr), v->opposite);
        const struct json_object *there = kc_json_find(conditions, "type", v->type);
        if (there && !opt.force)
                return 0;
        if (there)
                kc_json_set(kc_json_get_mut(csr, "status"), "conditions", json_object_new_array());
        char now[KC_TIME_LEN];
        kc_time_format(kc_clock_now(NULL), now);
        kc_json_push(kc_json_ensure_arr(csr, "status.conditions"),
            kc_json_build("{'type':%s,'status':'True','reason':%s,'message':%s,'lastUpdateTime':%s}", v->type,
                v->reason, v->message, now));
        *ret_changed = true;
        return 0;
}

static int judge(struct kc_cli *c, const struct kc_found *f, const struct verdict *v, struct kc_error *err)
{
        for (int tries = 0;; tries++) {
                KC_CLEANUP(kc_json_freep) struct json_object *csr = NULL, *answer = NULL;
                bool changed;
                int e = kc_cli_get(c, f->res, NULL, f->name, &csr, err);
                if (e == 0)
                        e = add_condition(csr, v, &changed, err);
                if (e < 0)
                        return e;
                struct kc_write_request r = {
                    .method = "PUT", .res = f->res, .name = f->name, .sub = "approval", .body = csr};
                if (changed)
                        e = kc_write_send(c, &w, &r, &answer, err);
                if (e == 0)
                        return kc_write_print(c, &w, f->res, answer ? answer : csr, v->done, err);
                if (!kc_error_is(err, KC_REASON_CONFLICT) || tries == MAX_CONFLICTS)
                        return e;
                kc_error_done(err);
        }
}

static int run(struct kc_cli *c, char **args, const struct verdict *v, struct kc_error *err)
{
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        KC_CLEANUP(kc_strv_freep) char **named = NULL;
        char *none[] = {NULL};
        if (!args[0] && !kc_manifest_options_given(&opt.from))
                return kc_error_set(err, EINVAL, "one or more CSRs must be specified as <name> or -f <filename>");
        for (char **a = args; *a; a++) {
                if (a == args)
                        kc_strv_push(&named, "certificatesigningrequests");
                kc_strv_push(&named, *a);
        }
        int e = kc_write_check(&w, err);
        if (e == 0)
                e = kc_cli_find_objects(c,
                    &(struct kc_object_query){.args = named ? named : none,
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
                if (judge(c, &all.v[i], v, &why) < 0)
                        kc_cli_errors_take(&errors, &why);
        }
        return kc_cli_errors_report(c, &errors) ? KC_CLI_FAILED : 0;
}

static int run_approve(struct kc_cli *c, char **args, struct kc_error *err)
{
        return run(c, args, &approve, err);
}

static int run_deny(struct kc_cli *c, char **args, struct kc_error *err)
{
        return run(c, args, &deny, err);
}

static const struct kc_command subs[] = {
    {.name = "approve",
        .usage = "certificate approve (-f FILENAME | NAME)",
        .summary = "Approve a certificate signing request",
        .completes = KC_ARGS_NAMES,
        .completes_type = "certificatesigningrequests",
        .flags = flags,
        .n_flags = KC_ARRAY_LEN(flags),
        .run = run_approve},
    {.name = "deny",
        .usage = "certificate deny (-f FILENAME | NAME)",
        .summary = "Deny a certificate signing request",
        .completes = KC_ARGS_NAMES,
        .completes_type = "certificatesigningrequests",
        .flags = flags,
        .n_flags = KC_ARRAY_LEN(flags),
        .run = run_deny},
};

const struct kc_command kc_cmd_certificate = {.name = "certificate",
    .usage = "certificate SUBCOMMAND",
    .summary = "Modify certificate resources",
    .subs = subs,
    .n_subs = KC_ARRAY_LEN(subs)};

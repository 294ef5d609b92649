/* kubec diff: what apply would change. Live and merged objects are files of two directories, which a program compares.
 * Exit codes: 0 no differences, 1 differences, more: an error. Main thread. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/object.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/apply.h"
#include "cli/apply_prune.h"
#include "cli/commands.h"
#include "cli/manifest_options.h"
#include "cli/printer.h"
#include "cli/requests.h"

enum { DIFFERS = 1, FAILED = 2, MAX_CONFLICTS = 4 };

static struct {
        struct kc_manifest_options from;
        struct kc_apply_prune_options prune;
        char **allowlist, *field_manager;
        int concurrency;
        bool server_side, force_conflicts, show_managed_fields;
} opt = {.concurrency = 1};

static const struct kc_flag flags[] = {
    KC_MANIFEST_FLAGS(opt.from, "Diff"),
    {"selector", 'l', KC_FLAG_STRING, &opt.from.selector, "label query", "Diff"},
    {"server-side", 0, KC_FLAG_BOOL, &opt.server_side, "merged by the server", "Diff"},
    {"force-conflicts", 0, KC_FLAG_BOOL, &opt.force_conflicts, "take fields of other managers", "Diff"},
    {"field-manager", 0, KC_FLAG_STRING, &opt.field_manager, "name of the manager of the fields", "Diff"},
    {"prune", 0, KC_FLAG_BOOL, &opt.prune.prune, "show what apply --prune would delete, too", "Diff"},
    {"prune-allowlist", 0, KC_FLAG_ARRAY, &opt.allowlist, "group/version/kind to prune, may be repeated", "Diff"},
    {"concurrency", 0, KC_FLAG_INT, &opt.concurrency, "accepted: objects are compared one by one", "Diff"},
    {"show-managed-fields", 0, KC_FLAG_BOOL, &opt.show_managed_fields, "keep managedFields", "Diff"},
};

extern char **environ;

/* --- the two versions of an object */

static int send(struct kc_cli *c, const char *method, const char *path, const char *content_type,
    const struct json_object *body, struct json_object **ret, struct kc_error *err)
{
        struct kc_rest *rest;
        int e = kc_cli_rest(c, &rest, err);
        return e < 0 ? e : kc_rest_call(rest, method, path, content_type, body, ret, err);
}

static char *query_of(const char *manager)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        kc_query_add(&q, "dryRun", "All");
        kc_query_add(&q, "fieldManager", kc_str_empty(opt.field_manager) ? manager : opt.field_manager);
        if (opt.server_side)
                kc_query_add(&q, "force", opt.force_conflicts ? "true" : "false");
        return kc_buf_take_str(&q);
}

static int merge_by_patch(struct kc_cli *c, const struct kc_manifest *m, const struct json_object *live,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *query = query_of("kubectl-client-side-apply");
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(m->res, m->ns, live ? m->name : NULL, NULL, query);
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
        const char *type = NULL;
        if (!live)
                return send(c, "POST", path, "application/json", m->obj, ret, err);
        /* The annotation of apply is no part of the comparison: neither changed nor removed. */
        KC_CLEANUP(kc_json_freep) struct json_object *modified = kc_json_copy(m->obj);
        kc_json_del(kc_json_ensure_obj(modified, "metadata.annotations"), KC_LAST_APPLIED);
        int e = kc_apply_patch(m->res, live, modified, &patch, &type, err);
        if (e == 0 && !patch)
                *ret = kc_json_copy(live);
        return e < 0 || !patch ? e : send(c, "PATCH", path, type, patch, ret, err);
}

/* What would be there; nothing is changed. */
static int merge(struct kc_cli *c, const struct kc_manifest *m, const struct json_object *live,
    struct json_object **ret, struct kc_error *err)
{
        if (!opt.server_side)
                return merge_by_patch(c, m, live, ret, err);
        KC_CLEANUP(kc_freep) char *query = query_of("kubectl");
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(m->res, m->ns, m->name, NULL, query);
        return send(c, "PATCH", path, "application/apply-patch+yaml", m->obj, ret, err);
}

static int fetch_live(struct kc_cli *c, const struct kc_manifest *m, struct json_object **ret, struct kc_error *err)
{
        int e = kc_cli_get(c, m->res, m->ns, m->name, ret, err);
        if (e < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        return e;
}

static bool is_secret(const struct kc_api_resource *res)
{
        return kc_streq(res->kind, "Secret") && res->group[0] == '\0';
}

/* Values of secrets are not shown, only whether they change. */
static void mask_secrets(struct json_object *live, struct json_object *merged)
{
        struct json_object *before = kc_json_get_mut(live, "data"), *after = kc_json_get_mut(merged, "data");
        KC_CLEANUP(kc_strv_freep) char **keys = NULL;
        KC_JSON_FOREACH(before, key, val)
        {
                (void)val;
                kc_strv_push(&keys, key);
        }
        KC_JSON_FOREACH(after, key, val)
        {
                (void)val;
                kc_strv_push(&keys, key);
        }
        if (keys)
                kc_strv_sort_uniq(keys);
        for (char **k = keys; k && *k; k++) {
                const struct json_object *a = kc_json_get(before, *k), *b = kc_json_get(after, *k);
                bool changes = a && b && !kc_json_equal(a, b);
                if (a)
                        kc_json_set_str(before, *k, changes ? "*** (before)" : "***");
                if (b)
                        kc_json_set_str(after, *k, changes ? "*** (after)" : "***");
        }
}

/* --- files */

struct dirs {
        char *live, *merged;
};

static char *make_dir(const char *prefix, struct kc_error *err)
{
        const char *tmp = getenv("TMPDIR");
        KC_CLEANUP(kc_freep) char *path = kc_asprintf("%s/%s-XXXXXX", kc_str_empty(tmp) ? "/tmp" : tmp, prefix);
        if (mkdtemp(path))
                return KC_TAKE(path);
        (void)kc_error_set(err, errno, "mkdir %s: %s", path, strerror(errno));
        return NULL;
}

static void remove_dir(char *path)
{
        DIR *d = path ? opendir(path) : NULL;
        const struct dirent *entry;
        while (d && (entry = readdir(d)))
                if (entry->d_name[0] != '.')
                        (void)unlinkat(dirfd(d), entry->d_name, 0); /* a stray file is no reason to fail */
        if (d)
                closedir(d);
        if (path)
                (void)rmdir(path);
        kc_free(path);
}

static void visited_done(struct kc_apply_visited *v)
{
        kc_strv_free(v->namespaces);
        kc_strv_free(v->uids);
}

static void dirs_done(struct dirs *d)
{
        remove_dir(d->live);
        remove_dir(d->merged);
}

static char *path_of(const char *dir, const struct kc_api_resource *res, const char *ns, const char *name)
{
        return kc_asprintf("%s/%s%s%s.%s.%s.%s", dir, res->group, res->group[0] ? "." : "", res->version, res->kind,
            ns ? ns : "", name);
}

static int write_version(
    const char *dir, const struct kc_manifest *m, struct json_object *obj, bool masked, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *path = path_of(dir, m->res, m->ns, m->name);
        if (obj && !opt.show_managed_fields)
                kc_strip_managed_fields(obj);
        if (obj)
                kc_print_yaml(&text, obj);
        else if (masked) /* kubectl's mask makes it one */
                kc_buf_adds(&text, "null\n");
        return kc_file_write_atomic(path, kc_buf_str(&text), text.len, 0600, err);
}

/* It would be deleted: there is no merged version. */
static int write_pruned(
    const struct kc_api_resource *res, const struct json_object *obj, void *arg, struct kc_error *err)
{
        const struct dirs *d = arg;
        KC_CLEANUP(kc_json_freep) struct json_object *live = kc_json_copy(obj);
        KC_CLEANUP(kc_freep) char *path = path_of(d->live, res, kc_meta_namespace(obj), kc_meta_name(obj));
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        if (is_secret(res))
                mask_secrets(live, NULL);
        kc_print_yaml(&text, live);
        return kc_file_write_atomic(path, kc_buf_str(&text), text.len, 0600, err);
}

static int write_object(struct kc_cli *c, const struct kc_manifest *m, const struct dirs *d,
    struct kc_apply_visited *visited, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *live = NULL, *merged = NULL;
        bool secret = is_secret(m->res);
        if (!m->name)
                return kc_error_set(err, EINVAL, "resource name may not be empty");
        for (int tries = 0;; tries++) {
                int e = fetch_live(c, m, &live, err);
                if (e == 0)
                        e = merge(c, m, live, &merged, err);
                if (e == 0)
                        break;
                if (opt.server_side || !kc_error_is(err, KC_REASON_CONFLICT) || tries == MAX_CONFLICTS)
                        return e;
                kc_error_done(err);
                kc_json_free(live);
                live = NULL;
        }
        kc_apply_visit(visited, m->ns, kc_meta_uid(live));
        if (secret)
                mask_secrets(live, merged);
        int e = write_version(d->live, m, live, secret, err);
        return e < 0 ? e : write_version(d->merged, m, merged, secret, err);
}

/* --- the program */

static bool is_plain(const char *word)
{
        for (const char *p = word; *p; p++)
                if (!isalnum((unsigned char)*p) && *p != '-' && *p != '=')
                        return false;
        return *word != '\0';
}

/* diff -u -N, or what KUBECTL_EXTERNAL_DIFF says, of whose arguments only plain ones are taken. strv. */
static char **command_of(const struct dirs *d)
{
        const char *external = getenv("KUBECTL_EXTERNAL_DIFF");
        char **argv = NULL;
        if (kc_str_empty(external)) {
                static const char *const words[] = {"diff", "-u", "-N"};
                for (size_t i = 0; i < KC_ARRAY_LEN(words); i++)
                        kc_strv_push(&argv, words[i]);
        }
        KC_CLEANUP(kc_strv_freep) char **given = kc_str_empty(external) ? NULL : kc_strv_split(external, ' ');
        if (given)
                kc_strv_push(&argv, given[0]);
        kc_strv_push(&argv, d->live);
        kc_strv_push(&argv, d->merged);
        for (char **g = given; g && *g && g[1]; g++)
                if (is_plain(g[1]))
                        kc_strv_push(&argv, g[1]);
        return argv;
}

static int compare(struct kc_cli *c, const struct dirs *d, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **argv = command_of(d);
        pid_t pid;
        int status;
        (void)fflush(c->out);
        int e = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
        if (e != 0)
                return kc_error_set(err, e, "failed to run \"%s\": %s", argv[0],
                    e == ENOENT ? "executable file not found in $PATH" : strerror(e));
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return kc_error_set(err, errno, "failed to run \"%s\": %s", argv[0], strerror(errno));
        if (WIFEXITED(status) && WEXITSTATUS(status) <= DIFFERS)
                return WEXITSTATUS(status);
        if (WIFEXITED(status))
                return kc_error_set(err, EIO, "failed to run \"%s\": exit status %d", argv[0], WEXITSTATUS(status));
        return kc_error_set(err, EIO, "failed to run \"%s\": signal: %s", argv[0], strsignal(WTERMSIG(status)));
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(dirs_done) struct dirs d = {0};
        KC_CLEANUP(kc_manifests_done) struct kc_manifests m = {0};
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors failures = {0};
        KC_CLEANUP(visited_done) struct kc_apply_visited visited = {0};
        if (args[0]) {
                KC_CLEANUP(kc_freep) char *given = kc_strv_join(args, " ");
                return kc_cli_usage_error(c, "diff", err, "Unexpected args: [%s]", given);
        }
        int e = kc_manifest_options_check(&opt.from, err);
        if (e == 0)
                e = kc_manifest_options_load(c, &opt.from, &m, err);
        if (e == 0 && !(d.live = make_dir("LIVE", err)))
                e = -err->errnum;
        if (e == 0 && !(d.merged = make_dir("MERGED", err)))
                e = -err->errnum;
        opt.prune.allowlist = opt.allowlist;
        opt.prune.selector = opt.from.selector;
        if (e == 0)
                e = kc_apply_prune_check(c, &opt.prune, err);
        for (size_t i = 0; e == 0 && i < m.n; i++)
                e = write_object(c, &m.v[i], &d, &visited, err);
        if (e == 0 && opt.prune.prune)
                e = kc_apply_prune_each(c, &opt.prune, &visited, write_pruned, &d, err);
        if (e < 0)
                return e;
        kc_manifests_errors(&m, &failures);
        if (kc_cli_errors_report(c, &failures))
                return FAILED;
        return compare(c, &d, err);
}

const struct kc_command kc_cmd_diff = {.name = "diff",
    .usage = "diff (-f FILENAME | -k DIRECTORY)",
    .summary = "Diff the live version against a would-be applied version",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description =
        "Shows what apply would change, without changing it. The program that compares is diff -u -N, or what "
        "the environment variable KUBECTL_EXTERNAL_DIFF names.\n\n"
        "Exit codes: 0 when there is no difference, 1 when there are some, more when it failed.",
    .examples = "# What a file would change\n"
                "kubec diff -f shop.yaml\n\n"
                "# In colors\n"
                "KUBECTL_EXTERNAL_DIFF='diff -N -u --color=always' kubec diff -f shop.yaml",
    .completes = KC_ARGS_FILE,
    .error_code = FAILED};

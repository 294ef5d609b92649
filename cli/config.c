/* kubec config: view, current-context, use-context, get-contexts, get-clusters, get-users. Main thread. */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/printer.h"
#include "json/yaml.h"

static struct {
        char *output;
        bool raw, minify, flatten, no_headers;
} opt;

static const struct kc_flag view_flags[] = {
    {"output", 'o', KC_FLAG_STRING, &opt.output, "json or yaml", "View"},
    {"raw", 0, KC_FLAG_BOOL, &opt.raw, "with certificates and secrets", "View"},
    {"minify", 0, KC_FLAG_BOOL, &opt.minify, "only what the context uses", "View"},
};
static const struct kc_flag list_flags[] = {
    {"output", 'o', KC_FLAG_STRING, &opt.output, "name", "Contexts"},
    {"no-headers", 0, KC_FLAG_BOOL, &opt.no_headers, "no headers", "Contexts"},
};

/* --- view */

static void redact(struct json_object *o, const char *key, const char *with)
{
        if (!kc_str_empty(kc_json_str(o, key)))
                kc_json_set_str(o, key, with);
}

static void redact_all(struct json_object *config)
{
        struct json_object *clusters = kc_json_get_mut(config, "clusters"), *users = kc_json_get_mut(config, "users");
        for (size_t i = 0; i < kc_json_len(clusters); i++)
                redact(kc_json_at_mut(kc_json_idx_mut(clusters, i), "cluster"), "certificate-authority-data",
                    "DATA+OMITTED");
        for (size_t i = 0; i < kc_json_len(users); i++) {
                struct json_object *user = kc_json_at_mut(kc_json_idx_mut(users, i), "user");
                redact(user, "client-certificate-data", "DATA+OMITTED");
                redact(user, "client-key-data", "DATA+OMITTED");
                redact(user, "token", "REDACTED");
                redact(user, "password", "REDACTED");
        }
}

/* Keeps only the entry of that name. */
static void keep(struct json_object *config, const char *list, const char *name)
{
        const struct json_object *entry = kc_json_find(kc_json_get(config, list), "name", name ? name : "");
        struct json_object *only = json_object_new_array();
        if (entry)
                kc_json_push(only, kc_json_copy(entry));
        kc_json_set(config, list, only);
}

static int minify(struct json_object *config, const char *context, struct kc_error *err)
{
        const struct json_object *entry = kc_json_find(kc_json_get(config, "contexts"), "name", context);
        if (!entry)
                return kc_error_set(err, ENOENT, "cannot locate context %s", context);
        keep(config, "clusters", kc_json_str_at(entry, "context.cluster"));
        keep(config, "users", kc_json_str_at(entry, "context.user"));
        keep(config, "contexts", context);
        return 0;
}

/* kubectl prints every section, empty ones as null. */
static void complete(struct json_object *config)
{
        static const char *const lists[] = {"clusters", "contexts", "users"};
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++)
                if (kc_json_len(kc_json_get(config, lists[i])) == 0)
                        kc_json_set(config, lists[i], NULL);
        if (!kc_json_str(config, "current-context"))
                kc_json_set_str(config, "current-context", "");
        if (!kc_json_get(config, "preferences"))
                kc_json_set(config, "preferences", json_object_new_object());
}

/* --- in the order of kubectl's structs, which is that of its JSON */

static const char *const config_keys[] = {
    "kind", "apiVersion", "preferences", "clusters", "users", "contexts", "current-context", "extensions"};
static const char *const entry_keys[] = {"name", "cluster", "user", "context", "server", "tls-server-name",
    "insecure-skip-tls-verify", "certificate-authority", "certificate-authority-data", "proxy-url",
    "disable-compression", "client-certificate", "client-certificate-data", "client-key", "client-key-data", "token",
    "tokenFile", "as", "as-uid", "as-groups", "as-user-extra", "username", "password", "auth-provider", "exec",
    "namespace", "extensions"};

static struct json_object *ordered(const struct json_object *o, const char *const *keys, size_t n)
{
        struct json_object *out = json_object_new_object();
        for (size_t i = 0; i < n; i++) {
                const struct json_object *v = kc_json_get(o, keys[i]);
                struct json_object *copy = NULL;
                if (kc_json_is_arr(v) && keys == config_keys) {
                        copy = json_object_new_array();
                        for (size_t k = 0; k < kc_json_len(v); k++)
                                kc_json_push(copy, ordered(kc_json_idx(v, k), entry_keys, KC_ARRAY_LEN(entry_keys)));
                } else if (kc_json_is_obj(v) && i < KC_ARRAY_LEN(config_keys) && keys == entry_keys) {
                        copy = ordered(v, entry_keys, KC_ARRAY_LEN(entry_keys));
                } else {
                        copy = kc_json_copy(v);
                }
                if (copy || (keys == config_keys && i < n - 1))
                        kc_json_set(out, keys[i], copy);
        }
        return out;
}

static void write_json(struct kc_buf *out, const struct json_object *config)
{
        enum { INDENT = 4 };
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = ordered(config, config_keys, KC_ARRAY_LEN(config_keys));
        kc_json_write_pretty(out, o, INDENT, false);
        if (out->data[out->len - 1] != '\n')
                kc_buf_addc(out, '\n');
}

static const char *chosen_context(const struct kc_cli *c, const struct json_object *config)
{
        return kc_str_empty(c->context) ? kc_json_str(config, "current-context") : c->context;
}

static int run_view(struct kc_cli *c, char **args, struct kc_error *err)
{
        const struct json_object *tree;
        bool json = kc_streq(opt.output, "json");
        if (args[0])
                return kc_cli_usage_error(c, "config view", err, "unexpected arguments: [%s]", args[0]);
        if (!kc_str_empty(opt.output) && !json && !kc_streq(opt.output, "yaml"))
                return kc_error_set(err, EINVAL,
                    "unable to match a printer suitable for the output format \"%s\", allowed formats are: json,yaml",
                    opt.output);
        int e = kc_cli_config(c, &tree, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_json_freep) struct json_object *config = kc_json_copy(tree);
        if (!kc_str_empty(c->context))
                kc_json_set_str(config, "current-context", c->context);
        const char *context = chosen_context(c, tree);
        if (opt.minify)
                e = minify(config, context ? context : "", err);
        if (e < 0)
                return e;
        if (!opt.raw)
                redact_all(config);
        complete(config);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (json)
                write_json(&b, config);
        else
                kc_print_yaml(&b, config);
        (void)fputs(kc_buf_str(&b), c->out);
        return 0;
}

/* --- contexts */

static int run_current(struct kc_cli *c, char **args, struct kc_error *err)
{
        const struct json_object *tree;
        (void)args;
        int e = kc_cli_config(c, &tree, err);
        if (e < 0)
                return e;
        if (kc_str_empty(kc_json_str(tree, "current-context")))
                return kc_error_set(err, ENOENT, "current-context is not set");
        (void)fprintf(c->out, "%s\n", kc_json_str(tree, "current-context"));
        return 0;
}

/* The file that says what the current context is: the first that has one, else the first. */
static int file_to_change(struct kc_cli *c, char **ret_path, struct json_object **ret_config, struct kc_error *err)
{
        enum { MAX_CONFIG = 16 << 20 };
        KC_CLEANUP(kc_strv_freep) char **paths = kc_kubeconfig_paths(c->kubeconfig);
        KC_CLEANUP(kc_json_freep) struct json_object *first = NULL;
        KC_CLEANUP(kc_freep) char *first_path = NULL;
        for (char **p = paths; p && *p; p++) {
                KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
                KC_CLEANUP(kc_json_freep) struct json_object *config = NULL;
                if (!kc_path_exists(*p))
                        continue;
                int e = kc_file_read(*p, MAX_CONFIG, &text, err);
                if (e == 0)
                        e = kc_yaml_parse(kc_buf_str(&text), text.len, NULL, &config, err);
                if (e < 0)
                        return kc_error_wrap(err, "%s", *p);
                bool has = !kc_str_empty(kc_json_str(config, "current-context"));
                if (has || !first) {
                        kc_json_free(first);
                        first = config ? KC_TAKE(config) : json_object_new_object();
                        kc_str_set(&first_path, *p);
                }
                if (has)
                        break;
        }
        if (!first)
                return kc_error_set(err, ENOENT, "no kubeconfig file to change");
        *ret_path = KC_TAKE(first_path);
        *ret_config = KC_TAKE(first);
        return 0;
}

static int run_use(struct kc_cli *c, char **args, struct kc_error *err)
{
        const struct json_object *tree;
        KC_CLEANUP(kc_freep) char *path = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *config = NULL;
        if (!args[0] || args[1])
                return kc_cli_usage_error(
                    c, "config use-context", err, "Unexpected args: [%s]", args[0] ? args[0] : "");
        int e = kc_cli_config(c, &tree, err);
        if (e < 0)
                return e;
        if (!kc_json_find(kc_json_get(tree, "contexts"), "name", args[0]))
                return kc_error_set(err, ENOENT, "no context exists with the name: \"%s\"", args[0]);
        e = file_to_change(c, &path, &config, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_json_set_str(config, "current-context", args[0]);
        kc_print_yaml(&b, config);
        e = kc_file_write_atomic(path, kc_buf_str(&b), b.len, 0600, err);
        if (e == 0)
                (void)fprintf(c->out, "Switched to context \"%s\".\n", args[0]);
        return e;
}

static void add_context(struct kc_tabwriter *w, const struct json_object *entry, const char *current)
{
        static const char *const fields[] = {"context.cluster", "context.user", "context.namespace"};
        const char *name = kc_json_str(entry, "name");
        kc_tabwriter_cell(w, kc_streq(name, current) ? "*" : "");
        kc_tabwriter_cell(w, name ? name : "");
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++) {
                const char *value = kc_json_str_at(entry, fields[i]);
                kc_tabwriter_cell(w, value ? value : "");
        }
        kc_tabwriter_end_row(w);
}

static char **sorted_names(const struct json_object *list)
{
        char **names = NULL;
        for (size_t i = 0; i < kc_json_len(list); i++)
                kc_strv_push(&names, kc_json_str(kc_json_idx(list, i), "name"));
        if (names)
                kc_strv_sort(names);
        return names;
}

static int run_contexts(struct kc_cli *c, char **args, struct kc_error *err)
{
        static const char *const headers[] = {"CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"};
        const struct json_object *tree;
        bool names_only = kc_streq(opt.output, "name");
        if (!kc_str_empty(opt.output) && !names_only)
                return kc_error_set(err, EINVAL, "output must be one of '' or 'name': %s", opt.output);
        int e = kc_cli_config(c, &tree, err);
        if (e < 0)
                return e;
        const struct json_object *contexts = kc_json_get(tree, "contexts");
        KC_CLEANUP(kc_strv_freep) char **names = args[0] ? kc_strv_copy(args) : sorted_names(contexts);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_tabwriter_done) struct kc_tabwriter w;
        kc_tabwriter_init(&w, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
        for (size_t i = 0; !names_only && !opt.no_headers && i < KC_ARRAY_LEN(headers); i++)
                kc_tabwriter_cell(&w, headers[i]);
        if (!names_only && !opt.no_headers)
                kc_tabwriter_end_row(&w);
        bool missing = false;
        for (char **n = names; n && *n; n++) {
                const struct json_object *entry = kc_json_find(contexts, "name", *n);
                if (!entry) {
                        (void)fprintf(c->err, "error: context %s not found\n", *n);
                        missing = true;
                } else if (names_only) {
                        kc_buf_addf(&b, "%s\n", *n);
                } else {
                        add_context(&w, entry, chosen_context(c, tree));
                }
        }
        kc_tabwriter_flush(&w, &b);
        (void)fputs(kc_buf_str(&b), c->out);
        return missing ? KC_CLI_FAILED : 0;
}

static int print_names(struct kc_cli *c, const char *list, struct kc_error *err)
{
        const struct json_object *tree;
        int e = kc_cli_config(c, &tree, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_strv_freep) char **names = sorted_names(kc_json_get(tree, list));
        (void)fputs("NAME\n", c->out);
        for (char **n = names; n && *n; n++)
                (void)fprintf(c->out, "%s\n", *n);
        return 0;
}

static int run_clusters(struct kc_cli *c, char **args, struct kc_error *err)
{
        (void)args;
        return print_names(c, "clusters", err);
}

static int run_users(struct kc_cli *c, char **args, struct kc_error *err)
{
        (void)args;
        return print_names(c, "users", err);
}

static const struct kc_command subs[] = {
    {"current-context", "config current-context", "Display the current-context", NULL, 0, run_current},
    {"get-clusters", "config get-clusters", "Display clusters defined in the kubeconfig", NULL, 0, run_clusters},
    {"get-contexts", "config get-contexts [NAME ...]", "Describe one or many contexts", list_flags,
        KC_ARRAY_LEN(list_flags), run_contexts},
    {"get-users", "config get-users", "Display users defined in the kubeconfig", NULL, 0, run_users},
    {"use-context", "config use-context NAME", "Set the current-context in a kubeconfig file", NULL, 0, run_use,
        .alias = "use"},
    {"view", "config view", "Display merged kubeconfig settings", view_flags, KC_ARRAY_LEN(view_flags), run_view},
};

const struct kc_command kc_cmd_config = {
    .name = "config", .summary = "Modify kubeconfig files", .subs = subs, .n_subs = KC_ARRAY_LEN(subs)};

/* From argv to a command: global flags, the table of commands, help. Main thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "cli/cli.h"

enum { N_GLOBAL = 20, MAX_FLAGS = 64 };

/* Flags that every command has. */
static size_t global_flags(struct kc_cli *c, struct kc_flag out[static N_GLOBAL])
{
        const struct kc_flag flags[] = {
            {"kubeconfig", 0, KC_FLAG_STRING, &c->kubeconfig, "path to the kubeconfig file", "Global"},
            {"context", 0, KC_FLAG_STRING, &c->context, "the kubeconfig context to use", "Global"},
            {"cluster", 0, KC_FLAG_STRING, &c->cluster, "the kubeconfig cluster to use", "Global"},
            {"user", 0, KC_FLAG_STRING, &c->user, "the kubeconfig user to use", "Global"},
            {"namespace", 'n', KC_FLAG_STRING, &c->ns, "the namespace scope of this request", "Global"},
            {"server", 's', KC_FLAG_STRING, &c->server, "address and port of the API server", "Global"},
            {"token", 0, KC_FLAG_STRING, &c->token, "bearer token for authentication", "Global"},
            {"as", 0, KC_FLAG_STRING, &c->as, "user to impersonate", "Global"},
            {"as-group", 0, KC_FLAG_STRV, &c->as_groups, "group to impersonate, may be repeated", "Global"},
            {"as-uid", 0, KC_FLAG_STRING, &c->as_uid, "UID to impersonate", "Global"},
            {"certificate-authority", 0, KC_FLAG_STRING, &c->ca_file, "file of the certificate authority", "Global"},
            {"client-certificate", 0, KC_FLAG_STRING, &c->cert_file, "client certificate file", "Global"},
            {"client-key", 0, KC_FLAG_STRING, &c->key_file, "client key file", "Global"},
            {"tls-server-name", 0, KC_FLAG_STRING, &c->tls_server_name, "name to verify the server by", "Global"},
            {"insecure-skip-tls-verify", 0, KC_FLAG_BOOL, &c->insecure, "do not verify the server", "Global"},
            {"request-timeout", 0, KC_FLAG_STRING, &c->request_timeout, "limit of a single request (1s, 2m, 0)",
                "Global"},
            {"v", 'v', KC_FLAG_INT, &c->verbosity, "number for the log level verbosity", "Global"},
            {"help", 'h', KC_FLAG_BOOL, &c->help, "show the help of the command", "Global"},
            {"cache-dir", 0, KC_FLAG_IGNORED, NULL, "accepted for compatibility", "Global"},
            {"warnings-as-errors", 0, KC_FLAG_IGNORED, NULL, "accepted for compatibility", "Global"},
        };
        _Static_assert(KC_ARRAY_LEN(flags) == N_GLOBAL, "the size of the table");
        memcpy(out, flags, sizeof(flags));
        return N_GLOBAL;
}

/* Flags that may stand without a value. */
static const struct {
        const char *flag, *value;
} optional_values[] = {
    {"--cascade", "--cascade=background"},
    {"--dry-run", "--dry-run=unchanged"},
    {"--validate", "--validate=strict"},
};

static const char *with_value(const char *arg)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(optional_values); i++)
                if (kc_streq(arg, optional_values[i].flag))
                        return optional_values[i].value;
        return arg;
}

/* Does this argument, a flag, take the next one as its value? */
static bool takes_next(const char *arg, const struct kc_flag *flags, size_t n)
{
        if (strchr(arg, '='))
                return false;
        for (size_t i = 0; i < n; i++) {
                bool same =
                    arg[1] == '-' ? kc_streq(arg + 2, flags[i].name) : arg[1] == flags[i].short_name && arg[2] == '\0';
                if (same)
                        return flags[i].kind != KC_FLAG_BOOL;
        }
        return false;
}

/* The index of the first word that is no flag, from at on; argc: none. */
static int next_word(int argc, char *const *argv, int at, const struct kc_flag *flags, size_t n)
{
        while (at < argc && argv[at][0] == '-' && argv[at][1] != '\0') {
                if (kc_streq(argv[at], "--"))
                        return argc;
                at += takes_next(argv[at], flags, n) ? 2 : 1;
        }
        return KC_MIN(at, argc);
}

/* Of so many positional arguments, how many stand in front of "--"; -1: there is none. */
static int args_in_front(int argc, char *const *argv, const struct kc_flag *flags, size_t n, size_t n_args)
{
        for (int at = 1; at < argc; at++) {
                if (kc_streq(argv[at], "--"))
                        return (int)n_args - (argc - at - 1);
                if (argv[at][0] == '-' && argv[at][1] != '\0' && takes_next(argv[at], flags, n))
                        at++;
        }
        return -1;
}

static bool is_called(const struct kc_command *cmd, const char *name)
{
        return kc_streq(cmd->name, name) || (cmd->alias && kc_streq(cmd->alias, name));
}

static const struct kc_command *find_command(const struct kc_command *const *v, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (is_called(v[i], name))
                        return v[i];
        return NULL;
}

static const struct kc_command *find_sub(const struct kc_command *cmd, const char *name)
{
        for (size_t i = 0; i < cmd->n_subs; i++)
                if (is_called(&cmd->subs[i], name))
                        return &cmd->subs[i];
        return NULL;
}

static void print_command(FILE *out, const struct kc_command *cmd)
{
        (void)fprintf(out, "  %-15s %s\n", cmd->name, cmd->summary);
}

static void print_root_help(const struct kc_cli *c, const struct kc_command *const *v, size_t n)
{
        (void)fprintf(c->out, "%s controls the Kubernetes cluster manager.\n\nCommands:\n", c->program);
        for (size_t i = 0; i < n; i++)
                print_command(c->out, v[i]);
        (void)fprintf(c->out,
            "\nUsage:\n  %s [flags] [options]\n\nUse \"%s <command> --help\" for more about a command.\n", c->program,
            c->program);
}

static void print_examples(FILE *out, const char *examples)
{
        (void)fputs("Examples:\n", out);
        for (const char *line = examples; *line;) {
                size_t len = strcspn(line, "\n");
                (void)fprintf(out, "%s%.*s\n", len > 0 ? "  " : "", (int)len, line);
                line += len + (line[len] ? 1 : 0);
        }
        (void)fputc('\n', out);
}

static void print_help(
    const struct kc_cli *c, FILE *out, const struct kc_command *cmd, const struct kc_flag *flags, size_t n)
{
        if (cmd->description)
                (void)fprintf(out, "%s\n\n", cmd->description);
        if (cmd->examples)
                print_examples(out, cmd->examples);
        if (cmd->n_subs > 0) {
                (void)fprintf(out, "%s.\n\nAvailable Commands:\n", cmd->summary);
                for (size_t i = 0; i < cmd->n_subs; i++)
                        print_command(out, &cmd->subs[i]);
                (void)fprintf(out, "\nUsage:\n  %s %s%s\n", c->program, cmd->usage ? cmd->usage : cmd->name,
                    cmd->usage ? "" : " SUBCOMMAND [options]");
                return;
        }
        KC_CLEANUP(kc_freep) char *usage = kc_asprintf("%s %s", c->program, cmd->usage ? cmd->usage : cmd->name);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_flags_help(&b, usage, cmd->summary, flags, n);
        (void)fputs(kc_buf_str(&b), out);
}

static int no_subcommand(const struct kc_cli *c, const struct kc_command *cmd, const char *path, char *const *args,
    const struct kc_flag *flags, size_t n)
{
        KC_CLEANUP(kc_freep) char *given = args ? kc_strv_join(args, " ") : NULL;
        if (kc_str_empty(given))
                print_help(c, c->err, cmd, flags, n);
        else
                (void)fprintf(c->err, "error: unknown command \"%s\"\nSee '%s %s -h' for help and examples\n", given,
                    c->program, path);
        return 1;
}

/* Of the command that runs. */
static struct kc_flag flags[MAX_FLAGS + N_GLOBAL];

bool kc_cli_flag_given(const char *name)
{
        return kc_flags_given(flags, name);
}

static int run_command(struct kc_cli *c, const struct kc_command *cmd, const char *path, int argc, char *const *argv)
{
        size_t n = KC_MIN(cmd->n_flags, (size_t)MAX_FLAGS);
        if (n > 0)
                memcpy(flags, cmd->flags, n * sizeof(*flags));
        n += global_flags(c, flags + n);
        KC_CLEANUP(kc_strv_freep) char **args = NULL;
        struct kc_error err = KC_ERROR_INIT;
        int e = kc_flags_parse(flags, n, argc, argv, &args, &err);
        if (e < 0) {
                (void)fprintf(c->err,
                    cmd->error_code ? "error: %s\nSee '%s %s -h' for help and examples\n"
                                    : "error: %s\nSee '%s %s --help' for usage.\n",
                    kc_error_message(&err), c->program, path);
                kc_error_done(&err);
                return cmd->error_code ? cmd->error_code : 1;
        }
        c->dash = args_in_front(argc, argv, flags, n, kc_strv_len(args));
        kc_log_set_verbosity(c->verbosity);
        if (c->help) {
                print_help(c, c->out, cmd, flags, n);
                return 0;
        }
        if (!cmd->run)
                return no_subcommand(c, cmd, path, args, flags, n);
        char *none[] = {NULL};
        e = cmd->run(c, args ? args : none, &err);
        if (e < 0)
                kc_cli_print_error(c, &err);
        kc_error_done(&err);
        if (fflush(c->out) != 0)
                return kc_cli_write_failed(c);
        return e >= 0 ? e : cmd->error_code ? cmd->error_code : 1;
}

/* Follows the words behind the command to its subcommand; named: the words that were names. */
static const struct kc_command *find_deepest(const struct kc_command *cmd, int argc, char *const *argv, int at,
    const struct kc_flag *globals, size_t n_globals, char **path, bool *named)
{
        while (cmd->n_subs > 0) {
                at = next_word(argc, argv, at + 1, globals, n_globals);
                const struct kc_command *sub = at < argc ? find_sub(cmd, argv[at]) : NULL;
                if (!sub)
                        break;
                char *longer = kc_asprintf("%s %s", *path, sub->name);
                kc_free(*path);
                *path = longer;
                cmd = sub;
                named[at] = true;
        }
        return cmd;
}

int kc_cli_main(struct kc_cli *c, const struct kc_command *const *commands, size_t n, int argc, char **argv)
{
        struct kc_flag globals[N_GLOBAL];
        size_t n_globals = global_flags(c, globals);
        int at = next_word(argc, argv, 1, globals, n_globals);
        if (at >= argc) {
                print_root_help(c, commands, n);
                return 0;
        }
        const struct kc_command *cmd = find_command(commands, n, argv[at]);
        if (!cmd) {
                if (kc_streq(argv[at], "help")) {
                        print_root_help(c, commands, n);
                        return 0;
                }
                (void)fprintf(c->err, "error: unknown command \"%s\" for \"%s\"\n", argv[at], c->program);
                return 1;
        }
        KC_CLEANUP(kc_freep) bool *named = kc_calloc((size_t)argc, sizeof(*named));
        KC_CLEANUP(kc_freep) char *path = kc_strdup(cmd->name);
        named[at] = true;
        cmd = find_deepest(cmd, argc, argv, at, globals, n_globals, &path, named);
        KC_CLEANUP(kc_freep) char **rest = kc_calloc((size_t)argc + 1, sizeof(*rest)); /* elements are borrowed */
        int n_rest = 0;
        bool literal = false;
        for (int i = 0; i < argc; i++) {
                if (named[i])
                        continue;
                literal = literal || kc_streq(argv[i], "--");
                rest[n_rest++] = literal || i == 0 ? argv[i] : (char *)with_value(argv[i]);
        }
        return run_command(c, cmd, path, n_rest, rest);
}

/* What a command runs in: global options, the connection to the API server made at first need, output streams. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "client/resource_map.h"
#include "client/rest.h"
#include "daemon/flags.h"

struct kc_cli {
        const char *program; /* "kubec", for messages */
        FILE *in, *out, *err;
        /* Global flags; NULL when not given. */
        char *kubeconfig, *context, *cluster, *user, *ns, *server, *token;
        char *as, **as_groups, *as_uid;
        char *ca_file, *cert_file, *key_file, *tls_server_name;
        bool insecure;
        char *request_timeout;
        int verbosity;
        bool help;
        int dash; /* positional arguments in front of "--"; -1: there was none */
        /* Made at first need; see the functions below. */
        struct json_object *config_tree;
        struct kc_client_config config;
        bool configured;
        bool local;      /* no server is asked what it serves */
        bool bad_config; /* the kubeconfig cannot be used: errors say so */
        struct kc_loop *loop;
        struct kc_rest *rest;
        struct kc_resource_map *map;
        char **warnings;    /* strv of the server's, said so far. The loop's */
        int yaml_documents; /* printed so far: "---" stands between them */
};

/* What stands in the positional arguments of a command, for completion. */
enum kc_cli_args {
        KC_ARGS_NONE,      /* free text, or nothing */
        KC_ARGS_RESOURCES, /* TYPE NAME..., TYPE/NAME... */
        KC_ARGS_NAMES,     /* names of the objects of completes_type */
        KC_ARGS_POD,       /* POD or TYPE/NAME, one */
        KC_ARGS_TYPE,      /* TYPE, one */
        KC_ARGS_CONTEXT,   /* a context of the kubeconfig */
        KC_ARGS_CLUSTER,
        KC_ARGS_USER,
        KC_ARGS_FILE,
};

/* One row of the command table: kubec <name> [<sub>] ... Help, completion and the manual are made from it. */
struct kc_command {
        const char *name;            /* "get", "rollout" */
        const char *usage;           /* "get TYPE [NAME] [flags]" */
        const char *summary;         /* a line, without a stop at its end */
        const struct kc_flag *flags; /* values are static: one command runs per process */
        size_t n_flags;
        /* args: a strv of the positional arguments, never NULL. 0, or a negative errno with err set (which the caller
         * prints as kubectl does). Positive: everything was said, that is the exit code; KC_CLI_FAILED is 1. */
        int (*run)(struct kc_cli *c, char **args, struct kc_error *err);
        const struct kc_command *subs; /* subcommands, which may have theirs */
        size_t n_subs;
        const char *alias;       /* another name, or NULL */
        const char *description; /* paragraphs for help and manual, or NULL */
        const char *examples;    /* lines "# what it does" and "kubec ...", pairs with an empty line between, or NULL */
        enum kc_cli_args completes;
        const char *completes_type; /* "pods", with KC_ARGS_NAMES */
        int error_code;             /* the exit code of errors; 0: 1 */
};
enum { KC_CLI_FAILED = 1 };

void kc_cli_init(struct kc_cli *c);
void kc_cli_done(struct kc_cli *c);
/* The merged kubeconfig (borrowed). */
int kc_cli_config(struct kc_cli *c, const struct json_object **ret, struct kc_error *err);
/* The namespace commands work in: -n, the context's, "default". Borrowed. */
int kc_cli_namespace(struct kc_cli *c, const char **ret, struct kc_error *err);
/* The namespace of objects in files that say none: the same, but NULL when no server is asked. */
int kc_cli_files_namespace(struct kc_cli *c, const char **ret, struct kc_error *err);
/* True when -n was given. */
bool kc_cli_namespace_given(const struct kc_cli *c);
/* The client; its loop runs on a thread of its own. */
int kc_cli_rest(struct kc_cli *c, struct kc_rest **ret, struct kc_error *err);
/* What the server serves, from its aggregated discovery. */
int kc_cli_map(struct kc_cli *c, struct kc_resource_map **ret, struct kc_error *err);
/* From now on kc_cli_map gives what is built in, and asks no server. */
void kc_cli_use_local_map(struct kc_cli *c);
/* --request-timeout in ms; 0: none. */
int kc_cli_request_timeout_ms(const struct kc_cli *c, int *ret_ms, struct kc_error *err);

/* Does the command line have that flag? */
bool kc_cli_flag_given(const char *name);
/* Finds the command, parses its flags, runs it, prints the error; the exit code. */
int kc_cli_main(struct kc_cli *c, const struct kc_command *const *commands, size_t n, int argc, char **argv);
/* "error: ..." or "Error from server (NotFound): ..." as kubectl's CheckErr, without a newline at the end. Heap. */
char *kc_cli_error_text(const struct kc_cli *c, const struct kc_error *err);
void kc_cli_print_error(struct kc_cli *c, const struct kc_error *err);

/* Errors of single objects, while a command goes on with the others. */
struct kc_cli_errors {
        struct kc_error *v;
        size_t n;
};
/* Takes what err holds. */
void kc_cli_errors_take(struct kc_cli_errors *l, struct kc_error *err);
/* Prints them as kubectl prints an aggregate: one alone as any error, several as one line each. True if there are any.
 */
bool kc_cli_errors_report(struct kc_cli *c, const struct kc_cli_errors *l);
/* The messages as one: "", "a", "[a, b]". Heap. */
char *kc_cli_errors_join(const struct kc_cli_errors *l);
void kc_cli_errors_done(struct kc_cli_errors *l);
/* The output cannot be written (errno): says why, but ends by SIGPIPE for a closed pipe (kubec ... | head). Returns
 * KC_CLI_FAILED. */
int kc_cli_write_failed(struct kc_cli *c);
/* "error: <message>\nSee 'kubec get -h' for help and examples" */
int kc_cli_usage_error(const struct kc_cli *c, const char *command, struct kc_error *err, const char *fmt, ...)
    KC_PRINTF(4, 5);
/* The same of arguments where none are taken: "Unexpected args: [a b]". */
int kc_cli_unexpected_args(const struct kc_cli *c, const char *command, char *const *args, struct kc_error *err);
/* "error when <verb> "<source>": ..." in front of the message. */
int kc_cli_add_source(struct kc_error *err, const char *verb, const char *source);

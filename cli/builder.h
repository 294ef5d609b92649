/* What a command line means: resource arguments as targets, files as objects. */
#pragma once

#include "cli/cli.h"

#define KC_CLI_NO_RESOURCES                                                                                            \
        "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n"  \
        "   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'"

/* A resource, and an object of it when a name was given. */
struct kc_target {
        const struct kc_api_resource *res; /* of the context's map */
        char *name;                        /* NULL: all of the resource */
};
struct kc_targets {
        struct kc_target *v;
        size_t n, cap;
        bool named; /* every one has a name */
};
/* "pods", "pods,svc", "pods a b", "pod/a svc/b"; "all" and other categories too. Messages as kubectl's. args empty: no
 * targets. */
int kc_targets_parse(
    const struct kc_resource_map *map, char *const *args, struct kc_targets *ret, struct kc_error *err);
void kc_targets_done(struct kc_targets *t);

/* An object read from a file or stdin. */
struct kc_manifest {
        const struct kc_api_resource *res; /* of the context's map */
        char *ns;                          /* NULL for cluster scope */
        char *name;                        /* NULL when only generateName is there */
        char *source;                      /* path or "STDIN" */
        struct json_object *obj;
};
void kc_manifest_done(struct kc_manifest *m);
struct kc_manifests {
        struct kc_manifest *v;
        size_t n, cap;
        struct kc_cli_errors errors; /* of single documents: the others are still good */
};

/* Documents of one file's text: lists are taken apart. Does no I/O. Used by kc_manifests_load, and by tests. map, ns
 * and enforce_ns as below. */
int kc_manifests_parse(const struct kc_resource_map *map, const char *ns, bool enforce_ns, const char *source,
    const char *text, size_t len, struct kc_manifests *into, struct kc_error *err);
/* Files, directories (*.json, *.yaml, *.yml) and "-". Objects get the namespace of the command line; one that has
 * another is an error when -n was given. */
int kc_manifests_load(
    struct kc_cli *c, char *const *paths, bool recursive, struct kc_manifests *ret, struct kc_error *err);
/* Appends all of the standard input, at most 64 MiB. */
int kc_cli_read_stdin(struct kc_cli *c, struct kc_buf *b, struct kc_error *err);
void kc_manifests_done(struct kc_manifests *m);
/* Adds the errors of single documents as one, "[a, b]", as kubectl's builder reports them. */
void kc_manifests_errors(const struct kc_manifests *m, struct kc_cli_errors *into);

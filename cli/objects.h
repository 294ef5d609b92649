/* Live objects that a command line names: by resource and name, by selector, by file. */
#pragma once

#include "cli/builder.h"

struct kc_found {
        const struct kc_api_resource *res;
        char *ns; /* NULL for cluster scope */
        char *name;
        struct json_object *obj;
};
struct kc_founds {
        struct kc_found *v;
        size_t n, cap;
        struct kc_cli_errors errors; /* of those that could not be read */
};
struct kc_object_query {
        char *const *args, *const *files;
        const char *kustomize, *selector, *field_selector;
        bool all, all_namespaces, recursive;
        bool local; /* files as they are; no server is asked */
};
/* Reads them. One that cannot be read is an error in ret->errors: the others are still there. */
int kc_cli_find_objects(struct kc_cli *c, const struct kc_object_query *q, struct kc_founds *ret, struct kc_error *err);
void kc_founds_push(struct kc_founds *l, const struct kc_api_resource *res, struct json_object *take_obj);
void kc_founds_done(struct kc_founds *l);
/* PATCH of it (sub NULL: itself); *ret may be NULL. */
int kc_cli_patch(struct kc_cli *c, const struct kc_found *f, const char *sub, const char *content_type,
    const struct json_object *patch, struct json_object **ret, struct kc_error *err);

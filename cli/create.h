/* kubec create: what its files share. */
#pragma once

#include "cli/write.h"

/* Sends a new object (or, for a client's dry run, only prints it). */
int kc_create_send(struct kc_cli *c, struct kc_write *write, const struct kc_api_resource *res, const char *ns,
    const struct json_object *obj, struct kc_error *err);
/* The subcommands, in create_objects.c. */
enum { KC_CREATE_N_SUBS = 17 };
extern const struct kc_command kc_create_subs[KC_CREATE_N_SUBS];

/* --- create_role.c */
struct kc_create_role {
        const char *name;
        bool cluster;
        char **verbs, **resources, **resource_names, **urls, **aggregation; /* strvs or NULL; aggregation of "k=v" */
};
/* Asks the server for its resources. Notes on odd verbs go to stderr. */
int kc_create_role(struct kc_cli *c, const struct kc_create_role *r, struct json_object **ret, struct kc_error *err);

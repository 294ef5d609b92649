/* What commands that change objects share: their flags, the queries of their requests, how they tell a result. */
#pragma once

#include "cli/requests.h"

struct kc_write {
        char *output, *template, *dry_run_flag, *field_manager, *validate;
        bool show_managed_fields, allow_missing_keys, save_config;
        /* Set by kc_write_check: */
        enum kc_dry_run dry_run;
        /* The command knows the kinds of its objects (kubectl has Go structs for them): JSON comes in their order. */
        bool typed;
        struct kc_object_printer *printer; /* made at first need, lives until the process ends */
};

/* Rows of a command's table of flags; w is a static struct kc_write. */
#define KC_WRITE_PRINT_FLAGS(w, section)                                                                               \
        {"output", 'o', KC_FLAG_STRING, &(w).output, "json, yaml, name, go-template, jsonpath, ...", section},         \
            {"template", 0, KC_FLAG_STRING, &(w).template, "template of -o go-template or jsonpath", section},         \
            {"allow-missing-template-keys", 0, KC_FLAG_BOOL, &(w).allow_missing_keys,                                  \
                "fields that are not there are no error of a template", section},                                      \
        {                                                                                                              \
                "show-managed-fields", 0, KC_FLAG_BOOL, &(w).show_managed_fields, "with metadata.managedFields",       \
                    section                                                                                            \
        }
#define KC_WRITE_DRY_RUN_FLAG(w, section)                                                                              \
        {                                                                                                              \
                "dry-run", 0, KC_FLAG_STRING, &(w).dry_run_flag, "none, server or client", section                     \
        }
#define KC_WRITE_MANAGER_FLAG(w, section)                                                                              \
        {                                                                                                              \
                "field-manager", 0, KC_FLAG_STRING, &(w).field_manager, "name of who owns the fields", section         \
        }
#define KC_WRITE_VALIDATE_FLAG(w, section)                                                                             \
        {                                                                                                              \
                "validate", 0, KC_FLAG_STRING, &(w).validate, "strict, warn or ignore", section                        \
        }
#define KC_WRITE_SAVE_CONFIG_FLAG(w, section)                                                                          \
        {                                                                                                              \
                "save-config", 0, KC_FLAG_BOOL, &(w).save_config, "note the configuration for a later apply", section  \
        }

/* Reads the flags: --dry-run, -o with --template, --validate. Nothing is sent. */
int kc_write_check(struct kc_write *w, struct kc_error *err);
/* "strict", "warn", "ignore" and its other words as the fieldValidation of requests. */
int kc_validation_parse(const char *s, const char **ret, struct kc_error *err);

/* One request: dryRun, fieldManager (default_manager unless given; NULL and not given: none) and fieldValidation
 * (validated) go into its query. */
struct kc_write_request {
        const char *method, *content_type; /* content_type NULL: application/json */
        const struct kc_api_resource *res;
        const char *ns, *name, *sub;
        const char *default_manager;
        bool validated, force;
        const struct json_object *body;
};
/* *ret may be NULL. */
int kc_write_send(struct kc_cli *c, const struct kc_write *w, const struct kc_write_request *r,
    struct json_object **ret, struct kc_error *err);
/* "pod/a created", or the object as -o says. */
int kc_write_print(struct kc_cli *c, struct kc_write *w, const struct kc_api_resource *res,
    const struct json_object *obj, const char *operation, struct kc_error *err);
/* Objects are printed whole, not told about. */
bool kc_write_prints_objects(const struct kc_write *w);

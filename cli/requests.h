/* Requests that several commands make. */
#pragma once

#include "cli/builder.h"

/* "/api/v1/namespaces/x/pods/y?fieldManager=..."; ns, name, sub, query NULL as needed; query is already escaped. Heap.
 */
char *kc_cli_path(
    const struct kc_api_resource *res, const char *ns, const char *name, const char *sub, const char *query);
/* Adds "key=<escaped value>" with the '&' that it needs; value NULL: nothing. */
void kc_query_add(struct kc_buf *query, const char *key, const char *value);
/* GET of one object. */
int kc_cli_get(struct kc_cli *c, const struct kc_api_resource *res, const char *ns, const char *name,
    struct json_object **ret, struct kc_error *err);
/* All pages of a list in one: items have apiVersion and kind as kubectl gives them. query may be NULL. */
int kc_cli_list(struct kc_cli *c, const struct kc_api_resource *res, const char *ns, const char *query,
    struct json_object **ret, struct kc_error *err);
/* In front of the message of a list that the server found bad or did not find, as kubectl puts it: "Unable to find
 * ...". The selectors may be NULL. Returns -err->errnum. */
int kc_cli_list_failed(
    const struct kc_api_resource *res, const char *label_selector, const char *field_selector, struct kc_error *err);
/* Any answer as a tree, with an Accept of its own. */
int kc_cli_fetch(
    struct kc_cli *c, const char *path, const char *accept, struct json_object **ret, struct kc_error *err);
/* --dry-run: "none", "client", "server"; without a value, which is "unchanged" here, client. */
enum kc_dry_run { KC_DRY_RUN_NONE, KC_DRY_RUN_CLIENT, KC_DRY_RUN_SERVER };
int kc_dry_run_parse(const char *s, enum kc_dry_run *ret, struct kc_error *err);
/* "", " (dry run)", " (server dry run)". */
const char *kc_dry_run_suffix(enum kc_dry_run d);

/* -o of commands that change objects: "" prints "<kind>/<name> <operation>", "name", "json", "yaml". */
int kc_cli_print_result(struct kc_cli *c, const struct kc_api_resource *res, const struct json_object *obj,
    const char *output, const char *operation, enum kc_dry_run dry_run, struct kc_error *err);
/* Is the -o value one of these? */
int kc_cli_check_output(const char *output, struct kc_error *err);

/* kubec apply: deleting what is applied no more, and the subcommands. */
#pragma once

#include "cli/write.h"

/* What was applied. */
struct kc_apply_visited {
        char **namespaces, **uids; /* strvs */
};
/* ns, uid: NULL for none. */
void kc_apply_visit(struct kc_apply_visited *v, const char *ns, const char *uid);

struct kc_apply_prune_options {
        bool prune, all;
        char *set;              /* --applyset */
        char *const *allowlist; /* strv of "group/version/kind"; NULL: the kinds that kubectl prunes by default */
        const char *selector;
        char *cascade;
        int64_t grace;
};
/* Are the kinds of the allowlist there? */
int kc_apply_prune_check(struct kc_cli *c, const struct kc_apply_prune_options *o, struct kc_error *err);
/* Calls fn with each object that would be deleted; the first error ends it. */
typedef int kc_apply_prune_fn(
    const struct kc_api_resource *res, const struct json_object *obj, void *arg, struct kc_error *err);
int kc_apply_prune_each(struct kc_cli *c, const struct kc_apply_prune_options *o,
    const struct kc_apply_visited *visited, kc_apply_prune_fn *fn, void *arg, struct kc_error *err);
/* Deletes objects that carry the annotation of client-side apply and were not visited. */
int kc_apply_prune(struct kc_cli *c, struct kc_write *w, const struct kc_apply_prune_options *o,
    const struct kc_apply_visited *visited, struct kc_error *err);

/* Deletes the objects of one kind (ns NULL: of all namespaces) that the selector takes and that were not visited. */
int kc_apply_prune_kind(struct kc_cli *c, struct kc_write *w, const struct kc_apply_prune_options *o,
    const struct kc_api_resource *res, const char *ns, const char *selector, const struct kc_apply_visited *visited,
    struct kc_error *err);

/* edit-last-applied, set-last-applied, view-last-applied, in apply_last.c */
enum { KC_APPLY_N_SUBS = 3 };
extern const struct kc_command kc_apply_subs[KC_APPLY_N_SUBS];

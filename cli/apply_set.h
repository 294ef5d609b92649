/* ApplySets: a parent object that knows which kinds and namespaces hold the members of a set, which carry its label.
 * What carries the label and is applied no more is pruned. Compatible with kubectl's. */
#pragma once

#include "cli/apply_prune.h"
#include "cli/builder.h"

struct kc_apply_set {
        const struct kc_api_resource *res;
        char *ns, *name, *id; /* of the parent; ns NULL for cluster scope */
        char **kinds,
            **namespaces; /* strvs: of members there were and are: "Kind.group"; beside the parent's namespace */
        char **new_kinds, **new_namespaces; /* of those that are applied now */
};
void kc_apply_set_done(struct kc_apply_set *s);
/* parent: "NAME" of a Secret, or "RESOURCE/NAME". Reads what is there of it. */
int kc_apply_set_open(struct kc_cli *c, const char *parent, struct kc_apply_set *ret, struct kc_error *err);
/* In front of the applying: labels the objects and notes their kinds in the parent. */
int kc_apply_set_begin(
    struct kc_cli *c, const struct kc_write *w, struct kc_apply_set *s, struct kc_manifests *all, struct kc_error *err);
/* Behind it: prunes, and notes what is left. */
int kc_apply_set_end(struct kc_cli *c, struct kc_write *w, struct kc_apply_set *s,
    const struct kc_apply_prune_options *o, const struct kc_apply_visited *visited, struct kc_error *err);

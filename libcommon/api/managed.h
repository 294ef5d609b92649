/* Who owns which fields: metadata.managedFields, and what updates and server-side apply make of them (apimachinery's
 * managedfields and structured-merge-diff's merge.Updater).
 *
 * Trees are in the request's version and canonical (api/codec.h); those of other versions are converted (api/convert.h)
 * by way of the schema. Everything lives in the arena and borrows from the trees that it was made of: keep both.
 * One thread. */
#pragma once

#include "api/fieldset.h"
#include "api/schema.h"
#include "base/clock.h"

struct kc_manager {
        const char *name, *api_version, *subresource; /* subresource "": none */
        bool applied;                                 /* operation Apply; else Update */
        const char *time;                             /* RFC 3339, or NULL */
        const struct kc_fieldset *set;
        const struct json_object *source; /* the entry that says just this; NULL: has changed since */
};

struct kc_managers {
        struct kc_arena arena;
        struct kc_manager *v; /* no two have the same name, operation, subresource and (Update) version */
        size_t n, cap;
};
void kc_managers_done(struct kc_managers *m);

/* entries: metadata.managedFields (NULL: none). -EINVAL with upstream's text; m is empty then. */
int kc_managers_decode(struct kc_managers *m, const struct json_object *entries, struct kc_error *err);
/* In upstream's order; NULL when there are none. The caller's. */
struct json_object *kc_managers_encode(struct kc_managers *m);
/* Is the client asking for managedFields to be dropped: [] or [{}]? */
bool kc_managed_is_reset(const struct json_object *entries);

/* What the objects of a request are. */
struct kc_managed_kind {
        const struct kc_type *type;
        const char *api_version, *kind;
        const char *subresource;  /* "" for the resource itself */
        const char *const *reset; /* dotted paths that the endpoint does not write: nobody gets them. NULL: none */
        const char *const *only;  /* all that the endpoint writes, as patterns of kc_fieldset_filter; NULL: anything */
};

/* after is about to replace before (of a new object: its zero value), as manager's operation Update. Fields that have
 * changed become the manager's; those that are gone are nobody's. At most ten entries of updates stay: older ones are
 * merged. */
void kc_managed_update(struct kc_managers *m, const struct kc_managed_kind *k, const struct json_object *before,
    const struct json_object *after, const char *manager, kc_time now);

struct kc_managed_apply {
        const char *manager;
        bool force;
        bool exists; /* live is stored; else it is the zero value of a new object */
        kc_time now;
};
/* Applies config, which fits its type (kc_structured_check), to live, both without managedFields. *ret: the merged
 * object, not yet normalized (the caller's), or NULL when live is as it should be. 409 Conflict with upstream's message
 * and causes when others own what it changes. kubectl's takes over what its client-side apply has left. */
int kc_managed_apply(struct kc_managers *m, const struct kc_managed_kind *k, const struct kc_managed_apply *o,
    const struct json_object *live, const struct json_object *config, struct json_object **ret, struct kc_error *err);

/* The annotation that client-side apply keeps on obj says from now on what has been applied, if it is there. For
 * kubectl's apply. */
void kc_managed_sync_last_applied(struct json_object *obj, const struct json_object *config);

/* The scale subresource. entries are the parent's managedFields, path its field for replicas ("spec", "replicas",
 * NULL). Both return the caller's list, NULL for none: those of the Scale, and those of the parent after the Scale's
 * have become scale_entries; api_version is the parent's for entries that are new. */
struct json_object *kc_managed_to_scale(const struct json_object *entries, const char *const *path);
struct json_object *kc_managed_from_scale(const struct json_object *entries, const struct json_object *scale_entries,
    const char *api_version, const char *const *path);

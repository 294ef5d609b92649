/* Shared by the sources of managed fields. */
#pragma once

#include "api/managed.h"
#include "api/structured.h"

#define KC_LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

enum { KC_MANAGED_MAX_UPDATES = 10, KC_MANAGED_MAX_PATH = 8 };

/* By name, operation, subresource and, of updates, version. NULL: none. */
struct kc_manager *kc_managers_find(struct kc_managers *m, const struct kc_manager *like);
/* The set is the manager's from now on; strings and set borrowed. */
struct kc_manager *kc_managers_put(struct kc_managers *m, const struct kc_manager *add);
void kc_managers_remove(struct kc_managers *m, size_t i);
/* Gives the manager another set, if it is another. */
void kc_manager_own(struct kc_manager *x, const struct kc_fieldset *set);
/* Merges the oldest updates while there are more than KC_MANAGED_MAX_UPDATES. */
void kc_managers_cap(struct kc_managers *m);
const char *kc_managers_time(struct kc_managers *m, kc_time now);

/* What each version makes of a change. */
struct kc_managed_versions;
/* The tree in that version: itself, or converted (*ret_own: to be freed). NULL: there is no such version of the kind.
 */
const struct json_object *kc_managed_convert(const struct json_object *tree, const struct kc_managed_kind *k,
    const char *from, const char *api_version, struct json_object **ret_own, const struct kc_type **ret_type);
/* Without what the endpoint does not write. */
const struct kc_fieldset *kc_managed_filter(
    struct kc_arena *a, const struct kc_managed_kind *k, const struct kc_fieldset *set);
/* Without the metadata that nobody owns. */
const struct kc_fieldset *kc_managed_strip(struct kc_arena *a, const struct kc_fieldset *set);

/* Sets as the schema has them now; managers of versions that are no more are dropped. */
void kc_managed_reconcile(struct kc_managers *m, const struct kc_managed_kind *k, const struct json_object *live);
/* Takes from all managers but self (NULL: none is spared) what has changed and what is gone. With ret_conflicts, which
 * has room for all managers, nothing is taken: it gets what each would lose to a change. ret_own: the change as the
 * request's version sees it. */
void kc_managed_take(struct kc_managers *m, const struct kc_managed_kind *k, const struct json_object *before,
    const struct json_object *after, const struct kc_manager *self, const struct kc_fieldset **ret_conflicts,
    struct kc_structured_diff *ret_own);
/* The merged object without what self owned (last) and nobody wants any more; the caller's. */
struct json_object *kc_managed_prune(struct kc_managers *m, const struct kc_managed_kind *k,
    struct json_object *take_merged, const struct kc_manager *self, const struct kc_manager *last);

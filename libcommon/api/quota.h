/* What objects count against ResourceQuotas: upstream's evaluators (pkg/quota/v1/evaluator/core). Shared by admission
 * and the controller. Amounts are trees {"requests.cpu":"500m","pods":"1"}, as in spec.hard. Pure: any thread. */
#pragma once

#include "base/clock.h"
#include "json/json.h"

/* Kinds that no quota counts (reviews, events). */
bool kc_quota_ignores(const char *group, const char *resource);
/* Is a resource of a quota ("requests.cpu", "count/deployments.apps") one that objects of the kind use? */
bool kc_quota_counts(const char *group, const char *resource, const char *name);
/* What the object uses; the caller's. now decides whether a pod that is being deleted still counts. */
struct json_object *kc_quota_usage(const char *group, const char *resource, const struct json_object *obj, kc_time now);
/* Is the object in all scopes of the quota's spec? */
bool kc_quota_scopes_match(
    const struct json_object *quota, const char *group, const char *resource, const struct json_object *obj);
/* What a quota with those resources (hard's names count) demands of the object and it does not say: "must specify
 * limits.cpu for: c"; NULL: nothing. Heap. */
char *kc_quota_unmet(
    const struct json_object *hard, const char *group, const char *resource, const struct json_object *obj);

/* --- Amounts. What is absent, or no quantity, is zero. */

/* to += from, or to -= from; with only, just what has a name in it. */
void kc_amounts_add(struct json_object *to, const struct json_object *from, const struct json_object *only);
void kc_amounts_sub(struct json_object *to, const struct json_object *from);
bool kc_amounts_is_zero(const struct json_object *amounts, const char *name);
/* a[name] - b[name] as -1, 0 or 1. */
int kc_amounts_cmp(const struct json_object *a, const struct json_object *b, const char *name);
/* Same names, same numbers. */
bool kc_amounts_equal(const struct json_object *a, const struct json_object *b);

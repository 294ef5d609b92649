/* Shared by quota.c and quota_pods.c. */
#pragma once

#include "api/quota.h"

/* One requirement of a quota's scopes. */
struct quota_scope {
        const char *name, *operator;
        const struct json_object *values;
};
/* Does it select a label of that value? NULL: there is no label. */
bool quota_scope_selects(const struct quota_scope *s, const char *value);
void quota_set(struct json_object *used, const char *name, int64_t n);

extern const char *const quota_pod_names[];
bool quota_pod_counts(const char *name);
void quota_use_pod(const struct json_object *pod, kc_time now, struct json_object *used);
bool quota_pod_in_scope(const struct quota_scope *s, const struct json_object *pod);
char *quota_pod_unmet(const struct json_object *hard, const struct json_object *pod);

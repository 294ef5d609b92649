/* Shared by the sources of the defaults. Trees may be NULL where a function says so. */
#pragma once

#include "json/json.h"

/* Sets a key that is absent (or null). */
void kc_default_missing(struct json_object *o, const char *key, struct json_object *take_v);
/* A string that Go holds by value: "" is unset. What the key has then. */
const char *kc_default_str(struct json_object *o, const char *key, const char *value);
/* An integer that Go holds by value: 0 is unset. */
void kc_default_int(struct json_object *o, const char *key, int64_t value);
/* A field and the list that took its place, whose first element it is (podIP and podIPs): the one that is unset is made of
 * the other; where they differ, the field wins, as in upstream's conversions. key: of an element, NULL: it is a string. */
void kc_default_first(struct json_object *o, const char *field, const char *list, const char *key);

void kc_default_pod(struct json_object *pod);
/* Quantities of a resource list (may be NULL) are rounded up to milli units. */
void kc_default_resource_list(struct json_object *list);

/* defaults_workloads.c */
void kc_default_autoscaler(struct json_object *o);
void kc_default_cron_job(struct json_object *o);
void kc_default_job(struct json_object *o);
void kc_default_pod_template(struct json_object *o);
void kc_default_stateful_set(struct json_object *o);

/* defaults_cluster.c */
void kc_default_csi_driver(struct json_object *o);
void kc_default_custom_resource_definition(struct json_object *o);
void kc_default_limit_range(struct json_object *o);
void kc_default_network_policy(struct json_object *o);
void kc_default_persistent_volume(struct json_object *o);
void kc_default_persistent_volume_claim(struct json_object *o);
void kc_default_resource_claim(struct json_object *o);
void kc_default_resource_claim_template(struct json_object *o);
void kc_default_resource_quota(struct json_object *o);
void kc_default_resource_slice(struct json_object *o);
void kc_default_runtime_class(struct json_object *o);

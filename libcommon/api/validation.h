/* Validation of built-in kinds: upstream's rules, paths, messages and order. Pure functions: any thread. */
#pragma once

#include "api/schema.h"
#include "api/status.h"

/* ObjectMeta and the kind's rules for a new object. */
void kc_validate_create(const struct json_object *obj, const struct kc_resource *r, struct kc_field_errors *errors);
/* For an update of old to obj: immutable fields and the rules above. subresource "" or "status", ... */
void kc_validate_update(const struct json_object *obj, const struct json_object *old, const struct kc_resource *r,
    const char *subresource, struct kc_field_errors *errors);

/* The rules of a Service's ClusterIPs and IP families alone: for whoever gives it addresses before it is validated. */
void kc_validate_service_cluster_ips(const struct json_object *service, struct kc_field_errors *errors);

/* kube-apiserver's --allow-privileged: false refuses privileged containers. True unless set. Any thread. */
void kc_validation_set_allow_privileged(bool allow);

/* Names: NULL when valid, else the first of upstream's messages (static). All of them: api/names.h. */
const char *kc_validate_dns1123_subdomain(const char *s);
const char *kc_validate_dns1123_label(const char *s);
const char *kc_validate_dns1035_label(const char *s);
const char *kc_validate_qualified_name(const char *s);
const char *kc_validate_label_value(const char *s);
const char *kc_validate_path_segment_name(const char *s);
const char *kc_validate_env_var_name(const char *s);
const char *kc_validate_config_map_key(const char *s);
const char *kc_validate_port_name(const char *s);

/* What the sources of the validation of resource.k8s.io share. Any thread. */
#pragma once

#include "api/validation_internal.h"

enum {
        KC_V_MAX_REQUESTS = 32,
        KC_V_MAX_CONFIGS = 32,
        KC_V_MAX_SELECTORS = 32,
        KC_V_MAX_PARAMETERS = 10 << 10,
};

/* Checks each element of list, if there are no more than max (negative: any number); p is the list's. */
void kc_v_each(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list, int max,
    void (*check)(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg),
    const void *arg);
/* That, and elements differ in the string at key (NULL: are strings that differ). */
void kc_v_each_of_set(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list, int max,
    const char *key,
    void (*check)(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const void *arg),
    const void *arg);
void kc_v_pool_name(struct kc_v *v, const struct kc_vpath *p, const char *name);
/* A label name (DNS-1123), which is required. */
void kc_v_device_name(struct kc_v *v, const struct kc_vpath *p, const char *name);
/* "name" or "domain/name" of an attribute or capacity. */
void kc_v_device_qualified_name(struct kc_v *v, const struct kc_vpath *p, const char *name);
/* The spec at p of a claim, or of a template for one. */
void kc_v_claim_devices(struct kc_v *v, const struct kc_vpath *p, const struct json_object *devices);
/* Conditions that a binding waits for, and those that fail it. */
void kc_v_binding_conditions(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o);

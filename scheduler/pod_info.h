/* What the scheduler asks of a pod again and again, parsed once. Loop thread. */
#pragma once

#include "api/object.h"
#include "base/clock.h"

/* Resources are small integers: the four below, extended resources after them in order of appearance. */
enum { KC_RES_CPU, KC_RES_MEMORY, KC_RES_EPHEMERAL, KC_RES_PODS, KC_RES_FIRST_EXTENDED, KC_RES_MAX = 64 };

/* The number of a resource name; made at first sight. -1 once KC_RES_MAX are known. */
int kc_resource_id(const char *name);
const char *kc_resource_name(int id);
int kc_resource_count(void);

struct kc_host_port {
        char ip[64]; /* "0.0.0.0" for any */
        char proto[8];
        int port;
};

struct kc_pod_info {
        struct kc_object *obj;
        char *key, *uid;
        int32_t priority;
        /* Requests: milli-CPU, bytes, units. Zero where not asked for; KC_RES_PODS is 1. */
        int64_t req[KC_RES_MAX];
        int64_t nonzero_cpu, nonzero_memory; /* with 100m and 200 MiB for containers without requests, for scoring */
        struct kc_host_port *ports;
        size_t n_ports;
};

struct kc_pod_info *kc_pod_info_new(struct kc_object *pod);
void kc_pod_info_free(struct kc_pod_info *p);
KC_DEFINE_CLEANUP(struct kc_pod_info *, kc_pod_info_free)
/* Two host ports exclude each other. */
bool kc_host_port_conflicts(const struct kc_host_port *a, const struct kc_host_port *b);

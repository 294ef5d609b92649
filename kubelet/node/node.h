/* Our Node: registration, status, Lease, the CNI configuration of its pod CIDR, and which pods fit. Upstream:
 * kubelet_node_status.go, nodestatus/, nodelease, lifecycle/predicate.go. Ticks on the loop's timers, the work runs on
 * the pool. */
#pragma once

#include "client/informer.h"
#include "event/worker.h"
#include "kubelet/cri/client.h"
#include "kubelet/events/events.h"

struct kc_node;

struct kc_node_opts {
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_cri *cri;
        struct kc_rest *rest;      /* NULL: standalone */
        struct kc_informer *nodes; /* our own Node; NULL: standalone */
        struct kc_kubelet_events *events;
        const char *name, *hostname, *root_dir;
        char *const *ips; /* strv */
        bool register_node, register_schedulable;
        char *const *labels, *const *taints; /* "k=v", "k=v:effect" */
        int max_pods, pods_per_core;
        char *const *kube_reserved, *const *system_reserved, *const *eviction_hard; /* "k=v" */
        int kubelet_port;
        const char *cni_conf_dir; /* "" : not written */
        int64_t update_usec, report_usec;
        int lease_seconds;
        const struct kc_clock *clock;
        /* Why the kubelet itself is not ready, heap, NULL: it is. Any thread. */
        char *(*not_ready)(void *arg);
        void *arg;
};
int kc_node_new(const struct kc_node_opts *o, struct kc_node **ret, struct kc_error *err);
/* When the pool has drained. */
void kc_node_free(struct kc_node *n);
KC_DEFINE_CLEANUP(struct kc_node *, kc_node_free)
/* On the loop. Starts with a look at the runtime, registration and the first status. */
void kc_node_start(struct kc_node *n);
void kc_node_stop(struct kc_node *n);

/* Any thread, all below. The Node as the API has it, or as we would register it; with a reference, NULL before the
 * first look. */
struct kc_object *kc_node_object(struct kc_node *n);
/* False: *ret_why (heap) is the runtime's reason. */
bool kc_node_network_ready(struct kc_node *n, char **ret_why);
/* Does the pod fit, with others already there (they may contain it)? False: reason ("OutOfcpu", "NodeAffinity", ...)
 * and message as upstream's, heap. */
bool kc_node_admit(struct kc_node *n, const struct json_object *pod, const struct kc_objects *others, char **ret_reason,
    char **ret_message);
/* "containerd", "cri-o": of the runtime's Version; NULL before the first look. Borrowed, never changes once set. */
const char *kc_node_runtime_name(struct kc_node *n);
/* Bytes of memory of the machine. */
int64_t kc_node_memory_capacity(void);

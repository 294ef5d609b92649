/* Between service_alloc.c (node ports, what both share), service_ips.c (addresses) and service_repair.c. */
#pragma once

#include <pthread.h>

#include "base/map.h"
#include "registry/registry.h"
#include "registry/service_alloc.h"

#define SVC_GROUP "networking.k8s.io"
#define SVC_CIDRS "servicecidrs"
#define SVC_ADDRESSES "ipaddresses"
#define SVC_DEFAULT_CIDR "kubernetes"
#define SVC_MANAGED_BY "ipaddress.kubernetes.io/managed-by"
#define SVC_IP_FAMILY "ipaddress.kubernetes.io/ip-family"
#define SVC_ALLOCATOR "ipallocator.k8s.io"
#define SVC_IPS_DIR "serviceips" /* where addresses were before they were objects */
#define SVC_PORTS_DIR "servicenodeports"

struct kc_service_alloc {
        const struct kc_resources *resources;
        struct kc_registry *registry;
        const struct kc_clock *clock;
        char *root;              /* "/registry/ranges" */
        struct kc_cidr cidrs[2]; /* of the flag: the default ServiceCIDR */
        size_t n_cidrs;
        uint64_t first_port, n_ports, reserved_ports;
        pthread_mutex_t lock;
        struct kc_map *used;   /* guarded by lock: ports (keys) that are (or were) taken */
        bool loaded, migrated; /* guarded by lock */
        struct kc_map *said;   /* of repair: events that have been recorded; one worker at a time */
};

/* --- service_alloc.c */
uint64_t svc_clamp(uint64_t v, uint64_t lo, uint64_t hi);
struct kc_store *svc_store(const struct kc_service_alloc *a);
/* Keys below "<root>/<dir>/". */
int svc_list_keys(
    struct kc_service_alloc *a, const char *dir, bool values, struct kc_store_list *ret, struct kc_error *err);
/* Tries lo <= offset < hi: some by chance, then one after another from a random start. try: 0, -EEXIST (the next one),
 * or an error. -EEXIST: all are taken. */
typedef int (*svc_try_fn)(void *arg, uint64_t offset, struct kc_error *err);
int svc_take_between(uint64_t lo, uint64_t hi, svc_try_fn try_one, void *arg, struct kc_error *err);

/* --- service_ips.c */
/* One prefix of a ServiceCIDR: addresses first <= i < first + size of it may be given, the first `reserved` of those by
 * chance only when the rest is taken. */
struct svc_range {
        struct kc_cidr cidr;
        uint64_t first, size, reserved;
};
/* Those from which addresses may be given now, the default one's first. family 0: both. The caller frees *ret. */
int svc_ranges(struct kc_service_alloc *a, int family, struct svc_range **ret, size_t *ret_n, struct kc_error *err);
bool svc_range_has(const struct svc_range *r, const struct kc_ip *ip);
/* Makes objects of keys of older versions. */
int svc_migrate(struct kc_service_alloc *a, struct kc_error *err);
/* 0, -EEXIST without a message, or an error. ip: canonical. */
int svc_create_address(
    struct kc_service_alloc *a, const struct kc_service_owner *o, const char *ip, bool dry_run, struct kc_error *err);
/* Deletes exactly that version of the IPAddress; success if it is gone or has changed. */
int svc_delete_address(struct kc_service_alloc *a, const struct kc_object *address, struct kc_error *err);

/* --- service_repair.c: addresses; ports are service_alloc.c's. */
int svc_repair_addresses(struct kc_service_alloc *a, const struct kc_objects *services, struct kc_error *err);

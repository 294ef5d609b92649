/* Who has which ClusterIP and node port. Nothing is given twice, whoever writes, and restarts forget nothing: each that
 * is in use is a name of its own in the store, made by a transaction that fails when it is there.
 *
 *   addresses  IPAddress objects (networking.k8s.io), from the prefixes of the ServiceCIDR objects that are ready
 *   ports      <prefix>/ranges/servicenodeports/30080 -> {"namespace","name","uid","time"}
 *
 * Any thread; calls block (store). */
#pragma once

#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/ip.h"
#include "resources/resources.h"

struct kc_service_alloc;
struct kc_registry;

struct kc_service_alloc_opts {
        const struct kc_resources *resources;
        struct kc_registry *registry;
        const struct kc_clock *clock; /* NULL: the real one */
        const struct kc_cidr *cidrs;  /* copied */
        size_t n_cidrs;
        int node_port_min, node_port_max;
};
struct kc_service_alloc *kc_service_alloc_new(const struct kc_service_alloc_opts *o);
void kc_service_alloc_free(struct kc_service_alloc *a);
KC_DEFINE_CLEANUP(struct kc_service_alloc *, kc_service_alloc_free)

/* Whose it is: the service. Borrowed. */
struct kc_service_owner {
        const char *ns, *name, *uid;
};

/* The prefix that --service-cluster-ip-range has for a family (AF_INET, AF_INET6), or NULL; family 0: the first. */
const struct kc_cidr *kc_service_alloc_cidr(const struct kc_service_alloc *a, int family);
/* Errors carry no API reason: -ERANGE not in the range, -EEXIST given already, -ENOSPC the range is full, else the
 * store's. The message is upstream's ("provided IP is already allocated"). dry_run: only looks. */
int kc_service_alloc_ip(
    struct kc_service_alloc *a, const struct kc_service_owner *o, const char *ip, bool dry_run, struct kc_error *err);
/* Any free one of the family, the upper part of the range first; *ret on the heap. */
int kc_service_alloc_next_ip(struct kc_service_alloc *a, const struct kc_service_owner *o, int family, bool dry_run,
    char **ret, struct kc_error *err);
int kc_service_alloc_port(
    struct kc_service_alloc *a, const struct kc_service_owner *o, int port, bool dry_run, struct kc_error *err);
int kc_service_alloc_next_port(
    struct kc_service_alloc *a, const struct kc_service_owner *o, bool dry_run, int *ret, struct kc_error *err);
/* Gives back, if it is that service's (by uid). Failures are logged: repair finds what is left. */
void kc_service_alloc_release_ip(struct kc_service_alloc *a, const struct kc_service_owner *o, const char *ip);
void kc_service_alloc_release_port(struct kc_service_alloc *a, const struct kc_service_owner *o, int port);

/* Makes the ServiceCIDR "kubernetes" of the flag if there is none, and ready if nobody has said whether it is. */
int kc_service_alloc_ensure_default(struct kc_service_alloc *a, struct kc_error *err);
/* Makes addresses (and ports) in use agree with the Services that exist: records what Services have, frees what no
 * Service has (if it was taken some time ago: its Service may just be on its way), takes over what older versions have
 * stored. Events say what was wrong. One worker at a time; addresses cost nothing where nothing is wrong. */
int kc_service_alloc_repair(struct kc_service_alloc *a, bool ports, struct kc_error *err);
/* --- How many are taken, as the store has it. For metrics and tests. */
int kc_service_alloc_count(struct kc_service_alloc *a, bool ports, int64_t *ret, struct kc_error *err);

/* Inside of the etcd store. */
#pragma once

#include <pthread.h>

#include "grpc/channel.h"
#include "storage/etcd.pb-c.h"
#include "storage/store_internal.h"

struct etcd_store {
        struct kc_store store;
        struct kc_grpc_channel *channel;
        int timeout_ms;
        /* Writes with one TTL share a lease for a while. */
        pthread_mutex_t lease_lock;
        int64_t lease_id;      /* guarded by lease_lock; 0: none */
        kc_mono lease_expires; /* guarded by lease_lock */
        size_t lease_keys;     /* guarded by lease_lock */
};

/* The error of the contract for a failed call. */
int etcd_error(struct kc_error *err, enum kc_grpc_code code, const char *message);
/* A call that blocks. Idempotent ones are sent again when a connection breaks. timeout_ms 0: the store's. */
int etcd_call(struct etcd_store *s, const char *method, const ProtobufCMessage *req,
    const ProtobufCMessageDescriptor *desc, int timeout_ms, bool idempotent, ProtobufCMessage **ret,
    struct kc_error *err);
/* The first key that has not the prefix. Heap; "" stands for none. */
char *etcd_prefix_end(const char *prefix);
ProtobufCBinaryData etcd_bytes(const char *s);
/* For the end of a range: etcd wants a NUL byte where there is no end. */
ProtobufCBinaryData etcd_end_bytes(const char *end);

/* etcd_lease.c: a lease that lives for at least ttl_seconds. Blocks. */
int etcd_lease_get(struct etcd_store *s, int64_t ttl_seconds, int64_t *ret, struct kc_error *err);
/* That one is of no use any more. */
void etcd_lease_forget(struct etcd_store *s, int64_t lease);

/* etcd_watch.c */
struct kc_store_watch *etcd_watch(struct kc_store *store, const char *prefix, int64_t start_revision, bool want_prev,
    const struct kc_store_watch_cbs *cbs, void *arg);

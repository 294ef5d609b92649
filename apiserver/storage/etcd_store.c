/* The store on etcd's v3 API, over one gRPC channel: reads, transactions, compaction, status. Watches are
 * etcd_watch.c's, leases etcd_lease.c's. Callers' threads block; I/O is on the loop. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "storage/etcd_internal.h"

enum {
        ETCD_TIMEOUT_MS = 10000,
        ETCD_GRACE_MS = 2000,       /* of a lost connection, in which calls wait for a new one */
        ETCD_MAX_MESSAGE = 1 << 30, /* a page of a list, or the events that a watch missed */
        ETCD_TRIES = 3,
};

/* Any key will do to ask for the revision; this one is where upstream's health check looks. */
#define ETCD_HEALTH_KEY "/registry/health"

#define RANGE "/etcdserverpb.KV/Range"

/* --- Common parts */

int etcd_error(struct kc_error *err, enum kc_grpc_code code, const char *message)
{
        switch (code) {
        case KC_GRPC_DEADLINE_EXCEEDED:
                return store_err_timeout(err, message);
        case KC_GRPC_UNAVAILABLE:
                if (kc_str_has_prefix(message, "etcdserver: request timed out"))
                        return store_err_timeout(err, message);
                return store_err_unavailable(err, message);
        case KC_GRPC_CANCELLED:
                return store_err_unavailable(err, message);
        case KC_GRPC_OUT_OF_RANGE:
                if (strstr(message, "has been compacted"))
                        return store_err_compacted(err);
                if (strstr(message, "is a future revision"))
                        return store_err_future(err);
                break;
        case KC_GRPC_INVALID_ARGUMENT:
                if (strstr(message, "request is too large"))
                        return store_err_too_large(err, message);
                break;
        case KC_GRPC_RESOURCE_EXHAUSTED:
                if (strstr(message, "larger than max"))
                        return store_err_too_large(err, message);
                break;
        default:
                break;
        }
        return store_err_other(err, message);
}

int etcd_call(struct etcd_store *s, const char *method, const ProtobufCMessage *req,
    const ProtobufCMessageDescriptor *desc, int timeout_ms, bool idempotent, ProtobufCMessage **ret,
    struct kc_error *err)
{
        kc_mono deadline = kc_clock_mono(NULL) + (timeout_ms ? timeout_ms : s->timeout_ms) * KC_MSEC;
        for (int tries = 1;; tries++) {
                enum kc_grpc_code code;
                struct kc_error e = KC_ERROR_INIT;
                int left = (int)KC_MAX((deadline - kc_clock_mono(NULL)) / KC_MSEC, 1);
                if (kc_grpc_call(s->channel, method, req, desc, left, true, ret, &code, &e) == 0)
                        return 0;
                bool no_leader = code == KC_GRPC_UNAVAILABLE && strstr(kc_error_message(&e), "no leader");
                if (no_leader)
                        kc_grpc_channel_reconnect(s->channel);
                if (code == KC_GRPC_UNAVAILABLE && idempotent && tries < ETCD_TRIES && kc_clock_mono(NULL) < deadline) {
                        kc_error_done(&e);
                        continue;
                }
                int r = etcd_error(err, code, kc_error_message(&e));
                kc_error_done(&e);
                return r;
        }
}

char *etcd_prefix_end(const char *prefix)
{
        char *end = kc_strdup(prefix);
        for (size_t n = strlen(end); n > 0; n--) {
                if ((unsigned char)end[n - 1] < 0xff) {
                        end[n - 1]++;
                        end[n] = '\0';
                        return end;
                }
        }
        end[0] = '\0';
        return end;
}

ProtobufCBinaryData etcd_bytes(const char *s)
{
        return (ProtobufCBinaryData){.len = strlen(s), .data = (uint8_t *)(uintptr_t)s};
}

ProtobufCBinaryData etcd_end_bytes(const char *end)
{
        return *end ? etcd_bytes(end) : (ProtobufCBinaryData){.len = 1, .data = (uint8_t *)(uintptr_t)end};
}

static struct etcd_store *etcd_of(struct kc_store *s)
{
        return KC_CONTAINER_OF(s, struct etcd_store, store);
}

static void kv_from(struct kc_store_kv *ret, const Etcdserverpb__KeyValue *kv, bool keys_only)
{
        ret->key = kc_strndup((const char *)kv->key.data, kv->key.len);
        ret->value = keys_only ? NULL : kc_bytes_new(kv->value.data, kv->value.len);
        ret->mod_revision = kv->mod_revision;
        ret->create_revision = kv->create_revision;
}

static void free_message(ProtobufCMessage *m)
{
        protobuf_c_message_free_unpacked(m, NULL);
}
KC_DEFINE_CLEANUP(ProtobufCMessage *, free_message)

/* --- Reading */

static int etcd_get(struct kc_store *store, const char *key, int64_t revision, struct kc_store_kv *ret,
    int64_t *ret_revision, struct kc_error *err)
{
        Etcdserverpb__RangeRequest req = ETCDSERVERPB__RANGE_REQUEST__INIT;
        req.key = etcd_bytes(key);
        req.revision = revision;
        KC_CLEANUP(free_messagep) ProtobufCMessage *m = NULL;
        int r =
            etcd_call(etcd_of(store), RANGE, &req.base, &etcdserverpb__range_response__descriptor, 0, true, &m, err);
        if (r < 0)
                return r;
        const Etcdserverpb__RangeResponse *resp = (const Etcdserverpb__RangeResponse *)m;
        if (ret_revision)
                *ret_revision = resp->header ? resp->header->revision : 0;
        if (resp->n_kvs == 0)
                return kc_error_set(err, ENOENT, "no key %s", key);
        kv_from(ret, resp->kvs[0], false);
        return 0;
}

static int etcd_list(
    struct kc_store *store, const struct kc_store_list_opts *o, struct kc_store_list *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *end = etcd_prefix_end(o->prefix);
        bool from = o->from_key && strcmp(o->from_key, o->prefix) > 0;
        *ret = (struct kc_store_list){.revision = o->revision};
        Etcdserverpb__RangeRequest req = ETCDSERVERPB__RANGE_REQUEST__INIT;
        req.key = etcd_bytes(from ? o->from_key : o->prefix);
        req.range_end = etcd_end_bytes(end);
        req.limit = (int64_t)o->limit;
        req.revision = o->revision;
        req.keys_only = o->keys_only;
        req.count_only = o->count_only;
        KC_CLEANUP(free_messagep) ProtobufCMessage *m = NULL;
        int r =
            etcd_call(etcd_of(store), RANGE, &req.base, &etcdserverpb__range_response__descriptor, 0, true, &m, err);
        if (r < 0)
                return r;
        const Etcdserverpb__RangeResponse *resp = (const Etcdserverpb__RangeResponse *)m;
        if (!o->revision && resp->header)
                ret->revision = resp->header->revision;
        ret->more = resp->more;
        ret->count = resp->count;
        ret->kvs = kc_calloc(resp->n_kvs ? resp->n_kvs : 1, sizeof(*ret->kvs));
        for (; ret->n < resp->n_kvs; ret->n++)
                kv_from(&ret->kvs[ret->n], resp->kvs[ret->n], o->keys_only);
        return 0;
}

struct revision_call {
        kc_store_revision_fn fn;
        void *arg;
};

static void on_revision(enum kc_grpc_code code, ProtobufCMessage *take_resp, const struct kc_error *err, void *arg)
{
        struct revision_call *c = arg;
        KC_CLEANUP(free_messagep) ProtobufCMessage *m = take_resp;
        const Etcdserverpb__RangeResponse *resp = (const Etcdserverpb__RangeResponse *)m;
        struct kc_error e = KC_ERROR_INIT;
        int64_t revision = resp && resp->header ? resp->header->revision : 0;
        if (revision == 0)
                (void)etcd_error(&e, code == KC_GRPC_OK ? KC_GRPC_INTERNAL : code,
                    code == KC_GRPC_OK ? "etcd told no revision" : kc_error_message(err));
        c->fn(revision, revision ? NULL : &e, c->arg);
        kc_error_done(&e);
        kc_free(c);
}

static void etcd_revision_async(struct kc_store *store, kc_store_revision_fn fn, void *arg)
{
        struct etcd_store *s = etcd_of(store);
        struct revision_call *c = KC_NEW(struct revision_call);
        c->fn = fn;
        c->arg = arg;
        Etcdserverpb__RangeRequest req = ETCDSERVERPB__RANGE_REQUEST__INIT;
        req.key = etcd_bytes(ETCD_HEALTH_KEY);
        req.count_only = true;
        kc_grpc_call_async(s->channel, RANGE, &req.base, &etcdserverpb__range_response__descriptor, s->timeout_ms, true,
            on_revision, c);
}

/* --- Writing */

static int txn(
    struct etcd_store *s, const struct store_write *w, int64_t lease, ProtobufCMessage **ret, struct kc_error *err)
{
        Etcdserverpb__Compare cmp = ETCDSERVERPB__COMPARE__INIT;
        Etcdserverpb__Compare *cmps[] = {&cmp};
        cmp.key = etcd_bytes(w->key);
        cmp.result = ETCDSERVERPB__COMPARE__COMPARE_RESULT__EQUAL;
        cmp.target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD;
        cmp.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION;
        cmp.mod_revision = w->expected;

        Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;
        Etcdserverpb__DeleteRangeRequest del = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
        Etcdserverpb__RequestOp then = ETCDSERVERPB__REQUEST_OP__INIT;
        Etcdserverpb__RequestOp *thens[] = {&then};
        if (w->value) {
                put.key = etcd_bytes(w->key);
                put.value = (ProtobufCBinaryData){.len = w->len, .data = (uint8_t *)(uintptr_t)w->value};
                put.lease = lease;
                then.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
                then.request_put = &put;
        } else {
                del.key = etcd_bytes(w->key);
                then.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
                then.request_delete_range = &del;
        }
        Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;
        range.key = etcd_bytes(w->key);
        Etcdserverpb__RequestOp otherwise = ETCDSERVERPB__REQUEST_OP__INIT;
        Etcdserverpb__RequestOp *otherwises[] = {&otherwise};
        otherwise.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
        otherwise.request_range = &range;

        Etcdserverpb__TxnRequest req = ETCDSERVERPB__TXN_REQUEST__INIT;
        req.n_compare = w->expected == STORE_UNCONDITIONAL ? 0 : 1;
        req.compare = cmps;
        req.n_success = 1;
        req.success = thens;
        req.n_failure = 1;
        req.failure = otherwises;
        return etcd_call(
            s, "/etcdserverpb.KV/Txn", &req.base, &etcdserverpb__txn_response__descriptor, 0, false, ret, err);
}

static int etcd_write(struct kc_store *store, const struct store_write *w, int64_t *ret_revision,
    struct kc_store_kv *ret_current, struct kc_error *err)
{
        struct etcd_store *s = etcd_of(store);
        KC_CLEANUP(free_messagep) ProtobufCMessage *m = NULL;
        int64_t lease = 0;
        int r;
        for (int tries = 0;; tries++) {
                if (w->ttl_seconds > 0 && (r = etcd_lease_get(s, w->ttl_seconds, &lease, err)) < 0)
                        return r;
                struct kc_error e = KC_ERROR_INIT;
                r = txn(s, w, lease, &m, &e);
                if (r == 0)
                        break;
                bool lease_lost = lease && strstr(kc_error_message(&e), "requested lease not found");
                if (lease_lost)
                        etcd_lease_forget(s, lease);
                if (!lease_lost || tries > 0) {
                        if (err)
                                kc_error_move(err, &e);
                        kc_error_done(&e);
                        return r;
                }
                kc_error_done(&e);
        }
        const Etcdserverpb__TxnResponse *resp = (const Etcdserverpb__TxnResponse *)m;
        if (resp->succeeded) {
                if (ret_revision)
                        *ret_revision = resp->header ? resp->header->revision : 0;
                return 0;
        }
        if (ret_current) {
                *ret_current = (struct kc_store_kv){0};
                const Etcdserverpb__RangeResponse *now =
                    resp->n_responses == 1 ? resp->responses[0]->response_range : NULL;
                if (now && now->n_kvs == 1)
                        kv_from(ret_current, now->kvs[0], false);
        }
        return kc_error_set(err, EAGAIN, "key %s is not at revision %lld", w->key, (long long)w->expected);
}

/* --- Upkeep */

static int etcd_compact(struct kc_store *store, int64_t revision, struct kc_error *err)
{
        Etcdserverpb__CompactionRequest req = ETCDSERVERPB__COMPACTION_REQUEST__INIT;
        req.revision = revision;
        KC_CLEANUP(free_messagep) ProtobufCMessage *m = NULL;
        return etcd_call(etcd_of(store), "/etcdserverpb.KV/Compact", &req.base,
            &etcdserverpb__compaction_response__descriptor, 0, false, &m, err);
}

static int etcd_status(struct kc_store *store, int timeout_ms, struct kc_store_status *ret, struct kc_error *err)
{
        struct etcd_store *s = etcd_of(store);
        kc_mono deadline = kc_clock_mono(NULL) + timeout_ms * KC_MSEC;
        /* Status alone is answered by a member that has lost its cluster: a linearizable read is not. */
        Etcdserverpb__RangeRequest range = ETCDSERVERPB__RANGE_REQUEST__INIT;
        range.key = etcd_bytes(ETCD_HEALTH_KEY);
        range.count_only = true;
        KC_CLEANUP(free_messagep) ProtobufCMessage *read = NULL, *m = NULL;
        int r =
            etcd_call(s, RANGE, &range.base, &etcdserverpb__range_response__descriptor, timeout_ms, true, &read, err);
        if (r < 0)
                return r;
        Etcdserverpb__StatusRequest req = ETCDSERVERPB__STATUS_REQUEST__INIT;
        int left = (int)KC_MAX((deadline - kc_clock_mono(NULL)) / KC_MSEC, 1);
        r = etcd_call(s, "/etcdserverpb.Maintenance/Status", &req.base, &etcdserverpb__status_response__descriptor,
            left, true, &m, err);
        if (r < 0)
                return r;
        const Etcdserverpb__StatusResponse *resp = (const Etcdserverpb__StatusResponse *)m;
        *ret = (struct kc_store_status){.db_size = resp->dbsize, .db_in_use = resp->dbsizeinuse};
        strncpy(ret->version, resp->version, sizeof(ret->version) - 1);
        return 0;
}

static void etcd_free(struct kc_store *store)
{
        struct etcd_store *s = etcd_of(store);
        kc_grpc_channel_free(s->channel);
        pthread_mutex_destroy(&s->lease_lock);
        kc_free(s);
}

static const struct store_ops etcd_ops = {
    .get = etcd_get,
    .list = etcd_list,
    .write = etcd_write,
    .revision_async = etcd_revision_async,
    .watch = etcd_watch,
    .compact = etcd_compact,
    .status = etcd_status,
    .free = etcd_free,
};

int kc_store_etcd_new(
    struct kc_loop *loop, const struct kc_store_etcd_opts *o, struct kc_store **ret, struct kc_error *err)
{
        /* A member that has lost its cluster is to say so rather than to let us wait. */
        char key[] = "hasleader", value[] = "true";
        char *metadata[] = {key, value, NULL};
        struct kc_grpc_channel_opts co = {
            .endpoints = o->endpoints,
            .tls = o->tls,
            .max_message = ETCD_MAX_MESSAGE,
            .fail_fast_grace_ms = ETCD_GRACE_MS,
            .metadata = metadata,
        };
        struct kc_grpc_channel *channel;
        int r = kc_grpc_channel_new(loop, &co, &channel, err);
        if (r < 0)
                return kc_error_wrap(err, "etcd");
        struct etcd_store *s = KC_NEW(struct etcd_store);
        s->store.ops = &etcd_ops;
        s->store.loop = loop;
        s->channel = channel;
        s->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : ETCD_TIMEOUT_MS;
        pthread_mutex_init(&s->lease_lock, NULL);
        *ret = &s->store;
        return 0;
}

/* The key-value store behind the API: a narrow interface with two implementations, etcd (kc_store_etcd_new) and memory
 * (kc_store_mem_new, for tests). One contract test suite runs against both: tests/unit/apiserver/storage/store_test.c.
 *
 * The store is an ordered map from keys to bytes with one history: every successful write makes a new revision, a
 * number greater than all before. Reads can go back to an old revision until it is compacted away; a watch replays the
 * history from a revision on and then follows it.
 *
 * Calls block (etcd round trips): worker threads only, never a loop, unless it says "async". Keys are C strings, values
 * any bytes. All calls are linearizable unless a revision is given.
 *
 * Errors, all of them, also as API errors: the store cannot be reached -EHOSTUNREACH (503 ServiceUnavailable); no
 * answer in time -ETIMEDOUT (504 Timeout: a write may or may not have happened); a compacted revision -ESTALE (410
 * Expired); a revision that is yet to come -ERANGE (504 Timeout, "Too large resource version"); a too large request
 * -EMSGSIZE (413); anything else -EIO (500 InternalError). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "event/loop.h"
#include "tls/tls.h"

struct kc_store;

struct kc_store_kv {
        char *key;
        struct kc_bytes *value; /* NULL: keys only, or (in an answer) no such key */
        int64_t mod_revision;   /* of the last write; 0: no such key */
        int64_t create_revision;
};
void kc_store_kv_done(struct kc_store_kv *kv);

struct kc_store_etcd_opts {
        char *const *endpoints;               /* strv: "https://127.0.0.1:2379", "http://...", "unix:///..." */
        const struct kc_tls_client_opts *tls; /* NULL: none */
        int timeout_ms;                       /* of one call; 0: 10000 */
};

/* The loop, which runs on a thread of its own, does the I/O and must outlive the store. Does not wait for a connection.
 */
int kc_store_etcd_new(
    struct kc_loop *loop, const struct kc_store_etcd_opts *o, struct kc_store **ret, struct kc_error *err);
/* The loop delivers watches. */
struct kc_store *kc_store_mem_new(struct kc_loop *loop);
/* For tests, on a memory store: as if it could not be reached; calls fail and watches end. Any thread. */
void kc_store_mem_set_down(struct kc_store *s, bool down);
/* On the loop or after it has stopped. Watches and async calls have ended before. */
void kc_store_free(struct kc_store *s);
KC_DEFINE_CLEANUP(struct kc_store *, kc_store_free)

/* --- Reading */

/* -ENOENT (no API reason: the caller knows the resource's name) when the key is not there; *ret_revision (may be NULL),
 * the store's revision at the read, is set then, too. revision 0: now. */
int kc_store_get(struct kc_store *s, const char *key, int64_t revision, struct kc_store_kv *ret, int64_t *ret_revision,
    struct kc_error *err);

struct kc_store_list_opts {
        const char *prefix;   /* keys that begin with it */
        const char *from_key; /* and are not below it; NULL: the first */
        size_t limit;         /* 0: none */
        int64_t revision;     /* 0: now */
        bool keys_only;
        bool count_only;
};

struct kc_store_list {
        struct kc_store_kv *kvs; /* in bytewise order of the keys */
        size_t n;
        bool more;        /* there are keys after the last one */
        int64_t count;    /* keys from from_key on, whatever the limit */
        int64_t revision; /* asked for, or the store's at the read */
};
int kc_store_list(
    struct kc_store *s, const struct kc_store_list_opts *o, struct kc_store_list *ret, struct kc_error *err);
void kc_store_list_done(struct kc_store_list *l);

/* The current revision, linearizable. fn runs on the store's loop, exactly once; revision 0 and err on failure. Any
 * thread. */
typedef void (*kc_store_revision_fn)(int64_t revision, const struct kc_error *err, void *arg);
void kc_store_revision_async(struct kc_store *s, kc_store_revision_fn fn, void *arg);
int kc_store_revision(struct kc_store *s, int64_t *ret, struct kc_error *err);

/* --- Writing: each one transaction on the key's mod revision. */

struct kc_store_write_opts {
        int64_t ttl_seconds; /* 0: for ever; else the key goes away by itself not before so many seconds (Events) */
};

/* The key must not exist: else -EEXIST and *ret_current (may be NULL) is what is there. opts may be NULL. */
int kc_store_create(struct kc_store *s, const char *key, const void *value, size_t len,
    const struct kc_store_write_opts *opts, int64_t *ret_revision, struct kc_store_kv *ret_current,
    struct kc_error *err);
/* The key's mod revision must be expected: else -EAGAIN and *ret_current (may be NULL) is what is there, with
 * mod_revision 0 if nothing is. No API reason is set, for the caller decides whether to retry. */
int kc_store_update(struct kc_store *s, const char *key, int64_t expected, const void *value, size_t len,
    const struct kc_store_write_opts *opts, int64_t *ret_revision, struct kc_store_kv *ret_current,
    struct kc_error *err);
/* As kc_store_update. *ret_revision is the revision of the deletion. */
int kc_store_delete(struct kc_store *s, const char *key, int64_t expected, int64_t *ret_revision,
    struct kc_store_kv *ret_current, struct kc_error *err);
/* Unconditional. */
int kc_store_put(
    struct kc_store *s, const char *key, const void *value, size_t len, int64_t *ret_revision, struct kc_error *err);

/* --- Watching, all on the store's loop. */

struct kc_store_event {
        const char *key;
        const void *value; /* NULL: deleted */
        size_t len;
        int64_t mod_revision;    /* of this write or deletion */
        int64_t create_revision; /* == mod_revision: created; 0 for a deletion */
        const void *prev_value;  /* what was there before; NULL: nothing, or compacted away */
        size_t prev_len;
        int64_t prev_revision;
};

struct kc_store_watch_cbs {
        /* Events in order, complete revisions. All are borrowed. */
        void (*on_events)(const struct kc_store_event *events, size_t n, int64_t revision, void *arg);
        /* The watch is in place; optional. */
        void (*on_created)(void *arg);
        /* Last call, not after kc_store_watch_cancel. -ESTALE: start_revision is compacted (*compact_revision says up
         * to where); other errors: watch again from the revision after the last one seen. */
        void (*on_end)(const struct kc_error *err, int64_t compact_revision, void *arg);
};
struct kc_store_watch;
/* All keys with the prefix, from start_revision on (inclusive). Without want_prev, events tell no previous values. Does
 * not call back before it returns. */
struct kc_store_watch *kc_store_watch(struct kc_store *s, const char *prefix, int64_t start_revision, bool want_prev,
    const struct kc_store_watch_cbs *cbs, void *arg);
/* No callback comes after it. */
void kc_store_watch_cancel(struct kc_store_watch *w);

/* --- Upkeep */

/* History up to (not including) the revision may go; -ESTALE when it is compacted already. */
int kc_store_compact(struct kc_store *s, int64_t revision, struct kc_error *err);

struct kc_store_status {
        char version[32]; /* "3.4.23" */
        int64_t db_size;  /* bytes on disk */
        int64_t db_in_use;
};
/* Answers within timeout_ms or fails: for health checks. */
int kc_store_status(struct kc_store *s, int timeout_ms, struct kc_store_status *ret, struct kc_error *err);
struct kc_loop *kc_store_loop(struct kc_store *s);

/* What an implementation of the store provides, and what all of them share. */
#pragma once

#include "storage/store.h"

enum { STORE_UNCONDITIONAL = -1 };

/* One write: put (value not NULL) or delete, if the key's mod revision is expected (0: no such key). */
struct store_write {
        const char *key;
        const void *value;
        size_t len;
        int64_t expected; /* or STORE_UNCONDITIONAL */
        int64_t ttl_seconds;
};

struct store_ops {
        int (*get)(struct kc_store *s, const char *key, int64_t revision, struct kc_store_kv *ret,
            int64_t *ret_revision, struct kc_error *err);
        int (*list)(
            struct kc_store *s, const struct kc_store_list_opts *o, struct kc_store_list *ret, struct kc_error *err);
        /* -EAGAIN when the revision is another one: *ret_current is set then, if not NULL. */
        int (*write)(struct kc_store *s, const struct store_write *w, int64_t *ret_revision,
            struct kc_store_kv *ret_current, struct kc_error *err);
        void (*revision_async)(struct kc_store *s, kc_store_revision_fn fn, void *arg);
        struct kc_store_watch *(*watch)(struct kc_store *s, const char *prefix, int64_t start_revision, bool want_prev,
            const struct kc_store_watch_cbs *cbs, void *arg);
        int (*compact)(struct kc_store *s, int64_t revision, struct kc_error *err);
        int (*status)(struct kc_store *s, int timeout_ms, struct kc_store_status *ret, struct kc_error *err);
        void (*free)(struct kc_store *s);
};

struct kc_store {
        const struct store_ops *ops;
        struct kc_loop *loop;
};

struct kc_store_watch {
        void (*cancel)(struct kc_store_watch *w);
};

/* The errors of the contract. */
int store_err_compacted(struct kc_error *err);
int store_err_future(struct kc_error *err);
int store_err_unavailable(struct kc_error *err, const char *why);
int store_err_timeout(struct kc_error *err, const char *why);
int store_err_too_large(struct kc_error *err, const char *why);
int store_err_other(struct kc_error *err, const char *why);

/* Room for one more; the new element is zero. */
struct kc_store_kv *store_list_push(struct kc_store_list *l, size_t *cap);

/* One HTTP/1.1 request on a connection of its own to a backend, its answer as it comes, and what follows a 101: the raw
 * bytes of the protocol that was agreed on. A connection is never used again, so nothing of one user's request can be
 * seen by another's (CVE-2018-1002105), and redirects are answers like others. On one loop.
 *
 *   kc_conn --> http-parser --> on_headers, on_data ..., on_done
 *                       `--> 101: on_headers, then on_data has raw bytes */
#pragma once

#include "base/buf.h"
#include "event/loop.h"
#include "tls/tls.h"

struct kc_exchange;

struct kc_exchange_cbs {
        /* The final answer's head. headers: strv of alternating name (as sent) and value, valid until on_done. */
        void (*on_headers)(struct kc_exchange *x, int code, char *const *headers, void *arg);
        /* The body, without its coding; after a 101 raw bytes. */
        void (*on_data)(struct kc_exchange *x, const char *data, size_t len, void *arg);
        void (*on_drain)(struct kc_exchange *x, void *arg); /* all written bytes are with the kernel; may be NULL */
        /* Last call, but the exchange still has to be freed. err NULL: the whole answer has come, or, after a 101, the
         * backend has closed in order. */
        void (*on_done)(struct kc_exchange *x, const struct kc_error *err, void *arg);
};

struct kc_exchange_opts {
        struct kc_loop *loop;
        const char *dial; /* a name or an address (no brackets) */
        int port;
        struct kc_tls_client *tls; /* NULL: plain; has to outlive the exchange */
        const char *tls_name;      /* whom the backend has to be; NULL: dial */
        int64_t open_timeout;      /* usec, until it is connected; 0: 30 s, as upstream's dialer */
        const char *method;
        const char *target;     /* "/exec/a/b?command=c" */
        const char *host;       /* the Host header */
        char *const *headers;   /* strv of alternating name, value, without Host, Content-Length, Transfer-Encoding */
        struct kc_bytes *body;  /* NULL: none */
        int64_t answer_timeout; /* usec, from the request to the head of the answer; 0: none */
        const struct kc_exchange_cbs *cbs;
        void *arg;
};

/* Callbacks come after this has returned. */
struct kc_exchange *kc_exchange_new(const struct kc_exchange_opts *o);
/* Raw bytes after a 101. Copies; the caller watches kc_exchange_queued. */
void kc_exchange_write(struct kc_exchange *x, const void *data, size_t len);
size_t kc_exchange_queued(const struct kc_exchange *x);
/* Stops and resumes on_data: back-pressure. */
void kc_exchange_pause(struct kc_exchange *x, bool paused);
/* The first header of that name, NULL if absent. */
const char *kc_exchange_header(const struct kc_exchange *x, const char *name);
/* Ends it without a callback. NULL, and from inside its own callbacks, are fine. */
void kc_exchange_free(struct kc_exchange *x);
KC_DEFINE_CLEANUP(struct kc_exchange *, kc_exchange_free)

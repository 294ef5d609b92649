/* What the files of this layer share, and what its tests need. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "tls/tls.h"

/* Files are looked at again at most this often. */
#define KC_TLS_RECHECK (10 * KC_SEC)

/* What a file looked like when it was last read. */
struct tls_file_stamp {
        ino_t ino;
        off_t size;
        int64_t mtime_ns;
};

struct tls_file_stamp tls_file_stamp_of(const char *path);
bool tls_file_stamp_equal(const struct tls_file_stamp *a, const struct tls_file_stamp *b);
enum {
        TLS_MAX_OWN_FILES = 4, /* of a context itself */
        TLS_MAX_FILES = TLS_MAX_OWN_FILES + 2 * KC_TLS_MAX_SNI,
};

/* An SSL_CTX made from files, made anew when they change. Any thread. */
struct tls_reload {
        const char *files[TLS_MAX_FILES]; /* borrowed; NULL: none */
        int (*make)(void *arg, SSL_CTX **ret, struct kc_error *err);
        void *arg;
        const struct kc_clock *clock; /* NULL: the real one */

        pthread_mutex_t lock; /* innermost */
        SSL_CTX *ctx;         /* guarded by lock, as what follows */
        unsigned generation;  /* how often ctx was made anew */
        kc_mono checked;
        struct tls_file_stamp stamps[TLS_MAX_FILES];
};

/* Fills r->ctx for the first time. files, make and arg are set. */
int tls_reload_init(struct tls_reload *r, struct kc_error *err);
void tls_reload_done(struct tls_reload *r);
/* A new SSL of the current context; a changed but bad file is logged once and the old context stays in use. */
SSL *tls_reload_ssl(struct tls_reload *r);
/* Looks at the files, too. */
unsigned tls_reload_generation(struct tls_reload *r);

/* The next SSL looks at the files. */
void tls_reload_recheck(struct tls_reload *r);

/* A context that keeps the certificate that did not verify, for messages. */
void tls_keep_rejected(SSL_CTX *ctx);

/* The versions, suites and key exchanges of the options. */
int tls_set_negotiation(SSL_CTX *ctx, const struct kc_tls_server_opts *o, struct kc_error *err);

/* One --tls-sni-cert-key. */
struct tls_sni_files {
        char *cert_file, *key_file;
        char **names; /* strv; NULL: those of the certificate */
};
int tls_sni_parse(const char *value, struct tls_sni_files *ret, struct kc_error *err);
void tls_sni_files_done(struct tls_sni_files *f);
/* The context answers with these certificates, too; it frees what was loaded for it. */
int tls_sni_load(SSL_CTX *ctx, const struct tls_sni_files *files, size_t n, struct kc_error *err);

/* Options that every context gets. */
SSL_CTX *tls_ctx_new(const SSL_METHOD *method);
/* Certificates of a PEM text or file go to the store; returns how many, or a negative errno. */
int tls_store_add_pem(X509_STORE *store, const char *pem, size_t len, struct kc_error *err);
int tls_store_add_file(X509_STORE *store, const char *path, struct kc_error *err);

/* What a certificate says, verified or not; NULL: a name in it is no text. The caller's. */
struct kc_tls_peer *tls_peer_read(const X509 *cert);

/* Tests: the clock that decides about looking at files. Before the first handshake. */
void kc_tls_server_set_clock(struct kc_tls_server *s, const struct kc_clock *clock);

/* TLS contexts (OpenSSL 3) that reload their files, and facts of certificates. */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"

enum { KC_TLS_MAX_SNI = 16 };

struct kc_tls_server_opts {
        const char *cert_file, *key_file; /* PEM */
        const char *client_ca_file;       /* NULL: client certificates are not asked for */
        bool require_client_cert;         /* else a client may come without one */
        bool unverified_client_cert; /* one is asked for and not verified: the user does (tls/verifier.h). Its CAs are
                                      * named to clients only, with those of more_client_ca_file. */
        const char *more_client_ca_file; /* NULL: none */
        const char *min_version;         /* "VersionTLS10" to "VersionTLS13"; NULL: "VersionTLS12" */
        char *const *cipher_suites;      /* upstream's names, strv; NULL: Go's default */
        char *const *curve_preferences;  /* numbers of IANA's TLS groups, strv; NULL: OpenSSL's default */
        char *const *sni_cert_keys;      /* "cert,key[:name,...]", strv; as upstream's --tls-sni-cert-key */
        bool cert_may_come_later;        /* without the files handshakes fail until they are there */
        bool alpn_h2;                    /* offer h2 and http/1.1, else only http/1.1 */
};

/* A server context; safe to share between threads. Certificate, key and CA files are looked at again at most every 10 s
 * when a handshake starts, and taken anew when they changed and are valid (no restart for renewal). */
struct kc_tls_server;
int kc_tls_server_new(const struct kc_tls_server_opts *o, struct kc_tls_server **ret, struct kc_error *err);
void kc_tls_server_free(struct kc_tls_server *s);
KC_DEFINE_CLEANUP(struct kc_tls_server *, kc_tls_server_free)
/* The files are looked at again at the next handshake, whenever they were last. */
void kc_tls_server_recheck(struct kc_tls_server *s);
/* A new SSL in accept state; the caller's. */
SSL *kc_tls_server_ssl(struct kc_tls_server *s);

struct kc_tls_client_opts {
        const char *ca_file;                     /* NULL with ca_pem NULL: the system's */
        const char *cert_file, *key_file;        /* NULL: none */
        const char *ca_pem, *cert_pem, *key_pem; /* contents instead of files; win over files */
        const char *server_name;                 /* SNI and name check; an IP address is checked as one */
        bool insecure_skip_verify;
};
struct kc_tls_client;
int kc_tls_client_new(const struct kc_tls_client_opts *o, struct kc_tls_client **ret, struct kc_error *err);
void kc_tls_client_free(struct kc_tls_client *c);
KC_DEFINE_CLEANUP(struct kc_tls_client *, kc_tls_client_free)
void kc_tls_client_recheck(struct kc_tls_client *c); /* as kc_tls_server_recheck */
enum kc_tls_alpn { KC_TLS_ALPN_NONE, KC_TLS_ALPN_H2, KC_TLS_ALPN_H2_OR_H1, KC_TLS_ALPN_H1 };
/* A new SSL in connect state, with SNI and verification set; the caller's. host is checked unless the options have a
 * server_name. */
SSL *kc_tls_client_ssl(struct kc_tls_client *c, const char *host, enum kc_tls_alpn alpn);
/* Another number than before: files have changed since, a connection made before shows a certificate of the past. Any
 * thread. */
unsigned kc_tls_client_generation(struct kc_tls_client *c);
/* After a handshake of a client has failed: why, in Go's words ("tls: failed to verify certificate: x509: ...").
 * EACCES: the certificate is not trusted; EPROTONOSUPPORT: the server does not speak TLS; else EPROTO. Returns -errno.
 */
int kc_tls_client_failure(SSL *ssl, struct kc_error *err);

/* The peer's identity, as the x509 authenticator of upstream sees it. */
struct kc_tls_peer {
        char *common_name;           /* user */
        char **organizations;        /* groups, strv, may be NULL */
        char **uids;                 /* of 1.3.6.1.4.1.57683.2; strv, may be NULL */
        bool unverified;             /* by a server with unverified_client_cert */
        struct stack_st_X509 *chain; /* the certificate, then what came with it */
        char *fingerprint;           /* hex SHA-256 of the DER */
        kc_time not_after;
};
/* NULL when the peer gave no certificate or it did not verify. The caller's. */
struct kc_tls_peer *kc_tls_peer_of(SSL *ssl);
void kc_tls_peer_free(struct kc_tls_peer *p);
KC_DEFINE_CLEANUP(struct kc_tls_peer *, kc_tls_peer_free)

/* A self-signed serving certificate and key in PEM files (upstream daemons do so when given none): names is a strv of
 * DNS names and IP addresses. ECDSA P-256, valid one year. The key file has mode 0600. */
int kc_tls_self_signed(
    const char *common_name, char *const *names, const char *cert_file, const char *key_file, struct kc_error *err);
/* Do these PEM texts hold a certificate and its private key? Messages are Go's. */
int kc_tls_check_pair(const char *cert_pem, const char *key_pem, struct kc_error *err);
/* SHA-256 of data; out has 32 bytes. */
void kc_sha256(const void *data, size_t len, unsigned char out[static 32]);
/* Constant-time comparison of two strings' bytes. */
bool kc_secret_equal(const char *a, size_t a_len, const char *b, size_t b_len);
/* The pem_password_cb of everything that reads PEM: what is encrypted is not read. Without one OpenSSL asks at the
 * terminal, and the thread waits for the answer, for whoever sends such a PEM. Any thread. */
int kc_tls_no_password(char *buf, int size, int writing, void *arg);
/* All queued OpenSSL errors as one message, for kc_error_set. Clears the queue. Thread's static buffer. */
const char *kc_tls_errors(void);

/* Who the peer's certificate says it is, and the small cryptographic helpers. Any thread. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/tls_internal.h"

void kc_sha256(const void *data, size_t len, unsigned char out[static 32])
{
        SHA256(data, len, out);
}

bool kc_secret_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
        return a_len == b_len && CRYPTO_memcmp(a, b, a_len) == 0;
}

/* NULL when it cannot be text (an embedded NUL would cut a name short). */
static char *entry_text(const X509_NAME_ENTRY *entry)
{
        unsigned char *utf8 = NULL;
        int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
        if (len < 0)
                return NULL;
        char *text = memchr(utf8, 0, (size_t)len) ? NULL : kc_strndup((char *)utf8, (size_t)len);
        OPENSSL_free(utf8);
        return text;
}

static bool is_uid(const ASN1_OBJECT *o)
{
        /* 1.3.6.1.4.1.57683.2, DER without its head */
        static const unsigned char oid[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xc2, 0x53, 0x02};
        return OBJ_length(o) == sizeof(oid) && memcmp(OBJ_get0_data(o), oid, sizeof(oid)) == 0;
}

/* Of several common names the last one counts, as in Go. */
static bool read_subject(const X509 *cert, struct kc_tls_peer *p)
{
        const X509_NAME *subject = X509_get_subject_name(cert);
        for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
                const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
                const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
                int nid = OBJ_obj2nid(type);
                bool uid = is_uid(type);
                if (nid != NID_commonName && nid != NID_organizationName && !uid)
                        continue;
                char *text = entry_text(entry);
                if (!text)
                        return false;
                if (nid == NID_organizationName) {
                        kc_strv_push_take(&p->organizations, text);
                } else if (uid) {
                        kc_strv_push_take(&p->uids, text);
                } else {
                        kc_free(p->common_name);
                        p->common_name = text;
                }
        }
        if (!p->common_name)
                p->common_name = kc_strdup("");
        return true;
}

struct kc_tls_peer *tls_peer_read(const X509 *cert)
{
        KC_CLEANUP(kc_tls_peer_freep) struct kc_tls_peer *p = KC_NEW(struct kc_tls_peer);
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned digest_len;
        struct tm tm;
        if (!read_subject(cert, p) || ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1 ||
            X509_digest(cert, EVP_sha256(), digest, &digest_len) != 1)
                return NULL;
        p->not_after = (kc_time)timegm(&tm) * KC_SEC;
        p->fingerprint = kc_hex_encode(digest, digest_len);
        return KC_TAKE(p);
}

/* The certificate and what came with it. */
static STACK_OF(X509) * chain_of(SSL *ssl, X509 *cert)
{
        STACK_OF(X509) *given = SSL_get_peer_cert_chain(ssl), *chain = sk_X509_new_null();
        bool ok = chain && X509_add_cert(chain, cert, X509_ADD_FLAG_UP_REF) == 1;
        for (int i = 0; ok && i < sk_X509_num(given); i++) /* a server's has no leaf in it */
                ok = X509_add_cert(chain, sk_X509_value(given, i), X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) == 1;
        if (ok)
                return chain;
        sk_X509_pop_free(chain, X509_free);
        return NULL;
}

struct kc_tls_peer *kc_tls_peer_of(SSL *ssl)
{
        X509 *cert = SSL_get0_peer_certificate(ssl);
        long result = SSL_get_verify_result(ssl);
        if (!cert || (result != X509_V_OK && result != X509_V_ERR_APPLICATION_VERIFICATION))
                return NULL;
        /* A resumed session was verified when it began; the certificate may have expired since. */
        if (SSL_session_reused(ssl) && X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0)
                return NULL;
        KC_CLEANUP(kc_tls_peer_freep) struct kc_tls_peer *p = tls_peer_read(cert);
        if (!p)
                return NULL;
        p->unverified = result != X509_V_OK;
        p->chain = chain_of(ssl, cert);
        return p->chain ? KC_TAKE(p) : NULL;
}

void kc_tls_peer_free(struct kc_tls_peer *p)
{
        if (!p)
                return;
        kc_free(p->common_name);
        kc_strv_free(p->organizations);
        kc_strv_free(p->uids);
        kc_free(p->fingerprint);
        sk_X509_pop_free(p->chain, X509_free);
        kc_free(p);
}

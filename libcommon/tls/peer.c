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

/* Of several common names the last one counts, as in Go. */
static bool read_subject(const X509 *cert, struct kc_tls_peer *p)
{
        const X509_NAME *subject = X509_get_subject_name(cert);
        for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
                const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
                int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
                if (nid != NID_commonName && nid != NID_organizationName)
                        continue;
                char *text = entry_text(entry);
                if (!text)
                        return false;
                if (nid == NID_organizationName) {
                        kc_strv_push_take(&p->organizations, text);
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

struct kc_tls_peer *kc_tls_peer_of(SSL *ssl)
{
        const X509 *cert = SSL_get0_peer_certificate(ssl);
        if (!cert || SSL_get_verify_result(ssl) != X509_V_OK)
                return NULL;
        /* A resumed session was verified when it began; the certificate may have expired since. */
        if (SSL_session_reused(ssl) && X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0)
                return NULL;
        return tls_peer_read(cert);
}

void kc_tls_peer_free(struct kc_tls_peer *p)
{
        if (!p)
                return;
        kc_free(p->common_name);
        kc_strv_free(p->organizations);
        kc_free(p->fingerprint);
        kc_free(p);
}

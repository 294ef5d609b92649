/* Reading certificate requests and certificates. Any thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/csr_internal.h"
#include "tls/tls.h"

enum { MAX_REQUEST = 1 << 20, IP4_LEN = 4, IP6_LEN = 16 };

/* NULL when it cannot be text (an embedded NUL would cut a name short). */
static char *text_of(const ASN1_STRING *s)
{
        unsigned char *utf8 = NULL;
        int len = ASN1_STRING_to_UTF8(&utf8, s);
        if (len < 0)
                return NULL;
        char *text = memchr(utf8, 0, (size_t)len) ? NULL : kc_strndup((char *)utf8, (size_t)len);
        OPENSSL_free(utf8);
        return text;
}

int tls_read_subject(const X509_NAME *subject, char **ret_common_name, char ***ret_organizations)
{
        KC_CLEANUP(kc_freep) char *common_name = kc_strdup("");
        KC_CLEANUP(kc_strv_freep) char **organizations = NULL;
        for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
                const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
                int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
                if (nid != NID_commonName && nid != NID_organizationName)
                        continue;
                char *text = text_of(X509_NAME_ENTRY_get_data(entry));
                if (!text)
                        return -EINVAL;
                if (nid == NID_organizationName) {
                        kc_strv_push_take(&organizations, text);
                } else {
                        kc_free(common_name);
                        common_name = text;
                }
        }
        *ret_common_name = KC_TAKE(common_name);
        *ret_organizations = KC_TAKE(organizations);
        return 0;
}

static int push_ip(char ***list, const ASN1_OCTET_STRING *ip)
{
        char text[INET6_ADDRSTRLEN];
        int len = ASN1_STRING_length(ip);
        if (len != IP4_LEN && len != IP6_LEN)
                return -EINVAL;
        inet_ntop(len == IP4_LEN ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip), text, sizeof(text));
        kc_strv_push(list, text);
        return 0;
}

static int push_text(char ***list, const ASN1_STRING *s)
{
        char *text = text_of(s);
        if (!text)
                return -EINVAL;
        kc_strv_push_take(list, text);
        return 0;
}

int tls_read_alt_names(
    const GENERAL_NAMES *names, char ***dns_names, char ***ip_addresses, char ***emails, char ***uris)
{
        int r = 0;
        for (int i = 0; r == 0 && names && i < sk_GENERAL_NAME_num(names); i++) {
                const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
                if (n->type == GEN_DNS)
                        r = push_text(dns_names, n->d.dNSName);
                else if (n->type == GEN_IPADD)
                        r = push_ip(ip_addresses, n->d.iPAddress);
                else if (n->type == GEN_EMAIL && emails)
                        r = push_text(emails, n->d.rfc822Name);
                else if (n->type == GEN_URI && uris)
                        r = push_text(uris, n->d.uniformResourceIdentifier);
        }
        return r;
}

static int read_requested_names(X509_REQ *req, struct kc_csr *c)
{
        STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(req);
        int critical = 0;
        KC_CLEANUP(GENERAL_NAMES_freep)
        GENERAL_NAMES *names = extensions ? X509V3_get_d2i(extensions, NID_subject_alt_name, &critical, NULL) : NULL;
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        /* -1: it is not there; other failures are malformed or double extensions. */
        if (extensions && !names && critical != -1)
                return -EINVAL;
        return tls_read_alt_names(names, &c->dns_names, &c->ip_addresses, &c->emails, &c->uris);
}

int kc_csr_parse(const char *pem, size_t len, struct kc_csr **ret, struct kc_error *err)
{
        if (len > MAX_REQUEST)
                return kc_error_set(err, EINVAL, "the certificate request is larger than %d bytes", MAX_REQUEST);
        KC_CLEANUP(BIO_freep) BIO *bio = BIO_new_mem_buf(pem, (int)len);
        KC_CLEANUP(kc_csr_freep) struct kc_csr *c = KC_NEW(struct kc_csr);
        char *name = NULL, *header = NULL;
        unsigned char *der = NULL;
        long der_len = 0;
        /* Go looks at the first block, whatever it is. */
        bool block =
            bio && PEM_read_bio(bio, &name, &header, &der, &der_len) == 1 && kc_streq(name, "CERTIFICATE REQUEST");
        const unsigned char *p = der;
        if (block)
                c->req = d2i_X509_REQ(NULL, &p, der_len);
        bool whole = c->req && p == der + der_len;
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
        ERR_clear_error();
        if (!block)
                return kc_error_set(err, EINVAL, "PEM block type must be CERTIFICATE REQUEST");
        EVP_PKEY *key = whole ? X509_REQ_get0_pubkey(c->req) : NULL;
        if (!key || tls_read_subject(X509_REQ_get_subject_name(c->req), &c->common_name, &c->organizations) < 0 ||
            read_requested_names(c->req, c) < 0) {
                ERR_clear_error();
                return kc_error_set(err, EINVAL, "x509: malformed certificate request");
        }
        c->rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
        *ret = KC_TAKE(c);
        return 0;
}

int kc_csr_parse_base64(const char *text, struct kc_csr **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf pem = KC_BUF_INIT;
        if (!text || kc_base64_decode(text, strlen(text), &pem) < 0)
                return kc_error_set(err, EINVAL, "the certificate request is not base64");
        return kc_csr_parse(kc_buf_str(&pem), pem.len, ret, err);
}

void kc_csr_free(struct kc_csr *c)
{
        if (!c)
                return;
        kc_free(c->common_name);
        kc_strv_free(c->organizations);
        kc_strv_free(c->dns_names);
        kc_strv_free(c->ip_addresses);
        kc_strv_free(c->emails);
        kc_strv_free(c->uris);
        X509_REQ_free(c->req);
        kc_free(c);
}

/* --- Certificates */

static int take_time(const ASN1_TIME *t, kc_time *ret)
{
        struct tm tm;
        if (ASN1_TIME_to_tm(t, &tm) != 1)
                return -EINVAL;
        *ret = (kc_time)timegm(&tm) * KC_SEC;
        return 0;
}

static X509 *first_certificate(const char *pem, size_t len)
{
        KC_CLEANUP(BIO_freep) BIO *bio = len <= MAX_REQUEST ? BIO_new_mem_buf(pem, (int)len) : NULL;
        X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, kc_tls_no_password, NULL) : NULL;
        ERR_clear_error();
        return cert;
}

int kc_cert_info(const char *pem, size_t len, struct kc_cert_info *ret, struct kc_error *err)
{
        KC_CLEANUP(X509_freep) X509 *cert = first_certificate(pem, len);
        struct kc_cert_info c = {0};
        if (!cert)
                return kc_error_set(err, EINVAL, "no PEM certificate");
        KC_CLEANUP(GENERAL_NAMES_freep)
        GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
        if (tls_read_subject(X509_get_subject_name(cert), &c.common_name, &c.organizations) < 0 ||
            tls_read_alt_names(names, &c.dns_names, &c.ip_addresses, NULL, NULL) < 0 ||
            take_time(X509_get0_notBefore(cert), &c.not_before) < 0 ||
            take_time(X509_get0_notAfter(cert), &c.not_after) < 0) {
                kc_cert_info_done(&c);
                return kc_error_set(err, EINVAL, "x509: malformed certificate");
        }
        *ret = c;
        return 0;
}

void kc_cert_info_done(struct kc_cert_info *c)
{
        kc_free(c->common_name);
        kc_strv_free(c->organizations);
        kc_strv_free(c->dns_names);
        kc_strv_free(c->ip_addresses);
        *c = (struct kc_cert_info){0};
}

bool kc_cert_has_key(const char *pem, size_t len)
{
        KC_CLEANUP(X509_freep) X509 *cert = first_certificate(pem, len);
        KC_CLEANUP(BIO_freep) BIO *bio = len <= MAX_REQUEST ? BIO_new_mem_buf(pem, (int)len) : NULL;
        KC_CLEANUP(EVP_PKEY_freep)
        EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, kc_tls_no_password, NULL) : NULL;
        bool ok = cert && key && X509_check_private_key(cert, key) == 1;
        ERR_clear_error();
        return ok;
}

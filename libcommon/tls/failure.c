/* What has gone wrong in a client's handshake, in the words of Go's crypto/tls and crypto/x509, which users of
 * Kubernetes know. Any thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <string.h>

#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/tls_internal.h"

/* --- The certificate in question. OpenSSL does not keep one that it rejects. */

static int rejected_index = -1;
static pthread_once_t rejected_once = PTHREAD_ONCE_INIT;

static void free_rejected(void *parent, void *cert, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
        (void)parent;
        (void)ad;
        (void)index;
        (void)argl;
        (void)argp;
        X509_free(cert);
}

static void make_index(void)
{
        rejected_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_rejected);
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
        SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
        X509 *cert = X509_STORE_CTX_get0_cert(store);
        if (!ok && cert && !SSL_get_ex_data(ssl, rejected_index) && X509_up_ref(cert) == 1 &&
            SSL_set_ex_data(ssl, rejected_index, cert) != 1)
                X509_free(cert);
        return ok;
}

void tls_keep_rejected(SSL_CTX *ctx)
{
        pthread_once(&rejected_once, make_index);
        SSL_CTX_set_verify(ctx, SSL_CTX_get_verify_mode(ctx), on_verify);
}

/* --- Words */

/* The names, or the addresses, that a certificate is valid for. strv. */
static char **names_of(X509 *cert, bool addresses)
{
        char **names = NULL;
        GENERAL_NAMES *san = cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;
        for (int i = 0; i < sk_GENERAL_NAME_num(san); i++) {
                const GENERAL_NAME *n = sk_GENERAL_NAME_value(san, i);
                if (addresses && n->type == GEN_IPADD) {
                        int len = ASN1_STRING_length(n->d.iPAddress);
                        char text[INET6_ADDRSTRLEN];
                        if ((len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6,
                                                           ASN1_STRING_get0_data(n->d.iPAddress), text, sizeof(text)))
                                kc_strv_push(&names, text);
                } else if (!addresses && n->type == GEN_DNS) {
                        kc_strv_push_take(&names, kc_strndup((const char *)ASN1_STRING_get0_data(n->d.dNSName),
                                                      (size_t)ASN1_STRING_length(n->d.dNSName)));
                }
        }
        GENERAL_NAMES_free(san);
        return names;
}

static char *mismatch(SSL *ssl, bool address)
{
        X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
        char *ip = address ? X509_VERIFY_PARAM_get1_ip_asc(param) : NULL;
        const char *wanted = address ? ip : X509_VERIFY_PARAM_get0_host(param, 0);
        KC_CLEANUP(kc_strv_freep) char **names = names_of(SSL_get_ex_data(ssl, rejected_index), address);
        KC_CLEANUP(kc_freep) char *list = kc_strv_join(names, ", ");
        char *text;
        if (names)
                text = kc_asprintf("certificate is valid for %s, not %s", list, wanted ? wanted : "");
        else if (address)
                text = kc_asprintf("cannot validate certificate for %s because it doesn't contain any IP SANs", wanted);
        else
                text = kc_asprintf("certificate is not valid for any names, but wanted to match %s", wanted);
        OPENSSL_free(ip);
        return text;
}

static char *untrusted(SSL *ssl, long result)
{
        switch (result) {
        case X509_V_ERR_HOSTNAME_MISMATCH:
                return mismatch(ssl, false);
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
                return mismatch(ssl, true);
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID:
                return kc_strdup("certificate has expired or is not yet valid");
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
                return kc_strdup("certificate signed by unknown authority");
        default:
                return kc_asprintf("certificate: %s", X509_verify_cert_error_string(result));
        }
}

/* What the peer has said, as Go's crypto/tls calls it; NULL: OpenSSL's words will do. */
static const char *alert_text(int alert)
{
        static const struct {
                int alert;
                const char *text;
        } alerts[] = {
            {SSL_AD_HANDSHAKE_FAILURE, "handshake failure"},
            {SSL_AD_BAD_CERTIFICATE, "bad certificate"},
            {SSL_AD_UNSUPPORTED_CERTIFICATE, "unsupported certificate"},
            {SSL_AD_CERTIFICATE_REVOKED, "revoked certificate"},
            {SSL_AD_CERTIFICATE_EXPIRED, "expired certificate"},
            {SSL_AD_CERTIFICATE_UNKNOWN, "unknown certificate"},
            {SSL_AD_UNKNOWN_CA, "unknown certificate authority"},
            {SSL_AD_ACCESS_DENIED, "access denied"},
            {SSL_AD_PROTOCOL_VERSION, "protocol version not supported"},
            {SSL_AD_INSUFFICIENT_SECURITY, "insufficient security level"},
            {SSL_AD_INTERNAL_ERROR, "internal error"},
            {SSL_AD_UNRECOGNIZED_NAME, "unrecognized name"},
            {SSL_AD_CERTIFICATE_REQUIRED, "certificate required"},
            {SSL_AD_NO_APPLICATION_PROTOCOL, "no application protocol"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(alerts); i++)
                if (alerts[i].alert == alert)
                        return alerts[i].text;
        return NULL;
}

int kc_tls_client_failure(SSL *ssl, struct kc_error *err)
{
        unsigned long code = ERR_peek_last_error(); /* the first may be a detail of it */
        int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
        if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
                KC_CLEANUP(kc_freep) char *why = untrusted(ssl, SSL_get_verify_result(ssl));
                ERR_clear_error();
                return kc_error_set(err, EACCES, "tls: failed to verify certificate: x509: %s", why);
        }
        if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
                ERR_clear_error();
                return kc_error_set(err, EPROTONOSUPPORT, "tls: first record does not look like a TLS handshake");
        }
        if (reason <= SSL_AD_REASON_OFFSET)
                return kc_error_set(err, EPROTO, "tls: %s", kc_tls_errors());
        const char *known = alert_text(reason - SSL_AD_REASON_OFFSET), *text = kc_tls_errors();
        return kc_error_set(err, EPROTO, "remote error: tls: %s", known ? known : text);
}

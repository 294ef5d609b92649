/* Serving certificates that daemons make for themselves when given none. Any thread. */
#include <errno.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/csr_internal.h"
#include "tls/tls.h"

enum { VALID_DAYS = 365, X509_VERSION = 2 /* means 3 */ };
#define BACKDATE_SECONDS 3600L /* for peers whose clock is behind */

static bool add_extension(X509 *cert, int nid, const char *value)
{
        X509V3_CTX ctx;
        X509V3_set_ctx_nodb(&ctx);
        X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
        X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        bool ok = ext && X509_add_ext(cert, ext, -1) == 1;
        X509_EXTENSION_free(ext);
        return ok;
}

/* Built as a structure and not from configuration text: a name cannot add other names. */
static bool add_alt_names(X509 *cert, char *const *names)
{
        GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
        bool ok = list != NULL;
        for (size_t i = 0; ok && i < kc_strv_len(names); i++) {
                GENERAL_NAME *n = tls_alt_name(names[i]);
                ok = n && sk_GENERAL_NAME_push(list, n) > 0;
        }
        ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, 0) == 1;
        GENERAL_NAMES_free(list);
        return ok;
}

static X509 *make_certificate(const char *common_name, char *const *names, EVP_PKEY *key)
{
        KC_CLEANUP(X509_freep) X509 *cert = X509_new();
        if (!cert || X509_set_version(cert, X509_VERSION) != 1 || !tls_set_serial(cert))
                return NULL;
        X509_NAME *subject = X509_get_subject_name(cert);
        if (!X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATE_SECONDS) ||
            !X509_time_adj_ex(X509_getm_notAfter(cert), VALID_DAYS, 0, NULL) ||
            X509_NAME_add_entry_by_NID(
                subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) != 1 ||
            X509_set_issuer_name(cert, subject) != 1 || X509_set_pubkey(cert, key) != 1)
                return NULL;
        if (!add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") ||
            !add_extension(cert, NID_key_usage, "critical,digitalSignature,keyEncipherment") ||
            !add_extension(cert, NID_ext_key_usage, "serverAuth") ||
            (kc_strv_len(names) && !add_alt_names(cert, names)))
                return NULL;
        return X509_sign(cert, key, EVP_sha256()) > 0 ? KC_TAKE(cert) : NULL;
}

static int write_pem(const char *path, BIO *pem, mode_t mode, struct kc_error *err)
{
        char *data;
        long len = BIO_get_mem_data(pem, &data);
        return kc_file_write_atomic(path, data, (size_t)len, mode, err);
}

int kc_tls_self_signed(
    const char *common_name, char *const *names, const char *cert_file, const char *key_file, struct kc_error *err)
{
        KC_CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
        KC_CLEANUP(X509_freep) X509 *cert = key ? make_certificate(common_name, names, key) : NULL;
        if (!cert)
                return kc_error_set(err, EINVAL, "certificate for %s: %s", common_name, kc_tls_errors());
        BIO *cert_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_secmem());
        int r;
        if (!cert_pem || !key_pem || PEM_write_bio_X509(cert_pem, cert) != 1 ||
            PEM_write_bio_PKCS8PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL) != 1) {
                r = kc_error_set(err, ENOMEM, "certificate for %s: %s", common_name, kc_tls_errors());
        } else {
                r = write_pem(key_file, key_pem, S_IRUSR | S_IWUSR, err);
                if (r == 0)
                        r = write_pem(cert_file, cert_pem, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH, err);
        }
        BIO_free(cert_pem);
        BIO_free(key_pem);
        return r;
}

/* Private keys and requests of our own. Any thread. */
#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/csr_internal.h"
#include "tls/tls.h"

char *tls_bio_text(BIO *bio)
{
        char *data = NULL;
        long len = BIO_get_mem_data(bio, &data);
        return kc_strndup(len > 0 ? data : "", len > 0 ? (size_t)len : 0);
}

GENERAL_NAME *tls_alt_name(const char *name)
{
        struct kc_ip ip;
        bool is_ip = kc_ip_parse(name, &ip) == 0;
        return a2i_GENERAL_NAME(NULL, NULL, NULL, is_ip ? GEN_IPADD : GEN_DNS, name, 0);
}

int kc_key_generate(char **ret_pem, struct kc_error *err)
{
        KC_CLEANUP(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
        KC_CLEANUP(BIO_freep) BIO *bio = BIO_new(BIO_s_secmem());
        /* SEC 1, as upstream's keys are: "EC PRIVATE KEY". */
        if (!key || !bio || PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
                return kc_error_set(err, EIO, "unable to generate a new private key: %s", kc_tls_errors());
        *ret_pem = tls_bio_text(bio);
        return 0;
}

static bool set_subject(X509_NAME *subject, const char *common_name, char *const *organizations)
{
        bool ok = true;
        for (char *const *o = organizations; ok && o && *o; o++)
                ok = X509_NAME_add_entry_by_NID(
                         subject, NID_organizationName, MBSTRING_UTF8, (const unsigned char *)*o, -1, -1, 0) == 1;
        return ok && X509_NAME_add_entry_by_NID(
                         subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) == 1;
}

static bool add_alt_names(X509_REQ *req, char *const *names)
{
        KC_CLEANUP(GENERAL_NAMES_freep) GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
        STACK_OF(X509_EXTENSION) *extensions = NULL;
        bool ok = list != NULL;
        for (char *const *n = names; ok && *n; n++) {
                GENERAL_NAME *name = tls_alt_name(*n);
                ok = name && sk_GENERAL_NAME_push(list, name) > 0;
        }
        ok = ok && X509V3_add1_i2d(&extensions, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) == 1 &&
             X509_REQ_add_extensions(req, extensions) == 1;
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
        return ok;
}

int kc_csr_make(const char *key_pem, const char *common_name, char *const *organizations, char *const *names,
    char **ret_pem, struct kc_error *err)
{
        KC_CLEANUP(BIO_freep) BIO *in = BIO_new_mem_buf(key_pem, -1);
        KC_CLEANUP(BIO_freep) BIO *out = BIO_new(BIO_s_mem());
        KC_CLEANUP(EVP_PKEY_freep)
        EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, kc_tls_no_password, NULL) : NULL;
        KC_CLEANUP(X509_REQ_freep) X509_REQ *req = X509_REQ_new();
        if (!key || !req || !out || X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
            !set_subject(X509_REQ_get_subject_name(req), common_name, organizations) ||
            X509_REQ_set_pubkey(req, key) != 1 || (kc_strv_len(names) && !add_alt_names(req, names)) ||
            X509_REQ_sign(req, key, EVP_sha256()) <= 0 || PEM_write_bio_X509_REQ(out, req) != 1)
                return kc_error_set(err, EINVAL, "unable to make a certificate request: %s", kc_tls_errors());
        *ret_pem = tls_bio_text(out);
        return 0;
}

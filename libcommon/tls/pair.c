/* Does a certificate go with a key? In the words of Go's tls.X509KeyPair. Any thread. */
#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls/tls.h"

int kc_tls_check_pair(const char *cert_pem, const char *key_pem, struct kc_error *err)
{
        BIO *cert_bio = BIO_new_mem_buf(cert_pem, -1), *key_bio = BIO_new_mem_buf(key_pem, -1);
        X509 *cert = cert_bio ? PEM_read_bio_X509(cert_bio, NULL, kc_tls_no_password, NULL) : NULL;
        EVP_PKEY *key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, kc_tls_no_password, NULL) : NULL;
        int e = 0;
        if (!cert)
                e = kc_error_set(err, EINVAL, "tls: failed to find %s PEM data in certificate input",
                    strstr(cert_pem, "-----BEGIN CERTIFICATE-----") ? "valid" : "any");
        else if (!key)
                e = kc_error_set(err, EINVAL, "tls: failed to find %s PEM data in key input",
                    strstr(key_pem, "PRIVATE KEY-----") ? "valid" : "any");
        else if (X509_check_private_key(cert, key) != 1)
                e = kc_error_set(err, EINVAL, "tls: private key does not match public key");
        ERR_clear_error();
        X509_free(cert);
        EVP_PKEY_free(key);
        BIO_free(cert_bio);
        BIO_free(key_bio);
        return e;
}

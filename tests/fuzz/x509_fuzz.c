/* Certificates and keys of others. The first byte says as what the rest is read: 'c' a certificate (DER) of a peer, 'b'
 * a bundle of CAs or the certificate and key of a client (PEM), 'k' keys of tokens (PEM), 'r' a certificate signing
 * request (PEM). */
#include <assert.h>
#include <openssl/err.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "admission/certificates.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/jwt.h"
#include "tls/tls_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_certificate(const uint8_t *der, size_t len)
{
        X509 *cert = d2i_X509(NULL, &der, (long)len);
        ERR_clear_error();
        if (!cert)
                return;
        struct kc_tls_peer *p = tls_peer_read(cert);
        if (p)
                assert(p->common_name && strlen(p->fingerprint) == 64);
        kc_tls_peer_free(p);
        X509_free(cert);
}

static void try_client(const struct kc_tls_client_opts *o)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_tls_client *c = NULL;
        if (kc_tls_client_new(o, &c, &err) < 0)
                assert(err.message);
        kc_tls_client_free(c);
}

static void try_bundle(const char *pem, size_t len)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        X509_STORE *store = X509_STORE_new();
        int n = tls_store_add_pem(store, pem, len, &err);
        assert(n > 0 || err.message);
        X509_STORE_free(store);
        KC_CLEANUP(kc_freep) char *text = kc_strndup(pem, len);
        try_client(&(struct kc_tls_client_opts){.ca_pem = text});
        try_client(&(struct kc_tls_client_opts){.cert_pem = text, .key_pem = text, .insecure_skip_verify = true});
}

static void try_keys(const char *pem, size_t len)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_jwt_key **keys;
        size_t n;
        char path[64];
        int fd = memfd_create("keys", MFD_CLOEXEC);
        assert(fd >= 0 && write(fd, pem, len) == (ssize_t)len);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (kc_jwt_keys_load(path, &keys, &n, &err) == 0) {
                for (size_t i = 0; i < n; i++) {
                        KC_CLEANUP(kc_freep) char *jwk = kc_jwt_key_jwk(keys[i]);
                        assert(jwk && kc_jwt_key_id(keys[i]));
                        KC_CLEANUP(kc_freep) char *token = NULL;
                        if (kc_jwt_key_is_private(keys[i]))
                                (void)kc_jwt_sign(keys[i], "{}", &token, NULL); /* a key may be none in truth */
                }
                kc_jwt_keys_free(keys, n);
        } else {
                assert(err.message);
        }
        close(fd);
}

static void try_request(const char *pem, size_t len)
{
        KC_CLEANUP(kc_freep) char *base64 = kc_base64_encode(pem, len);
        X509_REQ *req = kc_certificate_request_parse(base64);
        EVP_PKEY *key = req ? X509_REQ_get0_pubkey(req) : NULL;
        if (key)
                (void)X509_REQ_verify(req, key); /* what it says does not matter here */
        ERR_clear_error();
        X509_REQ_free(req);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        /* An exact copy, so that the sanitizer sees a read past the end. */
        KC_CLEANUP(kc_freep) char *copy = size > 1 ? kc_memdup(data + 1, size - 1) : kc_strdup("");
        switch (data[0]) {
        case 'c':
                try_certificate((const uint8_t *)copy, size - 1);
                break;
        case 'b':
                try_bundle(copy, size - 1);
                break;
        case 'k':
                try_keys(copy, size - 1);
                break;
        case 'r':
                try_request(copy, size - 1);
                break;
        default:
                break;
        }
        return 0;
}

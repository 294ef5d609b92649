/* Blocks of PEM text, by OpenSSL. Any thread. */
#include "tls/pem.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>

#include "base/mem.h"

void kc_pem_each(const char *text, size_t len, kc_pem_fn fn, void *arg)
{
        BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(text, (int)len) : NULL;
        bool end = !bio;
        while (!end) {
                char *type = NULL, *headers = NULL;
                unsigned char *data = NULL;
                long n = 0;
                ERR_clear_error();
                if (PEM_read_bio(bio, &type, &headers, &data, &n) == 1)
                        fn(type, headers ? headers : "", data, (size_t)n, arg);
                else /* a broken block is skipped: each call takes some of the text */
                        end = BIO_eof(bio) || ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
                OPENSSL_free(type);
                OPENSSL_free(headers);
                OPENSSL_free(data);
        }
        ERR_clear_error();
        BIO_free(bio);
}

char *kc_pem_certificate(const unsigned char *data, size_t len)
{
        BIO *bio = BIO_new(BIO_s_mem());
        char *text = NULL, *copy = NULL;
        if (bio && PEM_write_bio(bio, "CERTIFICATE", "", data, (long)len) > 0) {
                long n = BIO_get_mem_data(bio, &text);
                copy = kc_strndup(text, (size_t)n);
        }
        BIO_free(bio);
        return copy ? copy : kc_strdup("");
}

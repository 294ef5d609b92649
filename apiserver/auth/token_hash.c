/* Names of tokens: HMAC-SHA-256 under a key of the process, so that tables and caches hold no tokens, and the time that
 * a lookup takes says nothing of them. Any thread. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "auth/authn_internal.h"
#include "base/rand.h"

enum { KEY_LEN = 32, DIGEST_LEN = 32 };

static unsigned char key[KEY_LEN];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
        kc_rand_bytes(key, sizeof(key));
}

void authn_token_hash(const char *token, char out[static AUTHN_HASH_LEN])
{
        static const char digits[] = "0123456789abcdef";
        unsigned char digest[DIGEST_LEN];
        (void)pthread_once(&once, make_key); /* cannot fail with a valid control */
        if (!HMAC(EVP_sha256(), key, sizeof(key), (const unsigned char *)token, strlen(token), digest, NULL))
                abort(); /* out of memory */
        for (size_t i = 0; i < sizeof(digest); i++) {
                out[2 * i] = digits[digest[i] >> 4];
                out[2 * i + 1] = digits[digest[i] & 15];
        }
        out[2 * sizeof(digest)] = '\0';
}

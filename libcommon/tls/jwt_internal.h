/* A key, as jwt.c and jwt_keys.c see it. */
#pragma once

#include <openssl/evp.h>

#include "tls/jwt.h"

enum jwt_kind { JWT_RSA, JWT_P256, JWT_P384, JWT_P521 };

struct kc_jwt_key {
        EVP_PKEY *pkey;
        char *id;
        enum jwt_kind kind;
        const char *alg; /* that it signs with: RS256, ES256, ES384, ES512 */
        char *only;      /* the one algorithm that its set says it is for; NULL: any of its kind */
        bool is_private;
};

/* NULL: not a key we can use. */
struct kc_jwt_key *jwt_key_make(EVP_PKEY *take_pkey, bool is_private);

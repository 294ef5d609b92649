/* A key, as jwt.c and jwt_keys.c see it. */
#pragma once

#include <openssl/evp.h>

#include "tls/jwt.h"

struct kc_jwt_key {
        EVP_PKEY *pkey;
        char *id;
        const char *alg; /* "RS256" or "ES256" */
        bool is_private;
};

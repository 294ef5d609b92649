/* JSON Web Tokens as service-account tokens use them: RS256 and ES256 (RFC 7515, 7518, 7519). No "none", no HMAC. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

/* A private or public key of one PEM block; a file may hold several. Immutable after load: any thread. */
struct kc_jwt_key;
/* All keys of a PEM file (public keys, private keys, certificates). ret is an array of n, on the heap. */
int kc_jwt_keys_load(const char *path, struct kc_jwt_key ***ret, size_t *ret_n, struct kc_error *err);
void kc_jwt_keys_free(struct kc_jwt_key **take_keys, size_t n);
/* base64url of the SHA-256 of the DER public key: upstream's key ID. Borrowed. */
const char *kc_jwt_key_id(const struct kc_jwt_key *k);
bool kc_jwt_key_is_private(const struct kc_jwt_key *k);
/* The public part as a JWK object in JSON text ({"use":"sig","kty":"RSA","kid":...}), for /openid/v1/jwks. */
char *kc_jwt_key_jwk(const struct kc_jwt_key *k);

/* Signs claims (JSON text) with a private key; *ret is the compact serialization. */
int kc_jwt_sign(const struct kc_jwt_key *k, const char *claims_json, char **ret, struct kc_error *err);
/* Checks the signature with whichever of the keys fits (kid first, then all) and yields the claims' JSON text. Checks
 * no claim: iss, aud, exp, nbf are the caller's. -EACCES: no key verifies it; -EINVAL: not a JWT. Tokens over 32 KiB
 * are refused. */
int kc_jwt_verify(
    struct kc_jwt_key *const *keys, size_t n, const char *token, char **ret_claims_json, struct kc_error *err);

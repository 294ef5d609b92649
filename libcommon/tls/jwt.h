/* JSON Web Tokens (RFC 7515, 7517, 7518, 7519): RS256 to RS512, PS256 to PS512, ES256, ES384 and ES512. No "none", no
 * HMAC. A key's kind says which of them it is good for; a token's header has to agree, it never chooses. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

/* A private or public key of one PEM block; a file may hold several. Immutable after load: any thread. */
struct kc_jwt_key;
/* All keys of a PEM file (public keys, private keys, certificates). ret is an array of n, on the heap. */
int kc_jwt_keys_load(const char *path, struct kc_jwt_key ***ret, size_t *ret_n, struct kc_error *err);
void kc_jwt_keys_free(struct kc_jwt_key **take_keys, size_t n);
/* The keys of a JWK set (JSON text) that are for signatures and of a kind known here; others are left out. At most 256.
 * A key's ID is its "kid", "" if it has none. -EINVAL: not a JWK set. */
int kc_jwt_keys_parse_set(const char *json, size_t len, struct kc_jwt_key ***ret, size_t *ret_n, struct kc_error *err);
/* base64url of the SHA-256 of the DER public key: upstream's key ID. Borrowed. */
const char *kc_jwt_key_id(const struct kc_jwt_key *k);
bool kc_jwt_key_is_private(const struct kc_jwt_key *k);
/* The public part as a JWK object in JSON text ({"use":"sig","kty":"RSA","kid":...}), for /openid/v1/jwks. */
char *kc_jwt_key_jwk(const struct kc_jwt_key *k);

/* Signs claims (JSON text) with a private key; *ret is the compact serialization. */
int kc_jwt_sign(const struct kc_jwt_key *k, const char *claims_json, char **ret, struct kc_error *err);
/* Checks the signature of a service-account token - RS256, ES256, ES384 or ES512 - with whichever of the keys fits (kid
 * first, then all) and yields the claims' JSON text. Checks no claim: iss, aud, exp, nbf are the caller's. -EACCES: no
 * key verifies it; -EINVAL: not a JWT. Tokens over 32 KiB are refused. */
int kc_jwt_verify(
    struct kc_jwt_key *const *keys, size_t n, const char *token, char **ret_claims_json, struct kc_error *err);
/* The same for an ID token: with the algorithms of algs (strv) only, and, when the token names a key, with the key of
 * that name only. -ENOKEY: there is none (of that name) that could verify it; -EPROTONOSUPPORT: another algorithm. */
int kc_jwt_verify_id_token(struct kc_jwt_key *const *keys, size_t n, char *const *algs, const char *token,
    char **ret_claims_json, struct kc_error *err);

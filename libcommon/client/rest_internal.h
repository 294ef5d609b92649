/* Shared by the sources of the REST client. */
#pragma once

#include "client/rest.h"

/* What a request authenticates with: a token, a token file, user and password, or a credential plugin. Any thread. */
struct kc_credential;
/* Copies what it needs of the config. Runs a credential plugin once, when there is one (blocks). */
int kc_credential_new(const struct kc_client_config *config, struct kc_credential **ret, struct kc_error *err);
/* From a source of tokens. Cannot fail: the first one is fetched before the first request. */
struct kc_credential *kc_credential_new_source(const struct kc_token_source *take_source);
/* Before a request on a worker thread: fetches a token when there is none that is good. */
int kc_credential_prepare(struct kc_credential *c, struct kc_error *err);
void kc_credential_free(struct kc_credential *c);
KC_DEFINE_CLEANUP(struct kc_credential *, kc_credential_free)
/* The Authorization header's value, or NULL: none. Heap. may_block: a plugin whose token has expired may be run. */
char *kc_credential_header(struct kc_credential *c, bool may_block);
/* The server has answered 401: true if another token may be had, and the request be tried again. */
bool kc_credential_rejected(struct kc_credential *c);
/* A plugin's client certificate, or NULL. Borrowed, for the making of the HTTP client. */
const char *kc_credential_cert_pem(const struct kc_credential *c);
const char *kc_credential_key_pem(const struct kc_credential *c);

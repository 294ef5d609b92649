/* Client certificates against a bundle of CAs, whose file is looked at again at most every 10 s and taken anew when it
 * changed and is valid. Any thread. */
#pragma once

#include "tls/tls.h"

struct kc_tls_verifier;

/* clock NULL: the real one, for looking at the file (certificates are checked against the time of the system). */
int kc_tls_verifier_new(
    const char *ca_file, const struct kc_clock *clock, struct kc_tls_verifier **ret, struct kc_error *err);
void kc_tls_verifier_free(struct kc_tls_verifier *v);
KC_DEFINE_CLEANUP(struct kc_tls_verifier *, kc_tls_verifier_free)
/* The peer's certificate, with what came with it, leads to a CA of the bundle, is valid now and good for clients. 0, or
 * -EACCES in Go's words ("x509: certificate signed by unknown authority"). What was good is remembered for a while, by
 * its fingerprint, as long as the bundle stays the same. */
int kc_tls_verifier_check(struct kc_tls_verifier *v, const struct kc_tls_peer *p, struct kc_error *err);
/* The bundle that is in use: PEM text, heap. */
char *kc_tls_verifier_pem(struct kc_tls_verifier *v);

/* The certificates of bundle a, then those of b that are not among them, without those that have expired. PEM; heap.
 * NULL is an empty bundle. What is no certificate is left out. */
char *kc_tls_merge_bundles(const char *a, const char *b);

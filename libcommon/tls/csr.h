/* Certificate requests (PKCS #10): making them, reading them as Go's crypto/x509 does, and signing them as upstream's
 * signers do. Any thread. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"

/* What a request asks for. Strings on the heap; lists are strvs and NULL when empty. */
struct kc_csr {
        char *common_name; /* of several the last, as Go; "" if there is none */
        char **organizations;
        char **dns_names, **ip_addresses, **emails, **uris; /* the kinds of alternative names that signers copy */
        bool rsa;                                           /* the key is RSA */
        struct X509_req_st *req;
};
/* PEM with a CERTIFICATE REQUEST first; names with a NUL are malformed. The signature is not looked at. */
int kc_csr_parse(const char *pem, size_t len, struct kc_csr **ret, struct kc_error *err);
/* The same of base64, as spec.request of a CertificateSigningRequest has it. */
int kc_csr_parse_base64(const char *text, struct kc_csr **ret, struct kc_error *err);
void kc_csr_free(struct kc_csr *c);
KC_DEFINE_CLEANUP(struct kc_csr *, kc_csr_free)

/* A new private key (ECDSA P-256) in PEM; wipe it (kc_free_secret). */
int kc_key_generate(char **ret_pem, struct kc_error *err);
/* A request in PEM, signed with the key. names: DNS names and IP addresses; lists may be NULL. */
int kc_csr_make(const char *key_pem, const char *common_name, char *const *organizations, char *const *names,
    char **ret_pem, struct kc_error *err);

/* One certificate's facts. */
struct kc_cert_info {
        char *common_name;
        char **organizations, **dns_names, **ip_addresses;
        kc_time not_before, not_after;
};
/* The first certificate of a PEM text, which may hold other things (a key). -EINVAL: none there. */
int kc_cert_info(const char *pem, size_t len, struct kc_cert_info *ret, struct kc_error *err);
void kc_cert_info_done(struct kc_cert_info *c);
/* The first certificate of the PEM text is that of the text's private key. */
bool kc_cert_has_key(const char *pem, size_t len);

/* A certificate authority. Immutable after load. */
struct kc_ca;
int kc_ca_load(const char *cert_file, const char *key_file, struct kc_ca **ret, struct kc_error *err);
void kc_ca_free(struct kc_ca *ca);
KC_DEFINE_CLEANUP(struct kc_ca *, kc_ca_free)

struct kc_sign_opts {
        char *const *usages;              /* of certificates.k8s.io: "digital signature", "client auth", ... */
        int64_t ttl, backdate, short_ttl; /* usec; what lives shorter than short_ttl is not backdated at its end */
        kc_time now;
};
/* The certificate in PEM. From the request come the subject's known attributes, the public key and the alternative
 * names of struct kc_csr, nothing else; its signature must be that of its key. It never outlives the authority.
 * -EINVAL: usages unknown, bad signature. */
int kc_ca_sign(const struct kc_ca *ca, const struct kc_csr *csr, const struct kc_sign_opts *o, char **ret_pem,
    struct kc_error *err);

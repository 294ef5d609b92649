/* Shared by the sources about certificate requests. */
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tls/csr.h"

typedef X509 *x509_ptr;
typedef X509_REQ *x509_req_ptr;
typedef EVP_PKEY *pkey_ptr;
typedef BIO *bio_ptr;
typedef X509_NAME *x509_name_ptr;
typedef GENERAL_NAMES *general_names_ptr;
KC_DEFINE_CLEANUP(x509_ptr, X509_free)
KC_DEFINE_CLEANUP(x509_req_ptr, X509_REQ_free)
KC_DEFINE_CLEANUP(pkey_ptr, EVP_PKEY_free)
KC_DEFINE_CLEANUP(bio_ptr, BIO_free)
KC_DEFINE_CLEANUP(x509_name_ptr, X509_NAME_free)
KC_DEFINE_CLEANUP(general_names_ptr, GENERAL_NAMES_free)

/* What a memory BIO holds, as a string. */
char *tls_bio_text(BIO *bio);
/* A random one of 127 bits. */
bool tls_set_serial(X509 *cert);
/* NULL for one that is neither a DNS name nor an IP address. */
GENERAL_NAME *tls_alt_name(const char *name);
/* The common name (the last one) and organizations of a subject, -EINVAL when one holds a NUL. */
int tls_read_subject(const X509_NAME *subject, char **ret_common_name, char ***ret_organizations);
/* Appends the names to the lists, of which emails and uris may be NULL; -EINVAL when one is malformed. */
int tls_read_alt_names(
    const GENERAL_NAMES *names, char ***dns_names, char ***ip_addresses, char ***emails, char ***uris);

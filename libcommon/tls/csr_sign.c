/* Signing: a certificate with what a request may decide, and nothing else of it. Any thread. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"
#include "tls/csr_internal.h"
#include "tls/tls.h"

enum { MAX_PEM = 1 << 20, SERIAL_BYTES = 16 };

struct kc_ca {
        X509 *cert;
        EVP_PKEY *key;
};

static int read_file(const char *path, struct kc_buf *b, struct kc_error *err)
{
        int r = kc_file_read(path, MAX_PEM, b, err);
        return r < 0 ? r : 0;
}

static int load(struct kc_ca *ca, const char *cert_file, const char *key_file, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf cert = KC_BUF_INIT;
        struct kc_buf key = KC_BUF_INIT;
        int r = read_file(cert_file, &cert, err);
        if (r < 0)
                return kc_error_wrap(err, "error reading CA cert file \"%s\"", cert_file);
        r = read_file(key_file, &key, err);
        if (r < 0)
                return kc_error_wrap(err, "error reading CA key file \"%s\"", key_file);
        KC_CLEANUP(BIO_freep) BIO *cert_bio = BIO_new_mem_buf(cert.data, (int)cert.len);
        KC_CLEANUP(BIO_freep) BIO *key_bio = BIO_new_mem_buf(key.data, (int)key.len);
        ca->cert = PEM_read_bio_X509(cert_bio, NULL, kc_tls_no_password, NULL);
        ca->key = PEM_read_bio_PrivateKey(key_bio, NULL, kc_tls_no_password, NULL);
        kc_buf_wipe(&key);
        ERR_clear_error();
        if (!ca->cert)
                return kc_error_set(err, EINVAL, "error parsing CA cert file \"%s\": no PEM certificate", cert_file);
        if (!ca->key)
                return kc_error_set(err, EINVAL, "error parsing CA key file \"%s\": no PEM private key", key_file);
        if (X509_check_private_key(ca->cert, ca->key) != 1) {
                ERR_clear_error();
                return kc_error_set(
                    err, EINVAL, "the key in \"%s\" is not that of the certificate in \"%s\"", key_file, cert_file);
        }
        return 0;
}

int kc_ca_load(const char *cert_file, const char *key_file, struct kc_ca **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_ca_freep) struct kc_ca *ca = KC_NEW(struct kc_ca);
        int r = load(ca, cert_file, key_file, err);
        if (r == 0)
                *ret = KC_TAKE(ca);
        return r;
}

void kc_ca_free(struct kc_ca *ca)
{
        if (!ca)
                return;
        X509_free(ca->cert);
        EVP_PKEY_free(ca->key);
        kc_free(ca);
}

/* --- Usages */

/* Bits of KeyUsage are numbered from the first; ext is for ExtendedKeyUsage. */
static const struct usage {
        const char *name;
        int bit, ext;
} usages[] = {
    {"signing", 0, 0},
    {"digital signature", 0, 0},
    {"content commitment", 1, 0},
    {"key encipherment", 2, 0},
    {"data encipherment", 3, 0},
    {"key agreement", 4, 0},
    {"cert sign", 5, 0},
    {"crl sign", 6, 0},
    {"encipher only", 7, 0},
    {"decipher only", 8, 0},
    {"any", -1, NID_anyExtendedKeyUsage},
    {"server auth", -1, NID_server_auth},
    {"client auth", -1, NID_client_auth},
    {"code signing", -1, NID_code_sign},
    {"email protection", -1, NID_email_protect},
    {"s/mime", -1, NID_email_protect},
    {"ipsec end system", -1, NID_ipsecEndSystem},
    {"ipsec tunnel", -1, NID_ipsecTunnel},
    {"ipsec user", -1, NID_ipsecUser},
    {"timestamping", -1, NID_time_stamp},
    {"ocsp signing", -1, NID_OCSP_sign},
    {"microsoft sgc", -1, NID_ms_sgc},
    {"netscape sgc", -1, NID_ns_sgc},
};

static const struct usage *usage_of(const char *name)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(usages); i++)
                if (kc_streq(usages[i].name, name))
                        return &usages[i];
        return NULL;
}

static bool has_oid(const EXTENDED_KEY_USAGE *list, int nid)
{
        for (int i = 0; i < sk_ASN1_OBJECT_num(list); i++)
                if (OBJ_obj2nid(sk_ASN1_OBJECT_value(list, i)) == nid)
                        return true;
        return false;
}

static int add_usages(X509 *cert, char *const *names, struct kc_error *err)
{
        ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
        EXTENDED_KEY_USAGE *ext = sk_ASN1_OBJECT_new_null();
        bool ok = bits && ext, any_bit = false;
        int r = 0;
        for (char *const *n = names; r == 0 && ok && n && *n; n++) {
                const struct usage *u = usage_of(*n);
                if (!u) {
                        r = kc_error_set(err, EINVAL, "unrecognized usage values: [\"%s\"]", *n);
                } else if (u->bit >= 0) {
                        ok = ASN1_BIT_STRING_set_bit(bits, u->bit, 1) == 1;
                        any_bit = true;
                } else if (!has_oid(ext, u->ext)) {
                        ok = sk_ASN1_OBJECT_push(ext, OBJ_nid2obj(u->ext)) > 0;
                }
        }
        if (r == 0 && ok && any_bit)
                ok = X509_add1_ext_i2d(cert, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT) == 1;
        if (r == 0 && ok && sk_ASN1_OBJECT_num(ext) > 0)
                ok = X509_add1_ext_i2d(cert, NID_ext_key_usage, ext, 0, X509V3_ADD_DEFAULT) == 1;
        ASN1_BIT_STRING_free(bits);
        sk_ASN1_OBJECT_pop_free(ext, ASN1_OBJECT_free);
        return r < 0 || ok ? r : kc_error_set(err, EIO, "usages: %s", kc_tls_errors());
}

/* --- The parts of a certificate */

bool tls_set_serial(X509 *cert)
{
        unsigned char bytes[SERIAL_BYTES];
        if (RAND_bytes(bytes, sizeof(bytes)) != 1)
                return false;
        bytes[0] &= 0x7f; /* positive */
        BIGNUM *n = BN_bin2bn(bytes, sizeof(bytes), NULL);
        bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
        BN_free(n);
        return ok;
}

/* The attributes that Go's pkix.Name knows, in its order; of names and serial numbers the last one. Others (a user's
 * uid among them) are not for the requester to choose. */
static bool set_subject(X509 *cert, const X509_NAME *from)
{
        static const struct {
                int nid;
                bool last;
        } known[] = {{NID_countryName, false}, {NID_organizationName, false}, {NID_organizationalUnitName, false},
            {NID_localityName, false}, {NID_stateOrProvinceName, false}, {NID_streetAddress, false},
            {NID_postalCode, false}, {NID_commonName, true}, {NID_serialNumber, true}};
        KC_CLEANUP(X509_NAME_freep) X509_NAME *subject = X509_NAME_new();
        bool ok = subject != NULL;
        for (size_t k = 0; ok && k < KC_ARRAY_LEN(known); k++) {
                int last = -1, set = 0;
                for (int i = -1; (i = X509_NAME_get_index_by_NID((X509_NAME *)from, known[k].nid, i)) >= 0;)
                        last = i;
                for (int i = -1; ok && (i = X509_NAME_get_index_by_NID((X509_NAME *)from, known[k].nid, i)) >= 0;) {
                        if (known[k].last && i != last)
                                continue;
                        ok = X509_NAME_add_entry(subject, X509_NAME_get_entry(from, i), -1, set) == 1;
                        set = -1; /* several of a kind share one RDN */
                }
        }
        return ok && X509_set_subject_name(cert, subject) == 1;
}

static bool push_names(GENERAL_NAMES *list, int type, char *const *names)
{
        for (char *const *n = names; n && *n; n++) {
                GENERAL_NAME *name = a2i_GENERAL_NAME(NULL, NULL, NULL, type, *n, 0);
                if (!name || sk_GENERAL_NAME_push(list, name) <= 0)
                        return false;
        }
        return true;
}

static bool add_alt_names(X509 *cert, const struct kc_csr *csr)
{
        KC_CLEANUP(GENERAL_NAMES_freep) GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
        if (!list || !push_names(list, GEN_DNS, csr->dns_names) || !push_names(list, GEN_EMAIL, csr->emails) ||
            !push_names(list, GEN_IPADD, csr->ip_addresses) || !push_names(list, GEN_URI, csr->uris))
                return false;
        /* Without a subject the names are who it is (RFC 5280, 4.2.1.6). */
        int critical = X509_NAME_entry_count(X509_get_subject_name(cert)) == 0;
        return sk_GENERAL_NAME_num(list) == 0 ||
               X509_add1_ext_i2d(cert, NID_subject_alt_name, list, critical, X509V3_ADD_DEFAULT) == 1;
}

static bool add_constraints(X509 *cert, const X509 *ca)
{
        BASIC_CONSTRAINTS *leaf = BASIC_CONSTRAINTS_new();
        bool ok = leaf && X509_add1_ext_i2d(cert, NID_basic_constraints, leaf, 1, X509V3_ADD_DEFAULT) == 1;
        BASIC_CONSTRAINTS_free(leaf);
        const ASN1_OCTET_STRING *id = X509_get0_subject_key_id((X509 *)ca);
        AUTHORITY_KEYID *akid = ok && id ? AUTHORITY_KEYID_new() : NULL;
        if (!akid)
                return ok;
        akid->keyid = ASN1_OCTET_STRING_dup(id);
        ok = X509_add1_ext_i2d(cert, NID_authority_key_identifier, akid, 0, X509V3_ADD_DEFAULT) == 1;
        AUTHORITY_KEYID_free(akid);
        return ok;
}

static bool set_times(X509 *cert, const X509 *ca, const struct kc_sign_opts *o)
{
        time_t now = (time_t)(o->now / KC_SEC);
        time_t from = now - (time_t)(o->backdate / KC_SEC);
        time_t to = now + (time_t)(o->ttl / KC_SEC) - (o->ttl < o->short_ttl ? 0 : (time_t)(o->backdate / KC_SEC));
        const ASN1_TIME *end = X509_get0_notAfter(ca);
        if (!ASN1_TIME_set(X509_getm_notBefore(cert), from))
                return false;
        if (X509_cmp_time(end, &to) <= 0)
                return X509_set1_notAfter(cert, end) == 1;
        return ASN1_TIME_set(X509_getm_notAfter(cert), to) != NULL;
}

static const EVP_MD *digest_for(const EVP_PKEY *key)
{
        int type = EVP_PKEY_get_base_id(key);
        return type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448 ? NULL : EVP_sha256();
}

int kc_ca_sign(const struct kc_ca *ca, const struct kc_csr *csr, const struct kc_sign_opts *o, char **ret_pem,
    struct kc_error *err)
{
        EVP_PKEY *key = X509_REQ_get0_pubkey(csr->req);
        if (!key || X509_REQ_verify(csr->req, key) != 1) {
                ERR_clear_error();
                return kc_error_set(err, EINVAL, "unable to verify certificate request signature");
        }
        KC_CLEANUP(X509_freep) X509 *cert = X509_new();
        KC_CLEANUP(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
        if (!cert || !bio)
                return kc_error_set(err, ENOMEM, "%s", kc_tls_errors());
        int r = add_usages(cert, o->usages, err);
        if (r < 0)
                return r;
        if (X509_set_version(cert, X509_VERSION_3) != 1 || !tls_set_serial(cert) ||
            !set_subject(cert, X509_REQ_get_subject_name(csr->req)) ||
            X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) != 1 || X509_set_pubkey(cert, key) != 1 ||
            !set_times(cert, ca->cert, o) || !add_constraints(cert, ca->cert) || !add_alt_names(cert, csr) ||
            X509_sign(cert, ca->key, digest_for(ca->key)) <= 0 || PEM_write_bio_X509(bio, cert) != 1)
                return kc_error_set(err, EIO, "unable to sign certificate: %s", kc_tls_errors());
        *ret_pem = tls_bio_text(bio);
        return 0;
}

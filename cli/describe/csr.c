/* CertificateSigningRequest: what is asked for is in the PKCS#10 request. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "cli/describe/internal.h"
#include "tls/tls.h"

static X509_REQ *read_request(const char *base64)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf pem = KC_BUF_INIT;
        if (kc_base64_decode(base64, strlen(base64), &pem) < 0)
                return NULL;
        BIO *bio = BIO_new_mem_buf(kc_buf_str(&pem), (int)pem.len);
        X509_REQ *req = bio ? PEM_read_bio_X509_REQ(bio, NULL, kc_tls_no_password, NULL) : NULL;
        BIO_free(bio);
        return req;
}

static char *status_words(const struct json_object *csr)
{
        const struct json_object *conditions = kc_json_at(csr, "status.conditions");
        bool approved = false, denied = false, failed = false;
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const char *type = kc_text(kc_json_idx(conditions, i), "type");
                approved = approved || kc_streq(type, "Approved");
                denied = denied || kc_streq(type, "Denied");
                failed = failed || kc_streq(type, "Failed");
        }
        return kc_asprintf("%s%s%s",
            denied     ? "Denied"
            : approved ? "Approved"
                       : "Pending",
            failed ? ",Failed" : "", kc_text(csr, "status.certificate")[0] ? ",Issued" : "");
}

static void describe_values(struct kc_describing *d, const char *label, char *const *values)
{
        if (kc_strv_len(values) > 0)
                kc_line(d, 0, "\t%s:\t", label);
        for (char *const *v = values; v && *v; v++)
                kc_line(d, 0, "%s%s\n", v == values ? "" : "\t\t", *v);
}

static char **names_of(const X509_NAME *subject, int nid)
{
        char **values = NULL;
        for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, nid, at)) >= 0;) {
                unsigned char *text = NULL;
                int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
                if (n >= 0)
                        kc_strv_push_take(&values, kc_strndup((const char *)text, (size_t)n));
                OPENSSL_free(text);
        }
        return values;
}

static void describe_subject(struct kc_describing *d, const X509_NAME *subject)
{
        static const struct {
                const char *label;
                int nid;
                bool always;
        } rows[] = {{"Common Name", NID_commonName, true}, {"Serial Number", NID_serialNumber, true},
            {"Organization", NID_organizationName, false}, {"Organizational Unit", NID_organizationalUnitName, false},
            {"Country", NID_countryName, false}, {"Locality", NID_localityName, false},
            {"Province", NID_stateOrProvinceName, false}, {"StreetAddress", NID_streetAddress, false},
            {"PostalCode", NID_postalCode, false}};
        kc_line(d, 0, "Subject:\n");
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_strv_freep) char **values = names_of(subject, rows[i].nid);
                if (rows[i].always)
                        kc_line(d, 0, "\t%s:\t%s\n", rows[i].label, values ? values[kc_strv_len(values) - 1] : "");
                else
                        describe_values(d, rows[i].label, values);
        }
}

static void add_ip(char ***values, const ASN1_OCTET_STRING *s)
{
        char buf[64];
        const unsigned char *p = ASN1_STRING_get0_data(s);
        int family = ASN1_STRING_length(s) == 4 ? AF_INET : AF_INET6;
        if ((family == AF_INET || ASN1_STRING_length(s) == 16) && inet_ntop(family, p, buf, sizeof(buf)))
                kc_strv_push(values, buf);
}

static void describe_alternatives(struct kc_describing *d, X509_REQ *req)
{
        static const struct {
                const char *label;
                int type;
        } rows[] = {
            {"DNS Names", GEN_DNS}, {"Email Addresses", GEN_EMAIL}, {"URIs", GEN_URI}, {"IP Addresses", GEN_IPADD}};
        STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(req);
        GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
        bool begun = false;
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_strv_freep) char **values = NULL;
                for (int n = 0; n < sk_GENERAL_NAME_num(names); n++) {
                        int type;
                        void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, n), &type);
                        if (type != rows[i].type)
                                continue;
                        if (type == GEN_IPADD)
                                add_ip(&values, value);
                        else
                                kc_strv_push_take(&values, kc_strndup((const char *)ASN1_STRING_get0_data(value),
                                                               (size_t)ASN1_STRING_length(value)));
                }
                if (values && !begun)
                        kc_line(d, 0, "Subject Alternative Names:\n");
                begun = begun || values;
                describe_values(d, rows[i].label, values);
        }
        GENERAL_NAMES_free(names);
        sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

int kc_describe_csr(struct kc_describing *d, struct kc_error *err)
{
        const struct json_object *spec = kc_json_get(d->obj, "spec");
        KC_CLEANUP(kc_freep) char *labels = kc_labels_words(kc_meta_labels(d->obj));
        KC_CLEANUP(kc_freep) char *annotations = kc_labels_words(kc_json_at(d->obj, "metadata.annotations"));
        KC_CLEANUP(kc_freep) char *created = kc_time_words(kc_json_str_at(d->obj, "metadata.creationTimestamp"));
        KC_CLEANUP(kc_freep) char *status = status_words(d->obj);
        char buf[KC_TIME_LEN];
        X509_REQ *req = read_request(kc_text(spec, "request"));
        if (!req)
                return kc_error_set(err, EINVAL, "Error parsing CSR: PEM block type must be CERTIFICATE REQUEST");
        kc_describe_name(d);
        kc_line(d, 0, "Labels:\t%s\n", labels);
        kc_line(d, 0, "Annotations:\t%s\n", annotations);
        kc_line(d, 0, "CreationTimestamp:\t%s\n", created);
        kc_line(d, 0, "Requesting User:\t%s\n", kc_text(spec, "username"));
        if (kc_text(spec, "signerName")[0])
                kc_line(d, 0, "Signer:\t%s\n", kc_text(spec, "signerName"));
        if (kc_json_get(spec, "expirationSeconds"))
                kc_line(d, 0, "Requested Duration:\t%s\n",
                    kc_duration_human(kc_json_int(spec, "expirationSeconds", 0) * KC_SEC, buf));
        kc_line(d, 0, "Status:\t%s\n", status);
        describe_subject(d, X509_REQ_get_subject_name(req));
        describe_alternatives(d, req);
        X509_REQ_free(req);
        kc_describe_events(d);
        return 0;
}

/* CertificateSigningRequests: who may approve and sign them for which signer, and what may not be asked of the signer
 * of client certificates. */
#include "admission/certificates.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "admission/admission_internal.h"
#include "base/buf.h"
#include "base/encode.h"
#include "base/str.h"
#include "tls/tls.h"

#define GROUP "certificates.k8s.io"
#define RESOURCE "certificatesigningrequests"
#define CLIENT_SIGNER "kubernetes.io/kube-apiserver-client"

X509_REQ *kc_certificate_request_parse(const char *base64)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf pem = KC_BUF_INIT;
        if (kc_base64_decode(base64, strlen(base64), &pem) < 0)
                return NULL;
        BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        X509_REQ *req = bio ? PEM_read_bio_X509_REQ(bio, NULL, kc_tls_no_password, NULL) : NULL;
        BIO_free(bio);
        ERR_clear_error();
        return req;
}

static bool allowed(struct kc_admission *adm, const struct kc_admission_attrs *a, const char *verb, const char *name)
{
        const struct kc_authz_attrs attrs = {
            .user = a->user,
            .verb = verb,
            .resource_request = true,
            .ns = "",
            .group = GROUP,
            .version = "*",
            .resource = "signers",
            .subresource = "",
            .name = name,
            .path = "",
        };
        return kc_authz_authorize(kc_admission_authz(adm), &attrs, NULL) == KC_ALLOW;
}

/* For the signer itself, or for all of its domain. */
static bool allowed_for_signer(
    struct kc_admission *adm, const struct kc_admission_attrs *a, const char *verb, const char *signer)
{
        if (allowed(adm, a, verb, signer))
                return true;
        KC_CLEANUP(kc_freep) char *all = kc_asprintf("%.*s/*", (int)strcspn(signer, "/"), signer);
        return allowed(adm, a, verb, all);
}

static const char *signer_of(const struct json_object *csr)
{
        const char *s = kc_json_str_at(csr, "spec.signerName");
        return s ? s : "";
}

ADM_VALIDATE(adm_certificate_approval)
{
        if (!adm_is_sub(a, GROUP, RESOURCE, "approval") || allowed_for_signer(adm, a, "approve", signer_of(a->obj)))
                return 0;
        return adm_forbidden(
            err, a, "user not permitted to approve requests with signerName \"%s\"", signer_of(a->obj));
}

ADM_VALIDATE(adm_certificate_signing)
{
        if (!adm_is_sub(a, GROUP, RESOURCE, "status"))
                return 0;
        if (kc_streq(kc_json_str_at(a->old, "status.certificate"), kc_json_str_at(a->obj, "status.certificate")) &&
            kc_json_equal(kc_json_at(a->old, "status.conditions"), kc_json_at(a->obj, "status.conditions")))
                return 0;
        if (allowed_for_signer(adm, a, "sign", signer_of(a->old)))
                return 0;
        return adm_forbidden(err, a, "user not permitted to sign requests with signerName \"%s\"", signer_of(a->old));
}

/* Nothing but what garbage collection changes differs (finalizers and owner references). */
static bool only_collected(const struct kc_admission_attrs *a)
{
        static const char *const fields[] = {"ownerReferences", "finalizers", "managedFields"};
        KC_CLEANUP(kc_json_freep) struct json_object *now = kc_json_copy(a->obj), *old = kc_json_copy(a->old);
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++) {
                kc_json_del(kc_json_ensure_obj(now, "metadata"), fields[i]);
                kc_json_del(kc_json_ensure_obj(old, "metadata"), fields[i]);
        }
        return kc_json_equal(now, old);
}

ADM_VALIDATE(adm_trust_bundle_attest)
{
        if (!adm_is(a, GROUP, "clustertrustbundles") || !*signer_of(a->obj))
                return 0;
        if ((a->old && only_collected(a)) || allowed_for_signer(adm, a, "attest", signer_of(a->obj)))
                return 0;
        return adm_forbidden(err, a, "user not permitted to attest for signerName \"%s\"", signer_of(a->obj));
}

static bool has_organization(X509_REQ *req, const char *name)
{
        const X509_NAME *subject = X509_REQ_get_subject_name(req);
        bool found = false;
        for (int i = -1; !found && (i = X509_NAME_get_index_by_NID(subject, NID_organizationName, i)) >= 0;) {
                unsigned char *text = NULL;
                int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
                found = n >= 0 && (size_t)n == strlen(name) && memcmp(text, name, (size_t)n) == 0;
                OPENSSL_free(text);
        }
        return found;
}

ADM_VALIDATE(adm_certificate_subject)
{
        static const char masters[] = "system:masters";
        const char *request = kc_json_str_at(a->obj, "spec.request");
        (void)adm; /* the request says it all */
        if (!adm_is(a, GROUP, RESOURCE) || !kc_streq(signer_of(a->obj), CLIENT_SIGNER))
                return 0;
        X509_REQ *req = kc_certificate_request_parse(request ? request : "");
        bool refused = req && has_organization(req, masters);
        bool parsed = req != NULL;
        X509_REQ_free(req);
        if (!parsed)
                return adm_forbidden(err, a, "failed to parse CSR: x509: malformed certificate request");
        if (refused)
                return adm_forbidden(err, a, "use of %s signer with %s group is not allowed", CLIENT_SIGNER, masters);
        return 0;
}

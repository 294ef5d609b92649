/* CertificateSigningRequests and APIServices. The signature of a request is for the API server to check. Any thread. */
#include <string.h>

#include "api/object.h"
#include "api/validation_internal.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};

/* --- PEM */

#define BEGIN "-----BEGIN "

/* The type of the first block at or after text, and where it ends; NULL if there is none. Heap. */
static char *pem_block(const char *text, const char **ret_headers, const char **ret_end)
{
        const char *begin = text;
        while ((begin = strstr(begin, BEGIN)) && begin != text && begin[-1] != '\n')
                begin++;
        if (!begin)
                return NULL;
        const char *type = begin + strlen(BEGIN), *type_end = strstr(type, "-----");
        const char *eol = strchr(type, '\n');
        if (!type_end || !eol || type_end > eol)
                return NULL;
        KC_CLEANUP(kc_freep) char *name = kc_strndup(type, (size_t)(type_end - type));
        KC_CLEANUP(kc_freep) char *footer = kc_asprintf("-----END %s-----", name);
        const char *end = strstr(eol, footer);
        if (!end)
                return NULL;
        *ret_headers = memchr(eol, ':', (size_t)(end - eol));
        *ret_end = end + strlen(footer);
        return KC_TAKE(name);
}

static char *decoded(const char *base64)
{
        struct kc_buf b = KC_BUF_INIT;
        if (kc_base64_decode(base64, strlen(base64), &b) < 0)
                kc_buf_done(&b);
        return kc_buf_take_str(&b);
}

static void certificate(struct kc_v *v, const char *base64)
{
        const struct kc_vpath *p = V_CHILD2(NULL, "status", "certificate");
        static const char shown[] = "<certificate data>";
        KC_CLEANUP(kc_freep) char *pem = decoded(base64);
        const char *at = pem, *headers;
        size_t n = 0;
        if (!*base64)
                return;
        for (;; n++) {
                KC_CLEANUP(kc_freep) char *type = pem_block(at, &headers, &at);
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf("only CERTIFICATE PEM blocks are allowed, found \"%s\"", type ? type : "");
                if (!type)
                        break;
                if (!kc_streq(type, "CERTIFICATE")) {
                        kc_v_invalid_str(v, p, shown, detail);
                        return;
                }
                if (headers) {
                        kc_v_invalid_str(v, p, shown, "no PEM block headers are permitted");
                        return;
                }
        }
        if (n == 0)
                kc_v_invalid_str(v, p, shown, "must contain at least one CERTIFICATE PEM block");
}

/* --- The spec */

static void signer_part(struct kc_v *v, const char *part, kc_name_fn check)
{
        KC_CLEANUP(kc_strv_freep) char **labels = kc_strv_split(part, '.');
        for (size_t i = 0; labels[i]; i++) {
                struct kc_why why = {0};
                check(labels[i], &why);
                for (size_t j = 0; j < why.n; j++) {
                        KC_CLEANUP(kc_freep)
                        char *detail = kc_asprintf("validating label \"%s\": %s", labels[i], why.v[j]);
                        kc_v_invalid_str(v, V_CHILD(&spec_path, "signerName"), part, detail);
                }
                if (why.n)
                        return;
        }
}

static void signer_name(struct kc_v *v, const char *name)
{
        enum { MAX_DOMAIN = 253, MAX_NAME = MAX_DOMAIN + 1 + 253 + 63 + 1 };
        const struct kc_vpath *p = V_CHILD(&spec_path, "signerName");
        const char *slash = strchr(name, '/');
        if (!*name) {
                kc_v_required(v, p, "signerName must be provided");
                return;
        }
        if (kc_streq(name, "kubernetes.io/legacy-unknown")) {
                kc_v_invalid_str(v, p, name, "the legacy signerName is not allowed via this API version");
                return;
        }
        if (!slash || strchr(slash + 1, '/')) {
                kc_v_invalid_str(
                    v, p, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
                return;
        }
        KC_CLEANUP(kc_freep) char *domain = kc_strndup(name, (size_t)(slash - name));
        if (strlen(domain) > MAX_DOMAIN)
                kc_v_too_long(v, p, MAX_DOMAIN);
        signer_part(v, domain, kc_name_dns1123_label);
        if (!strchr(domain, '.'))
                kc_v_invalid_str(v, p, domain, "should be a domain with at least two segments separated by dots");
        signer_part(v, slash + 1, kc_name_dns1123_subdomain);
        if (strlen(name) > MAX_NAME)
                kc_v_too_long(v, p, MAX_NAME);
}

static void usages(struct kc_v *v, const struct json_object *list, const struct json_object *old)
{
        static const char *const valid[] = {"any", "cert sign", "client auth", "code signing", "content commitment",
            "crl sign", "data encipherment", "decipher only", "digital signature", "email protection", "encipher only",
            "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc",
            "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping", NULL};
        const struct kc_vpath *p = V_CHILD(&spec_path, "usages");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        if (kc_json_len(list) == 0)
                kc_v_required(v, p, "usages must be provided");
        for (size_t i = 0; !old && i < kc_json_len(list); i++) {
                const char *s = kc_json_as_str(kc_json_idx(list, i));
                if (!s || !kc_v_in(s, valid))
                        kc_v_not_supported(v, V_INDEX(p, i), s ? s : "", valid);
        }
        for (size_t i = 0; !old && i < kc_json_len(list); i++) {
                const char *s = kc_json_as_str(kc_json_idx(list, i));
                if (!kc_v_first(seen, s ? s : ""))
                        kc_v_duplicate(v, V_INDEX(p, i), s);
        }
}

/* --- Conditions */

static size_t count_conditions(const struct json_object *o, const char *type)
{
        const struct json_object *list = kc_json_at(o, "status.conditions");
        size_t n = 0;
        for (size_t i = 0; i < kc_json_len(list); i++)
                n += kc_streq(kc_json_str(kc_json_idx(list, i), "type"), type);
        return n;
}

static void csr_conditions(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        static const char *const any[] = {"False", "True", "Unknown", NULL}, *const only_true[] = {"True", NULL};
        static const char *const decisions[] = {"Approved", "Denied", "Failed", NULL};
        const struct json_object *list = kc_json_at(o, "status.conditions");
        bool both = count_conditions(old, "Approved") > 0 && count_conditions(old, "Denied") > 0;
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct kc_vpath *p = V_INDEX(V_CHILD2(NULL, "status", "conditions"), i);
                const char *type = kc_v_str(kc_json_idx(list, i), "type");
                const char *other = kc_streq(type, "Approved") ? "Denied"
                                    : kc_streq(type, "Denied") ? "Approved"
                                                               : NULL;
                if (!*type)
                        kc_v_required(v, V_CHILD(p, "type"), "");
                kc_v_enum(v, V_CHILD(p, "status"), kc_v_str(kc_json_idx(list, i), "status"),
                    kc_v_in(type, decisions) ? only_true : any);
                if (!both && other && kc_map_has(seen, other))
                        kc_v_invalid_str(
                            v, V_CHILD(p, "type"), type, "Approved and Denied conditions are mutually exclusive");
                if (!kc_v_first(seen, type))
                        kc_v_duplicate(v, V_CHILD(p, "type"), type);
        }
}

/* Decisions stay; only the approval subresource makes them. */
static void decisions(struct kc_v *v, const struct json_object *o, const struct json_object *old, bool approval)
{
        static const char *const types[] = {"Approved", "Denied", "Failed"};
        const struct kc_vpath *p = V_CHILD2(NULL, "status", "conditions");
        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++) {
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf("updates may not remove a condition of type \"%s\"", types[i]);
                if (count_conditions(o, types[i]) < count_conditions(old, types[i]))
                        kc_v_forbidden(v, p, detail);
        }
        for (size_t i = 0; !approval && i < 2; i++) {
                size_t now = count_conditions(o, types[i]), before = count_conditions(old, types[i]);
                KC_CLEANUP(kc_freep)
                char *added = kc_asprintf("updates may not add a condition of type \"%s\"", types[i]);
                KC_CLEANUP(kc_freep)
                char *modified = kc_asprintf("updates may not modify a condition of type \"%s\"\n", types[i]);
                if (now > before)
                        kc_v_forbidden(v, p, added);
                else if (now == before && !kc_v_equal(kc_condition_get(kc_json_get(o, "status"), types[i]),
                                              kc_condition_get(kc_json_get(old, "status"), types[i])))
                        kc_v_forbidden(v, p, modified);
        }
}

static void any_name(const char *s, struct kc_why *why)
{
        (void)s;
        (void)why; /* whatever a client calls it */
}

static void signing_request(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *spec = kc_json_get(o, "spec");
        const char *request = kc_v_str(spec, "request"), *headers, *end;
        KC_CLEANUP(kc_freep) char *pem = decoded(request);
        KC_CLEANUP(kc_freep) char *type = pem_block(pem, &headers, &end);
        int64_t seconds = kc_json_int(spec, "expirationSeconds", 600);
        kc_v_meta(v, o, false, any_name);
        if (!kc_streq(type, "CERTIFICATE REQUEST"))
                kc_v_invalid_str(
                    v, V_CHILD(&spec_path, "request"), request, "PEM block type must be CERTIFICATE REQUEST");
        usages(v, kc_json_get(spec, "usages"), old);
        signer_name(v, kc_v_str(spec, "signerName"));
        if (seconds < 600)
                kc_v_invalid_int(v, V_CHILD(&spec_path, "expirationSeconds"), seconds,
                    "may not specify a duration less than 600 seconds (10 minutes)");
        csr_conditions(v, o, old);
        certificate(v, kc_v_str(kc_json_get(o, "status"), "certificate"));
}

void kc_v_create_certificate_signing_request(struct kc_v *v, const struct json_object *o)
{
        signing_request(v, o, NULL);
}

void kc_v_update_certificate_signing_request(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const char *now = kc_v_str(kc_json_get(o, "status"), "certificate");
        const char *before = kc_v_str(kc_json_get(old, "status"), "certificate");
        const struct kc_vpath *p = V_CHILD2(NULL, "status", "certificate");
        signing_request(v, o, old);
        decisions(v, o, old, kc_streq(subresource, "approval"));
        if (strcmp(now, before) != 0 && !kc_streq(subresource, "status"))
                kc_v_forbidden(v, p, "updates may not set certificate content");
        else if (strcmp(now, before) != 0 && *before)
                kc_v_forbidden(v, p, "updates may not modify existing certificate content");
        kc_v_meta_update(v, o, old);
}

/* --- ClusterTrustBundles; the API server looks at the certificates */

static void bundle_name(struct kc_v *v, const char *name, const char *signer)
{
        const struct kc_vpath *p = V_CHILD2(NULL, "metadata", "name");
        if (!*signer) {
                if (strchr(name, ':'))
                        kc_v_invalid_str(
                            v, p, name, "ClusterTrustBundle without signer name must not have \":\" in its name");
                else if (*name)
                        kc_v_name(v, p, name, kc_name_dns1123_subdomain);
                return;
        }
        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s:", signer);
        for (char *c = prefix; (c = strchr(c, '/'));)
                *c = ':';
        if (!kc_str_has_prefix(name, prefix)) {
                KC_CLEANUP(kc_freep)
                char *detail =
                    kc_asprintf("ClusterTrustBundle for signerName %s must be named with prefix %s", signer, prefix);
                kc_v_invalid_str(v, p, name, detail);
                return;
        }
        struct kc_why why = {0};
        kc_name_dns1123_subdomain(name + strlen(prefix), &why);
        for (size_t i = 0; i < why.n; i++)
                kc_v_invalid_str(v, p, name, why.v[i]);
}

static void trust_bundle(struct kc_v *v, const struct json_object *o)
{
        const char *signer = kc_v_str(kc_json_get(o, "spec"), "signerName");
        kc_v_meta(v, o, false, any_name);
        bundle_name(v, kc_v_str(kc_json_get(o, "metadata"), "name"), signer);
        if (*signer)
                signer_name(v, signer);
}

void kc_v_create_cluster_trust_bundle(struct kc_v *v, const struct json_object *o)
{
        trust_bundle(v, o);
}

void kc_v_update_cluster_trust_bundle(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* it has none */
        trust_bundle(v, o);
        kc_v_meta_update(v, o, old);
        const char *now = kc_v_str(kc_json_get(o, "spec"), "signerName");
        if (strcmp(now, kc_v_str(kc_json_get(old, "spec"), "signerName")) != 0)
                kc_v_invalid_str(v, V_CHILD(&spec_path, "signerName"), now, "field is immutable");
}

/* --- APIServices */

static void service_reference(struct kc_v *v, const struct json_object *spec)
{
        const struct json_object *service = kc_json_get(spec, "service");
        const struct kc_vpath *p = V_CHILD(&spec_path, "service");
        int64_t port = kc_json_int(service, "port", 0);
        if (!*kc_v_str(service, "namespace"))
                kc_v_required(v, V_CHILD(p, "namespace"), "");
        if (!*kc_v_str(service, "name"))
                kc_v_required(v, V_CHILD(p, "name"), "");
        if (port < 1 || port > 65535)
                kc_v_invalid_int(
                    v, V_CHILD(p, "port"), port, "port is not valid: must be between 1 and 65535, inclusive");
        if (kc_json_bool(spec, "insecureSkipTLSVerify", false) && *kc_v_str(spec, "caBundle"))
                kc_v_invalid(v, V_CHILD(&spec_path, "insecureSkipTLSVerify"),
                    kc_json_get(spec, "insecureSkipTLSVerify"), "may not be true if caBundle is present");
}

static void local_service(struct kc_v *v, const struct json_object *spec)
{
        const char *bundle = kc_v_str(spec, "caBundle");
        KC_CLEANUP(kc_freep) char *pem = decoded(bundle);
        KC_CLEANUP(kc_freep) char *shown = kc_asprintf("%zu bytes", strlen(pem));
        if (*bundle)
                kc_v_invalid_str(
                    v, V_CHILD(&spec_path, "caBundle"), shown, "local APIServices may not have a caBundle");
        if (kc_json_bool(spec, "insecureSkipTLSVerify", false))
                kc_v_invalid(v, V_CHILD(&spec_path, "insecureSkipTLSVerify"),
                    kc_json_get(spec, "insecureSkipTLSVerify"), "local APIServices may not have insecureSkipTLSVerify");
}

static void in_range(struct kc_v *v, const struct json_object *spec, const char *key, int64_t max)
{
        int64_t n = kc_json_int(spec, key, 0);
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("must be positive and less than %lld", (long long)max);
        if (n <= 0 || n > max)
                kc_v_invalid_int(v, V_CHILD(&spec_path, key), n, detail);
}

void kc_v_create_api_service(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *spec = kc_json_get(o, "spec");
        const char *group = kc_v_str(spec, "group"), *version = kc_v_str(spec, "version");
        const char *name = kc_v_str(kc_json_get(o, "metadata"), "name");
        size_t before = v->errors->n;
        KC_CLEANUP(kc_freep) char *required = kc_asprintf("%s.%s", version, group);
        KC_CLEANUP(kc_freep)
        char *detail = kc_asprintf("must be `spec.version+\".\"+spec.group`: \"%s\"", required);
        kc_v_meta(v, o, false, kc_name_path_segment);
        if (v->errors->n == before && !kc_streq(name, required))
                kc_v_invalid_str(v, V_CHILD2(NULL, "metadata", "name"), name, detail);
        if (!*group && !kc_streq(version, "v1"))
                kc_v_required(
                    v, V_CHILD(&spec_path, "group"), "only v1 may have an empty group and it better be legacy kube");
        if (*group)
                kc_v_name(v, V_CHILD(&spec_path, "group"), group, kc_name_dns1123_subdomain);
        kc_v_name(v, V_CHILD(&spec_path, "version"), version, kc_name_dns1035_label);
        in_range(v, spec, "groupPriorityMinimum", 20000);
        in_range(v, spec, "versionPriority", 1000);
        if (kc_json_get(spec, "service"))
                service_reference(v, spec);
        else
                local_service(v, spec);
}

void kc_v_update_api_service(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        static const char *const statuses[] = {"True", "False", "Unknown", NULL};
        const struct json_object *conditions = kc_json_at(o, "status.conditions");
        kc_v_meta_update(v, o, old);
        if (!kc_streq(subresource, "status")) {
                kc_v_create_api_service(v, o);
                return;
        }
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const char *status = kc_v_str(kc_json_idx(conditions, i), "status");
                if (!kc_v_in(status, statuses))
                        kc_v_not_supported(
                            v, V_CHILD(V_INDEX(V_CHILD2(NULL, "status", "conditions"), i), "status"), status, statuses);
        }
}

/* ClusterTrustBundles: what must be in a bundle. Worker threads. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "registry/strategies.h"
#include "tls/pem.h"

enum { BUNDLE_MAX = 1 << 20 };

#define PATH "spec.trustBundle"

struct bundle {
        struct kc_field_errors *errors;
        struct kc_map *seen; /* certificate -> indexes, "0 2" */
        size_t n;
        bool bad;
};

static void refuse(struct bundle *b, const char *detail)
{
        b->bad = true;
        kc_field_invalid_str(b->errors, PATH, "<value omitted>", detail);
}

static void free_indexes(void *text)
{
        kc_free(text);
}

/* The one certificate, which must be all of the data. */
static bool is_certificate(const unsigned char *data, size_t len)
{
        const unsigned char *p = data;
        X509 *cert = d2i_X509(NULL, &p, (long)len);
        bool whole = cert && p == data + len;
        X509_free(cert);
        ERR_clear_error();
        return whole;
}

static void remember(struct bundle *b, const unsigned char *data, size_t len)
{
        KC_CLEANUP(kc_freep) char *key = kc_calloc(len * 2 + 1, 1);
        for (size_t i = 0; i < len; i++) {
                key[2 * i] = "0123456789abcdef"[data[i] >> 4];
                key[2 * i + 1] = "0123456789abcdef"[data[i] & 15];
        }
        const char *before = kc_map_get(b->seen, key);
        char *indexes = before ? kc_asprintf("%s %zu", before, b->n) : kc_asprintf("%zu", b->n);
        (void)kc_map_set(b->seen, key, indexes);
}

static void check_block(const char *type, const char *headers, const unsigned char *data, size_t len, void *arg)
{
        struct bundle *b = arg;
        KC_CLEANUP(kc_freep) char *why = NULL;
        if (!kc_streq(type, "CERTIFICATE"))
                why = kc_asprintf("entry %zu has bad block type: %s", b->n, type);
        else if (!kc_str_empty(headers))
                why = kc_asprintf("entry %zu has PEM block headers", b->n);
        else if (!is_certificate(data, len))
                why = kc_asprintf("entry %zu does not parse as X.509: x509: malformed certificate", b->n);
        else
                remember(b, data, len);
        if (why)
                refuse(b, why);
        b->n++;
}

static void check_bundle(const char *text, struct kc_field_errors *errors)
{
        if (strlen(text) > BUNDLE_MAX) {
                kc_field_too_long(errors, PATH, BUNDLE_MAX);
                return;
        }
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(free_indexes);
        struct bundle b = {.errors = errors, .seen = seen};
        kc_pem_each(text, strlen(text), check_block, &b);
        if (b.bad)
                return;
        if (b.n == 0)
                refuse(&b, "at least one trust anchor must be provided");
        void *indexes;
        for (size_t at = 0; kc_map_next(seen, &at, NULL, &indexes);) {
                KC_CLEANUP(kc_freep) char *why = kc_asprintf("duplicate trust anchor (indices [%s])", (char *)indexes);
                if (strchr(indexes, ' '))
                        refuse(&b, why);
        }
}

static const char *bundle_of(const struct json_object *o)
{
        const char *text = kc_json_str_at(o, PATH);
        return text ? text : "";
}

static void validate_create(
    const struct kc_registry_ctx *c, const struct json_object *obj, struct kc_field_errors *errors)
{
        (void)c; /* the same for every request */
        check_bundle(bundle_of(obj), errors);
}

/* What was accepted once stays so. */
static void validate_update(const struct kc_registry_ctx *c, const struct json_object *obj,
    const struct json_object *old, struct kc_field_errors *errors)
{
        (void)c; /* the same for every request */
        if (strcmp(bundle_of(obj), bundle_of(old)) != 0)
                check_bundle(bundle_of(obj), errors);
}

const struct kc_strategy kc_strategy_clustertrustbundles = {
    .group = "certificates.k8s.io",
    .resource = "clustertrustbundles",
    .prepare_for_create = kc_strategy_create_uncounted,
    .validate_create = validate_create,
    .prepare_for_update = kc_strategy_update_uncounted,
    .validate_update = validate_update,
    .require_resource_version = true,
};

/* Certificates of ClusterTrustBundles as one file of PEM: without repetitions, in an order that nobody can count on:
 * another one after each start of the kubelet. Thread: the pod's worker. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/volumes/volumes_internal.h"
#include "tls/pem.h"

struct anchor {
        uint64_t place; /* a keyed hash: the key is the process's */
        unsigned char *data;
        size_t len;
};

struct anchors {
        struct anchor *v;
        size_t n;
};

static void add_anchor(const char *type, const char *headers, const unsigned char *data, size_t len, void *arg)
{
        struct anchors *a = arg;
        (void)type; /* the API server has let only certificates in, without headers */
        (void)headers;
        for (size_t i = 0; i < a->n; i++)
                if (a->v[i].len == len && memcmp(a->v[i].data, data, len) == 0)
                        return;
        a->v = kc_reallocarray(a->v, a->n + 1, sizeof(*a->v));
        a->v[a->n++] = (struct anchor){kc_hash_bytes(data, len), kc_memdup(data, len), len};
}

static int by_place(const void *a, const void *b)
{
        const struct anchor *x = a, *y = b;
        return x->place < y->place ? -1 : x->place > y->place;
}

static char *to_pem(struct anchors *a)
{
        struct kc_buf text = KC_BUF_INIT;
        if (a->n > 1)
                qsort(a->v, a->n, sizeof(*a->v), by_place);
        for (size_t i = 0; i < a->n; i++) {
                KC_CLEANUP(kc_freep) char *pem = kc_pem_certificate(a->v[i].data, a->v[i].len);
                kc_buf_adds(&text, pem);
                kc_free(a->v[i].data);
        }
        kc_free(a->v);
        return kc_buf_take_str(&text);
}

static void add_bundle(struct anchors *a, const struct kc_object *o)
{
        const char *text = kc_json_str_at(kc_object_json(o), "spec.trustBundle");
        if (text)
                kc_pem_each(text, strlen(text), add_anchor, a);
}

static int of_name(struct kc_informer *bundles, const char *name, bool optional, char **ret, struct kc_error *err)
{
        struct anchors a = {0};
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_informer_lookup(bundles, NULL, name);
        if (!o && !optional)
                return kc_error_set(err, ENOENT,
                    "while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io \"%s\" not found", name);
        if (o)
                add_bundle(&a, o);
        *ret = to_pem(&a);
        return 0;
}

static int of_signer(struct kc_informer *bundles, const struct json_object *source, const char *signer, bool optional,
    char **ret, struct kc_error *err)
{
        const struct json_object *labels = kc_json_get(source, "labelSelector");
        KC_CLEANUP(kc_selector_freep) struct kc_selector *selector = NULL;
        struct kc_objects all = {0};
        struct anchors a = {0};
        bool any = false;
        /* No selector selects nothing, an empty one everything. */
        int r = labels ? kc_selector_from_label_selector(labels, &selector, err) : 0;
        if (r < 0)
                return kc_error_wrap(err, "while parsing label selector");
        if (labels)
                kc_informer_list(bundles, NULL, selector, &all);
        for (size_t i = 0; i < all.n; i++)
                if (kc_streq(kc_json_str_at(kc_object_json(all.v[i]), "spec.signerName"), signer)) {
                        add_bundle(&a, all.v[i]);
                        any = true;
                }
        kc_objects_done(&all);
        if (!any && !optional)
                return kc_error_set(
                    err, ENOENT, "combination of signerName and labelSelector matched zero ClusterTrustBundles");
        *ret = to_pem(&a);
        return 0;
}

int kc_trust_bundle(struct kc_informer *bundles, const struct json_object *source, char **ret, struct kc_error *err)
{
        const char *name = kc_json_str(source, "name"), *signer = kc_json_str(source, "signerName");
        bool optional = kc_json_bool(source, "optional", false);
        if (!bundles)
                return kc_error_set(
                    err, ENOTSUP, "ClusterTrustBundle projection is not supported in static kubelet mode");
        if (!kc_informer_synced(bundles))
                return kc_error_set(err, EAGAIN, "ClusterTrustBundle informer has not yet synced");
        if (name)
                return of_name(bundles, name, optional, ret, err);
        return of_signer(bundles, source, signer ? signer : "", optional, ret, err);
}

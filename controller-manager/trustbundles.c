/* Publishes the CA of the API server's certificate (--root-ca-file) as a ClusterTrustBundle, where the gate
 * ClusterTrustBundle is on. Handlers on the loop; sync on the pool. Its informers are its own: an API server that does
 * not serve the kind must not keep the other controllers from starting. */
#include <openssl/sha.h>
#include <string.h>

#include "base/features.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"

#define SIGNER "kubernetes.io/kube-apiserver-serving"
#define PREFIX "kubernetes.io:kube-apiserver-serving:"
#define FIELD "spec.signerName=" SIGNER

enum { MAX_CA_BYTES = 1 << 20, HASH_BYTES = 12 };
#define FILE_PERIOD (60 * KC_SEC) /* the file is read again so often, as upstream does */

static const char key[] = "trust bundle";

struct publisher {
        struct kc_rest *rest;
        struct kc_informers *informers;
        struct kc_informer *bundles; /* those of the signer */
        struct kc_controller *controller;
        const char *ca_file;
};

static void enqueue(struct publisher *p)
{
        kc_workqueue_add(kc_controller_queue(p->controller), key);
}

static void on_add(struct kc_object *o, bool initial, void *arg)
{
        (void)o;
        (void)initial;
        enqueue(arg);
}

static void on_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        (void)o;
        enqueue(arg);
}

static void on_delete(struct kc_object *o, void *arg)
{
        (void)o;
        enqueue(arg);
}

/* A bundle of other certificates has another name: nobody sees half of a change. */
static char *name_of(const char *pem)
{
        unsigned char hash[SHA256_DIGEST_LENGTH];
        struct kc_buf b = KC_BUF_INIT;
        SHA256((const unsigned char *)pem, strlen(pem), hash);
        kc_buf_adds(&b, PREFIX);
        for (size_t i = 0; i < HASH_BYTES; i++)
                kc_buf_addf(&b, "%02x", hash[i]);
        return kc_buf_take_str(&b);
}

static int publish(struct publisher *p, const char *name, const char *pem, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *have = kc_informer_lookup(p->bundles, NULL, name);
        KC_CLEANUP(kc_json_freep) struct json_object *bundle = NULL;
        if (have && kc_streq(kc_json_str_at(kc_object_json(have), "spec.trustBundle"), pem))
                return 0;
        if (have) {
                bundle = kc_object_copy_json(have);
                kc_json_set_str(kc_json_ensure_obj(bundle, "spec"), "trustBundle", pem);
                return kc_rest_update(p->rest, &KC_CLUSTERTRUSTBUNDLES, NULL, bundle, NULL, err);
        }
        bundle = kc_json_build("{'apiVersion':'certificates.k8s.io/v1beta1','kind':'ClusterTrustBundle','metadata':"
                               "{'name':%s},'spec':{'signerName':'" SIGNER "','trustBundle':%s}}",
            name, pem);
        return kc_rest_create(p->rest, &KC_CLUSTERTRUSTBUNDLES, NULL, bundle, NULL, err);
}

/* What has been published before. */
static int remove_others(struct publisher *p, const char *name, struct kc_error *err)
{
        KC_CLEANUP(kc_objects_done) struct kc_objects all = {0};
        int failed = 0;
        kc_informer_list(p->bundles, NULL, NULL, &all);
        for (size_t i = 0; i < all.n; i++) {
                const char *other = kc_object_name(all.v[i]);
                KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
                if (kc_streq(other, name))
                        continue;
                int r = kc_rest_delete(p->rest, &KC_CLUSTERTRUSTBUNDLES, NULL, other, NULL, NULL, &why);
                if (r == 0 || kc_error_is(&why, KC_REASON_NOT_FOUND))
                        continue;
                failed = failed ? failed
                                : kc_error_set(err, -r, "failed to remove a cluster trust bundle \"%s\": %s", other,
                                      kc_error_message(&why));
        }
        return failed;
}

static int sync(void *arg, const char *unused, struct kc_error *err)
{
        struct publisher *p = arg;
        KC_CLEANUP(kc_buf_done) struct kc_buf pem = KC_BUF_INIT;
        (void)unused; /* there is one key */
        int r = kc_file_read(p->ca_file, MAX_CA_BYTES, &pem, err);
        if (r < 0)
                return kc_error_wrap(err, "--root-ca-file");
        KC_CLEANUP(kc_freep) char *name = name_of(kc_buf_str(&pem));
        r = publish(p, name, kc_buf_str(&pem), err);
        if (r == 0)
                r = remove_others(p, name, err);
        if (r == 0)
                kc_workqueue_add_after(kc_controller_queue(p->controller), key, FILE_PERIOD);
        return r;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        static const struct kc_informer_handler handler = {on_add, on_update, on_delete};
        (void)err;
        if (!kc_feature_enabled(KC_FEATURE_CLUSTER_TRUST_BUNDLE) || kc_str_empty(cm->options->root_ca_file)) {
                *ret = NULL;
                return 0;
        }
        struct publisher *p = KC_NEW(struct publisher);
        p->rest = cm->rest;
        p->ca_file = cm->options->root_ca_file;
        p->informers = kc_informers_new(cm->root);
        p->bundles = kc_informers_get_filtered(p->informers, &KC_CLUSTERTRUSTBUNDLES, NULL, NULL, FIELD);
        p->controller = kc_controller_new(
            cm->loop, cm->pool, "kube-apiserver-serving-clustertrustbundle-publisher-controller", 1, sync, p);
        kc_informer_add_handler(p->bundles, &handler, p);
        *ret = p;
        return 0;
}

static void on_synced(void *arg)
{
        struct publisher *p = arg;
        enqueue(p);
        kc_controller_start(p->controller);
}

static void start(void *state)
{
        struct publisher *p = state;
        kc_informers_start(p->informers);
        kc_informers_on_synced(p->informers, on_synced, p);
}

static void free_state(void *state)
{
        struct publisher *p = state;
        kc_informers_free(p->informers);
        kc_controller_free(p->controller);
        kc_free(p);
}

const struct kc_controller_def kc_trust_bundle_controller = {
    .name = "kube-apiserver-serving-clustertrustbundle-publisher-controller",
    .init = init,
    .start = start,
    .free = free_state,
};

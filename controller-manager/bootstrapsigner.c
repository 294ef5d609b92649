/* Signs the kubeconfig in kube-public/cluster-info by every bootstrap token that may, so that who has a token can trust
 * what anyone may read: keys jws-kubeconfig-<id>. Handlers on the loop; sync on the pool. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/str.h"
#include "controller-manager/bootstrap_tokens.h"
#include "controller-manager/table.h"

#define CLUSTER_INFO "cluster-info"
#define SIGNATURE "jws-kubeconfig-"

struct signer {
        struct kc_rest *rest;
        struct kc_informer *maps, *secrets;
        struct kc_controller *controller;
};

static void enqueue(void *arg)
{
        struct signer *s = arg;
        kc_workqueue_add(kc_controller_queue(s->controller), "kube-public/" CLUSTER_INFO);
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

/* Adds the signatures that are due to data; *ret_next is when the next of them is not any more. */
static void sign_all(struct signer *s, const char *content, struct json_object *data, kc_time now, kc_time *ret_next)
{
        struct kc_objects tokens = {0};
        kc_informer_list(s->secrets, NULL, NULL, &tokens);
        for (size_t i = 0; i < tokens.n; i++) {
                const struct json_object *secret = kc_object_json(tokens.v[i]);
                char *id = NULL, *key = NULL;
                if (!kc_bootstrap_token_signs(secret, now, &id, &key))
                        continue;
                KC_CLEANUP(kc_freep) char *name = kc_asprintf(SIGNATURE "%s", id);
                KC_CLEANUP(kc_freep) char *jws = kc_jws_detached(content, id, key);
                kc_json_set_str(data, name, jws);
                *ret_next = KC_MIN(*ret_next, kc_bootstrap_token_expiry(secret));
                kc_free_secret_str(key);
                kc_free(id);
        }
        kc_objects_done(&tokens);
}

/* A copy of data without signatures. */
static struct json_object *unsigned_data(const struct json_object *data)
{
        struct json_object *copy = json_object_new_object();
        KC_JSON_FOREACH(data, key, value)
        {
                if (!kc_str_has_prefix(key, SIGNATURE))
                        kc_json_set(copy, key, kc_json_copy(value));
        }
        return copy;
}

static int sync(void *arg, const char *key, struct kc_error *err)
{
        struct signer *s = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *map = kc_informer_lookup(s->maps, "kube-public", CLUSTER_INFO);
        const struct json_object *data = map ? kc_json_get(kc_object_json(map), "data") : NULL;
        const char *content = kc_json_str(data, "kubeconfig");
        kc_time now = kc_clock_now(NULL), next = INT64_MAX;
        if (!content)
                return 0;
        struct json_object *wanted = unsigned_data(data);
        sign_all(s, content, wanted, now, &next);
        if (next != INT64_MAX)
                kc_workqueue_add_after(kc_controller_queue(s->controller), key, next - now);
        if (kc_json_equal(wanted, data)) {
                kc_json_free(wanted);
                return 0;
        }
        KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_object_copy_json(map);
        kc_json_set(copy, "data", wanted);
        int r = kc_rest_update(s->rest, &KC_CONFIGMAPS, NULL, copy, NULL, err);
        return r < 0 ? kc_error_wrap(err, "signing %s", key) : 0;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        static const struct kc_informer_handler handler = {on_add, on_update, on_delete};
        struct signer *s = KC_NEW(struct signer);
        (void)err;
        s->rest = cm->rest;
        s->maps = kc_informers_get_filtered(
            cm->informers, &KC_CONFIGMAPS, "kube-public", NULL, "metadata.name=" CLUSTER_INFO);
        s->secrets =
            kc_informers_get_filtered(cm->informers, &KC_SECRETS, "kube-system", NULL, "type=" KC_BOOTSTRAP_TOKEN_TYPE);
        s->controller = kc_controller_new(cm->loop, cm->pool, "bootstrap-signer-controller", 1, sync, s);
        kc_informer_add_handler(s->maps, &handler, s);
        kc_informer_add_handler(s->secrets, &handler, s);
        *ret = s;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct signer *)state)->controller);
}

static void free_state(void *state)
{
        struct signer *s = state;
        kc_controller_free(s->controller);
        kc_free(s);
}

const struct kc_controller_def kc_bootstrapsigner_controller = {.name = "bootstrap-signer-controller",
    .alias = "bootstrapsigner",
    .disabled_by_default = true,
    .init = init,
    .start = start,
    .free = free_state};

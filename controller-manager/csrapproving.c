/* Approves the client certificates of kubelets when the requester may have them: SubjectAccessReview of
 * certificatesigningrequests/selfnodeclient (one's own, for renewal) and /nodeclient (a new node's). Handlers on the
 * loop; sync on the pool. */
#include <errno.h>

#include "base/str.h"
#include "controller-manager/csr.h"
#include "controller-manager/table.h"

struct approving {
        struct kc_rest *rest;
        struct kc_informer *requests;
        struct kc_controller *controller;
};

static const struct recognizer {
        const char *subresource, *message;
        bool self;
} recognizers[] = {
    {"selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview.", true},
    {"nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.", false},
};

static void enqueue(struct approving *a, const struct kc_object *o)
{
        kc_workqueue_add(kc_controller_queue(a->controller), kc_object_name(o));
}

static void on_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        enqueue(arg, o);
}

static void on_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        enqueue(arg, o);
}

static int review(
    struct approving *a, const struct json_object *csr, const char *subresource, bool *ret, struct kc_error *err)
{
        static const char *const fields[][2] = {
            {"username", "user"}, {"uid", "uid"}, {"groups", "groups"}, {"extra", "extra"}};
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        KC_CLEANUP(kc_json_freep)
        struct json_object *body = kc_json_build(
            "{'kind':'SubjectAccessReview','apiVersion':'authorization.k8s.io/v1','spec':{'resourceAttributes':{'group'"
            ":'certificates.k8s.io','version':'*','resource':'certificatesigningrequests','verb':'create',"
            "'subresource':%s}}}",
            subresource);
        struct json_object *spec = kc_json_get_mut(body, "spec");
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++) {
                const struct json_object *v = kc_json_get(kc_json_get(csr, "spec"), fields[i][0]);
                if (v)
                        kc_json_set(spec, fields[i][1], kc_json_copy(v));
        }
        int r = kc_rest_create(a->rest, &KC_SUBJECTACCESSREVIEWS, NULL, body, &answer, err);
        if (r == 0)
                *ret = kc_json_bool_at(answer, "status.allowed", false);
        return r;
}

static int approve(struct approving *a, const struct json_object *csr, const char *message, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *copy = kc_csr_with_condition(csr, "Approved", "AutoApproved", message);
        int r = kc_rest_update(a->rest, &KC_CERTIFICATESIGNINGREQUESTS, "approval", copy, NULL, err);
        return r < 0 ? kc_error_wrap(err, "error updating approval for csr") : 0;
}

static bool recognized(const struct recognizer *r, const struct json_object *csr, const struct kc_csr *request)
{
        if (r->self && !kc_streq(kc_json_str_at(csr, "spec.username"), request->common_name))
                return false;
        return kc_streq(kc_json_str_at(csr, "spec.signerName"), KC_SIGNER_KUBELET_CLIENT) &&
               kc_csr_check_kubelet_client(request, kc_json_at(csr, "spec.usages"), NULL) == 0;
}

static int sync(void *arg, const char *name, struct kc_error *err)
{
        struct approving *a = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_informer_lookup(a->requests, NULL, name);
        KC_CLEANUP(kc_csr_freep) struct kc_csr *request = NULL;
        KC_CLEANUP(kc_strv_freep) char **tried = NULL;
        const struct json_object *csr = o ? kc_object_json(o) : NULL;
        if (!csr || kc_csr_issued(csr) || kc_csr_has_condition(csr, "Approved") || kc_csr_has_condition(csr, "Denied"))
                return 0;
        int r = kc_csr_parse_base64(kc_json_str_at(csr, "spec.request"), &request, err);
        if (r < 0)
                return kc_error_wrap(err, "unable to parse csr \"%s\"", name);
        for (size_t i = 0; i < KC_ARRAY_LEN(recognizers); i++) {
                bool allowed = false;
                if (!recognized(&recognizers[i], csr, request))
                        continue;
                kc_strv_push(&tried, recognizers[i].subresource);
                r = review(a, csr, recognizers[i].subresource, &allowed, err);
                if (r < 0)
                        return r;
                if (allowed)
                        return approve(a, csr, recognizers[i].message, err);
        }
        if (!tried)
                return 0; /* somebody else's */
        /* The right may still be given: tried again later. */
        KC_CLEANUP(kc_freep) char *list = kc_strv_join(tried, " ");
        return kc_error_set(
            err, EINPROGRESS, "recognized csr \"%s\" as [%s] but subject access review was not approved", name, list);
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        static const struct kc_informer_handler handler = {.on_add = on_add, .on_update = on_update};
        struct approving *a = KC_NEW(struct approving);
        (void)err;
        a->rest = cm->rest;
        a->requests = kc_informers_get(cm->informers, &KC_CERTIFICATESIGNINGREQUESTS);
        a->controller =
            kc_controller_new(cm->loop, cm->pool, "certificatesigningrequest-approving-controller", 5, sync, a);
        kc_workqueue_set_backoff(kc_controller_queue(a->controller), KC_CSR_BACKOFF);
        kc_informer_add_handler(a->requests, &handler, a);
        *ret = a;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct approving *)state)->controller);
}

static void free_state(void *state)
{
        struct approving *a = state;
        kc_controller_free(a->controller);
        kc_free(a);
}

const struct kc_controller_def kc_csrapproving_controller = {.name = "certificatesigningrequest-approving-controller",
    .alias = "csrapproving",
    .init = init,
    .start = start,
    .free = free_state};

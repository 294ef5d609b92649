/* Signs approved CertificateSigningRequests of the kubernetes.io signers that have a CA here. Handlers on the loop;
 * sync on the pool. The CA's files are read for each request: they are few, and a renewed CA counts at once. */
#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/str.h"
#include "controller-manager/csr.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"

/* Kept for verifiers whose clock is behind; certificates that live shorter than SHORT are not shortened by it. */
#define BACKDATE (5 * 60 * KC_SEC)
#define SHORT (8 * 3600 * KC_SEC)
#define MIN_TTL (10 * 60 * KC_SEC)

struct signing {
        struct kc_rest *rest;
        struct kc_informer *requests;
        struct kc_controller *controller;
        const struct kc_cm_options *options;
};

typedef int (*check_fn)(const struct kc_csr *request, const struct json_object *usages, struct kc_error *err);

static int check_nothing(const struct kc_csr *request, const struct json_object *usages, struct kc_error *err)
{
        (void)request;
        (void)usages;
        (void)err;
        return 0;
}

/* What each signer demands; the order is that of kc_cm_options.signing. */
static const struct signer {
        const char *name;
        check_fn check;
} signers[KC_N_SIGNERS] = {
    [KC_SIGNING_KUBELET_SERVING] = {KC_SIGNER_KUBELET_SERVING, kc_csr_check_kubelet_serving},
    [KC_SIGNING_KUBELET_CLIENT] = {KC_SIGNER_KUBELET_CLIENT, kc_csr_check_kubelet_client},
    [KC_SIGNING_API_CLIENT] = {KC_SIGNER_CLIENT, kc_csr_check_api_client},
    /* Compatible with v1beta1: no restrictions. */
    [KC_SIGNING_LEGACY] = {KC_SIGNER_LEGACY, check_nothing},
};

static const struct kc_cm_signing *files_of(const struct signing *s, size_t signer)
{
        const struct kc_cm_signing *own = &s->options->signing[signer];
        return own->cert_file ? own : &s->options->signing_default;
}

static void enqueue(struct signing *s, const struct kc_object *o)
{
        kc_workqueue_add(kc_controller_queue(s->controller), kc_object_name(o));
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

static int64_t ttl_of(const struct signing *s, const struct json_object *csr)
{
        int64_t most = s->options->signing_duration;
        int64_t asked = kc_json_int_at(csr, "spec.expirationSeconds", -1);
        if (asked < 0)
                return most;
        asked *= KC_SEC;
        return asked > most ? most : asked < MIN_TTL ? MIN_TTL : asked;
}

static int update_status(struct signing *s, const struct json_object *csr, struct kc_error *err)
{
        return kc_rest_update(s->rest, &KC_CERTIFICATESIGNINGREQUESTS, "status", csr, NULL, err);
}

/* For who can do nothing about it but read: the request cannot become a certificate. */
static int fail_request(
    struct signing *s, const struct json_object *csr, const struct kc_error *why, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *copy =
            kc_csr_with_condition(csr, "Failed", "SignerValidationFailure", kc_error_message(why));
        int r = update_status(s, copy, err);
        return r < 0 ? kc_error_wrap(err, "error adding failure condition for csr") : 0;
}

static int sign(struct signing *s, const struct kc_cm_signing *files, const struct json_object *csr,
    const struct kc_csr *request, struct kc_error *err)
{
        KC_CLEANUP(kc_ca_freep) struct kc_ca *ca = NULL;
        KC_CLEANUP(kc_strv_freep) char **usages = NULL;
        KC_CLEANUP(kc_freep) char *pem = NULL;
        const struct json_object *list = kc_json_at(csr, "spec.usages");
        for (size_t i = 0; i < kc_json_len(list); i++)
                kc_strv_push(&usages, kc_json_as_str(kc_json_idx(list, i)));
        const struct kc_sign_opts o = {.usages = usages,
            .ttl = ttl_of(s, csr),
            .backdate = BACKDATE,
            .short_ttl = SHORT,
            .now = kc_clock_now(NULL)};
        int r = kc_ca_load(files->cert_file, files->key_file, &ca, err);
        if (r == 0)
                r = kc_ca_sign(ca, request, &o, &pem, err);
        if (r < 0)
                return kc_error_wrap(err, "error auto signing csr");
        KC_CLEANUP(kc_freep) char *base64 = kc_base64_encode(pem, strlen(pem));
        KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_json_copy(csr);
        kc_json_set_str(kc_json_ensure_obj(copy, "status"), "certificate", base64);
        r = update_status(s, copy, err);
        return r < 0 ? kc_error_wrap(err, "error updating signature for csr") : 0;
}

static int sync(void *arg, const char *name, struct kc_error *err)
{
        struct signing *s = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_informer_lookup(s->requests, NULL, name);
        KC_CLEANUP(kc_csr_freep) struct kc_csr *request = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        const struct json_object *csr = o ? kc_object_json(o) : NULL;
        size_t i = 0;
        if (!csr || kc_csr_issued(csr) || !kc_csr_approved(csr) || kc_csr_failed(csr))
                return 0;
        while (i < KC_N_SIGNERS && !kc_streq(kc_json_str_at(csr, "spec.signerName"), signers[i].name))
                i++;
        const struct kc_cm_signing *files = i < KC_N_SIGNERS ? files_of(s, i) : NULL;
        if (!files || !files->cert_file)
                return 0; /* somebody else's */
        int r = kc_csr_parse_base64(kc_json_str_at(csr, "spec.request"), &request, err);
        if (r < 0)
                return kc_error_wrap(err, "unable to parse csr \"%s\"", name);
        if (signers[i].check(request, kc_json_at(csr, "spec.usages"), &why) < 0)
                return fail_request(s, csr, &why, err);
        return sign(s, files, csr, request, err);
}

/* What is given must be a CA now; later changes are noticed when a request is signed. */
static int check_files(const struct signing *s, bool *ret_any, struct kc_error *err)
{
        for (size_t i = 0; i < KC_N_SIGNERS; i++) {
                KC_CLEANUP(kc_ca_freep) struct kc_ca *ca = NULL;
                const struct kc_cm_signing *files = files_of(s, i);
                if (!files->cert_file)
                        continue;
                *ret_any = true;
                int r = kc_ca_load(files->cert_file, files->key_file, &ca, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        static const struct kc_informer_handler handler = {.on_add = on_add, .on_update = on_update};
        struct signing probe = {.options = cm->options};
        bool any = false;
        int r = check_files(&probe, &any, err);
        if (r < 0 || !any) {
                if (r == 0)
                        kc_log_info("Skipping CSR signer controller because no csr cert/key was specified");
                *ret = NULL;
                return r;
        }
        struct signing *s = KC_NEW(struct signing);
        s->rest = cm->rest;
        s->options = cm->options;
        s->requests = kc_informers_get(cm->informers, &KC_CERTIFICATESIGNINGREQUESTS);
        s->controller =
            kc_controller_new(cm->loop, cm->pool, "certificatesigningrequest-signing-controller", 5, sync, s);
        kc_workqueue_set_backoff(kc_controller_queue(s->controller), KC_CSR_BACKOFF);
        kc_informer_add_handler(s->requests, &handler, s);
        *ret = s;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct signing *)state)->controller);
}

static void free_state(void *state)
{
        struct signing *s = state;
        kc_controller_free(s->controller);
        kc_free(s);
}

const struct kc_controller_def kc_csrsigning_controller = {.name = "certificatesigningrequest-signing-controller",
    .alias = "csrsigning",
    .init = init,
    .start = start,
    .free = free_state};

/* Removes CertificateSigningRequests that nobody needs any more: an hour after they were issued, denied or failed, a
 * day after nobody has decided, and when their certificate has expired. One delayed key for each. */
#include <string.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/str.h"
#include "controller-manager/csr.h"
#include "controller-manager/table.h"

#define DECIDED_TTL (3600 * KC_SEC)
#define PENDING_TTL (24 * 3600 * KC_SEC)

struct cleaner {
        struct kc_rest *rest;
        struct kc_informer *requests;
        struct kc_controller *controller;
};

static void enqueue(struct cleaner *c, const struct kc_object *o)
{
        kc_workqueue_add(kc_controller_queue(c->controller), kc_object_name(o));
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

/* An absent time is long ago. */
static kc_time time_of(const char *text)
{
        kc_time t = 0;
        return text && kc_time_parse(text, &t) == 0 ? t : 0;
}

static kc_time expiry_of(const struct json_object *csr)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf pem = KC_BUF_INIT;
        const char *text = kc_json_str_at(csr, "status.certificate");
        struct kc_cert_info info;
        if (!kc_csr_approved(csr) || kc_str_empty(text) || kc_base64_decode(text, strlen(text), &pem) < 0 ||
            kc_cert_info(kc_buf_str(&pem), pem.len, &info, NULL) < 0)
                return INT64_MAX;
        kc_time t = info.not_after;
        kc_cert_info_done(&info);
        return t;
}

/* When it may go. */
static kc_time end_of(const struct json_object *csr)
{
        const struct json_object *conditions = kc_json_at(csr, "status.conditions");
        kc_time end = expiry_of(csr);
        if (kc_json_len(conditions) == 0)
                return KC_MIN(end, time_of(kc_json_str_at(csr, "metadata.creationTimestamp")) + PENDING_TTL);
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const struct json_object *c = kc_json_idx(conditions, i);
                end = KC_MIN(end, time_of(kc_json_str(c, "lastUpdateTime")) + DECIDED_TTL);
        }
        return end;
}

static int sync(void *arg, const char *name, struct kc_error *err)
{
        struct cleaner *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_informer_lookup(c->requests, NULL, name);
        if (!o)
                return 0;
        kc_time left = end_of(kc_object_json(o)) - kc_clock_now(NULL);
        if (left > 0) {
                kc_workqueue_add_after(kc_controller_queue(c->controller), name, left);
                return 0;
        }
        kc_log_info("Cleaning CSR as it is more than its time old", "csr", name);
        const struct kc_delete_opts opts = {.grace_period_seconds = -1, .precondition_uid = kc_object_uid(o)};
        int r = kc_rest_delete(c->rest, &KC_CERTIFICATESIGNINGREQUESTS, NULL, name, &opts, NULL, err);
        if (r < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND) && !kc_error_is(err, KC_REASON_CONFLICT))
                return kc_error_wrap(err, "unable to delete CSR \"%s\"", name);
        kc_error_done(err);
        return 0;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        static const struct kc_informer_handler handler = {.on_add = on_add, .on_update = on_update};
        struct cleaner *c = KC_NEW(struct cleaner);
        (void)err;
        c->rest = cm->rest;
        c->requests = kc_informers_get(cm->informers, &KC_CERTIFICATESIGNINGREQUESTS);
        c->controller =
            kc_controller_new(cm->loop, cm->pool, "certificatesigningrequest-cleaner-controller", 1, sync, c);
        kc_informer_add_handler(c->requests, &handler, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct cleaner *)state)->controller);
}

static void free_state(void *state)
{
        struct cleaner *c = state;
        kc_controller_free(c->controller);
        kc_free(c);
}

const struct kc_controller_def kc_csrcleaner_controller = {.name = "certificatesigningrequest-cleaner-controller",
    .alias = "csrcleaner",
    .init = init,
    .start = start,
    .free = free_state};

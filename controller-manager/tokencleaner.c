/* Removes bootstrap tokens that have expired. One delayed key for each. Handlers on the loop; sync on the pool. */
#include "base/log.h"
#include "base/str.h"
#include "controller-manager/bootstrap_tokens.h"
#include "controller-manager/table.h"

struct cleaner {
        struct kc_rest *rest;
        struct kc_informer *secrets;
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

static int sync(void *arg, const char *name, struct kc_error *err)
{
        struct cleaner *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_informer_lookup(c->secrets, "kube-system", name);
        kc_time end = o ? kc_bootstrap_token_expiry(kc_object_json(o)) : INT64_MAX, now = kc_clock_now(NULL);
        if (end == INT64_MAX)
                return 0;
        if (end > now) {
                kc_workqueue_add_after(kc_controller_queue(c->controller), name, end - now);
                return 0;
        }
        kc_log_info("Deleting expired secret", "secret", name);
        const struct kc_delete_opts opts = {.grace_period_seconds = -1, .precondition_uid = kc_object_uid(o)};
        int r = kc_rest_delete(c->rest, &KC_SECRETS, "kube-system", name, &opts, NULL, err);
        if (r < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND) && !kc_error_is(err, KC_REASON_CONFLICT))
                return kc_error_wrap(err, "deleting secret \"%s\"", name);
        kc_error_done(err);
        return 0;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        static const struct kc_informer_handler handler = {.on_add = on_add, .on_update = on_update};
        struct cleaner *c = KC_NEW(struct cleaner);
        (void)err;
        c->rest = cm->rest;
        c->secrets =
            kc_informers_get_filtered(cm->informers, &KC_SECRETS, "kube-system", NULL, "type=" KC_BOOTSTRAP_TOKEN_TYPE);
        c->controller = kc_controller_new(cm->loop, cm->pool, "token-cleaner-controller", 1, sync, c);
        kc_informer_add_handler(c->secrets, &handler, c);
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

const struct kc_controller_def kc_tokencleaner_controller = {.name = "token-cleaner-controller",
    .alias = "tokencleaner",
    .disabled_by_default = true,
    .init = init,
    .start = start,
    .free = free_state};

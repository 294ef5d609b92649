/* Takes away token Secrets that were made for accounts automatically, once, and that nobody has used for
 * --legacy-service-account-token-clean-up-period: first they are marked as invalid, after as long again they are
 * deleted. A Secret is looked at when it changes and once a day. Handlers on the loop; sync on the pool. */
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"

#define TYPE "kubernetes.io/service-account-token"
#define TRACKING "kube-apiserver-legacy-service-account-token-tracking"
#define LAST_USED "kubernetes.io/legacy-token-last-used"
#define INVALID_SINCE "kubernetes.io/legacy-token-invalid-since"
#define DAY (24 * 3600 * KC_SEC)

enum { DATE_LEN = 11 }; /* "2026-11-21" */

struct cleaner {
        struct kc_rest *rest;
        struct kc_informer *secrets, *accounts, *pods, *tracking;
        struct kc_controller *controller;
        int64_t period;
};

static void on_add(struct kc_object *o, bool initial, void *arg)
{
        struct cleaner *c = arg;
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", kc_object_namespace(o), kc_object_name(o));
        (void)initial;
        kc_workqueue_add(kc_controller_queue(c->controller), key);
}

static void on_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_add(o, false, arg);
}

/* Dates are compared as text, as upstream. */
static const char *date_of(kc_time t, char buf[static DATE_LEN])
{
        time_t seconds = (time_t)(t / KC_SEC);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        (void)strftime(buf, DATE_LEN, "%Y-%m-%d", &tm);
        return buf;
}

/* Midnight at the begin of a date; -EINVAL. */
static int parse_date(const char *text, kc_time *ret)
{
        KC_CLEANUP(kc_freep) char *time = kc_asprintf("%sT00:00:00Z", text ? text : "");
        return kc_time_parse(time, ret);
}

/* Uses are recorded for long enough to know what is not used. */
static bool tracked(struct cleaner *c, kc_time now)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = kc_informer_lookup(c->tracking, "kube-system", TRACKING);
        kc_time since;
        if (!o || parse_date(kc_json_str_at(kc_object_json(o), "data.since"), &since) < 0)
                return false;
        return now >= since + DAY + c->period;
}

/* Made automatically: the account names it. */
static bool is_referenced(struct cleaner *c, const struct kc_object *secret)
{
        const struct json_object *tree = kc_object_json(secret);
        const char *name = kc_meta_annotation(tree, "kubernetes.io/service-account.name");
        const char *uid = kc_meta_annotation(tree, "kubernetes.io/service-account.uid");
        if (!name)
                return false;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *account = kc_informer_lookup(c->accounts, kc_object_namespace(secret), name);
        return account && (!uid || kc_streq(uid, kc_object_uid(account))) &&
               kc_json_find(kc_json_get(kc_object_json(account), "secrets"), "name", kc_object_name(secret));
}

static bool is_mounted(struct cleaner *c, const struct kc_object *secret)
{
        struct kc_objects pods = {0};
        bool found = false;
        kc_informer_list(c->pods, kc_object_namespace(secret), NULL, &pods);
        for (size_t i = 0; !found && i < pods.n; i++) {
                const struct json_object *volumes = kc_json_at(kc_object_json(pods.v[i]), "spec.volumes");
                for (size_t j = 0; !found && j < kc_json_len(volumes); j++)
                        found = kc_streq(
                            kc_json_str_at(kc_json_idx(volumes, j), "secret.secretName"), kc_object_name(secret));
        }
        kc_objects_done(&pods);
        return found;
}

static bool is_unused(struct cleaner *c, const struct kc_object *secret, kc_time now, const char *oldest_use)
{
        const struct json_object *tree = kc_object_json(secret);
        kc_time created = now;
        if (kc_time_parse(kc_json_str_at(tree, "metadata.creationTimestamp"), &created) < 0 ||
            created >= now - c->period || kc_meta_deleting(tree))
                return false;
        const char *last_used = kc_meta_label(tree, LAST_USED);
        if (last_used && strcmp(last_used, oldest_use) >= 0)
                return false;
        return is_referenced(c, secret) && !is_mounted(c, secret);
}

static int mark(struct cleaner *c, const struct kc_object *secret, kc_time now, struct kc_error *err)
{
        char today[DATE_LEN];
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build("{'metadata':{'uid':%s,'resourceVersion':%s,'labels':{}}}",
            kc_object_uid(secret), kc_json_str_at(kc_object_json(secret), "metadata.resourceVersion"));
        kc_json_set_str(kc_json_at_mut(patch, "metadata.labels"), INVALID_SINCE, date_of(now, today));
        kc_log_info("Mark the auto-generated service account token as invalid", "invalidSince", today, "secret",
            kc_object_name(secret));
        return kc_rest_patch(c->rest, &KC_SECRETS, kc_object_namespace(secret), kc_object_name(secret), NULL,
            KC_PATCH_MERGE, patch, NULL, err);
}

static int delete_secret(struct cleaner *c, const struct kc_object *secret, struct kc_error *err)
{
        const struct kc_delete_opts opts = {.grace_period_seconds = -1,
            .precondition_uid = kc_object_uid(secret),
            .precondition_resource_version = kc_json_str_at(kc_object_json(secret), "metadata.resourceVersion")};
        kc_log_info("Deleting auto-generated service account token", "secret", kc_object_name(secret));
        return kc_rest_delete(
            c->rest, &KC_SECRETS, kc_object_namespace(secret), kc_object_name(secret), &opts, NULL, err);
}

static int sync(void *arg, const char *key, struct kc_error *err)
{
        struct cleaner *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *secret = kc_informer_lookup_key(c->secrets, key);
        kc_time now = kc_clock_now(NULL), since;
        char oldest_use[DATE_LEN];
        if (!secret)
                return 0;
        kc_workqueue_add_after(kc_controller_queue(c->controller), key, DAY);
        (void)date_of(now - c->period, oldest_use);
        if (!tracked(c, now) || !is_unused(c, secret, now, oldest_use))
                return 0;
        const char *invalid_since = kc_meta_label(kc_object_json(secret), INVALID_SINCE);
        int r = 0;
        if (parse_date(invalid_since, &since) < 0)
                r = mark(c, secret, now, err);
        else if (strcmp(invalid_since, oldest_use) < 0)
                r = delete_secret(c, secret, err);
        /* It changed or went meanwhile: that comes as an event. */
        if (r < 0 && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err);
                return 0;
        }
        return r;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        static const struct kc_informer_handler handler = {.on_add = on_add, .on_update = on_update};
        struct cleaner *c = KC_NEW(struct cleaner);
        (void)err;
        c->rest = cm->rest;
        c->period = cm->options->legacy_token_clean_up_period;
        c->accounts = kc_informers_get(cm->informers, &KC_SERVICEACCOUNTS);
        c->pods = kc_informers_get(cm->informers, &KC_PODS);
        c->secrets = kc_informers_get_filtered(cm->informers, &KC_SECRETS, NULL, NULL, "type=" TYPE);
        c->tracking =
            kc_informers_get_filtered(cm->informers, &KC_CONFIGMAPS, "kube-system", NULL, "metadata.name=" TRACKING);
        c->controller =
            kc_controller_new(cm->loop, cm->pool, "legacy-serviceaccount-token-cleaner-controller", 1, sync, c);
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

const struct kc_controller_def kc_legacytokencleaner_controller = {
    .name = "legacy-serviceaccount-token-cleaner-controller",
    .alias = "legacy-service-account-token-cleaner",
    .init = init,
    .start = start,
    .free = free_state};

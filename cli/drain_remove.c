/* Evicting pods, or deleting them, until they are gone. Each pod has a state and a time at which it is looked at again;
 * one thread serves them all. Main thread. */
#include <errno.h>
#include <time.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/drain.h"

#define RETRY_AFTER (5 * KC_SEC)
#define POLL_EVERY KC_SEC

enum state { EVICT, WAIT, DONE };
struct victim {
        struct json_object *pod;
        enum state state;
        kc_mono due;
};
struct removal {
        struct kc_cli *c;
        const struct kc_drain_opts *o;
        struct victim *v;
        size_t n, left;
        kc_mono deadline; /* 0: none */
        struct kc_cli_errors *errors;
        bool evict;
};

static void done(struct removal *r, struct victim *v)
{
        v->state = DONE;
        r->left--;
}

static void fail(struct removal *r, struct victim *v, const char *fmt, ...) KC_PRINTF(3, 4);
static void fail(struct removal *r, struct victim *v, const char *fmt, ...)
{
        struct kc_error err = KC_ERROR_INIT;
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *text = kc_vasprintf(fmt, ap);
        va_end(ap);
        (void)kc_error_set(&err, ECANCELED, "%s", text);
        kc_cli_errors_take(r->errors, &err);
        done(r, v);
}

static bool timed_out(const struct removal *r)
{
        return r->deadline > 0 && kc_clock_mono(NULL) >= r->deadline;
}

static int get_pod(struct removal *r, const struct victim *v, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep)
        char *path = kc_gvr_path(&KC_PODS, kc_meta_namespace(v->pod), kc_meta_name(v->pod), NULL);
        return kc_cli_fetch(r->c, path, "application/json", ret, err);
}

static int send_eviction(struct removal *r, const struct victim *v, struct kc_error *err)
{
        struct kc_rest *rest;
        struct json_object *options = json_object_new_object();
        if (r->o->grace >= 0)
                kc_json_set_int(options, "gracePeriodSeconds", r->o->grace);
        if (r->o->dry_run == KC_DRY_RUN_SERVER)
                kc_json_set(options, "dryRun", kc_json_build("['All']"));
        KC_CLEANUP(kc_json_freep)
        struct json_object *body = kc_json_build("{'apiVersion':'policy/v1','kind':'Eviction','metadata':{'name':%s,"
                                                 "'namespace':%s},'deleteOptions':%o}",
            kc_meta_name(v->pod), kc_meta_namespace(v->pod), options);
        int e = kc_cli_rest(r->c, &rest, err);
        return e < 0 ? e
                     : kc_rest_create_sub(rest, &KC_PODS, kc_meta_namespace(v->pod), kc_meta_name(v->pod), "eviction",
                           body, NULL, err);
}

static bool namespace_ends(const struct kc_error *err)
{
        for (size_t i = 0; err->details && i < err->details->n_causes; i++)
                if (kc_streq(err->details->causes[i].reason, "NamespaceTerminating"))
                        return true;
        return false;
}

/* It was refused for now. */
static void retry(struct removal *r, struct victim *v)
{
        struct json_object *fresh = NULL;
        v->due = kc_clock_mono(NULL) + RETRY_AFTER;
        if (get_pod(r, v, &fresh, NULL) == 0) { /* else the eviction says what is wrong */
                kc_json_free(v->pod);
                v->pod = fresh;
        }
}

static void evict(struct removal *r, struct victim *v)
{
        struct kc_error err = KC_ERROR_INIT;
        char text[32];
        const char *ns = kc_meta_namespace(v->pod), *name = kc_meta_name(v->pod);
        bool dry = r->o->dry_run == KC_DRY_RUN_SERVER;
        (void)fprintf(r->c->out, "evicting pod %s/%s%s\n", ns, name, dry ? " (server dry run)" : "");
        (void)fflush(r->c->out);
        if (timed_out(r)) {
                fail(r, v, "error when evicting pods/\"%s\" -n \"%s\": global timeout reached: %s", name, ns,
                    kc_duration_format(r->o->timeout, text));
                return;
        }
        int e = send_eviction(r, v, &err);
        bool ending = kc_error_is(&err, KC_REASON_FORBIDDEN) && namespace_ends(&err);
        bool deleted = kc_json_str_at(v->pod, "metadata.deletionTimestamp") != NULL;
        if (e == 0 || (ending && deleted)) {
                v->state = WAIT;
                v->due = 0;
                if (dry)
                        done(r, v);
        } else if (kc_error_is(&err, KC_REASON_NOT_FOUND)) {
                done(r, v);
        } else if (kc_error_is(&err, KC_REASON_TOO_MANY_REQUESTS)) {
                (void)fprintf(r->c->err, "error when evicting pods/\"%s\" -n \"%s\" (will retry after 5s): %s\n", name,
                    ns, kc_error_message(&err));
                retry(r, v);
        } else if (ending) {
                (void)fprintf(r->c->err,
                    "error when evicting pod \"%s\" from terminating namespace \"%s\" (will retry after 5s): %s\n",
                    name, ns, kc_error_message(&err));
                retry(r, v);
        } else {
                fail(r, v, "error when evicting pods/\"%s\" -n \"%s\": %s", name, ns, kc_error_message(&err));
        }
        kc_error_done(&err);
}

/* Deleted so long ago that it is not waited for. */
static bool is_overdue(const struct removal *r, const struct json_object *pod)
{
        kc_time at = 0;
        const char *deleted = kc_json_str_at(pod, "metadata.deletionTimestamp");
        return r->o->skip_wait > 0 && deleted && kc_time_parse(deleted, &at) == 0 &&
               kc_clock_now(NULL) - at > r->o->skip_wait * KC_SEC;
}

static void look(struct removal *r, struct victim *v)
{
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL;
        const char *ns = kc_meta_namespace(v->pod), *name = kc_meta_name(v->pod);
        int e = get_pod(r, v, &pod, &err);
        bool gone = e < 0 ? kc_error_is(&err, KC_REASON_NOT_FOUND) : !kc_streq(kc_meta_uid(pod), kc_meta_uid(v->pod));
        v->due = kc_clock_mono(NULL) + POLL_EVERY;
        if (gone) {
                (void)fprintf(r->c->out, "pod/%s %s\n", name, r->evict ? "evicted" : "deleted");
                (void)fflush(r->c->out);
                done(r, v);
        } else if (e < 0) {
                fail(r, v, "error when waiting for pod \"%s\" in namespace \"%s\" to terminate: %s", name, ns,
                    kc_error_message(&err));
        } else if (is_overdue(r, pod)) {
                (void)fprintf(r->c->out, "pod \"%s\" has DeletionTimestamp older than %lld seconds, skipping\n", name,
                    (long long)r->o->skip_wait);
                done(r, v);
        } else if (timed_out(r) && r->evict) {
                fail(r, v,
                    "error when waiting for pod \"%s\" in namespace \"%s\" to terminate: context deadline exceeded",
                    name, ns);
        }
        kc_error_done(&err);
}

/* Until the next one is due, or the time is over for those that wait. */
static void rest_until_due(const struct removal *r)
{
        kc_mono next = 0;
        for (size_t i = 0; i < r->n; i++) {
                const struct victim *v = &r->v[i];
                kc_mono due = v->state == WAIT && r->deadline > 0 ? KC_MIN(v->due, r->deadline) : v->due;
                if (v->state != DONE && (next == 0 || due < next))
                        next = due;
        }
        int64_t usec = next - kc_clock_mono(NULL);
        if (r->left == 0 || usec <= 0)
                return;
        struct timespec t = {.tv_sec = usec / KC_SEC, .tv_nsec = usec % KC_SEC * 1000};
        (void)nanosleep(&t, NULL); /* a signal only makes the next look come earlier */
}

static int delete_all(struct removal *r, struct kc_error *err)
{
        struct kc_rest *rest;
        int e = kc_cli_rest(r->c, &rest, err);
        struct kc_delete_opts o = {.grace_period_seconds = r->o->grace, .dry_run = r->o->dry_run == KC_DRY_RUN_SERVER};
        for (size_t i = 0; e == 0 && i < r->n; i++) {
                e = kc_rest_delete(
                    rest, &KC_PODS, kc_meta_namespace(r->v[i].pod), kc_meta_name(r->v[i].pod), &o, NULL, err);
                if (e < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                        kc_error_done(err);
                        e = 0;
                }
                r->v[i].state = WAIT;
                if (o.dry_run)
                        done(r, &r->v[i]);
        }
        return e;
}

static int serve(struct removal *r)
{
        while (r->left > 0) {
                for (size_t i = 0; i < r->n; i++) {
                        struct victim *v = &r->v[i];
                        bool due = v->due <= kc_clock_mono(NULL) || (v->state == WAIT && timed_out(r));
                        if (v->state == EVICT && due)
                                evict(r, v);
                        if (v->state == WAIT && due)
                                look(r, v);
                }
                if (!r->evict && r->left > 0 && timed_out(r)) {
                        struct kc_error err = KC_ERROR_INIT;
                        (void)kc_error_set(&err, ECANCELED, "context deadline exceeded");
                        kc_cli_errors_take(r->errors, &err);
                        break;
                }
                rest_until_due(r);
        }
        return r->errors->n > 0 ? -1 : 0;
}

int kc_drain_remove(
    struct kc_cli *c, const struct kc_drain_opts *o, const struct kc_drain_pods *pods, struct kc_cli_errors *errors)
{
        struct kc_error err = KC_ERROR_INIT;
        struct removal r = {.c = c,
            .o = o,
            .v = kc_calloc(pods->n + 1, sizeof(struct victim)),
            .n = pods->n,
            .left = pods->n,
            .deadline = o->timeout > 0 ? kc_clock_mono(NULL) + o->timeout : 0,
            .errors = errors,
            .evict = !o->disable_eviction};
        for (size_t i = 0; i < pods->n; i++)
                r.v[i].pod = kc_json_copy(pods->v[i]);
        int e = r.evict ? 0 : delete_all(&r, &err);
        if (e < 0)
                kc_cli_errors_take(errors, &err);
        else
                e = serve(&r);
        for (size_t i = 0; i < r.n; i++)
                kc_json_free(r.v[i].pod);
        kc_free(r.v);
        kc_error_done(&err);
        return e < 0 ? -1 : 0;
}

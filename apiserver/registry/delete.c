/* Deleting objects: preconditions, graceful deletion, finalizers, propagation. Worker threads. */
#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "base/str.h"
#include "registry/registry_internal.h"

#define FINALIZER_ORPHAN "orphan"
#define FINALIZER_FOREGROUND "foregroundDeletion"

/* One deletion under way. */
struct deletion {
        struct kc_registry_ctx *c;
        const struct kc_strategy *strategy;
        struct kc_delete_request d; /* a copy for this attempt: hooks change it */
        struct reg_state state;
        struct kc_object *result;
        bool gone;
};

static int check_preconditions(const struct deletion *x, struct kc_error *err)
{
        const char *uid = kc_object_uid(x->state.obj), *rv = kc_object_resource_version(x->state.obj);
        KC_CLEANUP(kc_freep) char *why = NULL;
        if (!kc_str_empty(x->d.uid) && !kc_streq(x->d.uid, uid))
                why = kc_asprintf("the UID in the precondition (%s) does not match the UID in record (%s). The object "
                                  "might have been deleted and then recreated",
                    x->d.uid, uid);
        else if (!kc_str_empty(x->d.resource_version) && !kc_streq(x->d.resource_version, rv))
                why = kc_asprintf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in "
                                  "record (%s). The object might have been modified",
                    x->d.resource_version, rv);
        /* rest.BeforeDelete names the kind, not the resource. */
        const struct kc_resource *row = x->c->row;
        return why ? kc_err_conflict(err, row->group, row->kind, x->c->name, why) : 0;
}

/* --- finalizers of the garbage collector, by what the request asks for */

static bool wants_orphan(const struct deletion *x, const struct json_object *obj)
{
        if (x->d.orphan_dependents_set)
                return x->d.orphan_dependents;
        if (x->d.propagation)
                return strcmp(x->d.propagation, "Orphan") == 0;
        if (kc_meta_has_finalizer(obj, FINALIZER_ORPHAN))
                return true;
        return x->strategy->orphan_by_default;
}

static bool wants_foreground(const struct deletion *x, const struct json_object *obj)
{
        if (x->d.orphan_dependents_set)
                return false;
        if (x->d.propagation)
                return strcmp(x->d.propagation, "Foreground") == 0;
        return kc_meta_has_finalizer(obj, FINALIZER_FOREGROUND);
}

/* Sets metadata.finalizers; true if they changed. */
static bool set_gc_finalizers(const struct deletion *x, struct json_object *obj)
{
        bool orphan = wants_orphan(x, obj), foreground = wants_foreground(x, obj);
        struct json_object *list = json_object_new_array();
        const struct json_object *old = kc_json_at(obj, "metadata.finalizers");
        for (size_t i = 0; i < kc_json_len(old); i++) {
                const char *f = kc_json_as_str(kc_json_idx(old, i));
                if (f && strcmp(f, FINALIZER_ORPHAN) != 0 && strcmp(f, FINALIZER_FOREGROUND) != 0)
                        kc_json_push_str(list, f);
        }
        if (orphan)
                kc_json_push_str(list, FINALIZER_ORPHAN);
        if (foreground)
                kc_json_push_str(list, FINALIZER_FOREGROUND);
        bool changed = orphan != kc_meta_has_finalizer(obj, FINALIZER_ORPHAN) ||
                       foreground != kc_meta_has_finalizer(obj, FINALIZER_FOREGROUND);
        kc_json_set(kc_json_ensure_obj(obj, "metadata"), "finalizers", list);
        if (kc_json_len(list) == 0)
                kc_json_del(kc_json_get_mut(obj, "metadata"), "finalizers");
        return changed;
}

/* --- marking */

static void set_deletion(struct json_object *obj, kc_time at, int64_t grace_seconds)
{
        char buf[KC_TIME_LEN];
        struct json_object *meta = kc_json_ensure_obj(obj, "metadata");
        kc_json_set_str(meta, "deletionTimestamp", kc_time_format(at, buf));
        kc_json_set_int(meta, "deletionGracePeriodSeconds", grace_seconds);
}

static void mark(const struct deletion *x, struct json_object *obj, int64_t grace_seconds)
{
        if (kc_meta_deleting(obj))
                return;
        set_deletion(obj, x->c->now + grace_seconds * KC_SEC, grace_seconds);
        int64_t generation = kc_meta_generation(obj);
        if (generation > 0)
                kc_json_set_int(kc_json_ensure_obj(obj, "metadata"), "generation", generation + 1);
}

enum grace { GRACE_NONE, GRACE_SET, GRACE_PENDING };

/* Deletion has been asked for before: the period may only become shorter. */
static enum grace shorten(const struct deletion *x, struct json_object *obj)
{
        const struct json_object *have = kc_json_at(obj, "metadata.deletionGracePeriodSeconds");
        int64_t old = kc_json_int_at(obj, "metadata.deletionGracePeriodSeconds", 0), wanted = x->d.grace_period_seconds;
        kc_time at = 0;
        if (!have)
                return GRACE_NONE;
        if (wanted < 0 || wanted >= old)
                return GRACE_PENDING;
        if (kc_time_parse(kc_json_str_at(obj, "metadata.deletionTimestamp"), &at) < 0)
                return GRACE_NONE;
        set_deletion(obj, at + (wanted - old) * KC_SEC, wanted);
        return GRACE_SET;
}

/* rest.BeforeDelete */
static enum grace check_grace(struct deletion *x, struct json_object *obj)
{
        if (!x->strategy->check_graceful_delete)
                return GRACE_NONE;
        if (kc_meta_deleting(obj))
                return shorten(x, obj);
        if (!x->strategy->check_graceful_delete(x->c, obj, &x->d))
                return GRACE_NONE;
        mark(x, obj, KC_MAX(x->d.grace_period_seconds, 0));
        return GRACE_SET;
}

/* --- storing. Steps return 0, REG_AGAIN or an error. */

static int store_marked(struct deletion *x, struct json_object *obj, struct kc_error *err)
{
        const struct kc_registry_ctx *c = x->c;
        KC_CLEANUP(kc_buf_done) struct kc_buf bytes = KC_BUF_INIT;
        int r = reg_encode(c, obj, &bytes, err);
        if (r < 0)
                return r;
        if (c->dry_run)
                return reg_dry_object(&bytes, kc_object_resource_version(x->state.obj), &x->result, err);
        KC_CLEANUP(kc_freep) char *key = reg_key(c);
        KC_CLEANUP(kc_store_kv_done) struct kc_store_kv current = {0};
        const struct kc_store_write_opts wo = {.ttl_seconds = x->strategy->ttl ? x->strategy->ttl(c, obj) : 0};
        int64_t revision = 0;
        r = kc_store_update(
            c->stored->store, key, x->state.revision, bytes.data, bytes.len, &wo, &revision, &current, err);
        if (r == -EAGAIN) {
                kc_error_done(err);
                reg_state_done(&x->state);
                r = reg_state_from_kv(&current, &x->state, err);
                return r < 0 ? r : REG_AGAIN;
        }
        return r < 0 ? r : reg_object(&bytes, revision, &x->result, err);
}

/* What is deleted is answered with the revision of its deletion, as watches tell it. */
static struct kc_object *at_revision(const struct kc_object *obj, int64_t revision)
{
        struct json_object *tree = kc_object_copy_json(obj);
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("%lld", (long long)revision);
        kc_json_set_str(kc_json_ensure_obj(tree, "metadata"), "resourceVersion", text);
        return kc_object_new(tree);
}

static int remove_now(struct deletion *x, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *last = kc_object_ref(x->state.obj);
        if (!x->c->dry_run) {
                int64_t revision;
                int r = reg_store_delete(x->c, &x->state, &revision, err);
                if (r != 0)
                        return r;
                x->result = at_revision(last, revision);
                if (x->strategy->after_delete)
                        x->strategy->after_delete(x->c, kc_object_json(last));
        }
        x->gone = true;
        if (!x->result)
                x->result = KC_TAKE(last);
        return 0;
}

static int decide(struct deletion *x, struct json_object *obj, struct kc_error *err)
{
        int r = check_preconditions(x, err);
        if (r < 0)
                return r;
        enum grace grace = check_grace(x, obj);
        if (grace == GRACE_PENDING) {
                x->result = kc_object_ref(x->state.obj);
                return 0;
        }
        struct kc_admission_attrs attrs;
        reg_admission_attrs(x->c, KC_ADMIT_DELETE, NULL, kc_object_json(x->state.obj), x->d.options, &attrs);
        r = kc_admission_validate(x->c->registry->o.admission, &attrs, err);
        if (r < 0)
                return r;
        if (x->strategy->before_delete) {
                r = x->strategy->before_delete(x->c, obj, &x->d, err);
                if (r < 0)
                        return r;
        }
        (void)set_gc_finalizers(x, obj); /* what counts is whether any are left */
        bool kept = kc_json_len(kc_json_at(obj, "metadata.finalizers")) > 0 ||
                    (x->strategy->keep && x->strategy->keep(x->c, obj));
        if (grace == GRACE_NONE && !kept)
                return remove_now(x, err);
        /* Grace that has run out, or a request for none: only finalizers hold it back. */
        if (grace == GRACE_SET && !kept && kc_json_int_at(obj, "metadata.deletionGracePeriodSeconds", 0) == 0)
                return remove_now(x, err);
        if (grace == GRACE_NONE) {
                mark(x, obj, 0);
                if (kc_json_at(obj, "metadata.deletionGracePeriodSeconds"))
                        kc_json_set_int(kc_json_get_mut(obj, "metadata"), "deletionGracePeriodSeconds", 0);
        }
        if (!kc_json_equal(obj, kc_object_json(x->state.obj)))
                return store_marked(x, obj, err);
        x->result = kc_object_ref(x->state.obj);
        return 0;
}

static int attempt(struct deletion *x, const struct kc_delete_request *d, struct kc_error *err)
{
        if (!x->state.obj)
                return reg_not_found(x->c, err);
        x->d = *d;
        KC_CLEANUP(kc_json_freep) struct json_object *obj = kc_object_copy_json(x->state.obj);
        /* Admission and hooks look at what the state held when the attempt began. */
        KC_CLEANUP(kc_object_unrefp) struct kc_object *old = kc_object_ref(x->state.obj);
        (void)old; /* kept only */
        int r = decide(x, obj, err);
        if (r < 0 && reg_state_refresh(x->c, &x->state))
                r = REG_AGAIN;
        return r;
}

int kc_registry_delete(struct kc_registry_ctx *c, struct kc_delete_request *d, struct kc_object **ret, bool *ret_gone,
    struct kc_error *err)
{
        struct deletion x = {.c = c, .strategy = kc_strategy_for(c->stored->row->group, c->stored->row->resource)};
        KC_CLEANUP(kc_error_done) struct kc_error own = KC_ERROR_INIT;
        struct kc_error *e = err ? err : &own;
        struct kc_admission_attrs attrs;
        reg_admission_attrs(c, KC_ADMIT_DELETE, NULL, NULL, d->options, &attrs);
        int r = kc_admission_admit(c->registry->o.admission, &attrs, e);
        if (r == 0)
                r = reg_state_read(c, &x.state, e);
        if (r == 0)
                r = REG_AGAIN;
        for (int i = 0; r == REG_AGAIN && i < REG_UPDATE_ATTEMPTS; i++) {
                kc_error_done(e);
                r = attempt(&x, d, e);
        }
        reg_state_done(&x.state);
        if (r == REG_AGAIN)
                r = reg_conflict(c, "the object has been modified; please try again", e);
        if (r < 0) {
                kc_object_unref(x.result);
                return r;
        }
        if (ret_gone)
                *ret_gone = x.gone;
        if (ret)
                *ret = KC_TAKE(x.result);
        kc_object_unref(x.result);
        return 0;
}

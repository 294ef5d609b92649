/* Updating objects: transform, optimistic locking, admission, strategy, validation, store; again when the store has
 * moved on. Worker threads. */
#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "base/str.h"
#include "registry/fields.h"
#include "registry/registry_internal.h"
#include "storage/transform.h"

#define OPTIMISTIC_LOCK "the object has been modified; please apply your changes to the latest version and try again"

/* One update under way. */
struct update {
        struct kc_registry_ctx *c;
        const struct kc_registry_update_opts *o;
        const struct kc_strategy *strategy;
        const struct kc_subresource_strategy *sub; /* NULL: the resource itself, or a subresource with defaults */
        struct reg_state state;
        struct kc_object *result;
        bool created;
};

/* Steps return 0 (go on), REG_AGAIN (u->state is newer now: start again), STEP_DONE (u->result is the answer), or an
 * error.
 */
enum { STEP_DONE = 1 };

static int check_uid(const struct update *u, struct kc_error *err)
{
        const char *have = kc_object_uid(u->state.obj);
        if (kc_str_empty(u->o->uid) || kc_streq(u->o->uid, have))
                return 0;
        KC_CLEANUP(kc_freep) char *key = reg_key(u->c);
        KC_CLEANUP(kc_freep)
        char *why =
            kc_asprintf("StorageError: invalid object, Code: 4, Key: %s, ResourceVersion: 0, AdditionalErrorMsg: "
                        "Precondition failed: UID in precondition: %s, UID in object meta: %s",
                key, u->o->uid, have);
        return reg_conflict(u->c, why, err);
}

/* metadata.resourceVersion of the wanted object against the state. */
static int check_revision(struct update *u, const struct json_object *obj, struct kc_error *err)
{
        const char *rv = kc_meta_resource_version(obj);
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        if (kc_str_empty(rv) || strcmp(rv, "0") == 0) {
                if (!u->strategy->require_resource_version)
                        return 0;
                kc_field_invalid(&errors, "metadata.resourceVersion", NULL, "must be specified for an update");
                /* Upstream's value is a Go uint64, which prints so. */
                kc_str_set(&errors.v[0].message, "Invalid value: 0x0: must be specified for an update");
                return kc_err_invalid(err, u->c->row->group, u->c->row->kind, u->c->name, &errors);
        }
        int64_t revision;
        if (kc_str_to_i64(rv, &revision) < 0 || revision < 0) {
                kc_field_invalid_str(&errors, "metadata.resourceVersion", rv, "must be an unsigned integer");
                return kc_err_invalid(err, u->c->row->group, u->c->row->kind, u->c->name, &errors);
        }
        if (revision == u->state.revision)
                return 0;
        return reg_conflict(u->c, OPTIMISTIC_LOCK, err);
}

static void keep_meta(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        static const char *const kept[] = {"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
            "generation", "selfLink", "resourceVersion"};
        struct json_object *meta = kc_json_ensure_obj(obj, "metadata");
        const struct json_object *old_meta = kc_json_get(old, "metadata");
        for (size_t i = 0; i < KC_ARRAY_LEN(kept); i++)
                kc_strategy_keep(meta, old_meta, kept[i]);
        if (kc_str_empty(kc_json_str(meta, "uid")))
                kc_strategy_keep(meta, old_meta, "uid");
        /* Another name is for validation to refuse. */
        if (kc_str_empty(kc_json_str(meta, "name")))
                kc_json_set_str(meta, "name", c->name);
        if (kc_str_empty(kc_json_str(meta, "namespace")))
                kc_json_set_str(meta, "namespace", c->ns[0] ? c->ns : NULL);
        kc_strategy_keep(obj, old, "kind");
        kc_strategy_keep(obj, old, "apiVersion");
}

static void prepare(const struct update *u, struct json_object *obj, const struct json_object *old)
{
        const struct kc_registry_ctx *c = u->c;
        if (u->sub && u->sub->prepare_for_update)
                u->sub->prepare_for_update(c, obj, old);
        else if (strcmp(c->subresource, "status") == 0)
                kc_strategy_default_status(c, obj, old);
        else if (u->strategy->prepare_for_update)
                u->strategy->prepare_for_update(c, obj, old);
        else
                kc_strategy_default_update(c, obj, old);
}

/* Is the update one of the resource as a whole (also through a projection such as scale)? */
static bool whole(const struct update *u)
{
        return u->c->subresource[0] == '\0' || (u->sub && u->sub->from);
}

static int validate(
    const struct update *u, const struct json_object *obj, const struct json_object *old, struct kc_error *err)
{
        const struct kc_registry_ctx *c = u->c;
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        /* What an action (binding, eviction) changes is below validation, as upstream's updates of the storage are. */
        if (!u->sub || !u->sub->create)
                kc_validate_update(obj, old, reg_rules(c), whole(u) ? "" : c->subresource, &errors);
        if (u->sub && u->sub->validate_update)
                u->sub->validate_update(c, obj, old, &errors);
        else if (whole(u) && u->strategy->validate_update)
                u->strategy->validate_update(c, obj, old, &errors);
        if (errors.n == 0)
                return 0;
        return kc_err_invalid(err, c->row->group, c->row->kind, c->name, &errors);
}

/* Admission, strategy, validation. What txn has begun is for the caller to end, also after an error. */
static int check(struct update *u, struct json_object *obj, const struct json_object *old, struct kc_registry_txn *txn,
    struct kc_error *err)
{
        struct kc_admission *adm = u->c->registry->o.admission;
        struct kc_admission_attrs attrs;
        reg_admission_attrs(u->c, KC_ADMIT_UPDATE, obj, old, u->o->options, &attrs);
        int r = u->o->no_admission ? 0 : kc_admission_admit(adm, &attrs, err);
        if (r < 0)
                return r;
        prepare(u, obj, old);
        if (whole(u) && u->strategy->begin_update)
                r = u->strategy->begin_update(u->c, obj, old, txn, err);
        if (r == 0)
                r = validate(u, obj, old, err);
        if (r == 0 && !u->o->no_admission)
                r = kc_admission_validate(adm, &attrs, err);
        if (r == 0 && whole(u) && u->strategy->warnings_update)
                u->strategy->warnings_update(u->c, obj, old);
        return r;
}

/* The last finalizer of an object that was waiting for it is gone. */
static bool to_be_removed(const struct update *u, const struct json_object *obj, const struct json_object *old)
{
        return kc_meta_deleting(old) && kc_json_int_at(old, "metadata.deletionGracePeriodSeconds", 0) == 0 &&
               kc_json_len(kc_json_at(obj, "metadata.finalizers")) == 0 &&
               !(u->strategy->keep && u->strategy->keep(u->c, obj));
}

static int remove_finished(struct update *u, struct json_object *obj, struct kc_error *err)
{
        if (!u->c->dry_run) {
                int r = reg_store_delete(u->c, &u->state, NULL, err);
                if (r != 0)
                        return r;
                if (u->strategy->after_delete)
                        u->strategy->after_delete(u->c, obj);
        }
        u->result = kc_object_new(kc_json_copy(obj));
        return STEP_DONE;
}

static int store(struct update *u, struct json_object *obj, struct kc_error *err)
{
        const struct kc_registry_ctx *c = u->c;
        KC_CLEANUP(kc_buf_done) struct kc_buf bytes = KC_BUF_INIT;
        const struct kc_store_write_opts wo = {.ttl_seconds = u->strategy->ttl ? u->strategy->ttl(c, obj) : 0};
        int r = reg_encode(c, obj, &bytes, err);
        if (r < 0)
                return r;
        if (c->dry_run) {
                r = reg_dry_object(&bytes, kc_object_resource_version(u->state.obj), &u->result, err);
                return r < 0 ? r : STEP_DONE;
        }
        KC_CLEANUP(kc_freep) char *key = reg_key(c);
        KC_CLEANUP(kc_store_kv_done) struct kc_store_kv current = {0};
        int64_t revision = 0;
        r = kc_store_update(
            c->stored->store, key, u->state.revision, bytes.data, bytes.len, &wo, &revision, &current, err);
        if (r < 0 && reg_drop_fields(c, obj, err))
                return store(u, obj, err);
        if (r == -EAGAIN) {
                kc_error_done(err);
                reg_state_done(&u->state);
                r = reg_state_from_kv(&current, &u->state, err);
                return r < 0 ? r : REG_AGAIN;
        }
        if (r == 0)
                r = reg_object(&bytes, revision, &u->result, err);
        return r < 0 ? r : STEP_DONE;
}

/* Nothing changes: the answer is what is there, if that is really so. */
static int unchanged(struct update *u)
{
        if (reg_state_refresh(u->c, &u->state))
                return REG_AGAIN;
        u->result = kc_object_ref(u->state.obj);
        return STEP_DONE;
}

static bool same_metadata(const struct json_object *meta, const struct json_object *old)
{
        size_t keys = kc_json_n_keys(old);
        KC_JSON_FOREACH(meta, key, val)
        {
                const struct json_object *was = kc_json_get(old, key);
                bool same =
                    strcmp(key, "managedFields") == 0 ? kc_fields_same_owners(val, was) : kc_json_equal(val, was);
                if (!same || keys-- == 0)
                        return false;
        }
        return keys == 0;
}

/* Is it as it was, but for the times of managedFields? Those move with changes only. */
static bool unchanged_but_time(const struct json_object *obj, const struct json_object *old)
{
        size_t keys = kc_json_n_keys(old);
        KC_JSON_FOREACH(obj, key, val)
        {
                const struct json_object *was = kc_json_get(old, key);
                bool same = strcmp(key, "metadata") == 0 ? same_metadata(val, was) : kc_json_equal(val, was);
                if (!same || keys-- == 0)
                        return false;
        }
        return keys == 0;
}

/* A value that would be encrypted in another way today is written anew. */
static int is_stale(struct update *u, bool *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *key = reg_key(u->c);
        return kc_store_is_stale(u->c->stored->store, key, ret, err);
}

/* Of an object that has passed all checks. */
static int finish(struct update *u, struct json_object *obj, const struct json_object *old, struct kc_error *err)
{
        if (to_be_removed(u, obj, old))
                return remove_finished(u, obj, err);
        /* As it would be stored: what a hook or a patch left out of order or empty is no change. */
        kc_strategy_keep(kc_json_get_mut(obj, "metadata"), kc_json_get(old, "metadata"), "resourceVersion");
        if (!unchanged_but_time(obj, old))
                return store(u, obj, err);
        bool stale;
        int r = is_stale(u, &stale, err);
        return r < 0 ? r : stale ? store(u, obj, err) : unchanged(u);
}

static int change(struct update *u, struct json_object **obj, struct kc_error *err)
{
        const struct json_object *old = kc_object_json(u->state.obj);
        int r = check_uid(u, err);
        u->c->fields_managed = false;
        if (r == 0)
                r = u->o->transform(u->c, u->state.obj, obj, u->o->arg, err);
        if (r == -EALREADY) {
                kc_error_done(err);
                return unchanged(u);
        }
        if (r == 0)
                r = check_revision(u, *obj, err);
        if (r < 0)
                return r;
        keep_meta(u->c, *obj, old);
        kc_fields_track(u->c, *obj, old);
        struct kc_registry_txn txn = {0};
        r = check(u, *obj, old, &txn, err);
        if (r == 0)
                r = finish(u, *obj, old, err);
        /* old may be gone by now: a conflict releases the state. */
        if (txn.end)
                txn.end(u->c, r == STEP_DONE && !u->c->dry_run, txn.arg);
        return r;
}

static int create_instead(struct update *u, struct kc_error *err)
{
        bool allowed = u->o->force_create || (u->o->allow_create && u->strategy->allow_create_on_update);
        if (!allowed || u->c->subresource[0])
                return reg_not_found(u->c, err);
        struct json_object *obj = NULL;
        u->c->fields_managed = false;
        int r = u->o->transform(u->c, NULL, &obj, u->o->arg, err);
        if (r == 0 && u->o->may_create)
                r = u->o->may_create(u->c, u->o->may_create_arg, err);
        if (r < 0) {
                kc_json_free(obj);
                return r;
        }
        kc_json_set_str(kc_json_ensure_obj(obj, "metadata"), "name", u->c->name);
        r = kc_registry_create(u->c, obj, u->o->options, &u->result, err);
        if (r == -EEXIST) { /* somebody was faster */
                kc_error_done(err);
                r = reg_state_read_live(u->c, &u->state, err);
                return r < 0 ? r : REG_AGAIN;
        }
        u->created = r == 0;
        return r < 0 ? r : STEP_DONE;
}

static int attempt(struct update *u, struct kc_error *err)
{
        if (!u->state.obj)
                return create_instead(u, err);
        KC_CLEANUP(kc_json_freep) struct json_object *obj = NULL;
        /* change works on what the state holds even when the state is replaced. */
        KC_CLEANUP(kc_object_unrefp) struct kc_object *old = kc_object_ref(u->state.obj);
        (void)old; /* kept only */
        int r = change(u, &obj, err);
        if (r < 0 && reg_state_refresh(u->c, &u->state))
                r = REG_AGAIN;
        return r;
}

int kc_registry_update(struct kc_registry_ctx *c, const struct kc_registry_update_opts *o, struct kc_object **ret,
    bool *ret_created, struct kc_error *err)
{
        struct update u = {.c = c, .o = o};
        u.strategy = kc_strategy_for(c->stored->row->group, c->stored->row->resource);
        u.sub = c->subresource[0] ? kc_strategy_subresource(u.strategy, c->subresource) : NULL;
        KC_CLEANUP(kc_error_done) struct kc_error own = KC_ERROR_INIT;
        struct kc_error *e = err ? err : &own;
        int r = reg_state_read(c, &u.state, e);
        if (r == 0)
                r = REG_AGAIN;
        size_t n_warnings = c->warnings ? kc_strv_len(*c->warnings) : 0;
        for (int i = 0; r == REG_AGAIN && i < REG_UPDATE_ATTEMPTS; i++) {
                kc_error_done(e);
                /* Warnings of an attempt that is repeated are not said twice. */
                while (c->warnings && kc_strv_len(*c->warnings) > n_warnings) {
                        char **last = &(*c->warnings)[kc_strv_len(*c->warnings) - 1];
                        kc_free(*last);
                        *last = NULL;
                }
                r = attempt(&u, e);
        }
        reg_state_done(&u.state);
        if (r == REG_AGAIN)
                r = reg_conflict(c, OPTIMISTIC_LOCK, e);
        if (r < 0) {
                kc_object_unref(u.result);
                return r;
        }
        if (ret_created)
                *ret_created = u.created;
        if (ret)
                *ret = KC_TAKE(u.result);
        kc_object_unref(u.result);
        return 0;
}

/* Creating objects: names, system fields, admission, strategy, validation, store. Worker threads. */
#include <errno.h>
#include <string.h>

#include "api/status.h"
#include "base/rand.h"
#include "base/str.h"
#include "registry/fields.h"
#include "registry/registry_internal.h"

/* names.SimpleNameGenerator. */
static char *generate_name(const char *base)
{
        char suffix[REG_NAME_RANDOM + 1];
        kc_rand_suffix(suffix, REG_NAME_RANDOM);
        return kc_asprintf("%.*s%s", REG_NAME_MAX - REG_NAME_RANDOM, base, suffix);
}

/* rest.FillObjectMetaSystemFields, and what a client may not set. */
static void fill_meta(const struct kc_registry_ctx *c, struct json_object *obj)
{
        struct json_object *meta = kc_json_ensure_obj(obj, "metadata");
        char uid[KC_UUID_LEN], now[KC_TIME_LEN];
        kc_json_set_str(meta, "uid", kc_uuid4(uid));
        kc_json_set_str(meta, "creationTimestamp", kc_time_format(c->now, now));
        kc_json_set_str(meta, "namespace", c->ns[0] ? c->ns : NULL);
        static const char *const dropped[] = {
            "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"};
        for (size_t i = 0; i < KC_ARRAY_LEN(dropped); i++)
                kc_json_del(meta, dropped[i]);
        if (!c->manager)
                kc_json_del(meta, "managedFields");
}

static int validate(
    const struct kc_registry_ctx *c, const struct kc_strategy *s, const struct json_object *obj, struct kc_error *err)
{
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        kc_validate_create(obj, reg_rules(c), &errors);
        if (s->validate_create)
                s->validate_create(c, obj, &errors);
        if (errors.n == 0)
                return 0;
        return kc_err_invalid(err, c->row->group, c->row->kind, c->name, &errors);
}

/* Everything before the store. What txn has begun is for the caller to end, also after an error. */
static int prepare(const struct kc_registry_ctx *c, const struct kc_strategy *s, struct json_object *obj,
    const struct json_object *options, struct kc_registry_txn *txn, struct kc_error *err)
{
        struct kc_admission_attrs attrs;
        reg_admission_attrs(c, KC_ADMIT_CREATE, obj, NULL, options, &attrs);
        int r = kc_admission_admit(c->registry->o.admission, &attrs, err);
        if (r < 0)
                return r;
        if (s->prepare_for_create)
                s->prepare_for_create(c, obj);
        else
                kc_strategy_default_create(c, obj);
        if (s->begin_create)
                r = s->begin_create(c, obj, txn, err);
        if (r == 0)
                r = validate(c, s, obj, err);
        if (r == 0)
                r = kc_admission_validate(c->registry->o.admission, &attrs, err);
        if (r == 0 && s->warnings_create)
                s->warnings_create(c, obj);
        return r;
}

static int already_exists(const struct kc_registry_ctx *c, const struct reg_state *there, struct kc_error *err)
{
        int r = kc_err_already_exists(err, c->row->group, c->row->resource, c->name);
        if (err && there->obj && kc_meta_deleting(kc_object_json(there->obj)))
                (void)kc_error_wrap(err, "object is being deleted");
        return r;
}

static int store(const struct kc_registry_ctx *c, const struct kc_strategy *s, struct json_object *obj,
    struct kc_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf bytes = KC_BUF_INIT;
        KC_CLEANUP(reg_state_done) struct reg_state there = {0};
        int r = reg_encode(c, obj, &bytes, err);
        if (r < 0)
                return r;
        if (c->dry_run) {
                r = reg_state_read_live(c, &there, err);
                if (r < 0)
                        return r;
                return there.obj ? already_exists(c, &there, err) : reg_dry_object(&bytes, NULL, ret, err);
        }
        const struct kc_store_write_opts wo = {.ttl_seconds = s->ttl ? s->ttl(c, obj) : 0};
        KC_CLEANUP(kc_freep) char *key = reg_key(c);
        KC_CLEANUP(kc_store_kv_done) struct kc_store_kv current = {0};
        int64_t revision = 0;
        r = kc_store_create(c->stored->store, key, bytes.data, bytes.len, &wo, &revision, &current, err);
        if (r < 0 && reg_drop_fields(c, obj, err))
                return store(c, s, obj, ret, err);
        if (r == -EEXIST) {
                kc_error_done(err);
                r = reg_state_from_kv(&current, &there, err);
                return r < 0 ? r : already_exists(c, &there, err);
        }
        return r < 0 ? r : reg_object(&bytes, revision, ret, err);
}

/* One attempt under the name that obj has. */
static int create_named(struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *options,
    struct kc_object **ret, struct kc_error *err)
{
        const struct kc_strategy *s = kc_strategy_for(c->stored->row->group, c->stored->row->resource);
        struct kc_registry_txn txn = {0};
        int r = prepare(c, s, obj, options, &txn, err);
        if (r == 0)
                r = store(c, s, obj, ret, err);
        if (txn.end)
                txn.end(c, r == 0 && !c->dry_run, txn.arg);
        return r;
}

/* errors.NewGenerateNameConflict, in the place of AlreadyExists. */
static int no_unique_name(const struct kc_registry_ctx *c, struct kc_error *err)
{
        KC_CLEANUP(kc_freep)
        char *resource =
            c->row->group[0] ? kc_asprintf("%s.%s", c->row->resource, c->row->group) : kc_strdup(c->row->resource);
        kc_error_done(err);
        int r = kc_err_already_exists(err, c->row->group, c->row->resource, c->name);
        if (!err)
                return r;
        kc_str_set(&err->message, NULL);
        err->message =
            kc_asprintf("%s \"%s\" already exists, the server was not able to generate a unique name for the object",
                resource, c->name);
        kc_error_details(err)->retry_after_seconds = 1;
        return r;
}

int kc_registry_create(struct kc_registry_ctx *c, struct json_object *take_obj, const struct json_object *options,
    struct kc_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *obj = take_obj;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *made = NULL;
        const char *caller_name = c->name;
        fill_meta(c, obj);
        kc_fields_track(c, obj, NULL);
        const char *base = kc_json_str_at(obj, "metadata.generateName");
        bool generate = kc_str_empty(kc_meta_name(obj)) && !kc_str_empty(base);
        int r = -EEXIST;
        for (int i = 0; r == -EEXIST && i < (generate ? REG_NAME_ATTEMPTS : 1); i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *tree = generate ? kc_json_copy(obj) : KC_TAKE(obj);
                KC_CLEANUP(kc_freep) char *name = generate ? generate_name(base) : kc_strdup(kc_meta_name(tree));
                kc_json_set_str(kc_json_get_mut(tree, "metadata"), "name", name);
                c->name = name ? name : "";
                kc_error_done(err);
                r = create_named(c, tree, options, &made, err);
                if (r == -EEXIST && !kc_str_empty(base) && (!generate || i == REG_NAME_ATTEMPTS - 1))
                        r = no_unique_name(c, err);
                c->name = caller_name;
        }
        if (r < 0)
                return r;
        if (ret)
                *ret = KC_TAKE(made);
        return 0;
}

/* The generic registry: what creating, updating and deleting share. Worker threads. */
#include "registry/registry.h"

#include <errno.h>
#include <string.h>

#include "api/codec.h"
#include "base/log.h"
#include "base/str.h"
#include "registry/registry_internal.h"
#include "storage/stamp.h"

/* --- writes of admission plugins */

struct plugin_change {
        kc_admission_change_fn change;
        void *arg;
};

static int transform_for_plugin(struct kc_registry_ctx *c, const struct kc_object *current,
    struct json_object **ret_obj, void *arg, struct kc_error *err)
{
        const struct plugin_change *p = arg;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_object_copy_json(current);
        (void)c; /* the plugin knows what it wants */
        int r = p->change(tree, p->arg, err);
        if (r == 0)
                *ret_obj = KC_TAKE(tree);
        return r;
}

static int write_for_plugin(void *ctx, const char *group, const char *resource, const char *subresource, const char *ns,
    const char *name, kc_admission_change_fn change, void *arg, struct kc_error *err)
{
        struct plugin_change p = {.change = change, .arg = arg};
        KC_CLEANUP(kc_strv_freep) char **warnings = NULL;
        struct kc_registry_ctx c;
        kc_registry_ctx_init(&c, ctx, group, resource, ns, name, NULL, false, &warnings);
        c.subresource = subresource;
        c.manager = "kube-apiserver";
        const struct kc_registry_update_opts o = {.transform = transform_for_plugin, .arg = &p, .no_admission = true};
        return kc_registry_update(&c, &o, NULL, NULL, err);
}

/* --- life */

int kc_registry_new(const struct kc_registry_opts *o, struct kc_registry **ret, struct kc_error *err)
{
        if (o->n_service_cidrs > KC_ARRAY_LEN(((struct kc_registry *)NULL)->service_cidrs))
                return kc_error_set(err, EINVAL, "--service-cluster-ip-range must contain at most two entries");
        struct kc_registry *r = KC_NEW(struct kc_registry);
        r->o = *o;
        if (o->n_service_cidrs > 0)
                memcpy(r->service_cidrs, o->service_cidrs, o->n_service_cidrs * sizeof(*o->service_cidrs));
        r->o.service_cidrs = r->service_cidrs;
        r->self = kc_user_new(KC_USER_APISERVER, NULL, NULL);
        kc_user_add_group(r->self, KC_GROUP_MASTERS);
        kc_user_add_group(r->self, KC_GROUP_AUTHENTICATED);
        r->service_alloc = kc_service_alloc_new(&(struct kc_service_alloc_opts){
            .resources = o->resources,
            .registry = r,
            .clock = o->clock,
            .cidrs = r->service_cidrs,
            .n_cidrs = o->n_service_cidrs,
            .node_port_min = o->node_port_min,
            .node_port_max = o->node_port_max,
        });
        if (o->admission)
                kc_admission_set_writer(o->admission, write_for_plugin, r);
        *ret = r;
        return 0;
}

void kc_registry_free(struct kc_registry *r)
{
        if (!r)
                return;
        kc_service_alloc_free(r->service_alloc);
        kc_user_unref(r->self);
        kc_free(r);
}

const struct kc_resources *kc_registry_resources(const struct kc_registry *r)
{
        return r->o.resources;
}

struct kc_authz *kc_registry_authz(const struct kc_registry *r)
{
        return r->o.authz;
}

struct kc_satoken *kc_registry_satoken(const struct kc_registry *r)
{
        return r->o.satoken;
}

const struct kc_clock *kc_registry_clock(const struct kc_registry *r)
{
        return r->o.clock;
}

struct kc_service_alloc *kc_registry_service_alloc(const struct kc_registry *r)
{
        return r->service_alloc;
}

int64_t kc_registry_event_ttl(const struct kc_registry *r)
{
        return r->o.event_ttl_seconds;
}

void kc_registry_ctx_init(struct kc_registry_ctx *c, struct kc_registry *r, const char *group, const char *resource,
    const char *ns, const char *name, const struct kc_user *user, bool dry_run, char ***warnings)
{
        const struct kc_stored *stored = kc_resources_find(r->o.resources, group, resource);
        *c = (struct kc_registry_ctx){
            .registry = r,
            .stored = stored,
            .row = stored ? stored->row : NULL,
            .subresource = "",
            .ns = ns ? ns : "",
            .name = name ? name : "",
            .user = user ? user : r->self,
            .dry_run = dry_run,
            .now = kc_clock_now(r->o.clock),
            .warnings = warnings,
        };
}

/* --- the state of an object */

void reg_state_done(struct reg_state *s)
{
        kc_object_unref(s->obj);
        *s = (struct reg_state){0};
}

char *reg_key(const struct kc_registry_ctx *c)
{
        return kc_cache_resource_key(c->stored->cache, c->ns, c->name);
}

int reg_state_from_kv(const struct kc_store_kv *kv, struct reg_state *ret, struct kc_error *err)
{
        *ret = (struct reg_state){.live = true};
        if (!kv->value || kv->mod_revision == 0)
                return 0;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *stamped = NULL;
        int r =
            kc_stamp_revision(kc_bytes_data(kv->value), kc_bytes_len(kv->value), kv->mod_revision, &stamped, NULL, err);
        if (r == 0)
                r = kc_object_from_bytes(stamped, &ret->obj, err);
        if (r < 0)
                return kc_error_wrap(err, "cannot read %s", kv->key);
        ret->revision = kv->mod_revision;
        return 0;
}

int reg_state_read_live(const struct kc_registry_ctx *c, struct reg_state *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *key = reg_key(c);
        KC_CLEANUP(kc_store_kv_done) struct kc_store_kv kv = {0};
        int r = kc_store_get(c->stored->store, key, 0, &kv, NULL, err);
        if (r < 0 && r != -ENOENT)
                return r;
        if (r == -ENOENT) {
                kc_error_done(err);
                *ret = (struct reg_state){.live = true};
                return 0;
        }
        return reg_state_from_kv(&kv, ret, err);
}

int reg_state_read(const struct kc_registry_ctx *c, struct reg_state *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_cache_entry_unrefp) struct kc_cache_entry *e = NULL;
        const struct kc_cache_read any = {.match = KC_CACHE_NOT_OLDER};
        int r = kc_cache_get(c->stored->cache, c->ns, c->name, &any, &e, NULL, NULL);
        if (r < 0)
                return reg_state_read_live(c, ret, err);
        *ret = (struct reg_state){.obj = kc_resources_object(e), .revision = kc_cache_entry_revision(e)};
        return 0;
}

bool reg_state_refresh(const struct kc_registry_ctx *c, struct reg_state *s)
{
        if (s->live)
                return false;
        struct reg_state now = {0};
        if (reg_state_read_live(c, &now, NULL) < 0)
                return false; /* the first failure is the one to report */
        bool stale = now.revision != s->revision;
        reg_state_done(s);
        *s = now;
        return stale;
}

int reg_store_delete(const struct kc_registry_ctx *c, struct reg_state *s, int64_t *ret_revision, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *key = reg_key(c);
        KC_CLEANUP(kc_store_kv_done) struct kc_store_kv current = {0};
        int64_t revision = 0;
        int r = kc_store_delete(c->stored->store, key, s->revision, &revision, &current, err);
        if (r == 0 && ret_revision)
                *ret_revision = revision;
        if (r != -EAGAIN)
                return r;
        kc_error_done(err);
        reg_state_done(s);
        r = reg_state_from_kv(&current, s, err);
        return r < 0 ? r : REG_AGAIN;
}

/* --- encoding */

int reg_encode(const struct kc_registry_ctx *c, struct json_object *obj, struct kc_buf *ret, struct kc_error *err)
{
        const struct kc_resource *row = c->stored->row;
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(row->group, row->version);
        kc_json_set_str(obj, "kind", row->kind);
        kc_json_set_str(obj, "apiVersion", api_version);
        kc_json_del(kc_json_ensure_obj(obj, "metadata"), "resourceVersion");
        KC_CLEANUP(kc_strv_freep) char **unknown = NULL;
        int r = kc_codec_decode(obj, row->type, &unknown, err);
        if (r < 0)
                return kc_error_wrap(err, "cannot encode");
        kc_json_write(ret, obj);
        return 0;
}

int reg_object(const struct kc_buf *stored, int64_t revision, struct kc_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *stamped = NULL;
        int r = kc_stamp_revision(stored->data, stored->len, revision, &stamped, NULL, err);
        return r < 0 ? r : kc_object_from_bytes(stamped, ret, err);
}

int reg_dry_object(
    const struct kc_buf *stored, const char *resource_version, struct kc_object **ret, struct kc_error *err)
{
        int64_t revision;
        if (resource_version && kc_str_to_i64(resource_version, &revision) == 0)
                return reg_object(stored, revision, ret, err);
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *bytes = kc_bytes_new(stored->data, stored->len);
        return kc_object_from_bytes(bytes, ret, err);
}

bool reg_drop_fields(const struct kc_registry_ctx *c, struct json_object *obj, struct kc_error *err)
{
        struct json_object *meta = kc_json_get_mut(obj, "metadata");
        if (!err || !kc_error_is(err, KC_REASON_REQUEST_ENTITY_TOO_LARGE) || !c->manager || c->fields_managed ||
            !kc_json_get(meta, "managedFields"))
                return false;
        kc_json_del(meta, "managedFields");
        kc_error_done(err);
        return true;
}

/* --- errors */

int reg_not_found(const struct kc_registry_ctx *c, struct kc_error *err)
{
        return kc_err_not_found(err, c->row->group, c->row->resource, c->name);
}

int reg_conflict(const struct kc_registry_ctx *c, const char *why, struct kc_error *err)
{
        return kc_err_conflict(err, c->row->group, c->row->resource, c->name, why);
}

void reg_admission_attrs(const struct kc_registry_ctx *c, enum kc_admission_op op, struct json_object *obj,
    const struct json_object *old, const struct json_object *options, struct kc_admission_attrs *ret)
{
        *ret = (struct kc_admission_attrs){
            .op = op,
            .row = c->stored->row,
            .subresource = c->subresource,
            .ns = c->ns,
            .name = c->name,
            .user = c->user,
            .dry_run = c->dry_run,
            .now = c->now,
            .obj = obj,
            .old = old,
            .options = options,
            .warnings = c->warnings,
        };
}

/* Shared by the sources of the generic registry. */
#pragma once

#include "registry/registry.h"
#include "registry/service_alloc.h"
#include "registry/strategy.h"

enum {
        REG_UPDATE_ATTEMPTS = 64, /* of one update against a store that keeps moving */
        REG_NAME_ATTEMPTS = 8,    /* of generateName, as upstream */
        REG_NAME_MAX = 63,
        REG_NAME_RANDOM = 5,
        REG_AGAIN = 2, /* not an error: the store has moved on, start again (the errno of Conflict is EAGAIN) */
};

struct kc_registry {
        struct kc_registry_opts o;
        struct kc_cidr service_cidrs[2];
        struct kc_user *self; /* system:apiserver */
        struct kc_service_alloc *service_alloc;
};

/* An object as it stands. */
struct reg_state {
        struct kc_object *obj; /* with resourceVersion; NULL: there is none */
        int64_t revision;      /* for the next write; 0: there is none */
        bool live;             /* read from the store itself; else from the cache, and may be stale */
};
void reg_state_done(struct reg_state *s);
/* From the cache; when the cache has none, from the store. */
int reg_state_read(const struct kc_registry_ctx *c, struct reg_state *ret, struct kc_error *err);
int reg_state_read_live(const struct kc_registry_ctx *c, struct reg_state *ret, struct kc_error *err);
/* What a write that conflicted came upon. */
int reg_state_from_kv(const struct kc_store_kv *kv, struct reg_state *ret, struct kc_error *err);
/* After a failure that a stale state may explain: reads live. True: it was stale, try again with what is in s now. */
bool reg_state_refresh(const struct kc_registry_ctx *c, struct reg_state *s);

char *reg_key(const struct kc_registry_ctx *c);
/* Puts the tree into the canonical form that is stored: kind and apiVersion, keys in order, no resourceVersion. */
int reg_encode(const struct kc_registry_ctx *c, struct json_object *obj, struct kc_buf *ret, struct kc_error *err);
/* The object of stored bytes at that revision. */
int reg_object(const struct kc_buf *stored, int64_t revision, struct kc_object **ret, struct kc_error *err);
/* What a create or update would have stored: with the revision given, if any (dry-run). */
int reg_dry_object(
    const struct kc_buf *stored, const char *resource_version, struct kc_object **ret, struct kc_error *err);
/* After a failure to store: true if the object was too large, and is smaller now without managedFields (which an apply
 * cannot do without). */
bool reg_drop_fields(const struct kc_registry_ctx *c, struct json_object *obj, struct kc_error *err);
int reg_not_found(const struct kc_registry_ctx *c, struct kc_error *err);
int reg_conflict(const struct kc_registry_ctx *c, const char *why, struct kc_error *err);
/* Deletes at that revision: REG_AGAIN when the store has moved on; s is then what is there. *ret_revision (may be
 * NULL): of the deletion. */
int reg_store_delete(const struct kc_registry_ctx *c, struct reg_state *s, int64_t *ret_revision, struct kc_error *err);
void reg_admission_attrs(const struct kc_registry_ctx *c, enum kc_admission_op op, struct json_object *obj,
    const struct json_object *old, const struct json_object *options, struct kc_admission_attrs *ret);
/* Whose rules of validation apply: those of the kind as it is stored, unless the request is in another group. */
static inline const struct kc_resource *reg_rules(const struct kc_registry_ctx *c)
{
        return kc_streq(c->row->group, c->stored->row->group) ? c->stored->row : c->row;
}

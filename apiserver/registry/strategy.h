/* What is special about a resource: one row of hooks for each that has rules of its own. A NULL hook does what
 * upstream's generic registry does; a resource without a row has all NULL (kc_strategy_default).
 *
 * Trees are in the storage version. Hooks run on worker threads, in the order of the request:
 *
 *   CREATE  (defaulted) -> admit -> prepare_for_create -> begin_create -> validate_create -> admission validate
 *           -> warnings -> store -> end
 *   UPDATE  (transformed, defaulted) -> admit -> prepare_for_update -> begin_update -> validate_update
 *           -> admission validate -> warnings -> store -> end
 *   DELETE  check_graceful_delete -> (finalizers) -> store -> after_delete
 *
 * A transaction that conflicts runs the hooks of UPDATE again on the newer object. */
#pragma once

#include "admission/admission.h"
#include "api/schema.h"
#include "api/status.h"
#include "api/validation.h"
#include "auth/user.h"
#include "base/clock.h"
#include "registry/registry.h"

/* One request. Strings borrowed; "" instead of NULL. */
struct kc_registry_ctx {
        struct kc_registry *registry;
        const struct kc_stored *stored;
        const struct kc_resource *row; /* as requested: version and group may differ from stored->row (Events) */
        const char *subresource;
        const char *ns, *name;
        const struct kc_user *user;
        bool dry_run;
        kc_time now;
        const char *manager; /* who writes, for managedFields; NULL: a change of our own that does not count */
        bool fields_managed; /* set by a transform: the object that it made has its managedFields */
        char ***warnings;
};

/* What a begin_ hook has allocated. end is called once: committed when the object is stored; else everything goes back.
 * Never on dry-run with committed true. */
struct kc_registry_txn {
        void (*end)(const struct kc_registry_ctx *c, bool committed, void *arg);
        void *arg;
};

/* Deletion options after decoding; negative or NULL: not given. */
struct kc_delete_request {
        int64_t grace_period_seconds; /* -1: not given. check_graceful_delete may change it */
        const char *propagation;      /* "Orphan", "Background", "Foreground" or NULL */
        bool orphan_dependents_set, orphan_dependents;
        const char *uid, *resource_version; /* preconditions or NULL */
        const struct json_object *options;  /* DeleteOptions or NULL */
};

struct kc_subresource_strategy {
        const char *name; /* "status" */

        /* --- of the parent's kind (status, finalize, ephemeralcontainers, resize): GET gives the parent, PUT and PATCH
         * are an update of it with these hooks in place of the resource's. NULL prepare for "status": all but status is
         * taken from old, metadata too except labels, annotations, finalizers, managedFields, ownerReferences kept as
         * upstream's status strategies of that resource do. */
        void (*prepare_for_update)(
            const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old);
        void (*validate_update)(const struct kc_registry_ctx *c, const struct json_object *obj,
            const struct json_object *old, struct kc_field_errors *errors);

        /* --- a projection (scale): to makes the subresource's object (in the kind that was asked for) of the parent;
         * from puts it into the parent, which is then updated with the resource's own hooks. Both or none. */
        struct json_object *(*to)(const struct kc_registry_ctx *c, const struct json_object *obj);
        int (*from)(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *sub,
            struct kc_error *err);
        const char *const *replicas; /* scale: the parent's field that it shows, as names */

        /* --- an action (binding, eviction, token): POST with body, a decoded and defaulted object of the subresource's
         * kind, which it may change. *ret is the answer (NULL: Status Success); *ret_code presets 201. Admission has
         * run. */
        int (*create)(const struct kc_registry_ctx *c, struct json_object *body, struct json_object **ret,
            int *ret_code, struct kc_error *err);
};

struct kc_strategy {
        const char *group, *resource;

        /* NULL: drop status if the resource has a status subresource; generation 1 if the type has spec and status. */
        void (*prepare_for_create)(const struct kc_registry_ctx *c, struct json_object *obj);
        /* In addition to kc_validate_create, which always runs. */
        void (*validate_create)(
            const struct kc_registry_ctx *c, const struct json_object *obj, struct kc_field_errors *e);
        void (*warnings_create)(const struct kc_registry_ctx *c, const struct json_object *obj);
        /* 0, or an API error. Several may allocate: set txn only on success. On dry-run it only looks: ask c->dry_run.
         * What is allocated is validated with the rest: the object has not been. */
        int (*begin_create)(const struct kc_registry_ctx *c, struct json_object *obj, struct kc_registry_txn *txn,
            struct kc_error *err);

        /* NULL: status is taken from old if there is a status subresource; generation goes up when anything but
         * metadata and status differs (kc_strategy_bump_generation). */
        void (*prepare_for_update)(
            const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old);
        void (*validate_update)(const struct kc_registry_ctx *c, const struct json_object *obj,
            const struct json_object *old, struct kc_field_errors *errors);
        void (*warnings_update)(
            const struct kc_registry_ctx *c, const struct json_object *obj, const struct json_object *old);
        int (*begin_update)(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old,
            struct kc_registry_txn *txn, struct kc_error *err);
        bool allow_create_on_update;   /* PUT of what does not exist creates it (Leases, Events, Endpoints, RBAC ...) */
        bool require_resource_version; /* no unconditional update (AllowUnconditionalUpdate false) */

        /* Whether deletion is graceful, and how long; sets d->grace_period_seconds. NULL: not graceful. Called for the
         * first deletion; a later one may only shorten. *options_grace is what goes to deletionGracePeriodSeconds. */
        bool (*check_graceful_delete)(
            const struct kc_registry_ctx *c, const struct json_object *obj, struct kc_delete_request *d);
        /* Last changes and checks before the object is removed or marked (namespaces: phase Terminating); may refuse.
         * obj is a copy that is stored if it is not removed at once. NULL: none. */
        int (*before_delete)(const struct kc_registry_ctx *c, struct json_object *obj, struct kc_delete_request *d,
            struct kc_error *err);
        /* Keeps an object that has no metadata.finalizers (namespaces with spec.finalizers). NULL: no. */
        bool (*keep)(const struct kc_registry_ctx *c, const struct json_object *obj);
        /* The object has left the store: release what was allocated. Also after an update that removed the last
         * finalizer. */
        void (*after_delete)(const struct kc_registry_ctx *c, const struct json_object *obj);
        /* Upstream's default when DeleteOptions say nothing: finalizer "orphan" (ReplicationControllers). */
        bool orphan_by_default;

        int64_t (*ttl)(
            const struct kc_registry_ctx *c, const struct json_object *obj); /* seconds; NULL or 0: for ever */

        const struct kc_subresource_strategy *subresources;
        size_t n_subresources;
};

/* Never NULL. */
const struct kc_strategy *kc_strategy_for(const char *group, const char *resource);
extern const struct kc_strategy kc_strategy_default;
/* NULL: the strategy has none of that name (status is then served with the defaults if the schema has it). */
const struct kc_subresource_strategy *kc_strategy_subresource(const struct kc_strategy *s, const char *name);

/* --- Helpers for hooks (registry/generic.c). */
void kc_strategy_default_create(const struct kc_registry_ctx *c, struct json_object *obj);
void kc_strategy_default_update(
    const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old);
void kc_strategy_default_status(
    const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old);
/* Kinds with a spec and a status that count no generations nevertheless. */
void kc_strategy_create_uncounted(const struct kc_registry_ctx *c, struct json_object *obj);
void kc_strategy_update_uncounted(
    const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old);
/* Kinds that count generations although they lack one or the other. */
void kc_strategy_create_counted(const struct kc_registry_ctx *c, struct json_object *obj);
void kc_strategy_update_counted(
    const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old);
/* metadata.generation = old's, plus one if anything but metadata, status, kind and apiVersion differs. */
void kc_strategy_bump_generation(struct json_object *obj, const struct json_object *old);
/* obj[key] = copy of old[key], or removed. */
void kc_strategy_keep(struct json_object *obj, const struct json_object *old, const char *key);

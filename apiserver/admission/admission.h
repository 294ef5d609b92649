/* Admission: an ordered table of plugins that may change or refuse what is about to be written. Runs on worker threads,
 * in the request that writes; may block.
 *
 *   for each plugin with admit (mutating), in order:    admit(a)     changes a->obj
 *   (strategy, validation of the object)
 *   for each plugin with validate, in order:            validate(a)  only looks
 *
 * Objects are in the storage version. */
#pragma once

#include "api/schema.h"
#include "auth/authz.h"
#include "auth/user.h"
#include "base/clock.h"
#include "resources/resources.h"

enum kc_admission_op {
        KC_ADMIT_CREATE = 1 << 0,
        KC_ADMIT_UPDATE = 1 << 1,
        KC_ADMIT_DELETE = 1 << 2,
        KC_ADMIT_CONNECT = 1 << 3,
};

struct kc_admission;

struct kc_admission_attrs {
        enum kc_admission_op op;
        const struct kc_resource
            *row;                /* of the resource; the kind of obj is another one for scale, binding, eviction */
        const char *subresource; /* "" none */
        const char *ns;          /* "" cluster scope */
        const char *name;        /* "" when it is not known yet (generateName) */
        const struct kc_user *user;
        bool dry_run;
        kc_time now;
        struct json_object *obj;           /* new object; NULL for DELETE. Mutable in admit, read-only in validate */
        const struct json_object *old;     /* for UPDATE and DELETE (NULL for DELETE of a collection) */
        const struct json_object *options; /* CreateOptions, UpdateOptions, DeleteOptions; may be NULL */
        char ***warnings;                  /* push to it; each becomes a Warning header */
};

struct kc_admission_opts {
        const struct kc_resources *resources;
        struct kc_authz *authz;               /* for OwnerReferencesPermissionEnforcement */
        char *const *enable, *const *disable; /* --enable-admission-plugins, --disable-admission-plugins; strv */
};
/* Changes the tree; -EALREADY: nothing is to be done. May be called again, with a newer object. */
typedef int (*kc_admission_change_fn)(struct json_object *tree, void *arg, struct kc_error *err);
/* How plugins write: the object as it is when it is stored, past admission. Blocks. */
typedef int (*kc_admission_writer_fn)(void *ctx, const char *group, const char *resource, const char *subresource,
    const char *ns, const char *name, kc_admission_change_fn change, void *arg, struct kc_error *err);
/* Unknown plugin names: -EINVAL with upstream's message. */
int kc_admission_new(const struct kc_admission_opts *o, struct kc_admission **ret, struct kc_error *err);
void kc_admission_free(struct kc_admission *a);
KC_DEFINE_CLEANUP(struct kc_admission *, kc_admission_free)
/* Of the registry, which is made after it. Before the first request. */
void kc_admission_set_writer(struct kc_admission *a, kc_admission_writer_fn fn, void *ctx);
/* Names of the plugins that are on, in order: mutating, validating. For the log. Borrowed (strv). */
char *const *kc_admission_plugins(const struct kc_admission *a);
/* Errors are API errors, mostly 403 Forbidden: pods "x" is forbidden: <why>. */
int kc_admission_admit(struct kc_admission *a, struct kc_admission_attrs *attrs, struct kc_error *err);
int kc_admission_validate(struct kc_admission *a, const struct kc_admission_attrs *attrs, struct kc_error *err);

/* --- For plugins: rows of the table in admission/plugins.c, in upstream's order (AllOrderedPlugins). */
struct kc_admission_plugin {
        const char *name; /* "NamespaceLifecycle" */
        int ops;          /* KC_ADMIT_* that it looks at */
        bool default_on;
        int (*admit)(struct kc_admission *adm, struct kc_admission_attrs *a, struct kc_error *err); /* or NULL */
        int (*validate)(
            struct kc_admission *adm, const struct kc_admission_attrs *a, struct kc_error *err); /* or NULL */
};
const struct kc_resources *kc_admission_resources(const struct kc_admission *a);
struct kc_authz *kc_admission_authz(const struct kc_admission *a);
int kc_admission_change(struct kc_admission *a, const char *group, const char *resource, const char *subresource,
    const char *ns, const char *name, kc_admission_change_fn change, void *arg, struct kc_error *err);

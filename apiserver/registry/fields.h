/* Who owns the fields of what is written: metadata.managedFields. Worker threads. */
#pragma once

#include "registry/strategy.h"

/* What a request writes: the resource in the version that was asked for, or a projection of it (scale). */
struct kc_fields_target {
        const struct kc_type *type;
        const char *group, *version, *kind;
        const struct kc_resource *row; /* for defaults; NULL: the schema's only */
        const char *subresource;       /* "" none */
};
/* The resource itself, as c has it. */
void kc_fields_target_of(const struct kc_registry_ctx *c, struct kc_fields_target *ret);

/* after is about to replace before (NULL: it is new) by c->manager. Both in the target's version. What the client says
 * of managedFields in after is heeded as upstream does: [] and [{}] drop them, what cannot be read does not count. */
void kc_fields_update(const struct kc_registry_ctx *c, const struct kc_fields_target *t,
    const struct json_object *before, struct json_object *after);

/* The same for an object in the storage version, as c->row sees it; nothing when c->manager is NULL or a transform has
 * seen to it. */
void kc_fields_track(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old);

/* Server-side apply of config to live (NULL: there is none yet) by c->manager. *ret: what is to be stored, decoded and
 * defaulted, with its managedFields. 400, 409 and 500 as upstream. */
int kc_fields_apply(const struct kc_registry_ctx *c, const struct kc_fields_target *t, const struct json_object *live,
    const struct json_object *config, bool force, struct json_object **ret, struct kc_error *err);

/* Do they say the same, times apart? NULL: none. */
bool kc_fields_same_owners(const struct json_object *a, const struct json_object *b);

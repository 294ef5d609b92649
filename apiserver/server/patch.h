/* The body of a PATCH request. Worker threads. */
#pragma once

#include "registry/fields.h"
#include "server/server_internal.h"

enum patch_kind { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC, PATCH_APPLY };

struct patch {
        struct api_req *q;
        enum patch_kind kind;
        struct json_object *body;
        /* --- of an apply */
        char **repeats; /* keys that the body has more than once: messages, or NULL */
        bool force;
};

/* Does the request apply? */
bool patch_is_apply(const struct api_req *q);

/* 415 for other media types, 400 for a body that is no patch. */
int patch_read(struct api_req *q, struct patch *ret, struct kc_error *err);
void patch_done(struct patch *p);
/* Patches the tree, which is in the version of the target, and decodes the result (unknown fields, defaults). */
int patch_apply(const struct patch *p, const struct decode_target *t, int field_validation, struct json_object **tree,
    struct kc_error *err);

/* --- apply.c */

/* The body of an apply: YAML; 400 for what is none. */
int apply_read(struct api_req *q, struct patch *ret, struct kc_error *err);
/* What becomes of live (NULL: there is none), in the target's version, with its managedFields. */
int apply_to(struct kc_registry_ctx *c, const struct patch *p, const struct kc_fields_target *t,
    const struct json_object *live, int field_validation, struct json_object **ret, struct kc_error *err);

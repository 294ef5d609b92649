/* The body of a PATCH request. Worker threads. */
#pragma once

#include "server/server_internal.h"

enum patch_kind { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC };

struct patch {
        struct api_req *q;
        enum patch_kind kind;
        struct json_object *body;
};

/* 415 for other media types, 400 for a body that is no patch. */
int patch_read(struct api_req *q, struct patch *ret, struct kc_error *err);
void patch_done(struct patch *p);
/* Patches the tree, which is in the version of the target, and decodes the result (unknown fields, defaults). */
int patch_apply(const struct patch *p, const struct decode_target *t, int field_validation, struct json_object **tree,
    struct kc_error *err);

/* metav1.DeleteOptions of a request: from its body, or its query parameters. Worker threads. */
#pragma once

#include "server/server_internal.h"

struct delete_options {
        struct json_object *tree;         /* DeleteOptions */
        struct kc_delete_request request; /* borrows from tree */
};

/* Sets q->dry_run, too. */
int delete_options_parse(struct api_req *q, struct delete_options *ret, struct kc_error *err);
/* Of a tree that stands somewhere else (Eviction.deleteOptions); borrowed. */
int delete_options_of(struct json_object *tree, struct delete_options *ret, struct kc_error *err);
void delete_options_done(struct delete_options *o);

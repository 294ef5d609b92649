/* Objects in words, as kubectl describe prints them. */
#pragma once

#include "base/buf.h"
#include "client/resource_map.h"
#include "client/rest.h"

struct kc_describe_opts {
        bool show_events;
        int64_t chunk_size; /* of lists; 0: not in pages */
};
/* Appends the text of one object; what belongs to it (events, pods, endpoints) is read from the server. Blocks. */
int kc_describe_object(struct kc_rest *rest, const struct kc_api_resource *res, const struct json_object *obj,
    const struct kc_describe_opts *opts, struct kc_buf *out, struct kc_error *err);
/* When an event was: "5m", "5m (x3 over 10m)". Heap. */
char *kc_describe_event_age(const struct json_object *event);
/* Rows of an array of PolicyRules: resource, URL, name, verbs, with tabs between. */
struct kc_layout;
void kc_describe_rules(const struct json_object *rules, int level, struct kc_layout *out);

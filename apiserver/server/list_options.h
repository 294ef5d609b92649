/* metav1.ListOptions and GetOptions of a request, checked. */
#pragma once

#include "api/selector.h"
#include "server/server_internal.h"

struct list_options {
        struct kc_selector *labels;       /* NULL: everything */
        struct kc_field_selector *fields; /* NULL: everything */
        char *name;                       /* of the path, or demanded by the field selector; NULL: all */
        char *ns;                         /* of the path, or demanded by the field selector; NULL: all */
        struct kc_cache_read read;
        int64_t watch_revision; /* -1: unset */
        int64_t limit;
        char *continue_token;
        bool bookmarks;
        enum kc_initial_events initial_events;
        int64_t timeout_seconds; /* 0: not given */
        const struct kc_resource *row;
};

/* For LIST, WATCH and DELETECOLLECTION. */
int list_options_parse(const struct api_req *q, bool watch, struct list_options *ret, struct kc_error *err);
void list_options_done(struct list_options *o);
/* For kc_cache_list_opts.match and kc_cache_watch_opts.match, with the options as arg. */
bool list_options_match(const struct kc_cache_entry *e, void *options);
/* NULL when everything matches. */
bool (*list_options_matcher(const struct list_options *o))(const struct kc_cache_entry *e, void *options);
/* resourceVersion as a read: "" consistent, "0" whatever is there, else not older. */
int read_of_revision(const char *resource_version, struct kc_cache_read *ret, struct kc_error *err);

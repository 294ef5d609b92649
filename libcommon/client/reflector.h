/* A reflector: lists a resource, then watches it, for ever.
 *
 *          +--------------------------- 410, refused ---------------------------+
 *          v                                                                    |
 *   [stream list] --initial-events-end--> [watch] --ended, broken--> [watch from the last resourceVersion]
 *          | server cannot                   ^
 *          v                                 |
 *   [page 1] -> [page 2] -> ... -------------+        any failure --> [wait: back-off] --> list or watch
 *
 * All on the loop. No timer is armed but while waiting, while a list is under way, and one far behind a watch's own
 * end, for streams that died in silence. */
#pragma once

#include "client/rest.h"

struct kc_reflector;

struct kc_reflector_cbs {
        /* The whole state after a list; references in objs are the caller's. */
        void (*replace)(struct kc_objects *objs, void *arg);
        void (*set)(struct kc_object *obj, void *arg);
        /* obj: the last state. */
        void (*remove)(struct kc_object *obj, void *arg);
};

struct kc_reflector_opts {
        const struct kc_gvr *gvr;
        const char *ns, *label_selector, *field_selector; /* NULL: all */
        void (*transform)(struct json_object *tree);      /* may be NULL */
        bool metadata_only;                               /* objects come as PartialObjectMetadata of meta.k8s.io/v1 */
        struct kc_reflector_cbs cbs;
        void *arg;
};

struct kc_reflector *kc_reflector_new(struct kc_rest *rest, const struct kc_reflector_opts *o);
void kc_reflector_start(struct kc_reflector *r);
/* Also from a callback. */
void kc_reflector_free(struct kc_reflector *r);
KC_DEFINE_CLEANUP(struct kc_reflector *, kc_reflector_free)

/* Times, in microseconds; changed by tests only. */
struct kc_reflector_times {
        int64_t backoff_min, backoff_max;
        int64_t short_watch;    /* a watch that ends sooner without an event has failed */
        int64_t list_silence;   /* no byte for so long: the list is given up */
        int64_t stream_silence; /* the same of a streamed list: pages are tried */
        int64_t watch_overtime; /* how long a watch may outlive its timeoutSeconds */
        int watch_seconds;      /* timeoutSeconds: this to twice this */
};
extern struct kc_reflector_times kc_reflector_times;

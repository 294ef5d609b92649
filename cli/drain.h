/* The pods of a node that is to be emptied. Main thread. */
#pragma once

#include "cli/objects.h"
#include "cli/requests.h"

struct kc_drain_opts {
        bool force, ignore_daemon_sets, delete_empty_dir, disable_eviction;
        int64_t grace;            /* seconds; negative: each pod's own */
        int64_t timeout;          /* usec; 0: none */
        int64_t skip_wait;        /* seconds since the deletion after which a pod is not waited for; 0: never */
        const char *pod_selector; /* or NULL */
        enum kc_dry_run dry_run;
};
/* What has to go. */
struct kc_drain_pods {
        struct json_object **v; /* pods, ours */
        size_t n;
        struct kc_cli_errors errors; /* why it may not */
        char *warnings;              /* "a: x, y; b: z", or NULL */
};
int kc_drain_list(
    struct kc_cli *c, const struct kc_drain_opts *o, const char *node, struct kc_drain_pods *ret, struct kc_error *err);
void kc_drain_pods_done(struct kc_drain_pods *p);
/* Evicts (or deletes) them and waits until they are gone. What went wrong is added to errors; -1 then. */
int kc_drain_remove(
    struct kc_cli *c, const struct kc_drain_opts *o, const struct kc_drain_pods *pods, struct kc_cli_errors *errors);

/* What every controller of kube-controller-manager is given, and the table of them. One controller per file; a file
 * exports one struct kc_controller_def. */
#pragma once

#include "client/informer.h"
#include "client/recorder.h"
#include "client/workqueue.h"

struct kc_cm_options;

struct kc_cm_context {
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_rest *rest; /* the controller's own (clients.h) */
        struct kc_rest *root; /* the controller manager's, for informers that are not shared */
        struct kc_informers
            *informers; /* take informers in start(); they are started after all controllers have theirs */
        const struct kc_cm_options *options;
};

struct kc_controller_def {
        /* Upstream's name as --controllers takes it: "deployment-controller". */
        const char *name;
        const char *alias; /* the name before v1.28, which is taken as well; NULL: none */
        bool disabled_by_default;
        /* Called once, on the loop, when this process has become the leader and before informers run: makes the state,
         * takes informers and indexes, adds handlers, makes its kc_controller. */
        int (*init)(const struct kc_cm_context *c, void **ret_state, struct kc_error *err);
        /* On the loop, when all informers have synced: starts the workers. */
        void (*start)(void *state);
        /* After the pool has drained. */
        void (*free)(void *state);
};

extern const struct kc_controller_def *const kc_controllers[];
extern const size_t kc_n_controllers;

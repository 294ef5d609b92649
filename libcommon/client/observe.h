/* What the client layer tells about itself, for whoever keeps metrics (the daemon layer does): client-go's metrics
 * providers. Nothing is counted until an observer is set. */
#pragma once

#include <stddef.h>

/* Any member may be NULL. Called on any thread; must not block. Times in seconds. */
struct kc_client_observer {
        /* code: "200", or "<error>" when no response came; host: "10.0.0.1:6443"; verb as method. */
        void (*request)(
            const char *code, const char *host, const char *method, double seconds, size_t sent, size_t received);
        void (*rate_limited)(const char *host, const char *method, double seconds);
        /* name is the queue's, delta +1 or -1. */
        void (*queue_depth)(const char *name, int delta);
        void (*queue_added)(const char *name);
        void (*queue_retried)(const char *name);
        void (*queue_waited)(const char *name, double seconds); /* from added to handed out */
        void (*queue_worked)(const char *name, double seconds); /* from handed out to done */
        void (*leader_status)(const char *lease, int leading);
};

/* o lives for ever; NULL: none. Before the threads start. */
void kc_client_set_observer(const struct kc_client_observer *o);
/* Never NULL: members are, until one is set. */
const struct kc_client_observer *kc_client_observer(void);

/* What the two parts of the garbage collector share: what is watched (garbagecollector_monitors.c) and what is done
 * about it (garbagecollector.c).
 *
 *   discovery, every 30 s --> monitors: one for each kind that can be listed, watched and deleted
 *                                |  adds, updates, deletes
 *                                v
 *                             keys "<monitor's number> <ns/name>" --> sync */
#pragma once

#include <pthread.h>

#include "client/resource_map.h"
#include "controller-manager/table.h"

#define KC_GC_FOREGROUND "foregroundDeletion"
#define KC_GC_ORPHAN "orphan"

struct gc;

/* Never freed or moved while the collector lives. */
struct gc_monitor {
        struct gc *gc;
        size_t number;
        struct kc_gvr gvr; /* its strings are owned */
        struct kc_informer *informer;
};

struct gc {
        struct kc_rest *rest;
        struct kc_loop *loop;
        struct kc_informers *informers;
        struct kc_controller *controller, *discovery;
        struct kc_timer *patience; /* for kinds that do not sync */
        bool started;
        pthread_mutex_t lock;
        struct gc_monitor **monitors; /* guarded by lock */
        size_t n_monitors;            /* guarded by lock */
};

/* NULL: there are no more. Any thread. */
struct gc_monitor *kc_gc_monitor(struct gc *gc, size_t number);
/* Of the kind that an owner reference names, in whatever version; NULL: not watched. Any thread. */
struct gc_monitor *kc_gc_monitor_of_ref(struct gc *gc, const struct json_object *ref);
void kc_gc_enqueue(struct gc_monitor *m, const struct kc_object *o);
/* Appends all objects of the monitor's kind that name that owner. Any thread. */
void kc_gc_dependents(struct gc_monitor *m, const char *uid, struct kc_objects *ret);
bool kc_gc_waits_for_us(const struct json_object *o);
/* Looks at what the server serves, watches it, and starts the collector when all of it is known. On the loop. */
void kc_gc_monitors_start(struct gc *gc);
void kc_gc_monitors_init(struct gc *gc, const struct kc_cm_context *cm);
void kc_gc_monitors_done(struct gc *gc);

/* Shared by the files of the kubelet's core.
 *
 *   sources (API informer, manifests) --> workers {uid: worker} --queue--> pod_sync.c, on the pool
 *   pleg (process ends, runtime events, relist), probes, kills, pulls ------^ poke
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "client/informer.h"
#include "client/workqueue.h"
#include "kubelet/certificates/certificates.h"
#include "kubelet/config.h"
#include "kubelet/kubelet.h"
#include "kubelet/node/node.h"
#include "kubelet/prober/prober.h"
#include "kubelet/runtime/runtime.h"
#include "kubelet/server/server.h"
#include "kubelet/sources/files.h"
#include "kubelet/status/manager.h"

enum kc_worker_state {
        KC_WORKER_SYNCING,     /* towards the spec */
        KC_WORKER_TERMINATING, /* towards no container */
        KC_WORKER_TERMINATED,  /* no container; volumes and the like go */
        KC_WORKER_FINISHED,    /* all done; the API object may go */
};

/* One pod. Fields in the first group are guarded by kc_kubelet.mutex; the second belongs to the worker's sync, of which
 * there is one at a time. */
struct kc_worker {
        char *uid;
        struct kc_object *pod; /* latest from its source; NULL: only the runtime knows it */
        bool is_static;
        bool gone;         /* its source does not have it any more */
        char *fail_reason; /* set once: the kubelet ends the pod by itself ("Evicted", "OutOfcpu", ...) */
        char *fail_message;
        int64_t fail_grace; /* seconds that its containers have then; 0: what the pod says */
        bool begun;         /* no other static pod of its name is in the way */
        bool admitted;      /* fits, or ran here before the kubelet did */
        enum kc_worker_state state;
        struct kc_pod_runtime *rt;     /* as last fetched; NULL: never */
        struct json_object *allocated; /* resources that the pod was given (pod/resize.h); NULL: what it asks for */
        char *resize_pending;          /* why it has not got what it asks for: "Deferred", "Infeasible"; NULL: it has */

        bool status_seeded; /* the API's status was taken as the old one */
        kc_time terminating_since;
        struct kc_pod_sync sync;
        char *resize_message;      /* to resize_pending */
        int64_t resize_generation; /* of the pod when that was last said */
        bool resizing;             /* allocated, not yet actuated */
        int mount_failures;
        int exit_polls;
};

struct kc_pleg;
struct kc_mirror;

struct kc_kubelet {
        const struct kc_kubelet_config *config;
        struct kc_loop *loop;
        struct kc_pool *pool;
        const struct kc_clock *clock;
        char *node_name;
        char **node_ips; /* strv */

        struct kc_cri *cri;
        struct kc_client_config client_config;
        struct kc_rest *rest; /* NULL: standalone */
        struct kc_informers *informers;
        struct kc_informers *bundle_informers; /* NULL: feature gate off. On their own: the kind may not be served */
        struct kc_informer *trust_bundles;
        bool credentials_expired;
        struct kc_informer *pods, *services, *nodes;
        struct kc_kubelet_events *events;
        struct kc_objcache *objects;
        struct kc_volumes *volumes;
        struct kc_prober *prober;
        struct kc_runtime *runtime;
        struct kc_status_manager *statuses;
        struct kc_node *node;
        struct kc_file_source *files;
        struct kc_kubelet_server *server;
        struct kc_kubelet_certs *client_cert, *server_cert; /* NULL: not renewed by us */
        struct kc_health *health;
        struct json_object *configz;
        struct kc_pleg *pleg;

        struct kc_controller *sync_controller;
        struct kc_timer *housekeeping;
        atomic_bool housekeeping_runs, stopping;
        kc_mono next_gc, next_image_gc; /* of housekeeping */

        pthread_mutex_t admission; /* one pod at a time takes what is left of the node; before mutex */
        pthread_mutex_t mutex;
        struct kc_map *workers;        /* by uid; guarded by mutex */
        bool api_synced, files_synced; /* guarded by mutex: all sources have said what they have */
};

/* --- certs.c. Before the loop runs. */
/* From now on the client certificate is the current one of cert_dir, which the kubeconfig's own is at first. */
int kc_kubelet_take_over_client_cert(struct kc_kubelet *k, struct kc_error *err);
/* What renews the certificates that are to be renewed; not started yet. */
void kc_kubelet_make_cert_managers(struct kc_kubelet *k);
/* The files to serve with (heap): those of server_cert, the configured ones, or a certificate of our own. */
int kc_kubelet_serving_cert(struct kc_kubelet *k, char **ret_cert, char **ret_key, struct kc_error *err);

/* --- workers.c. Any thread. */
void kc_workers_free(void *worker); /* for kc_map_new */
/* A pod as its source has it now. */
void kc_workers_update(struct kc_kubelet *k, struct kc_object *pod);
/* Its source does not have it any more. */
void kc_workers_remove(struct kc_kubelet *k, const char *uid);
/* The runtime has something of a pod that no source knows: end it. */
void kc_workers_orphan(struct kc_kubelet *k, const char *uid);
/* The kubelet ends the pod: phase Failed with these. grace_seconds: of its containers; 0: what the pod says.
 * False: its end has been decided before. */
bool kc_workers_fail(
    struct kc_kubelet *k, const char *uid, const char *reason, const char *message, int64_t grace_seconds);
void kc_workers_poke(struct kc_kubelet *k, const char *uid);
void kc_workers_poke_after(struct kc_kubelet *k, const char *uid, int64_t usec);
/* The runtime's view of the pod, with a reference; NULL: none. */
struct kc_pod_runtime *kc_workers_runtime(struct kc_kubelet *k, const char *uid);
/* Pods that are not terminated, for admission and capacity; references. */
void kc_workers_active_pods(struct kc_kubelet *k, struct kc_objects *ret);
/* ... and those about which that is not known yet. */
void kc_workers_possible_pods(struct kc_kubelet *k, struct kc_objects *ret);
void kc_workers_all_pods(struct kc_kubelet *k, struct kc_objects *ret);
/* The worker that the sync of this key works on; NULL: gone. Valid during the sync: only it frees workers. */
struct kc_worker *kc_workers_begin(struct kc_kubelet *k, const char *uid, struct kc_object **ret_pod);
void kc_workers_set_state(struct kc_kubelet *k, struct kc_worker *w, enum kc_worker_state state);
void kc_workers_set_runtime(struct kc_kubelet *k, struct kc_worker *w, struct kc_pod_runtime *take_rt);
/* At the end of a sync: the worker is not needed any more. */
void kc_workers_drop(struct kc_kubelet *k, struct kc_worker *w);
/* A pod with this uid is known and not finished. */
bool kc_workers_known(struct kc_kubelet *k, const char *uid);
bool kc_workers_sources_ready(struct kc_kubelet *k);
/* Pod by namespace and name; with a reference. NULL: none. */
struct kc_object *kc_workers_find(struct kc_kubelet *k, const char *ns, const char *name);

/* Pods whose resize has been put off may fit now. */
void kc_workers_poke_deferred(struct kc_kubelet *k);

/* --- resize.c. All on the pod's worker; pod: as its source has it. */
/* After admission: what the pod was given before this kubelet started, or what it asks for now, which is recorded. */
void kc_resize_load(struct kc_kubelet *k, struct kc_worker *w, const struct kc_object *pod);
/* Gives the pod what it asks for now if the node has it. */
void kc_resize_allocate(struct kc_kubelet *k, struct kc_worker *w, const struct kc_object *pod);
/* After a sync: records what has become of it, and says so. pod: with what it was given. */
void kc_resize_observe(struct kc_kubelet *k, struct kc_worker *w, const struct kc_object *pod);

/* --- pod_sync.c: kc_sync_fn of the pods' controller. */
int kc_pod_sync_key(void *kubelet, const char *uid, struct kc_error *err);

/* --- pleg.c */
struct kc_pleg *kc_pleg_new(struct kc_kubelet *k);
void kc_pleg_free(struct kc_pleg *p);
void kc_pleg_start(struct kc_pleg *p); /* on the loop */
void kc_pleg_stop(struct kc_pleg *p);  /* on the loop */
/* Any thread: what a sync has just fetched. Watches the processes of running containers; true if one that has ended
 * already is still shown as running, so that the pod should be looked at again soon. */
bool kc_pleg_observe(struct kc_pleg *p, const struct kc_pod_runtime *rt);
void kc_pleg_forget(struct kc_pleg *p, const char *uid);
/* When the runtime last answered a relist (monotonic); for health. */
kc_mono kc_pleg_last_relist(struct kc_pleg *p);

/* --- mirror.c: API images of static pods; blocking. */
int kc_mirror_ensure(struct kc_kubelet *k, const struct json_object *static_pod, struct kc_error *err);
int kc_mirror_delete(
    struct kc_kubelet *k, const char *ns, const char *name, const char *static_uid, struct kc_error *err);

/* --- ops.c */
void kc_kubelet_server_ops_fill(struct kc_kubelet *k, struct kc_kubelet_server_ops *ops);
bool kc_kubelet_probe_target(void *kubelet, const char *uid, const char *container, struct kc_probe_target *ret);
/* Once, and at every housekeeping. */
void kc_kubelet_metrics_register(struct kc_kubelet *k);
void kc_kubelet_metrics(struct kc_kubelet *k);
/* What env and volumes need to know; strings borrowed from rt and k. allocatable is the caller's to free. */
void kc_kubelet_facts(struct kc_kubelet *k, const struct json_object *pod, const struct kc_pod_runtime *rt,
    struct kc_pod_facts *ret, struct kc_object **ret_node);

/* --- housekeeping.c: the timer's callback. */
void kc_kubelet_housekeeping(void *kubelet);

/* --- local_storage.c: evicts pods that take more of the disk than their limits say. Blocking, one round at a time. */
void kc_kubelet_limit_storage(struct kc_kubelet *k);

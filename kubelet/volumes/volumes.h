/* Volumes of pods: emptyDir (also medium Memory), hostPath, configMap, secret, downwardAPI, projected.
 *
 *   <root>/pods/<uid>/volumes/kubernetes.io~configmap/<name>/..data -> ..2026_11_21_12_00_00.123   (atomic writer)
 *                            /kubernetes.io~empty-dir/<name>
 *
 * Volume kinds are one table (name of the source field -> plugin). Everything here blocks and works on disk: called
 * from the worker of the pod, one call at a time for one pod. Nothing but disk is needed to find volumes again after a
 * restart. */
#pragma once

#include "client/informer.h"
#include "kubelet/env/env.h"
#include "kubelet/events/events.h"
#include "kubelet/objcache/objcache.h"

struct kc_volumes;

struct kc_volumes_opts {
        const char *root_dir;
        struct kc_objcache *objects;
        struct kc_rest *rest;              /* serviceAccountToken requests; NULL in standalone mode */
        struct kc_informer *trust_bundles; /* NULL: there are none (standalone, feature gate off) */
        struct kc_kubelet_events *events;
        const struct kc_clock *clock;
};
int kc_volumes_new(const struct kc_volumes_opts *o, struct kc_volumes **ret, struct kc_error *err);
void kc_volumes_free(struct kc_volumes *v);
KC_DEFINE_CLEANUP(struct kc_volumes *, kc_volumes_free)

/* Makes all volumes of the pod ready, and brings those that exist up to date (configMap, secret, downwardAPI,
 * projected: new content by atomic ..data swap only where it differs; service account tokens at 80 % of their life).
 * Idempotent and cheap when nothing changed: called at every sync of the pod (about once a minute). Applies fsGroup,
 * modes, items, optional. On failure nothing is started: err's message is upstream's `MountVolume.SetUp failed for
 * volume "x" : <why>` and the caller sends the FailedMount event. A volume that has content already and only cannot be
 * brought up to date is no failure: the event is sent here. */
int kc_volumes_setup_pod(
    struct kc_volumes *v, const struct json_object *pod, const struct kc_pod_facts *facts, struct kc_error *err);

/* One mount of a container, for CRI. Heap strings. */
struct kc_volume_mount {
        char *name, *container_path, *host_path;
        bool read_only, recursive_read_only;
        int propagation; /* Runtime__V1__MountPropagation values: 0 private, 1 host-to-container, 2 bidirectional */
};
struct kc_volume_mounts {
        struct kc_volume_mount *v;
        size_t n;
};
/* The container's volumeMounts with subPath and subPathExpr (expanded by env; created when missing, never leaving the
 * volume by links). After kc_volumes_setup_pod. */
int kc_volumes_container_mounts(struct kc_volumes *v, const struct json_object *pod,
    const struct json_object *container, const struct kc_env *env, struct kc_volume_mounts *ret, struct kc_error *err);
void kc_volume_mounts_done(struct kc_volume_mounts *m);

/* Unmounts and removes the volumes of a pod that has no container left. Works from what is on disk; absent is success.
 */
int kc_volumes_teardown_pod(struct kc_volumes *v, const char *uid, struct kc_error *err);
/* True when anything of the pod's volumes is still on disk or mounted. */
bool kc_volumes_exist(struct kc_volumes *v, const char *uid);

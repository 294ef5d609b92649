/* Facts about pods that only the kubelet asks for, and where a pod's files are. Pure functions: any thread. */
#pragma once

#include "api/object.h"

#define KC_ANNOTATION_CONFIG_SOURCE "kubernetes.io/config.source" /* "api", "file" */
#define KC_ANNOTATION_CONFIG_HASH "kubernetes.io/config.hash"
#define KC_ANNOTATION_CONFIG_SEEN "kubernetes.io/config.seen"
#define KC_ANNOTATION_CONFIG_MIRROR "kubernetes.io/config.mirror"

/* From a manifest, not from the API. */
bool kc_pod_is_static(const struct json_object *pod);
/* The API's read-only image of a static pod. */
bool kc_pod_is_mirror(const struct json_object *pod);
bool kc_pod_is_host_network(const struct json_object *pod);
/* "ns/name" of metadata; heap. */
char *kc_pod_full_name(const struct json_object *pod);
/* "name_ns(uid)" as upstream's format.Pod, for messages; heap. */
char *kc_pod_format(const struct json_object *pod);
/* spec.terminationGracePeriodSeconds, or metadata.deletionGracePeriodSeconds when deleted; 30 if absent. */
int64_t kc_pod_grace_seconds(const struct json_object *pod);
/* "Guaranteed", "Burstable" or "BestEffort" (status.qosClass where set, else computed). */
const char *kc_pod_qos(const struct json_object *pod);

enum kc_container_kind { KC_CONTAINER_APP, KC_CONTAINER_INIT, KC_CONTAINER_EPHEMERAL };
/* The container of that name in any of the lists; NULL: none. ret_kind may be NULL. */
const struct json_object *kc_pod_container(
    const struct json_object *pod, const char *name, enum kc_container_kind *ret_kind);
/* An init container with restartPolicy Always (sidecar). */
bool kc_container_is_sidecar(const struct json_object *container);
/* "spec.containers{web}", "spec.initContainers{init}"; heap. NULL if the name is none of the pod's. */
char *kc_pod_container_field_path(const struct json_object *pod, const char *name);

/* Host ports etc. aside, does a change of the container's spec need a new container? Stable across restarts of the
 * kubelet: kept in an annotation of the runtime's container. Covers what upstream hashes: name and image. */
uint32_t kc_container_hash(const struct json_object *container);

/* Equal but for nulls and empty strings, objects and lists, which the API may leave out. */
bool kc_status_equal(const struct json_object *a, const struct json_object *b);

/* --- Directories, all heap. root is --root-dir, logs the pod log directory ("/var/log/pods"). */
char *kc_pod_dir(const char *root, const char *uid); /* <root>/pods/<uid> */
char *kc_pod_volume_dir(const char *root, const char *uid, const char *plugin, const char *volume);
/* plugin "kubernetes.io~empty-dir" as on disk: <root>/pods/<uid>/volumes/<plugin>/<volume> */
char *kc_pod_plugin_dir(const char *root, const char *uid, const char *plugin); /* <root>/pods/<uid>/plugins/<plugin> */
char *kc_pod_container_dir(const char *root, const char *uid, const char *container); /* .../containers/<container> */
char *kc_pod_hosts_path(const char *root, const char *uid);                           /* .../etc-hosts */
char *kc_pod_log_dir(const char *logs, const struct json_object *pod);                /* <logs>/<ns>_<name>_<uid> */
char *kc_container_log_path(const char *container, int restart_count);                /* "<container>/<n>.log" */

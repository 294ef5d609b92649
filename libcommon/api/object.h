/* An API object as it is passed around: immutable, reference-counted (atomic; any thread), canonical JSON bytes with a
 * parsed tree made at first need. */
#pragma once

#include "api/quantity.h"
#include "base/buf.h"
#include "base/clock.h"
#include "json/json.h"

struct kc_object;

/* Takes the tree, which must be a JSON object; nobody else may keep or change it. */
struct kc_object *kc_object_new(struct json_object *take_tree);
/* From bytes, which it references; -EINVAL when they are not a JSON object. The tree is there already (see
 * kc_object_trim). */
int kc_object_from_bytes(struct kc_bytes *bytes, struct kc_object **ret, struct kc_error *err);
struct kc_object *kc_object_ref(struct kc_object *o);
void kc_object_unref(struct kc_object *o);
KC_DEFINE_CLEANUP(struct kc_object *, kc_object_unref)
/* Drops the tree, which is made again when it is asked for: for objects that are kept for their bytes. Only before the
 * object is shared. */
void kc_object_trim(struct kc_object *o);
/* Read-only tree, valid as long as the object. Any thread. */
const struct json_object *kc_object_json(const struct kc_object *o);
/* Compact JSON, made on first use. Borrowed. Any thread. */
struct kc_bytes *kc_object_bytes(const struct kc_object *o);
/* A tree of the caller's own to change. */
struct json_object *kc_object_copy_json(const struct kc_object *o);
/* "" for cluster-scoped objects. */
const char *kc_object_namespace(const struct kc_object *o);
const char *kc_object_name(const struct kc_object *o);
const char *kc_object_uid(const struct kc_object *o);
const char *kc_object_resource_version(const struct kc_object *o);

/* A growable array of references. */
struct kc_objects {
        struct kc_object **v;
        size_t n, cap;
};
void kc_objects_push_take(struct kc_objects *a, struct kc_object *take_o);
void kc_objects_done(struct kc_objects *a);

/* --- metadata of a tree. Getters return NULL or defaults when absent. */
const char *kc_meta_name(const struct json_object *o);
const char *kc_meta_namespace(const struct json_object *o); /* NULL when absent or "" */
const char *kc_meta_uid(const struct json_object *o);
const char *kc_meta_resource_version(const struct json_object *o);
const char *kc_meta_label(const struct json_object *o, const char *key);
const char *kc_meta_annotation(const struct json_object *o, const char *key);
const struct json_object *kc_meta_labels(const struct json_object *o);
int64_t kc_meta_generation(const struct json_object *o);
bool kc_meta_deleting(const struct json_object *o);         /* deletionTimestamp is set */
kc_time kc_meta_creation_time(const struct json_object *o); /* 0 when absent */
bool kc_meta_has_finalizer(const struct json_object *o, const char *finalizer);
/* The ownerReference with controller: true, or NULL. */
const struct json_object *kc_meta_controller_ref(const struct json_object *o);
bool kc_meta_is_controlled_by(const struct json_object *o, const struct json_object *owner);
/* A new ownerReference (controller and blockOwnerDeletion true) to owner, whose apiVersion and kind are given because
 * listed objects may lack them. */
struct json_object *kc_meta_new_controller_ref(
    const struct json_object *owner, const char *api_version, const char *kind);
void kc_meta_set_label(struct json_object *o, const char *key, const char *value);
void kc_meta_set_annotation(struct json_object *o, const char *key, const char *value);
/* "ns/name" or "name"; heap. */
char *kc_meta_key(const struct json_object *o);
/* Splits a key: *ret_ns is "" without a slash. Heap. */
void kc_key_split(const char *key, char **ret_ns, char **ret_name);

/* The condition of that type in status.conditions, or NULL; and whether its status is "True". */
const struct json_object *kc_condition_get(const struct json_object *status, const char *type);
bool kc_condition_is_true(const struct json_object *status, const char *type);
/* Sets status.conditions' entry: lastTransitionTime moves to now only when the status changes. reason and message NULL:
 * left out. True if something changed. */
bool kc_condition_set(struct json_object *status, const char *type, const char *cond_status, const char *reason,
    const char *message, kc_time now);

/* Pod facts that several daemons need (api/v1/pod of upstream). */
bool kc_pod_is_ready(const struct json_object *pod);
bool kc_pod_is_terminal(const struct json_object *pod); /* phase Succeeded or Failed */
/* Ready for at least min_ready_seconds at now. */
bool kc_pod_is_available(const struct json_object *pod, int64_t min_ready_seconds, kc_time now);
/* Sum of containers, init containers (sidecars too) and overhead as the scheduler counts requests: milli-CPU, bytes.
 * Name: "cpu", "memory", "ephemeral-storage", "pods" or an extended resource. CPU in milli units, others in whole
 * units. */
int64_t kc_pod_request(const struct json_object *pod, const char *resource);
/* The same exactly, for "requests" or "limits" (PodRequests and PodLimits of component-helpers). False, and zero:
 * nothing is said of it. */
bool kc_pod_amount(const struct json_object *pod, const char *part, const char *resource, struct kc_quantity *ret);

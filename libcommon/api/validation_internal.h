/* Shared by the sources of validation: paths, errors, and the rules that several kinds have in common. Functions are
 * named after what they check and collect upstream's errors in upstream's order. */
#pragma once

#include <stdint.h>

#include "api/names.h"
#include "api/quantity.h"
#include "api/status.h"
#include "api/validation.h"
#include "base/buf.h"
#include "base/map.h"

/* field.Path as a chain on the stack, made into text only for an error. */
struct kc_vpath {
        const struct kc_vpath *up;
        enum { KC_VPATH_CHILD, KC_VPATH_INDEX, KC_VPATH_KEY } kind;
        const char *key;
        size_t index;
};
#define V_CHILD(p, name) (&(const struct kc_vpath){.up = (p), .kind = KC_VPATH_CHILD, .key = (name)})
#define V_INDEX(p, i) (&(const struct kc_vpath){.up = (p), .kind = KC_VPATH_INDEX, .index = (i)})
#define V_KEY(p, name) (&(const struct kc_vpath){.up = (p), .kind = KC_VPATH_KEY, .key = (name)})
#define V_CHILD2(p, a, b) V_CHILD(V_CHILD(p, a), b)
#define V_CHILD3(p, a, b, c) V_CHILD(V_CHILD2(p, a, b), c)

/* "spec.containers[0].name"; heap. */
char *kc_v_path(const struct kc_vpath *p);

struct kc_v {
        struct kc_field_errors *errors;
        bool is_pod;                   /* a pod itself, not a template */
        const struct json_object *pod; /* NULL for templates */
        struct kc_map *volumes;        /* of the spec at hand: those without errors, by name */
};

void kc_v_required(struct kc_v *v, const struct kc_vpath *p, const char *detail);
void kc_v_invalid(struct kc_v *v, const struct kc_vpath *p, const struct json_object *value, const char *detail);
void kc_v_invalid_str(struct kc_v *v, const struct kc_vpath *p, const char *value, const char *detail);
void kc_v_invalid_int(struct kc_v *v, const struct kc_vpath *p, int64_t value, const char *detail);
/* Invalid without the value (field.OmitValueType). */
void kc_v_invalid_unsaid(struct kc_v *v, const struct kc_vpath *p, const char *detail);
/* valid: in the order in which they are to be printed. */
void kc_v_not_supported(struct kc_v *v, const struct kc_vpath *p, const char *value, const char *const *valid);
void kc_v_duplicate(struct kc_v *v, const struct kc_vpath *p, const char *value);
void kc_v_duplicate_json(struct kc_v *v, const struct kc_vpath *p, const struct json_object *value);
void kc_v_forbidden(struct kc_v *v, const struct kc_vpath *p, const char *detail);
void kc_v_not_found(struct kc_v *v, const struct kc_vpath *p, const char *value);
void kc_v_too_long(struct kc_v *v, const struct kc_vpath *p, int max);
void kc_v_too_many(struct kc_v *v, const struct kc_vpath *p, size_t actual, int max);
void kc_v_internal(struct kc_v *v, const struct kc_vpath *p, const char *detail);
void kc_v_add(struct kc_v *v, const char *reason, const struct kc_vpath *p, const char *message);

typedef void (*kc_name_fn)(const char *s, struct kc_why *why);

/* "" for an absent string. */
const char *kc_v_str(const struct json_object *o, const char *key);
/* Nothing but spaces. */
bool kc_v_is_blank(const char *s);
bool kc_v_in(const char *s, const char *const *valid);
/* The elements of a list by the string at key (NULL: the elements are strings themselves), for look-ups that do not
 * take quadratic time. The last of equal ones; values are the elements. */
struct kc_map *kc_v_index(const struct json_object *list, const char *key);
/* True the first time that key is given. */
bool kc_v_first(struct kc_map *seen, const char *key);
/* A Duplicate error for each element of the list that was there before. */
void kc_v_repeated(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list);
/* One Invalid error for each message of check. */
void kc_v_name(struct kc_v *v, const struct kc_vpath *p, const char *value, kc_name_fn check);
/* "example.com/path". */
void kc_v_domain_prefixed_path(struct kc_v *v, const struct kc_vpath *p, const char *value);
/* Lines that say for people what differs, from path on. */
void kc_v_describe_difference(
    struct kc_buf *b, const char *path, const struct json_object *now, const struct json_object *old);
/* A domain name of at least three labels. */
void kc_v_fully_qualified_name(struct kc_v *v, const struct kc_vpath *p, const char *value);
/* The integer at o.key, where it is there, is >= 0. */
void kc_v_nonnegative(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const char *key);
/* An enumerated string that is required. */
void kc_v_enum(struct kc_v *v, const struct kc_vpath *p, const char *value, const char *const *valid);
void kc_v_port_number(struct kc_v *v, const struct kc_vpath *p, int64_t port);
void kc_v_port_number_or_name(struct kc_v *v, const struct kc_vpath *p, const struct json_object *port);
void kc_v_immutable(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *value, const struct json_object *old);
/* An IntOrString: a number that is not negative, or a percentage. */
void kc_v_int_or_percent(struct kc_v *v, const struct kc_vpath *p, const struct json_object *value);
void kc_v_at_most_100_percent(struct kc_v *v, const struct kc_vpath *p, const struct json_object *value);
/* The number, or that of the percentage; 0 for anything else. ret_percent may be NULL. */
int64_t kc_v_int_or_percent_value(const struct json_object *value, bool *ret_percent);
/* Equality in which absent, null, {} and [] are the same, and quantities are compared as numbers. */
bool kc_v_equal(const struct json_object *a, const struct json_object *b);

/* metav1.Conditions. */
void kc_v_conditions(struct kc_v *v, const struct kc_vpath *p, const struct json_object *conditions);
/* A TypedLocalObjectReference as Ingresses have it. */
void kc_v_typed_local_reference(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ref);

bool kc_v_ip(struct kc_v *v, const struct kc_vpath *p, const char *ip);
void kc_v_ip_not_special(struct kc_v *v, const struct kc_vpath *p, const char *ip);
bool kc_v_cidr(struct kc_v *v, const struct kc_vpath *p, const char *cidr);
/* The list holds one address (or CIDR) of each family and nothing else. */
bool kc_v_dual_stack(const struct json_object *list, const char *key);

void kc_v_labels(struct kc_v *v, const struct kc_vpath *p, const struct json_object *labels);
void kc_v_annotations(struct kc_v *v, const struct kc_vpath *p, const struct json_object *annotations);
void kc_v_label_selector(struct kc_v *v, const struct kc_vpath *p, const struct json_object *selector);
void kc_v_kube_finalizer(struct kc_v *v, const struct kc_vpath *p, const char *name);

/* ObjectMeta: the rules of creation, with the name rule of the kind, and those of an update. */
void kc_v_meta(struct kc_v *v, const struct json_object *obj, bool namespaced, kc_name_fn name);
void kc_v_meta_update(struct kc_v *v, const struct json_object *obj, const struct json_object *old);

/* --- Resources */
void kc_v_resource_quantity(
    struct kc_v *v, const struct kc_vpath *p, const char *resource, const struct json_object *q);
/* True if the name is one of a resource at all. */
bool kc_v_resource_name(struct kc_v *v, const struct kc_vpath *p, const char *resource);
/* What the resources of a container may be called. */
void kc_v_container_resource_name(struct kc_v *v, const struct kc_vpath *p, const char *resource);
/* pod_claims: spec.resourceClaims. */
void kc_v_resources(struct kc_v *v, const struct kc_vpath *p, const struct json_object *resources, bool pod_level,
    const struct json_object *pod_claims);
void kc_v_pod_resources(struct kc_v *v, const struct kc_vpath *spec_path, const struct json_object *spec);
/* Greater than zero (ValidatePositiveQuantityValue). */
bool kc_v_positive_quantity(struct kc_v *v, const struct kc_vpath *p, const struct json_object *q);
/* At least zero (ValidateNonnegativeQuantity). */
void kc_v_nonnegative_quantity(struct kc_v *v, const struct kc_vpath *p, const struct json_object *q);
/* Is it unprefixed, or of the domain kubernetes.io? */
bool kc_v_is_native_resource(const char *resource);
/* Is it one that somebody else defines, and may a quota of it be named? */
bool kc_v_is_extended_resource(const char *resource);
bool kc_v_read_quantity(const struct json_object *q, struct kc_quantity *ret);

/* --- Pods */
void kc_v_pod_spec(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec);
void kc_v_pod_template(struct kc_v *v, const struct kc_vpath *p, const struct json_object *template);
void kc_v_pod_annotations(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *annotations, const struct json_object *spec);
/* Annotations that must agree with security contexts. */
void kc_v_profile_annotations(
    struct kc_v *v, const struct json_object *meta, const struct kc_vpath *spec_path, const struct json_object *spec);
/* Fills v->volumes. */
void kc_v_volumes(struct kc_v *v, const struct kc_vpath *p, const struct json_object *volumes);
void kc_v_containers(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec);
void kc_v_init_containers(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec);
void kc_v_ephemeral_containers(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec);
void kc_v_container_image_for_pod(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container);
void kc_v_env(struct kc_v *v, const struct kc_vpath *p, const struct json_object *env);
void kc_v_env_from(struct kc_v *v, const struct kc_vpath *p, const struct json_object *env_from);
void kc_v_volume_mounts(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container);
void kc_v_volume_devices(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container);
void kc_v_object_field(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ref, bool for_volume);
void kc_v_resource_field(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ref, bool for_volume);
void kc_v_path_relative(struct kc_v *v, const struct kc_vpath *p, const char *path);
void kc_v_path_no_backsteps(struct kc_v *v, const struct kc_vpath *p, const char *path);
void kc_v_path_not_reserved(struct kc_v *v, const struct kc_vpath *p, const char *path);
void kc_v_probes_and_lifecycle(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *container, const struct json_object *spec);
void kc_v_pull_policy(struct kc_v *v, const struct kc_vpath *p, const char *policy);
void kc_v_security_context(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *sc, const struct json_object *spec);
void kc_v_pod_security_context(struct kc_v *v, const struct kc_vpath *spec_path, const struct json_object *spec);
void kc_v_pod_os(struct kc_v *v, const struct kc_vpath *spec_path, const struct json_object *spec);
void kc_v_windows_host_process(struct kc_v *v, const struct kc_vpath *spec_path, const struct json_object *spec);
void kc_v_affinity(struct kc_v *v, const struct kc_vpath *p, const struct json_object *affinity);
void kc_v_tolerations(struct kc_v *v, const struct kc_vpath *p, const struct json_object *tolerations);
void kc_v_taint_effect(struct kc_v *v, const struct kc_vpath *p, const char *effect, bool allow_empty);
void kc_v_topology_spread(struct kc_v *v, const struct kc_vpath *p, const struct json_object *constraints);
void kc_v_dns_config(struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec);
void kc_v_preemption_policy(struct kc_v *v, const struct kc_vpath *p, const char *policy);
/* Calls fn for each init, regular and ephemeral container. */
void kc_v_each_container(struct kc_v *v, const struct kc_vpath *spec_path, const struct json_object *spec,
    void (*fn)(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container, void *arg), void *arg);

/* --- Kinds: on creation, and on update (subresource "" or its name). */
void kc_v_create_pod(struct kc_v *v, const struct json_object *o);
void kc_v_update_pod(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource);
void kc_v_pod_meta_and_spec(struct kc_v *v, const struct json_object *o);
void kc_v_pod_status_update(struct kc_v *v, const struct json_object *o, const struct json_object *old);
void kc_v_pod_resize(struct kc_v *v, const struct json_object *o, const struct json_object *old);
void kc_v_pod_annotation_update(struct kc_v *v, const struct json_object *o, const struct json_object *old);

#define V_KIND(kind)                                                                                                   \
        void kc_v_create_##kind(struct kc_v *v, const struct json_object *o);                                          \
        void kc_v_update_##kind(                                                                                       \
            struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
V_KIND(persistent_volume);
V_KIND(persistent_volume_claim);
V_KIND(service);
V_KIND(endpoints);
V_KIND(endpoint_slice);
V_KIND(config_map);
V_KIND(secret);
V_KIND(service_account);
V_KIND(namespace);
V_KIND(node);
V_KIND(event);
V_KIND(new_event);
V_KIND(lease);
V_KIND(priority_class);
V_KIND(controller_revision);
V_KIND(replication_controller);
V_KIND(replica_set);
V_KIND(deployment);
V_KIND(daemon_set);
V_KIND(stateful_set);
V_KIND(horizontal_pod_autoscaler);
V_KIND(pod_disruption_budget);
V_KIND(network_policy);
V_KIND(ingress);
V_KIND(ingress_class);
V_KIND(ip_address);
V_KIND(service_cidr);
V_KIND(storage_class);
V_KIND(volume_attributes_class);
V_KIND(volume_attachment);
V_KIND(csi_driver);
V_KIND(csi_node);
V_KIND(csi_storage_capacity);
V_KIND(validating_webhook_configuration);
V_KIND(mutating_webhook_configuration);
V_KIND(validating_admission_policy);
V_KIND(validating_admission_policy_binding);
V_KIND(mutating_admission_policy);
V_KIND(mutating_admission_policy_binding);
V_KIND(resource_quota);
V_KIND(limit_range);
V_KIND(pod_template);
V_KIND(runtime_class);
V_KIND(flow_schema);
V_KIND(priority_level_configuration);
V_KIND(certificate_signing_request);
V_KIND(cluster_trust_bundle);
V_KIND(api_service);
V_KIND(custom_resource_definition);
V_KIND(resource_claim);
V_KIND(resource_claim_template);
V_KIND(device_class);
V_KIND(resource_slice);
V_KIND(job);
V_KIND(cron_job);
V_KIND(role);
V_KIND(cluster_role);
V_KIND(role_binding);
V_KIND(cluster_role_binding);

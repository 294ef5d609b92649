/* What the describers share. Main thread, as all of the command line. */
#pragma once

#include "api/object.h"
#include "base/str.h"
#include "cli/describe/describe.h"
#include "cli/describe/layout.h"
#include "json/json.h"

/* One object that is described. */
struct kc_describing {
        struct kc_layout out;
        struct kc_rest *rest;
        const struct kc_api_resource *res;
        const struct json_object *obj;
        const struct kc_describe_opts *opts;
};
/* 0, or a negative errno with err set: nothing is printed of the object then. */
typedef int kc_describer(struct kc_describing *d, struct kc_error *err);

#define kc_line(d, level, ...) kc_layout_add(&(d)->out, level, __VA_ARGS__)

/* --- common.c: values */

/* The string, or "". */
const char *kc_text(const struct json_object *o, const char *path);
/* "true" or "false"; "True" or "False". */
const char *kc_bool_word(bool b);
const char *kc_bool_title(bool b);
/* RFC 1123 in the zone of the user: "Fri, 02 Jan 2026 03:04:05 +0000"; what is no time as it is. Heap. */
char *kc_time_words(const char *rfc3339);
/* "5m", of the time since then; "<unknown>" without one. buf needs KC_TIME_LEN. */
const char *kc_since(const char *rfc3339, char *buf);
/* A scalar as Go's %v prints it: numbers and booleans too; an absent one is "". Heap. */
char *kc_scalar(const struct json_object *o);
/* A list as "a, b" or with Go's brackets, "[a b]". Heap. */
char *kc_joined(const struct json_object *list, const char *separator);
char *kc_bracketed(const struct json_object *list);
/* The keys of an object in order; strv. */
char **kc_sorted_keys(const struct json_object *o);
/* A quantity in its canonical form; "0" when absent. Heap. */
char *kc_quantity_words(const struct json_object *resources, const char *name);
/* A metav1.LabelSelector as text; "<none>". Heap. */
char *kc_label_selector_words(const struct json_object *selector);
/* A plain map as "a=b,c=d"; "<none>" (labels.FormatLabels). Heap. */
char *kc_labels_words(const struct json_object *labels);
/* Indices of the array by the text of a field, stable; free with kc_free. */
size_t *kc_order_by(const struct json_object *array, const char *path);
/* "RWO,ROX" of accessModes, each once. Heap. */
char *kc_access_modes_words(const struct json_object *modes);

/* --- common.c: blocks that many kinds have */

void kc_describe_name(struct kc_describing *d);
void kc_describe_namespace(struct kc_describing *d);
void kc_describe_labels(struct kc_describing *d, const char *title, const struct json_object *labels);
void kc_describe_annotations(struct kc_describing *d, const char *title, const struct json_object *annotations);
/* Labels and annotations of the object. */
void kc_describe_meta(struct kc_describing *d);
/* "Controlled By:" if it is. */
void kc_describe_controller(struct kc_describing *d);
/* Events that tell of the object. An error when they cannot be read is none of the object's: nothing is said. */
void kc_describe_events(struct kc_describing *d);
/* The same with another uid (mirror pods, nodes); uid NULL: none in the query. */
void kc_describe_events_of(struct kc_describing *d, const char *const *uids, size_t n);

/* --- events.c: requests */

/* GET of a list; *ret has the items of all pages. */
int kc_describe_list(struct kc_describing *d, const struct kc_gvr *g, const char *ns, const char *label_selector,
    const char *field_selector, struct json_object **ret, struct kc_error *err);

/* --- pods: container.c, volumes.c, pod.c */

/* pod: where fields that the environment refers to come from; NULL for templates. indent: "" or "  ". */
void kc_describe_containers(struct kc_describing *d, const char *label, const struct json_object *containers,
    const struct json_object *statuses, const struct json_object *pod, const char *indent);
void kc_describe_resources(struct kc_describing *d, const struct json_object *resources, int level);
void kc_describe_volumes(struct kc_describing *d, const struct json_object *volumes, const char *indent);
/* The source of a volume of a pod, or of a PersistentVolume. */
void kc_describe_volume_source(struct kc_describing *d, const struct json_object *source, bool persistent);
void kc_describe_tolerations(struct kc_describing *d, const char *title, const struct json_object *tolerations);
void kc_describe_topology_spread(struct kc_describing *d, const struct json_object *constraints, const char *indent);
void kc_describe_pod_template(struct kc_describing *d, const struct json_object *template);

/* --- generic.c */

/* Whatever the object has, by the names of its fields. */
kc_describer kc_describe_generic;

/* --- one of each kind */
kc_describer kc_describe_pod, kc_describe_replication_controller, kc_describe_replica_set, kc_describe_deployment,
    kc_describe_daemon_set, kc_describe_stateful_set, kc_describe_job, kc_describe_cron_job, kc_describe_node,
    kc_describe_namespace_object, kc_describe_service, kc_describe_endpoints, kc_describe_endpoint_slice,
    kc_describe_ingress, kc_describe_ingress_class, kc_describe_network_policy, kc_describe_ip_address,
    kc_describe_service_cidr, kc_describe_persistent_volume, kc_describe_claim, kc_describe_storage_class,
    kc_describe_csi_node, kc_describe_volume_attributes_class, kc_describe_config_map, kc_describe_secret,
    kc_describe_service_account, kc_describe_limit_range, kc_describe_resource_quota, kc_describe_role,
    kc_describe_role_binding, kc_describe_priority_class, kc_describe_disruption_budget, kc_describe_autoscaler,
    kc_describe_csr;

/* --- quotas.c: parts of a Namespace, too */
void kc_describe_quotas_of_namespace(struct kc_describing *d, const struct json_object *quotas);
void kc_describe_limits_of_namespace(struct kc_describing *d, const struct json_object *ranges);

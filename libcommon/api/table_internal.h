/* Printers: one function per kind that appends the cells of an object. */
#pragma once

#include "api/table.h"

typedef void (*kc_printer_fn)(struct json_object *cells, const struct json_object *obj, kc_time now);

void kc_cell_str(struct json_object *cells, const char *s); /* NULL: "" */
void kc_cell_str_take(struct json_object *cells, char *take_s);
void kc_cell_int(struct json_object *cells, int64_t v);
void kc_cell_bool(struct json_object *cells, bool v);
/* Words of a JSON array with commas between them; none if there are none. */
void kc_cell_words(struct json_object *cells, const struct json_object *words, const char *none);
/* The text, or "<none>" for NULL and "". */
void kc_cell_str_or_none(struct json_object *cells, const char *s);
void kc_cell_name(struct json_object *cells, const struct json_object *obj);
/* Time since metadata.creationTimestamp. */
void kc_cell_age(struct json_object *cells, const struct json_object *obj, kc_time now);
/* "5m" since an RFC 3339 time, or "<unknown>"; buf needs KC_TIME_LEN. */
const char *kc_time_since(const char *time, kc_time now, char buf[static KC_TIME_LEN]);
/* "a=b,c=d" sorted, "<none>" for no labels. Heap. */
char *kc_labels_format(const struct json_object *labels);
/* A metav1.LabelSelector in that form, "<none>" when it is empty. Heap. */
char *kc_label_selector_format(const struct json_object *selector);
/* Names of the containers of a pod spec, then their images. */
void kc_cells_containers(struct json_object *cells, const struct json_object *pod_spec);

void kc_print_pod(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_node(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_namespace(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_config_map(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_secret(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_name_and_age(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_event(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_events_event(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_service(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_endpoints(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_endpoint_slice(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_replication_controller(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_replica_set(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_deployment(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_daemon_set(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_controller_revision(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_lease(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_role_binding(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_priority_class(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_job(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_cron_job(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_autoscaler(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_disruption_budget(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_persistent_volume(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_persistent_volume_claim(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_storage_class(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_volume_attributes_class(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_volume_attachment(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_csi_node(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_csi_driver(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_resource_quota(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_ingress(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_ingress_class(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_network_policy(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_ip_address(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_service_cidr(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_webhook_configuration(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_validating_policy(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_mutating_policy(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_policy_binding(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_flow_schema(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_priority_level(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_signing_request(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_trust_bundle(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_api_service(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_component_status(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_runtime_class(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_resource_claim(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_resource_slice(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_stateful_set(struct json_object *cells, const struct json_object *obj, kc_time now);
void kc_print_pod_template(struct json_object *cells, const struct json_object *obj, kc_time now);

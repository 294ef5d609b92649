/* Tables as kubectl get asks for them: columns from the schema, cells from the printers. Any thread. */
#include "api/table_internal.h"

#include <string.h>

#include "api/selector.h"
#include "base/mem.h"
#include "base/str.h"

static const struct {
        const char *group, *resource;
        kc_printer_fn print;
} printers[] = {
    {"", "componentstatuses", kc_print_component_status},
    {"", "configmaps", kc_print_config_map},
    {"", "endpoints", kc_print_endpoints},
    {"", "events", kc_print_event},
    {"", "namespaces", kc_print_namespace},
    {"", "nodes", kc_print_node},
    {"", "persistentvolumeclaims", kc_print_persistent_volume_claim},
    {"", "persistentvolumes", kc_print_persistent_volume},
    {"", "pods", kc_print_pod},
    {"", "podtemplates", kc_print_pod_template},
    {"", "replicationcontrollers", kc_print_replication_controller},
    {"", "resourcequotas", kc_print_resource_quota},
    {"", "secrets", kc_print_secret},
    {"", "serviceaccounts", kc_print_name_and_age},
    {"", "services", kc_print_service},
    {"admissionregistration.k8s.io", "mutatingadmissionpolicies", kc_print_mutating_policy},
    {"admissionregistration.k8s.io", "mutatingadmissionpolicybindings", kc_print_policy_binding},
    {"admissionregistration.k8s.io", "mutatingwebhookconfigurations", kc_print_webhook_configuration},
    {"admissionregistration.k8s.io", "validatingadmissionpolicies", kc_print_validating_policy},
    {"admissionregistration.k8s.io", "validatingadmissionpolicybindings", kc_print_policy_binding},
    {"admissionregistration.k8s.io", "validatingwebhookconfigurations", kc_print_webhook_configuration},
    {"apiregistration.k8s.io", "apiservices", kc_print_api_service},
    {"apps", "controllerrevisions", kc_print_controller_revision},
    {"apps", "daemonsets", kc_print_daemon_set},
    {"apps", "deployments", kc_print_deployment},
    {"apps", "replicasets", kc_print_replica_set},
    {"apps", "statefulsets", kc_print_stateful_set},
    {"autoscaling", "horizontalpodautoscalers", kc_print_autoscaler},
    {"batch", "cronjobs", kc_print_cron_job},
    {"batch", "jobs", kc_print_job},
    {"certificates.k8s.io", "certificatesigningrequests", kc_print_signing_request},
    {"certificates.k8s.io", "clustertrustbundles", kc_print_trust_bundle},
    {"coordination.k8s.io", "leases", kc_print_lease},
    {"discovery.k8s.io", "endpointslices", kc_print_endpoint_slice},
    {"events.k8s.io", "events", kc_print_events_event},
    {"flowcontrol.apiserver.k8s.io", "flowschemas", kc_print_flow_schema},
    {"flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", kc_print_priority_level},
    {"networking.k8s.io", "ingressclasses", kc_print_ingress_class},
    {"networking.k8s.io", "ingresses", kc_print_ingress},
    {"networking.k8s.io", "ipaddresses", kc_print_ip_address},
    {"networking.k8s.io", "networkpolicies", kc_print_network_policy},
    {"networking.k8s.io", "servicecidrs", kc_print_service_cidr},
    {"node.k8s.io", "runtimeclasses", kc_print_runtime_class},
    {"policy", "poddisruptionbudgets", kc_print_disruption_budget},
    {"rbac.authorization.k8s.io", "clusterrolebindings", kc_print_role_binding},
    {"rbac.authorization.k8s.io", "rolebindings", kc_print_role_binding},
    {"resource.k8s.io", "deviceclasses", kc_print_name_and_age},
    {"resource.k8s.io", "resourceclaims", kc_print_resource_claim},
    {"resource.k8s.io", "resourceclaimtemplates", kc_print_name_and_age},
    {"resource.k8s.io", "resourceslices", kc_print_resource_slice},
    {"scheduling.k8s.io", "priorityclasses", kc_print_priority_class},
    {"storage.k8s.io", "csidrivers", kc_print_csi_driver},
    {"storage.k8s.io", "csinodes", kc_print_csi_node},
    {"storage.k8s.io", "storageclasses", kc_print_storage_class},
    {"storage.k8s.io", "volumeattachments", kc_print_volume_attachment},
    {"storage.k8s.io", "volumeattributesclasses", kc_print_volume_attributes_class},
};

/* What kinds without columns of their own have. */
static const struct kc_column default_columns[] = {
    {"Name", "string", "name", NULL, "Name of the object, unique in its scope.", 0},
    {"Created At", "date", "", NULL, "When the object was created.", 0},
};

struct json_object *kc_table_new(const struct kc_resource *r)
{
        const struct kc_column *columns = r->n_columns ? r->columns : default_columns;
        size_t n = r->n_columns ? r->n_columns : KC_ARRAY_LEN(default_columns);
        struct json_object *table = kc_json_build(
            "{'kind':'Table','apiVersion':'meta.k8s.io/v1','metadata':{},'columnDefinitions':[],'rows':[]}");
        struct json_object *definitions = kc_json_get_mut(table, "columnDefinitions");
        for (size_t i = 0; i < n; i++)
                kc_json_push(
                    definitions, kc_json_build("{'name':%s,'type':%s,'format':%s,'description':%s,'priority':%d}",
                                     columns[i].name, columns[i].type, columns[i].format ? columns[i].format : "",
                                     columns[i].description ? columns[i].description : "", columns[i].priority));
        return table;
}

struct json_object *kc_table_cells(const struct kc_resource *r, const struct json_object *obj, kc_time now)
{
        struct json_object *cells = kc_json_build("[]");
        for (size_t i = 0; r->n_columns && i < KC_ARRAY_LEN(printers); i++) {
                if (kc_streq(printers[i].group, r->group) && kc_streq(printers[i].resource, r->resource)) {
                        printers[i].print(cells, obj, now);
                        return cells;
                }
        }
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str_at(obj, "metadata.creationTimestamp"));
        return cells;
}

/* --- Cells that printers share */

void kc_cell_str(struct json_object *cells, const char *s)
{
        kc_json_push_str(cells, s ? s : "");
}

void kc_cell_str_take(struct json_object *cells, char *take_s)
{
        kc_cell_str(cells, take_s);
        kc_free(take_s);
}

void kc_cell_int(struct json_object *cells, int64_t v)
{
        kc_json_push(cells, kc_json_build("%lld", (long long)v));
}

void kc_cell_bool(struct json_object *cells, bool v)
{
        kc_json_push(cells, kc_json_build("%b", v));
}

void kc_cell_words(struct json_object *cells, const struct json_object *words, const char *none)
{
        KC_CLEANUP(kc_strv_freep) char **v = NULL;
        for (size_t i = 0; i < kc_json_len(words); i++) {
                const char *s = kc_json_as_str(kc_json_idx(words, i));
                kc_strv_push(&v, s ? s : "");
        }
        kc_cell_str_take(cells, v ? kc_strv_join(v, ",") : kc_strdup(none));
}

void kc_cell_str_or_none(struct json_object *cells, const char *s)
{
        kc_cell_str(cells, kc_str_empty(s) ? "<none>" : s);
}

void kc_cell_name(struct json_object *cells, const struct json_object *obj)
{
        kc_cell_str(cells, kc_json_str_at(obj, "metadata.name"));
}

const char *kc_time_since(const char *time, kc_time now, char buf[static KC_TIME_LEN])
{
        kc_time t;
        if (!time || kc_time_parse(time, &t) < 0)
                return "<unknown>";
        return kc_duration_human(now - t, buf);
}

void kc_cell_age(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        char buf[KC_TIME_LEN];
        kc_cell_str(cells, kc_time_since(kc_json_str_at(obj, "metadata.creationTimestamp"), now, buf));
}

char *kc_labels_format(const struct json_object *labels)
{
        KC_CLEANUP(kc_strv_freep) char **pairs = NULL;
        KC_JSON_FOREACH(labels, key, val)
        {
                const char *s = kc_json_as_str(val);
                kc_strv_pushf(&pairs, "%s=%s", key, s ? s : "");
        }
        if (!pairs)
                return kc_strdup("<none>");
        kc_strv_sort(pairs);
        return kc_strv_join(pairs, ",");
}

char *kc_label_selector_format(const struct json_object *selector)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = NULL;
        if (kc_selector_from_label_selector(selector, &s, NULL) < 0)
                return kc_strdup("<error>");
        char *text = kc_selector_format(s);
        if (*text)
                return text;
        kc_free(text);
        return kc_strdup("<none>");
}

void kc_cells_containers(struct json_object *cells, const struct json_object *pod_spec)
{
        KC_CLEANUP(kc_strv_freep) char **names = kc_strv_split("", ',');
        KC_CLEANUP(kc_strv_freep) char **images = kc_strv_split("", ',');
        const struct json_object *containers = kc_json_get(pod_spec, "containers");
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                const struct json_object *c = kc_json_idx(containers, i);
                const char *name = kc_json_str(c, "name"), *image = kc_json_str(c, "image");
                kc_strv_push(&names, name ? name : "");
                kc_strv_push(&images, image ? image : "");
        }
        kc_cell_str_take(cells, kc_strv_join(names, ","));
        kc_cell_str_take(cells, kc_strv_join(images, ","));
}

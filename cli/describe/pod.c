/* Pods and their templates. */
#include <string.h>

#include "base/clock.h"
#include "cli/describe/internal.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"

static void describe_toleration(struct kc_describing *d, const struct json_object *t)
{
        const char *key = kc_text(t, "key"), *value = kc_text(t, "value"), *effect = kc_text(t, "effect"),
                   *operator= kc_text(t, "operator");
        kc_line(d, 0, "%s", key);
        if (value[0])
                kc_line(d, 0, "=%s", value);
        if (effect[0])
                kc_line(d, 0, ":%s", effect);
        if (kc_streq(operator, "Exists") && !value[0])
                kc_line(d, 0, "%sop=Exists", key[0] || effect[0] ? " " : "");
        if (kc_json_get(t, "tolerationSeconds"))
                kc_line(d, 0, " for %llds", (long long)kc_json_int(t, "tolerationSeconds", 0));
        kc_line(d, 0, "\n");
}

void kc_describe_tolerations(struct kc_describing *d, const char *title, const struct json_object *tolerations)
{
        KC_CLEANUP(kc_freep) size_t *order = kc_order_by(tolerations, "key");
        kc_line(d, 0, "%s:\t%s", title, kc_json_len(tolerations) ? "" : "<none>\n");
        for (size_t i = 0; i < kc_json_len(tolerations); i++) {
                if (i > 0)
                        kc_line(d, 0, "\t");
                describe_toleration(d, kc_json_idx(tolerations, order[i]));
        }
}

void kc_describe_topology_spread(struct kc_describing *d, const struct json_object *constraints, const char *indent)
{
        KC_CLEANUP(kc_freep) size_t *order = kc_order_by(constraints, "topologyKey");
        if (kc_json_len(constraints) > 0)
                kc_line(d, 0, "%sTopology Spread Constraints:\t", indent);
        for (size_t i = 0; i < kc_json_len(constraints); i++) {
                const struct json_object *t = kc_json_idx(constraints, order[i]);
                const struct json_object *selector = kc_json_get(t, "labelSelector");
                if (i > 0)
                        kc_line(d, 0, "%s\t", indent);
                kc_line(d, 0, "%s:%s when max skew %lld is exceeded", kc_text(t, "topologyKey"),
                    kc_text(t, "whenUnsatisfiable"), (long long)kc_json_int(t, "maxSkew", 0));
                KC_CLEANUP(kc_freep) char *text = kc_label_selector_words(selector);
                if (selector)
                        kc_line(d, 0, " for selector %s", text);
                kc_line(d, 0, "\n");
        }
}

void kc_describe_pod_template(struct kc_describing *d, const struct json_object *template)
{
        const struct json_object *spec = kc_json_get(template, "spec"),
                                 *annotations = kc_json_at(template, "metadata.annotations");
        kc_line(d, 0, "Pod Template:\n");
        if (!template) {
                kc_line(d, 1, "<unset>");
                return;
        }
        kc_describe_labels(d, "  Labels", kc_json_at(template, "metadata.labels"));
        if (kc_json_n_keys(annotations) > 0)
                kc_describe_annotations(d, "  Annotations", annotations);
        if (kc_text(spec, "serviceAccountName")[0])
                kc_line(d, 1, "Service Account:\t%s\n", kc_text(spec, "serviceAccountName"));
        if (kc_json_len(kc_json_get(spec, "initContainers")) > 0)
                kc_describe_containers(d, "Init Containers", kc_json_get(spec, "initContainers"), NULL, NULL, "  ");
        kc_describe_containers(d, "Containers", kc_json_get(spec, "containers"), NULL, NULL, "  ");
        kc_describe_volumes(d, kc_json_get(spec, "volumes"), "  ");
        kc_describe_topology_spread(d, kc_json_get(spec, "topologySpreadConstraints"), "  ");
        if (kc_text(spec, "priorityClassName")[0])
                kc_line(d, 1, "Priority Class Name:\t%s\n", kc_text(spec, "priorityClassName"));
        kc_describe_labels(d, "  Node-Selectors", kc_json_get(spec, "nodeSelector"));
        kc_describe_tolerations(d, "  Tolerations", kc_json_get(spec, "tolerations"));
}

static void describe_status(struct kc_describing *d)
{
        const char *reason = kc_text(d->obj, "status.reason"), *message = kc_text(d->obj, "status.message");
        const char *deleted = kc_json_str_at(d->obj, "metadata.deletionTimestamp");
        char buf[KC_TIME_LEN];
        if (deleted && !kc_streq(reason, "NodeLost")) {
                kc_line(d, 0, "Status:\tTerminating (lasts %s)\n", kc_since(deleted, buf));
                kc_line(d, 0, "Termination Grace Period:\t%llds\n",
                    (long long)kc_json_int_at(d->obj, "metadata.deletionGracePeriodSeconds", 0));
        } else {
                kc_line(d, 0, "Status:\t%s\n", kc_text(d->obj, "status.phase"));
        }
        if (reason[0])
                kc_line(d, 0, "Reason:\t%s\n", reason);
        if (message[0])
                kc_line(d, 0, "Message:\t%s\n", message);
}

static void describe_head(struct kc_describing *d)
{
        const struct json_object *spec = kc_json_get(d->obj, "spec");
        const char *start = kc_json_str_at(d->obj, "status.startTime");
        kc_describe_name(d);
        kc_describe_namespace(d);
        if (kc_json_get(spec, "priority"))
                kc_line(d, 0, "Priority:\t%lld\n", (long long)kc_json_int(spec, "priority", 0));
        if (kc_text(spec, "priorityClassName")[0])
                kc_line(d, 0, "Priority Class Name:\t%s\n", kc_text(spec, "priorityClassName"));
        if (kc_json_str(spec, "runtimeClassName"))
                kc_line(d, 0, "Runtime Class Name:\t%s\n", kc_text(spec, "runtimeClassName"));
        if (kc_text(spec, "serviceAccountName")[0])
                kc_line(d, 0, "Service Account:\t%s\n", kc_text(spec, "serviceAccountName"));
        if (kc_text(spec, "nodeName")[0])
                kc_line(d, 0, "Node:\t%s/%s\n", kc_text(spec, "nodeName"), kc_text(d->obj, "status.hostIP"));
        else
                kc_line(d, 0, "Node:\t<none>\n");
        if (start) {
                KC_CLEANUP(kc_freep) char *text = kc_time_words(start);
                kc_line(d, 0, "Start Time:\t%s\n", text);
        }
        kc_describe_meta(d);
        describe_status(d);
}

static void describe_addresses(struct kc_describing *d)
{
        const struct json_object *ips = kc_json_at(d->obj, "status.podIPs");
        kc_line(d, 0, "IP:\t%s\n", kc_text(d->obj, "status.podIP"));
        kc_line(d, 0, "IPs:%s\n", kc_json_len(ips) ? "" : "\t<none>");
        for (size_t i = 0; i < kc_json_len(ips); i++)
                kc_line(d, 1, "IP:\t%s\n", kc_text(kc_json_idx(ips, i), "ip"));
}

static void describe_conditions(struct kc_describing *d)
{
        const struct json_object *conditions = kc_json_at(d->obj, "status.conditions");
        const struct json_object *gates = kc_json_at(d->obj, "spec.readinessGates");
        if (kc_json_len(gates) > 0)
                kc_line(d, 0, "Readiness Gates:\n  Type\tStatus\n");
        for (size_t i = 0; i < kc_json_len(gates); i++) {
                const char *type = kc_text(kc_json_idx(gates, i), "conditionType");
                const struct json_object *found = kc_json_find(conditions, "type", type);
                kc_line(d, 1, "%s \t%s \n", type, found ? kc_text(found, "status") : "<none>");
        }
        if (kc_json_len(conditions) > 0)
                kc_line(d, 0, "Conditions:\n  Type\tStatus\n");
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const struct json_object *c = kc_json_idx(conditions, i);
                kc_line(d, 1, "%s \t%s \n", kc_text(c, "type"), kc_text(c, "status"));
        }
}

static void describe_all_containers(struct kc_describing *d)
{
        static const struct {
                const char *label, *spec, *status;
        } groups[] = {{"Init Containers", "spec.initContainers", "status.initContainerStatuses"},
            {"Containers", "spec.containers", "status.containerStatuses"},
            {"Ephemeral Containers", "spec.ephemeralContainers", "status.ephemeralContainerStatuses"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(groups); i++) {
                const struct json_object *list = kc_json_at(d->obj, groups[i].spec);
                if (kc_json_len(list) > 0 || i == 1)
                        kc_describe_containers(
                            d, groups[i].label, list, kc_json_at(d->obj, groups[i].status), d->obj, "");
        }
}

int kc_describe_pod(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *spec = kc_json_get(d->obj, "spec"),
                                 *seccomp = kc_json_at(spec, "securityContext.seccompProfile");
        const char *nominated = kc_text(d->obj, "status.nominatedNodeName");
        describe_head(d);
        if (seccomp)
                kc_line(d, 0, "SeccompProfile:\t%s\n", kc_text(seccomp, "type"));
        if (seccomp && kc_streq(kc_json_str(seccomp, "type"), "Localhost"))
                kc_line(d, 0, "LocalhostProfile:\t%s\n", kc_text(seccomp, "localhostProfile"));
        describe_addresses(d);
        kc_describe_controller(d);
        if (nominated[0])
                kc_line(d, 0, "NominatedNodeName:\t%s\n", nominated);
        if (kc_json_get(spec, "resources")) {
                kc_line(d, 0, "Resources:\n");
                kc_describe_resources(d, kc_json_get(spec, "resources"), 1);
        }
        describe_all_containers(d);
        describe_conditions(d);
        kc_describe_volumes(d, kc_json_get(spec, "volumes"), "");
        kc_line(d, 0, "QoS Class:\t%s\n", kc_text(d->obj, "status.qosClass"));
        kc_describe_labels(d, "Node-Selectors", kc_json_get(spec, "nodeSelector"));
        kc_describe_tolerations(d, "Tolerations", kc_json_get(spec, "tolerations"));
        kc_describe_topology_spread(d, kc_json_get(spec, "topologySpreadConstraints"), "");
        const char *mirror = kc_meta_annotation(d->obj, MIRROR_ANNOTATION);
        const char *uid = mirror ? mirror : kc_text(d->obj, "metadata.uid");
        kc_describe_events_of(d, &uid, 1);
        return 0;
}

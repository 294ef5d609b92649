/* ReplicationControllers, ReplicaSets, Deployments, DaemonSets and ControllerRevisions. Any thread. */
#include <string.h>

#include "api/selector.h"
#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};
static const struct kc_vpath status_path = {.kind = KC_VPATH_CHILD, .key = "status"};

static bool is_empty_selector(const struct json_object *s)
{
        return kc_json_n_keys(kc_json_get(s, "matchLabels")) + kc_json_len(kc_json_get(s, "matchExpressions")) == 0;
}

/* What controllers make pods of: always restarted, without a deadline. kind is for the message. */
static void long_running(struct kc_v *v, const struct kc_vpath *p, const struct json_object *template, const char *kind)
{
        static const char *const always[] = {"Always", NULL};
        const char *policy = kc_v_str(kc_json_get(template, "spec"), "restartPolicy");
        if (!kc_streq(policy, "Always"))
                kc_v_not_supported(v, V_CHILD2(p, "spec", "restartPolicy"), policy, always);
        if (kc_json_at(template, "spec.activeDeadlineSeconds")) {
                KC_CLEANUP(kc_freep) char *detail = kc_asprintf("activeDeadlineSeconds in %s is not Supported", kind);
                kc_v_forbidden(v, V_CHILD2(p, "spec", "activeDeadlineSeconds"), detail);
        }
}

static void selects_template(struct kc_v *v, const struct kc_vpath *template_path, const struct kc_selector *selector,
    const struct json_object *template)
{
        const struct json_object *labels = kc_json_at(template, "metadata.labels");
        if (!kc_selector_matches(selector, labels))
                kc_v_invalid(v, V_CHILD2(template_path, "metadata", "labels"), labels,
                    "`selector` does not match template `labels`");
}

/* The selector and the template of Deployments and ReplicaSets. */
static void selector_and_template(struct kc_v *v, const struct json_object *spec)
{
        const struct json_object *selector = kc_json_get(spec, "selector"), *template = kc_json_get(spec, "template");
        const struct kc_vpath *p = V_CHILD(&spec_path, "selector"), *template_path = V_CHILD(&spec_path, "template");
        KC_CLEANUP(kc_selector_freep) struct kc_selector *compiled = NULL;
        if (!selector) {
                kc_v_required(v, p, "");
        } else {
                kc_v_label_selector(v, p, selector);
                if (is_empty_selector(selector))
                        kc_v_invalid(v, p, selector, "empty selector is invalid for deployment");
        }
        if (kc_selector_from_label_selector(selector, &compiled, NULL) < 0) {
                kc_v_invalid(v, p, selector, "invalid label selector");
                return;
        }
        if (!kc_selector_is_everything(compiled))
                selects_template(v, template_path, compiled, template);
        kc_v_pod_template(v, template_path, template);
        long_running(v, template_path, template, "ReplicaSet");
}

static void selector_update(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        kc_v_immutable(
            v, V_CHILD(&spec_path, "selector"), kc_json_at(o, "spec.selector"), kc_json_at(old, "spec.selector"));
}

/* Counts of a status: none is negative, none but the first exceeds it. */
static void status_counts(struct kc_v *v, const struct json_object *status, const char *const *nonnegative,
    const char *const *within_replicas)
{
        int64_t replicas = kc_json_int(status, "replicas", 0), available = kc_json_int(status, "availableReplicas", 0);
        for (; *nonnegative; nonnegative++)
                kc_v_nonnegative(v, &status_path, status, *nonnegative);
        for (; *within_replicas; within_replicas++) {
                int64_t n = kc_json_int(status, *within_replicas, 0);
                if (n > replicas)
                        kc_v_invalid_int(
                            v, V_CHILD(&status_path, *within_replicas), n, "cannot be greater than status.replicas");
        }
        if (available > kc_json_int(status, "readyReplicas", 0))
                kc_v_invalid_int(
                    v, V_CHILD(&status_path, "availableReplicas"), available, "cannot be greater than readyReplicas");
}

static void collision_count(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const struct json_object *old)
{
        int64_t n = kc_json_int_at(o, "status.collisionCount", 0);
        if (n < kc_json_int_at(old, "status.collisionCount", 0))
                kc_v_invalid_int(v, V_CHILD(p, "collisionCount"), n, "cannot be decremented");
}

static bool is_zero(const struct json_object *value)
{
        return kc_v_int_or_percent_value(value, NULL) == 0;
}

/* --- ReplicationController */

static void rc_template(struct kc_v *v, const struct json_object *spec)
{
        const struct json_object *template = kc_json_get(spec, "template");
        const struct kc_vpath *p = V_CHILD(&spec_path, "template");
        KC_CLEANUP(kc_selector_freep)
        struct kc_selector *selector = kc_selector_from_map(kc_json_get(spec, "selector"));
        if (!template) {
                kc_v_required(v, p, "");
                return;
        }
        if (!kc_selector_is_everything(selector))
                selects_template(v, p, selector, template);
        kc_v_pod_template(v, p, template);
        long_running(v, p, template, "ReplicationController");
}

static void rc_spec(struct kc_v *v, const struct json_object *spec)
{
        kc_v_nonnegative(v, &spec_path, spec, "minReadySeconds");
        if (kc_json_n_keys(kc_json_get(spec, "selector")) == 0)
                kc_v_required(v, V_CHILD(&spec_path, "selector"), "");
        kc_v_nonnegative(v, &spec_path, spec, "replicas");
        rc_template(v, spec);
}

void kc_v_create_replication_controller(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        rc_spec(v, kc_json_get(o, "spec"));
}

static void replica_status(struct kc_v *v, const struct json_object *o)
{
        static const char *const counts[] = {"replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas",
            "terminatingReplicas", "observedGeneration", NULL};
        static const char *const within[] = {"fullyLabeledReplicas", "readyReplicas", "availableReplicas", NULL};
        status_counts(v, kc_json_get(o, "status"), counts, within);
}

void kc_v_update_replication_controller(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "status"))
                replica_status(v, o);
        else
                rc_spec(v, kc_json_get(o, "spec"));
}

/* --- ReplicaSet */

static void replica_set_spec(struct kc_v *v, const struct json_object *spec)
{
        kc_v_nonnegative(v, &spec_path, spec, "replicas");
        kc_v_nonnegative(v, &spec_path, spec, "minReadySeconds");
        selector_and_template(v, spec);
}

void kc_v_create_replica_set(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        replica_set_spec(v, kc_json_get(o, "spec"));
}

void kc_v_update_replica_set(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "status")) {
                replica_status(v, o);
                return;
        }
        replica_set_spec(v, kc_json_get(o, "spec"));
        selector_update(v, o, old);
}

/* --- Deployment */

static void deployment_strategy(struct kc_v *v, const struct kc_vpath *p, const struct json_object *strategy)
{
        static const char *const types[] = {"Recreate", "RollingUpdate", NULL};
        const char *type = kc_v_str(strategy, "type");
        const struct json_object *rolling = kc_json_get(strategy, "rollingUpdate");
        const struct json_object *unavailable = kc_json_get(rolling, "maxUnavailable");
        const struct json_object *surge = kc_json_get(rolling, "maxSurge");
        const struct kc_vpath *at = V_CHILD(p, "rollingUpdate");
        if (kc_streq(type, "Recreate")) {
                if (rolling)
                        kc_v_forbidden(v, at, "may not be specified when strategy `type` is 'Recreate'");
                return;
        }
        if (!kc_streq(type, "RollingUpdate")) {
                KC_CLEANUP(kc_freep) char *text = kc_json_to_str(strategy);
                KC_CLEANUP(kc_freep)
                char *message =
                    kc_asprintf("Unsupported value: %s: supported values: \"%s\", \"%s\"", text, types[0], types[1]);
                kc_v_add(v, "FieldValueNotSupported", p, message);
                return;
        }
        if (!rolling) {
                kc_v_required(v, at, "this should be defaulted and never be nil");
                return;
        }
        kc_v_int_or_percent(v, V_CHILD(at, "maxUnavailable"), unavailable);
        kc_v_int_or_percent(v, V_CHILD(at, "maxSurge"), surge);
        if (is_zero(unavailable) && is_zero(surge))
                kc_v_invalid(v, V_CHILD(at, "maxUnavailable"), unavailable, "may not be 0 when `maxSurge` is 0");
        kc_v_at_most_100_percent(v, V_CHILD(at, "maxUnavailable"), unavailable);
}

static void deployment_spec(struct kc_v *v, const struct json_object *spec)
{
        int64_t deadline = kc_json_int(spec, "progressDeadlineSeconds", INT64_MAX);
        kc_v_nonnegative(v, &spec_path, spec, "replicas");
        selector_and_template(v, spec);
        deployment_strategy(v, V_CHILD(&spec_path, "strategy"), kc_json_get(spec, "strategy"));
        kc_v_nonnegative(v, &spec_path, spec, "minReadySeconds");
        kc_v_nonnegative(v, &spec_path, spec, "revisionHistoryLimit");
        kc_v_nonnegative(v, &spec_path, spec, "progressDeadlineSeconds");
        if (deadline <= kc_json_int(spec, "minReadySeconds", 0))
                kc_v_invalid_int(v, V_CHILD(&spec_path, "progressDeadlineSeconds"), deadline,
                    "must be greater than minReadySeconds");
}

void kc_v_create_deployment(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        deployment_spec(v, kc_json_get(o, "spec"));
}

void kc_v_update_deployment(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        static const char *const counts[] = {"observedGeneration", "replicas", "updatedReplicas", "readyReplicas",
            "availableReplicas", "unavailableReplicas", "terminatingReplicas", "collisionCount", NULL};
        static const char *const within[] = {"updatedReplicas", "readyReplicas", "availableReplicas", NULL};
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "status")) {
                status_counts(v, kc_json_get(o, "status"), counts, within);
                collision_count(v, &status_path, o, old);
                return;
        }
        deployment_spec(v, kc_json_get(o, "spec"));
        selector_update(v, o, old);
}

/* --- DaemonSet */

static void daemon_set_strategy(struct kc_v *v, const struct kc_vpath *p, const struct json_object *strategy)
{
        const char *type = kc_v_str(strategy, "type");
        const struct json_object *rolling = kc_json_get(strategy, "rollingUpdate");
        const struct json_object *unavailable = kc_json_get(rolling, "maxUnavailable");
        const struct json_object *surge = kc_json_get(rolling, "maxSurge");
        const struct kc_vpath *at = V_CHILD(p, "rollingUpdate");
        if (kc_streq(type, "OnDelete"))
                return;
        if (!kc_streq(type, "RollingUpdate")) {
                KC_CLEANUP(kc_freep) char *text = kc_json_to_str(strategy);
                KC_CLEANUP(kc_freep)
                char *message =
                    kc_asprintf("Unsupported value: %s: supported values: \"RollingUpdate\", \"OnDelete\"", text);
                kc_v_add(v, "FieldValueNotSupported", p, message);
                return;
        }
        if (!rolling) {
                kc_v_required(v, at, "");
                return;
        }
        kc_v_int_or_percent(v, V_CHILD(at, "maxUnavailable"), unavailable);
        kc_v_int_or_percent(v, V_CHILD(at, "maxSurge"), surge);
        kc_v_at_most_100_percent(v, V_CHILD(at, "maxUnavailable"), unavailable);
        kc_v_at_most_100_percent(v, V_CHILD(at, "maxSurge"), surge);
        if (!is_zero(unavailable) && !is_zero(surge))
                kc_v_invalid(v, V_CHILD(at, "maxSurge"), surge, "may not be set when maxUnavailable is non-zero");
        else if (is_zero(unavailable) && is_zero(surge))
                kc_v_required(v, V_CHILD(at, "maxUnavailable"), "cannot be 0 when maxSurge is 0");
}

static void daemon_set_spec(struct kc_v *v, const struct json_object *spec)
{
        const struct json_object *selector = kc_json_get(spec, "selector"), *template = kc_json_get(spec, "template");
        const struct kc_vpath *template_path = V_CHILD(&spec_path, "template");
        KC_CLEANUP(kc_selector_freep) struct kc_selector *compiled = NULL;
        kc_v_label_selector(v, V_CHILD(&spec_path, "selector"), selector);
        if (kc_selector_from_label_selector(selector, &compiled, NULL) == 0)
                selects_template(v, template_path, compiled, template);
        if (selector && is_empty_selector(selector))
                kc_v_invalid(v, V_CHILD(&spec_path, "selector"), selector, "empty selector is invalid for daemonset");
        kc_v_pod_template(v, template_path, template);
        long_running(v, template_path, template, "DaemonSet");
        kc_v_nonnegative(v, &spec_path, spec, "minReadySeconds");
        daemon_set_strategy(v, V_CHILD(&spec_path, "updateStrategy"), kc_json_get(spec, "updateStrategy"));
        kc_v_nonnegative(v, &spec_path, spec, "revisionHistoryLimit");
}

void kc_v_create_daemon_set(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        daemon_set_spec(v, kc_json_get(o, "spec"));
}

void kc_v_update_daemon_set(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        static const char *const counts[] = {"currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled",
            "numberReady", "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable",
            "collisionCount"};
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "status")) {
                for (size_t i = 0; i < KC_ARRAY_LEN(counts); i++)
                        kc_v_nonnegative(v, &status_path, kc_json_get(o, "status"), counts[i]);
                collision_count(v, &status_path, o, old);
                return;
        }
        daemon_set_spec(v, kc_json_get(o, "spec"));
        selector_update(v, o, old);
}

/* --- ControllerRevision */

void kc_v_create_controller_revision(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_subdomain);
        if (!kc_json_get(o, "data"))
                kc_v_required(v, V_CHILD(NULL, "data"), "data is mandatory");
        kc_v_nonnegative(v, NULL, o, "revision");
}

void kc_v_update_controller_revision(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        (void)subresource; /* there is none */
        kc_v_meta_update(v, o, old);
        kc_v_create_controller_revision(v, o);
        kc_v_immutable(v, V_CHILD(NULL, "data"), kc_json_get(o, "data"), kc_json_get(old, "data"));
}

/* StatefulSets. Any thread. */
#include <string.h>

#include "api/selector.h"
#include "api/validation_volumes.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};
static const struct kc_vpath status_path = {.kind = KC_VPATH_CHILD, .key = "status"};

/* What an update tolerates because it cannot be corrected. */
struct tolerance {
        bool service_name, claims, template;
};

static void rolling_update(struct kc_v *v, const struct json_object *rolling)
{
        const struct kc_vpath *p = V_CHILD2(&spec_path, "updateStrategy", "rollingUpdate");
        const struct json_object *unavailable = kc_json_get(rolling, "maxUnavailable");
        kc_v_nonnegative(v, p, rolling, "partition");
        if (!unavailable)
                return;
        p = V_CHILD(p, "maxUnavailable");
        kc_v_int_or_percent(v, p, unavailable);
        if (kc_v_int_or_percent_value(unavailable, NULL) == 0)
                kc_v_invalid(v, p, unavailable, "cannot be 0");
        kc_v_at_most_100_percent(v, p, unavailable);
}

static void update_strategy(struct kc_v *v, const struct json_object *strategy)
{
        const char *type = kc_v_str(strategy, "type");
        const struct json_object *rolling = kc_json_get(strategy, "rollingUpdate");
        const struct kc_vpath *p = V_CHILD(&spec_path, "updateStrategy");
        if (!*type) {
                kc_v_required(v, p, "");
        } else if (kc_streq(type, "OnDelete")) {
                if (rolling)
                        kc_v_invalid(
                            v, V_CHILD(p, "rollingUpdate"), rolling, "only allowed for updateStrategy 'RollingUpdate'");
        } else if (kc_streq(type, "RollingUpdate")) {
                if (rolling)
                        rolling_update(v, rolling);
        } else {
                kc_v_invalid(v, p, strategy, "must be 'RollingUpdate' or 'OnDelete'");
        }
}

static void retention(struct kc_v *v, const struct json_object *policy)
{
        static const char *const keys[] = {"whenDeleted", "whenScaled"}, *const valid[] = {"Retain", "Delete", NULL};
        const struct kc_vpath *p = V_CHILD(&spec_path, "persistentVolumeClaimRetentionPolicy");
        for (size_t i = 0; policy && i < KC_ARRAY_LEN(keys); i++)
                if (!kc_v_in(kc_v_str(policy, keys[i]), valid))
                        kc_v_not_supported(v, V_CHILD(p, keys[i]), kc_v_str(policy, keys[i]), valid);
}

/* The template as the controller makes pods of it: with volumes for the claims, and names of its own. */
static struct json_object *effective_template(const struct json_object *spec)
{
        const struct json_object *claims = kc_json_get(spec, "volumeClaimTemplates");
        struct json_object *template = kc_json_copy(kc_json_get(spec, "template"));
        struct json_object *pod = kc_json_ensure_obj(template, "spec");
        kc_json_del(pod, "subdomain");
        kc_json_del(pod, "hostname");
        if (kc_json_len(claims) == 0)
                return template;
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL);
        struct json_object *volumes = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(claims); i++) {
                const char *name = kc_v_str(kc_json_get(kc_json_idx(claims, i), "metadata"), "name");
                if (kc_v_first(names, name))
                        kc_json_push(
                            volumes, kc_json_build("{'name':%s,'persistentVolumeClaim':{'claimName':%s}}", name, name));
        }
        const struct json_object *own = kc_json_get(pod, "volumes");
        for (size_t i = 0; i < kc_json_len(own); i++)
                if (!kc_map_has(names, kc_v_str(kc_json_idx(own, i), "name")))
                        kc_json_push(volumes, kc_json_copy(kc_json_idx(own, i)));
        kc_json_set(pod, "volumes", volumes);
        return template;
}

static void pod_template(
    struct kc_v *v, const struct json_object *spec, const struct kc_selector *selector, const struct tolerance *t)
{
        const struct kc_vpath *p = V_CHILD(&spec_path, "template");
        KC_CLEANUP(kc_json_freep) struct json_object *template = effective_template(spec);
        const struct json_object *labels = kc_json_at(template, "metadata.labels");
        const struct json_object *annotations = kc_json_at(template, "metadata.annotations");
        if (!kc_selector_is_everything(selector) && !kc_selector_matches(selector, labels))
                kc_v_invalid(
                    v, V_CHILD2(p, "metadata", "labels"), labels, "`selector` does not match template `labels`");
        if (!t->template)
                kc_v_pod_template(v, p, template);
        kc_v_labels(v, V_CHILD(p, "labels"), labels);
        kc_v_annotations(v, V_CHILD(p, "annotations"), annotations);
        kc_v_pod_annotations(v, V_CHILD(p, "annotations"), annotations, kc_json_get(template, "spec"));
}

static void selector_and_template(struct kc_v *v, const struct json_object *spec, const struct tolerance *t)
{
        const struct json_object *selector = kc_json_get(spec, "selector");
        const struct kc_vpath *p = V_CHILD(&spec_path, "selector");
        KC_CLEANUP(kc_selector_freep) struct kc_selector *compiled = NULL;
        if (!selector) {
                kc_v_required(v, p, "");
        } else {
                kc_v_label_selector(v, p, selector);
                if (kc_json_n_keys(kc_json_get(selector, "matchLabels")) +
                        kc_json_len(kc_json_get(selector, "matchExpressions")) ==
                    0)
                        kc_v_invalid(v, p, selector, "empty selector is invalid for statefulset");
        }
        if (kc_selector_from_label_selector(selector, &compiled, NULL) < 0)
                kc_v_invalid(v, p, selector, "");
        else
                pod_template(v, spec, compiled, t);
}

static void stateful_set_spec(struct kc_v *v, const struct json_object *spec, const struct tolerance *t)
{
        static const char *const managements[] = {"OrderedReady", "Parallel", NULL}, *const always[] = {"Always", NULL};
        const char *management = kc_v_str(spec, "podManagementPolicy"), *service = kc_v_str(spec, "serviceName");
        const struct json_object *claims = kc_json_get(spec, "volumeClaimTemplates");
        const char *restart = kc_v_str(kc_json_at(spec, "template.spec"), "restartPolicy");
        const struct kc_vpath *pod = V_CHILD2(&spec_path, "template", "spec");
        if (!*management)
                kc_v_required(v, V_CHILD(&spec_path, "podManagementPolicy"), "");
        else if (!kc_v_in(management, managements))
                kc_v_invalid_str(
                    v, V_CHILD(&spec_path, "podManagementPolicy"), management, "must be 'OrderedReady' or 'Parallel'");
        update_strategy(v, kc_json_get(spec, "updateStrategy"));
        retention(v, kc_json_get(spec, "persistentVolumeClaimRetentionPolicy"));
        for (size_t i = 0; !t->claims && i < kc_json_len(claims); i++)
                kc_v_claim_spec(v, V_CHILD(V_INDEX(V_CHILD(&spec_path, "volumeClaimTemplates"), i), "spec"),
                    kc_json_get(kc_json_idx(claims, i), "spec"));
        kc_v_nonnegative(v, &spec_path, spec, "replicas");
        kc_v_nonnegative(v, &spec_path, spec, "minReadySeconds");
        kc_v_nonnegative(v, V_CHILD(&spec_path, "ordinals"), kc_json_get(spec, "ordinals"), "start");
        if (!t->service_name && *service)
                kc_v_name(v, V_CHILD(&spec_path, "serviceName"), service, kc_name_dns1123_label);
        selector_and_template(v, spec, t);
        if (!kc_streq(restart, "Always"))
                kc_v_not_supported(v, V_CHILD(pod, "restartPolicy"), restart, always);
        if (kc_json_at(spec, "template.spec.activeDeadlineSeconds"))
                kc_v_forbidden(
                    v, V_CHILD(pod, "activeDeadlineSeconds"), "activeDeadlineSeconds in StatefulSet is not Supported");
}

void kc_v_create_stateful_set(struct kc_v *v, const struct json_object *o)
{
        kc_v_meta(v, o, true, kc_name_dns1123_label);
        stateful_set_spec(v, kc_json_get(o, "spec"), &(struct tolerance){0});
}

static void status(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        static const char *const counts[] = {"replicas", "readyReplicas", "currentReplicas", "updatedReplicas",
            "availableReplicas", "observedGeneration", "collisionCount"};
        static const char *const within[] = {
            "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"};
        const struct json_object *status = kc_json_get(o, "status");
        int64_t replicas = kc_json_int(status, "replicas", 0), collisions = kc_json_int(status, "collisionCount", 0);
        int64_t available = kc_json_int(status, "availableReplicas", 0);
        for (size_t i = 0; i < KC_ARRAY_LEN(counts); i++)
                kc_v_nonnegative(v, &status_path, status, counts[i]);
        for (size_t i = 0; i < KC_ARRAY_LEN(within); i++) {
                int64_t n = kc_json_int(status, within[i], 0);
                if (n > replicas)
                        kc_v_invalid_int(
                            v, V_CHILD(&status_path, within[i]), n, "cannot be greater than status.replicas");
        }
        if (available > kc_json_int(status, "readyReplicas", 0))
                kc_v_invalid_int(v, V_CHILD(&status_path, "availableReplicas"), available,
                    "cannot be greater than status.readyReplicas");
        kc_v_meta_update(v, o, old);
        if (collisions < kc_json_int_at(old, "status.collisionCount", 0))
                kc_v_invalid_int(v, V_CHILD(&status_path, "collisionCount"), collisions, "cannot be decremented");
}

static bool only_mutable_changes(const struct json_object *spec, const struct json_object *old_spec)
{
        static const char *const mutable[] = {"replicas", "template", "updateStrategy", "minReadySeconds", "ordinals",
            "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy"};
        KC_CLEANUP(kc_json_freep) struct json_object *now = kc_json_copy(spec);
        KC_CLEANUP(kc_json_freep) struct json_object *before = kc_json_copy(old_spec);
        for (size_t i = 0; i < KC_ARRAY_LEN(mutable); i++) {
                kc_json_del(now, mutable[i]);
                kc_json_del(before, mutable[i]);
        }
        return kc_v_equal(now, before);
}

void kc_v_update_stateful_set(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const struct json_object *spec = kc_json_get(o, "spec"), *old_spec = kc_json_get(old, "spec");
        struct tolerance t = {.service_name = true, .claims = true};
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors of_old = {0};
        struct kc_v old_v = {.errors = &of_old};
        if (kc_streq(subresource, "status")) {
                status(v, o, old);
                return;
        }
        kc_v_meta_update(v, o, old);
        stateful_set_spec(&old_v, old_spec, &t);
        t.template = of_old.n > 0;
        stateful_set_spec(v, spec, &t);
        if (!only_mutable_changes(spec, old_spec))
                kc_v_forbidden(v, &spec_path,
                    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                    "'minReadySeconds' are forbidden");
}

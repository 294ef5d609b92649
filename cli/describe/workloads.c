/* ReplicationController, ReplicaSet, Deployment, DaemonSet, StatefulSet, Job, CronJob. */
#include <string.h>

#include "api/selector.h"
#include "cli/describe/internal.h"

/* --- what they share */

static long long number(const struct json_object *o, const char *path)
{
        return (long long)kc_json_int_at(o, path, 0);
}

static void describe_created(struct kc_describing *d)
{
        KC_CLEANUP(kc_freep) char *created = kc_time_words(kc_json_str_at(d->obj, "metadata.creationTimestamp"));
        kc_line(d, 0, "CreationTimestamp:\t%s\n", created);
}

static void describe_selector(struct kc_describing *d)
{
        KC_CLEANUP(kc_freep) char *selector = kc_label_selector_words(kc_json_at(d->obj, "spec.selector"));
        kc_line(d, 0, "Selector:\t%s\n", selector);
}

static void describe_conditions(struct kc_describing *d)
{
        const struct json_object *conditions = kc_json_at(d->obj, "status.conditions");
        if (kc_json_len(conditions) > 0)
                kc_line(d, 0, "Conditions:\n  Type\tStatus\tReason\n  ----\t------\t------\n");
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const struct json_object *c = kc_json_idx(conditions, i);
                kc_line(d, 1, "%s \t%s\t%s\n", kc_text(c, "type"), kc_text(c, "status"), kc_text(c, "reason"));
        }
}

static int describe_pod_counts(
    struct kc_describing *d, const struct json_object *selector, bool plain, struct kc_error *err)
{
        static const char *const phases[] = {"Running", "Pending", "Succeeded", "Failed"};
        long long counts[KC_ARRAY_LEN(phases)] = {0};
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *pods = NULL;
        int e = 0;
        if (plain)
                s = kc_selector_from_map(selector);
        else
                e = kc_selector_from_label_selector(selector, &s, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *text = kc_selector_format(s);
        e = kc_describe_list(d, &KC_PODS, kc_text(d->obj, "metadata.namespace"), text, NULL, &pods, err);
        if (e < 0)
                return e;
        for (size_t i = 0; i < kc_json_len(pods); i++) {
                const struct json_object *pod = kc_json_idx(pods, i);
                for (size_t p = 0; kc_meta_is_controlled_by(pod, d->obj) && p < KC_ARRAY_LEN(phases); p++)
                        counts[p] += kc_streq(kc_text(pod, "status.phase"), phases[p]);
        }
        kc_line(d, 0, "Pods Status:\t%lld Running / %lld Waiting / %lld Succeeded / %lld Failed\n", counts[0],
            counts[1], counts[2], counts[3]);
        return 0;
}

/* --- ReplicationController, ReplicaSet */

static int describe_replicas(struct kc_describing *d, bool plain, struct kc_error *err)
{
        const struct json_object *selector = kc_json_at(d->obj, "spec.selector");
        KC_CLEANUP(kc_freep) char *text = plain ? kc_labels_words(selector) : kc_label_selector_words(selector);
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_line(d, 0, "Selector:\t%s\n", text);
        kc_describe_meta(d);
        kc_describe_controller(d);
        kc_line(d, 0, "Replicas:\t%lld current / %lld desired\n", number(d->obj, "status.replicas"),
            number(d->obj, "spec.replicas"));
        int e = describe_pod_counts(d, selector, plain, err);
        if (e < 0)
                return e;
        kc_describe_pod_template(d, kc_json_at(d->obj, "spec.template"));
        describe_conditions(d);
        kc_describe_events(d);
        return 0;
}

int kc_describe_replication_controller(struct kc_describing *d, struct kc_error *err)
{
        return describe_replicas(d, true, err);
}

int kc_describe_replica_set(struct kc_describing *d, struct kc_error *err)
{
        return describe_replicas(d, false, err);
}

/* --- Deployment */

/* The templates are the same but for the label of the hash. */
static bool same_template(const struct json_object *deployment, const struct json_object *set)
{
        KC_CLEANUP(kc_json_freep) struct json_object *a = kc_json_copy(kc_json_at(deployment, "spec.template"));
        KC_CLEANUP(kc_json_freep) struct json_object *b = kc_json_copy(kc_json_at(set, "spec.template"));
        struct json_object *trees[] = {a, b};
        for (size_t i = 0; i < KC_ARRAY_LEN(trees); i++) {
                struct json_object *labels = kc_json_at_mut(trees[i], "metadata.labels");
                if (labels)
                        kc_json_del(labels, "pod-template-hash");
                if (kc_json_n_keys(labels) == 0 && kc_json_get(trees[i], "metadata"))
                        kc_json_del(kc_json_get_mut(trees[i], "metadata"), "labels");
                if (kc_json_get(trees[i], "metadata"))
                        kc_json_del(kc_json_get_mut(trees[i], "metadata"), "creationTimestamp");
        }
        return kc_json_equal(a, b);
}

static bool older(const struct json_object *a, const struct json_object *b)
{
        kc_time x = kc_meta_creation_time(a), y = kc_meta_creation_time(b);
        return x != y ? x < y : kc_strcmp(kc_meta_name(a), kc_meta_name(b)) < 0;
}

static void add_set(struct kc_buf *b, const struct json_object *set)
{
        kc_buf_addf(b, "%s%s (%lld/%lld replicas created)", b->len ? ", " : "", kc_text(set, "metadata.name"),
            number(set, "status.replicas"), number(set, "spec.replicas"));
}

static void describe_sets(struct kc_describing *d)
{
        KC_CLEANUP(kc_error_done) struct kc_error ignored = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *sets = NULL;
        KC_CLEANUP(kc_freep) char *selector = kc_label_selector_words(kc_json_at(d->obj, "spec.selector"));
        KC_CLEANUP(kc_buf_done) struct kc_buf old = KC_BUF_INIT, new = KC_BUF_INIT;
        const struct json_object *current = NULL;
        bool any = false;
        if (kc_describe_list(
                d, &KC_REPLICASETS, kc_text(d->obj, "metadata.namespace"), selector, NULL, &sets, &ignored) < 0)
                return;
        for (size_t i = 0; i < kc_json_len(sets); i++) {
                const struct json_object *s = kc_json_idx(sets, i);
                any = any || kc_meta_is_controlled_by(s, d->obj);
                if (kc_meta_is_controlled_by(s, d->obj) && same_template(d->obj, s) && (!current || older(s, current)))
                        current = s;
        }
        if (!any)
                return;
        for (size_t i = 0; i < kc_json_len(sets); i++) {
                const struct json_object *s = kc_json_idx(sets, i);
                if (s != current && kc_meta_is_controlled_by(s, d->obj))
                        add_set(&old, s);
        }
        if (current)
                add_set(&new, current);
        kc_line(d, 0, "OldReplicaSets:\t%s\n", old.len ? kc_buf_str(&old) : "<none>");
        kc_line(d, 0, "NewReplicaSet:\t%s\n", new.len ? kc_buf_str(&new) : "<none>");
}

int kc_describe_deployment(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *rolling = kc_json_at(d->obj, "spec.strategy.rollingUpdate");
        kc_describe_name(d);
        kc_describe_namespace(d);
        describe_created(d);
        kc_describe_meta(d);
        describe_selector(d);
        kc_line(d, 0, "Replicas:\t%lld desired | %lld updated | %lld total | %lld available | %lld unavailable\n",
            number(d->obj, "spec.replicas"), number(d->obj, "status.updatedReplicas"),
            number(d->obj, "status.replicas"), number(d->obj, "status.availableReplicas"),
            number(d->obj, "status.unavailableReplicas"));
        kc_line(d, 0, "StrategyType:\t%s\n", kc_text(d->obj, "spec.strategy.type"));
        kc_line(d, 0, "MinReadySeconds:\t%lld\n", number(d->obj, "spec.minReadySeconds"));
        if (rolling) {
                KC_CLEANUP(kc_freep) char *unavailable = kc_scalar(kc_json_get(rolling, "maxUnavailable"));
                KC_CLEANUP(kc_freep) char *surge = kc_scalar(kc_json_get(rolling, "maxSurge"));
                kc_line(d, 0, "RollingUpdateStrategy:\t%s max unavailable, %s max surge\n", unavailable, surge);
        }
        kc_describe_pod_template(d, kc_json_at(d->obj, "spec.template"));
        describe_conditions(d);
        describe_sets(d);
        kc_describe_events(d);
        return 0;
}

/* --- DaemonSet, StatefulSet */

int kc_describe_daemon_set(struct kc_describing *d, struct kc_error *err)
{
        static const struct {
                const char *label, *field;
        } counts[] = {{"Desired Number of Nodes Scheduled", "desiredNumberScheduled"},
            {"Current Number of Nodes Scheduled", "currentNumberScheduled"},
            {"Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"},
            {"Number of Nodes Scheduled with Available Pods", "numberAvailable"},
            {"Number of Nodes Misscheduled", "numberMisscheduled"}};
        kc_describe_name(d);
        kc_describe_namespace(d);
        describe_selector(d);
        KC_CLEANUP(kc_freep) char *nodes = kc_labels_words(kc_json_at(d->obj, "spec.template.spec.nodeSelector"));
        kc_line(d, 0, "Node-Selector:\t%s\n", nodes);
        kc_describe_meta(d);
        for (size_t i = 0; i < KC_ARRAY_LEN(counts); i++)
                kc_line(d, 0, "%s: %lld\n", counts[i].label,
                    (long long)kc_json_int(kc_json_get(d->obj, "status"), counts[i].field, 0));
        int e = describe_pod_counts(d, kc_json_at(d->obj, "spec.selector"), false, err);
        if (e < 0)
                return e;
        kc_describe_pod_template(d, kc_json_at(d->obj, "spec.template"));
        kc_describe_events(d);
        return 0;
}

static void describe_claims(struct kc_describing *d, const struct json_object *claims)
{
        kc_line(d, 0, "Volume Claims:%s\n", kc_json_len(claims) ? "" : "\t<none>");
        for (size_t i = 0; i < kc_json_len(claims); i++) {
                const struct json_object *c = kc_json_idx(claims, i);
                KC_CLEANUP(kc_freep) char *modes = kc_bracketed(kc_json_at(c, "spec.accessModes"));
                KC_CLEANUP(kc_freep) char *size = NULL;
                if (kc_json_at(c, "spec.resources.requests.storage"))
                        size = kc_quantity_words(kc_json_at(c, "spec.resources.requests"), "storage");
                kc_line(d, 1, "Name:\t%s\n", kc_text(c, "metadata.name"));
                kc_line(d, 1, "StorageClass:\t%s\n", kc_text(c, "spec.storageClassName"));
                kc_describe_labels(d, "  Labels", kc_json_at(c, "metadata.labels"));
                kc_describe_labels(d, "  Annotations", kc_json_at(c, "metadata.annotations"));
                kc_line(d, 1, "Capacity:\t%s\n", size ? size : "<default>");
                kc_line(d, 1, "Access Modes:\t%s\n", modes);
        }
}

int kc_describe_stateful_set(struct kc_describing *d, struct kc_error *err)
{
        const struct json_object *rolling = kc_json_at(d->obj, "spec.updateStrategy.rollingUpdate");
        kc_describe_name(d);
        kc_describe_namespace(d);
        describe_created(d);
        describe_selector(d);
        kc_describe_meta(d);
        kc_line(d, 0, "Replicas:\t%lld desired | %lld total\n", number(d->obj, "spec.replicas"),
            number(d->obj, "status.replicas"));
        kc_line(d, 0, "Update Strategy:\t%s\n", kc_text(d->obj, "spec.updateStrategy.type"));
        if (kc_json_get(rolling, "partition")) {
                KC_CLEANUP(kc_freep) char *unavailable = kc_scalar(kc_json_get(rolling, "maxUnavailable"));
                kc_line(d, 1, "Partition:\t%lld\n", number(rolling, "partition"));
                if (unavailable[0])
                        kc_line(d, 1, "MaxUnavailable:\t%s\n", unavailable);
        }
        int e = describe_pod_counts(d, kc_json_at(d->obj, "spec.selector"), false, err);
        if (e < 0)
                return e;
        kc_describe_pod_template(d, kc_json_at(d->obj, "spec.template"));
        describe_claims(d, kc_json_at(d->obj, "spec.volumeClaimTemplates"));
        kc_describe_events(d);
        return 0;
}

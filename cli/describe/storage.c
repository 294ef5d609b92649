/* PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttributesClass, CSINode. */
#include <string.h>

#include "cli/describe/internal.h"

/* The class by its old annotation, too. */
static const char *class_of(const struct json_object *o)
{
        const char *beta = kc_meta_annotation(o, "volume.beta.kubernetes.io/storage-class");
        return beta ? beta : kc_text(o, "spec.storageClassName");
}

static const char *phase_of(struct kc_describing *d, char **ret_buf)
{
        const char *deleted = kc_json_str_at(d->obj, "metadata.deletionTimestamp");
        char buf[KC_TIME_LEN];
        if (!deleted)
                return kc_text(d->obj, "status.phase");
        *ret_buf = kc_asprintf("Terminating (lasts %s)", kc_since(deleted, buf));
        return *ret_buf;
}

/* --- PersistentVolume */

static char *requirement_words(const struct json_object *r)
{
        static const char *const words[][2] = {
            {"In", "in"}, {"NotIn", "not in"}, {"Exists", "exists"}, {"DoesNotExist", "does not exist"}};
        const char *operator= kc_text(r, "operator");
        for (size_t i = 0; i < KC_ARRAY_LEN(words); i++)
                if (kc_streq(operator, words[i][0]))
                        operator= words[i][1];
        if (kc_json_len(kc_json_get(r, "values")) == 0)
                return kc_asprintf("%s %s", kc_text(r, "key"), operator);
        KC_CLEANUP(kc_freep) char *values = kc_joined(kc_json_get(r, "values"), ", ");
        return kc_asprintf("%s %s [%s]", kc_text(r, "key"), operator, values);
}

static void describe_affinity(struct kc_describing *d)
{
        const struct json_object *required = kc_json_at(d->obj, "spec.nodeAffinity.required"),
                                 *terms = kc_json_get(required, "nodeSelectorTerms");
        if (!kc_json_at(d->obj, "spec.nodeAffinity")) {
                kc_line(d, 0, "Node Affinity:\t<none>\n");
                return;
        }
        kc_line(d, 0, "Node Affinity:\t\n");
        if (!required) {
                kc_line(d, 1, "Required Terms:\t<none>\n");
                return;
        }
        kc_line(d, 1, "Required Terms:\t%s\n", kc_json_len(terms) ? "" : "<none>");
        for (size_t i = 0; i < kc_json_len(terms); i++) {
                const struct json_object *list = kc_json_get(kc_json_idx(terms, i), "matchExpressions");
                kc_line(d, 2, "Term %zu:\t%s", i, kc_json_len(list) ? "" : "<none>\n");
                for (size_t j = 0; j < kc_json_len(list); j++) {
                        KC_CLEANUP(kc_freep) char *text = requirement_words(kc_json_idx(list, j));
                        kc_line(d, j ? 1 : 0, "%s%s\n", j ? "\t" : "", text);
                }
        }
}

int kc_describe_persistent_volume(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *spec = kc_json_get(d->obj, "spec"), *claim = kc_json_get(spec, "claimRef");
        KC_CLEANUP(kc_freep) char *finalizers = kc_bracketed(kc_json_at(d->obj, "metadata.finalizers"));
        KC_CLEANUP(kc_freep) char *modes = kc_access_modes_words(kc_json_get(spec, "accessModes"));
        KC_CLEANUP(kc_freep) char *size = kc_quantity_words(kc_json_get(spec, "capacity"), "storage");
        KC_CLEANUP(kc_freep) char *phase = NULL;
        kc_describe_name(d);
        kc_describe_meta(d);
        kc_line(d, 0, "Finalizers:\t%s\n", finalizers);
        kc_line(d, 0, "StorageClass:\t%s\n", class_of(d->obj));
        const char *words = phase_of(d, &phase);
        kc_line(d, 0, "Status:\t%s\n", words);
        if (claim)
                kc_line(d, 0, "Claim:\t%s/%s\n", kc_text(claim, "namespace"), kc_text(claim, "name"));
        else
                kc_line(d, 0, "Claim:\t%s\n", "");
        kc_line(d, 0, "Reclaim Policy:\t%s\n", kc_text(spec, "persistentVolumeReclaimPolicy"));
        kc_line(d, 0, "Access Modes:\t%s\n", modes);
        if (kc_json_get(spec, "volumeMode"))
                kc_line(d, 0, "VolumeMode:\t%s\n", kc_text(spec, "volumeMode"));
        kc_line(d, 0, "Capacity:\t%s\n", size);
        describe_affinity(d);
        kc_line(d, 0, "Message:\t%s\n", kc_text(d->obj, "status.message"));
        kc_line(d, 0, "Source:\n");
        kc_describe_volume_source(d, spec, true);
        kc_describe_events(d);
        return 0;
}

/* --- PersistentVolumeClaim */

static bool uses_claim(const struct json_object *pod, const char *claim)
{
        const struct json_object *volumes = kc_json_at(pod, "spec.volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *v = kc_json_idx(volumes, i);
                if (kc_streq(kc_json_str_at(v, "persistentVolumeClaim.claimName"), claim))
                        return true;
                if (kc_json_get(v, "ephemeral")) {
                        KC_CLEANUP(kc_freep)
                        char *name = kc_asprintf("%s-%s", kc_meta_name(pod), kc_text(v, "name"));
                        if (kc_streq(name, claim))
                                return true;
                }
        }
        return false;
}

static int describe_users(struct kc_describing *d, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pods = NULL;
        bool any = false;
        int e = kc_describe_list(d, &KC_PODS, kc_text(d->obj, "metadata.namespace"), NULL, NULL, &pods, err);
        if (e < 0)
                return e;
        kc_line(d, 0, "Used By:\t");
        for (size_t i = 0; i < kc_json_len(pods); i++) {
                const struct json_object *pod = kc_json_idx(pods, i);
                if (!uses_claim(pod, kc_meta_name(d->obj)))
                        continue;
                kc_line(d, 0, "%s%s\n", any ? "\t" : "", kc_meta_name(pod));
                any = true;
        }
        if (!any)
                kc_line(d, 0, "<none>\n");
        return 0;
}

static void describe_claim_conditions(struct kc_describing *d)
{
        const struct json_object *conditions = kc_json_at(d->obj, "status.conditions");
        if (kc_json_len(conditions) == 0)
                return;
        kc_line(d, 0, "Conditions:\n");
        kc_line(d, 1, "Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage\n");
        kc_line(d, 1, "----\t------\t-----------------\t------------------\t------\t-------\n");
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const struct json_object *c = kc_json_idx(conditions, i);
                KC_CLEANUP(kc_freep) char *probed = kc_time_words(kc_json_str(c, "lastProbeTime"));
                KC_CLEANUP(kc_freep) char *changed = kc_time_words(kc_json_str(c, "lastTransitionTime"));
                kc_line(d, 1, "%s \t%s \t%s \t%s \t%s \t%s\n", kc_text(c, "type"), kc_text(c, "status"), probed,
                    changed, kc_text(c, "reason"), kc_text(c, "message"));
        }
}

int kc_describe_claim(struct kc_describing *d, struct kc_error *err)
{
        const struct json_object *spec = kc_json_get(d->obj, "spec"), *from = kc_json_get(spec, "dataSource");
        KC_CLEANUP(kc_freep) char *finalizers = kc_bracketed(kc_json_at(d->obj, "metadata.finalizers"));
        KC_CLEANUP(kc_freep) char *phase = NULL;
        KC_CLEANUP(kc_freep) char *modes = kc_strdup("");
        KC_CLEANUP(kc_freep) char *size = kc_strdup("");
        if (kc_text(spec, "volumeName")[0]) {
                kc_free(modes);
                kc_free(size);
                modes = kc_access_modes_words(kc_json_at(d->obj, "status.accessModes"));
                size = kc_quantity_words(kc_json_at(d->obj, "status.capacity"), "storage");
        }
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_line(d, 0, "StorageClass:\t%s\n", class_of(d->obj));
        const char *words = phase_of(d, &phase);
        kc_line(d, 0, "Status:\t%s\n", words);
        kc_line(d, 0, "Volume:\t%s\n", kc_text(spec, "volumeName"));
        kc_describe_meta(d);
        kc_line(d, 0, "Finalizers:\t%s\n", finalizers);
        kc_line(d, 0, "Capacity:\t%s\n", size);
        kc_line(d, 0, "Access Modes:\t%s\n", modes);
        if (kc_json_get(spec, "volumeMode"))
                kc_line(d, 0, "VolumeMode:\t%s\n", kc_text(spec, "volumeMode"));
        if (from) {
                kc_line(d, 0, "DataSource:\n");
                if (kc_json_get(from, "apiGroup"))
                        kc_line(d, 1, "APIGroup:\t%s\n", kc_text(from, "apiGroup"));
                kc_line(d, 1, "Kind:\t%s\n", kc_text(from, "kind"));
                kc_line(d, 1, "Name:\t%s\n", kc_text(from, "name"));
        }
        int e = describe_users(d, err);
        if (e < 0)
                return e;
        describe_claim_conditions(d);
        kc_describe_events(d);
        return 0;
}

/* --- classes */

static void describe_topologies(struct kc_describing *d)
{
        const struct json_object *terms = kc_json_get(d->obj, "allowedTopologies");
        if (kc_json_len(terms) == 0)
                return;
        kc_line(d, 0, "AllowedTopologies:\t\n");
        for (size_t i = 0; i < kc_json_len(terms); i++) {
                const struct json_object *list = kc_json_get(kc_json_idx(terms, i), "matchLabelExpressions");
                kc_line(d, 1, "Term %zu:\t%s", i, kc_json_len(list) ? "" : "<none>\n");
                for (size_t j = 0; j < kc_json_len(list); j++) {
                        const struct json_object *r = kc_json_idx(list, j);
                        KC_CLEANUP(kc_freep) char *values = kc_joined(kc_json_get(r, "values"), ", ");
                        kc_line(d, j ? 1 : 0, "%s%s in [%s]\n", j ? "\t" : "", kc_text(r, "key"), values);
                }
        }
}

int kc_describe_storage_class(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        static const char *const defaults[] = {
            "storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"};
        const struct json_object *options = kc_json_get(d->obj, "mountOptions"),
                                 *expands = kc_json_get(d->obj, "allowVolumeExpansion");
        KC_CLEANUP(kc_freep) char *annotations = kc_labels_words(kc_json_at(d->obj, "metadata.annotations"));
        KC_CLEANUP(kc_freep) char *parameters = kc_labels_words(kc_json_get(d->obj, "parameters"));
        bool is_default = false;
        for (size_t i = 0; i < KC_ARRAY_LEN(defaults); i++)
                is_default = is_default || kc_streq(kc_meta_annotation(d->obj, defaults[i]), "true");
        kc_describe_name(d);
        kc_line(d, 0, "IsDefaultClass:\t%s\n", is_default ? "Yes" : "No");
        kc_line(d, 0, "Annotations:\t%s\n", annotations);
        kc_line(d, 0, "Provisioner:\t%s\n", kc_text(d->obj, "provisioner"));
        kc_line(d, 0, "Parameters:\t%s\n", parameters);
        kc_line(d, 0, "AllowVolumeExpansion:\t%s\n",
            expands ? kc_bool_title(kc_json_bool(d->obj, "allowVolumeExpansion", false)) : "<unset>");
        kc_line(d, 0, "MountOptions:%s\n", kc_json_len(options) ? "" : "\t<none>");
        for (size_t i = 0; i < kc_json_len(options); i++)
                kc_line(d, 1, "%s\n", kc_json_as_str(kc_json_idx(options, i)));
        if (kc_json_get(d->obj, "reclaimPolicy"))
                kc_line(d, 0, "ReclaimPolicy:\t%s\n", kc_text(d->obj, "reclaimPolicy"));
        if (kc_json_get(d->obj, "volumeBindingMode"))
                kc_line(d, 0, "VolumeBindingMode:\t%s\n", kc_text(d->obj, "volumeBindingMode"));
        describe_topologies(d);
        kc_describe_events(d);
        return 0;
}

int kc_describe_volume_attributes_class(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        KC_CLEANUP(kc_freep) char *annotations = kc_labels_words(kc_json_at(d->obj, "metadata.annotations"));
        KC_CLEANUP(kc_freep) char *parameters = kc_labels_words(kc_json_get(d->obj, "parameters"));
        kc_describe_name(d);
        kc_line(d, 0, "Annotations:\t%s\n", annotations);
        kc_line(d, 0, "DriverName:\t%s\n", kc_text(d->obj, "driverName"));
        kc_line(d, 0, "Parameters:\t%s\n", parameters);
        kc_describe_events(d);
        return 0;
}

/* --- CSINode */

int kc_describe_csi_node(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *drivers = kc_json_at(d->obj, "spec.drivers");
        KC_CLEANUP(kc_freep) char *created = kc_time_words(kc_json_str_at(d->obj, "metadata.creationTimestamp"));
        kc_describe_name(d);
        kc_describe_meta(d);
        kc_line(d, 0, "CreationTimestamp:\t%s\n", created);
        kc_line(d, 0, "Spec:\n");
        if (kc_json_len(drivers) > 0)
                kc_line(d, 1, "Drivers:\n");
        for (size_t i = 0; i < kc_json_len(drivers); i++) {
                const struct json_object *r = kc_json_idx(drivers, i), *keys = kc_json_get(r, "topologyKeys");
                kc_line(d, 2, "%s:\n", kc_text(r, "name"));
                kc_line(d, 3, "Node ID:\t%s\n", kc_text(r, "nodeID"));
                if (kc_json_at(r, "allocatable.count")) {
                        kc_line(d, 3, "Allocatables:\n");
                        kc_line(d, 4, "Count:\t%lld\n", (long long)kc_json_int_at(r, "allocatable.count", 0));
                }
                if (keys) {
                        KC_CLEANUP(kc_freep) char *text = kc_bracketed(keys);
                        kc_line(d, 3, "Topology Keys:\t%s\n", text);
                }
        }
        kc_describe_events(d);
        return 0;
}

/* Pods with an identity: name, host name, claims of their own. Pool threads. */
#include <string.h>

#include "base/str.h"
#include "controller-manager/children.h"
#include "controller-manager/statefulset_internal.h"

#define POD_NAME_LABEL "statefulset.kubernetes.io/pod-name"
#define POD_INDEX_LABEL "apps.kubernetes.io/pod-index"

int64_t kc_ss_ordinal(const struct json_object *set, const char *pod_name)
{
        size_t n = strlen(kc_meta_name(set));
        int64_t i;

        if (strncmp(pod_name, kc_meta_name(set), n) != 0 || pod_name[n] != '-' || pod_name[n + 1] < '0' ||
            pod_name[n + 1] > '9' || kc_str_to_i64(pod_name + n + 1, &i) < 0)
                return -1;
        return i;
}

static char *pod_name(const struct json_object *set, int64_t ordinal)
{
        return kc_asprintf("%s-%lld", kc_meta_name(set), (long long)ordinal);
}

static char *claim_name(const struct json_object *set, const struct json_object *template, int64_t ordinal)
{
        return kc_asprintf("%s-%s-%lld", kc_meta_name(template), kc_meta_name(set), (long long)ordinal);
}

static void set_identity(const struct json_object *set, int64_t ordinal, struct json_object *pod)
{
        KC_CLEANUP(kc_freep) char *name = pod_name(set, ordinal);
        KC_CLEANUP(kc_freep) char *index = kc_asprintf("%lld", (long long)ordinal);

        kc_json_set_str(kc_json_ensure_obj(pod, "metadata"), "name", name);
        kc_meta_set_label(pod, POD_NAME_LABEL, name);
        kc_meta_set_label(pod, POD_INDEX_LABEL, index);
}

/* Each claim template is a volume of its name; it hides one of the template. */
static void set_volumes(const struct json_object *set, int64_t ordinal, struct json_object *pod)
{
        const struct json_object *templates = kc_json_at(set, "spec.volumeClaimTemplates");
        struct json_object *spec = kc_json_ensure_obj(pod, "spec"), *volumes;

        if (kc_json_len(templates) == 0)
                return;
        volumes = kc_json_ensure_arr(spec, "volumes");
        for (size_t i = kc_json_len(volumes); i-- > 0;)
                for (size_t t = 0; t < kc_json_len(templates); t++)
                        if (kc_streq(kc_json_str(kc_json_idx(volumes, i), "name"),
                                kc_meta_name(kc_json_idx(templates, t)))) {
                                json_object_array_del_idx(volumes, i, 1);
                                break;
                        }
        for (size_t t = 0; t < kc_json_len(templates); t++) {
                KC_CLEANUP(kc_freep) char *claim = claim_name(set, kc_json_idx(templates, t), ordinal);
                kc_json_push(volumes, kc_json_build("{'name':%s,'persistentVolumeClaim':{'claimName':%s}}",
                                          kc_meta_name(kc_json_idx(templates, t)), claim));
        }
}

/* Below the partition, and what a rolling update has not come to, pods are made as they were. */
static bool current_is_due(const struct kc_ss_sync *s, int64_t ordinal)
{
        const struct json_object *partition = kc_json_at(s->set, "spec.updateStrategy.rollingUpdate.partition");

        if (!kc_streq(kc_json_str_at(s->set, "spec.updateStrategy.type"), "RollingUpdate"))
                return false;
        if (partition && json_object_get_int64((struct json_object *)partition) > 0)
                return ordinal < s->start + json_object_get_int64((struct json_object *)partition);
        return ordinal < s->start + kc_json_int(s->status, "currentReplicas", 0);
}

struct json_object *kc_ss_new_pod(const struct kc_ss_sync *s, int64_t ordinal)
{
        bool current = s->current_template && current_is_due(s, ordinal);
        KC_CLEANUP(kc_freep) char *name = pod_name(s->set, ordinal);
        struct json_object *pod = kc_pod_from_template(
            s->set, &KC_STATEFULSETS, current ? s->current_template : kc_json_at(s->set, "spec.template"));
        struct json_object *spec = kc_json_get_mut(pod, "spec");

        kc_json_del(kc_json_get_mut(pod, "metadata"), "generateName");
        set_identity(s->set, ordinal, pod);
        kc_meta_set_label(pod, KC_REVISION_HASH, current ? s->current_revision : s->update_revision);
        kc_json_set_str(spec, "hostname", name);
        kc_json_set_str(spec, "subdomain", kc_json_str_at(s->set, "spec.serviceName"));
        set_volumes(s->set, ordinal, pod);
        return pod;
}

/* --- claims */

static bool policy_deletes(const struct json_object *set, const char *when)
{
        return kc_streq(kc_json_str(kc_json_at(set, "spec.persistentVolumeClaimRetentionPolicy"), when), "Delete");
}

static bool owned_by(const struct json_object *claim, const char *uid)
{
        const struct json_object *refs = kc_json_at(claim, "metadata.ownerReferences");

        for (size_t i = 0; i < kc_json_len(refs); i++)
                if (kc_streq(kc_json_str(kc_json_idx(refs, i), "uid"), uid))
                        return true;
        return false;
}

static struct json_object *owner_ref(const char *api_version, const char *kind, const struct json_object *o)
{
        return kc_json_build(
            "{'apiVersion':%s,'kind':%s,'name':%s,'uid':%s}", api_version, kind, kc_meta_name(o), kc_meta_uid(o));
}

/* The claim goes with the set, with the pod that is one too many, or with nobody. */
static int fix_claim(struct kc_ss_sync *s, const struct json_object *claim, const struct json_object *pod,
    bool condemned, struct kc_error *err)
{
        bool by_pod = condemned && policy_deletes(s->set, "whenScaled");
        bool by_set = !by_pod && policy_deletes(s->set, "whenDeleted");
        bool has_set = owned_by(claim, kc_meta_uid(s->set)), has_pod = owned_by(claim, kc_meta_uid(pod));
        int rc;

        if (has_set == by_set && has_pod == by_pod)
                return 0;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_json_copy(claim);
        struct json_object *refs = kc_json_ensure_arr(tree, "metadata.ownerReferences");
        for (size_t i = kc_json_len(refs); i-- > 0;) {
                const char *uid = kc_json_str(kc_json_idx(refs, i), "uid");
                if (kc_streq(uid, kc_meta_uid(s->set)) || kc_streq(uid, kc_meta_uid(pod)))
                        json_object_array_del_idx(refs, i, 1);
        }
        if (by_set)
                kc_json_push(refs, owner_ref("apps/v1", "StatefulSet", s->set));
        if (by_pod)
                kc_json_push(refs, owner_ref("v1", "Pod", pod));
        rc = kc_rest_update(s->c->rest, &KC_PERSISTENTVOLUMECLAIMS, NULL, tree, NULL, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                rc = 0;
        }
        return rc;
}

static int create_claim(struct kc_ss_sync *s, const struct json_object *template, int64_t ordinal, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *name = claim_name(s->set, template, ordinal), *pod = pod_name(s->set, ordinal);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *there = kc_informer_lookup(s->c->claims, kc_meta_namespace(s->set), name);
        int rc;

        if (there)
                return kc_meta_deleting(kc_object_json(there))
                           ? kc_error_set_api(err, 409, KC_REASON_CONFLICT, "pvc %s is being deleted", name)
                           : 0;
        KC_CLEANUP(kc_json_freep) struct json_object *claim = kc_json_copy(template);
        kc_json_set_str(claim, "apiVersion", "v1");
        kc_json_set_str(claim, "kind", "PersistentVolumeClaim");
        kc_json_del(claim, "status");
        kc_json_set_str(kc_json_ensure_obj(claim, "metadata"), "name", name);
        kc_json_set_str(kc_json_ensure_obj(claim, "metadata"), "namespace", kc_meta_namespace(s->set));
        KC_JSON_FOREACH(kc_json_at(s->set, "spec.selector.matchLabels"), key, value)
        kc_meta_set_label(claim, key, kc_json_as_str(value));
        if (policy_deletes(s->set, "whenDeleted"))
                kc_json_push(kc_json_ensure_arr(kc_json_get_mut(claim, "metadata"), "ownerReferences"),
                    owner_ref("apps/v1", "StatefulSet", s->set));
        rc = kc_rest_create(s->c->rest, &KC_PERSISTENTVOLUMECLAIMS, kc_meta_namespace(s->set), claim, NULL, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_ALREADY_EXISTS)) {
                kc_error_done(err);
                return 0;
        }
        if (rc < 0)
                kc_recorder_event(s->c->recorder, &KC_STATEFULSETS, s->set, "Warning", "FailedCreate",
                    "create Claim %s Pod %s in StatefulSet %s failed error: %s", name, pod, kc_meta_name(s->set),
                    kc_error_message(err));
        else
                kc_recorder_event(s->c->recorder, &KC_STATEFULSETS, s->set, "Normal", "SuccessfulCreate",
                    "create Claim %s Pod %s in StatefulSet %s success", name, pod, kc_meta_name(s->set));
        return rc;
}

static int create_claims(struct kc_ss_sync *s, int64_t ordinal, struct kc_error *err)
{
        const struct json_object *templates = kc_json_at(s->set, "spec.volumeClaimTemplates");
        int rc = 0;

        for (size_t t = 0; rc == 0 && t < kc_json_len(templates); t++)
                rc = create_claim(s, kc_json_idx(templates, t), ordinal, err);
        return rc;
}

/* --- pods */

static bool is_ours(struct kc_ss_sync *s, const char *name)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL;
        return kc_rest_get(s->c->rest, &KC_PODS, kc_meta_namespace(s->set), name, &pod, NULL) == 0 &&
               kc_meta_is_controlled_by(pod, s->set);
}

int kc_ss_create(struct kc_ss_sync *s, int64_t ordinal, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = kc_ss_new_pod(s, ordinal);
        int rc = create_claims(s, ordinal, err);

        if (rc < 0)
                return rc;
        rc = kc_rest_create(s->c->rest, &KC_PODS, kc_meta_namespace(s->set), pod, NULL, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_ALREADY_EXISTS) && is_ours(s, kc_meta_name(pod))) {
                kc_error_done(err); /* the cache will show it */
                return 0;
        }
        if (rc < 0)
                kc_recorder_event(s->c->recorder, &KC_STATEFULSETS, s->set, "Warning", "FailedCreate",
                    "create Pod %s in StatefulSet %s failed error: %s", kc_meta_name(pod), kc_meta_name(s->set),
                    kc_error_message(err));
        else
                kc_recorder_event(s->c->recorder, &KC_STATEFULSETS, s->set, "Normal", "SuccessfulCreate",
                    "create Pod %s in StatefulSet %s successful", kc_meta_name(pod), kc_meta_name(s->set));
        return rc;
}

int kc_ss_delete(struct kc_ss_sync *s, const struct kc_object *pod, struct kc_error *err)
{
        struct kc_delete_opts opts = {.grace_period_seconds = -1, .precondition_uid = kc_object_uid(pod)};
        int rc = kc_rest_delete(s->c->rest, &KC_PODS, kc_object_namespace(pod), kc_object_name(pod), &opts, NULL, err);

        if (rc < 0 && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err); /* it has gone already */
                return 0;
        }
        if (rc < 0)
                kc_recorder_event(s->c->recorder, &KC_STATEFULSETS, s->set, "Warning", "FailedDelete",
                    "delete Pod %s in StatefulSet %s failed error: %s", kc_object_name(pod), kc_meta_name(s->set),
                    kc_error_message(err));
        else
                kc_recorder_event(s->c->recorder, &KC_STATEFULSETS, s->set, "Normal", "SuccessfulDelete",
                    "delete Pod %s in StatefulSet %s successful", kc_object_name(pod), kc_meta_name(s->set));
        return rc;
}

static int fix_labels(struct kc_ss_sync *s, const struct json_object *pod, int64_t ordinal, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *name = pod_name(s->set, ordinal);
        KC_CLEANUP(kc_freep) char *index = kc_asprintf("%lld", (long long)ordinal);

        if (kc_streq(kc_meta_label(pod, POD_NAME_LABEL), name))
                return 0;
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build("{'metadata':{'uid':%s,'labels':{%s:%s,%s:%s}}}", kc_meta_uid(pod),
            POD_NAME_LABEL, name, POD_INDEX_LABEL, index);
        return kc_rest_patch(s->c->rest, &KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), NULL, KC_PATCH_STRATEGIC,
            patch, NULL, err);
}

int kc_ss_fix(struct kc_ss_sync *s, const struct kc_object *object, bool condemned, struct kc_error *err)
{
        const struct json_object *templates = kc_json_at(s->set, "spec.volumeClaimTemplates");
        const struct json_object *pod = kc_object_json(object);
        int64_t ordinal = kc_ss_ordinal(s->set, kc_object_name(object));
        int rc = condemned ? 0 : fix_labels(s, pod, ordinal, err);

        if (rc == 0 && !condemned)
                rc = create_claims(s, ordinal, err);
        for (size_t t = 0; rc == 0 && t < kc_json_len(templates); t++) {
                KC_CLEANUP(kc_freep) char *name = claim_name(s->set, kc_json_idx(templates, t), ordinal);
                KC_CLEANUP(kc_object_unrefp)
                struct kc_object *claim = kc_informer_lookup(s->c->claims, kc_meta_namespace(s->set), name);
                if (claim)
                        rc = fix_claim(s, kc_object_json(claim), pod, condemned, err);
        }
        return rc;
}

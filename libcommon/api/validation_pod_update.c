/* Updates of pods: what of the spec may change, ephemeral containers, resizing. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static const struct kc_vpath metadata = {.kind = KC_VPATH_CHILD, .key = "metadata"};
static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};

static const char mirror_annotation[] = "kubernetes.io/config.mirror";
static const char app_armor_prefix[] = "container.apparmor.security.beta.kubernetes.io/";

static void annotation_change(struct kc_v *v, const char *key, const char *verb, const char *verb_mirror)
{
        const struct kc_vpath *p = V_KEY(V_CHILD(&metadata, "annotations"), key);
        KC_CLEANUP(kc_freep) char *app_armor = kc_asprintf("may not %s AppArmor annotations", verb);
        KC_CLEANUP(kc_freep) char *mirror = kc_asprintf("may not %s mirror pod annotation", verb_mirror);
        if (kc_str_has_prefix(key, app_armor_prefix))
                kc_v_forbidden(v, p, app_armor);
        if (strcmp(key, mirror_annotation) == 0)
                kc_v_forbidden(v, p, mirror);
}

void kc_v_pod_annotation_update(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *now = kc_json_at(o, "metadata.annotations");
        const struct json_object *before = kc_json_at(old, "metadata.annotations");
        KC_JSON_FOREACH(before, key, value)
        {
                if (!kc_json_equal(value, kc_json_get(now, key)))
                        annotation_change(v, key, "remove or update", "remove or update");
        }
        KC_JSON_FOREACH(now, key, value)
        {
                if (!kc_json_get(before, key))
                        annotation_change(v, key, "add", "add");
        }
        kc_v_pod_annotations(v, V_CHILD(&metadata, "annotations"), now, kc_json_get(o, "spec"));
}

/* False if the lists cannot be compared further. */
static bool container_updates(
    struct kc_v *v, const char *key, const struct json_object *spec, const struct json_object *old_spec)
{
        const struct json_object *list = kc_json_get(spec, key);
        const struct kc_vpath *p = V_CHILD(&spec_path, key);
        if (kc_json_len(list) != kc_json_len(kc_json_get(old_spec, key))) {
                kc_v_forbidden(v, p, "pod updates may not add or remove containers");
                return false;
        }
        for (size_t i = 0; i < kc_json_len(list); i++) {
                if (!*kc_v_str(kc_json_idx(list, i), "image"))
                        kc_v_required(v, V_CHILD(V_INDEX(p, i), "image"), "");
                kc_v_container_image_for_pod(v, V_INDEX(p, i), kc_json_idx(list, i));
        }
        return true;
}

/* From nothing to a value, or to an earlier deadline. False if there is no use in going on. */
static bool deadline_update(struct kc_v *v, const struct json_object *spec, const struct json_object *old_spec)
{
        const struct kc_vpath *p = V_CHILD(&spec_path, "activeDeadlineSeconds");
        const struct json_object *now = kc_json_get(spec, "activeDeadlineSeconds");
        const struct json_object *before = kc_json_get(old_spec, "activeDeadlineSeconds");
        int64_t n = json_object_get_int64(now);
        if (!now) {
                if (before)
                        kc_v_invalid(v, p, NULL, "must not update from a positive integer to nil value");
                return true;
        }
        if (n < 0 || n > INT32_MAX) {
                kc_v_invalid_int(v, p, n, "must be between 0 and 2147483647, inclusive");
                return false;
        }
        if (before && json_object_get_int64(before) < n) {
                kc_v_invalid_int(v, p, n, "must be less than or equal to previous value");
                return false;
        }
        return true;
}

/* What makes a toleration the same one; its seconds may change. */
static char *toleration_key(const struct json_object *t)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *key = kc_json_build(
            "[%s,%s,%s,%s]", kc_v_str(t, "key"), kc_v_str(t, "operator"), kc_v_str(t, "value"), kc_v_str(t, "effect"));
        return kc_json_to_str(key);
}

static void only_added_tolerations(
    struct kc_v *v, const struct json_object *tolerations, const struct json_object *before)
{
        const struct kc_vpath *p = V_CHILD(&spec_path, "tolerations");
        KC_CLEANUP(kc_map_freep) struct kc_map *now = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(tolerations); i++) {
                KC_CLEANUP(kc_freep) char *key = toleration_key(kc_json_idx(tolerations, i));
                (void)kc_v_first(now, key); /* or again */
        }
        for (size_t i = 0; i < kc_json_len(before); i++) {
                KC_CLEANUP(kc_freep) char *key = toleration_key(kc_json_idx(before, i));
                if (!kc_map_has(now, key)) {
                        kc_v_forbidden(v, p, "existing toleration can not be modified except its tolerationSeconds");
                        return;
                }
        }
        kc_v_tolerations(v, p, tolerations);
}

static void only_removed_gates(struct kc_v *v, const struct json_object *gates, const struct json_object *before)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *known = kc_v_index(before, "name");
        for (size_t i = 0; i < kc_json_len(gates); i++) {
                const char *name = kc_v_str(kc_json_idx(gates, i), "name");
                if (kc_map_has(known, name))
                        continue;
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf("only deletion is allowed, but found new scheduling gate '%s'", name);
                kc_v_forbidden(v, V_CHILD(V_INDEX(V_CHILD(&spec_path, "schedulingGates"), i), "name"), detail);
        }
}

static void copy_key(struct json_object *to, const struct json_object *from, const char *key)
{
        const struct json_object *value = kc_json_get(from, key);
        if (value)
                kc_json_set(to, key, kc_json_copy(value));
        else
                kc_json_del(to, key);
}

/* A pod that waits for its gates may still be narrowed down to fewer nodes. */
static void gated_node_selector(struct kc_v *v, struct json_object *munged, const struct json_object *old_spec)
{
        const struct json_object *now = kc_json_get(munged, "nodeSelector");
        KC_JSON_FOREACH(kc_json_get(old_spec, "nodeSelector"), key, value)
        {
                if (!kc_json_equal(kc_json_get(now, key), value)) {
                        kc_v_invalid(v, V_CHILD(&spec_path, "nodeSelector"), now,
                            "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
                        break;
                }
        }
        copy_key(munged, old_spec, "nodeSelector");
}

static bool starts_with(const struct json_object *list, const struct json_object *head)
{
        if (kc_json_len(list) < kc_json_len(head))
                return false;
        for (size_t i = 0; i < kc_json_len(head); i++) {
                if (!kc_v_equal(kc_json_idx(list, i), kc_json_idx(head, i)))
                        return false;
        }
        return true;
}

static bool only_adds(const struct json_object *term, const struct json_object *old)
{
        const struct json_object *exprs = kc_json_get(term, "matchExpressions"),
                                 *fields = kc_json_get(term, "matchFields");
        const struct json_object *old_exprs = kc_json_get(old, "matchExpressions");
        const struct json_object *old_fields = kc_json_get(old, "matchFields");
        if (kc_json_len(old_exprs) + kc_json_len(old_fields) == 0)
                return kc_json_len(exprs) + kc_json_len(fields) == 0;
        return starts_with(exprs, old_exprs) && starts_with(fields, old_fields);
}

static void gated_node_affinity(struct kc_v *v, struct json_object *munged, const struct json_object *old_spec)
{
        static const char required[] = "requiredDuringSchedulingIgnoredDuringExecution";
        const struct json_object *now = kc_json_at(munged, "affinity.nodeAffinity");
        const struct json_object *before = kc_json_at(old_spec, "affinity.nodeAffinity");
        if (kc_v_equal(now, before))
                return;
        const struct json_object *terms = kc_json_get(kc_json_get(now, required), "nodeSelectorTerms");
        const struct json_object *old_terms = kc_json_get(kc_json_get(before, required), "nodeSelectorTerms");
        const struct kc_vpath *p =
            V_CHILD2(V_CHILD2(&spec_path, "affinity", "nodeAffinity"), required, "nodeSelectorTerms");
        if (kc_json_len(old_terms) > 0 && kc_json_len(old_terms) != kc_json_len(terms)) {
                kc_v_invalid(v, p, terms, "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
        } else {
                for (size_t i = 0; i < kc_json_len(old_terms); i++) {
                        if (!only_adds(kc_json_idx(terms, i), kc_json_idx(old_terms, i)))
                                kc_v_invalid(v, V_INDEX(p, i), kc_json_idx(terms, i),
                                    "only additions are allowed (no mutations or deletions)");
                }
        }
        struct json_object *affinity = kc_json_ensure_obj(munged, "affinity");
        copy_key(affinity, kc_json_get(old_spec, "affinity"), "nodeAffinity");
        if (kc_json_n_keys(affinity) == 0 && !kc_json_get(old_spec, "affinity"))
                kc_json_del(munged, "affinity");
}

void kc_v_describe_difference(
    struct kc_buf *b, const char *path, const struct json_object *now, const struct json_object *old)
{
        if (kc_v_equal(now, old))
                return;
        if (kc_json_is_obj(now) && kc_json_is_obj(old)) {
                KC_CLEANUP(kc_json_freep) struct json_object *keys = kc_json_copy(old);
                KC_JSON_FOREACH(now, key, value)
                kc_json_set_bool(keys, key, true);
                KC_JSON_FOREACH(keys, key, value)
                {
                        KC_CLEANUP(kc_freep) char *child = kc_asprintf("%s.%s", path, key);
                        kc_v_describe_difference(b, child, kc_json_get(now, key), kc_json_get(old, key));
                }
                return;
        }
        if (kc_json_is_arr(now) && kc_json_is_arr(old) && kc_json_len(now) == kc_json_len(old)) {
                for (size_t i = 0; i < kc_json_len(now); i++) {
                        KC_CLEANUP(kc_freep) char *child = kc_asprintf("%s[%zu]", path, i);
                        kc_v_describe_difference(b, child, kc_json_idx(now, i), kc_json_idx(old, i));
                }
                return;
        }
        kc_buf_addf(b, "- \t%s: ", path);
        kc_json_write(b, old);
        kc_buf_addf(b, "\n+ \t%s: ", path);
        kc_json_write(b, now);
        kc_buf_addc(b, '\n');
}

static void munge_images(struct json_object *munged, const struct json_object *old_spec, const char *list)
{
        struct json_object *containers = kc_json_get_mut(munged, list);
        for (size_t i = 0; i < kc_json_len(containers); i++)
                copy_key(kc_json_idx_mut(containers, i), kc_json_idx(kc_json_get(old_spec, list), i), "image");
}

/* What may change is set back; the rest has to be the same. */
static void unchanged_spec(struct kc_v *v, const struct json_object *spec, const struct json_object *old_spec)
{
        static const char *const mutable[] = {"activeDeadlineSeconds", "schedulingGates", "tolerations"};
        if (kc_v_equal(spec, old_spec))
                return;
        KC_CLEANUP(kc_json_freep) struct json_object *munged = kc_json_copy(spec);
        munge_images(munged, old_spec, "containers");
        munge_images(munged, old_spec, "initContainers");
        for (size_t i = 0; i < KC_ARRAY_LEN(mutable); i++)
                copy_key(munged, old_spec, mutable[i]);
        if (kc_json_int(old_spec, "terminationGracePeriodSeconds", 0) < 0 &&
            kc_json_int(munged, "terminationGracePeriodSeconds", 0) == 1)
                copy_key(munged, old_spec, "terminationGracePeriodSeconds");
        if (kc_json_len(kc_json_get(old_spec, "schedulingGates")) > 0) {
                gated_node_selector(v, munged, old_spec);
                gated_node_affinity(v, munged, old_spec);
        }
        if (kc_v_equal(munged, old_spec))
                return;
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b,
            "pod updates may not change fields other than "
            "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
            "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if "
            "it was previously negative)\n");
        kc_v_describe_difference(&b, "spec", munged, old_spec);
        kc_v_forbidden(v, &spec_path, kc_buf_str(&b));
        kc_buf_done(&b);
}

static void update_spec(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *spec = kc_json_get(o, "spec"), *old_spec = kc_json_get(old, "spec");
        kc_v_meta_update(v, o, old);
        kc_v_pod_meta_and_spec(v, o);
        kc_v_pod_annotation_update(v, o, old);
        if (!container_updates(v, "containers", spec, old_spec) ||
            !container_updates(v, "initContainers", spec, old_spec) || !deadline_update(v, spec, old_spec))
                return;
        only_added_tolerations(v, kc_json_get(spec, "tolerations"), kc_json_get(old_spec, "tolerations"));
        only_removed_gates(v, kc_json_get(spec, "schedulingGates"), kc_json_get(old_spec, "schedulingGates"));
        unchanged_spec(v, spec, old_spec);
}

static void update_ephemeral_containers(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct kc_vpath *p = V_CHILD(&spec_path, "ephemeralContainers");
        const struct json_object *now = kc_json_at(o, "spec.ephemeralContainers");
        const struct json_object *before = kc_json_at(old, "spec.ephemeralContainers");
        if (kc_json_get(kc_json_at(old, "metadata.annotations"), mirror_annotation)) {
                kc_v_forbidden(v, NULL, "static pods do not support ephemeral containers");
                return;
        }
        kc_v_meta_update(v, o, old);
        kc_v_pod_meta_and_spec(v, o);
        kc_v_pod_annotation_update(v, o, old);
        KC_CLEANUP(kc_map_freep) struct kc_map *by_name = kc_v_index(now, "name");
        for (size_t i = 0; i < kc_json_len(before); i++) {
                const struct json_object *was = kc_json_idx(before, i);
                const char *name = kc_v_str(was, "name");
                const struct json_object *is = kc_map_get(by_name, name);
                if (is && kc_v_equal(is, was))
                        continue;
                struct kc_buf b = KC_BUF_INIT;
                kc_buf_adds(&b, "existing ephemeral containers ");
                kc_quote_add(&b, name);
                kc_buf_adds(&b, is ? " may not be changed\n" : " may not be removed\n");
                if (is)
                        kc_v_describe_difference(&b, "spec.ephemeralContainers", is, was);
                kc_v_forbidden(v, p, kc_buf_str(&b));
                kc_buf_done(&b);
        }
}

void kc_v_update_pod(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        if (kc_streq(subresource, "status"))
                kc_v_pod_status_update(v, o, old);
        else if (kc_streq(subresource, "ephemeralcontainers"))
                update_ephemeral_containers(v, o, old);
        else if (kc_streq(subresource, "resize"))
                kc_v_pod_resize(v, o, old);
        else
                update_spec(v, o, old);
}

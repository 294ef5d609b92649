/* What classes say about objects: RuntimeClass, DefaultIngressClass, PersistentVolumeClaimResize. */
#include <errno.h>
#include <string.h>

#include "admission/admission_internal.h"
#include "api/object.h"
#include "api/quantity.h"
#include "base/str.h"

/* --- RuntimeClass: a pod's overhead, and where it may run */

/* *ret stays NULL if the pod names none. */
static int runtime_class(
    struct kc_admission *adm, const struct kc_admission_attrs *a, struct kc_object **ret, struct kc_error *err)
{
        const char *name = kc_json_str_at(a->obj, "spec.runtimeClassName");
        const struct kc_resources *rs = kc_admission_resources(adm);
        if (!name || kc_resources_get(rs, "node.k8s.io", "runtimeclasses", "", name, ret, NULL) == 0)
                return 0;
        int r = kc_resources_get_live(rs, "node.k8s.io", "runtimeclasses", "", name, ret, err);
        if (r == -ENOENT)
                return adm_forbidden(err, a, "pod rejected: RuntimeClass \"%s\" not found", name);
        return r;
}

static bool quantities_equal(const struct json_object *a, const struct json_object *b)
{
        if (kc_json_n_keys(a) != kc_json_n_keys(b))
                return false;
        KC_JSON_FOREACH(a, key, value)
        {
                const char *s = kc_json_as_str(value), *t = kc_json_str(b, key);
                struct kc_quantity x, y;
                if (!s || !t || kc_quantity_parse(s, &x) < 0 || kc_quantity_parse(t, &y) < 0 ||
                    kc_quantity_cmp(&x, &y) != 0)
                        return false;
        }
        return true;
}

static int differs(const struct kc_admission_attrs *a, struct kc_error *err)
{
        return adm_forbidden(err, a, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
}

static const char *string(const struct json_object *o, const char *key)
{
        const char *s = kc_json_str(o, key);
        return s ? s : "";
}

/* Does a tolerate all that b does? */
static bool covers(const struct json_object *a, const struct json_object *b)
{
        const struct json_object *seconds = kc_json_get(a, "tolerationSeconds");
        const char *operator= string(a, "operator"), *effect = string(a, "effect"), *key = string(a, "key");
        if (kc_json_equal(a, b))
                return true;
        if (!kc_streq(key, string(b, "key")) && (*key || !kc_streq(operator, "Exists")))
                return false;
        if (*effect && !kc_streq(effect, string(b, "effect")))
                return false;
        if (kc_streq(effect, "NoExecute") && seconds &&
            (!kc_json_get(b, "tolerationSeconds") ||
                kc_json_int(b, "tolerationSeconds", 0) > kc_json_int(a, "tolerationSeconds", 0)))
                return false;
        if (kc_streq(operator, "Exists"))
                return true;
        return (!*operator|| kc_streq(operator, "Equal")) && kc_streq(string(b, "operator"), "Equal") &&
               kc_streq(string(a, "value"), string(b, "value"));
}

/* Is all[i] covered by one that has been taken, or by a later one that is not the same? */
static bool is_redundant(const struct json_object *taken, const struct json_object *all, size_t i)
{
        const struct json_object *t = kc_json_idx(all, i);
        for (size_t j = 0; j < kc_json_len(taken); j++)
                if (covers(kc_json_idx(taken, j), t))
                        return true;
        for (size_t j = i + 1; j < kc_json_len(all); j++)
                if (!kc_json_equal(kc_json_idx(all, j), t) && covers(kc_json_idx(all, j), t))
                        return true;
        return false;
}

static void merge_tolerations(struct json_object *spec, const struct json_object *more)
{
        struct json_object *merged = json_object_new_array();
        KC_CLEANUP(kc_json_freep) struct json_object *all = kc_json_copy(kc_json_get(spec, "tolerations"));
        if (!all)
                all = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(more); i++)
                kc_json_push(all, kc_json_copy(kc_json_idx(more, i)));
        for (size_t i = 0; i < kc_json_len(all); i++)
                if (!is_redundant(merged, all, i))
                        kc_json_push(merged, kc_json_copy(kc_json_idx(all, i)));
        if (kc_json_len(merged) > 0)
                kc_json_set(spec, "tolerations", merged);
        else
                kc_json_free(merged);
}

static int schedule(struct kc_admission_attrs *a, const struct json_object *scheduling, struct kc_error *err)
{
        struct json_object *spec = kc_json_get_mut(a->obj, "spec");
        const struct json_object *own = kc_json_get(spec, "nodeSelector");
        KC_JSON_FOREACH(kc_json_get(scheduling, "nodeSelector"), key, value)
        {
                const char *theirs = kc_json_as_str(value), *mine = kc_json_str(own, key);
                if (mine && !kc_streq(mine, theirs))
                        return adm_forbidden(err, a,
                            "conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; pod.spec.nodeSelector[%s] = %s",
                            key, theirs, key, mine);
        }
        KC_JSON_FOREACH(kc_json_get(scheduling, "nodeSelector"), key, value)
        kc_json_set_str(kc_json_ensure_obj(spec, "nodeSelector"), key, kc_json_as_str(value));
        merge_tolerations(spec, kc_json_get(scheduling, "tolerations"));
        return 0;
}

ADM_ADMIT(adm_runtime_class)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *class = NULL;
        if (!adm_is(a, "", "pods"))
                return 0;
        int r = runtime_class(adm, a, &class, err);
        if (r < 0 || !class)
                return r;
        const struct json_object *overhead = kc_json_get(kc_object_json(class), "overhead");
        const struct json_object *fixed = kc_json_get(overhead, "podFixed");
        const struct json_object *scheduling = kc_json_get(kc_object_json(class), "scheduling");
        struct json_object *spec = kc_json_get_mut(a->obj, "spec");
        if (overhead && kc_json_get(spec, "overhead") && !quantities_equal(fixed, kc_json_get(spec, "overhead")))
                return differs(a, err);
        if (fixed)
                kc_json_set(spec, "overhead", kc_json_copy(fixed));
        return scheduling ? schedule(a, scheduling, err) : 0;
}

ADM_VALIDATE(adm_runtime_class_validate)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *class = NULL;
        const struct json_object *given = kc_json_at(a->obj, "spec.overhead");
        if (!adm_is(a, "", "pods"))
                return 0;
        int r = runtime_class(adm, a, &class, err);
        if (r < 0)
                return r;
        const struct json_object *overhead = class ? kc_json_get(kc_object_json(class), "overhead") : NULL;
        if (overhead && !quantities_equal(kc_json_get(overhead, "podFixed"), given))
                return differs(a, err);
        if (!overhead && given)
                return adm_forbidden(
                    err, a, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
        return 0;
}

/* --- DefaultIngressClass: the class of Ingresses that name none */

/* Is a to be preferred to b? The newest, then by name. */
static bool is_before(const struct kc_object *a, const struct kc_object *b)
{
        int newer = strcmp(string(kc_json_get(kc_object_json(a), "metadata"), "creationTimestamp"),
            string(kc_json_get(kc_object_json(b), "metadata"), "creationTimestamp"));
        return newer > 0 || (newer == 0 && strcmp(kc_object_name(a), kc_object_name(b)) < 0);
}

ADM_ADMIT(adm_default_ingress_class)
{
        static const char is_default[] = "ingressclass.kubernetes.io/is-default-class";
        struct kc_objects all = {0};
        const struct kc_object *best = NULL;
        if (!adm_is(a, "networking.k8s.io", "ingresses") || kc_json_at(a->obj, "spec.ingressClassName") ||
            kc_meta_annotation(a->obj, "kubernetes.io/ingress.class"))
                return 0;
        int r = kc_resources_list(
            kc_admission_resources(adm), "networking.k8s.io", "ingressclasses", NULL, NULL, &all, err);
        for (size_t i = 0; r == 0 && i < all.n; i++) {
                const char *marked = kc_meta_annotation(kc_object_json(all.v[i]), is_default);
                if (kc_streq(marked, "true") && (!best || is_before(all.v[i], best)))
                        best = all.v[i];
        }
        if (best)
                kc_json_set_str(kc_json_ensure_obj(a->obj, "spec"), "ingressClassName", kc_object_name(best));
        kc_objects_done(&all);
        return r;
}

/* --- PersistentVolumeClaimResize: claims grow if they are bound, and of a class that lets them */

static const char *claim_class(const struct json_object *claim)
{
        const char *said = kc_meta_annotation(claim, "volume.beta.kubernetes.io/storage-class");
        return said ? said : string(kc_json_get(claim, "spec"), "storageClassName");
}

static struct kc_quantity claim_size(const struct json_object *claim)
{
        const char *s = kc_json_str(kc_json_at(claim, "spec.resources.requests"), "storage");
        struct kc_quantity q = {0};
        if (!s || kc_quantity_parse(s, &q) < 0)
                return (struct kc_quantity){0};
        return q;
}

ADM_VALIDATE(adm_claim_resize)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *class = NULL;
        if (!adm_is(a, "", "persistentvolumeclaims"))
                return 0;
        struct kc_quantity now = claim_size(a->obj), before = claim_size(a->old);
        const char *name = claim_class(a->obj);
        if (kc_quantity_cmp(&now, &before) <= 0)
                return 0;
        if (!kc_streq(kc_json_str_at(a->old, "status.phase"), "Bound"))
                return adm_forbidden(err, a, "Only bound persistent volume claims can be expanded");
        bool known = *name && kc_streq(name, claim_class(a->old)) &&
                     kc_resources_get(
                         kc_admission_resources(adm), "storage.k8s.io", "storageclasses", "", name, &class, NULL) == 0;
        if (!known || !kc_json_bool(kc_object_json(class), "allowVolumeExpansion", false))
                return adm_forbidden(err, a,
                    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                    "support resize");
        return 0;
}

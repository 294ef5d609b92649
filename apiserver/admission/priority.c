/* Priority: the number and the preemption policy of a pod come from its PriorityClass. */
#include <errno.h>
#include <string.h>

#include "admission/admission_internal.h"
#include "api/object.h"
#include "base/str.h"

#define GROUP "scheduling.k8s.io"
#define PREEMPT_LOWER "PreemptLowerPriority"

/* The global default; NULL: none. Among several (a race), the lowest. */
static struct kc_object *global_default(struct kc_admission *adm)
{
        struct kc_objects all = {0};
        struct kc_object *best = NULL;
        if (kc_resources_list(kc_admission_resources(adm), GROUP, "priorityclasses", NULL, NULL, &all, NULL) == 0)
                for (size_t i = 0; i < all.n; i++) {
                        const struct json_object *pc = kc_object_json(all.v[i]);
                        if (!kc_json_bool(pc, "globalDefault", false) ||
                            (best && kc_json_int(kc_object_json(best), "value", 0) <= kc_json_int(pc, "value", 0)))
                                continue;
                        kc_object_unref(best);
                        best = kc_object_ref(all.v[i]);
                }
        kc_objects_done(&all);
        return best;
}

static int class_of(struct kc_admission *adm, const struct kc_admission_attrs *a, const char *name,
    struct kc_object **ret, struct kc_error *err)
{
        const struct kc_resources *rs = kc_admission_resources(adm);
        if (kc_resources_get(rs, GROUP, "priorityclasses", "", name, ret, NULL) == 0)
                return 0;
        int r = kc_resources_get_live(rs, GROUP, "priorityclasses", "", name, ret, err);
        if (r == -ENOENT)
                return adm_forbidden(err, a, "no PriorityClass with name %s was found", name);
        return r;
}

static int admit_new(
    struct kc_admission *adm, struct kc_admission_attrs *a, struct json_object *spec, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pc = NULL;
        const char *name = kc_json_str(spec, "priorityClassName");
        if (kc_str_empty(name)) {
                pc = global_default(adm);
                if (pc)
                        kc_json_set_str(spec, "priorityClassName", kc_object_name(pc));
        } else {
                int r = class_of(adm, a, name, &pc, err);
                if (r < 0)
                        return r;
        }
        int64_t priority = pc ? kc_json_int(kc_object_json(pc), "value", 0) : 0;
        const char *policy = pc ? kc_json_str(kc_object_json(pc), "preemptionPolicy") : NULL;
        if (kc_str_empty(policy))
                policy = PREEMPT_LOWER;
        int64_t given = kc_json_int(spec, "priority", priority);
        if (given != priority)
                return adm_forbidden(err, a,
                    "the integer value of priority (%lld) must not be provided in pod spec; priority admission "
                    "controller computed %lld from the given PriorityClass name",
                    (long long)given, (long long)priority);
        const char *given_policy = kc_json_str(spec, "preemptionPolicy");
        if (given_policy && strcmp(given_policy, policy) != 0)
                return adm_forbidden(err, a,
                    "the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission "
                    "controller computed %s from the given PriorityClass name",
                    given_policy, policy);
        kc_json_set_int(spec, "priority", priority);
        kc_json_set_str(spec, "preemptionPolicy", policy);
        return 0;
}

ADM_ADMIT(adm_priority)
{
        if (!adm_is(a, "", "pods"))
                return 0;
        struct json_object *spec = kc_json_ensure_obj(a->obj, "spec");
        if (a->op == KC_ADMIT_CREATE)
                return admit_new(adm, a, spec, err);
        static const char *const kept[] = {"priority", "preemptionPolicy"};
        const struct json_object *old = kc_json_get(a->old, "spec");
        for (size_t i = 0; i < KC_ARRAY_LEN(kept); i++)
                if (!kc_json_get(spec, kept[i]) && kc_json_get(old, kept[i]))
                        kc_json_set(spec, kept[i], kc_json_copy(kc_json_get(old, kept[i])));
        return 0;
}

ADM_VALIDATE(adm_priority_validate)
{
        if (!adm_is(a, GROUP, "priorityclasses") || !kc_json_bool(a->obj, "globalDefault", false))
                return 0;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *other = global_default(adm);
        if (!other || (a->op == KC_ADMIT_UPDATE && kc_streq(kc_object_name(other), kc_meta_name(a->obj))))
                return 0;
        return adm_forbidden(
            err, a, "PriorityClass %s is already marked as default. Only one default can exist", kc_object_name(other));
}

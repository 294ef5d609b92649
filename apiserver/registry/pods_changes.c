/* The ephemeralcontainers and resize subresources of pods. Worker threads. */
#include "api/object.h"
#include "base/str.h"
#include "registry/pods_internal.h"

/* The old pod, but for what says which pod and which version of it is meant. */
static void start_over(struct json_object *pod, const struct json_object *old, struct json_object **ret_wanted)
{
        static const char *const of_request[] = {"name", "namespace", "resourceVersion", "uid", "managedFields"};
        struct json_object *meta = kc_json_copy(kc_json_get(old, "metadata"));

        for (size_t i = 0; i < KC_ARRAY_LEN(of_request); i++)
                kc_strategy_keep(meta, kc_json_get(pod, "metadata"), of_request[i]);
        *ret_wanted = kc_json_copy(kc_json_get(pod, "spec"));
        kc_json_set(pod, "metadata", meta);
        kc_strategy_keep(pod, old, "spec");
        kc_strategy_keep(pod, old, "status");
}

void pods_prepare_ephemeral(const struct kc_registry_ctx *c, struct json_object *pod, const struct json_object *old)
{
        KC_CLEANUP(kc_json_freep) struct json_object *wanted = NULL;

        (void)c; /* the same for every request */
        start_over(pod, old, &wanted);
        kc_strategy_keep(kc_json_ensure_obj(pod, "spec"), wanted, "ephemeralContainers");
        kc_strategy_bump_generation(pod, old);
}

static void take_resources(struct json_object *spec, const struct json_object *wanted, const char *list)
{
        static const char *const taken[] = {"resources", "resizePolicy"};
        const struct json_object *new = kc_json_get(wanted, list);
        struct json_object *containers = kc_json_get_mut(spec, list);

        /* Another number of containers is for validation to refuse. */
        if (kc_json_len(new) != kc_json_len(containers)) {
                kc_strategy_keep(spec, wanted, list);
                return;
        }
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                struct json_object *container = kc_json_idx_mut(containers, i);
                const struct json_object *from = kc_json_find(new, "name", kc_json_str(container, "name"));
                for (size_t k = 0; from && k < KC_ARRAY_LEN(taken); k++)
                        kc_strategy_keep(container, from, taken[k]);
        }
}

void pods_prepare_resize(const struct kc_registry_ctx *c, struct json_object *pod, const struct json_object *old)
{
        KC_CLEANUP(kc_json_freep) struct json_object *wanted = NULL;
        struct json_object *spec;

        (void)c; /* the same for every request */
        start_over(pod, old, &wanted);
        spec = kc_json_ensure_obj(pod, "spec");
        take_resources(spec, wanted, "containers");
        take_resources(spec, wanted, "initContainers");
        kc_strategy_keep(spec, wanted, "resources");
        kc_strategy_bump_generation(pod, old);
}

void pods_validate_resize(const struct kc_registry_ctx *c, const struct json_object *pod, const struct json_object *old,
    struct kc_field_errors *errors)
{
        const char *class = kc_json_str_at(old, "status.qosClass");

        (void)c; /* the same for every request */
        if (class && !kc_streq(class, pods_qos_class(pod)))
                kc_field_invalid_str(errors, "spec", class, "Pod QOS Class may not change as a result of resizing");
}

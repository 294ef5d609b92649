/* Comparing and replacing the resources of a pod's containers. Pure: any thread. */
#include "kubelet/pod/resize.h"

#include "api/quantity.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"

static const char *const lists[] = {"initContainers", "containers"};
static const char *const parts[] = {"requests", "limits"};

/* Those that can be resized. */
static bool resizable(const char *list, const struct json_object *container)
{
        return kc_streq(list, "containers") || kc_container_is_sidecar(container);
}

struct json_object *kc_resize_resources(const struct json_object *pod)
{
        struct json_object *all = json_object_new_object();

        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *containers = kc_json_get(kc_json_get(pod, "spec"), lists[l]);
                for (size_t i = 0; i < kc_json_len(containers); i++) {
                        const struct json_object *c = kc_json_idx(containers, i);
                        if (!resizable(lists[l], c))
                                continue;
                        struct json_object *r = json_object_new_object();
                        for (size_t p = 0; p < KC_ARRAY_LEN(parts); p++) {
                                const struct json_object *v = kc_json_get(kc_json_get(c, "resources"), parts[p]);
                                if (kc_json_n_keys(v) > 0)
                                        kc_json_set(r, parts[p], kc_json_copy(v));
                        }
                        kc_json_set(all, kc_json_str(c, "name"), r);
                }
        }
        return all;
}

static bool same_quantity(const struct json_object *a, const struct json_object *b)
{
        struct kc_quantity x, y;

        if (!a || !b)
                return !a && !b;
        if (!kc_json_as_str(a) || !kc_json_as_str(b) || kc_quantity_parse(kc_json_as_str(a), &x) < 0 ||
            kc_quantity_parse(kc_json_as_str(b), &y) < 0)
                return kc_json_equal(a, b);
        return kc_quantity_cmp(&x, &y) == 0;
}

static bool same_resource(const struct json_object *a, const struct json_object *b, const char *name)
{
        for (size_t p = 0; p < KC_ARRAY_LEN(parts); p++)
                if (!same_quantity(
                        kc_json_get(kc_json_get(a, parts[p]), name), kc_json_get(kc_json_get(b, parts[p]), name)))
                        return false;
        return true;
}

bool kc_resize_same(const struct json_object *a, const struct json_object *b)
{
        return same_resource(a, b, "cpu") && same_resource(a, b, "memory");
}

bool kc_resize_needs_restart(const struct json_object *container, const struct json_object *actuated)
{
        const struct json_object *policies = kc_json_get(container, "resizePolicy");
        const struct json_object *wanted = kc_json_get(container, "resources");

        for (size_t i = 0; i < kc_json_len(policies); i++) {
                const struct json_object *p = kc_json_idx(policies, i);
                if (kc_streq(kc_json_str(p, "restartPolicy"), "RestartContainer") &&
                    !same_resource(wanted, actuated, kc_json_str(p, "resourceName") ?: ""))
                        return true;
        }
        return false;
}

bool kc_resize_pending(const struct json_object *pod, const struct json_object *resources)
{
        KC_CLEANUP(kc_json_freep) struct json_object *wanted = kc_resize_resources(pod);

        KC_JSON_FOREACH(wanted, name, value)
        {
                const struct json_object *have = kc_json_get(resources, name);
                if (have && !kc_resize_same(value, have))
                        return true;
        }
        return false;
}

static void apply_to(struct json_object *containers, const char *list, const struct json_object *resources)
{
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                struct json_object *c = kc_json_idx_mut(containers, i);
                const struct json_object *have = kc_json_get(resources, kc_json_str(c, "name"));
                if (!have || !resizable(list, c))
                        continue;
                struct json_object *r = kc_json_ensure_obj(c, "resources");
                for (size_t p = 0; p < KC_ARRAY_LEN(parts); p++) {
                        if (kc_json_get(have, parts[p]))
                                kc_json_set(r, parts[p], kc_json_copy(kc_json_get(have, parts[p])));
                        else
                                kc_json_del(r, parts[p]);
                }
        }
}

struct kc_object *kc_resize_apply(struct kc_object *pod, const struct json_object *resources)
{
        struct json_object *copy;

        if (!resources || !kc_resize_pending(kc_object_json(pod), resources))
                return kc_object_ref(pod);
        copy = kc_object_copy_json(pod);
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++)
                apply_to(kc_json_get_mut(kc_json_get_mut(copy, "spec"), lists[l]), lists[l], resources);
        return kc_object_new(copy);
}

char *kc_resize_summary(const struct json_object *pod, const char *error)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = json_object_new_object();

        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *containers = kc_json_get(kc_json_get(pod, "spec"), lists[l]);
                for (size_t i = 0; i < kc_json_len(containers); i++) {
                        const struct json_object *c = kc_json_idx(containers, i);
                        const struct json_object *r = kc_json_get(c, "resources");
                        if (!resizable(lists[l], c))
                                continue;
                        kc_json_push(kc_json_ensure_arr(o, lists[l]),
                            kc_json_build("{'name':%s,'resources':%o}", kc_json_str(c, "name"),
                                r ? kc_json_copy(r) : json_object_new_object()));
                }
        }
        kc_json_set_int(o, "generation", kc_meta_generation(pod));
        if (error)
                kc_json_set_str(o, "error", error);
        return kc_json_to_str(o);
}

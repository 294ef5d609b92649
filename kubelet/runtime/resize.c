/* Resizing running containers in place. The pod's cgroup is wide enough for both the old and the new resources while
 * containers change, and fits the new ones afterwards. Thread: the pod's worker. */
#include "kubelet/pod/resize.h"
#include "api/quantity.h"
#include "base/log.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/runtime/runtime_internal.h"

static void keep_larger(struct json_object *list, const struct json_object *other)
{
        KC_JSON_FOREACH(other, name, value)
        {
                struct kc_quantity a, b;
                const char *have = kc_json_str(list, name);
                if (have && kc_json_as_str(value) && kc_quantity_parse(have, &a) == 0 &&
                    kc_quantity_parse(kc_json_as_str(value), &b) == 0 && kc_quantity_cmp(&a, &b) < 0)
                        kc_json_set(list, name, kc_json_copy(value));
        }
}

/* A pod that asks for whatever is more of what its containers have and shall have. */
static struct json_object *widest(const struct json_object *pod, const struct json_object *actuated)
{
        static const char *const lists[] = {"initContainers", "containers"}, *const parts[] = {"requests", "limits"};
        struct json_object *copy = kc_json_copy(pod);

        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                struct json_object *containers = kc_json_get_mut(kc_json_get_mut(copy, "spec"), lists[l]);
                for (size_t i = 0; i < kc_json_len(containers); i++) {
                        struct json_object *c = kc_json_idx_mut(containers, i);
                        const struct json_object *have = kc_json_get(actuated, kc_json_str(c, "name"));
                        for (size_t p = 0; have && p < KC_ARRAY_LEN(parts); p++) {
                                struct json_object *r = kc_json_get_mut(c, "resources");
                                /* Without a limit before there is none while it is being set. */
                                if (p == 1 && !kc_json_get(have, parts[p]))
                                        kc_json_del(r, parts[p]);
                                else
                                        keep_larger(kc_json_get_mut(r, parts[p]), kc_json_get(have, parts[p]));
                        }
                }
        }
        return copy;
}

void kc_resize_record(struct kc_pod_sync *sync, const struct json_object *container)
{
        const struct json_object *r = kc_json_get(container, "resources");

        if (!sync->actuated)
                sync->actuated = json_object_new_object();
        kc_json_set(sync->actuated, kc_json_str(container, "name"), r ? kc_json_copy(r) : json_object_new_object());
        sync->resized = true;
}

/* A running container that has other resources than it shall have, and is not about to end. */
static const struct kc_rt_container *to_resize(const struct json_object *container, const struct kc_pod_runtime *rt,
    const struct kc_pod_sync *sync, const struct kc_actions *a)
{
        const struct kc_rt_container *c = kc_pod_runtime_container(rt, kc_json_str(container, "name"));
        const struct json_object *have = kc_json_get(sync->actuated, kc_json_str(container, "name"));

        if (!c || c->state != KC_STATE_RUNNING || !have || kc_resize_same(kc_json_get(container, "resources"), have))
                return NULL;
        for (size_t i = 0; i < a->n_kill; i++)
                if (a->kill[i].container == c)
                        return NULL;
        return c;
}

static int resize_list(struct kc_runtime *r, const struct json_object *pod, const char *list,
    const struct kc_pod_runtime *rt, struct kc_pod_sync *sync, const struct kc_actions *a, struct kc_error *err)
{
        const struct json_object *containers = kc_json_get(kc_json_get(pod, "spec"), list);

        for (size_t i = 0; i < kc_json_len(containers); i++) {
                const struct json_object *container = kc_json_idx(containers, i);
                KC_CLEANUP(kc_arena_done) struct kc_arena arena = {0};
                const struct kc_rt_container *c = to_resize(container, rt, sync, a);
                if (!c)
                        continue;
                int res = kc_cri_update_container_resources(
                    r->o.cri, c->id, kc_container_resources_make(r, pod, container, &arena), err);
                if (res < 0)
                        return kc_error_wrap(err, "failed to resize container \"%s\"", c->name);
                kc_resize_record(sync, container);
        }
        return 0;
}

static bool anything_to_do(const struct json_object *pod, const char *list, const struct kc_pod_runtime *rt,
    const struct kc_pod_sync *sync, const struct kc_actions *a)
{
        const struct json_object *containers = kc_json_get(kc_json_get(pod, "spec"), list);

        for (size_t i = 0; i < kc_json_len(containers); i++)
                if (to_resize(kc_json_idx(containers, i), rt, sync, a))
                        return true;
        return false;
}

int kc_resize_containers(struct kc_runtime *r, const struct json_object *pod, const struct kc_pod_runtime *rt,
    struct kc_pod_sync *sync, const struct kc_actions *a, struct kc_error *err)
{
        if (!anything_to_do(pod, "containers", rt, sync, a) && !anything_to_do(pod, "initContainers", rt, sync, a))
                return 0;
        KC_CLEANUP(kc_json_freep) struct json_object *wide = widest(pod, sync->actuated);
        int res = kc_pod_cgroup_ensure(r, wide, err);
        if (res == 0)
                res = resize_list(r, pod, "initContainers", rt, sync, a, err);
        if (res == 0)
                res = resize_list(r, pod, "containers", rt, sync, a, err);
        if (res == 0)
                res = kc_pod_cgroup_ensure(r, pod, err);
        kc_str_set(&sync->resize_error, res < 0 ? kc_error_message(err) : NULL);
        return res;
}

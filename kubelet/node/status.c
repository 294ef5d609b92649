/* The Node object and its status. Pure functions of what was gathered. */
#include <stdlib.h>
#include <string.h>

#include "api/patch.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/node/node_internal.h"
#include "kubelet/pod/pod.h"

enum { MAX_IMAGES = 50, MAX_IMAGE_NAMES = 5 };
#define IMAGES_EVERY (60 * KC_SEC)

static void set_condition(struct json_object *list, const struct json_object *old, const char *type, bool value,
    const char *reason, const char *message, kc_time now)
{
        char stamp[KC_TIME_LEN];
        const char *status = value ? "True" : "False";
        const struct json_object *was = kc_json_find(kc_json_get(old, "conditions"), "type", type);
        kc_time_format(now, stamp);
        const char *since =
            kc_streq(kc_json_str(was, "status"), status) ? kc_json_str(was, "lastTransitionTime") : NULL;
        kc_json_push(
            list, kc_json_build(
                      "{'type':%s,'status':%s,'lastHeartbeatTime':%s,'lastTransitionTime':%s,'reason':%s,'message':%s}",
                      type, status, stamp, since ?: stamp, reason, message));
}

static void add_conditions(struct json_object *status, const struct json_object *old, const struct kc_pressure *p,
    const char *not_ready, kc_time now)
{
        struct json_object *list = json_object_new_array();
        const struct json_object *others = kc_json_get(old, "conditions");
        static const char *const ours[] = {"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"};
        for (size_t i = 0; i < kc_json_len(others); i++) {
                bool mine = false;
                for (size_t k = 0; k < KC_ARRAY_LEN(ours); k++)
                        mine |= kc_streq(kc_json_str(kc_json_idx(others, i), "type"), ours[k]);
                if (!mine)
                        kc_json_push(list, kc_json_copy(kc_json_idx(others, i)));
        }
        set_condition(list, old, "MemoryPressure", p->memory,
            p->memory ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
            p->memory ? "kubelet has insufficient memory available" : "kubelet has sufficient memory available", now);
        set_condition(list, old, "DiskPressure", p->disk,
            p->disk ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
            p->disk ? "kubelet has disk pressure" : "kubelet has no disk pressure", now);
        set_condition(list, old, "PIDPressure", p->pid,
            p->pid ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
            p->pid ? "kubelet has insufficient PID available" : "kubelet has sufficient PID available", now);
        set_condition(list, old, "Ready", !not_ready, not_ready ? "KubeletNotReady" : "KubeletReady",
            not_ready ?: "kubelet is posting ready status", now);
        kc_json_set(status, "conditions", list);
}

static int larger_first(const void *a, const void *b)
{
        struct json_object *const *x = a, *const *y = b;
        int64_t sx = kc_json_int(*x, "sizeBytes", 0), sy = kc_json_int(*y, "sizeBytes", 0);
        return sx < sy ? 1 : sx > sy ? -1 : 0;
}

/* The largest images with their names, looked at once a minute. */
static const struct json_object *images(struct kc_node *n, kc_time now)
{
        if (n->images && now - n->images_at < IMAGES_EVERY)
                return n->images;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListImagesResponse *list = NULL;
        if (kc_cri_list_images(n->o.cri, &list, NULL) < 0)
                return n->images;
        struct json_object *out = json_object_new_array();
        for (size_t i = 0; i < list->n_images; i++) {
                const Runtime__V1__Image *im = list->images[i];
                struct json_object *names = json_object_new_array();
                for (size_t k = 0; k < im->n_repo_digests && kc_json_len(names) < MAX_IMAGE_NAMES; k++)
                        kc_json_push_str(names, im->repo_digests[k]);
                for (size_t k = 0; k < im->n_repo_tags && kc_json_len(names) < MAX_IMAGE_NAMES; k++)
                        kc_json_push_str(names, im->repo_tags[k]);
                struct json_object *e = kc_json_build("{'names':%o}", names);
                kc_json_set_int(e, "sizeBytes", (int64_t)im->size);
                kc_json_push(out, e);
        }
        json_object_array_sort(out, larger_first);
        if (kc_json_len(out) > MAX_IMAGES)
                json_object_array_del_idx(out, MAX_IMAGES, kc_json_len(out) - MAX_IMAGES);
        kc_json_free(n->images);
        n->images = out;
        n->images_at = now;
        return out;
}

struct json_object *kc_node_status_make(struct kc_node *n, const struct json_object *old,
    const struct kc_runtime_look *look, char *const *addresses, const struct kc_pressure *pressure,
    const char *not_ready, kc_time now)
{
        struct json_object *status = old ? kc_json_copy(old) : json_object_new_object();
        struct json_object *list = json_object_new_array();
        for (; addresses && *addresses; addresses++)
                kc_json_push(list, kc_json_build("{'type':'InternalIP','address':%s}", *addresses));
        kc_json_push(list, kc_json_build("{'type':'Hostname','address':%s}", n->o.hostname));
        kc_json_set(status, "addresses", list);
        struct json_object *capacity = kc_machine_capacity(n->o.root_dir, n->o.max_pods, n->o.pods_per_core);
        struct json_object *allocatable =
            kc_machine_allocatable(capacity, n->o.kube_reserved, n->o.system_reserved, n->o.eviction_hard);
        /* Extended resources are others' entries. */
        KC_JSON_FOREACH(kc_json_get(old, "capacity"), name, value)
        {
                if (strchr(name, '/') && !kc_json_get(capacity, name)) {
                        kc_json_set(capacity, name, kc_json_copy(value));
                        const struct json_object *a = kc_json_get(kc_json_get(old, "allocatable"), name);
                        kc_json_set(allocatable, name, kc_json_copy(a ? a : value));
                }
        }
        kc_json_set(status, "capacity", capacity);
        kc_json_set(status, "allocatable", allocatable);
        kc_json_set(status, "nodeInfo", kc_machine_info(look->name, look->version));
        kc_json_set(status, "daemonEndpoints", kc_json_build("{'kubeletEndpoint':{'Port':%d}}", n->o.kubelet_port));
        const struct json_object *im = look->up ? images(n, now) : n->images;
        if (im)
                kc_json_set(status, "images", kc_json_copy(im));
        add_conditions(status, old, pressure, not_ready, now);
        return status;
}

/* A copy without what changes by itself. */
static struct json_object *without_heartbeats(const struct json_object *status)
{
        struct json_object *copy = status ? kc_json_copy(status) : json_object_new_object();
        struct json_object *list = kc_json_get_mut(copy, "conditions");
        for (size_t i = 0; i < kc_json_len(list); i++)
                kc_json_del(kc_json_idx_mut(list, i), "lastHeartbeatTime");
        return copy;
}

bool kc_node_status_changed(const struct json_object *old, const struct json_object *status)
{
        KC_CLEANUP(kc_json_freep) struct json_object *a = without_heartbeats(old);
        KC_CLEANUP(kc_json_freep) struct json_object *b = without_heartbeats(status);
        return !kc_status_equal(a, b);
}

struct json_object *kc_node_status_patch(const struct json_object *old, const struct json_object *status)
{
        KC_CLEANUP(kc_json_freep) struct json_object *from = old ? kc_json_copy(old) : json_object_new_object();
        KC_CLEANUP(kc_json_freep) struct json_object *to = kc_json_copy(status);
        kc_json_del(from, "conditions");
        struct json_object *mine = json_object_new_array();
        static const char *const ours[] = {"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"};
        for (size_t i = 0; i < KC_ARRAY_LEN(ours); i++)
                kc_json_push(mine, kc_json_copy(kc_json_find(kc_json_get(status, "conditions"), "type", ours[i])));
        kc_json_set(to, "conditions", mine);
        struct json_object *patch = kc_patch_merge_diff(from, to);
        struct json_object *addresses = kc_json_get_mut(patch, "addresses");
        if (addresses)
                kc_json_push(addresses, kc_json_build("{'$patch':'replace'}"));
        return kc_json_build("{'status':%o}", patch);
}

/* "k=v:Effect" or "k:Effect". */
static struct json_object *taint_of(const char *text)
{
        const char *colon = strrchr(text, ':');
        if (!colon)
                return NULL;
        KC_CLEANUP(kc_freep) char *head = kc_strndup(text, (size_t)(colon - text));
        char *eq = strchr(head, '=');
        if (eq)
                *eq = '\0';
        struct json_object *t = kc_json_build("{'key':%s,'effect':%s}", head, colon + 1);
        if (eq && eq[1])
                kc_json_set_str(t, "value", eq + 1);
        return t;
}

struct json_object *kc_node_initial(struct kc_node *n)
{
        KC_CLEANUP(kc_json_freep) struct json_object *info = kc_machine_info(NULL, NULL);
        const char *arch = kc_json_str(info, "architecture");
        struct json_object *node = kc_json_build(
            "{'kind':'Node','apiVersion':'v1','metadata':{'name':%s,'labels':{'beta.kubernetes.io/arch':%s,"
            "'beta.kubernetes.io/os':'linux','kubernetes.io/arch':%s,'kubernetes.io/hostname':%s,'kubernetes.io/"
            "os':'linux'},"
            "'annotations':{'volumes.kubernetes.io/controller-managed-attach-detach':'true'}},'spec':{}}",
            n->o.name, arch, arch, n->o.hostname);
        for (char *const *l = n->o.labels; l && *l; l++) {
                const char *eq = strchr(*l, '=');
                KC_CLEANUP(kc_freep) char *key = kc_strndup(*l, eq ? (size_t)(eq - *l) : strlen(*l));
                kc_meta_set_label(node, key, eq ? eq + 1 : "");
        }
        for (char *const *t = n->o.taints; t && *t; t++) {
                struct json_object *taint = taint_of(*t);
                if (taint)
                        kc_json_push(kc_json_ensure_arr(node, "spec.taints"), taint);
        }
        if (!n->o.register_schedulable) {
                kc_json_set_bool(kc_json_get_mut(node, "spec"), "unschedulable", true);
                kc_json_push(kc_json_ensure_arr(node, "spec.taints"),
                    kc_json_build("{'key':'node.kubernetes.io/unschedulable','effect':'NoSchedule'}"));
        }
        return node;
}

/* Pods that write more than they may: the sizeLimit of an emptyDir, and limits of ephemeral-storage of containers and
 * of the pod as a whole (writable layers, logs, emptyDirs, /etc/hosts). Upstream: localStorageEviction of the eviction
 * manager. Runs in the rounds of housekeeping.c, on the pool. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "api/quantity.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/disk_usage.h"
#include "kubelet/kubelet_internal.h"
#include "kubelet/pod/pod.h"

enum { EVICTION_GRACE_SECONDS = 1, CRITICAL_PRIORITY = 2000000000 };

#define STORAGE "ephemeral-storage"

struct look {
        struct kc_kubelet *k;
        const struct json_object *pod;
        const char *uid;
        struct kc_pod_runtime *rt;
        Runtime__V1__ListContainerStatsResponse *stats; /* of all containers; NULL: not asked yet */
        bool dedicated_images;                          /* writable layers are on another file system than volumes */
};

static uint64_t usage_of(const char *path)
{
        uint64_t bytes = 0;
        int r = kc_disk_usage(path, &bytes);
        if (r < 0 && r != -ENOENT) {
                struct kc_error err = KC_ERROR_INIT;
                (void)kc_error_set(&err, -r, "%s: %s", path, strerror(-r));
                kc_log_error(&err, "Failed to measure what a pod has written, retrying");
                kc_error_done(&err);
        }
        return bytes;
}

static uint64_t empty_dir_usage(const struct look *l, const struct json_object *volume)
{
        KC_CLEANUP(kc_freep)
        char *dir = kc_pod_volume_dir(
            l->k->config->root_dir, l->uid, "kubernetes.io~empty-dir", kc_json_str(volume, "name") ?: "");
        struct statvfs st;
        if (kc_str_empty(kc_json_str_at(volume, "emptyDir.medium")))
                return usage_of(dir);
        return statvfs(dir, &st) < 0 ? 0 : (uint64_t)(st.f_blocks - st.f_bfree) * st.f_frsize;
}

static bool limit_of(const struct json_object *container, struct kc_quantity *ret)
{
        const char *text = kc_json_str(kc_json_at(container, "resources.limits"), STORAGE);
        return text && kc_quantity_parse(text, ret) == 0 && ret->nano > 0;
}

/* What the runtime says that a container has written; 0 where it does not say. */
static uint64_t layer_usage(const struct look *l, const char *id)
{
        for (size_t i = 0; l->stats && i < l->stats->n_stats; i++) {
                const Runtime__V1__ContainerStats *s = l->stats->stats[i];
                if (s->attributes && kc_streq(s->attributes->id, id) && s->writable_layer &&
                    s->writable_layer->used_bytes)
                        return s->writable_layer->used_bytes->value;
        }
        return 0;
}

static uint64_t container_usage(const struct look *l, const struct kc_rt_container *c)
{
        KC_CLEANUP(kc_freep) char *logs = kc_strdup(c->log_path ?: "");
        char *slash = strrchr(logs, '/');
        uint64_t bytes = l->dedicated_images ? 0 : layer_usage(l, c->id);
        if (!slash || slash == logs)
                return bytes;
        *slash = '\0';
        return bytes + usage_of(logs);
}

static void evict(const struct look *l, const char *message)
{
        KC_CLEANUP(kc_freep) char *name = kc_pod_format(l->pod);
        if (kc_pod_is_static(l->pod) || kc_pod_is_mirror(l->pod) ||
            kc_json_int_at(l->pod, "spec.priority", 0) >= CRITICAL_PRIORITY) {
                kc_log_info("Cannot evict a critical pod", "pod", name);
                return;
        }
        if (!kc_workers_fail(l->k, l->uid, "Evicted", message, EVICTION_GRACE_SECONDS))
                return;
        kc_log_info("Evicting a pod", "pod", name, "reason", message);
        kc_kubelet_event_pod(l->k->events, l->pod, NULL, KC_EVENT_WARNING, "Evicted", "%s", message);
}

static bool empty_dir_is_too_large(const struct look *l)
{
        const struct json_object *volumes = kc_json_at(l->pod, "spec.volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *v = kc_json_idx(volumes, i);
                const char *text = kc_json_str_at(v, "emptyDir.sizeLimit");
                struct kc_quantity limit;
                char buf[KC_QUANTITY_LEN];
                if (!text || kc_quantity_parse(text, &limit) < 0 || limit.nano <= 0 ||
                    empty_dir_usage(l, v) <= (uint64_t)kc_quantity_value(&limit))
                        continue;
                KC_CLEANUP(kc_freep)
                char *message = kc_asprintf("Usage of EmptyDir volume \"%s\" exceeds the limit \"%s\". ",
                    kc_json_str(v, "name"), kc_quantity_format(&limit, buf));
                evict(l, message);
                return true;
        }
        return false;
}

/* The containers' together; of containers that come one after the other, the largest. False: none has one. */
static bool pod_limit(const struct json_object *pod, struct kc_quantity *ret)
{
        struct kc_quantity limit, sum = {0}, largest = {0};
        bool any = false;
        const struct json_object *containers = kc_json_at(pod, "spec.containers");
        const struct json_object *init = kc_json_at(pod, "spec.initContainers");
        for (size_t i = 0; i < kc_json_len(init); i++) {
                const struct json_object *c = kc_json_idx(init, i);
                if (!limit_of(c, &limit))
                        continue;
                any = true;
                struct kc_quantity at_once = sum;
                kc_quantity_add(&at_once, &limit);
                if (kc_container_is_sidecar(c))
                        sum = at_once;
                if (kc_quantity_cmp(&at_once, &largest) > 0)
                        largest = at_once;
        }
        for (size_t i = 0; i < kc_json_len(containers); i++)
                if (limit_of(kc_json_idx(containers, i), &limit)) {
                        any = true;
                        if (sum.nano == 0)
                                sum.format = limit.format;
                        kc_quantity_add(&sum, &limit);
                }
        *ret = kc_quantity_cmp(&largest, &sum) > 0 ? largest : sum;
        return any;
}

static bool pod_is_too_large(const struct look *l, const struct kc_quantity *limit)
{
        uint64_t bytes = 0;
        char buf[KC_QUANTITY_LEN];
        for (size_t i = 0; i < l->rt->n_containers; i++)
                if (kc_pod_runtime_container(l->rt, l->rt->containers[i].name) == &l->rt->containers[i])
                        bytes += container_usage(l, &l->rt->containers[i]);
        const struct json_object *volumes = kc_json_at(l->pod, "spec.volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *v = kc_json_idx(volumes, i);
                if (kc_json_get(v, "emptyDir") && kc_str_empty(kc_json_str_at(v, "emptyDir.medium")))
                        bytes += empty_dir_usage(l, v);
        }
        KC_CLEANUP(kc_freep) char *hosts = kc_pod_hosts_path(l->k->config->root_dir, l->uid);
        bytes += usage_of(hosts);
        if (bytes <= (uint64_t)kc_quantity_value(limit))
                return false;
        KC_CLEANUP(kc_freep)
        char *message = kc_asprintf("Pod ephemeral local storage usage exceeds the total limit of containers %s. ",
            kc_quantity_format(limit, buf));
        evict(l, message);
        return true;
}

static void check_containers(const struct look *l)
{
        const struct json_object *containers = kc_json_at(l->pod, "spec.containers");
        for (size_t i = 0; i < kc_json_len(containers); i++) {
                const struct json_object *c = kc_json_idx(containers, i);
                const struct kc_rt_container *rt = kc_pod_runtime_container(l->rt, kc_json_str(c, "name"));
                struct kc_quantity limit;
                char buf[KC_QUANTITY_LEN];
                if (!rt || !limit_of(c, &limit) || container_usage(l, rt) <= (uint64_t)kc_quantity_value(&limit))
                        continue;
                KC_CLEANUP(kc_freep)
                char *message = kc_asprintf("Container %s exceeded its local ephemeral storage limit \"%s\". ",
                    kc_json_str(c, "name"), kc_quantity_format(&limit, buf));
                evict(l, message);
                return;
        }
}

static bool is_dedicated(struct kc_kubelet *k)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ImageFsInfoResponse *info = NULL;
        struct stat images, root;
        if (kc_cri_image_fs_info(k->cri, &info, NULL) < 0 || info->n_image_filesystems == 0 ||
            !info->image_filesystems[0]->fs_id)
                return false;
        return stat(info->image_filesystems[0]->fs_id->mountpoint, &images) == 0 &&
               stat(k->config->root_dir, &root) == 0 && images.st_dev != root.st_dev;
}

/* Statistics are asked for once in a round, and only when a pod has limits. */
static bool know_stats(struct look *l)
{
        struct kc_error err = KC_ERROR_INIT;
        if (l->stats)
                return true;
        if (kc_cri_list_container_stats(l->k->cri, &l->stats, &err) < 0) {
                kc_log_error(&err, "Failed to ask for what containers have written, retrying");
                kc_error_done(&err);
                return false;
        }
        l->dedicated_images = is_dedicated(l->k);
        return true;
}

static void check_pod(struct look *l)
{
        struct kc_quantity limit;
        if (!l->rt || empty_dir_is_too_large(l) || !pod_limit(l->pod, &limit) || !know_stats(l))
                return;
        if (!pod_is_too_large(l, &limit))
                check_containers(l);
}

void kc_kubelet_limit_storage(struct kc_kubelet *k)
{
        struct kc_objects pods = {0};
        struct look l = {.k = k};
        kc_workers_active_pods(k, &pods);
        for (size_t i = 0; i < pods.n; i++) {
                l.pod = kc_object_json(pods.v[i]);
                l.uid = kc_object_uid(pods.v[i]);
                l.rt = kc_workers_runtime(k, l.uid);
                check_pod(&l);
                kc_pod_runtime_unref(l.rt);
        }
        if (l.stats)
                kc_cri_free_msg(&l.stats->base);
        kc_objects_done(&pods);
}

/* Regular cleaning: dead containers, images, logs, and directories of pods that nobody knows. The timer is the loop's,
 * the work runs on the pool, one round at a time. */
#include <dirent.h>
#include <errno.h>

#include "api/quantity.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/kubelet_internal.h"
#include "kubelet/pod/pod.h"

#define ROUND_USEC (60 * KC_SEC)
#define IMAGE_GC_USEC (300 * KC_SEC)

static void report(struct kc_error *err, const char *what)
{
        kc_log_error(err, what);
        kc_error_done(err);
}

static bool wanted(void *arg, const char *uid)
{
        return kc_workers_known(arg, uid);
}

/* Directories of pods that ended while the kubelet was away. */
static void remove_orphan_dirs(struct kc_kubelet *k)
{
        KC_CLEANUP(kc_freep) char *pods = kc_path_join(k->config->root_dir, "pods");
        DIR *d = opendir(pods);
        for (struct dirent *e; d && (e = readdir(d));) {
                if (e->d_name[0] == '.' || kc_workers_known(k, e->d_name))
                        continue;
                struct kc_error err = KC_ERROR_INIT;
                KC_CLEANUP(kc_freep) char *dir = kc_path_join(pods, e->d_name);
                if (kc_volumes_teardown_pod(k->volumes, e->d_name, &err) < 0 || kc_rm_rf(dir, &err) < 0)
                        report(&err, "Failed to remove an orphaned pod directory, retrying");
                else
                        kc_log_info("Cleaned up orphaned pod directory", "podUID", e->d_name);
        }
        if (d)
                closedir(d);
}

static int64_t log_max_size(const struct kc_kubelet *k)
{
        struct kc_quantity q;
        return kc_quantity_parse(k->config->container_log_max_size, &q) < 0 ? 10 << 20 : kc_quantity_value(&q);
}

static void rotate_logs(struct kc_kubelet *k)
{
        struct kc_objects pods = {0};
        kc_workers_active_pods(k, &pods);
        int64_t max = log_max_size(k);
        for (size_t i = 0; i < pods.n; i++) {
                KC_CLEANUP(kc_pod_runtime_unrefp)
                struct kc_pod_runtime *rt = kc_workers_runtime(k, kc_object_uid(pods.v[i]));
                for (size_t c = 0; rt && c < rt->n_containers; c++) {
                        struct kc_error err = KC_ERROR_INIT;
                        if (rt->containers[c].state == KC_STATE_RUNNING &&
                            kc_runtime_rotate_log(
                                k->runtime, &rt->containers[c], max, k->config->container_log_max_files, &err) < 0)
                                report(&err, "Failed to rotate a container's log, retrying");
                }
        }
        kc_objects_done(&pods);
}

static void round_of(void *arg)
{
        struct kc_kubelet *k = arg;
        kc_mono now = kc_clock_mono(k->clock);
        rotate_logs(k);
        kc_kubelet_limit_storage(k);
        kc_kubelet_metrics(k);
        if (now >= k->next_gc && kc_workers_sources_ready(k)) {
                struct kc_error err = KC_ERROR_INIT;
                k->next_gc = now + ROUND_USEC;
                remove_orphan_dirs(k);
                if (kc_runtime_gc(k->runtime, k->config->max_dead_containers_per_container,
                        k->config->minimum_container_ttl, wanted, k, &err) < 0)
                        report(&err, "Container garbage collection failed, retrying");
        }
        if (now >= k->next_image_gc) {
                struct kc_error err = KC_ERROR_INIT;
                k->next_image_gc = now + IMAGE_GC_USEC;
                if (kc_runtime_gc_images(k->runtime, k->config->image_gc_high, k->config->image_gc_low,
                        k->config->minimum_image_ttl, &err) < 0)
                        report(&err, "Image garbage collection failed, retrying");
        }
        atomic_store(&k->housekeeping_runs, false);
}

void kc_kubelet_housekeeping(void *arg)
{
        struct kc_kubelet *k = arg;
        if (atomic_load(&k->stopping))
                return;
        if (!atomic_exchange(&k->housekeeping_runs, true) && kc_pool_submit(k->pool, round_of, k) < 0)
                atomic_store(&k->housekeeping_runs, false);
        kc_timer_arm(k->housekeeping, k->config->container_log_monitor_interval);
}

/* Counts and times of CRI calls: kubelet_runtime_operations_*. Any thread. */
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "daemon/metrics.h"
#include "kubelet/cri/client_internal.h"

static const char *const operations[][2] = {{"Version", "version"}, {"Status", "status"},
    {"RunPodSandbox", "run_podsandbox"}, {"StopPodSandbox", "stop_podsandbox"},
    {"RemovePodSandbox", "remove_podsandbox"}, {"PodSandboxStatus", "podsandbox_status"},
    {"ListPodSandbox", "list_podsandbox"}, {"CreateContainer", "create_container"},
    {"StartContainer", "start_container"}, {"StopContainer", "stop_container"}, {"RemoveContainer", "remove_container"},
    {"ListContainers", "list_containers"}, {"ContainerStatus", "container_status"},
    {"UpdateContainerResources", "update_container"}, {"ReopenContainerLog", "reopen_container_log"},
    {"ExecSync", "exec_sync"}, {"Exec", "exec"}, {"Attach", "attach"}, {"PortForward", "port_forward"},
    {"ListContainerStats", "list_container_stats"}, {"ListImages", "list_images"}, {"ImageStatus", "image_status"},
    {"PullImage", "pull_image"}, {"RemoveImage", "remove_image"}, {"ImageFsInfo", "image_fs_info"}};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct kc_metric *total, *errors, *duration;

static void make(void)
{
        static const char *const labels[] = {"operation_type", NULL};
        /* 5 ms, each 2.5 times the one before, 14 of them: upstream's. */
        static double buckets[14];
        double bound = 0.005;
        for (size_t i = 0; i < KC_ARRAY_LEN(buckets); i++, bound *= 2.5)
                buckets[i] = bound;
        total = kc_metric_counter(
            "kubelet_runtime_operations_total", "Cumulative number of runtime operations by operation type.", labels);
        errors = kc_metric_counter("kubelet_runtime_operations_errors_total",
            "Cumulative number of runtime operation errors by operation type.", labels);
        duration = kc_metric_histogram("kubelet_runtime_operations_duration_seconds",
            "Duration in seconds of runtime operations. Broken down by operation type.", labels, buckets,
            KC_ARRAY_LEN(buckets));
}

void kc_cri_count(const char *method, int64_t usec, bool failed)
{
        pthread_once(&once, make);
        const char *name = strrchr(method, '/');
        for (size_t i = 0; name && i < KC_ARRAY_LEN(operations); i++) {
                if (!kc_streq(operations[i][0], name + 1))
                        continue;
                kc_metric_add(total, 1, KC_LABELS(operations[i][1]));
                kc_metric_observe(duration, (double)usec / KC_SEC, KC_LABELS(operations[i][1]));
                if (failed)
                        kc_metric_add(errors, 1, KC_LABELS(operations[i][1]));
                return;
        }
}

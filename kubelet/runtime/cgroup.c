/* Pod cgroups of the cgroupfs driver, on both hierarchies:
 *
 *   v1: /sys/fs/cgroup/<controller>/kubepods/burstable/pod<uid>      v2: /sys/fs/cgroup/kubepods/burstable/pod<uid>
 *
 * The runtime puts sandbox and containers below. With the systemd driver slices are made by systemd for the runtime,
 * and there is nothing to do here. Thread: the pod's worker. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/runtime/resources.h"
#include "kubelet/runtime/runtime_internal.h"

#define CGROUP_FS "/sys/fs/cgroup"

static const char *const v1_controllers[] = {"cpu", "memory", "pids", "cpuset", "devices", "freezer", "blkio",
    "hugetlb", "net_cls", "net_prio", "perf_event", "systemd", "rdma", "misc", "cpuacct", "unified"};
static const char *const v1_made[] = {"cpu", "memory", "pids"};

static const char *cgroup_fs(const struct kc_runtime *r)
{
        return r->o.cgroup_fs ?: CGROUP_FS;
}

static bool unified(const struct kc_runtime *r)
{
        KC_CLEANUP(kc_freep) char *path = kc_path_join(cgroup_fs(r), "cgroup.controllers");
        return kc_path_exists(path);
}

static bool with_systemd(const struct kc_runtime *r)
{
        return kc_streq(r->o.cgroup_driver, "systemd");
}

char *kc_pod_cgroup(const struct kc_runtime *r, const char *uid, const char *qos)
{
        if (kc_str_empty(r->o.cgroup_root))
                return kc_strdup("");
        const char *class = kc_streq(qos, "Burstable")    ? "burstable"
                            : kc_streq(qos, "BestEffort") ? "besteffort"
                                                          : NULL;
        if (!with_systemd(r))
                return kc_asprintf("%s%s%s/pod%s", r->o.cgroup_root, class ? "/" : "", class ?: "", uid);
        KC_CLEANUP(kc_freep) char *escaped = kc_str_replace_all(uid, "-", "_");
        return kc_asprintf("kubepods%s%s-pod%s.slice", class ? "-" : "", class ?: "", escaped);
}

/* A control file; its absence (controller not there) is no error. */
static int write_value(const char *dir, const char *file, int64_t value, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, file);
        KC_CLEANUP(kc_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : kc_error_set(err, errno, "open %s", path);
        char text[32];
        int len = snprintf(text, sizeof(text), "%lld", (long long)value);
        if (write(fd, text, (size_t)len) < 0)
                return kc_error_set(err, errno, "write %s to %s", text, path);
        return 0;
}

static int write_text(const char *dir, const char *file, const char *text, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, file);
        KC_CLEANUP(kc_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : kc_error_set(err, errno, "open %s", path);
        if (write(fd, text, strlen(text)) < 0)
                return kc_error_set(err, errno, "write %s to %s", text, path);
        return 0;
}

struct limits {
        int64_t milli_request, milli_limit, memory_limit; /* limits 0: none */
};

static int64_t limit_of(const struct json_object *container, const char *name, bool milli)
{
        const char *text = kc_json_str(kc_json_at(container, "resources.limits"), name);
        struct kc_quantity q;
        if (!text || kc_quantity_parse(text, &q) < 0)
                return 0;
        return milli ? kc_quantity_milli(&q) : kc_quantity_value(&q);
}

/* The pod is limited only if each of its containers is. */
static struct limits limits_of(const struct json_object *pod)
{
        struct limits l = {.milli_request = kc_pod_request(pod, "cpu")};
        const struct json_object *list = kc_json_at(pod, "spec.containers");
        bool cpu = true, memory = true;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                int64_t c = limit_of(kc_json_idx(list, i), "cpu", true);
                int64_t m = limit_of(kc_json_idx(list, i), "memory", false);
                cpu &= c > 0;
                memory &= m > 0;
                l.milli_limit += c;
                l.memory_limit += m;
        }
        const struct json_object *inits = kc_json_at(pod, "spec.initContainers");
        for (size_t i = 0; i < kc_json_len(inits); i++) {
                int64_t c = limit_of(kc_json_idx(inits, i), "cpu", true);
                int64_t m = limit_of(kc_json_idx(inits, i), "memory", false);
                cpu &= c > 0;
                memory &= m > 0;
                bool sidecar = kc_container_is_sidecar(kc_json_idx(inits, i));
                l.milli_limit = sidecar ? l.milli_limit + c : KC_MAX(l.milli_limit, c);
                l.memory_limit = sidecar ? l.memory_limit + m : KC_MAX(l.memory_limit, m);
        }
        if (!cpu)
                l.milli_limit = 0;
        if (!memory)
                l.memory_limit = 0;
        return l;
}

static int ensure_v1(struct kc_runtime *r, const char *cgroup, const struct limits *l, struct kc_error *err)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(v1_made); i++) {
                KC_CLEANUP(kc_freep) char *base = kc_path_join(cgroup_fs(r), v1_made[i]);
                if (!kc_path_exists(base))
                        continue;
                KC_CLEANUP(kc_freep) char *dir = kc_path_join(base, cgroup);
                int res = kc_mkdir_p(dir, 0755, err);
                if (res < 0)
                        return res;
                if (i == 0) {
                        res = write_value(dir, "cpu.shares", kc_cpu_shares(l->milli_request), err);
                        if (res == 0 && l->milli_limit > 0 && r->o.cpu_cfs_quota)
                                res = write_value(dir, "cpu.cfs_quota_us",
                                    kc_cpu_quota(l->milli_limit, r->o.cpu_cfs_period_usec), err);
                } else if (i == 1 && l->memory_limit > 0) {
                        res = write_value(dir, "memory.limit_in_bytes", l->memory_limit, err);
                }
                if (res < 0)
                        return res;
        }
        return 0;
}

static int ensure_v2(struct kc_runtime *r, const char *cgroup, const struct limits *l, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *dir = kc_path_join(cgroup_fs(r), cgroup);
        int res = kc_mkdir_p(dir, 0755, err);
        if (res < 0)
                return res;
        /* Controllers are handed down level by level; one that the kernel lacks is left out. */
        static const char *const enable[] = {"+cpu", "+memory", "+pids", "+cpuset", "+io"};
        for (char *slash = dir + strlen(cgroup_fs(r)); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                for (size_t i = 0; i < KC_ARRAY_LEN(enable); i++)
                        (void)write_text(dir, "cgroup.subtree_control", enable[i], NULL); /* see above */
                *slash = '/';
        }
        for (size_t i = 0; i < KC_ARRAY_LEN(enable); i++)
                (void)write_text(dir, "cgroup.subtree_control", enable[i], NULL); /* see above */
        res = write_value(dir, "cpu.weight", 1 + (kc_cpu_shares(l->milli_request) - 2) * 9999 / 262142, err);
        if (res == 0 && l->milli_limit > 0 && r->o.cpu_cfs_quota) {
                KC_CLEANUP(kc_freep)
                char *max = kc_asprintf("%lld %lld", (long long)kc_cpu_quota(l->milli_limit, r->o.cpu_cfs_period_usec),
                    (long long)r->o.cpu_cfs_period_usec);
                res = write_text(dir, "cpu.max", max, err);
        }
        if (res == 0 && l->memory_limit > 0)
                res = write_value(dir, "memory.max", l->memory_limit, err);
        return res;
}

int kc_pod_cgroup_ensure(struct kc_runtime *r, const struct json_object *pod, struct kc_error *err)
{
        if (kc_str_empty(r->o.cgroup_root) || with_systemd(r))
                return 0;
        KC_CLEANUP(kc_freep) char *cgroup = kc_pod_cgroup(r, kc_meta_uid(pod), kc_pod_qos(pod));
        struct limits l = limits_of(pod);
        int res = unified(r) ? ensure_v2(r, cgroup, &l, err) : ensure_v1(r, cgroup, &l, err);
        return res < 0 ? kc_error_wrap(err, "failed to ensure that the pod: %s cgroups exist", kc_meta_uid(pod)) : 0;
}

static void kill_processes(const char *dir)
{
        KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, "cgroup.procs");
        struct kc_buf b = KC_BUF_INIT;
        /* It may be empty: the last process has just ended, or the kernel still holds the directory. */
        if (kc_file_read(path, 1 << 20, &b, NULL) == 0 && b.len > 0) {
                char *save = NULL;
                for (char *line = strtok_r(b.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                        int64_t pid;
                        if (kc_str_to_i64(line, &pid) == 0 && pid > 1)
                                (void)kill((pid_t)pid, SIGKILL); /* may have ended by itself */
                }
        }
        kc_buf_done(&b);
}

/* Depth first; control files go with their directory. */
static int remove_tree(const char *dir, struct kc_error *err)
{
        DIR *d = opendir(dir);
        if (!d)
                return errno == ENOENT ? 0 : kc_error_set(err, errno, "open %s", dir);
        int res = 0;
        for (struct dirent *e; res == 0 && (e = readdir(d));) {
                if (e->d_type != DT_DIR || e->d_name[0] == '.')
                        continue;
                KC_CLEANUP(kc_freep) char *child = kc_path_join(dir, e->d_name);
                res = remove_tree(child, err);
        }
        closedir(d);
        if (res < 0)
                return res;
        if (rmdir(dir) < 0 && errno != ENOENT) {
                int saved = errno;
                kill_processes(dir);
                return kc_error_set(err, saved, "remove cgroup %s", dir);
        }
        return 0;
}

int kc_runtime_remove_cgroup(struct kc_runtime *r, const char *uid, const char *qos, struct kc_error *err)
{
        if (kc_str_empty(r->o.cgroup_root) || with_systemd(r))
                return 0;
        KC_CLEANUP(kc_freep) char *cgroup = kc_pod_cgroup(r, uid, qos);
        if (unified(r)) {
                KC_CLEANUP(kc_freep) char *dir = kc_path_join(cgroup_fs(r), cgroup);
                return remove_tree(dir, err);
        }
        int res = 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(v1_controllers); i++) {
                KC_CLEANUP(kc_freep) char *dir = kc_asprintf("%s/%s%s", cgroup_fs(r), v1_controllers[i], cgroup);
                int one = remove_tree(dir, err);
                if (one < 0)
                        res = one;
        }
        return res;
}

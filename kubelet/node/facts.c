/* Facts of the machine: capacity, identity, pressure. Thread: the node's tick. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/quantity.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon/health.h"
#include "kubelet/node/node_internal.h"

static int64_t meminfo(const char *field)
{
        struct kc_buf b = KC_BUF_INIT;
        int64_t kib = 0;
        if (kc_file_read("/proc/meminfo", 65536, &b, NULL) == 0) {
                const char *line = strstr(kc_buf_str(&b), field);
                if (line)
                        kib = strtoll(line + strlen(field), NULL, 10);
        }
        kc_buf_done(&b);
        return kib * 1024;
}

int64_t kc_node_memory_capacity(void)
{
        return meminfo("MemTotal:");
}

int64_t kc_machine_cpus(void)
{
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        return n > 0 ? n : 1;
}

static char *line_of(const char *path)
{
        struct kc_buf b = KC_BUF_INIT;
        char *s = NULL;
        if (kc_file_read(path, 4096, &b, NULL) == 0)
                s = kc_str_trim(kc_buf_str(&b));
        kc_buf_done(&b);
        return s;
}

/* hugepages-2Mi and the like: all pages of each size. */
static void add_hugepages(struct json_object *capacity)
{
        DIR *d = opendir("/sys/kernel/mm/hugepages");
        for (struct dirent *e; d && (e = readdir(d));) {
                long long kib;
                char end;
                if (sscanf(e->d_name, "hugepages-%lldk%c", &kib, &end) != 2 || end != 'B')
                        continue;
                KC_CLEANUP(kc_freep) char *path = kc_asprintf("/sys/kernel/mm/hugepages/%s/nr_hugepages", e->d_name);
                KC_CLEANUP(kc_freep) char *count = line_of(path);
                struct kc_quantity size = kc_quantity_from_int(kib * 1024, KC_QUANTITY_BINARY_SI);
                struct kc_quantity total =
                    kc_quantity_from_int(kib * 1024 * (count ? atoll(count) : 0), KC_QUANTITY_BINARY_SI);
                char name[KC_QUANTITY_LEN], value[KC_QUANTITY_LEN];
                KC_CLEANUP(kc_freep) char *key = kc_asprintf("hugepages-%s", kc_quantity_format(&size, name));
                kc_json_set_str(capacity, key, kc_quantity_format(&total, value));
        }
        if (d)
                closedir(d);
}

struct json_object *kc_machine_capacity(const char *root_dir, int max_pods, int pods_per_core)
{
        struct json_object *c = json_object_new_object();
        int64_t cpus = kc_machine_cpus();
        char buf[KC_QUANTITY_LEN];
        struct kc_quantity q = kc_quantity_from_int(cpus, KC_QUANTITY_DECIMAL_SI);
        kc_json_set_str(c, "cpu", kc_quantity_format(&q, buf));
        struct statvfs st;
        if (statvfs(root_dir, &st) == 0) {
                q = kc_quantity_from_int((int64_t)st.f_blocks * (int64_t)st.f_frsize, KC_QUANTITY_BINARY_SI);
                kc_json_set_str(c, "ephemeral-storage", kc_quantity_format(&q, buf));
        }
        add_hugepages(c);
        q = kc_quantity_from_int(kc_node_memory_capacity(), KC_QUANTITY_BINARY_SI);
        kc_json_set_str(c, "memory", kc_quantity_format(&q, buf));
        int64_t pods = pods_per_core > 0 ? KC_MIN(pods_per_core * cpus, (int64_t)max_pods) : max_pods;
        q = kc_quantity_from_int(pods, KC_QUANTITY_DECIMAL_SI);
        kc_json_set_str(c, "pods", kc_quantity_format(&q, buf));
        return c;
}

/* The value of "key=value" in a vector; NULL. Eviction thresholds may be written "key<value". */
static const char *value_of(char *const *v, const char *key)
{
        size_t len = strlen(key);
        for (; v && *v; v++)
                if (strncmp(*v, key, len) == 0 && ((*v)[len] == '=' || (*v)[len] == '<'))
                        return *v + len + 1;
        return NULL;
}

/* A threshold in the units of total: a quantity or a percentage. */
static int64_t threshold(char *const *eviction, const char *signal, int64_t total)
{
        const char *text = value_of(eviction, signal);
        if (!text)
                return 0;
        struct kc_quantity q;
        double percent;
        if (kc_str_has_suffix(text, "%")) {
                KC_CLEANUP(kc_freep) char *number = kc_strndup(text, strlen(text) - 1);
                return kc_str_to_double(number, &percent) == 0 ? (int64_t)((double)total * percent / 100) : 0;
        }
        return kc_quantity_parse(text, &q) == 0 ? kc_quantity_value(&q) : 0;
}

static void reserve(struct kc_quantity *q, char *const *reserved, const char *resource)
{
        struct kc_quantity r;
        const char *text = value_of(reserved, resource);
        if (text && kc_quantity_parse(text, &r) == 0)
                kc_quantity_sub(q, &r);
}

struct json_object *kc_machine_allocatable(const struct json_object *capacity, char *const *kube_reserved,
    char *const *system_reserved, char *const *eviction_hard)
{
        struct json_object *a = json_object_new_object();
        KC_JSON_FOREACH(capacity, resource, value)
        {
                struct kc_quantity q;
                if (kc_quantity_parse(kc_json_as_str(value), &q) < 0)
                        continue;
                reserve(&q, kube_reserved, resource);
                reserve(&q, system_reserved, resource);
                int64_t evict = 0;
                if (kc_streq(resource, "memory"))
                        evict = threshold(eviction_hard, "memory.available", kc_quantity_value(&q));
                else if (kc_streq(resource, "ephemeral-storage")) {
                        evict = threshold(eviction_hard, "nodefs.available", kc_quantity_value(&q));
                        q.format = KC_QUANTITY_DECIMAL_SI;
                }
                struct kc_quantity e = kc_quantity_from_int(evict, q.format);
                kc_quantity_sub(&q, &e);
                if (q.nano < 0)
                        q.nano = 0;
                char buf[KC_QUANTITY_LEN];
                kc_json_set_str(a, resource, kc_quantity_format(&q, buf));
        }
        return a;
}

static char *os_image(void)
{
        struct kc_buf b = KC_BUF_INIT;
        char *name = NULL;
        if (kc_file_read("/etc/os-release", 65536, &b, NULL) == 0) {
                const char *p = strstr(kc_buf_str(&b), "PRETTY_NAME=");
                if (p) {
                        p += strlen("PRETTY_NAME=");
                        size_t len = strcspn(p, "\n");
                        if (len >= 2 && (*p == '"' || *p == '\'')) {
                                p++;
                                len -= 2;
                        }
                        name = kc_strndup(p, len);
                }
        }
        kc_buf_done(&b);
        return name ? name : kc_strdup("Unknown");
}

static const char *go_arch(const char *machine)
{
        static const char *const names[][2] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"},
            {"ppc64le", "ppc64le"}, {"s390x", "s390x"}, {"riscv64", "riscv64"}, {"i686", "386"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++)
                if (kc_streq(machine, names[i][0]))
                        return names[i][1];
        return machine;
}

struct json_object *kc_machine_info(const char *runtime_name, const char *runtime_version)
{
        struct utsname u;
        memset(&u, 0, sizeof(u));
        (void)uname(&u); /* cannot fail with a valid pointer */
        KC_CLEANUP(kc_freep) char *machine = line_of("/etc/machine-id");
        KC_CLEANUP(kc_freep) char *system = line_of("/sys/class/dmi/id/product_uuid");
        KC_CLEANUP(kc_freep) char *boot = line_of("/proc/sys/kernel/random/boot_id");
        KC_CLEANUP(kc_freep) char *os = os_image();
        KC_CLEANUP(kc_freep)
        char *runtime = kc_asprintf("%s://%s", runtime_name ?: "unknown", runtime_version ?: "Unknown");
        struct json_object *info = kc_json_build(
            "{'machineID':%s,'systemUUID':%s,'bootID':%s,'kernelVersion':%s,'osImage':%s,'containerRuntimeVersion':%s,"
            "'kubeletVersion':%s,'kubeProxyVersion':'','operatingSystem':'linux','architecture':%s}",
            machine ?: "", system ?: machine ?: "", boot ?: "", u.release, os, runtime, KC_KUBE_VERSION, go_arch(u.machine));
        int64_t swap = meminfo("SwapTotal:");
        if (swap > 0) {
                struct json_object *s = json_object_new_object();
                kc_json_set_int(s, "capacity", swap);
                kc_json_set(info, "swap", s);
        }
        return info;
}

/* Bytes and inodes left on the file system of the pods. */
static bool disk_pressure(const char *root_dir, char *const *eviction_hard)
{
        struct statvfs st;
        if (statvfs(root_dir, &st) < 0)
                return false;
        int64_t total = (int64_t)st.f_blocks * (int64_t)st.f_frsize;
        int64_t left = (int64_t)st.f_bavail * (int64_t)st.f_frsize;
        if (left < threshold(eviction_hard, "nodefs.available", total))
                return true;
        return st.f_files > 0 &&
               (int64_t)st.f_favail < threshold(eviction_hard, "nodefs.inodesFree", (int64_t)st.f_files);
}

static bool pid_pressure(char *const *eviction_hard)
{
        KC_CLEANUP(kc_freep) char *max = line_of("/proc/sys/kernel/pid_max");
        KC_CLEANUP(kc_freep) char *load = line_of("/proc/loadavg");
        const char *slash = load ? strchr(load, '/') : NULL;
        int64_t total = max ? atoll(max) : 0, used = slash ? atoll(slash + 1) : 0;
        return total > 0 && total - used < threshold(eviction_hard, "pid.available", total);
}

struct kc_pressure kc_machine_pressure(const char *root_dir, char *const *eviction_hard)
{
        int64_t total = meminfo("MemTotal:"), available = meminfo("MemAvailable:");
        return (struct kc_pressure){
            .memory = total > 0 && available < threshold(eviction_hard, "memory.available", total),
            .disk = disk_pressure(root_dir, eviction_hard),
            .pid = pid_pressure(eviction_hard)};
}

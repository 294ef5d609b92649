/* /stats/summary, /metrics/resource, /metrics/cadvisor and /runningpods: what the runtime and /proc know. On the pool.
 */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/object.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/server/server_internal.h"

#define LABEL_POD_NAME "io.kubernetes.pod.name"
#define LABEL_POD_NAMESPACE "io.kubernetes.pod.namespace"
#define LABEL_POD_UID "io.kubernetes.pod.uid"
#define LABEL_CONTAINER_NAME "io.kubernetes.container.name"
#define METRICS "text/plain; version=0.0.4; charset=utf-8"
#define NSEC_PER_SEC 1000000000ULL

enum { PROC_MAX = 1024 * 1024 };

/* --- Reading */

/* One container's, with what its labels say. Borrowed from the response. */
struct sample {
        const char *name, *pod, *ns, *uid, *id;
        uint64_t cpu_ns, cpu_rate, working_set, usage, rss, available, faults, major_faults, fs_used, fs_inodes;
        int64_t at; /* nanoseconds */
};

static const char *stats_label(const Runtime__V1__ContainerAttributes *a, const char *key)
{
        for (size_t i = 0; i < a->n_labels; i++)
                if (kc_streq(a->labels[i]->key, key))
                        return a->labels[i]->value;
        return "";
}

static uint64_t value_of(const Runtime__V1__UInt64Value *v)
{
        return v ? v->value : 0;
}

static bool sample_of(const Runtime__V1__ContainerStats *c, struct sample *ret)
{
        const Runtime__V1__ContainerAttributes *a = c->attributes;
        if (!a || !*stats_label(a, LABEL_CONTAINER_NAME))
                return false;
        *ret = (struct sample){.name = stats_label(a, LABEL_CONTAINER_NAME),
            .pod = stats_label(a, LABEL_POD_NAME),
            .ns = stats_label(a, LABEL_POD_NAMESPACE),
            .uid = stats_label(a, LABEL_POD_UID),
            .id = a->id};
        if (c->cpu) {
                ret->at = c->cpu->timestamp;
                ret->cpu_ns = value_of(c->cpu->usage_core_nano_seconds);
                ret->cpu_rate = value_of(c->cpu->usage_nano_cores);
        }
        if (c->memory) {
                ret->working_set = value_of(c->memory->working_set_bytes);
                ret->usage = value_of(c->memory->usage_bytes);
                ret->rss = value_of(c->memory->rss_bytes);
                ret->available = value_of(c->memory->available_bytes);
                ret->faults = value_of(c->memory->page_faults);
                ret->major_faults = value_of(c->memory->major_page_faults);
        }
        if (c->writable_layer) {
                ret->fs_used = value_of(c->writable_layer->used_bytes);
                ret->fs_inodes = value_of(c->writable_layer->inodes_used);
        }
        return true;
}

/* The node's own, from /proc. */
struct node_sample {
        uint64_t cpu_ns, total, available, working_set, rss;
        kc_time boot;
};

static uint64_t meminfo(const char *text, const char *key)
{
        const char *at = strstr(text, key);
        unsigned long long kib = 0;
        return at && sscanf(at + strlen(key), ": %llu kB", &kib) == 1 ? kib * 1024 : 0;
}

static void read_node(struct node_sample *ret)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf mem = KC_BUF_INIT, stat = KC_BUF_INIT;
        *ret = (struct node_sample){0};
        if (kc_file_read("/proc/meminfo", PROC_MAX, &mem, NULL) == 0) {
                const char *text = kc_buf_str(&mem);
                ret->total = meminfo(text, "MemTotal");
                ret->working_set =
                    ret->total - KC_MIN(ret->total, meminfo(text, "MemFree") + meminfo(text, "\nInactive(file)"));
                ret->available = ret->total - ret->working_set;
                ret->rss = meminfo(text, "AnonPages");
        }
        if (kc_file_read("/proc/stat", PROC_MAX, &stat, NULL) == 0) {
                unsigned long long t[8] = {0}, boot = 0;
                const char *at = strstr(kc_buf_str(&stat), "\nbtime ");
                if (sscanf(kc_buf_str(&stat), "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3],
                        &t[4], &t[5], &t[6], &t[7]) == 8)
                        ret->cpu_ns = (t[0] + t[1] + t[2] + t[5] + t[6] + t[7]) *
                                      (NSEC_PER_SEC / (uint64_t)KC_MAX(sysconf(_SC_CLK_TCK), 1L));
                if (at && sscanf(at, "\nbtime %llu", &boot) == 1)
                        ret->boot = (kc_time)boot * KC_SEC;
        }
}

static int fetch(struct kc_ks_request *r, Runtime__V1__ListContainerStatsResponse **ret)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int e = kc_cri_list_container_stats(r->s->o.cri, ret, &err);
        if (e < 0) {
                kc_error_wrap(&err, "failed to list pod stats");
                kc_ks_reply_text(r->req, 500, kc_error_message(&err));
        }
        return e;
}

/* --- /stats/summary */

static struct json_object *cpu_json(const char *time, uint64_t rate, uint64_t total)
{
        return kc_json_build(
            "{'time':%s,'usageNanoCores':%lld,'usageCoreNanoSeconds':%lld}", time, (long long)rate, (long long)total);
}

static struct json_object *container_json(const struct sample *s, const char *time)
{
        return kc_json_build("{'name':%s,'cpu':%o,'memory':{'time':%s,'usageBytes':%lld,'workingSetBytes':%lld,"
                             "'rssBytes':%lld,'pageFaults':%lld,'majorPageFaults':%lld},'rootfs':{'time':%s,"
                             "'usedBytes':%lld,'inodesUsed':%lld}}",
            s->name, cpu_json(time, s->cpu_rate, s->cpu_ns), time, (long long)s->usage, (long long)s->working_set,
            (long long)s->rss, (long long)s->faults, (long long)s->major_faults, time, (long long)s->fs_used,
            (long long)s->fs_inodes);
}

static void add_to(struct json_object *o, const char *key, uint64_t v)
{
        kc_json_set_int(o, key, kc_json_int(o, key, 0) + (int64_t)v);
}

/* The pod's entry, made when it is not there. */
static struct json_object *pod_entry(struct json_object *pods, const struct sample *s, const char *time)
{
        for (size_t i = 0; i < kc_json_len(pods); i++) {
                struct json_object *p = kc_json_idx_mut(pods, i);
                if (kc_streq(kc_json_str_at(p, "podRef.uid"), s->uid))
                        return p;
        }
        struct json_object *p = kc_json_build("{'podRef':{'name':%s,'namespace':%s,'uid':%s},'containers':[],"
                                              "'cpu':%o,'memory':{'time':%s,'usageBytes':0,'workingSetBytes':0,"
                                              "'rssBytes':0}}",
            s->pod, s->ns, s->uid, cpu_json(time, 0, 0), time);
        kc_json_push(pods, p);
        return p;
}

static void add_start_time(struct json_object *pod, const struct json_object *list)
{
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_meta_uid(kc_json_idx(list, i)), kc_json_str_at(pod, "podRef.uid")))
                        kc_json_set_str(pod, "startTime", kc_json_str_at(kc_json_idx(list, i), "status.startTime"));
}

static struct json_object *pods_json(struct kc_ks_request *r, const Runtime__V1__ListContainerStatsResponse *stats)
{
        struct json_object *pods = json_object_new_array();
        for (size_t i = 0; i < stats->n_stats; i++) {
                struct sample s;
                char time[KC_TIME_LEN];
                if (!sample_of(stats->stats[i], &s))
                        continue;
                kc_time_format(s.at / 1000, time);
                struct json_object *p = pod_entry(pods, &s, time);
                kc_json_push(kc_json_get_mut(p, "containers"), container_json(&s, time));
                struct json_object *cpu = kc_json_get_mut(p, "cpu"), *memory = kc_json_get_mut(p, "memory");
                add_to(cpu, "usageNanoCores", s.cpu_rate);
                add_to(cpu, "usageCoreNanoSeconds", s.cpu_ns);
                add_to(memory, "usageBytes", s.usage);
                add_to(memory, "workingSetBytes", s.working_set);
                add_to(memory, "rssBytes", s.rss);
        }
        KC_CLEANUP(kc_json_freep) struct json_object *all = r->s->o.ops.pods(r->s->o.ops.arg);
        for (size_t i = 0; i < kc_json_len(pods); i++)
                add_start_time(kc_json_idx_mut(pods, i), kc_json_get(all, "items"));
        return pods;
}

static struct json_object *fs_json(const char *path, const char *time)
{
        struct statvfs v;
        if (!path || statvfs(path, &v) < 0)
                return json_object_new_object();
        long long unit = (long long)v.f_frsize;
        return kc_json_build("{'time':%s,'availableBytes':%lld,'capacityBytes':%lld,'usedBytes':%lld,"
                             "'inodesFree':%lld,'inodes':%lld,'inodesUsed':%lld}",
            time, (long long)v.f_bavail * unit, (long long)v.f_blocks * unit,
            (long long)(v.f_blocks - v.f_bfree) * unit, (long long)v.f_ffree, (long long)v.f_files,
            (long long)(v.f_files - v.f_ffree));
}

void kc_ks_stats_summary(struct kc_ks_request *r)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListContainerStatsResponse *stats = NULL;
        if (fetch(r, &stats) < 0)
                return;
        struct node_sample n;
        char now[KC_TIME_LEN], boot[KC_TIME_LEN];
        read_node(&n);
        kc_time_format(kc_clock_now(NULL), now);
        kc_time_format(n.boot, boot);
        uint64_t rate = 0;
        for (size_t i = 0; i < stats->n_stats; i++)
                if (stats->stats[i]->cpu)
                        rate += value_of(stats->stats[i]->cpu->usage_nano_cores);
        struct json_object *node = kc_json_build(
            "{'nodeName':%s,'startTime':%s,'cpu':%o,'memory':{'time':%s,'availableBytes':%lld,'usageBytes':%lld,"
            "'workingSetBytes':%lld,'rssBytes':%lld},'fs':%o}",
            r->s->node_name, boot, cpu_json(now, rate, n.cpu_ns), now, (long long)n.available, (long long)n.working_set,
            (long long)n.working_set, (long long)n.rss, fs_json(r->s->root_dir, now));
        KC_CLEANUP(kc_json_freep)
        struct json_object *summary = kc_json_build("{'node':%o,'pods':%o}", node, pods_json(r, stats));
        kc_ks_reply_json(r->req, summary);
}

/* --- /metrics */

static void add_head(struct kc_buf *b, const char *name, const char *type, const char *help)
{
        kc_buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static double seconds(uint64_t ns)
{
        return (double)ns / (double)NSEC_PER_SEC;
}

enum metric { CPU, WORKING_SET, USAGE, RSS };

/* cadvisor: with the container's id and without a time. */
static void add_containers(struct kc_buf *b, const Runtime__V1__ListContainerStatsResponse *stats, const char *name,
    enum metric m, bool cadvisor)
{
        for (size_t i = 0; i < stats->n_stats; i++) {
                struct sample s;
                if (!sample_of(stats->stats[i], &s))
                        continue;
                kc_buf_addf(b, "%s{container=\"%s\"", name, s.name);
                if (cadvisor)
                        kc_buf_addf(b, ",id=\"%s\"", s.id);
                kc_buf_addf(b, ",namespace=\"%s\",pod=\"%s\"} ", s.ns, s.pod);
                if (m == CPU)
                        kc_buf_addf(b, "%.9g", seconds(s.cpu_ns));
                else
                        kc_buf_addf(b, "%llu",
                            (unsigned long long)(m == WORKING_SET ? s.working_set
                                                 : m == USAGE     ? s.usage
                                                                  : s.rss));
                kc_buf_addf(b, " %lld\n", (long long)(s.at / 1000000));
        }
}

/* Sums over the containers of each pod. */
static void add_pods(
    struct kc_buf *b, const Runtime__V1__ListContainerStatsResponse *stats, const char *name, enum metric m)
{
        for (size_t i = 0; i < stats->n_stats; i++) {
                struct sample first, s;
                if (!sample_of(stats->stats[i], &first))
                        continue;
                bool seen = false;
                uint64_t sum = 0;
                for (size_t k = 0; k < stats->n_stats; k++) {
                        if (!sample_of(stats->stats[k], &s) || !kc_streq(s.uid, first.uid))
                                continue;
                        seen |= k < i;
                        sum += m == CPU ? s.cpu_ns : s.working_set;
                }
                if (seen)
                        continue;
                kc_buf_addf(b, "%s{namespace=\"%s\",pod=\"%s\"} ", name, first.ns, first.pod);
                if (m == CPU)
                        kc_buf_addf(b, "%.9g", seconds(sum));
                else
                        kc_buf_addf(b, "%llu", (unsigned long long)sum);
                kc_buf_addf(b, " %lld\n", (long long)(first.at / 1000000));
        }
}

void kc_ks_metrics_resource(struct kc_ks_request *r)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListContainerStatsResponse *stats = NULL;
        if (fetch(r, &stats) < 0)
                return;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        struct node_sample n;
        read_node(&n);
        long long now = (long long)(kc_clock_now(NULL) / KC_MSEC);
        add_head(&b, "container_cpu_usage_seconds_total", "counter",
            "[STABLE] Cumulative cpu time consumed by the container in core-seconds");
        add_containers(&b, stats, "container_cpu_usage_seconds_total", CPU, false);
        add_head(&b, "container_memory_working_set_bytes", "gauge",
            "[STABLE] Current working set of the container in bytes");
        add_containers(&b, stats, "container_memory_working_set_bytes", WORKING_SET, false);
        add_head(&b, "node_cpu_usage_seconds_total", "counter",
            "[STABLE] Cumulative cpu time consumed by the node in core-seconds");
        kc_buf_addf(&b, "node_cpu_usage_seconds_total %.9g %lld\n", seconds(n.cpu_ns), now);
        add_head(&b, "node_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the node in bytes");
        kc_buf_addf(&b, "node_memory_working_set_bytes %llu %lld\n", (unsigned long long)n.working_set, now);
        add_head(&b, "pod_cpu_usage_seconds_total", "counter",
            "[STABLE] Cumulative cpu time consumed by the pod in core-seconds");
        add_pods(&b, stats, "pod_cpu_usage_seconds_total", CPU);
        add_head(&b, "pod_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the pod in bytes");
        add_pods(&b, stats, "pod_memory_working_set_bytes", WORKING_SET);
        add_head(&b, "resource_scrape_error", "gauge",
            "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise");
        kc_buf_adds(&b, "resource_scrape_error 0\n");
        kc_ks_reply_buf(r->req, METRICS, &b);
}

void kc_ks_metrics_cadvisor(struct kc_ks_request *r)
{
        static const struct {
                const char *name, *type, *help;
                enum metric m;
        } table[] = {
            {"container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.", CPU},
            {"container_memory_rss", "gauge", "Size of RSS in bytes.", RSS},
            {"container_memory_usage_bytes", "gauge",
                "Current memory usage in bytes, including all memory regardless of when it was accessed", USAGE},
            {"container_memory_working_set_bytes", "gauge", "Current working set in bytes.", WORKING_SET},
        };
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListContainerStatsResponse *stats = NULL;
        if (fetch(r, &stats) < 0)
                return;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < KC_ARRAY_LEN(table); i++) {
                add_head(&b, table[i].name, table[i].type, table[i].help);
                add_containers(&b, stats, table[i].name, table[i].m, true);
        }
        kc_ks_reply_buf(r->req, METRICS, &b);
}

/* --- /runningpods/ */

static const char *container_label(const Runtime__V1__Container *c, const char *key)
{
        for (size_t i = 0; i < c->n_labels; i++)
                if (kc_streq(c->labels[i]->key, key))
                        return c->labels[i]->value;
        return "";
}

/* The pod's entry, made when it is not there. */
static struct json_object *running_entry(struct json_object *items, const Runtime__V1__Container *c)
{
        const char *uid = container_label(c, LABEL_POD_UID);
        for (size_t i = 0; i < kc_json_len(items); i++)
                if (kc_streq(kc_meta_uid(kc_json_idx(items, i)), uid))
                        return kc_json_idx_mut(items, i);
        struct json_object *pod =
            kc_json_build("{'metadata':{'name':%s,'namespace':%s,'uid':%s},'spec':{'containers':[]},'status':{}}",
                container_label(c, LABEL_POD_NAME), container_label(c, LABEL_POD_NAMESPACE), uid);
        kc_json_push(items, pod);
        return pod;
}

void kc_ks_running_pods(struct kc_ks_request *r)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListContainersResponse *list = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (kc_cri_list_containers(r->s->o.cri, NULL, &list, &err) < 0) {
                kc_ks_reply_error(r->req, &err);
                return;
        }
        struct json_object *items = json_object_new_array();
        for (size_t i = 0; i < list->n_containers; i++) {
                const Runtime__V1__Container *c = list->containers[i];
                if (c->state != RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING || !*container_label(c, LABEL_POD_UID))
                        continue;
                struct json_object *pod = running_entry(items, c);
                kc_json_push(kc_json_at_mut(pod, "spec.containers"),
                    kc_json_build("{'name':%s,'image':%s,'resources':{}}", container_label(c, LABEL_CONTAINER_NAME),
                        c->image ? c->image->image : ""));
        }
        KC_CLEANUP(kc_json_freep)
        struct json_object *answer =
            kc_json_build("{'kind':'PodList','apiVersion':'v1','metadata':{},'items':%o}", items);
        kc_ks_reply_json(r->req, answer);
}

/* Reads a pod from the runtime: lists by the pod's label, then the state of each container and of the newest sandbox.
 * Thread: the pod's worker. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/logs/logs.h"
#include "kubelet/runtime/runtime_internal.h"

enum {
        MESSAGE_MAX = 4096,     /* of a termination message file */
        MESSAGE_LOG_MAX = 2048, /* of one taken from the log ... */
        MESSAGE_LOG_LINES = 80,
};

/* Value of a map entry list of protobuf-c; every map<string, string> has the same layout. */
#define MAP_GET(m, field, wanted)                                                                                      \
        ({                                                                                                             \
                const char *value_ = NULL;                                                                             \
                for (size_t i_ = 0; i_ < (m)->n_##field; i_++)                                                         \
                        if (kc_streq((m)->field[i_]->key, wanted))                                                     \
                                value_ = (m)->field[i_]->value;                                                        \
                value_;                                                                                                \
        })

static kc_time from_nanos(int64_t nanos)
{
        return nanos / 1000;
}

/* "pid" of the verbose info: JSON text under "info". */
static int pid_of(const char *info)
{
        if (!info)
                return 0;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        if (kc_json_parse(info, strlen(info), NULL, &tree, NULL) < 0)
                return 0;
        return (int)kc_json_int(tree, "pid", 0);
}

static void message_from_log(struct kc_rt_container *c)
{
        struct kc_log_opts o = {.tail_lines = MESSAGE_LOG_LINES, .limit_bytes = -1};
        KC_CLEANUP(kc_log_reader_freep) struct kc_log_reader *reader = NULL;
        if (kc_str_empty(c->log_path) || kc_log_reader_open(c->log_path, &o, &reader, NULL) < 0)
                return;
        struct kc_buf out = KC_BUF_INIT;
        bool limit = false;
        while (kc_log_reader_read(reader, &out, 65536, &limit, NULL) > 0 && out.len < (1U << 20))
                ;
        size_t skip = out.len > MESSAGE_LOG_MAX ? out.len - MESSAGE_LOG_MAX : 0;
        kc_str_set(&c->message, kc_buf_str(&out) + skip);
        kc_buf_done(&out);
}

/* The last MESSAGE_MAX bytes. The container may have mounted something of its own there: neither a link is followed,
 * nor a pipe waited for. */
static void read_end(const char *path, struct kc_buf *ret)
{
        KC_CLEANUP(kc_closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
        struct stat st;
        char text[MESSAGE_MAX];
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return;
        ssize_t n = pread(fd, text, sizeof(text), st.st_size > MESSAGE_MAX ? st.st_size - MESSAGE_MAX : 0);
        if (n > 0)
                kc_buf_add(ret, text, (size_t)n);
}

/* The file that the container was given for its last words, and the log where the policy says so. */
static void read_termination_message(struct kc_rt_container *c, const Runtime__V1__ContainerStatus *s)
{
        const char *host_path = NULL;
        for (size_t i = 0; i < s->n_mounts; i++)
                if (kc_streq(s->mounts[i]->container_path, c->termination_message_path))
                        host_path = s->mounts[i]->host_path;
        struct kc_buf b = KC_BUF_INIT;
        if (host_path && !kc_str_empty(c->termination_message_path)) {
                read_end(host_path, &b);
                if (b.len > 0)
                        kc_str_set(&c->message, kc_buf_str(&b));
        }
        bool empty = b.len == 0;
        kc_buf_done(&b);
        if (empty && c->exit_code != 0 && kc_streq(c->termination_message_policy, "FallbackToLogsOnError"))
                message_from_log(c);
}

static void take_annotations(struct kc_rt_container *c, const Runtime__V1__ContainerStatus *s)
{
        const char *hash = MAP_GET(s, annotations, KC_ANNOTATION_HASH);
        char *end = NULL;
        if (!kc_str_empty(hash)) {
                c->hash = (uint32_t)strtoul(hash, &end, 16);
                c->has_hash = *end == '\0';
        }
        const char *count = MAP_GET(s, annotations, KC_ANNOTATION_RESTART_COUNT);
        int64_t v;
        c->restart_count = s->metadata ? (int)s->metadata->attempt : 0;
        if (count && kc_str_to_i64(count, &v) == 0)
                c->restart_count = (int)v;
        const char *grace = MAP_GET(s, annotations, KC_ANNOTATION_GRACE);
        if (grace && kc_str_to_i64(grace, &v) == 0)
                c->grace_seconds = v;
        c->termination_message_path = kc_strdup(MAP_GET(s, annotations, KC_ANNOTATION_MESSAGE_PATH) ?: "");
        c->termination_message_policy = kc_strdup(MAP_GET(s, annotations, KC_ANNOTATION_MESSAGE_POLICY) ?: "");
}

static void take_status(
    struct kc_rt_container *c, const char *sandbox_id, const Runtime__V1__ContainerStatusResponse *resp)
{
        const Runtime__V1__ContainerStatus *s = resp->status;
        c->id = kc_strdup(s->id);
        c->name = kc_strdup(s->metadata ? s->metadata->name : "");
        c->sandbox_id = kc_strdup(sandbox_id);
        c->image = kc_strdup(s->image ? s->image->image : "");
        c->image_ref = kc_strdup(s->image_ref);
        c->created_at = from_nanos(s->created_at);
        c->reason = kc_strdup(s->reason);
        c->message = kc_strdup(s->message);
        c->log_path = kc_strdup(s->log_path);
        c->exit_code = s->exit_code;
        take_annotations(c, s);
        switch (s->state) {
        case RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED:
                c->state = KC_STATE_CREATED;
                break;
        case RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING:
                c->state = KC_STATE_RUNNING;
                c->started_at = from_nanos(s->started_at);
                c->pid = pid_of(MAP_GET(resp, info, "info"));
                break;
        case RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED:
                c->state = KC_STATE_EXITED;
                /* A container that was created and never started has no start time. */
                c->started_at = from_nanos(s->started_at > 0 ? s->started_at : 0);
                c->finished_at = from_nanos(s->finished_at);
                read_termination_message(c, s);
                break;
        default:
                c->state = KC_STATE_UNKNOWN;
        }
}

static int fetch_containers(struct kc_runtime *r, const char *uid, struct kc_pod_runtime *p, struct kc_error *err)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListContainersResponse *list = NULL;
        int res = kc_cri_list_containers(r->o.cri, uid, &list, err);
        if (res < 0)
                return res;
        for (size_t i = 0; i < list->n_containers; i++) {
                KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ContainerStatusResponse *status = NULL;
                bool running = list->containers[i]->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
                res = kc_cri_container_status(r->o.cri, list->containers[i]->id, running, &status, err);
                if (res == -ENOENT)
                        continue; /* removed since the list */
                if (res < 0)
                        return res;
                if (status->status)
                        take_status(kc_pod_runtime_add_container(p), list->containers[i]->pod_sandbox_id, status);
        }
        return 0;
}

static void take_ips(struct kc_rt_sandbox *s, const Runtime__V1__PodSandboxStatus *status)
{
        const Runtime__V1__PodSandboxNetworkStatus *n = status->network;
        if (!n || kc_str_empty(n->ip))
                return;
        kc_strv_push(&s->ips, n->ip);
        for (size_t i = 0; i < n->n_additional_ips; i++)
                if (!kc_strv_has(s->ips, n->additional_ips[i]->ip))
                        kc_strv_push(&s->ips, n->additional_ips[i]->ip);
}

/* Network mode of each, addresses and process of the newest one. */
static int fetch_sandbox_status(struct kc_runtime *r, struct kc_rt_sandbox *s, struct kc_error *err)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__PodSandboxStatusResponse *resp = NULL;
        int res = kc_cri_pod_sandbox_status(r->o.cri, s->id, true, &resp, err);
        if (res == -ENOENT) {
                s->ready = false;
                return 0;
        }
        if (res < 0)
                return res;
        const Runtime__V1__PodSandboxStatus *status = resp->status;
        if (!status)
                return 0;
        s->ready = status->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY;
        const Runtime__V1__LinuxPodSandboxStatus *l = status->linux;
        s->host_network = l && l->namespaces && l->namespaces->options &&
                          l->namespaces->options->network == RUNTIME__V1__NAMESPACE_MODE__NODE;
        take_ips(s, status);
        s->pid = s->ready ? pid_of(MAP_GET(resp, info, "info")) : 0;
        return 0;
}

static int fetch_sandboxes(struct kc_runtime *r, const char *uid, struct kc_pod_runtime *p, struct kc_error *err)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListPodSandboxResponse *list = NULL;
        int res = kc_cri_list_pod_sandboxes(r->o.cri, uid, &list, err);
        if (res < 0)
                return res;
        for (size_t i = 0; i < list->n_items; i++) {
                const Runtime__V1__PodSandbox *item = list->items[i];
                struct kc_rt_sandbox *s = kc_pod_runtime_add_sandbox(p);
                s->id = kc_strdup(item->id);
                s->attempt = item->metadata ? item->metadata->attempt : 0;
                s->ready = item->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY;
                s->created_at = from_nanos(item->created_at);
                if (item->metadata && kc_str_empty(p->name)) {
                        kc_str_set(&p->name, item->metadata->name);
                        kc_str_set(&p->ns, item->metadata->namespace_);
                }
        }
        kc_pod_runtime_sort(p);
        return p->n_sandboxes > 0 ? fetch_sandbox_status(r, &p->sandboxes[0], err) : 0;
}

int kc_runtime_fetch(struct kc_runtime *r, const char *uid, const char *ns, const char *name,
    struct kc_pod_runtime **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *p = kc_pod_runtime_new(uid, ns, name);
        int res = fetch_sandboxes(r, uid, p, err);
        if (res < 0)
                return res;
        res = fetch_containers(r, uid, p, err);
        if (res < 0)
                return res;
        kc_pod_runtime_sort(p);
        *ret = KC_TAKE(p);
        return 0;
}

/* A container runtime in memory, in place of kubelet/cri: a test that includes this links none of the real client. What
 * it was asked for is in fake.log, a word a call; containers end when the test says so. Any thread; one mutex. */
#pragma once

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/cri/client.h"

struct fake_container {
        char id[32], sandbox[32], name[64], uid[64];
        int state; /* Runtime__V1__ContainerState */
        int exit_code, attempt;
        int64_t created, started, finished;
        char hash[32];
};
struct fake_sandbox {
        char id[32], uid[64], name[64];
        bool ready, host;
        uint32_t attempt;
        int64_t created;
};
static struct {
        pthread_mutex_t mutex;
        struct fake_container containers[64];
        struct fake_sandbox sandboxes[16];
        size_t n_containers, n_sandboxes;
        char images[8][128]; /* present */
        const char *pull_error, *sandbox_error, *create_error, *start_error, *resize_error;
        kc_time now;
        int pulls;
        struct kc_buf log;
} fake = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void fake_note(const char *fmt, ...) KC_PRINTF(1, 2);
static void fake_note(const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        if (fake.log.len > 0)
                kc_buf_addc(&fake.log, ' ');
        kc_buf_vaddf(&fake.log, fmt, ap);
        va_end(ap);
}

/* Calls since the last time. Borrowed until the next one. */
static KC_UNUSED const char *fake_log(void)
{
        static char *last;
        pthread_mutex_lock(&fake.mutex);
        kc_free(last);
        last = kc_strdup(kc_buf_str(&fake.log));
        kc_buf_reset(&fake.log);
        if (fake.log.data)
                fake.log.data[0] = '\0';
        pthread_mutex_unlock(&fake.mutex);
        return last;
}

static void fake_reset(void)
{
        kc_buf_done(&fake.log);
        fake.n_containers = fake.n_sandboxes = 0;
        fake.pulls = 0;
        memset(fake.images, 0, sizeof(fake.images));
        fake.pull_error = fake.sandbox_error = fake.create_error = fake.start_error = fake.resize_error = NULL;
}

static struct fake_container *fake_find(const char *id)
{
        for (size_t i = 0; i < fake.n_containers; i++)
                if (kc_streq(fake.containers[i].id, id))
                        return &fake.containers[i];
        return NULL;
}

/* The newest container of that name ends. */
static KC_UNUSED void fake_end(const char *name, int exit_code)
{
        pthread_mutex_lock(&fake.mutex);
        for (size_t i = fake.n_containers; i-- > 0;) {
                struct fake_container *c = &fake.containers[i];
                if (!kc_streq(c->name, name) || c->state != RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING)
                        continue;
                c->state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED;
                c->exit_code = exit_code;
                c->finished = fake.now * 1000;
                break;
        }
        pthread_mutex_unlock(&fake.mutex);
}

void kc_cri_free_msg(void *msg)
{
        if (msg)
                protobuf_c_message_free_unpacked(msg, NULL);
}

static void *fake_new(const ProtobufCMessageDescriptor *d)
{
        void *m = malloc(d->sizeof_message);
        protobuf_c_message_init(d, m);
        return m;
}
#define FAKE_NEW(type) fake_new(&runtime__v1__##type##__descriptor)

static int fake_error(const char *text, struct kc_error *err)
{
        return kc_error_set(err, EIO, "%s", text);
}

int kc_cri_update_container_resources(
    struct kc_cri *c, const char *id, Runtime__V1__LinuxContainerResources *resources, struct kc_error *err)
{
        (void)c;
        if (fake.resize_error)
                return fake_error(fake.resize_error, err);
        pthread_mutex_lock(&fake.mutex);
        fake_note("resize:%s(%lld,%lld)", fake_find(id)->name, (long long)resources->cpu_shares,
            (long long)resources->memory_limit_in_bytes);
        pthread_mutex_unlock(&fake.mutex);
        return 0;
}

int kc_cri_run_pod_sandbox(
    struct kc_cri *c, kc_cri_sandbox_config *config, const char *handler, char **ret_id, struct kc_error *err)
{
        (void)c;
        (void)handler;
        if (fake.sandbox_error)
                return fake_error(fake.sandbox_error, err);
        pthread_mutex_lock(&fake.mutex);
        struct fake_sandbox *s = &fake.sandboxes[fake.n_sandboxes];
        *s = (struct fake_sandbox){.ready = true, .attempt = config->metadata->attempt};
        snprintf(s->id, sizeof(s->id), "s%zu", fake.n_sandboxes++);
        snprintf(s->uid, sizeof(s->uid), "%s", config->metadata->uid);
        snprintf(s->name, sizeof(s->name), "%s", config->metadata->name);
        s->host = config->linux->security_context->namespace_options->network == RUNTIME__V1__NAMESPACE_MODE__NODE;
        s->created = fake.now * 1000 + (int64_t)fake.n_sandboxes;
        *ret_id = kc_strdup(s->id);
        fake_note("sandbox#%u", s->attempt);
        pthread_mutex_unlock(&fake.mutex);
        return 0;
}

int kc_cri_stop_pod_sandbox(struct kc_cri *c, const char *id, struct kc_error *err)
{
        (void)c;
        (void)err;
        pthread_mutex_lock(&fake.mutex);
        fake_note("stop-sandbox:%s", id);
        for (size_t i = 0; i < fake.n_sandboxes; i++)
                if (kc_streq(fake.sandboxes[i].id, id))
                        fake.sandboxes[i].ready = false;
        pthread_mutex_unlock(&fake.mutex);
        return 0;
}

int kc_cri_remove_pod_sandbox(struct kc_cri *c, const char *id, struct kc_error *err)
{
        (void)c;
        (void)err;
        pthread_mutex_lock(&fake.mutex);
        fake_note("remove-sandbox:%s", id);
        for (size_t i = 0; i < fake.n_sandboxes; i++)
                if (kc_streq(fake.sandboxes[i].id, id))
                        fake.sandboxes[i] = fake.sandboxes[--fake.n_sandboxes];
        pthread_mutex_unlock(&fake.mutex);
        return 0;
}

int kc_cri_pod_sandbox_status(
    struct kc_cri *c, const char *id, bool verbose, Runtime__V1__PodSandboxStatusResponse **ret, struct kc_error *err)
{
        (void)c;
        (void)verbose;
        for (size_t i = 0; i < fake.n_sandboxes; i++) {
                const struct fake_sandbox *s = &fake.sandboxes[i];
                if (!kc_streq(s->id, id))
                        continue;
                Runtime__V1__PodSandboxStatusResponse *r = FAKE_NEW(pod_sandbox_status_response);
                r->status = FAKE_NEW(pod_sandbox_status);
                r->status->id = strdup(id);
                r->status->state = s->ready ? RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY
                                            : RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
                r->status->network = FAKE_NEW(pod_sandbox_network_status);
                if (!s->host)
                        r->status->network->ip = strdup("10.0.0.2");
                r->status->linux = FAKE_NEW(linux_pod_sandbox_status);
                r->status->linux->namespaces = FAKE_NEW(namespace);
                r->status->linux->namespaces->options = FAKE_NEW(namespace_option);
                if (s->host)
                        r->status->linux->namespaces->options->network = RUNTIME__V1__NAMESPACE_MODE__NODE;
                *ret = r;
                return 0;
        }
        return kc_error_set(err, ENOENT, "no such sandbox");
}

int kc_cri_list_pod_sandboxes(
    struct kc_cri *c, const char *uid, Runtime__V1__ListPodSandboxResponse **ret, struct kc_error *err)
{
        (void)c;
        (void)err;
        pthread_mutex_lock(&fake.mutex);
        Runtime__V1__ListPodSandboxResponse *r = FAKE_NEW(list_pod_sandbox_response);
        r->items = calloc(fake.n_sandboxes + 1, sizeof(void *));
        for (size_t i = 0; i < fake.n_sandboxes; i++) {
                const struct fake_sandbox *s = &fake.sandboxes[i];
                if (uid && !kc_streq(s->uid, uid))
                        continue;
                Runtime__V1__PodSandbox *p = FAKE_NEW(pod_sandbox);
                p->id = strdup(s->id);
                p->metadata = FAKE_NEW(pod_sandbox_metadata);
                p->metadata->uid = strdup(s->uid);
                p->metadata->name = strdup(s->name);
                p->metadata->namespace_ = strdup("default");
                p->metadata->attempt = s->attempt;
                p->created_at = s->created;
                p->state = s->ready ? RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY
                                    : RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
                r->items[r->n_items++] = p;
        }
        pthread_mutex_unlock(&fake.mutex);
        *ret = r;
        return 0;
}

int kc_cri_create_container(struct kc_cri *cri, const char *sandbox_id, kc_cri_container_config *config,
    kc_cri_sandbox_config *sandbox_config, char **ret_id, struct kc_error *err)
{
        (void)cri;
        if (fake.create_error)
                return fake_error(fake.create_error, err);
        pthread_mutex_lock(&fake.mutex);
        struct fake_container *c = &fake.containers[fake.n_containers];
        *c = (struct fake_container){.attempt = (int)config->metadata->attempt};
        snprintf(c->id, sizeof(c->id), "c%zu", fake.n_containers++);
        snprintf(c->sandbox, sizeof(c->sandbox), "%s", sandbox_id);
        snprintf(c->name, sizeof(c->name), "%s", config->metadata->name);
        snprintf(c->uid, sizeof(c->uid), "%s", sandbox_config->metadata->uid);
        for (size_t i = 0; i < config->n_annotations; i++)
                if (kc_streq(config->annotations[i]->key, "io.kubernetes.container.hash"))
                        snprintf(c->hash, sizeof(c->hash), "%s", config->annotations[i]->value);
        c->created = fake.now * 1000 + (int64_t)fake.n_containers;
        *ret_id = kc_strdup(c->id);
        fake_note("create:%s#%d", c->name, c->attempt);
        pthread_mutex_unlock(&fake.mutex);
        return 0;
}

int kc_cri_start_container(struct kc_cri *cri, const char *id, struct kc_error *err)
{
        (void)cri;
        if (fake.start_error)
                return fake_error(fake.start_error, err);
        pthread_mutex_lock(&fake.mutex);
        struct fake_container *c = fake_find(id);
        c->state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
        c->started = fake.now * 1000;
        fake_note("start:%s", c->name);
        pthread_mutex_unlock(&fake.mutex);
        return 0;
}

int kc_cri_stop_container(struct kc_cri *cri, const char *id, int64_t grace, struct kc_error *err)
{
        (void)cri;
        pthread_mutex_lock(&fake.mutex);
        struct fake_container *c = fake_find(id);
        if (c) {
                fake_note("stop:%s(%lld)", c->name, (long long)grace);
                c->state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED;
                c->exit_code = 143;
                c->finished = fake.now * 1000;
        }
        pthread_mutex_unlock(&fake.mutex);
        return c ? 0 : kc_error_set(err, ENOENT, "no such container");
}

int kc_cri_remove_container(struct kc_cri *cri, const char *id, struct kc_error *err)
{
        (void)cri;
        (void)err;
        pthread_mutex_lock(&fake.mutex);
        struct fake_container *c = fake_find(id);
        if (c) {
                fake_note("remove:%s", c->name);
                size_t rest = fake.n_containers - (size_t)(c - fake.containers) - 1;
                memmove(c, c + 1, rest * sizeof(*c));
                fake.n_containers--;
        }
        pthread_mutex_unlock(&fake.mutex);
        return 0;
}

int kc_cri_list_containers(
    struct kc_cri *cri, const char *uid, Runtime__V1__ListContainersResponse **ret, struct kc_error *err)
{
        (void)cri;
        (void)err;
        pthread_mutex_lock(&fake.mutex);
        Runtime__V1__ListContainersResponse *r = FAKE_NEW(list_containers_response);
        r->containers = calloc(fake.n_containers + 1, sizeof(void *));
        for (size_t i = 0; i < fake.n_containers; i++) {
                const struct fake_container *f = &fake.containers[i];
                if (uid && !kc_streq(f->uid, uid))
                        continue;
                Runtime__V1__Container *c = FAKE_NEW(container);
                c->id = strdup(f->id);
                c->pod_sandbox_id = strdup(f->sandbox);
                c->state = (Runtime__V1__ContainerState)f->state;
                c->created_at = f->created;
                c->labels = calloc(3, sizeof(void *));
                const char *const pairs[][2] = {
                    {"io.kubernetes.pod.uid", f->uid}, {"io.kubernetes.container.name", f->name}};
                for (size_t l = 0; l < 2; l++) {
                        Runtime__V1__Container__LabelsEntry *e = FAKE_NEW(container__labels_entry);
                        e->key = strdup(pairs[l][0]);
                        e->value = strdup(pairs[l][1]);
                        c->labels[c->n_labels++] = e;
                }
                r->containers[r->n_containers++] = c;
        }
        pthread_mutex_unlock(&fake.mutex);
        *ret = r;
        return 0;
}

int kc_cri_container_status(
    struct kc_cri *cri, const char *id, bool verbose, Runtime__V1__ContainerStatusResponse **ret, struct kc_error *err)
{
        (void)cri;
        (void)verbose;
        pthread_mutex_lock(&fake.mutex);
        const struct fake_container *f = fake_find(id);
        Runtime__V1__ContainerStatusResponse *r = f ? FAKE_NEW(container_status_response) : NULL;
        if (f) {
                Runtime__V1__ContainerStatus *s = r->status = FAKE_NEW(container_status);
                s->id = strdup(f->id);
                s->metadata = FAKE_NEW(container_metadata);
                s->metadata->name = strdup(f->name);
                s->metadata->attempt = (uint32_t)f->attempt;
                s->state = (Runtime__V1__ContainerState)f->state;
                s->created_at = f->created;
                s->started_at = f->started;
                s->finished_at = f->finished;
                s->exit_code = f->exit_code;
                s->annotations = calloc(2, sizeof(void *));
                Runtime__V1__ContainerStatus__AnnotationsEntry *e = FAKE_NEW(container_status__annotations_entry);
                e->key = strdup("io.kubernetes.container.hash");
                e->value = strdup(f->hash);
                s->annotations[s->n_annotations++] = e;
        }
        pthread_mutex_unlock(&fake.mutex);
        *ret = r;
        return f ? 0 : kc_error_set(err, ENOENT, "no such container");
}

int kc_cri_image_status(
    struct kc_cri *c, const char *image, Runtime__V1__ImageStatusResponse **ret, struct kc_error *err)
{
        (void)c;
        (void)err;
        *ret = NULL;
        pthread_mutex_lock(&fake.mutex);
        for (size_t i = 0; i < KC_ARRAY_LEN(fake.images); i++) {
                /* Names are given in full, "docker.io/library/x:1". */
                if (!fake.images[i][0] || !strstr(image, fake.images[i]))
                        continue;
                *ret = FAKE_NEW(image_status_response);
                (*ret)->image = FAKE_NEW(image);
                (*ret)->image->id = strdup(fake.images[i]);
                (*ret)->image->size = 1000;
                break;
        }
        pthread_mutex_unlock(&fake.mutex);
        return 0;
}

int kc_cri_pull_image(struct kc_cri *c, const char *image, Runtime__V1__AuthConfig *auth,
    kc_cri_sandbox_config *sandbox_config, char **ret_ref, struct kc_error *err)
{
        (void)c;
        (void)auth;
        (void)sandbox_config;
        pthread_mutex_lock(&fake.mutex);
        fake.pulls++; /* not in the log: pulls run beside syncs */
        const char *error = fake.pull_error;
        for (size_t i = 0; !error && i < KC_ARRAY_LEN(fake.images); i++) {
                if (!fake.images[i][0]) {
                        snprintf(fake.images[i], sizeof(fake.images[i]), "%s", image);
                        break;
                }
        }
        pthread_mutex_unlock(&fake.mutex);
        if (error)
                return fake_error(error, err);
        *ret_ref = kc_strdup(image);
        return 0;
}

int kc_cri_list_images(struct kc_cri *c, Runtime__V1__ListImagesResponse **ret, struct kc_error *err)
{
        (void)c;
        (void)err;
        *ret = FAKE_NEW(list_images_response);
        return 0;
}

int kc_cri_remove_image(struct kc_cri *c, const char *image, struct kc_error *err)
{
        (void)c;
        (void)image;
        (void)err;
        return 0;
}

int kc_cri_image_fs_info(struct kc_cri *c, Runtime__V1__ImageFsInfoResponse **ret, struct kc_error *err)
{
        (void)c;
        (void)err;
        *ret = FAKE_NEW(image_fs_info_response);
        return 0;
}

int kc_cri_reopen_container_log(struct kc_cri *c, const char *id, struct kc_error *err)
{
        (void)c;
        (void)err;
        fake_note("reopen:%s", id);
        return 0;
}

int kc_cri_exec_sync(struct kc_cri *c, const char *id, char *const *cmd, int timeout, int *ret_exit, struct kc_buf *out,
    struct kc_error *err)
{
        (void)c;
        (void)id;
        (void)timeout;
        (void)out;
        (void)err;
        pthread_mutex_lock(&fake.mutex);
        fake_note("exec:%s", cmd[0]);
        pthread_mutex_unlock(&fake.mutex);
        *ret_exit = 0;
        return 0;
}

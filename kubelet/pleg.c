/* What happens to containers, as it happens. Three ways, from the best to the last:
 *
 *   CRI event stream (GetContainerEvents)   runtimes that have it
 *   pidfd of each container's process       the kernel tells at once when it ends; needs the pid in the verbose status
 *   relist                                  every minute as a safety net; every second while a container has neither
 *
 * All only poke the pod's worker, which fetches the state. Thread: the loop; relists run on the pool. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon/metrics.h"
#include "kubelet/kubelet_internal.h"

#define RELIST_FAST (1 * KC_SEC)
#define RELIST_SLOW (60 * KC_SEC)
#define EVENTS_RETRY (5 * KC_SEC)

#define LABEL_POD_UID "io.kubernetes.pod.uid"

/* One container (or sandbox) process. Made on a worker, watched and freed on the loop. */
struct watch {
        struct kc_pleg *p;
        char *id, *uid;
        int fd; /* pidfd */
        struct kc_io *io;
};

struct kc_pleg {
        struct kc_kubelet *k;
        struct kc_timer *timer, *events_timer;
        struct kc_metric *duration;   /* of relists */
        struct kc_cri_events *events; /* NULL: not open */
        bool has_events;
        bool stopped; /* set on the loop under mutex */
        atomic_bool relisting;
        atomic_llong last_relist;
        pthread_mutex_t mutex;
        /* guarded by mutex */
        struct kc_map *watches;   /* by container ID */
        struct kc_map *ended;     /* IDs whose process has ended, until the runtime says so; values: uid */
        struct kc_map *untracked; /* IDs of running containers without a process to watch; values: uid */
        struct kc_map *states;    /* last relist: "<id>" -> "<uid> <state>" */
};

static void arm(struct kc_pleg *p);

/* --- Process ends */

static void watch_free(void *arg)
{
        struct watch *w = arg;
        kc_io_free(w->io);
        if (w->fd >= 0)
                close(w->fd);
        kc_free(w->id);
        kc_free(w->uid);
        kc_free(w);
}

static void on_process_end(int fd, int events, void *arg)
{
        struct watch *w = arg;
        struct kc_pleg *p = w->p;
        (void)fd;
        (void)events;
        KC_CLEANUP(kc_freep) char *uid = kc_strdup(w->uid);
        pthread_mutex_lock(&p->mutex);
        bool ours = kc_map_get(p->watches, w->id) == w;
        if (ours) {
                kc_map_set(p->ended, w->id, kc_strdup(uid));
                kc_map_steal(p->watches, w->id);
        }
        pthread_mutex_unlock(&p->mutex);
        if (!ours) {
                kc_io_set(w->io, 0); /* dropped: its end is posted */
                return;
        }
        watch_free(w);
        kc_workers_poke(p->k, uid);
}

static void start_watch(void *arg)
{
        struct watch *w = arg;
        struct kc_pleg *p = w->p;
        pthread_mutex_lock(&p->mutex);
        bool wanted = !p->stopped && kc_map_get(p->watches, w->id) == w;
        pthread_mutex_unlock(&p->mutex);
        /* Otherwise it was dropped, and its end is posted behind this. */
        if (wanted)
                w->io = kc_io_new(p->k->loop, w->fd, KC_IO_READ, on_process_end, w);
}

/* The pid may have been given to another process since the runtime told it: its cgroup carries the container's ID. */
static bool belongs(int pid, const char *id)
{
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
        struct kc_buf b = KC_BUF_INIT;
        bool yes = kc_file_read(path, 65536, &b, NULL) == 0 && strstr(kc_buf_str(&b), id);
        kc_buf_done(&b);
        return yes;
}

/* Under the mutex. False: cannot be watched. */
static bool add_watch(struct kc_pleg *p, const char *uid, const char *id, int pid)
{
        if (pid <= 0)
                return false;
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0 && errno == ESRCH) {
                kc_map_set(p->ended, id, kc_strdup(uid));
                return true;
        }
        if (fd < 0)
                return false;
        if (!belongs(pid, id)) {
                close(fd);
                return false;
        }
        struct watch *w = KC_NEW(struct watch);
        *w = (struct watch){.p = p, .id = kc_strdup(id), .uid = kc_strdup(uid), .fd = fd};
        kc_map_set(p->watches, id, w);
        kc_loop_post(p->k->loop, start_watch, w);
        return true;
}

/* Under the mutex: the process of id is of no interest any more. A watch that has begun is ended on the loop. */
static void drop_watch(struct kc_pleg *p, const char *id)
{
        kc_map_remove(p->ended, id);
        kc_map_remove(p->untracked, id);
        struct watch *w = kc_map_steal(p->watches, id);
        if (w)
                kc_loop_post(p->k->loop, watch_free, w);
}

/* Under the mutex. True if the process has ended, and the runtime does not know yet. */
static bool observe_one(struct kc_pleg *p, const char *uid, const char *id, bool running, int pid)
{
        if (!running) {
                drop_watch(p, id);
                return false;
        }
        if (kc_map_has(p->ended, id))
                return true;
        if (!kc_map_has(p->watches, id)) {
                if (add_watch(p, uid, id, pid))
                        kc_map_remove(p->untracked, id);
                else
                        kc_map_set(p->untracked, id, kc_strdup(uid));
        }
        return kc_map_has(p->ended, id);
}

static void rearm(void *arg)
{
        arm(arg);
}

bool kc_pleg_observe(struct kc_pleg *p, const struct kc_pod_runtime *rt)
{
        bool soon = false;
        pthread_mutex_lock(&p->mutex);
        size_t before = kc_map_len(p->untracked);
        for (size_t i = 0; !p->stopped && i < rt->n_containers; i++) {
                const struct kc_rt_container *c = &rt->containers[i];
                soon |= observe_one(p, rt->uid, c->id, c->state == KC_STATE_RUNNING, c->pid);
        }
        for (size_t i = 0; !p->stopped && i < rt->n_sandboxes; i++)
                soon |= observe_one(
                    p, rt->uid, rt->sandboxes[i].id, i == 0 && rt->sandboxes[i].ready, rt->sandboxes[i].pid);
        bool changed = (before == 0) != (kc_map_len(p->untracked) == 0);
        pthread_mutex_unlock(&p->mutex);
        if (changed)
                kc_loop_post(p->k->loop, rearm, p);
        return soon;
}

/* Keys of a map whose uid is that one. */
static void collect(const struct kc_map *m, const char *uid, bool watches, char ***ids)
{
        size_t it = 0;
        const char *id;
        void *value;
        while (kc_map_next(m, &it, &id, &value))
                if (kc_streq(watches ? ((const struct watch *)value)->uid : value, uid))
                        kc_strv_push(ids, id);
}

void kc_pleg_forget(struct kc_pleg *p, const char *uid)
{
        KC_CLEANUP(kc_strv_freep) char **ids = NULL;
        pthread_mutex_lock(&p->mutex);
        collect(p->watches, uid, true, &ids);
        collect(p->ended, uid, false, &ids);
        collect(p->untracked, uid, false, &ids);
        for (char **i = ids; i && *i; i++)
                drop_watch(p, *i);
        pthread_mutex_unlock(&p->mutex);
}

/* --- Relist */

static const char *map_value(Runtime__V1__Container__LabelsEntry **labels, size_t n, const char *key)
{
        for (size_t i = 0; i < n; i++)
                if (kc_streq(labels[i]->key, key))
                        return labels[i]->value;
        return NULL;
}

static void note(struct kc_map *now, const char *id, const char *uid, int state)
{
        if (uid)
                kc_map_set(now, id, kc_asprintf("%s %d", uid, state));
}

static int list_states(struct kc_pleg *p, struct kc_map *now, struct kc_error *err)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListPodSandboxResponse *sandboxes = NULL;
        int r = kc_cri_list_pod_sandboxes(p->k->cri, NULL, &sandboxes, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < sandboxes->n_items; i++) {
                const Runtime__V1__PodSandbox *s = sandboxes->items[i];
                note(now, s->id, s->metadata ? s->metadata->uid : NULL, (int)s->state);
        }
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListContainersResponse *containers = NULL;
        r = kc_cri_list_containers(p->k->cri, NULL, &containers, err);
        for (size_t i = 0; r == 0 && i < containers->n_containers; i++) {
                const Runtime__V1__Container *c = containers->containers[i];
                note(now, c->id, map_value(c->labels, c->n_labels, LABEL_POD_UID), (int)c->state);
        }
        return r;
}

/* uids of entries of a that b has not, or has otherwise. */
static void differences(const struct kc_map *a, const struct kc_map *b, char ***uids)
{
        size_t it = 0;
        const char *id;
        void *value;
        while (kc_map_next(a, &it, &id, &value)) {
                if (kc_streq(value, kc_map_get(b, id)))
                        continue;
                KC_CLEANUP(kc_freep) char *uid = kc_strndup(value, strcspn(value, " "));
                kc_strv_push(uids, uid);
        }
}

static void compare(struct kc_pleg *p, struct kc_map *take_now)
{
        KC_CLEANUP(kc_strv_freep) char **uids = NULL;
        pthread_mutex_lock(&p->mutex);
        differences(take_now, p->states, &uids);
        differences(p->states, take_now, &uids);
        kc_map_free(p->states);
        p->states = take_now;
        pthread_mutex_unlock(&p->mutex);
        kc_strv_sort_uniq(uids);
        bool ready = kc_workers_sources_ready(p->k);
        for (char **uid = uids; uid && *uid; uid++) {
                if (kc_workers_known(p->k, *uid))
                        kc_workers_poke(p->k, *uid);
                else if (ready)
                        kc_workers_orphan(p->k, *uid);
                else {
                        /* Not known yet: looked at again when the sources are. */
                        pthread_mutex_lock(&p->mutex);
                        kc_map_clear(p->states);
                        pthread_mutex_unlock(&p->mutex);
                }
        }
}

static void relist(void *arg)
{
        struct kc_pleg *p = arg;
        struct kc_error err = KC_ERROR_INIT;
        struct kc_map *now = kc_map_new(kc_free);
        kc_mono begin = kc_clock_mono(p->k->clock);
        if (list_states(p, now, &err) < 0) {
                kc_log_error(&err, "Unable to list pods from the container runtime, retrying");
                kc_error_done(&err);
                kc_map_free(now);
        } else {
                atomic_store(&p->last_relist, kc_clock_mono(p->k->clock));
                compare(p, now);
        }
        kc_metric_observe(p->duration, (double)(kc_clock_mono(p->k->clock) - begin) / KC_SEC, NULL);
        atomic_store(&p->relisting, false);
        kc_loop_post(p->k->loop, rearm, p);
}

static void on_timer(void *arg)
{
        struct kc_pleg *p = arg;
        if (p->stopped || atomic_exchange(&p->relisting, true))
                return;
        if (kc_pool_submit(p->k->pool, relist, p) < 0) {
                atomic_store(&p->relisting, false);
                arm(p);
        }
}

static void arm(struct kc_pleg *p)
{
        if (p->stopped || atomic_load(&p->relisting))
                return;
        pthread_mutex_lock(&p->mutex);
        bool blind = kc_map_len(p->untracked) > 0 && !p->has_events;
        pthread_mutex_unlock(&p->mutex);
        bool healthy = kc_clock_mono(p->k->clock) - atomic_load(&p->last_relist) < 2 * RELIST_SLOW;
        bool fast = blind || !healthy || !kc_workers_sources_ready(p->k);
        kc_timer_arm(p->timer, fast ? RELIST_FAST : RELIST_SLOW);
}

/* --- The runtime's events */

static void on_event(const Runtime__V1__ContainerEventResponse *e, void *arg)
{
        struct kc_pleg *p = arg;
        p->has_events = true;
        if (e->pod_sandbox_status && e->pod_sandbox_status->metadata)
                kc_workers_poke(p->k, e->pod_sandbox_status->metadata->uid);
}

static void on_events_end(int errnum, const char *message, void *arg)
{
        struct kc_pleg *p = arg;
        p->events = NULL;
        p->has_events = false;
        if (errnum == -ENOSYS) {
                kc_log_v(2, "The runtime has no container events: watching processes");
                return;
        }
        kc_log_v(2, "The runtime's event stream has ended, retrying", "err", message);
        if (!p->stopped)
                kc_timer_arm(p->events_timer, EVENTS_RETRY);
        arm(p);
}

static void open_events(void *arg)
{
        static const struct kc_cri_events_cbs cbs = {.on_event = on_event, .on_end = on_events_end};
        struct kc_pleg *p = arg;
        if (!p->stopped)
                p->events = kc_cri_events_open(p->k->cri, &cbs, p);
}

/* --- Life */

struct kc_pleg *kc_pleg_new(struct kc_kubelet *k)
{
        struct kc_pleg *p = KC_NEW(struct kc_pleg);
        p->k = k;
        pthread_mutex_init(&p->mutex, NULL);
        p->watches = kc_map_new(NULL);
        p->ended = kc_map_new(kc_free);
        p->untracked = kc_map_new(kc_free);
        p->states = kc_map_new(kc_free);
        static const double buckets[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
        p->duration = kc_metric_histogram("kubelet_pleg_relist_duration_seconds",
            "Duration in seconds for relisting pods in PLEG.", NULL, buckets, KC_ARRAY_LEN(buckets));
        p->timer = kc_timer_new(k->loop, on_timer, p);
        p->events_timer = kc_timer_new(k->loop, open_events, p);
        return p;
}

void kc_pleg_start(struct kc_pleg *p)
{
        open_events(p);
        on_timer(p);
}

void kc_pleg_stop(struct kc_pleg *p)
{
        kc_timer_disarm(p->timer);
        kc_timer_disarm(p->events_timer);
        kc_cri_events_close(p->events);
        p->events = NULL;
        KC_CLEANUP(kc_strv_freep) char **ids = NULL;
        pthread_mutex_lock(&p->mutex);
        p->stopped = true;
        ids = kc_map_sorted_keys(p->watches);
        for (char **id = ids; id && *id; id++)
                drop_watch(p, *id);
        pthread_mutex_unlock(&p->mutex);
}

void kc_pleg_free(struct kc_pleg *p)
{
        if (!p)
                return;
        kc_timer_free(p->timer);
        kc_timer_free(p->events_timer);
        kc_map_free(p->watches);
        kc_map_free(p->ended);
        kc_map_free(p->untracked);
        kc_map_free(p->states);
        pthread_mutex_destroy(&p->mutex);
        kc_free(p);
}

kc_mono kc_pleg_last_relist(struct kc_pleg *p)
{
        return atomic_load(&p->last_relist);
}

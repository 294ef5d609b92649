/* Two heaps and a set. Loop thread. */
#include "scheduler/queue.h"

#include "base/map.h"
#include "base/str.h"

enum { ACTIVE, BACKOFF, UNSCHEDULABLE, IN_FLIGHT };
enum { INITIAL_BACKOFF_S = 1, MAX_BACKOFF_S = 10, MAX_UNSCHEDULABLE_S = 300 };

struct heap {
        struct kc_queued_pod **v;
        size_t n, cap;
        bool (*before)(const struct kc_queued_pod *a, const struct kc_queued_pod *b);
};

struct kc_sched_queue {
        const struct kc_clock *clock;
        struct heap active, backoff;
        struct kc_map *pods;       /* key -> struct kc_queued_pod *, wherever it is */
        uint32_t events_in_flight; /* seen since the pod in flight was popped */
        size_t n_unschedulable;
};

/* PrioritySort: higher priority first, then who came first. */
static bool active_before(const struct kc_queued_pod *a, const struct kc_queued_pod *b)
{
        if (a->info->priority != b->info->priority)
                return a->info->priority > b->info->priority;
        return a->added < b->added;
}

static bool backoff_before(const struct kc_queued_pod *a, const struct kc_queued_pod *b)
{
        return a->next < b->next;
}

static void heap_put(struct heap *h, size_t i, struct kc_queued_pod *p)
{
        h->v[i] = p;
        p->heap_at = i;
}

static void sift_up(struct heap *h, size_t i)
{
        struct kc_queued_pod *p = h->v[i];
        while (i > 0 && h->before(p, h->v[(i - 1) / 2])) {
                heap_put(h, i, h->v[(i - 1) / 2]);
                i = (i - 1) / 2;
        }
        heap_put(h, i, p);
}

static void sift_down(struct heap *h, size_t i)
{
        struct kc_queued_pod *p = h->v[i];
        for (;;) {
                size_t child = 2 * i + 1;
                if (child >= h->n)
                        break;
                if (child + 1 < h->n && h->before(h->v[child + 1], h->v[child]))
                        child++;
                if (!h->before(h->v[child], p))
                        break;
                heap_put(h, i, h->v[child]);
                i = child;
        }
        heap_put(h, i, p);
}

static void heap_push(struct heap *h, struct kc_queued_pod *p)
{
        if (h->n == h->cap) {
                h->cap = h->cap ? 2 * h->cap : 16;
                h->v = kc_reallocarray(h->v, h->cap, sizeof(struct kc_queued_pod *));
        }
        h->v[h->n++] = p;
        sift_up(h, h->n - 1);
}

static void heap_remove(struct heap *h, struct kc_queued_pod *p)
{
        size_t i = p->heap_at;
        struct kc_queued_pod *last = h->v[--h->n];
        if (last == p)
                return;
        heap_put(h, i, last);
        sift_up(h, i);
        sift_down(h, last->heap_at);
}

static void pod_free(struct kc_queued_pod *p)
{
        kc_pod_info_freep(&p->info);
        kc_free(p);
}

struct kc_sched_queue *kc_sched_queue_new(const struct kc_clock *clock)
{
        struct kc_sched_queue *q = KC_NEW(struct kc_sched_queue);
        q->clock = clock;
        q->active.before = active_before;
        q->backoff.before = backoff_before;
        q->pods = kc_map_new(NULL);
        return q;
}

void kc_sched_queue_free(struct kc_sched_queue *q)
{
        size_t it = 0;
        const char *key;
        void *p;
        while (kc_map_next(q->pods, &it, &key, &p))
                pod_free(p);
        kc_map_free(q->pods);
        kc_free(q->active.v);
        kc_free(q->backoff.v);
        kc_free(q);
}

static void leave(struct kc_sched_queue *q, struct kc_queued_pod *p)
{
        if (p->where == ACTIVE)
                heap_remove(&q->active, p);
        else if (p->where == BACKOFF)
                heap_remove(&q->backoff, p);
        else if (p->where == UNSCHEDULABLE)
                q->n_unschedulable--;
}

static void to_active(struct kc_sched_queue *q, struct kc_queued_pod *p)
{
        p->where = ACTIVE;
        heap_push(&q->active, p);
}

/* Back-off ends `next`; what is over already goes straight on. */
static void to_backoff(struct kc_sched_queue *q, struct kc_queued_pod *p)
{
        if (p->next <= kc_clock_mono(q->clock)) {
                to_active(q, p);
                return;
        }
        p->where = BACKOFF;
        heap_push(&q->backoff, p);
}

/* Only the spec, labels and annotations make a pod schedulable; its status does not. */
static bool same_wishes(const struct kc_pod_info *a, const struct kc_pod_info *b)
{
        const struct json_object *x = kc_object_json(a->obj), *y = kc_object_json(b->obj);
        return kc_json_equal(kc_json_get(x, "spec"), kc_json_get(y, "spec")) &&
               kc_json_equal(kc_meta_labels(x), kc_meta_labels(y));
}

void kc_sched_queue_set(struct kc_sched_queue *q, struct kc_pod_info *take_pod)
{
        struct kc_queued_pod *p = kc_map_get(q->pods, take_pod->key);

        if (p && !kc_streq(p->info->uid, take_pod->uid)) {
                kc_sched_queue_remove(q, take_pod->key);
                p = NULL;
        }
        if (!p) {
                p = KC_NEW(struct kc_queued_pod);
                p->info = take_pod;
                p->added = kc_clock_mono(q->clock);
                kc_map_set(q->pods, take_pod->key, p);
                to_active(q, p);
                return;
        }
        bool same = same_wishes(p->info, take_pod);
        int where = p->where;
        leave(q, p);
        kc_pod_info_free(p->info);
        p->info = take_pod;
        if (where == BACKOFF || (where == UNSCHEDULABLE && !same)) {
                to_backoff(q, p);
        } else if (where == ACTIVE) {
                to_active(q, p);
        } else if (where == UNSCHEDULABLE) {
                q->n_unschedulable++;
        }
}

void kc_sched_queue_remove(struct kc_sched_queue *q, const char *key)
{
        struct kc_queued_pod *p = kc_map_steal(q->pods, key);
        if (!p)
                return;
        leave(q, p);
        pod_free(p);
}

struct kc_queued_pod *kc_sched_queue_pop(struct kc_sched_queue *q)
{
        struct kc_queued_pod *p;

        if (q->active.n == 0)
                return NULL;
        p = q->active.v[0];
        heap_remove(&q->active, p);
        p->where = IN_FLIGHT;
        p->attempts++;
        (void)kc_map_steal(q->pods, p->info->key); /* the same pod, now the caller's */
        q->events_in_flight = 0;
        return p;
}

void kc_sched_queue_done(struct kc_sched_queue *q, struct kc_queued_pod *take_p)
{
        (void)q;
        pod_free(take_p);
}

void kc_sched_queue_requeue(struct kc_sched_queue *q, struct kc_queued_pod *take_p, uint32_t wakes, bool error)
{
        kc_mono now = kc_clock_mono(q->clock);
        int64_t backoff = INITIAL_BACKOFF_S;

        for (int i = 1; i < take_p->attempts && backoff < MAX_BACKOFF_S; i++)
                backoff *= 2;
        if (kc_map_has(q->pods, take_p->info->key)) {
                pod_free(take_p); /* a newer self has come in */
                return;
        }
        take_p->next = now + KC_MIN(backoff, (int64_t)MAX_BACKOFF_S) * KC_SEC;
        take_p->wakes = wakes;
        kc_map_set(q->pods, take_p->info->key, take_p);
        if (error || (q->events_in_flight & wakes)) {
                to_backoff(q, take_p);
                return;
        }
        take_p->where = UNSCHEDULABLE;
        take_p->since = now;
        q->n_unschedulable++;
}

static void move(struct kc_sched_queue *q, uint32_t events, kc_mono since_before)
{
        size_t it = 0;
        const char *key;
        void *v;

        if (q->n_unschedulable == 0)
                return;
        while (kc_map_next(q->pods, &it, &key, &v)) {
                struct kc_queued_pod *p = v;
                if (p->where != UNSCHEDULABLE || !((p->wakes & events) || p->since <= since_before))
                        continue;
                q->n_unschedulable--;
                to_backoff(q, p);
        }
}

void kc_sched_queue_wake(struct kc_sched_queue *q, uint32_t events)
{
        q->events_in_flight |= events;
        move(q, events, INT64_MIN);
}

kc_mono kc_sched_queue_tick(struct kc_sched_queue *q)
{
        kc_mono now = kc_clock_mono(q->clock), next = 0;

        while (q->backoff.n && q->backoff.v[0]->next <= now) {
                struct kc_queued_pod *p = q->backoff.v[0];
                heap_remove(&q->backoff, p);
                to_active(q, p);
        }
        move(q, 0, now - MAX_UNSCHEDULABLE_S * KC_SEC);
        if (q->backoff.n)
                next = q->backoff.v[0]->next;
        /* Left-overs are looked at as a whole, once in a while: that is often enough for five minutes. */
        if (q->n_unschedulable && (next == 0 || next > now + MAX_UNSCHEDULABLE_S * KC_SEC / 10))
                next = now + MAX_UNSCHEDULABLE_S * KC_SEC / 10;
        return next;
}

void kc_sched_queue_counts(
    const struct kc_sched_queue *q, size_t *ret_active, size_t *ret_backoff, size_t *ret_unschedulable)
{
        *ret_active = q->active.n;
        *ret_backoff = q->backoff.n;
        *ret_unschedulable = q->n_unschedulable;
}

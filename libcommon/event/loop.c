/* The event loop: a libevent base, a queue of posts from other threads that an eventfd announces, and a queue of what
 * is deferred by callbacks. All but what says "any thread" runs on the loop's thread. */
#include "event/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "event/thread_internal.h"

struct task {
        struct kc_list node;
        kc_loop_fn fn;
        void *arg;
};

struct handled_signal {
        struct kc_list node;
        struct event *event;
        kc_loop_fn fn;
        void *arg;
};

struct kc_loop {
        char name[16];
        struct event_base *base;
        struct event *wake_event;
        int wake_fd;
        atomic_bool stop;

        pthread_mutex_t lock;  /* innermost: nothing is called under it */
        pthread_cond_t taken;  /* started became true */
        struct kc_list posted; /* struct task; guarded by lock */
        bool started;          /* a thread has begun to run the loop; guarded by lock */
        bool owned;            /* a thread runs the loop; guarded by lock */
        pthread_t owner;       /* guarded by lock; valid if owned */

        struct kc_list deferred; /* struct task */
        struct event *defer_event;
        bool in_deferred;
        struct kc_list signals; /* struct handled_signal */

        bool has_thread; /* of its own, to be joined */
        pthread_t thread;
};

/* libevent delivers signals to one base only. */
static pthread_mutex_t signals_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct kc_loop *signals_loop; /* guarded by signals_lock */
static uint64_t signals_taken;             /* bit of signo - 1; guarded by signals_lock */

static pthread_once_t libevent_once = PTHREAD_ONCE_INIT;
static int libevent_result;

static void log_libevent(int severity, const char *msg)
{
        if (severity == EVENT_LOG_ERR)
                kc_log_write(KC_LOG_ERROR, 0, __FILE__, __LINE__, "libevent reports an error", msg, (char *)NULL);
        else if (severity == EVENT_LOG_WARN)
                kc_log_warn("libevent warns", "message", msg);
        else
                kc_log_v(6, "libevent says", "message", msg);
}

static void init_libevent(void)
{
        event_set_log_callback(log_libevent);
        libevent_result = evthread_use_pthreads();
}

/* --- Tasks */

static void push_task(struct kc_list *list, kc_loop_fn fn, void *arg)
{
        struct task *t = KC_NEW(struct task);
        t->fn = fn;
        t->arg = arg;
        kc_list_push_back(list, &t->node);
}

/* All of from goes to the empty list to. */
static void move_tasks(struct kc_list *to, struct kc_list *from)
{
        kc_list_init(to);
        if (kc_list_empty(from))
                return;
        *to = *from;
        to->next->prev = to->prev->next = to;
        kc_list_init(from);
}

/* Returns false if there was nothing to run. */
static bool run_tasks(struct kc_list *tasks)
{
        bool any = !kc_list_empty(tasks);
        KC_LIST_FOREACH(tasks, t, struct task, node)
        {
                kc_loop_fn fn = t->fn;
                void *arg = t->arg;
                kc_list_remove(&t->node);
                kc_free(t);
                fn(arg);
        }
        return any;
}

static bool run_posted(struct kc_loop *l)
{
        struct kc_list batch;
        pthread_mutex_lock(&l->lock);
        move_tasks(&batch, &l->posted);
        pthread_mutex_unlock(&l->lock);
        return run_tasks(&batch);
}

static bool run_deferred(struct kc_loop *l)
{
        struct kc_list batch;
        move_tasks(&batch, &l->deferred);
        return run_tasks(&batch);
}

/* --- Waking up */

static void wake(struct kc_loop *l)
{
        uint64_t one = 1;
        ssize_t n;
        do
                n = write(l->wake_fd, &one, sizeof(one));
        while (n < 0 && errno == EINTR);
        /* EAGAIN: the counter is full, so the loop wakes anyway. */
}

static void on_wake(evutil_socket_t fd, short events, void *arg)
{
        struct kc_loop *l = arg;
        uint64_t count;
        (void)events;
        (void)!read(fd, &count, sizeof(count)); /* EAGAIN: a wake-up without need */
        run_posted(l);
        if (atomic_load(&l->stop))
                event_base_loopbreak(l->base);
}

static void on_deferred(evutil_socket_t fd, short events, void *arg)
{
        (void)fd;
        (void)events;
        struct kc_loop *l = arg;
        static const struct timeval now = {0};
        l->in_deferred = true;
        run_deferred(l);
        l->in_deferred = false;
        /* libevent runs what is made active from here before it looks at timers and descriptors again. */
        if (!kc_list_empty(&l->deferred) && event_add(l->defer_event, &now) < 0)
                event_active(l->defer_event, EV_TIMEOUT, 1);
}

/* --- The loop's life */

static struct event_base *new_base(void)
{
        struct event_config *config = event_config_new();
        if (!config)
                return NULL;
        /* Timers count from the moment of arming, with the clock's full resolution: they never fire early. */
        struct event_base *base = NULL;
        if (event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0 &&
            event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME) == 0)
                base = event_base_new_with_config(config);
        event_config_free(config);
        return base;
}

int kc_loop_new(const char *name, struct kc_loop **ret, struct kc_error *err)
{
        pthread_once(&libevent_once, init_libevent);
        if (libevent_result < 0)
                return kc_error_set(err, ENOMEM, "libevent cannot use threads");
        KC_CLEANUP(kc_loop_freep) struct kc_loop *l = KC_NEW(struct kc_loop);
        snprintf(l->name, sizeof(l->name), "%.15s", name);
        atomic_init(&l->stop, false);
        pthread_mutex_init(&l->lock, NULL);
        pthread_cond_init(&l->taken, NULL);
        kc_list_init(&l->posted);
        kc_list_init(&l->deferred);
        kc_list_init(&l->signals);
        l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (l->wake_fd < 0)
                return kc_error_set(err, errno, "eventfd: %s", strerrordesc_np(errno));
        l->base = new_base();
        if (!l->base)
                return kc_error_set(err, ENOMEM, "cannot make an event base");
        l->wake_event = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
        l->defer_event = event_new(l->base, -1, 0, on_deferred, l);
        if (!l->wake_event || !l->defer_event || event_add(l->wake_event, NULL) < 0)
                return kc_error_set(err, ENOMEM, "cannot watch an eventfd");
        *ret = KC_TAKE(l);
        return 0;
}

static void free_signals(struct kc_loop *l)
{
        KC_LIST_FOREACH(&l->signals, s, struct handled_signal, node)
        {
                event_free(s->event);
                kc_free(s);
        }
        pthread_mutex_lock(&signals_lock);
        if (signals_loop == l) {
                signals_loop = NULL;
                signals_taken = 0;
        }
        pthread_mutex_unlock(&signals_lock);
}

void kc_loop_flush(struct kc_loop *l)
{
        bool more = true;
        assert(kc_loop_in_thread(l));
        while (more) {
                more = run_posted(l);
                more = run_deferred(l) || more;
        }
}

void kc_loop_free(struct kc_loop *l)
{
        if (!l)
                return;
        assert(kc_loop_in_thread(l) && !l->has_thread);
        kc_loop_flush(l);
        free_signals(l);
        if (l->wake_event)
                event_free(l->wake_event);
        if (l->defer_event)
                event_free(l->defer_event);
        if (l->base)
                event_base_free(l->base);
        kc_closep(&l->wake_fd);
        pthread_cond_destroy(&l->taken);
        pthread_mutex_destroy(&l->lock);
        kc_free(l);
}

static void take_over(struct kc_loop *l)
{
        pthread_mutex_lock(&l->lock);
        assert(!l->owned);
        l->owner = pthread_self();
        l->owned = l->started = true;
        pthread_cond_broadcast(&l->taken);
        pthread_mutex_unlock(&l->lock);
}

int kc_loop_run(struct kc_loop *l, struct kc_error *err)
{
        take_over(l);
        int r = event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
        atomic_store(&l->stop, false);
        pthread_mutex_lock(&l->lock);
        l->owned = false;
        pthread_mutex_unlock(&l->lock);
        return r < 0 ? kc_error_set(err, EIO, "event loop %s failed", l->name) : 0;
}

void kc_loop_stop(struct kc_loop *l)
{
        atomic_store(&l->stop, true);
        wake(l);
}

static void *loop_thread(void *arg)
{
        struct kc_error err = KC_ERROR_INIT;
        if (kc_loop_run(arg, &err) < 0)
                kc_log_error(&err, "Event loop ended");
        kc_error_done(&err);
        return NULL;
}

int kc_loop_start_thread(struct kc_loop *l, struct kc_error *err)
{
        assert(!l->has_thread);
        l->started = false; /* no other thread looks at it now */
        int r = kc_thread_start(l->name, loop_thread, l, &l->thread, err);
        if (r < 0)
                return r;
        l->has_thread = true;
        /* From here on the caller is not on the loop's thread, and kc_loop_in_thread says so. */
        pthread_mutex_lock(&l->lock);
        while (!l->started)
                pthread_cond_wait(&l->taken, &l->lock);
        pthread_mutex_unlock(&l->lock);
        return 0;
}

void kc_loop_join(struct kc_loop *l)
{
        if (!l->has_thread)
                return;
        pthread_join(l->thread, NULL);
        l->has_thread = false;
}

/* --- Posting */

void kc_loop_post(struct kc_loop *l, kc_loop_fn fn, void *arg)
{
        struct task *t = KC_NEW(struct task);
        t->fn = fn;
        t->arg = arg;
        pthread_mutex_lock(&l->lock);
        bool first = kc_list_empty(&l->posted);
        kc_list_push_back(&l->posted, &t->node);
        /* Under the lock: behind it, a task may have run already, and freed the loop. */
        if (first)
                wake(l);
        pthread_mutex_unlock(&l->lock);
}

struct call {
        kc_loop_fn fn;
        void *arg;
        pthread_mutex_t lock;
        pthread_cond_t done_cond;
        bool done; /* guarded by lock */
};

static void run_call(void *arg)
{
        struct call *c = arg;
        c->fn(c->arg);
        pthread_mutex_lock(&c->lock);
        c->done = true;
        pthread_cond_signal(&c->done_cond);
        pthread_mutex_unlock(&c->lock);
}

void kc_loop_call(struct kc_loop *l, kc_loop_fn fn, void *arg)
{
        if (kc_loop_in_thread(l)) {
                fn(arg);
                return;
        }
        struct call c = {
            .fn = fn, .arg = arg, .lock = PTHREAD_MUTEX_INITIALIZER, .done_cond = PTHREAD_COND_INITIALIZER};
        kc_loop_post(l, run_call, &c);
        pthread_mutex_lock(&c.lock);
        while (!c.done)
                pthread_cond_wait(&c.done_cond, &c.lock);
        pthread_mutex_unlock(&c.lock);
        pthread_cond_destroy(&c.done_cond);
        pthread_mutex_destroy(&c.lock);
}

void kc_loop_defer(struct kc_loop *l, kc_loop_fn fn, void *arg)
{
        assert(kc_loop_in_thread(l));
        push_task(&l->deferred, fn, arg);
        if (!l->in_deferred)
                event_active(l->defer_event, EV_TIMEOUT, 1);
}

bool kc_loop_in_thread(const struct kc_loop *l)
{
        pthread_mutex_t *lock = (pthread_mutex_t *)&l->lock;
        pthread_mutex_lock(lock);
        bool in_thread = !l->owned || pthread_equal(l->owner, pthread_self());
        pthread_mutex_unlock(lock);
        return in_thread;
}

struct event_base *kc_loop_base(struct kc_loop *l)
{
        return l->base;
}

/* --- Signals */

static void on_signal(evutil_socket_t signo, short events, void *arg)
{
        struct handled_signal *s = arg;
        (void)signo;
        (void)events;
        s->fn(s->arg);
}

static bool claim_signal(const struct kc_loop *l, int signo)
{
        uint64_t bit = UINT64_C(1) << (signo - 1);
        pthread_mutex_lock(&signals_lock);
        bool free_to_take = (!signals_loop || signals_loop == l) && !(signals_taken & bit);
        if (free_to_take) {
                signals_loop = l;
                signals_taken |= bit;
        }
        pthread_mutex_unlock(&signals_lock);
        return free_to_take;
}

int kc_loop_on_signal(struct kc_loop *l, int signo, kc_loop_fn fn, void *arg, struct kc_error *err)
{
        assert(kc_loop_in_thread(l));
        if (signo < 1 || signo > 64)
                return kc_error_set(err, EINVAL, "%d is not a signal", signo);
        if (!claim_signal(l, signo))
                return kc_error_set(err, EBUSY, "signal %d is handled already", signo);
        struct handled_signal *s = KC_NEW(struct handled_signal);
        s->fn = fn;
        s->arg = arg;
        s->event = evsignal_new(l->base, signo, on_signal, s);
        if (!s->event || evsignal_add(s->event, NULL) < 0) {
                if (s->event)
                        event_free(s->event);
                kc_free(s);
                return kc_error_set(err, EIO, "cannot handle signal %d", signo);
        }
        kc_list_push_back(&l->signals, &s->node);
        return 0;
}

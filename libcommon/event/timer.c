/* Timers and watched descriptors of a loop, each one libevent event. On the loop's thread. */
#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "event/loop.h"

/* libevent fails on these calls only when memory is exhausted. */
static void must(bool ok)
{
        if (ok)
                return;
        kc_log_write(KC_LOG_FATAL, 0, __FILE__, __LINE__, "libevent cannot add an event", NULL, (char *)NULL);
        abort();
}

struct kc_timer {
        struct kc_loop *loop;
        struct event *event;
        kc_loop_fn fn;
        void *arg;
};

static void on_timer(evutil_socket_t fd, short events, void *arg)
{
        struct kc_timer *t = arg;
        (void)fd;
        (void)events;
        t->fn(t->arg); /* may free t */
}

struct kc_timer *kc_timer_new(struct kc_loop *l, kc_loop_fn fn, void *arg)
{
        assert(kc_loop_in_thread(l));
        struct kc_timer *t = KC_NEW(struct kc_timer);
        t->loop = l;
        t->fn = fn;
        t->arg = arg;
        t->event = evtimer_new(kc_loop_base(l), on_timer, t);
        must(t->event != NULL);
        return t;
}

void kc_timer_free(struct kc_timer *t)
{
        if (!t)
                return;
        assert(kc_loop_in_thread(t->loop));
        event_free(t->event);
        kc_free(t);
}

void kc_timer_arm(struct kc_timer *t, int64_t usec)
{
        assert(kc_loop_in_thread(t->loop));
        usec = KC_MAX(usec, (int64_t)0);
        struct timeval tv = {.tv_sec = usec / KC_SEC, .tv_usec = usec % KC_SEC};
        must(evtimer_add(t->event, &tv) == 0);
}

void kc_timer_disarm(struct kc_timer *t)
{
        assert(kc_loop_in_thread(t->loop));
        evtimer_del(t->event);
}

bool kc_timer_armed(const struct kc_timer *t)
{
        assert(kc_loop_in_thread(t->loop));
        return evtimer_pending(t->event, NULL) != 0;
}

struct kc_io {
        struct kc_loop *loop;
        struct event *event;
        int fd;
        int events;
        kc_io_fn fn;
        void *arg;
};

static void on_io(evutil_socket_t fd, short what, void *arg)
{
        struct kc_io *io = arg;
        int events = (what & EV_READ ? KC_IO_READ : 0) | (what & EV_WRITE ? KC_IO_WRITE : 0);
        io->fn(fd, events, io->arg); /* may free io */
}

static short libevent_flags(int events)
{
        return (short)((events & KC_IO_READ ? EV_READ : 0) | (events & KC_IO_WRITE ? EV_WRITE : 0) | EV_PERSIST);
}

struct kc_io *kc_io_new(struct kc_loop *l, int fd, int events, kc_io_fn fn, void *arg)
{
        assert(kc_loop_in_thread(l));
        struct kc_io *io = KC_NEW(struct kc_io);
        io->loop = l;
        io->fd = fd;
        io->fn = fn;
        io->arg = arg;
        io->event = event_new(kc_loop_base(l), fd, libevent_flags(0), on_io, io);
        must(io->event != NULL);
        kc_io_set(io, events);
        return io;
}

void kc_io_set(struct kc_io *io, int events)
{
        assert(kc_loop_in_thread(io->loop));
        if (events == io->events)
                return;
        event_del(io->event);
        io->events = events;
        if (!events)
                return;
        must(event_assign(io->event, kc_loop_base(io->loop), io->fd, libevent_flags(events), on_io, io) == 0);
        must(event_add(io->event, NULL) == 0);
}

void kc_io_free(struct kc_io *io)
{
        if (!io)
                return;
        assert(kc_loop_in_thread(io->loop));
        event_free(io->event);
        kc_free(io);
}

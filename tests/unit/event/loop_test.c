/* The loop: posts from threads, deferred calls, timers, descriptors, signals. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "event/loop.h"

/* A literal as a callback argument. */
#define S(literal) ((void *)(uintptr_t)(literal))

static struct kc_loop *loop;
static char trace[256];

static int setup(void **state)
{
        (void)state;
        trace[0] = '\0';
        return kc_loop_new("test", &loop, NULL);
}

static int teardown(void **state)
{
        (void)state;
        kc_loop_free(loop);
        return 0;
}

static void note(void *arg)
{
        strcat(trace, arg);
}

static void stop(void *arg)
{
        (void)arg;
        kc_loop_stop(loop);
}

static void run(void)
{
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_loop_run(loop, &err), 0);
}

static void test_posts_run_in_order(void **state)
{
        (void)state;
        kc_loop_post(loop, note, S("a"));
        kc_loop_post(loop, note, S("b"));
        kc_loop_post(loop, stop, NULL);
        kc_loop_post(loop, note, S("c"));
        run();
        assert_string_equal(trace, "abc");
}

static void test_stop_before_run(void **state)
{
        (void)state;
        kc_loop_stop(loop);
        run();
        kc_loop_post(loop, note, S("x"));
        kc_loop_stop(loop);
        run();
        assert_string_equal(trace, "x");
}

static void post_again(void *arg)
{
        (void)arg;
        kc_loop_post(loop, note, S("2"));
        kc_loop_defer(loop, note, S("1"));
}

static void test_free_runs_what_is_left(void **state)
{
        (void)state;
        struct kc_loop *l = loop;
        kc_loop_post(l, post_again, NULL);
        kc_loop_free(l);
        assert_string_equal(trace, "12");
        assert_int_equal(kc_loop_new("test", &loop, NULL), 0);
}

static void defer_in_callback(void *arg)
{
        (void)arg;
        kc_loop_defer(loop, note, S("d"));
        kc_loop_defer(loop, stop, NULL);
        note(S("c"));
}

static void defer_again(void *arg)
{
        const bool *ended = arg;
        if (!*ended)
                kc_loop_defer(loop, defer_again, arg);
}

static void stop_on_timer(void *arg)
{
        *(bool *)arg = true;
        kc_loop_stop(loop);
}

static void test_deferred_lets_timers_through(void **state)
{
        (void)state;
        static bool ended; /* the loop ends after the test */
        struct kc_timer *t = kc_timer_new(loop, stop_on_timer, &ended);
        kc_timer_arm(t, 1000);
        kc_loop_defer(loop, defer_again, &ended);
        assert_int_equal(kc_loop_run(loop, NULL), 0);
        kc_timer_free(t);
}

static void test_deferred_runs_after_the_callback(void **state)
{
        (void)state;
        kc_loop_post(loop, defer_in_callback, NULL);
        run();
        assert_string_equal(trace, "cd");
}

/* --- Threads */

enum { POSTS = 2000, POSTERS = 4 };
static int counted, last_of[POSTERS], out_of_order;
struct numbered {
        int poster, n;
};

static void count(void *arg)
{
        struct numbered *p = arg;
        counted++;
        out_of_order += last_of[p->poster] != p->n;
        last_of[p->poster]++;
        kc_free(p);
}

static void *poster(void *arg)
{
        for (int i = 0; i < POSTS; i++) {
                struct numbered *p = KC_NEW(struct numbered);
                p->poster = (int)(intptr_t)arg;
                p->n = i;
                kc_loop_post(loop, count, p);
        }
        return NULL;
}

static void get_thread(void *arg)
{
        *(pthread_t *)arg = pthread_self();
}

static void in_thread(void *arg)
{
        *(bool *)arg = kc_loop_in_thread(loop);
}

static void nothing(void *arg)
{
        (void)arg;
}

static void test_threads_post(void **state)
{
        (void)state;
        pthread_t threads[POSTERS], ran_on;
        bool inside = false;
        assert_true(kc_loop_in_thread(loop));
        assert_int_equal(kc_loop_start_thread(loop, NULL), 0);
        assert_false(kc_loop_in_thread(loop));
        for (int i = 0; i < POSTERS; i++)
                pthread_create(&threads[i], NULL, poster, (void *)(intptr_t)i);
        for (int i = 0; i < POSTERS; i++)
                pthread_join(threads[i], NULL);
        kc_loop_call(loop, get_thread, &ran_on);
        assert_false(pthread_equal(ran_on, pthread_self()));
        kc_loop_call(loop, in_thread, &inside);
        assert_true(inside);
        assert_int_equal(counted, POSTS * POSTERS);
        assert_int_equal(out_of_order, 0);
        kc_loop_stop(loop);
        kc_loop_join(loop);
        assert_true(kc_loop_in_thread(loop));
}

static void *caller(void *arg)
{
        for (int i = 0; i < 500; i++)
                kc_loop_call(loop, nothing, arg);
        return NULL;
}

static void test_threads_call(void **state)
{
        (void)state;
        pthread_t a, b;
        assert_int_equal(kc_loop_start_thread(loop, NULL), 0);
        pthread_create(&a, NULL, caller, NULL);
        pthread_create(&b, NULL, caller, NULL);
        pthread_join(a, NULL);
        pthread_join(b, NULL);
        kc_loop_stop(loop);
        kc_loop_join(loop);
}

static void test_start_of_a_stopped_loop(void **state)
{
        (void)state;
        for (int i = 0; i < 20; i++) {
                kc_loop_stop(loop);
                assert_int_equal(kc_loop_start_thread(loop, NULL), 0);
                kc_loop_join(loop);
        }
}

/* --- Timers */

static struct kc_timer *timer;
static kc_mono armed_at;
static int64_t late;

static void on_timer(void *arg)
{
        late = kc_clock_mono(NULL) - armed_at;
        assert_false(kc_timer_armed(timer));
        note(arg);
        stop(NULL);
}

static void test_timer_never_early(void **state)
{
        (void)state;
        for (int i = 0; i < 5; i++) {
                timer = kc_timer_new(loop, on_timer, S("t"));
                armed_at = kc_clock_mono(NULL);
                kc_timer_arm(timer, 1500);
                assert_true(kc_timer_armed(timer));
                run();
                assert_true(late >= 1500);
                kc_timer_free(timer);
        }
        assert_string_equal(trace, "ttttt");
}

static void test_timer_rearmed_and_disarmed(void **state)
{
        (void)state;
        KC_CLEANUP(kc_timer_freep) struct kc_timer *never = kc_timer_new(loop, note, S("never"));
        timer = kc_timer_new(loop, on_timer, S("t"));
        kc_timer_arm(never, 0);
        kc_timer_disarm(never);
        assert_false(kc_timer_armed(never));
        kc_timer_arm(timer, 3600 * KC_SEC);
        kc_timer_arm(timer, -5);
        run();
        assert_string_equal(trace, "t");
        kc_timer_free(timer);
}

static void free_own_timer(void *arg)
{
        (void)arg;
        kc_timer_free(timer);
        timer = NULL;
        stop(NULL);
}

static void test_timer_freed_in_its_callback(void **state)
{
        (void)state;
        timer = kc_timer_new(loop, free_own_timer, NULL);
        kc_timer_arm(timer, 0);
        run();
        assert_null(timer);
}

/* --- Descriptors */

static struct kc_io *io;

static void on_readable(int fd, int events, void *arg)
{
        char c;
        (void)arg;
        assert_int_equal(events, KC_IO_READ);
        assert_int_equal(read(fd, &c, 1), 1);
        strncat(trace, &c, 1);
        if (c == 'z') {
                kc_io_free(io);
                stop(NULL);
        }
}

static void test_io_is_level_triggered(void **state)
{
        (void)state;
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        io = kc_io_new(loop, fds[0], KC_IO_READ, on_readable, NULL);
        assert_int_equal(write(fds[1], "xyz", 3), 3);
        run();
        assert_string_equal(trace, "xyz");
        close(fds[0]);
        close(fds[1]);
}

static void on_writable(int fd, int events, void *arg)
{
        (void)fd;
        (void)arg;
        assert_int_equal(events, KC_IO_WRITE);
        note(S("w"));
        kc_io_set(io, 0);
        kc_loop_post(loop, stop, NULL);
}

static void test_io_set(void **state)
{
        (void)state;
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        io = kc_io_new(loop, fds[1], 0, on_writable, NULL);
        kc_loop_post(loop, stop, NULL);
        run();
        assert_string_equal(trace, "");
        kc_io_set(io, KC_IO_WRITE);
        run();
        assert_string_equal(trace, "w");
        kc_io_set(io, KC_IO_WRITE);
        run();
        assert_string_equal(trace, "ww");
        kc_io_free(io);
        close(fds[0]);
        close(fds[1]);
}

/* --- Signals */

static void on_signal(void *arg)
{
        note(arg);
        stop(NULL);
}

static void test_signals(void **state)
{
        (void)state;
        struct kc_loop *other;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_loop_on_signal(loop, SIGUSR1, on_signal, S("u"), &err), 0);
        assert_int_equal(kc_loop_on_signal(loop, SIGUSR1, on_signal, S("u"), &err), -EBUSY);
        assert_string_equal(kc_error_message(&err), "signal 10 is handled already");
        assert_int_equal(kc_loop_on_signal(loop, 0, on_signal, S("u"), &err), -EINVAL);
        assert_int_equal(kc_loop_new("other", &other, NULL), 0);
        assert_int_equal(kc_loop_on_signal(other, SIGUSR2, on_signal, S("v"), &err), -EBUSY);
        kc_error_done(&err);
        raise(SIGUSR1);
        run();
        assert_string_equal(trace, "u");
        kc_loop_free(loop);
        loop = other;
        assert_int_equal(kc_loop_on_signal(loop, SIGUSR1, on_signal, S("v"), NULL), 0);
        raise(SIGUSR1);
        run();
        assert_string_equal(trace, "uv");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(test_posts_run_in_order),
            TEST(test_stop_before_run),
            TEST(test_free_runs_what_is_left),
            TEST(test_deferred_runs_after_the_callback),
            TEST(test_deferred_lets_timers_through),
            TEST(test_threads_post),
            TEST(test_threads_call),
            TEST(test_start_of_a_stopped_loop),
            TEST(test_timer_never_early),
            TEST(test_timer_rearmed_and_disarmed),
            TEST(test_timer_freed_in_its_callback),
            TEST(test_io_is_level_triggered),
            TEST(test_io_set),
            TEST(test_signals),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

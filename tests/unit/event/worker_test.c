/* The pool: bounds, idle threads, shutdown. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/worker.h"
#include "event/worker_internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int inside, may_leave;
static atomic_int done;

static void blocking_task(void *arg)
{
        (void)arg;
        pthread_mutex_lock(&lock);
        inside++;
        pthread_cond_broadcast(&changed);
        while (may_leave == 0)
                pthread_cond_wait(&changed, &lock);
        may_leave--;
        inside--;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        done++;
}

static void quick_task(void *arg)
{
        (void)arg;
        done++;
}

static void wait_inside(int n)
{
        pthread_mutex_lock(&lock);
        while (inside != n)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
}

static void let_go(int n)
{
        pthread_mutex_lock(&lock);
        may_leave += n;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
}

static int setup(void **state)
{
        (void)state;
        inside = may_leave = done = 0;
        return 0;
}

static void test_threads_and_queue_are_bounded(void **state)
{
        (void)state;
        struct kc_pool *p = kc_pool_new("pool", 2, 3);
        assert_int_equal(kc_pool_threads(p), 0);
        for (int i = 0; i < 5; i++)
                assert_int_equal(kc_pool_submit(p, blocking_task, NULL), 0);
        wait_inside(2);
        assert_int_equal(kc_pool_threads(p), 2);
        assert_int_equal(kc_pool_load(p), 5);
        assert_int_equal(kc_pool_submit(p, blocking_task, NULL), -EAGAIN);
        assert_int_equal(kc_pool_load(p), 5);
        let_go(5);
        kc_pool_free(p);
        assert_int_equal(done, 5);
}

static void test_no_queue(void **state)
{
        (void)state;
        struct kc_pool *p = kc_pool_new("pool", 1, 0);
        assert_int_equal(kc_pool_submit(p, blocking_task, NULL), 0);
        assert_int_equal(kc_pool_submit(p, blocking_task, NULL), -EAGAIN);
        let_go(1);
        kc_pool_free(p);
        assert_int_equal(done, 1);
}

static void test_free_runs_the_queue(void **state)
{
        (void)state;
        struct kc_pool *p = kc_pool_new("pool", 3, 1000);
        for (int i = 0; i < 1000; i++)
                assert_int_equal(kc_pool_submit(p, quick_task, NULL), 0);
        kc_pool_free(p);
        assert_int_equal(done, 1000);
        kc_pool_free(NULL);
}

static void test_idle_threads_end(void **state)
{
        (void)state;
        struct kc_pool *p = kc_pool_new("pool", 4, 10);
        kc_pool_set_idle(p, 1000);
        for (int round = 1; round <= 20; round++) {
                for (int i = 0; i < 4; i++)
                        assert_int_equal(kc_pool_submit(p, blocking_task, NULL), 0);
                wait_inside(4);
                assert_int_equal(kc_pool_threads(p), 4);
                let_go(4);
                kc_pool_wait_threads(p, 0);
                assert_int_equal(kc_pool_load(p), 0);
                assert_int_equal(done, 4 * round);
        }
        kc_pool_free(p);
}

/* Work that comes just when the only thread gives up waiting is not lost. */
static void test_submit_while_ending(void **state)
{
        (void)state;
        struct kc_pool *p = kc_pool_new("pool", 1, 1000);
        kc_pool_set_idle(p, 0);
        for (int i = 0; i < 500; i++)
                assert_int_equal(kc_pool_submit(p, quick_task, NULL), 0);
        kc_pool_wait_threads(p, 0);
        assert_int_equal(done, 500);
        kc_pool_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup(test_threads_and_queue_are_bounded, setup),
            cmocka_unit_test_setup(test_no_queue, setup),
            cmocka_unit_test_setup(test_free_runs_the_queue, setup),
            cmocka_unit_test_setup(test_idle_threads_end, setup),
            cmocka_unit_test_setup(test_submit_while_ending, setup),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

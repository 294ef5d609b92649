/* The work queue, the controller that drives it, expectations and the rate limiters. */
#include <stdatomic.h>

#include "client/ratelimit.h"
#include "client/workqueue.h"
#include "client_test_util.h"

static void assert_next(struct kc_workqueue *q, const char *key)
{
        char *got = kc_workqueue_try_get(q);
        if (key)
                assert_string_equal(got, key);
        else
                assert_null(got);
        kc_free(got);
}

static void test_a_key_is_in_the_queue_once(void **state)
{
        (void)state;
        KC_CLEANUP(kc_loop_freep) struct kc_loop *loop = new_loop();
        KC_CLEANUP(kc_workqueue_freep) struct kc_workqueue *q = kc_workqueue_new(loop, "q");
        kc_workqueue_add(q, "a");
        kc_workqueue_add(q, "b");
        kc_workqueue_add(q, "a");
        assert_int_equal(kc_workqueue_len(q), 2);
        assert_next(q, "a");
        assert_next(q, "b");
        assert_next(q, NULL);
}

static void test_a_key_added_while_worked_on_comes_again(void **state)
{
        (void)state;
        KC_CLEANUP(kc_loop_freep) struct kc_loop *loop = new_loop();
        KC_CLEANUP(kc_workqueue_freep) struct kc_workqueue *q = kc_workqueue_new(loop, "q");
        kc_workqueue_add(q, "a");
        assert_next(q, "a");
        kc_workqueue_add(q, "a");
        kc_workqueue_add(q, "a");
        assert_next(q, NULL);
        kc_workqueue_done(q, "a");
        assert_int_equal(kc_workqueue_len(q), 1);
        assert_next(q, "a");
        kc_workqueue_done(q, "a");
        assert_next(q, NULL);
}

static void test_nothing_comes_out_after_shutdown(void **state)
{
        (void)state;
        KC_CLEANUP(kc_loop_freep) struct kc_loop *loop = new_loop();
        KC_CLEANUP(kc_workqueue_freep) struct kc_workqueue *q = kc_workqueue_new(loop, "q");
        kc_workqueue_add(q, "a");
        kc_workqueue_shutdown(q);
        kc_workqueue_add(q, "b");
        kc_workqueue_add_after(q, "c", 1);
        assert_next(q, NULL);
}

/* The timer's post is still on the loop when the queue goes away. */
static void test_freed_with_a_delay_pending(void **state)
{
        (void)state;
        KC_CLEANUP(kc_loop_freep) struct kc_loop *loop = new_loop();
        struct kc_workqueue *q = kc_workqueue_new(loop, "q");
        kc_workqueue_add_after(q, "a", KC_SEC);
        kc_workqueue_add_rate_limited(q, "b");
        kc_workqueue_free(q);
}

static void on_ready(void *arg)
{
        sem_post(arg);
}

static void test_delayed_keys_come_in_the_order_of_their_times(void **state)
{
        (void)state;
        struct kc_loop *loop = new_loop();
        sem_t ready;
        sem_init(&ready, 0, 0);
        struct kc_workqueue *q = kc_workqueue_new(loop, "q");
        kc_workqueue_on_ready(q, on_ready, &ready);
        loop_up(loop);
        kc_workqueue_add_after(q, "late", 20 * KC_MSEC);
        kc_workqueue_add_after(q, "early", 3600 * KC_SEC);
        kc_workqueue_add_after(q, "early", 1 * KC_MSEC);  /* the earlier time wins */
        kc_workqueue_add_after(q, "late", 3600 * KC_SEC); /* the later one does not */
        gate_wait(&ready);
        assert_next(q, "early");
        gate_wait(&ready);
        assert_next(q, "late");
        loop_down(loop);
        kc_workqueue_free(q);
        kc_loop_free(loop);
        sem_destroy(&ready);
}

static void test_failures_are_counted_until_forgotten(void **state)
{
        (void)state;
        struct kc_loop *loop = new_loop();
        sem_t ready;
        sem_init(&ready, 0, 0);
        struct kc_workqueue *q = kc_workqueue_new(loop, "q");
        kc_workqueue_on_ready(q, on_ready, &ready);
        loop_up(loop);
        assert_int_equal(kc_workqueue_retries(q, "a"), 0);
        for (int i = 1; i <= 3; i++) {
                kc_workqueue_add_rate_limited(q, "a");
                assert_int_equal(kc_workqueue_retries(q, "a"), i);
                gate_wait(&ready);
                assert_next(q, "a");
                kc_workqueue_done(q, "a");
        }
        kc_workqueue_forget(q, "a");
        assert_int_equal(kc_workqueue_retries(q, "a"), 0);
        loop_down(loop);
        kc_workqueue_free(q);
        kc_loop_free(loop);
        sem_destroy(&ready);
}

static void test_backoff_is_exponential(void **state)
{
        (void)state;
        assert_int_equal(kc_backoff_exponential(5 * KC_MSEC, 1000 * KC_SEC, 0), 5 * KC_MSEC);
        assert_int_equal(kc_backoff_exponential(5 * KC_MSEC, 1000 * KC_SEC, 1), 10 * KC_MSEC);
        assert_int_equal(kc_backoff_exponential(5 * KC_MSEC, 1000 * KC_SEC, 10), 5120 * KC_MSEC);
        assert_int_equal(kc_backoff_exponential(5 * KC_MSEC, 1000 * KC_SEC, 18), 1000 * KC_SEC);
        assert_int_equal(kc_backoff_exponential(5 * KC_MSEC, 1000 * KC_SEC, 1000000), 1000 * KC_SEC);
}

static void test_bucket(void **state)
{
        (void)state;
        struct kc_bucket b;
        kc_bucket_init(&b, 10, 2, 0);
        assert_int_equal(kc_bucket_reserve(&b, 0), 0);
        assert_int_equal(kc_bucket_reserve(&b, 0), 0);
        assert_int_equal(kc_bucket_reserve(&b, 0), 100 * KC_MSEC);
        assert_int_equal(kc_bucket_reserve(&b, 0), 200 * KC_MSEC);
        assert_false(kc_bucket_try(&b, 200 * KC_MSEC));
        assert_true(kc_bucket_try(&b, 300 * KC_MSEC));
        /* Never more than the burst. */
        assert_true(kc_bucket_try(&b, 3600 * KC_SEC));
        assert_true(kc_bucket_try(&b, 3600 * KC_SEC));
        assert_false(kc_bucket_try(&b, 3600 * KC_SEC));
}

/* --- the controller */

struct fixture {
        atomic_int calls, running, most, failures_left;
        atomic_int of_key[4];
        sem_t synced, hold;
        bool held;
};

static int sync_key(void *arg, const char *key, struct kc_error *err)
{
        struct fixture *f = arg;
        int now = atomic_fetch_add(&f->running, 1) + 1;
        int most = atomic_load(&f->most);
        while (now > most && !atomic_compare_exchange_weak(&f->most, &most, now))
                ;
        if (f->held)
                gate_wait(&f->hold);
        int index = key[0] - 'a';
        assert_int_equal(atomic_fetch_add(&f->of_key[index], 1), 0); /* no key twice at a time */
        atomic_fetch_sub(&f->of_key[index], 1);
        atomic_fetch_sub(&f->running, 1);
        atomic_fetch_add(&f->calls, 1);
        int r = 0;
        if (atomic_load(&f->failures_left) > 0) {
                atomic_fetch_sub(&f->failures_left, 1);
                r = kc_error_set(err, EIO, "the disk is on fire");
        }
        sem_post(&f->synced);
        return r;
}

static void fixture_init(struct fixture *f)
{
        *f = (struct fixture){0};
        sem_init(&f->synced, 0, 0);
        sem_init(&f->hold, 0, 0);
}

static void fixture_done(struct fixture *f)
{
        sem_destroy(&f->synced);
        sem_destroy(&f->hold);
}

static void test_controller_retries_what_fails(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        f.failures_left = 3;
        struct kc_loop *loop = new_loop();
        struct kc_pool *pool = kc_pool_new("work", 2, 100);
        struct kc_controller *c = kc_controller_new(loop, pool, "test", 2, sync_key, &f);
        kc_workqueue_add(kc_controller_queue(c), "a");
        assert_int_equal(f.calls, 0); /* waits for the start */
        kc_controller_start(c);
        loop_up(loop);
        for (int i = 0; i < 4; i++)
                gate_wait(&f.synced);
        kc_controller_stop(c);
        loop_down(loop);
        kc_pool_free(pool);
        assert_int_equal(f.calls, 4);
        assert_int_equal(kc_workqueue_retries(kc_controller_queue(c), "a"), 0);
        kc_controller_free(c);
        kc_loop_free(loop);
        fixture_done(&f);
}

static void test_controller_keeps_to_its_workers(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        f.held = true;
        struct kc_loop *loop = new_loop();
        struct kc_pool *pool = kc_pool_new("work", 8, 100);
        struct kc_controller *c = kc_controller_new(loop, pool, "test", 2, sync_key, &f);
        kc_controller_start(c);
        loop_up(loop);
        for (const char *const *k = (const char *const[]){"a", "b", "c", "d", NULL}; *k; k++)
                kc_workqueue_add(kc_controller_queue(c), *k);
        for (int i = 0; i < 4; i++)
                sem_post(&f.hold);
        for (int i = 0; i < 4; i++)
                gate_wait(&f.synced);
        kc_controller_stop(c);
        loop_down(loop);
        kc_pool_free(pool);
        kc_controller_free(c);
        kc_loop_free(loop);
        assert_int_equal(f.calls, 4);
        assert_true(f.most <= 2);
        fixture_done(&f);
}

struct blocker {
        sem_t started, go;
};

static void block(void *arg)
{
        struct blocker *b = arg;
        sem_post(&b->started);
        gate_wait(&b->go);
}

/* The pool has no room at the moment the key comes; nothing else would start the controller again. */
static void test_controller_survives_a_full_pool(void **state)
{
        (void)state;
        struct fixture f;
        fixture_init(&f);
        struct blocker b;
        sem_init(&b.started, 0, 0);
        sem_init(&b.go, 0, 0);
        struct kc_loop *loop = new_loop();
        struct kc_pool *pool = kc_pool_new("work", 1, 1);
        assert_int_equal(kc_pool_submit(pool, block, &b), 0);
        gate_wait(&b.started);
        assert_int_equal(kc_pool_submit(pool, block, &b), 0);
        struct kc_controller *c = kc_controller_new(loop, pool, "test", 2, sync_key, &f);
        kc_controller_start(c);
        loop_up(loop);
        kc_workqueue_add(kc_controller_queue(c), "a");
        sem_post(&b.go);
        sem_post(&b.go);
        gate_wait(&f.synced);
        kc_controller_stop(c);
        loop_down(loop);
        kc_pool_free(pool);
        kc_controller_free(c);
        kc_loop_free(loop);
        sem_destroy(&b.started);
        sem_destroy(&b.go);
        fixture_done(&f);
}

/* --- expectations */

static void test_expectations(void **state)
{
        (void)state;
        struct kc_fake_clock clock;
        kc_fake_clock_init(&clock, 1000 * KC_SEC);
        KC_CLEANUP(kc_expectations_freep) struct kc_expectations *e = kc_expectations_new(&clock.clock);
        assert_true(kc_expectations_satisfied(e, "ns/rs"));
        kc_expectations_expect_creations(e, "ns/rs", 2);
        assert_false(kc_expectations_satisfied(e, "ns/rs"));
        assert_true(kc_expectations_satisfied(e, "ns/other"));
        kc_expectations_creation_observed(e, "ns/rs");
        assert_false(kc_expectations_satisfied(e, "ns/rs"));
        kc_expectations_creation_observed(e, "ns/rs");
        assert_true(kc_expectations_satisfied(e, "ns/rs"));
        kc_expectations_creation_observed(e, "ns/rs"); /* of someone else's making */
        kc_expectations_expect_creations(e, "ns/rs", 1);
        assert_false(kc_expectations_satisfied(e, "ns/rs"));
        kc_expectations_delete(e, "ns/rs");
        assert_true(kc_expectations_satisfied(e, "ns/rs"));
}

static void test_expected_deletions_are_told_apart(void **state)
{
        (void)state;
        struct kc_fake_clock clock;
        kc_fake_clock_init(&clock, 1000 * KC_SEC);
        KC_CLEANUP(kc_expectations_freep) struct kc_expectations *e = kc_expectations_new(&clock.clock);
        char *uids[] = {(char *)"u1", (char *)"u2", NULL};
        kc_expectations_expect_creations(e, "ds", 1);
        kc_expectations_expect_deletions(e, "ds", uids); /* both kinds at a time, as DaemonSets need */
        kc_expectations_deletion_observed(e, "ds", "u1");
        kc_expectations_deletion_observed(e, "ds", "u1"); /* seen twice, counted once */
        kc_expectations_creation_observed(e, "ds");
        assert_false(kc_expectations_satisfied(e, "ds"));
        kc_expectations_deletion_observed(e, "ds", "u2");
        assert_true(kc_expectations_satisfied(e, "ds"));
}

static void test_expectations_expire(void **state)
{
        (void)state;
        struct kc_fake_clock clock;
        kc_fake_clock_init(&clock, 1000 * KC_SEC);
        KC_CLEANUP(kc_expectations_freep) struct kc_expectations *e = kc_expectations_new(&clock.clock);
        kc_expectations_expect_creations(e, "rs", 5);
        kc_fake_clock_advance(&clock, 300 * KC_SEC);
        assert_false(kc_expectations_satisfied(e, "rs"));
        kc_fake_clock_advance(&clock, 1 * KC_SEC);
        assert_true(kc_expectations_satisfied(e, "rs"));
        /* What has expired is not added to. */
        kc_expectations_expect_creations(e, "rs", 1);
        kc_expectations_creation_observed(e, "rs");
        assert_true(kc_expectations_satisfied(e, "rs"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_key_is_in_the_queue_once),
            cmocka_unit_test(test_a_key_added_while_worked_on_comes_again),
            cmocka_unit_test(test_nothing_comes_out_after_shutdown),
            cmocka_unit_test(test_freed_with_a_delay_pending),
            cmocka_unit_test(test_delayed_keys_come_in_the_order_of_their_times),
            cmocka_unit_test(test_failures_are_counted_until_forgotten),
            cmocka_unit_test(test_backoff_is_exponential),
            cmocka_unit_test(test_bucket),
            cmocka_unit_test(test_controller_retries_what_fails),
            cmocka_unit_test(test_controller_keeps_to_its_workers),
            cmocka_unit_test(test_controller_survives_a_full_pool),
            cmocka_unit_test(test_expectations),
            cmocka_unit_test(test_expected_deletions_are_told_apart),
            cmocka_unit_test(test_expectations_expire),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

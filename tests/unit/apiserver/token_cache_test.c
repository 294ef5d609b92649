/* The memory of tokens: how long, how many, and each token once at a time. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/authn_internal.h"
#include "base/str.h"

struct inner {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        int calls;
        bool wait, go; /* guarded by lock, as calls */
        int result;
};

static int inner_authenticate(void *self, const struct authn_token *t, struct authn_found *ret, struct kc_error *err)
{
        struct inner *in = self;
        pthread_mutex_lock(&in->lock);
        in->calls++;
        pthread_cond_broadcast(&in->changed);
        while (in->wait && !in->go)
                pthread_cond_wait(&in->changed, &in->lock);
        int r = in->result;
        pthread_mutex_unlock(&in->lock);
        if (r < 0)
                return r == -EWOULDBLOCK ? r : kc_error_set(err, -r, "no");
        if (r == 1) {
                ret->user = kc_user_new(t->text, NULL, NULL);
                kc_strv_push(&ret->warnings, "careful");
        }
        return r;
}

static void inner_free(void *self)
{
        (void)self; /* the test's */
}

struct state {
        struct kc_fake_clock clock;
        struct inner in;
        struct authn_method cache;
};

static int setup(void **state)
{
        struct state *s = KC_NEW(struct state);
        kc_fake_clock_init(&s->clock, 1000 * KC_SEC);
        pthread_mutex_init(&s->in.lock, NULL);
        pthread_cond_init(&s->in.changed, NULL);
        s->in.result = 1;
        authn_metrics_init();
        const struct authn_cache_opts o = {.inner = {inner_authenticate, inner_free, &s->in},
            .clock = &s->clock.clock,
            .success_ttl = 10 * KC_SEC,
            .failure_ttl = 5 * KC_SEC,
            .max_entries = 4};
        authn_cached_new(&o, &s->cache);
        *state = s;
        return 0;
}

static int teardown(void **state)
{
        struct state *s = *state;
        s->cache.free(s->cache.self);
        pthread_cond_destroy(&s->in.changed);
        pthread_mutex_destroy(&s->in.lock);
        kc_free(s);
        return 0;
}

static int ask(struct state *s, const char *text, char *const *audiences)
{
        const struct authn_token t = {.text = text, .audiences = audiences, .may_block = true};
        struct authn_found found = {0};
        int r = s->cache.authenticate(s->cache.self, &t, &found, NULL);
        if (r == 1) {
                assert_string_equal(found.user->name, text);
                assert_string_equal(found.warnings[0], "careful");
                assert_null(found.warnings[1]);
        }
        authn_found_done(&found);
        return r;
}

static void results_last_for_a_while(void **state)
{
        struct state *s = *state;
        char *vault[] = {(char *)"vault", NULL};
        assert_int_equal(ask(s, "a", NULL), 1);
        assert_int_equal(ask(s, "a", NULL), 1);
        assert_int_equal(s->in.calls, 1);
        assert_int_equal(ask(s, "a", vault), 1); /* for others it is another question */
        assert_int_equal(s->in.calls, 2);
        kc_fake_clock_advance(&s->clock, 10 * KC_SEC);
        assert_int_equal(ask(s, "a", NULL), 1);
        assert_int_equal(s->in.calls, 3);
        s->in.result = 0;
        assert_int_equal(ask(s, "b", NULL), 0);
        kc_fake_clock_advance(&s->clock, 5 * KC_SEC - 1);
        assert_int_equal(ask(s, "b", NULL), 0);
        assert_int_equal(s->in.calls, 4);
        kc_fake_clock_advance(&s->clock, 1);
        assert_int_equal(ask(s, "b", NULL), 0);
        assert_int_equal(s->in.calls, 5);
        /* Errors, and what would have to wait, are not results. */
        static const int again[] = {-EIO, -EWOULDBLOCK};
        for (size_t i = 0; i < KC_ARRAY_LEN(again); i++) {
                s->in.result = again[i];
                s->in.calls = 0;
                assert_int_equal(ask(s, "c", NULL), again[i]);
                assert_int_equal(ask(s, "c", NULL), again[i]);
                assert_int_equal(s->in.calls, 2);
        }
}

static void old_ones_make_room(void **state)
{
        struct state *s = *state;
        static const char *const tokens[] = {"a", "b", "c", "d"};
        for (size_t i = 0; i < KC_ARRAY_LEN(tokens); i++)
                assert_int_equal(ask(s, tokens[i], NULL), 1);
        assert_int_equal(ask(s, "a", NULL), 1); /* used last */
        assert_int_equal(ask(s, "e", NULL), 1); /* in place of b */
        assert_int_equal(s->in.calls, 5);
        assert_int_equal(ask(s, "a", NULL), 1);
        assert_int_equal(s->in.calls, 5);
        assert_int_equal(ask(s, "b", NULL), 1);
        assert_int_equal(s->in.calls, 6);
        for (int i = 0; i < 1000; i++) {
                char text[16];
                (void)snprintf(text, sizeof(text), "x%d", i);
                assert_int_equal(ask(s, text, NULL), 1);
        }
        assert_int_equal(ask(s, "x999", NULL), 1);
        assert_int_equal(s->in.calls, 1006);
}

static void *ask_a(void *arg)
{
        assert_int_equal(ask(arg, "a", NULL), 1);
        return NULL;
}

static void one_asks_for_all(void **state)
{
        struct state *s = *state;
        pthread_t threads[8];
        s->in.wait = true;
        for (size_t i = 0; i < KC_ARRAY_LEN(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, ask_a, s), 0);
        pthread_mutex_lock(&s->in.lock);
        while (s->in.calls == 0)
                pthread_cond_wait(&s->in.changed, &s->in.lock);
        s->in.go = true;
        pthread_cond_broadcast(&s->in.changed);
        pthread_mutex_unlock(&s->in.lock);
        for (size_t i = 0; i < KC_ARRAY_LEN(threads); i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(s->in.calls, 1);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
        const struct CMUnitTest tests[] = {
            TEST(results_last_for_a_while), TEST(old_ones_make_room), TEST(one_asks_for_all)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}

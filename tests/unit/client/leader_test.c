/* Leader election: what is written to the Lease, who wins, what happens when the server goes away. */
#include <stdatomic.h>

#include "base/clock.h"
#include "client/leader.h"
#include "fake_api.h"

#define LEASE "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
#define NOT_FOUND "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"x\",\"reason\":\"NotFound\",\"code\":404}"
#define CONFLICT "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"x\",\"reason\":\"Conflict\",\"code\":409}"
#define RECORD(rv, holder, seconds, renewed)                                                                           \
        "{\"kind\":\"Lease\",\"apiVersion\":\"coordination.k8s.io/v1\",\"metadata\":{\"name\":\"kube-x\","             \
        "\"namespace\":\"kube-system\",\"resourceVersion\":\"" rv "\"},\"spec\":{\"holderIdentity\":\"" holder         \
        "\",\"leaseDurationSeconds\":" seconds                                                                         \
        ",\"acquireTime\":\"2026-01-01T00:00:00.000000Z\",\"renewTime\":\"" renewed "\",\"leaseTransitions\":3}}"

struct world {
        struct fake_api *api;
        struct kc_loop *loop;
        struct kc_rest *rest;
        struct kc_pool *pool;
        struct kc_leader *leader;
        sem_t started, stopped, heard;
        char *leaders[8]; /* in the order of their being heard of */
        size_t n_leaders;
};

static void on_started(void *arg)
{
        sem_post(&((struct world *)arg)->started);
}

static void on_stopped(void *arg)
{
        sem_post(&((struct world *)arg)->stopped);
}

static void on_new(const char *identity, void *arg)
{
        struct world *w = arg;
        w->leaders[w->n_leaders++] = kc_strdup(identity);
        sem_post(&w->heard);
}

static void world_init(struct world *w, int duration_ms, int deadline_ms, int retry_ms)
{
        *w = (struct world){0};
        sem_init(&w->started, 0, 0);
        sem_init(&w->stopped, 0, 0);
        sem_init(&w->heard, 0, 0);
        w->api = fake_api_new();
        w->loop = new_loop();
        w->rest = fake_client(w->api, w->loop, NULL, NULL);
        w->pool = kc_pool_new("work", 2, 10);
        struct kc_leader_opts o = {.lease_namespace = "kube-system",
            .lease_name = "kube-x",
            .identity = "me",
            .lease_duration_ms = duration_ms,
            .renew_deadline_ms = deadline_ms,
            .retry_period_ms = retry_ms,
            .on_started_leading = on_started,
            .on_stopped_leading = on_stopped,
            .on_new_leader = on_new,
            .arg = w};
        assert_int_equal(kc_leader_new(w->rest, w->pool, &o, &w->leader, NULL), 0);
}

static void world_start(struct world *w)
{
        kc_leader_start(w->leader);
        loop_up(w->loop);
}

static void world_done(struct world *w)
{
        loop_down(w->loop);
        kc_rest_close(w->rest);
        kc_pool_free(w->pool);
        kc_leader_free(w->leader);
        kc_rest_free(w->rest);
        kc_loop_free(w->loop);
        fake_api_free(w->api);
        for (size_t i = 0; i < w->n_leaders; i++)
                kc_free(w->leaders[i]);
        sem_destroy(&w->started);
        sem_destroy(&w->stopped);
        sem_destroy(&w->heard);
}

static void expect(struct world *w, const char *method, int code, const char *body)
{
        fake_expect(w->api, (struct fake_step){.method = method, .match = LEASE, .code = code, .body = body});
}

/* The Lease of the i-th request's body. */
static struct json_object *sent(struct world *w, size_t i, const char *request)
{
        KC_CLEANUP(kc_freep) char *got = fake_request(w->api, i);
        assert_string_equal(got, request);
        KC_CLEANUP(kc_freep) char *body = fake_body(w->api, i);
        struct json_object *lease = NULL;
        assert_int_equal(kc_json_parse(body, strlen(body), NULL, &lease, NULL), 0);
        return lease;
}

static void test_the_first_one_creates_the_lease(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, 0, 0, 0);
        expect(&w, "GET", 404, NOT_FOUND);
        expect(&w, "POST", 201, RECORD("1", "me", "15", "2026-01-01T00:00:00.000000Z"));
        assert_false(kc_leader_is_leader(w.leader));
        world_start(&w);
        gate_wait(&w.started);
        assert_true(kc_leader_is_leader(w.leader));
        KC_CLEANUP(kc_json_freep) struct json_object *lease = sent(&w, 1, "POST " LEASE);
        assert_string_equal(kc_json_str_at(lease, "metadata.name"), "kube-x");
        assert_string_equal(kc_json_str_at(lease, "metadata.namespace"), "kube-system");
        const struct json_object *spec = kc_json_get(lease, "spec");
        assert_string_equal(kc_json_str(spec, "holderIdentity"), "me");
        assert_int_equal(kc_json_int(spec, "leaseDurationSeconds", 0), 15);
        assert_int_equal(kc_json_int(spec, "leaseTransitions", -1), 0);
        assert_int_equal(strlen(kc_json_str(spec, "acquireTime")), strlen("2026-01-01T00:00:00.000000Z"));
        assert_string_equal(kc_json_str(spec, "acquireTime"), kc_json_str(spec, "renewTime"));
        gate_wait(&w.heard);
        assert_string_equal(w.leaders[0], "me");
        world_done(&w);
}

static void test_renewing_is_one_update_on_the_last_version(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, 2000, 1500, 10);
        expect(&w, "GET", 404, NOT_FOUND);
        expect(&w, "POST", 201, RECORD("7", "me", "2", "2026-01-01T00:00:00.000000Z"));
        expect(&w, "PUT", 200, RECORD("8", "me", "2", "2026-01-01T00:00:01.000000Z"));
        world_start(&w);
        KC_CLEANUP(kc_json_freep) struct json_object *lease = sent(&w, 2, "PUT " LEASE "/kube-x");
        assert_string_equal(kc_json_str_at(lease, "metadata.resourceVersion"), "7");
        assert_string_equal(kc_json_str_at(lease, "spec.acquireTime"), "2026-01-01T00:00:00.000000Z");
        assert_int_equal(kc_json_int_at(lease, "spec.leaseTransitions", 0), 3);
        world_done(&w);
}

static void test_another_holder_is_waited_for_and_then_followed(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, 2000, 1500, 20);
        /* Renewed once; then silent for its whole second, however old its renewTime is by our clock. */
        expect(&w, "GET", 200, RECORD("1", "other", "1", "2026-01-01T00:00:00.000000Z"));
        for (int i = 0; i < 60; i++)
                expect(&w, "GET", 200, RECORD("2", "other", "1", "2026-01-01T00:00:01.000000Z"));
        expect(&w, "PUT", 200, RECORD("3", "me", "2", "2026-01-01T00:00:03.000000Z"));
        kc_mono begin = kc_clock_mono(NULL);
        world_start(&w);
        gate_wait(&w.heard);
        assert_string_equal(w.leaders[0], "other");
        gate_wait(&w.started);
        assert_true(kc_clock_mono(NULL) - begin >= KC_SEC);
        size_t n = 0;
        KC_CLEANUP(kc_freep) char *request = NULL;
        do {
                kc_free(request);
                request = fake_request(w.api, n++);
        } while (!kc_str_has_prefix(request, "PUT"));
        KC_CLEANUP(kc_json_freep) struct json_object *lease = sent(&w, n - 1, "PUT " LEASE "/kube-x");
        assert_string_equal(kc_json_str_at(lease, "metadata.resourceVersion"), "2");
        assert_string_equal(kc_json_str_at(lease, "spec.holderIdentity"), "me");
        assert_int_equal(kc_json_int_at(lease, "spec.leaseTransitions", 0), 4);
        gate_wait(&w.heard);
        assert_string_equal(w.leaders[1], "me");
        world_done(&w);
}

static void test_a_released_lease_is_taken_at_once(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, 0, 0, 0);
        expect(&w, "GET", 200, RECORD("5", "", "1", "2026-01-01T00:00:00.000000Z"));
        expect(&w, "PUT", 200, RECORD("6", "me", "15", "2026-01-01T00:00:01.000000Z"));
        world_start(&w);
        gate_wait(&w.started);
        world_done(&w);
}

static void test_losing_a_race_is_no_leadership(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, 2000, 1500, 10);
        expect(&w, "GET", 200, RECORD("5", "", "1", "2026-01-01T00:00:00.000000Z"));
        expect(&w, "PUT", 409, CONFLICT);
        expect(&w, "GET", 200, RECORD("6", "other", "100", "2026-01-01T00:00:00.000000Z"));
        world_start(&w);
        gate_wait(&w.heard);
        assert_string_equal(w.leaders[0], "other");
        assert_false(kc_leader_is_leader(w.leader));
        world_done(&w);
}

/* The server takes the update and never answers: leadership ends at the deadline all the same. */
static void test_no_renewal_ends_leadership_at_the_deadline(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, 1000, 100, 10);
        expect(&w, "GET", 404, NOT_FOUND);
        expect(&w, "POST", 201, RECORD("7", "me", "1", "2026-01-01T00:00:00.000000Z"));
        world_start(&w);
        gate_wait(&w.started);
        gate_wait(&w.stopped);
        assert_false(kc_leader_is_leader(w.leader));
        world_done(&w);
}

static void test_releasing(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, 0, 0, 0);
        expect(&w, "GET", 404, NOT_FOUND);
        expect(&w, "POST", 201, RECORD("1", "me", "15", "2026-01-01T00:00:00.000000Z"));
        world_start(&w);
        gate_wait(&w.started);
        expect(&w, "GET", 200, RECORD("1", "me", "15", "2026-01-01T00:00:00.000000Z"));
        expect(&w, "PUT", 409, CONFLICT);
        expect(&w, "GET", 200, RECORD("2", "me", "15", "2026-01-01T00:00:00.000000Z"));
        expect(&w, "PUT", 200, RECORD("3", "", "1", "2026-01-01T00:00:00.000000Z"));
        kc_leader_release(w.leader);
        KC_CLEANUP(kc_json_freep) struct json_object *lease = sent(&w, 5, "PUT " LEASE "/kube-x");
        assert_string_equal(kc_json_str_at(lease, "metadata.resourceVersion"), "2");
        assert_string_equal(kc_json_str_at(lease, "spec.holderIdentity"), "");
        assert_int_equal(kc_json_int_at(lease, "spec.leaseDurationSeconds", 0), 1);
        assert_int_equal(kc_json_int_at(lease, "spec.leaseTransitions", 0), 3);
        assert_false(kc_leader_is_leader(w.leader));
        world_done(&w);
}

static void test_settings_are_checked(void **state)
{
        (void)state;
        struct world w;
        world_init(&w, 0, 0, 0);
        struct kc_leader_opts o = {.lease_namespace = "a", .lease_name = "b", .lease_duration_ms = 10000};
        struct kc_leader *l = NULL;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_leader_new(w.rest, w.pool, &o, &l, &err), -EINVAL);
        assert_error(&err, "leaseDuration must be greater than renewDeadline");
        o = (struct kc_leader_opts){.lease_namespace = "a", .lease_name = "b", .retry_period_ms = 9000};
        assert_int_equal(kc_leader_new(w.rest, w.pool, &o, &l, &err), -EINVAL);
        assert_error(&err, "renewDeadline must be greater than retryPeriod*JitterFactor");
        kc_error_done(&err);
        loop_up(w.loop);
        world_done(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_first_one_creates_the_lease),
            cmocka_unit_test(test_renewing_is_one_update_on_the_last_version),
            cmocka_unit_test(test_another_holder_is_waited_for_and_then_followed),
            cmocka_unit_test(test_a_released_lease_is_taken_at_once),
            cmocka_unit_test(test_losing_a_race_is_no_leadership),
            cmocka_unit_test(test_no_renewal_ends_leadership_at_the_deadline),
            cmocka_unit_test(test_releasing),
            cmocka_unit_test(test_settings_are_checked),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

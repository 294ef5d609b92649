/* The metrics' text format, label limits, and concurrent updates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>

#include "base/str.h"
#include "client/workqueue.h"
#include "daemon/metrics.h"
#include "daemon/metrics_internal.h"

static char *scrape(void)
{
        struct kc_buf out = KC_BUF_INIT;
        kc_metrics_write(&out);
        return kc_buf_take_str(&out);
}

static void assert_shows(const char *text)
{
        KC_CLEANUP(kc_freep) char *all = scrape();
        if (!strstr(all, text))
                fail_msg("not in the metrics:\n%s\n--- but:\n%s", text, all);
}

static void test_counters_and_gauges(void **state)
{
        (void)state;
        struct kc_metric *c =
            kc_metric_counter("test_requests_total", "Requests \\ and\nmore.", KC_LABELS("code", "verb"));
        kc_metric_add(c, 1, KC_LABELS("200", "GET"));
        kc_metric_add(c, 2, KC_LABELS("200", "GET"));
        kc_metric_add(c, 1, KC_LABELS("500", "a\"b\\c\nd"));
        assert_ptr_equal(kc_metric_counter("test_requests_total", "again", NULL), c);
        assert_shows("# HELP test_requests_total Requests \\\\ and\\nmore.\n"
                     "# TYPE test_requests_total counter\n"
                     "test_requests_total{code=\"200\",verb=\"GET\"} 3\n"
                     "test_requests_total{code=\"500\",verb=\"a\\\"b\\\\c\\nd\"} 1\n");
        struct kc_metric *g = kc_metric_gauge("test_depth", "Depth.", NULL);
        kc_metric_set(g, 1.5, NULL);
        kc_metric_add(g, -3, NULL);
        assert_shows("# HELP test_depth Depth.\n# TYPE test_depth gauge\ntest_depth -1.5\n");
}

static void test_histograms(void **state)
{
        (void)state;
        const double buckets[] = {0.005, 0.1, 1};
        struct kc_metric *h =
            kc_metric_histogram("test_seconds", "Seconds.", KC_LABELS("verb"), buckets, KC_ARRAY_LEN(buckets));
        kc_metric_observe(h, 0.005, KC_LABELS("GET")); /* a bound belongs to its bucket */
        kc_metric_observe(h, 0.05, KC_LABELS("GET"));
        kc_metric_observe(h, 7, KC_LABELS("GET"));
        assert_shows("# HELP test_seconds Seconds.\n"
                     "# TYPE test_seconds histogram\n"
                     "test_seconds_bucket{verb=\"GET\",le=\"0.005\"} 1\n"
                     "test_seconds_bucket{verb=\"GET\",le=\"0.1\"} 2\n"
                     "test_seconds_bucket{verb=\"GET\",le=\"1\"} 2\n"
                     "test_seconds_bucket{verb=\"GET\",le=\"+Inf\"} 3\n"
                     "test_seconds_sum{verb=\"GET\"} 7.055\n"
                     "test_seconds_count{verb=\"GET\"} 3\n");
}

static void test_numbers(void **state)
{
        (void)state;
        static const struct {
                double v;
                const char *text;
        } cases[] = {{0, "0"}, {1, "1"}, {-1.5, "-1.5"}, {0.1, "0.1"}, {0.0001, "0.0001"}, {0.00001, "1e-05"},
            {123456, "123456"}, {1000000, "1e+06"}, {45056000, "4.5056e+07"}, {1.69957358741e9, "1.69957358741e+09"},
            {1e300, "1e+300"}, {100000.5, "100000.5"}, {INFINITY, "+Inf"}, {-INFINITY, "-Inf"}, {NAN, "NaN"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                char buf[KC_METRIC_NUMBER_LEN];
                assert_string_equal(kc_metric_format(cases[i].v, buf), cases[i].text);
        }
}

static void test_too_many_label_sets_go_to_other(void **state)
{
        (void)state;
        struct kc_metric *c = kc_metric_counter("test_wide_total", "Wide.", KC_LABELS("path"));
        for (int i = 0; i < KC_METRIC_MAX_SERIES + 50; i++) {
                KC_CLEANUP(kc_freep) char *path = kc_asprintf("/%d", i);
                kc_metric_add(c, 1, KC_LABELS(path));
        }
        assert_shows("test_wide_total{path=\"other\"} 50\n");
        assert_shows("test_wide_total{path=\"/1999\"} 1\n");
        /* What is there already goes on to count by itself. */
        kc_metric_add(c, 1, KC_LABELS("/7"));
        assert_shows("test_wide_total{path=\"/7\"} 2\n");
}

static void test_long_label_values(void **state)
{
        (void)state;
        char longer[1000];
        memset(longer, 'x', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        struct kc_metric *c = kc_metric_counter("test_long_total", "Long.", KC_LABELS("a", "b"));
        kc_metric_add(c, 1, KC_LABELS(longer, "1"));
        kc_metric_add(c, 1, KC_LABELS(longer, "2"));
        kc_metric_add(c, 1, KC_LABELS(longer, "2"));
        KC_CLEANUP(kc_freep) char *line = kc_asprintf("test_long_total{a=\"%s\",b=\"2\"} 2\n", longer);
        assert_shows(line);
}

static double answer(void *arg)
{
        return *(const double *)arg;
}

static void test_callbacks(void **state)
{
        (void)state;
        static double value = 42;
        kc_metric_callback("test_asked", "Asked.", "gauge", answer, &value);
        assert_shows("# HELP test_asked Asked.\n# TYPE test_asked gauge\ntest_asked 42\n");
        value = 43;
        assert_shows("\ntest_asked 43\n");
}

enum { THREADS = 4, ROUNDS = 5000 };

static void *count(void *arg)
{
        struct kc_metric *c = arg;
        for (int i = 0; i < ROUNDS; i++)
                kc_metric_add(c, 1, KC_LABELS(i % 2 ? "odd" : "even"));
        return NULL;
}

static void test_threads(void **state)
{
        (void)state;
        struct kc_metric *c = kc_metric_counter("test_threads_total", "Threads.", KC_LABELS("n"));
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, count, c), 0);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_shows("test_threads_total{n=\"even\"} 10000\ntest_threads_total{n=\"odd\"} 10000\n");
}

static void test_the_process(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *all = scrape();
        for (const char *const *name = (const char *const[]){"process_cpu_seconds_total", "process_max_fds",
                 "process_open_fds", "process_resident_memory_bytes", "process_start_time_seconds",
                 "process_virtual_memory_bytes", "process_virtual_memory_max_bytes", NULL};
             *name; name++) {
                KC_CLEANUP(kc_freep) char *line = kc_asprintf("\n%s ", *name);
                const char *at = strstr(all, line);
                assert_non_null(at);
                assert_true(strtod(at + strlen(line), NULL) >= 0);
        }
        /* Started within the last hour. */
        const char *start = strstr(all, "\nprocess_start_time_seconds ") + strlen("\nprocess_start_time_seconds ");
        double now = (double)kc_clock_now(NULL) / (double)KC_SEC;
        assert_true(strtod(start, NULL) > now - 3600 && strtod(start, NULL) < now + 5);
}

static void test_work_queues(void **state)
{
        (void)state;
        kc_metrics_init_client();
        KC_CLEANUP(kc_loop_freep) struct kc_loop *loop = NULL;
        assert_int_equal(kc_loop_new("test", &loop, NULL), 0);
        KC_CLEANUP(kc_workqueue_freep) struct kc_workqueue *q = kc_workqueue_new(loop, "pods");
        kc_workqueue_add(q, "a");
        kc_workqueue_add(q, "b");
        kc_workqueue_add(q, "b");
        kc_workqueue_add_after(q, "c", KC_SEC);
        assert_shows("\nworkqueue_depth{name=\"pods\"} 2\n");
        assert_shows("\nworkqueue_adds_total{name=\"pods\"} 2\n");
        assert_shows("\nworkqueue_retries_total{name=\"pods\"} 1\n");
        assert_shows("\nworkqueue_unfinished_work_seconds{name=\"pods\"} 0\n");
        KC_CLEANUP(kc_freep) char *key = kc_workqueue_try_get(q);
        kc_workqueue_done(q, key);
        assert_shows("\nworkqueue_depth{name=\"pods\"} 1\n");
        assert_shows("\nworkqueue_queue_duration_seconds_count{name=\"pods\"} 1\n");
        assert_shows("\nworkqueue_work_duration_seconds_count{name=\"pods\"} 1\n");
        assert_shows("\nkubernetes_build_info{build_date=\"");
        assert_shows("git_version=\"v1.36.2+kubec.");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_counters_and_gauges),
            cmocka_unit_test(test_histograms),
            cmocka_unit_test(test_numbers),
            cmocka_unit_test(test_too_many_label_sets_go_to_other),
            cmocka_unit_test(test_long_label_values),
            cmocka_unit_test(test_callbacks),
            cmocka_unit_test(test_threads),
            cmocka_unit_test(test_the_process),
            cmocka_unit_test(test_work_queues),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

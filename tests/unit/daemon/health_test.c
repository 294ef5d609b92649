/* The health endpoints' bodies, to the letter, over a real server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "daemon/daemon.h"
#include "daemon/health.h"

struct world {
        struct kc_loop *loop;
        struct kc_health *health;
        struct kc_daemon_server *server;
        atomic_bool etcd_down;
};

static int check_etcd(void *arg, struct kc_error *err)
{
        struct world *w = arg;
        return atomic_load(&w->etcd_down) ? kc_error_set(err, EIO, "secret address refused") : 0;
}

static void world_init(struct world *w)
{
        *w = (struct world){0};
        assert_int_equal(kc_loop_new("test", &w->loop, NULL), 0);
        w->health = kc_health_new();
        kc_health_add(w->health, "etcd", KC_HEALTH_HEALTHZ | KC_HEALTH_READYZ, check_etcd, w);
        struct kc_daemon_server_opts o = {
            .bind_address = "127.0.0.1", .port = -1, .plain_http = true, .health = w->health};
        assert_int_equal(kc_daemon_server_new(w->loop, &o, &w->server, NULL), 0);
        assert_int_equal(kc_loop_start_thread(w->loop, NULL), 0);
}

static void world_done(struct world *w)
{
        kc_loop_stop(w->loop);
        kc_loop_join(w->loop);
        kc_daemon_server_free(w->server);
        kc_health_free(w->health);
        kc_loop_free(w->loop);
}

/* The whole response. */
static char *get(struct world *w, const char *path)
{
        KC_CLEANUP(kc_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in to = {.sin_family = AF_INET,
            .sin_port = htons((uint16_t)kc_daemon_server_port(w->server)),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        KC_CLEANUP(kc_freep)
        char *request = kc_asprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
        assert_int_equal(write(fd, request, strlen(request)), strlen(request));
        struct kc_buf b = KC_BUF_INIT;
        char chunk[4096];
        ssize_t n;
        while ((n = read(fd, chunk, sizeof(chunk))) > 0)
                kc_buf_add(&b, chunk, (size_t)n);
        return kc_buf_take_str(&b);
}

static void assert_get(struct world *w, const char *path, int code, const char *body)
{
        KC_CLEANUP(kc_freep) char *response = get(w, path);
        assert_int_equal(atoi(response + strlen("HTTP/1.1 ")), code);
        assert_string_equal(strstr(response, "\r\n\r\n") + 4, body);
        if (code != 404)
                assert_non_null(strstr(response, "text/plain; charset=utf-8\r\n"));
        assert_non_null(strstr(response, "nosniff\r\n"));
}

static void test_all_is_well(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        assert_get(&w, "/healthz", 200, "ok");
        assert_get(&w, "/livez", 200, "ok");
        assert_get(&w, "/readyz", 200, "ok");
        assert_get(&w, "/healthz?verbose", 200, "[+]ping ok\n[+]etcd ok\nhealthz check passed\n");
        assert_get(&w, "/livez?verbose=true", 200, "[+]ping ok\nlivez check passed\n");
        assert_get(&w, "/readyz?verbose", 200, "[+]ping ok\n[+]etcd ok\n[+]shutdown ok\nreadyz check passed\n");
        assert_get(&w, "/readyz/etcd", 200, "ok");
        assert_get(&w, "/livez/ping", 200, "ok");
        assert_int_equal(kc_health_check(w.health, KC_HEALTH_READYZ, NULL), 0);
        world_done(&w);
}

static void test_what_fails_is_named_and_no_more(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        atomic_store(&w.etcd_down, true);
        assert_get(
            &w, "/readyz", 500, "[+]ping ok\n[-]etcd failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n");
        assert_get(&w, "/healthz?verbose", 500, "[+]ping ok\n[-]etcd failed: reason withheld\nhealthz check failed\n");
        assert_get(&w, "/livez", 200, "ok");
        assert_get(&w, "/readyz/etcd", 500, "internal server error: secret address refused\n");
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(kc_health_check(w.health, KC_HEALTH_READYZ, &err), -EIO);
        assert_string_equal(kc_error_message(&err), "etcd: secret address refused");
        kc_error_done(&err);
        world_done(&w);
}

static void test_excluding(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        atomic_store(&w.etcd_down, true);
        assert_get(&w, "/healthz?exclude=etcd", 200, "ok");
        assert_get(
            &w, "/healthz?exclude=etcd&verbose", 200, "[+]ping ok\n[+]etcd excluded: ok\nhealthz check passed\n");
        assert_get(&w, "/livez?verbose&exclude=foo&exclude=bar", 200,
            "[+]ping ok\nwarn: some health checks cannot be excluded: no matches for \"bar\",\"foo\"\nlivez check "
            "passed\n");
        world_done(&w);
}

static void test_shutting_down_fails_readiness_only(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        kc_health_shutting_down(w.health);
        assert_get(
            &w, "/readyz", 500, "[+]ping ok\n[+]etcd ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n");
        assert_get(&w, "/livez", 200, "ok");
        assert_get(&w, "/healthz", 200, "ok");
        world_done(&w);
}

static void test_what_is_not_there(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        for (const char *const *path =
                 (const char *const[]){"/", "/healthzz", "/healthz/nothing", "/livez/etcd", "/api", "/metrics/x", NULL};
             *path; path++)
                assert_get(&w, *path, 404, "404 page not found\n");
        world_done(&w);
}

static void test_version_and_metrics(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        KC_CLEANUP(kc_freep) char *version = get(&w, "/version");
        assert_non_null(strstr(version, "application/json\r\n"));
        assert_non_null(strstr(version, "\r\n\r\n{\n  \"major\": \"1\",\n  \"minor\": \"36\",\n"));
        assert_non_null(strstr(version, "\"gitVersion\": \"v1.36.2+kubec."));
        KC_CLEANUP(kc_freep) char *metrics = get(&w, "/metrics");
        assert_true(kc_str_has_prefix(metrics, "HTTP/1.1 200"));
        assert_non_null(strstr(metrics, "text/plain; version=0.0.4; charset=utf-8\r\n"));
        assert_non_null(strstr(metrics, "# TYPE process_open_fds gauge\n"));
        world_done(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_all_is_well),
            cmocka_unit_test(test_what_fails_is_named_and_no_more),
            cmocka_unit_test(test_excluding),
            cmocka_unit_test(test_shutting_down_fails_readiness_only),
            cmocka_unit_test(test_what_is_not_there),
            cmocka_unit_test(test_version_and_metrics),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

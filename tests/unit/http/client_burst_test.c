/* The client with many calls at once to a name, and with many that fail: nothing is refused or left over. */
#include "http_test.h"

#include <dirent.h>

#include "http/client.h"

enum { BURST = 300, FAILURES = 1000 };

static struct kc_loop *loop;
static struct kc_http_client *client;
static atomic_int done, well;

static void on_request(struct kc_http_req *r, void *arg)
{
        (void)arg;
        reply_text(r, 200, "hello");
}

static void on_done(struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        (void)call;
        (void)body;
        (void)arg;
        if (code == 200 && !err)
                atomic_fetch_add(&well, 1);
        atomic_fetch_add(&done, 1);
}

static void on_failed(struct kc_http_call *call, int code, struct kc_bytes *body, const struct kc_error *err, void *arg)
{
        (void)call;
        (void)code;
        (void)body;
        (void)arg;
        if (err && err->errnum == ECONNREFUSED)
                atomic_fetch_add(&well, 1);
        atomic_fetch_add(&done, 1);
}

static void start_all(
    const char *url, int n, void (*fn)(struct kc_http_call *, int, struct kc_bytes *, const struct kc_error *, void *))
{
        atomic_store(&done, 0);
        atomic_store(&well, 0);
        for (int i = 0; i < n; i++) {
                const struct kc_http_call_opts o = {.url = url, .on_done = fn};
                assert_int_equal(kc_http_client_start(client, &o, NULL, NULL), 0);
        }
        await(&done, n);
        assert_int_equal(atomic_load(&well), n);
}

static int open_files(void)
{
        int n = 0;
        DIR *d = opendir("/proc/self/fd");
        assert_non_null(d);
        while (readdir(d))
                n++;
        (void)closedir(d);
        return n;
}

static void free_client(void *arg)
{
        kc_http_client_free(arg);
}

static void test_burst(void **state)
{
        (void)state;
        struct test_server server = {0};
        char url[64];
        test_server_start(&server, (struct kc_http_server_opts){.on_request = on_request}, false);
        assert_int_equal(kc_loop_new("client", &loop, NULL), 0);
        assert_int_equal(kc_loop_start_thread(loop, NULL), 0);
        assert_int_equal(kc_http_client_new(loop, &(struct kc_http_client_opts){.no_http2 = true}, &client, NULL), 0);
        (void)snprintf(url, sizeof(url), "http://localhost:%d/", server.port);
        start_all(url, BURST, on_done);
        test_server_stop(&server);
        start_all(url, 1, on_failed);
        int before = open_files();
        start_all(url, FAILURES, on_failed);
        assert_in_range(open_files(), 0, before);
        kc_loop_call(loop, free_client, client);
        kc_loop_stop(loop);
        kc_loop_join(loop);
        kc_loop_free(loop);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_burst)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}

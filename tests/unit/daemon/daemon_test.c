/* What the daemons' main functions share: common flags, sd_notify, signals, and an end that gives the lease up. */
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../client/fake_api.h"
#include "base/file.h"
#include "daemon/daemon.h"

static int parse(const char *line, struct kc_daemon_flags *f, struct kc_error *err)
{
        const struct kc_flag flags[] = {KC_DAEMON_FLAGS(f)};
        KC_CLEANUP(kc_strv_freep) char **argv = kc_strv_split(line, ' ');
        return kc_daemon_parse("kube-x", "The x.", flags, KC_ARRAY_LEN(flags), (int)kc_strv_len(argv), argv, f, err);
}

static void test_common_flags(void **state)
{
        (void)state;
        struct kc_daemon_flags f = {0};
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(parse("kube-x -v2", &f, NULL), 0);
        assert_int_equal(kc_log_verbosity(), 2);
        assert_int_equal(parse("kube-x --v=0", &f, NULL), 0);
        assert_int_equal(kc_log_verbosity(), 0);
        assert_int_equal(parse("kube-x --version", &f, NULL), 1);
        f.version = false;
        assert_int_equal(parse("kube-x --help", &f, NULL), 1);
        f.help = false;
        assert_int_equal(parse("kube-x --logging-format=xml", &f, &err), -EINVAL);
        assert_error(&err, "format: Invalid value: \"xml\": Unsupported log format");
        assert_int_equal(parse("kube-x stray", &f, &err), -EINVAL);
        kc_error_done(&err);
        kc_daemon_flags_done(&f);
}

static void test_notify(void **state)
{
        (void)state;
        char dir[] = "/tmp/kubec-notify-XXXXXX", got[64];
        assert_non_null(mkdtemp(dir));
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/sock", dir);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        unsetenv("NOTIFY_SOCKET");
        kc_daemon_notify("READY=1");
        setenv("NOTIFY_SOCKET", a.sun_path, 1);
        kc_daemon_notify("READY=1");
        ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
        assert_int_equal(n, strlen("READY=1"));
        assert_memory_equal(got, "READY=1", (size_t)n);
        assert_true(recv(fd, got, sizeof(got), MSG_DONTWAIT) < 0);
        close(fd);
        kc_daemon_notify("STOPPING=1"); /* nobody listens: no more than a warning */
        unsetenv("NOTIFY_SOCKET");
        assert_int_equal(kc_rm_rf(dir, NULL), 0);
}

static void on_stop(void *arg)
{
        *(bool *)arg = true;
}

static void raise_term(void *arg)
{
        (void)arg;
        kill(getpid(), SIGTERM);
}

static void test_a_signal_stops_the_loop(void **state)
{
        (void)state;
        assert_int_equal(kc_daemon_init("kube-x", NULL), 0);
        struct kc_loop *loop = new_loop();
        bool stopped = false;
        assert_int_equal(kc_daemon_handle_signals(loop, on_stop, &stopped, NULL), 0);
        kc_loop_post(loop, raise_term, NULL);
        assert_int_equal(kc_loop_run(loop, NULL), 0);
        assert_true(stopped);
        kc_loop_free(loop);
}

#define LEASE(holder)                                                                                                  \
        "{\"metadata\":{\"name\":\"kube-x\",\"namespace\":\"kube-system\",\"resourceVersion\":\"1\"},\"spec\":{"       \
        "\"holderIdentity\":\"" holder "\",\"leaseDurationSeconds\":15}}"

static void on_leading(void *arg)
{
        sem_post(arg);
}

static void test_the_end_gives_the_lease_up(void **state)
{
        (void)state;
        struct fake_api *api = fake_api_new();
        struct kc_loop *loop = new_loop();
        struct kc_rest *rest = fake_client(api, loop, NULL, NULL);
        struct kc_pool *pool = kc_pool_new("work", 2, 10);
        sem_t leading;
        sem_init(&leading, 0, 0);
        struct kc_leader_opts o = {.lease_namespace = "kube-system",
            .lease_name = "kube-x",
            .identity = "me",
            .on_started_leading = on_leading,
            .arg = &leading};
        struct kc_leader *leader = NULL;
        assert_int_equal(kc_leader_new(rest, pool, &o, &leader, NULL), 0);
        fake_expect(api, (struct fake_step){.method = "GET", .match = "leases", .body = LEASE("")});
        fake_expect(api, (struct fake_step){.method = "PUT", .match = "leases", .body = LEASE("me")});
        fake_expect(api, (struct fake_step){.method = "GET", .match = "leases", .body = LEASE("me")});
        fake_expect(api, (struct fake_step){.method = "PUT", .match = "leases", .body = LEASE("")});
        kc_leader_start(leader);
        loop_up(loop);
        gate_wait(&leading);
        loop_down(loop);
        kc_daemon_drain(loop, leader, rest, pool);
        assert_int_equal(fake_count(api), 4);
        KC_CLEANUP(kc_freep) char *released = fake_body(api, 3);
        assert_non_null(strstr(released, "\"holderIdentity\":\"\",\"leaseDurationSeconds\":1"));
        kc_leader_free(leader);
        kc_rest_free(rest);
        kc_loop_free(loop);
        fake_api_free(api);
        sem_destroy(&leading);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_common_flags),
            cmocka_unit_test(test_notify),
            cmocka_unit_test(test_a_signal_stops_the_loop),
            cmocka_unit_test(test_the_end_gives_the_lease_up),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The runtime manager against a runtime in memory: starting, restarting, pulling, ending. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the headers above first. */
#include <cmocka.h>

#include "base/file.h"
#include "fake_cri.h"
#include "kubelet/runtime/runtime.h"
#include "rt_builder.h"

static struct {
        struct kc_loop *loop;
        struct kc_pool *pool;
        struct kc_fake_clock clock;
        struct kc_volumes *volumes;
        struct kc_objcache *objects;
        struct kc_runtime *runtime;
        struct kc_pod_sync sync;
        char dir[64], root[96], pods[96], links[96];
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        int changes;
} t = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void on_change(void *arg, const char *uid)
{
        (void)arg;
        assert_string_equal(uid, "u1");
        pthread_mutex_lock(&t.mutex);
        t.changes++;
        pthread_cond_signal(&t.changed);
        pthread_mutex_unlock(&t.mutex);
}

/* Until what runs by itself (a pull, a kill) has said that it is over. */
static void wait_for_change(void)
{
        pthread_mutex_lock(&t.mutex);
        while (t.changes == 0)
                pthread_cond_wait(&t.changed, &t.mutex);
        t.changes = 0;
        pthread_mutex_unlock(&t.mutex);
}

static enum kc_probe_result no_probe(void *arg, enum kc_probe_kind kind, const char *id)
{
        (void)arg;
        (void)kind;
        (void)id;
        return KC_PROBE_UNKNOWN;
}

static int setup(void **state)
{
        (void)state;
        fake_reset();
        snprintf(fake.images[0], sizeof(fake.images[0]), "busybox:1.35");
        kc_fake_clock_init(&t.clock, T0);
        fake.now = T0;
        strcpy(t.dir, "/tmp/kubec-runtime-test.XXXXXX");
        assert_non_null(mkdtemp(t.dir));
        snprintf(t.root, sizeof(t.root), "%s/root", t.dir);
        snprintf(t.pods, sizeof(t.pods), "%s/pods", t.dir);
        snprintf(t.links, sizeof(t.links), "%s/links", t.dir);
        assert_int_equal(kc_loop_new("test", &t.loop, NULL), 0);
        t.pool = kc_pool_new("test", 4, 100);
        t.objects = kc_objcache_new(NULL, 0, NULL);
        struct kc_volumes_opts vo = {.root_dir = t.root, .objects = t.objects};
        assert_int_equal(kc_volumes_new(&vo, &t.volumes, NULL), 0);
        struct kc_runtime_opts o = {.loop = t.loop,
            .pool = t.pool,
            .volumes = t.volumes,
            .env = {.objects = t.objects},
            .dns = {.cluster_domain = "cluster.local", .resolv_conf = ""},
            .node_name = "n1",
            .root_dir = t.root,
            .pod_logs_dir = t.pods,
            .container_logs_dir = t.links,
            .cgroup_root = "",
            .cgroup_driver = "cgroupfs",
            .clock = &t.clock.clock,
            .on_change = on_change,
            .probe = no_probe};
        assert_int_equal(kc_runtime_new(&o, &t.runtime, NULL), 0);
        t.changes = 0;
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        kc_pool_free(t.pool);
        kc_runtime_free(t.runtime);
        kc_volumes_free(t.volumes);
        kc_objcache_free(t.objects);
        kc_pod_sync_done(&t.sync);
        kc_loop_free(t.loop);
        assert_int_equal(kc_rm_rf(t.dir, NULL), 0);
        fake_reset();
        (void)fake_log();
        return 0;
}

static void advance(int64_t usec)
{
        kc_fake_clock_advance(&t.clock, usec);
        fake.now = t.clock.time;
}

static struct kc_pod_runtime *fetch(void)
{
        struct kc_pod_runtime *rt = NULL;
        assert_int_equal(kc_runtime_fetch(t.runtime, "u1", "default", "web", &rt, NULL), 0);
        return rt;
}

/* One sync; what the runtime was asked for. */
static const char *sync_pod(struct kc_object *pod)
{
        static char *const ips[] = {(char *)"192.168.0.1", NULL};
        struct kc_pod_facts facts = {.host_ips = ips, .node_name = "n1"};
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = fetch();
        struct kc_error err = KC_ERROR_INIT;
        (void)kc_runtime_sync_pod(t.runtime, pod, rt, &facts, &t.sync, &err);
        kc_error_done(&err);
        return fake_log();
}

static int kill_pod(struct kc_object *pod, int64_t grace)
{
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = fetch();
        return kc_runtime_kill_pod(t.runtime, pod, rt, grace, t.clock.time, NULL);
}

static void expect_reason(const char *container, const char *reason, const char *message)
{
        const struct kc_start_reason *r = kc_pod_sync_reason(&t.sync, container);
        if (!reason) {
                assert_null(r);
                return;
        }
        assert_non_null(r);
        assert_string_equal(r->reason, reason);
        assert_string_equal(r->message, message);
}

#define ONE                                                                                                            \
        "{'restartPolicy':'Always','terminationGracePeriodSeconds':7,'containers':[{'name':'a','image':'busybox:1.35'" \
        "}]}"

static void test_start_and_restart(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = kc_object_new(pod_of(ONE));
        assert_string_equal(sync_pod(pod), "sandbox#0 create:a#0 start:a");
        assert_true(t.sync.changed);
        assert_string_equal(sync_pod(pod), "");
        advance(60 * KC_SEC);
        fake_end("a", 1);
        assert_string_equal(sync_pod(pod), "create:a#1 start:a"); /* the first time at once */
        fake_end("a", 1);
        assert_string_equal(sync_pod(pod), "");
        expect_reason("a", "CrashLoopBackOff", "back-off 10s restarting failed container=a pod=web_default(u1)");
        assert_int_equal(t.sync.retry_at, t.clock.time + 10 * KC_SEC);
        advance(10 * KC_SEC);
        assert_string_equal(sync_pod(pod), "create:a#2 start:a");
        expect_reason("a", NULL, NULL);
        fake_end("a", 1);
        assert_string_equal(sync_pod(pod), "");
        expect_reason("a", "CrashLoopBackOff", "back-off 20s restarting failed container=a pod=web_default(u1)");
}

static struct kc_object *sized(const char *cpu, const char *memory)
{
        KC_CLEANUP(kc_freep)
        char *spec = kc_asprintf("{'restartPolicy':'Always','containers':[{'name':'a','image':'busybox:1.35',"
                                 "'resources':{'requests':{'cpu':'%s'},'limits':{'memory':'%s'}},'resizePolicy':"
                                 "[{'resourceName':'memory','restartPolicy':'RestartContainer'}]}]}",
            cpu, memory);
        return kc_object_new(pod_of(spec));
}

static void test_resize(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *small = sized("100m", "64Mi"),
                         *cpu = sized("1", "64Mi"), *memory = sized("1000m", "128Mi");
        assert_string_equal(sync_pod(small), "sandbox#0 create:a#0 start:a");
        assert_true(t.sync.resized);
        assert_string_equal(sync_pod(small), "");
        assert_false(t.sync.resized);
        fake.resize_error = "no";
        assert_string_equal(sync_pod(cpu), "");
        assert_string_equal(t.sync.resize_error, "failed to resize container \"a\": no");
        fake.resize_error = NULL;
        assert_string_equal(sync_pod(cpu), "resize:a(1024,67108864)");
        assert_null(t.sync.resize_error);
        assert_string_equal(sync_pod(cpu), "");
        assert_string_equal(sync_pod(memory), "");
        wait_for_change();
        assert_string_equal(fake_log(), "stop:a(30)");
        assert_string_equal(sync_pod(memory), "create:a#1 start:a");
        assert_string_equal(sync_pod(memory), "");
}

static void test_pull(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *pod = kc_object_new(pod_of("{'containers':[{'name':'a','image':'r.example/x:1'}]}"));
        assert_string_equal(sync_pod(pod), "sandbox#0");
        wait_for_change();
        assert_string_equal(sync_pod(pod), "create:a#0 start:a");
        assert_int_equal(fake.pulls, 1);
}

static void test_failed_pull(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *pod = kc_object_new(pod_of("{'containers':[{'name':'a','image':'r.example/x:1'}]}"));
        fake.pull_error = "rpc error: code = NotFound desc = no such image";
        (void)sync_pod(pod);
        wait_for_change();
        assert_string_equal(sync_pod(pod), "");
        assert_int_equal(fake.pulls, 1);
        expect_reason("a", "ErrImagePull", "rpc error: code = NotFound desc = no such image");
        assert_string_equal(sync_pod(pod), ""); /* not with every event of the pod */
        expect_reason("a", "ErrImagePull", "rpc error: code = NotFound desc = no such image");
        advance(16 * KC_SEC);
        (void)sync_pod(pod); /* after 10 s: another try */
        wait_for_change();
        (void)sync_pod(pod);
        advance(16 * KC_SEC);
        assert_string_equal(sync_pod(pod), "");
        expect_reason("a", "ImagePullBackOff",
            "Back-off pulling image \"r.example/x:1\": ErrImagePull: rpc error: code = NotFound desc = no such image");
        assert_int_equal(t.sync.retry_at, t.clock.time + 4 * KC_SEC);
        fake.pull_error = NULL;
        advance(4 * KC_SEC);
        (void)sync_pod(pod);
        wait_for_change();
        assert_string_equal(sync_pod(pod), "create:a#0 start:a");
        assert_int_equal(fake.pulls, 3);
}

static void test_image_never(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *pod =
            kc_object_new(pod_of("{'containers':[{'name':'a','image':'r.example/x:1','imagePullPolicy':'Never'}]}"));
        assert_string_equal(sync_pod(pod), "sandbox#0");
        expect_reason(
            "a", "ErrImageNeverPull", "Container image \"r.example/x:1\" is not present with pull policy of Never");
}

static void test_errors_of_the_runtime(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = kc_object_new(pod_of(ONE));
        fake.sandbox_error = "no network";
        assert_string_equal(sync_pod(pod), "");
        assert_in_range(t.sync.retry_at - t.clock.time, 10 * KC_SEC, 15 * KC_SEC);
        fake.sandbox_error = NULL;
        fake.create_error = "no space";
        assert_string_equal(sync_pod(pod), "sandbox#0");
        expect_reason("a", "CreateContainerError", "no space");
        fake.create_error = NULL;
        fake.start_error = "no such file";
        advance(16 * KC_SEC);
        assert_string_equal(sync_pod(pod), "create:a#0");
        expect_reason("a", "RunContainerError", "no such file");
}

static void test_missing_config_map(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *pod =
            kc_object_new(pod_of("{'containers':[{'name':'a','image':'busybox:1.35','env':[{'name':'X',"
                                 "'valueFrom':{'configMapKeyRef':{'name':'cm','key':'k'}}}]}]}"));
        assert_string_equal(sync_pod(pod), "sandbox#0");
        expect_reason("a", "CreateContainerConfigError", "configmap \"cm\" not found");
}

#define SIDECARS                                                                                                       \
        "{'terminationGracePeriodSeconds':7,'initContainers':[{'name':'s1','image':'busybox:1.35','restartPolicy':'"   \
        "Always'},"                                                                                                    \
        "{'name':'s2','image':'busybox:1.35','restartPolicy':'Always'}],'containers':[{'name':'a','image':'busybox:1." \
        "35'}]}"

static void test_sidecars_end_last_in_reverse_order(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = kc_object_new(pod_of(SIDECARS));
        assert_string_equal(sync_pod(pod), "sandbox#0 create:s1#0 start:s1");
        assert_string_equal(sync_pod(pod), "create:s2#0 start:s2");
        assert_string_equal(sync_pod(pod), "create:a#0 start:a");
        assert_int_equal(kill_pod(pod, -1), 0);
        wait_for_change();
        assert_string_equal(fake_log(), "stop:a(7)");
        assert_int_equal(kill_pod(pod, -1), 0);
        wait_for_change();
        assert_string_equal(fake_log(), "stop:s2(7)");
        assert_int_equal(kill_pod(pod, -1), 0);
        wait_for_change();
        assert_string_equal(fake_log(), "stop:s1(7)");
        assert_int_equal(kill_pod(pod, -1), 1);
        assert_string_equal(fake_log(), "stop-sandbox:s0");
}

static void test_kill_with_shorter_grace(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = kc_object_new(pod_of(ONE));
        (void)sync_pod(pod);
        assert_int_equal(kill_pod(pod, 0), 0);
        wait_for_change();
        assert_string_equal(fake_log(), "stop:a(0)");
}

static void test_dead_sandbox_is_replaced(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = kc_object_new(pod_of(ONE));
        (void)sync_pod(pod);
        fake.sandboxes[0].ready = false;
        (void)sync_pod(pod); /* the container is being stopped, beside the sync */
        wait_for_change();
        (void)fake_log();
        assert_string_equal(sync_pod(pod), "sandbox#1 create:a#1 start:a");
        assert_int_equal(fake.containers[0].exit_code, 143);
}

static bool not_wanted(void *arg, const char *uid)
{
        (void)arg;
        (void)uid;
        return false;
}

static bool all_wanted(void *arg, const char *uid)
{
        (void)arg;
        (void)uid;
        return true;
}

static void test_garbage(void **state)
{
        (void)state;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = kc_object_new(pod_of(ONE));
        for (int i = 0; i < 4; i++) {
                (void)sync_pod(pod);
                advance(700 * KC_SEC);
                fake_end("a", 1);
        }
        (void)sync_pod(pod); /* four ended, one runs */
        assert_int_equal(kc_runtime_gc(t.runtime, 1, 0, all_wanted, NULL, NULL), 0);
        assert_string_equal(fake_log(), "remove:a remove:a"); /* the newest two ended ones stay */
        fake_end("a", 1);
        fake.sandboxes[0].ready = false;
        assert_int_equal(kc_runtime_gc(t.runtime, 1, 0, not_wanted, NULL, NULL), 0);
        assert_string_equal(fake_log(), "remove:a remove:a remove:a remove-sandbox:s0");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_start_and_restart, setup, teardown),
            cmocka_unit_test_setup_teardown(test_resize, setup, teardown),
            cmocka_unit_test_setup_teardown(test_pull, setup, teardown),
            cmocka_unit_test_setup_teardown(test_failed_pull, setup, teardown),
            cmocka_unit_test_setup_teardown(test_image_never, setup, teardown),
            cmocka_unit_test_setup_teardown(test_errors_of_the_runtime, setup, teardown),
            cmocka_unit_test_setup_teardown(test_missing_config_map, setup, teardown),
            cmocka_unit_test_setup_teardown(test_sidecars_end_last_in_reverse_order, setup, teardown),
            cmocka_unit_test_setup_teardown(test_kill_with_shorter_grace, setup, teardown),
            cmocka_unit_test_setup_teardown(test_dead_sandbox_is_replaced, setup, teardown),
            cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

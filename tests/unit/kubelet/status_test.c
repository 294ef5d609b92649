/* The status of a pod, literally as kubectl would show it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka needs the headers above first. */
#include <cmocka.h>

#include "base/str.h"
#include "kubelet/status/generate.h"
#include "kubelet/status/manager.h"
#include "rt_builder.h"

static char *const host_ips[] = {(char *)"192.168.0.1", NULL};

static struct json_object *generate(const struct json_object *pod, const struct kc_pod_runtime *rt,
    const struct kc_pod_sync *sync, const struct json_object *old, bool terminal)
{
        struct kc_status_input in = {.pod = pod,
            .old = old,
            .rt = rt,
            .sync = sync,
            .host_ips = host_ips,
            .runtime_name = "containerd",
            .terminal = terminal,
            .now = T0};
        return kc_status_generate(&in);
}

/* "Ready=False(ContainersNotReady: ...)" */
static void expect_condition(
    const struct json_object *status, const char *type, const char *value, const char *reason, const char *message)
{
        const struct json_object *c = kc_condition_get(status, type);
        assert_non_null(c);
        assert_string_equal(kc_json_str(c, "status"), value);
        assert_true(kc_streq(kc_json_str(c, "reason"), reason));
        assert_true(kc_streq(kc_json_str(c, "message"), message));
}

static void expect_json(const struct json_object *o, const char *path, const char *want)
{
        const struct json_object *v = path ? kc_json_at(o, path) : o;
        KC_CLEANUP(kc_freep) char *got = v ? kc_json_to_str(v) : kc_strdup("(none)");
        assert_string_equal(got, want);
}

#define TWO "{'containers':[{'name':'b','image':'busybox:1.35'},{'name':'a','image':'busybox:1.35'}]}"

static void test_pending(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = pod_of(TWO);
        KC_CLEANUP(kc_json_freep) struct json_object *s = generate(pod, NULL, NULL, NULL, false);
        assert_string_equal(kc_json_str(s, "phase"), "Pending");
        assert_string_equal(kc_json_str(s, "hostIP"), "192.168.0.1");
        assert_null(kc_json_get(s, "podIP"));
        assert_string_equal(kc_json_str(s, "startTime"), "2025-11-21T12:21:10Z");
        assert_string_equal(kc_json_str(s, "qosClass"), "BestEffort");
        expect_condition(s, "PodReadyToStartContainers", "False", NULL, NULL);
        expect_condition(s, "Initialized", "True", NULL, NULL);
        expect_condition(s, "Ready", "False", "ContainersNotReady", "containers with unready status: [b a]");
        expect_condition(s, "ContainersReady", "False", "ContainersNotReady", "containers with unready status: [b a]");
        expect_condition(s, "PodScheduled", "True", NULL, NULL);
        const struct json_object *first = kc_json_idx(kc_json_get(s, "containerStatuses"), 0);
        expect_json(first, NULL,
            "{\"name\":\"a\",\"image\":\"busybox:1.35\",\"imageID\":\"\",\"ready\":false,\"restartCount\":0,"
            "\"started\":false,"
            "\"lastState\":{},\"state\":{\"waiting\":{\"reason\":\"ContainerCreating\"}},\"resources\":{}}");
}

static void test_running(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = pod_of("{'containers':[{'name':'a','image':'busybox:1.35'}]}");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        rt_container(rt, "a", "a0", "s0", KC_STATE_RUNNING, 0, 0);
        KC_CLEANUP(kc_json_freep) struct json_object *s = generate(pod, rt, NULL, NULL, false);
        assert_string_equal(kc_json_str(s, "phase"), "Running");
        expect_json(s, "podIPs", "[{\"ip\":\"10.0.0.2\"}]");
        expect_condition(s, "Ready", "True", NULL, NULL);
        expect_condition(s, "PodReadyToStartContainers", "True", NULL, NULL);
        expect_json(kc_json_idx(kc_json_get(s, "containerStatuses"), 0), NULL,
            "{\"name\":\"a\",\"image\":\"docker.io/library/busybox:1.35\",\"imageID\":\"sha256:8b90\",\"containerID\":"
            "\"containerd://a0\",\"restartCount\":0,\"state\":{\"running\":{\"startedAt\":\"2025-11-21T12:21:20Z\"}},"
            "\"lastState\":{},\"started\":true,\"ready\":true,\"resources\":{}}");
}

static void test_crash_loop(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod =
            pod_of("{'restartPolicy':'Always','containers':[{'name':'a','image':'busybox:1.35'}]}");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        rt_container(rt, "a", "a0", "s0", KC_STATE_EXITED, 1, 0);
        rt_container(rt, "a", "a1", "s0", KC_STATE_EXITED, 3, 1);
        kc_pod_runtime_sort(rt);
        struct kc_start_reason reason = {(char *)"a", (char *)"CrashLoopBackOff", (char *)"back-off 10s restarting"};
        struct kc_pod_sync sync = {.reasons = &reason, .n_reasons = 1};
        KC_CLEANUP(kc_json_freep) struct json_object *s = generate(pod, rt, &sync, NULL, false);
        const struct json_object *c = kc_json_idx(kc_json_get(s, "containerStatuses"), 0);
        expect_json(
            c, "state", "{\"waiting\":{\"reason\":\"CrashLoopBackOff\",\"message\":\"back-off 10s restarting\"}}");
        expect_json(c, "lastState",
            "{\"terminated\":{\"exitCode\":3,\"reason\":\"Error\",\"containerID\":\"containerd://a1\",\"startedAt\":"
            "\"2025-11-21T12:21:21Z\",\"finishedAt\":\"2025-11-21T12:21:26Z\"}}");
        assert_int_equal(kc_json_int(c, "restartCount", -1), 1);
        assert_string_equal(kc_json_str(s, "phase"), "Running");
}

static void test_phases(void **state)
{
        (void)state;
        static const struct {
                const char *policy;
                int exit_code;
                bool terminal;
                const char *phase, *ready_reason;
        } cases[] = {
            {"Always", 0, false, "Running", "ContainersNotReady"},
            {"Always", 0, true, "Succeeded", "PodCompleted"},
            {"Always", 1, true, "Failed", "PodFailed"},
            {"Never", 0, false, "Succeeded", "PodCompleted"},
            {"Never", 1, false, "Failed", "PodFailed"},
            {"OnFailure", 0, false, "Succeeded", "PodCompleted"},
            {"OnFailure", 1, false, "Running", "ContainersNotReady"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep)
                char *spec =
                    kc_asprintf("{'restartPolicy':'%s','containers':[{'name':'a','image':'i'}]}", cases[i].policy);
                KC_CLEANUP(kc_json_freep) struct json_object *pod = pod_of(spec);
                KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
                rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
                rt_container(rt, "a", "a0", "s0", KC_STATE_EXITED, cases[i].exit_code, 0);
                KC_CLEANUP(kc_json_freep) struct json_object *s = generate(pod, rt, NULL, NULL, cases[i].terminal);
                assert_string_equal(kc_json_str(s, "phase"), cases[i].phase);
                assert_string_equal(kc_json_str(kc_condition_get(s, "Ready"), "reason"), cases[i].ready_reason);
        }
}

static void test_terminal_phase_is_final(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = pod_of("{'containers':[{'name':'a','image':'i'}]}");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        rt_container(rt, "a", "a0", "s0", KC_STATE_RUNNING, 0, 0);
        KC_CLEANUP(kc_json_freep)
        struct json_object *old = kc_json_build("{'phase':'Failed','reason':'Evicted','message':'low memory'}");
        KC_CLEANUP(kc_json_freep) struct json_object *s = generate(pod, rt, NULL, old, false);
        assert_string_equal(kc_json_str(s, "phase"), "Failed");
        assert_string_equal(kc_json_str(s, "reason"), "Evicted");
}

static void test_init_containers(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod =
            pod_of("{'restartPolicy':'Always','initContainers':[{'name':'i1','image':'i'},{'name':'i2','image':'i'}],"
                   "'containers':[{'name':'a','image':'i'}]}");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        rt_container(rt, "i1", "x0", "s0", KC_STATE_EXITED, 0, 0);
        KC_CLEANUP(kc_json_freep) struct json_object *s = generate(pod, rt, NULL, NULL, false);
        assert_string_equal(kc_json_str(s, "phase"), "Pending");
        expect_condition(
            s, "Initialized", "False", "ContainersNotInitialized", "containers with incomplete status: [i2]");
        const struct json_object *app = kc_json_idx(kc_json_get(s, "containerStatuses"), 0);
        expect_json(app, "state", "{\"waiting\":{\"reason\":\"PodInitializing\"}}");
        const struct json_object *i1 = kc_json_idx(kc_json_get(s, "initContainerStatuses"), 0);
        assert_true(kc_json_bool(i1, "ready", false));
        assert_string_equal(kc_json_str_at(i1, "state.terminated.reason"), "Completed");
}

static void test_transition_time_stays(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = pod_of("{'containers':[{'name':'a','image':'i'}]}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *old = kc_json_build(
            "{'conditions':[{'type':'Ready','status':'False','lastTransitionTime':'2020-01-01T00:00:00Z'},"
            "{'type':'example.com/gate','status':'True'}],'startTime':'2020-01-01T00:00:00Z'}");
        KC_CLEANUP(kc_json_freep) struct json_object *s = generate(pod, NULL, NULL, old, false);
        assert_string_equal(kc_json_str(kc_condition_get(s, "Ready"), "lastTransitionTime"), "2020-01-01T00:00:00Z");
        assert_string_equal(
            kc_json_str(kc_condition_get(s, "ContainersReady"), "lastTransitionTime"), "2025-11-21T12:21:10Z");
        assert_non_null(kc_condition_get(s, "example.com/gate"));
        assert_string_equal(kc_json_str(s, "startTime"), "2020-01-01T00:00:00Z");
}

static void test_readiness_gate(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod =
            pod_of("{'readinessGates':[{'conditionType':'g'}],'containers':[{'name':'a','image':'i'}]}");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        rt_container(rt, "a", "a0", "s0", KC_STATE_RUNNING, 0, 0);
        KC_CLEANUP(kc_json_freep) struct json_object *s = generate(pod, rt, NULL, NULL, false);
        expect_condition(s, "Ready", "False", "ReadinessGatesNotReady",
            "corresponding condition of pod readiness gate \"g\" does not exist.");
        expect_condition(s, "ContainersReady", "True", NULL, NULL);
}

static void test_lost_container_of_ended_pod(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = pod_of("{'containers':[{'name':'a','image':'i'}]}");
        KC_CLEANUP(kc_json_freep) struct json_object *s = generate(pod, NULL, NULL, NULL, true);
        kc_status_terminate(s, pod);
        assert_string_equal(kc_json_str(s, "phase"), "Failed");
        const struct json_object *c = kc_json_idx(kc_json_get(s, "containerStatuses"), 0);
        assert_string_equal(kc_json_str_at(c, "state.terminated.reason"), "ContainerStatusUnknown");
        assert_int_equal(kc_json_int_at(c, "state.terminated.exitCode", 0), 137);
}

static void test_patch(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *api =
            kc_json_build("{'phase':'Pending','podIP':'10.0.0.9','podIPs':[{'ip':'10.0.0.9'}],'conditions':["
                          "{'type':'Ready','status':'False','reason':'ContainersNotReady','lastTransitionTime':'t1'},"
                          "{'type':'PodScheduled','status':'True','lastTransitionTime':'t0'}]}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *ours =
            kc_json_build("{'phase':'Running','podIP':'10.0.0.2','podIPs':[{'ip':'10.0.0.2'}],'conditions':["
                          "{'type':'Ready','status':'True','lastTransitionTime':'t2'},"
                          "{'type':'PodScheduled','status':'True','lastTransitionTime':'t0'}]}");
        KC_CLEANUP(kc_json_freep) struct json_object *patch = kc_status_patch(api, ours);
        KC_CLEANUP(kc_json_freep)
        struct json_object *want = kc_json_build(
            "{'phase':'Running','podIP':'10.0.0.2','podIPs':[{'ip':'10.0.0.2'},{'$patch':'replace'}],'conditions':["
            "{'type':'Ready','status':'True','lastTransitionTime':'t2','reason':null}]}");
        assert_true(kc_json_equal(patch, want));
        assert_null(kc_status_patch(ours, ours));
        /* A resize that is over. */
        struct json_object *resized = kc_json_copy(ours);
        kc_json_push(
            kc_json_get_mut(resized, "conditions"), kc_json_build("{'type':'PodResizePending','status':'True'}"));
        KC_CLEANUP(kc_json_freep) struct json_object *over = kc_status_patch(resized, ours);
        KC_CLEANUP(kc_json_freep)
        struct json_object *gone = kc_json_build("{'conditions':[{'$patch':'delete','type':'PodResizePending'}]}");
        assert_true(kc_json_equal(over, gone));
        kc_json_free(resized);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_pending),
            cmocka_unit_test(test_running),
            cmocka_unit_test(test_crash_loop),
            cmocka_unit_test(test_phases),
            cmocka_unit_test(test_terminal_phase_is_final),
            cmocka_unit_test(test_init_containers),
            cmocka_unit_test(test_transition_time_stays),
            cmocka_unit_test(test_readiness_gate),
            cmocka_unit_test(test_lost_container_of_ended_pod),
            cmocka_unit_test(test_patch),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

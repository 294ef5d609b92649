/* What the runtime manager decides to do, for each state a pod can be in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka needs the headers above first. */
#include <cmocka.h>

#include "base/str.h"
#include "kubelet/runtime/actions.h"
#include "rt_builder.h"

static enum kc_probe_kind failing_kind;
static const char *failing_id;
static const char *started_id;

static enum kc_probe_result fake_probe(void *arg, enum kc_probe_kind kind, const char *id)
{
        (void)arg;
        if (kc_streq(id, failing_id) && kind == failing_kind)
                return KC_PROBE_FAILURE;
        return kind == KC_PROBE_STARTUP && kc_streq(id, started_id) ? KC_PROBE_SUCCESS : KC_PROBE_UNKNOWN;
}

/* "start:a,b kill:c(message) pod sandbox#1" */
static char *plan(const struct json_object *pod, const struct kc_pod_runtime *rt)
{
        struct kc_actions a;
        kc_actions_compute(pod, rt, fake_probe, NULL, NULL, NULL, &a);
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < a.n_start; i++)
                kc_buf_addf(&b, "%s%s", i ? "," : "start:", kc_json_str(a.start[i], "name"));
        for (size_t i = 0; i < a.n_kill; i++)
                kc_buf_addf(&b, " kill:%s(%s)", a.kill[i].container->id, a.kill[i].message);
        if (a.kill_pod)
                kc_buf_adds(&b, " pod");
        if (a.create_sandbox)
                kc_buf_addf(&b, " sandbox#%u", a.attempt);
        kc_actions_done(&a);
        return kc_buf_take_str(&b);
}

static void expect(const struct json_object *pod, struct kc_pod_runtime *rt, const char *want)
{
        if (rt)
                kc_pod_runtime_sort(rt);
        KC_CLEANUP(kc_freep) char *got = plan(pod, rt);
        assert_string_equal(got, want);
}

static int reset(void **state)
{
        (void)state;
        failing_id = started_id = NULL;
        return 0;
}

#define ONE "{'restartPolicy':'%s','containers':[{'name':'a','image':'i'}]}"
static struct json_object *one(const char *policy)
{
        KC_CLEANUP(kc_freep) char *spec = kc_asprintf(ONE, policy);
        return pod_of(spec);
}

static void test_new_pod(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = one("Always");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        expect(pod, rt, "start:a pod sandbox#0");
}

static void test_all_running(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = one("Always");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        rt_container(rt, "a", "a0", "s0", KC_STATE_RUNNING, 0, 0);
        expect(pod, rt, "");
}

static void test_ended_container_by_policy(void **state)
{
        (void)state;
        static const struct {
                const char *policy;
                int exit_code;
                const char *want;
        } cases[] = {{"Always", 0, "start:a"}, {"Always", 1, "start:a"}, {"OnFailure", 0, " pod"},
            {"OnFailure", 1, "start:a"}, {"Never", 0, " pod"}, {"Never", 1, " pod"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *pod = one(cases[i].policy);
                KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
                rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
                rt_container(rt, "a", "a0", "s0", KC_STATE_EXITED, cases[i].exit_code, 0);
                expect(pod, rt, cases[i].want);
        }
}

static void test_dead_sandbox(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = one("Always");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, false, NULL);
        rt_container(rt, "a", "a0", "s0", KC_STATE_RUNNING, 0, 0);
        expect(pod, rt, "start:a pod sandbox#1");
        KC_CLEANUP(kc_json_freep) struct json_object *never = one("Never");
        expect(never, rt, " pod");
}

static void test_two_ready_sandboxes(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = one("Always");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        rt_sandbox(rt, "s1", 1, true, "10.0.0.3");
        expect(pod, rt, "start:a pod sandbox#2");
}

static void test_sandbox_without_address(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = one("Always");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, NULL);
        expect(pod, rt, "start:a pod sandbox#1");
}

static void test_failed_liveness_probe(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = one("Always");
        KC_CLEANUP(kc_json_freep) struct json_object *never = one("Never");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        rt_container(rt, "a", "a0", "s0", KC_STATE_RUNNING, 0, 0);
        failing_id = "a0";
        failing_kind = KC_PROBE_LIVENESS;
        expect(pod, rt, " kill:a0(Container a failed liveness probe, will be restarted)");
        expect(never, rt, " kill:a0(Container a failed liveness probe) pod");
        failing_kind = KC_PROBE_STARTUP;
        expect(pod, rt, " kill:a0(Container a failed startup probe, will be restarted)");
        failing_kind = KC_PROBE_READINESS;
        expect(pod, rt, "");
}

static void test_changed_image(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = one("Never");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        struct kc_rt_container *c = rt_container(rt, "a", "a0", "s0", KC_STATE_RUNNING, 0, 0);
        c->has_hash = true;
        c->hash = 1;
        expect(pod, rt, " kill:a0(Container a definition changed, will be restarted)");
}

#define INIT                                                                                                           \
        "{'restartPolicy':'%s','initContainers':[{'name':'i1','image':'i'},{'name':'i2','image':'i'}],"                \
        "'containers':[{'name':'a','image':'i'},{'name':'b','image':'i'}]}"

static void test_init_containers_in_order(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *spec = kc_asprintf(INIT, "Always");
        KC_CLEANUP(kc_json_freep) struct json_object *pod = pod_of(spec);
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        expect(pod, rt, "start:i1 pod sandbox#0");
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        expect(pod, rt, "start:i1");
        rt_container(rt, "i1", "x0", "s0", KC_STATE_RUNNING, 0, 0);
        expect(pod, rt, "");
        rt->containers[0].state = KC_STATE_EXITED;
        expect(pod, rt, "start:i2");
        rt->containers[0].exit_code = 2;
        expect(pod, rt, "start:i1");
        rt->containers[0].exit_code = 0;
        rt_container(rt, "i2", "x1", "s0", KC_STATE_EXITED, 0, 1);
        expect(pod, rt, "start:a,b");
}

static void test_init_failure_ends_pod_that_never_restarts(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *spec = kc_asprintf(INIT, "Never");
        KC_CLEANUP(kc_json_freep) struct json_object *pod = pod_of(spec);
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        rt_container(rt, "i1", "x0", "s0", KC_STATE_EXITED, 1, 0);
        expect(pod, rt, " pod");
}

static void test_init_again_in_new_sandbox(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *spec = kc_asprintf(INIT, "Always");
        KC_CLEANUP(kc_json_freep) struct json_object *pod = pod_of(spec);
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, false, NULL);
        rt_sandbox(rt, "s1", 1, true, "10.0.0.2");
        rt_container(rt, "i1", "x0", "s0", KC_STATE_EXITED, 0, 0);
        rt_container(rt, "i2", "x1", "s0", KC_STATE_EXITED, 0, 0);
        rt_container(rt, "a", "a0", "s0", KC_STATE_EXITED, 137, 0);
        expect(pod, rt, "start:i1");
}

#define SIDECAR                                                                                                        \
        "{'restartPolicy':'Always','initContainers':[{'name':'s','image':'i','restartPolicy':'Always',"                \
        "'startupProbe':{}},{'name':'i','image':'i'}],'containers':[{'name':'a','image':'i'}]}"

static void test_sidecar(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *pod = pod_of(SIDECAR);
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        rt_container(rt, "s", "side0", "s0", KC_STATE_RUNNING, 0, 0);
        expect(pod, rt, ""); /* waits for the startup probe */
        started_id = "side0";
        expect(pod, rt, "start:i");
        rt_container(rt, "i", "init0", "s0", KC_STATE_EXITED, 0, 1);
        expect(pod, rt, "start:a");
        rt_container(rt, "a", "a0", "s0", KC_STATE_RUNNING, 0, 2);
        expect(pod, rt, "");
        ((struct kc_rt_container *)kc_pod_runtime_container(rt, "s"))->state = KC_STATE_EXITED;
        expect(pod, rt, "start:s");
}

static void test_restart_rules_of_container(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = pod_of("{'restartPolicy':'Never','containers':[{'name':'a','image':'i','"
                                         "restartPolicy':'Never','restartPolicyRules':[{"
                                         "'action':'Restart','exitCodes':{'operator':'In','values':[42]}}]}]}");
        KC_CLEANUP(kc_pod_runtime_unrefp) struct kc_pod_runtime *rt = rt_new();
        rt_sandbox(rt, "s0", 0, true, "10.0.0.2");
        struct kc_rt_container *c = rt_container(rt, "a", "a0", "s0", KC_STATE_EXITED, 42, 0);
        expect(pod, rt, "start:a");
        c->exit_code = 1;
        expect(pod, rt, " pod");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup(test_new_pod, reset),
            cmocka_unit_test_setup(test_all_running, reset),
            cmocka_unit_test_setup(test_ended_container_by_policy, reset),
            cmocka_unit_test_setup(test_dead_sandbox, reset),
            cmocka_unit_test_setup(test_two_ready_sandboxes, reset),
            cmocka_unit_test_setup(test_sandbox_without_address, reset),
            cmocka_unit_test_setup(test_failed_liveness_probe, reset),
            cmocka_unit_test_setup(test_changed_image, reset),
            cmocka_unit_test_setup(test_init_containers_in_order, reset),
            cmocka_unit_test_setup(test_init_failure_ends_pod_that_never_restarts, reset),
            cmocka_unit_test_setup(test_init_again_in_new_sandbox, reset),
            cmocka_unit_test_setup(test_sidecar, reset),
            cmocka_unit_test_setup(test_restart_rules_of_container, reset),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

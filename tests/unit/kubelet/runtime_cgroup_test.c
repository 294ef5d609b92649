/* Removal of pod cgroups, on a directory that stands for /sys/fs/cgroup: a file in it keeps a "cgroup" from being
 * removed, as a process does in the real one. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/str.h"
#include "kubelet/runtime/runtime_internal.h"

static char fs[64];
static struct kc_runtime runtime;

static char *path(const char *rest)
{
        return kc_path_join(fs, rest);
}

static void put(const char *rest, const char *text)
{
        KC_CLEANUP(kc_freep) char *file = path(rest);
        KC_CLEANUP(kc_freep) char *dir = kc_strndup(file, (size_t)(strrchr(file, '/') - file));
        assert_int_equal(kc_mkdir_p(dir, 0755, NULL), 0);
        assert_int_equal(kc_file_write_atomic(file, text, strlen(text), 0644, NULL), 0);
}

static bool exists(const char *rest)
{
        KC_CLEANUP(kc_freep) char *p = path(rest);
        return kc_path_exists(p);
}

static int setup(void **state)
{
        (void)state;
        strcpy(fs, "/tmp/kubec-cgroup-test.XXXXXX");
        assert_non_null(mkdtemp(fs));
        put("cgroup.controllers", "cpu memory\n");
        runtime = (struct kc_runtime){.o = {.cgroup_fs = fs, .cgroup_root = "/kubepods", .cgroup_driver = "cgroupfs"}};
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        return kc_rm_rf(fs, NULL);
}

static void test_a_tree_goes(void **state)
{
        KC_CLEANUP(kc_freep) char *child = path("kubepods/burstable/podu1/c1/deep");
        (void)state;
        assert_int_equal(kc_mkdir_p(child, 0755, NULL), 0);
        assert_int_equal(kc_runtime_remove_cgroup(&runtime, "u1", "Burstable", NULL), 0);
        assert_false(exists("kubepods/burstable/podu1"));
        assert_true(exists("kubepods/burstable"));
        assert_int_equal(kc_runtime_remove_cgroup(&runtime, "u1", "Burstable", NULL), 0); /* nothing there: fine */
}

/* Nobody is in it, but the kernel still holds it: an error, to be tried again. */
static void test_an_empty_one_that_stays(void **state)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)state;
        put("kubepods/podu2/cgroup.procs", "");
        assert_int_equal(kc_runtime_remove_cgroup(&runtime, "u2", "Guaranteed", &err), -ENOTEMPTY);
        assert_non_null(strstr(kc_error_message(&err), "kubepods/podu2"));
}

static void test_processes_left_are_killed(void **state)
{
        char text[64];
        int status;
        pid_t pid = fork();
        (void)state;
        if (pid == 0)
                for (;;)
                        pause();
        assert_true(pid > 0);
        (void)snprintf(text, sizeof(text), "%d\n", (int)pid);
        put("kubepods/besteffort/podu3/cgroup.procs", text);
        assert_int_equal(kc_runtime_remove_cgroup(&runtime, "u3", "BestEffort", NULL), -ENOTEMPTY);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_v1_has_a_tree_for_each_controller(void **state)
{
        KC_CLEANUP(kc_freep) char *marker = path("cgroup.controllers");
        KC_CLEANUP(kc_freep) char *cpu = path("cpu/kubepods/podu4"), *memory = path("memory/kubepods/podu4/c");
        (void)state;
        assert_int_equal(unlink(marker), 0);
        assert_int_equal(kc_mkdir_p(cpu, 0755, NULL), 0);
        assert_int_equal(kc_mkdir_p(memory, 0755, NULL), 0);
        assert_int_equal(kc_runtime_remove_cgroup(&runtime, "u4", "Guaranteed", NULL), 0);
        assert_false(exists("cpu/kubepods/podu4"));
        assert_false(exists("memory/kubepods/podu4"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_a_tree_goes, setup, teardown),
            cmocka_unit_test_setup_teardown(test_an_empty_one_that_stays, setup, teardown),
            cmocka_unit_test_setup_teardown(test_processes_left_are_killed, setup, teardown),
            cmocka_unit_test_setup_teardown(test_v1_has_a_tree_for_each_controller, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Files, trees and programs, in a temporary directory. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"

static char dir[64];
static struct kc_error err;

static int setup(void **state)
{
        (void)state;
        strcpy(dir, "/tmp/kubec-test-XXXXXX");
        return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
        (void)state;
        kc_error_done(&err);
        return kc_rm_rf(dir, NULL);
}

static void test_write_and_read(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, "f");
        struct kc_buf b = KC_BUF_INIT;
        struct stat st;
        assert_int_equal(kc_file_write_atomic(path, "hello", 5, 0640, &err), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        kc_buf_adds(&b, "> ");
        assert_int_equal(kc_file_read(path, 5, &b, &err), 0);
        assert_string_equal(b.data, "> hello");
        assert_int_equal(kc_file_write_atomic(path, "hi", 2, 0600, &err), 0);
        assert_int_equal(kc_file_read(path, 2, &b, &err), 0);
        assert_string_equal(b.data, "> hellohi");
        b.len -= 2;
        assert_int_equal(kc_file_read(path, 1, &b, &err), -EFBIG);
        assert_string_equal(b.data, "> hello");
        assert_int_equal(kc_file_read("/nowhere/f", 10, &b, &err), -ENOENT);
        assert_string_equal(kc_error_message(&err), "open /nowhere/f: no such file or directory");
        assert_int_equal(kc_file_read(dir, 10, &b, &err), -EISDIR);
        assert_int_equal(kc_file_write_atomic("/nowhere/f", "x", 1, 0600, &err), -ENOENT);
        kc_buf_reset(&b);
        assert_int_equal(kc_file_read("/proc/self/stat", 4096, &b, &err), 0);
        assert_true(b.len > 10);
        kc_buf_done(&b);
        /* A failed replacement leaves no temporary file. */
        KC_CLEANUP(kc_freep) char *sub = kc_path_join(dir, "sub");
        assert_int_equal(mkdir(sub, 0700), 0);
        assert_int_equal(kc_file_write_atomic(sub, "x", 1, 0600, &err), -EISDIR);
        KC_CLEANUP(kc_freep) char *command = kc_asprintf("test $(ls %s | wc -l) = 2", dir);
        assert_int_equal(system(command), 0);
}

static void test_paths(void **state)
{
        (void)state;
        static const char *const cases[][3] = {
            {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a", "/b", "a/b"}, {"a//", "//b", "a/b"}, {"/", "b", "/b"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep) char *p = kc_path_join(cases[i][0], cases[i][1]);
                assert_string_equal(p, cases[i][2]);
        }
        KC_CLEANUP(kc_freep) char *deep = kc_path_join(dir, "a/b//c/");
        assert_int_equal(kc_mkdir_p(deep, 0755, &err), 0);
        assert_int_equal(kc_mkdir_p(deep, 0755, &err), 0);
        assert_true(kc_path_exists(deep));
        KC_CLEANUP(kc_freep) char *file = kc_path_join(dir, "f");
        KC_CLEANUP(kc_freep) char *below = kc_path_join(file, "x");
        assert_int_equal(kc_file_write_atomic(file, "", 0, 0600, &err), 0);
        assert_int_equal(kc_mkdir_p(file, 0755, &err), -ENOTDIR);
        assert_int_equal(kc_mkdir_p(below, 0755, &err), -ENOTDIR);
        assert_false(kc_path_exists(below));
}

static void test_rm_rf(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *outside = kc_path_join(dir, "outside/keep");
        KC_CLEANUP(kc_freep) char *tree = kc_path_join(dir, "tree");
        KC_CLEANUP(kc_freep) char *sub = kc_path_join(tree, "a/b");
        KC_CLEANUP(kc_freep) char *link_path = kc_path_join(tree, "link");
        KC_CLEANUP(kc_freep) char *file = kc_path_join(sub, "f");
        assert_int_equal(kc_mkdir_p(outside, 0755, &err), 0);
        assert_int_equal(kc_mkdir_p(sub, 0755, &err), 0);
        assert_int_equal(kc_file_write_atomic(file, "x", 1, 0400, &err), 0);
        assert_int_equal(symlink("../outside", link_path), 0);
        assert_int_equal(kc_rm_rf(tree, &err), 0);
        assert_false(kc_path_exists(tree));
        assert_true(kc_path_exists(outside));
        assert_int_equal(kc_rm_rf(tree, &err), 0);
        /* A link itself, and a single file. */
        KC_CLEANUP(kc_freep) char *l = kc_path_join(dir, "l");
        assert_int_equal(symlink("outside", l), 0);
        assert_int_equal(kc_rm_rf(l, &err), 0);
        assert_true(kc_path_exists(outside));
        assert_int_equal(kc_rm_rf("/proc/version", &err), -EPERM);
}

/* Deeper than descriptors or path names reach. */
static void test_rm_rf_deep(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *tree = kc_path_join(dir, "deep");
        assert_int_equal(mkdir(tree, 0700), 0);
        int at = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(at >= 0);
        for (int i = 0; i < 3000; i++) {
                assert_int_equal(mkdirat(at, "d", 0700), 0);
                int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(next >= 0);
                close(at);
                at = next;
        }
        close(at);
        assert_int_equal(kc_rm_rf(tree, &err), 0);
        assert_false(kc_path_exists(tree));
}

/* Volumes of pods are mounts: what is in them must survive the removal of the pod's directory. */
static void test_rm_rf_stops_at_mounts(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *tree = kc_path_join(dir, "pod");
        KC_CLEANUP(kc_freep) char *source = kc_path_join(dir, "source");
        KC_CLEANUP(kc_freep) char *kept = kc_path_join(source, "kept");
        KC_CLEANUP(kc_freep) char *volume = kc_path_join(tree, "volume");
        assert_int_equal(kc_mkdir_p(volume, 0700, &err), 0);
        assert_int_equal(kc_mkdir_p(kept, 0700, &err), 0);
        /* A bind mount: on the same device. */
        if (mount(source, volume, NULL, MS_BIND, NULL) < 0)
                skip(); /* not privileged */
        int r = kc_rm_rf(tree, &err);
        assert_int_equal(umount(volume), 0);
        assert_int_equal(r, -EBUSY);
        assert_true(kc_path_exists(kept));
        assert_int_equal(kc_rm_rf(tree, &err), 0);
        assert_false(kc_path_exists(tree));
}

/* --- Programs */

static int run(
    const char *script, const struct kc_proc_opts *opts, int *status, struct kc_buf *out, struct kc_buf *errs)
{
        char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)script, NULL};
        return kc_proc_run(argv, opts, status, out, errs, &err);
}

static void test_proc(void **state)
{
        (void)state;
        struct kc_buf out = KC_BUF_INIT, errs = KC_BUF_INIT;
        int status = -1;
        kc_buf_adds(&out, "> ");
        assert_int_equal(run("echo out; echo err >&2; exit 3", NULL, &status, &out, &errs), 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
        assert_string_equal(out.data, "> out\n");
        assert_string_equal(errs.data, "err\n");
        assert_int_equal(run("kill -9 $$", NULL, &status, NULL, NULL), 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        char *missing[] = {(char *)(uintptr_t) "/no/such/program", NULL};
        assert_int_equal(kc_proc_run(missing, NULL, &status, NULL, NULL, &err), -ENOENT);
        assert_string_equal(kc_error_message(&err), "start /no/such/program: No such file or directory");
        kc_buf_done(&out);
        kc_buf_done(&errs);
}

static void test_proc_input_and_env(void **state)
{
        (void)state;
        struct kc_buf out = KC_BUF_INIT, big = KC_BUF_INIT;
        char *env[] = {(char *)(uintptr_t) "X=y z", NULL};
        int status;
        for (int i = 0; i < 200000; i++)
                kc_buf_addc(&big, (char)('a' + i % 26));
        struct kc_proc_opts opts = {.input = big.data, .input_len = big.len, .env = env};
        assert_int_equal(run("cat; echo \"$X\"", &opts, &status, &out, NULL), 0);
        assert_int_equal(out.len, big.len + 4);
        assert_memory_equal(out.data, big.data, big.len);
        assert_string_equal(out.data + big.len, "y z\n");
        kc_buf_reset(&out);
        assert_int_equal(run("cat | wc -c; true", NULL, &status, &out, NULL), 0);
        assert_string_equal(out.data, "0\n");
        /* A program that does not read its input. */
        assert_int_equal(run("exit 0", &opts, &status, NULL, NULL), 0);
        assert_int_equal(status, 0);
        kc_buf_done(&out);
        kc_buf_done(&big);
}

static void test_proc_limits(void **state)
{
        (void)state;
        struct kc_buf out = KC_BUF_INIT;
        struct kc_proc_opts slow = {.timeout_ms = 50}, small = {.max_output = 1000};
        int status;
        assert_int_equal(run("sleep 1000 & sleep 1000", &slow, &status, &out, NULL), -ETIMEDOUT);
        assert_string_equal(kc_error_message(&err), "sh did not end in time");
        assert_int_equal(run("yes", &small, &status, &out, NULL), -EMSGSIZE);
        assert_int_equal(out.len <= 1000, 1);
        /* Discarded output has no limit. */
        assert_int_equal(run("head -c 100000 /dev/zero", &small, &status, NULL, NULL), 0);
        kc_buf_done(&out);
}

/* What a program leaves running in the background holds the pipes open; it is not waited for. */
static void test_proc_background(void **state)
{
        (void)state;
        struct kc_buf out = KC_BUF_INIT;
        int status;
        assert_int_equal(run("sleep 1000 & echo $!", NULL, &status, &out, NULL), 0);
        int64_t pid;
        KC_CLEANUP(kc_freep) char *text = kc_str_trim(out.data);
        assert_int_equal(kc_str_to_i64(text, &pid), 0);
        assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
        kc_buf_done(&out);
}

/* Whatever the daemon ignores or blocks, its children start afresh. */
static void test_proc_signals(void **state)
{
        (void)state;
        sigset_t all, old;
        int status;
        sigfillset(&all);
        void (*was)(int) = signal(SIGPIPE, SIG_IGN);
        sigprocmask(SIG_BLOCK, &all, &old);
        assert_int_equal(run("kill -PIPE $$; exit 0", NULL, &status, NULL, NULL), 0);
        sigprocmask(SIG_SETMASK, &old, NULL);
        signal(SIGPIPE, was);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(test_write_and_read),
            TEST(test_paths),
            TEST(test_rm_rf),
            TEST(test_rm_rf_deep),
            TEST(test_rm_rf_stops_at_mounts),
            TEST(test_proc),
            TEST(test_proc_input_and_env),
            TEST(test_proc_limits),
            TEST(test_proc_background),
            TEST(test_proc_signals),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

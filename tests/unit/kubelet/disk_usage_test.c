/* What a tree takes: names that a container may choose. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "kubelet/disk_usage.h"

enum { SIZE = 1 << 20, DEEP = 5000 };

static char root[64];

static int make_root(void **state)
{
        (void)state;
        snprintf(root, sizeof(root), "%s/disk-usage.XXXXXX",
            getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 40 ? getenv("TMPDIR") : "/tmp");
        return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
        (void)state;
        return kc_rm_rf(root, NULL);
}

static void write_file(int dir, const char *name)
{
        static char data[SIZE];
        memset(data, 'x', sizeof(data));
        KC_CLEANUP(kc_closep) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
        assert_int_equal(fsync(fd), 0);
}

static uint64_t usage(const char *path)
{
        uint64_t bytes = 0;
        assert_int_equal(kc_disk_usage(path, &bytes), 0);
        return bytes;
}

static void files_count_once(void **state)
{
        (void)state;
        KC_CLEANUP(kc_closep) int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        uint64_t before = usage(root);
        assert_true(before < SIZE);
        write_file(dir, "a");
        assert_int_equal(linkat(dir, "a", dir, "b", 0), 0);
        assert_int_equal(mkdirat(dir, "d", 0700), 0);
        assert_int_equal(linkat(dir, "a", dir, "d/c", 0), 0);
        uint64_t one = usage(root) - before;
        assert_true(one >= SIZE && one < 2 * SIZE);
        write_file(dir, "d/e");
        assert_true(usage(root) - before >= 2 * SIZE);
        assert_true(usage(root) - before < 3 * SIZE);
}

static void links_are_not_followed(void **state)
{
        (void)state;
        KC_CLEANUP(kc_closep) int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(symlinkat("/usr", dir, "usr"), 0);
        assert_int_equal(symlinkat("..", dir, "up"), 0);
        assert_true(usage(root) < SIZE);
        KC_CLEANUP(kc_freep) char *link = kc_path_join(root, "usr");
        assert_true(usage(link) < SIZE);
        KC_CLEANUP(kc_freep) char *absent = kc_path_join(root, "absent");
        uint64_t bytes;
        assert_int_equal(kc_disk_usage(absent, &bytes), -ENOENT);
}

/* Deeper than a path may be long, and than files may be open. */
static void nothing_hides_in_the_deep(void **state)
{
        (void)state;
        int at = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (int i = 0; i < DEEP; i++) {
                assert_int_equal(mkdirat(at, "directory", 0700), 0);
                int next = openat(at, "directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                close(at);
                at = next;
        }
        write_file(at, "a");
        close(at);
        assert_true(usage(root) >= SIZE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(files_count_once, make_root, remove_root),
            cmocka_unit_test_setup_teardown(links_are_not_followed, make_root, remove_root),
            cmocka_unit_test_setup_teardown(nothing_hides_in_the_deep, make_root, remove_root),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

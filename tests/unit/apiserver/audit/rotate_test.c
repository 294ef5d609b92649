/* The audit log's file when the disk is full. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/sink.h"
#include "base/file.h"

static void room_for(rlim_t bytes)
{
        struct rlimit l;
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
        l.rlim_cur = bytes;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void is(const char *path, const char *content)
{
        struct kc_buf b = KC_BUF_INIT;
        assert_int_equal(kc_file_read(path, 1000, &b, NULL), 0);
        assert_string_equal(kc_buf_str(&b), content);
        kc_buf_done(&b);
}

static void test_full_disk(void **state)
{
        (void)state;
        char dir[] = "/tmp/kubec-rotate.XXXXXX", path[64];
        const struct kc_rotation rotation = {.max_size = 1000};
        struct kc_rotated_file *f;
        struct kc_error err = KC_ERROR_INIT;
        assert_non_null(mkdtemp(dir));
        (void)snprintf(path, sizeof(path), "%s/audit.log", dir);
        assert_int_equal(kc_rotated_file_open(path, &rotation, &f, NULL), 0);
        assert_int_equal(kc_rotated_file_write(f, "first\n", 6, NULL), 0);
        room_for(10);
        assert_true(kc_rotated_file_write(f, "second\n", 7, &err) < 0);
        is(path, "first\n"); /* no half of a line, which the next would be glued to */
        kc_error_done(&err);
        assert_int_equal(unlink(path), 0); /* how room is made */
        assert_int_equal(kc_rotated_file_write(f, "third\n", 6, NULL), 0);
        is(path, "third\n");
        room_for(RLIM_INFINITY);
        kc_rotated_file_free(f);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_full_disk)};
        (void)signal(SIGXFSZ, SIG_IGN); /* EFBIG instead */
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What exec and cp read from the other side: tar archives, the end of a command. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "cli/stream/remote.h"
#include "cli/stream/tar.h"

struct input {
        const char *data;
        size_t len, at;
};

static int64_t take(char *buf, size_t len, void *arg)
{
        struct input *in = arg;
        size_t n = KC_MIN(len, in->len - in->at);
        memcpy(buf, in->data + in->at, n);
        in->at += n;
        return (int64_t)n;
}

static void check_round_trip(const char *name, const char *link, enum kc_tar_type type, int64_t size)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *name_copy = kc_strdup(name);
        KC_CLEANUP(kc_freep) char *link_copy = kc_strdup(link);
        struct kc_tar_entry e = {
            .name = name_copy, .link = link_copy, .type = type, .mode = 0640, .size = size, .mtime = 1700000000};
        kc_tar_add_header(&b, &e);
        struct input in = {b.data, b.len, 0};
        KC_CLEANUP(kc_tar_entry_done) struct kc_tar_entry got = {0};
        assert_int_equal(kc_tar_next(take, &in, &got, NULL), 1);
        assert_string_equal(got.name, name);
        assert_int_equal(got.type, type);
        assert_int_equal(got.mode, 0640);
        assert_int_equal(got.size, size);
        assert_int_equal(got.mtime, 1700000000);
        if (link)
                assert_string_equal(got.link, link);
        assert_int_equal(in.at, b.len);
}

static void test_entries_come_back(void **state)
{
        (void)state;
        char deep[200], flat[200], longest[600];
        memset(deep, 'd', sizeof(deep));
        deep[120] = '/';
        deep[199] = '\0';
        memset(flat, 'f', sizeof(flat));
        flat[199] = '\0';
        memset(longest, 'x', sizeof(longest));
        longest[599] = '\0';
        check_round_trip("a", NULL, KC_TAR_FILE, 12345);
        check_round_trip("dir/", NULL, KC_TAR_DIR, 0);
        check_round_trip("l", "target", KC_TAR_SYMLINK, 0);
        check_round_trip(deep, NULL, KC_TAR_FILE, 1); /* by the prefix */
        check_round_trip(flat, NULL, KC_TAR_FILE, 1); /* by pax */
        check_round_trip("l", longest, KC_TAR_SYMLINK, 0);
}

static void test_ends_and_broken_archives(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        struct kc_tar_entry got = {0};
        struct kc_error err = KC_ERROR_INIT;
        struct input nothing = {"", 0, 0};
        assert_int_equal(kc_tar_next(take, &nothing, &got, NULL), 0);
        kc_tar_add_end(&b);
        struct input end = {b.data, b.len, 0};
        assert_int_equal(kc_tar_next(take, &end, &got, NULL), 0);
        struct input cut = {"x", 1, 0};
        assert_true(kc_tar_next(take, &cut, &got, &err) < 0);
        assert_string_equal(kc_error_message(&err), "unexpected EOF");
        char garbage[KC_TAR_BLOCK];
        memset(garbage, 'g', sizeof(garbage));
        struct input bad = {garbage, sizeof(garbage), 0};
        assert_true(kc_tar_next(take, &bad, &got, &err) < 0);
        assert_string_equal(kc_error_message(&err), "archive/tar: invalid tar header");
        assert_int_equal(kc_tar_padding(0), 0);
        assert_int_equal(kc_tar_padding(1), 511);
        assert_int_equal(kc_tar_padding(512), 0);
        kc_error_done(&err);
}

static int decode(const char *text, int *code, struct kc_error *err)
{
        *code = -1;
        return kc_remote_decode_status(text, strlen(text), code, err);
}

static void test_the_end_of_a_command(void **state)
{
        (void)state;
        int code;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(decode("{\"status\":\"Success\"}", &code, &err), 0);
        assert_int_equal(code, 0);
        assert_int_equal(decode("{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":["
                                "{\"reason\":\"ExitCode\",\"message\":\"137\"}]}}",
                             &code, &err),
            0);
        assert_int_equal(code, 137);
        assert_true(decode("{\"status\":\"Failure\",\"message\":\"no such container\"}", &code, &err) < 0);
        assert_string_equal(kc_error_message(&err), "no such container");
        assert_true(decode("{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\"}", &code, &err) < 0);
        assert_string_equal(kc_error_message(&err), "error stream protocol error: details must be set");
        assert_true(decode("{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":{}}", &code, &err) < 0);
        assert_string_equal(kc_error_message(&err), "error stream protocol error: no ExitCode cause given");
        assert_true(decode("{}", &code, &err) < 0);
        assert_string_equal(kc_error_message(&err), "error stream protocol error: unknown error");
        assert_true(decode("nonsense", &code, &err) < 0);
        assert_true(kc_str_has_prefix(kc_error_message(&err), "error stream protocol error: "));
        kc_error_done(&err);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_entries_come_back),
            cmocka_unit_test(test_ends_and_broken_archives),
            cmocka_unit_test(test_the_end_of_a_command),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Errors and log lines. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

static void test_set_and_wrap(void **state)
{
        (void)state;
        struct kc_error err = KC_ERROR_INIT;
        assert_string_equal(kc_error_message(&err), "no error");
        assert_string_equal(kc_error_message(NULL), "no error");
        assert_int_equal(kc_error_set(&err, ENOENT, "open %s", "/x"), -ENOENT);
        assert_int_equal(kc_error_wrap(&err, "read config %d", 1), -ENOENT);
        assert_string_equal(kc_error_message(&err), "read config 1: open /x");
        assert_int_equal(kc_error_set(&err, -EINVAL, "again: %s", err.message), -EINVAL);
        assert_string_equal(err.message, "again: read config 1: open /x");
        assert_int_equal(kc_error_set(NULL, EPERM, "x"), -EPERM);
        assert_int_equal(kc_error_wrap(NULL, "x"), -EIO);
        assert_int_equal(kc_error_set(&err, 0, "x"), -EIO);
        kc_error_done(&err);
        err.errnum = ENOENT;
        assert_string_equal(kc_error_message(&err), "No such file or directory");
        kc_error_done(&err);
        kc_error_done(NULL);
}

static void test_api_errors(void **state)
{
        (void)state;
        static const struct {
                const char *reason;
                int errnum;
        } cases[] = {
            {"NotFound", ENOENT},
            {"AlreadyExists", EEXIST},
            {"Conflict", EAGAIN},
            {"Forbidden", EACCES},
            {"Unauthorized", EPERM},
            {"Invalid", EINVAL},
            {"BadRequest", EINVAL},
            {"Gone", ESTALE},
            {"Expired", ESTALE},
            {"Timeout", ETIMEDOUT},
            {"ServerTimeout", ETIMEDOUT},
            {"TooManyRequests", EBUSY},
            {"RequestEntityTooLarge", EMSGSIZE},
            {"ServiceUnavailable", EHOSTUNREACH},
            {"InternalError", EIO},
            {"MadeUp", EIO},
        };
        struct kc_error err = KC_ERROR_INIT;
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                char *reason = kc_strdup(cases[i].reason);
                assert_int_equal(kc_error_set_api(&err, 400, reason, "pods \"%s\"", "a"), -cases[i].errnum);
                kc_free(reason); /* interned */
                assert_true(kc_error_is(&err, cases[i].reason));
                assert_int_equal(err.code, 400);
                assert_string_equal(err.message, "pods \"a\"");
        }
        for (int i = 0; i < 300; i++) {
                char reason[16];
                snprintf(reason, sizeof(reason), "R%d", i);
                kc_error_set_api(&err, 500, reason, "x");
        }
        assert_true(kc_error_is(&err, "Unknown"));
        assert_false(kc_error_is(NULL, "Unknown"));
        kc_error_done(&err);
        assert_false(kc_error_is(&err, "Unknown"));
}

static void test_details_move_copy(void **state)
{
        (void)state;
        struct kc_error a = KC_ERROR_INIT, b = KC_ERROR_INIT, c = KC_ERROR_INIT;
        kc_error_set_api(&a, 422, KC_REASON_INVALID, "invalid");
        kc_error_details(&a)->name = kc_strdup("web");
        kc_error_add_cause(&a, "FieldValueRequired", "spec.containers", "Required value");
        kc_error_add_cause(&a, "FieldValueInvalid", "metadata.name", NULL);
        kc_error_add_cause(NULL, "x", "y", "z");
        kc_error_wrap(&a, "create");
        kc_error_set(&b, EIO, "old");
        kc_error_copy(&b, &a);
        kc_error_move(&c, &a);
        assert_int_equal(a.errnum, 0);
        assert_null(a.details);
        kc_error_done(&c);
        assert_string_equal(b.message, "create: invalid");
        assert_int_equal(b.code, 422);
        assert_string_equal(b.details->name, "web");
        assert_int_equal(b.details->n_causes, 2);
        assert_string_equal(b.details->causes[0].field, "spec.containers");
        assert_null(b.details->causes[1].message);
        kc_error_move(NULL, &b);
        assert_null(b.message);
        kc_error_copy(NULL, &b);
}

/* --- Log lines */

static char line[KC_LOG_LINE_MAX + 64];
static int pipe_fds[2];

static int setup(void **state)
{
        (void)state;
        if (pipe(pipe_fds) < 0)
                return -1;
        kc_log_set_fd(pipe_fds[1]);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        kc_log_set_fd(2);
        kc_log_set_verbosity(0);
        kc_closep(&pipe_fds[0]);
        kc_closep(&pipe_fds[1]);
        return kc_log_set_format("text");
}

/* The one line that was written; its length. */
static size_t get_line(void)
{
        ssize_t n = read(pipe_fds[0], line, sizeof(line) - 1);
        assert_true(n > 0);
        line[n] = '\0';
        assert_int_equal(line[n - 1], '\n');
        assert_ptr_equal(strchr(line, '\n'), line + n - 1);
        return (size_t)n;
}

static void test_text_line(void **state)
{
        (void)state;
        int month, day, h, m, s, us, pid, at = 0;
        kc_log_info("Serving \"securely\"", "address", "127.0.0.1:6443", "none", NULL, "n", kc_log_i64(-5));
        get_line();
        assert_int_equal(
            sscanf(line, "I%2d%2d %2d:%2d:%2d.%6d %d error_log_test.c:%n", &month, &day, &h, &m, &s, &us, &pid, &at),
            7);
        assert_int_equal(pid, getpid());
        assert_non_null(strstr(line, "] \"Serving \\\"securely\\\"\" address=\"127.0.0.1:6443\" none=\"\" n=\"-5\"\n"));
}

static void test_escapes(void **state)
{
        (void)state;
        kc_log_warn("x", "k", "a\nb\t\x01\xff\x7f\xc3\xa9\\");
        get_line();
        assert_int_equal(line[0], 'W');
        assert_non_null(strstr(line, "k=\"a\\nb\\t\\x01\\xff\\x7f\xc3\xa9\\\\\"\n"));
        assert_int_equal(kc_log_set_format("json"), 0);
        kc_log_warn("x", "k", "a\nb\t\x01\xff\xc3\xa9\\");
        get_line();
        assert_non_null(strstr(line, "\"msg\":\"x\",\"v\":0,\"k\":\"a\\nb\\t\\u0001\\ufffd\xc3\xa9\\\\\"}\n"));
}

static void test_errors(void **state)
{
        (void)state;
        struct kc_error err = KC_ERROR_INIT;
        kc_error_set(&err, ENOENT, "no such \"file\"");
        kc_log_error(&err, "Failed", "pod", "a/b");
        get_line();
        assert_int_equal(line[0], 'E');
        assert_non_null(strstr(line, "] \"Failed\" err=\"no such \\\"file\\\"\" pod=\"a/b\"\n"));
        assert_int_equal(kc_log_set_format("json"), 0);
        errno = EAGAIN;
        kc_log_error(&err, "Failed", "pod", "a/b");
        assert_int_equal(errno, EAGAIN);
        get_line();
        assert_memory_equal(line, "{\"ts\":1", 7);
        assert_non_null(strstr(line, "\"msg\":\"Failed\",\"err\":\"no such \\\"file\\\"\",\"pod\":\"a/b\"}\n"));
        kc_error_done(&err);
}

static void test_verbosity_and_format(void **state)
{
        (void)state;
        int n = 0;
        kc_log_set_verbosity(2);
        kc_log_v(3, "hidden", "n", kc_log_i64(++n));
        assert_int_equal(n, 0);
        kc_log_v(2, "shown", "n", kc_log_i64(++n));
        get_line();
        assert_non_null(strstr(line, "\"shown\" n=\"1\"\n"));
        assert_int_equal(kc_log_verbosity(), 2);
        assert_int_equal(kc_log_set_format("xml"), -EINVAL);
        assert_int_equal(kc_log_set_format(NULL), -EINVAL);
}

static void test_truncation(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *text = kc_malloc(20001);
        memset(text, 'x', 20000);
        text[20000] = '\0';
        kc_log_info("Long", "k", text, "k2", "v");
        assert_true(get_line() <= KC_LOG_LINE_MAX);
        assert_string_equal(line + strlen(line) - 16, "x...(truncated)\n");
        assert_int_equal(kc_log_set_format("json"), 0);
        kc_log_info("Long", "k", text, "k2", "v");
        assert_true(get_line() <= KC_LOG_LINE_MAX);
        assert_string_equal(line + strlen(line) - 18, "x...(truncated)\"}\n");
        /* Cut at every place: the line stays whole JSON. */
        for (size_t len = 8000; len < KC_LOG_LINE_MAX; len++) {
                text[len] = '\0';
                kc_log_info("Long", "k", text, "key", "\n");
                assert_true(get_line() <= KC_LOG_LINE_MAX);
                size_t quotes = 0;
                for (const char *p = line; *p; p++)
                        quotes += *p == '"' && p[-1] != '\\';
                assert_int_equal(quotes % 2, 0);
                assert_string_equal(line + strlen(line) - 2, "}\n");
                text[len] = 'x';
        }
}

static void test_ring(void **state)
{
        (void)state;
        const char *v[8];
        for (int i = 0; i < 8; i++)
                v[i] = kc_log_fmt("v%d", i);
        for (int i = 0; i < 8; i++) {
                char want[16];
                snprintf(want, sizeof(want), "v%d", i);
                assert_string_equal(v[i], want);
        }
        assert_int_equal(strlen(kc_log_fmt("%300d", 1)), 256);
        assert_string_equal(kc_log_i64(INT64_MIN), "-9223372036854775808");
}

#define LOG_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_set_and_wrap),
            cmocka_unit_test(test_api_errors),
            cmocka_unit_test(test_details_move_copy),
            LOG_TEST(test_text_line),
            LOG_TEST(test_escapes),
            LOG_TEST(test_errors),
            LOG_TEST(test_verbosity_and_format),
            LOG_TEST(test_truncation),
            cmocka_unit_test(test_ring),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

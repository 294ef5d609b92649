/* The reader of CRI logs: formats, selections, limits, following and rotation. */
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

#include "base/file.h"
#include "base/mem.h"
#include "kubelet/logs/logs.h"

static const char *const text = "2026-11-21T12:00:00.1Z stdout F one\n"
                                "2026-11-21T12:00:01.123456789Z stderr F two\n"
                                "not a log line\n"
                                "2026-11-21T12:00:02Z stdout P thr\n"
                                "2026-11-21T12:00:02.5Z stdout F ee\n"
                                "2026-11-21T12:00:03.000000001+02:00 stdout F\n";

struct world {
        char dir[64], *path;
};

static void append(const char *path, const char *s)
{
        KC_CLEANUP(kc_closep) int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        assert_int_equal(write(fd, s, strlen(s)), (ssize_t)strlen(s));
}

static void world_init(struct world *w)
{
        snprintf(w->dir, sizeof(w->dir), "/tmp/kubec-logs-XXXXXX");
        assert_non_null(mkdtemp(w->dir));
        w->path = kc_path_join(w->dir, "0.log");
        append(w->path, text);
}

static void world_done(struct world *w)
{
        assert_int_equal(kc_rm_rf(w->dir, NULL), 0);
        kc_free(w->path);
}

static void assert_log(struct world *w, struct kc_log_opts o, const char *expected)
{
        KC_CLEANUP(kc_log_reader_freep) struct kc_log_reader *r = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        bool hit;
        assert_int_equal(kc_log_reader_open(w->path, &o, &r, NULL), 0);
        while (kc_log_reader_read(r, &b, 4, &hit, NULL) > 0)
                continue;
        assert_string_equal(kc_buf_str(&b), expected);
        assert_int_equal(hit, o.limit_bytes == (int64_t)strlen(expected));
}

#define ALL .tail_lines = -1, .limit_bytes = -1

static void test_formats(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        assert_log(&w, (struct kc_log_opts){ALL}, "one\ntwo\nthree\n\n");
        assert_log(&w, (struct kc_log_opts){ALL, .stream = "Stderr"}, "two\n");
        assert_log(&w, (struct kc_log_opts){ALL, .timestamps = true},
            "2026-11-21T12:00:00.100000000Z one\n2026-11-21T12:00:01.123456789Z two\n"
            "2026-11-21T12:00:02.000000000Z three\n2026-11-21T12:00:03.000000001+02:00 \n");
        world_done(&w);
}

static void test_selections(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        assert_log(&w, (struct kc_log_opts){.tail_lines = 3, .limit_bytes = -1}, "three\n\n");
        assert_log(&w, (struct kc_log_opts){.tail_lines = 100, .limit_bytes = -1}, "one\ntwo\nthree\n\n");
        assert_log(&w, (struct kc_log_opts){.tail_lines = 0, .limit_bytes = -1}, "");
        assert_log(&w, (struct kc_log_opts){.tail_lines = -1, .limit_bytes = 6}, "one\ntw");
        kc_time since;
        assert_int_equal(kc_time_parse("2026-11-21T12:00:01Z", &since), 0);
        assert_log(&w, (struct kc_log_opts){ALL, .since = since}, "two\nthree\n");
        world_done(&w);
}

static const char *more(struct kc_log_reader *r)
{
        static char out[256];
        struct kc_buf b = KC_BUF_INIT;
        bool hit;
        while (kc_log_reader_read(r, &b, 4096, &hit, NULL) > 0)
                continue;
        snprintf(out, sizeof(out), "%s", kc_buf_str(&b));
        kc_buf_done(&b);
        return out;
}

static void test_follow_and_rotate(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        KC_CLEANUP(kc_log_reader_freep) struct kc_log_reader *r = NULL;
        KC_CLEANUP(kc_freep) char *old = kc_path_join(w.dir, "0.log.20261121");
        struct kc_log_opts o = {.tail_lines = 0, .limit_bytes = -1, .follow = true};
        assert_int_equal(kc_log_reader_open(w.path, &o, &r, NULL), 0);
        assert_string_equal(more(r), "");
        append(w.path, "2026-11-21T12:00:04Z stdout F fo");
        assert_string_equal(more(r), ""); /* half a line */
        append(w.path, "ur\n");
        assert_string_equal(more(r), "four\n");
        assert_int_equal(rename(w.path, old), 0);
        assert_string_equal(more(r), ""); /* no successor yet */
        append(old, "2026-11-21T12:00:05Z stdout F five\n");
        append(w.path, "2026-11-21T12:00:06Z stdout F six\n");
        assert_string_equal(more(r), "five\nsix\n");
        world_done(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_formats), cmocka_unit_test(test_selections),
            cmocka_unit_test(test_follow_and_rotate)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}

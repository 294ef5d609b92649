/* Rotation of a container's log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the headers above first. */
#include <cmocka.h>
#include <dirent.h>
#include <zlib.h>

#include "base/file.h"
#include "fake_cri.h"
#include "kubelet/runtime/runtime_internal.h"
#include "rt_builder.h"

static char dir[64], path[96];
static struct kc_fake_clock fake_clock;

static void write_log(const char *text)
{
        assert_int_equal(kc_file_write_atomic(path, text, strlen(text), 0640, NULL), 0);
}

/* Names in the directory, sorted and joined. */
static char *names(void)
{
        char **v = NULL;
        DIR *d = opendir(dir);
        for (struct dirent *e; (e = readdir(d));)
                if (e->d_name[0] != '.')
                        kc_strv_push(&v, e->d_name);
        closedir(d);
        kc_strv_sort(v);
        char *joined = kc_strv_join(v, " ");
        kc_strv_free(v);
        return joined;
}

static void expect_names(const char *want)
{
        KC_CLEANUP(kc_freep) char *got = names();
        assert_string_equal(got, want);
}

static void test_rotation(void **state)
{
        (void)state;
        strcpy(dir, "/tmp/kubec-logrotate-test.XXXXXX");
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/0.log", dir);
        kc_fake_clock_init(&fake_clock, T0);
        struct kc_runtime r = {.o = {.clock = &fake_clock.clock}};
        struct kc_rt_container c = {.id = (char *)"c1", .log_path = path};
        write_log("small");
        assert_int_equal(kc_runtime_rotate_log(&r, &c, 10, 3, NULL), 0);
        expect_names("0.log");
        static const char *const texts[] = {"first, long enough", "second, long enough", "third, long enough"};
        for (size_t i = 0; i < KC_ARRAY_LEN(texts); i++) {
                write_log(texts[i]);
                assert_int_equal(kc_runtime_rotate_log(&r, &c, 10, 3, NULL), 0);
                assert_string_equal(fake_log(), "reopen:c1");
                kc_fake_clock_advance(&fake_clock, 60 * KC_SEC);
        }
        /* Three files with the one that the runtime opens anew; the older one of the others is compressed. */
        expect_names("0.log.20251121-122210.gz 0.log.20251121-122310");
        KC_CLEANUP(kc_freep) char *gz = kc_asprintf("%s/0.log.20251121-122210.gz", dir);
        char text[64] = "";
        gzFile f = gzopen(gz, "rb");
        assert_int_equal(gzread(f, text, sizeof(text) - 1), strlen(texts[1]));
        assert_string_equal(text, texts[1]);
        gzclose(f);
        /* A log that is gone is asked for again. */
        assert_int_equal(kc_runtime_rotate_log(&r, &c, 10, 3, NULL), 0);
        assert_string_equal(fake_log(), "reopen:c1");
        assert_int_equal(kc_rm_rf(dir, NULL), 0);
        fake_reset();
        (void)fake_log();
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_rotation)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}

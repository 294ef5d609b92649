/* The parts of the cache that need no store: scanning, stamping, tokens, the index. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/rand.h"
#include "storage/cache_internal.h"
#include "storage/index.h"
#include "storage/skim.h"
#include "storage/stamp.h"
#include "storage/token.h"

/* --- Stamping */

static void assert_stamped(const char *in, const char *want)
{
        struct kc_bytes *out;
        struct kc_stamp stamp;
        assert_int_equal(kc_stamp_revision(in, strlen(in), 123, &out, &stamp, NULL), 0);
        assert_string_equal(kc_bytes_data(out), want);
        assert_memory_equal(kc_bytes_data(out) + stamp.at, "123", 3);
        assert_int_equal(stamp.len, 3);
        kc_bytes_unref(out);
}

static void resource_version_stands_where_upstream_has_it(void **state)
{
        (void)state;
        assert_stamped("{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\",\"uid\":\"c\",\"generation\":1},\"x\":1}",
            "{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\",\"uid\":\"c\",\"resourceVersion\":\"123\","
            "\"generation\":1},"
            "\"x\":1}");
        assert_stamped("{\"metadata\":{\"labels\":{\"name\":\"x\"}}}",
            "{\"metadata\":{\"resourceVersion\":\"123\",\"labels\":{\"name\":\"x\"}}}");
        assert_stamped("{\"metadata\":{}}", "{\"metadata\":{\"resourceVersion\":\"123\"}}");
        assert_stamped(
            "{\"metadata\":{\"name\":\"a\"}}", "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"123\"}}");
        assert_stamped("{\"spec\":{\"metadata\":{}},\"metadata\":{\"resourceVersion\":\"7\",\"name\":\"q\\\"}\"}}",
            "{\"spec\":{\"metadata\":{}},\"metadata\":{\"resourceVersion\":\"123\",\"name\":\"q\\\"}\"}}");
}

static void what_is_no_object_is_not_stamped(void **state)
{
        (void)state;
        static const char *const bad[] = {
            "", "1", "[]", "{}", "{\"metadata\":1}", "{\"metadata", "{\"metadata\":{\"a\":\"", "k8s\n\1"};
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++) {
                struct kc_bytes *out;
                /* An exact copy on the heap: the sanitizer sees a read past its end. */
                char *copy = kc_memdup(bad[i], strlen(bad[i]) ? strlen(bad[i]) : 1);
                assert_int_equal(kc_stamp_revision(copy, strlen(bad[i]), 1, &out, NULL, NULL), -EINVAL);
                kc_free(copy);
        }
}

static void scalars_are_found_by_path(void **state)
{
        (void)state;
        static const char json[] =
            "{\"a\":{\"b\":{\"c\":\"x\\u00e9\\n\"},\"n\":12,\"t\":true,\"z\":null,\"l\":[1,{\"b\":2}]}}";
        struct skim_span o = {json, strlen(json)}, v;
        assert_true(skim_at(o, "a.b.c", &v));
        char *s = skim_scalar(v);
        assert_string_equal(s, "x\xc3\xa9\n");
        kc_free(s);
        assert_true(skim_at(o, "a.n", &v));
        s = skim_scalar(v);
        assert_string_equal(s, "12");
        kc_free(s);
        assert_true(skim_at(o, "a.t", &v));
        s = skim_scalar(v);
        assert_string_equal(s, "true");
        kc_free(s);
        assert_true(skim_at(o, "a.z", &v));
        assert_null(skim_scalar(v));
        assert_true(skim_at(o, "a.l", &v));
        assert_null(skim_scalar(v));
        assert_false(skim_at(o, "a.b.c.d", &v));
        assert_false(skim_at(o, "a.x", &v));
}

/* --- Tokens */

static void tokens_are_upstreams(void **state)
{
        (void)state;
        char *t = list_token_encode("/registry/pods/default/web", "/registry/pods/", 42);
        /* {"v":"meta.k8s.io/v1","rv":42,"start":"default/web\u0000"} */
        assert_string_equal(t, "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6NDIsInN0YXJ0IjoiZGVmYXVsdC93ZWJcdTAwMDAifQ");
        struct list_token got;
        assert_int_equal(list_token_decode(t, "/registry/pods/", &got, NULL), 0);
        assert_int_equal(got.revision, 42);
        assert_string_equal(got.from_key, "/registry/pods/default/web\x01");
        kc_free(got.from_key);
        kc_free(t);
}

static void bad_tokens_are_bad_requests(void **state)
{
        (void)state;
        static const char *const bad[] = {"!", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", "bm90IGpzb24"};
        for (size_t i = 0; i < KC_ARRAY_LEN(bad); i++) {
                struct list_token got;
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                assert_int_equal(list_token_decode(bad[i], "/registry/pods/", &got, &err), -EINVAL);
                assert_int_equal(err.code, 400);
                assert_string_equal(err.reason, "BadRequest");
        }
}

static void tokens_stay_below_their_prefix(void **state)
{
        (void)state;
        static const struct {
                const char *start, *key; /* NULL: refused */
        } cases[] = {{"default/web", "/registry/pods/default/web"}, {"/default/web", "/registry/pods/default/web"},
            {"..", NULL}, {"../secrets/a", NULL}, {"a/../../secrets", NULL}, {"a/..", NULL}, {".", NULL},
            {"a/./b", NULL}, {"a//b", NULL}, {"//a", NULL}, {"a/", NULL}, {"...", "/registry/pods/..."},
            {"a..b", "/registry/pods/a..b"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                char json[128];
                snprintf(json, sizeof(json), "{\"v\":\"meta.k8s.io/v1\",\"rv\":1,\"start\":\"%s\"}", cases[i].start);
                KC_CLEANUP(kc_freep) char *t = kc_base64url_encode(json, strlen(json));
                struct list_token got = {0};
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                assert_int_equal(list_token_decode(t, "/registry/pods/", &got, &err), cases[i].key ? 0 : -EINVAL);
                if (cases[i].key)
                        assert_string_equal(got.from_key, cases[i].key);
                kc_free(got.from_key);
        }
}

/* --- The index */

static struct cache_fields *fields;

static struct kc_cache_entry *entry(int number, int64_t revision)
{
        char key[32];
        snprintf(key, sizeof(key), "/r/p/ns/%06d", number);
        struct kc_cache_entry *e;
        assert_int_equal(cache_entry_new(key, 5, true, fields, "{\"metadata\":{}}", 15, revision, &e, NULL), 0);
        return e;
}

static void check_index(const struct index_root *r, const int64_t *want, int n)
{
        struct index_pos pos = index_seek(r, "");
        size_t count = 0;
        for (int i = 0; i < n; i++) {
                if (!want[i])
                        continue;
                struct kc_cache_entry *e = index_next(r, &pos);
                assert_non_null(e);
                char key[32];
                snprintf(key, sizeof(key), "/r/p/ns/%06d", i);
                assert_string_equal(kc_cache_entry_key(e), key);
                assert_int_equal(kc_cache_entry_revision(e), want[i]);
                assert_ptr_equal(index_get(r, key), e);
                count++;
        }
        assert_null(index_next(r, &pos));
        assert_int_equal(index_len(r), count);
        assert_int_equal(index_between(r, index_seek(r, ""), index_seek(r, "z")), count);
}

enum { N = 1500 };

/* Against an array, with snapshots on the way that must not change. */
static void index_behaves_like_an_array(void **state)
{
        (void)state;
        struct index_root *r = index_new();
        static int64_t want[N], saved[5][N];
        struct index_root *snaps[5] = {NULL};
        memset(want, 0, sizeof(want));
        for (int step = 1; step <= 6000; step++) {
                int k = (int)kc_rand_below(N);
                /* The second half mostly removes. */
                bool put = kc_rand_below(10) < (step < 3000 ? 8U : 2U);
                char key[32];
                snprintf(key, sizeof(key), "/r/p/ns/%06d", k);
                struct kc_cache_entry *old = put ? index_put(&r, entry(k, step)) : index_remove(&r, key);
                assert_int_equal(old ? kc_cache_entry_revision(old) : 0, want[k]);
                kc_cache_entry_unref(old);
                want[k] = put ? step : 0;
                if (step % 1200 == 0) {
                        snaps[step / 1200 - 1] = index_ref(r);
                        memcpy(saved[step / 1200 - 1], want, sizeof(want));
                }
        }
        check_index(r, want, N);
        for (int i = 0; i < 5; i++) {
                check_index(snaps[i], saved[i], N);
                index_unref(snaps[i]);
        }
        index_unref(r);
}

static void index_of_sorted_entries(void **state)
{
        (void)state;
        struct kc_cache_entry *v[300];
        int64_t want[300];
        for (int i = 0; i < 300; i++) {
                v[i] = entry(i, i + 1);
                want[i] = i + 1;
        }
        struct index_root *r = index_from_sorted(v, 300);
        check_index(r, want, 300);
        struct index_pos pos = index_seek(r, "/r/p/ns/000127x");
        assert_string_equal(kc_cache_entry_name(index_next(r, &pos)), "000128");
        index_unref(r);
}

/* --- The window */

static void window_forgets_old_events(void **state)
{
        (void)state;
        struct window w = {0};
        window_reset(&w, 10);
        assert_int_equal(w.floor, 10);
        kc_mono now = KC_SEC;
        for (int i = 0; i < 150; i++)
                window_append(&w, cache_event_new(100 + i, entry(i, 100 + i), NULL), now);
        /* All are young: it has grown. */
        assert_int_equal(w.end - w.first, 150);
        assert_int_equal(w.cap, 200);
        assert_int_equal(w.floor, 10);
        assert_int_equal(window_at(&w, window_after(&w, 120))->revision, 121);
        now += 76 * KC_SEC;
        for (int i = 150; i < 260; i++)
                window_append(&w, cache_event_new(100 + i, entry(i, 100 + i), NULL), now);
        assert_int_equal(w.cap, 200);
        assert_int_equal(w.floor, 100 + 59);
        now += 76 * KC_SEC;
        window_append(&w, cache_event_new(400, entry(0, 400), NULL), now);
        /* All are old: it has shrunk. */
        assert_int_equal(w.cap, 100);
        assert_int_equal(window_after(&w, 400), w.end);
        uint64_t end = w.end;
        window_reset(&w, 500);
        assert_true(w.first > end);
        window_done(&w);
}

static int setup(void **state)
{
        (void)state;
        fields = cache_fields_new(NULL, 0);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        cache_fields_unref(fields);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(resource_version_stands_where_upstream_has_it),
            cmocka_unit_test(what_is_no_object_is_not_stamped),
            cmocka_unit_test(scalars_are_found_by_path),
            cmocka_unit_test(tokens_are_upstreams),
            cmocka_unit_test(bad_tokens_are_bad_requests),
            cmocka_unit_test(tokens_stay_below_their_prefix),
            cmocka_unit_test(index_behaves_like_an_array),
            cmocka_unit_test(index_of_sorted_entries),
            cmocka_unit_test(window_forgets_old_events),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}

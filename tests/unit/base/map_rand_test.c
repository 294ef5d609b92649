/* The map, the hashes and randomness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"

static void *number(int n)
{
        return (void *)(intptr_t)n;
}

static void test_map(void **state)
{
        (void)state;
        KC_CLEANUP(kc_map_freep) struct kc_map *m = kc_map_new(NULL);
        assert_null(kc_map_get(m, "a"));
        assert_false(kc_map_remove(m, "a"));
        assert_true(kc_map_set(m, "a", number(1)));
        assert_false(kc_map_set(m, "a", number(2)));
        assert_true(kc_map_set(m, "", number(3)));
        assert_int_equal((intptr_t)kc_map_get(m, "a"), 2);
        assert_int_equal((intptr_t)kc_map_get(m, ""), 3);
        assert_true(kc_map_has(m, ""));
        assert_int_equal(kc_map_len(m), 2);
        assert_int_equal((intptr_t)kc_map_steal(m, "a"), 2);
        assert_null(kc_map_steal(m, "a"));
        assert_int_equal(kc_map_len(m), 1);
        kc_map_clear(m);
        assert_int_equal(kc_map_len(m), 0);
        assert_true(kc_map_set(m, "b", number(1)));
}

/* Against an array as the model. */
static void test_map_many(void **state)
{
        (void)state;
        enum { KEYS = 2000, STEPS = 60000 };
        static int model[KEYS];
        KC_CLEANUP(kc_map_freep) struct kc_map *m = kc_map_new(NULL);
        size_t len = 0;
        uint32_t seed = 12345;
        for (int i = 0; i < STEPS; i++) {
                seed = seed * 1664525 + 1013904223;
                int k = (int)(seed >> 8) % KEYS, v = i + 1;
                char key[16];
                snprintf(key, sizeof(key), "key-%d", k);
                if (seed >> 30 == 0) {
                        assert_int_equal(kc_map_remove(m, key), model[k] != 0);
                        len -= model[k] != 0;
                        model[k] = 0;
                } else {
                        assert_int_equal(kc_map_set(m, key, number(v)), model[k] == 0);
                        len += model[k] == 0;
                        model[k] = v;
                }
                assert_int_equal(kc_map_len(m), len);
        }
        for (int k = 0; k < KEYS; k++) {
                char key[16];
                snprintf(key, sizeof(key), "key-%d", k);
                assert_int_equal((intptr_t)kc_map_get(m, key), model[k]);
        }
}

static void test_map_iteration_with_removal(void **state)
{
        (void)state;
        KC_CLEANUP(kc_map_freep) struct kc_map *m = kc_map_new(kc_free);
        for (int i = 0; i < 100; i++) {
                char key[16];
                snprintf(key, sizeof(key), "%03d", i);
                kc_map_set(m, key, kc_strdup(key));
        }
        size_t it = 0, seen = 0;
        const char *key;
        void *value;
        while (kc_map_next(m, &it, &key, &value)) {
                assert_string_equal(key, value);
                seen++;
                if (key[2] != '7')
                        assert_true(kc_map_remove(m, key)); /* the key is the map's own string */
        }
        assert_int_equal(seen, 100);
        KC_CLEANUP(kc_strv_freep) char **keys = kc_map_sorted_keys(m);
        KC_CLEANUP(kc_freep) char *joined = kc_strv_join(keys, ",");
        assert_string_equal(joined, "007,017,027,037,047,057,067,077,087,097");
        kc_map_set(m, "007", kc_strdup("replaced"));
        it = 0;
        seen = 0;
        while (kc_map_next(m, &it, NULL, NULL))
                seen++;
        assert_int_equal(seen, 10);
}

static void test_empty_map(void **state)
{
        (void)state;
        KC_CLEANUP(kc_map_freep) struct kc_map *m = kc_map_new(NULL);
        KC_CLEANUP(kc_strv_freep) char **keys = kc_map_sorted_keys(m);
        assert_null(keys[0]);
        kc_strv_push(&keys, "x");
        size_t it = 0;
        assert_false(kc_map_next(m, &it, NULL, NULL));
        kc_map_free(NULL);
}

static void test_hashes(void **state)
{
        (void)state;
        assert_int_equal(kc_fnv32a("", 0), 0x811c9dc5);
        assert_int_equal(kc_fnv32a("a", 1), 0xe40c292c);
        assert_int_equal(kc_fnv32a("foobar", 6), 0xbf9cf968);
        assert_true(kc_hash_bytes("abc", 3) == kc_hash_bytes("abc", 3));
        assert_true(kc_hash_bytes("abcdefgh", 8) != kc_hash_bytes("abcdefgi", 8));
        assert_true(kc_hash_bytes("", 0) != kc_hash_bytes("\0", 1));
}

static void test_rand(void **state)
{
        (void)state;
        int seen[5] = {0};
        for (int i = 0; i < 2000; i++) {
                seen[kc_rand_below(5)]++;
                double d = kc_rand_double();
                assert_true(d >= 0 && d < 1);
                int64_t j = kc_jitter(1000, 0.5);
                assert_true(j >= 1000 && j <= 1500);
                j = kc_jitter(1000, 0);
                assert_true(j >= 1000 && j <= 2000);
        }
        for (int i = 0; i < 5; i++)
                assert_true(seen[i] > 250);
        assert_int_equal(kc_rand_below(1), 0);
}

static void test_names(void **state)
{
        (void)state;
        char suffix[6], uuid[KC_UUID_LEN];
        kc_rand_suffix(suffix, 5);
        assert_int_equal(strlen(suffix), 5);
        assert_int_equal(strspn(suffix, "bcdfghjklmnpqrstvwxz2456789"), 5);
        kc_uuid4(uuid);
        assert_int_equal(strlen(uuid), 36);
        assert_int_equal(strspn(uuid, "0123456789abcdef-"), 36);
        assert_int_equal(uuid[14], '4');
        assert_non_null(strchr("89ab", uuid[19]));
        KC_CLEANUP(kc_freep) char *encoded = kc_safe_encode(1234567890);
        assert_string_equal(encoded, "56789bcdf4");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_map),
            cmocka_unit_test(test_map_many),
            cmocka_unit_test(test_map_iteration_with_removal),
            cmocka_unit_test(test_empty_map),
            cmocka_unit_test(test_hashes),
            cmocka_unit_test(test_rand),
            cmocka_unit_test(test_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Field sets: FieldsV1 in both directions, upstream's order, the algebra. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/fieldset.h"
#include "api/structured.h"
#include "base/mem.h"
#include "base/str.h"

/* Single quotes stand for double ones. */
static struct json_object *parse(const char *text)
{
        KC_CLEANUP(kc_freep) char *s = kc_str_replace_all(text, "'", "\"");
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_json_parse(s, strlen(s), NULL, &o, &err) < 0)
                fail_msg("%s: %s", text, kc_error_message(&err));
        return o;
}

/* The trees that sets borrow from, and the sets. */
struct ctx {
        struct kc_arena arena;
        struct json_object *trees[16];
        size_t n;
};

static void ctx_done(struct ctx *x)
{
        for (size_t i = 0; i < x->n; i++)
                kc_json_free(x->trees[i]);
        kc_arena_done(&x->arena);
}

static const struct kc_fieldset *set(struct ctx *x, const char *text)
{
        const struct kc_fieldset *s = NULL;
        struct kc_error err = KC_ERROR_INIT;
        assert_true(x->n < KC_ARRAY_LEN(x->trees));
        x->trees[x->n] = parse(text);
        if (kc_fieldset_decode(&x->arena, x->trees[x->n++], &s, &err) < 0)
                fail_msg("%s: %s", text, kc_error_message(&err));
        return s;
}

static void assert_set(const struct kc_fieldset *s, const char *want)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_fieldset_encode(s);
        KC_CLEANUP(kc_freep) char *from_tree = kc_json_to_str(tree);
        KC_CLEANUP(kc_freep) char *wanted = kc_str_replace_all(want, "'", "\"");
        kc_fieldset_write(&b, s);
        assert_string_equal(kc_buf_str(&b), wanted);
        assert_string_equal(from_tree, wanted);
}

static void test_round_trip(void **state)
{
        static const struct {
                const char *in, *out; /* out NULL: as it came */
        } cases[] = {
            {"{}", NULL},
            {"{'f:a':{}}", NULL},
            {"{'f:a':{'.':{},'f:b':{}},'f:c':{'f:d':{}}}", NULL},
            /* fields, keys, values, indexes; numbers before strings, by value */
            {"{'i:10':{},'i:9':{},'v:\\\"b\\\"':{},'v:2':{},'v:10':{},'v:1.5':{},'v:true':{},'v:null':{},'k:{}':{},'f:"
             "z':{}}",
                "{'f:z':{},'k:{}':{},'v:1.5':{},'v:2':{},'v:10':{},'v:\\\"b\\\"':{},'v:true':{},'v:null':{},'i:9':{},'"
                "i:10':{}}"},
            /* keys sort by name and are written without spaces */
            {"{'k:{\\\"protocol\\\":\\\"TCP\\\", \\\"port\\\": 80}':{'.':{},'f:port':{}}}",
                "{'k:{\\\"port\\\":80,\\\"protocol\\\":\\\"TCP\\\"}':{'.':{},'f:port':{}}}"},
            {"{'k:{\\\"name\\\":\\\"a b\\\"}':{},'k:{\\\"name\\\":\\\"a\\\"}':{}}",
                "{'k:{\\\"name\\\":\\\"a\\\"}':{},'k:{\\\"name\\\":\\\"a b\\\"}':{}}"},
            {"{'k:{\\\"port\\\":443}':{},'k:{\\\"port\\\":80}':{},'k:{\\\"port\\\":-1}':{}}",
                "{'k:{\\\"port\\\":-1}':{},'k:{\\\"port\\\":80}':{},'k:{\\\"port\\\":443}':{}}"},
            {"{'v:9007199254740993':{},'v:9007199254740992':{}}", "{'v:9007199254740992':{},'v:9007199254740993':{}}"},
            {"{'v:1e300':{},'v:-2':{},'v:-1.25':{}}", "{'v:-2':{},'v:-1.25':{},'v:1e+300':{}}"},
            /* what later versions may bring is left out */
            {"{'x:new':{},'f:a':{'y:other':{}}}", "{'f:a':{}}"},
            {"{'f:a':null}", "{'f:a':{}}"},
            {"{'f:a\\u00e9':{'f:b\\tc':{}}}", "{'f:a\u00e9':{'f:b\\tc':{}}}"},
            {"{'f:app.kubernetes.io/name':{},'f:':{}}", "{'f:':{},'f:app.kubernetes.io/name':{}}"},
        };
        (void)state;
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(ctx_done) struct ctx x = {0};
                const struct kc_fieldset *from_tree = set(&x, cases[i].in), *from_text = NULL;
                assert_set(from_tree, cases[i].out ? cases[i].out : cases[i].in);
                if (strstr(cases[i].in, "null}"))
                        continue; /* no object of objects: never kept as text */
                KC_CLEANUP(kc_freep) char *text = kc_str_replace_all(cases[i].in, "'", "\"");
                KC_CLEANUP(kc_json_freep) struct json_object *raw = kc_json_new_raw(text, strlen(text));
                assert_int_equal(kc_fieldset_decode(&x.arena, raw, &from_text, NULL), 0);
                assert_true(kc_fieldset_equal(from_tree, from_text));
        }
}

static void test_bad_input(void **state)
{
        static const char *const cases[] = {"{'':{}}", "{'f':{}}", "{'fa:b':{}}", "{'k:[]':{}}", "{'k:{':{}}",
            "{'k:null':{}}", "{'v:':{}}", "{'v:abc':{}}", "{'i:-1':{}}", "{'i:x':{}}", "{'f:a':1}", "{'f:a':'x'}", "[]",
            "3"};
        (void)state;
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                struct kc_arena a = KC_ARENA_INIT;
                KC_CLEANUP(kc_json_freep) struct json_object *tree = parse(cases[i]);
                const struct kc_fieldset *s = NULL;
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                if (kc_fieldset_decode(&a, tree, &s, &err) == 0)
                        fail_msg("%s is accepted", cases[i]);
                kc_arena_done(&a);
        }
}

static void test_algebra(void **state)
{
        static const struct {
                const char *a, *b, *both, *common, *less, *below;
        } cases[] = {
            {"{'f:a':{}}", "{'f:b':{}}", "{'f:a':{},'f:b':{}}", "{}", "{'f:a':{}}", "{'f:a':{}}"},
            {"{'f:a':{}}", "{'f:a':{}}", "{'f:a':{}}", "{'f:a':{}}", "{}", "{}"},
            {"{'f:a':{'f:b':{},'f:c':{}}}", "{'f:a':{'f:b':{}}}", "{'f:a':{'f:b':{},'f:c':{}}}", "{'f:a':{'f:b':{}}}",
                "{'f:a':{'f:c':{}}}", "{'f:a':{'f:c':{}}}"},
            /* a parent does not take its children away, except recursively */
            {"{'f:a':{'.':{},'f:b':{}}}", "{'f:a':{}}", "{'f:a':{'.':{},'f:b':{}}}", "{'f:a':{}}", "{'f:a':{'f:b':{}}}",
                "{}"},
            {"{'f:a':{}}", "{'f:a':{'f:b':{}}}", "{'f:a':{'.':{},'f:b':{}}}", "{}", "{'f:a':{}}", "{'f:a':{}}"},
            {"{}", "{'f:a':{}}", "{'f:a':{}}", "{}", "{}", "{}"},
        };
        (void)state;
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(ctx_done) struct ctx x = {0};
                const struct kc_fieldset *a = set(&x, cases[i].a), *b = set(&x, cases[i].b);
                assert_set(kc_fieldset_union(&x.arena, a, b), cases[i].both);
                assert_set(kc_fieldset_union(&x.arena, b, a), cases[i].both);
                assert_set(kc_fieldset_intersection(&x.arena, a, b), cases[i].common);
                assert_set(kc_fieldset_intersection(&x.arena, b, a), cases[i].common);
                assert_set(kc_fieldset_difference(&x.arena, a, b), cases[i].less);
                assert_set(kc_fieldset_recursive_difference(&x.arena, a, b), cases[i].below);
                assert_set(a, cases[i].a);
        }
}

static void test_questions(void **state)
{
        KC_CLEANUP(ctx_done) struct ctx x = {0};
        (void)state;
        const struct kc_fieldset *s = set(&x, "{'f:a':{'.':{},'f:b':{}},'f:c':{'f:d':{}}}");
        const struct kc_path_element a = kc_path_field("a"), c = kc_path_field("c"), d = kc_path_field("d");
        const struct kc_path_element cd[] = {c, d};
        assert_int_equal(kc_fieldset_size(s), 3);
        assert_true(kc_fieldset_has(s, &a, 1));
        assert_false(kc_fieldset_has(s, &c, 1));
        assert_true(kc_fieldset_has(s, cd, 2));
        assert_false(kc_fieldset_has(s, cd, 0));
        assert_set(kc_fieldset_leaves(&x.arena, s), "{'f:a':{'f:b':{}},'f:c':{'f:d':{}}}");
        assert_true(kc_fieldset_equal(s, set(&x, "{'f:c':{'f:d':{}},'f:a':{'f:b':{},'.':{}}}")));
        assert_false(kc_fieldset_equal(s, set(&x, "{'f:c':{'f:d':{}},'f:a':{'f:b':{}}}")));
        assert_true(kc_fieldset_equal(NULL, set(&x, "{}")));
}

static void test_filter(void **state)
{
        KC_CLEANUP(ctx_done) struct ctx x = {0};
        (void)state;
        const struct kc_fieldset *s = set(&x,
            "{'f:metadata':{'f:labels':{}},'f:spec':{'f:containers':{'k:{\\\"name\\\":\\\"a\\\"}':{'.':{},'f:image':{},"
            "'f:resources':{'f:limits':{'f:cpu':{}}}}},'f:nodeName':{}}}");
        assert_set(kc_fieldset_filter(&x.arena, s, (const char *const[]){"spec.containers.*.resources", NULL}),
            "{'f:spec':{'f:containers':{'k:{\\\"name\\\":\\\"a\\\"}':{'.':{},'f:resources':{'f:limits':{'f:cpu':{}}}}}}"
            "}");
        assert_set(kc_fieldset_filter(&x.arena, s, (const char *const[]){"spec.nodeName", "metadata", NULL}),
            "{'f:metadata':{'f:labels':{}},'f:spec':{'f:nodeName':{}}}");
}

static void collect(const struct kc_path_element *path, size_t n, void *arg)
{
        for (size_t i = 0; i < n; i++)
                kc_path_element_format(arg, &path[i]);
        kc_buf_addc(arg, '\n');
}

static void test_paths(void **state)
{
        KC_CLEANUP(ctx_done) struct ctx x = {0};
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        (void)state;
        kc_fieldset_each(set(&x, "{'f:metadata':{'f:finalizers':{'.':{},'v:\\\"a/b\\\"':{}}},'f:spec':{'f:ports':{"
                                 "'k:{\\\"port\\\":80,\\\"protocol\\\":\\\"TCP\\\"}':{'.':{},'f:name':{}}},'f:replicas'"
                                 ":{},'f:x':{'i:3':{}}}}"),
            collect, &b);
        assert_string_equal(kc_buf_str(&b), ".metadata.finalizers\n"
                                            ".metadata.finalizers[=\"a/b\"]\n"
                                            ".spec.replicas\n"
                                            ".spec.ports[port=80,protocol=\"TCP\"]\n"
                                            ".spec.ports[port=80,protocol=\"TCP\"].name\n"
                                            ".spec.x[3]\n");
}

/* --- random sets: laws that hold for all of them */

static const struct kc_fieldset *random_set(struct kc_arena *a, unsigned *seed)
{
        static const char *const names[] = {"a", "b", "c", "d"};
        struct kc_fieldset *s = kc_arena_alloc(a, sizeof(*s));
        for (int i = rand_r(seed) % 12; i > 0; i--) {
                struct kc_path_element path[3];
                size_t n = 1 + (size_t)rand_r(seed) % 3;
                for (size_t k = 0; k < n; k++)
                        path[k] = rand_r(seed) % 4 ? kc_path_field(names[rand_r(seed) % 4])
                                                   : kc_path_index(a, (size_t)rand_r(seed) % 3);
                kc_fieldset_insert(a, s, path, n);
        }
        return s;
}

static void test_laws(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 2000; i++) {
                unsigned seed = i;
                struct kc_arena ar = KC_ARENA_INIT;
                const struct kc_fieldset *a = random_set(&ar, &seed), *b = random_set(&ar, &seed),
                                         *c = random_set(&ar, &seed);
                const struct kc_fieldset *u = kc_fieldset_union(&ar, a, b), *n = kc_fieldset_intersection(&ar, a, b),
                                         *d = kc_fieldset_difference(&ar, a, b);
                assert_true(kc_fieldset_equal(u, kc_fieldset_union(&ar, b, a)));
                assert_true(kc_fieldset_equal(n, kc_fieldset_intersection(&ar, b, a)));
                assert_true(kc_fieldset_equal(kc_fieldset_union(&ar, d, n), a));
                assert_true(kc_fieldset_empty(kc_fieldset_intersection(&ar, d, b)));
                assert_true(kc_fieldset_equal(
                    kc_fieldset_union(&ar, u, c), kc_fieldset_union(&ar, a, kc_fieldset_union(&ar, b, c))));
                assert_true(kc_fieldset_equal(kc_fieldset_intersection(&ar, u, c),
                    kc_fieldset_union(&ar, kc_fieldset_intersection(&ar, a, c), kc_fieldset_intersection(&ar, b, c))));
                assert_int_equal(kc_fieldset_size(u) + kc_fieldset_size(n), kc_fieldset_size(a) + kc_fieldset_size(b));
                KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_fieldset_encode(u);
                const struct kc_fieldset *back = NULL;
                assert_int_equal(kc_fieldset_decode(&ar, tree, &back, NULL), 0);
                assert_true(kc_fieldset_equal(u, back));
                kc_arena_done(&ar);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_round_trip),
            cmocka_unit_test(test_bad_input),
            cmocka_unit_test(test_algebra),
            cmocka_unit_test(test_questions),
            cmocka_unit_test(test_filter),
            cmocka_unit_test(test_paths),
            cmocka_unit_test(test_laws),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

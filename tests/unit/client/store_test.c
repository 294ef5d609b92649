/* The cache behind informers: order, namespaces, indexes, readers beside a writer. */
#include <pthread.h>
#include <stdio.h>
#include <stdatomic.h>

#include "client/informer.h"
#include "client/store.h"
#include "client_test_util.h"

static struct kc_object *pod(const char *ns, const char *name, const char *node, const char *app)
{
        return kc_object_new(kc_json_build(
            "{'metadata':{'name':%s,'namespace':%s,'labels':{'app':%s}},'spec':{'nodeName':%s}}", name, ns, app, node));
}

static void put(struct kc_store *s, const char *ns, const char *name, const char *node, const char *app)
{
        struct kc_object *o = pod(ns, name, node, app);
        kc_object_unref(kc_store_set(s, o));
        kc_object_unref(o);
}

static char *keys(struct kc_objects *objs)
{
        KC_CLEANUP(kc_strv_freep) char **v = NULL;
        for (size_t i = 0; i < objs->n; i++)
                kc_strv_push_take(&v, kc_meta_key(kc_object_json(objs->v[i])));
        kc_objects_done(objs);
        *objs = (struct kc_objects){0};
        return kc_strv_join(v, " ");
}

static void assert_listed(struct kc_store *s, const char *ns, const char *selector, const char *expected)
{
        struct kc_selector *sel = NULL;
        if (selector)
                assert_int_equal(kc_selector_parse(selector, &sel, NULL), 0);
        struct kc_objects objs = {0};
        kc_store_list(s, ns, sel, &objs);
        KC_CLEANUP(kc_freep) char *got = keys(&objs);
        assert_string_equal(got, expected);
        kc_selector_free(sel);
}

static void assert_indexed(struct kc_store *s, const char *index, const char *value, const char *expected)
{
        struct kc_objects objs = {0};
        kc_store_by_index(s, index, value, &objs);
        KC_CLEANUP(kc_freep) char *got = keys(&objs);
        assert_string_equal(got, expected);
}

static void test_order_and_ranges(void **state)
{
        (void)state;
        KC_CLEANUP(kc_store_freep) struct kc_store *s = kc_store_new();
        put(s, "b", "x", "n1", "web");
        put(s, "a", "z", "n1", "web");
        put(s, "a-b", "q", "n1", "web"); /* '-' sorts before '/' */
        put(s, "a", "a", "n1", "db");
        put(s, "aa", "m", "n1", "web");
        assert_listed(s, NULL, NULL, "a-b/q a/a a/z aa/m b/x");
        assert_listed(s, "a", NULL, "a/a a/z");
        assert_listed(s, "a", "app=web", "a/z");
        assert_listed(s, "", "app!=web", "a/a");
        assert_listed(s, "nowhere", NULL, "");
        assert_int_equal(kc_store_count(s), 5);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *z = kc_store_get(s, "a/z");
        assert_string_equal(kc_object_name(z), "z");
        assert_null(kc_store_get(s, "a"));
        assert_null(kc_store_get(s, "a/"));
        assert_null(kc_store_get(s, "a/zz"));
        assert_null(kc_store_get(s, ""));
}

static void test_replacing_and_removing(void **state)
{
        (void)state;
        KC_CLEANUP(kc_store_freep) struct kc_store *s = kc_store_new();
        struct kc_object *one = pod("a", "x", "n1", "web"), *two = pod("a", "x", "n2", "web");
        assert_null(kc_store_set(s, one));
        assert_ptr_equal(kc_store_set(s, two), one);
        kc_object_unref(one);
        assert_ptr_equal(kc_store_remove(s, "a", "x"), two);
        kc_object_unref(two);
        assert_null(kc_store_remove(s, "a", "x"));
        kc_object_unref(one);
        kc_object_unref(two);
}

static void index_by_labels(const struct kc_object *obj, char ***values)
{
        const char *app = kc_meta_label(kc_object_json(obj), "app");
        kc_strv_push(values, app);
        kc_strv_push(values, app); /* twice is once */
        kc_strv_push(values, "all");
}

static void test_indexes_follow_the_objects(void **state)
{
        (void)state;
        KC_CLEANUP(kc_store_freep) struct kc_store *s = kc_store_new();
        kc_store_add_index(s, "node", kc_index_by_node_name);
        kc_store_add_index(s, "labels", index_by_labels);
        put(s, "ns", "b", "n1", "web");
        put(s, "ns", "a", "n1", "db");
        put(s, "ns", "c", NULL, "web");
        assert_indexed(s, "node", "n1", "ns/a ns/b");
        assert_indexed(s, "labels", "web", "ns/b ns/c");
        assert_indexed(s, "labels", "all", "ns/a ns/b ns/c");
        put(s, "ns", "b", "n2", "db");
        assert_indexed(s, "node", "n1", "ns/a");
        assert_indexed(s, "node", "n2", "ns/b");
        assert_indexed(s, "labels", "db", "ns/a ns/b");
        assert_indexed(s, "labels", "web", "ns/c");
        kc_object_unref(kc_store_remove(s, "ns", "a"));
        assert_indexed(s, "node", "n1", "");
        assert_indexed(s, "labels", "all", "ns/b ns/c");
        assert_indexed(s, "nothing", "n1", "");
        /* The index shows the newest state. */
        struct kc_objects objs = {0};
        kc_store_by_index(s, "labels", "all", &objs);
        assert_string_equal(kc_json_str_at(kc_object_json(objs.v[0]), "spec.nodeName"), "n2");
        kc_objects_done(&objs);
        /* One that comes late finds what is there. */
        kc_store_add_index(s, "late", index_by_labels);
        assert_indexed(s, "late", "all", "ns/b ns/c");
        assert_indexed(s, "late", "web", "ns/c");
}

struct readers {
        struct kc_store *store;
        atomic_bool stop;
};

static void *read_all(void *arg)
{
        struct readers *r = arg;
        while (!atomic_load(&r->stop)) {
                struct kc_objects objs = {0};
                kc_store_list(r->store, "ns", NULL, &objs);
                kc_store_by_index(r->store, "node", "n1", &objs);
                for (size_t i = 0; i < objs.n; i++)
                        assert_string_equal(kc_object_namespace(objs.v[i]), "ns");
                kc_objects_done(&objs);
        }
        return NULL;
}

static void test_readers_beside_a_writer(void **state)
{
        (void)state;
        struct readers r = {.store = kc_store_new()};
        kc_store_add_index(r.store, "node", kc_index_by_node_name);
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, read_all, &r), 0);
        for (int i = 0; i < 2000; i++) {
                char name[16];
                (void)snprintf(name, sizeof(name), "p%d", i % 50);
                if (i % 3)
                        put(r.store, "ns", name, i % 2 ? "n1" : "n2", "web");
                else
                        kc_object_unref(kc_store_remove(r.store, "ns", name));
        }
        atomic_store(&r.stop, true);
        for (int i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        kc_store_free(r.store);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_order_and_ranges),
            cmocka_unit_test(test_replacing_and_removing),
            cmocka_unit_test(test_indexes_follow_the_objects),
            cmocka_unit_test(test_readers_beside_a_writer),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

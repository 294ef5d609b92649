/* Laws of server-side apply on random objects of several kinds, made by the schema. */
#include "managed_testing.h"

#include "api/patch.h"

#include <stdio.h>

static const struct {
        const char *group, *version, *kind;
} kinds[] = {
    {"", "v1", "Pod"},
    {"", "v1", "Service"},
    {"", "v1", "ConfigMap"},
    {"", "v1", "Node"},
    {"apps", "v1", "Deployment"},
    {"", "v1", "PersistentVolumeClaim"},
};

enum { ROUNDS = 150, MAX_DEPTH = 7 };

/* --- random objects: few names and few values, so that they meet */

static unsigned below(unsigned *seed, unsigned n)
{
        return (unsigned)rand_r(seed) % n;
}

static struct json_object *random_value(const struct kc_type *type, int depth, unsigned *seed);

static bool is_key(const struct kc_type *list, const char *name)
{
        for (size_t i = 0; list && list->list_map_keys && list->list_map_keys[i]; i++)
                if (strcmp(list->list_map_keys[i], name) == 0)
                        return true;
        return false;
}

static struct json_object *random_fields(
    const struct kc_type *type, const struct kc_type *list, int depth, unsigned *seed)
{
        struct json_object *o = json_object_new_object();
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct kc_field *f = &type->fields[i];
                bool key = is_key(list, f->name);
                if (!key && (depth == 0 || below(seed, depth > 4 ? 2 : 4) != 0))
                        continue;
                kc_json_set(o, f->name, random_value(f->type, depth - 1, seed));
        }
        return o;
}

/* Elements that no other one equals: what is applied has none twice. */
static struct json_object *random_list(const struct kc_type *type, int depth, unsigned *seed)
{
        struct json_object *list = json_object_new_array();
        for (unsigned i = below(seed, 3); i > 0; i--) {
                struct json_object *v = type->elem->kind == KC_TYPE_OBJECT
                                            ? random_fields(type->elem, type, depth - 1, seed)
                                            : random_value(type->elem, depth - 1, seed);
                struct kc_arena a = KC_ARENA_INIT;
                kc_json_push(list, v);
                struct json_object *holder = json_object_new_object();
                kc_json_set(holder, "x", kc_json_copy(list));
                const struct kc_field field = {.name = "x", .type = type};
                const struct kc_type wrapper = {.kind = KC_TYPE_OBJECT, .fields = &field, .n_fields = 1};
                bool fits = kc_structured_check(holder, &wrapper, NULL) == 0;
                kc_json_free(holder);
                kc_arena_done(&a);
                if (!fits)
                        (void)json_object_array_del_idx(list, kc_json_len(list) - 1, 1);
        }
        return list;
}

static struct json_object *random_value(const struct kc_type *type, int depth, unsigned *seed)
{
        static const char *const words[] = {"a", "b", "c"};
        struct json_object *o;
        switch (type->kind) {
        case KC_TYPE_OBJECT:
                return random_fields(type, NULL, depth, seed);
        case KC_TYPE_ARRAY:
                return random_list(type, depth, seed);
        case KC_TYPE_MAP:
                o = json_object_new_object();
                for (unsigned i = below(seed, 3); i > 0; i--)
                        kc_json_set(o, words[below(seed, 3)], random_value(type->elem, depth - 1, seed));
                return o;
        case KC_TYPE_INT32:
        case KC_TYPE_INT64:
        case KC_TYPE_DOUBLE:
        case KC_TYPE_INT_OR_STRING:
                return json_object_new_int64(1 + below(seed, 2));
        case KC_TYPE_BOOL:
                return json_object_new_boolean(1);
        case KC_TYPE_QUANTITY:
                return json_object_new_string(below(seed, 2) ? "1" : "2");
        case KC_TYPE_TIME:
                return json_object_new_string("2026-01-01T00:00:00Z");
        case KC_TYPE_MICRO_TIME:
                return json_object_new_string("2026-01-01T00:00:00.000000Z");
        case KC_TYPE_DURATION:
                return json_object_new_string("1s");
        case KC_TYPE_BYTES:
                return json_object_new_string("YQ==");
        case KC_TYPE_RAW:
                return json_object_new_object();
        default:
                return json_object_new_string(words[below(seed, 3)]);
        }
}

/* Who owns an empty map is taken to own all that comes into it: upstream's way, and the laws below do not hold. */
static void drop_empty(struct json_object *o)
{
        for (size_t i = 0; i < kc_json_len(o); i++)
                drop_empty(kc_json_idx_mut(o, i));
        KC_JSON_FOREACH(o, key, val)
        {
                drop_empty((struct json_object *)val); /* of a tree of our own */
                if (!val || (kc_json_is_obj(val) && kc_json_n_keys(val) == 0) ||
                    (kc_json_is_arr(val) && kc_json_len(val) == 0))
                        kc_json_del(o, key);
        }
}

static struct json_object *random_config(const struct world *w, unsigned *seed)
{
        static const char *const dropped[] = {"managedFields", "uid", "resourceVersion", "creationTimestamp",
            "deletionTimestamp", "generation", "selfLink", "namespace"};
        struct json_object *o = random_value(w->row->type, MAX_DEPTH, seed);
        struct json_object *meta = kc_json_ensure_obj(o, "metadata");
        for (size_t i = 0; i < KC_ARRAY_LEN(dropped); i++)
                kc_json_del(meta, dropped[i]);
        kc_json_set_str(meta, "name", "x");
        kc_json_del(o, "kind");
        kc_json_del(o, "apiVersion");
        /* In canonical form: what is written otherwise is a change at every apply, as upstream. */
        drop_empty(w_decode(w, o));
        return o;
}

/* --- what is looked at */

static const struct kc_fieldset *set_of(struct kc_arena *a, const struct world *w, const char *manager)
{
        const struct kc_fieldset *set = NULL;
        const struct json_object *fields = w_owned(w, manager, "Apply");
        if (fields)
                assert_int_equal(kc_fieldset_decode(a, fields, &set, NULL), 0);
        return set;
}

static void must_apply(struct world *w, const char *manager, bool force, const struct json_object *config)
{
        KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_json_copy(config);
        if (w_apply_tree(w, manager, force, copy) < 0) {
                KC_CLEANUP(kc_freep) char *text = kc_json_to_str(copy);
                fprintf(stderr, "%s\n", text);
                fail_msg("%s", kc_error_message(&w->err));
        }
}

static void assert_same(const struct json_object *a, const struct json_object *b, const char *law, unsigned seed)
{
        if (kc_json_equal(a, b))
                return;
        KC_CLEANUP(kc_freep) char *x = kc_json_to_str(a), *y = kc_json_to_str(b);
        /* cmocka's messages are short */
        fprintf(stderr, "%s\n%s\n", x, y);
        fail_msg("%s (seed %u)", law, seed);
}

static void assert_empty(const struct kc_fieldset *set, const char *law, unsigned seed)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (kc_fieldset_empty(set))
                return;
        kc_fieldset_write(&b, set);
        fail_msg("%s (seed %u): %s", law, seed, kc_buf_str(&b));
}

/* --- laws */

/* Applying twice is applying once; somebody who applies the same shares it. */
static void idempotent(struct world *w, unsigned seed)
{
        unsigned s = seed;
        KC_CLEANUP(kc_json_freep) struct json_object *one = random_config(w, &s), *two = random_config(w, &s);
        must_apply(w, "a", false, one);
        must_apply(w, "b", true, two);
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj = kc_json_copy(w->obj), *owned = kc_json_copy(w_owned(w, "b", "Apply"));
        must_apply(w, "b", false, two);
        assert_same(w->obj, obj, "apply twice: the object", seed);
        assert_same(w_owned(w, "b", "Apply"), owned, "apply twice: what it owns", seed);
        struct kc_arena a = KC_ARENA_INIT;
        const struct kc_fieldset *before = set_of(&a, w, "b");
        must_apply(w, "c", true, two);
        assert_same(w->obj, obj, "shared: the object", seed);
        assert_true(kc_fieldset_equal(set_of(&a, w, "c"), before));
        kc_arena_done(&a);
}

/* What a forced apply changes is nobody else's any more. */
static void moves(struct world *w, unsigned seed)
{
        unsigned s = seed;
        KC_CLEANUP(kc_json_freep) struct json_object *one = random_config(w, &s), *two = random_config(w, &s);
        struct kc_arena a = KC_ARENA_INIT;
        struct kc_structured_diff diff;
        must_apply(w, "a", false, one);
        KC_CLEANUP(kc_json_freep) struct json_object *before = kc_json_copy(w->obj);
        must_apply(w, "b", true, two);
        kc_structured_compare(&a, before, w->obj, w->row->type, &diff);
        const struct kc_fieldset *of_a = set_of(&a, w, "a");
        assert_empty(kc_fieldset_intersection(&a, of_a, diff.modified), "a still owns what b has changed", seed);
        assert_empty(kc_fieldset_intersection(&a, of_a, diff.removed), "a still owns what is gone", seed);
        kc_arena_done(&a);
}

/* What is not applied any more goes if nobody else owns it, and stays otherwise. */
static void given_up(struct world *w, unsigned seed)
{
        unsigned s = seed;
        KC_CLEANUP(kc_json_freep)
        struct json_object *one = random_config(w, &s), *two = random_config(w, &s), *less = kc_json_copy(one);
        struct kc_arena a = KC_ARENA_INIT;
        must_apply(w, "a", false, one);
        must_apply(w, "b", true, two);
        const struct kc_fieldset *had = set_of(&a, w, "a"), *others = set_of(&a, w, "b");
        KC_JSON_FOREACH(one, key, val)
        {
                if (strcmp(key, "metadata") != 0 && strcmp(key, "kind") != 0 && strcmp(key, "apiVersion") != 0 &&
                    below(&s, 2))
                        kc_json_del(less, key);
        }
        KC_CLEANUP(kc_json_freep) struct json_object *before = kc_json_copy(w->obj);
        must_apply(w, "a", true, less);
        const struct kc_fieldset *gone = kc_fieldset_difference(&a, had, set_of(&a, w, "a"));
        gone = kc_fieldset_difference(&a, kc_fieldset_leaves(&a, gone), others);
        /* Zero values that every object of the kind has come back at once. */
        KC_CLEANUP(kc_json_freep) struct json_object *bare = kc_structured_remove(w->obj, gone, w->row->type);
        const struct kc_fieldset *zero = kc_structured_set(&a, w_complete(w, bare), w->row->type);
        const struct kc_fieldset *now = kc_structured_set(&a, w->obj, w->row->type);
        const struct kc_fieldset *left = kc_fieldset_intersection(&a, gone, now);
        assert_empty(kc_fieldset_difference(&a, left, zero), "given up, but there", seed);
        const struct kc_fieldset *was = kc_structured_set(&a, before, w->row->type);
        const struct kc_fieldset *kept = kc_fieldset_intersection(&a, kc_fieldset_leaves(&a, others), was);
        assert_empty(kc_fieldset_difference(&a, kept, now), "another's, but gone", seed);
        kc_arena_done(&a);
}

/* Comparing is symmetric; a merge has all that was merged into it; the strategic patch between two objects turns the
 * one into the other. */
static void compares(struct world *w, unsigned seed)
{
        unsigned s = seed;
        const struct kc_type *type = w->row->type;
        KC_CLEANUP(kc_json_freep)
        struct json_object *x = w_decode(w, random_config(w, &s)), *y = w_decode(w, random_config(w, &s));
        struct kc_arena a = KC_ARENA_INIT;
        struct kc_structured_diff there, back, self, merged;
        kc_structured_compare(&a, x, y, type, &there);
        kc_structured_compare(&a, y, x, type, &back);
        kc_structured_compare(&a, x, x, type, &self);
        assert_true(kc_fieldset_equal(there.added, back.removed));
        assert_true(kc_fieldset_equal(there.removed, back.added));
        assert_true(kc_fieldset_equal(there.modified, back.modified));
        assert_true(!self.added && !self.removed && !self.modified);
        KC_CLEANUP(kc_json_freep) struct json_object *both = kc_structured_merge(x, y, type);
        kc_structured_compare(&a, y, both, type, &merged);
        assert_empty(merged.removed, "merged, but not there", seed);
        KC_CLEANUP(kc_json_freep) struct json_object *same = kc_structured_merge(x, x, type);
        assert_true(kc_structured_equal(x, same));
        kc_arena_done(&a);
}

/* What kubectl apply sends for the change from one object to the other makes it. Not for kinds with ports: strategic
 * merge knows them by the number alone, so that it cannot tell TCP's from UDP's. */
static void patches(struct world *w, unsigned seed)
{
        static const char *const without_ports[] = {"ConfigMap", "Node", "PersistentVolumeClaim", NULL};
        unsigned s = seed;
        if (!kc_strv_has((char *const *)without_ports, w->row->kind))
                return;
        const struct kc_type *type = w->row->type;
        KC_CLEANUP(kc_json_freep)
        struct json_object *x = w_decode(w, random_config(w, &s)), *y = w_decode(w, random_config(w, &s)),
                           *patch = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_arena a = KC_ARENA_INIT;
        struct kc_structured_diff diff;
        /* Its lists merge by keys by which nobody else tells elements apart. */
        kc_json_del(x, "status");
        kc_json_del(y, "status");
        (void)w_decode(w, x);
        (void)w_decode(w, y);
        if (kc_patch_three_way_strategic(x, y, x, type, &patch, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        KC_CLEANUP(kc_json_freep) struct json_object *got = kc_json_copy(x);
        if (kc_patch_strategic(&got, patch, type, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        kc_structured_compare(&a, y, w_decode(w, got), type, &diff);
        assert_empty(diff.modified, "patched, but different", seed);
        assert_empty(diff.removed, "patched, but not there", seed);
        assert_empty(diff.added, "patched, but still there", seed);
        kc_arena_done(&a);
}

static void each(void (*law)(struct world *w, unsigned seed))
{
        for (size_t k = 0; k < KC_ARRAY_LEN(kinds); k++)
                for (unsigned seed = 1; seed <= ROUNDS; seed++) {
                        KC_CLEANUP(w_done) struct world w;
                        w_init(&w, kinds[k].group, kinds[k].version, kinds[k].kind);
                        law(&w, seed);
                }
}

static void test_idempotent(void **state)
{
        (void)state;
        each(idempotent);
}

static void test_moves(void **state)
{
        (void)state;
        each(moves);
}

static void test_given_up(void **state)
{
        (void)state;
        each(given_up);
}

static void test_compares(void **state)
{
        (void)state;
        each(compares);
}

static void test_patches(void **state)
{
        (void)state;
        each(patches);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_idempotent),
            cmocka_unit_test(test_moves),
            cmocka_unit_test(test_given_up),
            cmocka_unit_test(test_compares),
            cmocka_unit_test(test_patches),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

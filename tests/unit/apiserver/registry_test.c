/* The generic registry: optimistic locking, names, deletion with grace, finalizers and propagation, dry-run. */
#include "registry_fixture.h"
#include "storage/store_internal.h"

static struct json_object *config_map(const char *name)
{
        return kc_json_build("{'metadata':{'name':%s},'data':{'a':'1'}}", name);
}

static struct kc_registry_ctx ctx(struct fixture *f, const char *resource, const char *name, bool dry_run)
{
        struct kc_registry_ctx c;
        kc_registry_ctx_init(&c, f->registry, "", resource, "default", name, NULL, dry_run, NULL);
        return c;
}

static void system_fields_are_ours(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o = must_create(f, "", "configmaps", "default",
            kc_json_build("{'metadata':{'name':'a','uid':'mine','creationTimestamp':'2001-01-01T00:00:00Z',"
                          "'deletionTimestamp':'2001-01-01T00:00:00Z','generation':7,'finalizers':['x.y/z']}}"));
        assert_string_not_equal(at(o, "metadata.uid"), "\"mine\"");
        assert_string_equal(at(o, "metadata.creationTimestamp"), "\"2026-11-21T12:00:00Z\"");
        assert_string_equal(at(o, "metadata.deletionTimestamp"), "");
        assert_string_equal(at(o, "metadata.generation"), "");
        assert_string_equal(at(o, "metadata.finalizers"), "[\"x.y/z\"]");
}

static void names_are_unique(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "", "configmaps", "default", config_map("a"));
        assert_null(create_as(f, f->registry, NULL, "", "configmaps", "default", config_map("a")));
        assert_int_equal(f->err.code, 409);
        assert_string_equal(f->err.reason, KC_REASON_ALREADY_EXISTS);
        assert_string_equal(kc_error_message(&f->err), "configmaps \"a\" already exists");
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o = must_create(f, "", "configmaps", "default",
            kc_json_build(
                "{'metadata':{'generateName':'a-name-that-is-longer-than-what-fits-into-sixty-three-characters-'}}"));
        assert_int_equal(strlen(kc_object_name(o)), 63);
        assert_memory_equal(kc_object_name(o), "a-name-that-is-longer-than-what-fits-into-sixty-three-chara", 58);
}

/* --- A store in which the first names of ConfigMaps are taken */

static struct {
        const struct store_ops *inner;
        int attempts, taken;
        char last[64];
} names;

static int write_taken(struct kc_store *s, const struct store_write *w, int64_t *ret_revision,
    struct kc_store_kv *ret_current, struct kc_error *err)
{
        static const char prefix[] = "/registry/configmaps/default/", value[] = "{\"metadata\":{\"name\":\"a\"}}";
        if (w->expected != 0 || !kc_str_has_prefix(w->key, prefix))
                return names.inner->write(s, w, ret_revision, ret_current, err);
        const char *name = w->key + strlen(prefix);
        assert_string_not_equal(name, names.last);
        snprintf(names.last, sizeof(names.last), "%s", name);
        if (names.attempts++ >= names.taken)
                return names.inner->write(s, w, ret_revision, ret_current, err);
        if (ret_current)
                *ret_current = (struct kc_store_kv){.key = kc_strdup(w->key),
                    .value = kc_bytes_new(value, strlen(value)),
                    .mod_revision = 1,
                    .create_revision = 1};
        return -EAGAIN;
}

/* NULL: refused. */
static struct kc_object *generate(struct fixture *f, int taken)
{
        struct store_ops ops = *f->store->ops;
        ops.write = write_taken;
        names.inner = f->store->ops;
        names.attempts = 0;
        names.taken = taken;
        f->store->ops = &ops;
        struct kc_object *o = create_as(
            f, f->registry, NULL, "", "configmaps", "default", kc_json_build("{'metadata':{'generateName':'gen-'}}"));
        f->store->ops = names.inner;
        return o;
}

static void names_are_generated_eight_times(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = generate(f, 7);
        assert_non_null(o);
        assert_string_equal(kc_object_name(o), names.last);
        assert_int_equal(names.attempts, 8);
        assert_null(generate(f, 8));
        assert_int_equal(names.attempts, 8);
        assert_int_equal(f->err.code, 409);
        assert_string_equal(f->err.reason, KC_REASON_ALREADY_EXISTS);
        KC_CLEANUP(kc_freep)
        char *message =
            kc_asprintf("configmaps \"%s\" already exists, the server was not able to generate a unique name "
                        "for the object",
                names.last);
        assert_string_equal(kc_error_message(&f->err), message);
        assert_int_equal(kc_error_details(&f->err)->retry_after_seconds, 1);
}

/* Sets data.a to arg; with expect_rv in the object if the test wants so. */
struct change {
        const char *value, *resource_version;
        int calls;
        struct fixture *meddler; /* changes the object behind our back at the first call */
};

static int set_value(struct kc_registry_ctx *c, const struct kc_object *current, struct json_object **ret, void *arg,
    struct kc_error *err)
{
        (void)c;
        (void)err;
        struct change *x = arg;
        assert_non_null(current);
        if (x->meddler && x->calls == 0)
                assert_int_equal(change_as(x->meddler, NULL, "", "configmaps", "", "default", "a",
                                     kc_json_build("{'data':{'other':'x'}}"), NULL),
                    0);
        x->calls++;
        *ret = kc_object_copy_json(current);
        kc_json_set_str(kc_json_ensure_obj(*ret, "data"), "a", x->value);
        if (x->resource_version)
                kc_json_set_str(kc_json_ensure_obj(*ret, "metadata"), "resourceVersion",
                    x->resource_version[0] ? x->resource_version : NULL);
        return 0;
}

static int update(struct fixture *f, struct change *x, bool dry_run, struct kc_object **ret)
{
        struct kc_registry_ctx c = ctx(f, "configmaps", "a", dry_run);
        const struct kc_registry_update_opts o = {.transform = set_value, .arg = x};
        kc_error_done(&f->err);
        return kc_registry_update(&c, &o, ret, NULL, &f->err);
}

static void updates_lock_optimistically(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "", "configmaps", "default", config_map("a"));
        assert_int_equal(update(f, &(struct change){.value = "2", .resource_version = "1"}, false, NULL), -EAGAIN);
        assert_string_equal(f->err.reason, KC_REASON_CONFLICT);
        assert_string_equal(kc_error_message(&f->err), "Operation cannot be fulfilled on configmaps \"a\": the object "
                                                       "has been modified; please apply your changes "
                                                       "to the latest version and try again");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        assert_int_equal(update(f, &(struct change){.value = "2", .resource_version = ""}, false, &o), 0);
        assert_string_equal(at(o, "data.a"), "\"2\"");
}

static void a_conflict_is_tried_again(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "", "configmaps", "default", config_map("a"));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        struct change x = {.value = "2", .meddler = f};
        assert_int_equal(update(f, &x, false, &o), 0);
        assert_int_equal(x.calls, 2);
        assert_string_equal(at(o, "data"), "{\"a\":\"2\",\"other\":\"x\"}");
}

static void what_changes_nothing_writes_nothing(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *made = must_create(f, "", "configmaps", "default", config_map("a"));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        assert_int_equal(update(f, &(struct change){.value = "1"}, false, &o), 0);
        assert_string_equal(kc_object_resource_version(o), kc_object_resource_version(made));
}

static void dry_run_stores_nothing(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *dry = post(f->registry, NULL, true, "", "configmaps", "default", config_map("a"), &f->err);
        assert_non_null(dry);
        assert_string_equal(at(dry, "metadata.resourceVersion"), "");
        assert_null(get(f, "", "configmaps", "default", "a"));
        put(f, "", "configmaps", "default", config_map("a"));
        assert_null(post(f->registry, NULL, true, "", "configmaps", "default", config_map("a"), &f->err));
        assert_int_equal(f->err.code, 409);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *changed = NULL;
        assert_int_equal(update(f, &(struct change){.value = "2"}, true, &changed), 0);
        assert_string_equal(at(changed, "data.a"), "\"2\"");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "", "configmaps", "default", "a");
        assert_string_equal(at(o, "data.a"), "\"1\"");
}

/* --- deletion */

static int remove_it(struct fixture *f, const char *resource, const char *name, struct kc_delete_request d,
    bool dry_run, struct kc_object **ret, bool *ret_gone)
{
        struct kc_registry_ctx c = ctx(f, resource, name, dry_run);
        kc_error_done(&f->err);
        return kc_registry_delete(&c, &d, ret, ret_gone, &f->err);
}

static const struct kc_delete_request plain = {.grace_period_seconds = -1};

static void deletion_is_immediate(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        bool gone = false;
        put(f, "", "configmaps", "default", config_map("a"));
        assert_int_equal(remove_it(f, "configmaps", "a", plain, true, NULL, &gone), 0);
        assert_true(gone);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "", "configmaps", "default", "a");
        assert_non_null(o);
        assert_int_equal(remove_it(f, "configmaps", "a", plain, false, NULL, &gone), 0);
        assert_null(get(f, "", "configmaps", "default", "a"));
        assert_int_equal(remove_it(f, "configmaps", "a", plain, false, NULL, &gone), -ENOENT);
        assert_string_equal(kc_error_message(&f->err), "configmaps \"a\" not found");
}

static void preconditions_hold(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "", "configmaps", "default", config_map("a"));
        struct kc_delete_request d = plain;
        d.uid = "other";
        assert_int_equal(remove_it(f, "configmaps", "a", d, false, NULL, NULL), -EAGAIN);
        assert_string_equal(f->err.reason, KC_REASON_CONFLICT);
        d = plain;
        d.resource_version = "1";
        assert_int_equal(remove_it(f, "configmaps", "a", d, false, NULL, NULL), -EAGAIN);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "", "configmaps", "default", "a");
        d.resource_version = kc_object_resource_version(o);
        assert_int_equal(remove_it(f, "configmaps", "a", d, false, NULL, NULL), 0);
}

static void finalizers_hold_it(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        bool gone = true;
        put(f, "", "configmaps", "default", kc_json_build("{'metadata':{'name':'a','finalizers':['x.y/z']}}"));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        assert_int_equal(remove_it(f, "configmaps", "a", plain, false, &o, &gone), 0);
        assert_false(gone);
        assert_string_equal(at(o, "metadata.deletionTimestamp"), "\"2026-11-21T12:00:00Z\"");
        assert_string_equal(at(o, "metadata.deletionGracePeriodSeconds"), "0");
        /* Again: nothing changes. */
        KC_CLEANUP(kc_object_unrefp) struct kc_object *again = NULL;
        assert_int_equal(remove_it(f, "configmaps", "a", plain, false, &again, &gone), 0);
        assert_string_equal(kc_object_resource_version(again), kc_object_resource_version(o));
        assert_int_equal(change_as(f, NULL, "", "configmaps", "", "default", "a",
                             kc_json_build("{'metadata':{'finalizers':null}}"), NULL),
            0);
        assert_null(get(f, "", "configmaps", "default", "a"));
}

static void propagation_is_a_finalizer(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        static const struct {
                const char *policy;
                bool orphan_set, orphan;
                const char *want; /* finalizers; NULL: gone */
        } cases[] = {
            {"Foreground", false, false, "[\"foregroundDeletion\"]"},
            {"Orphan", false, false, "[\"orphan\"]"},
            {"Background", false, false, NULL},
            {NULL, true, true, "[\"orphan\"]"},
            {NULL, true, false, NULL},
            {NULL, false, false, NULL},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("c%zu", i);
                struct kc_delete_request d = plain;
                d.propagation = cases[i].policy;
                d.orphan_dependents_set = cases[i].orphan_set;
                d.orphan_dependents = cases[i].orphan;
                bool gone = false;
                put(f, "", "configmaps", "default", config_map(name));
                KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
                assert_int_equal(remove_it(f, "configmaps", name, d, false, &o, &gone), 0);
                assert_int_equal(gone, cases[i].want == NULL);
                if (cases[i].want)
                        assert_string_equal(at(o, "metadata.finalizers"), cases[i].want);
        }
}

/* Asks for Background after Foreground: the finalizer goes, and with it the object. */
static void the_policy_may_change(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        struct kc_delete_request d = plain;
        bool gone = true;
        put(f, "", "configmaps", "default", config_map("a"));
        d.propagation = "Foreground";
        assert_int_equal(remove_it(f, "configmaps", "a", d, false, NULL, &gone), 0);
        assert_false(gone);
        d.propagation = "Background";
        assert_int_equal(remove_it(f, "configmaps", "a", d, false, NULL, &gone), 0);
        assert_true(gone);
}

static struct json_object *assigned_pod(const char *name)
{
        return kc_json_build(
            "{'metadata':{'name':%s},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'x'}]}}", name);
}

static void grace_only_gets_shorter(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        bool gone = true;
        put(f, "", "pods", "default", assigned_pod("p"));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *first = NULL;
        assert_int_equal(remove_it(f, "pods", "p", plain, false, &first, &gone), 0);
        assert_false(gone);
        assert_string_equal(at(first, "metadata.deletionTimestamp"), "\"2026-11-21T12:00:30Z\"");
        assert_string_equal(at(first, "metadata.deletionGracePeriodSeconds"), "30");
        assert_string_equal(at(first, "metadata.generation"), "2");
        struct kc_delete_request d = plain;
        d.grace_period_seconds = 60;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *longer = NULL;
        assert_int_equal(remove_it(f, "pods", "p", d, false, &longer, &gone), 0);
        assert_string_equal(at(longer, "metadata.deletionGracePeriodSeconds"), "30");
        d.grace_period_seconds = 10;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *shorter = NULL;
        assert_int_equal(remove_it(f, "pods", "p", d, false, &shorter, &gone), 0);
        assert_string_equal(at(shorter, "metadata.deletionTimestamp"), "\"2026-11-21T12:00:10Z\"");
        assert_string_equal(at(shorter, "metadata.deletionGracePeriodSeconds"), "10");
        assert_string_equal(at(shorter, "metadata.generation"), "2");
        d.grace_period_seconds = 0;
        assert_int_equal(remove_it(f, "pods", "p", d, false, NULL, &gone), 0);
        assert_true(gone);
        assert_null(get(f, "", "pods", "default", "p"));
}

static void grace_ends_before_finalizers(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        bool gone = true;
        struct json_object *pod = assigned_pod("p");
        kc_json_push_str(kc_json_ensure_arr(pod, "metadata.finalizers"), "x.y/z");
        put(f, "", "pods", "default", pod);
        struct kc_delete_request d = plain;
        assert_int_equal(remove_it(f, "pods", "p", d, false, NULL, &gone), 0);
        d.grace_period_seconds = 0;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        assert_int_equal(remove_it(f, "pods", "p", d, false, &o, &gone), 0);
        assert_false(gone);
        assert_string_equal(at(o, "metadata.deletionGracePeriodSeconds"), "0");
        assert_int_equal(
            change_as(f, NULL, "", "pods", "", "default", "p", kc_json_build("{'metadata':{'finalizers':null}}"), NULL),
            0);
        assert_null(get(f, "", "pods", "default", "p"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
            TEST(system_fields_are_ours),
            TEST(names_are_unique),
            TEST(names_are_generated_eight_times),
            TEST(updates_lock_optimistically),
            TEST(a_conflict_is_tried_again),
            TEST(what_changes_nothing_writes_nothing),
            TEST(dry_run_stores_nothing),
            TEST(deletion_is_immediate),
            TEST(preconditions_hold),
            TEST(finalizers_hold_it),
            TEST(propagation_is_a_finalizer),
            TEST(the_policy_may_change),
            TEST(grace_only_gets_shorter),
            TEST(grace_ends_before_finalizers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

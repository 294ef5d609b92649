/* Formats of names, and ObjectMeta. */
#include "validation_testing.h"

#include "api/names.h"

static bool ok(void (*check)(const char *s, struct kc_why *why), const char *s)
{
        struct kc_why why = {0};
        check(s, &why);
        return why.n == 0;
}

static void test_names(void **state)
{
        (void)state;
        static const char *const labels[] = {"a", "ab", "a-b", "1a", "0"};
        static const char *const not_labels[] = {"", "A", "-a", "a-", "a.b", "a_b", "a b", "é"};
        for (size_t i = 0; i < KC_ARRAY_LEN(labels); i++)
                assert_true(ok(kc_name_dns1123_label, labels[i]));
        for (size_t i = 0; i < KC_ARRAY_LEN(not_labels); i++)
                assert_false(ok(kc_name_dns1123_label, not_labels[i]));
        assert_true(ok(kc_name_dns1123_subdomain, "a.b-c.1"));
        assert_false(ok(kc_name_dns1123_subdomain, "a..b"));
        assert_false(ok(kc_name_dns1123_subdomain, ".a"));
        assert_false(ok(kc_name_dns1123_subdomain, "a."));
        assert_true(ok(kc_name_dns1123_subdomain_with_underscore, "_a._b-c_d"));
        assert_false(ok(kc_name_dns1123_subdomain_with_underscore, "a_"));
        assert_true(ok(kc_name_dns1035_label, "a1"));
        assert_false(ok(kc_name_dns1035_label, "1a"));
        assert_true(ok(kc_name_label_key, "a.b/C_d.e-f"));
        assert_false(ok(kc_name_label_key, "a/b/c"));
        assert_false(ok(kc_name_label_key, "/b"));
        assert_false(ok(kc_name_label_key, "A/b"));
        assert_true(ok(kc_name_label_value, ""));
        assert_true(ok(kc_name_label_value, "A.b_c-1"));
        assert_false(ok(kc_name_label_value, "-a"));
        assert_true(ok(kc_name_path_segment, "system:node a"));
        assert_false(ok(kc_name_path_segment, "a/b"));
        assert_false(ok(kc_name_path_segment, "a%b"));
        assert_true(ok(kc_name_env_var, "a b:c"));
        assert_false(ok(kc_name_env_var, "a=b"));
        assert_true(ok(kc_name_config_map_key, ".dockercfg"));
        assert_false(ok(kc_name_config_map_key, "..a"));
        assert_true(ok(kc_name_port, "http-1"));
        assert_false(ok(kc_name_port, "1"));
        assert_false(ok(kc_name_port, "a--b"));
        assert_false(ok(kc_name_port, "sixteen-letters-"));
        assert_true(ok(kc_name_percent, "25%"));
        assert_false(ok(kc_name_percent, "%"));
        assert_true(ok(kc_name_c_identifier, "_a1"));
        assert_false(ok(kc_name_c_identifier, "1a"));
        assert_true(ok(kc_name_http_header, "X-Y"));
}

static void test_lengths(void **state)
{
        (void)state;
        char s[300];
        memset(s, 'a', sizeof(s));
        s[64] = '\0';
        assert_string_equal(kc_validate_dns1123_label(s), "must be no more than 63 bytes");
        assert_string_equal(kc_validate_label_value(s), "must be no more than 63 bytes");
        assert_string_equal(kc_validate_qualified_name(s), "name part must be no more than 63 bytes");
        s[63] = '\0';
        assert_null(kc_validate_dns1123_label(s));
        memset(s, 'a', sizeof(s));
        s[254] = '\0';
        assert_string_equal(kc_validate_dns1123_subdomain(s), "must be no more than 253 bytes");
        assert_string_equal(kc_validate_config_map_key(s), "must be no more than 253 bytes");
        assert_string_equal(kc_validate_path_segment_name(".."), "may not be '..'");
        assert_string_equal(kc_validate_dns1123_label("a.b"), "must not contain dots");
        assert_string_equal(kc_validate_env_var_name("="),
            "a valid environment variable name must consist only of printable ASCII "
            "characters other than '='");
}

static const char config_map[] = "{'metadata':{'name':'c','namespace':'n'}}";

static void create(const char *patch, const char *want)
{
        expect_create(kind("", "ConfigMap"), config_map, patch, want);
}

static void test_create(void **state)
{
        (void)state;
        create("", "");
        create("{'metadata':{'name':null}}", "metadata.name: Required value: name or generateName is required");
        create("{'metadata':{'name':'A'}}", "metadata.name: Invalid value: \"A\": " SUBDOMAIN_1123);
        create("{'metadata':{'generateName':'a-'}}", "");
        create("{'metadata':{'generateName':'AB-'}}", "metadata.generateName: Invalid value: \"AB-\": " SUBDOMAIN_1123);
        create("{'metadata':{'namespace':null}}", "metadata.namespace: Required value");
        create("{'metadata':{'namespace':'a.b'}}", "metadata.namespace: Invalid value: \"a.b\": must not contain dots");
        create("{'metadata':{'labels':{'a b':'x','ok':'-'}}}",
            "metadata.labels: Invalid value: \"a b\": " LABEL_NAME "\n"
            "metadata.labels: Invalid value: \"-\": " LABEL_VALUE);
        create("{'metadata':{'annotations':{'A/b':'anything at all'}}}", "");
        create("{'metadata':{'annotations':{'a/b/c':''}}}",
            "metadata.annotations: Invalid value: \"a/b/c\": a valid label key must consist of alphanumeric "
            "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or "
            "'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with "
            "an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')");
        create("{'metadata':{'finalizers':['x']}}",
            "metadata.finalizers[0]: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully "
            "qualified");
        create("{'metadata':{'finalizers':['orphan','foregroundDeletion']}}",
            "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and "
            "foregroundDeletion cannot be both set");
        create(
            "{'metadata':{'ownerReferences':[{'apiVersion':'v1','kind':'Pod','name':'p','uid':'1','controller':true},"
            "{'apiVersion':'apps/v1','kind':'ReplicaSet','name':'r','uid':'','controller':true}]}}",
            "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty\n"
            "metadata.ownerReferences: Invalid value: [{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"p\",\"uid\":"
            "\"1\",\"controller\":true},{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\"r\",\"uid\":"
            "\"\",\"controller\":true}]: Only one reference can have Controller set to true. Found \"true\" in "
            "references for Pod/p and ReplicaSet/r");
}

static void test_annotations_size(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("", "ConfigMap");
        KC_CLEANUP(kc_json_freep) struct json_object *o = object(r, config_map, "");
        KC_CLEANUP(kc_freep) char *big = kc_malloc((256 << 10) + 1);
        memset(big, 'x', 256 << 10);
        big[256 << 10] = '\0';
        struct kc_field_errors l = {0};
        kc_json_set_str(kc_json_ensure_obj(o, "metadata.annotations"), "a", big + 1);
        kc_validate_create(o, r, &l);
        expect(&l, "at the limit", "");
        kc_json_set_str(kc_json_ensure_obj(o, "metadata.annotations"), "a", big);
        kc_validate_create(o, r, &l);
        expect(&l, "past it", "metadata.annotations: Too long: may not be more than 262144 bytes");
}

static void update(const char *old_patch, const char *patch, const char *want)
{
        expect_update(kind("", "ConfigMap"), "", config_map, old_patch, patch, want);
}

static void test_update(void **state)
{
        (void)state;
        update("", "{'metadata':{'labels':{'a':'b'}}}", "");
        update("", "{'metadata':{'name':'d'}}", "metadata.name: Invalid value: \"d\": field is immutable");
        update("{'metadata':{'uid':'1'}}", "{'metadata':{'uid':'2'}}",
            "metadata.uid: Invalid value: \"2\": field is immutable");
        update("{'metadata':{'creationTimestamp':'2026-01-01T00:00:00Z'}}", "",
            "metadata.creationTimestamp: Invalid value: null: field is immutable");
        update("{'metadata':{'generation':2}}", "{'metadata':{'generation':1}}",
            "metadata.generation: Invalid value: 1: must not be decremented");
        update("{'metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z','finalizers':['a/b']}}",
            "{'metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z','finalizers':['a/b','c/d']}}",
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
            "finalizers []string{\"c/d\"}");
}

static void test_update_without_version(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("", "ConfigMap");
        KC_CLEANUP(kc_json_freep) struct json_object *o = object(r, config_map, "");
        struct kc_field_errors l = {0};
        kc_validate_update(o, o, r, "", &l);
        expect(
            &l, "no resourceVersion", "metadata.resourceVersion: Invalid value: \"\": must be specified for an update");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_lengths),
            cmocka_unit_test(test_create),
            cmocka_unit_test(test_annotations_size),
            cmocka_unit_test(test_update),
            cmocka_unit_test(test_update_without_version),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

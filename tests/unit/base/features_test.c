/* Feature gates: what may be set, and what that comes to. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/features.h"
#include "base/mem.h"
#include "base/str.h"

#define STRV(...) ((char *const *)(const char *const[]){__VA_ARGS__, NULL})
#define SET(...) kc_features_set(STRV(__VA_ARGS__), &err)

static void defaults(void **state)
{
        (void)state;
        assert_int_equal(kc_features_set(NULL, NULL), 0);
        assert_false(kc_feature_enabled(KC_FEATURE_CLUSTER_TRUST_BUNDLE));
        assert_false(kc_feature_enabled(KC_FEATURE_NONE));
        assert_int_equal(kc_feature_named("ClusterTrustBundle"), KC_FEATURE_CLUSTER_TRUST_BUNDLE);
        assert_int_equal(kc_feature_named("WatchList"), KC_FEATURE_NONE);
        assert_int_equal(kc_feature_named("NoSuch"), KC_FEATURE_NONE);
}

static void takes(void **state)
{
        (void)state;
        struct kc_error err = KC_ERROR_INIT;
        assert_int_equal(SET("ClusterTrustBundle=true"), 0);
        assert_true(kc_feature_enabled(KC_FEATURE_CLUSTER_TRUST_BUNDLE));
        assert_false(kc_feature_enabled(KC_FEATURE_CLUSTER_TRUST_BUNDLE_PROJECTION));
        assert_int_equal(SET("AllBeta=true"), 0);
        assert_true(kc_feature_enabled(KC_FEATURE_CLUSTER_TRUST_BUNDLE_PROJECTION));
        assert_int_equal(SET("AllBeta=true", "ClusterTrustBundleProjection=f"), 0);
        assert_true(kc_feature_enabled(KC_FEATURE_CLUSTER_TRUST_BUNDLE));
        assert_false(kc_feature_enabled(KC_FEATURE_CLUSTER_TRUST_BUNDLE_PROJECTION));
        assert_int_equal(SET("ClusterTrustBundle=true", "ClusterTrustBundle=false"), 0);
        assert_false(kc_feature_enabled(KC_FEATURE_CLUSTER_TRUST_BUNDLE));
        assert_int_equal(SET("SidecarContainers=true", "AllAlpha=true"), 0);
}

static void refuses(void **state)
{
        (void)state;
        static const struct {
                const char *pair, *message;
        } rows[] = {
            {"NoSuch=true", "unrecognized feature gate: NoSuch"},
            {"=true", "unrecognized feature gate: "},
            {"ClusterTrustBundle", "missing bool value for ClusterTrustBundle"},
            {"ClusterTrustBundle=yes",
                "invalid value of ClusterTrustBundle=yes, err: strconv.ParseBool: parsing \"yes\": invalid syntax"},
            {"SidecarContainers=false",
                "cannot set feature gate SidecarContainers to false, feature is locked to true"},
            {"ClusterTrustBundleProjection=true",
                "ClusterTrustBundleProjection is enabled, but depends on features that are disabled: "
                "[ClusterTrustBundle]"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                assert_int_equal(SET(rows[i].pair), -EINVAL);
                assert_string_equal(kc_error_message(&err), rows[i].message);
        }
}

static void merges(void **state)
{
        (void)state;
        char **m = kc_features_merge(STRV("A=true"), STRV("A=false", "B=true"));
        KC_CLEANUP(kc_freep) char *text = kc_strv_join(m, ",");
        assert_string_equal(text, "B=true,A=true");
        kc_strv_free(m);
        assert_null(kc_features_merge(NULL, NULL));
}

struct seen {
        const char *last;
        size_t n, bundles;
};

static void see(const char *name, const char *stage, bool enabled, void *arg)
{
        struct seen *s = arg;
        assert_true(!s->last || strcmp(s->last, name) < 0);
        s->last = name;
        s->n++;
        if (strcmp(name, "ClusterTrustBundle") == 0) {
                assert_string_equal(stage, "BETA");
                assert_true(enabled);
                s->bundles++;
        }
        if (strcmp(name, "SidecarContainers") == 0)
                assert_string_equal(stage, "");
        if (strcmp(name, "HPAScaleToZero") == 0)
                assert_false(enabled); /* nothing here can turn it on */
}

static void lists_all(void **state)
{
        (void)state;
        struct kc_error err = KC_ERROR_INIT;
        struct seen s = {0};
        assert_int_equal(SET("ClusterTrustBundle=true", "AllAlpha=true"), 0);
        kc_features_each(see, &s);
        assert_true(s.n > 200);
        assert_int_equal(s.bundles, 1);
        assert_int_equal(kc_features_set(NULL, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(defaults),
            cmocka_unit_test(takes),
            cmocka_unit_test(refuses),
            cmocka_unit_test(merges),
            cmocka_unit_test(lists_all),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

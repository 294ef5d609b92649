/* Names of images, pull policies, and which credential a registry gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the headers above first. */
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "kubelet/runtime/images.h"
#include "kubelet/runtime/pullsecrets.h"

static void expect_name(const char *image, const char *want)
{
        KC_CLEANUP(kc_freep) char *got = kc_image_normalize(image);
        if (want)
                assert_string_equal(got, want);
        else
                assert_null(got);
}

static void test_normalize(void **state)
{
        (void)state;
        expect_name("busybox", "docker.io/library/busybox:latest");
        expect_name("busybox:1.35", "docker.io/library/busybox:1.35");
        expect_name("team/app", "docker.io/team/app:latest");
        expect_name("localhost/app", "localhost/app:latest");
        expect_name("r.example:5000/a/b:v1", "r.example:5000/a/b:v1");
        expect_name("r.example/a@sha256:0123", "r.example/a@sha256:0123");
        expect_name("", NULL);
        expect_name("Upper", NULL);
        expect_name("a b", NULL);
        expect_name("a:", NULL);
        expect_name("a//b", NULL);
        expect_name("a@nodigest", NULL);
}

static void expect_policy(const char *json_image, const char *set, const char *want)
{
        KC_CLEANUP(kc_json_freep) struct json_object *c = kc_json_build("{'name':'a','image':%s}", json_image);
        if (set)
                kc_json_set_str(c, "imagePullPolicy", set);
        assert_string_equal(kc_image_pull_policy(c), want);
}

static void test_policy(void **state)
{
        (void)state;
        expect_policy("busybox", NULL, "Always");
        expect_policy("busybox:latest", NULL, "Always");
        expect_policy("busybox:1.35", NULL, "IfNotPresent");
        expect_policy("busybox", "Never", "Never");
}

static void test_credentials(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *config = kc_json_build(
            "{'auths':{'https://index.docker.io/v1/':{'auth':'aHViOnNlY3JldDpjb2xvbg=='},"
            "'r.example:5000':{'username':'u','password':'p'},'r.example:5000/team':{'username':'t','password':'q'},"
            "'*.wild.example':{'username':'w','password':'x'}}}");
        struct kc_pull_credentials c = {0};
        kc_pull_credentials_add(config, "busybox:1.35", &c);
        assert_int_equal(c.n, 1);
        assert_string_equal(c.v[0].username, "hub");
        assert_string_equal(c.v[0].password, "secret:colon");
        kc_pull_credentials_done(&c);
        kc_pull_credentials_add(config, "r.example:5000/team/app", &c);
        assert_int_equal(c.n, 2);
        assert_string_equal(c.v[0].username, "t"); /* the more specific one first */
        assert_string_equal(c.v[1].username, "u");
        kc_pull_credentials_done(&c);
        kc_pull_credentials_add(config, "a.wild.example/app", &c);
        assert_int_equal(c.n, 1);
        assert_string_equal(c.v[0].username, "w");
        kc_pull_credentials_done(&c);
        kc_pull_credentials_add(config, "other.example/app", &c);
        assert_int_equal(c.n, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_normalize),
            cmocka_unit_test(test_policy),
            cmocka_unit_test(test_credentials),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

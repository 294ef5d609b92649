/* Whom a container runs as, and when it does not run at all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "kubelet/runtime/runtime_internal.h"

static const char refused_root[] =
    "container has runAsNonRoot and image will run as root (pod: \"p_ns(u)\", container: c)";
static const char refused_name[] =
    "container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is "
    "non-root (pod: \"p_ns(u)\", container: c)";
static const char refused_user[] = "container's runAsUser breaks non-root policy (pod: \"p_ns(u)\", container: c)";

static const struct {
        const char *pod, *container; /* security contexts */
        int64_t image_uid;
        const char *image_user;
        const char *refused; /* NULL: it runs, */
        int64_t uid;         /* as this, or -1: */
        const char *user;    /* as this name */
} cases[] = {
    {"{}", "{}", -1, "", NULL, -1, ""},
    {"{}", "{}", -1, "nginx", NULL, -1, "nginx"},
    {"{}", "{}", 101, "", NULL, 101, ""},
    {"{}", "{'runAsNonRoot':true}", -1, "", refused_root, 0, NULL},
    {"{}", "{'runAsNonRoot':true}", 0, "", refused_root, 0, NULL},
    {"{}", "{'runAsNonRoot':true}", -1, "nginx", refused_name, 0, NULL},
    {"{'runAsNonRoot':true}", "{}", -1, "nginx", refused_name, 0, NULL},
    {"{'runAsNonRoot':true}", "{}", 101, "", NULL, 101, ""},
    {"{'runAsNonRoot':true}", "{'runAsUser':7}", -1, "nginx", NULL, 7, ""},
    {"{'runAsNonRoot':true,'runAsUser':7}", "{'runAsUser':0}", 101, "", refused_user, 0, NULL},
    {"{'runAsNonRoot':true}", "{'runAsNonRoot':false}", -1, "", NULL, -1, ""},
};

static void non_root(void **state)
{
        (void)state;
        struct kc_runtime r = {0};
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *pod =
                    kc_json_build("{'metadata':{'name':'p','namespace':'ns','uid':'u'},'spec':{"
                                  "'securityContext':%o,'containers':[{'name':'c','securityContext':%o}]}}",
                        kc_json_build(cases[i].pod), kc_json_build(cases[i].container));
                struct kc_container_input in = {.pod = pod,
                    .container = kc_json_idx(kc_json_at(pod, "spec.containers"), 0),
                    .image_uid = cases[i].image_uid,
                    .image_user = cases[i].image_user};
                struct kc_arena arena = {0};
                Runtime__V1__LinuxContainerSecurityContext *s = NULL;
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                int got = kc_container_security_make(&r, &in, &arena, &s, &err);
                if (cases[i].refused) {
                        assert_int_equal(got, -EPERM);
                        assert_string_equal(kc_error_message(&err), cases[i].refused);
                } else {
                        assert_int_equal(got, 0);
                        assert_int_equal(s->run_as_user ? s->run_as_user->value : -1, cases[i].uid);
                        assert_string_equal(s->run_as_username, cases[i].user);
                }
                kc_arena_done(&arena);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(non_root)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}

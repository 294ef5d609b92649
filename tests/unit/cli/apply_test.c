/* Client-side apply, generated objects, rollout messages. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/apply.h"
#include "cli/rollout.h"

static char apps[] = "apps", v1[] = "v1", deployments[] = "deployments", deployment_kind[] = "Deployment";
static const struct kc_api_resource deployment = {
    .group = apps, .version = v1, .resource = deployments, .kind = deployment_kind, .namespaced = true};

static struct json_object *manifest(int replicas)
{
        return kc_json_build(
            "{'kind':'Deployment','apiVersion':'apps/v1','metadata':{'name':'a','namespace':'default'},"
            "'spec':{'replicas':%d,'template':{'spec':{'containers':[{'name':'c','image':'<i>'}]}}}}",
            replicas);
}

static void test_the_annotation_is_kubectls(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *obj = manifest(1);
        KC_CLEANUP(kc_json_freep) struct json_object *modified = kc_apply_modified(obj);
        assert_string_equal(kc_meta_annotation(modified, KC_LAST_APPLIED),
            "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"annotations\":{},\"name\":\"a\","
            "\"namespace\":\"default\"},\"spec\":{\"replicas\":1,\"template\":{\"spec\":{\"containers\":[{\"image\":"
            "\"\\u003ci\\u003e\",\"name\":\"c\"}]}}}}\n");
        assert_null(kc_json_at(obj, "metadata.annotations"));
}

static void test_the_same_again_is_no_patch(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *obj = manifest(1);
        KC_CLEANUP(kc_json_freep) struct json_object *modified = kc_apply_modified(obj);
        KC_CLEANUP(kc_json_freep) struct json_object *live = kc_json_copy(modified);
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
        const char *type;
        kc_json_set(live, "status", kc_json_build("{'replicas':1}")); /* what others set stays */
        assert_int_equal(kc_apply_patch(&deployment, live, modified, &patch, &type, NULL), 0);
        assert_null(patch);
}

static void test_a_change_is_a_strategic_patch(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *old = manifest(1);
        KC_CLEANUP(kc_json_freep) struct json_object *live = kc_apply_modified(old);
        KC_CLEANUP(kc_json_freep) struct json_object *new = manifest(3);
        KC_CLEANUP(kc_json_freep) struct json_object *modified = kc_apply_modified(new);
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
        const char *type;
        assert_int_equal(kc_apply_patch(&deployment, live, modified, &patch, &type, NULL), 0);
        assert_string_equal(type, "application/strategic-merge-patch+json");
        assert_int_equal(kc_json_int_at(patch, "spec.replicas", 0), 3);
        assert_null(kc_json_at(patch, "spec.template"));
        assert_string_equal(kc_meta_annotation(patch, KC_LAST_APPLIED), kc_meta_annotation(modified, KC_LAST_APPLIED));
}

static void expect_json(struct json_object *take_o, const char *text)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = take_o;
        KC_CLEANUP(kc_freep) char *s = kc_json_to_str(o);
        assert_string_equal(s, text);
}

/* --- rollouts */

static void expect_status(struct json_object *take_o, const char *kind, const char *text, bool done)
{
        KC_CLEANUP(kc_json_freep) struct json_object *o = take_o;
        KC_CLEANUP(kc_freep) char *message = NULL;
        bool is_done;
        assert_int_equal(kc_rollout_status(o, kind, &message, &is_done, NULL), 0);
        assert_string_equal(message, text);
        assert_int_equal(is_done, done);
}

static struct json_object *rolling(int observed, int updated, int replicas, int available)
{
        return kc_json_build("{'metadata':{'name':'web','generation':2},'spec':{'replicas':3},'status':{"
                             "'observedGeneration':%d,'updatedReplicas':%d,'replicas':%d,'availableReplicas':%d}}",
            observed, updated, replicas, available);
}

static void test_rollout_messages(void **state)
{
        (void)state;
        expect_status(
            rolling(1, 3, 3, 3), "Deployment", "Waiting for deployment spec update to be observed...\n", false);
        expect_status(rolling(2, 1, 4, 3), "Deployment",
            "Waiting for deployment \"web\" rollout to finish: 1 out of 3 new replicas have been updated...\n", false);
        expect_status(rolling(2, 3, 4, 3), "Deployment",
            "Waiting for deployment \"web\" rollout to finish: 1 old replicas are pending termination...\n", false);
        expect_status(rolling(2, 3, 3, 2), "Deployment",
            "Waiting for deployment \"web\" rollout to finish: 2 of 3 updated replicas are available...\n", false);
        expect_status(rolling(2, 3, 3, 3), "Deployment", "deployment \"web\" successfully rolled out\n", true);
}

static void test_a_rollout_that_failed(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep) struct json_object *o = rolling(2, 1, 4, 3);
        KC_CLEANUP(kc_freep) char *message = NULL;
        struct kc_error err = KC_ERROR_INIT;
        bool done;
        kc_json_set(kc_json_get_mut(o, "status"), "conditions",
            kc_json_build("[{'type':'Progressing','status':'False','reason':'ProgressDeadlineExceeded'}]"));
        assert_true(kc_rollout_status(o, "Deployment", &message, &done, &err) < 0);
        assert_string_equal(err.message, "deployment \"web\" exceeded its progress deadline");
        kc_error_done(&err);
}

static void test_undo_goes_back_to_the_template(void **state)
{
        (void)state;
        char name[] = "web";
        KC_CLEANUP(kc_json_freep)
        struct json_object *d = kc_json_build("{'metadata':{'name':'web','annotations':{"
                                              "'deployment.kubernetes.io/revision':'2','note':'new'}},"
                                              "'spec':{'template':{'spec':{'x':2}}}}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *old = kc_json_build("{'metadata':{'annotations':{'deployment.kubernetes.io/revision':'1',"
                                                "'note':'old'}},'spec':{'template':{'metadata':{'labels':{"
                                                "'pod-template-hash':'h'}},'spec':{'x':1}}}}");
        KC_CLEANUP(kc_json_freep) struct json_object *patch = NULL;
        struct kc_revision v[] = {{1, NULL, old}, {2, NULL, d}};
        struct kc_revisions r = {.v = v, .n = 2};
        struct kc_found f = {.res = &deployment, .name = name, .obj = d};
        struct kc_error err = KC_ERROR_INIT;
        const char *type;
        int64_t revision;
        assert_int_equal(kc_rollout_undo_patch(&f, &r, 0, &patch, &type, &revision, &err), 0);
        assert_int_equal(revision, 1);
        assert_string_equal(type, "application/json-patch+json");
        expect_json(KC_TAKE(patch), "[{\"op\":\"replace\",\"path\":\"/spec/"
                                    "template\",\"value\":{\"metadata\":{\"labels\":{}},\"spec\":{\"x\":1}}},"
                                    "{\"op\":\"replace\",\"path\":\"/metadata/"
                                    "annotations\",\"value\":{\"deployment.kubernetes.io/revision\":\"2\","
                                    "\"note\":\"old\"}}]");
        assert_true(kc_rollout_undo_patch(&f, &r, 7, &patch, &type, &revision, &err) < 0);
        assert_string_equal(err.message, "unable to find specified revision 7 in history");
        r.n = 1;
        assert_true(kc_rollout_undo_patch(&f, &r, 0, &patch, &type, &revision, &err) < 0);
        assert_string_equal(err.message, "no rollout history found for deployment \"web\"");
        kc_error_done(&err);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_annotation_is_kubectls),
            cmocka_unit_test(test_the_same_again_is_no_patch),
            cmocka_unit_test(test_a_change_is_a_strategic_patch),
            cmocka_unit_test(test_rollout_messages),
            cmocka_unit_test(test_a_rollout_that_failed),
            cmocka_unit_test(test_undo_goes_back_to_the_template),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

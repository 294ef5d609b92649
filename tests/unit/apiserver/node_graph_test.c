/* What belongs to a node, while pods and volumes come, change and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/node_graph.h"
#include "base/macros.h"

static void set(struct node_graph *g, const char *resource, const char *key, struct json_object *take_obj)
{
        node_graph_set(g, resource, key, take_obj);
        kc_json_free(take_obj);
}

static struct json_object *pod(const char *node, const char *secret)
{
        return kc_json_build(
            "{'metadata':{'name':'p','namespace':'d'},'spec':{'nodeName':%s,'serviceAccountName':'robot',"
            "'containers':[{'name':'c','env':[{'name':'e','valueFrom':{'configMapKeyRef':{'name':'env'}}}]}],"
            "'volumes':[{'name':'s','secret':{'secretName':%s}},{'name':'scratch','ephemeral':{}},"
            "{'name':'c','persistentVolumeClaim':{'claimName':'data'}}]}}",
            node, secret);
}

static void pods_bring_what_they_refer_to(void **state)
{
        (void)state;
        struct node_graph *g = node_graph_new();
        set(g, "pods", "d/p", pod("n1", "s1"));
        static const char *const has[][2] = {{"pods", "p"}, {"secrets", "s1"}, {"configmaps", "env"},
            {"serviceaccounts", "robot"}, {"persistentvolumeclaims", "data"}, {"persistentvolumeclaims", "p-scratch"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(has); i++) {
                assert_true(node_graph_has(g, "n1", has[i][0], "d", has[i][1]));
                assert_false(node_graph_has(g, "n2", has[i][0], "d", has[i][1]));
                assert_false(node_graph_has(g, "n1", has[i][0], "other", has[i][1]));
        }
        assert_false(node_graph_has(g, "n1", "configmaps", "d", "s1"));
        /* Two pods with the same secret: it stays until both are gone. */
        set(g, "pods", "d/q", pod("n1", "s1"));
        set(g, "pods", "d/p", pod("n1", "s2"));
        assert_true(node_graph_has(g, "n1", "secrets", "d", "s1"));
        assert_true(node_graph_has(g, "n1", "secrets", "d", "s2"));
        node_graph_set(g, "pods", "d/q", NULL);
        assert_false(node_graph_has(g, "n1", "secrets", "d", "s1"));
        assert_true(node_graph_knows_pod(g, "d/p", "n1"));
        assert_false(node_graph_knows_pod(g, "d/p", "n2"));
        node_graph_free(g);
}

static void a_mirror_pod_brings_nothing(void **state)
{
        (void)state;
        struct node_graph *g = node_graph_new();
        struct json_object *p = pod("n1", "s1");
        kc_json_set(
            kc_json_get_mut(p, "metadata"), "annotations", kc_json_build("{'kubernetes.io/config.mirror':'x'}"));
        set(g, "pods", "d/p", p);
        assert_true(node_graph_has(g, "n1", "pods", "d", "p"));
        assert_false(node_graph_has(g, "n1", "secrets", "d", "s1"));
        node_graph_free(g);
}

static void volumes_follow_their_claim(void **state)
{
        (void)state;
        struct node_graph *g = node_graph_new();
        set(g, "pods", "d/p", pod("n1", "s1"));
        set(g, "persistentvolumes", "/v",
            kc_json_build("{'metadata':{'name':'v'},'spec':{'claimRef':{'namespace':'d','name':'data'},'csi':{"
                          "'nodeStageSecretRef':{'name':'stage','namespace':'k'},'controllerPublishSecretRef':{"
                          "'name':'control','namespace':'k'}}}}"));
        assert_true(node_graph_has(g, "n1", "persistentvolumes", "", "v"));
        assert_false(node_graph_has(g, "n2", "persistentvolumes", "", "v"));
        assert_true(node_graph_has(g, "n1", "secrets", "k", "stage"));
        assert_false(node_graph_has(g, "n1", "secrets", "k", "control")); /* of the controller, not of kubelets */
        set(g, "persistentvolumes", "/v",
            kc_json_build("{'metadata':{'name':'v'},'spec':{'claimRef':{'namespace':'d','name':'other'}}}"));
        assert_false(node_graph_has(g, "n1", "persistentvolumes", "", "v"));
        assert_false(node_graph_has(g, "n1", "secrets", "k", "stage"));
        node_graph_free(g);
}

static void claims_of_resources_come_with_the_status(void **state)
{
        (void)state;
        struct node_graph *g = node_graph_new();
        set(g, "pods", "d/p",
            kc_json_build(
                "{'metadata':{'name':'p','namespace':'d'},'spec':{'nodeName':'n1','resourceClaims':[{'name':'a',"
                "'resourceClaimTemplateName':'t'}]}}"));
        assert_false(node_graph_knows_pod(g, "d/p", "n1")); /* the next status counts */
        assert_false(node_graph_has(g, "n1", "resourceclaims", "d", "p-a-x"));
        set(g, "pods", "d/p",
            kc_json_build(
                "{'metadata':{'name':'p','namespace':'d'},'spec':{'nodeName':'n1','resourceClaims':[{'name':'a',"
                "'resourceClaimTemplateName':'t'}]},'status':{'resourceClaimStatuses':[{'name':'a',"
                "'resourceClaimName':'p-a-x'}]}}"));
        assert_true(node_graph_has(g, "n1", "resourceclaims", "d", "p-a-x"));
        node_graph_free(g);
}

static void attachments_and_slices_name_their_node(void **state)
{
        (void)state;
        struct node_graph *g = node_graph_new();
        set(g, "volumeattachments", "/a", kc_json_build("{'metadata':{'name':'a'},'spec':{'nodeName':'n1'}}"));
        set(g, "resourceslices", "/s", kc_json_build("{'metadata':{'name':'s'},'spec':{'nodeName':'n2'}}"));
        assert_true(node_graph_has(g, "n1", "volumeattachments", "", "a"));
        assert_false(node_graph_has(g, "n2", "volumeattachments", "", "a"));
        assert_true(node_graph_has(g, "n2", "resourceslices", "", "s"));
        node_graph_set(g, "resourceslices", "/s", NULL);
        assert_false(node_graph_has(g, "n2", "resourceslices", "", "s"));
        node_graph_free(g);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(pods_bring_what_they_refer_to),
            cmocka_unit_test(a_mirror_pod_brings_nothing),
            cmocka_unit_test(volumes_follow_their_claim),
            cmocka_unit_test(claims_of_resources_come_with_the_status),
            cmocka_unit_test(attachments_and_slices_name_their_node),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

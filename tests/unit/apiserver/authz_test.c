/* Authorization over the registry: RBAC, the Node authorizer, the words of a refusal. */
#include "api/selector.h"
#include "auth/rbac.h"
#include "registry_fixture.h"

#define RBAC "rbac.authorization.k8s.io"

static struct kc_authz_attrs ask(
    const struct kc_user *u, const char *verb, const char *resource, const char *ns, const char *name)
{
        return (struct kc_authz_attrs){.user = u,
            .verb = verb,
            .resource_request = true,
            .ns = ns,
            .group = "",
            .version = "v1",
            .resource = resource,
            .subresource = "",
            .name = name,
            .path = ""};
}

static bool may(struct fixture *f, const struct kc_authz_attrs *a)
{
        return kc_authz_authorize(f->authz, a, NULL) == KC_ALLOW;
}

static char *reason(struct fixture *f, const struct kc_authz_attrs *a)
{
        char *why = NULL;
        (void)kc_authz_authorize(f->authz, a, &why);
        return why ? why : kc_strdup("");
}

static void make_role(struct fixture *f, const char *ns, const char *name, struct json_object *take_rules)
{
        put(f, RBAC, ns[0] ? "roles" : "clusterroles", ns,
            kc_json_build("{'metadata':{'name':%s},'rules':%o}", name, take_rules));
}

static void bind(struct fixture *f, const char *ns, const char *name, const char *kind, const char *role,
    struct json_object *take_subject)
{
        put(f, RBAC, ns[0] ? "rolebindings" : "clusterrolebindings", ns,
            kc_json_build("{'metadata':{'name':%s},'roleRef':{'apiGroup':'" RBAC
                          "','kind':%s,'name':%s},'subjects':[%o]}",
                name, kind, role, take_subject));
}

static struct json_object *subject(const char *kind, const char *name)
{
        return kc_json_build("{'kind':%s,'name':%s,'apiGroup':'" RBAC "'}", kind, name);
}

static struct json_object *read_pods(void)
{
        return kc_json_build("[{'verbs':['get','list'],'apiGroups':[''],'resources':['pods']}]");
}

static void bindings_give_roles(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_user_unrefp) struct kc_user *jane = user("jane", "dev");
        const struct kc_authz_attrs here = ask(jane, "get", "pods", "default", "x"),
                                    elsewhere = ask(jane, "get", "pods", "other", "x"),
                                    everywhere = ask(jane, "list", "pods", "", "");
        assert_false(may(f, &here));
        make_role(f, "", "reader", read_pods());
        bind(f, "default", "b", "ClusterRole", "reader", subject("User", "jane"));
        EVENTUALLY(may(f, &here));
        assert_false(may(f, &elsewhere));
        assert_false(may(f, &everywhere));
        KC_CLEANUP(kc_freep) char *why = reason(f, &here);
        assert_string_equal(
            why, "RBAC: allowed by RoleBinding \"b/default\" of ClusterRole \"reader\" to User \"jane\"");
        bind(f, "", "all", "ClusterRole", "reader", subject("Group", "dev"));
        EVENTUALLY(may(f, &everywhere));
        assert_true(may(f, &elsewhere));
        assert_int_equal(remove_as(f, NULL, RBAC, "clusterrolebindings", "", "all", -1, NULL), 0);
        EVENTUALLY(!may(f, &everywhere));
        assert_true(may(f, &here));
        assert_int_equal(change_as(f, NULL, RBAC, "clusterroles", "", "", "reader",
                             kc_json_build("{'metadata':{'labels':{'a':'b'}}}"), NULL),
            0);
        assert_int_equal(remove_as(f, NULL, RBAC, "clusterroles", "", "reader", -1, NULL), 0);
        EVENTUALLY(!may(f, &here));
        KC_CLEANUP(kc_freep) char *lost = reason(f, &here);
        assert_string_equal(lost, "RBAC: clusterrole.rbac.authorization.k8s.io \"reader\" not found");
}

static void service_accounts_are_subjects(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_user_unrefp) struct kc_user *sa = user("system:serviceaccount:default:s1", NULL);
        const struct kc_authz_attrs a = ask(sa, "list", "pods", "default", "");
        make_role(f, "default", "r", read_pods());
        bind(f, "default", "b", "Role", "r",
            kc_json_build("{'kind':'ServiceAccount','name':'s1','namespace':'default'}"));
        EVENTUALLY(may(f, &a));
        KC_CLEANUP(kc_freep) char *why = reason(f, &a);
        assert_string_equal(
            why, "RBAC: allowed by RoleBinding \"b/default\" of Role \"r\" to ServiceAccount \"s1/default\"");
}

static void masters_may_do_everything(void **state)
{
        struct fixture *f = *state;
        KC_CLEANUP(kc_user_unrefp) struct kc_user *admin = user("admin", KC_GROUP_MASTERS);
        const struct kc_authz_attrs a = ask(admin, "delete", "nodes", "", "x");
        assert_true(may(f, &a));
}

static void rules_of_a_user(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_user_unrefp) struct kc_user *jane = user("jane", "dev");
        const struct kc_authz_attrs a = ask(jane, "get", "pods", "default", "x");
        make_role(f, "", "reader", read_pods());
        bind(f, "default", "b", "ClusterRole", "reader", subject("User", "jane"));
        bind(f, "default", "c", "ClusterRole", "reader", subject("Group", "nobody"));
        EVENTUALLY(may(f, &a));
        KC_CLEANUP(kc_json_freep) struct json_object *o = kc_authz_rules(f->authz, jane, "default");
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(o);
        assert_string_equal(text, "{\"resourceRules\":[{\"verbs\":[\"get\",\"list\"],\"apiGroups\":[\"\"],"
                                  "\"resources\":[\"pods\"]}],\"nonResourceRules\":[],\"incomplete\":false}");
}

static void nobody_grants_what_they_lack(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_user_unrefp) struct kc_user *jane = user("jane", "dev");
        const struct kc_authz_attrs a = ask(jane, "get", "pods", "default", "x");
        make_role(f, "", "reader", read_pods());
        bind(f, "default", "b", "ClusterRole", "reader", subject("User", "jane"));
        EVENTUALLY(may(f, &a));
        assert_null(create_as(f, f->registry, jane, RBAC, "roles", "default",
            kc_json_build("{'metadata':{'name':'r'},'rules':[{'verbs':['get'],'apiGroups':[''],'resources':['pods',"
                          "'secrets']}]}")));
        assert_string_equal(f->err.message,
            "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"dev\" "
            "\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n"
            "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}");
        assert_int_equal(f->err.code, 403);
        kc_object_unref(create_as(f, f->registry, jane, RBAC, "roles", "default",
            kc_json_build("{'metadata':{'name':'r'},'rules':%o}", read_pods())));
        assert_int_equal(f->err.errnum, 0);
        assert_null(create_as(f, f->registry, jane, RBAC, "clusterrolebindings", "",
            kc_json_build("{'metadata':{'name':'x'},'roleRef':{'kind':'ClusterRole','name':'reader'},'subjects':[]}")));
        assert_int_equal(f->err.code, 403);
        assert_null(create_as(f, f->registry, jane, RBAC, "rolebindings", "default",
            kc_json_build("{'metadata':{'name':'x'},'roleRef':{'kind':'Role','name':'none'},'subjects':[]}")));
        assert_string_equal(f->err.message, "roles.rbac.authorization.k8s.io \"none\" not found");
        kc_object_unref(create_as(f, f->registry, jane, RBAC, "rolebindings", "default",
            kc_json_build("{'metadata':{'name':'x'},'roleRef':{'kind':'ClusterRole','name':'reader'},'subjects':[]}")));
        assert_int_equal(f->err.errnum, 0);
}

static void nodes_read_what_their_pods_need(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_user_unrefp) struct kc_user *n1 = user("system:node:n1", KC_GROUP_NODES);
        put(f, "", "pods", "default",
            kc_json_build("{'metadata':{'name':'p'},'spec':{'nodeName':'n1','containers':[{'name':'c','image':'i',"
                          "'envFrom':[{'secretRef':{'name':'s1'}}]}],'volumes':[{'name':'v','projected':{'sources':["
                          "{'configMap':{'name':'c1'}}]}}]}}"));
        const struct kc_authz_attrs s1 = ask(n1, "get", "secrets", "default", "s1"),
                                    s2 = ask(n1, "get", "secrets", "default", "s2"),
                                    c1 = ask(n1, "watch", "configmaps", "default", "c1"),
                                    root = ask(n1, "get", "configmaps", "default", "kube-root-ca.crt"),
                                    write = ask(n1, "update", "secrets", "default", "s1"),
                                    node = ask(n1, "get", "nodes", "", "n2"), svc = ask(n1, "list", "services", "", "");
        EVENTUALLY(may(f, &s1));
        assert_true(may(f, &c1));
        assert_true(may(f, &root));
        assert_true(may(f, &svc));
        assert_false(may(f, &s2));
        KC_CLEANUP(kc_freep) char *why = reason(f, &s2);
        assert_string_equal(why, "no relationship found between node 'n1' and this object");
        KC_CLEANUP(kc_freep) char *no_write = reason(f, &write);
        assert_string_equal(no_write, "can only read resources of this type");
        KC_CLEANUP(kc_freep) char *other = reason(f, &node);
        assert_string_equal(other, "node 'n1' cannot read 'n2', only its own Node object");
        struct kc_authz_attrs token = ask(n1, "create", "serviceaccounts", "default", "default");
        token.subresource = "token";
        assert_true(may(f, &token));
        struct kc_authz_attrs lease = ask(n1, "update", "leases", "kube-node-lease", "n1");
        lease.group = "coordination.k8s.io";
        assert_true(may(f, &lease));
        lease.name = "n2";
        assert_false(may(f, &lease));
        assert_int_equal(remove_as(f, NULL, "", "pods", "default", "p", 0, NULL), 0);
        EVENTUALLY(!may(f, &s1));
}

static void lists_of_pods_need_the_node(void **state)
{
        struct fixture *f = *state;
        KC_CLEANUP(kc_user_unrefp) struct kc_user *n1 = user("system:node:n1", KC_GROUP_NODES);
        struct kc_authz_attrs a = ask(n1, "list", "pods", "", "");
        assert_false(may(f, &a));
        KC_CLEANUP(kc_field_selector_freep) struct kc_field_selector *own = NULL;
        KC_CLEANUP(kc_field_selector_freep) struct kc_field_selector *other = NULL;
        assert_int_equal(kc_field_selector_parse("spec.nodeName=n1", &own, NULL), 0);
        assert_int_equal(kc_field_selector_parse("spec.nodeName=n2", &other, NULL), 0);
        a.field_selector = other;
        assert_false(may(f, &a));
        a.field_selector = own;
        assert_true(may(f, &a));
}

static void refusals_say_who_what_and_where(void **state)
{
        (void)state;
        KC_CLEANUP(kc_user_unrefp) struct kc_user *u = user("j<e", NULL);
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        struct kc_authz_attrs a = ask(u, "list", "pods", "default", "");
        assert_int_equal(kc_authz_forbidden(&err, &a, NULL), -EACCES);
        assert_string_equal(err.message,
            "pods is forbidden: User \"j&lt;e\" cannot list resource \"pods\" in API group "
            "\"\" in the namespace \"default\"");
        a = ask(u, "get", "deployments", "", "d");
        a.group = "apps";
        a.subresource = "scale";
        (void)kc_authz_forbidden(&err, &a, "because");
        assert_string_equal(err.message, "deployments.apps \"d\" is forbidden: User \"j&lt;e\" cannot get resource "
                                         "\"deployments/scale\" in API group "
                                         "\"apps\" at the cluster scope: because");
        a = (struct kc_authz_attrs){.user = u, .verb = "get", .path = "/metrics"};
        (void)kc_authz_forbidden(&err, &a, NULL);
        assert_string_equal(err.message, "forbidden: User \"j&lt;e\" cannot get path \"/metrics\"");
        assert_int_equal(err.code, 403);
}

static void unknown_modes_are_refused(void **state)
{
        struct fixture *f = *state;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        char *modes[] = {(char *)"ABCD", NULL};
        const struct kc_authz_opts o = {.resources = f->resources, .loop = f->loop, .modes = modes};
        struct kc_authz *a = NULL;
        assert_int_equal(kc_authz_new(&o, &a, &err), -EINVAL);
        assert_string_equal(err.message, "authorization-mode \"ABCD\" is not a valid mode");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
            TEST(bindings_give_roles),
            TEST(service_accounts_are_subjects),
            TEST(masters_may_do_everything),
            TEST(rules_of_a_user),
            TEST(nobody_grants_what_they_lack),
            TEST(nodes_read_what_their_pods_need),
            TEST(lists_of_pods_need_the_node),
            cmocka_unit_test(refusals_say_who_what_and_where),
            TEST(unknown_modes_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

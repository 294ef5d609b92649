/* The default roles and bindings against upstream's published ones (testdata/default_roles.jsonl): every role, asked
 * for every verb of every resource of discovery and of every non-resource URL. */
#include "api/selector.h"
#include "auth/rbac_role.h"
#include "base/file.h"
#include "bootstrap/bootstrap_internal.h"
#include "registry_fixture.h"

#define RBAC "rbac.authorization.k8s.io"

enum { MAX_DATA = 1 << 20 };

static struct kc_buf data;
static char **lines;

static const char *const verbs[] = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection",
    "impersonate", "bind", "escalate", "approve", "sign", "attest", "proxy", "use", "connect"};
static const char *const urls[] = {"/", "/api", "/api/v1", "/apis", "/apis/apps", "/healthz", "/healthz/etcd", "/livez",
    "/livez/ping", "/readyz", "/readyz/etcd", "/version", "/version/", "/metrics", "/metrics/slis", "/openapi",
    "/openapi/v2", "/openapi/v3", "/logs", "/logs/x", "/debug/pprof", "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/", "/flagz", "/statusz", "/configz"};
/* Roles speak of these, too; discovery does not. */
static const struct {
        const char *group, *resource, *sub;
} more[] = {{"", "users", ""}, {"", "groups", ""}, {"", "nodes", "metrics"}, {"", "nodes", "stats"},
    {"", "nodes", "configz"}, {"", "nodes", "healthz"}, {"", "nodes", "pods"}, {"", "nodes", "log"},
    {"", "nodes", "checkpoint"}, {"authentication.k8s.io", "userextras", "scopes"},
    {"authentication.k8s.io", "uids", ""}, {"certificates.k8s.io", "signers", ""}, {"metrics.k8s.io", "pods", ""},
    {"metrics.k8s.io", "nodes", ""}, {"apps", "deployments", "rollback"}, {"extensions", "ingresses", ""},
    {"policy", "podsecuritypolicies", ""}, {"custom.metrics.k8s.io", "pods", "qps"}, {"example.com", "foos", ""}};
/* "" and what resourceNames of the default roles name. */
static const char *const names[] = {"", "x", "kube-controller-manager", "kube-scheduler",
    "extension-apiserver-authentication", "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/legacy-unknown",
    "cluster-info", "system:controller:job-controller"};

struct pair {
        const char *role;
        struct rbac_rules wanted;
        struct rbac_role *have;
        size_t asked;
};

static void compare(struct pair *p, const struct kc_authz_attrs *a)
{
        struct rbac_ask ask;
        bool want = false;
        for (size_t i = 0; i < p->wanted.n && !want; i++)
                want = rbac_rule_allows(&p->wanted.v[i], a);
        rbac_ask_init(&ask, a);
        bool got = rbac_role_allows(p->have, &ask);
        p->asked++;
        if (got != want)
                fail_msg("%s: %s %s/%s/%s \"%s\" %s: upstream says %s", p->role, a->verb, a->group, a->resource,
                    a->subresource, a->name, a->path, want ? "yes" : "no");
}

static void compare_resource(struct pair *p, const char *group, const char *resource, const char *sub)
{
        for (size_t v = 0; v < KC_ARRAY_LEN(verbs); v++)
                for (size_t n = 0; n < KC_ARRAY_LEN(names); n++)
                        compare(p, &(struct kc_authz_attrs){.verb = verbs[v],
                                       .resource_request = true,
                                       .ns = "default",
                                       .group = group,
                                       .version = "v1",
                                       .resource = resource,
                                       .subresource = sub,
                                       .name = names[n],
                                       .path = ""});
}

static void compare_all(struct pair *p)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < gvs[i]->n_resources; j++) {
                        const struct kc_resource *r = &gvs[i]->resources[j];
                        compare_resource(p, r->group, r->resource, "");
                        for (size_t k = 0; k < r->n_subresources; k++)
                                compare_resource(p, r->group, r->resource, r->subresources[k].name);
                }
        for (size_t i = 0; i < KC_ARRAY_LEN(more); i++)
                compare_resource(p, more[i].group, more[i].resource, more[i].sub);
        for (size_t i = 0; i < KC_ARRAY_LEN(urls); i++)
                for (size_t v = 0; v < KC_ARRAY_LEN(verbs); v++)
                        compare(p, &(struct kc_authz_attrs){.verb = verbs[v],
                                       .ns = "",
                                       .group = "",
                                       .version = "",
                                       .resource = "",
                                       .subresource = "",
                                       .name = "",
                                       .path = urls[i]});
}

static struct json_object *line(size_t i)
{
        struct json_object *o = NULL;
        assert_int_equal(kc_json_parse(lines[i], strlen(lines[i]), NULL, &o, NULL), 0);
        return o;
}

/* The rules that the controller gives an aggregated role: those of the roles that it selects. */
static void add_selected(struct fixture *f, const struct json_object *selector, struct json_object *rules)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = NULL;
        assert_int_equal(kc_selector_from_label_selector(selector, &s, NULL), 0);
        for (size_t i = 0; lines[i]; i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *o = line(i);
                KC_CLEANUP(kc_object_unrefp)
                struct kc_object *role = get(f, RBAC, "clusterroles", "", kc_json_str(o, "name"));
                if (!kc_streq(kc_json_str(o, "resource"), "clusterroles") ||
                    !kc_selector_matches(s, kc_meta_labels(kc_object_json(role))))
                        continue;
                const struct json_object *own = kc_json_get(kc_object_json(role), "rules"),
                                         *more_selectors =
                                             kc_json_at(kc_object_json(role), "aggregationRule.clusterRoleSelectors");
                for (size_t k = 0; k < kc_json_len(own); k++)
                        kc_json_push(rules, kc_json_copy(kc_json_idx(own, k)));
                for (size_t k = 0; k < kc_json_len(more_selectors); k++)
                        add_selected(f, kc_json_idx(more_selectors, k), rules);
        }
}

static struct rbac_role *role_of(struct fixture *f, const struct kc_object *o)
{
        const struct json_object *selectors = kc_json_at(kc_object_json(o), "aggregationRule.clusterRoleSelectors");
        if (!selectors)
                return rbac_role_new(kc_json_get(kc_object_json(o), "rules"));
        KC_CLEANUP(kc_json_freep) struct json_object *rules = json_object_new_array();
        for (size_t i = 0; i < kc_json_len(selectors); i++)
                add_selected(f, kc_json_idx(selectors, i), rules);
        return rbac_role_new(rules);
}

static void same(const char *name, const struct kc_object *o, const char *path, const struct json_object *wanted)
{
        const struct json_object *have = kc_json_at(kc_object_json(o), path);
        if (!kc_json_equal(have, wanted))
                fail_msg("%s: %s is %s", name, path, at(o, path));
}

static void check_line(struct fixture *f, const struct json_object *want, size_t *asked)
{
        const char *resource = kc_json_str(want, "resource"), *name = kc_json_str(want, "name"),
                   *ns = kc_json_str(want, "namespace");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, RBAC, resource, ns ? ns : "", name);
        if (!o)
                fail_msg("%s %s is missing", resource, name);
        same(name, o, "metadata.labels", kc_json_get(want, "labels"));
        same(name, o, "metadata.annotations", kc_json_get(want, "annotations"));
        same(name, o, "roleRef", kc_json_get(want, "roleRef"));
        same(name, o, "subjects", kc_json_get(want, "subjects"));
        same(name, o, "aggregationRule", kc_json_get(want, "aggregationRule"));
        if (kc_json_get(want, "roleRef"))
                return;
        struct pair p = {.role = name, .have = role_of(f, o)};
        rbac_rules_compile(&p.wanted, kc_json_get(want, "rules"));
        compare_all(&p);
        *asked += p.asked;
        rbac_rules_done(&p.wanted);
        rbac_role_free(p.have);
}

static void they_allow_what_upstreams_allow(void **state)
{
        struct fixture *f = *state;
        size_t asked = 0;
        assert_int_equal(boot_namespaces(f->registry, &f->err), 0);
        assert_int_equal(boot_rbac(f->registry, &f->err), 0);
        for (size_t i = 0; lines[i]; i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *want = line(i);
                check_line(f, want, &asked);
        }
        assert_true(asked > 1000000); /* the matrix is whole */
}

int main(void)
{
        assert_int_equal(kc_file_read(TEST_DATA_DIR "/default_roles.jsonl", MAX_DATA, &data, NULL), 0);
        KC_CLEANUP(kc_freep) char *text = kc_str_trim(kc_buf_str(&data));
        lines = kc_strv_split(text, '\n');
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(they_allow_what_upstreams_allow, fixture_setup, fixture_teardown),
        };
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        kc_strv_free(lines);
        kc_buf_done(&data);
        return failed;
}

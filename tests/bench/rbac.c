/* 10,000 bindings (half of them of namespaces) of 1,000 roles to users, groups and service accounts, beside the kinds
 * of roles that every cluster has; then questions of all sorts, each with its reason, as the apiserver asks them.
 * Prints the mean of each sort in µs; exit status 1 if one is above the limit. */
#include <stdio.h>
#include <stdlib.h>

#include "auth/authz_internal.h"
#include "base/clock.h"
#include "base/str.h"

enum { BINDINGS = 10000, ROLES = 1000, NAMESPACES = 500, ROUNDS = 200000, BATCHES = 10 };
#define LIMIT_US 2.0

static const char *const resources[] = {"pods", "services", "configmaps", "secrets", "deployments", "jobs", "ingresses",
    "persistentvolumeclaims", "endpoints", "events", "replicasets", "statefulsets"};

static void set(struct authz_rbac *r, const char *resource, const char *key, struct json_object *take_obj)
{
        authz_rbac_set(r, resource, key, take_obj);
        kc_json_free(take_obj);
}

/* As many rules as "edit" has. */
static void make_roles(struct authz_rbac *r)
{
        for (int i = 0; i < ROLES; i++) {
                struct json_object *rules = json_object_new_array();
                for (int j = 0; j < 20; j++)
                        kc_json_push(rules,
                            kc_json_build(
                                "{'verbs':['get','list','watch','create'],'apiGroups':['','apps'],'resources':"
                                "[%s,%s,'bindings','limitranges']}",
                                resources[(i + j) % (int)KC_ARRAY_LEN(resources)], j % 2 ? "pods/log" : "pods/status"));
                KC_CLEANUP(kc_freep) char *key = kc_asprintf("/role-%d", i);
                set(r, "clusterroles", key, kc_json_build("{'metadata':{'name':%s},'rules':%o}", key + 1, rules));
        }
}

static void make_bindings(struct authz_rbac *r)
{
        static const char *const kinds[] = {"User", "Group", "ServiceAccount"};
        for (int i = 0; i < BINDINGS; i++) {
                bool cluster = i % 2 == 0;
                KC_CLEANUP(kc_freep) char *ns = kc_asprintf("ns-%d", i % NAMESPACES);
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("binding-%d", i);
                KC_CLEANUP(kc_freep) char *role = kc_asprintf("role-%d", i % ROLES);
                KC_CLEANUP(kc_freep) char *subject = kc_asprintf("subject-%d", i % 3000);
                KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", cluster ? "" : ns, name);
                struct json_object *o = kc_json_build("{'metadata':{'name':%s},'roleRef':{'kind':'ClusterRole','name':%"
                                                      "s},'subjects':[{'kind':%s,'name':%s,"
                                                      "'namespace':%s}]}",
                    name, role, kinds[i % 3], subject, ns);
                if (!cluster)
                        kc_json_set_str(kc_json_get_mut(o, "metadata"), "namespace", ns);
                set(r, cluster ? "clusterrolebindings" : "rolebindings", key, o);
        }
}

static struct kc_user *user(const char *name, const char *group)
{
        struct kc_user *u = kc_user_new(name, NULL, NULL);
        kc_user_add_group(u, group);
        kc_user_add_group(u, KC_GROUP_AUTHENTICATED);
        return u;
}

/* The mean of one question in µs, of the best of some rounds: others use the machine, too. */
static double measure(struct authz_rbac *r, const char *what, const struct kc_authz_attrs *a, bool want)
{
        size_t allowed = 0;
        double us = 0;
        for (int k = 0; k < BATCHES; k++) {
                kc_mono begin = kc_clock_mono(NULL);
                for (int i = 0; i < ROUNDS / BATCHES; i++) {
                        char *why = NULL;
                        allowed += authz_rbac_allows(r, a, &why);
                        kc_free(why);
                }
                double mean = (double)(kc_clock_mono(NULL) - begin) / (ROUNDS / BATCHES);
                us = k == 0 ? mean : KC_MIN(us, mean);
        }
        if ((allowed > 0) != want) {
                fprintf(stderr, "%s: a wrong answer\n", what);
                exit(2);
        }
        printf("%-52s %.3f us\n", what, us);
        return us;
}

static void slowest(double *worst, double us)
{
        *worst = KC_MAX(*worst, us);
}

int main(void)
{
        struct authz_rbac *r = authz_rbac_new();
        make_roles(r);
        kc_mono begin = kc_clock_mono(NULL);
        make_bindings(r);
        printf("%-52s %.3f us\n", "index a binding", (double)(kc_clock_mono(NULL) - begin) / BINDINGS);
        struct kc_user *direct = user("subject-0", "nobody"), *member = user("jane", "subject-4"),
                       *stranger = user("carol", "others");
        struct kc_authz_attrs a = {.user = direct,
            .verb = "get",
            .resource_request = true,
            .ns = "ns-7",
            .group = "apps",
            .version = "v1",
            .resource = "deployments",
            .subresource = "",
            .name = "x",
            .path = ""};
        double worst = 0;
        slowest(&worst, measure(r, "a user's binding", &a, true));
        a.user = member;
        slowest(&worst, measure(r, "a group's binding", &a, true));
        a.subresource = "log";
        a.resource = "pods";
        a.group = "";
        slowest(&worst, measure(r, "a subresource", &a, true));
        a.verb = "delete";
        slowest(&worst, measure(r, "refused: the verb", &a, false));
        a.user = stranger;
        slowest(&worst, measure(r, "refused: no binding", &a, false));
        struct kc_authz_attrs url = {.user = direct, .verb = "get", .path = "/metrics", .ns = "", .group = ""};
        slowest(&worst, measure(r, "refused: a URL", &url, false));
        /* One subject with a tenth of all bindings. */
        for (int i = 0; i < BINDINGS / 10; i++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("more-%d", i);
                KC_CLEANUP(kc_freep) char *role = kc_asprintf("role-%d", i % 10);
                KC_CLEANUP(kc_freep) char *key = kc_asprintf("ns-7/%s", name);
                set(r, "rolebindings", key,
                    kc_json_build(
                        "{'metadata':{'name':%s,'namespace':'ns-7'},'roleRef':{'kind':'ClusterRole','name':%s},"
                        "'subjects':[{'kind':'User','name':'carol'}]}",
                        name, role));
        }
        slowest(&worst, measure(r, "refused: 1,000 bindings of one user", &a, false));
        printf("%-52s %.3f us (limit %.1f)\n", "the slowest", worst, LIMIT_US);
        kc_user_unref(direct);
        kc_user_unref(member);
        kc_user_unref(stranger);
        authz_rbac_free(r);
        return worst > LIMIT_US;
}

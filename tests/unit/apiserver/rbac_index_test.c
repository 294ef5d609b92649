/* The RBAC index against the plain meaning of roles and bindings, while both change at random; and asked by threads
 * while it changes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/authz_internal.h"
#include "base/str.h"

enum { OBJECTS = 12, STEPS = 4000, QUESTIONS = 4, ASKERS = 3 };

static uint32_t seed = 1;

static uint32_t pick(uint32_t n)
{
        seed = seed * 1664525 + 1013904223;
        return (seed >> 16) % n;
}

static const char *const verbs[] = {"get", "list", "delete", "escalate", "*"};
static const char *const groups[] = {"", "apps", "*"};
static const char *const rule_resources[] = {"pods", "pods/log", "*/log", "nodes", "*", "jobs/status"};
static const char *const urls[] = {"/healthz", "/logs/*", "/metrics", "*"};
static const char *const names[] = {"a", "b"};
static const char *const users[] = {"jane", "joe", "system:serviceaccount:n1:robot"};
static const char *const user_groups[] = {"dev", "ops"};
static const char *const namespaces[] = {"", "n1", "n2"};

#define ANY(list) (list)[pick(KC_ARRAY_LEN(list))]

/* What is there now: trees, NULL for none. */
static struct json_object *roles[KC_ARRAY_LEN(namespaces)][OBJECTS], *bindings[KC_ARRAY_LEN(namespaces)][OBJECTS];

static struct json_object *random_rules(void)
{
        struct json_object *rules = json_object_new_array();
        for (uint32_t n = pick(4); n > 0; n--) {
                if (pick(5) == 0) {
                        kc_json_push(
                            rules, kc_json_build("{'verbs':[%s],'nonResourceURLs':[%s]}", ANY(verbs), ANY(urls)));
                        continue;
                }
                struct json_object *r = kc_json_build("{'verbs':[%s,%s],'apiGroups':[%s],'resources':[%s,%s]}",
                    ANY(verbs), ANY(verbs), ANY(groups), ANY(rule_resources), ANY(rule_resources));
                if (pick(3) == 0)
                        kc_json_set(r, "resourceNames", kc_json_build("[%s]", ANY(names)));
                kc_json_push(rules, r);
        }
        return rules;
}

static struct json_object *random_subject(void)
{
        switch (pick(3)) {
        case 0:
                return kc_json_build("{'kind':'User','name':%s}", ANY(users));
        case 1:
                return kc_json_build("{'kind':'Group','name':%s}", ANY(user_groups));
        default:
                return kc_json_build("{'kind':'ServiceAccount','name':'robot','namespace':'n1'}");
        }
}

static void change(struct authz_rbac *rb)
{
        uint32_t scope = pick(KC_ARRAY_LEN(namespaces)), i = pick(OBJECTS);
        const char *ns = namespaces[scope];
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("o%u", i);
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", ns, name);
        bool role = pick(2) == 0;
        struct json_object **at = role ? &roles[scope][i] : &bindings[scope][i];
        kc_json_free(*at);
        *at = NULL;
        if (pick(4) > 0 && role) {
                *at = kc_json_build("{'metadata':{'name':%s,'namespace':%s},'rules':%o}", name, ns, random_rules());
        } else if (pick(4) > 0) {
                bool cluster = ns[0] == '\0' || pick(2) == 0;
                KC_CLEANUP(kc_freep) char *to = kc_asprintf("o%u", pick(OBJECTS));
                *at = kc_json_build(
                    "{'metadata':{'name':%s,'namespace':%s},'roleRef':{'kind':%s,'name':%s},'subjects':[%o,"
                    "%o]}",
                    name, ns[0] ? ns : NULL, cluster ? "ClusterRole" : "Role", to, random_subject(), random_subject());
        }
        const char *resource =
            role ? (ns[0] ? "roles" : "clusterroles") : (ns[0] ? "rolebindings" : "clusterrolebindings");
        authz_rbac_set(rb, resource, key, *at);
}

/* --- the plain meaning */

static bool names_user(const struct json_object *binding, const struct kc_user *u)
{
        const struct json_object *subjects = kc_json_get(binding, "subjects");
        for (size_t i = 0; i < kc_json_len(subjects); i++) {
                const struct json_object *s = kc_json_idx(subjects, i);
                const char *kind = kc_json_str(s, "kind"), *name = kc_json_str(s, "name");
                if ((strcmp(kind, "User") == 0 && strcmp(name, u->name) == 0) ||
                    (strcmp(kind, "Group") == 0 && kc_user_in_group(u, name)) ||
                    (strcmp(kind, "ServiceAccount") == 0 && strcmp(u->name, users[2]) == 0))
                        return true;
        }
        return false;
}

static bool scope_allows(uint32_t scope, const struct kc_authz_attrs *a)
{
        for (size_t i = 0; i < OBJECTS; i++) {
                const struct json_object *b = bindings[scope][i];
                if (!b || !names_user(b, a->user))
                        continue;
                bool cluster = strcmp(kc_json_str_at(b, "roleRef.kind"), "ClusterRole") == 0;
                uint32_t n = (uint32_t)(kc_json_str_at(b, "roleRef.name")[1] - '0');
                if (kc_json_str_at(b, "roleRef.name")[2])
                        n = n * 10 + (uint32_t)(kc_json_str_at(b, "roleRef.name")[2] - '0');
                KC_CLEANUP(rbac_rules_done) struct rbac_rules rules = {0};
                rbac_rules_compile(&rules, kc_json_get(roles[cluster ? 0 : scope][n], "rules"));
                for (size_t k = 0; k < rules.n; k++)
                        if (rbac_rule_allows(&rules.v[k], a))
                                return true;
        }
        return false;
}

static bool plainly_allows(const struct kc_authz_attrs *a)
{
        if (scope_allows(0, a))
                return true;
        for (uint32_t i = 1; a->resource_request && i < KC_ARRAY_LEN(namespaces); i++)
                if (strcmp(namespaces[i], a->ns) == 0)
                        return scope_allows(i, a);
        return false;
}

static void ask(struct authz_rbac *rb)
{
        static const char *const resources[] = {"pods", "nodes", "jobs", "secrets"};
        static const char *const subs[] = {"", "log", "status"};
        static const char *const paths[] = {"/healthz", "/logs/a", "/metrics", "/x"};
        KC_CLEANUP(kc_user_unrefp) struct kc_user *u = kc_user_new(ANY(users), NULL, NULL);
        if (pick(2))
                kc_user_add_group(u, ANY(user_groups));
        const struct kc_authz_attrs a = {.user = u,
            .verb = verbs[pick(4)],
            .resource_request = pick(5) > 0,
            .ns = ANY(namespaces),
            .group = groups[pick(2)],
            .version = "v1",
            .resource = ANY(resources),
            .subresource = ANY(subs),
            .name = pick(2) ? ANY(names) : "",
            .path = ANY(paths)};
        KC_CLEANUP(kc_freep) char *why = NULL;
        bool got = authz_rbac_allows(rb, &a, &why), want = plainly_allows(&a);
        if (got != want)
                fail_msg(
                    "%s: %s %s/%s %s in %s: got %d", u->name, a.verb, a.resource, a.subresource, a.path, a.ns, got);
        if (got)
                assert_non_null(strstr(why, "RBAC: allowed by "));
}

static void forget(void)
{
        for (size_t s = 0; s < KC_ARRAY_LEN(namespaces); s++)
                for (size_t i = 0; i < OBJECTS; i++) {
                        kc_json_free(KC_TAKE(roles[s][i]));
                        kc_json_free(KC_TAKE(bindings[s][i]));
                }
}

static void it_means_what_the_objects_mean(void **state)
{
        (void)state;
        struct authz_rbac *rb = authz_rbac_new();
        for (int i = 0; i < STEPS; i++) {
                change(rb);
                for (int k = 0; k < QUESTIONS; k++)
                        ask(rb);
        }
        authz_rbac_free(rb);
        forget();
}

/* --- threads */

struct shared {
        pthread_rwlock_t lock;
        struct authz_rbac *rb;
        atomic_bool over;
};

static void *asker(void *arg)
{
        struct shared *s = arg;
        KC_CLEANUP(kc_user_unrefp) struct kc_user *u = kc_user_new("jane", NULL, NULL);
        kc_user_add_group(u, "dev");
        const struct kc_authz_attrs a = {.user = u,
            .verb = "get",
            .resource_request = true,
            .ns = "n1",
            .group = "",
            .version = "v1",
            .resource = "pods",
            .subresource = "log",
            .name = "a",
            .path = ""};
        do {
                char *why = NULL;
                pthread_rwlock_rdlock(&s->lock);
                (void)authz_rbac_allows(s->rb, &a, &why); /* either is right while it changes */
                pthread_rwlock_unlock(&s->lock);
                kc_free(why);
        } while (!atomic_load(&s->over));
        return NULL;
}

static void threads_ask_while_it_changes(void **state)
{
        (void)state;
        struct shared s = {.rb = authz_rbac_new()};
        pthread_t threads[ASKERS];
        authz_lock_init(&s.lock);
        atomic_init(&s.over, false);
        for (int i = 0; i < ASKERS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, asker, &s), 0);
        for (int i = 0; i < STEPS; i++) {
                pthread_rwlock_wrlock(&s.lock);
                change(s.rb);
                pthread_rwlock_unlock(&s.lock);
        }
        atomic_store(&s.over, true);
        for (int i = 0; i < ASKERS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        pthread_rwlock_destroy(&s.lock);
        authz_rbac_free(s.rb);
        forget();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(it_means_what_the_objects_mean),
            cmocka_unit_test(threads_ask_while_it_changes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

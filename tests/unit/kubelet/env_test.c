/* The environment of containers, expansion, the downward API, and the object cache behind it. */
#include "object_api.h"

#include "kubelet/env/env.h"

static const char *const no_links =
    "{'metadata':{'name':'p','namespace':'ns','uid':'u1','labels':{'b':'2','a':'1 \\\"x'}},"
    "'spec':{'nodeName':'n1','enableServiceLinks':true,'containers':[%o]}}";

struct world {
        struct object_api api;
        struct kc_objcache *objects;
};

static void world_init(struct world *w)
{
        object_api_start(&w->api);
        w->objects = kc_objcache_new(w->api.rest, 0, NULL);
}

static void world_done(struct world *w)
{
        kc_objcache_free(w->objects);
        object_api_end(&w->api);
}

static int make(
    struct world *w, struct json_object *take_container, struct kc_env *ret, char ***ret_invalid, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = kc_json_build(no_links, take_container);
        char *ips[] = {(char *)"10.1.0.5", (char *)"fd00::5", NULL}, *hosts[] = {(char *)"192.168.0.1", NULL};
        KC_CLEANUP(kc_json_freep)
        struct json_object *allocatable = kc_json_build("{'cpu':'4','memory':'8Gi'}");
        struct kc_pod_facts facts = {.pod_ips = ips, .host_ips = hosts, .node_name = "n1", .allocatable = allocatable};
        struct kc_env_sources s = {.objects = w->objects};
        return kc_env_make(&s, pod, kc_json_idx(kc_json_at(pod, "spec.containers"), 0), &facts, ret, ret_invalid, err);
}

static void assert_env(const struct kc_env *e, const char *name, const char *value)
{
        const char *got = kc_env_get(e, name);
        if (!got)
                fail_msg("%s is not set", name);
        assert_string_equal(got, value);
}

static void test_literals_and_fields(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        struct kc_env e = {0};
        struct json_object *c = kc_json_build(
            "{'name':'c','resources':{'limits':{'memory':'100Mi'},'requests':{'cpu':'250m'}},'env':["
            "{'name':'A','value':'one'},{'name':'B','value':'$(A) $$(A) $(NO) $x'},"
            "{'name':'NAME','valueFrom':{'fieldRef':{'fieldPath':'metadata.name'}}},"
            "{'name':'LABELS','valueFrom':{'fieldRef':{'fieldPath':'metadata.labels'}}},"
            "{'name':'LABEL','valueFrom':{'fieldRef':{'fieldPath':\"metadata.labels['b']\"}}},"
            "{'name':'IP','valueFrom':{'fieldRef':{'fieldPath':'status.podIP'}}},"
            "{'name':'IPS','valueFrom':{'fieldRef':{'fieldPath':'status.podIPs'}}},"
            "{'name':'HOST','valueFrom':{'fieldRef':{'fieldPath':'status.hostIP'}}},"
            "{'name':'MEM','valueFrom':{'resourceFieldRef':{'resource':'limits.memory','divisor':'1Mi'}}},"
            "{'name':'CPU','valueFrom':{'resourceFieldRef':{'resource':'requests.cpu'}}},"
            "{'name':'MCPU','valueFrom':{'resourceFieldRef':{'resource':'requests.cpu','divisor':'1m'}}},"
            "{'name':'NODECPU','valueFrom':{'resourceFieldRef':{'resource':'limits.cpu'}}},"
            "{'name':'A','value':'two'}]}");
        assert_int_equal(make(&w, c, &e, NULL, NULL), 0);
        assert_env(&e, "A", "two");
        assert_env(&e, "B", "one $(A) $(NO) $x");
        assert_env(&e, "NAME", "p");
        assert_env(&e, "LABELS", "a=\"1 \\\"x\"\nb=\"2\"");
        assert_env(&e, "LABEL", "2");
        assert_env(&e, "IP", "10.1.0.5");
        assert_env(&e, "IPS", "10.1.0.5,fd00::5");
        assert_env(&e, "HOST", "192.168.0.1");
        assert_env(&e, "MEM", "100");
        assert_env(&e, "CPU", "1");
        assert_env(&e, "MCPU", "250");
        assert_env(&e, "NODECPU", "4");
        assert_string_equal(e.names[0], "A");
        KC_CLEANUP(kc_json_freep) struct json_object *args = kc_json_build("['-c','$(NAME)-$(NOPE)']");
        KC_CLEANUP(kc_strv_freep) char **v = kc_env_expand_array(args, &e);
        assert_string_equal(v[1], "p-$(NOPE)");
        KC_CLEANUP(kc_strv_freep) char **none = kc_env_expand_array(NULL, &e);
        assert_non_null(none);
        assert_null(none[0]);
        kc_env_done(&e);
        world_done(&w);
}

#define CM "/api/v1/namespaces/ns/configmaps/cm"
#define SECRET "/api/v1/namespaces/ns/secrets/s"

static void test_objects(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        api_put(&w.api, CM, kc_json_build("{'metadata':{'name':'cm'},'data':{'k':'v','x.y':'z'}}"));
        api_put(&w.api, SECRET, kc_json_build("{'metadata':{'name':'s'},'data':{'pw':'c2VjcmV0'}}"));
        struct kc_env e = {0};
        KC_CLEANUP(kc_strv_freep) char **invalid = NULL;
        struct json_object *c = kc_json_build(
            "{'name':'c','envFrom':[{'prefix':'P_','configMapRef':{'name':'cm'}},{'secretRef':{'name':'s'}},"
            "{'prefix':'a=','configMapRef':{'name':'cm'}},{'configMapRef':{'name':'gone','optional':true}}],'env':["
            "{'name':'K','valueFrom':{'configMapKeyRef':{'name':'cm','key':'k'}}},"
            "{'name':'PW','valueFrom':{'secretKeyRef':{'name':'s','key':'pw'}}},"
            "{'name':'NONE','valueFrom':{'secretKeyRef':{'name':'s','key':'no','optional':true}}}]}");
        assert_int_equal(make(&w, c, &e, &invalid, NULL), 0);
        assert_env(&e, "P_k", "v");
        assert_env(&e, "P_x.y", "z");
        assert_env(&e, "pw", "secret");
        assert_env(&e, "K", "v");
        assert_env(&e, "PW", "secret");
        assert_null(kc_env_get(&e, "NONE"));
        assert_int_equal(kc_strv_len(invalid), 2);
        assert_string_equal(invalid[0], "a=k");
        kc_env_done(&e);
        world_done(&w);
}

static void assert_fails(struct world *w, struct json_object *take_container, const char *message)
{
        struct kc_env e = {0};
        struct kc_error err = KC_ERROR_INIT;
        assert_true(make(w, take_container, &e, NULL, &err) < 0);
        assert_string_equal(kc_error_message(&err), message);
        kc_error_done(&err);
}

static void test_errors(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        api_put(&w.api, CM, kc_json_build("{'metadata':{'name':'cm'},'data':{'k':'v'}}"));
        assert_fails(
            &w, kc_json_build("{'name':'c','envFrom':[{'configMapRef':{'name':'x'}}]}"), "configmap \"x\" not found");
        assert_fails(
            &w, kc_json_build("{'name':'c','envFrom':[{'secretRef':{'name':'x'}}]}"), "secret \"x\" not found");
        assert_fails(&w,
            kc_json_build("{'name':'c','env':[{'name':'A','valueFrom':{'configMapKeyRef':{'name':'cm','key':'q'}}}]}"),
            "couldn't find key q in ConfigMap ns/cm");
        assert_fails(&w,
            kc_json_build("{'name':'c','env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'status.x'}}}]}"),
            "unsupported fieldPath: status.x");
        world_done(&w);
}

/* --- Services, from an informer of the test's own: it has "kubernetes" and, in ns, "my-db". */

static bool synced;

static struct kc_object *service(const char *ns, const char *name)
{
        if (kc_streq(ns, "default") && kc_streq(name, "kubernetes"))
                return kc_object_new(kc_json_build(
                    "{'metadata':{'name':'kubernetes','namespace':'default'},'spec':{'clusterIP':'10.96.0.1','ports':[{"
                    "'name':'https','port':443,'protocol':'TCP'}]}}"));
        return kc_object_new(kc_json_build("{'metadata':{'name':%s,'namespace':%s},'spec':{'clusterIP':'fd00::1',"
                                           "'ports':[{'name':'pg-main','port':5432},{'name':'m','port':9,'protocol':"
                                           "'UDP'}]}}",
            name, ns));
}

bool kc_informer_synced(const struct kc_informer *i)
{
        (void)i;
        return synced;
}

struct kc_object *kc_informer_lookup(struct kc_informer *i, const char *ns, const char *name)
{
        (void)i;
        return service(ns, name);
}

void kc_informer_list(struct kc_informer *i, const char *ns, const struct kc_selector *sel, struct kc_objects *ret)
{
        (void)i;
        (void)sel;
        assert_string_equal(ns, "ns");
        kc_objects_push_take(ret, service(ns, "my-db"));
        kc_objects_push_take(
            ret, kc_object_new(kc_json_build("{'metadata':{'name':'headless','namespace':'ns'},'spec':{"
                                             "'clusterIP':'None','ports':[{'port':1}]}}")));
}

static int make_with_services(bool links, const char *source, struct kc_env *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *pod = kc_json_build(
            "{'metadata':{'name':'p','namespace':'ns','annotations':{'kubernetes.io/config.source':%s}},'spec':{"
            "'enableServiceLinks':%b,'containers':[{'name':'c','env':[{'name':'X','value':'$(KUBERNETES_SERVICE_HOST)'}"
            "]}]"
            "}}",
            source, links);
        struct kc_pod_facts facts = {.node_name = "n1"};
        struct kc_env_sources s = {.services = (struct kc_informer *)ret};
        return kc_env_make(&s, pod, kc_json_idx(kc_json_at(pod, "spec.containers"), 0), &facts, ret, NULL, err);
}

static void test_services(void **state)
{
        (void)state;
        struct kc_env e = {0};
        struct kc_error err = KC_ERROR_INIT;
        synced = false;
        assert_true(make_with_services(true, "api", &e, &err) < 0);
        assert_string_equal(
            kc_error_message(&err), "services have not yet been read at least once, cannot construct envvars");
        kc_error_done(&err);
        assert_int_equal(make_with_services(false, "file", &e, NULL), 0);
        kc_env_done(&e);
        synced = true;
        assert_int_equal(make_with_services(false, "api", &e, NULL), 0);
        assert_env(&e, "X", "10.96.0.1");
        assert_env(&e, "KUBERNETES_SERVICE_HOST", "10.96.0.1");
        assert_env(&e, "KUBERNETES_SERVICE_PORT", "443");
        assert_env(&e, "KUBERNETES_SERVICE_PORT_HTTPS", "443");
        assert_env(&e, "KUBERNETES_PORT", "tcp://10.96.0.1:443");
        assert_env(&e, "KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443");
        assert_env(&e, "KUBERNETES_PORT_443_TCP_PROTO", "tcp");
        assert_env(&e, "KUBERNETES_PORT_443_TCP_PORT", "443");
        assert_env(&e, "KUBERNETES_PORT_443_TCP_ADDR", "10.96.0.1");
        assert_int_equal(e.n, 9);
        kc_env_done(&e);
        assert_int_equal(make_with_services(true, "api", &e, NULL), 0);
        assert_env(&e, "MY_DB_SERVICE_HOST", "fd00::1");
        assert_env(&e, "MY_DB_SERVICE_PORT_PG_MAIN", "5432");
        assert_env(&e, "MY_DB_PORT", "tcp://[fd00::1]:5432");
        assert_env(&e, "MY_DB_PORT_9_UDP_PROTO", "udp");
        assert_null(kc_env_get(&e, "HEADLESS_SERVICE_HOST"));
        kc_env_done(&e);
}

/* --- The cache */

static int get(struct world *w, struct kc_object **ret)
{
        return kc_objcache_get(w->objects, KC_OBJCACHE_CONFIGMAP, "ns", "cm", ret, NULL);
}

static const char *cached_value(struct world *w)
{
        static char value[64];
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        assert_int_equal(get(w, &o), 0);
        snprintf(value, sizeof(value), "%s", kc_json_str_at(kc_object_json(o), "data.k"));
        return value;
}

/* One pod's objects are fetched once a minute, at once for a new pod, and served old while the server is away. */
static void test_cache(void **state)
{
        (void)state;
        struct world w;
        world_init(&w);
        struct kc_fake_clock clock;
        kc_fake_clock_init(&clock, 1000 * KC_SEC);
        kc_objcache_free(w.objects);
        w.objects = kc_objcache_new(w.api.rest, 0, &clock.clock);
        const char *pod_text = "{'metadata':{'name':%s,'namespace':'ns','uid':%s},'spec':{'volumes':[{'name':'v',"
                               "'projected':{'sources':[{'configMap':{'name':'cm'}}]}}]}}";
        KC_CLEANUP(kc_json_freep) struct json_object *p1 = kc_json_build(pod_text, "p1", "u1");
        KC_CLEANUP(kc_json_freep) struct json_object *p2 = kc_json_build(pod_text, "p2", "u2");
        api_put(&w.api, CM, kc_json_build("{'metadata':{'name':'cm'},'data':{'k':'v1'}}"));
        kc_objcache_register_pod(w.objects, p1);
        assert_string_equal(cached_value(&w), "v1");
        api_put(&w.api, CM, kc_json_build("{'metadata':{'name':'cm'},'data':{'k':'v2'}}"));
        assert_string_equal(cached_value(&w), "v1");
        assert_int_equal(w.api.gets, 1);
        kc_objcache_register_pod(w.objects, p1); /* again, unchanged: nothing to fetch */
        assert_string_equal(cached_value(&w), "v1");
        kc_objcache_register_pod(w.objects, p2);
        assert_string_equal(cached_value(&w), "v2");
        api_put(&w.api, CM, kc_json_build("{'metadata':{'name':'cm'},'immutable':true,'data':{'k':'v3'}}"));
        kc_fake_clock_advance(&clock, 61 * KC_SEC);
        assert_string_equal(cached_value(&w), "v3");
        assert_int_equal(w.api.gets, 3);
        kc_fake_clock_advance(&clock, 61 * KC_SEC);
        assert_string_equal(cached_value(&w), "v3");
        assert_int_equal(w.api.gets, 3); /* immutable */
        kc_objcache_unregister_pod(w.objects, "u1");
        kc_objcache_unregister_pod(w.objects, "u2");
        assert_string_equal(cached_value(&w), "v3");
        assert_int_equal(w.api.gets, 4); /* nobody refers to it: not kept */
        world_done(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_literals_and_fields),
            cmocka_unit_test(test_objects),
            cmocka_unit_test(test_errors),
            cmocka_unit_test(test_services),
            cmocka_unit_test(test_cache),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* ClusterIPs and node ports: given once, kept over restarts, taken back. The range is 10.96.0.0/24, 30000-30009. */
#include "registry_fixture.h"

static struct json_object *service(const char *name, const char *spec)
{
        return kc_json_build("{'metadata':{'name':%s},'spec':%o}", name, kc_json_build(spec));
}

static int64_t taken(struct fixture *f, bool ports)
{
        int64_t n = -1;
        assert_int_equal(kc_service_alloc_count(kc_registry_service_alloc(f->registry), ports, &n, NULL), 0);
        return n;
}

static void a_service_gets_an_address(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o = must_create(f, "", "services", "default", service("a", "{'ports':[{'port':80}]}"));
        struct kc_cidr range;
        struct kc_ip ip;
        assert_int_equal(kc_cidr_parse("10.96.0.0/24", &range, NULL), 0);
        assert_int_equal(kc_ip_parse(kc_json_str_at(kc_object_json(o), "spec.clusterIP"), &ip), 0);
        /* By chance from the upper part: the first 16 are for those who ask for one. */
        assert_in_range(kc_cidr_index(&range, &ip), 17, 254);
        KC_CLEANUP(kc_freep) char *ips = kc_asprintf("[%s]", at(o, "spec.clusterIP"));
        assert_string_equal(at(o, "spec.clusterIPs"), ips);
        assert_string_equal(at(o, "spec.ipFamilies"), "[\"IPv4\"]");
        assert_string_equal(at(o, "spec.ipFamilyPolicy"), "\"SingleStack\"");
        assert_string_equal(at(o, "metadata.generation"), "");
        assert_int_equal(taken(f, false), 1);
        assert_int_equal(taken(f, true), 0);
}

static void a_chosen_address_is_given_once(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "", "services", "default", service("a", "{'clusterIP':'10.96.0.10','ports':[{'port':80}]}"));
        assert_null(create_as(f, f->registry, NULL, "", "services", "default",
            service("b", "{'clusterIP':'10.96.0.10','ports':[{'port':80}]}")));
        assert_string_equal(f->err.message,
            "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: "
            "failed to allocate IP 10.96.0.10: provided IP is already allocated");
        assert_int_equal(f->err.code, 422);
        assert_null(create_as(f, f->registry, NULL, "", "services", "default",
            service("b", "{'clusterIP':'10.97.0.10','ports':[{'port':80}]}")));
        assert_string_equal(f->err.message,
            "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"10.97.0.10\"]: failed to allocate IP "
            "10.97.0.10: the provided IP (10.97.0.10) is not in the valid range. The range of valid IPs is "
            "10.96.0.0/24");
        assert_int_equal(taken(f, false), 1);
        assert_int_equal(remove_as(f, NULL, "", "services", "default", "a", -1, NULL), 0);
        assert_int_equal(taken(f, false), 0);
        put(f, "", "services", "default", service("b", "{'clusterIP':'10.96.0.10','ports':[{'port':80}]}"));
}

static void node_ports(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o = must_create(f, "", "services", "default",
            service("a", "{'type':'NodePort','ports':[{'name':'t','port':53},{'name':'u','port':53,'protocol':'UDP'},"
                         "{'name':'x','port':80,'nodePort':30004}]}"));
        const struct json_object *ports = kc_json_at(kc_object_json(o), "spec.ports");
        int64_t tcp = kc_json_int(kc_json_idx(ports, 0), "nodePort", 0);
        assert_in_range(tcp, 30000, 30009);
        assert_int_equal(kc_json_int(kc_json_idx(ports, 1), "nodePort", 0), tcp);
        assert_int_equal(kc_json_int(kc_json_idx(ports, 2), "nodePort", 0), 30004);
        assert_int_equal(taken(f, true), 2);
        assert_null(create_as(f, f->registry, NULL, "", "services", "default",
            service("b", "{'type':'NodePort','ports':[{'port':80,'nodePort':30004}]}")));
        assert_string_equal(f->err.message,
            "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 30004: provided port is already "
            "allocated");
        assert_null(create_as(f, f->registry, NULL, "", "services", "default",
            service("b", "{'type':'NodePort','ports':[{'port':80,'nodePort':3000}]}")));
        assert_string_equal(f->err.message,
            "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 3000: provided port is not in the valid "
            "range. The range of valid ports is 30000-30009");
        /* What a failed create took has gone back, the address, too. */
        assert_int_equal(taken(f, false), 1);
        assert_int_equal(change_as(f, NULL, "", "services", "", "default", "a",
                             kc_json_build("{'spec':{'type':'ClusterIP'}}"), NULL),
            0);
        assert_int_equal(taken(f, true), 0);
        assert_int_equal(taken(f, false), 1);
}

static void a_local_load_balancer_gets_a_health_check_port(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o = must_create(f, "", "services", "default",
            service("lb", "{'type':'LoadBalancer','externalTrafficPolicy':'Local','ports':[{'port':80}]}"));
        int64_t health = kc_json_int_at(kc_object_json(o), "spec.healthCheckNodePort", 0);
        assert_in_range(health, 30000, 30009);
        assert_int_equal(taken(f, true), 2);
        assert_int_equal(change_as(f, NULL, "", "services", "", "default", "lb",
                             kc_json_build("{'spec':{'externalTrafficPolicy':'Cluster'}}"), NULL),
            0);
        assert_int_equal(taken(f, true), 1);
        assert_int_equal(change_as(f, NULL, "", "services", "", "default", "lb",
                             kc_json_build("{'spec':{'externalTrafficPolicy':'Local'}}"), NULL),
            0);
        assert_int_equal(taken(f, true), 2);
}

static void what_validation_refuses_keeps_nothing(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        assert_null(create_as(
            f, f->registry, NULL, "", "services", "default", service("a", "{'type':'NodePort','ports':[{'port':0}]}")));
        assert_string_equal(f->err.message,
            "Service \"a\" is invalid: [spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, "
            "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive]");
        assert_int_equal(taken(f, false), 0);
        assert_int_equal(taken(f, true), 0);
        assert_null(create_as(f, f->registry, NULL, "", "services", "default",
            service("a", "{'clusterIP':'x','ipFamilies':['IPv4','IPv4'],'ports':[{'port':80}]}")));
        assert_int_equal(f->err.code, 422);
        assert_int_equal(taken(f, false), 0);
        put(f, "", "services", "default", service("b", "{'type':'NodePort','ports':[{'port':80}]}"));
        assert_int_equal(
            change_as(f, NULL, "", "services", "", "default", "b",
                kc_json_build("{'spec':{'sessionAffinity':'No','ports':[{'port':81,'nodePort':30003}]}}"), NULL),
            -EINVAL);
        assert_int_equal(taken(f, true), 1);
        put(f, "", "services", "default", service("c", "{'type':'NodePort','ports':[{'port':80,'nodePort':30003}]}"));
}

static void the_range_of_ports_can_be_full(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        for (int i = 0; i < 10; i++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("s%d", i);
                put(f, "", "services", "default", service(name, "{'type':'NodePort','ports':[{'port':80}]}"));
        }
        assert_int_equal(taken(f, true), 10);
        assert_null(create_as(f, f->registry, NULL, "", "services", "default",
            service("x", "{'type':'NodePort','ports':[{'port':80}]}")));
        assert_string_equal(f->err.message, "Internal error occurred: failed to allocate a nodePort: range is full");
        assert_int_equal(taken(f, false), 10);
        assert_int_equal(remove_as(f, NULL, "", "services", "default", "s3", -1, NULL), 0);
        put(f, "", "services", "default", service("x", "{'type':'NodePort','ports':[{'port':80}]}"));
}

static void headless_and_external_names_need_none(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *h = must_create(f, "", "services", "default",
            service("h", "{'clusterIP':'None','selector':{'a':'b'},'ports':[{'port':80}]}"));
        assert_string_equal(at(h, "spec.clusterIPs"), "[\"None\"]");
        assert_string_equal(at(h, "spec.ipFamilies"), "[\"IPv4\"]");
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *open =
            must_create(f, "", "services", "default", service("o", "{'clusterIP':'None','ports':[{'port':80}]}"));
        assert_string_equal(at(open, "spec.ipFamilyPolicy"), "\"RequireDualStack\"");
        assert_string_equal(at(open, "spec.ipFamilies"), "[\"IPv4\",\"IPv6\"]");
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *e = must_create(
            f, "", "services", "default", service("e", "{'type':'ExternalName','externalName':'example.com'}"));
        assert_string_equal(at(e, "spec.clusterIP"), "");
        assert_string_equal(at(e, "spec.ipFamilies"), "");
        assert_int_equal(taken(f, false), 0);
}

static void types_change(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "", "services", "default", service("a", "{'type':'NodePort','ports':[{'port':80}]}"));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *ext = NULL;
        assert_int_equal(change_as(f, NULL, "", "services", "", "default", "a",
                             kc_json_build("{'spec':{'type':'ExternalName','externalName':'example.com'}}"), &ext),
            0);
        assert_string_equal(at(ext, "spec.clusterIP"), "");
        assert_string_equal(at(ext, "spec.clusterIPs"), "");
        assert_int_equal(taken(f, false), 0);
        assert_int_equal(taken(f, true), 0);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *back = NULL;
        assert_int_equal(change_as(f, NULL, "", "services", "", "default", "a",
                             kc_json_build("{'spec':{'type':'ClusterIP','externalName':null}}"), &back),
            0);
        assert_string_not_equal(at(back, "spec.clusterIP"), "");
        assert_int_equal(taken(f, false), 1);
}

static void a_put_without_the_address_keeps_it(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o = must_create(
            f, "", "services", "default", service("a", "{'type':'NodePort','ports':[{'name':'w','port':80}]}"));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *now = NULL;
        assert_int_equal(change_as(f, NULL, "", "services", "", "default", "a",
                             kc_json_build("{'spec':{'clusterIP':null,'clusterIPs':null,'ipFamilies':null,"
                                           "'ipFamilyPolicy':null,'ports':[{'name':'w','port':81,'protocol':'TCP',"
                                           "'targetPort':81}]}}"),
                             &now),
            0);
        assert_string_equal(at(now, "spec.clusterIPs"), at(o, "spec.clusterIPs"));
        assert_int_equal(kc_json_int(kc_json_idx(kc_json_at(kc_object_json(now), "spec.ports"), 0), "nodePort", 0),
            kc_json_int(kc_json_idx(kc_json_at(kc_object_json(o), "spec.ports"), 0), "nodePort", -1));
}

static void dry_run_takes_nothing(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o = post(f->registry, NULL, true, "", "services", "default",
            service("a", "{'type':'NodePort','ports':[{'port':80}]}"), &f->err);
        assert_string_not_equal(at(o, "spec.clusterIP"), "");
        assert_int_equal(taken(f, false), 0);
        assert_int_equal(taken(f, true), 0);
}

/* --- two families */

/* A registry of a cluster with both; the fixture's own one is put aside. */
static struct kc_registry *dual(struct fixture *f)
{
        struct kc_cidr c[2];
        struct kc_registry *r = NULL;
        assert_int_equal(kc_cidr_parse("10.96.0.0/24", &c[0], NULL), 0);
        assert_int_equal(kc_cidr_parse("fd00:96::/112", &c[1], NULL), 0);
        const struct kc_registry_opts o = {.resources = f->resources,
            .admission = f->admission,
            .authz = f->authz,
            .clock = &f->clock.clock,
            .service_cidrs = c,
            .n_service_cidrs = 2,
            .node_port_min = 30000,
            .node_port_max = 30009};
        assert_int_equal(kc_registry_new(&o, &r, NULL), 0);
        struct kc_registry *single = f->registry;
        f->registry = r;
        return single;
}

static void one_family_cannot_be_two(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        assert_null(create_as(f, f->registry, NULL, "", "services", "default",
            service("a", "{'ipFamilyPolicy':'RequireDualStack','ports':[{'port':80}]}")));
        assert_string_equal(f->err.message,
            "Service \"a\" is invalid: spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not "
            "configured for dual-stack services");
        assert_null(create_as(f, f->registry, NULL, "", "services", "default",
            service("a", "{'ipFamilies':['IPv6'],'ports':[{'port':80}]}")));
        assert_string_equal(f->err.message,
            "Service \"a\" is invalid: spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster");
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o = must_create(
            f, "", "services", "default", service("a", "{'ipFamilyPolicy':'PreferDualStack','ports':[{'port':80}]}"));
        assert_string_equal(at(o, "spec.ipFamilies"), "[\"IPv4\"]");
}

static void two_families_come_and_go(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        struct kc_registry *single = dual(f);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *plain = must_create(f, "", "services", "default", service("a", "{'ports':[{'port':80}]}"));
        assert_string_equal(at(plain, "spec.ipFamilies"), "[\"IPv4\"]");
        assert_int_equal(taken(f, false), 1);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *both = NULL;
        assert_int_equal(change_as(f, NULL, "", "services", "", "default", "a",
                             kc_json_build("{'spec':{'ipFamilyPolicy':'PreferDualStack'}}"), &both),
            0);
        assert_string_equal(at(both, "spec.ipFamilies"), "[\"IPv4\",\"IPv6\"]");
        const struct json_object *ips = kc_json_at(kc_object_json(both), "spec.clusterIPs");
        assert_int_equal(kc_json_len(ips), 2);
        assert_string_equal(
            kc_json_as_str(kc_json_idx(ips, 0)), kc_json_str_at(kc_object_json(plain), "spec.clusterIP"));
        assert_true(kc_str_has_prefix(kc_json_as_str(kc_json_idx(ips, 1)), "fd00:96::"));
        assert_int_equal(taken(f, false), 2);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *one = NULL;
        assert_int_equal(change_as(f, NULL, "", "services", "", "default", "a",
                             kc_json_build("{'spec':{'ipFamilyPolicy':'SingleStack'}}"), &one),
            0);
        assert_string_equal(at(one, "spec.ipFamilies"), "[\"IPv4\"]");
        assert_string_equal(at(one, "spec.clusterIPs"), at(plain, "spec.clusterIPs"));
        assert_int_equal(taken(f, false), 1);
        kc_registry_free(single);
}

/* --- two writers */

struct writer {
        struct fixture *f;
        struct kc_registry *registry;
        const char *prefix;
        int made;
};

static void *write_services(void *arg)
{
        struct writer *w = arg;
        for (int i = 0; i < 120; i++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s%d", w->prefix, i);
                KC_CLEANUP(kc_object_unrefp)
                struct kc_object *o = post(w->registry, NULL, false, "", "services", "default",
                    service(name, "{'ports':[{'port':80}]}"), NULL);
                w->made += o != NULL;
        }
        return NULL;
}

static void two_writers_never_give_an_address_twice(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        struct kc_registry *other = fixture_registry(f, "10.96.0.0/24", 30000, 30009);
        struct writer w[2] = {{f, f->registry, "a", 0}, {f, other, "b", 0}};
        pthread_t t[2];
        for (int i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&t[i], NULL, write_services, &w[i]), 0);
        for (int i = 0; i < 2; i++)
                (void)pthread_join(t[i], NULL);
        assert_int_equal(w[0].made + w[1].made, 240);
        struct kc_objects all = {0};
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *last = get(f, "", "services", "default", "a119"); /* waits */
        assert_int_equal(kc_resources_list(f->resources, "", "services", NULL, NULL, &all, NULL), 0);
        assert_int_equal(all.n, 240);
        for (size_t i = 0; i < all.n; i++)
                assert_true(kc_map_set(seen, kc_json_str_at(kc_object_json(all.v[i]), "spec.clusterIP"), f));
        kc_objects_done(&all);
        assert_int_equal(taken(f, false), 240);
        kc_registry_free(other);
}

/* --- repair */

static void assert_event(struct fixture *f, const char *reason, const char *message)
{
        struct kc_objects all = {0};
        bool found = false;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *none = get(f, "", "events", "default", "none"); /* waits */
        assert_int_equal(kc_resources_list(f->resources, "", "events", NULL, NULL, &all, NULL), 0);
        for (size_t i = 0; i < all.n; i++)
                found = found || (kc_streq(kc_json_str(kc_object_json(all.v[i]), "reason"), reason) &&
                                     kc_streq(kc_json_str(kc_object_json(all.v[i]), "message"), message));
        kc_objects_done(&all);
        assert_true(found);
}

static void an_address_is_an_object(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "", "services", "default", service("a", "{'clusterIP':'10.96.0.10','ports':[{'port':80}]}"));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "networking.k8s.io", "ipaddresses", "", "10.96.0.10");
        assert_string_equal(
            at(o, "spec.parentRef"), "{\"resource\":\"services\",\"namespace\":\"default\",\"name\":\"a\"}");
        assert_string_equal(at(o, "metadata.labels"), "{\"ipaddress.kubernetes.io/ip-family\":\"IPv4\","
                                                      "\"ipaddress.kubernetes.io/managed-by\":\"ipallocator.k8s.io\"}");
}

static void more_prefixes_are_more_addresses(void **state)
{
        struct fixture *f = *state;
        struct kc_service_alloc *alloc = kc_registry_service_alloc(f->registry);
        make_default(f);
        assert_int_equal(kc_service_alloc_ensure_default(alloc, NULL), 0);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *d = get(f, "networking.k8s.io", "servicecidrs", "", "kubernetes");
        assert_string_equal(at(d, "spec.cidrs"), "[\"10.96.0.0/24\"]");
        assert_true(kc_condition_is_true(kc_json_get(kc_object_json(d), "status"), "Ready"));
        assert_null(create_as(f, f->registry, NULL, "", "services", "default",
            service("b", "{'clusterIP':'10.97.0.10','ports':[{'port':80}]}")));
        put(f, "networking.k8s.io", "servicecidrs", "",
            kc_json_build("{'metadata':{'name':'more','finalizers':['x.io/y']},'spec':{'cidrs':['10.97.0.0/28']}}"));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *more = get(f, "networking.k8s.io", "servicecidrs", "", "more");
        put(f, "", "services", "default", service("b", "{'clusterIP':'10.97.0.10','ports':[{'port':80}]}"));
        /* Nothing is given from one that is being deleted. */
        assert_int_equal(remove_as(f, NULL, "networking.k8s.io", "servicecidrs", "", "more", -1, NULL), 0);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *gone = get(f, "networking.k8s.io", "servicecidrs", "", "more");
        assert_null(create_as(f, f->registry, NULL, "", "services", "default",
            service("c", "{'clusterIP':'10.97.0.11','ports':[{'port':80}]}")));
        assert_int_equal(taken(f, false), 1);
}

static void an_address_with_a_wrong_parent_is_put_right(void **state)
{
        struct fixture *f = *state;
        struct kc_service_alloc *alloc = kc_registry_service_alloc(f->registry);
        make_default(f);
        put(f, "", "services", "default", service("a", "{'clusterIP':'10.96.0.10','ports':[{'port':80}]}"));
        assert_int_equal(remove_as(f, NULL, "networking.k8s.io", "ipaddresses", "", "10.96.0.10", -1, NULL), 0);
        const struct kc_service_owner other = {"default", "other", "u"};
        assert_int_equal(kc_service_alloc_ip(alloc, &other, "10.96.0.10", false, NULL), 0);
        assert_int_equal(kc_service_alloc_repair(alloc, false, NULL), 0);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "networking.k8s.io", "ipaddresses", "", "10.96.0.10");
        assert_string_equal(at(o, "spec.parentRef.name"), "\"a\"");
        assert_event(f, "IPAddressWrongReference",
            "IPAddress: 10.96.0.10 for Service default/a has a wrong reference; cleaning up");
}

static void addresses_of_older_versions_are_taken_over(void **state)
{
        struct fixture *f = *state;
        static const char value[] = "{\"namespace\":\"default\",\"name\":\"old\",\"uid\":\"u\"}";
        make_default(f);
        assert_int_equal(kc_store_create(f->store, "/registry/ranges/serviceips/10.96.0.20", value, strlen(value), NULL,
                             NULL, NULL, NULL),
            0);
        assert_null(create_as(f, f->registry, NULL, "", "services", "default",
            service("b", "{'clusterIP':'10.96.0.20','ports':[{'port':80}]}")));
        assert_int_equal(f->err.code, 422);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = get(f, "networking.k8s.io", "ipaddresses", "", "10.96.0.20");
        assert_string_equal(at(o, "spec.parentRef.name"), "\"old\"");
        KC_CLEANUP(kc_store_kv_done) struct kc_store_kv kv = {0};
        assert_int_equal(kc_store_get(f->store, "/registry/ranges/serviceips/10.96.0.20", 0, &kv, NULL, NULL), -ENOENT);
}

static void restarts_forget_nothing_and_repair_mends(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "", "services", "default", service("a", "{'clusterIP':'10.96.0.10','ports':[{'port':80}]}"));
        struct kc_registry *again = fixture_registry(f, "10.96.0.0/24", 30000, 30009);
        assert_null(create_as(f, again, NULL, "", "services", "default",
            service("b", "{'clusterIP':'10.96.0.10','ports':[{'port':80}]}")));
        assert_int_equal(f->err.code, 422);
        struct kc_service_alloc *alloc = kc_registry_service_alloc(again);
        const struct kc_service_owner nobody = {"default", "gone", "u"};
        assert_int_equal(kc_service_alloc_ip(alloc, &nobody, "10.96.0.99", false, NULL), 0);
        assert_int_equal(kc_service_alloc_port(alloc, &nobody, 30001, false, NULL), 0);
        /* Just taken: its Service may be on its way. */
        assert_int_equal(kc_service_alloc_repair(alloc, true, NULL), 0);
        assert_int_equal(taken(f, false), 2);
        kc_fake_clock_advance(&f->clock, 600 * KC_SEC);
        assert_int_equal(kc_service_alloc_repair(alloc, true, NULL), 0);
        assert_int_equal(taken(f, false), 1);
        assert_int_equal(taken(f, true), 0);
        /* An address that was lost comes back, with an event. */
        assert_int_equal(remove_as(f, NULL, "networking.k8s.io", "ipaddresses", "", "10.96.0.10", -1, NULL), 0);
        assert_int_equal(taken(f, false), 0);
        assert_int_equal(kc_service_alloc_repair(alloc, true, NULL), 0);
        assert_int_equal(taken(f, false), 1);
        assert_event(f, "ClusterIPNotAllocated", "Cluster IP [IPv4]: 10.96.0.10 is not allocated; repairing");
        assert_event(f, "IPAddressNotAllocated",
            "IPAddress: 10.96.0.99 for Service default/gone appears to have leaked: cleaning up");
        kc_registry_free(again);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
            TEST(a_service_gets_an_address),
            TEST(a_chosen_address_is_given_once),
            TEST(node_ports),
            TEST(a_local_load_balancer_gets_a_health_check_port),
            TEST(what_validation_refuses_keeps_nothing),
            TEST(the_range_of_ports_can_be_full),
            TEST(headless_and_external_names_need_none),
            TEST(types_change),
            TEST(a_put_without_the_address_keeps_it),
            TEST(dry_run_takes_nothing),
            TEST(one_family_cannot_be_two),
            TEST(two_families_come_and_go),
            TEST(two_writers_never_give_an_address_twice),
            TEST(an_address_is_an_object),
            TEST(more_prefixes_are_more_addresses),
            TEST(an_address_with_a_wrong_parent_is_put_right),
            TEST(addresses_of_older_versions_are_taken_over),
            TEST(restarts_forget_nothing_and_repair_mends),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

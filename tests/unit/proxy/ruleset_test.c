/* Transactions: what is written depends on the change; and the kernel takes every one of them. The kernel's part runs
 * in a network namespace of the test's own. */
#include <arpa/inet.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "proxy/nft.h"
#include "proxy/ruleset.h"

static struct kc_ruleset *make(int family)
{
        return kc_ruleset_new(&(struct kc_ruleset_opts){.family = family,
            .cluster_cidr = family == AF_INET ? "10.244.0.0/16" : "fd00:10::/64",
            .masquerade_bit = 14});
}

static void set(struct kc_ruleset *r, const char *key, const char *const *elements)
{
        struct kc_proxy_rules rules = {0};
        for (size_t i = 0; elements[i]; i++)
                kc_strv_push(&rules.elements, elements[i]);
        kc_ruleset_set(r, key, &rules);
}

static void assert_changes(struct kc_ruleset *r, const char *want)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_ruleset_changes(r, &b);
        assert_string_equal(kc_buf_str(&b), want);
        kc_buf_done(&b);
        kc_ruleset_commit(r);
}

static const char *const one_endpoint[] = {
    "service-ips\t10.96.0.1 . tcp . 80\tgoto lb-1", "endpoints-tcp\t10.96.0.1 . 80 . 0\t10.244.0.2 . 8080", NULL};
static const char *const other_endpoint[] = {
    "service-ips\t10.96.0.1 . tcp . 80\tgoto lb-1", "endpoints-tcp\t10.96.0.1 . 80 . 0\t10.244.0.3 . 8080", NULL};

static void test_only_the_change_is_written(void **state)
{
        KC_CLEANUP(kc_ruleset_freep) struct kc_ruleset *r = make(AF_INET);
        (void)state;
        set(r, "d/a", one_endpoint);
        assert_changes(r,
            "add chain ip kube-proxy lb-1\n"
            "flush chain ip kube-proxy lb-1\n"
            "add rule ip kube-proxy lb-1 meta l4proto tcp dnat ip to ip daddr . tcp dport . numgen random mod 1 map "
            "@endpoints-tcp\n"
            "add rule ip kube-proxy lb-1 meta l4proto udp dnat ip to ip daddr . udp dport . numgen random mod 1 map "
            "@endpoints-udp\n"
            "add rule ip kube-proxy lb-1 meta l4proto sctp dnat ip to ip daddr . sctp dport . numgen random mod 1 map "
            "@endpoints-sctp\n"
            "add element ip kube-proxy endpoints-tcp { 10.96.0.1 . 80 . 0 : 10.244.0.2 . 8080 }\n"
            "add element ip kube-proxy service-ips { 10.96.0.1 . tcp . 80 : goto lb-1 }\n");
        assert_changes(r, "");
        set(r, "d/a", one_endpoint);
        assert_changes(r, "");
        set(r, "d/a", other_endpoint);
        assert_changes(r, "delete element ip kube-proxy endpoints-tcp { 10.96.0.1 . 80 . 0 }\n"
                          "add element ip kube-proxy endpoints-tcp { 10.96.0.1 . 80 . 0 : 10.244.0.3 . 8080 }\n");
        kc_ruleset_set(r, "d/a", NULL);
        assert_changes(r, "delete element ip kube-proxy endpoints-tcp { 10.96.0.1 . 80 . 0 }\n"
                          "delete element ip kube-proxy service-ips { 10.96.0.1 . tcp . 80 }\n");
        assert_int_equal(kc_ruleset_elements(r), 0);
}

static void test_the_first_of_two_claims_counts(void **state)
{
        KC_CLEANUP(kc_ruleset_freep) struct kc_ruleset *r = make(AF_INET);
        const char *const a[] = {"no-endpoint-services\t192.0.2.9 . tcp . 80\tdrop", NULL};
        const char *const b[] = {"no-endpoint-services\t192.0.2.9 . tcp . 80\tgoto reject-chain", NULL};
        (void)state;
        set(r, "d/a", a);
        set(r, "d/b", b);
        assert_changes(r, "add element ip kube-proxy no-endpoint-services { 192.0.2.9 . tcp . 80 : drop }\n");
        kc_ruleset_set(r, "d/a", NULL);
        assert_changes(r,
            "delete element ip kube-proxy no-endpoint-services { 192.0.2.9 . tcp . 80 }\n"
            "add element ip kube-proxy no-endpoint-services { 192.0.2.9 . tcp . 80 : goto reject-chain }\n");
}

static void run(struct kc_nft *nft, struct kc_ruleset *r, bool full)
{
        struct kc_buf b = KC_BUF_INIT;
        struct kc_error err = KC_ERROR_INIT;
        if (full) {
                KC_CLEANUP(kc_strv_freep) char **affinity = NULL;
                kc_nft_affinity(nft, AF_INET, &affinity);
                kc_ruleset_full(r, affinity, &b);
        } else {
                kc_ruleset_changes(r, &b);
        }
        if (b.len && kc_nft_run(nft, kc_buf_str(&b), &err) < 0)
                fail_msg("%s in\n%s", kc_error_message(&err), kc_buf_str(&b));
        kc_ruleset_commit(r);
        kc_buf_done(&b);
}

static void set_service(struct kc_ruleset *r, int family, const char *service_text, const char *slice_text)
{
        struct kc_proxy_env env = {.family = family, .node_name = "n1", .cluster_cidr = "10.244.0.0/16"};
        KC_CLEANUP(kc_freep) char *s = kc_str_replace_all(service_text, "'", "\"");
        KC_CLEANUP(kc_freep) char *e = kc_str_replace_all(slice_text, "'", "\"");
        struct json_object *service = NULL, *slice = NULL;
        struct kc_proxy_rules rules;
        struct kc_objects slices = {0};

        assert_int_equal(kc_json_parse(s, strlen(s), NULL, &service, NULL), 0);
        assert_int_equal(kc_json_parse(e, strlen(e), NULL, &slice, NULL), 0);
        kc_objects_push_take(&slices, kc_object_new(slice));
        kc_proxy_service_rules(&env, service, &slices, &rules);
        kc_ruleset_set(r, "d/web", &rules);
        kc_objects_done(&slices);
        kc_json_free(service);
}

static const char slice_fmt[] = "{'addressType':'IPv4','ports':[{'name':'http','port':8080},{'name':'dns','port':5353,"
                                "'protocol':'UDP'},{'name':'sctp','port':9090,'protocol':'SCTP'}],'endpoints':["
                                "{'addresses':['%s'],'nodeName':'n1'},{'addresses':['%s'],'nodeName':'n2'}]}";

/* Every kind of Service, made, changed and removed. */
static void test_the_kernel_takes_it(void **state)
{
        static const char *const services[] = {
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'type':'NodePort','clusterIP':'10.96.0.10',"
            "'externalIPs':['192.0.2.7'],'ports':[{'name':'http','port':80,'nodePort':30080}]}}",
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'type':'NodePort','clusterIP':'10.96.0.10',"
            "'externalTrafficPolicy':'Local','ports':[{'name':'http','port':80,'nodePort':30080}]}}",
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'type':'NodePort','clusterIP':'10.96.0.10','"
            "sessionAffinity':"
            "'ClientIP','ports':[{'name':'http','port':80,'nodePort':30080}]}}",
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'type':'NodePort','clusterIP':'10.96.0.10',"
            "'externalTrafficPolicy':'Local','sessionAffinity':'ClientIP','ports':[{'name':'http','port':80,"
            "'nodePort':30080}]}}",
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'type':'NodePort','clusterIP':'10.96.0.10',"
            "'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':5}},"
            "'externalTrafficPolicy':'Local','sessionAffinity':'ClientIP','ports':[{'name':'http','port':80,"
            "'nodePort':30080}]}}",
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'type':'NodePort','clusterIP':'10.96.0.10','ports':["
            "{'name':'http','port':80,'nodePort':30080},{'name':'dns','port':53,'nodePort':30053,'protocol':'UDP'},"
            "{'name':'sctp','port':90,'nodePort':30090,'protocol':'SCTP'}]}}",
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.10',"
            "'loadBalancerSourceRanges':['198.51.100.0/24'],'ports':[{'name':'http','port':80,'nodePort':30080}]},"
            "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.8'}]}}}",
        };
        KC_CLEANUP(kc_nft_freep) struct kc_nft *nft = NULL;
        KC_CLEANUP(kc_ruleset_freep) struct kc_ruleset *r = make(AF_INET), *r6 = make(AF_INET6);
        char slice[512];

        (void)state;
        if (unshare(CLONE_NEWNET) < 0)
                skip(); /* not root */
        assert_int_equal(kc_nft_new(&nft, NULL), 0);
        run(nft, r, true);
        run(nft, r6, true);
        for (size_t i = 0; i < KC_ARRAY_LEN(services); i++) {
                (void)snprintf(slice, sizeof(slice), slice_fmt, "10.244.0.2", "10.244.1.2");
                set_service(r, AF_INET, services[i], slice);
                run(nft, r, false);
                (void)snprintf(slice, sizeof(slice), slice_fmt, "10.244.0.4", "10.244.1.2");
                set_service(r, AF_INET, services[i], slice);
                run(nft, r, false);
                run(nft, r, true);
                set_service(r, AF_INET, services[i], "{'addressType':'IPv4','ports':[],'endpoints':[]}");
                run(nft, r, false);
                kc_ruleset_set(r, "d/web", NULL);
                run(nft, r, false);
                assert_int_equal(kc_ruleset_elements(r), 0);
        }
        /* From one kind straight to the next. */
        for (size_t i = 0; i < KC_ARRAY_LEN(services); i++) {
                (void)snprintf(slice, sizeof(slice), slice_fmt, "10.244.0.2", "10.244.1.2");
                set_service(r, AF_INET, services[i], slice);
                run(nft, r, false);
        }
}

/* A table that is made anew remembers who was sent where. */
static void test_affinity_outlives_the_table(void **state)
{
        static const char service[] =
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'clusterIP':'10.96.0.10','sessionAffinity':'ClientIP',"
            "'sessionAffinityConfig':{'clientIP':{'timeoutSeconds':600}},'ports':[{'name':'http','port':80}]}}";
        KC_CLEANUP(kc_nft_freep) struct kc_nft *nft = NULL;
        KC_CLEANUP(kc_ruleset_freep) struct kc_ruleset *r = make(AF_INET);
        KC_CLEANUP(kc_strv_freep) char **before = NULL;
        KC_CLEANUP(kc_strv_freep) char **after = NULL;
        KC_CLEANUP(kc_freep) char *add = NULL;
        char slice[512];

        (void)state;
        if (unshare(CLONE_NEWNET) < 0)
                skip(); /* not root */
        assert_int_equal(kc_nft_new(&nft, NULL), 0);
        kc_nft_affinity(nft, AF_INET, &before);
        assert_null(before); /* no table yet */
        run(nft, r, true);
        (void)snprintf(slice, sizeof(slice), slice_fmt, "10.244.0.2", "10.244.1.2");
        set_service(r, AF_INET, service, slice);
        run(nft, r, false);
        add = kc_asprintf("add element ip kube-proxy clients-%08x-%08x { 192.0.2.1 }\n", kc_fnv32a("d/web:http", 10),
            kc_fnv32a("10.244.0.2 8080 600", 19));
        assert_int_equal(kc_nft_run(nft, add, NULL), 0);
        run(nft, r, true);
        kc_nft_affinity(nft, AF_INET, &after);
        assert_int_equal(kc_strv_len(after), 1);
        assert_non_null(strstr(after[0], "\t192.0.2.1\t"));
        assert_true(atoi(strrchr(after[0], '\t') + 1) > 590);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_only_the_change_is_written),
            cmocka_unit_test(test_the_first_of_two_claims_counts),
            cmocka_unit_test(test_the_kernel_takes_it),
            cmocka_unit_test(test_affinity_outlives_the_table),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

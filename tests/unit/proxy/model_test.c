/* Which rules a Service gets: literal elements, as they stand in the tables. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "proxy/model.h"

static struct kc_object *parse(const char *text)
{
        struct json_object *tree = NULL;
        KC_CLEANUP(kc_freep) char *json = kc_str_replace_all(text, "'", "\"");
        assert_int_equal(kc_json_parse(json, strlen(json), NULL, &tree, NULL), 0);
        return kc_object_new(tree);
}

static const char two_endpoints[] =
    "{'metadata':{'name':'web-1','namespace':'d'},'addressType':'IPv4','ports':[{'name':'http','port':8080,'protocol':'"
    "TCP'}],"
    "'endpoints':[{'addresses':['10.244.0.3'],'nodeName':'n2','conditions':{'ready':true}},"
    "{'addresses':['10.244.0.2'],'nodeName':'n1','conditions':{'ready':true}}]}";

static char *rules_for(const char *service_text, const char *slice_text, struct kc_proxy_rules *rules)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *service = parse(service_text);
        struct kc_objects slices = {0};
        struct kc_proxy_env env = {.family = AF_INET, .node_name = "n1", .cluster_cidr = "10.244.0.0/16"};

        if (slice_text)
                kc_objects_push_take(&slices, parse(slice_text));
        kc_proxy_service_rules(&env, kc_object_json(service), &slices, rules);
        kc_objects_done(&slices);
        return kc_strv_join(rules->elements, "\n");
}

static void assert_rules(const char *service, const char *slice, const char *want)
{
        struct kc_proxy_rules rules;
        KC_CLEANUP(kc_freep) char *have = rules_for(service, slice, &rules);
        assert_string_equal(have ? have : "", want);
        kc_proxy_rules_done(&rules);
}

static void test_cluster_ip(void **state)
{
        (void)state;
        assert_rules(
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'clusterIP':'10.96.0.10','ports':[{'name':'http',"
            "'port':80,'protocol':'TCP'}]}}",
            two_endpoints,
            "cluster-ips\t10.96.0.10\t\n"
            "endpoints-tcp\t10.96.0.10 . 80 . 0\t10.244.0.2 . 8080\n"
            "endpoints-tcp\t10.96.0.10 . 80 . 1\t10.244.0.3 . 8080\n"
            "hairpin\t10.244.0.2 . 10.244.0.2\t\n"
            "service-ips\t10.96.0.10 . tcp . 80\tgoto lb-2");
}

static void test_without_endpoints_is_refused(void **state)
{
        (void)state;
        assert_rules(
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'clusterIP':'10.96.0.10','ports':[{'port':80}]}}", NULL,
            "cluster-ips\t10.96.0.10\t\n"
            "no-endpoint-services\t10.96.0.10 . tcp . 80\tgoto reject-chain");
}

static void test_headless_and_external_name_have_no_rules(void **state)
{
        (void)state;
        assert_rules("{'metadata':{'name':'a','namespace':'d'},'spec':{'clusterIP':'None','ports':[{'port':80}]}}",
            two_endpoints, "");
        assert_rules(
            "{'metadata':{'name':'a','namespace':'d'},'spec':{'type':'ExternalName','externalName':'x.y'}}", NULL, "");
        assert_rules(
            "{'metadata':{'name':'a','namespace':'d','labels':{'service.kubernetes.io/service-proxy-name':'other'}},"
            "'spec':{'clusterIP':'10.96.0.1','ports':[{'port':80}]}}",
            two_endpoints, "");
}

static void test_terminating_serve_only_when_nothing_is_ready(void **state)
{
        (void)state;
        assert_rules(
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'clusterIP':'10.96.0.10','ports':[{'port':80}]}}",
            "{'addressType':'IPv4','ports':[{'port':8080}],'endpoints':["
            "{'addresses':['10.244.1.2'],'conditions':{'ready':false,'serving':true,'terminating':true}},"
            "{'addresses':['10.244.1.3'],'conditions':{'ready':false,'serving':false,'terminating':true}}]}",
            "cluster-ips\t10.96.0.10\t\n"
            "endpoints-tcp\t10.96.0.10 . 80 . 0\t10.244.1.2 . 8080\n"
            "service-ips\t10.96.0.10 . tcp . 80\tgoto lb-1");
}

static void test_internal_policy_local_drops_without_local_endpoints(void **state)
{
        (void)state;
        assert_rules(
            "{'metadata':{'name':'web','namespace':'d'},'spec':{'clusterIP':'10.96.0.10','internalTrafficPolicy':"
            "'Local','ports':[{'port':80}]}}",
            "{'addressType':'IPv4','ports':[{'port':8080}],'endpoints':[{'addresses':['10.244.1.2'],'nodeName':'n2'}]}",
            "cluster-ips\t10.96.0.10\t\n"
            "no-endpoint-services\t10.96.0.10 . tcp . 80\tdrop");
}

static void test_node_port(void **state)
{
        (void)state;
        assert_rules("{'metadata':{'name':'web','namespace':'d'},'spec':{'type':'NodePort','clusterIP':'10.96.0.10',"
                     "'ports':[{'name':'http','port':80,'nodePort':30080}]}}",
            two_endpoints,
            "cluster-ips\t10.96.0.10\t\n"
            "endpoints-tcp\t10.96.0.10 . 80 . 0\t10.244.0.2 . 8080\n"
            "endpoints-tcp\t10.96.0.10 . 80 . 1\t10.244.0.3 . 8080\n"
            "hairpin\t10.244.0.2 . 10.244.0.2\t\n"
            "nodeport-endpoints-tcp\t30080 . 0\t10.244.0.2 . 8080\n"
            "nodeport-endpoints-tcp\t30080 . 1\t10.244.0.3 . 8080\n"
            "nodeports\ttcp . 30080\tgoto nodeport-masquerade-lb-2\n"
            "service-ips\t10.96.0.10 . tcp . 80\tgoto lb-2");
}

static void test_node_port_with_local_policy(void **state)
{
        (void)state;
        assert_rules("{'metadata':{'name':'web','namespace':'d'},'spec':{'type':'NodePort','clusterIP':'10.96.0.10',"
                     "'externalTrafficPolicy':'Local','ports':[{'name':'http','port':80,'nodePort':30080}]}}",
            two_endpoints,
            "cluster-ips\t10.96.0.10\t\n"
            "endpoints-tcp\t10.96.0.10 . 80 . 0\t10.244.0.2 . 8080\n"
            "endpoints-tcp\t10.96.0.10 . 80 . 1\t10.244.0.3 . 8080\n"
            "hairpin\t10.244.0.2 . 10.244.0.2\t\n"
            "nodeport-endpoints-tcp\t30080 . 0\t10.244.0.2 . 8080\n"
            "nodeport-endpoints-tcp\t30080 . 1\t10.244.0.3 . 8080\n"
            "nodeport-local-endpoints-tcp\t30080 . 0\t10.244.0.2 . 8080\n"
            "nodeports\ttcp . 30080\tgoto nodeport-local-lb-1-2\n"
            "service-ips\t10.96.0.10 . tcp . 80\tgoto lb-2");
}

static void test_affinity_has_a_chain_of_its_own(void **state)
{
        struct kc_proxy_rules rules;
        (void)state;
        KC_CLEANUP(kc_freep)
        char *have =
            rules_for("{'metadata':{'name':'web','namespace':'d'},'spec':{'clusterIP':'10.96.0.10','sessionAffinity':"
                      "'ClientIP','sessionAffinityConfig':{'clientIP':{'timeoutSeconds':60}},'ports':[{'name':'http',"
                      "'port':80}]}}",
                two_endpoints, &rules);
        assert_non_null(strstr(have, "service-ips\t10.96.0.10 . tcp . 80\tgoto affinity-all-"));
        assert_null(strstr(have, "endpoints\t"));
        assert_int_equal(rules.n_chains, 1);
        assert_int_equal(rules.chains[0].timeout_s, 60);
        assert_int_equal(kc_strv_len(rules.chains[0].rules), 4);
        assert_non_null(strstr(rules.chains[0].rules[2], "numgen random mod 2 == 0 update @clients-"));
        kc_proxy_rules_done(&rules);
}

/* Pods and the node itself reach every endpoint, others only those of this node; one chain for each, however many ways
 * lead there. */
static void test_affinity_with_policy_local(void **state)
{
        struct kc_proxy_rules rules;
        (void)state;
        KC_CLEANUP(kc_freep)
        char *have = rules_for("{'metadata':{'name':'web','namespace':'d'},'spec':{'type':'NodePort','clusterIP':"
                               "'10.96.0.10','externalTrafficPolicy':'Local','sessionAffinity':'ClientIP',"
                               "'externalIPs':['192.0.2.7'],'ports':[{'name':'http','port':80,'nodePort':30080}]}}",
            two_endpoints, &rules);
        assert_non_null(strstr(have, "nodeports\ttcp . 30080\tgoto affinity-external-"));
        assert_non_null(strstr(have, "service-ips\t192.0.2.7 . tcp . 80\tgoto affinity-external-"));
        assert_non_null(strstr(have, "service-ips\t10.96.0.10 . tcp . 80\tgoto affinity-all-"));
        assert_int_equal(rules.n_chains, 3);
        assert_int_equal(kc_strv_len(rules.chains[0].rules), 4); /* all */
        assert_int_equal(kc_strv_len(rules.chains[1].rules), 2); /* local */
        assert_non_null(strstr(rules.chains[2].rules[0], "ip saddr 10.244.0.0/16 goto affinity-all-"));
        assert_non_null(strstr(rules.chains[2].rules[3], "goto affinity-local-"));
        kc_proxy_rules_done(&rules);
}

static void test_udp_entries(void **state)
{
        struct kc_proxy_rules rules;
        (void)state;
        KC_CLEANUP(kc_freep)
        char *have =
            rules_for("{'metadata':{'name':'dns','namespace':'d'},'spec':{'clusterIP':'10.96.0.53','ports':[{'port':53,"
                      "'protocol':'UDP'}]}}",
                "{'addressType':'IPv4','ports':[{'port':5353,'protocol':'UDP'}],'endpoints':[{'addresses':['10.244.0.9'"
                "]}]}",
                &rules);
        assert_non_null(have);
        assert_int_equal(kc_strv_len(rules.udp), 2);
        assert_string_equal(rules.udp[0], "10.96.0.53 53");
        assert_string_equal(rules.udp[1], "10.96.0.53 53 10.244.0.9 5353");
        kc_proxy_rules_done(&rules);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_cluster_ip),
            cmocka_unit_test(test_without_endpoints_is_refused),
            cmocka_unit_test(test_headless_and_external_name_have_no_rules),
            cmocka_unit_test(test_terminating_serve_only_when_nothing_is_ready),
            cmocka_unit_test(test_internal_policy_local_drops_without_local_endpoints),
            cmocka_unit_test(test_node_port),
            cmocka_unit_test(test_node_port_with_local_policy),
            cmocka_unit_test(test_affinity_has_a_chain_of_its_own),
            cmocka_unit_test(test_affinity_with_policy_local),
            cmocka_unit_test(test_udp_entries),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

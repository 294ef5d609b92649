/* Which pods stand behind a Service and on which port. */
#include <arpa/inet.h>

#include "cm_test_util.h"
#include "controller-manager/servicepods.h"

static int port(const char *service_port, const char *pod)
{
        KC_CLEANUP(kc_json_freep) struct json_object *s = tree(service_port), *p = tree(pod);
        return kc_service_target_port(s, p);
}

static const char pod[] =
    "{'spec':{'containers':[{'ports':[{'name':'http','containerPort':8080},{'name':'dns','containerPort':53,"
    "'protocol':'UDP'}]}],'initContainers':[{'ports':[{'name':'init','containerPort':1}]},"
    "{'restartPolicy':'Always','ports':[{'name':'side','containerPort':15001}]}]}}";

static void target_ports(void **state)
{
        (void)state;
        assert_int_equal(port("{'port':80,'targetPort':8000}", pod), 8000);
        assert_int_equal(port("{'port':80}", pod), 80);
        assert_int_equal(port("{'port':80,'targetPort':'http'}", pod), 8080);
        assert_int_equal(port("{'port':80,'protocol':'UDP','targetPort':'http'}", pod), 0);
        assert_int_equal(port("{'port':80,'protocol':'UDP','targetPort':'dns'}", pod), 53);
        assert_int_equal(port("{'port':80,'targetPort':'side'}", pod), 15001);
        assert_int_equal(port("{'port':80,'targetPort':'init'}", pod), 0);
        assert_int_equal(port("{'port':80,'targetPort':'none'}", pod), 0);
}

static bool counts(const char *text, bool terminating)
{
        KC_CLEANUP(kc_json_freep) struct json_object *p = tree(text);
        return kc_service_pod_counts(p, terminating);
}

static void which_pods_count(void **state)
{
        (void)state;
        static const char up[] = "{'metadata':{},'status':{'phase':'Running','podIP':'10.0.0.1'}}",
                          going[] = "{'metadata':{'deletionTimestamp':'2020-01-01T00:00:00Z'},'status':{'phase':"
                                    "'Running','podIP':'10.0.0.1'}}",
                          ended[] = "{'metadata':{},'status':{'phase':'Succeeded','podIP':'10.0.0.1'}}",
                          bare[] = "{'metadata':{},'status':{'phase':'Pending'}}";
        assert_true(counts(up, false));
        assert_false(counts(going, false));
        assert_true(counts(going, true));
        assert_false(counts(ended, true));
        assert_false(counts(bare, true));
}

static void addresses_by_family(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *both =
                               tree("{'status':{'podIP':'10.0.0.1','podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'}]}}"),
                           *one = tree("{'status':{'podIP':'10.0.0.2'}}");
        assert_string_equal(kc_pod_ip(both, AF_INET), "10.0.0.1");
        assert_string_equal(kc_pod_ip(both, AF_INET6), "fd00::1");
        assert_string_equal(kc_pod_ip(one, AF_INET), "10.0.0.2");
        assert_null(kc_pod_ip(one, AF_INET6));
}

static void trigger_is_the_latest_change(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *service = tree("{'metadata':{'creationTimestamp':'2020-01-01T00:00:00Z'}}");
        struct kc_objects pods = {0};
        kc_objects_push_take(
            &pods, object("{'metadata':{'name':'p','namespace':'n','uid':'u'},'status':{'conditions':[{'type':'Ready',"
                          "'status':'True','lastTransitionTime':'2020-01-01T00:00:07Z'}]}}"));
        KC_CLEANUP(kc_freep) char *t = kc_service_trigger_time(service, &pods);
        assert_string_equal(t, "2020-01-01T00:00:07Z");
        kc_objects_done(&pods);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(target_ports),
            cmocka_unit_test(which_pods_count),
            cmocka_unit_test(addresses_by_family),
            cmocka_unit_test(trigger_is_the_latest_change),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Validation of updates of pods: spec, status, ephemeral containers, resizing. */
#include "validation_testing.h"

static const char pod[] = "{'metadata':{'name':'p','namespace':'n'},'spec':{'containers':[{'name':'c','image':'i'}]}}";

static void update(const char *old_patch, const char *patch, const char *want)
{
        expect_update(kind("", "Pod"), "", pod, old_patch, patch, want);
}

#define MAY_NOT                                                                                                        \
        "spec: Forbidden: pod updates may not change fields other than "                                               \
        "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "   \
        "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if "   \
        "it was previously negative)\n"

static void test_spec(void **state)
{
        (void)state;
        update("", "", "");
        update("",
            "{'metadata':{'labels':{'a':'b'}},'spec':{'containers':[{'name':'c','image':'j','imagePullPolicy':"
            "'Always'}]}}",
            "");
        update("", "{'spec':{'containers':[{'name':'c','image':'i'},{'name':'d','image':'i'}]}}",
            "spec.containers: Forbidden: pod updates may not add or remove containers");
        update("", "{'spec':{'nodeName':'n'}}", MAY_NOT "- \tspec.nodeName: null\n+ \tspec.nodeName: \"n\"\n");
        update("", "{'spec':{'containers':[{'name':'c','image':'i','command':['x']}]}}",
            MAY_NOT "- \tspec.containers[0].command: null\n+ \tspec.containers[0].command: [\"x\"]\n");
        update("", "{'spec':{'activeDeadlineSeconds':10}}", "");
        update("{'spec':{'activeDeadlineSeconds':10}}", "{'spec':{'activeDeadlineSeconds':11}}",
            "spec.activeDeadlineSeconds: Invalid value: 11: must be less than or equal to previous value");
        update("{'spec':{'activeDeadlineSeconds':10}}", "",
            "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value");
        update("{'spec':{'terminationGracePeriodSeconds':-1}}", "{'spec':{'terminationGracePeriodSeconds':1}}", "");
        /* The same quantity in other words is no change. */
        update("{'spec':{'containers':[{'name':'c','image':'i','resources':{'requests':{'cpu':'1'}}}]}}",
            "{'spec':{'containers':[{'name':'c','image':'i','resources':{'requests':{'cpu':'1000m'}}}]}}", "");
}

static void test_tolerations_and_gates(void **state)
{
        (void)state;
        update("{'spec':{'tolerations':[{'key':'a','operator':'Exists'}]}}",
            "{'spec':{'tolerations':[{'key':'b','operator':'Exists'},{'key':'a','operator':'Exists'}]}}", "");
        update("{'spec':{'tolerations':[{'key':'a','operator':'Exists'}]}}", "",
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds");
        update("{'spec':{'schedulingGates':[{'name':'a'},{'name':'b'}]}}",
            "{'spec':{'schedulingGates':[{'name':'b'}]}}", "");
        update("", "{'spec':{'schedulingGates':[{'name':'g'}]}}",
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'");
        update("{'spec':{'schedulingGates':[{'name':'a'}],'nodeSelector':{'x':'1'}}}",
            "{'spec':{'schedulingGates':[{'name':'a'}],'nodeSelector':{'x':'1','y':'2'}}}", "");
        update("{'spec':{'schedulingGates':[{'name':'a'}],'nodeSelector':{'x':'1'}}}",
            "{'spec':{'schedulingGates':[{'name':'a'}],'nodeSelector':{'y':'2'}}}",
            "spec.nodeSelector: Invalid value: {\"y\":\"2\"}: only additions to spec.nodeSelector are allowed (no "
            "mutations or deletions)");
}

static void test_annotations(void **state)
{
        (void)state;
        update("{'metadata':{'annotations':{'kubernetes.io/config.mirror':'x'}},'spec':{'nodeName':'n'}}",
            "{'spec':{'nodeName':'n'}}",
            "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update mirror pod "
            "annotation");
}

static void status(const char *old_patch, const char *patch, const char *want)
{
        expect_update(kind("", "Pod"), "status", pod, old_patch, patch, want);
}

static void test_status(void **state)
{
        (void)state;
        status("",
            "{'status':{'phase':'Running','podIPs':[{'ip':'10.0.0.1'}],'podIP':'10.0.0.1','conditions':[{'type':"
            "'Ready','status':'True'}]}}",
            "");
        status("", "{'spec':{'nodeName':'m'}}", "status.nodeName: Forbidden: may not be changed directly");
        status("{'status':{'qosClass':'BestEffort'}}", "{'status':{'qosClass':'Burstable'}}",
            "status.qosClass: Invalid value: \"Burstable\": field is immutable");
        status("", "{'status':{'podIPs':[{'ip':'x'},{'ip':'10.0.0.1'}]}}",
            "status.podIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)\n"
            "status.podIPs: Invalid value: [{\"ip\":\"x\"},{\"ip\":\"10.0.0.1\"}]: may specify no more than one IP for "
            "each IP family");
        status("{'spec':{'restartPolicy':'Never'},'status':{'containerStatuses':[{'name':'c','state':{'terminated':"
               "{'exitCode':0}}}]}}",
            "{'spec':{'restartPolicy':'Never'},'status':{'containerStatuses':[{'name':'c','state':{'running':{}}}]}}",
            "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state");
        status("", "{'status':{'hostIP':'10.0.0.1','hostIPs':[{'ip':'10.0.0.2'}]}}",
            "status.hostIPs[0].ip: Invalid value: \"10.0.0.2\": must be equal to `hostIP`");
}

static void test_ephemeral_containers(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("", "Pod");
        expect_update(
            r, "ephemeralcontainers", pod, "", "{'spec':{'ephemeralContainers':[{'name':'e','image':'x'}]}}", "");
        expect_update(r, "ephemeralcontainers", pod, "{'spec':{'ephemeralContainers':[{'name':'e','image':'x'}]}}", "",
            "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"e\" may not be removed\n");
}

static void test_resize(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("", "Pod");
        static const char before[] =
            "{'spec':{'containers':[{'name':'c','image':'i','resources':{'requests':{'cpu':'1'}}}]}}";
        expect_update(r, "resize", pod, before,
            "{'spec':{'containers':[{'name':'c','image':'i','resources':{'requests':{'cpu':'2'}}}]}}", "");
        expect_update(r, "resize", pod, before,
            "{'spec':{'containers':[{'name':'c','image':'i','resources':{'requests':{'memory':'1Gi'}}}]}}",
            "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed");
        expect_update(r, "resize", pod, before,
            "{'spec':{'containers':[{'name':'c','image':'j','resources':{'requests':{'cpu':'1'}}}]}}",
            "spec: Forbidden: only cpu and memory resources are mutable");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_spec),
            cmocka_unit_test(test_tolerations_and_gates),
            cmocka_unit_test(test_annotations),
            cmocka_unit_test(test_status),
            cmocka_unit_test(test_ephemeral_containers),
            cmocka_unit_test(test_resize),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

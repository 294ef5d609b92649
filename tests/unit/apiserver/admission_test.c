/* What admission does to objects, and what it refuses. */
#include "registry_fixture.h"

static void pods_run_as_a_service_account(void **state)
{
        struct fixture *f = *state;
        put(f, "", "namespaces", "", kc_json_build("{'metadata':{'name':'default'}}"));
        assert_null(create_as(f, f->registry, NULL, "", "pods", "default",
            kc_json_build("{'metadata':{'name':'p'},'spec':{'serviceAccountName':'x','containers':["
                          "{'name':'c','image':'busybox'}]}}")));
        assert_string_equal(f->err.message, "pods \"p\" is forbidden: error looking up service account default/x: "
                                            "serviceaccount \"x\" not found");
        put(f, "", "serviceaccounts", "default",
            kc_json_build("{'metadata':{'name':'default'},'imagePullSecrets':[{'name':'reg'}]}"));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = must_create(f, "", "pods", "default", simple_pod("p"));
        assert_string_equal(at(o, "spec.serviceAccountName"), "\"default\"");
        assert_string_equal(at(o, "spec.serviceAccount"), "\"default\"");
        assert_string_equal(at(o, "spec.imagePullSecrets"), "[{\"name\":\"reg\"}]");
        const struct json_object *volume = kc_json_idx(kc_json_at(kc_object_json(o), "spec.volumes"), 0);
        const char *name = kc_json_str(volume, "name");
        assert_true(kc_str_has_prefix(name, "kube-api-access-"));
        assert_int_equal(strlen(name), strlen("kube-api-access-xxxxx"));
        KC_CLEANUP(kc_freep) char *projected = kc_json_to_str(kc_json_get(volume, "projected"));
        assert_string_equal(projected,
            "{\"sources\":[{\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":\"token\"}},{\"configMap\":{"
            "\"name\":\"kube-root-ca.crt\",\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}},{\"downwardAPI\":{"
            "\"items\":[{\"path\":\"namespace\",\"fieldRef\":{\"apiVersion\":\"v1\",\"fieldPath\":"
            "\"metadata.namespace\"}}]}}],\"defaultMode\":420}");
        const struct json_object *c = kc_json_idx(kc_json_at(kc_object_json(o), "spec.containers"), 0);
        KC_CLEANUP(kc_freep) char *mounts = kc_json_to_str(kc_json_get(c, "volumeMounts"));
        KC_CLEANUP(kc_freep)
        char *want = kc_asprintf("[{\"name\":\"%s\",\"readOnly\":true,\"mountPath\":"
                                 "\"/var/run/secrets/kubernetes.io/serviceaccount\"}]",
            name);
        assert_string_equal(mounts, want);
}

static void tokens_are_mounted_unless_told_not_to(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "", "serviceaccounts", "default",
            kc_json_build("{'metadata':{'name':'quiet'},'automountServiceAccountToken':false}"));
        static const struct {
                const char *spec;
                bool want;
        } cases[] = {
            {"{'serviceAccountName':'quiet'}", false},
            {"{'serviceAccountName':'quiet','automountServiceAccountToken':true}", true},
            {"{'automountServiceAccountToken':false}", false},
            {"{}", true},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("p%zu", i);
                struct json_object *pod =
                    kc_json_build("{'metadata':{'name':%s},'spec':%o}", name, kc_json_build(cases[i].spec));
                kc_json_set(
                    kc_json_get_mut(pod, "spec"), "containers", kc_json_build("[{'name':'c','image':'busybox'}]"));
                KC_CLEANUP(kc_object_unrefp) struct kc_object *o = must_create(f, "", "pods", "default", pod);
                assert_int_equal(at(o, "spec.volumes")[0] != '\0', cases[i].want);
        }
        /* A volume of the user's own at that path stays. */
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *own = must_create(f, "", "pods", "default",
            kc_json_build("{'metadata':{'name':'own'},'spec':{'containers':[{'name':'c','image':'busybox',"
                          "'volumeMounts':[{'name':'v','mountPath':"
                          "'/var/run/secrets/kubernetes.io/serviceaccount'}]}],"
                          "'volumes':[{'name':'v','emptyDir':{}}]}}"));
        assert_string_equal(at(own, "spec.volumes"), "[{\"name\":\"v\",\"emptyDir\":{}}]");
}

static void pods_tolerate_short_outages(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        struct json_object *pod = simple_pod("p");
        kc_json_set(kc_json_get_mut(pod, "spec"), "tolerations",
            kc_json_build("[{'key':'node.kubernetes.io/not-ready','operator':'Exists','effect':'NoExecute',"
                          "'tolerationSeconds':5}]"));
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = must_create(f, "", "pods", "default", pod);
        assert_string_equal(at(o, "spec.tolerations"),
            "[{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\","
            "\"tolerationSeconds\":5},{\"key\":\"node.kubernetes.io/unreachable\",\"operator\":\"Exists\",\"effect\":"
            "\"NoExecute\",\"tolerationSeconds\":300}]");
}

static void priorities_come_from_classes(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        const char *group = "scheduling.k8s.io";
        put(f, group, "priorityclasses", "",
            kc_json_build("{'metadata':{'name':'high'},'value':1000,'preemptionPolicy':'Never'}"));
        struct json_object *pod = simple_pod("a");
        kc_json_set_str(kc_json_get_mut(pod, "spec"), "priorityClassName", "high");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *a = must_create(f, "", "pods", "default", pod);
        assert_string_equal(at(a, "spec.priority"), "1000");
        assert_string_equal(at(a, "spec.preemptionPolicy"), "\"Never\"");
        KC_CLEANUP(kc_object_unrefp) struct kc_object *b = must_create(f, "", "pods", "default", simple_pod("b"));
        assert_string_equal(at(b, "spec.priority"), "0");
        assert_string_equal(at(b, "spec.preemptionPolicy"), "\"PreemptLowerPriority\"");
        pod = simple_pod("c");
        kc_json_set_str(kc_json_get_mut(pod, "spec"), "priorityClassName", "none");
        assert_null(create_as(f, f->registry, NULL, "", "pods", "default", pod));
        assert_string_equal(f->err.message, "pods \"c\" is forbidden: no PriorityClass with name none was found");
        pod = simple_pod("c");
        kc_json_set_int(kc_json_get_mut(pod, "spec"), "priority", 5);
        assert_null(create_as(f, f->registry, NULL, "", "pods", "default", pod));
        assert_string_equal(f->err.message,
            "pods \"c\" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority "
            "admission controller computed 0 from the given PriorityClass name");
        put(f, group, "priorityclasses", "",
            kc_json_build("{'metadata':{'name':'usual'},'value':7,'globalDefault':true}"));
        kc_object_unref(get(f, group, "priorityclasses", "", "usual")); /* waits for the cache */
        KC_CLEANUP(kc_object_unrefp) struct kc_object *d = must_create(f, "", "pods", "default", simple_pod("d"));
        assert_string_equal(at(d, "spec.priorityClassName"), "\"usual\"");
        assert_string_equal(at(d, "spec.priority"), "7");
        assert_null(create_as(f, f->registry, NULL, group, "priorityclasses", "",
            kc_json_build("{'metadata':{'name':'two'},'value':8,'globalDefault':true}")));
        assert_string_equal(f->err.message,
            "priorityclasses.scheduling.k8s.io \"two\" is forbidden: PriorityClass usual is already marked as default. "
            "Only one default can exist");
}

static void new_nodes_are_not_ready(void **state)
{
        struct fixture *f = *state;
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o = must_create(f, "", "nodes", "", kc_json_build("{'metadata':{'name':'n1'}}"));
        assert_string_equal(
            at(o, "spec.taints"), "[{\"key\":\"node.kubernetes.io/not-ready\",\"effect\":\"NoSchedule\"}]");
}

/* --- NodeRestriction */

static struct json_object *mirror_pod(const char *node, const char *uid)
{
        return kc_json_build("{'metadata':{'name':'static','annotations':{'kubernetes.io/config.mirror':'h'},"
                             "'ownerReferences':[{'apiVersion':'v1','kind':'Node','name':%s,'uid':%s,"
                             "'controller':true}]},'spec':{'nodeName':%s,'containers':["
                             "{'name':'c','image':'busybox'}]}}",
            node, uid, node);
}

static void assert_refused(struct fixture *f, const struct kc_user *u, const char *resource, const char *ns,
    struct json_object *take_obj, const char *want)
{
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o = create_as(f, f->registry, u, "", resource, ns, take_obj);
        assert_null(o);
        assert_string_equal(f->err.message, want);
        assert_int_equal(f->err.code, 403);
}

static void kubelets_keep_to_their_node(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        KC_CLEANUP(kc_user_unrefp) struct kc_user *n1 = user("system:node:n1", KC_GROUP_NODES);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *node = create_as(f, f->registry, n1, "", "nodes", "",
            kc_json_build("{'metadata':{'name':'n1','labels':{'kubernetes.io/hostname':'n1'}}}"));
        assert_non_null(node);
        assert_refused(f, n1, "nodes", "", kc_json_build("{'metadata':{'name':'n2'}}"),
            "nodes \"n2\" is forbidden: node \"n1\" is not allowed to modify node \"n2\"");
        assert_refused(f, n1, "nodes", "",
            kc_json_build("{'metadata':{'name':'n1','labels':{'node-restriction.kubernetes.io/a':'b'}}}"),
            "nodes \"n1\" is forbidden: node \"n1\" is not allowed to set the following labels: "
            "node-restriction.kubernetes.io/a");
        assert_int_equal(
            change_as(f, n1, "", "nodes", "", "", "n1", kc_json_build("{'spec':{'taints':null}}"), NULL), -EACCES);
        assert_string_equal(f->err.message, "nodes \"n1\" is forbidden: node \"n1\" is not allowed to modify taints");
        assert_int_equal(change_as(f, n1, "", "nodes", "status", "", "n1",
                             kc_json_build("{'status':{'nodeInfo':{'kubeletVersion':'v1'}}}"), NULL),
            0);
        assert_refused(f, n1, "pods", "default", simple_pod("p"),
            "pods \"p\" is forbidden: pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can "
            "only "
            "create mirror pods");
        assert_refused(f, n1, "pods", "default", mirror_pod("n2", "u"),
            "pods \"static\" is forbidden: node \"n1\" can only create pods with spec.nodeName set to itself");
        KC_CLEANUP(kc_freep)
        char *mismatch =
            kc_asprintf("pods \"static\" is forbidden: node n1 UID mismatch: expected u got %s", kc_object_uid(node));
        assert_refused(f, n1, "pods", "default", mirror_pod("n1", "u"), mismatch);
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *mirror =
            create_as(f, f->registry, n1, "", "pods", "default", mirror_pod("n1", kc_object_uid(node)));
        if (!mirror)
                fail_msg("%s", kc_error_message(&f->err));
        assert_string_equal(at(mirror, "spec.volumes"), ""); /* no token */
        put(f, "", "pods", "default", simple_pod("other"));
        assert_int_equal(remove_as(f, n1, "", "pods", "default", "other", 0, NULL), -EACCES);
        assert_string_equal(f->err.message,
            "pods \"other\" is forbidden: node \"n1\" can only delete pods with spec.nodeName set to itself");
        assert_int_equal(remove_as(f, n1, "", "pods", "default", "static", 0, NULL), 0);
}

static struct json_object *pod_of_class(const char *name, const char *class, struct json_object *take_spec)
{
        struct json_object *pod = simple_pod(name), *spec = kc_json_get_mut(pod, "spec");
        if (class)
                kc_json_set_str(spec, "runtimeClassName", class);
        KC_JSON_FOREACH(take_spec, key, value)
        kc_json_set(spec, key, kc_json_copy(value));
        kc_json_free(take_spec);
        return pod;
}

static void runtime_classes_say_overhead_and_place(void **state)
{
        struct fixture *f = *state;
        make_default(f);
        put(f, "node.k8s.io", "runtimeclasses", "",
            kc_json_build(
                "{'metadata':{'name':'vm'},'handler':'vm','overhead':{'podFixed':{'cpu':'250m'}},'scheduling':"
                "{'nodeSelector':{'vm':'yes'},'tolerations':[{'key':'vm','operator':'Exists'}]}}"));
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *o = must_create(f, "", "pods", "default",
            pod_of_class("a", "vm",
                kc_json_build("{'nodeSelector':{'a':'b'},'tolerations':[{'key':'vm','operator':'Equal','value':'x',"
                              "'effect':'NoSchedule'}]}")));
        assert_string_equal(at(o, "spec.overhead"), "{\"cpu\":\"250m\"}");
        assert_string_equal(at(o, "spec.nodeSelector"), "{\"a\":\"b\",\"vm\":\"yes\"}");
        assert_string_equal(at(o, "spec.tolerations"),
            "[{\"key\":\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\","
            "\"tolerationSeconds\":300},{\"key\":\"node.kubernetes.io/unreachable\",\"operator\":\"Exists\",\"effect\":"
            "\"NoExecute\",\"tolerationSeconds\":300},{\"key\":\"vm\",\"operator\":\"Exists\"}]");
        const struct {
                const char *class, *spec, *want;
        } cases[] = {
            {"none", "{}", "pods \"b\" is forbidden: pod rejected: RuntimeClass \"none\" not found"},
            {"vm", "{'overhead':{'cpu':'1'}}",
                "pods \"b\" is forbidden: pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"},
            {NULL, "{'overhead':{'cpu':'1'}}",
                "pods \"b\" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined "
                "Overhead"},
            {"vm", "{'nodeSelector':{'vm':'no'}}",
                "pods \"b\" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; "
                "pod.spec.nodeSelector[vm] = no"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                assert_null(create_as(f, f->registry, NULL, "", "pods", "default",
                    pod_of_class("b", cases[i].class, kc_json_build(cases[i].spec))));
                assert_string_equal(f->err.message, cases[i].want);
        }
}

static struct json_object *ingress(const char *name)
{
        return kc_json_build("{'metadata':{'name':%s},'spec':{'defaultBackend':{'service':{'name':'s','port':{"
                             "'number':80}}}}}",
            name);
}

static void ingresses_get_the_default_class(void **state)
{
        struct fixture *f = *state;
        const char *group = "networking.k8s.io";
        make_default(f);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *a = must_create(f, group, "ingresses", "default", ingress("a"));
        assert_string_equal(at(a, "spec.ingressClassName"), "");
        put(f, group, "ingressclasses", "",
            kc_json_build("{'metadata':{'name':'usual','annotations':{'ingressclass.kubernetes.io/is-default-class':"
                          "'true'}},'spec':{'controller':'example.com/c'}}"));
        kc_object_unref(get(f, group, "ingressclasses", "", "usual")); /* waits for the cache */
        KC_CLEANUP(kc_object_unrefp) struct kc_object *b = must_create(f, group, "ingresses", "default", ingress("b"));
        assert_string_equal(at(b, "spec.ingressClassName"), "\"usual\"");
}

/* Asks for more. NULL, or what it says. */
static const char *grow(struct fixture *f, const char *size)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        int r = change_as(f, NULL, "", "persistentvolumeclaims", "", "default", "c",
            kc_json_build("{'spec':{'resources':{'requests':{'storage':%s}}}}", size), &o);
        return r < 0 ? f->err.message : NULL;
}

static void claims_grow_if_their_class_lets_them(void **state)
{
        struct fixture *f = *state;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *bound = NULL;
        make_default(f);
        put(f, "", "persistentvolumeclaims", "default",
            kc_json_build("{'metadata':{'name':'c'},'spec':{'accessModes':['ReadWriteOnce'],'storageClassName':'s',"
                          "'resources':{'requests':{'storage':'1Gi'}}}}"));
        assert_int_equal(change_as(f, NULL, "", "persistentvolumeclaims", "status", "default", "c",
                             kc_json_build("{'status':{'phase':'Bound'}}"), &bound),
            0);
        assert_string_equal(grow(f, "2Gi"),
            "persistentvolumeclaims \"c\" is forbidden: only dynamically provisioned pvc can be resized and the "
            "storageclass that provisions the pvc must support resize");
        put(f, "storage.k8s.io", "storageclasses", "",
            kc_json_build("{'metadata':{'name':'s'},'provisioner':'example.com/p','allowVolumeExpansion':true}"));
        kc_object_unref(get(f, "storage.k8s.io", "storageclasses", "", "s")); /* waits for the cache */
        assert_null(grow(f, "2Gi"));
}

static void plugins_are_chosen_by_flags(void **state)
{
        struct fixture *f = *state;
        char *enable[] = {(char *)"NodeRestriction", NULL}, *disable[] = {(char *)"Priority", NULL},
             *unknown[] = {(char *)"NoSuch", NULL};
        const struct kc_admission_opts o = {
            .resources = f->resources, .authz = f->authz, .enable = enable, .disable = disable};
        struct kc_admission *a = NULL;
        assert_int_equal(kc_admission_new(&o, &a, NULL), 0);
        KC_CLEANUP(kc_freep) char *names = kc_strv_join(kc_admission_plugins(a), ",");
        assert_string_equal(names,
            "NamespaceLifecycle,LimitRanger,ServiceAccount,NodeRestriction,TaintNodesByCondition,"
            "DefaultTolerationSeconds,StorageObjectInUseProtection,"
            "PersistentVolumeClaimResize,RuntimeClass,CertificateApproval,"
            "CertificateSigning,ClusterTrustBundleAttest,CertificateSubjectRestriction,DefaultIngressClass,"
            "PodTopologyLabels,ResourceQuota");
        kc_admission_free(a);
        const struct kc_admission_opts bad = {.resources = f->resources, .authz = f->authz, .enable = unknown};
        assert_int_equal(kc_admission_new(&bad, &a, &f->err), -EINVAL);
        assert_string_equal(f->err.message, "enable-admission-plugins plugin \"NoSuch\" is unknown");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
            TEST(pods_run_as_a_service_account),
            TEST(tokens_are_mounted_unless_told_not_to),
            TEST(pods_tolerate_short_outages),
            TEST(priorities_come_from_classes),
            TEST(new_nodes_are_not_ready),
            TEST(kubelets_keep_to_their_node),
            TEST(runtime_classes_say_overhead_and_place),
            TEST(ingresses_get_the_default_class),
            TEST(claims_grow_if_their_class_lets_them),
            TEST(plugins_are_chosen_by_flags),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

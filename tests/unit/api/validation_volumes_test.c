/* Validation of PersistentVolumes, PersistentVolumeClaims and StatefulSets. */
#include "validation_testing.h"

static const char pv[] = "{'metadata':{'name':'pv'},'spec':{'capacity':{'storage':'5Gi'},'accessModes':"
                         "['ReadWriteOnce'],'hostPath':{'path':'/data'}}}";

static void create_pv(const char *patch, const char *want)
{
        expect_create(kind("", "PersistentVolume"), pv, patch, want);
}

static void test_persistent_volume(void **state)
{
        (void)state;
        create_pv("", "");
        create_pv("{'spec':{'accessModes':null,'capacity':null,'hostPath':null}}",
            "spec.accessModes: Required value\n"
            "spec.capacity: Required value\n"
            "spec.capacity: Unsupported value: null: supported values: \"storage\"\n"
            "spec: Required value: must specify a volume type");
        create_pv("{'spec':{'accessModes':['X','ReadWriteOncePod','ReadOnlyMany'],'capacity':{'storage':'0'},"
                  "'persistentVolumeReclaimPolicy':'Burn','volumeMode':'x','storageClassName':'A'}}",
            "spec.accessModes: Unsupported value: \"X\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", "
            "\"ReadWriteOnce\", \"ReadWriteOncePod\"\n"
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes\n"
            "spec.capacity[storage]: Invalid value: \"0\": must be greater than zero\n"
            "spec.persistentVolumeReclaimPolicy: Unsupported value: \"Burn\": supported values: \"Delete\", "
            "\"Recycle\", \"Retain\"\n"
            "spec.storageClassName: Invalid value: \"A\": " SUBDOMAIN_1123 "\n"
            "spec.volumeMode: Unsupported value: \"x\": supported values: \"Block\", \"Filesystem\"");
        create_pv("{'spec':{'hostPath':{'path':'/'},'persistentVolumeReclaimPolicy':'Recycle'}}",
            "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'");
        create_pv(
            "{'spec':{'local':{'path':'/a/../b'}}}", "spec.local: Forbidden: may not specify more than 1 volume type");
        create_pv("{'spec':{'hostPath':null,'local':{'path':'/a/../b'}}}",
            "spec.local.path: Invalid value: \"/a/../b\": must not contain '..'\n"
            "spec.nodeAffinity: Required value: Local volume requires node affinity");
        create_pv(
            "{'spec':{'hostPath':null,'csi':{'driver':'','volumeHandle':'','nodePublishSecretRef':{'name':'A'}}}}",
            "spec.csi.driver: Required value\n"
            "spec.csi.driver: Invalid value: \"\": " SUBDOMAIN_1123 "\n"
            "spec.csi.volumeHandle: Required value\n"
            "spec.csi.nodePublishSecretRef.name: Invalid value: \"A\": " SUBDOMAIN_1123 "\n"
            "spec.csi.nodePublishSecretRef.namespace: Required value");
        create_pv("{'spec':{'nodeAffinity':{}}}",
            "spec.nodeAffinity.required: Required value: must specify required node constraints");
        create_pv("{'spec':{'hostPath':null,'iscsi':{'targetPortal':'p','iqn':'iqn.x','lun':256}}}",
            "spec.iscsi.iqn: Invalid value: \"iqn.x\": must be valid format\n"
            "spec.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive");
}

static void test_persistent_volume_update(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("", "PersistentVolume");
        expect_update(r, "", pv, "", "{'spec':{'claimRef':{'name':'c','namespace':'n'}}}", "");
        expect_update(r, "", pv, "", "{'spec':{'hostPath':{'path':'/other'},'volumeMode':'Block'}}",
            "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n"
            "- \tspec.hostPath.path: \"/data\"\n+ \tspec.hostPath.path: \"/other\"\n"
            "- \tspec.volumeMode: \"Filesystem\"\n+ \tspec.volumeMode: \"Block\"\n"
            "\nvolumeMode: Invalid value: \"Block\": field is immutable");
}

static const char pvc[] = "{'metadata':{'name':'c','namespace':'n'},'spec':{'accessModes':['ReadWriteOnce'],"
                          "'resources':{'requests':{'storage':'1Gi'}}}}";

static void test_claim(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("", "PersistentVolumeClaim");
        expect_create(r, pvc, "", "");
        expect_create(r, pvc, "{'spec':{'accessModes':null,'resources':null}}",
            "spec.accessModes: Required value: at least 1 access mode is required\n"
            "spec.resources[storage]: Required value");
        expect_create(r, pvc, "{'spec':{'resources':{'requests':{'storage':'-1'}},'storageClassName':''}}",
            "spec.resources[storage]: Invalid value: \"-1\": must be greater than zero");
        expect_create(r, pvc, "{'spec':{'dataSource':{'kind':'X','name':'a'},'dataSourceRef':{'kind':'X','name':''}}}",
            "spec.dataSource: Invalid value: \"X\": must be 'PersistentVolumeClaim' when referencing the default "
            "apiGroup\n"
            "spec.dataSourceRef.name: Required value\n"
            "spec.dataSourceRef: Invalid value: \"X\": must be 'PersistentVolumeClaim' when referencing the default "
            "apiGroup\n"
            "spec: Invalid value: {}: must match dataSourceRef");
}

static void test_claim_update(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("", "PersistentVolumeClaim");
        static const char bound[] = "{'status':{'phase':'Bound','capacity':{'storage':'1Gi'}},'spec':{'volumeName':"
                                    "'v','volumeAttributesClassName':'gold'}}";
        expect_update(r, "", pvc, "", "{'spec':{'volumeName':'v','storageClassName':'fast'}}", "");
        expect_update(r, "", pvc, bound,
            "{'status':{'phase':'Bound','capacity':{'storage':'1Gi'}},'spec':{'volumeName':'v',"
            "'volumeAttributesClassName':'silver','resources':{'requests':{'storage':'2Gi'}}}}",
            "");
        expect_update(r, "", pvc, bound,
            "{'status':{'phase':'Bound','capacity':{'storage':'1Gi'}},'spec':{'volumeName':'w',"
            "'volumeAttributesClassName':'','resources':{'requests':{'storage':'512Mi'}}}}",
            "spec: Forbidden: spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims\n"
            "- \tspec.volumeName: \"v\"\n+ \tspec.volumeName: \"w\"\n"
            "\nspec.resources.requests.storage: Forbidden: field can not be less than status.capacity\n"
            "spec.volumeAttributesClassName: Forbidden: update from non-nil value to an empty string is forbidden");
        expect_update(r, "status", pvc, "", "{'status':{'capacity':{'storage':'-1'},'allocatedResources':{'cpu':'1'}}}",
            "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity\n"
            "status.allocatedResources: Unsupported value: \"cpu\": supported values: \"storage\"");
}

static const char set[] =
    "{'metadata':{'name':'s','namespace':'n'},'spec':{'serviceName':'x','selector':{'matchLabels':{'a':'b'}},"
    "'template':{'metadata':{'labels':{'a':'b'}},'spec':{'containers':[{'name':'c','image':'i','volumeMounts':[{"
    "'name':'data','mountPath':'/d'}]}]}},'volumeClaimTemplates':[{'metadata':{'name':'data'},'spec':{'accessModes':"
    "['ReadWriteOnce'],'resources':{'requests':{'storage':'1Gi'}}}}]}}";

static void test_stateful_set(void **state)
{
        (void)state;
        const struct kc_resource *r = kind("apps", "StatefulSet");
        expect_create(r, set, "", "");
        expect_create(r, set,
            "{'spec':{'podManagementPolicy':'x','updateStrategy':{'type':'OnDelete','rollingUpdate':{'partition':1}},"
            "'replicas':-1,'serviceName':'A','volumeClaimTemplates':[{'metadata':{'name':'data'},'spec':{}}]}}",
            "spec.podManagementPolicy: Invalid value: \"x\": must be 'OrderedReady' or 'Parallel'\n"
            "spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for updateStrategy "
            "'RollingUpdate'\n"
            "spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required\n"
            "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value\n"
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0\n"
            "spec.serviceName: Invalid value: \"A\": " LABEL_1123);
        expect_create(r, set, "{'spec':{'volumeClaimTemplates':null}}",
            "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\"");
        expect_create(r, set, "{'spec':{'template':{'spec':{'restartPolicy':'Never','activeDeadlineSeconds':1}}}}",
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"\n"
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not "
            "Supported");
        expect_update(r, "", set, "", "{'spec':{'replicas':3,'minReadySeconds':1}}", "");
        expect_update(r, "", set, "", "{'spec':{'serviceName':'y'}}",
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
            "are "
            "forbidden");
        expect_update(r, "status", set, "", "{'status':{'replicas':1,'readyReplicas':2,'availableReplicas':3}}",
            "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas\n"
            "status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas\n"
            "status.availableReplicas: Invalid value: 3: cannot be greater than status.readyReplicas");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_persistent_volume),
            cmocka_unit_test(test_persistent_volume_update),
            cmocka_unit_test(test_claim),
            cmocka_unit_test(test_claim_update),
            cmocka_unit_test(test_stateful_set),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

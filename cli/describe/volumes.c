/* Sources of volumes: most are rows of a table. */
#include <string.h>

#include "cli/describe/internal.h"

enum type {
        TEXT,      /* a string */
        NUMBER,    /* 0 when absent */
        BOOLEAN,   /* false when absent */
        NONE,      /* "<none>" when absent, any scalar */
        LIST,      /* "a, b" */
        BRACKETS,  /* "[a b]" */
        REFERENCE, /* to an object, as Go prints the pointer: "nil", "&LocalObjectReference{Name:s,}" */
        UNSET,     /* a quantity, "<unset>" when absent or zero */
        MAP,       /* "map[a:b]" */
};
struct field {
        const char *label; /* with its colon, where it has one */
        const char *path;
        enum type type;
        enum { BOTH, IN_POD, IN_PV } where;
};
enum { MAX_FIELDS = 12 };
struct source {
        const char *key, *type;
        struct field fields[MAX_FIELDS];
};

static const struct source sources[] = {
    {"hostPath", "HostPath (bare host directory volume)", {{"Path:", "path", TEXT}, {"HostPathType:", "type", TEXT}}},
    {"emptyDir", "EmptyDir (a temporary directory that shares a pod's lifetime)",
        {{"Medium:", "medium", TEXT}, {"SizeLimit:", "sizeLimit", UNSET}}},
    {"gcePersistentDisk", "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        {{"PDName:", "pdName", TEXT}, {"FSType:", "fsType", TEXT}, {"Partition:", "partition", NUMBER},
            {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"awsElasticBlockStore", "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        {{"VolumeID:", "volumeID", TEXT}, {"FSType:", "fsType", TEXT}, {"Partition:", "partition", NUMBER},
            {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"gitRepo", "GitRepo (a volume that is pulled from git when the pod is created)",
        {{"Repository:", "repository", TEXT}, {"Revision:", "revision", TEXT}}},
    {"configMap", "ConfigMap (a volume populated by a ConfigMap)",
        {{"Name:", "name", TEXT}, {"Optional:", "optional", BOOLEAN}}},
    {"secret", "Secret (a volume populated by a Secret)",
        {{"SecretName:", "secretName", TEXT}, {"Optional:", "optional", BOOLEAN}}},
    {"nfs", "NFS (an NFS mount that lasts the lifetime of a pod)",
        {{"Server:", "server", TEXT}, {"Path:", "path", TEXT}, {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"iscsi", "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
        {{"TargetPortal:", "targetPortal", TEXT}, {"IQN:", "iqn", TEXT}, {"Lun:", "lun", NUMBER},
            {"ISCSIInterface", "iscsiInterface", TEXT}, {"FSType:", "fsType", TEXT}, {"ReadOnly:", "readOnly", BOOLEAN},
            {"Portals:", "portals", BRACKETS}, {"DiscoveryCHAPAuth:", "chapAuthDiscovery", BOOLEAN},
            {"SessionCHAPAuth:", "chapAuthSession", BOOLEAN}, {"SecretRef:", "secretRef", REFERENCE},
            {"InitiatorName:", "initiatorName", NONE}}},
    {"glusterfs", "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)",
        {{"EndpointsName:", "endpoints", TEXT}, {"EndpointsNamespace:", "endpointsNamespace", NONE, IN_PV},
            {"Path:", "path", TEXT}, {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"persistentVolumeClaim", "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        {{"ClaimName:", "claimName", TEXT}, {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"rbd", "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)",
        {{"CephMonitors:", "monitors", BRACKETS}, {"RBDImage:", "image", TEXT}, {"FSType:", "fsType", TEXT},
            {"RBDPool:", "pool", TEXT}, {"RadosUser:", "user", TEXT}, {"Keyring:", "keyring", TEXT},
            {"SecretRef:", "secretRef", REFERENCE}, {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"quobyte", "Quobyte (a Quobyte mount on the host that shares a pod's lifetime)",
        {{"Registry:", "registry", TEXT}, {"Volume:", "volume", TEXT}, {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"azureDisk", "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)",
        {{"DiskName:", "diskName", TEXT}, {"DiskURI:", "diskURI", TEXT}, {"Kind:", "kind", TEXT},
            {"FSType:", "fsType", TEXT}, {"CachingMode:", "cachingMode", TEXT}, {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"vsphereVolume", "vSphereVolume (a Persistent Disk resource in vSphere)",
        {{"VolumePath:", "volumePath", TEXT}, {"FSType:", "fsType", TEXT},
            {"StoragePolicyName:", "storagePolicyName", TEXT}}},
    {"cinder", "Cinder (a Persistent Disk resource in OpenStack)",
        {{"VolumeID:", "volumeID", TEXT}, {"FSType:", "fsType", TEXT}, {"ReadOnly:", "readOnly", BOOLEAN},
            {"SecretRef:", "secretRef", REFERENCE}}},
    {"photonPersistentDisk", "PhotonPersistentDisk (a Persistent Disk resource in photon platform)",
        {{"PdID:", "pdID", TEXT}, {"FSType:", "fsType", TEXT}}},
    {"portworxVolume", "PortworxVolume (a Portworx Volume resource)", {{"VolumeID:", "volumeID", TEXT}}},
    {"scaleIO", "ScaleIO (a persistent volume backed by a block device in ScaleIO)",
        {{"Gateway:", "gateway", TEXT}, {"System:", "system", TEXT}, {"Protection Domain:", "protectionDomain", TEXT},
            {"Storage Pool:", "storagePool", TEXT}, {"Storage Mode:", "storageMode", TEXT},
            {"VolumeName:", "volumeName", TEXT}, {"FSType:", "fsType", TEXT}, {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"cephfs", "CephFS (a CephFS mount on the host that shares a pod's lifetime)",
        {{"Monitors:", "monitors", BRACKETS}, {"Path:", "path", TEXT}, {"User:", "user", TEXT},
            {"SecretFile:", "secretFile", TEXT}, {"SecretRef:", "secretRef", REFERENCE},
            {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"storageos", "StorageOS (a StorageOS Persistent Disk resource)",
        {{"VolumeName:", "volumeName", TEXT}, {"VolumeNamespace:", "volumeNamespace", TEXT},
            {"FSType:", "fsType", TEXT}, {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"fc", "FC (a Fibre Channel disk)",
        {{"TargetWWNs:", "targetWWNs", LIST}, {"LUN:", "lun", NONE}, {"FSType:", "fsType", TEXT},
            {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"azureFile", "AzureFile (an Azure File Service mount on the host and bind mount to the pod)",
        {{"SecretName:", "secretName", TEXT}, {"SecretNamespace:", "secretNamespace", TEXT, IN_PV},
            {"ShareName:", "shareName", TEXT}, {"ReadOnly:", "readOnly", BOOLEAN}}},
    {"local", "LocalVolume (a persistent volume backed by local storage on a node)", {{"Path:", "path", TEXT}}},
    {"flocker", "Flocker (a Flocker volume mounted by the Flocker agent)",
        {{"DatasetName:", "datasetName", TEXT}, {"DatasetUUID:", "datasetUUID", TEXT}}},
    {"flexVolume", "FlexVolume (a generic volume resource that is provisioned/attached using an exec based plugin)",
        {{"Driver:", "driver", TEXT}, {"FSType:", "fsType", TEXT}, {"SecretRef:", "secretRef", REFERENCE},
            {"ReadOnly:", "readOnly", BOOLEAN}, {"Options:", "options", MAP}}},
    {"image", "Image (a container image or OCI artifact)",
        {{"Reference:", "reference", TEXT}, {"PullPolicy:", "pullPolicy", TEXT}}},
};

static char *reference_text(const struct json_object *ref, bool persistent)
{
        if (!ref)
                return kc_strdup("nil");
        if (persistent)
                return kc_asprintf(
                    "&SecretReference{Name:%s,Namespace:%s,}", kc_text(ref, "name"), kc_text(ref, "namespace"));
        return kc_asprintf("&LocalObjectReference{Name:%s,}", kc_text(ref, "name"));
}

static char *map_text(const struct json_object *map)
{
        KC_CLEANUP(kc_strv_freep) char **keys = kc_sorted_keys(map);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, "map[");
        for (char **k = keys; k && *k; k++)
                kc_buf_addf(&b, "%s%s:%s", k == keys ? "" : " ", *k, kc_json_str(map, *k));
        kc_buf_addc(&b, ']');
        return kc_buf_take_str(&b);
}

static char *field_text(const struct json_object *source, const struct field *f, bool persistent)
{
        const struct json_object *v = kc_json_get(source, f->path);
        switch (f->type) {
        case TEXT:
                return kc_scalar(v);
        case NUMBER:
                return kc_asprintf("%lld", (long long)kc_json_int(source, f->path, 0));
        case BOOLEAN:
                return kc_strdup(kc_bool_word(kc_json_bool(source, f->path, false)));
        case NONE:
                return v ? kc_scalar(v) : kc_strdup("<none>");
        case LIST:
                return kc_joined(v, ", ");
        case BRACKETS:
                return kc_bracketed(v);
        case REFERENCE:
                return reference_text(v, persistent);
        case UNSET: {
                KC_CLEANUP(kc_freep) char *q = kc_quantity_words(source, f->path);
                return v && !kc_streq(q, "0") ? KC_TAKE(q) : kc_strdup("<unset>");
        }
        case MAP:
                return map_text(v);
        }
        return kc_strdup("");
}

static void describe_row(
    struct kc_describing *d, const struct source *s, const struct json_object *source, bool persistent)
{
        kc_line(d, 2, "Type:\t%s\n", s->type);
        for (const struct field *f = s->fields; f < s->fields + MAX_FIELDS && f->label; f++) {
                if ((f->where == IN_POD && persistent) || (f->where == IN_PV && !persistent))
                        continue;
                KC_CLEANUP(kc_freep) char *text = field_text(source, f, persistent);
                kc_line(d, 2, "%s\t%s\n", f->label, text);
        }
}

/* --- those that are more than a row */

static void describe_attributes(struct kc_describing *d, const struct json_object *attributes)
{
        enum { MAX_LINE = 140 };
        KC_CLEANUP(kc_strv_freep) char **keys = kc_sorted_keys(attributes);
        kc_line(d, 2, "VolumeAttributes:\t%s", keys ? "" : "<none>\n");
        for (char **k = keys; k && *k; k++) {
                KC_CLEANUP(kc_freep) char *text = kc_asprintf("%s=%s", *k, kc_json_str(attributes, *k));
                if (k != keys) {
                        kc_line(d, 2, "%s", "");
                        kc_line(d, 2, "\t");
                }
                kc_line(d, 2, "%.*s%s\n", MAX_LINE, text, strlen(text) > MAX_LINE ? "..." : "");
        }
}

static void describe_csi(struct kc_describing *d, const struct json_object *s, bool persistent)
{
        kc_line(d, 2, "Type:\tCSI (a Container Storage Interface (CSI) volume source)\n");
        kc_line(d, 2, "Driver:\t%s\n", kc_text(s, "driver"));
        kc_line(d, 2, "FSType:\t%s\n", kc_text(s, "fsType"));
        if (persistent)
                kc_line(d, 2, "VolumeHandle:\t%s\n", kc_text(s, "volumeHandle"));
        kc_line(d, 2, "ReadOnly:\t%s\n", kc_bool_word(kc_json_bool(s, "readOnly", false)));
        describe_attributes(d, kc_json_get(s, "volumeAttributes"));
}

static void describe_downward(struct kc_describing *d, const struct json_object *s)
{
        const struct json_object *items = kc_json_get(s, "items");
        kc_line(d, 2, "Type:\tDownwardAPI (a volume populated by information about the pod)\n");
        kc_line(d, 2, "Items:\n");
        for (size_t i = 0; i < kc_json_len(items); i++) {
                const struct json_object *item = kc_json_idx(items, i);
                if (kc_json_get(item, "fieldRef"))
                        kc_line(d, 3, "%s -> %s\n", kc_text(item, "fieldRef.fieldPath"), kc_text(item, "path"));
                if (kc_json_get(item, "resourceFieldRef"))
                        kc_line(d, 3, "%s -> %s\n", kc_text(item, "resourceFieldRef.resource"), kc_text(item, "path"));
        }
}

static void describe_projected(struct kc_describing *d, const struct json_object *s)
{
        const struct json_object *list = kc_json_get(s, "sources");
        kc_line(d, 2, "Type:\tProjected (a volume that contains injected data from multiple sources)\n");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *p = kc_json_idx(list, i), *secret = kc_json_get(p, "secret"),
                                         *map = kc_json_get(p, "configMap"),
                                         *token = kc_json_get(p, "serviceAccountToken"),
                                         *bundle = kc_json_get(p, "clusterTrustBundle"), *ref = secret ? secret : map;
                const char *word = kc_bool_word(kc_json_bool(ref, "optional", false));
                if (secret) {
                        kc_line(d, 2, "SecretName:\t%s\n", kc_text(secret, "name"));
                        kc_line(d, 2, "Optional:\t%s\n", word);
                } else if (kc_json_get(p, "downwardAPI")) {
                        kc_line(d, 2, "DownwardAPI:\ttrue\n");
                } else if (map) {
                        kc_line(d, 2, "ConfigMapName:\t%s\n", kc_text(map, "name"));
                        kc_line(d, 2, "Optional:\t%s\n", word);
                } else if (token) {
                        kc_line(d, 2, "TokenExpirationSeconds:\t%lld\n",
                            (long long)kc_json_int(token, "expirationSeconds", 0));
                } else if (bundle) {
                        const char *name = kc_json_str(bundle, "name");
                        kc_line(d, 2, "%s:\t%s\n", name ? "ClusterTrustBundleName" : "ClusterTrustBundleSigner",
                            name ? name : kc_text(bundle, "signerName"));
                }
        }
}

static void describe_map_line(struct kc_describing *d, const char *title, const struct json_object *map, bool labels)
{
        KC_CLEANUP(kc_strv_freep) char **keys = kc_sorted_keys(map);
        kc_line(d, 2, "%s:\t", title);
        if (!keys)
                kc_line(d, 0, "<none>\n");
        for (char **k = keys; k && *k; k++) {
                if (k != keys) {
                        kc_line(d, 2, "%s", "");
                        kc_line(d, 2, "\t");
                }
                kc_line(d, 2, labels ? "%s=%s\n" : "%s: %s\n", *k, kc_json_str(map, *k));
        }
}

static void describe_ephemeral(struct kc_describing *d, const struct json_object *s)
{
        const struct json_object *claim = kc_json_get(s, "volumeClaimTemplate");
        const char *mode = kc_text(claim, "spec.volumeMode");
        kc_line(d, 2,
            "Type:\tEphemeralVolume (an inline specification for a volume that gets created and deleted with the "
            "pod)\n");
        kc_line(d, 2, "StorageClass:\t%s\n", kc_text(claim, "spec.storageClassName"));
        kc_line(d, 2, "Volume:\t%s\n", kc_text(claim, "spec.volumeName"));
        describe_map_line(d, "Labels", kc_json_at(claim, "metadata.labels"), true);
        describe_map_line(d, "Annotations", kc_json_at(claim, "metadata.annotations"), false);
        kc_line(d, 2, "Capacity:\t%s\n", "");
        kc_line(d, 2, "Access Modes:\t%s\n", "");
        if (mode[0])
                kc_line(d, 2, "VolumeMode:\t%s\n", mode);
        const struct json_object *from = kc_json_at(claim, "spec.dataSource");
        if (from) {
                kc_line(d, 2, "DataSource:\n");
                if (kc_text(from, "apiGroup")[0])
                        kc_line(d, 3, "APIGroup:\t%s\n", kc_text(from, "apiGroup"));
                kc_line(d, 3, "Kind:\t%s\n", kc_text(from, "kind"));
                kc_line(d, 3, "Name:\t%s\n", kc_text(from, "name"));
        }
}

void kc_describe_volume_source(struct kc_describing *d, const struct json_object *volume, bool persistent)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(sources); i++) {
                const struct json_object *s = kc_json_get(volume, sources[i].key);
                if (s) {
                        describe_row(d, &sources[i], s, persistent);
                        return;
                }
        }
        if (kc_json_get(volume, "csi"))
                describe_csi(d, kc_json_get(volume, "csi"), persistent);
        else if (kc_json_get(volume, "downwardAPI"))
                describe_downward(d, kc_json_get(volume, "downwardAPI"));
        else if (kc_json_get(volume, "projected"))
                describe_projected(d, kc_json_get(volume, "projected"));
        else if (kc_json_get(volume, "ephemeral"))
                describe_ephemeral(d, kc_json_get(volume, "ephemeral"));
        else
                kc_line(d, persistent ? 1 : 2, "<unknown>\n");
}

void kc_describe_volumes(struct kc_describing *d, const struct json_object *volumes, const char *indent)
{
        kc_line(d, 0, "%sVolumes:%s\n", indent, kc_json_len(volumes) ? "" : "\t<none>");
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *v = kc_json_idx(volumes, i);
                kc_line(d, 1, "%s%s:\n", indent[0] ? " " : "", kc_text(v, "name"));
                kc_describe_volume_source(d, v, false);
        }
}

/* Volume sources that pods and PersistentVolumes share: those of storage systems. Any thread. */
#include <ctype.h>
#include <string.h>

#include "api/validation_internal.h"
#include "api/validation_volumes.h"
#include "base/mem.h"
#include "base/str.h"

/* One source. */
struct source {
        struct kc_v *v;
        const struct kc_vpath *p;
        const struct json_object *o;
        const char *volume; /* the PersistentVolume's name; NULL: in a pod */
};

static void required(const struct source *s, const char *key, const char *detail)
{
        if (!*kc_v_str(s->o, key) && kc_json_len(kc_json_get(s->o, key)) == 0)
                kc_v_required(s->v, V_CHILD(s->p, key), detail);
}

static void secret_ref(const struct source *s, bool namespace)
{
        const struct json_object *ref = kc_json_get(s->o, "secretRef");
        if (ref && !*kc_v_str(ref, "name"))
                kc_v_required(s->v, V_CHILD2(s->p, "secretRef", "name"), "");
        if (ref && namespace && !*kc_v_str(ref, "namespace"))
                kc_v_required(s->v, V_CHILD2(s->p, "secretRef", "namespace"), "");
}

static void in_255(const struct source *s, const char *key, const char *detail)
{
        int64_t n = kc_json_int(s->o, key, 0);
        if (n < 0 || n > 255)
                kc_v_invalid_int(s->v, V_CHILD(s->p, key), n, detail);
}

static void partition(const struct source *s)
{
        in_255(s, "partition", "must be between 1 and 255, inclusive");
}

/* --- iSCSI names: iqn.<yyyy>-<mm>.<domain>[:...], eui.<16 hex digits>, naa.<32 hex digits> */

static bool is_hex(const char *s, size_t n)
{
        return strlen(s) == n && strspn(s, "0123456789abcdefABCDEF") == n;
}

static bool digits(const char *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!isdigit((unsigned char)s[i]))
                        return false;
        return true;
}

static bool is_iqn(const char *s)
{
        const char *domain;
        if (!kc_str_has_prefix(s, "iqn.") || !digits(s + 4, 4) || s[8] != '-' || !digits(s + 9, 2) || s[11] != '.')
                return false;
        domain = s + 12;
        size_t n = strcspn(domain, ":");
        if (domain[n] == ':' && !domain[n + 1])
                return false;
        /* [[:alnum:]-.]+ and, after a colon, anything but spaces. */
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char)domain[i]) && domain[i] != '-' && domain[i] != '.')
                        return false;
        return n > 0 && isalpha((unsigned char)domain[0]) && !strpbrk(domain + n, ", \t\n");
}

static bool is_iscsi_name(const char *s)
{
        if (kc_str_has_prefix(s, "iqn"))
                return is_iqn(s);
        if (kc_str_has_prefix(s, "eui"))
                return s[3] == '.' && is_hex(s + 4, 16);
        return s[3] == '.' && is_hex(s + 4, 32);
}

static void iscsi_name(const struct source *s, const char *shown, const char *name)
{
        bool known = kc_str_has_prefix(name, "iqn") || kc_str_has_prefix(name, "eui") || kc_str_has_prefix(name, "naa");
        const char *why =
            known || s->volume ? "must be valid format" : "must be valid format starting with iqn, eui, or naa";
        if (!known || !is_iscsi_name(name))
                kc_v_invalid_str(s->v, V_CHILD(s->p, shown), name, why);
}

static void iscsi(const struct source *s)
{
        enum { MAX_NAME = 64 };
        const char *portal = kc_v_str(s->o, "targetPortal"), *initiator = kc_json_str(s->o, "initiatorName");
        bool chap = kc_json_bool(s->o, "chapAuthDiscovery", false) || kc_json_bool(s->o, "chapAuthSession", false);
        required(s, "targetPortal", "");
        if (s->volume && initiator && strlen(s->volume) + 1 + strlen(portal) > MAX_NAME)
                kc_v_invalid_str(s->v, V_CHILD(s->p, "targetportal"), portal,
                    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if "
                    "iscsi.initiatorName is specified.");
        if (*kc_v_str(s->o, "iqn"))
                iscsi_name(s, "iqn", kc_v_str(s->o, "iqn"));
        else
                required(s, "iqn", "");
        in_255(s, "lun", "must be between 0 and 255, inclusive");
        if (chap && !kc_json_get(s->o, "secretRef"))
                kc_v_required(s->v, V_CHILD(s->p, "secretRef"), "");
        if (s->volume)
                secret_ref(s, false);
        if (initiator)
                iscsi_name(s, "initiatorname", initiator);
}

static void fc(const struct source *s)
{
        const struct json_object *wwns = kc_json_get(s->o, "targetWWNs"), *wwids = kc_json_get(s->o, "wwids");
        const struct kc_vpath *p = V_CHILD(s->p, "targetWWNs");
        if (kc_json_len(wwns) == 0 && kc_json_len(wwids) == 0)
                kc_v_required(s->v, p, "must specify either targetWWNs or wwids, but not both");
        if (kc_json_len(wwns) > 0 && kc_json_len(wwids) > 0)
                kc_v_invalid(s->v, p, wwns, "targetWWNs and wwids can not be specified simultaneously");
        if (kc_json_len(wwns) > 0 && !kc_json_get(s->o, "lun"))
                kc_v_required(s->v, V_CHILD(s->p, "lun"), "lun is required if targetWWNs is specified");
        else if (kc_json_len(wwns) > 0)
                in_255(s, "lun", "must be between 0 and 255, inclusive");
}

/* net.SplitHostPort */
static bool is_host_port(const char *s, size_t n)
{
        const char *colon = memrchr(s, ':', n);
        if (!colon)
                return false;
        size_t host = (size_t)(colon - s);
        if (host > 0 && s[0] == '[')
                return s[host - 1] == ']';
        return !memchr(s, ':', host) && !memchr(s, '[', n) && !memchr(s, ']', n);
}

static void quobyte(const struct source *s)
{
        static const char pairs[] = "must be a host:port pair or multiple pairs separated by commas";
        const char *registry = kc_v_str(s->o, "registry");
        if (!*registry) {
                kc_v_required(s->v, V_CHILD(s->p, "registry"), pairs);
        } else if (strlen(kc_v_str(s->o, "tenant")) >= 65) {
                kc_v_required(
                    s->v, V_CHILD(s->p, "tenant"), "must be a UUID and may not exceed a length of 64 characters");
        } else {
                for (const char *at = registry;; at++) {
                        size_t n = strcspn(at, ",");
                        if (!is_host_port(at, n))
                                kc_v_invalid_str(s->v, V_CHILD(s->p, "registry"), registry, pairs);
                        at += n;
                        if (!*at)
                                break;
                }
        }
        required(s, "volume", "");
}

static void glusterfs(const struct source *s)
{
        const char *ns = kc_json_str(s->o, "endpointsNamespace");
        required(s, "endpoints", "");
        required(s, "path", "");
        if (s->volume && ns && !*ns)
                kc_v_invalid_str(s->v, V_CHILD(s->p, "endpointsNamespace"), ns,
                    "if the endpointnamespace is set, it must be a valid namespace name");
        else if (s->volume && ns)
                kc_v_name(s->v, V_CHILD(s->p, "endpointsNamespace"), ns, kc_name_dns1123_label);
}

static void flocker(const struct source *s)
{
        const char *name = kc_v_str(s->o, "datasetName"), *uuid = kc_v_str(s->o, "datasetUUID");
        if (!*name && !*uuid)
                kc_v_required(s->v, s->p, "one of datasetName and datasetUUID is required");
        if (*name && *uuid)
                kc_v_invalid_str(
                    s->v, s->p, "resource", "datasetName and datasetUUID can not be specified simultaneously");
        if (strchr(name, '/'))
                kc_v_invalid_str(s->v, V_CHILD(s->p, "datasetName"), name, "must not contain '/'");
}

static void cinder(const struct source *s)
{
        required(s, "volumeID", "");
        secret_ref(s, s->volume != NULL);
}

static void flex(const struct source *s)
{
        required(s, "driver", "");
        KC_JSON_FOREACH(kc_json_get(s->o, "options"), key, value)
        {
                KC_CLEANUP(kc_freep) char *ns = kc_asprintf(".%.*s", (int)strcspn(key, "/"), key);
                for (char *c = ns; *c; c++)
                        *c = (char)tolower((unsigned char)*c);
                if (kc_str_has_suffix(ns, ".kubernetes.io") || kc_str_has_suffix(ns, ".k8s.io"))
                        kc_v_invalid_str(s->v, V_KEY(V_CHILD(s->p, "options"), key), key,
                            "kubernetes.io and k8s.io namespaces are reserved");
        }
}

static void azure_file(const struct source *s)
{
        const char *ns = kc_json_str(s->o, "secretNamespace");
        required(s, "secretName", "");
        required(s, "shareName", "");
        if (s->volume && ns && !*ns)
                kc_v_required(s->v, V_CHILD(s->p, "secretNamespace"), "");
}

static void azure_disk(const struct source *s)
{
        static const char *const caching[] = {"None", "ReadOnly", "ReadWrite", NULL};
        static const char *const kinds[] = {"Dedicated", "Managed", "Shared", NULL};
        static const char *const managed[] = {"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/"
                                              "microsoft.compute/disks/{disk-id}",
            NULL};
        static const char *const blob[] = {
            "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd", NULL};
        const char *mode = kc_json_str(s->o, "cachingMode"), *kind = kc_json_str(s->o, "kind");
        const char *uri = kc_v_str(s->o, "diskURI");
        required(s, "diskName", "");
        required(s, "diskURI", "");
        if (mode && !kc_v_in(mode, caching))
                kc_v_not_supported(s->v, V_CHILD(s->p, "cachingMode"), mode, caching);
        if (kind && !kc_v_in(kind, kinds))
                kc_v_not_supported(s->v, V_CHILD(s->p, "kind"), kind, kinds);
        if (kc_streq(kind, "Managed") && !kc_str_has_prefix(uri, "/subscriptions/"))
                kc_v_not_supported(s->v, V_CHILD(s->p, "diskURI"), uri, managed);
        if (kind && !kc_streq(kind, "Managed") && !kc_str_has_prefix(uri, "https://"))
                kc_v_not_supported(s->v, V_CHILD(s->p, "diskURI"), uri, blob);
}

static void storage_os(const struct source *s)
{
        const char *name = kc_v_str(s->o, "volumeName"), *ns = kc_v_str(s->o, "volumeNamespace");
        required(s, "volumeName", "");
        if (*name)
                kc_v_name(s->v, V_CHILD(s->p, "volumeName"), name, kc_name_dns1123_label);
        if (*ns)
                kc_v_name(s->v, V_CHILD(s->p, "volumeNamespace"), ns, kc_name_dns1123_label);
        secret_ref(s, s->volume != NULL);
}

static void nfs(const struct source *s)
{
        required(s, "server", "");
        required(s, "path", "");
        if (*kc_v_str(s->o, "path") != '/')
                kc_v_invalid_str(s->v, V_CHILD(s->p, "path"), kc_v_str(s->o, "path"), "must be an absolute path");
}

static void host_path(const struct source *s)
{
        static const char *const types[] = {
            "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", NULL};
        const char *path = kc_v_str(s->o, "path"), *type = kc_v_str(s->o, "type");
        if (!*path) {
                required(s, "path", "");
                return;
        }
        kc_v_path_no_backsteps(s->v, V_CHILD(s->p, "path"), path);
        if (!kc_v_in(type, types))
                kc_v_not_supported(s->v, V_CHILD(s->p, "type"), type, types);
}

static void local(const struct source *s)
{
        required(s, "path", "");
        kc_v_path_no_backsteps(s->v, V_CHILD(s->p, "path"), kc_v_str(s->o, "path"));
}

static void persistent_csi(const struct source *s)
{
        static const char *const refs[] = {
            "controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"};
        kc_v_csi_driver_name(s->v, V_CHILD(s->p, "driver"), kc_v_str(s->o, "driver"));
        required(s, "volumeHandle", "");
        for (size_t i = 0; i < KC_ARRAY_LEN(refs); i++) {
                const struct json_object *ref = kc_json_get(s->o, refs[i]);
                const char *name = kc_v_str(ref, "name"), *ns = kc_v_str(ref, "namespace");
                const struct kc_vpath *p = V_CHILD(s->p, refs[i]);
                if (!ref)
                        continue;
                if (*name)
                        kc_v_name(s->v, V_CHILD(p, "name"), name, kc_name_dns1123_subdomain);
                else
                        kc_v_required(s->v, V_CHILD(p, "name"), "");
                if (*ns)
                        kc_v_name(s->v, V_CHILD(p, "namespace"), ns, kc_name_dns1123_label);
                else
                        kc_v_required(s->v, V_CHILD(p, "namespace"), "");
        }
}

static const struct plugin {
        const char *name;
        void (*check)(const struct source *s); /* after what is required */
        const char *required[3];
} plugins[] = {
    {"hostPath", host_path, {0}},
    {"gcePersistentDisk", partition, {"pdName"}},
    {"awsElasticBlockStore", partition, {"volumeID"}},
    {"glusterfs", glusterfs, {0}},
    {"flocker", flocker, {0}},
    {"nfs", nfs, {0}},
    {"rbd", NULL, {"monitors", "image"}},
    {"quobyte", quobyte, {0}},
    {"cephfs", NULL, {"monitors"}},
    {"iscsi", iscsi, {0}},
    {"cinder", cinder, {0}},
    {"fc", fc, {0}},
    {"flexVolume", flex, {0}},
    {"azureFile", azure_file, {0}},
    {"vsphereVolume", NULL, {"volumePath"}},
    {"photonPersistentDisk", NULL, {"pdID"}},
    {"portworxVolume", NULL, {"volumeID"}},
    {"azureDisk", azure_disk, {0}},
    {"scaleIO", NULL, {"gateway", "system", "volumeName"}},
    {"local", local, {0}},
    {"storageos", storage_os, {0}},
    {"csi", persistent_csi, {0}},
};

static void check(struct source s, const struct plugin *plugin)
{
        /* Upstream's name of it. */
        if (kc_streq(plugin->name, "gcePersistentDisk"))
                s.p = V_CHILD(s.p->up, "persistentDisk");
        for (size_t i = 0; i < KC_ARRAY_LEN(plugin->required) && plugin->required[i]; i++)
                required(&s, plugin->required[i], "");
        if (plugin->check)
                plugin->check(&s);
}

void kc_v_volume_plugin(struct kc_v *v, const struct kc_vpath *p, const char *name, const struct json_object *o)
{
        const struct source s = {.v = v, .p = p, .o = o};
        for (size_t i = 0; i < KC_ARRAY_LEN(plugins); i++)
                if (kc_streq(plugins[i].name, name))
                        check(s, &plugins[i]);
}

void kc_v_persistent_volume_source(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *spec, const char *volume)
{
        size_t n = 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(plugins); i++) {
                const char *name = plugins[i].name;
                const struct source s = {.v = v, .p = V_CHILD(p, name), .o = kc_json_get(spec, name), .volume = volume};
                if (!s.o)
                        continue;
                if (n++ > 0)
                        kc_v_forbidden(v, s.p, "may not specify more than 1 volume type");
                else
                        check(s, &plugins[i]);
                if (n == 1 && kc_streq(name, "local") && !kc_json_get(spec, "nodeAffinity"))
                        kc_v_required(v, V_CHILD(p, "nodeAffinity"), "Local volume requires node affinity");
        }
        if (n == 0)
                kc_v_required(v, p, "must specify a volume type");
}

bool kc_v_same_persistent_volume_source(const struct json_object *a, const struct json_object *b)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(plugins); i++)
                if (!kc_v_equal(kc_json_get(a, plugins[i].name), kc_json_get(b, plugins[i].name)))
                        return false;
        return true;
}

void kc_v_csi_driver_name(struct kc_v *v, const struct kc_vpath *p, const char *name)
{
        enum { MAX_NAME = 63 };
        struct kc_why why = {0};
        KC_CLEANUP(kc_freep) char *lower = kc_strdup(name);
        for (char *c = lower; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        if (!*name)
                kc_v_required(v, p, "");
        if (strlen(name) > MAX_NAME)
                kc_v_too_long(v, p, MAX_NAME);
        kc_name_dns1123_subdomain(lower, &why);
        for (size_t i = 0; i < why.n; i++)
                kc_v_invalid_str(v, p, name, why.v[i]);
}

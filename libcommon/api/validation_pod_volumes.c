/* Volumes of pods, and paths within them. Any thread. */
#include <string.h>

#include "api/validation_volumes.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

void kc_v_path_no_backsteps(struct kc_v *v, const struct kc_vpath *p, const char *path)
{
        for (const char *s = path;;) {
                size_t n = strcspn(s, "/");
                if (n == 2 && s[0] == '.' && s[1] == '.') {
                        kc_v_invalid_str(v, p, path, "must not contain '..'");
                        return;
                }
                if (!s[n])
                        return;
                s += n + 1;
        }
}

void kc_v_path_relative(struct kc_v *v, const struct kc_vpath *p, const char *path)
{
        if (*path == '/')
                kc_v_invalid_str(v, p, path, "must be a relative path");
        kc_v_path_no_backsteps(v, p, path);
}

void kc_v_path_not_reserved(struct kc_v *v, const struct kc_vpath *p, const char *path)
{
        kc_v_path_relative(v, p, path);
        if (kc_str_has_prefix(path, "..") && !kc_str_has_prefix(path, "../"))
                kc_v_invalid_str(v, p, path, "must not start with '..'");
}

static void file_mode(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const char *key)
{
        int64_t mode = kc_json_int(o, key, 0);
        if (mode < 0 || mode > 0777)
                kc_v_invalid_int(
                    v, V_CHILD(p, key), mode, "must be a number between 0 and 0777 (octal), both inclusive");
}

static void required_str(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const char *key)
{
        if (!*kc_v_str(o, key))
                kc_v_required(v, V_CHILD(p, key), "");
}

static void empty_dir(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        struct kc_quantity q;
        if (kc_v_read_quantity(kc_json_get(s, "sizeLimit"), &q) && q.nano < 0)
                kc_v_forbidden(v, V_CHILD(p, "sizeLimit"), "SizeLimit field must be a valid resource quantity");
}

static void key_to_path(struct kc_v *v, const struct kc_vpath *p, const struct json_object *item)
{
        required_str(v, p, item, "key");
        required_str(v, p, item, "path");
        kc_v_path_not_reserved(v, V_CHILD(p, "path"), kc_v_str(item, "path"));
        file_mode(v, p, item, "mode");
}

static void keyed_source(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s, const char *name_key)
{
        required_str(v, p, s, name_key);
        file_mode(v, p, s, "defaultMode");
        const struct json_object *items = kc_json_get(s, "items");
        for (size_t i = 0; i < kc_json_len(items); i++)
                key_to_path(v, V_INDEX(V_CHILD(p, "items"), i), kc_json_idx(items, i));
}

static void secret_volume(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        keyed_source(v, p, s, "secretName");
}

static void config_map_volume(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        keyed_source(v, p, s, "name");
}

static void downward_file(struct kc_v *v, const struct kc_vpath *p, const struct json_object *file)
{
        const struct json_object *field = kc_json_get(file, "fieldRef"), *res = kc_json_get(file, "resourceFieldRef");
        required_str(v, p, file, "path");
        kc_v_path_not_reserved(v, V_CHILD(p, "path"), kc_v_str(file, "path"));
        if (field) {
                kc_v_object_field(v, V_CHILD(p, "fieldRef"), field, true);
                if (res)
                        kc_v_invalid_str(
                            v, p, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
        } else if (res) {
                kc_v_resource_field(v, V_CHILD(p, "resourceFieldRef"), res, true);
        } else {
                kc_v_required(v, p, "one of fieldRef and resourceFieldRef is required");
        }
        file_mode(v, p, file, "mode");
}

static void downward_volume(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        file_mode(v, p, s, "defaultMode");
        const struct json_object *items = kc_json_get(s, "items");
        for (size_t i = 0; i < kc_json_len(items); i++)
                downward_file(v, p, kc_json_idx(items, i));
}

static void csi_volume(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        const struct json_object *secret = kc_json_get(s, "nodePublishSecretRef");
        kc_v_csi_driver_name(v, V_CHILD(p, "driver"), kc_v_str(s, "driver"));
        if (secret && !*kc_v_str(secret, "name"))
                kc_v_required(v, V_CHILD2(p, "nodePublishSecretRef", "name"), "");
        else if (secret)
                kc_v_name(v, V_CHILD(p, "name"), kc_v_str(secret, "name"), kc_name_dns1123_subdomain);
}

static void git_repo(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        required_str(v, p, s, "repository");
        kc_v_path_relative(v, V_CHILD(p, "directory"), kc_v_str(s, "directory"));
}

static void claim_volume(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        required_str(v, p, s, "claimName");
}

static void ephemeral_volume(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        const struct json_object *template = kc_json_get(s, "volumeClaimTemplate");
        if (template)
                kc_v_claim_template(v, V_CHILD(p, "volumeClaimTemplate"), template);
        else
                kc_v_required(v, V_CHILD(p, "volumeClaimTemplate"), "");
}

static void image_volume(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        if (v->is_pod)
                required_str(v, p, s, "reference");
        kc_v_pull_policy(v, V_CHILD(p, "pullPolicy"), kc_v_str(s, "pullPolicy"));
}

/* --- Projected volumes */

static void unique_path(
    struct kc_v *v, const struct kc_vpath *p, struct kc_map *seen, const char *path, const char *bad_value)
{
        if (*path && !kc_map_set(seen, path, seen))
                kc_v_invalid_str(v, p, bad_value, "conflicting duplicate paths");
}

static void projected_keys(struct kc_v *v, const struct kc_vpath *volume, const struct kc_vpath *p,
    const struct json_object *source, struct kc_map *seen)
{
        const struct json_object *items = kc_json_get(source, "items");
        required_str(v, p, source, "name");
        for (size_t i = 0; i < kc_json_len(items); i++) {
                const struct json_object *item = kc_json_idx(items, i);
                key_to_path(v, V_INDEX(V_CHILD(p, "items"), i), item);
                unique_path(v, volume, seen, kc_v_str(item, "path"), kc_v_str(source, "name"));
        }
}

static void projected_token(
    struct kc_v *v, const struct kc_vpath *volume, const struct kc_vpath *p, const struct json_object *source)
{
        int64_t seconds = kc_json_int(source, "expirationSeconds", 0);
        if (seconds < 600)
                kc_v_invalid_int(
                    v, V_CHILD(p, "expirationSeconds"), seconds, "may not specify a duration less than 10 minutes");
        if (seconds > (int64_t)1 << 32)
                kc_v_invalid_int(
                    v, V_CHILD(p, "expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds");
        if (!*kc_v_str(source, "path"))
                kc_v_required(v, V_CHILD(volume, "path"), "");
        else
                kc_v_path_not_reserved(v, V_CHILD(volume, "path"), kc_v_str(source, "path"));
}

static void projected_trust_bundle(struct kc_v *v, const struct kc_vpath *volume, const struct kc_vpath *p,
    const struct json_object *source, struct kc_map *seen)
{
        const char *name = kc_json_str(source, "name"), *signer = kc_json_str(source, "signerName");
        if (name && signer)
                kc_v_invalid(v, p, source, "only one of name and signerName may be used");
        else if (name && !*name)
                kc_v_required(v, V_CHILD(p, "name"), "must be a valid object name");
        else if (name && kc_json_get(source, "labelSelector"))
                kc_v_invalid(v, V_CHILD(p, "labelSelector"), kc_json_get(source, "labelSelector"),
                    "labelSelector must be unset if name is specified");
        else if (signer && !*signer)
                kc_v_required(v, V_CHILD(p, "signerName"), "must be a valid signer name");
        else if (!name && !signer)
                kc_v_required(v, p, "either name or signerName must be specified");
        if (signer)
                kc_v_label_selector(v, V_CHILD(p, "labelSelector"), kc_json_get(source, "labelSelector"));
        required_str(v, p, source, "path");
        kc_v_path_not_reserved(v, V_CHILD(p, "path"), kc_v_str(source, "path"));
        unique_path(v, volume, seen, kc_v_str(source, "path"), kc_v_str(source, "path"));
}

static void projected_source(struct kc_v *v, const struct kc_vpath *volume, const struct kc_vpath *p,
    const struct json_object *s, struct kc_map *seen)
{
        const struct json_object *secret = kc_json_get(s, "secret"), *config_map = kc_json_get(s, "configMap");
        const struct json_object *downward = kc_json_get(s, "downwardAPI"),
                                 *bundle = kc_json_get(s, "clusterTrustBundle");
        const struct json_object *token = kc_json_get(s, "serviceAccountToken");
        if (secret)
                projected_keys(v, volume, V_CHILD(p, "secret"), secret, seen);
        if (config_map)
                projected_keys(v, volume, V_CHILD(p, "configMap"), config_map, seen);
        const struct json_object *items = kc_json_get(downward, "items");
        for (size_t i = 0; i < kc_json_len(items); i++) {
                const char *path = kc_v_str(kc_json_idx(items, i), "path");
                downward_file(v, V_CHILD(p, "downwardAPI"), kc_json_idx(items, i));
                unique_path(v, volume, seen, path, path);
        }
        if (token)
                projected_token(v, volume, V_CHILD(p, "serviceAccountToken"), token);
        if (bundle)
                projected_trust_bundle(v, volume, V_CHILD(p, "clusterTrustBundle"), bundle, seen);
        if (!!secret + !!config_map + !!downward + !!token + !!bundle > 1)
                kc_v_forbidden(v, p, "may not specify more than 1 volume type per source");
}

static void projected_volume(struct kc_v *v, const struct kc_vpath *p, const struct json_object *s)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        const struct json_object *sources = kc_json_get(s, "sources");
        file_mode(v, p, s, "defaultMode");
        for (size_t i = 0; i < kc_json_len(sources); i++)
                projected_source(v, p, V_INDEX(V_CHILD(p, "sources"), i), kc_json_idx(sources, i), seen);
}

/* In the order of upstream's checks. NULL: as in PersistentVolumes. */
static const struct {
        const char *name;
        void (*check)(struct kc_v *v, const struct kc_vpath *p, const struct json_object *source);
} sources[] = {
    {"emptyDir", empty_dir},
    {"hostPath", NULL},
    {"gitRepo", git_repo},
    {"gcePersistentDisk", NULL},
    {"awsElasticBlockStore", NULL},
    {"secret", secret_volume},
    {"nfs", NULL},
    {"iscsi", NULL},
    {"glusterfs", NULL},
    {"flocker", NULL},
    {"persistentVolumeClaim", claim_volume},
    {"rbd", NULL},
    {"cinder", NULL},
    {"cephfs", NULL},
    {"quobyte", NULL},
    {"downwardAPI", downward_volume},
    {"fc", NULL},
    {"flexVolume", NULL},
    {"configMap", config_map_volume},
    {"azureFile", NULL},
    {"vsphereVolume", NULL},
    {"photonPersistentDisk", NULL},
    {"portworxVolume", NULL},
    {"azureDisk", NULL},
    {"storageos", NULL},
    {"projected", projected_volume},
    {"scaleIO", NULL},
    {"csi", csi_volume},
    {"ephemeral", ephemeral_volume},
    {"image", image_volume},
};

static void check_source(struct kc_v *v, const struct kc_vpath *p, const struct json_object *source, size_t i)
{
        if (sources[i].check)
                sources[i].check(v, p, source);
        else
                kc_v_volume_plugin(v, p, sources[i].name, source);
}

static void volume_source(struct kc_v *v, const struct kc_vpath *p, const struct json_object *volume)
{
        bool found = false;
        for (size_t i = 0; i < KC_ARRAY_LEN(sources); i++) {
                const struct json_object *source = kc_json_get(volume, sources[i].name);
                if (!source)
                        continue;
                if (found)
                        kc_v_forbidden(v, V_CHILD(p, sources[i].name), "may not specify more than 1 volume type");
                else
                        check_source(v, V_CHILD(p, sources[i].name), source, i);
                found = true;
        }
        if (!found)
                kc_v_required(v, p, "must specify a volume type");
}

/* The name of the claim that is made for an ephemeral volume. */
static void ephemeral_claim_name(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *volume, const char *pod_name)
{
        const char *name = kc_v_str(volume, "name");
        if (!kc_json_get(volume, "ephemeral") || !*pod_name || !*name)
                return;
        KC_CLEANUP(kc_freep) char *claim = kc_asprintf("%s-%s", pod_name, name);
        struct kc_why why = {0};
        kc_name_dns1123_subdomain(claim, &why);
        for (size_t i = 0; i < why.n; i++) {
                KC_CLEANUP(kc_freep) char *detail = kc_asprintf("PVC name \"%s\": %s", claim, why.v[i]);
                kc_v_invalid_str(v, V_CHILD(p, "name"), name, detail);
        }
}

void kc_v_volumes(struct kc_v *v, const struct kc_vpath *p, const struct json_object *volumes)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *claims = kc_map_new(NULL);
        const char *pod_name = kc_v_str(kc_json_get(v->pod, "metadata"), "name");
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *volume = kc_json_idx(volumes, i);
                if (!*pod_name || !kc_json_get(volume, "ephemeral"))
                        continue;
                KC_CLEANUP(kc_freep) char *claim = kc_asprintf("%s-%s", pod_name, kc_v_str(volume, "name"));
                (void)kc_map_set(claims, claim, claims); /* a repeated name is found below */
        }
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *volume = kc_json_idx(volumes, i);
                const struct kc_vpath *at = V_INDEX(p, i);
                const char *name = kc_v_str(volume, "name");
                size_t before = v->errors->n;
                volume_source(v, at, volume);
                ephemeral_claim_name(v, at, volume, pod_name);
                if (!*name)
                        kc_v_required(v, V_CHILD(at, "name"), "");
                else
                        kc_v_name(v, V_CHILD(at, "name"), name, kc_name_dns1123_label);
                if (kc_map_has(v->volumes, name))
                        kc_v_duplicate(v, V_CHILD(at, "name"), name);
                if (v->errors->n == before)
                        (void)kc_map_set(v->volumes, name, (void *)volume); /* new, as we know */
                const char *claim = kc_json_str_at(volume, "persistentVolumeClaim.claimName");
                if (claim && kc_map_has(claims, claim))
                        kc_v_invalid_str(v, V_CHILD2(at, "persistentVolumeClaim", "claimName"), claim,
                            "must not reference a PVC that gets created for an ephemeral volume");
        }
}

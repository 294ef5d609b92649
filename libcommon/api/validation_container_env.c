/* Environment, mounts and devices of containers, and references to fields of the pod. Any thread. */
#include <string.h>

#include "api/validation_internal.h"
#include "base/mem.h"
#include "base/str.h"

static const char *const env_fields[] = {"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
    "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs", NULL};
static const char *const volume_fields[] = {
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid", NULL};
/* What the downward API knows at all. */
static const char *const known_fields[] = {"metadata.annotations", "metadata.labels", "metadata.name",
    "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName",
    "spec.schedulerName", "status.phase", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
    "spec.host", NULL};

/* metadata.labels['x'] and metadata.annotations['x']. */
static void subscripted_field(
    struct kc_v *v, const struct kc_vpath *p, const char *path, const char *base, const char *subscript)
{
        if (kc_streq(base, "metadata.annotations")) {
                KC_CLEANUP(kc_freep) char *lower = kc_strdup(subscript);
                for (char *c = lower; *c; c++)
                        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
                kc_v_name(v, p, lower, kc_name_label_key);
        } else if (kc_streq(base, "metadata.labels")) {
                kc_v_name(v, p, subscript, kc_name_label_key);
        } else {
                KC_CLEANUP(kc_freep)
                char *detail =
                    kc_asprintf("error converting fieldPath: field label does not support subscript: %s", path);
                kc_v_invalid_str(v, V_CHILD(p, "fieldPath"), path, detail);
        }
}

void kc_v_object_field(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ref, bool for_volume)
{
        const char *version = kc_v_str(ref, "apiVersion"), *path = kc_v_str(ref, "fieldPath");
        if (!*version) {
                kc_v_required(v, V_CHILD(p, "apiVersion"), "");
                return;
        }
        if (!*path) {
                kc_v_required(v, V_CHILD(p, "fieldPath"), "");
                return;
        }
        if (!kc_streq(version, "v1")) {
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf("error converting fieldPath: unsupported pod version: %s", version);
                kc_v_invalid_str(v, V_CHILD(p, "fieldPath"), path, detail);
                return;
        }
        const char *open = strstr(path, "['");
        if (open && kc_str_has_suffix(path, "']")) {
                KC_CLEANUP(kc_freep) char *base = kc_strndup(path, (size_t)(open - path));
                KC_CLEANUP(kc_freep) char *subscript = kc_strndup(open + 2, strlen(open + 2) - 2);
                subscripted_field(v, p, path, base, subscript);
                return;
        }
        if (!kc_v_in(path, known_fields)) {
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf("error converting fieldPath: field label not supported: %s", path);
                kc_v_invalid_str(v, V_CHILD(p, "fieldPath"), path, detail);
        } else if (!kc_v_in(path, for_volume ? volume_fields : env_fields)) {
                kc_v_not_supported(v, V_CHILD(p, "fieldPath"), path, for_volume ? volume_fields : env_fields);
        }
}

static void divisor(struct kc_v *v, const struct kc_vpath *p, const char *resource, const struct json_object *value)
{
        static const char *const cpu[] = {"1m", "1", NULL};
        static const char *const bytes[] = {
            "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL};
        struct kc_quantity q;
        char buf[KC_QUANTITY_LEN];
        if (!kc_v_read_quantity(value, &q) || q.nano == 0)
                return;
        const char *text = kc_quantity_format(&q, buf), *what = NULL;
        if (kc_str_has_suffix(resource, ".cpu")) {
                if (!kc_v_in(text, cpu))
                        kc_v_invalid_str(v, V_CHILD(p, "divisor"), resource,
                            "only divisor's values 1m and 1 are supported with the cpu resource");
                return;
        }
        if (kc_str_has_suffix(resource, ".memory"))
                what = "memory";
        else if (kc_str_has_suffix(resource, ".ephemeral-storage"))
                what = "local ephemeral storage";
        else if (strstr(resource, ".hugepages-"))
                what = "hugepages";
        if (!what || kc_v_in(text, bytes))
                return;
        KC_CLEANUP(kc_freep)
        char *detail = kc_asprintf("only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, "
                                   "1Gi, 1Ti, 1Pi, 1Ei are supported with the %s resource",
            what);
        kc_v_invalid_str(v, V_CHILD(p, "divisor"), resource, detail);
}

void kc_v_resource_field(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ref, bool for_volume)
{
        static const char *const known[] = {"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
            "requests.ephemeral-storage", "requests.memory", NULL};
        const char *resource = kc_v_str(ref, "resource");
        if (for_volume && !*kc_v_str(ref, "containerName"))
                kc_v_required(v, V_CHILD(p, "containerName"), "");
        else if (!*resource)
                kc_v_required(v, V_CHILD(p, "resource"), "");
        else if (!kc_v_in(resource, known) && !kc_str_has_prefix(resource, "requests.hugepages-") &&
                 !kc_str_has_prefix(resource, "limits.hugepages-"))
                kc_v_not_supported(v, V_CHILD(p, "resource"), resource, known);
        divisor(v, p, resource, kc_json_get(ref, "divisor"));
}

static void key_ref(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ref)
{
        kc_v_name(v, V_CHILD(p, "name"), kc_v_str(ref, "name"), kc_name_dns1123_subdomain);
        if (!*kc_v_str(ref, "key"))
                kc_v_required(v, V_CHILD(p, "key"), "");
        else
                kc_v_name(v, V_CHILD(p, "key"), kc_v_str(ref, "key"), kc_name_config_map_key);
}

static void file_key_ref(struct kc_v *v, const struct kc_vpath *p, const struct json_object *ref)
{
        static const char *const keys[] = {"volumeName", "path", "key"};
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++) {
                if (!*kc_v_str(ref, keys[i]))
                        kc_v_required(v, V_CHILD(p, keys[i]), "");
        }
        if (*kc_v_str(ref, "path"))
                kc_v_path_not_reserved(v, V_CHILD(p, "path"), kc_v_str(ref, "path"));
}

static void value_from(struct kc_v *v, const struct kc_vpath *p, const struct json_object *env)
{
        const struct json_object *from = kc_json_get(env, "valueFrom");
        if (!from)
                return;
        const struct json_object *field = kc_json_get(from, "fieldRef"), *res = kc_json_get(from, "resourceFieldRef");
        const struct json_object *map = kc_json_get(from, "configMapKeyRef"),
                                 *secret = kc_json_get(from, "secretKeyRef");
        const struct json_object *file = kc_json_get(from, "fileKeyRef");
        if (field)
                kc_v_object_field(v, V_CHILD(p, "fieldRef"), field, false);
        if (res)
                kc_v_resource_field(v, V_CHILD(p, "resourceFieldRef"), res, false);
        if (map)
                key_ref(v, V_CHILD(p, "configMapKeyRef"), map);
        if (secret)
                key_ref(v, V_CHILD(p, "secretKeyRef"), secret);
        if (file)
                file_key_ref(v, V_CHILD(p, "fileKeyRef"), file);
        int n = !!field + !!res + !!map + !!secret + !!file;
        if (n == 0)
                kc_v_invalid_str(v, p, "",
                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
        else if (*kc_v_str(env, "value"))
                kc_v_invalid_str(v, p, "", "may not be specified when `value` is not empty");
        else if (n > 1)
                kc_v_invalid_str(v, p, "", "may not have more than one field specified at a time");
}

void kc_v_env(struct kc_v *v, const struct kc_vpath *p, const struct json_object *env)
{
        for (size_t i = 0; i < kc_json_len(env); i++) {
                const struct json_object *e = kc_json_idx(env, i);
                const char *name = kc_v_str(e, "name");
                if (!*name)
                        kc_v_required(v, V_CHILD(V_INDEX(p, i), "name"), "");
                else
                        kc_v_name(v, V_CHILD(V_INDEX(p, i), "name"), name, kc_name_env_var);
                value_from(v, V_CHILD(V_INDEX(p, i), "valueFrom"), e);
        }
}

static void env_source(struct kc_v *v, const struct kc_vpath *p, const struct json_object *source)
{
        const char *name = kc_v_str(source, "name");
        if (!source)
                return;
        if (!*name) {
                kc_v_required(v, V_CHILD(p, "name"), "");
                return;
        }
        /* Upstream lets a trailing dash pass here, as in a prefix. */
        size_t n = strlen(name);
        KC_CLEANUP(kc_freep) char *masked = kc_strdup(name);
        if (n > 1 && masked[n - 1] == '-') {
                masked[n - 2] = 'a';
                masked[n - 1] = '\0';
        }
        struct kc_why why = {0};
        kc_name_dns1123_subdomain(masked, &why);
        for (size_t i = 0; i < why.n; i++)
                kc_v_invalid_str(v, V_CHILD(p, "name"), name, why.v[i]);
}

void kc_v_env_from(struct kc_v *v, const struct kc_vpath *p, const struct json_object *env_from)
{
        for (size_t i = 0; i < kc_json_len(env_from); i++) {
                const struct json_object *e = kc_json_idx(env_from, i);
                const struct json_object *map = kc_json_get(e, "configMapRef"), *secret = kc_json_get(e, "secretRef");
                const struct kc_vpath *at = V_INDEX(p, i);
                if (*kc_v_str(e, "prefix"))
                        kc_v_name(v, V_CHILD(at, "prefix"), kc_v_str(e, "prefix"), kc_name_env_var);
                env_source(v, V_CHILD(at, "configMapRef"), map);
                env_source(v, V_CHILD(at, "secretRef"), secret);
                if (!map && !secret)
                        kc_v_invalid_str(v, p, "", "must specify one of: `configMapRef` or `secretRef`");
                else if (map && secret)
                        kc_v_invalid_str(v, p, "", "may not have more than one field specified at a time");
        }
}

static void mount_propagation(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *mount, const struct json_object *container)
{
        static const char *const modes[] = {"Bidirectional", "HostToContainer", "None", NULL};
        const char *mode = kc_json_str(mount, "mountPropagation");
        if (!mode)
                return;
        if (!kc_v_in(mode, modes))
                kc_v_not_supported(v, p, mode, modes);
        if (kc_streq(mode, "Bidirectional") && !kc_json_bool_at(container, "securityContext.privileged", false))
                kc_v_forbidden(v, p, "Bidirectional mount propagation is available only to privileged containers");
}

static void recursive_read_only(struct kc_v *v, const struct kc_vpath *p, const struct json_object *mount)
{
        static const char *const modes[] = {"Disabled", "Enabled", "IfPossible", NULL};
        const char *mode = kc_json_str(mount, "recursiveReadOnly"),
                   *propagation = kc_json_str(mount, "mountPropagation");
        if (!mode || kc_streq(mode, "Disabled"))
                return;
        if (!kc_v_in(mode, modes)) {
                kc_v_not_supported(v, p, mode, modes);
                return;
        }
        if (!kc_json_bool(mount, "readOnly", false))
                kc_v_forbidden(v, p, "may only be specified when readOnly is true");
        if (propagation && !kc_streq(propagation, "None"))
                kc_v_forbidden(v, p, "may only be specified when mountPropagation is None or not specified");
}

static void sub_paths(
    struct kc_v *v, const struct kc_vpath *list, const struct kc_vpath *p, const struct json_object *mount)
{
        const char *sub = kc_v_str(mount, "subPath"), *expr = kc_v_str(mount, "subPathExpr");
        if (kc_json_get(kc_map_get(v->volumes, kc_v_str(mount, "name")), "image")) {
                if (*sub)
                        kc_v_invalid_str(v, V_CHILD(p, "subPath"), sub, "not allowed in image volume sources");
                if (*expr)
                        kc_v_invalid_str(v, V_CHILD(p, "subPathExpr"), expr, "not allowed in image volume sources");
        }
        if (*sub)
                kc_v_path_relative(v, V_CHILD(list, "subPath"), sub);
        if (!*expr)
                return;
        if (*sub)
                kc_v_invalid_str(v, V_CHILD(p, "subPathExpr"), expr, "subPathExpr and subPath are mutually exclusive");
        kc_v_path_relative(v, V_CHILD(list, "subPathExpr"), expr);
}

void kc_v_volume_mounts(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container)
{
        const struct json_object *mounts = kc_json_get(container, "volumeMounts");
        const struct json_object *devices = kc_json_get(container, "volumeDevices");
        KC_CLEANUP(kc_map_freep) struct kc_map *paths = kc_map_new(NULL);
        KC_CLEANUP(kc_map_freep) struct kc_map *by_name = kc_v_index(devices, "name");
        KC_CLEANUP(kc_map_freep) struct kc_map *by_path = kc_v_index(devices, "devicePath");
        for (size_t i = 0; i < kc_json_len(mounts); i++) {
                const struct json_object *m = kc_json_idx(mounts, i);
                const struct kc_vpath *at = V_INDEX(p, i);
                const char *name = kc_v_str(m, "name"), *path = kc_v_str(m, "mountPath");
                if (!*name)
                        kc_v_required(v, V_CHILD(at, "name"), "");
                if (!kc_map_has(v->volumes, name))
                        kc_v_not_found(v, V_CHILD(at, "name"), name);
                if (!*path)
                        kc_v_required(v, V_CHILD(at, "mountPath"), "");
                if (!kc_v_first(paths, path))
                        kc_v_invalid_str(v, V_CHILD(at, "mountPath"), path, "must be unique");
                if (kc_map_has(by_name, name))
                        kc_v_invalid_str(v, V_CHILD(at, "name"), name, "must not already exist in volumeDevices");
                if (kc_map_has(by_path, path))
                        kc_v_invalid_str(
                            v, V_CHILD(at, "mountPath"), path, "must not already exist as a path in volumeDevices");
                sub_paths(v, p, at, m);
                mount_propagation(v, V_CHILD(p, "mountPropagation"), m, container);
                recursive_read_only(v, V_CHILD(p, "recursiveReadOnly"), m);
        }
}

static void device_path(struct kc_v *v, const struct kc_vpath *p, const char *path, struct kc_map *paths)
{
        struct kc_field_errors probe = {0};
        struct kc_v quiet = {.errors = &probe};
        if (!*path)
                kc_v_required(v, p, "");
        if (!kc_v_first(paths, path))
                kc_v_invalid_str(v, p, path, "must be unique");
        kc_v_path_no_backsteps(&quiet, NULL, path);
        if (probe.n)
                kc_v_invalid_str(v, p, path, "can not contain backsteps ('..')");
        kc_field_errors_done(&probe);
}

void kc_v_volume_devices(struct kc_v *v, const struct kc_vpath *p, const struct json_object *container)
{
        const struct json_object *devices = kc_json_get(container, "volumeDevices");
        const struct json_object *mounts = kc_json_get(container, "volumeMounts");
        KC_CLEANUP(kc_map_freep) struct kc_map *names = kc_map_new(NULL), *paths = kc_map_new(NULL);
        KC_CLEANUP(kc_map_freep) struct kc_map *by_name = kc_v_index(mounts, "name");
        KC_CLEANUP(kc_map_freep) struct kc_map *by_path = kc_v_index(mounts, "mountPath");
        for (size_t i = 0; i < kc_json_len(devices); i++) {
                const struct json_object *d = kc_json_idx(devices, i);
                const struct kc_vpath *name_path = V_CHILD(V_INDEX(p, i), "name");
                const struct kc_vpath *path_path = V_CHILD(V_INDEX(p, i), "devicePath");
                const char *name = kc_v_str(d, "name"), *path = kc_v_str(d, "devicePath");
                const struct json_object *volume = kc_map_get(v->volumes, name);
                if (!*name)
                        kc_v_required(v, name_path, "");
                if (*name && !kc_v_first(names, name))
                        kc_v_invalid_str(v, name_path, name, "must be unique");
                if (volume && !kc_json_get(volume, "persistentVolumeClaim") && !kc_json_get(volume, "ephemeral"))
                        kc_v_invalid_str(v, name_path, name,
                            "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
                if (!volume)
                        kc_v_not_found(v, name_path, name);
                device_path(v, path_path, path, paths);
                if (kc_map_has(by_name, name))
                        kc_v_invalid_str(v, name_path, name, "must not already exist in volumeMounts");
                if (kc_map_has(by_path, path))
                        kc_v_invalid_str(v, path_path, path, "must not already exist as a path in volumeMounts");
        }
}

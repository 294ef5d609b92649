/* The mounts of one container, for CRI. Thread: the pod's worker. */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/volumes/volumes_internal.h"

void kc_volume_mounts_done(struct kc_volume_mounts *m)
{
        for (size_t i = 0; i < m->n; i++) {
                kc_free(m->v[i].name);
                kc_free(m->v[i].container_path);
                kc_free(m->v[i].host_path);
        }
        kc_free(m->v);
        *m = (struct kc_volume_mounts){0};
}

static int propagation_of(const struct json_object *mount, int *ret, struct kc_error *err)
{
        static const char *const names[] = {"None", "HostToContainer", "Bidirectional"};
        const char *s = kc_json_str(mount, "mountPropagation") ?: "None";
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++)
                if (kc_streq(s, names[i])) {
                        *ret = (int)i;
                        return 0;
                }
        return kc_error_set(err, EINVAL, "invalid MountPropagation mode: \"%s\"", s);
}

static bool has_backsteps(const char *path)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(path, '/');
        return kc_strv_has(parts, "..");
}

/* The subPath, expanded; "" if none. Heap. */
static int subpath_of(const struct json_object *mount, const struct kc_env *env, char **ret, struct kc_error *err)
{
        const char *plain = kc_json_str(mount, "subPath"), *expr = kc_json_str(mount, "subPathExpr");
        KC_CLEANUP(kc_strv_freep) char **missing = NULL;
        KC_CLEANUP(kc_freep) char *sub = NULL;
        if (!kc_str_empty(expr))
                sub = kc_env_expand_strict(expr, env, &missing);
        else
                sub = kc_strdup(plain ?: "");
        if (missing)
                return kc_error_set(err, EINVAL, "missing value for \"%s\"", missing[0]);
        if (*sub == '/')
                return kc_error_set(err, EINVAL, "error SubPath `%s` must not be an absolute path", sub);
        if (has_backsteps(sub))
                return kc_error_set(err, EINVAL, "unable to provision SubPath `%s`: must not contain '..'", sub);
        *ret = KC_TAKE(sub);
        return 0;
}

struct mounting {
        struct kc_volumes *v;
        const struct json_object *pod, *container;
        const struct kc_env *env;
        const char *name; /* of the container */
};

static int use_subpath(
    struct mounting *m, const char *volume, size_t index, const char *sub, char **host_path, struct kc_error *err)
{
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        char *bound = NULL;
        int r = kc_subpath_prepare(m->v, kc_meta_uid(m->pod), volume, m->name, index, *host_path, sub, &bound, &why);
        if (r < 0) {
                /* The reason has paths of the host in it: for the log only, as upstream. */
                kc_log_error(&why, "Failed to prepare subPath for volumeMount of the container", "containerName",
                    m->name, "volumeMountName", volume);
                return kc_error_set(
                    err, -r, "failed to prepare subPath for volumeMount \"%s\" of container \"%s\"", volume, m->name);
        }
        kc_free(*host_path);
        *host_path = bound;
        return 0;
}

static int make_mount(struct mounting *m, const struct json_object *mount, size_t index, struct kc_volume_mount *ret,
    struct kc_error *err)
{
        const char *name = kc_json_str(mount, "name") ?: "";
        const struct json_object *volume = kc_json_find(kc_json_at(m->pod, "spec.volumes"), "name", name);
        const struct json_object *source = NULL;
        const struct kc_volume_plugin *p = volume ? kc_volume_plugin_of(volume, &source) : NULL;
        if (!p)
                return kc_error_set(
                    err, ENOENT, "cannot find volume \"%s\" to mount into container \"%s\"", name, m->name);
        ret->name = kc_strdup(name);
        const char *path = kc_json_str(mount, "mountPath") ?: "";
        ret->container_path = *path == '/' ? kc_strdup(path) : kc_asprintf("/%s", path);
        ret->host_path = p->dir_name ? kc_pod_volume_dir(m->v->root, kc_meta_uid(m->pod), p->dir_name, name)
                                     : kc_strdup(kc_json_str(source, "path") ?: "");
        ret->read_only = p->read_only || kc_json_bool(mount, "readOnly", false);
        ret->recursive_read_only = kc_streq(kc_json_str(mount, "recursiveReadOnly"), "Enabled");
        KC_CLEANUP(kc_freep) char *sub = NULL;
        int r = propagation_of(mount, &ret->propagation, err);
        if (r == 0)
                r = subpath_of(mount, m->env, &sub, err);
        if (r == 0 && *sub)
                r = use_subpath(m, name, index, sub, &ret->host_path, err);
        return r;
}

int kc_volumes_container_mounts(struct kc_volumes *v, const struct json_object *pod,
    const struct json_object *container, const struct kc_env *env, struct kc_volume_mounts *ret, struct kc_error *err)
{
        struct mounting m = {
            .v = v, .pod = pod, .container = container, .env = env, .name = kc_json_str(container, "name") ?: ""};
        const struct json_object *list = kc_json_get(container, "volumeMounts");
        struct kc_volume_mounts all = {0};
        size_t n = kc_json_len(list);
        all.v = n ? kc_calloc(n, sizeof(*all.v)) : NULL;
        for (size_t i = 0; i < n; i++) {
                all.n = i + 1;
                int r = make_mount(&m, kc_json_idx(list, i), i, &all.v[i], err);
                if (r < 0) {
                        kc_volume_mounts_done(&all);
                        return r;
                }
        }
        *ret = all;
        return 0;
}

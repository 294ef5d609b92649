/* The table of volume kinds, and setting up all volumes of a pod. Thread: the pod's worker. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/volumes/volumes_internal.h"

static const struct kc_volume_plugin plugins[] = {
    {"emptyDir", "kubernetes.io~empty-dir", false, kc_volume_empty_dir},
    {"hostPath", NULL, false, kc_volume_host_path},
    {"configMap", "kubernetes.io~configmap", true, kc_volume_config_map},
    {"secret", "kubernetes.io~secret", true, kc_volume_secret},
    {"downwardAPI", "kubernetes.io~downward-api", true, kc_volume_downward_api},
    {"projected", "kubernetes.io~projected", true, kc_volume_projected},
};

int kc_volumes_new(const struct kc_volumes_opts *o, struct kc_volumes **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *pods = kc_path_join(o->root_dir, "pods");
        int r = kc_mkdir_p(pods, 0750, err);
        if (r < 0)
                return r;
        struct kc_volumes *v = KC_NEW(struct kc_volumes);
        v->root = kc_strdup(o->root_dir);
        v->objects = o->objects;
        v->events = o->events;
        v->clock = o->clock;
        v->tokens = kc_tokens_new(o->rest, o->clock);
        v->trust_bundles = o->trust_bundles;
        *ret = v;
        return 0;
}

void kc_volumes_free(struct kc_volumes *v)
{
        if (!v)
                return;
        kc_tokens_free(v->tokens);
        kc_free(v->root);
        kc_free(v);
}

const struct kc_volume_plugin *kc_volume_plugin_of(
    const struct json_object *volume, const struct json_object **ret_source)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(plugins); i++) {
                *ret_source = kc_json_get(volume, plugins[i].field);
                if (*ret_source)
                        return &plugins[i];
        }
        return NULL;
}

/* Upstream mounts only what some container asks for. */
static bool is_used(const struct json_object *pod, const char *name)
{
        static const char *const lists[] = {"spec.initContainers", "spec.containers", "spec.ephemeralContainers"};
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                const struct json_object *list = kc_json_at(pod, lists[l]);
                for (size_t i = 0; i < kc_json_len(list); i++)
                        if (kc_json_find(kc_json_get(kc_json_idx(list, i), "volumeMounts"), "name", name))
                                return true;
        }
        return false;
}

/* A refresh that fails leaves what there is, as upstream's remount: containers go on with it. */
static bool is_refresh(const struct kc_volume_plugin *p, const char *dir)
{
        if (!p->read_only)
                return false;
        KC_CLEANUP(kc_freep) char *data = kc_path_join(dir, "..data");
        return kc_path_exists(data);
}

static int setup(struct kc_volumes *v, const struct json_object *pod, const struct json_object *volume,
    const struct kc_pod_facts *facts, struct kc_error *err)
{
        struct kc_volume_ctx c = {.v = v,
            .pod = pod,
            .facts = facts,
            .ns = kc_meta_namespace(pod) ?: "default",
            .uid = kc_meta_uid(pod),
            .name = kc_json_str(volume, "name"),
            .fs_group = kc_json_int_at(pod, "spec.securityContext.fsGroup", -1)};
        const struct kc_volume_plugin *p = kc_volume_plugin_of(volume, &c.source);
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        if (p && p->dir_name)
                c.dir = kc_pod_volume_dir(v->root, c.uid, p->dir_name, c.name);
        int r = p ? p->setup(&c, &why) : kc_error_set(&why, ENOTSUP, "no volume plugin matched");
        if (r < 0) {
                kc_error_wrap(&why, "MountVolume.SetUp failed for volume \"%s\" ", c.name);
                if (p && is_refresh(p, c.dir)) {
                        kc_kubelet_event_pod(
                            v->events, pod, NULL, KC_EVENT_WARNING, "FailedMount", "%s", kc_error_message(&why));
                        r = 0;
                } else if (err) {
                        kc_error_move(err, &why);
                }
        }
        kc_free(c.dir);
        return r;
}

int kc_volumes_setup_pod(
    struct kc_volumes *v, const struct json_object *pod, const struct kc_pod_facts *facts, struct kc_error *err)
{
        const struct json_object *volumes = kc_json_at(pod, "spec.volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *volume = kc_json_idx(volumes, i);
                const char *name = kc_json_str(volume, "name");
                if (!name || !is_used(pod, name))
                        continue;
                int r = setup(v, pod, volume, facts, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

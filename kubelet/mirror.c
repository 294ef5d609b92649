/* Mirror pods: read-only API images of static pods, so that clients and the scheduler see them. Thread: the pod's
 * worker. */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/kubelet_internal.h"
#include "kubelet/pod/pod.h"

static int delete_mirror(struct kc_kubelet *k, const struct json_object *mirror, struct kc_error *err)
{
        kc_log_info("Trying to delete pod", "pod", kc_log_fmt("%s/%s", kc_meta_namespace(mirror), kc_meta_name(mirror)),
            "podUID", kc_meta_uid(mirror));
        struct kc_delete_opts o = {.grace_period_seconds = 0, .precondition_uid = kc_meta_uid(mirror)};
        int r = kc_rest_delete(k->rest, &KC_PODS, kc_meta_namespace(mirror), kc_meta_name(mirror), &o, NULL, err);
        if (r < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        return r;
}

int kc_mirror_ensure(struct kc_kubelet *k, const struct json_object *pod, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp)
        struct kc_object *there = kc_informer_lookup(k->pods, kc_meta_namespace(pod), kc_meta_name(pod));
        if (there) {
                const struct json_object *mirror = kc_object_json(there);
                const char *hash = kc_meta_annotation(mirror, KC_ANNOTATION_CONFIG_MIRROR);
                if (kc_streq(hash, kc_meta_uid(pod)) && !kc_meta_deleting(mirror))
                        return 0;
                if (!hash)
                        return 0; /* somebody's own pod of that name: it wins in the API */
                int r = delete_mirror(k, mirror, err);
                if (r < 0)
                        return r;
        }
        KC_CLEANUP(kc_object_unrefp) struct kc_object *node = kc_node_object(k->node);
        if (!node || !kc_meta_uid(kc_object_json(node)))
                return 0; /* not registered yet: the next sync */
        KC_CLEANUP(kc_json_freep) struct json_object *mirror = kc_json_copy(pod);
        kc_json_del(mirror, "status");
        struct json_object *meta = kc_json_get_mut(mirror, "metadata");
        kc_json_del(meta, "uid");
        kc_json_del(meta, "resourceVersion");
        kc_meta_set_annotation(mirror, KC_ANNOTATION_CONFIG_MIRROR, kc_meta_uid(pod));
        struct json_object *owners = kc_json_ensure_arr(mirror, "metadata.ownerReferences");
        kc_json_push(owners, kc_json_build("{'apiVersion':'v1','kind':'Node','name':%s,'uid':%s,'controller':true}",
                                 k->node_name, kc_meta_uid(kc_object_json(node))));
        int r = kc_rest_create(k->rest, &KC_PODS, kc_meta_namespace(pod), mirror, NULL, err);
        if (r < 0 && kc_error_is(err, KC_REASON_ALREADY_EXISTS)) {
                kc_error_done(err);
                return 0;
        }
        return r;
}

int kc_mirror_delete(
    struct kc_kubelet *k, const char *ns, const char *name, const char *static_uid, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *there = kc_informer_lookup(k->pods, ns, name);
        if (!there || !kc_streq(kc_meta_annotation(kc_object_json(there), KC_ANNOTATION_CONFIG_MIRROR), static_uid))
                return 0;
        return delete_mirror(k, kc_object_json(there), err);
}

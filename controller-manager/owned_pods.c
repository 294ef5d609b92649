/* Handlers of owners and pods. Loop thread, but for lookups. */
#include "controller-manager/owned_pods.h"

#include "base/str.h"
#include "controller-manager/children.h"

int kc_owned_pods_selector(
    const struct kc_owned_pods *w, const struct json_object *owner, struct kc_selector **ret, struct kc_error *err)
{
        const struct json_object *sel = kc_json_at(owner, "spec.selector");
        if (!w->plain_selector)
                return kc_selector_from_label_selector(sel, ret, err);
        *ret = kc_selector_from_map(sel);
        return 0;
}

void kc_owned_pods_enqueue(const struct kc_owned_pods *w, const struct json_object *owner)
{
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(owner);
        kc_workqueue_add(kc_controller_queue(w->controller), key);
}

struct kc_object *kc_owned_pods_owner(const struct kc_owned_pods *w, const struct json_object *child)
{
        const struct json_object *ref = kc_meta_controller_ref(child);
        struct kc_object *owner;

        if (!ref || !kc_streq(kc_json_str(ref, "kind"), w->gvr->kind))
                return NULL;
        owner = kc_informer_lookup(w->owners, kc_meta_namespace(child), kc_json_str(ref, "name"));
        if (owner && kc_streq(kc_object_uid(owner), kc_json_str(ref, "uid")))
                return owner;
        kc_object_unref(owner);
        return NULL;
}

/* --- owners */

static void forget(const struct kc_owned_pods *w, const struct json_object *owner)
{
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(owner);
        if (w->expectations)
                kc_expectations_delete(w->expectations, key);
}

static void on_owner_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        kc_owned_pods_enqueue(arg, kc_object_json(o));
}

static void on_owner_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        if (!kc_streq(kc_object_uid(old), kc_object_uid(o)))
                forget(arg, kc_object_json(old));
        kc_owned_pods_enqueue(arg, kc_object_json(o));
}

static void on_owner_delete(struct kc_object *o, void *arg)
{
        forget(arg, kc_object_json(o));
        kc_owned_pods_enqueue(arg, kc_object_json(o));
}

/* --- pods */

static void enqueue_matching(struct kc_owned_pods *w, const struct json_object *pod)
{
        struct kc_objects owners = {0};

        if (kc_json_n_keys(kc_meta_labels(pod)) == 0)
                return;
        kc_informer_list(w->owners, kc_meta_namespace(pod), NULL, &owners);
        for (size_t i = 0; i < owners.n; i++) {
                KC_CLEANUP(kc_selector_freep) struct kc_selector *sel = NULL;
                if (kc_owned_pods_selector(w, kc_object_json(owners.v[i]), &sel, NULL) == 0 &&
                    !kc_selector_is_everything(sel) && kc_selector_matches(sel, kc_meta_labels(pod)))
                        kc_owned_pods_enqueue(w, kc_object_json(owners.v[i]));
        }
        kc_objects_done(&owners);
}

static void pod_deleted(struct kc_owned_pods *w, const struct json_object *pod)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *owner = kc_owned_pods_owner(w, pod);
        if (!owner)
                return;
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(owner)), *pod_key = kc_meta_key(pod);
        if (w->expectations)
                kc_expectations_deletion_observed(w->expectations, key, pod_key);
        kc_workqueue_add(kc_controller_queue(w->controller), key);
}

static void on_pod_add(struct kc_object *o, bool initial, void *arg)
{
        struct kc_owned_pods *w = arg;
        const struct json_object *pod = kc_object_json(o);

        (void)initial;
        /* After a restart a pod can come up that is being deleted already. */
        if (kc_meta_deleting(pod)) {
                pod_deleted(w, pod);
                return;
        }
        if (!kc_meta_controller_ref(pod)) {
                enqueue_matching(w, pod);
                return;
        }
        KC_CLEANUP(kc_object_unrefp) struct kc_object *owner = kc_owned_pods_owner(w, pod);
        if (!owner)
                return;
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(owner));
        if (w->expectations)
                kc_expectations_creation_observed(w->expectations, key);
        kc_workqueue_add(kc_controller_queue(w->controller), key);
}

/* When the pod that has just become ready has to be looked at again to become available. */
static void enqueue_when_available(struct kc_owned_pods *w, const struct json_object *old,
    const struct json_object *pod, const struct json_object *owner)
{
        int64_t wait = kc_json_int_at(owner, "spec.minReadySeconds", 0);
        if (wait > 0 && !kc_pod_is_ready(old) && kc_pod_is_ready(pod)) {
                KC_CLEANUP(kc_freep) char *key = kc_meta_key(owner);
                kc_workqueue_add_after(kc_controller_queue(w->controller), key, (wait + 1) * KC_SEC);
        }
}

static void on_pod_update(struct kc_object *old_obj, struct kc_object *o, void *arg)
{
        struct kc_owned_pods *w = arg;
        const struct json_object *old = kc_object_json(old_obj), *pod = kc_object_json(o);
        const char *old_uid = kc_json_str(kc_meta_controller_ref(old), "uid"),
                   *uid = kc_json_str(kc_meta_controller_ref(pod), "uid");

        if (kc_streq(kc_object_resource_version(old_obj), kc_object_resource_version(o)))
                return;
        if (kc_meta_deleting(pod)) {
                pod_deleted(w, pod);
                return;
        }
        if (!kc_streq(old_uid, uid) && old_uid) {
                KC_CLEANUP(kc_object_unrefp) struct kc_object *former = kc_owned_pods_owner(w, old);
                if (former)
                        kc_owned_pods_enqueue(w, kc_object_json(former));
        }
        if (!uid) {
                if (!kc_json_equal(kc_meta_labels(old), kc_meta_labels(pod)) || old_uid)
                        enqueue_matching(w, pod);
                return;
        }
        KC_CLEANUP(kc_object_unrefp) struct kc_object *owner = kc_owned_pods_owner(w, pod);
        if (owner) {
                kc_owned_pods_enqueue(w, kc_object_json(owner));
                enqueue_when_available(w, old, pod, kc_object_json(owner));
        }
}

static void on_pod_delete(struct kc_object *o, void *arg)
{
        pod_deleted(arg, kc_object_json(o));
}

void kc_owned_pods_init(struct kc_owned_pods *w)
{
        kc_children_add_indexes(w->pods);
        kc_informer_add_handler(
            w->owners, &(struct kc_informer_handler){on_owner_add, on_owner_update, on_owner_delete}, w);
        kc_informer_add_handler(w->pods, &(struct kc_informer_handler){on_pod_add, on_pod_update, on_pod_delete}, w);
}

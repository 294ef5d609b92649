/* Storage objects in use: claims that pods use, volumes that are bound and volume attributes classes that something
 * refers to keep a finalizer, so that a deletion waits for their users. Handlers on the loop; sync on the pool. Mirrors
 * upstream's pvcprotection, pvprotection and vacprotection. */
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "controller-manager/table.h"

enum { WORKERS = 2 };

struct protection;

struct kind {
        const struct kc_gvr *gvr;
        const char *finalizer, *queue;
        int (*in_use)(struct protection *c, const struct json_object *obj, bool *ret, struct kc_error *err);
};

struct protection {
        const struct kind *kind;
        struct kc_rest *rest;
        struct kc_informer *objects, *pods, *claims, *volumes; /* who may use them: NULL where nobody may */
        struct kc_controller *controller;
};

/* --- Sync */

static int set_finalizer(struct protection *c, const struct kc_object *obj, bool wanted, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_object_copy_json(obj);
        struct json_object *kept = json_object_new_array();
        const struct json_object *have = kc_json_at(kc_object_json(obj), "metadata.finalizers");
        for (size_t i = 0; i < kc_json_len(have); i++)
                if (!kc_streq(kc_json_as_str(kc_json_idx(have, i)), c->kind->finalizer))
                        kc_json_push_str(kept, kc_json_as_str(kc_json_idx(have, i)));
        if (wanted)
                kc_json_push_str(kept, c->kind->finalizer);
        kc_json_set(kc_json_ensure_obj(tree, "metadata"), "finalizers", kept);
        return kc_rest_update(c->rest, c->kind->gvr, NULL, tree, NULL, err);
}

static int sync_object(void *arg, const char *key, struct kc_error *err)
{
        struct protection *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->objects, key);
        if (!obj)
                return 0;
        const struct json_object *o = kc_object_json(obj);
        bool has = kc_meta_has_finalizer(o, c->kind->finalizer), used = true;
        int r = 0;
        if (kc_meta_deleting(o) && has) {
                r = c->kind->in_use(c, o, &used, err);
                if (r == 0 && used)
                        kc_log_v(2, "Keeping an object because it is being used", "object", key);
                else if (r == 0)
                        r = set_finalizer(c, obj, false, err);
        } else if (!kc_meta_deleting(o) && !has) {
                r = set_finalizer(c, obj, true, err);
        }
        /* Gone, or changed meanwhile: then the change comes here, too. */
        if (r < 0 && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err);
                r = 0;
        }
        return r;
}

/* --- The objects' own events */

static void on_add(struct kc_object *o, bool initial, void *arg)
{
        struct protection *c = arg;
        const struct json_object *tree = kc_object_json(o);
        (void)initial;
        if (kc_meta_deleting(tree) != kc_meta_has_finalizer(tree, c->kind->finalizer))
                return;
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(tree);
        kc_workqueue_add(kc_controller_queue(c->controller), key);
}

static void on_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)old;
        on_add(o, false, arg);
}

static struct protection *new_protection(const struct kc_cm_context *cm, const struct kind *kind)
{
        struct protection *c = KC_NEW(struct protection);
        c->kind = kind;
        c->rest = cm->rest;
        c->objects = kc_informers_get(cm->informers, kind->gvr);
        c->controller = kc_controller_new(cm->loop, cm->pool, kind->queue, WORKERS, sync_object, c);
        kc_informer_add_handler(c->objects, &(struct kc_informer_handler){on_add, on_update, NULL}, c);
        return c;
}

/* --- Claims: used by pods that have a node; the kubelet does not start others while the claim is being deleted */

#define BY_CLAIM "persistentvolumeclaim"

/* The name of the claim of a pod's volume; NULL: it has none. Heap. */
static char *claim_of(const struct json_object *pod, const struct json_object *volume)
{
        const char *name = kc_json_str_at(volume, "persistentVolumeClaim.claimName");
        if (name)
                return kc_strdup(name);
        if (!kc_json_get(volume, "ephemeral"))
                return NULL;
        return kc_asprintf("%s-%s", kc_meta_name(pod), kc_json_str(volume, "name"));
}

static void index_by_claim(const struct kc_object *o, char ***values)
{
        const struct json_object *pod = kc_object_json(o), *volumes = kc_json_at(pod, "spec.volumes");
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                KC_CLEANUP(kc_freep) char *name = claim_of(pod, kc_json_idx(volumes, i));
                if (name)
                        kc_strv_pushf(values, "%s/%s", kc_meta_namespace(pod), name);
        }
}

/* The kubelet has ended it, and its deletion is all that is left. */
static bool is_shut_down(const struct json_object *pod)
{
        return kc_meta_deleting(pod) && kc_json_int_at(pod, "metadata.deletionGracePeriodSeconds", -1) == 0;
}

static bool uses_claim(const struct json_object *pod, const struct json_object *claim)
{
        const struct json_object *volumes = kc_json_at(pod, "spec.volumes");
        if (kc_str_empty(kc_json_str_at(pod, "spec.nodeName")))
                return false;
        for (size_t i = 0; i < kc_json_len(volumes); i++) {
                const struct json_object *v = kc_json_idx(volumes, i);
                KC_CLEANUP(kc_freep) char *name = claim_of(pod, v);
                if (!kc_streq(name, kc_meta_name(claim)))
                        continue;
                if (!kc_json_get(v, "ephemeral") || (!is_shut_down(pod) && kc_meta_is_controlled_by(claim, pod)))
                        return true;
        }
        return false;
}

/* Of the cache, and if there is nobody, of the server: the cache may be late. */
static int claim_in_use(struct protection *c, const struct json_object *claim, bool *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(claim);
        KC_CLEANUP(kc_json_freep) struct json_object *live = NULL;
        struct kc_objects pods = {0};
        bool used = false;
        kc_informer_by_index(c->pods, BY_CLAIM, key, &pods);
        for (size_t i = 0; i < pods.n && !used; i++)
                used = uses_claim(kc_object_json(pods.v[i]), claim);
        kc_objects_done(&pods);
        int r = used ? 0 : kc_rest_list(c->rest, &KC_PODS, kc_meta_namespace(claim), NULL, &live, err);
        const struct json_object *items = kc_json_get(live, "items");
        for (size_t i = 0; i < kc_json_len(items) && !used; i++)
                used = uses_claim(kc_json_idx(items, i), claim);
        *ret = used;
        return r;
}

static void enqueue_claims(struct protection *c, const struct kc_object *pod)
{
        KC_CLEANUP(kc_strv_freep) char **keys = NULL;
        index_by_claim(pod, &keys);
        for (size_t i = 0; keys && keys[i]; i++)
                kc_workqueue_add(kc_controller_queue(c->controller), keys[i]);
}

static void on_pod_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        const struct json_object *pod = kc_object_json(o);
        bool other = !kc_streq(kc_meta_uid(kc_object_json(old)), kc_meta_uid(pod));
        if (other)
                enqueue_claims(arg, old);
        /* Others hold on to their claims. */
        if (kc_pod_is_terminal(pod) || is_shut_down(pod) || kc_str_empty(kc_json_str_at(pod, "spec.nodeName")))
                enqueue_claims(arg, o);
}

static void on_pod_delete(struct kc_object *o, void *arg)
{
        enqueue_claims(arg, o);
}

static int init_claims(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        static const struct kind kind = {
            &KC_PERSISTENTVOLUMECLAIMS, "kubernetes.io/pvc-protection", "pvcprotection", claim_in_use};
        (void)err;
        struct protection *c = new_protection(cm, &kind);
        c->pods = kc_informers_get(cm->informers, &KC_PODS);
        kc_informer_add_index(c->pods, BY_CLAIM, index_by_claim);
        kc_informer_add_handler(c->pods, &(struct kc_informer_handler){NULL, on_pod_update, on_pod_delete}, c);
        *ret = c;
        return 0;
}

/* --- Volumes: used while they are bound */

static int volume_in_use(struct protection *c, const struct json_object *volume, bool *ret, struct kc_error *err)
{
        (void)c; /* the volume says it */
        (void)err;
        *ret = kc_streq(kc_json_str_at(volume, "status.phase"), "Bound");
        return 0;
}

static int init_volumes(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        static const struct kind kind = {
            &KC_PERSISTENTVOLUMES, "kubernetes.io/pv-protection", "pvprotection", volume_in_use};
        (void)err;
        *ret = new_protection(cm, &kind);
        return 0;
}

/* --- Volume attributes classes: used by the claims and volumes that name them, or are being changed to them */

#define BY_CLASS "volumeattributesclass"

static void index_by_class(const struct kc_object *o, char ***values)
{
        static const char *const paths[] = {"spec.volumeAttributesClassName", "status.currentVolumeAttributesClassName",
            "status.modifyVolumeStatus.targetVolumeAttributesClassName"};
        for (size_t i = 0; i < KC_ARRAY_LEN(paths); i++) {
                const char *name = kc_json_str_at(kc_object_json(o), paths[i]);
                if (!kc_str_empty(name))
                        kc_strv_push(values, name);
        }
}

static int class_in_use(struct protection *c, const struct json_object *class, bool *ret, struct kc_error *err)
{
        struct kc_objects users = {0};
        (void)err;
        kc_informer_by_index(c->claims, BY_CLASS, kc_meta_name(class), &users);
        kc_informer_by_index(c->volumes, BY_CLASS, kc_meta_name(class), &users);
        *ret = users.n > 0;
        kc_objects_done(&users);
        return 0;
}

static void on_user_delete(struct kc_object *o, void *arg)
{
        struct protection *c = arg;
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        index_by_class(o, &names);
        for (size_t i = 0; names && names[i]; i++)
                kc_workqueue_add(kc_controller_queue(c->controller), names[i]);
}

/* It may have let go of a class. */
static void on_user_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        (void)o;
        on_user_delete(old, arg);
}

static int init_classes(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        static const struct kind kind = {
            &KC_VOLUMEATTRIBUTESCLASSES, "kubernetes.io/vac-protection", "vacprotection", class_in_use};
        static const struct kc_informer_handler handler = {NULL, on_user_update, on_user_delete};
        (void)err;
        struct protection *c = new_protection(cm, &kind);
        c->claims = kc_informers_get(cm->informers, &KC_PERSISTENTVOLUMECLAIMS);
        c->volumes = kc_informers_get(cm->informers, &KC_PERSISTENTVOLUMES);
        kc_informer_add_index(c->claims, BY_CLASS, index_by_class);
        kc_informer_add_index(c->volumes, BY_CLASS, index_by_class);
        kc_informer_add_handler(c->claims, &handler, c);
        kc_informer_add_handler(c->volumes, &handler, c);
        *ret = c;
        return 0;
}

/* --- Life */

static void start(void *state)
{
        kc_controller_start(((struct protection *)state)->controller);
}

static void free_state(void *state)
{
        struct protection *c = state;
        kc_controller_free(c->controller);
        kc_free(c);
}

const struct kc_controller_def kc_pvcprotection_controller = {
    .name = "persistentvolumeclaim-protection-controller", .init = init_claims, .start = start, .free = free_state};
const struct kc_controller_def kc_pvprotection_controller = {
    .name = "persistentvolume-protection-controller", .init = init_volumes, .start = start, .free = free_state};
const struct kc_controller_def kc_vacprotection_controller = {
    .name = "volumeattributesclass-protection-controller", .init = init_classes, .start = start, .free = free_state};

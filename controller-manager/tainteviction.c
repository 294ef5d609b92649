/* Taint eviction: deletes pods from nodes with NoExecute taints that they do not tolerate, after the time that they
 * tolerate them. Level-triggered by pod: sync says how long a pod may still stay. Handlers on the loop; sync on the
 * pool. */
#include <string.h>

#include "api/node_match.h"
#include "base/str.h"
#include "controller-manager/table.h"

enum { WORKERS = 8 };

struct tainteviction {
        struct kc_rest *rest;
        struct kc_informer *nodes, *pods;
        struct kc_controller *controller;
        struct kc_recorder *recorder;
};

static void enqueue(struct tainteviction *c, const struct kc_object *pod)
{
        KC_CLEANUP(kc_freep) char *key = kc_meta_key(kc_object_json(pod));
        kc_workqueue_add(kc_controller_queue(c->controller), key);
}

static bool has_no_execute(const struct json_object *node)
{
        const struct json_object *taints = kc_json_at(node, "spec.taints");
        for (size_t i = 0; i < kc_json_len(taints); i++)
                if (kc_streq(kc_json_str(kc_json_idx(taints, i), "effect"), "NoExecute"))
                        return true;
        return false;
}

static void enqueue_node(struct tainteviction *c, const char *node)
{
        struct kc_objects pods = {0};
        kc_informer_by_index(c->pods, "node", node, &pods);
        for (size_t i = 0; i < pods.n; i++)
                enqueue(c, pods.v[i]);
        kc_objects_done(&pods);
}

static void on_node_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        if (has_no_execute(kc_object_json(o)))
                enqueue_node(arg, kc_object_name(o));
}

static void on_node_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        if (!kc_json_equal(
                kc_json_at(kc_object_json(old), "spec.taints"), kc_json_at(kc_object_json(o), "spec.taints")))
                enqueue_node(arg, kc_object_name(o));
}

static void on_pod_add(struct kc_object *o, bool initial, void *arg)
{
        (void)initial;
        if (!kc_str_empty(kc_json_str_at(kc_object_json(o), "spec.nodeName")))
                enqueue(arg, o);
}

static void on_pod_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        if (!kc_json_equal(kc_json_get(kc_object_json(old), "spec"), kc_json_get(kc_object_json(o), "spec")))
                on_pod_add(o, false, arg);
}

/* -1: for ever; else microseconds since the epoch until which the pod tolerates all NoExecute taints (0: not at all).
 */
static kc_time tolerated_until(const struct json_object *pod, const struct json_object *node)
{
        const struct json_object *taints = kc_json_at(node, "spec.taints"),
                                 *tolerations = kc_json_at(pod, "spec.tolerations");
        kc_time until = -1, added, since = 0;
        int64_t least = -1;

        for (size_t i = 0; i < kc_json_len(taints); i++) {
                const struct json_object *taint = kc_json_idx(taints, i);
                bool tolerated = false;
                if (!kc_streq(kc_json_str(taint, "effect"), "NoExecute"))
                        continue;
                const char *text = kc_json_str(taint, "timeAdded");
                if (text && kc_time_parse(text, &added) == 0 && added > since)
                        since = added;
                for (size_t j = 0; j < kc_json_len(tolerations); j++) {
                        const struct json_object *t = kc_json_idx(tolerations, j);
                        if (!kc_toleration_tolerates(t, taint))
                                continue;
                        tolerated = true;
                        int64_t seconds = kc_json_int(t, "tolerationSeconds", -1);
                        if (kc_json_get(t, "tolerationSeconds"))
                                least = least < 0 ? KC_MAX(seconds, (int64_t)0)
                                                  : KC_MIN(least, KC_MAX(seconds, (int64_t)0));
                }
                if (!tolerated)
                        return 0;
        }
        if (least >= 0)
                until = (since ? since : kc_clock_now(NULL)) + least * KC_SEC;
        return until;
}

static int evict(struct tainteviction *c, const struct json_object *pod, const char *key, struct kc_error *err)
{
        char now[KC_TIME_LEN];
        KC_CLEANUP(kc_json_freep)
        struct json_object *patch = kc_json_build(
            "{'metadata':{'uid':%s},'status':{'conditions':[{'type':'DisruptionTarget','status':'True',"
            "'reason':'DeletionByTaintManager','message':'Taint manager: deleting due to NoExecute taint',"
            "'lastTransitionTime':%s}]}}",
            kc_meta_uid(pod), kc_time_format(kc_clock_now(NULL), now));
        struct kc_delete_opts opts = {.grace_period_seconds = -1, .precondition_uid = kc_meta_uid(pod)};

        kc_recorder_event(
            c->recorder, &KC_PODS, pod, "Normal", "TaintManagerEviction", "Marking for deletion Pod %s", key);
        int rc = kc_rest_patch(c->rest, &KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), "status",
            KC_PATCH_STRATEGIC, patch, NULL, err);
        if (rc == 0)
                rc = kc_rest_delete(c->rest, &KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), &opts, NULL, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                return 0;
        }
        return rc;
}

static int sync_pod(void *arg, const char *key, struct kc_error *err)
{
        struct tainteviction *c = arg;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *obj = kc_informer_lookup_key(c->pods, key), *node = NULL;
        const struct json_object *pod;
        kc_time until, now = kc_clock_now(NULL);

        if (!obj)
                return 0;
        pod = kc_object_json(obj);
        if (kc_meta_deleting(pod) || kc_pod_is_terminal(pod) || kc_str_empty(kc_json_str_at(pod, "spec.nodeName")))
                return 0;
        node = kc_informer_lookup(c->nodes, NULL, kc_json_str_at(pod, "spec.nodeName"));
        if (!node || !has_no_execute(kc_object_json(node)))
                return 0;
        until = tolerated_until(pod, kc_object_json(node));
        if (until < 0)
                return 0;
        if (until <= now)
                return evict(c, pod, key, err);
        kc_workqueue_add_after(kc_controller_queue(c->controller), key, until - now);
        return 0;
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct tainteviction *c = KC_NEW(struct tainteviction);

        (void)err;
        c->rest = cm->rest;
        c->nodes = kc_informers_get(cm->informers, &KC_NODES);
        c->pods = kc_informers_get(cm->informers, &KC_PODS);
        c->recorder = kc_recorder_new(cm->rest, cm->pool, "taint-eviction-controller", NULL);
        c->controller = kc_controller_new(cm->loop, cm->pool, "taint-eviction-controller", WORKERS, sync_pod, c);
        kc_informer_add_index(c->pods, "node", kc_index_by_node_name);
        kc_informer_add_handler(c->nodes, &(struct kc_informer_handler){on_node_add, on_node_update, NULL}, c);
        kc_informer_add_handler(c->pods, &(struct kc_informer_handler){on_pod_add, on_pod_update, NULL}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct tainteviction *)state)->controller);
}

static void free_state(void *state)
{
        struct tainteviction *c = state;
        kc_controller_free(c->controller);
        kc_recorder_free(c->recorder);
        kc_free(c);
}

const struct kc_controller_def kc_tainteviction_controller = {
    .name = "taint-eviction-controller", .init = init, .start = start, .free = free_state};

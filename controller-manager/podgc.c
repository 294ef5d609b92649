/* Pod GC: removes pods whose node is gone, pods that are being deleted and were never assigned, and the oldest ended
 * pods beyond a threshold. Works on what happens, not by a clock. Handlers on the loop; sync on the pool. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "controller-manager/options.h"
#include "controller-manager/table.h"

enum { QUARANTINE_S = 40 }; /* a node that is missing may only be late in coming */

static const char ended_key[] = "ended";

struct podgc {
        struct kc_rest *rest;
        struct kc_informer *pods, *nodes;
        struct kc_controller *controller;
        int threshold;
};

static struct kc_workqueue *queue(struct podgc *c)
{
        return kc_controller_queue(c->controller);
}

static void enqueue_node(struct podgc *c, const char *node, int64_t after_s)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("node/%s", node);
        kc_workqueue_add_after(queue(c), key, after_s * KC_SEC);
}

static void on_pod_add(struct kc_object *o, bool initial, void *arg)
{
        struct podgc *c = arg;
        const struct json_object *pod = kc_object_json(o);
        const char *node = kc_json_str_at(pod, "spec.nodeName");

        (void)initial;
        if (kc_pod_is_terminal(pod))
                kc_workqueue_add(queue(c), ended_key);
        if (kc_str_empty(node) && kc_meta_deleting(pod)) {
                KC_CLEANUP(kc_freep) char *meta = kc_meta_key(pod), *key = kc_asprintf("pod/%s", meta);
                kc_workqueue_add(queue(c), key);
        }
        if (!kc_str_empty(node)) {
                KC_CLEANUP(kc_object_unrefp) struct kc_object *have = kc_informer_lookup(c->nodes, NULL, node);
                if (!have)
                        enqueue_node(c, node, QUARANTINE_S);
        }
}

static void on_pod_update(struct kc_object *old, struct kc_object *o, void *arg)
{
        const struct json_object *a = kc_object_json(old), *b = kc_object_json(o);
        /* Bound: perhaps to a node that has just gone. */
        bool bound = !kc_streq(kc_json_str_at(a, "spec.nodeName"), kc_json_str_at(b, "spec.nodeName"));
        if (bound || kc_pod_is_terminal(a) != kc_pod_is_terminal(b) || kc_meta_deleting(a) != kc_meta_deleting(b))
                on_pod_add(o, false, arg);
}

static void on_node_delete(struct kc_object *o, void *arg)
{
        enqueue_node(arg, kc_object_name(o), QUARANTINE_S);
}

/* A pod that nobody else will end is marked as failed, then removed at once. */
static int remove_pod(struct podgc *c, const struct json_object *pod, const char *why, struct kc_error *err)
{
        struct kc_delete_opts opts = {.grace_period_seconds = 0, .precondition_uid = kc_meta_uid(pod)};
        char now[KC_TIME_LEN];
        int rc = 0;

        if (!kc_pod_is_terminal(pod) && why) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *patch = kc_json_build(
                    "{'metadata':{'uid':%s},'status':{'phase':'Failed','conditions':[{'type':'DisruptionTarget',"
                    "'status':'True','reason':'DeletionByPodGC','message':%s,'lastTransitionTime':%s}]}}",
                    kc_meta_uid(pod), why, kc_time_format(kc_clock_now(NULL), now));
                rc = kc_rest_patch(c->rest, &KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), "status",
                    KC_PATCH_STRATEGIC, patch, NULL, err);
        }
        if (rc == 0)
                rc = kc_rest_delete(c->rest, &KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), &opts, NULL, err);
        if (rc < 0 && (kc_error_is(err, KC_REASON_NOT_FOUND) || kc_error_is(err, KC_REASON_CONFLICT))) {
                kc_error_done(err);
                rc = 0;
        }
        return rc;
}

static int sync_node(struct podgc *c, const char *node, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *have = kc_informer_lookup(c->nodes, NULL, node);
        struct kc_objects pods = {0};
        int rc;

        if (have)
                return 0;
        /* The cache may be late: the server decides. */
        rc = kc_rest_get(c->rest, &KC_NODES, NULL, node, NULL, err);
        if (rc == 0 || !kc_error_is(err, KC_REASON_NOT_FOUND))
                return rc;
        kc_error_done(err);
        rc = 0;
        kc_informer_by_index(c->pods, "node", node, &pods);
        for (size_t i = 0; i < pods.n && rc == 0; i++)
                rc = remove_pod(c, kc_object_json(pods.v[i]), "PodGC: node no longer exists", err);
        kc_objects_done(&pods);
        return rc;
}

static int age_cmp(const void *a, const void *b)
{
        const struct json_object *x = kc_object_json(*(struct kc_object *const *)a),
                                 *y = kc_object_json(*(struct kc_object *const *)b);
        kc_time s = kc_meta_creation_time(x), t = kc_meta_creation_time(y);
        return s != t ? (s < t ? -1 : 1) : strcmp(kc_meta_name(x), kc_meta_name(y));
}

static int sync_ended(struct podgc *c, struct kc_error *err)
{
        struct kc_objects pods = {0}, ended = {0};
        int rc = 0;

        if (c->threshold <= 0 || kc_informer_count(c->pods) <= (size_t)c->threshold)
                return 0;
        kc_informer_list(c->pods, NULL, NULL, &pods);
        for (size_t i = 0; i < pods.n; i++)
                if (kc_pod_is_terminal(kc_object_json(pods.v[i])))
                        kc_objects_push_take(&ended, kc_object_ref(pods.v[i]));
        if (ended.n > (size_t)c->threshold) {
                qsort(ended.v, ended.n, sizeof(struct kc_object *), age_cmp);
                for (size_t i = 0; i < ended.n - (size_t)c->threshold && rc == 0; i++)
                        rc = remove_pod(c, kc_object_json(ended.v[i]), NULL, err);
        }
        kc_objects_done(&pods);
        kc_objects_done(&ended);
        return rc;
}

static int sync_key(void *arg, const char *key, struct kc_error *err)
{
        struct podgc *c = arg;

        if (strcmp(key, ended_key) == 0)
                return sync_ended(c, err);
        if (kc_str_has_prefix(key, "node/"))
                return sync_node(c, key + strlen("node/"), err);
        KC_CLEANUP(kc_object_unrefp) struct kc_object *pod = kc_informer_lookup_key(c->pods, key + strlen("pod/"));
        if (!pod || !kc_meta_deleting(kc_object_json(pod)) ||
            !kc_str_empty(kc_json_str_at(kc_object_json(pod), "spec.nodeName")))
                return 0;
        return remove_pod(c, kc_object_json(pod), NULL, err);
}

static int init(const struct kc_cm_context *cm, void **ret, struct kc_error *err)
{
        struct podgc *c = KC_NEW(struct podgc);

        (void)err;
        c->rest = cm->rest;
        c->threshold = cm->options->terminated_pod_gc_threshold;
        c->pods = kc_informers_get(cm->informers, &KC_PODS);
        c->nodes = kc_informers_get(cm->informers, &KC_NODES);
        c->controller = kc_controller_new(cm->loop, cm->pool, "pod-garbage-collector-controller", 1, sync_key, c);
        kc_informer_add_index(c->pods, "node", kc_index_by_node_name);
        kc_informer_add_handler(c->pods, &(struct kc_informer_handler){on_pod_add, on_pod_update, NULL}, c);
        kc_informer_add_handler(c->nodes, &(struct kc_informer_handler){NULL, NULL, on_node_delete}, c);
        *ret = c;
        return 0;
}

static void start(void *state)
{
        kc_controller_start(((struct podgc *)state)->controller);
}

static void free_state(void *state)
{
        struct podgc *c = state;
        kc_controller_free(c->controller);
        kc_free(c);
}

const struct kc_controller_def kc_podgc_controller = {
    .name = "pod-garbage-collector-controller", .init = init, .start = start, .free = free_state};

/* Images of containers. A pull is shared by all who wait for the image and runs as a task on the pool:
 *
 *   ensure --> pull {image, waiters} --(queue, max_parallel)--> PullImage --> result for each waiter --> on_change
 *
 * The waiter's next ensure takes its result. Any thread; one mutex. */
#include "kubelet/runtime/images.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/runtime/backoff.h"
#include "kubelet/runtime/pullsecrets.h"

enum { INITIAL_BACKOFF_USEC = 10 * 1000 * 1000 };

struct waiter {
        struct kc_list node;
        struct kc_object *pod;
        char *container, *key;
        kc_mono since;
};

struct pull {
        struct kc_list node; /* in queue, while waiting */
        struct kc_images *images;
        char *image;
        struct kc_list waiters;
};

struct result {
        bool ok;
        char *message;
};

struct kc_images {
        struct kc_images_opts o;
        struct kc_backoff *backoff;
        pthread_mutex_t mutex;
        /* guarded by mutex */
        struct kc_map *pulls;   /* by image */
        struct kc_map *results; /* by "<pod uid>/<container>" */
        struct kc_map *errors;  /* last error by back-off key: char * */
        struct kc_map *used;    /* when an image was last in use: kc_time *, by ID */
        struct kc_list queue;
        int running;
        double tokens;
        kc_mono tokens_at;
};

static void result_free(void *p)
{
        struct result *r = p;
        kc_free(r->message);
        kc_free(r);
}

static void waiter_free(struct waiter *w)
{
        kc_list_remove(&w->node);
        kc_object_unref(w->pod);
        kc_free(w->container);
        kc_free(w->key);
        kc_free(w);
}

static void pull_free(void *p)
{
        struct pull *pull = p;
        KC_LIST_FOREACH(&pull->waiters, w, struct waiter, node)
        waiter_free(w);
        kc_list_remove(&pull->node);
        kc_free(pull->image);
        kc_free(pull);
}

struct kc_images *kc_images_new(const struct kc_images_opts *o)
{
        struct kc_images *i = KC_NEW(struct kc_images);
        i->o = *o;
        i->backoff = kc_backoff_new(INITIAL_BACKOFF_USEC, o->max_backoff_usec, o->clock);
        pthread_mutex_init(&i->mutex, NULL);
        i->pulls = kc_map_new(pull_free);
        i->results = kc_map_new(result_free);
        i->errors = kc_map_new(kc_free);
        i->used = kc_map_new(kc_free);
        kc_list_init(&i->queue);
        i->tokens = o->burst;
        i->tokens_at = kc_clock_mono(o->clock);
        return i;
}

void kc_images_free(struct kc_images *i)
{
        if (!i)
                return;
        kc_map_free(i->pulls);
        kc_map_free(i->results);
        kc_map_free(i->errors);
        kc_map_free(i->used);
        kc_backoff_free(i->backoff);
        pthread_mutex_destroy(&i->mutex);
        kc_free(i);
}

void kc_image_result_done(struct kc_image_result *r)
{
        kc_free(r->ref);
        kc_free(r->user);
        kc_free(r->reason);
        kc_free(r->message);
        *r = (struct kc_image_result){0};
}

static char *backoff_key(const struct json_object *pod, const char *image)
{
        return kc_asprintf("%s_%s", kc_meta_uid(pod), image);
}

/* --- Pulling */

static void start_pulls(struct kc_images *i);

static void event(struct kc_images *i, const struct waiter *w, const char *type, const char *reason, const char *text)
{
        kc_kubelet_event_pod(i->o.events, kc_object_json(w->pod), w->container, type, reason, "%s", text);
}

static uint64_t image_size(struct kc_images *i, const char *image)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ImageStatusResponse *status = NULL;
        if (kc_cri_image_status(i->o.cri, image, &status, NULL) < 0 || !status)
                return 0;
        return status->image->size;
}

/* Events and the result of one waiter; under the mutex but for the event, which never blocks. */
static void deliver(struct kc_images *i, const struct pull *p, struct waiter *w, const struct kc_error *err,
    kc_mono begin, kc_mono end, uint64_t size)
{
        char took[KC_TIME_LEN], waited[KC_TIME_LEN];
        struct result *res = KC_NEW(struct result);
        res->ok = err->errnum == 0;
        KC_CLEANUP(kc_freep) char *key = backoff_key(kc_object_json(w->pod), p->image);
        if (res->ok) {
                KC_CLEANUP(kc_freep)
                char *text = kc_asprintf(
                    "Successfully pulled image \"%s\" in %s (%s including waiting). Image size: %llu bytes.", p->image,
                    kc_duration_format((end - begin) / 1000 * 1000, took),
                    kc_duration_format((end - w->since) / 1000 * 1000, waited), (unsigned long long)size);
                event(i, w, KC_EVENT_NORMAL, "Pulled", text);
                kc_map_remove(i->errors, key);
        } else {
                res->message = kc_strdup(kc_error_message(err));
                KC_CLEANUP(kc_freep)
                char *text = kc_asprintf("Failed to pull image \"%s\": %s", p->image, res->message);
                event(i, w, KC_EVENT_WARNING, "Failed", text);
                kc_backoff_next(i->backoff, key, kc_clock_now(i->o.clock));
                kc_map_set(i->errors, key, kc_strdup(res->message));
        }
        kc_map_set(i->results, w->key, res);
}

/* Token bucket. */
static bool within_qps(struct kc_images *i)
{
        if (i->o.qps <= 0)
                return true;
        pthread_mutex_lock(&i->mutex);
        kc_mono now = kc_clock_mono(i->o.clock);
        i->tokens = KC_MIN(i->tokens + i->o.qps * (double)(now - i->tokens_at) / KC_SEC, (double)i->o.burst);
        i->tokens_at = now;
        bool ok = i->tokens >= 1;
        if (ok)
                i->tokens -= 1;
        pthread_mutex_unlock(&i->mutex);
        return ok;
}

static int pull_with_secrets(struct kc_images *i, struct pull *p, struct kc_error *err)
{
        pthread_mutex_lock(&i->mutex);
        struct waiter *first = KC_LIST_FIRST(&p->waiters, struct waiter, node);
        struct kc_object *pod = kc_object_ref(first->pod);
        pthread_mutex_unlock(&i->mutex);
        struct kc_pull_credentials creds = {0};
        kc_pull_credentials_find(i->o.objects, kc_object_json(pod), p->image, &creds);
        char *ref = NULL;
        int r = -ENOENT;
        for (size_t n = 0; n < creds.n && r < 0; n++) {
                Runtime__V1__AuthConfig auth = RUNTIME__V1__AUTH_CONFIG__INIT;
                auth.username = creds.v[n].username;
                auth.password = creds.v[n].password;
                auth.server_address = creds.v[n].server;
                auth.identity_token = creds.v[n].identity_token;
                r = kc_cri_pull_image(i->o.cri, p->image, &auth, NULL, &ref, err);
        }
        if (creds.n == 0)
                r = kc_cri_pull_image(i->o.cri, p->image, NULL, NULL, &ref, err);
        kc_free(ref);
        kc_pull_credentials_done(&creds);
        kc_object_unref(pod);
        return r;
}

static void run_pull(void *arg)
{
        struct pull *p = arg;
        struct kc_images *i = p->images;
        struct kc_error err = KC_ERROR_INIT;
        kc_mono begin = kc_clock_mono(i->o.clock);
        int r = within_qps(i) ? pull_with_secrets(i, p, &err) : kc_error_set(&err, EAGAIN, "pull QPS exceeded");
        if (r == 0)
                kc_error_done(&err); /* what an earlier credential ended with */
        kc_mono end = kc_clock_mono(i->o.clock);
        uint64_t size = r == 0 ? image_size(i, p->image) : 0;
        char **uids = NULL;
        pthread_mutex_lock(&i->mutex);
        KC_LIST_FOREACH(&p->waiters, w, struct waiter, node)
        {
                deliver(i, p, w, &err, begin, end, size);
                kc_strv_push(&uids, kc_meta_uid(kc_object_json(w->pod)));
        }
        i->running--;
        kc_map_remove(i->pulls, p->image);
        start_pulls(i);
        pthread_mutex_unlock(&i->mutex);
        kc_error_done(&err);
        kc_strv_sort_uniq(uids);
        for (char **uid = uids; uid && *uid; uid++)
                i->o.on_change(i->o.arg, *uid);
        kc_strv_free(uids);
}

/* Under the mutex. */
static void start_pulls(struct kc_images *i)
{
        while (i->running < i->o.max_parallel && !kc_list_empty(&i->queue)) {
                struct pull *p = KC_LIST_FIRST(&i->queue, struct pull, node);
                if (kc_pool_submit(i->o.pool, run_pull, p) < 0)
                        return; /* the next ensure tries again */
                kc_list_remove(&p->node);
                i->running++;
        }
}

static void add_waiter(
    struct kc_images *i, struct kc_object *pod, const char *container, const char *key, const char *image)
{
        struct pull *p = kc_map_get(i->pulls, image);
        if (!p) {
                p = KC_NEW(struct pull);
                p->images = i;
                p->image = kc_strdup(image);
                kc_list_init(&p->waiters);
                kc_list_init(&p->node);
                kc_map_set(i->pulls, image, p);
                kc_list_push_back(&i->queue, &p->node);
        }
        KC_LIST_FOREACH(&p->waiters, w, struct waiter, node)
        if (kc_streq(w->key, key)) {
                start_pulls(i);
                return;
        }
        struct waiter *w = KC_NEW(struct waiter);
        w->pod = kc_object_ref(pod);
        w->container = kc_strdup(container);
        w->key = kc_strdup(key);
        w->since = kc_clock_mono(i->o.clock);
        kc_list_push_back(&p->waiters, &w->node);
        KC_CLEANUP(kc_freep) char *text = kc_asprintf("Pulling image \"%s\"", image);
        event(i, w, KC_EVENT_NORMAL, "Pulling", text);
        start_pulls(i);
}

/* --- Deciding */

static int fail(struct kc_image_result *ret, const char *reason, char *take_message)
{
        ret->reason = kc_strdup(reason);
        ret->message = take_message;
        return -EIO;
}

static void take_image(struct kc_image_result *ret, const Runtime__V1__Image *image)
{
        ret->ref = kc_strdup(image->id);
        ret->uid = image->uid ? image->uid->value : -1;
        ret->user = kc_strdup(image->username);
}

/* The result that a pull left for this container: true if there was one. */
static bool take_result(struct kc_images *i, const char *key, bool *ret_ok, char **ret_message)
{
        pthread_mutex_lock(&i->mutex);
        struct result *res = kc_map_steal(i->results, key);
        pthread_mutex_unlock(&i->mutex);
        if (!res)
                return false;
        *ret_ok = res->ok;
        *ret_message = KC_TAKE(res->message);
        result_free(res);
        return true;
}

static int in_backoff(struct kc_images *i, const struct json_object *pod, const struct json_object *container,
    const char *image, const char *key, int64_t left, struct kc_image_result *ret)
{
        kc_kubelet_event_pod(i->o.events, pod, kc_json_str(container, "name"), KC_EVENT_NORMAL, "BackOff",
            "Back-off pulling image \"%s\"", image);
        ret->retry_at = kc_clock_now(i->o.clock) + left;
        pthread_mutex_lock(&i->mutex);
        KC_CLEANUP(kc_freep) char *last = kc_strdup(kc_map_get(i->errors, key));
        pthread_mutex_unlock(&i->mutex);
        return fail(ret, "ImagePullBackOff",
            last ? kc_asprintf("Back-off pulling image \"%s\": ErrImagePull: %s", image, last)
                 : kc_asprintf("Back-off pulling image \"%s\"", image));
}

const char *kc_image_pull_policy(const struct json_object *container)
{
        static const char *const policies[] = {"Always", "IfNotPresent", "Never"};
        const char *set = kc_json_str(container, "imagePullPolicy");
        for (size_t i = 0; set && i < KC_ARRAY_LEN(policies); i++)
                if (kc_streq(set, policies[i]))
                        return policies[i];
        KC_CLEANUP(kc_freep) char *name = kc_image_normalize(kc_json_str(container, "image") ?: "");
        return name && kc_str_has_suffix(name, ":latest") ? "Always" : "IfNotPresent";
}

int kc_images_ensure(
    struct kc_images *i, struct kc_object *o, const struct json_object *container, struct kc_image_result *ret)
{
        const struct json_object *pod = kc_object_json(o);
        const char *name = kc_json_str(container, "name"), *image = kc_json_str(container, "image") ?: "";
        const char *policy = kc_image_pull_policy(container);
        *ret = (struct kc_image_result){.uid = -1};
        KC_CLEANUP(kc_freep) char *normal = kc_image_normalize(image);
        if (!normal) {
                kc_kubelet_event_pod(i->o.events, pod, name, KC_EVENT_WARNING, "InspectFailed",
                    "Failed to apply default image tag \"%s\": couldn't parse image name \"%s\": invalid reference "
                    "format",
                    image, image);
                return fail(ret, "InvalidImageName",
                    kc_asprintf(
                        "Failed to apply default image tag \"%s\": couldn't parse image name \"%s\": invalid reference "
                        "format",
                        image, image));
        }
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", kc_meta_uid(pod), name);
        KC_CLEANUP(kc_freep) char *message = NULL;
        bool ok = false;
        bool pulled = take_result(i, key, &ok, &message);
        if (pulled && !ok)
                return fail(ret, "ErrImagePull", KC_TAKE(message));
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ImageStatusResponse *status = NULL;
        if (kc_cri_image_status(i->o.cri, normal, &status, &err) < 0) {
                kc_kubelet_event_pod(i->o.events, pod, name, KC_EVENT_WARNING, "InspectFailed",
                    "Failed to inspect image \"%s\": %s", image, kc_error_message(&err));
                message = kc_asprintf("Failed to inspect image \"%s\": %s", image, kc_error_message(&err));
                kc_error_done(&err);
                return fail(ret, "ImageInspectError", KC_TAKE(message));
        }
        if (status && (pulled || !kc_streq(policy, "Always"))) {
                if (!pulled)
                        kc_kubelet_event_pod(i->o.events, pod, name, KC_EVENT_NORMAL, "Pulled",
                            "Container image \"%s\" already present on machine and can be accessed by the pod", image);
                take_image(ret, status->image);
                return 0;
        }
        if (kc_streq(policy, "Never")) {
                message = kc_asprintf("Container image \"%s\" is not present with pull policy of Never", image);
                kc_kubelet_event_pod(i->o.events, pod, name, KC_EVENT_WARNING, "ErrImageNeverPull", "%s", message);
                return fail(ret, "ErrImageNeverPull", KC_TAKE(message));
        }
        KC_CLEANUP(kc_freep) char *bkey = backoff_key(pod, image);
        int64_t left = kc_backoff_remaining_since_update(i->backoff, bkey);
        if (left > 0)
                return in_backoff(i, pod, container, image, bkey, left, ret);
        pthread_mutex_lock(&i->mutex);
        add_waiter(i, o, name, key, image);
        pthread_mutex_unlock(&i->mutex);
        return -EINPROGRESS;
}

static void remove_prefixed(struct kc_map *m, const char *prefix)
{
        size_t it = 0;
        const char *key;
        void *value;
        while (kc_map_next(m, &it, &key, &value))
                if (kc_str_has_prefix(key, prefix))
                        kc_map_remove(m, key);
}

void kc_images_forget_pod(struct kc_images *i, const char *pod_uid)
{
        pthread_mutex_lock(&i->mutex);
        remove_prefixed(i->results, pod_uid);
        remove_prefixed(i->errors, pod_uid);
        pthread_mutex_unlock(&i->mutex);
        kc_backoff_gc(i->backoff);
}

/* --- Use, for garbage collection */

void kc_images_observe(struct kc_images *i, const Runtime__V1__ListImagesResponse *images,
    const Runtime__V1__ListContainersResponse *containers)
{
        kc_time now = kc_clock_now(i->o.clock);
        struct kc_map *seen = kc_map_new(kc_free);
        pthread_mutex_lock(&i->mutex);
        for (size_t n = 0; n < images->n_images; n++) {
                const char *id = images->images[n]->id;
                const kc_time *before = kc_map_get(i->used, id);
                kc_time *t = KC_NEW(kc_time);
                *t = before ? *before : now;
                for (size_t c = 0; c < containers->n_containers; c++)
                        if (kc_streq(containers->containers[c]->image_ref, id))
                                *t = now;
                kc_map_set(seen, id, t);
        }
        kc_map_free(i->used);
        i->used = seen;
        pthread_mutex_unlock(&i->mutex);
}

kc_time kc_images_last_used(struct kc_images *i, const char *image_id)
{
        pthread_mutex_lock(&i->mutex);
        const kc_time *t = kc_map_get(i->used, image_id);
        kc_time last = t ? *t : 0;
        pthread_mutex_unlock(&i->mutex);
        return last;
}

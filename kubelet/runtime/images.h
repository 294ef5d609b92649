/* Images of containers: pull policy, pulls that run by themselves with back-off. Upstream: pkg/kubelet/images. */
#pragma once

#include "event/worker.h"
#include "kubelet/cri/client.h"
#include "kubelet/events/events.h"
#include "kubelet/objcache/objcache.h"

struct kc_images;

struct kc_images_opts {
        struct kc_pool *pool;
        struct kc_cri *cri;
        struct kc_kubelet_events *events;
        struct kc_objcache *objects; /* imagePullSecrets; may be NULL */
        int max_parallel;            /* >= 1 */
        double qps; /* pulls per second, 0: no limit; more than burst at once fail with "pull QPS exceeded" */
        int burst;
        int64_t max_backoff_usec;
        const struct kc_clock *clock;
        void (*on_change)(void *arg, const char *pod_uid); /* a pull has ended */
        void *arg;
};
struct kc_images *kc_images_new(const struct kc_images_opts *o);
/* When the pool has drained. */
void kc_images_free(struct kc_images *i);
KC_DEFINE_CLEANUP(struct kc_images *, kc_images_free)

/* What the container's image resolves to. */
struct kc_image_result {
        char *ref;    /* image ID to run */
        int64_t uid;  /* user of the image; -1: none or a name */
        char *user;   /* "" if none */
        char *reason; /* failures: "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", ... */
        char *message;
        kc_time retry_at; /* back-off: when it ends */
};
void kc_image_result_done(struct kc_image_result *r);

/* 0: present, result set. -EINPROGRESS: a pull runs, on_change comes. Other negatives: reason and message are set (the
 * container's waiting state), events sent. Blocks only for looking at the image. */
int kc_images_ensure(
    struct kc_images *i, struct kc_object *pod, const struct json_object *container, struct kc_image_result *ret);
/* Remembers when each image was last seen in use by a container (or first seen at all), and forgets those that are
 * gone. */
void kc_images_observe(struct kc_images *i, const Runtime__V1__ListImagesResponse *images,
    const Runtime__V1__ListContainersResponse *containers);
/* 0: never seen. */
kc_time kc_images_last_used(struct kc_images *i, const char *image_id);
void kc_images_forget_pod(struct kc_images *i, const char *pod_uid);

/* "busybox" -> "docker.io/library/busybox:latest"; NULL: not a valid reference. Heap. */
char *kc_image_normalize(const char *image);
/* Pull policy in effect: the container's, or by its tag. */
const char *kc_image_pull_policy(const struct json_object *container);

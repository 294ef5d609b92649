/* Garbage: dead containers and sandboxes, log directories and links, unused images. Thread: housekeeping on the pool.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/runtime/runtime_internal.h"

typedef bool (*wanted_fn)(void *arg, const char *uid);

static const char *label(Runtime__V1__Container__LabelsEntry **labels, size_t n, const char *key)
{
        for (size_t i = 0; i < n; i++)
                if (kc_streq(labels[i]->key, key))
                        return labels[i]->value;
        return NULL;
}

static int newest_first(const void *a, const void *b)
{
        const Runtime__V1__Container *x = *(Runtime__V1__Container *const *)a, *y = *(Runtime__V1__Container *const *)b;
        return x->created_at < y->created_at ? 1 : x->created_at > y->created_at ? -1 : 0;
}

static bool old_enough(const struct kc_runtime *r, int64_t created_nanos, int64_t min_age)
{
        return kc_clock_now(r->o.clock) - created_nanos / 1000 >= min_age;
}

/* Ended containers that are not the newest ended ones of a known pod. Fills in_use with sandboxes that keep a
 * container. */
static int gc_containers(struct kc_runtime *r, int max, int64_t min_age, wanted_fn wanted, void *arg,
    struct kc_map *in_use, struct kc_error *err)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListContainersResponse *list = NULL;
        int res = kc_cri_list_containers(r->o.cri, NULL, &list, err);
        if (res < 0)
                return res;
        if (list->n_containers > 1)
                qsort(list->containers, list->n_containers, sizeof(*list->containers), newest_first);
        KC_CLEANUP(kc_map_freep) struct kc_map *kept = kc_map_new(kc_free);
        for (size_t i = 0; i < list->n_containers; i++) {
                const Runtime__V1__Container *c = list->containers[i];
                const char *uid = label(c->labels, c->n_labels, KC_LABEL_POD_UID);
                const char *name = label(c->labels, c->n_labels, KC_LABEL_CONTAINER_NAME);
                bool ended = c->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED;
                if (uid && name && ended && old_enough(r, c->created_at, min_age)) {
                        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%s/%s", uid, name);
                        int *n = kc_map_get(kept, key);
                        if (!n)
                                kc_map_set(kept, key, n = KC_NEW(int));
                        /* The newest is what the status of the pod shows; max counts those before it. */
                        if (!wanted(arg, uid) || ++*n > max + 1) {
                                res = kc_cri_remove_container(r->o.cri, c->id, err);
                                if (res < 0 && res != -ENOENT)
                                        return res;
                                continue;
                        }
                }
                kc_map_set(in_use, c->pod_sandbox_id, r); /* a set */
        }
        return 0;
}

/* Sandboxes that have ended and hold no container; of a known pod, the newest stays. */
static int gc_sandboxes(
    struct kc_runtime *r, wanted_fn wanted, void *arg, const struct kc_map *in_use, struct kc_error *err)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListPodSandboxResponse *list = NULL;
        int res = kc_cri_list_pod_sandboxes(r->o.cri, NULL, &list, err);
        if (res < 0)
                return res;
        for (size_t i = 0; i < list->n_items; i++) {
                const Runtime__V1__PodSandbox *s = list->items[i];
                if (!s->metadata || s->state == RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY ||
                    kc_map_has(in_use, s->id))
                        continue;
                bool newest = true;
                for (size_t k = 0; k < list->n_items; k++)
                        if (list->items[k]->metadata && kc_streq(list->items[k]->metadata->uid, s->metadata->uid) &&
                            list->items[k]->created_at > s->created_at)
                                newest = false;
                if (newest && wanted(arg, s->metadata->uid))
                        continue;
                res = kc_cri_remove_pod_sandbox(r->o.cri, s->id, err);
                if (res < 0 && res != -ENOENT)
                        return res;
        }
        return 0;
}

/* <ns>_<name>_<uid> of pods that are not known. */
static void gc_log_dirs(struct kc_runtime *r, wanted_fn wanted, void *arg)
{
        DIR *d = opendir(r->o.pod_logs_dir);
        for (struct dirent *e; d && (e = readdir(d));) {
                const char *uid = strrchr(e->d_name, '_');
                if (e->d_name[0] == '.' || !uid || wanted(arg, uid + 1))
                        continue;
                KC_CLEANUP(kc_freep) char *dir = kc_path_join(r->o.pod_logs_dir, e->d_name);
                struct kc_error err = KC_ERROR_INIT;
                if (kc_rm_rf(dir, &err) < 0)
                        kc_log_error(&err, "Failed to remove pod logs directory, retrying", "path", dir);
                kc_error_done(&err);
        }
        if (d)
                closedir(d);
}

/* Links to logs that are gone. */
static void gc_log_links(struct kc_runtime *r)
{
        DIR *d = opendir(r->o.container_logs_dir);
        for (struct dirent *e; d && (e = readdir(d));) {
                if (!kc_str_has_suffix(e->d_name, ".log"))
                        continue;
                KC_CLEANUP(kc_freep) char *link = kc_path_join(r->o.container_logs_dir, e->d_name);
                struct stat st;
                if (stat(link, &st) < 0 && errno == ENOENT && lstat(link, &st) == 0 && S_ISLNK(st.st_mode))
                        (void)unlink(link); /* the next round tries again */
        }
        if (d)
                closedir(d);
}

int kc_runtime_gc(struct kc_runtime *r, int max_per_container, int64_t min_age_usec, wanted_fn wanted, void *arg,
    struct kc_error *err)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *in_use = kc_map_new(NULL);
        int res = gc_containers(r, max_per_container, min_age_usec, wanted, arg, in_use, err);
        if (res == 0)
                res = gc_sandboxes(r, wanted, arg, in_use, err);
        if (res < 0)
                return res;
        kc_error_done(err); /* of what was gone already */
        gc_log_dirs(r, wanted, arg);
        gc_log_links(r);
        return 0;
}

/* --- Images */

/* Percent in use of the file system of the images; negative: not known. */
static int disk_usage(struct kc_runtime *r, int64_t *ret_capacity, int64_t *ret_used, struct kc_error *err)
{
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ImageFsInfoResponse *info = NULL;
        int res = kc_cri_image_fs_info(r->o.cri, &info, err);
        if (res < 0)
                return res;
        struct statvfs st;
        if (info->n_image_filesystems == 0 || !info->image_filesystems[0]->fs_id)
                return kc_error_set(err, ENODATA, "the runtime tells no image file system");
        const char *path = info->image_filesystems[0]->fs_id->mountpoint;
        if (statvfs(path, &st) < 0)
                return kc_error_set(err, errno, "file system of %s", path);
        *ret_capacity = (int64_t)st.f_blocks * (int64_t)st.f_frsize;
        *ret_used = *ret_capacity - (int64_t)st.f_bavail * (int64_t)st.f_frsize;
        return 0;
}

static bool image_in_use(const Runtime__V1__Image *image, const Runtime__V1__ListContainersResponse *containers)
{
        for (size_t i = 0; i < containers->n_containers; i++) {
                const Runtime__V1__Container *c = containers->containers[i];
                if (kc_streq(c->image_ref, image->id) || kc_streq(c->image_id, image->id) ||
                    (c->image && kc_streq(c->image->image, image->id)))
                        return true;
        }
        return false;
}

int kc_runtime_gc_images(
    struct kc_runtime *r, int high_percent, int low_percent, int64_t min_age_usec, struct kc_error *err)
{
        int64_t capacity = 0, used = 0;
        int res = disk_usage(r, &capacity, &used, err);
        if (res < 0)
                return res;
        if (capacity <= 0 || used * 100 / capacity < high_percent)
                return 0;
        int64_t to_free = used - capacity * low_percent / 100;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListImagesResponse *images = NULL;
        KC_CLEANUP(kc_cri_free_msgp) Runtime__V1__ListContainersResponse *containers = NULL;
        res = kc_cri_list_images(r->o.cri, &images, err);
        if (res == 0)
                res = kc_cri_list_containers(r->o.cri, NULL, &containers, err);
        if (res < 0)
                return res;
        kc_images_observe(r->images, images, containers);
        for (;;) {
                const Runtime__V1__Image *victim = NULL;
                kc_time oldest = kc_clock_now(r->o.clock) - min_age_usec;
                for (size_t i = 0; to_free > 0 && i < images->n_images; i++) {
                        const Runtime__V1__Image *im = images->images[i];
                        kc_time seen = kc_images_last_used(r->images, im->id);
                        if (!im->pinned && im->size > 0 && !image_in_use(im, containers) && seen && seen < oldest) {
                                oldest = seen;
                                victim = im;
                        }
                }
                if (!victim)
                        break;
                kc_log_info(
                    "Removing image to free bytes", "imageID", victim->id, "size", kc_log_i64((int64_t)victim->size));
                res = kc_cri_remove_image(r->o.cri, victim->id, err);
                if (res < 0)
                        return res;
                to_free -= (int64_t)victim->size;
                ((Runtime__V1__Image *)victim)->size = 0; /* done with */
        }
        return 0;
}

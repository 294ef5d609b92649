/* subPath of a volume, safe against links that a container changes while we look: the path is opened once, below the
 * volume (openat2), and that very file is bind-mounted where no container can write. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/volumes/volumes_internal.h"

enum { OPEN_TRIES = 64 };

/* The fd, or a negative errno; -EXDEV: leads out of the volume. */
static int open_beneath(int root, const char *path, int flags)
{
        struct open_how how = {
            .flags = (uint64_t)flags | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
        for (int i = 0; i < OPEN_TRIES; i++) {
                long fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
                if (fd >= 0)
                        return (int)fd;
                /* EAGAIN: something was renamed meanwhile. */
                if (errno != EAGAIN && errno != EINTR)
                        return -errno;
        }
        return -EAGAIN;
}

/* Makes the missing directories of path, with the volume's own mode. */
static int make_beneath(int root, const char *path, mode_t mode)
{
        KC_CLEANUP(kc_freep) char *done = kc_strdup("");
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(path, '/');
        for (size_t i = 0; parts[i]; i++) {
                if (!*parts[i] || kc_streq(parts[i], "."))
                        continue;
                char *next = *done ? kc_path_join(done, parts[i]) : kc_strdup(parts[i]);
                int fd = open_beneath(root, next, O_PATH);
                if (fd == -ENOENT) {
                        KC_CLEANUP(kc_closep) int parent = open_beneath(root, done, O_RDONLY | O_DIRECTORY);
                        if (parent < 0 || (mkdirat(parent, parts[i], mode) < 0 && errno != EEXIST)) {
                                kc_free(next);
                                return parent < 0 ? parent : -errno;
                        }
                        fd = openat(parent, parts[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                        if (fd >= 0 && fchmod(fd, mode) < 0) {
                                close(fd);
                                fd = -errno;
                        } else if (fd < 0) {
                                fd = -errno;
                        }
                }
                kc_free(done);
                done = next;
                if (fd < 0)
                        return fd;
                close(fd);
        }
        return 0;
}

/* Is what is mounted at target this very file? Else it is unmounted. */
static int check_mounted(const char *target, const struct stat *wanted, bool *ret_same, struct kc_error *err)
{
        struct stat st;
        *ret_same = false;
        if (!kc_volume_is_mount(target))
                return 0;
        if (lstat(target, &st) == 0 && st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino) {
                *ret_same = true;
                return 0;
        }
        if (umount2(target, UMOUNT_NOFOLLOW | MNT_DETACH) < 0)
                return kc_error_set(err, errno, "unmount %s: %s", target, strerror(errno));
        return 0;
}

/* A file or directory to mount on. */
static int make_target(const char *target, bool is_dir, struct kc_error *err)
{
        struct stat st;
        if (lstat(target, &st) == 0 && S_ISDIR(st.st_mode) != is_dir) {
                int r = S_ISDIR(st.st_mode) ? rmdir(target) : unlink(target);
                if (r < 0)
                        return kc_error_set(err, errno, "remove %s: %s", target, strerror(errno));
        }
        if (is_dir) {
                if (mkdir(target, 0750) < 0 && errno != EEXIST)
                        return kc_error_set(err, errno, "mkdir %s: %s", target, strerror(errno));
                return 0;
        }
        KC_CLEANUP(kc_closep) int fd = open(target, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
        return fd < 0 ? kc_error_set(err, errno, "create %s: %s", target, strerror(errno)) : 0;
}

static int bind_fd(int fd, const char *target, struct kc_error *err)
{
        struct stat st;
        bool same = false;
        if (fstat(fd, &st) < 0)
                return kc_error_set(err, errno, "stat: %s", strerror(errno));
        int r = check_mounted(target, &st, &same, err);
        if (r < 0 || same)
                return r;
        r = make_target(target, S_ISDIR(st.st_mode), err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_freep) char *from = kc_asprintf("/proc/self/fd/%d", fd);
        if (mount(from, target, NULL, MS_BIND, NULL) < 0)
                return kc_error_set(err, errno, "bind mount on %s: %s", target, strerror(errno));
        return 0;
}

int kc_subpath_prepare(struct kc_volumes *v, const char *uid, const char *volume, const char *container, size_t index,
    const char *volume_dir, const char *sub, char **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_closep) int root = open(volume_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct stat st;
        if (root < 0 || fstat(root, &st) < 0)
                return kc_error_set(err, errno, "open %s: %s", volume_dir, strerror(errno));
        KC_CLEANUP(kc_closep) int fd = open_beneath(root, sub, O_PATH);
        if (fd == -ENOENT) {
                int r = make_beneath(root, sub, st.st_mode & 07777);
                if (r < 0)
                        return kc_error_set(err, -r,
                            "failed to create subPath directory for volumeMount \"%s\" of container \"%s\"", volume,
                            container);
                fd = open_beneath(root, sub, O_PATH);
        }
        if (fd == -EXDEV || fd == -ELOOP)
                return kc_error_set(err, -fd, "subpath \"%s\" not within volume path \"%s\"", sub, volume_dir);
        if (fd < 0)
                return kc_error_set(err, -fd, "open subpath \"%s\" of %s: %s", sub, volume_dir, strerror(-fd));
        KC_CLEANUP(kc_freep) char *pod = kc_pod_dir(v->root, uid);
        KC_CLEANUP(kc_freep) char *dir = kc_asprintf("%s/volume-subpaths/%s/%s", pod, volume, container);
        KC_CLEANUP(kc_freep) char *target = kc_asprintf("%s/%zu", dir, index);
        int r = kc_mkdir_p(dir, 0750, err);
        if (r == 0)
                r = bind_fd(fd, target, err);
        if (r < 0)
                return r;
        *ret = KC_TAKE(target);
        return 0;
}

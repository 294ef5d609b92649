/* Whole files, directories and trees. Blocking. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"

enum { READ_CHUNK = 16384 };

void kc_closep(int *fd)
{
        if (*fd >= 0)
                (void)close(*fd); /* what matters was synced before */
        *fd = -1;
}

static int fail(struct kc_error *err, const char *what, const char *path)
{
        int errnum = errno;
        return kc_error_set(err, errnum, "%s %s: %s", what, path, kc_errno_text(errnum));
}

int kc_file_read(const char *path, size_t max, struct kc_buf *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return fail(err, "open", path);
        size_t start = ret->len;
        struct stat st;
        /* At once: a buffer that grows leaves pieces of what may be a key on the heap. */
        if (fstat(fd, &st) == 0 && st.st_size > 0)
                kc_buf_reserve(ret, KC_MIN((size_t)st.st_size, max) + 1);
        for (;;) {
                size_t left = max - (ret->len - start);
                if (ret->cap - ret->len < 2)
                        kc_buf_reserve(ret, READ_CHUNK);
                /* One byte more than is allowed tells that there is one. */
                ssize_t n = read(fd, ret->data + ret->len, KC_MIN(ret->cap - ret->len - 1, KC_MAX(left + 1, left)));
                if (n < 0 && errno == EINTR)
                        continue;
                int r = 0;
                if (n < 0)
                        r = fail(err, "read", path);
                else if ((size_t)n > left)
                        r = kc_error_set(err, EFBIG, "read %s: more than %zu bytes", path, max);
                if (r < 0) {
                        ret->len = start;
                        ret->data[start] = '\0';
                        return r;
                }
                ret->len += (size_t)n;
                ret->data[ret->len] = '\0';
                if (n == 0)
                        return 0;
        }
}

static int write_all(int fd, const char *data, size_t len)
{
        while (len > 0) {
                ssize_t n = write(fd, data, len);
                if (n < 0 && errno != EINTR)
                        return -1;
                if (n > 0) {
                        data += n;
                        len -= (size_t)n;
                }
        }
        return 0;
}

/* The directory part: "a/b" -> "a", "b" -> ".", "/b" -> "/". */
static char *parent_dir(const char *path)
{
        const char *slash = strrchr(path, '/');
        if (!slash)
                return kc_strdup(".");
        return kc_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Makes a rename in the directory durable. */
static int sync_dir(const char *dir, struct kc_error *err)
{
        KC_CLEANUP(kc_closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return fail(err, "open", dir);
        /* File systems without directory sync say EINVAL. */
        if (fsync(fd) < 0 && errno != EINVAL)
                return fail(err, "sync", dir);
        return 0;
}

int kc_file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *tmp = kc_asprintf("%s.tmpXXXXXX", path);
        KC_CLEANUP(kc_closep) int fd = mkostemp(tmp, O_CLOEXEC);
        if (fd < 0)
                return fail(err, "create a temporary file for", path);
        int r = 0;
        if (fchmod(fd, mode) < 0 || write_all(fd, data, len) < 0 || fsync(fd) < 0)
                r = fail(err, "write", tmp);
        else if (rename(tmp, path) < 0)
                r = fail(err, "replace", path);
        if (r < 0) {
                (void)unlink(tmp); /* the first error is the one to tell */
                return r;
        }
        KC_CLEANUP(kc_freep) char *dir = parent_dir(path);
        return sync_dir(dir, err);
}

static bool is_dir(const char *path)
{
        struct stat st;
        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int kc_mkdir_p(const char *path, mode_t mode, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *p = kc_strdup(path);
        for (char *at = p; *at; at++) {
                at += strspn(at, "/");
                at += strcspn(at, "/");
                char end = *at;
                *at = '\0';
                if (*p && mkdir(p, mode) < 0 && (errno != EEXIST || !is_dir(p))) {
                        if (errno == EEXIST)
                                errno = ENOTDIR;
                        return fail(err, "make directory", p);
                }
                *at = end;
                if (!end)
                        break;
        }
        return 0;
}

bool kc_path_exists(const char *path)
{
        return faccessat(AT_FDCWD, path, F_OK, 0) == 0;
}

char *kc_path_join(const char *a, const char *b)
{
        size_t len = strlen(a);
        while (len > 0 && a[len - 1] == '/')
                len--;
        b += strspn(b, "/");
        return kc_asprintf("%.*s/%s", (int)len, a, b);
}

/* --- Removing trees. A tree may be made by a hostile container: links are not followed, mounts not entered, and what
 * is nested deeper than descriptors reach is first moved up to the root of the tree. */

enum { MAX_OPEN_DEPTH = 64 };

struct removal {
        int root_fd;
        uint64_t mount_id;
        bool moved; /* something was moved up: the root has to be read again */
        const char *path;
        struct kc_error *err;
};

static int mount_id_of(int fd, uint64_t *ret_id)
{
        struct statx stx;
        if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &stx) < 0)
                return -1;
        *ret_id = stx.stx_mnt_id;
        return 0;
}

static int remove_below(struct removal *r, int take_fd, int depth);

static int move_up(struct removal *r, int fd, const char *name)
{
        char suffix[17], target[32];
        kc_rand_suffix(suffix, sizeof(suffix) - 1);
        snprintf(target, sizeof(target), ".kc-rm-%s", suffix);
        if (renameat(fd, name, r->root_fd, target) < 0)
                return fail(r->err, "remove", r->path);
        r->moved = true;
        return 0;
}

static int remove_dir(struct removal *r, int fd, const char *name, int depth)
{
        int sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub < 0)
                return errno == ENOENT ? 0 : fail(r->err, "open a directory in", r->path);
        uint64_t mount_id;
        if (mount_id_of(sub, &mount_id) < 0) {
                int e = fail(r->err, "stat a directory in", r->path);
                (void)close(sub);
                return e;
        }
        if (mount_id != r->mount_id) {
                (void)close(sub);
                return kc_error_set(r->err, EBUSY, "remove %s: %s in it is a mount point", r->path, name);
        }
        if (depth >= MAX_OPEN_DEPTH) {
                (void)close(sub);
                return move_up(r, fd, name);
        }
        int e = remove_below(r, sub, depth + 1);
        if (e < 0)
                return e;
        if (unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                return fail(r->err, "remove a directory in", r->path);
        return 0;
}

static int remove_entry(struct removal *r, int fd, const char *name, int depth)
{
        if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return fail(r->err, "remove a file in", r->path);
        struct stat st;
        if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode)) {
                errno = EPERM;
                return fail(r->err, "remove a file in", r->path);
        }
        return remove_dir(r, fd, name, depth);
}

static int remove_below(struct removal *r, int take_fd, int depth)
{
        DIR *dir = fdopendir(take_fd);
        if (!dir) {
                int e = fail(r->err, "read a directory in", r->path);
                (void)close(take_fd);
                return e;
        }
        int e = 0;
        while (e == 0) {
                errno = 0;
                const struct dirent *d = readdir(dir);
                if (!d) {
                        if (errno != 0)
                                e = fail(r->err, "read a directory in", r->path);
                        break;
                }
                if (!kc_streq(d->d_name, ".") && !kc_streq(d->d_name, ".."))
                        e = remove_entry(r, dirfd(dir), d->d_name, depth);
        }
        (void)closedir(dir);
        return e;
}

/* True (with 0 in ret) when path is gone or was no directory. */
static bool remove_plain(const char *path, int *ret)
{
        *ret = 0;
        if (unlink(path) == 0 || errno == ENOENT)
                return true;
        struct stat st;
        int errnum = errno;
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
                return false;
        errno = errnum;
        *ret = -1;
        return true;
}

int kc_rm_rf(const char *path, struct kc_error *err)
{
        int plain;
        if (remove_plain(path, &plain))
                return plain < 0 ? fail(err, "remove", path) : 0;
        KC_CLEANUP(kc_closep) int root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct removal r = {.root_fd = root, .path = path, .err = err};
        if (root < 0 || mount_id_of(root, &r.mount_id) < 0)
                return fail(err, "open", path);
        do {
                r.moved = false;
                int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd < 0)
                        return fail(err, "open", path);
                int e = remove_below(&r, fd, 0);
                if (e < 0)
                        return e;
        } while (r.moved);
        if (rmdir(path) < 0 && errno != ENOENT)
                return fail(err, "remove", path);
        return 0;
}

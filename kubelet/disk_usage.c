/* Walks a tree that others change, with one open directory at a time: names of subdirectories are kept for each level,
 * and the way up is "..", which has to be the directory that we came from. Any thread. */
#include "kubelet/disk_usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"

enum { NAMES_MAX = 64 << 20, BLOCK = 512, DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

struct level {
        struct kc_buf names; /* of directories in it, each with its NUL */
        size_t at;
        ino_t ino;
};

struct walk {
        struct level *levels;
        size_t n, capacity;
        size_t names_bytes;
        struct kc_map *seen; /* inodes with several names */
        dev_t dev;
        uint64_t bytes;
};

static bool seen_before(struct walk *w, const struct stat *st)
{
        static char present;
        char key[2 * sizeof(unsigned long long) + 1];
        snprintf(key, sizeof(key), "%llx", (unsigned long long)st->st_ino);
        if (kc_map_has(w->seen, key))
                return true;
        w->names_bytes += sizeof(key);
        (void)kc_map_set(w->seen, key, &present); /* new, as was just seen */
        return false;
}

/* Counts what is in the directory, and notes what is to be entered. */
static int scan(struct walk *w, int fd, struct level *l)
{
        int copy = openat(fd, ".", DIR_FLAGS);
        DIR *d = copy < 0 ? NULL : fdopendir(copy);
        if (!d) {
                int r = -errno;
                if (copy >= 0)
                        close(copy);
                return r;
        }
        struct stat st;
        for (struct dirent *e; w->names_bytes <= NAMES_MAX && (e = readdir(d));) {
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != w->dev)
                        continue;
                bool is_dir = S_ISDIR(st.st_mode);
                if (!is_dir && st.st_nlink > 1 && seen_before(w, &st))
                        continue;
                w->bytes += (uint64_t)st.st_blocks * BLOCK;
                if (is_dir) {
                        size_t len = strlen(e->d_name) + 1;
                        kc_buf_add(&l->names, e->d_name, len);
                        w->names_bytes += len;
                }
        }
        closedir(d);
        return w->names_bytes > NAMES_MAX ? -E2BIG : 0;
}

static void leave(struct walk *w)
{
        struct level *l = &w->levels[--w->n];
        w->names_bytes -= l->names.len;
        kc_buf_done(&l->names);
}

static int enter(struct walk *w, int fd, ino_t ino)
{
        if (w->n == w->capacity) {
                w->capacity = KC_MAX(2 * w->capacity, (size_t)16);
                w->levels = kc_reallocarray(w->levels, w->capacity, sizeof(*w->levels));
        }
        w->levels[w->n] = (struct level){.names = KC_BUF_INIT, .ino = ino};
        return scan(w, fd, &w->levels[w->n++]);
}

/* Up again: what ".." leads to may be another directory by now. */
static int go_up(struct walk *w, int *fd)
{
        struct stat st;
        int up = openat(*fd, "..", DIR_FLAGS);
        if (up < 0)
                return -errno;
        close(*fd);
        *fd = up;
        if (fstat(up, &st) < 0)
                return -errno;
        return st.st_dev == w->dev && st.st_ino == w->levels[w->n - 1].ino ? 0 : -EAGAIN;
}

static int go_down(struct walk *w, int *fd, const char *name)
{
        struct stat st;
        int down = openat(*fd, name, DIR_FLAGS);
        if (down < 0)
                return 0; /* it has gone, or is something else now */
        if (fstat(down, &st) < 0 || st.st_dev != w->dev) {
                close(down);
                return 0;
        }
        close(*fd);
        *fd = down;
        return enter(w, down, st.st_ino);
}

static int walk_from(struct walk *w, int *fd, ino_t ino)
{
        int r = enter(w, *fd, ino);
        while (r == 0) {
                struct level *l = &w->levels[w->n - 1];
                if (l->at < l->names.len) {
                        const char *name = l->names.data + l->at;
                        l->at += strlen(name) + 1;
                        r = go_down(w, fd, name);
                        continue;
                }
                leave(w);
                if (w->n == 0)
                        return 0;
                r = go_up(w, fd);
        }
        return r;
}

int kc_disk_usage(const char *path, uint64_t *ret)
{
        struct stat st;
        if (lstat(path, &st) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode)) {
                *ret = (uint64_t)st.st_blocks * BLOCK;
                return 0;
        }
        KC_CLEANUP(kc_closep) int fd = open(path, DIR_FLAGS);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        struct walk w = {.seen = kc_map_new(NULL), .dev = st.st_dev, .bytes = (uint64_t)st.st_blocks * BLOCK};
        int r = walk_from(&w, &fd, st.st_ino);
        while (w.n > 0)
                leave(&w);
        kc_free(w.levels);
        kc_map_free(w.seen);
        if (r == 0)
                *ret = w.bytes;
        return r;
}

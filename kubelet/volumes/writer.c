/* Files that change together, as upstream's AtomicWriter:
 *
 *   <dir>/a.conf -> ..data/a.conf          made once
 *   <dir>/..data -> ..2026_11_21_12_00_00.x1y2z3     replaced by rename(2)
 *   <dir>/..2026_11_21_12_00_00.x1y2z3/a.conf
 *
 * Containers mount these volumes read-only: nobody else changes them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/volumes/volumes_internal.h"

enum { FILE_MAX_BYTES = 16 * 1024 * 1024 };

#define DATA_LINK "..data"
#define DATA_LINK_NEW "..data_tmp"

void kc_payload_add(struct kc_payload *p, const char *path, const void *data, size_t len, mode_t mode, int64_t uid)
{
        struct kc_payload_file *f = NULL;
        for (size_t i = 0; !f && i < p->n; i++)
                if (kc_streq(p->v[i].path, path))
                        f = &p->v[i];
        if (f) {
                kc_free(f->path);
                kc_free_secret(f->data, f->len);
        } else {
                p->v = kc_reallocarray(p->v, p->n + 1, sizeof(*p->v));
                f = &p->v[p->n++];
        }
        *f = (struct kc_payload_file){.path = kc_strdup(path), .data = kc_malloc(len + 1), .len = len};
        if (len)
                memcpy(f->data, data, len);
        f->data[len] = '\0';
        f->mode = mode;
        f->uid = uid;
}

void kc_payload_done(struct kc_payload *p)
{
        for (size_t i = 0; i < p->n; i++) {
                kc_free(p->v[i].path);
                kc_free_secret(p->v[i].data, p->v[i].len);
        }
        kc_free(p->v);
        *p = (struct kc_payload){0};
}

static int check_path(const char *path, struct kc_error *err)
{
        if (!*path)
                return kc_error_set(err, EINVAL, "invalid path: must not be empty: \"%s\"", path);
        if (*path == '/')
                return kc_error_set(err, EINVAL, "invalid path: must be relative path: %s", path);
        if (kc_str_has_prefix(path, ".."))
                return kc_error_set(err, EINVAL, "file names must not start with '..': %s", path);
        for (const char *at = path; (at = strstr(at, "/..")); at += 3)
                if (at[3] == '/' || at[3] == '\0')
                        return kc_error_set(err, EINVAL, "invalid path: must not contain '..': %s", path);
        return 0;
}

/* --- Is it there already? */

/* Regular files below dir, relative; counts them. */
static size_t count_files(const char *dir)
{
        size_t n = 0;
        DIR *d = opendir(dir);
        for (struct dirent *e; d && (e = readdir(d));) {
                if (kc_streq(e->d_name, ".") || kc_streq(e->d_name, ".."))
                        continue;
                KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, e->d_name);
                struct stat st;
                if (lstat(path, &st) == 0)
                        n += S_ISDIR(st.st_mode) ? count_files(path) : 1;
        }
        if (d)
                closedir(d);
        return n;
}

static bool is_current(const char *data_dir, const struct kc_payload *p)
{
        for (size_t i = 0; i < p->n; i++) {
                KC_CLEANUP(kc_freep) char *path = kc_path_join(data_dir, p->v[i].path);
                KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
                if (kc_file_read(path, FILE_MAX_BYTES, &b, NULL) < 0 || b.len != p->v[i].len ||
                    (b.len && memcmp(b.data, p->v[i].data, b.len) != 0))
                        return false;
        }
        return count_files(data_dir) == p->n;
}

/* --- Writing */

static int write_file(const char *dir, const struct kc_payload_file *f, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, f->path);
        KC_CLEANUP(kc_freep) char *parent = kc_strdup(path);
        *strrchr(parent, '/') = '\0';
        for (char *at = parent + strlen(dir); *at; at++) {
                at += strspn(at, "/");
                at += strcspn(at, "/");
                char end = *at;
                *at = '\0';
                if ((mkdir(parent, 0755) < 0 && errno != EEXIST) || chmod(parent, 0755) < 0)
                        return kc_error_set(err, errno, "mkdir %s: %s", parent, strerror(errno));
                *at = end;
                if (!end)
                        break;
        }
        KC_CLEANUP(kc_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return kc_error_set(err, errno, "open %s: %s", path, strerror(errno));
        for (size_t done = 0; done < f->len;) {
                ssize_t n = write(fd, f->data + done, f->len - done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return kc_error_set(err, errno, "write %s: %s", path, strerror(errno));
                done += (size_t)n;
        }
        if ((f->uid >= 0 && fchown(fd, (uid_t)f->uid, (gid_t)-1) < 0) || fchmod(fd, f->mode & 0777) < 0)
                return kc_error_set(err, errno, "set owner and mode of %s: %s", path, strerror(errno));
        return 0;
}

/* A new directory beside the old one, named by the time. */
static int make_data_dir(const char *dir, const struct kc_clock *clock, char **ret, struct kc_error *err)
{
        char stamp[64];
        time_t now = (time_t)(kc_clock_now(clock) / KC_SEC);
        struct tm tm;
        if (!gmtime_r(&now, &tm) || strftime(stamp, sizeof(stamp), "..%Y_%m_%d_%H_%M_%S.XXXXXX", &tm) == 0)
                return kc_error_set(err, EINVAL, "no name for the time");
        KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, stamp);
        if (!mkdtemp(path) || chmod(path, 0755) < 0)
                return kc_error_set(err, errno, "mkdir %s: %s", path, strerror(errno));
        *ret = KC_TAKE(path);
        return 0;
}

/* First component of a path. Heap. */
static char *first_name(const char *path)
{
        return kc_strndup(path, strcspn(path, "/"));
}

/* Links that users see, for names that do not have one yet. */
static int make_links(const char *dir, const struct kc_payload *p, struct kc_error *err)
{
        for (size_t i = 0; i < p->n; i++) {
                KC_CLEANUP(kc_freep) char *name = first_name(p->v[i].path);
                KC_CLEANUP(kc_freep) char *link = kc_path_join(dir, name);
                KC_CLEANUP(kc_freep) char *target = kc_path_join(DATA_LINK, name);
                if (symlink(target, link) < 0 && errno != EEXIST)
                        return kc_error_set(err, errno, "symlink %s: %s", link, strerror(errno));
        }
        return 0;
}

static bool has_name(const struct kc_payload *p, const char *name)
{
        size_t n = strlen(name);
        for (size_t i = 0; i < p->n; i++)
                if (strncmp(p->v[i].path, name, n) == 0 && (p->v[i].path[n] == '\0' || p->v[i].path[n] == '/'))
                        return true;
        return false;
}

/* Links to nothing and data directories that are not current (of a write that was cut short, too). */
static int remove_old(const char *dir, const struct kc_payload *p, const char *current, struct kc_error *err)
{
        int r = 0;
        DIR *d = opendir(dir);
        if (!d)
                return kc_error_set(err, errno, "open %s: %s", dir, strerror(errno));
        for (struct dirent *e; r == 0 && (e = readdir(d));) {
                const char *name = e->d_name;
                if (kc_streq(name, ".") || kc_streq(name, "..") || kc_streq(name, DATA_LINK) ||
                    kc_streq(name, current) || has_name(p, name))
                        continue;
                KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, name);
                if (kc_str_has_prefix(name, ".."))
                        r = kc_rm_rf(path, err);
                else if (unlink(path) < 0 && errno != ENOENT)
                        r = kc_error_set(err, errno, "remove %s: %s", path, strerror(errno));
        }
        closedir(d);
        return r;
}

static int swap(const char *dir, const char *data_dir, struct kc_error *err)
{
        const char *name = strrchr(data_dir, '/') + 1;
        KC_CLEANUP(kc_freep) char *link = kc_path_join(dir, DATA_LINK);
        KC_CLEANUP(kc_freep) char *link_new = kc_path_join(dir, DATA_LINK_NEW);
        if (unlink(link_new) < 0 && errno != ENOENT)
                return kc_error_set(err, errno, "remove %s: %s", link_new, strerror(errno));
        if (symlink(name, link_new) < 0)
                return kc_error_set(err, errno, "symlink %s: %s", link_new, strerror(errno));
        if (rename(link_new, link) < 0)
                return kc_error_set(err, errno, "rename %s: %s", link_new, strerror(errno));
        return 0;
}

int kc_payload_write(
    const char *dir, const struct kc_payload *p, int64_t fs_group, const struct kc_clock *clock, struct kc_error *err)
{
        for (size_t i = 0; i < p->n; i++) {
                int r = check_path(p->v[i].path, err);
                if (r < 0)
                        return r;
        }
        KC_CLEANUP(kc_freep) char *link = kc_path_join(dir, DATA_LINK);
        KC_CLEANUP(kc_freep) char *data_dir = NULL;
        char target[NAME_MAX + 1];
        ssize_t n = readlink(link, target, sizeof(target) - 1);
        int r = 0;
        if (n > 0) {
                target[n] = '\0';
                if (is_current(link, p)) {
                        /* A write that was cut short after its swap may have left links out. */
                        r = make_links(dir, p, err);
                        return r < 0 ? r : remove_old(dir, p, target, err);
                }
        }
        r = make_data_dir(dir, clock, &data_dir, err);
        for (size_t i = 0; r == 0 && i < p->n; i++)
                r = write_file(data_dir, &p->v[i], err);
        if (r == 0)
                r = kc_volume_own(dir, fs_group, true, err);
        if (r == 0)
                r = swap(dir, data_dir, err);
        if (r < 0) {
                if (data_dir)
                        (void)kc_rm_rf(data_dir, NULL); /* the first error counts */
                return r;
        }
        r = make_links(dir, p, err);
        return r < 0 ? r : remove_old(dir, p, strrchr(data_dir, '/') + 1, err);
}

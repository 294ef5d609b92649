/* A log file with rotation by size, and old ones removed by number and age. One thread at a time. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "audit/sink.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"

enum { FILE_MODE = 0600, DIR_MODE = 0700, DAY_S = 24 * 3600, COPY_CHUNK = 64 << 10, STAMP_LEN = 24 };

struct kc_rotated_file {
        char *path, *dir, *stem, *extension; /* /var/log/audit.log: dir /var/log, stem audit, extension .log */
        struct kc_rotation rotation;
        int fd;
        int64_t size;
};

static void close_file(struct kc_rotated_file *f)
{
        kc_closep(&f->fd);
        f->fd = -1;
}

static int open_file(struct kc_rotated_file *f, struct kc_error *err)
{
        struct stat st;
        f->fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, FILE_MODE);
        if (f->fd < 0 || fstat(f->fd, &st) < 0) {
                int r = kc_error_set(err, errno, "open %s: %s", f->path, strerror(errno));
                close_file(f);
                return r;
        }
        f->size = st.st_size;
        return 0;
}

int kc_rotated_file_open(
    const char *path, const struct kc_rotation *r, struct kc_rotated_file **ret, struct kc_error *err)
{
        struct kc_rotated_file *f = KC_NEW(struct kc_rotated_file);
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
        f->fd = -1;
        f->path = kc_strdup(path);
        f->dir = slash ? kc_strndup(path, (size_t)(slash - path)) : kc_strdup(".");
        f->stem = dot ? kc_strndup(name, (size_t)(dot - name)) : kc_strdup(name);
        f->extension = kc_strdup(dot ? dot : "");
        f->rotation = *r;
        int e = *f->dir ? kc_mkdir_p(f->dir, DIR_MODE, err) : 0;
        if (e == 0)
                e = open_file(f, err);
        if (e < 0) {
                kc_rotated_file_free(f);
                return e;
        }
        *ret = f;
        return 0;
}

void kc_rotated_file_free(struct kc_rotated_file *f)
{
        if (!f)
                return;
        kc_closep(&f->fd);
        kc_free(f->path);
        kc_free(f->dir);
        kc_free(f->stem);
        kc_free(f->extension);
        kc_free(f);
}

/* --- old files */

/* "audit-2026-11-21T12-21-10.123.log", with .gz or without; the time in *ret. */
static bool is_backup(const struct kc_rotated_file *f, const char *name, char ret[static STAMP_LEN])
{
        size_t stem = strlen(f->stem), ext = strlen(f->extension), len = strlen(name);
        const size_t stamp = STAMP_LEN - 1;
        if (len > 3 && strcmp(name + len - 3, ".gz") == 0)
                len -= 3;
        if (len != stem + 1 + stamp + ext || strncmp(name, f->stem, stem) != 0 || name[stem] != '-' ||
            strncmp(name + stem + 1 + stamp, f->extension, ext) != 0)
                return false;
        memcpy(ret, name + stem + 1, stamp);
        ret[stamp] = '\0';
        return true;
}

static void stamp_of(kc_time t, char ret[static STAMP_LEN])
{
        time_t seconds = (time_t)(t / KC_SEC);
        struct tm tm;
        size_t n = strftime(ret, STAMP_LEN, "%Y-%m-%dT%H-%M-%S", gmtime_r(&seconds, &tm));
        (void)snprintf(ret + n, STAMP_LEN - n, ".%03d", (int)(t / KC_MSEC % 1000)); /* fits */
}

static void remove_old(struct kc_rotated_file *f)
{
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        char stamp[STAMP_LEN], oldest[STAMP_LEN];
        DIR *d = opendir(*f->dir ? f->dir : "/");
        for (struct dirent *e; d && (e = readdir(d));)
                if (is_backup(f, e->d_name, stamp))
                        kc_strv_push(&names, e->d_name);
        if (d)
                (void)closedir(d); /* read only */
        kc_strv_sort(names);
        size_t n = kc_strv_len(names);
        stamp_of(kc_clock_now(NULL) - (kc_time)f->rotation.max_age_days * DAY_S * KC_SEC, oldest);
        for (size_t i = 0; i < n; i++) {
                bool many = f->rotation.max_backups > 0 && n - i > (size_t)f->rotation.max_backups;
                bool aged = f->rotation.max_age_days > 0 && is_backup(f, names[i], stamp) && strcmp(stamp, oldest) < 0;
                KC_CLEANUP(kc_freep) char *path = kc_path_join(f->dir, names[i]);
                if ((many || aged) && unlink(path) < 0)
                        kc_log_warn("Cannot remove an old audit log, ignoring", "path", path, "err", strerror(errno));
        }
}

static int compress_file(const char *path, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *to = kc_asprintf("%s.gz", path);
        KC_CLEANUP(kc_freep) char *chunk = kc_malloc(COPY_CHUNK);
        KC_CLEANUP(kc_closep) int in = open(path, O_RDONLY | O_CLOEXEC);
        KC_CLEANUP(kc_closep) int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
        gzFile gz = out < 0 ? NULL : gzdopen(dup(out), "wb");
        ssize_t n = -1;
        if (in < 0 || !gz)
                return kc_error_set(err, errno, "%s: %s", to, strerror(errno));
        while ((n = read(in, chunk, COPY_CHUNK)) > 0 && gzwrite(gz, chunk, (unsigned)n) == (int)n)
                ;
        if (gzclose(gz) != Z_OK || n != 0) {
                (void)unlink(to); /* the plain file stays */
                return kc_error_set(err, EIO, "cannot compress %s", path);
        }
        return unlink(path) < 0 ? kc_error_set(err, errno, "remove %s: %s", path, strerror(errno)) : 0;
}

static int rotate(struct kc_rotated_file *f, struct kc_error *err)
{
        char stamp[STAMP_LEN];
        stamp_of(kc_clock_now(NULL), stamp);
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s-%s%s", f->stem, stamp, f->extension);
        KC_CLEANUP(kc_freep) char *to = kc_path_join(f->dir, name);
        KC_CLEANUP(kc_error_done) struct kc_error ignored = KC_ERROR_INIT;
        close_file(f);
        if (rename(f->path, to) < 0)
                kc_log_warn("Cannot rotate the audit log, writing on", "path", f->path, "err", strerror(errno));
        else if (f->rotation.compress && compress_file(to, &ignored) < 0)
                kc_log_warn("Cannot compress an audit log, ignoring", "err", kc_error_message(&ignored));
        remove_old(f);
        return open_file(f, err);
}

/* Takes back the part of a line that fitted in, unless others write there, too. The next line looks for the file again:
 * to free a full disk, somebody may have removed it. */
static void give_up_line(struct kc_rotated_file *f, size_t part)
{
        struct stat st;
        if (part && fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == f->size &&
            ftruncate(f->fd, st.st_size - (off_t)part) < 0)
                kc_log_warn("Cannot take back a part of a line, ignoring", "path", f->path, "err", strerror(errno));
        close_file(f);
}

int kc_rotated_file_write(struct kc_rotated_file *f, const void *data, size_t len, struct kc_error *err)
{
        int r = 0;
        if (f->fd < 0)
                r = open_file(f, err);
        else if (f->size > 0 && f->size + (int64_t)len > f->rotation.max_size)
                r = rotate(f, err);
        if (r < 0)
                return r;
        for (size_t done = 0; done < len;) {
                ssize_t n = write(f->fd, (const char *)data + done, len - done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        r = kc_error_set(err, errno, "write %s: %s", f->path, strerror(errno));
                        give_up_line(f, done);
                        return r;
                }
                done += (size_t)n;
                f->size += n;
        }
        return 0;
}

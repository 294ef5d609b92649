/* Rotation of container logs: x.log -> x.log.20261121-122110, the runtime opens a new x.log, older ones are compressed,
 * the oldest go. Thread: housekeeping on the pool. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/runtime/runtime_internal.h"

static int compress_file(const char *path, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *tmp = kc_asprintf("%s.tmp", path);
        KC_CLEANUP(kc_freep) char *gz = kc_asprintf("%s.gz", path);
        KC_CLEANUP(kc_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return kc_error_set(err, errno, "open %s", path);
        gzFile out = gzopen(tmp, "wbe");
        if (!out)
                return kc_error_set(err, errno ? errno : ENOMEM, "open %s", tmp);
        char buf[65536];
        ssize_t n = 0;
        bool failed = false;
        while (!failed && (n = read(fd, buf, sizeof(buf))) > 0)
                failed = gzwrite(out, buf, (unsigned)n) != n;
        failed |= gzclose(out) != Z_OK || n < 0;
        if (failed || rename(tmp, gz) < 0) {
                (void)unlink(tmp); /* cleanup on a path that fails already */
                return kc_error_set(err, EIO, "compress %s", path);
        }
        return unlink(path) < 0 ? kc_error_set(err, errno, "remove %s", path) : 0;
}

/* Rotated files of a log, oldest first (their names sort by time). */
static char **rotated(const char *path)
{
        KC_CLEANUP(kc_freep) char *dir = kc_strndup(path, (size_t)(strrchr(path, '/') - path));
        const char *base = strrchr(path, '/') + 1;
        char **files = NULL;
        DIR *d = opendir(dir);
        for (struct dirent *e; d && (e = readdir(d));) {
                size_t len = strlen(base);
                if (kc_str_has_prefix(e->d_name, base) && e->d_name[len] == '.')
                        kc_strv_push_take(&files, kc_path_join(dir, e->d_name));
        }
        if (d)
                closedir(d);
        if (files)
                kc_strv_sort(files);
        return files;
}

static int clean_rotated(const char *path, int max_files, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **files = rotated(path);
        size_t n = kc_strv_len(files), keep = max_files > 2 ? (size_t)max_files - 2 : 0;
        for (size_t i = 0; i < n; i++) {
                int r = 0;
                if (kc_str_has_suffix(files[i], ".tmp") || i + keep < n) {
                        if (unlink(files[i]) < 0 && errno != ENOENT)
                                r = kc_error_set(err, errno, "remove %s", files[i]);
                } else if (!kc_str_has_suffix(files[i], ".gz")) {
                        r = compress_file(files[i], err);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int kc_runtime_rotate_log(
    struct kc_runtime *r, const struct kc_rt_container *c, int64_t max_size, int max_files, struct kc_error *err)
{
        struct stat st;
        if (kc_str_empty(c->log_path) || !strchr(c->log_path, '/') || max_size <= 0)
                return 0;
        if (stat(c->log_path, &st) < 0) {
                if (errno != ENOENT)
                        return kc_error_set(err, errno, "stat %s", c->log_path);
                /* A rotation was cut short: the runtime has to make the file again. */
                return kc_cri_reopen_container_log(r->o.cri, c->id, err);
        }
        if (st.st_size < max_size)
                return 0;
        int res = clean_rotated(c->log_path, max_files, err);
        if (res < 0)
                return res;
        time_t now = (time_t)(kc_clock_now(r->o.clock) / KC_SEC);
        struct tm tm;
        char stamp[32];
        strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
        KC_CLEANUP(kc_freep) char *aside = kc_asprintf("%s.%s", c->log_path, stamp);
        if (rename(c->log_path, aside) < 0)
                return kc_error_set(err, errno, "rename %s", c->log_path);
        res = kc_cri_reopen_container_log(r->o.cri, c->id, err);
        if (res < 0 && rename(aside, c->log_path) < 0)
                kc_log_warn("Could not undo the rotation of a log, retrying", "path", c->log_path);
        return res;
}

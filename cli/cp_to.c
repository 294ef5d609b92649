/* From here into a container: our tar, its "tar x". Main thread. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/cp.h"
#include "cli/stream/tar.h"

enum { PIECE = 64 << 10, MAX_DEPTH = 1000 };

static int put(int fd, const void *data, size_t len)
{
        const char *at = data;
        while (len > 0) {
                ssize_t n = write(fd, at, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                at += n;
                len -= (size_t)n;
        }
        return 0;
}

static int put_header(int fd, const struct kc_tar_entry *e)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_tar_add_header(&b, e);
        return put(fd, b.data, b.len);
}

/* The content; a file that has become shorter is filled up, as the header has promised. */
static int put_content(int fd, const char *path, int64_t size, struct kc_error *err)
{
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0)
                return kc_cp_local_error(err, "open", path);
        KC_CLEANUP(kc_freep) char *piece = kc_malloc(PIECE);
        int64_t left = size;
        int e = 0;
        while (e == 0 && left > 0) {
                ssize_t n = read(file, piece, (size_t)KC_MIN(left, (int64_t)PIECE));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        e = n < 0 ? kc_cp_local_error(err, "read", path)
                                  : kc_error_set(err, ENODATA, "read %s: the file has become shorter", path);
                        break;
                }
                e = put(fd, piece, (size_t)n);
                left -= n;
        }
        (void)close(file);
        static const char zeros[KC_TAR_BLOCK];
        return e < 0 ? e : put(fd, zeros, kc_tar_padding(size));
}

static int add(int fd, const char *path, const char *name, int depth, struct kc_error *err);

/* Headers for empty directories only: the others are made for what is in them. */
static int add_dir(
    int fd, const char *path, const char *name, const struct kc_tar_entry *entry, int depth, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        DIR *d = depth < MAX_DEPTH ? opendir(path) : NULL;
        if (!d)
                return depth < MAX_DEPTH ? kc_cp_local_error(err, "open", path)
                                         : kc_error_set(err, ELOOP, "open %s: too deep", path);
        const struct dirent *one;
        while ((one = readdir(d)))
                if (!kc_streq(one->d_name, ".") && !kc_streq(one->d_name, ".."))
                        kc_strv_push(&names, one->d_name);
        (void)closedir(d);
        if (!names)
                return put_header(fd, entry);
        kc_strv_sort(names);
        int e = 0;
        for (char **n = names; e == 0 && *n; n++) {
                KC_CLEANUP(kc_freep) char *sub = kc_asprintf("%s/%s", path, *n);
                KC_CLEANUP(kc_freep) char *sub_name = kc_asprintf("%s/%s", name, *n);
                e = add(fd, sub, sub_name, depth + 1, err);
        }
        return e;
}

static int add_link(int fd, const char *path, struct kc_tar_entry *entry, struct kc_error *err)
{
        char target[4096];
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return kc_cp_local_error(err, "readlink", path);
        target[n] = '\0';
        entry->link = target;
        return put_header(fd, entry);
}

static int add(int fd, const char *path, const char *name, int depth, struct kc_error *err)
{
        struct stat st;
        if (lstat(path, &st) < 0)
                return kc_cp_local_error(err, "lstat", path);
        union {
                const char *in;
                char *out;
        } as = {.in = name};
        struct kc_tar_entry entry = {
            .name = as.out, .mode = st.st_mode & 07777, .uid = st.st_uid, .gid = st.st_gid, .mtime = st.st_mtime};
        if (S_ISDIR(st.st_mode)) {
                KC_CLEANUP(kc_freep) char *with_slash = kc_asprintf("%s/", name);
                entry.type = KC_TAR_DIR;
                entry.name = with_slash;
                return add_dir(fd, path, name, &entry, depth, err);
        }
        if (S_ISLNK(st.st_mode)) {
                entry.type = KC_TAR_SYMLINK;
                return add_link(fd, path, &entry, err);
        }
        if (!S_ISREG(st.st_mode))
                return kc_error_set(err, EINVAL, "archive/tar: %s is no regular file", path);
        entry.size = st.st_size;
        int e = put_header(fd, &entry);
        return e < 0 ? e : put_content(fd, path, entry.size, err);
}

/* "test -d": the destination is a directory, and the source goes into it. */
static bool is_dir(struct kc_cp *cp, const struct kc_cp_spec *to)
{
        char test[] = "test", d[] = "-d";
        char *command[] = {test, d, to->file, NULL};
        struct kc_cp_pipe *p;
        struct kc_error err = KC_ERROR_INIT;
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        int e = kc_cp_pipe_open(cp, to, command, true, true, null, null, &p, &err);
        if (e == 0)
                e = kc_cp_pipe_close(p, &err);
        kc_error_done(&err);
        if (null >= 0)
                (void)close(null);
        return e == 0;
}

int kc_cp_to_pod(struct kc_cp *cp, const struct kc_cp_spec *from, const struct kc_cp_spec *to, struct kc_error *err)
{
        struct stat st;
        if (stat(from->file, &st) < 0)
                return kc_error_set(err, ENOENT, "%s doesn't exist in local filesystem", from->file);
        KC_CLEANUP(kc_freep) char *source = kc_cp_clean(from->file);
        KC_CLEANUP(kc_freep) char *source_base = kc_cp_base(source);
        KC_CLEANUP(kc_freep)
        char *dest = is_dir(cp, to) ? kc_cp_join(to->file, source_base) : kc_strdup(to->file);
        KC_CLEANUP(kc_freep) char *dir = kc_cp_dir(dest);
        KC_CLEANUP(kc_freep) char *dest_clean = kc_cp_clean(dest);
        KC_CLEANUP(kc_freep) char *name = kc_cp_base(dest_clean);
        KC_CLEANUP(kc_strv_freep) char **command = NULL;
        kc_strv_push(&command, "tar");
        if (cp->no_preserve) {
                kc_strv_push(&command, "--no-same-permissions");
                kc_strv_push(&command, "--no-same-owner");
        }
        kc_strv_push(&command, "-xmf");
        kc_strv_push(&command, "-");
        kc_strv_push(&command, "-C");
        kc_strv_push(&command, dir);
        struct kc_cp_pipe *p;
        int e = kc_cp_pipe_open(cp, to, command, true, false, fileno(cp->c->out), fileno(cp->c->err), &p, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_buf_done) struct kc_buf end = KC_BUF_INIT;
        struct kc_error why = KC_ERROR_INIT;
        kc_tar_add_end(&end);
        int fd = kc_cp_pipe_fd(p), sent = add(fd, source, name, 0, &why);
        if (sent == 0)
                sent = put(fd, end.data, end.len);
        e = kc_cp_pipe_close(p, err);
        /* A broken pipe is for the remote side to explain. */
        if (sent < 0 && why.errnum) {
                kc_error_move(err, &why);
                return sent;
        }
        if (e == 0 && sent < 0)
                return kc_error_set(err, EREMOTEIO, "the copy is not complete: the container has stopped reading");
        return e;
}

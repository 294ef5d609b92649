/* From a container to here: its "tar c", our untar. Nothing is written outside of the destination, and symbolic links
 * are not made. Main thread. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/cp.h"
#include "cli/stream/tar.h"

enum { PIECE = 64 << 10 };

/* The archive as it comes, over as many commands as retries allow. */
struct source {
        struct kc_cp *cp;
        const struct kc_cp_spec *spec;
        struct kc_cp_pipe *pipe;
        int64_t taken;
        int retries;
        struct kc_error *err;
};

/* From that byte on, counted from 1. */
static int start(struct source *s, int64_t from)
{
        KC_CLEANUP(kc_strv_freep) char **command = NULL;
        if (s->cp->retries != 0) {
                kc_strv_push(&command, "sh");
                kc_strv_push(&command, "-c");
                kc_strv_pushf(&command, "tar cf - %s | tail -c+%lld", s->spec->file, (long long)from);
        } else {
                kc_strv_push(&command, "tar");
                kc_strv_push(&command, "cf");
                kc_strv_push(&command, "-");
                kc_strv_push(&command, s->spec->file);
        }
        /* What the remote tar has to say goes where kubectl lets it go. */
        return kc_cp_pipe_open(s->cp, s->spec, command, false, from > 0, -1, fileno(s->cp->c->out), &s->pipe, s->err);
}

/* The input has ended too early. */
static int resume(struct source *s)
{
        struct kc_cp *cp = s->cp;
        if (cp->retries >= 0 && s->retries >= cp->retries) {
                (void)fprintf(cp->c->out, "Dropping out copy after %d retries\n", s->retries);
                return 0;
        }
        s->retries++;
        (void)fprintf(
            cp->c->out, "Resuming copy at %lld bytes, retry %d/%d\n", (long long)s->taken, s->retries, cp->retries);
        struct kc_error lost = KC_ERROR_INIT;
        (void)kc_cp_pipe_close(KC_TAKE(s->pipe), &lost); /* what ended it was just said */
        kc_error_done(&lost);
        int e = start(s, s->taken + 1);
        return e < 0 ? e : 1;
}

static int64_t take(char *buf, size_t len, void *arg)
{
        struct source *s = arg;
        size_t got = 0;
        while (got < len) {
                ssize_t n = read(kc_cp_pipe_fd(s->pipe), buf + got, len - got);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0) {
                        int e = resume(s);
                        if (e <= 0)
                                return e < 0 ? e : (int64_t)got;
                        continue;
                }
                got += (size_t)n;
                s->taken += n;
        }
        return (int64_t)got;
}

/* --- where to */

/* Without ".." in front, which tar drops as well. */
static char *strip_shortcuts(const char *path)
{
        while (kc_str_has_prefix(path, "../"))
                path += 3;
        if (kc_streq(path, ".") || kc_streq(path, ".."))
                return kc_strdup("");
        return kc_strdup(path + (path[0] == '/' ? 1 : 0));
}

/* Is target dest itself, or below it? Both are clean. */
static bool is_inside(const char *dest, const char *target)
{
        if (kc_streq(dest, "."))
                return target[0] != '/' && !kc_streq(target, "..") && !kc_str_has_prefix(target, "../");
        size_t len = strlen(dest);
        if (kc_streq(dest, "/"))
                return target[0] == '/';
        return kc_str_has_prefix(target, dest) && (target[len] == '/' || target[len] == '\0');
}

static int make_dirs(const char *path, struct kc_error *err)
{
        struct stat st;
        if (stat(path, &st) == 0)
                return S_ISDIR(st.st_mode) ? 0 : kc_error_set(err, ENOTDIR, "mkdir %s: not a directory", path);
        KC_CLEANUP(kc_freep) char *parent = kc_cp_dir(path);
        int e = kc_streq(parent, path) ? 0 : make_dirs(parent, err);
        if (e == 0 && mkdir(path, 0755) < 0 && errno != EEXIST)
                e = kc_cp_local_error(err, "mkdir", path);
        return e;
}

static int skip(struct source *s, int64_t len)
{
        char piece[KC_TAR_BLOCK];
        while (len > 0) {
                int64_t n = take(piece, (size_t)KC_MIN(len, (int64_t)sizeof(piece)), s);
                if (n <= 0)
                        return n < 0 ? (int)n : kc_error_set(s->err, EILSEQ, "unexpected EOF");
                len -= n;
        }
        return 0;
}

static int write_file(struct source *s, const struct kc_tar_entry *entry, const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0)
                return kc_cp_local_error(s->err, "open", path);
        KC_CLEANUP(kc_freep) char *piece = kc_malloc(PIECE);
        int e = 0;
        for (int64_t left = entry->size; e == 0 && left > 0;) {
                int64_t n = take(piece, (size_t)KC_MIN(left, (int64_t)PIECE), s);
                if (n <= 0)
                        e = n < 0 ? (int)n : kc_error_set(s->err, EILSEQ, "unexpected EOF");
                for (int64_t at = 0; e == 0 && at < n;) {
                        ssize_t w = write(fd, piece + at, (size_t)(n - at));
                        if (w < 0 && errno != EINTR)
                                e = kc_cp_local_error(s->err, "write", path);
                        at += KC_MAX(w, 0);
                }
                left -= n;
        }
        if (close(fd) < 0 && e == 0)
                e = kc_cp_local_error(s->err, "close", path);
        return e < 0 ? e : skip(s, (int64_t)kc_tar_padding(entry->size));
}

static void warn_link(struct source *s, const struct kc_tar_entry *entry, const char *path, bool *warned)
{
        if (*warned)
                return;
        *warned = true;
        (void)fprintf(s->cp->c->err,
            "warning: skipping symlink: \"%s\" -> \"%s\" (consider using \"%s exec -n \"%s\" \"%s\" -- tar cf - \"%s\" "
            "| "
            "tar xf -\")\n",
            path, entry->link ? entry->link : "", s->cp->c->program, s->spec->ns, s->spec->pod, s->spec->file);
}

static int unpack_one(
    struct source *s, const struct kc_tar_entry *entry, const char *prefix, const char *dest, bool *warned)
{
        int64_t content = entry->size + (int64_t)kc_tar_padding(entry->size);
        if (!kc_str_has_prefix(entry->name, prefix))
                return kc_error_set(s->err, EILSEQ, "tar contents corrupted");
        KC_CLEANUP(kc_freep) char *path = kc_cp_join(dest, entry->name + strlen(prefix));
        if (!is_inside(dest, path)) {
                (void)fprintf(s->cp->c->err, "warning: file \"%s\" is outside target destination, skipping\n", path);
                return skip(s, content);
        }
        KC_CLEANUP(kc_freep) char *parent = kc_cp_dir(path);
        int e = make_dirs(parent, s->err);
        if (e < 0)
                return e;
        switch (entry->type) {
        case KC_TAR_DIR:
                return make_dirs(path, s->err);
        case KC_TAR_SYMLINK:
                warn_link(s, entry, path, warned);
                return 0;
        case KC_TAR_FILE:
                return write_file(s, entry, path);
        case KC_TAR_OTHER:
                break;
        }
        (void)fprintf(s->cp->c->err, "warning: \"%s\" is no regular file, skipping\n", path);
        return skip(s, content);
}

static int unpack(struct source *s, const char *prefix, const char *dest)
{
        bool warned = false;
        for (;;) {
                KC_CLEANUP(kc_tar_entry_done) struct kc_tar_entry entry = {0};
                int e = kc_tar_next(take, s, &entry, s->err);
                if (e > 0)
                        e = unpack_one(s, &entry, prefix, dest, &warned);
                else if (e == 0)
                        return 0;
                if (e < 0)
                        return e;
        }
}

/* The rest, behind the end of the archive: the remote tar is not to fail for want of a reader. */
static void drain(const struct source *s)
{
        char rest[KC_TAR_BLOCK * 20];
        while (read(kc_cp_pipe_fd(s->pipe), rest, sizeof(rest)) > 0)
                continue;
}

int kc_cp_from_pod(struct kc_cp *cp, const struct kc_cp_spec *from, const struct kc_cp_spec *to, struct kc_error *err)
{
        struct source s = {.cp = cp, .spec = from, .err = err};
        const char *file = from->file;
        while (*file == '/')
                file++;
        KC_CLEANUP(kc_freep) char *clean = kc_cp_clean(file);
        KC_CLEANUP(kc_freep) char *prefix = strip_shortcuts(clean);
        KC_CLEANUP(kc_freep) char *dest = kc_cp_clean(to->file);
        int e = start(&s, 0);
        if (e < 0)
                return e;
        e = unpack(&s, prefix, dest);
        if (!s.pipe)
                return e;
        if (e == 0)
                drain(&s);
        struct kc_error why = KC_ERROR_INIT;
        int remote = kc_cp_pipe_close(s.pipe, &why);
        if (e == 0 && remote < 0)
                kc_error_move(err, &why);
        kc_error_done(&why);
        return e < 0 ? e : remote;
}

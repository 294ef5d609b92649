/* Reads CRI log files piece by piece. The file is read in order; at its end a rotated file's successor is opened. */
#include "kubelet/logs/logs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum { BLOCK = 32 * 1024, LINE_MAX_BYTES = 1024 * 1024 };

struct kc_log_reader {
        char *path;
        struct kc_log_opts o;
        char *stream; /* lower case; NULL: both */
        int fd;
        struct kc_buf in;
        int64_t left; /* of limit_bytes; -1: no limit */
        bool inside;  /* the last piece of output was a part of a line */
        bool skip;    /* dropping the rest of a line that is too long */
        bool at_end;  /* of a file that has a successor: read once more, then go on */
};

/* --- Where the last n lines begin */

static int find_tail(int fd, int64_t lines, off_t *ret, struct kc_error *err)
{
        off_t end = lseek(fd, 0, SEEK_END);
        if (end < 0)
                return kc_error_set(err, errno, "failed to seek in the log: %s", strerror(errno));
        char block[BLOCK];
        off_t at = end;
        int64_t seen = 0;
        *ret = 0;
        while (at > 0) {
                size_t n = (size_t)KC_MIN((off_t)sizeof(block), at);
                at -= (off_t)n;
                ssize_t got = pread(fd, block, n, at);
                if (got < 0)
                        return kc_error_set(err, errno, "failed to read the log: %s", strerror(errno));
                for (size_t i = (size_t)got; i > 0; i--) {
                        /* A newline at the very end closes the last line. */
                        if (block[i - 1] != '\n' || at + (off_t)i == end)
                                continue;
                        if (++seen == lines) {
                                *ret = at + (off_t)i;
                                return 0;
                        }
                }
        }
        return 0;
}

static int seek_to_start(struct kc_log_reader *r, struct kc_error *err)
{
        off_t start = 0;
        int e = 0;
        if (r->o.tail_lines == 0)
                start = lseek(r->fd, 0, SEEK_END);
        else if (r->o.tail_lines > 0)
                e = find_tail(r->fd, r->o.tail_lines, &start, err);
        if (e == 0 && (start < 0 || lseek(r->fd, start, SEEK_SET) < 0))
                e = kc_error_set(err, errno, "failed to seek in %s: %s", r->path, strerror(errno));
        return e;
}

static char *lower(const char *s)
{
        char *v = kc_strdup(s);
        for (char *c = v; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        return v;
}

int kc_log_reader_open(const char *path, const struct kc_log_opts *o, struct kc_log_reader **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_log_reader_freep) struct kc_log_reader *r = KC_NEW(struct kc_log_reader);
        r->path = kc_strdup(path);
        r->o = *o;
        r->o.stream = NULL;
        if (!kc_str_empty(o->stream) && !kc_streq(o->stream, "All"))
                r->stream = lower(o->stream);
        r->left = o->limit_bytes >= 0 ? o->limit_bytes : -1;
        r->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (r->fd < 0)
                return kc_error_set(err, errno, "failed to try resolving symlinks in path \"%s\": open %s: %s", path,
                    path, strerror(errno));
        int e = seek_to_start(r, err);
        if (e < 0)
                return e;
        *ret = KC_TAKE(r);
        return 0;
}

void kc_log_reader_free(struct kc_log_reader *r)
{
        if (!r)
                return;
        kc_closep(&r->fd);
        kc_buf_done(&r->in);
        kc_free(r->path);
        kc_free(r->stream);
        kc_free(r);
}

/* --- Lines */

struct line {
        const char *time, *stream, *text;
        size_t time_len, stream_len, text_len;
        bool partial;
};

/* "2016-10-06T00:17:09.669794202Z stdout F text" */
static bool parse(const char *s, size_t len, struct line *ret)
{
        const char *end = s + len, *a = memchr(s, ' ', len);
        const char *b = a ? memchr(a + 1, ' ', (size_t)(end - a - 1)) : NULL;
        if (!b)
                return false;
        const char *c = memchr(b + 1, ' ', (size_t)(end - b - 1));
        const char *tags_end = c ? c : end;
        *ret = (struct line){.time = s, .time_len = (size_t)(a - s), .stream = a + 1, .text = c ? c + 1 : end};
        ret->stream_len = (size_t)(b - a - 1);
        ret->text_len = (size_t)(end - ret->text);
        /* Tags are separated by ':'; the first one says whether the line is whole. */
        if (tags_end == b + 1)
                return false;
        ret->partial = b[1] == 'P' && (b + 2 == tags_end || b[2] == ':');
        return (ret->stream_len == 6) &&
               (memcmp(ret->stream, "stdout", 6) == 0 || memcmp(ret->stream, "stderr", 6) == 0);
}

/* With nine digits of fraction, as upstream prints it. */
static void add_time(struct kc_buf *out, const struct line *l)
{
        const char *dot = memchr(l->time, '.', l->time_len), *end = l->time + l->time_len;
        const char *from = dot ? dot + 1 : l->time;
        const char *zone = from;
        if (!dot) {
                const char *t = memchr(l->time, 'T', l->time_len);
                zone = t ? t : from;
                while (zone < end && *zone != 'Z' && *zone != '+' && (*zone != '-'))
                        zone++;
                from = zone;
        } else {
                while (zone < end && isdigit((unsigned char)*zone))
                        zone++;
        }
        kc_buf_add(out, l->time, (size_t)((dot ? dot : zone) - l->time));
        kc_buf_addc(out, '.');
        size_t digits = (size_t)(zone - from);
        kc_buf_add(out, from, KC_MIN(digits, (size_t)9));
        for (size_t i = digits; i < 9; i++)
                kc_buf_addc(out, '0');
        kc_buf_add(out, zone, (size_t)(end - zone));
        kc_buf_addc(out, ' ');
}

static bool wanted(const struct kc_log_reader *r, const struct line *l)
{
        if (r->stream && (strlen(r->stream) != l->stream_len || memcmp(r->stream, l->stream, l->stream_len) != 0))
                return false;
        if (r->o.since == 0)
                return true;
        KC_CLEANUP(kc_freep) char *text = kc_strndup(l->time, l->time_len);
        kc_time t;
        return kc_time_parse(text, &t) == 0 && t >= r->o.since;
}

/* False when the limit is reached. */
static bool emit(struct kc_log_reader *r, const char *s, size_t len, struct kc_buf *out)
{
        struct line l;
        if (!parse(s, len, &l)) {
                kc_log_v(2, "Failed when parsing a line in the log file, ignoring", "path", r->path);
                return true;
        }
        if (!wanted(r, &l))
                return true;
        size_t before = out->len;
        if (r->o.timestamps && !r->inside)
                add_time(out, &l);
        kc_buf_add(out, l.text, l.text_len);
        if (!l.partial)
                kc_buf_addc(out, '\n');
        r->inside = l.partial;
        if (r->left < 0)
                return true;
        int64_t added = (int64_t)(out->len - before);
        if (added > r->left) {
                out->len = before + (size_t)r->left;
                out->data[out->len] = '\0';
                added = r->left;
        }
        r->left -= added;
        return r->left > 0;
}

/* Emits the whole lines in r->in. False when the limit is reached. */
static bool emit_lines(struct kc_log_reader *r, struct kc_buf *out)
{
        size_t at = 0;
        bool go_on = true;
        while (go_on && at < r->in.len) {
                const char *s = r->in.data + at, *nl = memchr(s, '\n', r->in.len - at);
                if (!nl)
                        break;
                if (r->skip)
                        r->skip = false;
                else
                        go_on = emit(r, s, (size_t)(nl - s), out);
                at = (size_t)(nl - r->in.data) + 1;
        }
        kc_buf_consume(&r->in, at);
        if (r->in.len > LINE_MAX_BYTES) {
                kc_log_warn("A line of the log file is too long, ignoring", "path", r->path);
                kc_buf_reset(&r->in);
                r->skip = true;
        }
        return go_on;
}

/* --- Rotation */

/* True: another file is at the path now. */
static bool has_successor(const struct kc_log_reader *r)
{
        struct stat now, ours;
        if (stat(r->path, &now) < 0)
                return false;
        return fstat(r->fd, &ours) == 0 && (now.st_ino != ours.st_ino || now.st_dev != ours.st_dev);
}

/* 1: there is more to read; 0: not now. */
static int at_file_end(struct kc_log_reader *r, struct kc_error *err)
{
        if (!r->o.follow || !has_successor(r))
                return 0;
        if (!r->at_end) {
                /* The runtime may have written to the old file until it opened the new one. */
                r->at_end = true;
                return 1;
        }
        r->at_end = false;
        int fd = open(r->path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : kc_error_set(err, errno, "open %s: %s", r->path, strerror(errno));
        kc_closep(&r->fd);
        r->fd = fd;
        kc_buf_reset(&r->in);
        r->skip = false;
        return 1;
}

int kc_log_reader_read(
    struct kc_log_reader *r, struct kc_buf *out, size_t max, bool *ret_limit_hit, struct kc_error *err)
{
        size_t limit = out->len + max;
        *ret_limit_hit = r->left == 0;
        while (!*ret_limit_hit && out->len < limit) {
                kc_buf_reserve(&r->in, BLOCK);
                ssize_t n = read(r->fd, r->in.data + r->in.len, BLOCK);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return kc_error_set(err, errno, "read %s: %s", r->path, strerror(errno));
                if (n == 0) {
                        int e = at_file_end(r, err);
                        if (e <= 0)
                                return e;
                        continue;
                }
                r->at_end = false;
                r->in.len += (size_t)n;
                r->in.data[r->in.len] = '\0';
                *ret_limit_hit = !emit_lines(r, out);
        }
        return *ret_limit_hit ? 0 : 1;
}

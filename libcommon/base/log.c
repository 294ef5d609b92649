/* Log lines in klog's text form or zapr's JSON form, built on the stack: they work when memory is exhausted, too. */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

static atomic_int verbosity;
static atomic_int log_fd = STDERR_FILENO;
static atomic_bool as_json;

static const char truncation_mark[] = "...(truncated)";

/* A line under construction. Room for the mark and the end of the line is kept free until the end. */
struct line {
        char data[KC_LOG_LINE_MAX];
        size_t len;
        bool json;
        bool in_string; /* between the quotes of a value */
        bool truncated; /* nothing is added any more */
};
enum { LINE_LIMIT = KC_LOG_LINE_MAX - 24 };

/* All of it or nothing. */
static void put(struct line *l, const char *s, size_t len)
{
        if (l->truncated || len > LINE_LIMIT - l->len) {
                l->truncated = true;
                return;
        }
        memcpy(l->data + l->len, s, len);
        l->len += len;
}

static void puts_raw(struct line *l, const char *s)
{
        put(l, s, strlen(s));
}

/* One character of a quoted string, as strconv.Quote or JSON escape it. Returns the bytes consumed. */
static size_t put_escaped(struct line *l, const unsigned char *s)
{
        static const char plain[] = "\n\r\t\b\f\"\\";
        static const char letter[] = "nrtbf\"\\";
        const char *hit = strchr(plain, *s);
        if (hit) {
                put(l, (char[]){'\\', letter[hit - plain]}, 2);
                return 1;
        }
        size_t len = kc_utf8_len((const char *)s, 4); /* the NUL ends a cut sequence */
        if (*s < 0x20 || *s == 0x7f || len == 0) {
                char escape[8];
                if (len == 0 && l->json)
                        snprintf(escape, sizeof(escape), "\\ufffd");
                else
                        snprintf(escape, sizeof(escape), l->json ? "\\u%04x" : "\\x%02x", *s);
                puts_raw(l, escape);
                return 1;
        }
        put(l, (const char *)s, len);
        return len;
}

static void put_quoted(struct line *l, const char *s)
{
        puts_raw(l, "\"");
        l->in_string = !l->truncated;
        for (const unsigned char *p = (const unsigned char *)(s ? s : ""); *p && !l->truncated;)
                p += put_escaped(l, p);
        if (l->truncated)
                return;
        puts_raw(l, "\"");
        l->in_string = l->truncated;
}

static void put_pair(struct line *l, const char *key, const char *value)
{
        char prefix[160];
        snprintf(prefix, sizeof(prefix), l->json ? ",\"%s\":" : " %s=", key);
        /* With the opening quote, so that a line never ends behind a key. */
        if (strlen(prefix) + 1 > LINE_LIMIT - l->len)
                l->truncated = true;
        puts_raw(l, prefix);
        if (!l->truncated)
                put_quoted(l, value);
}

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');
        return slash ? slash + 1 : path;
}

static void put_header(struct line *l, enum kc_log_severity sev, int v, const char *file, int line, const char *msg)
{
        char head[192];
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        if (l->json) {
                long long usec = (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
                snprintf(head, sizeof(head), "{\"ts\":%lld.%03d,\"caller\":\"%.100s:%d\",\"msg\":", usec / 1000,
                    (int)(usec % 1000), base_name(file), line);
                puts_raw(l, head);
                put_quoted(l, msg);
                if (sev != KC_LOG_ERROR && sev != KC_LOG_FATAL) {
                        snprintf(head, sizeof(head), ",\"v\":%d", v);
                        puts_raw(l, head);
                }
                return;
        }
        struct tm tm;
        localtime_r(&now.tv_sec, &tm);
        snprintf(head, sizeof(head), "%c%02d%02d %02d:%02d:%02d.%06ld %7d %.100s:%d] ", "IWEF"[sev], tm.tm_mon + 1,
            tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000, (int)getpid(), base_name(file), line);
        puts_raw(l, head);
        put_quoted(l, msg);
}

/* Uses the room that put leaves free. */
static void finish(struct line *l)
{
        struct {
                const char *text;
                bool wanted;
        } tail[] = {
            {truncation_mark, l->truncated && (l->in_string || !l->json)},
            {"\"", l->json && l->in_string},
            {"}", l->json},
            {"\n", true},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(tail); i++) {
                if (!tail[i].wanted)
                        continue;
                size_t len = strlen(tail[i].text);
                memcpy(l->data + l->len, tail[i].text, len);
                l->len += len;
        }
}

void kc_log_write(
    enum kc_log_severity sev, int v, const char *file, int line, const char *msg, const char *err_or_null, ...)
{
        int saved_errno = errno;
        struct line l;
        l.len = 0;
        l.json = as_json;
        l.in_string = l.truncated = false;
        put_header(&l, sev, v, file, line, msg);
        if (err_or_null)
                put_pair(&l, "err", err_or_null);
        va_list ap;
        va_start(ap, err_or_null);
        for (const char *key; (key = va_arg(ap, const char *));)
                put_pair(&l, key, va_arg(ap, const char *));
        va_end(ap);
        finish(&l);
        ssize_t n;
        do
                n = write(log_fd, l.data, l.len);
        while (n < 0 && errno == EINTR); /* any other failure has nowhere to be told */
        errno = saved_errno;
}

void kc_log_set_verbosity(int v)
{
        verbosity = v;
}

int kc_log_verbosity(void)
{
        return verbosity;
}

int kc_log_set_format(const char *format)
{
        if (!kc_streq(format, "text") && !kc_streq(format, "json"))
                return -EINVAL;
        as_json = kc_streq(format, "json");
        return 0;
}

void kc_log_set_fd(int fd)
{
        log_fd = fd;
}

enum { RING_SLOTS = 8, RING_LEN = 257 };
static _Thread_local char ring[RING_SLOTS][RING_LEN];
static _Thread_local unsigned ring_at;

const char *kc_log_i64(long long v)
{
        return kc_log_fmt("%lld", v);
}

const char *kc_log_fmt(const char *fmt, ...)
{
        char *slot = ring[ring_at++ % RING_SLOTS];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(slot, RING_LEN, fmt, ap);
        va_end(ap);
        return slot;
}

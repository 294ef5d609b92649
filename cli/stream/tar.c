/* Tar archives, both ways. Any thread; see tar.h. */
#include "cli/stream/tar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { NAME = 100, PREFIX = 155, MAX_META = 1 << 20, MAX_OCTAL_ID = 07777777 };

/* Offsets of ustar's fields. */
enum {
        AT_NAME = 0,
        AT_MODE = 100,
        AT_UID = 108,
        AT_GID = 116,
        AT_SIZE = 124,
        AT_MTIME = 136,
        AT_SUM = 148,
        AT_TYPE = 156,
        AT_LINK = 157,
        AT_MAGIC = 257,
        AT_PREFIX = 345,
};

void kc_tar_entry_done(struct kc_tar_entry *e)
{
        kc_free(e->name);
        kc_free(e->link);
        *e = (struct kc_tar_entry){0};
}

size_t kc_tar_padding(int64_t size)
{
        return (size_t)((KC_TAR_BLOCK - size % KC_TAR_BLOCK) % KC_TAR_BLOCK);
}

static unsigned checksum(const char block[static KC_TAR_BLOCK])
{
        unsigned sum = 0;
        for (int i = 0; i < KC_TAR_BLOCK; i++)
                sum += i >= AT_SUM && i < AT_TYPE ? ' ' : (unsigned char)block[i];
        return sum;
}

/* --- writing */

/* Octal digits and a NUL; width counts the NUL. */
static void put_number(char *at, size_t width, uint64_t value)
{
        char text[32];
        int len = snprintf(text, sizeof(text), "%0*llo", (int)width - 1, (unsigned long long)value);
        memcpy(at, text, KC_MIN((size_t)len + 1, width));
}

static void put_text(char *at, size_t width, const char *text)
{
        memcpy(at, text, KC_MIN(strlen(text), width));
}

static void add_block(struct kc_buf *out, const struct kc_tar_entry *e, char type, const char *prefix, const char *name)
{
        char block[KC_TAR_BLOCK] = {0};
        put_text(block + AT_NAME, NAME, name);
        put_number(block + AT_MODE, 8, e->mode & 07777);
        put_number(block + AT_UID, 8, e->uid <= MAX_OCTAL_ID ? e->uid : 0);
        put_number(block + AT_GID, 8, e->gid <= MAX_OCTAL_ID ? e->gid : 0);
        put_number(block + AT_SIZE, 12, (uint64_t)e->size);
        put_number(block + AT_MTIME, 12, e->mtime > 0 ? (uint64_t)e->mtime : 0);
        block[AT_TYPE] = type;
        put_text(block + AT_LINK, NAME, e->link ? e->link : "");
        memcpy(block + AT_MAGIC, "ustar\00000", 8);
        put_text(block + AT_PREFIX, PREFIX, prefix);
        put_number(block + AT_SUM, 7, checksum(block));
        block[AT_SUM + 7] = ' ';
        kc_buf_add(out, block, sizeof(block));
}

/* "27 path=some/long/name\n": the number counts itself. */
static void add_record(struct kc_buf *b, const char *key, const char *value)
{
        size_t rest = strlen(key) + strlen(value) + 3, len = rest + 1;
        char text[24];
        while (len != rest + (size_t)snprintf(text, sizeof(text), "%zu", len))
                len = rest + strlen(text);
        kc_buf_addf(b, "%zu %s=%s\n", len, key, value);
}

static void add_padding(struct kc_buf *out, int64_t size)
{
        static const char zeros[KC_TAR_BLOCK];
        kc_buf_add(out, zeros, kc_tar_padding(size));
}

/* A '/' that makes both parts short enough, or NULL. */
static const char *split_at(const char *name)
{
        size_t len = strlen(name);
        for (const char *s = strchr(name, '/'); s; s = strchr(s + 1, '/'))
                if (s > name && s - name <= PREFIX && len - (size_t)(s - name) - 1 <= NAME && s[1])
                        return s;
        return NULL;
}

void kc_tar_add_header(struct kc_buf *out, const struct kc_tar_entry *e)
{
        static const char types[] = {
            [KC_TAR_FILE] = '0', [KC_TAR_DIR] = '5', [KC_TAR_SYMLINK] = '2', [KC_TAR_OTHER] = '0'};
        KC_CLEANUP(kc_buf_done) struct kc_buf pax = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *prefix = NULL;
        const char *name = e->name, *slash = strlen(name) > NAME ? split_at(name) : NULL;
        if (slash) {
                prefix = kc_strndup(name, (size_t)(slash - name));
                name = slash + 1;
        } else if (strlen(name) > NAME) {
                add_record(&pax, "path", name);
        }
        if (e->link && strlen(e->link) > NAME)
                add_record(&pax, "linkpath", e->link);
        if (pax.len > 0) {
                struct kc_tar_entry head = {.mode = 0644, .size = (int64_t)pax.len};
                add_block(out, &head, 'x', "", "PaxHeaders.0/entry");
                kc_buf_add(out, pax.data, pax.len);
                add_padding(out, (int64_t)pax.len);
        }
        add_block(out, e, types[e->type], prefix ? prefix : "", name);
}

void kc_tar_add_end(struct kc_buf *out)
{
        static const char zeros[2 * KC_TAR_BLOCK];
        kc_buf_add(out, zeros, sizeof(zeros));
}

/* --- reading */

/* Octal, or GNU's base 256. -1: neither. */
static int64_t get_number(const char *at, size_t width)
{
        int64_t v = 0;
        size_t i = 0;
        if ((unsigned char)at[0] == 0x80) {
                for (i = 1; i < width; i++) {
                        if (v > INT64_MAX >> 8)
                                return -1;
                        v = v << 8 | (unsigned char)at[i];
                }
                return v;
        }
        while (i < width && at[i] == ' ')
                i++;
        for (; i < width && at[i] >= '0' && at[i] <= '7'; i++)
                v = v * 8 + (at[i] - '0');
        return i < width && at[i] != ' ' && at[i] != '\0' ? -1 : v;
}

static int bad(struct kc_error *err)
{
        return kc_error_set(err, EILSEQ, "archive/tar: invalid tar header");
}

/* The content of a header that describes the next one. */
static int read_meta(kc_tar_read_fn read, void *arg, int64_t size, struct kc_buf *b, struct kc_error *err)
{
        if (size < 0 || size > MAX_META)
                return bad(err);
        size_t len = (size_t)size + kc_tar_padding(size);
        kc_buf_reset(b);
        kc_buf_reserve(b, len + 1);
        int64_t n = read(b->data, len, arg);
        if (n < 0)
                return kc_error_set(err, (int)-n, "%s", strerror((int)-n));
        if ((size_t)n < len)
                return kc_error_set(err, EILSEQ, "unexpected EOF");
        b->len = (size_t)size;
        b->data[b->len] = '\0';
        return 0;
}

/* "27 path=name\n" records. */
static int take_pax(const struct kc_buf *b, char **path, char **linkpath, int64_t *size, struct kc_error *err)
{
        for (size_t at = 0; at < b->len;) {
                char *end;
                errno = 0;
                unsigned long long len = strtoull(b->data + at, &end, 10);
                const char *record = end + 1, *stop = b->data + at + len;
                if (errno || *end != ' ' || len > b->len - at || stop <= record || stop[-1] != '\n')
                        return bad(err);
                const char *eq = memchr(record, '=', (size_t)(stop - record));
                if (!eq)
                        return bad(err);
                KC_CLEANUP(kc_freep) char *key = kc_strndup(record, (size_t)(eq - record));
                KC_CLEANUP(kc_freep) char *value = kc_strndup(eq + 1, (size_t)(stop - 1 - eq - 1));
                if (kc_streq(key, "path"))
                        kc_str_set(path, value);
                else if (kc_streq(key, "linkpath"))
                        kc_str_set(linkpath, value);
                else if (kc_streq(key, "size") && (kc_str_to_i64(value, size) < 0 || *size < 0))
                        return bad(err);
                at += len;
        }
        return 0;
}

static enum kc_tar_type type_of(char c, const char *name)
{
        switch (c) {
        case '\0':
        case '0':
        case '7':
                return kc_str_has_suffix(name, "/") ? KC_TAR_DIR : KC_TAR_FILE;
        case '2':
                return KC_TAR_SYMLINK;
        case '5':
                return KC_TAR_DIR;
        default:
                return KC_TAR_OTHER;
        }
}

static int parse_block(const char *block, struct kc_tar_entry *e, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *name = kc_strndup(block + AT_NAME, strnlen(block + AT_NAME, NAME));
        KC_CLEANUP(kc_freep) char *prefix = kc_strndup(block + AT_PREFIX, strnlen(block + AT_PREFIX, PREFIX));
        bool ustar = memcmp(block + AT_MAGIC, "ustar\0", 6) == 0; /* GNU's own has other things in the prefix */
        int64_t mode = get_number(block + AT_MODE, 8);
        e->size = get_number(block + AT_SIZE, 12);
        e->mtime = get_number(block + AT_MTIME, 12);
        if (e->size < 0 || mode < 0 || get_number(block + AT_SUM, 8) != (int64_t)checksum(block))
                return bad(err);
        e->mode = (unsigned)mode;
        e->name = ustar && prefix[0] ? kc_asprintf("%s/%s", prefix, name) : KC_TAKE(name);
        e->type = type_of(block[AT_TYPE], e->name);
        if (e->type == KC_TAR_SYMLINK)
                e->link = kc_strndup(block + AT_LINK, strnlen(block + AT_LINK, NAME));
        if (e->type != KC_TAR_FILE && e->type != KC_TAR_OTHER)
                e->size = 0;
        return 0;
}

static bool is_zero(const char *block)
{
        for (int i = 0; i < KC_TAR_BLOCK; i++)
                if (block[i])
                        return false;
        return true;
}

struct longer {
        char *path, *linkpath;
        int64_t size;
};

static void longer_done(struct longer *l)
{
        kc_free(l->path);
        kc_free(l->linkpath);
}

/* What a describing header says; 1: it was none. */
static int take_meta(
    kc_tar_read_fn read, void *arg, const char *block, struct longer *l, struct kc_buf *meta, struct kc_error *err)
{
        char type = block[AT_TYPE];
        if (type != 'x' && type != 'g' && type != 'L' && type != 'K')
                return 1;
        int e = read_meta(read, arg, get_number(block + AT_SIZE, 12), meta, err);
        if (e == 0 && type == 'x')
                e = take_pax(meta, &l->path, &l->linkpath, &l->size, err);
        else if (e == 0 && type == 'L')
                kc_str_set(&l->path, kc_buf_str(meta));
        else if (e == 0 && type == 'K')
                kc_str_set(&l->linkpath, kc_buf_str(meta));
        return e;
}

int kc_tar_next(kc_tar_read_fn read, void *arg, struct kc_tar_entry *ret, struct kc_error *err)
{
        KC_CLEANUP(longer_done) struct longer l = {.size = -1};
        KC_CLEANUP(kc_buf_done) struct kc_buf meta = KC_BUF_INIT;
        for (;;) {
                char block[KC_TAR_BLOCK];
                int64_t n = read(block, sizeof(block), arg);
                if (n < 0)
                        return kc_error_set(err, (int)-n, "%s", strerror((int)-n));
                if (n == 0)
                        return 0;
                if (n < KC_TAR_BLOCK)
                        return kc_error_set(err, EILSEQ, "unexpected EOF");
                if (is_zero(block))
                        return 0;
                int e = take_meta(read, arg, block, &l, &meta, err);
                if (e < 0)
                        return e;
                if (e == 0)
                        continue;
                KC_CLEANUP(kc_tar_entry_done) struct kc_tar_entry entry = {0};
                e = parse_block(block, &entry, err);
                if (e < 0)
                        return e;
                if (l.path)
                        kc_str_set(&entry.name, l.path);
                if (l.linkpath && entry.type == KC_TAR_SYMLINK)
                        kc_str_set(&entry.link, l.linkpath);
                if (l.size >= 0 && entry.type == KC_TAR_FILE)
                        entry.size = l.size;
                *ret = entry;
                entry = (struct kc_tar_entry){0};
                return 1;
        }
}

/* SPDY's header blocks: pairs of length-prefixed strings, packed by zlib with a dictionary. Pure: any thread, one at a
 * time. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "stream/spdy_internal.h"

enum { PIECE = 4096, LEVEL = 9 };

void spdy_headers_init(struct spdy_headers *h)
{
        *h = (struct spdy_headers){0};
        if (deflateInit(&h->deflate, LEVEL) != Z_OK ||
            deflateSetDictionary(&h->deflate, spdy_dictionary, SPDY_DICTIONARY_LEN) != Z_OK)
                abort(); /* only for want of memory */
        h->deflating = true;
        if (inflateInit(&h->inflate) != Z_OK)
                abort();
        h->inflating = true;
}

void spdy_headers_done(struct spdy_headers *h)
{
        if (h->deflating)
                deflateEnd(&h->deflate);
        if (h->inflating)
                inflateEnd(&h->inflate);
        h->deflating = h->inflating = false;
}

static void put_string(struct kc_buf *b, const char *s, bool lower)
{
        size_t at = b->len + 4;
        spdy_put_u32(b, (uint32_t)strlen(s));
        kc_buf_adds(b, s);
        for (; lower && at < b->len; at++)
                b->data[at] = (char)tolower((unsigned char)b->data[at]);
}

void spdy_headers_pack(struct spdy_headers *h, char *const *headers, struct kc_buf *out)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf plain = KC_BUF_INIT;
        size_t n = kc_strv_len(headers) / 2;
        spdy_put_u32(&plain, (uint32_t)n);
        for (size_t i = 0; i < n; i++) {
                put_string(&plain, headers[2 * i], true);
                put_string(&plain, headers[2 * i + 1], false);
        }
        unsigned char piece[PIECE];
        h->deflate.next_in = (unsigned char *)plain.data;
        h->deflate.avail_in = (unsigned int)plain.len;
        do {
                h->deflate.next_out = piece;
                h->deflate.avail_out = sizeof(piece);
                (void)deflate(&h->deflate, Z_SYNC_FLUSH); /* cannot fail with room in piece */
                kc_buf_add(out, piece, sizeof(piece) - h->deflate.avail_out);
        } while (h->deflate.avail_out == 0);
}

static int inflate_block(struct spdy_headers *h, const char *data, size_t len, struct kc_buf *plain)
{
        unsigned char piece[PIECE];
        h->inflate.next_in = (unsigned char *)(uintptr_t)data;
        h->inflate.avail_in = (unsigned int)len;
        do {
                h->inflate.next_out = piece;
                h->inflate.avail_out = sizeof(piece);
                int r = inflate(&h->inflate, Z_SYNC_FLUSH);
                if (r == Z_NEED_DICT) {
                        if (inflateSetDictionary(&h->inflate, spdy_dictionary, SPDY_DICTIONARY_LEN) != Z_OK)
                                return -EPROTO;
                        continue;
                }
                if (r == Z_BUF_ERROR) /* nothing to do: all is out */
                        break;
                if (r != Z_OK)
                        return -EPROTO;
                if (kc_buf_add_limited(plain, piece, sizeof(piece) - h->inflate.avail_out, SPDY_HEADERS_MAX) < 0)
                        return -EPROTO;
        } while (h->inflate.avail_in > 0 || h->inflate.avail_out == 0);
        return h->inflate.avail_in > 0 ? -EPROTO : 0;
}

/* One length-prefixed string without a NUL inside (several values are separated by NULs: those become ", "). */
static char *get_string(const struct kc_buf *b, size_t *at)
{
        if (b->len - *at < 4)
                return NULL;
        size_t len = spdy_u32(b->data + *at);
        *at += 4;
        if (b->len - *at < len)
                return NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf s = KC_BUF_INIT;
        for (size_t i = 0; i < len; i++) {
                char c = b->data[*at + i];
                if (c)
                        kc_buf_addc(&s, c);
                else
                        kc_buf_adds(&s, ", ");
        }
        *at += len;
        return kc_buf_take_str(&s);
}

int spdy_headers_unpack(struct spdy_headers *h, const char *data, size_t len, char ***ret)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf plain = KC_BUF_INIT;
        KC_CLEANUP(kc_strv_freep) char **v = NULL;
        if (inflate_block(h, data, len, &plain) < 0 || plain.len < 4)
                return -EPROTO;
        size_t n = spdy_u32(plain.data), at = 4;
        if (n > SPDY_HEADER_PAIRS_MAX)
                return -EPROTO;
        for (size_t i = 0; i < 2 * n; i++) {
                char *s = get_string(&plain, &at);
                if (!s)
                        return -EPROTO;
                kc_strv_push_take(&v, s);
        }
        if (at != plain.len)
                return -EPROTO;
        *ret = KC_TAKE(v);
        return 0;
}

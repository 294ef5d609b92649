/* Decoder of chunked bodies. http-parser as distributions build it does not check the line ends between chunks, which
 * is how requests are smuggled; this does. No I/O. */
#include <errno.h>
#include <string.h>

#include "http/chunked.h"

enum { MAX_DIGITS = 15 }; /* 60 bits */

enum {
        SIZE,
        EXTENSION,
        SIZE_LF,
        DATA,
        DATA_CR,
        DATA_LF,
        TRAILER_START,
        TRAILER,
        TRAILER_LF,
        END_LF,
};

static int digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int size_byte(struct http_chunked *k, char c)
{
        int d = digit(c);
        if (d >= 0) {
                if (++k->digits > MAX_DIGITS)
                        return -EINVAL;
                k->left = k->left << 4 | (uint64_t)d;
                return 0;
        }
        if (k->digits == 0)
                return -EINVAL;
        if (c == '\r')
                k->state = SIZE_LF;
        else if (c == ';')
                k->state = EXTENSION;
        else
                return -EINVAL;
        return 0;
}

/* Extensions and trailers are skipped, but not without end, and without control characters. */
static int skip_byte(struct http_chunked *k, char c, int after_cr)
{
        if (c == '\r') {
                k->state = after_cr;
                return 0;
        }
        if (((unsigned char)c < ' ' && c != '\t') || c == 0x7f || ++k->overhead > k->max_overhead)
                return -EINVAL;
        return 0;
}

static int expect(struct http_chunked *k, char c, char wanted, int next)
{
        if (c != wanted)
                return -EINVAL;
        k->state = next;
        return 0;
}

static int one_byte(struct http_chunked *k, char c, bool *ret_done)
{
        switch (k->state) {
        case SIZE:
                return size_byte(k, c);
        case EXTENSION:
                return skip_byte(k, c, SIZE_LF);
        case SIZE_LF:
                return expect(k, c, '\n', k->left ? DATA : TRAILER_START);
        case DATA_CR:
                return expect(k, c, '\r', DATA_LF);
        case DATA_LF:
                k->digits = 0;
                return expect(k, c, '\n', SIZE);
        case TRAILER_START:
                k->state = c == '\r' ? END_LF : TRAILER;
                /* A line that goes on the last one is obsolete folding. */
                if (c == ' ' || c == '\t')
                        return -EINVAL;
                return c == '\r' ? 0 : skip_byte(k, c, TRAILER_LF);
        case TRAILER:
                return skip_byte(k, c, TRAILER_LF);
        case TRAILER_LF:
                return expect(k, c, '\n', TRAILER_START);
        default:
                *ret_done = true;
                return expect(k, c, '\n', END_LF);
        }
}

ssize_t http_chunked_step(
    struct http_chunked *k, const char *data, size_t len, const char **ret_piece, size_t *ret_piece_len, bool *ret_done)
{
        *ret_piece = NULL;
        *ret_piece_len = 0;
        *ret_done = false;
        size_t used = 0;
        while (used < len && !*ret_done) {
                if (k->state == DATA) {
                        size_t part = len - used < k->left ? len - used : (size_t)k->left;
                        *ret_piece = data + used;
                        *ret_piece_len = part;
                        k->left -= part;
                        if (k->left == 0)
                                k->state = DATA_CR;
                        return (ssize_t)(used + part);
                }
                int r = one_byte(k, data[used], ret_done);
                if (r < 0)
                        return r;
                used++;
        }
        return (ssize_t)used;
}

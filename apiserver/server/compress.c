/* gzip of large answers, at once or piece by piece. */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/log.h"
#include "base/str.h"
#include "server/server_internal.h"

enum {
        COMPRESS_LEVEL = 1,        /* upstream's */
        COMPRESS_WINDOW = 15 + 16, /* 32 KiB; gzip framing */
        COMPRESS_MEMORY = 8,       /* zlib's default */
        COMPRESS_ROOM = 16 << 10,
};

struct compressor {
        z_stream z;
};

bool compress_wanted(const struct api_req *q)
{
        const char *accept = kc_http_req_header(q->http, "Accept-Encoding");
        if (!accept || strcmp(kc_http_req_method(q->http), "GET") != 0)
                return false;
        KC_CLEANUP(kc_strv_freep) char **codings = kc_strv_split(accept, ',');
        for (size_t i = 0; codings[i]; i++) {
                KC_CLEANUP(kc_freep) char *coding = kc_str_trim(codings[i]);
                if (kc_strcaseeq(coding, "gzip"))
                        return true;
        }
        return false;
}

struct compressor *compressor_new(void)
{
        struct compressor *c = KC_NEW(struct compressor);
        int r = deflateInit2(&c->z, COMPRESS_LEVEL, Z_DEFLATED, COMPRESS_WINDOW, COMPRESS_MEMORY, Z_DEFAULT_STRATEGY);
        if (r == Z_OK)
                return c;
        kc_log_warn("Cannot initialize zlib, sending uncompressed", "code", kc_log_i64(r));
        kc_free(c);
        return NULL;
}

void compressor_add(struct compressor *c, const void *data, size_t len, bool last, struct kc_buf *out)
{
        c->z.next_in = (Bytef *)(uintptr_t)data; /* zlib only reads it */
        c->z.avail_in = (uInt)len;
        int r;
        do {
                kc_buf_reserve(out, COMPRESS_ROOM);
                c->z.next_out = (Bytef *)out->data + out->len;
                c->z.avail_out = (uInt)(out->cap - out->len - 1); /* the NUL */
                size_t room = c->z.avail_out;
                r = deflate(&c->z, last ? Z_FINISH : Z_NO_FLUSH);
                out->len += room - c->z.avail_out;
        } while (c->z.avail_out == 0 || (last && r == Z_OK));
        out->data[out->len] = '\0';
}

void compressor_free(struct compressor *c)
{
        if (!c)
                return;
        (void)deflateEnd(&c->z); /* Z_DATA_ERROR: ended early */
        kc_free(c);
}

struct kc_bytes *compress_bytes(const void *data, size_t len)
{
        struct compressor *c = compressor_new();
        if (!c)
                return NULL;
        struct kc_buf out = KC_BUF_INIT;
        compressor_add(c, data, len, true, &out);
        compressor_free(c);
        return kc_bytes_from_buf(&out);
}

/* URLs in HTML pages. Pure: any thread. */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/str.h"
#include "server/proxy.h"

/* Which attributes of which elements are URLs. */
static const struct {
        const char *element, *attributes; /* between spaces */
} url_attributes[] = {
    {"a", " href "},
    {"applet", " codebase "},
    {"area", " href "},
    {"audio", " src "},
    {"base", " href "},
    {"blockquote", " cite "},
    {"body", " background "},
    {"button", " formaction "},
    {"command", " icon "},
    {"del", " cite "},
    {"embed", " src "},
    {"form", " action "},
    {"frame", " longdesc src "},
    {"head", " profile "},
    {"html", " manifest "},
    {"iframe", " longdesc src "},
    {"img", " longdesc src usemap "},
    {"input", " src usemap formaction "},
    {"ins", " cite "},
    {"link", " href "},
    {"object", " classid codebase data usemap "},
    {"q", " cite "},
    {"script", " src "},
    {"source", " src "},
    {"video", " poster src "},
};

/* What is inside these is text up to their end tag. */
static const char *const raw_elements[] = {
    "script", "style", "textarea", "title", "iframe", "noembed", "noframes", "noscript", "plaintext", "xmp"};

struct reader {
        const struct proxy_page *page;
        const char *at, *end;
        struct kc_buf *out;
};

static bool name_is(const char *s, size_t len, const char *name)
{
        return strlen(name) == len && strncasecmp(s, name, len) == 0;
}

static const char *attributes_of(const char *element, size_t len)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(url_attributes); i++)
                if (name_is(element, len, url_attributes[i].element))
                        return url_attributes[i].attributes;
        return NULL;
}

static bool has_word(const char *words, const char *s, size_t len)
{
        for (const char *w = words; w && *w; w++)
                if (*w == ' ' && strncasecmp(w + 1, s, len) == 0 && w[1 + len] == ' ')
                        return true;
        return false;
}

static void copy_to(struct reader *r, const char *to)
{
        kc_buf_add(r->out, r->at, (size_t)(to - r->at));
        r->at = to;
}

static const char *find(const struct reader *r, const char *from, const char *what)
{
        size_t n = strlen(what);
        const char *p = from < r->end ? memmem(from, (size_t)(r->end - from), what, n) : NULL;
        return p ? p + n : r->end;
}

/* Escaped as in an attribute; only "&amp;" matters in URLs. */
static void put_url(struct reader *r, const char *value, size_t len)
{
        KC_CLEANUP(kc_freep) char *raw = kc_strndup(value, len);
        KC_CLEANUP(kc_freep) char *new_url = proxy_rewrite_url(r->page, raw);
        for (const char *c = new_url; *c; c++)
                if (*c == '"' || *c == '\'')
                        kc_buf_addf(r->out, "&#%d;", *c);
                else
                        kc_buf_addc(r->out, *c);
}

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* One attribute at r->at, which is neither white space nor the end of the tag. */
static void attribute(struct reader *r, const char *wanted)
{
        const char *p = r->at;
        if (*p == '/' || *p == '=') {
                copy_to(r, p + 1);
                return;
        }
        while (p < r->end && !is_space(*p) && *p != '=' && *p != '>' && *p != '/')
                p++;
        bool url = has_word(wanted, r->at, (size_t)(p - r->at));
        while (p < r->end && is_space(*p))
                p++;
        if (p == r->end || *p != '=') {
                copy_to(r, p);
                return;
        }
        p++;
        while (p < r->end && is_space(*p))
                p++;
        const char *value = p;
        char quote = p < r->end && (*p == '"' || *p == '\'') ? *p : 0;
        if (quote) {
                value++;
                p = memchr(value, quote, (size_t)(r->end - value)) ?: r->end;
        } else {
                while (p < r->end && !is_space(*p) && *p != '>')
                        p++;
        }
        copy_to(r, value);
        if (url) {
                put_url(r, value, (size_t)(p - value));
                r->at = p;
        }
        copy_to(r, p + (quote && p < r->end));
}

/* The text of a raw element, up to its end tag. */
static void raw_text(struct reader *r, const char *element, size_t len)
{
        const char *p = r->at;
        while (p < r->end) {
                p = memmem(p, (size_t)(r->end - p), "</", 2);
                if (!p)
                        break;
                if ((size_t)(r->end - p) >= 2 + len && strncasecmp(p + 2, element, len) == 0) {
                        copy_to(r, p);
                        return;
                }
                p += 2;
        }
        copy_to(r, r->end);
}

/* A tag, at its '<'. */
static void tag(struct reader *r)
{
        const char *name = r->at + 1, *p = name;
        while (p < r->end && !is_space(*p) && *p != '>' && *p != '/')
                p++;
        size_t len = (size_t)(p - name);
        const char *wanted = attributes_of(name, len);
        copy_to(r, p);
        while (r->at < r->end && *r->at != '>') {
                if (is_space(*r->at))
                        copy_to(r, r->at + 1);
                else
                        attribute(r, wanted);
        }
        if (r->at < r->end)
                copy_to(r, r->at + 1);
        for (size_t i = 0; i < KC_ARRAY_LEN(raw_elements); i++)
                if (name_is(name, len, raw_elements[i]))
                        raw_text(r, name, len);
}

void proxy_rewrite_html(const struct proxy_page *page, const char *html, size_t len, struct kc_buf *out)
{
        struct reader r = {.page = page, .at = html, .end = html + len, .out = out};
        while (r.at < r.end) {
                const char *lt = memchr(r.at, '<', (size_t)(r.end - r.at)) ?: r.end;
                copy_to(&r, lt);
                size_t left = (size_t)(r.end - r.at);
                if (left == 0)
                        break;
                if (left >= 4 && strncmp(r.at, "<!--", 4) == 0)
                        copy_to(&r, find(&r, r.at + 4, "-->"));
                else if (left >= 2 && isalpha((unsigned char)r.at[1]))
                        tag(&r);
                else if (left >= 2 && (r.at[1] == '/' || r.at[1] == '!' || r.at[1] == '?'))
                        copy_to(&r, find(&r, r.at, ">"));
                else
                        copy_to(&r, r.at + 1);
        }
}

/* --- Packed bodies */

enum { PIECE = 16 * 1024, GZIP = 15 + 16, RAW_DEFLATE = -15 };

static bool unpack(int bits, const struct kc_buf *in, size_t max, struct kc_buf *out)
{
        z_stream z = {0};
        unsigned char piece[PIECE];
        if (inflateInit2(&z, bits) != Z_OK)
                return false;
        z.next_in = (unsigned char *)in->data;
        z.avail_in = (unsigned int)in->len;
        int r = Z_OK;
        while (r == Z_OK) {
                z.next_out = piece;
                z.avail_out = sizeof(piece);
                r = inflate(&z, Z_NO_FLUSH);
                if ((r == Z_OK || r == Z_STREAM_END) &&
                    kc_buf_add_limited(out, piece, sizeof(piece) - z.avail_out, max) < 0)
                        r = Z_MEM_ERROR;
        }
        inflateEnd(&z);
        return r == Z_STREAM_END;
}

static bool pack(int bits, const struct kc_buf *in, struct kc_buf *out)
{
        z_stream z = {0};
        if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
                return false;
        size_t bound = deflateBound(&z, in->len);
        kc_buf_reserve(out, bound);
        z.next_in = (unsigned char *)in->data;
        z.avail_in = (unsigned int)in->len;
        z.next_out = (unsigned char *)out->data;
        z.avail_out = (unsigned int)bound;
        int r = deflate(&z, Z_FINISH);
        out->len = bound - z.avail_out;
        deflateEnd(&z);
        return r == Z_STREAM_END;
}

bool proxy_rewrite_body(
    const struct proxy_page *p, const char *encoding, const struct kc_buf *body, size_t max, struct kc_buf *out)
{
        if (kc_str_empty(encoding)) {
                proxy_rewrite_html(p, kc_buf_str(body), body->len, out);
                return true;
        }
        int bits = strcmp(encoding, "gzip") == 0 ? GZIP : strcmp(encoding, "deflate") == 0 ? RAW_DEFLATE : 0;
        KC_CLEANUP(kc_buf_done) struct kc_buf plain = KC_BUF_INIT;
        KC_CLEANUP(kc_buf_done) struct kc_buf page = KC_BUF_INIT;
        if (!bits || body->len == 0 || !unpack(bits, body, max, &plain))
                return false;
        proxy_rewrite_html(p, kc_buf_str(&plain), plain.len, &page);
        if (page.len > 0 && pack(bits, &page, out))
                return true;
        kc_buf_reset(out);
        return false;
}

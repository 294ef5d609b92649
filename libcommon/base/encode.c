/* Base64, hexadecimal and percent encoding. */
#include "base/encode.h"

#include <errno.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"

static const char std_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char *encode64(const void *data, size_t len, const char *alphabet, bool pad)
{
        const uint8_t *in = data;
        char *out = kc_malloc(len / 3 * 4 + 5), *at = out;
        for (size_t i = 0; i < len; i += 3) {
                size_t n = KC_MIN(len - i, (size_t)3);
                uint32_t v = (uint32_t)in[i] << 16 | (n > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (n > 2 ? in[i + 2] : 0);
                *at++ = alphabet[v >> 18];
                *at++ = alphabet[v >> 12 & 63];
                if (n > 1)
                        *at++ = alphabet[v >> 6 & 63];
                else if (pad)
                        *at++ = '=';
                if (n > 2)
                        *at++ = alphabet[v & 63];
                else if (pad)
                        *at++ = '=';
        }
        *at = '\0';
        return out;
}

char *kc_base64_encode(const void *data, size_t len)
{
        return encode64(data, len, std_alphabet, true);
}

char *kc_base64url_encode(const void *data, size_t len)
{
        return encode64(data, len, url_alphabet, false);
}

/* The six bits of c, or -1. */
static int sextet(char c, const char *alphabet)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == alphabet[62] ? 62 : c == alphabet[63] ? 63 : -1;
}

/* Decodes to out, which has room; returns the length or -EINVAL. */
static ssize_t decode64(const char *s, size_t len, const char *alphabet, bool padded, char *out)
{
        uint32_t bits = 0;
        size_t n = 0, out_len = 0, pads = 0;
        for (size_t i = 0; i < len; i++) {
                if (s[i] == '\n' || s[i] == '\r')
                        continue;
                if (padded && s[i] == '=') {
                        pads++;
                        continue;
                }
                int v = sextet(s[i], alphabet);
                if (v < 0 || pads > 0)
                        return -EINVAL;
                bits = bits << 6 | (uint32_t)v;
                if (++n % 4 == 0) {
                        out[out_len++] = (char)(bits >> 16);
                        out[out_len++] = (char)(bits >> 8);
                        out[out_len++] = (char)bits;
                        bits = 0;
                }
        }
        size_t rest = n % 4;
        size_t want_pads = padded && rest > 0 ? 4 - rest : 0;
        if (rest == 1 || pads != want_pads || (rest == 2 && (bits & 15)) || (rest == 3 && (bits & 3)))
                return -EINVAL;
        if (rest == 2)
                out[out_len++] = (char)(bits >> 4);
        if (rest == 3) {
                out[out_len++] = (char)(bits >> 10);
                out[out_len++] = (char)(bits >> 2);
        }
        return (ssize_t)out_len;
}

static int decode64_to(const char *s, size_t len, const char *alphabet, bool padded, struct kc_buf *ret)
{
        kc_buf_reserve(ret, len / 4 * 3 + 3);
        ssize_t n = decode64(s, len, alphabet, padded, ret->data + ret->len);
        if (n > 0)
                ret->len += (size_t)n;
        ret->data[ret->len] = '\0';
        return n < 0 ? (int)n : 0;
}

int kc_base64_decode(const char *s, size_t len, struct kc_buf *ret)
{
        return decode64_to(s, len, std_alphabet, true, ret);
}

int kc_base64url_decode(const char *s, size_t len, struct kc_buf *ret)
{
        return decode64_to(s, len, url_alphabet, false, ret);
}

char *kc_hex_encode(const void *data, size_t len)
{
        static const char digits[] = "0123456789abcdef";
        const uint8_t *in = data;
        char *out = kc_malloc(len * 2 + 1);
        for (size_t i = 0; i < len; i++) {
                out[2 * i] = digits[in[i] >> 4];
                out[2 * i + 1] = digits[in[i] & 15];
        }
        out[2 * len] = '\0';
        return out;
}

static bool is_unreserved(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == '_' || c == '~';
}

char *kc_url_escape(const char *s, bool keep_slash)
{
        struct kc_buf b = KC_BUF_INIT;
        for (; *s; s++) {
                if (is_unreserved(*s) || (keep_slash && *s == '/'))
                        kc_buf_addc(&b, *s);
                else
                        kc_buf_addf(&b, "%%%02X", (unsigned char)*s);
        }
        return kc_buf_take_str(&b);
}

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int kc_url_unescape(const char *s, size_t len, bool plus_is_space, char **ret)
{
        KC_CLEANUP(kc_freep) char *out = kc_malloc(len + 1);
        size_t n = 0;
        for (size_t i = 0; i < len; i++) {
                char c = s[i];
                if (c == '%') {
                        int high = len - i > 2 ? hex_value(s[i + 1]) : -1, low = len - i > 2 ? hex_value(s[i + 2]) : -1;
                        if (high < 0 || low < 0)
                                return -EINVAL;
                        c = (char)(high << 4 | low);
                        i += 2;
                } else if (c == '+' && plus_is_space) {
                        c = ' ';
                }
                if (c == '\0')
                        return -EINVAL;
                out[n++] = c;
        }
        out[n] = '\0';
        *ret = KC_TAKE(out);
        return 0;
}

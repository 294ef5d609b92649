/* Strings and string vectors. */
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"

bool kc_streq(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

bool kc_strcaseeq(const char *a, const char *b)
{
        return a == b || (a && b && strcasecmp(a, b) == 0);
}

bool kc_str_empty(const char *s)
{
        return !s || !*s;
}

bool kc_str_has_prefix(const char *s, const char *prefix)
{
        return s && prefix && strncmp(s, prefix, strlen(prefix)) == 0;
}

bool kc_str_has_suffix(const char *s, const char *suffix)
{
        if (!s || !suffix)
                return false;
        size_t len = strlen(s), suffix_len = strlen(suffix);
        return len >= suffix_len && strcmp(s + len - suffix_len, suffix) == 0;
}

int kc_strcmp(const char *a, const char *b)
{
        if (!a || !b)
                return (a ? 1 : 0) - (b ? 1 : 0);
        return strcmp(a, b);
}

void kc_str_set(char **dst, const char *src)
{
        char *copy = kc_strdup(src); /* first: src may be part of *dst */
        kc_free(*dst);
        *dst = copy;
}

char *kc_str_trim(const char *s)
{
        static const char white[] = " \t\n\v\f\r";
        s += strspn(s, white);
        size_t len = strlen(s);
        while (len > 0 && strchr(white, s[len - 1]))
                len--;
        return kc_strndup(s, len);
}

char *kc_str_replace_all(const char *s, const char *from, const char *to)
{
        struct kc_buf b = KC_BUF_INIT;
        size_t from_len = strlen(from);
        const char *hit;
        while (from_len > 0 && (hit = strstr(s, from))) {
                kc_buf_add(&b, s, (size_t)(hit - s));
                kc_buf_adds(&b, to);
                s = hit + from_len;
        }
        kc_buf_adds(&b, s);
        return kc_buf_take_str(&b);
}

size_t kc_utf8_len(const char *s, size_t len)
{
        const unsigned char *p = (const unsigned char *)s;
        if (len == 0 || *p < 0x80)
                return len ? 1 : 0;
        size_t n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
        if (*p < 0xc2 || *p > 0xf4 || n > len)
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        bool overlong = (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xf0 && p[1] < 0x90);
        bool surrogate = *p == 0xed && p[1] > 0x9f;
        bool too_large = *p == 0xf4 && p[1] > 0x8f;
        return overlong || surrogate || too_large ? 0 : n;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* The magnitude of a run of digits that is the rest of the string. */
static int digits_to_u64(const char *s, uint64_t *ret_v)
{
        uint64_t v = 0;
        bool overflow = false;
        if (!*s)
                return -EINVAL;
        for (; *s; s++) {
                if (!is_digit(*s))
                        return -EINVAL;
                overflow = overflow || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
                           __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v);
        }
        if (overflow)
                return -ERANGE;
        *ret_v = v;
        return 0;
}

int kc_str_to_i64(const char *s, int64_t *ret_v)
{
        if (!s)
                return -EINVAL;
        bool negative = *s == '-';
        uint64_t v;
        int r = digits_to_u64(s + (*s == '-' || *s == '+'), &v);
        if (r < 0)
                return r;
        if (v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
                return -ERANGE;
        *ret_v = negative ? (int64_t)(0 - v) : (int64_t)v;
        return 0;
}

int kc_str_to_u64(const char *s, uint64_t *ret_v)
{
        if (!s)
                return -EINVAL;
        if (*s == '-') {
                uint64_t ignored;
                return digits_to_u64(s + 1, &ignored) == -EINVAL ? -EINVAL : -ERANGE;
        }
        return digits_to_u64(s + (*s == '+'), ret_v);
}

int kc_str_to_double(const char *s, double *ret_v)
{
        /* strtod(3) also takes leading space, hexadecimal, "inf" and "nan". */
        if (!s || !*s || strspn(s, "0123456789+-.eE") != strlen(s))
                return -EINVAL;
        char *end;
        errno = 0;
        double v = strtod(s, &end);
        if (*end || end == s)
                return -EINVAL;
        if (isinf(v))
                return -ERANGE;
        *ret_v = v;
        return 0;
}

int kc_str_to_bool(const char *s, bool *ret_v)
{
        static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
        static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
        for (size_t i = 0; i < KC_ARRAY_LEN(yes); i++) {
                bool is_yes = kc_streq(s, yes[i]);
                if (is_yes || kc_streq(s, no[i])) {
                        *ret_v = is_yes;
                        return 0;
                }
        }
        return -EINVAL;
}

/* An empty vector with the room that kc_strv_push_take expects one of n elements to have: a power of two. */
static char **with_room(size_t n)
{
        size_t slots = 1;
        while (slots < n + 1)
                slots *= 2;
        return kc_calloc(slots, sizeof(char *));
}

char **kc_strv_split(const char *s, char sep)
{
        if (kc_str_empty(s))
                return with_room(0);
        size_t n = 1;
        for (const char *p = s; *p; p++)
                n += *p == sep;
        char **v = with_room(n);
        for (size_t i = 0; i < n; i++) {
                const char *end = strchrnul(s, sep);
                v[i] = kc_strndup(s, (size_t)(end - s));
                s = end + 1;
        }
        return v;
}

void kc_strv_push(char ***v, const char *s)
{
        kc_strv_push_take(v, kc_strdup(s));
}

void kc_strv_push_take(char ***v, char *take_s)
{
        size_t n = kc_strv_len(*v);
        /* Grown when n + 1 slots (with the NULL) are a power of two: the vector stores no capacity. */
        if (!*v || (n & (n + 1)) == 0)
                *v = kc_reallocarray(*v, (n + 1) * 2, sizeof(char *));
        (*v)[n] = take_s;
        (*v)[n + 1] = NULL;
}

void kc_strv_pushf(char ***v, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        kc_strv_push_take(v, kc_vasprintf(fmt, ap));
        va_end(ap);
}

size_t kc_strv_len(char *const *v)
{
        size_t n = 0;
        while (v && v[n])
                n++;
        return n;
}

bool kc_strv_has(char *const *v, const char *s)
{
        for (; v && *v; v++)
                if (kc_streq(*v, s))
                        return true;
        return false;
}

bool kc_strv_equal(char *const *a, char *const *b)
{
        for (; a && b && *a && *b; a++, b++)
                if (!kc_streq(*a, *b))
                        return false;
        return !(a && *a) && !(b && *b);
}

size_t kc_strv_remove(char **v, const char *s)
{
        if (!v)
                return 0;
        char **to = v;
        size_t removed = 0;
        for (char **from = v; *from; from++) {
                if (kc_streq(*from, s)) {
                        kc_free(*from);
                        removed++;
                } else {
                        *to++ = *from;
                }
        }
        *to = NULL;
        return removed;
}

char **kc_strv_copy(char *const *v)
{
        size_t n = kc_strv_len(v);
        char **copy = with_room(n);
        for (size_t i = 0; i < n; i++)
                copy[i] = kc_strdup(v[i]);
        return copy;
}

char *kc_strv_join(char *const *v, const char *sep)
{
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; v && v[i]; i++) {
                if (i > 0)
                        kc_buf_adds(&b, sep);
                kc_buf_adds(&b, v[i]);
        }
        return kc_buf_take_str(&b);
}

static int compare_elements(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void kc_strv_sort(char **v)
{
        size_t n = kc_strv_len(v);
        if (n > 1)
                qsort(v, n, sizeof(char *), compare_elements);
}

void kc_strv_sort_uniq(char **v)
{
        kc_strv_sort(v);
        if (!v || !*v)
                return;
        char **last = v;
        for (char **from = v + 1; *from; from++) {
                if (strcmp(*last, *from) == 0)
                        kc_free(*from);
                else
                        *++last = *from;
        }
        last[1] = NULL;
}

void kc_strv_free(char **v)
{
        for (char **p = v; p && *p; p++)
                kc_free(*p);
        kc_free(v);
}

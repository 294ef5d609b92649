/* Aborting and non-aborting allocation. Any thread. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static _Noreturn void out_of_memory(size_t size)
{
        kc_log_write(KC_LOG_FATAL, 0, __FILE__, __LINE__, "Out of memory", NULL, "size", kc_log_i64((long long)size),
            (char *)NULL);
        abort();
}

/* malloc(0) may return NULL, which ours never does. */
static size_t at_least_one(size_t size)
{
        return size ? size : 1;
}

void *kc_malloc(size_t size)
{
        void *p = malloc(at_least_one(size));
        if (!p)
                out_of_memory(size);
        return p;
}

void *kc_calloc(size_t n, size_t size)
{
        void *p = calloc(at_least_one(n), at_least_one(size));
        if (!p)
                out_of_memory(size && n > SIZE_MAX / size ? SIZE_MAX : n * size);
        return p;
}

void *kc_realloc(void *p, size_t size)
{
        void *q = realloc(p, at_least_one(size));
        if (!q)
                out_of_memory(size);
        return q;
}

void *kc_reallocarray(void *p, size_t n, size_t size)
{
        size_t total;
        if (__builtin_mul_overflow(n, size, &total))
                out_of_memory(SIZE_MAX);
        return kc_realloc(p, total);
}

void *kc_memdup(const void *p, size_t len)
{
        void *q = kc_malloc(len);
        if (len)
                memcpy(q, p, len);
        return q;
}

char *kc_strdup(const char *s)
{
        return s ? kc_memdup(s, strlen(s) + 1) : NULL;
}

char *kc_strndup(const char *s, size_t max)
{
        if (!s)
                return NULL;
        size_t len = strnlen(s, max);
        char *copy = kc_malloc(len + 1);
        memcpy(copy, s, len);
        copy[len] = '\0';
        return copy;
}

char *kc_asprintf(const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        char *s = kc_vasprintf(fmt, ap);
        va_end(ap);
        return s;
}

char *kc_vasprintf(const char *fmt, va_list ap)
{
        char *s;
        if (vasprintf(&s, fmt, ap) < 0)
                out_of_memory(strlen(fmt));
        return s;
}

void *kc_try_malloc(size_t size)
{
        return malloc(at_least_one(size));
}

void *kc_try_realloc(void *p, size_t size)
{
        return realloc(p, at_least_one(size));
}

void kc_free(void *p)
{
        free(p);
}

void kc_free_secret(void *p, size_t len)
{
        if (!p)
                return;
        explicit_bzero(p, len);
        free(p);
}

/* Memory. Allocations of sizes that we choose abort on exhaustion; sizes that a peer chooses use kc_try_*. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/macros.h"

/* Never return NULL: they log and abort on exhaustion. kc_calloc and kc_reallocarray check n * size for overflow. */
void *kc_malloc(size_t size) __attribute__((malloc, returns_nonnull));
void *kc_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *kc_realloc(void *p, size_t size) __attribute__((returns_nonnull));
void *kc_reallocarray(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
void *kc_memdup(const void *p, size_t len);
/* NULL in, NULL out. */
char *kc_strdup(const char *s);
char *kc_strndup(const char *s, size_t max);
char *kc_asprintf(const char *fmt, ...) KC_PRINTF(1, 2);
char *kc_vasprintf(const char *fmt, va_list ap) KC_PRINTF(1, 0);

/* NULL on exhaustion. */
void *kc_try_malloc(size_t size);
void *kc_try_realloc(void *p, size_t size);

/* free(3) for every kc_ allocation. */
void kc_free(void *p);
/* Overwrites with zeros in a way that the compiler keeps, then frees: for secrets. NULL is fine. */
void kc_free_secret(void *p, size_t len);

/* For KC_CLEANUP on any pointer: frees *(void **)p. */
static inline KC_UNUSED void kc_freep(void *p)
{
        kc_free(*(void **)p);
}

/* Zeroed storage of one struct. */
#define KC_NEW(type) ((type *)kc_calloc(1, sizeof(type)))

/* Compiler helpers shared by everything. */
#pragma once

#include <stddef.h>

#define KC_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))
#define KC_WARN_UNUSED __attribute__((warn_unused_result))
#define KC_UNUSED __attribute__((unused))
#define KC_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KC_MIN(a, b) ((a) < (b) ? (a) : (b))
#define KC_MAX(a, b) ((a) > (b) ? (a) : (b))
#define KC_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* KC_CLEANUP(kc_freep) char *s = NULL; calls kc_freep(&s) when s leaves its scope. */
#define KC_CLEANUP(fn) __attribute__((cleanup(fn)))

/* Yields the pointer and sets it to NULL: hands a KC_CLEANUP local to its new owner. */
#define KC_TAKE(p)                                                                                                     \
        ({                                                                                                             \
                __typeof__(p) kc_take_ = (p);                                                                          \
                (p) = NULL;                                                                                            \
                kc_take_;                                                                                              \
        })

/* Defines fnp(type **p) for use with KC_CLEANUP: calls free_fn(*p) unless *p is NULL. */
#define KC_DEFINE_CLEANUP(type, free_fn)                                                                               \
        static inline KC_UNUSED void free_fn##p(type *p)                                                               \
        {                                                                                                              \
                if (*p)                                                                                                \
                        free_fn(*p);                                                                                   \
        }

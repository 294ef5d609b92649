/* Strings and NULL-terminated string vectors ("strv": char **, each element and the vector on the heap). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/mem.h"

/* NULL equals only NULL. */
bool kc_streq(const char *a, const char *b);
bool kc_strcaseeq(const char *a, const char *b);
/* True for NULL and "". */
bool kc_str_empty(const char *s);
bool kc_str_has_prefix(const char *s, const char *prefix);
bool kc_str_has_suffix(const char *s, const char *suffix);
/* strcmp(3) in which NULL sorts before everything. */
int kc_strcmp(const char *a, const char *b);
/* *dst = copy of src (NULL allowed); the old *dst is freed. */
void kc_str_set(char **dst, const char *src);
/* New string without leading and trailing ASCII white space. */
char *kc_str_trim(const char *s);
char *kc_str_replace_all(const char *s, const char *from, const char *to);

/* Bytes of the valid UTF-8 sequence at s (1 to 4), at most len; 0 if there is none. */
size_t kc_utf8_len(const char *s, size_t len);

/* Whole string, base 10, optional sign: 0, -EINVAL (not a number) or -ERANGE. */
int kc_str_to_i64(const char *s, int64_t *ret_v);
int kc_str_to_u64(const char *s, uint64_t *ret_v);
int kc_str_to_double(const char *s, double *ret_v);
/* "true"/"false" and the other words that Go's ParseBool takes (1 0 t f T F TRUE FALSE True False); else -EINVAL. */
int kc_str_to_bool(const char *s, bool *ret_v);

/* "a,b,,c" by ',' gives {"a","b","","c",NULL}; "" gives {NULL} (an empty vector). */
char **kc_strv_split(const char *s, char sep);
/* Appends a copy; *v may be NULL (an empty vector). */
void kc_strv_push(char ***v, const char *s);
void kc_strv_push_take(char ***v, char *take_s);
void kc_strv_pushf(char ***v, const char *fmt, ...) KC_PRINTF(2, 3);
size_t kc_strv_len(char *const *v);
bool kc_strv_has(char *const *v, const char *s);
/* Removes every element equal to s; returns how many. */
size_t kc_strv_remove(char **v, const char *s);
/* The same strings in the same order; NULL is the empty list. */
bool kc_strv_equal(char *const *a, char *const *b);
char **kc_strv_copy(char *const *v);
char *kc_strv_join(char *const *v, const char *sep);
void kc_strv_sort(char **v);
/* strcmp order; drops equal neighbours after sorting. */
void kc_strv_sort_uniq(char **v);
void kc_strv_free(char **v);
KC_DEFINE_CLEANUP(char **, kc_strv_free)

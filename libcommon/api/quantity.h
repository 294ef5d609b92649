/* resource.Quantity: fixed-point numbers with SI or binary suffixes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum kc_quantity_format { KC_QUANTITY_DECIMAL_SI, KC_QUANTITY_BINARY_SI, KC_QUANTITY_DECIMAL_EXPONENT };

/* value = digits * 10^-9 (nano units, the finest that upstream keeps); saturates as upstream does. */
struct kc_quantity {
        __int128 nano;
        enum kc_quantity_format format;
};

enum { KC_QUANTITY_LEN = 64 };
/* 0 or -EINVAL ("quantities must match the regular expression ..."). */
int kc_quantity_parse(const char *s, struct kc_quantity *ret);
/* Canonical text: "500m", "1", "128Mi". */
const char *kc_quantity_format(const struct kc_quantity *q, char buf[static KC_QUANTITY_LEN]);
int kc_quantity_cmp(const struct kc_quantity *a, const struct kc_quantity *b);
void kc_quantity_add(struct kc_quantity *a, const struct kc_quantity *b);
void kc_quantity_sub(struct kc_quantity *a, const struct kc_quantity *b);
/* Rounded up, as Value() and MilliValue(); saturating. */
int64_t kc_quantity_value(const struct kc_quantity *q);
int64_t kc_quantity_milli(const struct kc_quantity *q);
struct kc_quantity kc_quantity_from_int(int64_t v, enum kc_quantity_format f);
struct kc_quantity kc_quantity_from_milli(int64_t v, enum kc_quantity_format f);

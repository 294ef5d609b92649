/* Shared by selector.c and selector_parse.c. */
#pragma once

#include "api/selector.h"

enum kc_selector_op {
        KC_SELECTOR_IN,
        KC_SELECTOR_NOT_IN,
        KC_SELECTOR_EQUALS,
        KC_SELECTOR_DOUBLE_EQUALS,
        KC_SELECTOR_NOT_EQUALS,
        KC_SELECTOR_EXISTS,
        KC_SELECTOR_NOT_EXISTS,
        KC_SELECTOR_GREATER,
        KC_SELECTOR_LESS,
};

struct kc_requirement {
        char *key;
        enum kc_selector_op op;
        char **values;  /* strv, sorted, unique */
        int64_t number; /* GREATER, LESS */
};

struct kc_selector {
        struct kc_requirement *v; /* sorted by key */
        size_t n;
        bool nothing;
};

/* labels.NewRequirement: checks and adds; BadRequest with prefix (may be "") before upstream's message. */
int kc_selector_add(struct kc_selector *s, const char *key, enum kc_selector_op op, char **take_values,
    const char *prefix, struct kc_error *err);
void kc_selector_sort(struct kc_selector *s);

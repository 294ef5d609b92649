/* What plain YAML scalars mean; shared by the parser and the writer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum kc_yaml_type {
        KC_YAML_STR,
        KC_YAML_NULL,
        KC_YAML_BOOL,
        KC_YAML_INT,
        KC_YAML_FLOAT,    /* also integers outside int64 */
        KC_YAML_TIME,     /* read as a string, but quoted when written */
        KC_YAML_INFINITE, /* infinities and NaN: nothing JSON has */
};

struct kc_yaml_scalar {
        enum kc_yaml_type type;
        bool b;
        int64_t i;
        double d;
        bool wide; /* KC_YAML_FLOAT that was written as an integer */
};

/* As goyaml.v2 resolves an untagged plain scalar. */
struct kc_yaml_scalar kc_yaml_resolve(const char *s);

/* The table of feature gates. */
#pragma once

#include <stddef.h>

#include "base/features.h"

enum feature_stage { FEATURE_ALPHA, FEATURE_BETA, FEATURE_GA, FEATURE_DEPRECATED };

struct feature_row {
        const char *name;
        enum feature_stage stage;
        bool on;     /* by default */
        bool locked; /* nobody can change it */
        enum kc_feature id;
        const char *needs; /* a gate that must be on where this one is; NULL: none */
};

/* Sorted by name. */
extern const struct feature_row feature_rows[];
extern const size_t feature_n_rows;

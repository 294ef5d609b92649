/* Feature gates: upstream's names, stages and defaults in one table, and what --feature-gates or a component's
 * configuration makes of them. Most of them are names only: what they are about works here as by default, whatever is
 * asked for. Set on the main thread before any other thread runs, constant from then on. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* Gates that change something. */
enum kc_feature {
        KC_FEATURE_NONE, /* of rows that are names only */
        KC_FEATURE_CLUSTER_TRUST_BUNDLE,
        KC_FEATURE_CLUSTER_TRUST_BUNDLE_PROJECTION,
        KC_N_FEATURES,
};

bool kc_feature_enabled(enum kc_feature f);
/* KC_FEATURE_NONE, which is never enabled: no gate of that name changes anything. */
enum kc_feature kc_feature_named(const char *name);

/* pairs: strv of "Name=true", AllAlpha and AllBeta too; NULL: none. Replaces what was set before. -EINVAL with
 * upstream's message: names that nobody knows, values that are no booleans, gates that are locked, gates that need
 * another one. */
int kc_features_set(char *const *pairs, struct kc_error *err);
/* The pairs of *flags and those of config whose names are not in flags. Heap. */
char **kc_features_merge(char *const *flags, char *const *config);
/* Logs a warning for each gate that was set without effect, or that goes away. */
void kc_features_warn(void);

/* stage: "ALPHA", "BETA", "" (general availability) or "DEPRECATED". By name. */
void kc_features_each(void (*fn)(const char *name, const char *stage, bool enabled, void *arg), void *arg);

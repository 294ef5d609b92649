/* Feature gates: what is set, and what that comes to. Main thread, then any: constant. */
#include "base/features.h"

#include <errno.h>
#include <string.h>

#include "base/features_internal.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

static struct {
        char **pairs;                    /* as they were set */
        bool changed, on[KC_N_FEATURES]; /* changed false: defaults */
} state;

static const struct feature_row *find(const char *name, size_t len)
{
        for (size_t i = 0; i < feature_n_rows; i++)
                if (strlen(feature_rows[i].name) == len && memcmp(feature_rows[i].name, name, len) == 0)
                        return &feature_rows[i];
        return NULL;
}

static const struct feature_row *row_of(const char *pair)
{
        return find(pair, strcspn(pair, "="));
}

static const struct feature_row *row_of_id(enum kc_feature f)
{
        for (size_t i = 0; i < feature_n_rows; i++)
                if (feature_rows[i].id == f)
                        return &feature_rows[i];
        return NULL;
}

/* The value of a pair that has been checked. */
static bool value_of(const char *pair)
{
        const char *eq = strchr(pair, '=');
        bool b = false;
        (void)(eq && kc_str_to_bool(eq + 1, &b) == 0);
        return b;
}

bool kc_feature_enabled(enum kc_feature f)
{
        if (f == KC_FEATURE_NONE)
                return false;
        const struct feature_row *row = state.changed ? NULL : row_of_id(f);
        return state.changed ? state.on[f] : row && row->on;
}

enum kc_feature kc_feature_named(const char *name)
{
        const struct feature_row *row = find(name, strlen(name));
        return row ? row->id : KC_FEATURE_NONE;
}

static int check(const char *pair, struct kc_error *err)
{
        const struct feature_row *row = row_of(pair);
        const char *eq = strchr(pair, '=');
        bool on = false;
        if (!row)
                return kc_error_set(err, EINVAL, "unrecognized feature gate: %.*s", (int)strcspn(pair, "="), pair);
        if (!eq)
                return kc_error_set(err, EINVAL, "missing bool value for %s", row->name);
        if (kc_str_to_bool(eq + 1, &on) < 0)
                return kc_error_set(err, EINVAL,
                    "invalid value of %s=%s, err: strconv.ParseBool: parsing \"%s\": invalid syntax", row->name, eq + 1,
                    eq + 1);
        if (row->locked && on != row->on)
                return kc_error_set(err, EINVAL, "cannot set feature gate %s to %s, feature is locked to %s", row->name,
                    on ? "true" : "false", row->on ? "true" : "false");
        return 0;
}

/* Of several pairs of one name the last counts; NULL: none. */
static const char *pair_of(char *const *pairs, const char *name)
{
        const char *found = NULL;
        size_t len = strlen(name);
        for (; pairs && *pairs; pairs++)
                if (strcspn(*pairs, "=") == len && memcmp(*pairs, name, len) == 0)
                        found = *pairs;
        return found;
}

static bool wanted(char *const *pairs, const struct feature_row *row)
{
        const char *own = pair_of(pairs, row->name);
        const char *all = row->stage == FEATURE_ALPHA  ? pair_of(pairs, "AllAlpha")
                          : row->stage == FEATURE_BETA ? pair_of(pairs, "AllBeta")
                                                       : NULL;
        if (own)
                return value_of(own);
        return all && !row->locked ? value_of(all) : row->on;
}

static int check_needs(char *const *pairs, struct kc_error *err)
{
        for (size_t i = 0; i < feature_n_rows; i++) {
                const struct feature_row *row = &feature_rows[i];
                const struct feature_row *needs = row->needs ? find(row->needs, strlen(row->needs)) : NULL;
                if (needs && wanted(pairs, row) && !wanted(pairs, needs))
                        return kc_error_set(err, EINVAL,
                            "%s is enabled, but depends on features that are disabled: [%s]", row->name, needs->name);
        }
        return 0;
}

int kc_features_set(char *const *pairs, struct kc_error *err)
{
        int r = 0;
        for (size_t i = 0; r == 0 && pairs && pairs[i]; i++)
                r = check(pairs[i], err);
        if (r == 0)
                r = check_needs(pairs, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < feature_n_rows; i++)
                state.on[feature_rows[i].id] = wanted(pairs, &feature_rows[i]);
        state.changed = true;
        char **copy = kc_strv_copy(pairs);
        kc_strv_free(state.pairs);
        state.pairs = copy;
        return 0;
}

char **kc_features_merge(char *const *flags, char *const *config)
{
        char **merged = NULL;
        for (; config && *config; config++) {
                KC_CLEANUP(kc_freep) char *name = kc_strndup(*config, strcspn(*config, "="));
                if (!pair_of(flags, name))
                        kc_strv_push(&merged, *config);
        }
        for (; flags && *flags; flags++)
                kc_strv_push(&merged, *flags);
        return merged;
}

static bool is_group(const struct feature_row *row)
{
        return kc_streq(row->name, "AllAlpha") || kc_streq(row->name, "AllBeta");
}

void kc_features_warn(void)
{
        for (char **p = state.pairs; p && *p; p++) {
                const struct feature_row *row = row_of(*p);
                const char *value = value_of(*p) ? "true" : "false";
                if (!row || is_group(row))
                        continue;
                if (row->stage == FEATURE_GA || row->stage == FEATURE_DEPRECATED)
                        kc_log_warn("Setting a feature gate that will be removed in a future release", "gate",
                            row->name, "value", value, "stage", row->stage == FEATURE_GA ? "GA" : "DEPRECATED");
                if (row->id == KC_FEATURE_NONE && value_of(*p) != row->on)
                        kc_log_warn(
                            "The feature gate cannot be changed here, ignoring", "gate", row->name, "value", value);
        }
}

void kc_features_each(void (*fn)(const char *name, const char *stage, bool enabled, void *arg), void *arg)
{
        static const char *const stages[] = {
            [FEATURE_ALPHA] = "ALPHA", [FEATURE_BETA] = "BETA", [FEATURE_GA] = "", [FEATURE_DEPRECATED] = "DEPRECATED"};
        for (size_t i = 0; i < feature_n_rows; i++) {
                const struct feature_row *row = &feature_rows[i];
                bool on = row->id != KC_FEATURE_NONE ? kc_feature_enabled(row->id)
                          : is_group(row)            ? wanted(state.pairs, row)
                                                     : row->on;
                fn(row->name, stages[row->stage], on, arg);
        }
}

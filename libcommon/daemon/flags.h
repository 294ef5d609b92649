/* Command-line flags in the style of upstream's pflag: --name=value, --name value, --bool, -x; one explicit table for
 * each daemon. --help prints all by section; unknown flags are an error that names the near miss. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum kc_flag_kind {
        KC_FLAG_STRING,   /* char ** (heap) */
        KC_FLAG_BOOL,     /* bool * */
        KC_FLAG_INT,      /* int * */
        KC_FLAG_INT64,    /* int64_t * */
        KC_FLAG_DOUBLE,   /* double * */
        KC_FLAG_DURATION, /* int64_t *, microseconds; Go syntax */
        KC_FLAG_STRV,     /* char *** : comma-separated and repeatable */
        KC_FLAG_ARRAY,    /* char *** : repeatable; commas stay */
        KC_FLAG_MAP,      /* char *** of "k=v" elements, comma-separated and repeatable */
        KC_FLAG_IGNORED,  /* accepted for compatibility, has no effect; value NULL */
};

struct kc_flag {
        const char *name;
        char short_name; /* 0: none */
        enum kc_flag_kind kind;
        void *value; /* the variable holds the default before parsing */
        const char *help;
        const char *section;
};

/* Flags of the table; positional arguments go to *ret_args (strv; NULL: positionals are an error). */
int kc_flags_parse(
    const struct kc_flag *flags, size_t n, int argc, char *const *argv, char ***ret_args, struct kc_error *err);
void kc_flags_help(struct kc_buf *out, const char *program, const char *summary, const struct kc_flag *flags, size_t n);
/* Was the flag given on the command line that was parsed last? (Component config: flags win over the file.) Kept per
 * table until exit. */
bool kc_flags_given(const struct kc_flag *flags, const char *name);

/* A component config file (YAML) of that kind and one of those apiVersions (NULL-terminated), e.g.
 * kubelet.config.k8s.io/v1beta1 KubeletConfiguration. */
struct json_object;
int kc_component_config_load(const char *path, const char *const *api_versions, const char *kind,
    struct json_object **ret, struct kc_error *err);
/* Logs a warning for each top-level field that is not in known (NULL-terminated). */
void kc_component_config_warn_unknown(const struct json_object *config, const char *path, const char *const *known);

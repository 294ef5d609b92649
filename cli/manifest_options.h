/* -f, -k, -R and -l of commands that take objects from files. */
#pragma once

#include "cli/builder.h"

struct kc_manifest_options {
        char *const *files;
        const char *kustomize, *selector;
        bool recursive;
};

#define KC_MANIFEST_FLAGS(o, section)                                                                                  \
        {"filename", 'f', KC_FLAG_STRV, &(o).files, "files, directories or - with the objects", section},              \
            {"kustomize", 'k', KC_FLAG_STRING, &(o).kustomize, "directory with a kustomization", section},             \
        {                                                                                                              \
                "recursive", 'R', KC_FLAG_BOOL, &(o).recursive, "directories with theirs", section                     \
        }

/* Any of them given? */
bool kc_manifest_options_given(const struct kc_manifest_options *o);
/* Exactly one of -f and -k has to be given. */
int kc_manifest_options_check(const struct kc_manifest_options *o, struct kc_error *err);
/* The objects, those that the selector takes. */
int kc_manifest_options_load(
    struct kc_cli *c, const struct kc_manifest_options *o, struct kc_manifests *ret, struct kc_error *err);

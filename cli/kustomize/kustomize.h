/* Kustomizations: objects from a directory with a kustomization.yaml, as kustomize 5 builds them. Reads local files
 * only; does not print. Any thread. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

struct kc_kustomize_options {
        bool load_anywhere;      /* files outside of the directory of the kustomization that names them, too */
        struct kc_buf *warnings; /* lines about fields that are deprecated; NULL: they are dropped */
};
/* The objects as YAML documents, in kustomize's order, "---" between them. o may be NULL. Messages are kustomize's. */
int kc_kustomize_build(const char *dir, const struct kc_kustomize_options *o, struct kc_buf *ret, struct kc_error *err);

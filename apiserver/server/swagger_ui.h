/* The files of /swagger-ui/, in memory. */
#pragma once

#include "base/error.h"
#include "base/mem.h"
#include "server/documents.h"

struct swagger_ui;

/* dir: an unpacked swagger-ui-dist of npm. Fails when a file is missing. */
int swagger_ui_new(const char *dir, struct swagger_ui **ret, struct kc_error *err);
void swagger_ui_free(struct swagger_ui *s);
KC_DEFINE_CLEANUP(struct swagger_ui *, swagger_ui_free)
/* name: below /swagger-ui/, "" for the page. NULL: there is none; s may be NULL. Borrowed. */
const struct document *swagger_ui_get(const struct swagger_ui *s, const char *name, const char **ret_type);

/* Text of levels and columns, as kubectl's describe lays it out.
 *
 * Cells end with a tab; neighbouring lines that have a cell in a column make it as wide as the widest, two spaces
 * apart. What stands behind the last tab of a line is no cell. A level is two spaces in front of the line. */
#pragma once

#include "base/buf.h"

struct kc_layout {
        struct kc_buf text;
};
/* A line, or a part of one: indented by level, so the first part has it, and the others 0. Escapes of terminals are
 * made harmless. */
void kc_layout_add(struct kc_layout *l, int level, const char *fmt, ...) KC_PRINTF(3, 4);
/* Aligns all that was added and appends it; l is empty afterwards. */
void kc_layout_flush(struct kc_layout *l, struct kc_buf *out);
/* The same with any text, and another space between columns. Pure. */
void kc_layout_align(const char *text, size_t len, size_t padding, struct kc_buf *out);
void kc_layout_done(struct kc_layout *l);

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
/* Other columns: as wide as min_width at least, as far apart as padding; never narrower than they were when remembers
 * is set. */
struct kc_layout_columns {
        size_t min_width, padding;
        bool remembers;
        size_t *widths, n; /* what is remembered */
};
void kc_layout_columns_done(struct kc_layout_columns *c);
/* The same with any text. */
void kc_layout_align(const char *text, size_t len, struct kc_layout_columns *columns, struct kc_buf *out);
void kc_layout_done(struct kc_layout *l);

/* Elastic columns: the algorithm is that of text/tabwriter of Go. Pure. */
#include "cli/describe/layout.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { PADDING = 2, INDENT = 2 };

struct cell {
        const char *text;
        size_t len, width;
};
struct line {
        size_t first, n; /* cells; the last one is what stands behind the tabs */
};
struct grid {
        struct cell *cells;
        size_t n_cells, cap_cells;
        struct line *lines;
        size_t n_lines, cap_lines;
        size_t *widths; /* of the columns that are open */
        size_t n_widths, cap_widths;
        struct kc_layout_columns *columns;
        struct kc_buf *out;
};

/* Characters, as Go counts runes. */
static size_t text_width(const char *s, size_t len)
{
        size_t n = 0;
        for (size_t at = 0; at < len; n++) {
                size_t k = kc_utf8_len(s + at, len - at);
                at += k ? k : 1;
        }
        return n;
}

static void add_cell(struct grid *g, const char *text, size_t len)
{
        if (g->n_cells == g->cap_cells) {
                g->cap_cells = g->cap_cells ? 2 * g->cap_cells : 256;
                g->cells = kc_reallocarray(g->cells, g->cap_cells, sizeof(*g->cells));
        }
        g->cells[g->n_cells++] = (struct cell){text, len, text_width(text, len)};
}

static void add_line(struct grid *g, size_t first)
{
        if (g->n_lines == g->cap_lines) {
                g->cap_lines = g->cap_lines ? 2 * g->cap_lines : 128;
                g->lines = kc_reallocarray(g->lines, g->cap_lines, sizeof(*g->lines));
        }
        g->lines[g->n_lines++] = (struct line){first, g->n_cells - first};
}

/* The text behind the last newline is a line too, so that the count of newlines comes out. */
static void parse(struct grid *g, const char *text, size_t len)
{
        size_t first = 0, start = 0;
        for (size_t i = 0; i <= len; i++) {
                char c = i < len ? text[i] : '\n';
                if (c != '\t' && c != '\n')
                        continue;
                add_cell(g, text + start, i - start);
                start = i + 1;
                if (c == '\n') {
                        add_line(g, first);
                        first = g->n_cells;
                }
        }
}

static void write_lines(struct grid *g, size_t from, size_t to)
{
        for (size_t i = from; i < to; i++) {
                const struct line *l = &g->lines[i];
                for (size_t j = 0; j < l->n; j++) {
                        const struct cell *c = &g->cells[l->first + j];
                        kc_buf_add(g->out, c->text, c->len);
                        for (size_t w = c->width; j < g->n_widths && w < g->widths[j]; w++)
                                kc_buf_addc(g->out, ' ');
                }
                if (i + 1 < g->n_lines)
                        kc_buf_addc(g->out, '\n');
        }
}

static size_t remembered(const struct kc_layout_columns *c, size_t column)
{
        return c->remembers && column < c->n ? c->widths[column] : 0;
}

static void remember(struct kc_layout_columns *c, size_t column, size_t width)
{
        if (!c->remembers)
                return;
        if (column >= c->n) {
                c->widths = kc_reallocarray(c->widths, column + 1, sizeof(*c->widths));
                while (c->n <= column)
                        c->widths[c->n++] = 0;
        }
        c->widths[column] = KC_MAX(c->widths[column], width);
}

void kc_layout_columns_done(struct kc_layout_columns *c)
{
        kc_free(c->widths);
        *c = (struct kc_layout_columns){0};
}

static bool has_column(const struct grid *g, size_t line, size_t column)
{
        return column + 1 < g->lines[line].n;
}

/* Lines [from, to), whose columns to the left are open. */
static void format(struct grid *g, size_t from, size_t to)
{
        size_t column = g->n_widths, begin = from;
        for (size_t i = from; i < to; i++) {
                if (!has_column(g, i, column))
                        continue;
                write_lines(g, begin, i);
                begin = i;
                size_t width = KC_MAX(g->columns->min_width, remembered(g->columns, column));
                for (; i < to && has_column(g, i, column); i++)
                        width = KC_MAX(width, g->cells[g->lines[i].first + column].width + g->columns->padding);
                if (g->n_widths == g->cap_widths) {
                        g->cap_widths = g->cap_widths ? 2 * g->cap_widths : 16;
                        g->widths = kc_reallocarray(g->widths, g->cap_widths, sizeof(*g->widths));
                }
                remember(g->columns, column, width);
                g->widths[g->n_widths++] = width;
                format(g, begin, i);
                g->n_widths--;
                begin = i;
        }
        write_lines(g, begin, to);
}

void kc_layout_align(const char *text, size_t len, struct kc_layout_columns *columns, struct kc_buf *out)
{
        struct grid g = {.out = out, .columns = columns};
        parse(&g, text, len);
        format(&g, 0, g.n_lines);
        kc_free(g.cells);
        kc_free(g.lines);
        kc_free(g.widths);
}

void kc_layout_add(struct kc_layout *l, int level, const char *fmt, ...)
{
        va_list ap;
        for (int i = 0; i < level * INDENT; i++)
                kc_buf_addc(&l->text, ' ');
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *s = kc_vasprintf(fmt, ap);
        va_end(ap);
        for (const char *p = s; *p; p++) {
                if (*p == '\033')
                        kc_buf_adds(&l->text, "^[");
                else if (*p == '\r')
                        kc_buf_adds(&l->text, "\\r");
                else
                        kc_buf_addc(&l->text, *p);
        }
}

void kc_layout_flush(struct kc_layout *l, struct kc_buf *out)
{
        struct kc_layout_columns columns = {.padding = PADDING};
        kc_layout_align(kc_buf_str(&l->text), l->text.len, &columns, out);
        kc_buf_reset(&l->text);
}

void kc_layout_done(struct kc_layout *l)
{
        kc_buf_done(&l->text);
}

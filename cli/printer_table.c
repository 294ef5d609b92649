/* Tables. Any thread. */
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/printer.h"

void kc_tabwriter_init(struct kc_tabwriter *w, size_t min_width, size_t padding)
{
        *w = (struct kc_tabwriter){.min_width = min_width, .padding = padding};
}

void kc_tabwriter_cell(struct kc_tabwriter *w, const char *text)
{
        if (w->n_cells == w->cap_cells) {
                w->cap_cells = w->cap_cells ? 2 * w->cap_cells : 64;
                w->cells = kc_reallocarray(w->cells, w->cap_cells, sizeof(*w->cells));
        }
        w->cells[w->n_cells++] = kc_strdup(text);
}

void kc_tabwriter_end_row(struct kc_tabwriter *w)
{
        if (w->n_rows == w->cap_rows) {
                w->cap_rows = w->cap_rows ? 2 * w->cap_rows : 16;
                w->row_ends = kc_reallocarray(w->row_ends, w->cap_rows, sizeof(*w->row_ends));
        }
        w->row_ends[w->n_rows++] = w->n_cells;
}

/* Characters, as Go counts runes. */
static size_t text_width(const char *s)
{
        size_t n = 0, len = strlen(s);
        for (size_t at = 0; at < len; n++) {
                size_t k = kc_utf8_len(s + at, len - at);
                at += k ? k : 1;
        }
        return n;
}

static void widen(struct kc_tabwriter *w, size_t column, size_t width)
{
        if (column >= w->n_widths) {
                w->widths = kc_reallocarray(w->widths, column + 1, sizeof(*w->widths));
                while (w->n_widths <= column)
                        w->widths[w->n_widths++] = w->min_width;
        }
        w->widths[column] = KC_MAX(w->widths[column], width);
}

void kc_tabwriter_flush(struct kc_tabwriter *w, struct kc_buf *out)
{
        for (size_t row = 0, at = 0; row < w->n_rows; row++)
                for (size_t column = 0; at < w->row_ends[row]; at++, column++)
                        if (at + 1 < w->row_ends[row])
                                widen(w, column, text_width(w->cells[at]) + w->padding);
        for (size_t row = 0, at = 0; row < w->n_rows; row++) {
                for (size_t column = 0; at < w->row_ends[row]; at++, column++) {
                        const char *text = w->cells[at];
                        kc_buf_adds(out, text);
                        if (at + 1 < w->row_ends[row])
                                for (size_t n = text_width(text); n < w->widths[column]; n++)
                                        kc_buf_addc(out, ' ');
                }
                kc_buf_addc(out, '\n');
        }
        for (size_t i = 0; i < w->n_cells; i++)
                kc_free(w->cells[i]);
        w->n_cells = 0;
        w->n_rows = 0;
}

void kc_tabwriter_forget(struct kc_tabwriter *w)
{
        kc_free(w->widths);
        w->widths = NULL;
        w->n_widths = 0;
}

void kc_tabwriter_done(struct kc_tabwriter *w)
{
        for (size_t i = 0; i < w->n_cells; i++)
                kc_free(w->cells[i]);
        kc_free(w->cells);
        kc_free(w->row_ends);
        kc_free(w->widths);
        *w = (struct kc_tabwriter){0};
}

/* --- Table objects */

/* As Go's %v; text is cut at the first line break. */
static char *cell_text(const struct json_object *cell)
{
        const char *s = kc_json_as_str(cell);
        if (s) {
                size_t n = strcspn(s, "\f\n\r");
                return s[n] ? kc_asprintf("%.*s...", (int)n, s) : kc_strdup(s);
        }
        return cell ? kc_json_to_str(cell) : kc_strdup("");
}

static bool shown(const struct json_object *column, const struct kc_table_options *o)
{
        return o->wide || kc_json_int(column, "priority", 0) == 0;
}

static char *upper(const char *s)
{
        char *u = kc_strdup(s ? s : "");
        for (char *p = u; *p; p++)
                if (*p >= 'a' && *p <= 'z')
                        *p = (char)(*p - 'a' + 'A');
        return u;
}

static void add_headers(
    struct kc_tabwriter *w, const struct json_object *columns, const struct kc_table_options *o, bool event)
{
        if (event)
                kc_tabwriter_cell(w, "EVENT");
        if (o->with_namespace)
                kc_tabwriter_cell(w, "NAMESPACE");
        for (size_t i = 0; i < kc_json_len(columns); i++) {
                const struct json_object *column = kc_json_idx(columns, i);
                if (!shown(column, o))
                        continue;
                KC_CLEANUP(kc_freep) char *name = upper(kc_json_str(column, "name"));
                kc_tabwriter_cell(w, name);
        }
        for (char *const *l = o->label_columns; l && *l; l++) {
                const char *slash = strrchr(*l, '/');
                KC_CLEANUP(kc_freep) char *name = upper(slash ? slash + 1 : *l);
                kc_tabwriter_cell(w, name);
        }
        if (o->show_labels)
                kc_tabwriter_cell(w, "LABELS");
        kc_tabwriter_end_row(w);
}

static char *labels_text(const struct json_object *labels)
{
        KC_CLEANUP(kc_strv_freep) char **pairs = NULL;
        KC_JSON_FOREACH(labels, key, value)
        kc_strv_pushf(&pairs, "%s=%s", key, kc_json_as_str(value) ? kc_json_as_str(value) : "");
        if (!pairs)
                return kc_strdup("<none>");
        kc_strv_sort(pairs);
        return kc_strv_join(pairs, ",");
}

static void add_row(struct kc_tabwriter *w, const struct json_object *columns, const struct json_object *row,
    const struct kc_table_options *o, const char *event)
{
        const struct json_object *cells = kc_json_get(row, "cells"), *object = kc_json_get(row, "object");
        if (event) { /* as wide as MODIFIED from the first one on */
                KC_CLEANUP(kc_freep) char *text = kc_asprintf("%-8s", event);
                kc_tabwriter_cell(w, text);
        }
        if (o->with_namespace) {
                const char *ns = kc_meta_namespace(object);
                kc_tabwriter_cell(w, ns ? ns : "");
        }
        for (size_t i = 0; i < kc_json_len(columns); i++) {
                const struct json_object *column = kc_json_idx(columns, i);
                if (!shown(column, o))
                        continue;
                KC_CLEANUP(kc_freep) char *text = cell_text(kc_json_idx(cells, i));
                if (o->with_kind && kc_streq(kc_json_str(column, "format"), "name")) {
                        char *full = kc_asprintf("%s/%s", o->with_kind, text);
                        kc_free(text);
                        text = full;
                }
                kc_tabwriter_cell(w, text);
        }
        for (char *const *l = o->label_columns; l && *l; l++) {
                const char *value = kc_meta_label(object, *l);
                kc_tabwriter_cell(w, value ? value : "");
        }
        if (o->show_labels) {
                KC_CLEANUP(kc_freep) char *text = labels_text(kc_meta_labels(object));
                kc_tabwriter_cell(w, text);
        }
        kc_tabwriter_end_row(w);
}

void kc_table_add(struct kc_tabwriter *w, const struct json_object *table, const struct kc_table_options *o,
    struct json_object **columns, const char *event)
{
        const struct json_object *own = kc_json_get(table, "columnDefinitions");
        const struct json_object *rows = kc_json_get(table, "rows");
        if (kc_json_len(own) > 0) {
                bool same = *columns && kc_json_equal(own, *columns);
                if (!same) {
                        kc_json_free(*columns);
                        *columns = kc_json_copy(own);
                        /* kubectl prints no headers for an empty table. */
                }
                if (!same && !o->no_headers && kc_json_len(rows) > 0)
                        add_headers(w, *columns, o, event != NULL);
                if (!same && kc_json_len(rows) == 0) {
                        kc_json_free(*columns);
                        *columns = NULL;
                }
        }
        for (size_t i = 0; i < kc_json_len(rows); i++)
                add_row(w, *columns, kc_json_idx(rows, i), o, event);
}

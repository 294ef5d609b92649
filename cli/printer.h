/* Output: server-side tables, JSON, YAML and names, as kubectl prints them. */
#pragma once

#include <stdio.h>

#include "client/resource_map.h"
#include "json/json.h"

/* Columns aligned as by kubectl's tabwriter: at least 3 spaces apart, at least 6 wide; the last one is not padded.
 * Widths are remembered over flushes, for watches. */
struct kc_tabwriter {
        char **cells; /* strv of the rows since the last flush, in order */
        size_t *row_ends;
        size_t n_rows, cap_rows, n_cells, cap_cells;
        size_t *widths;
        size_t n_widths;
        size_t min_width, padding;
};
void kc_tabwriter_init(struct kc_tabwriter *w, size_t min_width, size_t padding);
/* kubectl's own: 6 and 3. */
#define KC_TABWRITER_MIN_WIDTH 6
#define KC_TABWRITER_PADDING 3
void kc_tabwriter_cell(struct kc_tabwriter *w, const char *text);
void kc_tabwriter_end_row(struct kc_tabwriter *w);
void kc_tabwriter_flush(struct kc_tabwriter *w, struct kc_buf *out);
/* Forgets widths: another table begins. */
void kc_tabwriter_forget(struct kc_tabwriter *w);
void kc_tabwriter_done(struct kc_tabwriter *w);

struct kc_table_options {
        bool wide, no_headers, show_labels, with_namespace;
        const char *with_kind; /* "deployment.apps": in front of names; NULL: not */
        char *const *label_columns;
};
/* Adds the rows of a meta.k8s.io/v1 Table; *columns remembers the columns of the Table that headers were last printed
 * for (watch events have none of their own). event: EVENT column's text, or NULL. */
void kc_table_add(struct kc_tabwriter *w, const struct json_object *table, const struct kc_table_options *o,
    struct json_object **columns, const char *event);

/* Pretty printers, each ending in a newline. */
void kc_print_json(struct kc_buf *out, const struct json_object *o);
/* The same without sorting the keys: kinds of Go structs. */
void kc_print_json_in_order(struct kc_buf *out, const struct json_object *o);
void kc_print_yaml(struct kc_buf *out, const struct json_object *o);
/* {"apiVersion":"v1","kind":"List","metadata":{"resourceVersion":""},"items":[...]}; takes the array. */
struct json_object *kc_list_of(struct json_object *take_items);
/* Removes metadata.managedFields, of the items of lists too. */
void kc_strip_managed_fields(struct json_object *o);

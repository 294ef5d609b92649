/* kubec get in three parts: what is wanted (get.c), tables (get_table.c), watches (get_watch.c). Main thread. */
#pragma once

#include "cli/builder.h"
#include "cli/manifest_options.h"
#include "cli/printer_object.h"

struct kc_get_options {
        char *output, *template, *sort_by, *selector, *field_selector, *raw, **label_columns, *subresource;
        struct kc_manifest_options from;
        int64_t chunk_size;
        bool all_namespaces, watch, watch_only, output_watch_events, show_labels, no_headers, ignore_not_found,
            show_managed_fields, show_kind, server_print;
};
extern struct kc_get_options kc_get_opt;

/* What one request asks for. */
struct kc_wanted {
        const struct kc_api_resource *res;
        const char *ns, *name;
};
struct kc_get_plan {
        struct kc_wanted *v;
        size_t n;
        bool single; /* one object by name: no List around it */
        struct kc_targets targets;
        struct kc_manifests manifests;
        char *output;                      /* with the template in it; "" and "wide": tables */
        struct kc_object_printer *printer; /* NULL: tables */
};

/* --- get.c */
void kc_get_add_selectors(struct kc_buf *q);
/* "Unable to find ..." in front of what the server says of a bad list. */
int kc_get_list_failed(const struct kc_api_resource *res, struct kc_error *err);
bool kc_get_several_resources(const struct kc_get_plan *p);
/* Takes it, unless it is one that may be. */
void kc_get_note_failure(struct kc_cli_errors *l, struct kc_error *take_err);
/* Adds the object, or all of the list, to the array; *ret_version (heap, may be NULL) is what a watch goes on from. */
int kc_get_objects(
    struct kc_cli *c, const struct kc_wanted *w, struct json_object *items, char **ret_version, struct kc_error *err);
int kc_get_print_object(struct kc_cli *c, const struct kc_get_plan *p, const struct kc_api_resource *res,
    struct json_object *obj, struct kc_error *err);

/* --- get_table.c */
#define KC_ACCEPT_TABLE                                                                                                \
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/"  \
        "json"
const char *kc_get_accept(bool table);

struct kc_tables {
        struct kc_tabwriter writer;
        struct kc_table_options options;
        struct json_object *columns;
        const struct kc_api_resource *last;
        char *kind;
        bool written;
};
void kc_tables_init(struct kc_tables *t, const struct kc_get_plan *p);
void kc_tables_done(struct kc_tables *t);
/* A table of another resource: headers again, below an empty line. */
void kc_tables_switch(struct kc_cli *c, struct kc_tables *t, const struct kc_api_resource *res, bool with_kind);
/* A Table, or objects of which a table of names and ages is made. */
void kc_tables_add(struct kc_cli *c, struct kc_tables *t, const struct json_object *answer, const char *event);
void kc_tables_flush(struct kc_cli *c, struct kc_tables *t);
/* One object, or all pages of a list, printed as they come. */
int kc_tables_fetch(struct kc_cli *c, const struct kc_wanted *w, struct kc_tables *t, char **ret_version,
    const char *event, struct kc_error *err);
int kc_get_print_tables(struct kc_cli *c, const struct kc_get_plan *p, struct kc_error *err);

/* --- get_watch.c */
int kc_get_watch(struct kc_cli *c, const struct kc_get_plan *p, struct kc_error *err);

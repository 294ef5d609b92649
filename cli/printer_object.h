/* Objects by an -o of any form:
 *
 *   json | yaml | name | jsonpath=TEMPLATE | jsonpath-file=FILE | jsonpath-as-json=TEMPLATE |
 *   go-template=TEMPLATE | go-template-file=FILE | template=, templatefile= the same |
 *   custom-columns=HEADER:PATH,... | custom-columns-file=FILE */
#pragma once

#include "cli/cli.h"
#include "cli/printer.h"

struct kc_object_printer;

/* -EINVAL: not such a form, or a bad template. kc_object_printer_forms says which there are. */
int kc_object_printer_new(const char *output, bool no_headers, struct kc_object_printer **ret, struct kc_error *err);
void kc_object_printer_free(struct kc_object_printer *p);
KC_DEFINE_CLEANUP(struct kc_object_printer *, kc_object_printer_free)
/* Does the -o name such a form, whether or not its template is right? */
bool kc_object_printer_knows(const char *output);
/* res may be NULL but for "name". Lists are printed whole (their items, for columns and names). */
int kc_object_printer_print(struct kc_object_printer *p, struct kc_cli *c, const struct kc_api_resource *res,
    const struct json_object *obj, struct kc_error *err);
/* What was held back for alignment. */
void kc_object_printer_flush(struct kc_object_printer *p, struct kc_cli *c);

/* The -o that --template stands for: "go-template=..." without one, "jsonpath=..." for "jsonpath". NULL or "" for the
 * one or the other that was not given. Heap, never NULL. */
char *kc_output_with_template(const char *output, const char *template);

/* --- sort.c: --sort-by. In place: an array of objects, or of a Table's rows (with their objects). */
int kc_sort_by(struct json_object *array, const char *path, bool rows, struct kc_error *err);

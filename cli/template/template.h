/* A subset of Go's text/template, for -o go-template:
 *
 *   {{.a.b}}  {{$x}}  {{$x := pipe}}  {{$x = pipe}}  {{a | f b}}  {{(pipe).c}}  {{- trims -}}  {{/ * comment * /}}
 *   {{if}} {{else if}} {{else}} {{with}} {{range}} {{break}} {{continue}} {{end}} {{define}} {{template}} {{block}}
 *   and or not eq ne lt le gt ge len index slice print printf println html js urlquery exists base64decode
 *
 * Numbers of the data are floating, as of kubectl: 1000000 prints as 1e+06. Not there: methods, call, complex numbers,
 * \x in runes. Messages are Go's. Pure; a parsed template is immutable. */
#pragma once

#include "json/json.h"

struct kc_template;

/* "template: output:1: unclosed action". Templates of over 64 KiB are refused. */
int kc_template_parse(const char *name, const char *text, struct kc_template **ret, struct kc_error *err);
void kc_template_free(struct kc_template *t);
KC_DEFINE_CLEANUP(struct kc_template *, kc_template_free)
/* Appends; on an error, what came before it is there. */
int kc_template_run(
    const struct kc_template *t, const struct json_object *data, struct kc_buf *out, struct kc_error *err);
/* A value as Go's %v prints what JSON decodes to: map[a:b], [1 2], <nil>. */
void kc_template_value(const struct json_object *o, struct kc_buf *out);

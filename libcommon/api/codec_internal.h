/* Shared by the sources of the codec. */
#pragma once

#include "api/codec.h"
#include "base/buf.h"

/* One step of the way from the root to the value at hand; on the stack of the walk. */
struct kc_codec_path {
        const struct kc_codec_path *up;
        const char *key;              /* NULL: an element of an array */
        size_t index;                 /* where key is NULL */
        const struct kc_type *parent; /* the object type of which key is a field; NULL for keys of maps */
};

/* "spec.containers[0].name"; extra: a last key, or NULL. */
void kc_codec_path_format(struct kc_buf *b, const struct kc_codec_path *at, const char *extra);
/* Go's name of the type: "[]v1.Container". */
void kc_codec_go_type(struct kc_buf *b, const struct kc_type *type);
/* Go's UnmarshalTypeError for a value that does not fit the type. */
int kc_codec_type_error(
    const struct kc_codec_path *at, const struct kc_type *type, const struct json_object *v, struct kc_error *err);

/* Checks a value that is neither object nor array type, nor null; *ret is NULL if it stays as it is, else the canonical
 * value that replaces it. */
int kc_codec_scalar(const struct kc_codec_path *at, const struct kc_type *type, const struct json_object *v,
    struct json_object **ret, struct kc_error *err);
/* What Go encodes for the zero value of a field (a NULL tree is null): only for fields held by value. */
struct json_object *kc_codec_zero(const struct kc_type *type);
/* Whether v is the zero value that omitempty leaves out. */
bool kc_codec_is_empty(const struct kc_type *type, const struct json_object *v);
/* A new JSON value, or the end of the program on exhaustion. */
struct json_object *kc_codec_must(struct json_object *o);

/* Kubernetes' protobuf encoding of API objects, by the field numbers of the schema's tables.
 *
 *   "k8s\0" runtime.Unknown { typeMeta { apiVersion, kind }, raw, contentEncoding, contentType }
 *                                                            |
 *                                                            +-- the object as a message of its type
 *
 * Trees on this side are what JSON would hold: quantities, times and durations are strings, bytes are base64, messages
 * that Go embeds are merged into the object around them. Any thread. */
#pragma once

#include "api/schema.h"
#include "base/buf.h"
#include "json/json.h"

#define KC_PROTOBUF_MEDIA_TYPE "application/vnd.kubernetes.protobuf"

/* Opens the envelope. *ret_raw points into data, with *ret_raw_len 0 for an empty message; the two strings are heap and
 * may be empty. Errors (400, BadRequest) have the words of upstream's serializer: "provided data does not appear to be
 * a protobuf message, expected prefix [107 56 115 0]". */
int kc_protobuf_unwrap(const char *data, size_t len, char **ret_api_version, char **ret_kind, const char **ret_raw,
    size_t *ret_raw_len, struct kc_error *err);
/* The message of an object type as a tree, without apiVersion and kind; it has yet to pass kc_codec_decode(), as JSON
 * has. Unknown fields are skipped, as upstream does with every fieldValidation; text must be UTF-8 without NUL. No more
 * bytes, levels and values than kc_json_default_limits. Errors are 400, BadRequest, in the words of Go's decoders
 * ("unexpected EOF", "proto: wrong wireType = 0 for field name"). *ret is the caller's. */
int kc_protobuf_decode(
    const char *raw, size_t len, const struct kc_type *type, struct json_object **ret, struct kc_error *err);

/* Appends the message of a tree that kc_codec_decode() has normalized; byte for byte what Go writes: fields by number,
 * keys of maps sorted, zero values of fields held by value included. apiVersion and kind have no place in it. -EINVAL:
 * a value that its type cannot hold; then nothing is appended. */
int kc_protobuf_encode(
    const struct json_object *tree, const struct kc_type *type, struct kc_buf *out, struct kc_error *err);
/* Appends the envelope, with the tree's own apiVersion and kind, and the message in it. */
int kc_protobuf_write(
    const struct json_object *tree, const struct kc_type *type, struct kc_buf *out, struct kc_error *err);

/* --- Parts, for messages that are put together piece by piece (lists, watch events). All append. */

/* A field of wire type 2. */
void kc_protobuf_add_bytes(struct kc_buf *out, uint32_t number, const void *data, size_t len);
/* Only the tag and the length of such a field: len bytes are to follow. */
void kc_protobuf_add_bytes_head(struct kc_buf *out, uint32_t number, size_t len);
/* The envelope as far as its message, of which message_len bytes are to follow, and what comes behind that. */
void kc_protobuf_add_head(struct kc_buf *out, const char *api_version, const char *kind, size_t message_len);
void kc_protobuf_add_tail(struct kc_buf *out);

/* Protobuf to trees: the envelope, and messages by the tables of the schema. Any thread; the tree is the caller's own.
 *
 *   message() --tag--> field() --+--> message()    an object, merged if the field comes again
 *                                +--> map_entry()  { key = 1, value = 2 }
 *                                +--> elements()   one element, or a packed run of numbers
 *                                +--> value()      everything else; also what elements and entries hold */
#include "api/protobuf_internal.h"

#include <math.h>
#include <string.h>

#include "api/codec_internal.h"
#include "api/status.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"

struct decode {
        size_t nodes; /* values that may still be made */
        int depth;
        struct kc_error *err;
};

static int message(
    struct decode *d, const struct kc_type *type, uint32_t outer, struct kc_pb_in in, struct json_object *o);
static int value(struct decode *d, const struct kc_type *type, const char *name, unsigned wire, struct kc_pb_in *in,
    struct json_object **ret);

/* --- limits */

static int new_node(struct decode *d)
{
        if (d->nodes == 0)
                return kc_err_bad_request(
                    d->err, "proto: more than %zu values in a message", kc_json_default_limits.max_nodes);
        d->nodes--;
        return 0;
}

static int enter(struct decode *d)
{
        if (d->depth >= kc_json_default_limits.max_depth)
                return kc_err_bad_request(
                    d->err, "proto: message nested deeper than %d", kc_json_default_limits.max_depth);
        d->depth++;
        return 0;
}

/* --- values without fields of the schema */

static int check_text(struct kc_pb_in in, const char *name, struct kc_error *err)
{
        while (in.p < in.end) {
                size_t n = *in.p < 0x80 ? *in.p != 0 : kc_utf8_len((const char *)in.p, (size_t)(in.end - in.p));
                if (n == 0)
                        return kc_err_bad_request(err, "proto: string field %s contains invalid UTF-8", name);
                in.p += n;
        }
        return 0;
}

/* An absent field (NULL) is the empty string. */
static struct json_object *text_of(struct kc_pb_in in)
{
        return kc_codec_must(json_object_new_string_len(in.p ? (const char *)in.p : "", (int)(in.end - in.p)));
}

static int text_value(struct decode *d, const char *name, struct kc_pb_in in, struct json_object **ret)
{
        int r = check_text(in, name, d->err);
        if (r == 0)
                *ret = text_of(in);
        return r;
}

static int quantity(struct decode *d, const char *name, struct kc_pb_in in, struct json_object **ret)
{
        struct kc_pb_leaf q;
        int r = kc_pb_read_leaf(in, name, "2", &q, d->err);
        if (r < 0)
                return r;
        if (q.has[1])
                return text_value(d, name, q.bytes[1], ret);
        *ret = kc_codec_must(json_object_new_string("0"));
        return 0;
}

static int int_or_string(struct decode *d, const char *name, struct kc_pb_in in, struct json_object **ret)
{
        struct kc_pb_leaf v;
        int r = kc_pb_read_leaf(in, name, "002", &v, d->err);
        if (r < 0)
                return r;
        if (v.number[1] == 1)
                return text_value(d, name, v.bytes[3], ret);
        if (v.number[1] != 0)
                return kc_err_bad_request(d->err, "impossible IntOrString.Type");
        *ret = kc_codec_must(json_object_new_int64((int32_t)(uint32_t)v.number[2]));
        return 0;
}

/* Go's zero time is an empty message, and null in JSON. Years are those of RFC 3339. */
static int time_value(struct decode *d, const char *name, bool micro, struct kc_pb_in in, struct json_object **ret)
{
        static const int64_t go_zero = -62135596800, year_0 = -62167219200, year_10000 = 253402300800;
        struct kc_pb_leaf t;
        *ret = NULL;
        int r = kc_pb_read_leaf(in, name, "00", &t, d->err);
        if (r < 0 || in.p == in.end)
                return r;
        int64_t seconds = (int64_t)t.number[1];
        kc_time at = micro ? (int32_t)(uint32_t)t.number[2] / 1000 : 0;
        if (__builtin_mul_overflow(seconds, KC_SEC, &seconds) || __builtin_add_overflow(at, seconds, &at) ||
            at < year_0 * KC_SEC || at >= year_10000 * KC_SEC)
                return kc_err_bad_request(d->err, "proto: field %s: time out of range", name);
        if (at == go_zero * KC_SEC)
                return 0;
        char text[KC_TIME_LEN];
        *ret = kc_codec_must(json_object_new_string(micro ? kc_time_format_micro(at, text) : kc_time_format(at, text)));
        return 0;
}

static int duration(struct decode *d, const char *name, struct kc_pb_in in, struct json_object **ret)
{
        struct kc_pb_leaf v;
        int r = kc_pb_read_leaf(in, name, "0", &v, d->err);
        if (r < 0)
                return r;
        char text[KC_TIME_LEN];
        *ret = kc_codec_must(json_object_new_string(kc_duration_format((int64_t)v.number[1] / 1000, text)));
        return 0;
}

/* How many values a tree has. */
static size_t count_nodes(const struct json_object *o)
{
        size_t n = 1;
        KC_JSON_FOREACH(o, key, val)
        {
                n += count_nodes(val);
        }
        for (size_t i = 0; i < kc_json_len(o); i++)
                n += count_nodes(kc_json_idx(o, i));
        return n;
}

static int raw_json(struct decode *d, const char *name, struct kc_pb_in in, struct json_object **ret)
{
        struct kc_pb_leaf v;
        int r = kc_pb_read_leaf(in, name, "2", &v, d->err);
        *ret = NULL;
        if (r < 0 || v.bytes[1].p == v.bytes[1].end)
                return r;
        struct kc_json_limits limits = kc_json_default_limits;
        limits.max_depth -= d->depth;
        limits.max_nodes = d->nodes + 1;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        r = kc_json_parse((const char *)v.bytes[1].p, (size_t)(v.bytes[1].end - v.bytes[1].p), &limits, ret, &why);
        if (r < 0)
                return kc_err_bad_request(d->err, "proto: field %s: %s", name, kc_error_message(&why));
        size_t used = count_nodes(*ret);
        d->nodes -= KC_MIN(used, d->nodes);
        return 0;
}

/* The values whose wire type is a varint or 64 bits. */
static int number(struct decode *d, const struct kc_type *type, const char *name, unsigned wire, struct kc_pb_in *in,
    struct json_object **ret)
{
        uint64_t v;
        unsigned expected = type->kind == KC_TYPE_DOUBLE ? KC_PB_FIXED64 : KC_PB_VARINT;
        if (wire != expected)
                return kc_pb_wrong_wire(wire, name, d->err);
        int r = wire == KC_PB_FIXED64 ? kc_pb_read_fixed64(in, &v, d->err) : kc_pb_read_varint(in, &v, d->err);
        if (r < 0)
                return r;
        if (type->kind == KC_TYPE_DOUBLE) {
                double f;
                memcpy(&f, &v, sizeof(f));
                if (!isfinite(f))
                        return kc_err_bad_request(d->err, "json: unsupported value: %s", isnan(f) ? "NaN" : "Inf");
                *ret = kc_codec_must(json_object_new_double(f));
        } else if (type->kind == KC_TYPE_BOOL) {
                *ret = kc_codec_must(json_object_new_boolean(v != 0));
        } else {
                *ret = kc_codec_must(
                    json_object_new_int64(type->kind == KC_TYPE_INT32 ? (int32_t)(uint32_t)v : (int64_t)v));
        }
        return 0;
}

static int bytes_value(struct kc_pb_in in, struct json_object **ret)
{
        KC_CLEANUP(kc_freep) char *text = kc_base64_encode(in.p, (size_t)(in.end - in.p));
        *ret = kc_codec_must(json_object_new_string(text));
        return 0;
}

/* --- values by the schema */

static bool is_number(const struct kc_type *type)
{
        return type->kind == KC_TYPE_INT32 || type->kind == KC_TYPE_INT64 || type->kind == KC_TYPE_DOUBLE ||
               type->kind == KC_TYPE_BOOL;
}

static int elements(struct decode *d, const struct kc_type *type, const char *name, unsigned wire, struct kc_pb_in *in,
    struct json_object *array)
{
        struct kc_pb_in packed;
        bool run = wire == KC_PB_BYTES && is_number(type);
        int r = run ? kc_pb_read_bytes(in, &packed, d->err) : 0;
        if (run) {
                wire = type->kind == KC_TYPE_DOUBLE ? KC_PB_FIXED64 : KC_PB_VARINT;
                in = &packed;
        }
        while (r == 0 && (!run || in->p < in->end)) {
                struct json_object *v = NULL;
                r = value(d, type, name, wire, in, &v);
                if (r == 0)
                        kc_json_push(array, v);
                if (!run)
                        break;
        }
        return r;
}

/* A list that stands where protobuf has no lists, in a map: a message of its own, { items = 1 }. */
static int list_message(
    struct decode *d, const struct kc_type *type, const char *name, struct kc_pb_in in, struct json_object *array)
{
        while (in.p < in.end) {
                uint32_t field;
                unsigned wire;
                int r = kc_pb_read_tag(&in, &field, &wire, d->err);
                if (r == 0)
                        r = field == 1 ? elements(d, type->elem, name, wire, &in, array)
                                       : kc_pb_skip(&in, wire, d->err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A message of which one field is meant. */
static int variant(struct decode *d, const struct kc_type *type, struct kc_pb_in in, struct json_object **ret)
{
        static const char *const by_weight[] = {"object", "array", "boolean"};
        KC_CLEANUP(kc_json_freep) struct json_object *o = kc_codec_must(json_object_new_object());
        int r = message(d, type, 0, in, o);
        struct json_object *v = NULL;
        for (size_t i = 0; r == 0 && !v && i < KC_ARRAY_LEN(by_weight); i++)
                v = kc_json_get_mut(o, by_weight[i]);
        *ret = v ? json_object_get(v) : NULL;
        return r;
}

static int container(
    struct decode *d, const struct kc_type *type, const char *name, struct kc_pb_in in, struct json_object **ret)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *o =
            kc_codec_must(type->kind == KC_TYPE_ARRAY ? json_object_new_array() : json_object_new_object());
        int r = type->kind == KC_TYPE_ARRAY ? list_message(d, type, name, in, o) : message(d, type, 0, in, o);
        if (r == 0)
                *ret = KC_TAKE(o);
        return r;
}

/* One value; *ret NULL is a null. */
static int value(struct decode *d, const struct kc_type *type, const char *name, unsigned wire, struct kc_pb_in *in,
    struct json_object **ret)
{
        int r = new_node(d);
        if (r < 0 || is_number(type))
                return r < 0 ? r : number(d, type, name, wire, in, ret);
        struct kc_pb_in body;
        if (wire != KC_PB_BYTES)
                return kc_pb_wrong_wire(wire, name, d->err);
        r = kc_pb_read_bytes(in, &body, d->err);
        if (r < 0)
                return r;
        switch (type->kind) {
        case KC_TYPE_STRING:
                return text_value(d, name, body, ret);
        case KC_TYPE_BYTES:
                return bytes_value(body, ret);
        case KC_TYPE_QUANTITY:
                return quantity(d, name, body, ret);
        case KC_TYPE_INT_OR_STRING:
                return int_or_string(d, name, body, ret);
        case KC_TYPE_TIME:
        case KC_TYPE_MICRO_TIME:
                return time_value(d, name, type->kind == KC_TYPE_MICRO_TIME, body, ret);
        case KC_TYPE_DURATION:
                return duration(d, name, body, ret);
        case KC_TYPE_RAW:
                return raw_json(d, name, body, ret);
        case KC_TYPE_VARIANT:
                return variant(d, type, body, ret);
        default:
                return container(d, type, name, body, ret);
        }
}

/* What Go's decoder has for an entry without a value. */
static int empty_value(struct decode *d, const struct kc_type *type, const char *name, struct json_object **ret)
{
        static const unsigned char nothing[9] = {0}; /* a length, a varint or a double, all of them 0 */
        struct kc_pb_in in = {.p = nothing, .end = nothing + sizeof(nothing)};
        unsigned wire = type->kind == KC_TYPE_DOUBLE ? KC_PB_FIXED64 : is_number(type) ? KC_PB_VARINT : KC_PB_BYTES;
        return value(d, type, name, wire, &in, ret);
}

static int map_entry(
    struct decode *d, const struct kc_type *type, const char *name, struct kc_pb_in in, struct json_object *map)
{
        struct kc_pb_in key = {0};
        KC_CLEANUP(kc_json_freep) struct json_object *v = NULL;
        bool has_value = false;
        int r = 0;
        while (r == 0 && in.p < in.end) {
                uint32_t field;
                unsigned wire;
                r = kc_pb_read_tag(&in, &field, &wire, d->err);
                if (r == 0 && field == 1) {
                        r = wire == KC_PB_BYTES ? kc_pb_read_bytes(&in, &key, d->err)
                                                : kc_pb_wrong_wire(wire, name, d->err);
                } else if (r == 0 && field == 2) {
                        kc_json_free(KC_TAKE(v));
                        has_value = true;
                        r = value(d, type->elem, name, wire, &in, &v);
                } else if (r == 0) {
                        r = kc_pb_skip(&in, wire, d->err);
                }
        }
        if (r == 0 && !has_value)
                r = empty_value(d, type->elem, name, &v);
        if (r == 0)
                r = check_text(key, name, d->err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_freep) char *k = kc_strndup(key.p ? (const char *)key.p : "", (size_t)(key.end - key.p));
        kc_json_set(map, k, KC_TAKE(v));
        return 0;
}

/* The object (array) that the field has so far: it comes again for every element and entry. */
static int held(struct decode *d, const struct kc_field *f, struct json_object *o, struct json_object **ret)
{
        *ret = kc_json_get_mut(o, f->name);
        if (*ret)
                return 0;
        int r = new_node(d);
        if (r < 0)
                return r;
        *ret = kc_codec_must(f->type->kind == KC_TYPE_ARRAY ? json_object_new_array() : json_object_new_object());
        kc_json_set(o, f->name, *ret);
        return 0;
}

static int field(struct decode *d, const struct kc_field *f, unsigned wire, struct kc_pb_in *in, struct json_object *o)
{
        struct json_object *v = NULL;
        int r = 0;
        if (f->type->kind != KC_TYPE_ARRAY && f->type->kind != KC_TYPE_MAP && f->type->kind != KC_TYPE_OBJECT) {
                r = value(d, f->type, f->name, wire, in, &v);
                if (r == 0)
                        kc_json_set(o, f->name, v);
                return r;
        }
        r = held(d, f, o, &v);
        bool wrapped = f->flags & KC_FIELD_WRAPPED;
        if (r == 0 && f->type->kind == KC_TYPE_ARRAY && !wrapped)
                return elements(d, f->type->elem, f->name, wire, in, v);
        struct kc_pb_in body;
        if (r == 0 && wire != KC_PB_BYTES)
                r = kc_pb_wrong_wire(wire, f->name, d->err);
        if (r == 0)
                r = kc_pb_read_bytes(in, &body, d->err);
        if (r < 0)
                return r;
        if (wrapped)
                return list_message(d, f->type, f->name, body, v);
        return f->type->kind == KC_TYPE_MAP ? map_entry(d, f->type, f->name, body, v) : message(d, f->type, 0, body, v);
}

/* The field at those numbers; or NULL, and *ret_embeds says whether Go embeds a message there. */
static const struct kc_field *field_of(const struct kc_type *type, uint32_t at, bool *ret_embeds)
{
        *ret_embeds = false;
        for (size_t i = 0; i < type->n_fields; i++) {
                uint32_t wire = (uint32_t)type->fields[i].wire;
                if (wire == at)
                        return &type->fields[i];
                if (wire >> KC_WIRE_BITS == at || wire >> (2 * KC_WIRE_BITS) == at)
                        *ret_embeds = true;
        }
        return NULL;
}

/* outer: 0, or the numbers under which the message at hand is embedded in the type. */
static int message(
    struct decode *d, const struct kc_type *type, uint32_t outer, struct kc_pb_in in, struct json_object *o)
{
        int r = enter(d);
        if (r < 0)
                return r;
        while (r == 0 && in.p < in.end) {
                uint32_t at;
                unsigned wire;
                bool embeds = false;
                struct kc_pb_in body;
                r = kc_pb_read_tag(&in, &at, &wire, d->err);
                if (r < 0)
                        break;
                bool ours = at > 0 && at <= KC_PB_NUMBER_MAX;
                at |= outer << KC_WIRE_BITS;
                const struct kc_field *f = ours ? field_of(type, at, &embeds) : NULL;
                if (f) {
                        r = field(d, f, wire, &in, o);
                } else if (!embeds) {
                        r = kc_pb_skip(&in, wire, d->err);
                } else if (wire != KC_PB_BYTES) {
                        r = kc_pb_wrong_wire(wire, type->name ? type->name : "", d->err);
                } else {
                        r = kc_pb_read_bytes(&in, &body, d->err);
                        if (r == 0)
                                r = message(d, type, at, body, o);
                }
        }
        d->depth--;
        return r;
}

int kc_protobuf_decode(
    const char *raw, size_t len, const struct kc_type *type, struct json_object **ret, struct kc_error *err)
{
        if (len > kc_json_default_limits.max_bytes)
                return kc_err_bad_request(
                    err, "proto: message of more than %zu bytes", kc_json_default_limits.max_bytes);
        struct decode d = {.nodes = kc_json_default_limits.max_nodes, .err = err};
        struct kc_pb_in in = {.p = (const unsigned char *)raw};
        in.end = in.p + len;
        KC_CLEANUP(kc_json_freep) struct json_object *o = kc_codec_must(json_object_new_object());
        int r = message(&d, type, 0, in, o);
        if (r == 0)
                *ret = KC_TAKE(o);
        return r;
}

/* --- the envelope */

static char *text_dup(struct kc_pb_in in)
{
        return kc_strndup(in.p ? (const char *)in.p : "", (size_t)(in.end - in.p));
}

int kc_protobuf_unwrap(const char *data, size_t len, char **ret_api_version, char **ret_kind, const char **ret_raw,
    size_t *ret_raw_len, struct kc_error *err)
{
        if (len == 0)
                return kc_err_bad_request(err, "empty data");
        if (len < KC_PB_MAGIC_LEN || memcmp(data, kc_pb_magic, KC_PB_MAGIC_LEN) != 0)
                return kc_err_bad_request(err,
                    "provided data does not appear to be a protobuf message, expected prefix [%u %u %u %u]",
                    kc_pb_magic[0], kc_pb_magic[1], kc_pb_magic[2], kc_pb_magic[3]);
        if (len == KC_PB_MAGIC_LEN)
                return kc_err_bad_request(err, "empty body");
        struct kc_pb_in in = {.p = (const unsigned char *)data + KC_PB_MAGIC_LEN};
        in.end = (const unsigned char *)data + len;
        struct kc_pb_leaf unknown, meta;
        int r = kc_pb_read_leaf(in, "Unknown", "2222", &unknown, err);
        if (r == 0)
                r = kc_pb_read_leaf(unknown.bytes[1], "TypeMeta", "22", &meta, err);
        if (r == 0)
                r = check_text(meta.bytes[1], "apiVersion", err);
        if (r == 0)
                r = check_text(meta.bytes[2], "kind", err);
        if (r < 0)
                return r;
        *ret_api_version = text_dup(meta.bytes[1]);
        *ret_kind = text_dup(meta.bytes[2]);
        *ret_raw = unknown.has[2] ? (const char *)unknown.bytes[2].p : data + len;
        *ret_raw_len = (size_t)(unknown.bytes[2].end - unknown.bytes[2].p);
        return 0;
}

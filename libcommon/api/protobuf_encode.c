/* Trees to protobuf, byte for byte what Go's generated marshalers write. Any thread; trees are only read.
 *
 * As those do, this writes from the back to the front: when the length of a message has to be written, the message is
 * already there. So fields are visited from the highest number down, keys and elements from the last to the first. */
#include "api/protobuf_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"

/* data[at..cap) is written. */
struct back {
        unsigned char *data;
        size_t at, cap;
        struct kc_error *err;
};

static int value(struct back *b, const struct kc_type *type, const struct json_object *v, const char *name);
static int variant(struct back *b, const struct kc_type *type, const struct json_object *v, const char *name);
static int object(struct back *b, const struct kc_type *type, const struct json_object *o);

/* --- the wire format, backwards */

static unsigned char *room(struct back *b, size_t n)
{
        if (b->at < n) {
                size_t used = b->cap - b->at, cap = KC_MAX(b->cap * 2, used + n + 512);
                unsigned char *data = kc_malloc(cap);
                if (used > 0)
                        memcpy(data + cap - used, b->data + b->at, used);
                kc_free(b->data);
                b->data = data;
                b->at = cap - used;
                b->cap = cap;
        }
        b->at -= n;
        return b->data + b->at;
}

static void put_varint(struct back *b, uint64_t v)
{
        unsigned char bytes[10];
        size_t n = 0;
        for (; v >= 0x80; v >>= 7)
                bytes[n++] = (unsigned char)(v | 0x80);
        bytes[n++] = (unsigned char)v;
        memcpy(room(b, n), bytes, n);
}

static void put_tag(struct back *b, uint32_t number, unsigned wire)
{
        put_varint(b, (uint64_t)number << 3 | wire);
}

static void put_bytes(struct back *b, const void *data, size_t len)
{
        if (len > 0)
                memcpy(room(b, len), data, len);
}

/* What was written since there were end bytes is the value of a field. */
static void close_field(struct back *b, uint32_t number, size_t end)
{
        put_varint(b, b->cap - b->at - end);
        put_tag(b, number, KC_PB_BYTES);
}

static size_t written(const struct back *b)
{
        return b->cap - b->at;
}

static void put_text_field(struct back *b, uint32_t number, const char *s)
{
        size_t end = written(b);
        put_bytes(b, s, strlen(s));
        close_field(b, number, end);
}

static void put_varint_field(struct back *b, uint32_t number, uint64_t v)
{
        put_varint(b, v);
        put_tag(b, number, KC_PB_VARINT);
}

/* --- values without fields of the schema; NULL is the zero value */

static int misfit(struct back *b, const char *name)
{
        return kc_error_set(b->err, EINVAL, "field %s: the value does not fit its type", name);
}

static int text(struct back *b, const struct json_object *v, const char *name, const char **ret)
{
        *ret = v ? kc_json_as_str(v) : "";
        return *ret ? 0 : misfit(b, name);
}

static int integer(struct back *b, const struct json_object *v, const char *name, int64_t *ret)
{
        if (v && !json_object_is_type(v, json_type_int))
                return misfit(b, name);
        *ret = v ? json_object_get_int64(v) : 0;
        return 0;
}

static int bytes(struct back *b, const char *s, const char *name)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf plain = KC_BUF_INIT;
        if (kc_base64_decode(s, strlen(s), &plain) < 0)
                return misfit(b, name);
        put_bytes(b, plain.data, plain.len);
        return 0;
}

static int time_value(struct back *b, const char *s, bool micro, const char *name)
{
        kc_time t;
        if (!*s)
                return 0;
        if (kc_time_parse(s, &t) < 0)
                return misfit(b, name);
        int64_t usec = t % KC_SEC, seconds = t / KC_SEC;
        if (usec < 0) {
                usec += KC_SEC;
                seconds--;
        }
        put_varint_field(b, 2, micro ? (uint64_t)usec * 1000 : 0);
        put_varint_field(b, 1, (uint64_t)seconds);
        return 0;
}

static int duration(struct back *b, const char *s, const char *name)
{
        int64_t usec = 0;
        if (*s && kc_duration_parse(s, &usec) < 0)
                return misfit(b, name);
        put_varint_field(b, 1, (uint64_t)usec * 1000);
        return 0;
}

static int int_or_string(struct back *b, const struct json_object *v, const char *name)
{
        const char *s = kc_json_as_str(v);
        int64_t n = 0;
        if (!s && integer(b, v, name, &n) < 0)
                return -EINVAL;
        put_text_field(b, 3, s ? s : "");
        put_varint_field(b, 2, (uint64_t)n);
        put_varint_field(b, 1, s != NULL);
        return 0;
}

static int raw_json(struct back *b, const struct json_object *v)
{
        if (!v)
                return 0;
        KC_CLEANUP(kc_buf_done) struct kc_buf json = KC_BUF_INIT;
        kc_json_write(&json, v);
        size_t end = written(b);
        put_bytes(b, json.data, json.len);
        close_field(b, 1, end);
        return 0;
}

/* The inside of a field of wire type 2. */
static int content(struct back *b, const struct kc_type *type, const struct json_object *v, const char *name)
{
        const char *s;
        if (type->kind == KC_TYPE_OBJECT)
                return v && !kc_json_is_obj(v) ? misfit(b, name) : object(b, type, v);
        if (type->kind == KC_TYPE_VARIANT)
                return variant(b, type, v, name);
        if (type->kind == KC_TYPE_INT_OR_STRING)
                return int_or_string(b, v, name);
        if (type->kind == KC_TYPE_RAW)
                return raw_json(b, v);
        if (text(b, v, name, &s) < 0)
                return -EINVAL;
        switch (type->kind) {
        case KC_TYPE_BYTES:
                return bytes(b, s, name);
        case KC_TYPE_QUANTITY:
                put_text_field(b, 1, v ? s : "0");
                return 0;
        case KC_TYPE_TIME:
        case KC_TYPE_MICRO_TIME:
                return time_value(b, s, type->kind == KC_TYPE_MICRO_TIME, name);
        case KC_TYPE_DURATION:
                return duration(b, s, name);
        default:
                put_bytes(b, s, strlen(s));
                return 0;
        }
}

static int number(struct back *b, const struct kc_type *type, const struct json_object *v, const char *name)
{
        int64_t n = 0;
        if (type->kind == KC_TYPE_DOUBLE) {
                double f = v ? json_object_get_double(v) : 0;
                uint64_t bits;
                memcpy(&bits, &f, sizeof(bits));
                unsigned char *at = room(b, sizeof(bits));
                for (size_t i = 0; i < sizeof(bits); i++)
                        at[i] = (unsigned char)(bits >> (8 * i));
                return 0;
        }
        if (type->kind == KC_TYPE_BOOL) {
                if (v && !json_object_is_type(v, json_type_boolean))
                        return misfit(b, name);
                n = v && json_object_get_boolean(v);
        } else if (integer(b, v, name, &n) < 0) {
                return -EINVAL;
        }
        put_varint(b, (uint64_t)n);
        return 0;
}

/* --- values by the schema */

static int tagged(
    struct back *b, uint32_t at, const struct kc_type *type, const struct json_object *v, const char *name)
{
        bool is_double = type->kind == KC_TYPE_DOUBLE;
        if (is_double || type->kind == KC_TYPE_INT32 || type->kind == KC_TYPE_INT64 || type->kind == KC_TYPE_BOOL) {
                int r = number(b, type, v, name);
                put_tag(b, at, is_double ? KC_PB_FIXED64 : KC_PB_VARINT);
                return r;
        }
        size_t end = written(b);
        int r = value(b, type, v, name);
        close_field(b, at, end);
        return r;
}

static int elements(
    struct back *b, uint32_t at, const struct kc_type *type, const struct json_object *array, const char *name)
{
        if (array && !kc_json_is_arr(array))
                return misfit(b, name);
        int r = 0;
        for (size_t i = kc_json_len(array); i-- > 0 && r == 0;)
                r = tagged(b, at, type->elem, kc_json_idx(array, i), name);
        return r;
}

/* The field of the value's kind; true with an object, which is how Go holds what stands for true and more. */
static int variant(struct back *b, const struct kc_type *type, const struct json_object *v, const char *name)
{
        const struct kc_field *own = kc_type_variant(type, v);
        const struct kc_field *boolean = kc_type_field(type, "boolean");
        if (v && !own)
                return misfit(b, name);
        int r = 0;
        if (own && own->type->kind == KC_TYPE_ARRAY)
                r = elements(b, (uint32_t)own->wire, own->type, v, name);
        else if (own && own != boolean)
                r = tagged(b, (uint32_t)own->wire, own->type, v, name);
        if (boolean)
                put_varint_field(b, (uint32_t)boolean->wire, own != boolean ? own != NULL : json_object_get_boolean(v));
        return r;
}

/* What stands in a message of its own: content, or a list in a map, { items = 1 }. */
static int value(struct back *b, const struct kc_type *type, const struct json_object *v, const char *name)
{
        return type->kind == KC_TYPE_ARRAY ? elements(b, 1, type, v, name) : content(b, type, v, name);
}

static int by_key(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int entries(
    struct back *b, uint32_t at, const struct kc_type *type, const struct json_object *map, const char *name)
{
        if (map && !kc_json_is_obj(map))
                return misfit(b, name);
        size_t n = 0;
        KC_CLEANUP(kc_freep) const char **keys = kc_calloc(kc_json_n_keys(map) + 1, sizeof(*keys));
        KC_JSON_FOREACH(map, key, val)
        {
                (void)val; /* looked up in the order of the keys */
                keys[n++] = key;
        }
        qsort(keys, n, sizeof(*keys), by_key);
        int r = 0;
        while (n-- > 0 && r == 0) {
                size_t end = written(b);
                r = tagged(b, 2, type->elem, kc_json_get(map, keys[n]), name);
                put_text_field(b, 1, keys[n]);
                close_field(b, at, end);
        }
        return r;
}

/* Whether Go writes a field that is absent: not pointers, and nothing for nil slices. ObjectMeta.creationTimestamp is
 * no pointer in Go, but its zero value is left out of JSON (omitzero), which the schema says as it does of pointers. */
static bool held_by_value(const struct kc_field *f)
{
        if (f->type->kind == KC_TYPE_TIME && strcmp(f->name, "creationTimestamp") == 0)
                return true;
        return !(f->flags & KC_FIELD_POINTER) && f->type->kind != KC_TYPE_BYTES;
}

static int field(struct back *b, const struct kc_field *f, const struct json_object *o)
{
        const struct json_object *v = kc_json_get(o, f->name);
        uint32_t at = (uint32_t)f->wire & KC_PB_NUMBER_MAX;
        if (f->type->kind == KC_TYPE_ARRAY && f->flags & KC_FIELD_WRAPPED)
                return v ? tagged(b, at, f->type, v, f->name) : 0;
        if (f->type->kind == KC_TYPE_ARRAY)
                return elements(b, at, f->type, v, f->name);
        if (f->type->kind == KC_TYPE_MAP)
                return entries(b, at, f->type, v, f->name);
        return v || held_by_value(f) ? tagged(b, at, f->type, v, f->name) : 0;
}

/* Where the field stands in its message, those of embedded messages together. */
static uint32_t rank(const struct kc_field *f)
{
        uint32_t wire = (uint32_t)f->wire;
        while (!(wire >> (2 * KC_WIRE_BITS)))
                wire <<= KC_WIRE_BITS;
        return wire;
}

/* The fields that have a number, by rank. The order of the schema is nearly that: insertion sort. */
static size_t ranked_fields(const struct kc_type *type, const struct kc_field **ret)
{
        size_t n = 0;
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct kc_field *f = &type->fields[type->order ? type->order[i] : i];
                size_t at = n;
                if (f->wire == 0)
                        continue;
                for (; at > 0 && rank(ret[at - 1]) > rank(f); at--)
                        ret[at] = ret[at - 1];
                ret[at] = f;
                n++;
        }
        return n;
}

enum { INLINE_FIELDS = 64 };

/* The embedded messages that are open while fields are written, the outermost first. */
struct embedded {
        uint32_t at; /* numbers of the innermost; 0: none */
        size_t depth, end[2];
};

static bool is_within(uint32_t at, uint32_t outer)
{
        while (at > outer)
                at >>= KC_WIRE_BITS;
        return at == outer;
}

/* Closes and opens messages until the one at those numbers is open. */
static void move_to(struct back *b, struct embedded *e, uint32_t at)
{
        while (!is_within(at, e->at)) {
                close_field(b, e->at & KC_PB_NUMBER_MAX, e->end[--e->depth]);
                e->at >>= KC_WIRE_BITS;
        }
        while (e->at != at) {
                uint32_t next = at;
                while (next >> KC_WIRE_BITS != e->at)
                        next >>= KC_WIRE_BITS;
                e->at = next;
                e->end[e->depth++] = written(b);
        }
}

/* o NULL: a struct of zero values. */
static int object(struct back *b, const struct kc_type *type, const struct json_object *o)
{
        const struct kc_field *space[INLINE_FIELDS];
        KC_CLEANUP(kc_freep) const struct kc_field **heap = NULL;
        if (type->n_fields > INLINE_FIELDS)
                heap = kc_calloc(type->n_fields, sizeof(struct kc_field *));
        const struct kc_field **fields = heap ? heap : space;
        struct embedded e = {0};
        int r = 0;
        for (size_t n = ranked_fields(type, fields); n-- > 0 && r == 0;) {
                move_to(b, &e, (uint32_t)fields[n]->wire >> KC_WIRE_BITS);
                r = field(b, fields[n], o);
        }
        move_to(b, &e, 0);
        return r;
}

int kc_protobuf_encode(
    const struct json_object *tree, const struct kc_type *type, struct kc_buf *out, struct kc_error *err)
{
        struct back b = {.err = err};
        int r = kc_json_is_obj(tree) ? object(&b, type, tree) : misfit(&b, type->name ? type->name : "");
        if (r == 0 && written(&b) > 0)
                kc_buf_add(out, b.data + b.at, written(&b));
        kc_free(b.data);
        return r;
}

/* --- parts */

static void add_varint(struct kc_buf *out, uint64_t v)
{
        for (; v >= 0x80; v >>= 7)
                kc_buf_addc(out, (char)(v | 0x80));
        kc_buf_addc(out, (char)v);
}

void kc_protobuf_add_bytes_head(struct kc_buf *out, uint32_t number, size_t len)
{
        add_varint(out, (uint64_t)number << 3 | KC_PB_BYTES);
        add_varint(out, len);
}

void kc_protobuf_add_bytes(struct kc_buf *out, uint32_t number, const void *data, size_t len)
{
        kc_protobuf_add_bytes_head(out, number, len);
        if (len > 0)
                kc_buf_add(out, data, len);
}

static void add_text(struct kc_buf *out, uint32_t number, const char *s)
{
        kc_protobuf_add_bytes(out, number, s ? s : "", s ? strlen(s) : 0);
}

void kc_protobuf_add_head(struct kc_buf *out, const char *api_version, const char *kind, size_t message_len)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf type_meta = KC_BUF_INIT;
        add_text(&type_meta, 1, api_version);
        add_text(&type_meta, 2, kind);
        kc_buf_add(out, kc_pb_magic, KC_PB_MAGIC_LEN);
        kc_protobuf_add_bytes(out, 1, type_meta.data, type_meta.len);
        kc_protobuf_add_bytes_head(out, 2, message_len);
}

void kc_protobuf_add_tail(struct kc_buf *out)
{
        add_text(out, 3, "");
        add_text(out, 4, "");
}

/* --- the envelope */

int kc_protobuf_write(
    const struct json_object *tree, const struct kc_type *type, struct kc_buf *out, struct kc_error *err)
{
        struct back b = {.err = err};
        int r = kc_json_is_obj(tree) ? object(&b, type, tree) : misfit(&b, type->name ? type->name : "");
        if (r == 0) {
                kc_protobuf_add_head(out, kc_json_str(tree, "apiVersion"), kc_json_str(tree, "kind"), written(&b));
                if (written(&b) > 0)
                        kc_buf_add(out, b.data + b.at, written(&b));
                kc_protobuf_add_tail(out);
        }
        kc_free(b.data);
        return r;
}

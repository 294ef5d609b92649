/* The schema at work on trees: what upstream's decoders do by way of Go structs. Every object of a known type comes out
 * with the keys that a Go encoder would write, in its order. Any thread; the tree is the caller's own. */
#include "api/codec_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

struct decode {
        char ***unknown;
        struct kc_error *err;
};

/* What becomes of a field. */
struct slot {
        struct json_object *v; /* borrowed from the object, or ours when fresh */
        bool emit, fresh;
};

/* Enough for every built-in type; larger ones go to the heap. */
enum { INLINE_SLOTS = 64 };

static int decode_value(struct decode *d, const struct kc_codec_path *at, const struct kc_type *type,
    struct json_object *v, struct json_object **ret);

struct json_object *kc_codec_must(struct json_object *o)
{
        if (!o) {
                kc_log_write(KC_LOG_FATAL, 0, __FILE__, __LINE__, "Cannot build a JSON value", NULL, "reason",
                    "out of memory", (char *)NULL);
                abort();
        }
        return o;
}

static size_t field_index(const struct kc_type *type, const struct kc_field *f)
{
        return (size_t)(f - type->fields);
}

static const struct kc_field *nth_encoded(const struct kc_type *type, size_t i)
{
        return &type->fields[type->order ? type->order[i] : i];
}

static void add_unknown(struct decode *d, const struct kc_codec_path *at, const char *key)
{
        if (!d->unknown || kc_strv_len(*d->unknown) >= KC_CODEC_MAX_UNKNOWN)
                return;
        struct kc_buf b = KC_BUF_INIT;
        kc_codec_path_format(&b, at, key);
        kc_strv_push_take(d->unknown, kc_buf_take_str(&b));
}

/* True if the object's keys are already the slots that are to be emitted, in order, followed by nothing. */
static bool in_order(struct json_object *o, const struct kc_type *type, const struct slot *slots)
{
        const struct lh_entry *e = json_object_get_object(o)->head;
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct kc_field *f = nth_encoded(type, i);
                const struct slot *s = &slots[field_index(type, f)];
                if (!s->emit)
                        continue;
                if (!e || s->fresh || !kc_streq((const char *)lh_entry_k(e), f->name))
                        return false;
                e = e->next;
        }
        return !e;
}

/* Takes out every key but those that are unknown and stay; with a reference held on each value of a slot. */
static void strip(struct json_object *o, const struct kc_type *type, struct json_object **ret_rest)
{
        struct lh_table *table = json_object_get_object(o);
        *ret_rest = NULL;
        while (table->head) {
                const char *key = lh_entry_k(table->head);
                if (type->preserve_unknown && !kc_type_field(type, key)) {
                        if (!*ret_rest)
                                *ret_rest = kc_codec_must(json_object_new_object());
                        struct json_object *v = (struct json_object *)lh_entry_v(table->head);
                        kc_json_set(*ret_rest, key, v ? json_object_get(v) : NULL);
                }
                (void)lh_table_delete_entry(table, table->head); /* it is there */
        }
}

/* Gives the object exactly the keys of the slots that are emitted, in order, and behind them unknown ones that stay. */
static void rebuild(struct json_object *o, const struct kc_type *type, struct slot *slots)
{
        if (in_order(o, type, slots))
                return;
        for (size_t i = 0; i < type->n_fields; i++)
                if (slots[i].emit && !slots[i].fresh && slots[i].v)
                        (void)json_object_get(slots[i].v); /* held while the object lets go of it */
        struct json_object *rest;
        strip(o, type, &rest);
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct kc_field *f = nth_encoded(type, i);
                struct slot *s = &slots[field_index(type, f)];
                if (s->emit)
                        kc_json_set(o, f->name, s->v);
                s->fresh = false;
        }
        KC_JSON_FOREACH(rest, key, val)
        {
                kc_json_set(o, key, val ? json_object_get((struct json_object *)val) : NULL);
        }
        kc_json_free(rest);
}

/* Decides what Go would encode for the field, whose decoded value is s->v (NULL: absent or null). */
static void settle(struct slot *s, const struct kc_field *f)
{
        bool pointer = f->flags & KC_FIELD_POINTER, omit_empty = f->flags & KC_FIELD_OMIT_EMPTY;
        if (s->v) {
                s->emit = pointer || !omit_empty || !kc_codec_is_empty(f->type, s->v);
                return;
        }
        if (pointer) {
                s->emit = !omit_empty;
                return;
        }
        switch (f->type->kind) {
        case KC_TYPE_OBJECT:
        case KC_TYPE_QUANTITY:
        case KC_TYPE_INT_OR_STRING:
        case KC_TYPE_TIME:
        case KC_TYPE_MICRO_TIME:
        case KC_TYPE_DURATION:
        case KC_TYPE_RAW:
                s->emit = true; /* structs of Go: omitempty does not apply */
                break;
        default:
                s->emit = !omit_empty;
        }
        if (s->emit) {
                s->v = kc_codec_zero(f->type);
                s->fresh = s->v != NULL;
        }
}

static struct slot *slots_for(const struct kc_type *type, struct slot space[static INLINE_SLOTS])
{
        if (type->n_fields > INLINE_SLOTS)
                return kc_calloc(type->n_fields, sizeof(*space));
        memset(space, 0, type->n_fields * sizeof(*space));
        return space;
}

/* A null that Go writes must be in the object, too, for in_order() to see it: it compares keys only. */
static int decode_fields(struct decode *d, const struct kc_codec_path *at, const struct kc_type *type,
    struct json_object *o, struct slot *slots)
{
        KC_JSON_FOREACH(o, key, val)
        {
                const struct kc_field *f = kc_type_field(type, key);
                if (!f) {
                        if (!type->preserve_unknown)
                                add_unknown(d, at, key);
                        continue;
                }
                struct kc_codec_path here = {.up = at, .key = f->name, .parent = type};
                struct json_object *v = (struct json_object *)val, *replaced = NULL;
                if (!v)
                        continue;
                int r = decode_value(d, &here, f->type, v, &replaced);
                if (r < 0)
                        return r;
                if (replaced)
                        kc_json_set(o, f->name, replaced); /* in place: the walk goes on */
                slots[field_index(type, f)].v = replaced ? replaced : v;
        }
        for (size_t i = 0; i < type->n_fields; i++)
                settle(&slots[i], &type->fields[i]);
        return 0;
}

static int decode_object(
    struct decode *d, const struct kc_codec_path *at, const struct kc_type *type, struct json_object *o)
{
        if (!kc_json_is_obj(o))
                return kc_codec_type_error(at, type, o, d->err);
        struct slot space[INLINE_SLOTS];
        struct slot *slots = slots_for(type, space);
        int r = decode_fields(d, at, type, o, slots);
        if (r == 0)
                rebuild(o, type, slots);
        if (slots != space)
                kc_free(slots);
        return r;
}

static int decode_map(
    struct decode *d, const struct kc_codec_path *at, const struct kc_type *type, struct json_object *o)
{
        if (!kc_json_is_obj(o))
                return kc_codec_type_error(at, type, o, d->err);
        KC_JSON_FOREACH(o, key, val)
        {
                struct kc_codec_path here = {.up = at, .key = key};
                struct json_object *v = (struct json_object *)val, *replaced = NULL;
                int r = v ? decode_value(d, &here, type->elem, v, &replaced) : 0;
                if (r < 0)
                        return r;
                if (!v)
                        replaced = kc_codec_zero(type->elem);
                if (replaced)
                        kc_json_set(o, key, replaced);
        }
        return 0;
}

static int decode_array(
    struct decode *d, const struct kc_codec_path *at, const struct kc_type *type, struct json_object *a)
{
        if (!kc_json_is_arr(a))
                return kc_codec_type_error(at, type, a, d->err);
        for (size_t i = 0; i < kc_json_len(a); i++) {
                struct kc_codec_path here = {.up = at, .index = i};
                struct json_object *v = kc_json_idx_mut(a, i), *replaced = NULL;
                int r = v ? decode_value(d, &here, type->elem, v, &replaced) : 0;
                if (r < 0)
                        return r;
                if (!v)
                        replaced = kc_codec_zero(type->elem);
                if (replaced && json_object_array_put_idx(a, i, replaced) < 0)
                        (void)kc_codec_must(NULL);
        }
        return 0;
}

static int decode_variant(struct decode *d, const struct kc_codec_path *at, const struct kc_type *type,
    struct json_object *v, struct json_object **ret)
{
        const struct kc_field *f = kc_type_variant(type, v);
        return f ? decode_value(d, at, f->type, v, ret) : kc_codec_type_error(at, type, v, d->err);
}

static int decode_value(struct decode *d, const struct kc_codec_path *at, const struct kc_type *type,
    struct json_object *v, struct json_object **ret)
{
        switch (type->kind) {
        case KC_TYPE_VARIANT:
                return decode_variant(d, at, type, v, ret);
        case KC_TYPE_OBJECT:
                return decode_object(d, at, type, v);
        case KC_TYPE_MAP:
                return decode_map(d, at, type, v);
        case KC_TYPE_ARRAY:
                return decode_array(d, at, type, v);
        default:
                return kc_codec_scalar(at, type, v, ret, d->err);
        }
}

int kc_codec_decode(struct json_object *tree, const struct kc_type *type, char ***unknown, struct kc_error *err)
{
        struct decode d = {.unknown = unknown, .err = err};
        return decode_object(&d, NULL, type, tree);
}

struct json_object *kc_codec_zero(const struct kc_type *type)
{
        switch (type->kind) {
        case KC_TYPE_OBJECT: {
                struct json_object *o = kc_codec_must(json_object_new_object());
                struct decode d = {0};
                (void)decode_object(&d, NULL, type, o); /* an empty object has nothing that does not fit */
                return o;
        }
        case KC_TYPE_STRING:
                return kc_codec_must(json_object_new_string(""));
        case KC_TYPE_INT32:
        case KC_TYPE_INT64:
        case KC_TYPE_DOUBLE:
        case KC_TYPE_INT_OR_STRING:
                return kc_codec_must(json_object_new_int64(0));
        case KC_TYPE_BOOL:
                return kc_codec_must(json_object_new_boolean(0));
        case KC_TYPE_QUANTITY:
                return kc_codec_must(json_object_new_string("0"));
        case KC_TYPE_DURATION:
                return kc_codec_must(json_object_new_string("0s"));
        default:
                return NULL;
        }
}

bool kc_codec_is_empty(const struct kc_type *type, const struct json_object *v)
{
        switch (type->kind) {
        case KC_TYPE_MAP:
                return kc_json_n_keys(v) == 0;
        case KC_TYPE_ARRAY:
                return kc_json_len(v) == 0;
        case KC_TYPE_STRING:
        case KC_TYPE_BYTES:
                return kc_str_empty(kc_json_as_str(v));
        case KC_TYPE_INT32:
        case KC_TYPE_INT64:
                return json_object_get_int64(v) == 0;
        case KC_TYPE_DOUBLE:
                return json_object_get_double(v) == 0;
        case KC_TYPE_BOOL:
                return !json_object_get_boolean(v);
        default:
                return false;
        }
}

/* --- Defaults */

static void default_value(struct json_object *v, const struct kc_type *type);

static bool lacks_value(const struct kc_field *f, const struct json_object *v)
{
        return !v || (!(f->flags & KC_FIELD_POINTER) && kc_codec_is_empty(f->type, v));
}

static struct json_object *static_default(const struct kc_field *f)
{
        struct json_object *v = NULL;
        if (kc_json_parse(f->default_json, strlen(f->default_json), NULL, &v, NULL) < 0 || !v)
                kc_log_warn("A static default is no JSON value, ignoring", "field", f->name);
        return v;
}

static void default_object(struct json_object *o, const struct kc_type *type)
{
        struct slot space[INLINE_SLOTS];
        struct slot *slots = slots_for(type, space);
        bool added = false;
        KC_JSON_FOREACH(o, key, val)
        {
                const struct kc_field *f = kc_type_field(type, key);
                if (!f)
                        continue;
                struct slot *s = &slots[field_index(type, f)];
                s->v = (struct json_object *)val;
                s->emit = true;
        }
        for (size_t i = 0; i < type->n_fields; i++) {
                const struct kc_field *f = &type->fields[i];
                if (f->default_json && lacks_value(f, slots[i].v)) {
                        slots[i].v = static_default(f);
                        slots[i].emit = slots[i].fresh = added = slots[i].v != NULL || added;
                }
                if (slots[i].v)
                        default_value(slots[i].v, f->type);
        }
        if (added)
                rebuild(o, type, slots);
        if (slots != space)
                kc_free(slots);
}

static void default_value(struct json_object *v, const struct kc_type *type)
{
        if (type->kind == KC_TYPE_OBJECT && kc_json_is_obj(v)) {
                default_object(v, type);
        } else if (type->kind == KC_TYPE_MAP && type->elem->kind >= KC_TYPE_STRING) {
                return; /* nothing below */
        } else if (type->kind == KC_TYPE_MAP) {
                KC_JSON_FOREACH(v, key, val)
                {
                        default_value((struct json_object *)val, type->elem);
                }
        } else if (type->kind == KC_TYPE_ARRAY && type->elem->kind < KC_TYPE_STRING) {
                for (size_t i = 0; i < kc_json_len(v); i++)
                        default_value(kc_json_idx_mut(v, i), type->elem);
        }
}

void kc_codec_default(struct json_object *tree, const struct kc_type *type)
{
        default_value(tree, type);
}

/* Entries: one version of one object, immutable and counted. Any thread.
 *
 * An entry is one allocation (key, namespace, name and field values behind the struct) beside its bytes and labels. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "storage/cache_internal.h"
#include "storage/skim.h"

struct kc_cache_entry {
        atomic_size_t refs;
        struct kc_cache_entry *base; /* of a restamped one: what all else is taken from */
        int64_t revision;
        struct kc_bytes *bytes;
        struct kc_stamp stamp;
        struct json_object *labels;
        struct cache_fields *fields;
        const char *key, *ns, *name; /* in text */
        const char **values;         /* in text */
        char text[];
};

/* --- Fields */

struct cache_fields *cache_fields_new(const struct kc_cache_field *v, size_t n)
{
        struct cache_fields *f = KC_NEW(struct cache_fields);
        atomic_init(&f->refs, 1);
        f->n = n;
        f->v = kc_calloc(n ? n : 1, sizeof(*f->v));
        for (size_t i = 0; i < n; i++) {
                f->v[i].name = kc_strdup(v[i].name);
                f->v[i].path = kc_strdup(v[i].path ? v[i].path : v[i].name);
                f->v[i].fallback = kc_strdup(v[i].fallback);
                f->v[i].absent = kc_strdup(v[i].absent ? v[i].absent : "");
        }
        return f;
}

static struct cache_fields *fields_ref(struct cache_fields *f)
{
        atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
        return f;
}

void cache_fields_unref(struct cache_fields *f)
{
        if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) > 1)
                return;
        for (size_t i = 0; i < f->n; i++) {
                kc_free((char *)(uintptr_t)f->v[i].name);
                kc_free((char *)(uintptr_t)f->v[i].path);
                kc_free((char *)(uintptr_t)f->v[i].fallback);
                kc_free((char *)(uintptr_t)f->v[i].absent);
        }
        kc_free(f->v);
        kc_free(f);
}

int cache_fields_find(const struct cache_fields *f, const char *name)
{
        for (size_t i = 0; i < f->n; i++) {
                if (strcmp(f->v[i].name, name) == 0)
                        return (int)i;
        }
        return -1;
}

/* Appends the value and a NUL. */
static void add_value(struct kc_buf *b, const struct kc_cache_field *f, struct skim_span object)
{
        KC_CLEANUP(kc_freep) char *text = NULL;
        struct skim_span value;
        if (skim_at(object, f->path, &value))
                text = skim_scalar(value);
        if (kc_str_empty(text) && f->fallback && skim_at(object, f->fallback, &value)) {
                kc_free(text);
                text = skim_scalar(value);
        }
        kc_buf_adds(b, kc_str_empty(text) ? f->absent : text);
        kc_buf_addc(b, '\0');
}

/* --- Entries */

static struct json_object *parse_labels(struct skim_span object)
{
        struct skim_span labels;
        struct json_object *o = NULL;
        if (!skim_at(object, "metadata.labels", &labels) || labels.len <= 2)
                return NULL;
        if (kc_json_parse(labels.p, labels.len, NULL, &o, NULL) < 0)
                return NULL;
        return o;
}

int cache_entry_new(const char *key, size_t prefix_len, bool namespaced, struct cache_fields *fields, const void *value,
    size_t len, int64_t revision, struct kc_cache_entry **ret, struct kc_error *err)
{
        struct kc_bytes *bytes;
        struct kc_stamp stamp;
        int r = kc_stamp_revision(value, len, revision, &bytes, &stamp, err);
        if (r < 0)
                return r;
        struct skim_span object = {value, len};
        const char *rest = key + prefix_len;
        const char *slash = namespaced ? strchr(rest, '/') : NULL;

        /* text: key \0 namespace \0 name \0 value \0 value \0 ... */
        KC_CLEANUP(kc_buf_done) struct kc_buf text = KC_BUF_INIT;
        size_t key_len = strlen(key);
        kc_buf_add(&text, key, key_len + 1);
        kc_buf_add(&text, rest, slash ? (size_t)(slash - rest) : 0);
        kc_buf_addc(&text, '\0');
        kc_buf_adds(&text, slash ? slash + 1 : rest);
        kc_buf_addc(&text, '\0');
        for (size_t i = 0; i < fields->n; i++)
                add_value(&text, &fields->v[i], object);

        size_t values_at = (sizeof(struct kc_cache_entry) + text.len + sizeof(char *) - 1) & ~(sizeof(char *) - 1);
        struct kc_cache_entry *e = kc_malloc(values_at + fields->n * sizeof(char *));
        memset(e, 0, sizeof(*e));
        atomic_init(&e->refs, 1);
        e->revision = revision;
        e->bytes = bytes;
        e->stamp = stamp;
        e->labels = parse_labels(object);
        e->fields = fields_ref(fields);
        memcpy(e->text, text.data, text.len);
        e->key = e->text;
        e->ns = e->key + key_len + 1;
        e->name = e->ns + strlen(e->ns) + 1;
        e->values = (const char **)((char *)e + values_at);
        const char *at = e->name;
        for (size_t i = 0; i < fields->n; i++) {
                at += strlen(at) + 1;
                e->values[i] = at;
        }
        *ret = e;
        return 0;
}

struct kc_cache_entry *cache_entry_restamp(struct kc_cache_entry *e, int64_t revision)
{
        char number[24];
        size_t n = (size_t)snprintf(number, sizeof(number), "%lld", (long long)revision);
        const char *old = kc_bytes_data(e->bytes);
        size_t len = kc_bytes_len(e->bytes), tail = e->stamp.at + e->stamp.len;
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_reserve(&b, len + n);
        kc_buf_add(&b, old, e->stamp.at);
        kc_buf_add(&b, number, n);
        kc_buf_add(&b, old + tail, len - tail);
        struct kc_cache_entry *copy = KC_NEW(struct kc_cache_entry);
        atomic_init(&copy->refs, 1);
        copy->base = kc_cache_entry_ref(e);
        copy->revision = revision;
        copy->bytes = kc_bytes_from_buf(&b);
        copy->stamp = (struct kc_stamp){e->stamp.at, n};
        copy->labels = e->labels;
        copy->fields = e->fields;
        copy->key = e->key;
        copy->ns = e->ns;
        copy->name = e->name;
        copy->values = e->values;
        return copy;
}

struct kc_cache_entry *kc_cache_entry_ref(struct kc_cache_entry *e)
{
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        return e;
}

void kc_cache_entry_unref(struct kc_cache_entry *e)
{
        if (!e || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) > 1)
                return;
        kc_bytes_unref(e->bytes);
        if (e->base) {
                kc_cache_entry_unref(e->base);
        } else {
                kc_json_free(e->labels);
                cache_fields_unref(e->fields);
        }
        kc_free(e);
}

const char *kc_cache_entry_key(const struct kc_cache_entry *e)
{
        return e->key;
}

const char *kc_cache_entry_namespace(const struct kc_cache_entry *e)
{
        return e->ns;
}

const char *kc_cache_entry_name(const struct kc_cache_entry *e)
{
        return e->name;
}

struct kc_bytes *kc_cache_entry_bytes(const struct kc_cache_entry *e)
{
        return e->bytes;
}

int64_t kc_cache_entry_revision(const struct kc_cache_entry *e)
{
        return e->revision;
}

const struct json_object *kc_cache_entry_labels(const struct kc_cache_entry *e)
{
        return e->labels;
}

const char *cache_entry_value(const struct kc_cache_entry *e, int i)
{
        return e->values[i];
}

const char *kc_cache_entry_field(const char *field, void *entry)
{
        const struct kc_cache_entry *e = entry;
        if (strcmp(field, "metadata.name") == 0)
                return e->name;
        if (strcmp(field, "metadata.namespace") == 0)
                return e->ns;
        int i = cache_fields_find(e->fields, field);
        return i < 0 ? NULL : e->values[i];
}

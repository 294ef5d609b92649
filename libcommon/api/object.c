/* Shared API objects. The tree and the bytes are each made from the other at most once: the first thread to finish
 * publishes its result with a compare-and-swap, a thread that loses frees its own. Any thread. */
#include "api/object.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

struct kc_object {
        atomic_uint refs;
        _Atomic(struct json_object *) tree;
        _Atomic(struct kc_bytes *) bytes;
        const char *ns, *name, *uid, *resource_version; /* into strings */
        char strings[];
};

static struct kc_object *object_alloc(const struct json_object *tree)
{
        const struct json_object *meta = kc_json_get(tree, "metadata");
        const char *values[] = {kc_json_str(meta, "namespace"), kc_json_str(meta, "name"), kc_json_str(meta, "uid"),
            kc_json_str(meta, "resourceVersion")};
        size_t lens[KC_ARRAY_LEN(values)], total = 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(values); i++) {
                if (!values[i])
                        values[i] = "";
                lens[i] = strlen(values[i]) + 1;
                total += lens[i];
        }
        struct kc_object *o = kc_calloc(1, sizeof(*o) + total);
        atomic_init(&o->refs, 1);
        const char **slots[] = {&o->ns, &o->name, &o->uid, &o->resource_version};
        char *p = o->strings;
        for (size_t i = 0; i < KC_ARRAY_LEN(values); i++) {
                *slots[i] = memcpy(p, values[i], lens[i]);
                p += lens[i];
        }
        return o;
}

struct kc_object *kc_object_new(struct json_object *take_tree)
{
        struct kc_object *o = object_alloc(take_tree);
        atomic_init(&o->tree, take_tree);
        return o;
}

int kc_object_from_bytes(struct kc_bytes *bytes, struct kc_object **ret, struct kc_error *err)
{
        struct json_object *tree = NULL;
        int r = kc_json_parse(kc_bytes_data(bytes), kc_bytes_len(bytes), &kc_json_object_limits, &tree, err);
        if (r < 0)
                return r;
        if (!kc_json_is_obj(tree)) {
                kc_json_free(tree);
                return kc_error_set(err, EINVAL, "not a JSON object");
        }
        struct kc_object *o = kc_object_new(tree);
        atomic_init(&o->bytes, kc_bytes_ref(bytes));
        *ret = o;
        return 0;
}

struct kc_object *kc_object_ref(struct kc_object *o)
{
        if (o)
                atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
        return o;
}

void kc_object_unref(struct kc_object *o)
{
        if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
                return;
        kc_json_free(atomic_load_explicit(&o->tree, memory_order_relaxed));
        struct kc_bytes *bytes = atomic_load_explicit(&o->bytes, memory_order_relaxed);
        if (bytes)
                kc_bytes_unref(bytes);
        kc_free(o);
}

void kc_object_trim(struct kc_object *o)
{
        (void)kc_object_bytes(o);
        kc_json_free(atomic_exchange(&o->tree, NULL));
}

const struct json_object *kc_object_json(const struct kc_object *o)
{
        if (!o)
                return NULL;
        struct kc_object *m = (struct kc_object *)o; /* the caches are not part of the value */
        struct json_object *tree = atomic_load_explicit(&m->tree, memory_order_acquire);
        if (tree)
                return tree;
        struct kc_bytes *bytes = atomic_load_explicit(&m->bytes, memory_order_acquire);
        struct kc_error err = KC_ERROR_INIT;
        if (kc_json_parse(kc_bytes_data(bytes), kc_bytes_len(bytes), &kc_json_object_limits, &tree, &err) < 0) {
                /* The same bytes were parsed before, so memory is exhausted. */
                kc_log_error(&err, "Cannot parse a cached object");
                kc_error_done(&err);
                abort();
        }
        struct json_object *expected = NULL;
        if (!atomic_compare_exchange_strong(&m->tree, &expected, tree)) {
                kc_json_free(tree);
                return expected;
        }
        return tree;
}

struct kc_bytes *kc_object_bytes(const struct kc_object *o)
{
        struct kc_object *m = (struct kc_object *)o; /* the caches are not part of the value */
        struct kc_bytes *bytes = atomic_load_explicit(&m->bytes, memory_order_acquire);
        if (bytes)
                return bytes;
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write(&b, atomic_load_explicit(&m->tree, memory_order_acquire));
        bytes = kc_bytes_from_buf(&b);
        struct kc_bytes *expected = NULL;
        if (!atomic_compare_exchange_strong(&m->bytes, &expected, bytes)) {
                kc_bytes_unref(bytes);
                return expected;
        }
        return bytes;
}

struct json_object *kc_object_copy_json(const struct kc_object *o)
{
        return kc_json_copy(kc_object_json(o));
}

const char *kc_object_namespace(const struct kc_object *o)
{
        return o->ns;
}

const char *kc_object_name(const struct kc_object *o)
{
        return o->name;
}

const char *kc_object_uid(const struct kc_object *o)
{
        return o->uid;
}

const char *kc_object_resource_version(const struct kc_object *o)
{
        return o->resource_version;
}

void kc_objects_push_take(struct kc_objects *a, struct kc_object *take_o)
{
        if (a->n == a->cap) {
                a->cap = a->cap ? a->cap * 2 : 16;
                a->v = kc_reallocarray(a->v, a->cap, sizeof(struct kc_object *));
        }
        a->v[a->n++] = take_o;
}

void kc_objects_done(struct kc_objects *a)
{
        for (size_t i = 0; i < a->n; i++)
                kc_object_unref(a->v[i]);
        kc_free(a->v);
        *a = (struct kc_objects){0};
}

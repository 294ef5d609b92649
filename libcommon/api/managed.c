/* metadata.managedFields in memory: reading, writing, order, limits. Pure: any thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/managed_internal.h"
#include "base/str.h"

#define ANCIENT_CHANGES "ancient-changes"

void kc_managers_done(struct kc_managers *m)
{
        kc_arena_done(&m->arena);
        *m = (struct kc_managers){0};
}

/* --- the table */

static bool same(const struct kc_manager *a, const struct kc_manager *b)
{
        return a->applied == b->applied && strcmp(a->name, b->name) == 0 &&
               strcmp(a->subresource, b->subresource) == 0 &&
               (a->applied || strcmp(a->api_version, b->api_version) == 0);
}

struct kc_manager *kc_managers_find(struct kc_managers *m, const struct kc_manager *like)
{
        for (size_t i = 0; i < m->n; i++)
                if (same(&m->v[i], like))
                        return &m->v[i];
        return NULL;
}

struct kc_manager *kc_managers_put(struct kc_managers *m, const struct kc_manager *add)
{
        enum { FIRST = 8 };
        struct kc_manager *x = kc_managers_find(m, add);
        if (!x && m->n == m->cap) {
                size_t cap = m->cap ? m->cap * 2 : (size_t)FIRST;
                struct kc_manager *v = kc_arena_alloc(&m->arena, cap * sizeof(*v));
                if (m->n > 0)
                        memcpy(v, m->v, m->n * sizeof(*v));
                m->v = v;
                m->cap = cap;
        }
        if (!x)
                x = &m->v[m->n++];
        *x = *add;
        return x;
}

void kc_managers_remove(struct kc_managers *m, size_t i)
{
        memmove(&m->v[i], &m->v[i + 1], (m->n - i - 1) * sizeof(*m->v));
        m->n--;
}

void kc_manager_own(struct kc_manager *x, const struct kc_fieldset *set)
{
        if (kc_fieldset_equal(x->set, set))
                return;
        x->set = set;
        x->source = NULL;
}

const char *kc_managers_time(struct kc_managers *m, kc_time now)
{
        char buf[KC_TIME_LEN];
        const char *text = kc_time_format(now, buf);
        return kc_arena_strndup(&m->arena, text, strlen(text));
}

/* --- reading */

static const char *str_of(const struct json_object *e, const char *key)
{
        const char *s = kc_json_str(e, key);
        return s ? s : "";
}

static int decode_entry(
    struct kc_managers *m, const struct json_object *e, size_t i, struct kc_manager *ret, struct kc_error *err)
{
        const char *operation = str_of(e, "operation"), *type = str_of(e, "fieldsType");
        *ret = (struct kc_manager){
            .name = str_of(e, "manager"),
            .api_version = str_of(e, "apiVersion"),
            .subresource = str_of(e, "subresource"),
            .applied = strcmp(operation, "Apply") == 0,
            .time = kc_json_str(e, "time"),
            .source = e,
        };
        if (!ret->applied && strcmp(operation, "Update") != 0)
                return kc_error_set(err, EINVAL, "operation must be `Apply` or `Update`");
        if (kc_str_empty(ret->api_version))
                return kc_error_set(err, EINVAL, "apiVersion must not be empty");
        if (kc_str_empty(type))
                return kc_error_set(err, EINVAL, "missing fieldsType in managed fields entry %zu", i);
        if (strcmp(type, "FieldsV1") != 0)
                return kc_error_set(err, EINVAL, "invalid fieldsType \"%s\" in managed fields entry %zu", type, i);
        int r = kc_fieldset_decode(&m->arena, kc_json_get(e, "fieldsV1"), &ret->set, err);
        return r < 0 ? kc_error_wrap(err, "error decoding versioned set") : 0;
}

int kc_managers_decode(struct kc_managers *m, const struct json_object *entries, struct kc_error *err)
{
        *m = (struct kc_managers){0};
        for (size_t i = 0; i < kc_json_len(entries); i++) {
                struct kc_manager x;
                int r = decode_entry(m, kc_json_idx(entries, i), i, &x, err);
                if (r < 0) {
                        kc_managers_done(m);
                        return r;
                }
                (void)kc_managers_put(m, &x);
        }
        return 0;
}

bool kc_managed_is_reset(const struct json_object *entries)
{
        if (!kc_json_is_arr(entries))
                return false;
        size_t n = kc_json_len(entries);
        return n == 0 || (n == 1 && kc_json_n_keys(kc_json_idx(entries, 0)) == 0);
}

/* --- limits and order */

static int64_t seconds_of(const struct kc_manager *x)
{
        kc_time t;
        return x->time && kc_time_parse(x->time, &t) == 0 ? t / KC_SEC : 0;
}

static int compare_entries(const void *a, const void *b)
{
        const struct kc_manager *x = a, *y = b;
        if (x->applied != y->applied)
                return x->applied ? -1 : 1; /* "Apply" < "Update" */
        int64_t s = seconds_of(x), t = seconds_of(y);
        if (s != t)
                return s < t ? -1 : 1;
        int c = strcmp(x->name, y->name);
        if (c == 0)
                c = strcmp(x->api_version, y->api_version);
        return c ? c : strcmp(x->subresource, y->subresource);
}

static size_t count_updates(const struct kc_managers *m)
{
        size_t n = 0;
        for (size_t i = 0; i < m->n; i++)
                n += !m->v[i].applied;
        return n;
}

static bool mergeable(const struct kc_manager *a, const struct kc_manager *b)
{
        return !a->applied && !b->applied && strcmp(a->api_version, b->api_version) == 0;
}

/* The two become one. */
static void merge(struct kc_managers *m, size_t older, size_t newer)
{
        struct kc_manager merged = {
            .name = ANCIENT_CHANGES,
            .api_version = m->v[older].api_version,
            .subresource = "",
            .time = m->v[newer].time,
            .set = kc_fieldset_union(&m->arena, m->v[older].set, m->v[newer].set),
        };
        kc_managers_remove(m, newer);
        kc_managers_remove(m, older);
        struct kc_manager *bucket = kc_managers_find(m, &merged);
        if (bucket)
                merged.set = kc_fieldset_union(&m->arena, merged.set, bucket->set);
        (void)kc_managers_put(m, &merged);
}

/* The oldest two updates of one version. False: every version has but one. */
static bool merge_oldest(struct kc_managers *m)
{
        for (size_t newer = 1; newer < m->n; newer++)
                for (size_t older = 0; older < newer; older++)
                        if (mergeable(&m->v[older], &m->v[newer])) {
                                merge(m, older, newer);
                                return true;
                        }
        return false;
}

void kc_managers_cap(struct kc_managers *m)
{
        while (count_updates(m) > KC_MANAGED_MAX_UPDATES) {
                qsort(m->v, m->n, sizeof(*m->v), compare_entries);
                if (!merge_oldest(m))
                        return;
        }
}

/* --- writing */

static struct json_object *encode_entry(const struct kc_manager *x)
{
        if (x->source)
                return kc_json_copy(x->source);
        struct json_object *e = json_object_new_object();
        kc_json_set_str(e, "manager", kc_str_empty(x->name) ? NULL : x->name);
        kc_json_set_str(e, "operation", x->applied ? "Apply" : "Update");
        kc_json_set_str(e, "apiVersion", x->api_version);
        kc_json_set_str(e, "time", x->time);
        kc_json_set_str(e, "fieldsType", "FieldsV1");
        kc_json_set(e, "fieldsV1", kc_fieldset_encode(x->set));
        kc_json_set_str(e, "subresource", kc_str_empty(x->subresource) ? NULL : x->subresource);
        return e;
}

struct json_object *kc_managers_encode(struct kc_managers *m)
{
        if (m->n == 0)
                return NULL;
        qsort(m->v, m->n, sizeof(*m->v), compare_entries);
        struct json_object *list = json_object_new_array();
        for (size_t i = 0; i < m->n; i++)
                kc_json_push(list, encode_entry(&m->v[i]));
        return list;
}

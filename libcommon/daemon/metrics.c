/* The process's table of metrics.
 *
 *   registry (by name) -> metric -> series (by label values) -> value, or buckets and sum
 *
 * The registry has a lock, each metric a read-write lock around its map of series; values are atomic. Metrics and
 * series live until the process ends. Any thread. */
#include "daemon/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "daemon/metrics_internal.h"

/* Between the label values in a series' key; not to be found in UTF-8 text. */
#define KEY_SEPARATOR '\xff'

struct series {
        char **values;         /* strv of label values */
        _Atomic double value;  /* or a histogram's sum */
        atomic_ullong *counts; /* histogram: of each bucket, not cumulative; the last is +Inf */
};

struct kc_metric {
        char *name, *help;
        const char *type;
        char **labels; /* strv */
        size_t n_labels;
        double *buckets;
        size_t n_buckets;
        double (*callback)(void *arg);
        void *callback_arg;
        pthread_rwlock_t lock;
        struct kc_map *series; /* guarded by lock */
};

struct hook {
        void (*fn)(void *arg);
        void *arg;
        struct hook *next;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kc_map *registry; /* guarded by registry_lock */
static struct hook *hooks;      /* guarded by registry_lock */

static struct kc_metric *metric_new(const char *name, const char *help, const char *type, const char *const *labels)
{
        struct kc_metric *m = KC_NEW(struct kc_metric);
        m->name = kc_strdup(name);
        m->help = kc_strdup(help);
        m->type = type;
        for (; labels && labels[m->n_labels]; m->n_labels++)
                kc_strv_push(&m->labels, labels[m->n_labels]);
        pthread_rwlock_init(&m->lock, NULL);
        m->series = kc_map_new(NULL);
        return m;
}

static struct kc_metric *get_or_add(const char *name, const char *help, const char *type, const char *const *labels,
    const double *buckets, size_t n_buckets)
{
        pthread_mutex_lock(&registry_lock);
        if (!registry)
                registry = kc_map_new(NULL);
        struct kc_metric *m = kc_map_get(registry, name);
        if (!m) {
                m = metric_new(name, help, type, labels);
                if (n_buckets > 0)
                        m->buckets = kc_memdup(buckets, n_buckets * sizeof(*buckets));
                m->n_buckets = n_buckets;
                (void)kc_map_set(registry, name, m);
        }
        pthread_mutex_unlock(&registry_lock);
        return m;
}

struct kc_metric *kc_metric_counter(const char *name, const char *help, const char *const *labels)
{
        return get_or_add(name, help, "counter", labels, NULL, 0);
}

struct kc_metric *kc_metric_gauge(const char *name, const char *help, const char *const *labels)
{
        return get_or_add(name, help, "gauge", labels, NULL, 0);
}

struct kc_metric *kc_metric_histogram(
    const char *name, const char *help, const char *const *labels, const double *buckets, size_t n)
{
        return get_or_add(name, help, "histogram", labels, buckets, n);
}

void kc_metric_callback(const char *name, const char *help, const char *type, double (*fn)(void *arg), void *arg)
{
        struct kc_metric *m = get_or_add(name, help, kc_streq(type, "counter") ? "counter" : "gauge", NULL, NULL, 0);
        pthread_mutex_lock(&registry_lock);
        m->callback = fn;
        m->callback_arg = arg;
        pthread_mutex_unlock(&registry_lock);
}

void kc_metrics_on_scrape(void (*fn)(void *arg), void *arg)
{
        struct hook *h = KC_NEW(struct hook);
        h->fn = fn;
        h->arg = arg;
        pthread_mutex_lock(&registry_lock);
        h->next = hooks;
        hooks = h;
        pthread_mutex_unlock(&registry_lock);
}

/* --- series */

/* On the stack where it fits. */
struct key {
        char small[256];
        struct kc_buf big;
        const char *text;
};

static void key_done(struct key *k)
{
        kc_buf_done(&k->big);
}

static void key_init(struct key *k, const struct kc_metric *m, const char *const *values)
{
        size_t len = 0;
        *k = (struct key){.big = KC_BUF_INIT, .text = k->small};
        k->small[0] = '\0';
        for (size_t i = 0; i < m->n_labels; i++)
                len += strlen(values[i]) + 1;
        if (len < sizeof(k->small)) {
                char *at = k->small;
                for (size_t i = 0; i < m->n_labels; i++) {
                        at = stpcpy(at, values[i]);
                        *at++ = KEY_SEPARATOR;
                }
                *at = '\0';
                return;
        }
        for (size_t i = 0; i < m->n_labels; i++) {
                kc_buf_adds(&k->big, values[i]);
                kc_buf_addc(&k->big, KEY_SEPARATOR);
        }
        k->text = kc_buf_str(&k->big);
}

static struct series *series_new(const struct kc_metric *m, const char *const *values)
{
        struct series *s = KC_NEW(struct series);
        for (size_t i = 0; i < m->n_labels; i++)
                kc_strv_push(&s->values, values[i]);
        if (m->n_buckets > 0)
                s->counts = kc_calloc(m->n_buckets + 1, sizeof(*s->counts));
        return s;
}

/* Under the write lock. */
static struct series *add_series(struct kc_metric *m, const struct key *k, const char *const *values)
{
        struct series *s = kc_map_get(m->series, k->text);
        if (!s) {
                s = series_new(m, values);
                (void)kc_map_set(m->series, k->text, s);
        }
        return s;
}

static struct series *find_series(struct kc_metric *m, const char *const *values)
{
        KC_CLEANUP(key_done) struct key k;
        key_init(&k, m, values);
        pthread_rwlock_rdlock(&m->lock);
        struct series *s = kc_map_get(m->series, k.text);
        pthread_rwlock_unlock(&m->lock);
        if (s)
                return s;
        pthread_rwlock_wrlock(&m->lock);
        if (kc_map_len(m->series) < KC_METRIC_MAX_SERIES) {
                s = add_series(m, &k, values);
        } else {
                KC_CLEANUP(key_done) struct key other_key;
                const char **other = kc_calloc(m->n_labels + 1, sizeof(*other));
                for (size_t i = 0; i < m->n_labels; i++)
                        other[i] = "other";
                key_init(&other_key, m, other);
                s = add_series(m, &other_key, other);
                kc_free(other);
        }
        pthread_rwlock_unlock(&m->lock);
        return s;
}

static void atomic_add(_Atomic double *target, double v)
{
        double old = atomic_load_explicit(target, memory_order_relaxed);
        while (
            !atomic_compare_exchange_weak_explicit(target, &old, old + v, memory_order_relaxed, memory_order_relaxed))
                ;
}

void kc_metric_add(struct kc_metric *m, double v, const char *const *values)
{
        atomic_add(&find_series(m, values)->value, v);
}

void kc_metric_set(struct kc_metric *m, double v, const char *const *values)
{
        atomic_store_explicit(&find_series(m, values)->value, v, memory_order_relaxed);
}

void kc_metric_observe(struct kc_metric *m, double v, const char *const *values)
{
        struct series *s = find_series(m, values);
        size_t i = 0;
        while (i < m->n_buckets && v > m->buckets[i])
                i++;
        if (s->counts)
                atomic_fetch_add_explicit(&s->counts[i], 1, memory_order_relaxed);
        atomic_add(&s->value, v);
}

void kc_metric_merge(struct kc_metric *m, const uint64_t *counts, double sum, const char *const *values)
{
        struct series *s = find_series(m, values);
        for (size_t i = 0; s->counts && i <= m->n_buckets; i++)
                atomic_fetch_add_explicit(&s->counts[i], counts[i], memory_order_relaxed);
        atomic_add(&s->value, sum);
}

/* --- the text format */

static void write_label(struct kc_buf *out, const char *name, const char *value)
{
        kc_buf_addf(out, "%s=\"", name);
        for (const char *c = value; *c; c++) {
                if (*c == '\\' || *c == '"')
                        kc_buf_addc(out, '\\');
                if (*c == '\n')
                        kc_buf_adds(out, "\\n");
                else
                        kc_buf_addc(out, *c);
        }
        kc_buf_addc(out, '"');
}

/* {a="1",le="5"}; le NULL: none. */
static void write_labels(struct kc_buf *out, const struct kc_metric *m, const struct series *s, const char *le)
{
        if (m->n_labels == 0 && !le)
                return;
        kc_buf_addc(out, '{');
        for (size_t i = 0; i < m->n_labels; i++) {
                if (i > 0)
                        kc_buf_addc(out, ',');
                write_label(out, m->labels[i], s->values[i]);
        }
        if (le) {
                if (m->n_labels > 0)
                        kc_buf_addc(out, ',');
                write_label(out, "le", le);
        }
        kc_buf_addc(out, '}');
}

static void write_histogram(struct kc_buf *out, const struct kc_metric *m, const struct series *s)
{
        char number[KC_METRIC_NUMBER_LEN];
        unsigned long long sum = 0;
        for (size_t i = 0; i <= m->n_buckets; i++) {
                sum += s->counts ? atomic_load_explicit(&s->counts[i], memory_order_relaxed) : 0;
                kc_buf_addf(out, "%s_bucket", m->name);
                write_labels(out, m, s, i < m->n_buckets ? kc_metric_format(m->buckets[i], number) : "+Inf");
                kc_buf_addf(out, " %llu\n", sum);
        }
        kc_buf_addf(out, "%s_sum", m->name);
        write_labels(out, m, s, NULL);
        kc_buf_addf(out, " %s\n", kc_metric_format(atomic_load_explicit(&s->value, memory_order_relaxed), number));
        kc_buf_addf(out, "%s_count", m->name);
        write_labels(out, m, s, NULL);
        kc_buf_addf(out, " %llu\n", sum);
}

static void write_series(struct kc_buf *out, const struct kc_metric *m, const struct series *s)
{
        char number[KC_METRIC_NUMBER_LEN];
        if (kc_streq(m->type, "histogram")) {
                write_histogram(out, m, s);
                return;
        }
        kc_buf_adds(out, m->name);
        write_labels(out, m, s, NULL);
        kc_buf_addf(out, " %s\n", kc_metric_format(atomic_load_explicit(&s->value, memory_order_relaxed), number));
}

static void write_metric(struct kc_buf *out, struct kc_metric *m)
{
        if (m->callback) {
                char number[KC_METRIC_NUMBER_LEN];
                kc_metric_write_head(out, m->name, m->help, m->type);
                kc_buf_addf(out, "%s %s\n", m->name, kc_metric_format(m->callback(m->callback_arg), number));
                return;
        }
        pthread_rwlock_rdlock(&m->lock);
        KC_CLEANUP(kc_strv_freep) char **keys = kc_map_sorted_keys(m->series);
        if (keys && keys[0])
                kc_metric_write_head(out, m->name, m->help, m->type);
        for (char **k = keys; k && *k; k++)
                write_series(out, m, kc_map_get(m->series, *k));
        pthread_rwlock_unlock(&m->lock);
}

void kc_metrics_write(struct kc_buf *out)
{
        /* Hooks and callbacks run without the lock: they may add metrics, which are never removed. */
        pthread_mutex_lock(&registry_lock);
        struct hook *first = hooks;
        pthread_mutex_unlock(&registry_lock);
        for (struct hook *h = first; h; h = h->next)
                h->fn(h->arg);
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        pthread_mutex_lock(&registry_lock);
        if (registry)
                names = kc_map_sorted_keys(registry);
        pthread_mutex_unlock(&registry_lock);
        for (char **n = names; n && *n; n++) {
                pthread_mutex_lock(&registry_lock);
                struct kc_metric *m = kc_map_get(registry, *n);
                pthread_mutex_unlock(&registry_lock);
                write_metric(out, m);
        }
        kc_metrics_write_process(out);
}

/* Sets of completion indexes. Any thread. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "controller-manager/job_internal.h"

void kc_indexes_add(struct kc_indexes *s, int64_t i)
{
        size_t at = 0;

        while (at < s->n && s->v[at].last < i - 1)
                at++;
        if (at < s->n && i >= s->v[at].first - 1 && i <= s->v[at].last + 1) {
                s->v[at].first = KC_MIN(s->v[at].first, i);
                s->v[at].last = KC_MAX(s->v[at].last, i);
                if (at + 1 < s->n && s->v[at + 1].first == s->v[at].last + 1) {
                        s->v[at].last = s->v[at + 1].last;
                        memmove(&s->v[at + 1], &s->v[at + 2], (s->n - at - 2) * sizeof(*s->v));
                        s->n--;
                }
                return;
        }
        s->v = kc_reallocarray(s->v, s->n + 1, sizeof(*s->v));
        memmove(&s->v[at + 1], &s->v[at], (s->n - at) * sizeof(*s->v));
        s->v[at] = (struct kc_index_interval){i, i};
        s->n++;
}

void kc_indexes_parse(struct kc_indexes *s, const char *text, int64_t limit)
{
        for (const char *p = text; p && *p;) {
                char *end;
                long long first = strtoll(p, &end, 10), last = first;
                if (end == p)
                        return;
                if (*end == '-') {
                        p = end + 1;
                        last = strtoll(p, &end, 10);
                        if (end == p)
                                return;
                }
                for (long long i = KC_MAX(first, 0LL); i <= last && i < limit; i++)
                        kc_indexes_add(s, i);
                p = *end == ',' ? end + 1 : "";
        }
}

char *kc_indexes_format(const struct kc_indexes *s)
{
        struct kc_buf b = KC_BUF_INIT;

        for (size_t i = 0; i < s->n; i++) {
                kc_buf_addf(&b, "%s%lld", i ? "," : "", (long long)s->v[i].first);
                if (s->v[i].last > s->v[i].first)
                        kc_buf_addf(
                            &b, "%s%lld", s->v[i].last == s->v[i].first + 1 ? "," : "-", (long long)s->v[i].last);
        }
        return kc_buf_take_str(&b);
}

bool kc_indexes_has(const struct kc_indexes *s, int64_t i)
{
        for (size_t k = 0; k < s->n; k++)
                if (i >= s->v[k].first && i <= s->v[k].last)
                        return true;
        return false;
}

int64_t kc_indexes_count(const struct kc_indexes *s)
{
        int64_t n = 0;

        for (size_t k = 0; k < s->n; k++)
                n += s->v[k].last - s->v[k].first + 1;
        return n;
}

void kc_indexes_done(struct kc_indexes *s)
{
        kc_free(s->v);
        *s = (struct kc_indexes){0};
}

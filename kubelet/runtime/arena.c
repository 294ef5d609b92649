/* Memory of one CRI request: freed at once. */
#include <stdarg.h>

#include "base/mem.h"
#include "kubelet/runtime/runtime_internal.h"

void *kc_arena_add(struct kc_arena *a, void *take_p)
{
        a->v = kc_reallocarray(a->v, a->n + 1, sizeof(*a->v));
        return a->v[a->n++] = take_p;
}

void *kc_arena_calloc(struct kc_arena *a, size_t n, size_t size)
{
        return kc_arena_add(a, kc_calloc(n, size));
}

char *kc_arena_printf(struct kc_arena *a, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        char *s = kc_vasprintf(fmt, ap);
        va_end(ap);
        return kc_arena_add(a, s);
}

void kc_arena_done(struct kc_arena *a)
{
        for (size_t i = 0; i < a->n; i++)
                kc_free(a->v[i]);
        kc_free(a->v);
        *a = (struct kc_arena){0};
}

/* What a pod's syncs remember from one to the next. Thread: the pod's worker. */
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/runtime/runtime.h"

void kc_pod_sync_done(struct kc_pod_sync *s)
{
        for (size_t i = 0; i < s->n_reasons; i++) {
                kc_free(s->reasons[i].container);
                kc_free(s->reasons[i].reason);
                kc_free(s->reasons[i].message);
        }
        kc_free(s->reasons);
        kc_strv_free(s->restart_anyway);
        kc_json_free(s->actuated);
        kc_free(s->resize_error);
        *s = (struct kc_pod_sync){0};
}

const struct kc_start_reason *kc_pod_sync_reason(const struct kc_pod_sync *s, const char *container)
{
        for (size_t i = 0; s && i < s->n_reasons; i++)
                if (kc_streq(s->reasons[i].container, container))
                        return &s->reasons[i];
        return NULL;
}

void kc_pod_sync_set_reason(struct kc_pod_sync *s, const char *container, const char *reason, const char *message)
{
        struct kc_start_reason *r = (struct kc_start_reason *)kc_pod_sync_reason(s, container);
        if (!r && !reason)
                return;
        if (!r) {
                s->reasons = kc_reallocarray(s->reasons, s->n_reasons + 1, sizeof(*s->reasons));
                r = &s->reasons[s->n_reasons++];
                *r = (struct kc_start_reason){.container = kc_strdup(container)};
        }
        if (!reason) {
                kc_free(r->container);
                kc_free(r->reason);
                kc_free(r->message);
                *r = s->reasons[--s->n_reasons];
                return;
        }
        r->not_before = 0;
        kc_str_set(&r->reason, reason);
        kc_str_set(&r->message, message);
}

void kc_pod_sync_delay(struct kc_pod_sync *s, const char *container, kc_time not_before, uint32_t hash)
{
        struct kc_start_reason *r = (struct kc_start_reason *)kc_pod_sync_reason(s, container);
        if (!r)
                return;
        r->not_before = not_before;
        r->hash = hash;
}

/* The runtime's view of a pod: a plain immutable value. Any thread. */
#include "kubelet/runtime/types.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"

struct kc_pod_runtime *kc_pod_runtime_new(const char *uid, const char *ns, const char *name)
{
        struct kc_pod_runtime *p = KC_NEW(struct kc_pod_runtime);
        atomic_init(&p->refs, 1);
        p->uid = kc_strdup(uid);
        p->ns = kc_strdup(ns);
        p->name = kc_strdup(name);
        return p;
}

struct kc_pod_runtime *kc_pod_runtime_ref(const struct kc_pod_runtime *p)
{
        struct kc_pod_runtime *m = (struct kc_pod_runtime *)p;
        if (m)
                atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
        return m;
}

static void container_done(struct kc_rt_container *c)
{
        char *strings[] = {c->id, c->name, c->sandbox_id, c->image, c->image_ref, c->reason, c->message, c->log_path,
            c->termination_message_path, c->termination_message_policy};
        for (size_t i = 0; i < KC_ARRAY_LEN(strings); i++)
                kc_free(strings[i]);
}

void kc_pod_runtime_unref(struct kc_pod_runtime *p)
{
        if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
                return;
        for (size_t i = 0; i < p->n_containers; i++)
                container_done(&p->containers[i]);
        for (size_t i = 0; i < p->n_sandboxes; i++) {
                kc_free(p->sandboxes[i].id);
                kc_strv_free(p->sandboxes[i].ips);
        }
        kc_free(p->containers);
        kc_free(p->sandboxes);
        kc_free(p->uid);
        kc_free(p->ns);
        kc_free(p->name);
        kc_free(p);
}

struct kc_rt_container *kc_pod_runtime_add_container(struct kc_pod_runtime *p)
{
        p->containers = kc_reallocarray(p->containers, p->n_containers + 1, sizeof(*p->containers));
        struct kc_rt_container *c = &p->containers[p->n_containers++];
        *c = (struct kc_rt_container){.grace_seconds = -1};
        return c;
}

struct kc_rt_sandbox *kc_pod_runtime_add_sandbox(struct kc_pod_runtime *p)
{
        p->sandboxes = kc_reallocarray(p->sandboxes, p->n_sandboxes + 1, sizeof(*p->sandboxes));
        struct kc_rt_sandbox *s = &p->sandboxes[p->n_sandboxes++];
        *s = (struct kc_rt_sandbox){0};
        return s;
}

static int newest_container_first(const void *a, const void *b)
{
        const struct kc_rt_container *x = a, *y = b;
        if (x->created_at != y->created_at)
                return x->created_at < y->created_at ? 1 : -1;
        return y->restart_count - x->restart_count;
}

static int newest_sandbox_first(const void *a, const void *b)
{
        const struct kc_rt_sandbox *x = a, *y = b;
        if (x->created_at != y->created_at)
                return x->created_at < y->created_at ? 1 : -1;
        return (int)y->attempt - (int)x->attempt;
}

void kc_pod_runtime_sort(struct kc_pod_runtime *p)
{
        if (p->n_containers > 1)
                qsort(p->containers, p->n_containers, sizeof(*p->containers), newest_container_first);
        if (p->n_sandboxes > 1)
                qsort(p->sandboxes, p->n_sandboxes, sizeof(*p->sandboxes), newest_sandbox_first);
}

const struct kc_rt_container *kc_pod_runtime_container(const struct kc_pod_runtime *p, const char *name)
{
        for (size_t i = 0; p && i < p->n_containers; i++)
                if (kc_streq(p->containers[i].name, name))
                        return &p->containers[i];
        return NULL;
}

const struct kc_rt_container *kc_pod_runtime_container_by_id(const struct kc_pod_runtime *p, const char *id)
{
        for (size_t i = 0; p && i < p->n_containers; i++)
                if (kc_streq(p->containers[i].id, id))
                        return &p->containers[i];
        return NULL;
}

const struct kc_rt_sandbox *kc_pod_runtime_ready_sandbox(const struct kc_pod_runtime *p)
{
        return p && p->n_sandboxes > 0 && p->sandboxes[0].ready ? &p->sandboxes[0] : NULL;
}

bool kc_pod_runtime_any_running(const struct kc_pod_runtime *p)
{
        for (size_t i = 0; p && i < p->n_containers; i++)
                if (p->containers[i].state == KC_STATE_RUNNING)
                        return true;
        return false;
}

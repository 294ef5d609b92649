/* Pods and runtime states for the kubelet's tests, in a line each. */
#pragma once

#include <stdlib.h>

#include "base/mem.h"
#include "kubelet/pod/pod.h"
#include "kubelet/runtime/types.h"

#define T0 ((kc_time)1763727670 * KC_SEC) /* 2025-11-21T12:21:10Z */

static inline struct kc_pod_runtime *rt_new(void)
{
        return kc_pod_runtime_new("u1", "default", "web");
}

static inline struct kc_rt_sandbox *rt_sandbox(
    struct kc_pod_runtime *p, const char *id, int attempt, bool ready, const char *ip)
{
        struct kc_rt_sandbox *s = kc_pod_runtime_add_sandbox(p);
        s->id = kc_strdup(id);
        s->attempt = (uint32_t)attempt;
        s->ready = ready;
        s->created_at = T0 + attempt * KC_SEC;
        if (ip)
                kc_strv_push(&s->ips, ip);
        return s;
}

static inline struct kc_rt_container *rt_container(struct kc_pod_runtime *p, const char *name, const char *id,
    const char *sandbox, enum kc_container_state state, int exit_code, int count)
{
        struct kc_rt_container *c = kc_pod_runtime_add_container(p);
        c->id = kc_strdup(id);
        c->name = kc_strdup(name);
        c->sandbox_id = kc_strdup(sandbox);
        c->image = kc_strdup("docker.io/library/busybox:1.35");
        c->image_ref = kc_strdup("sha256:8b90");
        c->reason = kc_strdup("");
        c->message = kc_strdup("");
        c->log_path = kc_strdup("");
        c->state = state;
        c->exit_code = exit_code;
        c->restart_count = count;
        c->created_at = T0 + (10 + count) * KC_SEC;
        if (state != KC_STATE_CREATED)
                c->started_at = c->created_at;
        if (state == KC_STATE_EXITED)
                c->finished_at = c->created_at + 5 * KC_SEC;
        return c;
}

/* spec: JSON with single quotes. */
static inline struct json_object *pod_of(const char *spec)
{
        KC_CLEANUP(kc_freep) char *text = kc_strdup(spec);
        for (char *p = text; *p; p++)
                if (*p == '\'')
                        *p = '"';
        struct json_object *tree = NULL;
        if (kc_json_parse(text, strlen(text), NULL, &tree, NULL) < 0)
                abort();
        return kc_json_build("{'metadata':{'name':'web','namespace':'default','uid':'u1'},'spec':%o}", tree);
}

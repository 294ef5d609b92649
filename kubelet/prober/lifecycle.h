/* postStart and preStop hooks. Blocks: worker threads. */
#pragma once

#include "kubelet/prober/prober.h"

/* handler: a v1.LifecycleHandler (exec, httpGet with one retry over plain HTTP as upstream's, sleep; tcpSocket is an
 * error). timeout_usec <= 0: none. 0 on success; else err with upstream's message: `Exec lifecycle hook ([...]) for
 * Container "x" in Pod "y" failed - error: command '...' exited with 1: , message: "..."`, and the same for HTTP. */
int kc_lifecycle_run(
    const struct kc_probe_env *e, const struct json_object *handler, int64_t timeout_usec, struct kc_error *err);

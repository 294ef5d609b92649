/* Attaching to a pod that was just made: kubec run and debug. Main thread. */
#pragma once

#include "cli/session.h"

/* Waits until the pod runs and is ready (usec; 0: for ever), attaches to the container (NULL: the default one), and
 * prints its log instead when it has ended already or cannot be attached to. container_only: waits for that container
 * alone. Returns as kc_session_run. */
int kc_attach_when_ready(struct kc_cli *c, const char *ns, const char *name, const char *container, bool container_only,
    int64_t timeout, struct kc_session_opts *o, struct kc_error *err);
/* Waits until the pod has ended (with success, if on_failure restarts it) and returns the exit code of its container,
 * which is said. */
int kc_run_exit_code(
    struct kc_cli *c, const char *ns, const char *name, bool on_failure, int64_t timeout, struct kc_error *err);

/* Joining the main process of a container: kubec attach, run and debug. Main thread. */
#pragma once

#include "cli/session.h"

/* container NULL: the pod's default one. o->tty becomes what the container has. Returns as kc_session_run. */
int kc_attach(struct kc_cli *c, const struct json_object *pod, const char *container, struct kc_session_opts *o,
    struct kc_error *err);

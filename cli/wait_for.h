/* Waiting on objects through watches. Main thread. */
#pragma once

#include "base/clock.h"
#include "cli/cli.h"

/* 1: reached; 0: not yet; negative: never. obj NULL: it does not exist (any more). */
typedef int (*kc_cli_condition_fn)(struct kc_cli *c, const struct json_object *obj, void *arg, struct kc_error *err);
/* Calls fn with the object now and after each change until it gives something else than 0; deadline 0: none, else
 * -ETIME with kubectl's message. Watches that end are started again from a fresh read. */
int kc_cli_wait(struct kc_cli *c, const struct kc_api_resource *res, const char *ns, const char *name, kc_mono deadline,
    kc_cli_condition_fn fn, void *arg, struct kc_error *err);
/* Until the object of that uid (NULL: any) is gone. */
int kc_cli_wait_gone(struct kc_cli *c, const struct kc_api_resource *res, const char *ns, const char *name,
    const char *uid, kc_mono deadline, struct kc_error *err);

/* The pod of kubec run, without sending it. Trees are the caller's. */
#pragma once

#include "base/error.h"
#include "json/json.h"

struct kc_run_spec {
        const char *name, *image, *pull_policy, *restart, *labels, *port;
        char *const *env, *const *annotations, *const *args;
        bool command, in, tty, leave_stdin_open, privileged;
};
int kc_run_pod(const struct kc_run_spec *s, struct json_object **ret, struct kc_error *err);
/* The Service of --expose in front of that pod. */
struct json_object *kc_run_service(const struct json_object *pod, const char *name, int64_t port);
/* --overrides as type ("merge", "strategic", "json") says, on a Pod or Service. */
int kc_run_override(struct json_object **obj, const char *text, const char *type, struct kc_error *err);
/* Is it the name of an image, as distribution's reference takes it? */
bool kc_run_image_ok(const char *image);

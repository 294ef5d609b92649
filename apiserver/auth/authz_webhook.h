/* The Webhook authorizer: asks a server by SubjectAccessReviews, and remembers its answers for a while. */
#pragma once

#include "auth/authz_config.h"

struct kc_loop;
struct authz_webhook;

/* loop: runs the connection; it must be running in a thread of its own, which is not one that asks. Reads the
 * kubeconfig. */
int authz_webhook_new(struct kc_loop *loop, const char *name, const struct authz_webhook_spec *spec,
    struct authz_webhook **ret, struct kc_error *err);
/* On the loop or after it has stopped: questions fail from now on, those under way, too. */
void authz_webhook_close(struct authz_webhook *w);
/* On the loop or after it has stopped; nobody asks any more. Ends what is under way. */
void authz_webhook_free(struct authz_webhook *w);
/* The answer that is remembered; false: the server has to be asked. Any thread, does not block. */
bool authz_webhook_remembers(
    struct authz_webhook *w, const struct kc_authz_attrs *a, enum kc_decision *ret, char **ret_reason);
/* Asks. May take the timeout, and more with retries. A failure is logged and decides as the failure policy says. */
enum kc_decision authz_webhook_ask(struct authz_webhook *w, const struct kc_authz_attrs *a, char **ret_reason);

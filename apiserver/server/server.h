/* kube-apiserver: its parts put together. */
#pragma once

#include "server/options.h"

struct kc_apiserver;

/* Makes all parts and listens; starts the threads of the store and of the loops but for the first loop, which is the
 * caller's (kc_apiserver_loop) to run. */
int kc_apiserver_new(const struct kc_apiserver_options *o, struct kc_apiserver **ret, struct kc_error *err);
struct kc_loop *kc_apiserver_loop(struct kc_apiserver *s);
/* Begins to follow the store and to answer. Before the loop runs. */
void kc_apiserver_start(struct kc_apiserver *s);
/* On the first loop, at a termination signal: readiness fails from now on, and after --shutdown-delay-duration and the
 * end of the requests under way (at most --request-timeout) the loop stops. */
void kc_apiserver_shutdown(struct kc_apiserver *s);
/* After the loop has stopped. */
void kc_apiserver_free(struct kc_apiserver *s);
KC_DEFINE_CLEANUP(struct kc_apiserver *, kc_apiserver_free)

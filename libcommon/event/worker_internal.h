/* For the tests of the pool. */
#pragma once

#include <stdint.h>

#include "event/worker.h"

/* How long a thread waits for work before it ends; before the first submit. */
void kc_pool_set_idle(struct kc_pool *p, int64_t usec);
/* Threads that exist. */
int kc_pool_threads(struct kc_pool *p);
/* Waits until at most n threads exist. */
void kc_pool_wait_threads(struct kc_pool *p, int n);

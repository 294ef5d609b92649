/* How this layer starts threads. */
#pragma once

#include <pthread.h>

#include "base/error.h"

/* A joinable thread that blocks asynchronous signals (the main thread takes them). name: up to 15 characters show. */
int kc_thread_start(const char *name, void *(*fn)(void *arg), void *arg, pthread_t *ret_thread, struct kc_error *err);

/* Starting threads. */
#include "event/thread_internal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

int kc_thread_start(const char *name, void *(*fn)(void *arg), void *arg, pthread_t *ret_thread, struct kc_error *err)
{
        static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
        sigset_t mask, old;
        sigfillset(&mask);
        for (size_t i = 0; i < KC_ARRAY_LEN(synchronous); i++)
                sigdelset(&mask, synchronous[i]);
        /* The new thread inherits the mask: there is no moment in which it takes signals. */
        int r = pthread_sigmask(SIG_SETMASK, &mask, &old);
        if (r != 0)
                return kc_error_set(err, r, "block signals: %s", strerrordesc_np(r));
        r = pthread_create(ret_thread, NULL, fn, arg);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL); /* fails on bad arguments only */
        if (r != 0)
                return kc_error_set(err, r, "start thread %s: %s", name, strerrordesc_np(r));
        char short_name[16];
        snprintf(short_name, sizeof(short_name), "%.15s", name);
        (void)pthread_setname_np(*ret_thread, short_name); /* for people only */
        return 0;
}

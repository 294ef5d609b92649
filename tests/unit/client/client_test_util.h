/* What the client tests share: cmocka with its headers, a loop on a thread, and counting gates instead of sleeps. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <semaphore.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"
#include "event/loop.h"
#include "event/worker.h"

/* Waits for one post of the gate; ten seconds without one fail the test. */
static inline KC_UNUSED void gate_wait(sem_t *gate)
{
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 10;
        int r;
        do
                r = sem_timedwait(gate, &until);
        while (r < 0 && errno == EINTR);
        assert_int_equal(r, 0);
}

static inline KC_UNUSED struct kc_loop *new_loop(void)
{
        struct kc_loop *l = NULL;
        assert_int_equal(kc_loop_new("test", &l, NULL), 0);
        return l;
}

static inline KC_UNUSED void loop_up(struct kc_loop *l)
{
        assert_int_equal(kc_loop_start_thread(l, NULL), 0);
}

/* The loop stops; what belongs to it may then be freed by the test. */
static inline KC_UNUSED void loop_down(struct kc_loop *l)
{
        kc_loop_stop(l);
        kc_loop_join(l);
}

#define assert_error(err, text) assert_string_equal(kc_error_message(err), text)

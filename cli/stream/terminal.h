/* The user's terminal: raw while a remote one is behind it, and always as it was afterwards. */
#pragma once

#include <stdbool.h>

#include "event/loop.h"

/* Saves the terminal's state and, if raw, passes every key on. Until kc_terminal_restore, SIGHUP, SIGINT, SIGQUIT and
 * SIGTERM restore it and end the process with 1, as kubectl does. One at a time. -errno: no terminal. */
int kc_terminal_guard(int fd, bool raw);
/* The same signals end the process with 1 instead of by themselves, as kubectl's interrupt handlers do. */
void kc_terminal_end_on_signals(void);
/* No effect without a guard. Main thread. */
void kc_terminal_restore(void);
/* False: no terminal, or one without a size. */
bool kc_terminal_size(int fd, int *ret_width, int *ret_height);
/* In a child process: signals act as by default again. */
void kc_terminal_forget(void);

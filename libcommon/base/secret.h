/* Passwords, tokens and keys in memory: freed after they are overwritten, see also kc_free_secret. Any thread. */
#pragma once

#include "base/buf.h"
#include "base/mem.h"

/* kc_free_secret of a string; NULL is fine. */
void kc_free_secret_str(char *s);
/* kc_buf_done, after overwriting all of the storage. What the buffer has outgrown is not reached: reserve first. */
void kc_buf_wipe(struct kc_buf *b);

/* For KC_CLEANUP. */
static inline KC_UNUSED void kc_free_secret_strp(char **s)
{
        kc_free_secret_str(*s);
}

/* What overwrites secrets. Any thread. */
#include "base/secret.h"

#include <string.h>

void kc_free_secret_str(char *s)
{
        kc_free_secret(s, s ? strlen(s) : 0);
}

void kc_buf_wipe(struct kc_buf *b)
{
        kc_free_secret(b->data, b->cap);
        *b = KC_BUF_INIT;
}

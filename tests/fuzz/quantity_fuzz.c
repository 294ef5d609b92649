/* Any text as a quantity: its canonical text is the same quantity, and sums do not overflow. As upstream, a binary one
 * that needs no suffix, 62.5Ki or 64000, is a decimal one when it is read again: 64k. That is the end of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/quantity.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
        if (!ok)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = kc_strndup((const char *)data, size);
        struct kc_quantity q, again;
        char buf[KC_QUANTITY_LEN], buf2[KC_QUANTITY_LEN];
        if (kc_quantity_parse(text, &q) == 0) {
                kc_quantity_format(&q, buf);
                check(kc_quantity_parse(buf, &again) == 0);
                check(kc_quantity_cmp(&q, &again) == 0);
                bool plain = q.format == KC_QUANTITY_BINARY_SI && again.format != q.format;
                check(strcmp(kc_quantity_format(&again, buf2), buf) == 0 || plain);
                check(kc_quantity_parse(buf2, &again) == 0);
                check(strcmp(kc_quantity_format(&again, buf), buf2) == 0);
                check(kc_quantity_value(&q) == kc_quantity_value(&again));
                for (int i = 0; i < 8; i++)
                        kc_quantity_add(&again, &q);
                check(q.nano >= 0 ? again.nano >= q.nano : again.nano <= q.nano);
                kc_quantity_sub(&again, &again);
                check(again.nano == 0);
        }
        kc_free(text);
        return 0;
}

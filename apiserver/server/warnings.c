/* Warning headers. Pure: any thread. */
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "server/server_internal.h"

enum { TOTAL_MAX = 4 * 1024, ITEM_MAX = 256 }; /* characters */

/* Bytes of the first max characters; *ret_n: how many there are. */
static size_t measure(const char *text, size_t max, size_t *ret_n)
{
        size_t len = strlen(text), at = 0, n = 0;
        while (at < len && n < max) {
                size_t bytes = kc_utf8_len(text + at, len - at);
                at += bytes ? bytes : 1;
                n++;
        }
        *ret_n = n;
        return at;
}

/* RFC 7234 warning text: 299 - "text". */
static void push(char ***headers, const char *text, size_t len)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, "299 - \"");
        for (const char *p = text; p < text + len; p++) {
                if (*p == '"' || *p == '\\')
                        kc_buf_addc(&b, '\\');
                kc_buf_addc(&b, (unsigned char)*p < ' ' ? ' ' : *p);
        }
        kc_buf_addc(&b, '"');
        kc_strv_push(headers, "Warning");
        kc_strv_push_take(headers, kc_buf_take_str(&b));
}

/* All of them, each with at most item_max characters; false: together they have more than total_max. The header that
 * passes the limit is the last one. */
static bool add_all(char *const *texts, size_t item_max, bool stop, char ***headers)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        size_t total = 0;
        for (size_t i = 0; texts && texts[i]; i++) {
                size_t n;
                if (!*texts[i] || kc_map_has(seen, texts[i]))
                        continue;
                (void)kc_map_set(seen, texts[i], (void *)(uintptr_t)texts[i]);
                size_t len = measure(texts[i], item_max, &n);
                total += n;
                if (!stop && total > TOTAL_MAX)
                        return false;
                push(headers, texts[i], len);
                if (total >= TOTAL_MAX)
                        return true;
        }
        return true;
}

void warnings_add_headers(char *const *texts, char ***headers)
{
        size_t before = kc_strv_len(*headers);
        if (add_all(texts, SIZE_MAX, false, headers))
                return;
        for (size_t i = before; (*headers)[i]; i++)
                kc_free((*headers)[i]);
        (*headers)[before] = NULL;
        (void)add_all(texts, ITEM_MAX, true, headers);
}

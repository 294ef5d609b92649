/* Overwrites what trees hold. Any thread. */
#include "json/secret.h"

#include <string.h>

static void wipe(const struct json_object *o)
{
        KC_JSON_FOREACH(o, key, val)
        {
                (void)key; /* names are no secrets */
                wipe(val);
        }
        for (size_t i = 0; i < kc_json_len(o); i++)
                wipe(kc_json_idx(o, i));
        const char *s = kc_json_as_str(o);
        if (s)
                explicit_bzero((void *)(uintptr_t)s, strlen(s));
}

void kc_json_free_secret(struct json_object *take_o)
{
        wipe(take_o);
        kc_json_free(take_o);
}

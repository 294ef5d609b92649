/* Any bytes as what a SPDY peer sends, cut anywhere, to a session that answers. The first byte says which side we are.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "stream/spdy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
        if (!ok)
                abort();
}

static char *const headers[] = {(char *)"a", (char *)"b", NULL};

struct session {
        struct kc_spdy *s;
        size_t bytes;
};

static int on_stream(uint32_t id, char *const *h, bool fin, void *arg)
{
        struct session *x = arg;
        (void)fin;
        check(kc_strv_len(h) % 2 == 0);
        (void)kc_spdy_reply(x->s, id, headers, id & 4);
        return 0;
}

static int on_headers(uint32_t id, char *const *h, bool fin, void *arg)
{
        (void)id;
        (void)fin;
        (void)arg;
        check(kc_strv_len(h) % 2 == 0);
        return 0;
}

static int on_data(uint32_t id, const char *data, size_t len, bool fin, void *arg)
{
        struct session *x = arg;
        x->bytes += len;
        (void)kc_spdy_data(x->s, id, data, len, fin);
        return 0;
}

static int on_reset(uint32_t id, uint32_t status, void *arg)
{
        struct session *x = arg;
        (void)status;
        check(kc_spdy_data(x->s, id, "x", 1, false) < 0);
        return 0;
}

static const struct kc_spdy_cbs cbs = {
    .on_stream = on_stream, .on_reply = on_headers, .on_headers = on_headers, .on_data = on_data, .on_reset = on_reset};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 2)
                return 0;
        struct session x = {0};
        size_t cut = (size_t)data[1] + 1;
        x.s = kc_spdy_new(data[0] & 1, data[0] & 2, &cbs, &x);
        for (int i = data[0] >> 4; i > 0; i--)
                (void)kc_spdy_open(x.s, headers, i & 1);
        for (size_t at = 2; at < size; at += cut)
                (void)kc_spdy_feed(x.s, (const char *)data + at, KC_MIN(cut, size - at));
        check(x.bytes <= size);
        kc_spdy_free(x.s);
        return 0;
}

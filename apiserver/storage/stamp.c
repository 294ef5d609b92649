/* Puts metadata.resourceVersion into stored bytes. No state, any thread. */
#include "storage/stamp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/skim.h"

/* Members of ObjectMeta that come before resourceVersion. */
static bool comes_before(struct skim_span key)
{
        return skim_is(key, "name") || skim_is(key, "generateName") || skim_is(key, "namespace") ||
               skim_is(key, "selfLink") || skim_is(key, "uid");
}

int kc_stamp_revision(const char *json, size_t len, int64_t revision, struct kc_bytes **ret, struct kc_stamp *ret_stamp,
    struct kc_error *err)
{
        struct skim_span meta, key, value;
        if (!skim_at((struct skim_span){json, len}, "metadata", &meta) || *meta.p != '{')
                return kc_error_set(err, EINVAL, "stored value is not an object with metadata");
        const char *after = NULL, *old = NULL, *old_end = NULL;
        size_t it = 0;
        while (skim_next(meta, &it, &key, &value)) {
                if (skim_is(key, "resourceVersion")) {
                        old = value.p;
                        old_end = value.p + value.len;
                        break;
                }
                if (comes_before(key))
                        after = value.p + value.len;
        }
        char number[24];
        size_t digits = (size_t)snprintf(number, sizeof(number), "%lld", (long long)revision);
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_reserve(&b, len + 48);
        size_t at;
        if (old) {
                kc_buf_add(&b, json, (size_t)(old - json));
                at = b.len + 1;
                kc_buf_addf(&b, "\"%s\"", number);
                kc_buf_add(&b, old_end, (size_t)(json + len - old_end));
        } else {
                const char *cut = after ? after : meta.p + 1;
                bool empty = it == 0;
                kc_buf_add(&b, json, (size_t)(cut - json));
                kc_buf_adds(&b, after ? ",\"resourceVersion\":\"" : "\"resourceVersion\":\"");
                at = b.len;
                kc_buf_add(&b, number, digits);
                kc_buf_adds(&b, after || empty ? "\"" : "\",");
                kc_buf_add(&b, cut, (size_t)(json + len - cut));
        }
        if (ret_stamp)
                *ret_stamp = (struct kc_stamp){at, digits};
        *ret = kc_bytes_from_buf(&b);
        return 0;
}
